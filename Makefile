# Sextant. `make` alone lists what there is.

PYTHON    ?= python3
PROFILE   ?= default
OUT       ?= artifacts
ARTIFACTS ?= $(OUT)
CORPUS    ?=
COLUMNS   ?=
# Each file of CORPUS and each pair of COLUMNS becomes an option of its own.
OPTIONS    = $(foreach file,$(CORPUS),--corpus "$(file)") $(foreach pair,$(COLUMNS),--column "$(pair)") $(FLAGS)
# Installs what is missing and says which Python to go on with.
READY      = python=$$($(PYTHON) -m build.install) && 

.DEFAULT_GOAL := help
.PHONY: help artifacts dashboard test check bench plan verify bundle clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: PROFILE=default|tiny|arxiv|paper  OUT=folder  CORPUS='files'  COLUMNS='text=abstract …'"
	@echo "             ARTIFACTS=folder or bundle to serve or verify  TO=file of the bundle  FLAGS='any option of python -m build'"

artifacts: ## build the artifact store (PROFILE, OUT, CORPUS, COLUMNS)
	@$(READY) "$$python" -m build --profile "$(PROFILE)" --out "$(OUT)" $(OPTIONS)

dashboard: ## serve the artifact store (ARTIFACTS)
	@$(READY) ARTIFACTS="$(ARTIFACTS)" "$$python" -m streamlit run dashboard/Home.py

plan: ## say what `make artifacts` would run, and run nothing
	@$(READY) "$$python" -m build --profile "$(PROFILE)" --out "$(OUT)" $(OPTIONS) --dry-run

verify: ## compare every byte of the store with its manifest (ARTIFACTS)
	@$(READY) "$$python" -m build.verify "$(ARTIFACTS)"

bundle: ## write the store into one file to give away (ARTIFACTS, TO=file.sextant)
	@$(READY) "$$python" -m build.bundle "$(ARTIFACTS)" $(if $(TO),"$(TO)")

test: ## run the tests
	@$(READY) "$$python" -m pytest -n 2 --dist loadgroup

check: ## lint and check types
	@$(READY) "$$python" -m ruff check . && "$$python" -m ruff format --check . && "$$python" -m mypy

bench: ## measure speed on this machine, as ratios
	@$(READY) for script in tests/benchmarks/*.py; do "$$python" "$$script" || exit 1; done

clean: ## remove the artifact store in OUT
	rm -rf "$(OUT)"
