/*
 * change.c
 *		Records of a stream whose rows change: what each does, and to which row.
 *
 *	upsert		a row, or, without a payload, a deletion, whose key is in the key of
 *				the message
 *	debezium	an envelope:
 *
 *		{"before": row, "after": row, "op": "u", "source": {...}, ...}
 *
 *				or that as the member "payload" of an object that has its schema, too.
 *				MongoDB's rows are texts that are JSON.  Tombstones, which tell the
 *				broker what it may forget, and what is not of a table are passed over
 *
 * The stream's own decoder sees the row that is put: of JSON that is cut out of the
 * envelope, in Avro its fields have a path that begins with "after" (catalog/stream.c).
 * Keys have decoders of their own, whose columns are those of the key.  A message's key
 * is read as it is written (format/encode.c): the text of the one column, or a JSON
 * object; or as Avro, with the number of its schema.  Where the option "key_format" says
 * what it is, it is nothing else.  Keys that are columns with metadata are no matter of
 * this file's (key.c).
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_type.h"
#include "format/change.h"
#include "format/json_reader.h"
#include "format/key.h"
#include "format/schema_registry.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* Members of an envelope, or of the key of a message, that are looked at. */
enum
{
	MEMBER_SCHEMA,
	MEMBER_PAYLOAD,
	MEMBER_OP,
	MEMBER_BEFORE,
	MEMBER_AFTER,
	MEMBER_STATUS,				/* of a transaction that begins or ends */
	MEMBER_DDL,					/* of a change of the schema */
	MEMBER_ID,					/* MongoDB: the key */
	NMEMBERS
};

static const StreamingJsonField members[NMEMBERS] = {
	{"schema", 6}, {"payload", 7}, {"op", 2}, {"before", 6}, {"after", 5}, {"status", 6}, {"ddl", 3}, {"id", 2}
};

struct StreamingChangeDecoder
{
	StreamingDecoder *decoder;
	StreamingJsonReader *reader;	/* of members */
	StreamingJsonReader *payload_reader;	/* ditto, of those of the member "payload" */
	StreamingJsonValue members[NMEMBERS];
	StreamingJsonValue payload_members[NMEMBERS];
	StreamingJsonValue *found;	/* those that count */
	MemoryContextCallback callback;
	StreamingDecoder *json_key; /* of an object that has the key, in JSON */
	StreamingDecoder *binary_key;	/* ditto, in Avro or Protobuf; NULL: it is never such */
	StreamingDecoder *whole_key;	/* ditto, that is the one column; NULL: likewise */
	StreamingConverter *text_key;	/* of a key that is a text; NULL: it has more columns
									 * than one */
	AttrNumber	text_attno;		/* then */
	StreamingDecoder *op;		/* Debezium, Avro: the member "op", as "$change" */
	StreamingDecoder *before;	/* ditto, the key in "before" */
	FmgrInfo   *equal;			/* of keys */
	Datum	   *values;			/* space for a row */
	bool	   *isnull;
};

static void open_binary_keys(StreamingChangeDecoder *change, int nfields, int skip);

/* ---- What it is made of ---- */

static void
destroy_reader(void *arg)
{
	StreamingChangeDecoder *change = arg;

	streaming_json_reader_destroy(change->reader);
	streaming_json_reader_destroy(change->payload_reader);
}

/*
 * A decoder of the key's fields alone.  skip: steps of their paths that are left out;
 * step: the first step that there is then; NULL: it stays.
 */
static StreamingDecoder *
key_decoder(StreamingStream *of, char *format, int skip, char *step)
{
	StreamingStream *stream = palloc(sizeof(StreamingStream));
	StreamingDecoder *decoder;
	MemoryContext old;

	*stream = *of;
	stream->format = format;
	stream->on_error = STREAMING_ON_ERROR_REJECT;
	stream->columns = palloc(sizeof(StreamingColumn) * stream->tupdesc->natts);
	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		StreamingColumn *column = &stream->columns[i];

		*column = of->columns[i];
		if (!streaming_stream_is_key(of, i + 1))
			column->dropped = true;
		if (column->dropped || column->metadata != STREAMING_META_NONE)
			continue;
		column->path = memcpy(palloc(sizeof(char *) * column->npath), column->path + skip,
							  sizeof(char *) * (column->npath - skip));
		column->npath -= skip;
		if (step)
			column->path[0] = step;
	}
	decoder = streaming_decoder_open(stream, NULL);
	old = MemoryContextSwitchTo(decoder->context);
	decoder->routine->prepare(decoder);
	MemoryContextSwitchTo(old);
	return decoder;
}

