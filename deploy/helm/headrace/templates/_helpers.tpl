{{- define "headrace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "headrace.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "headrace.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "headrace.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels by which a component's pods are chosen: never changed. Takes (dict "root" $ "component" "registry"). */}}
{{- define "headrace.selector" -}}
app.kubernetes.io/name: {{ include "headrace.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "headrace.labels" -}}
{{ include "headrace.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: headrace
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A component's name, and the name of its service within the cluster. */}}
{{- define "headrace.component" -}}
{{ include "headrace.fullname" .root }}-{{ .component }}
{{- end -}}

{{- define "headrace.host" -}}
{{ include "headrace.component" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{- define "headrace.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}

{{/* Whether the ports of a component speak TLS; empty where they do not. */}}
{{- define "headrace.speaksTls" -}}
{{- if and .root.Values.tls.enabled (or (ne .component "inference") .root.Values.tls.replicas) -}}true{{- end -}}
{{- end -}}

{{- define "headrace.tlsSecret" -}}
{{- $given := get .root.Values.tls.secrets .component -}}
{{- if .root.Values.tls.certManager.enabled -}}
{{ include "headrace.component" . }}-tls
{{- else -}}
{{- required (printf "tls.enabled needs tls.secrets.%s, or tls.certManager" .component) $given -}}
{{- end -}}
{{- end -}}

{{- define "headrace.redisSecret" -}}
{{- if .Values.redis.existingSecret -}}
{{ .Values.redis.existingSecret }}
{{- else if .Values.redis.internal -}}
{{ include "headrace.fullname" . }}-redis
{{- end -}}
{{- end -}}

{{- define "headrace.redisUser" -}}
{{- $space := .root.Values.stateNamespace -}}
{{- $usual := ternary (printf "headrace-%s" .who) (printf "headrace-%s-%s" $space .who) (eq $space "default") -}}
{{- default $usual (get .root.Values.redis (printf "%sUser" .who)) -}}
{{- end -}}

{{- define "headrace.redisUrl" -}}
{{- if .Values.redis.internal -}}
redis://{{ include "headrace.host" (dict "root" . "component" "redis") }}:6379
{{- else -}}
{{- required "redis.externalUrl is needed where redis.internal is false" .Values.redis.externalUrl -}}
{{- end -}}
{{- end -}}

{{/* What contradicts itself, and the schema cannot say. */}}
{{- define "headrace.check" -}}
{{- if and .Values.auth.enabled (not .Values.tls.enabled) -}}
{{- fail "auth.enabled needs tls.enabled: tokens are never sent in plaintext to another machine" -}}
{{- end -}}
{{- with .Values.auth -}}
{{- if and .enabled (not .identityFile) (not (or .jwks.fromCluster .jwks.url .jwks.configMap)) -}}
{{- fail "auth.enabled needs the keys of the issuer of service-account tokens: auth.jwks.fromCluster, .url or .configMap" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.redis.internal .Values.redis.externalUrl -}}
{{- fail "redis.externalUrl is of another server than the internal one: set redis.internal to false" -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled needs tls.certManager.issuerRef.name" -}}
{{- end -}}
{{- end -}}

{{/* Settings that every process has, then those of values: each a flag. Takes root, component, values, and "ports". */}}
{{- define "headrace.commonArgs" -}}
- "--host={{ .root.Values.listenHost }}"
- "--data=/data"
- "--log-format=json"
- "--log-level={{ .root.Values.logLevel }}"
{{- if include "headrace.speaksTls" . }}
- "--tls-cert=/etc/headrace/tls/tls.crt"
- "--tls-key=/etc/headrace/tls/tls.key"
{{- end }}
{{- end -}}

{{- define "headrace.authArgs" -}}
{{- if .root.Values.auth.enabled }}
- "--auth=on"
- "--identity-file=/etc/headrace/identity/identity.toml"
{{- end }}
{{- end -}}

{{- define "headrace.peerArgs" -}}
{{- if .root.Values.tls.enabled }}
- "--peer-tls-ca=/etc/headrace/tls/ca.crt"
{{- end }}
{{- if .root.Values.auth.enabled }}
- "--token-file=/var/run/secrets/headrace/token"
{{- end }}
{{- end -}}

{{- define "headrace.redisArgs" -}}
- "--redis-url={{ include "headrace.redisUrl" .root }}"
{{- if include "headrace.redisSecret" .root }}
- "--redis-user-file=/etc/headrace/redis/user"
- "--redis-password-file=/etc/headrace/redis/password"
{{- end }}
{{- if .root.Values.redis.caSecret }}
- "--redis-tls-ca=/etc/headrace/redis-ca/ca.crt"
{{- end }}
{{- end -}}

{{- define "headrace.settings" -}}
{{- range $name, $value := .settings }}
{{- /* Large numbers would be written as 1e+09. */ -}}
{{- if kindIs "float64" $value }}{{ $value = ternary (int64 $value | toString) (toString $value) (eq (floor $value) $value) }}{{ end }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end -}}

{{- define "headrace.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "headrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What places a component's pods. */}}
{{- define "headrace.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Pods apart, first from node to node, then from zone to zone, as far as that is possible. */}}
{{- define "headrace.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" .values.topologyKey }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "headrace.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Liveness, readiness and the start, at the port of operations. */}}
{{- define "headrace.probes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" (eq "true" (include "headrace.speaksTls" .)) -}}
{{- if eq .component "gateway" }}{{ $scheme = "HTTP" }}{{ end -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ .port }}, scheme: {{ $scheme }}}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}, scheme: {{ $scheme }}}
  periodSeconds: 2
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}, scheme: {{ $scheme }}}
  periodSeconds: 10
  failureThreshold: 6
{{- end -}}

{{- define "headrace.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "headrace.speaksTls" . }}
- {name: tls, mountPath: /etc/headrace/tls, readOnly: true}
{{- else if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/headrace/tls, readOnly: true}
{{- end }}
{{- if .root.Values.auth.enabled }}
{{- if ne .component "gateway" }}
- {name: identity, mountPath: /etc/headrace/identity, readOnly: true}
{{- end }}
{{- if ne .component "registry" }}
- {name: token, mountPath: /var/run/secrets/headrace, readOnly: true}
{{- end }}
{{- end }}
{{- if and .redisUser (include "headrace.redisSecret" .root) }}
- {name: redis, mountPath: /etc/headrace/redis, readOnly: true}
{{- end }}
{{- if and .redisUser .root.Values.redis.caSecret }}
- {name: redis-ca, mountPath: /etc/headrace/redis-ca, readOnly: true}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "headrace.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if include "headrace.speaksTls" . }}
- name: tls
  secret: {secretName: {{ include "headrace.tlsSecret" . }}, defaultMode: 0440}
{{- else if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "headrace.tlsSecret" (dict "root" .root "component" "registry") }}
    defaultMode: 0440
    # The authority alone: the key stays where it is used.
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- if .root.Values.auth.enabled }}
{{- if ne .component "gateway" }}
- name: identity
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ include "headrace.fullname" .root }}-identity}
      {{- with .root.Values.auth.jwks.configMap }}
      - configMap: {name: {{ . }}, items: [{key: jwks.json, path: jwks.json}]}
      {{- end }}
      {{- if .root.Values.auth.jwks.fromCluster }}
      # The API server gives its keys to every service account: this token, for it alone, has no other right.
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: cluster-ca.crt}]}
      - serviceAccountToken: {path: cluster-token, expirationSeconds: 3600}
      {{- end }}
{{- end }}
{{- if ne .component "registry" }}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .root.Values.auth.audience }}
          expirationSeconds: {{ .root.Values.auth.tokenExpirationSeconds }}
{{- end }}
{{- end }}
{{- if and .redisUser (include "headrace.redisSecret" .root) }}
- name: redis
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ include "headrace.fullname" .root }}-redis-users
          items: [{key: {{ .redisUser }}, path: user}]
      - secret:
          name: {{ include "headrace.redisSecret" .root }}
          items: [{key: {{ .redisUser }}-password, path: password}]
{{- end }}
{{- if and .redisUser .root.Values.redis.caSecret }}
- name: redis-ca
  secret: {secretName: {{ .root.Values.redis.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "headrace.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "headrace.component" . }}
  labels: {{- include "headrace.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{/* The resources of a replica, with its GPUs. */}}
{{- define "headrace.inferenceResources" -}}
{{- $resources := deepCopy .Values.inference.resources -}}
{{- with .Values.inference.gpu -}}
{{- if .enabled -}}
{{- $limits := default dict (get $resources "limits") -}}
{{- $_ := set $limits .resource .count -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* The users of the chart's own Valkey, as `headrace redis-acl --server 7.2` prints them; a test compares. */}}
{{- define "headrace.acl" -}}
{{- $keys := printf "{headrace:%s}" .root.Values.stateNamespace -}}
user default on nopass resetkeys resetchannels -@all +ping
user {{ include "headrace.redisUser" (dict "root" .root "who" "registry") }} on #{{ sha256sum .registry }} sanitize-payload resetchannels ~{{ $keys }}:* -@all +get +set +del +mget +exists +hget +hset +hdel +hlen +hscan +hmget +hgetall +xadd +xread +xrange +xrevrange +zrange +eval +eval_ro +multi +exec +ping +info +config|get +waitaof +client|setinfo
user {{ include "headrace.redisUser" (dict "root" .root "who" "replica") }} on #{{ sha256sum .replica }} sanitize-payload resetchannels %R~{{ $keys }}:* %RW~{{ $keys }}:replicas %RW~{{ $keys }}:replica:* %RW~{{ $keys }}:replica-versions:* -@all +get +set +del +mget +hget +hset +hdel +hlen +hscan +expire +xread +xrange +zadd +zrem +zremrangebyscore +time +eval +eval_ro +multi +exec +ping +client|setinfo
{{- end -}}

{{/* The monitor shows what the registry has, and learns of keys and roles from it. */}}
{{- define "headrace.monitorPeerArgs" -}}
- "--registry-address={{ include "headrace.host" (dict "root" .root "component" "registry") }}:8100"
{{- include "headrace.peerArgs" . }}
{{- end -}}

{{/* The identity file: `kubernetes:system:serviceaccount:NAMESPACE:NAME` is a pod's subject. */}}
{{- define "headrace.identity" -}}
{{- $jwks := .Values.auth.jwks -}}
[[issuers]]
name = "kubernetes"
issuer = {{ .Values.auth.issuer | quote }}
audiences = [{{ .Values.auth.audience | quote }}]
{{- if $jwks.fromCluster }}
jwks = "https://kubernetes.default.svc.{{ .Values.clusterDomain }}/openid/v1/jwks"
jwks_ca = "cluster-ca.crt"
jwks_token_file = "cluster-token"
{{- else if $jwks.url }}
jwks = {{ $jwks.url | quote }}
{{- else }}
jwks = "jwks.json"
{{- end }}
{{- end -}}
