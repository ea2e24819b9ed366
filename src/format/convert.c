/*
 * convert.c
 *		Text or JSON token of one field -> Datum.
 *
 * The rule is the type's input function; composite types and arrays also take
 * a JSON object or array, as json_populate_record does.  The types that fill
 * streams have paths of their own here, for the spellings that are common and
 * beyond doubt; whatever they do not recognize, mistakes included, goes to the
 * input function, so that a value or a message never depends on the path.  The
 * time formats epoch_s, epoch_ms and epoch_us exist only here.
 *
 * An input function keeps what it has looked up in fn_extra, and an error can
 * leave that half made.  Core throws such a FmgrInfo away with its query; we
 * keep ours for years, so each call is marked, and a converter that finds the
 * mark of an unfinished call begins anew.
 */
#include "postgres.h"

#include "streaming.h"

#include <ctype.h>
#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "format/format.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* The field's name where json_to_record reads one value as a record of one. */
#define RECORD_FIELD	"value"

/* No more than that of a value is repeated in a message. */
#define MAX_QUOTED		200

/* Bytes that streaming_convert_text keeps. */
#define TEXT_KEPT	(64 * 1024)

typedef enum ConvertPath
{
	CONVERT_INPUT,				/* the input function */
	CONVERT_INT2,
	CONVERT_INT4,
	CONVERT_INT8,
	CONVERT_FLOAT4,
	CONVERT_FLOAT8,
	CONVERT_BOOL,
	CONVERT_TEXT,				/* text, varchar without length */
	CONVERT_JSON,
	CONVERT_DATE,
	CONVERT_TIMESTAMP,
	CONVERT_TIMESTAMPTZ,
	CONVERT_EPOCH				/* timestamp and timestamptz */
} ConvertPath;

struct StreamingConverter
{
	ConvertPath path;
	StreamingTimeFormat time_format;
	Oid			type;
	int32		typmod;
	bool		takes_json;
	bool		is_domain;
	bool		takes_nested;	/* array or composite, or a domain of those */

	/* Made anew after an error, in a context of their own. */
	MemoryContext context;
	bool		calling;		/* a call is under way, or did not return */
	FmgrInfo	input;
	Oid			typioparam;
	FmgrInfo	to_record;		/* json_to_record */
	TupleDesc	record_desc;	/* of a record with our type as its field */
};

static ConvertPath path_of_type(const StreamingColumn *column);
static void look_up(StreamingConverter *converter);
static Datum call_input(StreamingConverter *converter, const char *token, size_t length);
static Datum call_to_record(StreamingConverter *converter, const char *token, size_t length);
static Datum convert_epoch(StreamingConverter *converter, const char *token, size_t length);
static bool parse_int(const char *token, size_t length, int64 *value);
static bool parse_decimal(const char *token, size_t length, int max_digits,
						  int64 *mantissa, bool *negative, int *scale);
static bool parse_boolean(const char *token, size_t length, bool *value);
static bool parse_epoch(const char *token, size_t length, int64 unit, int64 *value, bool *overflow);
static bool parse_date(const char *token, size_t length, int32 *value);
static bool parse_timestamp(const char *token, size_t length, bool with_zone, Timestamp *value);
static bool parse_zone(const char *token, size_t length, int *seconds);
static bool two_digits(const char *token, int *value);
static bool is_surely_valid(const StreamingConverter *converter, StreamingTokenKind kind,
							const char *token, size_t length);
static bool is_numeric(int32 typmod, const char *token, size_t length);
static bool is_uuid(const char *token, size_t length);
static bool is_plain_json(const char *token, size_t length);
static void hint_time_format(void *arg);

StreamingConverter *
streaming_converter_open(const StreamingColumn *column)
{
	StreamingConverter *converter = palloc0(sizeof(StreamingConverter));
	Oid			base;

	converter->type = column->type;
	converter->typmod = column->typmod;
	converter->time_format = column->time_format;
	converter->path = path_of_type(column);
	converter->is_domain = get_typtype(column->type) == TYPTYPE_DOMAIN;

	base = getBaseType(column->type);
	converter->takes_json = base == JSONOID || base == JSONBOID;
	converter->takes_nested = OidIsValid(get_element_type(base)) || type_is_rowtype(base);

	converter->context = AllocSetContextCreate(CurrentMemoryContext, "streaming converter",
											   ALLOCSET_SMALL_SIZES);
	look_up(converter);
	return converter;
}

