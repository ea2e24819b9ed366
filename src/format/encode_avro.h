/*
 * encode_avro.h
 *		Rows -> Avro records.
 */
#ifndef STREAMING_ENCODE_AVRO_H
#define STREAMING_ENCODE_AVRO_H

#include "lib/stringinfo.h"
#include "catalog/stream.h"

typedef struct StreamingAvroEncoder StreamingAvroEncoder;

/*
 * Makes one in CurrentMemoryContext.  columns are the numbers, from 0, of the stream's
 * columns that make the record.  *needs: what it takes, as streaming_value_needs says.
 * Errors: FEATURE_NOT_SUPPORTED if the columns do not fit the schema.
 */
extern StreamingAvroEncoder *streaming_avro_encoder_open(StreamingStream *stream,
														 const int *columns, int ncolumns,
														 int *needs);

/*
 * Appends what a message for a file has before its record (avro_file_write.c): the schema, in
 * UTF-8, behind its length.
 */
extern void streaming_avro_encode_schema(StreamingAvroEncoder *encoder, StringInfo buf);

/*
 * Appends a record; for a stream with a schema registry behind the number of its
 * schema, which is asked for the first time.  Allocates in CurrentMemoryContext.
 */
extern void streaming_avro_encode(StreamingAvroEncoder *encoder, Datum *values, bool *isnull,
								  StringInfo buf);

#endif							/* STREAMING_ENCODE_AVRO_H */
