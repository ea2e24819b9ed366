/*
 * compile.c
 *		Turns a checked query into a program of stages.
 *
 * The query tree is cut at its aggregations, innermost first.  Each piece is
 * written out as SQL by the server's own deparser, reading its input by name:
 * the stream, or delta_<n> for what the stage below hands up.  So
 * every step can be read (streaming.explain) and is planned by PostgreSQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "optimizer/clauses.h"
#include "parser/parse_agg.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "query/compile.h"
#include "run_as.h"
#include "settings.h"
#include "streaming.h"
#include "sink/sink.h"

/* Replaces group keys and aggregates by columns of (keys, aggregates). */
typedef struct ResultContext
{
	List	   *keys;			/* of Expr */
	List	   *aggrefs;		/* of Aggref */
	StreamingStage *stage;
} ResultContext;

static void compile_level(StreamingCompiler *compiler, Query *query, bool last);

void
streaming_fill_value(StreamingValue *value, char *name, Node *expr)
{
	memset(value, 0, sizeof(*value));
	value->name = name;
	value->type = exprType(expr);
	value->typmod = exprTypmod(expr);
	value->collation = exprCollation(expr);
	value->key = value->aggregate = -1;
}

bool
streaming_is_aggregation(Query *query)
{
	return query->hasAggs || query->groupClause != NIL || query->havingQual != NULL ||
		query->distinctClause != NIL;
}

/* The aggregation nearest below query on the way to the input, or NULL. */
static Query *
aggregation_below(Query *query)
{
	RangeTblEntry *rte = rt_fetch(streaming_query_input(query), query->rtable);

	if (rte->rtekind != RTE_SUBQUERY)
		return NULL;
	if (streaming_is_aggregation(rte->subquery))
		return rte->subquery;
	return aggregation_below(rte->subquery);
}

/*
 * PostgreSQL 18 keeps grouping expressions in a range table entry of their own
 * (upstream commit 247dea89f); write them back where they are used, at this
 * level and in the subqueries on the way to the input.
 */
static void
flatten_grouping(Query *query)
{
	RangeTblEntry *rte = rt_fetch(streaming_query_input(query), query->rtable);

	streaming_flatten_group_exprs(query);
	if (rte->rtekind == RTE_SUBQUERY)
		flatten_grouping(rte->subquery);
}

/* SELECT DISTINCT a, b is SELECT a, b GROUP BY a, b. */
static void
distinct_to_group(Query *query)
{
	if (query->distinctClause == NIL)
		return;
	query->groupClause = query->distinctClause;
	query->distinctClause = NIL;
}

void
streaming_name_relation(RangeTblEntry *rte, const char *name, List *columns)
{
	rte->rtekind = RTE_CTE;		/* what the deparser prints by bare name */
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->subquery = NULL;
	rte->lateral = false;
	rte->inh = false;
	rte->inFromCl = true;
	rte->ctename = pstrdup(name);
	rte->ctelevelsup = 0;
	rte->alias = NULL;
	rte->eref = makeAlias(name, columns);
}

/* Columns of a stage's output, with the sign behind them, as String nodes. */
static List *
delta_columns(StreamingStage *stage)
{
	List	   *columns = NIL;

	for (int i = 0; i < stage->noutputs; i++)
		columns = lappend(columns, makeString(stage->outputs[i].name));
	return lappend(columns, makeString(STREAMING_SIGN_NAME));
}

/* SELECT *, 1 AS "$sign" FROM <the view read as a stream>, as a subquery. */
static Query *
initial_subquery(RangeTblEntry *view)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = copyObject(view);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	Relation	rel = relation_open(view->relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);

	rte->alias = NULL;
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Var		   *var = makeVar(1, i + 1, att->atttypid, att->atttypmod,
								  att->attcollation, 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, i + 1,
													pstrdup(NameStr(att->attname)), false));
	}
	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) makeConst(INT2OID, -1, InvalidOid, 2,
																   Int16GetDatum(1), false, true),
												desc->natts + 1, STREAMING_SIGN_NAME, false));
	relation_close(rel, NoLock);
	return query;
}

