/*
 * stage.c
 *		Runs one stage of a program: its statement, and what becomes of the rows.
 *
 * Rows of the statement arrive one by one through a DestReceiver.  Those of a
 * stage without state are passed on at once.  Others wait until a chunk is
 * full, are sorted by the hash of their key and merged, so that the state
 * table's pages are visited in order; memory is bounded by the chunk.  Rows that
 * arrive in that order already (exec/hash_order.c) need not wait for long.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "exec/late.h"
#include "exec/stage.h"
#include "query/key_index.h"
#include "streaming.h"

#define CHECK_POSTMASTER_ROWS	65536

/* Rows of a table that is loaded after which it is told how many there have been. */
#define SHOWN_ROWS				1024

/*
 * So many groups do not fit into the processor's own caches.  With more rows to a
 * group, fewer groups are compared with the rows, which are ordered one by one.
 */
#define MANY_GROUPS				50000
#define ROWS_OF_MANY_GROUPS		10

/* Rows that are merged at once where they arrive in the order of their hashes. */
#define ORDERED_ROWS	1000

typedef struct StageReceiver
{
	DestReceiver pub;
	StreamingStageExec *exec;
	int64		nrows;
} StageReceiver;

static List *statement_types(StreamingStage *stage, StreamingEdge *edge);

/* (keys, aggregates' results): what outputs and HAVING are computed from. */
static TupleDesc
values_desc(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->nkeys + stage->naggs);

	for (int i = 0; i < stage->nkeys; i++)
	{
		TupleDescInitEntry(desc, i + 1, NULL, stage->keys[i].type, stage->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, stage->keys[i].collation);
	}
	for (int i = 0; i < stage->naggs; i++)
	{
		Aggref	   *aggref = stage->aggs[i].aggref;

		TupleDescInitEntry(desc, stage->nkeys + i + 1, NULL, aggref->aggtype, -1, 0);
		TupleDescInitEntryCollation(desc, stage->nkeys + i + 1, aggref->aggcollid);
	}
	TupleDescFinalize(desc);
	return desc;
}

static TupleDesc
outputs_desc(StreamingStage *stage, bool with_sign)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->noutputs + (with_sign ? 1 : 0));

	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];

		TupleDescInitEntry(desc, i + 1, output->column, output->type, output->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, output->collation);
	}
	if (with_sign)
		TupleDescInitEntry(desc, stage->noutputs + 1, "$sign", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

static void
open_results(StreamingStageExec *exec)
{
	StreamingStage *stage = exec->stage;
	List	   *exprs = (List *) expression_planner((Expr *) copyObject(stage->output_exprs));
	TupleTableSlot *outputs = MakeSingleTupleTableSlot(outputs_desc(stage, false),
													   &TTSOpsVirtual);

	exec->values = MakeSingleTupleTableSlot(values_desc(stage), &TTSOpsVirtual);
	exec->projection = ExecBuildProjectionInfo(exprs, exec->econtext, outputs, NULL,
											   exec->values->tts_tupleDescriptor);
	if (stage->having)
		exec->having = ExecInitQual(make_ands_implicit(expression_planner(copyObject(stage->having))),
									NULL);
	if (stage->closes)
		exec->closes = ExecInitExpr(expression_planner(copyObject(stage->closes)), NULL);
}

/*
 * Rows that one input takes back another may bring again: those of all are weighed.  Of
 * groups with several inputs all wait, so that each is merged once.
 */
static void
weigh_edges(StreamingStageExec *exec, StreamingGroupKey *key)
{
	bool		waits = exec->stage->kind == STREAMING_STAGE_COMBINE && exec->stage->nedges > 1;

	for (int i = 0; i < exec->stage->nedges; i++)
		waits |= exec->stage->kind != STREAMING_STAGE_COMBINE && exec->stage->edges[i].is_signed;
	for (int i = 0; waits && i < exec->stage->nedges; i++)
		exec->edges[i].weighed = key;
}

StreamingStageExec *
streaming_stage_open(Oid view, StreamingStage *stage)
{
	StreamingStageExec *exec = palloc0(sizeof(StreamingStageExec));

	exec->stage = stage;
	exec->edges = palloc0(sizeof(StreamingEdgeExec) * stage->nedges);
	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingEdgeExec *edge = &exec->edges[i];

		streaming_edge_open(edge, view, stage, &stage->edges[i]);
		if ((stage->kind == STREAMING_STAGE_COMBINE || stage->kind == STREAMING_STAGE_SESSION) &&
			stage->naggs > 0 && !stage->edges[i].by_panes)
			edge->statement.cursor_options = edge->initial.cursor_options =
				STREAMING_CURSOR_OPT_PARTIAL;
		edge->statement.parallel = stage->kind == STREAMING_STAGE_COMBINE && stage->naggs > 0;
	}
	exec->delta_desc = outputs_desc(stage, true);
	/* sessions are looked up by their time, too */
	if (stage->table)
		exec->kept = streaming_state_keep(view, stage->table, stage->hash_attno != 0 &&
										  stage->kind != STREAMING_STAGE_SESSION);
	if (stage->kind == STREAMING_STAGE_PARTITION &&
		(!stage->whole || stage->suffix || (stage->recursion && stage->recursion->nkeys > 0)))
		exec->kept->group_attno = stage->group_attno;
	if (streaming_maps_result(stage))
		streaming_state_map_groups(exec->kept, stage->group_attno);
	if (stage->suffix)
		exec->edges[0].kept->group_attno = STREAMING_EDGE_GROUP(&stage->edges[0]);
	if (stage->bag_table)
	{
		exec->bag_kept = streaming_state_keep(view, stage->bag_table, true);
		exec->bag_kept->group_attno = STREAMING_BAG_GROUP(stage);
	}
	if (stage->result_table)
	{
		exec->result_kept = streaming_state_keep(view, stage->result_table, false);
		exec->key_index = streaming_key_index_ddl(stage);
	}
	if (stage->kind == STREAMING_STAGE_APPEND)
		return exec;

	exec->econtext = CreateStandaloneExprContext();
	if (stage->kind == STREAMING_STAGE_PARTITION)
		streaming_partition_open(exec);
	if (stage->kind == STREAMING_STAGE_PARTITION || stage->kind == STREAMING_STAGE_JOIN)
		return exec;
	exec->group_key = streaming_group_key(stage->keys, stage->nkeys -
										  (stage->kind == STREAMING_STAGE_SESSION ? 1 : 0), NULL, 0);
	exec->aggs = streaming_aggregate_ops(stage->aggs, stage->naggs, exec->econtext);
	if (stage->kind != STREAMING_STAGE_MULTISET)
		open_results(exec);
	if (stage->kind == STREAMING_STAGE_RECOMPUTE)
	{
		static Oid	param_types[1] = {INT8ARRAYOID};

		exec->row_key = streaming_group_key(stage->keys, stage->nkeys,
											stage->args, stage->nargs);
		exec->recompute.sql = streaming_recompute_statement(stage);
		exec->recompute.nparams = 1;
		exec->recompute.param_types = param_types;
		for (int i = 0; i < stage->nkeys; i++)
			exec->result_types = lappend_oid(exec->result_types, stage->keys[i].type);
		for (int i = 0; i < stage->naggs; i++)
			exec->result_types = lappend_oid(exec->result_types, stage->aggs[i].statetype);
	}
	if (stage->ordered)
		exec->owner_key = streaming_group_key(stage->keys, stage->nowner_keys, NULL, 0);
	if (stage->kind != STREAMING_STAGE_SESSION)
		weigh_edges(exec, exec->row_key ? exec->row_key : exec->group_key);
	return exec;
}

void
streaming_stage_close(StreamingStageExec *exec)
{
	for (int i = 0; i < exec->stage->nedges; i++)
		streaming_edge_close(&exec->edges[i]);
	streaming_statement_free(&exec->recompute);
	streaming_statement_free(&exec->stored);
	streaming_statement_free(&exec->prune);
	streaming_statement_free(&exec->step);
	streaming_statement_free(&exec->first_load);
	streaming_statement_free(&exec->same_hash);
	if (exec->econtext)
		FreeExprContext(exec->econtext, false);
}

