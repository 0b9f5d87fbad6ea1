#!/bin/sh
# `make test`: installs what the tests need, if it may, and compiles them meanwhile; checks format and spelling; runs the tests, and
# beside them checks lints and documentation; and prints a summary of what passed, what failed, and what was skipped and why. A
# step that fails does not stop the others.
# Arguments go to `cargo test`, for example `--test transport rtmps::`; the argument `lint` runs only the checks.
#
# It shows one line for each test program, and everything about failures. The complete output is in target/test.log.
set -u
cd "$(dirname "$0")/.." || exit 1
cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target" || exit 1
target=$(cd "$target" && pwd)
log=$target/test.log
export CARGO_TERM_COLOR=never # the lines below are recognised by their text
failed="" not_run=""
started=$(date +%s)

# Runs a check that says nothing unless it fails.
check_log=$target/check.log
check() {
	name=$1
	shift
	if "$@" >"$check_log" 2>&1; then
		echo "ok: $name"
	else
		cat "$check_log"
		echo "FAILED: $name"
		failed="$failed
    $name"
	fi
}

# As check, with a component of Rust that may be missing.
check_with() {
	if "$cargo" "$1" --version >/dev/null 2>&1; then
		shift
		check "$@"
	elif [ -n "${CI:-}" ]; then
		echo "cargo $1 is missing"
		exit 1
	else
		not_run="$not_run
    $2: cargo $1 is missing (rustup component add rustfmt clippy)"
	fi
}

# The C library and the Rust package each by itself, so that neither hides what the other lacks, and that one with its
# feature.
clippy() {
	"$cargo" clippy --all-targets -- -D warnings &&
		"$cargo" clippy --package librtmp --all-targets -- -D warnings &&
		"$cargo" clippy --package librtmp --all-targets --features tokio -- -D warnings
}

documentation() {
	RUSTDOCFLAGS='-D warnings' "$cargo" doc --quiet --no-deps --lib &&
		RUSTDOCFLAGS='-D warnings' "$cargo" doc --quiet --no-deps --package librtmp --features tokio
}

# Everything compiles with the oldest supported compiler, which tests/install.sh has fetched.
oldest_rust() {
	version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
	for toolchain in "$target/test-tools/rustup/toolchains/$version-"*/bin; do
		if [ -x "$toolchain/cargo" ]; then
			CARGO_TARGET_DIR="$target/oldest-rust" check "Rust $version" compiles_with "$toolchain"
			return
		fi
	done
	not_run="$not_run
    Rust $version: it is not installed in $target/test-tools"
}

compiles_with() {
	PATH="$1:$PATH" cargo check --workspace --all-targets --features librtmp/tokio
}

lint() {
	quick_checks
	compiled_checks
}

quick_checks() {
	check_with fmt "formatting (cargo fmt)" "$cargo" fmt --all --check
	spelling
	check "plain English (tests/documents/prose.rs)" "$cargo" test --quiet --test documents prose::
	licences
	shell_scripts
}

# In a directory of their own, because tests that run cargo would wait for them, and all in the same one, that of
# tests/cross.sh, so that build scripts are compiled once.
compiled_checks() {
	export CARGO_TARGET_DIR="$target/cross"
	check_with clippy "lints (cargo clippy)" clippy
	check "documentation (cargo doc)" documentation
	fewest_features
	CARGO_TARGET_DIR=$target
	other_systems
	oldest_rust
}

# Compiles with the time of the processors that the tests leave. Results are in files: what failed, and what was not run.
check_beside_the_tests() (
	failed="" not_run="" check_log=$target/check-beside.log
	# shellcheck disable=SC2016 # for the shell that writes the id of its parent, which is this one
	self=$(exec sh -c 'echo "$PPID"')
	chrt --idle --pid 0 "$self" >/dev/null 2>&1 || renice -n 19 "$self" >/dev/null 2>&1
	compiled_checks
	printf '%s' "$failed" >"$target/lint-failed"
	printf '%s' "$not_run" >"$target/lint-not-run"
)

# Gives a process and its children their share of the processors again, when there are no more tests that they could disturb.
no_longer_idle() {
	chrt --all-tasks --other --pid 0 "$1" >/dev/null 2>&1
	for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		no_longer_idle "$child"
	done
}

# cargo-deny finds licences and sources of crates that deny.toml does not allow.
licences() {
	deny=$target/test-tools/cargo-deny/bin/cargo-deny
	[ -x "$deny" ] || deny=$(command -v cargo-deny)
	if [ -n "$deny" ]; then
		check "licences of crates (cargo-deny)" "$deny" --all-features check licenses bans sources
	else
		not_run="$not_run
    licences of crates: cargo-deny is missing (tests/install.sh fetches it)"
	fi
}

