# Two commands matter: `make demo` shows Malote at work, `make test` proves it.
# Only Python 3.11 or newer and make are needed; everything else goes into .venv in this folder.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# One more than there are processors: many a test waits for a server, a browser or a clock.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

WITH_NODE := web/with-node
WEB_SOURCES := $(shell find web -type d \( -name node_modules -o -name dist -o -name test \) -prune -o -type f -print)

.PHONY: help demo web serve test lint bench proofs mutants screenshots lock clean install

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/run ## Install Malote into .venv
demo: .venv/run inbox ## Start a server with a simulated WhatsApp provider, and watch messages travel
	@$(BIN)/malote demo
serve: .venv/run inbox ## Start the server on ./malote-data
	@$(BIN)/malote serve
web: api/static/index.html ## Build the web inbox into api/static
# Some images forbid Python to keep what it compiled; then each of the tests' servers compiles it all.
test: .venv/dev api/static/index.html ## Run all tests
	$(WITH_NODE) npm run -s test
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)
lint: .venv/dev web/node_modules/.installed ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(WITH_NODE) npm run -s lint
bench: .venv/dev ## Measure: append, read, session, codec, HTTP ingest and whole-path fan-out
	$(BIN)/pytest benchmarks -p no:randomly -p no:xdist --benchmark-columns=median,iqr,rounds -s $(ARGS)
proofs: .venv/dev ## Prove over real sockets: stalled clients, 2,000 returning at once, 200 revocations, a jumping clock
	MALOTE_PROOFS=full $(BIN)/pytest -p no:randomly -p no:xdist -s benchmarks/test_stalled.py benchmarks/test_herd.py tests/acceptance/test_revocation.py tests/acceptance/test_clock.py $(ARGS)
mutants: .venv/dev ## Break the code in some forty ways; the simulation must catch each
	$(BIN)/python -m tests.simulation.mutants
screenshots: .venv/dev api/static/index.html ## Take the README's pictures anew
	MALOTE_SCREENSHOTS=keep $(BIN)/pytest -p no:randomly tests/web/test_screenshots.py
lock: ## Pin what pyproject.toml's ranges resolve to today, with hashes
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip -q install 'pip-tools>=7.5'
	.venv-lock/bin/pip-compile -q --upgrade --generate-hashes --no-header --strip-extras --no-emit-options -o requirements/run.lock pyproject.toml
	.venv-lock/bin/pip-compile -q --upgrade --generate-hashes --no-header --strip-extras --no-emit-options --extra dev -c requirements/run.lock -o requirements/dev.lock pyproject.toml
	rm -r .venv-lock
clean: ## Remove what was installed and cached; data folders stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks dist api/static web/node_modules

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

# What the browser runs, built once and again when its sources change.
web/node_modules/.installed: web/package-lock.json web/package.json .venv/python
	@echo "Installing what builds the web inbox into web/node_modules (once) …"
	@$(WITH_NODE) npm ci --silent --no-fund --no-audit
	@touch $@
api/static/index.html: web/node_modules/.installed $(WEB_SOURCES)
	@echo "Building the web inbox …"
	@$(WITH_NODE) npm run -s build -- --logLevel warn
	@touch $@
# The server does without it, and says so; a demo on a machine without network still runs.
.PHONY: inbox
inbox:
	@$(MAKE) --no-print-directory -s api/static/index.html || echo "The web inbox could not be built (see above); going on without it." >&2
