/*
 * input.h
 *		What a batch takes in from one stream: the reader between the buffer
 *		(or the source itself) and the steps.
 *
 * Three ways to read, chosen anew for each batch:
 *
 *	buffer	   a range of the stream's unlogged buffer, written by its ingest
 *			   worker (kafka, directory)
 *	source	   the source itself, decoded here: for a view that begins long
 *			   before the buffer does or has fallen behind it
 *	snapshot   rows of a pushed stream's tables (also: the changes of another
 *			   continuous view) that the batch's snapshot sees and the last
 *			   one did not
 *
 * Rows of buffer and source carry (partition, offset).  The reader keeps the
 * next offset of each partition and passes over what is before it, so that
 * records delivered again after a crash are not taken twice, however the
 * buffer was filled.
 *
 * Rows of a stream that are changed by its records have a ctid, for the stage that
 * keeps them (exec/upsert.c), whose offset is what the record does, a StreamingChange.
 * They come in the order of their arrival.
 *
 * While a batch runs, the reader is bound to the stream's relation: a foreign
 * scan of that stream in this process returns the batch (fdw.c).  Several
 * scans of one batch are independent of each other and return the same rows.
 *
 * The calls of one batch, in their order:
 *
 *		StartTransactionCommand();
 *		streaming_input_prepare(input);			for every input, then
 *		PushActiveSnapshot(GetTransactionSnapshot());
 *		if (streaming_input_begin(input, max_rows, max_files))
 *		{
 *			... run the steps ...
 *			n = streaming_input_end(input, &more);
 *			streaming_input_checkpoint(input, batch_id);
 *		}
 *		PopActiveSnapshot();
 *		CommitTransactionCommand();
 *		streaming_input_committed(input);		_aborted after an error
 */
#ifndef STREAMING_INPUT_H
#define STREAMING_INPUT_H

#include "catalog/view.h"
#include "base/clock.h"
#include "executor/tuptable.h"
#include "port/atomics.h"
#include "source/source.h"
#include "base/statement.h"

typedef struct StreamingInput StreamingInput;
typedef struct StreamingInputScan StreamingInputScan;

/*
 * Opens view's reader of stream, in CurrentMemoryContext, in a transaction.
 * Reads the checkpoint; where there is none it begins at view->start or the
 * stream's start (resolved at the first batch; a broker that is down is an
 * error then, retried by the worker).
 */
extern StreamingInput *streaming_input_open(const StreamingView *view, Oid stream);

/*
 * Lets the reader follow the event time, column attno of the stream.  After
 * opening, in a transaction.  rescanned is called whenever a scan of a batch
 * begins anew.
 */
extern void streaming_input_track(StreamingInput *input, AttrNumber attno,
								  void (*rescanned) (void));

/*
 * The event time that the stream has reached: the smallest of its active
 * partitions' largest ones (see input_event_time.c); DT_NOBEGIN: not known.
 * in_batch: with the rows of the batch, after streaming_input_finish.  *due: when
 * an idle partition may change the answer, NEVER: only rows will.
 */
extern TimestampTz streaming_input_event_time(StreamingInput *input, bool in_batch,
											  StreamingTime now, StreamingTime *due);

/*
 * Has the reader left so much that there is hardly room for new rows, or that
 * sessions which push wait for it, or is it about to miss the buffer (shared memory
 * only)?
 */
extern bool streaming_input_is_urgent(StreamingInput *input);

/* Is it in the buffer, and has few rows to take there (shared memory only)? */
extern bool streaming_input_is_short(StreamingInput *input);

/* Leaves the buffer.  Frees.  Must not ereport. */
extern void streaming_input_close(StreamingInput *input);

/*
 * Shared memory only: may there be rows?  May say true for nothing.  Also true
 * if the stream has stopped with an error, which streaming_input_begin raises.
 */
extern bool streaming_input_available(StreamingInput *input);

/*
 * First call of a batch, in its transaction, before the transaction takes the
 * snapshot that is active at streaming_input_begin.  Locks what is read.
 */
extern void streaming_input_prepare(StreamingInput *input);

/*
 * Fixes the end of the batch: what is there now, at most max_rows rows (0: the
 * setting streaming.batch_rows for reads of the source; buffer: all that is
 * there, up to half of the buffer) and max_files files, and binds the reader.
 * In the batch's transaction, with its snapshot active (a pushed stream's batch
 * ends with that snapshot, and max_rows does not concern it).  Returns false,
 * unbound, if there is nothing to take.  A batch may turn out to have no rows:
 * it still moves the position.
 *
 * Errors: the source's, with on_error 'stop' the decoder's.
 */
