{{/* What only Kubernetes would refuse, or nobody would: each with what to set. */}}
{{- define "moretta.valueRequirements" -}}
{{- $values := .Values -}}
{{- range $name, $one := dict "ingest" $values.ingest "inference" $values.inference "aggregate" $values.aggregate "notify" $values.notify "whip" $values.whip "nats" $values.nats "tests" $values.tests "tryout" $values.tryout "toolbox" $values.toolbox -}}
{{- include "moretta.resourceRequirements" (dict "path" (printf "%s.resources" $name) "resources" $one.resources) -}}
{{- end -}}
{{- range $path := include "moretta.secretFields" . | fromJsonArray -}}
{{- $name := include "moretta.valueAt" (dict "path" $path "values" $values) -}}
{{- if not (regexMatch "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$" $name) -}}
{{- fail (printf "%s is %s, and a Secret's name has a-z, 0-9, - and . alone; set the name of the Secret" $path $name) -}}
{{- end -}}
{{- end -}}
{{- range $whom := list "cameras" "relays" -}}
{{- $one := get $values.networkPolicy $whom -}}
{{- range $index, $network := $one.cidrs -}}
{{- if not (regexMatch "^((25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})([.](25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})){3}/([0-9]|[12][0-9]|3[0-2])|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*/([0-9]{1,2}|1[01][0-9]|12[0-8]))$" $network) -}}
{{- fail (printf "networkPolicy.%s.cidrs[%d] is %s, which is no network; set one with its mask, such as 10.20.0.0/16, or 10.20.0.5/32 for one machine" $whom $index $network) -}}
{{- end -}}
{{- end -}}
{{- if and $values.networkPolicy.enabled $one.cidrs (not $one.ports) -}}
{{- fail (printf "networkPolicy.%s.ports is empty, which would allow all of them; set the TCP ports, such as [443]" $whom) -}}
{{- end -}}
{{- end -}}
{{- if and $values.nats.release (ne $values.nats.release .Release.Name) -}}
{{- fail (printf "nats.keys are those of release %s, and this one is %s, whose Secrets would be missing; give DIR/values.yaml of `moretta nats apply DIR` with `kubernetes: {release: %s}` in its file, by -f" $values.nats.release .Release.Name .Release.Name) -}}
{{- end -}}
{{- end }}

{{/* Which values name a Secret, as JSON. */}}
{{- define "moretta.secretFields" -}}
{{- toJson (list "ingest.existingSecret" "ingest.identitySecret" "inference.identitySecret" "aggregate.identitySecret" "notify.existingSecret" "notify.identitySecret" "nats.tls.clientSecret" "nats.tls.serverSecret" "nats.tls.routesSecret" "nats.leaf.existingSecret" "nats.leaf.certificateSecret" "page.ingress.tlsSecret" "tracing.existingSecret" "tests.identitySecret") -}}
{{- end }}

{{/* A value as text. Takes (dict "path" "nats.tls.clientSecret" "values" .Values). */}}
{{- define "moretta.valueAt" -}}
{{- $found := .values -}}
{{- range $key := splitList "." .path -}}{{- $found = get ($found | default dict) $key -}}{{- end -}}
{{- $found | default "" -}}
{{- end }}

