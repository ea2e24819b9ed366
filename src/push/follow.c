/*
 * follow.c
 *		Makes and drops what captures the changes of ordinary tables.
 *
 * What is captured must be complete from the view's first batch on, which reads the
 * table itself, with the snapshot that its position in the stream of changes begins
 * with.  A transaction that this snapshot does not see has to have pushed all its
 * changes.  Therefore whoever makes the triggers, or lets them push a column more, has
 * waited for all who were writing, with the lock that CREATE TRIGGER takes; and the batch
 * comes after his commit.
 *
 * Triggers (follow_trigger.c):
 *
 *	of each INSERT, UPDATE, DELETE	with transition tables; in sessions as they are
 *	of each row		where session_replication_role is "replica": who applies what
 *					logical replication brings fires no triggers of statements
 *	before TRUNCATE	always
 *
 * They are internal ones, which pg_dump does not take, and depend on the stream, so that
 * nobody drops them alone.  Only superusers can disable them, or enable them elsewhere, and
 * are refused.
 *
 * The rows are written without asking for rights of who changes the table.  Who follows
 * it needs the rights to read it and, since he makes its writers work, to put triggers on
 * it; and no policy may hide rows from him, which are in the stream, all of them.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "base/attempt.h"
#include "base/depend.h"
#include "catalog/view.h"
#include "catalog/internal.h"
#include "push/follow.h"
#include "catalog/object_name.h"
#include "push/source_push.h"

#define LOCK_WAIT			"1s"	/* at most for each lock on a part of a capture */

static bool has_columns(Oid stream, Oid table, List *columns);
static Oid	make_stream(Oid table, List *columns);
static void adapt_stream(Oid stream, Oid table, List *columns);

/* ---------------------------------------------------------------------------
 * The stream of a table's changes
 * ---------------------------------------------------------------------------
 */

static char *
stream_name(Oid table)
{
	return psprintf("follow_%u_%u", streaming_catalog_token(), table);
}

/* What pg_upgrade or a dump has brought belongs to no table, and is none. */
Oid
streaming_follow_stream(Oid table)
{
	Oid			stream = get_relname_relid(stream_name(table), streaming_internal_namespace());

	return OidIsValid(stream) && streaming_internal_whole(stream) == table ? stream : InvalidOid;
}

bool
streaming_follow_is_stream(Oid stream)
{
	return get_rel_relkind(stream) == RELKIND_FOREIGN_TABLE &&
		get_rel_namespace(stream) == streaming_internal_namespace() &&
		strncmp(get_rel_name(stream), "follow_", strlen("follow_")) == 0;
}

/* A column whose type has been changed is captured no more; no view reads it then. */
AttrNumber
streaming_follow_column(Relation stream, Form_pg_attribute att)
{
	TupleDesc	desc = RelationGetDescr(stream);
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "c%d", att->attnum);
	for (int i = STREAMING_FOLLOW_SIGN; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
			return !att->attisdropped && column->atttypid == att->atttypid ? column->attnum : 0;
	}
	return 0;
}

/* Numbers of the columns of table that the query of definition reads, as pg_depend has them. */
static List *
columns_read(Oid table, Oid definition)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, streaming_query_dependencies(definition))
	{
		StreamingDependency *named = lfirst(lc);

		if (named->class == RelationRelationId && named->object == table && named->column > 0)
			columns = list_append_unique_int(columns, named->column);
	}
	list_sort(columns, list_int_cmp);
	return columns;
}

static bool
has_columns(Oid stream, Oid table, List *columns)
{
	Relation	changes;
	Relation	rel;
	bool		has = true;
	ListCell   *lc;

	if (!OidIsValid(stream))
		return false;
	changes = table_open(stream, AccessShareLock);
	rel = table_open(table, NoLock);
	foreach(lc, columns)
		has &= streaming_follow_column(changes, TupleDescAttr(RelationGetDescr(rel),
															  lfirst_int(lc) - 1)) > 0;
	table_close(rel, NoLock);
	table_close(changes, AccessShareLock);
	return has;
}

