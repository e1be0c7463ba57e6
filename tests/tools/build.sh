#!/usr/bin/env bash
# Builds the tools of others that tests run, and our own around others' libraries, once, at pinned versions, and prints
# where each is; "gitops-crds" is no tool, but the CRDs of others that docs/gitops.md has resources of, in one file.
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
    cosign) echo github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5 ;;
    validate-krew-manifest) echo sigs.k8s.io/krew/cmd/validate-krew-manifest@v0.4.3 ;;
    gitops-crds) echo crds ;;
    *) echo "build.sh: no tool '$1' is pinned here" >&2 && return 2 ;;
  esac
}

# Module, version, and the file in it.
crds() {
  cat <<END
github.com/argoproj/argo-cd/v3 v3.2.3 manifests/crds/application-crd.yaml
github.com/external-secrets/external-secrets v1.3.2 config/crds/bases/external-secrets.io_externalsecrets.yaml
github.com/fluxcd/kustomize-controller v1.7.3 config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml
github.com/fluxcd/source-controller v1.7.3 config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml
END
}

for name in "$@"; do
  from=$(module "$name")
  case $from in
    *@*) version=${from##*@} ;;
    crds) version=$(crds | sha256sum | cut -c1-12) ;;
    *) version=$(cat "$from"/go.* "$from"/*.go | sha256sum | cut -c1-12) ;; # a folder: our own
  esac
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/regcred/tools/$name-$version-$(go env GOVERSION)
  mkdir -p "$folder"
  exec 9>"$folder/.lock"
  flock 9 # two test runs at once build once
  if [ ! -e "$folder/$name" ]; then
    echo "building $name $version (minutes the first time) …" >&2
    started=$SECONDS
    case $from in
      *@*)
        CGO_ENABLED=0 GOBIN=$folder/bin GOFLAGS=-trimpath go install "$from" >&2 9>&-
        mv "$folder/bin/"* "$folder/$name"
        rmdir "$folder/bin"
        ;;
      crds)
        crds | while read -r module version file; do
          GOFLAGS=-mod=mod go mod download "$module@$version" >&2 9>&-
          cat "$(go env GOMODCACHE)/$module@$version/$file"
          echo ---
        done > "$folder/$name.new"
        mv "$folder/$name.new" "$folder/$name"
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
