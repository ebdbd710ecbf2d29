# `make demo` and `make test` need Python 3.11 or later and make, and set up the rest themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/*/pyproject.toml))
# What a plugin's tests need beside the plugin: its dependency group `test`, where it has one.
GROUPS = $(foreach room,$(1),$(if $(shell grep -s '^test = ' $(room)/pyproject.toml),--group $(room)/pyproject.toml:test))
# These need torch, which is gigabytes of CUDA where there is no build for the CPU alone.
OF_TORCH := $(wildcard plugins/runtimes/torch plugins/explainers/captum)
STAMP := $(VENV)/.installed
# The demo needs one framework, and not all of them.
DEMO := $(VENV)/.demo
AZURITE := 3.37.0
SOURCES := core/src core/tests operator/src operator/tests $(foreach room,$(PLUGINS),$(room)/src $(room)/tests) tests benchmarks
APART = build/venvs/$(subst /,-,$(P))
# The plugins that it is tested with: `tested-with` in the table [tool.fairlead].
BESIDE = $(shell sed -n 's/^tested-with = \[\(.*\)\]/\1/p' plugins/$(P)/pyproject.toml | tr -d '",')
# What it needs that cannot share the environment of all others: its dependency group `apart`.
OWN = $(if $(shell grep -s '^apart = ' plugins/$(P)/pyproject.toml),--group plugins/$(P)/pyproject.toml:apart)
# On macOS every build of torch is one for the CPU.
CPU_TORCH := $(if $(filter Darwin,$(shell uname)),^torch==,^torch==.*+cpu)
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
.PHONY: help demo test install emulators lint type unit e2e apart test-plugin fmt bench constraints clean

help:
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(if $(wildcard $(STAMP)),install,$(DEMO)) ## run an InferenceService: three protocols, a canary, to zero and back
	@$(BIN)/python examples/demo.py

test: lint type unit apart ## set everything up and pass every check

install: $(STAMP) ## make .venv with every room and the development tools

$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit(f"Fairlead needs Python 3.11 or later; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=/path/to/python3.11")'
	@echo "Setting up $(VENV) ..."
	@{ $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; } \
	  || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(STAMP): pyproject.toml constraints.txt core/pyproject.toml operator/pyproject.toml $(PLUGINS:=/pyproject.toml) | $(UV)
	@if echo torch | VIRTUAL_ENV=$(VENV) $(UV) pip compile --quiet --no-header --constraint constraints.txt - | grep -q "$(CPU_TORCH)"; \
	  then rooms="$(foreach room,$(PLUGINS),--editable $(room)[all]) $(call GROUPS,$(PLUGINS))"; \
	  else rooms="$(foreach room,$(filter-out $(OF_TORCH),$(PLUGINS)),--editable $(room)[all]) $(call GROUPS,$(filter-out $(OF_TORCH),$(PLUGINS)))"; \
	    echo "Left out: $(OF_TORCH). There is no torch for the CPU alone; name a folder that has it with pip config set global.find-links."; fi; \
	  VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --constraint constraints.txt --editable "core[client,local,testing,tracing,zstd]" --editable "operator[all]" --group operator/pyproject.toml:test $$rooms --group dev
	@touch $@

