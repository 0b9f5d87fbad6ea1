#!/bin/sh
# Makes librtmp-VERSION.tar.xz and SHA256SUMS in a directory: the files of the commit, and all crates in vendor. The same
# commit gives the same bytes, whoever makes it and wherever.
set -eu
version=$1
mkdir -p "$2"
directory=$(cd "$2" && pwd)
cargo=${CARGO:-cargo}
umask 022
export LC_ALL=C TZ=UTC

name=librtmp-$version
work=$(mktemp -d "$directory/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
date=$(git log -1 --format=%ct)
git archive --prefix="$name/" HEAD | tar -x -C "$work"
cd "$work/$name"
mkdir -p .cargo
$cargo vendor --locked --versioned-dirs vendor >.cargo/config.toml 2>/dev/null
cd ..
find "$name" -type d -exec chmod 755 {} + -o -perm /111 -exec chmod 755 {} + -o -exec chmod 644 {} +
tar --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$date" -cf "$name.tar" "$name"
xz -3 -T1 "$name.tar"
mv "$name.tar.xz" "$directory/"
(cd "$directory" && sha256sum "$name.tar.xz" >SHA256SUMS)
echo "$directory/$name.tar.xz"
