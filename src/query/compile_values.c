/*
 * compile_values.c
 *		The stage beneath an aggregation that keeps each value of each group once: see
 *		compile_weights.c.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "utils/fmgroids.h"

#include "query/key_index.h"
#include "query/weights.h"

/* CASE WHEN filter THEN expr ELSE other END; NULL for other: the type's NULL */
static Expr *
case_when(Expr *filter, Expr *expr, Expr *other)
{
	CaseExpr   *result = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = copyObject(filter);
	when->result = copyObject(expr);
	when->location = -1;
	result->casetype = exprType((Node *) expr);
	result->casecollid = exprCollation((Node *) expr);
	result->args = list_make1(when);
	result->defresult = other ? other :
		(Expr *) makeNullConst(result->casetype, exprTypmod((Node *) expr), result->casecollid);
	result->location = -1;
	return (Expr *) result;
}

/* What is not to be evaluated where the condition does not hold. */
static Expr *
guarded(Expr *expr, Expr *filter)
{
	return filter == NULL || IsA(expr, Var) ? copyObject(expr) : case_when(filter, expr, NULL);
}

/*
 * SELECT keys, targets (of TargetEntry with a name): evaluated once for a row, and not
 * for each of the values that it becomes.
 */
static RangeTblEntry *
row_rte(StreamingWeights *weights, Query *partial, List *targets)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query	   *query = copyObject(partial);
	List	   *names = NIL;
	ListCell   *lc;

	query->targetList = list_concat(list_truncate(query->targetList, weights->nkeys), targets);
	query->groupClause = NIL;
	query->hasAggs = false;
	/* lest the planner brings it up */
	query->limitOffset = (Node *) streaming_zero();
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int			i = foreach_current_index(lc);

		tle->resno = i + 1;
		tle->ressortgroupref = 0;
		if (i < weights->nkeys)
			tle->resname = psprintf("k%d", i + 1);
		names = lappend(names, makeString(pstrdup(tle->resname)));
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->alias = makeAlias("row", NIL);
	rte->eref = makeAlias("row", names);
	rte->inFromCl = true;
	return rte;
}

static Var *
column_of(RangeTblEntry *rte, Index varno, int i)
{
	Node	   *expr = (Node *) list_nth_node(TargetEntry, rte->subquery->targetList, i)->expr;

	return makeVar(varno, i + 1, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* The keys of a row, grouped by as in partial. */
static List *
row_keys(StreamingWeights *weights, Query *partial, RangeTblEntry *rows)
{
	List	   *keys = NIL;

	for (int i = 0; i < weights->nkeys; i++)
	{
		TargetEntry *tle = makeTargetEntry((Expr *) column_of(rows, 1, i), 0, NULL, false);

		tle->ressortgroupref = list_nth_node(TargetEntry, partial->targetList, i)->ressortgroupref;
		keys = lappend(keys, tle);
	}
	return keys;
}

/* ---- Rows that disappear: tags are joined with them ---- */

/* SELECT keys, and of each use its condition and its argument. */
static RangeTblEntry *
asked_rows(StreamingWeights *weights, Query *partial)
{
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, weights->uses)
	{
		ValueUse   *use = lfirst(lc);
		ValueColumn *column = list_nth(weights->columns, use->column);
		int			number = foreach_current_index(lc) + 1;
		Expr	   *condition = use->filter ? copyObject(use->filter) :
			(Expr *) makeBoolConst(true, false);

		targets = lappend(targets, makeTargetEntry(condition, 0, psprintf("holds%d", number), false));
		targets = lappend(targets, makeTargetEntry(guarded(column->expr, use->filter), 0,
												   psprintf("value%d", number), false));
	}
	return row_rte(weights, partial, targets);
}

/* (VALUES (1), (2), ...) asked(tag) */
static RangeTblEntry *
tags_rte(StreamingWeights *weights)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	for (int i = 0; i < list_length(weights->uses); i++)
		rte->values_lists = lappend(rte->values_lists,
									list_make1(streaming_int4(streaming_tag_of(weights, i))));
	rte->rtekind = RTE_VALUES;
	rte->coltypes = list_make1_oid(INT4OID);
	rte->coltypmods = list_make1_int(-1);
	rte->colcollations = list_make1_oid(InvalidOid);
	rte->alias = makeAlias("asked", list_make1(makeString("tag")));
	rte->eref = makeAlias("asked", list_make1(makeString("tag")));
	rte->inFromCl = true;
	return rte;
}

