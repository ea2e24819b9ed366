/*
 * normalize_recursion.c
 *		WITH RECURSIVE: to which of them new rows can be added.
 *
 *	r AS (base UNION [ALL] step(r, inputs))
 *
 * Where the recursive term is a join of r with inputs that does no more than to filter and
 * to project, rows that come to the inputs add rows to r, and take none away.  What
 * they add follows from them alone: the term over what is new, again and again, until
 * nothing is (exec/recursion.c).  Such a WITH query becomes a subquery where it is
 * named,
 *
 *	(WITH RECURSIVE r AS (...) SELECT * FROM r)
 *
 * a stage of its own; whatever reads it goes on from its changes.  Others stay where they
 * are, and are computed anew as a whole with the query that has them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "query/partition.h"

/* ---- Is it monotone? ---- */

typedef struct RowSearch
{
	int			rti;
	Index		level;
} RowSearch;

/* Does it read a row of the relation as a whole? */
static bool
reads_row(Node *node, RowSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		return var->varlevelsup == search->level && var->varno == search->rti && var->varattno <= 0;
	}
	if (IsA(node, Query))
	{
		bool		result;

		search->level++;
		result = query_tree_walker((Query *) node, reads_row, search, 0);
		search->level--;
		return result;
	}
	return expression_tree_walker(node, reads_row, search);
}

/*
 * Have the columns of a branch the types of the whole, so that what it gives is a row of
 * that as it is?
 */
static bool
has_types(Query *branch, SetOperationStmt *stmt)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, branch->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk || n >= list_length(stmt->colTypes) ||
			exprType((Node *) tle->expr) != list_nth_oid(stmt->colTypes, n++))
			return false;
	}
	return n == list_length(stmt->colTypes);
}

/*
 * A table can hold its rows.  Of UNION those that are equal are the same: which of them
 * came first would tell what the recursion makes of it.
 */
static bool
has_kept_types(SetOperationStmt *stmt)
{
	for (int i = 0; i < list_length(stmt->colTypes); i++)
	{
		Oid			type = list_nth_oid(stmt->colTypes, i);

		if (get_typtype(type) == TYPTYPE_PSEUDO ||
			(!stmt->all && !streaming_is_equal_image(type, list_nth_oid(stmt->colCollations, i))))
			return false;
	}
	return true;
}

static bool
is_limited(Query *query)
{
	return query->limitCount || query->limitOffset || query->sortClause != NIL || query->rowMarks != NIL;
}

/* The term that is not recursive: whatever it does to inputs it does by itself. */
static bool
is_base(Query *query, Node *node, SetOperationStmt *top)
{
	SetOperationStmt *stmt = (SetOperationStmt *) node;
	Query	   *branch;

	if (!IsA(node, RangeTblRef))
		return stmt->op == SETOP_UNION && (stmt->all || !top->all) &&
			is_base(query, stmt->larg, top) && is_base(query, stmt->rarg, top);
	branch = rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable)->subquery;
	return !is_limited(branch) && has_types(branch, top) && !streaming_is_correlated(branch) &&
		(streaming_contains_input((Node *) branch) || streaming_is_fixed(branch));
}

/* A relation of the recursive term: its rows are known, or made of one row of others. */
static bool
is_plain_relation(RangeTblEntry *rte)
{
	return !streaming_rte_contains_input(rte) || rte->rtekind == RTE_RELATION ||
		(rte->rtekind == RTE_SUBQUERY && !streaming_is_correlated(rte->subquery));
}

int
streaming_recursive_relation(Query *step)
{
	ListCell   *lc;

	foreach(lc, step->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_CTE && rte->self_reference)
			return foreach_current_index(lc) + 1;
	}
	return 0;
}

static bool
is_step(Query *step, SetOperationStmt *top)
{
	RowSearch	search = {streaming_recursive_relation(step)};
	Query	   *copy;
	ListCell   *lc;

	if (search.rti == 0 || is_limited(step) || step->setOperations || step->cteList != NIL ||
		step->hasAggs || step->groupClause != NIL || step->groupingSets != NIL || step->havingQual ||
		step->hasWindowFuncs || step->distinctClause != NIL || step->hasSubLinks ||
		!streaming_only_inner((Node *) step->jointree) || !has_types(step, top) ||
		query_tree_walker(step, reads_row, &search, 0))
		return false;
	foreach(lc, step->rtable)
	{
		if (!is_plain_relation(lfirst_node(RangeTblEntry, lc)))
			return false;
	}
	/* it names nothing else around it, and a row will always become the same */
	copy = copyObject(step);
	rt_fetch(search.rti, copy->rtable)->relkind = STREAMING_RELKIND_DELTA;
	return !streaming_is_correlated(copy) && streaming_is_fixed(copy);
}

