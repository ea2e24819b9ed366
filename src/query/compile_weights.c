/*
 * compile_weights.c
 *		Aggregates that follow rows as they appear and disappear, and DISTINCT inside.
 *
 * Of a row that disappears, sums and counts can take back what it brought: they add
 * each row times its weight.  So an aggregate over such rows is written as others,
 * over weights, which are combined as any:
 *
 *	count(x)		streaming_sum_weights(w) FILTER (WHERE x IS NOT NULL)
 *	sum(int)		streaming_sum_weights(x * w), if there is an x
 *	avg(int)		the same divided by their count
 *	sum(numeric)	weighted_sum(x, w), which knows what scale the sum has then
 *	bool_and(x)		streaming_sum_weights(w) FILTER (WHERE NOT x) = 0, if there is an x
 *
 * and the group goes when its rows sum to nothing.  What follows from single values
 * is answered by a stage of its own beneath, that keeps each value of each group once:
 *
 *	input ──┬────────────────────────────────────────▶ groups
 *			└─▶ values: (keys, tag, x) ── new, gone ────▶
 *								└─ in order: min, max ──▶
 *
 * An aggregate with DISTINCT is that aggregate without it over the values that are new
 * or gone, a weighted one if some go.  Where several columns are asked for, their values
 * are told apart by a tag.  Where it matters which conditions have held of a value's rows:
 * of rows that only appear it is kept in bits, and those that are new are handed up; of
 * others each value is kept once for each condition, under a tag of its own.  min and
 * max are the ends of the values in the order of an index, looked up whenever the group
 * is touched (exec/extreme.c).  A value that is too wide for an index is in another one, of
 * such rows, and looked at one by one.
 *
 * Floating-point numbers cannot be taken back exactly, and aggregates of others are
 * not known: such are computed anew (compile_bag.c).  How each is written is in
 * weighted_forms.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "query/key_index.h"
#include "query/weights.h"
#include "streaming.h"

/* GROUPING takes no more; and an int8 has as many bits. */
#define MAX_COLUMNS		31
#define MAX_CONDITIONS	64

/* ---- What can be kept so ---- */

/* Which strategy of its argument's order finds the result of min or max; 0: none. */
static int
order_strategy(Aggref *aggref)
{
	Oid			type = exprType((Node *) streaming_weight_argument(aggref));
	Oid			opclass = GetDefaultOpClass(type, BTREE_AM_OID);
	HeapTuple	tuple;
	Oid			sortop;

	if (!OidIsValid(opclass))
		return 0;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	sortop = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop;
	ReleaseSysCache(tuple);
	return OidIsValid(sortop) ? get_op_opfamily_strategy(sortop, get_opclass_family(opclass)) : 0;
}

/* Can an index tell the least or the largest of its values? */
static bool
is_ordered(Aggref *aggref)
{
	Node	   *arg = (Node *) streaming_weight_argument(aggref);
	int			strategy = order_strategy(aggref);

	return (strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber) &&
		exprCollation(arg) == aggref->inputcollid &&
		(!OidIsValid(aggref->inputcollid) || get_collation_isdeterministic(aggref->inputcollid)) &&
		streaming_type_is_ordered(exprType(arg));
}

/* Of equal numbers of different scale any one stands for all; their sum would show which. */
static bool
has_scale(Expr *arg)
{
	return exprType((Node *) arg) != NUMERICOID || exprTypmod((Node *) arg) >= (int32) VARHDRSZ;
}

/* Number of a condition, from 0; -1: it is none of them. */
static int
condition_of(StreamingWeights *weights, Expr *filter)
{
	ListCell   *lc;

	foreach(lc, weights->conditions)
	{
		if (equal(lfirst(lc), filter))
			return foreach_current_index(lc);
	}
	return -1;
}

