/*
 * compile_panes.c
 *		Aggregations of rows that are each in several windows: counted by panes first.
 *
 *	SELECT k, w, count(*) FROM s, LATERAL generate_series(date_bin('2 s', t, ...) - '8 s',
 *														  date_bin('2 s', t, ...), '2 s') w
 *	GROUP BY k, w
 *
 * What a function in FROM makes of a row depends on its arguments alone, and where they
 * are pieces of time, many rows have the same.  So rows are aggregated by the other keys
 * and by these arguments, and what comes of that is given to each of the windows:
 *
 *	SELECT k, w, a FROM (SELECT k, <arguments>, count(*) AS a FROM s GROUP BY ...) p,
 *						LATERAL generate_series(<arguments>) w
 *
 * A group has a row for each of its panes; what they say is combined as what several
 * inputs say of a group is (exec/group.c).  So it must be the state already: only
 * aggregates without a final function are taken.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"

#include "query/compile.h"

typedef struct Panes
{
	int			input;			/* relations of the query */
	int			function;
	List	   *columns;		/* of Expr: what panes are told apart by, of the input */
} Panes;

/* Is node a piece of time, of which many rows have the same? */
static bool
cuts_time(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
	{
		switch (((FuncExpr *) node)->funcid)
		{
			case F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP:
			case F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ:
			case F_DATE_TRUNC_TEXT_TIMESTAMP:
			case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
			case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT:
				return true;
		}
	}
	return expression_tree_walker(node, cuts_time, context);
}

static bool
is_of(Node *node, int varno)
{
	return bms_is_subset(pull_varnos(NULL, node), bms_make_singleton(varno));
}

/* FROM is an input and a function of its rows. */
static bool
find_relations(Query *query, Panes *panes)
{
	int			rtis[2];
	RangeTblEntry *rte;
	ListCell   *lc;

	if (list_length(query->jointree->fromlist) != 2)
		return false;
	foreach(lc, query->jointree->fromlist)
	{
		if (!IsA(lfirst(lc), RangeTblRef))
			return false;
		rtis[foreach_current_index(lc)] = lfirst_node(RangeTblRef, lc)->rtindex;
	}
	panes->input = rtis[0];
	panes->function = rtis[1];
	rte = rt_fetch(panes->function, query->rtable);
	return streaming_query_input(query) == panes->input && rte->rtekind == RTE_FUNCTION &&
		list_length(rte->functions) == 1 && !rte->funcordinality;
}

/* Notes the arguments of the function; false: rows hardly share them. */
static bool
find_columns(Query *query, Panes *panes)
{
	RangeTblFunction *function = linitial(rt_fetch(panes->function, query->rtable)->functions);
	ListCell   *lc;

	if (!IsA(function->funcexpr, FuncExpr) || function->funccolnames != NIL)
		return false;
	foreach(lc, ((FuncExpr *) function->funcexpr)->args)
	{
		Node	   *arg = lfirst(lc);

		if (!contain_var_clause(arg))
			continue;
		if (!cuts_time(arg, NULL))
			return false;
		if (!list_member(panes->columns, arg))
			panes->columns = lappend(panes->columns, arg);
	}
	return panes->columns != NIL;
}

/* Can each part of the query be computed of the input, or of the function's rows? */
static bool
is_split(Query *query, StreamingStage *stage, Panes *panes)
{
	ListCell   *lc;

	if (!is_of(query->jointree->quals, panes->input))
		return false;
	foreach(lc, query->targetList)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		if (!is_of(expr, panes->input) &&
			!(foreach_current_index(lc) < stage->nkeys && is_of(expr, panes->function)))
			return false;
	}
	for (int i = 0; i < stage->naggs; i++)
	{
		StreamingAggregate *agg = &stage->aggs[i];

		if (OidIsValid(agg->finalfn) || agg->statetype != agg->aggref->aggtype)
			return false;
	}
	return true;
}

static SortGroupClause *
group_clause(Node *expr, Index ref)
{
	SortGroupClause *clause = makeNode(SortGroupClause);

	get_sort_group_operators(exprType(expr), false, true, false, &clause->sortop, &clause->eqop,
							 NULL, &clause->hashable);
	clause->tleSortGroupRef = ref;
	return clause;
}

/*
 * SELECT keys, arguments, aggregates FROM <the input> GROUP BY keys, arguments: keys of the
 * function's rows are NULL.
 */