/* Ditto of the key of a message.  whole: all of that is the one column. */
static StreamingDecoder *
message_key_decoder(const StreamingStream *of, char *format, int skip, bool whole)
{
	StreamingStream *stream = streaming_stream_of_keys(of);
	Bitmapset  *attnos = NULL;
	StreamingDecoder *decoder;
	MemoryContext old;

	stream->format = format;
	stream->on_error = STREAMING_ON_ERROR_REJECT;
	for (int i = 0; i < of->nkeys; i++)
	{
		StreamingColumn *column = &stream->columns[of->keys[i] - 1];

		if (column->metadata != STREAMING_META_NONE)
			continue;
		attnos = bms_add_member(attnos, of->keys[i]);
		column->path += skip;
		column->npath -= skip;
	}
	streaming_key_columns(stream, attnos);
	for (int i = 0; whole && i < stream->tupdesc->natts; i++)
		stream->columns[i].npath = 1;
	decoder = streaming_decoder_open(stream, NULL);
	old = MemoryContextSwitchTo(decoder->context);
	decoder->routine->prepare(decoder);
	MemoryContextSwitchTo(old);
	return decoder;
}

/* A decoder of "op" alone, as the text "$change". */
static StreamingDecoder *
op_decoder(StreamingStream *of)
{
	static char *path[] = {"op"};
	StreamingStream *stream = palloc(sizeof(StreamingStream));
	StreamingColumn *column;
	StreamingDecoder *decoder;
	MemoryContext old;

	*stream = *of;
	stream->on_error = STREAMING_ON_ERROR_REJECT;
	stream->columns = palloc0(sizeof(StreamingColumn) * stream->tupdesc->natts);
	for (int i = 0; i < stream->tupdesc->natts; i++)
		stream->columns[i].dropped = true;
	column = &stream->columns[of->change_attno - 1];
	column->dropped = false;
	column->name = column->field = path[0];
	column->path = path;
	column->npath = 1;
	column->type = TEXTOID;
	column->typmod = -1;
	decoder = streaming_decoder_open(stream, NULL);
	old = MemoryContextSwitchTo(decoder->context);
	decoder->routine->prepare(decoder);
	MemoryContextSwitchTo(old);
	return decoder;
}

static void
open_keys(StreamingChangeDecoder *change)
{
	StreamingStream *stream = change->decoder->stream;
	bool		is_avro = strcmp(stream->format, "avro") == 0;
	bool		is_envelope = stream->changes == STREAMING_CHANGES_DEBEZIUM;
	int			nfields = 0;

	change->equal = palloc(sizeof(FmgrInfo) * stream->nkeys);
	for (int i = 0; i < stream->nkeys; i++)
	{
		StreamingColumn *column = &stream->columns[stream->keys[i] - 1];

		fmgr_info(lookup_type_cache(column->type, TYPECACHE_EQ_OPR_FINFO)->eq_opr_finfo.fn_oid,
				  &change->equal[i]);
		if (column->metadata != STREAMING_META_NONE)
			continue;
		nfields++;
		change->text_attno = stream->keys[i];
	}
	if (nfields == 1)
		change->text_key = streaming_converter_open(&stream->columns[change->text_attno - 1]);
	change->json_key = key_decoder(stream, "json", is_avro && is_envelope ? 1 : 0, NULL);
	open_binary_keys(change, nfields, is_avro && is_envelope ? 1 : 0);
	if (is_avro && is_envelope)
	{
		change->op = op_decoder(stream);
		change->before = key_decoder(stream, "avro", 0, "before");
	}
}

/*
 * Without the option "key_format" keys are taken for Avro beside values that are, where
 * there is a registry.  skip: steps of the columns' paths that are not of the key.
 */
static void
open_binary_keys(StreamingChangeDecoder *change, int nfields, int skip)
{
	StreamingStream *of = change->decoder->stream;
	char	   *format = of->key_format;

	if (format == NULL && of->registry && strcmp(of->format, "avro") == 0)
		format = "avro";
	if (nfields == 0 || format == NULL || (strcmp(format, "avro") != 0 && strcmp(format, "protobuf") != 0))
		return;
	change->binary_key = message_key_decoder(of, format, skip, false);
	if (nfields == 1 && strcmp(format, "avro") == 0)
		change->whole_key = message_key_decoder(of, format, skip, true);
}

