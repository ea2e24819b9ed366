/*
 * read_columns.h
 *		Which columns of a stream a continuous view reads.
 */
#ifndef STREAMING_READ_COLUMNS_H
#define STREAMING_READ_COLUMNS_H

#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "base/column_set.h"
#include "catalog/stream.h"

/*
 * Adds to set the columns of stream that the query of the ordinary view
 * definition mentions, and those with a watermark.  All of them where that
 * cannot be told.
 */
extern void streaming_read_columns(Oid definition, const StreamingStream *stream,
								   StreamingColumnSet *set);

/* Ditto the columns of stream relid that query mentions; none of it is a whole row. */
extern void streaming_query_columns(Query *query, Oid relid, StreamingColumnSet *set);

/* As streaming_decoder_open wants it, in CurrentMemoryContext; never NULL. */
extern Bitmapset *streaming_columns_bitmap(const StreamingColumnSet *set);

#endif							/* STREAMING_READ_COLUMNS_H */
