/*
 * launcher.c
 *		One process a server: starts a coordinator in each database that has
 *		the extension.
 *
 * The launcher is connected to no database, so it cannot know which ones have
 * the extension; a coordinator that finds none in its database exits, and the
 * database is not tried again until somebody says so:
 *
 *	- the server, or the launcher, has started: every database is tried once
 *	- CREATE EXTENSION commits: its database (streaming_workers_notify)
 *	- a database appears, maybe as a copy of one that has the extension: it is
 *	  tried once (streaming_workers_leave_database has asked for a scan)
 *
 * At most MAX_PROBES coordinators that have not found the extension yet exist
 * at a time, so that a server with hundreds of databases keeps its background
 * workers for others.  Databases that do not accept connections and templates
 * are left alone.
 *
 * Otherwise it sleeps without a timeout; the end of a coordinator wakes it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "streaming.h"
#include "shared/slots.h"
#include "worker/worker.h"

#define MAX_PROBES			2
#define RESTART_DELAY_MIN	1000	/* ms between two starts in a database, */
#define RESTART_DELAY_MAX	60000	/* doubled while they fail */
#define FULL_DELAY			5000	/* ms until a full server is tried again */
#define ROOM_DELAY			200		/* ditto, when room has been made */

typedef struct Database
{
	Oid			oid;
	char		name[NAMEDATALEN];
} Database;

/* A coordinator that was started. */
typedef struct Started
{
	Oid			dboid;
	BackgroundWorkerHandle *handle;
	int			index;
	uint32		generation;
} Started;

static List *known = NIL;		/* of Oid: databases that have been tried */
static List *started = NIL;		/* of Started */
static StreamingTime full_since = 0;	/* the server has had no room, 0: it has */

static void launcher_attach(void);
static void launcher_detach(int code, Datum arg);
static void reap_coordinators(void);
static void find_databases(List *databases);
static long start_coordinators(List *databases);
static long start_coordinator(Database *database);
static List *read_databases(void);
static bool something_to_do(void);

void
streaming_launcher_register(void)
{
	BackgroundWorker worker = {0};

	if (IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "streaming", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "streaming_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "streaming launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "streaming launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
streaming_launcher_main(Datum arg)
{
	MemoryContext loop_context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	launcher_attach();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	loop_context = AllocSetContextCreate(TopMemoryContext, "streaming launcher",
										 ALLOCSET_DEFAULT_SIZES);

	while (!ShutdownRequestPending)
	{
		long		timeout = -1;

		MemoryContextReset(loop_context);
		MemoryContextSwitchTo(loop_context);
		reap_coordinators();
		if (something_to_do())
		{
			List	   *databases = read_databases();

			find_databases(databases);
			timeout = start_coordinators(databases);
		}

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}

	/* Not 0: the postmaster is to start it again unless it is shutting down. */
	proc_exit(1);
}

static void
launcher_attach(void)
{
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	streaming_slots->launcher_pid = MyProcPid;
	streaming_slots->launcher_latch = &MyProc->procLatch;
	streaming_slots->scan = true;
	LWLockRelease(streaming_slots->lock);
	on_shmem_exit(launcher_detach, (Datum) 0);
}

/* Coordinators that have not come yet must not: nobody would reap them. */
static void
launcher_detach(int code, Datum arg)
{
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	streaming_slots->launcher_pid = 0;
	streaming_slots->launcher_latch = NULL;
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		if (slot->state == STREAMING_WORKER_STARTING && slot->type == STREAMING_COORDINATOR)
		{
			slot->state = STREAMING_WORKER_FREE;
			slot->generation++;
		}
	}
	LWLockRelease(streaming_slots->lock);
}

static void
reap_coordinators(void)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = lfirst(lc);
		pid_t		pid;

		if (GetBackgroundWorkerPid(s->handle, &pid) != BGWH_STOPPED)
			continue;
		streaming_worker_abandon(s->index, s->generation);
		pfree(s->handle);
		pfree(s);
		started = foreach_delete_current(started, lc);
	}
}

/* Is a database wanted that has no coordinator, or a scan? */
static bool
something_to_do(void)
{
	bool		todo;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	todo = streaming_slots->scan;
	for (int i = 0; i < STREAMING_MAX_DATABASES && !todo; i++)
	{
		StreamingDatabaseSlot *slot = &streaming_database_slots[i];

		todo = OidIsValid(slot->dboid) && slot->wanted && slot->barred == 0;
		for (int w = 0; w < streaming_slots->nworkers && todo; w++)
		{
			if (streaming_worker_slots[w].state != STREAMING_WORKER_FREE &&
				streaming_worker_slots[w].type == STREAMING_COORDINATOR &&
				streaming_worker_slots[w].dboid == slot->dboid)
				todo = false;
		}
	}
	LWLockRelease(streaming_slots->lock);
	return todo;
}

/* Of Database *: those a coordinator may run in. */
static List *
read_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;
		Database   *database;

		/* -2: its DROP was interrupted (DATCONNLIMIT_INVALID_DB) */
		if (form->datistemplate || !form->datallowconn || form->datconnlimit == -2)
			continue;
		old = MemoryContextSwitchTo(context);
		database = palloc(sizeof(Database));
		database->oid = form->oid;
		strlcpy(database->name, NameStr(form->datname), NAMEDATALEN);
		databases = lappend(databases, database);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/*
 * Forgets databases that are gone and, if a scan was asked for, wants those
 * that were never tried.  Where there are more of them than slots, the rest
 * waits for slots of databases that turn out not to have the extension.
 */
