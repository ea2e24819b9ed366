/*
 * ingest_worker.c
 *		Reads Kafka and directory streams for all the views that need them.
 *
 * The coordinator starts one such process for the Kafka streams of each server and
 * owner, and one for each other stream, of those that have enabled views; and
 * terminates it when there are none.  Streams share a process because most of
 * what one costs is the process: its memory, its wake-ups, its connections to the
 * brokers.  They share it with none of another owner, whose code decodes them.
 *
 * A stream that would disturb the others gets a process of its own for ALONE_TIME
 * or longer: one that fails, while others do not, since to begin anew may take
 * long; and one that always has more to read, since a process has but one
 * processor.  It is told by alone_until in shared memory, which whoever reads the
 * stream puts off (ingest_streams.c).
 *
 * What one stream does is in ingest_stream.c.  Here they are waited for: for the latch
 * and their descriptors, without a timeout unless something is due; an idle stream
 * costs no CPU.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/attempt.h"
#include "base/settings.h"
#include "kafka.h"
#include "catalog/view.h"
#include "shared/notify.h"
#include "shared/slots.h"
#include "worker/ingest.h"
#include "worker/worker.h"

/*
 * Rows that trickle in are passed on in small groups: a few rows are followed by the
 * next no sooner than PACE_INTERVAL, so that a thousand records a second cost a few
 * hundred transactions in this process and in each view, not a thousand.  A record
 * that comes alone does not wait.  Where such groups follow each other, brokers are not
 * asked for the next one before it is wanted, for they would send record by record
 * (kafka_pace.c).  Nothing for QUIET_TIME ends that.  librdkafka hands over such a group
 * partition by partition, and tells of the first: the others, which would have to wait
 * for the next group, are given GATHER_TIME.
 */
#define PACE_INTERVAL	4		/* ms */
#define QUIET_TIME		20		/* ms */
#define GATHER_TIME		300		/* us */

#define TAKE_RETRY		100		/* ms until a stream is taken up that another process has */
#define REFUSED_RETRY	30000	/* likewise, that the server has no room for */
#define BUSY_TIME		2000	/* ms of having more all the time */
#define MAX_EVENTS		64		/* of one wait */

/* Either the one that this process reads, or those of a server and an owner. */
static Oid	my_stream = InvalidOid;
static Oid	my_server = InvalidOid;
static Oid	my_owner = InvalidOid;

static List *ingests = NIL;		/* of StreamingIngest *, in TopMemoryContext */
static uint64 seen_changes = 0; /* of the database when they were looked for */
static StreamingTime take_at = 0;	/* they are to be looked for again; NEVER: not */

static WaitEventSet *wait_set = NULL;	/* what wait_for_more waits for */

static void ingest_connect(Oid dboid);
static void set_session_settings(void);
static void ingest_leave(int code, Datum arg);
static void relation_changed(Datum arg, Oid relid);
static void catalog_changed(Datum arg, int cacheid, uint32 hashvalue);
static void take_streams(void);
static void take_stream(Oid stream);
static void leave_stream(StreamingIngest *ingest);
static StreamingIngestMoved run_streams(void);
static void run_stream(StreamingIngest *ingest);
static bool others_are_well(const StreamingIngest *ingest);
static bool others_are_busy(const StreamingIngest *ingest);
static void pace(StreamingIngestMoved moved);
static long until_due(void);
static void wait_for_more(long timeout);
static void make_wait_set(void);

void
streaming_ingest_main(Datum arg)
{
	StreamingWorkerSlot *me = streaming_worker_attach();

	my_stream = me->stream;
	my_server = me->server;
	my_owner = me->owner;
	ingest_connect(me->dboid);
	for (;;)
	{
		streaming_worker_interrupts(set_session_settings);
		take_streams();
		pace(run_streams());
		wait_for_more(until_due());
	}
}

/* ----------
 * The process
 * ----------
 */

static void
ingest_connect(Oid dboid)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	set_session_settings();

	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, catalog_changed, (Datum) 0);
	before_shmem_exit(ingest_leave, (Datum) 0);
}

static void
set_session_settings(void)
{
	streaming_worker_set_session();
	streaming_settings_begin_with_records();
}

