/*
 * stream_writer.c
 *		Rows of a Kafka or directory stream -> messages in its outbox.
 *
 * INSERT and COPY (fdw.c) come here, and so do the batches of views whose sink
 * is a stream, since they write to it with an INSERT of their own.
 *
 * What a row's metadata columns say is honoured where a message can carry it:
 * key, timestamp, partition, headers.  The offset is the broker's to give, and
 * path and line are of a file that is not written yet; these are not looked at.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/wait_event.h"

#include "catalog/view.h"
#include "format/encode.h"
#include "sink/outbox.h"
#include "shared/sink_slots.h"

#define WAIT_INTERVAL	100		/* ms between looks whether there is room */

struct StreamingStreamWriter
{
	StreamingStream *stream;
	StreamingEncoder *encoder;
	StreamingOutbox *outbox;
	MemoryContext row_context;
	StringInfoData payload;
	StringInfoData key;
	StringInfoData headers;
	int			timestamp;		/* indexes of columns, -1: there is none */
	int			partition;
	int			header_column;
};

static void wait_for_room(StreamingStream *stream);
static void check_key(StreamingStream *stream, const bool *isnull);
static void put_message(StreamingStreamWriter *writer, Datum *values, bool *isnull,
						bool tombstone);
static void set_timestamp(StreamingStreamWriter *writer, TimestampTz time,
						  StreamingMessage *message);
static void set_partition(StreamingStreamWriter *writer, Datum value,
						  StreamingMessage *message);
static void encode_headers(StreamingStreamWriter *writer, Datum value);
static void trim(StringInfo buf);

StreamingStreamWriter *
streaming_stream_writer_open(StreamingStream *stream)
{
	StreamingStreamWriter *writer = palloc0(sizeof(StreamingStreamWriter));

	wait_for_room(stream);
	writer->stream = stream;
	writer->encoder = streaming_encoder_open(stream);
	writer->outbox = streaming_outbox_open(stream->relid);
	writer->row_context = AllocSetContextCreate(CurrentMemoryContext, "streaming written row",
												ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&writer->payload);
	initStringInfo(&writer->key);
	initStringInfo(&writer->headers);
	writer->timestamp = writer->partition = writer->header_column = -1;
	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		if (stream->columns[i].dropped)
			continue;
		switch (stream->columns[i].metadata)
		{
			case STREAMING_META_TIMESTAMP:
				writer->timestamp = i;
				break;
			case STREAMING_META_PARTITION:
				writer->partition = i;
				break;
			case STREAMING_META_HEADERS:
				writer->header_column = i;
				break;
			default:
				break;
		}
	}
	return writer;
}

/*
 * A statement waits before its first row while too much is undelivered, unless
 * its transaction has written already (others might wait for it), or it is not
 * a user's: a batch is not even begun then.
 */
static void
wait_for_room(StreamingStream *stream)
{
	if (MyBackendType != B_BACKEND)
		return;
	while (!TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		   streaming_outbox_full(stream->relid))
	{
		char		error[STREAMING_SINK_ERROR_LENGTH];

		if (streaming_sink_has_failed(stream->relid, error))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("stream %s takes no more rows", stream->name),
					 errdetail("More than streaming.outbox_size waits to be delivered, and delivery has failed: %s",
							   streaming_may_monitor(stream->relid) ? error :
							   "see last_error in streaming.stat_sinks")));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WAIT_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
streaming_stream_writer_put(StreamingStreamWriter *writer, Datum *values, bool *isnull)
{
	put_message(writer, values, isnull, false);
}

void
streaming_stream_writer_tombstone(StreamingStreamWriter *writer, Datum *values, bool *isnull)
{
	put_message(writer, values, isnull, true);
}

static void
put_message(StreamingStreamWriter *writer, Datum *values, bool *isnull, bool tombstone)
{
	StreamingMessage message = {0};
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);

	check_key(writer->stream, isnull);
	message.partition = -1;
	resetStringInfo(&writer->payload);
	resetStringInfo(&writer->key);
	if (!tombstone)
	{
		streaming_encode(writer->encoder, values, isnull, &writer->payload);
		message.payload = writer->payload.data;
		message.payload_length = writer->payload.len;
	}
	if (streaming_encode_key(writer->encoder, values, isnull, &writer->key))
	{
		message.key = writer->key.data;
		message.key_length = writer->key.len;
	}
	if (writer->timestamp >= 0 && !isnull[writer->timestamp])
		set_timestamp(writer, DatumGetTimestampTz(values[writer->timestamp]), &message);
	if (writer->partition >= 0 && !isnull[writer->partition])
		set_partition(writer, values[writer->partition], &message);
	if (writer->header_column >= 0 && !isnull[writer->header_column])
	{
		encode_headers(writer, values[writer->header_column]);
		message.headers = writer->headers.data;
		message.headers_length = writer->headers.len;
	}
	streaming_outbox_put(writer->outbox, &message);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
	trim(&writer->payload);
	trim(&writer->key);
	trim(&writer->headers);
}

