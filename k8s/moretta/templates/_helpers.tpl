{{/* What names begin with. The release's name is at most 53 characters long, and names in DNS 63. */}}
{{- define "moretta.fullname" -}}
{{- $made := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- .Values.fullnameOverride | default $made | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What selects all pods of this release. */}}
{{- define "moretta.releaseLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What selects one component's pods, and all the labels that they have. Takes (dict "root" $ "component" "ingest"). */}}
{{- define "moretta.selectorLabels" -}}
{{ include "moretta.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The chart's own labels of a component's objects. Takes (dict "root" $ "component" "ingest"). */}}
{{- define "moretta.ownLabels" -}}
{{ include "moretta.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* Labels beside them: an object's, over those of all. Takes (dict "root" $), and "labels". */}}
{{- define "moretta.moreLabels" -}}
{{- with mergeOverwrite (deepCopy .root.Values.commonLabels) (.labels | default dict) }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* All labels of a component's objects. Takes (dict "root" $ "component" "ingest"), and "labels" of one's own. */}}
{{- define "moretta.labels" -}}
{{ include "moretta.ownLabels" . }}
{{- with include "moretta.moreLabels" . }}
{{ . }}
{{- end }}
{{- end }}

{{/* All labels of a component's pods, of which nothing changes with the chart's version. Takes the same. */}}
{{- define "moretta.podLabels" -}}
{{ include "moretta.selectorLabels" . }}
{{- with include "moretta.moreLabels" . }}
{{ . }}
{{- end }}
{{- end }}

{{/* metadata of a component's object. Takes (dict "root" $ "component" "ingest"), "name" where that is another one, and "labels" of one's own. */}}
{{- define "moretta.metadata" -}}
metadata:
  name: {{ include "moretta.fullname" .root }}-{{ .name | default .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "moretta.labels" . | nindent 4 }}
{{- end }}

{{/* Not empty where this release is a hub: NATS alone. */}}
{{- define "moretta.isHub" -}}
{{- if and .Values.nats.enabled (dig "hub" "enabled" false .Values.nats) }}yes{{ end -}}
{{- end }}

{{/* The components whose pods run a service, each with its service and its values. */}}
{{- define "moretta.components" -}}
{{- $found := dict -}}
{{- range ternary (list "ingest" "inference" "aggregate" "notify") list (empty (include "moretta.isHub" .)) -}}
{{- $_ := set $found . (dict "service" . "values" (get $.Values .)) -}}
{{- end -}}
{{- if and $found .Values.whip.enabled -}}
{{- $values := merge (deepCopy .Values.whip) (pick .Values.ingest "existingSecret" "identitySecret" "gpu" "extraEnv" "podLabels" "serviceAccount" "podDisruptionBudget" "dnsPolicy" "dnsConfig" "hostAliases" "initContainers" "extraVolumes" "extraVolumeMounts") -}}
{{- $_ := set $found "whip" (dict "service" "ingest" "values" $values) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* An image of ours by its name: a service, or `cli`. Takes (dict "root" $ "name" "ingest"). */}}
{{- define "moretta.image" -}}
{{- with .root.Values.image -}}
{{- $name := ternary .repository (printf "%s-%s" .repository $.name) (eq $.name "cli") -}}
{{- $tag := .tag | default $.root.Chart.AppVersion -}}
{{- $which := ternary (printf "@%s" (get .digests $.name)) (printf ":%s" $tag) (hasKey .digests $.name) -}}
{{- printf "%s/%s%s" .registry $name $which | quote -}}
{{- end -}}
{{- end }}

{{/* NATS's image. */}}
{{- define "moretta.nats.image" -}}
{{- with .Values.nats.image -}}
{{- $which := ternary (printf "@%s" .digest) (printf ":%s" .tag) (not (empty .digest)) -}}
{{- printf "%s/%s%s" (.registry | default $.Values.image.registry) .repository $which -}}
{{- end -}}
{{- end }}

{{/* Where NATS is, for clients. */}}
{{- define "moretta.natsUrl" -}}
{{- if .Values.nats.enabled -}}
{{- $name := printf "%s-nats" (include "moretta.fullname" .) -}}
{{- $urls := list -}}
{{- range $index := until (int .Values.nats.replicas) -}}
{{- $host := ternary $name (printf "%s-%s-%d.%s-headless" (include "moretta.fullname" $) (include "moretta.nats.set" $) $index $name) (eq (int $.Values.nats.replicas) 1) -}}
{{- $urls = append $urls (printf "%s://%s:4222" (ternary "tls" "nats" $.Values.nats.tls.enabled) $host) -}}
{{- end -}}
{{- join "," $urls -}}
{{- else -}}
{{- .Values.nats.url -}}
{{- end -}}
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

{{/* The ServiceAccount of a component's pods. Takes (dict "root" $ "service" "ingest" "values" .Values.ingest). */}}
{{- define "moretta.serviceAccountName" -}}
{{- .values.serviceAccount.name | default (printf "%s-%s" (include "moretta.fullname" .root) .service) -}}
{{- end }}

{{/* That ServiceAccount, if it is the chart's to make. Takes the same, and "component". */}}
{{- define "moretta.serviceAccount" -}}
{{- if .values.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "moretta.serviceAccountName" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "moretta.labels" . | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{/* Where pods may run, and what they are worth: from a component's values. */}}
{{- define "moretta.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $ $key }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The port of a URL, the first of several. Takes (dict "url" "nats://a:4222" "otherwise" 4222). */}}
{{- define "moretta.portOf" -}}
{{- regexFind "[0-9]+$" (regexFind "^[^/]+//([^/?#,@]*@)?([[][^]]*[]]|[^][/?#,:]*):[0-9]+" .url) | default .otherwise -}}
{{- end }}

{{/* Every value of a tree that is no section and no list, a line each: its path, a tab, what it is. Takes (dict "path" "settings" "value" x). */}}
{{- define "moretta.leaves" -}}
{{- if kindIs "map" .value }}
{{- range $key, $part := .value }}{{ include "moretta.leaves" (dict "path" (printf "%s.%s" $.path $key) "value" $part) }}{{ end }}
{{- else if kindIs "slice" .value }}
{{- range $index, $part := .value }}{{ include "moretta.leaves" (dict "path" (printf "%s[%d]" $.path $index) "value" $part) }}{{ end }}
{{- else }}
{{- printf "%s\t%s\n" .path (toString .value | replace "\n" " ") }}
{{- end }}
{{- end }}
