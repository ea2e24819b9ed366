/*
 * encode.c
 *		Rows -> JSON, CSV and text records; encode_avro.c and encode_protobuf.c make theirs.
 *
 * JSON is what row_to_json would write, in UTF-8, with the names of the option
 * "field" and with neither blanks nor ends of lines between values.  CSV and
 * text are what COPY TO would write with the stream's options; COPY itself
 * offers no function for a single row.
 *
 * Pairs of values that a format cannot tell apart: in JSON, the jsonb value
 * null and NULL; in text with the option null '', the empty string and NULL.
 * In arrays that become JSON, lower bounds are lost.
 *
 * Output functions depend on settings of the session, and the reader of what
 * is written has others: as postgres_fdw does, they are called with those that
 * any reader understands.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "format/copy_record.h"
#include "format/encode.h"
#include "format/avro_file.h"
#include "format/columnar.h"
#include "format/columnar_write.h"
#include "format/encode_avro.h"
#include "format/encode_protobuf.h"
#include "format/encode_value.h"
#include "format/format.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "base/settings.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"

typedef struct EncodeColumn
{
	int			index;			/* in values */
	StreamingValueEncoder *value;
	char	   *label;			/* JSON: what stands before the value */
	int			label_length;
} EncodeColumn;

typedef void (*EncodeRow) (StreamingEncoder *encoder, Datum *values, bool *isnull,
						   StringInfo buf);

struct StreamingEncoder
{
	StreamingStream *stream;
	EncodeRow	encode;
	int			encoding;		/* of records */
	EncodeColumn *columns;		/* of the record */
	int			ncolumns;
	EncodeColumn *key;			/* of the key */
	int			nkey;
	bool		key_is_object;	/* JSON, also if it is of one column */
	StreamingAvroEncoder *avro_key; /* keys are such; NULL: they are not */
	StreamingProtobufEncoder *protobuf_key;
	MemoryContext scratch;		/* of one record; NULL: none is needed */
	int			needs;			/* STREAMING_VALUE_* of all columns */

	StreamingAvroEncoder *avro;
	StreamingProtobufEncoder *protobuf;
	StreamingColumnarEncoder *columnar;

	/* csv and text */
	char		delimiter;
	char		quote;
	char		escape;
	const char *null;
	int			null_length;
	bool		header;
};

static void choose_json(StreamingEncoder *encoder);
static void choose_binary(StreamingEncoder *encoder);
static void choose_columnar(StreamingEncoder *encoder);
static void choose_csv(StreamingEncoder *encoder);
static void choose_text(StreamingEncoder *encoder);
static void choose_key(StreamingEncoder *encoder);
static void choose_binary_key(StreamingEncoder *encoder);
static void add_column(StreamingEncoder *encoder, EncodeColumn *column, int index);
static void label_columns(StreamingEncoder *encoder, EncodeColumn *columns, int ncolumns);
static void refuse_shared_field(StreamingEncoder *encoder);
static void refuse_nested_field(StreamingEncoder *encoder);
static void refuse_nested_column(StreamingEncoder *encoder, const EncodeColumn *encoded);
static void read_copy_options(StreamingEncoder *encoder, const char *delimiter, const char *null);

