/*
 * encode_protobuf.h
 *		Rows -> Protobuf messages.
 */
#ifndef STREAMING_ENCODE_PROTOBUF_H
#define STREAMING_ENCODE_PROTOBUF_H

#include "lib/stringinfo.h"
#include "catalog/stream.h"

typedef struct StreamingProtobufEncoder StreamingProtobufEncoder;

/*
 * Makes one in CurrentMemoryContext.  columns are the numbers, from 0, of the stream's
 * columns that make the message.  *needs: what it takes, as streaming_value_needs says.
 * Errors: FEATURE_NOT_SUPPORTED if the columns do not fit the schema.
 */
extern StreamingProtobufEncoder *streaming_protobuf_encoder_open(StreamingStream *stream,
																 const int *columns, int ncolumns,
																 int *needs);

/*
 * Appends a message; for a stream with a schema registry behind the number of its
 * schema, which is asked for the first time.  Allocates in CurrentMemoryContext.
 */
extern void streaming_protobuf_encode(StreamingProtobufEncoder *encoder, Datum *values,
									  bool *isnull, StringInfo buf);

#endif							/* STREAMING_ENCODE_PROTOBUF_H */
