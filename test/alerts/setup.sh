#!/usr/bin/env bash
# Builds prometheus and promtool at a pinned version into bin/, without the service discoveries that nobody needs here, unless they are there.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v0.313.5 # of the Go module; v3.13.5 of Prometheus
stamp=bin/prometheus-$version
[ -x "$stamp" ] && [ -x "bin/promtool-$version" ] && exit 0
# The module replaces a dependency, so "go install module@version" does not take it; its own directory is built instead.
source=$(cd /tmp && GOFLAGS=-mod=mod go mod download -json "github.com/prometheus/prometheus@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
mkdir -p bin/prometheus-build
CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly go build -C "$source" -tags remove_all_sd -ldflags '-s -w' -o "$PWD/bin/prometheus-build/" ./cmd/prometheus ./cmd/promtool
mv bin/prometheus-build/promtool "bin/promtool-$version"
mv bin/prometheus-build/prometheus "$stamp"
rmdir bin/prometheus-build
