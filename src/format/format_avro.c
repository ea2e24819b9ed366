/*
 * format_avro.c
 *		A record is one Avro datum: a record, or a union of some.
 *
 * What its bytes mean is in a schema, which is either the option "avro_schema", or
 * in the stream's schema registry: there each message begins with a zero and
 * the number of its schema (schema_registry.c).  Files begin with theirs (avro_file.c).
 * With both, the option says what the reader wants, and records of other schemas are
 * resolved to it.
 *
 * Columns are named after the record's fields, or after fields of records in it, as
 * JSON's are after members (format_json.c), and likewise all of a record is checked,
 * and the values of all columns, whoever reads which.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/avro_schema.h"
#include "format/avro_value.h"
#include "format/change.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "format/schema_readers.h"
#include "format/wanted.h"

typedef struct AvroColumn
{
	AttrNumber	attnum;
	int			wanted;			/* number of the value */
	StreamingAvroConverter *converter;
	bool		needed;			/* else the value is only checked */
} AvroColumn;

/* How records of one schema are read. */
typedef struct AvroReader
{
	StreamingAvroType *type;	/* NULL: there is none that can be read */
	StreamingAvroWant **want;
} AvroReader;

typedef struct AvroState
{
	StreamingAvroType *schema;	/* that of the option; NULL: none */
	AvroReader	reader;			/* of records without a number */
	MemoryContext context;		/* files: of reader, which comes and goes */
	char	   *text;			/* files: the schema of reader */
	StreamingReaders *readers;	/* by number; NULL: there is no registry */
	AvroColumn *columns;		/* those that count */
	int			ncolumns;
	StreamingWantedFields wanted;
	StreamingAvroValue *values; /* of the record under way */
} AvroState;

static size_t avro_split(StreamingDecoder *decoder, const char *data, size_t length,
						 bool eof, size_t *scanned, size_t *record_length);
static void avro_prepare(StreamingDecoder *decoder);
static bool avro_decode(StreamingDecoder *decoder, const StreamingRecord *record,
						Datum *values, bool *isnull);
static StreamingAvroType *parse_schema(const StreamingStream *stream, const char *json);
static void make_reader(StreamingDecoder *decoder, AvroReader *reader, StreamingAvroType *writer);
static bool add_want(AvroState *state, const StreamingAvroType *type, StreamingAvroWant ***want,
					 int number, int step);
static StreamingAvroWant *make_want(const StreamingAvroType *record);
static const char *field_name(const void *record, int i);
static bool read_piece(StreamingDecoder *decoder, const char *payload, size_t length);
static void begin_schema(StreamingDecoder *decoder, const char *text, size_t length);
static void read_message(StreamingDecoder *decoder, const char *payload, size_t length);
static void *make_registry_reader(StreamingDecoder *decoder, const StreamingReaderKey *key,
								  const char *schema);
static void read_record(AvroState *state, const AvroReader *reader,
						const uint8_t *data, size_t length, size_t before);

const StreamingFormatRoutine streaming_format_avro = {
	.name = "avro",
	.begin = streaming_format_is_binary,
	.split = avro_split,
	.prepare = avro_prepare,
	.decode = avro_decode
};

/* What the reader of files has put before each piece tells. */
static size_t
avro_split(StreamingDecoder *decoder, const char *data, size_t length, bool eof,
		   size_t *scanned, size_t *record_length)
{
	uint32		said;

	if (length >= STREAMING_AVRO_FRAME)
	{
		memcpy(&said, data + 1, sizeof(said));
		if (length - STREAMING_AVRO_FRAME >= said)
			return *record_length = STREAMING_AVRO_FRAME + (size_t) said;
	}
	if (!eof)
		return 0;
	return *record_length = length;
}