StreamingDelta *
streaming_delta_make(StreamingStageExec *exec, const char *name)
{
	StreamingDelta *delta = palloc0(sizeof(StreamingDelta));

	delta->name = pstrdup(name);
	delta->desc = exec->delta_desc;
	delta->store = tuplestore_begin_heap(false, false, work_mem);
	return delta;
}

void
streaming_emit(StreamingStageExec *exec, StreamingDelta *delta, int64 sign,
			   Datum *outputs, bool *isnull)
{
	int			n = exec->stage->noutputs;
	Datum		values[MaxTupleAttributeNumber];
	bool		nulls[MaxTupleAttributeNumber];

	if (delta == NULL)
		return;
	memcpy(values, outputs, sizeof(Datum) * n);
	memcpy(nulls, isnull, sizeof(bool) * n);
	values[n] = Int64GetDatum(sign);
	nulls[n] = false;
	tuplestore_putvalues(delta->store, delta->desc, values, nulls);
	delta->nrows++;
	if (sign < 0)
		delta->nleaving++;
}

/*
 * Between stages that take rows back a row has any weight.  Others, and what is
 * handed to sinks and to other views, has each row by itself.
 */
void
streaming_emit_weighted(StreamingStageExec *exec, int64 weight, Datum *outputs, bool *isnull)
{
	bool		by_itself = exec->stage->last || exec->stage->only_appears;
	int			sign = weight > 0 ? 1 : -1;

	exec->output_rows += weight * sign;
	if (!by_itself)
		streaming_emit(exec, exec->changes, weight, outputs, isnull);
	for (int64 i = 0; (exec->changes || exec->writes) && by_itself && i < weight * sign; i++)
	{
		CHECK_FOR_INTERRUPTS();
		streaming_emit(exec, exec->changes, sign, outputs, isnull);
		streaming_emit(exec, exec->writes, sign, outputs, isnull);
	}
}

/* A row of a stage without state: it is the output. */
static void
append_row(StreamingStageExec *exec, TupleTableSlot *slot)
{
	if (!exec->stage->only_appears)
	{
		Datum		weight;

		slot_getallattrs(slot);
		weight = exec->current->edge->is_signed ? slot->tts_values[exec->stage->noutputs] :
			Int64GetDatum(1);
		if (DatumGetInt64(weight) != 0)
			streaming_emit_weighted(exec, DatumGetInt64(weight), slot->tts_values, slot->tts_isnull);
		return;
	}
	exec->output_rows++;
	if (exec->table)
		streaming_state_insert(exec->table, slot);
	if (exec->takes)
		exec->takes->routine->take(exec->takes, slot);
	if (exec->changes == NULL && exec->writes == NULL)
		return;
	slot_getallattrs(slot);
	streaming_emit(exec, exec->changes, 1, slot->tts_values, slot->tts_isnull);
	streaming_emit(exec, exec->writes, 1, slot->tts_values, slot->tts_isnull);
}

static void
merge_rows(StreamingStageExec *exec)
{
	if (streaming_keeps_rows(exec->current->edge))
		streaming_merge_edge(exec);
	else if (exec->stage->kind == STREAMING_STAGE_RECOMPUTE)
		streaming_merge_bag(exec);
	else
		streaming_merge_pending(exec);
}

static void
merge_chunk(StreamingStageExec *exec)
{
	instr_time	start;
	instr_time	end;

	if (exec->npending == 0)
		return;
	if (!PostmasterIsAlive())
		proc_exit(1);
	INSTR_TIME_SET_CURRENT(start);
	if (!exec->in_order)
		streaming_sort_hashed(exec->pending, exec->npending);
	if (exec->stage->kind == STREAMING_STAGE_RECOMPUTE)
		streaming_collapse_pending(exec, exec->row_key, exec->current->edge->weighted);
	else if (exec->stage->kind == STREAMING_STAGE_MULTISET)
		streaming_collapse_pending(exec, exec->group_key, exec->current->edge->weighted);
	exec->lookups = exec->npending;
	streaming_join_add_formed(exec);
	merge_rows(exec);
	exec->npending = 0;
	exec->keeps_order = exec->in_order;
	exec->in_order = true;
	MemoryContextReset(exec->pending_context);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(exec->merge_time, end, start);
}

