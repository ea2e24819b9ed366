/*
 * normalize.c
 *		Rewrites a query such that each level does one thing that keeps state.
 *
 * A level of SQL does many things, one after the other:
 *
 *	FROM, WHERE ─▶ GROUP BY, HAVING ─▶ window functions ─▶ DISTINCT ─▶ ORDER BY, LIMIT
 *
 * Where one of them needs a stage of its own, what comes before it becomes a
 * subquery.  WITH queries over streams become subqueries where they are named;
 * GROUPING SETS become a UNION ALL of aggregations.  What means the same for any
 * rows, PostgreSQL's own planner does not undo: each piece is planned by itself.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_agg.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "query/compile.h"
#include "streaming.h"

/* ---- Subqueries ---- */

/* A name that no entry of targets has. */
static char *
unique_name(List *targets, const char *name)
{
	char	   *result = pstrdup(name);
	int			n = 1;

	for (bool taken = true; taken;)
	{
		ListCell   *lc;

		taken = false;
		foreach(lc, targets)
			taken |= strcmp(lfirst_node(TargetEntry, lc)->resname, result) == 0;
		if (taken)
			result = psprintf("%s_%d", name, ++n);
	}
	return result;
}

static RangeTblEntry *
subquery_rte(Query *subquery)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	ListCell   *lc;

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = subquery;
	rte->alias = makeAlias("q", NIL);
	rte->eref = makeAlias("q", NIL);
	rte->inFromCl = true;
	foreach(lc, subquery->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		/* a key that is not selected has no name and is no column */
		if (!tle->resjunk)
			rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(tle->resname)));
	}
	return rte;
}

/* query reads subquery and nothing else. */
static void
read_subquery(Query *query, Query *subquery)
{
	RangeTblRef *rtr = makeNode(RangeTblRef);

	rtr->rtindex = 1;
	query->rtable = list_make1(subquery_rte(subquery));
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
}

/*
 * A copy of query that is to be its subquery; of its WITH queries each has its own
 * copy, but those over streams, which only the lower one names.
 */
static Query *
lower_copy(Query *query)
{
	Query	   *lower = makeNode(Query);
	ListCell   *lc;
	List	   *ctes = NIL;

	*lower = *query;
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (!streaming_contains_input(cte->ctequery))
			ctes = lappend(ctes, copyObject(cte));
	}
	query->cteList = ctes;
	return lower;
}

/* ---- FROM and WHERE ---- */

typedef struct ColumnContext
{
	List	   *exprs;			/* that the lower query hands up, as of its level */
	int			nkeys;			/* split_aggregation: the first are group keys */
	int			level;
	Relids		relids;			/* raise_columns: whose columns; NULL: of all */
	Index		varno;			/* of the subquery, 0: 1 */
	bool		sublinks;		/* from_mutator: those over inputs are handed up */
} ColumnContext;

static Node *
column(ColumnContext *context, Node *expr, int i)
{
	return (Node *) makeVar(Max(context->varno, 1), i + 1, exprType(expr), exprTypmod(expr),
							exprCollation(expr), context->level);
}

static Node *
lowered(Node *node, int level)
{
	Node	   *copy = copyObject(node);

	if (level > 0)
		IncrementVarSublevelsUp(copy, -level, level);
	return copy;
}

/* Index of an expression that the lower query hands up; adds it. */
static Node *
hand_up(ColumnContext *context, Node *node)
{
	Node	   *copy = lowered(node, context->level);
	int			i = streaming_list_position(context->exprs, copy);

	if (i < 0)
	{
		i = list_length(context->exprs);
		context->exprs = lappend(context->exprs, copy);
	}
	return column(context, copy, i);
}

