# The one door: CI calls the same targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# renovate: datasource=pypi depName=pipenv
PIPENV_VERSION := 2026.10.3
PIPENV := PIPENV_VENV_IN_PROJECT=1 PIPENV_IGNORE_VIRTUALENVS=1 PIPENV_VERBOSITY=-1 .pipenv/bin/pipenv
BIN := .venv/bin

export CHECKPOINT_DISABLE := 1
export DISABLE_VERSION_CHECK := 1
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.PHONY: help
help: ## list every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- install ----------------------------------------------------------------------------------------------------

.PHONY: install
install: .venv/.installed node_modules/.installed ## install what is missing: Python and Node packages, in the project

.PHONY: install-python
install-python: .venv/.installed ## install the Python packages alone: enough for commands that synthesize nothing

.venv/.installed: Pipfile.lock constructs/pyproject.toml .pipenv/.installed-$(PIPENV_VERSION)
	$(PIPENV) sync --dev
	@touch $@

.pipenv/.installed-%:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python %d.%d: too old, install Python 3.11 or newer, or name one: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear .pipenv
	.pipenv/bin/python -m pip install --quiet --disable-pip-version-check pipenv==$*
	@touch $@

node_modules/.installed: package-lock.json
	@node -e 'const v = +process.versions.node.split(".")[0]; if (v !== 20 && v !== 22) { console.error("Node " + process.version + ": the CDKTF command line needs Node 20 or 22"); process.exit(1) }'
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: lock
lock: .pipenv/.installed-$(PIPENV_VERSION) ## renew Pipfile.lock and package-lock.json after a change of Pipfile or package.json
	$(PIPENV) lock
	@$(PYTHON) -c 'import json, pathlib; p = pathlib.Path("Pipfile.lock"); d = json.loads(p.read_text()); d["_meta"]["sources"] = []; p.write_text(json.dumps(d, indent=4, sort_keys=True) + "\n")'
	npm install --package-lock-only --no-audit --no-fund --loglevel=error

# --- use --------------------------------------------------------------------------------------------------------

.PHONY: synth
synth: install ## synthesize every stack: one a row, for the region and every environment
	npx --no-install cdktf synth
	@$(BIN)/python -m operations stacks

.PHONY: bootstrap
bootstrap: synth ## make the state bucket, once, with your AWS credentials; safe to run again
	$(BIN)/python -m operations bootstrap

.PHONY: unbootstrap
unbootstrap: synth ## destroy the state bucket, after every other stack
	$(BIN)/python -m operations unbootstrap

# STACK names stacks, or globs of them; none means all.
STACK ?=

.PHONY: plan
plan: synth ## plan the stacks that differ from origin/main, and have the guard judge; BASE=REVISION names another
	$(BIN)/python -m operations plan $(STACK) $(if $(BASE),--base $(BASE))

.PHONY: guard
guard: install ## judge plans that exist: make guard PLAN="ap-northeast-2-dev.json"
	$(BIN)/python -m operations guard $(PLAN)

.PHONY: deploy
deploy: synth ## deploy stacks, in order: make deploy STACK="ap-northeast-2-shared ap-northeast-2-dev"
	$(BIN)/python -m operations deploy $(STACK) $(if $(REVIEWED),--reviewed $(REVIEWED))

.PHONY: restore-state
restore-state: synth ## list the versions of the state of STACK, or restore the one that VERSION names
	$(BIN)/python -m operations restore-state $(STACK) $(if $(VERSION),--version $(VERSION))

.PHONY: drift
drift: synth ## find what differs between AWS and what was applied last: make drift STACK='ap-northeast-2-dev*'
	$(BIN)/python -m operations drift $(STACK)

.PHONY: destroy
destroy: synth ## destroy stacks and look for what is left: make destroy STACK='ap-northeast-2-dev*'
	@$(if $(STACK),,$(error name what to destroy, such as: make destroy STACK='ap-northeast-2-dev*'))
	$(BIN)/python -m operations destroy $(STACK)

.PHONY: local
local: install ## deploy every AWS stack to an emulated AWS on this machine, without an account
	$(BIN)/python -m operations local

.PHONY: local-down
local-down: install ## destroy what `make local` deployed, and stop the emulated AWS
	$(BIN)/python -m operations local-down

.PHONY: remove-crds
remove-crds: install ## remove what a destroyed in-cluster stack leaves in the current cluster, if nothing of it is in use
	$(BIN)/python -m operations remove-crds

.PHONY: preflight
preflight: synth ## find in a minute what a deploy would fail at an hour later: make preflight [STACK="…"]
	$(BIN)/python -m operations preflight $(STACK)

.PHONY: backup
backup: synth ## back up what the Argo CD of the current cluster knows: make backup [ENVIRONMENT=prod]
	$(BIN)/python -m operations backup $(ENVIRONMENT)

.PHONY: restore
restore: synth ## restore what Argo CD knew, once you agree to the difference: make restore ENVIRONMENT=prod [VERSION=…]
	$(BIN)/python -m operations restore $(ENVIRONMENT) $(if $(VERSION),--version $(VERSION))

# Further options, such as `make service NAME=shop TEAM=sales LIKE=guestbook REPOSITORY_ID=1234567`.
SERVICE_OPTIONS = $(if $(LIKE),--like "$(LIKE)") $(if $(REPOSITORY_ID),--repository-id "$(REPOSITORY_ID)")

.PHONY: service
service: synth ## write a new service into the Git tree: make service NAME=shop TEAM=sales
	@$(BIN)/python -m operations service "$(NAME)" --team "$(TEAM)" $(SERVICE_OPTIONS)

.PHONY: chart-readme
chart-readme: install ## write the table of values in the README of the Helm chart anew
	$(BIN)/python -m operations chart-readme

.PHONY: tools
tools: install ## build Kubernetes, Argo CD and what else `make cluster` and the tests run; needs Go
	$(BIN)/python -m operations tools

.PHONY: cluster
cluster: synth ## run Kubernetes and Argo CD on this machine until Ctrl-C, without Docker; needs Go
	$(BIN)/python -m operations cluster

# --- check ------------------------------------------------------------------------------------------------------

.PHONY: validate
validate: synth ## check what pipelines check, without an account: stacks, style, manifests, workflows
	$(BIN)/python -m operations validate $(STACK)

.PHONY: test
test: lint ## run every check and the whole test suite
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

.PHONY: lint
lint: install ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: install ## format the code and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: snapshots
snapshots: install ## accept stacks and what the chart renders as the new snapshots; read the diff before you commit it
	$(BIN)/python -m pytest tests/snapshot tests/gitops/test_chart.py --snapshot-update

.PHONY: bench
bench: install ## measure the start-up, side by side with CDKTF's documented way
	$(BIN)/python -m tests.bench

.PHONY: clean
clean: ## remove what was installed and synthesized
	rm -rf .venv .pipenv node_modules cdktf.out
