/*
 * avro_value.c
 *		Values of Avro records -> Datums.
 *
 * The rule: a value becomes the text that PostgreSQL writes for such a one, or
 * JSON where it has parts, and the column's type reads that (convert.c).  So any
 * type takes whatever it could read, arrays and composite types included.  The
 * pairs of types that fill streams have a path of their own, with the same result.
 *
 *		decimal			1234.50			bytes, fixed		\x00ff
 *		date			2026-01-31		enum, uuid, string	its text
 *		time			12:34:56.789	record, map			JSON object
 *		timestamp		2026-01-31T12:34:56.789+00:00		(local: without zone)
 *		duration		P1M2DT3.004S	array				JSON array
 */
#include "postgres.h"

#include "streaming.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "format/avro_value.h"
#include "format/direct_value.h"
#include "format/scalar.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define UUID_TEXT		36

struct StreamingAvroConverter
{
	Oid			type;			/* InvalidOid: no pair has a path of its own */
	StreamingConverter *converter;
	StreamingConverter *epoch;	/* of numbers, if the column has a time_format */
	bool		takes_json;
	bool		same_encoding;	/* the database's is UTF-8 */
	StringInfoData text;		/* of one value, reused */
};

static bool convert_directly(const StreamingAvroConverter *converter,
							 const StreamingAvroValue *value, Datum *datum);
static bool direct_float(Oid target, const StreamingAvroValue *value, Datum *datum);
static void append_json(StringInfo buf, const StreamingAvroType *type, StreamingAvroCursor *cursor);
static void append_json_scalar(StringInfo buf, const StreamingAvroType *type,
							   StreamingAvroCursor *cursor);
static bool append_scalar(StringInfo buf, const StreamingAvroType *type, StreamingAvroCursor *cursor);
static void append_number(StringInfo buf, const StreamingAvroType *type, int64 number);
static void append_bytes(StringInfo buf, const StreamingAvroType *type,
						 const uint8_t *data, size_t length);
static int64 read_number(StreamingAvroCursor *cursor);
static const char *read_bytes(StreamingAvroCursor *cursor, const StreamingAvroType *type, size_t *length);
static float read_float(StreamingAvroCursor *cursor);
static double read_double(StreamingAvroCursor *cursor);
static bool small_decimal(const uint8_t *data, size_t length, int64 *number);

StreamingAvroConverter *
streaming_avro_converter_open(const StreamingColumn *column)
{
	StreamingAvroConverter *converter = palloc0(sizeof(StreamingAvroConverter));
	StreamingColumn plain = *column;

	/* What a schema says is a time has no need of it. */
	plain.time_format = STREAMING_TIME_TEXT;
	converter->converter = streaming_converter_open(&plain);
	if (column->time_format != STREAMING_TIME_TEXT)
		converter->epoch = streaming_converter_open(column);
	converter->takes_json = streaming_converter_takes_json(converter->converter);
	converter->same_encoding = GetDatabaseEncoding() == PG_UTF8;
	if (column->typmod < 0)
		converter->type = column->type == VARCHAROID ? TEXTOID : column->type;
	initStringInfo(&converter->text);
	return converter;
}

Datum
streaming_avro_convert(StreamingAvroConverter *converter, const StreamingAvroValue *value)
{
	StringInfo	text = &converter->text;
	StreamingAvroCursor cursor = {value->data, value->data + value->length};
	StreamingTokenKind kind = STREAMING_TOKEN_JSON;
	Datum		datum;

	if (convert_directly(converter, value, &datum))
		return datum;

	resetStringInfo(text);
	if (value->type->kind >= STREAMING_AVRO_RECORD ||
		(converter->takes_json && value->type->logical != STREAMING_AVRO_JSON))
		append_json(text, value->type, &cursor);
	else if (append_scalar(text, value->type, &cursor))
		kind = STREAMING_TOKEN_TEXT;
	else
		kind = value->type->kind == STREAMING_AVRO_BOOLEAN ? STREAMING_TOKEN_BOOL : STREAMING_TOKEN_NUMBER;
	return streaming_convert_text(kind == STREAMING_TOKEN_NUMBER && converter->epoch ?
								  converter->epoch : converter->converter, kind, text);
}

void
streaming_avro_convert_null(StreamingAvroConverter *converter)
{
	streaming_convert_null(converter->converter);
}

