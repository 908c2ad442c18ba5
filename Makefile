# Everything a person runs. Needs make and Python >= 3.11 only: uv and all else is installed into this checkout.
#   make run     a gateway on http://127.0.0.1:4000
#   make test    the tests, from a clean clone too
.PHONY: run test check lint types imports format faults chaos scale bench real clean

# uv of the machine if it has one, else our own in .tools. PYTHON chooses the interpreter that makes it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
# A pytest path or option: make test T=tests/unit/test_config.py
T ?=
# All of them: on all cores, a file of tests on one, as files share what is slow to start.
ALL := -n logical --maxprocesses 8 --dist loadfile

SYNCED := .venv/.synced
RUNS := .venv/.runs
RUN := $(UV) run --no-sync

run: $(RUNS)
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
	rm -rf .venv .tools .pytest_cache .ruff_cache

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
