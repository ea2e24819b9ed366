/*
 * sink_stream.h
 *		What sinks that are streams have in common.
 */
#ifndef STREAMING_SINK_STREAM_H
#define STREAMING_SINK_STREAM_H

#include "sink/sink.h"
#include "stream.h"

/* in sink_stream.c */

/* Has the stream a column for each output?  Errors as those of check. */
extern void streaming_sink_stream_check(StreamingProgram *program, StreamingStream *stream);

/* The INSERT of a batch's rows, or in complete mode of the whole result. */
extern char *streaming_sink_stream_insert(StreamingProgram *program);

#endif							/* STREAMING_SINK_STREAM_H */
