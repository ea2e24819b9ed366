/*
 * direct_value.h
 *		Numbers and strings of binary formats -> Datums, without text in between.
 */
#ifndef STREAMING_DIRECT_VALUE_H
#define STREAMING_DIRECT_VALUE_H

#include "catalog/pg_type.h"
#include "format/scalar.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

/* Returns false for a type that this does not make, and for a number out of its range. */
static inline bool
streaming_direct_integer(Oid target, int64 number, Datum *datum)
{
	switch (target)
	{
		case INT2OID:
			*datum = Int16GetDatum((int16) number);
			return number >= PG_INT16_MIN && number <= PG_INT16_MAX;
		case INT4OID:
			*datum = Int32GetDatum((int32) number);
			return number >= PG_INT32_MIN && number <= PG_INT32_MAX;
		case INT8OID:
			*datum = Int64GetDatum(number);
			return true;
		case FLOAT8OID:
			*datum = Float8GetDatum((float8) number);
			return true;
		case NUMERICOID:
			*datum = NumericGetDatum(int64_to_numeric(number));
			return true;
		default:
			return false;
	}
}

/* Has it neither a byte beyond ASCII nor a zero?  False also for what is too short to tell. */
static inline bool
streaming_is_ascii(const char *data, size_t length)
{
	const uint64 high = UINT64CONST(0x8080808080808080);
	const uint64 ones = UINT64CONST(0x0101010101010101);
	uint64		word;
	uint64		bad = 0;

	if (length < sizeof(word))
		return false;
	for (size_t i = 0; i + sizeof(word) <= length; i += sizeof(word))
	{
		memcpy(&word, data + i, sizeof(word));
		bad |= word | (word - ones);
	}
	memcpy(&word, data + length - sizeof(word), sizeof(word));
	bad |= word | (word - ones);
	return (bad & high) == 0;
}

/* same_encoding: the database's is UTF-8 */
static inline Datum
streaming_direct_text(bool same_encoding, const char *data, size_t length)
{
	if (same_encoding)
	{
		if (!streaming_is_ascii(data, length))
			pg_verify_mbstr(PG_UTF8, data, length, false);
	}
	else
		data = streaming_utf8_to_server(data, &length);
	return PointerGetDatum(cstring_to_text_with_len(data, length));
}

#endif							/* STREAMING_DIRECT_VALUE_H */
