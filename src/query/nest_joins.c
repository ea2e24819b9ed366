/*
 * nest_joins.c
 *		Joins of many inputs become joins of two.
 *
 * Where no one key is common to all inputs of a join, two of them become a subquery,
 * a stage of its own, which has a key:
 *
 *	FROM f, a, b WHERE f.x = a.x AND f.y = b.y
 *	FROM (SELECT ... FROM f, a WHERE f.x = a.x) q, b WHERE q.y = b.y
 *
 * So they do where ordinary tables are joined besides, if rows only appear: inputs alone are a
 * join, and what comes of it is joined with the tables as it comes, while all in one would be
 * computed anew.  Two inputs that equal the same of a table have that in common.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "query/compile.h"

/* Where a query has so many, nothing more is derived from them: each is compared with each. */
#define MAX_CONDITIONS	200

/* Relations below a node of a jointree. */
Relids
streaming_relations_of(Node *node)
{
	Relids		result = NULL;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, RangeTblRef))
		return bms_make_singleton(((RangeTblRef *) node)->rtindex);
	if (IsA(node, JoinExpr))
		return bms_join(streaming_relations_of(((JoinExpr *) node)->larg),
						streaming_relations_of(((JoinExpr *) node)->rarg));
	foreach(lc, castNode(FromExpr, node)->fromlist)
		result = bms_join(result, streaming_relations_of(lfirst(lc)));
	return result;
}

static int
count_inputs(Query *query, Node *node)
{
	Relids		relids = streaming_relations_of(node);
	int			n = 0;

	for (int i = bms_next_member(relids, -1); i >= 0; i = bms_next_member(relids, i))
		n += streaming_rte_contains_input(rt_fetch(i, query->rtable));
	return n;
}

/* Does a subquery among them name columns of other relations? */
static bool
is_lateral(Query *query, Relids relids)
{
	for (int i = bms_next_member(relids, -1); i >= 0; i = bms_next_member(relids, i))
	{
		if (rt_fetch(i, query->rtable)->lateral)
			return true;
	}
	return false;
}

/* What stands for node when it is a subquery. */
static Node *
relation_for(Node *node)
{
	RangeTblRef *rtr = makeNode(RangeTblRef);

	rtr->rtindex = bms_next_member(streaming_relations_of(node), -1);
	return (Node *) rtr;
}

/* What was a node of the jointree becomes a subquery. */
static void
nest(Query *query, Node *node)
{
	Query	   *lower = makeNode(Query);
	Relids		relids = streaming_relations_of(node);

	lower->commandType = CMD_SELECT;
	lower->canSetTag = true;
	lower->rtable = copyObject(query->rtable);
	lower->jointree = IsA(node, FromExpr) ? (FromExpr *) node :
		makeFromExpr(list_make1(node), NULL);
	streaming_raise_columns(query, lower, relids);
	/* what it reads of queries around is one level further away */
	IncrementVarSublevelsUp((Node *) lower, 1, 1);
	lower->hasSubLinks = checkExprHasSubLink((Node *) lower->jointree);
	query->hasSubLinks = checkExprHasSubLink((Node *) query->jointree) ||
		checkExprHasSubLink((Node *) query->targetList);
}

/* Of an outer join: a side with several inputs. */
static bool
nest_sides(Query *query, Node **node)
{
	ListCell   *lc;

	if (IsA(*node, FromExpr))
	{
		foreach(lc, ((FromExpr *) *node)->fromlist)
		{
			if (nest_sides(query, (Node **) &lfirst(lc)))
				return true;
		}
	}
	else if (IsA(*node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) *node;
		Node	  **sides[2] = {&join->larg, &join->rarg};

		for (int i = 0; i < 2; i++)
		{
			if (join->jointype != JOIN_INNER && count_inputs(query, *sides[i]) > 1 &&
				!IsA(*sides[i], RangeTblRef))
			{
				Node	   *side = *sides[i];

				*sides[i] = relation_for(side);
				nest(query, side);
				return true;
			}
		}
		return nest_sides(query, &join->larg) || nest_sides(query, &join->rarg);
	}
	return false;
}

