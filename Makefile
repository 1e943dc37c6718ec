# The front door. Every target prints the commands that it runs; `make help` lists the targets.
#
#   PRESET=debug|asan|ci   another build, in build-$(PRESET)    ARGS="..."   flags for the program

PRESET ?= release
ARGS ?=
BUILD := $(if $(filter release,$(PRESET)),build,build-$(PRESET))
FATHOM := $(BUILD)/fathom
PROGRAMS = find src tests fuzz -name '*.h' -o -name '*.cpp'

.DEFAULT_GOAL := build
.PHONY: build packages configure all demo test long-test vectors bench fuzz format lint help

build: configure ## install what is missing, configure, build the program (the default)
	cmake --build --preset $(PRESET) --target fathom

packages:
	scripts/install_packages.sh scripts/packages.txt

configure: packages
	cmake --preset $(PRESET)

all: configure
	cmake --build --preset $(PRESET)

demo: build ## the whole story on generated data: pretrain, tune, reinforce, examine, chat
	$(FATHOM) demo $(ARGS)

test: all ## unit tests, checks of the sources, end-to-end scripts
	ctest --preset $(PRESET) --no-label-summary

long-test: build ## the tests that take minutes each, one line of result per test
	scripts/run_long_tests.sh $(BUILD)

vectors: ## remake tests/vectors with the published implementations (Python; ARGS: names of cases)
	python=$$(tests/reference/setup.sh $(FATHOM_REFERENCE_VENV)) && \
	  PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 $$python/bin/python tests/reference/make_vectors.py $(ARGS)

bench: build ## speed of each kernel against this machine's ceilings
	$(FATHOM) bench $(ARGS)

fuzz: ## look for inputs that break readers of foreign bytes, a minute each; ARGS="SECONDS [TARGET...]" (Clang)
	scripts/install_packages.sh scripts/packages.txt scripts/packages-develop.txt
	cmake --preset fuzz
	cmake --build --preset fuzz
	scripts/fuzz.sh build-fuzz $(or $(ARGS),60)

format: ## rewrite our sources with clang-format 14
	scripts/install_packages.sh scripts/packages-develop.txt
	$(PROGRAMS) | xargs clang-format-14 -i

lint: ## layering, file sizes, formatting, clang-tidy 14
	scripts/install_packages.sh scripts/packages.txt scripts/packages-develop.txt
	scripts/check_includes.sh
	scripts/check_file_sizes.sh
	$(PROGRAMS) | xargs clang-format-14 --dry-run -Werror
	cmake --preset debug
	scripts/tidy.sh build-debug

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo '  PRESET=debug|asan|ci builds in build-PRESET; ARGS="..." are flags for the program'
