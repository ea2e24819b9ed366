/*
 * group.c
 *		Merges what a batch knows of a group into what is kept of it.
 *
 * A group's row in the state table holds its keys and, for each aggregate,
 * the transition state (combine) or the result (recompute); all outputs are
 * functions of these.  So what a group looked like before can be computed from
 * its stored row, and only then is when somebody wants to know.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"

#include "exec/stage.h"
#include "streaming.h"

/* Outputs of a group; values live in the group's memory. */
typedef struct GroupOutput
{
	bool		shown;			/* HAVING holds */
	Datum	   *values;
	bool	   *isnull;
} GroupOutput;

void
streaming_stored_keys(StreamingStageExec *exec, TupleTableSlot *stored,
					  Datum *keys, bool *isnull)
{
	StreamingStage *stage = exec->stage;

	slot_getallattrs(stored);
	for (int i = 0; i < stage->nkeys; i++)
	{
		AttrNumber	attno = stage->keys[i].attno;

		keys[i] = stored->tts_values[attno - 1];
		isnull[i] = stored->tts_isnull[attno - 1];
	}
}

static void
stored_states(StreamingStageExec *exec, TupleTableSlot *stored,
			  Datum *states, bool *isnull)
{
	StreamingStage *stage = exec->stage;

	for (int i = 0; i < stage->naggs; i++)
	{
		AttrNumber	attno = stage->aggs[i].attno;

		states[i] = stored->tts_values[attno - 1];
		isnull[i] = stored->tts_isnull[attno - 1];
	}
}

/* When the group of some keys closes; in the group's memory. */
Datum
streaming_closes(StreamingStageExec *exec, Datum *keys, bool *keys_null, bool *isnull)
{
	StreamingStage *stage = exec->stage;
	TupleTableSlot *values = exec->values;

	ExecClearTuple(values);
	memcpy(values->tts_values, keys, sizeof(Datum) * stage->nkeys);
	memcpy(values->tts_isnull, keys_null, sizeof(bool) * stage->nkeys);
	for (int i = stage->nkeys; i < stage->nkeys + stage->naggs; i++)
		values->tts_isnull[i] = true;
	ExecStoreVirtualTuple(values);
	exec->econtext->ecxt_scantuple = values;
	return ExecEvalExpr(exec->closes, exec->econtext, isnull);
}

/* Computes outputs and HAVING from keys and states, in the group's memory. */
static GroupOutput
compute_output(StreamingStageExec *exec, Datum *keys, bool *keys_null,
			   Datum *states, bool *states_null)
{
	StreamingStage *stage = exec->stage;
	TupleTableSlot *values = exec->values;
	TupleTableSlot *outputs;
	GroupOutput result;

	ExecClearTuple(values);
	memcpy(values->tts_values, keys, sizeof(Datum) * stage->nkeys);
	memcpy(values->tts_isnull, keys_null, sizeof(bool) * stage->nkeys);
	for (int i = 0; i < stage->naggs; i++)
		values->tts_values[stage->nkeys + i] =
			streaming_aggregate_final(&exec->aggs[i], states[i], states_null[i],
									  &values->tts_isnull[stage->nkeys + i]);
	ExecStoreVirtualTuple(values);

	exec->econtext->ecxt_scantuple = values;
	result.shown = exec->having == NULL || ExecQual(exec->having, exec->econtext);
	outputs = ExecProject(exec->projection);
	result.values = palloc(sizeof(Datum) * Max(stage->noutputs, 1));
	result.isnull = palloc(sizeof(bool) * Max(stage->noutputs, 1));
	memcpy(result.values, outputs->tts_values, sizeof(Datum) * stage->noutputs);
	memcpy(result.isnull, outputs->tts_isnull, sizeof(bool) * stage->noutputs);
	return result;
}

static void
set_column(TupleTableSlot *row, AttrNumber attno, Datum value, bool isnull)
{
	row->tts_values[attno - 1] = value;
	row->tts_isnull[attno - 1] = isnull;
}

