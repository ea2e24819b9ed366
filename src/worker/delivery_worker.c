/*
 * delivery_worker.c
 *		Takes the messages of one stream out of the outbox and hands them to its
 *		place, exactly once.
 *
 * The coordinator starts one such process per stream that is written to; it ends
 * when there has been nothing to do for streaming.delivery_idle_timeout.  It
 * makes attempts: an attempt opens the place, asks it about the delivery
 * in doubt, and then makes deliveries until something fails or the definition of
 * the stream changes.  An error ends the attempt, never the process; it is shown
 * in streaming.stat_sinks, logged, and followed by the next attempt after a
 * pause.
 *
 * A delivery goes like this (delivery.h has the place's side); a transaction
 * marked with * waits until it is on disk, whatever synchronous_commit says:
 *
 *		* settle:	delete the rows of delivery n - 1, which has happened;
 *					n is what the snapshot of this transaction sees, up to a
 *					bound; if it is due, write that down
 *		begin, write ...		reading the outbox in portions, a transaction each
 *		prepare
 *		* note:		if the place has one
 *		commit
 *
 * So between deliveries there is one write to the disk, and another one for
 * files.  The first also makes durable everything the delivery reads: it was
 * committed before the snapshot was taken.
 *
 * What is in doubt after a crash or an error is the delivery that was intended
 * last.  If the place says that it has happened, it is settled; else it is made
 * again of the same rows: those that its snapshot sees, up to its bound, which
 * nobody deletes but this worker.
 *
 * There is never a second worker of the stream: slots.c sees to that within this
 * server.  A copy of the server is the place's concern.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"
#include "utils/xid8.h"

#include "base/vacuum.h"
#include "worker/delivery_attempt.h"
#include "shared/slots.h"
#include "shared/notify.h"
#include "worker/worker.h"

#define DELIVERY_BYTES	(32 * 1024 * 1024)	/* of one delivery, about */
#define PORTION_BYTES	(1024 * 1024)	/* read in one transaction, about */
#define RETRY_MIN		100		/* ms, doubled up to streaming.retry_max */
#define FAILED_RETRY	60000	/* ms, at least, where only a user can help */
#define RELOG_INTERVAL	600000	/* ms after which an error is logged again */

/* Chunks deleted since the last VACUUM that call for another one. */
#define VACUUM_IDLE		1000
#define VACUUM_BUSY		20000

/* What the slot says at one moment. */
typedef struct Look
{
	StreamingBacklog backlog;
	int64		written_messages;
	int64		written_bytes;
	uint64		requested;
	bool		urgent;			/* somebody waits */
} Look;

static StreamingSinkSlot *sink = NULL;	/* ours as long as we are in it */
static bool definition_changed = false;
static bool leaves_idle = false;
static bool progressed = false; /* the attempt has delivered something */
static int64 deleted = 0;		/* chunks since the last VACUUM */
static char *logged = NULL;		/* message logged last */
static StreamingTime logged_at = 0;

/* The process */
static void delivery_connect(Oid dboid, Oid stream);
static void set_session_settings(void);
static void enter_slot(Oid stream);
static void leave_slot(int code, Datum arg);
static void leave_idle(void);
static void relation_changed(Datum arg, Oid relid);
static void catalog_changed(Datum arg, int cacheid, uint32 hashvalue);

/* Attempts */
static bool run_attempt(Oid stream, bool *failed);
static void make_deliveries(StreamingDeliveryAttempt *attempt);
static void resolve_doubt(StreamingDeliveryAttempt *attempt);
static bool show_error(ErrorData *error);
static bool log_is_due(const char *message);
static void pause_after_error(int failures, bool failed);

