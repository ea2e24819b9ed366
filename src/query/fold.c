/*
 * fold.c
 *		Which levels of a query share their partitions, and which rows no longer
 *		matter there.
 *
 *	SELECT ... FROM (SELECT ..., row_number() OVER (PARTITION BY k ORDER BY t) AS n
 *					 FROM input) q WHERE n <= 10
 *
 * What is above window functions, DISTINCT ON or LIMIT, and does not mix the rows of
 * their partitions, is computed with them in one stage, as the lowest of these
 * levels falls into partitions.  So only what is left of a partition in the end is
 * kept.
 *
 * If the rows of the input only appear, those behind the tenth never come back: they
 * need not be kept either.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "query/compile.h"

/* ---- Levels ---- */

typedef struct Fold
{
	int			depth;			/* levels above the lowest one */
	List	   *keys;			/* of Expr: of the partitions, as of the lowest level */
	List	   *outputs;		/* of Expr: what the columns of a level are, likewise */
} Fold;

/* The expressions that clauses name and whose values stay the same. */
static List *
clause_exprs(Query *query, List *clauses)
{
	List	   *exprs = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		Node	   *expr = (Node *) get_sortgroupclause_tle(lfirst(lc), query->targetList)->expr;

		if (!contain_mutable_functions(expr))
			exprs = lappend(exprs, expr);
	}
	return exprs;
}

List *
streaming_window_keys(Query *query)
{
	List	   *keys = NIL;
	ListCell   *lc;

	foreach(lc, query->windowClause)
	{
		List	   *exprs = clause_exprs(query, lfirst_node(WindowClause, lc)->partitionClause);

		keys = foreach_current_index(lc) == 0 ? exprs : list_intersection(keys, exprs);
	}
	return keys;
}

List *
streaming_distinct_keys(Query *query)
{
	return clause_exprs(query, query->distinctClause);
}

/* Is there a call of streaming.session among the keys of GROUP BY? */
static bool
has_session(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		if (streaming_session_call((Node *) get_sortgroupclause_tle(lfirst(lc),
																	query->targetList)->expr))
			return true;
	}
	return false;
}

int
streaming_only_relation(Query *query)
{
	List	   *from = query->jointree->fromlist;

	return list_length(from) == 1 && IsA(linitial(from), RangeTblRef) ?
		linitial_node(RangeTblRef, from)->rtindex : 0;
}

/* The subquery that is all that query reads; or NULL. */
static Query *
only_subquery(Query *query)
{
	int			rti = streaming_only_relation(query);
	RangeTblEntry *rte;

	if (query->setOperations || query->cteList != NIL || query->hasSubLinks ||
		query->groupingSets != NIL || rti == 0)
		return NULL;
	rte = rt_fetch(rti, query->rtable);
	return rte->rtekind == RTE_SUBQUERY && streaming_rte_contains_input(rte) &&
		!streaming_is_correlated(rte->subquery) ? rte->subquery : NULL;
}

typedef struct PullContext
{
	List	   *outputs;
	bool		whole_row;
} PullContext;

/* Columns of a level are what they are at the lowest one. */
static Node *
pull_mutator(Node *node, PullContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varattno > 0)
			return copyObject(list_nth(context->outputs, var->varattno - 1));
		context->whole_row = true;
		return copyObject(node);
	}
	return expression_tree_mutator(node, pull_mutator, context);
}

static List *
output_exprs(Query *query)
{
	List	   *exprs = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			exprs = lappend(exprs, lfirst_node(TargetEntry, lc)->expr);
	}
	return exprs;
}

static bool
has_keys(Fold *fold, PullContext *context, List *exprs)
{
	return list_difference(fold->keys, (List *) pull_mutator((Node *) exprs, context)) == NIL;
}

