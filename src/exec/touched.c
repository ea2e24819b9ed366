/*
 * touched.c
 *		Rows that a batch has touched, of stages whose statements read them as "$touched":
 *		where the ends of partitions are computed anew (query/suffix.c), those that have come
 *		or gone; where the result is all that is kept (query/compile_top.c), those that have
 *		come, and of their partitions those that were there.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "exec/stage.h"

static StreamingDelta *
begin_touched(StreamingStageExec *exec)
{
	MemoryContext old = MemoryContextSwitchTo(exec->batch_context);
	StreamingDelta *touched = palloc0(sizeof(StreamingDelta));

	touched->name = "$touched";
	touched->desc = exec->edges[0].rows_desc;
	touched->store = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(old);
	return touched;
}

void
streaming_touch_row(StreamingStageExec *exec, Datum *columns, bool *nulls, int64 group)
{
	StreamingEdge *edge = exec->edges[0].edge;
	int			n = edge->ncolumns;
	Datum		values[MaxTupleAttributeNumber];
	bool		isnull[MaxTupleAttributeNumber];

	if (exec->touched_rows == NULL)
		exec->touched_rows = begin_touched(exec);
	memcpy(values, columns, sizeof(Datum) * n);
	memcpy(isnull, nulls, sizeof(bool) * n);
	values[STREAMING_EDGE_COUNT(edge) - 1] = Int64GetDatum(1);
	values[STREAMING_EDGE_GROUP(edge) - 1] = Int64GetDatum(group);
	isnull[STREAMING_EDGE_COUNT(edge) - 1] = isnull[STREAMING_EDGE_GROUP(edge) - 1] = false;
	tuplestore_putvalues(exec->touched_rows->store, exec->touched_rows->desc, values, isnull);
	exec->touched_rows->nrows++;
}

StreamingDelta *
streaming_take_touched(StreamingStageExec *exec)
{
	StreamingDelta *touched = exec->touched_rows;

	exec->touched_rows = NULL;
	return touched;
}
