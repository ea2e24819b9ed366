/*
 * encode_protobuf.c
 *		Rows -> Protobuf messages.
 *
 * The schema is the option "protobuf_schema", or is derived from the columns
 * (protobuf_derive.c).  Either way a writer is made for each pair of a field and a type
 * of PostgreSQL that can be written as such.
 *
 * What no message can tell apart: NULL and the empty array, and, where the schema gives
 * a field no presence, NULL and its zero.
 */
#include "postgres.h"

#include "streaming.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "format/encode_protobuf.h"
#include "format/encode_source.h"
#include "format/encode_value.h"
#include "format/protobuf_derive.h"
#include "format/protobuf_schema.h"
#include "format/protobuf_write.h"
#include "format/protobuf_write_json.h"
#include "format/schema_registry.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* What Timestamp allows: the years 1 to 9999. */
#define MIN_SECONDS		INT64CONST(-62135596800)
#define MAX_SECONDS		INT64CONST(253402300799)

typedef struct ProtobufWriter ProtobufWriter;
struct ProtobufWriter
{
	const StreamingProtobufField *field;
	StreamingProtobufWire wire;
	const char *name;			/* of column or attribute, for messages */
	Oid			oid;			/* without domains; of an array its element */
	StreamingValueEncoder *text;	/* of what is written as text */

	/* of an array */
	int16		typlen;
	bool		typbyval;
	char		typalign;

	/* of a message: of its parts; of a wrapper: of its value */
	ProtobufWriter **parts;
	int		   *attributes;		/* of each part, from 0 */
	int			nparts;
};

struct StreamingProtobufEncoder
{
	StreamingStream *stream;
	const char *schema;			/* its text; NULL: it is a descriptor */
	bool		has_id;			/* the registry has told the number */
	int32		id;
	StringInfoData place;		/* of the message in the schema, as records say it */
	ProtobufWriter *root;
	int		   *columns;		/* of the attributes of root */
};

static void find_place(StringInfo place, const StreamingProtobufMessage *message);
static ProtobufWriter *make_writer(const StreamingProtobufField *field,
								   const StreamingEncodeSource *source, int *needs);
static ProtobufWriter *try_writer(const StreamingProtobufField *field,
								  const StreamingEncodeSource *source, int *needs);
static bool is_pair(const StreamingProtobufField *field, Oid oid);
static bool is_message_pair(const StreamingProtobufMessage *message, Oid oid);
static void make_parts(ProtobufWriter *writer, const StreamingProtobufMessage *message,
					   const StreamingEncodeSource *sources, int n, int *needs);
static void write_parts(const ProtobufWriter *writer, const Datum *values, const bool *isnull,
						const int *columns, StringInfo buf);
static void write_field(const ProtobufWriter *writer, Datum value, StringInfo buf);
static void write_array(const ProtobufWriter *writer, Datum value, StringInfo buf);
static void write_value(const ProtobufWriter *writer, Datum value, bool with_tag, bool with_zero,
						StringInfo buf);
static uint64 number_bits(const ProtobufWriter *writer, Datum value);
static uint64 integer_bits(const ProtobufWriter *writer, Datum value);
static uint64 enum_bits(const ProtobufWriter *writer, Datum value);
static void write_bytes(const ProtobufWriter *writer, Datum value, bool with_zero, StringInfo buf);
static void write_message(const ProtobufWriter *writer, Datum value, StringInfo buf);
static void write_time(const ProtobufWriter *writer, int64 microseconds, StringInfo buf);
static void write_parts_of(StringInfo buf, int n, const int64 *numbers);
pg_noreturn static void unwritable(const ProtobufWriter *writer, const char *what);

