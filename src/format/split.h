/*
 * split.h
 *		Where does a record of a file end?
 *
 * The contract is that of StreamingFormatRoutine.split (format.h), without the
 * decoder: nothing here knows the server, so it can be fuzzed on its own.  An
 * end of line is \n or \r\n, or, where the rule says so, \r.
 */
#ifndef STREAMING_SPLIT_H
#define STREAMING_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Length of the character of a multibyte encoding that begins at data; looks
 * at no more than the first two bytes.
 */
typedef int (*StreamingCharLength) (int encoding, const char *data);

typedef struct StreamingSplitRule
{
	char		quote;			/* CSV */
	char		escape;			/* CSV */
	bool		cr;				/* lines end in \r: CSV and text */

	/*
	 * Set for encodings that only clients can have (SJIS, BIG5, ...): bytes of
	 * theirs that look like ASCII can be the rest of a character.
	 */
	StreamingCharLength char_length;
	int			encoding;
} StreamingSplitRule;

/* Every end of line ends a record. */
extern size_t streaming_split_line(const char *data, size_t length, bool eof,
								   size_t *scanned, size_t *record_length);

/* As COPY in text format: an end of line after a backslash is data. */
extern size_t streaming_split_text(const StreamingSplitRule *rule,
								   const char *data, size_t length, bool eof,
								   size_t *scanned, size_t *record_length);

/* As COPY in CSV format: an end of line between quotes is data. */
extern size_t streaming_split_csv(const StreamingSplitRule *rule,
								  const char *data, size_t length, bool eof,
								  size_t *scanned, size_t *record_length);

/*
 * Do the lines of a file, which begins with data, end in \r?  As COPY, the first
 * end of a line tells.  Returns false if more bytes are needed to know; never
 * at eof.  rule->cr is not looked at.
 */
extern bool streaming_split_find_cr(const StreamingSplitRule *rule, bool csv,
									const char *data, size_t length, bool eof, bool *cr);

#endif							/* STREAMING_SPLIT_H */
