/*
 * format_protobuf.c
 *		A record is one Protobuf message.
 *
 * What its fields are called, and of which types they are, is in a schema, which is
 * either the option "protobuf_schema", or in the stream's schema registry: there each
 * message begins with a zero, the number of its schema, and which of the schema's
 * messages it is (schema_registry.c).  With both, the option counts: by the numbers of
 * fields it reads what was written with another version.
 *
 * Columns are named after the message's fields, or after fields of messages in it, as
 * JSON's are after members (format_json.c), and likewise the values of all columns are
 * checked, whoever reads which.  What is no column's is an unknown field.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/format.h"
#include "format/protobuf_schema.h"
#include "format/protobuf_value.h"
#include "format/schema_readers.h"
#include "format/wanted.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

/* Pieces that are kept for the next record; 16 bytes each. */
#define KEPT_PIECES		4096

typedef struct ProtobufColumn
{
	AttrNumber	attnum;
	int			wanted;			/* number of the value */
	StreamingProtobufConverter *converter;
	bool		needed;			/* else the value is only checked */
} ProtobufColumn;

/* What a wanted field is where the record does not have it. */
typedef struct ProtobufDefault
{
	StreamingProtobufValue value;	/* of no field: NULL */
	const StreamingProtobufWant *around;	/* that must be there for it */
} ProtobufDefault;

/* How records of one type are read. */
typedef struct ProtobufReader
{
	StreamingProtobufWant *want;
	StreamingProtobufValue *values; /* of the record under way */
	int			nvalues;
	ProtobufDefault *defaults;	/* of each wanted field */
} ProtobufReader;

typedef struct ProtobufState
{
	ProtobufReader *reader;		/* of the option's message; NULL: each says its own */
	StreamingReaders *readers;
	ProtobufColumn *columns;	/* those that count */
	int			ncolumns;
	StreamingWantedFields wanted;
	StreamingProtobufPieces pieces;
} ProtobufState;

static void protobuf_prepare(StreamingDecoder *decoder);
static bool protobuf_decode(StreamingDecoder *decoder, const StreamingRecord *record,
							Datum *values, bool *isnull);
static void add_pieces(ProtobufState *state);
static const ProtobufReader *read_message(StreamingDecoder *decoder, const StreamingRecord *record);
static size_t read_header(const StreamingRecord *record, StreamingReaderKey *key);
static void *make_registry_reader(StreamingDecoder *decoder, const StreamingReaderKey *key,
								  const char *schema);
static ProtobufReader *make_reader(StreamingDecoder *decoder, StreamingProtobufMessage *message);
static StreamingProtobufWant *make_want(const StreamingProtobufMessage *message);
static bool add_want(ProtobufState *state, ProtobufReader *reader, StreamingProtobufWant *want,
					 int number, int step);
static StreamingProtobufWantField *add_field(StreamingProtobufWant *want,
											 const StreamingProtobufField *field);
static void add_siblings(StreamingProtobufWant *want);
static const char *field_name(const void *record, int i);
pg_noreturn static void invalid_header(const char *why);

const StreamingFormatRoutine streaming_format_protobuf = {
	.name = "protobuf",
	.begin = streaming_format_is_binary,
	.prepare = protobuf_prepare,
	.decode = protobuf_decode
};

static void
protobuf_prepare(StreamingDecoder *decoder)
{
	StreamingStream *stream = decoder->stream;
	int			natts = stream->tupdesc->natts;
	ProtobufState *state = palloc0(sizeof(ProtobufState));

	add_pieces(state);
	state->columns = palloc(sizeof(ProtobufColumn) * Max(natts, 1));
	state->wanted.items = palloc(sizeof(StreamingWanted) * Max(natts, 1));
	bms_free(decoder->absent);
	decoder->absent = NULL;
	for (int i = 0; i < natts; i++)
	{
		ProtobufColumn *column = &state->columns[state->ncolumns];

		if (!streaming_decoder_counts(decoder, i + 1))
			continue;
		column->attnum = i + 1;
		column->wanted = streaming_want_column(&state->wanted, &stream->columns[i]);
		column->converter = streaming_protobuf_converter_open(&stream->columns[i], &state->pieces);
		column->needed = streaming_decoder_wants(decoder, i + 1);
		decoder->absent = bms_add_member(decoder->absent, i + 1);
		state->ncolumns++;
	}
	decoder->state = state;

	if (stream->protobuf_schema)
		state->reader = make_reader(decoder,
									streaming_protobuf_root(streaming_protobuf_schema(stream->protobuf_schema),
															stream->protobuf_message));
	else
		state->readers = streaming_readers_open(STREAMING_SCHEMA_PROTOBUF, make_registry_reader);
}