/* Deliveries */
static bool settle(StreamingDeliveryAttempt *attempt, long *timeout);
static void take_look(StreamingDeliveryAttempt *attempt, Look *look);
static bool is_due(StreamingDeliveryAttempt *attempt, Look *look, long *timeout);
static void delete_delivered(StreamingDeliveryAttempt *attempt, StreamingOutboxExtent *done);
static bool intend(StreamingDeliveryAttempt *attempt, Look *look, StreamingOutboxExtent *extent);
static void show_progress(StreamingDeliveryAttempt *attempt, Look *look, StreamingOutboxExtent *done,
						  bool empty);
static void deliver(StreamingDeliveryAttempt *attempt);
static void advance_horizon(StreamingDeliveryAttempt *attempt, StreamingOutboxHorizon horizon,
							Datum snapshot);
static StreamingOutboxPlace nothing_up_to(StreamingDeliveryAttempt *attempt);
static void write_messages(StreamingDeliveryAttempt *attempt);
static void write_note(StreamingDeliveryAttempt *attempt, const char *note);
static void wait_for_more(StreamingDeliveryAttempt *attempt, long timeout);

void
streaming_delivery_main(Datum arg)
{
	StreamingWorkerSlot *me = streaming_worker_attach();
	Oid			stream = me->stream;
	int			failures = 0;

	delivery_connect(me->dboid, stream);
	for (;;)
	{
		bool		failed = false;
		bool		good;

		streaming_worker_interrupts(set_session_settings);
		progressed = false;
		good = run_attempt(stream, &failed);
		if (progressed)
			failures = 0;
		if (!good)
			pause_after_error(failures++, failed);
	}
}

/* ----------
 * The process
 * ----------
 */

static void
delivery_connect(Oid dboid, Oid stream)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	set_session_settings();

	CacheRegisterRelcacheCallback(relation_changed, ObjectIdGetDatum(stream));
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, catalog_changed, (Datum) 0);
	enter_slot(stream);
	before_shmem_exit(leave_slot, (Datum) 0);
}

static void
set_session_settings(void)
{
	streaming_worker_set_session();
	SetConfigOption("vacuum_cost_delay", "0", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
enter_slot(Oid stream)
{
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	sink = streaming_sink_slot(stream, true);
	if (sink)
	{
		sink->pid = MyProcPid;
		sink->latch = MyLatch;
	}
	LWLockRelease(streaming_sinks->lock);
	if (sink == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("cannot deliver to more than %d streams", streaming_max_streams),
				 errhint("Increase streaming.max_streams.")));
}

static void
leave_slot(int code, Datum arg)
{
	int64		messages;
	int64		bytes;
	bool		wanted;

	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	streaming_sink_pending(sink, &messages, &bytes);
	wanted = messages > 0 || sink->requested > sink->served;
	sink->pid = 0;
	sink->latch = NULL;
	LWLockRelease(streaming_sinks->lock);
	ConditionVariableBroadcast(&sink->progressed);

	/* Who has come after our last look relies on us. */
	if (wanted || leaves_idle)
		streaming_workers_notify_now();
}

/*
 * There has been nothing to do for long: the place in the server goes to
 * others.  Who writes to the stream next has a worker started again.
 */
static void
leave_idle(void)
{
	leaves_idle = true;
	proc_exit(0);
}

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == DatumGetObjectId(arg))
		definition_changed = true;
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	definition_changed = true;
}

/* ----------
 * Attempts
 * ----------
 */

/*
 * Returns true if the next attempt should follow at once; *failed: only a user
 * can help.
 */
