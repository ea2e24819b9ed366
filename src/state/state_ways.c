/*
 * state_ways.c
 *		How the rows of a table of state are found: by maps, or by indexes.
 *
 * As long as the maps know all rows nobody asks an index, and to keep one would
 * take longer than to write the rows.  So there is none at first: they are made when
 * a map is given up, or, when no input waits, of a table that has become so large that
 * a worker that starts should not have to read all of it into the maps.
 *
 * The maps are of use together, or not at all.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/index_lookup.h"
#include "catalog/internal.h"
#include "state/state_ways.h"
#include "streaming.h"

/* Entries of a page of the index, about. */
#define INDEX_ENTRIES		300

/* A table of more pages has an index: half a gigabyte, read in a second or so. */
#define MAX_PAGES_WITHOUT_INDEX	65536

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

Relation
streaming_require_index(StreamingStateTable *table, const AttrNumber *attnos, int n, bool partial)
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

/* Do they know all rows? */
static bool
maps_are_complete(StreamingStateTable *table)
{
	if (!table->mapped)
		return false;
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		StreamingStateWay *way = &table->ways[i];

		if (way->attno && !streaming_row_map_is_complete(way->map))
			return false;
	}
	return true;
}

void
streaming_open_ways(StreamingStateTable *table)
{
	StreamingStateKept *kept = table->kept;

	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		StreamingStateWay *way = &table->ways[i];

		if (way->attno == 0)
			continue;
		way->map = kept ? kept->maps[i] : NULL;
		way->index = way->map ? find_index(table, &way->attno, 1, false) :
			streaming_require_index(table, &way->attno, 1, false);
		table->mapped |= way->map != NULL;
		if (way->map)
			streaming_row_map_attach(way->map, table->rel->rd_rel->relfilenode, table->was_empty);
	}
	table->uses_maps = maps_are_complete(table);
}

static bool
has_indexes(StreamingStateTable *table)
{
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno && table->ways[i].index == NULL)
			return false;
	}
	return true;
}

static char *
index_sql(StreamingStateTable *table, StreamingStateWay *way)
{
	const char *column = NameStr(TupleDescAttr(table->desc, way->attno - 1)->attname);

	return psprintf("CREATE INDEX ON %s.%s (%s)", STREAMING_INTERNAL_SCHEMA,
					quote_identifier(RelationGetRelationName(table->rel)), quote_identifier(column));
}

void
streaming_plan_indexes(StreamingStateTable *table)
{
	StreamingStateKept *kept = table->kept;
	MemoryContext old = MemoryContextSwitchTo(kept->context);

	list_free_deep(kept->indexes);
	kept->indexes = NIL;
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		StreamingStateWay *way = &table->ways[i];

		if (way->map && way->index == NULL && kept->pages > MAX_PAGES_WITHOUT_INDEX &&
			!kept->indexes_tried)
			kept->indexes = lappend(kept->indexes, index_sql(table, way));
	}
	MemoryContextSwitchTo(old);
}

/* Makes the indexes of the ways, for which nobody in this process must use the table. */
static void
make_indexes(StreamingStateTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);
	Oid			relid = RelationGetRelid(table->rel);
	StreamingOwnerRights saved;

	ExecCloseIndices(table->result);
	streaming_owner_rights_begin(&saved);
	/* the memory of this process is what its settings say */
	(void) set_config_option("max_parallel_maintenance_workers", "0", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		StreamingStateWay *way = &table->ways[i];
		char	   *sql = way->attno && way->index == NULL ? index_sql(table, way) : NULL;

		if (sql == NULL)
			continue;
		table_close(table->rel, NoLock);
		streaming_run_sql(sql);
		table->rel = table->result->ri_RelationDesc = table_open(relid, NoLock);
		table->desc = RelationGetDescr(table->rel);
	}
	streaming_owner_rights_end(&saved);
	ExecOpenIndices(table->result, false);
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		StreamingStateWay *way = &table->ways[i];

		if (way->attno)
			way->index = streaming_require_index(table, &way->attno, 1, false);
	}
	MemoryContextSwitchTo(old);
}

