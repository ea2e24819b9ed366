/*
 * partition.c
 *		Queries whose partitions are computed anew.
 *
 *	rows of the batch ──▶ kept rows of each input, by partition
 *							└─ partitions touched ──▶ the query over their rows
 *													   less what it was ──▶ table
 *
 * The stage's table holds the rows of the result, each with its partition and how
 * often it is there.  What a partition was before is read from it and not computed:
 * what was handed up is taken back as it was, whatever tables or functions the query
 * asks have come to say meanwhile.  The cost of a batch is that of the partitions
 * it touches.  Partitions whose keys share a hash are computed together, which
 * changes nothing but time.
 *
 * Of some queries the rows of the result are all that can matter to what comes
 * (query/compile_top.c): no others are kept, and they are computed anew with those that come.
 * Of some queries what is behind the first row that came or went is enough
 * (query/suffix.c).  Their rows may have hidden columns; what differs in these alone is
 * no change for who reads the outputs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "exec/stage.h"
#include "streaming.h"

/* Partitions that one run of the query computes. */
#define PARTITIONS_AT_ONCE 8192

typedef struct PartitionReceiver
{
	DestReceiver pub;
	StreamingStageExec *exec;
} PartitionReceiver;

/* All rows as they were, negatively. */
static char *
all_stored_sql(StreamingStage *stage)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT t.\"$group\"");
	for (int i = 0; i < stage->nkeys; i++)
		appendStringInfo(&buf, ", t.%s",
						 quote_identifier(NameStr(TupleDescAttr(stage->table_desc,
																stage->keys[i].attno - 1)->attname)));
	appendStringInfo(&buf, ", - t.\"$count\" FROM %s.%s t", STREAMING_INTERNAL_SCHEMA, stage->table);
	return buf.data;
}

