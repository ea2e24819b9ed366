/*
 * encode_value.c
 *		Datum -> text or JSON of one field.
 *
 * The rule is the type's output function for text, and what row_to_json makes
 * of the type for JSON.  The types that fill streams have paths of their own,
 * which write the same bytes as those would with DateStyle ISO and
 * extra_float_digits 1; the caller sees to the settings that the others need
 * (streaming_value_needs).  The time formats epoch_s, epoch_ms
 * and epoch_us exist only here and in convert.c.
 */
#include "postgres.h"

#include "streaming.h"

#include <math.h>

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "format/encode_value.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

typedef enum ValuePath
{
	VALUE_OUTPUT,				/* the output function */
	VALUE_INT2,
	VALUE_INT4,
	VALUE_INT8,
	VALUE_FLOAT4,
	VALUE_FLOAT8,
	VALUE_NUMERIC,
	VALUE_BOOL,
	VALUE_TEXT,					/* bytes of a varlena are its text */
	VALUE_JSON,
	VALUE_JSONB,
	VALUE_DATE,
	VALUE_TIMESTAMP,
	VALUE_TIMESTAMPTZ,
	VALUE_EPOCH,				/* timestamp and timestamptz */
	VALUE_NESTED				/* JSON by to_json: arrays, composite types,
								 * types with a cast to json */
} ValuePath;

struct StreamingValueEncoder
{
	ValuePath	path;
	StreamingTimeFormat time_format;
	Oid			type;			/* without domains */
	bool		is_varlena;
	FmgrInfo	output;
	FmgrInfo	to_json;
	char		buffer[MAXDATELEN + 1];
};

static ValuePath path_of_type(Oid type, StreamingTimeFormat time_format);
static bool writes_names(Oid type);
static size_t simple_text(StreamingValueEncoder *encoder, Datum value);
static size_t date_text(DateADT date, char *buffer);
static size_t timestamp_text(Timestamp timestamp, bool with_zone, char *buffer);
static size_t epoch_text(const StreamingValueEncoder *encoder, Timestamp timestamp, char *buffer);
static void append_date_json(StreamingValueEncoder *encoder, Datum value, StringInfo buf);
static void append_json_text(StringInfo buf, const char *json, size_t length);
static size_t plain_length(const char *string, size_t length);

StreamingValueEncoder *
streaming_value_encoder_open(const StreamingColumn *column)
{
	StreamingValueEncoder *encoder = palloc0(sizeof(StreamingValueEncoder));
	Oid			function;

	encoder->type = getBaseType(column->type);
	encoder->time_format = column->time_format;
	encoder->path = path_of_type(encoder->type, column->time_format);
	getTypeOutputInfo(encoder->type, &function, &encoder->is_varlena);
	fmgr_info(function, &encoder->output);
	if (encoder->path == VALUE_NESTED)
	{
		/* It asks for the type of its argument. */
		fmgr_info(F_TO_JSON, &encoder->to_json);
		fmgr_info_set_expr((Node *)
						   makeFuncExpr(F_TO_JSON, JSONOID,
										list_make1(makeNullConst(encoder->type, -1, InvalidOid)),
										InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
						   &encoder->to_json);
	}
	return encoder;
}

const char *
streaming_value_text(StreamingValueEncoder *encoder, Datum value, size_t *length)
{
	const char *string;

	switch (encoder->path)
	{
		case VALUE_TEXT:
		case VALUE_JSON:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

				*length = VARSIZE_ANY_EXHDR(text);
				return VARDATA_ANY(text);
			}
		case VALUE_OUTPUT:
		case VALUE_NUMERIC:
		case VALUE_JSONB:
		case VALUE_NESTED:
			string = OutputFunctionCall(&encoder->output, value);
			*length = strlen(string);
			return string;
		default:
			*length = simple_text(encoder, value);
			return encoder->buffer;
	}
}

