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
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "optimizer/clauses.h"
#include "miscadmin.h"
#include "parser/parse_agg.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "push/follow.h"
#include "query/compile.h"
#include "catalog/run_as.h"
#include "base/settings.h"
#include "streaming.h"
#include "sink/sink.h"
#include "catalog/stream.h"

/* Replaces group keys and aggregates by columns of (keys, aggregates). */
typedef struct ResultContext
{
	List	   *keys;			/* of Expr */
	List	   *aggrefs;		/* of Aggref */
	StreamingStage *stage;
} ResultContext;


void
streaming_fill_value(StreamingValue *value, char *name, Node *expr)
{
	memset(value, 0, sizeof(*value));
	value->name = value->column = name;
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

/*
 * A column of a view or table that is relation 1; or, scan being given, of the stream of a
 * table's changes in its place.  What is dropped, or not captured, is NULL.
 */
static Expr *
input_column(Form_pg_attribute att, Relation scan)
{
	AttrNumber	attno = att->attnum;

	if (scan)
		attno = streaming_follow_column(scan, att);
	if (att->attisdropped || attno == InvalidAttrNumber)
		return (Expr *) makeNullConst(att->attisdropped ? INT4OID : att->atttypid,
									  att->attisdropped ? -1 : att->atttypmod,
									  att->attisdropped ? InvalidOid : att->attcollation);
	return (Expr *) makeVar(1, attno, att->atttypid, att->atttypmod, att->attcollation, 0);
}

/*
 * SELECT *, 1 AS "$sign" FROM <the view or table read as a stream>, as a subquery.  Or,
 * of a table, the same columns from scan, the stream of its changes, whose columns are
 * others.  Columns have the names by which the query knows them, and those that have been
 * added since are not among them.
 */
static Query *
input_subquery(RangeTblEntry *input, Oid scan)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = copyObject(input);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	Relation	rel = relation_open(input->relid, AccessShareLock);
	Relation	changes = OidIsValid(scan) ? relation_open(scan, AccessShareLock) : NULL;
	TupleDesc	desc = RelationGetDescr(rel);
	ListCell   *lc;
	Expr	   *sign = changes ?
		(Expr *) makeVar(1, STREAMING_FOLLOW_SIGN, INT2OID, -1, InvalidOid, 0) :
		(Expr *) makeConst(INT2OID, -1, InvalidOid, 2, Int16GetDatum(1), false, true);

	rte->alias = NULL;
	if (changes)
	{
		rte->relid = scan;
		rte->eref = makeAlias(RelationGetRelationName(changes), NIL);
	}
	rte->relkind = get_rel_relkind(rte->relid);
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	foreach(lc, input->eref->colnames)
	{
		Form_pg_attribute att = TupleDescAttr(desc, foreach_current_index(lc));
		char	   *name = att->attisdropped || strVal(lfirst(lc))[0] == '\0' ?
			psprintf("$%d", att->attnum) : strVal(lfirst(lc));

		query->targetList = lappend(query->targetList,
									makeTargetEntry(input_column(att, changes), att->attnum, name,
													false));
	}
	query->targetList = lappend(query->targetList,
								makeTargetEntry(sign, list_length(query->targetList) + 1,
												STREAMING_SIGN_NAME, false));
	if (changes)
		relation_close(changes, NoLock);
	relation_close(rel, NoLock);
	return query;
}

/* ---- Rows as a whole ---- */

/* A query that is kept does not know of columns that were added to a relation. */
static List *
columns_of_relation(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *result = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			result = lappend(result, makeVar(1, i + 1, att->atttypid, att->atttypmod,
											 att->attcollation, 0));
	}
	relation_close(rel, NoLock);
	return result;
}

List *
streaming_columns_of(StreamingCompiler *compiler, RangeTblEntry *rte)
{
	List	   *result = NIL;

	if (rte->rtekind == RTE_RELATION)
		return columns_of_relation(rte->relid);
	for (int i = 0; i < list_length(rte->eref->colnames); i++)
	{
		Var		   *column = makeVar(1, i + 1, InvalidOid, -1, InvalidOid, 0);

		if (streaming_is_delta(rte))
		{
			StreamingValue *output = &compiler->program->stages[rte->relid - 1].outputs[i];

			column->vartype = output->type;
			column->vartypmod = output->typmod;
			column->varcollid = output->collation;
		}
		else
		{
			Node	   *expr = (Node *) list_nth_node(TargetEntry, rte->subquery->targetList, i)->expr;

			column->vartype = exprType(expr);
			column->vartypmod = exprTypmod(expr);
			column->varcollid = exprCollation(expr);
		}
		result = lappend(result, column);
	}
	return result;
}

typedef struct RowContext
{
	int			rti;
	Index		level;			/* of the node, below the query's */
	Oid			type;			/* of its rows as a whole; Invalid: none is read */
	AttrNumber	attno;			/* that they become a column of; 0: none */
} RowContext;

