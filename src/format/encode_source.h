/*
 * encode_source.h
 *		Where the fields of a record that has a schema come from: columns and attributes.
 */
#ifndef STREAMING_ENCODE_SOURCE_H
#define STREAMING_ENCODE_SOURCE_H

#include "catalog/stream.h"

/* What of a column of a stream, or an attribute of a composite type, counts. */
typedef struct StreamingEncodeSource
{
	const char *name;			/* of the field */
	const char *column;			/* for messages */
	AttrNumber	attnum;			/* stays what it is when others are dropped */
	Oid			type;
	int32		typmod;
} StreamingEncodeSource;

/* in encode_source.c; all of it is palloc'd */

/* Those of the columns of these numbers, from 0. */
extern StreamingEncodeSource *streaming_encode_columns(const StreamingStream *stream,
													   const int *columns, int n);

/* Those of a composite type that have not been dropped. */
extern StreamingEncodeSource *streaming_encode_attributes(Oid type, int32 typmod, int *n);

/* What the record is to be called, if nobody has called it anything yet. */
extern const char *streaming_encode_record_name(const StreamingStream *stream);

/*
 * The attributes of a value of a composite type.  Returns where in values those are that
 * have not been dropped.
 */
extern int *streaming_encode_deform(Datum composite, Datum **values, bool **isnull);

#endif							/* STREAMING_ENCODE_SOURCE_H */
