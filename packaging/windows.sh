#!/bin/sh
# Builds the library for Windows with MinGW, from any system, into TARGET/windows/ARCHITECTURE: librtmp.dll, its import
# library librtmp.dll.a, librtmp.def (from which `lib /def:librtmp.def /machine:x64 /out:rtmp.lib` of MSVC makes an import
# library), and the static library librtmp.a. Arguments: cargo, its target directory, x86_64 or i686, release or dev.
set -eu
cargo=$1 target=$2 architecture=$3 profile=$4
triple=$architecture-pc-windows-gnu
tools=$architecture-w64-mingw32
upper=$(echo "$architecture" | tr '[:lower:]' '[:upper:]')
export "CARGO_TARGET_${upper}_PC_WINDOWS_GNU_LINKER=$tools-gcc"
$cargo build --lib --profile "$profile" --target "$triple" --target-dir "$target"
case $profile in dev) built=$target/$triple/debug ;; *) built=$target/$triple/$profile ;; esac
out=$target/windows/$architecture
mkdir -p "$out"

# What the library exports; programs have to know of variables (listed as B, D or R) that they are no functions.
{
	echo 'LIBRARY librtmp.dll'
	echo EXPORTS
	"$tools-objdump" -p "$built/rtmp.dll" | sed -n 's/^[[:space:]]*\[ *[0-9]*\] \([A-Za-z0-9_]*\)$/\1/p' | grep -v '^rtmp_' |
		while read -r name; do
			if grep -q "^$name [BDR]" tests/abi/symbols.txt; then echo "    $name DATA"; else echo "    $name"; fi
		done
} >"$out/librtmp.def"
libraries=$(sed -n 's/.*set(_librtmp_system \(ws2_32 .*\))$/\1/p' packaging/cmake/librtmp-config.cmake)
# shellcheck disable=SC2046,SC2086 # a list of words
"$tools-gcc" -shared -static-libgcc -s -o "$out/librtmp.dll" "$out/librtmp.def" "$built/librtmp.a" \
	-Wl,--out-implib,"$out/librtmp.dll.a" -Wl,--gc-sections $(printf -- '-l%s ' $libraries)
cp "$built/librtmp.a" "$out/librtmp.a"
ls -l "$out"
