/*
 * expand_views.c
 *		Ordinary views over streams, and over tables that are followed, are written
 *		out where they are named.
 *
 * This happens once, when a continuous view is made: what is kept of it has been
 * computed by what the ordinary view said then, and CREATE OR REPLACE of that does not
 * change it.  So the continuous view depends on what the ordinary view reads, and
 * no longer on that itself.  Its owner needs the right to read both.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "query/compile.h"
#include "streaming.h"

typedef struct Expansion
{
	List	   *tables;			/* of Oid: that are followed */
	List	   *rtable;			/* of the query that is being walked */
	bool		expanded;		/* there was a view */
} Expansion;

static bool expand_walker(Node *node, Expansion *expansion);

static bool
reads_any(Query *query, List *tables)
{
	List	   *read = tables ? streaming_ordinary_tables(query) : NIL;
	ListCell   *lc;

	foreach(lc, tables)
	{
		if (list_member_oid(read, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* The query of an ordinary view over an input; NULL: it is something else. */
static Query *
view_query(Oid relid, List *tables)
{
	Query	   *query = NULL;
	Relation	rel;

	if (get_rel_relkind(relid) != RELKIND_VIEW || streaming_is_input(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	if (streaming_contains_input((Node *) get_view_query(rel)) ||
		reads_any(get_view_query(rel), tables))
		query = castNode(Query, streaming_copy((Node *) get_view_query(rel)));
	table_close(rel, NoLock);
	return query;
}

static void
expand(RangeTblEntry *rte, Expansion *expansion)
{
	Query	   *query = view_query(rte->relid, expansion->tables);
	AclResult	result;

	if (query == NULL)
		return;
	result = pg_class_aclcheck(rte->relid, GetUserId(), ACL_SELECT);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_VIEW, get_rel_name(rte->relid));
	expansion->expanded = true;
	if (rte->alias == NULL)
		rte->alias = makeAlias(get_rel_name(rte->relid), NIL);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->security_barrier = false;
	streaming_forget_permissions(rte);
}

static bool
expand_walker(Node *node, Expansion *expansion)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	/* only what FROM names: a view's rule also lists the view itself */
	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex,
									  expansion->rtable);

		if (rte->rtekind == RTE_RELATION)
			expand(rte, expansion);
		return range_table_entry_walker(rte, expand_walker, expansion, 0);
	}
	if (IsA(node, Query))
	{
		List	   *outer = expansion->rtable;
		bool		result;

		expansion->rtable = ((Query *) node)->rtable;
		result = query_tree_walker((Query *) node, expand_walker, expansion,
								   QTW_IGNORE_RANGE_TABLE);
		expansion->rtable = outer;
		return result;
	}
	return expression_tree_walker(node, expand_walker, expansion);
}

bool
streaming_expand_views(Query *query, List *tables)
{
	Expansion	expansion = {tables};

	streaming_copies_begin();
	(void) expand_walker((Node *) query, &expansion);
	return expansion.expanded;
}
