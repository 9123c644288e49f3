# Everything is done in a virtual environment that make sets up from pyproject.toml by itself.

PYTHON ?= python3
# An environment for each interpreter that is asked for: `make test PYTHON=python3.13`.
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
BIN := $(VENV)/bin

# The tests start hundreds of processes, and each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test coverage test-stress soak interop conformance lint types mypy pyright docs format bench dist licences clean

help: ## Show the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

# One stamp for each set of dependencies.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.package: pyproject.toml voucherify_async/_version.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.cli: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group test
	@touch $@

$(VENV)/.interop: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group interop
	@touch $@

$(VENV)/.bench: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

$(VENV)/.types: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group types
	@touch $@

$(VENV)/.docs: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(VENV)/.lint: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

$(VENV)/.dist: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group dist
	@touch $@

demo: $(VENV)/.cli ## Run the main job against the sandbox.
	$(BIN)/voucherify-async demo

TESTS := not soak
PATHS := tests
# Two for each core, as many tests wait for processes that they have started.
WORKERS = $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
PYTEST = $(BIN)/python -m pytest -m '$(TESTS)' -n $(WORKERS) --dist worksteal $(PATHS)

test: $(VENV)/.test ## Run the tests.
	$(PYTEST)

coverage: $(VENV)/.test ## Run the tests and measure their coverage, which takes twice as long.
	$(PYTEST) --cov

RUNS := 3

test-stress: $(VENV)/.test ## Run the tests three times on a busy machine; RUNS=1 PATHS=tests/unit does less.
	$(BIN)/python -m tests.stress --runs $(RUNS) -m '($(TESTS)) and not interop' -n 8 --dist worksteal $(PATHS)

soak: $(VENV)/.test ## Run the tests that take long; SOAK_SCALE=0.1 runs a tenth of them.
	$(BIN)/python -m pytest -m soak -n 4 --dist worksteal  # one of them waits for two minutes

interop: $(VENV)/.test $(VENV)/.interop $(VENV)/.docs ## Run the tests with the official client, a browser, a cluster and a worker.
	VOUCHERIFY_REQUIRE_INTEROP=1 $(BIN)/python -m pytest -m interop

REQUESTS := 2000

conformance: $(VENV)/.test ## Hold the sandbox to the published documents; REQUESTS=300 sends fewer requests.
	$(BIN)/python -m tests.contract.conformance --requests $(REQUESTS)

lint: $(VENV)/.lint ## Check style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: mypy pyright ## Check types with mypy and pyright, both strict; -j2 runs both at once.

mypy: $(VENV)/.types
	$(BIN)/mypy voucherify_async tests examples benchmarks docs

pyright: $(VENV)/.types
	$(BIN)/pyright --warnings

docs: $(VENV)/.docs ## Build the documentation in build/docs/site, and check it.
	$(BIN)/python -m docs

format: $(VENV)/.lint ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## Run the benchmarks; BENCH=--short takes less than three minutes, and fails if far off.
	$(BIN)/python -m benchmarks $(BENCH)
	$(BIN)/python -m benchmarks.sync $(if $(findstring --short,$(BENCH)),--customers 5000 --long 50000)
	$(BIN)/python -m benchmarks.redis_limit --short

dist: $(VENV)/.dist ## Build the wheel and the sdist twice, and use them on every Python that is found.
	$(BIN)/python -m tests.release $(DIST)

licences: $(VENV)/.dist ## Write the page of the dependencies and their licences.
	$(BIN)/python -m tests.release --write-licences

clean: ## Remove the environment and everything that is made.
	rm -rf $(VENV) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
	find voucherify_async tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +
