// Prints the latest window of each zone, then each as it is published, one line each.
// Install on Debian: apt-get install golang-go golang-github-nats-io-go-nats-dev
// Run there: GO111MODULE=off GOPATH=/usr/share/gocode go run windows.go [SITE]
// Elsewhere: go mod init windows && go get github.com/nats-io/nats.go && go run windows.go [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.
// Built (go build windows.go) it exits with 2 where something is to be set right, which a line on standard error names.

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
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

var (
	url  = variable("NATS_URL", nats.DefaultURL)
	seed = variable("NATS_NKEY", "subscriber.nk")
	last = map[string]int64{} // the end of the latest window shown, by subject
)

func main() {
	site := wanted()
	door := &door{}
	nc, err := nats.Connect(url, options(door)...)
	check(err)
	door.nc.Store(nc)
	subject := "moretta.v1.windows." + site + ".*"
	live, err := nc.SubscribeSync(subject) // first, so that none is missed between
	check(err)
	check(nc.Flush())
	known(nc, site)
	latest(nc, subject)
	say("listening to %s; a window is published when it has ended", subject)
	for {
		msg, err := live.NextMsg(time.Hour)
		if err == nats.ErrTimeout {
			continue
		}
		check(err)
		show(msg.Subject, msg.Data, msg.Header)
	}
}

// wanted is the site that was asked for, or *.
func wanted() string {
	flag.Usage = func() { say("usage: windows [SITE]") }
	flag.Parse()
	site := flag.Arg(0)
	if site == "" {
		site = "*"
	}
	if flag.NArg() > 1 || !regexp.MustCompile(`^(\*|[a-z0-9-]{1,32})$`).MatchString(site) {
		wrong("usage: windows [SITE], which is small letters, digits and hyphens")
	}
	return site
}

// options are how to connect as subscriber; nats.go refuses a server without TLS where a CA or tls:// asks for it.
func options(door *door) []nats.Option {
	if regexp.MustCompile(`SU[A-Z2-7]{40}`).MatchString(seed) {
		wrong("NATS_NKEY names the file of the seed, and holds a seed itself; save that in a file")
	}
	for _, one := range strings.Split(url, ",") {
		if !regexp.MustCompile(`^((nats|tls)://)?[^/\s@]+/?$`).MatchString(one) {
			wrong("NATS_URL: '%s' is no address such as nats://127.0.0.1:4222", regexp.MustCompile(`^(.*//)?.*@`).ReplaceAllString(one, "$1"))
		}
	}
	key, err := nats.NkeyOptionFromSeed(seed)
	if err != nil {
		wrong("NATS_NKEY: %s: %v; name the file of subscriber's seed, one line that begins with SU", seed, err)
	}
	found := []nats.Option{
		key, nats.CustomInboxPrefix("_INBOX_subscriber"), nats.MaxReconnects(-1), nats.SetCustomDialer(door),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { say("lost %s, waiting for it", url) }),
		nats.ReconnectHandler(func(*nats.Conn) { say("%s is back", url) }),
		nats.ClosedHandler(func(nc *nats.Conn) { check(nc.LastError()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { check(err) }),
	}
	if ca := os.Getenv("NATS_CA"); ca != "" {
		found = append(found, nats.RootCAs(ca))
	}
	cert, key2 := os.Getenv("NATS_CERT"), os.Getenv("NATS_KEY")
	if (cert == "") != (key2 == "") {
		wrong("NATS_CERT and NATS_KEY: one of them is not set; a certificate needs its key")
	}
	if cert != "" {
		found = append(found, nats.ClientCert(cert, key2))
	}
	return found
}

// door is the way to the server, which has to know the key of the seed that is in the file by then: a box that comes back has made new ones.
type door struct{ nc atomic.Pointer[nats.Conn] }

// Dial is called with the connection's lock held; nats.go reads the seed itself once more, to sign.
func (d *door) Dial(network, address string) (net.Conn, error) {
	if nc := d.nc.Load(); nc != nil {
		if key, err := public(); err == nil {
			nc.Opts.Nkey = key
		}
	}
	return net.DialTimeout(network, address, nats.DefaultTimeout)
}

// public is the public key of the seed in the file.
func public() (string, error) {
	text, err := os.ReadFile(seed)
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return "", err
	}
	return pair.PublicKey()
}

