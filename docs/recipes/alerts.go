// Prints the state of each alert, since when and the end of the window that decided it; then each change.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run alerts.go connect.go
package main

import (
	"fmt"
	"strings"
)

func main() {
	alerts := latest("ALERTS", "moretta.v1.alerts.>")
	names := []string{"state", "site", "zone", "rule", "since", "end", "rate"}
	for {
		try(fmt.Println(strings.Join(texts(try(alerts.Next()).Data(), names), " ")))
	}
}
