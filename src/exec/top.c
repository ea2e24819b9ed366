/*
 * top.c
 *		Of the rows that come to a stage the first ones of each partition, by an order.
 *
 * Of each partition that has come, a heap holds the rows that are first so far, the last of
 * them on top: a row that is behind it is dropped without having been copied.  When that
 * takes too much memory the rows are merged, and it begins anew: more rows are kept then than
 * is necessary, until their partitions are pruned (prune.c).
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"

#include "exec/stage.h"
#include "streaming.h"

/* Places for groups at first, a power of 2. */
#define FIRST_GROUPS	64

/* Bytes that rows may take in any case: fewer would be merged one by one. */
#define LEAST_MEMORY	(64 * 1024)

/* A row, with what it is ordered by, in one piece of memory. */
typedef struct TopRow
{
	MinimalTuple tuple;
	Datum		order[FLEXIBLE_ARRAY_MEMBER];	/* and after them, whether they are NULL */
} TopRow;

typedef struct TopGroup
{
	int64		hash;
	int			nrows;			/* 0: this is none */
	int			max_rows;
	TopRow	  **rows;			/* a heap: none is behind the first */
} TopGroup;

struct StreamingTopExec
{
	StreamingTop *top;
	StreamingEdgeExec *edge;
	StreamingGroupKey *key;		/* of the columns of the partition */
	SortSupport order;
	Datum	   *values;			/* space for the columns of the partition, of two rows */
	bool	   *isnull;

	/* for one batch */
	MemoryContext context;
	TopGroup   *groups;			/* open addressing; NULL: none yet */
	uint32		size;			/* a power of 2 */
	uint32		ngroups;
	TupleTableSlot *slot;		/* a row that is held, as it is kept */
};

/* ---- Rows ---- */

static bool *
order_nulls(StreamingTopExec *exec, TopRow *row)
{
	return (bool *) &row->order[exec->top->norder];
}

/* The row in slot and one that is held. */
static int
compare_slot(StreamingTopExec *exec, TupleTableSlot *slot, TopRow *row)
{
	bool	   *nulls = order_nulls(exec, row);

	for (int i = 0; i < exec->top->norder; i++)
	{
		int			column = exec->top->order[i].column;
		int			result = ApplySortComparator(slot->tts_values[column], slot->tts_isnull[column],
												 row->order[i], nulls[i], &exec->order[i]);

		if (result != 0)
			return result;
	}
	return 0;
}

static int
compare_rows(StreamingTopExec *exec, TopRow *a, TopRow *b)
{
	bool	   *a_nulls = order_nulls(exec, a);
	bool	   *b_nulls = order_nulls(exec, b);

	for (int i = 0; i < exec->top->norder; i++)
	{
		int			result = ApplySortComparator(a->order[i], a_nulls[i], b->order[i], b_nulls[i],
												 &exec->order[i]);

		if (result != 0)
			return result;
	}
	return 0;
}

/* A copy of the row in slot, which then is in exec->slot. */
static TopRow *
copy_row(StreamingTopExec *exec, TupleTableSlot *slot)
{
	int			n = exec->top->norder;
	MemoryContext old = MemoryContextSwitchTo(exec->context);
	TopRow	   *row = palloc(offsetof(TopRow, order) + (sizeof(Datum) + sizeof(bool)) * n);
	bool	   *nulls = order_nulls(exec, row);

	row->tuple = ExecCopySlotMinimalTuple(streaming_edge_form(exec->edge, slot,
															  streaming_edge_hash(exec->edge, slot)));
	MemoryContextSwitchTo(old);
	ExecForceStoreMinimalTuple(row->tuple, exec->slot, false);
	slot_getallattrs(exec->slot);
	for (int i = 0; i < n; i++)
	{
		row->order[i] = exec->slot->tts_values[exec->top->order[i].column];
		nulls[i] = exec->slot->tts_isnull[exec->top->order[i].column];
	}
	return row;
}

static void
free_row(TopRow *row)
{
	pfree(row->tuple);
	pfree(row);
}

/* ---- Groups ---- */

static void
copy_partition(StreamingTopExec *exec, int space, Datum *values, bool *isnull)
{
	int			n = exec->top->npartition;

	for (int i = 0; i < n; i++)
	{
		exec->values[space * n + i] = values[exec->top->partition[i].column];
		exec->isnull[space * n + i] = isnull[exec->top->partition[i].column];
	}
}