static void
add_use(StreamingWeights *weights, Expr *expr, Expr *filter, SortGroupClause *distinct)
{
	ListCell   *lc;
	int			column = -1;
	ValueUse   *use;

	foreach(lc, weights->columns)
	{
		ValueColumn *known = lfirst(lc);

		if (equal(known->expr, expr) &&
			(distinct ? known->distinct && known->distinct->eqop == distinct->eqop :
			 !known->distinct && equal(known->filter, filter)))
			column = foreach_current_index(lc);
	}
	if (column < 0)
	{
		ValueColumn *new = palloc0(sizeof(ValueColumn));

		new->expr = expr;
		new->filter = distinct ? NULL : filter;
		new->distinct = distinct;
		column = list_length(weights->columns);
		weights->columns = lappend(weights->columns, new);
	}
	foreach(lc, weights->uses)
	{
		use = lfirst(lc);
		if (use->column == column && equal(use->filter, filter))
			return;
	}
	use = palloc0(sizeof(ValueUse));
	use->column = column;
	use->filter = filter;
	weights->uses = lappend(weights->uses, use);
	if (condition_of(weights, filter) < 0)
		weights->conditions = lappend(weights->conditions, filter);
}

/* Number of the use, from 0, that an aggregate makes of values. */
static int
use_of(StreamingWeights *weights, Aggref *aggref, bool distinct)
{
	ListCell   *lc;

	foreach(lc, weights->uses)
	{
		ValueUse   *use = lfirst(lc);
		ValueColumn *column = list_nth(weights->columns, use->column);

		if (equal(column->expr, streaming_weight_argument(aggref)) && equal(use->filter, aggref->aggfilter) &&
			(distinct ? column->distinct &&
			 column->distinct->eqop == linitial_node(SortGroupClause, aggref->aggdistinct)->eqop :
			 !column->distinct))
			return foreach_current_index(lc);
	}
	elog(ERROR, "an aggregate's values are not kept");
}

static bool
is_distinct(Aggref *aggref)
{
	return aggref->aggdistinct != NIL && !streaming_is_idempotent(streaming_weight_method(aggref));
}

/* Notes what an aggregate needs; false: it is none of those that are kept so. */
static bool
plan_aggregate(StreamingWeights *weights, Aggref *aggref)
{
	StreamingMethod method = streaming_weight_method(aggref);
	bool		distinct = is_distinct(aggref);

	if (aggref->aggorder != NIL)
		return false;
	weights->changed |= weights->is_signed || aggref->aggdistinct != NIL;
	if (!weights->is_signed && !distinct)
		return streaming_is_combinable(aggref, method == STREAMING_METHOD_OTHER);
	if (method == STREAMING_METHOD_OTHER)
		return false;
	if (distinct)
	{
		if (method != STREAMING_METHOD_COUNT && !has_scale(streaming_weight_argument(aggref)))
			return false;
		add_use(weights, streaming_weight_argument(aggref), aggref->aggfilter, linitial(aggref->aggdistinct));
	}
	else if (method == STREAMING_METHOD_EXTREME)
	{
		if (!is_ordered(aggref))
			return false;
		add_use(weights, streaming_weight_argument(aggref), aggref->aggfilter, NULL);
	}
	return true;
}

static bool
find_unfit(Node *node, StreamingWeights *weights)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
		return !plan_aggregate(weights, (Aggref *) node);
	return expression_tree_walker(node, find_unfit, weights);
}

/* ---- How they are written ---- */

bool
streaming_has_tags(StreamingWeights *weights)
{
	return list_length(weights->is_signed ? weights->uses : weights->columns) > 1;
}

bool
streaming_has_bits(StreamingWeights *weights)
{
	return !weights->is_signed &&
		(streaming_has_tags(weights) || list_length(weights->conditions) > 1 ||
		 linitial(weights->conditions) != NULL);
}

/* Of rows that only appear it is what GROUPING tells of the columns. */
int
streaming_tag_of(StreamingWeights *weights, int use)
{
	int			n = list_length(weights->columns);
	int			column = ((ValueUse *) list_nth(weights->uses, use))->column;

	if (weights->is_signed)
		return use + 1;
	return ((1U << n) - 1) & ~(1U << (n - 1 - column));
}

int
streaming_position_of(StreamingWeights *weights, int column)
{
	return weights->nkeys + (streaming_has_tags(weights) ? 1 : 0) + column;
}