/* ------------------------------------------------------------------------
 * Pairs of types that need no text
 * ------------------------------------------------------------------------ */

/* Returns false for any other pair, and for what is an error. */
static bool
convert_directly(const StreamingAvroConverter *converter, const StreamingAvroValue *value,
				 Datum *datum)
{
	const StreamingAvroType *type = value->type;
	StreamingAvroCursor cursor = {value->data, value->data + value->length};
	const char *data;
	size_t		length;
	int64		number;

	switch (type->kind)
	{
		case STREAMING_AVRO_BOOLEAN:
			*datum = BoolGetDatum(*value->data != 0);
			return converter->type == BOOLOID;

		case STREAMING_AVRO_INT:
		case STREAMING_AVRO_LONG:
			number = read_number(&cursor);
			switch (type->logical)
			{
				case STREAMING_AVRO_DATE:
					*datum = DateADTGetDatum(streaming_date_of(number));
					return converter->type == DATEOID;
				case STREAMING_AVRO_TIME:
					*datum = TimeADTGetDatum(streaming_time_of(number, type->unit));
					return converter->type == TIMEOID;
				case STREAMING_AVRO_TIMESTAMP:
					*datum = TimestampGetDatum(streaming_timestamp_of(number, type->unit));
					return converter->type == TIMESTAMPTZOID || converter->type == TIMESTAMPOID;
				case STREAMING_AVRO_LOCAL_TIMESTAMP:
					*datum = TimestampGetDatum(streaming_timestamp_of(number, type->unit));
					return converter->type == TIMESTAMPOID;
				default:
					return streaming_direct_integer(converter->type, number, datum);
			}

		case STREAMING_AVRO_FLOAT:
		case STREAMING_AVRO_DOUBLE:
			return direct_float(converter->type, value, datum);

		case STREAMING_AVRO_ENUM:
			if (converter->type != TEXTOID)
				return false;
			data = type->symbols[read_number(&cursor)];
			*datum = PointerGetDatum(cstring_to_text(data));
			return true;

		case STREAMING_AVRO_STRING:
			if (converter->type != TEXTOID)
				return false;
			data = read_bytes(&cursor, type, &length);
			*datum = streaming_direct_text(converter->same_encoding, data, length);
			return true;

		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_FIXED:
			data = read_bytes(&cursor, type, &length);
			if (type->logical == STREAMING_AVRO_UUID && converter->type == UUIDOID && length == UUID_LEN)
			{
				*datum = PointerGetDatum(memcpy(palloc(UUID_LEN), data, UUID_LEN));
				return true;
			}
			if (type->logical == STREAMING_AVRO_DECIMAL && converter->type == NUMERICOID &&
				small_decimal((const uint8_t *) data, length, &number))
			{
				*datum = NumericGetDatum(int64_div_fast_to_numeric(number, type->scale));
				return true;
			}
			if (type->logical != STREAMING_AVRO_PLAIN || converter->type != BYTEAOID)
				return false;
			*datum = PointerGetDatum(cstring_to_text_with_len(data, length));
			return true;

		default:
			return false;
	}
}

static bool
direct_float(Oid target, const StreamingAvroValue *value, Datum *datum)
{
	StreamingAvroCursor cursor = {value->data, value->data + value->length};

	if (value->type->kind == STREAMING_AVRO_DOUBLE)
	{
		*datum = Float8GetDatum(read_double(&cursor));
		return target == FLOAT8OID;
	}
	if (target == FLOAT8OID)
		*datum = Float8GetDatum((float8) read_float(&cursor));
	else
		*datum = Float4GetDatum(read_float(&cursor));
	return target == FLOAT4OID || target == FLOAT8OID;
}

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------ */

