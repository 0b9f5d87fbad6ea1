#!/bin/sh
# Builds the library for other systems and runs what this one can: unit tests, vectors, layouts and sessions under qemu and
# Wine, and type checks where nothing can be linked. Arguments: some of the names below, or `types` for all type checks, which
# `make test` does; without any, all of them. Says at the end what could not be done, and why. Needs the packages named below
# (Debian), and rustup for the targets' standard libraries; it builds the one of a target for which rustup has none from the
# component rust-src. What a target has built is removed afterwards, unless KEEP=1.
#
# Two targets at a time (LANES): while one waits for its emulator, cargo builds for the other. What a target has printed is shown
# when it has ended, and is in target/cross/NAME.out.
set -u
cd "$(dirname "$0")/.." || exit 1
cargo=${CARGO:-cargo}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}/cross" && cd "${CARGO_TARGET_DIR:-target}/cross" && pwd)
: >"$target/failed"
: >"$target/left-out"
started=$(date +%s)
# Nobody debugs what is built here.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0

# name | target of Rust | C compiler | runner | packages
targets="windows|x86_64-pc-windows-gnu|x86_64-w64-mingw32-gcc|wine|gcc-mingw-w64-x86-64-win32 mingw-w64-x86-64-dev wine64 wine
windows32|i686-pc-windows-gnu|i686-w64-mingw32-gcc|wine32|gcc-mingw-w64-i686-win32 mingw-w64-i686-dev mmdebstrap arch-test
i386|i686-unknown-linux-gnu|i686-linux-gnu-gcc|qemu-i386 -L /usr/i686-linux-gnu|gcc-i686-linux-gnu libc6-dev-i386-cross qemu-user
arm64|aarch64-unknown-linux-gnu|aarch64-linux-gnu-gcc|qemu-aarch64 -L /usr/aarch64-linux-gnu|gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
armhf|armv7-unknown-linux-gnueabihf|arm-linux-gnueabihf-gcc|qemu-arm -L /usr/arm-linux-gnueabihf|gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user
s390x|s390x-unknown-linux-gnu|s390x-linux-gnu-gcc|qemu-s390x -L /usr/s390x-linux-gnu|gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
armel|armv5te-unknown-linux-gnueabi|arm-linux-gnueabi-gcc|qemu-arm -L /usr/arm-linux-gnueabi|gcc-arm-linux-gnueabi libc6-dev-armel-cross qemu-user
ppc64el|powerpc64le-unknown-linux-gnu|powerpc64le-linux-gnu-gcc|qemu-ppc64le -L /usr/powerpc64le-linux-gnu|gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross qemu-user
riscv64|riscv64gc-unknown-linux-gnu|riscv64-linux-gnu-gcc|qemu-riscv64 -L /usr/riscv64-linux-gnu|gcc-riscv64-linux-gnu libc6-dev-riscv64-cross qemu-user
musl|x86_64-unknown-linux-musl|musl-gcc|-|musl-tools"
checked="aarch64-apple-darwin aarch64-apple-ios aarch64-linux-android armv7-linux-androideabi x86_64-unknown-freebsd
	x86_64-pc-windows-msvc"

leave_out() {
	echo "    $1" >>"$target/left-out"
	echo "left out: $1"
}

fail() {
	echo "    $1" >>"$target/failed"
	echo "FAILED: $1"
}

has_target() {
	rustup target list --installed 2>/dev/null | grep -qx "$1" || rustup target add "$1" >/dev/null 2>&1
}

# A compiler that makes empty objects: enough for `cargo check` where C code is compiled on the way.
stub_compiler() {
	mkdir -p "$target/stub"
	cat >"$target/stub/cc" <<-'END'
		#!/bin/sh
		out=""
		while [ $# -gt 0 ]; do
			case $1 in -o) out=$2; shift ;; esac
			shift
		done
		[ -z "$out" ] || : >"$out"
	END
	# shellcheck disable=SC2016 # for the script
	printf '#!/bin/sh\nfor file; do file=${file#-out:}; case $file in *.a) : >"$file" ;; esac; done\n' >"$target/stub/ar"
	chmod +x "$target/stub/cc" "$target/stub/ar"
}

# Wine 8 lacks a DLL that the standard library of Rust takes random bytes from.
bcryptprimitives() {
	cat >"$1/bcryptprimitives.c" <<-'END'
		#include <windows.h>
		BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
		__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }
	END
	"$2" -shared -Wl,--kill-at -o "$1/bcryptprimitives.dll" "$1/bcryptprimitives.c" -ladvapi32
}

