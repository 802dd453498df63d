# For people who work on bilbs; users need only the two commands of the README.
.PHONY: help check test lint rules bench soak packages dist lock

help:           ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/'

check:          ## everything that CI runs
	sh tools/check.sh

test:           ## the tests alone, nothing is installed (T=path to narrow)
	.venv/bin/pytest $(T)

lint:           ## style and types alone
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

rules:          ## write docs/rules/ anew from the rules' docstrings
	.venv/bin/python tools/rule_pages.py

bench:          ## the benchmarks of docs/benchmarks.md (minutes)
	.venv/bin/python tools/bench.py

soak:           ## the long tests: 200 kills, ten times the random input (an hour at most)
	BILBS_SOAK=1 .venv/bin/pytest --timeout=1800 $(T)

packages:       ## the tests of what customers install alone: build it, try it in clean roots, also of Ubuntu (root, 5 minutes)
	. tools/python.sh && apt_install debootstrap lintian systemd-container
	BILBS_SOAK=1 .venv/bin/pytest tests/packages

dist:           ## wheel, sdist, bilbs.pyz, Debian packages, SBOM and SHA256SUMS in dist/ (twice gives the same bytes)
	.venv/bin/python tools/dist.py dist --level 6

lock:           ## refresh requirements-dev.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --group dev pyproject.toml --no-emit-index-url --no-annotate --no-header -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --extra sandbox pyproject.toml --no-emit-index-url --no-annotate --no-header -o requirements.lock
