/*
 * create_view.c
 *		CREATE VIEW ... WITH (streaming...).
 *
 * A continuous view is made of ordinary objects:
 *
 *	v							 what users read: a view of the result or the sink
 *	 ├─ definition_<id>			 a view with the user's query, which PostgreSQL
 *	 │							 keeps right when anything is renamed
 *	 ├─ sink_<id>				 a view of the functions that get the rows, likewise
 *	 ├─ options_<id>			 a view of the row of streaming_internal.continuous_view
 *	 └─ result_<id>, state_...	 tables that the workers write
 *
 * The user's statement is first run as it stands, without our options: all that
 * PostgreSQL checks and says about a view is checked and said, with the user's
 * own names, rights and search_path.  The view that this makes is then moved to
 * streaming_internal as the definition, and v is made in its place.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "commands/view.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "streaming.h"
#include "input/input.h"
#include "catalog/object_name.h"
#include "push/follow.h"
#include "query/query.h"
#include "base/settings.h"
#include "shared/notify.h"
#include "worker/worker.h"
#include "command/command.h"

PG_FUNCTION_INFO_V1(streaming_no_result);
PG_FUNCTION_INFO_V1(streaming_refuse_write);

static void refuse_statement(const char *what, const char *hint);
static void check_statement(ViewStmt *stmt);
static Oid	make_definition(ViewStmt *stmt, const char *sql, int location, int length,
							StreamingView *view, List *follow, Oid *namespace);
static void lock_upstream(Oid definition);
static StreamingSinkSpec open_sink(StreamingViewOptions *options);
static void check_followed(StreamingView *view);
static void check_not_shared(Oid sink, StreamingOutputMode mode);
static void check_privilege(Oid relid, AclMode mode);
static void check_privileges(StreamingViewSpec *spec, Oid sink);
static List *make_tables(StreamingViewSpec *spec);
static Oid	make_functions(StreamingViewOptions *options, StreamingView *view);
static void make_change_streams(StreamingViewSpec *spec);
static Oid	make_view(ViewStmt *stmt, Oid namespace, StreamingViewSpec *spec,
					  ProcessUtilityContext context, QueryCompletion *qc);
static void tell_growth(ViewStmt *stmt, StreamingViewSpec *spec);
static List *names_of_relations(Oid definition, List *tables);

void
streaming_create_view(ViewStmt *stmt, const char *sql, int location, int length,
					  ProcessUtilityContext context, QueryCompletion *qc)
{
	StreamingViewOptions options;
	StreamingViewSpec *spec;
	StreamingView view = {0};
	Query	   *query;
	Relation	definition;
	Oid			namespace;
	List	   *tables;
	ListCell   *lc;

	if (!streaming_is_installed())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension streaming is not installed in this database"),
				 errhint("Run CREATE EXTENSION streaming.")));
	check_statement(stmt);
	streaming_read_view_options(stmt->options, &options);
	stmt->options = streaming_other_options(stmt->options);

	streaming_restore_make_marker();
	view.id = streaming_catalog_next_id();
	view.definition = make_definition(stmt, sql, location, length, &view, options.follow,
									  &namespace);
	lock_upstream(view.definition);
	view.sink = open_sink(&options);
	check_followed(&view);

	definition = table_open(view.definition, AccessShareLock);
	query = copyObject(get_view_query(definition));
	table_close(definition, NoLock);
	spec = streaming_query_spec(query, view.id, view.tables, &view.sink, options.output_mode);
	check_privileges(spec, view.sink.relid);
	check_not_shared(view.sink.relid, spec->output_mode);

	make_change_streams(spec);
	foreach(lc, view.tables)
		streaming_follow_capture(lfirst_oid(lc), view.definition, GetUserId());
	tables = make_tables(spec);
	if (view.sink.kind == STREAMING_SINK_FOREACH || view.sink.kind == STREAMING_SINK_FOREACH_BATCH)
		tables = lappend_oid(tables, make_functions(&options, &view));
	view.view = make_view(stmt, namespace, spec, context, qc);
	streaming_internal_adopt(view.definition, view.view);
	foreach(lc, tables)
		streaming_internal_adopt(lfirst_oid(lc), view.view);
	if (OidIsValid(view.sink.relid))
	{
		ObjectAddress address;
		ObjectAddress sink;

		ObjectAddressSet(address, RelationRelationId, view.view);
		ObjectAddressSet(sink, RelationRelationId, view.sink.relid);
		recordDependencyOn(&address, &sink, DEPENDENCY_NORMAL);
	}
	streaming_internal_make_read_only(view.view);

	if (spec->result_name)
		view.result = get_relname_relid(spec->result_name, streaming_internal_namespace());
	view.output_mode = spec->output_mode;
	view.trigger_text = options.trigger_text;
	view.start = options.start;
	view.max_rows = options.max_rows;
	view.max_files = options.max_files;
	view.catch_up_rate = options.catch_up_rate;
	view.enabled = options.enabled;
	view.settings = options.settings;
	view.relations = lappend(names_of_relations(view.definition, tables),
							 streaming_options_name(view.id));
	view.trigger = streaming_trigger_parse(view.trigger_text, &view.trigger_us);
	view.owner = GetUserId();
	streaming_catalog_insert_view(&view);
	streaming_restore_keep(view.view);
	foreach(lc, spec->streams)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			streaming_input_initialize(&view, lfirst_oid(lc));
	}
	streaming_workers_notify();
	tell_growth(stmt, spec);
}

/* ---------------------------------------------------------------------------
 * The statement
 * ---------------------------------------------------------------------------
 */

