# Two commands to start with: `make run` (the tutorial's front proxy, for real, on loopback) and `make test`.
# All targets but the first installation work without a network.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONFIG ?=
PORT = 8000
ADMIN_PORT = 8001

.PHONY: run google test check fmt fmt-check lint type validate cov bench parity parity-record sweep fuzz soak bench-quick build clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/.run: pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "trio_envoy needs Python 3.11 or newer, and $(PYTHON) is not there: set PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("trio_envoy needs Python 3.11 or newer, and %s is %d.%d: set PYTHON=/path/to/a/newer/python." % (sys.executable, v[0], v[1]))'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lint]'
	@touch $@

$(VENV)/.oracle: $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[oracle]'
	@touch $@

run: $(VENV)/.run  ## the tutorial's front proxy on PORT (8000), its admin page on ADMIN_PORT (8001); CONFIG=file runs a file of yours
	@if [ -n "$(CONFIG)" ]; then exec $(BIN)/trio-envoy -c "$(CONFIG)" --concurrency 1; else exec $(BIN)/python -m trio_envoy.demo --port $(PORT) --admin-port $(ADMIN_PORT); fi

google: $(VENV)/.run  ## the tutorial's Google proxy on 10000, its admin page on 9901 (needs the internet)
	@exec $(BIN)/trio-envoy -c sample_configs/google_com_proxy.v2.yaml

test: $(VENV)/.test  ## the whole test suite; needs neither a network nor Envoy
	@$(BIN)/python -m pytest -q -n 2 $(PYTEST)

check: fmt-check lint type test  ## all that must hold before a change lands

fmt: $(VENV)/.lint  ## format the code
	@$(BIN)/ruff format trio_envoy tests
	@$(BIN)/ruff check --fix trio_envoy tests

fmt-check: $(VENV)/.lint
	@$(BIN)/ruff format --check trio_envoy tests

lint: $(VENV)/.lint  ## ruff
	@$(BIN)/ruff check trio_envoy tests

type: $(VENV)/.lint  ## mypy --strict
	@$(BIN)/mypy

validate: $(VENV)/.run  ## every sample through --mode validate
	@set -e; for file in sample_configs/*.yaml sample_configs/*/*-envoy*.yaml; do $(BIN)/trio-envoy -c $$file --mode validate -l error; done

cov: $(VENV)/.test  ## branch coverage
	@$(BIN)/python -m coverage run -m pytest -q && $(BIN)/python -m coverage report --skip-covered

parity: $(VENV)/.oracle  ## all parity cases live: the real Envoy beside ours
	@$(BIN)/python -m tests.parity.live $(CASES)

fuzz: $(VENV)/.oracle  ## odd HTTP/1 through the real Envoy and ours, 20000 inputs; FUZZ="--count 1000 --seed 2" for others
	@$(BIN)/python -m tests.fuzz $(FUZZ)

soak: $(VENV)/.test  ## ten minutes of mixed traffic with faults; SOAK="--seconds 60 --concurrency 2 --bodies 10" for others
	@$(BIN)/python -m tests.soak $(SOAK)

parity-record: $(VENV)/.oracle  ## record the real Envoy's answers
	@$(BIN)/python -m tests.parity.record $(CASES)

sweep: $(VENV)/.oracle  ## thousands of changed configurations through --mode validate of both; SWEEP='--count 5000 --seed 2 --pairs'
	@$(BIN)/python -m tests.parity.sweep $(SWEEP)

bench: $(VENV)/.oracle  ## ours beside the real Envoy and other proxies, half an hour; writes docs/benchmarks.md (needs wrk, h2load, nginx, haproxy, nghttpd)
	@$(BIN)/python -m tests.bench $(BENCH)

bench-quick: $(VENV)/.oracle  ## five rows, ours beside the real Envoy, under 2 minutes (needs wrk, h2load, nginx)
	@$(BIN)/python -m tests.bench --quick

build: $(VENV)/.lint  ## wheel and sdist
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	@$(BIN)/python -m build

clean:  ## remove what was built
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
