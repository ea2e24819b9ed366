/*
 * columnar_value.c
 *		Values of Arrow's arrays -> Datums.
 *
 * The rule is that of Avro's values (avro_value.c): a value becomes the text that
 * PostgreSQL writes for such a one, or JSON where it has parts, and the column's type
 * reads that.  Pairs of types that fill streams have a path of their own, with the same
 * result.
 *
 * An array counts from its offset; so does each of its children, whose place is told
 * from the parent's:
 *
 *		struct	offset + i				of each child
 *		list	offsets[offset + i] to offsets[offset + i + 1]
 *		fixed	(offset + i) * size and on
 *
 * The module has validated that all of them are there.
 */
#include "postgres.h"

#include "streaming.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "format/columnar.h"
#include "format/direct_value.h"
#include "format/scalar.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* Of a view: its length, and then its bytes, or where they are. */
#define VIEW_SIZE		16
#define VIEW_INLINE		12

struct StreamingArrowConverter
{
	StreamingConverter *converter;
	StreamingConverter *epoch;	/* of numbers, if the column has a time_format */
	bool		takes_json;
	StringInfoData text;		/* of one value, reused */
};

static StreamingArrowPair integer_pair(const StreamingArrowType *type, Oid target);
static const StreamingArrowType *resolve(const StreamingArrowType *type, const struct ArrowArray **array, int64 *i);
static int64 integer_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static double float_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static const char *bytes_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i, size_t *length);
static void items_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i, int64 *from, int64 *to);
static int64 days_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static Datum numeric_at(StreamingArrowConverter *converter, const StreamingArrowType *type,
						const struct ArrowArray *array, int64 i);
static Datum convert_by_text(StreamingArrowConverter *converter, const StreamingArrowType *type,
							 const struct ArrowArray *array, int64 i);
