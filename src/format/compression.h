/*
 * compression.h
 *		How files are compressed.
 */
#ifndef STREAMING_COMPRESSION_H
#define STREAMING_COMPRESSION_H

#include "catalog/stream.h"

typedef enum StreamingCompression
{
	STREAMING_COMPRESSION_NONE,
	STREAMING_COMPRESSION_GZIP,
	STREAMING_COMPRESSION_ZSTD
} StreamingCompression;

/* in compression.c */

/* How a file is compressed: the option "compression", or what its name says. */
extern StreamingCompression streaming_file_compression(const StreamingStream *stream,
													   const char *path);

#endif							/* STREAMING_COMPRESSION_H */
