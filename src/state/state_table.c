/*
 * state_table.c
 *		A table that remembers one row per key, as one batch reads and writes it.
 *
 * These tables are the extension's own: nobody else writes to them (a trigger
 * keeps users out), so rows are written through the table access method and
 * nothing is locked row by row.  The server's shared buffers are the cache of
 * the rows: callers visit keys in the order of their hash, so that pages are
 * touched one after the other.  Where the row of a hash is the worker remembers
 * (row_map.c), or asks an index (state_ways.c); state_look_up.c reads it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/extend.h"
#include "base/vacuum.h"
#include "query/program.h"
#include "state/state_ways.h"
#include "streaming.h"

/* As COPY does: rows and bytes that are written at once. */
#define MAX_PENDING_ROWS	1000
#define MAX_PENDING_BYTES	(256 * 1024)

/* Size of a row, with its line pointer, until one has been seen. */
#define ROW_SIZE_GUESS		128

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
		kept->maps[STREAMING_BY_HASH] = streaming_row_map_make();
	MemoryContextSwitchTo(TopMemoryContext);
	kept_tables = lappend(kept_tables, kept);
	MemoryContextSwitchTo(old);
	return kept;
}

void
streaming_state_map_groups(StreamingStateKept *kept, AttrNumber attno)
{
	MemoryContext old = MemoryContextSwitchTo(kept->context);

	kept->mapped_group = attno;
	if (kept->maps[STREAMING_BY_GROUP] == NULL)
		kept->maps[STREAMING_BY_GROUP] = streaming_row_map_make();
	MemoryContextSwitchTo(old);
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
	table->ways[STREAMING_BY_HASH].attno = hash_attno;
	table->ways[STREAMING_BY_GROUP].attno = kept ? kept->mapped_group : 0;
	table->kept = kept;
	table->row = MakeSingleTupleTableSlot(table->desc, &TTSOpsVirtual);
	table->stored = table_slot_create(table->rel, NULL);
	table->estate = CreateExecutorState();
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->rel, 1, NULL, 0);
	ExecOpenIndices(table->result, false);
	table->nblocks = RelationGetNumberOfBlocks(table->rel);
	table->was_empty = table->nblocks == 0;
	streaming_open_ways(table);
	table->row_size = ROW_SIZE_GUESS;
	if (kept)
		kept->opened = table;
	return table;
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
		streaming_map_row(table, table->pending[i]);
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
	if (streaming_must_index(update_indexes))
	{
		index_row(table, row, streaming_only_summarizing(update_indexes));
		if (table->kept)
			table->kept->dead_rows++;
		if (!streaming_only_summarizing(update_indexes))
			streaming_move_row(table, row, before);
	}
	table->look_up.found.t_data = NULL;
}

void
streaming_state_delete(StreamingStateTable *table, TupleTableSlot *stored)
{
	StreamingStatePlace place = streaming_place_of(table, stored);

	streaming_state_remove(table, &place);
}

StreamingStatePlace
streaming_state_place(StreamingStateTable *table)
{
	return streaming_place_of(table, table->stored);
}

void
streaming_state_replace(StreamingStateTable *table, StreamingStatePlace *place)
{
	TupleTableSlot *row = table->row;
	streaming_update_indexes update_indexes;
	bool		moves;

	row->tts_tableOid = RelationGetRelid(table->rel);
	simple_table_tuple_update(table->rel, &place->tid, row, GetActiveSnapshot(), &update_indexes);
	streaming_unmap_place(table, place);
	moves = streaming_must_index(update_indexes) && !streaming_only_summarizing(update_indexes);
	if (streaming_must_index(update_indexes))
		index_row(table, row, !moves);
	if (moves && table->kept)
		table->kept->dead_rows++;
	if (moves)
		streaming_map_row(table, row);
	else if (streaming_uses_maps(table))
		(void) streaming_map_at(table, row, &place->root);
	table->look_up.found.t_data = NULL;
}

void
streaming_state_remove(StreamingStateTable *table, StreamingStatePlace *place)
{
	simple_table_tuple_delete(table->rel, &place->tid, GetActiveSnapshot());
	streaming_unmap_place(table, place);
	table->look_up.found.t_data = NULL;
	table->rows_added--;
	if (table->kept)
		table->kept->dead_rows++;
}

/* Those of the table that are not all visible, and all of its indexes. */
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
		streaming_plan_indexes(table);
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
