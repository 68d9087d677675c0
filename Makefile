# make site   set up what is missing, run the study, render the website into _site/
# make test   set up what is missing, check the code, run the tests

PYTHON ?= python3
PROFILE ?=
QUARTO := $(shell sed -n 's/^quarto-cli==\([0-9.]*\).*/\1/p' quarto.txt)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: site test setup check system clean

site: setup
	python -m analysis $(if $(PROFILE),--profile $(PROFILE))
	python -m report

# Two processes share the tests; tests/sharing.py says which of them stay together.
test: setup system check
	python -m pytest -n 2 --cov --cov-report=term:skip-covered

setup: .venv/installed .venv/quarto

check:
	ruff format --check .
	ruff check .
	mypy
	jactionlint --strict-exit --no-online --shellcheck= --pyflakes= .github/workflows/*.yml

# Browser, virtual display and the like: through apt where that is possible, else their tests skip.
system:
	@tests/install-system-packages

.venv/installed: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11; name another one: make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		-r constraints.txt
	touch $@

# Where Quarto is missing, the quarto-cli package is installed, whose set-up downloads that version of
# Quarto from its publisher's releases. It is tried once; Pandoc stands in without it.
.venv/quarto: | .venv/installed
	@command -v quarto >/dev/null || { \
		echo "installing Quarto $(QUARTO) from the package quarto-cli, which downloads it"; \
		timeout 300 $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes \
			-r quarto.txt && quarto --version; } || \
		echo "Quarto cannot be installed here; the site will be rendered by Pandoc instead."
	@touch $@

clean:
	rm -rf _site report/studies/*/ index.ipynb
