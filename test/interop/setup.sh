#!/usr/bin/env bash
# Installs what the tests of this folder need beyond Go, Python 3.11, Node 20, Rust and a JDK 17 with Maven. Running it again is harmless.
set -euo pipefail
cd "$(dirname "$0")"
examples=$(cd ../../examples && pwd)
mkdir -p .cache
cache=$(cd .cache && pwd)

NATSCLI=v0.3.0

missing=()
for tool in go python3 node npm cargo java mvn; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup.sh: please install first: ${missing[*]}" >&2
  exit 1
fi

# C and the shell: the packages of the system.
packages=()
for package in gcc libc6-dev pkg-config libnats-dev libcjson-dev jq; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || packages+=("$package")
done
if [ ${#packages[@]} -gt 0 ]; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# The shell's nats command.
if [ ! -x "$cache/bin/nats" ]; then
  GOFLAGS=-mod=mod GOBIN="$cache/bin" go install "github.com/nats-io/natscli/nats@$NATSCLI"
fi

# done_once runs a command unless it has been run with the same files before.
done_once() {
  local name=$1 files=$2 sum
  shift 2
  # shellcheck disable=SC2086 # several files
  sum=$(cat $files | sha256sum)
  if [ "$(cat "$cache/$name.sum" 2>/dev/null)" != "$sum" ]; then
    "$@"
    printf '%s\n' "$sum" >"$cache/$name.sum"
  fi
}

python() {
  rm -rf "$cache/python"
  python3 -m venv "$cache/python"
  "$cache/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$examples/python/requirements.txt"
}
[ -x "$cache/python/bin/python" ] || rm -f "$cache/python.sum"
done_once python "$examples/python/requirements.txt" python

[ -d "$examples/javascript/node_modules" ] || rm -f "$cache/javascript.sum"
done_once javascript "$examples/javascript/package-lock.json" npm ci --prefix "$examples/javascript" --no-audit --no-fund --loglevel=error

java() {
  rm -rf "$cache/java"
  mvn --quiet --batch-mode --file "$examples/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/java"
}
[ -d "$cache/java" ] || rm -f "$cache/java.sum"
done_once java "$examples/java/pom.xml" java

cargo fetch --quiet --manifest-path "$examples/rust/Cargo.toml"
(cd "$examples/go" && go mod download)

echo "setup.sh: everything is there"