/* One does not fit, and the others are of no use without it. */
static void
give_up_maps(StreamingStateTable *table)
{
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].map)
			streaming_row_map_give_up(table->ways[i].map);
	}
	table->uses_maps = false;
}

bool
streaming_map_at(StreamingStateTable *table, TupleTableSlot *row, ItemPointer tid)
{
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno == 0 ||
			streaming_row_map_add(table->ways[i].map, streaming_way_value(table, row, i), tid))
			continue;
		give_up_maps(table);
		return false;
	}
	return true;
}

static void
maps_completed(StreamingStateTable *table)
{
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].map)
			streaming_row_map_completed(table->ways[i].map);
	}
	table->uses_maps = maps_are_complete(table);
}

/*
 * Adds the rows of a page to the maps, each where an index would say that it is.
 * False: a map is given up.
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

		if (!ItemIdIsNormal(item))
			continue;
		row.t_data = (HeapTupleHeader) PageGetItem(page, item);
		row.t_len = ItemIdGetLength(item);
		row.t_tableOid = RelationGetRelid(table->rel);
		ItemPointerSet(&row.t_self, block, offset);
		if (!HeapTupleSatisfiesVisibility(&row, SnapshotSelf, buffer))
			continue;
		ItemPointerSet(&tid, block, HeapTupleIsHeapOnly(&row) ? roots[offset - 1] : offset);
		if (!ItemPointerIsValid(&tid))
			continue;
		ExecStoreBufferHeapTuple(&row, table->stored, buffer);
		fits = streaming_map_at(table, table->stored, &tid);
	}
	ExecClearTuple(table->stored);
	UnlockReleaseBuffer(buffer);
	return fits;
}

/* Reads the table from one end to the other into the maps. */
static void
fill_maps_from_table(StreamingStateTable *table)
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
	if (fits)
		maps_completed(table);
}

/* Reads an index from one end to the other into its map.  False: that is given up. */
static bool
fill_map_from_index(StreamingStateTable *table, StreamingStateWay *way)
{
	IndexScanDesc scan = streaming_index_beginscan(table->rel, way->index, SnapshotSelf, 0);
	ItemPointer tid;
	bool		isnull;
	bool		fits = true;

	scan->xs_want_itup = true;
	index_rescan(scan, NULL, 0, NULL, 0);
	while (fits && (tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		fits = streaming_row_map_add(way->map,
									 DatumGetInt64(index_getattr(scan->xs_itup, 1,
																 scan->xs_itupdesc, &isnull)),
									 tid);
	}
	index_endscan(scan);
	return fits;
}

/* Is it worth reading the indexes, for so many look-ups?  There are all. */
static bool
wants_all(StreamingStateTable *table, int64 lookups)
{
	int64		rows = 0;
	bool		wants = false;

	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno)
			rows += (int64) RelationGetNumberOfBlocks(table->ways[i].index) * INDEX_ENTRIES;
	}
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno)
			wants |= streaming_row_map_wants_all(table->ways[i].map, lookups, rows);
	}
	return wants;
}

static void
fill_maps_from_indexes(StreamingStateTable *table)
{
	bool		fits = true;

	for (int i = 0; i < STREAMING_STATE_WAYS && fits; i++)
	{
		if (table->ways[i].attno)
			fits = fill_map_from_index(table, &table->ways[i]);
	}
	if (fits)
		maps_completed(table);
	else
		give_up_maps(table);
}

/* So many look-ups follow. */
static void
expect_look_ups(StreamingStateTable *table, int64 lookups)
{
	if (table->mapped && has_indexes(table) && !table->was_empty && !streaming_uses_maps(table) &&
		wants_all(table, lookups))
		fill_maps_from_indexes(table);
}

