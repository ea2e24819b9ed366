/*
 * prune.c
 *		Kept rows that no longer matter.
 *
 * Of the rows of a partition some may never be in the result again, whatever comes:
 * those behind the tenth, if the query wants ten and rows only appear (query/fold.c).
 * They go before the partition is computed, which is then the query over few rows.  What is
 * behind other rows of its own batch is not written at all (top.c, or streaming_prune_rows).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/itemptr.h"

#include "exec/stage.h"

typedef struct TidReceiver
{
	DestReceiver pub;
	ItemPointerData *tids;
	int			ntids;
	int			max_tids;
} TidReceiver;

static bool
receive_tid(TupleTableSlot *slot, DestReceiver *self)
{
	TidReceiver *receiver = (TidReceiver *) self;

	slot_getallattrs(slot);
	if (receiver->ntids == receiver->max_tids)
	{
		receiver->max_tids *= 2;
		receiver->tids = repalloc_huge(receiver->tids, sizeof(ItemPointerData) * receiver->max_tids);
	}
	receiver->tids[receiver->ntids++] = *(ItemPointer) DatumGetPointer(slot->tts_values[0]);
	return true;
}

static void
tids_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	streaming_check_types(desc, list_make1_oid(TIDOID));
}

static void
tids_noop(DestReceiver *self)
{
}

/* In the order of their pages. */
static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

void
streaming_prune(StreamingStageExec *exec, Datum partitions)
{
	TidReceiver receiver = {{receive_tid, tids_startup, tids_noop, tids_noop, DestNone}};
	StreamingStateTable *table = exec->edges[0].table;

	if (exec->prune.sql == NULL)
		return;
	receiver.max_tids = 1024;
	receiver.tids = palloc(sizeof(ItemPointerData) * receiver.max_tids);
	streaming_statement_run(&exec->prune, NULL, &partitions, false, (DestReceiver *) &receiver);
	qsort(receiver.tids, receiver.ntids, sizeof(ItemPointerData), compare_tids);
	for (int i = 0; i < receiver.ntids; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		table->stored->tts_tid = receiver.tids[i];
		streaming_state_delete(table, table->stored);
	}
	pfree(receiver.tids);
}
