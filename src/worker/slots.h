/*
 * slots.h
 *		Shared memory of who runs what: databases, workers and views.
 *
 * All of it is guarded by one LWLock, streaming_slots->lock, which is held for
 * microseconds and never while anything else is waited for or an error can be
 * raised.  The races between starting, attaching, leaving and dying are
 * written down in slots.c.
 */
#ifndef STREAMING_SLOTS_H
#define STREAMING_SLOTS_H

#include "catalog.h"
#include "exec/exec.h"
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define STREAMING_ERROR_LENGTH	512

#define STREAMING_FULL_MESSAGE \
	"no background worker slot is free for a worker: increase max_worker_processes"

/* Databases that have, or may have, the extension; more are refused loudly. */
#define STREAMING_MAX_DATABASES 128

typedef enum StreamingWorkerType
{
	STREAMING_COORDINATOR,
	STREAMING_INGEST,
	STREAMING_QUERY,
	STREAMING_DELIVERY
} StreamingWorkerType;

typedef enum StreamingWorkerState
{
	STREAMING_WORKER_FREE,		/* next: STARTING */
	STREAMING_WORKER_STARTING,	/* registered; next: RUNNING, FREE */
	STREAMING_WORKER_RUNNING	/* a process has attached; next: FREE */
} StreamingWorkerState;

typedef struct StreamingWorkerSlot
{
	StreamingWorkerState state;
	uint32		generation;		/* rises with each reservation and each end of
								 * one, so that a process which comes late
								 * finds that it is not meant */
	/* fixed while the slot is not FREE */
	StreamingWorkerType type;
	Oid			dboid;
	Oid			stream;			/* ingest and delivery worker */
	int			number;			/* query worker: 0 .. query_workers - 1 */
	/* fixed while the slot is RUNNING */
	int			pid;
	Latch	   *latch;
} StreamingWorkerSlot;

typedef struct StreamingDatabaseSlot
{
	Oid			dboid;			/* Invalid: the slot is free */
	bool		wanted;			/* there should be a coordinator */
	bool		confirmed;		/* its coordinator has found the extension */
	bool		full;			/* the server has no room for one of its
								 * workers */
	int			barred;			/* sessions that need the database for
								 * themselves; no worker may attach */
	uint64		changes;		/* rises with each notify */
	int			delay;			/* ms before the next start, 0: none; the
								 * launcher's */
	TimestampTz started_at;		/* of the last start */
	char		last_error[STREAMING_ERROR_LENGTH]; /* "": none */
} StreamingDatabaseSlot;

typedef enum StreamingViewStatus
{
	STREAMING_VIEW_RUNNING,		/* next: RETRYING, FAILED */
	STREAMING_VIEW_RETRYING,	/* tried again with back-off; next: any */
	STREAMING_VIEW_FAILED		/* tried again when something changes or a
								 * drain asks; next: any */
} StreamingViewStatus;

/*
 * A view known to the coordinator of its database.  A worker may run it only
 * while it is the holder; it becomes that when the view is assigned to it and
 * nobody holds it.  So two workers never have the same view open, whatever
 * the order in which they hear of a new assignment.
 */
typedef struct StreamingViewSlot
{
	Oid			dboid;			/* Invalid: the slot is free */
	Oid			view;
	bool		enabled;
	StreamingTriggerKind trigger;
	int64		trigger_us;
	int64		generation;		/* of the definition: a holder that opened an
								 * older one opens it again */
	uint64		kicks;			/* rises when the catalogs were read anew: one
								 * that has failed is tried again */
	int			worker;			/* number of the query worker it is assigned
								 * to, -1: none */
	int			holder;			/* index of the worker's slot, -1: none */

	StreamingViewStatus status;
	char		last_error[STREAMING_ERROR_LENGTH]; /* "": none */
	uint64		errors;			/* rises with each error */

	/* drain */
	int			drainers;		/* sessions that wait: run as if asap */
	uint64		requested;		/* rises with each request to run */
	uint64		served;			/* a run that began after this request found
								 * nothing more to take */
	ConditionVariable progressed;	/* a batch was committed or failed, a
									 * request served */

	/* the last batches, a ring of streaming.batches_kept */
	int64		nbatches;		/* ever written */
} StreamingViewSlot;

