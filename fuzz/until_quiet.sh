#!/usr/bin/env bash
# Fuzzes one target until it has found no new coverage for so many seconds: until_quiet.sh TARGET SECONDS
# What it prints last is libFuzzer's own statistics and a line with the result; it fails where libFuzzer found a crash.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=$1 quiet=$2
log=$(mktemp)
mkdir -p "fuzz/grown/$target"
RUSTC_BOOTSTRAP=1 "${CARGO:-cargo}" fuzz build --sanitizer none "$target"
RUSTC_BOOTSTRAP=1 "${CARGO:-cargo}" fuzz run --sanitizer none "$target" "fuzz/grown/$target" "fuzz/corpus/$target" tests/fixtures -- \
  -print_final_stats=1 2>"$log" &
runner=$!
started=$SECONDS last=$SECONDS coverage=0
while kill -0 "$runner" 2>/dev/null && ((SECONDS - last < quiet)); do
  sleep 1
  now=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
  if ((${now:-0} > coverage)); then
    coverage=$now last=$SECONDS
  fi
done
if kill -0 "$runner" 2>/dev/null; then
  # libFuzzer ends well on an interrupt; cargo-fuzz is its parent.
  pkill -INT -P "$runner" || true
  wait "$runner" || true
  tail -7 "$log"
  echo "$target: no new coverage for $quiet s, after $((SECONDS - started)) s; cov $coverage"
  rm "$log"
else
  cat "$log"
  exit 1
fi