/* Does query, over the levels of fold, take the rows of each partition by themselves? */
static bool
keeps_partitions(Query *query, Fold *fold)
{
	PullContext context = {fold->outputs};
	List	   *outputs = (List *) pull_mutator((Node *) output_exprs(query), &context);

	(void) pull_mutator((Node *) query->jointree->quals, &context);
	(void) pull_mutator(query->havingQual, &context);
	(void) pull_mutator((Node *) query->targetList, &context);
	if (context.whole_row || has_session(query))
		return false;
	if (query->hasWindowFuncs && !has_keys(fold, &context, streaming_window_keys(query)))
		return false;
	if (query->distinctClause && !has_keys(fold, &context, streaming_distinct_keys(query)))
		return false;
	if ((query->hasAggs || query->groupClause || query->havingQual) &&
		!has_keys(fold, &context, clause_exprs(query, query->groupClause)))
		return false;
	if ((query->limitCount || query->limitOffset) && fold->keys != NIL)
		return false;
	fold->outputs = outputs;
	fold->depth++;
	return true;
}

static bool
fold_levels(Query *query, Fold *fold)
{
	Query	   *below = only_subquery(query);

	check_stack_depth();
	if (below == NULL)
		return false;
	if (fold_levels(below, fold) && keeps_partitions(query, fold))
		return true;
	if (!query->hasWindowFuncs && !query->hasDistinctOn && !query->limitCount &&
		!query->limitOffset)
		return false;
	fold->depth = 0;
	fold->outputs = output_exprs(query);
	fold->keys = query->limitCount || query->limitOffset ? NIL :
		query->hasWindowFuncs ? streaming_window_keys(query) : streaming_distinct_keys(query);
	return true;
}

int
streaming_folded_levels(Query *query)
{
	Fold		fold = {0};

	return fold_levels(query, &fold) ? fold.depth : 0;
}

bool
streaming_filters_partitions(Query *query)
{
	Fold		fold = {0};
	Query	   *below = only_subquery(query);

	return below && query->jointree->quals && fold_levels(below, &fold);
}

/* ---- A column more ---- */

/* Adds a column behind those of query; returns its number. */
static AttrNumber
add_column(Query *query, Expr *expr, const char *name, Index ref)
{
	List	   *targets = NIL;
	List	   *junk = NIL;
	TargetEntry *added;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			junk = lappend(junk, tle);
		else
			targets = lappend(targets, tle);
	}
	added = makeTargetEntry(expr, list_length(targets) + 1, pstrdup(name), false);
	added->ressortgroupref = ref;
	query->targetList = list_concat(lappend(targets, added), junk);
	foreach(lc, query->targetList)
		lfirst_node(TargetEntry, lc)->resno = foreach_current_index(lc) + 1;
	return added->resno;
}

static SortGroupClause *
new_clause(Query *query, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);
	SortGroupClause *clause = makeNode(SortGroupClause);
	ListCell   *lc;

	foreach(lc, query->targetList)
		clause->tleSortGroupRef = Max(clause->tleSortGroupRef,
									  lfirst_node(TargetEntry, lc)->ressortgroupref);
	clause->tleSortGroupRef++;
	clause->eqop = entry->eq_opr;
	clause->sortop = entry->lt_opr;
	clause->hashable = true;
	return clause;
}

AttrNumber
streaming_carry_column(Query *query, int depth, const char *name, Oid type)
{
	int			rti = streaming_only_relation(query);
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	AttrNumber	attno = depth > 0 ? streaming_carry_column(rte->subquery, depth - 1, name, type) :
		list_length(rte->eref->colnames) + 1;
	Expr	   *column = (Expr *) makeVar(rti, attno, type, -1, InvalidOid, 0);
	SortGroupClause *clause = new_clause(query, type);
	bool		grouped = query->groupClause != NIL;
	bool		distinct = query->distinctClause != NIL && !query->hasDistinctOn;

	rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(name)));
	if (grouped)
		query->groupClause = lappend(query->groupClause, clause);
	if (distinct)
		query->distinctClause = lappend(query->distinctClause, clause);
	return add_column(query, column, name, grouped || distinct ? clause->tleSortGroupRef : 0);
}

