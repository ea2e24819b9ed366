/*
 * avro_unpack.c
 *		Blocks of Avro object container files, decompressed.
 *
 * A block may say anything.  Output is made step by step, into a buffer that has a
 * limit, and memory of the libraries has one, too: a few bytes that become many are
 * given up when they have become too many.
 *
 *		deflate		without the head and the sum that other users of zlib have; what is
 *					left behind it is passed over, since some writers leave their sum
 *		snappy		all at once, as long as it says at its beginning; then the CRC-32 of
 *					that, big-endian
 *		others		a stream as their own programs write it into a file
 */
#include "format/avro_codec.h"

#include <snappy-c.h>
#include <stdint.h>
#include <string.h>

/* Output between two questions for room. */
#define STEP			(128 * 1024)
#define LARGE_STEP		(1024 * 1024)

/* What xz may take; its largest preset takes 65 MB. */
#define XZ_MEMORY		((uint64_t) 128 * 1024 * 1024)

/* No three bytes of snappy become more than 64, no two more than 11. */
#define SNAPPY_RATIO	32

#define CRC_LENGTH		4

static const char *const names[] = {
	[STREAMING_AVRO_CODEC_NULL] = "null",
	[STREAMING_AVRO_CODEC_DEFLATE] = "deflate",
	[STREAMING_AVRO_CODEC_SNAPPY] = "snappy",
	[STREAMING_AVRO_CODEC_ZSTANDARD] = "zstandard",
	[STREAMING_AVRO_CODEC_BZIP2] = "bzip2",
	[STREAMING_AVRO_CODEC_XZ] = "xz",
};

/* What one call of a library has come to. */
typedef enum Step
{
	STEP_MORE,
	STEP_END,
	STEP_DAMAGE,
	STEP_GREEDY,
	STEP_MEMORY
} Step;

/* What is left of the input, and of the room for output. */
typedef struct Bytes
{
	const char *in;
	size_t		in_left;
	char	   *out;
	size_t		out_left;
} Bytes;

/* begin: before the first step of a block. */
typedef struct Library
{
	Step		(*begin) (StreamingAvroUnpacker *unpacker);
	Step		(*step) (StreamingAvroUnpacker *unpacker, Bytes *bytes);
} Library;

static Step begin_deflate(StreamingAvroUnpacker *unpacker);
static Step begin_zstandard(StreamingAvroUnpacker *unpacker);
static Step begin_bzip2(StreamingAvroUnpacker *unpacker);
static Step begin_xz(StreamingAvroUnpacker *unpacker);
static Step step_deflate(StreamingAvroUnpacker *unpacker, Bytes *bytes);
static Step step_zstandard(StreamingAvroUnpacker *unpacker, Bytes *bytes);
static Step step_bzip2(StreamingAvroUnpacker *unpacker, Bytes *bytes);
static Step step_xz(StreamingAvroUnpacker *unpacker, Bytes *bytes);
static StreamingAvroUnpacked unpack_snappy(const char *data, size_t length, StreamingAvroBuffer *out);
static StreamingAvroUnpacked unpack_stream(StreamingAvroUnpacker *unpacker, const Library *library,
										   const char *data, size_t length, StreamingAvroBuffer *out);
static StreamingAvroUnpacked unpacked_of(Step step);

static const Library libraries[] = {
	[STREAMING_AVRO_CODEC_DEFLATE] = {begin_deflate, step_deflate},
	[STREAMING_AVRO_CODEC_ZSTANDARD] = {begin_zstandard, step_zstandard},
	[STREAMING_AVRO_CODEC_BZIP2] = {begin_bzip2, step_bzip2},
	[STREAMING_AVRO_CODEC_XZ] = {begin_xz, step_xz},
};

bool
streaming_avro_codec_of(const char *name, size_t length, StreamingAvroCodec *codec)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (length != strlen(names[i]) || memcmp(name, names[i], length) != 0)
			continue;
		*codec = (StreamingAvroCodec) i;
		return true;
	}
	return false;
}

const char *
streaming_avro_codec_name(StreamingAvroCodec codec)
{
	return names[codec];
}

