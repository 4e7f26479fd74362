{{/* What notify refuses across the fields of its reports, times and routes: the second part of _settings_notify.tpl. */}}

{{/* Daily reports that somebody would get never or twice. Takes (dict "notify" {...} "readers" {...} "order" ["forville"]). */}}
{{- define "moretta.reports" -}}
{{- $told := list -}}
{{- range .notify.receivers -}}{{- if .email -}}{{- $told = append $told .id -}}{{- end -}}{{- end -}}
{{- $known := dict -}}
{{- range $index, $report := .notify.reports -}}
{{- $path := printf "settings.notify.reports[%d]" $index -}}
{{- range $place, $site := $report.sites -}}
{{- include "moretta.knownName" (dict "path" (printf "%s.sites[%d]" $path $place) "what" "site" "name" $site "known" $.order) -}}
{{- end -}}
{{- range $place, $name := $report.receivers -}}
{{- $where := printf "%s.receivers[%d]" $path $place -}}
{{- if not (has $name $told) -}}
{{- fail (printf "%s: no receiver '%s' with e-mail addresses; such here: %s" $where $name (join ", " $told | default "none")) -}}
{{- end -}}
{{- $mine := (get $.readers $name | default dict).sites | default $.order -}}
{{- range $site := $.order -}}
{{- if and (has $site ($report.sites | default $.order)) (has $site $mine) -}}
{{- $key := printf "%s|%s" $site $name -}}
{{- if hasKey $known $key -}}
{{- fail (printf "%s: '%s' gets the report about '%s' by notify.reports[%v] already; name it once" $where $name $site (get $known $key)) -}}
{{- end -}}
{{- $_ := set $known $key $index -}}
{{- end -}}
{{- end -}}
{{- range $site := $report.sites -}}
{{- if not (has $site $mine) -}}{{- fail (printf "%s: '%s' is not told about the site '%s'; add it to the receiver's sites" $where $name $site) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Times that routes name. Takes settings.notify. */}}
{{- define "moretta.times" -}}
{{- include "moretta.uniqueIds" (dict "path" "settings.notify.times" "things" .times) -}}
{{- range $index, $one := .times -}}
{{- $path := printf "settings.notify.times[%d]" $index -}}
{{- if not (kindIs "invalid" $one.timezone) -}}
{{- include "moretta.timeZone" (dict "path" (printf "%s.timezone" $path) "zone" $one.timezone) -}}
{{- end -}}
{{- if and $one.start (eq $one.start ($one.end | default "")) -}}
{{- fail (printf "%s.end: %s to %s is no time, or all of it; leave out both for whole days" $path $one.start $one.end) -}}
{{- end -}}
{{- $days := $one.days | default (list "mon" "tue" "wed" "thu" "fri" "sat" "sun") -}}
{{- range $place, $dates := $one.dates -}}
{{- $last := $dates.last | default $dates.first -}}
{{- if lt $last $dates.first -}}
{{- fail (printf "%s.dates[%d].last: %s is before %s; the first day comes first" $path $place $last $dates.first) -}}
{{- end -}}
{{- $comes := false -}}
{{- range $ahead := until 7 -}}
{{- $day := dateModify (printf "+%dh" (mul 24 $ahead)) (toDate "2006-01-02 15:04" (printf "%s 12:00" $dates.first)) -}}
{{- if and (le (date "2006-01-02" $day) $last) (has (date "Mon" $day | lower) $days) -}}{{- $comes = true -}}{{- end -}}
{{- end -}}
{{- if not $comes -}}
{{- fail (printf "%s.dates[%d]: none of these days is one of days (%s); it never comes" $path $place (join ", " $days)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* One route. Takes (dict "path" "settings.notify.routes[0]" "route" {...} "readers" {...} "sites" {...} "order" [...] "notify" {...}). */}}
{{- define "moretta.route" -}}
{{- $path := .path -}}
{{- $route := .route -}}
{{- include "moretta.knownName" (dict "path" (printf "%s.receiver" $path) "what" "receiver" "name" $route.receiver "known" (keys .readers)) -}}
{{- $reader := get .readers $route.receiver | default dict -}}
{{- range $place, $name := $route.sites -}}
{{- include "moretta.knownName" (dict "path" (printf "%s.sites[%d]" $path $place) "what" "site" "name" $name "known" $.order) -}}
{{- if and $reader.sites (not (has $name $reader.sites)) -}}
{{- fail (printf "%s.sites[%d]: the receiver '%s' is for other sites: %s; add '%s' there" $path $place $reader.id (join ", " $reader.sites) $name) -}}
{{- end -}}
{{- end -}}
{{- $zones := list "_site" -}}
{{- $rules := list -}}
{{- range $name := $route.sites | default $reader.sites | default .order -}}
{{- with get $.sites $name -}}
{{- range .zones -}}{{- $zones = append $zones .id -}}{{- end -}}
{{- range .rules -}}{{- $rules = append $rules .id -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $place, $name := $route.zones -}}
{{- include "moretta.knownName" (dict "path" (printf "%s.zones[%d]" $path $place) "what" "zone" "name" $name "known" $zones) -}}
{{- end -}}
{{- $kinds := list "camera-down" "no-data" -}}
{{- $audience := $route.audience | default $reader.audience | default "field" -}}
{{- range $place, $name := $route.rules -}}
{{- $at := printf "%s.rules[%d]" $path $place -}}
{{- include "moretta.knownName" (dict "path" $at "what" "rule" "name" $name "known" (concat $rules $kinds)) -}}
{{- if and (eq $audience "field") (not (has $name $rules)) -}}
{{- fail (printf "%s: '%s' is about the system itself, which is not for field staff; say audience: operators" $at $name) -}}
{{- end -}}
{{- if and (eq $audience "operators") (not (has $name $kinds)) -}}
{{- fail (printf "%s: '%s' is about rates, which is not for operators; say audience: field" $at $name) -}}
{{- end -}}
{{- end -}}
{{- $times := list -}}{{- range .notify.times -}}{{- $times = append $times .id -}}{{- end -}}
{{- range $field := list "active_times" "mute_times" -}}
{{- range $place, $name := get $route $field | default list -}}
{{- include "moretta.knownName" (dict "path" (printf "%s.%s[%d]" $path $field $place) "what" "time" "name" $name "known" $times) -}}
{{- end -}}
{{- end -}}
{{- $repeat := float64 ($route.repeat_interval_s | default 14400) -}}
{{- $group := float64 ($route.group_interval_s | default 300) -}}
{{- if lt $repeat $group -}}
{{- fail (printf "%s.repeat_interval_s: %v s is less than group_interval_s %v s; it may not be less" $path $repeat $group) -}}
{{- end -}}
{{- end }}

{{/* "yes" if a route matches all that another does. Takes (dict "wide" {...} "narrow" {...} "readers" {...}). */}}
{{- define "moretta.takesAll" -}}
{{- $one := get .readers .wide.receiver | default dict -}}
{{- $other := get .readers .narrow.receiver | default dict -}}
{{- $all := eq (.wide.audience | default $one.audience | default "field") (.narrow.audience | default $other.audience | default "field") -}}
{{- range $field := list "sites" "zones" "rules" "severities" -}}
{{- $wide := get $.wide $field -}}
{{- $narrow := get $.narrow $field -}}
{{- if eq $field "sites" -}}{{- $wide = $wide | default $one.sites -}}{{- $narrow = $narrow | default $other.sites -}}{{- end -}}
{{- range $name := ternary ($narrow | default (list "")) list (not (empty $wide)) -}}
{{- if not (has $name $wide) -}}{{- $all = false -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- ternary "yes" "" $all -}}
{{- end }}

{{/* A route that an earlier one hides. Takes (dict "index" 1 "route" {...} "readers" {...} "notify" {...}). */}}
{{- define "moretta.outOfReach" -}}
{{- range $earlier, $other := slice .notify.routes 0 .index -}}
{{- $is_same := eq $other.receiver $.route.receiver -}}
{{- $hides := include "moretta.takesAll" (dict "wide" $other "narrow" $.route "readers" $.readers) -}}
{{- if and $hides (or $is_same (not (get $other "continue"))) -}}
{{- $goOn := printf "say continue: true in routes[%d]" $earlier -}}
{{- $cure := printf "both match the same; %s" (ternary "leave one of them out" $goOn $is_same) -}}
{{- if not (include "moretta.takesAll" (dict "wide" $.route "narrow" $other "readers" $.readers)) -}}
{{- $cure = printf "it matches all that routes[%d] does, and comes first; move routes[%d] up, before routes[%d]%s" $.index $.index $earlier (ternary "" (printf ", or %s" $goOn) $is_same) -}}
{{- end -}}
{{- fail (printf "settings.notify.routes[%d]: routes[%d] ('%s') hides it: %s" $.index $earlier $other.receiver $cure) -}}
{{- end -}}
{{- end -}}
{{- end }}
