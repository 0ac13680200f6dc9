# Two commands do everything on a fresh machine:
#   make up     build, run the stack on its embedded store, print how to sign
#   make test   install what the tests need, run them all
.DEFAULT_GOAL := help
SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
DATA_DIR ?= sigkeep-data
NEXTEST_VERSION := 0.9.151
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.2
# What `make fuzz` runs, and for how many seconds each.
TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ_SECONDS ?= 60

.PHONY: help up build full release test format lint unit layers proofs deny tools clients conformance bench fuzz

help: ## Show this help.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 18

up: build ## Build, then run the whole stack on loopback until Ctrl-C (DATA_DIR=sigkeep-data).
	$(TARGET)/up/sigkeep up --data-dir $(DATA_DIR)

build: ## Build the one binary, target/up/sigkeep.
	cargo build --locked --profile up --package sigkeep

full: ## Build target/up/sigkeep with every key backend and entry kind: what the conformance tests drive.
	cargo build --locked --profile up --package sigkeep --all-features

release: ## Build target/release/sigkeep with every key backend and entry kind.
	cargo build --locked --release --package sigkeep --all-features

test: tools format lint unit layers proofs deny conformance ## Run everything that CI runs.
	@echo "all checks passed"

format: ## Check the formatting.
	cargo fmt --all --check

lint: ## Run clippy; warnings are errors.
	cargo clippy --locked --workspace --all-targets --all-features -- --deny warnings

unit: tools ## Unit, property and integration tests, on SQLite and PostgreSQL.
	cargo nextest run --locked --workspace --all-features
	cargo test --locked --workspace --all-features --doc --quiet

layers: ## Check that crates depend downward only.
	python3 .ci/layers.py

proofs: ## Check that the rows of docs/conformance name tests that exist.
	python3 .ci/proofs.py

deny: tools ## Check licences, sources and duplicate dependencies; advisories where their database is reached.
	cargo deny --locked check licenses bans sources
	@if timeout 60 cargo deny fetch db >/dev/null 2>&1; then cargo deny --locked check advisories; \
	else echo "ADVISORIES NOT CHECKED: the advisory database cannot be reached from here"; fi

tools: ## Install the test runner and the licence checker, if they are missing.
	@command -v cargo-nextest >/dev/null || cargo install --locked --no-default-features --features default-no-update cargo-nextest@$(NEXTEST_VERSION)
	@command -v cargo-deny >/dev/null || cargo install --locked --no-default-features cargo-deny@$(DENY_VERSION)
	@.ci/postgresql
	@.ci/softhsm
	@.ci/moto
	@.ci/openpgp

clients: ## Install the pinned Sigstore clients into target/clients.
	conformance/install

conformance: full clients ## Drive the unmodified clients against the running stack.
	@.ci/softhsm
	@.ci/moto
	@.ci/openpgp
	SIGKEEP=$(abspath $(TARGET))/up/sigkeep $(TARGET)/clients/python/bin/pytest -q -ra conformance

bench: ## Measure this machine: start-up, memory, writes, certificates, beside the machine's limits.
	bench/run

# Stable Rust: without a sanitizer, cargo-fuzz needs nothing unstable. Overflow checks and debug
# assertions are on. What is found stays in fuzz/corpus and fuzz/artifacts.
fuzz: ## Fuzz the parsers: TARGETS="token csr" (all), FUZZ_SECONDS=600 each (60).
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz@$(FUZZ_VERSION)
	@cd fuzz && for target in $(TARGETS); do \
	  mkdir -p corpus/$$target && \
	  cargo fuzz run --sanitizer none $$target corpus/$$target seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 || exit 1; \
	done
