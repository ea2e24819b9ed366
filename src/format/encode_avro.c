/*
 * encode_avro.c
 *		Rows -> Avro records.
 *
 * The schema is the option "avro_schema", or is derived from the columns: each is a
 * union with null, of the type below.  Either way a writer is made for each pair of an
 * Avro type and a type of PostgreSQL that can be written as such.
 *
 *		boolean, int, long, float, double	boolean, smallint and integer, bigint, real, ...
 *		bytes, decimal						bytea, numeric(p,s)
 *		date, time-micros					date, time
 *		timestamp-micros, local-			timestamptz, timestamp
 *		array, record						arrays of one dimension, composite types
 *		string								all else, as its text; "logicalType" tells uuid, json
 *
 * Values that Avro has no bytes for, such as infinite times, are errors.
 */
#include "postgres.h"

#include "streaming.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "format/avro_schema.h"
#include "format/avro_write.h"
#include "format/encode_avro.h"
#include "format/encode_source.h"
#include "format/encode_value.h"
#include "format/key.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "format/schema_registry.h"

#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

typedef struct AvroWriter AvroWriter;
struct AvroWriter
{
	const StreamingAvroType *type;	/* never a union */
	int			branch;			/* of its union; -1: there is none */
	int			null_branch;	/* -1: NULL cannot be written */
	const char *name;			/* of column or attribute, for messages */
	Oid			oid;			/* without domains */
	StreamingValueEncoder *text;	/* of what is written as text */

	/* ARRAY: the item's type and writer; RECORD: a writer for each field */
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Oid			element;
	AvroWriter *item;
	AvroWriter **fields;		/* NULL: the field has its default */
	int		   *attributes;		/* of each field, from 0 */
	StringInfoData *constants;
};

struct StreamingAvroEncoder
{
	StreamingStream *stream;
	const char *schema;
	StringInfoData file_schema; /* the same in UTF-8 */
	bool		has_id;			/* the registry has told the number */
	int32		id;
	AvroWriter *record;
	int		   *columns;		/* of the attributes of record */
};

static char *derive_schema(const StreamingStream *stream, const StreamingEncodeSource *sources, int n);
static void derive_record(StringInfo json, const char *name, const StreamingEncodeSource *sources, int n,
						  int *nrecords);
static void derive_type(StringInfo json, const StreamingEncodeSource *source, int *nrecords);
static char *avro_name(const char *name);
static bool is_avro_name(const char *name);
static AvroWriter *make_writer(const StreamingAvroType *type, const StreamingEncodeSource *source, int *needs);
static AvroWriter *try_writer(const StreamingAvroType *type, const StreamingEncodeSource *source, int *needs);
static bool is_pair(const StreamingAvroType *type, Oid oid);
static void make_record(AvroWriter *writer, const StreamingEncodeSource *sources, int n, int *needs);
static void write_value(const AvroWriter *writer, Datum value, bool isnull, StringInfo buf);
static void write_number(const AvroWriter *writer, Datum value, StringInfo buf);
static void write_bytes(const AvroWriter *writer, Datum value, StringInfo buf);
static void write_text(const AvroWriter *writer, Datum value, StringInfo buf);
static void write_array(const AvroWriter *writer, Datum value, StringInfo buf);
static void write_composite(const AvroWriter *writer, Datum value, StringInfo buf);
static void write_fields(const AvroWriter *writer, const Datum *values, const bool *isnull,
						 const int *columns, StringInfo buf);
static void write_decimal(const AvroWriter *writer, Datum value, StringInfo buf);
static int64 in_unit(const AvroWriter *writer, int64 microseconds);
pg_noreturn static void unwritable(const AvroWriter *writer, const char *what);

