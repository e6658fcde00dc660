# make reproduce: from a fresh clone to the report.  make test: from a fresh clone to the tests.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
# the first Python that fits; uv, where it is, brings one along
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if $$one -c '$(FITS)' 2>/dev/null; then command -v $$one; exit; fi; done; command -v uv)
PROFILE ?= demo
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed
PIPELINE := $(if $(filter demo,$(PROFILE)),dvc.yaml,profiles/$(PROFILE)/dvc.yaml)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup doctor reproduce figures test long platforms check lock bench clean
help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## virtual environment with the locked versions

$(STAMP): requirements.lock torch.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo "Python 3.11 to 3.14 is needed, and there is none; install one, or uv. Or set PYTHON=/path/to/python3." >&2; exit 1; }
	@test '$(notdir $(PYTHON))' = uv || $(PYTHON) -c '$(FITS)' || { echo "Python 3.11 to 3.14 is needed; found $$($(PYTHON) --version 2>&1). Set PYTHON=/path/to/python3." >&2; exit 1; }
	@echo "Installing the locked environment into $(VENV) (2.7 GB, 2 to 4 minutes) ..."
	@$(BIN)/python -c '$(FITS)' 2>/dev/null || if test '$(notdir $(PYTHON))' = uv; then $(PYTHON) venv --quiet --clear --seed --python '>=3.11,<3.15' $(VENV); \
	  else $(PYTHON) -m venv --clear $(VENV); fi
	@# first what builds, so that nothing is built by what no hash holds; PyTorch, which has none, last: all that it shares is there then
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.lock > $(VENV)/build.lock
	@$(PIP) --no-deps --require-hashes -r $(VENV)/build.lock
	@$(PIP) --no-deps --require-hashes --no-build-isolation -r requirements.lock
	@$(PIP) -r torch.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $(STAMP)

doctor: setup ## say whether this machine can run PROFILE, and what to do if not
	@python -m emosynth doctor --profile '$(PROFILE)'

reproduce: setup ## run the pipeline (PROFILE=demo|smoke|paper) and say where the report is
	@python -m emosynth pipeline --profile '$(PROFILE)'
	@dvc repro $(PIPELINE)
	@echo
	@echo "Report: reports/$(PROFILE)/index.html"

figures: setup ## figures and report of PROFILE again, from its published result tables: a minute instead of hours
	@python -m emosynth restore --profile '$(PROFILE)'
	@python -m emosynth run 11_figures --profile '$(PROFILE)'
	@echo
	@echo "Report: reports/$(PROFILE)/index.html"

# $(1): arguments of a run. Exit 1 is a failed test: those are run once more, one after the other, since tests with processes, clocks or a browser
# can fail of a neighbour's load; what fails twice has failed. Exit 5: no such tests. Later runs take place all the same, so that all is seen at once.
define pytest
	code=0; python -m pytest $(1) $(PYTEST_ARGS) || code=$$?; \
	if [ $$code = 1 ]; then \
	  printf '\nOnce more, one after the other: what failed.\n'; code=0; \
	  python -m pytest $(1) $(PYTEST_ARGS) -n 0 --last-failed --last-failed-no-failures none || code=$$?; \
	fi; \
	[ $$code = 0 ] || [ $$code = 5 ] || failed=1
endef

test: setup ## run the tests: those of single parts side by side, then those that run the whole pipeline
	@failed=0; \
	$(call pytest,-n 2 --dist loadfile -m "not pipeline and not long and not index"); \
	$(call pytest,-n 2 --dist loadfile -m pipeline); \
	exit $$failed

long: setup ## run several labels a text (with the mirror) and three languages through every step
	@python -m pytest -m long $(PYTEST_ARGS)

platforms: setup ## resolve the lock for each Python and system that README names, by asking the package index
	@python -m pytest -m index tests/test_versions.py

check: setup ## formatting, lint, types, pipeline files, notebook sources
	@ruff format --check src tests benchmarks tools
	@ruff check src tests benchmarks tools
	@mypy
	@python -m emosynth pipeline --check
	@python -m pytest -q tests/test_notebooks.py
	@python tools/quoted.py --check

bench: setup ## all benchmarks that take time; nothing else should be running
	@python benchmarks/run_all.py

lock: setup ## write requirements.lock and torch.lock from what is installed
	@python tools/lock.py

clean: ## remove what the pipeline made for PROFILE (caches stay)
	rm -rf "data/$(or $(PROFILE),demo)"
