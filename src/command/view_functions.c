/*
 * view_functions.c
 *		The functions that a continuous view gives its rows to: streaming.foreach
 *		and its companions, streaming.foreach_batch.
 *
 * Finds what the user names, checks it, and makes the view that keeps it; see
 * sink/sink_functions.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/typcache.h"

#include "streaming.h"
#include "catalog/object_name.h"
#include "command/command.h"
#include "sink/sink_rows.h"

static void
refuse(const char *option, Oid function, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("%s of option \"%s.%s\" %s", format_procedure(function),
					STREAMING_OPTION_NAMESPACE, option, what),
			 errhint("%s", hint)));
}

static void
check_function(const char *option, Oid function)
{
	AclResult	result;

	if (get_func_prokind(function) != PROKIND_FUNCTION)
		refuse(option, function, "is not an ordinary function", "Name a function.");
	if (get_func_retset(function))
		refuse(option, function, "returns a set", "Name a function that returns one value, or void.");
	result = streaming_function_aclcheck(function, GetUserId());
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
}

static void
function_missing(const char *option, const char *name, const char *signature)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("there is no function \"%s\" that option \"%s.%s\" could name", name,
					STREAMING_OPTION_NAMESPACE, option),
			 errhint("Create a function with the arguments %s, or write the name with its schema.",
					 signature)));
}

/* Of exactly these arguments; Invalid: there is none. */
static Oid
find_function(const char *name, int nargs, const Oid *types)
{
	return LookupFuncName(streaming_qualified_names(name), nargs, types, true);
}

/* Is type a composite type of the columns? */
static bool
is_row_type(Oid type, TupleDesc columns)
{
	TupleDesc	desc;
	bool		same;

	if (get_typtype(type) != TYPTYPE_COMPOSITE)
		return false;
	desc = lookup_rowtype_tupdesc(type, -1);
	same = streaming_same_columns(desc, columns);
	ReleaseTupleDesc(desc);
	return same;
}

/*
 * A function of a record, or of a composite type that has the view's columns;
 * with a second argument of type boolean if removed.  *others is set if there are
 * functions of that name and number of arguments that cannot be it.
 */
static Oid
find_row_function(const char *name, TupleDesc columns, bool removed, bool *others)
{
	Oid			types[2] = {RECORDOID, BOOLOID};
	int			nargs = removed ? 2 : 1;
	Oid			found = find_function(name, nargs, types);
	FuncCandidateList candidates;

	if (OidIsValid(found))
		return found;
	candidates = streaming_function_candidates(streaming_qualified_names(name), nargs);
	for (; candidates; candidates = candidates->next)
	{
		if (removed && candidates->args[1] != BOOLOID)
			continue;
		if (is_row_type(candidates->args[0], columns))
			return candidates->oid;
		*others = true;
	}
	return InvalidOid;
}

/* "schema.function(arguments) IS NULL AS option" */
static void
append_call(StringInfo buf, const char *column, Oid function, const char *arguments)
{
	appendStringInfo(buf, "%s %s(%s) IS NULL AS %s", buf->len ? "," : "SELECT",
					 quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
												get_func_name(function)),
					 arguments, quote_identifier(column));
}

static void
append_foreach(StringInfo buf, const char *name, TupleDesc columns)
{
	bool		others = false;
	bool		removed = false;
	Oid			function = find_row_function(name, columns, false, &others);
	Oid		   *types;
	int			nargs;

	if (!OidIsValid(function))
	{
		removed = true;
		function = find_row_function(name, columns, true, &others);
	}
	if (!OidIsValid(function) && others)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function \"%s\" of option \"%s.%s\" does not take the rows of the continuous view",
						name, STREAMING_OPTION_NAMESPACE, "foreach"),
				 errdetail("A composite type must have the view's columns, in the same order and of the same types."),
				 errhint("Let its argument be of type record, or of a composite type that fits.")));
	if (!OidIsValid(function))
		function_missing("foreach", name, "(record) or (record, boolean)");
	check_function("foreach", function);
	(void) get_func_signature(function, &types, &nargs);
	append_call(buf, STREAMING_FUNCTION_FOREACH, function,
				psprintf("NULL::%s%s",
						 format_type_extended(types[0], -1, FORMAT_TYPE_FORCE_QUALIFY),
						 removed ? ", false" : ""));
}

static void
append_open(StringInfo buf, const char *name)
{
	const Oid	types[] = {INT8OID, INT8OID};
	Oid			function = find_function(name, lengthof(types), types);

	if (!OidIsValid(function))
		function_missing("foreach_open", name, "(partition_id bigint, version bigint)");
	check_function("foreach_open", function);
	if (get_func_rettype(function) != BOOLOID)
		refuse("foreach_open", function, "does not return boolean",
			   "It must return true if it wants the batch's rows, else false.");
	append_call(buf, STREAMING_FUNCTION_OPEN, function, "0::pg_catalog.int8, 0::pg_catalog.int8");
}

static void
append_close(StringInfo buf, const char *name)
{
	const Oid	types[] = {TEXTOID};
	Oid			function = find_function(name, lengthof(types), types);

	if (!OidIsValid(function))
		function_missing("foreach_close", name, "(error text)");
	check_function("foreach_close", function);
	append_call(buf, STREAMING_FUNCTION_CLOSE, function, "NULL::pg_catalog.text");
}

static void
append_foreach_batch(StringInfo buf, const char *name)
{
	const Oid	types[] = {REGCLASSOID, INT8OID, REGCLASSOID};
	bool		removed = false;
	Oid			function = find_function(name, 2, types);

	if (!OidIsValid(function))
	{
		removed = true;
		function = find_function(name, 3, types);
	}
	if (!OidIsValid(function))
		function_missing("foreach_batch", name,
						 "(batch regclass, batch_id bigint) or (batch regclass, batch_id bigint, removed regclass)");
	check_function("foreach_batch", function);
	append_call(buf, STREAMING_FUNCTION_FOREACH_BATCH, function,
				psprintf("NULL::pg_catalog.regclass, 0::pg_catalog.int8%s",
						 removed ? ", NULL::pg_catalog.regclass" : ""));
}

Oid
streaming_make_functions(const StreamingViewOptions *options, int32 id, TupleDesc columns)
{
	StreamingOwnerRights rights;
	StringInfoData query;
	char	   *name = streaming_sink_functions_name(id);

	initStringInfo(&query);
	if (options->foreach)
		append_foreach(&query, options->foreach, columns);
	if (options->foreach_open)
		append_open(&query, options->foreach_open);
	if (options->foreach_close)
		append_close(&query, options->foreach_close);
	if (options->foreach_batch)
		append_foreach_batch(&query, options->foreach_batch);

	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("CREATE VIEW %s.%s AS %s WHERE false", STREAMING_INTERNAL_SCHEMA,
							   name, query.data));
	CommandCounterIncrement();
	streaming_owner_rights_end(&rights);
	return get_relname_relid(name, streaming_internal_namespace());
}