StreamingAvroEncoder *
streaming_avro_encoder_open(StreamingStream *stream, const int *columns, int ncolumns, int *needs)
{
	StreamingAvroEncoder *encoder = palloc0(sizeof(StreamingAvroEncoder));
	StreamingEncodeSource *sources = streaming_encode_columns(stream, columns, ncolumns);
	StreamingAvroType *type;
	AvroWriter *record = palloc0(sizeof(AvroWriter));

	encoder->stream = stream;
	encoder->columns = palloc(sizeof(int) * ncolumns);
	memcpy(encoder->columns, columns, sizeof(int) * ncolumns);
	encoder->schema = stream->avro_schema ? stream->avro_schema : derive_schema(stream, sources, ncolumns);
	if (stream->is_key && streaming_key_is_whole(stream, &stream->columns[columns[0]]))
	{
		/* The value of a key, and not a record of it; its bytes are the same. */
		type = streaming_avro_key_schema(encoder->schema);
		sources[0].name = STREAMING_KEY_ROOT;
	}
	else
		type = streaming_avro_schema(encoder->schema);
	if (type->kind != STREAMING_AVRO_RECORD)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, whose \"%s\" is a union", stream->name,
						stream->is_key ? "key_avro_schema" : "avro_schema"),
				 errhint("Write to another foreign table, whose schema is one record.")));
	record->type = type;
	record->branch = record->null_branch = -1;
	make_record(record, sources, ncolumns, needs);
	encoder->record = record;
	initStringInfo(&encoder->file_schema);
	appendStringInfoString(&encoder->file_schema,
						   pg_server_to_any(encoder->schema, strlen(encoder->schema), PG_UTF8));
	*needs |= STREAMING_VALUE_ALLOCATES;
	return encoder;
}

void
streaming_avro_encode(StreamingAvroEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	if (encoder->stream->registry)
	{
		uint32		id;

		if (!encoder->has_id)
		{
			encoder->id = streaming_registry_register(encoder->stream, STREAMING_SCHEMA_AVRO, encoder->schema);
			encoder->has_id = true;
		}
		id = pg_hton32((uint32) encoder->id);
		appendStringInfoChar(buf, '\0');
		appendBinaryStringInfo(buf, (char *) &id, sizeof(id));
	}
	write_fields(encoder->record, values, isnull, encoder->columns, buf);
}

void
streaming_avro_encode_schema(StreamingAvroEncoder *encoder, StringInfo buf)
{
	uint32		length = encoder->file_schema.len;

	appendBinaryStringInfo(buf, (char *) &length, sizeof(length));
	appendBinaryStringInfo(buf, encoder->file_schema.data, length);
}

/* ------------------------------------------------------------------------
 * A schema for columns
 * ------------------------------------------------------------------------ */

static char *
derive_schema(const StreamingStream *stream, const StreamingEncodeSource *sources, int n)
{
	StringInfoData json;
	int			nrecords = 0;

	initStringInfo(&json);
	if (stream->is_key && streaming_key_is_whole(stream, &stream->columns[sources[0].attnum - 1]))
		derive_type(&json, &sources[0], &nrecords);
	else
		derive_record(&json, avro_name(streaming_encode_record_name(stream)), sources, n, &nrecords);
	return json.data;
}

static void
derive_record(StringInfo json, const char *name, const StreamingEncodeSource *sources, int n, int *nrecords)
{
	check_stack_depth();
	appendStringInfo(json, "{\"type\": \"record\", \"name\": \"%s\", \"fields\": [", name);
	for (int i = 0; i < n; i++)
	{
		if (!is_avro_name(sources[i].name))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("\"%s\" is no name of a field in Avro", sources[i].name),
					 errhint("Give the column the option \"field\" with letters, digits and underscores.")));
		appendStringInfo(json, "%s{\"name\": \"%s\", \"type\": [\"null\", ", i > 0 ? ", " : "", sources[i].name);
		derive_type(json, &sources[i], nrecords);
		appendStringInfoString(json, "], \"default\": null}");
	}
	appendStringInfoString(json, "]}");
}

