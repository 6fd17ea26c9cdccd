# Two targets do all the set-up on a machine that has python3 and make:
#   make demo   install into .venv, run a sample batch against the embedded sandbox, show what was created
#   make test   install the test extra and, where npm is found, the YAML language server; then format check, lint,
#               strict types, all tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What pip sees of the environment: nothing that points outside of the virtual environment.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The language server behind YAML in VS Code, Neovim, Helix and others; 2.0 needs Node 22.
YAML_SERVER := yaml-language-server@1.25.0

.PHONY: demo test editor-tests bench compare pacing pacing-bound soak clean

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

# Where npm is missing or cannot reach its registry, the tests in tests/editor/ are skipped and say so.
$(VENV)/lsp/made: Makefile $(VENV)/made
	@if ! command -v npm >/dev/null; then echo "npm is not here: tests/editor/ will be skipped"; \
	elif npm install --prefix $(VENV)/lsp $(YAML_SERVER) --no-audit --no-fund --no-package-lock --silent \
		--fetch-retries=1 --fetch-timeout=20000; then touch $@; \
	else echo "$(YAML_SERVER) could not be installed: tests/editor/ will be skipped"; fi

test: $(VENV)/made-test $(VENV)/lsp/made
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

editor-tests: $(VENV)/made-test $(VENV)/lsp/made
	$(BIN)/python -m pytest tests/editor

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

# Other limiters, for docs/pace.md only: nothing of ours needs them.
$(VENV)/limiters: $(VENV)/made-test
	$(PIP) install aiolimiter==1.3.0 pyrate-limiter==4.5.1
	touch $@

pacing: $(VENV)/limiters
	$(BIN)/python -m benchmarks.pacing --page docs/pace.md

pacing-bound: $(VENV)/made-test
	$(BIN)/python -m benchmarks.pacing_bound

soak: $(VENV)/made-test
	$(BIN)/python -m tests.simulation.soak $(SOAK)

clean:
	rm -rf $(VENV) build dist
