# One environment, .venv, serves every target; the stamp says that it is up to date.

export TF_CPP_MIN_LOG_LEVEL ?= 3

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv.stamp
TEST_ENV := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
PYTEST := $(TEST_ENV) $(BIN)/python -m pytest

.PHONY: help demo test lint fast doctest slow sweep versions array-api format docs bench clean

help:
	@echo "make demo     pull MiniLM into JAX and compare it with the original"
	@echo "make test     lint, the fast tests, the doctests, the slow tests"
	@echo "make sweep    some thirty architectures of transformers, there and back; not part of make test"
	@echo "make array-api SUITE=PATH   the Array API Standard's own suite over the four namespaces"
	@echo "make versions exports for the oldest version of each framework, run there; installs some 3 GB, not part of make test"
	@echo "make lint     ruff, import-linter and pyright"
	@echo "make format   let ruff write the layout"
	@echo "make docs     write docs/{cli,ops,names,layers}.md again from what they tell of"
	@echo "make bench    the quick benchmarks: starting, converting a module, the step times of PyTorch"
	@echo "make clean    remove the environment and everything generated"

# Debian's python3 has venv without ensurepip: there the system's pip fills the environment.
$(BIN)/python:
	$(PYTHON) -m venv .venv || { $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install pip; }

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all,test,demo]"
	@touch $@

demo: $(STAMP)
	$(BIN)/ivyhub pull minilm --framework jax --to demo-out/minilm_jax --force
	$(BIN)/python demo/original.py
	$(BIN)/python demo/without.py ivyhub torch transformers -- demo/similar.py

test: lint fast doctest slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

fast: $(STAMP)
	$(PYTEST) -n 2 -m "not slow and not sweep"

doctest: $(STAMP)
	$(PYTEST) -p tests.conftest --doctest-modules ivyhub

slow: $(STAMP)
	$(PYTEST) -n 2 -m slow

# Some thirty architectures; too long for every change.
sweep: $(STAMP)
	$(PYTEST) -n 2 -m sweep

# SUITE is a checkout of data-apis/array-api-tests with its submodule; its requirements.txt is installed beforehand.
# VERSION is that of the standard: 2025.12, 2024.12 or 2023.12.
SUITE ?= ../array-api-tests
EXAMPLES ?= 20
VERSION ?= 2025.12

array-api: $(STAMP) $(addprefix array-api-,numpy torch jax tensorflow)

array-api-%: $(STAMP)
	cd $(SUITE) && PYTHONPATH=$(CURDIR) JAX_ENABLE_X64=1 ARRAY_API_TESTS_VERSION=$(VERSION) \
		ARRAY_API_TESTS_MODULE="exec('from ivyhub.engine.xp import versions; xp = versions.namespace(\"$*\", \"$(VERSION)\")')" \
		$(CURDIR)/$(BIN)/python -m pytest array_api_tests --max-examples $(EXAMPLES) --disable-deadline -q \
		-p no:cacheprovider $(addprefix --xfails-file=,$(wildcard $(CURDIR)/tests/engine/array_api/$*-xfails.txt))

# The oldest versions in environments of their own; PyTorch's brings CUDA with it.
versions: $(STAMP)
	$(TEST_ENV) $(BIN)/python -m tests.versions

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/python docs/write_cli.py
	$(BIN)/python docs/write_ops.py
	$(BIN)/python docs/write_names.py
	$(BIN)/python docs/write_layers.py

bench: $(STAMP)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/convert.py memory --rounds 3
	$(BIN)/python benchmarks/steps.py torch --processes 1

clean:
	rm -rf .venv $(STAMP) .versions demo-out bench-out build dist
