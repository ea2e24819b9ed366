/*
 * encode_value.h
 *		Datum -> text or JSON of one field: the opposite of convert.c.
 */
#ifndef STREAMING_ENCODE_VALUE_H
#define STREAMING_ENCODE_VALUE_H

#include "lib/stringinfo.h"
#include "catalog/stream.h"

typedef struct StreamingValueEncoder StreamingValueEncoder;

/* Makes one in CurrentMemoryContext, for a column that is not dropped.  Reads catalogs. */
extern StreamingValueEncoder *streaming_value_encoder_open(const StreamingColumn *column);

/*
 * The value's text, as COPY writes it before it escapes anything: not
 * terminated, valid until the next call.  What the call allocates is in
 * CurrentMemoryContext.
 */
extern const char *streaming_value_text(StreamingValueEncoder *encoder, Datum value,
										size_t *length);

/* Appends the value as row_to_json writes it, but without ends of lines. */
extern void streaming_value_json(StreamingValueEncoder *encoder, Datum value, StringInfo buf);

/* What making text or JSON of a value takes; a set of these. */
#define STREAMING_VALUE_ALLOCATES	1	/* memory */
#define STREAMING_VALUE_STYLED		2	/* DateStyle, IntervalStyle and
										 * extra_float_digits count */
#define STREAMING_VALUE_NAMES		4	/* search_path counts */

extern int	streaming_value_needs(const StreamingValueEncoder *encoder);

/* Appends a string, which need not be terminated, as JSON string. */
extern void streaming_json_string(StringInfo buf, const char *string, size_t length);

#endif							/* STREAMING_ENCODE_VALUE_H */
