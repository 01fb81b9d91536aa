{{- define "lmqtt.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 55 | trimSuffix "-" }}
{{- end }}

{{- define "lmqtt.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" }}
{{- else -}}
{{- $name := include "lmqtt.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 55 | trimSuffix "-" }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "lmqtt.secretName" -}}
{{- .Values.secret.existing | default (include "lmqtt.fullname" .) }}
{{- end }}

{{- define "lmqtt.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "lmqtt.fullname" .) }}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* Of a list of the root and, where there is one, the role. */}}
{{- define "lmqtt.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "lmqtt.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- if gt (len .) 1 }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
{{- end }}

{{- define "lmqtt.labels" -}}
{{- $root := index . 0 -}}
{{ include "lmqtt.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* A value as the environment has it: whole numbers never as 1e+06. */}}
{{- define "lmqtt.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}
