{{/* Variables of `extraEnv`: none that the chart sets itself, none twice, and no secret in the clear. */}}
{{- define "moretta.extraEnvRequirements" -}}
{{- $instead := dict "MORETTA_NATS__" "nats.url, nats.tls, nats.replicas or nats.streams" "MORETTA_SEALING__" "identitySecret of ingest and inference" "MORETTA_PROBES__" "whip.probesPort, or nothing: probes are on port 8080 of each other pod" "MORETTA_TRACING__" "tracing.endpoint, tracing.ratio or tracing.existingSecret" "MORETTA_AGGREGATE__PAGE__" "page.enabled and what is beside it" "MORETTA_INGEST__WEB__" "settings.ingest.web" "MORETTA_NOTIFY__SMS__REPORTS__" "settings.notify.sms.reports" "NVIDIA_DRIVER_CAPABILITIES" "ingest.gpu.count" -}}
{{- range $name, $_ := .Files.Get "files/environment.yaml" | fromYaml -}}
{{- $_ := set $instead $name "nothing: all processes of Moretta have it alike" -}}
{{- end -}}
{{- range $service := list "ingest" "inference" "aggregate" "notify" -}}
{{- $seen := dict -}}
{{- range $one := (get $.Values $service).extraEnv -}}
{{- range $prefix, $what := $instead -}}
{{- if hasPrefix $prefix $one.name -}}
{{- fail (printf "%s.extraEnv has %s, and the chart sets that itself; remove it, and set %s" $service $one.name $what) -}}
{{- end -}}
{{- end -}}
{{- if hasKey $seen $one.name -}}
{{- fail (printf "%s.extraEnv has %s twice; remove one of them" $service $one.name) -}}
{{- end -}}
{{- $_ := set $seen $one.name true -}}
{{- if and (hasKey $one "value") (regexMatch "^MORETTA_.*_(PASSWORD|TOKEN|SALT|SECRET|SEED|KEY)$" $one.name) -}}
{{- fail (printf "%s.extraEnv has %s with its value, and values are no place for a secret; set valueFrom: {secretKeyRef: {name: SECRET, key: KEY}} instead" $service $one.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