StreamingProtobufEncoder *
streaming_protobuf_encoder_open(StreamingStream *stream, const int *columns, int ncolumns, int *needs)
{
	StreamingProtobufEncoder *encoder = palloc0(sizeof(StreamingProtobufEncoder));
	StreamingEncodeSource *sources = streaming_encode_columns(stream, columns, ncolumns);
	StreamingProtobufMessage *message;

	encoder->stream = stream;
	encoder->columns = palloc(sizeof(int) * ncolumns);
	memcpy(encoder->columns, columns, sizeof(int) * ncolumns);
	if (stream->protobuf_schema == NULL)
		encoder->schema = streaming_protobuf_derive(streaming_encode_record_name(stream), sources, ncolumns);
	else if (streaming_protobuf_is_text(stream->protobuf_schema))
		encoder->schema = stream->protobuf_schema;
	else if (stream->registry)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot register the descriptor of stream %s", stream->name),
				 errdetail("A schema registry takes the text of a .proto file."),
				 errhint("Set the option \"protobuf_schema\" to that text.")));
	message = streaming_protobuf_root(streaming_protobuf_schema(encoder->schema ? encoder->schema :
																stream->protobuf_schema),
									  stream->protobuf_message);
	initStringInfo(&encoder->place);
	find_place(&encoder->place, message);
	encoder->root = palloc0(sizeof(ProtobufWriter));
	make_parts(encoder->root, message, sources, ncolumns, needs);
	*needs |= STREAMING_VALUE_ALLOCATES;
	return encoder;
}

/* How many numbers there are, and they, from the outermost message on; 0: the first one. */
static void
find_place(StringInfo place, const StreamingProtobufMessage *message)
{
	int			path[STREAMING_PROTOBUF_MAX_INDEX];
	int			n = 0;

	for (const StreamingProtobufMessage *at = message; at; at = at->parent)
	{
		if (n == STREAMING_PROTOBUF_MAX_INDEX)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("Protobuf message \"%s\" is nested too deeply", message->name)));
		path[n++] = at->index;
	}
	if (n == 1 && path[0] == 0)
		n = 0;
	streaming_protobuf_put_varint(place, streaming_protobuf_zigzag(n));
	while (n > 0)
		streaming_protobuf_put_varint(place, streaming_protobuf_zigzag(path[--n]));
}

void
streaming_protobuf_encode(StreamingProtobufEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	if (encoder->stream->registry)
	{
		uint32		id;

		if (!encoder->has_id)
		{
			encoder->id = streaming_registry_register(encoder->stream, STREAMING_SCHEMA_PROTOBUF, encoder->schema);
			encoder->has_id = true;
		}
		id = pg_hton32((uint32) encoder->id);
		appendStringInfoChar(buf, '\0');
		appendBinaryStringInfo(buf, (char *) &id, sizeof(id));
		appendBinaryStringInfo(buf, encoder->place.data, encoder->place.len);
	}
	write_parts(encoder->root, values, isnull, encoder->columns, buf);
}

/* ------------------------------------------------------------------------
 * Writers
 * ------------------------------------------------------------------------ */

static ProtobufWriter *
make_writer(const StreamingProtobufField *field, const StreamingEncodeSource *source, int *needs)
{
	ProtobufWriter *writer = try_writer(field, source, needs);

	if (writer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of type %s cannot be written as Protobuf field \"%s\"%s%s",
						source->column, format_type_be(source->type), field->name,
						field->message ? " of message " : "", field->message ? field->message->name : ""),
				 errhint("Change the type of the column, or the option \"protobuf_schema\".")));
	return writer;
}

