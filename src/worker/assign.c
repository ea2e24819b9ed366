/*
 * assign.c
 *		Deals the views of a database out to its query workers.
 *
 * A view keeps its worker as long as that one is there, runs no batch for long, and
 * has at most one view more than any other of the first streaming.query_workers.
 *
 * Views that wait behind a batch for HELD_UP are given to another worker, or to one
 * more, up to streaming.max_query_workers.  One role's batches may hold up half of
 * these, and where a role has one that holds up others, its views are not put
 * beside those of another role.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "streaming.h"
#include "shared/shmem.h"
#include "worker/crew.h"
#include "shared/slots.h"

#define HELD_UP				2000	/* ms until views that wait are moved */

static bool *find_waiting(void);
static void muster(StreamingCrew *crews, int n, bool *changed);
static void count_view(StreamingCrew *crew, const StreamingViewSlot *slot);
static int	troubles(const StreamingCrew *crews, int n, Oid owner);
static int	choose(const StreamingCrew *crews, int n, int regular, Oid owner);
static int	choose_any(const StreamingCrew *crews, int n, Oid owner);
static void move_view(StreamingViewSlot *slot, StreamingCrew *crews, int to);
static bool is_kept_from(int index, const StreamingCrew *crew, StreamingTime now);

bool
streaming_assign_views(StreamingCrew *crews, int n, bool full, bool *held_up)
{
	bool	   *waiting;
	bool		changed = false;
	bool		more = false;
	StreamingTime now = streaming_now();

	waiting = find_waiting();
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	muster(crews, n, &changed);
	*held_up = false;
	for (int i = 0; i < n; i++)
		*held_up |= crews[i].busy;
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		StreamingViewSlot *slot = &streaming_view_slots[i];
		StreamingCrew *crew = slot->dboid == MyDatabaseId && slot->worker >= 0 ?
			&crews[slot->worker] : NULL;
		bool		waits = crew && crew->busy && crew->busy_slot != i &&
			(waiting[i] || slot->holder != crew->worker || slot->requested > slot->served);
		int			best;

		if (is_kept_from(i, crew, now))
		{
			slot->holder = -1;
			changed = true;
		}
		if (slot->dboid != MyDatabaseId || !slot->enabled)
			continue;
		best = choose(crews, n, streaming_query_workers, slot->owner);
		if (best < 0 && (crew == NULL || waits))
		{
			int			trouble = troubles(crews, n, slot->owner);

			best = choose(crews, n, n, slot->owner);
			if (best < 0 && (trouble == 0 || trouble < n / 2))
				more = true;
			if (best < 0 && crew == NULL)
				best = choose_any(crews, n, slot->owner);
		}
		if (best < 0 && crew == NULL && full && slot->last_error[0] == '\0')
		{
			slot->status = STREAMING_VIEW_WAITING;
			strlcpy(slot->last_error, STREAMING_FULL_MESSAGE, STREAMING_ERROR_LENGTH);
			slot->errors++;
			ConditionVariableBroadcast(&slot->progressed);
		}
		if (best < 0 || best == slot->worker)
			continue;
		if (crew && !waits &&
			(crew->busy || slot->worker >= streaming_query_workers ||
			 crew->load <= crews[best].load + 1))
			continue;
		move_view(slot, crews, best);
		if (is_kept_from(i, &crews[best], now))
			slot->holder = -1;
		changed = true;
	}
	if (changed)
	{
		streaming_slots->assignments++;
		for (int i = 0; i < n; i++)
			streaming_wake_worker(MyDatabaseId, STREAMING_QUERY, i);
	}
	LWLockRelease(streaming_slots->lock);
	return more;
}

/* Views, by slot, that have something to take, if any worker is busy for long. */
static bool *
find_waiting(void)
{
	bool	   *waiting = palloc0(sizeof(bool) * streaming_slots->nviews);
	Oid		   *views = palloc0(sizeof(Oid) * streaming_slots->nviews);
	StreamingTime now = streaming_now();
	bool		busy = false;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	for (int i = 0; i < streaming_slots->nworkers && !busy; i++)
	{
		StreamingWorkerSlot *worker = &streaming_worker_slots[i];

		busy = worker->state == STREAMING_WORKER_RUNNING && worker->dboid == MyDatabaseId &&
			worker->view_slot >= 0 && streaming_time_passed(worker->busy_since, now, HELD_UP);
	}
	for (int i = 0; i < streaming_slots->nviews && busy; i++)
	{
		if (streaming_view_slots[i].dboid == MyDatabaseId)
			views[i] = streaming_view_slots[i].view;
	}
	LWLockRelease(streaming_slots->lock);
	for (int i = 0; i < streaming_slots->nviews && busy; i++)
		waiting[i] = OidIsValid(views[i]) && streaming_view_waits(views[i]);
	return waiting;
}

