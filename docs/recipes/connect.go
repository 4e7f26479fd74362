// What the other programs share: the connection, by the variables that the command `nats` reads. Keep it beside them.
// Elsewhere than on Debian: go mod init recipes && go get github.com/nats-io/nats.go
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect returns a connection, which comes back by itself.
func connect() jetstream.JetStream {
	return try(jetstream.New(try(dial())))
}

// dial returns a connection, or why there is none.
func dial() (*nats.Conn, error) {
	options := []nats.Option{try(nats.NkeyOptionFromSeed(os.Getenv("NATS_NKEY"))), nats.MaxReconnects(-1)}
	if ca := os.Getenv("NATS_CA"); ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	if cert := os.Getenv("NATS_CERT"); cert != "" {
		options = append(options, nats.ClientCert(cert, os.Getenv("NATS_KEY")))
	}
	options = append(options, nats.ErrorHandler(tell), nats.PingInterval(4*time.Second)) // a silent server is away, too
	options = append(options, nats.ClosedHandler(func(nc *nats.Conn) { try(0, nc.LastError()) }))
	return nats.Connect(os.Getenv("NATS_URL"), options...)
}

// patiently returns what ask returns; while the server is away, it is asked again.
func patiently[T any](ask func() (T, error)) T {
	for {
		value, err := ask()
		if !errors.Is(err, nats.ErrNoServers) && !errors.Is(err, nats.ErrTimeout) && !os.IsTimeout(err) {
			return try(value, err)
		}
		time.Sleep(time.Second)
	}
}

// tell says what is wrong with the connection; the client tries on, but not with a key that is refused.
func tell(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrAuthorization) {
		try(0, err)
	}
	fmt.Fprintln(os.Stderr, err)
}

// durable returns what a durable consumer has of the windows; it is made unless it is there.
func durable(name string) jetstream.MessagesContext {
	how := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy}
	js := try(jetstream.New(patiently(dial)))
	consumer := patiently(func() (jetstream.Consumer, error) {
		return js.CreateOrUpdateConsumer(context.Background(), "WINDOWS", how)
	})
	return try(consumer.Messages())
}

// latest returns the last message of each subject that a stream has, and then each new one.
func latest(stream, subjects string) jetstream.MessagesContext {
	policy := jetstream.DeliverLastPerSubjectPolicy
	how := jetstream.OrderedConsumerConfig{DeliverPolicy: policy, FilterSubjects: []string{subjects}}
	return try(try(connect().OrderedConsumer(context.Background(), stream, how)).Messages())
}

// show prints a window.
func show(data []byte) {
	var window struct {
		End, Site, Zone string
		Rate            *float64
		Persons         *int
	}
	try(0, json.Unmarshal(data, &window))
	figures := try(json.Marshal([]any{window.Rate, window.Persons}))
	try(fmt.Println(window.End, window.Site, window.Zone, string(figures)))
}

// read returns a message's fields.
func read(data []byte) (fields map[string]any) {
	try(0, json.Unmarshal(data, &fields))
	return
}

// texts returns fields of a message as text; one that is not published is empty.
func texts(data []byte, names []string) []string {
	fields, found := read(data), make([]string, len(names))
	for i, name := range names {
		if fields[name] != nil {
			found[i] = fmt.Sprint(fields[name])
		}
	}
	return found
}

// argument returns what the program was given.
func argument(what string) string {
	if len(os.Args) < 2 {
		try(0, errors.New("one thing is missing: "+what))
	}
	return os.Args[1]
}

// moment returns a time, such as 2026-12-01T08:00:00Z; of a date alone the midnight by UTC.
func moment(text string) time.Time {
	if day, err := time.Parse("2006-01-02", text); err == nil {
		return day
	}
	return try(time.Parse(time.RFC3339, text))
}

// try returns a value, or ends the program with exit code 2.
func try[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}
