#!/usr/bin/env bash
# What a release does, with a key of its own and a registry on loopback: its files are made, pushed, signed, verified, and
# used. The binaries are the local one in either architecture's place, as building them takes a quarter of an hour.
# Where a package is missing it says so and skips; INSTALL=1 installs them from Debian's packages first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(buildah skopeo docker-registry)
missing() {
  local command
  for command in "${packages[@]}"; do command -v "$command" >/dev/null || echo -n " $command"; done
}
if [ -n "$(missing)" ] && [ -n "${INSTALL:-}" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; } >/dev/null ||
    { echo "release: skipped: apt-get can't install ${packages[*]}" && exit 0; }
fi
[ -z "$(missing)" ] || { echo "release: skipped: missing:$(missing)" && exit 0; }

work=$(mktemp -d)
registry=
trap 'kill "$registry" 2>/dev/null && wait "$registry" || :; rm -rf "$work"' EXIT
fail() {
  echo "release: $1" >&2
  exit 1
}
refused() { # COMMAND ...
  ! "$@" >"$work/refused" 2>&1 || fail "it should have been refused: $*"
}

cosign=$(tests/tools/build.sh cosign)
cargo build --quiet --locked
version=$(target/debug/regcred --version | cut -d ' ' -f 2)

# The same files twice, the chart aside, which Helm packs with the time.
export BINARIES=$work/binaries
mkdir -p "$BINARIES"/{amd64,arm64}
strip -o "$BINARIES/amd64/regcred" target/debug/regcred
cp "$BINARIES/amd64/regcred" "$BINARIES/arm64/"
DIST=$work/again release/files.sh
export DIST=$work/dist
release/files.sh
for file in regcred-linux-{amd64,arm64}.tar.gz regcred-image.tar.gz regcred.yaml install.yaml; do
  cmp "$work/again/$file" "$DIST/$file" || fail "$file isn't the same again"
done
(cd "$DIST" && sha256sum --quiet --check SHA256SUMS)

# The plugin, as krew unpacks and calls it.
"$(tests/tools/build.sh validate-krew-manifest)" -manifest "$DIST/regcred.yaml" -skip-install 2>"$work/krew" ||
  fail "$(cat "$work/krew")"
mkdir "$work/krew-store"
tar -xzf "$DIST/regcred-linux-amd64.tar.gz" -C "$work/krew-store"
ln -s regcred "$work/krew-store/kubectl-regcred"
[[ $("$work/krew-store/kubectl-regcred" explain nginx) == *library/nginx* ]] || fail "the plugin doesn't run"
sha256sum "$DIST/regcred-linux-amd64.tar.gz" | cut -d ' ' -f 1 | xargs -I{} grep -q {} "$DIST/regcred.yaml" || fail 'the sum in regcred.yaml'

# What is made of what is tested by the tool that makes it, in the release's workflow.
echo '{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": []}' >"$DIST/regcred.cdx.json"

port=$((20000 + RANDOM % 10000))
cat >"$work/registry.yaml" <<END
version: 0.1
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
END
docker-registry serve "$work/registry.yaml" >"$work/registry.log" 2>&1 &
registry=$!
for _ in $(seq 100); do
  kill -0 "$registry" 2>/dev/null || fail "$(cat "$work/registry.log")"
  grep -q 'listening on' "$work/registry.log" && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done

export COSIGN_PASSWORD=
(cd "$work" && "$cosign" generate-key-pair 2>/dev/null && mkdir other && cd other && "$cosign" generate-key-pair 2>/dev/null)
key="--key $work/cosign.key --tlog-upload=false --yes"
mapfile -t published < <(COSIGN_FLAGS="$key --allow-http-registry" COSIGN_BLOB_FLAGS=$key SKOPEO_FLAGS=--dest-tls-verify=false \
  HELM_FLAGS=--plain-http release/publish.sh "127.0.0.1:$port/regcred" 2>"$work/published")
[ ${#published[@]} = 2 ] || fail "$(cat "$work/published")"

verify() { # KEY REFERENCE
  "$cosign" verify --key "$1" --insecure-ignore-tlog --allow-http-registry "$2"
}
# The index, the chart, and the image of each architecture.
image=${published[0]}
mapfile -t each < <(skopeo inspect --tls-verify=false --raw "docker://$image" | grep -o 'sha256:[0-9a-f]*')
[ ${#each[@]} = 2 ] || fail "${#each[@]} images are in the index"
for reference in "${published[@]}" "${each[@]/#/${image%@*}@}"; do
  verify "$work/cosign.pub" "$reference" >/dev/null 2>"$work/said" || fail "$(cat "$work/said")"
  refused verify "$work/other/cosign.pub" "$reference"
done
"$cosign" verify-attestation --key "$work/cosign.pub" --insecure-ignore-tlog --allow-http-registry --type cyclonedx \
  "$image" >/dev/null 2>"$work/said" || fail "$(cat "$work/said")"
blob=("$cosign" verify-blob --key "$work/cosign.pub" --insecure-ignore-tlog --bundle "$DIST/SHA256SUMS.bundle" "$DIST/SHA256SUMS")
"${blob[@]}" 2>"$work/said" || fail "$(cat "$work/said")"
echo >>"$DIST/SHA256SUMS"
refused "${blob[@]}"

for architecture in amd64 arm64; do
  config=$(skopeo inspect --tls-verify=false --override-arch "$architecture" --config "docker://$image")
  grep -q "\"architecture\": \"$architecture\"" <<<"$config" || fail "no image for $architecture: $config"
  grep -q "\"org.opencontainers.image.revision\": \"$(git rev-parse HEAD)\"" <<<"$config" || fail "no revision: $config"
done
# The chart out of the registry is the one of this checkout.
helm=$(tests/tools/build.sh helm)
template() { # CHART ...
  HELM_CONFIG_HOME=$work/helm HELM_CACHE_HOME=$work/helm HELM_DATA_HOME=$work/helm "$helm" template regcred "$@"
}
cmp <(template "oci://127.0.0.1:$port/regcred/charts/regcred" --version "$version" --plain-http 2>/dev/null) <(template charts/regcred) ||
  fail "the chart out of the registry is another one"
echo 'release: made, pushed, signed, verified'