# The options for a target whose standard library rustup does not have, if it can be built.
standard_library() {
	build_std=""
	has_target "$1" && return
	[ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] || return 1
	build_std="-Zbuild-std=std,panic_unwind,test"
	export RUSTC_BOOTSTRAP=1
}

# Tests by cargo's runner, once more if they fail: emulators lose a thread or a child now and then.
test_twice() {
	what=$1
	shift
	"$cargo" test --quiet "$@" && return
	echo "$name: $what have failed, and run once more"
	"$cargo" test --quiet "$@" || fail "$name: $what"
}

# The tests of both packages that need no other program.
unit_tests() {
	# shellcheck disable=SC2086 # lists of words
	test_twice "unit tests and vectors" $build_std --lib --test vectors --target "$triple" --target-dir "$target" -- $SKIPPED
	# shellcheck disable=SC2086
	test_twice "unit tests of the Rust package" $build_std --package librtmp --lib --target "$triple" --target-dir "$target" -- $SKIPPED
}

# Programs for the other system with peers of this one. In a process of its own, with which the variables end.
sessions() (
	export "RTMP_CROSS_TARGET=$triple" "RTMP_CROSS_LIBRARY=$library" "RTMP_CROSS_CC=$compiler" "RTMP_CROSS_RUNNER=$runner"
	test_twice sessions --test cross -- --test-threads=1 --nocapture
)

# In a process of its own: variables end with it, and its exit status says whether it passed.
run_target() (
	name=$1 triple=$2 compiler=$3 runner=$4 packages=$5
	command -v "$compiler" >/dev/null || { leave_out "$name: apt-get install $packages"; return; }
	standard_library "$triple" || { leave_out "$name: rustup target add $triple, or rustup component add rust-src"; return; }
	variable=$(echo "$triple" | tr 'a-z-' 'A-Z_')
	export "CARGO_TARGET_${variable}_LINKER=$compiler"
	library=$target/$triple/debug
	case $triple in
	*musl)
		# Debian's libgcc is for glibc, so the unwinder is that of Rust's standard library.
		unwinder=$(rustc --print sysroot)/lib/rustlib/$triple/lib/self-contained/libunwind.a
		mkdir -p "$target/musl-libgcc"
		echo "INPUT($unwinder)" >"$target/musl-libgcc/libgcc_s.so.1"
		RUSTFLAGS="-C target-feature=-crt-static -L native=$target/musl-libgcc" "$cargo" build --quiet --lib --target "$triple" \
			--target-dir "$target/musl-shared" || { fail "$name: build of the shared library"; return; }
		[ -f "$target/musl-shared/$triple/debug/librtmp.so" ] || fail "$name: there is no librtmp.so"
		# That of Debian links a static program with the start code of a dynamic one. Rust brings what static programs need.
		unset "CARGO_TARGET_${variable}_LINKER"
		"$cargo" test --quiet --lib --target "$triple" --target-dir "$target" || fail "$name: unit tests"
		"$cargo" test --quiet --package librtmp --lib --target "$triple" --target-dir "$target" ||
			fail "$name: unit tests of the Rust package"
		"$cargo" build --quiet --lib --target "$triple" --target-dir "$target" || { fail "$name: build"; return; }
		runner=""
		printf '#!/bin/sh\nexec musl-gcc -static "$@" %s\n' "$unwinder" >"$target/musl-static-gcc"
		chmod +x "$target/musl-static-gcc"
		compiler=$target/musl-static-gcc
		sessions
		# The shared library, too.
		compiler=musl-gcc library=$target/musl-shared/$triple/debug
		rm "$library/librtmp.a"
		ln -sf librtmp.so "$library/librtmp.so.1"
		sessions
		;;
	*windows*)
		export WINEDEBUG=-all
		packaging/windows.sh "$cargo" "$target" "${triple%%-*}" release >"$target/$name.log" 2>&1 ||
			{ cat "$target/$name.log"; fail "$name: build"; return; }
		tests=$library library=$target/windows/${triple%%-*}
		if [ "$runner" = wine32 ]; then
			root=${WINE32_ROOT:-$target/wine32}
			if [ "$(id -u)" != 0 ] || ! "$PWD/tests/cross/wine32.sh" "$root" >"$target/wine32.log" 2>&1; then
				leave_out "$name: its tests, which need root, mmdebstrap and arch-test"
				return
			fi
			runner="$PWD/tests/cross/wine32.sh $root"
			server="chroot $root env HOME=/root wineserver"
		else
			command -v wine >/dev/null || { leave_out "$name: its tests, apt-get install $packages"; return; }
			export WINEPREFIX="$target/wine"
			server=wineserver
		fi
		# One server for all programs: it takes longer to start than they, and one that is about to end keeps new ones waiting.
		$runner wineboot >/dev/null 2>&1
		$server --persistent
		trap '$server --kill' EXIT
		mkdir -p "$tests/deps"
		bcryptprimitives "$library" "$compiler"
		cp "$library/bcryptprimitives.dll" "$tests/deps/"
		export "CARGO_TARGET_${variable}_RUNNER=$runner"
		unit_tests
		(
			export "RTMP_TEST_CC=$compiler" "RTMP_TEST_RUNNER=$runner" "RTMP_TEST_LIBRARY=$library/librtmp.dll"
			test_twice "vectors of C programs" --test vectors -- chunk_vectors:: flv_vectors::
		)
		sessions
		;;
	*)
		command -v "${runner%% *}" >/dev/null || { leave_out "$name: its tests, apt-get install $packages"; return; }
		export "CARGO_TARGET_${variable}_RUNNER=$runner"
		RTMP_TEST_CC=$compiler RTMP_TEST_RUNNER=$runner unit_tests
		# Without optimization, which takes longer than all else and shares nothing with the unit tests.
		# shellcheck disable=SC2086
		"$cargo" build --quiet $build_std --lib --target "$triple" --target-dir "$target" || { fail "$name: build"; return; }
		sessions
		;;
	esac
	[ -n "${KEEP:-}" ] || rm -rf "${target:?}/$triple" "$target/musl-shared/$triple"
	echo "done: $name"
)

