#!/bin/sh
# Goal: calls go only where tests/layers.txt allows, and of libc only what
# tests/calls.txt lists, by the layers that it allows.  Needs the objects of
# `make`; run from the top of the tree.
set -u

rc=0
complain() {
	echo "$1.c must not need $2: $3"
	rc=1
}

needs() {
	nm -u -P "$1.o" | awk '{ sub(/@.*/, "", $1); print $1 }'
}

# Class of a libc name: pure, text, system, main, memory; nothing if unknown.
class_of() {
	awk -v name="$1" '$1 == name { print $2 }' tests/calls.txt
}

# check_libc KIND MODULE NAME
check_libc() {
	case $(class_of "$3") in
	pure) ;;
	text) [ "$1" != pure ] || complain "$2" "$3" "the module is pure" ;;
	system) [ "$2" = sys ] || complain "$2" "$3" "system calls are in sys.c" ;;
	main | memory) [ "$2" = connectd ] ||
		complain "$2" "$3" "only connectd.c may" ;;
	*) complain "$2" "$3" "it is not in tests/calls.txt" ;;
	esac
}

modules=$(sed -n 's/^[a-z]* \([a-z]*\):.*/\1/p' tests/layers.txt)
for source in *.c; do
	echo "$modules" | grep -qx "${source%.c}" || {
		echo "$source: not in tests/layers.txt"
		rc=1
	}
done

while read -r kind module may; do
	case $kind in '' | '#') continue ;; esac
	module=${module%:}
	for name in $(needs "$module"); do
		owner=${name%%_*}
		if ! echo "$modules" | grep -qx "$owner"; then
			check_libc "$kind" "$module" "$name"
			continue
		fi
		case " $may " in
		*" $owner "*) ;;
		*) complain "$module" "$name" "tests/layers.txt" ;;
		esac
	done
done < tests/layers.txt

[ $rc -eq 0 ] && echo "ok layers"
exit $rc
