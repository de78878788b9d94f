{{- define "quorate.name" -}}
{{- if contains "quorate" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-quorate" (.Release.Name | trunc 44 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "quorate.selector" -}}
app.kubernetes.io/name: quorate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "quorate.labels" -}}
{{ include "quorate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Both containers see the same home, image and settings. */}}
{{- define "quorate.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - name: QUORATE__NODE__GENESIS_HASH
    value: {{ required "genesisHash is missing: --set genesisHash=0x..., as you have compared it" .Values.genesisHash | quote }}
  - name: QUORATE__NODE__PASSPHRASE_FILE
    value: /etc/quorate/keystore/passphrase
  - name: QUORATE__API__HOSTS
    value: {{ concat (list (include "quorate.name" .) (printf "%s.%s" (include "quorate.name" .) .Release.Namespace) (printf "%s.%s.svc" (include "quorate.name" .) .Release.Namespace) (printf "%s.%s.svc.cluster.local" (include "quorate.name" .) .Release.Namespace)) .Values.api.hosts | toJson | quote }}
  {{- range $key, $value := .Values.settings }}
  - name: QUORATE__{{ $key | replace "." "__" | upper }}
    value: {{ $value | quote }}
  {{- end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: home, mountPath: /var/lib/quorate}
  - {name: genesis, mountPath: /etc/quorate/genesis, readOnly: true}
  - {name: keystore, mountPath: /etc/quorate/keystore, readOnly: true}
{{- end -}}
