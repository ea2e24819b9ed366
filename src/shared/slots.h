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

#include "catalog/view.h"
#include "base/clock.h"
#include "shared/batch_result.h"
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define STREAMING_ERROR_LENGTH	1024

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
	Oid			stream;			/* ingest and delivery worker; Invalid: those of */
	Oid			server;			/* this server and the owner (ingest worker) */
	int			number;			/* query worker: 0 .. query_workers - 1 */
	Oid			owner;			/* of the stream or streams */
	/* fixed while the slot is RUNNING */
	int			pid;
	Latch	   *latch;

	/* query worker: a batch, or the opening of a view; ingest worker: a transaction */
	bool		busy;			/* one is under way; if not, the rest means
								 * nothing */
	int			view_slot;		/* index of the view's, -1: none */
	StreamingTime busy_since;
	TimestampTz busy_at;		/* the same, for people */
	int64		busy_generation;	/* of the definition of the view */
	StreamingTime cancelled_at; /* it has been told to give that up; 0: not */
	bool		terminated;		/* and, as it did not, to end */
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
	StreamingTime started_at;	/* of the last start */
	char		last_error[STREAMING_ERROR_LENGTH]; /* "": none */
} StreamingDatabaseSlot;

typedef enum StreamingViewStatus
{
	STREAMING_VIEW_RUNNING,		/* next: any */
	STREAMING_VIEW_RETRYING,	/* tried again with back-off; next: any */
	STREAMING_VIEW_FAILED,		/* tried again now and then, when something
								 * changes or a drain asks; next: any */
	STREAMING_VIEW_WAITING		/* nobody can run it; next: RUNNING */
} StreamingViewStatus;

/*
 * A view known to the coordinator of its database.  A worker may run it only
 * while it is the holder; it becomes that when the view is assigned to it and
 * nobody holds it.  So two workers never run the same view, whatever the order
 * in which they hear of a new assignment.
 *
 * The coordinator may take a view away from its holder, as long as that one does
 * not run it at this moment (its worker's view_slot): where another view's batch
 * runs for long, the holder would not hear of it.  So a holder asks before each
 * batch whether it still is (streaming_view_slot_begin), and closes what it has
 * open of a view that it has lost.
 */
typedef struct StreamingViewSlot
{
	Oid			dboid;			/* Invalid: the slot is free */
	Oid			view;
	Oid			owner;			/* of the view */
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
	int			failures;		/* in a row, whoever ran it */
	StreamingTime failing_since;	/* the first of them */

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
	StreamingTime starved_at;	/* a worker was ended to make room for another
								 * role's; 0: never */
	ConditionVariable left;		/* a worker has detached */
} StreamingSlots;

/* NULL where the library was not preloaded */
extern StreamingSlots *streaming_slots;
extern StreamingDatabaseSlot *streaming_database_slots;
extern StreamingWorkerSlot *streaming_worker_slots;
extern StreamingViewSlot *streaming_view_slots;

/* in slots.c: memory, databases, workers */

extern void streaming_slots_init(void); /* from _PG_init, after the settings */

/*
 * Caller holds the lock.  database: NULL if there is no slot, or with create
 * if all are taken.
 */
extern StreamingDatabaseSlot *streaming_database_slot(Oid dboid, bool create);
extern void streaming_database_forget(Oid dboid);	/* slot and slots of views */
extern void streaming_wake_launcher(void);
extern void streaming_wake_worker(Oid dboid, StreamingWorkerType type, int number);

/* Wakes who may read a stream of this database; Invalid: any.  Caller holds the lock. */
extern void streaming_wake_ingest(Oid stream);

/*
 * The number of changes of this database that workers were told of.  Exits if it has been
 * given up: it has become a template, or refuses connections.
 */
extern uint64 streaming_database_changes(void);

/* For a signal handler: sets the latch of this database's coordinator. */
extern void streaming_wake_coordinator_now(void);

/*
 * Reserves a slot and registers a background worker for it.  number: of a
 * query worker; stream, or server, and owner: of an ingest or delivery worker.  *index
 * and *generation name the reservation.  Returns NULL and sets *problem to a message (constant) if
 * there is no room, or to NULL if the worker is not to be started now (the
 * database is barred, the former one has not left yet).
 */
extern BackgroundWorkerHandle *streaming_worker_start(StreamingWorkerType type, Oid dboid,
													  Oid stream, Oid server, Oid owner,
													  int number,
													  const char *name,
													  int *index, uint32 *generation,
													  const char **problem);

/*
 * The one who started it has seen that the process is gone, or does not want
 * it any more: ends the reservation if nobody has attached.
 */
extern void streaming_worker_abandon(int index, uint32 generation);

/*
 * The server has no room for a worker: of those that read and write streams, ends
 * one of the role that has most of them, if it has at least two more than owner,
 * for whom room is wanted (Invalid: for a coordinator or a query worker, which
 * come before all of them).  Returns whether it has.
 */
extern bool streaming_worker_make_room(Oid owner);

/*
 * Why nobody reads a Kafka or directory stream of this database, though somebody
 * should: the server has no room (a constant); or NULL.
 */
extern const char *streaming_ingest_trouble(Oid stream);

/* May a worker for owner be started now, or has another role been promised room? */
extern bool streaming_worker_may_start(Oid owner);

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

/*
 * The calling worker begins and ends what may run code of a user's, so that it may
 * be told to give it up.  A cancel that was meant for what has ended has arrived
 * when end returns.  begin: the caller holds the lock exclusively.  view_slot: of
 * the view, -1: none.
 */
extern void streaming_worker_begin(int view_slot, int64 generation);
extern void streaming_worker_end(void);
extern bool streaming_worker_is_cancelled(void);	/* has it been told so? */

/*
 * Tells a worker to give up what it has been doing since busy_since, if it still
 * does, or with terminate to end.  Returns whether it was told now.
 */
extern bool streaming_worker_cancel(int index, StreamingTime busy_since, bool terminate);

/* Terminates what former coordinators left behind in dboid, waits for it. */
extern void streaming_workers_clear(Oid dboid);

/* in view_slots.c: views and their last batches */

/* Index of the slot, -1: none.  Caller holds the lock. */
extern int	streaming_view_slot_find(Oid dboid, Oid view);

/* Ditto; makes one.  -1: all are taken.  Caller holds the lock exclusively. */
extern int	streaming_view_slot_make(Oid dboid, Oid view);

/*
 * The calling worker is about to run a batch of view, of that generation of its
 * definition, or to open it (streaming_worker_begin).  Returns false if it may
 * not: it does not hold the view any more, or is to let go of it; or, if it has begun
 * something before that has not ended, it has been told to give that up.
 */
extern bool streaming_view_slot_begin(int index, Oid view, int64 generation);

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
