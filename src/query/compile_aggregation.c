/*
 * compile_aggregation.c
 *		Aggregations over one input.
 *
 * What is planned is SELECT keys, aggregates GROUP BY keys; the output and HAVING are
 * expressions over its rows.  Aggregates that are not combined are the matter of
 * compile_weights.c and compile_bag.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_agg.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "query/compile.h"

/* Replaces group keys and aggregates by columns of (keys, aggregates). */
typedef struct ResultContext
{
	List	   *keys;			/* of Expr */
	List	   *aggrefs;		/* of Aggref */
	StreamingStage *stage;
} ResultContext;

/* SELECT DISTINCT a, b is SELECT a, b GROUP BY a, b. */
static void
distinct_to_group(Query *query)
{
	if (query->distinctClause == NIL)
		return;
	query->groupClause = query->distinctClause;
	query->distinctClause = NIL;
}

static bool
collect_aggrefs(Node *node, List **aggrefs)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		*aggrefs = list_append_unique(*aggrefs, node);
		return false;
	}
	return expression_tree_walker(node, collect_aggrefs, aggrefs);
}

bool
streaming_fill_aggregate(StreamingAggregate *agg, Aggref *aggref)
{
	Oid			argtypes[FUNC_MAX_ARGS];
	int			nargs = get_aggregate_argtypes(aggref, argtypes);
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	Form_pg_aggregate form;
	bool		combinable;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	agg->aggref = aggref;
	agg->combinefn = form->aggcombinefn;
	agg->finalfn = form->aggfinalfn;
	agg->serialfn = form->aggserialfn;
	agg->deserialfn = form->aggdeserialfn;
	agg->transtype = resolve_aggregate_transtype(aggref->aggfnoid, form->aggtranstype,
												 argtypes, nargs);
	agg->statetype = agg->transtype == INTERNALOID ? BYTEAOID : agg->transtype;
	agg->statetypmod = -1;
	combinable = form->aggkind == AGGKIND_NORMAL && OidIsValid(agg->combinefn) &&
		aggref->aggdistinct == NIL && aggref->aggorder == NIL &&
		(agg->transtype != INTERNALOID ||
		 (OidIsValid(agg->serialfn) && OidIsValid(agg->deserialfn)));
	ReleaseSysCache(tuple);
	return combinable;
}

bool
streaming_is_combinable(Aggref *aggref, bool distinct)
{
	StreamingAggregate agg;
	Aggref	   *copy = copyObject(aggref);

	if (!distinct)
		copy->aggdistinct = NIL;
	return streaming_fill_aggregate(&agg, copy);
}

static Node *
result_mutator(Node *node, ResultContext *context)
{
	int			i;

	if (node == NULL)
		return NULL;
	if ((i = streaming_list_position(context->keys, node)) >= 0)
	{
		StreamingValue *key = &context->stage->keys[i];

		return (Node *) makeVar(1, i + 1, key->type, key->typmod, key->collation, 0);
	}
	if (IsA(node, Aggref))
	{
		Aggref	   *aggref = (Aggref *) node;

		i = streaming_list_position(context->aggrefs, node);
		return (Node *) makeVar(1, context->stage->nkeys + i + 1, aggref->aggtype, -1,
								aggref->aggcollid, 0);
	}
	if (IsA(node, Var))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support columns that depend on the grouping columns only by a primary key"),
				 errhint("Add the column to GROUP BY.")));
	return expression_tree_mutator(node, result_mutator, context);
}

/* Outputs and HAVING as expressions over (keys, aggregates). */
static void
compile_results(StreamingStage *stage, Query *query, List *keys, List *aggrefs)
{
	ResultContext context = {keys, aggrefs, stage};
	ListCell   *lc;

	streaming_fill_outputs(stage, query);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		StreamingValue *output;
		Node	   *expr;
		int			n = list_length(stage->output_exprs);

		if (tle->resjunk)
			continue;
		output = &stage->outputs[n];
		expr = result_mutator((Node *) tle->expr, &context);
		if (IsA(expr, Var))
		{
			int			attno = ((Var *) expr)->varattno - 1;

			if (attno < stage->nkeys)
				output->key = attno;
			else
				output->aggregate = attno - stage->nkeys;
		}
		stage->output_exprs = lappend(stage->output_exprs,
									  makeTargetEntry((Expr *) expr, n + 1,
													  output->name, false));
	}
	stage->having = (Expr *) result_mutator(query->havingQual, &context);
	if (stage->having)
		stage->having = (Expr *) make_ands_explicit(make_ands_implicit(stage->having));
}

/* SELECT keys, aggregates GROUP BY keys: what is planned partially. */
static Query *
partial_query(Query *query, List *key_tles, List *aggrefs)
{
	Query	   *partial = copyObject(query);
	ListCell   *lc;
	int			resno = 0;

	partial->targetList = NIL;
	partial->havingQual = NULL;
	partial->hasAggs = aggrefs != NIL;
	foreach(lc, key_tles)
	{
		TargetEntry *tle = copyObject(lfirst_node(TargetEntry, lc));

		tle->resno = ++resno;
		tle->resname = psprintf("k%d", resno);
		tle->resjunk = false;
		partial->targetList = lappend(partial->targetList, tle);
	}
	foreach(lc, aggrefs)
	{
		int			n = foreach_current_index(lc) + 1;

		partial->targetList = lappend(partial->targetList,
									  makeTargetEntry(copyObject(lfirst(lc)), ++resno,
													  psprintf("a%d", n), false));
	}
	return partial;
}