StreamingAvroUnpacked
streaming_avro_unpack(StreamingAvroUnpacker *unpacker, StreamingAvroCodec codec,
					  const char *data, size_t length, StreamingAvroBuffer *out)
{
	if (codec == STREAMING_AVRO_CODEC_SNAPPY)
		return unpack_snappy(data, length, out);
	if (codec == STREAMING_AVRO_CODEC_ZSTANDARD && length == 0)
		return STREAMING_AVRO_UNPACKED; /* no frame is no bytes, as zstd has it */
	return unpack_stream(unpacker, &libraries[codec], data, length, out);
}

void
streaming_avro_unpacker_close(StreamingAvroUnpacker *unpacker)
{
	if (unpacker->zlib_made)
		(void) inflateEnd(&unpacker->zlib);
	if (unpacker->bzip2_made)
		(void) BZ2_bzDecompressEnd(&unpacker->bzip2);
	ZSTD_freeDCtx(unpacker->zstd);
	lzma_end(&unpacker->xz);
	memset(unpacker, 0, sizeof(*unpacker));
}

static StreamingAvroUnpacked
unpack_snappy(const char *data, size_t length, StreamingAvroBuffer *out)
{
	const uint8_t *sum;
	size_t		size;
	char	   *to;

	if (length < CRC_LENGTH)
		return STREAMING_AVRO_UNPACK_DAMAGE;
	length -= CRC_LENGTH;
	sum = (const uint8_t *) data + length;
	if (snappy_uncompressed_length(data, length, &size) != SNAPPY_OK)
		return STREAMING_AVRO_UNPACK_DAMAGE;
	if (size / SNAPPY_RATIO > length)
		return STREAMING_AVRO_UNPACK_DAMAGE;	/* no memory for what cannot come */
	if (!out->room(out, size))
		return STREAMING_AVRO_UNPACK_LONG;
	to = out->data + out->length;
	if (snappy_uncompress(data, length, to, &size) != SNAPPY_OK)
		return STREAMING_AVRO_UNPACK_DAMAGE;
	if (crc32_z(0, (const Bytef *) to, size) !=
		((uint32_t) sum[0] << 24 | (uint32_t) sum[1] << 16 | (uint32_t) sum[2] << 8 | sum[3]))
		return STREAMING_AVRO_UNPACK_SUM;
	out->length += size;
	return STREAMING_AVRO_UNPACKED;
}

static StreamingAvroUnpacked
unpack_stream(StreamingAvroUnpacker *unpacker, const Library *library, const char *data, size_t length,
			  StreamingAvroBuffer *out)
{
	Bytes		bytes = {.in = data, .in_left = length};
	Step		step = library->begin(unpacker);

	while (step == STEP_MORE)
	{
		size_t		in_before = bytes.in_left;
		size_t		room;

		if (!out->room(out, STEP))
			return STREAMING_AVRO_UNPACK_LONG;
		room = out->allocated - out->length;
		if (room > LARGE_STEP)
			room = LARGE_STEP;
		bytes.out = out->data + out->length;
		bytes.out_left = room;
		step = library->step(unpacker, &bytes);
		out->length += room - bytes.out_left;
		if (step == STEP_MORE && bytes.in_left == in_before && bytes.out_left == room)
			return STREAMING_AVRO_UNPACK_DAMAGE;	/* it has no end */
	}
	return unpacked_of(step);
}

static StreamingAvroUnpacked
unpacked_of(Step step)
{
	switch (step)
	{
		case STEP_END:
			return STREAMING_AVRO_UNPACKED;
		case STEP_GREEDY:
			return STREAMING_AVRO_UNPACK_GREEDY;
		case STEP_MEMORY:
			return STREAMING_AVRO_UNPACK_MEMORY;
		default:
			return STREAMING_AVRO_UNPACK_DAMAGE;
	}
}

/* ---- The libraries ---- */

static Step
begin_deflate(StreamingAvroUnpacker *unpacker)
{
	int			result = unpacker->zlib_made ? inflateReset(&unpacker->zlib) :
		inflateInit2(&unpacker->zlib, -MAX_WBITS);

	if (result != Z_OK)
		return STEP_MEMORY;
	unpacker->zlib_made = true;
	return STEP_MORE;
}