static void
add_pieces(ProtobufState *state)
{
	state->pieces.allocated = 64;
	state->pieces.items = palloc(sizeof(StreamingProtobufPiece) * state->pieces.allocated);
}

static bool
protobuf_decode(StreamingDecoder *decoder, const StreamingRecord *record, Datum *values, bool *isnull)
{
	ProtobufState *state = decoder->state;
	const ProtobufReader *reader = NULL;

	state->pieces.n = 0;
	if (state->pieces.allocated > KEPT_PIECES)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(state->pieces.items));

		pfree(state->pieces.items);
		add_pieces(state);
		MemoryContextSwitchTo(old);
	}
	if (record->payload)
		reader = read_message(decoder, record);

	for (int i = 0; i < state->ncolumns; i++)
	{
		const ProtobufColumn *column = &state->columns[i];
		const StreamingProtobufValue *found = reader ? &reader->values[column->wanted] : NULL;
		Datum		value;

		decoder->column = column->attnum;
		if (bms_is_member(column->attnum, decoder->failed))
			continue;
		if (found && found->field == NULL)
		{
			const ProtobufDefault *missing = &reader->defaults[column->wanted];

			if (missing->around && (missing->around->seen < 0 || reader->values[missing->around->seen].field))
				found = &missing->value;
		}
		if (found == NULL || found->field == NULL)
		{
			streaming_protobuf_convert_null(column->converter);
			continue;
		}
		value = streaming_protobuf_convert(column->converter, found);
		if (column->needed)
		{
			values[column->attnum - 1] = value;
			isnull[column->attnum - 1] = false;
		}
	}
	decoder->column = 0;
	return true;
}

static const ProtobufReader *
read_message(StreamingDecoder *decoder, const StreamingRecord *record)
{
	ProtobufState *state = decoder->state;
	const ProtobufReader *reader = state->reader;
	StreamingProtobufError error;
	size_t		header = 0;

	if (decoder->stream->registry)
	{
		StreamingReaderKey key = {0};

		header = read_header(record, &key);
		if (reader == NULL)
			reader = streaming_reader_find(state->readers, decoder, &key);
	}
	for (int i = 0; i < reader->nvalues; i++)
		reader->values[i].field = NULL;
	if (!streaming_protobuf_read(reader->want, (const uint8_t *) record->payload + header,
								 record->length - header, reader->values, &state->pieces, &error))
		ereport(ERROR,
				(errcode(error.limit ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
						 ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid Protobuf record"),
				 errdetail("%s, at byte %zu.", error.message,
						   (size_t) (error.at - (const uint8_t *) record->payload) + 1)));
	return reader;
}

/*
 * A zero, the number of the schema, and the places of the message and those around it,
 * with how many there are: 0 is short for the first message.  Returns its length.
 */
static size_t
read_header(const StreamingRecord *record, StreamingReaderKey *key)
{
	StreamingProtobufCursor cursor;
	int64		number;
	uint64		bits;

	if (!streaming_registry_id(record->payload, record->length, &key->id))
		invalid_header("It does not begin with a zero and the number of a schema.");
	cursor.p = (const uint8_t *) record->payload + STREAMING_REGISTRY_HEADER;
	cursor.end = (const uint8_t *) record->payload + record->length;
	if (!streaming_protobuf_varint(&cursor, &bits))
		invalid_header("It does not say which message of the schema it is.");
	(void) streaming_protobuf_integer(STREAMING_PROTOBUF_SINT64, bits, &number);
	if (number < 0 || number > STREAMING_READER_PATH)
		invalid_header("It does not say which message of the schema it is.");
	key->npath = Max((int32) number, 1);
	for (int i = 0; i < number; i++)
	{
		int64		place;

		if (!streaming_protobuf_varint(&cursor, &bits))
			invalid_header("It does not say which message of the schema it is.");
		(void) streaming_protobuf_integer(STREAMING_PROTOBUF_SINT64, bits, &place);
		if (place < 0 || place > PG_INT32_MAX)
			invalid_header("It does not say which message of the schema it is.");
		key->path[i] = (int32) place;
	}
	return cursor.p - (const uint8_t *) record->payload;
}

static void
invalid_header(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid Protobuf record"),
			 errdetail("%s", why)));
}

