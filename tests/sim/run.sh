#!/bin/sh
# Goal: the whole daemon in simulated worlds.
# usage: tests/sim/run.sh quick|full|plants|pairs|seeds COUNT
#
#   quick    300 seeds, the seeds that failed once, every single fault
#   full     the same with 3,000 seeds, and the trace of some seeds must be the
#            same whatever compiles it
#   plants   every planted bug must be found within 200 seeds
#   pairs    every pair of single faults in the two main scenarios (long)
#   seeds    as many seeds as you like
#
# From the top of the tree.  CC and CFLAGS from the environment.
set -u

mode=${1:-quick}
build=tests/build/sim
passed=0
failed=0

# run NAME COMMAND...: passes if the command does; its last line is shown
run() {
	name=$1
	shift
	if "$@" > "$build/$name.log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		grep FAILED "$build/$name.log" | head -n 20
	fi
	echo "$name: $(tail -n 1 "$build/$name.log")"
}

build_sim() {
	sh tests/sim/build.sh . "$1" || {
		echo "0 passed, 1 failed"
		exit 1
	}
}

# The traces of a few seeds, under the compiler and flags given.
traces() {
	CC=$1 CFLAGS=$2 sh tests/sim/build.sh . "$build/variant" > /dev/null 2>&1 ||
	    return 1
	for seed in 1 2 3 5 8 13 21; do
		"$build/variant/sim" -s $seed > "$build/variant/out" ||
		    return 1
		tail -n 1 "$build/variant/out"
	done
}

same_traces() {
	traces cc -O0 > "$build/traces" || {
		failed=$((failed + 1))
		echo "FAILED traces: cc -O0"
		return
	}
	for flags in "cc -O2" "cc -O1 -fsanitize=address,undefined" \
	    "clang -O2" "clang -O0"; do
		command -v "${flags%% *}" > /dev/null || continue
		if traces "${flags%% *}" "${flags#* }" \
		    > "$build/traces.other" &&
		    cmp -s "$build/traces" "$build/traces.other"; then
			passed=$((passed + 1))
			echo "traces: the same with $flags"
		else
			failed=$((failed + 1))
			echo "FAILED traces: $flags differs from cc -O0"
		fi
	done
}

seeds() {
	run "seeds" "$build/sim" -s 1 -n "$1"
	run "old-seeds" "$build/sim" -f tests/sim/seeds
	run "single-faults" "$build/sim" -1
}

rm -rf "$build"
build_sim "$build"
case $mode in
quick) seeds 300 ;;
full)
	seeds 3000
	same_traces
	;;
plants)
	python3 tests/sim/plants.py "$build" tests/sim/build.sh
	exit
	;;
pairs)
	run "pairs-0" "$build/sim" -2 0
	run "pairs-2" "$build/sim" -2 2
	;;
seeds) run "seeds" "$build/sim" -s 1 -n "${2:?COUNT is missing}" ;;
*)
	echo "usage: $0 quick|full|plants|pairs|seeds COUNT"
	exit 2
	;;
esac
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
