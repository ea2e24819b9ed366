/*
 * sink_push.c
 *		A pushed stream as a sink, for other views to read.
 *
 *	append		rows are inserted
 *	update,		refused: what is in a stream is not changed
 *	complete
 *
 * Rows are written in the batch's own transaction (sink_stream.c), and so are in
 * the stream once; whoever reads it takes them when that commits, as rows of any
 * session.  A view is not run while those that read its sink are far behind
 * (streaming_push_must_wait): it waits without a lock and without its worker, which may
 * be the one that has to run them.  That ends as long as no view waits for itself
 * (sink_cycle.c).
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "sink/sink_stream.h"

typedef struct PushSink
{
	StreamingSink base;
	StreamingStatement insert;
	StreamingStreamRows *rows;	/* of a batch */
} PushSink;

static void
push_check(StreamingProgram *program)
{
	StreamingStream *stream = streaming_stream_open(program->sink.relid, GetUserId());

	if (get_rel_namespace(stream->relid) == streaming_internal_namespace())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stream %s cannot be the sink of a continuous view", stream->name),
				 errdetail("It brings the changes of a continuous view to others that read it."),
				 errhint("Make a stream of your own with CREATE FOREIGN TABLE ... SERVER streaming.")));
	if (program->output_mode != STREAMING_OUTPUT_APPEND)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"%s\" is not possible for a pushed stream",
						streaming_output_mode_name(program->output_mode)),
				 errdetail("Rows that have been inserted into a stream cannot be changed."),
				 errhint("Leave streaming.sink out and let other views read this one, whose changes they follow; or group by an event-time window of a column with a watermark and use streaming.output_mode = 'append'.")));
	streaming_sink_stream_check(program, stream);
}

static StreamingSink *
push_open(StreamingProgram *program)
{
	PushSink   *sink = palloc0(sizeof(PushSink));

	sink->insert.sql = streaming_sink_stream_insert(program);
	return &sink->base;
}

static void
push_write(StreamingSink *base, StreamingDelta *changes)
{
	if (changes->nrows > 0)
		streaming_statement_run(&((PushSink *) base)->insert, changes, NULL, false, NULL);
}

static bool
push_begin_take(StreamingSink *base)
{
	PushSink   *sink = (PushSink *) base;

	sink->rows = streaming_stream_rows_begin(base->program);
	return sink->rows != NULL;
}

static void
push_take(StreamingSink *base, TupleTableSlot *slot)
{
	streaming_stream_rows_put(((PushSink *) base)->rows, slot);
}

static void
push_end_take(StreamingSink *base)
{
	streaming_stream_rows_end(((PushSink *) base)->rows);
}

static void
push_close(StreamingSink *base)
{
	streaming_statement_free(&((PushSink *) base)->insert);
}

const StreamingSinkRoutine streaming_sink_push = {
	.name = "push",
	.check = push_check,
	.open = push_open,
	.write = push_write,
	.begin_take = push_begin_take,
	.take = push_take,
	.end_take = push_end_take,
	.close = push_close,
};
