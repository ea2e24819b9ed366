/*
 * columnar_write.h
 *		Rows -> messages that columnar_write.c makes Parquet and Arrow files of (block_write.h).
 */
#ifndef STREAMING_COLUMNAR_WRITE_H
#define STREAMING_COLUMNAR_WRITE_H

#include "catalog/stream.h"
#include "format/arrow_module.h"
#include "lib/stringinfo.h"

typedef struct StreamingColumnarEncoder StreamingColumnarEncoder;

/* in encode_columnar.c */

/* Of the columns at these indexes; *needs as streaming_value_needs. */
extern StreamingColumnarEncoder *streaming_columnar_encoder_open(StreamingStream *stream, const int *columns,
																 int ncolumns, int *needs);

/* Appends a message.  Errors: class 22, for what the file's type does not have. */
extern void streaming_columnar_encode(StreamingColumnarEncoder *encoder, Datum *values, bool *isnull,
									  StringInfo buf);

/* Appends a message without values, which a file without rows is made by. */
extern void streaming_columnar_encode_header(StreamingColumnarEncoder *encoder, StringInfo buf);

#endif							/* STREAMING_COLUMNAR_WRITE_H */