{{/* Takes (dict "path" "ingest.resources" "resources" {...}). */}}
{{- define "moretta.resourceRequirements" -}}
{{- $requests := (.resources | default dict).requests | default dict -}}
{{- range $kind, $amounts := .resources -}}
{{- if not (has $kind (list "requests" "limits" "claims")) -}}
{{- fail (printf "%s.%s is unknown; known are requests, limits and claims" $.path $kind) -}}
{{- end -}}
{{- range $name, $amount := (ternary dict $amounts (eq $kind "claims")) -}}
{{- $path := printf "%s.%s.%s" $.path $kind $name -}}
{{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$" $name) -}}
{{- fail (printf "%s is unknown; known are cpu, memory, ephemeral-storage, and what a device plugin names" $path) -}}
{{- end -}}
{{- $asked := get $requests $name -}}
{{- $most := include "moretta.quantity" (dict "path" $path "quantity" $amount) | float64 -}}
{{- if and (eq $kind "limits") (not (kindIs "invalid" $amount)) $asked -}}
{{- if lt $most (include "moretta.quantity" (dict "path" (printf "%s.requests.%s" $.path $name) "quantity" $asked) | float64) -}}
{{- fail (printf "%s is %v, less than what is asked for in requests, %v; set it higher, or the other lower" $path $amount $asked) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A quantity as a number. Takes (dict "path" "ingest.resources.limits.memory" "quantity" "1Gi"). */}}
{{- define "moretta.quantity" -}}
{{- $units := dict "" 1.0 "n" 0.000000001 "u" 0.000001 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $text := toString (ternary 0 .quantity (kindIs "invalid" .quantity)) -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?([eE][+]?[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- if or (empty $number) (not (hasKey $units $unit)) -}}
{{- fail (printf "%s is %s, which is no quantity; set one such as 500m or 1Gi" .path $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit) -}}
{{- end }}

{{/* What all pods of the release ask for, as JSON: processors and GiB of memory. */}}
{{- define "moretta.requested" -}}
{{- $cpu := 0.0 -}}
{{- $memory := 0.0 -}}
{{- $parts := list -}}
{{- range $name, $one := include "moretta.components" . | fromJson -}}
{{- $parts = append $parts (dict "path" $name "replicas" (ternary 1 (int (dig "replicas" 1 $one.values)) (eq $name "whip")) "requests" (dig "resources" "requests" dict $one.values)) -}}
{{- end -}}
{{- with .Values.nats -}}
{{- if .enabled -}}
{{- $reloader := include "moretta.nats.reloaderResources" . | fromYaml -}}
{{- $parts = append $parts (dict "path" "nats" "replicas" (int .replicas) "requests" (dig "requests" dict .resources)) -}}
{{- $parts = append $parts (dict "path" "nats reloader" "replicas" (int .replicas) "requests" $reloader.requests) -}}
{{- end -}}
{{- end -}}
{{- if .Values.tryout.enabled -}}{{- $parts = append $parts (dict "path" "tryout" "replicas" 1 "requests" (dig "requests" dict .Values.tryout.resources)) -}}{{- end -}}
{{- if .Values.toolbox.enabled -}}{{- $parts = append $parts (dict "path" "toolbox" "replicas" 1 "requests" (dig "requests" dict .Values.toolbox.resources)) -}}{{- end -}}
{{- range $parts -}}
{{- $cpu = addf $cpu (mulf (float64 .replicas) (include "moretta.quantity" (dict "path" (printf "%s.resources.requests.cpu" .path) "quantity" (get .requests "cpu" | default "0")) | float64)) -}}
{{- $memory = addf $memory (mulf (float64 .replicas) (include "moretta.quantity" (dict "path" (printf "%s.resources.requests.memory" .path) "quantity" (get .requests "memory" | default "0")) | float64)) -}}
{{- end -}}
{{- toJson (dict "cpu" (round $cpu 2) "memory" (round (divf $memory 1073741824.0) 2)) -}}
{{- end }}

{{/* Keys that are made in the cluster: whose, and what can't be made there. */}}
{{- define "moretta.identitiesRequirements" -}}
{{- if .Values.identities.make -}}
{{- if not .Values.nats.enabled -}}
{{- fail "identities.make is true, and nats.enabled is false: no server would know these keys; set identities.make: false, and give that server the configuration of `moretta nats apply`" -}}
{{- end -}}
{{- if .Values.nats.keys -}}
{{- fail "identities.make is true, and nats.keys is given, too; set identities.make: false, or leave out DIR/values.yaml of `moretta nats apply DIR`" -}}
{{- end -}}
{{- if or .Values.nats.leaf.sites .Values.nats.hub.enabled -}}
{{- fail "identities.make is true, and nats.leaf or nats.hub is set: a leaf and its hub know each other's keys; set identities.make: false, and make them by `moretta nats apply`" -}}
{{- end -}}
{{- range $name := list "ingest" "inference" "aggregate" "notify" "tests" -}}
{{- if (get $.Values $name).identitySecret -}}
{{- fail (printf "%s.identitySecret is given, and identities.make is true; remove one of them" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The try-out: what it leads to. */}}
{{- define "moretta.tryoutRequirements" -}}
{{- if .Values.tryout.enabled -}}
{{- if not (and .Values.page.enabled .Values.nats.enabled .Values.nats.websocket.enabled) -}}
{{- fail "tryout.enabled is true, and page.enabled, nats.enabled or nats.websocket.enabled is false, so that it shows nothing; give k8s/tryout-values.yaml with -f, or set tryout.enabled: false" -}}
{{- end -}}
{{- if or .Values.settings.sites .Values.settings.notify -}}
{{- fail "tryout.enabled is true, and settings.sites or settings.notify is given: simulated alerts would reach real people, and real numbers a page without a key; set tryout.enabled: false" -}}
{{- end -}}
{{- if .Values.nats.tls.enabled -}}
{{- fail "tryout.enabled is true, and nats.tls.enabled, too: its one port for page and websocket speaks no TLS to NATS; set tryout.enabled: false" -}}
{{- end -}}
{{- if include "moretta.isHub" . -}}
{{- fail "tryout.enabled is true, and nats.hub.enabled, too: a hub is NATS alone; set one of them to false" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The page: who serves it, who fetches it, and where its numbers come from. */}}
{{- define "moretta.pageRequirements" -}}
{{- $page := .Values.page -}}
{{- if hasKey (.Values.settings.aggregate | default dict) "page" -}}
{{- fail "settings.aggregate.page is given, and the chart sets that itself; remove it, and set page.enabled" -}}
{{- end -}}
{{- if and $page.open (not $page.enabled) -}}
{{- fail "page.open is true, and page.enabled is false: NATS would ask for no key, for a page that nobody serves; set page.enabled: true, or page.open: false" -}}
{{- end -}}
{{- if $page.enabled -}}
{{- if include "moretta.isHub" . -}}
{{- fail "page.enabled is true, and nats.hub.enabled, too: a hub has no aggregate, which serves the page; set page.enabled: false" -}}
{{- end -}}
{{- if and .Values.nats.enabled (not .Values.nats.websocket.enabled) -}}
{{- fail "page.enabled is true, and nats.websocket.enabled is false, so that the page gets no numbers; set nats.websocket.enabled: true, and nats.websocket.origins" -}}
{{- end -}}
{{- if not $page.websocket -}}
{{- fail "page.websocket is empty; set where browsers find NATS, such as wss://masks.example.org, or a path of the page's own address, such as /nats" -}}
{{- end -}}
{{- if eq (int $page.port) 8080 -}}
{{- fail "page.port is 8080, where the same pods have their probes; set another one, as 8088 is" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.page) -}}
{{- fail "networkPolicy.page is empty, so that nobody fetches the page; set who may, such as the ingress controller" -}}
{{- end -}}
{{- end -}}
{{- end }}