/*
 * CASE WHEN tag = <one of column's> THEN <its value in rows> ... END; column -1: whether
 * the condition of the tag holds
 */
static Expr *
by_tag(StreamingWeights *weights, RangeTblEntry *rows, int column)
{
	CaseExpr   *result = makeNode(CaseExpr);
	ListCell   *lc;

	foreach(lc, weights->uses)
	{
		CaseWhen   *when = makeNode(CaseWhen);
		int			i = weights->nkeys + 2 * foreach_current_index(lc) + (column >= 0 ? 1 : 0);

		if (column >= 0 && ((ValueUse *) lfirst(lc))->column != column)
			continue;
		when->expr = make_opclause(Int4EqualOperator, BOOLOID, false,
								   (Expr *) makeVar(2, 1, INT4OID, -1, InvalidOid, 0),
								   streaming_int4(streaming_tag_of(weights, foreach_current_index(lc))),
								   InvalidOid, InvalidOid);
		when->result = (Expr *) column_of(rows, 1, i);
		when->location = -1;
		result->args = lappend(result->args, when);
		result->casetype = exprType((Node *) when->result);
		result->casecollid = exprCollation((Node *) when->result);
	}
	result->defresult = (Expr *) makeNullConst(result->casetype, -1, result->casecollid);
	result->location = -1;
	return (Expr *) result;
}

/*
 * SELECT keys, tag, columns FROM rows, tags WHERE the condition of the tag holds.
 * (VALUES that name columns of the rows would be made ready anew for each row.)
 */
static Query *
tagged_query(StreamingWeights *weights, Query *partial)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rows = asked_rows(weights, partial);
	RangeTblRef *one = makeNode(RangeTblRef);
	RangeTblRef *two = makeNode(RangeTblRef);
	List	   *exprs = list_make1(makeVar(2, 1, INT4OID, -1, InvalidOid, 0));
	ListCell   *lc;

	one->rtindex = 1;
	two->rtindex = 2;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make2(rows, tags_rte(weights));
	query->jointree = makeFromExpr(list_make2(one, two), (Node *) by_tag(weights, rows, -1));
	query->targetList = row_keys(weights, partial, rows);
	for (int i = 0; i < list_length(weights->columns); i++)
		exprs = lappend(exprs, by_tag(weights, rows, i));
	foreach(lc, exprs)
		query->targetList = lappend(query->targetList, makeTargetEntry(lfirst(lc), 0, NULL, false));
	return query;
}

/* SELECT keys, column WHERE condition: of one use */
static Query *
untagged_query(StreamingWeights *weights, Query *partial)
{
	Query	   *query = copyObject(partial);
	ValueUse   *use = linitial(weights->uses);
	ValueColumn *column = linitial(weights->columns);

	query->targetList = list_truncate(query->targetList, weights->nkeys);
	query->hasAggs = false;
	query->jointree->quals = make_and_qual(query->jointree->quals, (Node *) copyObject(use->filter));
	query->targetList = lappend(query->targetList,
								makeTargetEntry(copyObject(column->expr), 0, NULL, false));
	return query;
}

/* ---- Rows that only appear: grouped by each column, with the bits of their conditions ---- */

/*
 * The value of a column in a row, where somebody asks for it: else it is NULL, so that
 * none is kept for others, nor evaluated.
 */
static Expr *
asked_value(StreamingWeights *weights, int column)
{
	Expr	   *expr = ((ValueColumn *) list_nth(weights->columns, column))->expr;
	List	   *filters = NIL;
	ListCell   *lc;

	foreach(lc, weights->uses)
	{
		ValueUse   *use = lfirst(lc);

		if (use->column != column)
			continue;
		if (use->filter == NULL)
			return copyObject(expr);
		filters = lappend(filters, copyObject(use->filter));
	}
	/* rows under no condition at all are left out above */
	if (IsA(expr, Var) && list_length(filters) == list_length(weights->conditions))
		return copyObject(expr);
	return case_when(list_length(filters) > 1 ? make_orclause(filters) : linitial(filters), expr, NULL);
}

/* Which of the conditions hold of a row. */
static Expr *
bits_of_row(StreamingWeights *weights)
{
	Expr	   *bits = NULL;
	ListCell   *lc;

	foreach(lc, weights->conditions)
	{
		Expr	   *bit = streaming_int8((int64) (UINT64CONST(1) << foreach_current_index(lc)));

		if (lfirst(lc))
			bit = case_when(lfirst(lc), bit, streaming_zero());
		bits = bits == NULL ? bit :
			(Expr *) makeFuncExpr(F_INT8OR, INT8OID, list_make2(bits, bit), InvalidOid, InvalidOid,
								  COERCE_EXPLICIT_CALL);
	}
	return bits;
}

