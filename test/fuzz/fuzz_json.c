/*
 * fuzz_json.c
 *		The JSON reader against a slow and simple one.
 *
 * The two must agree on what is valid, and on the values.  The record ends
 * where a page that cannot be read begins, so that a byte read beyond it is
 * noticed in libsimdjson as well, which has no sanitizers.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/json_reader.h"

#define MAX_INPUT	65536

static const StreamingJsonField wanted[] = {
	{"a", 1, false}, {"b", 1, false}, {"user_id", 7, true}, {"event_time", 10, false}, {"", 0, false},
	{"\xc3\xa9", 2, true}, {"a\"b\\", 4, true}, {"c", 1, true}, {"D", 1, true}
};

#define NWANTED (int) (sizeof(wanted) / sizeof(wanted[0]))

/* The simple reader: recursive descent over p .. end. */
typedef struct Simple
{
	const char *p;
	const char *end;
	int			depth;
	StreamingJsonValue values[NWANTED];
	bool		exact[NWANTED];
	bool		object;
} Simple;

static bool simple_value(Simple *s, StreamingJsonValue *value);

static void
skip_space(Simple *s)
{
	while (s->p < s->end && strchr(" \t\r\n", *s->p) != NULL && *s->p != '\0')
		s->p++;
}

static bool
take(Simple *s, char c)
{
	skip_space(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool
valid_utf8(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n;)
	{
		unsigned	c = p[i];
		unsigned	code;
		size_t		more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || more > n - i - 1)
			return false;
		code = c & (0xff >> (more == 0 ? 0 : more + 2));
		for (size_t k = 1; k <= more; k++)
		{
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i + k] & 0x3f);
		}
		if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
			(code >= 0xd800 && code <= 0xdfff))
			return false;
		i += more + 1;
	}
	return true;
}

/* After the opening quote. */
static bool
simple_string(Simple *s, StreamingJsonValue *value)
{
	value->data = s->p;
	value->kind = STREAMING_JSON_STRING;
	value->escaped = false;
	for (;; s->p++)
	{
		if (s->p == s->end || (unsigned char) *s->p < 0x20)
			return false;
		if (*s->p == '"')
			break;
		if (*s->p != '\\')
			continue;
		value->escaped = true;
		s->p++;
		if (s->p == s->end || *s->p == '\0' || strchr("\"\\/bfnrtu", *s->p) == NULL)
			return false;
		if (*s->p == 'u')
			for (int i = 0; i < 4; i++)
			{
				s->p++;
				if (s->p == s->end || *s->p == '\0' || strchr("0123456789abcdefABCDEF", *s->p) == NULL)
					return false;
			}
	}
	value->length = s->p - value->data;
	s->p++;
	return true;
}

static size_t
simple_digits(Simple *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p - start;
}

