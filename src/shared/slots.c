/*
 * slots.c
 *		Shared memory of databases and workers: who is wanted, who is starting,
 *		who is there.
 *
 * A worker passes through its slot like this:
 *
 *		FREE --start--> STARTING --attach--> RUNNING --exit--> FREE
 *		                   \--------abandon------------------/
 *
 * The slot's generation rises at each start and each end; the starter and the
 * process remember the one they belong to.  The races, and what decides them:
 *
 *	two starters	A slot of the same identity (type, database, stream,
 *			number) that is not FREE refuses a second start.
 *	the process never comes	(no fork, or the server is short of slots) The
 *			starter is told by the postmaster that the process is gone, and
 *			abandons the reservation.
 *	the starter goes first	A coordinator's exit frees the STARTING slots of
 *			its database, the launcher's exit those of the coordinators.  A
 *			process that comes later finds another generation and exits before
 *			it connects to the database.
 *	the starter dies while its workers run	Its exit terminates them; the next
 *			coordinator of the database terminates and waits for what is still
 *			RUNNING before it starts anything (streaming_workers_clear).
 *	somebody needs the database alone	DROP DATABASE and the like bar the
 *			database, then terminate and wait for what is RUNNING.  What is
 *			STARTING sees the bar when it attaches, which it does before it
 *			connects; it frees its slot and exits.
 *	a notify while the coordinator leaves	The coordinator goes for good only
 *			if the number of changes is still the one it acted on; otherwise
 *			the database stays wanted and the launcher starts it again.
 *	a crash	   Any process that dies hard makes the postmaster reinitialize
 *			shared memory; dynamic workers are forgotten and the launcher
 *			begins as after a start of the server.
 *
 * A slot is left on_shmem_exit, registered before the process connects:
 * callbacks run last in first out, so a process that has left its slot has
 * also left the database.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/wait_event.h"
#include "utils/resowner.h"

#include "streaming.h"
#include "shared/sink_slots.h"
#include "shared/slots.h"
#include "shared/notify.h"

/* What a background worker is given in bgw_extra; the two oids come first. */
typedef struct WorkerExtra
{
	Oid			dboid;
	Oid			stream;
	int			index;
	uint32		generation;
} WorkerExtra;

StreamingSlots *streaming_slots = NULL;
StreamingDatabaseSlot *streaming_database_slots = NULL;
StreamingWorkerSlot *streaming_worker_slots = NULL;
StreamingWorkerSlot *streaming_my_worker = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/*
 * Where roles compete for the server's background workers: ms between two that
 * are ended to make room, and for how long those who have some start none.
 */
#define STARVED_INTERVAL	500
#define STARVED_PAUSE		3000

/* What this session owes at the end of its transaction. */
#define MAX_BARRED	8
static bool notify_pending = false;
static int	nbarred = 0;
static Oid	barred[MAX_BARRED];

/* Shared memory */
static void slots_request(void);
static void slots_startup(void);
static Size slots_size(void);

/* Workers */
static int	worker_reserve(StreamingWorkerType type, Oid dboid, Oid stream, Oid server,
						   Oid owner, int number);
static bool serves_role(const StreamingWorkerSlot *slot);
static int	count_workers(Oid owner);
static void worker_free(StreamingWorkerSlot *slot);
static void worker_detach(int code, Datum arg);
static int	workers_terminate(Oid dboid, bool coordinator);
static void workers_wait_gone(Oid dboid, bool coordinator);

/* End of the transaction */
static void slots_register_callback(void);
static void slots_xact_callback(XactEvent event, void *arg);
static void slots_release_callback(ResourceReleasePhase phase, bool commit, bool top_level,
								   void *arg);
static void database_unbar(Oid dboid);

/* ---- Shared memory ---- */

void
streaming_slots_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = slots_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = slots_startup;
}

static Size
slots_size(void)
{
	Size		size = MAXALIGN(sizeof(StreamingSlots));

	size = add_size(size, MAXALIGN(STREAMING_MAX_DATABASES * sizeof(StreamingDatabaseSlot)));
	size = add_size(size, MAXALIGN(mul_size(max_worker_processes, sizeof(StreamingWorkerSlot))));
	return add_size(size, streaming_view_slots_size());
}

static void
slots_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(slots_size());
	RequestNamedLWLockTranche("streaming_slots", 1);
}

