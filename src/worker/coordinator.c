/*
 * coordinator.c
 *		One process a database: starts its ingest, query and delivery workers
 *		and deals the views out to the query workers.
 *
 * The coordinator reads the catalogs when it starts and whenever it is told
 * that they have changed; from them follow the slots of the views (slots.h)
 * and the workers that there should be:
 *
 *	- an ingest worker for the Kafka streams of each server and owner, and one for
 *	  each other stream, of those that an enabled view reads (ingest_streams.c)
 *	- a delivery worker for each stream that has messages in the outbox, until it
 *	  ends for lack of them
 *	- query workers 0 .. n - 1, n the smaller of streaming.query_workers and
 *	  the number of enabled views; more while they are held up
 *
 * A worker that has ended is started again, at once if it had run for a while,
 * else with a delay that doubles.  Where the server has no room for another
 * worker, that is logged once, shown as the last error of the views (no query
 * worker at all) or the stream concerned, and tried again.  With fewer query
 * workers than wanted the views are shared among those that are there.
 *
 * A worker that is busy for long with one thing wakes it each second; then it looks
 * for who waits (watch.c, assign.c).
 *
 * It also forgets pushed rows that all views have taken (push/push_trim.c), and drops
 * what captures the changes of tables that no view follows any more (push/follow.c).
 *
 * It stays as long as the database has the extension.  If not, it terminates
 * its workers, frees the slots of the views, tells the launcher that it is not
 * wanted any more, and exits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "streaming.h"
#include "catalog/stream.h"
#include "catalog/internal.h"
#include "push/follow.h"
#include "sink/outbox_table.h"
#include "shared/sink_slots.h"
#include "push/source_push.h"
#include "shared/notify.h"
#include "worker/crew.h"
#include "worker/ingest.h"
#include "shared/slots.h"
#include "worker/worker.h"

#define RESTART_DELAY_MIN	100		/* ms, doubled up to */
#define RESTART_DELAY_MAX	30000
#define SETTLED				10000	/* ms after which the delay begins anew */
#define FULL_DELAY			5000	/* ms until a full server is tried again */
#define ROOM_DELAY			200		/* ditto, when room has been made */
#define LOCKED_DELAY		1000	/* ms until what is locked is tried again */
#define EXTRA_LINGER		60000	/* ms that more workers stay unneeded */

/* A worker that is wanted, or was and has not ended yet. */
typedef struct Child
{
	StreamingWorkerType type;
	Oid			stream;			/* ingest, delivery; Invalid: the streams of */
	Oid			server;			/* this one (ingest), and of the same owner */
	Oid			owner;			/* of the stream or streams */
	int			number;			/* query */
	char		name[NAMEDATALEN * 2];	/* for ps */
	bool		wanted;
	BackgroundWorkerHandle *handle; /* NULL: not started */
	const char *problem;		/* why it could not be, the last time; or NULL */
	int			index;			/* with a handle: the slot it has */
	uint32		generation;
	bool		terminated;		/* it has been told to go */
	StreamingTime started_at;
	StreamingTime due;			/* not to be started before */
	int			delay;			/* ms, of the last restart */
} Child;

static List *children = NIL;	/* of Child *, in TopMemoryContext */
static int	enabled_views = 0;
static int	extra_workers = 0;	/* beyond streaming.query_workers */
static StreamingTime extra_until = 0;	/* they stay */
static StreamingTime alone_until = STREAMING_TIME_NEVER;	/* some stream has an ingest
														 * worker of its own */
static StreamingTime restore_due = 0;	/* the catalogs are to be read again; 0: not */
static bool complained = false; /* about a server that is full */
static char database_name[NAMEDATALEN];
static MemoryContext loop_context;

static bool read_catalogs(uint64 *changes);
static void want_deliveries(void);
static int	query_workers_wanted(void);
static void want_query_workers(void);
static void want_ingest(Oid stream);
static void want_child(StreamingWorkerType type, Oid stream, Oid server, int number);
static void update_view_slots(List *views);
static List *superusers(List *views);
static bool has_share(Oid owner);
static long tend_children(void);
static void reap_child(Child *child, StreamingTime now);
static bool start_child(Child *child, StreamingTime now);
static void report_full(void);
static void deal_out_views(long *timeout);
static int	max_query_workers(void);
static bool assign_views(void);
static bool depart(uint64 changes);
static void terminate_children(int code, Datum arg);

