/*
 * varint.h
 *		Numbers as Avro and Protobuf write them: seven bits a byte, the lowest first, and
 *		a high bit in all bytes but the last.
 *
 * Needs no server.
 */
#ifndef STREAMING_VARINT_H
#define STREAMING_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * One of at most eight bytes with as many before end, without a look at each of them.
 * Returns its end; NULL: it is no such one, and has to be read byte by byte.
 */
static inline const uint8_t *
streaming_varint_at_once(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint64_t	bits;
	uint64_t	last;

	if (end - p < 8)
		return NULL;
	memcpy(&bits, p, sizeof(bits));
	last = ~bits & UINT64_C(0x8080808080808080);
	if (last == 0)
		return NULL;
	/* up to the lowest of the high bits that are not set */
	p += (__builtin_ctzll(last) >> 3) + 1;
	bits &= last ^ (last - 1);
	bits = (bits & UINT64_C(0x007f007f007f007f)) | (bits & UINT64_C(0x7f007f007f007f00)) >> 1;
	bits = (bits & UINT64_C(0x00003fff00003fff)) | (bits & UINT64_C(0x3fff00003fff0000)) >> 2;
	*value = (bits & UINT64_C(0x0fffffff)) | (bits & UINT64_C(0x0fffffff00000000)) >> 4;
	return p;
#else
	(void) p;
	(void) end;
	(void) value;
	return NULL;
#endif
}

#endif							/* STREAMING_VARINT_H */
