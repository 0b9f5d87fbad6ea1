#!/bin/sh
# The second half of check-debian.sh, inside of its chroot: installs the packages over Debian's librtmp1 and runs programs that
# use it, before, with the packages, and after they were removed. Each program has to record the same bytes each time.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd /home/builder
apt="apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0"
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
library=/usr/lib/$triplet/librtmp.so.1
server=""
trap '[ -z "$server" ] || kill "$server"' EXIT
trap 'exit 1' INT TERM

version() {
	dpkg-query -W -f '${Version}' librtmp1
}

# A film, a server that plays it, which is that of the packages in a directory of its own, and a host for Kodi's add-on.
prepare() {
	rm -rf server film theirs ours again
	mkdir -p server film
	for package in build/librtmp1_*.deb build/rtmp-tools_*.deb; do
		dpkg -x "$package" server
	done
	make -C build/librtmp-*/c-examples BUILD="$PWD/examples" CPPFLAGS=-I../include LDLIBS="-L$PWD/server/usr/lib/$triplet -l:librtmp.so.1" \
		"$PWD/examples/make_flv"
	LD_LIBRARY_PATH=server/usr/lib/$triplet examples/make_flv -t 6 film/film.flv
	cc -o kodi_host kodi_host.c -ldl
	LD_LIBRARY_PATH=server/usr/lib/$triplet server/usr/bin/rtmp-server -p 0 -d film >server.log 2>&1 &
	server=$!
	until url=$(sed -n 's/.*listening on \(rtmp:[^ ]*\).*/\1/p' server.log) && [ -n "$url" ]; do
		kill -0 "$server"
		sleep 0.1
	done
	url=$url/vod/film
}

# Runs a program, which has to load the library from where it is installed, and no other.
on_it() {
	rm -f loader.*
	LD_DEBUG=libs LD_DEBUG_OUTPUT=loader timeout 60 "$@"
	loaded=$(cat loader.* | sed -n 's/.*calling init: \(.*librtmp\.so.*\)/\1/p' | sort -u)
	[ -n "$loaded" ]
	for file in $loaded; do
		[ "$(realpath "$file")" = "$(realpath "$library")" ] || { echo "$1 has loaded $file"; exit 1; }
	done
}

# Records the film with every program into a directory.
programs() {
	mkdir "$1"
	on_it curl -sS -o "$1/curl.flv" "$url"
	# It returns 2 on Debian's library, too: it takes the file for incomplete.
	on_it sh -c 'rtmpdump "$@" || [ $? = 2 ]' sh -q -r "$url" -o "$1/rtmpdump.flv"
	on_it env GST_REGISTRY="$PWD/registry" GST_REGISTRY_FORK=no gst-launch-1.0 -q rtmpsrc location="$url" num-buffers=30 ! \
		filesink location="$1/gstreamer.flv"
	on_it python3 -c '
import librtmp, sys
connection = librtmp.RTMP(sys.argv[1], live=False)
connection.connect()
stream = connection.create_stream()
with open(sys.argv[2], "wb") as file:
    while data := stream.read(65536):
        file.write(data)
' "$url" "$1/python.flv"
	on_it ./kodi_host "$(find / -xdev -path '*addons/inputstream.rtmp/*.so*' -type f | head -n 1)" "$url" "$1/kodi.flv"
	for file in "$1"/*.flv; do
		[ "$(wc -c <"$file")" -gt 100000 ] || { echo "$file is short"; exit 1; }
	done
	[ "$1" = theirs ] || diff -r theirs "$1"
	echo "== on librtmp1 $(version): $(cd "$1" && wc -c -- *.flv | sed '$d; s/^ *//' | paste -s -d , | sed 's/,/, /g')"
}

apt-get -q update
original=$(apt-cache madison librtmp1 | sed -n '1s/^[^|]*| *\([^ ]*\).*/\1/p')
$apt install --allow-downgrades "librtmp1=$original" "librtmp-dev=$original" rtmpdump curl python3-librtmp gstreamer1.0-tools \
	gstreamer1.0-plugins-bad kodi-inputstream-rtmp kodi-addons-dev-common gcc libc6-dev make pkgconf
prepare
programs theirs

$apt install ./build/librtmp1_*.deb ./build/librtmp-dev_*.deb ./build/rtmp-tools_*.deb
dpkg --verify librtmp1 librtmp-dev rtmp-tools
programs ours
printf '#include <librtmp/rtmp.h>\nint main(void) { return RTMP_LibVersion() != RTMP_LIB_VERSION; }\n' >program.c
# shellcheck disable=SC2046 # a list of words
cc -o program program.c $(pkg-config --cflags --libs librtmp) && ./program
# shellcheck disable=SC2046
cc -static -o program program.c $(pkg-config --cflags --libs --static librtmp) && ./program
rtmp-receive -o tool.flv "$url"
[ "$(wc -c <tool.flv)" -gt 100000 ]
dpkg -L librtmp1 librtmp-dev rtmp-tools | sort -u >files
echo "== programs compile, and rtmp-receive runs"

$apt remove rtmp-tools librtmp-dev
$apt install --allow-downgrades "librtmp1=$original"
while read -r file; do
	[ -d "$file" ] || ! [ -e "$file" ] || dpkg -S "$file" >/dev/null || { echo "$file is left"; exit 1; }
done <files
programs again
echo "== nothing is left of the packages"