/* Ditto one of them. */
static TupleDesc
stored_desc(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->nkeys + 2);

	TupleDescInitEntry(desc, 1, NULL, INT8OID, -1, 0);
	for (int i = 0; i < stage->nkeys; i++)
	{
		TupleDescInitEntry(desc, i + 2, NULL, stage->keys[i].type, stage->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, i + 2, stage->keys[i].collation);
	}
	TupleDescInitEntry(desc, stage->nkeys + 2, NULL, INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/* The statement's rows with how often they are there, which is once. */
static char *
computed_sql(const char *sql)
{
	return psprintf("SELECT p.*, 1::pg_catalog.int8 FROM (%s) p", sql);
}

void
streaming_partition_open(StreamingStageExec *exec)
{
	static Oid	param_types[1] = {INT8ARRAYOID};
	StreamingStage *stage = exec->stage;
	StreamingValue group = {.type = INT8OID};

	exec->recompute.sql = computed_sql(stage->suffix ? streaming_suffix_sql(stage) : stage->recompute_sql);
	exec->stored.sql = stage->suffix ? streaming_suffix_stored_sql(stage) :
		all_stored_sql(stage);
	exec->stored_desc = stored_desc(stage);
	exec->prune.sql = stage->prune_sql;
	if (stage->nkeys > stage->noutputs)
		exec->output_key = streaming_group_key(stage->keys, stage->noutputs, NULL, 0);
	if (!stage->whole && !stage->suffix && stage->edges[0].kept_keys == NULL)
	{
		exec->recompute.nparams = exec->prune.nparams = 1;
		exec->recompute.param_types = exec->prune.param_types = param_types;
	}
	exec->row_key = streaming_group_key(&group, 1, stage->keys, stage->nkeys);
	exec->result_types = list_make1_oid(INT8OID);
	for (int i = 0; i < stage->nkeys; i++)
		exec->result_types = lappend_oid(exec->result_types, stage->keys[i].type);
	exec->result_types = lappend_oid(exec->result_types, INT8OID);
	if (stage->table_keys)
		streaming_table_join_open(exec);
	if (stage->recursion)
		streaming_recursion_open(exec);
}

/* A row of the result as it was is computed anew with those that come. */
static void
touch_stored(StreamingStageExec *exec, TupleTableSlot *slot)
{
	StreamingEdge *edge = exec->edges[0].edge;
	Datum		values[MaxTupleAttributeNumber];
	bool		isnull[MaxTupleAttributeNumber];
	int64		count;

	slot_getallattrs(slot);
	count = DatumGetInt64(slot->tts_values[exec->stage->nkeys + 1]);
	for (int i = 0; i < edge->ncolumns; i++)
	{
		values[i] = slot->tts_values[edge->kept_keys[i] + 1];
		isnull[i] = slot->tts_isnull[edge->kept_keys[i] + 1];
	}
	for (; count < 0; count++)
		streaming_touch_row(exec, values, isnull, DatumGetInt64(slot->tts_values[0]));
}

/* A row of the result as it is computed, or was, negatively. */
static void
take_row(StreamingStageExec *exec, TupleTableSlot *slot)
{
	if (exec->stage->edges[0].kept_keys)
		touch_stored(exec, slot);
	if (exec->stage->recursion)
	{
		slot_getallattrs(slot);
		streaming_recursion_weigh(exec, slot->tts_values + 1, slot->tts_isnull + 1,
								  DatumGetInt64(slot->tts_values[exec->stage->nkeys + 1]));
	}
	else
		streaming_weigh(exec, exec->row_key, slot, true);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	take_row(((PartitionReceiver *) self)->exec, slot);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	StreamingStageExec *exec = ((PartitionReceiver *) self)->exec;

	streaming_check_types(desc, exec->result_types);
}

static void
receiver_noop(DestReceiver *self)
{
}

int64
streaming_partition_read(StreamingStage *stage, TupleTableSlot *stored, Datum *values, bool *isnull)
{
	slot_getallattrs(stored);
	values[0] = stored->tts_values[stage->group_attno - 1];
	isnull[0] = false;
	for (int i = 0; i < stage->nkeys; i++)
	{
		values[i + 1] = stored->tts_values[stage->keys[i].attno - 1];
		isnull[i + 1] = stored->tts_isnull[stage->keys[i].attno - 1];
	}
	return DatumGetInt64(stored->tts_values[stage->count_attno - 1]);
}

/* The stored row of (group, outputs), in table->stored; or false. */
static bool
find_row(StreamingStageExec *exec, int64 hash, Datum *values, bool *isnull)
{
	StreamingStage *stage = exec->stage;
	StreamingStateTable *table = exec->table;
	Datum	   *stored = palloc(sizeof(Datum) * (stage->nkeys + 1));
	bool	   *stored_null = palloc(sizeof(bool) * (stage->nkeys + 1));

	streaming_state_find(table, hash);
	while (streaming_state_next(table))
	{
		(void) streaming_partition_read(stage, table->stored, stored, stored_null);
		if (streaming_group_equal(exec->row_key, values, isnull, stored, stored_null))
			return true;
	}
	return false;
}

/* Outputs change so often, with some hidden keys: those of others may undo it. */
static void
keep_change(StreamingStageExec *exec, int64 weight, Datum *outputs, bool *isnull)
{
	int			n = exec->stage->noutputs;
	Datum		values[MaxTupleAttributeNumber];
	bool		nulls[MaxTupleAttributeNumber];

	if (exec->unweighed == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

		exec->unweighed = tuplestore_begin_heap(false, false, work_mem);
		MemoryContextSwitchTo(old);
	}
	memcpy(values, outputs, sizeof(Datum) * n);
	memcpy(nulls, isnull, sizeof(bool) * n);
	values[n] = Int64GetDatum(weight);
	nulls[n] = false;
	tuplestore_putvalues(exec->unweighed, exec->delta_desc, values, nulls);
}

/* Hands up those changes that remain. */
static void
emit_changes(StreamingStageExec *exec)
{
	TupleTableSlot *slot;

	if (exec->unweighed == NULL)
		return;
	slot = MakeSingleTupleTableSlot(exec->delta_desc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(exec->unweighed, true, false, slot))
		streaming_weigh(exec, exec->output_key, slot, true);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(exec->unweighed);
	exec->unweighed = NULL;
	while (streaming_weigh_next(exec))
	{
		for (int i = 0; i < exec->npending; i++)
		{
			ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->input, false);
			slot_getallattrs(exec->input);
			streaming_emit_weighted(exec, exec->weights[i], exec->input->tts_values,
									exec->input->tts_isnull);
		}
	}
}

/* The row of the table. */
static void
fill_row(StreamingStageExec *exec, int64 hash, Datum *values, bool *isnull, int64 count)
{
	StreamingStage *stage = exec->stage;
	TupleTableSlot *row = exec->table->row;

	ExecClearTuple(row);
	memset(row->tts_isnull, false, sizeof(bool) * stage->natts);
	for (int i = 0; i < stage->nkeys; i++)
	{
		row->tts_values[stage->keys[i].attno - 1] = values[i + 1];
		row->tts_isnull[stage->keys[i].attno - 1] = isnull[i + 1];
	}
	row->tts_values[stage->count_attno - 1] = Int64GetDatum(count);
	row->tts_values[stage->group_attno - 1] = values[0];
	row->tts_values[stage->hash_attno - 1] = Int64GetDatum(hash);
	ExecStoreVirtualTuple(row);
}

