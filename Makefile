# make say   speak (the first time it installs, into .venv)
# make test  install what the tests need and run them all
# `make help` lists the rest.

# The first Python that runs and is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
COSY := $(BIN)/cosy

export TEXT ?= Hello! I am cosyd, and I speak as soon as you ask.
export VOICE ?=
export OUT ?=

.PHONY: help say test needs lint bench quality clean daemon-start daemon-stop daemon-status

help:
	@echo 'make say [TEXT="…"] [VOICE=af_heart] [OUT=file.wav]   speak; with OUT, or without a sound device, write a WAV'
	@echo 'make test                     run all tests'
	@echo 'make lint                     ruff and mypy'
	@echo 'make bench                    measure speed; table and bench/results/*.json'
	@echo 'make quality                  measure word error rates with Whisper'
	@echo 'make daemon-start | daemon-stop | daemon-status'

# Debian's python3 may come without ensurepip: then the system's pip installs into the venv.
$(BIN)/python:
	@[ -n "$(PYTHON)" ] || \
	  { echo "cosyd needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV); }

# A variable, because a comma in a call's argument would end it.
DEV := -e '.[kokoro,cosyvoice2,dev]'

define install
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $(BIN)/python -m pip install --disable-pip-version-check $(1); \
	else \
	  $(PYTHON) -m pip --python $(BIN)/python install --disable-pip-version-check $(1); \
	fi
	@touch $@
endef

$(VENV)/.kokoro: pyproject.toml | $(BIN)/python
	@echo "Installing cosyd and its Kokoro voices into $(VENV) (once, some 500 MB) …"
	$(call install,-e '.[kokoro]')

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing cosyd with what its tests need into $(VENV) (once) …"
	$(call install,$(DEV))
	@touch $(VENV)/.kokoro

say: $(VENV)/.kokoro
	@set --; \
	if [ -n "$$VOICE" ]; then set -- "$$@" --voice "$$VOICE"; fi; \
	if [ -n "$$OUT" ]; then set -- "$$@" --output "$$OUT"; else set -- "$$@" --or-output cosyd.wav; fi; \
	$(COSY) say "$$@" -- "$$TEXT" && if [ -n "$$OUT" ]; then echo "$$OUT"; fi

# What the tests of sound, of systemd and of launchd's call run for real.
SYSTEM := pulseaudio pulseaudio-utils libasound2-plugins libportaudio2 alsa-utils \
  systemd dbus-user-session gcc libc6-dev
APT := apt-get install -y --no-install-recommends

needs:
	@command -v dpkg-query >/dev/null || exit 0; missing=; for p in $(SYSTEM); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || \
	  missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then echo "Installing$$missing …"; \
	  apt-get -qq update && $(APT) -qq $$missing >/dev/null && exit 0; fi; \
	echo "Tests that need$$missing will skip; as root: $(APT)$$missing"

test: $(VENV)/.dev needs
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m bench.speed

quality: $(VENV)/.dev
	$(BIN)/python -m bench.quality

daemon-start daemon-stop daemon-status: daemon-%: $(VENV)/.kokoro
	@$(COSY) daemon $*

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