static void encode_json(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_avro(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_avro_row(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_protobuf(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_columnar(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_csv(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_text(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void encode_line(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf);
static void append_object(const EncodeColumn *columns, int ncolumns,
						  Datum *values, bool *isnull, StringInfo buf);
static void append_csv(StreamingEncoder *encoder, const char *string, size_t length, bool quote,
					   StringInfo buf);
static void append_text(StreamingEncoder *encoder, const char *string, size_t length,
						StringInfo buf);
static void to_encoding(StringInfo buf, int start, int encoding);
static int	fix_settings(const StreamingEncoder *encoder);

/* ---------------------------------------------------------------------------
 * Opening
 * ---------------------------------------------------------------------------
 */

StreamingEncoder *
streaming_encoder_open(StreamingStream *stream)
{
	StreamingEncoder *encoder = palloc0(sizeof(StreamingEncoder));
	const StreamingFormatRoutine *format = streaming_format_by_name(stream->format);
	int			natts = stream->tupdesc->natts;
	bool		is_binary = format == &streaming_format_avro || format == &streaming_format_protobuf;
	bool		has_names = format == &streaming_format_json || is_binary ||
		format == &streaming_format_parquet || format == &streaming_format_arrow;

	if (stream->changes == STREAMING_CHANGES_DEBEZIUM)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, whose records are Debezium change events",
						stream->name),
				 errhint("Write to a stream with the option \"changes\" set to \"upsert\".")));
	if (streaming_stream_is_pattern(stream))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, whose topics are named by a regular expression",
						stream->name),
				 errhint("Write to a stream whose option \"topic\" is the name of a topic.")));
	encoder->stream = stream;
	encoder->columns = palloc0(sizeof(EncodeColumn) * Max(natts, 1));
	for (int i = 0; i < natts; i++)
	{
		const StreamingColumn *column = &stream->columns[i];

		/* As the decoders take them. */
		if (column->dropped || column->metadata != STREAMING_META_NONE ||
			(!has_names && TupleDescAttr(stream->tupdesc, i)->attgenerated != '\0'))
			continue;
		add_column(encoder, &encoder->columns[encoder->ncolumns++], i);
	}
	if (encoder->ncolumns == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, which has no columns of the record",
						stream->name),
				 errhint("Add a column without the option \"metadata\".")));

	if (format == &streaming_format_json)
		choose_json(encoder);
	else if (format == &streaming_format_csv)
		choose_csv(encoder);
	else if (format == &streaming_format_text)
		choose_text(encoder);
	else if (is_binary)
		choose_binary(encoder);
	else if (format == &streaming_format_parquet || format == &streaming_format_arrow)
		choose_columnar(encoder);
	else
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write files of format \"%s\"", stream->format),
				 errhint("Use the format \"json\" or \"csv\".")));
	choose_key(encoder);
	return encoder;
}

static void
add_column(StreamingEncoder *encoder, EncodeColumn *column, int index)
{
	column->index = index;
	column->value = streaming_value_encoder_open(&encoder->stream->columns[index]);
	encoder->needs |= streaming_value_needs(column->value);
	if (encoder->scratch == NULL && (encoder->needs & STREAMING_VALUE_ALLOCATES))
		encoder->scratch = AllocSetContextCreate(CurrentMemoryContext, "streaming encoder",
												 ALLOCSET_DEFAULT_SIZES);
}

static void
choose_json(StreamingEncoder *encoder)
{
	encoder->encode = encode_json;
	encoder->encoding = PG_UTF8;
	label_columns(encoder, encoder->columns, encoder->ncolumns);
	refuse_shared_field(encoder);
	refuse_nested_field(encoder);
}

/* Avro and Protobuf. */
static void
choose_binary(StreamingEncoder *encoder)
{
	int		   *columns = palloc(sizeof(int) * encoder->ncolumns);

	refuse_shared_field(encoder);
	refuse_nested_field(encoder);
	for (int i = 0; i < encoder->ncolumns; i++)
		columns[i] = encoder->columns[i].index;
	encoder->encoding = GetDatabaseEncoding();	/* bytes stay as they are */
	if (streaming_format_by_name(encoder->stream->format) == &streaming_format_avro)
	{
		encoder->encode = encoder->stream->kind == STREAMING_SOURCE_DIRECTORY ? encode_avro_row : encode_avro;
		encoder->avro = streaming_avro_encoder_open(encoder->stream, columns, encoder->ncolumns,
													&encoder->needs);
	}
	else
	{
		encoder->encode = encode_protobuf;
		encoder->protobuf = streaming_protobuf_encoder_open(encoder->stream, columns, encoder->ncolumns,
															&encoder->needs);
	}
	if (encoder->scratch == NULL)
		encoder->scratch = AllocSetContextCreate(CurrentMemoryContext, "streaming encoder",
												 ALLOCSET_DEFAULT_SIZES);
}