/* SELECT keys, columns, bits */
static RangeTblEntry *
rows_with_bits(StreamingWeights *weights, Query *partial)
{
	List	   *targets = NIL;

	for (int i = 0; i < list_length(weights->columns); i++)
		targets = lappend(targets,
						  makeTargetEntry(asked_value(weights, i), 0, psprintf("x%d", i + 1), false));
	targets = lappend(targets, makeTargetEntry(bits_of_row(weights), 0, pstrdup("bits"), false));
	return row_rte(weights, partial, targets);
}

/* GROUPING (columns), which tells by which of them a row is grouped. */
static Expr *
grouping_of(List *columns)
{
	GroupingFunc *grouping = makeNode(GroupingFunc);
	ListCell   *lc;

	foreach(lc, columns)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		grouping->args = lappend(grouping->args, copyObject(tle->expr));
		grouping->refs = lappend_int(grouping->refs, tle->ressortgroupref);
	}
	grouping->location = -1;
	return (Expr *) grouping;
}

/* GROUPING SETS ((keys, column), (keys, another), ...) */
static GroupingSet *
sets_of(List *keys, List *columns)
{
	List	   *sets = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		List	   *refs = NIL;
		ListCell   *key;

		foreach(key, keys)
			refs = lappend_int(refs, lfirst_node(TargetEntry, key)->ressortgroupref);
		refs = lappend_int(refs, lfirst_node(TargetEntry, lc)->ressortgroupref);
		sets = lappend(sets, makeGroupingSet(GROUPING_SET_SIMPLE, refs, -1));
	}
	return makeGroupingSet(GROUPING_SET_SETS, sets, -1);
}

/*
 * SELECT keys, tag, columns, bits FROM rows GROUP BY keys and each of the columns: a row
 * is in one group for each of them.
 */
static Query *
grouped_query(StreamingWeights *weights, Query *partial)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rows = rows_with_bits(weights, partial);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	int			nbits = weights->nkeys + list_length(weights->columns);
	List	   *keys = row_keys(weights, partial, rows);
	List	   *columns = NIL;
	Index		ref = 0;
	Aggref	   *bits;
	ListCell   *lc;

	query->groupClause = copyObject(partial->groupClause);
	foreach(lc, keys)
		ref = Max(ref, lfirst_node(TargetEntry, lc)->ressortgroupref);
	foreach(lc, weights->columns)
	{
		SortGroupClause *clause = copyObject(((ValueColumn *) lfirst(lc))->distinct);
		int			i = weights->nkeys + foreach_current_index(lc);
		TargetEntry *tle = makeTargetEntry((Expr *) column_of(rows, 1, i), 0, NULL, false);

		clause->tleSortGroupRef = tle->ressortgroupref = ++ref;
		query->groupClause = lappend(query->groupClause, clause);
		columns = lappend(columns, tle);
	}
	query->targetList = list_copy(keys);
	if (streaming_has_tags(weights))
	{
		query->targetList = lappend(query->targetList,
									makeTargetEntry(grouping_of(columns), 0, NULL, false));
		query->groupingSets = list_make1(sets_of(keys, columns));
	}
	query->targetList = list_concat(query->targetList, columns);
	bits = streaming_make_aggregate(F_BIT_OR_INT8, list_make1(column_of(rows, 1, nbits)), INT8OID, NULL);
	query->targetList = lappend(query->targetList, makeTargetEntry((Expr *) bits, 0, NULL, false));

	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = query->hasAggs = true;
	query->rtable = list_make1(rows);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	/* of which nobody wants anything */
	if (!list_member_ptr(weights->conditions, NULL))
		query->jointree->quals = (Node *)
			makeFuncExpr(F_INT8NE, BOOLOID, list_make2(column_of(rows, 1, nbits), streaming_zero()),
						 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	return query;
}

/* ---- The stage ---- */

/* What of the rows are values: keys, tag, columns, bits. */
static Query *
values_query(StreamingWeights *weights, Query *partial)
{
	Query	   *query = streaming_has_bits(weights) ? grouped_query(weights, partial) :
		streaming_has_tags(weights) ? tagged_query(weights, partial) :
		untagged_query(weights, partial);
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->resno = foreach_current_index(lc) + 1;
		tle->resname = psprintf("v%d", tle->resno);
	}
	return query;
}