/* Vars of the query are columns of its subquery. */
static Node *
from_mutator(Node *node, ColumnContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		ListCell   *lc;
		Var		   *copy;

		if (var->varlevelsup != context->level ||
			(context->relids && !bms_is_member(var->varno, context->relids)))
			return (Node *) copyObject(var);
		foreach(lc, context->exprs)
		{
			Var		   *known = lfirst(lc);

			if (IsA(known, Var) && known->varno == var->varno && known->varattno == var->varattno)
				return column(context, (Node *) known, foreach_current_index(lc));
		}
		copy = copyObject(var);
		copy->varlevelsup = 0;
		context->exprs = lappend(context->exprs, copy);
		return column(context, (Node *) copy, list_length(context->exprs) - 1);
	}
	if (IsA(node, SubLink) && context->sublinks && context->level == 0 &&
		streaming_has_sublink_input(node, NULL))
		return hand_up(context, node);
	if (IsA(node, Query))
	{
		Query	   *result;

		context->level++;
		result = query_tree_mutator((Query *) node, from_mutator, context, 0);
		context->level--;
		return (Node *) result;
	}
	return expression_tree_mutator(node, from_mutator, context);
}

static List *
from_targets(Query *lower, List *exprs)
{
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, exprs)
	{
		Var		   *var = lfirst(lc);
		RangeTblEntry *rte = IsA(var, Var) ? rt_fetch(var->varno, lower->rtable) : NULL;
		char	   *name = rte == NULL ? "c" :
			var->varattno > 0 ? get_rte_attribute_name(rte, var->varattno) : rte->eref->aliasname;

		targets = lappend(targets, makeTargetEntry((Expr *) copyObject(var), list_length(targets) + 1,
												   unique_name(targets, name[0] == '$' ? "c" : name),
												   false));
	}
	if (targets == NIL)
		targets = list_make1(makeTargetEntry((Expr *) makeBoolConst(true, false), 1,
											 pstrdup("c"), false));
	return targets;
}

/* What is above FROM and WHERE goes. */
static void
keep_from(Query *query)
{
	query->hasAggs = query->hasWindowFuncs = query->hasTargetSRFs = query->hasDistinctOn = false;
	query->groupClause = query->groupingSets = query->windowClause = NIL;
	query->distinctClause = query->sortClause = NIL;
	query->havingQual = query->limitCount = query->limitOffset = NULL;
	query->groupDistinct = false;
}

/* sublinks: also those over inputs, in aggregates and group keys. */
static void
split_from(Query *query, bool sublinks)
{
	ColumnContext context = {.sublinks = sublinks};
	Query	   *lower;

	streaming_flatten_joins(query);
	lower = lower_copy(query);
	query->targetList = (List *) from_mutator((Node *) query->targetList, &context);
	query->havingQual = from_mutator(query->havingQual, &context);
	query->limitCount = from_mutator(query->limitCount, &context);
	query->limitOffset = from_mutator(query->limitOffset, &context);
	keep_from(lower);
	lower->targetList = from_targets(lower, context.exprs);
	read_subquery(query, lower);
}

void
streaming_split_from(Query *query)
{
	split_from(query, false);
}

/* Relations and joins below a node of a jointree. */
static Relids
members_of(Node *node)
{
	Relids		result = NULL;
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		return bms_make_singleton(((RangeTblRef *) node)->rtindex);
	if (IsA(node, JoinExpr))
		return bms_add_member(bms_join(members_of(((JoinExpr *) node)->larg),
									   members_of(((JoinExpr *) node)->rarg)),
							  ((JoinExpr *) node)->rtindex);
	foreach(lc, castNode(FromExpr, node)->fromlist)
		result = bms_join(result, members_of(lfirst(lc)));
	return result;
}

/* What FROM does not name any more is nothing, lest the deparser looks for it there. */
static void
drop_relations(Query *query)
{
	Relids		members = members_of((Node *) query->jointree);
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *gone = makeNode(RangeTblEntry);

		if (bms_is_member(foreach_current_index(lc) + 1, members))
			continue;
		gone->rtekind = RTE_RESULT;
		gone->eref = makeAlias("*gone*", NIL);
		lfirst(lc) = gone;
	}
}