static void
refuse_statement(const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views do not support %s", what),
			 errhint("%s", hint)));
}

static void
check_statement(ViewStmt *stmt)
{
	ListCell   *lc;

	if (stmt->replace)
		refuse_statement("CREATE OR REPLACE VIEW", "Drop the view and create it again.");
	if (stmt->view->relpersistence == RELPERSISTENCE_TEMP)
		refuse_statement("TEMPORARY", "Workers cannot see temporary views. Leave TEMPORARY out.");
	if (stmt->withCheckOption != NO_CHECK_OPTION)
		refuse_statement("WITH CHECK OPTION",
						 "Nobody can write to a continuous view. Leave the clause out.");

	foreach(lc, stmt->options)
	{
		DefElem    *def = lfirst(lc);

		if (def->defnamespace == NULL && strcmp(def->defname, "check_option") == 0)
			refuse_statement("the option \"check_option\"",
							 "Nobody can write to a continuous view. Leave the option out.");
		if (def->defnamespace == NULL && strcmp(def->defname, "security_invoker") == 0)
			refuse_statement("the option \"security_invoker\"",
							 "The query runs with the rights of the view's owner. Use GRANT to say who may read its result.");
	}
}

void
streaming_refuse_replace(ViewStmt *stmt)
{
	Oid			relid = RangeVarGetRelid(stmt->view, NoLock, true);
	StreamingView *view;

	/* pg_dump makes a view in two steps, the second of which replaces it */
	if (OidIsValid(relid) &&
		(view = streaming_catalog_view(relid, true)) != NULL && !view->restored)
		refuse_statement("CREATE OR REPLACE VIEW", "Drop the view and create it again.");
}

/* ---------------------------------------------------------------------------
 * The parts
 * ---------------------------------------------------------------------------
 */

/* The tables (of Oid) that names say, which query reads; or, by "all", all that it reads. */
static List *
find_followed(Query *query, List *names)
{
	List	   *read = streaming_ordinary_tables(query);
	List	   *tables = NIL;
	ListCell   *lc;

	if (list_length(names) == 1 && pg_strcasecmp(linitial(names), "all") == 0)
		return read;
	foreach(lc, names)
	{
		RangeVar   *name = makeRangeVarFromNameList(streaming_qualified_names(lfirst(lc)));
		Oid			relid = RangeVarGetRelid(name, NoLock, false);
		StreamingSourceKind kind;

		if (!list_member_oid(read, relid))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for option \"%s.%s\": \"%s\"",
							STREAMING_OPTION_NAMESPACE, "follow", (char *) lfirst(lc)),
					 errdetail(streaming_is_stream(relid, &kind) || streaming_catalog_has_view(relid) ?
							   "It is followed anyway." :
							   "The query of the view does not read an ordinary table of that name."),
					 errhint("Valid values are \"all\" and names of tables of the query, separated by commas.")));
		tables = list_append_unique_oid(tables, relid);
	}
	return tables;
}

/*
 * If the view of users reads streams, or tables that it is to follow, by ordinary views,
 * it is made anew to read them itself.  Returns the tables (of Oid).
 */
static List *
expand_definition(Oid relid, List *follow)
{
	List	   *tables;
	Relation	rel = table_open(relid, AccessShareLock);
	Query	   *query = copyObject(get_view_query(rel));
	ViewStmt   *expanded = makeNode(ViewStmt);
	char	   *sql;
	int			guc_level;

	table_close(rel, NoLock);
	tables = find_followed(query, follow);
	CommandCounterIncrement();
	if (!streaming_expand_views(query, tables))
		return tables;
	guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_settings_write_exactly();
	sql = pg_get_querydef(query, false);
	expanded->view = makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
								  get_rel_name(relid), -1);
	expanded->query = (Node *) linitial_node(RawStmt, pg_parse_query(sql))->stmt;
	expanded->replace = true;
	DefineView(expanded, sql, 0, strlen(sql));
	AtEOXact_GUC(true, guc_level);
	CommandCounterIncrement();
	return tables;
}

