# Everything that is run, here or in CI, is one of these targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NODE := tests/servers/node
NODE_STAMP := $(NODE)/node_modules/.installed
CODEGEN := .venv-codegen
BENCH := .venv-bench
FUZZ := .venv-fuzz
SECONDS_EACH ?= 60
MINUTES ?= 30
CODEGEN_STAMP := $(CODEGEN)/.installed
TESTS ?= tests

.PHONY: demo test node codegen bench bench-quick fuzz soak reliability check format lint types clean

demo: $(STAMP)
	$(BIN)/python -m examples.demo

test: $(STAMP) node codegen
	$(BIN)/python -m pytest -n 2 --dist=worksteal $(TESTS)

# The servers in JavaScript; without npm, their tests are skipped.
node: $(if $(shell command -v npm),$(NODE_STAMP))

# The generator of typed clients, in an environment of its own: it wants an older graphql-core.
codegen: $(CODEGEN_STAMP)

# Beside gql: some minutes, a table, and the figures in the docs.
bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks && $(BENCH)/bin/python -m benchmarks.report

bench-quick: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks --quick

# Coverage-guided fuzzing, so many seconds for each target.
fuzz: $(FUZZ)/.installed
	$(FUZZ)/bin/python -m tests.fuzz --seconds $(SECONDS_EACH)

soak: $(STAMP)
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

# What docs/reliability.md shows: all checkpoints and faults, the same through gql, and what the
# last fuzzing and soak counted.
reliability: $(STAMP) $(BENCH)/.installed
	ANYGQL_ALL_CHECKPOINTS=1 $(BIN)/python -m pytest -q tests/reliability/test_checkpoints.py
	$(BIN)/python -m pytest -q tests/reliability/test_matrix.py tests/fuzz/test_conformance.py
	$(BENCH)/bin/python -m tests.reliability.through_gql
	$(BENCH)/bin/python -m tests.reliability.matrix_through_gql
	$(BIN)/python -m tests.reliability.report

check: lint types test

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(CODEGEN) $(BENCH) $(FUZZ) build $(NODE)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The environment is made once, and again when its list of packages changes.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[trio]' --group test --group check
	touch $(STAMP)

$(BENCH)/.installed: pyproject.toml
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BENCH)/bin/python -m pip install --quiet --editable '.[trio,httpx2]' --group bench
	touch $@

$(FUZZ)/.installed: tests/fuzz/requirements.txt pyproject.toml
	test -x $(FUZZ)/bin/python || $(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python -m pip install --quiet --editable . --requirement $<
	touch $@

$(CODEGEN_STAMP): tests/codegen/requirements.txt
	test -x $(CODEGEN)/bin/python || $(PYTHON) -m venv $(CODEGEN)
	$(CODEGEN)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(NODE_STAMP): $(NODE)/package.json $(NODE)/package-lock.json $(NODE)/.npmrc
	cd $(NODE) && npm ci --silent
	touch $@
