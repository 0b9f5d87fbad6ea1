#!/bin/sh
# Runs a program for 32-bit Windows: `wine32.sh ROOT PROGRAM ARGUMENT…`, as root. Debian's amd64 has no Wine for 32 bits, so this
# one is in a Debian for i386 in the directory ROOT, which `wine32.sh ROOT` makes (needs mmdebstrap).
set -eu
root=$1
shift
if [ $# = 0 ]; then
	[ -x "$root/usr/bin/wine" ] || mmdebstrap --mode=root --variant=essential --architectures=i386 --include=wine32,wine \
		--aptopt='APT::Install-Recommends "false"' bookworm "$root" http://deb.debian.org/debian
	# The server of the documents' sample.
	printf '127.0.0.1 localhost live.hkstv.hk.lxdns.com\n' >"$root/etc/hosts"
	exit
fi
top=$(cd "$(dirname "$0")/../.." && pwd)
export root top here="$PWD"
# shellcheck disable=SC2016 # for the other shells
exec unshare --mount sh -euc '
	mkdir -p "$root$top"
	mount --rbind "$top" "$root$top"
	mount -t proc proc "$root/proc"
	exec env -u LD_PRELOAD HOME=/root WINEDEBUG=-all chroot "$root" sh -euc '\''cd "$here" 2>/dev/null || cd /; exec wine "$@"'\'' wine "$@"
' sh "$@"
