/*
 * json_reader.cc
 *		Reads the wanted members of one JSON object, and validates all of it.
 *
 * simdjson's first stage does what vector instructions are good at: it checks
 * UTF-8, finds the strings, refuses raw control characters in them, and lists
 * where each token begins (a string counts as one token; white space is left
 * out).  From there on we walk that list ourselves rather than with simdjson's
 * On-Demand API: that one does not validate the values it skips, and the ends
 * of strings, which it scans for, follow from where the next token begins.  A
 * record costs the first stage and a few instructions a token.
 *
 * Of simdjson only what 1.0 and all later versions share is used: the
 * implementation object and its stage1().  It picks the kernel for the CPU at
 * run time and reads exactly the bytes it is given, so records need no
 * padding.
 *
 * The grammar is that of the server's type json.  Where a string has escapes
 * they are checked as json_in does (syntax only: \u0000 and lone surrogates
 * are for who wants the string).
 */
#include "format/json_reader.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include <simdjson.h>

/* Index memory (4 bytes a byte of record) beyond this is not kept. */
static const size_t KEEP_CAPACITY = 4 * 1024 * 1024;
static const size_t MIN_CAPACITY = 16 * 1024;

/* Keys beyond these limits are looked up each time. */
static const uint32_t MAX_GUESSES = 128;
static const uint32_t MAX_GUESS_LENGTH = 56;

/*
 * What the n'th member was called in the last record.  Records of a stream
 * mostly have the same members in the same order, so one comparison tells
 * which field a key is, or that nobody wants it.
 */
struct Guess
{
	int32_t		field;			/* -1: not wanted */
	bool		exact;			/* it is the field's very name */
	uint32_t	length;			/* UINT32_MAX: no guess */
	char		name[MAX_GUESS_LENGTH];
};

struct Name
{
	const char *data;
	size_t		length;
	bool		any_case;
	StreamingJsonReader *members;	/* of an object there; nullptr: nobody wants them */
	StreamingJsonValue *values; /* theirs */
};

struct StreamingJsonReader
{
	std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
	size_t		capacity;

	int			nfields;
	Name	   *names;
	char	   *name_bytes;
	size_t		max_name;		/* length of the longest */
	int32_t    *buckets;		/* by folded name, open addressing; -1: free */
	uint32_t	bucket_mask;

	Guess		guesses[MAX_GUESSES];
};

