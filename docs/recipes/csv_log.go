// Appends every window as a row of CSV, and misses none. Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run csv_log.go connect.go >> windows.csv
package main

import (
	"context"
	"fmt"
	"github.com/nats-io/nats.go/jetstream"
	"os"
	"strings"
)

func main() {
	if try(os.Stdout.Stat()).Size() == 0 {
		try(fmt.Println("end,site,zone,rate,persons,coverage"))
	}
	how := jetstream.ConsumerConfig{Durable: "csv-go", AckPolicy: jetstream.AckExplicitPolicy}
	mine, csv := try(connect().CreateOrUpdateConsumer(context.Background(), "WINDOWS", how)), strings.NewReplacer(" ", ",", "<nil>", "")
	for windows := try(mine.Messages()); ; {
		msg := try(windows.Next())
		w := read(msg.Data()) // no name has a space
		try(fmt.Print(csv.Replace(fmt.Sprintln(w["end"], w["site"], w["zone"], w["rate"], w["persons"], w["coverage"]))))
		msg.Ack()
	}
}
