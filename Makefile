# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`. `make help` lists the rest.
# All state of a run lives under FLEET_HOME (.fleet unless the environment or .env says otherwise).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DBT := .venv-dbt
DBT_PACKAGES := 'dbt-core>=1.10.6,<1.12' 'dbt-postgres>=1.9,<2'
SPARK := .venv-spark
SPARK_PACKAGES := --constraint constraints.txt --editable '.[dev,spark]'
AUDIT := .venv-audit
AUDIT_PACKAGES := 'pip-audit>=2.10,<3' 'cyclonedx-bom>=7,<8'
FAULTS_ARGS ?=
# of two cores, which two workers left idle for a quarter of the time: tests wait for servers, ticks and disks
WORKERS ?= 3
PYTEST_ARGS ?=
DEV_ARGS ?=
SEGMENTATION_ARGS ?=

# Where the environment forbids it (as in many containers), every process compiles what it imports: 4 s of processor time
# for Dagster and pandas, which uv installs without bytecode, and 1 s for our own modules.
export PYTHONDONTWRITEBYTECODE :=

# uv installs in 10 s of processor time what pip needs 100 s for. pip does it where no uv is to be had, or uv fails, as
# behind an index that only pip knows, by other means than these two.
define install_into
@$(1)/python -m pip install --quiet --quiet --disable-pip-version-check uv 2>/dev/null && \
index=$${PIP_INDEX_URL:-$$($(1)/python -m pip config get global.index-url 2>/dev/null || true)} && \
$(1)/uv pip install --quiet --python $(1)/python $${index:+--default-index "$$index"} $(2) || \
$(1)/python -m pip install --quiet --quiet --disable-pip-version-check $(2)
endef

# Dagster handles SIGTERM as it handles SIGINT, which shells ignore for what they start in the background: `make dev &` then
# ran on after both, with its webserver, daemon and code server.
INTERRUPTIBLE := import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])

.DEFAULT_GOAL := help
.PHONY: help install demo dev api test test-production test-spark check format docs bench faults dbt sbom audit

help: ## Show these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with everything in it, in the versions of constraints.txt

$(INSTALLED): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call install_into,$(BIN),--constraint constraints.txt --editable '.[dev]')
	$(BIN)/python -m fleet_audit.cli.prepare
	@touch $@

demo: $(INSTALLED) ## Simulate a small fleet, run the main job on it, show the result and where the reports are
	$(BIN)/fleet-audit demo

dev: $(INSTALLED) ## The UI, schedules and sensor on that data, at http://127.0.0.1:3000
	@variables=$$($(BIN)/fleet-audit env) && eval "$$variables" && \
	PATH="$(abspath $(BIN)):$$PATH" VIRTUAL_ENV="$(abspath $(VENV))" exec $(BIN)/python -c '$(INTERRUPTIBLE)' $(BIN)/dg dev $(DEV_ARGS)

api: $(INSTALLED) ## The read API and its page on that data, at http://127.0.0.1:8080, with one user of each profile
	@variables=$$($(BIN)/fleet-audit env) && eval "$$variables" && exec $(BIN)/fleet-audit serve --demo

# In the order of the folders: by number of tests, the few long ones (integration) would begin last, on one worker.
test: $(INSTALLED) ## All tests, on a real PostgreSQL and a real S3 server
	$(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder --basetemp "$$(mktemp -d)/tests" $(PYTEST_ARGS)

test-production: $(INSTALLED) ## A whole deployment on Debian's PostgreSQL (apt-get install postgresql) and S3, some minutes
	$(BIN)/pytest -n 0 -m production --basetemp "$$(mktemp -d)/tests" fleet_audit_tests/production $(PYTEST_ARGS)

test-spark: $(SPARK)/.installed ## A fleet's windows on a Spark cluster of two workers (Java 17), with pyspark (456 MB) in an environment of its own
	PYTHONPATH="$(CURDIR)" $(SPARK)/bin/pytest -n 0 --basetemp "$$(mktemp -d)/tests" fleet_audit_tests/engine $(PYTEST_ARGS)

check: $(INSTALLED) ## Lint, format, types, walls between rooms, SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/sqlfluff lint dbt_like_sql

format: $(INSTALLED) ## Put code into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED) ## Write the generated pages again: docs/tables.md, parameters.md, rules.md, reasons.md, marts.md
	$(BIN)/python -m fleet_audit.schema.tables_page > docs/tables.md
	$(BIN)/python -m fleet_audit.logic.primitives.parameters_page > docs/parameters.md
	$(BIN)/python -m fleet_audit.logic.audit.rules.rules_page > docs/rules.md
	$(BIN)/python -m fleet_audit.formats.reasons > docs/reasons.md
	$(BIN)/python -m fleet_audit.marts.marts_page > docs/marts.md

bench: $(INSTALLED) ## How fast: rows per second of staging, segmentation and load; how right: against a simulated truth
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.ingestion
	$(BIN)/python -m benchmarks.reports
	$(BIN)/python -m benchmarks.segmentation $(SEGMENTATION_ARGS)
	$(BIN)/python -m benchmarks.package
	$(BIN)/python -m benchmarks.accuracy
	$(BIN)/python -m benchmarks.doubt
	$(BIN)/python -m benchmarks.rules_speed
	$(BIN)/python -m benchmarks.marts
	$(BIN)/python -m benchmarks.start_up
	$(BIN)/python -m benchmarks.small_day

faults: $(INSTALLED) ## Random faults, each followed by one ordinary run; FAULTS_ARGS='--trials 60 --seed 1'
	$(BIN)/python -m benchmarks.faults $(FAULTS_ARGS)

sbom: $(INSTALLED) $(AUDIT)/.installed ## List every installed package with version and licence: build/sbom.cdx.json (CycloneDX)
	@mkdir -p build
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o build/sbom.cdx.json $(BIN)/python

audit: $(INSTALLED) $(AUDIT)/.installed ## Ask for known vulnerabilities of the installed packages; says so where OSV cannot be reached
	$(BIN)/python deploy/audit_packages.py $(AUDIT)/bin/pip-audit "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

$(AUDIT)/.installed:
	test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	$(call install_into,$(AUDIT)/bin,$(AUDIT_PACKAGES))
	@touch $@

$(SPARK)/.installed: pyproject.toml setup.py constraints.txt
	test -x $(SPARK)/bin/python || $(PYTHON) -m venv $(SPARK)
	$(call install_into,$(SPARK)/bin,$(SPARK_PACKAGES))
	@touch $@

dbt: $(DBT)/.installed ## Real dbt in an environment of its own; FLEET_DBT=.venv-dbt/bin/python make test then builds the marts with it too

$(DBT)/.installed:
	test -x $(DBT)/bin/python || $(PYTHON) -m venv $(DBT)
	$(call install_into,$(DBT)/bin,$(DBT_PACKAGES))
	@touch $@
