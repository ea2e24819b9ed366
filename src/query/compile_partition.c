/*
 * compile_partition.c
 *		Queries over several inputs, and those whose rows depend on each other.
 *
 * The inputs of such a query, its leaves, are streams, views and stages.  Their rows
 * are kept, each leaf's in a table.
 *
 *	partition	Where an equality, a PARTITION BY, ... takes care that a row of the
 *				result comes of rows of all leaves that agree in some key, the rows
 *				with one key are a partition: the query over all rows is the union of
 *				the query over each partition.  A batch computes the partitions anew
 *				that it has touched, and hands up the difference to what they were.
 *				What is not known to fall into partitions is one, as a whole.  To some
 *				WITH RECURSIVE rows are added instead (compile_recursion.c).
 *
 *	join		An inner join: the rows that come to a leaf are joined with what is
 *				kept of the others.  An outer join of two leaves, EXISTS and NOT EXISTS
 *				besides ask for the first and last matches (compile_match.c).  In output mode append also an outer join of two
 *				leaves with a bound in event time: its inner part is that, and rows
 *				that have met none follow when they close.  And queries over each row
 *				of one leaf by itself, and what it meets of others in subqueries: they
 *				are run over the rows that close.
 *
 * The statement is the user's query, with its leaves replaced by names:
 *
 *	WITH "$leaf_1"(...) AS (SELECT ... FROM rows_<id>_<n>_1 ...), ... <query>
 *
 * so whatever PostgreSQL can run there can be kept.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "utils/typcache.h"

#include "query/partition.h"

/* ---- Edges ---- */

static StreamingValue *
fill_values(List *exprs, const char *prefix)
{
	StreamingValue *values = palloc0(sizeof(StreamingValue) * Max(list_length(exprs), 1));
	ListCell   *lc;

	foreach(lc, exprs)
		streaming_fill_value(&values[foreach_current_index(lc)],
							 psprintf("%s%d", prefix, foreach_current_index(lc) + 1), lfirst(lc));
	return values;
}

/* SELECT <columns>, <keys> FROM leaf */
static Query *
edge_query(Leaf *leaf)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	RangeTblEntry *rte = copyObject(streaming_leaf_rte(leaf));
	ListCell   *lc;
	int			resno = 0;

	rtr->rtindex = 1;
	rte->lateral = false;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	if (rte->rtekind == RTE_SUBQUERY)
	{
		if (rte->alias == NULL)
			rte->alias = makeAlias("q", NIL);
		streaming_normalize(rte->subquery);
	}
	foreach(lc, leaf->columns)
	{
		resno++;
		query->targetList = lappend(query->targetList,
									makeTargetEntry(copyObject(lfirst(lc)), resno,
													psprintf("c%d", resno), false));
	}
	foreach(lc, leaf->keys)
	{
		KeyNode    *key = lfirst(lc);

		resno++;
		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) copyObject(key->expr), resno,
													psprintf("k%d", foreach_current_index(lc) + 1), false));
	}
	return query;
}

/* Sets the leaf's query, over what is below. */
static void
compile_leaf(StreamingCompiler *compiler, Leaf *leaf)
{
	Query	   *query = leaf->query = edge_query(leaf);

	streaming_compile_below(compiler, query);
	streaming_refuse_mutable_input(compiler, query);
	/* what a row that is taken back has been must be remembered */
	if (streaming_input_is_signed(compiler, query) && !streaming_is_fixed(query))
		streaming_bind_subquery(compiler, linitial_node(RangeTblEntry, query->rtable));
}

static StreamingEdge
make_edge(Partition *partition, Leaf *leaf)
{
	StreamingCompiler *compiler = partition->compiler;
	List	   *keys = NIL;
	StreamingEdge edge;
	ListCell   *lc;

	foreach(lc, leaf->keys)
		keys = lappend(keys, ((KeyNode *) lfirst(lc))->expr);
	edge = streaming_make_edge(compiler, leaf->query, true);
	edge.weighted = edge.is_signed;
	edge.ncolumns = list_length(leaf->columns);
	edge.columns = fill_values(leaf->columns, "c");
	edge.nkeys = list_length(leaf->keys);
	edge.keys = fill_values(keys, "k");
	foreach(lc, leaf->keys)
	{
		KeyNode    *key = lfirst(lc);
		StreamingValue *value = &edge.keys[foreach_current_index(lc)];

		value->collation = key->collation;
		if (key->class >= 0)
			value->eqop = lookup_type_cache(value->type, TYPECACHE_EQ_OPR)->eq_opr;
	}
	return edge;
}