void
streaming_coordinator_main(Datum arg)
{
	Oid			dboid = streaming_worker_attach()->dboid;
	uint64		changes = 0;
	bool		reread = true;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	before_shmem_exit(terminate_children, (Datum) 0);
	loop_context = AllocSetContextCreate(TopMemoryContext, "streaming coordinator",
										 ALLOCSET_DEFAULT_SIZES);
	streaming_workers_clear(dboid);

	while (!ShutdownRequestPending)
	{
		long		timeout;
		long		trim_timeout;

		MemoryContextReset(loop_context);
		MemoryContextSwitchTo(loop_context);
		while (reread && !read_catalogs(&changes))
		{
			if (depart(changes))
				proc_exit(0);
		}
		streaming_watch_workers();
		timeout = tend_children();
		deal_out_views(&timeout);
		trim_timeout = streaming_push_trim();
		if (trim_timeout >= 0 && (timeout < 0 || trim_timeout < timeout))
			timeout = trim_timeout;
		if (restore_due > 0)
			timeout = Min(timeout < 0 ? LOCKED_DELAY : timeout, LOCKED_DELAY);
		if (alone_until != STREAMING_TIME_NEVER)
		{
			long		ms = (long) Min(streaming_ms_until(streaming_now(), alone_until),
										PG_INT32_MAX);

			timeout = timeout < 0 ? ms : Min(timeout, ms);
		}

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		reread = ConfigReloadPending;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		reread |= streaming_database_changes() != changes ||
			(restore_due > 0 && restore_due <= streaming_now()) || alone_until <= streaming_now();
	}
	proc_exit(0);
}

/* ---- What there should be ---- */

/*
 * Reads the definitions of the views, and sets what is wanted.  *changes: the
 * number of changes that has been seen.  Returns false if the extension is
 * not there; then nothing is wanted.
 */
static bool
read_catalogs(uint64 *changes)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *views = NIL;
	ListCell   *lc;
	bool		installed;

	/* Before the snapshot, so that what comes later is read again. */
	*changes = streaming_database_changes();

	foreach(lc, children)
		((Child *) lfirst(lc))->wanted = false;
	enabled_views = 0;
	alone_until = STREAMING_TIME_NEVER;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
	strlcpy(database_name, get_database_name(MyDatabaseId), NAMEDATALEN);
	installed = streaming_is_installed();
	if (installed)
	{
		bool		locked = streaming_restore_views();

		locked |= streaming_follow_release();
		restore_due = locked ? streaming_time_plus(streaming_now(), LOCKED_DELAY) : 0;
		views = streaming_catalog_views();
	}
	foreach(lc, views)
	{
		StreamingView *view = lfirst(lc);
		ListCell   *ls;

		if (!view->enabled)
			continue;
		enabled_views++;
		foreach(ls, streaming_catalog_streams_of_view(view->view))
		{
			StreamingSourceKind kind;

			if (streaming_is_stream(lfirst_oid(ls), &kind) && kind != STREAMING_SOURCE_PUSH)
				want_ingest(lfirst_oid(ls));
		}
	}
	want_query_workers();
	if (installed)
		want_deliveries();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);

	if (installed)
	{
		update_view_slots(views);
		streaming_push_ask_trim_all();
	}
	return installed;
}

/*
 * A delivery worker for each stream that has something to deliver, or has a
 * worker already: that one knows best when to go.
 */
static void
want_deliveries(void)
{
	List	   *idle;
	List	   *busy = streaming_outbox_streams(&idle);
	ListCell   *lc;

	foreach(lc, streaming_sink_slots_keep(list_concat_copy(busy, idle)))
		busy = list_append_unique_oid(busy, lfirst_oid(lc));
	foreach(lc, busy)
	{
		StreamingSourceKind kind;

		if (streaming_is_stream(lfirst_oid(lc), &kind) && kind != STREAMING_SOURCE_PUSH)
			want_child(STREAMING_DELIVERY, lfirst_oid(lc), InvalidOid, 0);
	}
}

