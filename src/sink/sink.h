/*
 * sink.h
 *		Results leave: the interface of a sink that is not the view's own table.
 *
 * A batch hands its sink two kinds of rows: those to be written (appended, or
 * put in the place of the row with the same key) and, in update mode, those
 * that leave the result.  A view's own table is no sink in this sense: it is
 * the state table of the last stage itself (exec/).
 */
#ifndef STREAMING_SINK_H
#define STREAMING_SINK_H

#include "catalog/pg_attribute.h"
#include "query/program.h"
#include "base/statement.h"

typedef struct StreamingSink StreamingSink;

typedef struct StreamingSinkRoutine
{
	const char *name;

	/*
	 * Does it call a user's functions, which do things that no rollback takes
	 * back?  Then a batch that is tried again has the same rows.
	 */
	bool		calls_functions;

	/*
	 * Can it take the program's output?  Sets program->sink_key.  Errors:
	 * FEATURE_NOT_SUPPORTED, DATATYPE_MISMATCH, UNDEFINED_COLUMN, each with a
	 * hint.  NULL: it takes any.
	 */
	void		(*check) (StreamingProgram *program);

	/* Opens the sink, in CurrentMemoryContext, for many batches. */
	StreamingSink *(*open) (StreamingProgram *program);

	/*
	 * Writes one batch, in its transaction, connected to SPI, as the view's
	 * owner.  changes has the outputs and "$sign": 1 write, -1 leaves the
	 * result.  In output mode complete it is NULL: the whole result is what
	 * streaming_layout_result_query reads.
	 */
	void		(*write) (StreamingSink *sink, StreamingDelta *changes);

	/*
	 * Optional: takes the rows of a stage without state one by one, in append
	 * mode, instead of write.  begin_take opens the sink for one batch, in a
	 * memory context that lives for it; false: not this time, write comes.
	 * slot has the outputs, and nothing of it may be kept.
	 */
	bool		(*begin_take) (StreamingSink *sink);
	void		(*take) (StreamingSink *sink, TupleTableSlot *slot);
	void		(*end_take) (StreamingSink *sink);

	/* Frees what lives longer than memory contexts. */
	void		(*close) (StreamingSink *sink);
} StreamingSinkRoutine;

/* Each sink's own struct begins with this. */
struct StreamingSink
{
	const StreamingSinkRoutine *routine;
	StreamingProgram *program;

	/* set by who calls write: */
	Oid			view;
	int64		batch_id;		/* of the batch; the same when it is tried again */
};

/* in sink.c */

/* The check of the program's sink, if it has one. */
extern void streaming_sink_check(StreamingProgram *program);

/* The program's sink, or NULL if its output goes to its own table. */
extern StreamingSink *streaming_sink_open(StreamingProgram *program);

/* An error if nobody can write to the column of a sink, with this name. */
extern void streaming_sink_check_writable(const char *relation, const Form_pg_attribute att);

/* in sink_cycle.c */

/* An error if rows that the program writes to its sink come back to it. */
extern void streaming_sink_check_cycle(StreamingProgram *program);

/* in sink_table.c */
extern const StreamingSinkRoutine streaming_sink_table;

/* in sink_kafka.c */
extern const StreamingSinkRoutine streaming_sink_kafka;

/* in sink_table_sql.c */
extern char *streaming_sink_table_reset_sql(StreamingProgram *program);

/* in sink_directory.c */
extern const StreamingSinkRoutine streaming_sink_directory;

/* in sink_push.c */
extern const StreamingSinkRoutine streaming_sink_push;

/* in sink_memory.c */

/* In the first batch of a view with the sink memory. */
extern void streaming_memory_mark(int32 id, int64 batch_id);

/* If not, a crash has emptied the tables of the view since its first batch. */
extern bool streaming_memory_is_marked(int32 id);

/* in sink_console.c */
extern const StreamingSinkRoutine streaming_sink_console;

/* in sink_foreach.c */
extern const StreamingSinkRoutine streaming_sink_foreach;

/* in sink_foreach_batch.c */
extern const StreamingSinkRoutine streaming_sink_foreach_batch;

#endif							/* STREAMING_SINK_H */