static bool
name_rows(Node *node, RowContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varlevelsup != context->level || var->varno != context->rti || var->varattno != 0)
			return false;
		context->type = var->vartype;
		var->varattno = context->attno;
		if (context->attno)
			var->varnosyn = var->varattnosyn = 0;
		return false;
	}
	if (IsA(node, Query))
	{
		context->level++;
		(void) query_tree_walker((Query *) node, name_rows, context, QTW_IGNORE_JOINALIASES);
		context->level--;
		return false;
	}
	return expression_tree_walker(node, name_rows, context);
}

/* SELECT <targets> FROM <relation>; NULL: without FROM */
static Query *
select_from(List *targets, RangeTblEntry *relation)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);

	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = relation ? list_make1(relation) : NIL;
	query->jointree = makeFromExpr(relation ? list_make1(rtr) : NIL, NULL);
	query->targetList = targets;
	return query;
}

static RangeTblEntry *
subquery_of(Query *query, const char *name)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	ListCell   *lc;

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->alias = makeAlias(name, NIL);
	rte->eref = makeAlias(name, NIL);
	rte->inFromCl = true;
	foreach(lc, query->targetList)
		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(pstrdup(lfirst_node(TargetEntry, lc)->resname)));
	return rte;
}

/*
 * targets, of a relation 1, as one value; type: of a view's rows, or record, which has its
 * columns' names: (SELECT r FROM (SELECT <targets>) r).
 */
static Expr *
whole_row(List *targets, Oid type)
{
	RowExpr    *row = makeNode(RowExpr);
	SubLink    *sublink = makeNode(SubLink);
	Query	   *query;
	ListCell   *lc;

	if (type != RECORDOID)
	{
		foreach(lc, targets)
			row->args = lappend(row->args, copyObject(lfirst_node(TargetEntry, lc)->expr));
		row->row_typeid = type;
		row->row_format = COERCE_EXPLICIT_CAST;
		row->location = -1;
		return (Expr *) row;
	}
	query = select_from(copyObject(targets), NULL);
	IncrementVarSublevelsUp((Node *) query->targetList, 2, 0);
	sublink->subLinkType = EXPR_SUBLINK;
	sublink->subselect = (Node *) select_from(list_make1(makeTargetEntry((Expr *) makeVar(1, 0, RECORDOID, -1, InvalidOid, 0),
																		 1, pstrdup("r"), false)),
											  subquery_of(query, "r"));
	sublink->location = -1;
	return (Expr *) sublink;
}

/*
 * The rows of what is below have a sign behind their columns that is no part of them.  So
 * where query reads them as a whole, a subquery makes that a column.
 */
static void
bind_rows(StreamingCompiler *compiler, Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	RowContext	context = {rti};
	RangeTblEntry *copy;
	Query	   *below;
	List	   *targets = NIL;
	ListCell   *lc;

	(void) query_tree_walker(query, name_rows, &context, QTW_IGNORE_JOINALIASES);
	if (!OidIsValid(context.type) ||
		(rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE))
		return;
	foreach(lc, streaming_columns_of(compiler, rte))
	{
		Var		   *column = lfirst_node(Var, lc);

		targets = lappend(targets, makeTargetEntry((Expr *) column, foreach_current_index(lc) + 1,
												   pstrdup(strVal(list_nth(rte->eref->colnames,
																		   column->varattno - 1))),
												   false));
	}
	copy = copyObject(rte);
	copy->lateral = false;
	below = select_from(targets, copy);
	context.attno = list_length(targets) + 1;
	(void) query_tree_walker(query, name_rows, &context, QTW_IGNORE_JOINALIASES);
	below->targetList = lappend(below->targetList,
								makeTargetEntry(whole_row(targets, context.type), context.attno,
												pstrdup("$row"), false));
	below->hasSubLinks = context.type == RECORDOID;
	lfirst(list_nth_cell(query->rtable, rti - 1)) = subquery_of(below, rte->eref->aliasname);
}

/* ---- What is below ---- */

static StreamingProgramInput *
find_input(StreamingCompiler *compiler, Oid relid)
{
	StreamingProgram *program = compiler->program;

	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i].relid == relid)
			return &program->inputs[i];
	}
	elog(ERROR, "relation %u is no input", relid);
}

RangeTblEntry *
streaming_delta_rte(StreamingStage *stage)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *columns = NIL;

	for (int i = 0; i < stage->noutputs; i++)
		columns = lappend(columns, makeString(stage->outputs[i].column));
	streaming_name_relation(rte, psprintf("delta_%d", stage->number), columns);
	rte->relkind = STREAMING_RELKIND_DELTA;
	rte->relid = stage->number;
	return rte;
}

