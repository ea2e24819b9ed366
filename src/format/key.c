/*
 * key.c
 *		Columns that come from the key of a message, as the option "key_format" says.
 *
 * A key is a record of a stream of its own (catalog/stream_key.c), whose decoder fills
 * columns of the same row.  A key in Avro may be of any type, so all are read as the
 * field of a record that is around them (avro_schema.c): column "key" is that field, and
 * column "key:id" its field id.  JSON may come with its schema, as Kafka Connect writes it.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/json_reader.h"
#include "format/key.h"

/* Members of a JSON key that has its schema. */
enum
{
	MEMBER_SCHEMA,
	MEMBER_PAYLOAD,
	NMEMBERS
};

static const StreamingJsonField members[NMEMBERS] = {{"schema", 6}, {"payload", 7}};

struct StreamingKeyDecoder
{
	StreamingDecoder *decoder;	/* of the message */
	StreamingDecoder *own;		/* of the key */
	bool		active;			/* own is at work, or has failed */
	int			nabsent;		/* columns whose field no key has had yet */
	Bitmapset  *columns;
	StreamingJsonReader *reader;	/* NULL: keys are not JSON */
	MemoryContextCallback callback;
};

static void destroy_reader(void *arg);
static void unwrap_json(StreamingKeyDecoder *key, StreamingRecord *record);
static void note_absent(StreamingKeyDecoder *key);

void
streaming_key_columns(StreamingStream *stream, const Bitmapset *attnos)
{
	bool		is_avro = strcmp(stream->format, "avro") == 0;

	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		StreamingColumn *column = &stream->columns[i];
		bool		whole = streaming_key_is_whole(stream, column);
		char	  **path;

		if (column->dropped || !bms_is_member(i + 1, attnos))
		{
			column->dropped = true;
			continue;
		}
		column->metadata = STREAMING_META_NONE;
		if (!is_avro)
			continue;
		path = palloc(sizeof(char *) * (column->npath + 1));
		path[0] = STREAMING_KEY_ROOT;
		memcpy(path + 1, column->path, sizeof(char *) * column->npath);
		column->path = path;
		column->npath = whole ? 1 : column->npath + 1;
	}
}

StreamingKeyDecoder *
streaming_key_decoder_open(StreamingDecoder *decoder)
{
	const StreamingStream *of = decoder->stream;
	StreamingKeyDecoder *key;
	StreamingStream *stream;
	Bitmapset  *columns = NULL;
	MemoryContext old;

	for (int i = 0; i < of->tupdesc->natts; i++)
		if (streaming_key_column_is_read(of, &of->columns[i]))
			columns = bms_add_member(columns, i + 1);
	if (columns == NULL)
		return NULL;
	stream = streaming_stream_of_keys(of);
	streaming_key_columns(stream, columns);

	key = palloc0(sizeof(StreamingKeyDecoder));
	key->decoder = decoder;
	key->columns = columns;
	key->own = streaming_decoder_open(stream, decoder->needed);
	old = MemoryContextSwitchTo(key->own->context);
	key->own->routine->prepare(key->own);
	MemoryContextSwitchTo(old);
	decoder->absent = bms_add_members(decoder->absent, key->own->absent);
	key->nabsent = bms_num_members(key->own->absent);
	if (strcmp(stream->format, "json") == 0)
	{
		key->callback.func = destroy_reader;
		key->callback.arg = key;
		MemoryContextRegisterResetCallback(CurrentMemoryContext, &key->callback);
		key->reader = streaming_json_reader_create(members, NMEMBERS);
		if (key->reader == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
	}
	return key;
}

static void
destroy_reader(void *arg)
{
	streaming_json_reader_destroy(((StreamingKeyDecoder *) arg)->reader);
}

void
streaming_decode_key(StreamingKeyDecoder *key, const StreamingRecord *record, Datum *values, bool *isnull)
{
	StreamingRecord of_key = {.payload = record->key, .length = record->key_length};

	key->active = true;
	key->own->column = 0;
	key->own->failed = key->decoder->failed;
	if (key->reader && of_key.payload)
		unwrap_json(key, &of_key);
	(void) key->own->routine->decode(key->own, &of_key, values, isnull);
	if (key->nabsent > 0)
		note_absent(key);
	key->active = false;
}

bool
streaming_key_is_at_work(const StreamingKeyDecoder *key)
{
	return key->active;
}

void
streaming_key_rest(StreamingKeyDecoder *key)
{
	key->active = false;
}

AttrNumber
streaming_key_failed(const StreamingKeyDecoder *key)
{
	return key->own->column;
}

static void
unwrap_json(StreamingKeyDecoder *key, StreamingRecord *record)
{
	StreamingJsonValue found[NMEMBERS];
	StreamingJsonError error;

	if (!streaming_json_read(key->reader, record->payload, record->length, found, &error))
		streaming_json_report(&error, record->payload, record->length);
	if (found[MEMBER_SCHEMA].kind == STREAMING_JSON_ABSENT || found[MEMBER_PAYLOAD].kind != STREAMING_JSON_NESTED ||
		found[MEMBER_PAYLOAD].data[0] != '{')
		return;
	record->payload = found[MEMBER_PAYLOAD].data;
	record->length = found[MEMBER_PAYLOAD].length;
}

/* Fields that keys have had are no more absent for the message's decoder either. */
static void
note_absent(StreamingKeyDecoder *key)
{
	int			nabsent = bms_num_members(key->own->absent);
	int			attnum = -1;

	if (nabsent == key->nabsent)
		return;
	key->nabsent = nabsent;
	while ((attnum = bms_next_member(key->columns, attnum)) >= 0)
		if (!bms_is_member(attnum, key->own->absent))
			key->decoder->absent = bms_del_member(key->decoder->absent, attnum);
}
