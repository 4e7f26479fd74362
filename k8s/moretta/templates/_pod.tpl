{{/* Variables that every process of ours gets, whatever it runs. */}}
{{- define "moretta.processEnvironment" -}}
{{- range $name, $value := .Files.Get "files/environment.yaml" | fromYaml }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/*
Variables by which somebody finds NATS and the own identity, as `moretta nats apply` writes them. Takes (dict "root" $ "service" "ingest"):
a service, or `operator`.
*/}}
{{- define "moretta.identityEnvironment" -}}
{{- $peers := dict "ingest" "inference" "inference" "ingest" -}}
- {name: MORETTA_NATS__URL, value: {{ include "moretta.natsUrl" .root | quote }}}
- {name: MORETTA_NATS__REPLICAS, value: {{ .root.Values.nats.replicas | quote }}}
- {name: MORETTA_NATS__USER, value: {{ .service }}}
- {name: MORETTA_NATS__SEED_FILE, value: /etc/moretta/identity/{{ .service }}.nk}
{{- with get $peers .service }}
- {name: MORETTA_NATS__FRAMES_USER, value: {{ $.service }}-frames}
- {name: MORETTA_NATS__FRAMES_SEED_FILE, value: /etc/moretta/identity/{{ $.service }}-frames.nk}
- {name: MORETTA_SEALING__SIGNING_KEY_FILE, value: /etc/moretta/identity/{{ $.service }}.key}
- {name: MORETTA_SEALING__VERIFY_KEY_FILE, value: /etc/moretta/identity/{{ . }}.pub}
{{- end }}
{{- if .root.Values.nats.tls.enabled }}
- {name: MORETTA_NATS__CA_FILE, value: /etc/moretta/certificates/ca.crt}
- {name: MORETTA_NATS__CLIENT_CERT_FILE, value: /etc/moretta/certificates/tls.crt}
- {name: MORETTA_NATS__CLIENT_KEY_FILE, value: /etc/moretta/certificates/tls.key}
{{- end }}
{{- end }}

{{/* Variables of one component's pods beyond these. */}}
{{- define "moretta.ownEnvironment" -}}
{{- if eq .component "whip" }}
# On the node's network: at its own address, not at all of them.
- {name: MORETTA_PROBES__HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
- {name: MORETTA_PROBES__PORT, value: {{ .values.probesPort | quote }}}
{{- else }}
- {name: MORETTA_PROBES__HOST, value: 0.0.0.0}
- {name: MORETTA_PROBES__PORT, value: "8080"}
{{- end }}
{{- if and (eq .component "ingest") .root.Values.whip.enabled }}
# Peers come to the one on the node's network; of this one's web server nobody hears.
- {name: MORETTA_INGEST__WEB__HOST, value: 127.0.0.1}
{{- end }}
{{- if eq .component "aggregate" }}
{{- range $name, $size := include "moretta.nats.sizes" .root | fromJson }}
- {name: MORETTA_NATS__STREAMS__{{ $name }}, value: {{ int64 $size | quote }}}
{{- end }}
{{- end }}
{{- if and (eq .component "aggregate") .root.Values.page.enabled }}
- {name: MORETTA_AGGREGATE__PAGE__HOST, value: 0.0.0.0}
- {name: MORETTA_AGGREGATE__PAGE__PORT, value: {{ .root.Values.page.port | quote }}}
- {name: MORETTA_AGGREGATE__PAGE__SERVER, value: {{ .root.Values.page.websocket | quote }}}
- {name: MORETTA_AGGREGATE__PAGE__ASK_KEY, value: {{ not .root.Values.page.open | quote }}}
{{- with .root.Values.page.cameras }}
- {name: MORETTA_AGGREGATE__PAGE__CAMERAS, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- if and (eq .service "ingest") .values.gpu.count }}
- {name: NVIDIA_DRIVER_CAPABILITIES, value: "compute,video"}
{{- end }}
{{- if .root.Values.tracing.enabled }}
- {name: MORETTA_TRACING__ENDPOINT, value: {{ .root.Values.tracing.endpoint | quote }}}
- {name: MORETTA_TRACING__RATIO, value: {{ .root.Values.tracing.ratio | quote }}}
{{- if .root.Values.tracing.existingSecret }}
- {name: MORETTA_TRACING__TOKEN_FILE, value: /etc/moretta/tracing/token}
{{- end }}
{{- end }}
{{- end }}