StreamingChangeDecoder *
streaming_change_decoder_open(StreamingDecoder *decoder)
{
	StreamingChangeDecoder *change = palloc0(sizeof(StreamingChangeDecoder));
	int			natts = decoder->stream->tupdesc->natts;

	change->decoder = decoder;
	change->values = palloc(sizeof(Datum) * natts);
	change->isnull = palloc(sizeof(bool) * natts);
	change->callback.func = destroy_reader;
	change->callback.arg = change;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &change->callback);
	change->reader = streaming_json_reader_create(members, NMEMBERS);
	change->payload_reader = streaming_json_reader_create(members, NMEMBERS);
	if (change->reader == NULL || change->payload_reader == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	streaming_json_reader_nest(change->reader, MEMBER_PAYLOAD, change->payload_reader,
							   change->payload_members);
	change->found = change->members;
	open_keys(change);
	return change;
}

/* ---- JSON ---- */

static bool
is_object(const StreamingJsonValue *value)
{
	return value->kind == STREAMING_JSON_NESTED && value->data[0] == '{';
}

/*
 * The members of an object; where that has its schema, too, of its payload, which it is
 * then.
 */
static void
read_members(StreamingChangeDecoder *change, const char **data, size_t *length)
{
	StreamingJsonError error;

	change->found = change->members;
	if (!streaming_json_read(change->reader, *data, *length, change->found, &error))
		streaming_json_report(&error, *data, *length);
	if (change->found[MEMBER_SCHEMA].kind == STREAMING_JSON_ABSENT ||
		!is_object(&change->found[MEMBER_PAYLOAD]))
		return;
	*data = change->found[MEMBER_PAYLOAD].data;
	*length = change->found[MEMBER_PAYLOAD].length;
	change->found = change->payload_members;
}

/* A string without its escapes; in CurrentMemoryContext, or where it stands. */
static const char *
unescaped(const StreamingJsonValue *string, size_t *length)
{
	StreamingJsonError error;
	char	   *result;

	*length = string->length;
	if (!string->escaped)
		return string->data;
	result = palloc(string->length + 1);
	if (!streaming_json_unescape(string->data, string->length, result, length, &error))
		streaming_json_report(&error, string->data, string->length);
	return result;
}

static bool
is_string(const StreamingJsonValue *value, const char *string)
{
	return value->kind == STREAMING_JSON_STRING && value->length == strlen(string) &&
		memcmp(value->data, string, value->length) == 0;
}

/* ---- Keys ---- */

static AttrNumber
missing_key(StreamingChangeDecoder *change, const bool *isnull)
{
	StreamingStream *stream = change->decoder->stream;

	for (int i = 0; i < stream->nkeys; i++)
	{
		AttrNumber	attno = stream->keys[i];

		if (isnull[attno - 1] && stream->columns[attno - 1].metadata == STREAMING_META_NONE)
			return attno;
	}
	return InvalidAttrNumber;
}

/* The fields of the key among those of a row. */
static void
decode_key_of(StreamingChangeDecoder *change, StreamingDecoder *decoder, const char *data,
			  size_t length, Datum *values, bool *isnull)
{
	StreamingRecord record = {.payload = data, .length = length};
	int			natts = change->decoder->stream->tupdesc->natts;

	memset(values, 0, sizeof(Datum) * natts);
	memset(isnull, true, sizeof(bool) * natts);
	decoder->failed = NULL;
	(void) decoder->routine->decode(decoder, &record, values, isnull);
}

/*
 * MongoDB's row has its key as the member "_id", and the message's key has that as a
 * text, in which numbers are not of the type that they have in the row.
 */
static void
decode_mongo_key(StreamingChangeDecoder *change, Datum *values, bool *isnull)
{
	static const char *const forms[] = {
		"{\"_id\": %s}",
		"{\"_id\": {\"$numberLong\": \"%s\", \"$numberDecimal\": \"%s\", \"$numberDouble\": \"%s\"}}"
	};
	size_t		length;
	const char *id = unescaped(&change->found[MEMBER_ID], &length);

	id = pnstrdup(id, length);
	for (int i = 0; i < (strspn(id, "-.0123456789") == length ? 2 : 1) &&
		 missing_key(change, isnull); i++)
	{
		char	   *row = i == 0 ? psprintf(forms[0], id) : psprintf(forms[1], id, id, id);

		decode_key_of(change, change->json_key, row, strlen(row), values, isnull);
	}
}