static void
fill_row(StreamingStageExec *exec, int64 hash, Datum *keys, bool *keys_null,
		 Datum *states, bool *states_null, GroupOutput *output)
{
	StreamingStage *stage = exec->stage;
	TupleTableSlot *row = exec->table->row;
	Datum		closes = (Datum) 0;
	bool		closes_null = true;

	if (stage->closes_attno)
		closes = streaming_closes(exec, keys, keys_null, &closes_null);
	ExecClearTuple(row);
	for (int i = 0; stage->outputs_stored && i < stage->noutputs; i++)
		set_column(row, stage->outputs[i].attno, output->values[i], output->isnull[i]);
	for (int i = 0; i < stage->nkeys; i++)
		set_column(row, stage->keys[i].attno, keys[i], keys_null[i]);
	for (int i = 0; i < stage->naggs; i++)
		set_column(row, stage->aggs[i].attno, states[i], states_null[i]);
	if (stage->shown_attno)
		set_column(row, stage->shown_attno, BoolGetDatum(output->shown), false);
	if (stage->closes_attno)
		set_column(row, stage->closes_attno, closes, closes_null);
	set_column(row, stage->hash_attno, Int64GetDatum(hash), false);
	ExecStoreVirtualTuple(row);
}

static bool
same_outputs(StreamingStageExec *exec, GroupOutput *a, GroupOutput *b)
{
	TupleDesc	desc = exec->delta_desc;

	for (int i = 0; i < exec->stage->noutputs; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (a->isnull[i] != b->isnull[i])
			return false;
		if (!a->isnull[i] && !datum_image_eq(a->values[i], b->values[i], att->attbyval, att->attlen))
			return false;
	}
	return true;
}

static bool
same_states(StreamingStageExec *exec, Datum *old, bool *old_null,
			Datum *new, bool *new_null)
{
	for (int i = 0; i < exec->stage->naggs; i++)
	{
		if (old_null[i] != new_null[i])
			return false;
		if (!old_null[i] &&
			!datum_image_eq(old[i], new[i], exec->aggs[i].typbyval, exec->aggs[i].typlen))
			return false;
	}
	return true;
}

/* Tells the readers of this stage how a group's row changed; NULL: no row. */
static void
emit_change(StreamingStageExec *exec, GroupOutput *before, GroupOutput *after)
{
	bool		was = before && before->shown;
	bool		is = after && after->shown;

	/* rows may come and go that nobody sees, or change where nobody looks */
	if (was && is && (exec->stage->rows_agg || exec->stage->kind == STREAMING_STAGE_UPSERT) &&
		same_outputs(exec, before, after))
		return;
	if (was || is)
		exec->output_rows++;
	if (was)
		streaming_emit(exec, exec->changes, -1, before->values, before->isnull);
	if (is)
	{
		streaming_emit(exec, exec->changes, 1, after->values, after->isnull);
		streaming_emit(exec, exec->writes, 1, after->values, after->isnull);
	}
	else if (was)
		streaming_emit(exec, exec->writes, -1, before->values, before->isnull);
}

/*
 * What users see of a group before the batch.  Worth computing only if somebody
 * wants to know: the readers of the changes, HAVING, and a sink if the row leaves
 * the result because its group is another one now; of the others a sink is told
 * what they are now.
 */
static GroupOutput *
output_before(StreamingStageExec *exec, Datum *keys, bool *keys_null,
			  Datum *states, bool *states_null, bool leaves, GroupOutput *space)
{
	if (exec->stage->emits_closed || exec->stage->keeps_values ||
		(exec->changes == NULL && exec->having == NULL && !(leaves && exec->writes)))
		return NULL;
	*space = compute_output(exec, keys, keys_null, states, states_null);
	return space;
}

/* Of a value that is known, only the bits that are new are handed up. */
static void
keep_new_bits(StreamingStage *stage, GroupOutput *after, Datum *old_states)
{
	int			n = stage->noutputs - 1;

	if (stage->keeps_values)
		after->values[n] = Int64GetDatum(DatumGetInt64(after->values[n]) &
										 ~DatumGetInt64(old_states[0]));
}

/*
 * Writes a group whose new states are known.  stored: its row, or NULL if it
 * is new.  Called in the group's memory.
 */
