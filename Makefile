# `make demo` and `make test` install missing tools. CONTRIBUTING.md describes most targets.
.PHONY: setup build demo demo-static test quick audit docs reproducible bench bench-check hosts scale model fuzz kill soak size check-demo fmt clean

setup:
	@scripts/setup.sh

build:
	@scripts/setup.sh build
	@scripts/build.sh

demo: build
	@node scripts/demo.mjs $(PORT)

# Builds the demo into dist/demo-static/, for any static web server.
demo-static: build
	@node scripts/demo-static.mjs

test:
	@scripts/setup.sh
	@node tests/run.mjs

# Runs the native tests, the tests in Chromium and the tests of the package. For each change.
quick:
	@scripts/setup.sh quick
	@node tests/run.mjs --quick

# Runs CASES scenarios of the model test, and half as many of tabs with live queries. SEED=n replays
# one of each.
model: setup
	@CASES=$(or $(CASES),20000) cargo test --quiet --locked --release --test model -- --nocapture --test-threads=1 after
	@CASES=$$(($(or $(CASES),20000) / 2)) cargo test --quiet --locked --release --test live -- --nocapture

# Kills tabs and browsers KILLS times at each point of a round.
kill: setup
	@scripts/build.sh
	@. scripts/env.sh && KILLS=$(or $(KILLS),20) FAKE_GRAPH=target/debug/fake-graph node --test --test-timeout=400000 --test-concurrency=2 tests/kill/

# Runs thirty queries in one tab for MINUTES, with a fault in a third of all responses.
soak: setup
	@scripts/build.sh
	@. scripts/env.sh && MINUTES=$(or $(MINUTES),10) FAKE_GRAPH=target/debug/fake-graph node tests/soak/soak.mjs

# Fuzzes each parser of outside data for SECONDS.
fuzz: setup
	@FUZZ=1 SECONDS=$(or $(SECONDS),60) cargo test --quiet --locked --release --test fuzz -- --nocapture --test-threads=2

# Compares what the dashboard of the demo shows with its mirrors and with the requests to the fake
# Graph.
check-demo: setup
	@scripts/build.sh
	@node tests/check-demo.mjs

# Prints the sizes and compares them with scripts/sizes.json; ACCEPT=1 writes that file.
size: build
	@ACCEPT=$(ACCEPT) node scripts/size.mjs

# Tests the packed package in every host and bundler. Each is a project that installs its tools by
# npm. ONLY=Vite tests the hosts with this word in their name.
hosts: setup
	@scripts/build.sh
	@. scripts/env.sh && FAKE_GRAPH=target/debug/fake-graph node tests/hosts/all.mjs $(ONLY)

# Builds the pages of docs/, the API reference and that of the Rust crate into dist/docs/.
docs:
	@npm ci --prefix docs/.vitepress --no-audit --no-fund --loglevel=error
	@docs/.vitepress/node_modules/.bin/vitepress build docs
	@docs/.vitepress/node_modules/.bin/typedoc --options docs/.vitepress/typedoc.json
	@. scripts/env.sh && RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps -p deltalink
	@rm -rf dist/docs/rust && cp -r target/doc dist/docs/rust

# Builds the package in two folders and compares all files.
reproducible:
	@scripts/setup.sh build
	@scripts/reproducible.sh

# Compares the package with hand-written loops and other clients. QUICK=1 and RUNS=3 measure less,
# ONLY=first,heap some benchmarks, BASE=other.tgz another package too. PROFILE=1 shows in whose code
# the time of deltalink goes. WRITE=1 NOTE=… writes the tables of docs/performance.md.
# RESULTS=file.json adds the values to those in the file, and prints or writes all of them.
bench: setup
	@scripts/build.sh
	@npm ci --prefix tests/bench --no-audit --no-fund --loglevel=error
	@node --test --test-reporter=dot tests/bench/
	@. scripts/env.sh && QUICK="$(QUICK)" ONLY="$(ONLY)" BASE="$(BASE)" RUNS="$(RUNS)" \
		WRITE="$(WRITE)" NOTE="$(NOTE)" CHECK="$(CHECK)" PROFILE="$(PROFILE)" RESULTS="$(RESULTS)" node tests/bench/bench.mjs
	@[ -n "$(PROFILE)$(ONLY)" ] || { node --expose-gc tests/bench/view.mjs && . scripts/env.sh && node tests/bench/paint.mjs; }

# Compares the package with another one, BASE=other.tgz; exits with 1 if this one is slower.
bench-check:
	@$(MAKE) --no-print-directory bench CHECK=1

# Simulates a day of the edge example with 1,000 and 10,000 mailboxes. WRITE=1 writes the tables of
# docs/scale.md, also for 100,000. SIZES=500,2000 simulates these numbers of mailboxes instead, and
# PAGES=20 first rounds of this number of pages.
scale: build
	@SIZES="$(SIZES)" WRITE="$(WRITE)" PAGES="$(PAGES)" node tests/scale/scale.mjs

# Checks crates and npm packages for known vulnerabilities, if their databases can be reached.
audit: setup
	@scripts/audit.sh

fmt:
	@cargo fmt --all
	@node_modules/.bin/prettier --write . --log-level=warn

clean:
	@rm -rf target dist www/dist www/node_modules tests/node_modules tests/bench/node_modules screenshots