void
streaming_raise_columns(Query *query, Query *lower, Relids relids)
{
	/* a join comes behind what it joins */
	int			varno = bms_next_member(relids, -1);
	ColumnContext context = {NIL, 0, 0, relids, varno};

	query->targetList = (List *) from_mutator((Node *) query->targetList, &context);
	query->jointree = (FromExpr *) from_mutator((Node *) query->jointree, &context);
	lower->targetList = from_targets(lower, context.exprs);
	lfirst(list_nth_cell(query->rtable, varno - 1)) = subquery_rte(lower);
	drop_relations(query);
	drop_relations(lower);
	streaming_flatten_joins(query);
	streaming_flatten_joins(lower);
}

/* ---- Aggregation ---- */

/* Group keys and aggregates are columns of the subquery that has them. */
static Node *
aggregate_mutator(Node *node, ColumnContext *context)
{
	if (node == NULL)
		return NULL;
	for (int i = 0; i < context->nkeys; i++)
	{
		Node	   *key = copyObject(list_nth(context->exprs, i));

		if (context->level > 0)
			IncrementVarSublevelsUp(key, context->level, 0);
		if (!IsA(key, Const) && equal(key, node))
			return column(context, list_nth(context->exprs, i), i);
	}
	if ((IsA(node, Aggref) && ((Aggref *) node)->agglevelsup == context->level) ||
		(IsA(node, GroupingFunc) && ((GroupingFunc *) node)->agglevelsup == context->level) ||
		(IsA(node, Var) && ((Var *) node)->varlevelsup == context->level))
		return hand_up(context, node);
	if (IsA(node, Query))
	{
		Query	   *result;

		context->level++;
		result = query_tree_mutator((Query *) node, aggregate_mutator, context, 0);
		context->level--;
		return (Node *) result;
	}
	return expression_tree_mutator(node, aggregate_mutator, context);
}

/* Columns that follow from a primary key among the group keys become group keys. */
static void
group_by(Query *query, TargetEntry *tle)
{
	SortGroupClause *clause = makeNode(SortGroupClause);
	TypeCacheEntry *type = lookup_type_cache(exprType((Node *) tle->expr),
											 TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR | TYPECACHE_HASH_PROC);
	Index		last = 0;
	ListCell   *lc;

	if (!OidIsValid(type->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support columns of type %s that depend on the grouping columns only by a primary key",
						format_type_be(exprType((Node *) tle->expr))),
				 errhint("Cast the column to a type that has equality and add it to GROUP BY.")));
	foreach(lc, query->targetList)
		last = Max(last, lfirst_node(TargetEntry, lc)->ressortgroupref);
	tle->ressortgroupref = clause->tleSortGroupRef = last + 1;
	clause->eqop = type->eq_opr;
	clause->sortop = type->lt_opr;
	clause->hashable = OidIsValid(type->hash_proc);
	query->groupClause = lappend(query->groupClause, clause);
	foreach(lc, query->groupingSets)
	{
		/* only with one set can a key follow from others */
		GroupingSet *set = lfirst_node(GroupingSet, lc);

		if (set->kind == GROUPING_SET_SIMPLE)
			set->content = lappend_int(set->content, clause->tleSortGroupRef);
	}
}

/* Is there a sublink outside of aggregates and of the keys? */
static bool
has_sublink_above(Node *node, List *keys)
{
	if (node == NULL || IsA(node, Aggref) || streaming_list_position(keys, node) >= 0)
		return false;
	return IsA(node, SubLink) || expression_tree_walker(node, has_sublink_above, keys);
}