/* The relation that query takes its rows from, through plain subqueries. */
static RangeTblEntry *
relation_below(Query *query)
{
	RangeTblEntry *rte = rt_fetch(streaming_query_input(query), query->rtable);

	return rte->rtekind == RTE_SUBQUERY ? relation_below(rte->subquery) : rte;
}

StreamingStage *
streaming_stage_below(StreamingCompiler *compiler, Query *query)
{
	RangeTblEntry *rte = relation_below(query);

	return streaming_is_delta(rte) ? &compiler->program->stages[rte->relid - 1] : NULL;
}

void
streaming_bind_subquery(StreamingCompiler *compiler, RangeTblEntry *rte)
{
	Query	   *query = rte->subquery;
	StreamingStage *stage = NULL;
	int			i = -1;
	List	   *columns = NIL;

	/* what is written twice is evaluated twice */
	if (!contain_volatile_functions((Node *) query))
		i = streaming_list_position(compiler->done, (Node *) query);
	if (i >= 0)
		stage = &compiler->program->stages[list_nth_int(compiler->done_stages, i) - 1];
	else
	{
		compiler->done = lappend(compiler->done, copyObject(query));
		i = list_length(compiler->done) - 1;
		compiler->done_stages = lappend_int(compiler->done_stages, 0);
		stage = streaming_compile_query(compiler, query);
		lfirst_int(list_nth_cell(compiler->done_stages, i)) = stage->number;
	}
	for (int k = 0; k < stage->noutputs; k++)
		columns = lappend(columns, makeString(stage->outputs[k].column));
	streaming_name_relation(rte, psprintf("delta_%d", stage->number), columns);
	rte->relkind = STREAMING_RELKIND_DELTA;
	rte->relid = stage->number;
	rte->subquery = query;		/* what its columns are: event_time.c */
}

void
streaming_compile_below(StreamingCompiler *compiler, Query *query)
{
	RangeTblEntry *rte = rt_fetch(streaming_query_input(query), query->rtable);

	if (rte->rtekind != RTE_SUBQUERY)
		return;
	if (streaming_is_plain(rte->subquery) && !streaming_is_aggregation(rte->subquery) &&
		streaming_folded_levels(rte->subquery) == 0)
		streaming_compile_below(compiler, rte->subquery);
	else
		streaming_bind_subquery(compiler, rte);
}

/*
 * Makes query (which is modified) read its input: the delta of the stage below,
 * the stream, the change stream of a view, or, for the initial load, that view
 * itself.  Returns the expression of the sign at this level, or NULL if the input
 * has none.
 */
static Expr *
bind_input(StreamingCompiler *compiler, Query *query, bool initial)
{
	int			rti = streaming_query_input(query);
	RangeTblEntry *rte;
	AttrNumber	sign;
	StreamingProgramInput *input;
	Oid			type = INT2OID;

	bind_rows(compiler, query, rti);
	rte = rt_fetch(rti, query->rtable);
	sign = list_length(rte->eref->colnames) + 1;

	if (rte->rtekind == RTE_SUBQUERY)
	{
		Expr	   *inner = bind_input(compiler, rte->subquery, initial);

		if (inner == NULL)
			return NULL;
		type = exprType((Node *) inner);
		sign = list_length(rte->subquery->targetList) + 1;
		rte->subquery->targetList = lappend(rte->subquery->targetList,
											makeTargetEntry(inner, sign, STREAMING_SIGN_NAME, false));
	}
	else if (streaming_is_delta(rte))
	{
		type = INT8OID;
		if (compiler->program->stages[rte->relid - 1].only_appears)
			return NULL;
	}
	else
	{
		input = find_input(compiler, rte->relid);
		if (!input->is_loaded)
			return NULL;
		if (initial || input->is_table)
		{
			rte->subquery = input_subquery(rte, initial ? InvalidOid : input->scan);
			rte->rtekind = RTE_SUBQUERY;
			rte->relid = InvalidOid;
			rte->relkind = 0;
			rte->inh = false;
			streaming_forget_permissions(rte);
		}
		else
		{
			rte->relid = input->scan;
			rte->relkind = RELKIND_FOREIGN_TABLE;
		}
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(STREAMING_SIGN_NAME));
		streaming_flatten_joins(query);
		if (!input->is_signed)
			return NULL;
		return (Expr *) makeVar(rti, sign, type, -1, InvalidOid, 0);
	}
	rte->eref->colnames = lappend(rte->eref->colnames, makeString(STREAMING_SIGN_NAME));
	streaming_flatten_joins(query);
	return (Expr *) makeVar(rti, sign, type, -1, InvalidOid, 0);
}

char *
streaming_deparse(Query *query)
{
	/*
	 * In ORDER BY and DISTINCT ON a bare name is that of an output column first.  Where
	 * there is more than one relation the deparser qualifies names.
	 */
	if (list_length(query->rtable) == 1 && (query->sortClause || query->hasDistinctOn))
	{
		RangeTblEntry *unused = makeNode(RangeTblEntry);

		unused->rtekind = RTE_RESULT;
		unused->eref = makeAlias("*unused*", NIL);
		query->rtable = lappend(query->rtable, unused);
	}
	return pg_get_querydef(query, false);
}

