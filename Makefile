# The entry point of all tasks. CI calls the same targets.
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

# What `make aws-data` reads: the newest versions that AWS and the authors of moto published.
# renovate: datasource=pypi depName=botocore
AWS_DATA_BOTOCORE_VERSION := 1.43.106
# renovate: datasource=pypi depName=cfn-lint
AWS_DATA_CFN_LINT_VERSION := 1.58.0
# renovate: datasource=pypi depName=moto
AWS_DATA_MOTO_VERSION := 5.2.5

# "no" is written as 0, no or false, too.
override REMOVE := $(filter-out 0 no false,$(REMOVE))
override REPAIR := $(filter-out 0 no false,$(REPAIR))
override WRITE := $(filter-out 0 no false,$(WRITE))
override FRESH := $(filter-out 0 no false,$(FRESH))

# The value of a variable that a user gives, for the shell: as one word whatever is in it, as one word for each of its
# words, and after an option, or nothing without a value.
quote = '$(subst ','\'',$(value $(1)))'
quote_each = $(foreach one,$(value $(1)),$(call quote,one))
option = $(if $(value $(2)),$(1) $(call quote,$(2)))

export CHECKPOINT_DISABLE := 1
export DISABLE_VERSION_CHECK := 1
# The project's own Node, once it is installed; the machine's is needed only to install it.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# A virtual environment whose Python is gone, such as after an update of the system, is made again.
$(shell for venv in .venv .pipenv .checkov .cdktn .mkdocs; do [ -x $$venv/bin/python ] || rm -f $$venv/.installed*; done)

.PHONY: help
help: ## list all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- install ----------------------------------------------------------------------------------------------------

.PHONY: install
install: .venv/.installed node_modules/.installed node ## install missing Python and Node packages, inside the project

.PHONY: install-python
install-python: .venv/.installed ## install only the Python packages, for commands that do not synthesize

.venv/.installed: Pipfile.lock constructs/pyproject.toml .pipenv/.installed-$(PIPENV_VERSION)
	@[ -x .venv/bin/python ] || rm -rf .venv
	$(PIPENV) sync --dev
	@touch $@

# Before a virtual environment is made.
define CHECK_PYTHON
remedy="install Python 3.11 or newer, or choose one: make PYTHON=python3.12"; \
$(PYTHON) --version >/dev/null || { echo "$(PYTHON): cannot be run; $$remedy" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python %d.%d: too old; '"$$remedy"'" % sys.version_info[:2])'
endef

.pipenv/.installed-%:
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv --clear .pipenv
	.pipenv/bin/python -m pip install --quiet --disable-pip-version-check pipenv==$*
	@touch $@

# Where the project's Node is not available, such as on a machine without glibc, the machine's is used.
.PHONY: node
node: node_modules/.installed
	@node_modules/.bin/node --version >/dev/null 2>&1 && exit; \
	node=$$(node --version) || { echo "node: cannot be run; install Node 22" >&2; exit 1; }; \
	case $$node in \
	  v22.*) ;; \
	  v20.*) echo "warning: Node $$node: no longer supported; use Node 22" >&2 ;; \
	  *) echo "Node $$node: the CDKTF command line needs Node 22; install it" >&2; exit 1 ;; \
	esac

# npm 6 does not know the format of package-lock.json: https://docs.npmjs.com/cli/v7/configuring-npm/package-lock-json
define CHECK_NPM
npm=$$(npm --version) || { echo "npm: cannot be run; install Node 22, which brings npm" >&2; exit 1; }; \
if (( $${npm%%.*} < 7 )); then echo "npm $$npm: too old; install Node 22, which brings a newer npm" >&2; exit 1; fi
endef

