# setup, check, test, repro, status and more. `make repro` on a fresh clone sets up first.

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: setup check test test-slow repro status bench coverage plan docs

setup: .venv/ready

.venv/ready: pyproject.toml stages/commands/launcher.py
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check --upgrade pip
	python -m pip install --quiet --disable-pip-version-check '.[dev]'
	touch .venv/ready

check: setup
	ruff check .
	ruff format --check .
	mypy
	python -m pytest -q tests/test_pipeline.py

test: setup
	python -m pytest -q -n auto -m "not slow and not gpu"

# Whole files side by side, each stage on one thread: two threads each would fight for two cores.
test-slow: setup
	OMP_NUM_THREADS=1 python -m pytest -q -n 2 --dist loadfile -m slow

repro: setup
	whichlayer check
	WHICHLAYER_NO_VERDICT=1 dvc repro
	whichlayer verdict

status: setup
	dvc status

plan: setup
	whichlayer plan

bench: setup
	python -m tests.bench

coverage: setup
	python -m tests.bench.simulation

docs: setup
	python -m tests.reference
