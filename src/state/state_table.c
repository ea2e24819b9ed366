/*
 * state_table.c
 *		A table that remembers one row per key, as one batch reads and writes it.
 *
 * These tables are the extension's own: nobody else writes to them (a trigger
 * keeps users out), so rows are written through the table access method and
 * nothing is locked row by row.  The server's shared buffers are the cache of
 * the rows: callers visit keys in the order of their hash, so that pages are
 * touched one after the other.  Where the row of a hash is the worker remembers
 * (row_map.c), or asks the index.
 *
 * As long as the map knows all rows nobody asks the index, and to keep it would
 * take longer than to write the rows.  So there is none at first: it is made when
 * the map is given up, or when the table has become so large that a worker that
 * starts should not have to read all of it into the map.
 *
 * What is found by the map is read by the heap's own functions, as an index scan
 * would, with one difference.  An index scan prunes each page that has less than
 * the table's fillfactor free, which is every page that has been updated since:
 * the dearest part of updating one row.  Here a page is pruned when there may not
 * be room for what the batch is going to write to it.
 *
 * Reads use SnapshotSelf: what this transaction wrote is seen at once.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/view.h"
#include "catalog/internal.h"
#include "base/extend.h"
#include "base/index_lookup.h"
#include "query/program.h"
#include "state/state_table.h"
#include "streaming.h"
#include "base/vacuum.h"

/* As COPY does: rows and bytes that are written at once. */
#define MAX_PENDING_ROWS	1000
#define MAX_PENDING_BYTES	(256 * 1024)

/* Size of a row, with its line pointer, until one has been seen. */
#define ROW_SIZE_GUESS		128

/* Entries of a page of the index, about. */
#define INDEX_ENTRIES		300

/* A table of more pages has an index: half a gigabyte, read in a second or so. */
#define MAX_PAGES_WITHOUT_INDEX	65536

/*
 * Dead rows that call for a VACUUM: so many that it is rare, and so many for each
 * page it reads that it costs little next to what they have cost.  (To insert a
 * row, look it up and delete it takes longer than to read a page.)  Where a
 * snapshot keeps the dead from being removed, the pages become more, and VACUUMs
 * rarer.
 */
#define VACUUM_ROWS				10000
#define VACUUM_ROWS_PER_PAGE	10

/* A table of fewer pages need not be known to the planner. */
#define ANALYZE_PAGES			64

/* It is analyzed again when it has grown so many times. */
#define ANALYZE_GROWTH			4

/* Look-ups between one step of preparing for a look-up and the next. */
#define PREFETCH_STEP	(STREAMING_PREFETCH_DISTANCE / 3)

/* Of StreamingStateKept *, in TopMemoryContext. */
static List *kept_tables = NIL;

StreamingStateKept *
streaming_state_keep(Oid view, const char *table, bool mapped)
{
	StreamingStateKept *kept;
	MemoryContext context;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, kept_tables)
	{
		kept = lfirst(lc);
		if (kept->view == view && strcmp(kept->table, table) == 0)
			return kept;
	}
	context = AllocSetContextCreate(TopMemoryContext, "streaming state", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	kept = palloc0(sizeof(StreamingStateKept));
	kept->view = view;
	kept->table = pstrdup(table);
	kept->context = context;
	if (mapped)
		kept->map = streaming_row_map_make();
	MemoryContextSwitchTo(TopMemoryContext);
	kept_tables = lappend(kept_tables, kept);
	MemoryContextSwitchTo(old);
	return kept;
}

void
streaming_state_forget(Oid view)
{
	ListCell   *lc;

	foreach(lc, kept_tables)
	{
		StreamingStateKept *kept = lfirst(lc);

		if (kept->view != view)
			continue;
		kept_tables = foreach_delete_current(kept_tables, lc);
		MemoryContextDelete(kept->context);
	}
}