/* ---- Readers ---- */

/* schema: as schema_registry.h has it */
static void *
make_registry_reader(StreamingDecoder *decoder, const StreamingReaderKey *key, const char *schema)
{
	StreamingProtobufSchema *files = streaming_protobuf_registered(schema);
	StreamingProtobufMessage *message = files ? streaming_protobuf_at(files, key->path, key->npath) : NULL;

	if (message == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("schema %d of the schema registry has no such message", key->id)));
	return make_reader(decoder, message);
}

static ProtobufReader *
make_reader(StreamingDecoder *decoder, StreamingProtobufMessage *message)
{
	ProtobufState *state = decoder->state;
	ProtobufReader *reader = palloc0(sizeof(ProtobufReader));

	reader->want = make_want(message);
	reader->want->seen = -1;
	reader->nvalues = state->wanted.n;
	reader->defaults = palloc0(sizeof(ProtobufDefault) * Max(state->wanted.n, 1));
	for (int number = 0; number < state->wanted.n; number++)
	{
		if (!add_want(state, reader, reader->want, number, 0))
			continue;
		for (int i = 0; i < state->ncolumns; i++)
			if (state->columns[i].wanted == number)
				decoder->absent = bms_del_member(decoder->absent, state->columns[i].attnum);
	}
	add_siblings(reader->want);
	streaming_protobuf_complete(reader->want, &reader->nvalues);
	reader->values = palloc0(sizeof(StreamingProtobufValue) * Max(reader->nvalues, 1));
	return reader;
}

static StreamingProtobufWant *
make_want(const StreamingProtobufMessage *message)
{
	StreamingProtobufWant *want = palloc0(sizeof(StreamingProtobufWant));

	want->message = message;
	want->fields = palloc0(sizeof(StreamingProtobufWantField) * Max(message->n, 1));
	return want;
}

/*
 * Adds the value number, whose path is at step in the message.  Returns false if the
 * message has no such field.
 */
static bool
add_want(ProtobufState *state, ProtobufReader *reader, StreamingProtobufWant *want,
		 int number, int step)
{
	const StreamingProtobufMessage *message = want->message;
	const StreamingProtobufField *field;
	StreamingProtobufWantField *wanted;
	int			place = streaming_find_wanted(&state->wanted, number, step, field_name, message, message->n);

	if (place < 0)
		return false;
	field = &message->fields[place];
	if (step == state->wanted.items[number].column->npath - 1)
	{
		add_field(want, field)->value = number;
		if (!field->presence)
		{
			reader->defaults[number].value = streaming_protobuf_zero(field);
			if (field->repeated)
				reader->defaults[number].value.data = NULL;
			reader->defaults[number].around = want;
		}
		return true;
	}
	if (field->message == NULL || field->repeated)
		return false;
	wanted = add_field(want, field);
	if (wanted->nested == NULL)
		wanted->nested = make_want(field->message);
	return add_want(state, reader, wanted->nested, number, step + 1);
}

static StreamingProtobufWantField *
add_field(StreamingProtobufWant *want, const StreamingProtobufField *field)
{
	StreamingProtobufWantField *wanted;

	for (int i = 0; i < want->n; i++)
		if (want->fields[i].field == field)
			return &want->fields[i];
	wanted = &want->fields[want->n++];
	wanted->field = field;
	wanted->value = -1;
	return wanted;
}

/* Members of a oneof take back each other, also those that nobody wants. */
static void
add_siblings(StreamingProtobufWant *want)
{
	int			n = want->n;
	bool	   *wanted = palloc0(sizeof(bool) * Max(want->message->noneofs, 1));

	for (int i = 0; i < n; i++)
	{
		if (want->fields[i].nested)
			add_siblings(want->fields[i].nested);
		if (want->fields[i].field->oneof >= 0)
			wanted[want->fields[i].field->oneof] = true;
	}
	for (int i = 0; i < want->message->n; i++)
	{
		const StreamingProtobufField *field = &want->message->fields[i];

		if (field->oneof >= 0 && wanted[field->oneof])
			(void) add_field(want, field);
	}
	pfree(wanted);
}

static const char *
field_name(const void *record, int i)
{
	return ((const StreamingProtobufMessage *) record)->fields[i].name;
}
