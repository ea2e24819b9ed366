/*
 * drain.c
 *		streaming.drain: waits until a view has taken all that its sources hold.
 *
 * What the sources hold is fixed at the call:
 *
 *	Kafka, directory	The session asks the source itself for its end.  The view
 *			is there when its checkpoint, read with a new snapshot, has reached
 *			it.  (Files that have no numbers yet are waited for until they do.)
 *	pushed rows			All that is committed.  The session puts a request into
 *			the view's slot; a batch that begins afterwards takes its snapshot
 *			afterwards, and so sees all of it.  Rows that the calling
 *			transaction has pushed itself are not committed and not waited for.
 *	the watermark		Follows from what was taken once the ingest worker has heard
 *			of the end of every partition; a request made after that lets a
 *			batch, if need be without rows, close what it closes.
 *	another view		It is drained first; then its changes are pushed rows.
 *	views that write to a pushed stream	Likewise, if they belong to the view's owner or
 *			the stream's, and run.  Others may write to it whatever they do, as
 *			sessions may, and nobody waits for them.
 *
 * Then, if the view's sink is a stream, it is waited for until that has delivered
 * all that was committed (sink_slots.c).  What small batches have not waited for is on
 * disk when the function returns.
 *
 * The request makes the holder of the view run it, whatever its trigger says,
 * and as long as somebody waits it runs as if asap (query_worker.c).  The
 * session sleeps on the slot's condition variable.
 *
 * A session that holds locks which the view's batches need would wait for
 * ever; since a wait on a condition variable is unknown to the deadlock
 * detector, it looks itself, about once a second, whether the worker waits for
 * it.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/progress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "streaming.h"
#include "base/durable.h"
#include "catalog/checkpoint.h"
#include "shared/shmem.h"
#include "sink/outbox.h"
#include "shared/sink_slots.h"
#include "source/kafka_identity.h"
#include "source/source.h"
#include "source/topic_numbers.h"
#include "shared/slots.h"
#include "worker/worker.h"

#define POLL_INTERVAL		100		/* ms; batches wake us, this is for the rest */
#define TROUBLE_INTERVAL	1000	/* ms between two looks for deadlocks and such */

/* Where the view is to be in a Kafka or directory stream. */
typedef struct Target
{
	Oid			stream;
	StreamingSourceKind kind;
	bool		is_pattern;		/* of many topics, some of which may go */
	StreamingSource *source;	/* NULL: end is final */
	StreamingPositions end;
	StreamingPositions start;	/* where a partition without checkpoint counts
								 * from */
	bool		timed;			/* its event time may matter */
} Target;

/* A session's place in the slot of a view. */
typedef struct Wait
{
	Oid			view;
	int			index;			/* of the slot; -1: not yet there */
	uint64		request;
	uint64		errors;			/* the slot's, at the call */
	bool		heard;			/* of the ends of all partitions, before the
								 * request */
} Wait;

/* What the slot says at one moment. */
typedef struct Look
{
	bool		served;
	bool		trouble;		/* an error since the call */
	bool		waits;			/* nobody can run it */
	char		error[STREAMING_ERROR_LENGTH];
	int			holder_pid;		/* 0: none */
} Look;

PG_FUNCTION_INFO_V1(streaming_drain);

static StreamingTime time_after(Datum interval);
static int64 drain_view(Oid view, StreamingTime deadline);
static void drain_writers(StreamingView *view, Oid stream, StreamingTime deadline);
static StreamingView *check_view(Oid relid);
static void lock_in_time(Oid relid, StreamingTime deadline);
static List *find_targets(StreamingView *view, StreamingTime deadline);
static void check_incarnation(StreamingView *view, StreamingStream *stream,
							  StreamingSource *source, int timeout);
static Target *find_target(StreamingView *view, Oid stream, StreamingSourceKind kind,
						   StreamingTime deadline);
static void settle_topics(Target *target, StreamingSource *source);
static int	source_timeout(StreamingTime deadline);
static bool targets_reached(Oid view, List *targets);
static bool targets_heard(List *targets);

static void wait_for_view(StreamingView *view, List *targets, StreamingTime deadline);
static void wait_loop(Wait *wait, StreamingView *view, List *targets, StreamingTime deadline);
static void request_run(Wait *wait, StreamingView *view);
static void stop_waiting(int code, Datum arg);
static void look_at_slot(Wait *wait, Look *look);
pg_noreturn static void report_failure(Oid view, const char *name, const char *error);
static void check_deadlock(int pid, const char *name);
static void check_unslotted(const char *name, char *error);
static void check_sink(StreamingView *view, const char *name);
static void timed_out(const char *name, List *targets);
static long wait_time(StreamingTime deadline);

