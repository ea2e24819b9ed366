/*
 * compile_top.c
 *		Which rows of a batch are the first of their partition, where columns alone tell that.
 *
 * Of the rows that an edge brings, those behind the tenth of their partition do not matter if
 * the query wants ten (fold.c).  The server would sort all of them; where the window is
 * partitioned and ordered by columns of the edge, exec/top.c finds them in passing.
 * streaming_prune_rows is the general way.
 *
 * Where the query shows those rows, and all of them, they are kept as its result and nowhere
 * else: columns of them that it does not show are hidden keys of the stage.  Where it shows
 * nothing but columns and their numbers, no statement is needed to merge them with those that come.
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"

#include "query/partition.h"

/* Of each partition so many rows are held in memory. */
#define MOST_ROWS	1000

/* The column of the leaf with that number, from 0; or -1, as for 0. */
static int
column_of(Leaf *leaf, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, leaf->columns)
	{
		if (attno != 0 && lfirst_node(Var, lc)->varattno == attno)
			return foreach_current_index(lc);
	}
	return -1;
}

/* The column of the leaf that expr is, from 0, of a type of the server's; or -1. */
static int
leaf_column(Leaf *leaf, Expr *expr)
{
	Var		   *var = (Var *) expr;

	if (!IsA(var, Var) || var->varlevelsup > 0 || var->varno != leaf->rti || var->varattno <= 0 ||
		var->vartype >= FirstNormalObjectId)
		return -1;
	return column_of(leaf, var->varattno);
}

/* The columns that clauses name; false: they name something else. */
static bool
fill_columns(StreamingTopColumn *columns, Leaf *leaf, Query *query, List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);
		StreamingTopColumn *column = &columns[foreach_current_index(lc)];

		column->column = leaf_column(leaf, tle->expr);
		column->eqop = clause->eqop;
		column->sortop = clause->sortop;
		column->nulls_first = clause->nulls_first;
		column->collation = exprCollation((Node *) tle->expr);
		if (column->column < 0)
			return false;
	}
	return true;
}

/* The number of the row is what the rows are limited by, not their rank. */
static bool
by_row_number(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		WindowFunc *function = (WindowFunc *) lfirst_node(TargetEntry, lc)->expr;

		if (IsA(function, WindowFunc))
			return function->winfnoid == F_ROW_NUMBER;
	}
	return false;
}

StreamingTop *
streaming_plan_top(Partition *partition, StreamingStage *stage)
{
	Leaf	   *leaf = linitial(partition->leaves);
	StreamingTop *top = palloc0(sizeof(StreamingTop));
	Query	   *query = streaming_partition_behind(partition, stage, &top->most);
	WindowClause *window;

	if (query == NULL || !by_row_number(query) || top->most < 1 || top->most > MOST_ROWS)
		return NULL;
	window = linitial_node(WindowClause, query->windowClause);
	top->npartition = list_length(window->partitionClause);
	top->norder = list_length(window->orderClause);
	top->partition = palloc0(sizeof(StreamingTopColumn) * Max(top->npartition, 1));
	top->order = palloc0(sizeof(StreamingTopColumn) * Max(top->norder, 1));
	if (!fill_columns(top->partition, leaf, query, window->partitionClause) ||
		!fill_columns(top->order, leaf, query, window->orderClause))
		return NULL;
	return top;
}

/* The column of the leaf that expr, of the query that many levels above it, is; or 0. */
static AttrNumber
leaf_attno(Query *query, int depth, Expr *expr)
{
	RangeTblEntry *rte = rt_fetch(streaming_only_relation(query), query->rtable);
	Var		   *var = (Var *) expr;

	if (!IsA(var, Var) || var->varlevelsup > 0 || var->varattno <= 0)
		return 0;
	if (depth == 0)
		return var->varattno;
	return leaf_attno(rte->subquery, depth - 1,
					  get_tle_by_resno(rte->subquery->targetList, var->varattno)->expr);
}

/* The output that is a column of the leaf, from 0; or -1. */
static int
output_of(Partition *partition, Var *column)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, partition->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		if (leaf_attno(partition->query, partition->depth, tle->expr) == column->varattno)
			return n;
		n++;
	}
	return -1;
}

/* Is an output of the query the number that it limits rows by? */
static bool
is_number(Partition *partition, TargetEntry *tle)
{
	Query	   *query = partition->query;
	Var		   *var = (Var *) tle->expr;
	WindowFunc *function;

	if (partition->depth != 1 || !IsA(var, Var) || var->varlevelsup > 0 || var->varattno <= 0)
		return false;
	query = rt_fetch(streaming_only_relation(query), query->rtable)->subquery;
	function = (WindowFunc *) get_tle_by_resno(query->targetList, var->varattno)->expr;
	return IsA(function, WindowFunc) && function->winfnoid == F_ROW_NUMBER;
}

/* The keys, which are hidden behind the outputs; NULL: some are more than that. */
static int *
plan_first_keys(Partition *partition, StreamingStage *stage, List *hidden)
{
	Leaf	   *leaf = linitial(partition->leaves);
	int		   *keys = palloc(sizeof(int) * Max(stage->nkeys, 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, partition->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		keys[n] = column_of(leaf, leaf_attno(partition->query, partition->depth, tle->expr));
		if (keys[n++] < 0 && !is_number(partition, tle))
			return NULL;
	}
	foreach(lc, hidden)
		keys[n++] = streaming_list_position(leaf->columns, lfirst(lc));
	return n == stage->nkeys ? keys : NULL;
}

bool
streaming_plan_kept_result(Partition *partition, StreamingStage *stage)
{
	Leaf	   *leaf = linitial(partition->leaves);
	StreamingEdge *edge = &stage->edges[0];
	List	   *hidden = NIL;
	StreamingValue *keys;
	ListCell   *lc;

	if (stage->prune_sql == NULL || stage->whole || !streaming_is_ordered(partition) ||
		edge->closes || !streaming_shows_first_rows(partition->query, partition->depth))
		return false;
	keys = palloc0(sizeof(StreamingValue) * (stage->nkeys + list_length(leaf->columns)));
	memcpy(keys, stage->keys, sizeof(StreamingValue) * stage->nkeys);
	edge->kept_keys = palloc(sizeof(int) * Max(edge->ncolumns, 1));
	foreach(lc, leaf->columns)
	{
		int			output = output_of(partition, lfirst(lc));

		edge->kept_keys[foreach_current_index(lc)] = output >= 0 ? output : stage->nkeys;
		if (output >= 0)
			continue;
		hidden = lappend(hidden, lfirst(lc));
		streaming_fill_value(&keys[stage->nkeys++], psprintf("h%d", list_length(hidden)), lfirst(lc));
	}
	stage->keys = keys;
	edge->table = NULL;
	stage->first_keys = edge->top ? plan_first_keys(partition, stage, hidden) : NULL;
	stage->prune_sql = NULL;
	stage->recompute_sql = streaming_ordered_sql(partition, stage, hidden);
	return true;
}
