/*
 * first_rows.c
 *		The first rows of partitions, which are all that is kept of them, and those that come.
 *
 * Where the result is columns of these rows and their numbers (query/compile_top.c), they are
 * merged here, partition by partition, and what has changed is written over what it replaces:
 *
 *		stored		a 1, c 2
 *		come		b			──▶	a 1, b 2			c 2 ──▶ b 2
 *
 * What a batch brings is merged at once, so each row of the table is written once.  Where it does
 * not fit into memory at once a statement computes the partitions (partition.c).
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"

#include "exec/stage.h"
#include "streaming.h"

/* A row that is stored, or has come. */
typedef struct Candidate
{
	Datum	   *columns;		/* of the edge */
	bool	   *nulls;
	int			partition;		/* of those with the hash, which are few */
	int			stored;			/* which of the stored rows; -1: it has come */
	int64		number;			/* of those that are stored, if they are numbered */
} Candidate;

/* A stored row. */
typedef struct Stored
{
	StreamingStatePlace place;
	Datum	   *values;			/* group and keys */
	bool	   *isnull;
	int64		count;
	int64		left;			/* of these that stay as they are */
} Stored;

typedef struct Merge
{
	StreamingStageExec *exec;
	StreamingTopExec *top;
	TupleTableSlot *copy;		/* of a stored row */
	int			number_key;		/* the key that is the number; -1: none is */
	Candidate  *candidates;
	int			ncandidates;
	int			max_candidates;
	Stored	   *stored;
	int			nstored;
	int			max_stored;
} Merge;

static int
number_key(StreamingStage *stage)
{
	for (int i = 0; i < stage->nkeys; i++)
	{
		if (stage->first_keys[i] < 0)
			return i;
	}
	return -1;
}

/* ---- Candidates ---- */

static Candidate *
add_candidate(Merge *merge, Datum *columns, bool *nulls)
{
	Candidate  *candidate;

	if (merge->ncandidates == merge->max_candidates)
	{
		merge->max_candidates = Max(merge->max_candidates * 2, 16);
		merge->candidates = merge->candidates == NULL ?
			MemoryContextAlloc(merge->exec->batch_context, sizeof(Candidate) * merge->max_candidates) :
			repalloc_huge(merge->candidates, sizeof(Candidate) * merge->max_candidates);
	}
	candidate = &merge->candidates[merge->ncandidates];
	candidate->columns = columns;
	candidate->nulls = nulls;
	candidate->stored = -1;
	candidate->number = 0;
	candidate->partition = 0;
	/* it is the first of its partition, or of that of one before, mostly the last */
	for (int i = merge->ncandidates - 1; i >= 0; i--)
	{
		Candidate  *other = &merge->candidates[i];

		candidate->partition = Max(candidate->partition, other->partition + 1);
		if (!streaming_top_same_partition(merge->top, columns, nulls, other->columns, other->nulls))
			continue;
		candidate->partition = other->partition;
		break;
	}
	merge->ncandidates++;
	return candidate;
}

/* The row that is in table->stored, so often as it is there. */
static void
add_stored(Merge *merge)
{
	StreamingStageExec *exec = merge->exec;
	StreamingStage *stage = exec->stage;
	StreamingEdge *edge = exec->edges[0].edge;
	Datum	   *columns = palloc(sizeof(Datum) * edge->ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * edge->ncolumns);
	Stored	   *stored;

	if (merge->nstored == merge->max_stored)
	{
		merge->max_stored = Max(merge->max_stored * 2, 16);
		merge->stored = merge->stored == NULL ?
			MemoryContextAlloc(exec->batch_context, sizeof(Stored) * merge->max_stored) :
			repalloc_huge(merge->stored, sizeof(Stored) * merge->max_stored);
	}
	stored = &merge->stored[merge->nstored];
	stored->place = streaming_state_place(exec->table);
	stored->values = palloc(sizeof(Datum) * (stage->nkeys + 1));
	stored->isnull = palloc(sizeof(bool) * (stage->nkeys + 1));
	/* a copy, since the page may be pruned for the next one */
	ExecForceStoreHeapTuple(ExecCopySlotHeapTuple(exec->table->stored), merge->copy, false);
	stored->count = streaming_partition_read(stage, merge->copy, stored->values, stored->isnull);
	for (int i = 0; i < stage->nkeys; i++)
	{
		if (stage->first_keys[i] < 0)
			continue;
		columns[stage->first_keys[i]] = stored->values[i + 1];
		nulls[stage->first_keys[i]] = stored->isnull[i + 1];
	}
	stored->left = 0;
	for (int64 n = 0; n < stored->count; n++)
	{
		Candidate  *candidate = add_candidate(merge, columns, nulls);

		candidate->stored = merge->nstored;
		if (merge->number_key >= 0)
			candidate->number = DatumGetInt64(stored->values[merge->number_key + 1]);
	}
	merge->nstored++;
}

