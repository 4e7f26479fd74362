// Prints the latest window of each zone, then each new one.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run latest.go connect.go
package main

import "context"

func main() {
	bucket := try(connect().KeyValue(context.Background(), "moretta_latest"))
	windows := try(bucket.Watch(context.Background(), "windows.>"))
	for entry := range windows.Updates() {
		if entry != nil { // nil: that is all that there was
			show(entry.Value())
		}
	}
	select {} // the connection is closed, upon which connect.go ends the program
}
