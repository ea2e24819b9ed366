/*
 * push_scan.c
 *		Reads the tables of a pushed stream: the rows that a snapshot sees and a
 *		position has not taken.
 *
 * Page by page, because the rows of a page have mostly come with one statement:
 * then what holds for one of them holds for all.  (A scan of the table's access
 * method asks anew for each row.)
 *
 * Several processes can share a scan, for a parallel query.  The leader writes
 * down what is to be read, in their shared memory:
 *
 *		table 0	   from ┌────┬────┬────┬──┐ nblocks
 *		table 1	      0 ┌────┬────┬────┬────┬────┬─┐ nblocks
 *					         └ next
 *
 * and each of them takes ranges of pages until there are none.  Who comes to the
 * end adds what it has read to the sum, so that the leader can tell whether all
 * pages have been read, and how many rows they had.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/transam.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

#include "push/push_scan.h"
#include "buffer/shift_slot.h"
#include "push/source_push.h"

/* Pages that a process takes at once of a scan that it shares. */
#define RANGE_PAGES		32

/* In shared memory; the leader writes it before the others come. */
struct StreamingPushShare
{
	/* immutable */
	Oid			tables[2];
	BlockNumber nblocks[2];
	int			table;			/* as in StreamingPushScan */
	ItemPointerData from;
	uint64		next_xid;
	bool		positioned;
	StreamingSnapshotPosition position; /* xip: below; each process sets it */

	/* of the tables, pages to be taken next; may lie behind the end */
	pg_atomic_uint64 next[2];

	/* by those who have come to the end */
	pg_atomic_uint64 pages;
	pg_atomic_uint64 rows;

	uint64		xip[FLEXIBLE_ARRAY_MEMBER];
};

static void begin_share(StreamingPushScan *scan);
static void end_share(StreamingPushScan *scan);
static void begin_table(StreamingPushScan *scan);
static bool next_range(StreamingPushScan *scan);
static inline bool is_wanted(StreamingPushScan *scan, HeapTuple tuple);
static inline void set_tuple(StreamingPushScan *scan, OffsetNumber offset);
static void end_page(StreamingPushScan *scan);
static bool next_page(StreamingPushScan *scan);

void
streaming_push_scan_lock(StreamingPushScan *scan, StreamingStreamShared *shared,
						 uint64 from)
{
	for (;;)
	{
		uint64		number = streaming_push_current(shared);

		for (int i = 0; i < 2 && number > 0; i++)
		{
			scan->numbers[i] = number - 1 + i;
			scan->tables[i] = InvalidOid;
			if (i == 0 && from >= number)
				continue;
			scan->tables[i] = streaming_push_table(shared->stream, scan->numbers[i]);
			if (OidIsValid(scan->tables[i]))
				streaming_push_scan_lock_table(scan, shared, i);
		}
		if (number == 0 || streaming_push_current(shared) == number)
			break;
	}
}

void
streaming_push_scan_lock_table(StreamingPushScan *scan, StreamingStreamShared *shared, int i)
{
	Relation	table = table_open(scan->tables[i], AccessShareLock);
	BlockNumber blocks;

	scan->eras[i] = streaming_push_look(shared, table, scan->numbers[i], &blocks);
	table_close(table, NoLock);
}

/* The first block of table i that may have rows position has not taken. */
static BlockNumber
begin_block(StreamingPushScan *scan, const StreamingSnapshotPosition *position, int i)
{
	return position->number == scan->numbers[i] && position->era == scan->eras[i] ?
		position->block : 0;
}

/* Is the block the one of the table that position begins with? */
static bool
is_first_block(StreamingPushScan *scan, BlockNumber block)
{
	const StreamingSnapshotPosition *position = scan->position;

	return position && position->number == scan->numbers[scan->table] &&
		position->era == scan->eras[scan->table] && position->block == block;
}

/* Where the rows of that block begin that position may not have taken. */
static OffsetNumber
begin_offset(StreamingPushScan *scan, BlockNumber block)
{
	StreamingPushTaken *taken = scan->taken;

	if (taken && is_first_block(scan, block) && OffsetNumberIsValid(taken->next) &&
		taken->number == scan->position->number && taken->era == scan->position->era &&
		taken->block == block)
		return taken->next;
	return FirstOffsetNumber;
}

void
streaming_push_scan_begin(StreamingPushScan *scan, Snapshot snapshot,
						  const StreamingSnapshotPosition *position, TupleTableSlot *slot)
{
	scan->snapshot = snapshot;
	scan->position = position;
	scan->next_xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	scan->slot = slot;
	scan->rel = NULL;
	scan->buffer = InvalidBuffer;
	scan->nwanted = scan->next = 0;
	scan->origin.infomask = 0;
	scan->table = 0;
	ItemPointerSet(&scan->from, 0, FirstOffsetNumber);
	if (position && position->number >= scan->numbers[1])
		scan->table = 1;
	if (position)
	{
		BlockNumber block = begin_block(scan, position, scan->table);

		ItemPointerSet(&scan->from, block, begin_offset(scan, block));
	}
	if (scan->share)
		begin_share(scan);
}

