/*
 * match.c
 *		Rows of a join in which the first and the last match count, once they are weighed.
 *
 *		rows that wait (weigh.c) ──▶ "$edge": each once, with its weight ──▶ joins, first matches
 *											└──▶ kept ──▶ last matches
 *
 * Each has a weight above 0 and is there afterwards, or one below 0 and was there before.  So
 * a row of another input that meets one of the former, and nothing that was kept, had met
 * none; and one that meets one of the latter had met that.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"

#include "exec/stage.h"

void
streaming_match_weigh(StreamingStageExec *exec)
{
	while (streaming_weigh_next(exec))
	{
		for (int i = 0; i < exec->npending; i++)
		{
			ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->input, false);
			slot_getallattrs(exec->input);
			streaming_join_add_weighted(exec, exec->input, exec->weights[i]);
		}
	}
}

/* They are in the order of their hashes. */
void
streaming_match_keep(StreamingStageExec *exec)
{
	StreamingEdgeExec *edge = exec->current;
	StreamingDelta *rows = edge->rows;
	TupleTableSlot *slot;
	MemoryContext old = CurrentMemoryContext;

	if (rows == NULL || edge->weighed == NULL ||
		(edge->first_match.sql == NULL && exec->stage->recursion == NULL))
		return;
	slot = MakeSingleTupleTableSlot(rows->desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows->store, 0);
	tuplestore_rescan(rows->store);
	streaming_state_expect(edge->table, rows->nrows);
	while (tuplestore_gettupleslot(rows->store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		slot_getallattrs(slot);
		streaming_keep_row(edge, streaming_group_hash(edge->row, slot->tts_values, slot->tts_isnull),
						   slot->tts_values, slot->tts_isnull,
						   DatumGetInt64(slot->tts_values[edge->edge->ncolumns]),
						   DatumGetInt64(slot->tts_values[edge->edge->ncolumns + 1]));
		MemoryContextSwitchTo(old);
	}
	ExecDropSingleTupleTableSlot(slot);
	streaming_state_settle(edge->table);
}
