{{/*
The objects of a file of files/config, which are copies of the repository's config folder, as a YAML list, under the names of
this release: what config/relocate does for kustomize. So each right, rule and probe is written once.
Called with a list of $ and the file.
*/}}
{{- define "regcred.config" -}}
{{- $root := index . 0 -}}
{{- $fullname := include "regcred.fullname" $root -}}
{{- $user := include "regcred.serviceAccount" $root -}}
{{- $namespaces := dict "regcred-system" $root.Release.Namespace "regcred-state" $root.Values.stateNamespace.name -}}
{{- $text := $root.Files.Get (print "files/config/" (index . 1)) | required (print "files/config has no " (index . 1)) -}}
{{- /* In expressions of policies these stand at the end of a text in single quotes. */ -}}
{{- $text = $text | replace "'system:serviceaccount:regcred-system:regcred'" (printf "'system:serviceaccount:%s:%s'" $root.Release.Namespace $user) -}}
{{- $text = $text | replace "regcred-state'" (printf "%s'" $root.Values.stateNamespace.name) -}}
{{- $objects := list -}}
{{- range splitList "\n---\n" $text -}}
{{- $object := fromYaml . -}}
{{- $metadata := $object.metadata -}}
{{- if eq $object.kind "Namespace" -}}
{{- $_ := set $metadata "name" (get $namespaces $metadata.name) -}}
{{- else if eq $object.kind "ServiceAccount" -}}
{{- $_ := set $metadata "name" $user -}}
{{- else -}}
{{- $_ := set $metadata "name" (print $fullname (trimPrefix "regcred" $metadata.name)) -}}
{{- end -}}
{{- with $metadata.namespace -}}
{{- $_ := set $metadata "namespace" (get $namespaces . | default .) -}}
{{- end -}}
{{- $_ := set $metadata "labels" (merge $metadata.labels (include "regcred.labels" $root | fromYaml)) -}}
{{- with $object.roleRef -}}
{{- $_ := set . "name" (print $fullname (trimPrefix "regcred" .name)) -}}
{{- end -}}
{{- range $object.subjects -}}
{{- $_ := set . "name" $user -}}
{{- $_ := set . "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- with ($object.spec).policyName -}}
{{- $_ := set $object.spec "policyName" (print $fullname (trimPrefix "regcred" .)) -}}
{{- end -}}
{{- $objects = append $objects $object -}}
{{- end -}}
{{- toYaml $objects -}}
{{- end -}}

{{/* The same, as documents. */}}
{{- define "regcred.documents" -}}
{{- range include "regcred.config" . | fromYamlArray }}
---
{{ toYaml . }}
{{- end }}
{{- end -}}