static Expr *
value_column(StreamingWeights *weights, int column)
{
	Node	   *expr = (Node *) ((ValueColumn *) list_nth(weights->columns, column))->expr;

	return (Expr *) makeVar(weights->varno, streaming_position_of(weights, column) + 1,
							exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* The values are those of a use; NULL: there is only one. */
static Expr *
of_use(StreamingWeights *weights, int use)
{
	int			bits = streaming_position_of(weights, list_length(weights->columns));
	Expr	   *result = NULL;
	int			condition = condition_of(weights, ((ValueUse *) list_nth(weights->uses, use))->filter);

	if (streaming_has_tags(weights))
		result = make_opclause(Int4EqualOperator, BOOLOID, false,
							   (Expr *) makeVar(weights->varno, weights->nkeys + 1, INT4OID, -1,
												InvalidOid, 0),
							   streaming_int4(streaming_tag_of(weights, use)),
							   InvalidOid, InvalidOid);
	if (streaming_has_bits(weights))
		result = streaming_both(result,
								streaming_has_bit((Expr *) makeVar(weights->varno, bits + 1, INT8OID,
																   -1, InvalidOid, 0), condition));
	return result;
}

/* The aggregate over the values instead of the rows. */
static Expr *
over_values(StreamingWeights *weights, Aggref *aggref, bool distinct)
{
	int			use = use_of(weights, aggref, distinct);
	int			column = ((ValueUse *) list_nth(weights->uses, use))->column;
	Expr	   *arg = value_column(weights, column);
	Expr	   *filter = of_use(weights, use);
	Aggref	   *result;

	if (distinct && weights->is_signed)
		return streaming_weighted_form(aggref, arg, filter);
	result = copyObject(aggref);
	linitial_node(TargetEntry, result->args)->expr = arg;
	linitial_node(TargetEntry, result->args)->ressortgroupref = 0;
	result->aggfilter = filter;
	result->aggdistinct = NIL;
	if (!distinct && !list_member(weights->extremes, result))
	{
		weights->extremes = lappend(weights->extremes, result);
		weights->extreme_columns = lappend_int(weights->extreme_columns, column);
	}
	return (Expr *) result;
}

static Node *
rewrite(Node *node, StreamingWeights *weights)
{
	Aggref	   *aggref = (Aggref *) node;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Aggref))
		return expression_tree_mutator(node, rewrite, weights);
	if (is_distinct(aggref))
		return (Node *) over_values(weights, aggref, true);
	if (weights->is_signed && streaming_weight_method(aggref) == STREAMING_METHOD_EXTREME)
		return (Node *) over_values(weights, aggref, false);
	if (weights->is_signed)
		return (Node *) streaming_weighted_form(aggref, copyObject(streaming_weight_argument(aggref)),
								 copyObject(aggref->aggfilter));
	aggref = copyObject(aggref);
	if (aggref->aggdistinct != NIL)
		linitial_node(TargetEntry, aggref->args)->ressortgroupref = 0;
	aggref->aggdistinct = NIL;
	return (Node *) aggref;
}

/* Is a key of the query a window of event time? */
static bool
closes(StreamingCompiler *compiler, Query *query)
{
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(lc), query->targetList);

		if (streaming_window_of(compiler, query, (Node *) tle->expr).kind != STREAMING_WINDOW_NONE)
			return true;
	}
	return false;
}

StreamingWeights *
streaming_plan_weights(StreamingCompiler *compiler, Query *query)
{
	StreamingWeights *weights = palloc0(sizeof(StreamingWeights));

	weights->is_signed = weights->changed = streaming_input_is_signed(compiler, query);
	weights->nkeys = list_length(query->groupClause);
	weights->varno = list_length(query->rtable) + 1;
	if (find_unfit((Node *) query->targetList, weights) || find_unfit(query->havingQual, weights) ||
		!weights->changed)
		return NULL;
	if (!weights->is_signed && (list_length(weights->columns) > MAX_COLUMNS ||
								list_length(weights->conditions) > MAX_CONDITIONS))
		return NULL;
	/* two statements read the rows; of values that disappear none is closed */
	if (weights->uses != NIL &&
		(contain_volatile_functions((Node *) query) ||
		 (weights->is_signed && closes(compiler, query))))
		return NULL;
	if (weights->uses != NIL)
		weights->values = streaming_add_stage(compiler);
	query->targetList = (List *) rewrite((Node *) query->targetList, weights);
	query->havingQual = rewrite(query->havingQual, weights);
	return weights;
}

