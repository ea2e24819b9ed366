/*
 * partition_leaves.c
 *		The leaves of a query over several inputs (compile_partition.c): which they are, what
 *		the query reads of them, and what its statement calls that.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/typcache.h"

#include "query/partition.h"
#include "streaming.h"

static void collect_expression(Partition *partition, Node *node, Level *level);

/* ---- Leaves ---- */

static void
add_leaf(Partition *partition, Level *level, int rti, bool nullable)
{
	Leaf	   *leaf = palloc0(sizeof(Leaf));

	leaf->level = level;
	leaf->rti = rti;
	leaf->nullable = nullable;
	partition->leaves = lappend(partition->leaves, leaf);
}

static void
collect_relation(Partition *partition, Level *level, int rti, bool nullable)
{
	RangeTblEntry *rte = rt_fetch(rti, level->query->rtable);

	if (!streaming_rte_contains_input(rte))
		return;
	if (partition->nlevels < partition->depth)
	{
		partition->nlevels++;
		streaming_drop_unused_outputs(level->query, rti);
		streaming_collect_level(partition, rte->subquery, level);
	}
	else if (rte->rtekind == RTE_RELATION || streaming_is_delta(rte) ||
		(rte->rtekind == RTE_SUBQUERY && !streaming_is_correlated(rte->subquery)))
		add_leaf(partition, level, rti, nullable);
	else if (rte->rtekind == RTE_SUBQUERY)
		streaming_collect_level(partition, rte->subquery, level);
	else
	{
		collect_expression(partition, (Node *) rte->functions, level);
		collect_expression(partition, (Node *) rte->values_lists, level);
		collect_expression(partition, (Node *) rte->tablefunc, level);
	}
}

static void
collect_from(Partition *partition, Level *level, Node *node, bool nullable)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			collect_from(partition, level, lfirst(lc), nullable);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		full = join->jointype == JOIN_FULL;

		collect_from(partition, level, join->larg,
					 nullable || full || join->jointype == JOIN_RIGHT);
		collect_from(partition, level, join->rarg,
					 nullable || full || join->jointype == JOIN_LEFT);
	}
	else
		collect_relation(partition, level, castNode(RangeTblRef, node)->rtindex, nullable);
}

/* Sublinks over inputs, in the expressions of a level. */
static bool
collect_sublinks(Node *node, void *context)
{
	Partition  *partition = ((void **) context)[0];
	Level	   *level = ((void **) context)[1];

	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
	{
		SubLink    *sublink = (SubLink *) node;
		Query	   *query = castNode(Query, sublink->subselect);

		(void) collect_sublinks(sublink->testexpr, context);
		if (!streaming_contains_input((Node *) query))
			return false;
		/* what does not depend on the rows outside is a leaf by itself */
		if (!streaming_is_correlated(query))
			streaming_split_final(query, query->hasDistinctOn);
		streaming_collect_level(partition, query, level);
		return false;
	}
	return expression_tree_walker(node, collect_sublinks, context);
}

static void
collect_expression(Partition *partition, Node *node, Level *level)
{
	void	   *context[2] = {partition, level};

	(void) collect_sublinks(node, context);
}

/* A query of a set operation stays a query: it selects from its leaf. */
static void
collect_branch(Partition *partition, Level *level, RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_SUBQUERY || !streaming_contains_input((Node *) rte->subquery))
		return;
	if (!streaming_is_correlated(rte->subquery))
		streaming_split_final(rte->subquery, false);
	streaming_collect_level(partition, rte->subquery, level);
}

void
streaming_collect_level(Partition *partition, Query *query, Level *above)
{
	Level	   *level = palloc0(sizeof(Level));
	ListCell   *lc;

	level->query = query;
	level->above = above;
	partition->levels = lappend(partition->levels, level);
	streaming_flatten_group_exprs(query);
	streaming_flatten_joins(query);
	foreach(lc, query->setOperations ? query->rtable : NIL)
		collect_branch(partition, level, lfirst_node(RangeTblEntry, lc));
	collect_from(partition, level, (Node *) query->jointree, false);
	collect_expression(partition, (Node *) query->jointree, level);
	collect_expression(partition, (Node *) query->targetList, level);
	collect_expression(partition, query->havingQual, level);
	collect_expression(partition, query->limitCount, level);
	collect_expression(partition, query->limitOffset, level);
	foreach(lc, query->cteList)
	{
		Query	   *cte = castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery);

		if (streaming_contains_input((Node *) cte))
			streaming_collect_level(partition, cte, level);
	}
}

RangeTblEntry *
streaming_leaf_rte(Leaf *leaf)
{
	return rt_fetch(leaf->rti, leaf->level->query->rtable);
}

int
streaming_leaf_of_var(Partition *partition, Level *level, Var *var)
{
	ListCell   *lc;

	for (Index i = 0; level && i < var->varlevelsup; i++)
		level = level->above;
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		if (leaf->level == level && leaf->rti == var->varno)
			return foreach_current_index(lc);
	}
	return -1;
}

