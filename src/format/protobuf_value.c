/*
 * protobuf_value.c
 *		Values of Protobuf messages -> Datums.
 *
 * The rule is that of avro_value.c: a value becomes the text that PostgreSQL writes for
 * such a one, or JSON where it has parts (protobuf_json.c), and the column's type reads
 * that (convert.c).  The pairs of types that fill streams have a path of their own, with
 * the same result.
 *
 *		Timestamp		2026-01-31T12:34:56.789+00:00		bytes		\x00ff
 *		Duration		-1.5s								enum		its name
 *		Date			2026-01-31							message		JSON object
 *		Decimal			1234.50								wrapper		its value
 */
#include "postgres.h"

#include "streaming.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "format/scalar.h"
#include "format/direct_value.h"
#include "format/protobuf_value.h"
#include "mb/pg_wchar.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define EPOCH_SECONDS	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)
#define NANOS_PER_SEC	1000000000

/* Digits of a decimal that says how many it has. */
#define MAX_DIGITS		1000

/* What Duration allows, about 10,000 years. */
#define MAX_SECONDS		INT64CONST(315576000000)

struct StreamingProtobufConverter
{
	Oid			type;			/* InvalidOid: no pair has a path of its own */
	StreamingConverter *converter;
	StreamingConverter *epoch;	/* of numbers, if the column has a time_format */
	StreamingProtobufPieces *pieces;
	bool		takes_json;
	bool		takes_number;	/* of an enum its number, not its name */
	bool		same_encoding;	/* the database's is UTF-8 */
	StringInfoData text;		/* of one value, reused */
};

static bool convert_directly(const StreamingProtobufConverter *converter,
							 const StreamingProtobufValue *value, Datum *datum);
static bool direct_message(const StreamingProtobufConverter *converter,
						   const StreamingProtobufValue *value, Datum *datum);
static void read_parts(const StreamingProtobufMessage *message, const StreamingProtobufValue *value,
					   StreamingProtobufPieces *pieces, StreamingProtobufValue *parts);
static StreamingTokenKind make_text(StreamingProtobufConverter *converter,
									const StreamingProtobufValue *value);
static Timestamp timestamp_of(int64 seconds, int64 nanos);
static void append_duration(StringInfo buf, int64 seconds, int64 nanos);
static void append_date(StringInfo buf, const StreamingProtobufValue *parts);
static void append_decimal(StringInfo buf, const StreamingProtobufValue *parts);

StreamingProtobufConverter *
streaming_protobuf_converter_open(const StreamingColumn *column, StreamingProtobufPieces *pieces)
{
	StreamingProtobufConverter *converter = palloc0(sizeof(StreamingProtobufConverter));
	StreamingColumn plain = *column;

	/* What a schema says is a time has no need of it. */
	plain.time_format = STREAMING_TIME_TEXT;
	converter->converter = streaming_converter_open(&plain);
	if (column->time_format != STREAMING_TIME_TEXT)
		converter->epoch = streaming_converter_open(column);
	converter->pieces = pieces;
	converter->takes_json = streaming_converter_takes_json(converter->converter);
	switch (getBaseType(column->type))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			converter->takes_number = true;
			break;
		default:
			break;
	}
	converter->same_encoding = GetDatabaseEncoding() == PG_UTF8;
	if (column->typmod < 0)
		converter->type = column->type == VARCHAROID ? TEXTOID : column->type;
	initStringInfo(&converter->text);
	return converter;
}

Datum
streaming_protobuf_convert(StreamingProtobufConverter *converter, const StreamingProtobufValue *value)
{
	StringInfo	text = &converter->text;
	int			npieces = converter->pieces->n;
	StreamingTokenKind kind;
	Datum		datum;

	if (!value->field->repeated && convert_directly(converter, value, &datum))
		return datum;

	resetStringInfo(text);
	kind = make_text(converter, value);
	converter->pieces->n = npieces;
	return streaming_convert_text(kind == STREAMING_TOKEN_NUMBER && converter->epoch ?
								  converter->epoch : converter->converter, kind, text);
}

