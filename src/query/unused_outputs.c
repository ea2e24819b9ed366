/*
 * unused_outputs.c
 *		Columns of a subquery that the query around it does not name become NULL.
 *
 *	SELECT k, count(*) FROM (SELECT *, sum(x) OVER w AS s FROM input WINDOW w AS ...) q GROUP BY k, s
 *
 * The planner does the same, but later: what a stage keeps of its inputs is known when the
 * query is compiled, and a column that nobody reads would be kept for nothing.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"

#include "query/partition.h"

typedef struct UseContext
{
	int			rti;
	Index		level;
	Bitmapset  *used;			/* columns of it that are named */
	bool		whole;			/* so is the row as a whole */
} UseContext;

static bool
use_walker(Node *node, UseContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno != context->rti || var->varlevelsup != context->level)
			return false;
		if (var->varattno > 0)
			context->used = bms_add_member(context->used, var->varattno);
		else
			context->whole = true;
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		context->level++;
		result = query_tree_walker((Query *) node, use_walker, context, 0);
		context->level--;
		return result;
	}
	return expression_tree_walker(node, use_walker, context);
}

/* May a column be NULL as well?  What a flag or clause of the query stands for stays. */
static bool
is_dispensable(TargetEntry *tle)
{
	Node	   *expr = (Node *) tle->expr;

	return !tle->resjunk && tle->ressortgroupref == 0 && !IsA(expr, Const) &&
		!contain_agg_clause(expr) && !contain_window_function(expr) &&
		!contain_subplans(expr) && !expression_returns_set(expr) &&
		!contain_volatile_functions(expr);
}

void
streaming_drop_unused_outputs(Query *query, int rti)
{
	UseContext	context = {.rti = rti};
	Query	   *subquery = rt_fetch(rti, query->rtable)->subquery;
	ListCell   *lc;

	if (query->setOperations || subquery->setOperations ||
		(subquery->distinctClause && !subquery->hasDistinctOn))
		return;
	(void) query_tree_walker(query, use_walker, &context, 0);
	if (context.whole)
		return;
	foreach(lc, subquery->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) tle->expr;

		if (is_dispensable(tle) && !bms_is_member(tle->resno, context.used))
			tle->expr = (Expr *) makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr));
	}
}