static bool
run_attempt(Oid stream, bool *failed)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "streaming delivery",
												  ALLOCSET_DEFAULT_SIZES);
	StreamingDeliveryAttempt *attempt =
		MemoryContextAllocZero(context, sizeof(StreamingDeliveryAttempt));
	volatile bool good = true;

	attempt->stream = stream;
	attempt->slot = sink;
	attempt->context = context;
	attempt->row_context = AllocSetContextCreate(context, "streaming delivery row",
												 ALLOCSET_SMALL_SIZES);
	attempt->portion_context = AllocSetContextCreate(context, "streaming outbox portion",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	PG_TRY();
	{
		make_deliveries(attempt);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (log_is_due(error->message))
			EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		LWLockReleaseAll();
		*failed = show_error(error);
		good = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();

	MemoryContextSwitchTo(context);
	if (attempt->delivery)
	{
		if (attempt->begun && attempt->delivery->routine->abort)
			attempt->delivery->routine->abort(attempt->delivery);
		attempt->delivery->routine->close(attempt->delivery);
	}
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	return good;
}

static void
make_deliveries(StreamingDeliveryAttempt *attempt)
{
	streaming_stop_point("delivery_opening");
	definition_changed = false;
	streaming_delivery_open(attempt);
	resolve_doubt(attempt);
	while (!definition_changed || attempt->happened)
	{
		long		timeout = -1;

		bool		intended;

		streaming_worker_interrupts(set_session_settings);
		if (sink->restart != STREAMING_RESTART_NO)
			definition_changed = true;
		intended = settle(attempt, &timeout);
		if (deleted >= (intended ? VACUUM_BUSY : VACUUM_IDLE))
		{
			streaming_vacuum(STREAMING_INTERNAL_SCHEMA, "outbox", true);
			streaming_vacuum(STREAMING_INTERNAL_SCHEMA, "outbox_transactions", true);
			deleted = 0;
		}
		else if (!intended && !definition_changed)
			wait_for_more(attempt, timeout);
		if (intended)
			deliver(attempt);
	}
}

/* Asks the place what it has, and makes a delivery that it has not. */
static void
resolve_doubt(StreamingDeliveryAttempt *attempt)
{
	StreamingDelivery *delivery = attempt->delivery;
	StreamingDeliveryRow *row = &attempt->row;
	bool		happened;

	delivery->token = row->token;
	happened = delivery->routine->recover(delivery, row->number, !row->pending, row->note);
	if (!row->pending)
		return;
	if (happened)
		attempt->happened = true;
	else
		deliver(attempt);
}

/* Returns whether only a user can help. */
static bool
show_error(ErrorData *error)
{
	bool		failed = error->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
		error->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED;

	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	sink->status = failed ? STREAMING_SINK_FAILED : STREAMING_SINK_RETRYING;
	snprintf(sink->last_error, STREAMING_SINK_ERROR_LENGTH, "%s%s%s%s%s", error->message,
			 error->detail ? "\nDETAIL:  " : "", error->detail ? error->detail : "",
			 error->hint ? "\nHINT:  " : "", error->hint ? error->hint : "");
	/* a cut may have left half of a character */
	sink->last_error[pg_mbcliplen(sink->last_error, strlen(sink->last_error),
								  strlen(sink->last_error))] = '\0';
	sink->errors++;
	LWLockRelease(streaming_sinks->lock);
	ConditionVariableBroadcast(&sink->progressed);
	pgstat_report_activity(STATE_IDLE, NULL);
	return failed;
}

void
streaming_delivery_trouble(const char *text)
{
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	sink->status = STREAMING_SINK_RETRYING;
	strlcpy(sink->last_error, text, STREAMING_SINK_ERROR_LENGTH);
	LWLockRelease(streaming_sinks->lock);
}

/* An error is logged when it is another one than before, or time has passed. */
static bool
log_is_due(const char *message)
{
	StreamingTime now = streaming_now();

	if (logged && strcmp(logged, message) == 0 &&
		!streaming_time_passed(logged_at, now, RELOG_INTERVAL))
		return false;
	if (logged)
		pfree(logged);
	logged = MemoryContextStrdup(TopMemoryContext, message);
	logged_at = now;
	return true;
}

/* Ended by a change of the definition, and by who asks for a delivery. */
static void
pause_after_error(int failures, bool failed)
{
	long		delay = failed ? Max(streaming_retry_max, FAILED_RETRY) : RETRY_MIN;
	uint64		requested = sink->requested;

	for (int i = 0; i < failures && delay < streaming_retry_max; i++)
		delay *= 2;
	if (!failed)
		delay = Min(delay, streaming_retry_max);

	while (delay > 0 && sink->requested == requested &&
		   sink->restart == STREAMING_RESTART_NO)
	{
		StreamingTime start = streaming_now();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 delay, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		streaming_worker_interrupts(set_session_settings);
		AcceptInvalidationMessages();
		if (definition_changed)
			return;
		delay -= (streaming_now() - start) / 1000;
	}
}

/* ----------
 * Deliveries
 * ----------
 */

/*
 * Settles the delivery that has happened, if any, and intends the next one, in
 * one transaction.  False: there is none, or none is due for *timeout ms (-1:
 * until the latch is set).
 */
static bool
settle(StreamingDeliveryAttempt *attempt, long *timeout)
{
	Look		look;
	StreamingOutboxExtent done = {0};
	StreamingOutboxExtent next = {0};
	bool		due;
	bool		intended = false;

	take_look(attempt, &look);
	due = !definition_changed && is_due(attempt, &look, timeout);
	if (!attempt->happened && !due)
		return false;

	streaming_delivery_begin(attempt);
	if (attempt->happened)
		delete_delivered(attempt, &done);
	if (due)
		intended = intend(attempt, &look, &next);
	if (attempt->happened || intended)
	{
		streaming_delivery_write(&attempt->row, false);
		ForceSyncCommit();
	}
	streaming_delivery_commit(attempt);
	show_progress(attempt, &look, &done, due && !intended && !definition_changed);
	attempt->happened = false;
	if (done.chunks > 0)
		streaming_stop_point("delivery_settled");
	/* who asked before the look is served when all that it saw is delivered */
	attempt->serves = next.more ? 0 : look.requested;
	attempt->more = next.more;
	return intended;
}

static void
take_look(StreamingDeliveryAttempt *attempt, Look *look)
{
	memset(look, 0, sizeof(*look));
	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	streaming_sink_pending(sink, &look->backlog.messages, &look->backlog.bytes);
	look->written_messages = sink->written_messages;
	look->written_bytes = sink->written_bytes;
	look->requested = sink->requested;
	look->urgent = sink->requested > sink->served;
	LWLockRelease(streaming_sinks->lock);
}

/* Is there anything to look for, and is it time? */
static bool
is_due(StreamingDeliveryAttempt *attempt, Look *look, long *timeout)
{
	StreamingDelivery *delivery = attempt->delivery;
	StreamingTime now;
	int64		ms;

	if (look->urgent)
		return true;
	if (look->backlog.messages == 0)
	{
		attempt->waiting_since = 0;
		return false;
	}
	if (delivery->routine->due == NULL)
		return true;
	now = streaming_now();
	if (attempt->waiting_since == 0)
		attempt->waiting_since = now;
	look->backlog.age = (now - attempt->waiting_since) / 1000;
	ms = delivery->routine->due(delivery, &look->backlog);
	*timeout = (long) Min(ms, PG_INT32_MAX);
	return ms <= 0;
}

static void
delete_delivered(StreamingDeliveryAttempt *attempt, StreamingOutboxExtent *done)
{
	StreamingDeliveryRow *row = &attempt->row;
	Datum		snapshot = DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(row->snapshot));

	PushActiveSnapshot(GetTransactionSnapshot());
	streaming_outbox_delete(attempt->stream, attempt->after, row->bound, snapshot, done);
	PopActiveSnapshot();
	CommandCounterIncrement();
	row->pending = false;
	row->snapshot = row->note = NULL;
	row->messages += done->messages;
	row->bytes += done->bytes;
	row->delivered_at = GetCurrentTimestamp();
}