static void
derive_type(StringInfo json, const StreamingEncodeSource *source, int *nrecords)
{
	StreamingEncodeSource	inner = *source;
	const char *simple = "\"string\"";

	inner.type = getBaseTypeAndTypmod(source->type, &inner.typmod);
	if (OidIsValid(get_element_type(inner.type)))
	{
		inner.type = get_element_type(inner.type);
		appendStringInfoString(json, "{\"type\": \"array\", \"items\": [\"null\", ");
		derive_type(json, &inner, nrecords);
		appendStringInfoString(json, "]}");
		return;
	}
	if (get_typtype(inner.type) == TYPTYPE_COMPOSITE)
	{
		int			n;
		StreamingEncodeSource *attributes = streaming_encode_attributes(inner.type, inner.typmod, &n);
		const char *name = psprintf("%s_%d", avro_name(source->name), ++*nrecords);

		derive_record(json, name, attributes, n, nrecords);
		return;
	}
	switch (inner.type)
	{
		case BOOLOID:
			simple = "\"boolean\"";
			break;
		case INT2OID:
		case INT4OID:
			simple = "\"int\"";
			break;
		case INT8OID:
			simple = "\"long\"";
			break;
		case FLOAT4OID:
			simple = "\"float\"";
			break;
		case FLOAT8OID:
			simple = "\"double\"";
			break;
		case BYTEAOID:
			simple = "\"bytes\"";
			break;
		case DATEOID:
			simple = "{\"type\": \"int\", \"logicalType\": \"date\"}";
			break;
		case TIMEOID:
			simple = "{\"type\": \"long\", \"logicalType\": \"time-micros\"}";
			break;
		case TIMESTAMPTZOID:
			simple = "{\"type\": \"long\", \"logicalType\": \"timestamp-micros\"}";
			break;
		case TIMESTAMPOID:
			simple = "{\"type\": \"long\", \"logicalType\": \"local-timestamp-micros\"}";
			break;
		case UUIDOID:
			simple = "{\"type\": \"string\", \"logicalType\": \"uuid\"}";
			break;
		case JSONOID:
		case JSONBOID:
			simple = "{\"type\": \"string\", \"logicalType\": \"json\"}";
			break;
		case NUMERICOID:
			{
				int			precision = ((inner.typmod - VARHDRSZ) >> 16) & 0xffff;
				int			scale = (((inner.typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;

				if (inner.typmod >= VARHDRSZ && scale >= 0 && scale <= precision)
					simple = psprintf("{\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": %d, \"scale\": %d}",
									  precision, scale);
			}
			break;
		default:
			break;
	}
	appendStringInfoString(json, simple);
}

/* Like name, but a name in Avro. */
static char *
avro_name(const char *name)
{
	char	   *result = psprintf("%s%s", isdigit((unsigned char) name[0]) ? "_" : "", name);

	for (char *c = result; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
			*c = '_';
	return result;
}

static bool
is_avro_name(const char *name)
{
	return name[0] != '\0' && strcmp(name, avro_name(name)) == 0;
}

/* ------------------------------------------------------------------------
 * Writers
 * ------------------------------------------------------------------------ */

static AvroWriter *
make_writer(const StreamingAvroType *type, const StreamingEncodeSource *source, int *needs)
{
	AvroWriter *writer = try_writer(type, source, needs);

	if (writer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of type %s cannot be written as Avro type %s",
						source->column, format_type_be(source->type), streaming_avro_type_name(type)),
				 errhint("Change the type of the column, or the option \"avro_schema\".")));
	return writer;
}

/* NULL: such a type cannot be written so.  Of a union the first branch that can. */
static AvroWriter *
try_writer(const StreamingAvroType *type, const StreamingEncodeSource *source, int *needs)
{
	AvroWriter *writer;
	StreamingEncodeSource	inner = *source;

	check_stack_depth();
	if (type->kind == STREAMING_AVRO_UNION)
	{
		int			null_branch = -1;

		for (int i = 0; i < type->n; i++)
			if (type->types[i]->kind == STREAMING_AVRO_NULL)
				null_branch = i;
		for (int i = 0; i < type->n; i++)
		{
			writer = i == null_branch ? NULL : try_writer(type->types[i], source, needs);
			if (writer == NULL)
				continue;
			writer->branch = i;
			writer->null_branch = null_branch;
			return writer;
		}
		return NULL;
	}

	inner.type = getBaseTypeAndTypmod(source->type, &inner.typmod);
	if (!is_pair(type, inner.type))
		return NULL;
	writer = palloc0(sizeof(AvroWriter));
	writer->type = type;
	writer->branch = writer->null_branch = -1;
	writer->name = source->column;
	writer->oid = inner.type;
	switch (type->kind)
	{
		case STREAMING_AVRO_STRING:
		case STREAMING_AVRO_ENUM:
			{
				StreamingColumn column = {.type = inner.type, .typmod = inner.typmod};

				writer->text = streaming_value_encoder_open(&column);
				*needs |= streaming_value_needs(writer->text);
			}
			break;
		case STREAMING_AVRO_ARRAY:
			inner.type = writer->element = get_element_type(inner.type);
			get_typlenbyvalalign(inner.type, &writer->typlen, &writer->typbyval, &writer->typalign);
			writer->item = make_writer(type->types[0], &inner, needs);
			break;
		case STREAMING_AVRO_RECORD:
			{
				int			n;
				StreamingEncodeSource *attributes = streaming_encode_attributes(inner.type, inner.typmod, &n);

				make_record(writer, attributes, n, needs);
			}
			break;
		default:
			break;
	}
	return writer;
}

static bool
is_pair(const StreamingAvroType *type, Oid oid)
{
	switch (type->kind)
	{
		case STREAMING_AVRO_BOOLEAN:
			return oid == BOOLOID;
		case STREAMING_AVRO_INT:
			return type->logical == STREAMING_AVRO_DATE ? oid == DATEOID :
				type->logical == STREAMING_AVRO_TIME ? oid == TIMEOID :
				oid == INT2OID || oid == INT4OID;
		case STREAMING_AVRO_LONG:
			switch (type->logical)
			{
				case STREAMING_AVRO_TIME:
					return oid == TIMEOID;
				case STREAMING_AVRO_TIMESTAMP:
					return oid == TIMESTAMPTZOID;
				case STREAMING_AVRO_LOCAL_TIMESTAMP:
					return oid == TIMESTAMPOID;
				default:
					return oid == INT2OID || oid == INT4OID || oid == INT8OID;
			}
		case STREAMING_AVRO_FLOAT:
			return oid == FLOAT4OID;
		case STREAMING_AVRO_DOUBLE:
			return oid == FLOAT4OID || oid == FLOAT8OID;
		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_FIXED:
			return type->logical == STREAMING_AVRO_DECIMAL ? oid == NUMERICOID :
				type->logical == STREAMING_AVRO_UUID ? oid == UUIDOID :
				type->logical == STREAMING_AVRO_PLAIN && oid == BYTEAOID;
		case STREAMING_AVRO_STRING:
		case STREAMING_AVRO_ENUM:
			return true;
		case STREAMING_AVRO_RECORD:
			return get_typtype(oid) == TYPTYPE_COMPOSITE;
		case STREAMING_AVRO_ARRAY:
			return OidIsValid(get_element_type(oid));
		default:
			return false;
	}
}

/* Each field is a source of its name, or has its default; no source is left. */
static void
make_record(AvroWriter *writer, const StreamingEncodeSource *sources, int n, int *needs)
{
	const StreamingAvroType *type = writer->type;
	bool	   *used = palloc0(sizeof(bool) * Max(n, 1));

	writer->fields = palloc0(sizeof(AvroWriter *) * Max(type->n, 1));
	writer->attributes = palloc(sizeof(int) * Max(type->n, 1));
	writer->constants = palloc0(sizeof(StringInfoData) * Max(type->n, 1));
	for (int i = 0; i < type->n; i++)
	{
		const StreamingAvroField *field = &type->fields[i];
		int			k = 0;

		while (k < n && (used[k] || strcmp(sources[k].name, field->name) != 0))
			k++;
		if (k < n)
		{
			used[k] = true;
			writer->attributes[i] = k;
			writer->fields[i] = make_writer(field->type, &sources[k], needs);
			continue;
		}
		if (field->default_value == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("field \"%s\" of Avro record \"%s\" has no default, and no column",
							field->name, type->name),
					 errhint("Add a column of that name, or with the option \"field\".")));
		initStringInfo(&writer->constants[i]);
		streaming_avro_constant(&writer->constants[i], field->type, field->default_value);
	}
	for (int k = 0; k < n; k++)
		if (!used[k])
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" is no field of Avro record \"%s\"",
							sources[k].column, type->name),
					 errhint("Give the column the option \"field\", or write to another foreign table.")));
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------ */

