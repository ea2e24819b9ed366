/*
 * clean_text.c
 *		What others have said, made fit for messages, views and the log.
 *
 * Texts of libraries quote what servers have sent: names of hosts and topics, messages of
 * their own, subjects of certificates.  Those may be any bytes.  Names in schemas are
 * text, but may have control characters and any length.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "streaming.h"

#include "base/clean_text.h"

void
streaming_clean_text(char *text)
{
	int			encoding = GetDatabaseEncoding();
	size_t		left = strlen(text);

	while (left > 0)
	{
		int			length = (unsigned char) *text < 0x80 ? 1 :
			pg_encoding_verifymbchar(encoding, text, left);

		/* C1 controls are the two bytes 0xc2 0x80 to 0xc2 0x9f of UTF-8 */
		if (length < 1 || (unsigned char) *text < ' ' || *text == 0x7f ||
			(encoding == PG_UTF8 && (unsigned char) text[0] == 0xc2 && (unsigned char) text[1] < 0xa0))
		{
			length = Max(length, 1);
			memset(text, '?', length);
		}
		text += length;
		left -= length;
	}
}

char *
streaming_clean_copy(const char *text, size_t limit)
{
	char	   *copy = pnstrdup(text, limit);

	/* A character that is cut through at the limit is none any more. */
	streaming_clean_text(copy);
	return strlen(text) > limit ? psprintf("%s...", copy) : copy;
}