bool
streaming_converter_takes_json(const StreamingConverter *converter)
{
	return converter->takes_json;
}

Datum
streaming_convert(StreamingConverter *converter, StreamingTokenKind kind,
				  const char *token, size_t length)
{
	int64		integer;
	int64		mantissa;
	bool		negative;
	int			scale;

	switch (converter->path)
	{
		case CONVERT_INPUT:
			if (kind == STREAMING_TOKEN_JSON && converter->takes_nested)
				return call_to_record(converter, token, length);
			break;

		case CONVERT_TEXT:
			return PointerGetDatum(cstring_to_text_with_len(token, (int) length));

		case CONVERT_JSON:
			if (kind == STREAMING_TOKEN_JSON)
				return PointerGetDatum(cstring_to_text_with_len(token, (int) length));
			break;

		case CONVERT_INT2:
			if (parse_int(token, length, &integer) &&
				integer >= PG_INT16_MIN && integer <= PG_INT16_MAX)
				return Int16GetDatum((int16) integer);
			break;

		case CONVERT_INT4:
			if (parse_int(token, length, &integer) &&
				integer >= PG_INT32_MIN && integer <= PG_INT32_MAX)
				return Int32GetDatum((int32) integer);
			break;

		case CONVERT_INT8:
			if (parse_int(token, length, &integer))
				return Int64GetDatum(integer);
			break;

		case CONVERT_FLOAT4:

			/*
			 * The quotient of two numbers that the type holds exactly is
			 * rounded once, hence what strtof() finds.
			 */
			if (FLT_EVAL_METHOD == 0 &&
				parse_decimal(token, length, 7, &mantissa, &negative, &scale) && scale <= 7)
			{
				static const float4 powers[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f};
				float4		value = (float4) mantissa / powers[scale];

				return Float4GetDatum(negative ? -value : value);
			}
			break;

		case CONVERT_FLOAT8:
			if (FLT_EVAL_METHOD == 0 &&
				parse_decimal(token, length, 15, &mantissa, &negative, &scale) && scale <= 15)
			{
				static const float8 powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
				1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
				float8		value = (float8) mantissa / powers[scale];

				return Float8GetDatum(negative ? -value : value);
			}
			break;

		case CONVERT_BOOL:
			{
				bool		value;

				if (parse_boolean(token, length, &value))
					return BoolGetDatum(value);
			}
			break;

		case CONVERT_DATE:
			{
				int32		value;

				if (parse_date(token, length, &value))
					return DateADTGetDatum(value);
			}
			break;

		case CONVERT_TIMESTAMP:
		case CONVERT_TIMESTAMPTZ:
			{
				Timestamp	value;

				if (parse_timestamp(token, length, converter->path == CONVERT_TIMESTAMPTZ, &value))
					return TimestampGetDatum(value);
			}
			break;

		case CONVERT_EPOCH:
			return convert_epoch(converter, token, length);
	}

	return call_input(converter, token, length);
}

Datum
streaming_convert_text(StreamingConverter *converter, StreamingTokenKind kind, StringInfo text)
{
	Datum		datum = streaming_convert(converter, kind, text->data, text->len);

	if (text->maxlen > TEXT_KEPT)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(text->data));

		pfree(text->data);
		initStringInfo(text);
		MemoryContextSwitchTo(old);
	}
	return datum;
}

bool
streaming_converter_takes_text(const StreamingConverter *converter)
{
	return converter->path == CONVERT_TEXT;
}

bool
streaming_converter_takes_null(const StreamingConverter *converter)
{
	return !converter->is_domain;
}

void
streaming_check(StreamingConverter *converter, StreamingTokenKind kind,
				const char *token, size_t length)
{
	if (!is_surely_valid(converter, kind, token, length))
		(void) streaming_convert(converter, kind, token, length);
}

void
streaming_convert_null(StreamingConverter *converter)
{
	if (!converter->is_domain)
		return;
	if (converter->calling)
		look_up(converter);
	converter->calling = true;
	(void) InputFunctionCall(&converter->input, NULL, converter->typioparam, converter->typmod);
	converter->calling = false;
}