/* Writes the weight of a row where an aggregate asks for it. */
static Node *
weight_mutator(Node *node, Expr *weight)
{
	if (node == NULL)
		return NULL;
	if (equal(node, streaming_weight()))
		return (Node *) copyObject(weight);
	return expression_tree_mutator(node, weight_mutator, weight);
}

/* Binds a copy of query to its input and writes it out. */
static char *
bound_sql(StreamingCompiler *compiler, Query *query, bool initial, bool with_sign)
{
	Query	   *copy = copyObject(query);
	Expr	   *sign = bind_input(compiler, copy, initial);
	Const	   *once = makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(1), false,
								 FLOAT8PASSBYVAL);

	if (sign && exprType((Node *) sign) == INT2OID)
		sign = (Expr *) makeFuncExpr(F_INT8_INT2, INT8OID, list_make1(sign), InvalidOid, InvalidOid,
									 COERCE_EXPLICIT_CAST);
	copy->targetList = (List *) weight_mutator((Node *) copy->targetList,
											   sign ? sign : (Expr *) once);
	if (with_sign && sign)
		copy->targetList = lappend(copy->targetList,
								   makeTargetEntry(sign, list_length(copy->targetList) + 1,
												   STREAMING_SIGN_NAME, false));
	return streaming_deparse(copy);
}

bool
streaming_input_is_signed(StreamingCompiler *compiler, Query *query)
{
	RangeTblEntry *rte = relation_below(query);

	return streaming_is_delta(rte) ? !compiler->program->stages[rte->relid - 1].only_appears :
		find_input(compiler, rte->relid)->is_signed;
}

StreamingEdge
streaming_make_edge(StreamingCompiler *compiler, Query *query, bool with_sign)
{
	RangeTblEntry *rte = relation_below(query);
	StreamingEdge edge = {-1};

	edge.is_signed = streaming_input_is_signed(compiler, query);
	if (streaming_is_delta(rte))
	{
		edge.stage = rte->relid;
		edge.sql = bound_sql(compiler, query, false, with_sign);
	}
	else
	{
		StreamingProgramInput *input = find_input(compiler, rte->relid);

		edge.input = input - compiler->program->inputs;
		if (OidIsValid(input->scan))
			edge.sql = bound_sql(compiler, query, false, with_sign);
		if (input->is_loaded)
			edge.initial_sql = bound_sql(compiler, query, true, with_sign);
	}
	return edge;
}

/*
 * Are equal values of a type the same bytes?  Asked of the server's own types only,
 * by what their btree operator classes say for deduplication.
 */
static bool
is_equal_image(StreamingValue *value)
{
	TypeCacheEntry *type = lookup_type_cache(value->type, TYPECACHE_BTREE_OPFAMILY);
	Oid			function;

	if (value->type >= FirstNormalObjectId || !OidIsValid(type->btree_opf) ||
		type->btree_opf >= FirstNormalObjectId)
		return false;
	function = get_opfamily_proc(type->btree_opf, type->btree_opintype, type->btree_opintype,
								 BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, value->collation,
										  ObjectIdGetDatum(type->btree_opintype)));
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
	appendStringInfo(&buf, "%s AS \"$count\" FROM (%s) v",
					 is_signed ? "pg_catalog.sum(\"" STREAMING_SIGN_NAME "\")::pg_catalog.int8" :
					 "pg_catalog.count(*)", sql);
	for (int i = 0; i < nvalues; i++)
		appendStringInfo(&buf, "%sv%d", i ? ", " : "(", i + 1);
	if (is_signed)
		appendStringInfo(&buf, "%s\"" STREAMING_SIGN_NAME "\"", nvalues ? ", " : "(");
	if (nvalues > 0 || is_signed)
		appendStringInfoChar(&buf, ')');
	for (int i = 0; i < nvalues; i++)
		appendStringInfo(&buf, "%sv%d", i ? ", " : " GROUP BY ", i + 1);
	appendStringInfo(&buf, " HAVING pg_catalog.count(*) > 0");
	return buf.data;
}

StreamingEdge
streaming_make_counted_edge(StreamingCompiler *compiler, Query *query, StreamingValue *values,
							int nvalues)
{
	StreamingEdge edge = streaming_make_edge(compiler, query, true);
	bool		counted = true;

	for (int i = 0; i < nvalues; i++)
		counted &= is_equal_image(&values[i]);
	edge.weighted = edge.is_signed || counted;
	if (edge.sql && counted)
		edge.sql = count_rows_sql(edge.sql, nvalues, edge.is_signed);
	if (edge.initial_sql && counted)
		edge.initial_sql = count_rows_sql(edge.initial_sql, nvalues, edge.is_signed);
	return edge;
}

