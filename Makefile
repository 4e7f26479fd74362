# Moretta: python3 >= 3.11 and make are all it takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find proto services operate testbed moretta bench modelling -path modelling/training -prune -o -name '*.py' -o -name '*.html' -o -name '*.js' -o -name '*.css' -o -name '*.txt' -o -name '*.json' -o -name '*.onnx' -o -name '*.j2' -o -name '*.yaml' -o -name '*.po' -o -name '*.svg' 2>/dev/null)
CAMERA ?=
BENCH ?=
SEED ?=
REGISTRY ?=
DATA ?= ../shared/data
# `make train` leaves a model here for each group of sources that it left out.
LEFT_OUT = $(wildcard build/training/without-*)
# pytest keeps the tests that it has rewritten as bytecode; where that is forbidden, each worker rewrites them all again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -q --dist loadgroup
# Tests with real peers mostly wait (.ci/gate/stages.py).
WORKERS := $(shell echo $$((5 * $$(getconf _NPROCESSORS_ONLN))))
# A stage leaves build/junit/NAME.xml, and says where its time went (tests/support/stage_times.py).
stage = $(PYTEST) --junitxml build/junit/$(1).xml
.DEFAULT_GOAL := help

.PHONY: help setup demo test test-tools test-long test-pythons test-train check own-tests mutants chart images push bench bench-model train node recipes virtual-camera page contracts words lock sbom release audit fuzz clean
help: ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## install everything, locked with hashes, into .venv
$(VENV)/.locked: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Moretta needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) || { .ci/system-packages venv && $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing into $(VENV), locked with hashes; one to three minutes"
	@.ci/thrice $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >$(VENV)/compiled.log 2>&1 || true # on all cores; some packages carry files that are no Python
	@touch $@
# The wheel, not the checkout, is what runs and what is tested.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml README.md LICENSE NOTICE $(SOURCES)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --no-index --force-reinstall .
	@touch $@
	@echo "ready: $(BIN)/moretta --help"

demo: setup ## watch it work: simulated cameras, numbers, an alert, a mail (or CAMERA=url)
	$(BIN)/moretta demo $(if $(CAMERA),--camera "$(CAMERA)")

test: setup test-tools ## run the tests (system packages are installed when root on Debian); about 12 minutes on two cores
	@$(BIN)/python .ci/gate tests

test-tools:
	@.ci/system-packages tests
	@.ci/chart-tools
	@$(MAKE) -s virtual-camera
	@if command -v npm >/dev/null; then $(MAKE) -s node recipes build/page/.installed; else echo "No npm: the tests that need Node.js are skipped by name"; fi

test-long: setup test-tools ## floods, mixed versions, every example of each property, 1,000 broken inputs a door (SEED=number repeats)
	MORETTA_SEED=$(SEED) $(call stage,long) -n $(WORKERS) -m "long and not alone" tests/unit tests/contract tests/integration tests/system
	MORETTA_SEED=$(SEED) $(call stage,long-alone) -n 0 -m "long and alone" tests/integration tests/system
	MORETTA_LONG=1 MORETTA_SEED=$(SEED) $(call stage,properties) -n auto tests/unit tests/contract
	MORETTA_FUZZ=1000 $(call stage,fuzz) -n auto -m "" --timeout 900 tests/integration/fuzz
	MORETTA_LONG=1 $(call stage,pages) -n auto tests/integration/page
	@$(BIN)/python .ci/stages build/junit long long-alone properties fuzz pages

test-pythons: setup ## unit and contract tests on each other of Python 3.11, 3.12 and 3.13 that is here
	@.ci/other-pythons $(BIN)/python

images: setup ## build the five container images on a base made here, and test them (needs root on Debian; 3 GB below build)
	@.ci/system-packages images
	$(BIN)/python .ci/images
	$(call stage,images) tests/images

push: setup ## push the images that `make images` built to REGISTRY, and write build/values-digests.yaml, which pins them
	@test -n "$(REGISTRY)" || { echo "make push REGISTRY=registry.example.org/moretta" >&2; exit 2; }
	@mkdir -p build
	$(BIN)/python .ci/push $(REGISTRY) build/values-digests.yaml

test-train: $(VENV)-train/.installed ## run the training code's tests with PyTorch, which it installs (1 GB)
	PYTHONPATH=. $(VENV)-train/bin/python -m pytest -q -n auto --confcutdir=tests/training --junitxml build/junit/training.xml tests/training

fuzz: setup ## 10 000 nearly right inputs to each door, decoder and film (about 10 minutes); says how many were refused
	MORETTA_FUZZ=10000 $(PYTEST) -s -p no:randomly --timeout 3000 tests/integration/fuzz | grep -v '^{'

check: setup ## formatting, lint, types, layers, dead code
	@red=0; for one in "ruff format --check ." "ruff check ." mypy lint-imports vulture; do \
	  echo "$$one"; $(BIN)/$$one || { red=1; echo "red: $$one"; }; done; [ $$red = 1 ] || echo "check: all of it passed"; exit $$red

own-tests: setup ## each module of the pure cores has 95 % of its lines run by its own tests alone (about a minute)
	@$(BIN)/python .ci/own-tests

mutants: setup $(VENV)-mutants/.installed ## change the pure cores in 300 places and see whether the unit tests notice (10 to 27 minutes)
	$(VENV)-mutants/bin/python .ci/mutants
$(VENV)-mutants/.installed: requirements/mutants.txt
	$(PYTHON) -m venv $(VENV)-mutants
	.ci/thrice $(VENV)-mutants/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/mutants.txt
	@touch $@

chart: setup $(VENV)-chart/.installed ## lint, render, validate and test the Helm chart (gets helm 3.17 and 4.1, kubernetes-validate, checkov)
	@.ci/system-packages chart
	@.ci/chart-tools
	@PYTHONPATH=tests/support:. $(BIN)/python tests/support/chart_checks.py
	$(call stage,chart) -n auto tests/chart --ignore tests/chart/test_chart_running.py
	$(call stage,chart-running) tests/chart/test_chart_running.py
	@cat build/dashboard.md 2>/dev/null || echo "no Prometheus: the dashboards' panels were not looked at"
$(VENV)-chart/.installed: requirements/chart.txt
	$(PYTHON) -m venv $(VENV)-chart
	.ci/thrice $(VENV)-chart/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/chart.txt
	@touch $@

bench: setup ## measure what this machine can carry (two hours or more; BENCH="--quick", "--soak 5", "--report FOLDER", "--only 360p8")
	$(BIN)/python -P -m bench.capacity $(BENCH)

bench-model: $(VENV)-train/.reference ## measure the model on DATA by size of the picture, float32 and int8, beside CenterFace; and those that training left a source out of, on it
	PYTHONPATH=. $(VENV)-train/bin/python -m bench.model $(DATA)
	$(if $(LEFT_OUT),PYTHONPATH=. $(VENV)-train/bin/python -m bench.sources $(DATA) $(LEFT_OUT))
# CenterFace's package is there for one file of it, so without its dependencies; the bench draws its tables with the box's.
$(VENV)-train/.reference: $(VENV)-train/.installed requirements/reference.txt requirements/box.txt
	.ci/thrice $(VENV)-train/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/box.txt
	.ci/thrice $(VENV)-train/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/reference.txt
	@touch $@

node: build/node/.installed ## install the official AsyncAPI parser (54 MB, needs npm), which some tests run
build/node/.installed: .ci/node/package-lock.json .ci/node/asyncapi.mjs
	@mkdir -p build/node
	cp .ci/node/package.json .ci/node/package-lock.json .ci/node/.npmrc .ci/node/asyncapi.mjs build/node
	cd build/node && $(CURDIR)/.ci/thrice npm ci --no-progress
	@touch $@

recipes: build/recipes/.installed ## install what the recipes of docs/recipes need (45 MB, needs npm), which some tests run
build/recipes/.installed: requirements/recipes.txt docs/recipes/package.json docs/recipes/package-lock.json docs/recipes/.npmrc
	@mkdir -p build/recipes
	$(PYTHON) -m venv build/recipes/venv
	.ci/thrice build/recipes/venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/recipes.txt
	cp docs/recipes/package.json docs/recipes/package-lock.json docs/recipes/.npmrc build/recipes
	cd build/recipes && $(CURDIR)/.ci/thrice npm ci --no-progress
	@touch $@

virtual-camera: build/ipycam/.installed ## install a virtual camera with ONVIF (0.4 MB), which the tests of `moretta cameras` ask
build/ipycam/.installed: $(VENV)/.locked requirements/onvif.txt
	@rm -rf build/ipycam
	.ci/thrice $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps --target build/ipycam -r requirements/onvif.txt
	@touch $@

page: build/page/.installed ## bundle the page's NATS client into services/aggregate/page (needs npm)
	cd build/page && node bundle.mjs $(CURDIR)/services/aggregate/page
build/page/.installed: .ci/page/package-lock.json .ci/page/bundle.mjs
	@mkdir -p build/page
	cp .ci/page/package.json .ci/page/package-lock.json .ci/page/.npmrc .ci/page/bundle.mjs build/page
	cd build/page && $(CURDIR)/.ci/thrice npm ci --no-progress
	@touch $@

contracts: setup ## write what the code says elsewhere: docs/schemas, asyncapi.json, subjects.md, metrics.md, gaps in messages.md; the chart's accounts, dashboards, schema
	$(BIN)/python tools/schemas.py docs/schemas
	$(BIN)/python tools/subjects_table.py docs/subjects.md
	$(BIN)/python tools/asyncapi.py docs/asyncapi.json $$($(BIN)/python -c 'from importlib.metadata import version; print(version("moretta"))') tests/contract/golden
	$(BIN)/python -P tools/metrics_table.py docs/metrics.md
	$(BIN)/python tools/gaps_table.py docs/messages.md
	$(BIN)/python tools/chart_accounts.py k8s/moretta/files
	$(BIN)/python tools/chart_profiles.py k8s/moretta/files
	$(BIN)/python tools/dashboard.py k8s/dashboard.yaml k8s/moretta/files/dashboard.json
	$(BIN)/python tools/dashboard.py k8s/windows-dashboard.yaml k8s/moretta/files/windows-dashboard.json
	$(BIN)/python tools/chart_docs.py

promised: contracts ## write down what others may rely on as it is now (docs/compatibility.md), when it is changed on purpose
	PYTHONPATH=tests/support:tools:. $(BIN)/python tests/support/promised.py

words: $(VENV)/.locked ## bring the catalogues of messages up to date with the code; says what is to be translated
	$(BIN)/python tools/words.py

train: $(VENV)-train/.installed ## train a model from DATA=../shared/data into build/model (four and a half hours on one core; goes on where it was cut off)
	PYTHONPATH=. $(VENV)-train/bin/python -m modelling.training $(DATA)
$(VENV)-train/.installed: requirements/train.txt
	$(PYTHON) -m venv $(VENV)-train
	.ci/thrice $(VENV)-train/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/train.txt
	# PyTorch is not locked: which build fits (processor, CUDA) depends on the machine.
	.ci/thrice $(VENV)-train/bin/python -m pip install -q --disable-pip-version-check torch torchvision
	@touch $@

lock: ## renew the lock files (hashes, no registry addresses)
	.ci/lock $(BIN)/uv

sbom: $(VENV)/.locked ## a bill of materials (CycloneDX) for each image and the licences, into build/sbom
	$(BIN)/python .ci/sbom build/sbom

release: setup ## build what a release delivers into dist, with checksums, and freeze its contract (docs/releasing.md)
	@.ci/chart-tools
	$(BIN)/python .ci/release dist build/tools/helm-4.1/helm

audit: ## look the locked packages up in the advisory databases (needs pip-audit, pipx and a network)
	@for lock in ingest inference aggregate notify box; do echo "$$lock"; pipx run pip-audit --disable-pip --require-hashes -r requirements/$$lock.txt || exit 1; done

clean: ## remove what was made
	rm -rf $(VENV) $(VENV)-train $(VENV)-chart build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
