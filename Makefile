# Everything that is run, here or in CI, is one of these targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NODE := tests/servers/node
NODE_STAMP := $(NODE)/node_modules/.installed
CODEGEN := .venv-codegen
CODEGEN_STAMP := $(CODEGEN)/.installed
TESTS ?= tests

.PHONY: demo test node codegen check format lint types clean

demo: $(STAMP)
	$(BIN)/python -m examples.demo

test: $(STAMP) node codegen
	$(BIN)/python -m pytest -n 2 --dist=worksteal $(TESTS)

# The servers in JavaScript; without npm, their tests are skipped.
node: $(if $(shell command -v npm),$(NODE_STAMP))

# The generator of typed clients, in an environment of its own: it wants an older graphql-core.
codegen: $(CODEGEN_STAMP)

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
	rm -rf $(VENV) $(CODEGEN) $(NODE)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The environment is made once, and again when its list of packages changes.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[trio]' --group test --group check
	touch $(STAMP)

$(CODEGEN_STAMP): tests/codegen/requirements.txt
	test -x $(CODEGEN)/bin/python || $(PYTHON) -m venv $(CODEGEN)
	$(CODEGEN)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(NODE_STAMP): $(NODE)/package.json $(NODE)/package-lock.json $(NODE)/.npmrc
	cd $(NODE) && npm ci --silent
	touch $@