static void
avro_prepare(StreamingDecoder *decoder)
{
	StreamingStream *stream = decoder->stream;
	int			natts = stream->tupdesc->natts;
	AvroState  *state = palloc0(sizeof(AvroState));

	state->columns = palloc(sizeof(AvroColumn) * Max(natts, 1));
	state->wanted.items = palloc(sizeof(StreamingWanted) * Max(natts, 1));
	bms_free(decoder->absent);
	decoder->absent = NULL;
	for (int i = 0; i < natts; i++)
	{
		AvroColumn *column = &state->columns[state->ncolumns];

		if (!streaming_decoder_counts(decoder, i + 1))
			continue;
		column->attnum = i + 1;
		column->wanted = streaming_want_column(&state->wanted, &stream->columns[i]);
		column->converter = streaming_avro_converter_open(&stream->columns[i]);
		column->needed = streaming_decoder_wants(decoder, i + 1);
		decoder->absent = bms_add_member(decoder->absent, i + 1);
		state->ncolumns++;
	}
	state->values = palloc0(sizeof(StreamingAvroValue) * Max(state->wanted.n, 1));
	decoder->state = state;

	if (stream->avro_schema)
		state->schema = parse_schema(stream, stream->avro_schema);
	if (stream->kind == STREAMING_SOURCE_DIRECTORY)
		state->context = AllocSetContextCreate(decoder->context, "streaming Avro reader",
											   ALLOCSET_DEFAULT_SIZES);
	else if (stream->registry)
		state->readers = streaming_readers_open(STREAMING_SCHEMA_AVRO, make_registry_reader);
	else
		make_reader(decoder, &state->reader, state->schema);
}

/* A string stands behind its length, of one byte if it is as short as that. */
static void
check_sent(const StreamingAvroValue *field)
{
	size_t		length = strlen(STREAMING_NOT_SENT);

	if (field->type->kind == STREAMING_AVRO_STRING && field->length == length + 1)
		streaming_check_sent((const char *) field->data + 1, length);
}

static bool
avro_decode(StreamingDecoder *decoder, const StreamingRecord *record, Datum *values, bool *isnull)
{
	AvroState  *state = decoder->state;

	if (record->payload == NULL)
		memset(state->values, 0, sizeof(StreamingAvroValue) * state->wanted.n);
	else if (decoder->stream->kind == STREAMING_SOURCE_DIRECTORY)
	{
		if (!read_piece(decoder, record->payload, record->length))
			return false;
	}
	else
		read_message(decoder, record->payload, record->length);

	for (int i = 0; i < state->ncolumns; i++)
	{
		const AvroColumn *column = &state->columns[i];
		const StreamingAvroValue *field = &state->values[column->wanted];
		Datum		value;

		decoder->column = column->attnum;
		if (bms_is_member(column->attnum, decoder->failed))
			continue;
		if (field->type == NULL || field->type->kind == STREAMING_AVRO_NULL)
		{
			streaming_avro_convert_null(column->converter);
			continue;
		}
		if (decoder->stream->changes == STREAMING_CHANGES_DEBEZIUM)
			check_sent(field);
		value = streaming_avro_convert(column->converter, field);
		if (column->needed)
		{
			values[column->attnum - 1] = value;
			isnull[column->attnum - 1] = false;
		}
	}
	decoder->column = 0;
	return true;
}

/* Of a file.  Returns false for the schema of those that follow. */
static bool
read_piece(StreamingDecoder *decoder, const char *payload, size_t length)
{
	AvroState  *state = decoder->state;
	bool		is_schema = length > 0 && payload[0] == STREAMING_AVRO_FRAME_SCHEMA;

	if (length < STREAMING_AVRO_FRAME || (!is_schema && state->reader.type == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid Avro record"),
				 errdetail("The file has no schema that can be read.")));
	payload += STREAMING_AVRO_FRAME;
	length -= STREAMING_AVRO_FRAME;
	if (is_schema)
		begin_schema(decoder, payload, length);
	else
		read_record(state, &state->reader, (const uint8_t *) payload, length, 0);
	return !is_schema;
}

/* Files often have the same one. */
static void
begin_schema(StreamingDecoder *decoder, const char *text, size_t length)
{
	AvroState  *state = decoder->state;
	MemoryContext old;
	StreamingAvroType *writer;

	if (state->reader.type && strlen(state->text) == length && memcmp(state->text, text, length) == 0)
		return;
	state->reader.type = NULL;
	MemoryContextReset(state->context);
	old = MemoryContextSwitchTo(state->context);
	state->text = pnstrdup(text, length);
	writer = streaming_avro_schema(pg_any_to_server(state->text, length, PG_UTF8));
	make_reader(decoder, &state->reader, state->schema ? streaming_avro_resolve(writer, state->schema) : writer);
	MemoryContextSwitchTo(old);
}

