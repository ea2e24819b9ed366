/*
 * avro_value.h
 *		Values of Avro records -> Datums.
 */
#ifndef STREAMING_AVRO_VALUE_H
#define STREAMING_AVRO_VALUE_H

#include "format/avro.h"
#include "format/format.h"

typedef struct StreamingAvroConverter StreamingAvroConverter;

/* Makes a converter for a column's values, in CurrentMemoryContext. */
extern StreamingAvroConverter *streaming_avro_converter_open(const StreamingColumn *column);

/*
 * Converts a value that the walk has passed and that is not null; in
 * CurrentMemoryContext.  Errors are of class 22 and 54.
 */
extern Datum streaming_avro_convert(StreamingAvroConverter *converter,
									const StreamingAvroValue *value);

/* Fails if the column's type is a domain that does not take NULL. */
extern void streaming_avro_convert_null(StreamingAvroConverter *converter);

#endif							/* STREAMING_AVRO_VALUE_H */
