/*
 * normalize_order.c
 *		The order in which an aggregate takes the rows of a subquery that is ordered.
 *
 *		SELECT json_agg(q.x) FROM (SELECT x FROM ... ORDER BY y) q
 *		SELECT json_agg(q.x ORDER BY q.y) FROM (SELECT x, y FROM ...) q
 *
 * The server says that the first "will usually work": it reads the rows as they come.  Rows
 * that are kept come in no order, so it is written as the second.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"

#include "query/compile.h"

typedef struct OrderContext
{
	int			rti;
	RangeTblEntry *rte;
	bool		whole_row;		/* the subquery's columns are part of a value */
} OrderContext;

static bool
depends_on_order(Aggref *aggref)
{
	switch (aggref->aggfnoid)
	{
		case F_ARRAY_AGG_ANYARRAY:
		case F_ARRAY_AGG_ANYNONARRAY:
		case F_STRING_AGG_BYTEA_BYTEA:
		case F_STRING_AGG_TEXT_TEXT:
		case F_JSON_AGG:
		case F_JSONB_AGG:
		case F_JSON_OBJECT_AGG:
		case F_JSONB_OBJECT_AGG:
		case F_XMLAGG:
			return aggref->aggorder == NIL && aggref->aggdistinct == NIL && aggref->agglevelsup == 0;
		default:
			return false;
	}
}

static bool
search_whole_row(Node *node, OrderContext *context)
{
	Var		   *var = (Var *) node;

	if (node == NULL)
		return false;
	if (IsA(var, Var) && var->varno == context->rti && var->varattno == InvalidAttrNumber)
		context->whole_row = true;
	return expression_tree_walker(node, search_whole_row, context);
}

/* The column of the subquery that it is ordered by; one more, if it selects none. */
static Var *
sorted_column(OrderContext *context, TargetEntry *tle)
{
	List	   *targets = context->rte->subquery->targetList;
	Expr	   *expr = tle->expr;
	int			n = 0;
	ListCell   *lc;

	if (tle->resjunk)
	{
		char	   *name = psprintf("$by%d", list_length(context->rte->eref->colnames));

		foreach(lc, targets)
			n += lfirst_node(TargetEntry, lc)->resjunk ? 0 : 1;
		tle->resjunk = false;
		tle->resname = name;
		targets = list_insert_nth(list_delete_ptr(targets, tle), n, tle);
		foreach(lc, targets)
			lfirst_node(TargetEntry, lc)->resno = foreach_current_index(lc) + 1;
		context->rte->subquery->targetList = targets;
		context->rte->eref->colnames = lappend(context->rte->eref->colnames, makeString(pstrdup(name)));
		if (context->rte->alias && context->rte->alias->colnames != NIL)
			context->rte->alias->colnames = lappend(context->rte->alias->colnames, makeString(pstrdup(name)));
	}
	return makeVar(context->rti, tle->resno, exprType((Node *) expr), exprTypmod((Node *) expr),
				   exprCollation((Node *) expr), 0);
}

/* The argument of an aggregate that is a column; a hidden one, if it has no such. */
static TargetEntry *
argument_of(Aggref *aggref, Var *column)
{
	Index		ref = 0;
	ListCell   *lc;
	TargetEntry *result = NULL;

	foreach(lc, aggref->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		ref = Max(ref, tle->ressortgroupref);
		if (result == NULL && equal(tle->expr, column))
			result = tle;
	}
	if (result == NULL)
	{
		result = makeTargetEntry((Expr *) column, list_length(aggref->args) + 1, NULL, true);
		aggref->args = lappend(aggref->args, result);
	}
	if (result->ressortgroupref == 0)
		result->ressortgroupref = ref + 1;
	return result;
}

static bool
order_aggregates(Node *node, OrderContext *context)
{
	Query	   *subquery = context->rte->subquery;
	Aggref	   *aggref = (Aggref *) node;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(aggref, Aggref))
		return expression_tree_walker(node, order_aggregates, context);
	if (!depends_on_order(aggref))
		return false;
	foreach(lc, subquery->sortClause)
	{
		SortGroupClause *clause = copyObject(lfirst_node(SortGroupClause, lc));
		Var		   *column = sorted_column(context, get_sortgroupclause_tle(clause, subquery->targetList));

		clause->tleSortGroupRef = argument_of(aggref, column)->ressortgroupref;
		aggref->aggorder = lappend(aggref->aggorder, clause);
	}
	return false;
}

void
streaming_normalize_order(Query *query)
{
	OrderContext context = {streaming_only_relation(query)};
	Query	   *subquery;
	ListCell   *lc;

	if (context.rti == 0 || !query->hasAggs)
		return;
	context.rte = rt_fetch(context.rti, query->rtable);
	subquery = context.rte->rtekind == RTE_SUBQUERY ? context.rte->subquery : NULL;
	if (subquery == NULL || subquery->sortClause == NIL)
		return;
	(void) query_tree_walker(query, search_whole_row, &context, QTW_IGNORE_RANGE_TABLE);
	foreach(lc, subquery->sortClause)
	{
		/* a row as a value has the columns that it has */
		if (context.whole_row && get_sortgroupclause_tle(lfirst(lc), subquery->targetList)->resjunk)
			return;
	}
	(void) order_aggregates((Node *) query->targetList, &context);
	(void) order_aggregates(query->havingQual, &context);
}