void
streaming_add_edge(StreamingStage *stage, StreamingEdge edge)
{
	stage->edges = stage->edges == NULL ? palloc(sizeof(StreamingEdge)) :
		repalloc(stage->edges, sizeof(StreamingEdge) * (stage->nedges + 1));
	stage->edges[stage->nedges++] = edge;
	stage->signed_input |= edge.is_signed;
}

void
streaming_fill_outputs(StreamingStage *stage, Query *query)
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

		StreamingValue *output = &stage->outputs[stage->noutputs];

		if (tle->resjunk)
			continue;
		streaming_fill_value(output, tle->resname, (Node *) tle->expr);
		output->column = streaming_column_name(tle->resname, ++stage->noutputs);
	}
}

/* Does what a row becomes depend on more than the row? */
static bool
reads_more(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, (List *) context);

		return rte->rtekind == RTE_RELATION && !streaming_rte_is_input(rte);
	}
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_CTE && !streaming_is_delta(rte);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_more, ((Query *) node)->rtable,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reads_more, context);
}

bool
streaming_is_fixed(Query *query)
{
	return !reads_more((Node *) query, NULL) && !contain_mutable_functions((Node *) query);
}

/* Rows of an aggregation are kept, also where they never disappear. */
void
streaming_refuse_mutable_input(StreamingCompiler *compiler, Query *query)
{
	StreamingStage *below = streaming_stage_below(compiler, query);

	streaming_refuse_mutable(query, (below && streaming_has_groups(below)) ||
							 streaming_input_is_signed(compiler, query), compiler->mode);
}

/*
 * A query without aggregation, the view's own.  Over rows that only appear its rows
 * are the output; over others, its distinct rows are kept with their multiplicity.
 * Where these may be others when a row is taken back, they are remembered by the row.
 */
static StreamingStage *
compile_linear(StreamingCompiler *compiler, Query *query)
{
	StreamingEdge edge = streaming_make_edge(compiler, query, true);
	StreamingStage *stage;

	streaming_refuse_sessions((Node *) query);
	streaming_refuse_mutable_input(compiler, query);
	if (edge.is_signed && !streaming_is_fixed(query))
		return streaming_compile_partition(compiler, query);
	stage = streaming_add_stage(compiler);
	streaming_fill_outputs(stage, query);
	streaming_outputs_event_time(compiler, stage, query);
	if (!edge.is_signed)
	{
		stage->kind = STREAMING_STAGE_APPEND;
		stage->only_appears = true;
		streaming_add_edge(stage, edge);
		return stage;
	}
	stage->kind = STREAMING_STAGE_MULTISET;
	streaming_keys_of_outputs(stage);
	streaming_add_edge(stage, streaming_make_counted_edge(compiler, query, stage->outputs, stage->noutputs));
	return stage;
}

void
streaming_keys_of_outputs(StreamingStage *stage)
{
	stage->grouped = true;
	stage->nkeys = stage->noutputs;
	stage->keys = palloc0(sizeof(StreamingValue) * Max(stage->nkeys, 1));
	for (int i = 0; i < stage->nkeys; i++)
	{
		stage->keys[i] = stage->outputs[i];
		stage->keys[i].eqop = InvalidOid;
		stage->outputs[i].key = i;
	}
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

bool
streaming_is_combinable(Aggref *aggref, bool distinct)
{
	StreamingAggregate agg;
	Aggref	   *copy = copyObject(aggref);

	if (!distinct)
		copy->aggdistinct = NIL;
	return fill_aggregate(&agg, copy);
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

static StreamingStage *
compile_aggregation(StreamingCompiler *compiler, Query *query)
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

		if (!fill_aggregate(&stage->aggs[foreach_current_index(lc)], aggref))
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
		streaming_add_edge(stage, streaming_make_edge(compiler, partial, false));
	return stage;
}

/* ---- UNION ALL ---- */

/*
 * The subqueries of a tree of UNION ALL, each once; false: it has another operation, or
 * one whose columns have other types.
 */
static bool
union_branches(Query *query, Node *node, List **branches)
{
	SetOperationStmt *stmt = (SetOperationStmt *) node;
	SetOperationStmt *top = castNode(SetOperationStmt, query->setOperations);

	if (IsA(node, RangeTblRef))
	{
		*branches = lappend(*branches, rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable));
		return true;
	}
	return stmt->op == SETOP_UNION && stmt->all && equal(stmt->colTypes, top->colTypes) &&
		union_branches(query, stmt->larg, branches) && union_branches(query, stmt->rarg, branches);
}

