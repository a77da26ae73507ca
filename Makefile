# make run            serve the product, with demo data the first time
# make test           run every test but those that crash or flood things, or run a proxy
# make test-crash     kill, freeze and flood the product: the short form of make soak
# make test-proxies   guard a service behind each real reverse proxy
# make test-postgres  run the tests of the code itself on PostgreSQL with Redis
# make check          lint, types, documents, deployment and migration checks, tests
# make docs           write the tables of docs/ from the code
# make bench          measure what the guard costs
# make bench-tiny     see that every section of make bench runs
# make soak           the long crash and fuzz runs

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test test-crash test-proxies test-postgres check lint types docs docs-check deploy migrations bench bench-tiny soak clean

run: $(VENV)/.installed
	@exec $(PY) manage.py serve --bootstrap

test: $(VENV)/.installed-dev
	@$(PY) -m pytest -n 2 --dist worksteal -m "not crash and not proxy"

# One after the other: what is promised in seconds is promised of a machine that is not busy.
test-crash: $(VENV)/.installed-dev
	@$(PY) -m pytest -m crash

test-proxies: $(VENV)/.installed-dev
	@$(PY) -m pytest -m proxy

# What starts the product itself runs on both storage pairs wherever it runs; settings and
# documents are read alike on both.
test-postgres: $(VENV)/.installed-dev
	@$(PY) -m tests.support.on_postgres $(PY) -m pytest -n 2 --dist worksteal \
		--ignore tests/promises --ignore tests/browser --ignore tests/docs --ignore tests/proxies \
		--ignore tests/config/test_serving.py --ignore tests/config/test_settings.py

check: lint types docs-check deploy migrations test

lint: $(VENV)/.installed-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(VENV)/.installed-dev
	@$(VENV)/bin/mypy .

docs: $(VENV)/.installed
	@$(PY) manage.py write_docs

docs-check: $(VENV)/.installed
	@$(PY) manage.py write_docs --check

deploy: $(VENV)/.installed-dev
	@HTTPS=on $(PY) manage.py check --deploy --fail-level WARNING

migrations: $(VENV)/.installed-dev
	@$(PY) manage.py makemigrations --check --dry-run

bench: $(VENV)/.installed-dev
	@$(PY) -m benchmarks

bench-tiny: $(VENV)/.installed-dev
	@$(PY) -m benchmarks --tiny

soak: $(VENV)/.installed-dev
	@$(PY) -m benchmarks.soak

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Latchkey needs Python 3.11 or later. Name one with make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.created
	@$(PY) -m pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(PY) -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
