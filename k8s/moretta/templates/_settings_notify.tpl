{{/*
What notify refuses across the fields of `settings.notify`, and ingest across those of `settings.ingest`, in their words: a sentence for the
first of their lines. The rules are those of services/notify/settings.py, routing/settings.py, reports/settings.py and channels/; what needs
a file's content, a library's tables or Python's regular expressions is left to the pods. tests/chart/test_one_truth.py holds both
against each other.
*/}}
{{- define "moretta.notifyRequirements" -}}
{{- $settings := include "moretta.settings" . | fromJson -}}
{{- $notify := $settings.notify | default dict -}}
{{- $readers := dict -}}
{{- $sites := dict -}}
{{- range $settings.sites -}}{{- $_ := set $sites .id . -}}{{- end -}}
{{- $order := list -}}{{- range $settings.sites -}}{{- $order = append $order .id -}}{{- end -}}
{{- include "moretta.uniqueIds" (dict "path" "settings.notify.receivers" "things" $notify.receivers) -}}
{{- range $index, $one := $notify.receivers -}}
{{- $_ := set $readers $one.id $one -}}
{{- include "moretta.receiver" (dict "path" (printf "settings.notify.receivers[%d]" $index) "receiver" $one "sites" $order "notify" $notify) -}}
{{- end -}}
{{- $all := dict "notify" $notify "readers" $readers "sites" $sites "order" $order -}}
{{- if not $notify.routes -}}{{- include "moretta.toldTwice" $all -}}{{- end -}}
{{- include "moretta.reports" $all -}}
{{- with $notify.smtp -}}{{- include "moretta.smtp" . -}}{{- end -}}
{{- with $notify.sms -}}{{- include "moretta.sms" . -}}{{- end -}}
{{- include "moretta.times" $notify -}}
{{- range $index, $route := $notify.routes -}}
{{- include "moretta.route" (merge (dict "path" (printf "settings.notify.routes[%d]" $index) "route" $route) $all) -}}
{{- include "moretta.outOfReach" (merge (dict "index" $index "route" $route) $all) -}}
{{- end -}}
{{- range $index, $one := ternary $notify.receivers list (not (empty $notify.routes)) -}}
{{- $led := false -}}{{- range $notify.routes -}}{{- if eq .receiver $one.id -}}{{- $led = true -}}{{- end -}}{{- end -}}
{{- if not $led -}}{{- fail (printf "settings.notify.receivers[%d].id: no route leads to '%s'; add one to notify.routes" $index $one.id) -}}{{- end -}}
{{- end -}}
{{- range $settings.sites -}}
{{- include "moretta.ownText" (dict "path" "settings.notify.contact" "text" $notify.contact "site" .) -}}
{{- end -}}
{{- include "moretta.web" ($settings.ingest | default dict).web -}}
{{- end }}

{{/* A name that nothing has. Takes (dict "path" "settings..." "what" "site" "name" "a" "known" ["b"]). */}}
{{- define "moretta.knownName" -}}
{{- if not (has .name .known) -}}
{{- fail (printf "%s: unknown %s '%s'; known here: %s" .path .what .name (include "moretta.names" .known)) -}}
{{- end -}}
{{- end }}