/*
 * streaming.drain(view regclass, timeout interval) returns bigint: the number
 * of input rows taken in meanwhile.  timeout NULL: waits without end.  Who may
 * read the view may wait for it, but does not decide when one runs whose trigger
 * is manual.
 */
Datum
streaming_drain(PG_FUNCTION_ARGS)
{
	StreamingTime deadline = STREAMING_TIME_NEVER;
	StreamingView *view;
	int64		rows;

	streaming_require_loaded();
	streaming_refuse_in_batch("streaming.drain()");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot drain continuous views during recovery")));
	view = streaming_catalog_view(PG_GETARG_OID(0), false);
	if (pg_class_aclcheck(view->view, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		!object_ownercheck(RelationRelationId, view->view, GetUserId()))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_VIEW, get_rel_name(view->view));
	if (!PG_ARGISNULL(1))
		deadline = time_after(PG_GETARG_DATUM(1));
	rows = drain_view(view->view, deadline);
	if (synchronous_commit > SYNCHRONOUS_COMMIT_OFF)
		streaming_make_all_durable();
	PG_RETURN_INT64(rows);
}

/* interval from now on */
static StreamingTime
time_after(Datum interval)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															  TimestampTzGetDatum(now), interval));

	return TIMESTAMP_NOT_FINITE(end) ? STREAMING_TIME_NEVER : streaming_now() + (end - now);
}

static int64
drain_view(Oid relid, StreamingTime deadline)
{
	StreamingView *view;
	List	   *targets;
	StreamingSourceKind kind;
	ListCell   *lc;
	int64		before;

	/* Keeps it from being dropped until the end of the transaction. */
	lock_in_time(relid, deadline);
	view = check_view(relid);
	if (view->trigger == STREAMING_TRIGGER_MANUAL &&
		!object_ownercheck(RelationRelationId, relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of view \"%s\"", get_rel_name(relid)),
				 errdetail("Its trigger is \"manual\", so that whoever drains it says when it runs.")));
	foreach(lc, streaming_catalog_streams_of_view(relid))
	{
		if (streaming_catalog_view(lfirst_oid(lc), true))
			drain_view(lfirst_oid(lc), deadline);
		else if (streaming_is_stream(lfirst_oid(lc), &kind) && kind == STREAMING_SOURCE_PUSH)
			drain_writers(view, lfirst_oid(lc), deadline);
	}
	targets = find_targets(view, deadline);
	before = streaming_progress_read(relid).input_rows;
	wait_for_view(view, targets, deadline);
	if (OidIsValid(view->sink.relid) && streaming_is_stream(view->sink.relid, &kind) &&
		kind != STREAMING_SOURCE_PUSH)
		streaming_sink_drain(view->sink.relid, get_rel_name(relid), deadline);
	return Max(streaming_progress_read(relid).input_rows - before, 0);
}

static void
drain_writers(StreamingView *view, Oid stream, StreamingTime deadline)
{
	Oid			stream_owner = streaming_relation_owner(stream, true);
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, streaming_catalog_views())
	{
		StreamingView *writer = lfirst(lc);

		if (writer->sink.relid == stream && writer->enabled &&
			(writer->owner == view->owner || writer->owner == stream_owner))
			drain_view(writer->view, deadline);
	}
}

/* Can relid be drained in this transaction? */
static StreamingView *
check_view(Oid relid)
{
	StreamingView *view = streaming_catalog_view(relid, false);
	char	   *name = get_rel_name(relid);
	Relation	rel;

	if (!view->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view \"%s\" is paused", name),
				 errhint("Resume it with ALTER VIEW ... SET (streaming.enabled = on).")));
	if (view->restored && !streaming_restore_is_complete(view))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view \"%s\" is not restored completely yet", name),
				 errhint("A restore with data ends with REFRESH MATERIALIZED VIEW streaming_internal.restored.")));

	/* Made, altered or reset in this transaction: no batch can run before its end. */
	rel = RelationIdGetRelation(relid);
	if (CheckRelationLockedByMe(rel, ShareUpdateExclusiveLock, true))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot drain continuous view \"%s\" in the transaction that has made or changed it",
						name)));
	RelationClose(rel);
	return view;
}

