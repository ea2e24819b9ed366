/*
 * evaluate_once.c
 *		An expression that WHERE and the select list have in common is computed once.
 *
 *	SELECT k, f(t) FROM s WHERE f(t) IS NOT NULL AND k > 0
 *		─▶ SELECT c2, c1 FROM (SELECT f(t) AS c1, k AS c2 FROM s WHERE k > 0 OFFSET 0) q WHERE c1 IS NOT NULL
 *
 * PostgreSQL computes it twice.  It pays for what takes longer than to hand a row from one
 * plan node to the next: functions of values of any length, such as regular expressions, and
 * those of users.  Only what WHERE computes of each row anyway is taken, not what stands behind
 * OR or within CASE, nor behind another condition that is not computed before: that may be there
 * to spare a row an error.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "query/compile.h"

typedef struct OnceContext
{
	List	   *exprs;			/* that the lower query computes: shared ones first */
	int			nshared;
} OnceContext;

/* ---- Which they are ---- */

/* Does a call take long: a user's, or one that takes the longer, the longer its arguments are? */
static bool
is_dear_function(Oid function)
{
	Oid		   *types;
	int			n;
	bool		dear = function >= FirstNormalObjectId;

	(void) get_func_signature(function, &types, &n);
	for (int i = 0; i < n; i++)
		dear |= get_typlen(types[i]) == -1;
	return dear;
}

/* Operators are many, and most are cheap; so calls are looked for. */
static bool
dear_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && is_dear_function(((FuncExpr *) node)->funcid))
		return true;
	return expression_tree_walker(node, dear_walker, context);
}

static bool
part_walker(Node *node, void *part)
{
	if (node == NULL)
		return false;
	return equal(node, part) || expression_tree_walker(node, part_walker, part);
}

static bool
can_be_shared(Node *node)
{
	return dear_walker(node, NULL) && !contain_mutable_functions(node) && !contain_subplans(node) &&
		!expression_returns_set(node);
}

/* The largest parts of node, which WHERE computes of each row, that targets have, too. */
static List *
shared_parts(Node *node, Node *targets, List *found)
{
	List	   *parts = NIL;
	ListCell   *lc;

	if (node == NULL)
		return found;
	check_stack_depth();
	if (exprType(node) != BOOLOID && streaming_list_position(found, node) < 0 &&
		part_walker(targets, node) && can_be_shared(node))
		return lappend(found, node);
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			parts = ((FuncExpr *) node)->args;
			break;
		case T_OpExpr:
			parts = ((OpExpr *) node)->args;
			break;
		case T_ScalarArrayOpExpr:
			parts = ((ScalarArrayOpExpr *) node)->args;
			break;
		case T_BoolExpr:
			parts = list_make1(linitial(((BoolExpr *) node)->args));
			break;
		case T_NullTest:
			parts = list_make1(((NullTest *) node)->arg);
			break;
		case T_BooleanTest:
			parts = list_make1(((BooleanTest *) node)->arg);
			break;
		case T_RelabelType:
			parts = list_make1(((RelabelType *) node)->arg);
			break;
		case T_CoerceViaIO:
			parts = list_make1(((CoerceViaIO *) node)->arg);
			break;
		case T_SubscriptingRef:
			parts = list_make1(((SubscriptingRef *) node)->refexpr);
			break;
		default:
			break;
	}
	foreach(lc, parts)
		found = shared_parts(lfirst(lc), targets, found);
	return found;
}

/* ---- The query over them ---- */

/* Is one of the shared ones part of it? */
static bool
has_shared(Node *node, OnceContext *context)
{
	ListCell   *lc;

	foreach(lc, context->exprs)
	{
		if (foreach_current_index(lc) < context->nshared && part_walker(node, lfirst(lc)))
			return true;
	}
	return false;
}

