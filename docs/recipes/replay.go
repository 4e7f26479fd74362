// Prints the windows that were published in the last day, or since a time or a date (by UTC).
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run replay.go connect.go [2026-12-01 | 2026-12-01T08:00:00Z]
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
		since = moment(os.Args[1])
	}
	how := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since}
	stored := try(connect().OrderedConsumer(context.Background(), "WINDOWS", how))
	waiting, windows := try(stored.Info(context.Background())).NumPending, try(stored.Messages())
	for range waiting {
		show(try(windows.Next()).Data())
	}
}
