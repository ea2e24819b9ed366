/*
 * internal.c
 *		Relations in schema streaming_internal: parts of a view or a stream.
 *
 * A part depends on its whole by DEPENDENCY_INTERNAL.  So dropping the whole
 * drops it, dropping it alone is refused with the whole's name, and dropping
 * what it depends on (a stream, for the definition of a view) is a drop of the
 * whole: it needs CASCADE and its message names what the user knows.
 *
 * Users need no rights on the schema but USAGE.  Parts are made with the
 * rights of the extension's owner and then given to the owner of the whole.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "command/command.h"

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
 * it, by DEPENDENCY_INTERNAL, the dependent being in our schema.
 */
static List *
internal_dependencies(Oid relid, bool parts)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	Oid			namespace = streaming_internal_namespace();
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&keys[0], parts ? Anum_pg_depend_refclassid : Anum_pg_depend_classid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], parts ? Anum_pg_depend_refobjid : Anum_pg_depend_objid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(depend,
							  parts ? DependReferenceIndexId : DependDependerIndexId,
							  true, NULL, 2, keys);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		if (row->deptype == DEPENDENCY_INTERNAL &&
			row->classid == RelationRelationId && row->refclassid == RelationRelationId &&
			OidIsValid(namespace) && get_rel_namespace(row->objid) == namespace)
			result = list_append_unique_oid(result, parts ? row->objid : row->refobjid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
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

/* Command counter is incremented. */
static void
change_owner(Oid relid, Oid owner)
{
	if (streaming_relation_owner(relid, false) != owner)
		ATExecChangeOwner(relid, owner, true, AccessExclusiveLock);
	CommandCounterIncrement();
}

void
streaming_internal_adopt(Oid relid, Oid owner)
{
	ObjectAddress part;
	ObjectAddress whole;

	ObjectAddressSet(part, RelationRelationId, relid);
	ObjectAddressSet(whole, RelationRelationId, owner);
	if (streaming_internal_whole(relid) != owner)
		recordDependencyOn(&part, &whole, DEPENDENCY_INTERNAL);
	change_owner(relid, streaming_relation_owner(owner, false));
	streaming_internal_change_owner(relid);
}

void
streaming_internal_change_owner(Oid relid)
{
	ListCell   *lc;

	foreach(lc, streaming_internal_parts(relid))
	{
		change_owner(lfirst_oid(lc), streaming_relation_owner(relid, false));
		streaming_internal_change_owner(lfirst_oid(lc));
	}
}

void
streaming_refuse_internal(Oid relid)
{
	Oid			whole;

	if (get_rel_namespace(relid) != streaming_internal_namespace())
		return;
	whole = streaming_internal_whole(relid);
	if (OidIsValid(whole))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot alter \"%s\", which belongs to \"%s\"",
						get_rel_name(relid), get_rel_name(whole)),
				 errhint("Alter \"%s\" instead.", get_rel_name(whole))));
}