/* The value of a message, with a number in front of it if there is a registry. */
static void
read_message(StreamingDecoder *decoder, const char *payload, size_t length)
{
	AvroState  *state = decoder->state;
	const AvroReader *reader = &state->reader;

	if (decoder->stream->registry)
	{
		StreamingReaderKey key = {0};

		if (!streaming_registry_id(payload, length, &key.id))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid Avro record"),
					 errdetail("It does not begin with a zero and the number of a schema.")));
		reader = streaming_reader_find(state->readers, decoder, &key);
		payload += STREAMING_REGISTRY_HEADER;
		length -= STREAMING_REGISTRY_HEADER;
	}
	read_record(state, reader, (const uint8_t *) payload, length,
				decoder->stream->registry ? STREAMING_REGISTRY_HEADER : 0);
}

static void *
make_registry_reader(StreamingDecoder *decoder, const StreamingReaderKey *key, const char *schema)
{
	AvroState  *state = decoder->state;
	AvroReader *reader = palloc0(sizeof(AvroReader));
	StreamingAvroType *writer = parse_schema(decoder->stream, schema);

	make_reader(decoder, reader, state->schema ? streaming_avro_resolve(writer, state->schema) : writer);
	return reader;
}

static StreamingAvroType *
parse_schema(const StreamingStream *stream, const char *json)
{
	return stream->is_key ? streaming_avro_key_schema(json) : streaming_avro_schema(json);
}

/* before: bytes of the message that stand before data */
static void
read_record(AvroState *state, const AvroReader *reader, const uint8_t *data, size_t length,
			size_t before)
{
	StreamingAvroError error;

	if (!streaming_avro_read(reader->type, reader->want, data, length,
							 state->values, state->wanted.n, &error))
		ereport(ERROR,
				(errcode(error.limit ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
						 ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid Avro record"),
				 errdetail("%s, at byte %zu.", error.message, before + error.offset + 1)));
}

/* ---- Which fields are wanted ---- */

static void
make_reader(StreamingDecoder *decoder, AvroReader *reader, StreamingAvroType *writer)
{
	AvroState  *state = decoder->state;

	reader->type = writer;
	reader->want = NULL;
	for (int number = 0; number < state->wanted.n; number++)
	{
		if (!add_want(state, writer, &reader->want, number, 0))
			continue;
		for (int i = 0; i < state->ncolumns; i++)
			if (state->columns[i].wanted == number)
				decoder->absent = bms_del_member(decoder->absent, state->columns[i].attnum);
	}
}

/*
 * Adds the value number, whose path is at step in the type.  Returns false if the
 * type has no such field.
 */
static bool
add_want(AvroState *state, const StreamingAvroType *type, StreamingAvroWant ***want,
		 int number, int step)
{
	bool		is_union = type->kind == STREAMING_AVRO_UNION;
	int			nbranches = is_union ? type->n : 1;
	bool		found = false;

	for (int branch = 0; branch < nbranches; branch++)
	{
		const StreamingAvroType *record = is_union ? type->types[branch] : type;
		int			field = -1;

		if (record->kind == STREAMING_AVRO_RECORD)
			field = streaming_find_wanted(&state->wanted, number, step, field_name, record, record->n);
		if (field < 0)
			continue;
		if (*want == NULL)
			*want = palloc0(sizeof(StreamingAvroWant *) * nbranches);
		if ((*want)[branch] == NULL)
			(*want)[branch] = make_want(record);
		if (step == state->wanted.items[number].column->npath - 1)
		{
			(*want)[branch]->values[field] = number;
			found = true;
		}
		else if (add_want(state, record->fields[field].type, &(*want)[branch]->nested[field],
						  number, step + 1))
			found = true;
	}
	return found;
}

static StreamingAvroWant *
make_want(const StreamingAvroType *record)
{
	StreamingAvroWant *want = palloc(sizeof(StreamingAvroWant));

	want->values = palloc(sizeof(int) * Max(record->n, 1));
	want->nested = palloc0(sizeof(StreamingAvroWant **) * Max(record->n, 1));
	for (int i = 0; i < record->n; i++)
		want->values[i] = -1;
	return want;
}

static const char *
field_name(const void *record, int i)
{
	return ((const StreamingAvroType *) record)->fields[i].name;
}