/*
 * Makes query (which is modified) read its input: delta_<n> of the stage below
 * if there is one, else the stream, the change stream of a view, or, for the
 * initial load, that view itself.  Returns the expression of the sign at this
 * level, or NULL if the input has none.
 */
static Expr *
bind_input(StreamingCompiler *compiler, Query *query, StreamingStage *below, bool initial)
{
	int			rti = streaming_query_input(query);
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	AttrNumber	sign;

	if (rte->rtekind == RTE_SUBQUERY && !streaming_is_aggregation(rte->subquery))
	{
		Expr	   *inner = bind_input(compiler, rte->subquery, below, initial);

		if (inner == NULL)
			return NULL;
		sign = list_length(rte->subquery->targetList) + 1;
		rte->subquery->targetList = lappend(rte->subquery->targetList,
											makeTargetEntry(inner, sign, STREAMING_SIGN_NAME, false));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(STREAMING_SIGN_NAME));
		streaming_flatten_joins(query);
	}
	else if (rte->rtekind == RTE_SUBQUERY)
	{
		streaming_name_relation(rte, psprintf("delta_%d", below->number), delta_columns(below));
		streaming_flatten_joins(query);
		sign = below->noutputs + 1;
	}
	else if (!compiler->program->input_is_view)
		return NULL;
	else
	{
		sign = list_length(rte->eref->colnames) + 1;
		if (initial)
		{
			rte->subquery = initial_subquery(rte);
			rte->rtekind = RTE_SUBQUERY;
			rte->relid = InvalidOid;
		}
		else
		{
			rte->relid = compiler->program->scan;
			rte->relkind = RELKIND_FOREIGN_TABLE;
		}
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(STREAMING_SIGN_NAME));
		streaming_flatten_joins(query);
		if (!compiler->input_signed)
			return NULL;
	}
	return (Expr *) makeVar(rti, sign, INT2OID, -1, InvalidOid, 0);
}

char *
streaming_deparse(Query *query)
{
	return pg_get_querydef(query, false);
}

/* Binds a copy of query to its input and writes it out. */
static char *
bound_sql(StreamingCompiler *compiler, Query *query, StreamingStage *below, bool initial,
		  bool with_sign)
{
	Query	   *copy = copyObject(query);
	Expr	   *sign = bind_input(compiler, copy, below, initial);

	if (with_sign && sign)
		copy->targetList = lappend(copy->targetList,
								   makeTargetEntry(sign, list_length(copy->targetList) + 1,
												   STREAMING_SIGN_NAME, false));
	return streaming_deparse(copy);
}

/* Rows of (values[, sign]) as distinct rows with their multiplicity. */
static char *
count_rows_sql(const char *sql, int nvalues, bool is_signed)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < nvalues; i++)
		appendStringInfo(&buf, "v%d, ", i + 1);
	appendStringInfo(&buf, "%s AS \"$count\" FROM (%s) v(",
					 is_signed ? "pg_catalog.sum(\"" STREAMING_SIGN_NAME "\")" : "pg_catalog.count(*)",
					 sql);
	for (int i = 0; i < nvalues; i++)
		appendStringInfo(&buf, "%sv%d", i ? ", " : "", i + 1);
	if (is_signed)
		appendStringInfo(&buf, "%s\"" STREAMING_SIGN_NAME "\"", nvalues ? ", " : "");
	appendStringInfoChar(&buf, ')');
	for (int i = 0; i < nvalues; i++)
		appendStringInfo(&buf, "%sv%d", i ? ", " : " GROUP BY ", i + 1);
	appendStringInfo(&buf, " HAVING pg_catalog.count(*) > 0");
	return buf.data;
}