/* ---- What the query reads of its leaves ---- */

typedef struct ColumnSearch
{
	Partition  *partition;
	Level	   *level;
	bool		named;			/* leaves have got their names: what is no column of theirs
								 * is one that stands behind them */
} ColumnSearch;

static void
add_column(Leaf *leaf, Var *var)
{
	Var		   *column = copyObject(var);
	ListCell   *lc;

	foreach(lc, leaf->columns)
	{
		if (lfirst_node(Var, lc)->varattno == var->varattno)
			return;
	}
	column->varno = 1;
	column->varlevelsup = 0;
	column->varnosyn = 0;
	column->varattnosyn = 0;
	leaf->columns = lappend(leaf->columns, column);
}

static bool
has_dropped(Oid row_type)
{
	TupleDesc	desc;
	bool		result = false;

	if (row_type == RECORDOID)
		return false;
	desc = lookup_rowtype_tupdesc_domain(row_type, -1, false);
	for (int i = 0; i < desc->natts; i++)
		result |= TupleDescAttr(desc, i)->attisdropped;
	ReleaseTupleDesc(desc);
	return result;
}

static void
need_column(Partition *partition, Leaf *leaf, Var *var)
{
	ListCell   *lc;

	if (var->varattno > 0)
		add_column(leaf, var);
	else if (var->varattno == TableOidAttributeNumber)
		leaf->tableoid = true;
	else if (!OidIsValid(leaf->row_type))
	{
		leaf->row_type = var->vartype;
		leaf->dropped = has_dropped(leaf->row_type);
		foreach(lc, streaming_columns_of(partition->compiler, streaming_leaf_rte(leaf)))
			add_column(leaf, lfirst_node(Var, lc));
	}
}

/* A whole row and tableoid are columns behind the others: see streaming_leaf_name. */
static void
name_column(Leaf *leaf, Var *var)
{
	if (var->varattno > 0)
		return;
	var->varattno = list_length(streaming_leaf_rte(leaf)->eref->colnames) -
		(var->varattno == 0 && leaf->tableoid ? 1 : 0);
	var->varnosyn = 0;
	var->varattnosyn = 0;
}

static bool
search_columns(Node *node, ColumnSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		int			i = streaming_leaf_of_var(search->partition, search->level, (Var *) node);
		Leaf	   *leaf = i >= 0 ? list_nth(search->partition->leaves, i) : NULL;

		if (leaf && search->named)
			name_column(leaf, (Var *) node);
		else if (leaf)
			need_column(search->partition, leaf, (Var *) node);
		return false;
	}
	if (IsA(node, Query))
	{
		ColumnSearch below = {search->partition, NULL, search->named};
		Level		unknown = {(Query *) node, search->level};
		ListCell   *lc;

		foreach(lc, search->partition->levels)
		{
			if (((Level *) lfirst(lc))->query == (Query *) node)
				below.level = lfirst(lc);
		}
		if (below.level == NULL)
			below.level = &unknown;
		return query_tree_walker((Query *) node, search_columns, &below,
								 QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, search_columns, search);
}

static int
compare_columns(const ListCell *a, const ListCell *b)
{
	return lfirst_node(Var, a)->varattno - lfirst_node(Var, b)->varattno;
}

void
streaming_find_columns(Partition *partition)
{
	ColumnSearch search = {partition, NULL};
	ListCell   *lc;

	(void) search_columns((Node *) partition->query, &search);
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		list_sort(leaf->columns, compare_columns);
	}
}

/* ---- Names ---- */

void
streaming_leaf_name(Partition *partition, int i)
{
	Leaf	   *leaf = list_nth(partition->leaves, i);
	RangeTblEntry *rte = streaming_leaf_rte(leaf);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, rte->eref->colnames)
	{
		char	   *name = strVal(lfirst(lc));

		/* of dropped columns they are empty, and others may be like ours */
		names = lappend(names, makeString(name[0] && name[0] != '$' ? pstrdup(name) :
										  psprintf("$_%d", foreach_current_index(lc) + 1)));
	}
	/* columns that were added since, which only whole rows have */
	while (leaf->columns != NIL && list_length(names) < llast_node(Var, leaf->columns)->varattno)
		names = lappend(names, makeString(psprintf("$_%d", list_length(names) + 1)));
	for (int k = 0; leaf->row_type == RECORDOID && k < list_length(leaf->columns); k++)
		leaf->names = lappend(leaf->names, copyObject(list_nth(rte->eref->colnames, k)));
	if (OidIsValid(leaf->row_type))
		names = lappend(names, makeString("$row"));
	if (leaf->tableoid)
	{
		leaf->relid = rte->relid;
		names = lappend(names, makeString("$tableoid"));
	}
	streaming_name_relation(rte, psprintf("$leaf_%d", i + 1), names);
}

void
streaming_name_rows(Partition *partition)
{
	ColumnSearch search = {partition, NULL, true};

	(void) search_columns((Node *) partition->query, &search);
}