static bool
simple_number(Simple *s)
{
	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (simple_digits(s) == 0)
		return false;
	if (s->p < s->end && *s->p == '.')
	{
		s->p++;
		if (simple_digits(s) == 0)
			return false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E'))
	{
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (simple_digits(s) == 0)
			return false;
	}
	return true;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Which field is called so?  Resolves escapes as well. */
static int
simple_field(const StreamingJsonValue *key, bool *exact)
{
	char		name[64];
	size_t		length = key->length;
	StreamingJsonError error;

	if (length > sizeof(name))
		return -1;
	if (key->escaped)
	{
		if (!streaming_json_unescape(key->data, key->length, name, &length, &error))
			return -1;
	}
	else
		memcpy(name, key->data, length);
	*exact = true;
	for (int i = 0; i < NWANTED; i++)
		if (wanted[i].length == length && memcmp(wanted[i].name, name, length) == 0)
			return i;
	*exact = false;
	for (int i = 0; i < NWANTED; i++)
	{
		size_t		same = 0;

		while (wanted[i].any_case && wanted[i].length == length && same < length &&
			   lower(name[same]) == lower(wanted[i].name[same]))
			same++;
		if (same == length && wanted[i].any_case && wanted[i].length == length)
			return i;
	}
	return -1;
}

static bool
simple_nested(Simple *s, char close)
{
	bool		root = s->depth == 0;

	if (++s->depth >= STREAMING_JSON_MAX_DEPTH)
		return false;
	if (!take(s, close))
	{
		do
		{
			StreamingJsonValue key;
			StreamingJsonValue value;
			int			field;
			bool		exact;

			if (close == '}' && (!take(s, '"') || !simple_string(s, &key) || !take(s, ':')))
				return false;
			if (!simple_value(s, &value))
				return false;
			if (root && close == '}' && (field = simple_field(&key, &exact)) >= 0 &&
				(exact || !s->exact[field]))
			{
				s->values[field] = value;
				s->exact[field] = exact;
			}
		} while (take(s, ','));
		if (!take(s, close))
			return false;
	}
	s->depth--;
	return true;
}

static bool
simple_value(Simple *s, StreamingJsonValue *value)
{
	const char *start;

	skip_space(s);
	if (s->p == s->end)
		return false;
	start = s->p;
	value->data = start;
	value->escaped = false;
	if (take(s, '"'))
		return simple_string(s, value);
	if (take(s, '{') || take(s, '['))
	{
		if (!simple_nested(s, *start == '{' ? '}' : ']'))
			return false;
		value->kind = STREAMING_JSON_NESTED;
	}
	else if (*start == '-' || (*start >= '0' && *start <= '9'))
	{
		if (!simple_number(s))
			return false;
		value->kind = STREAMING_JSON_NUMBER;
	}
	else
	{
		static const char *const words[] = {"true", "false", "null"};
		int			i = 0;

		while (i < 3 && ((size_t) (s->end - start) < strlen(words[i]) ||
						 memcmp(start, words[i], strlen(words[i])) != 0))
			i++;
		if (i == 3)
			return false;
		s->p += strlen(words[i]);
		value->kind = i == 2 ? STREAMING_JSON_NULL : STREAMING_JSON_BOOL;
	}
	value->length = s->p - start;
	return true;
}

static bool
simple_read(Simple *s, const char *data, size_t length)
{
	StreamingJsonValue ignored;

	memset(s, 0, sizeof(Simple));
	s->p = data;
	s->end = data + length;
	skip_space(s);
	s->object = s->p < s->end && *s->p == '{';
	if (!s->object || !valid_utf8((const unsigned char *) data, length) || !simple_value(s, &ignored))
		return false;
	skip_space(s);
	return s->p == s->end;
}

/* A copy of the input that ends at a page that cannot be touched. */
static const char *
at_page_end(const uint8_t *data, size_t size)
{
	static char *page;
	char	   *copy;

	if (page == NULL)
	{
		page = mmap(NULL, MAX_INPUT + sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(page != MAP_FAILED);
		REQUIRE(mprotect(page + MAX_INPUT, sysconf(_SC_PAGESIZE), PROT_NONE) == 0);
	}
	copy = page + MAX_INPUT - size;
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

static void
check_unescaped(const StreamingJsonValue *value)
{
	char	   *out = malloc(value->length);	/* exactly the room that is promised */
	size_t		length;
	StreamingJsonError error;

	if (streaming_json_unescape(value->data, value->length, out, &length, &error))
	{
		REQUIRE(length <= value->length);
		REQUIRE(valid_utf8((unsigned char *) out, length));
		REQUIRE(memchr(out, '\0', length) == NULL);
	}
	else
		REQUIRE(error.detail != NULL);
	free(out);
}

static void
check_values(const StreamingJsonValue *values, const Simple *simple)
{
	for (int i = 0; i < NWANTED; i++)
	{
		REQUIRE(values[i].kind == simple->values[i].kind);
		if (values[i].kind == STREAMING_JSON_ABSENT)
			continue;
		REQUIRE(values[i].data == simple->values[i].data);
		REQUIRE(values[i].length == simple->values[i].length);
		REQUIRE(values[i].escaped == simple->values[i].escaped);
		if (values[i].escaped)
			check_unescaped(&values[i]);
	}
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static StreamingJsonReader *reader; /* keeps its guesses between records */
	static StreamingJsonReader *inner;	/* of the members of the first field */
	static StreamingJsonValue inner_values[NWANTED];
	StreamingJsonValue values[NWANTED];
	StreamingJsonError error;
	const char *record;
	Simple		simple;
	bool		valid;

	if (size > MAX_INPUT)
		return 0;
	if (reader == NULL)
	{
		REQUIRE((reader = streaming_json_reader_create(wanted, NWANTED)) != NULL);
		REQUIRE((inner = streaming_json_reader_create(wanted, NWANTED)) != NULL);
		streaming_json_reader_nest(reader, 0, inner, inner_values);
	}
	record = at_page_end(data, size);

	valid = simple_read(&simple, record, size);
	memset(&error, 0, sizeof(error));
	REQUIRE(streaming_json_read(reader, record, size, values, &error) == valid);
	if (!valid)
	{
		REQUIRE(error.code != STREAMING_JSON_OK && error.detail != NULL);
		REQUIRE(error.code != STREAMING_JSON_NOT_OBJECT || !simple.object);
		REQUIRE(error.offset == (size_t) -1 || error.offset <= size);
		return 0;
	}
	check_values(values, &simple);
	if (values[0].kind == STREAMING_JSON_NESTED && values[0].data[0] == '{')
	{
		REQUIRE(simple_read(&simple, values[0].data, values[0].length));
		check_values(inner_values, &simple);
	}
	return 0;
}
