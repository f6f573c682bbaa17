# Every target sets up what it needs; `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.NOTPARALLEL:

VENV ?= .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
PROVIDER ?= local
IMAGE ?= pyscheduler:dev
PYTHON_IMAGE ?= python:3.13-slim
CODE := pyscheduler plugins tests benchmarks manifests
WORKERS ?= auto
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)

# The first interpreter that is new enough; PYTHON=... chooses another one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# An environment whose interpreter has gone (an upgrade took it) is made again.
ifneq ($(wildcard $(VENV)/pyvenv.cfg),)
  $(shell $(PY) -c pass 2>/dev/null || rm -rf $(VENV))
endif

# $(call step,what) prints a heading with the seconds since the outermost make began.
ifndef BEGAN
  BEGAN := $(shell date +%s)
  export BEGAN
endif
step = @printf '\n\033[1m== %s\033[0m (%d s)\n' '$(1)' "$$(( $$(date +%s) - $(BEGAN) ))"

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: python-found
python-found:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "error: no Python 3.11 or newer found: install one, or name it with make PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "error: PYTHON=$(PYTHON) is not Python 3.11 or newer" >&2; exit 1; \
	fi

$(VENV)/bin/python: | python-found
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "error: $(PYTHON) cannot make virtual environments: install its venv module (Debian: python3-venv)" >&2; exit 1; }

# The stamps are older than pyproject.toml after it has changed: the environment is then updated.
$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "installing pyscheduler for the demo into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(PROJECTS) | $(VENV)/bin/python
	@echo "installing pyscheduler and the development tools into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[demo,dra,bench,dev]' \
	  $(patsubst %/pyproject.toml,-e ./%,$(wildcard plugins/*/pyproject.toml))
	@touch $@ $(VENV)/.demo

##@ to see it

.PHONY: demo
demo: $(VENV)/.demo ## an embedded cluster and the scheduler at work; SERVE=1 stays up for kubectl
	@$(PY) -m pyscheduler demo $(if $(filter-out 0,$(SERVE)),--serve)

##@ to check it

.PHONY: test
test: lint test-unit test-contract ## everything: lint, types, layers, unit to end-to-end tests
	$(call step,end-to-end tests on the real control plane)
	@$(MAKE) --no-print-directory e2e PROVIDER=local
	$(call step,all of it passed)

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy and the layers
	$(call step,ruff)
	@$(VENV)/bin/ruff check $(wildcard $(CODE))
	@$(VENV)/bin/ruff format --check $(wildcard $(CODE))
	$(call step,mypy)
	@$(VENV)/bin/mypy --strict $(wildcard $(CODE))
	$(call step,layers)
	@$(VENV)/bin/lint-imports --no-logo

.PHONY: format
format: $(VENV)/.dev ## put the code into the shape that lint asks for
	@$(VENV)/bin/ruff check --fix $(wildcard $(CODE))
	@$(VENV)/bin/ruff format $(wildcard $(CODE))

.PHONY: test-unit
test-unit: $(VENV)/.dev ## unit, property, architecture and component tests, and those of the plugins
	$(call step,unit to component tests)
	@$(PYTEST) -n $(WORKERS) -q $(wildcard tests/architecture tests/unit tests/properties tests/parity \
	  tests/component plugins/*/tests)

.PHONY: test-contract
test-contract: $(VENV)/.dev ## one suite on the embedded and on the real API server
	$(call step,contract tests)
	@$(PYTEST) -q tests/contract

.PHONY: e2e
e2e: $(VENV)/.dev ## end-to-end tests, a failed one tried once more; PROVIDER=local (default), kind, existing
	@$(PYTEST) -q tests/e2e --provider=$(PROVIDER) --reruns 1

.PHONY: record-config-oracle
record-config-oracle: $(VENV)/.dev ## what the real kube-scheduler makes of tests/parity/config/inputs
	@$(PY) -m tests.parity.config.record

.PHONY: parity
parity: $(VENV)/.dev ## beside the real kube-scheduler, thousands of random cases; CASES=5000, SEED=1
	@$(PY) -m tests.parity.campaign --cases $(or $(CASES),5000) --seed $(or $(SEED),1)

.PHONY: record-parity
record-parity: $(VENV)/.dev ## the real kube-scheduler's answers that tests/parity replays
	@$(PY) -m tests.parity.record

.PHONY: histories
histories: $(VENV)/.dev ## thousands of random cluster lives with faults; COUNT=5000, SEED=1
	@$(PY) -m tests.component.histories --count $(or $(COUNT),5000) --seed $(or $(SEED),1)

.PHONY: soak
soak: $(VENV)/.dev ## a day of a large cluster in virtual time: memory and counts; HOURS=24, SCALE=1
	@$(PY) -m benchmarks.soak --hours $(or $(HOURS),24) --scale $(or $(SCALE),1)

##@ to measure it

.PHONY: bench
bench: $(VENV)/.dev ## workloads in both places, a few pods of each; ARGS="--select REGEX", "--place real", --help
	@$(PY) -m benchmarks.run --runs 1 --pods 1000 $(ARGS)

.PHONY: bench-full
bench-full: $(VENV)/.dev ## every figure that is promised, row by row: more than an hour; ARGS=--write
	@$(PY) -m benchmarks.figure_table $(ARGS)

.PHONY: bench-basic
bench-basic: $(VENV)/.dev ## of these, 500 nodes beside kube-scheduler on one control plane
	@$(PY) -m benchmarks.figure_table basic-500 $(ARGS)

.PHONY: bench-preemption
bench-preemption: $(VENV)/.dev ## of these, 300 preemptors over 300 full nodes
	@$(PY) -m benchmarks.figure_table preemption $(ARGS)

.PHONY: bench-embedded
bench-embedded: $(VENV)/.dev ## of these, all against the embedded server
	@$(PY) -m benchmarks.figure_table embedded $(ARGS)

.PHONY: bench-latency
bench-latency: $(VENV)/.dev ## the event loop's lag and an urgent pod's wait, behind thousands of pods
	@$(PY) -m benchmarks.latency $(ARGS)

.PHONY: bench-memory
bench-memory: $(VENV)/.dev ## memory per stored pod, and pods per class
	@$(PY) -m benchmarks.memory $(ARGS)

.PHONY: bench-plugins
bench-plugins: $(VENV)/.dev ## each plugin alone over 5,000 nodes; ARGS=--write puts the table into the documents
	@$(PY) -m benchmarks.plugins $(ARGS)

.PHONY: bench-startup
bench-startup: $(VENV)/.dev ## beside kube-scheduler: from the start of the process to the first bind
	@$(PY) -m benchmarks.startup $(ARGS)

.PHONY: bench-streaming
bench-streaming: $(VENV)/.dev ## 400 Secrets of 1 MB by WatchList and by LIST: memory of server and client
	@$(PY) -m benchmarks.streaming $(ARGS)

.PHONY: bench-stages
bench-stages: $(VENV)/.dev ## what each stage of a pod's way costs; ARGS=--write puts the table into the documents
	@$(PY) -m benchmarks.stages $(ARGS)

.PHONY: profile
profile: $(VENV)/.dev ## a flame graph of the scheduler at work: WORKLOAD=SchedulingBasic/500Nodes; without, their names
	@$(PY) -m benchmarks.profiling "$(WORKLOAD)" $(ARGS)

##@ to ship it, and to tidy up

.PHONY: image
image: ## the container image; PYTHON_IMAGE and IMAGE may be set
	docker build --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) -t $(IMAGE) .

.PHONY: clean
clean: ## environments, caches and build products (not the control plane's binaries)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	  build dist *.egg-info .e2e bench-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