/* NULL: there is none. */
static Relation
find_index(StreamingStateTable *table, const AttrNumber *attnos, int n, bool partial)
{
	for (int i = 0; i < table->result->ri_NumIndices; i++)
	{
		Relation	index = table->result->ri_IndexRelationDescs[i];

		if (partial ? streaming_partial_index_fits(index, attnos, n) :
			streaming_index_fits(index, attnos, n))
			return index;
	}
	return NULL;
}

static Relation
require_index(StreamingStateTable *table, const AttrNumber *attnos, int n, bool partial)
{
	Relation	index = find_index(table, attnos, n, partial);

	if (index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" has lost its index on column \"%s\"",
						RelationGetRelationName(table->rel),
						NameStr(TupleDescAttr(table->desc, attnos[0] - 1)->attname)),
				 errhint("Create the index again.")));
	return index;
}

StreamingStateTable *
streaming_state_open(const char *name, TupleDesc desc, AttrNumber hash_attno,
					 StreamingStateKept *kept)
{
	StreamingStateTable *table = palloc0(sizeof(StreamingStateTable));
	Oid			relid = get_relname_relid(name, streaming_internal_namespace());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" of a continuous view does not exist",
						STREAMING_INTERNAL_SCHEMA, name),
				 errhint("Drop the view and create it again.")));
	table->context = CurrentMemoryContext;
	table->rel = table_open(relid, RowExclusiveLock);
	streaming_layout_check(table->rel, desc);
	table->desc = RelationGetDescr(table->rel);
	table->hash_attno = hash_attno;
	table->kept = kept;
	table->row = MakeSingleTupleTableSlot(table->desc, &TTSOpsVirtual);
	table->stored = table_slot_create(table->rel, NULL);
	table->estate = CreateExecutorState();
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->rel, 1, NULL, 0);
	ExecOpenIndices(table->result, false);
	table->nblocks = RelationGetNumberOfBlocks(table->rel);
	table->was_empty = table->nblocks == 0;
	table->map = kept ? kept->map : NULL;
	if (hash_attno)
		table->index = table->map ? find_index(table, &hash_attno, 1, false) :
			require_index(table, &hash_attno, 1, false);
	if (table->map)
		streaming_row_map_attach(table->map, table->rel->rd_rel->relfilenode, table->was_empty);
	table->row_size = ROW_SIZE_GUESS;
	if (kept)
		kept->opened = table;
	return table;
}

/* ----------
 * Look-ups
 * ----------
 */

static bool
uses_map(StreamingStateTable *table)
{
	return table->map && streaming_row_map_is_complete(table->map);
}

/* Makes the index on the hash, for which nobody in this process must use the table. */
static void
make_index(StreamingStateTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);
	Oid			relid = RelationGetRelid(table->rel);
	const char *name = pstrdup(RelationGetRelationName(table->rel));
	const char *column = NameStr(TupleDescAttr(table->desc, table->hash_attno - 1)->attname);
	StreamingOwnerRights saved;

	ExecCloseIndices(table->result);
	table_close(table->rel, NoLock);
	streaming_owner_rights_begin(&saved);
	/* the memory of this process is what its settings say */
	(void) set_config_option("max_parallel_maintenance_workers", "0", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_run_sql(psprintf("CREATE INDEX ON %s.%s (%s)", STREAMING_INTERNAL_SCHEMA,
							   quote_identifier(name), quote_identifier(column)));
	streaming_owner_rights_end(&saved);
	table->rel = table->result->ri_RelationDesc = table_open(relid, NoLock);
	ExecOpenIndices(table->result, false);
	table->index = require_index(table, &table->hash_attno, 1, false);
	MemoryContextSwitchTo(old);
}

/*
 * Adds the rows of a page to the map, each where an index would say that it is.
 * False: the map is given up.
 */