static int
query_workers_wanted(void)
{
	return Min(enabled_views, Min(streaming_query_workers + extra_workers, max_query_workers()));
}

/* And no others than these. */
static void
want_query_workers(void)
{
	int			n = query_workers_wanted();
	ListCell   *lc;

	for (int i = 0; i < n; i++)
		want_child(STREAMING_QUERY, InvalidOid, InvalidOid, i);
	foreach(lc, children)
	{
		Child	   *child = lfirst(lc);

		if (child->type == STREAMING_QUERY && child->number >= n)
			child->wanted = false;
	}
}

/* A worker that reads the stream. */
static void
want_ingest(Oid stream)
{
	Oid			server = streaming_ingest_server(stream, &alone_until);

	want_child(STREAMING_INGEST, stream, server, 0);
}

/*
 * server: the worker is that of all its streams of the stream's owner; Invalid: of the
 * stream alone, if there is one.
 */
static void
want_child(StreamingWorkerType type, Oid stream, Oid server, int number)
{
	Oid			owner = OidIsValid(stream) ? streaming_relation_owner(stream, true) : InvalidOid;
	char	   *name = OidIsValid(server) ? GetForeignServer(server)->servername :
		OidIsValid(stream) ? get_rel_name(stream) : NULL;
	Child	   *child;
	ListCell   *lc;
	MemoryContext old;

	if (OidIsValid(server))
		stream = InvalidOid;
	foreach(lc, children)
	{
		child = lfirst(lc);
		if (child->type == type && child->stream == stream && child->server == server &&
			child->number == number && (!OidIsValid(server) || child->owner == owner))
		{
			child->wanted = true;
			child->owner = owner;
			return;
		}
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	child = palloc0(sizeof(Child));
	child->type = type;
	child->stream = stream;
	child->server = server;
	child->owner = owner;
	child->number = number;
	child->wanted = true;
	if (type != STREAMING_QUERY)
		snprintf(child->name, sizeof(child->name), "%s of %s", name ? name : "?",
				 database_name);
	else
		snprintf(child->name, sizeof(child->name), "%d of %s", number, database_name);
	children = lappend(children, child);
	MemoryContextSwitchTo(old);
}

/*
 * Makes the slots of this database those of views.  A slot that is held is
 * freed when its holder, who sees that the view is not assigned to it any
 * more, has let go of it.
 */
static void
update_view_slots(List *views)
{
	StreamingDatabaseSlot *database;
	ListCell   *lc;
	int			nrefused = 0;
	bool	   *present = palloc0(streaming_slots->nviews * sizeof(bool));
	List	   *supers = superusers(views);

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	database = streaming_database_slot(MyDatabaseId, false);
	if (database)
	{
		database->confirmed = true;
		database->full = complained;
		database->last_error[0] = '\0';
	}
	for (int pass = 0; pass < 2; pass++)
	{
		/* Slots that are in use, then, after others are freed, new ones. */
		foreach(lc, views)
		{
			StreamingView *view = lfirst(lc);
			int			index = streaming_view_slot_find(MyDatabaseId, view->view);
			StreamingViewSlot *slot;

			if (index < 0 && pass == 1 &&
				(list_member_oid(supers, view->owner) || has_share(view->owner)))
				index = streaming_view_slot_make(MyDatabaseId, view->view);
			if (index < 0)
			{
				nrefused += pass;
				continue;
			}
			slot = &streaming_view_slots[index];
			present[index] = true;
			slot->owner = view->owner;
			slot->enabled = view->enabled;
			slot->trigger = view->trigger;
			slot->trigger_us = view->trigger_us;
			slot->generation = Max(slot->generation, view->generation);
			if (slot->status == STREAMING_VIEW_FAILED)
				slot->kicks++;
			if (!view->enabled)
			{
				/* A paused view is in no trouble. */
				slot->worker = -1;
				slot->status = STREAMING_VIEW_RUNNING;
				slot->last_error[0] = '\0';
				slot->failures = 0;
			}
		}
		for (int i = 0; i < streaming_slots->nviews && pass == 0; i++)
		{
			StreamingViewSlot *slot = &streaming_view_slots[i];

			if (slot->dboid != MyDatabaseId || present[i])
				continue;
			slot->dboid = InvalidOid;
			slot->worker = -1;
		}
	}
	streaming_slots->assignments++;
	if (nrefused > 0 && database)
		snprintf(database->last_error, STREAMING_ERROR_LENGTH,
				 "there are more continuous views than streaming.max_views (%d) on this server, or of its owner more than streaming.role_share (%d %%) of it",
				 streaming_max_views, streaming_role_share);
	/* Probing is over for this database; another one may begin. */
	streaming_wake_launcher();
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *worker = &streaming_worker_slots[i];

		if (worker->state == STREAMING_WORKER_RUNNING && worker->dboid == MyDatabaseId &&
			worker->type != STREAMING_COORDINATOR)
			SetLatch(worker->latch);
	}
	LWLockRelease(streaming_slots->lock);

	if (nrefused > 0)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("%d continuous views of database \"%s\" are not run", nrefused,
						database_name),
				 errdetail("This server runs %d, of one role %d %% of these.",
						   streaming_max_views, streaming_role_share),
				 errhint("Increase streaming.max_views or streaming.role_share.")));
}

