#!/bin/sh
# Builds the library for other systems and runs what this one can: unit tests, layouts and sessions under qemu and Wine, and
# type checks where nothing can be linked. Arguments: some of the names below; without any, all of them. Says at the end
# what could not be done, and why. Needs the packages in `needs` (Debian), and rustup for the targets' standard libraries.
set -u
cd "$(dirname "$0")/.." || exit 1
cargo=${CARGO:-cargo}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}/cross" && cd "${CARGO_TARGET_DIR:-target}/cross" && pwd)
failed="" left_out=""
started=$(date +%s)

# name | target of Rust | C compiler | runner | packages
targets="windows|x86_64-pc-windows-gnu|x86_64-w64-mingw32-gcc|wine|gcc-mingw-w64-x86-64-win32 mingw-w64-x86-64-dev wine64 wine
windows32|i686-pc-windows-gnu|i686-w64-mingw32-gcc|wine32|gcc-mingw-w64-i686-win32 mingw-w64-i686-dev mmdebstrap
i386|i686-unknown-linux-gnu|i686-linux-gnu-gcc|qemu-i386 -L /usr/i686-linux-gnu|gcc-i686-linux-gnu libc6-dev-i386-cross qemu-user
arm64|aarch64-unknown-linux-gnu|aarch64-linux-gnu-gcc|qemu-aarch64 -L /usr/aarch64-linux-gnu|gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
armhf|armv7-unknown-linux-gnueabihf|arm-linux-gnueabihf-gcc|qemu-arm -L /usr/arm-linux-gnueabihf|gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user
s390x|s390x-unknown-linux-gnu|s390x-linux-gnu-gcc|qemu-s390x -L /usr/s390x-linux-gnu|gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
ppc64el|powerpc64le-unknown-linux-gnu|powerpc64le-linux-gnu-gcc|qemu-ppc64le -L /usr/powerpc64le-linux-gnu|gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross qemu-user
riscv64|riscv64gc-unknown-linux-gnu|riscv64-linux-gnu-gcc|qemu-riscv64 -L /usr/riscv64-linux-gnu|gcc-riscv64-linux-gnu libc6-dev-riscv64-cross qemu-user
musl|x86_64-unknown-linux-musl|musl-gcc|-|musl-tools"
checked="aarch64-apple-darwin aarch64-apple-ios aarch64-linux-android x86_64-unknown-freebsd"

leave_out() {
	left_out="$left_out
    $1"
	echo "left out: $1"
}

fail() {
	failed="$failed
    $1"
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
	printf '#!/bin/sh\nfor file; do case $file in *.a) : >"$file" ;; esac; done\n' >"$target/stub/ar"
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

run_target() {
	name=$1 triple=$2 compiler=$3 runner=$4 packages=$5
	command -v "$compiler" >/dev/null || { leave_out "$name: apt-get install $packages"; return; }
	has_target "$triple" || { leave_out "$name: rustup target add $triple"; return; }
	variable=$(echo "$triple" | tr 'a-z-' 'A-Z_')
	export "CARGO_TARGET_${variable}_LINKER=$compiler"
	case $triple in
	*musl)
		RUSTFLAGS='-C target-feature=-crt-static' nice "$cargo" build --quiet --lib --target "$triple" \
			--target-dir "$target/musl-shared" || { fail "$name: build of the shared library"; return; }
		[ -f "$target/musl-shared/$triple/debug/librtmp.so" ] || fail "$name: there is no librtmp.so"
		nice "$cargo" test --quiet --lib --target "$triple" --target-dir "$target" || fail "$name: unit tests"
		nice "$cargo" build --quiet --lib --target "$triple" --target-dir "$target" || { fail "$name: build"; return; }
		library=$target/$triple/debug runner=""
		printf '#!/bin/sh\nexec musl-gcc -static "$@" -lgcc_eh\n' >"$target/musl-static-gcc"
		chmod +x "$target/musl-static-gcc"
		compiler=$target/musl-static-gcc
		;;
	*windows*)
		nice packaging/windows.sh "$cargo" "$target" "${triple%%-*}" release >"$target/$name.log" 2>&1 ||
			{ cat "$target/$name.log"; fail "$name: build"; return; }
		library=$target/windows/${triple%%-*}
		if [ "$runner" = wine32 ]; then
			root=${WINE32_ROOT:-$target/wine32}
			[ "$(id -u)" = 0 ] && "$PWD/tests/cross/wine32.sh" "$root" >"$target/wine32.log" 2>&1 || {
				leave_out "$name: its tests, which need root and mmdebstrap"
				return
			}
			runner="$PWD/tests/cross/wine32.sh $root"
		else
			command -v wine >/dev/null || { leave_out "$name: its tests, apt-get install $packages"; return; }
		fi
		bcryptprimitives "$library" "$compiler"
		;;
	*)
		# Without optimization, which takes longer than all else and shares nothing with the unit tests.
		nice "$cargo" build --quiet --lib --target "$triple" --target-dir "$target" || { fail "$name: build"; return; }
		library=$target/$triple/debug
		command -v "${runner%% *}" >/dev/null || { leave_out "$name: its tests, apt-get install $packages"; return; }
		export "CARGO_TARGET_${variable}_RUNNER=$runner"
		# shellcheck disable=SC2086 # a list of words
		nice "$cargo" test --quiet --lib --target "$triple" --target-dir "$target" -- $SKIPPED || fail "$name: unit tests"
		# shellcheck disable=SC2086
		nice "$cargo" test --quiet --package librtmp --lib --target "$triple" --target-dir "$target" -- $SKIPPED ||
			fail "$name: unit tests of the Rust package"
		;;
	esac
	RTMP_CROSS_TARGET=$triple RTMP_CROSS_LIBRARY=$library RTMP_CROSS_CC=$compiler RTMP_CROSS_RUNNER=$runner \
		nice "$cargo" test --quiet --test cross -- --test-threads=1 --nocapture || fail "$name: sessions"
	echo "done: $name"
}

# Models of threads, files of 64 MiB and a thousand handshakes take minutes each under an emulator, and know nothing of
# processors. qemu does not say which interface a socket is bound to.
SKIPPED="--skip model:: --skip _64_mib_ --skip handshakes_never_fail_by_chance --skip by_the_interface_it_is_bound_to"

wanted=" $* "
echo "$targets" >"$target/targets"
while IFS='|' read -r name triple compiler runner packages; do
	case $wanted in "  " | *" $name "*) run_target "$name" "$triple" "$compiler" "$runner" "$packages" </dev/null ;; esac
done <"$target/targets"

stub_compiler
for triple in $checked; do
	case $wanted in "  " | *" $triple "*) ;; *) continue ;; esac
	has_target "$triple" || { leave_out "$triple: rustup target add $triple"; continue; }
	under=$(echo "$triple" | tr - _)
	export "CC_$under=$target/stub/cc" "AR_$under=$target/stub/ar"
	for package in librtmp-c librtmp; do
		nice "$cargo" check --quiet --package "$package" --lib --target "$triple" --target-dir "$target" ||
			{ fail "$triple: type check of $package"; continue 2; }
	done
	echo "checked: $triple"
done

seconds=$(($(date +%s) - started))
echo "$((seconds / 60)) min $((seconds % 60)) s"
[ -z "$left_out" ] || echo "left out:$left_out"
if [ -n "$failed" ]; then
	echo "failed:$failed"
	exit 1
fi
