#!/bin/sh
# Goal: link the daemon's objects with the simulated world.
# usage: tests/sim/build.sh SOURCE_DIR OUTPUT_DIR [MODULE]
#
# The objects are compiled as those that ship; only names are changed: of main,
# since the simulator has its own, and of calls that have two.  With MODULE just
# that one is compiled again, from SOURCE_DIR, and linked with what is in
# OUTPUT_DIR.  CC and CFLAGS from the environment.
set -eu

source=$1
out=$2
CC=${CC:-cc}
CFLAGS=${CFLAGS:--O2 -g}
mkdir -p "$out"

modules="connectd tunnel relay reach dial resolver query config sys http names
    policy dns addr ring"
world="world conns net files poll names draw actors check lines oracle main"

# Every name that the world answers.  The gate below sees to it that it is
# complete: what is "system", "memory" or exits must be wrapped.
wrapped="accept bind clock_gettime close connect fcntl fstat getpeername
    getrlimit getsockname getsockopt if_nametoindex ioctl listen open pipe poll
    read recvmsg sendmsg setrlimit setsockopt shutdown sigaction sigprocmask
    socket stat write calloc exit"
large="fcntl fstat getrlimit open setrlimit stat"

compile() {
	# shellcheck disable=SC2086
	$CC -std=c99 -Wall -Wextra -I. $CFLAGS -c -o "$2" "$1"
}

build_module() {
	compile "$1/$2.c" "$out/$2.o"
	[ "$2" != connectd ] ||
	    objcopy --redefine-sym main=connectd_main "$out/connectd.o"
	# glibc's names of the same calls with large files.
	[ "$2" != sys ] || for name in $large; do
		objcopy --redefine-sym "${name}64=$name" "$out/sys.o"
	done
}

# Nothing the daemon needs may be neither pure nor answered by the world.
gate() {
	for m in $modules; do
		nm -P "$out/$m.o" | awk '$2 ~ /[TDBRC]/ { print $1 }'
	done | sort -u > "$out/own"
	for m in $modules; do
		nm -u -P "$out/$m.o"
	done | awk '{ sub(/@.*/, "", $1); print $1 }' | sort -u |
	    comm -23 - "$out/own" |
	while read -r name; do
		# What is harmless although it is no pure function: it is used
		# at start only, or formats into memory.
		case $name in sigemptyset | free | fprintf | printf | fputs | \
		    fflush | fwrite | puts | putchar | getopt | __posix_getopt | \
		    optarg | opterr | optind | stderr | stdout) continue ;;
		__asan_* | __ubsan_* | __sanitizer_* | __gcov_* | __llvm_* | \
		    __start_* | __stop_* | __tsan_* | _GLOBAL_* | \
		    __*printf_chk | __mem*_chk | __str*_chk) continue ;; esac
		case $(awk -v n="$name" '$1 == n { print $2 }' \
		    tests/calls.txt) in
		pure | text) continue ;;
		esac
		echo " $wrapped " | tr -s ' \n\t' ' ' | grep -q " $name " || {
			echo "the daemon needs $name, which nobody simulates"
			exit 1
		}
	done
}

if [ $# -gt 2 ]; then
	build_module "$source" "$3"
else
	for m in $modules; do
		build_module "$source" "$m"
	done
	for m in $world; do
		compile "tests/sim/$m.c" "$out/sim_$m.o"
	done
	gate
fi

options=
for name in $wrapped; do
	options="$options -Wl,--wrap=$name"
done
objects=
for m in $modules; do
	objects="$objects $out/$m.o"
done
for m in $world; do
	objects="$objects $out/sim_$m.o"
done
# shellcheck disable=SC2086
$CC $CFLAGS $options -o "$out/sim" $objects
