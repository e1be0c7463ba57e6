#!/usr/bin/env bash
# Pins the kube-apiserver of another Kubernetes version for the tests: writes versions/MINOR, from which build.sh builds
# it. Usage: pin.sh 1.33.13
set -euo pipefail
version=${1:?usage: pin.sh 1.33.13}
cd "$(dirname "${BASH_SOURCE[0]}")"
minor=${version%.*}
staging=v0.${version#1.}
folder=versions/$minor
mkdir -p "$folder"
theirs=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
modules=$(sed -n 's/^\t\(k8s\.io\/[a-z-]*\) => \.\/staging\/.*/\1/p' "$theirs")
{
  echo '// kube-apiserver of another version: written by pin.sh, built by build.sh.'
  # Its own requirements, with the folders of its tree replaced by their published twins.
  sed -e '/^\/\//d' -e "s|^module .*|module regcred.dev/tests/controlplane/versions/v$minor|" \
    -e '/^replace (/,/^)/d' -e 's| => \./staging/.*||' "$theirs" |
    awk -v modules="$modules" -v staging="$staging" '
      BEGIN { split(modules, names); for (i in names) is[names[i]] = 1 }
      $1 in is { sub(/v0\.0\.0[^ ]*/, staging) }
      { print }'
  printf '\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
  for module in $modules; do printf '\t%s => %s %s\n' "$module" "$module" "$staging"; done
  echo ')'
} | cat -s >"$folder/go.mod.new"
mv "$folder/go.mod.new" "$folder/go.mod"
cat >"$folder/tools.go" <<'GO'
//go:build tools

// Package controlplane names the command that build.sh builds from here.
package controlplane

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
GO
cd "$folder"
rm -f go.sum
# What that command needs and no more.
go list -mod=mod -deps k8s.io/kubernetes/cmd/kube-apiserver >/dev/null
