#!/usr/bin/env bash
# Makes kubectl-*.json: the .dockerconfigjson that kubectl itself writes. Usage: KUBECTL=… ./make-kubectl.sh
set -euo pipefail
cd "$(dirname "$0")"

# Every control character that an argument can hold, what Go escapes for HTML, and some Unicode.
{
  for code in $(seq 1 31) 127; do printf "\\x$(printf %x "$code")"; done
  printf '%s' ' "quoted" back\slash </script> & tom > jerry é € 😀'
  printf '\xe2\x80\xa7 \xe2\x80\xa8 \xe2\x80\xa9 \xe2\x80\xaa\n'
} >odd-password.txt

docker_config() { # password file
  local password
  password=$(cat "$1" && printf .) # $(…) alone would cut off the final newline
  "${KUBECTL:-kubectl}" create secret docker-registry x --dry-run=client -o json --docker-server=gcr.io \
    --docker-username=_json_key --docker-password="${password%.}" | jq -r '.data[".dockerconfigjson"]' | base64 -d
}
docker_config odd-password.txt >kubectl-odd-password.json
docker_config ../fixtures/throwaway-key-a.json >kubectl-key-a.json