/* Those of the owners of views who are. */
static List *
superusers(List *views)
{
	List	   *result = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	StartTransactionCommand();
	foreach(lc, views)
	{
		Oid			owner = ((StreamingView *) lfirst(lc))->owner;

		MemoryContextSwitchTo(loop_context);
		if (list_member_oid(result, owner) || list_member_oid(others, owner))
			continue;
		if (superuser_arg(owner))
			result = lappend_oid(result, owner);
		else
			others = lappend_oid(others, owner);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(loop_context);
	return result;
}

/* May owner have one slot more?  Caller holds the lock. */
static bool
has_share(Oid owner)
{
	int64		share = (int64) streaming_slots->nviews * streaming_role_share / 100;

	for (int i = 0; i < streaming_slots->nviews; i++)
		share -= OidIsValid(streaming_view_slots[i].dboid) && streaming_view_slots[i].owner == owner;
	return share > 0;
}

/* ---- What there is ---- */

/*
 * Starts and terminates workers until they are the ones that are wanted.
 * Returns ms until something is to be tried again, or -1.
 */
static long
tend_children(void)
{
	StreamingTime now = streaming_now();
	long		timeout = -1;
	ListCell   *lc;

	foreach(lc, children)
	{
		Child	   *child = lfirst(lc);
		pid_t		pid;

		if (child->handle && GetBackgroundWorkerPid(child->handle, &pid) == BGWH_STOPPED)
			reap_child(child, now);
		if (child->handle && !child->wanted && !child->terminated)
		{
			TerminateBackgroundWorker(child->handle);
			child->terminated = true;
		}
		if (child->handle == NULL && !child->wanted)
		{
			children = foreach_delete_current(children, lc);
			pfree(child);
		}
		else if (child->handle == NULL)
		{
			long		ms;

			if (child->due <= now && start_child(child, now))
				continue;
			ms = streaming_ms_until(now, child->due);
			timeout = timeout < 0 ? ms : Min(timeout, ms);
		}
	}
	report_full();
	return timeout;
}

static void
reap_child(Child *child, StreamingTime now)
{
	streaming_worker_abandon(child->index, child->generation);
	pfree(child->handle);
	child->handle = NULL;
	if (child->terminated ||
		streaming_time_passed(child->started_at, now, SETTLED))
		child->delay = 0;
	else
		child->delay = Min(Max(child->delay * 2, RESTART_DELAY_MIN), RESTART_DELAY_MAX);
	child->terminated = false;
	child->due = streaming_time_plus(now, child->delay);
}

/* False: tried in vain; due is when to try again. */
static bool
start_child(Child *child, StreamingTime now)
{
	const char *problem;
	MemoryContext old;

	child->due = streaming_time_plus(now, FULL_DELAY);
	if (!streaming_worker_may_start(child->owner))
	{
		child->problem = STREAMING_FULL_MESSAGE;
		return false;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	child->handle = streaming_worker_start(child->type, MyDatabaseId, child->stream,
										   child->server, child->owner, child->number, child->name,
										   &child->index, &child->generation, &problem);
	MemoryContextSwitchTo(old);
	child->problem = problem;
	if (child->handle)
	{
		child->started_at = now;
		return true;
	}
	/* Nobody has to make room for a worker more than streaming.query_workers. */
	if (problem && child->number < streaming_query_workers &&
		streaming_worker_make_room(child->owner))
		child->due = streaming_time_plus(now, ROOM_DELAY);
	else if (problem && child->type == STREAMING_INGEST &&
			 streaming_ingest_rejoin(child->stream))
		streaming_workers_notify_now();
	return false;
}

/* Says whether the server has room for all that is wanted. */
static void
report_full(void)
{
	StreamingDatabaseSlot *database;
	const Child *waits = NULL;
	ListCell   *lc;

	foreach(lc, children)
	{
		const Child *child = lfirst(lc);

		if (child->wanted && child->handle == NULL && child->problem && waits == NULL)
			waits = child;
	}
	if (complained == (waits != NULL))
		return;
	complained = (waits != NULL);
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	database = streaming_database_slot(MyDatabaseId, false);
	if (database)
		database->full = complained;
	LWLockRelease(streaming_slots->lock);
	if (waits)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start streaming %s worker %s: %s",
						waits->type == STREAMING_INGEST ? "ingest" :
						waits->type == STREAMING_DELIVERY ? "delivery" : "query",
						waits->name, waits->problem),
				 errhint("Increase max_worker_processes; the start is tried again.")));
}

