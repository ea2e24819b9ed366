/*
 * utility.c
 *		Hooks: looks at each utility statement and at each dropped object, and
 *		hands those that concern streams and continuous views to the file of the
 *		command.
 *
 * Most statements are PostgreSQL's; what we do before and after them stands in
 * two switches here, what we refuse in parts.c.  Tables are looked up only for
 * the statements named there: others come also in transactions that have failed.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "streaming.h"
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

static bool
is_installed(void)
{
	return OidIsValid(streaming_internal_namespace());
}

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

/* Returns the relation that stmt is about to change, if any. */
static Oid
before(Node *stmt)
{
	Oid			relid = InvalidOid;

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
		case T_AlterTableStmt:
			relid = is_installed() ? find_relation(((AlterTableStmt *) stmt)->relation) : InvalidOid;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				leave_database(((RenameStmt *) stmt)->subname);
			else
				relid = is_installed() ? find_relation(((RenameStmt *) stmt)->relation) : InvalidOid;
			break;
		default:
			break;
	}
	return relid;
}

/* relid: what before returned */
static void
after(Node *stmt, Oid relid, bool owner_changed)
{
	switch (nodeTag(stmt))
	{
		case T_CreateForeignTableStmt:
			relid = find_relation(((CreateForeignTableStmt *) stmt)->base.relation);
			/* FALLTHROUGH */
		case T_AlterTableStmt:
		case T_RenameStmt:
			if (OidIsValid(relid) && is_installed())
				streaming_check_relation(relid);
			if (OidIsValid(relid) && owner_changed)
				streaming_owner_changed(relid);
			break;
		case T_ReassignOwnedStmt:
			if (is_installed())
				streaming_owner_changed(InvalidOid);
			break;
		case T_CreateExtensionStmt:
			if (strcmp(((CreateExtensionStmt *) stmt)->extname, "streaming") == 0)
				streaming_workers_notify();
			break;
		case T_AlterForeignServerStmt:
		case T_CreateUserMappingStmt:
		case T_AlterUserMappingStmt:
		case T_DropUserMappingStmt:
		case T_ViewStmt:		/* pg_restore completes what it restores ... */
		case T_IndexStmt:		/* ... with these two */
			if (is_installed())
				streaming_workers_notify();
			break;
		case T_CreatePublicationStmt:
		case T_AlterPublicationStmt:
			if (is_installed())
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

	if (IsA(stmt, ViewStmt) && streaming_has_view_options(((ViewStmt *) stmt)->options))
	{
		streaming_create_view(copyObject((ViewStmt *) stmt), sql, pstmt->stmt_location,
							  pstmt->stmt_len, context, qc);
		return;
	}
	if (IsA(stmt, AlterTableStmt) && streaming_alters_view_options((AlterTableStmt *) stmt))
	{
		pstmt = copyObject(pstmt);
		stmt = pstmt->utilityStmt;
		if (!streaming_alter_view_options((AlterTableStmt *) stmt))
			return;
	}

	streaming_check_statement(stmt);
	relid = before(stmt);
	owner_changed = IsA(stmt, AlterTableStmt) && changes_owner((AlterTableStmt *) stmt);
	next_utility(pstmt, sql, read_only_tree, context, params, env, dest, qc);
	after(stmt, relid, owner_changed);
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
	if (access != OAT_DROP || !is_installed())
		return;

	switch (classid)
	{
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
			streaming_workers_notify();
			break;
		default:
			break;
	}
}
