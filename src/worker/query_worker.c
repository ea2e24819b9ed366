/*
 * query_worker.c
 *		Runs the batches of the views that its database's coordinator has
 *		assigned to it.
 *
 * One pass of the main loop takes up views that are newly assigned, lets go of
 * those that are not any more, and runs one batch for each role that owns a view
 * which is due: of its views the one that has waited longest.  So a view with
 * endless input starves no other one, many views of one role do not starve those
 * of another, and a view that is in trouble costs the others nothing but its
 * failed attempts.  Views that wait behind a batch which takes long are taken away
 * by the coordinator (assign.c).  When no view is
 * due the worker sleeps until its latch is set (by a reader's stream, the
 * coordinator, a drain) or a trigger or a retry is due; without those, without
 * a timeout.
 *
 * When a view is due:
 *
 *	asap		there is input (see also PACE_ROWS)
 *	interval	there is input, and a multiple of the interval has passed since
 *				the last batch began.  As in Spark, batches are aligned to
 *				multiples of the interval, and one that took longer than the
 *				interval is followed by the next at once.  Where rows that wait
 *				fill half a buffer, it runs before that: others wait for the room.
 *				It also does when it has no place in the buffer yet.
 *	manual		never by itself
 *	any			a drain has asked for a run that has not been made yet; while a
 *				drain waits, the view runs as if asap
 *
 * A view that has left something, where streaming.catch_up_rate is set, is not due for as
 * long as the rows that it has taken may last, whoever waits for it: batches take those of
 * a second at most.  One that takes all there is does not wait.
 *
 * A view whose sink stream has too much undelivered (streaming.outbox_size) is
 * not due until some of it has been.
 *
 * A view that fails is tried again after a delay that begins with RETRY_MIN and
 * doubles up to streaming.retry_max; where trying again cannot help, since the
 * query cannot be kept or names what does not exist, after streaming.retry_max,
 * for nobody tells us when it does, or when the definition changes or a drain
 * asks.  The error is in streaming.views, and in the log when it is a new one.
 *
 * Small batches of one owner's views share a transaction.  If one of them fails, all
 * are rolled back, and each runs alone next.
 *
 * A batch may be cancelled: by the coordinator, for somebody who waits for a lock
 * that it holds, such as DROP VIEW, which is no error of the view; by
 * streaming.batch_timeout; by pg_cancel_backend.  A function of a user's that
 * catches the cancel costs the whole process, which the coordinator ends.
 *
 * A batch that waits for a lock, such as that of a user's transaction on a row of
 * its sink, keeps the other views of the process waiting.  So it gives up after
 * streaming.lock_timeout, and leaves them as much time at least before it tries
 * again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "streaming.h"
#include "base/attempt.h"
#include "base/clock.h"
#include "exec/exec.h"
#include "base/statement.h"
#include "shared/slots.h"
#include "worker/query_run.h"
#include "worker/worker.h"

/* Small batches in one transaction: of so many views, and for so long, at most. */
#define SHARED_VIEWS		32
#define SHARED_TIME			3		/* ms */

/* Of StreamingRun *, in TopMemoryContext; what has run last is last. */
static List *runs = NIL;
static uint64 seen_assignments = 0;
static MemoryContext loop_context;
static TimeoutId batch_timeout;
static XLogRecPtr unflushed = InvalidXLogRecPtr;	/* end of a commit that did not wait */
static volatile sig_atomic_t timed_out = false; /* the batch has taken too long */

/* The process */
static void query_worker_connect(Oid dboid);
static void set_session_settings(void);
static void query_worker_interrupts(void);
static void end_batch(void);

/* Which views */
static void take_assignments(void);
static void hold_views(void);
static void read_slot(StreamingRun *run);
static void release_view(StreamingRun *run);

/* When */
static long run_due_views(void);
static bool flush_commits(void);

/* Running */
static void run_views(List **group, ListCell *next, List *waiting);
static void attempt_run(List **group, ListCell *next, List *waiting);
static void run_batches(List **group, ListCell *next, List *waiting, void **current);
static bool must_wait(StreamingRun *run);
static void run_batch(StreamingRun *run, bool beside);
static void end_batch_of(StreamingRun *run, double commit_ms);
static void part(List *group, StreamingRun *failed);
static void error_context(void *arg);
static void open_view(StreamingRun *run);
static void close_view(StreamingRun *run);
static void note_success(StreamingRun *run, const StreamingBatchResult *result, uint64 request);
static void note_error(StreamingRun *run);
static bool is_dropped(StreamingRun *run, int sqlerrcode);

