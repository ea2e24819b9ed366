/*
 * partial.c
 *		Makes the planner stop an aggregation half way.
 *
 * A statement prepared with the cursor option STREAMING_CURSOR_OPT_PARTIAL must
 * be a plain GROUP BY whose select list holds only grouping expressions and
 * aggregate calls.  It is planned as any other; then its Agg node is told to
 * hand out transition states (serialized where their type is "internal")
 * instead of results, which is what the planner itself asks of the lower half
 * of a parallel aggregation (see AGGSPLIT_INITIAL_SERIAL in nodes/nodes.h).  Of a
 * parallel plan it is the upper half, which combines what the workers hand up.
 *
 * The mark is a bit of the cursor options, so that statements planned inside
 * functions that the aggregation calls are not touched.
 */
#include "postgres.h"

#include "nodes/plannodes.h"
#include "optimizer/planner.h"

#include "query/program.h"

/* Combines states, but hands out states again: between the planner's two halves. */
#define AGGSPLIT_BETWEEN \
	((AggSplit) (AGGSPLIT_INITIAL_SERIAL | AGGSPLIT_FINAL_DESERIAL))

static planner_hook_type prev_planner_hook = NULL;

static void
split_aggregation(PlannedStmt *stmt)
{
	Agg		   *agg = (Agg *) stmt->planTree;
	AggSplit	split;
	ListCell   *lc;

	if (!IsA(agg, Agg) || agg->plan.qual != NIL || agg->groupingSets != NIL ||
		(agg->aggsplit != AGGSPLIT_SIMPLE && agg->aggsplit != AGGSPLIT_FINAL_DESERIAL))
		elog(ERROR, "partial aggregation has an unexpected plan");

	split = agg->aggsplit == AGGSPLIT_SIMPLE ? AGGSPLIT_INITIAL_SERIAL : AGGSPLIT_BETWEEN;
	agg->aggsplit = split;
	foreach(lc, agg->plan.targetlist)
	{
		Aggref	   *aggref = (Aggref *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(aggref, Aggref))
			continue;
		aggref->aggsplit = AGGSPLIT_SIMPLE; /* as mark_partial_aggref wants it */
		mark_partial_aggref(aggref, split);
	}
}

static PlannedStmt *
streaming_planner(Query *parse, const char *query_string, int cursor_options,
				  ParamListInfo params)
{
	bool		partial = (cursor_options & STREAMING_CURSOR_OPT_PARTIAL) != 0;
	PlannedStmt *stmt;

	cursor_options &= ~STREAMING_CURSOR_OPT_PARTIAL;
	if (prev_planner_hook)
		stmt = prev_planner_hook(parse, query_string, cursor_options, params);
	else
		stmt = standard_planner(parse, query_string, cursor_options, params);
	if (partial)
		split_aggregation(stmt);
	return stmt;
}

void
streaming_query_init(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = streaming_planner;
}
