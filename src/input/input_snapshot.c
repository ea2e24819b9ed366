/*
 * input_snapshot.c
 *		Reading a batch of pushed rows: what this snapshot sees and the last one
 *		did not.
 *
 * source_push.c tells how rows get there and proves that the place kept with a
 * snapshot lies before every row that the snapshot did not see.
 *
 * push_scan.c reads the tables.  What is read is locked before the batch's
 * snapshot is taken: the table of the current segment, and the old one only if
 * it may have something for the reader.  So readers that are not behind leave
 * the old table free for being emptied, which nobody ever waits for.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/checkpoint.h"
#include "input/input_internal.h"
#include "buffer/shift_slot.h"
#include "push/source_push.h"

static void low_bound(StreamingPushScan *scan, StreamingStreamShared *shared,
					  StreamingSnapshotPosition *position, StreamingPlace *end,
					  BlockNumber *size);
static void follow_switch(StreamingPushScan *scan, StreamingStreamShared *shared);
static void estimate_size(StreamingInput *input);
static void end_as_planned(StreamingInput *input);
static void copy_position(StreamingSnapshotPosition *to, const StreamingSnapshotPosition *from);

/* Into CurrentMemoryContext; what to had there is freed. */
static void
copy_position(StreamingSnapshotPosition *to, const StreamingSnapshotPosition *from)
{
	if (to->xip)
		pfree(to->xip);
	*to = *from;
	to->xip = palloc(sizeof(uint64) * (from->nxip + 1));
	if (from->nxip > 0)
		memcpy(to->xip, from->xip, sizeof(uint64) * from->nxip);
}

/* ----------
 * Batches
 * ----------
 */

void
streaming_snapshot_open(StreamingInput *input)
{
	ListCell   *lc;

	input->decided = true;
	(void) streaming_push_current(input->shared);
	foreach(lc, streaming_checkpoint_read(input->view, input->stream->relid))
	{
		StreamingCheckpoint *row = lfirst(lc);

		input->written |= streaming_snapshot_position_in(row->position,
														 input->shared->push_identity,
														 &input->position);
	}
	LWLockAcquire(input->shared->lock, LW_EXCLUSIVE);
	input->reader->mode = STREAMING_INPUT_SNAPSHOT;
	if (input->holds_pushers)
	{
		input->reader->place.number = Max(input->position.number, 1);
		ItemPointerSet(&input->reader->place.tid, input->position.block, FirstOffsetNumber);
	}
	LWLockRelease(input->shared->lock);
}

/*
 * Steps r1 and r2 of source_push.c.  *end: where the current segment ends; *size:
 * of its table, all told.  The tables are locked, and have been looked at.
 */
static void
low_bound(StreamingPushScan *scan, StreamingStreamShared *shared,
		  StreamingSnapshotPosition *position, StreamingPlace *end, BlockNumber *size)
{
	Relation	rel;
	BlockNumber blocks;
	uint64		place;
	uint64		lowest;
	uint64		eras[STREAMING_PUSH_TABLES];

	/*
	 * The number was read, under the stream's lock, before the tables' lock.  The
	 * table before is locked by those who push into it, and does not change as
	 * long as there are any.
	 */
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < STREAMING_PUSH_TABLES; i++)
		eras[i] = shared->push_files[i].era;
	LWLockRelease(shared->lock);
	rel = table_open(scan->tables[1], NoLock);
	eras[scan->numbers[1] % STREAMING_PUSH_TABLES] =
		streaming_push_look(shared, rel, scan->numbers[1], &blocks);
	*size = streaming_table_blocks(rel);
	table_close(rel, NoLock);
	end->number = scan->numbers[1];
	ItemPointerSet(&end->tid, blocks, FirstOffsetNumber);

	place = streaming_pack_place(scan->numbers[1], blocks > 0 ? blocks - 1 : 0);
	pg_read_barrier();
	lowest = streaming_lowest_push(shared);
	place = Min(place, lowest);
	position->number = place >> 32;
	position->block = (BlockNumber) place;
	position->era = eras[position->number % STREAMING_PUSH_TABLES];
}

void
streaming_snapshot_prepare(StreamingInput *input)
{
	memset(&input->push, 0, sizeof(input->push));
	input->push.desc = input->stream->tupdesc;
	streaming_push_scan_lock(&input->push, input->shared, input->position.number);
	if (!OidIsValid(input->push.tables[1]))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("stream %s has no tables for its rows", input->stream->name)));
	low_bound(&input->push, input->shared, &input->new_position, &input->looked_at,
			  &input->table_size);
	input->prepared = input->push.numbers[1];
}

void
streaming_snapshot_position_now(StreamingPushScan *scan, StreamingStreamShared *shared,
								StreamingSnapshotPosition *position)
{
	StreamingPlace end;
	BlockNumber size;

	low_bound(scan, shared, position, &end, &size);
	streaming_snapshot_position_set(position, GetLatestSnapshot());
}

/*
 * The snapshot has been taken: should another segment have begun since the
 * tables were locked, it sees rows there, too.  That is one segment at most,
 * because the next one would need the table that we have locked.
 */
static void
follow_switch(StreamingPushScan *scan, StreamingStreamShared *shared)
{
	uint64		number = streaming_push_current(shared);

	if (number == scan->numbers[1])
		return;
	Assert(number == scan->numbers[1] + 1);
	scan->numbers[0] = scan->numbers[1];
	scan->tables[0] = scan->tables[1];
	scan->eras[0] = scan->eras[1];
	scan->numbers[1] = number;
	scan->tables[1] = streaming_push_table(shared->stream, number);
	streaming_push_scan_lock_table(scan, shared, 1);
}

