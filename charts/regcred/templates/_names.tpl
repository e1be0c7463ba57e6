{{/* What everything is called, or begins with. At most 55 characters, as a Service's name, which has -metrics behind it, has 63. */}}
{{- define "regcred.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- else if contains "regcred" .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-regcred" .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "regcred.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "regcred.fullname" .) -}}
{{- end -}}

{{/* The namespaces that source Secrets may live in, separated by commas. */}}
{{- define "regcred.credentialNamespaces" -}}
{{- .Values.credentialNamespaces | default (list .Release.Namespace) | join "," -}}
{{- end -}}

{{- define "regcred.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What is added to the labels of config. Not in selectors: these can't change, and there is one regcred in a cluster. */}}
{{- define "regcred.labels" -}}
{{- $labels := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_")) -}}
{{- $_ := set $labels "app.kubernetes.io/instance" .Release.Name -}}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $labels .Values.commonLabels | toYaml -}}
{{- end -}}

{{/*
The version of MutatingAdmissionPolicy to use; empty where there is none. A cluster tells Helm its kinds. Without one, in
`helm template`, Helm knows the version at most: v1 is served from 1.36 on.
*/}}
{{- define "regcred.atCreation" -}}
{{- $served := .Capabilities.APIVersions -}}
{{- $group := "admissionregistration.k8s.io" -}}
{{- if ne .Values.policies.atCreation "auto" -}}
{{- .Values.policies.atCreation | replace "none" "" -}}
{{- else if $served.Has (print $group "/v1/MutatingAdmissionPolicy") -}}
v1
{{- else if $served.Has (print $group "/v1beta1/MutatingAdmissionPolicy") -}}
v1beta1
{{- else if and (not ($served.Has "v1/Secret")) (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) -}}
v1
{{- end -}}
{{- end -}}