static bool
map_page(StreamingStateTable *table, BlockNumber block, BufferAccessStrategy strategy)
{
	Buffer		buffer = ReadBufferExtended(table->rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	Page		page = BufferGetPage(buffer);
	OffsetNumber roots[MaxHeapTuplesPerPage];
	OffsetNumber last;
	bool		fits = true;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	heap_get_root_tuples(page, roots);
	last = PageGetMaxOffsetNumber(page);
	for (OffsetNumber offset = FirstOffsetNumber; fits && offset <= last; offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData row;
		ItemPointerData tid;
		int64		hash;
		bool		isnull;

		if (!ItemIdIsNormal(item))
			continue;
		row.t_data = (HeapTupleHeader) PageGetItem(page, item);
		row.t_len = ItemIdGetLength(item);
		row.t_tableOid = RelationGetRelid(table->rel);
		ItemPointerSet(&row.t_self, block, offset);
		if (!HeapTupleSatisfiesVisibility(&row, SnapshotSelf, buffer))
			continue;
		hash = DatumGetInt64(heap_getattr(&row, table->hash_attno, table->desc, &isnull));
		ItemPointerSet(&tid, block, HeapTupleIsHeapOnly(&row) ? roots[offset - 1] : offset);
		if (!isnull && ItemPointerIsValid(&tid))
			fits = streaming_row_map_add(table->map, hash, &tid);
	}
	UnlockReleaseBuffer(buffer);
	return fits;
}

/* Reads the table from one end to the other into the map. */
static void
fill_map_from_table(StreamingStateTable *table)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(table->rel);
	BufferAccessStrategy strategy = NULL;
	bool		fits = true;

	/* as a scan would */
	if (blocks > NBuffers / 4)
		strategy = GetAccessStrategy(BAS_BULKREAD);
	for (BlockNumber block = 0; fits && block < blocks; block++)
	{
		CHECK_FOR_INTERRUPTS();
		fits = map_page(table, block, strategy);
	}
	if (strategy)
		FreeAccessStrategy(strategy);
	streaming_row_map_completed(table->map);
}

/* Reads the index from one end to the other into the map. */
static void
fill_map_from_index(StreamingStateTable *table)
{
	IndexScanDesc scan = streaming_index_beginscan(table->rel, table->index, SnapshotSelf, 0);
	ItemPointer tid;
	bool		isnull;

	scan->xs_want_itup = true;
	index_rescan(scan, NULL, 0, NULL, 0);
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (!streaming_row_map_add(table->map,
								   DatumGetInt64(index_getattr(scan->xs_itup, 1,
															   scan->xs_itupdesc, &isnull)),
								   tid))
			break;
	}
	index_endscan(scan);
	streaming_row_map_completed(table->map);
}

void
streaming_state_expect(StreamingStateTable *table, int64 lookups)
{
	int64		per_page = table->nblocks == 0 ? 0 : lookups / table->nblocks;

	/* Twice what is written to a page on the average is enough for most. */
	table->room = Min((2 * per_page + 4) * table->row_size, BLCKSZ / 2);
	if (table->map == NULL)
		return;
	/* now, or when a user's VACUUM or CREATE INDEX has let go of the table */
	if (table->index == NULL && table->nblocks > MAX_PAGES_WITHOUT_INDEX &&
		ConditionalLockRelation(table->rel, ShareLock))
		make_index(table);
	if (table->index && !table->was_empty &&
		streaming_row_map_wants_all(table->map, lookups,
									(int64) RelationGetNumberOfBlocks(table->index) * INDEX_ENTRIES))
		fill_map_from_index(table);
}

static void
begin_scan(StreamingStateTable *table, StreamingStateLookUp *look_up)
{
	ScanKeyData key;
	MemoryContext old = MemoryContextSwitchTo(table->context);

	if (look_up->scan == NULL)
		look_up->scan = streaming_index_beginscan(table->rel, table->index, SnapshotSelf, 1);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(look_up->hash));
	index_rescan(look_up->scan, &key, 1, NULL, 0);
	MemoryContextSwitchTo(old);
}

static bool
is_empty(StreamingStateTable *table)
{
	return table->was_empty && !table->flushed;
}

/*
 * Neither the map, which there is then, nor an index tells where rows are: makes
 * one of them do so.
 */
static void
find_without_index(StreamingStateTable *table)
{
	if (streaming_row_map_has_room(table->map))
		fill_map_from_table(table);
	if (!uses_map(table))
		make_index(table);
}

