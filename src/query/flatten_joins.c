/*
 * flatten_joins.c
 *		Lets a relation below joins have a column more.
 *
 * The range table entry of a join lists the columns of its two sides, and the
 * deparser counts on it.  The rows of a stage have a sign that the joins of the
 * user's query know nothing of.  So columns are named by the relation that they
 * come from, not by a join, and then the joins list anew what their sides have.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"

#include "query/compile.h"
#include "streaming.h"

static void
flatten(Query *query, Node **node)
{
	if (*node)
		*node = streaming_flatten_join_alias_vars(query, *node);
}

static void
flatten_expressions(Query *query)
{
	ListCell   *lc;

	flatten(query, (Node **) &query->targetList);
	flatten(query, (Node **) &query->jointree);
	flatten(query, &query->havingQual);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* lateral ones name columns of this level */
		flatten(query, (Node **) &rte->subquery);
		flatten(query, (Node **) &rte->functions);
		flatten(query, (Node **) &rte->tablefunc);
		flatten(query, (Node **) &rte->values_lists);
		flatten(query, (Node **) &rte->tablesample);
	}
}

typedef struct NameContext
{
	Query	   *query;
	int			level;			/* of the node, below query's */
} NameContext;

/* The deparser writes a column as it was written, which may be as one of a join. */
static bool
name_relations(Node *node, NameContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varlevelsup == context->level && var->varnosyn > 0 &&
			rt_fetch(var->varnosyn, context->query->rtable)->rtekind == RTE_JOIN)
		{
			var->varnosyn = var->varno;
			var->varattnosyn = var->varattno;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		context->level++;
		(void) query_tree_walker((Query *) node, name_relations, context, 0);
		context->level--;
		return false;
	}
	return expression_tree_walker(node, name_relations, context);
}

/*
 * What a side of a join has: adds names and (unused, but counted) Vars, and in
 * numbers those that the side itself has for them.
 */
static void
add_columns(Query *query, Node *node, List **names, List **vars, List **numbers)
{
	RangeTblEntry *rte;
	int			rti = IsA(node, JoinExpr) ? ((JoinExpr *) node)->rtindex :
		castNode(RangeTblRef, node)->rtindex;
	ListCell   *lc;

	rte = rt_fetch(rti, query->rtable);
	foreach(lc, rte->eref->colnames)
	{
		AttrNumber	attno = foreach_current_index(lc) + 1;

		if (rte->rtekind == RTE_RELATION && get_rte_attribute_is_dropped(rte, attno))
			continue;
		*names = lappend(*names, lfirst(lc));
		*vars = lappend(*vars, makeVar(rti, attno, VOIDOID, -1, InvalidOid, 0));
		*numbers = lappend_int(*numbers, attno);
	}
}

static void
list_columns(Query *query, Node *node)
{
	JoinExpr   *join;
	RangeTblEntry *rte;

	if (node && IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
			list_columns(query, lfirst(lc));
		return;
	}
	if (node == NULL || !IsA(node, JoinExpr))
		return;
	join = (JoinExpr *) node;
	list_columns(query, join->larg);
	list_columns(query, join->rarg);

	/* The condition is there in full; a name of the join would hide the relations. */
	join->isNatural = false;
	join->usingClause = NIL;
	join->join_using_alias = NULL;
	join->alias = NULL;
	rte = rt_fetch(join->rtindex, query->rtable);
	rte->alias = NULL;
	rte->join_using_alias = NULL;
	rte->eref = makeAlias(rte->eref->aliasname, NIL);
	rte->joinmergedcols = 0;
	rte->joinaliasvars = rte->joinleftcols = rte->joinrightcols = NIL;
	add_columns(query, join->larg, &rte->eref->colnames, &rte->joinaliasvars, &rte->joinleftcols);
	add_columns(query, join->rarg, &rte->eref->colnames, &rte->joinaliasvars, &rte->joinrightcols);
}

void
streaming_flatten_joins(Query *query)
{
	NameContext context = {query, 0};

	flatten_expressions(query);
	(void) query_tree_walker(query, name_relations, &context, 0);
	list_columns(query, (Node *) query->jointree);
}
