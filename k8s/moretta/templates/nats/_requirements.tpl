{{/* What does not go together, each with what to set. */}}
{{- define "moretta.nats.requirements" -}}
{{- $nats := .Values.nats -}}
{{- $config := include "moretta.nats.json" . | fromJson -}}
{{- $name := include "moretta.fullname" . -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" $name) -}}
{{- fail (printf "names would begin with %s, and a Service's name has a-z, 0-9 and -, a letter first; set fullnameOverride to such a name" $name) -}}
{{- end -}}
{{- if regexMatch "^[^/]*[.:]" $nats.image.repository -}}
{{- fail (printf "nats.image.repository is %s, and begins with a registry; set nats.image.registry to that, and this to the rest, such as library/nats" $nats.image.repository) -}}
{{- end -}}
{{- if not (or $nats.image.registry .Values.image.registry) -}}
{{- fail "nats.image.registry is empty, and image.registry, too; set the registry that has NATS's image, such as docker.io" -}}
{{- end -}}
{{- if not (has (int $nats.replicas) (list 1 3)) -}}
{{- fail (printf "nats.replicas is %v, and of servers more than half must be there; set 1, or 3 to outlive the loss of one" $nats.replicas) -}}
{{- end -}}
{{- $known := dict -}}
{{- range $account := $config.accounts -}}
{{- range $user := $account.users -}}
{{- if and $user.nkey (hasKey $known $user.nkey) -}}
{{- fail (printf "%s is the key of two users, and NATS knows users by their keys; `moretta nats apply DIR` makes one for each: give DIR/values.yaml with -f" $user.nkey) -}}
{{- end -}}
{{- $_ := set $known (toString $user.nkey) true -}}
{{- end -}}
{{- end -}}
{{- if and (eq (int $nats.replicas) 3) (not $nats.tls.routesSecret) (not .Values.networkPolicy.enabled) -}}
{{- fail "nats.tls.routesSecret is empty, and networkPolicy.enabled is false: whoever reaches port 6222 could join as a server and read everything; set one of them" -}}
{{- end -}}
{{- if and $nats.tls.enabled (not $nats.tls.serverSecret) -}}
{{- fail "nats.tls.enabled is true, and nats.tls.serverSecret is empty; set the Secret with ca.crt, tls.crt and tls.key that the server shows" -}}
{{- end -}}
{{- if and $nats.tls.enabled (eq (int $nats.replicas) 3) (not $nats.tls.routesSecret) -}}
{{- fail "nats.tls.enabled is true, and nats.tls.routesSecret is empty, so that three servers would talk among themselves in the clear; set the Secret with ca.crt, tls.crt and tls.key for that, of an authority of its own" -}}
{{- end -}}
{{- if and $nats.websocket.enabled (not $nats.websocket.origins) -}}
{{- fail "nats.websocket.enabled is true, and nats.websocket.origins is empty; set the pages that may come, such as https://numbers.example.org" -}}
{{- end -}}
{{- include "moretta.nats.leafRequirements" . -}}
{{- $size := include "moretta.nats.bytes" (dict "name" "nats.storage.size" "quantity" $nats.storage.size) | int64 -}}
{{- $held := int64 $config.jetstream.max_file_store -}}
{{- if lt $size (mul 2 $held) -}}
{{- fail (printf "nats.storage.size is %s, and JetStream may hold %d MiB, for which files take up to twice as much; set at least %dMi" $nats.storage.size (div $held 1048576) (add1 (div (mul 2 $held) 1048576))) -}}
{{- end -}}
{{- $limit := dig "limits" "memory" "0" $nats.resources -}}
{{- $memory := include "moretta.nats.bytes" (dict "name" "nats.resources.limits.memory" "quantity" $limit) | int64 -}}
{{- $held := int64 $config.jetstream.max_memory_store -}}
{{- if lt $memory (mul 2 $held) -}}
{{- fail (printf "nats.resources.limits.memory is %s, and JetStream may hold %d MiB in it; set at least twice that, %dMi" $limit (div $held 1048576) (add1 (div (mul 2 $held) 1048576))) -}}
{{- end -}}
{{- end }}

{{- define "moretta.nats.leafRequirements" -}}
{{- $leaf := .Values.nats.leaf -}}
{{- $hub := .Values.nats.hub -}}
{{- if ne (empty $leaf.hubs) (empty $leaf.sites) -}}
{{- fail (printf "nats.leaf.%s is empty, and a leaf has hubs and sites; set both, as `moretta nats apply DIR` with `leaf` in its file writes them" (ternary "hubs" "sites" (empty $leaf.hubs))) -}}
{{- end -}}
{{- if and $leaf.sites (not $leaf.existingSecret) -}}
{{- fail "nats.leaf.existingSecret is empty; set the Secret with the leaf's seed, which `moretta nats apply DIR` with `leaf` in its file writes" -}}
{{- end -}}
{{- if and (regexMatch "(tls|wss)://" (join "," $leaf.hubs)) (not $leaf.certificateSecret) -}}
{{- fail "nats.leaf.hubs asks for TLS, and nats.leaf.certificateSecret is empty; set the Secret with ca.crt, tls.crt and tls.key for the hub" -}}
{{- end -}}
{{- if and $hub.enabled $leaf.sites -}}
{{- fail "nats.hub.enabled is true, and nats.leaf.sites is given: a server is one of them; set nats.hub.enabled: false, or remove nats.leaf" -}}
{{- end -}}
{{- $sites := list -}}
{{- range $one := $hub.leaves -}}
{{- range $site := $one.sites -}}
{{- if has $site $sites -}}{{- fail (printf "nats.hub.leaves has site %s in two leaves, of which each could write the other's windows; remove it from one" $site) -}}{{- end -}}
{{- $sites = append $sites $site -}}
{{- end -}}
{{- end -}}
{{- end }}
