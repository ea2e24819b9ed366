/*
 * source_push.c
 *		Rows that sessions push into a stream with INSERT and COPY.
 *
 * The rows go straight into a table (push_tables.c) in the session's own
 * transaction, so they join the stream if and when it commits, savepoints and
 * all, and are as durable as any row.  What is left to do is to tell readers
 * cheaply which rows are new; they become visible in the order of commits, not
 * in the order in which they lie in the table.  So a reader takes, with each
 * batch, the rows that its new snapshot sees and the one before it did not.
 * A stored snapshot knows top-level transactions only, so a row that comes from
 * a subtransaction carries the number of its top-level one in "$xid".  In all
 * other rows that column is NULL, which costs nothing in a row of up to seven
 * columns, and xmin is meant (streaming_push_row_xid).
 *
 * Where to look
 * -------------
 * A reader does not want to scan what it has taken.  With each snapshot S it
 * keeps a place L (segment, block) such that every row not seen by S lies at L
 * or behind it.  Rows are only ever added at the end of the table: a session
 * forgets the page it inserted into before (RelationSetTargetBlock) when it
 * first pushes in a transaction, and never asks the free space map
 * (TABLE_INSERT_SKIP_FSM), so its first row goes to the page that is the last
 * one then, or to a new one, and later rows behind it.
 *
 * In shared memory each backend has an entry per stream.  To push, a
 * transaction T does
 *
 *	p1	reads the number of the current segment and locks its table
 *	p2	reads the table's length
 *	p3	under the stream's lock: if the number is still current, sets its entry
 *		to (number, last block); otherwise starts over
 *	p4	inserts
 *	p5	ends: its xid leaves the array of running transactions, then (in the
 *		transaction callback, which runs after that) its entry is cleared
 *
 * and the reader, before it takes S,
 *
 *	r1	reads the number of the current segment (under the stream's lock), then
 *		the last block of its table: E
 *	r2	reads all entries; their minimum is M
 *	r3	takes S
 *	L = min(E, M)
 *
 * Let T be a transaction whose rows S does not see: it ends after r3 or starts
 * after it.
 *
 *	- T's entry was set before r2 read it, and is not cleared yet: M is not
 *	  behind T's first row.
 *	- It was set before and is cleared already: then T had ended before r2, so
 *	  before S, and S sees its rows.  Not the case.
 *	- It is set after r2 read it.  Then p3 came after r1: the number T uses is
 *	  that of r1 or a later one (the number changes only under the stream's
 *	  lock, exclusively).  If it is later, T's rows are behind E.  If it is the
 *	  same, T's first row is inserted after r1 and goes to the last page at that
 *	  time or to a new one: at or behind E.
 *
 * So in all cases L is not behind T's first row, as long as rows stay where they
 * are and are added behind others.  VACUUM FULL moves rows, and VACUUM may cut off
 * the table's end, though we ask it not to (vacuum_truncate).  Neither happens
 * while somebody has the table locked, as T has from p1 on and the reader until
 * its batch ends; and who has locked it looks whether it has happened
 * (streaming_push_look).  Then another era of the table begins.  A place of another
 * era says no more than which segment it was in: the reader looks from its first
 * block on, and passes over what it has taken by the snapshot.
 *
 * A transaction that pushes for an hour keeps L where it began, so that batches
 * meanwhile scan what came since; they pass over rows taken before by "$xid".
 *
 * Back-pressure: a statement that begins to push waits while more than
 * streaming.push_limit has been committed and not looked at by the slowest view
 * that runs.  It does not wait if its transaction has written already, since
 * the views might be waiting for that transaction, nor in a worker.  A view that
 * writes to the stream does not begin a batch then (streaming_push_must_wait).
 */
#include "postgres.h"

#include "streaming.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
#include "utils/xid8.h"

#include "buffer/buffer.h"
#include "push/source_push.h"

/* Rows are written when there are so many, or so many bytes. */
#define BUFFERED_ROWS	1000
#define BUFFERED_BYTES	65536