/* table->row is there count times, which may be none; found: it is table->stored. */
static void
write_row(StreamingStageExec *exec, StreamingFreePlaces *freed, bool found, int64 count)
{
	StreamingStateTable *table = exec->table;

	if (!found && freed->n > 0)
		streaming_state_replace(table, &freed->places[--freed->n]);
	else if (!found)
		streaming_state_insert(table, table->row);
	else if (count == 0)
		freed->places[freed->n++] = streaming_state_place(table);
	else
		streaming_state_update(table, &table->stored->tts_tid);
}

/* A row of the result appears or disappears so often. */
static void
put_row(StreamingStageExec *exec, StreamingFreePlaces *freed, int64 hash, Datum *values, bool *isnull,
		int64 weight)
{
	StreamingStage *stage = exec->stage;
	StreamingStateTable *table = exec->table;
	bool		found = find_row(exec, hash, values, isnull);
	int64		count;

	if (exec->fresh)
	{
		if (found && stage->recursion->distinct)
			return;
		if (stage->recursion->distinct)
			weight = 1;
		streaming_recursion_add(exec, values, isnull, weight);
	}
	count = weight;
	if (found)
		count += DatumGetInt64(table->stored->tts_values[stage->count_attno - 1]);
	if (count < 0)
		elog(ERROR, "a row was taken back more often than it had appeared");
	fill_row(exec, hash, values, isnull, count);
	write_row(exec, freed, found, count);
	streaming_partition_changed(exec, weight, values + 1, isnull + 1);
}

void
streaming_partition_write(StreamingStageExec *exec, StreamingFreePlaces *freed, int64 hash,
						  Datum *values, bool *isnull, int64 count)
{
	fill_row(exec, hash, values, isnull, count);
	write_row(exec, freed, false, count);
}

void
streaming_partition_free(StreamingStageExec *exec, StreamingFreePlaces *freed)
{
	while (freed->n > 0)
		streaming_state_remove(exec->table, &freed->places[--freed->n]);
}

void
streaming_partition_changed(StreamingStageExec *exec, int64 weight, Datum *keys, bool *isnull)
{
	/* what differs in hidden keys alone is no change for anybody */
	if (exec->output_key && (exec->changes || exec->writes))
		keep_change(exec, weight, keys, isnull);
	else
		streaming_emit_weighted(exec, weight, keys, isnull);
}

void
streaming_partition_compute(StreamingStageExec *exec, StreamingDelta *rows)
{
	PartitionReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, exec};

	streaming_replan(exec, &exec->recompute);
	streaming_replan(exec, &exec->stored);
	/* nothing was before the view's first batch */
	if (!exec->first)
		streaming_statement_run(&exec->stored, rows, NULL, false, (DestReceiver *) &receiver);
	streaming_statement_run(&exec->recompute, rows, NULL, false, (DestReceiver *) &receiver);
	streaming_stop_point("partition_computed");
	streaming_partition_put(exec);
}

/* The row that is in table->stored. */
static void
take_stored(StreamingStageExec *exec, TupleTableSlot *slot)
{
	int			n = exec->stage->nkeys + 1;
	int64		count;

	ExecClearTuple(slot);
	count = streaming_partition_read(exec->stage, exec->table->stored, slot->tts_values, slot->tts_isnull);
	slot->tts_values[n] = Int64GetDatum(-count);
	slot->tts_isnull[n] = false;
	take_row(exec, ExecStoreVirtualTuple(slot));
}

void
streaming_partition_stored(StreamingStageExec *exec, int64 *hashes, int n)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(exec->stored_desc, &TTSOpsVirtual);

	streaming_state_ready(exec->table, n);
	for (int i = 0; i < n; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i + STREAMING_PREFETCH_DISTANCE < n)
			streaming_state_prefetch(exec->table, STREAMING_BY_GROUP,
									 hashes[i + STREAMING_PREFETCH_DISTANCE]);
		streaming_state_find_group(exec->table, hashes[i]);
		while (streaming_state_next(exec->table))
			take_stored(exec, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
}

void
streaming_partition_stored_all(StreamingStageExec *exec)
{
	PartitionReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, exec};

	streaming_replan(exec, &exec->stored);
	streaming_statement_run(&exec->stored, NULL, NULL, false, (DestReceiver *) &receiver);
}

/* Those of the pending rows from begin to end that come, or those that go. */
static void
put_pending(StreamingStageExec *exec, StreamingFreePlaces *freed, int begin, int end, bool come)
{
	MemoryContext old = CurrentMemoryContext;

	for (int i = begin; i < end; i++)
	{
		if ((exec->weights[i] > 0) != come)
			continue;
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->input, false);
		slot_getallattrs(exec->input);
		put_row(exec, freed, exec->pending[i].hash, exec->input->tts_values, exec->input->tts_isnull,
				exec->weights[i]);
		MemoryContextSwitchTo(old);
	}
}

static int64
pending_group(StreamingStageExec *exec, int i)
{
	bool		isnull;

	ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->input, false);
	return DatumGetInt64(slot_getattr(exec->input, 1, &isnull));
}

