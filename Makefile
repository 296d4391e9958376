# qrex: `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A new package must be known to the editable install, hence the __init__ files.
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/cpp/*) $(wildcard src/qrex/*/__init__.py src/qrex/*/*/__init__.py)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install peers expand test lint docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv and install qrex with what its tests need

$(STAMP): $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

peers: install ## add the packages that the benchmarks compare with
	$(BIN)/python -m pip install -q -e '.[dev,peers]'

expand: install ## run the main job on examples/workload and write out/report.html
	$(BIN)/qrex expand examples/workload --out out

test: install ## run the tests
	$(BIN)/python -m pytest -n 2

lint: install ## check style and types of names
	$(BIN)/ruff check src tests benchmarks

docs: install ## regenerate docs/cli.md from the program
	$(BIN)/python -m qrex.cli.reference > docs/cli.md

clean: ## remove the environment and build products
	rm -rf $(VENV) build out
