# `make help` lists the targets. Everything they make lies in .venv, .local and build.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first that is new enough and can make a venv. A distribution's own is built with profiles, which makes it a quarter
# faster than one compiled without.
able = import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in /usr/bin/python3 python3.11 python3; do $$each -c '$(able)' 2>/dev/null && echo $$each && exit; done; echo python3)
PY := .venv/bin/python
LIBS := .local/kafka/libs
# Only what is typed: an exported N of somebody else is none of ours.
typed = $(and $(filter command line,$(origin $1)),$(value $1),--$2 '$(subst ','\'',$(value $1))')
DEMO = $(call typed,N,count) $(call typed,INPUT,input) $(call typed,REGISTER,register) $(call typed,REPLICAS,replicas)
CHAOS = $(call typed,SEED,seed) $(call typed,N,dossiers) $(call typed,KILLS,kills) $(call typed,REPLICAS,replicas) $(call typed,ONLY,only)

.PHONY: help setup doctor demo run test test-fast up down test-compose test-upgrade upgrade bench bench-peers sabotage lint format types unit contract architecture alerts secured integration runtime e2e demos bad-input kills chaos cluster lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed $(LIBS)/.complete ## Make .venv (hash-pinned packages) and fetch Kafka's jars; instant when done

.venv/.installed: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "setup: packages into .venv (a minute or two)"
	@test -x .venv/bin/pip || $(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --require-hashes -r requirements/dev.txt
	@touch $@

$(LIBS)/.complete: deploy/kafka/jars.lock | .venv/.installed
	@echo "setup: Kafka's jars into $(LIBS) (55 MB)"
	@$(PY) -m deploy.kafka.jars fetch
	@$(PY) -m deploy.local archive
	@touch $@

doctor: ## Say what is missing on this machine and how to mend it
	@$(if $(wildcard $(PY)),$(PY),$(PYTHON)) -m deploy.local doctor

demo: setup ## Carry dossiers through all five services and audit them (N= INPUT= REGISTER= REPLICAS=)
	@$(PY) -m deploy.demo $(DEMO)

run: setup ## The same services, staying up, with their addresses printed
	@$(PY) -m deploy.demo --stay $(DEMO)

test: setup ## Every floor: lint, types, unit, contract, architecture, alerts, secured, integration, runtime, e2e, demos, bad-input, kills
	@$(PY) -m tests.floors

test-fast: setup ## What needs no server: lint, types, unit, contract, architecture; under a minute
	@$(PY) -m tests.floors lint types unit contract architecture

bench: setup ## How fast it is: every figure three times, on a quiet machine (about an hour); build/bench.md, .json, .svg
	@$(PY) -m tests.bench $(BENCH)

up: setup ## The same in containers, by Docker Compose (OUTSIDE=1: with simulators of the outside; CLUSTER=1: three brokers, two of each)
	@$(PY) -m deploy.compose up $(if $(OUTSIDE),--demo) $(if $(CLUSTER),--cluster)

down: setup ## End the containers; data stay in their volumes (VOLUMES=1 forgets them, CLUSTER=1 as for up)
	@$(PY) -m deploy.compose down $(if $(VOLUMES),--volumes) $(if $(CLUSTER),--cluster)

test-compose: setup ## Bring the containers up for real, kill, restart and upgrade them under load (ten minutes, root; CLUSTER=1: the cluster, fifteen)
	@$(PY) -m tests.compose $(if $(CLUSTER),--cluster)

test-upgrade: upgrade ## A made-up next release comes, goes back and comes again under load, one process at a time (five minutes)

sabotage: setup ## Take out one guard at a time; a named test must turn red for each
	@$(PY) -m tests.sabotage

bench-peers: setup .local/bench/venv/.installed ## Our consumer beside Faust, FastStream and Quix Streams, one run (10 minutes)
	@$(PY) -m tests.bench.peers

.local/bench/venv/.installed: requirements/bench.txt
	@echo "bench: the peers' packages into .local/bench/venv"
	@mkdir -p .local/bench && $(PYTHON) -m venv --clear .local/bench/venv
	@.local/bench/venv/bin/pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --require-hashes -r requirements/bench.txt
	@touch $@

chaos: setup ## Faults of every kind under load, for half an hour (SEED= N= KILLS= REPLICAS= ONLY=)
	@$(PY) -m tests.chaos $(CHAOS)

lint types unit contract architecture alerts secured integration runtime e2e demos bad-input kills cluster upgrade: setup
	@$(PY) -m tests.floors $@

lint: ## Only ruff
types: ## Only mypy --strict
unit: ## Only this floor of tests
contract: ## Only this floor of tests
architecture: ## Only this floor of tests
alerts: ## Only this floor of tests (prometheus, promtool)
secured: ## Only this floor of tests
integration: ## Only this floor of tests (what the services share has one of its own, runtime)
runtime: ## Only this floor of tests
e2e: ## Only this floor of tests
demos: ## Only this floor of tests
bad-input: ## Only this floor of tests
kills: ## Only this floor of tests
cluster: ## Three brokers, of which one dies; no part of `make test`

format: setup ## Format and mend what ruff can mend
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

lock: .venv/.installed ## Pin requirements/*.in and Kafka's jars anew, with hashes (UPGRADE=1 takes newer packages)
	@test -x .local/lock/bin/pip-compile || { $(PYTHON) -m venv .local/lock && .local/lock/bin/pip install --quiet pip-tools; }
	@cd requirements && for name in runtime tools dev bench; do ../.local/lock/bin/pip-compile --quiet $(if $(UPGRADE),--upgrade) \
	  --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --no-header -o $$name.txt $$name.in; done
	@$(PY) -m deploy.kafka.jars lock

clean: ## Remove what demos, runs and tests left, secrets too, and say what; packages and jars stay
	@$(if $(wildcard $(PY)),$(PY) -m deploy.local wipe)
	@echo "removed what is there of build/, test and type caches, Python's compiled files; .venv and Kafka's jars stay"
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .local/kafka/server.* .local/ground.lock
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
