/*
 * sink_directory.c
 *		Files in a directory as a sink.
 *
 *	append		new files
 *	complete	one file, replaced by the whole result each time
 *	update		refused: what is written into a file stays there
 *
 * Rows are written with an INSERT into the foreign table, and leave by the
 * outbox (sink_stream.c); delivery_directory.c makes the files.
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "sink/file_place.h"
#include "sink/outbox.h"
#include "sink/sink.h"
#include "sink/sink_stream.h"

typedef struct DirectorySink
{
	StreamingSink base;
	StreamingStatement insert;
	StreamingStreamRows *rows;	/* of a batch, in append mode */
} DirectorySink;

/* The direct cycle only: a view would take its own results as input. */
static void
check_cycle(Oid input, StreamingStream *stream)
{
	StreamingSourceKind kind;

	if (!streaming_is_stream(input, &kind) || kind != STREAMING_SOURCE_DIRECTORY)
		return;
	if (input == stream->relid ||
		streaming_file_place_read_by(stream, streaming_stream_open(input, GetUserId())->path))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous view cannot write files that it reads"),
				 errdetail("Files of stream %s match the path of stream \"%s\".",
						   stream->name, get_rel_name(input)),
				 errhint("Let it write to another directory.")));
}

static void
directory_check(StreamingProgram *program)
{
	StreamingStream *stream = streaming_stream_open(program->sink.relid, GetUserId());

	if (program->output_mode == STREAMING_OUTPUT_UPDATE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"update\" is not possible for files"),
				 errdetail("Rows that have been written to a file cannot be changed."),
				 errhint("Use streaming.output_mode = 'complete' to replace the file after each trigger, or group by an event-time window of a column with a watermark and use 'append'.")));
	streaming_file_place_check(stream, program->output_mode == STREAMING_OUTPUT_APPEND);
	for (int i = 0; i < program->ninputs; i++)
		check_cycle(program->inputs[i].relid, stream);
	streaming_sink_stream_check(program, stream);
}

static StreamingSink *
directory_open(StreamingProgram *program)
{
	DirectorySink *sink = palloc0(sizeof(DirectorySink));

	sink->insert.sql = streaming_sink_stream_insert(program);
	return &sink->base;
}

static void
directory_write(StreamingSink *base, StreamingDelta *changes)
{
	DirectorySink *sink = (DirectorySink *) base;

	if (changes && changes->nrows == 0)
		return;
	if (changes == NULL)
	{
		/* The owner's right to INSERT is checked by the INSERT that follows. */
		StreamingStreamWriter *writer =
			streaming_stream_writer_open(streaming_stream_open(base->program->sink.relid,
															   GetUserId()));

		streaming_stream_writer_complete(writer);
		streaming_stream_writer_close(writer);
	}
	streaming_statement_run(&sink->insert, changes, NULL, false, NULL);
}

static bool
directory_begin_take(StreamingSink *base)
{
	DirectorySink *sink = (DirectorySink *) base;

	sink->rows = streaming_stream_rows_begin(base->program);
	return sink->rows != NULL;
}

static void
directory_take(StreamingSink *base, TupleTableSlot *slot)
{
	streaming_stream_rows_put(((DirectorySink *) base)->rows, slot);
}

static void
directory_end_take(StreamingSink *base)
{
	streaming_stream_rows_end(((DirectorySink *) base)->rows);
}

static void
directory_close(StreamingSink *base)
{
	streaming_statement_free(&((DirectorySink *) base)->insert);
}

const StreamingSinkRoutine streaming_sink_directory = {
	.name = "directory",
	.check = directory_check,
	.open = directory_open,
	.write = directory_write,
	.begin_take = directory_begin_take,
	.take = directory_take,
	.end_take = directory_end_take,
	.close = directory_close,
};
