/*
 * compile_join.c
 *		Joins, and queries over each row of one leaf by itself (compile_partition.c): which
 *		queries are such, when their rows go, and their statements.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/typcache.h"

#include "query/partition.h"
#include "streaming.h"

/* ---- Kind ---- */

bool
streaming_only_inner(Node *node)
{
	ListCell   *lc;

	if (node == NULL || IsA(node, RangeTblRef))
		return true;
	if (IsA(node, JoinExpr))
		return ((JoinExpr *) node)->jointype == JOIN_INNER &&
			streaming_only_inner(((JoinExpr *) node)->larg) &&
			streaming_only_inner(((JoinExpr *) node)->rarg);
	foreach(lc, castNode(FromExpr, node)->fromlist)
	{
		if (!streaming_only_inner(lfirst(lc)))
			return false;
	}
	return true;
}

JoinExpr *
streaming_outer_join(Query *query)
{
	Node	   *from = list_length(query->jointree->fromlist) == 1 ?
		linitial(query->jointree->fromlist) : NULL;
	JoinExpr   *join = (JoinExpr *) from;

	return from && IsA(from, JoinExpr) && join->jointype != JOIN_INNER &&
		IsA(join->larg, RangeTblRef) && IsA(join->rarg, RangeTblRef) ? join : NULL;
}

bool
streaming_is_fixed_partition(Partition *partition)
{
	bool		is_signed = partition->by_match;	/* rows that have met none are taken back */
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Query	   *query = ((Leaf *) lfirst(lc))->query;

		if (!streaming_make_edge(partition->compiler, query, false).is_signed)
			continue;
		is_signed = true;
		if (partition->by_row || contain_mutable_functions((Node *) query) ||
			(streaming_outer_join(partition->query) && !partition->by_match))
			return false;
	}
	return streaming_is_fixed_join(partition->query, is_signed);
}

/* One level of several leaves, and how many relations in FROM are none; -1: it is more. */
static int
count_tables(Partition *partition)
{
	Query	   *query = partition->query;

	if (list_length(partition->leaves) < 2 || list_length(partition->levels) > 1 ||
		query->setOperations || query->hasWindowFuncs || query->hasDistinctOn ||
		query->limitCount || query->limitOffset || query->cteList != NIL || query->hasSubLinks)
		return -1;
	return bms_num_members(streaming_relations_of((Node *) query->jointree)) -
		list_length(partition->leaves);
}

bool
streaming_is_join(Partition *partition)
{
	Query	   *query = partition->query;

	return count_tables(partition) == 0 &&
		(streaming_only_inner((Node *) query->jointree) ||
		 (partition->compiler->mode == STREAMING_OUTPUT_APPEND && streaming_outer_join(query)));
}

bool
streaming_joins_tables(Partition *partition)
{
	ListCell   *lc;

	if (count_tables(partition) <= 0 || !streaming_only_inner((Node *) partition->query->jointree))
		return false;
	foreach(lc, partition->leaves)
	{
		if (!streaming_only_appears(partition->compiler, streaming_leaf_rte(lfirst(lc))))
			return false;
	}
	return true;
}

bool
streaming_is_by_row(Partition *partition)
{
	Query	   *query = partition->query;
	Leaf	   *first = linitial(partition->leaves);
	ListCell   *lc;

	if (partition->compiler->mode != STREAMING_OUTPUT_APPEND || partition->depth > 0 ||
		list_length(partition->leaves) < 2 || query->setOperations || query->hasWindowFuncs ||
		query->hasDistinctOn || query->limitCount || query->limitOffset || query->cteList != NIL ||
		first->level != linitial(partition->levels) || first->nullable)
		return false;
	for_each_from(lc, partition->leaves, 1)
	{
		if (((Leaf *) lfirst(lc))->level == first->level)
			return false;
	}
	return true;
}

/* ---- Event time ---- */

Node *
streaming_edge_columns(Node *node, Leaf *leaf)
{
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, streaming_edge_columns, leaf);
	foreach(lc, leaf->columns)
	{
		if (lfirst_node(Var, lc)->varattno == ((Var *) node)->varattno)
		{
			Var		   *var = (Var *) copyObject(node);

			var->varattno = foreach_current_index(lc) + 1;
			return (Node *) var;
		}
	}
	elog(ERROR, "a condition reads a column that is none of its leaf");
}

/* Late rows are counted once: a stage hands them up for a statement without joins. */
static void
add_late_filter(Partition *partition, Leaf *leaf, List *times)
{
	RangeTblEntry *rte = linitial_node(RangeTblEntry, leaf->query->rtable);

	if (streaming_stage_below(partition->compiler, leaf->query) && !streaming_is_delta(rte))
		streaming_bind_subquery(partition->compiler, rte);
	streaming_add_in_time(leaf->query, streaming_least(times),
						  partition->compiler->mode == STREAMING_OUTPUT_APPEND);
}