/*
 * COPY into a table goes through a small ring of buffers, so as not to push
 * everything else out of shared buffers.  What comes into a stream is read at
 * once, and may be gone before it had to be written; so a statement uses shared
 * buffers as others do up to this size.  Scans call a table large from there on.
 */
#define SHARED_BYTES	((Size) NBuffers / 4 * BLCKSZ)

/* How often a session that has to wait looks again. */
#define WAIT_INTERVAL	20		/* ms */

/* How often it has waited when its user is told for whom: a second or so. */
#define TELL_AFTER		50

struct StreamingPush
{
	MemoryContext context;
	Relation	table;
	BulkInsertState bistate;
	bool		ring;			/* bistate has a ring of buffers of its own */
	Size		written;
	struct PushedStream *pushed;
	MemoryContext tuples;
	int			natts;			/* of the stream */
	Datum	   *values;			/* of a row of the table */
	bool	   *isnull;
	TupleDesc	desc;			/* of the table, a copy: many slots that each count a
								 * reference to one cost more than their rows */
	TupleTableSlot **slots;
	int			nslots;			/* made */
	int			nrows;			/* buffered */
	Size		bytes;
};

/* A stream that the current transaction has pushed to. */
typedef struct PushedStream
{
	StreamingStreamShared *shared;
	uint64		place;			/* its entry, STREAMING_NOT_PUSHING: not yet */
	uint64		segment;		/* newest it has pushed to */
	BlockNumber blocks;			/* of the largest table it has pushed to */
	List	   *counts;			/* of RowCount, one a subtransaction that has not
								 * ended, the innermost last */
} PushedStream;

/* Rows pushed by a subtransaction that has not ended. */
typedef struct RowCount
{
	SubTransactionId subid;
	int64		rows;
} RowCount;

static List *pushed_streams = NIL;	/* in TopTransactionContext */
static bool callbacks_registered = false;

static void begin_ring(StreamingPush *push);
static PushedStream *pushed_stream(Oid stream);
static Relation lock_segment(PushedStream *pushed, Relation stream);
static void register_push(PushedStream *pushed, Relation table, uint64 number, bool *current);
static void wait_for_views(StreamingStreamShared *shared);
static void ask_views(StreamingStreamShared *shared);
static void tell_waiting(StreamingStreamShared *shared, Oid view);
static Oid	furthest_behind(StreamingStreamShared *shared);
static uint64 blocks_behind(StreamingStreamShared *shared, uint64 place);
static void count_rows(PushedStream *pushed, int64 rows);
static void count_subtransaction(PushedStream *pushed, SubXactEvent event,
								 SubTransactionId subid, SubTransactionId parent);
static void transaction_ends(XactEvent event, void *arg);
static void subtransaction_ends(SubXactEvent event, SubTransactionId subid,
								SubTransactionId parent, void *arg);

/* ----------
 * Pushing
 * ----------
 */

StreamingPush *
streaming_push_begin(Relation stream)
{
	StreamingPush *push;
	PushedStream *pushed;

	streaming_require_loaded();
	pushed = pushed_stream(RelationGetRelid(stream));
	wait_for_views(pushed->shared);

	push = palloc0(sizeof(StreamingPush));
	push->context = CurrentMemoryContext;
	push->pushed = pushed;
	push->table = lock_segment(pushed, stream);
	push->natts = RelationGetDescr(stream)->natts;
	push->values = palloc(sizeof(Datum) * (push->natts + STREAMING_PUSH_SHIFT));
	push->isnull = palloc(sizeof(bool) * (push->natts + STREAMING_PUSH_SHIFT));
	push->slots = palloc(sizeof(TupleTableSlot *) * BUFFERED_ROWS);
	push->tuples = AllocSetContextCreate(CurrentMemoryContext, "streaming pushed rows",
										 ALLOCSET_DEFAULT_SIZES);
	return push;
}

