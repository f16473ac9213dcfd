# The two commands of the README, and what they are made of. Needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
HELD_OUT := src/voxcli/sample/speech/audio/vm-newpassword.flac

.DEFAULT_GOAL := help
.PHONY: help quickstart install lint types test clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# pip is upgraded first because --group needs pip 25.1; torch goes first so that a CPU build that is present satisfies the rest.
$(INSTALLED): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q --constraint constraints.txt torch
	$(BIN)/python -m pip install -q --constraint constraints.txt --editable '.[containers]' $(PLUGINS:%=--editable %) --group dev
	@touch $@

install: $(INSTALLED) ## make the environment in .venv and install voxcli into it

# A finished run is not trained again: the second quickstart scores and transcribes what the first one left.
quickstart: $(INSTALLED) ## train on real speech, score, transcribe: five minutes on two cores
	$(BIN)/vox train quickstart --resume
	$(BIN)/vox evaluate runs/quickstart --baseline sample-model --split test --worst 5 --examples 12
	$(BIN)/vox lm build quickstart --out runs/quickstart/words.arpa
	$(BIN)/vox evaluate runs/quickstart --decoder lm --decoder path=runs/quickstart/words.arpa --decoder alpha=0.6 --worst 5
	$(BIN)/vox transcribe $(HELD_OUT) --model runs/quickstart
	@echo
	@echo 'Now yours: $(BIN)/vox transcribe your.wav --model runs/quickstart'
	@echo '           $(BIN)/vox recipe new your-folder/ --task ctc --out yours.toml && $(BIN)/vox train yours.toml'

lint: $(INSTALLED) ## style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED) ## types
	$(BIN)/mypy

test: lint types ## everything that has to hold: style, types, tests
	$(BIN)/pytest -n auto

clean: ## remove the environment and every run
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