/*
 * Makes the user's view and moves it to our schema; *namespace is where it was.  Finds the
 * tables of view, which are to be followed.
 */
static Oid
make_definition(ViewStmt *stmt, const char *sql, int location, int length,
				StreamingView *view, List *follow, Oid *namespace)
{
	ViewStmt   *plain = copyObject(stmt);
	ObjectAddresses *moved;
	Relation	rel;
	Oid			relid;

	plain->options = NIL;
	relid = DefineView(plain, sql, location, length).objectId;
	CommandCounterIncrement();
	view->tables = expand_definition(relid, follow);
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		refuse_statement("temporary tables and schemas", "Workers cannot see temporary objects.");
	*namespace = get_rel_namespace(relid);

	RenameRelationInternal(relid, streaming_definition_name(view->id), true, false);
	CommandCounterIncrement();
	moved = new_object_addresses();
	rel = table_open(relid, NoLock);
	AlterTableNamespaceInternal(rel, *namespace, streaming_internal_namespace(), moved);
	table_close(rel, NoLock);
	free_object_addresses(moved);
	CommandCounterIncrement();
	return relid;
}

/*
 * Batches of a view hold this lock: while we find out how to begin after it, and
 * until the others see that we do, it makes no step.  Who may not read it does
 * not stop it.
 */
static void
lock_upstream(Oid definition)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_inputs(definition))
	{
		if (streaming_follow_is_stream(lfirst_oid(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for foreign table %s", get_rel_name(lfirst_oid(lc))),
					 errdetail("It has the changes of a table that continuous views follow."),
					 errhint("Read the table, and name it in the option streaming.follow.")));
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_VIEW)
			continue;
		check_privilege(lfirst_oid(lc), ACL_SELECT);
		LockRelationOid(lfirst_oid(lc), ShareUpdateExclusiveLock);
	}
	AcceptInvalidationMessages();
}

/* Before the lock; what else an output mode needs is asked for when it is known. */
static void
check_sink_privileges(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (!OidIsValid(relid))
		return;
	check_privilege(relid, ACL_SELECT);
	check_privilege(relid, ACL_INSERT);
}

/*
 * The lock on the sink is kept: nobody else makes a view of the same sink until
 * we commit.
 */
static StreamingSinkSpec
open_sink(StreamingViewOptions *options)
{
	StreamingSinkSpec sink = {options->sink_kind};
	List	   *names;

	if (sink.kind == STREAMING_SINK_RELATION)
	{
		names = streaming_qualified_names(options->sink);
		sink.relid = RangeVarGetRelidExtended(makeRangeVarFromNameList(names),
											  ShareUpdateExclusiveLock, 0,
											  check_sink_privileges, NULL);
	}
	return sink;
}

/* Before anything is locked for it. */
static void
check_followed(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, view->tables)
		streaming_follow_check(lfirst_oid(lc), GetUserId());
}

/* What output mode complete writes is all there is in a table. */
static void
check_not_shared(Oid sink, StreamingOutputMode mode)
{
	StreamingSourceKind kind;
	ListCell   *lc;

	if (!OidIsValid(sink) || streaming_is_stream(sink, &kind))
		return;
	foreach(lc, streaming_catalog_views())
	{
		StreamingView *other = lfirst(lc);

		if (other->sink.relid == sink &&
			(mode == STREAMING_OUTPUT_COMPLETE || other->output_mode == STREAMING_OUTPUT_COMPLETE))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("sink \"%s\" is that of continuous view \"%s\" already",
							get_rel_name(sink), get_rel_name(other->view)),
					 errdetail("A view in output mode \"complete\" removes the rows of all others from its sink."),
					 errhint("Give each view a sink of its own, or use output mode \"append\" or \"update\" for both.")));
	}
}

static void
check_privilege(Oid relid, AclMode mode)
{
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), mode);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

/*
 * What the query joins is read with the owner's rights by the executor, which
 * checks them; streams are read by us.
 */
static void
check_privileges(StreamingViewSpec *spec, Oid sink)
{
	StreamingSourceKind kind;
	ListCell   *lc;

	foreach(lc, spec->streams)
		check_privilege(lfirst_oid(lc), ACL_SELECT);
	if (OidIsValid(sink))
	{
		check_privilege(sink, ACL_SELECT);
		check_privilege(sink, ACL_INSERT);
	}
	if (OidIsValid(sink) && spec->output_mode != STREAMING_OUTPUT_APPEND &&
		!streaming_is_stream(sink, &kind))
	{
		check_privilege(sink, ACL_UPDATE);
		check_privilege(sink, ACL_DELETE);
	}
}