typedef struct MeetContext
{
	Partition  *partition;
	Level	   *level;
} MeetContext;

/* Columns of leaves have the number of the leaf; others have none that there is. */
static Node *
meet_mutator(Node *node, MeetContext *context)
{
	Var		   *var;
	int			leaf;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return IsA(node, Query) ? copyObject(node) :
			expression_tree_mutator(node, meet_mutator, context);
	var = (Var *) copyObject(node);
	leaf = streaming_leaf_of_var(context->partition, context->level, var);
	var->varno = leaf >= 0 ? leaf + 1 : list_length(context->partition->leaves) + 1;
	var->varlevelsup = 0;
	var->varnosyn = 0;
	var->varattnosyn = 0;
	return (Node *) var;
}

static List *
conditions_of(Partition *partition, Level *level, Node *node)
{
	MeetContext context = {partition, level};
	List	   *result = NIL;
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		return NIL;
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		result = list_concat(conditions_of(partition, level, join->larg),
							 conditions_of(partition, level, join->rarg));
		return lappend(result, meet_mutator(join->quals, &context));
	}
	foreach(lc, castNode(FromExpr, node)->fromlist)
		result = list_concat(result, conditions_of(partition, level, lfirst(lc)));
	return lappend(result, meet_mutator(((FromExpr *) node)->quals, &context));
}

/* Conditions on rows that meet. */
static List *
meeting(Partition *partition)
{
	JoinExpr   *outer = streaming_outer_join(partition->query);
	List	   *result = NIL;
	ListCell   *lc;

	/* what WHERE says is asked of rows that meet, and of those that do not */
	if (!partition->by_row)
		return conditions_of(partition, linitial(partition->levels),
							 outer ? (Node *) outer : (Node *) partition->query->jointree);
	for_each_from(lc, partition->levels, 1)
	{
		Level	   *level = lfirst(lc);

		if (streaming_only_inner((Node *) level->query->jointree))
			result = list_concat(result, conditions_of(partition, level,
													   (Node *) level->query->jointree));
	}
	return result;
}

/* Is what rows of a leaf have met asked when they close? */
static bool
is_preserved(Partition *partition, int i)
{
	JoinExpr   *join = streaming_outer_join(partition->query);
	Leaf	   *leaf = list_nth(partition->leaves, i);
	bool		left;

	if (partition->by_row)
		return i == 0;
	if (join == NULL)
		return false;
	left = ((RangeTblRef *) join->larg)->rtindex == leaf->rti;
	return join->jointype == JOIN_FULL || join->jointype == (left ? JOIN_LEFT : JOIN_RIGHT);
}

bool
streaming_bound_leaves(Partition *partition)
{
	StreamingCompiler *compiler = partition->compiler;
	int			n = list_length(partition->leaves);
	StreamingLeafTime *times = palloc0(sizeof(StreamingLeafTime) * n);

	for (int i = 0; i < n && !partition->by_match; i++)
	{
		Leaf	   *leaf = list_nth(partition->leaves, i);

		times[i].rte = streaming_leaf_rte(leaf);
		times[i].query = leaf->query;
		times[i].nullable = leaf->nullable;
		times[i].preserved = is_preserved(partition, i);
	}
	if (!partition->by_match)
		streaming_bound_times(compiler, meeting(partition), times, n);
	for (int i = 0; i < n; i++)
	{
		if (times[i].preserved && times[i].closes == NIL)
			return false;
	}
	for (int i = 0; i < n; i++)
	{
		if (times[i].late)
			add_late_filter(partition, list_nth(partition->leaves, i), times[i].late);
		/* a row of the result comes when that of the first leaf closes */
		if (partition->by_row && i > 0)
			times[i].exprs = NIL;
	}
	compiler->leaf_times = times;
	compiler->nleaf_times = n;
	return true;
}

/* ---- The statements ---- */

char *
streaming_join_sql(Partition *partition, StreamingStage *stage, int edge, const char *rows,
				   Query *query)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, partition->leaves)
	{
		int			i = foreach_current_index(lc);

		appendStringInfoString(&buf, i ? ", " : "WITH ");
		streaming_append_leaf(&buf, lfirst(lc), i, STREAMING_LEAF_WEIGHTS, 2,
							  i == edge ? rows :
							  psprintf("%s.%s t", STREAMING_INTERNAL_SCHEMA, stage->edges[i].table));
	}
	appendStringInfo(&buf, " %s", streaming_deparse(query));
	return buf.data;
}