/* NULL: such a type cannot be written so. */
static ProtobufWriter *
try_writer(const StreamingProtobufField *field, const StreamingEncodeSource *source, int *needs)
{
	ProtobufWriter *writer;
	StreamingEncodeSource inner = *source;

	check_stack_depth();
	inner.type = getBaseTypeAndTypmod(source->type, &inner.typmod);
	if (field->repeated)
	{
		inner.type = get_element_type(inner.type);
		if (!OidIsValid(inner.type))
			return NULL;
		inner.type = getBaseTypeAndTypmod(inner.type, &inner.typmod);
	}
	if (!is_pair(field, inner.type))
		return NULL;
	writer = palloc0(sizeof(ProtobufWriter));
	writer->field = field;
	writer->wire = streaming_protobuf_wire(field->kind);
	writer->name = source->column;
	writer->oid = inner.type;
	if (field->repeated)
		get_typlenbyvalalign(inner.type, &writer->typlen, &writer->typbyval, &writer->typalign);
	if (field->kind == STREAMING_PROTOBUF_STRING || field->kind == STREAMING_PROTOBUF_ENUM)
	{
		StreamingColumn column = {.type = inner.type, .typmod = inner.typmod};

		writer->text = streaming_value_encoder_open(&column);
		*needs |= streaming_value_needs(writer->text);
	}
	if (field->message && field->message->logical == STREAMING_PROTOBUF_WRAPPER)
	{
		writer->parts = palloc(sizeof(ProtobufWriter *));
		writer->parts[0] = try_writer(&field->message->fields[0], &inner, needs);
		if (writer->parts[0] == NULL)
			return NULL;
	}
	else if (field->message && get_typtype(inner.type) == TYPTYPE_COMPOSITE)
	{
		int			n;
		StreamingEncodeSource *attributes = streaming_encode_attributes(inner.type, inner.typmod, &n);

		make_parts(writer, field->message, attributes, n, needs);
	}
	return writer;
}

static bool
is_pair(const StreamingProtobufField *field, Oid oid)
{
	bool		integer = oid == INT2OID || oid == INT4OID || oid == INT8OID;

	switch (field->kind)
	{
		case STREAMING_PROTOBUF_BOOL:
			return oid == BOOLOID;
		case STREAMING_PROTOBUF_FLOAT:
			return oid == FLOAT4OID;
		case STREAMING_PROTOBUF_DOUBLE:
			return oid == FLOAT4OID || oid == FLOAT8OID;
		case STREAMING_PROTOBUF_BYTES:
			return oid == BYTEAOID;
		case STREAMING_PROTOBUF_STRING:
		case STREAMING_PROTOBUF_ENUM:
			return true;
		case STREAMING_PROTOBUF_UINT64:
		case STREAMING_PROTOBUF_FIXED64:
			return integer || oid == NUMERICOID;
		case STREAMING_PROTOBUF_MESSAGE:
		case STREAMING_PROTOBUF_GROUP:
			return !field->message->map_entry && is_message_pair(field->message, oid);
		default:
			return integer;
	}
}

static bool
is_message_pair(const StreamingProtobufMessage *message, Oid oid)
{
	switch (message->logical)
	{
		case STREAMING_PROTOBUF_TIMESTAMP:
			return oid == TIMESTAMPTZOID || oid == TIMESTAMPOID;
		case STREAMING_PROTOBUF_DURATION:
			return oid == INTERVALOID;
		case STREAMING_PROTOBUF_DATE:
			return oid == DATEOID;
		case STREAMING_PROTOBUF_DECIMAL:
			return oid == NUMERICOID;
		case STREAMING_PROTOBUF_WRAPPER:
			return is_pair(&message->fields[0], oid);
		case STREAMING_PROTOBUF_VALUE:
			return oid == JSONOID || oid == JSONBOID;
		case STREAMING_PROTOBUF_PLAIN:
			return get_typtype(oid) == TYPTYPE_COMPOSITE;
		default:
			return false;
	}
}

/* Each source is a field of its name; fields without a source are not there. */
static void
make_parts(ProtobufWriter *writer, const StreamingProtobufMessage *message,
		   const StreamingEncodeSource *sources, int n, int *needs)
{
	bool	   *used = palloc0(sizeof(bool) * Max(message->n, 1));

	writer->parts = palloc(sizeof(ProtobufWriter *) * Max(n, 1));
	writer->attributes = palloc(sizeof(int) * Max(n, 1));
	for (int k = 0; k < n; k++)
	{
		int			i = 0;

		while (i < message->n && strcmp(message->fields[i].name, sources[k].name) != 0)
			i++;
		if (i == message->n || used[i])
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" is no field of Protobuf message \"%s\"",
							sources[k].column, message->name),
					 errhint("Give the column the option \"field\", or write to another foreign table.")));
		used[i] = true;
		writer->attributes[writer->nparts] = k;
		writer->parts[writer->nparts++] = make_writer(&message->fields[i], &sources[k], needs);
	}
	for (int i = 0; i < message->n; i++)
		if (message->fields[i].required && !used[i])
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("field \"%s\" of Protobuf message \"%s\" is required, and no column",
							message->fields[i].name, message->name),
					 errhint("Add a column of that name, or with the option \"field\".")));
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------ */