/* ---- Who runs which view ---- */

static int
max_query_workers(void)
{
	return Max(streaming_query_workers, streaming_max_query_workers);
}

/* Lowers *timeout to when workers that were started for views held up may go. */
static void
deal_out_views(long *timeout)
{
	StreamingTime now = streaming_now();
	long		ms;

	if (extra_workers > 0 && extra_until <= now)
	{
		extra_workers = 0;
		want_query_workers();
		*timeout = tend_children();
	}
	if (assign_views())
	{
		/* Somebody waits, and there is nobody to run it. */
		extra_workers++;
		want_query_workers();
		*timeout = tend_children();
		(void) assign_views();
	}
	if (extra_workers == 0)
		return;
	ms = (long) streaming_ms_until(now, extra_until);
	*timeout = *timeout < 0 ? ms : Min(*timeout, ms);
}

/* Returns whether one worker more would help. */
static bool
assign_views(void)
{
	int			n = max_query_workers();
	StreamingCrew *crews = palloc0(sizeof(StreamingCrew) * n);
	bool		all_there = true;	/* as many as are wanted */
	bool		held_up;
	bool		more;
	ListCell   *lc;

	foreach(lc, children)
	{
		Child	   *child = lfirst(lc);

		if (child->type == STREAMING_QUERY && child->handle && child->wanted &&
			!child->terminated && child->number < n)
		{
			crews[child->number].live = true;
			crews[child->number].worker = child->index;
		}
	}
	for (int i = 0; i < query_workers_wanted(); i++)
		all_there &= crews[i].live;
	more = streaming_assign_views(crews, n, complained, &held_up);
	if (held_up)
		extra_until = streaming_time_plus(streaming_now(), EXTRA_LINGER);
	return more && all_there && query_workers_wanted() < Min(n, enabled_views);
}

/* ---- Leaving ---- */

/*
 * The database has no extension.  Returns false if that may have changed since
 * the number of changes was changes.
 */
static bool
depart(uint64 changes)
{
	StreamingDatabaseSlot *database;
	bool		leave;

	terminate_children(0, (Datum) 0);
	streaming_workers_clear(MyDatabaseId);

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	database = streaming_database_slot(MyDatabaseId, false);
	leave = database == NULL || database->changes == changes;
	if (leave)
		streaming_database_forget(MyDatabaseId);
	LWLockRelease(streaming_slots->lock);
	return leave;
}

/* Before exit: nobody else would look after them. */
static void
terminate_children(int code, Datum arg)
{
	ListCell   *lc;

	foreach(lc, children)
	{
		Child	   *child = lfirst(lc);

		if (child->handle)
			TerminateBackgroundWorker(child->handle);
		child->wanted = false;
		child->terminated = true;
	}
}
