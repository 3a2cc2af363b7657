#!/usr/bin/env bash
# Puts Prometheus and promtool into bin/, as Debian packages them: to build them takes minutes. Nothing is installed or started.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x bin/prometheus ] && [ -x bin/promtool ] && exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get update -qq
apt-get download -qq -o APT::Sandbox::User=root prometheus
dpkg -x prometheus_*.deb .
cd - >/dev/null
mkdir -p bin
mv "$folder/usr/bin/prometheus" "$folder/usr/bin/promtool" bin/
bin/promtool --version | head -n 1
