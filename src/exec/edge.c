/*
 * edge.c
 *		The inputs of a stage, and what is kept of their rows.
 *
 * A stage has a statement for each input.  Its rows wait (stage.c, weigh.c), and those
 * that are equal are one row with the sum of their weights before a table is touched.
 *
 * A join keeps the rows of its inputs.  What has come to one input is joined with
 * what is kept of the others, and kept then itself, one input after the other:
 *
 *		d(A x B) = dA x B(before)  +  A(after) x dB
 *
 * Most rows are kept as they come, each by itself.  These are formed once, as their table has
 * them, and copied from then on: to wait for their chunk, to be joined, into the table.
 *
 * Where it counts whether rows meet any (query/compile_match.c), the first matches are
 * asked for before the rows are kept, and the last ones after that.  So a row that comes
 * and goes in one batch must have been weighed before (match.c).
 *
 * Of an outer join with a bound in event time, rows of a side that is preserved ask, when
 * nothing in time can be joined with them any more, what is kept of the other side
 * whether they have met a row of it.  Those that have not are handed up then.  Where a row
 * meets others in subqueries, all that is made of it is handed up then.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

#include "exec/stage.h"
#include "streaming.h"

/* Tables that have grown by less are planned for as they were. */
#define FEW_BLOCKS	16

