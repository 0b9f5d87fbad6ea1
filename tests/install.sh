#!/bin/sh
# Installs what the integration tests need (Debian and Ubuntu), or prints it when it may not.
#
#   librtmp1 librtmp-dev rtmpdump   the original library, its headers and its main program: what ours is compared with
#   nginx libnginx-mod-rtmp ffmpeg  servers, players and publishers of other makes
#   libnginx-mod-stream stunnel4    put TLS in front of a server
#   openssl gnutls-bin              make certificates, and speak TLS as client and server
#   microsocks tinyproxy            proxies to connect through
#   valgrind                        finds memory that is left behind, and access to what is not a program's
#   curl libcurl3-gnutls libcurl3-nss gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-tools
#   python3-librtmp                 use librtmp
#   ruby-ffi                        calls librtmp from Ruby
#   libnss-wrapper iproute2         let a program that names its server find this machine instead
#   gcc g++ clang make pkg-config   compile the C test programs and the examples
#   tshark                          shows what is on the wire
#   abigail-tools binutils          compare the ABI with the original's
#   groff-base                      reads the manual
#   nodejs npm                      run two RTMP servers, one of which speaks RTMPE and RTMPT, and the example for Node
#   python3 python3-pip             fetch and unpack an ffmpeg that speaks RTMPE, and run the example for Python
#   python3-dev                     compile python-librtmp
#   libssl-dev                      builds cargo-c, which installs C libraries that are written in Rust
#
# What the last four are for comes from the registries of their languages, into target/test-tools and nowhere else.
set -eu

packages="librtmp1 librtmp-dev rtmpdump nginx libnginx-mod-rtmp ffmpeg libnginx-mod-stream stunnel4 openssl gnutls-bin \
	microsocks tinyproxy valgrind curl libcurl3-gnutls libcurl3-nss gstreamer1.0-plugins-bad gstreamer1.0-plugins-good \
	gstreamer1.0-tools python3-librtmp ruby-ffi \
	libnss-wrapper iproute2 util-linux gcc g++ clang make pkg-config abigail-tools binutils groff-base libssl-dev tshark"
command -v npm >/dev/null || packages="$packages nodejs npm"
python3 -m pip --version >/dev/null 2>&1 || packages="$packages python3 python3-pip"
# python-librtmp is compiled.
command -v python3-config >/dev/null || packages="$packages python3-dev"

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/test-tools

install_packages() {
	missing=""
	for package in $packages; do
		if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
			missing="$missing $package"
		fi
	done
	if [ -z "$missing" ]; then
		return
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
}

# node-rtsp-rtmp-server and node-media-server, as tests/node/package-lock.json has them.
install_node_servers() {
	if cmp -s "$root/tests/node/package-lock.json" "$tools/node/package-lock.json" && [ -d "$tools/node/node_modules" ]; then
		return
	fi
	rm -rf "$tools/node"
	mkdir -p "$tools/node" &&
		cp "$root/tests/node/package.json" "$root/tests/node/package-lock.json" "$tools/node/" &&
		npm --prefix "$tools/node" ci --ignore-scripts --no-audit --no-fund --loglevel error
}

# koffi, as c-examples/ffi/package-lock.json has it.
install_koffi() {
	lock=$root/c-examples/ffi/package-lock.json
	if cmp -s "$lock" "$tools/koffi/package-lock.json" && [ -d "$tools/koffi/node_modules/koffi" ]; then
		return
	fi
	rm -rf "$tools/koffi"
	mkdir -p "$tools/koffi" &&
		cp "$root/c-examples/ffi/package.json" "$lock" "$tools/koffi/" &&
		npm --prefix "$tools/koffi" ci --ignore-scripts --no-audit --no-fund --loglevel error
}

# The ffmpeg of the Python package imageio-ffmpeg: one file, `ffmpeg`.
install_ffmpeg() {
	version=0.8.1
	if [ -x "$tools/ffmpeg-$version" ]; then
		return
	fi
	rm -rf "$tools/wheel"
	mkdir -p "$tools/wheel" &&
		python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$tools/wheel" "imageio-ffmpeg==$version" &&
		python3 -m zipfile -e "$tools"/wheel/*.whl "$tools/wheel" &&
		chmod +x "$tools"/wheel/imageio_ffmpeg/binaries/ffmpeg-* &&
		mv "$tools"/wheel/imageio_ffmpeg/binaries/ffmpeg-* "$tools/ffmpeg-$version" || return 1
	rm -rf "$tools/wheel"
}

# python-librtmp, built against the original's headers, with what it needs.
install_python_librtmp() {
	version=0.3.0
	if [ -d "$tools/python/python_librtmp-$version.dist-info" ]; then
		return
	fi
	rm -rf "$tools/python"
	python3 -m pip install --quiet --disable-pip-version-check --target "$tools/python" \
		"python-librtmp==$version" "cffi==2.1.1" "pycparser==3.12"
}

# Kodi's add-on for RTMP and the headers of the interface to it, unpacked: Kodi itself, which it depends on, is not needed.
install_kodi_addon() {
	if [ -d "$tools/kodi/usr/include/kodi" ] && [ -d "$tools/kodi/usr/share/kodi" ]; then
		return
	fi
	rm -rf "$tools/kodi"
	mkdir -p "$tools/kodi" &&
		(cd "$tools/kodi" && apt-get download -qq kodi-inputstream-rtmp kodi-addons-dev-common &&
			for package in *.deb; do dpkg -x "$package" . || exit 1; done)
}

# cargo-c, built in two to four minutes: Debian's does not know the edition of Rust that this package is written in.
install_cargo_c() {
	version=0.10.16+cargo-0.91.0
	if [ -x "$tools/cargo-c/bin/cargo-cinstall" ] && grep -qF "cargo-c $version" "$tools/cargo-c/.crates.toml"; then
		return
	fi
	cargo install --quiet --locked --profile dev --config profile.dev.debug=0 --root "$tools/cargo-c" \
		--target-dir "$tools/cargo-c-build" "cargo-c@$version" || return 1
	rm -rf "$tools/cargo-c-build"
}

# Without these some tests are skipped, which a change must not be.
unavailable() {
	echo "$1 could not be fetched"
	if [ -n "${CI:-}" ]; then
		exit 1
	fi
}

install_packages
install_node_servers || { rm -rf "$tools/node"; unavailable "node-rtsp-rtmp-server and node-media-server (npm)"; }
install_koffi || { rm -rf "$tools/koffi"; unavailable "koffi (npm)"; }
install_ffmpeg || { rm -rf "$tools/wheel"; unavailable "imageio-ffmpeg (pip)"; }
install_python_librtmp || { rm -rf "$tools/python"; unavailable "python-librtmp (pip)"; }
install_kodi_addon || { rm -rf "$tools/kodi"; unavailable "kodi-inputstream-rtmp and kodi-addons-dev-common (Debian)"; }
install_cargo_c || { rm -rf "$tools/cargo-c" "$tools/cargo-c-build"; unavailable "cargo-c (crates.io)"; }
echo "everything there is to install is installed"
