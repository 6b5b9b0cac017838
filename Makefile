# make demo: a local network with a market on it.   make test: everything that needs no long run.
# One build profile serves both, so that RocksDB is compiled once.
SHELL := /bin/bash
export PATH := $(CURDIR)/.cache/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: demo test lint bench faults setup fuzz fuzz-seeds crash

setup:
	@localnet/setup

demo: setup
	@echo "building the node and the local network; the first time RocksDB takes some minutes" >&2
	@cargo build --workspace --bins >&2
	@$(TARGET)/debug/localnet demo $(ARGS)

test: setup
	cargo test --workspace --no-fail-fast

lint: setup
	cargo fmt --all --check
	cargo fmt --manifest-path app/fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --manifest-path app/fuzz/Cargo.toml --target-dir $(TARGET) --locked -- -D warnings
	cargo test --package underbid --test tidy

bench: setup
	cargo build --release --workspace --bins
	cargo bench --package store
	cargo bench --package underbid

# Every fuzz target for some seconds, or one: make fuzz SECONDS=600 TARGETS=messages. It needs cargo-fuzz and nightly.
SECONDS := 30
TARGETS := $(basename $(notdir $(wildcard app/fuzz/fuzz_targets/*.rs)))
FUZZ := --fuzz-dir app/fuzz --target-dir $(TARGET)/fuzz --sanitizer none

fuzz: setup
	@for target in $(TARGETS); do \
	  mkdir -p app/fuzz/corpus/$$target; \
	  cargo +nightly fuzz run $(FUZZ) $$target app/fuzz/corpus/$$target app/fuzz/seeds/$$target -- \
	    -max_total_time=$(SECONDS) -max_len=16384 -timeout=600 -print_final_stats=1 || exit 1; \
	done

fuzz-seeds: setup
	cargo +nightly fuzz run $(FUZZ) seeds

# Ends nodes in every way that a machine can end them: make crash CYCLES=20.
CYCLES := 5

crash: setup
	cargo run --release --package sim --bin crash -- --cycles $(CYCLES)

# Faults and attacks on real nets, by the rows of docs/faults.md: make faults ARGS="C3 N1", ARGS=--long for the full counts.
faults: setup
	@cargo build --workspace --bins >&2
	@$(TARGET)/debug/localnet faults $(ARGS)
