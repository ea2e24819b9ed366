/*
 * block_write.h
 *		Files that are more than one message a line: their rows are collected, and written
 *		block by block.
 *
 * A message says before its row how that is to be read.  So a row that was encoded before
 * the stream's columns were altered is written as it was, in a file of its own.
 */
#ifndef STREAMING_BLOCK_WRITE_H
#define STREAMING_BLOCK_WRITE_H

#include "catalog/stream.h"
#include "format/arrow_module.h"

typedef struct StreamingBlockWriter StreamingBlockWriter;

/* Errors: FEATURE_NOT_SUPPORTED, OUT_OF_MEMORY */
typedef struct StreamingBlockRoutine
{
	/* A file begins, with the columns of the message, or of the first one that is added. */
	void		(*begin) (StreamingBlockWriter *writer, const char *message, size_t length);

	/* Has the file the columns of the message? */
	bool		(*takes) (StreamingBlockWriter *writer, const char *message, size_t length);

	/* Adds a row.  Returns true when a flush is due. */
	bool		(*add) (StreamingBlockWriter *writer, const char *message, size_t length);

	/* Bytes of the rows that have been added since the last flush. */
	size_t		(*size) (const StreamingBlockWriter *writer);

	/*
	 * The next bytes of the file, valid until the next call: all rows so far; end: and what
	 * a file ends with.
	 */
	const char *(*flush) (StreamingBlockWriter *writer, bool end, size_t *length);

	/* Frees what a reset of the memory context would not; never ereports.  May be NULL. */
	void		(*close) (StreamingBlockWriter *writer);
} StreamingBlockRoutine;

struct StreamingBlockWriter
{
	const StreamingBlockRoutine *routine;
};

/* In avro_file_write.c and columnar_write.c: make one in CurrentMemoryContext. */
extern StreamingBlockWriter *streaming_avro_writer_make(const StreamingStream *stream);
extern StreamingBlockWriter *streaming_columnar_writer_make(StreamingArrowKind kind);

#endif							/* STREAMING_BLOCK_WRITE_H */