/* SELECT <columns, as the output of query has them> FROM <branch> */
static Query *
branch_query(Query *query, RangeTblEntry *branch)
{
	Query	   *result = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	SetOperationStmt *stmt = castNode(SetOperationStmt, query->setOperations);
	List	   *targets = branch->subquery->targetList;
	int			i = 0;
	ListCell   *lc;

	rtr->rtindex = 1;
	branch->inFromCl = true;
	result->commandType = CMD_SELECT;
	result->canSetTag = true;
	result->rtable = list_make1(branch);
	result->jointree = makeFromExpr(list_make1(rtr), NULL);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *below = list_nth_node(TargetEntry, targets, i);
		Node	   *expr = (Node *) below->expr;
		Node	   *var = (Node *) makeVar(1, i + 1, exprType(expr), exprTypmod(expr),
										   exprCollation(expr), 0);

		/* as the planner does (generate_setop_tlist) */
		if (exprType(expr) != list_nth_oid(stmt->colTypes, i))
			var = coerce_to_common_type(NULL, var, list_nth_oid(stmt->colTypes, i),
										"UNION/INTERSECT/EXCEPT");
		result->targetList = lappend(result->targetList,
									 makeTargetEntry((Expr *) var, ++i, pstrdup(tle->resname), false));
	}
	return result;
}

static bool
is_union_all(Query *query)
{
	List	   *branches = NIL;
	ListCell   *lc;

	if (!query->setOperations || query->cteList != NIL ||
		!union_branches(query, query->setOperations, &branches))
		return false;
	foreach(lc, branches)
	{
		if (!streaming_contains_input((Node *) lfirst_node(RangeTblEntry, lc)->subquery))
			return false;
	}
	return true;
}

/* A column is event time if it is that in all branches. */
static void
add_branch_event_time(StreamingCompiler *compiler, StreamingStage *stage, Query *branch)
{
	ListCell   *lc;

	foreach(lc, branch->targetList)
	{
		StreamingWindow *event = &stage->outputs[foreach_current_index(lc)].event;
		StreamingWindow other = streaming_window_of(compiler, branch,
													(Node *) lfirst_node(TargetEntry, lc)->expr);

		*event = streaming_window_of_both(event, &other);
	}
}

/* Several inputs whose rows are the output of one stage. */
static StreamingStage *
compile_union(StreamingCompiler *compiler, Query *query)
{
	List	   *branches = NIL;
	List	   *queries = NIL;
	ListCell   *lc;
	StreamingStage *stage;
	bool		is_signed = false;

	(void) union_branches(query, query->setOperations, &branches);
	foreach(lc, branches)
	{
		Query	   *branch = branch_query(query, lfirst(lc));

		streaming_compile_below(compiler, branch);
		streaming_refuse_mutable_input(compiler, branch);
		is_signed |= streaming_input_is_signed(compiler, branch);
		queries = lappend(queries, branch);
	}
	/* what a row that is taken back has been must be remembered */
	foreach(lc, queries)
	{
		Query	   *branch = lfirst_node(Query, lc);

		if (streaming_input_is_signed(compiler, branch) && !streaming_is_fixed(branch))
			streaming_bind_subquery(compiler, linitial_node(RangeTblEntry, branch->rtable));
	}
	stage = streaming_add_stage(compiler);
	stage->kind = STREAMING_STAGE_APPEND;
	stage->only_appears = !is_signed;
	streaming_fill_outputs(stage, query);
	streaming_outputs_event_time(compiler, stage, linitial(queries));
	for_each_from(lc, queries, 1)
		add_branch_event_time(compiler, stage, lfirst(lc));
	foreach(lc, queries)
		streaming_add_edge(stage, streaming_make_edge(compiler, lfirst(lc), true));
	return stage;
}

/* ---- Queries ---- */

StreamingStage *
streaming_add_stage(StreamingCompiler *compiler)
{
	StreamingProgram *program = compiler->program;
	StreamingStage *stage = &program->stages[program->nstages++];

	if (program->nstages > compiler->max_stages)
		elog(ERROR, "a query has more stages than were expected");
	stage->number = program->nstages;
	return stage;
}

StreamingStage *
streaming_compile_query(StreamingCompiler *compiler, Query *query)
{
	check_stack_depth();
	if (is_union_all(query))
		return compile_union(compiler, query);
	if (!streaming_is_plain(query) || streaming_folded_levels(query) > 0)
	{
		streaming_refuse_sessions((Node *) query);
		return streaming_compile_partition(compiler, query);
	}
	if (streaming_is_aggregation(query) && streaming_filters_partitions(query))
		streaming_split_from(query);	/* the filter is computed with them */
	streaming_compile_below(compiler, query);
	if (streaming_is_aggregation(query))
		return compile_aggregation(compiler, query);
	return compile_linear(compiler, query);
}

/*
 * The stage of the query itself is the last one.  Rows that appear and disappear
 * and are not kept so far are kept by one more.
 */