# Scripts and the recipe for Arch Linux, which is one.
shell_scripts() {
	if command -v shellcheck >/dev/null; then
		check "shell scripts (shellcheck)" shell_scripts_are_clean
	else
		not_run="$not_run
    shell scripts: shellcheck is missing"
	fi
}

shell_scripts_are_clean() {
	shellcheck -S warning tests/*.sh tests/cross/*.sh packaging/*.sh && shellcheck -s bash -e SC2034,SC2154 packaging/arch/PKGBUILD
}

# The libraries without any feature; `make features` tests them, and those in between.
fewest_features() {
	check_with clippy "build without features" \
		"$cargo" clippy --package librtmp-c --package librtmp --lib --no-default-features -- -D warnings
}

# Both packages compile for the systems that cannot be linked for here; `make cross` tests the others.
other_systems() {
	check "type checks for other systems" env KEEP=1 tests/cross.sh types
	[ ! -s "$target/cross/left-out" ] || not_run="$not_run
$(cat "$target/cross/left-out")"
}

# typos finds misspelt words; typos.toml says where it does not look.
spelling() {
	typos=$target/test-tools/typos/bin/typos
	[ -x "$typos" ] || typos=$(command -v typos)
	if [ -n "$typos" ]; then
		check "spelling (typos)" "$typos" --config typos.toml
	else
		not_run="$not_run
    spelling: typos is missing (tests/install.sh fetches it)"
	fi
}

# Both packages, or what the arguments name of the C library. Tests load the library from where a build leaves it.
run_tests() {
	"$cargo" build --quiet --lib
	"$cargo" test --no-fail-fast "$@"
	result=$?
	if [ $# = 0 ]; then
		"$cargo" test --no-fail-fast --package librtmp --features tokio || result=$?
	fi
	return $result
}

# Compiles the tests while packages are fetched. What fails here fails again, and is reported, when they run.
build_tests() {
	"$cargo" test --no-run "$@" && [ $# = 0 ] && "$cargo" test --no-run --package librtmp --features tokio
}

# Prints a line for each test program: result, name, numbers and time; and before it all that a failed one printed, except
# the tests that passed.
essence() {
	program="" kept=$target/test-kept.log
	: >"$kept"
	while IFS= read -r line; do
		case $line in
		"     Running "* | "   Doc-tests "*)
			# One that was ended by a signal has no result.
			cat "$kept"
			: >"$kept"
			program=$(suite_name "$line")
			;;
		"test result: ok. 0 passed; 0 failed; 0 ignored"*)
			: >"$kept"
			program=""
			;;
		"test result: "*)
			case $line in "test result: ok. "*) ;; *) cat "$kept" ;; esac
			suite_line "$program" "$line"
			: >"$kept"
			program=""
			;;
		"test "*" ... ok" | "test "*" ... ignored"* | "running "*" test"* | "") ;;
		"   Compiling "* | "    Finished "* | " Downloading "* | "  Downloaded "* | "    Blocking "*) ;;
		*)
			if [ -n "$program" ]; then printf '%s\n' "$line" >>"$kept"; else printf '%s\n' "$line"; fi
			;;
		esac
	done
	cat "$kept"
	rm -f "$kept"
}

# A name for the test program in a line of cargo's: "abi" for "     Running tests/abi/main.rs (target/…)".
suite_name() {
	printf '%s\n' "$1" | sed -E 's/^ *Doc-tests (.*)/examples in the documentation of \1/
		s/^ *Running unittests ([^ ]*) .*deps\/([^-]*)-.*/unit tests of \2 (\1)/
		s/^ *Running (tests|benches)\/([^ ]*)\.rs .*/\2/; s/\/main$//'
}

# The line for a test program, from its "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out;
# finished in 0.45s".
suite_line() {
	printf '%s\n' "$2" | awk -v name="$1" '{
		result = $3 == "ok." ? "ok" : "FAILED"
		seconds = $NF; sub("s$", "", seconds)
		printf "%-6s %-48s %5d passed %3d failed %8.1f s\n", result, name, $4, $6, seconds
	}'
}

if [ "${1:-}" = lint ]; then
	lint
	[ -z "$failed" ]
	exit
fi