static void
ingest_leave(int code, Datum arg)
{
	ListCell   *lc;

	foreach(lc, ingests)
		streaming_ingest_let_go(lfirst(lc));
}

static void
relation_changed(Datum arg, Oid relid)
{
	ListCell   *lc;

	foreach(lc, ingests)
	{
		StreamingIngest *ingest = lfirst(lc);

		if (relid == InvalidOid || relid == ingest->relid)
			ingest->definition_changed = true;
	}
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	relation_changed(arg, InvalidOid);
}

/* ----------
 * Which streams
 * ----------
 */

/* Takes up those that are to be read and leaves the others, when that may have changed. */
static void
take_streams(void)
{
	uint64		changes = streaming_database_changes();
	List	   *wanted;
	ListCell   *lc;

	if (changes == seen_changes && streaming_now() < take_at)
		return;
	seen_changes = changes;
	take_at = STREAMING_TIME_NEVER;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	wanted = OidIsValid(my_server) ?
		streaming_ingest_streams(my_server, my_owner, &take_at) : list_make1_oid(my_stream);
	foreach(lc, ingests)
	{
		StreamingIngest *ingest = lfirst(lc);

		if (!list_member_oid(wanted, ingest->relid))
			ingest->gone = true;
	}
	foreach(lc, wanted)
		take_stream(lfirst_oid(lc));
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);

	foreach(lc, ingests)
	{
		StreamingIngest *ingest = lfirst(lc);

		if (ingest->gone)
		{
			ingests = foreach_delete_current(ingests, lc);
			leave_stream(ingest);
		}
	}
	foreach(lc, ingests)
		((StreamingIngest *) lfirst(lc))->alone = list_length(ingests) == 1;
}

/* A streaming_attempt. */
static void
try_stream(void *arg)
{
	StreamingIngest *ingest = streaming_ingest_take(*(Oid *) arg, OidIsValid(my_server) ?
													my_owner : InvalidOid);
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (ingest)
		ingests = lappend(ingests, ingest);
	else
		take_at = Min(take_at, streaming_time_plus(streaming_now(), TAKE_RETRY));
	MemoryContextSwitchTo(old);
}

/*
 * Does nothing if it is ours.  While another process has it, or the server has no room
 * for it, that is asked again.
 */
static void
take_stream(Oid stream)
{
	ErrorData  *error;
	ListCell   *lc;

	foreach(lc, ingests)
	{
		if (((StreamingIngest *) lfirst(lc))->relid == stream)
			return;
	}
	error = streaming_attempt(try_stream, &stream, CurrentMemoryContext);
	if (error == NULL)
		return;
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("stream with OID %u is not read: %s", stream, error->message),
			 error->hint ? errhint("%s", error->hint) : 0));
	take_at = Min(take_at, streaming_time_plus(streaming_now(), REFUSED_RETRY));
}

/* It is not in the list any more. */
static void
leave_stream(StreamingIngest *ingest)
{
	streaming_ingest_leave(ingest);
	if (OidIsValid(my_stream))
		proc_exit(0);
}

/* ----------
 * Running them
 * ----------
 */

/* Runs those that are ready; returns the most that one of them has moved. */
static StreamingIngestMoved
run_streams(void)
{
	StreamingIngestMoved most = STREAMING_MOVED_NOTHING;
	List	   *now = list_copy(ingests);
	ListCell   *lc;

	foreach(lc, now)
	{
		StreamingIngest *ingest = lfirst(lc);
		StreamingTime time = streaming_now();

		if (ingest->ready || ingest->due <= time)
		{
			streaming_worker_interrupts(set_session_settings);
			run_stream(ingest);
			most = Max(most, ingest->moved);
		}
		else if (ingest->show_at <= time)
			streaming_ingest_show(ingest);
	}
	list_free(now);
	return most;
}

static void
run_stream(StreamingIngest *ingest)
{
	int			failures = ingest->failures;
	bool		disturbs;

	streaming_ingest_run(ingest);
	if (ingest->moved != STREAMING_MOVED_MANY)
		ingest->busy_since = 0;
	else if (ingest->busy_since == 0)
		ingest->busy_since = streaming_now();
	if (ingest->gone)
	{
		take_at = 0;
		return;
	}
	disturbs = ingest->failures > failures ? OidIsValid(my_stream) || others_are_well(ingest) :
		ingest->busy_since > 0 && (OidIsValid(my_stream) || others_are_busy(ingest)) &&
		streaming_time_passed(ingest->busy_since, streaming_now(), BUSY_TIME);
	if (disturbs && streaming_ingest_separate(ingest->shared) && OidIsValid(my_server))
	{
		take_at = 0;
		streaming_workers_notify_now();
	}
}