void
streaming_protobuf_convert_null(StreamingProtobufConverter *converter)
{
	streaming_convert_null(converter->converter);
}

StreamingProtobufValue
streaming_protobuf_zero(const StreamingProtobufField *field)
{
	return (StreamingProtobufValue) {
		.field = field,
		.data = (const uint8_t *) "",
		.next = -1
	};
}

/* ------------------------------------------------------------------------
 * Pairs of types that need no text
 * ------------------------------------------------------------------------ */

/* Returns false for any other pair, and for what is an error. */
static bool
convert_directly(const StreamingProtobufConverter *converter, const StreamingProtobufValue *value,
				 Datum *datum)
{
	StreamingProtobufKind kind = value->field->kind;
	int64		number;
	int			symbol;

	switch (kind)
	{
		case STREAMING_PROTOBUF_INT32:
		case STREAMING_PROTOBUF_INT64:
		case STREAMING_PROTOBUF_UINT32:
		case STREAMING_PROTOBUF_UINT64:
		case STREAMING_PROTOBUF_SINT32:
		case STREAMING_PROTOBUF_SINT64:
		case STREAMING_PROTOBUF_FIXED32:
		case STREAMING_PROTOBUF_FIXED64:
		case STREAMING_PROTOBUF_SFIXED32:
		case STREAMING_PROTOBUF_SFIXED64:
			return streaming_protobuf_integer(kind, value->bits, &number) &&
				streaming_direct_integer(converter->type, number, datum);

		case STREAMING_PROTOBUF_BOOL:
			*datum = BoolGetDatum(value->bits != 0);
			return converter->type == BOOLOID;

		case STREAMING_PROTOBUF_FLOAT:
			if (converter->type == FLOAT4OID)
				*datum = Float4GetDatum((float4) streaming_protobuf_double(kind, value->bits));
			else
				*datum = Float8GetDatum(streaming_protobuf_double(kind, value->bits));
			return converter->type == FLOAT4OID || converter->type == FLOAT8OID;

		case STREAMING_PROTOBUF_DOUBLE:
			*datum = Float8GetDatum(streaming_protobuf_double(kind, value->bits));
			return converter->type == FLOAT8OID;

		case STREAMING_PROTOBUF_ENUM:
			if (converter->takes_number)
				return streaming_direct_integer(converter->type, (int32) value->bits, datum);
			symbol = streaming_protobuf_symbol(value->field->symbols, (int32) value->bits);
			if (converter->type != TEXTOID || symbol < 0)
				return false;
			*datum = PointerGetDatum(cstring_to_text(value->field->symbols->names[symbol]));
			return true;

		case STREAMING_PROTOBUF_STRING:
			if (converter->type != TEXTOID)
				return false;
			*datum = streaming_direct_text(converter->same_encoding, (const char *) value->data, value->length);
			return true;

		case STREAMING_PROTOBUF_BYTES:
			if (converter->type != BYTEAOID)
				return false;
			*datum = PointerGetDatum(cstring_to_text_with_len((const char *) value->data, value->length));
			return true;

		case STREAMING_PROTOBUF_MESSAGE:
			return direct_message(converter, value, datum);

		default:
			return false;
	}
}

static bool
direct_message(const StreamingProtobufConverter *converter, const StreamingProtobufValue *value,
			   Datum *datum)
{
	StreamingProtobufValue *parts;
	int64		seconds;
	int64		nanos;

	switch (value->field->message->logical)
	{
		case STREAMING_PROTOBUF_TIMESTAMP:
			if (converter->type != TIMESTAMPTZOID && converter->type != TIMESTAMPOID)
				return false;
			streaming_protobuf_time(value, converter->pieces, &seconds, &nanos);
			*datum = TimestampGetDatum(timestamp_of(seconds, nanos));
			return true;

		case STREAMING_PROTOBUF_DURATION:
			{
				Interval   *interval;

				if (converter->type != INTERVALOID)
					return false;
				streaming_protobuf_time(value, converter->pieces, &seconds, &nanos);
				interval = palloc0(sizeof(Interval));
				interval->time = seconds * USECS_PER_SEC + nanos / 1000;
				*datum = IntervalPGetDatum(interval);
				return true;
			}

		case STREAMING_PROTOBUF_WRAPPER:
			parts = streaming_protobuf_parts(value->field->message, value, converter->pieces);
			return convert_directly(converter, &parts[0], datum);

		default:
			return false;
	}
}

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------ */

