/*
 * extension.c
 *		Which objects of the database are the extension's.
 *
 * Hooks ask before each utility statement, so the answer is remembered.  No
 * message tells that an extension was made or dropped; but that makes and drops
 * its schemas, and of these PostgreSQL does tell, others and ourselves, also
 * when a command or a transaction is undone.  While the extension is there
 * without its schemas (pg_upgrade makes them members one by one) nothing is
 * remembered.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "catalog/extension.h"

#define EXTENSION "streaming"

/* Functions that were found to be members; the rest are looked up again. */
#define REMEMBERED_FUNCTIONS	8

typedef struct Extension
{
	Oid			extension;		/* Invalid: there is none */
	Oid			catalog;		/* schemas; Invalid: not (yet) or no more */
	Oid			internal;
	int			nfunctions;
	Oid			functions[REMEMBERED_FUNCTIONS];
} Extension;

static Extension remembered;
static bool is_remembered = false;
static uint64 invalidations = 0;

static void
forget(Datum arg, int cacheid, uint32 hashvalue)
{
	is_remembered = false;
	invalidations++;
}

static Oid
member_schema(const char *name, Oid extension)
{
	Oid			schema = get_namespace_oid(name, true);

	if (OidIsValid(schema) && getExtensionOfObject(NamespaceRelationId, schema) != extension)
		return InvalidOid;
	return schema;
}

static const Extension *
find_extension(void)
{
	static const Extension nothing = {0};
	static bool registered = false;
	uint64		before;

	if (is_remembered)
		return &remembered;
	if (!IsTransactionState())
		return &nothing;
	if (!registered)
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget, (Datum) 0);
	registered = true;

	before = invalidations;
	memset(&remembered, 0, sizeof(remembered));
	remembered.extension = get_extension_oid(EXTENSION, true);
	if (OidIsValid(remembered.extension))
	{
		remembered.catalog = member_schema(STREAMING_SCHEMA, remembered.extension);
		remembered.internal = member_schema(STREAMING_INTERNAL_SCHEMA, remembered.extension);
	}
	/* What was told meanwhile may not have been seen. */
	is_remembered = before == invalidations &&
		(!OidIsValid(remembered.extension) ||
		 (OidIsValid(remembered.catalog) && OidIsValid(remembered.internal)));
	return &remembered;
}

bool
streaming_is_installed(void)
{
	const Extension *found = find_extension();

	return OidIsValid(found->catalog) && OidIsValid(found->internal) && !IsBinaryUpgrade;
}

Oid
streaming_catalog_namespace(void)
{
	return find_extension()->catalog;
}

Oid
streaming_internal_namespace(void)
{
	return find_extension()->internal;
}

/* Is function, in our schema, a member? */
static bool
is_member(Oid function)
{
	for (int i = 0; i < remembered.nfunctions; i++)
	{
		if (remembered.functions[i] == function)
			return true;
	}
	if (getExtensionOfObject(ProcedureRelationId, function) != remembered.extension)
		return false;
	if (is_remembered && remembered.nfunctions < REMEMBERED_FUNCTIONS)
		remembered.functions[remembered.nfunctions++] = function;
	return true;
}

bool
streaming_is_our_function(Oid function, const char *name)
{
	Oid			schema = streaming_catalog_namespace();
	HeapTuple	tuple;
	bool		same;

	if (!OidIsValid(schema) || !OidIsValid(function))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	same = ((Form_pg_proc) GETSTRUCT(tuple))->pronamespace == schema &&
		strcmp(NameStr(((Form_pg_proc) GETSTRUCT(tuple))->proname), name) == 0;
	ReleaseSysCache(tuple);
	return same && is_member(function);
}

Oid
streaming_member_table(Oid schema, const char *name)
{
	Oid			extension = find_extension()->extension;
	Oid			table;

	if (!OidIsValid(schema))
		return InvalidOid;
	table = get_relname_relid(name, schema);
	if (OidIsValid(table) && getExtensionOfObject(RelationRelationId, table) != extension)
		return InvalidOid;
	return table;
}

Oid
streaming_catalog_owner(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(EXTENSION));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (tuple)
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return owner;
}
