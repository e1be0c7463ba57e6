#!/usr/bin/env bash
# Builds the tools of others that tests run, and our own around others' libraries, once, at pinned versions, and prints
# where each is.
# Usage: build.sh NAME ...   Kept in the cache folder; progress goes to stderr.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

module() {
  case $1 in
    helm) echo helm.sh/helm/v4/cmd/helm@v4.3.2 ;;
    helm-3) echo helm.sh/helm/v3/cmd/helm@v3.22.0 ;;
    kustomize-4.5) echo sigs.k8s.io/kustomize/kustomize/v4@v4.5.7 ;;
    actionlint) echo github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 ;;
    health) echo "${here%/*}/health" ;;
    kustomize-5.8) echo sigs.k8s.io/kustomize/kustomize/v5@v5.8.1 ;;
    *) echo "build.sh: no tool '$1' is pinned here" >&2 && return 2 ;;
  esac
}

for name in "$@"; do
  from=$(module "$name")
  case $from in
    *@*) version=${from##*@} ;;
    *) version=$(cat "$from"/go.* "$from"/*.go | sha256sum | cut -c1-12) ;; # a folder: our own
  esac
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/regcred/tools/$name-$version-$(go env GOVERSION)
  mkdir -p "$folder"
  exec 9>"$folder/.lock"
  flock 9 # two test runs at once build once
  if [ ! -x "$folder/$name" ]; then
    echo "building $name $version (minutes the first time) …" >&2
    started=$SECONDS
    case $from in
      *@*)
        CGO_ENABLED=0 GOBIN=$folder/bin GOFLAGS=-trimpath go install "$from" >&2 9>&-
        mv "$folder/bin/"* "$folder/$name"
        rmdir "$folder/bin"
        ;;
      *)
        (cd "$from" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$folder/$name.new" .) >&2 9>&-
        mv "$folder/$name.new" "$folder/$name"
        ;;
    esac
    echo "built $name in $((SECONDS - started)) s" >&2
  fi
  exec 9>&-
  echo "$folder/$name"
done