static StreamingTokenKind
make_text(StreamingProtobufConverter *converter, const StreamingProtobufValue *value)
{
	StreamingProtobufValue inner = *value;

	if (!value->field->repeated && value->field->kind == STREAMING_PROTOBUF_MESSAGE && !converter->takes_json)
	{
		if (value->field->message->logical == STREAMING_PROTOBUF_WRAPPER)
			inner = *streaming_protobuf_parts(value->field->message, value, converter->pieces);
		else if (streaming_protobuf_logical_text(&converter->text, value, converter->pieces))
			return STREAMING_TOKEN_TEXT;
	}
	if (inner.field->repeated || inner.field->message || converter->takes_json)
	{
		streaming_protobuf_json(&converter->text, &inner, converter->pieces);
		return STREAMING_TOKEN_JSON;
	}
	if (inner.field->kind == STREAMING_PROTOBUF_ENUM && converter->takes_number)
	{
		appendStringInfo(&converter->text, "%d", (int32) inner.bits);
		return STREAMING_TOKEN_NUMBER;
	}
	if (streaming_protobuf_text(&converter->text, inner.field, &inner))
		return STREAMING_TOKEN_TEXT;
	return inner.field->kind == STREAMING_PROTOBUF_BOOL ? STREAMING_TOKEN_BOOL : STREAMING_TOKEN_NUMBER;
}

bool
streaming_protobuf_text(StringInfo buf, const StreamingProtobufField *field,
						const StreamingProtobufValue *value)
{
	char		digits[Max(DOUBLE_SHORTEST_DECIMAL_LEN, FLOAT_SHORTEST_DECIMAL_LEN)];
	const char *data;
	size_t		length;
	double		number;
	int64		integer;
	int			symbol;

	switch (field->kind)
	{
		case STREAMING_PROTOBUF_BOOL:
			appendStringInfoString(buf, value->bits ? "true" : "false");
			return false;

		case STREAMING_PROTOBUF_FLOAT:
		case STREAMING_PROTOBUF_DOUBLE:
			number = streaming_protobuf_double(field->kind, value->bits);
			if (field->kind == STREAMING_PROTOBUF_FLOAT)
				float_to_shortest_decimal_buf((float) number, digits);
			else
				double_to_shortest_decimal_buf(number, digits);
			appendStringInfoString(buf, digits);
			return isnan(number) || isinf(number);

		case STREAMING_PROTOBUF_ENUM:
			symbol = streaming_protobuf_symbol(field->symbols, (int32) value->bits);
			if (symbol >= 0)
				appendStringInfoString(buf, field->symbols->names[symbol]);
			else
				appendStringInfo(buf, "%d", (int32) value->bits);
			return symbol >= 0;

		case STREAMING_PROTOBUF_STRING:
			length = value->length;
			data = streaming_utf8_to_server((const char *) value->data, &length);
			appendBinaryStringInfo(buf, data, length);
			return true;

		case STREAMING_PROTOBUF_BYTES:
			{
				static const char hex[] = "0123456789abcdef";

				if (value->length > (MaxAllocSize - 1024) / 2 - buf->len / 2)
					ereport(ERROR,
							(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							 errmsg("value of %u bytes is too long as text", value->length)));
				appendStringInfoString(buf, "\\x");
				enlargeStringInfo(buf, value->length * 2);
				for (uint32 i = 0; i < value->length; i++)
				{
					buf->data[buf->len++] = hex[value->data[i] >> 4];
					buf->data[buf->len++] = hex[value->data[i] & 15];
				}
				buf->data[buf->len] = '\0';
				return true;
			}

		default:
			if (streaming_protobuf_integer(field->kind, value->bits, &integer))
				appendStringInfo(buf, "%lld", (long long) integer);
			else
				appendStringInfo(buf, "%llu", (unsigned long long) value->bits);
			return false;
	}
}