static void
write_value(const AvroWriter *writer, Datum value, bool isnull, StringInfo buf)
{
	if (isnull)
	{
		if (writer->null_branch < 0)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in \"%s\" cannot be written as Avro type %s",
							writer->name, streaming_avro_type_name(writer->type))));
		streaming_avro_put_long(buf, writer->null_branch);
		return;
	}
	if (writer->branch >= 0)
		streaming_avro_put_long(buf, writer->branch);
	switch (writer->type->kind)
	{
		case STREAMING_AVRO_BOOLEAN:
			appendStringInfoChar(buf, DatumGetBool(value));
			break;
		case STREAMING_AVRO_INT:
		case STREAMING_AVRO_LONG:
			write_number(writer, value, buf);
			break;
		case STREAMING_AVRO_FLOAT:
			streaming_avro_put_float(buf, DatumGetFloat4(value));
			break;
		case STREAMING_AVRO_DOUBLE:
			streaming_avro_put_double(buf, writer->oid == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value));
			break;
		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_FIXED:
			write_bytes(writer, value, buf);
			break;
		case STREAMING_AVRO_ARRAY:
			write_array(writer, value, buf);
			break;
		case STREAMING_AVRO_RECORD:
			write_composite(writer, value, buf);
			break;
		default:
			write_text(writer, value, buf);
			break;
	}
}

