/*
 * table_join.c
 *		Outer joins that keep the rows of an ordinary table (query/compile_table_join.c).
 *
 *	rows of the batch ──▶ kept rows, by partition
 *		└─ their keys ("$keys") ──▶ the query over rows and the table's rows of these keys
 *										 less what the partitions were ──▶ table
 *
 * As in partition.c the stage's table holds the rows of the result by partition, and what was
 * handed up is taken back as it was.  A row of the table that meets none is of the
 * partition that the hash of its key says; one whose key is NULL, which none ever meets,
 * is of none, and stays as the first batch has shown it.
 *
 * Where a key is shown that is none of those that come, but has the hash of one, the query is
 * run over all rows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "exec/stage.h"
#include "streaming.h"

/* Of rows of the table whose key is NULL. */
#define NO_PARTITION	PG_INT64_MIN

/* Partitions whose rows are looked up at once. */
#define PARTITIONS_AT_ONCE 8192

typedef struct TableReceiver
{
	DestReceiver pub;
	StreamingStageExec *exec;
	TupleTableSlot *row;		/* (partition, outputs, key of the table) */
	List	   *types;			/* of Oid: of the statement */
} TableReceiver;

static TupleDesc
keys_desc(StreamingEdge *edge)
{
	TupleDesc	desc = CreateTemplateTupleDesc(edge->nkeys + 1);

	for (int i = 0; i < edge->nkeys; i++)
	{
		TupleDescInitEntry(desc, i + 1, edge->keys[i].name, edge->keys[i].type, edge->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, edge->keys[i].collation);
	}
	TupleDescInitEntry(desc, edge->nkeys + 1, "$group", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/* Runs over keys that the result has of the partitions touched. */
static char *
same_hash_sql(StreamingStage *stage)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "WITH \"$shown\"(");
	for (int i = 0; i < stage->ntable_keys; i++)
		appendStringInfo(&buf, "%st%d", i ? ", " : "", i + 1);
	appendStringInfoString(&buf, ") AS NOT MATERIALIZED (SELECT ");
	for (int i = 0; i < stage->ntable_keys; i++)
	{
		AttrNumber	attno = stage->keys[stage->noutputs + i].attno;

		appendStringInfo(&buf, "%st.%s", i ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(stage->table_desc, attno - 1)->attname)));
	}
	appendStringInfo(&buf, " FROM %s.%s t WHERE t.\"$group\" OPERATOR(pg_catalog.=) ANY (SELECT n.\"$group\" FROM \"$keys\" n)) %s LIMIT 1",
					 STREAMING_INTERNAL_SCHEMA, stage->table, stage->same_hash_sql);
	return buf.data;
}

void
streaming_table_join_open(StreamingStageExec *exec)
{
	StreamingStage *stage = exec->stage;

	exec->same_hash.sql = same_hash_sql(stage);
	exec->table_key = streaming_group_key(stage->table_keys, stage->ntable_keys, NULL, 0);
	exec->first_load.sql = stage->first_sql;
	exec->recompute.sql = stage->recompute_sql;
	exec->recompute.nparams = 0;
}

void
streaming_table_join_add(StreamingStageExec *exec, TupleTableSlot *slot)
{
	StreamingEdge *edge = exec->current->edge;
	MemoryContext old = MemoryContextSwitchTo(exec->batch_context);
	Datum		values[STREAMING_TABLE_KEYS + 1];
	bool		isnull[STREAMING_TABLE_KEYS + 1];
	int64		group;

	if (exec->touched_keys == NULL)
	{
		exec->touched_keys = palloc0(sizeof(StreamingDelta));
		exec->touched_keys->name = pstrdup("$keys");
		exec->touched_keys->desc = keys_desc(edge);
		exec->touched_keys->store = tuplestore_begin_heap(false, false, work_mem);
	}
	MemoryContextSwitchTo(old);
	slot_getallattrs(slot);
	memcpy(values, slot->tts_values + edge->ncolumns, sizeof(Datum) * edge->nkeys);
	memcpy(isnull, slot->tts_isnull + edge->ncolumns, sizeof(bool) * edge->nkeys);
	group = streaming_edge_hash(exec->current, slot);
	values[edge->nkeys] = Int64GetDatum(group);
	isnull[edge->nkeys] = false;
	tuplestore_putvalues(exec->touched_keys->store, exec->touched_keys->desc, values, isnull);
	exec->touched_keys->nrows++;
	/* what is computed is compared with what it was, also where all that comes of it cancels out */
	streaming_touch_group(exec, group);
}

