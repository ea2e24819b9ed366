/*
 * depend.c
 *		What pg_depend says of an object.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "base/depend.h"

/* dependents: of object, else what it depends on */
static List *
read_depend(Oid class, Oid object, bool dependents)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *found = NIL;

	ScanKeyInit(&keys[0], dependents ? Anum_pg_depend_refclassid : Anum_pg_depend_classid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(class));
	ScanKeyInit(&keys[1], dependents ? Anum_pg_depend_refobjid : Anum_pg_depend_objid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(depend,
							  dependents ? DependReferenceIndexId : DependDependerIndexId,
							  true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		StreamingDependency *dependency = palloc(sizeof(StreamingDependency));

		dependency->class = dependents ? row->classid : row->refclassid;
		dependency->object = dependents ? row->objid : row->refobjid;
		dependency->column = dependents ? row->objsubid : row->refobjsubid;
		dependency->own_column = dependents ? row->refobjsubid : row->objsubid;
		dependency->type = row->deptype;
		found = lappend(found, dependency);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

List *
streaming_dependencies(Oid class, Oid object)
{
	return read_depend(class, object, false);
}

static int
by_object(const ListCell *a, const ListCell *b)
{
	const StreamingDependency *left = lfirst(a);
	const StreamingDependency *right = lfirst(b);

	if (left->class != right->class)
		return left->class < right->class ? -1 : 1;
	if (left->object != right->object)
		return left->object < right->object ? -1 : 1;
	return (left->column > right->column) - (left->column < right->column);
}

List *
streaming_dependents(Oid class, Oid object)
{
	List	   *found = read_depend(class, object, true);

	list_sort(found, by_object);
	return found;
}

List *
streaming_query_dependencies(Oid view)
{
	return read_depend(RewriteRelationId,
					   GetSysCacheOid2(RULERELNAME, Anum_pg_rewrite_oid, ObjectIdGetDatum(view),
									   CStringGetDatum("_RETURN")), false);
}
