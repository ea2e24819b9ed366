/*
 * protobuf_value.h
 *		Values of Protobuf messages -> Datums.
 */
#ifndef STREAMING_PROTOBUF_VALUE_H
#define STREAMING_PROTOBUF_VALUE_H

#include "format/format.h"
#include "format/protobuf.h"
#include "lib/stringinfo.h"

typedef struct StreamingProtobufConverter StreamingProtobufConverter;

/* in protobuf_value.c */

/*
 * Makes a converter for a column's values, in CurrentMemoryContext.  pieces: where
 * those of its values are; it puts more there, and takes them away.
 */
extern StreamingProtobufConverter *streaming_protobuf_converter_open(const StreamingColumn *column,
																	 StreamingProtobufPieces *pieces);

/*
 * Converts a value; in CurrentMemoryContext.  Errors are of class 22 and 54.
 */
extern Datum streaming_protobuf_convert(StreamingProtobufConverter *converter,
										const StreamingProtobufValue *value);

/* Fails if the column's type is a domain that does not take NULL. */
extern void streaming_protobuf_convert_null(StreamingProtobufConverter *converter);

/* The value that a field has where a record does not have it. */
extern StreamingProtobufValue streaming_protobuf_zero(const StreamingProtobufField *field);

/* The number as one of 64 bits with a sign; false: it is larger. */
extern bool streaming_protobuf_integer(StreamingProtobufKind kind, uint64 bits, int64 *number);

extern double streaming_protobuf_double(StreamingProtobufKind kind, uint64 bits);

/* Appends a value that is no message; returns whether JSON has it between quotes. */
extern bool streaming_protobuf_text(StringInfo buf, const StreamingProtobufField *field,
									const StreamingProtobufValue *value);

/*
 * The values of a message's fields, in the order in which they are declared, and those
 * of its oneofs behind them; palloc'd.
 */
extern StreamingProtobufValue *streaming_protobuf_parts(const StreamingProtobufMessage *message,
														const StreamingProtobufValue *value,
														StreamingProtobufPieces *pieces);

/* Seconds and nanoseconds of a Timestamp or Duration. */
extern void streaming_protobuf_time(const StreamingProtobufValue *value,
									StreamingProtobufPieces *pieces,
									int64 *seconds, int64 *nanos);

/* Appends what a message that is PLAIN no more is as text; false: it has none. */
extern bool streaming_protobuf_logical_text(StringInfo buf, const StreamingProtobufValue *value,
											StreamingProtobufPieces *pieces);

/* Reports that a value is no message. */
pg_noreturn extern void streaming_protobuf_broken(const StreamingProtobufError *error);

/* in protobuf_type.c: the type of PostgreSQL, as SQL has it, that takes all values of a field. */
extern const char *streaming_protobuf_sql_type(const StreamingProtobufField *field);

/* in protobuf_json.c: appends a value, or all of them where the field is repeated. */
extern void streaming_protobuf_json(StringInfo buf, const StreamingProtobufValue *value,
									StreamingProtobufPieces *pieces);

#endif							/* STREAMING_PROTOBUF_VALUE_H */