/* Of those that are equal by the order the ones that are stored stay first, as they were. */
static int
compare_candidates(const void *a, const void *b, void *arg)
{
	const Candidate *one = a;
	const Candidate *other = b;
	int			result;

	if (one->partition != other->partition)
		return one->partition < other->partition ? -1 : 1;
	result = streaming_top_compare(arg, one->columns, one->nulls, other->columns, other->nulls);
	if (result != 0)
		return result;
	if ((one->stored < 0) != (other->stored < 0))
		return one->stored < 0 ? 1 : -1;
	return one->number < other->number ? -1 : one->number > other->number;
}

/* ---- Changes ---- */

/* (group, keys) of a row with that number. */
static void
make_row(Merge *merge, Candidate *candidate, int64 group, int64 number, Datum *values, bool *isnull)
{
	StreamingStage *stage = merge->exec->stage;

	values[0] = Int64GetDatum(group);
	isnull[0] = false;
	for (int i = 0; i < stage->nkeys; i++)
	{
		int			column = stage->first_keys[i];

		values[i + 1] = column < 0 ? Int64GetDatum(number) : candidate->columns[column];
		isnull[i + 1] = column < 0 ? false : candidate->nulls[column];
	}
}

/* Does a row stay as it is? */
static bool
stays(Merge *merge, Candidate *candidate, int64 number)
{
	return candidate->stored >= 0 && (merge->number_key < 0 || candidate->number == number);
}

/*
 * Lets those be first that are among the first, in the order of their numbers, which are
 * returned.
 */
static int64 *
choose(Merge *merge)
{
	int64		most = merge->exec->edges[0].edge->top->most;
	int64	   *numbers = palloc(sizeof(int64) * Max(merge->ncandidates, 1));
	int64		number = 0;
	int			n = 0;

	for (int i = 0; i < merge->ncandidates; i++)
	{
		Candidate  *candidate = &merge->candidates[i];

		number = i > 0 && candidate->partition == merge->candidates[i - 1].partition ? number + 1 : 1;
		if (number > most)
			continue;
		if (stays(merge, candidate, number))
			merge->stored[candidate->stored].left++;
		numbers[n] = number;
		merge->candidates[n++] = *candidate;
	}
	merge->ncandidates = n;
	return numbers;
}

/*
 * May a row that comes be equal to one that stays, or comes, too?  Or do some of those that are
 * stored as one row go?
 */
static bool
has_equal_rows(Merge *merge)
{
	for (int i = 0; i < merge->nstored; i++)
	{
		if (merge->stored[i].left > 0 && merge->stored[i].left < merge->stored[i].count)
			return true;
	}
	for (int i = 1; i < merge->ncandidates && merge->number_key < 0; i++)
	{
		Candidate  *one = &merge->candidates[i - 1];
		Candidate  *other = &merge->candidates[i];

		if ((one->stored < 0 || other->stored < 0) && one->partition == other->partition &&
			streaming_top_compare(merge->top, one->columns, one->nulls, other->columns,
								  other->nulls) == 0)
			return true;
	}
	return false;
}

static void
weigh_row(StreamingStageExec *exec, TupleTableSlot *slot, Datum *values, bool *isnull, int64 weight)
{
	int			n = exec->stage->nkeys + 1;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(Datum) * n);
	memcpy(slot->tts_isnull, isnull, sizeof(bool) * n);
	slot->tts_values[n] = Int64GetDatum(weight);
	slot->tts_isnull[n] = false;
	streaming_weigh(exec, exec->row_key, ExecStoreVirtualTuple(slot), true);
}

