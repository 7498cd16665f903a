# All that a developer types. Needs Python 3.11 or newer, make and git; fetches the rest into .venv and .tools.
# Another Python: make test PYTHON=python3.12 (its environment is .venv-3.12).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

export PYTHONDONTWRITEBYTECODE =
export PYTHONPATH =

AT_LEAST_3_11 := import sys; sys.exit(sys.version_info < (3, 11))
ifeq ($(origin PYTHON),undefined)
  PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3.14 python3.15 python3; do \
    "$$p" -c '$(AT_LEAST_3_11)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
  VENV := .venv
else
  VENV := .venv-$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BIN := $(VENV)/bin
WORKERS := $(shell echo $$(( $$(nproc 2>/dev/null || echo 1) + 1 ))) # half of the tests' time is waiting
# The tests of decisions, which run with the compiled core and without; the rooms left out, and commands, decide nothing.
DECISIONS := tests/core tests/routes tests/router tests/laws tests/vectors tests/test_scope.py \
  --ignore tests/core/guard --ignore tests/core/notices --ignore tests/core/plan --ignore tests/core/replica \
  --ignore tests/laws/test_what_is_said_is_so.py

.PHONY: help demo demo-console test lint format types unit pure cover docs docs-serve docs-links screenshots bench bench-peers bench-living lab soak speed-soak dist wheels lowest matrix clean env \
  env-demo

help: ## say what can be made
	@echo "make ...  (with PYTHON=python3.12 under another Python)"
	grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do
	  printf '  %-12s %s\n' "$$name" "$$text"
	done

demo: env-demo ## the main job on real parts: a server, a shop, traffic, a raise, a rollback
	@$(BIN)/python -m examples.shop.demo

demo-console: env-demo ## the same parts kept running, to be looked at in the console; Ctrl-C ends them
	@$(BIN)/python -m examples.shop.demo --keep

test: lint ## all that CI runs: lint, types, architecture, tests
	@said=$$(mktemp)
	trap 'rm -f "$$said"' EXIT
	$(MAKE) types >"$$said" 2>&1 & # most tests wait, so the types are checked beside them
	types=$$!
	tests=0
	$(MAKE) unit || tests=$$?
	$(MAKE) pure || tests=$$?
	wait $$types || { cat "$$said"; echo "types: failed"; exit 1; }
	exit $$tests

lint: env ## ruff's rules, its format, and who may import whom
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: env ## mypy and basedpyright, strict
	@$(BIN)/mypy
	$(BIN)/basedpyright

unit: env ## the tests alone; ARGS="-k rollback -x" goes to pytest
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

pure: env ## the tests of decisions once more, in pure Python, where `unit` ran the compiled core
	@if ! $(BIN)/python -c 'import graysplit_speed' 2>/dev/null; then
	  echo "pure: no compiled core here, so all tests have run in pure Python"
	  exit 0
	fi
	GRAYSPLIT_PURE=1 $(BIN)/pytest -n $(WORKERS) --dist loadgroup -o cache_dir=.pytest_cache/pure $(DECISIONS) $(ARGS)

cover: env ## the tests with coverage, children and workers too: twice as slow
	@$(BIN)/pytest -n auto --dist loadgroup --cov --cov-report=term $(ARGS)

format: env ## bring the code into ruff's format
	@$(BIN)/ruff check --fix --select I
	$(BIN)/ruff format

SITE := build/docs
SPHINX = $(BIN)/python -m sphinx -q -W --keep-going $(if $(REF),-D graysplit_ref=$(REF)) -d build/doctrees docs

docs: env ## the documentation as a site, in build/docs; REF=v1.2.3: links lead to a tag's files
	@$(SPHINX) -b html $(SITE)
	echo "$(SITE)/index.html"

docs-serve: docs ## the site, served to this machine alone; PORT=8400
	@echo "http://127.0.0.1:$${PORT:-8400}/"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE) $${PORT:-8400}

docs-links: env ## look up every address that the documentation names; needs the internet
	@$(SPHINX) -b linkcheck build/links

screenshots: env ## the pictures of the console in docs/images anew; needs Chromium
	@GRAYSPLIT_PICTURES=1 $(BIN)/pytest -q -n 0 tests/console/browser/test_pictures.py

bench: env ## what it costs, against its goals: hot path, import, reload, propagation
	@$(BIN)/python -m benchmarks

bench-peers: env ## the same for other libraries, each in an environment of its own
	@$(BIN)/python -m benchmarks.peers

bench-living: env ## what living with it costs: a request, a process at rest, its start, a change
	@$(BIN)/python -m benchmarks.living

lab: env ## the six release policies with real processes under load, beside what others do
	@$(BIN)/python -m benchmarks.policies

soak: env ## the long part of the fault suite, then races and faults again and again; SOAK=300 for five minutes
	@$(BIN)/pytest -q -m soak -n auto --dist loadgroup tests $(ARGS)
	end=$$(( SECONDS + $${SOAK:-60} ))
	while (( SECONDS < end )); do
	  $(BIN)/pytest -q -x -n auto --dist loadgroup tests/faults tests/stores tests/follower tests/laws $(ARGS)
	done

speed-soak: env ## the compiled core under ASan and UBSan: a long fuzz, and the tests of decisions
	@SPEED_DECISIONS=1_000_000 SPEED_ROUNDS=2_000 $(BIN)/python tools/sanitized.py -q -n auto -m "soak or not soak" tests/speed \
	  --ignore tests/speed/test_memory.py $(ARGS)
	$(BIN)/python tools/sanitized.py -q -n auto --dist loadgroup $(DECISIONS) $(ARGS)

dist: python ## what a release uploads, checked: metadata, the sdist's tests, clean environments (3.11 to 3.13 x extras)
	@for job in build sdist "installs $(PYTHONS)"; do "$(PYTHON)" tools/packages.py $$job; done

wheels: python ## the pure wheel and this machine's compiled one: size, ABI, both installed and compared; PYTHONS="3.12"
	@"$(PYTHON)" tools/wheels.py $(PYTHONS)

lowest: python ## tests with the lowest versions that pyproject.toml allows; ARGS="tests" for all of them
	@"$(PYTHON)" tools/packages.py lowest $(ARGS)

matrix: python ## each integration's tests with its lowest and its latest version; ARGS="django flask" for some
	@"$(PYTHON)" tools/packages.py matrix $(ARGS)

clean: ## remove what make and the tools have made
	@rm -rf .venv .venv-* .tools dist build htmlcov .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	  .import_linter_cache benchmarks/peers/.envs
	find src tests tools examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

env: python
	@"$(PYTHON)" tools/bootstrap.py --venv $(VENV) test lint

env-demo: python
	@"$(PYTHON)" tools/bootstrap.py --venv $(VENV) demo

.PHONY: python
python:
	@if [[ -z "$(PYTHON)" ]]; then
	  echo "graysplit needs Python 3.11 or newer, and none was found on PATH: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2
	  exit 2
	fi