static void
write_number(const AvroWriter *writer, Datum value, StringInfo buf)
{
	int64		number;

	switch (writer->oid)
	{
		case INT2OID:
			number = DatumGetInt16(value);
			break;
		case INT4OID:
			number = DatumGetInt32(value);
			break;
		case INT8OID:
			number = DatumGetInt64(value);
			break;
		case DATEOID:
			if (DATE_NOT_FINITE(DatumGetDateADT(value)))
				unwritable(writer, "an infinite date");
			number = (int64) DatumGetDateADT(value) + EPOCH_DAYS;
			if (number > PG_INT32_MAX)
				unwritable(writer, "a date so far in the future");
			break;
		case TIMEOID:
			number = in_unit(writer, DatumGetTimeADT(value));
			break;
		default:
			if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)))
				unwritable(writer, "an infinite time");
			if (DatumGetTimestamp(value) > PG_INT64_MAX - EPOCH_DAYS * USECS_PER_DAY)
				unwritable(writer, "a time so far in the future");
			number = in_unit(writer, DatumGetTimestamp(value) + EPOCH_DAYS * USECS_PER_DAY);
			break;
	}
	streaming_avro_put_long(buf, number);
}

/* Parts of a tick are cut off, towards the past. */
static int64
in_unit(const AvroWriter *writer, int64 microseconds)
{
	int64		part;

	if (writer->type->unit > USECS_PER_SEC)
	{
		part = writer->type->unit / USECS_PER_SEC;
		if (microseconds > PG_INT64_MAX / part || microseconds < PG_INT64_MIN / part)
			unwritable(writer, "a time so far away");
		return microseconds * part;
	}
	part = USECS_PER_SEC / writer->type->unit;
	return microseconds / part - (microseconds % part < 0);
}

static void
write_bytes(const AvroWriter *writer, Datum value, StringInfo buf)
{
	const StreamingAvroType *type = writer->type;
	struct varlena *bytes;
	size_t		length;

	if (writer->oid == NUMERICOID)
	{
		write_decimal(writer, value, buf);
		return;
	}
	if (writer->oid == UUIDOID)
	{
		appendBinaryStringInfo(buf, (char *) DatumGetUUIDP(value)->data, UUID_LEN);
		return;
	}
	bytes = PG_DETOAST_DATUM_PACKED(value);
	length = VARSIZE_ANY_EXHDR(bytes);
	if (type->kind == STREAMING_AVRO_BYTES)
		streaming_avro_put_long(buf, length);
	else if (length != type->size)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_LENGTH_MISMATCH),
				 errmsg("value of %zu bytes in \"%s\" cannot be written as Avro type %s of %zu bytes",
						length, writer->name, type->name, type->size)));
	appendBinaryStringInfo(buf, VARDATA_ANY(bytes), length);
}

/*
 * The digits of the number without its point, as a number in two's complement, the
 * highest byte first.
 */