static void
find_databases(List *databases)
{
	List	   *oids = NIL;
	List	   *tried = NIL;
	ListCell   *lc;
	int			nfull = 0;
	bool		probing = false;
	MemoryContext old;

	foreach(lc, databases)
		oids = lappend_oid(oids, ((Database *) lfirst(lc))->oid);
	foreach(lc, known)
	{
		if (!list_member_oid(oids, lfirst_oid(lc)))
			known = foreach_delete_current(known, lc);
	}
	tried = list_copy(oids);	/* room to work in, for there must be no error
								 * while the lock is held */

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < STREAMING_MAX_DATABASES; i++)
	{
		StreamingDatabaseSlot *slot = &streaming_database_slots[i];

		if (OidIsValid(slot->dboid) && !list_member_oid(oids, slot->dboid))
		{
			Oid			dboid = slot->dboid;

			streaming_database_forget(dboid);
			streaming_wake_worker(dboid, STREAMING_COORDINATOR, 0);
		}
	}
	foreach(lc, tried)
	{
		StreamingDatabaseSlot *slot = NULL;

		if (streaming_slots->scan && !list_member_oid(known, lfirst_oid(lc)))
		{
			slot = streaming_database_slot(lfirst_oid(lc), true);
			if (slot == NULL)
				nfull++;
			else
			{
				slot->wanted = true;
				probing |= !slot->confirmed;
			}
		}
		if (slot == NULL)
			lfirst_oid(lc) = InvalidOid;
	}
	streaming_slots->scan = (nfull > 0 && probing);
	LWLockRelease(streaming_slots->lock);

	old = MemoryContextSwitchTo(TopMemoryContext);
	foreach(lc, tried)
	{
		if (OidIsValid(lfirst_oid(lc)))
			known = lappend_oid(known, lfirst_oid(lc));
	}
	MemoryContextSwitchTo(old);
	if (nfull > 0 && !probing)
		ereport(WARNING,
				(errmsg("%d databases are not looked at by streaming", nfull),
				 errdetail("%d databases have the extension already.",
						   STREAMING_MAX_DATABASES)));
}

/*
 * Starts what is wanted and due.  Returns ms until something else is due, or
 * -1: nothing that the latch does not tell.
 */
static long
start_coordinators(List *databases)
{
	StreamingTime now = streaming_now();
	long		timeout = -1;
	ListCell   *lc;

	foreach(lc, databases)
	{
		Database   *database = lfirst(lc);
		StreamingDatabaseSlot *slot;
		StreamingTime due = 0;
		bool		wanted = false;
		int			probes = 0;

		LWLockAcquire(streaming_slots->lock, LW_SHARED);
		slot = streaming_database_slot(database->oid, false);
		if (slot && slot->wanted && slot->barred == 0)
		{
			wanted = true;
			due = streaming_time_plus(slot->started_at, slot->delay);
		}
		for (int i = 0; i < streaming_slots->nworkers; i++)
		{
			StreamingWorkerSlot *worker = &streaming_worker_slots[i];

			if (worker->state == STREAMING_WORKER_FREE || worker->type != STREAMING_COORDINATOR)
				continue;
			if (worker->dboid == database->oid)
				wanted = false;
			slot = streaming_database_slot(worker->dboid, false);
			if (slot && !slot->confirmed)
				probes++;
		}
		LWLockRelease(streaming_slots->lock);

		if (!wanted)
			continue;
		if (probes >= MAX_PROBES)
			break;				/* the end of one, or its success, wakes us */
		if (due > now)
		{
			long		ms = streaming_ms_until(now, due);

			timeout = timeout < 0 ? ms : Min(timeout, ms);
		}
		else
		{
			long		ms = start_coordinator(database);

			if (ms > 0)
				timeout = timeout < 0 ? ms : Min(timeout, ms);
		}
	}
	return timeout;
}

/* Returns 0, or the ms until it is to be tried again. */
static long
start_coordinator(Database *database)
{
	Started    *s;
	const char *problem;
	StreamingTime now = streaming_now();
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	StreamingDatabaseSlot *slot;

	s = palloc(sizeof(Started));
	s->dboid = database->oid;
	s->handle = streaming_worker_start(STREAMING_COORDINATOR, database->oid, InvalidOid, InvalidOid, InvalidOid, 0,
									   database->name, &s->index, &s->generation, &problem);
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	slot = streaming_database_slot(database->oid, false);
	if (slot && s->handle)
	{
		/* One that ran for long has earned an immediate restart. */
		if (slot->delay == 0 ||
			streaming_time_passed(slot->started_at, now, 2 * RESTART_DELAY_MAX))
			slot->delay = RESTART_DELAY_MIN;
		else
			slot->delay = Min(slot->delay * 2, RESTART_DELAY_MAX);
		slot->started_at = now;
		slot->confirmed = false;
		slot->last_error[0] = '\0';
	}
	else if (slot && problem)
		strlcpy(slot->last_error, problem, STREAMING_ERROR_LENGTH);
	LWLockRelease(streaming_slots->lock);

	if (s->handle)
	{
		started = lappend(started, s);
		full_since = 0;
	}
	else
		pfree(s);
	MemoryContextSwitchTo(old);

	/* The first looks at all databases may well fill a small server for a moment. */
	if (problem && full_since == 0)
		full_since = now;
	else if (problem && full_since != STREAMING_TIME_NEVER &&
			 streaming_time_passed(full_since, now, FULL_DELAY / 2))
	{
		full_since = STREAMING_TIME_NEVER;	/* has been said */
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start the streaming coordinator of database \"%s\": %s",
						database->name, problem),
				 errhint("Increase max_worker_processes; the start is tried again.")));
	}
	if (problem == NULL)
		return 0;
	return streaming_worker_make_room(InvalidOid) ? ROOM_DELAY : FULL_DELAY;
}
