// Prints the windows that were published in the last day, or since a time.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run replay.go connect.go [TIME]
package main

import (
	"context"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	since := time.Now().AddDate(0, 0, -1)
	if len(os.Args) > 1 {
		since = try(time.Parse(time.RFC3339, os.Args[1]))
	}
	how := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since}
	stored := try(connect().OrderedConsumer(context.Background(), "WINDOWS", how))
	waiting, windows := try(stored.Info(context.Background())).NumPending, try(stored.Messages())
	for range waiting {
		show(try(windows.Next()).Data())
	}
}