/* ---- Rows that no longer matter ---- */

/* A constant that is an integer, not NULL. */
static bool
constant_integer(Node *node, int64 *value)
{
	Const	   *constant;

	if (node && IsA(node, FuncExpr) && (((FuncExpr *) node)->funcid == F_INT8_INT4 ||
										((FuncExpr *) node)->funcid == F_INT8_INT2))
		node = linitial(((FuncExpr *) node)->args);
	if (node == NULL || !IsA(node, Const) || ((Const *) node)->constisnull)
		return false;
	constant = (Const *) node;
	switch (constant->consttype)
	{
		case INT2OID:
			*value = DatumGetInt16(constant->constvalue);
			return true;
		case INT4OID:
			*value = DatumGetInt32(constant->constvalue);
			return true;
		case INT8OID:
			*value = DatumGetInt64(constant->constvalue);
			return true;
		default:
			return false;
	}
}

/* "<column> <= most", "= most", "< most + 1": the number of the column and most. */
static bool
upper_limit(Node *node, AttrNumber *attno, int64 *most)
{
	OpExpr	   *op = (OpExpr *) node;
	Node	   *left;
	Node	   *right;
	Oid			opno;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return false;
	left = linitial(op->args);
	right = lsecond(op->args);
	opno = op->opno;
	if (!IsA(left, Var))
	{
		left = lsecond(op->args);
		right = linitial(op->args);
		opno = get_commutator(opno);
	}
	if (!IsA(left, Var) || !OidIsValid(opno) || !constant_integer(right, most))
		return false;
	*attno = ((Var *) left)->varattno;
	switch (get_op_opfamily_strategy(opno, INTEGER_BTREE_FAM_OID))
	{
		case BTLessStrategyNumber:
			if (*most > 0)
				(*most)--;
			return true;
		case BTLessEqualStrategyNumber:
		case BTEqualStrategyNumber:
			return true;
		default:
			return false;
	}
}

/* Is it a number that rows which come later in its order do not change? */
static bool
is_rank(Node *node)
{
	WindowFunc *function = (WindowFunc *) node;

	return IsA(function, WindowFunc) && function->aggfilter == NULL &&
		(function->winfnoid == F_ROW_NUMBER || function->winfnoid == F_RANK_ ||
		 function->winfnoid == F_DENSE_RANK_);
}

static bool
collect_windows(Node *node, List **functions)
{
	if (node == NULL)
		return false;
	if (IsA(node, WindowFunc))
		*functions = lappend(*functions, node);
	return expression_tree_walker(node, collect_windows, functions);
}

/* The rank that above limits, of those that query computes; or NULL. */
static WindowFunc *
limited_rank(Query *query, Query *above, int64 *most)
{
	List	   *functions = NIL;
	ListCell   *lc;

	if (above == NULL)
		return NULL;
	(void) collect_windows((Node *) query->targetList, &functions);
	foreach(lc, functions)
	{
		if (!is_rank(lfirst(lc)) ||
			lfirst_node(WindowFunc, lc)->winref != linitial_node(WindowFunc, functions)->winref)
			return NULL;
	}
	foreach(lc, make_ands_implicit((Expr *) above->jointree->quals))
	{
		AttrNumber	attno;
		Node	   *rank;

		if (!upper_limit(lfirst(lc), &attno, most) || attno <= 0)
			continue;
		rank = (Node *) get_tle_by_resno(query->targetList, attno)->expr;
		if (is_rank(rank))
			return (WindowFunc *) rank;
	}
	return NULL;
}

static WindowFunc *
make_rank(Oid function, Index winref)
{
	WindowFunc *rank = makeNode(WindowFunc);

	rank->winfnoid = function;
	rank->wintype = INT8OID;
	rank->winref = winref;
	rank->location = -1;
	return rank;
}

