/*
 * view_state.h
 *		A view as a query worker holds it from batch to batch: what view_state.c keeps and
 *		batch.c runs.
 */
#ifndef STREAMING_VIEW_STATE_H
#define STREAMING_VIEW_STATE_H

#include "exec/exec.h"
#include "exec/stage.h"
#include "catalog/planned_batch.h"
#include "catalog/progress.h"
#include "input/input.h"
#include "sink/sink.h"

struct StreamingViewState
{
	Oid			view;
	MemoryContext context;		/* of the state */
	MemoryContext program_context;	/* of all below; reset to compile anew */
	bool		valid;			/* compiled, and no relation has changed since */
	StreamingView *definition;
	StreamingProgram *program;	/* NULL, as all that follows, if it is paused */
	StreamingStageExec **stages;
	StreamingInput **inputs;	/* in the order of the program's */
	bool	   *has_input;		/* for one batch: has that input some? */
	StreamingSink *sink;
	Oid			change_stream;	/* Invalid: nobody reads the view as a stream */
	StreamingStatement write_changes;
	List	   *relations;		/* of Oid: those the program depends on */
	List	   *objects;		/* of int: hashes in the system caches of functions,
								 * types, ... that it names */
	List	   *locks;			/* of Oid: those a batch locks; the view first */
	StreamingProgress progress;
	StreamingRowPlace progress_place;
	StreamingPlannedBatch *planned; /* of the next batch; NULL: it has not called
									 * any functions yet */
	TimestampTz closed;			/* groups were closed up to here; DT_NOBEGIN: not
								 * by this process */
	StreamingTime due;			/* when the watermark may move without input */
	int			due_timeout;	/* streaming.idle_partition_timeout, as it was then */
	bool		begins_again;	/* it has been reset, and not taken all there is since */
	int64		limited_rows;	/* of the last batch, from inputs that a limit is of */
};

/* in view_state.c */

/*
 * Brings the program up to date, with the view locked.  A change of the view's
 * definition or owner invalidates the view's relcache entry.
 */
extern void streaming_view_refresh(StreamingViewState *state);

/*
 * The watermark as the inputs allow it now, the least of theirs, never less than it
 * was.  Notes when to look again.
 */
extern TimestampTz streaming_view_watermark(StreamingViewState *state, bool in_batch);

/* Does its first batch read views or tables themselves? */
extern bool streaming_view_loads_inputs(StreamingViewState *state);

/*
 * A view's first batch shows its rows for no input, loads another view, or
 * empties the sink that is to equal the result.
 */
extern bool streaming_view_runs_without_input(StreamingViewState *state);

/* Those who read the stream it writes to are to take what is there first. */
extern bool streaming_view_waits_for_readers(StreamingViewState *state);

extern bool streaming_view_calls_functions(StreamingViewState *state);

/* in batch.c: the ends of the inputs are those of the batch that was planned, if one was */
extern void streaming_batch_plan_inputs(StreamingViewState *state);

#endif							/* STREAMING_VIEW_STATE_H */