/* Sets sql (and initial_sql) of a stage from its query. */
void
streaming_set_stage_sql(StreamingCompiler *compiler, StreamingStage *stage, StreamingStage *below,
			  Query *query, int nbag)
{
	bool		initial = compiler->program->input_is_view && below == NULL;
	bool		ready = below != NULL || !compiler->program->input_is_view ||
		OidIsValid(compiler->program->scan);

	if (ready)
		stage->sql = bound_sql(compiler, query, below, false, nbag >= 0);
	if (initial)
		stage->initial_sql = bound_sql(compiler, query, below, true, nbag >= 0);
	if (nbag < 0)
		return;
	if (stage->sql)
		stage->sql = count_rows_sql(stage->sql, nbag, stage->signed_input);
	if (stage->initial_sql)
		stage->initial_sql = count_rows_sql(stage->initial_sql, nbag, stage->signed_input);
}

/* The equality operator of a type, for rows that are told apart. */
Oid
streaming_equality_of(Oid type, const char *what)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);

	if (!OidIsValid(entry->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support %s of type %s, which has no equality operator",
						what, format_type_be(type)),
				 errhint("Cast it to a type that has one, such as text or jsonb.")));
	return entry->eq_opr;
}

static void
fill_outputs(StreamingStage *stage, Query *query)
{
	ListCell   *lc;

	/* rows that are handed up have a sign behind them */
	if (list_length(query->targetList) >= MaxTupleAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("a subquery of a continuous view can have at most %d columns",
						MaxTupleAttributeNumber - 1),
				 errhint("Leave out columns that the outer query does not use.")));
	stage->outputs = palloc0(sizeof(StreamingValue) * Max(list_length(query->targetList), 1));
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			streaming_fill_value(&stage->outputs[stage->noutputs++], tle->resname, (Node *) tle->expr);
	}
}

/*
 * A query without aggregation.  Over rows that only appear its rows are the
 * output; over signed rows, its distinct rows are kept with their multiplicity.
 */
static void
compile_linear(StreamingCompiler *compiler, StreamingStage *stage, StreamingStage *below, Query *query)
{
	streaming_refuse_sessions((Node *) query);
	fill_outputs(stage, query);
	if (!stage->signed_input)
	{
		stage->kind = STREAMING_STAGE_APPEND;
		stage->only_appears = true;
		streaming_set_stage_sql(compiler, stage, below, query, -1);
		return;
	}
	if (query->hasTargetSRFs)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support set-returning functions in the select list over an aggregation"),
				 errhint("Call the function in FROM.")));
	stage->kind = STREAMING_STAGE_MULTISET;
	stage->grouped = true;
	stage->nkeys = stage->noutputs;
	stage->keys = palloc0(sizeof(StreamingValue) * Max(stage->nkeys, 1));
	for (int i = 0; i < stage->nkeys; i++)
	{
		stage->keys[i] = stage->outputs[i];
		stage->keys[i].eqop = streaming_equality_of(stage->keys[i].type, "output columns");
		stage->outputs[i].key = i;
	}
	streaming_set_stage_sql(compiler, stage, below, query, stage->nkeys);
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

/*
 * Fills agg from pg_aggregate.  Returns true if its partial results can be
 * combined; the transition state of such is what is kept.
 */
static bool
fill_aggregate(StreamingAggregate *agg, Aggref *aggref)
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

int
streaming_list_position(List *list, Node *node)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		if (equal(lfirst(lc), node))
			return foreach_current_index(lc);
	}
	return -1;
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
	if (IsA(node, SubLink))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support subqueries in the select list or HAVING of an aggregation"),
				 errhint("Join the table in FROM.")));
	return expression_tree_mutator(node, result_mutator, context);
}

/* Outputs and HAVING as expressions over (keys, aggregates). */
static void
compile_results(StreamingStage *stage, Query *query, List *keys, List *aggrefs)
{
	ResultContext context = {keys, aggrefs, stage};
	ListCell   *lc;

	fill_outputs(stage, query);
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
	streaming_add_in_time(query, streaming_session_fits(time, stage->gap));
}

