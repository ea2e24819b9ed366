/*
 * utility.c
 *		Hooks: looks at each utility statement, at each dropped object, and at
 *		columns that come and go, and hands those that concern streams and
 *		continuous views to the file of the command.
 *
 * Most statements are PostgreSQL's; what we do before and after them stands in
 * two switches here, what we refuse in parts.c.  Tables are looked up only for
 * the statements named there: others come also in transactions that have failed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"	/* get_database_oid since 19 */
#include "catalog/pg_extension.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"	/* get_database_oid before */
#include "commands/defrem.h"
#include "commands/extension.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "shared/notify.h"
#include "push/follow.h"
#include "worker/worker.h"
#include "command/command.h"

static ProcessUtility_hook_type next_utility = NULL;
static object_access_hook_type next_object_access = NULL;

static void utility_hook(PlannedStmt *pstmt, const char *sql, bool read_only_tree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc);
static void object_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *arg);

void
streaming_command_init(void)
{
	next_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = utility_hook;
	next_object_access = object_access_hook;
	object_access_hook = object_access;
}

void
streaming_process_utility(Node *stmt, const char *sql, ProcessUtilityContext context,
						  QueryCompletion *qc)
{
	PlannedStmt *pstmt = makeNode(PlannedStmt);

	pstmt->commandType = CMD_UTILITY;
	pstmt->canSetTag = false;
	pstmt->utilityStmt = stmt;
	next_utility(pstmt, sql, false, context, NULL, NULL, None_Receiver, qc);
}

/* ---------------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------------
 */

static Oid
find_relation(RangeVar *name)
{
	return name ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
}

static bool
changes_owner(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_ChangeOwner)
			return true;
	}
	return false;
}

static bool
changes_options(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_GenericOptions)
			return true;
	}
	return false;
}

static void
leave_database(const char *name)
{
	Oid			dboid = get_database_oid(name, true);

	if (OidIsValid(dboid))
		streaming_workers_leave_database(dboid);
}

static void
leave_template(CreatedbStmt *stmt)
{
	const char *template = "template1";
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, "template") == 0 && def->arg)
			template = defGetString(def);
	}
	leave_database(template);
}

static void
leave_altered_database(AlterDatabaseStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, "tablespace") == 0)
			leave_database(stmt->dbname);
	}
}

/* Is relid in one of our schemas? */
static bool
is_ours(Oid relid)
{
	Oid			namespace = get_rel_namespace(relid);

	return namespace == streaming_internal_namespace() ||
		namespace == streaming_catalog_namespace();
}

/*
 * Something has changed that concerns a server, which many may do who have
 * nothing to do with streams.
 */
static void
notify_server(const char *name)
{
	ForeignServer *server = streaming_is_installed() ? GetForeignServerByName(name, true) : NULL;

	if (server && streaming_wrapper_kind(server->fdwid, NULL))
		streaming_workers_notify();
}

static void
user_mapping_dropped(Oid mapping)
{
	HeapTuple	tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(mapping));
	ForeignServer *server = NULL;

	if (HeapTupleIsValid(tuple))
	{
		server = GetForeignServerExtended(((Form_pg_user_mapping) GETSTRUCT(tuple))->umserver,
										  FSV_MISSING_OK);
		ReleaseSysCache(tuple);
	}
	if (server && streaming_wrapper_kind(server->fdwid, NULL))
		streaming_workers_notify();
}

/* What PostgreSQL itself would refuse, but for another reason than ours. */
static void
refuse_on_view(const RangeVar *name, const char *what, const char *hint)
{
	Oid			relid = streaming_is_installed() ? find_relation((RangeVar *) name) : InvalidOid;

	if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_VIEW &&
		streaming_catalog_has_view(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot %s continuous view \"%s\"", what, get_rel_name(relid)),
				 errdetail("It shows the result of its query."),
				 errhint("%s", hint)));
}