static ConvertPath
path_of_type(const StreamingColumn *column)
{
	if (column->time_format != STREAMING_TIME_TEXT)
	{
		if (column->type != TIMESTAMPTZOID && column->type != TIMESTAMPOID)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
					 errmsg("column \"%s\" with option \"time_format\" must have type timestamp with time zone or timestamp, not %s",
							column->name, format_type_be(column->type))));
		return CONVERT_EPOCH;
	}
	switch (column->type)
	{
		case INT2OID:
			return CONVERT_INT2;
		case INT4OID:
			return CONVERT_INT4;
		case INT8OID:
			return CONVERT_INT8;
		case FLOAT4OID:
			return CONVERT_FLOAT4;
		case FLOAT8OID:
			return CONVERT_FLOAT8;
		case BOOLOID:
			return CONVERT_BOOL;
		case TEXTOID:
			return CONVERT_TEXT;
		case VARCHAROID:
			return column->typmod < 0 ? CONVERT_TEXT : CONVERT_INPUT;
		case JSONOID:
			return CONVERT_JSON;
		case DATEOID:
			return CONVERT_DATE;
		case TIMESTAMPOID:
			return column->typmod < 0 ? CONVERT_TIMESTAMP : CONVERT_INPUT;
		case TIMESTAMPTZOID:
			return column->typmod < 0 ? CONVERT_TIMESTAMPTZ : CONVERT_INPUT;
		default:
			return CONVERT_INPUT;
	}
}

/* Looks up the functions, for the first time or after an error in one. */
static void
look_up(StreamingConverter *converter)
{
	Oid			function;

	MemoryContextReset(converter->context);
	getTypeInputInfo(converter->type, &function, &converter->typioparam);
	fmgr_info_cxt(function, &converter->input, converter->context);

	if (converter->takes_nested)
	{
		MemoryContext old = MemoryContextSwitchTo(converter->context);

		converter->record_desc = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(converter->record_desc, 1, RECORD_FIELD,
						   converter->type, converter->typmod, 0);
		TupleDescFinalize(converter->record_desc);
		converter->record_desc = BlessTupleDesc(converter->record_desc);
		MemoryContextSwitchTo(old);
		fmgr_info_cxt(F_JSON_TO_RECORD, &converter->to_record, converter->context);
	}
	converter->calling = false;
}

static Datum
call_input(StreamingConverter *converter, const char *token, size_t length)
{
	char		buffer[256];
	char	   *string = length < sizeof(buffer) ? buffer : palloc(length + 1);
	ErrorContextCallback context = {.previous = error_context_stack};
	Datum		value;

	memcpy(string, token, length);
	string[length] = '\0';

	if (converter->calling)
		look_up(converter);
	if ((converter->type == TIMESTAMPOID || converter->type == TIMESTAMPTZOID) &&
		length >= 9 && strspn(string, "-0123456789.") == length &&
		strchr(string + 1, '-') == NULL)
	{
		context.callback = hint_time_format;
		error_context_stack = &context;
	}
	converter->calling = true;
	value = InputFunctionCall(&converter->input, string, converter->typioparam, converter->typmod);
	converter->calling = false;
	error_context_stack = context.previous;

	if (string != buffer)
		pfree(string);
	return value;
}

/* Error context: what is no time is a number. */
static void
hint_time_format(void *arg)
{
	errhint("If it is a number of seconds, milliseconds or microseconds, give the column the option \"time_format\" with \"epoch_s\", \"epoch_ms\" or \"epoch_us\".");
}

/*
 * JSON object or array -> composite type or array.  What does that in core is
 * json_populate_type(), which is public from 17 on only; json_to_record()
 * reaches it in all versions, for the price of a wrapping object.
 */