void
streaming_query_main(Datum arg)
{
	StreamingWorkerSlot *me = streaming_worker_attach();

	query_worker_connect(me->dboid);

	for (;;)
	{
		long		timeout;
		long		stats_timeout;

		query_worker_interrupts();
		MemoryContextReset(loop_context);
		MemoryContextSwitchTo(loop_context);
		take_assignments();
		timeout = run_due_views();
		stats_timeout = streaming_worker_report_stats();

		if (timeout != 0)
		{
			if (stats_timeout >= 0 && (timeout < 0 || stats_timeout < timeout))
				timeout = stats_timeout;
			if (!streaming_runs_keep_pace(runs) && !flush_commits())
				(void) WaitLatch(MyLatch,
								 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout > 0 ? WL_TIMEOUT : 0),
								 timeout, PG_WAIT_EXTENSION);
		}
		else if (!PostmasterIsAlive())
			proc_exit(1);
		ResetLatch(MyLatch);
	}
}

/* ---- The process ---- */

static void
query_worker_connect(Oid dboid)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	set_session_settings();
	batch_timeout = RegisterTimeout(USER_TIMEOUT, end_batch);
	loop_context = AllocSetContextCreate(TopMemoryContext, "streaming query worker",
										 ALLOCSET_DEFAULT_SIZES);
}

/*
 * Settings of the database or of the superuser we connect as must not leak
 * into the views.
 *
 * synchronous_commit stays as configured, but small batches do not wait for the disk
 * (run_batches).  What they write is computed anew after a crash; and those who act on
 * what they say, by removing what was taken, do so with commits that are behind theirs in
 * the log, and wait themselves.
 *
 * read committed: a batch is read under one snapshot that is taken explicitly,
 * and what it writes into a user's table must not fail because somebody else
 * updates that table.
 */
static void
set_session_settings(void)
{
	streaming_worker_set_session();
	SetConfigOption("row_security", "on", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("work_mem", psprintf("%d", streaming_work_mem), PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", psprintf("%d", streaming_lock_timeout), PGC_SUSET, PGC_S_OVERRIDE);
}

/* Between batches. */
static void
query_worker_interrupts(void)
{
	/* A cancel that comes now comes too late for the batch it was meant for. */
	QueryCancelPending = false;
	if (ProcDiePending)
		proc_exit(0);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		set_session_settings();
	}
}

/* Timeout handler: streaming.batch_timeout has passed. */
static void
end_batch(void)
{
	timed_out = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/* ---- Which views ---- */

/*
 * Lets go of views that are assigned to others now, or that the coordinator has
 * taken away; then takes up those that are assigned to this worker and held by
 * nobody.
 */
static void
take_assignments(void)
{
	ListCell   *lc;

	/* Without the lock: who raises it sets our latch afterwards. */
	if (seen_assignments == streaming_slots->assignments)
		return;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	seen_assignments = streaming_slots->assignments;
	foreach(lc, runs)
		read_slot(lfirst(lc));
	LWLockRelease(streaming_slots->lock);

	foreach(lc, runs)
	{
		StreamingRun *run = lfirst(lc);

		if (!run->assigned)
		{
			runs = foreach_delete_current(runs, lc);
			release_view(run);
		}
		else if (run->generation < run->wanted_generation || run->kicks != run->seen_kicks)
		{
			/* Another chance for one that has failed. */
			if (run->generation < run->wanted_generation)
				close_view(run);
			run->seen_kicks = run->kicks;
			run->retry_at = 0;
		}
	}
	hold_views();
}

static void
hold_views(void)
{
	int		   *taken = palloc(sizeof(int) * streaming_slots->nviews);
	int			ntaken = 0;
	MemoryContext old;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		StreamingViewSlot *slot = &streaming_view_slots[i];

		if (slot->dboid == MyDatabaseId && slot->holder < 0 &&
			slot->worker == streaming_my_worker->number)
		{
			slot->holder = streaming_my_worker_index();
			taken[ntaken++] = i;
		}
	}
	LWLockRelease(streaming_slots->lock);

	old = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = 0; i < ntaken; i++)
	{
		StreamingViewSlot *slot = &streaming_view_slots[taken[i]];
		StreamingRun *run = palloc0(sizeof(StreamingRun));

		run->index = taken[i];
		run->input_seen = true;
		snprintf(run->name, NAMEDATALEN, "%u", slot->view);
		LWLockAcquire(streaming_slots->lock, LW_SHARED);
		run->view = slot->view;
		read_slot(run);
		run->seen_kicks = slot->kicks;
		/* What failed once in another worker's hands is tried, not waited for. */
		run->failures = slot->failures;
		if (run->failures > 1 && slot->status == STREAMING_VIEW_RETRYING)
			run->retry_at = streaming_time_plus(streaming_now(), streaming_retry_delay(run->failures));
		LWLockRelease(streaming_slots->lock);
		runs = lappend(runs, run);
	}
	MemoryContextSwitchTo(old);
}

