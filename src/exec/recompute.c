/*
 * recompute.c
 *		Groups whose aggregates cannot be combined, or whose rows can disappear.
 *
 *	batch's rows ──▶ bag: (keys, arguments) × count
 *						  └─ groups touched ──▶ the user's aggregates over the
 *												rows of those groups ──▶ table
 *
 * The bag holds each distinct row of (keys, arguments) once, with its
 * multiplicity, found by the hash of the row, and listed by the hash of its
 * group.  The cost of a batch is that of the groups it touches.  Groups whose
 * keys share a hash are recomputed together, which changes nothing but time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "exec/stage.h"
#include "streaming.h"

/* Groups that one run of the aggregates recomputes. */
#define GROUPS_AT_ONCE 8192

/* A stored row kept aside, so that the scan is over before it is changed. */
typedef struct StoredRow
{
	HeapTuple	tuple;
	bool		matched;
} StoredRow;

/* The aggregates over the bag's rows of the groups in $1. */
char *
streaming_recompute_statement(StreamingStage *stage)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "WITH bag(");
	for (int i = 0; i < stage->nkeys + stage->nargs; i++)
		appendStringInfo(&buf, "%s%c%d", i ? ", " : "", i < stage->nkeys ? 'k' : 'a',
						 i < stage->nkeys ? i + 1 : i - stage->nkeys + 1);
	if (stage->nkeys + stage->nargs == 0)
		buf.data[--buf.len] = '\0';
	else
		appendStringInfoChar(&buf, ')');
	appendStringInfoString(&buf, " AS NOT MATERIALIZED (SELECT ");
	for (int i = 0; i < stage->nkeys + stage->nargs; i++)
		appendStringInfo(&buf, "%sb.%c%d", i ? ", " : "", i < stage->nkeys ? 'k' : 'a',
						 i < stage->nkeys ? i + 1 : i - stage->nkeys + 1);
	appendStringInfo(&buf, " FROM %s.%s b, pg_catalog.generate_series(1::pg_catalog.int8, b.\"$count\") WHERE b.\"$group\" OPERATOR(pg_catalog.=) ANY ($1)) %s",
					 STREAMING_INTERNAL_SCHEMA, quote_identifier(stage->bag_table),
					 stage->recompute_sql);
	return buf.data;
}

static bool
find_row(StreamingStageExec *exec, int64 hash, Datum *values, bool *isnull)
{
	StreamingStateTable *bag = exec->bag;

	streaming_state_find(bag, hash);
	while (streaming_state_next(bag))
	{
		slot_getallattrs(bag->stored);
		if (streaming_group_equal(exec->row_key, values, isnull,
								  bag->stored->tts_values, bag->stored->tts_isnull))
			return true;
	}
	return false;
}

/* Adds one distinct row of the batch to the bag, or takes it back. */
static void
put_row(StreamingStageExec *exec, int64 hash, Datum *values, bool *isnull, int64 delta)
{
	StreamingStage *stage = exec->stage;
	StreamingStateTable *bag = exec->bag;
	int			ncolumns = stage->nkeys + stage->nargs;
	int64		group = streaming_group_hash(exec->group_key, values, isnull);
	int64		count = delta;
	bool		found;

	if (delta == 0)
		return;
	found = find_row(exec, hash, values, isnull);
	if (found)
		count += DatumGetInt64(bag->stored->tts_values[STREAMING_BAG_COUNT(stage) - 1]);
	if (count < 0)
		elog(ERROR, "a row was taken back more often than it had appeared");
	ExecClearTuple(bag->row);
	memcpy(bag->row->tts_values, values, sizeof(Datum) * ncolumns);
	memcpy(bag->row->tts_isnull, isnull, sizeof(bool) * ncolumns);
	for (int i = ncolumns; i < stage->bag_natts; i++)
		bag->row->tts_isnull[i] = false;
	bag->row->tts_values[STREAMING_BAG_COUNT(stage) - 1] = Int64GetDatum(count);
	bag->row->tts_values[STREAMING_BAG_GROUP(stage) - 1] = Int64GetDatum(group);
	bag->row->tts_values[STREAMING_BAG_HASH(stage) - 1] = Int64GetDatum(hash);
	if (stage->bag_closes_attno)
		bag->row->tts_values[stage->bag_closes_attno - 1] =
			streaming_closes(exec, values, isnull,
							 &bag->row->tts_isnull[stage->bag_closes_attno - 1]);
	ExecStoreVirtualTuple(bag->row);
	if (!found)
		streaming_state_insert(bag, bag->row);
	else if (count == 0)
		streaming_state_delete(bag, bag->stored);
	else
		streaming_state_update(bag, &bag->stored->tts_tid);
	streaming_touch_group(exec, group);
}

/* Merges the pending rows (keys, arguments), distinct, into the bag. */
void
streaming_merge_bag(StreamingStageExec *exec)
{
	MemoryContext old = CurrentMemoryContext;

	streaming_state_expect(exec->bag, exec->lookups);
	for (int i = 0; i < exec->npending; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->input, false);
		slot_getallattrs(exec->input);
		put_row(exec, exec->pending[i].hash, exec->input->tts_values,
				exec->input->tts_isnull, exec->weights[i]);
		MemoryContextSwitchTo(old);
	}
	streaming_state_settle(exec->bag);	/* and the next may be of the same rows */
}