static void
choose_columnar(StreamingEncoder *encoder)
{
	int		   *columns = palloc(sizeof(int) * encoder->ncolumns);

	streaming_columnar_check(STREAMING_ARROW_IPC);
	refuse_shared_field(encoder);
	refuse_nested_field(encoder);
	for (int i = 0; i < encoder->ncolumns; i++)
		columns[i] = encoder->columns[i].index;
	encoder->encode = encode_columnar;
	encoder->encoding = GetDatabaseEncoding();	/* bytes stay as they are */
	encoder->columnar = streaming_columnar_encoder_open(encoder->stream, columns, encoder->ncolumns,
														&encoder->needs);
	if (encoder->scratch == NULL)
		encoder->scratch = AllocSetContextCreate(CurrentMemoryContext, "streaming encoder",
												 ALLOCSET_DEFAULT_SIZES);
}

static void
choose_csv(StreamingEncoder *encoder)
{
	encoder->encode = encode_csv;
	read_copy_options(encoder, ",", "");
	encoder->header = streaming_csv_has_header(encoder->stream);
}

static void
choose_text(StreamingEncoder *encoder)
{
	encoder->encode = streaming_text_takes_lines(encoder->stream) ? encode_line : encode_text;
	read_copy_options(encoder, "\t", "\\N");
}

static void
read_copy_options(StreamingEncoder *encoder, const char *delimiter, const char *null)
{
	StreamingStream *stream = encoder->stream;
	const char *value = streaming_copy_option(stream, "delimiter");
	StreamingSplitRule rule;

	streaming_copy_split_rule(stream, &rule);
	encoder->encoding = rule.encoding;
	encoder->quote = rule.quote;
	encoder->escape = rule.escape;
	encoder->delimiter = value ? value[0] : delimiter[0];
	value = streaming_copy_option(stream, "null");
	encoder->null = value ? value : null;
	encoder->null_length = strlen(encoder->null);
}

/* The option "key", or else columns that are the key. */
static void
choose_key(StreamingEncoder *encoder)
{
	StreamingStream *stream = encoder->stream;
	List	   *attnos = streaming_key_attnos(stream);
	ListCell   *lc;

	encoder->key = palloc0(sizeof(EncodeColumn) * Max(list_length(attnos), 1));
	foreach(lc, attnos)
		add_column(encoder, &encoder->key[encoder->nkey++], lfirst_int(lc) - 1);
	if (encoder->nkey == 0)
		return;
	encoder->key_is_object = streaming_key_has_fields(stream) &&
		stream->columns[encoder->key[0].index].metadata != STREAMING_META_KEY;
	if (streaming_key_is_binary(stream))
		choose_binary_key(encoder);
	else
		label_columns(encoder, encoder->key, encoder->nkey);
	for (int i = 0; i < encoder->nkey && encoder->key_is_object; i++)
		refuse_nested_column(encoder, &encoder->key[i]);
}

/* Of Protobuf a column that is all of the key is the bytes themselves. */
static void
choose_binary_key(StreamingEncoder *encoder)
{
	StreamingStream *keys = streaming_stream_of_keys(encoder->stream);
	int		   *columns = palloc(sizeof(int) * encoder->nkey);

	for (int i = 0; i < encoder->nkey; i++)
		columns[i] = encoder->key[i].index;
	if (strcmp(keys->format, "avro") == 0)
		encoder->avro_key = streaming_avro_encoder_open(keys, columns, encoder->nkey, &encoder->needs);
	else if (encoder->key_is_object)
		encoder->protobuf_key = streaming_protobuf_encoder_open(keys, columns, encoder->nkey, &encoder->needs);
	if (encoder->scratch == NULL)
		encoder->scratch = AllocSetContextCreate(CurrentMemoryContext, "streaming encoder",
												 ALLOCSET_DEFAULT_SIZES);
}

