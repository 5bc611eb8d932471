# Every target has one line of help: `make` prints them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS    := -s -w -X main.version=$(VERSION)
FLAGS      ?=
FUZZTIME   ?= 20s
BENCH      ?= .
BENCHCOUNT ?= 1
IMAGE      ?= rte-server

.PHONY: help build dev test guards mutants churn rolling resume soak audit-soak faults chaos servers simulation attacks deps alerts chart shell lint generate fmt fuzz bench scaling bench-peers bench-deflate compatibility autobahn site vuln supply-chain nightly wallboard week map diagrams picture console console-pictures image release check clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/rte-server, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/rte-server ./cmd/rte-server

dev: build ## run a demo call centre on http://127.0.0.1:8080, needs nothing but Go (FLAGS for more)
	exec bin/rte-server dev $(FLAGS)

test: deps build alerts chart shell site ## run every test, after installing what the tests need
	go vet -tags faults ./... # with the tests of other targets
	rm -f build/reports/repeated.txt
	scripts/go-test.sh -race -timeout 20m ./...
	scripts/go-test.sh -vet=off -run lloc -timeout 5m ./internal/... # the race detector allocates, too
	cd bench && go vet ./... && ../scripts/go-test.sh -race -timeout 5m ./...
	@cat build/reports/*.txt 2>/dev/null || true # none where all results are cached

faults: deps ## run what can go wrong with Redis, longer and with Sentinels and clusters: about 12 minutes
	go test -tags faults -race -timeout 30m -v -run 'TestFault_' -skip '600000Lanes' ./internal/backplane/redis/
	go test -tags faults -timeout 10m -v -run 'TestFault_.*600000Lanes|TestBackplane_clientsComeAndGo' ./internal/backplane/redis/
	go test -tags faults -timeout 20m -v -run 'TestModel_' ./internal/backplane/sequence/

guards: deps ## remove each guard and plant bugs: a test must notice each, see docs/guards.md (RTE_GUARDS: some; 1 hour)
	RTE_GUARDS='$(or $(RTE_GUARDS),all)' RTE_GUARDS_DOC=docs/guards.md \
	  go test -timeout 12h -count 1 -v -run TestChanges_areNoticed ./test/guards/

mutants: deps ## try RTE_MUTANTS mutants (1000), chosen by SEED (1): docs/guards.md, build/mutants.tsv (1 hour)
	RTE_MUTANTS=$(or $(RTE_MUTANTS),1000) RTE_MUTANTS_SEED=$(or $(SEED),1) RTE_MUTANTS_DOC=docs/guards.md \
	  RTE_MUTANTS_LIST=build/mutants.tsv go test -timeout 24h -count 1 -v -run TestMutants_areNoticed ./test/mutants/

simulation: ## play 10,000 schedules of faults in simulated time, from SEED (1) on, and compare replays (10 minutes)
	go test -c -o build/simulation ./internal/simtest
	cd internal/simtest && ../../build/simulation -test.run 'TestReplay|_regressions'
	cd internal/simtest && printf '%d\n' $(or $(SEED),1) $$(($(or $(SEED),1) + 5000)) | xargs -P 2 -I{} \
	  ../../build/simulation -test.run 'TestSimulation$$' -test.timeout 60m -simtest.count 5000 -simtest.first {}

attacks: ## attack the program, measure its healthy clients, and write the table of docs/security.md (2 minutes)
	RTE_ATTACKS=full RTE_ATTACKS_DOC=docs/security.md go test -timeout 15m -count 1 -v ./test/attacks/

chaos: deps ## let things go wrong, decide what clients got, and write the table of docs/reliability.md (20 minutes)
	RTE_CHAOS=1 RTE_CHAOS_DOC=docs/reliability.md go test -timeout 40m -count 1 -v -run 'TestAudit$$' ./test/audit/

servers: ## the same, shorter, with Redis 6.2, 7.4 and 8 and Valkey 9, and their table in docs/reliability.md (15 minutes, x86-64)
	scripts/install-test-deps.sh servers
	RTE_AUDIT_SERVERS=$$(printf '%s:' "$$PWD"/build/servers/*/*-server | sed 's/:$$//') RTE_CHAOS_DOC=docs/reliability.md \
	  go test -tags faults -timeout 40m -count 1 -v -run TestAudit_otherServers ./test/audit/
	for server in "$$PWD"/build/servers/*/*-server; do \
	  RTE_REDIS_SERVER=$$server go test -count 1 -timeout 20m -run 'TestFault_|TestConformance' -skip tls ./internal/backplane/redis/; \
	done # these programs have no TLS

rolling: ## restart three nodes behind HAProxy with RTE_ROLLING clients (3000), Redis frozen meanwhile (10 minutes)
	RTE_ROLLING=$(or $(RTE_ROLLING),3000) go test -timeout 60m -count 1 -v -run TestRollingRestart ./test/e2e/

soak: ## run faults of all kinds for an hour, one each 20 s (RTE_SOAK_SPAN: another time)
	RTE_SOAK_SPAN=$(or $(RTE_SOAK_SPAN),1h) go test -tags faults -timeout 24h -v -count 1 -run 'TestFault_soak' ./internal/backplane/redis/

audit-soak: deps ## let things go wrong each 20 s, decide what clients got, and watch memory (RTE_SOAK_SPAN: 1h)
	RTE_SOAK_SPAN=$(or $(RTE_SOAK_SPAN),1h) RTE_SOAK_DOC=docs/reliability.md \
	  go test -tags faults -timeout 24h -v -count 1 -run 'TestSoak$$' ./test/audit/

resume: deps ## cut the sockets of RTE_RESUME clients with stateful reconnect (500 10m), twice: one node, any node
	RTE_RESUME="$(or $(RTE_RESUME),500 10m)" go test -tags faults -timeout 60m -count 1 -v -run 'TestStatefulReconnect_(hidesCuts|throughAnyNode|aSilentServer)' ./test/clients/
	go test -tags faults -timeout 10m -count 1 -v -run 'TestRelay_ownerWithoutCable' ./test/e2e/

churn: ## let a million clients connect, subscribe and go: nothing may be left of them (some minutes)
	RTE_CHURN_CYCLES=1000000 go test -run TestNothingIsLeftOfClientsThatWent -timeout 60m -count 1 -v ./internal/hub

deps: ## install what the tests need, where it is missing (Debian packages, client libraries)
	scripts/install-test-deps.sh

alerts: deps ## check deploy/: HAProxy and Prometheus configuration, alerts and their tests
	scripts/check-deploy.sh

chart: deps build ## check the Helm chart: lint, schemas of Kubernetes, configuration and probes against the program
	scripts/check-chart.sh

shell: deps ## check the shell scripts and YAML files
	shellcheck .ci/run scripts/*.sh deploy/*.sh
	yamllint --strict .

lint: build/golangci-lint ## check the code with the pinned linters, and that go.mod is tidy
	go mod tidy -diff
	build/golangci-lint run --allow-serial-runners ./...
	cd bench && go mod tidy -diff && ../build/golangci-lint run --allow-serial-runners ./...

generate: build ## make what is generated: catalog (api/, docs/events.md, Go, C#), docs/configuration.md, docs/metrics.md, the import graph
	go generate ./internal/events
	bin/rte-server openapi >api/operator.openapi.json
	bin/rte-server config doc >docs/configuration.md
	RTE_METRICS_DOC=1 go test -count 1 -run TestMetrics_areDocumented ./internal/node
	scripts/map.sh

fmt: build/golangci-lint ## format the code and put imports in order
	build/golangci-lint fmt ./...

# Built once per version. It is a module of its own, so that its dependencies stay out of the product's go.mod.
build/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && go build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## run each fuzz target for FUZZTIME (20s)
	scripts/fuzz.sh $(FUZZTIME)

bench: ## run the benchmarks that match BENCH (all), BENCHCOUNT times
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(BENCHCOUNT) ./internal/...

scaling: ## measure dispatcher, registry and inbox on 1, 2, 4 and 8 processors, BENCHCOUNT times (docs/performance.md)
	go test -run '^$$' -bench 'Dispatch_parallel|Inbox|Registry' -cpu 1,2,4,8 -count $(BENCHCOUNT) ./internal/fanout ./internal/subscriptions

bench-peers: ## compare with other servers, on an idle machine, and put the result into docs/performance.md
	cd bench && go run ./cmd/peers -docs ../docs -readme ../README.md

bench-deflate: ## measure compression of rte-server and Centrifugo, on an idle machine, for docs/performance.md (6 minutes)
	cd bench && go run ./cmd/deflate -docs ../docs

compatibility: deps ## make docs/compatibility.md of what the tests say (needs Python 2.7, as autobahn does)
	scripts/compatibility.sh

autobahn: ## be judged by the Autobahn test suite (needs Python 2.7, PYTHON2 says where it is)
	scripts/autobahn.sh

site: ## build the documentation as a site in build/site/html, with search, for reading without a network
	scripts/site.sh

vuln: ## look for known vulnerabilities in what the binary calls (asks vuln.go.dev)
	scripts/vuln.sh

supply-chain: ## build twice and compare, list licences (docs/licenses.md), look for known vulnerabilities (3 minutes)
	scripts/supply-chain.sh

nightly: ## what only a night has time for: fuzz targets for 10 minutes each, chaos, attacks, guards, soak, ... (15 hours)
	$(MAKE) fuzz FUZZTIME=10m
	$(MAKE) --keep-going supply-chain attacks simulation faults chaos servers guards mutants soak audit-soak

wallboard: web/wallboard/node_modules/.package-lock.json ## make the page of `make dev` again, after a change of web/wallboard
	node web/wallboard/build.mjs

web/wallboard/node_modules/.package-lock.json: web/wallboard/package-lock.json
	npm ci --prefix web/wallboard --no-audit --no-fund
	touch $@

map: ## write the import graph of our packages into docs/architecture.md
	scripts/map.sh

week: ## follow a simulated week of 1,000 agents and check every event (10 minutes)
	RTE_SIMULATED_DAYS=7 go test -count 1 -v -timeout 60m -run 'InAWeek/1000' ./internal/simulator

diagrams: deps ## make the diagrams of the documentation from their sources in docs/images/diagrams
	node test/diagrams/render.mjs docs/images/diagrams docs/images/diagrams

picture: deps ## take the pictures of the wallboard in docs/images again
	RTE_WALLBOARD_PICTURES=../../docs/images go test -count 1 -v -timeout 10m -run TestWallboard_looks ./test/wallboard/

console: web/console/node_modules/.package-lock.json ## make the console of the operator port again, after a change of web/console
	node web/console/build.mjs

web/console/node_modules/.package-lock.json: web/console/package-lock.json
	npm ci --prefix web/console --no-audit --no-fund
	touch $@

console-pictures: deps ## take the pictures of the console in docs/console again
	RTE_CONSOLE_PICTURES=../../docs/console go test -count 1 -v -timeout 10m -run TestConsole_looks ./test/console/

image: ## build the container image (needs docker)
	docker build --build-arg VERSION=$(VERSION) --tag $(IMAGE):$(VERSION) .

release: ## make binaries, SBOM, notes and checksums of the tagged commit in build/release (docs/releasing.md)
	scripts/release.sh

check: test lint ## what has to pass before a change lands: test, then lint

clean: ## remove what the other targets built
	rm -rf bin build
