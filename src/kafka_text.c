/*
 * kafka_text.c
 *		What librdkafka says, made fit for messages, views and the log.
 *
 * Its texts quote what brokers have sent: names of hosts and topics, messages of
 * their own.  Those may be any bytes.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "streaming.h"

#include "kafka.h"

void
streaming_kafka_clean_text(char *text)
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
