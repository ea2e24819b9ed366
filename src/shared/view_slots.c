/*
 * view_slots.c
 *		Shared memory of continuous views: who runs each, how it is, and its
 *		last batches.
 *
 * The coordinator of a database makes and frees the slots of its views; the
 * holder of a view writes status, errors and batches; sessions that drain
 * write requests.  All under streaming_slots->lock (slots.h).
 *
 * The batches lie behind the slots, streaming.batches_kept for each slot, as a
 * ring: batch number n (from 0) of a slot is at n % batches_kept.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/shmem.h"

#include "streaming.h"
#include "shared/slots.h"

StreamingViewSlot *streaming_view_slots = NULL;

static StreamingBatchResult *view_batches = NULL;

Size
streaming_view_slots_size(void)
{
	Size		batches = mul_size(mul_size(streaming_max_views, streaming_batches_kept),
								   sizeof(StreamingBatchResult));

	return add_size(MAXALIGN(mul_size(streaming_max_views, sizeof(StreamingViewSlot))), batches);
}

/* memory: streaming_view_slots_size() bytes, zeroed if first. */
void
streaming_view_slots_attach(char *memory, bool first)
{
	streaming_view_slots = (StreamingViewSlot *) memory;
	view_batches = (StreamingBatchResult *)
		(memory + MAXALIGN(streaming_max_views * sizeof(StreamingViewSlot)));
	if (first)
	{
		for (int i = 0; i < streaming_max_views; i++)
		{
			streaming_view_slots[i].worker = streaming_view_slots[i].holder = -1;
			ConditionVariableInit(&streaming_view_slots[i].progressed);
		}
	}
}

int
streaming_view_slot_find(Oid dboid, Oid view)
{
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		if (streaming_view_slots[i].dboid == dboid && streaming_view_slots[i].view == view)
			return i;
	}
	return -1;
}

int
streaming_view_slot_make(Oid dboid, Oid view)
{
	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		StreamingViewSlot *slot = &streaming_view_slots[i];

		/* A freed slot may still be held; errors and numbers go on rising. */
		if (OidIsValid(slot->dboid) || slot->holder >= 0)
			continue;
		slot->dboid = dboid;
		slot->view = view;
		slot->owner = InvalidOid;
		slot->enabled = false;
		slot->generation = 0;
		slot->worker = -1;
		slot->status = STREAMING_VIEW_RUNNING;
		slot->last_error[0] = '\0';
		slot->failures = 0;
		slot->drainers = 0;
		slot->served = slot->requested;
		slot->nbatches = 0;
		return i;
	}
	return -1;
}

bool
streaming_view_slot_begin(int index, Oid view, int64 generation)
{
	StreamingViewSlot *slot = &streaming_view_slots[index];
	bool		may;

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	may = !(streaming_my_worker->busy && streaming_my_worker->cancelled_at != 0) &&
		slot->dboid == MyDatabaseId && slot->view == view &&
		slot->holder == streaming_my_worker_index() && slot->worker == streaming_my_worker->number;
	if (may)
		streaming_worker_begin(index, generation);
	LWLockRelease(streaming_slots->lock);
	return may;
}

void
streaming_view_slot_committed(int index, const StreamingBatchResult *result, uint64 request)
{
	StreamingViewSlot *slot = &streaming_view_slots[index];

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	if (result && streaming_slots->nbatches > 0)
	{
		int64		at = slot->nbatches++ % streaming_slots->nbatches;

		view_batches[(int64) index * streaming_slots->nbatches + at] = *result;
	}
	slot->status = STREAMING_VIEW_RUNNING;
	slot->last_error[0] = '\0';
	slot->failures = 0;
	if (request > slot->served)
		slot->served = request;
	LWLockRelease(streaming_slots->lock);
	ConditionVariableBroadcast(&slot->progressed);
}

void
streaming_view_slot_error(int index, StreamingViewStatus status, const char *message)
{
	StreamingViewSlot *slot = &streaming_view_slots[index];

	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	slot->status = status;
	strlcpy(slot->last_error, message,
			pg_mbcliplen(message, strlen(message), STREAMING_ERROR_LENGTH - 1) + 1);
	slot->errors++;
	if (slot->failures++ == 0)
		slot->failing_since = streaming_now();
	LWLockRelease(streaming_slots->lock);
	ConditionVariableBroadcast(&slot->progressed);
}

/* batches: room for streaming.batches_kept.  Caller holds the lock. */
int
streaming_view_slot_batches(int index, StreamingBatchResult *batches)
{
	StreamingViewSlot *slot = &streaming_view_slots[index];
	int			kept = streaming_slots->nbatches;
	int			n = Min(slot->nbatches, kept);

	for (int i = 0; i < n; i++)
		batches[i] = view_batches[(int64) index * kept + (slot->nbatches - 1 - i) % kept];
	return n;
}