/* Caller holds the lock. */
static void
read_slot(StreamingRun *run)
{
	StreamingViewSlot *slot = &streaming_view_slots[run->index];

	run->held = slot->view == run->view && slot->holder == streaming_my_worker_index();
	run->assigned = run->held && slot->dboid == MyDatabaseId &&
		slot->worker == streaming_my_worker->number;
	if (run->trigger_us != slot->trigger_us)
		run->due = 0;			/* of another interval, maybe a much longer one */
	run->owner = slot->owner;
	run->trigger = slot->trigger;
	run->trigger_us = slot->trigger_us;
	run->wanted_generation = slot->generation;
	run->kicks = slot->kicks;
	run->drained = slot->drainers > 0;
	run->requested = slot->requested;
	run->served = slot->served;
}

static void
release_view(StreamingRun *run)
{
	StreamingViewSlot *slot = &streaming_view_slots[run->index];

	close_view(run);
	streaming_view_forget(run->view);
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	if (run->held && slot->view == run->view && slot->holder == streaming_my_worker_index())
	{
		slot->holder = -1;
		streaming_slots->assignments++;
		if (slot->dboid == MyDatabaseId && slot->worker >= 0)
			streaming_wake_worker(MyDatabaseId, STREAMING_QUERY, slot->worker);
	}
	LWLockRelease(streaming_slots->lock);
	if (run->logged)
		pfree(run->logged);
	pfree(run);
}

/* ---- When ---- */

/*
 * Runs a batch for each role that has a view which is due.  Returns ms until the
 * next one is: 0 if some view may be due again at once, -1 if only the latch will
 * tell.
 */
static long
run_due_views(void)
{
	List	   *served = NIL;	/* of Oid: roles */
	long		timeout = -1;
	List	   *waiting = list_copy(runs);
	ListCell   *lc;

	foreach(lc, waiting)
	{
		StreamingRun *run = lfirst(lc);
		List	   *group;
		MemoryContext old;
		ListCell   *lg;

		if (list_member_oid(served, run->owner))
			continue;
		query_worker_interrupts();
		if (!streaming_run_is_due(run, streaming_now(), &timeout))
			continue;
		group = list_make1(run);
		run_views(&group, lnext(waiting, lc), waiting);
		old = MemoryContextSwitchTo(TopMemoryContext);
		foreach(lg, group)
			runs = lappend(list_delete_ptr(runs, lfirst(lg)), lfirst(lg));
		MemoryContextSwitchTo(old);
		served = lappend_oid(served, run->owner);
		timeout = 0;
	}
	return timeout;
}

/* What small batches have committed goes to disk when nothing else is due.  True: it took a while. */
static bool
flush_commits(void)
{
	if (unflushed == InvalidXLogRecPtr)
		return false;
	XLogFlush(unflushed);
	unflushed = InvalidXLogRecPtr;
	return true;
}

/* ---- Running ---- */

/*
 * Opens the one view in *group, or runs one batch and does the cleaning that is due
 * after it; an error is noted, not thrown.  Does nothing if the view has been taken
 * away.  Views of the same owner that are due are run in the same transaction and added
 * to *group, if their batches are small: most of a small batch is its commit.  They are
 * looked for from next on in waiting.
 */
static void
run_views(List **group, ListCell *next, List *waiting)
{
	StreamingRun *first = linitial(*group);
	ListCell   *lc;

	if (!streaming_view_slot_begin(first->index, first->view, first->wanted_generation))
		return;
	timed_out = false;
	streaming_worker_watch(true);
	if (streaming_batch_timeout > 0)
		enable_timeout_after(batch_timeout, streaming_batch_timeout);
	attempt_run(group, next, waiting);
	disable_timeout(batch_timeout, false);
	QueryCancelPending = false; /* too late for the batch */
	/* after who waits for the batch has been woken, who may hold a snapshot */
	foreach(lc, *group)
	{
		StreamingRun *run = lfirst(lc);

		if (run->state && run->failures == 0)
			streaming_view_vacuum(run->state);
	}
	streaming_worker_watch(false);
	streaming_worker_end();
	QueryCancelPending = false;
	MemoryContextSwitchTo(loop_context);
}

