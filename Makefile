# Two commands: `make demo` and `make test`. The rest serves development.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet -c $(CONSTRAINTS)
# Small cells gain nothing from threads inside a process; two workers share the cores instead.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo bench test lint format generated clean

help:  ## show this list
	@awk -F ':.*##' '/^[a-z]+:.*##/ {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("aga needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "installing aga and its dependencies into $(VENV) (a few minutes the first time)"
	$(PIP_INSTALL) -e '.[embedded]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[embedded,test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed  ## search Si8 from nothing; results in aga-demo/
	$(BIN)/aga run templates/si8-tersoff.yaml --workers 2 --output aga-demo

bench: $(VENV)/.installed  ## measure the potential beside its peers; a quarter of an hour
	$(PIP_INSTALL) -e '.[embedded,bench]'
	$(BIN)/aga bench speed

test: $(VENV)/.installed-test  ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## style, types, import contracts, spelling
	$(BIN)/ruff format --check aga tests
	$(BIN)/ruff check aga tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell aga tests docs README.md CONTRIBUTING.md CHANGELOG.md templates workflows hpc

format: $(VENV)/.installed-dev  ## put the code into the house style
	$(BIN)/ruff format aga tests
	$(BIN)/ruff check --fix aga tests

generated: $(VENV)/.installed-test  ## rewrite the tables of docs/reference and workflows/ from the code
	$(BIN)/python tests/unit/test_docs_settings.py
	$(BIN)/python tests/unit/test_docs_commands.py
	$(BIN)/python tests/unit/test_docs_files.py
	$(BIN)/python tests/unit/test_oracle_page.py

clean:  ## remove the environment and the demo's results
	rm -rf $(VENV) aga-demo
