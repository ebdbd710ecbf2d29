# `make demo` and `make test` need Python 3.11 or later and make, and set up the rest themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/*/pyproject.toml))
STAMP := $(VENV)/.installed
SOURCES := core/src core/tests $(foreach room,$(PLUGINS),$(room)/src $(room)/tests) tests benchmarks
PIP_CONFIG = $(shell $(PYTHON) -m pip config get global.$(1) 2>/dev/null)
export UV_PYTHON_DOWNLOADS := never
# uv does not read pip's configuration: what pip is told to use, uv is told here.
ifneq ($(call PIP_CONFIG,find-links),)
export UV_FIND_LINKS := $(call PIP_CONFIG,find-links)
endif
ifneq ($(call PIP_CONFIG,index-url),)
export UV_DEFAULT_INDEX := $(call PIP_CONFIG,index-url)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test install lint type unit fmt bench constraints clean

help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: install ## run an InferenceService: three protocols, a canary, to zero and back
	@$(BIN)/python examples/demo.py

test: lint type unit ## set everything up and pass every check

install: $(STAMP) ## make .venv with every room and the development tools

$(STAMP): pyproject.toml constraints.txt core/pyproject.toml $(PLUGINS:=/pyproject.toml)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit(f"Fairlead needs Python 3.11 or later; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=/path/to/python3.11")'
	@test -x $(UV) || { echo "Setting up $(VENV) ..."; $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; } \
	  || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --constraint constraints.txt --editable "core[local,testing,tracing]" $(foreach room,$(PLUGINS),--editable "$(room)[all]") --group dev
	@touch $@

lint: install ## ruff and import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache

type: install ## mypy, strict
	@$(BIN)/mypy $(SOURCES)

unit: install ## pytest
	@$(BIN)/pytest $(PYTEST_ARGS)

fmt: install ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: install ## compare with KServe and others; BENCH_ARGS='--only v1' for a part
	@$(BIN)/python benchmarks/compare.py $(BENCH_ARGS)

constraints: install ## pin again what was tried together
	@$(UV) pip compile --quiet --upgrade --no-header --no-annotate --all-extras --group dev core/pyproject.toml $(PLUGINS:=/pyproject.toml) | grep "^[a-z0-9].*==" > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove everything that make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
