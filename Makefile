# Each target sets itself up: a fresh machine needs Python >= 3.11 and make, nothing else.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*/pyproject.toml)
INSTALLED := $(VENV)/.installed
RELEASE := $(VENV)/.release

.PHONY: demo reproduce test coverage test-fast test-settings lint docs format hooks wheels release changelog clean

demo: $(INSTALLED)  ## train a max-pooling CNN on scanned digits
	$(BIN)/zoo train vision/mpcnn-digits

# A worker that has nothing left takes half of what the other has: both are busy to the end.
# The plugins apart: tests of the core fork processes that train, which after some of theirs cannot be.
test: $(INSTALLED)  ## every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal plugins

# Measuring slows every line of Python down by half, so it is a round of its own, without the slow tests.
coverage: $(INSTALLED)  ## the coverage of the core by its own tests, and its floor
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" tests --cov

test-fast: $(INSTALLED)  ## without the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-settings: $(INSTALLED)  ## training and resuming with every setting, where `make test` takes some
	ZOO_TEST_SETTINGS=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal \
		tests/test_settings_matrix.py tests/test_resume_settings.py

# make reproduce RECIPE=vision/mpcnn-digits SEEDS=1-3
reproduce: $(INSTALLED)  ## train a recipe and add what it reached to its records and the tables
	$(BIN)/python benchmarks/reproduce.py $(RECIPE) --seeds $(or $(SEEDS),1-3)

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLW1514 .  # files have an encoding: Windows' own is another
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)  ## the documentation, into site/, without a network; no link in it is dead
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	$(BIN)/python docs/check_links.py site

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(INSTALLED)  ## check every commit of this checkout
	$(BIN)/pre-commit install

wheels: $(BIN)/uv  ## wheels and sdists of the core and of every plugin, into dist/
	rm -rf dist
	@set -e; for folder in . $(dir $(PLUGINS)); do \
		echo "building $$folder"; $(BIN)/uv build --quiet --out-dir dist "$$folder"; done
	@ls dist

release: wheels $(RELEASE)  ## build what is published, check it, and use it in a fresh environment
	$(BIN)/twine check --strict dist/*
	.ci/check-wheels dist

changelog: $(RELEASE)  ## move the fragments of changelog.d/ into CHANGELOG.md
	$(BIN)/towncrier build --yes --version "$$($(BIN)/python -c 'import zoo; print(zoo.__version__)')"

clean:
	rm -rf $(VENV) dist site .coverage

# The core and every plugin, editable, at the versions of constraints.txt.
$(INSTALLED): Makefile pyproject.toml constraints.txt zoo/__init__.py $(PLUGINS) | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt \
		--editable ".[author,crossval,onnx,postgresql]" $(foreach p,$(PLUGINS),--editable ./$(dir $(p))) --group dev --group docs
	touch $@

$(RELEASE): pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group release
	touch $@

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.5"