namespace
{

/* One record under way. */
struct Walk
{
	const char *data;
	const uint32_t *token;		/* the next */
	const uint32_t *end;		/* *end is the length of the record */
	bool		escapes;		/* is there a backslash anywhere? */
	StreamingJsonError *error;
};

inline bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

inline bool
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

inline int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* memcmp() == 0, without a call for what keys are. */
inline bool
same_bytes(const char *a, const char *b, size_t n)
{
	uint64_t	x,
				y;

	if (n >= 8)
	{
		size_t		i = 0;

		for (; i + 8 <= n; i += 8)
		{
			memcpy(&x, a + i, 8);
			memcpy(&y, b + i, 8);
			if (x != y)
				return false;
		}
		memcpy(&x, a + n - 8, 8);
		memcpy(&y, b + n - 8, 8);
		return x == y;
	}
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

inline unsigned char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Of names that differ in case only, the same. */
inline uint32_t
hash_folded(const char *data, size_t length)
{
	uint32_t	h = 2166136261u ^ (uint32_t) length;

	for (size_t i = 0; i < length; i++)
		h = (h ^ fold(data[i])) * 16777619u;
	return h ^ (h >> 15);
}

inline bool
same_folded(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fold(a[i]) != fold(b[i]))
			return false;
	return true;
}

bool
fail(StreamingJsonError *error, StreamingJsonErrorCode code, const char *detail, size_t offset)
{
	error->code = code;
	error->detail = detail;
	error->offset = offset;
	return false;
}

/* Failure at the next token, or at the end of the record. */
bool
fail_at_token(Walk *w, const char *detail)
{
	if (w->token >= w->end)
		return fail(w->error, STREAMING_JSON_SYNTAX, "The input string ended unexpectedly", *w->end);
	return fail(w->error, STREAMING_JSON_SYNTAX, detail, *w->token);
}

/* Are the escapes of a string well-formed?  *escaped tells if there are any. */
bool
check_escapes(Walk *w, const char *string, size_t length, bool *escaped)
{
	const char *end = string + length;
	const char *p = (const char *) memchr(string, '\\', length);

	*escaped = p != nullptr;
	while (p != nullptr)
	{
		const char *escape = p++;

		/* A string does not end in an odd backslash: its quote were escaped. */
		switch (*p)
		{
			case '"':
			case '\\':
			case '/':
			case 'b':
			case 'f':
			case 'n':
			case 'r':
			case 't':
				p++;
				break;
			case 'u':
				p++;
				for (int i = 0; i < 4; i++, p++)
					if (p >= end || hex_value(*p) < 0)
						return fail(w->error, STREAMING_JSON_SYNTAX,
									"\"\\u\" must be followed by four hexadecimal digits",
									escape - w->data);
				break;
			default:
				return fail(w->error, STREAMING_JSON_SYNTAX, "Escape sequence is invalid",
							escape - w->data);
		}
		p = (const char *) memchr(p, '\\', end - p);
	}
	return true;
}

/*
 * The string that begins at offset start and was the last token taken.  Only
 * white space can stand between its closing quote and the next token.
 */
inline bool
read_string(Walk *w, size_t start, const char **string, size_t *length, bool *escaped)
{
	const char *close = w->data + *w->token - 1;

	while (*close != '"')
		close--;
	*string = w->data + start + 1;
	*length = close - *string;
	*escaped = false;
	return !w->escapes || check_escapes(w, *string, *length, escaped);
}

/* Nothing but white space from p to the next token? */
inline bool
ends_token(const Walk *w, const char *p)
{
	const char *next = w->data + *w->token;

	while (p < next && is_space(*p))
		p++;
	return p == next;
}

/* The number that begins at p and was the last token taken. */
bool
read_number(Walk *w, const char *start, size_t *length)
{
	const char *limit = w->data + *w->end;
	const char *p = start;

	if (*p == '-')
		p++;
	if (p < limit && *p == '0')
		p++;
	else
	{
		const char *digits = p;

		while (p < limit && is_digit(*p))
			p++;
		if (p == digits)
			goto invalid;
	}
	if (p < limit && *p == '.')
	{
		const char *digits = ++p;

		while (p < limit && is_digit(*p))
			p++;
		if (p == digits)
			goto invalid;
	}
	if (p < limit && (*p | 0x20) == 'e')
	{
		const char *digits;

		p++;
		if (p < limit && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		while (p < limit && is_digit(*p))
			p++;
		if (p == digits)
			goto invalid;
	}
	*length = p - start;
	if (ends_token(w, p))
		return true;

invalid:
	return fail(w->error, STREAMING_JSON_SYNTAX, "Token is invalid", start - w->data);
}

/* true, false or null, which began at p and was the last token taken. */
bool
read_literal(Walk *w, const char *start, StreamingJsonKind *kind, size_t *length)
{
	size_t		available = *w->end - (start - w->data);

	*kind = STREAMING_JSON_BOOL;
	if (available >= 4 && memcmp(start, "true", 4) == 0)
		*length = 4;
	else if (available >= 5 && memcmp(start, "false", 5) == 0)
		*length = 5;
	else if (available >= 4 && memcmp(start, "null", 4) == 0)
	{
		*length = 4;
		*kind = STREAMING_JSON_NULL;
	}
	else
		return fail(w->error, STREAMING_JSON_SYNTAX, "Token is invalid", start - w->data);
	if (!ends_token(w, start + *length))
		return fail(w->error, STREAMING_JSON_SYNTAX, "Token is invalid", start - w->data);
	return true;
}

/* A scalar whose first token was the last one taken. */
inline bool
read_scalar(Walk *w, size_t start, StreamingJsonValue *value)
{
	const char *p = w->data + start;

	value->data = p;
	value->escaped = false;
	switch (*p)
	{
		case '"':
			value->kind = STREAMING_JSON_STRING;
			return read_string(w, start, &value->data, &value->length, &value->escaped);
		case '-':
		case '0':
		case '1':
		case '2':
		case '3':
		case '4':
		case '5':
		case '6':
		case '7':
		case '8':
		case '9':
			value->kind = STREAMING_JSON_NUMBER;
			return read_number(w, p, &value->length);
		case 't':
		case 'f':
		case 'n':
			return read_literal(w, p, &value->kind, &value->length);
		case '}':
		case ']':
		case ',':
		case ':':
			return fail(w->error, STREAMING_JSON_SYNTAX, "Expected JSON value", start);
		default:
			return fail(w->error, STREAMING_JSON_SYNTAX, "Token is invalid", start);
	}
}

/* A key and its colon. */
inline bool
read_key(Walk *w, const char **key, size_t *length, bool *escaped)
{
	size_t		start;

	if (w->token >= w->end || w->data[*w->token] != '"')
		return fail_at_token(w, "Expected string");
	start = *w->token++;
	if (!read_string(w, start, key, length, escaped))
		return false;
	if (w->token >= w->end || w->data[*w->token] != ':')
		return fail_at_token(w, "Expected \":\"");
	w->token++;
	return true;
}

/*
 * Walks the object or array whose bracket was the last token taken, with all
 * that is in it.  level: of the object around it, the root's being 1.
 */
bool
walk_nested(Walk *w, char bracket, int level)
{
	uint64_t	is_object[STREAMING_JSON_MAX_DEPTH / 64] = {0};
	int			depth = 0;		/* of the innermost that is open; 0: ours */
	bool		in_object;
	StreamingJsonValue ignored;
	const char *key;
	size_t		key_length;
	bool		escaped;
	char		c;

open:
	in_object = bracket == '{';
	if (in_object)
		is_object[depth / 64] |= UINT64_C(1) << (depth % 64);
	else
		is_object[depth / 64] &= ~(UINT64_C(1) << (depth % 64));
	if (w->token < w->end && w->data[*w->token] == (in_object ? '}' : ']'))
	{
		w->token++;
		goto close;
	}

element:
	if (in_object && !read_key(w, &key, &key_length, &escaped))
		return false;
	if (w->token >= w->end)
		return fail_at_token(w, nullptr);
	c = w->data[*w->token];
	if (c == '{' || c == '[')
	{
		if (++depth >= STREAMING_JSON_MAX_DEPTH - level)
			return fail(w->error, STREAMING_JSON_TOO_LONG, "Objects and arrays are nested too deeply",
						*w->token);
		w->token++;
		bracket = c;
		goto open;
	}
	if (!read_scalar(w, *w->token++, &ignored))
		return false;

after:
	if (w->token >= w->end)
		return fail_at_token(w, nullptr);
	c = w->data[*w->token];
	if (c == ',')
	{
		w->token++;
		goto element;
	}
	if (c != (in_object ? '}' : ']'))
		return fail_at_token(w, in_object ? "Expected \",\" or \"}\"" : "Expected \",\" or \"]\"");
	w->token++;

close:
	if (depth-- == 0)
		return true;
	in_object = (is_object[depth / 64] >> (depth % 64)) & 1;
	goto after;
}

/* Which field is called so?  -1: none. */
int
find_name(const StreamingJsonReader *reader, const char *name, size_t length, bool *exact)
{
	int			other = -1;

	*exact = false;
	if (length > reader->max_name)
		return -1;
	for (uint32_t b = hash_folded(name, length) & reader->bucket_mask;;
		 b = (b + 1) & reader->bucket_mask)
	{
		int32_t		field = reader->buckets[b];

		if (field < 0)
			return other;
		if (reader->names[field].length != length)
			continue;
		if (same_bytes(reader->names[field].data, name, length))
		{
			*exact = true;
			return field;
		}
		if (reader->names[field].any_case && same_folded(reader->names[field].data, name, length))
			other = field;
	}
}

/*
 * Which field does a key name that was not guessed?  Corrects the guess, if it
 * is one that is kept.
 */
int
find_key(StreamingJsonReader *reader, const char *key, size_t length, bool escaped, Guess *guess,
		 bool *exact)
{
	int			field;

	if (escaped)
	{
		/* An escape takes at most 6 bytes for each byte that it means. */
		char		buffer[1024];
		size_t		unescaped;
		StreamingJsonError ignored;
		char	   *out = buffer;

		if (length / 6 > reader->max_name)
			return -1;
		if (length > sizeof(buffer) && (out = (char *) malloc(length)) == nullptr)
			return -2;
		field = streaming_json_unescape(key, length, out, &unescaped, &ignored) ?
			find_name(reader, out, unescaped, exact) : -1;
		if (out != buffer)
			free(out);
		return field;
	}

	field = find_name(reader, key, length, exact);
	if (guess != nullptr && length <= MAX_GUESS_LENGTH)
	{
		guess->field = field;
		guess->exact = *exact;
		guess->length = (uint32_t) length;
		memcpy(guess->name, key, length);
	}
	return field;
}

inline void
forget(const StreamingJsonReader *reader, StreamingJsonValue *values)
{
	for (int i = 0; i < reader->nfields; i++)
	{
		values[i].kind = STREAMING_JSON_ABSENT;
		values[i].exact = false;
	}
}

bool		walk_object(StreamingJsonReader *reader, Walk *w, StreamingJsonValue *values, int level);

/*
 * The object or array that is a member of one of a level, as a value.  name: of the
 * field that it is; nullptr: of none.
 */
bool
walk_member(Walk *w, char bracket, const Name *name, StreamingJsonValue *value, int level)
{
	size_t		start = *w->token++;

	if (level >= STREAMING_JSON_MAX_DEPTH)
		return fail(w->error, STREAMING_JSON_TOO_LONG, "Objects and arrays are nested too deeply", start);
	if (bracket == '{' && name != nullptr && name->members != nullptr)
	{
		forget(name->members, name->values);
		if (!walk_object(name->members, w, name->values, level + 1))
			return false;
	}
	else if (!walk_nested(w, bracket, level))
		return false;
	value->kind = STREAMING_JSON_NESTED;
	value->escaped = false;
	value->data = w->data + start;
	value->length = w->token[-1] + 1 - start;
	return true;
}

/*
 * The object whose brace was the last token taken.  It is at a level, the root's being 1;
 * no deeper than that do we recurse as fields are wanted there.
 */
bool
walk_object(StreamingJsonReader *reader, Walk *w, StreamingJsonValue *values, int level)
{
	StreamingJsonValue unwanted;
	uint32_t	member = 0;
	const char *key;
	size_t		length;
	bool		escaped;
	char		c;

	if (w->token < w->end && w->data[*w->token] == '}')
	{
		w->token++;
		return true;
	}

	for (;; member++)
	{
		Guess	   *guess = member < MAX_GUESSES ? &reader->guesses[member] : nullptr;
		StreamingJsonValue *value = &unwanted;
		const Name *name = nullptr;
		int			field;
		bool		exact = false;

		if (!read_key(w, &key, &length, &escaped))
			return false;
		if (guess != nullptr && guess->length == length && same_bytes(guess->name, key, length))
		{
			field = guess->field;	/* a name has no backslash unless escaped */
			exact = guess->exact;
		}
		else
			field = find_key(reader, key, length, escaped, guess, &exact);
		if (field == -2)
			return fail(w->error, STREAMING_JSON_NO_MEMORY, "Out of memory", (size_t) -1);
		if (field >= 0 && (exact || !values[field].exact))
		{
			value = &values[field];
			name = &reader->names[field];
		}
		value->exact = exact;

		if (w->token >= w->end)
			return fail_at_token(w, nullptr);
		c = w->data[*w->token];
		if (c == '{' || c == '[')
		{
			if (!walk_member(w, c, name, value, level))
				return false;
		}
		else if (!read_scalar(w, *w->token++, value))
			return false;

		if (w->token >= w->end)
			return fail_at_token(w, nullptr);
		c = w->data[*w->token];
		if (c == '}')
		{
			w->token++;
			return true;
		}
		if (c != ',')
			return fail_at_token(w, "Expected \",\" or \"}\"");
		w->token++;
	}
}

/* The root object, from its brace on. */
bool
walk_root(StreamingJsonReader *reader, Walk *w, StreamingJsonValue *values)
{
	char		c = w->data[*w->token];

	if (c == '[' || c == '"' || c == '-' || is_digit(c) || c == 't' || c == 'f' || c == 'n')
		return fail(w->error, STREAMING_JSON_NOT_OBJECT, "A record must be a JSON object", *w->token);
	if (c != '{')
		return fail_at_token(w, "Token is invalid");
	w->token++;
	if (!walk_object(reader, w, values, 1))
		return false;
	if (w->token < w->end)
		return fail_at_token(w, "Expected end of input");
	return true;
}

/* Sees to index memory for a record of length bytes. */
bool
reserve(StreamingJsonReader *reader, size_t length)
{
	size_t		capacity = reader->capacity;

	/* A huge record is a rare one: give its memory back after it. */
	if (length <= capacity && (capacity <= KEEP_CAPACITY || length > KEEP_CAPACITY))
		return true;
	if (capacity > KEEP_CAPACITY)
		capacity = MIN_CAPACITY;
	while (capacity < length)
		capacity *= 2;
	if (reader->parser->set_capacity(capacity) != simdjson::SUCCESS)
	{
		/* set_capacity may have freed what there was. */
		reader->capacity = 0;
		return false;
	}
	reader->capacity = capacity;
	return true;
}

bool
fail_stage1(StreamingJsonError *error, simdjson::error_code code, size_t length)
{
	switch (code)
	{
		case simdjson::UTF8_ERROR:
			return fail(error, STREAMING_JSON_ENCODING, "The record is not valid UTF-8", (size_t) -1);
		case simdjson::UNCLOSED_STRING:
			return fail(error, STREAMING_JSON_SYNTAX, "A string is not closed", length);
		case simdjson::UNESCAPED_CHARS:
			return fail(error, STREAMING_JSON_SYNTAX,
						"A control character in a string is not escaped", (size_t) -1);
		case simdjson::EMPTY:
			return fail(error, STREAMING_JSON_SYNTAX, "The input string ended unexpectedly", length);
		case simdjson::MEMALLOC:
			return fail(error, STREAMING_JSON_NO_MEMORY, "Out of memory", (size_t) -1);
		default:
			return fail(error, STREAMING_JSON_SYNTAX, "The record is not valid JSON", (size_t) -1);
	}
}

}								/* namespace */

extern "C" StreamingJsonReader *
streaming_json_reader_create(const StreamingJsonField *fields, int nfields)
{
	StreamingJsonReader *reader = new (std::nothrow) StreamingJsonReader();
	uint32_t	nbuckets = 4;
	size_t		bytes = 1;
	char	   *next;

	if (reader == nullptr)
		return nullptr;
	while (nbuckets < 2 * (uint32_t) nfields)
		nbuckets *= 2;
	for (int i = 0; i < nfields; i++)
		bytes += fields[i].length;

	reader->nfields = nfields;
	reader->bucket_mask = nbuckets - 1;
	reader->names = (Name *) malloc(sizeof(Name) * (nfields + 1));
	reader->name_bytes = (char *) malloc(bytes);
	reader->buckets = (int32_t *) malloc(sizeof(int32_t) * nbuckets);
	if (reader->names == nullptr || reader->name_bytes == nullptr || reader->buckets == nullptr ||
		simdjson::get_active_implementation()->create_dom_parser_implementation(MIN_CAPACITY, 1,
																				reader->parser) != simdjson::SUCCESS)
	{
		streaming_json_reader_destroy(reader);
		return nullptr;
	}
	reader->capacity = MIN_CAPACITY;

	for (uint32_t b = 0; b < nbuckets; b++)
		reader->buckets[b] = -1;
	next = reader->name_bytes;
	for (int i = 0; i < nfields; i++)
	{
		uint32_t	b = hash_folded(fields[i].name, fields[i].length) & reader->bucket_mask;

		memcpy(next, fields[i].name, fields[i].length);
		reader->names[i].data = next;
		reader->names[i].length = fields[i].length;
		reader->names[i].any_case = fields[i].any_case;
		reader->names[i].members = nullptr;
		reader->names[i].values = nullptr;
		next += fields[i].length;
		if (fields[i].length > reader->max_name)
			reader->max_name = fields[i].length;
		while (reader->buckets[b] >= 0)
			b = (b + 1) & reader->bucket_mask;
		reader->buckets[b] = i;
	}
	for (uint32_t i = 0; i < MAX_GUESSES; i++)
		reader->guesses[i].length = UINT32_MAX;
	return reader;
}

extern "C" void
streaming_json_reader_nest(StreamingJsonReader *reader, int field, StreamingJsonReader *members,
						   StreamingJsonValue *values)
{
	reader->names[field].members = members;
	reader->names[field].values = values;
}

extern "C" void
streaming_json_reader_destroy(StreamingJsonReader *reader)
{
	if (reader == nullptr)
		return;
	free(reader->names);
	free(reader->name_bytes);
	free(reader->buckets);
	delete		reader;
}

extern "C" bool
streaming_json_read(StreamingJsonReader *reader, const char *data, size_t length,
					StreamingJsonValue *values, StreamingJsonError *error)
{
	simdjson::error_code code;
	Walk		w;

	if (length > STREAMING_JSON_MAX_LENGTH)
		return fail(error, STREAMING_JSON_TOO_LONG, "The record is too long", length);
	if (!reserve(reader, length))
		return fail(error, STREAMING_JSON_NO_MEMORY, "Out of memory", (size_t) -1);

	code = reader->parser->stage1((const uint8_t *) data, length, simdjson::stage1_mode::regular);
	if (code != simdjson::SUCCESS)
		return fail_stage1(error, code, length);

	forget(reader, values);
	w.data = data;
	w.token = reader->parser->structural_indexes.get();
	w.end = w.token + reader->parser->n_structural_indexes;
	w.escapes = memchr(data, '\\', length) != nullptr;
	w.error = error;
	return walk_root(reader, &w, values);
}

extern "C" bool
streaming_json_unescape(const char *data, size_t length,
						char *out, size_t *out_length, StreamingJsonError *error)
{
	const char *p = data;
	const char *end = data + length;
	char	   *o = out;
	uint32_t	high = 0;		/* a surrogate that waits for its other half */

	while (p < end)
	{
		const char *escape = (const char *) memchr(p, '\\', end - p);
		uint32_t	c;

		if (escape == nullptr)
			escape = end;
		if (escape > p)
		{
			if (high != 0)
				goto lone;
			memmove(o, p, escape - p);	/* out may be data */
			o += escape - p;
		}
		if (escape == end)
			break;
		p = escape + 2;
		switch (escape[1])
		{
			case 'b':
				c = '\b';
				break;
			case 'f':
				c = '\f';
				break;
			case 'n':
				c = '\n';
				break;
			case 'r':
				c = '\r';
				break;
			case 't':
				c = '\t';
				break;
			case 'u':
				c = 0;
				for (int i = 0; i < 4; i++)
					c = c << 4 | (uint32_t) hex_value(*p++);
				break;
			default:
				c = (unsigned char) escape[1];
				break;
		}

		if (c >= 0xd800 && c <= 0xdbff)
		{
			if (high != 0)
				return fail(error, STREAMING_JSON_SYNTAX,
							"Unicode high surrogate must not follow a high surrogate", (size_t) -1);
			high = c;
			continue;
		}
		if (c >= 0xdc00 && c <= 0xdfff)
		{
			if (high == 0)
				goto lone;
			c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00);
			high = 0;
			*o++ = (char) (0xf0 | c >> 18);
			*o++ = (char) (0x80 | (c >> 12 & 0x3f));
			*o++ = (char) (0x80 | (c >> 6 & 0x3f));
			*o++ = (char) (0x80 | (c & 0x3f));
			continue;
		}
		if (high != 0)
			goto lone;
		if (c == 0)
			return fail(error, STREAMING_JSON_UNTRANSLATABLE, "\\u0000 cannot be converted to text",
						(size_t) -1);
		if (c < 0x80)
			*o++ = (char) c;
		else if (c < 0x800)
		{
			*o++ = (char) (0xc0 | c >> 6);
			*o++ = (char) (0x80 | (c & 0x3f));
		}
		else
		{
			*o++ = (char) (0xe0 | c >> 12);
			*o++ = (char) (0x80 | (c >> 6 & 0x3f));
			*o++ = (char) (0x80 | (c & 0x3f));
		}
	}

	if (high != 0)
		goto lone;
	*out_length = o - out;
	return true;

lone:
	return fail(error, STREAMING_JSON_SYNTAX, "Unicode low surrogate must follow a high surrogate",
				(size_t) -1);
}
