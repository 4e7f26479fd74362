{{/* The path at which browsers find NATS on the page's own host, such as /nats; empty where `page.websocket` is an address. */}}
{{- define "moretta.websocketPath" -}}
{{- if not (contains "://" .Values.page.websocket) -}}{{- trimPrefix "." .Values.page.websocket -}}{{- end -}}
{{- end }}

{{/* An Ingress and an HTTPRoute of the page: what they route, and whether browsers then get numbers. */}}
{{- define "moretta.routeRequirements" -}}
{{- $page := .Values.page -}}
{{- $nats := .Values.nats -}}
{{- $ingress := $page.ingress -}}
{{- $route := $page.httpRoute -}}
{{- $hosts := dict -}}
{{- range $name, $one := dict "ingress" $ingress "httpRoute" $route -}}
{{- if and $one.enabled (not $page.enabled) -}}
{{- fail (printf "page.%s.enabled is true, and page.enabled is false, so that there is no page; set page.enabled: true" $name) -}}
{{- end -}}
{{- end -}}
{{- if $ingress.enabled -}}
{{- if not $ingress.host -}}
{{- fail "page.ingress.enabled is true, and page.ingress.host is empty; set the name at which browsers find the page, such as numbers.example.org" -}}
{{- end -}}
{{- $_ := set $hosts $ingress.host "page.ingress.host" -}}
{{- end -}}
{{- if $route.enabled -}}
{{- if not $route.parentRefs -}}
{{- fail "page.httpRoute.enabled is true, and page.httpRoute.parentRefs is empty; set the Gateway, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if not $route.hostnames -}}
{{- fail "page.httpRoute.enabled is true, and page.httpRoute.hostnames is empty; set the names at which browsers find the page, such as [numbers.example.org]" -}}
{{- end -}}
{{- range $index, $host := $route.hostnames -}}{{- $_ := set $hosts $host (printf "page.httpRoute.hostnames[%d]" $index) -}}{{- end -}}
{{- end -}}
{{- if $hosts -}}
{{- $path := include "moretta.websocketPath" . -}}
{{- if $path -}}
{{- if eq $path "/" -}}
{{- fail (printf "page.websocket is %s, where the page itself is; set another path, such as /nats" $page.websocket) -}}
{{- end -}}
{{- if not $nats.enabled -}}
{{- fail (printf "page.websocket is %s, and nats.enabled is false, so that the chart has no Service for that path; set where browsers find your NATS server, such as wss://masks.example.org" $page.websocket) -}}
{{- end -}}
{{- if $nats.tls.enabled -}}
{{- fail (printf "page.websocket is %s, and nats.tls.enabled is true, so that NATS's websocket speaks TLS, which Ingress and HTTPRoute do not speak to a backend by themselves; set page.websocket to a whole address, such as wss://masks.example.org, and route that yourself" $page.websocket) -}}
{{- end -}}
{{- end -}}
{{- if hasPrefix "ws://" $page.websocket -}}
{{- fail (printf "page.websocket is %s, which browsers do not open from a page that came by TLS; set a wss:// address, or a path such as /nats" $page.websocket) -}}
{{- end -}}
{{- range $host, $value := $hosts -}}
{{- if and (eq $host (regexReplaceAll "^wss://([^:/]*)(:443)?(/.*)?$" $page.websocket "${1}")) $nats.enabled (not $nats.tls.enabled) -}}
{{- fail (printf "page.websocket is %s, and %s is that host, of which the chart routes only the page and a path; set page.websocket to the path alone, such as /nats" $page.websocket $value) -}}
{{- end -}}
{{- $known := false -}}
{{- $origin := printf "https://%s" $host -}}
{{- range $nats.websocket.origins -}}{{- if or (eq . $origin) (hasPrefix (printf "%s:" $origin) .) -}}{{- $known = true -}}{{- end -}}{{- end -}}
{{- if and $nats.enabled (not $known) -}}
{{- fail (printf "%s is %s, and nats.websocket.origins has no %s, so that NATS lets no browser in from there; add it" $value $host $origin) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
