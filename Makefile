# Every target works in a fresh clone with Python 3.11 or newer, a C compiler and make: what it needs is
# installed first, into .tools and .venv, at the versions and hashes in constraints.txt.

PYTHON := .venv/bin/python
PYTEST_OPTIONS := --numprocesses auto --dist loadgroup
UV := .tools/bin/uv
VERSIONS := 3.11 3.12 3.13
# What may differ between Pythons: the engine's binding, processes and loops, drivers and models.
PER_PYTHON := core/tests/rules/test_worker.py core/tests/rules/test_compiled.py \
    core/tests/manager/test_snippet.py core/tests/manager/test_check.py \
    core/tests/store/test_journal.py core/tests/test_models.py core/tests/test_wire.py

# Tests run on the Pythons of this machine, and nothing fetches another.
export UV_PYTHON_DOWNLOADS := never

MANIFESTS := $(wildcard core/pyproject.toml plugins/*/pyproject.toml rulesets/pyproject.toml)
FOLDERS := $(MANIFESTS:%/pyproject.toml=%)
# Beside what mypy looks at by itself: folders in which modules are named alike, so each by its own.
TYPED := core/tests $(wildcard plugins/*/tests) $(patsubst %/,%,$(dir $(wildcard examples/*/main.py))) \
    examples/tocsin-example
PROJECTS := tocsin tocsin-rulesets $(notdir $(filter plugins/%,$(FOLDERS)))

.PHONY: help run test check chaos bench docs format constraints clean $(VERSIONS:%=test-%)

## help: list these targets
help:
	@awk '/^## / { name = $$2; $$1 = $$2 = ""; sub(":", "", name); printf "make %-12s %s\n", name, $$0 }' Makefile

## run: run Tocsin with the quickstart's settings
run: .venv/stamp
	@mkdir -p var && touch var/app.log
	.venv/bin/tocsin run --config examples/quickstart/tocsin.yaml

## test: run all tests, then those of what may differ on each other Python (test-3.12: on that one)
test: .venv/stamp
	$(PYTHON) -m pytest $(PYTEST_OPTIONS)
	@main=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	found=$$(tests/pythons.sh); \
	for version in $(VERSIONS); do \
	    if [ $$version = $$main ]; then echo "Python $$version: tested above"; \
	    elif echo "$$found" | grep -q "^$$version "; then \
	        echo "Python $$version: found"; $(MAKE) --no-print-directory test-$$version || exit; \
	    else echo "Python $$version: not found, not tested"; fi; \
	done

$(VERSIONS:%=test-%): test-%: .venv-%/stamp
	.venv-$*/bin/python -m pytest $(PYTEST_OPTIONS) -m "not slow" $(PER_PYTHON)

## check: look for mistakes without running the tests
check: .venv/stamp
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	@for folder in $(TYPED); do echo "mypy $$folder"; .venv/bin/mypy --no-error-summary $$folder || exit; done
	.venv/bin/lint-imports
	$(PYTHON) -m tests.docs.generate --check

## chaos: kill the host fifty times on each database, which takes minutes
chaos: .venv/stamp
	TOCSIN_KILLS=50 $(PYTHON) -m pytest -n 2 tests/chaos

## bench: measure speed
bench: .venv/stamp
	$(PYTHON) -m tests.benchmarks

## docs: write the generated pages of docs/ again
docs: .venv/stamp
	$(PYTHON) -m tests.docs.generate

## format: lay out the code and mend what can be mended by rule
format: .venv/stamp
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

## constraints: pin what the packages ask for (with UPGRADE=1 at the newest versions)
constraints: .tools/stamp
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
	    --no-header --no-annotate --no-emit-index-url $(PROJECTS:%=--no-emit-package %) \
	    --all-extras --group dev --group build --output-file constraints.txt $(MANIFESTS)

## clean: delete what the other targets made
clean:
	rm -rf .tools .venv $(VERSIONS:%=.venv-%)
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.tools/stamp: constraints.txt
	@echo "Installing uv into .tools"
	@python=$$(tests/pythons.sh 3) && "$$python" -m venv .tools
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > .tools/uv.txt
	@.tools/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r .tools/uv.txt
	@touch $@

# --exact also removes what is no longer asked for.
define install
	@echo "Installing Tocsin and its tools into $(@D)"
	@$(UV) venv --quiet --allow-existing --python "$(1)" $(@D)
	@$(UV) pip install --quiet --exact --python $(@D) \
	    --constraints constraints.txt --build-constraints constraints.txt \
	    --group dev $(FOLDERS:%=--editable %) --editable 'core[standard,testing]'
	@touch $@
endef

.venv/stamp: .tools/stamp pyproject.toml $(MANIFESTS)
	$(call install,.tools/bin/python)

$(VERSIONS:%=.venv-%/stamp): .venv-%/stamp: .tools/stamp pyproject.toml $(MANIFESTS)
	$(call install,$$(tests/pythons.sh $*))
