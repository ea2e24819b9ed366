/*
 * sink_stream.h
 *		What sinks that are streams have in common.
 */
#ifndef STREAMING_SINK_STREAM_H
#define STREAMING_SINK_STREAM_H

#include "sink/sink.h"
#include "catalog/stream.h"

/* in sink_stream.c */

/* Has the stream a column for each output?  Errors as those of check. */
extern void streaming_sink_stream_check(StreamingProgram *program, StreamingStream *stream);

/* The INSERT of a batch's rows, or in complete mode of the whole result. */
extern char *streaming_sink_stream_insert(StreamingProgram *program);

/* Rows that go from the view's stage to the stream, one batch of them. */
typedef struct StreamingStreamRows StreamingStreamRows;

/*
 * Begins a batch, in CurrentMemoryContext.  NULL: an INSERT would do more than
 * to copy values (casts, defaults, triggers), or might be refused.
 */
extern StreamingStreamRows *streaming_stream_rows_begin(StreamingProgram *program);
extern void streaming_stream_rows_put(StreamingStreamRows *rows, TupleTableSlot *slot);
extern void streaming_stream_rows_end(StreamingStreamRows *rows);

#endif							/* STREAMING_SINK_STREAM_H */
