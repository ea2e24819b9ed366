/*
 * format_json.c
 *		A record is one JSON object; in files, one on each line.
 *
 * Columns are named after the object's members, or after members of objects
 * nested in it, each of which has a reader of its own, called by that of the object
 * around it.  Where a record has no
 * member of a column's very name, one whose name differs in case is taken, since
 * the names of columns are folded; not if the option field says the name, nor
 * if that is another column's, or two columns differ in case only.  A member
 * that is absent or null, or of something that is no object, is NULL.
 *
 * The whole record is validated, also what no column asks for, and so are the
 * values of all columns, so that what is rejected does not depend on who reads
 * the stream; they are converted only where they are needed.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/change.h"
#include "format/json_reader.h"
#include "format/split.h"
#include "mb/pg_wchar.h"

/* An object of which members are wanted. */
typedef struct JsonObject
{
	StreamingJsonReader *reader;
	StreamingJsonField *fields; /* its members */
	StreamingJsonValue *values; /* of the record under way */
	int			nfields;
	int			max_fields;		/* there is room for in fields and objects */
	struct JsonObject **objects;	/* of each field; NULL: no members wanted */
	bool		nested;			/* one is not NULL */
} JsonObject;

typedef struct JsonColumn
{
	AttrNumber	attnum;
	JsonObject *object;			/* whose member it is */
	int			number;			/* of the member */
	const StreamingJsonValue *field;	/* of the record under way; columns can
										 * share one */
	StreamingConverter *converter;
	bool		takes_json;
	bool		takes_null;		/* whatever it is */
	bool		needed;			/* else the value is only checked */
	bool		unread_text;	/* and is good, unless it has escapes */
} JsonColumn;

typedef struct JsonState
{
	JsonObject *record;
	JsonColumn *columns;		/* those that count */
	int			ncolumns;
	int		   *absent;			/* those whose field no record has had yet */
	int			nabsent;
	bool		convert;		/* is the database's encoding not UTF-8? */
	bool		partial;		/* may a row lack values that it has? */
} JsonState;

static size_t json_split(StreamingDecoder *decoder, const char *data, size_t length,
						 bool eof, size_t *scanned, size_t *record_length);
static void json_prepare(StreamingDecoder *decoder);
static bool json_decode(StreamingDecoder *decoder, const StreamingRecord *record,
						Datum *values, bool *isnull);
static void json_end(StreamingDecoder *decoder);
static JsonObject *make_object(void);
static int	add_field(JsonObject *object, const char *name, bool any_case);
static bool same_but_case(const char *a, const char *b);
static void tell_apart(JsonObject *object);
static void open_readers(JsonObject *object);
static void close_readers(JsonObject *object);
static void see_members(JsonObject *object);
static void forget_members(JsonObject *object);
static void find_absent(StreamingDecoder *decoder, JsonState *state);
static Datum convert_field(JsonState *state, const JsonColumn *column,
						   const StreamingJsonValue *field);
static Datum convert_token(JsonState *state, const JsonColumn *column, StreamingTokenKind kind,
						   const char *token, size_t length);

const StreamingFormatRoutine streaming_format_json = {
	.name = "json",
	.split = json_split,
	.prepare = json_prepare,
	.decode = json_decode,
	.end = json_end
};

