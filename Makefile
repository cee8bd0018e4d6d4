# What one does with this repository. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

BUF := tools/node_modules/.bin/buf
REDOCLY := tools/node_modules/.bin/redocly
# What the contracts are compared with: the last release, or else the commit before.
BASE ?= $(shell git describe --tags --abbrev=0 2>/dev/null || git rev-parse -q --verify HEAD~1 2>/dev/null || git rev-parse HEAD)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: run
run: ## Run everything in one process, with a private PostgreSQL: the shop is at http://127.0.0.1:8080
	go run ./cmd/all

.PHONY: demo
demo: ## Shop in the running shop as a customer would
	go run ./cmd/cleave demo

.PHONY: test
test: tools ## Run every test, against a real PostgreSQL and a real Chromium that the tests start themselves
	go test -timeout=40m ./...

.PHONY: test-race
test-race: tools ## The same with the race detector
	go test -race -timeout=80m ./...

# What a failed run has said stays in .cleave/chaos.
CHECKOUTS ?= 10000
KILLS ?= 200
SEED ?= 0
.PHONY: chaos
chaos: ## Kill 200 processes during 10,000 checkouts, then verify: CHECKOUTS=, KILLS= and SEED= make another run
	mkdir -p .cleave/chaos
	go test ./test/chaos -run TestChaos -v -count=1 -timeout=2h -artifacts -outputdir=.cleave/chaos -args -checkouts=$(CHECKOUTS) -kills=$(KILLS) -seed=$(SEED)

# Bash counts its own SECONDS, which make does not see.
SECONDS ?= 600
RATE ?= 20
.PHONY: soak
soak: ## Let customers come for ten minutes, and see that nothing grows: SECONDS= and RATE= make another run
	go test ./test/soak -run TestSoak -v -count=1 -timeout=$$(($(SECONDS) + 900))s -args -seconds=$(SECONDS) -rate=$(RATE)

.PHONY: bench
bench: ## Measure speed and size, as ratios of two things in one run
	go run ./internal/bench

.PHONY: check
check: $(BUF) ## Everything but the tests: format, vet, contracts, generated code
	@test -z "$$(gofmt -l cmd gen internal modules platform test examples)" || { gofmt -l cmd gen internal modules platform test examples; echo "run gofmt -w on these files"; exit 1; }
	go vet ./...
	cd examples/client && go vet ./...
	$(BUF) lint
	$(BUF) format --diff --exit-code proto
	$(BUF) breaking --against '.git#ref=$(BASE)'
	$(MAKE) --no-print-directory check-openapi
	$(MAKE) --no-print-directory check-observability
	$(MAKE) --no-print-directory check-generated

.PHONY: check-openapi
check-openapi: $(BUF) ## Hold the OpenAPI document against redocly's recommended rules
	@lint="$(REDOCLY) lint gen/openapi/openapi.json --extends recommended"; export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true; \
	$$lint --format json 2>/dev/null | tr -d ' \n' | grep -q '"errors":0,"warnings":0' || { $$lint; echo "the OpenAPI document breaks these rules"; exit 1; }

.PHONY: check-observability
check-observability: ## Hold the alerts against their cases, and the configurations of Prometheus and Alertmanager against these
	promtool check config deploy/observability/prometheus/prometheus.yml
	promtool test rules deploy/observability/prometheus/tests/*.yml
	amtool check-config deploy/observability/alertmanager/alertmanager.yml

# Generated code is made anew in place and compared with what was there; a difference stays, to be looked at.
.PHONY: check-generated
check-generated:
	before=$$($(generated-sum)); $(MAKE) --no-print-directory generate; \
	test "$$before" = "$$($(generated-sum))" || { git status --short; echo "generated code is not up to date: commit what make generate wrote"; exit 1; }

generated-sum = git ls-files -co --exclude-standard gen third_party cmd/internal/house docs/topology.md modules/*/internal/ent platform/rpc | sort | xargs cat | sha256sum

.PHONY: generate
generate: $(BUF) ## Make all generated code anew: contracts, ent, the map of the house and its picture
	go run ./internal/tools/protodeps third_party/proto
	$(BUF) generate
	cd platform/rpc/conformance && $(abspath $(BUF)) generate
	go generate ./modules/... ./platform/...
	go run ./cmd/all map > cmd/internal/house/house.json.new
	mv cmd/internal/house/house.json.new cmd/internal/house/house.json
	go run ./cmd/cleave topology --markdown > docs/topology.md.new
	mv docs/topology.md.new docs/topology.md

.PHONY: migrate-new
migrate-new: ## Write the next migration of a module from its ent schema: make migrate-new MODULE=orders NAME=add_notes
	@test -n "$(MODULE)" -a -n "$(NAME)" || { echo "usage: make migrate-new MODULE=orders NAME=add_notes"; exit 2; }
	go run ./internal/tools/migratenew $(MODULE) $(NAME)

.PHONY: states
states: ## Draw the state machines in docs/states anew from the code
	CLEAVE_WRITE_STATES=1 go test ./modules/... -run 'TestStatesAreDrawn' -count=1

.PHONY: tools
tools: $(BUF) ## Install what the tests and make generate need from npm

# Few packages, at exact versions: no lock file is needed.
$(BUF): tools/package.json
	npm install --prefix tools --silent
	touch $@
