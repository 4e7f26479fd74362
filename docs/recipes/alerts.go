// Prints the state of each alert, then each change.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run alerts.go connect.go
package main

import (
	"context"
	"fmt"
)

func main() {
	bucket := try(connect().KeyValue(context.Background(), "moretta_latest"))
	alerts := try(bucket.Watch(context.Background(), "alerts.>"))
	for entry := range alerts.Updates() {
		if entry != nil { // nil: that is all that there was
			alert := read(entry.Value())
			try(fmt.Println(alert["state"], alert["site"], alert["zone"], alert["rule"], alert["since"], alert["rate"]))
		}
	}
	select {} // the connection is closed, upon which connect.go ends the program
}
