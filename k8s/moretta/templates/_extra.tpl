{{/* What one adds to a component's pods: how they find names, containers, volumes; and what is refused of it. */}}

{{/* How pods find names. Takes (dict "component" "ingest" "values" .Values.ingest). */}}
{{- define "moretta.dns" -}}
{{- with .values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" (eq .component "whip")) }}
dnsPolicy: {{ . | quote }}
{{- end }}
{{- range $key := list "dnsConfig" "hostAliases" }}
{{- with get $.values $key }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Containers that run before a component's own, as confined as it is: from its values. */}}
{{- define "moretta.initContainers" -}}
{{- with .initContainers }}
initContainers:
{{- range . }}
{{- $own := dict "securityContext" (include "moretta.securityContext" $ | fromYaml) }}
  - {{- toYaml (merge $own .) | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a component's own container sees the volumes that its values add. */}}
{{- define "moretta.extraVolumeMounts" -}}
{{- range .extraVolumeMounts }}
- {{- toYaml (merge (dict "readOnly" true) .) | nindent 2 }}
{{- end }}
{{- end }}

{{/* ConfigMaps that ingest and notify see, such as an authority's certificate: whoever tries cameras and mail servers needs them, too. Each as a
volume and a mount, each place once, as JSON. */}}
{{- define "moretta.sharedMounts" -}}
{{- $found := list -}}
{{- $places := list -}}
{{- range $service := list "ingest" "notify" -}}
{{- $values := get $.Values $service -}}
{{- range $mount := $values.extraVolumeMounts -}}
{{- range $volume := $values.extraVolumes -}}
{{- if and (eq $volume.name $mount.name) (hasKey $volume "configMap") (not (has $mount.mountPath $places)) -}}
{{- $name := dict "name" (printf "%s-%s" $service $mount.name) -}}
{{- $found = append $found (dict "volume" (merge (deepCopy $name) $volume) "mount" (merge (deepCopy $name) (dict "readOnly" true) $mount)) -}}
{{- $places = append $places $mount.mountPath -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* What is refused: what the chart has itself, and what would let others read pictures. */}}
{{- define "moretta.extraRequirements" -}}
{{- $secrets := dict -}}
{{- with .Values.ingest.existingSecret -}}{{- $_ := set $secrets . "ingest.existingSecret" -}}{{- end -}}
{{- range $service := list "inference" "ingest" -}}
{{- $_ := set $secrets ((get $.Values $service).identitySecret | default (printf "%s-identity-%s" $.Release.Name $service)) (printf "%s.identitySecret" $service) -}}
{{- end -}}
{{- range $path := include "moretta.secretFields" . | fromJsonArray -}}
{{- $secret := include "moretta.valueAt" (dict "path" $path "values" $.Values) -}}
{{- if and (hasKey $secrets $secret) (ne (get $secrets $secret) $path) -}}
{{- fail (printf "%s is %s, as %s is, and nobody else has what is in that; set another Secret" $path $secret (get $secrets $secret)) -}}
{{- end -}}
{{- end -}}
{{- include "moretta.labelRequirements" (dict "root" . "path" "commonLabels" "labels" .Values.commonLabels) -}}
{{- range $kind := list "podMonitor" "serviceMonitor" "prometheusRule" "dashboard" "windowsDashboard" -}}
{{- include "moretta.labelRequirements" (dict "root" $ "path" (printf "monitoring.%s.labels" $kind) "labels" (get $.Values.monitoring $kind).labels) -}}
{{- end -}}
{{- range $name := list "ingest" "inference" "aggregate" "notify" "whip" "nats" "identities" "toolbox" "tryout" "tests" -}}
{{- range $key, $_ := (get $.Values $name).podAnnotations -}}
{{- if or (hasPrefix "helm.sh/" $key) (has $key (list "kubectl.kubernetes.io/default-container" "moretta/started-with" "checksum/started-with")) -}}
{{- fail (printf "%s.podAnnotations has %s, and the chart sets that itself; remove it" $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $accounts := dict -}}
{{- range $name := list "identities" "test" "toolbox" "tryout" -}}
{{- $_ := set $accounts (printf "%s-%s" (include "moretta.fullname" $) $name) $name -}}
{{- end -}}
{{- range $name := list "ingest" "inference" "aggregate" "notify" "nats" -}}
{{- $values := get $.Values $name -}}
{{- include "moretta.labelRequirements" (dict "root" $ "path" (printf "%s.podLabels" $name) "labels" $values.podLabels) -}}
{{- with $values.serviceAccount -}}
{{- if not (or .create .name) -}}
{{- fail (printf "%s.serviceAccount.create is false, and its name is empty; set the name of one that is there, or create: true" $name) -}}
{{- end -}}
{{- $account := include "moretta.serviceAccountName" (dict "root" $ "service" $name "values" $values) -}}
{{- if hasKey $accounts $account -}}
{{- fail (printf "%s.serviceAccount.name is %s, which is that of %s: each has one of its own; set another one" $name $account (get $accounts $account)) -}}
{{- end -}}
{{- $_ := set $accounts $account $name -}}
{{- end -}}
{{- if and (eq $values.dnsPolicy "None") (not $values.dnsConfig.nameservers) -}}
{{- fail (printf "%s.dnsPolicy is None, and %s.dnsConfig.nameservers is empty, so that no name is found; set the name servers" $name $name) -}}
{{- end -}}
{{- $given := dict "name" $name "values" $values -}}
{{- include "moretta.volumeRequirements" $given -}}
{{- include "moretta.initContainerRequirements" $given -}}
{{- range $key := list "extraVolumes" "initContainers" "extraEnv" -}}
{{- range $line := splitList "\n" (include "moretta.leaves" (dict "path" (printf "%s.%s" $name $key) "value" (get $values $key))) -}}
{{- $path := (splitn "\t" 2 $line)._0 -}}
{{- $secret := (splitn "\t" 2 $line)._1 | default "" -}}
{{- $is_own := and (eq $name "ingest") (eq $key "extraEnv") (eq $secret $values.existingSecret) -}}
{{- if and (regexMatch "([.]secret[.](secretName|name)|[.]secret(Key)?Ref[.]name)$" $path) (hasKey $secrets $secret) (not $is_own) -}}
{{- fail (printf "%s is %s, as %s is, and nobody else has what is in that; remove it" $path $secret (get $secrets $secret)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels that are not the chart's own. Takes (dict "root" $ "path" "commonLabels" "labels" {...}). */}}
{{- define "moretta.labelRequirements" -}}
{{- $own := include "moretta.ownLabels" (dict "root" .root "component" "x") | fromYaml -}}
{{- range $key, $value := .labels -}}
{{- if hasKey $own $key -}}
{{- fail (printf "%s has %s, and the chart sets that itself; remove it" $.path $key) -}}
{{- end -}}
{{- if not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$" (toString $value)) -}}
{{- fail (printf "%s.%s is %s, and a label's value has A-Z, a-z, 0-9, -, _ and . alone, 63 at most" $.path $key $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Volumes that are no node's, and where they are seen. Takes (dict "name" "ingest" "values" .Values.ingest). */}}
{{- define "moretta.volumeRequirements" -}}
{{- $kinds := list "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "persistentVolumeClaim" "projected" "secret" -}}
{{- $own := ternary (list "config" "pid" "data" "nats-tls" "nats-routes-tls" "nats-keys" "nats-leaf" "nats-leaf-tls") (list "settings" "identity" "secrets" "certificates" "tracing" "tmp") (eq .name "nats") -}}
{{- $names := list -}}
{{- range $index, $volume := .values.extraVolumes -}}
{{- $path := printf "%s.extraVolumes[%d]" $.name $index -}}
{{- if has $volume.name $names -}}
{{- fail (printf "%s.name is %s, as another one is called; take another name" $path $volume.name) -}}
{{- end -}}
{{- if has $volume.name $own -}}
{{- fail (printf "%s.name is %s, as a volume of the chart's own is called; take another name" $path $volume.name) -}}
{{- end -}}
{{- range $kind, $_ := omit $volume "name" -}}
{{- if not (has $kind $kinds) -}}
{{- fail (printf "%s is of the kind %s; taken are those of Pod Security restricted: %s" $path $kind (join ", " $kinds)) -}}
{{- end -}}
{{- end -}}
{{- $names = append $names $volume.name -}}
{{- end -}}
{{- range $index, $mount := .values.extraVolumeMounts -}}
{{- $path := printf "%s.extraVolumeMounts[%d]" $.name $index -}}
{{- if not (has $mount.name $names) -}}
{{- fail (printf "%s.name is %s, which is none of %s.extraVolumes; set the name of one" $path $mount.name $.name) -}}
{{- end -}}
{{- $is_secrets := and (hasKey $.values "existingSecret") (eq $mount.mountPath "/etc/moretta/secrets") -}}
{{- if and $is_secrets $.values.existingSecret -}}
{{- fail (printf "%s.mountPath is /etc/moretta/secrets, where %s.existingSecret is seen; remove one of them" $path $.name) -}}
{{- end -}}
{{- if or (regexMatch "(^|/)[.][.]?(/|$)" $mount.mountPath) (not (or $is_secrets (regexMatch "^(/mnt|/etc/ssl/certs)(/|$)" $mount.mountPath))) -}}
{{- fail (printf "%s.mountPath is %s; set one below /mnt or /etc/ssl/certs, where nothing of ours is" $path $mount.mountPath) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Containers that see no volume of the chart's own; beside pictures runs none. Takes (dict "name" "ingest" "values" .Values.ingest). */}}
{{- define "moretta.initContainerRequirements" -}}
{{- $names := list -}}{{- range .values.extraVolumes -}}{{- $names = append $names .name -}}{{- end -}}
{{- range $index, $container := .values.initContainers -}}
{{- $path := printf "%s.initContainers[%d]" $.name $index -}}
{{- if has $container.name (list $.name "reloader") -}}
{{- fail (printf "%s.name is %s, as a container of the chart's own is called; take another name" $path $container.name) -}}
{{- end -}}
{{- if hasKey $container "securityContext" -}}
{{- fail (printf "%s.securityContext is given, and the chart sets that itself; remove it" $path) -}}
{{- end -}}
{{- if and (hasKey $container "restartPolicy") (has $.name (list "ingest" "inference")) -}}
{{- fail (printf "%s.restartPolicy is given, so that it might run beside %s, which has pictures; remove it" $path $.name) -}}
{{- end -}}
{{- range $mount := $container.volumeMounts -}}
{{- if not (has $mount.name $names) -}}
{{- fail (printf "%s mounts %s, which is none of %s.extraVolumes; remove it, or add the volume" $path $mount.name $.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Variables of `extraEnv`: none that the chart sets itself, none twice, and no secret in the clear. */}}
{{- define "moretta.extraEnvRequirements" -}}
{{- $instead := dict "MORETTA_NATS__" "nats.url, nats.tls, nats.replicas or nats.streams" "MORETTA_SEALING__" "identitySecret of ingest and inference" "MORETTA_PROBES__" "whip.probesPort, or nothing: probes are on port 8080 of each other pod" "MORETTA_TRACING__" "tracing.endpoint, tracing.ratio or tracing.existingSecret" "MORETTA_AGGREGATE__PAGE__" "page.enabled and what is beside it" "MORETTA_INGEST__WEB__" "settings.ingest.web" "MORETTA_NOTIFY__SMS__REPORTS__" "settings.notify.sms.reports" "NVIDIA_DRIVER_CAPABILITIES" "ingest.gpu.count" -}}
{{- range $name, $_ := .Files.Get "files/environment.yaml" | fromYaml -}}
{{- $_ := set $instead $name "nothing: all processes of Moretta have it alike" -}}
{{- end -}}
{{- range $service := list "ingest" "inference" "aggregate" "notify" -}}
{{- $seen := dict -}}
{{- range $one := (get $.Values $service).extraEnv -}}
{{- range $prefix, $what := $instead -}}
{{- if hasPrefix $prefix $one.name -}}
{{- fail (printf "%s.extraEnv has %s, and the chart sets that itself; remove it, and set %s" $service $one.name $what) -}}
{{- end -}}
{{- end -}}
{{- if and (has $service (list "ingest" "inference")) (not (regexMatch "^(MORETTA_.*|(?i:HTTP_PROXY|HTTPS_PROXY|NO_PROXY)|TZ|SSL_CERT_FILE|SSL_CERT_DIR)$" $one.name)) -}}
{{- fail (printf "%s.extraEnv has %s; where pictures are there may be MORETTA_..., HTTP_PROXY, HTTPS_PROXY, NO_PROXY, TZ, SSL_CERT_FILE and SSL_CERT_DIR alone, since others can have code loaded" $service $one.name) -}}
{{- end -}}
{{- if hasKey $seen $one.name -}}
{{- fail (printf "%s.extraEnv has %s twice; remove one of them" $service $one.name) -}}
{{- end -}}
{{- $_ := set $seen $one.name true -}}
{{- if and (hasKey $one "value") (regexMatch "^MORETTA_.*_(PASSWORD|TOKEN|SALT|SECRET|SEED|KEY)$" $one.name) -}}
{{- fail (printf "%s.extraEnv has %s with its value, and values are no place for a secret; set valueFrom: {secretKeyRef: {name: SECRET, key: KEY}} instead" $service $one.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
