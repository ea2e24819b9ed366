/*
 * exec.h
 *		Rows through the steps: running one batch of one view.
 */
#ifndef STREAMING_EXEC_H
#define STREAMING_EXEC_H

#include "catalog/view.h"
#include "base/clock.h"
#include "shared/batch_result.h"
#include "utils/timestamp.h"

/*
 * A view as a query worker holds it from batch to batch: the compiled program,
 * its prepared plans, its readers of the streams.  Lives in a memory context of
 * its own below the one it was opened in.
 */
typedef struct StreamingViewState StreamingViewState;

/* in view_state.c */

/*
 * Opens view.  Called in a transaction (of the caller's).  Errors as the
 * compiler's.
 */
extern StreamingViewState *streaming_view_open(Oid view);

/*
 * Closes it; leaves the readers, so that the streams' buffers can go on.  What
 * this process knows of its tables it still knows when the view is opened again,
 * until streaming_view_forget: when another process is going to run it.
 */
extern void streaming_view_close(StreamingViewState *state);
extern void streaming_view_forget(Oid view);

/*
 * Is there input for it (shared memory only, no transaction)?  May say true
 * for nothing, never false for something.
 */
extern bool streaming_view_has_input(StreamingViewState *state);

/*
 * Has its sink so much undelivered that the view is not to run now (shared
 * memory only)?
 */
extern bool streaming_view_is_held_back(StreamingViewState *state);

/*
 * Should it take its input soon, since others wait for the room, or since it will
 * be dearer to get at (shared memory only)?
 */
extern bool streaming_view_is_urgent(StreamingViewState *state);

/*
 * When it is to be run although nothing comes, since the watermark may move, or
 * NEVER.  As the last run has found.
 */
extern StreamingTime streaming_view_due(StreamingViewState *state);

/* in batch.c */

/*
 * ms from the beginning of the batch that has just run to the next one, at least, as
 * streaming.catch_up_rate has it; 0: none.
 */
extern int64 streaming_view_pause(StreamingViewState *state, const StreamingBatchResult *result);

/*
 * A transaction for a batch, or for small batches of several views of one owner: begin
 * outside a transaction; run for each view; commit; then committed for each, in any
 * memory context.  On error the caller aborts the transaction, then calls
 * streaming_view_aborted for each; the states stay usable (retry with back-off).
 *
 * run returns false if there was nothing to do, or, with more set in *result, if
 * the view is not to run now, though the caller does not know yet: it has been paused,
 * or runs only when it is drained; or with held_back.  drained: somebody waits for it.
 * beside: others have run in the transaction, so no lock is waited for; also held_back.
 * wait: for the disk, if synchronous_commit says so.
 */
extern void streaming_batch_begin(void);
extern bool streaming_batch_run(StreamingViewState *state, bool drained, bool beside,
								StreamingBatchResult *result);
extern double streaming_batch_commit(bool wait);	/* ms that it took */
extern void streaming_batch_committed(StreamingViewState *state, StreamingBatchResult *result,
									  double commit_ms);
extern void streaming_view_aborted(StreamingViewState *state);

/* Does a batch write nothing but what can be computed again from the input? */
extern bool streaming_view_is_derived(StreamingViewState *state);

/*
 * Is the next batch, as far as shared memory tells, small, and may it share a transaction with
 * others?  Not if a rollback does not take back what it does, or its input is locked
 * in ways of its own.
 */
extern bool streaming_view_may_share(StreamingViewState *state);

/*
 * After a batch: VACUUMs the tables of state from which much has been removed,
 * if there are any, and makes the index on the key of its result when it is time
 * (result_index.c).  Must be called outside a transaction; throws no error.
 */
extern void streaming_view_vacuum(StreamingViewState *state);

/* in partial.c: planner hook for aggregations of marked statements */
extern void streaming_query_init(void);	/* from _PG_init */

/* in look_up.c: a way of the planner's to read tables of state */
extern void streaming_look_up_init(void);	/* ditto */

#endif							/* STREAMING_EXEC_H */
