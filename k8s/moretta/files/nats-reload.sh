#!/bin/sh
# Tells nats-server twice when its configuration or a certificate is another one: what a new reader asks goes nowhere before the
# second time. Kubernetes swaps a link: contents are compared. Usage: nats-reload.sh PID_FILE SECONDS FOLDER...
pid_file=$1 pause=$2 seen='' again=''
shift 2
while sleep "$pause"; do
  now=$(find -L "$@" -maxdepth 1 -type f -exec sha256sum {} + | sort)
  [ "$now" = "$seen" ] && [ "$now" = "$again" ] && continue
  [ -s "$pid_file" ] && kill -HUP "$(cat "$pid_file")" && again=$seen seen=$now
done
