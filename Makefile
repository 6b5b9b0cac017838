# make demo: a local network with a market on it.   make test: everything that needs no long run.
# One build profile serves both, so that RocksDB is compiled once.
SHELL := /bin/bash
export PATH := $(CURDIR)/.cache/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: demo test lint bench setup

setup:
	@localnet/setup

demo: setup
	@echo "building; the first time RocksDB is compiled too, which takes some minutes" >&2
	@cargo build --workspace --bins >&2
	@$(TARGET)/debug/localnet demo $(ARGS)

test: setup
	cargo test --workspace --no-fail-fast

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --package underbid --test tidy

bench: setup
	cargo build --release --workspace --bins
	cargo bench --package store
	cargo bench --package underbid