static void
begin_table(StreamingPushScan *scan)
{
	scan->rel = table_open(scan->tables[scan->table], NoLock);
	streaming_stored_slot_set(scan->slot, scan->rel, scan->desc, STREAMING_PUSH_SHIFT);
	if (scan->share)
	{
		scan->block = scan->nblocks = 0;	/* until it takes a range */
		return;
	}
	scan->block = ItemPointerGetBlockNumber(&scan->from);
	/* The snapshot is older, so what it sees lies before this end. */
	scan->nblocks = RelationGetNumberOfBlocks(scan->rel);
	if (scan->most > 0)
		scan->nblocks = Min(scan->nblocks, scan->block + scan->most);
}

/* Another range of the table's pages; false: there is none. */
static bool
next_range(StreamingPushScan *scan)
{
	StreamingPushShare *share = scan->share;
	BlockNumber end;
	uint64		block;

	if (share == NULL)
		return false;
	end = share->nblocks[scan->table];
	block = pg_atomic_fetch_add_u64(&share->next[scan->table], RANGE_PAGES);
	if (block >= end)
		return false;
	scan->block = block;
	scan->nblocks = Min(block + RANGE_PAGES, end);
	return true;
}

/*
 * Does the snapshot see a row that the position has not taken, and that is not
 * behind the end?  The page is locked.
 *
 * Rows that are pushed together have one answer.  That it is not asked for each
 * of them leaves the hint bits of the others unset: nobody but us reads them,
 * and so pages that have just been filled do not become dirty by reading.
 */
static inline bool
is_wanted(StreamingPushScan *scan, HeapTuple tuple)
{
	HeapTupleHeader header = tuple->t_data;
	StreamingPushOrigin *last = &scan->origin;
	StreamingPushOrigin origin;
	uint64		xid;
	bool		visible;

	origin.xmin = HeapTupleHeaderGetRawXmin(header);
	origin.cmin = HeapTupleHeaderGetRawCommandId(header);
	origin.infomask = header->t_infomask & HEAP_XACT_MASK;
	if (likely(origin.xmin == last->xmin && origin.infomask == last->infomask &&
			   origin.cmin == last->cmin))
		return scan->origin_wanted;

	visible = HeapTupleSatisfiesVisibility(tuple, scan->snapshot, scan->buffer);
	HeapCheckForSerializableConflictOut(visible, scan->rel, tuple, scan->buffer,
										scan->snapshot);
	xid = streaming_push_row_xid(tuple, scan->next_xid);
	scan->origin_taken = visible && scan->position &&
		streaming_snapshot_has_seen(scan->position, xid, origin.cmin);
	scan->origin_wanted = visible && !scan->origin_taken &&
		(scan->until == NULL || streaming_snapshot_has_seen(scan->until, xid, origin.cmin));
	if ((origin.infomask & HEAP_XMAX_INVALID) == 0)
		origin.infomask = 0;
	*last = origin;
	return scan->origin_wanted;
}

/* scan->tuple gets the row at offset of the page. */
static inline void
set_tuple(StreamingPushScan *scan, OffsetNumber offset)
{
	ItemId		item = PageGetItemId(scan->page, offset);

	scan->tuple.t_data = (HeapTupleHeader) PageGetItem(scan->page, item);
	scan->tuple.t_len = ItemIdGetLength(item);
	ItemPointerSetOffsetNumber(&scan->tuple.t_self, offset);
}

static void
end_page(StreamingPushScan *scan)
{
	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
	scan->buffer = InvalidBuffer;
	scan->nwanted = scan->next = 0;
}

/* Goes to the next page, which may have no rows that are wanted; false: there is none. */
static bool
next_page(StreamingPushScan *scan)
{
	OffsetNumber offset = FirstOffsetNumber;
	OffsetNumber last;
	OffsetNumber taken;			/* all rows before it are */

	end_page(scan);
	if (scan->block >= scan->nblocks && !next_range(scan))
		return false;
	CHECK_FOR_INTERRUPTS();
	if (scan->block == ItemPointerGetBlockNumber(&scan->from))
		offset = ItemPointerGetOffsetNumber(&scan->from);
	scan->buffer = ReadBuffer(scan->rel, scan->block);
	scan->page = BufferGetPage(scan->buffer);
	scan->tuple.t_tableOid = RelationGetRelid(scan->rel);
	ItemPointerSetBlockNumber(&scan->tuple.t_self, scan->block);
	scan->block++;

	LockBuffer(scan->buffer, BUFFER_LOCK_SHARE);
	last = PageGetMaxOffsetNumber(scan->page);
	taken = offset;
	for (; offset <= last; offset++)
	{
		if (!ItemIdIsNormal(PageGetItemId(scan->page, offset)))
			continue;
		set_tuple(scan, offset);
		if (is_wanted(scan, &scan->tuple))
			scan->wanted[scan->nwanted++] = offset;
		else if (taken == offset && scan->origin_taken)
			taken++;
	}
	LockBuffer(scan->buffer, BUFFER_LOCK_UNLOCK);
	if (scan->taken && is_first_block(scan, scan->block - 1))
	{
		scan->taken->number = scan->position->number;
		scan->taken->era = scan->position->era;
		scan->taken->block = scan->block - 1;
		scan->taken->next = taken;
	}
	scan->pages++;
	scan->rows += scan->nwanted;
	return true;
}

