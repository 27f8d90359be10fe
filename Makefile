# `make demo` shows the result; `make test` checks most of the project, and the others check the rest.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-slow lint wheel docs

demo: $(VENV)/demo
	$(BIN)/rrjax spectrum trm-sudoku9-hard --num-exponents 4
	$(BIN)/rrjax report runs/spectrum-trm-sudoku9-hard --out runs/report.html

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

wheel: $(VENV)/dev
	VENV=$(VENV) .ci/wheel

docs: $(VENV)/docs
	JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.jax_cache $(BIN)/python -m sphinx -W -q --keep-going -j 2 docs docs/_build/html

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

$(VENV)/demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[viz,report]'
	touch $@

$(VENV)/dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/docs: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@
