.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Versions of the tools that are installed into bin/ when they are needed.
GOLANGCI_LINT := v2.15.0

# Every build tag of the tests that need more than Go, so that vet and lint see all files.
TAGS := e2e,contract,interop,browser,alerts
PARALLEL ?= 2
FUZZTIME ?= 10s

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the binary, into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/cxbridge ./cmd/cxbridge

.PHONY: test
test: ## the tests that need nothing but Go
	go test ./...

.PHONY: race
race: ## the same under the race detector
	go test -race -p $(PARALLEL) -timeout 20m ./...

.PHONY: vet
vet: ## go vet, with the files of all build tags
	go vet -tags=$(TAGS) ./...

bin/golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv bin/golangci-lint $@

.PHONY: lint
lint: bin/golangci-lint-$(GOLANGCI_LINT) ## golangci-lint
	$< run --build-tags=$(TAGS) --timeout 20m ./...

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s, or a count such as 2000x)
	@for p in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -c6-); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) ./$$p; \
	  done; \
	done

.PHONY: e2e
e2e: build ## the built binary as a process: killed, frozen, cut off
	go test -tags=e2e -count=1 -timeout 20m ./test/e2e/...

.PHONY: contract
contract: ## the official parser of AsyncAPI and the CloudEvents SDKs as judges; installs what they need
	test/contract/setup.sh
	go test -count=1 -tags contract -timeout 15m ./subjects/schema ./test/contract

.PHONY: interop
interop: ## the example bots in every language against the built binary; installs their languages
	test/interop/setup.sh
	go test -count=1 -tags interop -timeout 30m ./test/interop

.PHONY: browser
browser: ## the chat widget, the agent's desk and the console in a real Chromium, which it installs
	test/browser/setup.sh
	go test -count=1 -tags browser -timeout 20m ./test/browser

.PHONY: alerts
alerts: ## the alerts and the dashboard against bridges in trouble, with a real Prometheus, which it fetches
	test/alerts/setup.sh
	go test -count=1 -tags alerts -timeout 30m ./test/alerts

CHAOS_FOR ?= 10m
CHAOS_SEEDS ?=

.PHONY: chaos
chaos: build ## a storm over bridges and a cluster for CHAOS_FOR (10m), by chance or by CHAOS_SEEDS (7, or 1-20)
	go run ./test/chaos -binary bin/cxbridge -for $(CHAOS_FOR) $(if $(CHAOS_SEEDS),-seeds $(CHAOS_SEEDS))

.PHONY: chaos-broken
chaos-broken: ## bridges that are broken on purpose: the storm has to catch each
	go run ./test/chaos -broken -for 30s -seeds 1-3 -patience 15s -quiet

.PHONY: demo
demo: ## a conversation on the bus, in this terminal
	go run ./cmd/cxbridge demo

.PHONY: bench
bench: build ## receipt and commands beside a minimal floor, as ratios
	go run ./test/bench $(BENCH)
