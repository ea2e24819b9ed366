/*
 * sink_functions.c
 *		Which functions of the user's a view's rows are given to.
 *
 * PostgreSQL itself keeps them, in an ordinary view that is a part of the
 * continuous view and that nobody reads:
 *
 *	streaming_internal.sink_<id>	SELECT public.f(NULL::record) IS NULL AS foreach,
 *										public.g(0::bigint, 0::bigint) IS NULL AS open,
 *										public.h(NULL::text) IS NULL AS close
 *									WHERE false
 *
 * So they may be renamed and replaced, are in a dump, and are not dropped
 * without the view.  command/view_functions.c makes it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "catalog/view.h"
#include "sink/sink_rows.h"

PG_FUNCTION_INFO_V1(streaming_sink_function_name);

char *
streaming_sink_functions_name(int32 id)
{
	return psprintf("sink_%d", id);
}

/*
 * Is the call one that view_functions.c makes?  Who calls it passes values of
 * these types, as many as it has arguments.
 */
static bool
is_sound(FuncExpr *function, const char *which)
{
	static const struct
	{
		const char *which;
		Oid			result;		/* Invalid: any */
		int			required;
		int			nargs;
		Oid			types[3];	/* Invalid: a row */
	}			signatures[] = {
		{STREAMING_FUNCTION_FOREACH, InvalidOid, 1, 2, {InvalidOid, BOOLOID}},
		{STREAMING_FUNCTION_OPEN, BOOLOID, 2, 2, {INT8OID, INT8OID}},
		{STREAMING_FUNCTION_CLOSE, InvalidOid, 1, 1, {TEXTOID}},
		{STREAMING_FUNCTION_FOREACH_BATCH, InvalidOid, 2, 3, {REGCLASSOID, INT8OID, REGCLASSOID}},
	};
	int			n = list_length(function->args);
	int			i = 0;
	Oid		   *types;
	int			declared;
	Oid			result = get_func_signature(function->funcid, &types, &declared);

	while (strcmp(signatures[i].which, which) != 0)
		i++;
	if (get_func_prokind(function->funcid) != PROKIND_FUNCTION ||
		get_func_retset(function->funcid) || function->funcretset || function->funcvariadic ||
		n < signatures[i].required || n > signatures[i].nargs || n != declared ||
		(OidIsValid(signatures[i].result) && result != signatures[i].result))
		return false;
	for (int k = 0; k < n; k++)
	{
		Oid			wanted = signatures[i].types[k];
		Oid			type = exprType(list_nth(function->args, k));

		if (type != types[k] ||
			(OidIsValid(wanted) ? type != wanted :
			 type != RECORDOID && get_typtype(type) != TYPTYPE_COMPOSITE))
			return false;
	}
	return true;
}

/* The view that keeps the functions of view number id; NULL: there is none. */
static Relation
open_functions(int32 id)
{
	Oid			relid = get_relname_relid(streaming_sink_functions_name(id),
										  streaming_internal_namespace());
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;

	if (rel && (rel->rd_rel->relkind != RELKIND_VIEW || rel->rd_rules == NULL))
	{
		relation_close(rel, AccessShareLock);
		rel = NULL;
	}
	return rel;
}

static FuncExpr *
find_function(Relation rel, const char *which)
{
	FuncExpr   *function = NULL;
	ListCell   *lc;

	foreach(lc, get_view_query(rel)->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (IsA(tle->expr, NullTest) && strcmp(tle->resname, which) == 0 &&
			IsA(((NullTest *) tle->expr)->arg, FuncExpr))
			function = copyObject((FuncExpr *) ((NullTest *) tle->expr)->arg);
	}
	return function;
}

FuncExpr *
streaming_sink_function(int32 id, const char *which)
{
	Relation	rel = open_functions(id);
	FuncExpr   *function;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("view \"%s.%s\" of a continuous view does not exist",
						STREAMING_INTERNAL_SCHEMA, streaming_sink_functions_name(id)),
				 errhint("Drop the continuous view and create it again.")));
	function = find_function(rel, which);
	relation_close(rel, AccessShareLock);
	if (function && !is_sound(function, which))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s.%s\" names a function that does not take the rows of its continuous view",
						STREAMING_INTERNAL_SCHEMA, streaming_sink_functions_name(id)),
				 errhint("Drop the continuous view and create it again.")));
	return function;
}

bool
streaming_same_columns(TupleDesc composite, TupleDesc columns)
{
	int			n = 0;

	for (int i = 0; i < composite->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(composite, i);
		Form_pg_attribute column;

		if (att->attisdropped)
			continue;
		if (n == columns->natts)
			return false;
		column = TupleDescAttr(columns, n++);
		if (att->atttypid != column->atttypid ||
			(att->atttypmod != -1 && att->atttypmod != column->atttypmod))
			return false;
	}
	return n == columns->natts;
}

/*
 * streaming_internal.sink_function(id int) returns text: the function that gets
 * the rows of view number id, for streaming.views; NULL: there is none (any more).
 */
Datum
streaming_sink_function_name(PG_FUNCTION_ARGS)
{
	FuncExpr   *function = NULL;
	Relation	rel = open_functions(PG_GETARG_INT32(0));

	if (rel)
	{
		function = find_function(rel, STREAMING_FUNCTION_FOREACH);
		if (function == NULL)
			function = find_function(rel, STREAMING_FUNCTION_FOREACH_BATCH);
		relation_close(rel, AccessShareLock);
	}
	if (function == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(DatumGetCString(DirectFunctionCall1(regprocout,
																		 ObjectIdGetDatum(function->funcid)))));
}