static void append_json(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_map(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_key(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static bool append_scalar(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_float(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_decimal(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_time(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_interval(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i);
static void append_seconds(StringInfo buf, int64 number, int unit);
pg_noreturn static void refuse_type(const StreamingArrowType *type);

/* ------------------------------------------------------------------------
 * Pairs
 * ------------------------------------------------------------------------ */

StreamingArrowPair
streaming_arrow_pair(const StreamingArrowType *type, const StreamingColumn *column)
{
	Oid			target = column->type;

	while (type->values)
		type = type->values;
	if (target == JSONOID || target == JSONBOID)
		return type->kind == STREAMING_ARROW_JSON ? STREAMING_ARROW_BY_TEXT : STREAMING_ARROW_AS_JSON;
	if (column->typmod >= 0)
		return STREAMING_ARROW_BY_TEXT;
	if (target == VARCHAROID)
		target = TEXTOID;

	switch (type->kind)
	{
		case STREAMING_ARROW_BOOL:
			return target == BOOLOID ? STREAMING_ARROW_TO_BOOL : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_INT:
		case STREAMING_ARROW_UINT:
			if (column->time_format != STREAMING_TIME_TEXT)
				return STREAMING_ARROW_BY_TEXT;
			return integer_pair(type, target);
		case STREAMING_ARROW_FLOAT:
			if (target == FLOAT8OID)
				return STREAMING_ARROW_TO_FLOAT8;
			return target == FLOAT4OID && type->size <= 4 ? STREAMING_ARROW_TO_FLOAT4 : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_DECIMAL:
			return target == NUMERICOID ? STREAMING_ARROW_TO_NUMERIC : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_DATE:
			return target == DATEOID ? STREAMING_ARROW_TO_DATE : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_TIME:
			return target == TIMEOID ? STREAMING_ARROW_TO_TIME : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_TIMESTAMP:
			/* Local time is UTC's, as Avro has it. */
			return target == TIMESTAMPTZOID || target == TIMESTAMPOID ? STREAMING_ARROW_TO_TIMESTAMP :
				STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_LOCAL_TIMESTAMP:
			return target == TIMESTAMPOID ? STREAMING_ARROW_TO_TIMESTAMP : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_BYTES:
			if (target == UUIDOID && type->layout == STREAMING_ARROW_FIXED && type->size == UUID_LEN)
				return STREAMING_ARROW_TO_UUID;
			return target == BYTEAOID ? STREAMING_ARROW_TO_BYTEA : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_UUID:
			return target == UUIDOID ? STREAMING_ARROW_TO_UUID : STREAMING_ARROW_BY_TEXT;
		case STREAMING_ARROW_TEXT:
		case STREAMING_ARROW_JSON:
			return target == TEXTOID ? STREAMING_ARROW_TO_TEXT : STREAMING_ARROW_BY_TEXT;
		default:
			return STREAMING_ARROW_BY_TEXT;
	}
}

/* Only to types that have all of them; others are told by their input functions. */
static StreamingArrowPair
integer_pair(const StreamingArrowType *type, Oid target)
{
	int			bits = type->size * 8 - (type->kind == STREAMING_ARROW_INT);

	if (target == INT2OID && bits <= 15)
		return STREAMING_ARROW_TO_INT2;
	if (target == INT4OID && bits <= 31)
		return STREAMING_ARROW_TO_INT4;
	if (target == INT8OID && bits <= 63)
		return STREAMING_ARROW_TO_INT8;
	if (target == FLOAT8OID && bits <= 63)
		return STREAMING_ARROW_TO_FLOAT8;
	if (target == NUMERICOID && bits <= 63)
		return STREAMING_ARROW_TO_NUMERIC;
	return STREAMING_ARROW_BY_TEXT;
}

StreamingArrowConverter *
streaming_arrow_converter_open(const StreamingColumn *column)
{
	StreamingArrowConverter *converter = palloc0(sizeof(StreamingArrowConverter));
	StreamingColumn plain = *column;

	/* What a schema says is a time has no need of it. */
	plain.time_format = STREAMING_TIME_TEXT;
	converter->converter = streaming_converter_open(&plain);
	if (column->time_format != STREAMING_TIME_TEXT)
		converter->epoch = streaming_converter_open(column);
	converter->takes_json = streaming_converter_takes_json(converter->converter);
	initStringInfo(&converter->text);
	return converter;
}

void
streaming_arrow_convert_null(StreamingArrowConverter *converter)
{
	streaming_convert_null(converter->converter);
}

bool
streaming_arrow_is_null(const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const uint8_t *bits;
	int64		at;

	if (type->kind == STREAMING_ARROW_NULL)
		return true;
	bits = array->n_buffers > 0 ? array->buffers[0] : NULL;
	at = array->offset + i;
	if (type->kind != STREAMING_ARROW_UNKNOWN && bits && array->null_count != 0 &&
		(bits[at >> 3] >> (at & 7) & 1) == 0)
		return true;
	if (type->values == NULL)
		return false;
	type = resolve(type, &array, &i);
	return streaming_arrow_is_null(type, array, i);
}

Datum
streaming_arrow_convert(StreamingArrowConverter *converter, StreamingArrowPair pair,
						const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const char *data;
	size_t		length;

	while (type->values)
		type = resolve(type, &array, &i);
	switch (pair)
	{
		case STREAMING_ARROW_TO_BOOL:
			i += array->offset;
			return BoolGetDatum(((const uint8_t *) array->buffers[1])[i >> 3] >> (i & 7) & 1);
		case STREAMING_ARROW_TO_INT2:
			return Int16GetDatum((int16) integer_at(type, array, i));
		case STREAMING_ARROW_TO_INT4:
			return Int32GetDatum((int32) integer_at(type, array, i));
		case STREAMING_ARROW_TO_INT8:
			return Int64GetDatum(integer_at(type, array, i));
		case STREAMING_ARROW_TO_FLOAT4:
			return Float4GetDatum((float4) float_at(type, array, i));
		case STREAMING_ARROW_TO_FLOAT8:
			return Float8GetDatum(type->kind == STREAMING_ARROW_FLOAT ? float_at(type, array, i) :
								  (float8) integer_at(type, array, i));
		case STREAMING_ARROW_TO_NUMERIC:
			return numeric_at(converter, type, array, i);
		case STREAMING_ARROW_TO_DATE:
			return DateADTGetDatum(streaming_date_of(days_at(type, array, i)));
		case STREAMING_ARROW_TO_TIME:
			return TimeADTGetDatum(streaming_time_of(integer_at(type, array, i), type->unit));
		case STREAMING_ARROW_TO_TIMESTAMP:
			return TimestampGetDatum(streaming_timestamp_of(integer_at(type, array, i), type->unit));
		case STREAMING_ARROW_TO_UUID:
			data = bytes_at(type, array, i, &length);
			return PointerGetDatum(memcpy(palloc(UUID_LEN), data, UUID_LEN));
		case STREAMING_ARROW_TO_BYTEA:
			data = bytes_at(type, array, i, &length);
			return PointerGetDatum(cstring_to_text_with_len(data, length));
		case STREAMING_ARROW_TO_TEXT:
			data = bytes_at(type, array, i, &length);
			return streaming_direct_text(GetDatabaseEncoding() == PG_UTF8, data, length);
		case STREAMING_ARROW_BY_TEXT:
		case STREAMING_ARROW_AS_JSON:
			break;
	}
	return convert_by_text(converter, type, array, i);
}

static Datum
convert_by_text(StreamingArrowConverter *converter, const StreamingArrowType *type,
				const struct ArrowArray *array, int64 i)
{
	StringInfo	text = &converter->text;
	StreamingTokenKind kind = STREAMING_TOKEN_JSON;

	resetStringInfo(text);
	if (type->kind >= STREAMING_ARROW_STRUCT ||
		(converter->takes_json && type->kind != STREAMING_ARROW_JSON))
		append_json(text, type, array, i);
	else if (append_scalar(text, type, array, i))
		kind = STREAMING_TOKEN_TEXT;
	else
		kind = type->kind == STREAMING_ARROW_BOOL ? STREAMING_TOKEN_BOOL : STREAMING_TOKEN_NUMBER;
	return streaming_convert_text(kind == STREAMING_TOKEN_NUMBER && converter->epoch ?
								  converter->epoch : converter->converter, kind, text);
}

static Datum
numeric_at(StreamingArrowConverter *converter, const StreamingArrowType *type,
		   const struct ArrowArray *array, int64 i)
{
	const int64 *words;

	if (type->kind != STREAMING_ARROW_DECIMAL)
		return NumericGetDatum(int64_to_numeric(integer_at(type, array, i)));
	if (type->scale < 0 || type->scale > 18 || type->size > 16)
		return convert_by_text(converter, type, array, i);
	if (type->size <= 8)
		return NumericGetDatum(int64_div_fast_to_numeric(integer_at(type, array, i), type->scale));
	words = (const int64 *) array->buffers[1] + (array->offset + i) * 2;
	if (words[1] != (words[0] < 0 ? -1 : 0))
		return convert_by_text(converter, type, array, i);
	return NumericGetDatum(int64_div_fast_to_numeric(words[0], type->scale));
}

/* ------------------------------------------------------------------------
 * Buffers
 * ------------------------------------------------------------------------ */

/* A number of a dictionary: which value of which array it is. */
static const StreamingArrowType *
resolve(const StreamingArrowType *type, const struct ArrowArray **array, int64 *i)
{
	*i = integer_at(type, *array, *i);
	*array = (*array)->dictionary;
	return type->values;
}

/* Also of times and small decimals, which are integers below. */
static int64
integer_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const void *data = array->buffers[1];

	i += array->offset;
	switch (type->size)
	{
		case 1:
			return type->kind == STREAMING_ARROW_UINT ? ((const uint8 *) data)[i] : ((const int8 *) data)[i];
		case 2:
			return type->kind == STREAMING_ARROW_UINT ? ((const uint16 *) data)[i] : ((const int16 *) data)[i];
		case 4:
			return type->kind == STREAMING_ARROW_UINT ? (int64) ((const uint32 *) data)[i] :
				((const int32 *) data)[i];
		default:
			return ((const int64 *) data)[i];
	}
}

static double
float_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const void *data = array->buffers[1];
	uint16		half;
	int			exponent;
	double		value;

	i += array->offset;
	if (type->size == 8)
		return ((const double *) data)[i];
	if (type->size == 4)
		return ((const float *) data)[i];

	half = ((const uint16 *) data)[i];
	exponent = half >> 10 & 31;
	if (exponent == 31)
		value = half & 1023 ? NAN : INFINITY;
	else if (exponent == 0)
		value = ldexp(half & 1023, -24);
	else
		value = ldexp((half & 1023) + 1024, exponent - 25);
	return half & 0x8000 ? -value : value;
}

static const char *
bytes_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i, size_t *length)
{
	const char *view;
	int32		parts[3];

	i += array->offset;
	switch (type->layout)
	{
		case STREAMING_ARROW_FIXED:
			*length = type->size;
			return (const char *) array->buffers[1] + i * type->size;
		case STREAMING_ARROW_OFFSETS:
			{
				const int32 *offsets = array->buffers[1];

				*length = offsets[i + 1] - offsets[i];
				return (const char *) array->buffers[2] + offsets[i];
			}
		case STREAMING_ARROW_LONG_OFFSETS:
			{
				const int64 *offsets = array->buffers[1];

				*length = offsets[i + 1] - offsets[i];
				return (const char *) array->buffers[2] + offsets[i];
			}
		case STREAMING_ARROW_VIEWS:
			break;
	}
	view = (const char *) array->buffers[1] + i * VIEW_SIZE;
	memcpy(parts, view, sizeof(int32));
	*length = parts[0];
	if (parts[0] <= VIEW_INLINE)
		return view + sizeof(int32);
	/* Behind the first bytes: the number of a buffer, and where in it. */
	memcpy(parts, view + 4, sizeof(parts));
	return (const char *) array->buffers[2 + parts[1]] + parts[2];
}

static void
items_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i, int64 *from, int64 *to)
{
	i += array->offset;
	switch (type->layout)
	{
		case STREAMING_ARROW_OFFSETS:
			*from = ((const int32 *) array->buffers[1])[i];
			*to = ((const int32 *) array->buffers[1])[i + 1];
			break;
		case STREAMING_ARROW_LONG_OFFSETS:
			*from = ((const int64 *) array->buffers[1])[i];
			*to = ((const int64 *) array->buffers[1])[i + 1];
			break;
		default:
			*from = i * type->size;
			*to = *from + type->size;
			break;
	}
}

static int64
days_at(const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	int64		number = integer_at(type, array, i);
	int64		day = SECS_PER_DAY * INT64CONST(1000);

	if (type->size == 4)
		return number;
	return number / day - (number % day < 0);
}

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------ */

void
streaming_arrow_json(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	if (streaming_arrow_is_null(type, array, i))
		appendStringInfoString(buf, "null");
	else
		append_json(buf, type, array, i);
}

static void
append_json(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const char *data;
	size_t		length;
	int64		from;
	int64		to;
	int			start;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (buf->len > STREAMING_MAX_JSON)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value is too long as JSON"),
				 errdetail("At most %d bytes are allowed.", STREAMING_MAX_JSON)));
	while (type->values)
		type = resolve(type, &array, &i);

	switch (type->kind)
	{
		case STREAMING_ARROW_TEXT:
			data = bytes_at(type, array, i, &length);
			streaming_append_json_string(buf, data, length);
			break;

		case STREAMING_ARROW_JSON:
			data = bytes_at(type, array, i, &length);
			data = streaming_utf8_to_server(data, &length);
			appendBinaryStringInfo(buf, data, length);
			break;

		case STREAMING_ARROW_STRUCT:
			appendStringInfoChar(buf, '{');
			for (int field = 0; field < type->n; field++)
			{
				if (field > 0)
					appendStringInfoChar(buf, ',');
				escape_json(buf, type->types[field]->name);
				appendStringInfoChar(buf, ':');
				streaming_arrow_json(buf, type->types[field], array->children[field], array->offset + i);
			}
			appendStringInfoChar(buf, '}');
			break;

		case STREAMING_ARROW_LIST:
			items_at(type, array, i, &from, &to);
			appendStringInfoChar(buf, '[');
			for (int64 item = from; item < to; item++)
			{
				if (item > from)
					appendStringInfoChar(buf, ',');
				streaming_arrow_json(buf, type->types[0], array->children[0], item);
			}
			appendStringInfoChar(buf, ']');
			break;

		case STREAMING_ARROW_MAP:
			append_map(buf, type, array, i);
			break;

		case STREAMING_ARROW_BYTES:
			/* Nothing in it has to be escaped but its backslash. */
			data = bytes_at(type, array, i, &length);
			appendStringInfoString(buf, "\"\\");
			streaming_append_bytes(buf, (const uint8_t *) data, length);
			appendStringInfoChar(buf, '"');
			break;

		default:
			start = buf->len;
			appendStringInfoChar(buf, '"');
			if (append_scalar(buf, type, array, i))
				appendStringInfoChar(buf, '"');
			else
			{
				memmove(buf->data + start, buf->data + start + 1, buf->len - start);
				buf->len--;
			}
			break;
	}
}

static void
append_map(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const StreamingArrowType *entry = type->types[0];
	const struct ArrowArray *entries = array->children[0];
	int64		from;
	int64		to;

	items_at(type, array, i, &from, &to);
	appendStringInfoChar(buf, '{');
	for (int64 item = from; item < to; item++)
	{
		if (item > from)
			appendStringInfoChar(buf, ',');
		append_key(buf, entry->types[0], entries->children[0], entries->offset + item);
		appendStringInfoChar(buf, ':');
		streaming_arrow_json(buf, entry->types[1], entries->children[1], entries->offset + item);
	}
	appendStringInfoChar(buf, '}');
}

/* A key of a JSON object is a string, whatever it is here. */
static void
append_key(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	StringInfoData text;

	initStringInfo(&text);
	streaming_arrow_json(&text, type, array, i);
	if (text.data[0] == '"')
		appendBinaryStringInfo(buf, text.data, text.len);
	else
		escape_json(buf, text.data);
	pfree(text.data);
}

/* Returns whether JSON has it between quotes. */
static bool
append_scalar(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const char *data;
	size_t		length;

	switch (type->kind)
	{
		case STREAMING_ARROW_BOOL:
			i += array->offset;
			appendStringInfoString(buf, ((const uint8_t *) array->buffers[1])[i >> 3] >> (i & 7) & 1 ?
								   "true" : "false");
			return false;
		case STREAMING_ARROW_INT:
			appendStringInfo(buf, INT64_FORMAT, integer_at(type, array, i));
			return false;
		case STREAMING_ARROW_UINT:
			appendStringInfo(buf, UINT64_FORMAT, (uint64) integer_at(type, array, i));
			return false;
		case STREAMING_ARROW_FLOAT:
			append_float(buf, type, array, i);
			return !isfinite(float_at(type, array, i));
		case STREAMING_ARROW_DECIMAL:
			append_decimal(buf, type, array, i);
			return false;
		case STREAMING_ARROW_DATE:
		case STREAMING_ARROW_TIME:
		case STREAMING_ARROW_TIMESTAMP:
		case STREAMING_ARROW_LOCAL_TIMESTAMP:
			append_time(buf, type, array, i);
			return true;
		case STREAMING_ARROW_DURATION:
		case STREAMING_ARROW_MONTHS:
		case STREAMING_ARROW_DAYS:
		case STREAMING_ARROW_INTERVAL:
			append_interval(buf, type, array, i);
			return true;
		case STREAMING_ARROW_TEXT:
		case STREAMING_ARROW_JSON:
			data = bytes_at(type, array, i, &length);
			data = streaming_utf8_to_server(data, &length);
			appendBinaryStringInfo(buf, data, length);
			return true;
		case STREAMING_ARROW_UUID:
			data = bytes_at(type, array, i, &length);
			streaming_append_uuid(buf, (const uint8_t *) data, length);
			return true;
		case STREAMING_ARROW_BYTES:
			data = bytes_at(type, array, i, &length);
			streaming_append_bytes(buf, (const uint8_t *) data, length);
			return true;
		default:
			refuse_type(type);
	}
}

static void
append_float(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	char		digits[Max(DOUBLE_SHORTEST_DECIMAL_LEN, FLOAT_SHORTEST_DECIMAL_LEN)];

	if (type->size == 8)
		double_to_shortest_decimal_buf(float_at(type, array, i), digits);
	else
		float_to_shortest_decimal_buf((float) float_at(type, array, i), digits);
	appendStringInfoString(buf, digits);
}

static void
append_decimal(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const uint8_t *data = (const uint8_t *) array->buffers[1] + (array->offset + i) * type->size;
	uint8_t		bytes[32];

	for (int at = 0; at < type->size; at++)
#ifdef WORDS_BIGENDIAN
		bytes[at] = data[at];
#else
		bytes[at] = data[type->size - 1 - at];
#endif
	streaming_append_decimal(buf, bytes, type->size, type->precision, Max(type->scale, 0));
	if (type->scale < 0)
		appendStringInfo(buf, "e%d", -type->scale);
}

static void
append_time(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	char		text[MAXDATELEN + 1];
	int			zone = 0;

	if (type->kind == STREAMING_ARROW_DATE)
		JsonEncodeDateTime(text, DateADTGetDatum(streaming_date_of(days_at(type, array, i))), DATEOID, NULL);
	else if (type->kind == STREAMING_ARROW_TIME)
		JsonEncodeDateTime(text, TimeADTGetDatum(streaming_time_of(integer_at(type, array, i), type->unit)),
						   TIMEOID, NULL);
	else
	{
		Datum		moment = TimestampGetDatum(streaming_timestamp_of(integer_at(type, array, i), type->unit));

		if (type->kind == STREAMING_ARROW_TIMESTAMP)
			JsonEncodeDateTime(text, moment, TIMESTAMPTZOID, &zone);
		else
			JsonEncodeDateTime(text, moment, TIMESTAMPOID, NULL);
	}
	appendStringInfoString(buf, text);
}

/* In ISO 8601, as type interval reads it. */
static void
append_interval(StringInfo buf, const StreamingArrowType *type, const struct ArrowArray *array, int64 i)
{
	const char *data = (const char *) array->buffers[1] + (array->offset + i) * type->size;
	int32		parts[2] = {0, 0};
	int64		nanoseconds;

	switch (type->kind)
	{
		case STREAMING_ARROW_DURATION:
			appendStringInfoString(buf, "PT");
			append_seconds(buf, integer_at(type, array, i), type->unit);
			break;
		case STREAMING_ARROW_MONTHS:
			memcpy(parts, data, sizeof(int32));
			appendStringInfo(buf, "P%dM", parts[0]);
			break;
		case STREAMING_ARROW_DAYS:
			memcpy(parts, data, sizeof(parts));
			appendStringInfo(buf, "P%dDT", parts[0]);
			append_seconds(buf, parts[1], 1000);
			break;
		default:
			memcpy(parts, data, sizeof(parts));
			memcpy(&nanoseconds, data + sizeof(parts), sizeof(nanoseconds));
			appendStringInfo(buf, "P%dM%dDT", parts[0], parts[1]);
			append_seconds(buf, nanoseconds, 1000000000);
			break;
	}
}

/* Parts of a microsecond are cut off, towards zero. */
static void
append_seconds(StringInfo buf, int64 number, int unit)
{
	uint64		amount = number < 0 ? -(uint64) number : (uint64) number;

	appendStringInfo(buf, "%s" UINT64_FORMAT ".%06dS", number < 0 ? "-" : "", amount / unit,
					 (int) ((amount % unit) * 1000000 / unit));
}

static void
refuse_type(const StreamingArrowType *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("values of Arrow type \"%s\" are not supported", type->format)));
}
