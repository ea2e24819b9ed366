/*
 * kafka_messages.c
 *		Messages that a poll of a Kafka source has got, and their headers.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "streaming.h"

#include "source/kafka_messages.h"

/* A header of a message. */
typedef struct Header
{
	const char *name;
	const void *value;			/* NULL: null */
	size_t		size;
	size_t		number;
	size_t		first;			/* number of the first one of its name */
} Header;

/* ------------------------------------------------------------------------
 * Messages
 * ------------------------------------------------------------------------ */

void
streaming_kafka_messages_open(StreamingKafkaMessages *messages, StreamingKafka *client)
{
	messages->queue = rd_kafka_queue_new(streaming_kafka_handle(client));
	streaming_kafka_watch_queue(client, messages->queue);
}

void
streaming_kafka_messages_begin(StreamingKafkaMessages *messages, int max)
{
	rd_kafka_message_t **grown;

	streaming_kafka_messages_release(messages);
	if (max <= messages->allocated)
		return;
	grown = realloc(messages->messages, sizeof(rd_kafka_message_t *) * max);
	if (grown == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	messages->messages = grown;
	messages->allocated = max;
}

int
streaming_kafka_messages_take(StreamingKafkaMessages *messages, int max)
{
	ssize_t		n = rd_kafka_consume_batch_queue(messages->queue, 0, messages->messages, max);

	messages->n = Max(n, 0);
	return messages->n;
}

void
streaming_kafka_messages_release(StreamingKafkaMessages *messages)
{
	for (int i = 0; i < messages->n; i++)
		rd_kafka_message_destroy(messages->messages[i]);
	messages->n = 0;
}

void
streaming_kafka_messages_close(StreamingKafkaMessages *messages)
{
	streaming_kafka_messages_release(messages);
	if (messages->queue != NULL)
		rd_kafka_queue_destroy(messages->queue);
	free(messages->messages);
}

void
streaming_kafka_fail_bad_offset(const rd_kafka_message_t *message, const char *topic, int64 expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("partition %d of topic \"%s\" has a message with offset " INT64_FORMAT " where " INT64_FORMAT " or more was expected",
					(int) message->partition, topic, message->offset,
					Max(expected, 0)),
			 errdetail("Messages of a partition have ascending offsets."),
			 errhint("The broker is damaged, or none of Kafka's: check the option \"bootstrap_servers\" of the stream's server.")));
}

/* ------------------------------------------------------------------------
 * Headers
 * ------------------------------------------------------------------------ */

/* By name, those of a name in their order. */
static int
by_name(const void *a, const void *b)
{
	const Header *x = a;
	const Header *y = b;
	int			order = strcmp(x->name, y->name);

	return order != 0 ? order : x->number < y->number ? -1 : 1;
}

/* By the first of the name. */
static int
by_first(const void *a, const void *b)
{
	const Header *x = a;
	const Header *y = b;

	return x->first != y->first ? (x->first < y->first ? -1 : 1) :
		x->number < y->number ? -1 : 1;
}

/*
 * Appends bytes as a JSON string: text if they are UTF-8 without zero bytes,
 * otherwise hexadecimal; NULL as null.
 */
static void
append_header_value(StringInfo json, const void *value, size_t size)
{
	char	   *text;

	if (value == NULL)
	{
		appendStringInfoString(json, "null");
		return;
	}
	if (memchr(value, 0, size) == NULL &&
		pg_encoding_verifymbstr(PG_UTF8, value, size) == (int) size)
	{
		char	   *copy = pnstrdup(value, size);

		text = pg_any_to_server(copy, size, PG_UTF8);
	}
	else
	{
		text = palloc(2 + size * 2 + 1);
		strcpy(text, "\\x");
		hex_encode(value, size, text + 2);
		text[2 + size * 2] = '\0';
	}
	escape_json(json, text);
}

/*
 * Those of a name stand where the first of them does.  A message may have a million of
 * them, so each is looked at a few times only.
 */
char *
streaming_kafka_headers_json(const StreamingRecord *record)
{
	rd_kafka_headers_t *list;
	Header	   *headers;
	StringInfoData json;
	size_t		n;

	if (rd_kafka_message_headers(record->headers, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	n = rd_kafka_header_cnt(list);
	headers = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Header) * Max(n, 1));
	for (size_t i = 0; i < n; i++)
	{
		headers[i].number = i;
		if (rd_kafka_header_get_all(list, i, &headers[i].name, &headers[i].value,
									&headers[i].size) != RD_KAFKA_RESP_ERR_NO_ERROR)
			n = i;
	}
	qsort(headers, n, sizeof(Header), by_name);
	for (size_t i = 0; i < n; i++)
		headers[i].first = i > 0 && strcmp(headers[i].name, headers[i - 1].name) == 0 ?
			headers[i - 1].first : headers[i].number;
	qsort(headers, n, sizeof(Header), by_first);

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (size_t i = 0; i < n; i++)
	{
		bool		begins = i == 0 || headers[i].first != headers[i - 1].first;
		bool		ends = i + 1 == n || headers[i].first != headers[i + 1].first;

		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			appendStringInfoString(&json, ", ");
		if (begins)
		{
			append_header_value(&json, headers[i].name, strlen(headers[i].name));
			appendStringInfoString(&json, ends ? ": " : ": [");
		}
		append_header_value(&json, headers[i].value, headers[i].size);
		if (ends && !begins)
			appendStringInfoChar(&json, ']');
	}
	appendStringInfoChar(&json, '}');
	pfree(headers);
	return json.data;
}