{{/* A Secret as a volume that our own user may read. Takes (dict "name" "identity" "secret" "x"). */}}
{{- define "moretta.secretVolume" -}}
- name: {{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}

{{/* A service's pod, metadata and spec. Takes (dict "root" $ "component" "ingest" "service" "ingest" "values" .Values.ingest). */}}
{{- define "moretta.pod" -}}
{{- $root := .root }}
{{- $secret := .values.identitySecret | default (printf "%s-identity-%s" $root.Release.Name .service) }}
{{- $started := pick $root.Values.settings "log" (ternary "" .service (eq .service "notify")) -}}
metadata:
  labels: {{- include "moretta.podLabels" (dict "root" $root "component" .component "labels" .values.podLabels) | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .service }}
    # Of what is read at start only: sites, rules and receivers are taken into force by the pods that run.
    moretta/started-with: {{ toJson $started | sha256sum }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "moretta.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # More than stopping can take at most: services/kernel/app.py, and its test.
  terminationGracePeriodSeconds: 60
  {{- if eq .component "whip" }}
  hostNetwork: true
  {{- end }}
  {{- with include "moretta.dns" . }}{{ trim . | nindent 2 }}{{ end }}
  securityContext: {{- include "moretta.podSecurityContext" . | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with dig "gpu" "runtimeClassName" "" .values }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with include "moretta.placement" .values }}{{ trim . | nindent 2 }}{{ end }}
  {{- if ne .component "whip" }}
  topologySpreadConstraints:
    {{- with .values.topologySpreadConstraints }}{{ toYaml . | nindent 4 }}{{ else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels: {{- include "moretta.selectorLabels" . | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with include "moretta.initContainers" .values }}{{ trim . | nindent 2 }}{{ end }}
  containers:
    - name: {{ .service }}
      image: {{ include "moretta.image" (dict "root" $root "name" .service) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [/opt/moretta/bin/python, -P, -m, services.{{ .service }}, -c, /etc/moretta/settings/settings.yaml]
      env:
        {{- include "moretta.processEnvironment" $root | trim | nindent 8 }}
        {{- include "moretta.identityEnvironment" . | nindent 8 }}
        {{- include "moretta.ownEnvironment" . | trim | nindent 8 }}
        {{- with .values.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - {name: http, containerPort: {{ .values.probesPort | default 8080 }}}
        {{- if eq .component "whip" }}
        - {name: whip, containerPort: {{ include "moretta.webPort" $root }}}
        {{- end }}
        {{- if and (eq .service "notify") (include "moretta.reportsPort" $root) }}
        - {name: reports, containerPort: {{ include "moretta.reportsPort" $root }}}
        {{- end }}
        {{- if and (eq .component "aggregate") $root.Values.page.enabled }}
        - {name: page, containerPort: {{ $root.Values.page.port }}}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
      resources: {{- include "moretta.resources" .values | nindent 8 }}
      securityContext: {{- include "moretta.securityContext" . | nindent 8 }}
      volumeMounts:
        - {name: settings, mountPath: /etc/moretta/settings, readOnly: true}
        - {name: identity, mountPath: /etc/moretta/identity, readOnly: true}
        {{- if .values.existingSecret }}
        - {name: secrets, mountPath: /etc/moretta/secrets, readOnly: true}
        {{- end }}
        {{- if $root.Values.nats.tls.enabled }}
        - {name: certificates, mountPath: /etc/moretta/certificates, readOnly: true}
        {{- end }}
        {{- if and $root.Values.tracing.enabled $root.Values.tracing.existingSecret }}
        - {name: tracing, mountPath: /etc/moretta/tracing, readOnly: true}
        {{- end }}
        {{- if eq .service "notify" }}
        - {name: tmp, mountPath: /tmp}
        {{- end }}
        {{- with include "moretta.extraVolumeMounts" .values }}{{ trim . | nindent 8 }}{{ end }}
  volumes:
    - name: settings
      configMap: {name: {{ include "moretta.fullname" $root }}-settings}
    {{- include "moretta.secretVolume" (dict "name" "identity" "secret" $secret) | nindent 4 }}
    {{- with .values.existingSecret }}
    {{- include "moretta.secretVolume" (dict "name" "secrets" "secret" .) | nindent 4 }}
    {{- end }}
    {{- if $root.Values.nats.tls.enabled }}
    {{- include "moretta.secretVolume" (dict "name" "certificates" "secret" $root.Values.nats.tls.clientSecret) | nindent 4 }}
    {{- end }}
    {{- if and $root.Values.tracing.enabled $root.Values.tracing.existingSecret }}
    {{- include "moretta.secretVolume" (dict "name" "tracing" "secret" $root.Values.tracing.existingSecret) | nindent 4 }}
    {{- end }}
    {{- if eq .service "notify" }}
    # matplotlib, which draws the charts of mails, wants a folder of its own. The others write no file.
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
    {{- end }}
    {{- with .values.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{/* A container's resources, with the graphics cards that its values ask for. */}}
{{- define "moretta.resources" -}}
{{- $resources := deepCopy .resources }}
{{- if dig "gpu" "count" 0 . }}
{{- $card := dict .gpu.resource .gpu.count }}
{{- $resources = mergeOverwrite $resources (dict "limits" $card) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{/* The port of the camera page and of WHIP. */}}
{{- define "moretta.webPort" -}}
{{ ((.Values.settings.ingest | default dict).web | default dict).port | default 8443 }}
{{- end }}

{{/* The port at which notify takes delivery reports; empty where it takes none. */}}
{{- define "moretta.reportsPort" -}}
{{- with ((.Values.settings.notify | default dict).sms | default dict).reports }}{{ .port | default 8463 }}{{ end }}
{{- end }}