/*
 * What a session needs beyond compile_event_time: a time in its state, also where
 * no watermark closes it; and rows whose time is one, from which a session ends
 * before all timestamps do.  Others are late, whatever the watermark.
 */
static void
compile_session(StreamingCompiler *compiler, StreamingStage *stage, Query *query,
				FuncExpr *session)
{
	static const StreamingWindow window = {STREAMING_WINDOW_SESSION};
	StreamingValue *value = &stage->keys[stage->nkeys - 1];
	Node	   *time = linitial(session->args);

	stage->gap = streaming_session_gap(session);
	if (stage->closes == NULL)
		stage->closes = streaming_window_closes(&window,
												(Node *) makeVar(1, stage->nkeys, value->type, -1,
																 InvalidOid, 0));
	streaming_add_in_time(query, streaming_session_fits(time, stage->gap), true);
}

static Aggref *
count_star(void)
{
	Aggref	   *aggref = makeNode(Aggref);

	aggref->aggfnoid = F_COUNT_;
	aggref->aggtype = INT8OID;
	aggref->aggstar = true;
	aggref->aggkind = AGGKIND_NORMAL;
	aggref->aggsplit = AGGSPLIT_SIMPLE;
	aggref->aggno = aggref->aggtransno = -1;
	aggref->location = -1;
	return aggref;
}

/* panes: by panes, the same as partial; or NULL */
static void
add_edge(StreamingCompiler *compiler, StreamingStage *stage, Query *partial, Query *panes)
{
	StreamingEdge edge = streaming_make_edge(compiler, panes ? panes : partial, false);

	edge.by_panes = panes != NULL;
	streaming_add_edge(stage, edge);
}

StreamingStage *
streaming_compile_aggregation(StreamingCompiler *compiler, Query *query)
{
	StreamingStage *below;
	StreamingStage *stage;
	List	   *keys = NIL;
	List	   *key_tles = NIL;
	List	   *aggrefs = NIL;
	FuncExpr   *session;
	struct StreamingWeights *weights;
	Query	   *partial;
	const char *uncombinable = NULL;
	bool		combinable;
	ListCell   *lc;

	distinct_to_group(query);
	streaming_refuse_mutable_input(compiler, query);
	session = streaming_take_session(query);
	if ((streaming_input_is_signed(compiler, query) && !session && !streaming_is_fixed(query)) ||
		streaming_counts_late_twice(compiler, query))
	{
		streaming_split_from(query);
		streaming_bind_subquery(compiler, linitial_node(RangeTblEntry, query->rtable));
	}
	below = streaming_stage_below(compiler, query);
	weights = session ? NULL : streaming_plan_weights(compiler, query);
	stage = streaming_add_stage(compiler);
	stage->signed_input = streaming_input_is_signed(compiler, query);
	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);

		keys = lappend(keys, tle->expr);
		key_tles = lappend(key_tles, tle);
	}
	collect_aggrefs((Node *) query->targetList, &aggrefs);
	collect_aggrefs(query->havingQual, &aggrefs);
	if (weights)
		stage->rows_agg = streaming_count_rows(weights, &aggrefs);
	/* such as SELECT 1 ... HAVING true, which is one row whatever there is */
	if (aggrefs == NIL && keys == NIL)
		aggrefs = list_make1(count_star());

	stage->grouped = query->groupClause != NIL;
	stage->nkeys = list_length(keys);
	stage->keys = palloc0(sizeof(StreamingValue) * Max(stage->nkeys, 1));
	foreach(lc, query->groupClause)
	{
		int			i = foreach_current_index(lc);

		streaming_fill_value(&stage->keys[i], psprintf("k%d", i + 1), list_nth(keys, i));
		stage->keys[i].eqop = lfirst_node(SortGroupClause, lc)->eqop;
	}
	stage->naggs = list_length(aggrefs);
	stage->aggs = palloc0(sizeof(StreamingAggregate) * Max(stage->naggs, 1));
	foreach(lc, aggrefs)
	{
		Aggref	   *aggref = lfirst_node(Aggref, lc);

		if (!streaming_fill_aggregate(&stage->aggs[foreach_current_index(lc)], aggref))
			uncombinable = get_func_name(aggref->aggfnoid);
	}
	combinable = weights || (!stage->signed_input && uncombinable == NULL);
	if (session)
		streaming_session_check(stage, below, uncombinable);
	compile_results(stage, query, keys, aggrefs);
	streaming_refuse_sessions((Node *) stage->output_exprs);
	streaming_refuse_sessions((Node *) stage->having);
	streaming_compile_event_time(compiler, stage, query, keys);
	if (session)
		compile_session(compiler, stage, query, session);
	/* groups without aggregates are there or not, and come to stay */
	stage->only_appears = combinable && stage->naggs == 0 && stage->grouped && !session;
	stage->emits_closed = compiler->mode == STREAMING_OUTPUT_APPEND && stage->closes_text &&
		!stage->only_appears;
	stage->only_appears |= stage->emits_closed;
	if (!combinable)
	{
		streaming_compile_recompute(compiler, stage, query, keys, key_tles, aggrefs);
		return stage;
	}
	stage->kind = session ? STREAMING_STAGE_SESSION : STREAMING_STAGE_COMBINE;
	partial = partial_query(query, key_tles, aggrefs);
	if (session)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, partial->targetList, stage->nkeys - 1);

		tle->expr = copyObject(linitial(session->args));
	}
	streaming_refuse_sessions((Node *) partial);
	if (weights)
		streaming_compile_weights(compiler, weights, stage, partial, aggrefs);
	else
		add_edge(compiler, stage, partial, session ? NULL : streaming_by_panes(partial, stage));
	return stage;
}