/* The aggregation becomes a subquery; what is done with its rows stays. */
static void
split_aggregation(Query *query)
{
	ColumnContext context = {NIL, 0, 0};
	Query	   *lower;
	List	   *targets = NIL;
	bool		having_stays = !has_sublink_above(query->havingQual, NIL);
	Node	   *quals = NULL;
	ListCell   *lc;

	streaming_flatten_joins(query);
	lower = lower_copy(query);
	foreach(lc, query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(lc), query->targetList);

		context.exprs = lappend(context.exprs, copyObject(tle->expr));
	}
	context.nkeys = list_length(context.exprs);
	query->targetList = (List *) aggregate_mutator((Node *) query->targetList, &context);
	if (!having_stays)
	{
		quals = aggregate_mutator(query->havingQual, &context);
		lower->havingQual = NULL;
	}
	foreach(lc, context.exprs)
	{
		int			i = foreach_current_index(lc);
		TargetEntry *tle = makeTargetEntry(lfirst(lc), i + 1, psprintf("c%d", i + 1), false);

		if (i < context.nkeys)
			tle->ressortgroupref = list_nth_node(SortGroupClause, query->groupClause, i)->tleSortGroupRef;
		targets = lappend(targets, tle);
	}
	lower->targetList = targets;
	lower->hasWindowFuncs = lower->hasTargetSRFs = lower->hasDistinctOn = false;
	lower->windowClause = lower->distinctClause = lower->sortClause = NIL;
	lower->limitCount = lower->limitOffset = NULL;
	/* without any aggregate it is one only for its HAVING */
	if (lower->groupClause == NIL && !lower->hasAggs && lower->havingQual == NULL)
		lower->havingQual = makeBoolConst(true, false);

	query->hasAggs = false;
	query->groupClause = query->groupingSets = NIL;
	query->havingQual = NULL;
	read_subquery(query, lower);
	query->jointree->quals = quals;
}

/* Vars outside of aggregates that are no group keys: of a table, by its primary key. */
static bool
find_dependent(Node *node, ColumnContext *context)
{
	if (node == NULL || IsA(node, Aggref) || IsA(node, GroupingFunc) || IsA(node, Query) ||
		streaming_list_position(context->exprs, node) >= 0)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == 0)
	{
		context->exprs = lappend(context->exprs, copyObject(node));
		return false;
	}
	return expression_tree_walker(node, find_dependent, context);
}

static void
group_dependent(Query *query)
{
	ColumnContext context = {NIL};
	int			nkeys;

	if (query->groupClause == NIL || query->groupingSets != NIL)
		return;
	for (int i = 0; i < list_length(query->groupClause); i++)
	{
		TargetEntry *tle = get_sortgroupclause_tle(list_nth(query->groupClause, i),
												   query->targetList);

		context.exprs = lappend(context.exprs, tle->expr);
	}
	nkeys = list_length(context.exprs);
	(void) find_dependent((Node *) query->targetList, &context);
	(void) find_dependent(query->havingQual, &context);
	for (int i = nkeys; i < list_length(context.exprs); i++)
	{
		TargetEntry *tle = makeTargetEntry(list_nth(context.exprs, i),
										   list_length(query->targetList) + 1,
										   psprintf("d%d", i), true);

		query->targetList = lappend(query->targetList, tle);
		group_by(query, tle);
	}
}

/* ---- GROUPING SETS ---- */

typedef struct SetContext
{
	List	   *keys;			/* of Expr: all of them */
	List	   *refs;			/* of int: their sort group references */
	List	   *set;			/* of int: those of the set */
	int			level;
} SetContext;

static Node *
set_mutator(Node *node, SetContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, GroupingFunc) && ((GroupingFunc *) node)->agglevelsup == context->level)
	{
		int			bits = 0;
		ListCell   *lc;

		foreach(lc, ((GroupingFunc *) node)->refs)
			bits = bits << 1 | (list_member_int(context->set, lfirst_int(lc)) ? 0 : 1);
		return (Node *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(bits),
								  false, true);
	}
	if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup == context->level)
		return copyObject(node);
	for (int i = 0; i < list_length(context->keys); i++)
	{
		Node	   *key = copyObject(list_nth(context->keys, i));

		if (context->level > 0)
			IncrementVarSublevelsUp(key, context->level, 0);
		if (!equal(key, node))
			continue;
		return list_member_int(context->set, list_nth_int(context->refs, i)) ? copyObject(node) :
			(Node *) makeNullConst(exprType(node), exprTypmod(node), exprCollation(node));
	}
	if (IsA(node, Query))
	{
		Query	   *result;

		context->level++;
		result = query_tree_mutator((Query *) node, set_mutator, context, 0);
		context->level--;
		return (Node *) result;
	}
	return expression_tree_mutator(node, set_mutator, context);
}

