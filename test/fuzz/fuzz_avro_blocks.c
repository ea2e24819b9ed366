/*
 * fuzz_avro_blocks.c
 *		Blocks of Avro files, unpacked, against what the libraries make of them at once.
 *
 * The first byte of the input says the codec, and of snappy whether it gets the right
 * sum; the rest is the block.  The buffer grows by no more than it must, so that a byte
 * beyond its end is noticed, and has a limit.  A block is unpacked twice, by one that has
 * unpacked another before and by a new one.
 */
#include "fuzz.h"

#include <snappy-c.h>
#include <string.h>

#include "format/avro_codec.h"

#define LIMIT		(256 * 1024)
#define LONGEST	65536

static bool
room(StreamingAvroBuffer *buffer, size_t size)
{
	if (size > LIMIT - buffer->length)
		return false;
	if (buffer->allocated - buffer->length >= size)
		return true;
	buffer->allocated = buffer->length + size;
	buffer->data = realloc(buffer->data, buffer->allocated ? buffer->allocated : 1);
	REQUIRE(buffer->data != NULL);
	return true;
}

/* Bit by bit. */
static uint32_t
slow_sum(const uint8_t *data, size_t length)
{
	uint32_t	sum = 0xffffffff;

	for (size_t i = 0; i < length; i++)
	{
		sum ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
	}
	return ~sum;
}

/* Gives a block of snappy the sum that it ought to have; false: it is none. */
static bool
set_sum(uint8_t *block, size_t size)
{
	static char data[LIMIT];
	size_t		length = sizeof(data);
	uint32_t	sum;

	if (size < 4 || snappy_uncompress((char *) block, size - 4, data, &length) != SNAPPY_OK)
		return false;
	sum = slow_sum((uint8_t *) data, length);
	for (int i = 0; i < 4; i++)
		block[size - 4 + i] = sum >> (24 - 8 * i);
	return true;
}

/* At once, into LIMIT bytes; SIZE_MAX: that is nothing, or too much. */
static size_t
at_once(StreamingAvroCodec codec, const uint8_t *block, size_t size, char *out)
{
	size_t		length = LIMIT;
	size_t		in_pos = 0;
	size_t		out_pos = 0;
	unsigned	narrow = LIMIT;
	uint64_t	memory = UINT64_MAX;
	z_stream	zlib = {0};
	bool		good;

	switch (codec)
	{
		case STREAMING_AVRO_CODEC_DEFLATE:
			REQUIRE(inflateInit2(&zlib, -MAX_WBITS) == Z_OK);
			zlib.next_in = (Bytef *) (uintptr_t) block;
			zlib.avail_in = size;
			zlib.next_out = (Bytef *) out;
			zlib.avail_out = LIMIT;
			good = inflate(&zlib, Z_FINISH) == Z_STREAM_END;
			length = zlib.total_out;
			inflateEnd(&zlib);
			return good ? length : SIZE_MAX;
		case STREAMING_AVRO_CODEC_SNAPPY:
			if (size < 4 || snappy_uncompress((const char *) block, size - 4, out, &length) != SNAPPY_OK ||
				slow_sum((uint8_t *) out, length) != ((uint32_t) block[size - 4] << 24 | block[size - 3] << 16 |
													  block[size - 2] << 8 | block[size - 1]))
				return SIZE_MAX;
			return length;
		case STREAMING_AVRO_CODEC_ZSTANDARD:
			if (size == 0)
				return 0;
			in_pos = ZSTD_findFrameCompressedSize(block, size);
			if (ZSTD_isError(in_pos))
				return SIZE_MAX;
			length = ZSTD_decompress(out, LIMIT, block, in_pos);
			return ZSTD_isError(length) ? SIZE_MAX : length;
		case STREAMING_AVRO_CODEC_BZIP2:
			return BZ2_bzBuffToBuffDecompress(out, &narrow, (char *) (uintptr_t) block, size, 0, 0) == BZ_OK ?
				narrow : SIZE_MAX;
		default:
			return lzma_stream_buffer_decode(&memory, 0, NULL, block, &in_pos, size, (uint8_t *) out, &out_pos,
											 LIMIT) == LZMA_OK ? out_pos : SIZE_MAX;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static StreamingAvroUnpacker kept;
	static char expected[LIMIT];
	StreamingAvroUnpacker fresh = {0};
	StreamingAvroBuffer buffers[2] = {{.room = room}, {.room = room}};
	StreamingAvroUnpacked results[2];
	StreamingAvroCodec codec;
	uint8_t    *block;
	size_t		length;

	if (size < 1 || size > LONGEST)
		return 0;
	codec = (StreamingAvroCodec) (STREAMING_AVRO_CODEC_DEFLATE + data[0] % 5);
	size--;
	block = malloc(size ? size : 1);	/* as long as it is, so that its end is noticed */
	REQUIRE(block != NULL);
	memcpy(block, data + 1, size);
	if (codec == STREAMING_AVRO_CODEC_SNAPPY && (data[0] & 0x80))
		(void) set_sum(block, size);

	results[0] = streaming_avro_unpack(&kept, codec, (char *) block, size, &buffers[0]);
	results[1] = streaming_avro_unpack(&fresh, codec, (char *) block, size, &buffers[1]);
	length = at_once(codec, block, size, expected);

	REQUIRE(results[0] == results[1]);
	REQUIRE(buffers[0].length <= LIMIT);
	if (results[0] == STREAMING_AVRO_UNPACKED)
	{
		REQUIRE(length == buffers[0].length && length == buffers[1].length);
		REQUIRE(length == 0 || memcmp(buffers[0].data, expected, length) == 0);
		REQUIRE(length == 0 || memcmp(buffers[1].data, expected, length) == 0);
	}
	/* At once, zstd takes what refers to bytes before the window that is announced. */
	else if (codec != STREAMING_AVRO_CODEC_ZSTANDARD &&
			 (results[0] == STREAMING_AVRO_UNPACK_DAMAGE || results[0] == STREAMING_AVRO_UNPACK_SUM))
		REQUIRE(length == SIZE_MAX);

	streaming_avro_unpacker_close(&fresh);
	if (size % 7 == 0)
		streaming_avro_unpacker_close(&kept);
	free(buffers[0].data);
	free(buffers[1].data);
	free(block);
	return 0;
}
