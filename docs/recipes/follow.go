// Prints each message of Moretta's as it is published; what was before is missed.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run follow.go connect.go
package main

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

func main() {
	messages := make(chan *nats.Msg, 1000)
	try(connect().Conn().ChanSubscribe("moretta.>", messages))
	for msg := range messages {
		try(fmt.Println(msg.Subject, string(msg.Data)))
	}
}