/* Checks; returns the relation that stmt is about to change, if any. */
static Oid
before(Node *stmt)
{
	Oid			relid = InvalidOid;
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			leave_database(((DropdbStmt *) stmt)->dbname);
			break;
		case T_CreatedbStmt:
			leave_template((CreatedbStmt *) stmt);
			break;
		case T_AlterDatabaseStmt:
			leave_altered_database((AlterDatabaseStmt *) stmt);
			break;
		case T_TruncateStmt:
			foreach(lc, ((TruncateStmt *) stmt)->relations)
				refuse_on_view(lfirst(lc), "truncate",
							   "Use streaming.reset to compute it anew, from what its sources hold now.");
			break;
		case T_CopyStmt:
			if (((CopyStmt *) stmt)->is_from)
				refuse_on_view(((CopyStmt *) stmt)->relation, "copy to",
							   "Copy to a stream that its query reads.");
			break;
		case T_RefreshMatViewStmt:
			refuse_on_view(((RefreshMatViewStmt *) stmt)->relation, "refresh",
						   "It is kept up to date. Use streaming.drain to wait until it shows all that has arrived, or streaming.reset to compute it anew.");
			break;
		case T_AlterTableStmt:
			relid = streaming_is_installed() ? find_relation(((AlterTableStmt *) stmt)->relation) : InvalidOid;
			if (OidIsValid(relid))
			{
				streaming_refuse_column_type(relid, (AlterTableStmt *) stmt);
				streaming_refuse_change_options(relid, (AlterTableStmt *) stmt);
			}
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				leave_database(((RenameStmt *) stmt)->subname);
			else
				relid = streaming_is_installed() ? find_relation(((RenameStmt *) stmt)->relation) : InvalidOid;
			break;
		default:
			break;
	}
	return relid;
}

/* After ALTER TABLE of relid, of which partitions may be followed tables'. */
static void
partitions_altered(Oid relid, AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DetachPartition)
			streaming_follow_detached(relid, find_relation(((PartitionCmd *) cmd->def)->name));
	}
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		streaming_follow_partitions_changed(relid);
}

/* relid: what before returned; restricted: of streaming_owner_changing */
static void
after(Node *stmt, Oid relid, bool owner_changed, List *restricted)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			if (((CreateStmt *) stmt)->partbound && streaming_is_installed())
				streaming_follow_partitions_changed(find_relation(((CreateStmt *) stmt)->relation));
			break;
		case T_CreateForeignTableStmt:
			relid = find_relation(((CreateForeignTableStmt *) stmt)->base.relation);
			if (((CreateForeignTableStmt *) stmt)->base.partbound && streaming_is_installed())
				streaming_follow_partitions_changed(relid);
			pg_fallthrough;
		case T_AlterTableStmt:
		case T_RenameStmt:
			if (OidIsValid(relid) && streaming_is_installed())
				streaming_check_relation(relid, stmt);
			if (OidIsValid(relid) && IsA(stmt, AlterTableStmt) && streaming_is_installed())
				partitions_altered(relid, (AlterTableStmt *) stmt);
			if (OidIsValid(relid) && is_ours(relid))
				streaming_workers_notify();
			if (OidIsValid(relid) && owner_changed)
				streaming_owner_changed(relid, restricted);
			if (OidIsValid(relid) && (IsA(stmt, CreateForeignTableStmt) ||
									  (IsA(stmt, AlterTableStmt) &&
									   changes_options((AlterTableStmt *) stmt))))
				streaming_check_stream_reachable(relid);
			break;
		case T_CreateForeignServerStmt:
			streaming_check_server_reachable(((CreateForeignServerStmt *) stmt)->servername);
			break;
		case T_ReassignOwnedStmt:
			if (streaming_is_installed())
				streaming_owner_changed(InvalidOid, restricted);
			break;
		case T_CreateExtensionStmt:
			if (strcmp(((CreateExtensionStmt *) stmt)->extname, "streaming") == 0)
				streaming_workers_notify();
			break;
		case T_AlterForeignServerStmt:
			notify_server(((AlterForeignServerStmt *) stmt)->servername);
			if (((AlterForeignServerStmt *) stmt)->options)
				streaming_check_server_reachable(((AlterForeignServerStmt *) stmt)->servername);
			break;
		case T_CreateUserMappingStmt:
			notify_server(((CreateUserMappingStmt *) stmt)->servername);
			break;
		case T_AlterUserMappingStmt:
			notify_server(((AlterUserMappingStmt *) stmt)->servername);
			break;
		case T_DropUserMappingStmt:
			notify_server(((DropUserMappingStmt *) stmt)->servername);
			break;
		case T_ViewStmt:		/* pg_restore completes what it restores ... */
			relid = streaming_is_installed() ? find_relation(((ViewStmt *) stmt)->view) : InvalidOid;
			if (OidIsValid(relid) && streaming_catalog_has_view(relid))
				streaming_workers_notify();
			break;
		case T_IndexStmt:		/* ... with these two */
			relid = streaming_is_installed() ? find_relation(((IndexStmt *) stmt)->relation) : InvalidOid;
			if (OidIsValid(relid) && is_ours(relid))
				streaming_workers_notify();
			break;
		case T_AlterEnumStmt:
			if (streaming_is_installed())
				streaming_enum_altered((AlterEnumStmt *) stmt);
			break;
		case T_CreatePublicationStmt:
		case T_AlterPublicationStmt:
			if (streaming_is_installed())
				streaming_check_publication(stmt);
			break;
		case T_RefreshMatViewStmt:	/* and ends with this one */
			if (streaming_restore_is_marker(((RefreshMatViewStmt *) stmt)->relation))
				streaming_workers_notify();
			break;
		default:
			break;
	}
}

