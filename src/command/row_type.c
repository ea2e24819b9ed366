/*
 * row_type.c
 *		Changes of the attributes of a row type whose values a view has as keys.
 *
 * A group, or a partition, is found by the hash of its keys.  That of a row is made of its
 * attributes, as many as it has, so with another one the hash that is stored is
 * not that of the same row any more: the group would be made a second time.
 * PostgreSQL refuses such a change where an index would be wrong after it; here it
 * is refused for the same reason.
 *
 * All ways to such a change (ALTER TYPE, ALTER TABLE of the table that the type
 * is of, of one it inherits from, DROP of an attribute's type) come to the
 * object-access hook.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "command/command.h"

static Oid	table_of_type(Oid type);

/* A table of rows that are found by a hash and have values of type; Invalid: none. */
static Oid
table_of_relation(Oid relid)
{
	if (get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		return table_of_type(get_rel_type_id(relid));
	if (get_rel_namespace(relid) == streaming_internal_namespace() &&
		(get_attnum(relid, "$hash") != InvalidAttrNumber ||
		 get_attnum(relid, "$group") != InvalidAttrNumber))
		return relid;
	return InvalidOid;
}

/* Ditto, also with values in which those of type are: arrays, ranges, domains, rows. */
static Oid
table_of_type(Oid type)
{
	Relation	depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			array = get_array_type(type);
	Oid			found = InvalidOid;

	check_stack_depth();
	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		if (row->classid == TypeRelationId && row->objid != array)
			found = table_of_type(row->objid);
		else if (row->classid == RelationRelationId && row->objsubid > 0)
			found = table_of_relation(row->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (!OidIsValid(found) && OidIsValid(array))
		found = table_of_type(array);
	return found;
}

void
streaming_row_type_changed(Oid relid)
{
	Oid			type = get_rel_type_id(relid);
	Oid			table = OidIsValid(type) ? table_of_type(type) : InvalidOid;
	Oid			view;

	if (!OidIsValid(table))
		return;
	view = streaming_internal_whole(table);
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot change the columns of \"%s\" because continuous view \"%s\" has such rows in its keys or state",
					get_rel_name(relid), get_rel_name(OidIsValid(view) ? view : table)),
			 errhint("Drop the view, make the change, and create the view again.")));
}