/* The row is in scan->slot. */
bool
streaming_push_scan_next(StreamingPushScan *scan)
{
	while (scan->table < 2)
	{
		if (scan->next < scan->nwanted)
		{
			set_tuple(scan, scan->wanted[scan->next++]);
			ExecStoreBufferHeapTuple(&scan->tuple, scan->slot, scan->buffer);
			return true;
		}
		if (scan->rel == NULL && OidIsValid(scan->tables[scan->table]))
			begin_table(scan);
		if (scan->rel && next_page(scan))
			continue;
		streaming_push_scan_end(scan);
		scan->table++;
		ItemPointerSet(&scan->from, 0, FirstOffsetNumber);
	}
	if (scan->share)
		end_share(scan);
	return false;
}

void
streaming_push_scan_end(StreamingPushScan *scan)
{
	if (scan->rel == NULL)
		return;
	ExecClearTuple(scan->slot);
	end_page(scan);
	table_close(scan->rel, NoLock);
	scan->rel = NULL;
}

/* ----------
 * Sharing a scan
 * ----------
 */

Size
streaming_push_share_size(const StreamingPushScan *scan)
{
	return offsetof(StreamingPushShare, xip) +
		sizeof(uint64) * (scan->position ? scan->position->nxip : 0);
}

void
streaming_push_share_init(StreamingPushShare *share, const StreamingPushScan *scan)
{
	memset(share, 0, offsetof(StreamingPushShare, xip));
	share->table = scan->table;
	share->from = scan->from;
	share->next_xid = scan->next_xid;
	for (int i = scan->table; i < 2; i++)
	{
		Relation	rel;

		share->tables[i] = scan->tables[i];
		if (!OidIsValid(scan->tables[i]))
			continue;
		rel = table_open(scan->tables[i], NoLock);
		share->nblocks[i] = RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
	}
	if (scan->position)
	{
		share->positioned = true;
		share->position = *scan->position;
		share->position.xip = NULL;
		memcpy(share->xip, scan->position->xip, sizeof(uint64) * scan->position->nxip);
	}
	for (int i = 0; i < 2; i++)
		pg_atomic_init_u64(&share->next[i], 0);
	pg_atomic_init_u64(&share->pages, 0);
	pg_atomic_init_u64(&share->rows, 0);
	streaming_push_share_reset(share);
}

/* Where table number i is to be read from. */
static BlockNumber
first_block(const StreamingPushShare *share, int i)
{
	return i == share->table ? ItemPointerGetBlockNumber(&share->from) : 0;
}

void
streaming_push_share_reset(StreamingPushShare *share)
{
	for (int i = 0; i < 2; i++)
		pg_atomic_write_u64(&share->next[i], first_block(share, i));
	pg_atomic_write_u64(&share->pages, 0);
	pg_atomic_write_u64(&share->rows, 0);
}

void
streaming_push_scan_join(StreamingPushScan *scan, StreamingPushShare *share)
{
	memset(scan, 0, sizeof(*scan));
	scan->share = share;
	for (int i = 0; i < 2; i++)
	{
		scan->tables[i] = share->tables[i];
		if (OidIsValid(scan->tables[i]))
			LockRelationOid(scan->tables[i], AccessShareLock);
	}
}

/* Begins where the leader's scan does. */
static void
begin_share(StreamingPushScan *scan)
{
	StreamingPushShare *share = scan->share;

	scan->table = share->table;
	scan->from = share->from;
	scan->next_xid = share->next_xid;
	scan->position = NULL;
	scan->pages = scan->rows = 0;
	if (share->positioned)
	{
		scan->shared_position = share->position;
		scan->shared_position.xip = share->xip;
		scan->position = &scan->shared_position;
	}
}

static void
end_share(StreamingPushScan *scan)
{
	pg_atomic_fetch_add_u64(&scan->share->pages, scan->pages);
	pg_atomic_fetch_add_u64(&scan->share->rows, scan->rows);
	scan->pages = scan->rows = 0;
}

bool
streaming_push_share_is_done(StreamingPushShare *share, int64 *rows)
{
	uint64		pages = 0;

	for (int i = share->table; i < 2; i++)
		pages += share->nblocks[i] - Min(first_block(share, i), share->nblocks[i]);
	*rows = pg_atomic_read_u64(&share->rows);
	return pg_atomic_read_u64(&share->pages) == pages;
}