$(DEMO): constraints.txt core/pyproject.toml plugins/runtimes/sklearn/pyproject.toml | $(UV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --constraint constraints.txt --editable "core[local]" --editable "plugins/runtimes/sklearn[all]" \
	  $(foreach room,$(wildcard plugins/autoscalers/*),--editable $(room)) "tritonclient[grpc]"
	@touch $@

lint: install ## ruff and import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && PYTHONPATH=$(subst $(eval) ,:,$(OF_TORCH:=/src)) $(BIN)/lint-imports --no-cache

type: install ## mypy, strict
	@$(BIN)/mypy $(SOURCES)

# These load servers with all that the machine has, and count every connection: nothing runs beside them.
ALONE := $(wildcard $(addprefix tests/integration/test_,workers*.py drain.py attacks*.py comparison.py fuzz*.py \
  platform_attacks.py platform_faults.py platform_rollout.py platform_zero.py))

# What changes a cluster: that of KUBECONFIG, where it is set. Nothing else here touches one.
CLUSTERED := tests/support operator/tests/fairlead_operator_tests/running

# Servers that are no Python packages; without npm or apt-get the tests that need them are skipped, and say so.
EMULATORS := build/emulators

emulators: ## what tests of storage run against: an Azure emulator and a container registry
	@mkdir -p $(EMULATORS)
	@test -x $(EMULATORS)/node_modules/.bin/azurite-blob || ! command -v npm >/dev/null \
	  || npm install --prefix $(EMULATORS) --silent --no-audit --no-fund --no-save azurite@$(AZURITE) >/dev/null 2>&1 \
	  || echo "azurite could not be installed: the tests of Azure are skipped."
	@test -x $(EMULATORS)/docker-registry/usr/bin/docker-registry || ! command -v apt-get >/dev/null \
	  || (cd $(EMULATORS) && { apt-get download docker-registry || { apt-get update && apt-get download docker-registry; }; } \
	      && dpkg-deb -x docker-registry_*.deb docker-registry && rm docker-registry_*.deb) >/dev/null 2>&1 \
	  || echo "docker-registry could not be installed: the tests of container registries are skipped."

unit: install emulators ## pytest
ifneq ($(PYTEST_ARGS),)
	@env -u KUBECONFIG $(BIN)/pytest $(PYTEST_ARGS)
else
	@# An operator watches for as long as its tests run: beside it, other tests would measure its memory and its time.
	@env -u KUBECONFIG $(BIN)/pytest --numprocesses 2 --dist loadfile operator/tests tests/support
	@env -u KUBECONFIG $(BIN)/pytest --numprocesses 2 --dist loadfile core/tests plugins tests $(addprefix --ignore=,tests/support $(ALONE))
	@env -u KUBECONFIG $(BIN)/pytest $(ALONE)
endif

e2e: install ## what runs in a cluster: that of KUBECONFIG, or one in memory where it is not set
	@$(BIN)/pytest $(CLUSTERED) $(PYTEST_ARGS)

apart: install ## what cannot share the environment of all others
	@$(MAKE) --no-print-directory test-plugin P=explainers/alibi

test-plugin: $(UV) $(if $(filter storage/azure storage/oci,$(P)),emulators) ## one plugin in an environment of its own; P=runtimes/onnx says which
	@test -f "plugins/$(P)/pyproject.toml" || { echo "Say which plugin: make test-plugin P=runtimes/onnx"; exit 2; }
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(APART)
	@VIRTUAL_ENV=$(APART) $(UV) pip install --quiet --constraint $(firstword $(wildcard plugins/$(P)/constraints.txt) constraints.txt) \
	  --editable "core[local,testing]" $(foreach room,$(P) $(BESIDE),--editable "plugins/$(room)[all]") $(call GROUPS,plugins/$(P)) $(OWN) --group test
	@$(APART)/bin/pytest plugins/$(P) $(PYTEST_ARGS)

fmt: install ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: install ## compare with KServe and others; BENCH_ARGS='--only v1' for a part
	@$(BIN)/python benchmarks/compare.py $(BENCH_ARGS)

constraints: install ## pin again what was tried together
	@$(UV) pip compile --quiet --upgrade --no-header --no-annotate --extra all --extra client --extra local --extra testing --extra tracing --extra zstd --group dev --group operator/pyproject.toml:test $(call GROUPS,$(PLUGINS)) core/pyproject.toml operator/pyproject.toml $(PLUGINS:=/pyproject.toml) | grep "^[a-z0-9].*==" | sed 's/+cpu$$//' > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove everything that make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
