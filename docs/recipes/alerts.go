// Prints the state of each alert, since when and the end of the window that decided it; then each change.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run alerts.go connect.go
package main

import (
	"context"
	"fmt"
	"strings"
)

func main() {
	bucket := try(connect().KeyValue(context.Background(), "moretta_latest"))
	alerts := try(bucket.Watch(context.Background(), "alerts.>"))
	for entry := range alerts.Updates() {
		if entry != nil { // nil: that is all that there was
			names := []string{"state", "site", "zone", "rule", "since", "end", "rate"}
			try(fmt.Println(strings.Join(texts(entry.Value(), names), " ")))
		}
	}
	select {} // the connection is closed, upon which connect.go ends the program
}