/* The partitions of a hash, whose candidates there are. */
static void
merge_partitions(Merge *merge, int64 group, TupleTableSlot *weighed)
{
	StreamingStageExec *exec = merge->exec;
	StreamingStage *stage = exec->stage;
	Datum	   *values = palloc(sizeof(Datum) * (stage->nkeys + 1));
	bool	   *isnull = palloc(sizeof(bool) * (stage->nkeys + 1));
	StreamingFreePlaces freed = {palloc_array(StreamingStatePlace, Max(merge->nstored, 1)), 0};
	int64	   *numbers;
	bool		weighs;

	qsort_arg(merge->candidates, merge->ncandidates, sizeof(Candidate), compare_candidates, merge->top);
	numbers = choose(merge);
	weighs = has_equal_rows(merge);
	for (int i = 0; i < merge->nstored; i++)
	{
		Stored	   *stored = &merge->stored[i];

		if (stored->left == stored->count)
			continue;
		if (weighs)
			weigh_row(exec, weighed, stored->values, stored->isnull, stored->left - stored->count);
		else
		{
			freed.places[freed.n++] = stored->place;
			streaming_partition_changed(exec, -stored->count, stored->values + 1, stored->isnull + 1);
		}
	}
	for (int i = 0; i < merge->ncandidates; i++)
	{
		if (stays(merge, &merge->candidates[i], numbers[i]))
			continue;
		make_row(merge, &merge->candidates[i], group, numbers[i], values, isnull);
		if (weighs)
			weigh_row(exec, weighed, values, isnull, 1);
		else
		{
			streaming_partition_write(exec, &freed, streaming_group_hash(exec->row_key, values, isnull),
									  values, isnull, 1);
			streaming_partition_changed(exec, 1, values + 1, isnull + 1);
		}
	}
	streaming_partition_free(exec, &freed);
}

void
streaming_merge_first_rows(StreamingStageExec *exec)
{
	StreamingEdge *edge = exec->edges[0].edge;
	Merge		merge = {.exec = exec, .top = exec->edges[0].top, .number_key = number_key(exec->stage)};
	TupleTableSlot *weighed = MakeSingleTupleTableSlot(exec->stored_desc, &TTSOpsVirtual);
	TupleTableSlot *come = exec->edges[0].waiting;
	MemoryContext old = CurrentMemoryContext;

	merge.copy = MakeSingleTupleTableSlot(exec->table->desc, &TTSOpsHeapTuple);
	streaming_state_expect(exec->table, exec->npending);
	for (int begin = 0, end; begin < exec->npending; begin = end)
	{
		int64		group = exec->pending[begin].hash;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		merge.ncandidates = merge.nstored = 0;
		if (begin + STREAMING_PREFETCH_DISTANCE < exec->npending)
			streaming_state_prefetch(exec->table, STREAMING_BY_GROUP,
									 exec->pending[begin + STREAMING_PREFETCH_DISTANCE].hash);
		streaming_state_find_group(exec->table, group);
		while (streaming_state_next(exec->table))
			add_stored(&merge);
		for (end = begin; end < exec->npending && exec->pending[end].hash == group; end++)
		{
			Datum	   *columns = palloc(sizeof(Datum) * edge->ncolumns);
			bool	   *nulls = palloc(sizeof(bool) * edge->ncolumns);

			ExecForceStoreMinimalTuple(exec->pending[end].tuple, come, false);
			slot_getallattrs(come);
			memcpy(columns, come->tts_values, sizeof(Datum) * edge->ncolumns);
			memcpy(nulls, come->tts_isnull, sizeof(bool) * edge->ncolumns);
			(void) add_candidate(&merge, columns, nulls);
		}
		merge_partitions(&merge, group, weighed);
		MemoryContextSwitchTo(old);
	}
	ExecClearTuple(come);
	ExecDropSingleTupleTableSlot(weighed);
	ExecDropSingleTupleTableSlot(merge.copy);
	streaming_state_settle(exec->table);
	streaming_stop_point("partition_computed");
	streaming_partition_put(exec);
}