/* columns: where in values an attribute is */
static void
write_parts(const ProtobufWriter *writer, const Datum *values, const bool *isnull,
			const int *columns, StringInfo buf)
{
	for (int i = 0; i < writer->nparts; i++)
	{
		const ProtobufWriter *part = writer->parts[i];
		int			at = columns[writer->attributes[i]];

		if (isnull[at])
		{
			if (part->field->required)
				ereport(ERROR,
						(errcode(ERRCODE_NOT_NULL_VIOLATION),
						 errmsg("null value in \"%s\" cannot be written as a required field of Protobuf", part->name)));
			continue;
		}
		if (part->field->oneof >= 0)
		{
			for (int k = 0; k < i; k++)
				if (writer->parts[k]->field->oneof == part->field->oneof && !isnull[columns[writer->attributes[k]]])
					unwritable(part, psprintf("a value beside that in \"%s\", which is of the same oneof", writer->parts[k]->name));
		}
		write_field(part, values[at], buf);
	}
}

static void
write_field(const ProtobufWriter *writer, Datum value, StringInfo buf)
{
	if (writer->field->repeated)
		write_array(writer, value, buf);
	else
		write_value(writer, value, true, writer->field->presence, buf);
}

static void
write_array(const ProtobufWriter *writer, Datum value, StringInfo buf)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	bool		packed = writer->field->packed;
	Datum	   *items;
	bool	   *isnull;
	int			start = 0;
	int			n;

	if (ARR_NDIM(array) > 1)
		unwritable(writer, "an array with more than one dimension");
	deconstruct_array(array, writer->oid, writer->typlen, writer->typbyval, writer->typalign,
					  &items, &isnull, &n);
	if (n == 0)
		return;
	if (packed)
	{
		streaming_protobuf_put_tag(buf, writer->field->number, STREAMING_PROTOBUF_LEN);
		start = buf->len;
	}
	for (int i = 0; i < n; i++)
	{
		if (isnull[i])
			unwritable(writer, "a null value in an array");
		write_value(writer, items[i], !packed, true, buf);
	}
	if (packed)
		streaming_protobuf_put_length(buf, start);
}

/* with_zero: also a value that a reader takes for granted */
static void
write_value(const ProtobufWriter *writer, Datum value, bool with_tag, bool with_zero, StringInfo buf)
{
	const StreamingProtobufField *field = writer->field;
	int			start;
	uint64		bits;

	switch (writer->wire)
	{
		case STREAMING_PROTOBUF_LEN:
			if (field->kind != STREAMING_PROTOBUF_MESSAGE)
			{
				write_bytes(writer, value, with_zero, buf);
				return;
			}
			streaming_protobuf_put_tag(buf, field->number, STREAMING_PROTOBUF_LEN);
			start = buf->len;
			write_message(writer, value, buf);
			streaming_protobuf_put_length(buf, start);
			return;

		case STREAMING_PROTOBUF_BEGIN:
			streaming_protobuf_put_tag(buf, field->number, STREAMING_PROTOBUF_BEGIN);
			write_message(writer, value, buf);
			streaming_protobuf_put_tag(buf, field->number, STREAMING_PROTOBUF_END);
			return;

		default:
			bits = number_bits(writer, value);
			if (bits == 0 && !with_zero)
				return;
			if (with_tag)
				streaming_protobuf_put_tag(buf, field->number, writer->wire);
			streaming_protobuf_put_number(buf, writer->wire, bits);
			return;
	}
}

