/*
 * watch.c
 *		What takes long in workers, and who waits for it.
 *
 * A batch, or a transaction of an ingest worker, that takes longer than a second
 * wakes the coordinator each second (worker_session.c).  Then it looks for
 *
 *	- who waits for a lock that it holds, as DROP VIEW, ALTER VIEW and
 *	  streaming.reset do: it is cancelled, as an autovacuum would be.
 *	  PostgreSQL has checked the rights of who waits before the wait began.  Only
 *	  the strongest two lock modes count: they are wanted by who changes or drops
 *	  something, not by who reads or writes it.
 *	- batches of views that are not to run any more, or of another definition
 *	- what goes on although cancelled, because a function of a user's catches that:
 *	  its process is terminated
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "streaming.h"
#include "worker/crew.h"
#include "shared/slots.h"

#define LONG_RUN			900		/* ms; less than the worker's second */
#define CANCEL_PATIENCE		5000	/* ms until who does not cancel is terminated */

static bool is_waited_for(const LockData *locks, int pid);
static bool is_unwanted(const StreamingWorkerSlot *worker);
static void terminate_batch(int worker, const StreamingWorkerSlot *seen);

void
streaming_watch_workers(void)
{
	StreamingTime now = streaming_now();
	StreamingWorkerSlot *workers;
	bool		long_run = false;
	LockData   *locks;

	/* As they are at one moment; whom to cancel is looked at again. */
	workers = palloc(sizeof(StreamingWorkerSlot) * streaming_slots->nworkers);
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	memcpy(workers, streaming_worker_slots,
		   sizeof(StreamingWorkerSlot) * streaming_slots->nworkers);
	LWLockRelease(streaming_slots->lock);
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *worker = &workers[i];

		if (worker->state != STREAMING_WORKER_RUNNING || worker->dboid != MyDatabaseId ||
			!worker->busy || !streaming_time_passed(worker->busy_since, now, LONG_RUN))
			worker->state = STREAMING_WORKER_FREE;
		else
			long_run = true;
	}
	if (!long_run)
		return;

	locks = GetLockStatusData();
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *worker = &workers[i];

		if (worker->state == STREAMING_WORKER_FREE)
			continue;
		if (worker->cancelled_at == 0)
		{
			if (is_unwanted(worker) || is_waited_for(locks, worker->pid))
				(void) streaming_worker_cancel(i, worker->busy_since, false);
			else if (worker->view_slot >= 0 && streaming_batch_timeout > 0 &&
					 streaming_time_passed(worker->busy_since, now,
										   (int64) streaming_batch_timeout + CANCEL_PATIENCE))
				terminate_batch(i, worker);
		}
		else if (streaming_time_passed(worker->cancelled_at, now, CANCEL_PATIENCE))
			terminate_batch(i, worker);
	}
}

/* Does a process wait for a lock on a relation that pid holds? */
static bool
is_waited_for(const LockData *locks, int pid)
{
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *wait = &locks->locks[i];

		if (wait->waitLockMode < ExclusiveLock ||
			wait->locktag.locktag_type != LOCKTAG_RELATION ||
			wait->locktag.locktag_field1 != MyDatabaseId)
			continue;
		for (int k = 0; k < locks->nelements; k++)
		{
			const LockInstanceData *held = &locks->locks[k];

			if (held->pid != pid ||
				memcmp(&held->locktag, &wait->locktag, sizeof(LOCKTAG)) != 0)
				continue;
			for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
			{
				if ((held->holdMask & LOCKBIT_ON(mode)) &&
					DoLockModesConflict(mode, wait->waitLockMode))
					return true;
			}
		}
	}
	return false;
}

/* Does worker, a copy, run a view that it should not run, or not like that? */
static bool
is_unwanted(const StreamingWorkerSlot *worker)
{
	const StreamingViewSlot *slot = &streaming_view_slots[worker->view_slot];
	bool		unwanted;

	if (worker->view_slot < 0)
		return false;
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	unwanted = slot->dboid != MyDatabaseId || !slot->enabled ||
		slot->generation > worker->busy_generation;
	LWLockRelease(streaming_slots->lock);
	return unwanted;
}

/* A function that catches a cancel cannot catch this.  seen: a copy. */
static void
terminate_batch(int worker, const StreamingWorkerSlot *seen)
{
	if (!streaming_worker_cancel(worker, seen->busy_since, true))
		return;
	ereport(LOG,
			(errmsg("terminating streaming worker with PID %d, which goes on although it was canceled",
					seen->pid),
			 errhint("A function of a user's may catch query_canceled.")));
	if (seen->view_slot >= 0)
		streaming_view_slot_error(seen->view_slot, STREAMING_VIEW_RETRYING,
								  "a batch went on although it was canceled, and its worker was terminated\n"
								  "HINT:  A function of the view may catch query_canceled.");
}
