{{/* What the pods of both roles have in common: parts of a pod's spec, of a list of the root and the role. */}}
{{- define "lmqtt.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $of := index $root.Values $role -}}
annotations:
  checksum/settings: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
  checksum/secret: {{ toJson $root.Values.secret | sha256sum }}
  {{- with $of.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "lmqtt.labels" . | nindent 2 }}
  {{- with $of.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "lmqtt.podSpec" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $of := index $root.Values $role -}}
serviceAccountName: {{ include "lmqtt.serviceAccountName" $root }}
automountServiceAccountToken: false
# The variables that services would add begin with LMQTT_ too, and are no settings.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $of.terminationGracePeriodSeconds }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
{{- with $of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- with $of.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "lmqtt.selector" . | nindent 8 }}
  {{- end }}
{{- end }}

{{- define "lmqtt.container" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $of := index $root.Values $role -}}
name: {{ $role }}
image: {{ printf "%s:%s" $root.Values.image.repository ($root.Values.image.tag | default $root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [{{ $role }}]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
envFrom:
  - configMapRef:
      name: {{ include "lmqtt.fullname" $root }}
  - secretRef:
      name: {{ include "lmqtt.secretName" $root }}
startupProbe:
  httpGet: { path: /healthz, port: ops }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: ops }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: ops }
  periodSeconds: 5
  timeoutSeconds: 5
resources:
  {{- toYaml $of.resources | nindent 2 }}
{{- end }}
