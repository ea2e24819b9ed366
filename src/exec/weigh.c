/*
 * weigh.c
 *		Rows that come with weights, and groups that are touched: sorted, in memory
 *		or in temporary files, until a batch has brought all of them.
 *
 * A row may disappear and appear again in one batch, in any order, and from another
 * input of the stage.  What is equal is therefore one row with the sum of the
 * weights before a table is touched or anything is handed up; what sums to nothing
 * has not happened.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "exec/stage.h"
#include "streaming.h"

/* Rows that are handed out at once. */
#define ROWS_AT_ONCE	1000

struct StreamingWeighing
{
	Tuplesortstate *sort;		/* of (columns, weight, hash), by hash; or by $group first */
	MemoryContext context;
	StreamingGroupKey *key;		/* what makes rows equal: of the first columns */
	int			ncolumns;
	int64		nrows;
	TupleTableSlot *to_sort;
	TupleTableSlot *sorted;		/* the next row */
	bool		complete;		/* all rows have come */
	bool		ahead;			/* there is a next row */
};

/* ---- Rows ---- */

static TupleDesc
sort_desc(TupleDesc rows, int ncolumns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(ncolumns + 2);

	for (int i = 0; i < ncolumns; i++)
		TupleDescCopyEntry(desc, i + 1, rows, i + 1);
	TupleDescInitEntry(desc, ncolumns + 1, "$count", INT8OID, -1, 0);
	TupleDescInitEntry(desc, ncolumns + 2, "$hash", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

static StreamingWeighing *
begin_weighing(StreamingStageExec *exec, StreamingGroupKey *key, TupleDesc rows, int ncolumns)
{
	MemoryContext context = AllocSetContextCreate(exec->batch_context, "streaming weights",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StreamingWeighing *weighing = palloc0(sizeof(StreamingWeighing));
	TupleDesc	desc = sort_desc(rows, ncolumns);
	AttrNumber	attnos[2] = {1, desc->natts};
	Oid			operators[2] = {Int8LessOperator, Int8LessOperator};
	Oid			collations[2] = {InvalidOid, InvalidOid};
	bool		nulls_first[2] = {false, false};
	/* of a partition the rows come together (partition.c) */
	int			first = exec->stage->kind == STREAMING_STAGE_PARTITION && key == exec->row_key ? 0 : 1;

	weighing->context = context;
	weighing->key = key;
	weighing->ncolumns = ncolumns;
	weighing->sort = tuplesort_begin_heap(desc, 2 - first, attnos + first, operators + first,
										  collations + first, nulls_first + first,
										  streaming_work_mem / 2, NULL, TUPLESORT_NONE);
	weighing->to_sort = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	weighing->sorted = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
	return weighing;
}

static void
end_weighing(StreamingStageExec *exec)
{
	StreamingWeighing *weighing = exec->weighing;

	tuplesort_end(weighing->sort);
	ExecDropSingleTupleTableSlot(weighing->to_sort);
	ExecDropSingleTupleTableSlot(weighing->sorted);
	MemoryContextDelete(weighing->context);
	exec->weighing = NULL;
}

void
streaming_weigh(StreamingStageExec *exec, StreamingGroupKey *key, TupleTableSlot *slot,
				bool weighted)
{
	StreamingWeighing *weighing = exec->weighing;
	int			n = slot->tts_tupleDescriptor->natts - (weighted ? 1 : 0);
	TupleTableSlot *to_sort;

	slot_getallattrs(slot);
	if (weighing == NULL)
		weighing = exec->weighing = begin_weighing(exec, key, slot->tts_tupleDescriptor, n);
	Assert(n == weighing->ncolumns && key == weighing->key);
	to_sort = weighing->to_sort;
	ExecClearTuple(to_sort);
	memcpy(to_sort->tts_values, slot->tts_values, sizeof(Datum) * n);
	memcpy(to_sort->tts_isnull, slot->tts_isnull, sizeof(bool) * n);
	to_sort->tts_values[n] = weighted ? slot->tts_values[n] : Int64GetDatum(1);
	to_sort->tts_values[n + 1] = Int64GetDatum(streaming_group_hash(key, slot->tts_values,
																	slot->tts_isnull));
	to_sort->tts_isnull[n] = to_sort->tts_isnull[n + 1] = false;
	tuplesort_puttupleslot(weighing->sort, ExecStoreVirtualTuple(to_sort));
	weighing->nrows++;
}

static void
read_row(StreamingWeighing *weighing)
{
	weighing->ahead = tuplesort_gettupleslot(weighing->sort, true, false, weighing->sorted, NULL);
	if (weighing->ahead)
		slot_getallattrs(weighing->sorted);
}

static int64
hash_ahead(StreamingWeighing *weighing)
{
	return DatumGetInt64(weighing->sorted->tts_values[weighing->ncolumns + 1]);
}

/*
 * The pending row, of those from begin on, that is equal to the next one; or npending.
 * Partial states are equal to none.
 */
static int
find_pending(StreamingStageExec *exec, int begin)
{
	TupleTableSlot *row = exec->weighing->sorted;
	int			i = begin;

	if (exec->stage->kind == STREAMING_STAGE_COMBINE)
		return exec->npending;
	for (; i < exec->npending; i++)
	{
		ExecForceStoreMinimalTuple(exec->pending[i].tuple, exec->other, false);
		slot_getsomeattrs(exec->other, exec->weighing->ncolumns);
		if (streaming_group_equal(exec->weighing->key, row->tts_values, row->tts_isnull,
								  exec->other->tts_values, exec->other->tts_isnull))
			break;
	}
	return i;
}

static void
add_weight(StreamingStageExec *exec, int begin, int64 hash)
{
	TupleTableSlot *row = exec->weighing->sorted;
	int64		weight = DatumGetInt64(row->tts_values[exec->weighing->ncolumns]);
	int			i = find_pending(exec, begin);

	if (i < exec->npending)
	{
		exec->weights[i] += weight;
		return;
	}
	streaming_add_pending(exec, hash, row);
	if (i == exec->max_weights)
	{
		exec->max_weights = Max(exec->max_weights * 2, ROWS_AT_ONCE);
		exec->weights = exec->weights == NULL ?
			MemoryContextAllocHuge(exec->batch_context, sizeof(int64) * exec->max_weights) :
			repalloc_huge(exec->weights, sizeof(int64) * exec->max_weights);
	}
	exec->weights[i] = weight;
}

/* Takes the rows of one hash; those with a weight remain. */
static void
take_hash(StreamingStageExec *exec)
{
	StreamingWeighing *weighing = exec->weighing;
	int64		hash = hash_ahead(weighing);
	int			begin = exec->npending;
	int			n = begin;

	do
	{
		CHECK_FOR_INTERRUPTS();
		add_weight(exec, begin, hash);
		read_row(weighing);
	} while (weighing->ahead && hash_ahead(weighing) == hash);
	for (int i = begin; i < exec->npending; i++)
	{
		if (exec->weights[i] == 0)
			continue;
		exec->pending[n] = exec->pending[i];
		exec->weights[n++] = exec->weights[i];
	}
	exec->npending = n;
}

static bool
has_room(StreamingStageExec *exec)
{
	return exec->npending < ROWS_AT_ONCE &&
		MemoryContextMemAllocated(exec->pending_context, false) < (Size) streaming_work_mem * 1024 / 8;
}

bool
streaming_weigh_next(StreamingStageExec *exec)
{
	StreamingWeighing *weighing = exec->weighing;

	exec->npending = 0;
	MemoryContextReset(exec->pending_context);
	if (weighing == NULL)
		return false;
	if (!weighing->complete)
	{
		tuplesort_performsort(weighing->sort);
		weighing->complete = true;
		read_row(weighing);
		streaming_make_input(exec, weighing->sorted->tts_tupleDescriptor);
		exec->lookups = weighing->nrows;
	}
	/* one at least, however little memory there is */
	while (weighing->ahead && (exec->npending == 0 || has_room(exec)))
		take_hash(exec);
	if (exec->npending > 0)
		return true;
	end_weighing(exec);
	return false;
}

/* ---- Groups ---- */

void
streaming_touch_group(StreamingStageExec *exec, int64 hash)
{
	if (exec->touched && exec->last_touched == hash)
		return;
	if (exec->touched == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

		exec->touched = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
											  Max(streaming_work_mem / 8, 64), NULL, TUPLESORT_NONE);
		exec->touched_sorted = false;
		MemoryContextSwitchTo(old);
	}
	tuplesort_putdatum(exec->touched, Int64GetDatum(hash), false);
	exec->last_touched = hash;
}

int
streaming_next_touched(StreamingStageExec *exec, int64 *hashes, int max)
{
	bool		any = exec->touched_sorted;
	Datum		hash;
	bool		isnull;
	int			n = 0;

	if (exec->touched == NULL)
		return 0;
	if (!exec->touched_sorted)
		tuplesort_performsort(exec->touched);
	exec->touched_sorted = true;
	while (n < max && streaming_tuplesort_getdatum(exec->touched, &hash, &isnull))
	{
		CHECK_FOR_INTERRUPTS();
		if (any && DatumGetInt64(hash) == exec->last_touched)
			continue;
		any = true;
		hashes[n++] = exec->last_touched = DatumGetInt64(hash);
	}
	if (n == 0)
	{
		tuplesort_end(exec->touched);
		exec->touched = NULL;
	}
	return n;
}
