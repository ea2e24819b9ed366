/*
 * state_look_up.c
 *		Finds rows of a table of state, as one batch reads them.
 *
 * What is found by a map is read by the heap's own functions, as an index scan
 * would, with one difference.  An index scan prunes each page that has less than
 * the table's fillfactor free, which is every page that has been updated since:
 * the dearest part of updating one row.  Here a page is pruned when there may not
 * be room for what the batch is going to write to it.
 *
 * Reads use SnapshotSelf: what this transaction wrote is seen at once.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/tableam.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "state/state_ways.h"
#include "streaming.h"

/* Look-ups between one step of preparing for a look-up and the next. */
#define PREFETCH_STEP	(STREAMING_PREFETCH_DISTANCE / 3)

static void
begin_scan(StreamingStateTable *table, StreamingStateLookUp *look_up)
{
	ScanKeyData key;
	MemoryContext old = MemoryContextSwitchTo(table->context);

	if (look_up->scan == NULL)
		look_up->scan = streaming_index_beginscan(table->rel, table->ways[look_up->by].index,
												  SnapshotSelf, 1);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(look_up->hash));
	index_rescan(look_up->scan, &key, 1, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_look_up(StreamingStateTable *table, StreamingStateLookUp *look_up,
						StreamingStateBy by, int64 hash)
{
	if (look_up->by != by)
		streaming_state_look_up_end(look_up);
	look_up->by = by;
	look_up->hash = hash;
	if (streaming_state_is_empty(table))
		return;
	if (table->ways[by].index == NULL && !streaming_uses_maps(table))
		streaming_make_way(table);
	if (streaming_uses_maps(table))
		look_up->cursor = streaming_row_map_find(table->ways[by].map, hash);
	else
		begin_scan(table, look_up);
}

void
streaming_state_find(StreamingStateTable *table, int64 hash)
{
	streaming_state_look_up(table, &table->look_up, STREAMING_BY_HASH, hash);
}

void
streaming_state_find_group(StreamingStateTable *table, int64 group)
{
	streaming_state_look_up(table, &table->look_up, STREAMING_BY_GROUP, group);
}

/* The page if it is pinned, or NULL. */
static StreamingStatePage *
find_page(StreamingStateTable *table, BlockNumber block)
{
	for (int i = 0; i < STREAMING_PINNED_PAGES; i++)
	{
		StreamingStatePage *page = &table->pages[i];

		if (page->block == block && BufferIsValid(page->buffer))
			return page;
	}
	return NULL;
}

/* Begins to load the page of the first row that may have the hash, if need be from the disk. */
static void
prefetch_page(StreamingStateTable *table, StreamingStatePrefetch *prefetch)
{
	StreamingRowMap *map = table->ways[prefetch->by].map;
	StreamingRowMapCursor cursor = streaming_row_map_find(map, prefetch->hash);
	StreamingStatePage *page;
	ItemPointerData tid;
	Page		content;

	if (!streaming_row_map_next(map, &cursor, &tid) ||
		ItemPointerGetBlockNumber(&tid) >= table->nblocks)
		return;
	prefetch->block = ItemPointerGetBlockNumber(&tid);
	prefetch->offset = ItemPointerGetOffsetNumber(&tid);
	page = find_page(table, prefetch->block);
	prefetch->buffer = page ? page->buffer :
		PrefetchBuffer(table->rel, MAIN_FORKNUM, prefetch->block).recent_buffer;
	if (!BufferIsValid(prefetch->buffer))
		return;
	content = BufferGetPage(prefetch->buffer);
	streaming_prefetch(GetBufferDescriptor(prefetch->buffer - 1));
	streaming_prefetch(content);
	streaming_prefetch(PageGetItemId(content, prefetch->offset));
}

/*
 * Begins to load the row, and the place for a new version of it.  The page is
 * not pinned and may be another by now, so what it says is taken for a guess.
 * (A function without effects but prefetches is one that gcc does not call.)
 */
static pg_attribute_always_inline void
prefetch_row(StreamingStatePrefetch *prefetch)
{
	Page		page;
	PageHeader	header;
	ItemId		item;

	if (!BufferIsValid(prefetch->buffer) || prefetch->offset > MaxHeapTuplesPerPage)
		return;
	page = BufferGetPage(prefetch->buffer);
	item = PageGetItemId(page, prefetch->offset);
	if (ItemIdIsRedirected(item) && ItemIdGetRedirect(item) <= MaxHeapTuplesPerPage)
		item = PageGetItemId(page, ItemIdGetRedirect(item));
	if (ItemIdGetOffset(item) < BLCKSZ - PG_CACHE_LINE_SIZE)
	{
		streaming_prefetch((char *) page + ItemIdGetOffset(item));
		streaming_prefetch((char *) page + ItemIdGetOffset(item) + PG_CACHE_LINE_SIZE / 2);
	}
	header = (PageHeader) page;
	if (header->pd_lower <= header->pd_upper && header->pd_upper <= BLCKSZ &&
		header->pd_upper > PG_CACHE_LINE_SIZE)
	{
		streaming_prefetch((char *) page + header->pd_lower);
		streaming_prefetch((char *) page + header->pd_upper - PG_CACHE_LINE_SIZE / 2);
		streaming_prefetch((char *) page + header->pd_upper - PG_CACHE_LINE_SIZE);
	}
}

/*
 * A look-up in a large table misses the processor's caches a dozen times, each
 * time where the miss before has told it to look.  So it is prepared in steps,
 * and while one waits for the memory, others are worked on.
 */
void
streaming_state_prefetch(StreamingStateTable *table, StreamingStateBy by, int64 hash)
{
	StreamingStatePrefetch *ring = table->prefetches;
	uint32		n = table->nprefetches++;

	if (!streaming_uses_maps(table))
		return;
	ring[n % STREAMING_PREFETCHES] = (StreamingStatePrefetch)
	{
		.by = by, .hash = hash, .block = InvalidBlockNumber, .buffer = InvalidBuffer
	};
	streaming_row_map_prefetch(table->ways[by].map, hash);
	if (n >= PREFETCH_STEP)
		prefetch_page(table, &ring[(n - PREFETCH_STEP) % STREAMING_PREFETCHES]);
	if (n >= 2 * PREFETCH_STEP)
		prefetch_row(&ring[(n - 2 * PREFETCH_STEP) % STREAMING_PREFETCHES]);
}

/* Reads a page, in the place where it was found when it was prefetched. */
static Buffer
read_buffer(StreamingStateTable *table, BlockNumber block)
{
	for (int i = 0; i < STREAMING_PREFETCHES; i++)
	{
		StreamingStatePrefetch *prefetch = &table->prefetches[i];

		if (prefetch->block == block && BufferIsValid(prefetch->buffer))
		{
			if (streaming_read_recent_buffer(table->rel, block, prefetch->buffer))
				return prefetch->buffer;
			break;
		}
	}
	return ReadBuffer(table->rel, block);
}

/*
 * Pins a page in the place of the one that was pinned first.  A batch goes
 * through the rows that each of the batches before it has added in the same
 * order, so it comes back to few pages, and many times to each.
 */
static StreamingStatePage *
pin_page(StreamingStateTable *table, BlockNumber block)
{
	StreamingStatePage *page = &table->pages[table->npages++ % STREAMING_PINNED_PAGES];

	if (BufferIsValid(page->buffer))
		ReleaseBuffer(page->buffer);
	page->buffer = InvalidBuffer;
	page->buffer = read_buffer(table, block);
	page->block = block;
	return page;
}

/*
 * Makes block the page that is looked at, with room for new versions of its
 * rows.  False: there is no such page.  A map that was read from the index may
 * name rows that were dead then, and the end of the table they were in may have
 * been cut off.
 */
static bool
read_page(StreamingStateTable *table, BlockNumber block)
{
	Page		content;

	if (table->page && table->page->block == block)
		return true;
	if (block >= table->nblocks)
		table->nblocks = RelationGetNumberOfBlocks(table->rel);
	if (block >= table->nblocks)
		return false;
	table->page = find_page(table, block);
	if (table->page == NULL)
		table->page = pin_page(table, block);
	content = BufferGetPage(table->page->buffer);
	/* without a lock, as heap_page_prune_opt looks itself */
	if (PageIsFull(content) || PageGetExactFreeSpace(content) < table->room)
		streaming_prune_page(table->rel, table->page->buffer);
	return true;
}

/* Reads the row that is at tid, or the version of it that is current. */
static bool
fetch_row(StreamingStateTable *table, StreamingStateLookUp *look_up, ItemPointer tid,
		  TupleTableSlot *slot)
{
	Buffer		buffer;
	bool		found;

	if (!read_page(table, ItemPointerGetBlockNumber(tid)))
		return false;
	buffer = table->page->buffer;
	look_up->root = *tid;
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(tid, table->rel, buffer, SnapshotSelf,
								   &look_up->found, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
		return false;
	table->row_size = MAXALIGN(look_up->found.t_len) + sizeof(ItemIdData);
	ExecStoreBufferHeapTuple(&look_up->found, slot, buffer);
	return streaming_way_value(table, slot, look_up->by) == look_up->hash;
}

bool
streaming_state_look_up_next(StreamingStateTable *table, StreamingStateLookUp *look_up,
							 TupleTableSlot *slot)
{
	ItemPointerData tid;
	MemoryContext old;
	bool		found;

	if (streaming_state_is_empty(table))
		return false;
	if (streaming_uses_maps(table))
	{
		while (streaming_row_map_next(table->ways[look_up->by].map, &look_up->cursor, &tid))
		{
			if (fetch_row(table, look_up, &tid, slot))
				return true;
		}
		return false;
	}
	/* the access method may keep what it allocates for the whole scan */
	old = MemoryContextSwitchTo(table->context);
	found = index_getnext_slot(look_up->scan, ForwardScanDirection, slot);
	MemoryContextSwitchTo(old);
	return found;
}

bool
streaming_state_may_have(StreamingStateTable *table, int64 group)
{
	StreamingRowMap *map = table->ways[STREAMING_BY_GROUP].map;
	StreamingRowMapCursor cursor;
	ItemPointerData tid;

	if (streaming_state_is_empty(table))
		return false;
	if (map == NULL || !streaming_uses_maps(table))
		return true;
	cursor = streaming_row_map_find(map, group);
	return streaming_row_map_next(map, &cursor, &tid);
}

bool
streaming_state_next(StreamingStateTable *table)
{
	return streaming_state_look_up_next(table, &table->look_up, table->stored);
}

void
streaming_state_look_up_end(StreamingStateLookUp *look_up)
{
	if (look_up->scan)
		index_endscan(look_up->scan);
	look_up->scan = NULL;
}

void
streaming_state_find_until(StreamingStateTable *table, AttrNumber attno,
						   TimestampTz from, TimestampTz upto)
{
	ScanKeyData keys[2];
	MemoryContext old = MemoryContextSwitchTo(table->context);

	ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
				TimestampTzGetDatum(from));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(upto));
	table->ordered = streaming_index_beginscan(table->rel, streaming_require_index(table, &attno, 1, false),
											   SnapshotSelf, 2);
	table->direction = ForwardScanDirection;
	index_rescan(table->ordered, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_find_from(StreamingStateTable *table, int64 hash, AttrNumber attno,
						  TimestampTz from)
{
	AttrNumber	attnos[2] = {table->ways[STREAMING_BY_HASH].attno, attno};
	ScanKeyData keys[2];
	MemoryContext old;

	if (table->was_empty)
		return;
	if (table->pair == NULL)
		table->pair = streaming_require_index(table, attnos, lengthof(attnos), false);
	old = MemoryContextSwitchTo(table->context);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(hash));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
				TimestampTzGetDatum(from));
	table->ordered = streaming_index_beginscan(table->rel, table->pair, SnapshotSelf, 2);
	table->direction = ForwardScanDirection;
	index_rescan(table->ordered, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_find_end(StreamingStateTable *table, AttrNumber group_attno, int64 group,
						 AttrNumber attno, bool partial, bool largest)
{
	AttrNumber	attnos[2] = {group_attno, attno};
	ScanKeyData keys[2];
	MemoryContext old;

	if (table->was_empty)
		return;
	old = MemoryContextSwitchTo(table->context);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(group));
	ScanKeyEntryInitialize(&keys[1], SK_ISNULL | SK_SEARCHNOTNULL, 2, InvalidStrategy, InvalidOid,
						   InvalidOid, InvalidOid, (Datum) 0);
	table->ordered = streaming_index_beginscan(table->rel, streaming_require_index(table, attnos, 2, partial),
											   SnapshotSelf, 2);
	table->direction = largest ? BackwardScanDirection : ForwardScanDirection;
	index_rescan(table->ordered, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_find_wide(StreamingStateTable *table, AttrNumber group_attno, int64 group)
{
	ScanKeyData key;
	MemoryContext old;

	if (table->was_empty)
		return;
	old = MemoryContextSwitchTo(table->context);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(group));
	table->ordered = streaming_index_beginscan(table->rel, streaming_require_index(table, &group_attno, 1, true),
											   SnapshotSelf, 1);
	table->direction = ForwardScanDirection;
	index_rescan(table->ordered, &key, 1, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_stop(StreamingStateTable *table)
{
	if (table->ordered)
		index_endscan(table->ordered);
	table->ordered = NULL;
}

bool
streaming_state_next_until(StreamingStateTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);
	bool		found = table->ordered &&
		index_getnext_slot(table->ordered, table->direction, table->stored);

	MemoryContextSwitchTo(old);
	if (!found)
		streaming_state_stop(table);
	return found;
}

void
streaming_state_find_all(StreamingStateTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);

	table->all = streaming_beginscan(table->rel, SnapshotSelf);
	MemoryContextSwitchTo(old);
}

bool
streaming_state_next_row(StreamingStateTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);
	bool		found = table_scan_getnextslot(table->all, ForwardScanDirection, table->stored);

	if (!found)
	{
		table_endscan(table->all);
		table->all = NULL;
	}
	MemoryContextSwitchTo(old);
	return found;
}
