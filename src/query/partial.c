/*
 * partial.c
 *		Makes the planner stop an aggregation half way.
 *
 * A statement prepared with the cursor option STREAMING_CURSOR_OPT_PARTIAL must
 * be a plain GROUP BY whose select list holds only grouping expressions and
 * aggregate calls.  It is planned as any other; then its Agg node is told to
 * hand out transition states (serialized where their type is "internal")
 * instead of results, which is what the planner itself asks of the lower half
 * of a parallel aggregation (see AGGSPLIT_INITIAL_SERIAL in nodes/nodes.h).
 *
 * The mark is a bit of the cursor options, so that statements planned inside
 * functions that the aggregation calls are not touched.
 */
#include "postgres.h"

#include "nodes/plannodes.h"
#include "optimizer/planner.h"

#include "query/program.h"

static planner_hook_type prev_planner_hook = NULL;

static void
split_aggregation(PlannedStmt *stmt)
{
	Agg		   *agg = (Agg *) stmt->planTree;
	ListCell   *lc;

	if (!IsA(agg, Agg) || agg->plan.qual != NIL || agg->groupingSets != NIL ||
		agg->aggsplit != AGGSPLIT_SIMPLE)
		elog(ERROR, "partial aggregation has an unexpected plan");

	agg->aggsplit = AGGSPLIT_INITIAL_SERIAL;
	foreach(lc, agg->plan.targetlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (IsA(tle->expr, Aggref))
			mark_partial_aggref((Aggref *) tle->expr, AGGSPLIT_INITIAL_SERIAL);
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
