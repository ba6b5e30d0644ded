# The one interface: `make demo` and `make test` do all the set-up themselves, in a .venv of their own.
PYTHON ?= python3
BIN := .venv/bin
# One worker a core, at most 8, whole files each. `make test WORKERS=` runs in one process, for a debugger.
WORKERS ?= --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# One thread of BLAS in each, or the workers' threads would wait for each other.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# Containers often switch the cache of bytecode off; pytest would then rewrite every assertion of the tests anew in each process.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help demo test test-fast test-browser lint fix bench clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

# Installed anew whenever pyproject.toml changes; editable, so the code itself needs no new install.
.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: .venv/installed  ## find people on real photographs, print the answer, write out/demo.html and figures
	FACESEARCH_DATA="$${FACESEARCH_DATA:-../shared/data}" $(BIN)/facesearch demo

test: .venv/installed  ## all tests, and the code in README, docs and docstrings
	$(PYTEST) $(WORKERS)

test-fast: .venv/installed  ## the tests that run no shipped network and take under half a second each
	$(PYTEST) $(WORKERS) -m "not slow and not weights"

# The newest packages that were tried; axe-core is under the Mozilla Public License 2.0, and only run, never shipped.
test-browser: .venv/installed  ## the review page in Chromium; as root it installs Chromium, from PyPI selenium, from npm axe-core
	command -v chromium > /dev/null && command -v chromedriver > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver > /dev/null; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "selenium==4.51.0"
	test -f .venv/axe/node_modules/axe-core/axe.min.js || npm install --silent --no-audit --no-fund --prefix .venv/axe axe-core@4.14.1
	$(PYTEST) -m browser tests/review/browser

lint: .venv/installed  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache > /dev/null || $(BIN)/lint-imports --no-cache

fix: .venv/installed  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## every measurement in README and docs; needs FACESEARCH_DATA for most
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/previews.py
	$(BIN)/python benchmarks/pictures.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/people.py
	$(BIN)/python benchmarks/own_network.py
	$(BIN)/python benchmarks/groups.py
	$(BIN)/python benchmarks/landmarks.py
	$(BIN)/python benchmarks/attributes.py
	$(BIN)/python benchmarks/gaze.py
	$(BIN)/python benchmarks/gallery.py
	$(BIN)/python benchmarks/gallery.py --open --users 10000 100000 1000000
	$(BIN)/python benchmarks/bulk.py
	$(BIN)/python benchmarks/serving.py
	mkdir -p out
	$(BIN)/python benchmarks/calibration.py --cache out
	$(BIN)/python benchmarks/grouping.py --cache out --scale 25000 100000
	$(BIN)/python benchmarks/auditing.py
	$(BIN)/python benchmarks/durability.py
	$(BIN)/python benchmarks/postgres.py
	$(BIN)/python benchmarks/milvus_index.py
	$(BIN)/python benchmarks/quality.py --cache out
	$(BIN)/python benchmarks/pose.py --cache out/landmarks.npz
	$(BIN)/python benchmarks/fuzz.py
	$(BIN)/python benchmarks/soak.py

clean:  ## remove what these commands made
	rm -rf .venv out .hypothesis .mypy_cache .pytest_cache .ruff_cache
