# Builds the C library with cargo and installs it where C programs look for it, under the names of ELF systems.
#
#   make                    the libraries, in target/release
#   make demo               streams through the library and leaves receive.flv
#   make test               installs what the tests need if it may, then checks everything
#   make install            prefix=/usr/local, DESTDIR for staging
#   make examples           the C examples, in target/examples
#   make bench              measures the library beside librtmp and FFmpeg, see benches/README.md
#   make headers            writes include/librtmp from src/capi
#   make fuzz               looks for bytes that the library does not survive: TIME=60 seconds for each fuzz target, or
#                           for those in TARGETS
#   make soak               sessions through a bad network for TIME=60 seconds, looking for loss and for leaks; it begins
#                           with a number, and SEED= that number makes its choices again

prefix = /usr/local
exec_prefix = $(prefix)
libdir = $(exec_prefix)/lib
includedir = $(prefix)/include
mandir = $(prefix)/share/man
DESTDIR =

CARGO = cargo
INSTALL = install
# A cargo profile; `dev` for a quick build.
PROFILE = release
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
BUILD_DIR = $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# The soname is the ABI of librtmp 2.4 and never changes. The file behind it adds the version of this package, so that
# the dynamic linker's cache prefers the newer of two releases.
SONAME = librtmp.so.1
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SHARED = $(SONAME).$(VERSION)

HEADERS = rtmp.h amf.h log.h http.h rtmp_sys.h

.PHONY: all bench build demo examples fuzz headers install lint soak test uninstall

all: build

build:
	$(CARGO) build --lib --profile $(PROFILE)

# The examples use the library where it was built, not an installed one.
EXAMPLES = $(TARGET_DIR)/examples

examples: build
	ln -sf librtmp.so '$(BUILD_DIR)/$(SONAME)'
	$(MAKE) -C c-examples BUILD='$(abspath $(EXAMPLES))' CPPFLAGS='-I$(abspath include)' \
		LDLIBS='-L$(abspath $(BUILD_DIR)) -Wl,-rpath,$(abspath $(BUILD_DIR)) -l:$(SONAME)'

demo: examples
	c-examples/demo.sh '$(EXAMPLES)' receive.flv

bench: build
	ROUNDS='$(ROUNDS)' ONLY='$(ONLY)' $(CARGO) bench --bench compare

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

test:
	tests/install.sh
	$(MAKE) lint
	$(CARGO) test --no-fail-fast

headers:
	WRITE_HEADERS=1 $(CARGO) test --test headers committed

# Seconds for `fuzz` and `soak`, fuzz targets, and what watches the memory: `none` is faster.
TIME = 60
TARGETS = $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
SANITIZER = address

# cargo-fuzz asks for options that only unstable compilers have, unless they are told otherwise. What it finds on the
# way goes to the build directory, what breaks something to fuzz/artifacts.
FUZZ = RUSTC_BOOTSTRAP=1 PATH='$(abspath $(TARGET_DIR))/tools/bin':"$$PATH" $(CARGO) fuzz
FUZZ_OPTIONS = --target-dir '$(TARGET_DIR)/fuzz' --sanitizer $(SANITIZER)

fuzz:
	$(FUZZ) --version >/dev/null 2>&1 || $(CARGO) install --locked --root '$(TARGET_DIR)/tools' cargo-fuzz
	set -e; for target in $(TARGETS); do \
		mkdir -p '$(TARGET_DIR)'/corpus/$$target; \
		$(FUZZ) run $(FUZZ_OPTIONS) $$target '$(TARGET_DIR)'/corpus/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(TIME) -timeout=20 -max_len=20000 -print_final_stats=1; \
	done

soak:
	SOAK_SECONDS='$(TIME)' SEED='$(SEED)' $(CARGO) test --release --test soak -- --ignored --nocapture

install: build
	$(INSTALL) -d '$(DESTDIR)$(libdir)/pkgconfig' '$(DESTDIR)$(includedir)/librtmp' '$(DESTDIR)$(mandir)/man3'
	$(INSTALL) -m 755 $(BUILD_DIR)/librtmp.so '$(DESTDIR)$(libdir)/$(SHARED)'
	ln -sf $(SHARED) '$(DESTDIR)$(libdir)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(libdir)/librtmp.so'
	$(INSTALL) -m 644 $(BUILD_DIR)/librtmp.a '$(DESTDIR)$(libdir)/librtmp.a'
	$(INSTALL) -m 644 $(HEADERS:%=include/librtmp/%) '$(DESTDIR)$(includedir)/librtmp/'
	$(INSTALL) -m 644 man/librtmp.3 '$(DESTDIR)$(mandir)/man3/'
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' librtmp.pc.in \
		> '$(DESTDIR)$(libdir)/pkgconfig/librtmp.pc'
	chmod 644 '$(DESTDIR)$(libdir)/pkgconfig/librtmp.pc'

uninstall:
	rm -f '$(DESTDIR)$(libdir)/$(SHARED)' '$(DESTDIR)$(libdir)/$(SONAME)' '$(DESTDIR)$(libdir)/librtmp.so' \
		'$(DESTDIR)$(libdir)/librtmp.a' '$(DESTDIR)$(libdir)/pkgconfig/librtmp.pc' \
		'$(DESTDIR)$(mandir)/man3/librtmp.3' \
		$(HEADERS:%='$(DESTDIR)$(includedir)/librtmp/%')
	-rmdir '$(DESTDIR)$(includedir)/librtmp'
