/*
 * normalize_with.c
 *		WITH queries: over streams they are written where they are named, and others get
 *		names that are nobody else's.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"

#include "query/compile.h"

typedef struct CteContext
{
	CommonTableExpr *cte;
	int			level;
	char	   *name;			/* it is to have */
} CteContext;

typedef struct UncountContext
{
	List	   *ctes;			/* beside the one that goes */
	int			level;			/* of the node below them */
} UncountContext;

static bool
inline_walker(Node *node, CteContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_CTE && !streaming_is_delta(rte) && !rte->self_reference &&
			(int) rte->ctelevelsup == context->level &&
			strcmp(rte->ctename, context->cte->ctename) == 0)
		{
			Query	   *subquery = context->cte->cterecursive ? streaming_recursion_query(context->cte) :
				castNode(Query, streaming_copy(context->cte->ctequery));

			if (rte->ctelevelsup > 0)
				IncrementVarSublevelsUp((Node *) subquery, rte->ctelevelsup, 1);
			rte->rtekind = RTE_SUBQUERY;
			rte->subquery = subquery;
			rte->security_barrier = false;
			if (rte->alias == NULL)
				rte->alias = makeAlias(rte->ctename, NIL);
			rte->ctename = NULL;
			rte->ctelevelsup = 0;
			rte->self_reference = false;
			rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		context->level++;
		(void) query_tree_walker((Query *) node, inline_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
		context->level--;
		return false;
	}
	return expression_tree_walker(node, inline_walker, context);
}

/* Do statements give this name to what is not of the user's query? */
static bool
is_taken(const char *name)
{
	return name[0] == '$' || strncmp(name, "delta_", 6) == 0 || strcmp(name, "bag") == 0;
}

static bool
rename_walker(Node *node, CteContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup == context->level &&
			strcmp(rte->ctename, context->cte->ctename) == 0)
			rte->ctename = pstrdup(context->name);
		return false;
	}
	if (IsA(node, Query))
	{
		context->level++;
		(void) query_tree_walker((Query *) node, rename_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
		context->level--;
		return false;
	}
	return expression_tree_walker(node, rename_walker, context);
}

static bool
rename_ctes(Node *node, void *count)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, rename_ctes, count);
	foreach(lc, ((Query *) node)->cteList)
	{
		CteContext	context = {lfirst_node(CommonTableExpr, lc), -1};

		if (!is_taken(context.cte->ctename))
			continue;
		context.name = psprintf("with_%d_%s", ++*(int *) count, context.cte->ctename);
		(void) rename_walker(node, &context);
		context.cte->ctename = context.name;
	}
	return query_tree_walker((Query *) node, rename_ctes, count, 0);
}

void
streaming_rename_ctes(Query *query)
{
	int			count = 0;

	(void) rename_ctes((Node *) query, &count);
}

/* A WITH query goes, and with it what it names of those beside it. */
static bool
uncount_walker(Node *node, UncountContext *context)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		foreach(lc, context->ctes)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

			if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup == context->level &&
				strcmp(rte->ctename, cte->ctename) == 0)
				cte->cterefcount--;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		context->level++;
		(void) query_tree_walker((Query *) node, uncount_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
		context->level--;
		return false;
	}
	return expression_tree_walker(node, uncount_walker, context);
}

static bool
drop_unused_ctes(Node *node, void *unused)
{
	Query	   *query = (Query *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, drop_unused_ctes, unused);
	/* one names only those before it */
	for (int i = list_length(query->cteList) - 1; i >= 0; i--)
	{
		CommonTableExpr *cte = list_nth_node(CommonTableExpr, query->cteList, i);
		UncountContext context = {NIL, 0};

		if (cte->cterefcount > 0)
			continue;
		context.ctes = query->cteList = list_delete_nth_cell(query->cteList, i);
		(void) uncount_walker(cte->ctequery, &context);
	}
	return query_tree_walker(query, drop_unused_ctes, unused, 0);
}

void
streaming_drop_unused_ctes(Query *query)
{
	(void) drop_unused_ctes((Node *) query, NULL);
}

/* What is written twice is evaluated twice. */
static void
refuse_volatile(CommonTableExpr *cte)
{
	if (cte->cterefcount > 1 && contain_volatile_functions(cte->ctequery))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support a WITH query that calls volatile functions and is named more than once"),
				 errdetail("WITH query \"%s\" is evaluated where it is named.", cte->ctename),
				 errhint("Make it a continuous view of its own and read that.")));
}

void
streaming_inline_ctes(Query *query)
{
	List	   *left = NIL;
	ListCell   *lc;

	if (streaming_is_recursion(query))
		return;
	foreach(lc, query->cteList)
	{
		CteContext	context = {lfirst_node(CommonTableExpr, lc), -1};

		if (context.cte->cterecursive ? !streaming_adds_to_recursion(query, context.cte) :
			!streaming_contains_input(context.cte->ctequery))
			left = lappend(left, context.cte);
		else
		{
			refuse_volatile(context.cte);
			(void) inline_walker((Node *) query, &context);
		}
	}
	query->cteList = left;
}
