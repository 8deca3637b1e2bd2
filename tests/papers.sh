#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Goal: the manuals, the sample, README and CHANGES say what is true of the
# program.
#
#	CONNECTD=./connectd sh tests/papers.sh
#
# Run it from the root of the source.  One line for each check, and in the end
# how many passed and failed; exit 1 if one failed.

LC_ALL=C
export LC_ALL
: "${CONNECTD:=./connectd}"

passed=0 failed=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/papers.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
conf=$tmp/connectd.conf

# ---- reporting ---------------------------------------------------------------

# report NAME: the check failed if something was written to $tmp/why.
report() {
	if [ -s "$tmp/why" ]; then
		failed=$((failed + 1))
		echo "FAILED $1"
		sed 's/^/	/' "$tmp/why"
	else
		passed=$((passed + 1))
		echo "ok $1"
	fi
	: > "$tmp/why"
}

why() {
	printf '%s\n' "$*" >> "$tmp/why"
}

# same_words A B WHERE_A WHERE_B: the files hold the same words, and some.
same_words() {
	sort -u "$1" > "$tmp/a"
	sort -u "$2" > "$tmp/b"
	[ -s "$tmp/a" ] || why "found none in $3"
	[ -s "$tmp/b" ] || why "found none in $4"
	comm -23 "$tmp/a" "$tmp/b" | sed "s/\$/: only in $3/" >> "$tmp/why"
	comm -13 "$tmp/a" "$tmp/b" | sed "s/\$/: only in $4/" >> "$tmp/why"
}

# ---- looking into files ------------------------------------------------------

# The lines of section $2 (and subsection $3) of the manual $1.
section() {
	awk -v sh="$2" -v ss="${3-}" '
		/^\.Sh / { at = substr($0, 5) == sh; sub_at = ss == "" }
		/^\.Ss / && ss != "" { sub_at = substr($0, 5) == ss }
		at && sub_at' "$1"
}

# The second word of those lines of a section that begin with $1.
words_after() {
	awk -v begin="$1" 'index($0, begin " ") == 1 {
		$0 = substr($0, length(begin) + 2); print $1 }'
}

# The names in the table $1 of config.c; with $2, only those that have (NULL)
# or have not (code) a NULL for their parser.
table() {
	awk -v begin="$1[] = {" -v which="$2" '
		index($0, begin) { at = 1; next }
		/^};/ { at = 0 }
		at && /^\t\{ "/ {
			has = index($0, "NULL }") > 0
			split($0, part, "\"")
			if (has == (which == "NULL"))
				print part[2]
		}' config.c
}

# accepts FILE: the program takes it as its configuration.
accepts() {
	"$CONNECTD" -n -f "$1" > "$tmp/out" 2>&1 < /dev/null
}

# ---- the checks --------------------------------------------------------------

lint() {
	if ! command -v mandoc > /dev/null; then
		echo "skipped: mandoc is not installed, $1 was not looked at"
		return
	fi
	mandoc -T lint -W style "$1" 2>&1 | grep -v \
	    -e 'referenced manual not found' \
	    -e 'outdated mandoc.db' >> "$tmp/why"
	report "mandoc finds nothing in $1"
}

sample() {
	grep '^#[a-z]' connectd.conf | sed 's/^#//' > "$tmp/lines"
	[ -s "$tmp/lines" ] || why "no directives found"
	while IFS= read -r line; do
		printf '%s\n' "$line" > "$conf"
		accepts "$conf" || why "$line: $(cat "$tmp/out")"
	done < "$tmp/lines"
	report "every directive of connectd.conf is accepted"

	accepts connectd.conf || why "$(cat "$tmp/out")"
	report "connectd.conf is accepted"

	sed 's/^#\([a-z]\)/\1/' connectd.conf > "$conf"
	accepts "$conf" || why "$(cat "$tmp/out")"
	report "connectd.conf is accepted with all directives in use"

	awk '{ print $1 }' "$tmp/lines" > "$tmp/sample"
	section connectd.conf.5 DIRECTIVES | words_after '.It Ic' > "$tmp/page"
	same_words "$tmp/sample" "$tmp/page" connectd.conf connectd.conf.5
	report "connectd.conf shows every directive of connectd.conf.5"
}

