#!/usr/bin/env bash
# Pushes the image and the chart of dist/ to a registry and signs them, the list of what they are made of, and the checksums.
# Usage: publish.sh REGISTRY, as in ghcr.io/regcred. Needs skopeo; it, Helm and cosign have to be logged in. With nothing else it signs by the
# identity of whoever runs it; COSIGN_FLAGS, SKOPEO_FLAGS and HELM_FLAGS are for another key or another kind of registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
registry=$1
dist=${DIST:-dist}
read -ra sign <<<"${COSIGN_FLAGS:---yes}"
read -ra push <<<"${SKOPEO_FLAGS:-}"
read -ra helm <<<"${HELM_FLAGS:-}"
version=$(release/version.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/layout"
tar -xzf "$dist/regcred-image.tar.gz" -C "$work/layout"
skopeo copy --quiet --all "${push[@]}" --digestfile "$work/digest" "oci:$work/layout:v$version" \
  "docker://$registry/regcred:v$version"
image=$registry/regcred@$(cat "$work/digest")

"$(tests/tools/build.sh helm)" push "$dist/regcred-$version.tgz" "oci://$registry/charts" "${helm[@]}" >"$work/pushed" 2>&1 ||
  { cat "$work/pushed" >&2 && exit 1; }
chart=$registry/charts/regcred@$(sed -n 's/^Digest: //p' "$work/pushed")

cosign=$(tests/tools/build.sh cosign)
"$cosign" sign --recursive "${sign[@]}" "$image" # the index, and the image of each architecture
"$cosign" sign "${sign[@]}" "$chart"
"$cosign" attest "${sign[@]}" --type cyclonedx --predicate "$dist/regcred.cdx.json" "$image"
read -ra blob <<<"${COSIGN_BLOB_FLAGS:---yes}"
"$cosign" sign-blob "${blob[@]}" --bundle "$dist/SHA256SUMS.bundle" "$dist/SHA256SUMS" >/dev/null
echo "$image"
echo "$chart"