static void
label_columns(StreamingEncoder *encoder, EncodeColumn *columns, int ncolumns)
{
	for (int i = 0; i < ncolumns; i++)
	{
		const StreamingColumn *column = &encoder->stream->columns[columns[i].index];
		const char *field = column->npath == 1 ? column->path[0] : column->field;
		StringInfoData label;

		initStringInfo(&label);
		appendStringInfoChar(&label, i == 0 ? '{' : ',');
		streaming_json_string(&label, field, strlen(field));
		appendStringInfoChar(&label, ':');
		columns[i].label = label.data;
		columns[i].label_length = label.len;
	}
}

/* Readers may see one member in two ways, but nobody can write it so. */
static void
refuse_shared_field(StreamingEncoder *encoder)
{
	StreamingColumn *columns = encoder->stream->columns;

	for (int i = 1; i < encoder->ncolumns; i++)
		for (int j = 0; j < i; j++)
		{
			const StreamingColumn *a = &columns[encoder->columns[j].index];
			const StreamingColumn *b = &columns[encoder->columns[i].index];

			if (strcmp(a->field, b->field) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot write to stream %s, of which two columns are the same field",
								encoder->stream->name),
						 errdetail("Columns \"%s\" and \"%s\" are both field \"%s\".",
								   a->name, b->name, a->field),
						 errhint("Write to another foreign table with a column for each field.")));
		}
}

/* An object that several columns are members of would have to be put together. */
static void
refuse_nested_field(StreamingEncoder *encoder)
{
	for (int i = 0; i < encoder->ncolumns; i++)
		refuse_nested_column(encoder, &encoder->columns[i]);
}

static void
refuse_nested_column(StreamingEncoder *encoder, const EncodeColumn *encoded)
{
	const StreamingColumn *column = &encoder->stream->columns[encoded->index];

	if (column->npath > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, of which a column is a member of a nested object",
						encoder->stream->name),
				 errdetail("Column \"%s\" is field \"%s\".", column->name, column->field),
				 errhint("Write to another foreign table with a column of type jsonb for the object; write \"\\.\" for a dot in a name.")));
}

/* ---------------------------------------------------------------------------
 * Encoding
 * ---------------------------------------------------------------------------
 */

void
streaming_encode(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	MemoryContext old = CurrentMemoryContext;
	int			start = buf->len;
	int			settings = fix_settings(encoder);

	if (encoder->scratch)
		MemoryContextSwitchTo(encoder->scratch);
	encoder->encode(encoder, values, isnull, buf);
	to_encoding(buf, start, encoder->encoding);
	MemoryContextSwitchTo(old);
	if (encoder->scratch)
		MemoryContextReset(encoder->scratch);
	if (settings > 0)
		AtEOXact_GUC(true, settings);
}

/* Columns of the option "key" make one, whatever they are. */
static bool
has_key(const StreamingEncoder *encoder, const bool *isnull)
{
	if (encoder->stream->key_columns != NIL)
		return encoder->nkey > 0;
	for (int i = 0; i < encoder->nkey; i++)
		if (!isnull[encoder->key[i].index])
			return true;
	return false;
}

