#!/bin/sh
# Builds the library without some of its features and tests what is left: no warnings, unit tests, vectors, and sessions of a
# C program. Arguments: sets of features that are joined by + in the order below, `none`, and `embedded` for the small library;
# without any, all of them.
set -u
cd "$(dirname "$0")/.." || exit 1
cargo=${CARGO:-cargo} make=${MAKE:-make}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}/features" && cd "${CARGO_TARGET_DIR:-target}/features" && pwd)
all="tls rtmpe rtmpt swf server"
# The most that a program may take that plays or publishes, without symbols.
limit=700000
failed=""
# Nobody debugs what is built here.
export CARGO_PROFILE_DEV_DEBUG=0

fail() {
	failed="$failed
    $1"
	echo "FAILED: $1"
}

# Runs the sessions of tests/cross with a library of this system: where it is, and its features.
sessions() {
	RTMP_CROSS_TARGET=$(rustc -vV | sed -n 's/^host: //p') RTMP_CROSS_LIBRARY=$1 RTMP_CROSS_CC=cc RTMP_CROSS_FEATURES=$2 \
		"$cargo" test --quiet --test cross -- --nocapture
}

# A build's name, and its features.
test_build() {
	name=$1 features=$2
	set -- --no-default-features --features "$features" --target-dir "$target"
	RUSTFLAGS='-D warnings' "$cargo" build --quiet --lib "$@" || { fail "$name: build"; return; }
	RUSTFLAGS='-D warnings' "$cargo" test --quiet --lib --test vectors "$@" || fail "$name: tests of the C library"
	RUSTFLAGS='-D warnings' "$cargo" test --quiet --package librtmp --lib "$@" || fail "$name: tests of the Rust package"
	sessions "$target/debug" "$features" || fail "$name: sessions"
	echo "done: $name"
}

# Builds the tools with the small library, and says how large they are.
test_embedded() {
	"$make" --no-print-directory embedded FEATURES= || { fail "embedded: build (it needs: rustup component add rust-src)"; return; }
	small=$(cd "${CARGO_TARGET_DIR:-target}/embedded" && pwd)
	sessions "$small" "" || fail "embedded: sessions"
	rm -rf "$target/tools"
	"$make" --no-print-directory -s -C c-examples BUILD="$target/tools" CFLAGS='-Os -ffunction-sections -fdata-sections' \
		CPPFLAGS="-I$PWD/include" LDFLAGS='-no-pie -s -Wl,--gc-sections' LDLIBS="$small/librtmp.a -lpthread -lm -ldl" \
		"$target/tools/receive" "$target/tools/publish" || { fail "embedded: tools"; return; }
	for file in "$target/tools/receive" "$target/tools/publish" "$small/librtmp.so"; do
		echo "$(wc -c <"$file") bytes: ${file##*/}"
	done
	for tool in receive publish; do
		[ "$(wc -c <"$target/tools/$tool")" -lt $limit ] || fail "embedded: $tool is larger than $limit bytes"
	done
	echo "done: embedded"
}

wanted=" $* "
wants() {
	case $wanted in "  " | *" $1 "*) true ;; *) false ;; esac
}

# All sets of features but the whole one, which `make test` tests.
for number in $(seq 0 $(((1 << $(echo "$all" | wc -w)) - 2))); do
	features="" bit=1
	for feature in $all; do
		[ $((number & bit)) = 0 ] || features="$features $feature"
		bit=$((2 * bit))
	done
	features=${features# }
	name=$(echo "${features:-none}" | tr ' ' '+')
	! wants "$name" || test_build "$name" "$features"
done
! wants embedded || test_embedded

if [ -n "$failed" ]; then
	echo "failed:$failed"
	exit 1
fi