static void
append_json(StringInfo buf, const StreamingAvroType *type, StreamingAvroCursor *cursor)
{
	int64		count;
	size_t		length;
	const char *data;

	check_stack_depth();
	if (buf->len > STREAMING_MAX_JSON)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value is too long as JSON"),
				 errdetail("At most %d bytes are allowed.", STREAMING_MAX_JSON)));
	if (type->kind == STREAMING_AVRO_UNION)
		type = type->types[read_number(cursor)];

	switch (type->kind)
	{
		case STREAMING_AVRO_NULL:
			appendStringInfoString(buf, "null");
			break;

		case STREAMING_AVRO_STRING:
			data = read_bytes(cursor, type, &length);
			if (type->logical == STREAMING_AVRO_JSON)
			{
				data = streaming_utf8_to_server(data, &length);
				appendBinaryStringInfo(buf, data, length);
			}
			else
				streaming_append_json_string(buf, data, length);
			break;

		case STREAMING_AVRO_RECORD:
			{
				char		before = '{';

				for (int i = 0; i < type->n; i++)
				{
					const StreamingAvroField *field = &type->fields[i];
					StreamingAvroCursor constant = {field->constant, field->constant + field->constant_length};

					if (field->name == NULL)
					{
						streaming_avro_skip(cursor, field->type);
						continue;
					}
					appendStringInfoChar(buf, before);
					before = ',';
					escape_json(buf, field->name);
					appendStringInfoChar(buf, ':');
					append_json(buf, field->type, field->constant ? &constant : cursor);
				}
				appendStringInfoString(buf, before == '{' ? "{}" : "}");
			}
			break;

		case STREAMING_AVRO_ARRAY:
		case STREAMING_AVRO_MAP:
			{
				bool		map = type->kind == STREAMING_AVRO_MAP;
				char		before = map ? '{' : '[';

				while ((count = read_number(cursor)) != 0)
				{
					if (count < 0)
					{
						(void) read_number(cursor);
						count = -count;
					}
					for (; count > 0; count--)
					{
						appendStringInfoChar(buf, before);
						before = ',';
						if (map)
						{
							StreamingAvroType key = {.kind = STREAMING_AVRO_STRING};

							data = read_bytes(cursor, &key, &length);
							streaming_append_json_string(buf, data, length);
							appendStringInfoChar(buf, ':');
						}
						append_json(buf, type->types[0], cursor);
					}
				}
				if (before != ',')
					appendStringInfoChar(buf, before);
				appendStringInfoChar(buf, map ? '}' : ']');
			}
			break;

		case STREAMING_AVRO_ENUM:
			escape_json(buf, type->symbols[read_number(cursor)]);
			break;

		default:
			append_json_scalar(buf, type, cursor);
			break;
	}
}

/* Nothing in it has to be escaped but the backslash of bytes. */
static void
append_json_scalar(StringInfo buf, const StreamingAvroType *type, StreamingAvroCursor *cursor)
{
	int			start = buf->len;
	bool		quoted;

	appendStringInfoString(buf, "\"\\");
	quoted = append_scalar(buf, type, cursor);
	if (buf->data[start + 2] != '\\')
	{
		int			before = quoted ? 1 : 0;	/* as much of what is there stays */

		memmove(buf->data + start + before, buf->data + start + 2, buf->len - start - 2 + 1);
		buf->len -= 2 - before;
	}
	if (quoted)
		appendStringInfoChar(buf, '"');
}

/* Returns whether JSON has it between quotes. */
static bool
append_scalar(StringInfo buf, const StreamingAvroType *type, StreamingAvroCursor *cursor)
{
	char		digits[Max(DOUBLE_SHORTEST_DECIMAL_LEN, FLOAT_SHORTEST_DECIMAL_LEN)];
	const char *data;
	size_t		length;
	double		number;

	switch (type->kind)
	{
		case STREAMING_AVRO_BOOLEAN:
			appendStringInfoString(buf, *cursor->p++ ? "true" : "false");
			return false;

		case STREAMING_AVRO_INT:
		case STREAMING_AVRO_LONG:
			append_number(buf, type, read_number(cursor));
			return type->logical != STREAMING_AVRO_PLAIN;

		case STREAMING_AVRO_FLOAT:
		case STREAMING_AVRO_DOUBLE:
			if (type->kind == STREAMING_AVRO_FLOAT)
			{
				float		value = read_float(cursor);

				number = value;
				float_to_shortest_decimal_buf(value, digits);
			}
			else
			{
				number = read_double(cursor);
				double_to_shortest_decimal_buf(number, digits);
			}
			appendStringInfoString(buf, digits);
			return isnan(number) || isinf(number);

		case STREAMING_AVRO_ENUM:
			appendStringInfoString(buf, type->symbols[read_number(cursor)]);
			return true;

		case STREAMING_AVRO_STRING:
			data = streaming_utf8_to_server(read_bytes(cursor, type, &length), &length);
			appendBinaryStringInfo(buf, data, length);
			return true;

		default:
			data = read_bytes(cursor, type, &length);
			append_bytes(buf, type, (const uint8_t *) data, length);
			return type->logical != STREAMING_AVRO_DECIMAL;
	}
}

