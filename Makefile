# SPDX-License-Identifier: MIT
# What there is to do here, in one word each. Meson does the work, in build/.

BUILD ?= build
MESON_ARGS ?=

.PHONY: all help demo test quick bench conformance e2e sanitize stress fuzz install clean
.DEFAULT_GOAL := all

help:
	@echo "make              build everything, in $(BUILD)/"
	@echo "make demo         run an example and show what it made"
	@echo "make test         run every test; ends with one line of counts"
	@echo "make quick        the tests that need no other packages, in seconds"
	@echo "make conformance  the Linux kernel's own selftests of iommufd and VFIO"
	@echo "make e2e          QEMU with our NVMe controller, behind each virtual IOMMU"
	@echo "make sanitize     the tests under ASan+UBSan, then under TSan"
	@echo "make stress       the stress tests, at length"
	@echo "make fuzz         the fuzzers, a minute each (FUZZ_SECONDS=n)"
	@echo "make bench        figures, each beside its floor"
	@echo "make install      into PREFIX (default /usr/local); DESTDIR is honoured"
	@echo "make clean        remove what was built"

$(BUILD)/build.ninja:
	@devtools/setup.sh build
	@meson setup $(MESON_ARGS) $(BUILD) >$(BUILD).log 2>&1 || \
		{ cat $(BUILD).log; echo "meson could not configure $(BUILD)/"; exit 1; }
	@rm -f $(BUILD).log

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

demo: all
	@examples/demo.sh $(BUILD)

test: setup-test all
	@tests/run.py $(BUILD)

quick: all
	@tests/run.py $(BUILD) --suite unit --suite sweep --suite fuzz --suite stress --suite examples

conformance: setup-test all
	@tests/conformance/run.sh $(BUILD)/tools/softiommu

e2e: setup-test all
	@tests/e2e/run.sh $(BUILD)/tools/softiommu

sanitize: setup-test
	@devtools/sanitize.sh

stress: all
	@tests/run.py $(BUILD) --suite stress --long

fuzz:
	@devtools/setup.sh fuzz
	@devtools/fuzz.sh

bench: all
	@bench/run.sh $(BUILD)

PREFIX ?= /usr/local
install: all
	@meson configure $(BUILD) --prefix $(abspath $(PREFIX))
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	@rm -rf $(BUILD) $(BUILD)-*

.PHONY: setup-test
setup-test:
	@devtools/setup.sh test