void
streaming_follow_check_captured(Oid table, Oid definition)
{
	if (!has_columns(streaming_follow_stream(table), table, columns_read(table, definition)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("changes of table \"%s\" are not captured", get_rel_name(table)),
				 errhint("Drop the view and create it again.")));
}

/* A view that needs stream; NULL: there is none. */
static char *
follower_name(Oid stream)
{
	ListCell   *lc;

	foreach(lc, streaming_dependents(RelationRelationId, stream))
	{
		StreamingDependency *dependent = lfirst(lc);
		Oid			view;

		if (dependent->class != RelationRelationId || dependent->type != DEPENDENCY_NORMAL)
			continue;
		view = streaming_internal_whole(dependent->object);
		return get_rel_name(OidIsValid(view) ? view : dependent->object);
	}
	return NULL;
}

bool
streaming_follow_is_needed(Oid stream)
{
	return follower_name(stream) != NULL;
}

/* ---------------------------------------------------------------------------
 * What can be followed, and by whom
 * ---------------------------------------------------------------------------
 */

static void
refuse_policies(Oid table, Oid user)
{
	if (check_enable_rls(table, user, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views cannot follow table \"%s\"", get_rel_name(table)),
				 errdetail("Row-level security hides rows of it from role \"%s\".",
						   GetUserNameFromId(user, false)),
				 errhint("Let a role that has BYPASSRLS, or owns the table, own the view; or leave the table out of streaming.follow.")));
}

void
streaming_follow_check(Oid table, Oid user)
{
	AclMode		rights = ACL_SELECT | ACL_TRIGGER;

	if (pg_class_aclmask(table, user, rights, ACLMASK_ALL) != rights)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(table)),
				 errdetail("To follow a table takes the privileges SELECT and TRIGGER on it.")));
	streaming_follow_check_kind(table);
	refuse_policies(table, user);
}

