#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Goal: no input that libFuzzer can think of breaks a property or crashes.
#
#	sh tests/fuzz/run.sh [SECONDS] [TARGET...]
#
# Run it from the root of the source.  Builds the targets with $FUZZ_CC (clang)
# and the sanitizers, and runs each for so many seconds (60) on a copy of its
# corpus.  One line for each: how fast it was and how much of the code it saw;
# what breaks one is kept and shown.  Exit 1 if one failed.
set -u

seconds=${1:-60}
[ $# -gt 0 ] && shift
FUZZ_CC=${FUZZ_CC:-clang}
build=tests/build/fuzz
cflags="-std=c99 -D_POSIX_C_SOURCE=200809L -I. -O1 -g -fno-omit-frame-pointer"
sanitize="address,undefined -fno-sanitize-recover=all"
modules="ring addr dns policy names http config"
passed=0
failed=0

have_libfuzzer() {
	printf '%s\n' '#include <stddef.h>' \
	    'int LLVMFuzzerTestOneInput(const unsigned char *, size_t);' \
	    'int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)' \
	    '{ return p == NULL && n > 0; }' > "$build/probe.c"
	"$FUZZ_CC" -fsanitize=fuzzer,address -o "$build/probe" \
	    "$build/probe.c" 2> /dev/null && "$build/probe" -runs=1 \
	    > /dev/null 2>&1
}

# compile OUT ARGUMENT...
compile() {
	out=$1
	shift
	# shellcheck disable=SC2086
	"$FUZZ_CC" $cflags -o "$out" "$@"
}

build_objects() {
	objects=
	for m in $modules; do
		# shellcheck disable=SC2086
		compile "$build/$m.o" -fsanitize=fuzzer-no-link,$sanitize \
		    -c "$m.c" || return 1
		objects="$objects $build/$m.o"
	done
}

# The comparisons of a second reading are no hints for libFuzzer.
build_target() {
	# shellcheck disable=SC2086
	compile "$build/$target.o" -fsanitize=fuzzer-no-link,$sanitize \
	    -fno-sanitize-coverage=trace-cmp -c "tests/fuzz/$target.c" &&
	    compile "$build/$target" -fsanitize=fuzzer,$sanitize \
		"$build/$target.o" $objects
}

# The last value of a counter in the log: `cov: 123`.
counter() {
	grep -o "$1: [0-9]*" "$build/$target.log" | tail -n 1 |
	    sed 's/.*: //'
}

run_target() {
	work=$build/$target.corpus
	kept=$build/$target.kept
	dict=tests/fuzz/$target.dict
	rm -rf "$work" "$kept"
	mkdir -p "$work" "$kept" || return 1
	cp "tests/fuzz/corpus/$target"/* "$work/" || return 1
	set -- -max_total_time="$seconds" -max_len=2048 -timeout=10 \
	    -print_final_stats=1 -artifact_prefix="$kept/" "$work"
	[ -f "$dict" ] && set -- -dict="$dict" "$@"
	"$build/$target" "$@" > "$build/$target.log" 2>&1
}

rm -rf "$build"
mkdir -p "$build"
if ! have_libfuzzer; then
	echo "skipped: no libFuzzer"
	exit 0
fi
build_objects || { echo "0 passed, 1 failed"; exit 1; }
if [ $# -eq 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		target=${source##*/}
		set -- "$@" "${target%.c}"
	done
fi

for target in "$@"; do
	if ! build_target; then
		failed=$((failed + 1))
		echo "FAILED $target: does not build"
		continue
	fi
	if run_target; then
		passed=$((passed + 1))
		echo "$target: $(sed -n 's/^stat::average_exec_per_sec: *//p' \
		    "$build/$target.log") a second," \
		    "coverage $(counter cov), features $(counter ft)"
	else
		failed=$((failed + 1))
		echo "FAILED $target: input kept in" "$build/$target.kept"/*
		grep -E '^broken property|ERROR|SUMMARY|runtime error' \
		    "$build/$target.log"
	fi
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
