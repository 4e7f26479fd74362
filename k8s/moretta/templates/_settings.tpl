{{/* The settings file as JSON: the values', and the site of `helm test`, if it is wanted. */}}
{{- define "moretta.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.tests.roundTrip.enabled -}}
{{- $_ := set $settings "sites" (append $settings.sites (include "moretta.selftest" . | fromYaml)) -}}
{{- end -}}
{{- toJson $settings -}}
{{- end }}

{{/* A site whose camera the pod of `helm test` is. Its windows are short; it says late that its camera is down. */}}
{{- define "moretta.selftest" -}}
id: selftest
name: helm test
profile: lab
window_s: 30
operations: {camera_down_windows: 50, no_data_windows: 50}
cameras:
  - {id: simulated, url: "http://{{ include "moretta.fullname" . }}-test:8090/simulated.mp4"}
{{- end }}
