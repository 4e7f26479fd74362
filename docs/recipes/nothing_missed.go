// Prints every window, those too that were published while it, the network or the server was away.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run nothing_missed.go connect.go
package main

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	how := jetstream.ConsumerConfig{Durable: "mine-go", AckPolicy: jetstream.AckExplicitPolicy}
	mine := try(connect().CreateOrUpdateConsumer(context.Background(), "WINDOWS", how))
	windows := try(mine.Messages())
	for {
		msg := try(windows.Next())
		show(msg.Data())
		msg.Ack()
	}
}
