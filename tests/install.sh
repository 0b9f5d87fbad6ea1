#!/bin/sh
# Installs what the integration tests need (Debian and Ubuntu), or prints it when it may not.
#
#   librtmp1 librtmp-dev rtmpdump   the original library, its headers and its main program: what ours is compared with
#   nginx libnginx-mod-rtmp ffmpeg  servers, players and publishers of other makes
#   libnginx-mod-stream stunnel4    put TLS in front of a server
#   openssl gnutls-bin              make certificates, and speak TLS as client and server
#   valgrind                        finds memory that is left behind
#   curl                            uses librtmp for rtmp:// URLs
#   libnss-wrapper iproute2         let a program that names its server find this machine instead
#   gcc g++ make                    compile the C test programs and the examples
#   python3 nodejs npm              run the examples in other languages
#   groff-base                      reads the manual
#
# And from the registry of Node's packages, into target/test-tools: koffi, which calls C from there.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/test-tools

packages="librtmp1 librtmp-dev rtmpdump nginx libnginx-mod-rtmp ffmpeg libnginx-mod-stream stunnel4 openssl gnutls-bin valgrind curl libnss-wrapper iproute2 util-linux gcc g++ make groff-base"
command -v python3 >/dev/null || packages="$packages python3"
command -v npm >/dev/null || packages="$packages nodejs npm"

missing=""
for package in $packages; do
	if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
		missing="$missing $package"
	fi
done

# koffi, as c-examples/ffi/package-lock.json has it.
install_koffi() {
	lock=$root/c-examples/ffi/package-lock.json
	if cmp -s "$lock" "$tools/koffi/package-lock.json" && [ -d "$tools/koffi/node_modules/koffi" ]; then
		return
	fi
	rm -rf "$tools/koffi"
	mkdir -p "$tools/koffi" && cp "$root/c-examples/ffi/package.json" "$lock" "$tools/koffi/" &&
		npm --prefix "$tools/koffi" ci --ignore-scripts --no-audit --no-fund --loglevel error && return
	rm -rf "$tools/koffi"
	echo "koffi (npm) could not be fetched"
	# Without it a test is skipped, which a change must not be.
	[ -z "${CI:-}" ]
}

if [ -z "$missing" ]; then
	install_koffi
	echo "everything is installed"
	exit 0
fi

if [ "$(id -u)" = 0 ]; then
	as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root="sudo -n"
else
	echo "please install:$missing"
	echo "    sudo apt-get install --no-install-recommends$missing"
	exit 1
fi

$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing
# nginx must not run by itself: the tests start their own.
$as_root systemctl disable --now nginx 2>/dev/null || true
install_koffi