/* ---- Where the view is to be ---- */

/* AccessShareLock; an error if it is not to be had until deadline. */
static void
lock_in_time(Oid relid, StreamingTime deadline)
{
	int64		left = Max(streaming_ms_until(streaming_now(), deadline), 1);
	int			guc_level = NewGUCNestLevel();

	if (left < INT_MAX && (LockTimeout == 0 || left < LockTimeout))
		(void) set_config_option("lock_timeout", psprintf("%d", (int) left), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	LockRelationOid(relid, AccessShareLock);
	AtEOXact_GUC(true, guc_level);
}

static List *
find_targets(StreamingView *view, StreamingTime deadline)
{
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, streaming_catalog_streams_of_view(view->view))
	{
		StreamingSourceKind kind;

		if (streaming_is_stream(lfirst_oid(lc), &kind) && kind != STREAMING_SOURCE_PUSH)
			targets = lappend(targets, find_target(view, lfirst_oid(lc), kind, deadline));
	}
	return targets;
}

/* ms that a call of a source may take */
static int
source_timeout(StreamingTime deadline)
{
	return (int) Max(1, Min(streaming_connect_timeout, streaming_ms_until(streaming_now(), deadline)));
}

/*
 * The end of another topic than the view has read says nothing about it.  The
 * stream's worker is told if it has not yet noticed.
 */
static void
check_incarnation(StreamingView *view, StreamingStream *stream, StreamingSource *source,
				  int timeout)
{
	int64		was = streaming_checkpoint_incarnation(view->view, stream->relid);
	StreamingStreamShared *shared;
	int64		incarnation;

	if (source->routine->identify == NULL)
		return;
	incarnation = source->routine->identify(source, timeout);
	shared = streaming_stream_use(stream->relid);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->incarnation != 0 && shared->incarnation != incarnation)
		shared->doubted = true;
	LWLockRelease(shared->lock);
	streaming_stream_release(shared);
	if (was <= 0 || was == incarnation)
		return;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	streaming_wake_ingest(stream->relid);
	LWLockRelease(streaming_slots->lock);
	if (!streaming_may_monitor(view->view))
		report_failure(view->view, get_rel_name(view->view), "");
	streaming_topic_report(stream, was);
}

static Target *
find_target(StreamingView *view, Oid relid, StreamingSourceKind kind, StreamingTime deadline)
{
	Target	   *target = palloc0(sizeof(Target));
	StreamingStream *stream;
	StreamingSource *source;
	StreamingPositions begin;
	const char *start;

	lock_in_time(relid, deadline);
	stream = streaming_stream_open(relid, streaming_relation_owner(relid, false));
	source = streaming_source_open(stream, STREAMING_READ_BATCH);
	target->stream = relid;
	target->kind = kind;
	for (int i = 0; kind == STREAMING_SOURCE_KAFKA && i < stream->tupdesc->natts; i++)
		target->timed |= stream->columns[i].watermark != NULL;
	check_incarnation(view, stream, source, source_timeout(deadline));
	source->routine->bounds(source, source_timeout(deadline), &begin, &target->end);
	start = view->start ? view->start : stream->start;
	if (start == NULL || strcmp(start, "earliest") == 0)
		target->start = begin;
	else
		source->routine->start(source, start, source_timeout(deadline), &target->start);
	target->is_pattern = streaming_stream_is_pattern(stream);
	if (target->is_pattern)
		settle_topics(target, source);
	else if (source->routine->settle)
		target->source = source;
	else
		streaming_source_close(source);

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	streaming_wake_ingest(relid);
	LWLockRelease(streaming_slots->lock);
	return target;
}

/*
 * The worker is to look at once for topics that it has not registered.  A partition
 * that has records and no checkpoint is yet to be read, wherever the view begins.
 */
static void
settle_topics(Target *target, StreamingSource *source)
{
	StreamingStreamShared *shared;

	streaming_positions_init(&target->start);
	if (source->routine->settle(source, &target->end))
	{
		streaming_source_close(source);
		return;
	}
	target->source = source;
	shared = streaming_stream_use(target->stream);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->doubted = true;
	LWLockRelease(shared->lock);
	streaming_stream_release(shared);
}

