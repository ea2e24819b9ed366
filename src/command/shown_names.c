/*
 * shown_names.c
 *		Names that are in the values of continuous views.
 *
 * to_jsonb(row) shows what the row's columns are called, and mood::text what a value of an
 * enumeration is.  After a renaming they answer otherwise, also of rows that have been
 * counted already: such a row would be taken back from a group in which it never
 * was.  So a column, an attribute or a value is not renamed while the query of a view
 * makes something else of such values.  To compare, to group and to return them shows
 * no names.
 *
 * The query is read from the catalog as it is; nothing is locked of what the views read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "catalog/extension.h"
#include "catalog/view.h"
#include "command/command.h"

typedef struct NameSearch
{
	Oid			type;			/* whose names are asked for */
	bool		has_values;		/* there are values of it, or with such in them */
	bool		shows;			/* ... and something is made of them */
	bool		shows_record;	/* something is made of rows without a type */
} NameSearch;

static bool contains_type(Oid type, Oid wanted);

/* The columns of a relation's row type. */
static bool
columns_contain(Oid relid, Oid wanted)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts = HeapTupleIsValid(tuple) ? ((Form_pg_class) GETSTRUCT(tuple))->relnatts : 0;
	bool		found = false;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	for (AttrNumber attno = 1; attno <= natts && !found; attno++)
		found = contains_type(get_atttype(relid, attno), wanted);
	return found;
}

/* Is it wanted, or has it values of that in its own? */
static bool
contains_type(Oid type, Oid wanted)
{
	Oid			inner;

	check_stack_depth();
	if (type == wanted)
		return true;
	if (OidIsValid(inner = get_element_type(type)) || OidIsValid(inner = get_range_subtype(type)) ||
		OidIsValid(inner = get_multirange_range(type)))
		return contains_type(inner, wanted);
	if ((inner = getBaseType(type)) != type)
		return contains_type(inner, wanted);
	inner = get_typ_typrelid(type);
	return OidIsValid(inner) && columns_contain(inner, wanted);
}

/* Does a built-in function of values of type return one of them, or a number? */
static bool
hides_names(Oid function, Oid result, Oid type)
{
	return function < FirstUnpinnedObjectId && (result == type || result == INT8OID);
}

static void
look_at_arguments(Oid function, Oid result, List *args, NameSearch *search)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		Node	   *arg = lfirst(lc);
		Oid			type = exprType(IsA(arg, TargetEntry) ? (Node *) ((TargetEntry *) arg)->expr : arg);

		if (OidIsValid(function) && hides_names(function, result, type))
			continue;
		search->shows |= contains_type(type, search->type);
		search->shows_record |= type == RECORDOID || type == RECORDARRAYOID;
	}
}

static bool
name_walker(Node *node, NameSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, name_walker, search, 0);
	if (IsA(node, FuncExpr))
		look_at_arguments(((FuncExpr *) node)->funcid, exprType(node), ((FuncExpr *) node)->args, search);
	else if (IsA(node, Aggref))
		look_at_arguments(((Aggref *) node)->aggfnoid, exprType(node), ((Aggref *) node)->args, search);
	else if (IsA(node, WindowFunc))
		look_at_arguments(((WindowFunc *) node)->winfnoid, exprType(node), ((WindowFunc *) node)->args, search);
	else if (IsA(node, CoerceViaIO))
		look_at_arguments(InvalidOid, exprType(node), list_make1(((CoerceViaIO *) node)->arg), search);
	else if (IsA(node, OpExpr) && get_op_btree_interpretation(((OpExpr *) node)->opno) == NIL)
		look_at_arguments(InvalidOid, exprType(node), ((OpExpr *) node)->args, search);
	if (IsA(node, Var) || IsA(node, Const) || IsA(node, RowExpr))
		search->has_values |= contains_type(exprType(node), search->type);
	return expression_tree_walker(node, name_walker, search);
}

/* Does what the query says depend on what parts of type are called? */
static bool
shows_names(Oid definition, Oid type)
{
	NameSearch	search = {.type = type};
	HeapTuple	rule = SearchSysCache2(RULERELNAME, ObjectIdGetDatum(definition),
									   CStringGetDatum("_RETURN"));
	Datum		action;
	bool		isnull;			/* never */

	if (!HeapTupleIsValid(rule))
		return false;
	action = SysCacheGetAttr(RULERELNAME, rule, Anum_pg_rewrite_ev_action, &isnull);
	(void) name_walker(linitial(castNode(List, stringToNode(TextDatumGetCString(action)))), &search);
	ReleaseSysCache(rule);
	return search.shows || (search.shows_record && search.has_values);
}

static void
refuse_renaming(Oid type, const char *what, const char *of)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_views())
	{
		StreamingView *view = lfirst(lc);

		if (shows_names(view->definition, type))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot rename %s of \"%s\" because continuous view \"%s\" shows what it is called",
							what, of, get_rel_name(view->view)),
					 errdetail("Its query makes something else, such as a text or JSON, of such values as a whole."),
					 errhint("Drop the view, make the change, and create the view again as streaming.viewdef shows it.")));
	}
}

/* Called before the change can be seen: its new name is in the catalog, the old one in caches. */
void
streaming_column_altered(Oid relid, AttrNumber attno)
{
	Relation	attributes = table_open(AttributeRelationId, AccessShareLock);
	char	   *old = get_attname(relid, attno, true);
	bool		renamed = false;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(attno));
	scan = systable_beginscan(attributes, AttributeRelidNumIndexId, true, SnapshotSelf, 2, keys);
	tuple = systable_getnext(scan);
	if (old && HeapTupleIsValid(tuple))
		renamed = strcmp(NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname), old) != 0;
	systable_endscan(scan);
	table_close(attributes, AccessShareLock);
	/* Who repairs our tables must not be asked what is in them. */
	if (renamed && OidIsValid(get_rel_type_id(relid)) &&
		get_rel_namespace(relid) != streaming_internal_namespace() &&
		get_rel_namespace(relid) != streaming_catalog_namespace())
		refuse_renaming(get_rel_type_id(relid), psprintf("column \"%s\"", old), get_rel_name(relid));
}

void
streaming_enum_altered(const AlterEnumStmt *stmt)
{
	Oid			type;

	if (stmt->oldVal == NULL)
		return;
	type = typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName));
	refuse_renaming(type, psprintf("value \"%s\"", stmt->oldVal), format_type_be(type));
}
