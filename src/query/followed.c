/*
 * followed.c
 *		Ordinary tables of a query that a view follows.
 *
 * Whether a table is an input like a stream is no property of the table, as it is of a
 * stream, but of the view.  So it is marked in the query that is compiled.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "query/compile.h"
#include "streaming.h"

typedef struct TableSearch
{
	List	   *tables;			/* of Oid: found */
	List	   *views;			/* of Oid: ordinary views that were looked into */
} TableSearch;

static bool search_walker(Node *node, TableSearch *search);

static void
search_relation(Oid relid, TableSearch *search)
{
	Oid			schema = get_rel_namespace(relid);
	Relation	rel;

	/* What belongs to the server or to us is nobody's to follow. */
	if (relid < FirstNormalObjectId || schema == streaming_catalog_namespace() ||
		schema == streaming_internal_namespace() || streaming_is_input(relid))
		return;
	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			search->tables = list_append_unique_oid(search->tables, relid);
			break;
		case RELKIND_VIEW:
			if (list_member_oid(search->views, relid))
				break;
			search->views = lappend_oid(search->views, relid);
			rel = table_open(relid, AccessShareLock);
			search_walker((Node *) get_view_query(rel), search);
			table_close(rel, NoLock);
			break;
		default:
			break;
	}
}

static bool
search_walker(Node *node, TableSearch *search)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			search_relation(((RangeTblEntry *) node)->relid, search);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, search_walker, search, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, search_walker, search);
}

List *
streaming_ordinary_tables(Query *query)
{
	TableSearch search = {0};

	search_walker((Node *) query, &search);
	return search.tables;
}

/* What is captured is of all partitions. */
static void
refuse_only(RangeTblEntry *rte)
{
	if (!rte->inh && get_rel_relkind(rte->relid) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support ONLY of a partitioned table that they follow"),
				 errhint("Leave out ONLY, which finds no rows.")));
}

static bool
mark_walker(Node *node, List *tables)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && list_member_oid(tables, rte->relid))
		{
			refuse_only(rte);
			rte->relkind = STREAMING_RELKIND_FOLLOWED;
		}
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, mark_walker, tables, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, mark_walker, tables);
}

void
streaming_mark_followed(Query *query, List *tables)
{
	if (tables != NIL)
		(void) mark_walker((Node *) query, tables);
}