static void
compile_aggregation(StreamingCompiler *compiler, StreamingStage *stage, StreamingStage *below,
					Query *query)
{
	List	   *keys = NIL;
	List	   *key_tles = NIL;
	List	   *aggrefs = NIL;
	FuncExpr   *session;
	Query	   *partial;
	const char *uncombinable = NULL;
	bool		combinable;
	ListCell   *lc;

	distinct_to_group(query);
	session = streaming_take_session(query);
	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);

		keys = lappend(keys, tle->expr);
		key_tles = lappend(key_tles, tle);
	}
	collect_aggrefs((Node *) query->targetList, &aggrefs);
	collect_aggrefs(query->havingQual, &aggrefs);

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

		if (!fill_aggregate(&stage->aggs[foreach_current_index(lc)], aggref))
			uncombinable = get_func_name(aggref->aggfnoid);
	}
	combinable = !stage->signed_input && uncombinable == NULL;
	if (session)
		streaming_session_check(stage, below, uncombinable);
	compile_results(stage, query, keys, aggrefs);
	streaming_refuse_sessions((Node *) stage->output_exprs);
	streaming_refuse_sessions((Node *) stage->having);
	streaming_compile_event_time(compiler, stage, below, query, keys);
	if (session)
		compile_session(compiler, stage, query, session);
	/* groups without aggregates are there or not, and come to stay */
	stage->only_appears = combinable && stage->naggs == 0 && stage->grouped && !session;
	stage->emits_closed = compiler->mode == STREAMING_OUTPUT_APPEND && stage->closes_text &&
		!stage->only_appears;
	stage->only_appears |= stage->emits_closed;
	if (!combinable)
	{
		streaming_compile_recompute(compiler, stage, below, query, keys, key_tles, aggrefs);
		return;
	}
	stage->kind = session ? STREAMING_STAGE_SESSION : STREAMING_STAGE_COMBINE;
	partial = partial_query(query, key_tles, aggrefs);
	if (session)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, partial->targetList, stage->nkeys - 1);

		tle->expr = copyObject(linitial(session->args));
	}
	streaming_refuse_sessions((Node *) partial);
	streaming_set_stage_sql(compiler, stage, below, partial, -1);
}

static void
compile_level(StreamingCompiler *compiler, Query *query, bool last)
{
	StreamingProgram *program = compiler->program;
	Query	   *inner = aggregation_below(query);
	StreamingStage *below = NULL;
	StreamingStage *stage;

	if (inner)
	{
		compile_level(compiler, inner, false);
		below = &program->stages[program->nstages - 1];
	}
	stage = &program->stages[program->nstages++];
	stage->number = program->nstages;
	stage->last = last;
	stage->signed_input = below ? !below->only_appears : compiler->input_signed;
	if (streaming_is_aggregation(query))
		compile_aggregation(compiler, stage, below, query);
	else
		compile_linear(compiler, stage, below, query);
}

static int
count_stages(Query *query)
{
	Query	   *inner = aggregation_below(query);

	return 1 + (inner ? count_stages(inner) : 0);
}

/* Rows that can change after they have been written. */
static void
refuse_append(StreamingCompiler *compiler)
{
	StreamingProgram *program = compiler->program;
	const char *detail = "A group can change after it has been written.";

	if (program->nstages == 1 && program->stages[0].kind == STREAMING_STAGE_MULTISET &&
		compiler->input_signed)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported over a continuous view whose rows can change"),
				 errhint("Let that view append, by windows of event time, or use streaming.output_mode = 'update'.")));
	if (program->input_is_view)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported for an aggregation over a continuous view"),
				 errdetail("%s", detail),
				 errhint("Aggregate the stream itself, by a window of its watermarked column, or use streaming.output_mode = 'update'.")));
	if (compiler->event_attno == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported for an aggregation without a watermark"),
				 errdetail("%s", detail),
				 errhint("Give the stream's event-time column the option \"watermark\" and group by a window of it, such as date_bin, or use streaming.output_mode = 'update'.")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("output mode \"append\" is not supported for an aggregation that is not grouped by a window of event time"),
			 errdetail("%s", detail),
			 errhint("Group, at each level, by column \"%s\" or by date_bin, date_trunc, streaming.tumble, streaming.hop or streaming.session of it, with a constant width; or use streaming.output_mode = 'update'.",
					 program->event_column)));
}

