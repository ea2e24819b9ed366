/*
 * recursion.c
 *		WITH RECURSIVE that new rows are added to.
 *
 *	rows of the batch ──▶ kept rows of each input
 *			└─▶ "Join <n>": what they derive ──▶ weighed ─▶ table: those that are new ─┐
 *														▲							   │
 *														└────── "Step": what these ◀───┘
 *																derive in turn
 *
 * That is semi-naive evaluation.  Of UNION a derived row is new if the table has none that
 * is equal; so a cycle ends where it began.  Of UNION ALL each derivation counts, and a
 * recursion that has no end has none here either: it goes on until it is cancelled, as a
 * query would.  Rows that are new, and those derived, wait in tuplestores and sorts, which
 * have files beyond what memory they may have; all others are in tables.
 *
 * A row that disappears may have been derived in other ways, too.  So a batch that takes
 * anything back computes the whole anew and hands up the difference to what it was
 * (partition.c), and so does the first one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

#include "exec/stage.h"
#include "streaming.h"

/* Derived rows after which the postmaster is looked for. */
#define CHECK_POSTMASTER_ROWS	65536

typedef struct StepReceiver
{
	DestReceiver pub;
	StreamingStageExec *exec;
	int64		nrows;
} StepReceiver;

/* Rows that are new, as the recursive term reads them: columns, how often, hash. */
static TupleDesc
fresh_desc(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->noutputs + 2);

	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];

		TupleDescInitEntry(desc, i + 1, psprintf("c%d", i + 1), output->type, output->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, output->collation);
	}
	TupleDescInitEntry(desc, stage->noutputs + 1, "$count", INT8OID, -1, 0);
	TupleDescInitEntry(desc, stage->noutputs + 2, "$group", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/* Rows that are weighed: hash, columns, how often. */
static TupleDesc
weighed_desc(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->noutputs + 2);

	TupleDescInitEntry(desc, 1, "$group", INT8OID, -1, 0);
	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];

		TupleDescInitEntry(desc, i + 2, psprintf("c%d", i + 1), output->type, output->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 2, output->collation);
	}
	TupleDescInitEntry(desc, stage->noutputs + 2, "$count", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

void
streaming_recursion_open(StreamingStageExec *exec)
{
	StreamingStage *stage = exec->stage;
	StreamingRecursion *recursion = stage->recursion;

	exec->step.sql = streaming_recursion_sql(stage, recursion->step_sql, true);
	for (int i = 0; i < stage->nedges; i++)
		exec->edges[i].join.sql = streaming_recursion_sql(stage, stage->edges[i].join_sql, false);
	exec->meeting = streaming_group_key(recursion->keys, recursion->nkeys, NULL, 0);
	exec->fresh_desc = fresh_desc(stage);
	exec->weighed = MakeSingleTupleTableSlot(weighed_desc(stage), &TTSOpsVirtual);
}

/* ---- Rows ---- */

/* The hash of what the row meets those of inputs by. */
static int64
group_of(StreamingStageExec *exec, Datum *outputs, bool *isnull)
{
	StreamingRecursion *recursion = exec->stage->recursion;
	Datum		values[MaxTupleAttributeNumber];
	bool		nulls[MaxTupleAttributeNumber];

	for (int i = 0; i < recursion->nkeys; i++)
	{
		values[i] = outputs[recursion->columns[i]];
		nulls[i] = isnull[recursion->columns[i]];
	}
	return streaming_group_hash(exec->meeting, values, nulls);
}

void
streaming_recursion_weigh(StreamingStageExec *exec, Datum *outputs, bool *isnull, int64 weight)
{
	int			n = exec->stage->noutputs;
	TupleTableSlot *slot = exec->weighed;

	ExecClearTuple(slot);
	slot->tts_values[0] = Int64GetDatum(group_of(exec, outputs, isnull));
	slot->tts_isnull[0] = false;
	memcpy(slot->tts_values + 1, outputs, sizeof(Datum) * n);
	memcpy(slot->tts_isnull + 1, isnull, sizeof(bool) * n);
	slot->tts_values[n + 1] = Int64GetDatum(weight);
	slot->tts_isnull[n + 1] = false;
	ExecStoreVirtualTuple(slot);
	streaming_weigh(exec, exec->row_key, slot, true);
}

void
streaming_recursion_derive(StreamingStageExec *exec, TupleTableSlot *slot)
{
	if (exec->derived == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

		exec->derived = tuplestore_begin_heap(false, false, work_mem);
		MemoryContextSwitchTo(old);
	}
	tuplestore_puttupleslot(exec->derived, slot);
}

void
streaming_recursion_add(StreamingStageExec *exec, Datum *values, bool *isnull, int64 weight)
{
	int			n = exec->stage->noutputs;
	Datum		row[MaxTupleAttributeNumber];
	bool		nulls[MaxTupleAttributeNumber];

	memcpy(row, values + 1, sizeof(Datum) * n);
	memcpy(nulls, isnull + 1, sizeof(bool) * n);
	row[n] = Int64GetDatum(weight);
	row[n + 1] = values[0];
	nulls[n] = nulls[n + 1] = false;
	tuplestore_putvalues(exec->fresh->store, exec->fresh->desc, row, nulls);
	exec->fresh->nrows++;
}

/* ---- Rounds ---- */

static bool
receive_step(TupleTableSlot *slot, DestReceiver *self)
{
	StepReceiver *receiver = (StepReceiver *) self;
	StreamingStageExec *exec = receiver->exec;
	int			n = exec->stage->noutputs;

	if (++receiver->nrows % CHECK_POSTMASTER_ROWS == 0 && !PostmasterIsAlive())
		proc_exit(1);
	slot_getallattrs(slot);
	streaming_recursion_weigh(exec, slot->tts_values, slot->tts_isnull,
							  DatumGetInt64(slot->tts_values[n]));
	return true;
}

static void
step_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	StreamingStage *stage = ((StepReceiver *) self)->exec->stage;
	List	   *types = NIL;

	for (int i = 0; i < stage->noutputs; i++)
		types = lappend_oid(types, stage->outputs[i].type);
	streaming_check_types(desc, lappend_oid(types, INT8OID));
}