void
streaming_put_group(StreamingStageExec *exec, TupleTableSlot *stored, int64 hash,
					Datum *keys, bool *keys_null, Datum *states, bool *states_null)
{
	StreamingStage *stage = exec->stage;
	Datum	   *old_states = palloc(sizeof(Datum) * Max(stage->naggs, 1));
	bool	   *old_null = palloc(sizeof(bool) * Max(stage->naggs, 1));
	GroupOutput after = {0};
	GroupOutput space;
	GroupOutput *before = NULL;

	if (stored)
	{
		/* the key that was first of its equals stays */
		streaming_stored_keys(exec, stored, keys, keys_null);
		stored_states(exec, stored, old_states, old_null);
		if (!exec->rewrites && same_states(exec, old_states, old_null, states, states_null))
			return;
		before = output_before(exec, keys, keys_null, old_states, old_null, false, &space);
	}
	if (!stage->emits_closed)
		after = compute_output(exec, keys, keys_null, states, states_null);
	fill_row(exec, hash, keys, keys_null, states, states_null, &after);
	if (stored)
		streaming_state_update(exec->table, &stored->tts_tid);
	else
		streaming_state_insert(exec->table, exec->table->row);
	if (stored)
		keep_new_bits(stage, &after, old_states);
	if (!stage->emits_closed)
		emit_change(exec, before, &after);
}

/* Removes a group that has no rows any more.  Called in the group's memory. */
void
streaming_remove_group(StreamingStageExec *exec, TupleTableSlot *stored)
{
	StreamingStage *stage = exec->stage;
	Datum	   *keys = palloc(sizeof(Datum) * Max(stage->nkeys, 1));
	bool	   *keys_null = palloc(sizeof(bool) * Max(stage->nkeys, 1));
	Datum	   *states = palloc(sizeof(Datum) * Max(stage->naggs, 1));
	bool	   *states_null = palloc(sizeof(bool) * Max(stage->naggs, 1));
	GroupOutput before;

	if (!stage->emits_closed)
	{
		streaming_stored_keys(exec, stored, keys, keys_null);
		stored_states(exec, stored, states, states_null);
		before = compute_output(exec, keys, keys_null, states, states_null);
	}
	streaming_state_delete(exec->table, stored);
	if (!stage->emits_closed)
		emit_change(exec, &before, NULL);
}

void
streaming_replace_groups(StreamingStageExec *exec, HeapTuple *stored, int nstored,
						 bool same_key, TupleTableSlot *slot, int64 hash,
						 Datum *keys, bool *keys_null, Datum *states, bool *states_null)
{
	StreamingStage *stage = exec->stage;
	Datum	   *old_keys = palloc(sizeof(Datum) * Max(stage->nkeys, 1));
	Datum	   *old_states = palloc(sizeof(Datum) * Max(stage->naggs, 1));
	bool	   *old_keys_null = palloc(sizeof(bool) * Max(stage->nkeys, 1));
	bool	   *old_states_null = palloc(sizeof(bool) * Max(stage->naggs, 1));
	GroupOutput after = {0};
	GroupOutput space;
	GroupOutput *before = NULL;

	for (int i = 0; i < nstored && !stage->emits_closed; i++)
	{
		ExecForceStoreHeapTuple(stored[i], slot, false);
		streaming_stored_keys(exec, slot, old_keys, old_keys_null);
		stored_states(exec, slot, old_states, old_states_null);
		before = output_before(exec, old_keys, old_keys_null, old_states, old_states_null, !same_key,
							   &space);
		if (before && !same_key)
			emit_change(exec, before, NULL);
	}
	if (!stage->emits_closed)
		after = compute_output(exec, keys, keys_null, states, states_null);
	fill_row(exec, hash, keys, keys_null, states, states_null, &after);
	if (nstored > 0)
		streaming_state_update(exec->table, &stored[0]->t_self);
	else
		streaming_state_insert(exec->table, exec->table->row);
	for (int i = 1; i < nstored; i++)
	{
		ExecForceStoreHeapTuple(stored[i], slot, false);
		streaming_state_delete(exec->table, slot);
	}
	if (!stage->emits_closed)
		emit_change(exec, same_key ? before : NULL, &after);
}

/*
 * A group that has closed: hands it up if it has waited for that, and removes
 * its row.  Called in the group's memory.
 */
void
streaming_close_group(StreamingStageExec *exec, TupleTableSlot *stored)
{
	StreamingStage *stage = exec->stage;
	Datum	   *keys = palloc(sizeof(Datum) * Max(stage->nkeys, 1));
	bool	   *keys_null = palloc(sizeof(bool) * Max(stage->nkeys, 1));
	Datum	   *states = palloc(sizeof(Datum) * Max(stage->naggs, 1));
	bool	   *states_null = palloc(sizeof(bool) * Max(stage->naggs, 1));
	GroupOutput output;

	if (stage->emits_closed)
	{
		streaming_stored_keys(exec, stored, keys, keys_null);
		stored_states(exec, stored, states, states_null);
		output = compute_output(exec, keys, keys_null, states, states_null);
		if (exec->result && output.shown)
		{
			TupleTableSlot *row = exec->result->row;

			ExecClearTuple(row);
			memcpy(row->tts_values, output.values, sizeof(Datum) * stage->noutputs);
			memcpy(row->tts_isnull, output.isnull, sizeof(bool) * stage->noutputs);
			streaming_state_insert(exec->result, ExecStoreVirtualTuple(row));
		}
		emit_change(exec, NULL, &output);
	}
	streaming_state_delete(exec->table, stored);
}

