{{/* What no single value shows: each rule says what to set. */}}
{{- define "moretta.nats.requirements" -}}
{{- $nats := .Values.nats -}}
{{- $config := include "moretta.nats.json" . | fromJson -}}
{{- if not (has (int $nats.replicas) (list 1 3)) -}}
{{- fail (printf "nats.replicas: %v servers are no use, since more than half must be there; set 1, or 3 to outlive the loss of one" $nats.replicas) -}}
{{- end -}}
{{- if and (eq (int $nats.replicas) 3) (not $nats.tls.routesSecret) (not .Values.networkPolicy.enabled) -}}
{{- fail "nats.tls.routesSecret: is missing, and networkPolicy.enabled is false: whoever reaches port 6222 could join as a server and read everything; set one of them" -}}
{{- end -}}
{{- if and $nats.tls.enabled (not $nats.tls.serverSecret) -}}
{{- fail "nats.tls.serverSecret: is missing; with nats.tls.enabled name the Secret with ca.crt, tls.crt and tls.key of the server" -}}
{{- end -}}
{{- if and $nats.websocket.enabled (not $nats.websocket.origins) -}}
{{- fail "nats.websocket.origins: is empty; name the pages that may come, such as https://numbers.example.org" -}}
{{- end -}}
{{- include "moretta.nats.leafRequirements" . -}}
{{- $size := include "moretta.nats.bytes" (dict "name" "nats.storage.size" "quantity" $nats.storage.size) | int64 -}}
{{- $held := int64 $config.jetstream.max_file_store -}}
{{- if lt $size (mul 2 $held) -}}
{{- fail (printf "nats.storage.size: %s is too little: JetStream may hold %d MiB, and files take up to twice what is in them; set at least %dMi" $nats.storage.size (div $held 1048576) (add1 (div (mul 2 $held) 1048576))) -}}
{{- end -}}
{{- $memory := include "moretta.nats.bytes" (dict "name" "nats.resources.limits.memory" "quantity" ($nats.resources.limits.memory | default "0")) | int64 -}}
{{- $held := int64 $config.jetstream.max_memory_store -}}
{{- if lt $memory (mul 2 $held) -}}
{{- fail (printf "nats.resources.limits.memory: must be set, to at least %dMi: twice what JetStream may hold in memory" (add1 (div (mul 2 $held) 1048576))) -}}
{{- end -}}
{{- end }}

{{- define "moretta.nats.leafRequirements" -}}
{{- $leaf := .Values.nats.leaf -}}
{{- $hub := .Values.nats.hub -}}
{{- if ne (empty $leaf.hubs) (empty $leaf.sites) -}}
{{- fail (printf "nats.leaf.%s: is missing; `moretta nats-config --kubernetes --leaf URL --site ID` writes hubs and sites" (ternary "hubs" "sites" (empty $leaf.hubs))) -}}
{{- end -}}
{{- if and $leaf.sites (not $leaf.existingSecret) -}}
{{- fail "nats.leaf.existingSecret: is missing; name the Secret with the leaf's seed, which `moretta nats-config --kubernetes --leaf URL` writes" -}}
{{- end -}}
{{- if and (contains "tls://" (join "," $leaf.hubs)) (not $leaf.certificateSecret) -}}
{{- fail "nats.leaf.certificateSecret: is missing; at tls:// name the Secret with ca.crt, tls.crt and tls.key" -}}
{{- end -}}
{{- if and $hub.enabled $leaf.sites -}}
{{- fail "nats.hub.enabled: a server is a hub or a leaf; take nats.leaf out, or set it to false" -}}
{{- end -}}
{{- $sites := list -}}
{{- range $one := $hub.leaves -}}
{{- range $site := $one.sites -}}
{{- if has $site $sites -}}{{- fail (printf "nats.hub.leaves: site %s belongs to two leaves; give each its own" $site) -}}{{- end -}}
{{- $sites = append $sites $site -}}
{{- end -}}
{{- end -}}
{{- end }}