/* The items and conditions of nested inner joins. */
static void
flatten_inner(Node *node, List **items, List **quals)
{
	ListCell   *lc;

	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			flatten_inner(lfirst(lc), items, quals);
		*quals = list_concat(*quals, make_ands_implicit((Expr *) ((FromExpr *) node)->quals));
	}
	else if (IsA(node, JoinExpr) && ((JoinExpr *) node)->jointype == JOIN_INNER)
	{
		flatten_inner(((JoinExpr *) node)->larg, items, quals);
		flatten_inner(((JoinExpr *) node)->rarg, items, quals);
		*quals = list_concat(*quals, make_ands_implicit((Expr *) ((JoinExpr *) node)->quals));
	}
	else
		*items = lappend(*items, node);
}

/* How many equalities are there between two items? */
static int
count_equalities(List *quals, Relids left, Relids right)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, quals)
	{
		OpExpr	   *op = lfirst(lc);
		Relids		sides[2];

		if (!IsA(op, OpExpr) || list_length(op->args) != 2 ||
			!op_hashjoinable(op->opno, exprType(linitial(op->args))))
			continue;
		sides[0] = pull_varnos(NULL, linitial(op->args));
		sides[1] = pull_varnos(NULL, lsecond(op->args));
		if (bms_is_empty(sides[0]) || bms_is_empty(sides[1]))
			continue;
		n += (bms_is_subset(sides[0], left) && bms_is_subset(sides[1], right)) ||
			(bms_is_subset(sides[0], right) && bms_is_subset(sides[1], left));
	}
	return n;
}

/* An equality of two sides of one type; or NULL. */
static OpExpr *
plain_equality(Node *qual)
{
	OpExpr	   *op = (OpExpr *) qual;

	return IsA(op, OpExpr) && list_length(op->args) == 2 &&
		exprType(linitial(op->args)) == exprType(lsecond(op->args)) &&
		op_hashjoinable(op->opno, exprType(linitial(op->args))) &&
		op_mergejoinable(op->opno, exprType(linitial(op->args))) ? op : NULL;
}

/*
 * Conditions, and the equalities that follow from them: a = t and t = b, so a = b, which inputs
 * have in common without saying so.  Both sides must have the collation of the equality by
 * themselves, for it is written without.
 */
static List *
with_implied_equalities(List *quals)
{
	List	   *all = list_copy(quals);

	/* all grows meanwhile */
	for (int i = 0; i < list_length(all); i++)
	{
		OpExpr	   *first = plain_equality(list_nth(all, i));

		for (int k = 0; first && k < i; k++)
		{
			OpExpr	   *second = plain_equality(list_nth(all, k));

			CHECK_FOR_INTERRUPTS();
			if (second == NULL || second->opno != first->opno ||
				second->inputcollid != first->inputcollid)
				continue;
			for (int sides = 0; sides < 4; sides++)
			{
				Node	   *shared = list_nth(first->args, sides & 1);
				Node	   *left = list_nth(first->args, 1 - (sides & 1));
				Node	   *right = list_nth(second->args, 1 - (sides >> 1));
				OpExpr	   *op;

				if (!equal(shared, list_nth(second->args, sides >> 1)) || equal(left, right) ||
					contain_volatile_functions((Node *) list_make3(shared, left, right)) ||
					exprCollation(left) != first->inputcollid ||
					exprCollation(right) != first->inputcollid)
					continue;
				op = copyObject(first);
				op->args = copyObject(list_make2(left, right));
				if (list_length(all) < MAX_CONDITIONS && !list_member(all, op))
					all = lappend(all, op);
			}
		}
	}
	return all;
}

/*
 * Of inner joins: the two items that have most in common.  Those that have nothing are not
 * paired where ordinary tables may tell which of them meet, unless all may be paired.
 */
