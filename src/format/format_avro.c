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
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "format/schema_registry.h"

/* Readers that are kept; a stream has a few schemas at a time. */
#define MAX_READERS		1000

/* That a registry does not know a number is believed as long. */
#define UNKNOWN_MS		10000

/* A field that columns want; those of the same field share it. */
typedef struct AvroWanted
{
	const StreamingColumn *column;	/* for its path */
	bool		any_case;
} AvroWanted;

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
	int32		id;				/* key: its number in the registry */
	StreamingAvroType *type;	/* NULL: there is none, or none that can be read */
	StreamingAvroWant **want;
	ErrorData  *error;			/* why type is NULL */
	TimestampTz asked_at;		/* then */
} AvroReader;

typedef struct AvroState
{
	StreamingAvroType *schema;	/* that of the option; NULL: none */
	AvroReader	reader;			/* of records without a number */
	MemoryContext context;		/* of readers that come and go */
	char	   *text;			/* files: the schema of reader */
	HTAB	   *readers;		/* by number; NULL: there is no registry */
	AvroColumn *columns;		/* those that count */
	int			ncolumns;
	AvroWanted *wanted;
	int			nwanted;
	StreamingAvroValue *values; /* of the record under way */
} AvroState;

static void avro_begin(StreamingDecoder *decoder);
static size_t avro_split(StreamingDecoder *decoder, const char *data, size_t length,
						 bool eof, size_t *scanned, size_t *record_length);
static void avro_prepare(StreamingDecoder *decoder);
static bool avro_decode(StreamingDecoder *decoder, const StreamingRecord *record,
						Datum *values, bool *isnull);
static int	want_column(AvroState *state, const StreamingColumn *column);
static bool same_path(const StreamingColumn *a, const StreamingColumn *b);
static void make_reader(StreamingDecoder *decoder, AvroReader *reader, StreamingAvroType *writer);
static bool add_want(AvroState *state, const StreamingAvroType *type, StreamingAvroWant ***want,
					 int number, int step);
static StreamingAvroWant *make_want(const StreamingAvroType *record);
static int	find_field(AvroState *state, const StreamingAvroType *record, int number, int step);
static bool is_somebodys(AvroState *state, const char *name);
static bool is_ambiguous(AvroState *state, int number);
static bool read_piece(StreamingDecoder *decoder, const char *payload, size_t length);
static void begin_schema(StreamingDecoder *decoder, const char *text, size_t length);
static void read_message(StreamingDecoder *decoder, const char *payload, size_t length);
static const AvroReader *find_reader(StreamingDecoder *decoder, int32 id);
static void fetch_reader(StreamingDecoder *decoder, AvroReader *reader);
static bool is_of_schema(int sqlerrcode);
static void read_record(AvroState *state, const AvroReader *reader,
						const uint8_t *data, size_t length, size_t before);

const StreamingFormatRoutine streaming_format_avro = {
	.name = "avro",
	.begin = avro_begin,
	.split = avro_split,
	.prepare = avro_prepare,
	.decode = avro_decode
};

static void
avro_begin(StreamingDecoder *decoder)
{
	decoder->utf8 = false;		/* no mark of bytes is passed over */
}

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
	state->wanted = palloc(sizeof(AvroWanted) * Max(natts, 1));
	bms_free(decoder->absent);
	decoder->absent = NULL;
	for (int i = 0; i < natts; i++)
	{
		AvroColumn *column = &state->columns[state->ncolumns];

		if (!streaming_decoder_counts(decoder, i + 1))
			continue;
		column->attnum = i + 1;
		column->wanted = want_column(state, &stream->columns[i]);
		column->converter = streaming_avro_converter_open(&stream->columns[i]);
		column->needed = streaming_decoder_wants(decoder, i + 1);
		decoder->absent = bms_add_member(decoder->absent, i + 1);
		state->ncolumns++;
	}
	state->values = palloc0(sizeof(StreamingAvroValue) * Max(state->nwanted, 1));
	decoder->state = state;

	if (stream->avro_schema)
		state->schema = streaming_avro_schema(stream->avro_schema);
	if (stream->registry || stream->kind == STREAMING_SOURCE_DIRECTORY)
		state->context = AllocSetContextCreate(decoder->context, "streaming Avro readers",
											   ALLOCSET_DEFAULT_SIZES);
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
		memset(state->values, 0, sizeof(StreamingAvroValue) * state->nwanted);
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
	int32		id;

	if (decoder->stream->registry)
	{
		if (!streaming_registry_id(payload, length, &id))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid Avro record"),
					 errdetail("It does not begin with a zero and the number of a schema.")));
		reader = find_reader(decoder, id);
		payload += STREAMING_REGISTRY_HEADER;
		length -= STREAMING_REGISTRY_HEADER;
	}
	read_record(state, reader, (const uint8_t *) payload, length,
				decoder->stream->registry ? STREAMING_REGISTRY_HEADER : 0);
}

