// Appends every window as a row of CSV, and misses none.
// Run on Debian: GO111MODULE=off GOPATH=/usr/share/gocode go run csv_log.go connect.go >> windows.csv
package main

import (
	"encoding/csv"
	"os"
)

func main() {
	columns := []string{"end", "site", "zone", "rate", "persons", "coverage"}
	rows := csv.NewWriter(os.Stdout)
	if try(os.Stdout.Stat()).Size() == 0 {
		try(0, rows.Write(columns))
	}
	windows := durable("csv-go")
	for {
		msg := try(windows.Next())
		try(0, rows.Write(texts(msg.Data(), columns)))
		rows.Flush()
		try(0, rows.Error())
		msg.Ack()
	}
}
