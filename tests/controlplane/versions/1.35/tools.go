//go:build tools

// Package controlplane names the command that build.sh builds from here.
package controlplane

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
