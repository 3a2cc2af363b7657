#!/usr/bin/env bash
# What the judges of this folder need beside Go: npm, which installs them, pinned by package-lock.json. It may be run again.
set -euo pipefail
if ! command -v npm >/dev/null; then
  echo 'setup.sh: installs the package npm'
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends npm
fi
