/*
 * avro_file_write.c
 *		Messages of rows -> Avro object container files, of the form that avro_file.c shows.
 *
 * A message is the length of a schema, the schema, and a record of it (encode_avro.c).
 */
#include "postgres.h"

#include "streaming.h"

#include "format/avro_codec.h"
#include "format/avro_pack.h"
#include "format/avro_write.h"
#include "format/block_write.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Of a block, before it is packed.  Readers take each as a whole. */
#define BLOCK_SIZE		((size_t) 256 * 1024)

#define MAGIC			"Obj\1"
#define MARK_LENGTH		16

/* A buffer that has been larger is not kept. */
#define KEPT_BUFFER		((size_t) 4 * 1024 * 1024)

typedef struct AvroFileWriter
{
	StreamingBlockWriter base;
	MemoryContext context;
	StreamingAvroCodec codec;
	StringInfoData schema;		/* of the messages it takes, with its length before it */
	char		mark[MARK_LENGTH];
	bool		taken;			/* there has been a row */
	bool		has_head;		/* the file's head has been handed out */
	StringInfoData rows;		/* of the block */
	int64		nrows;
	StringInfoData out;			/* what was handed out last */
} AvroFileWriter;

static void avro_begin(StreamingBlockWriter *base, const char *message, size_t length);
static bool avro_takes(StreamingBlockWriter *base, const char *message, size_t length);
static bool avro_add(StreamingBlockWriter *base, const char *message, size_t length);
static size_t avro_size(const StreamingBlockWriter *base);
static const char *avro_flush(StreamingBlockWriter *base, bool end, size_t *length);
static size_t schema_of(const char *message, size_t length);
static bool has_schema(const AvroFileWriter *writer, const char *message, size_t length);
static void take_schema(AvroFileWriter *writer, const char *message, size_t length);
static void append_head(AvroFileWriter *writer);
static void append_block(AvroFileWriter *writer);
static void append_bytes(StringInfo buf, const char *data, size_t length);
static void empty_buffer(AvroFileWriter *writer, StringInfo buf);

static const StreamingBlockRoutine avro_routine = {
	.begin = avro_begin,
	.takes = avro_takes,
	.add = avro_add,
	.size = avro_size,
	.flush = avro_flush
};

StreamingBlockWriter *
streaming_avro_writer_make(const StreamingStream *stream)
{
	AvroFileWriter *writer = palloc0(sizeof(AvroFileWriter));
	const char *codec = stream->avro_codec ? stream->avro_codec : STREAMING_AVRO_DEFAULT_CODEC;

	writer->base.routine = &avro_routine;
	writer->context = CurrentMemoryContext;
	if (!streaming_avro_codec_of(codec, strlen(codec), &writer->codec))
		elog(ERROR, "unknown codec of Avro files: \"%s\"", codec);
	initStringInfo(&writer->schema);
	initStringInfo(&writer->rows);
	initStringInfo(&writer->out);
	return &writer->base;
}

static void
avro_begin(StreamingBlockWriter *base, const char *message, size_t length)
{
	AvroFileWriter *writer = (AvroFileWriter *) base;

	/* What no other file has, and no block's records by chance. */
	if (!pg_strong_random(writer->mark, MARK_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	take_schema(writer, message, length);
	writer->taken = writer->has_head = false;
	empty_buffer(writer, &writer->rows);
	writer->nrows = 0;
}

static bool
avro_takes(StreamingBlockWriter *base, const char *message, size_t length)
{
	AvroFileWriter *writer = (AvroFileWriter *) base;

	return !writer->taken || has_schema(writer, message, length);
}

static bool
avro_add(StreamingBlockWriter *base, const char *message, size_t length)
{
	AvroFileWriter *writer = (AvroFileWriter *) base;

	if (!writer->taken && !has_schema(writer, message, length))
		take_schema(writer, message, length);
	writer->taken = true;
	appendBinaryStringInfo(&writer->rows, message + writer->schema.len, length - writer->schema.len);
	writer->nrows++;
	return writer->rows.len >= BLOCK_SIZE;
}

static size_t
avro_size(const StreamingBlockWriter *base)
{
	return ((const AvroFileWriter *) base)->rows.len;
}

/* Nothing is behind the last block. */
static const char *
avro_flush(StreamingBlockWriter *base, bool end, size_t *length)
{
	AvroFileWriter *writer = (AvroFileWriter *) base;

	empty_buffer(writer, &writer->out);
	if (!writer->has_head)
		append_head(writer);
	writer->has_head = true;
	if (writer->nrows > 0)
		append_block(writer);
	empty_buffer(writer, &writer->rows);
	writer->nrows = 0;
	*length = writer->out.len;
	return writer->out.data;
}

/* ---- Messages ---- */

/* Length of the schema, with what says it. */
static size_t
schema_of(const char *message, size_t length)
{
	uint32		said;

	if (length >= sizeof(said))
		memcpy(&said, message, sizeof(said));
	if (length < sizeof(said) || said > length - sizeof(said))
		elog(ERROR, "row of an Avro file is cut off");
	return sizeof(said) + said;
}

static bool
has_schema(const AvroFileWriter *writer, const char *message, size_t length)
{
	return schema_of(message, length) == writer->schema.len &&
		memcmp(message, writer->schema.data, writer->schema.len) == 0;
}

static void
take_schema(AvroFileWriter *writer, const char *message, size_t length)
{
	resetStringInfo(&writer->schema);
	appendBinaryStringInfo(&writer->schema, message, schema_of(message, length));
}

/* ---- Files ---- */

static void
append_head(AvroFileWriter *writer)
{
	const char *codec = streaming_avro_codec_name(writer->codec);

	appendBinaryStringInfo(&writer->out, MAGIC, strlen(MAGIC));
	streaming_avro_put_long(&writer->out, 2);
	append_bytes(&writer->out, "avro.schema", strlen("avro.schema"));
	append_bytes(&writer->out, writer->schema.data + sizeof(uint32), writer->schema.len - sizeof(uint32));
	append_bytes(&writer->out, "avro.codec", strlen("avro.codec"));
	append_bytes(&writer->out, codec, strlen(codec));
	streaming_avro_put_long(&writer->out, 0);
	appendBinaryStringInfo(&writer->out, writer->mark, MARK_LENGTH);
}

static void
append_block(AvroFileWriter *writer)
{
	StringInfoData packed;
	const StringInfoData *data = &writer->rows;

	CHECK_FOR_INTERRUPTS();
	if (writer->codec != STREAMING_AVRO_CODEC_NULL)
	{
		initStringInfo(&packed);
		streaming_avro_pack(writer->codec, writer->rows.data, writer->rows.len, &packed);
		data = &packed;
	}
	streaming_avro_put_long(&writer->out, writer->nrows);
	append_bytes(&writer->out, data->data, data->len);
	appendBinaryStringInfo(&writer->out, writer->mark, MARK_LENGTH);
	if (data == &packed)
		pfree(packed.data);
}

static void
append_bytes(StringInfo buf, const char *data, size_t length)
{
	streaming_avro_put_long(buf, length);
	appendBinaryStringInfo(buf, data, length);
}

static void
empty_buffer(AvroFileWriter *writer, StringInfo buf)
{
	MemoryContext old;

	resetStringInfo(buf);
	if (buf->maxlen <= KEPT_BUFFER)
		return;
	pfree(buf->data);
	old = MemoryContextSwitchTo(writer->context);
	initStringInfo(buf);
	MemoryContextSwitchTo(old);
}
