#!/usr/bin/env bash
# Makes dist/ ($DIST) of target/binaries ($BINARIES; release/binaries.sh): an archive for each architecture, the plugin's manifest for krew, an
# image of both architectures as an OCI layout, the chart, one manifest of everything, what it is made of, and checksums.
# Needs buildah; the packages' list needs SBOM=1, as its tool takes minutes to build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(release/version.sh)
repository=${REPOSITORY:-https://github.com/regcred/regcred}
revision=$(git rev-parse HEAD)
# The commit's time is that of all files, so that the same commit gives the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
certificates=/etc/ssl/certs/ca-certificates.crt
binaries=${BINARIES:-target/binaries}
dist=${DIST:-dist}

rm -rf "$dist"
mkdir -p "$dist"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { # FOLDER ARCHIVE
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C "$1" -c . | gzip -n >"$2"
}

# The kubectl plugin is the same program; krew names the link that it makes.
for architecture in amd64 arm64; do
  mkdir "$work/$architecture"
  cp "$binaries/$architecture/regcred" LICENSE "$work/$architecture"
  pack "$work/$architecture" "$dist/regcred-linux-$architecture.tar.gz"
done
sum() { sha256sum "$1" | cut -d ' ' -f 1; }
sed -e "s#VERSION#v$version#g; s#REPOSITORY#$repository#g" \
  -e "s#SHA256_AMD64#$(sum "$dist/regcred-linux-amd64.tar.gz")#; s#SHA256_ARM64#$(sum "$dist/regcred-linux-arm64.tar.gz")#" \
  release/krew.yaml >"$dist/regcred.yaml"

# The Dockerfile's last stage, with these binaries in the place of what its first one builds. No emulation is needed.
store() {
  buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}
for architecture in amd64 arm64; do
  image=$work/context-$architecture/image
  mkdir -p "$image/etc/ssl/certs"
  cp "$binaries/$architecture/regcred" LICENSE "$image"
  cp "$certificates" "$image/etc/ssl/certs/"
  chmod -R u=rwX,go=rX "$image"
  store build --quiet --isolation chroot --pull-never --platform "linux/$architecture" --timestamp "$SOURCE_DATE_EPOCH" \
    --label "org.opencontainers.image.version=v$version" --label "org.opencontainers.image.revision=$revision" \
    --label "org.opencontainers.image.source=$repository" --format oci \
    --identity-label=false --build-context "build=${image%/image}" --manifest regcred . >/dev/null
done
store manifest push --quiet --all --format oci regcred "oci:$work/layout:v$version" >/dev/null
pack "$work/layout" "$dist/regcred-image.tar.gz"

make --no-print-directory install-manifest DIST="$dist"
"$(tests/tools/build.sh helm)" package charts/regcred --destination "$dist" >/dev/null
if [ -n "${SBOM:-}" ]; then
  "${CARGO:-cargo}" cyclonedx --quiet --format json --manifest-path Cargo.toml --target x86_64-unknown-linux-musl \
    --override-filename regcred.cdx
  mv regcred.cdx.json "$dist/"
  rm -f bench/regcred.cdx.json tests/controlplane/regcred.cdx.json # it writes one for each member of the workspace
fi
cd "$dist"
sha256sum -- * >SHA256SUMS
