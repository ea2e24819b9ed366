/*
 * avro_codec.h
 *		Codecs of Avro object container files: blocks, packed and unpacked.
 *
 * This header and avro_unpack.c need no server.
 */
#ifndef STREAMING_AVRO_CODEC_H
#define STREAMING_AVRO_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

typedef enum StreamingAvroCodec
{
	STREAMING_AVRO_CODEC_NULL,
	STREAMING_AVRO_CODEC_DEFLATE,
	STREAMING_AVRO_CODEC_SNAPPY,
	STREAMING_AVRO_CODEC_ZSTANDARD,
	STREAMING_AVRO_CODEC_BZIP2,
	STREAMING_AVRO_CODEC_XZ
} StreamingAvroCodec;

/* Of all, as "avro.codec" has them, for messages. */
#define STREAMING_AVRO_CODECS	"null, deflate, snappy, zstandard, bzip2 and xz"

/* Bytes that become more. */
typedef struct StreamingAvroBuffer StreamingAvroBuffer;
struct StreamingAvroBuffer
{
	char	   *data;
	size_t		length;
	size_t		allocated;

	/*
	 * Makes room for size bytes more at the least; false: they would be too many.  Is
	 * called often, so it may serve interrupts, and errors may leave by it.
	 */
	bool		(*room) (StreamingAvroBuffer *buffer, size_t size);
};

/* What the libraries keep from one block to the next.  Zeroes at first. */
typedef struct StreamingAvroUnpacker
{
	z_stream	zlib;
	bool		zlib_made;
	ZSTD_DCtx  *zstd;
	bz_stream	bzip2;
	bool		bzip2_made;
	lzma_stream xz;
} StreamingAvroUnpacker;

typedef enum StreamingAvroUnpacked
{
	STREAMING_AVRO_UNPACKED,
	STREAMING_AVRO_UNPACK_DAMAGE,	/* it is nothing that the codec makes */
	STREAMING_AVRO_UNPACK_SUM,	/* it is, but not what its sum is of */
	STREAMING_AVRO_UNPACK_LONG, /* the buffer has no room for all of it */
	STREAMING_AVRO_UNPACK_GREEDY,	/* it asks for more memory than anybody needs */
	STREAMING_AVRO_UNPACK_MEMORY	/* there is no memory */
} StreamingAvroUnpacked;

/* in avro_unpack.c */

/* NULL, or "null" and so on; false: it is none. */
extern bool streaming_avro_codec_of(const char *name, size_t length, StreamingAvroCodec *codec);
extern const char *streaming_avro_codec_name(StreamingAvroCodec codec);

/* Appends what a block of these bytes has; not of STREAMING_AVRO_CODEC_NULL. */
extern StreamingAvroUnpacked streaming_avro_unpack(StreamingAvroUnpacker *unpacker,
												   StreamingAvroCodec codec,
												   const char *data, size_t length,
												   StreamingAvroBuffer *out);

/* Frees what the libraries have; may be called at any time, and again. */
extern void streaming_avro_unpacker_close(StreamingAvroUnpacker *unpacker);

#endif							/* STREAMING_AVRO_CODEC_H */