/* What the lower query computes is a column of it. */
static Node *
once_mutator(Node *node, OnceContext *context)
{
	int			i;

	if (node == NULL)
		return NULL;
	i = streaming_list_position(context->exprs, node);
	if (i < 0 && IsA(node, Var))
	{
		i = list_length(context->exprs);
		context->exprs = lappend(context->exprs, copyObject(node));
	}
	if (i >= 0)
		return (Node *) makeVar(1, i + 1, exprType(node), exprTypmod(node), exprCollation(node), 0);
	return expression_tree_mutator(node, once_mutator, context);
}

/* SELECT exprs FROM <that of query> WHERE quals, which the planner leaves a query of its own. */
static RangeTblEntry *
lower_rte(Query *query, List *exprs, List *quals)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query	   *lower = makeNode(Query);
	ListCell   *lc;

	lower->commandType = CMD_SELECT;
	lower->canSetTag = true;
	lower->rtable = query->rtable;
	lower->jointree = makeFromExpr(query->jointree->fromlist, quals ? (Node *) make_ands_explicit(quals) : NULL);
	lower->limitOffset = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
											Int64GetDatum(0), false, FLOAT8PASSBYVAL);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = lower;
	rte->alias = makeAlias("q", NIL);
	rte->eref = makeAlias("q", NIL);
	rte->inFromCl = true;
	foreach(lc, exprs)
	{
		char	   *name = psprintf("c%d", foreach_current_index(lc) + 1);

		lower->targetList = lappend(lower->targetList,
									makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1, name, false));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(name)));
	}
	return rte;
}

/* Can there be another query between the query and its relation? */
static bool
can_be_split(Query *query)
{
	List	   *vars;
	ListCell   *lc;

	if (query->jointree->quals == NULL || query->hasSubLinks || query->hasAggs ||
		query->hasWindowFuncs || query->hasTargetSRFs || query->groupClause != NIL ||
		query->distinctClause != NIL || query->sortClause != NIL || query->cteList != NIL ||
		query->setOperations || query->limitCount || query->limitOffset ||
		streaming_only_relation(query) == 0)
		return false;
	vars = list_concat(pull_vars_of_level((Node *) query->targetList, 0),
					   pull_vars_of_level(query->jointree->quals, 0));
	foreach(lc, vars)
	{
		/* a row as a whole, and where it is */
		if (((Var *) lfirst(lc))->varattno <= 0)
			return false;
	}
	return true;
}

Query *
streaming_evaluate_once(Query *query)
{
	OnceContext context = {NIL};
	List	   *quals = NIL;
	List	   *lower = NIL;
	List	   *upper = NIL;
	int			nbefore = 0;
	RangeTblRef *rtr = makeNode(RangeTblRef);
	Query	   *result;
	ListCell   *lc;

	if (!can_be_split(query))
		return query;
	quals = make_ands_implicit((Expr *) query->jointree->quals);
	foreach(lc, quals)
	{
		context.exprs = shared_parts(lfirst(lc), (Node *) query->targetList, NIL);
		if (context.exprs != NIL)
			break;
		nbefore++;
	}
	context.nshared = list_length(context.exprs);
	if (context.nshared == 0)
		return query;
	result = copyObject(query);
	foreach(lc, make_ands_implicit((Expr *) result->jointree->quals))
	{
		Node	   *qual = lfirst(lc);

		/* what can raise no error may be asked earlier */
		if (foreach_current_index(lc) < nbefore ||
			(!has_shared(qual, &context) && !contain_leaked_vars(qual)))
			lower = lappend(lower, qual);
		else
			upper = lappend(upper, once_mutator(qual, &context));
	}
	result->targetList = (List *) once_mutator((Node *) result->targetList, &context);
	rtr->rtindex = 1;
	result->rtable = list_make1(lower_rte(result, context.exprs, lower));
	result->jointree = makeFromExpr(list_make1(rtr), (Node *) make_ands_explicit(upper));
	return result;
}