/*
 * What is visible now, up to a bound, is the next delivery.  There is none if the
 * stream has changed, since what has been written after that belongs to the new one.
 */
static bool
intend(StreamingDeliveryAttempt *attempt, Look *look, StreamingOutboxExtent *extent)
{
	StreamingDeliveryRow *row = &attempt->row;
	StreamingOutboxPlace after = attempt->happened ? attempt->next_after : attempt->after;
	StreamingOutboxHorizon horizon;
	MemoryContext old;
	Datum		snapshot;

	horizon.lsn = GetXLogInsertRecPtr();
	horizon.next_xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	PushActiveSnapshot(GetLatestSnapshot());
	AcceptInvalidationMessages();
	snapshot = DirectFunctionCall1(pg_current_snapshot, (Datum) 0);
	advance_horizon(attempt, horizon, snapshot);
	if (!definition_changed)
		streaming_outbox_look(attempt->stream, after, snapshot,
							  Max(attempt->delivery->best_bytes, DELIVERY_BYTES),
							  attempt->delivery->routine->whole_transactions, extent);
	PopActiveSnapshot();
	if (extent->chunks == 0)
		return false;

	MemoryContextReset(attempt->row_context);
	old = MemoryContextSwitchTo(attempt->row_context);
	row->number++;
	row->pending = true;
	row->token = streaming_new_uuid();
	row->snapshot = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, snapshot));
	row->bound = extent->last;
	row->note = NULL;
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * After the commit of settle.  empty: it has found nothing, so what had been
 * written at the time of the look is taken.
 */
