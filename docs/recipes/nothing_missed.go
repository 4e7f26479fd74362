// Prints every window, those too that were published while it, the network or the server was away.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run nothing_missed.go connect.go
package main

func main() {
	windows := durable("mine-go") // another name begins anew
	for {
		msg := try(windows.Next())
		show(msg.Data())
		msg.Ack()
	}
}