static Query *
one_set(Query *query, SetContext *context)
{
	Query	   *result = castNode(Query, streaming_copy((Node *) query));
	List	   *clauses = NIL;
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, result->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);

		if (list_member_int(context->set, clause->tleSortGroupRef))
			clauses = lappend(clauses, clause);
	}
	foreach(lc, result->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk && !list_member_int(context->set, tle->ressortgroupref))
			continue;
		tle->expr = (Expr *) set_mutator((Node *) tle->expr, context);
		tle->resno = list_length(targets) + 1;
		targets = lappend(targets, tle);
	}
	result->targetList = targets;
	result->groupClause = clauses;
	result->groupingSets = NIL;
	result->groupDistinct = false;
	result->havingQual = set_mutator(result->havingQual, context);
	/* GROUPING() counts as one, and is a number now */
	result->hasAggs = contain_aggs_of_level((Node *) result->targetList, 0) ||
		contain_aggs_of_level(result->havingQual, 0);
	if (clauses == NIL && !result->hasAggs && result->havingQual == NULL)
		result->havingQual = makeBoolConst(true, false);
	return result;
}

/* query becomes the UNION ALL of branches, which have the same columns. */
static void
make_union(Query *query, List *branches)
{
	Query	   *first = linitial_node(Query, branches);
	Node	   *tree = NULL;
	List	   *targets = NIL;
	List	   *types = NIL;
	List	   *typmods = NIL;
	List	   *collations = NIL;
	ListCell   *lc;

	foreach(lc, first->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) tle->expr;

		if (tle->resjunk)
			continue;
		types = lappend_oid(types, exprType(expr));
		typmods = lappend_int(typmods, exprTypmod(expr));
		collations = lappend_oid(collations, exprCollation(expr));
		targets = lappend(targets,
						  makeTargetEntry((Expr *) makeVar(1, list_length(targets) + 1, exprType(expr),
														   exprTypmod(expr), exprCollation(expr), 0),
										  list_length(targets) + 1, pstrdup(tle->resname), false));
	}
	keep_from(query);
	query->rtable = NIL;
	query->cteList = NIL;
	query->jointree = makeFromExpr(NIL, NULL);
	query->targetList = targets;
	foreach(lc, branches)
	{
		RangeTblRef *rtr = makeNode(RangeTblRef);
		RangeTblEntry *rte = subquery_rte(lfirst_node(Query, lc));

		rte->alias = makeAlias(psprintf("q%d", foreach_current_index(lc) + 1), NIL);
		rte->eref->aliasname = pstrdup(rte->alias->aliasname);
		query->rtable = lappend(query->rtable, rte);
		rtr->rtindex = list_length(query->rtable);
		if (tree == NULL)
			tree = (Node *) rtr;
		else
		{
			SetOperationStmt *stmt = makeNode(SetOperationStmt);

			stmt->op = SETOP_UNION;
			stmt->all = true;
			stmt->larg = tree;
			stmt->rarg = (Node *) rtr;
			stmt->colTypes = types;
			stmt->colTypmods = typmods;
			stmt->colCollations = collations;
			tree = (Node *) stmt;
		}
	}
	query->setOperations = tree;
}

static void
expand_sets(Query *query)
{
	SetContext	context = {NIL};
	List	   *branches = NIL;
	ListCell   *lc;

	streaming_flatten_joins(query);
	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);

		context.keys = lappend(context.keys, copyObject(tle->expr));
		context.refs = lappend_int(context.refs, clause->tleSortGroupRef);
	}
	foreach(lc, expand_grouping_sets(query->groupingSets, query->groupDistinct, 4096))
	{
		context.set = lfirst(lc);
		branches = lappend(branches, one_set(query, &context));
	}
	if (list_length(branches) == 1)
	{
		*query = *linitial_node(Query, branches);
		return;
	}
	/* each branch has its own copy of what it reads */
	if (contain_volatile_functions((Node *) query))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support volatile functions in a query with several grouping sets"),
				 errhint("Call them in a continuous view of its own and group that.")));
	make_union(query, branches);
}

