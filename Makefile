# Every chore of the project. `make` alone lists them.
PYTHON ?= $(shell sh tools/python.sh)
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-faults check fix bench bench-quick bench-docs bench-peers bench-ledger bench-activity docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Without dependencies: the files name every one. A resolver may prefer a newer release to the pinned one, and then fail.
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
# pip would do it on one core. Files that are no modules of this Python stay as they are.
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

$(RUNS): requirements/installer.txt requirements/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ARouter needs Python 3.11 or newer; call make with PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/installer.txt
	$(PIP) --no-compile --require-hashes -r requirements/all.txt
	$(PIP) --no-build-isolation -e .
	$(COMPILE)
	@touch $@

$(STAMP): $(RUNS) requirements/dev.txt
	$(PIP) --no-compile --require-hashes -r requirements/dev.txt
	$(COMPILE)
	@touch $@

install: $(RUNS) ## make the virtual environment with what the gateway needs, everything pinned

run: $(RUNS) ## start the gateway: SQLite, the sandbox provider, a key and a curl line
	$(BIN)/arouter serve

# What must hold within a second under load, or is measured, has the machine to itself.
ALONE := $(patsubst %,tests/faults/test_%.py,budgets credits kill own_keys rate_headers resets second_gateway \
	upstream_faults workers) tests/acceptance/test_startup.py tests/structure/test_bench.py \
	tests/structure/test_bench_workers.py

# Tests are named after their arguments: sets have one order in all processes of a run, and another one in the next.
SEED = $(shell $(BIN)/python -c 'import random; print(random.randrange(1_000_000))')

test: $(STAMP) ## run every test: most of them on all cores, the others one after the other
	PYTHONHASHSEED=$(SEED) $(BIN)/python -m pytest -n logical --maxprocesses=4 --no-loadscope-reorder $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)

test-faults: $(STAMP) ## kill the gateway 20 times under load, fail its disk and its providers, and print the figures
	AROUTER_FAULTS_KILLS=20 $(BIN)/python -m pytest -s tests/faults

check: $(STAMP) ## format, lint, types, import contracts, dependencies, docs in step
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python -m tools.docs --check

fix: $(STAMP) ## format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## what a request and a streamed chunk cost, beside the peers that are installed
	$(BIN)/python -m bench

bench-quick: $(STAMP) ## the same in about a minute: whether it works, not how fast it is
	$(BIN)/python -m bench --quick

bench-docs: $(STAMP) ## the whole benchmark, and its figures into docs/performance.md
	$(BIN)/python -m bench --json var/bench/figures.json --write docs/performance.md

bench-peers: $(STAMP) ## install the peers of the benchmark below var/bench
	$(BIN)/python -m bench.peers.install

bench-ledger: $(STAMP) ## records per second and commit times of the ledger, by number of writers
	$(BIN)/python -m bench.ledger

bench-activity: $(STAMP) ## pages, sums and exports beside 100 million records, which are made first and kept below var/bench
	$(BIN)/python -m bench.activity

docs: $(STAMP) ## write the generated reference pages again
	$(BIN)/python -m tools.docs

lock: $(STAMP) ## resolve and pin the requirements again, those of the SDKs too, with hashes and without an index
	$(BIN)/python -m tools.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache site dist
