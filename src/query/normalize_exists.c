/*
 * normalize_exists.c
 *		Conditions over other inputs become EXISTS or NOT EXISTS.
 *
 * In WHERE nothing but true counts.  There a condition says
 *
 *		x IN (SELECT y ...)			there is a row with x = y
 *		x NOT IN (SELECT y ...)		there is none where x = y is not false
 *		x > ALL (SELECT y ...)		there is none where x > y is not true
 *
 * What the subquery does with its rows beyond that does not matter, and goes.  Conditions
 * on its rows alone are asked when these come, below: what does not fulfil them is not kept.
 * So are those of ON on the side of an outer join that it may fill with NULLs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "query/partition.h"

/* ---- Forms of subqueries ---- */

/* May it have fewer rows than FROM and WHERE, or others? */
static bool
is_more_than_rows(Query *query)
{
	return query->commandType != CMD_SELECT || query->setOperations || query->cteList != NIL ||
		query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual || query->hasWindowFuncs || query->hasDistinctOn ||
		query->hasTargetSRFs || query->limitOffset || query->rowMarks != NIL ||
		query->jointree->fromlist == NIL;
}

/* LIMIT as people write it in EXISTS. */
static bool
limits_to_some(Query *query)
{
	Const	   *limit = (Const *) query->limitCount;

	if (limit && IsA(limit, FuncExpr) && ((FuncExpr *) limit)->funcid == F_INT8_INT4)
	{
		limit = linitial(((FuncExpr *) limit)->args);
		return IsA(limit, Const) && !limit->constisnull && DatumGetInt32(limit->constvalue) > 0;
	}
	return limit && IsA(limit, Const) && !limit->constisnull && limit->consttype == INT8OID &&
		DatumGetInt64(limit->constvalue) > 0;
}

/* Only whether it has rows matters. */
static void
drop_results(Query *query)
{
	query->targetList = query->distinctClause = query->sortClause = query->windowClause = NIL;
	query->limitCount = NULL;
}

/* ---- Conditions ---- */

typedef struct ColumnNumbers
{
	List	   *targets;		/* of TargetEntry */
} ColumnNumbers;

static Node *
param_mutator(Node *node, ColumnNumbers *numbers)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_SUBLINK)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, numbers->targets,
										 ((Param *) node)->paramid - 1);

		return (Node *) copyObject(tle->expr);
	}
	return expression_tree_mutator(node, param_mutator, numbers);
}

/* The test of a sublink, between a row outside and one of its query, as a condition of that. */
static Node *
test_within(SubLink *sublink)
{
	ColumnNumbers numbers = {castNode(Query, sublink->subselect)->targetList};
	Node	   *test = copyObject(sublink->testexpr);

	IncrementVarSublevelsUp(test, 1, 0);
	return param_mutator(test, &numbers);
}

static Node *
bare(Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	return expr;
}

/* Is a condition on a column true of no NULL? */
static bool
is_strict_on(Node *qual, Node *column)
{
	ListCell   *lc;

	if (IsA(qual, NullTest))
		return ((NullTest *) qual)->nulltesttype == IS_NOT_NULL && !((NullTest *) qual)->argisrow &&
			equal(bare((Node *) ((NullTest *) qual)->arg), column);
	if (!IsA(qual, OpExpr) || !op_strict(((OpExpr *) qual)->opno))
		return false;
	foreach(lc, ((OpExpr *) qual)->args)
	{
		if (equal(bare(lfirst(lc)), column))
			return true;
	}
	return false;
}

/* Is expr a column of which WHERE, quals, lets through no NULL? */
static bool
is_never_null(Node *expr, Node *quals)
{
	Node	   *column = bare(expr);
	ListCell   *lc;

	foreach(lc, IsA(column, Var) ? make_ands_implicit((Expr *) quals) : NIL)
	{
		if (is_strict_on(lfirst(lc), column))
			return true;
	}
	return false;
}

/* Is what "x NOT IN (SELECT y ...)" compares never NULL?  quals: WHERE around it. */
static bool
compares_no_nulls(SubLink *sublink, Node *quals)
{
	Query	   *query = castNode(Query, sublink->subselect);
	OpExpr	   *op = (OpExpr *) sublink->testexpr;
	Node	   *column = (Node *) linitial_node(TargetEntry, query->targetList)->expr;

	return IsA(op, OpExpr) && list_length(op->args) == 2 &&
		op_hashjoinable(op->opno, exprType(linitial(op->args))) &&
		is_never_null(linitial(op->args), quals) &&
		is_never_null(column, query->jointree->quals);
}

/*
 * What must be true of a row of the sublink's query, for some row or (*negated) for none;
 * NULL: that does not say it.
 */