examples() {
	section connectd.conf.5 EXAMPLES | awk -v to="$tmp/example" '
		/^\.Bd -literal/ { file = to "." ++n; next }
		/^\.Ed/ { close(file); file = "" }
		file != "" { print > file }'
	count=0
	for file in "$tmp"/example.*; do
		[ -s "$file" ] || continue
		count=$((count + 1))
		accepts "$file" ||
		    why "example ${file##*.}: $(cat "$tmp/out")"
	done
	[ "$count" -ge 5 ] || why "found $count examples, 5 are expected"
	report "the examples of connectd.conf.5 are accepted"
}

# One letter a line.
one_by_one() {
	sed 's/./&\
/g' | sed '/^$/d'
}

options() {
	"$CONNECTD" -h 2>&1 < /dev/null | tr -s '][|, \t' '\n' |
	    sed -n 's/^-\([A-Za-z]*\)$/\1/p' | one_by_one > "$tmp/help"
	section connectd.8 DESCRIPTION | words_after '.It Fl' > "$tmp/page"
	same_words "$tmp/help" "$tmp/page" 'connectd -h' connectd.8
	report "connectd -h and connectd.8 have the same options"

	section connectd.8 SYNOPSIS | sed -n 's/ Ar .*//; s/^.*Fl //p' |
	    tr -cd 'A-Za-z\n' | one_by_one > "$tmp/synopsis"
	same_words "$tmp/synopsis" "$tmp/page" SYNOPSIS DESCRIPTION
	report "connectd.8 has the same options in SYNOPSIS and DESCRIPTION"
}

directives() {
	table directives code > "$tmp/code"
	section connectd.conf.5 DIRECTIVES | words_after '.It Ic' > "$tmp/page"
	same_words "$tmp/code" "$tmp/page" config.c connectd.conf.5
	report "config.c and connectd.conf.5 have the same directives"

	sed -n '/timeout_names\[.*= {/,/^};/s/.*= "\([a-z]*\)".*/\1/p' \
	    config.c > "$tmp/code"
	section connectd.conf.5 DIRECTIVES |
	    words_after '.It Ic timeout Cm' > "$tmp/page"
	same_words "$tmp/code" "$tmp/page" config.c connectd.conf.5
	report "config.c and connectd.conf.5 have the same timeouts"

	table rule_parts code > "$tmp/code"
	section connectd.conf.5 RULES | words_after '.Op Cm' > "$tmp/page"
	same_words "$tmp/code" "$tmp/page" config.c connectd.conf.5
	report "config.c and connectd.conf.5 have the same parts of rules"
}

# What stands in log lines and replies: the keys in "KEY=%s" or "KEY=-", the
# ends of tunnels ("client-fin") and the errors of RFC 9209 ("dns_error").
log_words() {
	awk '{
		while (match($0, /[a-z][a-z-]*=[%-]/)) {
			print substr($0, RSTART, RLENGTH - 2)
			$0 = substr($0, RSTART + RLENGTH)
		}
	}' tunnel.c connectd.c
	awk -F '"' '{
		for (i = 2; i <= NF; i += 2)
			if ($i ~ /^[a-z]+[_-][a-z_-]*[a-z]$/)
				print $i
	}' tunnel.c relay.c reach.c
}

log_lines() {
	log_words > "$tmp/code"
	for part in 'The line of a tunnel' Statistics; do
		section connectd.8 DIAGNOSTICS "$part" | words_after '.It Li'
	done > "$tmp/page"
	section connectd.8 DIAGNOSTICS Replies |
	    awk '/^\.It [0-9]/ { print $4 }' >> "$tmp/page"
	# Ends of one plain word cannot be told from other words.
	while read -r word; do
		grep -F "\"$word\"" tunnel.c relay.c reach.c > /dev/null &&
		    echo "$word"
	done < "$tmp/page" >> "$tmp/code"
	same_words "$tmp/code" "$tmp/page" 'the program' connectd.8
	report "connectd.8 explains every word of the log and of Proxy-Status"
}

# refuses WORDS...: the program says that these are not in this version.
refuses() {
	"$CONNECTD" "$@" > "$tmp/out" 2>&1 < /dev/null
	rc=$?
	[ "$rc" -eq 2 ] || why "$*: exit $rc, 2 is expected"
	grep 'in this version' "$tmp/out" > /dev/null ||
	    why "$*: does not say that it is not in this version"
}

not_yet() {
	section connectd.conf.5 CAVEATS 'Not in this version' > "$tmp/caveats"
	words_after '.It Ic' < "$tmp/caveats" | grep -v '^log$' > "$tmp/page"
	table directives NULL > "$tmp/code"
	same_words "$tmp/code" "$tmp/page" config.c connectd.conf.5
	while read -r word; do
		refuses -n -f /dev/null -o "$word x"
	done < "$tmp/page"
	refuses -n -f /dev/null -o 'log syslog'
	refuses -n -f /dev/null -o 'log /dev/null'
	report "directives that connectd.conf.5 calls missing are refused"

	words_after '.Cm' < "$tmp/caveats" > "$tmp/page"
	table rule_parts NULL > "$tmp/code"
	same_words "$tmp/code" "$tmp/page" config.c connectd.conf.5
	while read -r word; do
		refuses -n -f /dev/null -o "allow $word x"
	done < "$tmp/page"
	report "parts of rules that connectd.conf.5 calls missing are refused"

	section connectd.8 CAVEATS 'Not in this version' |
	    words_after '.Fl' > "$tmp/page"
	while read -r letter; do
		refuses -n -f /dev/null "-$letter" x
	done < "$tmp/page"
	report "options that connectd.8 calls missing are refused"
}

version() {
	version=$("$CONNECTD" -V 2> /dev/null < /dev/null |
	    sed -n 's/^connectd \([0-9][0-9.]*\)$/\1/p')
	[ -n "$version" ] || why "connectd -V says no version"
	sed 1q README | tr -s ' ' '\n' | grep -Fx "$version" > /dev/null ||
	    why "the first line of README does not say $version"
	awk '{ print $1 }' CHANGES | grep -Fx "$version" > /dev/null ||
	    why "CHANGES has no entry for $version"
	report "README and CHANGES name the version"
}

readme() {
	section connectd.conf.5 DIRECTIVES | words_after '.It Ic' |
	    sort -u > "$tmp/page"
	while read -r word; do
		grep "^    $word " README > /dev/null ||
		    why "$word: not in README"
	done < "$tmp/page"
	report "README shows every directive of connectd.conf.5"

	for file in *.c *.h; do
		echo "$file"
	done > "$tmp/files"
	sed -n 's/^    \([a-z]*\.[ch]\) .*/\1/p' README > "$tmp/page"
	same_words "$tmp/files" "$tmp/page" 'the directory' README
	report "README lists every source file"
}

width() {
	awk 'length > 80 { print "README:" FNR ": " length " columns" }' \
	    README >> "$tmp/why"
	report "README has at most 80 columns"
}

: > "$tmp/why"
if [ ! -x "$CONNECTD" ]; then
	why "there is no program $CONNECTD; CONNECTD names another"
	report "the program is there"
	echo "$passed passed, $failed failed"
	exit 1
fi
lint connectd.8
lint connectd.conf.5
sample
examples
options
directives
log_lines
not_yet
version
readme
width
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