/* What the rows of query, DISTINCT ON or LIMIT, are numbered by; NULL: not by constants. */
static WindowFunc *
make_window(Query *query, int64 *most)
{
	WindowClause *window = makeNode(WindowClause);
	int64		offset = 0;

	window->winref = 1;
	window->frameOptions = FRAMEOPTION_DEFAULTS;
	window->orderClause = query->sortClause;
	if (query->hasDistinctOn)
	{
		window->partitionClause = query->distinctClause;
		*most = 1;
	}
	else if (!constant_integer(query->limitCount, most) || *most < 0 ||
			 (query->limitOffset && (!constant_integer(query->limitOffset, &offset) || offset < 0)) ||
			 pg_add_s64_overflow(*most, offset, most))
		return NULL;
	query->windowClause = list_make1(window);
	return make_rank(query->limitOption == LIMIT_OPTION_WITH_TIES ? F_RANK_ : F_ROW_NUMBER, 1);
}

static bool
names_target(List *clauses, TargetEntry *tle)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		if (lfirst_node(SortGroupClause, lc)->tleSortGroupRef == tle->ressortgroupref)
			return true;
	}
	return false;
}

/* Leaves but what the window is partitioned and ordered by; false: that can change. */
static bool
keep_window_targets(Query *query, Index winref)
{
	WindowClause *window = NULL;
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, query->windowClause)
	{
		if (lfirst_node(WindowClause, lc)->winref == winref)
			window = lfirst(lc);
	}
	query->windowClause = list_make1(window);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->ressortgroupref == 0 || !(names_target(window->partitionClause, tle) ||
										   names_target(window->orderClause, tle)))
			continue;
		if (contain_mutable_functions((Node *) tle->expr))
			return false;
		tle->resjunk = true;
		targets = lappend(targets, tle);
	}
	query->targetList = targets;
	return true;
}

Query *
streaming_rows_behind(Query *query, Query *above, int64 *most)
{
	Query	   *result = copyObject(query);
	WindowFunc *rank;

	if (query->hasSubLinks || query->setOperations || query->cteList != NIL ||
		streaming_only_relation(query) == 0 || query->jointree->quals || query->hasTargetSRFs ||
		query->hasAggs || query->groupClause)
		return NULL;
	if (query->hasWindowFuncs)
		rank = query->hasDistinctOn || query->limitCount || query->limitOffset ? NULL :
			limited_rank(query, above, most);
	else
		rank = make_window(result, most);
	if (rank == NULL || !keep_window_targets(result, rank->winref))
		return NULL;
	result->hasWindowFuncs = true;
	result->hasDistinctOn = false;
	result->distinctClause = result->sortClause = NIL;
	result->limitCount = result->limitOffset = NULL;
	result->limitOption = LIMIT_OPTION_COUNT;
	(void) add_column(result, (Expr *) copyObject(rank), "n", 0);
	return result;
}

static bool
is_equality(OpExpr *op)
{
	return get_op_opfamily_strategy(op->opno, INTEGER_BTREE_FAM_OID) == BTEqualStrategyNumber;
}

bool
streaming_shows_first_rows(Query *query, int depth)
{
	AttrNumber	attno;
	int64		most;
	List	   *quals = make_ands_implicit((Expr *) query->jointree->quals);

	if (depth == 0)
		return query->hasDistinctOn && query->limitCount == NULL && query->limitOffset == NULL;
	return depth == 1 && list_length(quals) == 1 && upper_limit(linitial(quals), &attno, &most) &&
		(most == 1 || !is_equality(linitial(quals))) && !query->hasAggs && !query->hasWindowFuncs &&
		!query->hasSubLinks && !query->hasTargetSRFs && query->groupClause == NIL &&
		query->groupingSets == NIL && query->havingQual == NULL && query->distinctClause == NIL &&
		query->limitCount == NULL && query->limitOffset == NULL;
}