Var *
streaming_leaf_count(Leaf *leaf)
{
	return makeVar(leaf->rti, list_length(streaming_leaf_rte(leaf)->eref->colnames) - 1, INT8OID,
				   -1, InvalidOid, 0);
}

Var *
streaming_leaf_group(Leaf *leaf)
{
	return makeVar(leaf->rti, list_length(streaming_leaf_rte(leaf)->eref->colnames), INT8OID, -1,
				   InvalidOid, 0);
}

void
streaming_add_groups(Partition *partition)
{
	Query	   *query = partition->query;
	Oid			equal = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
	JoinExpr   *outer = streaming_outer_join(query);
	Node	  **quals = outer ? &outer->quals : &query->jointree->quals;
	Expr	   *first = (Expr *) streaming_leaf_group(linitial(partition->leaves));
	ListCell   *lc;

	for_each_from(lc, partition->leaves, 1)
	{
		Leaf	   *leaf = lfirst(lc);

		if (leaf->level == linitial(partition->levels))
			*quals = make_and_qual(*quals,
								   (Node *) make_opclause(equal, BOOLOID, false, copyObject(first),
														  (Expr *) streaming_leaf_group(leaf),
														  InvalidOid, InvalidOid));
	}
}

void
streaming_add_weight(Query *query, Expr *weight)
{
	query->targetList = lappend(query->targetList,
								makeTargetEntry(weight, list_length(query->targetList) + 1,
												"$weight", false));
}

Query *
streaming_weighted_matches(Partition *partition, Query *join)
{
	Query	   *query = copyObject(join);
	Expr	   *weight = NULL;
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);
		Expr	   *one = (Expr *) streaming_leaf_count(leaf);

		if (leaf->level != linitial(partition->levels))
			continue;
		weight = weight == NULL ? one :
			(Expr *) makeFuncExpr(F_INT8MUL, INT8OID, list_make2(weight, one), InvalidOid,
								  InvalidOid, COERCE_EXPLICIT_CALL);
	}
	if (streaming_outer_join(query))
		streaming_outer_join(query)->jointype = JOIN_INNER;
	streaming_add_weight(query, weight);
	return query;
}

Query *
streaming_without_match(Partition *partition, Query *join, int edge)
{
	Query	   *query = copyObject(join);
	JoinExpr   *outer = streaming_outer_join(query);
	Leaf	   *leaf = list_nth(partition->leaves, edge);
	NullTest   *test = makeNode(NullTest);

	outer->jointype = ((RangeTblRef *) outer->larg)->rtindex == leaf->rti ? JOIN_LEFT : JOIN_RIGHT;
	test->arg = (Expr *) streaming_leaf_group(list_nth(partition->leaves, 1 - edge));
	test->nulltesttype = IS_NULL;
	test->location = -1;
	query->jointree->quals = make_and_qual(query->jointree->quals, (Node *) test);
	streaming_add_weight(query, (Expr *) streaming_leaf_count(leaf));
	return query;
}

void
streaming_join_statements(Partition *partition, StreamingStage *stage)
{
	Query	   *query = partition->query;
	Query	   *met;
	ListCell   *lc;

	if (partition->by_row)
	{
		stage->emits_closed = true;
		streaming_flatten_joins(query);
		stage->edges[0].unmatched_sql = streaming_partition_sql(partition, stage, streaming_deparse(query));
		return;
	}
	foreach(lc, partition->leaves)
	{
		RangeTblEntry *rte = streaming_leaf_rte(lfirst(lc));

		rte->eref->colnames = lappend(rte->eref->colnames, makeString("$count"));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString("$group"));
	}
	if (partition->by_match)
	{
		streaming_match_statements(partition, stage);
		return;
	}
	if (!partition->whole)
		streaming_add_groups(partition);
	streaming_flatten_joins(query);
	met = streaming_weighted_matches(partition, query);
	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingEdge *edge = &stage->edges[i];
		StreamingLeafTime *times = &partition->compiler->leaf_times[i];

		edge->join_sql = streaming_join_sql(partition, stage, i, "\"$edge\" t", met);
		edge->only_meets = true;
		if (!times->preserved)
			continue;
		stage->emits_closed = true;
		edge->unmatched_sql =
			streaming_join_sql(partition, stage, i, streaming_closing_rows(edge),
					 streaming_without_match(partition, query, i));
	}
}

void
streaming_join_closes(Partition *partition, StreamingStage *stage)
{
	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingLeafTime *times = &partition->compiler->leaf_times[i];

		if (times->closes == NIL)
			continue;
		stage->edges[i].closes = (Expr *) streaming_edge_columns((Node *) streaming_least(times->closes),
															  list_nth(partition->leaves, i));
		stage->edges[i].lag = times->lag;
		stage->evicts_rows = true;
	}
}