void
streaming_push_row(StreamingPush *push, TupleTableSlot *slot)
{
	HeapTuple	tuple;
	MemoryContext old;

	old = MemoryContextSwitchTo(push->context);
	if (push->bistate == NULL)
	{
		/* The first row of the statement. */
		push->values[0] = FullTransactionIdGetDatum(GetTopFullTransactionId());
		push->isnull[0] = GetCurrentTransactionNestLevel() == 1;
		push->desc = CreateTupleDescCopy(RelationGetDescr(push->table));
		push->bistate = GetBulkInsertState();
		FreeAccessStrategy(push->bistate->strategy);
		push->bistate->strategy = NULL;
	}
	if (push->nrows == push->nslots)
		push->slots[push->nslots++] =
			MakeSingleTupleTableSlot(push->desc, &TTSOpsHeapTuple);

	slot_getallattrs(slot);
	memcpy(push->values + STREAMING_PUSH_SHIFT, slot->tts_values, sizeof(Datum) * push->natts);
	memcpy(push->isnull + STREAMING_PUSH_SHIFT, slot->tts_isnull, sizeof(bool) * push->natts);

	MemoryContextSwitchTo(push->tuples);
	tuple = heap_form_tuple(RelationGetDescr(push->table), push->values, push->isnull);
	MemoryContextSwitchTo(old);

	/* Owned by the slot, so that writing it does not copy it once more. */
	ExecStoreHeapTuple(tuple, push->slots[push->nrows++], true);
	push->bytes += tuple->t_len;
	if (push->nrows == BUFFERED_ROWS || push->bytes >= BUFFERED_BYTES)
		streaming_push_flush(push);
}

void
streaming_push_flush(StreamingPush *push)
{
	MemoryContext old;

	if (push->nrows == 0)
		return;

	old = MemoryContextSwitchTo(push->tuples);
	table_multi_insert(push->table, push->slots, push->nrows, GetCurrentCommandId(true),
					   TABLE_INSERT_SKIP_FSM, push->bistate);
	MemoryContextSwitchTo(old);
	count_rows(push->pushed, push->nrows);
	push->pushed->blocks = Max(push->pushed->blocks, streaming_table_blocks(push->table));
	push->written += push->bytes;
	if (!push->ring && push->written > SHARED_BYTES)
		begin_ring(push);

	/* All tuples go at once with their context, not one by one. */
	for (int i = 0; i < push->nrows; i++)
		push->slots[i]->tts_flags &= ~TTS_FLAG_SHOULDFREE;
	MemoryContextReset(push->tuples);
	push->nrows = 0;
	push->bytes = 0;
}

static void
begin_ring(StreamingPush *push)
{
	MemoryContext old = MemoryContextSwitchTo(push->context);

	FreeBulkInsertState(push->bistate);
	push->bistate = GetBulkInsertState();
	push->ring = true;
	MemoryContextSwitchTo(old);
}

void
streaming_push_end(StreamingPush *push)
{
	streaming_push_flush(push);
	for (int i = 0; i < push->nslots; i++)
		ExecDropSingleTupleTableSlot(push->slots[i]);
	if (push->bistate)
		FreeBulkInsertState(push->bistate);
	table_close(push->table, NoLock);
	MemoryContextDelete(push->tuples);
	pfree(push);
}

/* ----------
 * The registry
 * ----------
 */