# Ctrl-C does not reach what runs in the background: it ends with what it does at the moment.
installing="" checking=""
trap 'kill $installing $checking 2>/dev/null; exit 130' INT TERM
tests/install.sh &
installing=$!
echo "compiling the tests; the first time this takes a few minutes"
build_tests "$@" >"$target/build.log" 2>&1
built=$(($(date +%s) - started))
wait $installing || exit 1
echo "compiled for $built s, installed for $(($(date +%s) - started)) s"
quick_checks
rm -f "$target/lint-failed" "$target/lint-not-run"
echo "checking lints and documentation with what the tests leave of the processors; the results are shown at the end"
check_beside_the_tests >"$target/lint.log" 2>&1 &
checking=$!
# Tests wait about as often as they work. Many more at a time would disturb those that measure time.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(getconf _NPROCESSORS_ONLN) + 1))}"
echo "running the tests; this takes about 15 minutes, and each line below is a test program that has ended"
export RTMP_TEST_SKIPPED="$target/test-skipped"
: >"$RTMP_TEST_SKIPPED"
status=$target/test-status
{
	run_tests "$@" 2>&1
	echo $? >"$status"
} | tee "$log" | essence

# Writes a line for each test that failed: its test program (empty for unit tests) and its name.
failures() {
	awk '
		/^     Running / || /^   Doc-tests / { program = "" }
		/^     Running tests\// { program = $2; sub("^tests/", "", program); sub("(/main)?[.]rs$", "", program) }
		/^test .* [.][.][.] FAILED$/ { print program "\t" $2 }' "$log"
}

# Writes the names of test programs that ended without a result, for example by a signal.
crashed() {
	awk '
		function finish() { if (program != "") print "    " program ": it ended without a result" }
		/^     Running / || /^   Doc-tests / {
			finish()
			program = $0
			sub("^ *(Running|Doc-tests) ", "", program)
			sub(" [(].*$", "", program)
		}
		/^test result: / { program = "" }
		END { finish() }' "$log"
}

# Runs a few failed tests again, each alone. One that passes then depends on what else the machine does: that is a defect
# of the test or of the library, so it is reported by name, but it does not fail the run.
unsteady="" again=$target/test-again.log
run_again() {
	: >"$again"
	left=""
	while IFS="$tab" read -r program name; do
		if [ -n "$program" ] && "$cargo" test --quiet --test "$program" -- --exact "$name" >>"$again" 2>&1 </dev/null; then
			unsteady="$unsteady
    $program $name"
		else
			left="$left
    $program $name"
		fi
	done <"$target/test-failures"
	failed="$failed$left"
}

beside_started=$(date +%s)
no_longer_idle $checking
wait $checking
cat "$target/lint.log"
echo "lints and documentation ended $(($(date +%s) - beside_started)) s after the tests"
failed=$failed$(cat "$target/lint-failed" 2>/dev/null || echo "
    lints and documentation: they ended without a result")
not_run=$not_run$(cat "$target/lint-not-run" 2>/dev/null)

tab=$(printf '\t')
if [ "$(cat "$status")" != 0 ]; then
	failures >"$target/test-failures"
	count=$(wc -l <"$target/test-failures")
	if [ "$count" = 0 ]; then
		[ -n "$(crashed)" ] || failed="$failed
    the tests do not build, see above"
	elif [ "$count" -le 5 ]; then
		run_again
	else
		failed="$failed
$(sed "s/^/    /; s/$tab/ /" "$target/test-failures")"
	fi
	crashed=$(crashed)
	[ -z "$crashed" ] || failed="$failed
$crashed"
fi

echo
seconds=$(($(date +%s) - started))
skipped=$(cut -f 1 "$RTMP_TEST_SKIPPED" | sort -u | wc -l)
passed_later=$(printf '%s' "$unsteady" | grep -c .)
awk -v skipped="$skipped" -v later="$passed_later" -v seconds="$seconds" '
	/^test result: / { passed += $4; failed += $6; ignored += $8; suites += $4 + $6 + $8 > 0 }
	END {
		printf "suites   %5d\npassed   %5d\nfailed   %5d\nskipped  %5d%s\n", suites, passed - skipped + later, failed - later, skipped,
			skipped ? " (reasons below)" : ""
		if (ignored) printf "not run  %5d (other targets of make run them: soak, memcheck)\n", ignored
		printf "time     %d min %02d s\n", seconds / 60, seconds % 60
	}' "$log"
if [ "$skipped" != 0 ]; then
	echo "skipped:"
	sort -u "$RTMP_TEST_SKIPPED" | awk -F '\t' '
		{ count[$2]++; names[$2] = names[$2] (count[$2] == 1 ? "" : ", ") $1 }
		END { for (why in count) printf "    %s: %d (%s)\n", why, count[why], names[why] }' | sort
fi
if [ -s "$target/test-tools/missing" ]; then
	echo "not installed:"
	sed 's/^/    /' "$target/test-tools/missing"
fi
if [ -n "$not_run" ]; then
	echo "not run:$not_run"
fi
if [ -n "$unsteady" ]; then
	echo "failed, then passed when run again alone (both in $log and $again):$unsteady"
fi
echo "The complete output is in $log."
if [ -n "$failed" ]; then
	echo "failed:$failed"
	exit 1
fi
