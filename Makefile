# Everything that is run, here or in CI, is one of these targets.

# `$(call python,3.11)` is a Python 3.11 that works, or nothing: shims of versions that are not
# chosen are there and don't, and what pyenv has need not be on the path.
python = $(shell for candidate in "$$(command -v python$(1))" \
	"$$(pyenv root 2>/dev/null)"/versions/$(1)*/bin/python$(1); \
	do "$$candidate" -c pass 2>/dev/null && echo "$$candidate" && break; done)
VERSIONS := 3.11 3.12 3.13 3.14
# The oldest that is there. (Looked for only when an environment is made.)
PYTHON ?= $(or $(call python,3.11),$(call python,3.12),$(call python,3.13),$(call python,3.14),python3)
VENV ?= .venv
# Where environments have their commands.
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
STAMP := $(VENV)/.installed
NODE := tests/peers/node
NODE_STAMP := $(NODE)/node_modules/.installed
NODE_APPSYNC := tests/peers/node-appsync
NODE_APPSYNC_STAMP := $(NODE_APPSYNC)/node_modules/.installed
SERVERS := build/servers
SERVERS_STAMP := $(SERVERS)/.unpacked
REDIS_STAMP := build/redis/.unpacked
CODEGEN := .venv-codegen
DEMO := .venv-demo
BENCH := .venv-bench
SGQLC := .venv-sgqlc
FUZZ := .venv-fuzz
AUDIT := .venv-audit
AUTOBAHN := .venv-autobahn
RELEASE := .venv-release
RELEASE_LOCK := requirements/release.lock
DOCS := .venv-docs
# Autobahn|Testsuite is for Python 2.7 alone; this one must have virtualenv.
PYTHON2 ?= $(shell command -v python2.7)
AUDIT_REQUIRED ?=
LOCK := requirements/ci.lock
# CI installs the versions that were tried; everybody else the newest.
PINS := $(if $(CI),--constraint $(LOCK))
SECONDS_EACH ?= 60
MINUTES ?= 30
CODEGEN_STAMP := $(CODEGEN)/.installed
# More than there are cores: most tests wait for something.
WORKERS ?= 4
TESTS ?= tests
# The tests of what modules do, without those of promises, of servers and of what is generated.
FOLDERS := $(filter-out $(addprefix tests/,codegen examples peers promises support typing),$(patsubst %/,%,$(wildcard tests/*/)))

# What `make coverage` runs: whatever needs no server of others and generates nothing.
COVERED ?= $(FOLDERS) tests/promises $(wildcard tests/test_*.py)

.PHONY: demo docs docs-test test test-all test-modules test-newest coverage node servers codegen autobahn bench bench-quick bench-against bench-coming-from fuzz soak soak-short reliability lock audit dist dist-check sbom api-check release-check release-notes pictures check format lint types stubs clean

demo: $(DEMO)/.installed
	$(DEMO)/$(SCRIPTS)/python -m examples.demo

# Not by --dist=worksteal: with it, all workers now and then wait for the last tests for ever.
test: $(STAMP) node servers codegen
	$(BIN)/python -m pytest -n $(WORKERS) --maxschedchunk=8 $(TESTS)

# Everything, on each CPython that is there, in an environment of its own.
test-all:
	@set -e; $(foreach version,$(VERSIONS),$(if $(call python,$(version)), \
		echo "test-all: Python $(version)"; \
		$(MAKE) test VENV=.venv-$(version) PYTHON="$(call python,$(version))";, \
		echo "test-all: SKIPPED Python $(version), there is none that works";))

# What modules do: what CI runs on other systems.
test-modules:
	$(MAKE) test TESTS="$(FOLDERS) $(wildcard tests/test_*.py)"

# What modules do, on the newest CPython that is there.
test-newest: FOUND = $(foreach version,$(VERSIONS),$(if $(call python,$(version)),$(version)))
test-newest: NEWEST = $(lastword $(FOUND))
test-newest:
	@test -n "$(filter-out $(firstword $(FOUND)),$(NEWEST))" || echo "test-newest: SKIPPED, there is one Python only"
	$(if $(filter-out $(firstword $(FOUND)),$(NEWEST)),$(MAKE) test VENV=.venv-$(NEWEST) PYTHON="$(call python,$(NEWEST))" TESTS="$(FOLDERS) $(wildcard tests/test_*.py)")

# Which lines and branches the tests run, by folder; fails if one of the folders in
# release/covered.py isn't run wholly. What is chosen by the date is the same each time.
coverage: $(STAMP) node
	rm -rf build/coverage && mkdir -p build/coverage
	ANYGQL_DAY=coverage $(BIN)/python -m coverage run -m pytest -n $(WORKERS) --maxschedchunk=8 $(COVERED)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage json --quiet
	$(BIN)/python -m release.covered

# The documentation site, in build/site; a broken link, a page that the nav lacks and a docstring
# that can't be read are errors. (With --quiet, --strict would hear of no warning.)
docs: $(DOCS)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

# The site in headless Chromium: it is served on loopback, clicked through and searched. It needs
# nothing of the other environments, so none of the fixtures for all tests.
docs-test: docs
	ANYGQL_SITE=build/site $(DOCS)/bin/python -m pytest -q -ra --noconftest -c /dev/null --rootdir . \
		-p no:cacheprovider --import-mode=importlib tests/site

# The servers in JavaScript; without npm, their tests are skipped.
node: $(if $(shell command -v npm),$(NODE_STAMP) $(NODE_APPSYNC_STAMP))

# nginx, tinyproxy and Redis, unpacked but not installed: that needs no root, and starts no service.
# Without apt-get, or without its archive, their tests are skipped.
servers: $(if $(shell command -v apt-get),$(SERVERS_STAMP) $(REDIS_STAMP))

# The generator of typed clients, in an environment of its own: it wants an older graphql-core.
codegen: $(CODEGEN_STAMP)

# Beside gql: some minutes, a table, and the figures in the docs.
bench: $(BENCH)/.installed codegen
	$(BENCH)/bin/python -m benchmarks && $(BENCH)/bin/python -m benchmarks.report
	$(BENCH)/bin/python benchmarks/startup/command_line.py

bench-quick: $(BENCH)/.installed codegen
	$(BENCH)/bin/python -m benchmarks --quick

# Beside sgqlc, and graphql-ws in Node: the figures in docs/from-*.md.
bench-coming-from: $(BENCH)/.installed $(SGQLC)/.installed node
	$(BENCH)/bin/python -m benchmarks.coming_from

# The same rows, beside this project as it is in another checkout: make bench-against BEFORE=path
bench-against: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks --against $(BEFORE)

# Coverage-guided fuzzing, so many seconds for each target.
fuzz: $(FUZZ)/.installed
	$(FUZZ)/bin/python -m tests.promises.fuzz --seconds $(SECONDS_EACH)

soak: $(STAMP)
	$(BIN)/python -m tests.promises.soak --minutes $(MINUTES)

# What CI has time for: two minutes, both loops.
soak-short: $(STAMP)
	$(BIN)/python -m tests.promises.soak --minutes 2 --subscriptions 1000 --lifetime 5 --restart-every 6 --cut-every 1 --rate 0.5 --growth 10 --output build/reliability/soak-short.json

# The public conformance suite for WebSockets, if there is a Python for it.
ifeq ($(PYTHON2),)
autobahn:
	@echo "autobahn: SKIPPED, there is no python2.7 (PYTHON2=path names one)"
else
autobahn: $(STAMP) $(AUTOBAHN)/bin/wstest
	$(BIN)/python -m tests.peers.autobahn --wstest $(AUTOBAHN)/bin/wstest
endif

# What docs/reliability.md shows: all checkpoints and faults, the same through gql, and what the
# last fuzzing and soak counted. Of these, `make test` tries a part; docs/reliability.md lists, under
# "What `make test` tries of it", how much. `table` and `sampled` mark the tests that it concerns.
reliability: $(STAMP) $(BENCH)/.installed autobahn node servers codegen
	ANYGQL_EVERYTHING=1 $(BIN)/python -m pytest -q tests/promises/cancellation/test_checkpoints.py
	ANYGQL_EVERYTHING=1 $(BIN)/python -m pytest -q tests/promises/faults/test_matrix.py
	ANYGQL_EVERYTHING=1 $(BIN)/python -m pytest -q tests/promises/faults/test_restarts.py tests/promises/faults/test_virtual_clock.py tests/promises/soak/test_much_over_http.py
	ANYGQL_EVERYTHING=1 $(BIN)/python -m pytest -q tests/promises/test_interrupts.py tests/promises/test_interrupted_lines.py
	ANYGQL_EVERYTHING=1 $(BIN)/python -m pytest -q -n $(WORKERS) -m "table or sampled or over_http" --ignore tests/promises/faults tests
	$(BENCH)/bin/python -m tests.promises.cancellation.through_gql
	$(BENCH)/bin/python -m tests.promises.faults.matrix_through_gql
	$(BIN)/python -m tests.promises.report

check: lint types api-check test

# The pictures of terminals and of a trace in the docs, from real runs, and the badges of README.md.
pictures: $(STAMP)
	$(BIN)/python docs/images/terminal.py
	$(BIN)/python docs/images/badges.py
	$(BIN)/python docs/images/trace.py

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright

# What type checkers read of anygql.blocking, from the async classes; a test compares.
stubs: $(STAMP)
	$(BIN)/python -m tests.support.blocking_stub

# The lock anew, from a fresh environment: make clean lock.
lock: $(STAMP)
	(echo "# The versions that CI installs, as constraints: made by \`make lock\`."; $(BIN)/python -m pip freeze --exclude-editable) > $(LOCK)
	rm -rf $(RELEASE) && $(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(RELEASE)/bin/python -m pip install --quiet --group release
	(echo "# The versions that releases are built with, as constraints: made by \`make lock\`."; $(RELEASE)/bin/python -m pip freeze --all) > $(RELEASE_LOCK)

# Known vulnerabilities in what the lock names. Needs a service on the internet, and says so if it
# can't be asked; with AUDIT_REQUIRED=1 that is a failure.
audit:
	test -x $(AUDIT)/bin/pip-audit || $(PYTHON) -m venv $(AUDIT)
	test -x $(AUDIT)/bin/pip-audit || $(AUDIT)/bin/python -m pip install --quiet 'pip-audit>=2.9'
	@said=$$($(AUDIT)/bin/pip-audit --strict --requirement $(LOCK) --no-deps --disable-pip 2>&1); code=$$?; \
	if [ $$code = 0 ]; then echo "audit: no known vulnerabilities"; exit 0; fi; \
	if echo "$$said" | grep -q 'known vulnerabilit'; then echo "$$said"; exit 1; fi; \
	echo "$$said" | tail -n 1; \
	echo "audit: SKIPPED, the service that knows of vulnerabilities can't be asked from here"; \
	test -z "$(AUDIT_REQUIRED)"

# The sdist and the wheel in dist/, built twice: both must be equal to the byte.
dist: $(RELEASE)/.installed
	$(RELEASE)/bin/python -m release.build

# What users get: the archives, and the wheel in an empty environment on each CPython that is there.
dist-check: dist
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/check-wheel-contents dist/*.whl
	$(RELEASE)/bin/python -m release.installed dist/*.whl $(or $(foreach version,$(VERSIONS),$(call python,$(version))),$(PYTHON))

# What the wheel brings along, as CycloneDX, in build/.
sbom: dist
	$(RELEASE)/bin/python -m release.sbom dist/*.whl

# The public API beside the last release's: the changelog must tell each change that can break.
api-check: $(STAMP)
	$(BIN)/python -m release.api

# Whether a tag may be released: make release-check TAG=v1.2.3
release-check: api-check
	$(BIN)/python -m release.changelog --tag $(TAG)

# A version's section of the changelog: make --silent release-notes TAG=v1.2.3
release-notes:
	@$(PYTHON) -m release.changelog --notes $(TAG:v%=%)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-* build dist $(NODE)/node_modules $(NODE)/mercurius/node_modules $(NODE)/phoenix/node_modules $(NODE_APPSYNC)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The environment is made once, and again when its list of packages changes.
$(STAMP): pyproject.toml anygql/version.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[trio]' --group test --group check $(PINS)
	touch $(STAMP)

# Only what the demo imports; the package itself is in this folder, and need not be built.
DEPENDENCIES := import tomllib; it = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*it["dependencies"], *it["optional-dependencies"]["trio"], sep="\n")
$(DEMO)/.installed: pyproject.toml
	test -x $(DEMO)/$(SCRIPTS)/python || $(PYTHON) -m venv $(DEMO)
	$(DEMO)/$(SCRIPTS)/python -c '$(DEPENDENCIES)' > $(DEMO)/requirements.txt
	$(DEMO)/$(SCRIPTS)/python -m pip install --quiet --no-compile --requirement $(DEMO)/requirements.txt $(PINS)
	touch $@

$(BENCH)/.installed: pyproject.toml
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BENCH)/bin/python -m pip install --quiet --editable '.[cli,trio,httpx2]' --group bench
	touch $@

# sgqlc wants an older graphql-core.
$(SGQLC)/.installed:
	test -x $(SGQLC)/bin/python || $(PYTHON) -m venv $(SGQLC)
	$(SGQLC)/bin/python -m pip install --quiet sgqlc requests msgspec
	touch $@

$(FUZZ)/.installed: tests/promises/fuzz/requirements.txt pyproject.toml
	test -x $(FUZZ)/bin/python || $(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python -m pip install --quiet --editable . --requirement $<
	touch $@

# The versions of the lock here too: other tools would build other bytes.
$(RELEASE)/.installed: pyproject.toml $(RELEASE_LOCK)
	test -x $(RELEASE)/bin/python || $(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(RELEASE)/bin/python -m pip install --quiet --group release --constraint $(RELEASE_LOCK)
	touch $@

$(DOCS)/.installed: requirements/docs.txt
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(AUTOBAHN)/bin/wstest:
	$(PYTHON2) -m virtualenv --quiet $(AUTOBAHN)
	$(AUTOBAHN)/bin/pip install --quiet autobahntestsuite

$(CODEGEN_STAMP): tests/codegen/requirements.txt
	test -x $(CODEGEN)/$(SCRIPTS)/python || $(PYTHON) -m venv $(CODEGEN)
	$(CODEGEN)/$(SCRIPTS)/python -m pip install --quiet --requirement $<
	touch $@

# $(call unpack,PACKAGES,PROGRAMS): unpacks Debian's packages into the folder of the target, with
# lists of packages of its own if the machine has none, or old ones.
APT_GET = apt-get -qq -o Dir::State::Lists=$(abspath $(@D))/lists -o Dir::Cache=$(abspath $(@D))/cache -o APT::Sandbox::User=
define unpack
rm -rf $(@D) && mkdir -p $(@D)/lists/partial $(@D)/cache/archives/partial
@cd $(@D) && { apt-get -qq -o APT::Sandbox::User= download $(1) 2>/dev/null || \
	{ $(APT_GET) update && $(APT_GET) download $(1); }; } && \
	for package in *.deb; do dpkg -x $$package . || exit 1; done && rm -rf lists cache *.deb && \
	export LD_LIBRARY_PATH="$$(echo "$$PWD"/usr/lib/*-linux-gnu)" && \
	if ldd $(2) | grep 'not found'; then exit 1; fi && touch .unpacked || \
	echo "servers: SKIPPED, $(1) can't be had from here"
endef
$(SERVERS_STAMP):
	$(call unpack,nginx tinyproxy-bin,usr/sbin/nginx usr/bin/tinyproxy)

$(REDIS_STAMP):
	$(call unpack,redis-server redis-tools libjemalloc2 liblzf1,usr/bin/redis-server)

$(NODE_STAMP): $(NODE)/package.json $(NODE)/package-lock.json $(NODE)/.npmrc $(NODE)/mercurius/package-lock.json $(NODE)/phoenix/package-lock.json
	cd $(NODE) && npm ci --silent
	cd $(NODE)/mercurius && npm ci --silent
	cd $(NODE)/phoenix && npm ci --silent
	touch $@

# AppSync's simulator: 312 MB, and half a minute.
$(NODE_APPSYNC_STAMP): $(NODE_APPSYNC)/package.json $(NODE_APPSYNC)/package-lock.json $(NODE_APPSYNC)/.npmrc
	cd $(NODE_APPSYNC) && npm ci --silent
	touch $@
