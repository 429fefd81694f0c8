# make demo | make test | make bench | make format | make screenshots
#
# Everything is installed into .venv and js/node_modules; stamp files there remember what was, so
# that a second run starts at once. A browser for the tests is found or installed by
# scripts/browser.py. Options for the demo: make demo ARGS="--port 9000 --no-browser". Tests run in
# two processes; where there are more cores and memory: make test JOBS=4.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test bench format screenshots clean check-node browser

ARGS ?=
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
BROWSER := CHROMIUM_PATH="$$($(BIN)/python scripts/browser.py)"

# Only compared with, and installed alone: they ask for torchvision, another OpenCV, and for older
# versions of what the tests run with.
ALONE := onnx2torch quantus xplique tensorflow-probability tf-keras dm-tree decorator

JS_SOURCES := $(shell find js -path js/node_modules -prune -o -type f \
	\( -path 'js/src/*' -o -path 'js/scripts/*' -o -name 'package*.json' -o -name 'tsconfig*.json' \) -print 2>/dev/null)
BUNDLE := xai_widgets/static/explorer.js

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(VENV)/.stamp-demo $(BUNDLE)
	@$(BIN)/xai-widgets demo $(ARGS)

# The two slow checks that use one core each run side by side. pytest comes last, so that the
# output ends with its summary.
test: $(VENV)/.stamp-dev js/node_modules/.stamp $(BUNDLE) browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd js && npm run --silent lint
	cd js && npm run --silent typecheck
	export $(BROWSER); $(BIN)/mypy & (cd js && npm run --silent test) && wait $$!
	export $(BROWSER) && $(BIN)/python -m pytest \
		--numprocesses $(JOBS) --dist loadscope --no-loadscope-reorder $(ARGS)

bench: $(VENV)/.stamp-dev $(BUNDLE) browser
	export $(BROWSER) && $(BIN)/python -m benchmarks $(ARGS)

screenshots: $(VENV)/.stamp-dev $(BUNDLE) browser
	export $(BROWSER) && $(BIN)/python -m scripts.screenshots $(ARGS)

format: $(VENV)/.stamp-dev js/node_modules/.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd js && npm run --silent format

clean:
	rm -rf $(VENV) js/node_modules xai_widgets/static screenshots xai-widgets-check

# The first Python that is new enough and can make an environment.
$(BIN)/python:
	@for name in python3 python3.13 python3.12 python3.11; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found="$$name"; break; \
		fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
		echo "xai_widgets needs Python >= 3.11, found $$(python3 --version 2>&1): install one, for example python3.12." >&2; \
		exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$found cannot make an environment: install its venv module (Debian: apt-get install python3-venv)." >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV)

# PyTorch first, and with its constraint, so that nothing else decides its version.
$(VENV)/.stamp-%: pyproject.toml constraints.txt hatch_build.py | $(BIN)/python $(BUNDLE)
	@echo "Installing xai_widgets[$*] into $(VENV); the first time takes some minutes"
	@$(PIP) install -qq --constraint constraints.txt torch
	@$(PIP) install -qq --constraint constraints.txt --editable '.[$*]'
	@if [ "$*" = dev ]; then \
		$(PIP) install -qq --constraint constraints.txt --no-deps $(ALONE); \
	fi
	@touch $@

js/node_modules/.stamp: js/package.json js/package-lock.json | check-node
	@echo "Installing js/node_modules"
	@cd js && npm ci --loglevel=error --no-audit --no-fund < /dev/null
	@touch $@

$(BUNDLE): js/node_modules/.stamp $(JS_SOURCES)
	@cd js && npm run --silent build
	@touch $@

check-node:
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null; then \
		echo "Building the widgets needs Node.js >= 20 with npm, which was not found: install it from nodejs.org or your distribution." >&2; \
		exit 1; \
	fi; \
	if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)'; then \
		echo "Building the widgets needs Node.js >= 20, found $$(node --version): install a newer one." >&2; \
		exit 1; \
	fi

browser: $(VENV)/.stamp-dev
	@$(BIN)/python scripts/browser.py --install