static bool
targets_reached(Oid view, List *targets)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		Target	   *target = lfirst(lc);
		StreamingPositions now;

		if (target->source)
		{
			bool		settled;

			PushActiveSnapshot(GetLatestSnapshot());
			settled = target->source->routine->settle(target->source, &target->end);
			PopActiveSnapshot();
			if (!settled)
				return false;
			streaming_source_close(target->source);
			target->source = NULL;
		}
		streaming_positions_init(&now);
		(void) streaming_checkpoint_read_positions(view, target->stream, target->kind, &now);
		for (int i = 0; i < target->end.n; i++)
		{
			int32		partition = target->end.pos[i].partition;
			int64		offset = streaming_positions_get(&now, partition);

			if (offset < 0)
				offset = streaming_positions_get(&target->start, partition);
			if (offset < target->end.pos[i].offset &&
				!(target->is_pattern && streaming_topic_is_gone(target->stream, partition)))
				return false;
		}
	}
	return true;
}

static bool
targets_heard(List *targets)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		StreamingStreamStats *stats = palloc(sizeof(StreamingStreamStats));
		Target	   *target = lfirst(lc);
		bool		heard = !target->timed ||
			(streaming_stream_stats(target->stream, stats) && stats->unheard == 0);

		pfree(stats);
		if (!heard)
			return false;
	}
	return true;
}

/* ---- Waiting ---- */

static void
wait_for_view(StreamingView *view, List *targets, StreamingTime deadline)
{
	Wait		wait = {.view = view->view, .index = -1};

	PG_ENSURE_ERROR_CLEANUP(stop_waiting, PointerGetDatum(&wait));
	{
		wait_loop(&wait, view, targets, deadline);
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop_waiting, PointerGetDatum(&wait));
	stop_waiting(0, PointerGetDatum(&wait));
}

static void
wait_loop(Wait *wait, StreamingView *view, List *targets, StreamingTime deadline)
{
	char	   *name = get_rel_name(view->view);
	StreamingTime asked = streaming_now();
	StreamingTime looked = asked;

	for (;;)
	{
		Look		look = {0};
		StreamingTime now = streaming_now();

		CHECK_FOR_INTERRUPTS();
		if (wait->index < 0)
		{
			wait->heard = targets_heard(targets);
			request_run(wait, view);
		}
		else
			ConditionVariablePrepareToSleep(&streaming_view_slots[wait->index].progressed);
		look_at_slot(wait, &look);
		if (look.trouble)
			report_failure(view->view, name, look.error);
		if (look.served)
		{
			if (wait->heard && targets_reached(view->view, targets))
				break;
			/* The rest has not come through the ingest worker yet. */
			if (streaming_time_passed(asked, now, POLL_INTERVAL))
			{
				wait->heard = targets_heard(targets);
				request_run(wait, view);
				asked = now;
			}
		}
		if (now >= deadline)
			timed_out(name, targets);
		if (streaming_time_passed(looked, now, TROUBLE_INTERVAL))
		{
			looked = now;
			if (look.holder_pid)
				check_deadlock(look.holder_pid, name);
			if (wait->index < 0 || look.waits)
				check_unslotted(name, look.error);
			(void) check_view(view->view);	/* may have been paused */
			check_sink(view, name);
		}

		if (wait->index >= 0)
			ConditionVariableTimedSleep(&streaming_view_slots[wait->index].progressed,
										wait_time(deadline), PG_WAIT_EXTENSION);
		else
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 Min(wait_time(deadline), 10), PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
		}
	}
	ConditionVariableCancelSleep();
}

static long
wait_time(StreamingTime deadline)
{
	return Min(streaming_ms_until(streaming_now(), deadline), POLL_INTERVAL);
}

/*
 * Asks for a run, the first time also enters the slot.  If the coordinator has
 * not made one yet, that is tried again.
 */
static void
request_run(Wait *wait, StreamingView *view)
{
	StreamingViewSlot *slot;
	int			index;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	index = streaming_view_slot_find(MyDatabaseId, view->view);
	if (index >= 0)
	{
		slot = &streaming_view_slots[index];
		if (wait->index < 0)
		{
			slot->drainers++;
			wait->errors = slot->errors;
			wait->index = index;
		}
		slot->generation = Max(slot->generation, view->generation);
		wait->request = ++slot->requested;
		streaming_slots->assignments++;
		streaming_wake_worker(MyDatabaseId, STREAMING_QUERY, slot->worker);
	}
	LWLockRelease(streaming_slots->lock);
}

