/*
 * decimal.h
 *		Decimals of binary formats -> text.
 */
#ifndef STREAMING_DECIMAL_H
#define STREAMING_DECIMAL_H

#include "lib/stringinfo.h"

/*
 * Appends a number in two's complement, the highest byte first, with the last scale of
 * its digits behind a point.  precision and scale, neither of which is negative, are the
 * caller's to bound.  Errors: NUMERIC_VALUE_OUT_OF_RANGE if it has more bytes than
 * precision digits may take.
 */
extern void streaming_decimal_text(StringInfo buf, const uint8 *data, size_t length,
								   int precision, int scale);

#endif							/* STREAMING_DECIMAL_H */