/* Rows with weights: all have come. */
static void
merge_weighed(StreamingStageExec *exec)
{
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	while (streaming_weigh_next(exec))
	{
		if (!PostmasterIsAlive())
			proc_exit(1);
		merge_rows(exec);
	}
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(exec->merge_time, end, start);
}

/* Records that change rows: all have come. */
static void
merge_upserts(StreamingStageExec *exec)
{
	instr_time	start;
	instr_time	end;

	if (exec->fold == NULL)
		return;
	INSTR_TIME_SET_CURRENT(start);
	streaming_upsert_merge(exec);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(exec->merge_time, end, start);
}

static bool
chunk_is_full(StreamingStageExec *exec)
{
	if (exec->in_order && exec->npending >= ORDERED_ROWS)
		return true;
	return MemoryContextMemAllocated(exec->pending_context, false) +
		exec->npending * sizeof(StreamingHashed) > (Size) streaming_work_mem * 1024L / 2;
}

/*
 * Nothing can be written while parallel workers run, nor kept before the first matches are
 * known: rows wait for the end of the statement.
 */
static bool
must_wait(StreamingStageExec *exec)
{
	return IsInParallelMode() || exec->current->waits;
}

static bool
waits(StreamingStageExec *exec)
{
	return must_wait(exec) && chunk_is_full(exec);
}

static void
add_waiting(StreamingStageExec *exec, TupleTableSlot *slot)
{
	if (exec->waiting == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

		exec->waiting = tuplestore_begin_heap(false, false, work_mem);
		MemoryContextSwitchTo(old);
	}
	tuplestore_puttupleslot(exec->waiting, slot);
}

void
streaming_add_held(StreamingStageExec *exec, int64 hash, MinimalTuple tuple)
{
	StreamingHashed *row;

	if (exec->npending == exec->max_pending)
	{
		exec->max_pending = exec->max_pending ? exec->max_pending * 2 : 1024;
		exec->pending = exec->pending == NULL ?
			MemoryContextAllocHuge(exec->batch_context,
								   sizeof(StreamingHashed) * exec->max_pending) :
			repalloc_huge(exec->pending, sizeof(StreamingHashed) * exec->max_pending);
	}
	row = &exec->pending[exec->npending++];
	row->hash = hash;
	row->tuple = tuple;
}

void
streaming_add_pending(StreamingStageExec *exec, int64 hash, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(exec->pending_context);
	MinimalTuple tuple = ExecCopySlotMinimalTuple(slot);

	MemoryContextSwitchTo(old);
	streaming_add_held(exec, hash, tuple);
}

/* A row of a stage with state waits for its chunk. */
static void
add_pending(StreamingStageExec *exec, TupleTableSlot *slot)
{
	StreamingGroupKey *key = exec->row_key ? exec->row_key : exec->group_key;
	int64		hash;

	slot_getallattrs(slot);
	hash = streaming_keeps_rows(exec->current->edge) ? streaming_edge_hash(exec->current, slot) :
		streaming_group_hash(key, slot->tts_values, slot->tts_isnull);
	if (exec->current->forms_rows)
		slot = streaming_edge_form(exec->current, slot, hash);
	if (exec->npending > 0 && hash < exec->pending[exec->npending - 1].hash)
	{
		if (exec->keeps_order && !must_wait(exec))
			merge_chunk(exec);	/* another run of rows in order begins */
		else
			exec->in_order = false;
	}
	streaming_add_pending(exec, hash, slot);
	if (chunk_is_full(exec) && !must_wait(exec))
		merge_chunk(exec);
}

