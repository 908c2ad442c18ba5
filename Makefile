# Everything a person runs. Needs make and Python >= 3.11 only: uv and all else is installed into this checkout.
#   make run     a gateway on http://127.0.0.1:4000
#   make test    the tests, from a clean clone too
#   make test-ui the web UI's tests; needs Chromium
.PHONY: run test test-ui check lint types imports format ui web-api web-drift screenshots wheel faults chaos scale bench real clean

# uv of the machine if it has one, else our own in .tools. PYTHON chooses the interpreter that makes it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
# A pytest path or option: make test T=tests/unit/test_config.py
T ?=
# All of them: on all cores, a file of tests on one, as files share what is slow to start, in the order of tests/conftest.py.
ALL := -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# Whatever the shell says: the tests start processes by the hundred, and without bytecode on the disk each of them compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

SYNCED := .venv/.synced
RUNS := .venv/.runs
RUN := $(UV) run --no-sync
# The web UI as control serves it, and what it is made of.
UI := src/spangate/control/ui/index.html
WEB := $(shell find web/src web/public -type f) web/index.html web/vite.config.ts web/tsconfig.json

run: $(RUNS) $(UI)
	$(RUN) spangate up

test: $(SYNCED)
	$(RUN) pytest $(or $(T),$(ALL))

check: lint types imports test

lint: $(SYNCED)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: $(SYNCED)
	$(RUN) pyright

imports: $(SYNCED)
	$(RUN) lint-imports

format: $(SYNCED)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# ---------------------------------------------------------------- the web UI

ui: $(UI)

$(UI): $(WEB) web/node_modules/.synced
	tools/npm run build

# A machine without Node takes it from its PyPI wheel.
web/node_modules/.synced: web/package.json web/package-lock.json | $(RUNS)
	node --version >/dev/null 2>&1 || $(UV) sync --locked --inexact --no-dev --group web
	tools/npm ci --no-audit --no-fund
	@touch $@

# The types of the API, from its description.
web-api: $(SYNCED) web/node_modules/.synced
	@mkdir -p .run
	$(RUN) spangate dev openapi > .run/openapi.json
	tools/npm exec -- openapi-typescript $(CURDIR)/.run/openapi.json --output $(CURDIR)/web/src/api/schema.d.ts

# That they are what it says now.
web-drift: $(SYNCED) web/node_modules/.synced
	@mkdir -p .run
	$(RUN) spangate dev openapi > .run/openapi.json
	tools/npm exec -- openapi-typescript $(CURDIR)/.run/openapi.json --output $(CURDIR)/.run/schema.d.ts
	@diff -u web/src/api/schema.d.ts .run/schema.d.ts || { echo "The API has changed: make web-api writes its types anew."; exit 1; }

# Types, lint, the units, what a first visit loads, then each page in a Chromium. `make test-ui T=tests/ui/test_signin.py`: only that.
test-ui: $(SYNCED) ui
	$(if $(T),,tools/npm run types && tools/npm run lint && tools/npm test && tools/npm run budget)
	$(RUN) pytest $(or $(T),tests/ui -n logical --maxprocesses 4)

# Pictures of each page, light and dark, wide and narrow, into docs/images/ui/.
screenshots: $(SYNCED) ui
	$(RUN) pytest tests/ui/screenshots.py -n logical --maxprocesses 4 $(T)

wheel: $(UI)
	$(UV) build --wheel

# What every fault comes to, written down anew: docs/faults.md.
faults: $(SYNCED)
	SPANGATE_WRITE_DOCS=1 $(RUN) pytest tests/e2e/test_faults.py

# The heavy lanes, each a command of its own.
chaos: $(SYNCED)
	$(RUN) python -m tests.chaos $(T)

# A million calls, made once and kept in .scale/ and on the PostgreSQL server: 10 GB, and some minutes the first time.
scale: $(SYNCED)
	$(RUN) python -m tests.scale $(T)

bench: $(SYNCED)
	$(RUN) python -m bench $(T)

real: $(SYNCED)
	$(RUN) python -m tests.real $(T)

clean:
	rm -rf .venv .tools .pytest_cache .ruff_cache web/node_modules src/spangate/control/ui

$(SYNCED): pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked
	@touch $@ $(RUNS)

# What `run` needs is a part of it: a first start should not wait for the test clients.
$(RUNS): pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --no-dev --inexact
	@touch $@

.tools/bin/uv:
	@test -n "$(PYTHON)" || { echo "Spangate needs Python 3.11 or later: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) tools/get_uv.py .tools