/* The fields of the key, as far as the key of a message has them. */
static void
decode_message_key(StreamingChangeDecoder *change, const StreamingRecord *record,
				   Datum *values, bool *isnull)
{
	const char *format = change->decoder->stream->key_format;
	const char *key = record->key;
	size_t		length = record->key_length;
	int32		id;

	if (key == NULL)
		return;
	if (change->binary_key && (format || streaming_registry_id(key, length, &id)))
	{
		decode_key_of(change, change->binary_key, key, length, values, isnull);
		if (change->whole_key && missing_key(change, isnull))
			decode_key_of(change, change->whole_key, key, length, values, isnull);
	}
	else if (streaming_key_is_binary(change->decoder->stream))
		return;					/* of columns with metadata */
	else if (length > 0 && key[0] == '{' && (format == NULL || strcmp(format, "json") == 0))
	{
		read_members(change, &key, &length);
		decode_key_of(change, change->json_key, key, length, values, isnull);
		if (change->decoder->stream->changes == STREAMING_CHANGES_DEBEZIUM &&
			change->found[MEMBER_ID].kind == STREAMING_JSON_STRING)
			decode_mongo_key(change, values, isnull);
	}
	else if (change->text_key && (format == NULL || strcmp(format, "text") == 0))
	{
		const char *text = pg_any_to_server(key, length, PG_UTF8);

		values[change->text_attno - 1] =
			streaming_convert(change->text_key, STREAMING_TOKEN_TEXT, text,
							  text == key ? length : strlen(text));
		isnull[change->text_attno - 1] = false;
	}
}

/* Of a row that goes: of its columns, or of the key of the message. */
static void
decode_deleted(StreamingChangeDecoder *change, const StreamingRecord *record,
			   StreamingDecoder *before, const char *data, size_t length,
			   Datum *values, bool *isnull)
{
	if (data)
		decode_key_of(change, before, data, length, values, isnull);
	if (missing_key(change, isnull))
		decode_message_key(change, record, values, isnull);
}

/*
 * An update of another row than the one that there is afterwards.  Debezium writes these
 * as a deletion and an insertion if the key is that of the message.
 */
static void
check_same_key(StreamingChangeDecoder *change, StreamingDecoder *before, const char *data,
			   size_t length, const Datum *values, const bool *isnull)
{
	StreamingStream *stream = change->decoder->stream;

	if (data == NULL)
		return;
	decode_key_of(change, before, data, length, change->values, change->isnull);
	if (missing_key(change, change->isnull))
		return;
	for (int i = 0; i < stream->nkeys; i++)
	{
		int			at = stream->keys[i] - 1;

		if (stream->columns[at].metadata != STREAMING_META_NONE || isnull[at] ||
			DatumGetBool(FunctionCall2Coll(&change->equal[i], stream->columns[at].collation,
										   values[at], change->values[at])))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an update changes column \"%s\" of the key", stream->columns[at].name),
				 errhint("Set the option \"key\" to the columns that make the key of the message: changes of those come as a deletion and an insertion.")));
	}
}

/* ---- Envelopes ---- */

/* What "op" says. */
static StreamingChange
change_of_op(const char *op, size_t length)
{
	switch (length == 1 ? op[0] : '\0')
	{
		case 'c':
		case 'r':
			return STREAMING_CHANGE_PUT;
		case 'u':
			return STREAMING_CHANGE_UPDATE;
		case 'd':
			return STREAMING_CHANGE_DELETE;
		case 't':
			return STREAMING_CHANGE_TRUNCATE;
		case 'm':				/* a message that an application has written to the log */
			return STREAMING_CHANGE_NONE;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("invalid operation of a Debezium change event: \"%s\"",
					pnstrdup(op, pg_mbcliplen(op, length, 16)))));
}

static void
refuse_record(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("record is not a Debezium change event"),
			 errdetail("It has no member \"op\"."),
			 errhint("Set the option \"changes\" to \"upsert\" for rows that are sent without their envelope.")));
}

static void
refuse_missing_row(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("Debezium change event has no row in member \"after\"")));
}

