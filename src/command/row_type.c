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

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "base/depend.h"
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
	Oid			array = get_array_type(type);
	Oid			found = InvalidOid;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, streaming_dependents(TypeRelationId, type))
	{
		StreamingDependency *dependent = lfirst(lc);

		if (dependent->class == TypeRelationId && dependent->object != array)
			found = table_of_type(dependent->object);
		else if (dependent->class == RelationRelationId && dependent->column > 0)
			found = table_of_relation(dependent->object);
		if (OidIsValid(found))
			return found;
	}
	return OidIsValid(array) ? table_of_type(array) : InvalidOid;
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
