/*
 * avro_file.h
 *		Avro object container files, taken apart.
 *
 * The caller hands over the bytes of a file as they come, and gets pieces: the schema
 * first, then records, each for itself.
 */
#ifndef STREAMING_AVRO_FILE_H
#define STREAMING_AVRO_FILE_H

/* Blocks of a file, as they are and decompressed, are no longer. */
#define STREAMING_AVRO_MAX_BLOCK	((size_t) 128 * 1024 * 1024)

typedef struct StreamingAvroFile StreamingAvroFile;

typedef enum StreamingAvroPiece
{
	STREAMING_AVRO_PIECE,		/* the schema, or a record */
	STREAMING_AVRO_PIECE_MORE,	/* more bytes are needed; at the end there are none */
	STREAMING_AVRO_PIECE_CUT,	/* likewise, but the file cannot end here */
	STREAMING_AVRO_PIECE_DAMAGE /* it is no such file from here on */
} StreamingAvroPiece;

/* in avro_file.c */

/* Makes one in CurrentMemoryContext. */
extern StreamingAvroFile *streaming_avro_file_open(void);

/* Frees what a reset of the memory context would not; may not ereport. */
extern void streaming_avro_file_close(StreamingAvroFile *file);

/* A file begins. */
extern void streaming_avro_file_begin(StreamingAvroFile *file);

/* Where size bytes of the file can be put, and that as many have been put there. */
extern char *streaming_avro_file_room(StreamingAvroFile *file, size_t size);
extern void streaming_avro_file_add(StreamingAvroFile *file, size_t size);

/*
 * The next piece, valid until the next call.  The bytes of a record have been measured
 * only, and those that are none are left to the decoder to tell.  *why: text of damage,
 * static or in CurrentMemoryContext.
 */
extern StreamingAvroPiece streaming_avro_file_next(StreamingAvroFile *file, const char **data,
												   size_t *length, bool *is_schema,
												   const char **why);

#endif							/* STREAMING_AVRO_FILE_H */
