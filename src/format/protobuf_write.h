/*
 * protobuf_write.h
 *		The bytes of Protobuf's numbers.
 */
#ifndef STREAMING_PROTOBUF_WRITE_H
#define STREAMING_PROTOBUF_WRITE_H

#include "format/protobuf.h"
#include "lib/stringinfo.h"

/* 7 bits in each byte, the lowest first. */
static inline void
streaming_protobuf_put_varint(StringInfo buf, uint64 bits)
{
	enlargeStringInfo(buf, 10);
	while (bits >= 0x80)
	{
		buf->data[buf->len++] = (char) (bits | 0x80);
		bits >>= 7;
	}
	buf->data[buf->len++] = (char) bits;
	buf->data[buf->len] = '\0';
}

static inline void
streaming_protobuf_put_tag(StringInfo buf, int32 number, StreamingProtobufWire wire)
{
	streaming_protobuf_put_varint(buf, (uint64) number << 3 | wire);
}

/* A number whose bits are those of the wire. */
static inline void
streaming_protobuf_put_number(StringInfo buf, StreamingProtobufWire wire, uint64 bits)
{
	int			size = wire == STREAMING_PROTOBUF_I64 ? 8 : 4;

	if (wire == STREAMING_PROTOBUF_VARINT)
	{
		streaming_protobuf_put_varint(buf, bits);
		return;
	}
	for (int i = 0; i < size; i++)
		appendStringInfoChar(buf, (char) (bits >> (8 * i)));
}

/* Small numbers of both signs are short. */
static inline uint64
streaming_protobuf_zigzag(int64 value)
{
	return ((uint64) value << 1) ^ (uint64) (value >> 63);
}

/* Puts the length of what begins at start, which may be long, before it. */
static inline void
streaming_protobuf_put_length(StringInfo buf, int start)
{
	int			length = buf->len - start;
	char		bytes[5];
	int			n = 0;

	for (uint32 bits = length; n == 0 || bits > 0; bits >>= 7)
		bytes[n++] = (char) (bits >= 0x80 ? bits | 0x80 : bits);
	enlargeStringInfo(buf, n);
	memmove(buf->data + start + n, buf->data + start, length + 1);
	memcpy(buf->data + start, bytes, n);
	buf->len += n;
}

#endif							/* STREAMING_PROTOBUF_WRITE_H */