static void
read_partition(StreamingTopExec *exec, int space, TupleTableSlot *slot)
{
	copy_partition(exec, space, slot->tts_values, slot->tts_isnull);
}

/* Is the partition whose columns are in the first space that of a group? */
static bool
is_group(StreamingTopExec *exec, TopGroup *group)
{
	int			n = exec->top->npartition;

	ExecForceStoreMinimalTuple(group->rows[0]->tuple, exec->slot, false);
	slot_getallattrs(exec->slot);
	read_partition(exec, 1, exec->slot);
	return streaming_group_equal(exec->key, exec->values, exec->isnull, exec->values + n,
								 exec->isnull + n);
}

static uint32
place_of(StreamingTopExec *exec, int64 hash)
{
	return (uint32) ((uint64) hash >> 32) & (exec->size - 1);
}

static void
resize(StreamingTopExec *exec, uint32 size)
{
	TopGroup   *old = exec->groups;
	uint32		old_size = exec->size;

	exec->groups = MemoryContextAllocExtended(exec->context, sizeof(TopGroup) * (Size) size,
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	exec->size = size;
	for (uint32 i = 0; old && i < old_size; i++)
	{
		uint32		place = place_of(exec, old[i].hash);

		if (old[i].nrows == 0)
			continue;
		while (exec->groups[place].nrows > 0)
			place = (place + 1) & (size - 1);
		exec->groups[place] = old[i];
	}
	if (old)
		pfree(old);
}

/* The group of the row in slot, which may be new. */
static TopGroup *
find_group(StreamingTopExec *exec, TupleTableSlot *slot)
{
	int64		hash;
	uint32		place;

	read_partition(exec, 0, slot);
	hash = streaming_group_hash(exec->key, exec->values, exec->isnull);
	if (exec->groups == NULL || exec->ngroups >= exec->size / 2)
		resize(exec, exec->groups ? exec->size * 2 : FIRST_GROUPS);
	for (place = place_of(exec, hash); exec->groups[place].nrows > 0;
		 place = (place + 1) & (exec->size - 1))
	{
		TopGroup   *group = &exec->groups[place];

		if (group->hash == hash && is_group(exec, group))
			return group;
	}
	exec->groups[place].hash = hash;
	exec->ngroups++;
	return &exec->groups[place];
}

/* Puts a row into a heap whose place is free, as are those on the way up from it. */
static void
sift_up(StreamingTopExec *exec, TopGroup *group, int place, TopRow *row)
{
	while (place > 0)
	{
		int			above = (place - 1) / 2;

		if (compare_rows(exec, row, group->rows[above]) <= 0)
			break;
		group->rows[place] = group->rows[above];
		place = above;
	}
	group->rows[place] = row;
}

/* Puts a row into a full heap, whose top is free. */
static void
sift_down(StreamingTopExec *exec, TopGroup *group, TopRow *row)
{
	int			place = 0;

	for (int child; (child = 2 * place + 1) < group->nrows; place = child)
	{
		if (child + 1 < group->nrows &&
			compare_rows(exec, group->rows[child + 1], group->rows[child]) > 0)
			child++;
		if (compare_rows(exec, row, group->rows[child]) >= 0)
			break;
		group->rows[place] = group->rows[child];
	}
	group->rows[place] = row;
}

static void
add_to_group(StreamingTopExec *exec, TopGroup *group, TupleTableSlot *slot)
{
	if (group->nrows == exec->top->most)
	{
		TopRow	   *last = group->rows[0];

		if (compare_slot(exec, slot, last) >= 0)
			return;
		sift_down(exec, group, copy_row(exec, slot));
		free_row(last);
		return;
	}
	if (group->nrows == group->max_rows)
	{
		group->max_rows = Min(Max(group->max_rows * 2, 1), exec->top->most);
		group->rows = group->rows ? repalloc(group->rows, sizeof(TopRow *) * group->max_rows) :
			MemoryContextAlloc(exec->context, sizeof(TopRow *) * group->max_rows);
	}
	group->nrows++;
	sift_up(exec, group, group->nrows - 1, copy_row(exec, slot));
}

/* ---- Other rows ---- */

int
streaming_top_compare(StreamingTopExec *exec, Datum *a, bool *a_null, Datum *b, bool *b_null)
{
	for (int i = 0; i < exec->top->norder; i++)
	{
		int			column = exec->top->order[i].column;
		int			result = ApplySortComparator(a[column], a_null[column], b[column], b_null[column],
												 &exec->order[i]);

		if (result != 0)
			return result;
	}
	return 0;
}

bool
streaming_top_same_partition(StreamingTopExec *exec, Datum *a, bool *a_null, Datum *b, bool *b_null)
{
	int			n = exec->top->npartition;

	copy_partition(exec, 0, a, a_null);
	copy_partition(exec, 1, b, b_null);
	return streaming_group_equal(exec->key, exec->values, exec->isnull, exec->values + n,
								 exec->isnull + n);
}

/* ---- A stage's ---- */

StreamingTopExec *
streaming_top_open(StreamingEdgeExec *edge)
{
	StreamingTop *top = edge->edge->top;
	StreamingTopExec *exec = palloc0(sizeof(StreamingTopExec));
	StreamingValue *partition = palloc0(sizeof(StreamingValue) * Max(top->npartition, 1));

	exec->top = top;
	exec->edge = edge;
	for (int i = 0; i < top->npartition; i++)
	{
		partition[i].type = edge->edge->columns[top->partition[i].column].type;
		partition[i].collation = top->partition[i].collation;
		partition[i].eqop = top->partition[i].eqop;
	}
	exec->key = streaming_group_key(partition, top->npartition, NULL, 0);
	exec->order = palloc0(sizeof(SortSupportData) * Max(top->norder, 1));
	for (int i = 0; i < top->norder; i++)
	{
		exec->order[i].ssup_cxt = CurrentMemoryContext;
		exec->order[i].ssup_collation = top->order[i].collation;
		exec->order[i].ssup_nulls_first = top->order[i].nulls_first;
		exec->order[i].ssup_attno = top->order[i].column + 1;
		PrepareSortSupportFromOrderingOp(top->order[i].sortop, &exec->order[i]);
	}
	exec->values = palloc(sizeof(Datum) * 2 * Max(top->npartition, 1));
	exec->isnull = palloc(sizeof(bool) * 2 * Max(top->npartition, 1));
	return exec;
}

void
streaming_top_begin(StreamingStageExec *stage)
{
	StreamingTopExec *exec = stage->current->top;

	exec->groups = NULL;
	exec->ngroups = exec->size = 0;
	exec->slot = NULL;
	exec->context = AllocSetContextCreate(stage->batch_context, "streaming first rows",
										  ALLOCSET_DEFAULT_SIZES);
}

void
streaming_top_add(StreamingStageExec *stage, TupleTableSlot *slot)
{
	StreamingTopExec *exec = stage->current->top;
	MemoryContext old = MemoryContextSwitchTo(exec->context);

	if (exec->slot == NULL)
		exec->slot = MakeSingleTupleTableSlot(exec->edge->rows_desc, &TTSOpsMinimalTuple);
	slot_getallattrs(slot);
	/* a type's functions may leave something behind */
	ResetExprContext(stage->econtext);
	MemoryContextSwitchTo(stage->econtext->ecxt_per_tuple_memory);
	add_to_group(exec, find_group(exec, slot), slot);
	MemoryContextSwitchTo(old);
}

bool
streaming_top_is_full(StreamingStageExec *stage)
{
	return MemoryContextMemAllocated(stage->current->top->context, false) >
		Max((Size) streaming_work_mem * 1024L / 2, LEAST_MEMORY);
}

void
streaming_top_take(StreamingStageExec *stage)
{
	StreamingTopExec *exec = stage->current->top;

	for (uint32 i = 0; i < exec->size; i++)
	{
		TopGroup   *group = &exec->groups[i];

		for (int k = 0; k < group->nrows; k++)
		{
			bool		isnull;

			ExecForceStoreMinimalTuple(group->rows[k]->tuple, exec->slot, false);
			streaming_add_held(stage,
							   DatumGetInt64(slot_getattr(exec->slot, STREAMING_EDGE_GROUP(exec->edge->edge),
														  &isnull)),
							   group->rows[k]->tuple);
		}
	}
	if (exec->slot)
		ExecClearTuple(exec->slot);
}

void
streaming_top_reset(StreamingStageExec *stage)
{
	StreamingTopExec *exec = stage->current->top;

	if (exec->slot)
		ExecDropSingleTupleTableSlot(exec->slot);
	MemoryContextDelete(exec->context);
	streaming_top_begin(stage);
}