{{/* One receiver. Takes (dict "path" "settings.notify.receivers[0]" "receiver" {...} "sites" ["forville"] "notify" {...}). */}}
{{- define "moretta.receiver" -}}
{{- $path := .path -}}
{{- $notify := .notify -}}
{{- $one := .receiver -}}
{{- if not (or $one.email $one.sms $one.webhooks) -}}
{{- fail (printf "%s: reaches nobody; a receiver needs at least one address (or one of sms or webhooks)" $path) -}}
{{- end -}}
{{- if and (hasKey $one "language") (not (has $one.language (list "en" "fr"))) -}}
{{- fail (printf "%s.language: no catalogue of '%s'; there are en, fr" $path $one.language) -}}
{{- end -}}
{{- range $index, $address := $one.email -}}
{{- include "moretta.mailAddress" (dict "path" (printf "%s.email[%d]" $path $index) "address" $address) -}}
{{- end -}}
{{- range $index, $site := $one.sites -}}
{{- include "moretta.knownName" (dict "path" (printf "%s.sites[%d]" $path $index) "what" "site" "name" $site "known" $.sites) -}}
{{- end -}}
{{- if and $one.email (not $notify.smtp) -}}
{{- fail "settings.notify.smtp: is missing; receivers need a mail server, with at least host and sender" -}}
{{- end -}}
{{- if and $one.sms (not $notify.sms) -}}
{{- fail "settings.notify.sms: is missing; numbers need a gateway: kannel or provider" -}}
{{- end -}}
{{- if and $one.sms (not (or $notify.salt $notify.salt_file)) -}}
{{- fail "settings.notify.salt: is missing; without, all numbers there are can be tried on a record's hash" -}}
{{- end -}}
{{- $known := list -}}
{{- range $index, $hook := $one.webhooks -}}
{{- $at := printf "%s.webhooks[%d]" $path $index -}}
{{- include "moretta.oneAddress" (dict "path" $at "owner" $hook "right" "a text in quotes") -}}
{{- include "moretta.calledUrl" (dict "path" (printf "%s.url" $at) "url" $hook.url "allow_http" $hook.allow_http) -}}
{{- include "moretta.clientFiles" (dict "path" $at "files" $hook) -}}
{{- with $hook.url -}}
{{- if has (lower .) $known -}}{{- fail (printf "%s.url: is in this receiver already and would get each request twice; remove one" $at) -}}{{- end -}}
{{- $known = append $known (lower .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes (dict "path" "settings.notify.smtp.sender" "address" "a@example.org"). */}}
{{- define "moretta.mailAddress" -}}
{{- $atom := "[!#$%&*+/0-9=?A-Z^_`a-z{|}~-]+" -}}
{{- $label := "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?" -}}
{{- $is_address := regexMatch (printf "^%s([.]%s)*@%s([.]%s)*$" $atom $atom $label $label) .address -}}
{{- if or (not $is_address) (gt (len .address) 254) (gt (len (regexFind "^[^@]*" .address)) 64) -}}
{{- fail (printf "%s: is no plain e-mail address such as name@example.org (no name beside it, ASCII only; an international domain is written in its xn-- form)" .path) -}}
{{- end -}}
{{- end }}

{{/* A URL that notify calls. Takes (dict "path" "settings..." "url" "https://..." "allow_http" false). */}}
{{- define "moretta.calledUrl" -}}
{{- if .url -}}
{{- $host := include "moretta.hostOf" .url -}}
{{- $port := regexFind ":0*$" (include "moretta.authorityOf" .url) -}}
{{- if or (not (regexMatch "^(?i)https?://[!-~]+$" .url)) (not $host) (include "moretta.badPort" .url) (gt (len $port) 1) (contains "$" (include "moretta.authorityOf" .url)) -}}
{{- fail (printf "%s: is no URL such as https://sms.example.org/send" .path) -}}
{{- end -}}
{{- if contains "@" (regexFind "^[^/?#]*" (regexReplaceAll "^[^:]*://" .url "")) -}}
{{- fail (printf "%s: holds a user or a password before its host; they have fields of their own" .path) -}}
{{- end -}}
{{- with include "moretta.refusedHost" (dict "host" $host) -}}{{- fail (printf "%s: leads nowhere that is called: %s" $.path .) -}}{{- end -}}
{{- if and (regexMatch "^(?i)http:" .url) (not .allow_http) (not (has $host (list "127.0.0.1" "::1" "localhost"))) -}}
{{- fail (printf "%s: is not https: all on the way would read what is sent; allow_http: true allows it on a network of yours" .path) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A client's certificate. Takes (dict "path" "settings.notify.smtp" "files" {...}). */}}
{{- define "moretta.clientFiles" -}}
{{- if and .files.client_key_file (not .files.client_cert_file) -}}
{{- fail (printf "%s.client_cert_file: is missing; a key is of no use without its certificate" .path) -}}
{{- end -}}
{{- end }}

{{/* Who would get each mail, or each SMS, of a site twice. Takes (dict "notify" {...} "order" ["forville"]). */}}
{{- define "moretta.toldTwice" -}}
{{- $known := dict -}}
{{- range $index, $one := .notify.receivers -}}
{{- range $kind, $what := dict "email" "mail" "sms" "SMS" -}}
{{- range $place, $address := get $one $kind | default list -}}
{{- $keys := list -}}
{{- range $site := $one.sites | default $.order -}}
{{- $keys = append $keys (ternary (printf "%s|%s|%s" (lower $address) $site ($one.audience | default "field")) (printf "sms|%s|%s" $address $site) (eq $kind "email")) -}}
{{- end -}}
{{- range $keys -}}
{{- if hasKey $known . -}}
{{- fail (printf "settings.notify.receivers[%d].%s[%d]: is in receiver '%s' for the same site already and would get each %s twice; remove one" $index $kind $place (get $known .) $what) -}}
{{- end -}}
{{- end -}}
{{- range $keys -}}{{- $_ := set $known . $one.id -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The mail server. Takes settings.notify.smtp. */}}
{{- define "moretta.smtp" -}}
{{- include "moretta.mailAddress" (dict "path" "settings.notify.smtp.sender" "address" .sender) -}}
{{- with .bounces -}}{{- include "moretta.mailAddress" (dict "path" "settings.notify.smtp.bounces" "address" .) -}}{{- end -}}
{{- include "moretta.clientFiles" (dict "path" "settings.notify.smtp" "files" .) -}}
{{- if and .client_cert_file (eq (.security | default "starttls") "none") -}}
{{- fail "settings.notify.smtp.security: 'none' shows no certificate to the server; take starttls or tls" -}}
{{- end -}}
{{- $has_password := or .password .password_file -}}
{{- if ne (kindIs "invalid" .user) (empty $has_password) -}}
{{- fail (printf "settings.notify.smtp.%s: is missing; a login needs both user and password (or password_file)" (ternary "user" "password" (kindIs "invalid" .user))) -}}
{{- end -}}
{{- $label := "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?" -}}
{{- if not (regexMatch (printf "^(%s([.]%s)*|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$" $label $label) .host) -}}
{{- fail (printf "settings.notify.smtp.host: '%s' is no host name, such as mail.example.org" .host) -}}
{{- end -}}
{{- if and $has_password (not (regexMatch "^(localhost|127([.][0-9]{1,3}){3}|::1)$" .host)) -}}
{{- if eq (.security | default "starttls") "none" -}}
{{- fail (printf "settings.notify.smtp.security: 'none' sends the password openly to '%s'; take starttls or tls, or remove the password" .host) -}}
{{- end -}}
{{- if and (hasKey . "verify") (not .verify) -}}
{{- fail "settings.notify.smtp.verify: false would give the password to whoever answers; name the server's authority in ca_file instead" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The SMS gateway. Takes settings.notify.sms. */}}
{{- define "moretta.sms" -}}
{{- $path := "settings.notify.sms" -}}
{{- if eq (empty .kannel) (empty .provider) -}}{{- fail (printf "%s: needs one of kannel and provider" $path) -}}{{- end -}}
{{- if and (not (kindIs "invalid" .region)) (not (regexMatch "^[A-Z]{2}$" (toString .region))) -}}
{{- fail (printf "%s.region: '%s' is no country of ISO 3166-1, such as FR" $path .region) -}}
{{- end -}}
{{- include "moretta.clientFiles" (dict "path" $path "files" .) -}}
{{- $sms := . -}}
{{- with .kannel -}}
{{- if not (or .password .password_file) -}}{{- fail (printf "%s.kannel.password: is missing; must be a text in quotes" $path) -}}{{- end -}}
{{- include "moretta.oneAddress" (dict "path" (printf "%s.kannel" $path) "owner" . "right" "a text in quotes") -}}
{{- include "moretta.calledUrl" (dict "path" (printf "%s.kannel.url" $path) "url" .url "allow_http" $sms.allow_http) -}}
{{- end -}}
{{- with .provider -}}
{{- include "moretta.oneAddress" (dict "path" (printf "%s.provider" $path) "owner" . "right" "a text in quotes") -}}
{{- include "moretta.calledUrl" (dict "path" (printf "%s.provider.url" $path) "url" .url "allow_http" $sms.allow_http) -}}
{{- include "moretta.provider" (dict "provider" . "reports" $sms.reports) -}}
{{- end -}}
{{- with .reports -}}
{{- if not (or .token .token_file) -}}{{- fail (printf "%s.reports.token: is missing; must be a text in quotes" $path) -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* A provider's templates. Takes (dict "provider" {...} "reports" {...}). */}}
{{- define "moretta.provider" -}}
{{- $path := "settings.notify.sms.provider" -}}
{{- $provider := .provider -}}
{{- if and (not (kindIs "invalid" .provider.json)) (not (kindIs "invalid" .provider.form)) -}}
{{- fail (printf "%s.form: is given beside json; a body is one of them" $path) -}}
{{- end -}}
{{- $used := list -}}
{{- range $place := list "url" "headers" "json" "form" -}}
{{- $known := ternary (list "basic" "from" "key" "number" "password" "to" "token" "user") (list "basic" "encoding" "from" "key" "number" "password" "report_url" "segments" "text" "to" "token" "user") (eq $place "headers") -}}
{{- range $line := splitList "\n" (include "moretta.leaves" (dict "path" "" "value" (get $provider $place | default dict))) -}}
{{- $text := (splitn "\t" 2 $line)._1 | default "" | replace "$$" "" -}}
{{- if contains "$" (regexReplaceAll "[$]([_a-zA-Z][_a-zA-Z0-9]*|[{][_a-zA-Z][_a-zA-Z0-9]*[}])" $text "") -}}
{{- fail (printf "%s.%s: has a $ with no name behind it; a dollar sign itself is $$" $path $place) -}}
{{- end -}}
{{- range $found := regexFindAll "[$][{]?[_a-zA-Z][_a-zA-Z0-9]*" $text -1 -}}
{{- $name := trimAll "${" $found -}}
{{- if not (has $name $known) -}}{{- fail (printf "%s.%s: knows no $%s; it knows %s" $path $place $name (join ", " $known)) -}}{{- end -}}
{{- $used = append $used $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "user" "password" "token" -}}
{{- $is_used := or (has $name $used) (and (has "basic" $used) (ne $name "token")) -}}
{{- if and $is_used (not (or (get $provider $name) (get $provider (printf "%s_file" $name)))) -}}
{{- fail (printf "%s.%s: is missing; a template names it" $path $name) -}}
{{- end -}}
{{- end -}}
{{- if and $provider.url (or (not (or (has "to" $used) (has "number" $used))) (not (has "text" $used))) -}}
{{- fail (printf "%s: must put both $to (or $number) and $text into its url, json or form" $path) -}}
{{- end -}}
{{- if and (has "report_url" $used) (not .reports) -}}
{{- fail "settings.notify.sms.reports: is missing; a template of the provider names $report_url" -}}
{{- end -}}
{{- end }}

{{/* The camera page's server. Takes settings.ingest.web. */}}
{{- define "moretta.web" -}}
{{- with . -}}
{{- if ne (empty .certificate) (empty .key) -}}
{{- fail (printf "settings.ingest.web.%s: is missing; give both certificate and key, or none of them" (ternary "certificate" "key" (empty .certificate))) -}}
{{- end -}}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])" -}}
{{- range $index, $address := .ice_addresses -}}
{{- if not (regexMatch (printf "^(%s([.]%s){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$" $byte $byte) $address) -}}
{{- fail (printf "settings.ingest.web.ice_addresses[%d]: '%s' is no IP address, such as 192.0.2.7" $index $address) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
