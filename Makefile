# Everything a user or developer runs. On Debian and Ubuntu each target first sets up what it needs.
#
#   make demo     the bundled scan, classified: in napari, or as files in build/demo without a display
#   make test     every check
#   make lint types contracts manifest tests docs     one check each
#   make setup    only the system libraries and the virtual environment
#   make clean    remove what was built, the virtual environment too
#
#   PYTHON=python3.12     another interpreter
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu     the index torch comes from (here: CPU wheels)
#   PYTEST_ARGS="-m 'not slow'"     more arguments for pytest

PYTHON ?= python3
TORCH_INDEX ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check \
	--constraint constraints.txt --build-constraint constraints.txt
section = @printf '\n==== %s ====\n' '$(1)'

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup system demo test lint types contracts manifest tests docs clean

help:
	@sed -n '/^$$/q; s/^# \{0,1\}//p' Makefile

## Set-up

setup: $(INSTALLED)

system:
	@scripts/install_system_packages.sh $(PYTHON)

$(INSTALLED): pyproject.toml constraints.txt | system
	$(call section,Set-up of $(VENV))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "$$(grep '^pip==' constraints.txt)"
	$(if $(TORCH_INDEX),$(PIP_INSTALL) --no-deps --index-url $(TORCH_INDEX) torch)
	$(PIP_INSTALL) --quiet --editable ".[pyqt6,simulate]" --group dev
	@touch $@

## Demo

demo: $(INSTALLED)
ifneq ($(DISPLAY)$(WAYLAND_DISPLAY),)
	$(BIN)/polmap demo
else
	xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24" \
		$(BIN)/polmap demo --headless build/demo
endif

## Checks

test: lint types contracts manifest docs tests

lint: $(INSTALLED)
	$(call section,Lint)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(call section,Types)
	$(BIN)/mypy

contracts: $(INSTALLED)
	$(call section,Import contracts)
	$(BIN)/lint-imports --no-logo

manifest: $(INSTALLED)
	$(call section,Manifest)
	$(BIN)/npe2 validate napari-polmap

docs: $(INSTALLED)
	$(call section,Documentation)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir build/site

tests: $(INSTALLED)
	$(call section,Tests)
	$(BIN)/pytest --numprocesses=auto --dist=loadfile --cov $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage
