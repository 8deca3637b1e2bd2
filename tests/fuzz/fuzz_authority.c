/* SPDX-License-Identifier: ISC */
/*
 * fuzz_authority.c - http_parse_authority, against recognise.h.
 *
 * All of the input is the authority.  Names do not depend on case, nor on one
 * trailing dot.
 */
#include "fuzz.h"
#include "recognise.h"

static bool
means(const char *text, size_t n, const struct target *wanted)
{
	struct target t;
	char *p = copy_of(text, n);
	bool same = http_parse_authority(p, n, &t) == NULL &&
	    recognise_same_target(&t, wanted);

	free(p);
	return same;
}

static void
check_case(const char *text, size_t n, const struct target *t)
{
	char *p = copy_of(text, n);
	size_t i;

	for (i = 0; i < n; i++)
		if (strchr(RECOGNISE_LETTERS, p[i]) != NULL)
			p[i] = (char)(p[i] ^ 0x20);
	/* 0X is as good as 0x, and IPv6 in upper case as in lower case. */
	must(means(p, n, t), "case does not matter");
	free(p);
}

/* Take the dot behind the name away, or put one there. */
static void
check_dot(const char *text, size_t n, const struct target *t)
{
	const char *colon = memchr(text, ':', n);
	size_t host = (size_t)(colon - text);
	char *p = room_for(n + 1);

	memcpy(p, text, host);
	if (text[host - 1] == '.')
		host--;
	else
		p[host++] = '.';
	memcpy(p + host, colon, n - (size_t)(colon - text));
	must(means(p, host + n - (size_t)(colon - text), t),
	    "one dot behind a name does not matter");
	free(p);
}

static void
check_name(const struct target *t)
{
	size_t i;

	must(t->name_len >= 1 && t->name_len <= NAME_MAX_LEN,
	    "a name has a length");
	must(t->name[t->name_len - 1] != '.', "a name has no trailing dot");
	must(dns_name_ok(t->name, t->name_len), "a name is one");
	for (i = 0; i < t->name_len; i++)
		must(recognise_lower(t->name[i]) == t->name[i],
		    "a name is in lower case");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *p = copy_of(data, size);
	struct target t, second;
	const char *error = http_parse_authority(p, size, &t);

	must((error == NULL) == recognise_authority(p, size, &second),
	    "accepted is what the second reading accepts");
	if (error != NULL)
		must(error[0] != '\0', "there is a reason");
	else {
		must(recognise_same_target(&t, &second),
		    "the second reading finds the same target");
		must(t.addr.port > 0, "there is a port");
		check_case(p, size, &t);
		if (t.addr.family == 0) {
			check_name(&t);
			check_dot(p, size, &t);
		}
	}
	free(p);
	return 0;
}
