# Sextant. `make` alone lists what there is.

PYTHON    ?= python3
PROFILE   ?= default
OUT       ?= artifacts
ARTIFACTS ?= $(OUT)
CORPUS    ?=
COLUMNS   ?=
TO        ?=
# Paths reach the shell through the environment, so that spaces and quotes in them are safe.
export PROFILE OUT ARTIFACTS CORPUS TO
# Installs what is missing and says which Python to go on with.
READY      = python=$$($(PYTHON) -m build.install) &&
OPTIONS    = --profile "$$PROFILE" --out "$$OUT" $${CORPUS:+--corpus "$$CORPUS"} \
             $(foreach pair,$(COLUMNS),--column '$(pair)') $(FLAGS)

.DEFAULT_GOAL := help
.PHONY: help artifacts dashboard test check bench plan verify bundle publish prune clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: PROFILE=default|tiny|arxiv|paper|scaling|your.toml   OUT=folder   CORPUS=file"
	@echo "             COLUMNS='title=heading text=abstract'   ARTIFACTS=folder, bundle or address to serve or verify"
	@echo "             TO=file of the bundle, or where to publish   FLAGS='any option of python -m build'"

artifacts: ## build the artifact store (PROFILE, OUT, CORPUS, COLUMNS, FLAGS)
	@$(READY) "$$python" -m build $(OPTIONS)

dashboard: ## serve the artifact store (ARTIFACTS)
	@$(READY) "$$python" -m streamlit run dashboard/Home.py

plan: ## say what `make artifacts` would run and pay for, and run nothing
	@$(READY) "$$python" -m build $(OPTIONS) --dry-run

verify: ## compare every byte of the store with its manifest (ARTIFACTS)
	@$(READY) "$$python" -m build.verify "$$ARTIFACTS"

bundle: ## write the store into one file to give away (ARTIFACTS, TO=file.sextant)
	@$(READY) "$$python" -m build.bundle "$$ARTIFACTS" $${TO:+"$$TO"}

publish: ## put the store where others open it: hf://datasets/owner/name or a folder (ARTIFACTS, TO; FLAGS=--yes sends)
	@$(READY) "$$python" -m build.publish "$$ARTIFACTS" "$$TO" $(FLAGS)

test: ## run the tests
	@$(READY) OMP_NUM_THREADS=1 "$$python" -m pytest -n 2 # a thread each: more would wait for one another

check: ## lint and check types
	@$(READY) "$$python" -m ruff check . && "$$python" -m ruff format --check . && "$$python" -m mypy

bench: ## measure speed on this machine, as ratios, into docs/benchmarks.md (five minutes)
	@$(READY) "$$python" tests/benchmarks/bench.py

prune: ## remove earlier builds in OUT, all but the last two (FLAGS="--keep 1"), and what only they needed
	@$(READY) "$$python" -m build.prune "$$OUT" $(FLAGS)

clean: ## remove the builds in OUT; what was embedded or harvested is kept in OUT/work/cache
	@rm -rf "$$OUT/CURRENT" "$$OUT/builds" "$$OUT/work/stages" "$$OUT/work/scratch"