static size_t
json_split(StreamingDecoder *decoder, const char *data, size_t length,
		   bool eof, size_t *scanned, size_t *record_length)
{
	size_t		taken = streaming_split_line(data, length, eof, scanned, record_length);
	size_t		i = 0;

	if (taken == 0)
		return 0;
	while (i < *record_length &&
		   (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n'))
		i++;
	if (i == *record_length)
		*record_length = 0;
	return taken;
}

static void
json_prepare(StreamingDecoder *decoder)
{
	StreamingStream *stream = decoder->stream;
	int			natts = stream->tupdesc->natts;
	JsonState  *state = palloc0(sizeof(JsonState));

	state->record = make_object();
	state->convert = GetDatabaseEncoding() != PG_UTF8;
	state->partial = stream->changes == STREAMING_CHANGES_DEBEZIUM;
	state->columns = palloc(sizeof(JsonColumn) * Max(natts, 1));
	for (int i = 0; i < natts; i++)
	{
		JsonColumn *column = &state->columns[state->ncolumns];
		JsonObject *object = state->record;
		int			field;

		if (!streaming_decoder_counts(decoder, i + 1))
			continue;
		for (int step = 0; step < stream->columns[i].npath - 1; step++)
		{
			field = add_field(object, stream->columns[i].path[step], false);
			if (object->objects[field] == NULL)
				object->objects[field] = make_object();
			object->nested = true;
			object = object->objects[field];
		}
		field = add_field(object, stream->columns[i].path[stream->columns[i].npath - 1],
						  stream->columns[i].any_case);
		column->attnum = i + 1;
		column->object = object;
		column->number = field;
		column->converter = streaming_converter_open(&stream->columns[i]);
		column->takes_json = streaming_converter_takes_json(column->converter);
		column->takes_null = streaming_converter_takes_null(column->converter);
		column->needed = streaming_decoder_wants(decoder, i + 1);
		column->unread_text = !column->needed && !state->convert &&
			streaming_converter_takes_text(column->converter);
		state->ncolumns++;
	}
	decoder->state = state;
	open_readers(state->record);
	state->absent = palloc(sizeof(int) * Max(natts, 1));
	bms_free(decoder->absent);
	decoder->absent = NULL;
	for (int i = 0; i < state->ncolumns; i++)
	{
		JsonColumn *column = &state->columns[i];

		column->field = &column->object->values[column->number];
		state->absent[state->nabsent++] = i;
		decoder->absent = bms_add_member(decoder->absent, column->attnum);
	}
}

static void
check_sent(StreamingDecoder *decoder, const JsonColumn *column)
{
	decoder->column = column->attnum;
	if (!bms_is_member(column->attnum, decoder->failed))
		streaming_check_sent(column->field->data, column->field->length);
}

static bool
json_decode(StreamingDecoder *decoder, const StreamingRecord *record,
			Datum *values, bool *isnull)
{
	JsonState  *state = decoder->state;
	StreamingJsonError error;

	if (record->payload != NULL &&
		!streaming_json_read(state->record->reader, record->payload, record->length,
							 state->record->values, &error))
		streaming_json_report(&error, record->payload, record->length);
	if (record->payload != NULL && state->record->nested)
		see_members(state->record);
	if (record->payload != NULL && state->nabsent > 0)
		find_absent(decoder, state);

	for (int i = 0; i < state->ncolumns; i++)
	{
		const JsonColumn *column = &state->columns[i];
		const StreamingJsonValue *field = column->field;
		bool		is_null = record->payload == NULL ||
			field->kind == STREAMING_JSON_ABSENT || field->kind == STREAMING_JSON_NULL;
		Datum		value;

		if (state->partial && field->kind == STREAMING_JSON_STRING)
			check_sent(decoder, column);
		if (is_null ? column->takes_null : column->unread_text && !field->escaped)
			continue;
		decoder->column = column->attnum;
		if (bms_is_member(column->attnum, decoder->failed))
			continue;
		if (is_null)
		{
			streaming_convert_null(column->converter);
			continue;
		}
		value = convert_field(state, column, field);
		if (column->needed)
		{
			values[column->attnum - 1] = value;
			isnull[column->attnum - 1] = false;
		}
	}
	decoder->column = 0;
	return true;
}

static void
json_end(StreamingDecoder *decoder)
{
	JsonState  *state = decoder->state;

	if (state != NULL)
		close_readers(state->record);
}

/* ---- Objects ---- */

static JsonObject *
make_object(void)
{
	JsonObject *object = palloc0(sizeof(JsonObject));

	object->max_fields = 4;
	object->fields = palloc(sizeof(StreamingJsonField) * object->max_fields);
	object->objects = palloc(sizeof(JsonObject *) * object->max_fields);
	return object;
}

/* Returns the number of member name. */
static int
add_field(JsonObject *object, const char *name, bool any_case)
{
	int			field = 0;

	name = pg_server_to_any(name, strlen(name), PG_UTF8);
	while (field < object->nfields && strcmp(object->fields[field].name, name) != 0)
		field++;
	if (field == object->nfields)
	{
		if (field == object->max_fields)
		{
			object->max_fields *= 2;
			object->fields = repalloc(object->fields, sizeof(StreamingJsonField) * object->max_fields);
			object->objects = repalloc(object->objects, sizeof(JsonObject *) * object->max_fields);
		}
		object->objects[field] = NULL;
		object->fields[field].name = name;
		object->fields[field].length = strlen(name);
		object->fields[field].any_case = any_case;
		object->nfields++;
	}
	else if (!any_case)
		object->fields[field].any_case = false;
	return field;
}

/* As the server folds identifiers, and the reader compares. */
static bool
same_but_case(const char *a, const char *b)
{
	for (; *a && pg_ascii_tolower((unsigned char) *a) == pg_ascii_tolower((unsigned char) *b); a++)
		b++;
	return *a == '\0' && *b == '\0';
}

/* Fields that differ in case only have no other way to be told apart. */
static void
tell_apart(JsonObject *object)
{
	bool	   *alike = palloc0(sizeof(bool) * Max(object->nfields, 1));

	for (int i = 0; i < object->nfields; i++)
	{
		for (int k = 0; k < i; k++)
		{
			if (object->fields[i].any_case && object->fields[k].any_case &&
				same_but_case(object->fields[i].name, object->fields[k].name))
				alike[i] = alike[k] = true;
		}
	}
	for (int i = 0; i < object->nfields; i++)
		object->fields[i].any_case &= !alike[i];
	pfree(alike);
}

static void
open_readers(JsonObject *object)
{
	tell_apart(object);
	object->values = palloc0(sizeof(StreamingJsonValue) * Max(object->nfields, 1));
	object->reader = streaming_json_reader_create(object->fields, object->nfields);
	if (object->reader == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	for (int i = 0; i < object->nfields; i++)
	{
		JsonObject *nested = object->objects[i];

		if (nested == NULL)
			continue;
		open_readers(nested);
		streaming_json_reader_nest(object->reader, i, nested->reader, nested->values);
	}
}

static void
close_readers(JsonObject *object)
{
	streaming_json_reader_destroy(object->reader);
	object->reader = NULL;
	for (int i = 0; i < object->nfields; i++)
	{
		if (object->objects[i])
			close_readers(object->objects[i]);
	}
}

/* Objects nested in one that has been read have been read with it, where there are some. */
static void
see_members(JsonObject *object)
{
	for (int i = 0; i < object->nfields; i++)
	{
		const StreamingJsonValue *value = &object->values[i];
		JsonObject *nested = object->objects[i];

		if (nested == NULL)
			continue;
		if (value->kind != STREAMING_JSON_NESTED || value->data[0] != '{')
			forget_members(nested);
		else if (nested->nested)
			see_members(nested);
	}
}

static void
forget_members(JsonObject *object)
{
	for (int i = 0; i < object->nfields; i++)
	{
		object->values[i].kind = STREAMING_JSON_ABSENT;
		if (object->objects[i])
			forget_members(object->objects[i]);
	}
}

/* Of the columns whose field no record has had, those whose field this one has not either. */
static void
find_absent(StreamingDecoder *decoder, JsonState *state)
{
	int			n = 0;

	for (int i = 0; i < state->nabsent; i++)
	{
		const JsonColumn *column = &state->columns[state->absent[i]];

		if (column->field->kind == STREAMING_JSON_ABSENT)
			state->absent[n++] = state->absent[i];
		else
			decoder->absent = bms_del_member(decoder->absent, column->attnum);
	}
	state->nabsent = n;
}

/* ---- Values ---- */

/* A value that is not null; of a column that is not needed only its errors. */
static Datum
convert_field(JsonState *state, const JsonColumn *column, const StreamingJsonValue *field)
{
	StreamingTokenKind kind;

	switch (field->kind)
	{
		case STREAMING_JSON_STRING:
			if (column->takes_json)
				return convert_token(state, column, STREAMING_TOKEN_JSON,
									 field->data - 1, field->length + 2);
			if (field->escaped)
			{
				char	   *string = palloc(field->length);
				size_t		length;
				StreamingJsonError error;
				Datum		value;

				if (!streaming_json_unescape(field->data, field->length, string, &length, &error))
					streaming_json_report(&error, field->data, field->length);
				value = convert_token(state, column, STREAMING_TOKEN_TEXT, string, length);
				pfree(string);
				return value;
			}
			kind = STREAMING_TOKEN_TEXT;
			break;
		case STREAMING_JSON_NUMBER:
			kind = STREAMING_TOKEN_NUMBER;
			break;
		case STREAMING_JSON_BOOL:
			kind = STREAMING_TOKEN_BOOL;
			break;
		default:
			kind = STREAMING_TOKEN_JSON;
			break;
	}
	return convert_token(state, column, column->takes_json ? STREAMING_TOKEN_JSON : kind,
						 field->data, field->length);
}

static Datum
convert_token(JsonState *state, const JsonColumn *column, StreamingTokenKind kind,
			  const char *token, size_t length)
{
	if (state->convert)
	{
		char	   *converted = pg_any_to_server(token, length, PG_UTF8);

		if (converted != token)
			length = strlen(converted);
		token = converted;
	}
	if (column->needed)
		return streaming_convert(column->converter, kind, token, length);
	streaming_check(column->converter, kind, token, length);
	return (Datum) 0;
}

/* With the server's words, as far as it has some. */
void
streaming_json_report(const StreamingJsonError *error, const char *data, size_t length)
{
	int			sqlerrcode = ERRCODE_INVALID_TEXT_REPRESENTATION;
	const char *message = "invalid input syntax for type json";

	switch (error->code)
	{
		case STREAMING_JSON_ENCODING:
			/* This one names the bytes. */
			pg_verify_mbstr(PG_UTF8, data, length, false);
			sqlerrcode = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
			message = "invalid byte sequence for encoding \"UTF8\"";
			break;
		case STREAMING_JSON_NOT_OBJECT:
			message = "record is not a JSON object";
			break;
		case STREAMING_JSON_TOO_LONG:
			sqlerrcode = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
			message = "JSON record is too long or too complex";
			break;
		case STREAMING_JSON_UNTRANSLATABLE:
			sqlerrcode = ERRCODE_UNTRANSLATABLE_CHARACTER;
			message = "unsupported Unicode escape sequence";
			break;
		case STREAMING_JSON_NO_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed on a JSON record of %zu bytes.", length)));
			break;
		case STREAMING_JSON_SYNTAX:
		case STREAMING_JSON_OK:
			break;
	}

	if (error->offset == (size_t) -1)
		ereport(ERROR,
				(errcode(sqlerrcode),
				 errmsg("%s", message),
				 errdetail("%s.", error->detail)));
	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("%s", message),
			 errdetail("%s, at byte %zu.", error->detail, error->offset + 1)));
}