static void
show_progress(StreamingDeliveryAttempt *attempt, Look *look, StreamingOutboxExtent *done, bool empty)
{
	StreamingDeliveryRow *row = &attempt->row;

	if (attempt->happened)
		attempt->after = attempt->next_after;
	deleted += done->chunks;

	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	sink->taken_messages += done->messages;
	sink->taken_bytes += done->bytes;
	if (attempt->happened)
		sink->served = Max(sink->served, attempt->serves);
	if (empty)
	{
		sink->taken_messages = look->written_messages;
		sink->taken_bytes = look->written_bytes;
		sink->served = Max(sink->served, look->requested);
	}
	sink->delivered_messages = row->messages;
	sink->delivered_bytes = row->bytes;
	sink->delivered_at = row->delivered_at;
	if (attempt->happened || empty)
	{
		sink->status = STREAMING_SINK_RUNNING;
		sink->last_error[0] = '\0';
	}
	LWLockRelease(streaming_sinks->lock);
	ConditionVariableBroadcast(&sink->progressed);

	if (attempt->happened || empty)
	{
		progressed = true;
		if (empty || !attempt->more)
			attempt->waiting_since = 0;
		if (logged)
			ereport(LOG, (errmsg("delivery to stream %s goes on",
								 attempt->delivery->stream->name)));
		if (logged)
			pfree(logged);
		logged = NULL;
	}
}

/*
 * A transaction has its place before others see it.  So places before the end of
 * the log may yet come up, but only as long as a transaction runs whose id is below
 * the one to come: when snapshot has none of these, it sees all there will be.
 */
static void
advance_horizon(StreamingDeliveryAttempt *attempt, StreamingOutboxHorizon horizon, Datum snapshot)
{
	Datum		xmin = DirectFunctionCall1(pg_snapshot_xmin, snapshot);

	if (U64FromFullTransactionId(DatumGetFullTransactionId(xmin)) < attempt->horizon.next_xid)
		return;
	attempt->all_seen = attempt->horizon.lsn;
	attempt->horizon = horizon;
}

/*
 * A place up to which there will be nothing when the delivery is settled: its
 * bound, or if that is less the place before which its snapshot has seen all.
 */
static StreamingOutboxPlace
nothing_up_to(StreamingDeliveryAttempt *attempt)
{
	StreamingOutboxPlace place = {attempt->all_seen, 0, 0};

	return place.lsn <= attempt->row.bound.lsn ? place : attempt->row.bound;
}