/* Does another stream of this process read, and without trouble? */
static bool
others_are_well(const StreamingIngest *ingest)
{
	ListCell   *lc;

	foreach(lc, ingests)
	{
		StreamingIngest *other = lfirst(lc);

		if (other != ingest && other->writer &&
			other->source->routine->last_error(other->source) == NULL)
			return true;
	}
	return false;
}

/* Has another one more to read all the time? */
static bool
others_are_busy(const StreamingIngest *ingest)
{
	ListCell   *lc;

	foreach(lc, ingests)
	{
		if (lfirst(lc) != ingest && ((StreamingIngest *) lfirst(lc))->busy_since > 0)
			return true;
	}
	return false;
}

/* ----------
 * Waiting
 * ----------
 */

/* The streams have moved so much: more of it is not wanted at once. */
static void
pace(StreamingIngestMoved moved)
{
	static StreamingTime moved_few = 0; /* the last time */
	StreamingTime now;
	bool		quiet;

	if (moved != STREAMING_MOVED_FEW && !streaming_kafka_holds_requests())
		return;
	now = streaming_now();
	quiet = moved_few == 0 || streaming_time_passed(moved_few, now, QUIET_TIME);
	if (quiet || moved == STREAMING_MOVED_MANY)
		streaming_kafka_hold_requests(false);
	if (moved != STREAMING_MOVED_FEW)
		return;
	if (!quiet)
		streaming_kafka_hold_requests(true);
	moved_few = now;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 PACE_INTERVAL, PG_WAIT_EXTENSION);
	streaming_worker_interrupts(set_session_settings);
	streaming_kafka_send_requests();
}

/* ms until something is to be done without being told, -1: nothing is. */
static long
until_due(void)
{
	StreamingTime now = streaming_now();
	StreamingTime due = take_at;
	long		timeout = streaming_worker_report_stats();
	ListCell   *lc;

	foreach(lc, ingests)
	{
		StreamingIngest *ingest = lfirst(lc);

		due = ingest->ready ? 0 : Min(due, Min(ingest->due, ingest->show_at));
		if (due == 0)
			return 0;
	}
	if (due != STREAMING_TIME_NEVER)
	{
		long		ms = (long) Min(streaming_ms_until(now, due), PG_INT32_MAX);

		timeout = timeout < 0 ? ms : Min(timeout, ms);
	}
	return timeout;
}

static void
wait_for_more(long timeout)
{
	WaitEvent	events[MAX_EVENTS];
	bool		told = false;
	int			n;

	if (streaming_ingest_fds_changed || wait_set == NULL)
		make_wait_set();
	if (streaming_kafka_holds_requests() && (timeout < 0 || timeout > QUIET_TIME))
		timeout = QUIET_TIME;
	n = WaitEventSetWait(wait_set, timeout, events, MAX_EVENTS, PG_WAIT_EXTENSION);
	for (int i = 0; i < n; i++)
	{
		StreamingIngest *ingest = events[i].user_data;

		if (events[i].events & WL_LATCH_SET)
		{
			ListCell   *lc;

			ResetLatch(MyLatch);
			AcceptInvalidationMessages();
			foreach(lc, ingests)
				streaming_ingest_look(lfirst(lc));
		}
		else if (ingest)
			ingest->ready = told = true;
	}
	if (told && streaming_kafka_holds_requests())
		pg_usleep(GATHER_TIME);
}

/* What is held is not asked for what it has. */
static void
make_wait_set(void)
{
	ListCell   *lc;

	if (wait_set)
		FreeWaitEventSet(wait_set);
	wait_set = streaming_create_wait_event_set(list_length(ingests) + 2);
	streaming_ingest_fds_changed = false;
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	foreach(lc, ingests)
	{
		StreamingIngest *ingest = lfirst(lc);

		if (ingest->fd >= 0 && !ingest->held)
			AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, ingest->fd, NULL, ingest);
	}
}
