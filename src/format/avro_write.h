/*
 * avro_write.h
 *		The bytes of Avro's primitive types.
 */
#ifndef STREAMING_AVRO_WRITE_H
#define STREAMING_AVRO_WRITE_H

#include "lib/stringinfo.h"

/* 7 bits in each byte, the lowest first; small numbers of both signs are short. */
static inline void
streaming_avro_put_long(StringInfo buf, int64 value)
{
	uint64		bits = ((uint64) value << 1) ^ (uint64) (value >> 63);

	enlargeStringInfo(buf, 10);
	while (bits >= 0x80)
	{
		buf->data[buf->len++] = (char) (bits | 0x80);
		bits >>= 7;
	}
	buf->data[buf->len++] = (char) bits;
	buf->data[buf->len] = '\0';
}

/* The lowest byte first. */
static inline void
streaming_avro_put_float(StringInfo buf, float value)
{
	uint32		bits;
	uint8		bytes[4];

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8) (bits >> (8 * i));
	appendBinaryStringInfo(buf, (char *) bytes, sizeof(bytes));
}

static inline void
streaming_avro_put_double(StringInfo buf, double value)
{
	uint64		bits;
	uint8		bytes[8];

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8) (bits >> (8 * i));
	appendBinaryStringInfo(buf, (char *) bytes, sizeof(bytes));
}

#endif							/* STREAMING_AVRO_WRITE_H */