static void
slots_startup(void)
{
	bool		found;
	char	   *memory;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("streaming slots", slots_size(), &found);
	if (!found)
		memset(memory, 0, slots_size());

	streaming_slots = (StreamingSlots *) memory;
	memory += MAXALIGN(sizeof(StreamingSlots));
	streaming_database_slots = (StreamingDatabaseSlot *) memory;
	memory += MAXALIGN(STREAMING_MAX_DATABASES * sizeof(StreamingDatabaseSlot));
	streaming_worker_slots = (StreamingWorkerSlot *) memory;
	memory += MAXALIGN(max_worker_processes * sizeof(StreamingWorkerSlot));
	if (!found)
	{
		streaming_slots->lock = &(GetNamedLWLockTranche("streaming_slots"))->lock;
		streaming_slots->nworkers = max_worker_processes;
		streaming_slots->nviews = streaming_max_views;
		streaming_slots->nbatches = streaming_batches_kept;
		ConditionVariableInit(&streaming_slots->left);
	}
	streaming_view_slots_attach(memory, !found);
	LWLockRelease(AddinShmemInitLock);
}

/* ---- Databases ---- */

StreamingDatabaseSlot *
streaming_database_slot(Oid dboid, bool create)
{
	StreamingDatabaseSlot *free_slot = NULL;

	for (int i = 0; i < STREAMING_MAX_DATABASES; i++)
	{
		StreamingDatabaseSlot *slot = &streaming_database_slots[i];

		if (slot->dboid == dboid)
			return slot;
		if (!OidIsValid(slot->dboid) && free_slot == NULL)
			free_slot = slot;
	}
	if (!create || free_slot == NULL)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	free_slot->dboid = dboid;
	return free_slot;
}

void
streaming_database_forget(Oid dboid)
{
	StreamingDatabaseSlot *slot = streaming_database_slot(dboid, false);

	if (slot && slot->barred == 0)
		slot->dboid = InvalidOid;
	else if (slot)
		slot->wanted = slot->confirmed = false;
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		if (streaming_view_slots[i].dboid == dboid)
			streaming_view_slots[i].dboid = InvalidOid;
	}
	streaming_sink_slots_forget(dboid);
}

void
streaming_wake_launcher(void)
{
	if (streaming_slots->launcher_latch)
		SetLatch(streaming_slots->launcher_latch);
}

/* Caller holds the lock, so the latch's process has not gone. */
void
streaming_wake_worker(Oid dboid, StreamingWorkerType type, int number)
{
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		if (slot->state == STREAMING_WORKER_RUNNING && slot->dboid == dboid &&
			slot->type == type && slot->number == number)
			SetLatch(slot->latch);
	}
}

void
streaming_wake_coordinator(void)
{
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	streaming_wake_worker(MyDatabaseId, STREAMING_COORDINATOR, 0);
	LWLockRelease(streaming_slots->lock);
}

/* Without the lock: a latch that is not the coordinator's any more does no harm. */
void
streaming_wake_coordinator_now(void)
{
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];
		Latch	   *latch = *(Latch *volatile *) &slot->latch;

		if (latch && slot->type == STREAMING_COORDINATOR && slot->dboid == MyDatabaseId)
			SetLatch(latch);
	}
}

void
streaming_wake_ingest(Oid stream)
{
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		if (slot->state == STREAMING_WORKER_RUNNING && slot->dboid == MyDatabaseId &&
			slot->type == STREAMING_INGEST &&
			(!OidIsValid(stream) || !OidIsValid(slot->stream) || slot->stream == stream))
			SetLatch(slot->latch);
	}
}

uint64
streaming_database_changes(void)
{
	StreamingDatabaseSlot *database;
	uint64		changes = 0;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	database = streaming_database_slot(MyDatabaseId, false);
	if (database)
		changes = database->changes;
	LWLockRelease(streaming_slots->lock);
	if (database == NULL)
		proc_exit(0);
	return changes;
}

/* ---- Workers: the starter's side ---- */