bool
streaming_protobuf_integer(StreamingProtobufKind kind, uint64 bits, int64 *number)
{
	switch (kind)
	{
		case STREAMING_PROTOBUF_INT32:
		case STREAMING_PROTOBUF_SFIXED32:
		case STREAMING_PROTOBUF_ENUM:
			*number = (int32) bits;
			return true;
		case STREAMING_PROTOBUF_UINT32:
		case STREAMING_PROTOBUF_FIXED32:
			*number = (uint32) bits;
			return true;
		case STREAMING_PROTOBUF_SINT32:
			bits = (uint32) bits;
			*number = (int32) ((bits >> 1) ^ (0 - (bits & 1)));
			return true;
		case STREAMING_PROTOBUF_SINT64:
			*number = (int64) ((bits >> 1) ^ (0 - (bits & 1)));
			return true;
		case STREAMING_PROTOBUF_UINT64:
		case STREAMING_PROTOBUF_FIXED64:
			*number = (int64) bits;
			return *number >= 0;
		default:
			*number = (int64) bits;
			return true;
	}
}

double
streaming_protobuf_double(StreamingProtobufKind kind, uint64 bits)
{
	double		number;

	if (kind == STREAMING_PROTOBUF_FLOAT)
	{
		uint32		half = (uint32) bits;
		float		single;

		memcpy(&single, &half, sizeof(single));
		return single;
	}
	memcpy(&number, &bits, sizeof(number));
	return number;
}

/* ------------------------------------------------------------------------
 * Messages
 * ------------------------------------------------------------------------ */

StreamingProtobufValue *
streaming_protobuf_parts(const StreamingProtobufMessage *message, const StreamingProtobufValue *value,
						 StreamingProtobufPieces *pieces)
{
	StreamingProtobufValue *parts = palloc(sizeof(StreamingProtobufValue) * Max(message->nvalues, 1));

	read_parts(message, value, pieces, parts);
	return parts;
}

/* parts: room for the message's values */
static void
read_parts(const StreamingProtobufMessage *message, const StreamingProtobufValue *value,
		   StreamingProtobufPieces *pieces, StreamingProtobufValue *parts)
{
	StreamingProtobufPiece piece = {value->data, value->length, value->next};
	StreamingProtobufError error;

	memset(parts, 0, sizeof(StreamingProtobufValue) * message->nvalues);
	for (;;)
	{
		if (!streaming_protobuf_read(message->all, piece.data, piece.length, parts, pieces, &error))
			streaming_protobuf_broken(&error);
		if (piece.next < 0)
			break;
		piece = pieces->items[piece.next];
	}
	for (int i = 0; i < message->n; i++)
		if (parts[i].field == NULL && !message->fields[i].presence && !message->fields[i].repeated)
			parts[i] = streaming_protobuf_zero(&message->fields[i]);
}

void
streaming_protobuf_broken(const StreamingProtobufError *error)
{
	ereport(ERROR,
			(errcode(error->limit ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
					 ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid Protobuf record"),
			 errdetail("In a message in it: %s.", error->message)));
}

void
streaming_protobuf_time(const StreamingProtobufValue *value, StreamingProtobufPieces *pieces,
						int64 *seconds, int64 *nanos)
{
	const StreamingProtobufMessage *message = value->field->message;
	StreamingProtobufValue few[4];
	StreamingProtobufValue *parts = few;
	bool		duration = message->logical == STREAMING_PROTOBUF_DURATION;

	if (message->nvalues <= lengthof(few))
		read_parts(message, value, pieces, few);
	else
		parts = streaming_protobuf_parts(message, value, pieces);
	*seconds = (int64) parts[0].bits;
	*nanos = (int32) parts[1].bits;
	if (parts != few)
		pfree(parts);
	if (*nanos <= -NANOS_PER_SEC || *nanos >= NANOS_PER_SEC || (!duration && *nanos < 0) ||
		(duration && (*seconds < -MAX_SECONDS || *seconds > MAX_SECONDS ||
					  (*seconds < 0 && *nanos > 0) || (*seconds > 0 && *nanos < 0))))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s out of range: %lld seconds and %lld nanoseconds",
						duration ? "duration" : "timestamp", (long long) *seconds, (long long) *nanos)));
}