static TupleTableSlot *
make_row(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->nkeys + 1);

	TupleDescInitEntry(desc, 1, "$group", INT8OID, -1, 0);
	for (int i = 0; i < stage->nkeys; i++)
	{
		TupleDescInitEntry(desc, i + 2, NULL, stage->keys[i].type, stage->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, i + 2, stage->keys[i].collation);
	}
	TupleDescFinalize(desc);
	return MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
}

/* The partition of a row of the statement. */
static Datum
partition_of(StreamingStageExec *exec, TupleTableSlot *slot)
{
	int			n = exec->stage->noutputs;

	if (!slot->tts_isnull[n])
		return slot->tts_values[n];
	for (int i = 0; i < exec->stage->ntable_keys; i++)
	{
		if (slot->tts_isnull[n + 1 + i])
			return Int64GetDatum(NO_PARTITION);
	}
	return Int64GetDatum(streaming_group_hash(exec->table_key, slot->tts_values + n + 1,
											  slot->tts_isnull + n + 1));
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	TableReceiver *receiver = (TableReceiver *) self;
	StreamingStageExec *exec = receiver->exec;
	TupleTableSlot *row = receiver->row;
	int			n = exec->stage->noutputs;
	int			nkeys = exec->stage->ntable_keys;

	slot_getallattrs(slot);
	ExecClearTuple(row);
	row->tts_values[0] = partition_of(exec, slot);
	row->tts_isnull[0] = false;
	memcpy(row->tts_values + 1, slot->tts_values, sizeof(Datum) * n);
	memcpy(row->tts_isnull + 1, slot->tts_isnull, sizeof(bool) * n);
	memcpy(row->tts_values + 1 + n, slot->tts_values + n + 1, sizeof(Datum) * nkeys);
	memcpy(row->tts_isnull + 1 + n, slot->tts_isnull + n + 1, sizeof(bool) * nkeys);
	streaming_weigh(exec, exec->row_key, ExecStoreVirtualTuple(row), false);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	streaming_check_types(desc, ((TableReceiver *) self)->types);
}

static void
receiver_noop(DestReceiver *self)
{
}

static List *
statement_types(StreamingStage *stage)
{
	List	   *types = NIL;

	for (int i = 0; i < stage->noutputs; i++)
		types = lappend_oid(types, stage->outputs[i].type);
	types = lappend_oid(types, INT8OID);
	for (int i = 0; i < stage->ntable_keys; i++)
		types = lappend_oid(types, stage->table_keys[i].type);
	return types;
}

void
streaming_table_join_compute(StreamingStageExec *exec)
{
	TableReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop, DestNone},
	exec, make_row(exec->stage), statement_types(exec->stage)};
	int64	   *hashes = palloc(sizeof(int64) * PARTITIONS_AT_ONCE);
	bool		all = exec->first;
	int			n;

	if (exec->touched == NULL && !exec->first)
		return;
	CommandCounterIncrement();
	streaming_stop_point("partition_touched");
	if (!all)
	{
		streaming_replan(exec, &exec->same_hash);
		all = streaming_statement_run(&exec->same_hash, exec->touched_keys, NULL, false, NULL) > 0;
	}
	while ((n = streaming_next_touched(exec, hashes, PARTITIONS_AT_ONCE)) > 0)
	{
		if (!all)
			streaming_partition_stored(exec, hashes, n);
	}
	if (all)
	{
		streaming_partition_stored_all(exec);
		streaming_replan(exec, &exec->first_load);
		streaming_statement_run(&exec->first_load, NULL, NULL, false, (DestReceiver *) &receiver);
	}
	else
	{
		streaming_replan(exec, &exec->recompute);
		streaming_statement_run(&exec->recompute, exec->touched_keys, NULL, false,
								(DestReceiver *) &receiver);
	}
	streaming_stop_point("partition_computed");
	streaming_partition_put(exec);
	if (exec->touched_keys)
		tuplestore_end(exec->touched_keys->store);
	exec->touched_keys = NULL;
	ExecDropSingleTupleTableSlot(receiver.row);
}