static void
compile_top(StreamingCompiler *compiler, Query *query)
{
	StreamingStage *stage = streaming_compile_query(compiler, query);

	if (stage->kind == STREAMING_STAGE_JOIN ||
		(stage->kind == STREAMING_STAGE_APPEND && !stage->only_appears))
	{
		Query	   *top = makeNode(Query);
		RangeTblRef *rtr = makeNode(RangeTblRef);

		for (int i = 0; i < stage->noutputs; i++)
		{
			StreamingValue *output = &stage->outputs[i];

			top->targetList = lappend(top->targetList,
									  makeTargetEntry((Expr *) makeVar(1, i + 1, output->type,
																	   output->typmod, output->collation, 0),
													  i + 1, output->name, false));
		}
		rtr->rtindex = 1;
		top->commandType = CMD_SELECT;
		top->canSetTag = true;
		top->rtable = list_make1(streaming_delta_rte(stage));
		top->jointree = makeFromExpr(list_make1(rtr), NULL);
		stage = compile_linear(compiler, top);
	}
	stage->last = true;
}

/* More than there can be stages. */
static bool
count_nodes(Node *node, int *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		(*count) += 5;
		return query_tree_walker((Query *) node, count_nodes, count, 0);
	}
	if (IsA(node, RangeTblRef) || IsA(node, JoinExpr) || IsA(node, SubLink))
		(*count) += 4;
	return expression_tree_walker(node, count_nodes, count);
}

/* Rows that can change after they have been written. */
static void
refuse_append(StreamingCompiler *compiler)
{
	StreamingProgram *program = compiler->program;
	const char *detail = "A group can change after it has been written.";
	char	   *event_column = NULL;

	for (int i = program->ninputs - 1; i >= 0; i--)
	{
		if (program->inputs[i].event_attno)
			event_column = program->inputs[i].event_column;
	}
	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i].is_table)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for a view that follows ordinary tables"),
					 errdetail("Rows of table \"%s\" can change after they have been written.",
							   get_rel_name(program->inputs[i].relid)),
					 errhint("Use streaming.output_mode = 'update', or do not follow the table.")));
	}
	if (program->nstages == 1 && program->stages[0].kind == STREAMING_STAGE_MULTISET)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported over a continuous view whose rows can change"),
				 errhint("Let that view append, by windows of event time, or use streaming.output_mode = 'update'.")));
	if (program->ninputs == 1 && program->inputs[0].is_loaded)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported for an aggregation over a continuous view"),
				 errdetail("%s", detail),
				 errhint("Aggregate the stream itself, by a window of its watermarked column, or use streaming.output_mode = 'update'.")));
	if (event_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported for an aggregation without a watermark"),
				 errdetail("%s", detail),
				 errhint("Give the stream's event-time column the option \"watermark\" and group by a window of it, such as date_bin, or use streaming.output_mode = 'update'.")));
	for (int i = 0; i < program->nstages; i++)
	{
		StreamingStage *stage = &program->stages[i];

		if (stage->kind == STREAMING_STAGE_PARTITION && stage->signed_input)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for joins, subqueries and windows over rows that can change"),
					 errdetail("A row can disappear after it has been written."),
					 errhint("Let what they read append, by windows of event time, or use streaming.output_mode = 'update'.")));
		if (stage->kind == STREAMING_STAGE_PARTITION && compiler->unbounded_outer)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for outer joins and subqueries over streams without a bound in event time"),
					 errdetail("A row that has met none can meet one that comes later."),
					 errhint("Bound the watermarked columns of both sides by constants, in ON or in WHERE of the subquery, as in \"a.at BETWEEN b.at - interval '1 hour' AND b.at\", or join by equal windows of them; or use streaming.output_mode = 'update'.")));
		if (stage->kind == STREAMING_STAGE_PARTITION)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for window functions, DISTINCT ON, LIMIT and what else is computed anew"),
					 errdetail("A row can disappear after it has been written."),
					 errhint("Use streaming.output_mode = 'update'.")));
		if (stage->kind == STREAMING_STAGE_JOIN && !stage->evicts_rows)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for an aggregation over a join of streams without a bound in event time"),
					 errdetail("A row can be joined with any that comes later, and so change its group after that has been written."),
					 errhint("Bound the watermarked columns of both sides by constants, as in \"a.at BETWEEN b.at - interval '1 hour' AND b.at\", or join by equal windows of them; or use streaming.output_mode = 'update'.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("output mode \"append\" is not supported for an aggregation that is not grouped by a window of event time"),
			 errdetail("%s", detail),
			 errhint("Group, at each level, by column \"%s\" or by date_bin, date_trunc, streaming.tumble, streaming.hop or streaming.session of it, with a constant width; or use streaming.output_mode = 'update'.",
					 event_column)));
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

