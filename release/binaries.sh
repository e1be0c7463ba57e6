#!/usr/bin/env bash
# Builds static binaries for each architecture, whatever the machine's own is: target/binaries/ARCH/regcred. Needs Rust by
# rustup and Python 3 with venv; zig is the C compiler for both. The same commit, Rust and zig give the same bytes, in
# whichever folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=target/release-tools
if [ ! -e "$tools/.done" ] || [ release/requirements.txt -nt "$tools/.done" ]; then
  python3 -m venv --clear "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement release/requirements.txt
  touch "$tools/.done"
fi
# zig's wrapper finds zig by the venv's Python.
export PATH=$PWD/$tools/bin:$PATH

# The folders of whoever builds it are in no panic's message.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export RUSTFLAGS="--remap-path-prefix=$PWD=/regcred --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$(rustc --print sysroot)=/rust"
export CFLAGS="-ffile-prefix-map=$cargo_home=/cargo"
export SOURCE_DATE_EPOCH=0

for pair in amd64:x86_64 arm64:aarch64; do
  target=${pair#*:}-unknown-linux-musl
  rustup --quiet target add "$target"
  "${CARGO:-cargo}" zigbuild --quiet --release --locked --bin regcred --target "$target" --target-dir target/static
  folder=target/binaries/${pair%:*}
  mkdir -p "$folder"
  cp "target/static/$target/release/regcred" "$folder/regcred"
done