/* Columns of a join's "$edge": those of the input, how often, and the partition. */
static TupleDesc
rows_desc(StreamingEdge *edge)
{
	TupleDesc	desc = CreateTemplateTupleDesc(edge->ncolumns + 2);

	for (int i = 0; i < edge->ncolumns; i++)
	{
		StreamingValue *value = &edge->columns[i];

		TupleDescInitEntry(desc, i + 1, value->name, value->type, value->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, value->collation);
	}
	TupleDescInitEntry(desc, STREAMING_EDGE_COUNT(edge), "$count", INT8OID, -1, 0);
	TupleDescInitEntry(desc, STREAMING_EDGE_GROUP(edge), "$group", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/* The types of the columns that the statement of an edge is to hand out. */
static List *
edge_types(StreamingEdge *edge)
{
	List	   *types = NIL;

	for (int i = 0; i < edge->ncolumns; i++)
		types = lappend_oid(types, edge->columns[i].type);
	for (int i = 0; i < edge->nkeys; i++)
		types = lappend_oid(types, edge->keys[i].type);
	if (edge->weighted)
		types = lappend_oid(types, INT8OID);
	return types;
}

void
streaming_edge_open(StreamingEdgeExec *exec, Oid view, StreamingStage *stage, StreamingEdge *edge)
{
	static Oid	times[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};

	exec->edge = edge;
	exec->statement.sql = edge->sql;
	exec->initial.sql = edge->initial_sql;
	if (!streaming_keeps_rows(edge))
		return;
	exec->types = edge_types(edge);
	exec->partition = streaming_group_key(edge->keys, edge->nkeys, NULL, 0);
	exec->row = streaming_group_key(edge->columns, edge->ncolumns, NULL, 0);
	exec->weighed = edge->weighted ? exec->row : NULL;
	if (edge->table)
	{
		exec->kept = streaming_state_keep(view, edge->table, edge->weighted);
		if (streaming_maps_partitions(stage, edge))
			streaming_state_map_groups(exec->kept, STREAMING_EDGE_GROUP(edge));
		exec->kept->group_attno = edge->nkeys > 0 ? STREAMING_EDGE_GROUP(edge) : 0;
	}
	exec->rows_desc = rows_desc(edge);
	exec->join.cursor_options = exec->first_match.cursor_options =
		exec->last_match.cursor_options = STREAMING_CURSOR_OPT_LOOK_UP;
	exec->join.sql = edge->join_sql;
	exec->first_match.sql = edge->first_match_sql;
	exec->last_match.sql = edge->last_match_sql;
	if (edge->top)
		exec->top = streaming_top_open(exec);
	exec->unmatched.sql = edge->unmatched_sql;
	exec->unmatched.nparams = lengthof(times);
	exec->unmatched.param_types = times;
	exec->forms_rows = !edge->weighted && edge->closes == NULL;
	if (edge->closes)
		exec->closes = ExecInitExpr(expression_planner(copyObject(edge->closes)), NULL);
}

void
streaming_edge_close(StreamingEdgeExec *exec)
{
	streaming_statement_free(&exec->statement);
	streaming_statement_free(&exec->initial);
	streaming_statement_free(&exec->join);
	streaming_statement_free(&exec->first_match);
	streaming_statement_free(&exec->last_match);
	streaming_statement_free(&exec->unmatched);
}

StreamingStateTable *
streaming_edge_table(StreamingEdgeExec *exec)
{
	return streaming_state_open(exec->edge->table, exec->edge->desc,
								exec->edge->weighted ? STREAMING_EDGE_HASH(exec->edge) : 0,
								exec->kept);
}

/* ---- Equal rows ---- */

void
streaming_collapse_pending(StreamingStageExec *exec, StreamingGroupKey *key, bool weighted)
{
	TupleTableSlot *one = exec->input;
	TupleTableSlot *other = exec->other;
	int			ncolumns = key->ncolumns;
	int			n = 0;

	exec->weights = MemoryContextAllocHuge(exec->pending_context,
										   sizeof(int64) * Max(exec->npending, 1));
	for (int first = 0, next; first < exec->npending; first = next)
	{
		int			begin = n;

		for (next = first; next < exec->npending &&
			 exec->pending[next].hash == exec->pending[first].hash; next++)
		{
			int64		weight = 1;
			int			i;

			ExecForceStoreMinimalTuple(exec->pending[next].tuple, one, false);
			slot_getallattrs(one);
			if (weighted)
				weight = DatumGetInt64(one->tts_values[one->tts_tupleDescriptor->natts - 1]);
			for (i = begin; i < n; i++)
			{
				ExecForceStoreMinimalTuple(exec->pending[i].tuple, other, false);
				slot_getsomeattrs(other, ncolumns);
				if (streaming_group_equal(key, one->tts_values, one->tts_isnull,
										  other->tts_values, other->tts_isnull))
					break;
			}
			if (i < n)
				exec->weights[i] += weight;
			else
			{
				exec->pending[n] = exec->pending[next];
				exec->weights[n++] = weight;
			}
		}
	}
	exec->npending = n;
}

/* ---- Rows that are kept ---- */

static bool
find_row(StreamingEdgeExec *exec, int64 hash, Datum *values, bool *isnull)
{
	streaming_state_find(exec->table, hash);
	while (streaming_state_next(exec->table))
	{
		slot_getallattrs(exec->table->stored);
		if (streaming_group_equal(exec->row, values, isnull,
								  exec->table->stored->tts_values, exec->table->stored->tts_isnull))
			return true;
	}
	return false;
}

void
streaming_keep_row(StreamingEdgeExec *exec, int64 hash, Datum *values, bool *isnull, int64 weight,
				   int64 group)
{
	StreamingEdge *edge = exec->edge;
	StreamingStateTable *table = exec->table;
	TupleTableSlot *row = table->row;
	bool		found = edge->weighted && find_row(exec, hash, values, isnull);

	if (found)
		weight += DatumGetInt64(table->stored->tts_values[STREAMING_EDGE_COUNT(edge) - 1]);
	if (weight < 0)
		elog(ERROR, "a row was taken back more often than it had appeared");
	ExecClearTuple(row);
	memcpy(row->tts_values, values, sizeof(Datum) * edge->ncolumns);
	memcpy(row->tts_isnull, isnull, sizeof(bool) * edge->ncolumns);
	row->tts_isnull[STREAMING_EDGE_COUNT(edge) - 1] = false;
	row->tts_isnull[STREAMING_EDGE_GROUP(edge) - 1] = false;
	row->tts_values[STREAMING_EDGE_COUNT(edge) - 1] = Int64GetDatum(weight);
	row->tts_values[STREAMING_EDGE_GROUP(edge) - 1] = Int64GetDatum(group);
	if (edge->weighted)
	{
		row->tts_values[STREAMING_EDGE_HASH(edge) - 1] = Int64GetDatum(hash);
		row->tts_isnull[STREAMING_EDGE_HASH(edge) - 1] = false;
	}
	ExecStoreVirtualTuple(row);
	if (!found)
		streaming_state_insert(table, row);
	else if (weight == 0)
		streaming_state_delete(table, table->stored);
	else
		streaming_state_update(table, &table->stored->tts_tid);
}

/* The hash of the partition of a row of the statement. */
static int64
partition_of(StreamingEdgeExec *exec, TupleTableSlot *slot)
{
	int			n = exec->edge->ncolumns;

	return streaming_group_hash(exec->partition, slot->tts_values + n, slot->tts_isnull + n);
}

int64
streaming_edge_hash(StreamingEdgeExec *exec, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	return partition_of(exec, slot);
}

/* ---- Rows that are formed once ---- */

void
streaming_edge_begin(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	if (!edge->forms_rows)
		return;
	edge->formed = MakeSingleTupleTableSlot(edge->rows_desc, &TTSOpsVirtual);
	edge->waiting = MakeSingleTupleTableSlot(edge->rows_desc, &TTSOpsMinimalTuple);
}

void
streaming_edge_end(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	if (!edge->forms_rows)
		return;
	ExecDropSingleTupleTableSlot(edge->formed);
	ExecDropSingleTupleTableSlot(edge->waiting);
	edge->formed = edge->waiting = NULL;
}

TupleTableSlot *
streaming_edge_form(StreamingEdgeExec *edge, TupleTableSlot *slot, int64 group)
{
	TupleTableSlot *row = edge->formed;
	int			n = edge->edge->ncolumns;

	ExecClearTuple(row);
	memcpy(row->tts_values, slot->tts_values, sizeof(Datum) * n);
	memcpy(row->tts_isnull, slot->tts_isnull, sizeof(bool) * n);
	row->tts_values[STREAMING_EDGE_COUNT(edge->edge) - 1] = Int64GetDatum(1);
	row->tts_values[STREAMING_EDGE_GROUP(edge->edge) - 1] = Int64GetDatum(group);
	row->tts_isnull[STREAMING_EDGE_COUNT(edge->edge) - 1] = false;
	row->tts_isnull[STREAMING_EDGE_GROUP(edge->edge) - 1] = false;
	return ExecStoreVirtualTuple(row);
}

/* May a row of the current edge, of that partition, be joined? */
static bool
may_meet(StreamingStageExec *exec, int64 group)
{
	if (!exec->current->edge->only_meets)
		return true;
	for (int i = 0; i < exec->stage->nedges; i++)
	{
		StreamingEdgeExec *other = &exec->edges[i];

		if (other != exec->current && !streaming_state_may_have(other->table, group))
			return false;
	}
	return true;
}

/* In the order of their hashes, in which what they meet is looked up best. */
void
streaming_join_add_formed(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	if (edge->rows == NULL || !edge->forms_rows || edge->joined)
		return;
	for (int i = 0; i < exec->npending; i++)
	{
		if (!may_meet(exec, exec->pending[i].hash))
			continue;
		ExecForceStoreMinimalTuple(exec->pending[i].tuple, edge->waiting, false);
		tuplestore_puttupleslot(edge->rows->store, edge->waiting);
		edge->rows->nrows++;
	}
	ExecClearTuple(edge->waiting);
}

static void
keep_formed(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	if (exec->stage->first_keys && !exec->brings_behind)
	{
		streaming_merge_first_rows(exec);
		return;
	}
	for (int i = 0; i < exec->npending; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		ExecForceStoreMinimalTuple(exec->pending[i].tuple, edge->waiting, false);
		if (edge->table)
			streaming_state_insert(edge->table, edge->waiting);
		if (exec->stage->suffix || edge->edge->kept_keys)
		{
			slot_getallattrs(edge->waiting);
			streaming_touch_row(exec, edge->waiting->tts_values, edge->waiting->tts_isnull,
								exec->pending[i].hash);
		}
		if (exec->stage->kind == STREAMING_STAGE_PARTITION && exec->stage->suffix == NULL &&
			exec->stage->recursion == NULL)
			streaming_touch_group(exec, exec->pending[i].hash);
	}
	ExecClearTuple(edge->waiting);
	if (edge->table)
		streaming_state_settle(edge->table);
}

/* ---- What has come is merged ---- */

/* When the row in exec->input goes, into the row that is to be written. */
static void
set_closes(StreamingStageExec *exec, TupleTableSlot *row)
{
	StreamingEdgeExec *edge = exec->current;
	AttrNumber	attno = edge->edge->closes_attno;

	if (edge->closes == NULL)
		return;
	exec->econtext->ecxt_scantuple = exec->input;
	row->tts_values[attno - 1] = ExecEvalExpr(edge->closes, exec->econtext,
											  &row->tts_isnull[attno - 1]);
}

void
streaming_merge_edge(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;
	MemoryContext old = CurrentMemoryContext;

	if (edge->edge->weighted)
		streaming_state_expect(edge->table, exec->lookups);
	if (edge->forms_rows)
	{
		keep_formed(exec);
		return;
	}
	for (int i = 0; i < exec->npending; i++)
	{
		int64		weight = edge->edge->weighted ? exec->weights[i] : 1;
		int64		group;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->input, false);
		slot_getallattrs(exec->input);
		group = edge->edge->weighted ? partition_of(edge, exec->input) : exec->pending[i].hash;
		set_closes(exec, edge->table->row);
		streaming_keep_row(edge, exec->pending[i].hash, exec->input->tts_values,
						   exec->input->tts_isnull, weight, group);
		if (exec->stage->suffix)
			streaming_touch_row(exec, exec->input->tts_values, exec->input->tts_isnull, group);
		else if (exec->stage->kind == STREAMING_STAGE_PARTITION && exec->stage->recursion == NULL)
			streaming_touch_group(exec, group);
		MemoryContextSwitchTo(old);
	}
	streaming_state_settle(edge->table);	/* and the next may be of the same rows */
}

/* ---- Plans ---- */

void
streaming_replan(StreamingStageExec *exec, StreamingStatement *statement)
{
	BlockNumber nblocks = exec->table ? RelationGetNumberOfBlocks(exec->table->rel) : 0;
	int64		lookups = exec->current && exec->current->rows ? exec->current->rows->nrows : 1;

	for (int i = 0; i < exec->stage->nedges; i++)
	{
		StreamingStateTable *table = exec->edges[i].table;

		if (table == NULL)
			continue;
		streaming_state_ready(table, lookups);
		nblocks += RelationGetNumberOfBlocks(table->rel);
	}
	if (exec->table)
		streaming_state_ready(exec->table, lookups);
	if (nblocks < statement->planned_blocks * 2 + FEW_BLOCKS)
		return;
	streaming_statement_free(statement);
	statement->planned_blocks = nblocks;
}

/* ---- Join ---- */

void
streaming_join_add_weighted(StreamingStageExec *exec, TupleTableSlot *slot, int64 weight)
{
	StreamingEdgeExec *edge = exec->current;
	int			n = edge->edge->ncolumns;
	int64		group = partition_of(edge, slot);
	Datum	   *values = edge->values;
	bool	   *isnull = edge->isnull;

	if (!may_meet(exec, group))
		return;
	memcpy(values, slot->tts_values, sizeof(Datum) * n);
	memcpy(isnull, slot->tts_isnull, sizeof(bool) * n);
	values[n] = Int64GetDatum(weight);
	values[n + 1] = Int64GetDatum(group);
	isnull[n] = isnull[n + 1] = false;
	tuplestore_putvalues(edge->rows->store, edge->rows_desc, values, isnull);
	edge->rows->nrows++;
	if (weight < 0)
		edge->rows->nleaving++;
}

typedef struct JoinReceiver
{
	DestReceiver pub;
	StreamingStageExec *exec;
	int64		nrows;
} JoinReceiver;

static bool
receive_joined(TupleTableSlot *slot, DestReceiver *self)
{
	JoinReceiver *receiver = (JoinReceiver *) self;
	StreamingStageExec *exec = receiver->exec;

	if (++receiver->nrows % 65536 == 0 && !PostmasterIsAlive())
		proc_exit(1);
	slot_getallattrs(slot);
	if (exec->stage->recursion)
		streaming_recursion_derive(exec, slot);
	else
		streaming_emit_weighted(exec, DatumGetInt64(slot->tts_values[exec->stage->noutputs]),
								slot->tts_values, slot->tts_isnull);
	return true;
}

static void
joined_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	StreamingStage *stage = ((JoinReceiver *) self)->exec->stage;
	List	   *types = NIL;

	for (int i = 0; i < stage->noutputs; i++)
		types = lappend_oid(types, stage->outputs[i].type);
	streaming_check_types(desc, lappend_oid(types, INT8OID));
}