/* Keys, and outputs, of the values: those of the group, the tag, the columns. */
static void
fill_keys(StreamingWeights *weights, StreamingStage *stage, StreamingStage *owner, Query *rows)
{
	int			n = streaming_position_of(weights, list_length(weights->columns));
	ListCell   *lc;

	stage->nkeys = stage->noutputs = n;
	stage->keys = palloc0(sizeof(StreamingValue) * n);
	stage->outputs = palloc0(sizeof(StreamingValue) * (n + 1));
	memcpy(stage->keys, owner->keys, sizeof(StreamingValue) * weights->nkeys);
	if (streaming_has_tags(weights))
	{
		streaming_fill_value(&stage->keys[weights->nkeys], "tag",
							 (Node *) list_nth_node(TargetEntry, rows->targetList, weights->nkeys)->expr);
		stage->keys[weights->nkeys].eqop = Int4EqualOperator;
	}
	foreach(lc, weights->columns)
	{
		ValueColumn *column = lfirst(lc);
		int			i = streaming_position_of(weights, foreach_current_index(lc));

		streaming_fill_value(&stage->keys[i], psprintf("x%d", foreach_current_index(lc) + 1),
							 (Node *) column->expr);
		if (column->distinct)
			stage->keys[i].eqop = column->distinct->eqop;
		else
		{
			stage->ordered = bms_add_member(stage->ordered, i);
			if (!streaming_type_fits_index(stage->keys[i].type, stage->keys[i].typmod))
				stage->wide = bms_add_member(stage->wide, i);
		}
	}
	for (int i = 0; i < n; i++)
	{
		StreamingValue *key = &stage->keys[i];

		stage->outputs[i] = *key;
		stage->outputs[i].eqop = InvalidOid;
		stage->outputs[i].key = i;
		stage->output_exprs = lappend(stage->output_exprs,
									  makeTargetEntry((Expr *) makeVar(1, i + 1, key->type, key->typmod,
																	   key->collation, 0),
													  i + 1, key->name, false));
	}
}

/* The only aggregate of the values, and their last output: their bits. */
static void
fill_bits(StreamingStage *stage, Query *rows)
{
	Aggref	   *aggref = (Aggref *) llast_node(TargetEntry, rows->targetList)->expr;
	int			n = stage->noutputs++;

	stage->naggs = 1;
	stage->aggs = palloc0(sizeof(StreamingAggregate));
	(void) streaming_fill_aggregate(&stage->aggs[0], aggref);
	streaming_fill_value(&stage->outputs[n], "bits", (Node *) aggref);
	stage->outputs[n].aggregate = 0;
	stage->output_exprs = lappend(stage->output_exprs,
								  makeTargetEntry((Expr *) makeVar(1, n + 1, INT8OID, -1, InvalidOid, 0),
												  n + 1, stage->outputs[n].name, false));
}

/* GROUP BY keys, column: of rows that only appear, without conditions. */
static void
group_values(StreamingWeights *weights, Query *rows)
{
	SortGroupClause *clause = copyObject(((ValueColumn *) linitial(weights->columns))->distinct);

	clause->tleSortGroupRef = assignSortGroupRef(llast_node(TargetEntry, rows->targetList),
												 rows->targetList);
	rows->groupClause = lappend(rows->groupClause, clause);
}

void
streaming_compile_values(StreamingCompiler *compiler, StreamingWeights *weights,
						 StreamingStage *owner, Query *partial)
{
	StreamingStage *stage = weights->values;
	Query	   *rows = values_query(weights, partial);

	stage->keeps_values = stage->grouped = true;
	stage->nowner_keys = weights->nkeys;
	fill_keys(weights, stage, owner, rows);
	if (weights->is_signed)
	{
		stage->kind = STREAMING_STAGE_MULTISET;
		rows->groupClause = NIL;
		streaming_add_edge(stage, streaming_make_counted_edge(compiler, rows, stage->keys, stage->nkeys));
		return;
	}
	stage->kind = STREAMING_STAGE_COMBINE;
	stage->only_appears = true;
	stage->aggs = palloc0(sizeof(StreamingAggregate));
	stage->closes = copyObject(owner->closes);
	stage->closes_text = owner->closes_text;
	if (streaming_has_bits(weights))
		fill_bits(stage, rows);
	else
		group_values(weights, rows);
	streaming_add_edge(stage, streaming_make_edge(compiler, rows, false));
}
