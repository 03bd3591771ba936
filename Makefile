# The door. `cargo xtask` does the work; see xtask/src/main.rs.
#
#   make run         installs what is missing, builds, imports the sample, serves http://127.0.0.1:3000
#   make test        every test there is, from nothing
#   make dev         as run, with debug builds
#   make e2e         the browser tests alone
#   make bench       the benchmarks, as JSON on stdout
#   make provider-standin  a server that speaks as the online providers do, on loopback, with their limits and faults
#   make faults      every fault of every provider with 20,000 hosts, as JSON on stdout
#   make chaos       every proof in its full form against the release build: kills, crashes, full disks, minutes of load
#   make lint        formatting, clippy for both targets, licences
#   make clean-demo  removes the demo database

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := run
.PHONY: run test dev e2e bench provider-standin faults chaos lint clean-demo

# The tools of this build only: a database of one's own is set in the environment as the README says.
DEMO := HOSTATLAS_DATABASE_URL=sqlite://demo/hostatlas.db HOSTATLAS_MMDB_DIR=mmdb

define xtask
	command -v cargo >/dev/null || { echo "error: cargo is missing; install Rust from your distribution's rustup package" >&2; exit 1; }
	# rust-toolchain.toml names the WASM target; where rustup does not act on it by itself, ask for it.
	if command -v rustup >/dev/null && ! rustup target list --installed 2>/dev/null | grep -q '^wasm32-unknown-unknown$$'; then
		echo "==> Rust's WASM target"
		rustup target add wasm32-unknown-unknown
	fi
	started=$$SECONDS
	echo "==> build tool (xtask)"
	cargo build --locked --package xtask --profile xtask --target-dir target/xtask
	echo "<== build tool (xtask): $$((SECONDS - started)) s"
endef

run:
	$(xtask)
	cargo xtask prepare
	exec env $(DEMO) target/release/hostatlas serve --listen 127.0.0.1:3000

dev:
	$(xtask)
	cargo xtask prepare --debug
	exec env $(DEMO) target/debug/hostatlas serve --listen 127.0.0.1:3000

test:
	$(xtask)
	cargo xtask test

e2e:
	$(xtask)
	cargo xtask e2e

lint:
	$(xtask)
	cargo xtask lint

bench:
	$(xtask)
	cargo xtask data
	cargo build --package server --package hostatlas-provider-standin --locked --release
	cargo xtask site
	cargo run --quiet --locked --package xtask --profile xtask --target-dir target/xtask --features bench -- bench

# ARGUMENTS="--latency-ms 20 --window-seconds 6", as `--help` lists them.
provider-standin:
	exec cargo run --quiet --locked --package hostatlas-provider-standin --bin provider-standin -- $(ARGUMENTS)

faults:
	HOSTATLAS_FAULTS_HOSTS=20000 cargo test --quiet --locked --package hostatlas-geolocation --test faults -- --nocapture --test-threads 1

# One line of JSON for each on stdout, a table of all at the end on stderr. A proof that fails stops none of the others;
# the end is a failure if one does not hold or could not be run.
# PROOFS="kill soak" runs these alone, CHAOS_SHORT=1 the short forms; ARGUMENTS="--seed 7", as `proof --help` lists them.
chaos:
	$(xtask)
	# Installs what the proofs on PostgreSQL need, and shows that a server can be started.
	cargo xtask postgres -- true
	cargo build --package server --package hostatlas-proof --locked --release
	target/release/proof --each $(if $(CHAOS_SHORT),--short) $(ARGUMENTS) $(PROOFS)

clean-demo:
	rm -rf demo