bool
streaming_encode_key(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	MemoryContext old = CurrentMemoryContext;
	int			start = buf->len;
	const EncodeColumn *column = &encoder->key[0];
	int			settings;

	if (!has_key(encoder, isnull))
		return false;
	settings = fix_settings(encoder);
	if (encoder->scratch)
		MemoryContextSwitchTo(encoder->scratch);
	if (encoder->avro_key)
	{
		streaming_avro_encode(encoder->avro_key, values, isnull, buf);
		start = buf->len;
	}
	else if (encoder->protobuf_key)
	{
		streaming_protobuf_encode(encoder->protobuf_key, values, isnull, buf);
		start = buf->len;
	}
	else if (encoder->nkey > 1 || isnull[column->index] || encoder->key_is_object)
		append_object(encoder->key, encoder->nkey, values, isnull, buf);
	else if (encoder->stream->columns[column->index].type == BYTEAOID)
	{
		struct varlena *bytes = PG_DETOAST_DATUM_PACKED(values[column->index]);

		appendBinaryStringInfo(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
		start = buf->len;
	}
	else
	{
		size_t		length;
		const char *string = streaming_value_text(column->value, values[column->index], &length);

		appendBinaryStringInfo(buf, string, length);
	}
	to_encoding(buf, start, PG_UTF8);
	MemoryContextSwitchTo(old);
	if (encoder->scratch)
		MemoryContextReset(encoder->scratch);
	if (settings > 0)
		AtEOXact_GUC(true, settings);
	return true;
}

bool
streaming_encode_header(StreamingEncoder *encoder, StringInfo buf)
{
	int			start = buf->len;

	if (encoder->columnar)
	{
		streaming_columnar_encode_header(encoder->columnar, buf);
		return true;
	}
	if (encoder->encode == encode_avro_row)
	{
		streaming_avro_encode_schema(encoder->avro, buf);
		return true;
	}
	if (!encoder->header)
		return false;
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		const char *field = encoder->stream->columns[encoder->columns[i].index].field;

		if (i > 0)
			appendStringInfoChar(buf, encoder->delimiter);
		append_csv(encoder, field, strlen(field), false, buf);
	}
	to_encoding(buf, start, encoder->encoding);
	return true;
}

static void
encode_json(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	append_object(encoder->columns, encoder->ncolumns, values, isnull, buf);
}

static void
append_object(const EncodeColumn *columns, int ncolumns,
			  Datum *values, bool *isnull, StringInfo buf)
{
	for (int i = 0; i < ncolumns; i++)
	{
		const EncodeColumn *column = &columns[i];

		appendBinaryStringInfo(buf, column->label, column->label_length);
		if (isnull[column->index])
			appendBinaryStringInfo(buf, "null", 4);
		else
			streaming_value_json(column->value, values[column->index], buf);
	}
	appendStringInfoCharMacro(buf, '}');
}

static void
encode_avro(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	streaming_avro_encode(encoder->avro, values, isnull, buf);
}

/* Of a file.  A block is its smallest part that can be read. */
static void
encode_avro_row(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	int			start;

	streaming_avro_encode_schema(encoder->avro, buf);
	start = buf->len;
	streaming_avro_encode(encoder->avro, values, isnull, buf);
	if (buf->len - start > STREAMING_AVRO_MAX_BLOCK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row of %d bytes is too long for an Avro file", buf->len - start),
				 errdetail("A block may have %zu bytes.", STREAMING_AVRO_MAX_BLOCK)));
}

static void
encode_protobuf(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	streaming_protobuf_encode(encoder->protobuf, values, isnull, buf);
}

static void
encode_columnar(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	streaming_columnar_encode(encoder->columnar, values, isnull, buf);
}

static void
encode_csv(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		const EncodeColumn *column = &encoder->columns[i];
		const char *string;
		size_t		length;

		if (i > 0)
			appendStringInfoCharMacro(buf, encoder->delimiter);
		if (isnull[column->index])
		{
			appendBinaryStringInfo(buf, encoder->null, encoder->null_length);
			continue;
		}
		string = streaming_value_text(column->value, values[column->index], &length);
		append_csv(encoder, string, length,
				   (length == (size_t) encoder->null_length &&
					memcmp(string, encoder->null, length) == 0) ||
				   (encoder->ncolumns == 1 && length == 2 && memcmp(string, "\\.", 2) == 0),
				   buf);
	}
}

/* A field, in quotes if quote says so or it needs them. */
static void
append_csv(StreamingEncoder *encoder, const char *string, size_t length, bool quote,
		   StringInfo buf)
{
	const char *end = string + length;
	const char *p;
	const char *start;

	for (p = string; p < end && !quote; p++)
		quote = *p == encoder->delimiter || *p == encoder->quote || *p == '\n' || *p == '\r';
	if (!quote)
	{
		appendBinaryStringInfo(buf, string, length);
		return;
	}
	appendStringInfoCharMacro(buf, encoder->quote);
	for (p = start = string; p < end; p++)
		if (*p == encoder->quote || *p == encoder->escape)
		{
			appendBinaryStringInfo(buf, start, p - start);
			appendStringInfoCharMacro(buf, encoder->escape);
			start = p;
		}
	appendBinaryStringInfo(buf, start, end - start);
	appendStringInfoCharMacro(buf, encoder->quote);
}

