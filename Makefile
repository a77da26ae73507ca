# make run            serve the product, with demo data the first time
# make test           run every test but those that crash or flood things, or run a proxy
# make test-crash     kill, freeze and flood the product: the short form of make soak
# make test-proxies   guard a service behind each real reverse proxy
# make test-schema    lint the public schema, and compile a client of it
# make test-clients   build the clients and guard services of five frameworks with them
# make test-access    judge every page of the admin with axe-core
# make test-clickhouse  keep the request log in ClickHouse's engine (chDB)
# make test-postgres  run the tests of the code itself on PostgreSQL with Redis
# make check          lint, types, documents, deployment and migration checks, tests
# make docs           write the tables of docs/ from the code
# make lighthouse     score four pages of the admin in Chromium, on an idle machine
# make lock           choose every package anew that requirements.txt and -dev.txt need
# make sbom           list what the product runs on in sbom.json (CycloneDX)
# make icons          write the font of the icons that pages show
# make bench          measure what the guard costs
# make bench-tiny     see that every section of make bench runs
# make soak           the long crash and fuzz runs

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
NPM := tests/npm/node_modules
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test test-crash test-proxies test-schema test-access test-clients test-clickhouse test-postgres check lint types lock sbom docs icons lighthouse docs-check deploy migrations bench bench-tiny soak clean

run: $(VENV)/.installed
	@exec $(PY) manage.py serve --bootstrap

test: $(VENV)/.installed-dev
	@$(PY) -m pytest -n 2 --dist worksteal -m "not crash and not proxy and not npm and not client and not clickhouse"

# One after the other: what is promised in seconds is promised of a machine that is not busy.
test-crash: $(VENV)/.installed-dev
	@$(PY) -m pytest -m crash

test-proxies: $(VENV)/.installed-dev
	@$(PY) -m pytest -m proxy

test-schema: $(NPM)/.installed
	@$(PY) -m pytest -m npm tests/npm

test-access: $(NPM)/.installed
	@$(PY) -m pytest -m npm tests/browser

test-clients: $(VENV)/.installed-dev
	@$(PY) -m pytest -m client

# The rules of every store, and those of this one.
test-clickhouse: $(VENV)/.installed-chdb
	@$(PY) -m tests.support.clickhouse $(PY) -m pytest -m "not clickhouse" \
		tests/logs/stores/test_log_store.py tests/logs/test_api.py
	@$(PY) -m pytest -m clickhouse tests/logs/stores

# What starts the product itself runs on both storage pairs wherever it runs; settings, documents and
# clients of Redis are alike on both.
ALIKE := promises browser docs proxies npm clients operations $(addsuffix .py, \
	config/test_edge config/test_manage config/test_request_lines config/test_roles \
	config/test_serving config/test_settings database/test_redis_cache \
	database/test_redis_cluster database/test_redis_sentinel database/test_redis_tls \
	logs/stores/test_clickhouse logs/stores/test_configuration logs/test_otel \
	metrics/test_prometheus packaging/test_deploy_files \
	packaging/test_partitioning packaging/test_upgrades people/test_in_browser \
	people/test_sign_in_through_provider)

test-postgres: $(VENV)/.installed-dev
	@$(PY) -m tests.support.on_postgres $(PY) -m pytest -n 2 --dist worksteal \
		$(addprefix --ignore tests/,$(ALIKE))

check: lint types docs-check deploy migrations test

lint: $(VENV)/.installed-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(VENV)/.installed-dev
	@$(VENV)/bin/mypy .

# One version of each package for every supported Python and system, with the hashes of all its
# files. Versions that are locked stay, unless make lock UPGRADE=--upgrade. drf-api-tracking, with
# which benchmarks compare, has no wheel.
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--only-binary :all: --no-binary drf-api-tracking --custom-compile-command "make lock" $(UPGRADE)

lock: $(VENV)/.created
	@grep '^uv==' requirements-dev.txt | xargs $(PY) -m pip install --quiet
	@$(COMPILE) requirements.txt --output-file requirements.lock
	@$(COMPILE) requirements-otel.txt --constraints requirements.lock --output-file requirements-otel.lock
	@$(COMPILE) requirements-clickhouse.txt --constraints requirements.lock --output-file requirements-clickhouse.lock
	@$(COMPILE) requirements-dev.txt --constraints requirements.lock --output-file requirements-dev.lock
	@$(COMPILE) requirements-chdb.txt --constraints requirements-dev.lock --output-file requirements-chdb.lock

sbom: $(VENV)/.installed-dev
	@$(VENV)/bin/uv venv --quiet --clear $(VENV)/sbom
	@$(VENV)/bin/uv pip install --quiet --python $(VENV)/sbom --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(VENV)/bin/cyclonedx-py environment $(VENV)/sbom \
		--pyproject pyproject.toml --output-reproducible --output-file sbom.json

docs: $(VENV)/.installed
	@$(PY) manage.py write_docs

lighthouse: $(NPM)/.installed
	@$(PY) -m tests.npm.lighthouse

icons: $(VENV)/.installed-dev
	@$(PY) -m tests.support.icons

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

$(VENV)/.installed: requirements.lock $(VENV)/.created
	@$(PY) -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@$(PY) -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	@touch $@

$(VENV)/.installed-chdb: requirements-chdb.lock $(VENV)/.installed-dev
	@$(PY) -m pip install --quiet --require-hashes --requirement requirements-chdb.lock
	@touch $@

$(NPM)/.installed: tests/npm/package-lock.json $(VENV)/.installed-dev
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --prefix tests/npm --ignore-scripts --no-audit --no-fund --silent
	@touch $@

clean:
	rm -rf $(VENV) $(NPM) .pytest_cache .mypy_cache .ruff_cache .hypothesis