static Step
step_deflate(StreamingAvroUnpacker *unpacker, Bytes *bytes)
{
	z_stream   *zlib = &unpacker->zlib;
	int			result;

	zlib->next_in = (Bytef *) (uintptr_t) bytes->in;
	zlib->avail_in = bytes->in_left;
	zlib->next_out = (Bytef *) bytes->out;
	zlib->avail_out = bytes->out_left;
	result = inflate(zlib, Z_NO_FLUSH);
	bytes->in = (const char *) zlib->next_in;
	bytes->in_left = zlib->avail_in;
	bytes->out_left = zlib->avail_out;
	return result == Z_STREAM_END ? STEP_END : result == Z_OK ? STEP_MORE :
		result == Z_MEM_ERROR ? STEP_MEMORY : STEP_DAMAGE;
}

static Step
begin_zstandard(StreamingAvroUnpacker *unpacker)
{
	if (unpacker->zstd == NULL)
		unpacker->zstd = ZSTD_createDCtx();
	if (unpacker->zstd == NULL)
		return STEP_MEMORY;
	(void) ZSTD_DCtx_reset(unpacker->zstd, ZSTD_reset_session_only);
	return STEP_MORE;
}

static Step
step_zstandard(StreamingAvroUnpacker *unpacker, Bytes *bytes)
{
	ZSTD_inBuffer in = {bytes->in, bytes->in_left, 0};
	ZSTD_outBuffer out = {bytes->out, bytes->out_left, 0};
	size_t		result;

	result = ZSTD_decompressStream(unpacker->zstd, &out, &in);
	bytes->in += in.pos;
	bytes->in_left -= in.pos;
	bytes->out_left -= out.pos;
	return ZSTD_isError(result) ? STEP_DAMAGE : result == 0 ? STEP_END : STEP_MORE;
}

/* It cannot be begun again, but anew. */
static Step
begin_bzip2(StreamingAvroUnpacker *unpacker)
{
	if (unpacker->bzip2_made)
		(void) BZ2_bzDecompressEnd(&unpacker->bzip2);
	memset(&unpacker->bzip2, 0, sizeof(unpacker->bzip2));
	unpacker->bzip2_made = BZ2_bzDecompressInit(&unpacker->bzip2, 0, 0) == BZ_OK;
	return unpacker->bzip2_made ? STEP_MORE : STEP_MEMORY;
}

static Step
step_bzip2(StreamingAvroUnpacker *unpacker, Bytes *bytes)
{
	bz_stream  *bzip2 = &unpacker->bzip2;
	int			result;

	bzip2->next_in = (char *) (uintptr_t) bytes->in;
	bzip2->avail_in = bytes->in_left;
	bzip2->next_out = bytes->out;
	bzip2->avail_out = bytes->out_left;
	result = BZ2_bzDecompress(bzip2);
	bytes->in = bzip2->next_in;
	bytes->in_left = bzip2->avail_in;
	bytes->out_left = bzip2->avail_out;
	return result == BZ_STREAM_END ? STEP_END : result == BZ_OK ? STEP_MORE :
		result == BZ_MEM_ERROR ? STEP_MEMORY : STEP_DAMAGE;
}

/* It keeps its memory, if that is enough. */
static Step
begin_xz(StreamingAvroUnpacker *unpacker)
{
	return lzma_stream_decoder(&unpacker->xz, XZ_MEMORY, 0) == LZMA_OK ? STEP_MORE : STEP_MEMORY;
}

static Step
step_xz(StreamingAvroUnpacker *unpacker, Bytes *bytes)
{
	lzma_stream *xz = &unpacker->xz;
	lzma_ret	result;

	xz->next_in = (const uint8_t *) bytes->in;
	xz->avail_in = bytes->in_left;
	xz->next_out = (uint8_t *) bytes->out;
	xz->avail_out = bytes->out_left;
	result = lzma_code(xz, LZMA_RUN);
	bytes->in = (const char *) xz->next_in;
	bytes->in_left = xz->avail_in;
	bytes->out_left = xz->avail_out;
	return result == LZMA_STREAM_END ? STEP_END : result == LZMA_OK ? STEP_MORE :
		result == LZMA_MEM_ERROR ? STEP_MEMORY :
		result == LZMA_MEMLIMIT_ERROR ? STEP_GREEDY : STEP_DAMAGE;
}
