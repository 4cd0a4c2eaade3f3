# Muster: see README.md. Everything here needs Go and make alone, unless it says otherwise.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
HOSTARCH := $(shell go env GOARCH)
# The machines an agent can be fetched for; `make run` builds only this machine's own.
AGENT_ARCHS ?= amd64 arm64
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
TYPESCRIPT := typescript@7.0.2

.PHONY: run build agents test test-go lint agents bench bench-peers dev deps clean

run: bin/agents/muster-agent-linux-$(HOSTARCH) ## build, then serve on this machine
	@$(GOBUILD) -o bin/muster ./cmd/muster
	@exec ./bin/muster serve

build: agents ## static binaries in bin/, version stamped
	$(GOBUILD) -o bin/muster ./cmd/muster
	$(GOBUILD) -o bin/muster-agent ./cmd/muster-agent

agents: $(foreach arch,$(AGENT_ARCHS),bin/agents/muster-agent-linux-$(arch))

bin/agents/muster-agent-linux-%: FORCE
	@CGO_ENABLED=0 GOOS=linux GOARCH=$* go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/muster-agent

FORCE:

deps: ## what the tests need beyond Go: installed with apt where that is allowed, else named
	@sh deploy/test-deps.sh

test: deps test-go ## every test, with the race detector

test-go:
	go test -race -timeout 30m ./...

lint: ## go vet, staticcheck, gofmt, and the types of the pages' scripts (needs npx)
	@test -z "$$(gofmt -l . | grep -v node_modules)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./cmd/muster-agent
	GOOS=windows go vet ./cmd/muster-agent
	go run $(STATICCHECK) ./...
	npx -y -p $(TYPESCRIPT) tsc --noEmit -p internal/web/tsconfig.json

bench: ## the rooms' own benchmarks
	go test -run '^$$' -bench . -benchmem ./...

bench-peers: build ## whole processes beside peers from Debian's packages; docs/guide/performance.md explains
	$(GOBUILD) -o bin/muster-load ./bench/load
	go run ./bench/peers

dev: ## rebuild and restart at every change
	go run ./bench/dev

clean:
	rm -rf bin
