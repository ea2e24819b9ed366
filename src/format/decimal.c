/*
 * decimal.c
 *		Decimals of binary formats -> text.
 *
 * A long one is divided by 10^9 until nothing is left; how long it is is bounded by its
 * precision.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/decimal.h"

/* Decimal digits in a group of those that a long decimal is divided into. */
#define GROUP			1000000000
#define GROUP_DIGITS	9

void
streaming_decimal_text(StringInfo buf, const uint8 *data, size_t length, int precision, int scale)
{
	uint8		fill = length > 0 && data[0] >= 0x80 ? 0xff : 0;
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
		uint8		byte = data[length - 1 - i] ^ fill;

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
