/*
 * encode.h
 *		Rows -> bytes: what INSERT, COPY and sinks write to Kafka and into files.
 *
 * The opposite of a decoder: a record that an encoder of a stream has made
 * comes back as the same row through the stream's decoder.  Where a format has
 * no way to tell two values apart (encode.c says where), they come back as one.
 */
#ifndef STREAMING_ENCODE_H
#define STREAMING_ENCODE_H

#include "lib/stringinfo.h"
#include "catalog/stream.h"

typedef struct StreamingEncoder StreamingEncoder;

/* in encode.c */

/*
 * Makes an encoder in CurrentMemoryContext, in a transaction; it goes with the
 * context.  The stream must outlive it.  Errors: FEATURE_NOT_SUPPORTED if the
 * columns cannot make a record that can be read again.
 */
extern StreamingEncoder *streaming_encoder_open(StreamingStream *stream);

/*
 * Appends one record, without a terminator, to buf.  values and isnull are
 * those of all columns of the stream; metadata columns are not part of the
 * record.  Needs a transaction.  Errors are those of output functions and
 * conversions (class 22), upon which buf has half a record and the encoder is
 * not to be used again.
 */
extern void streaming_encode(StreamingEncoder *encoder, Datum *values, bool *isnull,
							 StringInfo buf);

/*
 * Appends the record's key to buf: the text of the one column that the option
 * "key" names, or a JSON object of several or of one that is NULL, in UTF-8; a
 * bytea as it is.  Without the option, columns with metadata 'key' or 'key:...' have it.
 * The option "key_format" says otherwise: an object also of one, Avro, Protobuf.
 * Returns false, and appends nothing, if there is none or that one is NULL.  Errors as
 * streaming_encode.
 */
extern bool streaming_encode_key(StreamingEncoder *encoder, Datum *values, bool *isnull,
								 StringInfo buf);

/*
 * Appends what a file begins with: the line of names, without a terminator, of
 * a CSV file with a header; of an Avro or Parquet file a message without a row
 * (block_write.h).  Returns false, and appends nothing, if a file begins with its first
 * record.
 */
extern bool streaming_encode_header(StreamingEncoder *encoder, StringInfo buf);

#endif							/* STREAMING_ENCODE_H */
