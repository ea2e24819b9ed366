/*
 * scalar.c
 *		Values of binary formats: times, decimals, and their text.
 */
#include "postgres.h"

#include "streaming.h"

#include "common/int.h"
#include "format/scalar.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/json.h"

/* Days from 1970-01-01 to PostgreSQL's 2000-01-01. */
#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* Decimal digits in a group of those that a long decimal is divided into. */
#define GROUP			1000000000
#define GROUP_DIGITS	9

static const char hex[] = "0123456789abcdef";

static int64
microseconds_of(int64 number, int unit)
{
	int64		value;

	if (unit > USECS_PER_SEC)
	{
		int64		part = unit / USECS_PER_SEC;

		return number / part - (number % part < 0);
	}
	if (pg_mul_s64_overflow(number, USECS_PER_SEC / unit, &value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time out of range: %lld", (long long) number)));
	return value;
}

DateADT
streaming_date_of(int64 days)
{
	if (!IS_VALID_DATE(days - EPOCH_DAYS))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("date out of range: %lld days", (long long) days)));
	return (DateADT) (days - EPOCH_DAYS);
}

TimeADT
streaming_time_of(int64 number, int unit)
{
	int64		value = microseconds_of(number, unit);

	if (value < 0 || value > USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time out of range: %lld", (long long) number)));
	return value;
}

Timestamp
streaming_timestamp_of(int64 number, int unit)
{
	int64		value = microseconds_of(number, unit);

	if (pg_sub_s64_overflow(value, EPOCH_DAYS * USECS_PER_DAY, &value) ||
		!IS_VALID_TIMESTAMP(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range: %lld", (long long) number)));
	return value;
}

/*
 * A number in two's complement, the highest byte first.  Longer ones are divided
 * by 10^9 until nothing is left; how long they are is bounded by the precision.
 */
void
streaming_append_decimal(StringInfo buf, const uint8_t *data, size_t length, int precision, int scale)
{
	uint8_t		fill = length > 0 && data[0] >= 0x80 ? 0xff : 0;
	uint32	   *words;
	int			nwords;
	char	   *digits;
	int			ndigits = 0;
	bool		carry = fill != 0;

	while (length > 1 && data[0] == fill && (data[1] & 0x80) == (fill & 0x80))
	{
		data++;
		length--;
	}
	/* 10^1 needs half a byte */
	if (length > (size_t) precision / 2 + 2)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("decimal of %zu bytes is beyond its precision %d", length, precision)));

	/* The amount, the lowest word first. */
	nwords = length / 4 + 1;
	words = palloc0(sizeof(uint32) * nwords);
	for (size_t i = 0; i < length; i++)
	{
		uint8_t		byte = data[length - 1 - i] ^ fill;

		if (carry)
		{
			byte++;
			carry = byte == 0;
		}
		words[i / 4] |= (uint32) byte << (8 * (i % 4));
	}

	digits = palloc(nwords * 10 + scale + GROUP_DIGITS + 2);
	while (nwords > 0 || ndigits <= scale)
	{
		uint64		rest = 0;

		for (int i = nwords - 1; i >= 0; i--)
		{
			rest = rest << 32 | words[i];
			words[i] = rest / GROUP;
			rest %= GROUP;
		}
		while (nwords > 0 && words[nwords - 1] == 0)
			nwords--;
		for (int i = 0; i < GROUP_DIGITS; i++, rest /= 10)
			digits[ndigits++] = '0' + rest % 10;
	}
	while (ndigits > scale + 1 && digits[ndigits - 1] == '0')
		ndigits--;

	if (fill)
		appendStringInfoChar(buf, '-');
	while (ndigits > 0)
	{
		appendStringInfoChar(buf, digits[--ndigits]);
		if (ndigits == scale && ndigits > 0)
			appendStringInfoChar(buf, '.');
	}
	pfree(digits);
	pfree(words);
}

void
streaming_append_json_string(StringInfo buf, const char *data, size_t length)
{
	const char *string = streaming_utf8_to_server(data, &length);
	char	   *copy = pnstrdup(string, length);

	escape_json(buf, copy);
	pfree(copy);
}

const char *
streaming_utf8_to_server(const char *data, size_t *length)
{
	char	   *converted = pg_any_to_server(data, *length, PG_UTF8);

	if (converted != data)
		*length = strlen(converted);
	return converted;
}

void
streaming_append_uuid(StringInfo buf, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			appendStringInfoChar(buf, '-');
		appendStringInfoChar(buf, hex[data[i] >> 4]);
		appendStringInfoChar(buf, hex[data[i] & 15]);
	}
}

void
streaming_append_bytes(StringInfo buf, const uint8_t *data, size_t length)
{
	if (length > STREAMING_MAX_JSON / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value of %zu bytes is too long as text", length)));
	appendStringInfoString(buf, "\\x");
	enlargeStringInfo(buf, length * 2);
	for (size_t i = 0; i < length; i++)
	{
		buf->data[buf->len++] = hex[data[i] >> 4];
		buf->data[buf->len++] = hex[data[i] & 15];
	}
	buf->data[buf->len] = '\0';
}
