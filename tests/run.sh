#!/bin/sh
# Goal: run every test there is and end with one line, "N passed, N failed".
# usage: tests/run.sh [asan]     from the top of the tree, after `make`
#
# Without an argument the objects of `make` are tested, the very ones that
# ship.  With "asan" all is built again under tests/build/asan with
# AddressSanitizer and UndefinedBehaviorSanitizer.  CC, CFLAGS and LDFLAGS come
# from make.
set -u

mode=${1:-plain}
CC=${CC:-cc}
CFLAGS=${CFLAGS:--O2 -g}
LDFLAGS=${LDFLAGS:-}
build=tests/build/$mode
passed=0
failed=0

# ---- what has to be there ---------------------------------------------------

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_package() {
	echo "installing $*"
	if command -v apt-get > /dev/null; then
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
		    as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install -y "$@" > /dev/null
	elif command -v apk > /dev/null; then
		as_root apk add "$@"
	elif command -v dnf > /dev/null; then
		as_root dnf -q install -y "$@"
	elif command -v pkg > /dev/null; then
		as_root pkg install -y "$@"
	else
		false
	fi
}

check_libs() {
	pkg-config --libs check 2> /dev/null ||
	    echo "-lcheck -lsubunit -lm -lrt -lpthread"
}

have_check() {
	echo '#include <check.h>
	int main(void) { return srunner_create(0) == 0; }' > "$build/probe.c"
	# shellcheck disable=SC2046,SC2086
	$CC -o "$build/probe" "$build/probe.c" $(check_libs) 2> /dev/null
}

need() {
	command -v "$1" > /dev/null || install_package "$1" || {
		echo "tests need $1, which could not be installed"
		exit 1
	}
}

# ---- results ----------------------------------------------------------------

# Add a part's own count, or one for all of it if it has none.
# count NAME STATUS PASSED FAILED
count() {
	passed=$((passed + $3))
	failed=$((failed + $4))
	if [ "$2" -ne 0 ] && [ "$4" -eq 0 ]; then
		failed=$((failed + 1))
		echo "FAILED $1: exit $2"
	fi
}

# A script that ends with "N passed, N failed".
run_script() {
	name=$1
	shift
	"$@" > "$build/$name.log" 2>&1
	status=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$build/$name.log" |
	    tail -n 1)
	p=${line%% passed*}
	f=${line#*, }
	f=${f%% failed*}
	if [ $status -ne 0 ] || [ -z "$line" ]; then
		cat "$build/$name.log"
	else
		grep -E '^(skipped|note)' "$build/$name.log"
	fi
	echo "$name: ${line:-no count}"
	count "$name" $status "${p:-0}" "${f:-1}"
}

# A program of Check's, which says "97%: Checks: 30, Failures: 1, Errors: 0".
run_check() {
	"$1" > "$1.log" 2>&1
	status=$?
	line=$(grep -E '^[0-9]+%: Checks: ' "$1.log" | tail -n 1)
	all=$(echo "$line" | sed -n 's/.*Checks: \([0-9]*\).*/\1/p')
	bad=$(echo "$line" |
	    sed -n 's/.*Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 + \2/p')
	bad=$((${bad:-1}))
	[ $status -eq 0 ] || cat "$1.log"
	echo "${1##*/}: ${line:-did not run}"
	count "${1##*/}" $status $((${all:-$bad} - bad)) $bad
}

# ---- building ---------------------------------------------------------------

modules() {
	for c in *.c; do
		[ "$c" = connectd.c ] || echo "${c%.c}"
	done
}

build_objects() {
	if [ "$mode" = plain ]; then
		cp ./*.o "$build/" && cp connectd "$build/"
		return
	fi
	CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
	CFLAGS="$CFLAGS -fno-omit-frame-pointer"
	SANITIZED=1
	export SANITIZED
	for m in $(modules) connectd; do
		# shellcheck disable=SC2086
		$CC -std=c99 -Wall -Wextra $CFLAGS -c -o "$build/$m.o" "$m.c" ||
		    return 1
	done
	# shellcheck disable=SC2086
	$CC $CFLAGS $LDFLAGS -o "$build/connectd" "$build"/*.o
}

build_check() {
	module_objects=$(modules | sed "s|.*|$build/&.o|")
	# shellcheck disable=SC2046,SC2086
	$CC -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -I. $CFLAGS \
	    $LDFLAGS -o "$build/$1" "tests/$1.c" $module_objects $(check_libs)
}

# ---- all of it ---------------------------------------------------------------

rm -rf "$build"
mkdir -p "$build"
have_check || install_package check || true
have_check || {
	echo "tests need the Check library (libcheck), which could not be installed"
	exit 1
}
need python3
build_objects || { echo "0 passed, 1 failed"; exit 1; }
rm -f "$build"/probe*

for source in tests/check_*.c; do
	name=$(basename "$source" .c)
	if build_check "$name"; then
		run_check "$build/$name"
	else
		count "$name" 1 0 1
	fi
done

CONNECTD=$build/connectd
export CONNECTD
if [ "$mode" = plain ]; then
	if sh tests/layers.sh; then count layers 0 1 0; else count layers 1 0 1; fi
	run_script papers sh tests/papers.sh
	if command -v objcopy > /dev/null; then
		run_script simulator sh tests/sim/run.sh quick
	else
		echo "skipped simulator: there is no objcopy (binutils)"
	fi
	run_script corpora sh tests/fuzz/replay.sh
fi
run_script scenarios python3 tests/scenarios.py

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