BackgroundWorkerHandle *
streaming_worker_start(StreamingWorkerType type, Oid dboid, Oid stream, Oid server, Oid owner,
					   int number, const char *name, int *index, uint32 *generation,
					   const char **problem)
{
	static const struct
	{
		const char *function;
		const char *type;
	}			kinds[] = {
		[STREAMING_COORDINATOR] = {"streaming_coordinator_main", "streaming coordinator"},
		[STREAMING_INGEST] = {"streaming_ingest_main", "streaming ingest"},
		[STREAMING_QUERY] = {"streaming_query_main", "streaming query"},
		[STREAMING_DELIVERY] = {"streaming_delivery_main", "streaming delivery"},
	};
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	WorkerExtra extra;

	*problem = NULL;
	*index = worker_reserve(type, dboid, stream, server, owner, number);
	if (*index < 0)
		return NULL;
	*generation = streaming_worker_slots[*index].generation;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "streaming", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, kinds[type].function, sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, kinds[type].type, BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s %s", kinds[type].type, name);
	worker.bgw_notify_pid = MyProcPid;
	extra = (WorkerExtra) {dboid, stream, *index, *generation};
	memcpy(worker.bgw_extra, &extra, sizeof(extra));

	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		streaming_worker_abandon(*index, *generation);
		*problem = "no background worker slot is free: increase max_worker_processes";
		return NULL;
	}
	return handle;
}

/*
 * Returns the slot's index, or -1 if the worker cannot be started now.  There
 * are as many slots as the server can have workers, so they cannot run out
 * before it does.
 */
static int
worker_reserve(StreamingWorkerType type, Oid dboid, Oid stream, Oid server, Oid owner,
			   int number)
{
	int			free_index = -1;
	StreamingDatabaseSlot *database;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		if (slot->state == STREAMING_WORKER_FREE)
			free_index = i;
		else if (slot->dboid == dboid && slot->type == type &&
				 slot->stream == stream && slot->number == number &&
				 slot->server == server && (!OidIsValid(server) || slot->owner == owner))
		{
			free_index = -1;
			break;
		}
	}
	database = streaming_database_slot(dboid, false);
	if (database == NULL || database->barred > 0)
		free_index = -1;
	if (free_index >= 0)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[free_index];

		slot->state = STREAMING_WORKER_STARTING;
		slot->generation++;
		slot->type = type;
		slot->dboid = dboid;
		slot->stream = stream;
		slot->server = server;
		slot->owner = owner;
		slot->number = number;
		slot->busy = false;
		slot->view_slot = -1;
		slot->pid = 0;
		slot->latch = NULL;
	}
	LWLockRelease(streaming_slots->lock);
	return free_index;
}

/* Caller holds the lock. */
static void
worker_free(StreamingWorkerSlot *slot)
{
	slot->state = STREAMING_WORKER_FREE;
	slot->generation++;
	slot->pid = 0;
	slot->latch = NULL;
	slot->busy = false;
	slot->view_slot = -1;
}

void
streaming_worker_abandon(int index, uint32 generation)
{
	StreamingWorkerSlot *slot = &streaming_worker_slots[index];

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	if (slot->state == STREAMING_WORKER_STARTING && slot->generation == generation)
		worker_free(slot);
	LWLockRelease(streaming_slots->lock);
}

/* ---- Workers: too many for the server ---- */

/* Is it one that the streams of some role need? */
static bool
serves_role(const StreamingWorkerSlot *slot)
{
	return slot->state != STREAMING_WORKER_FREE &&
		(slot->type == STREAMING_INGEST || slot->type == STREAMING_DELIVERY);
}

/* Of all databases.  Caller holds the lock. */
static int
count_workers(Oid owner)
{
	int			n = 0;

	for (int i = 0; i < streaming_slots->nworkers; i++)
		n += serves_role(&streaming_worker_slots[i]) && streaming_worker_slots[i].owner == owner;
	return n;
}

bool
streaming_worker_make_room(Oid owner)
{
	StreamingWorkerSlot *victim = NULL;
	int			most = 0;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];
		int			n;

		if (!serves_role(slot) || slot->state != STREAMING_WORKER_RUNNING)
			continue;
		n = count_workers(slot->owner);
		if (n > most)
		{
			most = n;
			victim = slot;
		}
	}
	if (victim && most < (OidIsValid(owner) ? count_workers(owner) : 0) + 2)
		victim = NULL;
	if (victim && !streaming_time_passed(streaming_slots->starved_at, streaming_now(),
										 STARVED_INTERVAL))
		victim = NULL;			/* the last one has not been used yet */
	if (victim)
	{
		kill(victim->pid, SIGTERM);
		streaming_slots->starved_at = streaming_now();
	}
	LWLockRelease(streaming_slots->lock);
	return victim != NULL;
}

