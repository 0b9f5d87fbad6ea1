#!/bin/sh
# `make check-debian`, as root: builds the Debian packages in a clean chroot, without a network, as an ordinary user, with the
# compiler of that release; runs Lintian; installs them over Debian's librtmp1 and runs programs that use it; and removes them
# again. Arguments: the tarball of `make dist`, a directory for the chroot and the results, and the release. Needs mmdebstrap.
set -eu
tarball=$(realpath "$1")
results=$(mkdir -p "$2" && realpath "$2")
suite=${3:-trixie}
here=$(cd "$(dirname "$0")" && pwd)
root=$results/chroot-$suite
build=$root/home/builder/build
version=$(sed -n '1s/.*(\(.*\)-[^-]*).*/\1/p' "$here/../debian/changelog")

# Runs a step with its output in a file, which is shown if it fails.
step() {
	log=$results/$suite-$1.log
	echo "$suite: $2"
	shift 2
	"$@" >"$log" 2>&1 || { tail -n 60 "$log"; exit 1; }
}

# The cargo of bookworm is too old; it has a newer one for building browsers.
case $suite in bookworm) compiler=cargo-web,rustc-web ;; *) compiler=cargo,rustc ;; esac
[ -e "$root/usr/bin/lintian" ] || step chroot "a chroot with the compiler" mmdebstrap --variant=buildd \
	--include="debhelper,$compiler,pkgconf,lintian,xz-utils" "$suite" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
cp /etc/resolv.conf "$root/etc/"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
trap 'exit 1' INT TERM

# The tarball of `make dist` under Debian's name.
grep -q '^builder:' "$root/etc/passwd" || chroot "$root" useradd --create-home builder
rm -rf "$build"
mkdir "$build"
cp "$tarball" "$build/librtmp-rs_$version.orig.tar.xz"
tar -C "$build" -xf "$tarball"
chroot "$root" chown -R builder: /home/builder/build

chroot "$root" rustc --version
# shellcheck disable=SC2016 # for the other shell
step build "build" unshare --net sh -c 'ip link set lo up && exec chroot "$1" su - builder -c "cd build/librtmp-*/ && dpkg-buildpackage --no-sign"' \
	sh "$root"
grep '^test result: ' "$results/$suite-build.log"
cp "$build"/*.deb "$results/"
step lintian "Lintian" chroot "$root" su - builder -c 'cd build && lintian --fail-on error,warning,info librtmp-rs_*.changes'
cat "$results/$suite-lintian.log"

cp "$here/check-debian-installed.sh" "$here/../tests/c/kodi_host.c" "$root/home/builder/"
step installed "over Debian's librtmp1" chroot "$root" sh /home/builder/check-debian-installed.sh
grep '^== ' "$results/$suite-installed.log"