/* Those of the rows so far that matter are merged. */
static void
merge_top(StreamingStageExec *exec)
{
	streaming_top_take(exec);
	exec->in_order = false;
	merge_chunk(exec);
	streaming_top_reset(exec);
}

/* A row of which it is not known yet whether it matters. */
static void
add_top(StreamingStageExec *exec, TupleTableSlot *slot)
{
	bool		full = streaming_top_is_full(exec);

	exec->brings_behind |= full;
	if (full && must_wait(exec))
	{
		add_waiting(exec, slot);
		return;
	}
	if (full)
		merge_top(exec);
	streaming_top_add(exec, slot);
}

/* The statement has ended. */
static void
merge_waiting(StreamingStageExec *exec)
{
	TupleTableSlot *slot;

	if (exec->waiting == NULL)
		return;
	merge_chunk(exec);
	slot = MakeSingleTupleTableSlot(exec->input->tts_tupleDescriptor, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(exec->waiting, true, false, slot))
		add_pending(exec, slot);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(exec->waiting);
	exec->waiting = NULL;
}

/* Is what comes to an input joined with what is kept? */
static bool
joins_rows(StreamingStage *stage)
{
	return stage->kind == STREAMING_STAGE_JOIN || stage->recursion;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	StageReceiver *receiver = (StageReceiver *) self;

	if (++receiver->nrows % CHECK_POSTMASTER_ROWS == 0 && !PostmasterIsAlive())
		proc_exit(1);
	if (unlikely(receiver->exec->current->loaded != NULL) && receiver->nrows % SHOWN_ROWS == 0)
		pg_atomic_write_u64(receiver->exec->current->loaded, receiver->nrows);
	if (joins_rows(receiver->exec->stage) &&
		(!receiver->exec->current->forms_rows || waits(receiver->exec)))
		streaming_join_add(receiver->exec, slot);
	if (receiver->exec->stage->table_keys)
		streaming_table_join_add(receiver->exec, slot);
	if (receiver->exec->stage->kind == STREAMING_STAGE_APPEND)
		append_row(receiver->exec, slot);
	else if (receiver->exec->stage->kind == STREAMING_STAGE_SESSION)
		streaming_session_add(receiver->exec, slot);
	else if (receiver->exec->stage->kind == STREAMING_STAGE_UPSERT)
		streaming_upsert_add(receiver->exec, slot);
	else if (receiver->exec->current->weighed)
		streaming_weigh(receiver->exec, receiver->exec->current->weighed, slot,
						receiver->exec->current->edge->weighted);
	else if (receiver->exec->current->top)
		add_top(receiver->exec, slot);
	else if (waits(receiver->exec))
		add_waiting(receiver->exec, slot);
	else
		add_pending(receiver->exec, slot);
	return true;
}

/* The types of the columns that the statement of a stage is to hand out. */
static List *
statement_types(StreamingStage *stage, StreamingEdge *edge)
{
	List	   *types = NIL;

	for (int i = 0; stage->kind == STREAMING_STAGE_APPEND && i < stage->noutputs; i++)
		types = lappend_oid(types, stage->outputs[i].type);
	for (int i = 0; i < stage->nkeys; i++)
		types = lappend_oid(types, stage->keys[i].type);
	switch (stage->kind)
	{
		case STREAMING_STAGE_APPEND:
			if (edge->is_signed)
				types = lappend_oid(types, INT8OID);
			break;
		case STREAMING_STAGE_PARTITION:
		case STREAMING_STAGE_JOIN:
			break;
		case STREAMING_STAGE_SESSION:
			llast_oid(types) = TIMESTAMPTZOID;	/* in the place of the session */
			pg_fallthrough;
		case STREAMING_STAGE_COMBINE:
			for (int i = 0; i < stage->naggs; i++)
				types = lappend_oid(types, stage->aggs[i].statetype);
			break;
		case STREAMING_STAGE_UPSERT:
			for (int i = 0; i < stage->naggs; i++)
				types = lappend_oid(types, stage->aggs[i].statetype);
			types = lappend_oid(types, TIDOID);
			break;
		case STREAMING_STAGE_RECOMPUTE:
			for (int i = 0; i < stage->nargs; i++)
				types = lappend_oid(types, stage->args[i].type);
			pg_fallthrough;
		case STREAMING_STAGE_MULTISET:
			if (edge->weighted)
				types = lappend_oid(types, INT8OID);	/* how often */
			break;
	}
	return types;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	StreamingStageExec *exec = ((StageReceiver *) self)->exec;
	StreamingEdge *edge = exec->current->edge;

	streaming_check_types(desc, streaming_keeps_rows(edge) ? exec->current->types :
						  statement_types(exec->stage, edge));
	if (exec->stage->kind != STREAMING_STAGE_APPEND)
		streaming_make_input(exec, desc);
}

