#!/usr/bin/env bash
# Builds the image that is shipped, by the Dockerfile as it is, and prints where its archive is. Progress goes to stderr.
# As root on Debian, with buildah, mmdebstrap and the local Rust toolchain; ends with 3 if the base image can't be made,
# or the toolchain has no library for musl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/regcred/image
# buildah keeps what the Dockerfile caches there, too: the operator's dependencies are compiled once.
export TMPDIR=$cache/tmp
mkdir -p "$TMPDIR" target/image
exec 9>"$cache/lock"
flock 9 # one at a time
find "$TMPDIR" -mindepth 1 -maxdepth 1 ! -name 'buildah-cache*' -exec rm -rf --one-file-system {} + # left by a killed one
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

store() { # COMMAND ...: buildah, with images of our own
  buildah --root "$cache/storage" --runroot "$cache/run" --storage-driver vfs "$@" 9>&-
}

# An image in place of the one that the Dockerfile builds in, as nothing is pulled here. What matters of the real one is in
# it: a Rust that links musl statically, at the paths at which the local toolchain is mounted, a C compiler for that, and CA
# certificates. Packages come from where the machine's own come from. Crates are fetched beforehand.
base_image() { # NAME
  local sources
  apt-config dump | grep -E '^Acquire::(https?|Check)' >"$work/apt.conf" || true
  sources=$(find /etc/apt -name '*.list' -o -name '*.sources')
  debian() { # VARIANT PACKAGES ARCHIVE
    # Its mounts go with it, even if it is killed.
    # shellcheck disable=SC2086 # one argument for each file
    unshare --mount mmdebstrap --quiet --mode=root --variant="$1" --include="$2" --aptopt="$work/apt.conf" \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/$3" $sources >&2 9>&-
  }
  debian minbase gcc,libc6-dev,musl-tools,ca-certificates build.tar || return 3
  cat >"$work/Dockerfile" <<END
FROM scratch
ADD build.tar /
ENV CARGO_BUILD_TARGET=$musl CARGO_NET_OFFLINE=true
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo
ENV PATH=/usr/local/cargo/bin:/usr/local/rustup/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
  store build --quiet --isolation chroot --tag "$1" "$work" >/dev/null
}

musl=$(uname -m)-unknown-linux-musl

sum() {
  sha256sum | cut -c 1-16
}

# Under which the Deployment looks for it.
name=$(sed -n 's/^ *image: //p' config/manager/deployment.yaml)
# What can change the image. The rest of its context is there for cargo to see.
key=$({
  echo "$name" && declare -f base_image && rustc -Vv
  find Cargo.toml Cargo.lock LICENSE Dockerfile .dockerignore src -type f -print0 | sort -z | xargs -0 sha256sum
} | sum)
archive=$PWD/target/image/$key.tar
if [ ! -e "$archive" ]; then
  started=$SECONDS
  store rm --all >/dev/null # likewise
  from=$(sed -En 's/^FROM ([^ ]+) AS build$/\1/p' Dockerfile)
  made=$({ declare -f base_image && echo "$from"; } | sum)
  if [ "$(cat "$cache/base_image" 2>/dev/null)" != "$made" ]; then
    echo "making a base image of Debian's packages …" >&2
    store rmi --all --force >/dev/null
    base_image "$from"
    echo "$made" >"$cache/base_image"
    echo "made the base image in $((SECONDS - started)) s" >&2
  fi

  echo 'building the image (minutes the first time) …' >&2
  context=.
  if git rev-parse 2>/dev/null; then # a file that git doesn't know is missing from a clean checkout, and so it is here
    context=$work/context
    mkdir "$context"
    git ls-files -z | tar --null --files-from=- --ignore-failed-read -c | tar -x -C "$context"
  fi
  # The crates that this checkout needs are fetched already, or now. So is the toolchain's library for musl: it may be another
  # toolchain than the one that the base image was made beside.
  rustup --quiet target add "$musl" >&2 || exit 3
  cargo=${CARGO_HOME:-$HOME/.cargo}
  "${CARGO:-cargo}" fetch --quiet --locked --target "$(rustc --print host-tuple)" --target "$musl" >&2
  log=$work/log
  store build --isolation chroot --pull-never --force-rm --layers=false --tag "$name" \
    --volume "$(rustc --print sysroot):/usr/local/rustup:ro" --volume "$cargo/registry:/usr/local/cargo/registry" \
    "$context" >"$log" 2>&1 || { tail -40 "$log" >&2 && exit 1; }
  rm -f target/image/*
  store push --quiet "$name" "docker-archive:$archive.new:$name" >&2
  store rmi "$name" >/dev/null
  mv "$archive.new" "$archive"
  echo "built the image in $((SECONDS - started)) s" >&2
fi
echo "$archive"