extern bool streaming_input_begin(StreamingInput *input, int64 max_rows, int64 max_files);

/*
 * Binds the reader with no rows, after begin has returned false, for a batch
 * that runs without input.  The position does not move; nothing is to be
 * checkpointed or committed.
 */
extern void streaming_input_begin_empty(StreamingInput *input);
extern void streaming_input_end_empty(StreamingInput *input);

/*
 * In a batch without rows of a pushed stream: all the same writes down where it
 * stands, which tells a view that has begun from one that is to begin anew.
 */
extern void streaming_input_checkpoint_empty(StreamingInput *input, int64 batch_id);

/*
 * The view has been reset, and what the reader takes until it has taken all there is
 * is for that.
 */
extern void streaming_input_show_reset(StreamingInput *input);

/*
 * The batch reads what the input is the changes of: a table, or a view.  Returns where to
 * write how many rows have come of it; counted: somebody will.  Until the batch's end.
 */
extern pg_atomic_uint64 *streaming_input_show_load(StreamingInput *input, bool counted);

/* Is it of a pushed stream, of which a batch takes all there is? */
extern bool streaming_input_is_pushed(StreamingInput *input);

/* How many rows has the batch, as far as can be told before reading them? */
extern StreamingSize streaming_input_size(StreamingInput *input);

/*
 * Between the two, scans of a batch that is bulk return only some of its first
 * rows.  groups: how many these rows have come to; is set to how many the batch may
 * come to, and *rows to how many it may have.  Returns the size that the batch is
 * to be taken for: bulk only if it has many rows to a group.
 */
extern void streaming_input_begin_sample(StreamingInput *input);
extern StreamingSize streaming_input_end_sample(StreamingInput *input, int64 *groups,
												int64 *rows);

/*
 * Reads what the steps left unread (a join with an empty table does not ask for
 * its other side).  After it the position and the event time are known.
 */
extern void streaming_input_finish(StreamingInput *input);

/*
 * The steps are done: reads what they left unread, unbinds.  Returns the number
 * of input rows of the batch; *more if a limit ended it.  After it the position
 * is known.
 */
extern int64 streaming_input_end(StreamingInput *input, bool *more);

/*
 * The positions that the batch moves to, after streaming_input_finish: returns how
 * many, as the columns of streaming.checkpoints have them.
 */
extern int	streaming_input_positions(StreamingInput *input, char ***partitions,
									  char ***positions);

/*
 * The next batch is one that was tried before: it is to end at these positions (at
 * least one), whatever there is behind them.  After opening, in a transaction.
 */
extern void streaming_input_plan(StreamingInput *input, int n, char *const *partitions,
								 char *const *positions);

/* Writes the position to streaming.checkpoints, in the batch's transaction. */
extern void streaming_input_checkpoint(StreamingInput *input, int64 batch_id);

/* The transaction has committed, or was aborted (also if none was begun). */
extern void streaming_input_committed(StreamingInput *input);
extern void streaming_input_aborted(StreamingInput *input);

/*
 * A view of a pushed stream was made or begins anew, in the current transaction:
 * writes its first checkpoint.  With view->start "latest" it fixes the place, so
 * that rows pushed after the view's creation are never missed; else it has
 * taken nothing.  Does nothing for other streams.
 */
extern void streaming_input_initialize(const StreamingView *view, Oid stream);

/*
 * Number of committed rows of a pushed stream that view has not taken; as
 * expensive as reading them.  In a transaction with an active snapshot.  -1: it
 * cannot be told (streaming_push_is_readable).
 */
extern int64 streaming_input_push_lag(Oid view, Oid stream);

/* Ditto, of pushed rows behind a position as in streaming.checkpoints; NULL: all. */
extern int64 streaming_input_push_rest(Oid stream, const char *position);

/* For fdw.c: the reader bound to relation relid in this process, or NULL. */
extern StreamingInput *streaming_input_bound(Oid relid);

/*
 * Is a reader of relid open in this process?  *rows: what to plan a batch like
 * its present one for.
 */
extern bool streaming_input_estimate(Oid relid, double *rows);

/*
 * A scan of the batch other than those below has come to the end: it has so many
 * rows.
 */
extern void streaming_input_scanned(StreamingInput *input, int64 rows, bool more);

/* Scans of the batch of a bound reader. */
extern StreamingInputScan *streaming_input_scan_open(StreamingInput *input);
extern TupleTableSlot *streaming_input_scan_next(StreamingInputScan *scan); /* NULL: end */
extern void streaming_input_scan_rescan(StreamingInputScan *scan);
extern void streaming_input_scan_close(StreamingInputScan *scan);

#endif							/* STREAMING_INPUT_H */
