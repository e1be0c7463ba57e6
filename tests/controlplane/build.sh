#!/usr/bin/env bash
# Builds the Kubernetes control plane for tests and the demo, once, and prints the folder that holds it.
# Usage: build.sh [COMMAND ...]   (default: etcd kube-apiserver kube-controller-manager kubectl)
# Also: kube-scheduler kubelet throwaway-key. Looked for in $KUBEBUILDER_ASSETS first, then in the cache, then built. Progress goes to stderr.
# KUBERNETES=1.33 takes kube-apiserver from versions/1.33, and all else, the controllers included, from the module here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here
[ $# -gt 0 ] || set -- etcd kube-apiserver kube-controller-manager kubectl
pinned() { # FOLDER: the version of Kubernetes that its go.mod requires
  sed -n 's/^\(require \|\t\)k8s.io\/kubernetes \(v[0-9.]*\).*/\2/p' "$1/go.mod"
}
version=$(pinned "$here")
if [ -n "${KUBERNETES:-}" ] && [[ $version != "v$KUBERNETES".* ]]; then
  module=$here/versions/$KUBERNETES
  [ -d "$module" ] || {
    echo "build.sh: Kubernetes $KUBERNETES isn't pinned; there are ${version%.*} and$(cd "$here/versions" && printf ' v%s' *): see pin.sh" >&2
    exit 2
  }
  version=$(pinned "$module")
fi

complete() { # FOLDER COMMAND...: does the folder hold every command?
  local folder=$1 command
  shift
  for command in "$@"; do [ -x "$folder/$command" ] || return 1; done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ "$module" = "$here" ] && complete "$KUBEBUILDER_ASSETS" "$@"; then
  echo "$KUBEBUILDER_ASSETS"
  exit
fi

# The key is what decides the binaries: the module's lock files, its own source, this script and the Go toolchain.
key=$(cat "$module/go.mod" "$module/go.sum" "$here/go.mod" "$here/go.sum" "$here/throwaway-key/main.go" "$here/build.sh" \
  <(go env GOVERSION GOARCH) | sha256sum | cut -c1-12)
bin=${XDG_CACHE_HOME:-$HOME/.cache}/regcred/controlplane/$version-$key
mkdir -p "$bin"
exec 9>"$bin/.lock"
flock 9 # two test runs at once build once

package() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    kube-apiserver | kube-controller-manager | kube-scheduler | kubelet | kubectl) echo "k8s.io/kubernetes/cmd/$1" ;;
    throwaway-key) echo ./throwaway-key ;;
    *) echo "build.sh: no command '$1' is pinned in tests/controlplane/go.mod" >&2 && return 2 ;;
  esac
}

minor=${version#v1.} minor=${minor%%.*}
stamp=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

heartbeat() { # COMMAND: minutes of silence look like a hang
  local seconds=0
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    seconds=$((seconds + 1))
    [ $((seconds % 30)) -ne 0 ] || echo "  still building $1 after $seconds s …"
  done
}
beat=
trap '[ -z "$beat" ] || kill "$beat" 2>/dev/null' EXIT

for command in "$@"; do
  [ -x "$bin/$command" ] && continue
  from=$(package "$command")
  if [ "$module" != "$here" ] && [ "$command" != kube-apiserver ]; then
    ln -sfn "$(KUBERNETES='' "${BASH_SOURCE[0]}" "$command" 9>&-)/$command" "$bin/$command"
    continue
  fi
  echo "building $command $version (minutes the first time, seconds when Go's build cache is warm) …" >&2
  started=$SECONDS
  heartbeat "$command" </dev/null >&2 9>&- &
  beat=$!
  (cd "$module" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w$stamp" -o "$bin/$command.new" "$from") >&2
  mv "$bin/$command.new" "$bin/$command"
  kill "$beat" 2>/dev/null || true
  beat=
  echo "built $command in $((SECONDS - started)) s" >&2
done
echo "$bin"