static void
write_decimal(const AvroWriter *writer, Datum value, StringInfo buf)
{
	const StreamingAvroType *type = writer->type;
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));
	bool		negative = *text == '-';
	char	   *point = strchr(text, '.');
	char	   *digits = palloc(strlen(text) + type->scale + 1);
	uint8	   *bytes;
	int			n = 0;
	int			scale = 0;
	int			length;
	int			first;

	if (!isdigit((unsigned char) text[negative]))
		unwritable(writer, "a number that is none or infinite");
	for (char *c = text + negative; *c; c++)
	{
		if (*c == '.')
			continue;
		if (point && c > point && ++scale > type->scale)
		{
			if (*c != '0')
				unwritable(writer, psprintf("a number with more than %d digits behind the point", type->scale));
			continue;
		}
		if (n > 0 || *c != '0')
			digits[n++] = *c;
	}
	for (; scale < type->scale; scale++)
		if (n > 0)
			digits[n++] = '0';
	if (n > type->precision)
		unwritable(writer, psprintf("a number with more than %d digits", type->precision));

	/* A digit takes less than half a byte; one more for the sign. */
	length = n / 2 + 2;
	bytes = palloc0(length);
	for (int i = 0; i < n; i++)
	{
		unsigned	carry = digits[i] - '0';

		for (int k = length - 1; k >= 0; k--)
		{
			carry += bytes[k] * 10;
			bytes[k] = (uint8) carry;
			carry >>= 8;
		}
	}
	if (negative)
	{
		unsigned	carry = 1;

		for (int k = length - 1; k >= 0; k--)
		{
			carry += (uint8) ~bytes[k];
			bytes[k] = (uint8) carry;
			carry >>= 8;
		}
	}
	first = 0;
	while (first < length - 1 && (bytes[first] == 0 || bytes[first] == 0xff) &&
		   (bytes[first] & 0x80) == (bytes[first + 1] & 0x80))
		first++;
	if (type->kind == STREAMING_AVRO_BYTES)
		streaming_avro_put_long(buf, length - first);
	else
	{
		if (length - first > type->size)
			unwritable(writer, psprintf("a number of %d bytes", length - first));
		for (size_t i = length - first; i < type->size; i++)
			appendStringInfoChar(buf, bytes[first] & 0x80 ? '\xff' : '\0');
	}
	appendBinaryStringInfo(buf, (char *) bytes + first, length - first);
}

static void
write_text(const AvroWriter *writer, Datum value, StringInfo buf)
{
	const StreamingAvroType *type = writer->type;
	size_t		length;
	const char *string = streaming_value_text(writer->text, value, &length);
	char	   *text = pnstrdup(string, length);
	char	   *converted;

	if (type->kind == STREAMING_AVRO_ENUM)
	{
		for (int i = 0; i < type->n; i++)
			if (strcmp(type->symbols[i], text) == 0)
			{
				streaming_avro_put_long(buf, i);
				return;
			}
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value \"%s\" in \"%s\" is no symbol of Avro enum %s", text, writer->name, type->name)));
	}
	converted = pg_server_to_any(text, length, PG_UTF8);
	if (converted != text)
		length = strlen(converted);
	streaming_avro_put_long(buf, length);
	appendBinaryStringInfo(buf, converted, length);
}

static void
write_array(const AvroWriter *writer, Datum value, StringInfo buf)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *items;
	bool	   *isnull;
	int			n;

	if (ARR_NDIM(array) > 1)
		unwritable(writer, "an array with more than one dimension");
	deconstruct_array(array, writer->element, writer->typlen, writer->typbyval, writer->typalign,
					  &items, &isnull, &n);
	if (n > 0)
		streaming_avro_put_long(buf, n);
	for (int i = 0; i < n; i++)
		write_value(writer->item, items[i], isnull[i], buf);
	streaming_avro_put_long(buf, 0);
}

static void
write_composite(const AvroWriter *writer, Datum value, StringInfo buf)
{
	Datum	   *values;
	bool	   *isnull;
	int		   *present = streaming_encode_deform(value, &values, &isnull);

	write_fields(writer, values, isnull, present, buf);
}

/* columns: where in values an attribute is */
static void
write_fields(const AvroWriter *writer, const Datum *values, const bool *isnull,
			 const int *columns, StringInfo buf)
{
	for (int i = 0; i < writer->type->n; i++)
	{
		if (writer->fields[i])
		{
			int			at = columns[writer->attributes[i]];

			write_value(writer->fields[i], values[at], isnull[at], buf);
		}
		else
			appendBinaryStringInfo(buf, writer->constants[i].data, writer->constants[i].len);
	}
}

static void
unwritable(const AvroWriter *writer, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("Avro has no place for %s, in \"%s\"", what, writer->name)));
}