TupleTableSlot *
streaming_find_group(StreamingStageExec *exec, int64 hash, Datum *keys, bool *keys_null)
{
	StreamingStage *stage = exec->stage;
	Datum	   *stored_keys = palloc(sizeof(Datum) * Max(stage->nkeys, 1));
	bool	   *stored_null = palloc(sizeof(bool) * Max(stage->nkeys, 1));

	streaming_state_find(exec->table, hash);
	while (streaming_state_next(exec->table))
	{
		streaming_stored_keys(exec, exec->table->stored, stored_keys, stored_null);
		if (streaming_group_equal(exec->group_key, keys, keys_null, stored_keys, stored_null))
			return exec->table->stored;
	}
	return NULL;
}

/* Of a group whose rows may disappear: are there any?  count: its rows. */
static bool
has_rows(Datum count)
{
	if (DatumGetInt64(count) < 0)
		elog(ERROR, "a row was taken back more often than it had appeared");
	return DatumGetInt64(count) > 0;
}

/* combine: the pending row has the keys and the batch's partial states. */
static void
combine_group(StreamingStageExec *exec, int64 hash, Datum *values, bool *isnull)
{
	StreamingStage *stage = exec->stage;
	TupleTableSlot *stored = streaming_find_group(exec, hash, values, isnull);
	Datum	   *states = values + stage->nkeys;
	bool	   *states_null = isnull + stage->nkeys;

	for (int i = 0; stored && i < stage->naggs; i++)
	{
		AttrNumber	attno = stage->aggs[i].attno;

		states[i] = streaming_aggregate_combine(&exec->aggs[i],
												stored->tts_values[attno - 1],
												stored->tts_isnull[attno - 1],
												states[i], states_null[i], &states_null[i]);
	}
	if (stage->rows_agg && !has_rows(states[stage->rows_agg - 1]))
	{
		if (stored)
			streaming_remove_group(exec, stored);
		return;
	}
	for (int i = 0; i < stage->naggs; i++)
	{
		if (stage->aggs[i].store)
			states[i] = streaming_extreme(exec, &stage->aggs[i], hash, values, isnull,
										  &states_null[i]);
	}
	streaming_put_group(exec, stored, hash, values, isnull, states, states_null);
}

/* Of partial states: keys and states of a group, in the group's memory. */
typedef struct PartialGroup
{
	Datum	   *values;
	bool	   *isnull;
} PartialGroup;

static void
read_partial(StreamingStageExec *exec, StreamingHashed *row, PartialGroup *group)
{
	int			n = exec->stage->nkeys + exec->stage->naggs;

	ExecForceStoreMinimalTuple(row->tuple, exec->input, false);
	slot_getallattrs(exec->input);
	group->values = palloc(sizeof(Datum) * n);
	group->isnull = palloc(sizeof(bool) * n);
	memcpy(group->values, exec->input->tts_values, sizeof(Datum) * n);
	memcpy(group->isnull, exec->input->tts_isnull, sizeof(bool) * n);
}

static void
add_partial(StreamingStageExec *exec, PartialGroup *group, PartialGroup *other)
{
	for (int i = 0; i < exec->stage->naggs; i++)
	{
		int			k = exec->stage->nkeys + i;

		group->values[k] = streaming_aggregate_combine(&exec->aggs[i], group->values[k],
													   group->isnull[k], other->values[k],
													   other->isnull[k], &group->isnull[k]);
	}
}

/*
 * combine, several inputs, or panes: n pending rows of one hash.  What all of them say of
 * a group is combined before it is looked up.
 */
