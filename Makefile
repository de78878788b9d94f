# Everything a developer needs. `make help` lists it.
#
# What decides a build is in Cargo.toml and .cargo/config.toml, so cargo by hand and an editor share the results of `make`. Only the first build
# compiles RocksDB, in a quarter of an hour for each profile.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup all-tests fresh bindings build faults demo test unit e2e clients alerts api hostile seeds lies ci fmt lint doc deny bench sim hunt twins twins-epochs mutants install book cli-reference deb clean env

export CARGO_TARGET_DIR ?= $(CURDIR)/target

# Where ccache is installed, it stands in for the compilers. It does so by its place in PATH, which is no reason for cargo to build anything again.
ccache := $(firstword $(wildcard /usr/lib/ccache /usr/lib64/ccache /opt/homebrew/opt/ccache/libexec /usr/local/opt/ccache/libexec))
ifneq ($(ccache),)
  export PATH := $(ccache):$(PATH)
endif

CARGO_FLAGS := --release --locked
QUORATE := $(CARGO_TARGET_DIR)/release/quorate
SEEDS ?= 2000
SEED ?= 42

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the build needs and lacks: a C++ compiler (uses sudo if needed)
	@scripts/setup.sh

build: ## build the program, target/release/quorate
	@test -x "$(QUORATE)" || echo "The first build compiles RocksDB and takes about a quarter of an hour; later ones take seconds."
	cargo build $(CARGO_FLAGS) --package quorate-cli

faults: ## build quorate-faults: the program with the feature that makes real processes lose messages
	cargo build $(CARGO_FLAGS) --package quorate-cli --features faults --bin quorate-faults

# A separate make after setup, which may have installed what determines the environment above.
demo: setup ## four validators, a wallet, a crash: the whole program in a minute
	@$(MAKE) --no-print-directory build
	@QUORATE="$(QUORATE)" scripts/demo.sh

test: setup ## all tests, including 2,000 simulated networks (sim/tests)
	@$(MAKE) --no-print-directory all-tests

# Always for the whole workspace, even to run a part: for other sets of packages cargo chooses other features, and rebuilds much.
all-tests: build faults
	@$(call run_tests,all(),)
	cargo test $(CARGO_FLAGS) --workspace --doc

unit: ## unit and property tests of all crates
	@$(call run_tests,not package(quorate-tests),--exclude quorate-tests)

e2e: build faults ## real processes: restarts, kills, bad input
	@$(call run_tests,package(quorate-tests),)

# Python's package may be in an environment of ours.
clients: build ## clients in Python and TypeScript, and the explorer in a browser, on real networks (needs Python, Node, Chromium)
	@scripts/setup-clients.sh
	@python="$(CARGO_TARGET_DIR)/clients-python/bin/python"; if [ -x "$$python" ]; then export PYTHON="$$python"; fi; \
	  QUORATE="$(QUORATE)" cargo test $(CARGO_FLAGS) --workspace --test clients -- --ignored --nocapture --test-threads 1

alerts: build ## the alert rules and the dashboard of deploy, with a real Prometheus and real validators (needs Prometheus)
	@scripts/setup-alerts.sh
	QUORATE="$(QUORATE)" cargo test $(CARGO_FLAGS) --workspace --test prometheus -- --ignored --nocapture --test-threads 1

api: build ## the HTTP API against its own description: thousands of requests by Schemathesis (needs Python)
	@QUORATE="$(QUORATE)" scripts/api.sh

# With nextest if it is installed; cargo's own runner takes the test binaries one after the other.
define run_tests
if cargo nextest --version >/dev/null 2>&1; then \
  QUORATE="$(QUORATE)" cargo nextest run $(CARGO_FLAGS) --workspace -E '$(1)'; \
else \
  QUORATE="$(QUORATE)" cargo test $(CARGO_FLAGS) --workspace --lib --bins --tests $(2); \
fi
endef

hostile: build ## full-size attacks by clients and a validator, as JSON; some three minutes
	QUORATE="$(QUORATE)" QUORATE_HOSTILE_SECONDS=6 cargo test $(CARGO_FLAGS) --package quorate-tests --test hostile -- --nocapture --test-threads 1

seeds: build ## simulated networks with faults: make seeds SEEDS=2000
	$(QUORATE) sim run --seeds $(SEEDS)

lies: ## a lying node before every command of the wallet: each field, byte and status of each answer changed
	QUORATE_LIES=all cargo test $(CARGO_FLAGS) --package quorate-wallet --test lies -- --nocapture

mutants: ## check that a test notices every change of the rules; some two hours; writes docs/reports/mutants.md
	@scripts/mutants.sh

ci: fmt lint doc deny test ## everything that must pass before a merge

fmt: ## check the formatting
	cargo fmt --all --check

lint: ## clippy; warnings are errors
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

doc: ## documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps

deny: ## licences, advisories and duplicates of dependencies, if cargo-deny is installed
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; else echo "cargo-deny is not installed: dependencies are not checked"; fi

bench: build ## latency, throughput, idle cost, as JSON on standard output
	@$(QUORATE) bench latency -o json
	@$(QUORATE) bench load -o json
	@$(QUORATE) bench idle -o json

# All of 1,502,936; it can be stopped and restarted at any time. To split it over several machines: `quorate sim twins --help`, --part.
twins: build ## all twins scenarios of four rounds
	$(QUORATE) sim twins --rounds 4 --checkpoint twins-4.checkpoint.json --report twins-4.json

twins-epochs: build ## all twins scenarios of three rounds with a committee that changes, in each block
	for change in 1 2 3; do $(QUORATE) sim twins --rounds 3 --change $$change || exit 1; done

sim: build ## one simulated network: make sim SEED=42
	$(QUORATE) sim run --seed $(SEED)

hunt: ## plant 49 known bugs, one at a time, and check that the simulator finds each: make hunt BUGS="5 17"
	cargo run $(CARGO_FLAGS) --package quorate-zoo -- hunt $(foreach bug,$(BUGS),--bug $(bug))

fresh: ## run `make demo` and `make test` on fresh machines, which are chroots of Debian (needs root): make fresh STATES=gcc COMMANDS=demo
	@scripts/fresh.sh

bindings: ## regenerate the bindings of RocksDB for another version (rocksdb-bindings/README.md)
	@scripts/bindings.sh

install: build ## install the program into ~/.cargo/bin
	install -m 755 "$(QUORATE)" "$${CARGO_HOME:-$$HOME/.cargo}/bin/quorate"

book: ## build the book, target/book/index.html (needs mdbook: cargo install mdbook --locked)
	@scripts/book.sh

cli-reference: build ## write docs/reference/cli.md, the help of every command
	@QUORATE="$(QUORATE)" scripts/cli-reference.sh >docs/reference/cli.md.new
	@mv docs/reference/cli.md.new docs/reference/cli.md

deb: build ## a Debian package of the program and its units (needs dpkg-dev, DEBFULLNAME, DEBEMAIL)
	@mkdir -p "$(CARGO_TARGET_DIR)/debian"
	@deploy/debian/build.sh "$(QUORATE)" "$(CARGO_TARGET_DIR)/debian"

clean: ## remove all build results
	cargo clean

env: ## print the build environment for a shell: eval "$(make -s env)"
	@echo "export CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)' PATH='$(PATH)'"
