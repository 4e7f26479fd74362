{{/* The settings file as JSON: the values' settings, and the try-out's site and mail server, if they are wanted. */}}
{{- define "moretta.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.tryout.enabled -}}
{{- $tryout := include "moretta.tryoutSettings" . | fromYaml -}}
{{- $settings = merge $tryout $settings -}}
{{- end -}}
{{- toJson $settings -}}
{{- end }}

{{/* The same with the site of `helm test`, as JSON. */}}
{{- define "moretta.settingsWithSelftest" -}}
{{- $settings := include "moretta.settings" . | fromJson -}}
{{- toJson (set $settings "sites" (append $settings.sites (include "moretta.selftest" . | fromYaml))) -}}
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

{{/* The try-out: a market with two simulated cameras, and a mail server that prints its mails (testbed/tryout). */}}
{{- define "moretta.tryoutSettings" -}}
{{- $host := printf "%s-tryout" (include "moretta.fullname" .) -}}
sites:
  - id: market
    name: Simulated market
    profile: lab
    window_s: 60
    lateness_s: 3
    zones: [{id: gate, name: Gate}, {id: hall, name: Market hall}]
    cameras:
      - {id: gate, zone: gate, url: "rtsp://{{ $host }}:8554/gate"}
      - {id: hall, zone: hall, url: "http://{{ $host }}:8090/hall.mjpeg"}
    rules:
      - {id: few-masks, name: Few masks, action: Hand out masks at the gate., zone: _site, fire_below: 0.75, clear_above: 0.8, for_windows: 1, min_persons: 5}
notify:
  smtp: {host: "{{ $host }}", port: 2525, security: none, sender: moretta@market.example}
  receivers: [{id: field-staff, email: [field-staff@market.example], sites: [market]}]
  routes: [{receiver: field-staff, group_wait_s: 0}]
{{- end }}
