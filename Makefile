# `make demo` and `make test` set everything up in .venv; they need Python 3.11 and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON := .venv/bin/python
# Two pytest workers with one thread each keep two cores busy; more threads would compete.
WORKERS ?= 2
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

.PHONY: demo test check-large bench clean

demo: .venv/ready-demo
	$(PYTHON) bin/world_demo.py --output=out/demo --overwrite

test: .venv/ready-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(ONE_THREAD) $(PYTHON) -m pytest -n $(WORKERS) --dist=loadfile --cov --cov-report=term

check-large: .venv/ready-test
	$(PYTHON) -m pytest -m large

bench: .venv/ready-demo
	$(PYTHON) bench/variant_scoring.py
	$(PYTHON) bench/forward.py
	$(PYTHON) bench/prior_step.py

# Keeps .venv, which takes minutes to make.
clean:
	rm -rf out build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# A file that is newer than what it was made from: the second run skips the set-up.
.venv/ready-demo: requirements.txt setup.py | .venv/created
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[geno,io,log,plot]'
	touch $@

.venv/ready-test: requirements.txt setup.py | .venv/created
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[geno,io,log,plot,test]'
	touch $@

# A virtual environment with a working pip is kept, whoever made it.
.venv/created:
	@if ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  for python in python3.11 python3 python; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	      echo "setting up .venv with $$python (some minutes the first time)"; \
	      exec $$python -m venv --clear .venv; \
	    fi; \
	  done; \
	  echo "error: Python 3.11 not found; install it so that python3.11 is on the PATH" >&2; \
	  exit 1; \
	fi
	@touch $@
