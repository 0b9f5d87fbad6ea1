#!/bin/sh
# `make check-recipes`: builds the tarball of `make dist` by the recipes in this directory, as far as their tools are there, and
# runs their linters: RPM (rpmbuild, rpmlint), Arch (makepkg, not as root), Meson (a project with the wrap), and Conan. The
# builds are not optimized, because only the recipes are tested. Arguments: the tarball, a directory for the builds, and the names
# of some of the recipes, as in `try` below.
set -u
tarball=$(realpath "$1") work=$(mkdir -p "$2" && realpath "$2")
shift 2
wanted=" $* "
cd "$(dirname "$0")" || exit 1
sum=$(sha256sum <"$tarball" | cut -d ' ' -f 1)
version=$(basename "$tarball" .tar.xz)
version=${version#librtmp-}
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_INCREMENTAL=0
status=0

try() {
	name=$1 tools=$2
	case $wanted in "  " | *" $name "*) ;; *) return ;; esac
	for tool in $tools; do
		command -v "$tool" >/dev/null || { echo "left out: $name, $tool is missing"; return; }
	done
	rm -rf "${work:?}/$name"
	mkdir -p "$work/$name"
	if ("$name" "$work/$name") >"$work/$name.log" 2>&1; then
		echo "ok: $name: $(tail -n 1 "$work/$name.log")"
	else
		tail -n 40 "$work/$name.log"
		echo "FAILED: $name"
		status=1
	fi
}

rpm_package() {
	mkdir "$1/SOURCES" && cp "$tarball" "$1/SOURCES/" &&
		rpmbuild -bb --nodeps --nocheck --define "_topdir $1" rpm/librtmp.spec || return 1
	command -v rpmlint >/dev/null || { echo "built, rpmlint is missing"; return 0; }
	rpmlint --config rpm/rpmlint.toml rpm/librtmp.spec "$1"/RPMS/*/*.rpm
}

arch_package() {
	cp "$tarball" "$1/" && sed "s/^sha256sums=.*/sha256sums=($sum)/" arch/PKGBUILD >"$1/PKGBUILD" || return 1
	user=""
	if [ "$(id -u)" = 0 ]; then
		# makepkg does not run as root, and nobody has no toolchain of rustup.
		chown -R nobody "$1"
		user="setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=$1 PATH=/usr/bin:/bin"
	fi
	# shellcheck disable=SC2086 # a list of words
	cd "$1" && $user makepkg --nodeps --nocheck && $user makepkg --printsrcinfo && ls -- *.pkg.tar*
}

meson_project() {
	mkdir -p "$1/subprojects/packagefiles/librtmp"
	cp "$tarball" "$1/subprojects/packagefiles/"
	cp meson/meson.build "$1/subprojects/packagefiles/librtmp/"
	sed "s/^source_hash = .*/source_hash = $sum/" meson/librtmp.wrap >"$1/subprojects/librtmp.wrap"
	cat >"$1/meson.build" <<-'END'
		project('example', 'c')
		executable('example', 'example.c', dependencies: dependency('librtmp'))
	END
	printf '#include <librtmp/rtmp.h>\nint main(void) { return RTMP_LibVersion() != RTMP_LIB_VERSION; }\n' >"$1/example.c"
	meson setup --wrap-mode=forcefallback "$1/build" "$1" && ninja -C "$1/build" && "$1/build/example" && echo "the program runs"
}

conan_package() {
	tar -C "$1" -xf "$tarball"
	export CONAN_HOME="$1/home"
	conan profile detect && conan create "$1/librtmp-$version/packaging/conan" &&
		conan create "$1/librtmp-$version/packaging/conan" -o '&:shared=False' && echo "shared and static"
}

try rpm_package rpmbuild
try arch_package "makepkg bsdtar fakeroot"
try meson_project "meson ninja"
try conan_package conan
exit $status
