# Every line that builds or tests etagfs, here and in CI, is a target of this file.

STORE   ?= ./data
MNT     ?= ./mnt
OPTIONS ?=
ROUNDS  ?= 100
FUZZTIME ?= 5s
BENCH   ?=

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath
REPORT      := $(GO) run ./integration/testreport

# What needs no kernel. ./cmd and ./integration mount, the latter one package at a time.
CORE := $(patsubst %,./%/...,$(wildcard objstore cache fs mount))

.PHONY: help build mount unmount test race racemounts lint s3clients s3stores crossmounts fuzz crash powerloss bench bench-s3 clean

help: ## show this text
	@echo 'etagfs: a filesystem in which every close is a conditional write'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '%-18s %s\n' "$$target" "$$text"; done
	@echo
	@echo '  STORE=$(STORE) MNT=$(MNT) OPTIONS= (mount -o) ROUNDS=$(ROUNDS) FUZZTIME=$(FUZZTIME) can be given on the command line'

build: ## build ./bin/etagfs
	@$(BUILD) -o bin/etagfs ./cmd/etagfs

mount: build ## mount the embedded store STORE at MNT, in the background
	@mkdir -p '$(MNT)'
	@./bin/etagfs mount '$(STORE)' '$(MNT)' $(if $(OPTIONS),-o '$(OPTIONS)')
	@echo 'Mounted $(STORE) at $(MNT). Work in it like in any directory:'
	@echo '  echo hello > $(MNT)/greeting && ls -l $(MNT)'
	@echo '  ./bin/etagfs conflicts list $(MNT)    # writes that lost against another'
	@echo 'Unmount with: make unmount$(if $(filter-out ./mnt,$(MNT)), MNT=$(MNT))'

unmount: build ## unmount MNT once its commits are done
	@./bin/etagfs unmount '$(MNT)'

test: build ## run every test, real mounts included; ETAGFS_REQUIRE=fuse,root makes such skips failures
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' $(REPORT) \
		'-timeout=15m $(CORE) ./cmd/...' \
		'-timeout=20m -count=1 -p=1 ./integration/...'

race: ## run what needs no mount under the race detector
	@$(REPORT) '-race -short -timeout=19m $(CORE)'

racemounts: ## run real mounts under the race detector, the daemon included
	@CGO_ENABLED=1 $(GO) build -race -o bin/etagfs-race ./cmd/etagfs
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs-race' $(REPORT) \
		'-race -short -count=1 -timeout=19m -p=1 ./cmd/etagfs ./integration/mounts'

s3clients: build ## run the clients and suites of others against etagfs serve; some are fetched and built first
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' $(REPORT) '-timeout=20m -count=1 ./integration/s3clients'

crossmounts: build ## run the promises, counters and histories between mounts of every kind for long, with MinIO
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' ETAGFS_LONG=1 ETAGFS_REQUIRE=fuse,minio $(REPORT) '-timeout=60m -count=1 ./integration/crossmounts'

s3stores: ## run the S3 client against MinIO and versitygw; they are built first, for minutes
	@ETAGFS_REQUIRE='$(ETAGFS_REQUIRE),minio,versitygw' $(REPORT) '-timeout=20m -count=1 ./integration/s3stores'

fuzz: ## fuzz each parser of the S3 server for FUZZTIME
	@set -e; $(GO) list -f '{{$$p := .}}{{range .XTestGoFiles}}{{$$p.ImportPath}} {{$$p.Dir}}/{{.}}{{"\n"}}{{end}}' ./objstore/s3server/... | \
		while read -r package file; do \
			for name in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' "$$file"); do \
				$(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "$$package"; \
			done; \
		done

crash: build ## kill stores and daemons, fill their disks, ROUNDS times per test
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' $(REPORT) \
		'-timeout=0 -count=1 -run=Kill|Disk ./integration/crash -rounds=$(ROUNDS)'

powerloss: build ## cut the power of stores ROUNDS times per test, as root
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' $(REPORT) \
		'-timeout=0 -count=1 -run=Power ./integration/crash -rounds=$(ROUNDS)'

bench: build ## measure beside the native filesystem and go-fuse's loopback, judge; PEER_DIRS=name=/path,... adds more
	@$(GO) run ./integration/bench -etagfs bin/etagfs -bars

bench-s3: build ## measure etagfs serve beside MinIO and versitygw, which are built first, judge; BENCH= (flags)
	@$(GO) run ./integration/benchs3 -etagfs bin/etagfs -bars $(BENCH)

lint: ## gofmt, go vet, staticcheck, layering and style
	@unformatted=$$(gofmt -l $(wildcard cmd objstore cache fs mount integration)); \
		if [ -n "$$unformatted" ]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...
	@$(GO) test -count=1 ./integration

clean: ## remove ./bin
	@rm -rf bin
