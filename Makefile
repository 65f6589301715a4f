# The verbs of this repository. `make` alone lists them.
GOLANGCI_VERSION := v2.15.0
FUZZTIME         ?= 10s
export GOTOOLCHAIN ?= local

.DEFAULT_GOAL := help
.PHONY: help check test e2e faults faults-long fuzz lint build up down

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: lint ## everything that is fast: gofmt, vet, lint, the house rules
	@unformatted=$$(git ls-files '*.go' | xargs -r gofmt -l); test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go test -run House ./test

lint: bin/golangci-lint-$(GOLANGCI_VERSION) ## golangci-lint, built from source in the pinned version
	$< run ./...

bin/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@

test: ## all tests, with the race detector and in random order; container tests need an engine
	go test -race -shuffle=on ./...

e2e: ## the container tests; fails, rather than skips, without an engine
	CI=true go test -v -p=1 -count=1 ./test/...

faults: ## break things while people write, for five minutes; SEED=n repeats a run; logs of failures in bin/faults
	@mkdir -p bin/faults
	TOWPATH_FAULTS=short TOWPATH_SEED=$(SEED) go test -v -count=1 -timeout=15m -artifacts -outputdir=$(CURDIR)/bin/faults ./test/faults

faults-long: ## all of the fault suite, for hours; writes its results into docs/guarantees.md
	@mkdir -p bin/faults
	TOWPATH_FAULTS=long TOWPATH_SEED=$(SEED) go test -v -count=1 -timeout=3h -artifacts -outputdir=$(CURDIR)/bin/faults ./test/faults

fuzz: ## each fuzz target for FUZZTIME (10s)
	.ci/fuzz $(FUZZTIME)

build: ## the static binaries, in bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

up: ## everything in containers, with a demo bot and a fake platform
	@test -f .env || cp .env.example .env
	docker compose up --build --detach --wait

down: ## stop the containers; their data stays in the volume
	docker compose down
