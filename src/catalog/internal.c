/*
 * internal.c
 *		Relations in schema streaming_internal: parts of a view or a stream.
 *
 * A part depends on its whole by DEPENDENCY_INTERNAL.  So dropping the whole
 * drops it, dropping it alone is refused with the whole's name, and dropping
 * what it depends on (a stream, for the definition of a view) is a drop of the
 * whole: it needs CASCADE and its message names what the user knows.
 *
 * The stream of the changes of an ordinary table depends on it by DEPENDENCY_AUTO: DROP
 * EXTENSION must not take tables of users.
 *
 * Users need no rights on the schema but USAGE.  Parts belong to the extension's
 * owner, whoever owns the whole: to own a table or a view is to be able to put
 * rules, triggers, children, columns and indexes on it, and workers take what a
 * part holds for what they have written.  The owner of the whole may read its
 * tables, since the view that users read does so with his rights, statements of
 * batches do, and pg_dump does.  Nobody reads definition_<id> and sink_<id>: who
 * did would read with the rights of the extension's owner what the query names.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "base/depend.h"
#include "catalog/internal.h"
#include "catalog/object_name.h"
#include "catalog/view.h"

/* ---------------------------------------------------------------------------
 * Rights
 * ---------------------------------------------------------------------------
 */

void
streaming_owner_rights_begin(StreamingOwnerRights *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->security_context);
	saved->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(streaming_catalog_owner(),
						   saved->security_context | SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* state is updated in place: no access method but heap has been tried */
	(void) set_config_option("default_table_access_method", "heap", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
streaming_owner_rights_end(const StreamingOwnerRights *saved)
{
	AtEOXact_GUC(true, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->security_context);
}

void
streaming_run_sql(const char *sql)
{
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", sql, SPI_result_code_string(result));
	SPI_finish();
}

/* ---------------------------------------------------------------------------
 * Parts and wholes
 * ---------------------------------------------------------------------------
 */

/*
 * Relations that relid depends on (parts false: at most one) or that depend on
 * it, by DEPENDENCY_INTERNAL, the dependent being in our schema; also streams of the
 * changes of tables, by DEPENDENCY_AUTO.
 */
static List *
internal_dependencies(Oid relid, bool parts)
{
	Oid			namespace = streaming_internal_namespace();
	List	   *rows = parts ? streaming_dependents(RelationRelationId, relid) :
		streaming_dependencies(RelationRelationId, relid);
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, rows)
	{
		StreamingDependency *row = lfirst(lc);
		Oid			part = parts ? row->object : relid;

		if (row->class == RelationRelationId &&
			(row->type == DEPENDENCY_INTERNAL ||
			 (row->type == DEPENDENCY_AUTO && get_rel_relkind(part) == RELKIND_FOREIGN_TABLE)) &&
			OidIsValid(namespace) && get_rel_namespace(part) == namespace)
			result = list_append_unique_oid(result, row->object);
	}
	return result;
}

List *
streaming_internal_parts(Oid owner)
{
	return internal_dependencies(owner, true);
}

Oid
streaming_internal_whole(Oid relid)
{
	List	   *wholes = internal_dependencies(relid, false);

	return wholes ? linitial_oid(wholes) : InvalidOid;
}

Oid
streaming_internal_root(Oid relid)
{
	Oid			root = InvalidOid;
	Oid			whole;

	if (get_rel_namespace(relid) != streaming_internal_namespace())
		return InvalidOid;
	if (get_rel_relkind(relid) == RELKIND_INDEX)
		relid = IndexGetRelation(relid, true);
	while (OidIsValid(whole = streaming_internal_whole(relid)))
		root = relid = whole;
	return root;
}

/* ---------------------------------------------------------------------------
 * Who owns parts, who may read them
 * ---------------------------------------------------------------------------
 */

static char *
grantee_name(Oid role)
{
	return role == ACL_ID_PUBLIC ? "PUBLIC" :
		pstrdup(quote_identifier(GetUserNameFromId(role, false)));
}

/* What pg_class has; NULL: nobody but the owner has rights. */
static Acl *
relation_acl(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		isnull;
	Datum		datum;
	Acl		   *acl = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	datum = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		acl = DatumGetAclPCopy(datum);
	ReleaseSysCache(tuple);
	return acl;
}

/*
 * Takes all rights from everybody but the relation's owner, and gives reader, if
 * there is one, SELECT.  Rights come from ALTER DEFAULT PRIVILEGES, from an owner
 * before, and from dumps.
 */
static void
set_reader(Oid relid, bool any, Oid reader)
{
	StreamingOwnerRights rights;
	Oid			owner = streaming_relation_owner(relid, false);
	char	   *name = streaming_qualified_name(relid);
	Acl		   *acl = relation_acl(relid);
	bool		granted = !any || reader == owner;

	streaming_owner_rights_begin(&rights);
	for (int i = 0; acl && i < ACL_NUM(acl); i++)
	{
		AclItem    *item = &ACL_DAT(acl)[i];

		if (item->ai_grantee == owner)
			continue;
		if (!granted && item->ai_grantee == reader && item->ai_privs == ACL_SELECT)
			granted = true;
		else
			streaming_run_sql(psprintf("REVOKE ALL ON %s FROM %s CASCADE", name,
									   grantee_name(item->ai_grantee)));
	}
	if (!granted)
		streaming_run_sql(psprintf("GRANT SELECT ON %s TO %s", name, grantee_name(reader)));
	streaming_owner_rights_end(&rights);
	CommandCounterIncrement();
}

/*
 * A change stream gives rows only to batches, and asks there for the right to
 * read the view (fdw.c): so it need not be granted to those who come and go.
 */
void
streaming_internal_share(Oid relid)
{
	Oid			root = streaming_internal_root(relid);

	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
			set_reader(relid, OidIsValid(root), OidIsValid(root) ?
					   streaming_relation_owner(root, false) : InvalidOid);
			break;
		case RELKIND_FOREIGN_TABLE:
			set_reader(relid, true, ACL_ID_PUBLIC);
			break;
		default:
			set_reader(relid, false, InvalidOid);
			break;
	}
}

