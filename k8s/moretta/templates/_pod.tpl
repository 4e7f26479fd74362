{{/* Variables by which a service finds NATS and its own identity. Takes (dict "root" $ "service" "ingest"). */}}
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

{{/* A Secret as a volume that only our own group may read. Takes (dict "name" "identity" "secret" "x"). */}}
{{- define "moretta.secretVolume" -}}
- name: {{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}

{{/*
The pod of a service, metadata and spec. Takes
(dict "root" $ "service" "ingest" "component" "ingest" "values" .Values.ingest "spec" (dict of more fields of the spec)).
*/}}
{{- define "moretta.pod" -}}
{{- $root := .root -}}
{{- $started := pick $root.Values.settings "log" "tracing" .service }}
{{- if eq .service "notify" }}{{ $started = omit $started "notify" }}{{ end }}
metadata:
  labels: {{- include "moretta.selectorLabels" . | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .service }}
    # What is read at start only: sites, rules and receivers reload in place.
    checksum/started-with: {{ toJson $started | sha256sum }}
    {{- with .values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "moretta.fullname" $root }}-{{ .component }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 60
  securityContext: {{- include "moretta.podSecurityContext" . | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "moretta.selectorLabels" . | nindent 10 }}
  containers:
    - name: {{ .service }}
      image: {{ include "moretta.image" (dict "root" $root "name" .service) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [/opt/moretta/bin/python, -P, -m, services.{{ .service }}, -c, /etc/moretta/settings/settings.yaml]
      env:
        {{- include "moretta.processEnvironment" $root | nindent 8 }}
        - {name: MORETTA_PROBES__HOST, value: 0.0.0.0}
        - {name: MORETTA_PROBES__PORT, value: "8080"}
        {{- include "moretta.identityEnvironment" . | nindent 8 }}
      ports:
        - {name: http, containerPort: 8080}
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
      resources: {{- toYaml .values.resources | nindent 8 }}
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
  volumes:
    - name: settings
      configMap: {name: {{ include "moretta.fullname" $root }}-settings}
    {{- include "moretta.secretVolume" (dict "name" "identity" "secret" (include "moretta.identitySecret" .)) | nindent 4 }}
    {{- with .values.existingSecret }}
    {{- include "moretta.secretVolume" (dict "name" "secrets" "secret" .) | nindent 4 }}
    {{- end }}
    {{- if $root.Values.nats.tls.enabled }}
    {{- include "moretta.secretVolume" (dict "name" "certificates" "secret" $root.Values.nats.tls.clientSecret) | nindent 4 }}
    {{- end }}
{{- end }}