/* Chooses the output mode and refuses those that cannot be kept. */
static StreamingOutputMode
resolve_output_mode(StreamingCompiler *compiler, int mode)
{
	StreamingProgram *program = compiler->program;
	bool		append = streaming_last_stage(program)->kind == STREAMING_STAGE_APPEND;

	if (mode < 0)
		return append ? STREAMING_OUTPUT_APPEND : STREAMING_OUTPUT_UPDATE;
	/* rows that never change are written once, whatever the mode's name */
	if (mode == STREAMING_OUTPUT_UPDATE && append)
		return STREAMING_OUTPUT_APPEND;
	if (mode == STREAMING_OUTPUT_APPEND && !streaming_last_stage(program)->only_appears)
		refuse_append(compiler);
	return mode;
}

/*
 * Is the result kept in a table of the view's own?  Where users can read it
 * nowhere else, if that costs nothing: the state of an aggregation holds it
 * anyway, unless the watermark is to bound it.  In output mode complete the sink
 * reads the whole result there.
 */
static bool
keeps_result(StreamingProgram *program)
{
	switch (program->sink.kind)
	{
		case STREAMING_SINK_OWN:
		case STREAMING_SINK_MEMORY:
			return true;
		case STREAMING_SINK_RELATION:
			return program->output_mode == STREAMING_OUTPUT_COMPLETE;
		default:
			return program->output_mode != STREAMING_OUTPUT_APPEND &&
				(program->output_mode == STREAMING_OUTPUT_COMPLETE ||
				 streaming_last_stage(program)->closes_text == NULL);
	}
}

static StreamingProgram *
compile(Query *query, int32 id, const StreamingSinkSpec *sink, int mode)
{
	StreamingProgram *program = palloc0(sizeof(StreamingProgram));
	StreamingCompiler	compiler = {program, false, mode, 0};

	query = copyObject(query);
	streaming_lift_hops(query);
	program->id = id;
	program->input = streaming_query_check(query, &program->input_is_view);
	program->scan = program->input;
	program->sink = *sink;
	if (program->input_is_view)
	{
		StreamingView *upstream = streaming_catalog_view(program->input, false);

		if (!OidIsValid(streaming_view_reads(upstream)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("continuous views do not support reading \"%s\", which keeps no rows",
							get_rel_name(upstream->view)),
					 errdetail("Its sink is a function or the server log, and its rows are kept nowhere else."),
					 errhint("Read what that view reads, or create it with streaming.output_mode = 'complete'.")));
		compiler.input_signed = upstream->output_mode != STREAMING_OUTPUT_APPEND;
		program->scan = get_relname_relid(streaming_change_stream_name(upstream->id),
										  streaming_internal_namespace());
	}
	/* the whole result, late rows and all, is what complete shows */
	else if (mode != STREAMING_OUTPUT_COMPLETE)
		compiler.event_attno = streaming_event_column(program->input, &program->event_delay,
													  &program->event_column);
	flatten_grouping(query);
	streaming_refuse_mutable(query, compiler.input_signed, mode);
	program->stages = palloc0(sizeof(StreamingStage) * count_stages(query));
	compile_level(&compiler, query, true);
	program->output_mode = resolve_output_mode(&compiler, mode);
	program->keeps_result = keeps_result(program);
	streaming_layout(program);
	streaming_sink_check(program);
	return program;
}

StreamingProgram *
streaming_compile(Query *query, Oid owner, int32 id, const StreamingSinkSpec *sink, int mode)
{
	StreamingProgram *program;
	StreamingRunAs saved;

	streaming_run_as_begin(&saved, owner, NIL);
	streaming_settings_write_exactly(); /* constants */
	program = compile(query, id, sink, mode);
	streaming_run_as_end(&saved);
	return program;
}
