# From a clean clone: `make demo` shows streamseg at work, `make test` checks all of it.
# Each does its own set-up in .venv; a second call finds it done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PINS := requirements/constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= 2
DEMO_OUT := out/demo
DEMO_SOURCE := synthetic:reentry?seed=1
DEMO_QUERY := the green oval

.DEFAULT_GOAL := help
.PHONY: help demo test lint style clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    install the core, follow an object that leaves and comes back, write $(DEMO_OUT)"
	@echo "make test    install everything, then run ruff, mypy and pytest"
	@echo "make lint    ruff and mypy alone"
	@echo "make clean   remove .venv and out"
	@echo
	@echo "PYTHON=python3.12 chooses another Python (3.11 or newer)."
	@echo "JOBS=4 runs the tests in four processes, not two; each may take 2 GB. JOBS=0: in this one."
	@echo "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets torch without CUDA."

demo: $(STAMPS)/core
	$(BIN)/streamseg run --source "$(DEMO_SOURCE)" --query "$(DEMO_QUERY)" --config classical --output $(DEMO_OUT) --overwrite
	@echo
	@echo "Look at $(DEMO_OUT)/overlay.mp4, then $(DEMO_OUT)/summary.json and masks.jsonl."

test: style
	@echo "mypy beside pytest, which says when it is done"
	@$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -n $(JOBS) --dist worksteal; tests=$$?; \
	  wait $$types && exit $$tests

lint: style
	$(BIN)/mypy

style: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) out

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "streamseg needs Python 3.11 or newer; type: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make a virtual environment; type: sudo apt-get install python3-venv" >&2; \
	    rm -rf $(VENV); exit 1; }
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/core: pyproject.toml $(PINS) | $(STAMPS)/venv
	@echo "Installing streamseg's core into $(VENV)"
	@$(PIP) install --constraint $(PINS) --editable .
	@touch $@

$(STAMPS)/debian: requirements/debian.txt | $(STAMPS)/venv
ifneq ($(SYSTEM_PACKAGES),skip)
	@tools/debian-packages requirements/debian.txt
endif
	@touch $@

$(STAMPS)/dev: pyproject.toml $(PINS) $(STAMPS)/debian | $(STAMPS)/venv
	@echo "Installing streamseg with everything its tests need into $(VENV)"
	@# What is imported is compiled then; compiling all of it here takes more than a minute.
	@$(PIP) install --no-compile --constraint $(PINS) --editable ".[dev]"
	@touch $@