/* Runs one DDL statement; returns the relation it makes, Invalid if none. */
static Oid
run_ddl(const char *sql)
{
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(sql));
	RangeVar   *made = NULL;

	if (IsA(raw->stmt, CreateStmt))
		made = ((CreateStmt *) raw->stmt)->relation;
	else if (IsA(raw->stmt, CreateForeignTableStmt))
		made = ((CreateForeignTableStmt *) raw->stmt)->base.relation;
	streaming_run_sql(sql);
	CommandCounterIncrement();
	return made ? RangeVarGetRelid(made, NoLock, false) : InvalidOid;
}

/* The view's own tables; nobody but the workers writes to them. */
static List *
make_tables(StreamingViewSpec *spec)
{
	StreamingOwnerRights rights;
	List	   *tables = NIL;
	ListCell   *lc;

	streaming_owner_rights_begin(&rights);
	foreach(lc, spec->tables)
	{
		Oid			relid = run_ddl(lfirst(lc));

		if (OidIsValid(relid))
			tables = lappend_oid(tables, relid);
	}
	foreach(lc, tables)
		streaming_internal_make_read_only(lfirst_oid(lc));
	streaming_owner_rights_end(&rights);
	return tables;
}

/* The view that keeps the functions that get the rows. */
static Oid
make_functions(StreamingViewOptions *options, StreamingView *view)
{
	Relation	definition = table_open(view->definition, AccessShareLock);
	Oid			relid = streaming_make_functions(options, view->id,
												 RelationGetDescr(definition));

	table_close(definition, NoLock);
	return relid;
}

/* What carries the changes of views that this one reads: a part of those. */
static void
make_change_streams(StreamingViewSpec *spec)
{
	for (int i = 0; i < list_length(spec->upstreams); i++)
	{
		StreamingOwnerRights rights;
		Oid			upstream = list_nth_oid(spec->upstreams, i);
		Oid			relid;

		streaming_owner_rights_begin(&rights);
		relid = run_ddl(list_nth(spec->change_streams, i));
		streaming_owner_rights_end(&rights);
		streaming_internal_adopt(relid, upstream);
		streaming_catalog_add_relation(upstream, list_nth(spec->change_stream_names, i));
		streaming_restore_keep(upstream);
	}
}

/* The view that users read, made by the user. */
static Oid
make_view(ViewStmt *stmt, Oid namespace, StreamingViewSpec *spec,
		  ProcessUtilityContext context, QueryCompletion *qc)
{
	ViewStmt   *final = makeNode(ViewStmt);
	int			guc_level = NewGUCNestLevel();

	final->view = makeRangeVar(get_namespace_name(namespace), stmt->view->relname, -1);
	final->query = (Node *) linitial_node(RawStmt, pg_parse_query(spec->view_query))->stmt;
	final->options = stmt->options;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_process_utility((Node *) final, spec->view_query, context, qc);
	AtEOXact_GUC(true, guc_level);
	CommandCounterIncrement();
	return get_relname_relid(stmt->view->relname, namespace);
}

/* Trigger of all that only workers write. */
Datum
streaming_refuse_write(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Oid			relid;
	Oid			view;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "refuse_write")));
	relid = RelationGetRelid(trigger->tg_relation);
	view = streaming_internal_root(relid);
	if (OidIsValid(view) && get_rel_relkind(view) != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(get_rel_relkind(view) == RELKIND_FOREIGN_TABLE ?
						"cannot change rows of stream \"%s\"" :
						"cannot change rows of the stream of changes of table \"%s\"",
						get_rel_name(view)),
				 errdetail("Rows leave a stream when its views have taken them.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot change continuous view \"%s\"",
					get_rel_name(OidIsValid(view) ? view : relid)),
			 errdetail("It shows the result of its query."),
			 errhint("Use streaming.reset to compute it anew.")));
	return (Datum) 0;
}

/* What a view reads whose rows have gone to its sink and are kept nowhere. */
Datum
streaming_no_result(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the continuous view keeps no rows that could be read"),
			 errdetail("Its sink is a function or the server log, and its rows are kept nowhere else."),
			 errhint("Read what the sink has made of them, or set streaming.output_mode to \"complete\".")));
	return (Datum) 0;
}

static void
tell_growth(ViewStmt *stmt, StreamingViewSpec *spec)
{
	if (spec->growth)
		ereport(NOTICE,
				(errmsg("nothing bounds the rows that continuous view \"%s\" keeps",
						stmt->view->relname),
				 errdetail("%s", spec->growth), errhint("%s", spec->growth_hint)));
}

/* Names of the relations that were made, with their indexes. */
static List *
names_of_relations(Oid definition, List *tables)
{
	List	   *names = list_make1(get_rel_name(definition));
	ListCell   *lc;
	ListCell   *index;

	foreach(lc, tables)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);

		names = lappend(names, get_rel_name(lfirst_oid(lc)));
		foreach(index, RelationGetIndexList(rel))
			names = lappend(names, get_rel_name(lfirst_oid(index)));
		table_close(rel, NoLock);
	}
	return names;
}
