// Each way of reading that NATS's users know, by nats.go and nothing else; a line for each.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const wait = 60 * time.Second

func try[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}

func say(way string, data []byte) {
	var window struct{ End, Site, Zone string }
	try(0, json.Unmarshal(data, &window))
	fmt.Println(way, window.End, window.Site, window.Zone)
}

func main() {
	options := []nats.Option{try(nats.NkeyOptionFromSeed(os.Getenv("NATS_NKEY")))}
	if ca := os.Getenv("NATS_CA"); ca != "" {
		options = append(options, nats.RootCAs(ca), nats.ClientCert(os.Getenv("NATS_CERT"), os.Getenv("NATS_KEY")))
	}
	nc := try(nats.Connect(os.Getenv("NATS_URL"), options...))
	live := try(nc.SubscribeSync("moretta.>"))
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	stream := try(try(jetstream.New(nc)).Stream(ctx, "WINDOWS"))
	how := jetstream.ConsumerConfig{Durable: "plain-go", AckPolicy: jetstream.AckExplicitPolicy}
	pulled := try(try(stream.CreateOrUpdateConsumer(ctx, how)).Next(jetstream.FetchMaxWait(wait)))
	say("pull", pulled.Data())
	try(0, pulled.DoubleAck(ctx))
	ordered := try(stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{}))
	say("ordered", try(ordered.Next(jetstream.FetchMaxWait(wait))).Data())
	say("direct", try(stream.GetLastMsgForSubject(ctx, pulled.Subject())).Data)
	fmt.Println("listening")
	for {
		if heard := try(live.NextMsg(wait)); strings.HasPrefix(heard.Subject, "moretta.v1.windows.") {
			say("core", heard.Data)
			return
		}
	}
}