static void
joined_noop(DestReceiver *self)
{
}

void
streaming_join_add(StreamingStageExec *exec, TupleTableSlot *slot)
{
	StreamingEdgeExec *edge = exec->current;

	/* those that are weighed come when all have been */
	if (edge->rows == NULL || (edge->waits && edge->weighed))
		return;
	slot_getallattrs(slot);
	streaming_join_add_weighted(exec, slot, !edge->edge->weighted ? 1 :
								DatumGetInt64(slot->tts_values[slot->tts_tupleDescriptor->natts - 1]));
}

void
streaming_join_begin(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	edge->rows = NULL;
	edge->joined = false;
	if (edge->join.sql == NULL && edge->first_match.sql == NULL)
		return;
	/* what the rows derive is not asked where the whole is computed anew */
	if (exec->stage->recursion && (exec->first || exec->recomputes))
		return;
	edge->waits = edge->first_match.sql != NULL || (exec->stage->recursion && edge->weighed);
	edge->rows = palloc0(sizeof(StreamingDelta));
	edge->rows->name = pstrdup("$edge");
	edge->rows->desc = edge->rows_desc;
	edge->rows->store = tuplestore_begin_heap(false, false, work_mem);
	edge->values = palloc(sizeof(Datum) * edge->rows_desc->natts);
	edge->isnull = palloc(sizeof(bool) * edge->rows_desc->natts);
}