static void
step_noop(DestReceiver *self)
{
}

/* What the rows of the batch derive by themselves. */
static void
weigh_derived(StreamingStageExec *exec)
{
	int			n = exec->stage->noutputs;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(exec->delta_desc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(exec->derived, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		streaming_recursion_weigh(exec, slot->tts_values, slot->tts_isnull,
								  DatumGetInt64(slot->tts_values[n]));
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
end_derived(StreamingStageExec *exec)
{
	if (exec->derived)
		tuplestore_end(exec->derived);
	exec->derived = NULL;
}

/* Adds those of the derived rows that are new.  They are in exec->fresh then. */
static void
add_new(StreamingStageExec *exec)
{
	exec->fresh = palloc0(sizeof(StreamingDelta));
	exec->fresh->name = pstrdup("$edge");
	exec->fresh->desc = exec->fresh_desc;
	exec->fresh->store = tuplestore_begin_heap(false, false, work_mem);
	streaming_partition_put(exec);
}

/* One round; false: nothing has been new. */
static bool
run_round(StreamingStageExec *exec)
{
	StepReceiver receiver = {{receive_step, step_startup, step_noop, step_noop, DestNone}, exec, 0};
	StreamingDelta *fresh;

	CHECK_FOR_INTERRUPTS();
	if (!PostmasterIsAlive())
		proc_exit(1);
	add_new(exec);
	fresh = exec->fresh;
	exec->fresh = NULL;
	if (fresh->nrows > 0)
	{
		CommandCounterIncrement();
		streaming_stop_point("recursion_round");
		streaming_replan(exec, &exec->step);
		streaming_statement_run(&exec->step, fresh, NULL, false, (DestReceiver *) &receiver);
	}
	tuplestore_end(fresh->store);
	return fresh->nrows > 0;
}

static void
run_rounds(StreamingStageExec *exec)
{
	MemoryContext round = AllocSetContextCreate(exec->batch_context, "streaming recursion",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(round);

	while (run_round(exec))
		MemoryContextReset(round);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(round);
}

void
streaming_recursion_run(StreamingStageExec *exec)
{
	if (exec->first || exec->recomputes)
	{
		end_derived(exec);
		CommandCounterIncrement();
		streaming_stop_point("partition_touched");
		streaming_partition_compute(exec, NULL);
		return;
	}
	if (exec->derived == NULL)
		return;
	weigh_derived(exec);
	end_derived(exec);
	run_rounds(exec);
}