int
streaming_count_rows(StreamingWeights *weights, List **aggrefs)
{
	Node	   *count;

	if (!weights->is_signed)
		return 0;
	count = (Node *) streaming_sum_weights(streaming_weight(), NULL);
	*aggrefs = list_append_unique(*aggrefs, count);
	return weights->nkeys == 0 ? 0 : streaming_list_position(*aggrefs, count) + 1;
}

/* ---- The edges of the groups ---- */

static bool
reads_values(Node *node, StreamingWeights *weights)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == (int) weights->varno;
	return expression_tree_walker(node, reads_values, weights);
}

/* The aggregate over no rows. */
static Aggref *
idle(Aggref *aggref)
{
	Aggref	   *result = copyObject(aggref);
	ListCell   *lc;

	foreach(lc, result->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) tle->expr;

		tle->expr = (Expr *) makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr));
	}
	result->aggfilter = (Expr *) makeBoolConst(false, false);
	return result;
}

/*
 * Of the aggregates of query, behind nkeys keys, those over the values, or those over
 * the rows, remain; the others are over nothing, which adds nothing to them.  False:
 * none remains.
 */
static bool
keep_aggregates(StreamingWeights *weights, Query *query, bool of_values)
{
	bool		any = false;

	for (int i = weights->nkeys; i < list_length(query->targetList); i++)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, query->targetList, i);
		bool		remains = reads_values((Node *) tle->expr, weights) == of_values &&
			!list_member(weights->extremes, tle->expr);

		if (!remains)
			tle->expr = (Expr *) idle((Aggref *) tle->expr);
		any |= remains;
	}
	return any;
}

/* SELECT keys, aggregates FROM <the values' changes> GROUP BY keys; NULL: it has none. */
static Query *
over_changes(StreamingWeights *weights, Query *partial)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);

	query->targetList = copyObject(partial->targetList);
	if (!keep_aggregates(weights, query, true))
		return NULL;
	ChangeVarNodes((Node *) query->targetList, weights->varno, 1, 0);
	for (int i = 0; i < weights->nkeys; i++)
	{
		StreamingValue *key = &weights->values->keys[i];

		list_nth_node(TargetEntry, query->targetList, i)->expr =
			(Expr *) makeVar(1, i + 1, key->type, key->typmod, key->collation, 0);
	}
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasAggs = true;
	query->rtable = list_make1(streaming_delta_rte(weights->values));
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	query->groupClause = copyObject(partial->groupClause);
	return query;
}

/* Has each row of a group a value that is kept, so that the group needs no more? */
static bool
has_all_rows(StreamingWeights *weights)
{
	ListCell   *lc;

	foreach(lc, weights->uses)
	{
		if (((ValueUse *) lfirst(lc))->filter == NULL)
			return true;
	}
	return false;
}

void
streaming_compile_weights(StreamingCompiler *compiler, StreamingWeights *weights,
						  StreamingStage *stage, Query *partial, List *aggrefs)
{
	Query	   *over_rows = copyObject(partial);
	bool		of_rows = keep_aggregates(weights, over_rows, false);
	Query	   *changes = NULL;
	ListCell   *lc;

	if (weights->values)
	{
		streaming_compile_values(compiler, weights, stage, partial);
		changes = over_changes(weights, partial);
	}
	if (changes == NULL || of_rows || !has_all_rows(weights))
		streaming_add_edge(stage, streaming_make_edge(compiler, over_rows, false));
	/* late rows are counted once */
	if (weights->values)
		weights->values->edges[0].again = stage->nedges > 0;
	if (changes)
		streaming_add_edge(stage, streaming_make_edge(compiler, changes, false));
	foreach(lc, weights->extremes)
	{
		int			i = streaming_list_position(aggrefs, lfirst(lc));
		StreamingAggregate *agg = &stage->aggs[i];

		agg->store = weights->values;
		agg->store_key = streaming_position_of(weights, list_nth_int(weights->extreme_columns,
																	 foreach_current_index(lc)));
		agg->largest = order_strategy(lfirst(lc)) == BTGreaterStrategyNumber;
	}
}
