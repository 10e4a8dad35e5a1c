# setup, check, test, repro, status and more. On a fresh clone `make repro` installs what running takes, `make setup` what
# developing takes besides.

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
# Whoever runs make here runs this folder's code.
export WHICHLAYER_TRUST := 1

# `make repro EXACT=1`: the same bytes on every processor that has AVX2, by the same versions of libraries, the same
# instructions and the same number of threads, without a GPU (docs/default-study.md).
ifdef EXACT
export WHICHLAYER_DEVICE := cpu
export WHICHLAYER_PRECISION := no
export ATEN_CPU_CAPABILITY := avx2
export ONEDNN_MAX_CPU_ISA := AVX2
export MKL_CBWR := COMPATIBLE
export OPENBLAS_CORETYPE := Haswell
export NPY_DISABLE_CPU_FEATURES := X86_V4 AVX512_ICL AVX512_SPR
export OMP_NUM_THREADS := 2
VERSIONS := -c constraints.txt
INSTALLED := .venv/exact
else
INSTALLED := .venv/installed
endif

.PHONY: install setup check types pipeline test test-slow test-fleet test-lowest recorded repro status bench coverage faults mutants plan held-out docs site address

# What the installed package has of this checkout: `quick` and `import whichlayer` run it, so it follows every edit.
CODE := $(shell find stages -name __pycache__ -prune -o -type f -print) params.yaml dvc.yaml
PIP := python -m pip install --quiet --disable-pip-version-check

install: $(INSTALLED)

$(INSTALLED): pyproject.toml $(CODE)
	@echo "Installing into .venv.$(if $(filter $<,$?), This takes minutes and prints nothing.)"
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(if $(filter $<,$?),$(PIP) --upgrade pip)
	$(PIP) $(if $(filter $<,$?),$(VERSIONS) '.[study]' hatchling,--no-deps --no-build-isolation .)
	-whichlayer trust
	touch $(INSTALLED)

setup: .venv/ready

.venv/ready: pyproject.toml | $(INSTALLED)
	$(PIP) '.[dev]'
	touch .venv/ready

check: setup
	ruff check .
	ruff format --check .
	$(MAKE) --no-print-directory --jobs=2 types pipeline

types:
	mypy

pipeline:
	python -m pytest -q tests/test_pipeline.py

test: setup
	OMP_NUM_THREADS=1 python -m pytest -q -n auto --dist loadfile -m "not slow and not fleet"

# Whole files side by side, the longest first, each stage in one process of one thread: more would fight for two cores.
LONGEST = $(addprefix tests/,$(addsuffix .py,test_end_to_end test_faults test_tutorial test_contributing faults/test_campaigns commands/cut/test_export bench/test_simulation))
OTHERS = $(filter-out $(LONGEST),$(wildcard tests/test_*.py tests/*/))
SLOW = slow
test-slow: setup
	OMP_NUM_THREADS=1 WHICHLAYER_WORKERS=1 python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=25 -m "$(SLOW)" $(LONGEST) $(OTHERS)

# Needs a machine with nothing else to do: where processes start slowly, Ray gives up.
test-fleet: setup
	python -m pytest -q -m fleet tests/commands/fleet

# The tests under the lowest versions that pyproject.toml admits, in an environment of their own.
test-lowest: setup
	python -m pip install --quiet --disable-pip-version-check uv
	uv venv --quiet --allow-existing --python .venv/bin/python .venv-lowest
	uv pip compile --quiet --python .venv-lowest --resolution lowest-direct pyproject.toml -o .venv-lowest/lowest.txt
	uv pip install --quiet --python .venv-lowest -c .venv-lowest/lowest.txt -r .venv-lowest/lowest.txt '.[test]'
	OMP_NUM_THREADS=1 PATH=$(CURDIR)/.venv-lowest/bin:$$PATH python -m pytest -q -n auto --dist loadfile -m "not slow and not fleet" tests/prepare tests/finetune tests/embed tests/measure tests/aggregate tests/shared

# After `make repro`: whether the default study came out as it is recorded in git, as far as machines agree; with EXACT=1
# also whether its bytes did.
recorded: setup
	python -m tests.tools.recorded

repro: install
	whichlayer check
	WHICHLAYER_NO_VERDICT=1 dvc repro
	whichlayer verdict

status: install
	dvc status
	whichlayer unfinished

plan: install
	whichlayer plan

bench: setup
	python -m tests.bench

coverage: setup
	python -m tests.bench.simulation --page

faults: setup
	python -m tests.faults

mutants: setup
	python -m tests.bench.mutants $(MUTANTS)

# make held-out IMAGES=/path/to/classes: a whole study without five of 25 classes, and what it promised for them
held-out: setup
	python -m tests.tools.held_out_classes $(IMAGES) .cache/held_out

docs: setup
	python -m docs.tools.scopes docs/images
	python -m docs.tools.steps docs/images
	python -m tests.reference
	python -m docs.study.report

# The site in .cache/site/html.
site: setup
	python -m docs.tools.site

# make address ADDRESS=https://github.com/OWNER/NAME: writes it where the repository's address belongs (docs/release.md)
address:
	$(PYTHON) -m docs.tools.address $(ADDRESS)