static Query *
pane_query(Query *query, StreamingStage *stage, Panes *panes)
{
	Query	   *result = copyObject(query);
	List	   *aggregates = list_copy_tail(result->targetList, stage->nkeys);
	Index		ref = list_length(query->rtable);
	List	   *targets = NIL;
	ListCell   *lc;

	result->groupClause = NIL;
	foreach(lc, result->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int			i = foreach_current_index(lc);

		ref = Max(ref, tle->ressortgroupref);
		if (i == stage->nkeys)
			break;
		if (is_of((Node *) tle->expr, panes->input))
			result->groupClause = lappend(result->groupClause,
										  copyObject(list_nth(query->groupClause, i)));
		else
		{
			tle->expr = (Expr *) makeNullConst(exprType((Node *) tle->expr),
											   exprTypmod((Node *) tle->expr),
											   exprCollation((Node *) tle->expr));
			tle->ressortgroupref = 0;
		}
		targets = lappend(targets, tle);
	}
	foreach(lc, panes->columns)
	{
		TargetEntry *tle = makeTargetEntry(copyObject(lfirst(lc)), 0,
										   psprintf("p%d", foreach_current_index(lc) + 1), false);

		tle->ressortgroupref = ++ref;
		result->groupClause = lappend(result->groupClause, group_clause(lfirst(lc), ref));
		targets = lappend(targets, tle);
	}
	result->targetList = list_concat(targets, aggregates);
	foreach(lc, result->targetList)
		lfirst_node(TargetEntry, lc)->resno = foreach_current_index(lc) + 1;
	result->rtable = list_make1(rt_fetch(panes->input, result->rtable));
	result->jointree->fromlist = list_make1(makeNode(RangeTblRef));
	linitial_node(RangeTblRef, result->jointree->fromlist)->rtindex = 1;
	if (panes->input != 1)
	{
		ChangeVarNodes((Node *) result->targetList, panes->input, 1, 0);
		ChangeVarNodes(result->jointree->quals, panes->input, 1, 0);
	}
	return result;
}

/* A column of the panes, relation 1. */
static Var *
pane_column(Query *panes, int i)
{
	Node	   *expr = (Node *) list_nth_node(TargetEntry, panes->targetList, i)->expr;

	return makeVar(1, i + 1, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* The function over the panes, relation 2. */
static RangeTblEntry *
pane_function(Query *query, StreamingStage *stage, Panes *panes, Query *pane)
{
	RangeTblEntry *rte = copyObject(rt_fetch(panes->function, query->rtable));
	FuncExpr   *call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	ListCell   *lc;

	foreach(lc, call->args)
	{
		int			i = streaming_list_position(panes->columns, lfirst(lc));

		if (i >= 0)
			lfirst(lc) = pane_column(pane, stage->nkeys + i);
	}
	rte->lateral = true;
	return rte;
}

Query *
streaming_by_panes(Query *query, StreamingStage *stage)
{
	Panes		panes = {0};
	Query	   *pane;
	Query	   *result;
	RangeTblEntry *rte;
	List	   *names = NIL;
	ListCell   *lc;

	if (stage->signed_input || stage->naggs == 0 || contain_volatile_functions((Node *) query) ||
		query->hasSubLinks || query->cteList != NIL || !find_relations(query, &panes) ||
		!find_columns(query, &panes) || !is_split(query, stage, &panes))
		return NULL;
	pane = pane_query(query, stage, &panes);
	foreach(lc, pane->targetList)
		names = lappend(names, makeString(pstrdup(lfirst_node(TargetEntry, lc)->resname)));
	rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = pane;
	rte->alias = makeAlias("pane", NIL);
	rte->eref = makeAlias("pane", names);
	rte->inFromCl = true;

	result = makeNode(Query);
	result->commandType = CMD_SELECT;
	result->canSetTag = true;
	result->rtable = list_make2(rte, pane_function(query, stage, &panes, pane));
	result->jointree = makeFromExpr(list_make2(makeNode(RangeTblRef), makeNode(RangeTblRef)), NULL);
	linitial_node(RangeTblRef, result->jointree->fromlist)->rtindex = 1;
	lsecond_node(RangeTblRef, result->jointree->fromlist)->rtindex = 2;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = copyObject(lfirst_node(TargetEntry, lc));
		int			i = foreach_current_index(lc);

		tle->ressortgroupref = 0;
		if (i >= stage->nkeys)
			tle->expr = (Expr *) pane_column(pane, i + list_length(panes.columns));
		else if (is_of((Node *) tle->expr, panes.input))
			tle->expr = (Expr *) pane_column(pane, i);
		else
			ChangeVarNodes((Node *) tle->expr, panes.function, 2, 0);
		result->targetList = lappend(result->targetList, tle);
	}
	return result;
}