void
streaming_state_ready(StreamingStateTable *table, int64 lookups)
{
	streaming_state_expect(table, lookups);
	table->room = 0;			/* nothing is updated */
	if (table->map && table->index == NULL && !uses_map(table))
		find_without_index(table);
}

StreamingStateTable *
streaming_state_opened(Oid relid)
{
	ListCell   *lc;

	foreach(lc, kept_tables)
	{
		StreamingStateTable *table = ((StreamingStateKept *) lfirst(lc))->opened;

		if (table && RelationGetRelid(table->rel) == relid)
			return table;
	}
	return NULL;
}

bool
streaming_state_is_mapped(StreamingStateTable *table)
{
	return uses_map(table);
}

void
streaming_state_look_up(StreamingStateTable *table, StreamingStateLookUp *look_up, int64 hash)
{
	look_up->hash = hash;
	if (is_empty(table))
		return;
	if (table->index == NULL && !uses_map(table))
		find_without_index(table);
	if (uses_map(table))
		look_up->cursor = streaming_row_map_find(table->map, hash);
	else
		begin_scan(table, look_up);
}

void
streaming_state_find(StreamingStateTable *table, int64 hash)
{
	streaming_state_look_up(table, &table->look_up, hash);
}

static int64
hash_of(StreamingStateTable *table, TupleTableSlot *row)
{
	bool		isnull;

	return DatumGetInt64(slot_getattr(row, table->hash_attno, &isnull));
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
	StreamingRowMapCursor cursor = streaming_row_map_find(table->map, prefetch->hash);
	StreamingStatePage *page;
	ItemPointerData tid;
	Page		content;

	if (!streaming_row_map_next(table->map, &cursor, &tid) ||
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
streaming_state_prefetch(StreamingStateTable *table, int64 hash)
{
	StreamingStatePrefetch *ring = table->prefetches;
	uint32		n = table->nprefetches++;

	if (!uses_map(table))
		return;
	ring[n % STREAMING_PREFETCHES] = (StreamingStatePrefetch)
	{
		.hash = hash, .block = InvalidBlockNumber, .buffer = InvalidBuffer
	};
	streaming_row_map_prefetch(table->map, hash);
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
	return hash_of(table, slot) == look_up->hash;
}

bool
streaming_state_look_up_next(StreamingStateTable *table, StreamingStateLookUp *look_up,
							 TupleTableSlot *slot)
{
	ItemPointerData tid;
	MemoryContext old;
	bool		found;

	if (is_empty(table))
		return false;
	if (uses_map(table))
	{
		while (streaming_row_map_next(table->map, &look_up->cursor, &tid))
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
	table->ordered = streaming_index_beginscan(table->rel, require_index(table, &attno, 1, false),
											   SnapshotSelf, 2);
	table->direction = ForwardScanDirection;
	index_rescan(table->ordered, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_find_from(StreamingStateTable *table, int64 hash, AttrNumber attno,
						  TimestampTz from)
{
	AttrNumber	attnos[2] = {table->hash_attno, attno};
	ScanKeyData keys[2];
	MemoryContext old;

	if (table->was_empty)
		return;
	if (table->pair == NULL)
		table->pair = require_index(table, attnos, lengthof(attnos), false);
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
	table->ordered = streaming_index_beginscan(table->rel, require_index(table, attnos, 2, partial),
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
	table->ordered = streaming_index_beginscan(table->rel, require_index(table, &group_attno, 1, true),
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

/* ----------
 * Changes
 * ----------
 */

void
streaming_state_insert(StreamingStateTable *table, TupleTableSlot *row)
{
	TupleTableSlot *slot;

	if (table->npending == table->nslots)
	{
		MemoryContext old = MemoryContextSwitchTo(table->context);

		/* Most small batches only update, and a bulk insert's ring is large. */
		if (table->pending == NULL)
		{
			table->pending = palloc(sizeof(TupleTableSlot *) * MAX_PENDING_ROWS);
			table->bulk = GetBulkInsertState();
		}

		/*
		 * A descriptor of our own is not counted.  Of the relation's, the resource
		 * owner would walk past all that it has noted before, for each of the slots.
		 */
		if (table->nslots == 0)
			table->pending_desc = CreateTupleDescCopy(table->desc);
		table->pending[table->nslots++] =
			MakeSingleTupleTableSlot(table->pending_desc, table_slot_callbacks(table->rel));
		MemoryContextSwitchTo(old);
	}
	slot = table->pending[table->npending++];
	ExecCopySlot(slot, row);
	table->pending_size += ((HeapTupleTableSlot *) slot)->tuple->t_len;
	table->rows_added++;
	if (table->npending == MAX_PENDING_ROWS || table->pending_size > MAX_PENDING_BYTES)
		streaming_state_flush(table);
}

static void
index_row(StreamingStateTable *table, TupleTableSlot *slot, bool only_summarizing)
{
	if (table->result->ri_NumIndices == 0)
		return;
	streaming_insert_index_tuples(table->result, slot, table->estate, only_summarizing);
	ResetPerTupleExprContext(table->estate);
}

/* The map learns of a new row. */
static void
map_row(StreamingStateTable *table, TupleTableSlot *row)
{
	if (uses_map(table))
		(void) streaming_row_map_add(table->map, hash_of(table, row), &row->tts_tid);
}

/* The map forgets the row that was at tid. */
static void
unmap_row(StreamingStateTable *table, TupleTableSlot *row, ItemPointer tid)
{
	if (uses_map(table))
		streaming_row_map_remove(table->map, hash_of(table, row), tid);
}

void
streaming_state_flush(StreamingStateTable *table)
{
	CommandId	cid = GetCurrentCommandId(true);
	MemoryContext old;

	if (table->npending == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(table->estate));
	streaming_reserve(table->rel, table->pending_size, table->bulk);
	table_multi_insert(table->rel, table->pending, table->npending, cid, 0, table->bulk);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < table->npending; i++)
	{
		index_row(table, table->pending[i], false);
		map_row(table, table->pending[i]);
		ExecClearTuple(table->pending[i]);
	}
	ResetPerTupleExprContext(table->estate);
	table->npending = 0;
	table->pending_size = 0;
	table->flushed = true;
}

void
streaming_state_settle(StreamingStateTable *table)
{
	streaming_state_flush(table);
	CommandCounterIncrement();
}

void
streaming_state_update(StreamingStateTable *table, ItemPointer tid)
{
	TupleTableSlot *row = table->row;
	ItemPointerData before = *tid;
	streaming_update_indexes update_indexes;

	row->tts_tableOid = RelationGetRelid(table->rel);
	simple_table_tuple_update(table->rel, tid, row, GetActiveSnapshot(), &update_indexes);
	if (!streaming_must_index(update_indexes))
		return;
	index_row(table, row, streaming_only_summarizing(update_indexes));
	if (table->kept)
		table->kept->dead_rows++;
	if (streaming_only_summarizing(update_indexes))
		return;
	unmap_row(table, row, &before);
	map_row(table, row);
}

void
streaming_state_delete(StreamingStateTable *table, TupleTableSlot *stored)
{
	StreamingStatePlace place = {.tid = stored->tts_tid};

	if (uses_map(table))
		place.hash = hash_of(table, stored);
	streaming_state_remove(table, &place);
}

/* Those of the table that are not all visible, and all of its indexes. */
StreamingStatePlace
streaming_state_place(StreamingStateTable *table)
{
	StreamingStatePlace place = {table->stored->tts_tid, table->look_up.root,
	hash_of(table, table->stored)};

	return place;
}

/* The map forgets a row that was at a place. */
static void
unmap_place(StreamingStateTable *table, StreamingStatePlace *place)
{
	if (uses_map(table))
		streaming_row_map_remove(table->map, place->hash, &place->tid);
}

void
streaming_state_replace(StreamingStateTable *table, StreamingStatePlace *place)
{
	TupleTableSlot *row = table->row;
	streaming_update_indexes update_indexes;
	bool		moves;

	row->tts_tableOid = RelationGetRelid(table->rel);
	simple_table_tuple_update(table->rel, &place->tid, row, GetActiveSnapshot(), &update_indexes);
	unmap_place(table, place);
	moves = streaming_must_index(update_indexes) && !streaming_only_summarizing(update_indexes);
	if (streaming_must_index(update_indexes))
		index_row(table, row, !moves);
	if (moves && table->kept)
		table->kept->dead_rows++;
	if (moves)
		map_row(table, row);
	else if (uses_map(table))
		(void) streaming_row_map_add(table->map, hash_of(table, row), &place->root);
}

void
streaming_state_remove(StreamingStateTable *table, StreamingStatePlace *place)
{
	simple_table_tuple_delete(table->rel, &place->tid, GetActiveSnapshot());
	unmap_place(table, place);
	table->rows_added--;
	if (table->kept)
		table->kept->dead_rows++;
}

static BlockNumber
pages_to_vacuum(StreamingStateTable *table)
{
	BlockNumber pages = RelationGetNumberOfBlocks(table->rel);
	BlockNumber visible;

	visibilitymap_count(table->rel, &visible, NULL);
	pages -= Min(pages, visible);
	for (int i = 0; i < table->result->ri_NumIndices; i++)
		pages += RelationGetNumberOfBlocks(table->result->ri_IndexRelationDescs[i]);
	return pages;
}

/*
 * Without statistics the planner takes any group for a two-hundredth of the table,
 * which it then reads as a whole.  Autovacuum would come after a minute.
 */
static bool
needs_analyze(StreamingStateTable *table)
{
	BlockNumber pages = RelationGetNumberOfBlocks(table->rel);
	BlockNumber known = Max(table->rel->rd_rel->relpages, 0);

	if (table->kept->group_attno == 0 || pages < ANALYZE_PAGES)
		return false;
	return pages >= (uint64) known * ANALYZE_GROWTH ||
		!SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(table->rel)),
							   Int16GetDatum(table->kept->group_attno), BoolGetDatum(false));
}

void
streaming_state_close(StreamingStateTable *table)
{
	streaming_state_flush(table);
	if (table->kept)
	{
		table->kept->opened = NULL;
		table->kept->pages = RelationGetNumberOfBlocks(table->rel);
		table->kept->rows_added = table->rows_added;
		table->kept->needs_analyze = needs_analyze(table);
		table->kept->needs_vacuum = table->kept->dead_rows >= VACUUM_ROWS &&
			table->kept->dead_rows >= (int64) pages_to_vacuum(table) * VACUUM_ROWS_PER_PAGE;
	}
	if (table->all)
		table_endscan(table->all);
	streaming_state_look_up_end(&table->look_up);
	for (int i = 0; i < STREAMING_PINNED_PAGES; i++)
	{
		if (BufferIsValid(table->pages[i].buffer))
			ReleaseBuffer(table->pages[i].buffer);
	}
	if (table->bulk)
		FreeBulkInsertState(table->bulk);
	for (int i = 0; i < table->nslots; i++)
		ExecDropSingleTupleTableSlot(table->pending[i]);
	ExecDropSingleTupleTableSlot(table->row);
	ExecDropSingleTupleTableSlot(table->stored);
	ExecCloseIndices(table->result);
	FreeExecutorState(table->estate);
	table_close(table->rel, NoLock);
}

/*
 * The file is not truncated: the next batches would extend it again, and who
 * reads the table, such as pg_dump, would be waited for.  That is left to
 * autovacuum.
 */
void
streaming_state_vacuum(StreamingStateKept *kept)
{
	if (kept->needs_vacuum)
	{
		kept->dead_rows = 0;
		streaming_vacuum(STREAMING_INTERNAL_SCHEMA, kept->table, false);
	}
	if (kept->needs_analyze)
		streaming_analyze(STREAMING_INTERNAL_SCHEMA, kept->table, "$group");
	kept->needs_vacuum = kept->needs_analyze = false;
}
