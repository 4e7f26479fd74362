// What the other programs share: the connection, by the variables that the command `nats` reads. Keep it beside them.
// Elsewhere than on Debian: go mod init recipes && go get github.com/nats-io/nats.go
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect returns a connection, which comes back by itself.
func connect() jetstream.JetStream {
	options := []nats.Option{try(nats.NkeyOptionFromSeed(os.Getenv("NATS_NKEY"))), nats.MaxReconnects(-1)}
	if ca := os.Getenv("NATS_CA"); ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	if cert := os.Getenv("NATS_CERT"); cert != "" {
		options = append(options, nats.ClientCert(cert, os.Getenv("NATS_KEY")))
	}
	ended := nats.ClosedHandler(func(nc *nats.Conn) { try(0, nc.LastError()) }) // such as a key that is refused
	return try(jetstream.New(try(nats.Connect(os.Getenv("NATS_URL"), append(options, ended)...))))
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

// argument returns what the program was given.
func argument(what string) string {
	if len(os.Args) < 2 {
		try(0, errors.New("one thing is missing: "+what))
	}
	return os.Args[1]
}

// try returns a value, or ends the program with exit code 2.
func try[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}
