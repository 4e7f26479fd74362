{{/* The beginning of every name. */}}
{{- define "moretta.fullname" -}}
{{- $made := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- .Values.fullnameOverride | default $made | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What selects the pods of this release: all of them. */}}
{{- define "moretta.releaseLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What selects one component's pods. Takes (dict "root" $ "component" "ingest"). */}}
{{- define "moretta.selectorLabels" -}}
{{ include "moretta.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of a component's objects. Takes (dict "root" $ "component" "ingest"). */}}
{{- define "moretta.labels" -}}
{{ include "moretta.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* An image of ours by its name: a service, or `cli`. Takes (dict "root" $ "name" "ingest"). */}}
{{- define "moretta.image" -}}
{{- with .root.Values.image -}}
{{- $name := ternary .repository (printf "%s-%s" .repository $.name) (eq $.name "cli") -}}
{{- $digest := get .digests $.name -}}
{{- printf "%s/%s%s" .registry $name (ternary (printf "@%s" $digest) (printf ":%s" (.tag | default $.root.Chart.AppVersion)) (not (empty $digest))) -}}
{{- end -}}
{{- end }}

{{/* Where NATS is, for clients. */}}
{{- define "moretta.natsUrl" -}}
{{- if .Values.nats.enabled -}}
{{- ternary "tls" "nats" .Values.nats.tls.enabled }}://{{ include "moretta.fullname" . }}-nats:4222
{{- else -}}
{{- .Values.nats.url -}}
{{- end -}}
{{- end }}

{{/* The Secret with a service's identity, as `moretta nats-config --kubernetes RELEASE` names it. Takes (dict "root" $ "service" "ingest"). */}}
{{- define "moretta.identitySecret" -}}
{{- (get .root.Values .service).identitySecret | default (printf "%s-identity-%s" .root.Release.Name .service) -}}
{{- end }}

{{- define "moretta.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "moretta.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* Variables that every process of ours gets, as `moretta up` sets them (services/cli/box.py). */}}
{{- define "moretta.processEnvironment" -}}
{{- range $name, $value := (.Files.Get "files/environment.yaml" | fromYaml) }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
