#!/usr/bin/env bash
# Tests the alerts of config/monitoring with promtool. Where that can't be had it says so and skips; INSTALL=1 takes it out of
# Debian's package prometheus, without installing that, as it would start a server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

skip() { # WHY
  echo "alerts: skipped: $1"
  exit 0
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! promtool=$(command -v promtool); then
  [ -n "${INSTALL:-}" ] || skip 'there is no promtool; on Debian: apt-get install prometheus'
  command -v apt-get >/dev/null || skip 'there is no promtool, and no apt-get to get it with'
  chmod 755 "$work" # apt's own user downloads into it
  (cd "$work" && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }) \
    >"$work/log" 2>&1 || { tail -5 "$work/log" && skip "apt-get can't download prometheus"; }
  dpkg-deb --extract "$work"/prometheus_*.deb "$work/prometheus"
  promtool=$work/prometheus/usr/bin/promtool
fi

# The rules are what a PrometheusRule has as its spec.
sed -n '1,/^spec:$/d; s/^  //p' ../../config/monitoring/rules.yaml >"$work/rules.yaml"
cp alerts.yaml "$work"
"$promtool" check rules "$work/rules.yaml"
"$promtool" test rules "$work/alerts.yaml"
