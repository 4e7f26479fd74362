{{/*
What services refuse across the fields of `settings.sites`, in their words and in the first of their lines alone. A pod would only say
it after the upgrade. The rules are those of services/sites/problems.py, services/sites/profiles.py and services/aggregate/core/policy.py;
tests/chart/test_one_truth.py holds both against each other.
*/}}
{{- define "moretta.siteRequirements" -}}
{{- $sites := (include "moretta.settings" . | fromJson).sites -}}
{{- $profiles := .Files.Get "files/profiles.json" | fromJson -}}
{{- include "moretta.uniqueIds" (dict "path" "settings.sites" "things" $sites) -}}
{{- range $at, $site := $sites -}}
{{- $path := printf "settings.sites[%d]" $at -}}
{{- range $kind := list "cameras" "zones" "rules" -}}
{{- include "moretta.uniqueIds" (dict "path" (printf "%s.%s" $path $kind) "things" (get $site $kind | default list)) -}}
{{- end -}}
{{- include "moretta.timeZone" (dict "path" (printf "%s.timezone" $path) "zone" (ternary $site.timezone "UTC" (hasKey $site "timezone"))) -}}
{{- include "moretta.siteWindows" (dict "path" $path "site" $site) -}}
{{- include "moretta.siteTerms" (dict "path" $path "site" $site "profiles" $profiles) -}}
{{- include "moretta.restHours" (dict "path" $path "rests" $site.rests) -}}
{{- $zones := list -}}
{{- range $index, $zone := $site.zones -}}
{{- if eq $zone.id "_site" -}}
{{- fail (printf "%s.zones[%d].id: '_site' is the whole site and is always there; take another id" $path $index) -}}
{{- end -}}
{{- $zones = append $zones $zone.id -}}
{{- end -}}
{{- range $index, $camera := $site.cameras -}}
{{- $camera_path := printf "%s.cameras[%d]" $path $index -}}
{{- include "moretta.cameraPlaces" (dict "path" $camera_path "camera" $camera "zones" $zones) -}}
{{- include "moretta.cameraTimes" (dict "path" $camera_path "camera" $camera "site" $site) -}}
{{- include "moretta.cameraAddress" (dict "path" $camera_path "camera" $camera) -}}
{{- end -}}
{{- range $index, $rule := $site.rules -}}
{{- $rule_path := printf "%s.rules[%d]" $path $index -}}
{{- include "moretta.knownZone" (dict "path" (printf "%s.zone" $rule_path) "zone" ($rule.zone | default "_site") "zones" (append $zones "_site")) -}}
{{- if lt (float64 $rule.clear_above) (float64 $rule.fire_below) -}}
{{- fail (printf "%s.clear_above: %v is below fire_below %v; it may not be lower" $rule_path $rule.clear_above $rule.fire_below) -}}
{{- end -}}
{{- range $field := list "name" "action" -}}
{{- include "moretta.ownText" (dict "path" (printf "%s.%s" $rule_path $field) "text" (get $rule $field) "site" $site) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A text in several languages without the site's. Takes (dict "path" "settings..." "text" {fr: a} "site" {id: a, language: en}). */}}
{{- define "moretta.ownText" -}}
{{- $language := .site.language | default "en" -}}
{{- if and (kindIs "map" .text) (not (hasKey .text $language)) -}}
{{- fail (printf "%s: has no text in '%s', the language of the site '%s'; add %s: ..." .path $language .site.id $language) -}}
{{- end -}}
{{- end }}

{{/* Ids that are there more than once. Takes (dict "path" "settings.sites" "things" [{id: a}]). */}}
{{- define "moretta.uniqueIds" -}}
{{- $places := dict -}}
{{- range $index, $one := .things -}}{{- $_ := set $places $one.id (append (get $places $one.id | default list) $index) -}}{{- end -}}
{{- range .things -}}
{{- $mine := get $places .id -}}
{{- if gt (len $mine) 1 -}}
{{- fail (printf "%s[%d].id: '%s' is used %d times; ids are unique" $.path (last $mine) .id (len $mine)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The names that a sentence lists. Takes a list. */}}
{{- define "moretta.names" -}}{{- join ", " (sortAlpha (uniq .)) | default "none" -}}{{- end }}

{{/* A zone that is not of the site. Takes (dict "path" "settings.sites[0].rules[0].zone" "zone" "hal" "zones" ["hall"]). */}}
{{- define "moretta.knownZone" -}}
{{- if not (has .zone .zones) -}}
{{- fail (printf "%s: unknown zone '%s'; known here: %s" .path .zone (include "moretta.names" .zones)) -}}
{{- end -}}
{{- end }}

{{/*
A time zone that is none. helm has no list: of an unknown one a date is in UTC, as it is of a few names. Where helm knows no zone at
all, nothing is said. Takes (dict "path" "settings.sites[0].timezone" "zone" "Europe/Pari").
*/}}
{{- define "moretta.timeZone" -}}
{{- $day := toDate "2006-01-02" "2026-01-15" -}}
{{- $is_known := ne (dateInZone "MST" $day "Europe/Paris") "UTC" -}}
{{- $is_utc := has .zone (list "UTC" "UCT" "Universal" "Zulu" "Etc/UTC" "Etc/UCT" "Etc/Universal" "Etc/Zulu") -}}
{{- $is_local := or (has .zone (list "" "Local" "posixrules" "localtime" "Factory")) (regexMatch "^(posix|right)/" .zone) -}}
{{- if or $is_local (and $is_known (not $is_utc) (eq (dateInZone "MST" $day .zone) "UTC")) -}}
{{- fail (printf "%s: '%s' is no IANA time zone, such as Europe/Paris" .path .zone) -}}
{{- end -}}
{{- end }}

{{/* Windows that the stream of sightings can't serve, or that don't fill an hour. Takes (dict "path" "settings.sites[0]" "site" {...}). */}}
{{- define "moretta.siteWindows" -}}
{{- $window := float64 (.site.window_s | default 1200) -}}
{{- $lateness := float64 (.site.lateness_s | default 5) -}}
{{- if ne (mod 3600000000000 (max 1 (int64 (round (mulf $window 1000000000) 0)))) 0 -}}
{{- fail (printf "%s.window_s: %v s does not divide an hour; take 300, 600, 900, 1200, 1800 or 3600" .path $window) -}}
{{- end -}}
{{- if not .site.close_on_end -}}
{{- if gt (addf $window $lateness) 3660.0 -}}
{{- $least := ternary (list "lateness_s" $lateness (subf 3660.0 $window)) (list "window_s" $window (subf 3660.0 $lateness)) (lt $window 3660.0) -}}
{{- fail (printf "%s.%s: %v s is more than the stream of sightings can serve; at most %v s here" .path (index $least 0) (index $least 1) (maxf 0 (index $least 2))) -}}
{{- end -}}
{{- $wanted := int ((.site.operations | default dict).camera_down_windows | default 1) -}}
{{- $most := max 1 (int (floor (divf (subf 3600.0 $lateness) $window))) -}}
{{- if gt $wanted (int $most) -}}
{{- fail (printf "%s.operations.camera_down_windows: %d windows of %v s are more than the stream of sightings keeps; at most %d" .path $wanted $window $most) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What a legal profile forbids. Takes (dict "path" "settings.sites[0]" "site" {...} "profiles" {...}), these of files/profiles.json. */}}
{{- define "moretta.siteTerms" -}}
{{- $profile := .site.profile | default .profiles.usual -}}
{{- $under := printf "under the profile %s" $profile -}}
{{- $terms := get .profiles.terms $profile -}}
{{- $window := float64 (.site.window_s | default 1200) -}}
{{- if lt $window (float64 $terms.window) -}}
{{- fail (printf "%s.window_s: %v s is too short %s; at least %v s" .path $window $under $terms.window) -}}
{{- end -}}
{{- if and .site.zones (not $terms.zones) -}}
{{- fail (printf "%s.zones: zones are not allowed %s: it publishes the whole site only; remove them" .path $under) -}}
{{- end -}}
{{- if and .site.rules (not $terms.rules) -}}
{{- fail (printf "%s.rules: alert rules are not allowed %s; remove them, or choose %s" .path $under .profiles.with_rules) -}}
{{- end -}}
{{- if and (not (kindIs "invalid" .site.suppress_below)) (lt (int .site.suppress_below) (int $terms.small)) -}}
{{- fail (printf "%s.suppress_below: %v is too few %s; at least %d" .path .site.suppress_below $under (int $terms.small)) -}}
{{- end -}}
{{- range $index, $rule := .site.rules -}}
{{- if lt (int ($rule.min_persons | default 20)) (int $terms.persons) -}}
{{- fail (printf "%s.rules[%d].min_persons: %v is too few %s; at least %d" $.path $index $rule.min_persons $under (int $terms.persons)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Hours that are none. Takes (dict "path" "settings.sites[0]" "rests" [...]). */}}
{{- define "moretta.restHours" -}}
{{- range $index, $one := .rests -}}
{{- if eq $one.start $one.end -}}
{{- fail (printf "%s.rests[%d].end: %s to %s is no time, or all of it; take other hours, or pause with `moretta pause`" $.path $index $one.start $one.end) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Zones and areas of a camera's picture. Takes (dict "path" "settings.sites[0].cameras[0]" "camera" {...} "zones" ["hall"]). */}}
{{- define "moretta.cameraPlaces" -}}
{{- if not (kindIs "invalid" .camera.zone) -}}
{{- include "moretta.knownZone" (dict "path" (printf "%s.zone" .path) "zone" .camera.zone "zones" .zones) -}}
{{- end -}}
{{- range $index, $part := .camera.zone_areas -}}
{{- $path := printf "%s.zone_areas[%d]" $.path $index -}}
{{- include "moretta.knownZone" (dict "path" (printf "%s.zone" $path) "zone" $part.zone "zones" $.zones) -}}
{{- include "moretta.area" (dict "path" (printf "%s.area" $path) "area" $part.area "why" "in which nobody is") -}}
{{- end -}}
{{- range $index, $area := .camera.ignore -}}
{{- include "moretta.area" (dict "path" (printf "%s.ignore[%d]" $.path $index) "area" $area "why" "in which nobody is") -}}
{{- end -}}
{{- range $index, $area := (.camera.privacy | default dict).areas -}}
{{- include "moretta.area" (dict "path" (printf "%s.privacy.areas[%d]" $.path $index) "area" $area "why" "which hides nothing") -}}
{{- end -}}
{{- with .camera.line -}}
{{- if eq (toJson .start) (toJson .end) -}}
{{- fail (printf "%s.line.end: start and end are one point, which nobody crosses; give two" $.path) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* An area without any: each triangle from its first point is flat. Takes (dict "path" "settings..." "area" [[0, 0], ...] "why" "which hides nothing"). */}}
{{- define "moretta.area" -}}
{{- $first := first .area -}}
{{- $before := index .area 1 -}}
{{- $is_flat := true -}}
{{- range $point := slice .area 2 -}}
{{- $one := mulf (subf (index $before 0) (index $first 0)) (subf (index $point 1) (index $first 1)) -}}
{{- $other := mulf (subf (index $before 1) (index $first 1)) (subf (index $point 0) (index $first 0)) -}}
{{- if ne (round (subf $one $other) 9) 0.0 -}}{{- $is_flat = false -}}{{- end -}}
{{- $before = $point -}}
{{- end -}}
{{- if $is_flat -}}{{- fail (printf "%s: the points are on one line, %s; draw round an area" .path .why) -}}{{- end -}}
{{- end }}

{{/* How often a camera is looked at, and when not. Takes (dict "path" "settings.sites[0].cameras[0]" "camera" {...} "site" {...}). */}}
{{- define "moretta.cameraTimes" -}}
{{- $gap := minf ((.site.tracking | default dict).max_gap_s | default 3) (.site.lateness_s | default 5) -}}
{{- $fps := float64 (.camera.fps | default 5) -}}
{{- if lt (mulf $fps $gap) 1.5 -}}
{{- $least := divf (ceil (divf 15.0 $gap)) 10.0 -}}
{{- fail (printf "%s.fps: %v a second is too few to count anybody: who is unseen for %v s is gone (tracking.max_gap_s and lateness_s); at least %v, or make these longer" .path $fps $gap $least) -}}
{{- end -}}
{{- if and (hasKey .camera "paced") (not .camera.paced) (not .site.close_on_end) -}}
{{- fail (printf "%s.paced: false reads a file faster than it plays, ahead of the clock by which this site's windows close; leave it out, or set close_on_end of the site to true" .path) -}}
{{- end -}}
{{- include "moretta.restHours" (dict "path" .path "rests" .camera.rests) -}}
{{- end }}

{{/* Where a camera is, and who may publish to it. Takes (dict "path" "settings.sites[0].cameras[0]" "camera" {...}). */}}
{{- define "moretta.cameraAddress" -}}
{{- include "moretta.oneAddress" (dict "path" .path "owner" .camera "right" "a text with at least 1 characters and with at most 2048 characters") -}}
{{- $url := .camera.url | default "" -}}
{{- include "moretta.cameraLogin" (dict "path" .path "camera" .camera) -}}
{{- $scheme := lower (regexFind "^[a-zA-Z][a-zA-Z0-9+.-]*://" $url) | trimSuffix "://" -}}
{{- if eq (lower $url) "whip://" -}}
{{- if not (or .camera.token .camera.token_file) -}}
{{- fail (printf "%s.token: is missing; give token_file, 16 random characters or more, to who may publish" .path) -}}
{{- end -}}
{{- else if and $scheme (ne $scheme "file") -}}
{{- $real := regexFind "^[^:]+" $url -}}
{{- if not (has $scheme (list "rtsp" "rtsps" "http" "https")) -}}
{{- fail (printf "%s.url: scheme '%s' is not supported; use a file path, rtsp://, rtsps://, http://, https://, whip:// or /dev/videoN" .path $real) -}}
{{- end -}}
{{- $host := include "moretta.hostOf" $url -}}
{{- $hint := "it is scheme://user:password@host:port/path, with special characters of the password percent-encoded; better, give user and password_file beside it" -}}
{{- if eq (include "moretta.badPort" $url) "yes" -}}{{- fail (printf "%s.url: the URL can't be read; %s" .path $hint) -}}{{- end -}}
{{- if not $host -}}{{- fail (printf "%s.url: the URL names no host; %s" .path $hint) -}}{{- end -}}
{{- if contains "#" $url -}}{{- fail (printf "%s.url: the URL has a '#' or a second '@', written %%23 and %%40 in a password; %s" .path $hint) -}}{{- end -}}
{{- $why := include "moretta.refusedHost" (dict "host" $host "allow_link_local" .camera.allow_link_local) -}}
{{- if $why -}}
{{- $hint := ternary "; allow_link_local: true of the camera allows such" "" (contains "link-local" $why) -}}
{{- fail (printf "%s.url: %s://%s%s: %s%s" .path $scheme (ternary (printf "[%s]" $host) $host (contains ":" $host)) (regexFind ":[0-9]+$" (include "moretta.authorityOf" $url)) $why $hint) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Who logs in, and where. Takes (dict "path" "settings.sites[0].cameras[0]" "camera" {...}). */}}
{{- define "moretta.cameraLogin" -}}
{{- $url := .camera.url | default "rtsp://" -}}
{{- if not .camera.user -}}
{{- if or .camera.password .camera.password_file -}}
{{- fail (printf "%s.user: is missing; say whose password it is" .path) -}}
{{- end -}}
{{- else if not (regexMatch "^(?i)(rtsps?|https?)://" $url) -}}
{{- fail (printf "%s.user: is given, and only a camera of rtsp://, rtsps://, http://, https:// has a login; remove it" .path) -}}
{{- else if regexMatch "^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*@" $url -}}
{{- fail (printf "%s.user: is given, and url names a user, too; take that out of url" .path) -}}
{{- end -}}
{{- end }}

{{/* A URL that is missing, or there twice. Takes (dict "path" "settings.sites[0].cameras[0]" "owner" {url: "..."} "right" "a text in quotes"). */}}
{{- define "moretta.oneAddress" -}}
{{- if and (hasKey .owner "url") (hasKey .owner "url_file") -}}
{{- fail (printf "%s.url_file: url is given too; give only one of them" .path) -}}
{{- end -}}
{{- if not (or (hasKey .owner "url") (hasKey .owner "url_file")) -}}
{{- fail (printf "%s.url: is missing; must be %s" .path .right) -}}
{{- end -}}
{{- end }}

{{/* Host and port of a URL, without user and password. */}}
{{- define "moretta.authorityOf" -}}
{{- regexReplaceAll "^.*@" (regexFind "^[^/?#]*" (regexReplaceAll "^[a-zA-Z][a-zA-Z0-9+.-]*://" . "")) "" -}}
{{- end }}

{{/* The host of a URL, in lower case and without brackets. */}}
{{- define "moretta.hostOf" -}}
{{- $authority := include "moretta.authorityOf" . -}}
{{- if hasPrefix "[" $authority -}}{{- regexFind "^[^]]*" $authority | trimPrefix "[" | lower -}}{{- else -}}{{- regexFind "^[^:]*" $authority | lower -}}{{- end -}}
{{- end }}

{{/* `yes` where a URL has a port that is none. */}}
{{- define "moretta.badPort" -}}
{{- $port := regexReplaceAll "^([[][^]]*[]]|[^:[]*):?" (include "moretta.authorityOf" .) "" -}}
{{- if $port -}}{{- if not (regexMatch "^[0-9]{1,5}$" $port) -}}yes{{- else if gt (int $port) 65535 -}}yes{{- end -}}{{- end -}}
{{- end }}

{{/* Why nobody connects to a host, empty where that is not so: those of services/destinations.py that are written plainly. Takes (dict "host" "169.254.169.254" "allow_link_local" false). */}}
{{- define "moretta.refusedHost" -}}
{{- $host := trimSuffix "." .host -}}
{{- if has $host (list "metadata" "metadata.google.internal" "metadata.goog" "instance-data") -}}
{{- printf "%s is a cloud's metadata service" $host -}}
{{- else if has $host (list "169.254.169.254" "169.254.170.2" "169.254.170.23" "100.100.100.200" "168.63.129.16" "192.0.0.192" "fd00:ec2::254" "fd00:ec2::23" "fd20:ce::254" "fe80::a9fe:a9fe") -}}
{{- printf "%s is the address of a cloud's metadata service" $host -}}
{{- else if regexMatch "^(2(2[4-9]|3[0-9])([.][0-9]{1,3}){3}|255[.]255[.]255[.]255|ff[0-9a-f]{2}:[0-9a-f:]*)$" $host -}}
{{- printf "%s is a multicast or broadcast address" $host -}}
{{- else if and (not .allow_link_local) (regexMatch "^(169[.]254([.][0-9]{1,3}){2}|fe[89ab][0-9a-f]:[0-9a-f:]*)$" $host) -}}
{{- printf "%s is a link-local address" $host -}}
{{- end -}}
{{- end }}
