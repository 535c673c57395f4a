# Needs make, Node 20 or later, npm and a C compiler; everything else is installed by `make setup`.
PYTHON ?= python3
RUNTIME ?= node

.PHONY: help demo test test-embedded setup check fmt build bench golden sizes clean

help:
	@echo "make demo           install, then run both examples in Deno, Bun and Node"
	@echo "make test           install, then all tests in Deno, Bun and Node; ends with: N passed, N failed"
	@echo "make test-embedded  the tests without compiler and native libraries"
	@echo "make check          types, format, lint, examples of the documentation"
	@echo "make fmt            format the source"
	@echo "make build          dist/ for npm"
	@echo "make bench          all benches in RUNTIME=$(RUNTIME), with NumPy where $(PYTHON) has it"
	@echo "make golden         the golden values, from NumPy of $(PYTHON) (2.4 or later)"
	@echo "make sizes          lines per file"
	@echo "make clean          remove what the commands above made"

setup:
	@node scripts/setup.mjs

demo: setup
	@node scripts/demo.mjs

test: setup
	@node scripts/test.mjs --checks --embedded=node

test-embedded: setup
	@node scripts/test.mjs --embedded

check: setup
	@node scripts/check.mjs

fmt: setup
	@node_modules/.bin/deno fmt

build: setup
	@node scripts/build.mjs

bench: setup
	@PYTHON=$(PYTHON) node scripts/run.mjs $(RUNTIME) bench/run.ts

golden:
	$(PYTHON) tests/golden/make_golden.py

sizes:
	@node scripts/sizes.mjs

clean:
	rm -rf node_modules dist build .cache examples/out