static Datum
call_to_record(StreamingConverter *converter, const char *token, size_t length)
{
	static const char head[] = "{\"" RECORD_FIELD "\":";
	LOCAL_FCINFO(fcinfo, 1);
	ReturnSetInfo rsinfo = {.type = T_ReturnSetInfo};
	size_t		head_length = sizeof(head) - 1;
	text	   *json = palloc(VARHDRSZ + head_length + length + 1);
	HeapTupleData tuple;
	Datum		record;
	Datum		value;
	bool		isnull;

	SET_VARSIZE(json, VARHDRSZ + head_length + length + 1);
	memcpy(VARDATA(json), head, head_length);
	memcpy(VARDATA(json) + head_length, token, length);
	VARDATA(json)[head_length + length] = '}';

	if (converter->calling)
		look_up(converter);
	converter->calling = true;
	rsinfo.expectedDesc = converter->record_desc;
	InitFunctionCallInfoData(*fcinfo, &converter->to_record, 1, InvalidOid, NULL, (Node *) &rsinfo);
	fcinfo->args[0].value = PointerGetDatum(json);
	fcinfo->args[0].isnull = false;
	record = FunctionCallInvoke(fcinfo);
	converter->calling = false;

	tuple.t_data = DatumGetHeapTupleHeader(record);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	value = heap_getattr(&tuple, 1, converter->record_desc, &isnull);
	if (isnull)
		elog(ERROR, "json_to_record returned NULL for a value");
	pfree(json);
	return value;
}

/*
 * Seconds, milliseconds or microseconds since 1970-01-01 00:00 UTC, of which
 * a timestamp without time zone gets what a clock in UTC shows.
 */
static Datum
convert_epoch(StreamingConverter *converter, const char *token, size_t length)
{
	int64		unit;			/* in microseconds */
	const char *format;
	Timestamp	value;
	bool		overflow = false;

	switch (converter->time_format)
	{
		case STREAMING_TIME_EPOCH_S:
			unit = USECS_PER_SEC;
			format = "epoch_s";
			break;
		case STREAMING_TIME_EPOCH_MS:
			unit = 1000;
			format = "epoch_ms";
			break;
		default:
			unit = 1;
			format = "epoch_us";
			break;
	}

	if (!parse_epoch(token, length, unit, &value, &overflow))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				 errmsg("invalid input syntax for type %s in time format %s: \"%.*s\"",
						format_type_be(converter->type), format,
						pg_mbcliplen(token, (int) length, MAX_QUOTED), token)));
	if (overflow ||
		pg_sub_s64_overflow(value,
							(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY,
							&value) ||
		!IS_VALID_TIMESTAMP(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range: \"%.*s\"",
						pg_mbcliplen(token, (int) length, MAX_QUOTED), token)));

	if (converter->typmod >= 0)
		return DirectFunctionCall2(timestamp_scale, TimestampGetDatum(value),
								   Int32GetDatum(converter->typmod));
	return TimestampGetDatum(value);
}

/* ------------------------------------------------------------------------
 * Spellings that need no input function.  Each returns false for any other.
 * ------------------------------------------------------------------------ */

/* At most 18 digits, so that nothing overflows. */
static bool
parse_int(const char *token, size_t length, int64 *value)
{
	const char *end = token + length;
	const char *p = token;
	bool		negative = length > 0 && *p == '-';
	int64		v = 0;

	if (negative)
		p++;
	if (p == end || end - p > 18)
		return false;
	for (; p < end; p++)
	{
		unsigned	digit = (unsigned char) *p - '0';

		if (digit > 9)
			return false;
		v = v * 10 + digit;
	}
	*value = negative ? -v : v;
	return true;
}

/* [-]digits[.digits], max_digits (at most 18) digits in all. */
static bool
parse_decimal(const char *token, size_t length, int max_digits,
			  int64 *mantissa, bool *negative, int *scale)
{
	const char *end = token + length;
	const char *p = token;
	const char *point = NULL;
	int64		v = 0;

	*negative = length > 0 && *p == '-';
	if (*negative)
		p++;
	if (end - p > max_digits + 1 || p == end || *p == '.' || end[-1] == '.')
		return false;
	for (; p < end; p++)
	{
		unsigned	digit = (unsigned char) *p - '0';

		if (digit <= 9)
			v = v * 10 + digit;
		else if (*p == '.' && point == NULL)
			point = p;
		else
			return false;
	}
	if (point == NULL && end - token - *negative > max_digits)
		return false;
	*mantissa = v;
	*scale = point == NULL ? 0 : (int) (end - point - 1);
	return true;
}

