# Builds the C library with cargo and installs it where C programs look for it, under the names of ELF systems.
#
#   make                    the libraries, in target/release; FEATURES="tls swf" leaves out what it does not name (of tls,
#                           rtmpe, rtmpt, swf and server), FEATURES= leaves out all five
#   make embedded           small libraries for systems with little memory, in target/embedded; FEATURES= as above, but
#                           empty unless it is given. It builds Rust's standard library: rustup component add rust-src
#   make features           tests libraries that leave something out
#   make demo               streams through the library and leaves receive.flv
#   make test               installs what the tests need if it may, then checks everything and sums it up; TESTS= options
#                           of cargo test for some of it
#   make install            prefix=/usr/local, DESTDIR for staging
#   make install PREFIX_SYMBOLS=rs_
#                           a library with rs_ in front of all its symbols, beside which librtmp has a place in the same
#                           program: librs_rtmp.so.1, librs_rtmp.a, librs_rtmp.pc and headers of their own
#   make dist               the source with all crates, for building without a network, and its checksum, in target/dist
#   make check-dist         whether that is the same for another user in another directory, and the library built from it
#   make check-debian       builds the Debian packages in a clean chroot and tries them there, as root; SUITE=bookworm
#   make check-recipes      builds the packages of RPM, Arch, Meson and Conan, of those whose tools are there
#   make windows            librtmp.dll and its import library, in target/windows/x86_64, with MinGW; ARCHITECTURE=i686
#   make install-windows    installs these and the headers in bin, lib and include of prefix
#   make cross              builds for other systems and runs what it can of them; CROSS= some of their names
#   make notice             writes NOTICE, debian/copyright and debian/librtmp1.symbols
#   make examples           the C examples, in target/examples
#   make install-tools      the examples receive, publish, publish_packets and server as rtmp-receive and so on, with
#                           their manual pages; the library has to be installed
#   make bench              measures the library beside librtmp and FFmpeg, see benches/README.md; BASELINE= an earlier
#                           build's librtmp.so.1 for one more column; ONLY=server the server example beside others
#   make headers            writes include/librtmp from src, and the manual pages in man/man3 from include/librtmp
#   make guide              writes the code of c-examples/guide and other files into the chapters of docs/src
#   make fuzz               looks for bytes that the library does not survive: TIME=60 seconds for each fuzz target, or
#                           for those in TARGETS
#   make memcheck           tests C programs under valgrind that `make test` runs without it
#   make soak               more than 4 GiB in each direction, then sessions through a bad network for TIME=60 seconds,
#                           looking for loss and for leaks; it begins with a number, and SEED= that number makes its
#                           choices again. Then sessions in a simulated network for as long, and the schedules of each
#                           model's threads
#   make miri               calls every export with null pointers under Miri, which needs a nightly toolchain that has it
#   make sanitize           tests C programs and the library with sanitizers for memory and undefined behaviour

prefix = /usr/local
exec_prefix = $(prefix)
libdir = $(exec_prefix)/lib
includedir = $(prefix)/include
bindir = $(exec_prefix)/bin
mandir = $(prefix)/share/man
docdir = $(prefix)/share/doc/librtmp
DESTDIR =

CARGO = cargo
INSTALL = install
# A cargo profile; `dev` for a quick build.
PROFILE = release
# Parts of the library, see the features in Cargo.toml. All of them unless some are named.
ifneq ($(origin FEATURES),undefined)
FEATURE_OPTIONS = --no-default-features --features '$(FEATURES)'
endif
NM = nm
OBJCOPY = objcopy
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
BUILD_DIR = $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# What goes in front of every symbol, and of the files' names.
PREFIX_SYMBOLS =
NAME = lib$(PREFIX_SYMBOLS)rtmp