static uint64
number_bits(const ProtobufWriter *writer, Datum value)
{
	uint64		bits = 0;
	float4		single;
	float8		number;

	switch (writer->field->kind)
	{
		case STREAMING_PROTOBUF_BOOL:
			return DatumGetBool(value);
		case STREAMING_PROTOBUF_FLOAT:
			{
				uint32		half;

				single = DatumGetFloat4(value);
				memcpy(&half, &single, sizeof(half));
				return half;
			}
		case STREAMING_PROTOBUF_DOUBLE:
			number = writer->oid == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value);
			memcpy(&bits, &number, sizeof(bits));
			return bits;
		case STREAMING_PROTOBUF_ENUM:
			return enum_bits(writer, value);
		default:
			return integer_bits(writer, value);
	}
}

static uint64
integer_bits(const ProtobufWriter *writer, Datum value)
{
	int64		number;
	bool		good = true;

	if (writer->oid == NUMERICOID)
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, DirectFunctionCall2(numeric_trunc, value, Int32GetDatum(0))));
		char	   *end;
		uint64		bits;

		errno = 0;
		bits = strtou64(text, &end, 10);
		if (!isdigit((unsigned char) text[0]) || *end != '\0' || errno != 0 ||
			!DatumGetBool(DirectFunctionCall2(numeric_eq, value, DirectFunctionCall2(numeric_trunc, value, Int32GetDatum(0)))))
			unwritable(writer, "a number that is not a whole one of 64 bits without a sign");
		return bits;
	}
	number = writer->oid == INT2OID ? DatumGetInt16(value) :
		writer->oid == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
	switch (writer->field->kind)
	{
		case STREAMING_PROTOBUF_INT32:
		case STREAMING_PROTOBUF_SFIXED32:
		case STREAMING_PROTOBUF_SINT32:
			good = number >= PG_INT32_MIN && number <= PG_INT32_MAX;
			break;
		case STREAMING_PROTOBUF_UINT32:
		case STREAMING_PROTOBUF_FIXED32:
			good = number >= 0 && number <= PG_UINT32_MAX;
			break;
		case STREAMING_PROTOBUF_UINT64:
		case STREAMING_PROTOBUF_FIXED64:
			good = number >= 0;
			break;
		default:
			break;
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value %lld in \"%s\" is out of range for its Protobuf type", (long long) number, writer->name)));
	if (writer->field->kind == STREAMING_PROTOBUF_SINT32 || writer->field->kind == STREAMING_PROTOBUF_SINT64)
		return streaming_protobuf_zigzag(number);
	return (uint64) number;
}

static uint64
enum_bits(const ProtobufWriter *writer, Datum value)
{
	const StreamingProtobufEnum *symbols = writer->field->symbols;
	size_t		length;
	const char *string = streaming_value_text(writer->text, value, &length);
	char	   *text = pnstrdup(string, length);

	for (int i = 0; i < symbols->n; i++)
		if (strcmp(symbols->names[i], text) == 0)
			return (uint64) (int64) symbols->numbers[i];
	/* Numbers of open enums may be others. */
	if (writer->oid == INT2OID || writer->oid == INT4OID)
	{
		int32		number = writer->oid == INT2OID ? DatumGetInt16(value) : DatumGetInt32(value);

		if (!symbols->closed || streaming_protobuf_symbol(symbols, number) >= 0)
			return (uint64) (int64) number;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value \"%s\" in \"%s\" is not in Protobuf enum \"%s\"", text, writer->name, symbols->name)));
}