typedef struct StreamingSlots
{
	LWLock	   *lock;			/* fixed, like the three numbers */
	int			nworkers;
	int			nviews;
	int			nbatches;		/* per view */

	int			launcher_pid;	/* 0: none */
	Latch	   *launcher_latch;
	bool		scan;			/* the launcher is to look for new databases */
	uint64		assignments;	/* rises when a view is assigned, released,
								 * redefined or asked to run */
	ConditionVariable left;		/* a worker has detached */
} StreamingSlots;

/* NULL where the library was not preloaded */
extern StreamingSlots *streaming_slots;
extern StreamingDatabaseSlot *streaming_database_slots;
extern StreamingWorkerSlot *streaming_worker_slots;
extern StreamingViewSlot *streaming_view_slots;

/* in slots.c: memory, databases, workers */

/*
 * Caller holds the lock.  database: NULL if there is no slot, or with create
 * if all are taken.
 */
extern StreamingDatabaseSlot *streaming_database_slot(Oid dboid, bool create);
extern void streaming_database_forget(Oid dboid);	/* slot and slots of views */
extern void streaming_wake_launcher(void);
extern void streaming_wake_worker(Oid dboid, StreamingWorkerType type, int number);
extern void streaming_wake_ingest(Oid dboid, Oid stream);

/*
 * Reserves a slot and registers a background worker for it.  number: of a
 * query worker; stream: of an ingest or delivery worker.  *index and *generation name the
 * reservation.  Returns NULL and sets *problem to a message (constant) if
 * there is no room, or to NULL if the worker is not to be started now (the
 * database is barred, the former one has not left yet).
 */
extern BackgroundWorkerHandle *streaming_worker_start(StreamingWorkerType type, Oid dboid,
													  Oid stream, int number,
													  const char *name,
													  int *index, uint32 *generation,
													  const char **problem);

/*
 * The one who started it has seen that the process is gone, or does not want
 * it any more: ends the reservation if nobody has attached.
 */
extern void streaming_worker_abandon(int index, uint32 generation);

/*
 * First call of every worker but the launcher: takes the slot it was started
 * for, or exits quietly if it is not wanted any more.  The slot is left at
 * exit.  The process is not connected to a database yet: streaming_worker_*
 * guarantees that whoever waits for a database to be left sees it or keeps it
 * out.
 */
extern StreamingWorkerSlot *streaming_worker_attach(void);
extern StreamingWorkerSlot *streaming_my_worker;
extern int	streaming_my_worker_index(void);

/* Terminates what former coordinators left behind in dboid, waits for it. */
extern void streaming_workers_clear(Oid dboid);

/* in view_slots.c: views and their last batches */

/* Index of the slot, -1: none.  Caller holds the lock. */
extern int	streaming_view_slot_find(Oid dboid, Oid view);

/* Ditto; makes one.  -1: all are taken.  Caller holds the lock exclusively. */
extern int	streaming_view_slot_make(Oid dboid, Oid view);

/*
 * What the holder reports.  committed: result of a batch, NULL if there was
 * nothing to do; request: the number read before the run if it took all there
 * was, else 0.
 */
extern void streaming_view_slot_committed(int index, const StreamingBatchResult *result,
										  uint64 request);
extern void streaming_view_slot_error(int index, StreamingViewStatus status,
									  const char *message);

/* The last batches of a view, newest first, copied; returns their number. */
extern int	streaming_view_slot_batches(int index, StreamingBatchResult *batches);

extern Size streaming_view_slots_size(void);
extern void streaming_view_slots_attach(char *memory, bool first);

#endif							/* STREAMING_SLOTS_H */