/*
 * What the workers have.  Views of those that are gone
 * are assigned to nobody, and *changed is set.  Caller holds the lock.
 */
static void
muster(StreamingCrew *crews, int n, bool *changed)
{
	StreamingTime now = streaming_now();

	for (int i = 0; i < n; i++)
	{
		StreamingCrew *crew = &crews[i];
		StreamingWorkerSlot *worker = &streaming_worker_slots[crew->worker];

		if (!crew->live || worker->state != STREAMING_WORKER_RUNNING || worker->view_slot < 0 ||
			!streaming_time_passed(worker->busy_since, now, HELD_UP))
			continue;
		crew->busy = true;
		crew->busy_slot = worker->view_slot;
		crew->busy_owner = streaming_view_slots[worker->view_slot].owner;
	}
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		StreamingViewSlot *slot = &streaming_view_slots[i];

		if (slot->dboid != MyDatabaseId || slot->worker < 0)
			continue;
		if (slot->worker >= n || !crews[slot->worker].live)
		{
			slot->worker = -1;
			*changed = true;
		}
		else
			count_view(&crews[slot->worker], slot);
	}
}

static void
count_view(StreamingCrew *crew, const StreamingViewSlot *slot)
{
	if (crew->load++ == 0)
		crew->owner = slot->owner;
	else if (crew->owner != slot->owner)
		crew->owner = InvalidOid;
}

/* Workers that batches of owner's views keep from others. */
static int
troubles(const StreamingCrew *crews, int n, Oid owner)
{
	int			found = 0;

	for (int i = 0; i < n; i++)
		found += crews[i].busy && crews[i].busy_owner == owner;
	return found;
}

/*
 * The best of the first regular workers for a view of owner, -1: none.  Where
 * batches of the role take long, it gets one to itself.
 */
static int
choose(const StreamingCrew *crews, int n, int regular, Oid owner)
{
	bool		alone = troubles(crews, n, owner) > 0;
	int			best = -1;

	for (int i = 0; i < Min(n, regular); i++)
	{
		if (!crews[i].live || crews[i].busy ||
			(alone && crews[i].load > 0 && crews[i].owner != owner))
			continue;
		if (best < 0 || crews[i].load < crews[best].load)
			best = i;
	}
	return best;
}

/* Where there is no good one: beside a batch of the role's own, if there is one. */
static int
choose_any(const StreamingCrew *crews, int n, Oid owner)
{
	bool		own = troubles(crews, n, owner) > 0;
	int			best = -1;

	for (int i = 0; i < n; i++)
	{
		if (!crews[i].live || (own && !(crews[i].busy && crews[i].busy_owner == owner)))
			continue;
		if (best < 0 || crews[i].load < crews[best].load)
			best = i;
	}
	return best;
}

/* Caller holds the lock. */
static void
move_view(StreamingViewSlot *slot, StreamingCrew *crews, int to)
{
	if (slot->worker >= 0)
		crews[slot->worker].load--;
	slot->worker = to;
	count_view(&crews[to], slot);
	if (strcmp(slot->last_error, STREAMING_FULL_MESSAGE) == 0)
	{
		slot->status = STREAMING_VIEW_RUNNING;
		slot->last_error[0] = '\0';
	}
}

/*
 * Is the view of a slot, assigned to crew (NULL: to nobody), held by another
 * process, which does not hear of that because another view's batch takes long?
 * Then it is taken away.  Caller holds the lock.
 */
static bool
is_kept_from(int index, const StreamingCrew *crew, StreamingTime now)
{
	int			holder = streaming_view_slots[index].holder;
	const StreamingWorkerSlot *worker;

	if (holder < 0 || (crew && crew->worker == holder))
		return false;
	worker = &streaming_worker_slots[holder];
	return worker->state == STREAMING_WORKER_RUNNING && worker->dboid == MyDatabaseId &&
		worker->view_slot >= 0 && worker->view_slot != index &&
		streaming_time_passed(worker->busy_since, now, HELD_UP);
}
