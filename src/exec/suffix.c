/*
 * suffix.c
 *		Rows that have come or gone, for partitions whose ends are computed anew
 *		(query/suffix.c): the statements read them as "$touched".
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
streaming_suffix_touch(StreamingStageExec *exec, TupleTableSlot *row, int64 group)
{
	StreamingEdge *edge = exec->edges[0].edge;
	int			n = edge->ncolumns;
	Datum		values[MaxTupleAttributeNumber];
	bool		isnull[MaxTupleAttributeNumber];

	if (exec->touched_rows == NULL)
		exec->touched_rows = begin_touched(exec);
	memcpy(values, row->tts_values, sizeof(Datum) * n);
	memcpy(isnull, row->tts_isnull, sizeof(bool) * n);
	values[STREAMING_EDGE_COUNT(edge) - 1] = Int64GetDatum(1);
	values[STREAMING_EDGE_GROUP(edge) - 1] = Int64GetDatum(group);
	isnull[STREAMING_EDGE_COUNT(edge) - 1] = isnull[STREAMING_EDGE_GROUP(edge) - 1] = false;
	tuplestore_putvalues(exec->touched_rows->store, exec->touched_rows->desc, values, isnull);
	exec->touched_rows->nrows++;
}

StreamingDelta *
streaming_suffix_take(StreamingStageExec *exec)
{
	StreamingDelta *touched = exec->touched_rows;

	exec->touched_rows = NULL;
	return touched;
}
