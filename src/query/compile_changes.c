/*
 * compile_changes.c
 *		Streams whose rows change: the table that their records describe, as a stage.
 *
 * What a query reads of such a stream is a subquery, SELECT columns FROM stream, which
 * is a stage of its own: of each key it keeps the last row that has come.  The
 * statement hands out the key, the other columns that the query reads, and ctid, which
 * says what the record does (input/input.h).
 *
 * A query that does nothing with these rows but to filter and project them is the
 * stage itself, whose table then is the result.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "catalog/read_columns.h"
#include "query/compile.h"
#include "streaming.h"

/* ---- In the query ---- */

static bool
mark_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE &&
			streaming_stream_changes(rte->relid))
			rte->relkind = STREAMING_RELKIND_CHANGING;
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, mark_walker, context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, mark_walker, context);
}

void
streaming_mark_changing(Query *query)
{
	(void) mark_walker((Node *) query, NULL);
}

/* SELECT columns FROM the stream; those that whole does not read are NULL. */
static Query *
rows_subquery(RangeTblEntry *stream, Query *whole)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = copyObject(stream);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	Relation	rel = relation_open(stream->relid, AccessShareLock);
	StreamingColumnSet set = {0};
	Bitmapset  *read;
	ListCell   *lc;

	streaming_query_columns(whole, stream->relid, &set);
	read = streaming_columns_bitmap(&set);
	rte->alias = NULL;
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	foreach(lc, stream->eref->colnames)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), foreach_current_index(lc));
		char	   *name = strVal(lfirst(lc));
		Expr	   *expr;

		if (att->attisdropped)
			expr = (Expr *) makeNullConst(INT4OID, -1, InvalidOid);
		else if (!bms_is_member(att->attnum, read))
			expr = (Expr *) makeNullConst(att->atttypid, att->atttypmod, att->attcollation);
		else
			expr = (Expr *) makeVar(1, att->attnum, att->atttypid, att->atttypmod,
									att->attcollation, 0);
		query->targetList = lappend(query->targetList,
									makeTargetEntry(expr, att->attnum,
													name[0] ? name : psprintf("$%d", att->attnum),
													false));
	}
	relation_close(rel, NoLock);
	return query;
}

static bool
wrap_walker(Node *node, Query *whole)
{
	Query	   *query = (Query *) node;
	ListCell   *lc;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (!IsA(node, Query))
		return expression_tree_walker(node, wrap_walker, whole);
	(void) query_tree_walker(query, wrap_walker, whole, 0);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (!streaming_is_changing(rte))
			continue;
		rte->subquery = rows_subquery(rte, whole);
		rte->rtekind = RTE_SUBQUERY;
		rte->relid = InvalidOid;
		rte->relkind = 0;
		rte->inh = false;
		streaming_forget_permissions(rte);
	}
	return false;
}

void
streaming_wrap_changing(Query *query)
{
	(void) wrap_walker((Node *) query, copyObject(query));
}

/* The stream, if query is such a subquery; or NULL. */
static RangeTblEntry *
changing_stream(Query *query)
{
	int			rti = query->setOperations ? 0 : streaming_only_relation(query);
	RangeTblEntry *rte = rti ? rt_fetch(rti, query->rtable) : NULL;

	return rte && streaming_is_changing(rte) ? rte : NULL;
}

bool
streaming_reads_changes(Query *query)
{
	return changing_stream(query) != NULL;
}

/* ---- Filters and projections of its rows ---- */

typedef struct PullContext
{
	Index		varno;
	List	   *targets;		/* of the subquery */
	bool		whole_row;
} PullContext;

static Node *
pull_mutator(Node *node, PullContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == context->varno)
	{
		AttrNumber	attno = ((Var *) node)->varattno;

		if (attno > 0)
			return (Node *) copyObject(list_nth_node(TargetEntry, context->targets, attno - 1)->expr);
		context->whole_row = true;
	}
	return expression_tree_mutator(node, pull_mutator, context);
}

Query *
streaming_pull_changes(Query *query)
{
	int			rti = query->setOperations ? 0 : streaming_only_relation(query);
	RangeTblEntry *rte = rti ? rt_fetch(rti, query->rtable) : NULL;
	PullContext context = {rti};
	Query	   *pulled;
	FromExpr   *from;

	if (streaming_reads_changes(query))
		return query;
	if (rte == NULL || rte->rtekind != RTE_SUBQUERY || !streaming_reads_changes(rte->subquery) ||
		!streaming_is_plain(query) || streaming_is_aggregation(query) || query->hasTargetSRFs ||
		query->hasSubLinks || query->cteList != NIL || query->sortClause != NIL ||
		!streaming_is_fixed(query))
		return NULL;
	context.targets = rte->subquery->targetList;
	pulled = copyObject(rte->subquery);
	from = pulled->jointree;
	from->quals = pull_mutator(query->jointree->quals, &context);
	pulled->targetList = (List *) pull_mutator((Node *) query->targetList, &context);
	return context.whole_row ? NULL : pulled;
}

/* ---- The stage ---- */

/* What the statement hands out: Vars of the stream. */
typedef struct Columns
{
	List	   *keys;
	List	   *others;
} Columns;