typedef struct ResultReceiver
{
	DestReceiver pub;
	StreamingStageExec *exec;
} ResultReceiver;

static bool
receive_result(TupleTableSlot *slot, DestReceiver *self)
{
	StreamingStageExec *exec = ((ResultReceiver *) self)->exec;

	slot_getallattrs(slot);
	streaming_add_pending(exec, streaming_group_hash(exec->group_key, slot->tts_values,
													 slot->tts_isnull), slot);
	return true;
}

static void
result_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	StreamingStageExec *exec = ((ResultReceiver *) self)->exec;

	streaming_check_types(desc, exec->result_types);
	streaming_make_input(exec, desc);
}

static void
result_noop(DestReceiver *self)
{
}

/* The stored rows with a hash, copied. */
static List *
stored_rows(StreamingStageExec *exec, int64 hash)
{
	List	   *rows = NIL;

	streaming_state_find(exec->table, hash);
	while (streaming_state_next(exec->table))
	{
		StoredRow  *row = palloc0(sizeof(StoredRow));

		row->tuple = ExecCopySlotHeapTuple(exec->table->stored);
		row->tuple->t_self = exec->table->stored->tts_tid;
		rows = lappend(rows, row);
	}
	return rows;
}

/* The stored row of a group among rows, in *slot; or NULL. */
static StoredRow *
match_row(StreamingStageExec *exec, List *rows, Datum *keys, bool *keys_null,
		  TupleTableSlot *slot)
{
	int			nkeys = exec->stage->nkeys;
	Datum	   *stored = palloc(sizeof(Datum) * Max(nkeys, 1));
	bool	   *isnull = palloc(sizeof(bool) * Max(nkeys, 1));
	ListCell   *lc;

	foreach(lc, rows)
	{
		StoredRow  *row = lfirst(lc);

		if (row->matched)
			continue;
		ExecForceStoreHeapTuple(row->tuple, slot, false);
		slot->tts_tid = row->tuple->t_self;
		streaming_stored_keys(exec, slot, stored, isnull);
		if (streaming_group_equal(exec->group_key, keys, keys_null, stored, isnull))
			return row;
	}
	return NULL;
}

/* Replaces what is stored under one hash by the new results of that hash. */
static void
replace_groups(StreamingStageExec *exec, int64 hash, StreamingHashed *results,
			   int nresults, TupleTableSlot *slot)
{
	int			nkeys = exec->stage->nkeys;
	List	   *rows = stored_rows(exec, hash);
	ListCell   *lc;

	for (int i = 0; i < nresults; i++)
	{
		TupleTableSlot *input = exec->input;
		StoredRow  *row;

		ExecForceStoreMinimalTuple(results[i].tuple, input, false);
		slot_getallattrs(input);
		row = match_row(exec, rows, input->tts_values, input->tts_isnull, slot);
		if (row)
			row->matched = true;
		streaming_put_group(exec, row ? slot : NULL, hash,
							input->tts_values, input->tts_isnull,
							input->tts_values + nkeys, input->tts_isnull + nkeys);
	}
	foreach(lc, rows)
	{
		StoredRow  *row = lfirst(lc);

		if (row->matched)
			continue;
		ExecForceStoreHeapTuple(row->tuple, slot, false);
		slot->tts_tid = row->tuple->t_self;
		streaming_remove_group(exec, slot);
	}
}

/* Recomputes n groups, given by their hashes in order. */
static void
recompute_groups(StreamingStageExec *exec, int64 *hashes, int n)
{
	ResultReceiver receiver = {{receive_result, result_startup, result_noop,
	result_noop, DestNone}, exec};
	TupleTableSlot *slot = MakeSingleTupleTableSlot(exec->table->desc, &TTSOpsHeapTuple);
	Datum		param = streaming_int8_array(hashes, n);
	int			next = 0;
	MemoryContext old = CurrentMemoryContext;

	streaming_statement_run(&exec->recompute, NULL, &param, false,
							(DestReceiver *) &receiver);
	streaming_sort_hashed(exec->pending, exec->npending);
	streaming_state_expect(exec->table, n);
	for (int i = 0; i < n; i++)
	{
		int			first;

		CHECK_FOR_INTERRUPTS();
		/* groups that share no touched hash cannot be among the results */
		while (next < exec->npending && exec->pending[next].hash < hashes[i])
			next++;
		first = next;
		while (next < exec->npending && exec->pending[next].hash == hashes[i])
			next++;
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		replace_groups(exec, hashes[i], exec->pending + first, next - first, slot);
		MemoryContextSwitchTo(old);
	}
	streaming_state_flush(exec->table);
	streaming_drop_input(exec);
	ExecDropSingleTupleTableSlot(slot);
	exec->npending = 0;
	MemoryContextReset(exec->pending_context);
	pfree(DatumGetPointer(param));
}

void
streaming_recompute_touched(StreamingStageExec *exec)
{
	int64	   *hashes;
	int			n;

	streaming_drop_input(exec);
	if (!exec->stage->grouped && exec->touched == NULL)
		streaming_touch_group(exec, streaming_group_hash(exec->group_key, NULL, NULL));
	if (exec->touched == NULL)
		return;
	CommandCounterIncrement();
	hashes = palloc(sizeof(int64) * GROUPS_AT_ONCE);
	while ((n = streaming_next_touched(exec, hashes, GROUPS_AT_ONCE)) > 0)
		recompute_groups(exec, hashes, n);
}
