#!/bin/sh
# Tells nats-server when its configuration or a certificate is another one. Kubernetes swaps a link: contents are compared.
# Usage: nats-reload.sh PID_FILE SECONDS FOLDER...
pid_file=$1 pause=$2
shift 2
seen=
while sleep "$pause"; do
  now=$(find -L "$@" -maxdepth 1 -type f -exec sha256sum {} + | sort)
  [ "$now" = "$seen" ] && continue
  [ -s "$pid_file" ] && kill -HUP "$(cat "$pid_file")" && seen=$now
done