void
streaming_follow_check_reader(Oid relid, Oid user)
{
	AclResult	result = pg_class_aclcheck(relid, user, ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	refuse_policies(relid, user);
}

/* ---------------------------------------------------------------------------
 * Captures
 * ---------------------------------------------------------------------------
 */

/* The definition is gone before the stream may be. */
static void
need_stream(Oid definition, Oid stream)
{
	ObjectAddress dependent;
	ObjectAddress needed;

	ObjectAddressSet(dependent, RelationRelationId, definition);
	ObjectAddressSet(needed, RelationRelationId, stream);
	recordDependencyOn(&dependent, &needed, DEPENDENCY_NORMAL);
	CommandCounterIncrement();
}

/*
 * What is there already is not dropped before we commit: for that the coordinator takes a
 * lock on the table that excludes ours.
 */
void
streaming_follow_capture(Oid table, Oid definition, Oid user)
{
	List	   *columns;
	Oid			stream;

	streaming_follow_check(table, user);
	LockRelationOid(table, AccessShareLock);
	columns = columns_read(table, definition);
	stream = streaming_follow_stream(table);
	if (!has_columns(stream, table, columns))
	{
		StreamingOwnerRights rights;

		LockRelationOid(table, ShareRowExclusiveLock);
		(void) streaming_follow_members(table, ShareRowExclusiveLock);
		AcceptInvalidationMessages();
		streaming_follow_check_kind(table);
		stream = streaming_follow_stream(table);
		streaming_owner_rights_begin(&rights);
		if (!OidIsValid(stream))
			stream = make_stream(table, columns);
		else if (!has_columns(stream, table, columns))
			adapt_stream(stream, table, columns);
		streaming_owner_rights_end(&rights);
	}
	need_stream(definition, stream);
}

static void
append_column(StringInfo buf, Oid table, AttrNumber attnum)
{
	Relation	rel = table_open(table, NoLock);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	if (att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		streaming_follow_refuse(table, psprintf("Column \"%s\" is a virtual generated column, which is not stored.",
									 NameStr(att->attname)),
					 "Write the expression into the query, or make the column STORED.");
	appendStringInfo(buf, "c%d %s", attnum,
					 format_type_extended(att->atttypid, att->atttypmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	if (OidIsValid(att->attcollation) && att->attcollation != get_typcollation(att->atttypid))
		appendStringInfo(buf, " COLLATE %s", streaming_collation_name(att->attcollation));
	table_close(rel, NoLock);
}

static Oid
make_stream(Oid table, List *columns)
{
	char	   *name = stream_name(table);
	Oid			namespace = streaming_internal_namespace();
	Oid			stream = get_relname_relid(name, namespace);
	StringInfoData buf;
	ListCell   *lc;

	if (OidIsValid(stream))
		streaming_internal_drop(stream);
	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE FOREIGN TABLE %s.%s (\"$sign\" pg_catalog.int2",
					 STREAMING_INTERNAL_SCHEMA, name);
	foreach(lc, columns)
	{
		appendStringInfoString(&buf, ", ");
		append_column(&buf, table, lfirst_int(lc));
	}
	appendStringInfoString(&buf, ") SERVER streaming");
	streaming_run_sql(buf.data);
	CommandCounterIncrement();
	stream = get_relname_relid(name, namespace);
	streaming_internal_adopt(stream, table);
	streaming_follow_make_triggers(table, stream);
	return stream;
}

/* Views that are there read no column that is not captured yet, or had another type. */
static void
adapt_stream(Oid stream, Oid table, List *columns)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "ALTER FOREIGN TABLE %s", streaming_qualified_name(stream));
	foreach(lc, columns)
	{
		int			attnum = lfirst_int(lc);

		if (has_columns(stream, table, list_make1_int(attnum)))
			continue;
		if (get_attnum(stream, psprintf("c%d", attnum)) != InvalidAttrNumber)
			appendStringInfo(&buf, " DROP COLUMN c%d,", attnum);
		appendStringInfoString(&buf, " ADD COLUMN ");
		append_column(&buf, table, attnum);
		appendStringInfoChar(&buf, ',');
	}
	buf.data[--buf.len] = '\0';
	streaming_run_sql(buf.data);
	CommandCounterIncrement();
}

/* False: somebody has the table locked. */
static bool
release(Oid table, Oid stream)
{
	ListCell   *lc;

	foreach(lc, streaming_follow_members(table, NoLock))
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessExclusiveLock))
			return false;
	}
	AcceptInvalidationMessages();
	if (streaming_follow_stream(table) == stream && follower_name(stream) == NULL)
		streaming_internal_drop(stream);
	return true;
}

/* A streaming_attempt: sets *arg, a bool, if somebody has a table locked. */
static void
release_all(void *arg)
{
	bool	   *locked = arg;
	ListCell   *lc;

	foreach(lc, streaming_push_streams())
	{
		Oid			stream = lfirst_oid(lc);
		Oid			table;

		if (!streaming_follow_is_stream(stream) ||
			!OidIsValid(table = streaming_internal_whole(stream)) ||
			follower_name(stream) != NULL)
			continue;
		*locked |= !release(table, stream);
	}
}

bool
streaming_follow_release(void)
{
	bool		locked = false;
	int			guc_level = NewGUCNestLevel();
	ErrorData  *error;

	(void) set_config_option("lock_timeout", LOCK_WAIT, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	error = streaming_attempt(release_all, &locked, CurrentMemoryContext);
	AtEOXact_GUC(error == NULL, guc_level);
	if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ereport(WARNING,
				(errmsg("could not drop what captures changes of tables: %s", error->message)));
	return locked || (error && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE);
}

/* ---------------------------------------------------------------------------
 * ALTER TABLE of what is followed
 * ---------------------------------------------------------------------------
 */

/*
 * The first view that follows relid, or what it is a partition of; NULL: none does, or the
 * user has no say there.
 */
static char *
follower_of(Oid relid)
{
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';
	Oid			stream;

	if ((relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) ||
		!object_ownercheck(RelationRelationId, relid, GetUserId()))
		return NULL;
	stream = streaming_follow_stream(streaming_follow_root(relid));
	return OidIsValid(stream) ? follower_name(stream) : NULL;
}

static void
refuse_alter(Oid relid, const char *what, const char *hint)
{
	char	   *view = follower_of(relid);

	if (view)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot %s \"%s\" because continuous view \"%s\" follows it", what,
						get_rel_name(relid), view),
				 errhint("%s", hint)));
}