/* Without sets GROUPING() is 0. */
static void
drop_grouping(Query *query)
{
	SetContext	context = {NIL};
	ListCell   *lc;

	foreach(lc, query->groupClause)
		context.set = lappend_int(context.set, lfirst_node(SortGroupClause, lc)->tleSortGroupRef);
	query->targetList = (List *) set_mutator((Node *) query->targetList, &context);
	query->havingQual = set_mutator(query->havingQual, &context);
}

/* ---- DISTINCT, ORDER BY, LIMIT ---- */

void
streaming_split_final(Query *query, bool distinct)
{
	Query	   *lower = lower_copy(query);
	List	   *upper = NIL;
	ListCell   *lc;
	List	   *named = NIL;

	lower->limitCount = lower->limitOffset = NULL;
	if (distinct)
	{
		lower->distinctClause = NIL;
		lower->hasDistinctOn = false;
	}
	else
	{
		query->distinctClause = NIL;
		query->hasDistinctOn = false;
	}
	if (!lower->hasDistinctOn)
		lower->sortClause = NIL;
	lower->targetList = copyObject(lower->targetList);
	foreach(lc, lower->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *above;
		Node	   *expr = (Node *) tle->expr;

		/* what its windows and groups are made of is no part of what is distinct */
		if (tle->resjunk && lower->distinctClause != NIL && !lower->hasDistinctOn)
			continue;
		above = makeTargetEntry((Expr *) makeVar(1, tle->resno, exprType(expr), exprTypmod(expr),
												 exprCollation(expr), 0),
								tle->resno, tle->resname, tle->resjunk);
		above->ressortgroupref = tle->ressortgroupref;
		upper = lappend(upper, above);
		tle->resname = unique_name(named, tle->resname ? tle->resname : "c");
		tle->resjunk = false;
		named = lappend(named, tle);
	}
	query->targetList = upper;
	query->hasAggs = query->hasWindowFuncs = query->hasTargetSRFs = false;
	query->groupClause = query->groupingSets = query->windowClause = NIL;
	query->groupDistinct = false;
	query->havingQual = NULL;
	query->setOperations = NULL;
	read_subquery(query, lower);
}

/*
 * A UNION whose last operation removes duplicates: that of all rows, and DISTINCT.
 * Those below need not remove any.
 */
static void
keep_duplicates(Node *node)
{
	SetOperationStmt *stmt = (SetOperationStmt *) node;

	if (IsA(node, RangeTblRef) || stmt->op != SETOP_UNION)
		return;
	stmt->all = true;
	stmt->groupClauses = NIL;
	keep_duplicates(stmt->larg);
	keep_duplicates(stmt->rarg);
}

static bool
split_union(Query *query)
{
	SetOperationStmt *stmt = castNode(SetOperationStmt, query->setOperations);
	List	   *clauses = copyObject(stmt->groupClauses);
	ListCell   *lc;

	if (stmt->op != SETOP_UNION || stmt->all)
		return false;
	keep_duplicates((Node *) stmt);
	streaming_split_final(query, false);
	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = list_nth_node(TargetEntry, query->targetList, foreach_current_index(lc));

		clause->tleSortGroupRef = tle->ressortgroupref = foreach_current_index(lc) + 1;
	}
	query->distinctClause = clauses;
	return true;
}

/* ---- Levels ---- */

static bool
aggregates(Query *query)
{
	return query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual != NULL;
}

/* Subqueries in FROM, those of a set operation included. */
static void
normalize_below(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY && !streaming_is_correlated(rte->subquery))
			streaming_normalize(rte->subquery);
	}
}