/* Makes it if it is new.  An error that is the schema's is the same for its records. */
static const AvroReader *
find_reader(StreamingDecoder *decoder, int32 id)
{
	AvroState  *state = decoder->state;
	AvroReader *reader;
	bool		found;

	if (state->readers && hash_get_num_entries(state->readers) >= MAX_READERS)
	{
		MemoryContextReset(state->context);
		state->readers = NULL;
	}
	if (state->readers == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int32), .entrysize = sizeof(AvroReader), .hcxt = state->context};

		state->readers = hash_create("Avro readers", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	reader = hash_search(state->readers, &id, HASH_ENTER, &found);
	if (!found)
	{
		reader->type = NULL;
		reader->error = NULL;
	}
	else if (reader->type != NULL)
		return reader;
	else if (reader->error != NULL &&
			 !TimestampDifferenceExceeds(reader->asked_at, GetCurrentTimestamp(), UNKNOWN_MS))
		ThrowErrorData(reader->error);
	fetch_reader(decoder, reader);
	return reader;
}

/*
 * Asks for the schema.  An error that comes of what it is, and not of how the registry
 * is doing, is kept: it is the same for the next record.
 */
static void
fetch_reader(StreamingDecoder *decoder, AvroReader *reader)
{
	AvroState  *state = decoder->state;
	MemoryContext context = AllocSetContextCreate(state->context, "streaming Avro reader",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		char	   *schema = streaming_registry_schema(decoder->stream, reader->id);
		StreamingAvroType *writer;

		MemoryContextSwitchTo(context);
		writer = streaming_avro_schema(schema);
		make_reader(decoder, reader, state->schema ? streaming_avro_resolve(writer, state->schema) : writer);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		MemoryContextDelete(context);
		reader->type = NULL;
		if (is_of_schema(geterrcode()))
		{
			MemoryContextSwitchTo(state->context);
			if (reader->error)
				FreeErrorData(reader->error);
			reader->error = CopyErrorData();
			reader->asked_at = GetCurrentTimestamp();
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* before: bytes of the message that stand before data */
static void
read_record(AvroState *state, const AvroReader *reader, const uint8_t *data, size_t length,
			size_t before)
{
	StreamingAvroError error;

	if (!streaming_avro_read(reader->type, reader->want, data, length,
							 state->values, state->nwanted, &error))
		ereport(ERROR,
				(errcode(error.limit ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
						 ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid Avro record"),
				 errdetail("%s, at byte %zu.", error.message, before + error.offset + 1)));
}

/* As decoder.c tells errors for which a record is rejected. */
static bool
is_of_schema(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_FEATURE_NOT_SUPPORTED ||
		category == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

/* ---- Which fields are wanted ---- */

static int
want_column(AvroState *state, const StreamingColumn *column)
{
	int			number = 0;

	while (number < state->nwanted && !same_path(state->wanted[number].column, column))
		number++;
	if (number == state->nwanted)
	{
		state->wanted[number].column = column;
		state->wanted[number].any_case = column->any_case;
		state->nwanted++;
	}
	else if (!column->any_case)
		state->wanted[number].any_case = false;
	return number;
}

static bool
same_path(const StreamingColumn *a, const StreamingColumn *b)
{
	int			step = 0;

	while (step < a->npath && step < b->npath && strcmp(a->path[step], b->path[step]) == 0)
		step++;
	return step == a->npath && step == b->npath;
}

static void
make_reader(StreamingDecoder *decoder, AvroReader *reader, StreamingAvroType *writer)
{
	AvroState  *state = decoder->state;

	reader->type = writer;
	reader->want = NULL;
	for (int number = 0; number < state->nwanted; number++)
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
			field = find_field(state, record, number, step);
		if (field < 0)
			continue;
		if (*want == NULL)
			*want = palloc0(sizeof(StreamingAvroWant *) * nbranches);
		if ((*want)[branch] == NULL)
			(*want)[branch] = make_want(record);
		if (step == state->wanted[number].column->npath - 1)
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

/* Which field of the record is the step of the path?  -1: none */
static int
find_field(AvroState *state, const StreamingAvroType *record, int number, int step)
{
	const AvroWanted *wanted = &state->wanted[number];
	const char *name = wanted->column->path[step];

	for (int i = 0; i < record->n; i++)
		if (record->fields[i].name && strcmp(record->fields[i].name, name) == 0)
			return i;
	for (int i = 0; wanted->any_case && i < record->n; i++)
	{
		if (record->fields[i].name && pg_strcasecmp(record->fields[i].name, name) == 0 &&
			!is_somebodys(state, record->fields[i].name) && !is_ambiguous(state, number))
			return i;
	}
	return -1;
}

/* Is a path's beginning called so? */
static bool
is_somebodys(AvroState *state, const char *name)
{
	for (int i = 0; i < state->nwanted; i++)
		if (strcmp(state->wanted[i].column->path[0], name) == 0)
			return true;
	return false;
}

/* Columns that differ in case only have no other way to be told apart. */
static bool
is_ambiguous(AvroState *state, int number)
{
	for (int i = 0; i < state->nwanted; i++)
		if (i != number && state->wanted[i].any_case &&
			pg_strcasecmp(state->wanted[i].column->path[0], state->wanted[number].column->path[0]) == 0)
			return true;
	return false;
}