/* Those of one partition after the other: what comes is written over what goes. */
static void
put_chunk(StreamingStageExec *exec)
{
	StreamingFreePlaces freed = {palloc_array(StreamingStatePlace, exec->npending), 0};

	for (int begin = 0, end; begin < exec->npending; begin = end)
	{
		int64		group = pending_group(exec, begin);

		for (end = begin + 1; end < exec->npending && pending_group(exec, end) == group;)
			end++;
		put_pending(exec, &freed, begin, end, false);
		put_pending(exec, &freed, begin, end, true);
		streaming_partition_free(exec, &freed);
	}
	pfree(freed.places);
}

void
streaming_partition_put(StreamingStageExec *exec)
{
	while (streaming_weigh_next(exec))
	{
		streaming_state_expect(exec->table, exec->lookups);
		put_chunk(exec);
	}
	streaming_state_settle(exec->table);
	emit_changes(exec);
}

/* The difference between what n partitions are and what they were. */
static void
compute_partitions(StreamingStageExec *exec, int64 *hashes, int n)
{
	PartitionReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, exec};
	Datum		param = streaming_int8_array(hashes, n);

	streaming_replan(exec, &exec->prune);
	streaming_replan(exec, &exec->recompute);
	exec->recompute.size = exec->prune.size = n > STREAMING_FEW_ROWS ? STREAMING_SIZE_MANY :
		STREAMING_SIZE_FEW;
	/* the edge has pruned what it has brought, and there is nothing else yet */
	if (!exec->first || exec->brings_behind)
		streaming_prune(exec, param);
	/* nothing was before the view's first batch */
	if (!exec->first)
		streaming_partition_stored(exec, hashes, n);
	streaming_statement_run(&exec->recompute, NULL, &param, false, (DestReceiver *) &receiver);
	streaming_stop_point("partition_computed");
	streaming_partition_put(exec);
	pfree(DatumGetPointer(param));
}

/* Ditto of all there is. */
static void
compute_whole(StreamingStageExec *exec)
{
	streaming_replan(exec, &exec->prune);
	exec->recompute.size = exec->stored.size = exec->prune.size = STREAMING_SIZE_FEW;
	if (!exec->first || exec->brings_behind)
		streaming_prune(exec, (Datum) 0);
	streaming_partition_compute(exec, NULL);
}

/* Ditto of the ends of partitions. */
static void
compute_ends(StreamingStageExec *exec)
{
	StreamingDelta *rows = streaming_take_touched(exec);

	if (rows == NULL)
		return;
	CommandCounterIncrement();
	streaming_stop_point("partition_touched");
	streaming_partition_compute(exec, rows);
	tuplestore_end(rows->store);
}

/* Ditto of partitions of which nothing is kept but their results. */
static void
compute_kept(StreamingStageExec *exec)
{
	PartitionReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, exec};
	int64	   *hashes = palloc(sizeof(int64) * PARTITIONS_AT_ONCE);
	StreamingDelta *rows;
	int			n;

	while ((n = streaming_next_touched(exec, hashes, PARTITIONS_AT_ONCE)) > 0)
	{
		/* nothing was before the view's first batch */
		if (!exec->first)
			streaming_partition_stored(exec, hashes, n);
	}
	rows = streaming_take_touched(exec);
	streaming_statement_run(&exec->recompute, rows, NULL, false, (DestReceiver *) &receiver);
	tuplestore_end(rows->store);
	streaming_stop_point("partition_computed");
	streaming_partition_put(exec);
}

Datum
streaming_int8_array(int64 *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * n);
	ArrayType  *array;

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	array = construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
							TYPALIGN_DOUBLE);
	pfree(elements);
	return PointerGetDatum(array);
}

void
streaming_compute_touched(StreamingStageExec *exec)
{
	int64	   *hashes;
	int			n;

	if (exec->stage->suffix)
	{
		compute_ends(exec);
		return;
	}
	if (exec->stage->recursion)
	{
		streaming_recursion_run(exec);
		return;
	}
	/* as a whole it may have rows for no input */
	if (exec->stage->whole && exec->first && exec->touched == NULL)
		streaming_touch_group(exec, 0);
	if (exec->touched == NULL)
		return;
	CommandCounterIncrement();
	streaming_stop_point("partition_touched");
	if (exec->stage->edges[0].kept_keys)
	{
		compute_kept(exec);
		return;
	}
	hashes = palloc(sizeof(int64) * PARTITIONS_AT_ONCE);
	while ((n = streaming_next_touched(exec, hashes, PARTITIONS_AT_ONCE)) > 0)
	{
		if (exec->stage->whole)
			compute_whole(exec);
		else
			compute_partitions(exec, hashes, n);
	}
}