static void
combine_hash(StreamingStageExec *exec, StreamingHashed *rows, int n)
{
	PartialGroup *groups = palloc(sizeof(PartialGroup) * n);
	int			ngroups = 0;

	for (int i = 0; i < n; i++)
	{
		PartialGroup *group = &groups[ngroups];
		int			k;

		read_partial(exec, &rows[i], group);
		for (k = 0; k < ngroups; k++)
		{
			if (streaming_group_equal(exec->group_key, group->values, group->isnull,
									  groups[k].values, groups[k].isnull))
				break;
		}
		if (k < ngroups)
			add_partial(exec, &groups[k], group);
		else
			ngroups++;
	}
	for (int i = 0; i < ngroups; i++)
		combine_group(exec, rows[0].hash, groups[i].values, groups[i].isnull);
}

static void
combine_pending(StreamingStageExec *exec)
{
	MemoryContext old = CurrentMemoryContext;

	streaming_state_expect(exec->table, exec->lookups);
	for (int i = 0, next; i < exec->npending; i = next)
	{
		CHECK_FOR_INTERRUPTS();
		for (next = i + 1; next < exec->npending &&
			 exec->pending[next].hash == exec->pending[i].hash; next++)
			;
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		combine_hash(exec, &exec->pending[i], next - i);
		MemoryContextSwitchTo(old);
	}
	streaming_state_settle(exec->table);	/* and the next may be of the same groups */
}

/* multiset: the pending row has the outputs and how many came or went. */
static void
count_row(StreamingStageExec *exec, int64 hash, Datum *values, bool *isnull, int64 delta)
{
	StreamingStage *stage = exec->stage;
	TupleTableSlot *stored = streaming_find_group(exec, hash, values, isnull);
	TupleTableSlot *row = exec->table->row;
	int64		count = delta;

	if (delta == 0)
		return;
	if (stored)
		count += DatumGetInt64(stored->tts_values[stage->count_attno - 1]);
	if (count < 0)
		elog(ERROR, "a row was taken back more often than it had appeared");
	/* what was handed up is taken back as it was */
	if (stored && stage->keeps_values)
		streaming_stored_keys(exec, stored, values, isnull);
	ExecClearTuple(row);
	for (int i = 0; i < stage->nkeys; i++)
		set_column(row, stage->keys[i].attno, values[i], isnull[i]);
	set_column(row, stage->count_attno, Int64GetDatum(count), false);
	if (stage->group_attno)
		set_column(row, stage->group_attno,
				   Int64GetDatum(streaming_group_hash(exec->owner_key, values, isnull)), false);
	set_column(row, stage->hash_attno, Int64GetDatum(hash), false);
	ExecStoreVirtualTuple(row);
	if (stored == NULL)
		streaming_state_insert(exec->table, row);
	else if (count == 0)
		streaming_state_delete(exec->table, stored);
	else
		streaming_state_update(exec->table, &stored->tts_tid);

	if (!stage->keeps_values)
		streaming_emit_weighted(exec, delta, values, isnull);
	else if (stored == NULL || count == 0)
		streaming_emit_weighted(exec, stored == NULL ? 1 : -1, values, isnull);
}

void
streaming_merge_pending(StreamingStageExec *exec)
{
	MemoryContext old = CurrentMemoryContext;
	bool		counted = exec->stage->kind == STREAMING_STAGE_MULTISET;

	if (!counted && (exec->stage->nedges > 1 || exec->stage->edges[0].by_panes))
	{
		combine_pending(exec);
		return;
	}
	streaming_state_expect(exec->table, exec->lookups);
	for (int i = 0; i < exec->npending; i++)
	{
		StreamingHashed *row = &exec->pending[i];
		TupleTableSlot *input = exec->input;

		/* Sorted, they are all over the memory, and so are the groups. */
		if (i + STREAMING_PREFETCH_DISTANCE < exec->npending)
		{
			streaming_prefetch(exec->pending[i + STREAMING_PREFETCH_DISTANCE].tuple);
			streaming_state_prefetch(exec->table, STREAMING_BY_HASH,
									 exec->pending[i + STREAMING_PREFETCH_DISTANCE].hash);
		}

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (!counted && i > 0 && row->hash == row[-1].hash)
			streaming_state_settle(exec->table);	/* it may be the same group */
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		ExecForceStoreMinimalTuple(row->tuple, input, false);
		slot_getallattrs(input);
		if (counted)
			count_row(exec, row->hash, input->tts_values, input->tts_isnull, exec->weights[i]);
		else
			combine_group(exec, row->hash, input->tts_values, input->tts_isnull);
		MemoryContextSwitchTo(old);
	}
	streaming_state_settle(exec->table);	/* and the next may be of the same groups */
}
