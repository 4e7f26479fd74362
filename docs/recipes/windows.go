// Prints the latest window of each zone, then each as it is published, one line each.
// Install on Debian: apt-get install golang-go golang-github-nats-io-go-nats-dev
// Run there: GO111MODULE=off GOPATH=/usr/share/gocode go run windows.go [SITE]
// Elsewhere: go mod init windows && go get github.com/nats-io/nats.go && go run windows.go [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"time"

	"github.com/nats-io/nats.go"
)

// Window is what this program reads of WindowV1; nil: not published.
type Window struct {
	Type     string      `json:"type"`
	Site     string      `json:"site"`
	Zone     string      `json:"zone"`
	End      int64       `json:"end"`
	Rate     *float64    `json:"rate"`
	Interval *[2]float64 `json:"interval"`
	Persons  *int        `json:"persons"`
	Coverage *float64    `json:"coverage"`
}

func main() {
	log.SetFlags(0)
	nc, err := nats.Connect(variable("NATS_URL", nats.DefaultURL), options()...)
	check(err)
	site := "*"
	if len(os.Args) > 1 {
		site = os.Args[1]
	}
	subject := "moretta.v1.windows." + site + ".*"
	live, err := nc.SubscribeSync(subject) // first, so that none is missed between
	check(err)
	latest(nc, subject)
	log.Printf("listening to %s; a window is published when it has ended", subject)
	for {
		msg, err := live.NextMsg(time.Hour)
		if err == nats.ErrTimeout {
			continue
		}
		check(err)
		show(msg.Data)
	}
}

// options are how to connect as subscriber.
func options() []nats.Option {
	key, err := nats.NkeyOptionFromSeed(variable("NATS_NKEY", "subscriber.nk"))
	check(err)
	found := []nats.Option{key, nats.CustomInboxPrefix("_INBOX_subscriber"), nats.MaxReconnects(-1)}
	if ca := os.Getenv("NATS_CA"); ca != "" {
		found = append(found, nats.RootCAs(ca))
	}
	if cert := os.Getenv("NATS_CERT"); cert != "" {
		found = append(found, nats.ClientCert(cert, os.Getenv("NATS_KEY")))
	}
	return found
}

// latest shows the last window of each zone.
func latest(nc *nats.Conn, filter string) {
	var info struct {
		State struct {
			Subjects map[string]int `json:"subjects"`
		} `json:"state"`
	}
	ask(nc, "STREAM.INFO.WINDOWS", map[string]string{"subjects_filter": filter}, &info)
	var subjects []string
	for subject := range info.State.Subjects {
		subjects = append(subjects, subject)
	}
	sort.Strings(subjects)
	for _, subject := range subjects {
		var answer struct {
			Message struct {
				Data []byte `json:"data"`
			} `json:"message"`
		}
		ask(nc, "STREAM.MSG.GET.WINDOWS", map[string]string{"last_by_subj": subject}, &answer)
		show(answer.Message.Data)
	}
}

// ask asks JetStream, which is called moretta.api here.
func ask(nc *nats.Conn, what string, question any, answer any) {
	data, err := json.Marshal(question)
	check(err)
	msg, err := nc.Request("moretta.api."+what, data, 5*time.Second)
	check(err)
	check(json.Unmarshal(msg.Data, answer))
}

func show(data []byte) {
	var window Window
	if json.Unmarshal(data, &window) != nil || window.Type != "WindowV1" {
		return
	}
	end := time.Unix(0, window.End).UTC().Format(time.RFC3339)
	fmt.Printf("%s %s %s rate=%s interval=%s persons=%s coverage=%s\n", end, window.Site, window.Zone,
		text(window.Rate), text(window.Interval), text(window.Persons), text(window.Coverage))
}

func text(value any) string {
	data, err := json.Marshal(value)
	check(err)
	return string(data)
}

func variable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