/* Its rows are in a pushed stream only until those who read that have taken them. */
static void
refuse_written_stream(StreamingView *upstream)
{
	StreamingSourceKind kind;

	if (OidIsValid(upstream->sink.relid) && streaming_is_stream(upstream->sink.relid, &kind) &&
		kind == STREAMING_SOURCE_PUSH)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support reading \"%s\", which writes to a pushed stream",
						get_rel_name(upstream->view)),
				 errhint("Read the stream itself: \"%s\".", get_rel_name(upstream->sink.relid))));
}

/* The relations that the query reads. */
static void
open_inputs(StreamingProgram *program, List *relids, int mode)
{
	ListCell   *lc;

	program->ninputs = list_length(relids);
	program->inputs = palloc0(sizeof(StreamingProgramInput) * program->ninputs);
	foreach(lc, relids)
	{
		StreamingProgramInput *input = &program->inputs[foreach_current_index(lc)];
		StreamingView *upstream;

		input->relid = input->scan = lfirst_oid(lc);
		input->is_table = !streaming_is_input(input->relid);
		input->is_loaded = input->is_table || get_rel_relkind(input->relid) == RELKIND_VIEW;
		/* the whole result, late rows and all, is what complete shows */
		if (!input->is_loaded && mode != STREAMING_OUTPUT_COMPLETE)
			input->event_attno = streaming_event_column(input->relid, &input->event_delay,
														&input->event_column);
		if (!input->is_loaded)
			continue;
		if (input->is_table)
		{
			input->is_signed = true;
			input->scan = streaming_follow_stream(input->relid);
			continue;
		}
		upstream = streaming_catalog_view(input->relid, false);
		if (!OidIsValid(streaming_view_reads(upstream)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("continuous views do not support reading \"%s\", which keeps no rows",
							get_rel_name(upstream->view)),
					 errdetail("Its sink is a function or the server log, and its rows are kept nowhere else."),
					 errhint("Read what that view reads, or create it with streaming.output_mode = 'complete'.")));
		refuse_written_stream(upstream);
		input->is_signed = upstream->output_mode != STREAMING_OUTPUT_APPEND;
		input->scan = get_relname_relid(streaming_change_stream_name(upstream->id),
										streaming_internal_namespace());
	}
}

/* How one key of ORDER BY is written behind its column. */
static char *
direction(SortGroupClause *clause, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
	const char *nulls = clause->nulls_first ? "NULLS FIRST" : "NULLS LAST";
	HeapTuple	tuple;
	Form_pg_operator form;
	char	   *result;

	if (clause->sortop == entry->lt_opr || clause->sortop == entry->gt_opr)
		return psprintf(" %s %s", clause->sortop == entry->lt_opr ? "ASC" : "DESC", nulls);
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(clause->sortop));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", clause->sortop);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf(" USING OPERATOR(%s.%s) %s",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname), nulls);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * ORDER BY of the query itself, as far as it is by columns of the output: in this
 * order the result is read.  NULL: in none.
 */
static char *
order_of(Query *query)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);

		if (tle->resjunk)
			break;
		appendStringInfo(&buf, "%s%d%s", buf.len ? ", " : " ORDER BY ", tle->resno,
						 direction(clause, exprType((Node *) tle->expr)));
	}
	return buf.len ? buf.data : NULL;
}

/* Writes grouping expressions where they are used, in each query below node. */
static bool
flatten_groups(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, flatten_groups, context);
	streaming_flatten_group_exprs((Query *) node);
	return query_tree_walker((Query *) node, flatten_groups, context, 0);
}

static StreamingProgram *
compile(Query *query, int32 id, List *tables, const StreamingSinkSpec *sink, int mode)
{
	StreamingProgram *program = palloc0(sizeof(StreamingProgram));
	StreamingCompiler	compiler = {program, mode};

	query = copyObject(query);
	streaming_mark_followed(query, tables);
	(void) flatten_groups((Node *) query, NULL);
	streaming_lift_hops(query);
	program->id = id;
	program->sink = *sink;
	program->order_by = order_of(query);
	open_inputs(program, streaming_query_check(query), mode);
	streaming_rename_ctes(query);
	streaming_normalize(query);
	(void) count_nodes((Node *) query, &compiler.max_stages);
	program->stages = palloc0(sizeof(StreamingStage) * compiler.max_stages);
	compile_top(&compiler, query);
	program->output_mode = resolve_output_mode(&compiler, mode);
	program->keeps_result = keeps_result(program);
	streaming_layout(program);
	streaming_sink_check(program);
	return program;
}

StreamingProgram *
streaming_compile(Query *query, Oid owner, int32 id, List *tables,
				  const StreamingSinkSpec *sink, int mode)
{
	StreamingProgram *program;
	StreamingRunAs saved;

	streaming_run_as_begin(&saved, owner, NIL);
	streaming_settings_write_exactly(); /* constants */
	streaming_copies_begin();
	program = compile(query, id, tables, sink, mode);
	streaming_run_as_end(&saved);
	return program;
}
