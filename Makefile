# Needs make, Node 20 or later, npm and a C compiler; everything else is installed by `make setup`.
PYTHON ?= python3
RUNTIME ?= node
run = $(if $(filter deno,$(RUNTIME)),deno run -A,$(RUNTIME))

.PHONY: help demo test test-embedded test-cuda test-cuda-full setup nvrtc check fmt build bench bench-cuda bench-all report counts instructions kernels golden ulp sizes clean

help:
	@echo "make demo           install, then run both examples in Deno, Bun and Node"
	@echo "make test           install, then all tests in Deno, Bun and Node; ends with: N passed, N failed"
	@echo "make test-embedded  the tests without compiler and native libraries"
	@echo "make test-cuda      the tests of the GPU on a real one: needs RUNTIME, a driver, and NVRTC from pip or a toolkit"
	@echo "make test-cuda-full the tests of the GPU on the emulator, with more faults, and NVRTC on all kernels as on a GPU"
	@echo "make check          types, format, lint, examples of the documentation"
	@echo "make fmt            format the source"
	@echo "make build          dist/ for npm"
	@echo "make bench          all benches in RUNTIME=$(RUNTIME), with NumPy where $(PYTHON) has it"
	@echo "make bench-cuda     benches of the GPU, beside PyTorch, CuPy and JAX where $(PYTHON) has them"
	@echo "make bench-all      the same in all three, then make report"
	@echo "make report         bench/report.html and the table of docs/performance.md"
	@echo "make counts         tests/tables/counts.ts: launches and bytes of programs"
	@echo "make instructions   docs/instructions.md: instructions of C kernels, needs valgrind"
	@echo "make kernels        kernels/pack: common kernels compiled for users without a compiler (some minutes)"
	@echo "make golden         the golden values, from NumPy of $(PYTHON) (2.4 or later)"
	@echo "make ulp            errors of the C functions over all float32 numbers, into docs/ulp.md (half an hour or more)"
	@echo "make sizes          lines per file"
	@echo "make clean          remove what the commands above made"

setup:
	@node scripts/setup.mjs

# NVIDIA's compiler, for the tests that compile kernels of GPUs: no GPU is needed.
nvrtc:
	@PYTHON=$(PYTHON) node scripts/nvrtc.mjs

demo: setup
	@node scripts/demo.mjs

test: setup nvrtc
	@node scripts/test.mjs --checks --embedded=node --clang=node

test-embedded: setup
	@node scripts/test.mjs --embedded

# Neither needs setup, npm or a network: with RUNTIME=deno or bun nothing but that runtime.
test-cuda:
	@PYTHON=$(PYTHON) $(run) scripts/cuda.mjs test

test-cuda-full: setup nvrtc
	@TNP_TEST_FULL=1 TNP_TEST_TIMEOUT=7200 node scripts/test.mjs cuda_

check: setup
	@node scripts/check.mjs

fmt: setup
	@node_modules/.bin/deno fmt

build: setup
	@node scripts/build.mjs

bench: setup
	@PYTHON=$(PYTHON) node scripts/run.mjs $(RUNTIME) bench/run.ts

bench-cuda:
	@PYTHON=$(PYTHON) $(run) scripts/cuda.mjs bench

bench-all: setup
	@for runtime in deno bun node; do PYTHON=$(PYTHON) node scripts/run.mjs $$runtime bench/run.ts --wait=60 || exit 1; done
	@node scripts/run.mjs node bench/report.ts

report: setup
	@node scripts/run.mjs node bench/report.ts

counts: setup
	@node scripts/run.mjs node tests/support/counts.ts
	@node_modules/.bin/deno fmt --quiet tests/tables/counts.ts

instructions: setup
	@node scripts/run.mjs node bench/instructions.ts

kernels: setup
	@node scripts/run.mjs node scripts/kernels.ts

golden:
	$(PYTHON) tests/golden/make_golden.py

# STEP=16 measures every 16th float32.
ulp: setup
	@PYTHON=$(PYTHON) node scripts/run.mjs $(RUNTIME) tests/ulp/run.ts $(STEP)
	@node_modules/.bin/deno fmt -q docs/ulp.md

sizes:
	@node scripts/sizes.mjs

clean:
	rm -rf node_modules dist build .cache examples/out
