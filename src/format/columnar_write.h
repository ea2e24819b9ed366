/*
 * columnar_write.h
 *		Rows -> Parquet and Arrow files.
 *
 * A row travels from who encodes it to who writes the file as a message: what its columns
 * are, and its values.  So a row that was encoded before the stream's columns were altered
 * is written as it was.
 */
#ifndef STREAMING_COLUMNAR_WRITE_H
#define STREAMING_COLUMNAR_WRITE_H

#include "catalog/stream.h"
#include "format/arrow_module.h"
#include "lib/stringinfo.h"

typedef struct StreamingColumnarEncoder StreamingColumnarEncoder;
typedef struct StreamingColumnarWriter StreamingColumnarWriter;

/* in encode_columnar.c */

/* Of the columns at these indexes; *needs as streaming_value_needs. */
extern StreamingColumnarEncoder *streaming_columnar_encoder_open(StreamingStream *stream, const int *columns,
																 int ncolumns, int *needs);

/* Appends a message.  Errors: class 22, for what the file's type does not have. */
extern void streaming_columnar_encode(StreamingColumnarEncoder *encoder, Datum *values, bool *isnull,
									  StringInfo buf);

/* Appends a message without values, which a file without rows is made by. */
extern void streaming_columnar_encode_header(StreamingColumnarEncoder *encoder, StringInfo buf);

/* in columnar_write.c; errors: FEATURE_NOT_SUPPORTED, OUT_OF_MEMORY */

/* Makes a writer of such files, not of ORC, in CurrentMemoryContext. */
extern StreamingColumnarWriter *streaming_columnar_writer_make(StreamingArrowKind kind);

/* Frees what a reset of the memory context would not; never ereports. */
extern void streaming_columnar_writer_close(StreamingColumnarWriter *writer);

/* A file begins, with the columns of the message, or of the first one that is added. */
extern void streaming_columnar_writer_begin(StreamingColumnarWriter *writer, const char *message, size_t length);

/* Has the file the columns of the message? */
extern bool streaming_columnar_writer_takes(StreamingColumnarWriter *writer, const char *message, size_t length);

/* Adds a row.  Returns true when a flush is due. */
extern bool streaming_columnar_writer_add(StreamingColumnarWriter *writer, const char *message, size_t length);

/* Bytes of the rows that have been added since the last flush. */
extern size_t streaming_columnar_writer_size(const StreamingColumnarWriter *writer);

/*
 * The next bytes of the file, valid until the next call: all rows so far; end: and what
 * a file ends with.
 */
extern const char *streaming_columnar_writer_flush(StreamingColumnarWriter *writer, bool end, size_t *length);

#endif							/* STREAMING_COLUMNAR_WRITE_H */