static void
join_rows(StreamingStageExec *exec, StreamingStatement *statement)
{
	JoinReceiver receiver = {{receive_joined, joined_startup, joined_noop, joined_noop, DestNone},
	exec, 0};

	if (statement->sql == NULL)
		return;
	streaming_replan(exec, statement);
	streaming_statement_run(statement, exec->current->rows, NULL, false, (DestReceiver *) &receiver);
}

void
streaming_join_run(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	if (edge->rows == NULL)
		return;
	edge->joined = true;
	if (edge->waits && edge->weighed)
		streaming_match_weigh(exec);
	exec->recomputes |= exec->stage->recursion && edge->rows->nleaving > 0;
	if (edge->rows->nrows > 0 && !exec->recomputes)
	{
		CommandCounterIncrement();
		streaming_stop_point("edge_joining");
		join_rows(exec, &edge->join);
		join_rows(exec, &edge->first_match);
	}
	edge->waits = false;
}

void
streaming_join_end(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;

	if (edge->rows == NULL)
		return;
	if (edge->rows->nleaving > 0 && edge->last_match.sql)
	{
		CommandCounterIncrement();
		streaming_stop_point("edge_matched");
		join_rows(exec, &edge->last_match);
	}
	tuplestore_end(edge->rows->store);
	edge->rows = NULL;
}

void
streaming_join_unmatched(StreamingStageExec *exec, StreamingEdgeExec *edge, TimestampTz upto)
{
	JoinReceiver receiver = {{receive_joined, joined_startup, joined_noop, joined_noop, DestNone},
	exec, 0};
	Datum		times[2] = {TimestampTzGetDatum(exec->watermark), TimestampTzGetDatum(upto)};

	if (exec->watermark >= upto)
		return;
	streaming_replan(exec, &edge->unmatched);
	streaming_statement_run(&edge->unmatched, NULL, times, false, (DestReceiver *) &receiver);
}
