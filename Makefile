# Everything a person needs to type. Targets are explained by the comment above each one.

PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-quick check lock openapi pictures bench clean

# List the targets.
help:
	@awk '/^# /{text=substr($$0,3)} /^[a-z-]+:/{split($$1,name,":"); printf "  make %-11s %s\n", name[1], text}' Makefile

# Install everything into .venv: the package, its checks and tests, and the sample media.
setup: .venv/.ready

.venv/.ready: pyproject.toml requirements/dev.txt requirements/samples.txt examples/node/package-lock.json \
  tests/players/package-lock.json tests/web/package-lock.json modules/package-lock.json hatch_build.py scripts/setup.sh
	PYTHON=$(PYTHON) sh scripts/setup.sh
	@touch $@

# Set up, then turn the sample video into HLS, poster, GIF and transcript in ./demo.
demo: setup
	$(BIN)/python scripts/make_sample.py samples/build/sample.mp4
	$(BIN)/anabranch run samples/build/sample.mp4 -o demo

# Set up, then serve the API at http://127.0.0.1:8000, with everything in ./.anabranch.
serve: setup
	$(BIN)/anabranch serve

# Set up, then run every check and every test.
test: setup check
	$(BIN)/pytest -n 3 --dist worksteal --durations=40 -m "not alone"
	$(BIN)/pytest -m alone

# Set up, then run the tests that take seconds.
test-quick: setup
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow and not alone"

# Lint, format and types.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Pin all requirements anew, after a change of pyproject.toml.
lock: setup
	$(BIN)/uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --upgrade -o requirements/dev.txt
	$(BIN)/uv pip compile -q pyproject.toml -c requirements/dev.txt --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --upgrade -o requirements/run.txt
	$(BIN)/uv pip compile -q --group build -c requirements/dev.txt --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --upgrade -o requirements/build.txt
	$(BIN)/uv pip compile -q requirements/samples.in --no-deps --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url -o requirements/samples.txt
	$(BIN)/uv pip compile -q --group bench -c requirements/dev.txt --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --upgrade -o requirements/bench.txt

# Write docs/openapi.json anew, after a change of the API.
openapi: setup
	$(BIN)/python scripts/write_openapi.py

# Take the pictures of the page that the README shows anew.
pictures: setup
	ANABRANCH_PICTURES=docs/pictures $(BIN)/pytest -q tests/web/test_pictures.py

# Measure, each a little: the engine, the main job and HLS against bare tools, workers, growth, fairness, the server, …
bench: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/main_job.py
	$(BIN)/python benchmarks/hls.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/fairness.py
	$(BIN)/python benchmarks/playable.py
	$(BIN)/python benchmarks/server.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/gif.py
	$(BIN)/python benchmarks/codec_rates.py
	$(BIN)/python benchmarks/scaling.py --quick
	$(BIN)/python benchmarks/scaling.py --compare

# Remove what the other targets made.
clean:
	rm -rf .venv examples/node/node_modules tests/players/node_modules tests/web/node_modules demo samples/build \
	  src/anabranch/web/static/vendor .pytest_cache .mypy_cache .ruff_cache
