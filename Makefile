# Every line that builds or tests etagfs, here and in CI, is a target of this file.

STORE   ?= ./data
MNT     ?= ./mnt
OPTIONS ?=
ROUNDS  ?= 100
# A number of inputs: Go 1.26 fails at times, by chance, when a duration is over (golang/go#75804).
FUZZTIME ?= 50000x
CONTAINER ?= docker
MINUTES ?= 30
ENTRIES ?= 1000000
BENCH   ?=
FILES   ?= 1000000

# Where it is installed. mount(8) looks for mount.etagfs in /sbin only, which is /usr/sbin today.
PREFIX   ?= /usr/local
DESTDIR  ?=
BINDIR   ?= $(PREFIX)/bin
MOUNTDIR ?= /usr/sbin
MANDIR   ?= $(PREFIX)/share/man
UNITDIR  ?= $(PREFIX)/lib/systemd/system
DOCDIR   ?= $(PREFIX)/share/doc/etagfs
ARCHS    ?= amd64 arm64

# What is to be read, with what it links to: installed as it lies here, so that the links lead there.
DOCUMENTS := README.md LICENSE $(foreach d,cmd/etagfs fs mount cache integration objstore $(wildcard objstore/* integration/*),$(wildcard $(d)/*.md $(d)/doc.go)) \
	cmd/etagfs/dashboard.json objstore/badgerstore/repair.go $(wildcard integration/bench/*.svg integration/containers/example/*)

# What is installed, and what writes its pages and completions: another if it is for another machine.
BINARY      ?= bin/etagfs
HOST_BINARY ?= $(BINARY)

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath
REPORT      := $(GO) run ./integration/testreport

# What needs no kernel. ./cmd and ./integration mount, the latter one package at a time.
CORE := $(patsubst %,./%/...,$(wildcard objstore cache fs mount))

.PHONY: help build mount unmount test race racemounts integration lint s3clients s3stores crossmounts stress soak listing fuzz crash powerloss bench scale bench-s3 man install install-files uninstall dist distcheck clean

help: ## show this text
	@echo 'etagfs: a filesystem in which every close is a conditional write'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '%-18s %s\n' "$$target" "$$text"; done
	@echo
	@echo '  STORE=$(STORE) MNT=$(MNT) OPTIONS= (mount -o) ROUNDS=$(ROUNDS) FUZZTIME=$(FUZZTIME) MINUTES=$(MINUTES) ENTRIES=$(ENTRIES) can be given on the command line'

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

integration: build ## run servers and mounting hosts in Docker containers, cut, kill and pause them; CONTAINER=none: in namespaces of this machine
	@CGO_ENABLED=0 ETAGFS_BIN='$(CURDIR)/bin/etagfs' ETAGFS_CONTAINER='$(CONTAINER)' $(REPORT) '-timeout=20m -count=1 ./integration/containers'

s3clients: build ## run the clients and suites of others against etagfs serve; some are fetched and built first
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' $(REPORT) '-timeout=20m -count=1 ./integration/s3clients'

crossmounts: build ## run the promises, counters and histories between mounts of every kind for long, with MinIO
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' ETAGFS_LONG=1 ETAGFS_REQUIRE=fuse,minio $(REPORT) '-timeout=60m -count=1 ./integration/crossmounts'

s3stores: ## run the S3 client against MinIO and versitygw; they are built first, for minutes
	@ETAGFS_REQUIRE='$(ETAGFS_REQUIRE),minio,versitygw' $(REPORT) '-timeout=20m -count=1 ./integration/s3stores'

stress: build ## run everyday programs, SQLite, random calls on a file, fio, dbench, fs_mark and stress-ng on mounts for long, as root
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' ETAGFS_LONG=1 $(REPORT) '-timeout=120m -count=1 -p=1 ./integration/programs ./integration/load'

soak: build ## keep mounts busy for MINUTES: memory, descriptors and goroutines must not grow
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' MINUTES='$(MINUTES)' $(REPORT) '-timeout=0 -count=1 -run=Soak ./integration/load'

listing: build ## list ENTRIES names through mounts of every kind and S3, each in a control group of 64 MiB, as root
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' ENTRIES='$(ENTRIES)' $(REPORT) '-timeout=0 -count=1 -run=Listing ./integration/load'

fuzz: ## fuzz each parser of the S3 server with FUZZTIME inputs
	@set -e; $(GO) list -f '{{$$p := .}}{{range .XTestGoFiles}}{{$$p.ImportPath}} {{$$p.Dir}}/{{.}}{{"\n"}}{{end}}' ./objstore/s3server/... | \
		while read -r package file; do \
			for name in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' "$$file"); do \
				$(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=100x "$$package"; \
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

scale: build ## measure mounts of a store that grows to FILES files
	@$(GO) run ./integration/bench -etagfs bin/etagfs -scale $(FILES)

bench-s3: build ## measure etagfs serve beside MinIO and versitygw, which are built first, judge; BENCH= (flags)
	@$(GO) run ./integration/benchs3 -etagfs bin/etagfs -bars $(BENCH)

lint: ## gofmt, go vet, staticcheck, layering and style
	@unformatted=$$(gofmt -l $(wildcard cmd objstore cache fs mount integration)); \
		if [ -n "$$unformatted" ]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...
	@$(GO) test -count=1 ./integration

man: build ## write the manual pages into ./bin/man
	@mkdir -p bin/man
	@./bin/etagfs man bin/man

install dist: BUILD += -buildvcs=auto # whatever GOFLAGS says: the program knows its commit

install: build install-files ## install into DESTDIR/PREFIX, and the programs of mount(8) into DESTDIR/MOUNTDIR

COMPLETIONS := bash:bash-completion/completions/etagfs zsh:zsh/site-functions/_etagfs fish:fish/vendor_completions.d/etagfs.fish
MOUNTERS    := mount.etagfs mount.fuse.etagfs umount.etagfs umount.fuse.etagfs

install-files:
	@set -e; install -d $(foreach d,$(BINDIR) $(MOUNTDIR) $(MANDIR)/man1 $(MANDIR)/man8 $(UNITDIR) $(DOCDIR)/examples,'$(DESTDIR)$(d)'); \
	install -m 755 '$(BINARY)' '$(DESTDIR)$(BINDIR)/etagfs'; \
	for name in $(MOUNTERS); do ln -sf '$(BINDIR)/etagfs' "$(DESTDIR)$(MOUNTDIR)/$$name"; done; \
	'$(HOST_BINARY)' man '$(DESTDIR)$(MANDIR)/man1'; mv '$(DESTDIR)$(MANDIR)'/man1/*.8 '$(DESTDIR)$(MANDIR)/man8'; \
	for pair in $(COMPLETIONS); do \
		file="$(DESTDIR)$(PREFIX)/share/$${pair#*:}"; install -d "$${file%/*}"; \
		'$(HOST_BINARY)' completion "$${pair%%:*}" >"$$file"; \
	done; \
	for unit in cmd/etagfs/packaging/*.service; do \
		sed 's|@BINDIR@|$(BINDIR)|' "$$unit" >"$(DESTDIR)$(UNITDIR)/$${unit##*/}"; \
	done; \
	install -m 644 cmd/etagfs/packaging/*.mount cmd/etagfs/packaging/*.conf '$(DESTDIR)$(DOCDIR)/examples'; \
	for file in $(DOCUMENTS); do install -D -m 644 "$$file" "$(DESTDIR)$(DOCDIR)/$$file"; done

uninstall: ## remove what install has put there
	@rm -f '$(DESTDIR)$(BINDIR)/etagfs' $(foreach n,$(MOUNTERS),'$(DESTDIR)$(MOUNTDIR)/$(n)') \
		'$(DESTDIR)$(MANDIR)'/man1/etagfs.1 '$(DESTDIR)$(MANDIR)'/man1/etagfs-*.1 '$(DESTDIR)$(MANDIR)'/man8/mount.etagfs.8 \
		'$(DESTDIR)$(MANDIR)'/man8/umount.etagfs.8 $(foreach u,$(wildcard cmd/etagfs/packaging/*.service),'$(DESTDIR)$(UNITDIR)/$(notdir $(u))') \
		$(foreach c,$(COMPLETIONS),'$(DESTDIR)$(PREFIX)/share/$(lastword $(subst :, ,$(c)))')
	@rm -rf '$(DESTDIR)$(DOCDIR)'

dist: build ## make static tarballs and Debian packages for ARCHS, with SHA256SUMS, in ./bin/dist
	@set -e; rm -rf bin/dist; mkdir -p bin/dist; \
	for arch in $(ARCHS); do \
		GOARCH=$$arch $(BUILD) -ldflags='-s -w' -o "bin/etagfs-linux-$$arch" ./cmd/etagfs; \
		HOST_BINARY=bin/etagfs cmd/etagfs/packaging/package "bin/etagfs-linux-$$arch" "$$arch" bin/dist; \
	done; \
	cd bin/dist; sha256sum -- * >SHA256SUMS; cat SHA256SUMS

distcheck: build ## make those twice, and look whether they are the same, whole and static
	@ETAGFS_BIN='$(CURDIR)/bin/etagfs' ETAGFS_LONG=1 $(REPORT) '-timeout=20m -count=1 -run=^TestDist ./integration/packaging'

clean: ## remove ./bin
	@rm -rf bin