/*
 * By what is behind the first row.  Bulk is what PostgreSQL would give a second
 * worker for: the start of one takes as long as reading some thousand rows.
 */
static void
estimate_size(StreamingInput *input)
{
	StreamingPushScan *push = &input->push;
	BlockNumber end = ItemPointerGetBlockNumberNoCheck(&input->looked_at.tid);

	input->pages = 0;
	if (push->table == 0)
	{
		Relation	rel = table_open(push->tables[0], NoLock);

		input->pages += RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
	}
	input->pages += end;
	input->pages -= Min(input->pages, ItemPointerGetBlockNumber(&push->from));
	if (push->table == 0 || input->pages > STREAMING_MANY_PAGES)
		input->size = STREAMING_SIZE_MANY;
	if (input->event_attno == 0 && !input->planned && input->pages / 3 >= Max(min_parallel_table_scan_size, 1))
		input->size = STREAMING_SIZE_BULK;
}

/* What the batch's first attempt saw, and no more. */
static void
end_as_planned(StreamingInput *input)
{
	copy_position(&input->new_position, &input->planned_position);
	input->push.until = &input->new_position;
	input->looked_at.number = Max(input->new_position.number, 1);
	ItemPointerSet(&input->looked_at.tid, input->new_position.block, FirstOffsetNumber);
}

/*
 * Looks for the first row, and lets scans of the batch begin there.  If there
 * is none, what the snapshot sees has been taken all the same.
 */
bool
streaming_snapshot_begin(StreamingInput *input)
{
	StreamingPushScan *push = &input->push;
	TupleTableSlot *slot = streaming_stored_slot_make();
	bool		found;

	if (input->prepared == 0)
		elog(ERROR, "streaming_input_prepare was not called");
	follow_switch(push, input->shared);
	if (input->planned)
		end_as_planned(input);
	else
		streaming_snapshot_position_set(&input->new_position, GetActiveSnapshot());

	push->taken = &input->taken;
	streaming_push_scan_begin(push, GetActiveSnapshot(), &input->position, slot);
	found = streaming_push_scan_next(push);
	push->taken = NULL;
	if (found)
	{
		push->from = slot->tts_tid;
		estimate_size(input);
	}
	streaming_push_scan_end(push);
	ExecDropSingleTupleTableSlot(slot);

	if (found || input->planned)
	{
		input->mode = STREAMING_INPUT_SNAPSHOT;
		return true;
	}
	streaming_snapshot_committed(input);
	return false;
}

void
streaming_snapshot_scan_open(StreamingInputScan *scan)
{
	scan->push = scan->input->push;
	scan->push.slot = scan->stored;
	scan->push.most = scan->input->sampling ? STREAMING_SAMPLE_PAGES : 0;
}

TupleTableSlot *
streaming_snapshot_scan_next(StreamingInputScan *scan)
{
	if (streaming_push_scan_next(&scan->push))
	{
		streaming_show_rows(scan->input, ++scan->rows);
		streaming_shift_slot_set(scan->slot);
		streaming_track_row(scan->input, 0, scan->slot);
		return scan->slot;
	}
	streaming_scan_done(scan, scan->input->planned);
	return NULL;
}

void
streaming_snapshot_scan_reset(StreamingInputScan *scan)
{
	streaming_push_scan_end(&scan->push);
	streaming_snapshot_scan_open(scan);
}

void
streaming_snapshot_checkpoint(StreamingInput *input, const StreamingSnapshotPosition *taken,
							  int64 batch_id)
{
	char	   *partition = "0";
	char	   *position = streaming_snapshot_position_out(taken, input->shared->push_identity);
	TimestampTz time = streaming_partition_time(input, 0);

	streaming_checkpoint_write(input->view, input->stream->relid, batch_id, 0, 1,
							   &partition, &position, &time, &input->checkpoint);
}

/* Also when a batch found nothing. */
void
streaming_snapshot_committed(StreamingInput *input)
{
	MemoryContext old = MemoryContextSwitchTo(input->context);

	copy_position(&input->position, &input->new_position);
	MemoryContextSwitchTo(old);
	LWLockAcquire(input->shared->lock, LW_EXCLUSIVE);
	if (input->holds_pushers)
		input->reader->place = input->looked_at;
	input->reader->failing = false;
	LWLockRelease(input->shared->lock);
	streaming_push_ask_trim(input->shared, input->table_size);
}

int64
streaming_input_push_lag(Oid view, Oid stream)
{
	List	   *rows = streaming_checkpoint_read(view, stream);

	return streaming_input_push_rest(stream, rows ? ((StreamingCheckpoint *) linitial(rows))->position : NULL);
}

int64
streaming_input_push_rest(Oid stream, const char *text)
{
	StreamingStreamShared *shared;
	StreamingSnapshotPosition position = {0};
	StreamingPushScan scan = {0};
	TupleTableSlot *slot;
	int64		rows = 0;

	if (!streaming_push_is_readable(stream))
		return -1;
	shared = streaming_stream_use(stream);
	streaming_push_scan_lock(&scan, shared, 0);
	if (text)
		(void) streaming_snapshot_position_in(text, shared->push_identity, &position);
	if (OidIsValid(scan.tables[1]))
	{
		slot = streaming_stored_slot_make();
		streaming_push_scan_begin(&scan, GetActiveSnapshot(), &position, slot);
		while (streaming_push_scan_next(&scan))
		{
			rows++;
			CHECK_FOR_INTERRUPTS();
		}
		ExecDropSingleTupleTableSlot(slot);
	}
	streaming_stream_release(shared);
	return rows;
}