static void
attempt_run(List **group, ListCell *next, List *waiting)
{
	ErrorContextCallback callback;

	callback.callback = error_context;
	callback.arg = linitial(*group);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	PG_TRY();
	{
		if (((StreamingRun *) callback.arg)->state)
			run_batches(group, next, waiting, &callback.arg);
		else
			open_view(callback.arg);
	}
	PG_CATCH();
	{
		error_context_stack = callback.previous;
		note_error(callback.arg);
		part(*group, callback.arg);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
}

/* *current: the one whose batch is under way. */
static void
run_batches(List **group, ListCell *next, List *waiting, void **current)
{
	StreamingRun *first = linitial(*group);
	StreamingTime began = streaming_now();
	bool		waits = must_wait(first);
	bool		shares = !waits && streaming_view_may_share(first->state);
	double		commit_ms;
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, first->activity);
	streaming_batch_begin();
	run_batch(first, false);
	for (lc = next; shares && lc && list_length(*group) < SHARED_VIEWS &&
		 !streaming_time_passed(began, streaming_now(), SHARED_TIME);
		 lc = lnext(waiting, lc))
	{
		StreamingRun *run = lfirst(lc);
		long		timeout = -1;
		MemoryContext old;

		if (run->owner != first->owner || run->state == NULL || must_wait(run) ||
			!streaming_view_may_share(run->state) ||
			!streaming_run_is_due(run, streaming_now(), &timeout) ||
			!streaming_view_slot_begin(run->index, run->view, run->wanted_generation))
			continue;
		old = MemoryContextSwitchTo(loop_context);
		*group = lappend(*group, run);
		MemoryContextSwitchTo(old);
		*current = run;
		pgstat_report_activity(STATE_RUNNING, run->activity);
		run_batch(run, true);
	}
	commit_ms = streaming_batch_commit(waits || streaming_synchronous_commit);
	if (!waits && synchronous_commit > SYNCHRONOUS_COMMIT_OFF)
		unflushed = XactLastCommitEnd;
	MemoryContextSwitchTo(loop_context);
	pgstat_report_activity(STATE_IDLE, NULL);
	foreach(lc, *group)
	{
		*current = lfirst(lc);
		end_batch_of(*current, commit_ms / list_length(*group));
	}
}

/* Is the batch to be on disk when it is committed? */
static bool
must_wait(StreamingRun *run)
{
	return !run->small || run->apart || run->failures > 0 || run->drained ||
		run->trigger != STREAMING_TRIGGER_ASAP || !streaming_view_is_derived(run->state);
}

static void
run_batch(StreamingRun *run, bool beside)
{
	run->request = run->requested;
	if (run->trigger == STREAMING_TRIGGER_INTERVAL)
		streaming_run_set_due(run);
	run->began = streaming_now();
	run->ran = streaming_batch_run(run->state, run->drained, beside, &run->result);
}

/* Its transaction has been committed. */
static void
end_batch_of(StreamingRun *run, double commit_ms)
{
	StreamingBatchResult *result = &run->result;
	bool		ran = run->ran;

	if (ran)
		streaming_batch_committed(run->state, result, commit_ms);
	note_success(run, ran ? result : NULL,
				 !ran && (result->more || result->held_back) ? 0 : run->request);
	run->held_until = !ran && result->held_back ?
		streaming_time_plus(streaming_now(), HELD_BACK) : 0;
}

/* The batch of failed has failed, and with it those of the group: they are tried again. */
static void
part(List *group, StreamingRun *failed)
{
	ListCell   *lc;

	foreach(lc, group)
	{
		StreamingRun *run = lfirst(lc);

		if (run == failed)
			continue;
		run->apart = true;
		if (run->state)
			streaming_view_aborted(run->state);
	}
}

static void
error_context(void *arg)
{
	errcontext("batch of continuous view %s", ((StreamingRun *) arg)->name);
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("Another transaction holds a lock that the batch needs, perhaps on a row of its sink. The batch is tried again; streaming.lock_timeout limits how long it waits.");
}