node_modules/.installed: package-lock.json
	@$(CHECK_NPM)
	npm ci --no-audit --no-fund --loglevel=error
	@# npm 7 to 10 do not link it (seen with 10.9.9), because the packages for other systems have the same program.
	@for node in node_modules/node-*/bin/node; do [ ! -x $$node ] || ln -sf ../$${node#node_modules/} node_modules/.bin/node; done
	@touch $@

# Terraform, or OpenTofu in its place, before a target that runs it starts.
.PHONY: terraform
terraform: install-python
	@$(BIN)/python -m operations.terraform.program

# checkov needs an older boto3 than this project: it has an environment of its own.
SCANNER := operations/scanner/requirements

.PHONY: checkov
checkov: .checkov/.installed ## install checkov, for `make scan`, `make validate` and the tests

.checkov/.installed: $(SCANNER).txt
	$(INSTALL_REQUIREMENTS)
	@touch $@

define INSTALL_REQUIREMENTS
@$(CHECK_PYTHON)
$(PYTHON) -m venv --clear $(@D)
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
endef

# CDK Terrain, the successor of CDKTF: its library and its command line. Its packages exclude those of CDKTF.
CDKTN := tests/cdktn/requirements

.cdktn/.installed: $(CDKTN).txt tests/cdktn/package-lock.json
	$(INSTALL_REQUIREMENTS)
	@$(CHECK_NPM)
	cp tests/cdktn/package.json tests/cdktn/package-lock.json .cdktn
	npm ci --prefix .cdktn --no-audit --no-fund --loglevel=error
	@touch $@

# MkDocs, with which the documentation site is built. Mermaid, which draws the diagrams, is one file of its npm package.
SITE := scripts/site/requirements
# renovate: datasource=npm depName=mermaid
MERMAID_VERSION := 11.17.2
MERMAID_SHA256 := 581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8

.mkdocs/.installed: $(SITE).txt
	$(INSTALL_REQUIREMENTS)
	@touch $@

.mkdocs/mermaid.min.js: .mkdocs/.installed
	@$(CHECK_NPM)
	cd .mkdocs && npm pack --silent mermaid@$(MERMAID_VERSION) >/dev/null
	tar -xzOf .mkdocs/mermaid-$(MERMAID_VERSION).tgz package/dist/mermaid.min.js >$@
	@$(PYTHON) -c 'import hashlib, pathlib, sys; found = hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest(); \
	  sys.exit(found != sys.argv[2] and f"mermaid $(MERMAID_VERSION): its SHA-256 is {found}; compare it, and set MERMAID_SHA256")' \
	  $@ $(MERMAID_SHA256)

# renovate: datasource=pypi depName=pip-tools
PIP_TOOLS_VERSION := 7.6.2

.PHONY: checkov-lock
checkov-lock: REQUIREMENTS := $(SCANNER)
checkov-lock: ## update the versions and hashes of what checkov needs, after a change of its requirements.in
	@$(LOCK_REQUIREMENTS)

.PHONY: cdktn-lock
cdktn-lock: REQUIREMENTS := $(CDKTN)
cdktn-lock: ## the same for CDK Terrain, also after a change of its package.json
	@$(CHECK_NPM)
	@$(LOCK_REQUIREMENTS)
	npm install --prefix tests/cdktn --package-lock-only --no-audit --no-fund --loglevel=error \
	  --omit-lockfile-registry-resolved

.PHONY: docs-lock
docs-lock: REQUIREMENTS := $(SITE)
docs-lock: ## the same for MkDocs, with which the documentation site is built
	@$(LOCK_REQUIREMENTS)

define LOCK_REQUIREMENTS
$(CHECK_PYTHON); \
venv=$$(mktemp -d); trap 'rm -rf "$$venv"' EXIT; \
$(PYTHON) -m venv "$$venv"; \
"$$venv/bin/python" -m pip install --quiet --disable-pip-version-check pip-tools==$(PIP_TOOLS_VERSION); \
"$$venv/bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file $(REQUIREMENTS).txt $(REQUIREMENTS).in
endef

.PHONY: lock
lock: .pipenv/.installed-$(PIPENV_VERSION) ## update Pipfile.lock and package-lock.json after a change to Pipfile or package.json
	@$(CHECK_NPM)
	$(PIPENV) lock
	@$(PYTHON) -c 'import json, pathlib; p = pathlib.Path("Pipfile.lock"); d = json.loads(p.read_text()); d["_meta"]["sources"] = []; p.write_text(json.dumps(d, indent=4, sort_keys=True) + "\n")'
	npm install --package-lock-only --no-audit --no-fund --loglevel=error

.PHONY: aws-data
aws-data: ## update constructs/eks_gitops/aws_data.json: regions, zones, instance types and RDS instance classes of AWS
	@$(CHECK_PYTHON)
	@venv=$$(mktemp -d); trap 'rm -rf "$$venv"' EXIT; \
	$(PYTHON) -m venv "$$venv"; \
	"$$venv/bin/python" -m pip install --quiet --disable-pip-version-check botocore==$(AWS_DATA_BOTOCORE_VERSION) \
	  cfn-lint==$(AWS_DATA_CFN_LINT_VERSION) moto==$(AWS_DATA_MOTO_VERSION); \
	"$$venv/bin/python" scripts/aws_data.py

.PHONY: addon-versions
addon-versions: install ## update constructs/eks_gitops/addon_versions.json from EKS, with your AWS credentials
	$(BIN)/python -m scripts.addon_versions

# --- use --------------------------------------------------------------------------------------------------------

.PHONY: synth
synth: install ## synthesize all stacks and list them
	@$(BIN)/python -m operations.terraform.synthesis

.PHONY: bootstrap
bootstrap: terraform synth ## create the state bucket with your AWS credentials; safe to run again
	$(BIN)/python -m operations bootstrap

.PHONY: unbootstrap
unbootstrap: terraform synth ## destroy the state bucket, after all other stacks are destroyed
	$(BIN)/python -m operations unbootstrap

# Names or glob patterns of stacks; all stacks if empty.
STACK ?=

.PHONY: plan
plan: terraform synth ## plan the stacks that differ from origin/main or BASE=REVISION, and check the plans with the guard
	$(BIN)/python -m operations plan $(call quote_each,STACK) $(call option,--base,BASE)

.PHONY: guard
guard: install ## check existing plans with the guard: make guard PLAN="ap-northeast-2-dev.json"
	$(BIN)/python -m operations guard $(call quote_each,PLAN)

.PHONY: deploy
deploy: terraform synth ## deploy stacks in the order of their dependencies: make deploy STACK="ap-northeast-2-shared ap-northeast-2-dev"
	$(BIN)/python -m operations deploy $(call quote_each,STACK) $(call option,--reviewed,REVIEWED) $(if $(REPAIR),--repair)

.PHONY: map
map: synth ## draw network, clusters, data, delivery and permissions, in English and Korean: make map [FOLDER=map]
	$(BIN)/python -m operations map $(call option,--folder,FOLDER)

.PHONY: portal
portal: synth ## write one page about every region and environment, .portal/index.html: make portal [FOLDER=…] [REPORTS=…]
	@$(BIN)/python -m operations portal $(call option,--folder,FOLDER) $(call option,--reports,REPORTS)

.PHONY: restore-state
restore-state: terraform synth ## list the versions of the state of STACK, or restore VERSION
	$(BIN)/python -m operations restore-state $(call quote_each,STACK) $(call option,--version,VERSION)

.PHONY: recover
recover: terraform synth ## bring what exists back into a lost state, after a killed deploy: make recover STACK=ap-northeast-2-dev
	@$(if $(STACK),,$(error name the stacks to recover, such as: make recover STACK=ap-northeast-2-dev))
	$(BIN)/python -m operations recover $(call quote_each,STACK)

.PHONY: adopt
adopt: terraform synth ## take over what others made: make adopt STACK=ap-northeast-2-dev [ID="ADDRESS=ID ..."]
	@$(if $(STACK),,$(error name the stack that adopts, such as: make adopt STACK=ap-northeast-2-dev))
	$(BIN)/python -m operations adopt $(call quote_each,STACK) $(foreach one,$(value ID),$(call option,--id,one))

.PHONY: cost
cost: synth ## show what the stacks cost in a month, and a change: make cost [STACK="…"] [BASE=origin/main]
	@$(BIN)/python -m operations cost $(call quote_each,STACK) $(call option,--base,BASE)

.PHONY: prices
prices: synth ## read the list prices of the regions from the AWS Price List: make prices [REGION="us-west-2"]
	$(BIN)/python -m operations prices $(call quote_each,REGION)

.PHONY: cost-docs
cost-docs: synth ## update the table in docs/cost.md after a change of the settings or the prices
	$(BIN)/python -m scripts.cost_docs

.PHONY: drift
drift: terraform synth ## find changes in AWS since the last apply: make drift STACK='ap-northeast-2-dev*'
	$(BIN)/python -m operations drift $(call quote_each,STACK)

.PHONY: destroy
destroy: terraform synth ## destroy stacks and find remaining resources: make destroy STACK='ap-northeast-2-dev*'
	@$(if $(STACK),,$(error name the stacks to destroy, such as: make destroy STACK='ap-northeast-2-dev*'))
	$(BIN)/python -m operations destroy $(call quote_each,STACK)

.PHONY: local
local: install terraform ## deploy all AWS stacks to an emulated AWS on this machine, without an AWS account
	$(BIN)/python -m operations local

.PHONY: local-down
local-down: install terraform ## destroy the stacks of `make local`, and stop the emulated AWS
	$(BIN)/python -m operations local-down

.PHONY: tunnel
tunnel: synth ## reach the private API of a cluster until Ctrl-C: make tunnel ENVIRONMENT=dev [PORT=8443] [ROLE=arn:…]
	@$(if $(ENVIRONMENT),,$(error name the environment, such as: make tunnel ENVIRONMENT=dev))
	@$(BIN)/python -m operations tunnel $(call quote,ENVIRONMENT) $(call option,--port,PORT) $(call option,--role,ROLE)

.PHONY: remove-crds
remove-crds: install ## delete the unused CRDs that a destroyed in-cluster stack left in the current cluster
	$(BIN)/python -m operations remove-crds

.PHONY: preflight
preflight: synth ## check before a deploy what would fail it: make preflight [STACK="…"]
	$(BIN)/python -m operations preflight $(call quote_each,STACK)

.PHONY: upgrade
upgrade: synth ## check and plan a new Kubernetes version: make upgrade ENVIRONMENT=dev VERSION=1.36 [WRITE=1]
	@$(if $(and $(ENVIRONMENT),$(VERSION)),,$(error name both, such as: make upgrade ENVIRONMENT=dev VERSION=1.36))
	$(BIN)/python -m operations upgrade $(call quote,ENVIRONMENT) $(call quote,VERSION) $(if $(WRITE),--write)

.PHONY: ami-releases
ami-releases: synth ## pin the newest AMI of the managed node groups in the settings: make ami-releases [STACK="…"]
	$(BIN)/python -m operations ami-releases $(call quote_each,STACK)

.PHONY: backup
backup: synth ## back up the Argo CD of the current cluster: make backup [ENVIRONMENT=prod]
	$(BIN)/python -m operations backup $(call option,,ENVIRONMENT)

.PHONY: restore
restore: synth ## restore a backup of Argo CD after confirmation: make restore ENVIRONMENT=prod [VERSION=…]
	$(BIN)/python -m operations restore $(call option,,ENVIRONMENT) $(call option,--version,VERSION)

# Optional arguments, such as `make service NAME=shop TEAM=sales LIKE=guestbook REPOSITORY_ID=1234567`.
SERVICE_OPTIONS = $(call option,--like,LIKE) $(call option,--repository-id,REPOSITORY_ID)

.PHONY: service
service: synth ## create the files of a new service: make service NAME=shop TEAM=sales
	@$(BIN)/python -m operations service $(call quote,NAME) --team $(call quote,TEAM) $(SERVICE_OPTIONS)

.PHONY: environment
environment: $(if $(REMOVE),install-python,synth) ## add an environment, or remove one: make environment NAME=qa LIKE=staging [REGION=…] | REMOVE=1
	@$(BIN)/python -m operations environment $(call quote,NAME) $(call option,--like,LIKE) $(call option,--region,REGION) \
	  $(if $(REMOVE),--remove)

.PHONY: region
region: $(if $(REMOVE),install-python,synth) ## add a region, or remove one: make region NAME=us-west-2 LIKE=ap-northeast-2 CIDR=10.1.0.0/16 | REMOVE=1
	@$(BIN)/python -m operations region $(call quote,NAME) $(call option,--like,LIKE) $(call option,--cidr,CIDR) \
	  $(if $(REMOVE),--remove)

# A new component, or with REMOVE=1 the way back. `make component` downloads nothing.
COMPONENT_OPTIONS = --chart $(call quote,CHART) --repository $(call quote,REPOSITORY) --version $(call quote,VERSION) \
  $(call option,--namespace,NAMESPACE)

.PHONY: component
component: install-python ## create the files of a component: make component NAME=… CHART=… REPOSITORY=https://… VERSION=… [NAMESPACE=…], or [REMOVE=1]
	@$(BIN)/python -m operations $(if $(REMOVE),remove-component $(call quote,NAME),component $(call quote,NAME) $(COMPONENT_OPTIONS))

# Then the new version of the project shows what differs: its packages are installed first.
.PHONY: update
update: install-python ## take a release of the product, or change nothing: make update VERSION=v0.2.0 [FROM=URL] [KEEP="PATH …"]
	@$(if $(VERSION),,$(error name the release, such as: make update VERSION=v0.2.0))
	@$(BIN)/python -m operations update $(call quote,VERSION) $(call option,--from,FROM) $(foreach one,$(value KEEP),$(call option,--keep,one))
	@$(MAKE) compare BASE=HEAD^1 || \
	  { echo "The release is merged. Correct what is said above, and go on with: make compare BASE=HEAD^1" >&2; exit 1; }

.PHONY: compare
compare: synth ## show which resources differ from those of a revision, without access to AWS: make compare BASE=HEAD^1
	@$(if $(BASE),,$(error name the revision, such as: make compare BASE=HEAD^1))
	@$(BIN)/python -m operations compare $(call quote,BASE)

.PHONY: wheel
wheel: install-python ## build the wheel of eks_gitops into dist/; the same commit gives the same bytes
	@rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./constructs

.PHONY: chart-readme
chart-readme: install ## update the table of values in the README of the Helm chart
	$(BIN)/python -m operations chart-readme

.PHONY: settings-docs
settings-docs: install ## update docs/settings.md after a change of a type of the settings
	$(BIN)/python -m scripts.settings_docs

.PHONY: commands-docs
commands-docs: install-python ## update docs/commands.md after a change of a command or of this file
	$(BIN)/python -m scripts.commands_docs

.PHONY: docs
docs: .mkdocs/mermaid.min.js ## build the documentation site into site/; fails for a broken link, or a page without a place
	NO_MKDOCS_2_WARNING=1 .mkdocs/bin/mkdocs build

.PHONY: docs-serve
docs-serve: .mkdocs/mermaid.min.js ## show the documentation site until Ctrl-C, on http://127.0.0.1:8000 or PORT
	NO_MKDOCS_2_WARNING=1 .mkdocs/bin/mkdocs serve --dev-addr 127.0.0.1:$(if $(PORT),$(call quote,PORT),8000)

.PHONY: docs-hashes
docs-hashes: install-python ## after a translation: note in Korean pages which English text they translate: PAGES="docs/deploy.ko.md"; lists those behind
	$(BIN)/python -m scripts.docs_hashes $(call quote_each,PAGES)

.PHONY: changes
changes: install terraform ## update docs/changes.md: plan every change of the settings, or those of ONLY="NodeGroupConfig."
	$(BIN)/python -m tests.changes.make $(call quote_each,ONLY)

.PHONY: tools
tools: install ## build Kubernetes, Argo CD and other programs of `make cluster` and the tests; needs Go
	$(BIN)/python -m operations tools

.PHONY: cluster
cluster: synth ## run Kubernetes and Argo CD on this machine until Ctrl-C, without Docker; needs Go
	$(BIN)/python -m operations cluster

# --- check ------------------------------------------------------------------------------------------------------

.PHONY: validate
validate: synth ## run the checks of the pipelines that need no AWS account: stacks, style, manifests, workflows
	$(BIN)/python -m operations validate $(call quote_each,STACK)

.PHONY: scan
scan: $(if $(PLAN),,terraform) synth checkov ## check plans with checkov: make scan [PLAN="ap-northeast-2-dev.json"]; without any, deployed stacks are planned
	$(BIN)/python -m operations scan $(call quote_each,PLAN)

# One test process for each core; a file of tests stays in one of them, because tests of a file share what is slow.
# Compiled modules are kept, whatever the environment says: each of many processes would compile the same again.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
PARALLEL := --numprocesses auto --dist loadfile

.PHONY: check
check: lint ## run the fast checks, in about a minute: style, types, unit tests, snapshots, rules of the Git tree
	$(PYTEST) $(PARALLEL) tests/unit tests/snapshot tests/contract tests/workflows tests/gitops examples \
	  -m "not slow and not terraform and not e2e and not cluster"

.PHONY: test
test: lint ## run all checks and tests; the unit tests must reach the required coverage
	$(BIN)/coverage erase
	$(PYTEST) $(PARALLEL) tests/unit --cov --cov-report=
	$(BIN)/coverage report --include='constructs/*,stacks/*' --fail-under=100
	$(BIN)/coverage report --include='operations/*' --fail-under=98
	$(MAKE) --jobs=4 --output-sync=target --keep-going test-deploys test-clusters test-others test-versions

.PHONY: test-deploys
test-deploys: install # the tests that deploy to the emulated AWS: the provider waits for most of their time
	@$(MAKE) checkov || echo "checkov: cannot be installed; its test is skipped"
	$(PYTEST) --numprocesses 3 --dist loadgroup tests/e2e -m "not long"

.PHONY: test-long
test-long: install ## run what make test leaves out: deploys with a VPC, keys and roles that exist already
	$(PYTEST) --numprocesses 3 --dist loadgroup tests/e2e -m long

.PHONY: test-kills
test-kills: install terraform ## kill deploys at 20 moments and recover, in hours; goes on where it was ended: make test-kills [FRESH=1] [ONLY=deploy]
	$(BIN)/python -m tests.kills.make $(if $(FRESH),fresh) $(call option,,ONLY)

.PHONY: test-clusters
test-clusters: install # the tests with Kubernetes, which wait for its controllers for most of their time
	$(PYTEST) tests/cluster

.PHONY: test-others
test-others: install # all other tests but the unit tests
	$(PYTEST) --ignore=tests/unit --ignore=tests/e2e --ignore=tests/cluster

.PHONY: test-versions
test-versions: install # a sample of `make compatibility`
	$(BIN)/python -m tests.compatibility --sample

.PHONY: compatibility
compatibility: install ## run with other versions of Python, Node, Terraform and Helm, OpenTofu and CDK Terrain: [ONLY="Python 3.12"] [PROGRAMS=PATH]; updates docs/compatibility.md
	$(BIN)/python -m tests.compatibility $(call option,--only,ONLY) $(call quote_each,PROGRAMS)

.PHONY: test-inputs
test-inputs: install ## run every command with all bad input, of which `make test` tries a sample; takes about 15 minutes
	$(BIN)/python -m tests.inputs.run

.PHONY: cdktn-check
cdktn-check: install .cdktn/.installed ## compare the stacks with those of CDK Terrain, the successor of CDKTF; installs 0.9 GB
	$(BIN)/python -m tests.cdktn.check

.PHONY: lint
lint: install ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: install ## format the code and apply the fixes of ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: snapshots
snapshots: install ## accept the stacks, the rendered chart and the pictures as the new snapshots; review the diff before you commit it
	$(BIN)/python -m pytest tests/snapshot tests/gitops/test_chart.py tests/unit/operations/map tests/browser --snapshot-update

# renovate: datasource=pypi depName=cfn-lint
CFN_LINT_VERSION := 1.58.0

.PHONY: contract-data
contract-data: ## update the rules of CloudFormation that tests/contract checks; review the diff before you commit it
	@$(CHECK_PYTHON)
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder"; \
	"$$folder/bin/python" -m pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT_VERSION); \
	"$$folder/bin/python" tests/contract/generate.py

.PHONY: bench
bench: install terraform ## measure how long the commands take, compared with the usual way to do the same
	$(BIN)/python -m tests.bench

.PHONY: clean
clean: ## remove the installed packages and the synthesized stacks
	rm -rf .venv .pipenv .checkov .cdktn .mkdocs .compatibility node_modules cdktf.out dist site