/*
 * What the columns of a part are made of, the view is made of, too.  DROP ... CASCADE
 * of that finds the newest first, and so the view with its parts, and not a column of
 * a part, which it could not remove once the part is gone.
 */
static void
depend_on_types(Oid relid, const ObjectAddress *view)
{
	Relation	rel = table_open(relid, AccessShareLock);
	ObjectAddresses *types = new_object_addresses();

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		ObjectAddress object;

		ObjectAddressSet(object, TypeRelationId, att->atttypid);
		if (!att->attisdropped && att->atttypid >= FirstNormalObjectId)
			add_exact_object_address(&object, types);
		ObjectAddressSet(object, CollationRelationId, att->attcollation);
		if (!att->attisdropped && att->attcollation >= FirstNormalObjectId)
			add_exact_object_address(&object, types);
	}
	table_close(rel, NoLock);
	record_object_address_dependencies(view, types, DEPENDENCY_NORMAL);
	free_object_addresses(types);
}

void
streaming_internal_adopt(Oid relid, Oid owner)
{
	ObjectAddress part;
	ObjectAddress whole;

	ObjectAddressSet(part, RelationRelationId, relid);
	ObjectAddressSet(whole, RelationRelationId, owner);
	if (streaming_internal_whole(relid) != owner)
	{
		recordDependencyOn(&part, &whole, get_rel_relkind(owner) == RELKIND_RELATION ?
						   DEPENDENCY_AUTO : DEPENDENCY_INTERNAL);
		if (get_rel_relkind(owner) == RELKIND_VIEW)
			depend_on_types(relid, &whole);
	}
	if (streaming_relation_owner(relid, false) != streaming_catalog_owner())
		ATExecChangeOwner(relid, streaming_catalog_owner(), true, AccessExclusiveLock);
	CommandCounterIncrement();
	streaming_internal_share(relid);
	if (get_rel_relkind(relid) == RELKIND_RELATION)
		streaming_internal_skip_statistics(relid);
	streaming_internal_owner_changed(relid);	/* a stream had parts before */
}