static void
open_view(StreamingRun *run)
{
	StreamingView *view;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	streaming_reset_if_lost(run->view);
	PopActiveSnapshot();
	CommitTransactionCommand();

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	view = streaming_catalog_view(run->view, false);
	strlcpy(run->name, get_rel_name(run->view), NAMEDATALEN);
	snprintf(run->activity, sizeof(run->activity), "continuous view %s", run->name);
	run->generation = view->generation;
	run->limited = view->max_rows > 0 || view->max_files > 0;
	run->more = false;
	run->context = AllocSetContextCreate(TopMemoryContext, "streaming view",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(run->context);
	run->state = streaming_view_open(run->view);
	MemoryContextSwitchTo(loop_context);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(loop_context);
}

/* Also what an open that failed has left. */
static void
close_view(StreamingRun *run)
{
	if (run->state)
		streaming_view_close(run->state);
	run->state = NULL;
	if (run->context)
		MemoryContextDelete(run->context);
	run->context = NULL;
}

/* result: NULL if there was nothing to do. */
static void
note_success(StreamingRun *run, const StreamingBatchResult *result, uint64 request)
{
	run->more = result && result->more;
	run->small = result == NULL || result->input_rows <= STREAMING_FEW_ROWS;
	run->apart = false;
	run->paced = 0;
	run->limited_until = result ?
		streaming_time_plus(run->began, streaming_view_pause(run->state, result)) : 0;
	if (result == NULL || result->input_rows <= STREAMING_FEW_ROWS)
		run->catching_up = false;
	if (result && (run->trigger == STREAMING_TRIGGER_ASAP || run->catching_up))
	{
		if (result->input_rows > STREAMING_FEW_ROWS)
			run->paced = streaming_time_plus(run->began, LOAD_INTERVAL);
		else if (result->input_rows < PACE_ROWS && !run->drained)
			run->paced = run->began + PACE_INTERVAL;
	}
	run->failures = 0;
	if (!run->more)
		run->served = Max(run->served, request);
	run->input_seen = run->trigger == STREAMING_TRIGGER_INTERVAL &&
		(run->more || streaming_view_has_input(run->state));
	streaming_view_slot_committed(run->index, result, run->more ? 0 : request);
	if (run->logged)
	{
		pfree(run->logged);
		run->logged = NULL;
		ereport(LOG, (errmsg("continuous view %s runs again", run->name)));
	}
}

/* In PG_CATCH. */
static void
note_error(StreamingRun *run)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	disable_timeout(batch_timeout, false);
	/* parts of one that was thrown again are in memory of the transaction's */
	MemoryContextSwitchTo(loop_context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	LWLockReleaseAll();
	QueryCancelPending = false;
	if (run->state)
		streaming_view_aborted(run->state);
	MemoryContextSwitchTo(loop_context);
	run->failures++;
	run->failed_request = run->requested;
	if (is_dropped(run, error->sqlerrcode))
	{
		/* The coordinator is about to take it from us. */
		run->retry_at = streaming_time_plus(streaming_now(), streaming_retry_max);
		close_view(run);
	}
	else if (streaming_worker_is_cancelled())
	{
		run->retry_at = streaming_time_plus(streaming_now(), streaming_retry_delay(run->failures));
		ereport(LOG,
				(errmsg("a batch of continuous view %s was canceled, since another session waits for what it has locked, or the view is not to run any more",
						run->name),
				 errhint("Nothing is lost: what it had taken in is taken in again.")));
	}
	else if (timed_out && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		streaming_run_timed_out(run);
	else
		streaming_run_failed(run, error);
	/* What failed twice is opened anew, in case it is the open state's fault. */
	if (run->state == NULL || run->failures > 1)
		close_view(run);
	pgstat_report_activity(STATE_IDLE, NULL);
	RESUME_INTERRUPTS();
}

/* Is the error that the view is no more? */
static bool
is_dropped(StreamingRun *run, int sqlerrcode)
{
	bool		dropped;

	if (sqlerrcode != ERRCODE_UNDEFINED_TABLE && sqlerrcode != ERRCODE_WRONG_OBJECT_TYPE &&
		sqlerrcode != ERRCODE_INTERNAL_ERROR)
		return false;
	StartTransactionCommand();
	dropped = !streaming_catalog_has_view(run->view);
	CommitTransactionCommand();
	MemoryContextSwitchTo(loop_context);
	return dropped;
}