/* Splits query once; false: there is nothing to be split off. */
static bool
split_level(Query *query)
{
	bool		limit = query->limitCount || query->limitOffset;
	bool		distinct = query->distinctClause != NIL;
	bool		windows = query->hasWindowFuncs;
	List	   *keys = get_sortgrouplist_exprs(query->groupClause, query->targetList);
	bool		above = has_sublink_above((Node *) query->targetList, keys) ||
		has_sublink_above(query->havingQual, keys);
	bool		sublinks = streaming_has_sublink_input((Node *) query->targetList, NULL) ||
		streaming_has_sublink_input(query->havingQual, NULL);
	bool		sets = query->hasTargetSRFs || sublinks;
	/* an input in FROM or WHERE that does not make it plain */
	bool		more = !streaming_has_plain_from(query) &&
		(streaming_query_input(query) ||
		 streaming_has_sublink_input((Node *) query->jointree, NULL) ||
		 streaming_contains_input((Node *) query->cteList));

	if (query->setOperations)
	{
		if (limit)
			streaming_split_final(query, false);
		return limit || split_union(query);
	}
	if (limit && (distinct || aggregates(query) || windows || sets || more))
		streaming_split_final(query, false);
	else if (distinct && (aggregates(query) || windows || sets || more))
		streaming_split_final(query, true);
	else if (aggregates(query) && (windows || query->hasTargetSRFs || above))
		split_aggregation(query);
	else if (aggregates(query) && sublinks)
		split_from(query, true);
	else if ((aggregates(query) || windows) && more)
		streaming_split_from(query);
	else if ((windows || limit || query->hasDistinctOn) && streaming_query_input(query) &&
			 (list_length(query->rtable) > 1 || query->jointree->quals ||
			  linitial_node(RangeTblEntry, query->rtable)->rtekind != RTE_SUBQUERY))
		streaming_split_from(query);
	else if (query->groupingSets != NIL)
		expand_sets(query);
	else
		return false;
	return true;
}

/*
 * A key that is the negative of a constant is written as "- 2.5", which is read as a
 * constant again, and in GROUP BY that is the number of a column: a cast is not.
 */
static void
cast_negative_keys(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		OpExpr	   *op = (OpExpr *) tle->expr;

		if (tle->ressortgroupref > 0 && IsA(op, OpExpr) && list_length(op->args) == 1 &&
			IsA(linitial(op->args), Const))
			tle->expr = (Expr *) makeRelabelType(tle->expr, op->opresulttype, -1, op->opcollid,
												 COERCE_EXPLICIT_CAST);
	}
}

/* A row of FROM (...) q(a, b) as a value has these names. */
static void
name_outputs(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		ListCell   *name;
		ListCell   *target;

		if (rte->rtekind != RTE_SUBQUERY || rte->alias == NULL || rte->alias->colnames == NIL)
			continue;
		forboth(name, rte->eref->colnames, target, rte->subquery->targetList)
			lfirst_node(TargetEntry, target)->resname = pstrdup(strVal(lfirst(name)));
	}
}

void
streaming_normalize(Query *query)
{
	if (!streaming_contains_input((Node *) query))
		return;
	name_outputs(query);
	if (query->hasAggs)
		streaming_normalize_row_counts(query);
	streaming_flatten_group_exprs(query);
	streaming_inline_ctes(query);
	cast_negative_keys(query);
	group_dependent(query);
	if (query->groupClause != NIL && query->groupingSets == NIL)
		drop_grouping(query);
	/* the order of rows is of no account to who reads them all */
	if (query->limitCount == NULL && query->limitOffset == NULL && !query->hasDistinctOn)
		query->sortClause = NIL;
	streaming_normalize_order(query);
	if (aggregates(query) || query->hasWindowFuncs || query->distinctClause != NIL ||
		query->limitCount || query->limitOffset)
		streaming_normalize_rows(query);
	while (split_level(query))
		;
	normalize_below(query);
}
