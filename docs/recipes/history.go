// Prints a site's last day by hours of its own clock, asked of aggregate.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run history.go connect.go SITE
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

func main() {
	site, since := argument("SITE"), time.Now().UTC().AddDate(0, 0, -1)
	asked := map[string]any{"type": "StatsRequestV1", "site": site, "since": since, "step": "hour"} // or window, day, total
	answer := try(connect().Conn().Request("moretta.v1.stats."+site, try(json.Marshal(asked)), 5*time.Second))
	if why := answer.Header.Get("Nats-Service-Error"); why != "" {
		try(0, errors.New(why))
	}
	for _, period := range read(answer.Data)["periods"].([]any) {
		one := period.(map[string]any)
		try(fmt.Println(one["start"], one["end"], one["rate"], one["persons"], one["coverage"]))
	}
}
