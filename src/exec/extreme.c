/*
 * extreme.c
 *		min and max of a group whose rows may disappear.
 *
 * The stage beneath keeps the values in its table, with an index on the hash of the
 * group and the value (query/compile_weights.c).  It has run, so the table is as the
 * batch leaves it, and the first entry of the group from either end is the answer.
 * Between those of groups that share a hash, the keys tell.  Values that are too wide for
 * that index are few, as a rule, and are all compared.
 */
#include "postgres.h"

#include "utils/datum.h"
#include "utils/typcache.h"

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

/* In CurrentMemoryContext, and not in the table's storage of wide values. */
static Datum
copy_value(Datum value, Form_pg_attribute att)
{
	return att->attlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) :
		datumCopy(value, att->attbyval, att->attlen);
}

/* Of the group's wide values and what is known: the end. */
static Datum
wide_end(StreamingStageExec *exec, StreamingAggregate *agg, int64 hash, Datum *keys,
		 bool *keys_null, Datum result, bool *isnull)
{
	StreamingStage *store = agg->store;
	StreamingStateTable *table = exec->values_kept;
	AttrNumber	attno = store->keys[agg->store_key].attno;
	Form_pg_attribute att = TupleDescAttr(table->desc, attno - 1);
	TypeCacheEntry *type = lookup_type_cache(att->atttypid, TYPECACHE_CMP_PROC_FINFO);

	streaming_state_find_wide(table, store->group_attno, hash);
	while (streaming_state_next_until(table))
	{
		Datum		value;
		int			order;

		if (!is_of_group(exec, store, keys, keys_null) || table->stored->tts_isnull[attno - 1])
			continue;
		value = table->stored->tts_values[attno - 1];
		order = *isnull ? 0 : DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo, att->attcollation,
															  value, result));
		if (*isnull || (agg->largest ? order > 0 : order < 0))
			result = copy_value(value, att);
		*isnull = false;
	}
	return result;
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
	streaming_state_find_end(exec->values_kept, store->group_attno, hash, attno,
							 bms_is_member(agg->store_key, store->wide), agg->largest);
	while (*isnull && streaming_state_next_until(exec->values_kept))
	{
		if (!is_of_group(exec, store, keys, keys_null))
			continue;
		*isnull = false;
		result = copy_value(exec->values_kept->stored->tts_values[attno - 1], att);
	}
	streaming_state_stop(exec->values_kept);
	return bms_is_member(agg->store_key, store->wide) ?
		wide_end(exec, agg, hash, keys, keys_null, result, isnull) : result;
}

void
streaming_extreme_end(StreamingStageExec *exec)
{
	if (exec->values_kept)
		streaming_state_close(exec->values_kept);
	exec->values_kept = NULL;
}
