# Two targets do all the set-up on a machine that has python3 and make:
#   make demo   install into .venv, run a sample batch against the embedded sandbox, show what was created
#   make test   install the test extra, then format check, lint, strict types, all tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What pip sees of the environment: nothing that points outside of the virtual environment.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test bench compare clean

$(VENV)/made: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("bulkmsg needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	touch $@

$(VENV)/made-test: $(VENV)/made
	$(PIP) install --editable '.[test]'
	touch $@

demo: $(VENV)/made
	$(BIN)/bulkmsg validate samples/three-types.yaml
	$(BIN)/bulkmsg plan samples/three-types.yaml
	$(BIN)/bulkmsg run samples/three-types.yaml --sandbox
	$(BIN)/bulkmsg results samples/three-types.yaml --account sandbox --format table

test: $(VENV)/made-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(VENV)/made-test
	$(BIN)/python benchmarks/validate.py

# Other validators, for docs/comparison.md only: nothing of ours needs them.
$(VENV)/others: Makefile
	$(PYTHON) -m venv $@
	$@/bin/python -m pip --disable-pip-version-check --quiet install check-jsonschema==0.39.0 yamllint==1.38.0 \
	  frictionless==5.21.0
	touch $@

compare: $(VENV)/made $(VENV)/others
	$(BIN)/python benchmarks/compare.py --tools $(VENV)/others/bin --page docs/comparison.md

clean:
	rm -rf $(VENV) build dist
