/*
 * sink_slots.c
 *		Shared memory of sink streams, and waiting for their deliveries.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/wait_event.h"

#include "catalog/view.h"
#include "shared/sink_slots.h"
#include "shared/notify.h"

#define POLL_INTERVAL	100		/* ms; deliveries wake us, this is for the rest */

/*
 * A drain ends with the error of a delivery that is tried again when this many
 * attempts have failed meanwhile: the first may have begun before the call, and
 * what has just been started or has lost its connection mostly works the next
 * time.
 */
#define DRAIN_ERRORS	2

/* A session's place in a slot. */
typedef struct Wait
{
	Oid			stream;
	bool		counted;		/* in drainers */
	bool		asked;			/* for a worker, if there was none */
	uint64		request;
	uint64		errors;			/* the slot's, at the call */
} Wait;

PG_FUNCTION_INFO_V1(streaming_restart_delivery);

StreamingSinks *streaming_sinks = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void sinks_request(void);
static void sinks_startup(void);
static Size sinks_size(void);
static void stop_waiting(int code, Datum arg);
static void request_delivery(Wait *wait);
static bool is_delivered(Wait *wait, char *error);
static ConditionVariable *progress_of(Oid stream);

/* ---- Shared memory ---- */

void
streaming_sink_slots_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = sinks_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = sinks_startup;
}

static Size
sinks_size(void)
{
	return add_size(offsetof(StreamingSinks, slots),
					mul_size(streaming_max_streams, sizeof(StreamingSinkSlot)));
}

static void
sinks_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(sinks_size());
	RequestNamedLWLockTranche("streaming_sinks", 1);
}

static void
sinks_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	streaming_sinks = ShmemInitStruct("streaming sinks", sinks_size(), &found);
	if (!found)
	{
		memset(streaming_sinks, 0, sinks_size());
		streaming_sinks->lock = &(GetNamedLWLockTranche("streaming_sinks"))->lock;
		streaming_sinks->n = streaming_max_streams;
		for (int i = 0; i < streaming_sinks->n; i++)
			ConditionVariableInit(&streaming_sinks->slots[i].progressed);
	}
	LWLockRelease(AddinShmemInitLock);
}

StreamingSinkSlot *
streaming_sink_slot(Oid stream, bool create)
{
	StreamingSinkSlot *free_slot = NULL;

	for (int i = 0; i < streaming_sinks->n; i++)
	{
		StreamingSinkSlot *slot = &streaming_sinks->slots[i];

		if (slot->dboid == MyDatabaseId && slot->stream == stream)
			return slot;
		if (!OidIsValid(slot->dboid) && free_slot == NULL)
			free_slot = slot;
	}
	if (!create || free_slot == NULL)
		return NULL;

	/* All but the condition variable, on which somebody may still be asleep. */
	memset(free_slot, 0, offsetof(StreamingSinkSlot, progressed));
	free_slot->dboid = MyDatabaseId;
	free_slot->stream = stream;
	return free_slot;
}

/* The slots that are known to be of streams of owner.  Caller holds the lock. */
static int
slots_of(Oid owner)
{
	int			n = 0;

	for (int i = 0; i < streaming_sinks->n; i++)
		n += OidIsValid(streaming_sinks->slots[i].dboid) && streaming_sinks->slots[i].owner == owner;
	return n;
}

void
streaming_sink_claim(Oid stream)
{
	Oid			owner = streaming_relation_owner(stream, true);
	int			share = streaming_sinks->n;
	StreamingSinkSlot *slot;
	bool		has_share = true;

	if (OidIsValid(owner) && !superuser_arg(owner))
		share = Max((int64) share * streaming_role_share / 100, 1);
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	slot = streaming_sink_slot(stream, false);
	if (slot == NULL)
	{
		has_share = slots_of(owner) < share;
		slot = has_share ? streaming_sink_slot(stream, true) : NULL;
		if (slot)
			slot->owner = owner;
	}
	LWLockRelease(streaming_sinks->lock);
	if (!has_share)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("role \"%s\" has %d streams that wait for delivery already",
						GetUserNameFromId(owner, false), share),
				 errhint("Increase streaming.role_share, or streaming.max_streams and restart the server.")));
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("cannot deliver to more than %d streams", streaming_max_streams),
				 errhint("Increase streaming.max_streams.")));
}

void
streaming_sink_pending(const StreamingSinkSlot *slot, int64 *messages, int64 *bytes)
{
	*messages = Max(slot->written_messages - slot->taken_messages, 0);
	*bytes = Max(slot->written_bytes - slot->taken_bytes, 0);
}

List *
streaming_sink_slots_keep(List *keep)
{
	Oid		   *wanted = palloc(sizeof(Oid) * streaming_sinks->n);
	int			nwanted = 0;
	List	   *result = NIL;

	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_sinks->n; i++)
	{
		StreamingSinkSlot *slot = &streaming_sinks->slots[i];

		if (slot->dboid != MyDatabaseId)
			continue;
		if (slot->latch || slot->requested > slot->served)
			wanted[nwanted++] = slot->stream;
		else if (!list_member_oid(keep, slot->stream))
			slot->dboid = InvalidOid;
	}
	LWLockRelease(streaming_sinks->lock);
	for (int i = 0; i < nwanted; i++)
		result = lappend_oid(result, wanted[i]);
	return result;
}

void
streaming_sink_slots_forget(Oid dboid)
{
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_sinks->n; i++)
	{
		if (streaming_sinks->slots[i].dboid == dboid)
			streaming_sinks->slots[i].dboid = InvalidOid;
	}
	LWLockRelease(streaming_sinks->lock);
}