static void
utility_hook(PlannedStmt *pstmt, const char *sql, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params,
			 QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;
	Oid			relid;
	bool		owner_changed;
	bool		more;
	List	   *restricted = NIL;

	if (IsA(stmt, ViewStmt) && streaming_has_view_options(((ViewStmt *) stmt)->options))
	{
		streaming_create_view(copyObject((ViewStmt *) stmt), sql, pstmt->stmt_location,
							  pstmt->stmt_len, context, qc);
		streaming_check_view_reachable(find_relation(((ViewStmt *) stmt)->view));
		return;
	}
	if (IsA(stmt, AlterTableStmt) && streaming_alters_view_options((AlterTableStmt *) stmt))
	{
		pstmt = copyObject(pstmt);
		stmt = pstmt->utilityStmt;
		more = streaming_alter_view_options((AlterTableStmt *) stmt);
		streaming_check_view_reachable(find_relation(((AlterTableStmt *) stmt)->relation));
		if (!more)
			return;
	}

	if (IsA(stmt, CreateTableAsStmt) &&
		streaming_restore_begin(((CreateTableAsStmt *) stmt)->into->rel))
		return;
	pstmt = streaming_run_on_indexes(pstmt, sql, context, qc);
	if (pstmt == NULL)
		return;
	stmt = pstmt->utilityStmt;

	streaming_check_statement(stmt);
	relid = before(stmt);
	owner_changed = IsA(stmt, AlterTableStmt) && changes_owner((AlterTableStmt *) stmt);
	if ((owner_changed || IsA(stmt, ReassignOwnedStmt)) && streaming_is_installed())
		restricted = streaming_owner_changing();
	next_utility(pstmt, sql, read_only_tree, context, params, env, dest, qc);
	after(stmt, relid, owner_changed, restricted);
}

/* ---------------------------------------------------------------------------
 * Objects
 * ---------------------------------------------------------------------------
 */

static void
object_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *arg)
{
	StreamingSourceKind kind;

	if (next_object_access)
		next_object_access(access, classid, objid, subid, arg);
	if (access != OAT_DROP && access != OAT_POST_CREATE && access != OAT_POST_ALTER)
		return;
	if (!streaming_is_installed())
		return;
	if (classid == RelationRelationId && subid > 0 && access == OAT_POST_ALTER)
		streaming_column_altered(objid, subid);
	else if (classid == RelationRelationId && subid > 0)
		streaming_row_type_changed(objid);
	if (access != OAT_DROP)
		return;

	switch (classid)
	{
		case TriggerRelationId:
			streaming_follow_trigger_dropped(objid);
			break;
		case RelationRelationId:
			if (subid == 0)
				streaming_relation_dropped(objid);
			else if (streaming_is_stream(objid, &kind))
				streaming_workers_notify();
			break;
		case ExtensionRelationId:
			if (strcmp(get_extension_name(objid), "streaming") == 0)
				streaming_workers_notify();
			break;
		case UserMappingRelationId:
			user_mapping_dropped(objid);
			break;
		default:
			break;
	}
}
