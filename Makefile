# The project's commands; "make" alone lists them. demo, test and build need Go and
# nothing else; lint and e2e fetch and build their pinned tools into the user's cache.
# lint needs shellcheck and npm; e2e PostgreSQL, runc, git and curl, and root for the
# workflow; faults and bench PostgreSQL.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pushguard

GOLANGCI_VERSION := v2.15.0
GOLANGCI_DIR := $(CACHE)/golangci-lint-$(GOLANGCI_VERSION)-$(shell go env GOVERSION)
GOLANGCI := $(GOLANGCI_DIR)/golangci-lint

# actionlint and shfmt, as their own module pins them.
LINTERS := $(CACHE)/lint-tools-$(shell cksum <scripts/lintworkflows/tools/go.mod | tr ' ' -)-$(shell go env GOVERSION)
SCRIPTS := .ci/run scripts/*.sh scripts/lintworkflows/*.sh scripts/picture/*.sh setup/*.sh

# What builds a release. 2.16 is the newest goreleaser that Go 1.26 builds.
GORELEASER_VERSION := v2.16.0
SYFT_VERSION := v1.57.0
RELEASE_TOOLS := $(CACHE)/release-tools-$(GORELEASER_VERSION)-$(SYFT_VERSION)-$(shell go env GOVERSION)

# The race detector needs a C compiler on most systems: Go says whether it found one.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race,$(warning no C compiler: tests run without the race detector))

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the whole chain on this machine; IMAGE=FILE takes an image of yours
	go run ./scripts/demo $(if $(IMAGE),-image $(IMAGE))

# Lean: no C library, none of the debug pages of grpc and urfave/cli, and inlining
# only where it is felt: signretry is 6 % smaller for it and takes no longer.
BIN = bin
INLINED = runtime/... internal/runtime/... crypto/internal/fips140/...
.PHONY: build
build: ## Build the three commands into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -gcflags=all=-l $(INLINED:%=-gcflags=%=) \
		-tags urfave_cli_no_docs,grpcnotrace -o $(BIN)/ ./cmd/...

.PHONY: share
share: ## Write the completions and man pages in share/ anew
	PUSHGUARD_WRITE_SHARE=1 go test -count=1 -run '^TestShare_' ./cmd

# Needs npm and Chromium. Look at what it has drawn before you commit it.
.PHONY: pictures
pictures: ## Draw the pictures of the README from a run of the demo
	dir=$$(mktemp -d) && go run ./scripts/demo -summary $$dir/summary.md >$$dir/demo.txt 2>&1 && \
	go run ./scripts/picture <$$dir/demo.txt >docs/demo-light.svg && \
	go run ./scripts/picture -dark <$$dir/demo.txt >docs/demo-dark.svg && \
	scripts/picture/summary.sh $$dir/summary.md docs/summary-light.png docs/summary-dark.png && rm -r $$dir

.PHONY: test
test: ## Run the tests, with the race detector; 100,000 histories and 1,200 simulated seeds without it
	go test $(RACE) ./...
	go test -run '^(TestHistories|TestSimulation)$$' ./pkg/cleanup ./pkg/simulation

SEEDS ?= 100000
SEED ?= 0
.PHONY: simulate
simulate: ## Run the chain through SEEDS=100000 simulated worlds, from SEED=0 on
	go test -count=1 -timeout 0 -run '^TestSimulation$$' ./pkg/simulation -seeds=$(SEEDS) -seed=$(SEED) -v

.PHONY: simulate-mutants
simulate-mutants: ## Break the packages on purpose: the simulator must notice; writes docs/simulation.md
	go run ./scripts/mutants -write

.PHONY: e2e
e2e: ## Run the commands, and the workflow, on real registries and a real Sigstore
	cd e2e && go test -p 1 -count=1 -timeout 60m -parallel 6 -v ./...

.PHONY: crash
crash: ## Kill the built commands CRASHES=200 times on each registry, with each log; they must end as if nobody had
	cd e2e && PUSHGUARD_CRASHES=$(or $(CRASHES),200) go test -count=1 -timeout 120m -parallel 4 -run '^TestCrash$$' -v

.PHONY: faults
faults: ## Break the real servers under signretry and both cosigns; writes docs/faults-real.md
	cd e2e && PUSHGUARD_WRITE_FAULTS=1 go test -count=1 -timeout 60m -parallel 6 -run '^(TestNeed|TestFaults)$$' -v

.PHONY: bench
bench: ## Run the benchmarks; tagcheck beside its peers, signretry beside cosign
	go test -run '^$$' -bench . ./...
	go run ./scripts/bench
	cd e2e && go test -run '^$$' -bench . -timeout 60m -v

# About ten minutes each to build from nothing, so no other target needs them.
$(RELEASE_TOOLS):
	mkdir -p $(CACHE)
	tmp=$$(mktemp -d $(CACHE)/building-XXXXXX) && \
	GOBIN=$$tmp GOFLAGS= CGO_ENABLED=0 go install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION) && \
	GOBIN=$$tmp GOFLAGS= CGO_ENABLED=0 go install github.com/anchore/syft/cmd/syft@$(SYFT_VERSION) && mv $$tmp $@

.PHONY: release-snapshot
release-snapshot: $(RELEASE_TOOLS) ## Build what a release of the last commit holds into dist/
	$(RELEASE_TOOLS)/goreleaser check --quiet
	PATH="$(RELEASE_TOOLS):$$PATH" scripts/snapshot.sh $(CURDIR)/dist

# Needs what e2e needs, and ruby, rpm, man, fish and zsh. The second build is in another
# folder: its checksums must be the same.
.PHONY: release-test
release-test: release-snapshot ## Build it twice, compare, unpack, install it, and run release.yml on it
	PATH="$(RELEASE_TOOLS):$$PATH" scripts/snapshot.sh $(CACHE)/dist-again
	PUSHGUARD_DIST=$(CURDIR)/dist PUSHGUARD_DIST_AGAIN=$(CACHE)/dist-again go test -count=1 ./scripts/releasetest
	cd e2e && PUSHGUARD_DIST=$(CURDIR)/dist go test -count=1 -timeout 60m -v -run '^TestSnapshot' ./workflow

# cosign is the one of e2e's tools; release.yml's tests bring their own.
COSIGN ?= $(CACHE)/cosign-$(shell cksum <e2e/tools/go.mod | tr ' ' -)-$(shell go env GOVERSION)/cosign
$(CACHE)/cosign-%/cosign:
	mkdir -p $(@D)
	GOFLAGS= CGO_ENABLED=0 go build -C e2e/tools -o $@ github.com/sigstore/cosign/v3/cmd/cosign

.PHONY: release-sign
release-sign: $(COSIGN)
	$(COSIGN) sign-blob --yes --bundle dist/checksums.txt.sigstore.json dist/checksums.txt

# VERIFY is a folder with the files of the release, served at PUSHGUARD_RELEASES.
.PHONY: release-verify
release-verify: $(COSIGN)
	cd $(VERIFY) && sha256sum --check --strict checksums.txt
	dir=$$(mktemp -d) && PATH="$(dir $(COSIGN)):$$PATH" setup/install.sh \
		--version "$$(cat VERSION)" --commit "$${GITHUB_SHA:-$$(git rev-parse HEAD)}" --dir "$$dir" && rm -r "$$dir"

.PHONY: lint
lint: lint-shell $(GOLANGCI) ## Check both modules, scripts and workflows
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	go vet ./...
	go fix -diff ./...
	go mod tidy -diff
	@! grep -rnE 'GHCR|DockerHub|ghcr\.io|docker\.io' pkg/cleanup pkg/change pkg/tagcheck pkg/signretry cmd --include='*.go' --exclude='*_test.go' || \
		{ echo "what is known of one registry belongs into its file in pkg/registry/host"; exit 1; }
	$(GOLANGCI) run
	cd e2e && go vet ./...
	cd e2e && go fix -diff ./...
	cd e2e && go mod tidy -diff
	cd e2e && $(GOLANGCI) run --config ../.golangci.yml

# GitHub's parser checks itself with a file that GitHub refuses. zizmor runs in the
# GitHub workflow only.
.PHONY: lint-shell
lint-shell: $(LINTERS)
	shellcheck $(SCRIPTS)
	$(LINTERS)/shfmt -d -i 2 $(SCRIPTS)
	$(LINTERS)/actionlint
	scripts/lintworkflows/run.sh $(wildcard .github/workflows/*.yml setup/action.yml e2e/workflow/testdata/actions/*/action.yml)
	! scripts/lintworkflows/run.sh scripts/lintworkflows/testdata/refused.yml >/dev/null
	go run ./scripts/lintbooleans .github setup e2e/workflow/testdata

.PHONY: fmt
fmt: $(GOLANGCI) $(LINTERS) ## Format both modules and the scripts
	$(LINTERS)/shfmt -w -i 2 $(SCRIPTS)
	go fix ./... && $(GOLANGCI) fmt
	cd e2e && go fix ./... && $(GOLANGCI) fmt --config ../.golangci.yml

$(LINTERS):
	mkdir -p $(CACHE)
	tmp=$$(mktemp -d $(CACHE)/building-XXXXXX) && \
	go build -C scripts/lintworkflows/tools -o $$tmp/ tool && mv $$tmp $@

$(GOLANGCI):
	mkdir -p $(CACHE)
	tmp=$$(mktemp -d $(CACHE)/building-XXXXXX) && \
	GOBIN=$$tmp GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION) && \
	mkdir -p $(GOLANGCI_DIR) && mv $$tmp/golangci-lint $@ && rmdir $$tmp
