#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Goal: no input of the corpora breaks a property or crashes.
#
#	CC=cc CFLAGS='-O2 -g' sh tests/fuzz/replay.sh
#
# Run it from the root of the source.  Needs no libFuzzer: replay.c feeds the
# files to the targets, with the sanitizers if the compiler has them.  Every
# input counts; a target stops at its first one that fails.
set -u

CC=${CC:-cc}
CFLAGS=${CFLAGS:--O1 -g}
LDFLAGS=${LDFLAGS:-}
build=tests/build/replay
cflags="-std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -I. $CFLAGS"
modules="ring addr dns policy names http config"
passed=0
failed=0

# A failed property and a sanitizer's report end alike, by SIGABRT.
ASAN_OPTIONS=abort_on_error=1:handle_abort=0:${ASAN_OPTIONS:-}
UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1:${UBSAN_OPTIONS:-}
export ASAN_OPTIONS UBSAN_OPTIONS

have_sanitizers() {
	echo 'int main(void) { return 0; }' > "$build/probe.c"
	# shellcheck disable=SC2086
	$CC $cflags $sanitize $LDFLAGS -o "$build/probe" "$build/probe.c" \
	    2> /dev/null && "$build/probe"
}

# build OUT ARGUMENT...
build() {
	out=$1
	shift
	# shellcheck disable=SC2086
	$CC $cflags $sanitize $LDFLAGS -o "$out" "$@"
}

build_objects() {
	objects=
	for m in $modules; do
		build "$build/$m.o" -c "$m.c" || return 1
		objects="$objects $build/$m.o"
	done
	build "$build/replay.o" -c tests/fuzz/replay.c || return 1
	objects="$objects $build/replay.o"
}

rm -rf "$build"
mkdir -p "$build"
sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
if ! have_sanitizers; then
	sanitize=
	echo "note: the compiler has no sanitizers"
fi
build_objects || { echo "0 passed, 1 failed"; exit 1; }

for source in tests/fuzz/fuzz_*.c; do
	target=${source##*/}
	target=${target%.c}
	log=$build/$target.log
	# shellcheck disable=SC2086
	if build "$build/$target" "$source" $objects > "$log" 2>&1 &&
	    "$build/$target" "tests/fuzz/corpus/$target" > "$log" 2>&1; then
		n=$(sed -n 's/ inputs$//p' "$log")
		passed=$((passed + n))
		echo "$target: $n inputs"
	else
		failed=$((failed + 1))
		echo "FAILED $target"
		cat "$log"
	fi
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
