/*
 * view_definition.c
 *		streaming.viewdef: the CREATE VIEW that makes a continuous view.
 *
 * Options that have their defaults are left out, but for the output mode, which
 * follows from the query.  As with pg_get_viewdef, names in the query are qualified
 * where the caller's search_path would not find them, and settings of the view are
 * said where they are not the caller's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "catalog/object_name.h"
#include "query/program.h"
#include "base/settings.h"
#include "sink/sink_rows.h"
#include "command/command.h"

PG_FUNCTION_INFO_V1(streaming_viewdef);
PG_FUNCTION_INFO_V1(streaming_view_query);

/* Of an ordinary view; NULL: it is no more. */
static text *
query_of(Oid view)
{
	Relation	rel = try_relation_open(view, AccessShareLock);
	Datum		result = (Datum) 0;
	LOCAL_FCINFO(call, 1);

	/* as a direct call that may return NULL */
	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(view);
	call->args[0].isnull = false;
	if (rel && rel->rd_rel->relkind == RELKIND_VIEW)
		result = pg_get_viewdef(call);
	if (rel)
		relation_close(rel, AccessShareLock);
	return call->isnull ? NULL : (text *) DatumGetPointer(result);
}

/*
 * streaming_internal.view_query(definition oid) returns text: pg_get_viewdef, but
 * NULL where the view is no more.
 */
Datum
streaming_view_query(PG_FUNCTION_ARGS)
{
	text	   *query = query_of(PG_GETARG_OID(0));

	if (query == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(query);
}

static void
append_option(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, ", " STREAMING_OPTION_NAMESPACE ".%s = %s", name,
					 quote_literal_cstr(value));
}

static void
append_number(StringInfo buf, const char *name, int64 value)
{
	if (value > 0)
		appendStringInfo(buf, ", " STREAMING_OPTION_NAMESPACE ".%s = " INT64_FORMAT, name, value);
}

/* Those that the caller's session would not give the view anyway. */
static void
append_settings(StringInfo buf, const List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
	{
		const char *value;
		const char *name = streaming_setting_parse(lfirst(lc), &value);

		if (strcmp(GetConfigOption(name, false, false), value) != 0)
			append_option(buf, asc_tolower(name, strlen(name)), value);
	}
}

static void
append_function(StringInfo buf, int32 id, const char *option, const char *which)
{
	FuncExpr   *function = streaming_sink_function(id, which);

	if (function)
		append_option(buf, option,
					  quote_qualified_identifier(get_namespace_name(get_func_namespace(function->funcid)),
												 get_func_name(function->funcid)));
}

static void
append_sink(StringInfo buf, const StreamingView *view)
{
	switch (view->sink.kind)
	{
		case STREAMING_SINK_OWN:
			break;
		case STREAMING_SINK_MEMORY:
			append_option(buf, "sink", "memory");
			break;
		case STREAMING_SINK_RELATION:
			append_option(buf, "sink", streaming_qualified_name(view->sink.relid));
			break;
		case STREAMING_SINK_CONSOLE:
			append_option(buf, "sink", "console");
			break;
		case STREAMING_SINK_FOREACH:
			append_function(buf, view->id, "foreach", STREAMING_FUNCTION_FOREACH);
			append_function(buf, view->id, "foreach_open", STREAMING_FUNCTION_OPEN);
			append_function(buf, view->id, "foreach_close", STREAMING_FUNCTION_CLOSE);
			break;
		case STREAMING_SINK_FOREACH_BATCH:
			append_function(buf, view->id, "foreach_batch", STREAMING_FUNCTION_FOREACH_BATCH);
			break;
	}
}

static void
append_tables(StringInfo buf, List *tables)
{
	StringInfoData names;
	ListCell   *lc;

	if (tables == NIL)
		return;
	initStringInfo(&names);
	foreach(lc, tables)
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 streaming_qualified_name(lfirst_oid(lc)));
	append_option(buf, "follow", names.data);
}

/* PostgreSQL's own. */
static void
append_other_options(StringInfo buf, Oid view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	Datum		options = (Datum) 0;
	bool		isnull = true;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return;
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	if (!isnull)
	{
		foreach(lc, untransformRelOptions(options))
		{
			DefElem    *def = lfirst(lc);

			appendStringInfo(buf, ", %s = %s", quote_identifier(def->defname),
							 quote_literal_cstr(defGetString(def)));
		}
	}
	ReleaseSysCache(tuple);
}

/* streaming.viewdef(view regclass) returns text */
Datum
streaming_viewdef(PG_FUNCTION_ARGS)
{
	StreamingView *view = streaming_catalog_view(PG_GETARG_OID(0), false);
	Relation	rel = relation_open(view->view, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	text	   *query = query_of(view->definition);
	StringInfoData buf;

	if (query == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", view->view)));
	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE VIEW %s (", streaming_qualified_name(view->view));
	for (int i = 0; i < desc->natts; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)));
	appendStringInfo(&buf, ")\n WITH (" STREAMING_OPTION_NAMESPACE ".output_mode = '%s'",
					 streaming_output_mode_name(view->output_mode));
	if (view->trigger != STREAMING_TRIGGER_ASAP)
		append_option(&buf, "trigger", view->trigger_text);
	append_sink(&buf, view);
	if (view->start)
		append_option(&buf, "start", view->start);
	append_tables(&buf, view->tables);
	append_number(&buf, "max_rows_per_trigger", view->max_rows);
	append_number(&buf, "max_files_per_trigger", view->max_files);
	append_number(&buf, "catch_up_rate", view->catch_up_rate);
	if (!view->enabled)
		append_option(&buf, "enabled", "off");
	append_settings(&buf, view->settings);
	append_other_options(&buf, view->view);
	appendStringInfo(&buf, ")\n AS%s%s", text_to_cstring(query)[0] == ' ' ? "" : " ",
					 text_to_cstring(query));
	relation_close(rel, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}
