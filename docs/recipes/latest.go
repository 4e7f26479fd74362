// Prints the latest window of each zone, then each new one.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run latest.go connect.go
package main

func main() {
	windows := latest("WINDOWS", "moretta.v1.windows.>")
	for {
		show(try(windows.Next()).Data())
	}
}
