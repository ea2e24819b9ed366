/*
 * avro_pack.c
 *		Blocks of Avro object container files, compressed.
 *
 * Each at once, into as much room as it may take at most, so that no library has anything
 * of ours, or we of theirs, when an error leaves.
 */
#include "postgres.h"

#include "streaming.h"

#include <snappy-c.h>

#include "format/avro_pack.h"
#include "port/pg_bswap.h"

/* Those that file_writer.c has; bzip2's and xz's own. */
#define DEFLATE_LEVEL	5
#define ZSTD_LEVEL		3
#define BZIP2_LEVEL		9
#define XZ_PRESET		6

static size_t room_for(StreamingAvroCodec codec, size_t length);
static size_t pack_deflate(const char *data, size_t length, char *out, size_t room);
static size_t pack_snappy(const char *data, size_t length, char *out, size_t room);
static size_t pack_zstandard(const char *data, size_t length, char *out, size_t room);
static size_t pack_bzip2(const char *data, size_t length, char *out, size_t room);
static size_t pack_xz(const char *data, size_t length, char *out, size_t room);

/* Each returns how long the block is, 0: there is no memory, since no other reason is left. */
static size_t (*const packers[]) (const char *data, size_t length, char *out, size_t room) = {
	[STREAMING_AVRO_CODEC_DEFLATE] = pack_deflate,
	[STREAMING_AVRO_CODEC_SNAPPY] = pack_snappy,
	[STREAMING_AVRO_CODEC_ZSTANDARD] = pack_zstandard,
	[STREAMING_AVRO_CODEC_BZIP2] = pack_bzip2,
	[STREAMING_AVRO_CODEC_XZ] = pack_xz,
};

void
streaming_avro_pack(StreamingAvroCodec codec, const char *data, size_t length, StringInfo out)
{
	size_t		room = room_for(codec, length);
	size_t		packed;

	enlargeStringInfo(out, room);
	packed = packers[codec] (data, length, out->data + out->len, room);
	if (packed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not initialize compression: %s", "out of memory")));
	out->len += packed;
	out->data[out->len] = '\0';
}

static size_t
room_for(StreamingAvroCodec codec, size_t length)
{
	switch (codec)
	{
		case STREAMING_AVRO_CODEC_SNAPPY:
			return snappy_max_compressed_length(length) + sizeof(uint32);
		case STREAMING_AVRO_CODEC_ZSTANDARD:
			return ZSTD_compressBound(length);
		case STREAMING_AVRO_CODEC_BZIP2:
			return length + length / 100 + 600;	/* as its manual has it */
		case STREAMING_AVRO_CODEC_XZ:
			return lzma_stream_buffer_bound(length);
		default:
			return compressBound(length);
	}
}

static size_t
pack_deflate(const char *data, size_t length, char *out, size_t room)
{
	z_stream	zlib = {0};
	int			result;

	if (deflateInit2(&zlib, DEFLATE_LEVEL, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	zlib.next_in = (Bytef *) unconstify(char *, data);
	zlib.avail_in = length;
	zlib.next_out = (Bytef *) out;
	zlib.avail_out = room;
	result = deflate(&zlib, Z_FINISH);
	(void) deflateEnd(&zlib);
	return result == Z_STREAM_END ? zlib.total_out : 0;
}

static size_t
pack_snappy(const char *data, size_t length, char *out, size_t room)
{
	size_t		packed = room;
	uint32		sum = pg_hton32((uint32) crc32_z(0, (const Bytef *) data, length));

	if (snappy_compress(data, length, out, &packed) != SNAPPY_OK)
		return 0;
	memcpy(out + packed, &sum, sizeof(sum));
	return packed + sizeof(sum);
}

static size_t
pack_zstandard(const char *data, size_t length, char *out, size_t room)
{
	size_t		packed = ZSTD_compress(out, room, data, length, ZSTD_LEVEL);

	return ZSTD_isError(packed) ? 0 : packed;
}

static size_t
pack_bzip2(const char *data, size_t length, char *out, size_t room)
{
	unsigned	packed = room;

	return BZ2_bzBuffToBuffCompress(out, &packed, unconstify(char *, data), length, BZIP2_LEVEL, 0, 0) == BZ_OK ?
		packed : 0;
}

/* Its dictionary, which its memory goes by, need be no larger than the block. */
static size_t
pack_xz(const char *data, size_t length, char *out, size_t room)
{
	lzma_options_lzma options;
	lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
	size_t		packed = 0;

	if (lzma_lzma_preset(&options, XZ_PRESET))
		return 0;
	options.dict_size = Min(options.dict_size, Max(length, LZMA_DICT_SIZE_MIN));
	return lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC64, NULL, (const uint8_t *) data, length,
									 (uint8_t *) out, &packed, room) == LZMA_OK ? packed : 0;
}