Query *
streaming_recursive_term(CommonTableExpr *cte)
{
	Query	   *query = castNode(Query, cte->ctequery);
	SetOperationStmt *stmt = castNode(SetOperationStmt, query->setOperations);

	return rt_fetch(castNode(RangeTblRef, stmt->rarg)->rtindex, query->rtable)->subquery;
}

static bool
is_monotone(CommonTableExpr *cte)
{
	Query	   *query = castNode(Query, cte->ctequery);
	SetOperationStmt *stmt = (SetOperationStmt *) query->setOperations;

	/* the columns of SEARCH and CYCLE are rows, and arrays of rows, which no table holds */
	return cte->cterecursive && cte->ctecolnames != NIL && !cte->search_clause && !cte->cycle_clause && stmt &&
		stmt->op == SETOP_UNION && IsA(stmt->rarg, RangeTblRef) && query->cteList == NIL &&
		!is_limited(query) && streaming_contains_input((Node *) query) &&
		!contain_volatile_functions((Node *) query) && has_kept_types(stmt) &&
		is_base(query, stmt->larg, stmt) && is_step(streaming_recursive_term(cte), stmt);
}

/* ---- The query of it alone ---- */

bool
streaming_is_recursion(Query *query)
{
	CommonTableExpr *cte = list_length(query->cteList) == 1 ?
		linitial_node(CommonTableExpr, query->cteList) : NULL;
	int			rti = cte ? streaming_only_relation(query) : 0;
	RangeTblEntry *rte = rti > 0 ? rt_fetch(rti, query->rtable) : NULL;
	ListCell   *lc;

	if (rte == NULL || rte->rtekind != RTE_CTE || streaming_is_delta(rte) || rte->ctelevelsup > 0 ||
		query->jointree->quals || query->setOperations || query->hasAggs || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual || query->hasWindowFuncs ||
		query->distinctClause != NIL || query->limitCount || query->limitOffset ||
		list_length(query->targetList) != list_length(cte->ctecolnames))
		return false;
	foreach(lc, query->targetList)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var) || var->varlevelsup > 0 || var->varattno != foreach_current_index(lc) + 1)
			return false;
	}
	return is_monotone(cte);
}

Query *
streaming_recursion_query(CommonTableExpr *cte)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	SetOperationStmt *stmt;
	ListCell   *lc;

	cte = castNode(CommonTableExpr, streaming_copy((Node *) cte));
	cte->cterefcount = 1;
	stmt = castNode(SetOperationStmt, castNode(Query, cte->ctequery)->setOperations);
	rte->rtekind = RTE_CTE;
	rte->ctename = pstrdup(cte->ctename);
	rte->coltypes = list_copy(stmt->colTypes);
	rte->coltypmods = list_copy(stmt->colTypmods);
	rte->colcollations = list_copy(stmt->colCollations);
	rte->eref = makeAlias(cte->ctename, copyObject(cte->ctecolnames));
	rte->inFromCl = true;
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasRecursive = true;
	query->cteList = list_make1(cte);
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	foreach(lc, cte->ctecolnames)
	{
		int			i = foreach_current_index(lc);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) makeVar(1, i + 1, list_nth_oid(stmt->colTypes, i),
																	 list_nth_int(stmt->colTypmods, i),
																	 list_nth_oid(stmt->colCollations, i), 0),
													i + 1, pstrdup(strVal(lfirst(lc))), false));
	}
	return query;
}

/* ---- Is all of it read? ---- */

/* Is there a LIMIT that is none of the WITH query's own? */
static bool
has_limit(Node *node, void *cte)
{
	Query	   *query = (Query *) node;

	if (node == NULL || node == (Node *) cte)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, has_limit, cte);
	return query->limitCount != NULL || query_tree_walker(query, has_limit, cte, 0);
}

bool
streaming_adds_to_recursion(Query *query, CommonTableExpr *cte)
{
	/* an endless one ends where no more of its rows are fetched */
	return is_monotone(cte) && !has_limit((Node *) query, cte->ctequery);
}