const char *
streaming_ingest_trouble(Oid stream)
{
	StreamingDatabaseSlot *database;
	Oid			server = GetForeignServerIdByRelId(stream);
	Oid			owner = streaming_relation_owner(stream, true);
	bool		attended = false;
	bool		full;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	database = streaming_database_slot(MyDatabaseId, false);
	full = database && database->full;
	for (int i = 0; i < streaming_slots->nworkers && full; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		attended |= slot->state != STREAMING_WORKER_FREE && slot->dboid == MyDatabaseId &&
			slot->type == STREAMING_INGEST &&
			(slot->stream == stream || (slot->server == server && slot->owner == owner));
	}
	LWLockRelease(streaming_slots->lock);
	return full && !attended ? STREAMING_FULL_MESSAGE : NULL;
}

bool
streaming_worker_may_start(Oid owner)
{
	bool		may;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	may = !OidIsValid(owner) || streaming_slots->starved_at == 0 || count_workers(owner) == 0 ||
		streaming_time_passed(streaming_slots->starved_at, streaming_now(), STARVED_PAUSE);
	LWLockRelease(streaming_slots->lock);
	return may;
}

/* ---- Workers: the process' side ---- */

StreamingWorkerSlot *
streaming_worker_attach(void)
{
	WorkerExtra extra;
	StreamingWorkerSlot *slot;
	StreamingDatabaseSlot *database;

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	slot = &streaming_worker_slots[extra.index];

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	if (slot->state != STREAMING_WORKER_STARTING || slot->generation != extra.generation)
	{
		LWLockRelease(streaming_slots->lock);
		proc_exit(0);
	}
	database = streaming_database_slot(extra.dboid, false);
	if (database == NULL || database->barred > 0)
	{
		worker_free(slot);
		LWLockRelease(streaming_slots->lock);
		proc_exit(0);
	}
	slot->state = STREAMING_WORKER_RUNNING;
	slot->pid = MyProcPid;
	slot->latch = &MyProc->procLatch;
	LWLockRelease(streaming_slots->lock);

	streaming_my_worker = slot;
	on_shmem_exit(worker_detach, Int32GetDatum(extra.index));
	return slot;
}

int
streaming_my_worker_index(void)
{
	return streaming_my_worker - streaming_worker_slots;
}

void
streaming_worker_begin(int view_slot, int64 generation)
{
	StreamingWorkerSlot *me = streaming_my_worker;

	me->busy = true;
	me->view_slot = view_slot;
	me->busy_since = streaming_now();
	me->busy_at = GetCurrentTimestamp();
	me->busy_generation = generation;
	me->cancelled_at = 0;
	me->terminated = false;
}

void
streaming_worker_end(void)
{
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	streaming_my_worker->busy = false;
	streaming_my_worker->view_slot = -1;
	LWLockRelease(streaming_slots->lock);
}

bool
streaming_worker_is_cancelled(void)
{
	bool		cancelled;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	cancelled = streaming_my_worker->busy && streaming_my_worker->cancelled_at != 0;
	LWLockRelease(streaming_slots->lock);
	return cancelled;
}

/*
 * The signals are sent with the lock held, which the worker needs to end what it
 * does: so it gets them before that, or not at all.
 */
bool
streaming_worker_cancel(int index, StreamingTime busy_since, bool terminate)
{
	StreamingWorkerSlot *slot = &streaming_worker_slots[index];
	bool		told = false;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	if (slot->state == STREAMING_WORKER_RUNNING && slot->busy && slot->busy_since == busy_since)
	{
		told = terminate ? !slot->terminated : slot->cancelled_at == 0;
		if (slot->cancelled_at == 0)
			slot->cancelled_at = streaming_now();
		slot->terminated |= terminate;
		if (told)
			kill(slot->pid, terminate ? SIGTERM : SIGINT);
	}
	LWLockRelease(streaming_slots->lock);
	return told;
}

static void
worker_detach(int code, Datum arg)
{
	int			index = DatumGetInt32(arg);
	StreamingWorkerSlot *me = &streaming_worker_slots[index];

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		if (streaming_view_slots[i].holder == index)
			streaming_view_slots[i].holder = -1;
	}
	streaming_slots->assignments++;
	if (me->type == STREAMING_COORDINATOR)
	{
		for (int i = 0; i < streaming_slots->nworkers; i++)
		{
			StreamingWorkerSlot *slot = &streaming_worker_slots[i];

			if (slot->state == STREAMING_WORKER_STARTING && slot->dboid == me->dboid &&
				slot->type != STREAMING_COORDINATOR)
				worker_free(slot);
		}
		streaming_wake_launcher();
	}
	else
		streaming_wake_worker(me->dboid, STREAMING_COORDINATOR, 0);
	worker_free(me);
	LWLockRelease(streaming_slots->lock);
	streaming_my_worker = NULL;
	ConditionVariableBroadcast(&streaming_slots->left);
}