static Var *
stream_column(StreamingStream *stream, AttrNumber attno)
{
	StreamingColumn *column = &stream->columns[attno - 1];

	return makeVar(1, attno, column->type, column->typmod, column->collation, 0);
}

/* Index of a column of the stream among (keys, others); -1: it is none of them. */
static int
find_column(Columns *columns, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, columns->keys)
	{
		if (lfirst_node(Var, lc)->varattno == attno)
			return foreach_current_index(lc);
	}
	foreach(lc, columns->others)
	{
		if (lfirst_node(Var, lc)->varattno == attno)
			return list_length(columns->keys) + foreach_current_index(lc);
	}
	return -1;
}

static bool
find_columns(Node *node, Columns *columns)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varnosyn = 0;
		var->varattnosyn = 0;
		if (find_column(columns, var->varattno) < 0)
			columns->others = lappend(columns->others, var);
		return false;
	}
	return expression_tree_walker(node, find_columns, columns);
}

/* Columns of the stream are those of (keys, others). */
static Node *
result_mutator(Node *node, Columns *columns)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varattno = find_column(columns, var->varattno) + 1;
		var->varnosyn = 0;
		var->varattnosyn = 0;
		return (Node *) var;
	}
	return expression_tree_mutator(node, result_mutator, columns);
}

static void
fill_keys(StreamingStage *stage, StreamingStream *stream, Columns *columns)
{
	stage->grouped = true;
	stage->nkeys = stream->nkeys;
	stage->keys = palloc0(sizeof(StreamingValue) * stage->nkeys);
	for (int i = 0; i < stage->nkeys; i++)
	{
		Var		   *var = stream_column(stream, stream->keys[i]);

		streaming_fill_value(&stage->keys[i], stream->columns[stream->keys[i] - 1].name, (Node *) var);
		stage->keys[i].eqop = lookup_type_cache(var->vartype, TYPECACHE_EQ_OPR)->eq_opr;
		columns->keys = lappend(columns->keys, var);
	}
}

/* What else is kept of a row stands where other groups have states of aggregates. */
static void
fill_others(StreamingStage *stage, Columns *columns)
{
	ListCell   *lc;

	stage->naggs = list_length(columns->others);
	stage->aggs = palloc0(sizeof(StreamingAggregate) * Max(stage->naggs, 1));
	foreach(lc, columns->others)
	{
		StreamingAggregate *kept = &stage->aggs[foreach_current_index(lc)];
		Var		   *var = lfirst_node(Var, lc);

		kept->aggref = makeNode(Aggref);
		kept->aggref->aggtype = kept->transtype = kept->statetype = var->vartype;
		kept->aggref->aggcollid = var->varcollid;
		kept->statetypmod = var->vartypmod;
	}
}

static void
fill_results(StreamingStage *stage, Query *query, Columns *columns)
{
	ListCell   *lc;

	streaming_fill_outputs(stage, query);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int			n = list_length(stage->output_exprs);
		Node	   *expr;

		if (tle->resjunk)
			continue;
		expr = result_mutator((Node *) tle->expr, columns);
		if (IsA(expr, Var) && ((Var *) expr)->varattno <= stage->nkeys)
			stage->outputs[n].key = ((Var *) expr)->varattno - 1;
		else if (IsA(expr, Var))
			stage->outputs[n].aggregate = ((Var *) expr)->varattno - stage->nkeys - 1;
		stage->output_exprs = lappend(stage->output_exprs,
									  makeTargetEntry((Expr *) expr, n + 1, stage->outputs[n].name,
													  false));
	}
	stage->having = (Expr *) result_mutator(query->jointree->quals, columns);
	if (stage->having)
		stage->having = (Expr *) make_ands_explicit(make_ands_implicit(stage->having));
}

/* SELECT key, others, ctid FROM the stream */
static Query *
records_query(Query *query, Columns *columns)
{
	Query	   *records = copyObject(query);
	List	   *exprs = list_concat_copy(columns->keys, columns->others);
	ListCell   *lc;

	records->jointree->quals = NULL;
	linitial_node(RangeTblEntry, records->rtable)->relkind = RELKIND_FOREIGN_TABLE;
	exprs = lappend(exprs, makeVar(1, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0));
	records->targetList = NIL;
	foreach(lc, exprs)
	{
		int			n = foreach_current_index(lc) + 1;

		records->targetList = lappend(records->targetList,
									  makeTargetEntry((Expr *) copyObject(lfirst(lc)), n,
													  psprintf("c%d", n), false));
	}
	return records;
}

StreamingStage *
streaming_compile_changes(StreamingCompiler *compiler, Query *query)
{
	Oid			relid = changing_stream(query)->relid;
	StreamingStream *stream = streaming_stream_open(relid, GetUserId());
	StreamingStage *stage = streaming_add_stage(compiler);
	Columns		columns = {NIL, NIL};

	stage->kind = STREAMING_STAGE_UPSERT;
	fill_keys(stage, stream, &columns);
	(void) find_columns((Node *) query->targetList, &columns);
	(void) find_columns(query->jointree->quals, &columns);
	fill_others(stage, &columns);
	fill_results(stage, query, &columns);
	streaming_refuse_sessions((Node *) stage->output_exprs);
	streaming_refuse_sessions((Node *) stage->having);
	streaming_add_edge(stage, streaming_make_edge(compiler, records_query(query, &columns), false));
	return stage;
}
