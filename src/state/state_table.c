/*
 * state_table.c
 *		A table that remembers one row per key, as one batch reads and writes it.
 *
 * These tables are the extension's own: nobody else writes to them (a trigger
 * keeps users out), so rows are written through the table access method and
 * nothing is locked row by row.  The server's shared buffers are the cache:
 * callers visit keys in the order of their hash, so that index and heap pages
 * are touched one after the other, and a worker's private memory does not grow
 * with the number of groups.
 *
 * A look-up goes down the index from its root.  Where a batch touches a good
 * part of the table, it is cheaper to read the index from one end to the other,
 * passing over what is not wanted: a sweep.
 *
 * Reads use SnapshotSelf: what this transaction wrote is seen at once.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "state/state_table.h"
#include "streaming.h"

/* As COPY does: rows and bytes that are written at once. */
#define MAX_PENDING_ROWS	1000
#define MAX_PENDING_BYTES	(256 * 1024)

/*
 * Passing over an entry of the index takes about 1/20 of going down from the
 * root, and a page has some 250 of them.
 */
#define SWEEP_LOOKUPS_PER_PAGE	12

/*
 * Entries that a sweep passes over before it goes down from the root instead:
 * not less than a page, which it has read anyway.
 */
#define SWEEP_MAX_STEPS		500

static Relation
find_index(StreamingStateTable *table, AttrNumber attno)
{
	for (int i = 0; i < table->result->ri_NumIndices; i++)
	{
		IndexInfo  *info = table->result->ri_IndexRelationInfo[i];

		if (info->ii_Predicate == NIL && info->ii_IndexAttrNumbers[0] == attno)
			return table->result->ri_IndexRelationDescs[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" has lost its index on column \"%s\"",
					RelationGetRelationName(table->rel),
					NameStr(TupleDescAttr(table->desc, attno - 1)->attname)),
			 errhint("Create the index again.")));
}

StreamingStateTable *
streaming_state_open(const char *name, AttrNumber hash_attno)
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
	table->desc = RelationGetDescr(table->rel);
	table->hash_attno = hash_attno;
	table->row = MakeSingleTupleTableSlot(table->desc, &TTSOpsVirtual);
	table->stored = table_slot_create(table->rel, NULL);
	table->estate = CreateExecutorState();
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->rel, 1, NULL, 0);
	ExecOpenIndices(table->result, false);
	table->was_empty = RelationGetNumberOfBlocks(table->rel) == 0;
	if (hash_attno && !table->was_empty)
	{
		table->index = find_index(table, hash_attno);
		table->scan = streaming_index_beginscan(table->rel, table->index, SnapshotSelf, 1);
	}
	table->pending = palloc0(sizeof(TupleTableSlot *) * MAX_PENDING_ROWS);
	table->bulk = GetBulkInsertState();
	return table;
}