/*
 * Terminates the running workers of a database (with or without its
 * coordinator); returns how many there are.
 */
static int
workers_terminate(Oid dboid, bool coordinator)
{
	int			n = 0;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		if (slot->state == STREAMING_WORKER_RUNNING && slot->dboid == dboid &&
			(coordinator || slot->type != STREAMING_COORDINATOR))
		{
			/* It cannot leave the slot, and so not exit, while we hold the lock. */
			kill(slot->pid, SIGTERM);
			n++;
		}
	}
	LWLockRelease(streaming_slots->lock);
	return n;
}

static void
workers_wait_gone(Oid dboid, bool coordinator)
{
	ConditionVariablePrepareToSleep(&streaming_slots->left);
	while (workers_terminate(dboid, coordinator) > 0)
		ConditionVariableTimedSleep(&streaming_slots->left, 1000, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}

void
streaming_workers_clear(Oid dboid)
{
	workers_wait_gone(dboid, false);
}

/* ---- What sessions say ---- */

void
streaming_workers_notify(void)
{
	if (streaming_slots == NULL)
		return;
	slots_register_callback();
	notify_pending = true;
}

void
streaming_workers_leave_database(Oid dboid)
{
	StreamingDatabaseSlot *database;

	/*
	 * Without the right the command is about to fail; then the workers should
	 * not be disturbed.  (A template that anybody may copy has no workers.)
	 */
	if (streaming_slots == NULL ||
		!object_ownercheck(DatabaseRelationId, dboid, GetUserId()))
		return;
	if (nbarred >= MAX_BARRED)
		elog(ERROR, "too many databases to leave in one transaction");

	slots_register_callback();
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	database = streaming_database_slot(dboid, true);
	if (database)
	{
		database->barred++;
		barred[nbarred++] = dboid;
	}
	LWLockRelease(streaming_slots->lock);
	workers_wait_gone(dboid, true);
}

static void
slots_register_callback(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(slots_xact_callback, NULL);
		RegisterResourceReleaseCallback(slots_release_callback, NULL);
	}
	registered = true;
}

static void
slots_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			/* COMMIT PREPARED, maybe by another session, could tell nobody. */
			if (notify_pending)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has changed streams or continuous views")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			if (event == XACT_EVENT_ABORT)
				notify_pending = false;
			while (nbarred > 0)
				database_unbar(barred[--nbarred]);
			break;
		default:
			break;
	}
}

/*
 * Who is told of a commit must find in its caches what was committed: so not
 * before others have been sent the invalidation messages, and those go out
 * after the transaction callback.
 */
static void
slots_release_callback(ResourceReleasePhase phase, bool commit, bool top_level, void *arg)
{
	if (!notify_pending || phase != RESOURCE_RELEASE_AFTER_LOCKS || !top_level)
		return;
	notify_pending = false;
	if (commit)
		streaming_workers_notify_now();
}

void
streaming_workers_notify_now(void)
{
	Oid			dboid = MyDatabaseId;
	StreamingDatabaseSlot *database;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	database = streaming_database_slot(dboid, true);
	if (database)
	{
		database->changes++;
		if (!database->wanted)
		{
			database->wanted = true;
			database->delay = 0;
		}
		streaming_wake_worker(dboid, STREAMING_COORDINATOR, 0);
	}
	/* An idle one would not see that its stream has been altered. */
	streaming_wake_ingest(InvalidOid);
	streaming_wake_launcher();
	LWLockRelease(streaming_slots->lock);
	if (database == NULL)
		ereport(WARNING,
				(errmsg("no workers are started in this database"),
				 errdetail("%d databases of this server have the extension streaming already.",
						   STREAMING_MAX_DATABASES)));
}

/* The launcher sees whether the database, or a copy of it, is there. */
static void
database_unbar(Oid dboid)
{
	StreamingDatabaseSlot *database;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	database = streaming_database_slot(dboid, false);
	if (database)
	{
		database->barred--;
		database->delay = 0;
		if (database->barred == 0 && !database->wanted)
			database->dboid = InvalidOid;
	}
	streaming_slots->scan = true;
	streaming_wake_launcher();
	LWLockRelease(streaming_slots->lock);
}