// known says so if no window of the site was published, and which sites there are.
func known(nc *nats.Conn, site string) {
	var names []string
	for _, subject := range subjects(nc, "moretta.v1.windows.*._site") {
		name := strings.Split(subject, ".")[3]
		if name == site {
			return
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		say("no window was published yet")
	} else if site != "*" {
		say("no window of site %s was published yet; there are: %s", site, strings.Join(names, ", "))
	}
}

// subjects are those of which something is stored.
func subjects(nc *nats.Conn, filter string) []string {
	var info struct {
		State struct {
			Subjects map[string]int `json:"subjects"`
		} `json:"state"`
	}
	ask(nc, "STREAM.INFO.WINDOWS", map[string]string{"subjects_filter": filter}, &info)
	var found []string
	for subject := range info.State.Subjects {
		found = append(found, subject)
	}
	sort.Strings(found)
	return found
}

// latest shows the last window of each zone.
func latest(nc *nats.Conn, filter string) {
	for _, subject := range subjects(nc, filter) {
		var answer struct {
			Message struct {
				Data    []byte `json:"data"`
				Headers []byte `json:"hdrs"`
			} `json:"message"`
		}
		ask(nc, "STREAM.MSG.GET.WINDOWS", map[string]string{"last_by_subj": subject}, &answer)
		headers, _ := nats.DecodeHeadersMsg(answer.Message.Headers)
		show(subject, answer.Message.Data, headers)
	}
}

// ask asks JetStream, which is called moretta.api here.
func ask(nc *nats.Conn, what string, question any, answer any) {
	data, err := json.Marshal(question)
	check(err)
	msg, err := nc.Request("moretta.api."+what, data, 5*time.Second)
	check(err)
	var refusal struct {
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	check(json.Unmarshal(msg.Data, &refusal))
	if refusal.Error != nil && refusal.Error.Code == 404 {
		return // a new Moretta has no streams yet
	}
	if refusal.Error != nil {
		wrong("%s: %s", url, refusal.Error.Description)
	}
	check(json.Unmarshal(msg.Data, answer))
}

// show prints a window; what is none is said (subscribing.md, rules of reading), what is not newer than what was shown is left out.
func show(subject string, data []byte, headers nats.Header) {
	var window Window
	where := strings.Split(subject, ".")
	foreign := json.Unmarshal(data, &window) != nil || window.Type != "WindowV1" || len(where) != 5 || window.End <= 0
	for name := range headers {
		name = textproto.CanonicalMIMEHeaderKey(name)
		foreign = foreign || name == "Status" || strings.HasPrefix(name, "Nats-Service-Error")
	}
	if foreign || window.Site != where[3] || window.Zone != where[4] {
		say("skipped: no WindowV1 at %s", subject)
		return
	}
	if window.End <= last[subject] {
		return
	}
	last[subject] = window.End
	end := time.Unix(0, window.End).UTC().Format(time.RFC3339)
	for _, figure := range []*float64{window.Rate, window.Coverage} {
		round(figure)
	}
	if window.Interval != nil {
		round(&window.Interval[0])
		round(&window.Interval[1])
	}
	fmt.Printf("%s %s %s rate=%s interval=%s persons=%s coverage=%s\n", end, window.Site, window.Zone,
		text(window.Rate), text(window.Interval), text(window.Persons), text(window.Coverage))
}

// round leaves four decimals.
func round(figure *float64) {
	if figure != nil {
		*figure = math.Round(*figure*1e4) / 1e4
	}
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

// check ends the program with what went wrong and what to set.
func check(err error) {
	if err == nil {
		return
	}
	said, hint := strings.TrimPrefix(err.Error(), "nats: "), ""
	var host *net.DNSError
	switch lower := strings.ToLower(said); {
	case strings.Contains(lower, "authorization"):
		hint = "is the seed in NATS_NKEY (" + seed + ") the present one?"
	case strings.Contains(lower, "permissions violation"):
		hint = "is the seed in NATS_NKEY that of subscriber?"
	case errors.As(err, &host):
		said, hint = "no such host", "is NATS_URL right?"
	case errors.Is(err, nats.ErrNoServers):
		said, hint = "nobody listens there", "is NATS_URL right?"
	case strings.Contains(lower, "secure connection not available"):
		said, hint = "it offers no TLS", "NATS_CA or tls:// asks for it"
	case strings.Contains(lower, "certificate required"), strings.Contains(lower, "remote error: tls"),
		strings.Contains(lower, "broken pipe"), strings.Contains(lower, "connection reset"):
		hint = "name a certificate whose authority it knows in NATS_CERT and NATS_KEY"
	case strings.Contains(lower, "x509"):
		hint = "are NATS_CA, and the name in NATS_URL, right?"
	}
	wrong("%s: %s; %s", url, said, hint)
}

func say(form string, what ...any) {
	fmt.Fprintln(os.Stderr, strings.TrimSuffix(fmt.Sprintf(form, what...), "; "))
}

func wrong(form string, what ...any) {
	say(form, what...)
	os.Exit(2)
}
