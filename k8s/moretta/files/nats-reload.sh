#!/bin/sh
# Beside nats-server, each few seconds. It tells the server twice when its configuration or a certificate is another one: what a new
# reader asks goes nowhere before the second time. Kubernetes swaps a link: contents are compared. And it ends a server that has
# stored nothing since its volume was full, once 64 MiB are free: only a start helps it (docs/how-to/full-volume.md).
# Usage: nats-reload.sh PID_FILE SECONDS MONITOR_PORT DATA FOLDER...
pid_file=$1 pause=$2 monitor=$3 data=$4 seen='' again=''
shift 4
stuck() { # "not enabled" is said of a server that has switched JetStream off, not of one that starts
  printf 'GET /healthz HTTP/1.0\r\n\r\n' | nc -w 4 127.0.0.1 "$monitor" 2>/dev/null |
    grep -q -e 'no space left on device' -e 'JetStream not enabled'
}
has_room() { [ "$(df -Pk "$data" | awk 'NR == 2 { print $4 }')" -ge 65536 ]; }
while sleep "$pause"; do
  [ -s "$pid_file" ] && stuck && has_room && echo "ending nats-server: there is room again" && kill -TERM "$(cat "$pid_file")"
  now=$(find -L "$@" -maxdepth 1 -type f -exec sha256sum {} + | sort)
  [ "$now" = "$seen" ] && [ "$now" = "$again" ] && continue
  [ -s "$pid_file" ] && kill -HUP "$(cat "$pid_file")" && again=$seen seen=$now
done
