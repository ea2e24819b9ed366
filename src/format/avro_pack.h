/*
 * avro_pack.h
 *		Blocks of Avro object container files, compressed.
 */
#ifndef STREAMING_AVRO_PACK_H
#define STREAMING_AVRO_PACK_H

#include "format/avro_codec.h"
#include "lib/stringinfo.h"

/* What every reader of such files has, by the specification, and compresses. */
#define STREAMING_AVRO_DEFAULT_CODEC	"deflate"

/* Appends a block of data; not of STREAMING_AVRO_CODEC_NULL.  Errors: OUT_OF_MEMORY. */
extern void streaming_avro_pack(StreamingAvroCodec codec, const char *data, size_t length,
								StringInfo out);

#endif							/* STREAMING_AVRO_PACK_H */