static bool
nest_items(Query *query, bool all)
{
	List	   *items = NIL;
	List	   *quals = NIL;
	List	   *known;				/* and what follows from them */
	List	   *inputs = NIL;
	List	   *inner = NIL;
	Node	   *best[2] = {NULL, NULL};
	int			most = -1;
	Relids		both;
	FromExpr   *pair;
	ListCell   *lc;

	flatten_inner((Node *) query->jointree, &items, &quals);
	foreach(lc, items)
	{
		if (count_inputs(query, lfirst(lc)) > 0)
			inputs = lappend(inputs, lfirst(lc));
	}
	if (list_length(inputs) < 2 ||
		(list_length(inputs) == 2 && list_length(items) == 2 &&
		 !streaming_has_sublink_input((Node *) quals, NULL)))
		return false;
	known = with_implied_equalities(quals);
	for (int i = 0; i < list_length(inputs); i++)
	{
		for (int k = i + 1; k < list_length(inputs); k++)
		{
			int			n = count_equalities(known, streaming_relations_of(list_nth(inputs, i)),
											 streaming_relations_of(list_nth(inputs, k)));

			if (n <= most)
				continue;
			most = n;
			best[0] = list_nth(inputs, i);
			best[1] = list_nth(inputs, k);
		}
	}
	if (most == 0 && !all && list_length(inputs) < list_length(items))
		return false;
	both = bms_union(streaming_relations_of(best[0]), streaming_relations_of(best[1]));
	items = list_delete_ptr(list_delete_ptr(items, best[0]), best[1]);
	foreach(lc, known)
	{
		Node	   *qual = lfirst(lc);

		if (!bms_is_empty(pull_varnos(NULL, qual)) &&
			bms_is_subset(pull_varnos(NULL, qual), both) && !contain_subplans(qual) &&
			!streaming_has_sublink_input(qual, NULL))
			inner = lappend(inner, qual);
	}
	quals = list_difference_ptr(quals, inner);
	pair = makeFromExpr(list_make2(best[0], best[1]), (Node *) make_ands_explicit(inner));
	if (inner == NIL)
		pair->quals = NULL;
	query->jointree->fromlist = lcons(relation_for((Node *) pair), items);
	query->jointree->quals = quals == NIL ? NULL : (Node *) make_ands_explicit(quals);
	nest(query, (Node *) pair);
	return true;
}

void
streaming_nest_filter(Query *query, Node **item, List *conditions)
{
	Node	   *filtered = (Node *) makeFromExpr(list_make1(*item), (Node *) make_ands_explicit(conditions));

	*item = relation_for(filtered);
	nest(query, filtered);
}

/* alone: node is all that FROM has, and no condition of WHERE reads an input. */
static bool
nest_outer(Query *query, Node **node, bool alone)
{
	JoinExpr   *join = (JoinExpr *) *node;
	Node	   *outer = *node;
	ListCell   *lc;

	if (IsA(*node, RangeTblRef))
		return false;
	if (IsA(*node, FromExpr))
	{
		alone = list_length(((FromExpr *) *node)->fromlist) == 1 &&
			!streaming_has_sublink_input(((FromExpr *) *node)->quals, NULL);
		foreach(lc, ((FromExpr *) *node)->fromlist)
		{
			if (nest_outer(query, (Node **) &lfirst(lc), alone))
				return true;
		}
		return false;
	}
	if (join->jointype == JOIN_INNER)
		return nest_outer(query, &join->larg, false) || nest_outer(query, &join->rarg, false);
	if (alone)
		return nest_sides(query, node);
	*node = relation_for(outer);
	nest(query, outer);
	return true;
}

bool
streaming_nest_outer(Query *query)
{
	if (is_lateral(query, streaming_relations_of((Node *) query->jointree)))
		return false;
	streaming_flatten_joins(query);
	return nest_outer(query, (Node **) &query->jointree, true);
}

bool
streaming_nest_exists(Query *query)
{
	List	   *conditions = make_ands_implicit((Expr *) query->jointree->quals);
	Node	   *last = NULL;
	FromExpr   *others;
	ListCell   *lc;

	foreach(lc, conditions)
	{
		if (streaming_has_sublink_input(lfirst(lc), NULL))
			last = lfirst(lc);
	}
	conditions = list_delete_ptr(list_copy(conditions), last);
	if (last == NULL || !streaming_has_sublink_input((Node *) conditions, NULL))
		return false;
	streaming_flatten_joins(query);
	others = makeFromExpr(query->jointree->fromlist, (Node *) make_ands_explicit(conditions));
	query->jointree = makeFromExpr(list_make1(relation_for((Node *) others)), last);
	nest(query, (Node *) others);
	return true;
}

bool
streaming_nest_joins(Query *query, bool all)
{
	if (query->setOperations || query->hasWindowFuncs || query->hasDistinctOn ||
		query->limitCount || query->limitOffset || query->cteList != NIL ||
		is_lateral(query, streaming_relations_of((Node *) query->jointree)))
		return false;
	streaming_flatten_joins(query);
	return nest_sides(query, (Node **) &query->jointree) || nest_items(query, all);
}