/* The statement's memory goes before the last rows are merged. */
void
streaming_make_input(StreamingStageExec *exec, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

	desc = CreateTupleDescCopy(desc);
	streaming_drop_input(exec);
	exec->input = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	exec->other = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
}

void
streaming_drop_input(StreamingStageExec *exec)
{
	TupleDesc	desc = exec->input ? exec->input->tts_tupleDescriptor : NULL;

	if (exec->input)
		ExecDropSingleTupleTableSlot(exec->input);
	if (exec->other)
		ExecDropSingleTupleTableSlot(exec->other);
	exec->input = exec->other = NULL;
	/* The rounds of a recursion are many. */
	if (desc)
		FreeTupleDesc(desc);
}

static void
receiver_noop(DestReceiver *self)
{
}

/* Runs the statement of an input; what comes of it waits, or is handed on. */
static void
run_edge(StreamingStageExec *exec, StreamingEdgeExec *edge, StreamingDelta **deltas)
{
	StageReceiver receiver = {{receive_row, receiver_startup, receiver_noop,
	receiver_noop, DestNone}, exec, 0};
	StreamingDelta *input = edge->edge->stage ? deltas[edge->edge->stage - 1] : NULL;

	exec->current = edge;
	if (joins_rows(exec->stage))
		streaming_join_begin(exec);
	if (edge->top)
		streaming_top_begin(exec);
	if (streaming_keeps_rows(edge->edge))
		streaming_edge_begin(exec);
	edge->statement.size = edge->initial.size = edge->input_size;
	streaming_statement_run(edge->initial_load ? &edge->initial : &edge->statement, input, NULL,
							true, (DestReceiver *) &receiver);
	exec->ngroups = receiver.nrows;
	if (input)
		streaming_stage_expect(exec, input->nrows, exec->ngroups);
	if (joins_rows(exec->stage))
	{
		if (edge->forms_rows && !exec->in_order)
			streaming_sort_hashed(exec->pending, exec->npending);
		streaming_join_add_formed(exec);
		streaming_join_run(exec);
	}
	if (edge->top)
		merge_top(exec);
	merge_waiting(exec);
	merge_chunk(exec);
	if (streaming_keeps_rows(edge->edge))
	{
		merge_weighed(exec);
		streaming_edge_end(exec);
	}
	if (joins_rows(exec->stage))
	{
		streaming_match_keep(exec);
		streaming_join_end(exec);
	}
	streaming_late_next(!edge->edge->again);
	edge->initial_load = false;
	edge->ran = true;
}