/* The transaction's entry for stream; made with its first statement. */
static PushedStream *
pushed_stream(Oid stream)
{
	ListCell   *lc;
	PushedStream *pushed;
	MemoryContext old;

	foreach(lc, pushed_streams)
	{
		pushed = lfirst(lc);
		if (pushed->shared && pushed->shared->stream == stream)
			return pushed;
	}

	if (!callbacks_registered)
	{
		RegisterXactCallback(transaction_ends, NULL);
		RegisterSubXactCallback(subtransaction_ends, NULL);
		callbacks_registered = true;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	pushed = palloc0(sizeof(PushedStream));
	pushed->place = STREAMING_NOT_PUSHING;
	pushed_streams = lappend(pushed_streams, pushed);
	pushed->shared = streaming_stream_use(stream);
	MemoryContextSwitchTo(old);
	return pushed;
}

/* Steps p1 to p3: the table for new rows, open and locked. */
static Relation
lock_segment(PushedStream *pushed, Relation stream)
{
	Oid			relid = RelationGetRelid(stream);
	bool		adapted = false;

	for (;;)
	{
		uint64		number = streaming_push_current(pushed->shared);
		Oid			table_oid = streaming_push_table(relid, number);
		Relation	table;
		bool		current;

		if (!adapted &&
			(number == 0 || !OidIsValid(table_oid) ||
			 !streaming_table_matches(table_oid, RelationGetDescr(stream),
									  STREAMING_PUSH_SHIFT, false)))
		{
			streaming_push_create_tables(relid);
			adapted = true;
			continue;
		}
		table = table_open(table_oid, RowExclusiveLock);
		register_push(pushed, table, number, &current);
		if (current)
			return table;

		/* Another segment has begun in between; the lock stays, no harm. */
		table_close(table, NoLock);
	}
}

static void
register_push(PushedStream *pushed, Relation table, uint64 number, bool *current)
{
	StreamingStreamShared *shared = pushed->shared;
	BlockNumber blocks;

	if (pushed->segment != number)
		RelationSetTargetBlock(table, InvalidBlockNumber);
	(void) streaming_push_look(shared, table, number, &blocks);

	LWLockAcquire(shared->lock, LW_SHARED);
	*current = shared->push_number == number;
	if (*current && pushed->place == STREAMING_NOT_PUSHING)
	{
		pushed->place = streaming_pack_place(number, blocks > 0 ? blocks - 1 : 0);
		pg_atomic_write_u64(streaming_my_push(shared), pushed->place);
	}
	LWLockRelease(shared->lock);
	if (*current)
		pushed->segment = number;
}

/* ----------
 * Waiting
 * ----------
 */

static void
wait_for_views(StreamingStreamShared *shared)
{
	int			waits = 0;
	Oid			view;

	if (streaming_push_limit == 0 || MyBackendType != B_BACKEND)
		return;
	while (!TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		   OidIsValid(view = furthest_behind(shared)))
	{
		ask_views(shared);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WAIT_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (++waits == TELL_AFTER)
			tell_waiting(shared, view);
	}
}

/* A view that has nothing to take says so when it is asked. */
static void
ask_views(StreamingStreamShared *shared)
{
	pg_atomic_write_u64(&shared->push_waited_at, streaming_now());
	streaming_stream_wake_readers(shared);
}

Oid
streaming_push_behind(Oid stream)
{
	StreamingStreamShared *shared = streaming_stream_lookup(stream);

	return shared && streaming_push_limit > 0 ? furthest_behind(shared) : InvalidOid;
}

bool
streaming_push_must_wait(Oid stream)
{
	StreamingStreamShared *shared;
	bool		waits = OidIsValid(streaming_push_behind(stream));

	if (waits)
	{
		shared = streaming_stream_use(stream);
		ask_views(shared);
		streaming_stream_release(shared);
	}
	return waits;
}

/* The user may not be allowed to see the view; its name is what others need. */
static void
tell_waiting(StreamingStreamShared *shared, Oid view)
{
	char	   *name = get_rel_name(view);

	if (name == NULL)
		return;
	ereport(NOTICE,
			(errmsg("waiting until continuous view \"%s\" has taken rows of stream \"%s\"",
					name, get_rel_name(shared->stream)),
			 errdetail("It is more than streaming.push_limit behind."),
			 errhint("See streaming.views for its state. This goes on when the view does, or when it is paused with ALTER VIEW ... SET (streaming.enabled = off).")));
}

/*
 * Of the views that run further behind than streaming.push_limit the one that is
 * furthest; Invalid: there is none.
 */
static Oid
furthest_behind(StreamingStreamShared *shared)
{
	uint64		lowest = PG_UINT64_MAX;
	Oid			view = InvalidOid;

	/* Without the lock: a hint, as the number of the first reader is. */
	if (shared->first_reader < 0)
		return InvalidOid;

	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	LWLockAcquire(shared->lock, LW_SHARED);
	streaming_foreach_reader(reader, shared)
	{
		uint64		place = streaming_pack_place(reader->place.number,
												 ItemPointerGetBlockNumberNoCheck(&reader->place.tid));

		if (reader->mode != STREAMING_INPUT_SNAPSHOT || reader->failing ||
			reader->place.number == 0 || place >= lowest)
			continue;
		lowest = place;
		view = reader->view;
	}
	LWLockRelease(shared->lock);
	LWLockRelease(streaming_streams->lock);

	if (OidIsValid(view) &&
		blocks_behind(shared, lowest) * (BLCKSZ / 1024) <= (uint64) streaming_push_limit)
		view = InvalidOid;
	return view;
}

/* From a place to the end; values out of line count like their rows. */
static uint64
blocks_behind(StreamingStreamShared *shared, uint64 place)
{
	uint64		number = streaming_push_current(shared);
	uint64		blocks[STREAMING_PUSH_TABLES];
	uint64		rows;			/* blocks of rows */
	uint64		total = 0;		/* with what is out of line */
	uint64		behind;

	for (int i = 0; i < STREAMING_PUSH_TABLES; i++)
	{
		Oid			relid = streaming_push_table(shared->stream, number + i);
		Relation	table = OidIsValid(relid) ? try_table_open(relid, AccessShareLock) : NULL;

		blocks[i] = table ? RelationGetNumberOfBlocks(table) : 0;
		total += table ? streaming_table_blocks(table) : 0;
		if (table)
			table_close(table, AccessShareLock);
	}
	rows = blocks[0] + blocks[1];
	behind = place >> 32 < number ? rows : blocks[0];
	behind -= Min((BlockNumber) place, behind);
	return rows > 0 ? behind * total / rows : 0;
}

/* ----------
 * The end of the transaction
 * ----------
 */

static void
count_rows(PushedStream *pushed, int64 rows)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	RowCount   *count = pushed->counts ? llast(pushed->counts) : NULL;

	if (count == NULL || count->subid != subid)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		count = palloc0(sizeof(RowCount));
		count->subid = subid;
		pushed->counts = lappend(pushed->counts, count);
		MemoryContextSwitchTo(old);
	}
	count->rows += rows;
}

