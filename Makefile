# Needs Python >= 3.11, pip and make. Everything is installed into .venv; `make help` lists targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SUITES := tests/unit tests/vectors tests/property tests/adversary tests/fuzz tests/architecture tests/reproductions \
	tests/integration tests/soak

# One thread per worker: the tests run in parallel processes already. Compiled modules are kept whatever
# the environment says: every program that a test starts would compile Auror again.
# Work is dealt in runs of neighbours, so that what a file's tests share is made once.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --dist worksteal
WORKERS ?= 2
# Tracing adds about half to the time of the tests: continuous integration sets it, `make test` alone need not.
COVERAGE ?=
FUZZ_SECONDS ?= 60
SOAK ?= soak

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all oracle crash faults soak test-ray fuzz mutants vectors test-gpu system-deps system-probe test-system release-check lint format proto proto-check constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

venv: $(STAMP) ## install into .venv the exact versions of constraints.txt

# Debian's python3 may come without ensurepip: then the pip at hand fills the environment.
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 \
	  || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## four training runs, the defended one over gRPC with mutual TLS; needs no GPU
	$(BIN)/auror demo

test: $(STAMP) ## unit, property, architecture and integration tests; COVERAGE=1 also keeps the coverage floor
	$(PYTEST) -n $(WORKERS) $(if $(COVERAGE),--cov --cov-report=term:skip-covered,--no-cov) -m 'not slow and not oracle' $(SUITES)

test-all: $(STAMP) ## also the long ones: random rounds against plain sums, more seeds and histories, six machines
	$(PYTEST) -n $(WORKERS) --timeout=1800 $(SUITES)

oracle: $(STAMP) ## 10,000 random and 2,000 adversarial rounds against plain sums, two processes
	$(PYTEST) -n $(WORKERS) --timeout=1800 -m oracle tests/property tests/adversary

crash: $(STAMP) ## a server killed at every durable step, one to three times; 20 trainings killed at random moments
	$(PYTEST) -n $(WORKERS) --timeout=600 --no-cov tests/crash

faults: $(STAMP) ## twenty schedules of a failing network, real programs: totals exact, everybody back within 15 s
	$(PYTEST) -n $(WORKERS) --timeout=600 --no-cov tests/faults

soak: $(STAMP) ## ten minutes of 30 clients, with kills and dropped connections: table and plot in SOAK (./soak)
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/run.py --out $(SOAK)

test-ray: $(STAMP) ## a sweep and a load test on a Ray cluster of two nodes, an actor and a node killed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	$(PYTEST) --timeout=300 --no-cov tests/ray

fuzz: $(STAMP) ## every parser for FUZZ_SECONDS each (default 60)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python scripts/fuzz.py --seconds $(FUZZ_SECONDS)

vectors: $(STAMP) ## rewrite tests/vectors from the code: a change there is a change of the protocol
	$(BIN)/python scripts/make_vectors.py

mutants: $(STAMP) ## remove each check in turn: the test named for it must fail
	$(BIN)/python scripts/mutants.py --workers $(WORKERS)

release-check: $(STAMP) ## wheel and sdist: the wheel in a new environment, the demo and the programs from there
	$(BIN)/python scripts/release_check.py

# As root on Debian. bubblewrap and network namespaces play containers, no engine is needed. What is there
# stays as it is; where an index of packages cannot be had the old one serves.
SYSTEM_PACKAGES := bubblewrap chromium iproute2 prometheus systemd util-linux
system-deps: $(STAMP) ## install with apt, as root, what test-system needs
	@dpkg-query -W -f '$${db:Status-Status}\n' $(SYSTEM_PACKAGES) 2>/dev/null | grep -c '^installed$$' \
	  | grep -qx $(words $(SYSTEM_PACKAGES)) || { \
	  command -v apt-get >/dev/null || { echo "system-deps knows apt only: install $(SYSTEM_PACKAGES)"; exit 1; }; \
	  test "$$(id -u)" = 0 || { echo "system-deps installs packages: run it as root"; exit 1; }; \
	  apt-get update -qq || echo "apt-get update failed: going on with the packages known before"; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends --no-upgrade \
	    $(SYSTEM_PACKAGES) >/dev/null; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,system]'

system-probe: $(STAMP) ## say in one line why test-system cannot run here, if so
	@$(BIN)/python tests/system/probe.py

test-system: $(STAMP) system-probe ## as root: the compose file played in network namespaces; pages in a browser
	$(PYTEST) -n $(WORKERS) --timeout=900 --no-cov tests/system

test-gpu: ## CUDA paths; needs only torch, torchvision and numpy: make test-gpu PYTHON=python3
	$(PYTHON) tests/gpu/run.py

lint: $(STAMP) proto-check ## style, types, import contracts, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(STAMP) ## regenerate auror/wire/v1 from proto/
	$(BIN)/python scripts/gen_proto.py

proto-check: $(STAMP)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(BIN)/python scripts/gen_proto.py "$$fresh" && \
	for file in $$(cd "$$fresh" && find . -type f); do \
	  diff -u "$$file" "$$fresh/$$file" || { echo "generated code is stale: run make proto"; exit 1; }; \
	done

constraints: $(STAMP) ## write constraints.txt from what .venv holds now
	@{ head -2 constraints.txt; $(BIN)/python -m pip freeze --all --exclude-editable \
	  | grep -vE '^(nvidia-|cuda-|triton=|pip=)' | sed 's/+[^ ]*$$//' | sort -f; } > constraints.new
	mv constraints.new constraints.txt

clean: ## remove caches and build outputs, not .venv
	rm -rf dist .coverage .coverage.* coverage.xml .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