/* Nobody could read a row of a changing stream without its key. */
static void
check_key(StreamingStream *stream, const bool *isnull)
{
	for (int i = 0; i < stream->nkeys; i++)
	{
		if (isnull[stream->keys[i] - 1])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of the key of stream %s",
							stream->columns[stream->keys[i] - 1].name, stream->name),
					 errdetail("The records of this stream change rows, which are told apart by their key.")));
	}
}

static void
set_timestamp(StreamingStreamWriter *writer, TimestampTz time, StreamingMessage *message)
{
	int64		epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;

	message->timestamp = time / 1000 - (time % 1000 < 0) + epoch;
	if (TIMESTAMP_NOT_FINITE(time) || message->timestamp <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 errmsg("timestamp of a message of stream %s must be after 1970-01-01 00:00:00 UTC, and finite",
						writer->stream->name),
				 errhint("Leave it NULL to have the time of delivery.")));
}

static void
set_partition(StreamingStreamWriter *writer, Datum value, StreamingMessage *message)
{
	int64		partition;

	switch (get_typlen(writer->stream->columns[writer->partition].type))
	{
		case sizeof(int16):
			partition = DatumGetInt16(value);
			break;
		case sizeof(int32):
			partition = DatumGetInt32(value);
			break;
		default:
			partition = DatumGetInt64(value);
			break;
	}
	if (partition < 0 || partition > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("invalid partition " INT64_FORMAT " of a message of stream %s",
						partition, writer->stream->name),
				 errhint("Leave it NULL to let the message's key choose.")));
	message->partition = (int32) partition;
}

/* Appends name, length and value of a header; value NULL: it has none. */
static void
append_header(StringInfo buf, const JsonbValue *name, const char *value, int length)
{
	int32		stored = value ? length : -1;

	appendBinaryStringInfo(buf, name->val.string.val, name->val.string.len);
	appendStringInfoChar(buf, '\0');
	appendBinaryStringInfo(buf, (const char *) &stored, sizeof(stored));
	if (value)
		appendBinaryStringInfo(buf, value, length);
}

/* Strings are themselves, null is no value, the rest is JSON text. */
static void
append_header_value(StringInfo buf, const JsonbValue *name, JsonbValue *value)
{
	StringInfoData text;
	Jsonb	   *scalar;

	initStringInfo(&text);
	switch (value->type)
	{
		case jbvString:
			append_header(buf, name, value->val.string.val, value->val.string.len);
			return;
		case jbvNull:
			append_header(buf, name, NULL, 0);
			return;
		case jbvBinary:
			JsonbToCString(&text, value->val.binary.data, value->val.binary.len);
			break;
		default:
			scalar = JsonbValueToJsonb(value);
			JsonbToCString(&text, &scalar->root, VARSIZE(scalar));
			break;
	}
	append_header(buf, name, text.data, text.len);
}

/* An object; the elements of an array are headers of the same name. */
static void
encode_headers(StreamingStreamWriter *writer, Datum datum)
{
	Jsonb	   *jsonb = DatumGetJsonbP(datum);
	JsonbIterator *iterator;
	JsonbIterator *elements;
	JsonbIteratorToken token;
	JsonbValue	name = {0};
	JsonbValue	value;
	JsonbValue	element;

	resetStringInfo(&writer->headers);
	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers of a message of stream %s must be a JSON object",
						writer->stream->name)));
	iterator = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = value;
		else if (token == WJB_VALUE && value.type == jbvBinary &&
				 JsonContainerIsArray(value.val.binary.data))
		{
			elements = JsonbIteratorInit(value.val.binary.data);
			while ((token = JsonbIteratorNext(&elements, &element, true)) != WJB_DONE)
			{
				if (token == WJB_ELEM)
					append_header_value(&writer->headers, &name, &element);
			}
		}
		else if (token == WJB_VALUE)
			append_header_value(&writer->headers, &name, &value);
	}
}

/* A row that was large must not keep its memory. */
static void
trim(StringInfo buf)
{
	if (buf->maxlen > 1024 * 1024)
	{
		pfree(buf->data);
		initStringInfo(buf);
	}
}

void
streaming_stream_writer_complete(StreamingStreamWriter *writer)
{
	StreamingMessage message = {0};

	message.partition = -1;
	message.flags = STREAMING_MESSAGE_COMPLETE;
	streaming_outbox_put(writer->outbox, &message);
}

void
streaming_stream_writer_close(StreamingStreamWriter *writer)
{
	streaming_outbox_close(writer->outbox);
	MemoryContextDelete(writer->row_context);
}