# The soname is the ABI of librtmp 2.4 and never changes. The file behind it adds the first two numbers of this
# package's version, as cargo-c does, so that the dynamic linker's cache prefers the newer of two releases.
SYSTEM := $(shell uname -s)
ifeq ($(SYSTEM),Darwin)
LINK_NAME = $(NAME).dylib
SONAME = $(NAME).1.dylib
SHARED = $(NAME).1.$(VERSION).dylib
else
LINK_NAME = $(NAME).so
SONAME = $(NAME).so.1
SHARED = $(SONAME).$(VERSION)
endif
RELEASE := $(shell sed -n 's/^version = "\([0-9.]*\)"/\1/p' Cargo.toml | head -n 1)
VERSION := $(shell sed -n 's/^version = "\([0-9]*\.[0-9]*\)\..*"/\1/p' Cargo.toml | head -n 1)

# A tarball of `make dist` builds the same library in any directory.
ifneq ($(wildcard vendor),)
export RUSTFLAGS += --remap-path-prefix=$(CURDIR)=/usr/src/librtmp-$(RELEASE)
endif

HEADERS = rtmp.h amf.h log.h http.h enhanced.h loop.h rtmp_sys.h
# For programs written for forks of librtmp.
COMPAT_HEADERS = compat/fields.h compat/calls.h compat/obs.h compat/antmedia.h compat/pili.h
HEADER_DIR = include
MANUAL := $(wildcard man/man3/*.3)
# Headers with a prefix have a directory of their own, since programs include both kinds as librtmp/rtmp.h.
INCLUDED_FROM = $(includedir)$(PREFIX_SYMBOLS:%=/$(NAME))

.PHONY: all bench build check-debian check-dist check-recipes cross demo dist embedded examples features fuzz guide headers install install-tools install-windows lint memcheck miri notice prefixed sanitize soak test uninstall windows

all: build

# Under sudo there may be no cargo: then what was built before is installed.
build:
	if command -v '$(firstword $(CARGO))' >/dev/null || [ ! -e '$(BUILD_DIR)/librtmp.a' ]; then \
		$(CARGO) build --lib --profile $(PROFILE) $(FEATURE_OPTIONS); \
	else echo '$(CARGO) is not there: $(BUILD_DIR) is taken as it is'; fi

ifneq ($(PREFIX_SYMBOLS),)
all install: prefixed
HEADERS += prefix.h
HEADER_DIR = $(PREFIXED)
endif

# The archive with other names in it, and a shared library of that. The compiler replaces names in programs, which
# prefix.h tells it, so that they can be compiled for either library as they are.
PREFIXED = $(BUILD_DIR)/$(NAME)
LIBS_PRIVATE = $(shell sed -n 's/^Libs.private: //p' librtmp.pc.in)

prefixed: build
	case '$(PREFIX_SYMBOLS)' in ''|[0-9]*|*[!A-Za-z0-9_]*) \
		echo 'PREFIX_SYMBOLS has to be the beginning of a C identifier' >&2; exit 1;; esac
	mkdir -p '$(PREFIXED)/librtmp'
	$(NM) -D --defined-only '$(BUILD_DIR)/librtmp.so' | sed 's/.* //' > '$(PREFIXED)/symbols'
	sed 's/.*/& $(PREFIX_SYMBOLS)&/' '$(PREFIXED)/symbols' > '$(PREFIXED)/renamed'
	sed 's/.*/-Wl,-u,$(PREFIX_SYMBOLS)&/' '$(PREFIXED)/symbols' > '$(PREFIXED)/wanted'
	{ echo '{ global:'; sed 's/.*/$(PREFIX_SYMBOLS)&;/' '$(PREFIXED)/symbols'; echo 'local: *; };'; } > '$(PREFIXED)/exported'
	{ echo '/* The symbols of librtmp under the names that they have in $(NAME). */'; \
		sed 's/.*/#define & $(PREFIX_SYMBOLS)&/' '$(PREFIXED)/symbols'; } > '$(PREFIXED)/librtmp/prefix.h'
	for header in $(filter-out prefix.h,$(HEADERS)); do \
		{ echo '#include "prefix.h"'; cat include/librtmp/$$header; } > '$(PREFIXED)'/librtmp/$$header; done
	$(OBJCOPY) --redefine-syms='$(PREFIXED)/renamed' '$(BUILD_DIR)/librtmp.a' '$(PREFIXED).a'
	$(CC) $(LDFLAGS) -shared -o '$(PREFIXED).so' -Wl,-soname,$(SONAME) -Wl,--version-script='$(PREFIXED)/exported' \
		-Wl,--gc-sections -Wl,--strip-debug -Wl,-z,defs '@$(PREFIXED)/wanted' '$(PREFIXED).a' $(LIBS_PRIVATE)

# The examples use the library where it was built, not an installed one.
EXAMPLES = $(TARGET_DIR)/examples

examples: build
	ln -sf librtmp.so '$(BUILD_DIR)/librtmp.so.1'
	$(MAKE) -C c-examples BUILD='$(abspath $(EXAMPLES))' CPPFLAGS='-I$(abspath include)' \
		LDLIBS='-L$(abspath $(BUILD_DIR)) -Wl,-rpath,$(abspath $(BUILD_DIR)) -l:librtmp.so.1'

demo: examples
	c-examples/demo.sh '$(EXAMPLES)' receive.flv

# The peers and the measured program hold up to 5,000 connections each.
bench: build
	ulimit -S -n "$$(ulimit -H -n)" && ROUNDS='$(ROUNDS)' ONLY='$(ONLY)' BASELINE='$(BASELINE)' CHECK='$(CHECK)' \
		$(CARGO) bench --bench $(if $(filter server,$(ONLY)),server,compare)

lint:
	CARGO='$(CARGO)' tests/run.sh lint

# Options for `cargo test`, for example TESTS='--test transport rtmps::'.
TESTS =

test:
	CARGO='$(CARGO)' tests/run.sh $(TESTS)

# The source with the crates that it needs, which builds without a network. Its bytes depend on the commit alone.
DIST_DIR = $(TARGET_DIR)/dist
dist:
	CARGO='$(CARGO)' packaging/dist.sh '$(RELEASE)' '$(DIST_DIR)'

# Makes the tarball twice and the library of each, in other directories and as other users, and compares.
check-dist:
	CARGO='$(CARGO)' MAKE='$(MAKE)' packaging/check-dist.sh '$(DIST_DIR)'

# Of trixie, unless another release is named.
SUITE = trixie
check-debian: dist
	packaging/check-debian.sh '$(DIST_DIR)/librtmp-$(RELEASE).tar.xz' '$(TARGET_DIR)/check-debian' '$(SUITE)'

check-recipes: dist
	packaging/check-recipes.sh '$(DIST_DIR)/librtmp-$(RELEASE).tar.xz' '$(TARGET_DIR)/check-recipes'

# For Windows, with MinGW: ARCHITECTURE=x86_64 or i686.
ARCHITECTURE = x86_64
windows:
	packaging/windows.sh '$(CARGO)' '$(TARGET_DIR)' '$(ARCHITECTURE)' '$(PROFILE)'

# Small libraries. The standard library is built for size, too, and without what prints backtraces and panics, which cargo does
# not offer in stable releases yet. Compilers that do not know how keep the panics' messages.
EMBEDDED = $(TARGET_DIR)/embedded
WITHOUT_MESSAGES = -Z unstable-options -C panic=immediate-abort
embedded: WITHOUT_MESSAGES := $(shell RUSTC_BOOTSTRAP=1 rustc $(WITHOUT_MESSAGES) --print cfg >/dev/null 2>&1 && echo '$(WITHOUT_MESSAGES)')
embedded:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(RUSTFLAGS) -C force-unwind-tables=no $(WITHOUT_MESSAGES)' $(CARGO) build --lib --profile embedded --no-default-features --features '$(FEATURES)' \
		-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size --target $(HOST) --target-dir '$(EMBEDDED)'
	cp '$(EMBEDDED)/$(HOST)/embedded/librtmp.a' '$(EMBEDDED)/$(HOST)/embedded/librtmp.so' '$(EMBEDDED)/'

# Every set of features, and the small libraries.
features:
	CARGO='$(CARGO)' MAKE='$(MAKE)' tests/features.sh $(BUILDS)

# Into bin, lib and include of `prefix`, as MinGW has them.
install-windows: windows
	$(INSTALL) -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(prefix)/lib/pkgconfig' '$(DESTDIR)$(includedir)/librtmp/compat'
	$(INSTALL) -m 755 '$(TARGET_DIR)/windows/$(ARCHITECTURE)/librtmp.dll' '$(DESTDIR)$(bindir)/'
	$(INSTALL) -m 644 $(addprefix '$(TARGET_DIR)/windows/$(ARCHITECTURE)'/,librtmp.dll.a librtmp.a librtmp.def) '$(DESTDIR)$(prefix)/lib/'
	$(INSTALL) -m 644 $(HEADERS:%=include/librtmp/%) '$(DESTDIR)$(includedir)/librtmp/'
	$(INSTALL) -m 644 $(COMPAT_HEADERS:%=include/librtmp/%) '$(DESTDIR)$(includedir)/librtmp/compat/'
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(prefix)/lib|' -e 's|@includedir@|$(includedir)|' \
		-e "s|^Libs.private:.*|Libs.private: $$(sed -n 's/.*set(_librtmp_system \(ws2_32 .*\))$$/\1/p' packaging/cmake/librtmp-config.cmake | sed 's/[^ ]*/-l&/g')|" \
		librtmp.pc.in > '$(DESTDIR)$(prefix)/lib/pkgconfig/librtmp.pc'
	$(INSTALL) -d '$(DESTDIR)$(CMAKE_DIR)'
	$(INSTALL) -m 644 packaging/cmake/*.cmake '$(DESTDIR)$(CMAKE_DIR)/'

# Every other system that this one can build for, and the tests that it can run: see the table in README.md.
cross:
	CARGO='$(CARGO)' tests/cross.sh $(CROSS)

# Licences of everything that is linked in, and debian's lists of them and of the symbols.
notice: build
	WRITE_NOTICE=1 $(CARGO) test --test install packages::

headers:
	WRITE_HEADERS=1 $(CARGO) test --test abi committed_headers
	WRITE_HEADERS=1 $(CARGO) test --test abi committed_manual_pages

guide:
	WRITE_GUIDE=1 $(CARGO) test --test documents code_in_the_guide

# Seconds for `fuzz`, `soak` and each run of random calls in `sanitize`; fuzz targets; the sanitizer; and further options of
# `cargo fuzz`. `none` and --no-trace-compares are for many runs on a corpus that is good already, four times as fast.
TIME = 60
TARGETS = $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
SANITIZER = address
FUZZ_FLAGS =

# cargo-fuzz asks for options that only unstable compilers have, unless they are told otherwise. What it finds on the
# way goes to the build directory, what breaks something to fuzz/artifacts.
FUZZ = RUSTC_BOOTSTRAP=1 PATH='$(abspath $(TARGET_DIR))/tools/bin':"$$PATH" $(CARGO) fuzz
FUZZ_OPTIONS = --target-dir '$(TARGET_DIR)/fuzz' --sanitizer $(SANITIZER) $(FUZZ_FLAGS)

fuzz:
	$(FUZZ) --version >/dev/null 2>&1 || $(CARGO) install --locked --root '$(TARGET_DIR)/tools' cargo-fuzz
	set -e; for target in $(TARGETS); do \
		mkdir -p '$(TARGET_DIR)'/corpus/$$target; \
		$(FUZZ) run $(FUZZ_OPTIONS) $$target '$(TARGET_DIR)'/corpus/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(TIME) -timeout=20 -max_len=4096 -print_final_stats=1; \
	done

# What the calls point to lives until the end.
miri:
	MIRIFLAGS=-Zmiri-ignore-leaks $(CARGO) +nightly miri test --target-dir '$(TARGET_DIR)/miri' --lib nulls

soak:
	SOAK_SECONDS='$(TIME)' SEED='$(SEED)' $(CARGO) test --release --test soak -- --ignored --nocapture
	TIME='$(TIME)' $(CARGO) test --release -p librtmp --test simulation -- --nocapture
	MODEL_TIME='$(TIME)' $(CARGO) test --release --package librtmp-c --package librtmp --lib model::

# Both sides of the C interface with the address sanitizer, and the C side with the one for undefined behaviour, which the
# compiler's runtime has to serve both. Variables stay without it: programs copy them, so they have to keep their sizes.
# Left out is what starts programs that were not built for it, and what is short of memory on purpose.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZED_TESTS = bad_input callbacks careless chunk_vectors connect fast_peers flv_vectors hostile http log publish refusals \
	rtmps session_peer stress swf swf_verification tls_c
UNSANITIZED = librtmps rtmpdump a_real_ leave_no_memory_behind memory_that_cannot_be_had programs_log_in \
	every_ending_of_a_read the_list_of_differences an_exception a_jump server_sanitized thread_sanitizer
SANITIZED_LIBRARY = RTMP_TEST_LIBRARY='$(abspath $(TARGET_DIR))/sanitized/$(HOST)/debug/librtmp.so' \
	RTMP_TEST_CFLAGS='$(SANITIZERS)' RANDOM_CALLS_SECONDS='$(TIME)'

sanitize:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Cllvm-args=-asan-globals=0' \
		$(CARGO) build --lib --target $(HOST) --target-dir '$(TARGET_DIR)/sanitized'
	$(SANITIZED_LIBRARY) $(CARGO) test --no-fail-fast --test compare --test sanitizers -- $(UNSANITIZED:%=--skip %)
	$(SANITIZED_LIBRARY) $(CARGO) test --no-fail-fast --test c_api --test peers --test programs --test transport \
		--test vectors -- $(SANITIZED_TESTS:%=%::) $(UNSANITIZED:%=--skip %)
	RANDOM_CALLS_SECONDS='$(TIME)' $(CARGO) test --test sanitizers thread_sanitizer::

# The other programs of tests/c under valgrind; `make test` runs those of tests/memcheck.rs. Left out is
# what runs on the original, is short of memory, or takes long without valgrind already.
VALGRIND_TESTS = cancel careless chunk_vectors flv_vectors hostile http log swf_verification
SLOW = memory_that_cannot_be_had challenges_that_make_no_sense amf_that_lies ours_reads

memcheck:
	RTMP_TEST_VALGRIND=1 $(CARGO) test --no-fail-fast --test c_api --test peers --test vectors -- \
		$(VALGRIND_TESTS:%=%::) --skip the_original_ --skip on_the_original $(SLOW:%=--skip %)

install: build
	$(INSTALL) -d '$(DESTDIR)$(libdir)/pkgconfig' '$(DESTDIR)$(INCLUDED_FROM)/librtmp'
	$(INSTALL) -m 755 $(BUILD_DIR)/$(LINK_NAME) '$(DESTDIR)$(libdir)/$(SHARED)'
ifeq ($(SYSTEM),Darwin)
	install_name_tool -id '$(libdir)/$(SONAME)' '$(DESTDIR)$(libdir)/$(SHARED)'
endif
	ln -sf $(SHARED) '$(DESTDIR)$(libdir)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(libdir)/$(LINK_NAME)'
	$(INSTALL) -m 644 $(BUILD_DIR)/$(NAME).a '$(DESTDIR)$(libdir)/$(NAME).a'
	$(INSTALL) -m 644 $(HEADERS:%=$(HEADER_DIR)/librtmp/%) '$(DESTDIR)$(INCLUDED_FROM)/librtmp/'
	$(INSTALL) -d '$(DESTDIR)$(INCLUDED_FROM)/librtmp/compat'
	$(INSTALL) -m 644 $(COMPAT_HEADERS:%=include/librtmp/%) '$(DESTDIR)$(INCLUDED_FROM)/librtmp/compat/'
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(INCLUDED_FROM)|' \
		-e 's|^Name: librtmp$$|Name: $(NAME)|' -e 's|-lrtmp$$|-l$(PREFIX_SYMBOLS)rtmp|' librtmp.pc.in \
		> '$(DESTDIR)$(libdir)/pkgconfig/$(NAME).pc'
	chmod 644 '$(DESTDIR)$(libdir)/pkgconfig/$(NAME).pc'
ifeq ($(PREFIX_SYMBOLS),)
	$(INSTALL) -d '$(DESTDIR)$(mandir)/man3' '$(DESTDIR)$(CMAKE_DIR)' '$(DESTDIR)$(docdir)'
	$(INSTALL) -m 644 $(MANUAL) '$(DESTDIR)$(mandir)/man3/'
	$(INSTALL) -m 644 packaging/cmake/*.cmake '$(DESTDIR)$(CMAKE_DIR)/'
	$(INSTALL) -m 644 NOTICE LICENSE-MIT LICENSE-APACHE '$(DESTDIR)$(docdir)/'
endif

CMAKE_DIR = $(prefix)/share/cmake/librtmp

# Built for the library where it is installed, in directories that the linker and the loader look into.
TOOLS = receive publish publish_packets server
TOOLS_DIR = $(TARGET_DIR)/tools-to-install

install-tools: build
	$(MAKE) -C c-examples BUILD='$(abspath $(TOOLS_DIR))' CPPFLAGS='-I$(abspath include)' \
		LDLIBS='-L$(abspath $(BUILD_DIR)) -lrtmp' $(TOOLS:%='$(abspath $(TOOLS_DIR))/%')
	$(INSTALL) -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(mandir)/man1'
	for tool in $(TOOLS); do \
		name=rtmp-$$(echo $$tool | tr _ -); \
		$(INSTALL) -m 755 '$(TOOLS_DIR)'/$$tool '$(DESTDIR)$(bindir)'/$$name && \
		$(INSTALL) -m 644 man/man1/$$name.1 '$(DESTDIR)$(mandir)/man1/' || exit 1; \
	done

uninstall:
	for tool in $(TOOLS); do \
		name=rtmp-$$(echo $$tool | tr _ -); \
		rm -f '$(DESTDIR)$(bindir)'/$$name '$(DESTDIR)$(mandir)/man1'/$$name.1; \
	done
	rm -f '$(DESTDIR)$(libdir)/$(SHARED)' '$(DESTDIR)$(libdir)/$(SONAME)' '$(DESTDIR)$(libdir)/$(LINK_NAME)' \
		'$(DESTDIR)$(libdir)/$(NAME).a' '$(DESTDIR)$(libdir)/pkgconfig/$(NAME).pc' \
		$(HEADERS:%='$(DESTDIR)$(INCLUDED_FROM)/librtmp/%') $(COMPAT_HEADERS:%='$(DESTDIR)$(INCLUDED_FROM)/librtmp/%')
	-rmdir '$(DESTDIR)$(INCLUDED_FROM)/librtmp/compat' '$(DESTDIR)$(INCLUDED_FROM)/librtmp' $(PREFIX_SYMBOLS:%='$(DESTDIR)$(INCLUDED_FROM)')
ifeq ($(PREFIX_SYMBOLS),)
	rm -f $(MANUAL:man/man3/%='$(DESTDIR)$(mandir)/man3/%') '$(DESTDIR)$(docdir)'/NOTICE \
		'$(DESTDIR)$(docdir)'/LICENSE-MIT '$(DESTDIR)$(docdir)'/LICENSE-APACHE '$(DESTDIR)$(CMAKE_DIR)'/librtmp-config.cmake \
		'$(DESTDIR)$(CMAKE_DIR)'/librtmp-config-version.cmake
	-rmdir '$(DESTDIR)$(docdir)' '$(DESTDIR)$(CMAKE_DIR)'
endif