static void
transaction_ends(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (pushed_streams == NIL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has inserted into a stream or changed a table that a continuous view follows"),
					 errhint("End the transaction with COMMIT.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			break;
		default:
			return;
	}

	foreach(lc, pushed_streams)
	{
		PushedStream *pushed = lfirst(lc);
		int64		rows = 0;
		ListCell   *lr;

		if (pushed->shared == NULL)
			continue;
		if (pushed->place != STREAMING_NOT_PUSHING)
			pg_atomic_write_u64(streaming_my_push(pushed->shared), STREAMING_NOT_PUSHING);
		foreach(lr, pushed->counts)
			rows += ((RowCount *) lfirst(lr))->rows;
		if (event == XACT_EVENT_COMMIT && rows > 0)
		{
			pg_atomic_fetch_add_u64(&pushed->shared->rows_read, rows);
			streaming_stream_wake_readers(pushed->shared);
		}
		/* Views ask, too; but there may be none, and none hears of an abort. */
		streaming_push_ask_trim(pushed->shared, pushed->blocks);
		streaming_stream_release(pushed->shared);
	}
	pushed_streams = NIL;
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	foreach(lc, pushed_streams)
		count_subtransaction(lfirst(lc), event, subid, parent);
}

/* What a subtransaction has counted becomes its parent's, or nobody's. */
static void
count_subtransaction(PushedStream *pushed, SubXactEvent event, SubTransactionId subid,
					 SubTransactionId parent)
{
	int			n = list_length(pushed->counts);
	RowCount   *last = n > 0 ? llast(pushed->counts) : NULL;
	RowCount   *before = n > 1 ? list_nth(pushed->counts, n - 2) : NULL;

	if (last == NULL || last->subid != subid)
		return;
	last->subid = parent;
	if (event == SUBXACT_EVENT_COMMIT_SUB && (before == NULL || before->subid != parent))
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		before->rows += last->rows;
	pushed->counts = list_truncate(pushed->counts, n - 1);
	pfree(last);
}
