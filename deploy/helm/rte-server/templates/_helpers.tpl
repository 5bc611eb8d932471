{{- define "rte.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "rte.selector" -}}
app.kubernetes.io/name: rte-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rte.labels" -}}
{{ include "rte.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- /* rte.bytes turns a Kubernetes quantity of memory with a binary suffix, or plain bytes, into bytes. */ -}}
{{- define "rte.bytes" -}}
{{- $quantity := toString . -}}
{{- if hasSuffix "Gi" $quantity -}}{{ mulf (trimSuffix "Gi" $quantity | float64) 1073741824 | int64 }}
{{- else if hasSuffix "Mi" $quantity -}}{{ mulf (trimSuffix "Mi" $quantity | float64) 1048576 | int64 }}
{{- else if hasSuffix "Ki" $quantity -}}{{ mulf (trimSuffix "Ki" $quantity | float64) 1024 | int64 }}
{{- else if regexMatch "^[0-9]+$" $quantity -}}{{ $quantity }}
{{- else -}}{{ fail (printf "resources.limits.memory: %s is not of the form 1Gi, 512Mi or 1073741824" $quantity) }}
{{- end -}}
{{- end -}}

{{- define "rte.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "listen" ":8080" -}}
{{- $_ := set $config "console" (dict "listen" ":9090") -}}
{{- if .Values.relay.enabled -}}
{{- $_ := set $config "relay" (merge (dict "listen" ":8090") ($config.relay | default dict)) -}}
{{- end -}}
{{- $_ := set $config "shutdown" (dict "delay" "0s" "drain" (printf "%ds" (int .Values.shutdown.drain)) "wait" (printf "%ds" (int .Values.shutdown.wait)) "timeout" (printf "%ds" (int .Values.shutdown.timeout))) -}}
{{- with (.Values.resources.limits | default dict).memory -}}
{{- $memory := $config.memory | default dict -}}
{{- if not (hasKey $memory "limit") -}}
{{- $_ := set $memory "limit" (include "rte.bytes" . | float64 | mulf 0.9 | int64) -}}
{{- $_ := set $config "memory" $memory -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