static bool
parse_boolean(const char *token, size_t length, bool *value)
{
	if ((length == 4 && memcmp(token, "true", 4) == 0) || (length == 1 && *token == 't'))
		*value = true;
	else if ((length == 5 && memcmp(token, "false", 5) == 0) || (length == 1 && *token == 'f'))
		*value = false;
	else
		return false;
	return true;
}

/*
 * [white space][sign]digits[.digits][e[sign]digits][white space] in units ->
 * microseconds, rounded half away from zero.  False: that is no number.  An
 * exponent goes through a double.
 */
static bool
parse_epoch(const char *token, size_t length, int64 unit, int64 *value, bool *overflow)
{
	const char *end = token + length;
	const char *p;
	bool		negative;
	bool		digits = false;
	int64		v = 0;

	while (token < end && isspace((unsigned char) *token))
		token++;
	while (token < end && isspace((unsigned char) end[-1]))
		end--;

	p = token;
	negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	for (; p < end && isdigit((unsigned char) *p); p++)
	{
		digits = true;
		*overflow |= pg_mul_s64_overflow(v, 10, &v) || pg_add_s64_overflow(v, *p - '0', &v);
	}
	*overflow |= pg_mul_s64_overflow(v, unit, &v);
	if (p < end && *p == '.')
	{
		int64		place = unit;
		int64		fraction = 0;

		for (p++; p < end && isdigit((unsigned char) *p); p++)
		{
			digits = true;
			if (place > 1)
			{
				place /= 10;
				fraction += place * (*p - '0');
			}
			else if (place == 1)
			{
				fraction += *p >= '5';
				place = 0;
			}
		}
		*overflow |= pg_add_s64_overflow(v, fraction, &v);
	}
	if (!digits)
		return false;
	*value = *overflow ? 0 : negative ? -v : v;
	if (p == end)
		return true;

	if (*p == 'e' || *p == 'E')
	{
		char		buffer[64];
		char	   *stop;
		double		d;

		p++;
		if (p < end && (*p == '-' || *p == '+'))
			p++;
		if (p == end)
			return false;
		while (p < end && isdigit((unsigned char) *p))
			p++;
		if (p != end || end - token >= (ptrdiff_t) sizeof(buffer))
			return false;
		memcpy(buffer, token, end - token);
		buffer[end - token] = '\0';
		d = round(strtod(buffer, &stop) * unit);
		*overflow = !(d >= -9.2e18 && d <= 9.2e18);
		*value = *overflow ? 0 : (int64) d;
		return true;
	}
	return false;
}