void
streaming_value_json(StreamingValueEncoder *encoder, Datum value, StringInfo buf)
{
	size_t		length;
	const char *string;

	switch (encoder->path)
	{
		case VALUE_BOOL:
			appendStringInfoString(buf, DatumGetBool(value) ? "true" : "false");
			break;

		case VALUE_INT2:
		case VALUE_INT4:
		case VALUE_INT8:
		case VALUE_EPOCH:
			length = simple_text(encoder, value);
			appendBinaryStringInfo(buf, encoder->buffer, length);
			break;

		case VALUE_FLOAT4:
		case VALUE_FLOAT8:
		case VALUE_NUMERIC:
			string = streaming_value_text(encoder, value, &length);
			/* NaN and Infinity are no numbers in JSON. */
			if (string[length - 1] > '9')
				streaming_json_string(buf, string, length);
			else
				appendBinaryStringInfo(buf, string, length);
			break;

		case VALUE_DATE:
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			append_date_json(encoder, value, buf);
			break;

		case VALUE_JSON:
			string = streaming_value_text(encoder, value, &length);
			append_json_text(buf, string, length);
			break;

		case VALUE_JSONB:
			{
				Jsonb	   *jsonb = DatumGetJsonbP(value);

				(void) JsonbToCString(buf, &jsonb->root, VARSIZE(jsonb));
			}
			break;

		case VALUE_NESTED:
			{
				struct varlena *json =
					PG_DETOAST_DATUM_PACKED(FunctionCall1(&encoder->to_json, value));

				append_json_text(buf, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
			}
			break;

		case VALUE_TEXT:
		case VALUE_OUTPUT:
			string = streaming_value_text(encoder, value, &length);
			streaming_json_string(buf, string, length);
			break;
	}
}

int
streaming_value_needs(const StreamingValueEncoder *encoder)
{
	Oid			element = get_element_type(encoder->type);
	Oid			type = OidIsValid(element) ? element : encoder->type;

	switch (encoder->path)
	{
		case VALUE_NUMERIC:
		case VALUE_TEXT:
		case VALUE_JSON:
		case VALUE_JSONB:
			return STREAMING_VALUE_ALLOCATES;
		case VALUE_OUTPUT:
		case VALUE_NESTED:
			return STREAMING_VALUE_ALLOCATES | STREAMING_VALUE_STYLED |
				(type_is_rowtype(type) || writes_names(type) ? STREAMING_VALUE_NAMES : 0);
		default:
			return 0;
	}
}

void
streaming_json_string(StringInfo buf, const char *string, size_t length)
{
	appendStringInfoCharMacro(buf, '"');
	for (;;)
	{
		size_t		plain = plain_length(string, length);

		appendBinaryStringInfo(buf, string, plain);
		if (plain == length)
			break;
		switch (string[plain])
		{
			case '\b':
				appendStringInfoString(buf, "\\b");
				break;
			case '\f':
				appendStringInfoString(buf, "\\f");
				break;
			case '\n':
				appendStringInfoString(buf, "\\n");
				break;
			case '\r':
				appendStringInfoString(buf, "\\r");
				break;
			case '\t':
				appendStringInfoString(buf, "\\t");
				break;
			case '"':
				appendStringInfoString(buf, "\\\"");
				break;
			case '\\':
				appendStringInfoString(buf, "\\\\");
				break;
			default:
				appendStringInfo(buf, "\\u%04x", (unsigned char) string[plain]);
				break;
		}
		string += plain + 1;
		length -= plain + 1;
	}
	appendStringInfoCharMacro(buf, '"');
}

/* As the server's json_categorize_type does it. */
static ValuePath
path_of_type(Oid type, StreamingTimeFormat time_format)
{
	Oid			cast;

	if (time_format != STREAMING_TIME_TEXT)
		return VALUE_EPOCH;
	switch (type)
	{
		case INT2OID:
			return VALUE_INT2;
		case INT4OID:
			return VALUE_INT4;
		case INT8OID:
			return VALUE_INT8;
		case FLOAT4OID:
			return VALUE_FLOAT4;
		case FLOAT8OID:
			return VALUE_FLOAT8;
		case NUMERICOID:
			return VALUE_NUMERIC;
		case BOOLOID:
			return VALUE_BOOL;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return VALUE_TEXT;
		case JSONOID:
			return VALUE_JSON;
		case JSONBOID:
			return VALUE_JSONB;
		case DATEOID:
			return VALUE_DATE;
		case TIMESTAMPOID:
			return VALUE_TIMESTAMP;
		case TIMESTAMPTZOID:
			return VALUE_TIMESTAMPTZ;
	}
	if (OidIsValid(get_element_type(type)) || type == ANYARRAYOID || type_is_rowtype(type))
		return VALUE_NESTED;
	if (type >= FirstNormalObjectId &&
		find_coercion_pathway(JSONOID, type, COERCION_EXPLICIT, &cast) == COERCION_PATH_FUNC)
		return VALUE_NESTED;
	return VALUE_OUTPUT;
}

/* Is it one of regclass and its kin? */
static bool
writes_names(Oid type)
{
	switch (type)
	{
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGTYPEOID:
			return true;
		default:
			return false;
	}
}

/* Writes text into encoder->buffer, and a terminator; returns its length. */
static size_t
simple_text(StreamingValueEncoder *encoder, Datum value)
{
	char	   *buffer = encoder->buffer;

	switch (encoder->path)
	{
		case VALUE_BOOL:
			buffer[0] = DatumGetBool(value) ? 't' : 'f';
			return 1;
		case VALUE_INT2:
			return pg_ltoa(DatumGetInt16(value), buffer);
		case VALUE_INT4:
			return pg_ltoa(DatumGetInt32(value), buffer);
		case VALUE_INT8:
			return pg_lltoa(DatumGetInt64(value), buffer);
		case VALUE_FLOAT4:
			return float_to_shortest_decimal_buf(DatumGetFloat4(value), buffer);
		case VALUE_FLOAT8:
			return double_to_shortest_decimal_buf(DatumGetFloat8(value), buffer);
		case VALUE_DATE:
			return date_text(DatumGetDateADT(value), buffer);
		case VALUE_TIMESTAMP:
			return timestamp_text(DatumGetTimestamp(value), false, buffer);
		case VALUE_TIMESTAMPTZ:
			return timestamp_text(DatumGetTimestamp(value), true, buffer);
		case VALUE_EPOCH:
			return epoch_text(encoder, DatumGetTimestamp(value), buffer);
		default:
			elog(ERROR, "type %u has no text of its own", encoder->type);
	}
}

static size_t
date_text(DateADT date, char *buffer)
{
	struct pg_tm tm;

	if (DATE_NOT_FINITE(date))
		EncodeSpecialDate(date, buffer);
	else
	{
		j2date(date + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, buffer);
	}
	return strlen(buffer);
}

static size_t
timestamp_text(Timestamp timestamp, bool with_zone, char *buffer)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			zone = 0;
	const char *zone_name = NULL;

	if (TIMESTAMP_NOT_FINITE(timestamp))
		EncodeSpecialTimestamp(timestamp, buffer);
	else if (timestamp2tm(timestamp, with_zone ? &zone : NULL, &tm, &fsec,
						  with_zone ? &zone_name : NULL, NULL) == 0)
		EncodeDateTime(&tm, fsec, with_zone, zone, zone_name, USE_ISO_DATES, buffer);
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return strlen(buffer);
}