# Models of threads, files of 64 MiB, a thousand handshakes, mutations, and whatever else repeats a thing thousands of times takes a
# minute each under an emulator, and knows nothing of processors. qemu does not say which interface a socket is bound to, and has no
# netlink.
SKIPPED="--skip model:: --skip _64_mib_ --skip handshakes_never_fail_by_chance --skip by_the_interface_it_is_bound_to
	--skip prefixes_and_changed_bytes --skip mutated_text --skip no_changed_byte --skip sock_diag --skip damaged_replies_never_panic
	--skip output_before_the_damage --skip values_are_few_enough_to_be_kept --skip messages_are_the_same_however_they_arrive
	--skip no_byte_is_lost_or_repeated --skip answers_that_were_sent_do_not_count --skip a_full_queue_drops_old_details"

# Runs the targets that are left in the list. The lock is held while a lane takes one, and while it prints.
lane() {
	while flock 9 && IFS='|' read -r name triple compiler runner packages <&8; do
		flock -u 9
		case $wanted in "  " | *" $name "*) ;; *) continue ;; esac
		begun=$(date +%s)
		run_target "$name" "$triple" "$compiler" "$runner" "$packages" >"$target/$name.out" 2>&1 </dev/null
		flock 9
		cat "$target/$name.out"
		echo "$name: $(($(date +%s) - begun)) s"
		flock -u 9
	done
	flock -u 9
}

wanted=" $* "
echo "$targets" >"$target/targets"
exec 8<"$target/targets"
for _ in $(seq "${LANES:-2}"); do
	# Each needs a lock of its own, which a descriptor that both inherit would not be.
	(exec 9>"$target/lock" && lane) &
done
wait
exec 8<&-

# All at once: cargo compiles for one while it waits for another. Only if that fails, one by one for the name.
check_types() {
	list="" names=""
	for triple in $checked; do
		case $wanted in "  " | *" types "* | *" $triple "*) ;; *) continue ;; esac
		has_target "$triple" || { leave_out "$triple: rustup target add $triple"; continue; }
		under=$(echo "$triple" | tr - _)
		export "CC_$under=$target/stub/cc" "AR_$under=$target/stub/ar"
		list="$list --target $triple" names="$names $triple"
	done
	[ -n "$names" ] || return
	export SDKROOT="$target/stub" # else cc asks xcrun where the SDK of iOS is
	# shellcheck disable=SC2086 # a list of words
	if check_packages $list 2>/dev/null; then together=1; else together=""; fi
	for triple in $names; do
		if [ -n "$together" ] || check_packages --target "$triple"; then
			echo "checked: $triple"
		else
			fail "$triple: type check"
		fi
		[ -n "${KEEP:-}" ] || rm -rf "${target:?}/$triple"
	done
}

check_packages() {
	"$cargo" check --quiet --package librtmp-c --package librtmp --lib --target-dir "$target" "$@"
}

stub_compiler
check_types

seconds=$(($(date +%s) - started))
echo "$((seconds / 60)) min $((seconds % 60)) s; processor time of this shell, and of what it started:"
times
if [ -s "$target/left-out" ]; then
	echo "left out:"
	cat "$target/left-out"
fi
if [ -s "$target/failed" ]; then
	echo "failed:"
	cat "$target/failed"
	exit 1
fi
