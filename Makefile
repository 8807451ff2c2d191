# `make demo` and `make test` are all that is needed; both install what is missing.
.PHONY: setup build demo test quick audit bench bench-check hosts model fuzz kill soak size check-demo fmt clean

setup:
	@scripts/setup.sh

build:
	@scripts/setup.sh build
	@scripts/build.sh

demo: build
	@node scripts/demo.mjs $(PORT)

test:
	@scripts/setup.sh
	@node tests/run.mjs

# The native tests, one engine and the package: what to run after each change.
quick:
	@scripts/setup.sh quick
	@node tests/run.mjs --quick

# The model test at length: CASES schedules, from 0 on; SEED=n replays one of them.
model: setup
	@CASES=$(or $(CASES),20000) cargo test --quiet --locked --release --test model -- --nocapture --test-threads=1 after

# Pages, tabs and browsers killed at each point of a round, KILLS times each
kill: setup
	@scripts/build.sh
	@. scripts/env.sh && KILLS=$(or $(KILLS),20) FAKE_GRAPH=target/debug/fake-graph node --test --test-timeout=400000 --test-concurrency=2 tests/kill/

# Thirty queries in one page for MINUTES, with a fault in a third of all replies.
soak: setup
	@scripts/build.sh
	@. scripts/env.sh && MINUTES=$(or $(MINUTES),10) FAKE_GRAPH=target/debug/fake-graph node tests/soak/soak.mjs

# What comes from outside, mutated: so many seconds on each reader.
fuzz: setup
	@FUZZ=1 SECONDS=$(or $(SECONDS),60) cargo test --quiet --locked --release --test fuzz -- --nocapture --test-threads=2

check-demo: setup
	@scripts/build.sh
	@node tests/check-demo.mjs

# ACCEPT=1 writes the figures that later ones are held against.
size: build
	@ACCEPT=$(ACCEPT) node scripts/size.mjs

# The packed package in every host and bundler, each a project of its own with its tools by npm; ONLY=Vite for some.
hosts: setup
	@scripts/build.sh
	@. scripts/env.sh && FAKE_GRAPH=target/debug/fake-graph node tests/hosts/all.mjs $(ONLY)

# Beside hand-written loops and other clients. QUICK=1, ONLY=first,heap, BASE=other.tgz, RUNS=3, WRITE=1 NOTE=… for docs/performance.md
bench: setup
	@scripts/build.sh
	@npm ci --prefix tests/bench --no-audit --no-fund --loglevel=error
	@node --test --test-reporter=dot tests/bench/
	@. scripts/env.sh && QUICK="$(QUICK)" ONLY="$(ONLY)" BASE="$(BASE)" RUNS="$(RUNS)" \
		WRITE="$(WRITE)" NOTE="$(NOTE)" CHECK="$(CHECK)" node tests/bench/bench.mjs

# The same with another package as BASE; exits with 1 if this one is slower.
bench-check:
	@$(MAKE) --no-print-directory bench CHECK=1

# Known vulnerabilities of crates and npm packages, where the databases can be reached.
audit: setup
	@scripts/audit.sh

fmt:
	@cargo fmt --all
	@node_modules/.bin/prettier --write . --log-level=warn

clean:
	@rm -rf target dist www/dist www/node_modules tests/node_modules tests/bench/node_modules screenshots