/* Makes the delivery that is intended. */
static void
deliver(StreamingDeliveryAttempt *attempt)
{
	StreamingDelivery *delivery = attempt->delivery;
	const StreamingDeliveryRoutine *routine = delivery->routine;
	StreamingDeliveryRow *row = &attempt->row;
	MemoryContext old = MemoryContextSwitchTo(attempt->portion_context);
	const char *note;

	pgstat_report_activity(STATE_RUNNING, "delivering");
	streaming_stop_point("delivery_intended");
	delivery->token = row->token;
	attempt->begun = true;
	routine->begin(delivery, row->number);
	streaming_stop_point("delivery_begun");
	write_messages(attempt);
	streaming_stop_point("delivery_written");
	note = routine->prepare ? routine->prepare(delivery) : NULL;
	if (note)
		write_note(attempt, note);
	streaming_stop_point("delivery_prepared");
	routine->commit(delivery);
	attempt->begun = false;
	attempt->happened = true;
	attempt->next_after = nothing_up_to(attempt);
	streaming_stop_point("delivery_committed");
	MemoryContextSwitchTo(old);
	MemoryContextReset(attempt->portion_context);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
write_messages(StreamingDeliveryAttempt *attempt)
{
	StreamingDelivery *delivery = attempt->delivery;
	StreamingDeliveryRow *row = &attempt->row;
	StreamingOutboxPlace after = attempt->after;
	List	   *chunks;

	do
	{
		ListCell   *lc;

		MemoryContextReset(attempt->portion_context);
		streaming_delivery_begin(attempt);
		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(attempt->portion_context);
		chunks = streaming_outbox_read(attempt->stream, &after, row->bound,
									   DirectFunctionCall1(pg_snapshot_in,
														   CStringGetDatum(row->snapshot)),
									   PORTION_BYTES);
		PopActiveSnapshot();
		streaming_delivery_commit(attempt);

		foreach(lc, chunks)
		{
			bytea	   *chunk = lfirst(lc);
			const char *at = VARDATA_ANY(chunk);
			const char *end = at + VARSIZE_ANY_EXHDR(chunk);
			StreamingMessage message;

			CHECK_FOR_INTERRUPTS();
			while (streaming_outbox_message(&at, end, &message))
				delivery->routine->write(delivery, &message);
		}
	} while (chunks != NIL);
}

static void
write_note(StreamingDeliveryAttempt *attempt, const char *note)
{
	attempt->row.note = MemoryContextStrdup(attempt->row_context, note);
	streaming_delivery_begin(attempt);
	streaming_delivery_write(&attempt->row, false);
	ForceSyncCommit();
	streaming_delivery_commit(attempt);
}

static void
wait_for_more(StreamingDeliveryAttempt *attempt, long timeout)
{
	StreamingDelivery *delivery = attempt->delivery;
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	bool		idle = timeout < 0 && streaming_delivery_idle_timeout > 0;
	long		stats_timeout = streaming_worker_report_stats();

	if (idle)
		timeout = streaming_delivery_idle_timeout;
	if (stats_timeout >= 0 && (timeout < 0 || stats_timeout < timeout))
	{
		timeout = stats_timeout;
		idle = false;
	}
	if (timeout >= 0)
		events |= WL_TIMEOUT;
	if (delivery->routine->fd)
		events |= WL_SOCKET_READABLE;
	events = WaitLatchOrSocket(MyLatch, events,
							   delivery->routine->fd ? delivery->routine->fd(delivery) : PGINVALID_SOCKET,
							   timeout, PG_WAIT_EXTENSION);
	if (events & WL_SOCKET_READABLE)
		delivery->routine->serve(delivery);
	if (idle && (events & WL_TIMEOUT) && sink->status == STREAMING_SINK_RUNNING)
		leave_idle();
	ResetLatch(MyLatch);
	AcceptInvalidationMessages();
}