bool
streaming_sink_has_failed(Oid stream, char error[STREAMING_SINK_ERROR_LENGTH])
{
	StreamingSinkSlot *slot;
	bool		failed;

	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	slot = streaming_sink_slot(stream, false);
	failed = slot && slot->status == STREAMING_SINK_FAILED;
	if (failed)
		strlcpy(error, slot->last_error, STREAMING_SINK_ERROR_LENGTH);
	LWLockRelease(streaming_sinks->lock);
	return failed;
}

/*
 * streaming.restart_delivery(stream regclass, resend boolean): lets the delivery
 * worker begin anew, under a new identity.
 */
Datum
streaming_restart_delivery(PG_FUNCTION_ARGS)
{
	Oid			stream = PG_GETARG_OID(0);
	char	   *name = get_rel_name(stream);
	bool		running = true;

	streaming_require_loaded();
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", stream)));
	if (!object_ownercheck(RelationRelationId, stream, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, name);

	for (bool asked = false, done = false; !done; asked = true)
	{
		StreamingSinkSlot *slot;

		CHECK_FOR_INTERRUPTS();
		LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
		slot = streaming_sink_slot(stream, false);
		running = slot && slot->latch;
		if (running && !asked)
		{
			slot->restart = PG_GETARG_BOOL(1) ? STREAMING_RESTART_RESEND :
				STREAMING_RESTART_DISCARD;
			SetLatch(slot->latch);
		}
		done = !running || (asked && slot->restart == STREAMING_RESTART_NO);
		LWLockRelease(streaming_sinks->lock);
		if (!done)
			ConditionVariableTimedSleep(&slot->progressed, POLL_INTERVAL, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	if (!running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nothing is delivered to \"%s\" at present", name)));
	PG_RETURN_VOID();
}

/* ---- Waiting ---- */

void
streaming_sink_drain(Oid stream, const char *view, StreamingTime deadline)
{
	Wait		wait = {stream, false, false, 0, 0};
	char		error[STREAMING_SINK_ERROR_LENGTH] = "";

	streaming_sink_claim(stream);
	PG_ENSURE_ERROR_CLEANUP(stop_waiting, PointerGetDatum(&wait));
	for (;;)
	{
		StreamingTime now = streaming_now();

		CHECK_FOR_INTERRUPTS();
		request_delivery(&wait);
		ConditionVariablePrepareToSleep(progress_of(stream));
		if (is_delivered(&wait, error))
			break;
		if (error[0] != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("delivery to the sink of continuous view \"%s\" has failed: %s",
							view, streaming_may_monitor(stream) ? error :
							"see last_error in streaming.stat_sinks")));
		if (now >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("continuous view \"%s\" was not drained in time", view),
					 errdetail("Stream \"%s\" has not taken all of its results yet.",
							   get_rel_name(stream))));
		ConditionVariableTimedSleep(progress_of(stream), POLL_INTERVAL, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	PG_END_ENSURE_ERROR_CLEANUP(stop_waiting, PointerGetDatum(&wait));
	stop_waiting(0, PointerGetDatum(&wait));
}

/* A constant: any condition variable does where there is no slot. */
static ConditionVariable *
progress_of(Oid stream)
{
	StreamingSinkSlot *slot;

	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	slot = streaming_sink_slot(stream, false);
	LWLockRelease(streaming_sinks->lock);
	return slot ? &slot->progressed : &streaming_sinks->slots[0].progressed;
}

/*
 * Wakes the worker, or has one started.  After a start of the server nothing is
 * known of the stream, and so the worker is asked even if nothing was written.
 */
static void
request_delivery(Wait *wait)
{
	StreamingSinkSlot *slot;
	bool		attended = false;

	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	slot = streaming_sink_slot(wait->stream, true);
	if (slot && wait->request == 0)
	{
		slot->drainers++;
		wait->counted = true;
		wait->errors = slot->errors;
		wait->request = ++slot->requested;
	}
	if (slot && slot->latch)
	{
		attended = true;
		SetLatch(slot->latch);
	}
	LWLockRelease(streaming_sinks->lock);
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("cannot deliver to more than %d streams", streaming_max_streams),
				 errhint("Increase streaming.max_streams.")));
	if (!attended && !wait->asked)
	{
		streaming_workers_notify_now();
		wait->asked = true;
	}
}

/* error: why it fails, if it does. */
static bool
is_delivered(Wait *wait, char *error)
{
	StreamingSinkSlot *slot;
	bool		delivered;

	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	slot = streaming_sink_slot(wait->stream, false);
	delivered = slot == NULL || slot->served >= wait->request;	/* or dropped */
	if (slot &&
		((slot->status == STREAMING_SINK_FAILED && slot->errors > wait->errors) ||
		 (slot->status == STREAMING_SINK_RETRYING && slot->errors >= wait->errors + DRAIN_ERRORS)))
		strlcpy(error, slot->last_error, STREAMING_SINK_ERROR_LENGTH);
	LWLockRelease(streaming_sinks->lock);
	return delivered;
}

static void
stop_waiting(int code, Datum arg)
{
	Wait	   *wait = (Wait *) DatumGetPointer(arg);
	StreamingSinkSlot *slot;

	ConditionVariableCancelSleep();
	if (!wait->counted)
		return;
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	slot = streaming_sink_slot(wait->stream, false);
	if (slot && slot->drainers > 0)
		slot->drainers--;
	LWLockRelease(streaming_sinks->lock);
}
