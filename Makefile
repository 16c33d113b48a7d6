# Needs python3 (3.10 or newer) and make. Everything else lives in .venv, made on first use and again when pyproject.toml
# changes.

PYTHON ?= python3
JOBS ?= 3

BIN := .venv/bin
MIGRATIONS := $(filter-out %.rollback.sql,$(wildcard db/core/migrations/*.sql) $(wildcard db/budgets/migrations/*.sql))
SOURCES := $(wildcard db/*/functions) $(wildcard db/*/interim) $(wildcard db/*/views)

# The embedded server reads these two.
export PG PG_BIN
# What each of many processes would compile anew is kept, in __pycache__.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test proof mutants soak coverage coverage-sql coverage-python check bench clean

help: ## Show this help
	@awk -F ': .*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  PG=16|18 or PG_BIN=/usr/lib/postgresql/15/bin chooses the server of demo and test (default 18).'

demo: .venv/with-demo ## See the race and its end on a PostgreSQL of its own, or on yours: DSN=postgresql://...
	@$(BIN)/pgbudget demo $(if $(DSN),--dsn '$(value DSN)')

PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

test: .venv/with-test ## Show that all of it works here, in five minutes; T='-k name' passes options to pytest, JOBS=4 runs wider
	$(PYTEST) -m 'not proof' --durations 10 $(T)

# What each part of it runs is below. `proof-depth` has what `test` leaves out, but for what Python's coverage runs whole;
# the other parts run tests again, on other servers and with other series.
PROOF := proof-depth coverage proof-16 proof-budgets proof-slots

# On two cores: the tests of these wait as much as they compute.
proof-depth coverage-python proof-slots: JOBS = 4

proof: .venv/with-test ## Run all the rest, in some twenty minutes: mutants, histories, faults, PostgreSQL 15 and 16, the other series
	@[ -x $(WITH_PROFILER)/postgres ] || { echo 'It needs PostgreSQL 15 in $(WITH_PROFILER) too, with plpgsql_check.' >&2; exit 1; }
	@. tests/parts.sh; for part in $(PROOF); do part $$part $(MAKE) --no-print-directory $$part; done

proof-depth: .venv/with-test
	$(PYTEST) -m proof --durations 10 $(addprefix --ignore=,$(PYTHON_TESTS)) $(T)

proof-16: .venv/with-test
	PG=16 $(PYTEST) tests/sql tests/security $(T)

# The suites that both series have, with the other one, the longest tests first; then with the room of the day spread over
# slots what else meets that: faults, the driver and the command line.
proof-budgets: .venv/with-test
	SERIES=budgets HISTORIES=500 $(PYTEST) tests/model tests/concurrency tests/security tests/checkers tests/routing tests/sql $(T)

proof-slots: .venv/with-test
	SERIES=budgets SLOTS=4 $(PYTEST) tests/faults $(addprefix tests/driver/test_,$(addsuffix .py,async budget connections hold)) \
	    $(addprefix tests/cli/test_,$(addsuffix .py,cli doctor holds limits spend watch)) $(T)

mutants: .venv/with-test ## Make some 200 mistakes in the SQL, one at a time, and show which test notices each; T=-v shows what it says
	$(PYTEST) tests/mutants $(T)

# The figures are committed: what the documents say of the load they took from there.
HISTORIES ?= 100000
SECONDS ?= 120

soak: .venv/with-test ## Put 64 clients on it for 120 s, then run 100,000 random histories (50 min on 2 cores); SECONDS=30 HISTORIES=2000 for less, SERIES=budgets SLOTS=16 for that series
	$(BIN)/python -m tests.concurrency.soak --seconds $(SECONDS) --json docs/bench/soak$(addprefix -,$(filter-out core,$(SERIES))).json
	HISTORIES=$(HISTORIES) $(BIN)/python -m pytest -n $(JOBS) -o faulthandler_timeout=0 tests/concurrency/histories $(T)

coverage: coverage-sql coverage-python ## Show what the tests run of the PL/pgSQL, on PostgreSQL 15 with plpgsql_check, and of the Python

coverage-sql: .venv/with-test
	rm -rf build/coverage/sql
	PG_BIN=$(WITH_PROFILER) PLPGSQL_COVERAGE=build/coverage/sql/core $(PYTEST) $(SQL_TESTS)
	PG_BIN=$(WITH_PROFILER) PLPGSQL_COVERAGE=build/coverage/sql/budgets $(PYTEST) tests/budgets
	PG_BIN=$(WITH_PROFILER) PLPGSQL_COVERAGE=build/coverage/sql/budgets SERIES=budgets $(PYTEST) $(BORDER_TESTS)
	$(BIN)/python -m tests.checkers.coverage core build/coverage/sql
	$(BIN)/python -m tests.checkers.coverage budgets build/coverage/sql/budgets

coverage-python: .venv/with-test
	mkdir -p build/coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadgroup $(PYTHON_TESTS) $(BORDERS_OF_PYTHON) $(addprefix --ignore=,$(TYPING))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# What has to be run to run all of the one and of the other.
WITH_PROFILER := /usr/lib/postgresql/15/bin
SQL_TESTS := tests/sql tests/routing tests/security tests/checkers
SQL_TESTS += $(addprefix tests/concurrency/test_,same_id.py escalation_race.py)
SQL_TESTS += tests/migration/test_adoption.py tests/migration/test_live.py tests/migration/test_preflight.py
BORDER_TESTS := $(addprefix tests/border/test_,trigger_that_swallows_or_moves_the_row.py row_of_the_year_294276.py)
SQL_TESTS += $(BORDER_TESTS)
PYTHON_TESTS := tests/driver tests/cli tests/embedded tests/replay tests/report
TYPING := tests/driver/test_typing.py # which has mypy read the driver, and runs nothing of it
BORDERS_OF_PYTHON := $(addprefix tests/border/test_,one_idle_transaction_holds_up_everybody.py one_odd_row_hides_the_others.py)
BORDERS_OF_PYTHON += tests/border/test_restored_dump_locks_callers_out.py

check: .venv/with-check ## Check style, types, SQL and that the migrations hold what the function files say
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint $(SOURCES)
	$(BIN)/squawk $(MIGRATIONS)
	$(BIN)/pgspot --append $(PGSPOT) $(MIGRATIONS)
	$(BIN)/python db/compile.py check

# pgspot reads no PL/pgSQL that assigns to a composite variable. What is left to it: every function pins its search_path.
PGSPOT := --no-plpgsql
# IF NOT EXISTS and OR REPLACE: a migration that was cut short runs again. The schema is ours, and nobody else creates in it.
PGSPOT += --ignore PS002 --ignore PS010 --ignore PS012 --ignore PS014 --ignore PS015

bench: .venv/with-bench ## Measure what calls cost, in rounds against the handover's function; A=--quick or A='--only budgets' is sooner
	$(BIN)/python -m tests.bench $(A)

clean: ## Remove .venv and all that was generated
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

EXTRAS_demo := cli,embedded
EXTRAS_test := cli,embedded,bench,test
EXTRAS_bench := cli,embedded,bench
EXTRAS_check := dev

.venv/with-%: .venv/made
	@echo 'Installing pgbudget[$(EXTRAS_$*)] into .venv (once, about a minute)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS_$*)]'
	@touch $@

.venv/made: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo 'pgbudget needs Python 3.10 or newer; if you have one beside this, run make PYTHON=/path/to/it.' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo 'Python cannot make virtual environments here: install its venv module (Debian, Ubuntu: apt install python3-venv).' >&2; exit 1; }
	@echo 'Making .venv (once)'
	@$(PYTHON) -m venv --clear .venv
	@touch $@
