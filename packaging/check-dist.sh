#!/bin/sh
# `make check-dist`: two clones of the commit, in directories of their own, give the same tarball; two users who unpack it in
# directories of their own and build it without a network get the same library. The second user is nobody, if this is root.
set -eu
mkdir -p "$1"
directory=$(cd "$1" && pwd)
cargo=${CARGO:-cargo} make=${MAKE:-make}
work=$(mktemp -d "${TMPDIR:-/tmp}/check-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

for clone in one a-longer-name; do
	git clone --quiet . "$work/$clone"
	(umask 0"$([ $clone = one ] && echo 22 || echo 77)" && cd "$work/$clone" && CARGO=$cargo "$make" -s dist CARGO_TARGET_DIR="$work/$clone/out")
done
cmp "$work"/one/out/dist/librtmp-*.tar.xz "$work"/a-longer-name/out/dist/librtmp-*.tar.xz
(cd "$work/one/out/dist" && sha256sum --check --quiet SHA256SUMS)
echo "the tarballs are equal: $(cd "$work/one/out/dist" && cat SHA256SUMS)"
cp "$work"/one/out/dist/* "$directory/"

# Toolchains of rustup are looked for in the home directory.
export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
build() {
	tar -C "$1" -xf "$work"/one/out/dist/librtmp-*.tar.xz
	cd "$1"/librtmp-*
	HOME="$1" CARGO_HOME="$1/cargo" CARGO_NET_OFFLINE=true "$make" -s build CARGO="$(command -v "$cargo") --offline --locked"
	cp target/release/librtmp.so "$1/"
}
mkdir -p "$work/first" "$work/second/deeper"
(build "$work/first")
if [ "$(id -u)" = 0 ] && setpriv --reuid=nobody --regid=nogroup --clear-groups "$(command -v rustc)" --version >/dev/null 2>&1; then
	chown -R nobody "$work/second"
	user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
else
	user=""
fi
export work cargo make
# shellcheck disable=SC2086 # a list of words
$user sh -euc "$(sed -n '/^build() {/,/^}/p' "$0"); build \"\$work/second/deeper\""
cmp "$work/first/librtmp.so" "$work/second/deeper/librtmp.so"
echo "the libraries are equal${user:+, built by root and by nobody}: $(sha256sum <"$work/first/librtmp.so")"