static void
stop_waiting(int code, Datum arg)
{
	Wait	   *wait = (Wait *) DatumGetPointer(arg);
	StreamingViewSlot *slot;

	ConditionVariableCancelSleep();
	if (wait->index < 0)
		return;
	slot = &streaming_view_slots[wait->index];
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	if (slot->dboid == MyDatabaseId && slot->view == wait->view && slot->drainers > 0)
		slot->drainers--;
	streaming_slots->assignments++;
	LWLockRelease(streaming_slots->lock);
}

static void
look_at_slot(Wait *wait, Look *look)
{
	StreamingViewSlot *slot;

	if (wait->index < 0)
		return;
	slot = &streaming_view_slots[wait->index];
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	if (slot->dboid != MyDatabaseId || slot->view != wait->view)
	{
		look->trouble = true;
		strlcpy(look->error, "it does not run any more", STREAMING_ERROR_LENGTH);
	}
	else
	{
		look->served = slot->served >= wait->request;
		look->trouble = slot->errors != wait->errors && slot->status != STREAMING_VIEW_RUNNING;
		look->waits = slot->status == STREAMING_VIEW_WAITING;
		strlcpy(look->error, slot->last_error, STREAMING_ERROR_LENGTH);
		if (slot->holder >= 0)
			look->holder_pid = streaming_worker_slots[slot->holder].pid;
	}
	LWLockRelease(streaming_slots->lock);
}

/* ---- Trouble ---- */

/* The caller may drain a view over one of which he may not know what is in it. */
pg_noreturn static void
report_failure(Oid view, const char *name, const char *error)
{
	if (!streaming_may_monitor(view))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view \"%s\" has failed", name),
				 errdetail("Why is shown to its owner."),
				 errhint("See last_error in streaming.views.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("continuous view \"%s\" has failed: %s", name, error)));
}

/* Does the worker, pid, wait for a lock of ours? */
static void
check_deadlock(int pid, const char *name)
{
	ArrayType  *blockers = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
																  Int32GetDatum(pid)));
	int			n = ArrayGetNItems(ARR_NDIM(blockers), ARR_DIMS(blockers));
	int32	   *pids = (int32 *) ARR_DATA_PTR(blockers);

	for (int i = 0; i < n; i++)
	{
		if (pids[i] == MyProcPid)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
					 errmsg("deadlock detected"),
					 errdetail("Continuous view \"%s\" is being drained by a transaction that holds a lock which the view waits for.",
							   name)));
	}
	pfree(blockers);
}

/* The view has no slot: why?  Or it has, with why it is not run in error. */
static void
check_unslotted(const char *name, char *error)
{
	StreamingDatabaseSlot *database;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	database = streaming_database_slot(MyDatabaseId, false);
	if (database && error[0] == '\0')
		strlcpy(error, database->last_error, STREAMING_ERROR_LENGTH);
	LWLockRelease(streaming_slots->lock);
	if (error[0])
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("continuous view \"%s\" is not run: %s", name, error)));
}

/* The view is not run while its sink takes nothing: will it ever? */
static void
check_sink(StreamingView *view, const char *name)
{
	char		error[STREAMING_SINK_ERROR_LENGTH];

	if (OidIsValid(view->sink.relid) && streaming_outbox_full(view->sink.relid) &&
		streaming_sink_has_failed(view->sink.relid, error))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("delivery to the sink of continuous view \"%s\" has failed: %s",
						name, streaming_may_monitor(view->sink.relid) ? error :
						"see last_error in streaming.stat_sinks")));
}

/* As lock_timeout, so that WHEN OTHERS of PL/pgSQL sees it. */
static void
timed_out(const char *name, List *targets)
{
	const char *trouble = NULL;
	ListCell   *lc;

	foreach(lc, targets)
	{
		StreamingStreamStats *stats = palloc(sizeof(StreamingStreamStats));
		Target	   *target = lfirst(lc);
		const char *error = streaming_ingest_trouble(target->stream);

		if (streaming_stream_stats(target->stream, stats) && stats->last_error[0] &&
			streaming_may_monitor(target->stream))
			error = stats->last_error;
		if (error)
			trouble = psprintf("Stream \"%s\": %s", get_rel_name(target->stream), error);
	}
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("continuous view \"%s\" was not drained in time", name),
			 trouble ? errdetail("%s", trouble) : 0));
}