static Node *
condition_of(SubLink *sublink, Node *quals, bool *negated)
{
	Query	   *query = castNode(Query, sublink->subselect);
	BooleanTest *test = makeNode(BooleanTest);

	if (sublink->subLinkType != ANY_SUBLINK && sublink->subLinkType != ALL_SUBLINK)
		return NULL;
	if (is_more_than_rows(query) || query->limitCount ||
		checkExprHasSubLink((Node *) query->targetList) || checkExprHasSubLink(sublink->testexpr) ||
		contain_volatile_functions((Node *) query->targetList) ||
		contain_volatile_functions(sublink->testexpr))
		return NULL;
	test->arg = (Expr *) test_within(sublink);
	test->location = -1;
	if (sublink->subLinkType == ALL_SUBLINK)
	{
		test->booltesttype = *negated ? IS_FALSE : IS_NOT_TRUE;
		*negated = !*negated;
		return (Node *) test;
	}
	if (!*negated || compares_no_nulls(sublink, quals))
		return (Node *) test->arg;
	/* without a key in common it is better looked up in a hash table of all rows */
	if (!streaming_is_correlated(query))
		return NULL;
	test->booltesttype = IS_NOT_FALSE;
	return (Node *) test;
}

/* Can an input have conditions of its own?  Not with what it reads of others. */
static bool
takes_conditions(RangeTblEntry *rte)
{
	return streaming_rte_contains_input(rte) && !rte->lateral &&
		!(rte->rtekind == RTE_SUBQUERY && streaming_is_correlated(rte->subquery));
}

/* Conditions on a query's only relation, an input, move into that. */
static void
push_conditions(Query *query)
{
	int			rti = streaming_only_relation(query);
	List	   *own = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	if (rti == 0 || !takes_conditions(rt_fetch(rti, query->rtable)))
		return;
	foreach(lc, make_ands_implicit((Expr *) query->jointree->quals))
	{
		Node	   *qual = lfirst(lc);

		if (contain_vars_of_level(qual, 0) && !contain_vars_of_level(qual, 1) &&
			!checkExprHasSubLink(qual) && !contain_mutable_functions(qual))
			own = lappend(own, qual);
		else
			others = lappend(others, qual);
	}
	if (own == NIL)
		return;
	query->jointree->quals = others == NIL ? NULL : (Node *) make_ands_explicit(others);
	streaming_nest_filter(query, (Node **) &linitial(query->jointree->fromlist), own);
}

/* A condition of WHERE, whose conditions are quals. */
static Node *
normalize_condition(Node *condition, Node *quals)
{
	bool		negated = is_notclause(condition);
	SubLink    *sublink = (SubLink *) (negated ? (Node *) get_notclausearg(condition) : condition);
	Query	   *query;
	Node	   *test = NULL;

	if (!IsA(sublink, SubLink) || !streaming_has_sublink_input((Node *) sublink, NULL))
		return condition;
	query = castNode(Query, sublink->subselect);
	if (sublink->subLinkType == EXISTS_SUBLINK)
	{
		if (is_more_than_rows(query) || (query->limitCount && !limits_to_some(query)) ||
			streaming_contains_input((Node *) query->targetList))
			return condition;
	}
	else if ((test = condition_of(sublink, quals, &negated)) == NULL)
		return condition;
	if (test)
		query->jointree->quals = make_and_qual(query->jointree->quals, test);
	drop_results(query);
	push_conditions(query);
	sublink->subLinkType = EXISTS_SUBLINK;
	sublink->testexpr = NULL;
	sublink->operName = NIL;
	return negated ? (Node *) make_notclause((Expr *) sublink) : (Node *) sublink;
}

/* ---- Outer joins ---- */

/* Conditions of ON on the side that may be filled with NULLs. */
static void
push_outer_conditions(Query *query, JoinExpr *join)
{
	Node	  **side = join->jointype == JOIN_LEFT ? &join->rarg : &join->larg;
	Relids		relids = streaming_relations_of(*side);
	List	   *own = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	if (join->jointype == JOIN_FULL || !IsA(*side, RangeTblRef) ||
		!takes_conditions(rt_fetch(((RangeTblRef *) *side)->rtindex, query->rtable)))
		return;
	foreach(lc, make_ands_implicit((Expr *) join->quals))
	{
		Node	   *qual = lfirst(lc);

		if (bms_equal(pull_varnos(NULL, qual), relids) && !contain_vars_of_level(qual, 1) &&
			!checkExprHasSubLink(qual) && !contain_mutable_functions(qual))
			own = lappend(own, qual);
		else
			others = lappend(others, qual);
	}
	if (own == NIL)
		return;
	join->quals = others == NIL ? makeBoolConst(true, false) : (Node *) make_ands_explicit(others);
	streaming_nest_filter(query, side, own);
}

void
streaming_normalize_matches(Query *query)
{
	JoinExpr   *outer;
	List	   *conditions;
	ListCell   *lc;

	if (query->jointree == NULL)
		return;
	conditions = make_ands_implicit((Expr *) query->jointree->quals);
	foreach(lc, conditions)
		lfirst(lc) = normalize_condition(lfirst(lc), query->jointree->quals);
	if (conditions != NIL)
		query->jointree->quals = (Node *) make_ands_explicit(conditions);
	outer = streaming_outer_join(query);
	if (outer)
	{
		streaming_flatten_joins(query);
		push_outer_conditions(query, streaming_outer_join(query));
	}
}