static void
append_number(StringInfo buf, const StreamingAvroType *type, int64 number)
{
	char		text[MAXDATELEN + 1];
	int			zone = 0;

	switch (type->logical)
	{
		case STREAMING_AVRO_DATE:
			JsonEncodeDateTime(text, DateADTGetDatum(streaming_date_of(number)), DATEOID, NULL);
			break;
		case STREAMING_AVRO_TIME:
			JsonEncodeDateTime(text, TimeADTGetDatum(streaming_time_of(number, type->unit)), TIMEOID, NULL);
			break;
		case STREAMING_AVRO_TIMESTAMP:
			JsonEncodeDateTime(text, TimestampGetDatum(streaming_timestamp_of(number, type->unit)),
							   TIMESTAMPTZOID, &zone);
			break;
		case STREAMING_AVRO_LOCAL_TIMESTAMP:
			JsonEncodeDateTime(text, TimestampGetDatum(streaming_timestamp_of(number, type->unit)),
							   TIMESTAMPOID, NULL);
			break;
		default:
			pg_lltoa(number, text);
			break;
	}
	appendStringInfoString(buf, text);
}

static void
append_bytes(StringInfo buf, const StreamingAvroType *type, const uint8_t *data, size_t length)
{
	switch (type->logical)
	{
		case STREAMING_AVRO_DECIMAL:
			streaming_append_decimal(buf, data, length, type->precision, type->scale);
			break;

		case STREAMING_AVRO_UUID:
			streaming_append_uuid(buf, data, length);
			break;

		case STREAMING_AVRO_DURATION:
			{
				uint32		parts[3];

				for (int i = 0; i < 3; i++, data += 4)
					parts[i] = data[0] | data[1] << 8 | data[2] << 16 | (uint32) data[3] << 24;
				appendStringInfo(buf, "P%uM%uDT%u.%03uS", parts[0], parts[1], parts[2] / 1000, parts[2] % 1000);
			}
			break;

		default:
			streaming_append_bytes(buf, data, length);
			break;
	}
}

/* ------------------------------------------------------------------------
 * Bytes that the walk has passed
 * ------------------------------------------------------------------------ */

static int64
read_number(StreamingAvroCursor *cursor)
{
	int64_t		number;

	if (!streaming_avro_long(cursor, &number))
		elog(ERROR, "Avro record has changed behind the walk");
	return number;
}

static const char *
read_bytes(StreamingAvroCursor *cursor, const StreamingAvroType *type, size_t *length)
{
	const char *data;

	*length = type->kind == STREAMING_AVRO_FIXED ? type->size : (size_t) read_number(cursor);
	Assert(*length <= cursor->end - cursor->p);
	data = (const char *) cursor->p;
	cursor->p += *length;
	return data;
}

static float
read_float(StreamingAvroCursor *cursor)
{
	uint32		bits;
	float		value;

	memcpy(&bits, cursor->p, sizeof(bits));
#ifdef WORDS_BIGENDIAN
	bits = pg_bswap32(bits);
#endif
	memcpy(&value, &bits, sizeof(value));
	cursor->p += sizeof(bits);
	return value;
}

static double
read_double(StreamingAvroCursor *cursor)
{
	uint64		bits;
	double		value;

	memcpy(&bits, cursor->p, sizeof(bits));
#ifdef WORDS_BIGENDIAN
	bits = pg_bswap64(bits);
#endif
	memcpy(&value, &bits, sizeof(value));
	cursor->p += sizeof(bits);
	return value;
}

static bool
small_decimal(const uint8_t *data, size_t length, int64 *number)
{
	uint64		value;

	if (length == 0 || length > 8)
		return false;
	value = data[0] >= 0x80 ? ~UINT64CONST(0) : 0;
	for (size_t i = 0; i < length; i++)
		value = value << 8 | data[i];
	*number = (int64) value;
	return true;
}
