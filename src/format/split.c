/*
 * split.c
 *		Where does a record of a file end?
 *
 * Like split.h, this knows nothing of the server, and so does not begin with
 * postgres.h.
 *
 * What is kept in *scanned between two calls is how many bytes were looked at,
 * shifted left, with what the rule needs to know about them in the low bits.
 */
#include "format/split.h"

#include <stdint.h>
#include <string.h>

#define STATE_BITS		2
#define STATE_IN_QUOTE	1		/* CSV: between quotes */
#define STATE_ESCAPE	2		/* CSV: the last byte was an escape; text: the
								 * last character was escaped */

static size_t found(const StreamingSplitRule *rule, const char *data, size_t newline,
					bool escaped_cr, size_t *record_length);
static size_t not_found(size_t length, size_t looked_at, unsigned state, bool eof,
						size_t *scanned, size_t *record_length);
static bool is_escaped(const char *data, size_t at);
static size_t count_byte(const char *data, size_t length, char byte);

bool
streaming_split_find_cr(const StreamingSplitRule *rule, bool csv,
						const char *data, size_t length, bool eof, bool *cr)
{
	size_t		(*split) (const StreamingSplitRule *, const char *, size_t, bool,
						  size_t *, size_t *) =
		csv ? streaming_split_csv : streaming_split_text;
	StreamingSplitRule by_cr = *rule;
	StreamingSplitRule by_newline = *rule;
	size_t		scanned = 0;
	size_t		record_length;
	size_t		end;
	size_t		newline;

	by_cr.cr = true;
	by_newline.cr = false;
	end = split(&by_cr, data, length, false, &scanned, &record_length);
	*cr = false;
	if (end == 0 || end == length)
	{
		/* No \r, or the last byte; a newline before it decides. */
		scanned = 0;
		newline = split(&by_newline, data, length, false, &scanned, &record_length);
		*cr = newline == 0 && end > 0;
		return newline > 0 || eof;
	}
	if (data[end] == '\n')
		return true;
	scanned = 0;
	newline = split(&by_newline, data, end, false, &scanned, &record_length);
	*cr = newline == 0;
	return true;
}

size_t
streaming_split_line(const char *data, size_t length, bool eof,
					 size_t *scanned, size_t *record_length)
{
	size_t		at = *scanned >> STATE_BITS;
	const char *newline = at < length ? memchr(data + at, '\n', length - at) : NULL;

	if (newline != NULL)
		return found(NULL, data, newline - data, false, record_length);
	return not_found(length, length, 0, eof, scanned, record_length);
}

size_t
streaming_split_text(const StreamingSplitRule *rule,
					 const char *data, size_t length, bool eof,
					 size_t *scanned, size_t *record_length)
{
	size_t		at = *scanned >> STATE_BITS;
	unsigned	state = *scanned & STATE_ESCAPE;
	char		terminator = rule->cr ? '\r' : '\n';

	if (rule->char_length == NULL)
	{
		while (at < length)
		{
			const char *newline = memchr(data + at, terminator, length - at);
			size_t		end;

			if (newline == NULL)
				break;
			end = newline - data;
			if (!is_escaped(data, end))
				return found(rule, data, end, end > 0 && is_escaped(data, end - 1), record_length);
			at = end + 1;
		}
		return not_found(length, length, 0, eof, scanned, record_length);
	}

	/* A backslash may be half a character: step from one to the next. */
	while (at < length)
	{
		size_t		step = 1;
		bool		backslash = data[at] == '\\';

		if (data[at] == terminator)
			return found(rule, data, at, state & STATE_ESCAPE, record_length);
		if (backslash)
		{
			/* It takes a whole character with it. */
			step++;
			if (length - at < 2)
				break;
		}
		if (data[at + step - 1] & 0x80)
		{
			if (length - at < step + 1)
				break;
			step += rule->char_length(rule->encoding, data + at + step - 1) - 1;
		}
		if (length - at < step)
			break;
		state = backslash ? STATE_ESCAPE : 0;
		at += step;
	}
	return not_found(length, at, state, eof, scanned, record_length);
}

size_t
streaming_split_csv(const StreamingSplitRule *rule,
					const char *data, size_t length, bool eof,
					size_t *scanned, size_t *record_length)
{
	size_t		at = *scanned >> STATE_BITS;
	unsigned	state = *scanned & (STATE_IN_QUOTE | STATE_ESCAPE);
	char		terminator = rule->cr ? '\r' : '\n';

	/* Doubled quotes need no care: they leave the quotes and enter them again. */
	if (rule->char_length == NULL && rule->escape == rule->quote)
	{
		while (at < length)
		{
			const char *newline = memchr(data + at, terminator, length - at);
			size_t		end = newline != NULL ? (size_t) (newline - data) : length;

			if (count_byte(data + at, end - at, rule->quote) & 1)
				state ^= STATE_IN_QUOTE;
			if (newline == NULL)
				break;
			if (!(state & STATE_IN_QUOTE))
				return found(rule, data, end, false, record_length);
			at = end + 1;
		}
		return not_found(length, length, state, eof, scanned, record_length);
	}

	/*
	 * An escape counts only between quotes, and only if it is not escaped
	 * itself.
	 */
	while (at < length)
	{
		char		c = data[at];
		size_t		step = 1;

		if ((c & 0x80) && rule->char_length != NULL)
		{
			if (length - at < 2)
				break;
			step = rule->char_length(rule->encoding, data + at);
			if (length - at < step)
				break;
			state &= ~STATE_ESCAPE;
			at += step;
			continue;
		}
		if (c == terminator && !(state & STATE_IN_QUOTE))
			return found(rule, data, at, false, record_length);
		if (rule->escape != rule->quote && (state & STATE_IN_QUOTE) && c == rule->escape)
			state ^= STATE_ESCAPE;
		else
		{
			if (c == rule->quote && !(state & STATE_ESCAPE))
				state ^= STATE_IN_QUOTE;
			state &= ~STATE_ESCAPE;
		}
		at++;
	}
	return not_found(length, at, state, eof, scanned, record_length);
}

/*
 * The record ends with the terminator at offset newline, and with a \r before
 * a \n, unless that is data.
 */
static size_t
found(const StreamingSplitRule *rule, const char *data, size_t newline, bool escaped_cr,
	  size_t *record_length)
{
	bool		cr = newline > 0 && data[newline - 1] == '\r' && !escaped_cr &&
		(rule == NULL || !rule->cr);

	*record_length = cr ? newline - 1 : newline;
	return newline + 1;
}

/* No end in what there is; looked_at bytes of it need no other look. */
static size_t
not_found(size_t length, size_t looked_at, unsigned state, bool eof,
		  size_t *scanned, size_t *record_length)
{
	if (eof)
	{
		*record_length = length;
		return length;
	}
	*scanned = looked_at << STATE_BITS | state;
	return 0;
}

/* Does an odd number of backslashes stand before data[at]? */
static bool
is_escaped(const char *data, size_t at)
{
	size_t		n = 0;

	while (n < at && data[at - 1 - n] == '\\')
		n++;
	return n & 1;
}

static size_t
count_byte(const char *data, size_t length, char byte)
{
	size_t		count = 0;

	/* Compilers turn this into vector instructions. */
	for (size_t i = 0; i < length; i++)
		count += data[i] == byte;
	return count;
}