static void
encode_text(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		const EncodeColumn *column = &encoder->columns[i];
		const char *string;
		size_t		length;

		if (i > 0)
			appendStringInfoCharMacro(buf, encoder->delimiter);
		if (isnull[column->index])
			appendBinaryStringInfo(buf, encoder->null, encoder->null_length);
		else
		{
			string = streaming_value_text(column->value, values[column->index], &length);
			append_text(encoder, string, length, buf);
		}
	}
}

static void
append_text(StreamingEncoder *encoder, const char *string, size_t length, StringInfo buf)
{
	/* The letter after the backslash, from \b to \r. */
	static const char letters[] = "btnvfr";
	const char *end = string + length;
	const char *start = string;
	int			field = buf->len;

	for (const char *p = string; p < end; p++)
	{
		bool		control = *p >= '\b' && *p <= '\r';

		if (!control && *p != '\\' && *p != encoder->delimiter)
			continue;
		appendBinaryStringInfo(buf, start, p - start);
		appendStringInfoCharMacro(buf, '\\');
		start = p;
		if (control)
		{
			appendStringInfoCharMacro(buf, letters[*p - '\b']);
			start++;
		}
	}
	appendBinaryStringInfo(buf, start, end - start);

	/*
	 * COPY would leave a value that looks like the null string as it is, and
	 * so lose it.  The same value in other letters does not look like it.
	 */
	if (length > 0 && buf->len - field == encoder->null_length &&
		memcmp(buf->data + field, encoder->null, encoder->null_length) == 0)
	{
		buf->len = field;
		appendStringInfo(buf, "\\%03o", (unsigned char) string[0]);
		appendBinaryStringInfo(buf, string + 1, length - 1);
	}
}

/* The one column of a text stream whose records are whole lines. */
static void
encode_line(StreamingEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	const EncodeColumn *column = &encoder->columns[0];
	const char *problem = "a null value";
	const char *string;
	size_t		length;

	if (!isnull[column->index])
	{
		string = streaming_value_text(column->value, values[column->index], &length);
		problem = "an end of line";
		if (encoder->stream->kind != STREAMING_SOURCE_DIRECTORY ||
			(memchr(string, '\n', length) == NULL && (length == 0 || string[length - 1] != '\r')))
		{
			appendBinaryStringInfo(buf, string, length);
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot write %s into column \"%s\" of stream %s",
					problem, encoder->stream->columns[column->index].name,
					encoder->stream->name),
			 errdetail("Each value is a line as it is, without escapes."),
			 errhint("Set the option \"null\" or \"delimiter\" of the foreign table to have COPY's text format.")));
}

/* What buf has from start on goes from the database's encoding to another. */
static void
to_encoding(StringInfo buf, int start, int encoding)
{
	char	   *converted;

	if (encoding == GetDatabaseEncoding())
		return;
	converted = pg_server_to_any(buf->data + start, buf->len - start, encoding);
	if (converted == buf->data + start)
		return;
	buf->len = start;
	appendStringInfoString(buf, converted);
	pfree(converted);
}

/*
 * Lets output functions write what any reader understands, and returns the
 * nest level for AtEOXact_GUC, or 0 if the settings do so as they are.
 */
static int
fix_settings(const StreamingEncoder *encoder)
{
	int			level;

	if ((!(encoder->needs & STREAMING_VALUE_STYLED) ||
		 (DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
		  extra_float_digits > 0)) &&
		(!(encoder->needs & STREAMING_VALUE_NAMES) ||
		 strcmp(namespace_search_path, "pg_catalog") == 0))
		return 0;
	level = NewGUCNestLevel();
	streaming_settings_write_exactly();
	/* names in types like regclass */
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}
