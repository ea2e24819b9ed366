/*
 * close.c
 *		Groups that the watermark has passed: hands them up, removes their state; and
 *		rows of joins.
 *
 * They are found by the index on "$closes", in its order, from where the last
 * batch stopped to the new watermark; so it costs what has closed, and passes
 * over what was removed before.  One row at a time is in memory.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"

#include "exec/stage.h"

static void
close_table(StreamingStageExec *exec, TimestampTz from, TimestampTz upto)
{
	StreamingStage *stage = exec->stage;
	StreamingStateTable *table = exec->table;
	MemoryContext old = CurrentMemoryContext;

	if (stage->emits_closed && stage->result_table)
		exec->result = streaming_state_open(stage->result_table, stage->result_desc, 0,
											 exec->result_kept);
	streaming_state_find_until(table, stage->closes_attno, from, upto);
	while (streaming_state_next_until(table))
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(exec->econtext);
		MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
		streaming_close_group(exec, table->stored);
		MemoryContextSwitchTo(old);
	}
	if (exec->result)
		streaming_stage_close_table(exec, exec->result);
	exec->result = NULL;
}

static void
close_bag(StreamingStageExec *exec, TimestampTz from, TimestampTz upto)
{
	StreamingStage *stage = exec->stage;
	StreamingStateTable *bag = streaming_state_open(stage->bag_table, stage->bag_desc,
													STREAMING_BAG_HASH(stage), exec->bag_kept);

	streaming_state_find_until(bag, stage->bag_closes_attno, from, upto);
	while (streaming_state_next_until(bag))
	{
		CHECK_FOR_INTERRUPTS();
		streaming_state_delete(bag, bag->stored);
	}
	streaming_stage_close_table(exec, bag);
}

static TimestampTz
earlier(TimestampTz time, int64 lag)
{
	return TIMESTAMP_NOT_FINITE(time) || time < MIN_TIMESTAMP + lag ? DT_NOBEGIN : time - lag;
}

static void
close_edge(StreamingEdgeExec *edge, TimestampTz from, TimestampTz upto)
{
	streaming_state_find_until(edge->table, edge->edge->closes_attno,
							   earlier(from, edge->edge->lag), earlier(upto, edge->edge->lag));
	while (streaming_state_next_until(edge->table))
	{
		CHECK_FOR_INTERRUPTS();
		streaming_state_delete(edge->table, edge->table->stored);
	}
}

/* Rows that can be joined no more.  First those that have met none ask all the others. */
void
streaming_close_edges(StreamingStageExec *exec, TimestampTz from, TimestampTz upto)
{
	StreamingStage *stage = exec->stage;

	for (int i = 0; i < stage->nedges; i++)
		streaming_state_flush(exec->edges[i].table);
	CommandCounterIncrement();
	for (int i = 0; i < stage->nedges; i++)
	{
		if (stage->edges[i].unmatched_sql)
			streaming_join_unmatched(exec, &exec->edges[i], upto);
	}
	for (int i = 0; i < stage->nedges; i++)
	{
		if (stage->edges[i].closes && stage->edges[i].lag >= 0)
			close_edge(&exec->edges[i], from, upto);
	}
}

void
streaming_close_groups(StreamingStageExec *exec, TimestampTz from, TimestampTz upto)
{
	streaming_state_flush(exec->table);
	/* rows of this batch can only be deleted by a later command */
	CommandCounterIncrement();
	if (exec->stage->evicts)
		close_table(exec, from, upto);
	if (exec->stage->bag_table)
		close_bag(exec, from, upto);
}
