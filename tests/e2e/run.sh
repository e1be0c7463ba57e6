#!/usr/bin/env bash
# Proves on a real node that pods pull because of regcred. It starts containers, so it needs root on Linux and the packages
# below; where they can't be had it says so and skips. INSTALL=1 installs them from Debian's packages first.
# Arguments go to the tests: a part of a case's name, or --list.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(containerd runc docker-registry containernetworking-plugins buildah mmdebstrap iproute2 util-linux gcc libc6-dev)
needed=(containerd ctr runc docker-registry /usr/lib/cni/macvlan buildah mmdebstrap apt-config ip setpriv unshare cc)

skip() { # WHY
  echo "e2e: skipped: $1"
  exit 0
}
missing() {
  local command
  for command in "${needed[@]}"; do command -v "$command" >/dev/null || echo -n " $command"; done
}

[ "$(uname)" = Linux ] || skip 'containers need Linux'
[ "$(id -u)" = 0 ] || skip 'starting containers needs root'
if [ -n "$(missing)" ] && [ -n "${INSTALL:-}" ]; then
  command -v apt-get >/dev/null || skip "there is no apt-get to install ${packages[*]} with"
  echo "e2e: installing ${packages[*]}"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 ||
    { tail -5 "$log" && rm "$log" && skip "apt-get can't install ${packages[*]}"; }
  rm "$log"
fi
[ -z "$(missing)" ] || skip "missing:$(missing); on Debian: apt-get install ${packages[*]}"
unshare --net --mount --pid --fork true 2>/dev/null || skip 'this root may not make namespaces (unshare)'
unshare --net sh -c 'ip link add pods type bridge && ip link add link pods type macvlan mode bridge' 2>/dev/null ||
  skip 'this kernel has no bridge or macvlan interfaces'

image=$(tests/e2e/build_image.sh) || {
  [ $? = 3 ] && skip "the base image can't be made of Debian's packages and the Rust target for musl"
  exit 1
}
tests/controlplane/build.sh etcd kube-apiserver kubectl >/dev/null
for command in kube-controller-manager throwaway-key kube-scheduler kubelet; do
  tests/controlplane/build.sh "$command" >/dev/null
done
tests/tools/build.sh helm >/dev/null
REGCRED_E2E_IMAGE=$image "${CARGO:-cargo}" test --locked --test e2e -- "$@"
