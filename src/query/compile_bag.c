/*
 * compile_bag.c
 *		Aggregations whose groups are computed anew from rows that are kept.
 *
 * Of each row what the aggregates need of it is kept: the keys, and each
 * argument once, however many aggregates have it.  The aggregates are called as
 * the user wrote them, over columns of the bag.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"

#include "query/compile.h"

/* Replaces keys and aggregates' arguments by columns of the bag. */
typedef struct BagContext
{
	List	   *keys;
	List	   *args;			/* grows */
} BagContext;

/* The aggregate's result is what is kept (stage kind recompute). */
static void
keep_result(StreamingAggregate *agg)
{
	agg->statetype = agg->transtype = agg->aggref->aggtype;
	agg->combinefn = agg->finalfn = agg->serialfn = agg->deserialfn = InvalidOid;
}

static Node *
bag_mutator(Node *node, BagContext *context)
{
	int			i;

	if (node == NULL)
		return NULL;
	if ((i = streaming_list_position(context->keys, node)) >= 0)
		return (Node *) makeVar(1, i + 1, exprType(node), exprTypmod(node),
								exprCollation(node), 0);
	return expression_tree_mutator(node, bag_mutator, context);
}

/*
 * An argument becomes a column of the bag unless it reads no row and is the same
 * whenever the group is computed.
 */
static Expr *
bag_argument(Expr *expr, BagContext *context)
{
	int			i = streaming_list_position(context->keys, (Node *) expr);

	if (i < 0)
	{
		if (!contain_var_clause((Node *) expr) && !contain_subplans((Node *) expr) &&
			!checkExprHasSubLink((Node *) expr) && !contain_mutable_functions((Node *) expr))
			return expr;
		i = streaming_list_position(context->args, (Node *) expr);
		if (i < 0)
		{
			i = list_length(context->args);
			context->args = lappend(context->args, expr);
		}
		i += list_length(context->keys);
	}
	return (Expr *) makeVar(1, i + 1, exprType((Node *) expr), exprTypmod((Node *) expr),
							exprCollation((Node *) expr), 0);
}

static Aggref *
bag_aggregate(Aggref *aggref, BagContext *context)
{
	Aggref	   *result = copyObject(aggref);
	ListCell   *lc;

	foreach(lc, result->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->expr = bag_argument(tle->expr, context);
	}
	if (result->aggfilter)
		result->aggfilter = bag_argument(result->aggfilter, context);
	result->aggdirectargs = (List *) bag_mutator((Node *) result->aggdirectargs, context);
	return result;
}

/* Column names of the bag as the deparser shall see them. */
static List *
bag_columns(StreamingStage *stage)
{
	List	   *columns = NIL;

	for (int i = 0; i < stage->nkeys; i++)
		columns = lappend(columns, makeString(psprintf("k%d", i + 1)));
	for (int i = 0; i < stage->nargs; i++)
		columns = lappend(columns, makeString(psprintf("a%d", i + 1)));
	return columns;
}

static StreamingValue *
make_values(List *exprs, const char *prefix)
{
	StreamingValue *values = palloc0(sizeof(StreamingValue) * Max(list_length(exprs), 1));
	ListCell   *lc;

	foreach(lc, exprs)
	{
		int			i = foreach_current_index(lc);

		streaming_fill_value(&values[i], psprintf("%s%d", prefix, i + 1), lfirst(lc));
	}
	return values;
}

/*
 * Keeps the rows' keys and arguments in a bag; the aggregates of a group are
 * computed from it with the aggregates as the user wrote them.
 */
void
streaming_compile_recompute(StreamingCompiler *compiler, StreamingStage *stage, Query *query,
							List *keys, List *key_tles, List *aggrefs)
{
	BagContext	context = {keys, NIL};
	Query	   *recompute = makeNode(Query);
	Query	   *rows = copyObject(query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	ListCell   *lc;
	List	   *targets = NIL;
	StreamingValue *values;
	int			resno = 0;

	stage->kind = STREAMING_STAGE_RECOMPUTE;
	foreach(lc, key_tles)
	{
		TargetEntry *tle = copyObject(lfirst_node(TargetEntry, lc));
		StreamingValue *key = &stage->keys[resno];

		tle->resno = ++resno;
		tle->resname = psprintf("k%d", resno);
		tle->resjunk = false;
		tle->expr = (Expr *) makeVar(1, resno, key->type, key->typmod, key->collation, 0);
		recompute->targetList = lappend(recompute->targetList, tle);
	}
	foreach(lc, aggrefs)
	{
		Aggref	   *aggref = bag_aggregate(lfirst_node(Aggref, lc), &context);
		int			n = foreach_current_index(lc) + 1;

		recompute->targetList = lappend(recompute->targetList,
										makeTargetEntry((Expr *) aggref, ++resno,
														psprintf("r%d", n), false));
		keep_result(&stage->aggs[n - 1]);
	}
	stage->nargs = list_length(context.args);
	stage->args = make_values(context.args, "a");

	rtr->rtindex = 1;
	streaming_name_relation(rte, "bag", bag_columns(stage));
	recompute->commandType = CMD_SELECT;
	recompute->canSetTag = true;
	recompute->hasAggs = aggrefs != NIL;
	recompute->rtable = list_make1(rte);
	recompute->jointree = makeFromExpr(list_make1(rtr), NULL);
	recompute->groupClause = copyObject(query->groupClause);
	stage->recompute_sql = streaming_deparse(recompute);

	/* what goes into the bag: SELECT keys, arguments */
	resno = 0;
	foreach(lc, list_concat_copy(keys, context.args))
	{
		resno++;
		targets = lappend(targets, makeTargetEntry(copyObject(lfirst(lc)), resno,
												   psprintf("v%d", resno), false));
	}
	rows->targetList = targets;
	rows->groupClause = NIL;
	rows->havingQual = NULL;
	rows->hasAggs = false;
	stage->edges = palloc(sizeof(StreamingEdge));
	stage->nedges = 1;
	values = palloc(sizeof(StreamingValue) * Max(resno, 1));
	memcpy(values, stage->keys, sizeof(StreamingValue) * stage->nkeys);
	memcpy(values + stage->nkeys, stage->args, sizeof(StreamingValue) * stage->nargs);
	stage->edges[0] = streaming_make_counted_edge(compiler, rows, values, resno);
}
