/*
 * upsert.c
 *		Merges records of a stream whose rows change into what is kept of its table.
 *
 * Of a key the last record of a batch counts (fold.c), and what is kept of the key is
 * compared with that one alone: so a key costs one look-up, and changes once, however
 * often a batch changes it.  Handed up are the rows that go and those that come.
 *
 * What is kept and was not written by a batch with a truncation has been there before it,
 * and goes; so such a batch writes what it leaves as it was, too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/itemptr.h"
#include "storage/pmsignal.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "exec/fold.h"
#include "exec/stage.h"
#include "streaming.h"

/* Keys that are merged at once. */
#define KEYS_AT_ONCE	1000

static StreamingFold *
begin_fold(StreamingStageExec *exec, TupleDesc statement)
{
	StreamingStage *stage = exec->stage;
	int			n = stage->nkeys + stage->naggs;
	TupleDesc	desc = CreateTemplateTupleDesc(n);
	AttrNumber *keys = palloc(sizeof(AttrNumber) * stage->nkeys);

	for (int i = 0; i < n; i++)
		TupleDescCopyEntry(desc, i + 1, statement, i + 1);
	TupleDescFinalize(desc);
	for (int i = 0; i < stage->nkeys; i++)
		keys[i] = i + 1;
	return streaming_fold_begin(desc, exec->group_key, keys, stage->nkeys, streaming_work_mem / 2);
}

void
streaming_upsert_add(StreamingStageExec *exec, TupleTableSlot *slot)
{
	ItemPointer change;

	slot_getallattrs(slot);
	if (exec->fold == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

		exec->fold = begin_fold(exec, slot->tts_tupleDescriptor);
		MemoryContextSwitchTo(old);
	}
	change = (ItemPointer) DatumGetPointer(slot->tts_values[exec->stage->nkeys + exec->stage->naggs]);
	streaming_fold_add(exec->fold, slot->tts_values, slot->tts_isnull,
					   ItemPointerGetOffsetNumberNoCheck(change));
}

/* Is the key of a stored row written as the record's, and not just equal to it? */
static bool
same_spelling(StreamingStageExec *exec, TupleTableSlot *stored, const Datum *values)
{
	for (int i = 0; i < exec->stage->nkeys; i++)
	{
		StreamingKeyColumn *column = &exec->group_key->columns[i];

		if (!datum_image_eq(stored->tts_values[exec->stage->keys[i].attno - 1], values[i],
							column->typbyval, column->typlen))
			return false;
	}
	return true;
}

/* What is kept of a key becomes what its last record says.  In the group's memory. */
static void
merge_record(StreamingStageExec *exec, int64 hash, StreamingFolded *folded,
			 Datum *values, bool *isnull)
{
	int			nkeys = exec->stage->nkeys;
	TupleTableSlot *stored = streaming_find_group(exec, hash, values, isnull);

	exec->unknown_keys += folded->unknown +
		(folded->supposes && (stored == NULL || streaming_fold_truncates(exec->fold)) ? 1 : 0);
	if (stored && (folded->change == STREAMING_CHANGE_DELETE ||
				   !same_spelling(exec, stored, values)))
	{
		streaming_remove_group(exec, stored);
		stored = NULL;
	}
	if (folded->change == STREAMING_CHANGE_DELETE)
		return;
	exec->rewrites = streaming_fold_truncates(exec->fold);
	streaming_put_group(exec, stored, hash, values, isnull, values + nkeys, isnull + nkeys);
	exec->rewrites = false;
}

static void
merge_pending(StreamingStageExec *exec, StreamingFolded *folded)
{
	MemoryContext old = CurrentMemoryContext;

	for (int i = 0; i < exec->npending; i++)
	{
		StreamingHashed *row = &exec->pending[i];
		int			n = exec->stage->nkeys + exec->stage->naggs;
		Datum	   *values;
		bool	   *isnull;

		if (i + STREAMING_PREFETCH_DISTANCE < exec->npending)
			streaming_state_prefetch(exec->table, STREAMING_BY_HASH,
									 exec->pending[i + STREAMING_PREFETCH_DISTANCE].hash);
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		ExecForceStoreMinimalTuple(row->tuple, exec->other, false);
		slot_getsomeattrs(exec->other, n);	/* what is behind them is the fold's */
		values = memcpy(palloc(sizeof(Datum) * n), exec->other->tts_values, sizeof(Datum) * n);
		isnull = memcpy(palloc(sizeof(bool) * n), exec->other->tts_isnull, sizeof(bool) * n);
		merge_record(exec, row->hash, &folded[i], values, isnull);
		MemoryContextSwitchTo(old);
	}
}

/* What was there before a truncation: what the batch has not written. */
static void
remove_truncated(StreamingStageExec *exec)
{
	MemoryContext old = CurrentMemoryContext;

	streaming_state_settle(exec->table);
	streaming_state_find_all(exec->table);
	while (streaming_state_next_row(exec->table))
	{
		HeapTuple	tuple = ((HeapTupleTableSlot *) exec->table->stored)->tuple;

		CHECK_FOR_INTERRUPTS();
		if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(tuple->t_data)))
			continue;
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		streaming_remove_group(exec, exec->table->stored);
		MemoryContextSwitchTo(old);
	}
}

void
streaming_upsert_merge(StreamingStageExec *exec)
{
	StreamingFolded *folded;
	bool		more = true;

	if (exec->fold == NULL)
		return;
	folded = palloc(sizeof(StreamingFolded) * KEYS_AT_ONCE);
	streaming_state_expect(exec->table, streaming_fold_records(exec->fold));
	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		if (!PostmasterIsAlive())
			proc_exit(1);
		exec->npending = 0;
		MemoryContextReset(exec->pending_context);
		while (exec->npending < KEYS_AT_ONCE &&
			   MemoryContextMemAllocated(exec->pending_context, false) < (Size) streaming_work_mem * 1024 / 8 &&
			   (more = streaming_fold_next(exec->fold, &folded[exec->npending])))
		{
			StreamingFolded *last = &folded[exec->npending];

			ExecForceStoreMinimalTuple(last->row, exec->other, false);
			streaming_add_pending(exec, last->hash, exec->other);
		}
		merge_pending(exec, folded);
	}
	exec->npending = 0;
	if (streaming_fold_truncates(exec->fold))
		remove_truncated(exec);
	streaming_state_settle(exec->table);
	streaming_fold_end(exec->fold);
	exec->fold = NULL;
	pfree(folded);
}
