/*
 * delivery_start.c
 *		How a delivery worker begins: with the stream's row in
 *		streaming_internal.deliveries and what is in the outbox.
 *
 * The row names the stream to its place (identity) and says what the last
 * delivery was.  It begins anew, under another identity, in a database that
 * CREATE DATABASE has copied, and when a user asks for it
 * (streaming.restart_delivery).
 */
#include "postgres.h"

#include "streaming.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "worker/delivery_attempt.h"

#define COUNT_TRIES	10			/* while others write all the time */

static void read_row(StreamingDeliveryAttempt *attempt, StreamingRestart restart);
static void begin_anew(StreamingDeliveryRow *row, StreamingRestart restart);
static void count_backlog(StreamingDeliveryAttempt *attempt);
static const StreamingDeliveryRoutine *routine_of(StreamingStream *stream);

void
streaming_delivery_begin(StreamingDeliveryAttempt *attempt)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	LockRelationOid(attempt->stream, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(attempt->stream)))
		proc_exit(0);
}

void
streaming_delivery_commit(StreamingDeliveryAttempt *attempt)
{
	CommitTransactionCommand();
	MemoryContextSwitchTo(attempt->portion_context);
}

void
streaming_delivery_open(StreamingDeliveryAttempt *attempt)
{
	HeapTuple	tuple;
	Oid			owner;
	StreamingStream *stream;
	StreamingDelivery *delivery;
	const StreamingDeliveryRoutine *routine;
	StreamingRestart restart = attempt->slot->restart;

	streaming_delivery_begin(attempt);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(attempt->stream));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	PushActiveSnapshot(GetTransactionSnapshot());
	read_row(attempt, restart);
	PopActiveSnapshot();
	count_backlog(attempt);
	MemoryContextSwitchTo(attempt->context);
	stream = streaming_stream_open(attempt->stream, owner);
	routine = routine_of(stream);
	delivery = routine->open(stream, attempt->row.identity);
	delivery->routine = routine;
	delivery->stream = stream;
	attempt->delivery = delivery;
	streaming_delivery_commit(attempt);

	/* One that was asked for in the meantime is done with the next attempt. */
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	attempt->slot->owner = owner;
	if (attempt->slot->restart == restart)
		attempt->slot->restart = STREAMING_RESTART_NO;
	LWLockRelease(streaming_sinks->lock);
	ConditionVariableBroadcast(&attempt->slot->progressed);
}

/* The stream's row; made if there is none. */
static void
read_row(StreamingDeliveryAttempt *attempt, StreamingRestart restart)
{
	StreamingDeliveryRow *row;

	MemoryContextSwitchTo(attempt->context);
	row = streaming_delivery_read(attempt->stream);
	/* In a copy, rows may wait that are the original's, also of a stream without a row. */
	if (row == NULL || row->home != MyDatabaseId)
		streaming_outbox_delete_copied(attempt->stream,
									   DirectFunctionCall1(pg_current_snapshot, (Datum) 0));
	if (row && row->home != MyDatabaseId)
	{
		row->messages = row->bytes = 0;
		row->delivered_at = 0;
		begin_anew(row, STREAMING_RESTART_NO);
	}
	else if (row && restart != STREAMING_RESTART_NO)
		begin_anew(row, restart);
	if (row == NULL)
	{
		row = palloc0(sizeof(StreamingDeliveryRow));
		row->stream = attempt->stream;
		row->home = MyDatabaseId;
		row->identity = streaming_new_uuid();
		streaming_delivery_write(row, true);
	}
	ForceSyncCommit();			/* nobody may see an identity that is lost */
	attempt->row = *row;
}

/* Under a new identity; the place will know nothing of it. */
static void
begin_anew(StreamingDeliveryRow *row, StreamingRestart restart)
{
	StreamingOutboxPlace begin = {0};
	StreamingOutboxExtent gone;

	if (row->snapshot && restart == STREAMING_RESTART_DISCARD)
		streaming_outbox_delete(row->stream, begin, row->bound,
								DirectFunctionCall1(pg_snapshot_in,
													CStringGetDatum(row->snapshot)),
								&gone);
	row->identity = streaming_new_uuid();
	row->home = MyDatabaseId;
	row->number = 0;
	row->pending = false;
	row->token = row->snapshot = row->note = NULL;
	streaming_delivery_write(row, false);
}

/* What is in the outbox now, for the slot. */
static void
count_backlog(StreamingDeliveryAttempt *attempt)
{
	StreamingSinkSlot *slot = attempt->slot;
	StreamingOutboxPlace begin = {0};
	StreamingOutboxExtent extent;
	int64		messages;
	int64		bytes;

	/* What is counted while we look may be seen, or not: then look again. */
	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	for (int i = 0; i < COUNT_TRIES; i++)
	{
		messages = slot->written_messages;
		bytes = slot->written_bytes;
		LWLockRelease(streaming_sinks->lock);

		/* A snapshot that is taken after that. */
		CommandCounterIncrement();
		PushActiveSnapshot(GetLatestSnapshot());
		streaming_outbox_look(attempt->stream, begin,
							  DirectFunctionCall1(pg_current_snapshot, (Datum) 0),
							  PG_INT64_MAX, false, &extent);
		PopActiveSnapshot();

		LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
		if (slot->written_messages == messages)
			break;
	}
	slot->counted = true;
	slot->taken_messages = messages - extent.messages;
	slot->taken_bytes = bytes - extent.bytes;
	slot->delivered_messages = attempt->row.messages;
	slot->delivered_bytes = attempt->row.bytes;
	slot->delivered_at = attempt->row.delivered_at;
	LWLockRelease(streaming_sinks->lock);
}

static const StreamingDeliveryRoutine *
routine_of(StreamingStream *stream)
{
	switch (stream->kind)
	{
		case STREAMING_SOURCE_KAFKA:
			return &streaming_delivery_kafka;
		case STREAMING_SOURCE_DIRECTORY:
			return &streaming_delivery_directory;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("nothing can be delivered to stream %s", stream->name)));
	}
}