static void
write_bytes(const ProtobufWriter *writer, Datum value, bool with_zero, StringInfo buf)
{
	const char *data;
	size_t		length;

	if (writer->field->kind == STREAMING_PROTOBUF_BYTES)
	{
		struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

		data = VARDATA_ANY(bytes);
		length = VARSIZE_ANY_EXHDR(bytes);
	}
	else
	{
		const char *string = streaming_value_text(writer->text, value, &length);

		data = pg_server_to_any(string, length, PG_UTF8);
		if (data != string)
			length = strlen(data);
	}
	if (length == 0 && !with_zero)
		return;
	streaming_protobuf_put_tag(buf, writer->field->number, STREAMING_PROTOBUF_LEN);
	streaming_protobuf_put_varint(buf, length);
	appendBinaryStringInfo(buf, data, length);
}

/* Its fields; the caller has put before them what it is. */
static void
write_message(const ProtobufWriter *writer, Datum value, StringInfo buf)
{
	switch (writer->field->message->logical)
	{
		case STREAMING_PROTOBUF_TIMESTAMP:
			if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)))
				unwritable(writer, "an infinite time");
			write_time(writer, DatumGetTimestamp(value), buf);
			return;

		case STREAMING_PROTOBUF_DURATION:
			{
				Interval   *interval = DatumGetIntervalP(value);
				int64		numbers[2];

				if (interval->month != 0 || interval->day != 0)
					unwritable(writer, "an interval of months or days");
				numbers[0] = interval->time / USECS_PER_SEC;
				numbers[1] = interval->time % USECS_PER_SEC * 1000;
				write_parts_of(buf, 2, numbers);
				return;
			}

		case STREAMING_PROTOBUF_DATE:
			{
				DateADT		date = DatumGetDateADT(value);
				int			year;
				int			month;
				int			day;

				if (DATE_NOT_FINITE(date))
					unwritable(writer, "an infinite date");
				j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
				if (year < 1 || year > 9999)
					unwritable(writer, "a date outside the years 1 to 9999");
				write_parts_of(buf, 3, (int64[]) {year, month, day});
				return;
			}

		case STREAMING_PROTOBUF_DECIMAL:
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

				if (!isdigit((unsigned char) text[text[0] == '-']))
					unwritable(writer, "a number that is none or infinite");
				streaming_protobuf_put_tag(buf, 1, STREAMING_PROTOBUF_LEN);
				streaming_protobuf_put_varint(buf, strlen(text));
				appendStringInfoString(buf, text);
				return;
			}

		case STREAMING_PROTOBUF_WRAPPER:
			write_field(writer->parts[0], value, buf);
			return;

		case STREAMING_PROTOBUF_VALUE:
			streaming_protobuf_write_json(buf, writer->oid == JSONBOID ? DatumGetJsonbP(value) :
										  DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(value)))),
										  writer->name);
			return;

		default:
			{
				Datum	   *values;
				bool	   *isnull;
				int		   *present = streaming_encode_deform(value, &values, &isnull);

				write_parts(writer, values, isnull, present, buf);
				return;
			}
	}
}

static void
write_time(const ProtobufWriter *writer, int64 microseconds, StringInfo buf)
{
	int64		seconds = microseconds / USECS_PER_SEC;
	int64		rest = microseconds % USECS_PER_SEC;

	if (rest < 0)
	{
		seconds--;
		rest += USECS_PER_SEC;
	}
	seconds += EPOCH_DAYS * SECS_PER_DAY;
	if (seconds < MIN_SECONDS || seconds > MAX_SECONDS)
		unwritable(writer, "a time outside the years 1 to 9999");
	write_parts_of(buf, 2, (int64[]) {seconds, rest * 1000});
}

/* Fields 1, 2, ..., int32 or int64. */
static void
write_parts_of(StringInfo buf, int n, const int64 *numbers)
{
	for (int i = 0; i < n; i++)
	{
		if (numbers[i] == 0)
			continue;
		streaming_protobuf_put_tag(buf, i + 1, STREAMING_PROTOBUF_VARINT);
		streaming_protobuf_put_varint(buf, (uint64) numbers[i]);
	}
}

static void
unwritable(const ProtobufWriter *writer, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("Protobuf has no place for %s, in \"%s\"", what, writer->name)));
}