/* Units since 1970, with as many decimals as it takes. */
static size_t
epoch_text(const StreamingValueEncoder *encoder, Timestamp timestamp, char *buffer)
{
	static const struct
	{
		int64		unit;		/* in microseconds */
		int			digits;		/* after the point */
	}			formats[] = {
		[STREAMING_TIME_EPOCH_S] = {USECS_PER_SEC, 6},
		[STREAMING_TIME_EPOCH_MS] = {1000, 3},
		[STREAMING_TIME_EPOCH_US] = {1, 0}
	};
	int64		unit = formats[encoder->time_format].unit;
	int64		value;
	uint64		magnitude;
	char	   *p = buffer;

	/* The last thirty years before infinity are too far from 1970. */
	if (TIMESTAMP_NOT_FINITE(timestamp) ||
		pg_add_s64_overflow(timestamp,
							(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY,
							&value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp \"%s\" cannot be written as a number",
						timestamptz_to_str(timestamp)),
				 errhint("Write NULL, or set the column's option \"time_format\" to \"text\".")));
	if (value < 0)
		*p++ = '-';
	magnitude = value < 0 ? -(uint64) value : (uint64) value;
	p += pg_ulltoa_n(magnitude / unit, p);
	if (magnitude % unit != 0)
	{
		*p++ = '.';
		(void) pg_ultostr_zeropad(p, (uint32) (magnitude % unit),
								  formats[encoder->time_format].digits);
		p += formats[encoder->time_format].digits;
		while (p[-1] == '0')
			p--;
	}
	*p = '\0';
	return p - buffer;
}

static void
append_date_json(StreamingValueEncoder *encoder, Datum value, StringInfo buf)
{
	appendStringInfoCharMacro(buf, '"');
	(void) JsonEncodeDateTime(encoder->buffer, value, encoder->type, NULL);
	appendStringInfoString(buf, encoder->buffer);
	appendStringInfoCharMacro(buf, '"');
}

/*
 * Appends JSON as it was written by somebody.  An end of line in it can only
 * stand between tokens.
 */
static void
append_json_text(StringInfo buf, const char *json, size_t length)
{
	int			start = buf->len;

	appendBinaryStringInfo(buf, json, length);
	if (memchr(json, '\n', length) == NULL && memchr(json, '\r', length) == NULL)
		return;
	for (int i = start; i < buf->len; i++)
		if (buf->data[i] == '\n' || buf->data[i] == '\r')
			buf->data[i] = ' ';
}

/*
 * How many bytes at the beginning need no escape in JSON.  Eight at a time: a
 * byte of x - 0x01...01 * n has its high bit set, among others, if that of x
 * is less than n.  It may be set wrongly above such a byte, but never alone.
 */
static size_t
plain_length(const char *string, size_t length)
{
	const uint64 ones = UINT64CONST(0x0101010101010101);
	const uint64 highs = UINT64CONST(0x8080808080808080);
	size_t		i = 0;

	for (; length - i >= sizeof(uint64); i += sizeof(uint64))
	{
		uint64		x;
		uint64		quote;
		uint64		backslash;

		memcpy(&x, string + i, sizeof(uint64));
		quote = x ^ (ones * '"');
		backslash = x ^ (ones * '\\');
		if ((((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) |
			 ((backslash - ones) & ~backslash)) & highs)
			break;
	}
	for (; i < length; i++)
	{
		unsigned char c = string[i];

		if (c < 0x20 || c == '"' || c == '\\')
			break;
	}
	return i;
}