static void
begin_scan(StreamingStateTable *table, StrategyNumber strategy, Oid operator, int64 hash)
{
	ScanKeyData key;
	MemoryContext old;

	ScanKeyInit(&key, 1, strategy, operator, Int64GetDatum(hash));
	old = MemoryContextSwitchTo(table->context);
	table->scan->xs_want_itup = table->sweeping;
	index_rescan(table->scan, &key, 1, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_sweep(StreamingStateTable *table, int64 lookups)
{
	table->sweeping = table->scan != NULL &&
		lookups > (int64) RelationGetNumberOfBlocks(table->index) * SWEEP_LOOKUPS_PER_PAGE;
	table->sweep = SWEEP_NOWHERE;
}

void
streaming_state_find(StreamingStateTable *table, int64 hash)
{
	if (table->was_empty)
		return;
	if (!table->sweeping)
		begin_scan(table, BTEqualStrategyNumber, F_INT8EQ, hash);
	else if (table->sweep == SWEEP_NOWHERE || hash <= table->wanted)
	{
		begin_scan(table, BTGreaterEqualStrategyNumber, F_INT8GE, hash);
		table->sweep = SWEEP_BEHIND;
	}
	table->wanted = hash;
	table->fetched = false;
}

/* Moves the sweep to the next entry whose hash is not less than wanted. */
static void
sweep_forward(StreamingStateTable *table)
{
	IndexScanDesc scan = table->scan;

	for (int i = 0; table->sweep == SWEEP_BEHIND ||
		 (table->sweep == SWEEP_AT && table->at < table->wanted); i++)
	{
		bool		isnull;

		if (i == SWEEP_MAX_STEPS)
			begin_scan(table, BTGreaterEqualStrategyNumber, F_INT8GE, table->wanted);
		if (index_getnext_tid(scan, ForwardScanDirection) == NULL)
			table->sweep = SWEEP_AT_END;
		else
		{
			table->at = DatumGetInt64(index_getattr(scan->xs_itup, 1, scan->xs_itupdesc,
													&isnull));
			table->sweep = SWEEP_AT;
		}
	}
}

/* Of the entries with the hash wanted, the next one that leads to a row. */
static bool
sweep_next(StreamingStateTable *table)
{
	for (;;)
	{
		/* To an access method one entry may lead to several rows. */
		if (!(table->fetched && table->scan->xs_heap_continue))
		{
			sweep_forward(table);
			if (table->sweep == SWEEP_AT_END || table->at > table->wanted)
				return false;
		}
		table->sweep = SWEEP_BEHIND;
		table->fetched = true;
		if (index_fetch_heap(table->scan, table->stored))
			return true;
	}
}

bool
streaming_state_next(StreamingStateTable *table)
{
	MemoryContext old;
	bool		found;

	if (table->was_empty)
		return false;
	/* the access method may keep what it allocates for the whole scan */
	old = MemoryContextSwitchTo(table->context);
	if (table->sweeping)
		found = sweep_next(table);
	else
		found = index_getnext_slot(table->scan, ForwardScanDirection, table->stored);
	MemoryContextSwitchTo(old);
	return found;
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
	table->ordered = streaming_index_beginscan(table->rel, find_index(table, attno),
											   SnapshotSelf, 2);
	index_rescan(table->ordered, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

void
streaming_state_find_from(StreamingStateTable *table, int64 hash, TimestampTz from)
{
	ScanKeyData keys[2];
	MemoryContext old;

	if (table->was_empty)
		return;
	old = MemoryContextSwitchTo(table->context);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(hash));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
				TimestampTzGetDatum(from));
	table->ordered = streaming_index_beginscan(table->rel, table->index, SnapshotSelf, 2);
	index_rescan(table->ordered, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

bool
streaming_state_next_until(StreamingStateTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);
	bool		found = table->ordered &&
		index_getnext_slot(table->ordered, ForwardScanDirection, table->stored);

	MemoryContextSwitchTo(old);
	if (!found && table->ordered)
	{
		index_endscan(table->ordered);
		table->ordered = NULL;
	}
	return found;
}

void
streaming_state_insert(StreamingStateTable *table, TupleTableSlot *row)
{
	TupleTableSlot *slot;

	if (table->npending == table->nslots)
	{
		MemoryContext old = MemoryContextSwitchTo(table->context);

		table->pending[table->nslots++] = table_slot_create(table->rel, NULL);
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
	table_multi_insert(table->rel, table->pending, table->npending, cid, 0, table->bulk);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < table->npending; i++)
	{
		index_row(table, table->pending[i], false);
		ExecClearTuple(table->pending[i]);
	}
	ResetPerTupleExprContext(table->estate);
	table->npending = 0;
	table->pending_size = 0;
}

void
streaming_state_update(StreamingStateTable *table, ItemPointer tid)
{
	TupleTableSlot *row = table->row;
	streaming_update_indexes update_indexes;

	row->tts_tableOid = RelationGetRelid(table->rel);
	simple_table_tuple_update(table->rel, tid, row, GetActiveSnapshot(), &update_indexes);
	if (streaming_must_index(update_indexes))
		index_row(table, row, streaming_only_summarizing(update_indexes));
}

void
streaming_state_delete(StreamingStateTable *table, ItemPointer tid)
{
	simple_table_tuple_delete(table->rel, tid, GetActiveSnapshot());
	table->rows_added--;
}

void
streaming_state_close(StreamingStateTable *table)
{
	streaming_state_flush(table);
	if (table->scan)
		index_endscan(table->scan);
	FreeBulkInsertState(table->bulk);
	for (int i = 0; i < table->nslots; i++)
		ExecDropSingleTupleTableSlot(table->pending[i]);
	ExecDropSingleTupleTableSlot(table->row);
	ExecDropSingleTupleTableSlot(table->stored);
	ExecCloseIndices(table->result);
	FreeExecutorState(table->estate);
	table_close(table->rel, NoLock);
}
