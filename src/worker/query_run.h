/*
 * query_run.h
 *		A view that a query worker holds: what query_worker.c, query_due.c and query_error.c
 *		share.
 */
#ifndef STREAMING_QUERY_RUN_H
#define STREAMING_QUERY_RUN_H

#include "base/clock.h"
#include "exec/exec.h"
#include "shared/slots.h"

/*
 * Rows that trickle in are taken in small groups: a batch of fewer than
 * PACE_ROWS is followed by the next PACE_INTERVAL after it began, at the
 * earliest.  Most of such a batch is what does not depend on its rows, such as its commit;
 * a thousand rows a second need not be a thousand of them.  A row that comes
 * alone does not wait, nor does one that a drain waits for.
 *
 * Rows that pour in are taken in large groups: a batch of more than
 * STREAMING_FEW_ROWS is followed by the next LOAD_INTERVAL after it began, at
 * the earliest.  What is done once a batch and once for each group in it is then
 * done less often, and the processes that bring the rows get the time.
 */
#define PACE_ROWS			100
#define PACE_INTERVAL		1800	/* us */
#define PACE_SLACK			500		/* us before that; a wait for the latch is one of whole ms */
#define LOAD_INTERVAL		20		/* ms */

#define HELD_BACK			50		/* ms until the sink of a view is looked at again */

/* A view that this worker holds. */
typedef struct StreamingRun
{
	int			index;			/* of its slot */
	Oid			view;
	Oid			owner;
	char		name[NAMEDATALEN];
	char		activity[NAMEDATALEN + 32]; /* for pg_stat_activity */

	/* copied from the slot at each pass */
	bool		held;			/* by this worker */
	bool		assigned;		/* and still to be */
	StreamingTriggerKind trigger;
	int64		trigger_us;
	int64		wanted_generation;
	uint64		kicks;
	bool		drained;		/* somebody waits */
	uint64		requested;
	uint64		served;

	MemoryContext context;		/* holds state */
	StreamingViewState *state;	/* NULL: not open */
	int64		generation;		/* state's */
	bool		limited;		/* has a limit of rows or files per trigger */

	bool		more;			/* the last batch left something */
	StreamingTime began;		/* the last batch */
	StreamingTime paced;		/* asap: not before */
	StreamingTime held_until;	/* not before, unless drained: readers of its sink are
								 * to go on first */
	StreamingTime limited_until;	/* not before: streaming.catch_up_rate */
	StreamingTime due;			/* interval: not before */
	int64		due_offset;		/* between the two clocks, when due was set */
	bool		input_seen;		/* interval: there was input before it was due */
	bool		catching_up;	/* interval: runs as if asap, until that has taken
								 * all there is: rows are cheapest when they have
								 * just come */

	uint64		seen_kicks;
	bool		small;			/* the last batch had few rows */
	bool		apart;			/* one in which it shared a transaction has failed: not
								 * again before it has run alone */

	/* of the transaction that is under way */
	StreamingBatchResult result;
	bool		ran;			/* result is one */
	uint64		request;		/* that was read before */

	int			failures;		/* in a row */
	uint64		failed_request; /* the request that was open then */
	StreamingTime retry_at;
	StreamingTime logged_at;
	char	   *logged;			/* message logged last, in TopMemoryContext */
} StreamingRun;

/* in query_due.c */

/* If it is not due, lowers *timeout to the time it will be, if that is known. */
extern bool streaming_run_is_due(StreamingRun *run, StreamingTime now, long *timeout);

/*
 * Where all views wait for their pace, sleeps until the first of them is due, without the
 * latch: each row that is brought meanwhile would wake us in vain.  False: there is another
 * thing to wait for.
 */
extern bool streaming_runs_keep_pace(List *runs);

/*
 * The next batch begins when the wall clock comes to a multiple of the interval,
 * counted from the Unix epoch.
 */
extern void streaming_run_set_due(StreamingRun *run);

/* in query_error.c */

/* The batch has failed: shown, logged if that is news, and tried again later. */
extern void streaming_run_failed(StreamingRun *run, ErrorData *error);

/* Ditto, it has taken too long. */
extern void streaming_run_timed_out(StreamingRun *run);

/* ms, after so many failures in a row */
extern int	streaming_retry_delay(int failures);

#endif							/* STREAMING_QUERY_RUN_H */
