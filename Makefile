# Everything a checkout needs, without root: `make run` is the main job, `make help` lists the rest.
# ARGS goes through to the program: make run ARGS="--for 10s", make test ARGS="tests/bus -x".

PYTHON ?= python3
ARGS ?=
SECONDS ?= 300
STEPS ?= 100000
VENV := .venv
BIN := $(VENV)/bin

# Two stamps, newer than pyproject.toml when nothing is to be done: what a run needs is installed
# fast, what working on the code needs comes with the first `make test` or `make check`.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

PROTO_VENV := .venv-proto
PROTO_STAMP := $(PROTO_VENV)/.made
PROTO_OUT ?= .
PROTOS := $(shell find daemoneye -name '*.proto')

PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: help run test check fuzz model crash bench coverage proto clean

help:
	@echo 'make run       install what is needed into .venv, then daemoneye run'
	@echo 'make test      the whole test suite'
	@echo 'make check     formatting, lint, types'
	@echo 'make fuzz      hostile bytes for five minutes a target; SECONDS= and SEED= pick others'
	@echo 'make model     the bus against a model of its promises; STEPS= says how many steps'
	@echo 'make crash     kill, stop and cut everything for a minute, and account for each message'
	@echo 'make bench     the benchmarks, beside every peer that is installed'
	@echo 'make coverage  the test suite again, with what it did not reach'
	@echo 'make proto     generate the protobuf code anew'
	@echo 'make clean     remove everything that the above made'
	@echo
	@echo 'ARGS="..." goes through to the program; PYTHON=python3.13 picks the interpreter.'

run: $(RUNTIME)
	@exec $(BIN)/daemoneye run $(ARGS)

test: $(DEV)
	@exec $(BIN)/python -m pytest $(ARGS)

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(ARGS)

fuzz: $(DEV)
	@exec $(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

model: $(DEV)
	@exec $(BIN)/python -m tests.bus.model --steps $(STEPS)

crash: $(DEV)
	@exec $(BIN)/python -m tests.crash $(ARGS)

bench: $(DEV)
	@exec $(BIN)/python -m benchmarks $(ARGS)

coverage: $(DEV)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

proto: $(PROTO_STAMP)
	$(PROTO_VENV)/bin/python -m grpc_tools.protoc -I. \
		--python_out=$(PROTO_OUT) --pyi_out=$(PROTO_OUT) $(PROTOS)

clean:
	rm -rf $(VENV) $(PROTO_VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "daemoneye needs Python 3.11 or newer, and $(PYTHON) is not:" \
			"name one with  make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo 'installing daemoneye into $(VENV) (once)' >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

$(DEV): $(RUNTIME)
	@echo 'installing the tools of development into $(VENV) (once)' >&2
	@$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade 'pip>=25.1'  # the first with --group
	@$(BIN)/python -m pip install $(PIP_FLAGS) --group dev
	@touch $@

# The generator pins an older protobuf than we run on, so it lives apart; what it writes runs on
# everything from 6.31.1 on.
$(PROTO_STAMP):
	@test -x $(PROTO_VENV)/bin/python || $(PYTHON) -m venv $(PROTO_VENV)
	@$(PROTO_VENV)/bin/python -m pip install $(PIP_FLAGS) 'grpcio-tools==1.80.*'
	@touch $@
