# `make demo` shows the result; `make test` checks most of the project, and the others check the rest.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# empty: hundreds of processes that tests start import what is compiled once
export PYTHONDONTWRITEBYTECODE =
# such as --no-compile, where an environment is made for one run
PIP_OPTIONS ?=

.PHONY: demo test test-slow lint ruff pyright wheel docs

demo: $(VENV)/demo
	$(BIN)/rrjax spectrum trm-sudoku9-hard --num-exponents 4
	$(BIN)/rrjax report runs/spectrum-trm-sudoku9-hard --out runs/report.html

test: $(VENV)/dev
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/dev
	$(PYTEST) -m slow

wheel: $(VENV)/dev
	VENV=$(VENV) .ci/wheel

docs: $(VENV)/docs
	JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.jax_cache JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
	  JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 $(BIN)/python -m sphinx -W -q --keep-going -j 2 docs docs/_build/html

lint: ruff pyright

ruff: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

pyright: $(VENV)/dev
	$(BIN)/pyright --pythonpath $(BIN)/python

$(VENV)/demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[viz,report]'
	touch $@

$(VENV)/dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --editable '.[dev]'
	touch $@

$(VENV)/docs: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --editable '.[docs]'
	touch $@