bool
streaming_protobuf_logical_text(StringInfo buf, const StreamingProtobufValue *value,
								StreamingProtobufPieces *pieces)
{
	const StreamingProtobufMessage *message = value->field->message;
	StreamingProtobufValue *parts;
	int64		seconds;
	int64		nanos;

	switch (message->logical)
	{
		case STREAMING_PROTOBUF_TIMESTAMP:
			{
				char		text[MAXDATELEN + 1];
				int			zone = 0;

				streaming_protobuf_time(value, pieces, &seconds, &nanos);
				JsonEncodeDateTime(text, TimestampGetDatum(timestamp_of(seconds, nanos)), TIMESTAMPTZOID, &zone);
				appendStringInfoString(buf, text);
				return true;
			}
		case STREAMING_PROTOBUF_DURATION:
			streaming_protobuf_time(value, pieces, &seconds, &nanos);
			append_duration(buf, seconds, nanos);
			return true;
		case STREAMING_PROTOBUF_DATE:
			parts = streaming_protobuf_parts(message, value, pieces);
			append_date(buf, parts);
			pfree(parts);
			return true;
		case STREAMING_PROTOBUF_DECIMAL:
			parts = streaming_protobuf_parts(message, value, pieces);
			(void) streaming_protobuf_text(buf, parts[0].field, &parts[0]);
			pfree(parts);
			return true;
		case STREAMING_PROTOBUF_BINARY_DECIMAL:
			parts = streaming_protobuf_parts(message, value, pieces);
			append_decimal(buf, parts);
			pfree(parts);
			return true;
		default:
			return false;
	}
}

/* Parts of a microsecond are cut off. */
static Timestamp
timestamp_of(int64 seconds, int64 nanos)
{
	int64		value;

	if (pg_sub_s64_overflow(seconds, EPOCH_SECONDS, &value) ||
		pg_mul_s64_overflow(value, USECS_PER_SEC, &value) ||
		pg_add_s64_overflow(value, nanos / 1000, &value) ||
		!IS_VALID_TIMESTAMP(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range: %lld seconds", (long long) seconds)));
	return value;
}

static void
append_duration(StringInfo buf, int64 seconds, int64 nanos)
{
	if (seconds < 0 || nanos < 0)
		appendStringInfoChar(buf, '-');
	appendStringInfo(buf, "%lld", llabs(seconds));
	if (nanos != 0)
	{
		appendStringInfo(buf, ".%09lld", llabs(nanos));
		while (buf->data[buf->len - 1] == '0')
			buf->data[--buf->len] = '\0';
	}
	appendStringInfoChar(buf, 's');
}

static void
append_date(StringInfo buf, const StreamingProtobufValue *parts)
{
	int			year = (int32) parts[0].bits;
	int			month = (int32) parts[1].bits;
	int			day = (int32) parts[2].bits;

	if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("date out of range: year %d, month %d, day %d", year, month, day)));
	appendStringInfo(buf, "%04d-%02d-%02d", year, month, day);
}

/* Bytes, precision (0: it is not said) and scale. */
static void
append_decimal(StringInfo buf, const StreamingProtobufValue *parts)
{
	int			scale = (int32) parts[2].bits;

	if (scale < 0 || scale > MAX_DIGITS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("decimal has an invalid scale: %d", scale)));
	streaming_append_decimal(buf, parts[0].data, parts[0].length, MAX_DIGITS, scale);
}
