/*
 * session.c
 *		GROUP BY streaming.session(at, gap): which queries it is kept for.
 *
 * What a session is depends on other rows, so the call is never evaluated: it is
 * a key of a stage of its own kind (exec/merge_session.c), whose statement groups by
 * the time itself.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "query/compile.h"

FuncExpr *
streaming_session_call(Node *expr)
{
	FuncExpr   *call = (FuncExpr *) expr;

	if (expr && IsA(expr, FuncExpr) && streaming_is_our_function(call->funcid, "session"))
		return call;
	return NULL;
}

static void
refuse(const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views do not support %s", what),
			 errhint("%s", hint)));
}

FuncExpr *
streaming_take_session(Query *query)
{
	FuncExpr   *found = NULL;
	SortGroupClause *clause = NULL;
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(lc), query->targetList);
		FuncExpr   *call = streaming_session_call((Node *) tle->expr);

		if (call && found)
			refuse("more than one session window in GROUP BY", "Make a continuous view of each.");
		if (call)
		{
			found = call;
			clause = lfirst(lc);
		}
	}
	if (clause)
		query->groupClause = lappend(list_delete_ptr(query->groupClause, clause), clause);
	return found;
}

int64
streaming_session_gap(FuncExpr *call)
{
	Interval   *gap = streaming_constant_interval(lsecond(call->args));
	int64		usecs;

	if (gap == NULL || gap->month != 0)
		refuse("a session window whose gap is not a constant without months",
			   "Write the gap as a literal such as '5 minutes'.");
	usecs = gap->day * USECS_PER_DAY + gap->time;
	if (usecs <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("gap of a session window must be greater than zero")));
	return usecs;
}

/* Aggregations below are stages of their own. */
static bool
session_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (streaming_session_call(node))
		refuse("streaming.session in this place",
			   "Name it in GROUP BY and as a column of the select list of the same query.");
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		return !streaming_is_aggregation(query) &&
			query_tree_walker(query, session_walker, context, 0);
	}
	return expression_tree_walker(node, session_walker, context);
}

void
streaming_refuse_sessions(Node *node)
{
	if (node && IsA(node, Query))
		(void) query_tree_walker((Query *) node, session_walker, NULL, 0);
	else
		(void) session_walker(node, NULL);
}

void
streaming_session_check(StreamingStage *stage, StreamingStage *below, const char *uncombinable)
{
	if (below)
		refuse("session windows over an aggregation", "Group the stream itself by the session.");
	if (stage->signed_input)
		refuse("session windows over a continuous view whose rows can disappear",
			   "Group the stream itself by the session.");
	if (uncombinable)
		refuse(psprintf("aggregate %s in a session window", uncombinable),
			   "Use aggregates that can be combined, such as count, sum, avg, min and max, without DISTINCT and ORDER BY.");
}
