{{/* The settings file as JSON: the values', and the site of `helm test`, if it is wanted. */}}
{{- define "moretta.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.tests.roundTrip.enabled -}}
{{- $_ := set $settings "sites" (append $settings.sites (include "moretta.selftest" . | fromYaml)) -}}
{{- end -}}
{{- toJson $settings -}}
{{- end }}

{{/* A site whose camera a pod of `helm test` is. Its windows are short; it says late that its camera is down. */}}
{{- define "moretta.selftest" -}}
id: selftest
name: helm test
profile: lab
window_s: 30
lateness_s: 2
operations: {camera_down_windows: 50, no_data_windows: 50}
cameras:
  - {id: film, url: "http://{{ include "moretta.fullname" . }}-camera:8090/film.ts", long_side: 480}
{{- end }}
