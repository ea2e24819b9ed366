/*
 * extreme.c
 *		min and max of a group whose rows may disappear.
 *
 * The stage beneath keeps the values in its table, with an index on the hash of the
 * group and the value (query/compile_weights.c).  It has run, so the table is as the
 * batch leaves it, and the first entry of the group from either end is the answer.
 * Between those of groups that share a hash, the keys tell.
 */
#include "postgres.h"

#include "utils/datum.h"

#include "exec/stage.h"

/* Is the row that was found one of the group with these keys? */
static bool
is_of_group(StreamingStageExec *exec, StreamingStage *store, Datum *keys, bool *keys_null)
{
	TupleTableSlot *stored = exec->values_kept->stored;
	Datum	   *values = palloc(sizeof(Datum) * Max(store->nowner_keys, 1));
	bool	   *isnull = palloc(sizeof(bool) * Max(store->nowner_keys, 1));

	slot_getallattrs(stored);
	for (int i = 0; i < store->nowner_keys; i++)
	{
		values[i] = stored->tts_values[store->keys[i].attno - 1];
		isnull[i] = stored->tts_isnull[store->keys[i].attno - 1];
	}
	return streaming_group_equal(exec->group_key, keys, keys_null, values, isnull);
}

static void
open_values(StreamingStageExec *exec, StreamingStage *store)
{
	MemoryContext old = MemoryContextSwitchTo(exec->batch_context);

	exec->values_kept = streaming_state_open(store->table, store->table_desc, 0, NULL);
	MemoryContextSwitchTo(old);
}

Datum
streaming_extreme(StreamingStageExec *exec, StreamingAggregate *agg, int64 hash,
				  Datum *keys, bool *keys_null, bool *isnull)
{
	StreamingStage *store = agg->store;
	AttrNumber	attno = store->keys[agg->store_key].attno;
	Form_pg_attribute att;
	Datum		result = (Datum) 0;

	if (exec->values_kept == NULL)
		open_values(exec, store);
	att = TupleDescAttr(exec->values_kept->desc, attno - 1);
	*isnull = true;
	streaming_state_find_end(exec->values_kept, store->group_attno, hash, attno, agg->largest);
	while (*isnull && streaming_state_next_until(exec->values_kept))
	{
		if (!is_of_group(exec, store, keys, keys_null))
			continue;
		*isnull = false;
		result = datumCopy(exec->values_kept->stored->tts_values[attno - 1], att->attbyval,
						   att->attlen);
	}
	streaming_state_stop(exec->values_kept);
	return result;
}

void
streaming_extreme_end(StreamingStageExec *exec)
{
	if (exec->values_kept)
		streaming_state_close(exec->values_kept);
	exec->values_kept = NULL;
}
