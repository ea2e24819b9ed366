/*
 * compile_edge.c
 *		What a stage reads: its input is bound, and the statement of an edge written out.
 *
 * The input is a stream, the change stream of a view or of a table, or what the stage
 * below hands up, whose query is compiled first.  The initial load reads the view or the
 * table itself.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

#include "catalog/stream.h"
#include "push/follow.h"
#include "query/partition.h"
#include "streaming.h"

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

/* What a plain query has been left of keys that are not shown. */
static void
drop_junk(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		if (lfirst_node(TargetEntry, lc)->resjunk)
			query->targetList = foreach_delete_current(query->targetList, lc);
	}
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

	streaming_bind_rows(compiler, query, rti);
	rte = rt_fetch(rti, query->rtable);
	sign = list_length(rte->eref->colnames) + 1;

	if (rte->rtekind == RTE_SUBQUERY)
	{
		Expr	   *inner = bind_input(compiler, rte->subquery, initial);

		if (inner == NULL)
			return NULL;
		type = exprType((Node *) inner);
		drop_junk(rte->subquery);
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

bool
streaming_only_appears(StreamingCompiler *compiler, RangeTblEntry *rte)
{
	Query	   *query = rte->subquery;
	Relids		relids;

	if (!streaming_rte_contains_input(rte))
		return true;
	if (streaming_is_delta(rte))
		return compiler->program->stages[rte->relid - 1].only_appears;
	if (rte->rtekind == RTE_RELATION)
		return !streaming_stream_changes(rte->relid) && !find_input(compiler, rte->relid)->is_signed;
	if (rte->rtekind != RTE_SUBQUERY || streaming_reads_changes(query) || query->hasAggs ||
		query->groupClause || query->groupingSets || query->havingQual || query->distinctClause ||
		query->setOperations || query->hasWindowFuncs || query->limitCount || query->limitOffset ||
		query->cteList != NIL || query->hasSubLinks ||
		!streaming_only_inner((Node *) query->jointree))
		return false;
	relids = streaming_relations_of((Node *) query->jointree);
	for (int i = bms_next_member(relids, -1); i >= 0; i = bms_next_member(relids, i))
	{
		if (!streaming_only_appears(compiler, rt_fetch(i, query->rtable)))
			return false;
	}
	return true;
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
 * Asked of the server's own types only, by what their btree operator classes say for
 * deduplication.
 */
bool
streaming_is_equal_image(Oid type_oid, Oid collation)
{
	TypeCacheEntry *type = lookup_type_cache(type_oid, TYPECACHE_BTREE_OPFAMILY);
	Oid			function;

	if (type_oid >= FirstNormalObjectId || !OidIsValid(type->btree_opf) ||
		type->btree_opf >= FirstNormalObjectId)
		return false;
	function = get_opfamily_proc(type->btree_opf, type->btree_opintype, type->btree_opintype,
								 BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, collation, ObjectIdGetDatum(type->btree_opintype)));
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
		counted &= streaming_is_equal_image(values[i].type, values[i].collation);
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
