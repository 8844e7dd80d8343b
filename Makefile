# One line a target; the logic is the command `course` (see README, "Without make").
PYTHON ?= python3
BUNDLE ?=
ARGS ?=
CHAPTER ?=
BIN := .venv/bin
PIP := $(BIN)/pip install -c constraints.txt $(if $(BUNDLE),--no-index --find-links $(BUNDLE)/wheels)
DATA := $(BIN)/course data $(if $(BUNDLE),--bundle $(BUNDLE))
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --jaxtyping-packages=course_lib,beartype.beartype
TWO := -n 2 --dist worksteal
WRONG := This Python is not 3.11, 3.12 or 3.13. Name one: make setup PYTHON=python3.11
.PHONY: setup lab test quick lint strip edit save claims weights bench gate gpu lock html index pictures clean ci

setup: .venv/data
.venv/data: .venv/learner
	$(DATA) && touch $@
.venv/learner: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("$(WRONG)")'
	$(PYTHON) -m venv .venv && $(PIP) -r requirements.txt && touch $@
.venv/tester: .venv/data tests/requirements.txt
	$(PIP) --quiet -r tests/requirements.txt && touch $@

lab: .venv/data
	$(BIN)/course lab $(ARGS)
test: .venv/tester
	$(PYTEST) $(TWO) $(ARGS)
quick: .venv/tester lint
	$(PYTEST) $(TWO) -m "not slow and not browser" $(ARGS)
lint: .venv/tester
	$(BIN)/ruff format --check && $(BIN)/ruff check && $(BIN)/lint-imports
strip edit save claims html index: .venv/tester
	$(BIN)/course $@ $(CHAPTER) $(ARGS)
weights: .venv/tester
	$(BIN)/course weights $(ARGS)
bench: .venv/tester
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks $(ARGS)
gate: .venv/tester
	$(BIN)/python -m kernels.gate $(ARGS)
gpu: # installs nothing
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m tests.benchmarks.gpu $(ARGS)
pictures: .venv/tester
	$(BIN)/python tests/course/pictures.py
lock: .venv/tester
	$(BIN)/course lock
clean:
	$(BIN)/course clean $(ARGS)
ci: lint test