#define HINT_DROP "Drop the view, make the change, and create the view again as streaming.viewdef shows it."

void
streaming_follow_refuse_child(Oid relid)
{
	if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		return;
	refuse_alter(relid, "let a table inherit from", HINT_DROP);
}

/*
 * What it brings appears to readers of the table by its commit, and to views by the stream.
 * Who reads the table to begin with is kept out, see follow_tables.c.
 */
static void
check_attach(Oid relid, PartitionCmd *cmd)
{
	refuse_alter(RangeVarGetRelid(cmd->name, NoLock, true), "change the parents or children of",
				 HINT_DROP);
	if (follower_of(relid))
		LockRelationOid(relid, AccessExclusiveLock);
}

/* Is it one of ours, whatever it is called by now? */
static bool
is_capture_trigger(Oid relid, const char *name)
{
	Oid			stream = streaming_follow_stream(streaming_follow_root(relid));

	return list_member_oid(streaming_follow_triggers(relid, stream),
						   get_trigger_oid(relid, name, true));
}

static void
check_trigger(Oid relid, const char *name)
{
	if (follower_of(relid) == NULL)
		return;
	LockRelationOid(relid, AccessShareLock);
	if (name == NULL || is_capture_trigger(relid, name))
		refuse_alter(relid, name ? "change a trigger of" : "change all triggers of",
					 name ? "Leave that trigger as it is." :
					 "Say USER, or name triggers, instead of ALL; or set session_replication_role to \"replica\".");
}

void
streaming_follow_check_trigger(Oid relid, const char *name)
{
	check_trigger(relid, name);
}

/* Does the stream have the column? */
static bool
is_captured(Oid relid, const char *column)
{
	Oid			root = streaming_follow_root(relid);
	Oid			stream = streaming_follow_stream(root);
	AttrNumber	attnum = get_attnum(root, column);

	return OidIsValid(stream) && attnum > 0 &&
		get_attnum(stream, psprintf("c%d", attnum)) != InvalidAttrNumber;
}

void
streaming_follow_check_alter(Oid relid, const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		RangeVar   *other = NULL;

		switch (cmd->subtype)
		{
			case AT_AddInherit:
				refuse_alter(relid, "change the parents of", HINT_DROP);
				other = (RangeVar *) cmd->def;
				break;
			case AT_AttachPartition:
				check_attach(relid, (PartitionCmd *) cmd->def);
				break;
			case AT_DetachPartition:
				if (((PartitionCmd *) cmd->def)->concurrent)
					refuse_alter(relid, "detach a partition concurrently from",
								 "Say DETACH PARTITION without CONCURRENTLY.");
				break;
			case AT_SetUnLogged:
				refuse_alter(relid, "change the persistence of", HINT_DROP);
				break;
			case AT_EnableTrig:
			case AT_EnableAlwaysTrig:
			case AT_EnableReplicaTrig:
			case AT_DisableTrig:
				check_trigger(relid, cmd->name);
				break;
			case AT_EnableTrigAll:
			case AT_DisableTrigAll:
				check_trigger(relid, NULL);
				break;
			default:
				if (streaming_sets_expression(cmd) && is_captured(relid, cmd->name))
					refuse_alter(relid, "change the expression of a column of", HINT_DROP);
				break;
		}
		if (other)
			refuse_alter(RangeVarGetRelid(other, NoLock, true), "change the parents or children of",
						 HINT_DROP);
	}
}