void
streaming_state_expect(StreamingStateTable *table, int64 lookups)
{
	int64		per_page = table->nblocks == 0 ? 0 : lookups / table->nblocks;

	/* Twice what is written to a page on the average is enough for most. */
	table->room = Min((2 * per_page + 4) * table->row_size, BLCKSZ / 2);
	expect_look_ups(table, lookups);
}

void
streaming_make_way(StreamingStateTable *table)
{
	bool		has_room = true;

	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
		has_room &= table->ways[i].map == NULL || streaming_row_map_has_room(table->ways[i].map);
	if (has_room)
		fill_maps_from_table(table);
	if (!streaming_uses_maps(table))
		make_indexes(table);
}

void
streaming_state_ready(StreamingStateTable *table, int64 lookups)
{
	if (table->ways[STREAMING_BY_GROUP].attno == 0)
		return;
	expect_look_ups(table, lookups);
	if (table->mapped && !has_indexes(table) && !streaming_uses_maps(table))
		streaming_make_way(table);
}

AttrNumber
streaming_state_mapped_group(StreamingStateTable *table)
{
	return streaming_uses_maps(table) ? table->ways[STREAMING_BY_GROUP].attno : 0;
}

/* The maps learn of a new row. */
void
streaming_map_row(StreamingStateTable *table, TupleTableSlot *row)
{
	if (streaming_uses_maps(table))
		(void) streaming_map_at(table, row, &row->tts_tid);
}

void
streaming_unmap_place(StreamingStateTable *table, StreamingStatePlace *place)
{
	if (!streaming_uses_maps(table))
		return;
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno)
			streaming_row_map_remove(table->ways[i].map, place->hashes[i], &place->root);
	}
}

/* Where an index says that the row at tid is. */
static ItemPointerData
root_at(StreamingStateTable *table, ItemPointerData tid)
{
	StreamingStateLookUp *look_up = &table->look_up;
	OffsetNumber roots[MaxHeapTuplesPerPage];
	Buffer		buffer;

	if (look_up->found.t_data && ItemPointerEquals(&look_up->found.t_self, &tid))
		return look_up->root;
	buffer = ReadBuffer(table->rel, ItemPointerGetBlockNumber(&tid));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	heap_get_root_tuples(BufferGetPage(buffer), roots);
	UnlockReleaseBuffer(buffer);
	if (OffsetNumberIsValid(roots[ItemPointerGetOffsetNumber(&tid) - 1]))
		ItemPointerSetOffsetNumber(&tid, roots[ItemPointerGetOffsetNumber(&tid) - 1]);
	return tid;
}

static ItemPointerData
root_of(StreamingStateTable *table, TupleTableSlot *stored)
{
	HeapTuple	tuple = TTS_IS_BUFFERTUPLE(stored) ? ((HeapTupleTableSlot *) stored)->tuple : NULL;

	return tuple && !HeapTupleIsHeapOnly(tuple) ? stored->tts_tid : root_at(table, stored->tts_tid);
}

StreamingStatePlace
streaming_place_of(StreamingStateTable *table, TupleTableSlot *stored)
{
	StreamingStatePlace place = {.tid = stored->tts_tid};

	if (!streaming_uses_maps(table))
		return place;
	place.root = root_of(table, stored);
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno)
			place.hashes[i] = streaming_way_value(table, stored, i);
	}
	return place;
}

/* A row was at before, and is now where row says. */
void
streaming_move_row(StreamingStateTable *table, TupleTableSlot *row, ItemPointerData before)
{
	StreamingStatePlace place = {.tid = before};

	if (!streaming_uses_maps(table))
		return;
	place.root = root_at(table, before);
	for (int i = 0; i < STREAMING_STATE_WAYS; i++)
	{
		if (table->ways[i].attno)
			place.hashes[i] = streaming_way_value(table, row, i);
	}
	streaming_unmap_place(table, &place);
	streaming_map_row(table, row);
}