void
streaming_internal_skip_statistics(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	StreamingOwnerRights rights;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && att->atttypid >= FirstNormalObjectId)
			appendStringInfo(&buf, "%s ALTER COLUMN %s SET STATISTICS 0", buf.len ? "," : "",
							 quote_identifier(NameStr(att->attname)));
	}
	table_close(rel, NoLock);
	if (buf.len == 0)
		return;
	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("ALTER TABLE %s%s", streaming_qualified_name(relid), buf.data));
	streaming_owner_rights_end(&rights);
	CommandCounterIncrement();
}

/* All relations in our schema. */
static List *
internal_relations(void)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(streaming_internal_namespace()));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
		result = lappend_oid(result, ((Form_pg_class) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

void
streaming_internal_owner_changed(Oid relid)
{
	List	   *parts = OidIsValid(relid) ? streaming_internal_parts(relid) : internal_relations();
	ListCell   *lc;

	foreach(lc, parts)
	{
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_INDEX &&
			OidIsValid(streaming_internal_whole(lfirst_oid(lc))))
			streaming_internal_share(lfirst_oid(lc));
		if (OidIsValid(relid))
			streaming_internal_owner_changed(lfirst_oid(lc));
	}
}

/*
 * A view of one table can be written through, and the table itself by superusers
 * and who has pg_write_all_data.  The trigger fires for each statement; on a view
 * that takes one for each row besides, which never comes to fire.
 */
void
streaming_internal_make_read_only(Oid relid)
{
	StreamingOwnerRights rights;
	bool		is_view = get_rel_relkind(relid) == RELKIND_VIEW;

	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("CREATE TRIGGER read_only BEFORE INSERT OR UPDATE OR DELETE%s ON %s "
							   "FOR EACH STATEMENT EXECUTE FUNCTION %s.refuse_write()",
							   is_view ? "" : " OR TRUNCATE", streaming_qualified_name(relid),
							   STREAMING_INTERNAL_SCHEMA));
	if (is_view)
		streaming_run_sql(psprintf("CREATE TRIGGER read_only_rows INSTEAD OF INSERT OR UPDATE OR DELETE ON %s "
								   "FOR EACH ROW EXECUTE FUNCTION %s.refuse_write()",
								   streaming_qualified_name(relid), STREAMING_INTERNAL_SCHEMA));
	CommandCounterIncrement();
	streaming_owner_rights_end(&rights);
}

void
streaming_internal_truncate(List *relids)
{
	StreamingOwnerRights rights;
	StringInfoData buf;
	ListCell   *lc;

	if (relids == NIL)
		return;
	initStringInfo(&buf);
	foreach(lc, relids)
		appendStringInfo(&buf, "%s %s", buf.len == 0 ? "TRUNCATE" : ",",
						 streaming_qualified_name(lfirst_oid(lc)));
	streaming_owner_rights_begin(&rights);
	/* the triggers that keep users from doing so must not fire */
	(void) set_config_option("session_replication_role", "replica", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_run_sql(buf.data);
	streaming_owner_rights_end(&rights);
}

/*
 * Others may depend on a part, such as a column of its row type: nothing that
 * others make keeps us from dropping what is ours.
 */
void
streaming_internal_drop(Oid relid)
{
	ObjectAddress part;

	LockRelationOid(relid, AccessExclusiveLock);
	deleteDependencyRecordsForClass(RelationRelationId, relid, RelationRelationId,
									DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
	ObjectAddressSet(part, RelationRelationId, relid);
	performDeletion(&part, DROP_CASCADE, PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	CommandCounterIncrement();
}

/* Between streaming_owner_rights_begin and _end, or as they do? */
static bool
is_own_work(void)
{
	Oid			userid;
	int			security_context;

	GetUserIdAndSecContext(&userid, &security_context);
	return (security_context & SECURITY_LOCAL_USERID_CHANGE) != 0 &&
		userid == streaming_catalog_owner();
}

void
streaming_refuse_internal(Oid relid, const char *hint)
{
	Oid			root = streaming_internal_root(relid);

	if (!OidIsValid(root) || is_own_work())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot alter \"%s\", which belongs to \"%s\"",
					get_rel_name(relid), get_rel_name(root)),
			 hint ? errhint("%s", hint) : errhint("Alter \"%s\" instead.", get_rel_name(root))));
}
