# Two commands matter: `make demo` shows Malote at work, `make test` proves it.
# Only Python 3.11 or newer and make are needed; everything else goes into .venv in this folder.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: help demo serve test lint bench mutants lock clean install

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/run ## Install Malote into .venv
demo: .venv/run ## Start a server with a simulated WhatsApp provider, and watch messages travel
	@$(BIN)/malote demo
serve: .venv/run ## Start the server on ./malote-data
	@$(BIN)/malote serve
test: .venv/dev ## Run all tests
	$(BIN)/pytest -n auto $(ARGS)
lint: .venv/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
bench: .venv/dev ## Measure: append, read, session, codec, HTTP ingest and whole-path fan-out
	$(BIN)/pytest benchmarks -p no:randomly -p no:xdist --benchmark-columns=median,iqr,rounds -s $(ARGS)
mutants: .venv/dev ## Break the code in some thirty ways; the simulation must catch each
	$(BIN)/python -m tests.simulation.mutants
lock: ## Pin what pyproject.toml's ranges resolve to today, with hashes
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip -q install 'pip-tools>=7.5'
	.venv-lock/bin/pip-compile -q --upgrade --generate-hashes --no-header --strip-extras --no-emit-options -o requirements/run.lock pyproject.toml
	.venv-lock/bin/pip-compile -q --upgrade --generate-hashes --no-header --strip-extras --no-emit-options --extra dev -c requirements/run.lock -o requirements/dev.lock pyproject.toml
	rm -r .venv-lock
clean: ## Remove what was installed and cached; data folders stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks dist

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Malote needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# The lock decides the versions; the project itself is linked in, so that an edit counts at once.
.venv/run: .venv/python requirements/run.lock pyproject.toml
	@echo "Installing Malote into .venv (once) …"
	@$(BIN)/pip -q --disable-pip-version-check install --require-hashes -r requirements/run.lock
	@$(BIN)/pip -q --disable-pip-version-check install --no-deps -e .
	@touch $@
.venv/dev: .venv/run requirements/dev.lock
	@echo "Installing what the tests need into .venv (once) …"
	@$(BIN)/pip -q --disable-pip-version-check install --require-hashes -r requirements/dev.lock
	@touch $@
