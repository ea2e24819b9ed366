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
#include "parser/parse_clause.h"

#include "query/key_index.h"
#include "query/weights.h"

/* What is not to be evaluated where the condition does not hold. */
static Expr *
guarded(Expr *expr, Expr *filter)
{
	CaseExpr   *result;
	CaseWhen   *when;

	if (filter == NULL || IsA(expr, Var))
		return copyObject(expr);
	result = makeNode(CaseExpr);
	when = makeNode(CaseWhen);
	when->expr = copyObject(filter);
	when->result = copyObject(expr);
	when->location = -1;
	result->casetype = exprType((Node *) expr);
	result->casecollid = exprCollation((Node *) expr);
	result->args = list_make1(when);
	result->defresult = (Expr *) makeNullConst(result->casetype, exprTypmod((Node *) expr),
											   result->casecollid);
	result->location = -1;
	return (Expr *) result;
}

/*
 * SELECT keys, and of each use its condition and its argument: evaluated once for a
 * row, and not for each of the values that it becomes.
 */
static RangeTblEntry *
asked_rows(StreamingWeights *weights, Query *partial)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query	   *query = copyObject(partial);
	List	   *names = NIL;
	ListCell   *lc;

	query->targetList = list_truncate(query->targetList, weights->nkeys);
	query->groupClause = NIL;
	query->hasAggs = false;
	/* lest the planner brings it up */
	query->limitOffset = (Node *) streaming_zero();
	foreach(lc, weights->uses)
	{
		ValueUse   *use = lfirst(lc);
		ValueColumn *column = list_nth(weights->columns, use->column);
		Expr	   *condition = use->filter ? copyObject(use->filter) :
			(Expr *) makeBoolConst(true, false);

		query->targetList = lappend(query->targetList, makeTargetEntry(condition, 0, NULL, false));
		query->targetList = lappend(query->targetList,
									makeTargetEntry(guarded(column->expr, use->filter), 0, NULL, false));
	}
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int			i = foreach_current_index(lc);
		int			use = (i - weights->nkeys) / 2 + 1;

		tle->resno = i + 1;
		tle->ressortgroupref = 0;
		tle->resname = i < weights->nkeys ? psprintf("k%d", i + 1) :
			psprintf("%s%d", (i - weights->nkeys) % 2 == 0 ? "holds" : "value", use);
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

/* (VALUES (1), (2), ...) asked(tag) */
static RangeTblEntry *
tags_rte(StreamingWeights *weights)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	for (int i = 0; i < list_length(weights->uses); i++)
		rte->values_lists = lappend(rte->values_lists,
									list_make1(makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
														 Int32GetDatum(i + 1), false, true)));
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
								   (Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
													  Int32GetDatum(foreach_current_index(lc) + 1),
													  false, true),
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
	query->groupClause = copyObject(partial->groupClause);
	for (int i = 0; i < weights->nkeys; i++)
	{
		TargetEntry *tle = makeTargetEntry((Expr *) column_of(rows, 1, i), 0, NULL, false);

		tle->ressortgroupref = list_nth_node(TargetEntry, partial->targetList, i)->ressortgroupref;
		query->targetList = lappend(query->targetList, tle);
	}
	for (int i = 0; i < list_length(weights->columns); i++)
		exprs = lappend(exprs, by_tag(weights, rows, i));
	foreach(lc, exprs)
		query->targetList = lappend(query->targetList, makeTargetEntry(lfirst(lc), 0, NULL, false));
	return query;
}

/* SELECT keys, columns WHERE condition: of one use */
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

/* What of the rows are values: keys, tag, columns. */
static Query *
values_query(StreamingWeights *weights, Query *partial)
{
	Query	   *query = streaming_has_tags(weights) ? tagged_query(weights, partial) :
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
	int			n = list_length(rows->targetList);
	ListCell   *lc;

	stage->nkeys = stage->noutputs = n;
	stage->keys = palloc0(sizeof(StreamingValue) * n);
	stage->outputs = palloc0(sizeof(StreamingValue) * n);
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

/* GROUP BY all columns of rows. */
static void
group_values(StreamingWeights *weights, Query *rows)
{
	for (int i = weights->nkeys; i < list_length(rows->targetList); i++)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, rows->targetList, i);
		SortGroupClause *clause = makeNode(SortGroupClause);

		if (streaming_has_tags(weights) && i == weights->nkeys)
		{
			clause->eqop = Int4EqualOperator;
			clause->sortop = Int4LessOperator;
			clause->hashable = true;
		}
		else
		{
			int			column = i - streaming_position_of(weights, 0);

			*clause = *((ValueColumn *) list_nth(weights->columns, column))->distinct;
		}
		clause->tleSortGroupRef = assignSortGroupRef(tle, rows->targetList);
		rows->groupClause = lappend(rows->groupClause, clause);
	}
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
	group_values(weights, rows);
	streaming_add_edge(stage, streaming_make_edge(compiler, rows, false));
}