static StreamingChange
decode_json_envelope(StreamingChangeDecoder *change, const StreamingRecord *record,
					 Datum *values, bool *isnull)
{
	const StreamingJsonValue *found;
	StreamingJsonValue before;
	StreamingRecord row = *record;
	StreamingChange what;

	if (record->payload == NULL)
		return STREAMING_CHANGE_NONE;
	read_members(change, &row.payload, &row.length);
	found = change->found;
	if (found[MEMBER_OP].kind != STREAMING_JSON_STRING)
	{
		if (is_string(&found[MEMBER_STATUS], "BEGIN") || is_string(&found[MEMBER_STATUS], "END") ||
			found[MEMBER_DDL].kind == STREAMING_JSON_STRING)
			return STREAMING_CHANGE_NONE;
		refuse_record();
	}
	what = change_of_op(found[MEMBER_OP].data, found[MEMBER_OP].length);
	if (what == STREAMING_CHANGE_NONE || what == STREAMING_CHANGE_TRUNCATE)
		return what;

	before = found[MEMBER_BEFORE];
	if (before.kind == STREAMING_JSON_STRING)
		before.data = unescaped(&before, &before.length);
	else if (!is_object(&before))
		before.data = NULL;
	if (what == STREAMING_CHANGE_DELETE)
	{
		decode_deleted(change, record, change->json_key, before.data, before.length, values, isnull);
		return what;
	}
	if (found[MEMBER_AFTER].kind == STREAMING_JSON_STRING)
		row.payload = unescaped(&found[MEMBER_AFTER], &row.length);
	else if (is_object(&found[MEMBER_AFTER]))
	{
		row.payload = found[MEMBER_AFTER].data;
		row.length = found[MEMBER_AFTER].length;
	}
	else
		refuse_missing_row();
	(void) change->decoder->routine->decode(change->decoder, &row, values, isnull);
	if (what == STREAMING_CHANGE_UPDATE)
		check_same_key(change, change->json_key, before.data, before.length, values, isnull);
	return what;
}

static StreamingChange
decode_avro_envelope(StreamingChangeDecoder *change, const StreamingRecord *record,
					 Datum *values, bool *isnull)
{
	StreamingDecoder *decoder = change->decoder;
	int			op = decoder->stream->change_attno - 1;
	char	   *name;
	StreamingChange what;

	if (record->payload == NULL)
		return STREAMING_CHANGE_NONE;
	memset(change->isnull, true, sizeof(bool) * decoder->stream->tupdesc->natts);
	change->op->failed = NULL;
	if (!change->op->routine->decode(change->op, record, change->values, change->isnull))
	{
		/* the schema of a file, which all are to know */
		(void) change->before->routine->decode(change->before, record, values, isnull);
		(void) decoder->routine->decode(decoder, record, values, isnull);
		return STREAMING_CHANGE_NONE;
	}
	if (change->isnull[op])
		refuse_record();
	name = text_to_cstring(DatumGetTextPP(change->values[op]));
	what = change_of_op(name, strlen(name));
	if (what == STREAMING_CHANGE_NONE || what == STREAMING_CHANGE_TRUNCATE)
		return what;
	if (what == STREAMING_CHANGE_DELETE)
	{
		decode_deleted(change, record, change->before, record->payload, record->length, values,
					   isnull);
		return what;
	}
	(void) decoder->routine->decode(decoder, record, values, isnull);
	if (what == STREAMING_CHANGE_UPDATE)
		check_same_key(change, change->before, record->payload, record->length, values, isnull);
	return what;
}

/* ---- Records ---- */

StreamingChange
streaming_decode_change(StreamingChangeDecoder *change, const StreamingRecord *record,
						Datum *values, bool *isnull)
{
	StreamingDecoder *decoder = change->decoder;

	if (decoder->stream->changes == STREAMING_CHANGES_DEBEZIUM)
		return change->op ? decode_avro_envelope(change, record, values, isnull) :
			decode_json_envelope(change, record, values, isnull);
	/* A row of a columnar file has no bytes of its own. */
	if (record->payload == NULL && record->batch == NULL)
	{
		decode_message_key(change, record, values, isnull);
		return STREAMING_CHANGE_DELETE;
	}
	return decoder->routine->decode(decoder, record, values, isnull) ? STREAMING_CHANGE_PUT :
		STREAMING_CHANGE_NONE;
}