void
streaming_stage_begin(StreamingStageExec *exec)
{
	StreamingStage *stage = exec->stage;

	exec->batch_context = CurrentMemoryContext;
	exec->pending_context = AllocSetContextCreate(CurrentMemoryContext,
												  "streaming pending rows",
												  ALLOCSET_DEFAULT_SIZES);
	exec->pending = NULL;
	exec->npending = exec->max_pending = 0;
	exec->in_order = true;
	exec->keeps_order = false;
	exec->waiting = NULL;
	exec->input = exec->other = NULL;
	exec->weights = NULL;
	exec->max_weights = 0;
	exec->weighing = NULL;
	exec->touched = NULL;
	exec->derived = NULL;
	exec->fresh = NULL;
	exec->recomputes = false;
	exec->brings_behind = false;
	exec->touched_rows = exec->touched_keys = NULL;
	exec->unweighed = NULL;
	exec->output_rows = exec->rows_added = exec->unknown_keys = 0;
	INSTR_TIME_SET_ZERO(exec->merge_time);
	exec->result = NULL;
	exec->values_kept = NULL;
	exec->sessions = NULL;
	exec->fold = NULL;
	exec->table = stage->table ?
		streaming_state_open(stage->table, stage->table_desc, stage->hash_attno,
							 exec->kept) : NULL;
	exec->bag = stage->bag_table ?
		streaming_state_open(stage->bag_table, stage->bag_desc, STREAMING_BAG_HASH(stage),
							 exec->bag_kept) : NULL;
	for (int i = 0; i < stage->nedges; i++)
	{
		exec->edges[i].table = stage->edges[i].table ? streaming_edge_table(&exec->edges[i]) : NULL;
		exec->edges[i].rows = NULL;
		exec->edges[i].ran = false;
	}
}

bool
streaming_stage_run(StreamingStageExec *exec, StreamingDelta **deltas)
{
	StreamingStage *stage = exec->stage;
	bool		waits = false;

	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingEdgeExec *edge = &exec->edges[i];

		if (!edge->ran && (edge->edge->stage == 0 || deltas[edge->edge->stage - 1]))
		{
			run_edge(exec, edge, deltas);
			if (edge->table)
				streaming_stop_point("edge_kept");
		}
		waits |= !edge->ran;
	}
	if (waits)
		return false;
	merge_weighed(exec);
	merge_upserts(exec);
	if (exec->sessions)
		streaming_session_merge(exec);
	if (exec->bag)
	{
		streaming_stage_close_table(exec, exec->bag);
		exec->bag = NULL;
		streaming_recompute_touched(exec);
	}
	if (stage->table_keys)
		streaming_table_join_compute(exec);
	else if (stage->kind == STREAMING_STAGE_PARTITION)
		streaming_compute_touched(exec);
	if (stage->keeps_values)
		streaming_stop_point("values_kept");
	return true;
}

void
streaming_stage_expect(StreamingStageExec *exec, int64 rows, int64 groups)
{
	if (rows < MANY_GROUPS)
		return;
	exec->edges[0].statement.many_groups = exec->stage->kind == STREAMING_STAGE_COMBINE &&
		exec->stage->grouped && !exec->stage->edges[0].by_panes && groups >= MANY_GROUPS &&
		rows / groups < ROWS_OF_MANY_GROUPS;
}

void
streaming_stage_finish(StreamingStageExec *exec, TimestampTz from, TimestampTz upto)
{
	if (exec->stage->closes && from < upto)
		streaming_close_groups(exec, from, upto);
	if (exec->stage->evicts_rows && from < upto)
		streaming_close_edges(exec, from, upto);
	streaming_extreme_end(exec);
	if (exec->table)
		streaming_stage_close_table(exec, exec->table);
	for (int i = 0; i < exec->stage->nedges; i++)
	{
		if (exec->edges[i].table)
			streaming_stage_close_table(exec, exec->edges[i].table);
		exec->edges[i].table = NULL;
	}
	streaming_drop_input(exec);
	MemoryContextDelete(exec->pending_context);
}

void
streaming_stage_close_table(StreamingStageExec *exec, StreamingStateTable *table)
{
	streaming_state_close(table);
	exec->rows_added += table->rows_added;
}

void
streaming_stage_vacuum(StreamingStageExec *exec)
{
	if (exec->kept)
		streaming_state_vacuum(exec->kept);
	if (exec->bag_kept)
		streaming_state_vacuum(exec->bag_kept);
	for (int i = 0; i < exec->stage->nedges; i++)
	{
		if (exec->edges[i].kept)
			streaming_state_vacuum(exec->edges[i].kept);
	}
}