/* YYYY-MM-DD from year 1 on, to days since 2000-01-01. */
static bool
parse_date(const char *token, size_t length, int32 *value)
{
	int			century;
	int			year;
	int			month;
	int			day;

	if (length != 10 || token[4] != '-' || token[7] != '-' ||
		!two_digits(token, &century) || !two_digits(token + 2, &year) ||
		!two_digits(token + 5, &month) || !two_digits(token + 8, &day))
		return false;
	year += century * 100;
	if (year < 1 || month < 1 || month > MONTHS_PER_YEAR ||
		day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	*value = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	return true;
}

/*
 * YYYY-MM-DD, T or a blank, HH:MM:SS[.ffffff][zone].  With time zone the zone
 * is needed: without one the session's would count.  Without time zone a zone
 * is left to the input function, which ignores it.
 */
static bool
parse_timestamp(const char *token, size_t length, bool with_zone, Timestamp *value)
{
	int32		date;
	int			hour;
	int			minute;
	int			second;
	int			fraction = 0;
	int			zone = 0;
	size_t		at = 19;

	if (length < 19 || (token[10] != 'T' && token[10] != ' ') ||
		token[13] != ':' || token[16] != ':' ||
		!parse_date(token, 10, &date) || !two_digits(token + 11, &hour) ||
		!two_digits(token + 14, &minute) || !two_digits(token + 17, &second) ||
		hour > 23 || minute > 59 || second > 59)
		return false;
	if (at < length && token[at] == '.')
	{
		int			place = 100000;

		for (at++; at < length && token[at] >= '0' && token[at] <= '9'; at++)
		{
			if (place == 0)
				return false;
			fraction += place * (token[at] - '0');
			place /= 10;
		}
		if (token[at - 1] == '.')
			return false;
	}
	if (with_zone ? !parse_zone(token + at, length - at, &zone) : at != length)
		return false;

	*value = date * USECS_PER_DAY +
		(((hour * MINS_PER_HOUR + minute) * SECS_PER_MINUTE) + second - zone) * USECS_PER_SEC +
		fraction;
	return true;
}

/* Z, +HH, +HH:MM, +HHMM, in seconds east of Greenwich. */
static bool
parse_zone(const char *token, size_t length, int *seconds)
{
	int			hours;
	int			minutes = 0;

	*seconds = 0;
	if (length == 1)
		return token[0] == 'Z';
	if (length < 3 || (token[0] != '+' && token[0] != '-') || !two_digits(token + 1, &hours))
		return false;
	if (length == 6 ? token[3] != ':' || !two_digits(token + 4, &minutes) :
		length == 5 ? !two_digits(token + 3, &minutes) : length != 3)
		return false;
	if (hours > 14 || minutes > 59)
		return false;
	*seconds = (hours * MINS_PER_HOUR + minutes) * SECS_PER_MINUTE;
	if (token[0] == '-')
		*seconds = -*seconds;
	return true;
}

static bool
two_digits(const char *token, int *value)
{
	unsigned	tens = (unsigned char) token[0] - '0';
	unsigned	ones = (unsigned char) token[1] - '0';

	if (tens > 9 || ones > 9)
		return false;
	*value = tens * 10 + ones;
	return true;
}

/* ------------------------------------------------------------------------
 * Spellings that need no conversion to know that they can be converted.  Each
 * returns false for any other.  What streaming_convert does without a function
 * call and without memory is not looked at twice.
 * ------------------------------------------------------------------------ */

static bool
is_surely_valid(const StreamingConverter *converter, StreamingTokenKind kind,
				const char *token, size_t length)
{
	Timestamp	time;

	if (converter->path == CONVERT_TEXT)
		return true;
	if (converter->path == CONVERT_JSON)
		return kind == STREAMING_TOKEN_JSON;
	if (converter->path != CONVERT_INPUT)
		return false;
	switch (converter->type)
	{
		case NUMERICOID:
			return is_numeric(converter->typmod, token, length);
		case VARCHAROID:
		case BPCHAROID:
			return converter->typmod < 0 ||
				length <= (size_t) (converter->typmod - VARHDRSZ);
		case UUIDOID:
			return is_uuid(token, length);
		case JSONBOID:
			return kind == STREAMING_TOKEN_JSON && is_plain_json(token, length);
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return parse_timestamp(token, length, converter->type == TIMESTAMPTZOID, &time);
		default:
			return false;
	}
}

/* [-]digits[.digits], with a digit to spare for rounding. */
static bool
is_numeric(int32 typmod, const char *token, size_t length)
{
	size_t		at = length > 0 && token[0] == '-';
	size_t		begin = at;
	size_t		whole;

	if (length > 1000)
		return false;
	while (at < length && token[at] >= '0' && token[at] <= '9')
		at++;
	whole = at - begin;
	if (whole == 0)
		return false;
	if (at < length)
	{
		begin = ++at;
		if (token[at - 1] != '.')
			return false;
		while (at < length && token[at] >= '0' && token[at] <= '9')
			at++;
		if (at < length || at == begin)
			return false;
	}
	if (typmod >= VARHDRSZ)
	{
		/* As numeric_typmod_precision() and numeric_typmod_scale(). */
		int			precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
		int			scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;

		return (int) whole < precision - scale;
	}
	return true;
}

static bool
is_uuid(const char *token, size_t length)
{
	if (length != 36)
		return false;
	for (int i = 0; i < 36; i++)
	{
		bool		dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? token[i] != '-' : !isxdigit((unsigned char) token[i]))
			return false;
	}
	return true;
}

/*
 * Of valid JSON: jsonb refuses some escapes, numbers with a large exponent, and
 * what is very long.
 */
static bool
is_plain_json(const char *token, size_t length)
{
	if (length > 100000 || memchr(token, '\\', length) != NULL)
		return false;
	for (size_t i = 1; i < length; i++)
	{
		if ((token[i] | 0x20) == 'e' && token[i - 1] >= '0' && token[i - 1] <= '9')
			return false;
	}
	return true;
}
