{{/* What would come out wrong is refused before anything is written. */}}
{{- define "regcred.checks" -}}
{{- $state := .Values.stateNamespace.name -}}
{{- if has $state (splitList "," (include "regcred.credentialNamespaces" .)) -}}
{{- fail (printf "stateNamespace.name %s is where source Secrets live: the operator's own Secret needs a namespace in which nobody else has rights" $state) -}}
{{- end -}}
{{- /*
Two operators would undo each other's work, and each one's fence would refuse the other's. Objects of the same name Helm refuses
by itself (and takes over with --take-ownership), so this looks for a service account that isn't ours and has another role
than those for people. Without a cluster nothing is found.
*/ -}}
{{- $user := include "regcred.serviceAccount" . -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "").items -}}
{{- $ours := eq (dig "metadata" "labels" "app.kubernetes.io/name" "" .) "regcred" -}}
{{- if and $ours (not (regexMatch "-(viewer|editor)$" .roleRef.name)) -}}
{{- range .subjects -}}
{{- if and (eq .kind "ServiceAccount") (not (and (eq .name $user) (eq .namespace $.Release.Namespace))) -}}
{{- fail (printf "there is a regcred in this cluster already, service account %s in namespace %s, and there can be one only: upgrade that one, or uninstall it first" .name .namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