static void
name_tables(Partition *partition, StreamingStage *stage)
{
	for (int i = 0; i < stage->nedges; i++)
		stage->edges[i].table = psprintf("rows_%d_%d_%d", partition->compiler->program->id,
										 stage->number, i + 1);
}

StreamingStage *
streaming_compile_partition(StreamingCompiler *compiler, Query *query)
{
	Partition	partition = {compiler, query};
	Query	   *nested;
	StreamingEdge *edges;
	StreamingStage *stage;
	int			n;
	bool		joined;
	bool		recursive = streaming_is_recursion(query);

	partition.depth = streaming_folded_levels(query);
	if (compiler->mode != STREAMING_OUTPUT_APPEND)
		streaming_normalize_matches(query);
	streaming_collect_level(&partition, query, NULL);
	streaming_find_columns(&partition);
	streaming_find_keys(&partition);
	if (compiler->mode != STREAMING_OUTPUT_APPEND)
		streaming_find_table_keys(&partition);
	if (recursive)
		streaming_find_recursion(&partition);
	nested = copyObject(query);
	partition.by_row = streaming_is_by_row(&partition);
	partition.by_match = streaming_is_by_match(&partition);
	joined = partition.by_row || partition.by_match || streaming_is_join(&partition);
	if (streaming_nests_by_match(&partition, nested))
		return streaming_compile_query(compiler, nested);
	/* what is computed anew never appends */
	if ((partition.whole || (!joined && compiler->mode == STREAMING_OUTPUT_APPEND) ||
		 streaming_joins_tables(&partition)) &&
		streaming_nest_joins(nested, compiler->mode == STREAMING_OUTPUT_APPEND))
		return streaming_compile_query(compiler, nested);
	n = list_length(partition.leaves);
	for (int i = 0; i < n; i++)
		compile_leaf(compiler, list_nth(partition.leaves, i));
	joined = joined && streaming_is_fixed_partition(&partition) &&
		streaming_bound_leaves(&partition);
	compiler->unbounded_outer |= !joined && (partition.by_row || streaming_outer_join(query));
	partition.by_row &= joined;
	partition.by_match &= joined;
	edges = palloc0(sizeof(StreamingEdge) * n);
	for (int i = 0; i < n; i++)
		edges[i] = make_edge(&partition, list_nth(partition.leaves, i));

	stage = streaming_add_stage(compiler);
	stage->kind = joined ? STREAMING_STAGE_JOIN : STREAMING_STAGE_PARTITION;
	stage->whole = partition.whole;
	stage->edges = edges;
	stage->nedges = n;
	streaming_fill_outputs(stage, query);
	name_tables(&partition, stage);
	for (int i = 0; i < n; i++)
	{
		stage->signed_input |= edges[i].is_signed;
		streaming_leaf_name(&partition, i);
	}
	streaming_name_rows(&partition);
	streaming_refuse_mutable(query, true, compiler->mode);
	if (streaming_contains_input((Node *) query))
		elog(ERROR, "an input of a query is none of its leaves");
	if (!joined)
	{
		streaming_keys_of_outputs(stage);
		if (partition.table)
		{
			streaming_table_join_statements(&partition, stage);
			return stage;
		}
		if (recursive)
		{
			streaming_recursion_statements(&partition, stage);
			return stage;
		}
		streaming_flatten_joins(query);
		stage->prune_sql = streaming_prune_sql(&partition, stage);
		edges[0].top = streaming_plan_top(&partition, stage);
		if (edges[0].top == NULL)
		{
			edges[0].sql = streaming_prune_rows(&partition, stage, edges[0].sql);
			edges[0].initial_sql = streaming_prune_rows(&partition, stage, edges[0].initial_sql);
		}
		streaming_plan_suffix(&partition, stage);
		if (stage->suffix || streaming_plan_kept_result(&partition, stage))
			return stage;
		stage->recompute_sql = !stage->whole && streaming_is_ordered(&partition) ?
			streaming_ordered_sql(&partition, stage, NIL) :
			streaming_partition_sql(&partition, stage, streaming_deparse(query));
		return stage;
	}
	stage->only_appears = !stage->signed_input && !partition.by_match;
	streaming_outputs_event_time(compiler, stage, query);
	streaming_join_closes(&partition, stage);
	streaming_join_statements(&partition, stage);
	compiler->nleaf_times = 0;
	return stage;
}
