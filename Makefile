# make reproduce: from a fresh clone to the report.  make test: from a fresh clone to the tests.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PROFILE ?= demo
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIPELINE := $(if $(filter demo,$(PROFILE)),dvc.yaml,profiles/$(PROFILE)/dvc.yaml)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup reproduce figures test check lock bench clean
help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## virtual environment with the locked versions

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; found $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11." >&2; exit 1; }
	@echo "Installing the locked environment into $(VENV) (2.7 GB, 2 to 4 minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

reproduce: setup ## run the pipeline (PROFILE=demo|smoke|paper) and say where the report is
	@python -m emosynth pipeline
	@dvc repro $(PIPELINE)
	@echo
	@echo "Report: reports/$(PROFILE)/index.html"

figures: setup ## figures and report of PROFILE again, from its published result tables: a minute instead of hours
	@python -m emosynth restore --profile $(PROFILE)
	@python -m emosynth run 10_figures --profile $(PROFILE)
	@echo
	@echo "Report: reports/$(PROFILE)/index.html"

test: setup ## run the tests
	@python -m pytest $(PYTEST_ARGS)

check: setup ## formatting, lint, types, pipeline files, notebook sources
	@ruff format --check src tests benchmarks
	@ruff check src tests benchmarks
	@mypy
	@python -m emosynth pipeline --check
	@python -m pytest -q tests/test_notebooks.py

bench: setup ## generation speed of the backends, side by side
	@python benchmarks/bench_generation.py

lock: setup ## write requirements.lock from what is installed
	@python tools/lock.py

clean: ## remove what the pipeline made for PROFILE (caches stay)
	rm -rf "data/$(or $(PROFILE),demo)"
