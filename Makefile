# One line a target; the logic is the command `course` (see README, "Without make").
PYTHON ?= python3
BUNDLE ?=
ARGS ?=
CHAPTER ?=
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet $(if $(BUNDLE),--no-index --find-links $(BUNDLE)/wheels) -c constraints.txt
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --jaxtyping-packages=course_lib,beartype.beartype
.PHONY: setup lab test quick lint strip edit save claims bench html lock ci

setup: .venv/learner
.venv/learner: requirements.txt constraints.txt
	$(PYTHON) -m venv .venv && $(PIP) -r requirements.txt && $(BIN)/course data $(if $(BUNDLE),--bundle $(BUNDLE)) && touch $@
.venv/tester: .venv/learner tests/requirements.txt
	$(PIP) -r tests/requirements.txt && touch $@

lab: .venv/learner
	$(BIN)/course lab $(ARGS)
test: .venv/tester
	$(PYTEST) -n 2 --dist worksteal $(ARGS)
quick: .venv/tester lint
	$(PYTEST) -n 2 --dist worksteal -m "not slow and not browser" $(ARGS)
lint: .venv/tester
	$(BIN)/ruff format --check && $(BIN)/ruff check && $(BIN)/lint-imports
strip edit save claims html: .venv/tester
	$(BIN)/course $@ $(CHAPTER) $(ARGS)
bench: .venv/tester
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks $(ARGS)
lock: .venv/tester
	$(BIN)/course lock
ci: lint test
