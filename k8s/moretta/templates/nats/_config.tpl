{{/* The StatefulSet's name behind the release's. Three servers are another set than one: Kubernetes replaces the first pod of a set only once the others
are ready, and two of three servers are not ready without the third. So Helm takes one set away and makes the other, each with volumes of its own. */}}
{{- define "moretta.nats.set" -}}
{{- ternary "nats-cluster" "nats" (eq (int .Values.nats.replicas) 3) -}}
{{- end }}

{{/* Bytes of a quantity such as 4Gi. Takes (dict "name" "nats.storage.size" "quantity" "4Gi"). */}}
{{- define "moretta.nats.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $quantity := toString .quantity -}}
{{- $number := regexFind "^[0-9]+" $quantity -}}
{{- $unit := trimPrefix $number $quantity -}}
{{- if or (empty $number) (not (hasKey $units $unit)) -}}
{{- fail (printf "%s is %q, which is no size; set one such as 4Gi" .name $quantity) -}}
{{- end -}}
{{- mul (int64 $number) (get $units $unit) -}}
{{- end }}

{{/* Users as JSON, each once for each of its public keys. Takes (dict "root" $ "users" [...] "keys" {...} "place" "nats.keys"). */}}
{{- define "moretta.nats.users" -}}
{{- $found := list -}}
{{- range $user := .users -}}
{{- $name := printf "%s.%s" $.place $user.nkey -}}
{{- $keys := get $.keys $user.nkey -}}
{{- if $.root.Values.identities.make -}}
{{- $found = append $found (merge (dict "nkey" (printf "{key:%s}" $user.nkey)) $user) -}}
{{- $keys = list -}}
{{- else -}}
{{- if not $keys -}}
{{- fail (printf "%s is empty; set identities.make: true, or give DIR/values.yaml of `moretta nats apply DIR` with -f" $name) -}}
{{- end -}}
{{- if not (kindIs "slice" $keys) -}}{{- fail (printf "%s is no list; set a list of public keys, two while one takes the other's place" $name) -}}{{- end -}}
{{- /* helm lint goes on after a refusal. */ -}}
{{- range $key := ternary $keys list (kindIs "slice" $keys) -}}
{{- if hasPrefix "SU" (toString $key) -}}
{{- fail (printf "%s holds a seed, and values are no place for one; set the public key, which begins with U" $name) -}}
{{- else if not (regexMatch "^U[A-Z2-7]{55}$" (toString $key)) -}}
{{- fail (printf "%s has %q, which is no public nkey; give DIR/values.yaml of `moretta nats apply DIR` with -f" $name (toString $key)) -}}
{{- end -}}
{{- $found = append $found (merge (dict "nkey" $key) $user) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toRawJson (dict "items" $found) -}}
{{- end }}

{{/* A list as JSON, with a leaf's name, and each item that names a site once for each site. Takes (dict "items" [...] "sites" [...]). */}}
{{- define "moretta.nats.sites" -}}
{{- $found := list -}}
{{- range $item := .items -}}
{{- $text := toRawJson (dict "is" $item) | replace "{leaf}" (first $.sites) -}}
{{- if contains "{site}" $text -}}
{{- range $site := $.sites -}}{{- $found = append $found ($text | replace "{site}" $site | fromJson).is -}}{{- end -}}
{{- else -}}
{{- $found = append $found ($text | fromJson).is -}}
{{- end -}}
{{- end -}}
{{- toRawJson (dict "items" $found) -}}
{{- end }}

{{/* A block `tls` as JSON of the files in a folder. */}}
{{- define "moretta.nats.tls" -}}
{{- toRawJson (dict "cert_file" (printf "%s/tls.crt" .) "key_file" (printf "%s/tls.key" .) "ca_file" (printf "%s/ca.crt" .) "verify" true "min_version" "1.2" "timeout" 5) -}}
{{- end }}

{{/* One entry of `nats.readers` as JSON: its name, its account, whether it was removed, and the subjects that it is not given, as the subscriber has them.
Takes (dict "root" $ "reader" "acme" or {"name": "acme", "streams": ["WINDOWS"]}). */}}
{{- define "moretta.nats.reader" -}}
{{- $made := .root.Files.Get "files/accounts.json" | fromJson -}}
{{- $reader := ternary (dict "name" .reader) .reader (kindIs "string" .reader) -}}
{{- $removed := and (hasKey $reader "streams") (empty $reader.streams) -}}
{{- $streams := list -}}
{{- range ternary list ($reader.streams | default $made.readers.given) $removed -}}{{- $streams = append $streams (upper .) -}}{{- end -}}
{{- $known := list -}}
{{- range $stream, $subjects := $made.readers.streams -}}
{{- if or (get $made.streams $stream).hub (not $.root.Values.nats.hub.enabled) -}}{{- $known = append $known $stream -}}{{- end -}}
{{- end -}}
{{- range $stream := $streams -}}
{{- if not (has $stream $known) -}}
{{- fail (printf "nats.readers has %s with the stream %s, which readers%s do not have; there are %s" $reader.name $stream (ternary " of a hub" "" $.root.Values.nats.hub.enabled) (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- $without := list -}}
{{- range $stream, $subjects := $made.readers.streams -}}
{{- if not (has $stream $streams) -}}{{- $without = concat $without $subjects -}}{{- end -}}
{{- end -}}
{{- toRawJson (dict "name" $reader.name "account" (printf "MORETTA_SUBSCRIBERS_%s" $reader.name) "removed" $removed "without" $without) -}}
{{- end }}

{{/* The names of `nats.readers` without those that were removed, as JSON. */}}
{{- define "moretta.nats.readerNames" -}}
{{- $found := list -}}
{{- range .Values.nats.readers -}}
{{- $reader := include "moretta.nats.reader" (dict "root" $ "reader" .) | fromJson -}}
{{- if not $reader.removed -}}{{- $found = append $found $reader.name -}}{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* `nats.readers` beside the subscriber, each in an account of its own with its rights and mirrors, as JSON: all accounts, and what the account that
gives (MORETTA, or a hub's MORETTA_HUB) has for them. The page's goes where it has no key, which is missed only where the page is.
Takes (dict "root" $ "accounts" {...} "giver" {...}). */}}
{{- define "moretta.nats.readers" -}}
{{- $nats := .root.Values.nats -}}
{{- $accounts := .accounts -}}
{{- $giver := .giver -}}
{{- $named := list -}}
{{- $removed := list -}}
{{- /* What may be asked in the account of a reader that was removed, by the ends of the subjects. */ -}}
{{- $emptying := "\\.STREAM\\.(NAMES|DELETE\\.\\*)$" -}}
{{- range $nats.readers -}}
{{- $reader := include "moretta.nats.reader" (dict "root" $.root "reader" .) | fromJson -}}
{{- range concat $named $removed -}}{{- if eq .name $reader.name -}}{{- fail (printf "nats.readers has %s twice" $reader.name) -}}{{- end -}}{{- end -}}
{{- if $reader.removed -}}
{{- $removed = append $removed $reader -}}
{{- $exports := list -}}
{{- range $export := $accounts.MORETTA_SUBSCRIBERS.exports -}}{{- if regexMatch $emptying $export.service -}}{{- $exports = append $exports $export -}}{{- end -}}{{- end -}}
{{- $_ := set $accounts $reader.account (dict "limits" $accounts.MORETTA_SUBSCRIBERS.limits "users" list "imports" list "jetstream" true "exports" $exports) -}}
{{- else -}}
{{- $user := printf "subscriber-%s" $reader.name -}}
{{- if not (or (get $nats.keys $user) $.root.Values.identities.make) -}}
{{- fail (printf "nats.readers has %s, and nats.keys.%s is empty; `moretta nats apply DIR` with it in `readers` of its file makes its key: give DIR/values.yaml with -f" $reader.name $user) -}}
{{- end -}}
{{- $named = append $named $reader -}}
{{- $own := toRawJson $accounts.MORETTA_SUBSCRIBERS | replace "\"nkey\":\"subscriber\"" (printf "\"nkey\":%s" (quote $user)) | fromJson -}}
{{- $imports := list -}}
{{- range $import := $own.imports -}}
{{- if not (has (get $import "service" | default (get $import "stream")).subject $reader.without) -}}{{- $imports = append $imports $import -}}{{- end -}}
{{- end -}}
{{- $text := toRawJson (merge (dict "imports" $imports) $own) -}}
{{- $_ := set $accounts $reader.account ($text | replace "MORETTA_SUBSCRIBERS" $reader.account | fromJson) -}}
{{- end -}}
{{- end -}}
{{- $isThere := or $.root.Values.page.enabled (get $nats.keys "page") $.root.Values.identities.make -}}
{{- if not $isThere -}}{{- $_ := unset $accounts "MORETTA_PAGE" -}}{{- end -}}
{{- $exports := list -}}
{{- range $export := $giver.exports -}}
{{- $to := ternary $export.accounts (without $export.accounts "MORETTA_PAGE") (not (not $isThere)) -}}
{{- if contains "MORETTA_SUBSCRIBERS" (get $export "stream") -}}
{{- $exports = append $exports $export -}}
{{- range $named -}}{{- $exports = append $exports (toRawJson $export | replace "MORETTA_SUBSCRIBERS" .account | fromJson) -}}{{- end -}}
{{- else -}}
{{- if has "MORETTA_SUBSCRIBERS" $to -}}
{{- range $named -}}
{{- if not (has (get $export "service" | default (get $export "stream")) .without) -}}{{- $to = append $to .account -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $to -}}{{- $exports = append $exports (merge (dict "accounts" $to) $export) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $imports := $giver.imports -}}
{{- range concat $named $removed -}}
{{- $reader := . -}}
{{- $account := .account -}}
{{- range $import := $giver.imports -}}
{{- if and (contains "MORETTA_SUBSCRIBERS" (toRawJson $import)) (or (not $reader.removed) (regexMatch $emptying $import.to)) -}}{{- $imports = append $imports (toRawJson $import | replace "MORETTA_SUBSCRIBERS" $account | fromJson) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $users := list -}}
{{- range $user := $giver.users -}}
{{- $publish := $user.permissions.publish.allow -}}
{{- range $reader := concat $named $removed -}}
{{- range $subject := $user.permissions.publish.allow -}}
{{- if and (contains "MORETTA_SUBSCRIBERS" $subject) (not (has $subject $reader.without)) (or (not $reader.removed) (regexMatch $emptying $subject)) -}}
{{- $publish = append $publish ($subject | replace "MORETTA_SUBSCRIBERS" $reader.account) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $users = append $users (merge (dict "permissions" (dict "publish" (dict "allow" $publish) "subscribe" $user.permissions.subscribe)) $user) -}}
{{- end -}}
{{- toRawJson (dict "accounts" $accounts "giver" (merge (dict "exports" $exports "imports" $imports "users" $users) $giver)) -}}
{{- end }}

{{/* How often JetStream's room for readers (`readers` of accounts.json) is needed: a number. */}}
{{- define "moretta.nats.steps" -}}
{{- $at := (.Files.Get "files/accounts.json" | fromJson).readers.at_once | int64 -}}
{{- add1 (div (include "moretta.nats.readerNames" . | fromJsonArray | len) $at) -}}
{{- end }}

{{/* A hub's accounts beside its subscriber's, as JSON. Takes (dict "root" $ "hub" (what accounts.json has of it)). */}}
{{- define "moretta.nats.hubAccounts" -}}
{{- $root := .root -}}
{{- $made := .hub -}}
{{- $accounts := dict -}}
{{- $imports := list -}}
{{- $ofLeaves := list -}}
{{- range $import := $made.hub.imports -}}
{{- if contains "{leaf}" (toRawJson $import) -}}{{- $ofLeaves = append $ofLeaves $import -}}{{- else -}}{{- $imports = append $imports $import -}}{{- end -}}
{{- end -}}
{{- range $leaf := $root.Values.nats.hub.leaves -}}
{{- $name := first $leaf.sites -}}
{{- $given := dict "items" $ofLeaves "sites" $leaf.sites -}}
{{- $imports = concat $imports (include "moretta.nats.sites" $given | fromJson).items -}}
{{- $keys := merge (dict "leaf" $leaf.keys) $root.Values.nats.keys -}}
{{- $users := include "moretta.nats.sites" (dict "items" $made.site.users "sites" (list $name)) | fromJson -}}
{{- $expanded := list -}}
{{- range $index, $user := $users.items -}}
{{- $allowed := (index $made.site.users $index).permissions.subscribe.allow -}}
{{- $allow := (include "moretta.nats.sites" (dict "items" $allowed "sites" $leaf.sites) | fromJson).items -}}
{{- $expanded = append $expanded (merge (dict "permissions" (dict "publish" $user.permissions.publish "subscribe" (dict "allow" $allow))) $user) -}}
{{- end -}}
{{- $own := include "moretta.nats.users" (dict "root" $root "users" $expanded "keys" $keys "place" (printf "nats.hub.leaves %s, nats.keys" $name)) | fromJson -}}
{{- $exports := include "moretta.nats.sites" (dict "items" $made.site.exports "sites" $leaf.sites) | fromJson -}}
{{- $account := printf "MORETTA_SITE_%s" $name -}}
{{- $_ := set $accounts $account (dict "jetstream" $made.site.jetstream "users" $own.items "exports" $exports.items) -}}
{{- end -}}
{{- $streams := include "moretta.nats.users" (dict "root" $root "users" $made.hub.users "keys" $root.Values.nats.keys "place" "nats.keys") | fromJson -}}
{{- $_ := set $accounts "MORETTA_HUB" (merge (dict "users" $streams.items "imports" $imports) $made.hub) -}}
{{- toRawJson $accounts -}}
{{- end }}

{{/* `nats.streams` in bytes by stream, as JSON; less than a stream has by itself is a mistake. */}}
{{- define "moretta.nats.sizes" -}}
{{- $nats := .Values.nats -}}
{{- $known := (.Files.Get "files/accounts.json" | fromJson).streams -}}
{{- $sizes := dict -}}
{{- range $name, $quantity := $nats.streams -}}
{{- $stream := get $known $name -}}
{{- if or (not $stream) (and $nats.hub.enabled (not $stream.hub)) -}}
{{- $names := list -}}
{{- range $one, $is := $known -}}{{- if or $is.hub (not $nats.hub.enabled) -}}{{- $names = append $names $one -}}{{- end -}}{{- end -}}
{{- fail (printf "nats.streams.%s is no stream%s; known are %s" $name (ternary " of a hub" "" $nats.hub.enabled) (join ", " $names)) -}}
{{- end -}}
{{- $size := include "moretta.nats.bytes" (dict "name" (printf "nats.streams.%s" $name) "quantity" $quantity) | int64 -}}
{{- if lt $size (int64 $stream.bytes) -}}
{{- fail (printf "nats.streams.%s is %s, and it has %dMi by itself; set that or more, or remove it" $name $quantity (div (int64 $stream.bytes) 1048576)) -}}
{{- end -}}
{{- $_ := set $sizes $name $size -}}
{{- end -}}
{{- toRawJson $sizes -}}
{{- end }}

{{/* What these sizes take beyond the table's, of JetStream's limit `file` or `memory`: a number. Takes (dict "root" $ "storage" "file"). */}}
{{- define "moretta.nats.beyond" -}}
{{- $root := .root -}}
{{- $storage := .storage -}}
{{- $known := ($root.Files.Get "files/accounts.json" | fromJson).streams -}}
{{- $more := int64 0 -}}
{{- range $name, $size := include "moretta.nats.sizes" $root | fromJson -}}
{{- $stream := get $known $name -}}
{{- if eq $storage (ternary "file" $stream.storage $root.Values.nats.hub.enabled) -}}
{{- $more = add $more (sub (int64 $size) (int64 $stream.bytes)) -}}
{{- end -}}
{{- end -}}
{{- $more -}}
{{- end }}

{{/* The configuration without `server_name` and with a placeholder for the leaf's seed, as JSON. */}}
{{- define "moretta.nats.json" -}}
{{- $nats := .Values.nats -}}
{{- $made := .Files.Get "files/accounts.json" | fromJson -}}
{{- $config := ternary $made.hub.server $made.site $nats.hub.enabled -}}
{{- $giver := ternary $made.hub.hub (get $made.site.accounts "MORETTA") $nats.hub.enabled -}}
{{- $readers := include "moretta.nats.readers" (dict "root" $ "accounts" $config.accounts "giver" $giver) | fromJson -}}
{{- $_ := set $config "accounts" $readers.accounts -}}
{{- if $nats.hub.enabled -}}{{- $_ := set $made "hub" (merge (dict "hub" $readers.giver) $made.hub) -}}{{- else -}}{{- $_ := set $config.accounts "MORETTA" $readers.giver -}}{{- end -}}
{{- range $name, $account := $config.accounts -}}
{{- $users := include "moretta.nats.users" (dict "root" $ "users" $account.users "keys" $nats.keys "place" "nats.keys") | fromJson -}}
{{- $_ := set $account "users" $users.items -}}
{{- end -}}
{{- if $nats.hub.enabled -}}
{{- $_ := set $config "accounts" (merge (include "moretta.nats.hubAccounts" (dict "root" $ "hub" $made.hub) | fromJson) $config.accounts) -}}
{{- $room := max (int $nats.hub.room) (len $nats.hub.leaves) -}}
{{- $_ := set $config.jetstream "max_file_store" (add (mul (int64 $made.hub.each) (add1 $room)) (int64 $made.readers.file)) -}}
{{- end -}}
{{- with ternary list $nats.leaf.sites $nats.hub.enabled -}}
{{- $leaf := $made.leaf -}}
{{- $public := $leaf.accounts.MORETTA_PUBLIC -}}
{{- range $account := list $public $leaf.accounts.MORETTA_LEAF -}}
{{- range $key := list "imports" "exports" -}}
{{- with get $account $key -}}
{{- $_ := set $account $key (include "moretta.nats.sites" (dict "items" . "sites" $nats.leaf.sites) | fromJson).items -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $users := include "moretta.nats.users" (dict "root" $ "users" $public.users "keys" $nats.keys "place" "nats.keys") | fromJson -}}
{{- $_ := set $public "users" $users.items -}}
{{- $exports := include "moretta.nats.sites" (dict "items" $leaf.exports "sites" .) | fromJson -}}
{{- $_ := set $config.accounts.MORETTA "exports" (concat $config.accounts.MORETTA.exports $exports.items) -}}
{{- $_ := set $config "accounts" (merge $config.accounts $leaf.accounts) -}}
{{- $_ := set $config.jetstream "domain" (first .) -}}
{{- $_ := set $config.jetstream "max_file_store" (add (int64 $config.jetstream.max_file_store) (int64 $leaf.jetstream.max_file_store)) -}}
{{- $remote := first $leaf.leafnodes.remotes -}}
{{- $_ := set $remote "urls" $nats.leaf.hubs -}}
{{- if $nats.leaf.certificateSecret -}}
{{- $_ := set $remote "tls" (include "moretta.nats.tls" "/etc/nats-leaf-tls" | fromJson) -}}
{{- end -}}
{{- $_ := set $config "leafnodes" $leaf.leafnodes -}}
{{- end -}}
{{- $steps := include "moretta.nats.steps" . | int64 -}}
{{- range $storage := list "file" "memory" -}}
{{- $limit := printf "max_%s_store" $storage -}}
{{- $more := include "moretta.nats.beyond" (dict "root" $ "storage" $storage) | int64 -}}
{{- $more = add $more (mul (sub $steps 1) (int64 (get $made.readers $storage))) -}}
{{- if $more -}}
{{- $_ := set $config.jetstream $limit (add $more (int64 (get $config.jetstream $limit))) -}}
{{- end -}}
{{- end -}}
{{- if $nats.tls.enabled -}}
{{- $tls := include "moretta.nats.tls" "/etc/nats-tls" | fromJson -}}
{{- $_ := set $config "tls" $tls -}}
{{- if $nats.hub.enabled -}}{{- $_ := set $config.leafnodes "tls" $tls -}}{{- end -}}
{{- end -}}
{{- if eq (int $nats.replicas) 3 -}}
{{- $_ := set $config "cluster" (include "moretta.nats.cluster" . | fromJson) -}}
{{- end -}}
{{- if $nats.websocket.enabled -}}{{- $_ := set $config "websocket" (include "moretta.nats.websocket" . | fromJson) -}}{{- end -}}
{{- if $nats.websocket.enabled -}}
{{- range $account := $config.accounts -}}
{{- range $user := $account.users -}}
{{- if not $user.allowed_connection_types -}}{{- $_ := set $user "allowed_connection_types" (list "STANDARD") -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* Loopback: it tells anybody who reaches it of each passage as it is stored, with its time. The probes ask from within the pod. */ -}}
{{- $_ := set $config "http" "127.0.0.1:8222" -}}
{{- $_ := set $config "pid_file" "/var/run/nats/nats.pid" -}}
{{- $_ := set $config "lame_duck_grace_period" "5s" -}}
{{- $_ := set $config "lame_duck_duration" "30s" -}}
{{- toRawJson $config -}}
{{- end }}

{{/* What a probe runs, as JSON: the image's own wget (BusyBox) fails unless the answer is 200, and gives up before the kubelet does. */}}
{{- define "moretta.nats.probe" -}}
{{- toRawJson (list "wget" "-q" "-T" "4" "-O" "/dev/null" (printf "http://127.0.0.1:8222%s" .)) -}}
{{- end }}

{{- define "moretta.nats.cluster" -}}
{{- $name := printf "%s-nats" (include "moretta.fullname" .) -}}
{{- $routes := list -}}
{{- range $index := until 3 -}}
{{- $routes = append $routes (printf "nats://%s-%s-%d.%s-headless:6222" (include "moretta.fullname" $) (include "moretta.nats.set" $) $index $name) -}}
{{- end -}}
{{- $cluster := dict "name" $name "listen" "0.0.0.0:6222" "routes" $routes "no_advertise" true -}}
{{- if .Values.nats.tls.routesSecret -}}
{{- $_ := set $cluster "tls" (include "moretta.nats.tls" "/etc/nats-routes-tls" | fromJson) -}}
{{- end -}}
{{- toRawJson $cluster -}}
{{- end }}

{{- define "moretta.nats.websocket" -}}
{{- $websocket := dict "listen" "0.0.0.0:8443" "allowed_origins" .Values.nats.websocket.origins -}}
{{- if .Values.page.open -}}
{{- include "moretta.pageRequirements" . -}}
{{- /* The newest of its keys, so that the other one may be retired. */ -}}
{{- $_ := set $websocket "no_auth_user" (ternary "{key:page}" (first (get .Values.nats.keys "page" | default list)) .Values.identities.make) -}}
{{- end -}}
{{- if .Values.nats.tls.enabled -}}
{{- $_ := set $websocket "tls" (dict "cert_file" "/etc/nats-tls/tls.crt" "key_file" "/etc/nats-tls/tls.key") -}}
{{- else -}}
{{- $_ := set $websocket "no_tls" true -}}
{{- end -}}
{{- toRawJson $websocket -}}
{{- end }}

{{/* nats.conf: JSON, which is NATS's own language but for what comes from outside of it. */}}
{{- define "moretta.nats.conf" -}}
{{- $config := merge (dict "server_name" "{pod}") (include "moretta.nats.json" . | fromJson) -}}
{{- $text := toPrettyJson $config | replace "\\u003e" ">" | replace "\\u003c" "<" | replace "\\u0026" "&" -}}
{{- $text = regexReplaceAll "\"nkey\": \"\\{key:([a-z0-9-]+)\\}\",?" $text "include ../nats-keys/${1}.conf;" -}}
{{- $text = regexReplaceAll "\"no_auth_user\": \"\\{key:page\\}\",?" $text "include ../nats-keys/no-auth-user.conf;" -}}
{{- regexReplaceAll "\"nkey\": \"\\{seed\\}\",?" $text "include ../nats-leaf/leaf.conf;" | replace "\"{pod}\"" "$POD_NAME" -}}
{{- end }}

{{/* What only a start takes into force: all but accounts, so that keys and rights are renewed without one. */}}
{{- define "moretta.nats.startedWith" -}}
{{- omit (include "moretta.nats.json" . | fromJson) "accounts" | toRawJson | sha256sum -}}
{{- end }}
