/*
 * fuzz_split.c
 *		Files are split into the same records however they arrive.
 *
 * The first two bytes of the input choose the rule and how many bytes arrive
 * at a time.
 */
#include "fuzz.h"

#include <string.h>

#include "format/split.h"

#define MAX_RECORDS 1024

/* Like Shift-JIS: bytes with the high bit set take another one with them. */
static int
two_bytes(int encoding, const char *data)
{
	unsigned char lead = (unsigned char) data[0];

	REQUIRE(encoding == 42);
	(void) *(volatile const char *) &data[1];	/* is that there to be read? */
	return lead >= 0xa1 && lead <= 0xdf ? 1 : (lead & 0x80) ? 2 : 1;
}

typedef struct Records
{
	int			n;
	size_t		start[MAX_RECORDS];
	size_t		length[MAX_RECORDS];
	size_t		end;			/* of the last one, with its terminator */
} Records;

static size_t
split(int kind, const StreamingSplitRule *rule, const char *data, size_t length, bool eof,
	  size_t *scanned, size_t *record_length)
{
	switch (kind)
	{
		case 0:
			return streaming_split_line(data, length, eof, scanned, record_length);
		case 1:
			return streaming_split_text(rule, data, length, eof, scanned, record_length);
		default:
			return streaming_split_csv(rule, data, length, eof, scanned, record_length);
	}
}

/* Splits data as a source would that reads step bytes at a time. */
static void
split_all(int kind, const StreamingSplitRule *rule, const char *data, size_t length, size_t step,
		  Records *records)
{
	size_t		have = 0;
	size_t		at = 0;
	size_t		scanned = 0;

	records->n = 0;
	while (at < length && records->n < MAX_RECORDS)
	{
		size_t		record_length = SIZE_MAX;
		size_t		taken = 0;

		if (have > at)
		{
			/* A copy, so that a byte read beyond it is noticed. */
			char	   *copy = malloc(have - at);

			memcpy(copy, data + at, have - at);
			taken = split(kind, rule, copy, have - at, have == length, &scanned, &record_length);
			free(copy);
		}
		if (taken == 0)
		{
			REQUIRE(have < length);
			have = length - have < step ? length : have + step;
			continue;
		}
		REQUIRE(taken <= have - at && record_length <= taken);
		records->start[records->n] = at;
		records->length[records->n++] = record_length;
		at += taken;
		scanned = 0;
	}
	records->end = at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char quotes[][2] = {{'"', '"'}, {'"', '\\'}, {'\'', '"'}, {'\\', '\\'}};
	static Records whole;
	static Records pieces;
	StreamingSplitRule rule;
	int			kind;
	size_t		step;

	if (size < 2 || size > 2048)
		return 0;
	memset(&rule, 0, sizeof(rule));
	kind = data[0] % 3;
	rule.quote = quotes[data[0] / 4 % 4][0];
	rule.escape = quotes[data[0] / 4 % 4][1];
	rule.cr = kind != 0 && (data[0] & 0x80);
	if (data[0] & 0x40)
	{
		rule.char_length = two_bytes;
		rule.encoding = 42;
	}
	step = data[1] % 32 + 1;
	data += 2;
	size -= 2;

	split_all(kind, &rule, (const char *) data, size, size, &whole);
	split_all(kind, &rule, (const char *) data, size, step, &pieces);
	REQUIRE(whole.n == pieces.n && whole.end == pieces.end);
	for (int i = 0; i < whole.n; i++)
		REQUIRE(whole.start[i] == pieces.start[i] && whole.length[i] == pieces.length[i]);
	REQUIRE(whole.n == MAX_RECORDS || whole.end == size);

	/* Only the last record can be without a terminator. */
	for (int i = 0; i < whole.n - 1; i++)
		REQUIRE(data[whole.start[i + 1] - 1] == (rule.cr ? '\r' : '\n'));

	/* The beginning of a file says the same as all of it, if it says anything. */
	if (kind != 0)
	{
		bool		cr;
		bool		early;

		REQUIRE(streaming_split_find_cr(&rule, kind == 2, (const char *) data, size, true, &cr));
		for (size_t length = 0; length <= size; length += step)
		{
			char	   *copy = malloc(length);

			memcpy(copy, data, length);
			if (streaming_split_find_cr(&rule, kind == 2, copy, length, false, &early))
				REQUIRE(early == cr);
			free(copy);
		}
	}
	return 0;
}
