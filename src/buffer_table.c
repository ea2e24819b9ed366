/*
 * buffer_table.c
 *		Tables that hold rows of streams: made on demand in the internal schema.
 *
 * They have some columns of our own, then one for each column of the stream,
 * dropped ones included, so that a column's number is the stream's plus a
 * constant.  Names of columns say nothing but that (c1, c2, ...): renaming a
 * column of the stream touches nothing here.  Domains are replaced by their
 * base types; values were checked when they were decoded or inserted.
 *
 * The tables depend on their stream and go with it.  Nobody vacuums them but
 * for wraparound: rows are never deleted, tables are emptied as a whole.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "buffer.h"
#include "catalog.h"

static void append_columns(StringInfo buf, TupleDesc desc);
static void append_alterations(StringInfo buf, TupleDesc desc);
static Oid	base_type(Form_pg_attribute att, int32 *typmod);

char *
streaming_buffer_name(Oid stream, int index)
{
	return psprintf("buffer_%u_%d", stream, index);
}

/*
 * own_columns: DDL of the columns that come first, with a comma behind each.
 * The caller makes sure that nobody else makes the same table.
 */
Oid
streaming_internal_table(const char *name, Oid stream, TupleDesc desc,
						 const char *own_columns, bool logged)
{
	StringInfoData buf;
	ObjectAddress table;
	ObjectAddress owner;
	Oid			userid;
	int			sec_context;
	int			nestlevel;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %s TABLE %s.%s (%s", logged ? "" : "UNLOGGED",
					 STREAMING_INTERNAL_SCHEMA, quote_identifier(name), own_columns);
	append_columns(&buf, desc);
	/* a stream need not have columns of its own */
	while (buf.data[buf.len - 1] == ' ' || buf.data[buf.len - 1] == ',')
		buf.data[--buf.len] = '\0';

	/*
	 * Rows stay in the table for moments: compressing large values would cost
	 * more than it saves, and out of line go only those that must.  Pages at
	 * the end must not vanish while readers remember where they were.
	 */
	appendStringInfoString(&buf, ") USING heap WITH (autovacuum_enabled = false, "
						   "toast.autovacuum_enabled = false, vacuum_truncate = false, "
						   "toast_tuple_target = 8160)");
	append_alterations(&buf, desc);

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(streaming_catalog_owner(),
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("default_tablespace", "", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(buf.data, false, 0) < 0)
		elog(ERROR, "could not create table %s", name);
	SPI_finish();
	AtEOXact_GUC(true, nestlevel);
	SetUserIdAndSecContext(userid, sec_context);
	pfree(buf.data);

	ObjectAddressSet(table, RelationRelationId,
					 get_relname_relid(name, streaming_internal_namespace()));
	ObjectAddressSet(owner, RelationRelationId, stream);
	recordDependencyOn(&table, &owner, DEPENDENCY_AUTO);
	CommandCounterIncrement();
	return table.objectId;
}

static Oid
base_type(Form_pg_attribute att, int32 *typmod)
{
	*typmod = att->atttypmod;
	return getBaseTypeAndTypmod(att->atttypid, typmod);
}

static void
append_columns(StringInfo buf, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		int32		typmod;
		Oid			type;

		appendStringInfo(buf, "%sc%d ", i > 0 ? ", " : "", i + 1);
		if (att->attisdropped)
		{
			appendStringInfoString(buf, "pg_catalog.int4");
			continue;
		}
		type = base_type(att, &typmod);
		appendStringInfoString(buf, format_type_extended(type, typmod,
														 FORMAT_TYPE_TYPEMOD_GIVEN |
														 FORMAT_TYPE_FORCE_QUALIFY));
	}
}

/*
 * Nothing is analyzed that calls a function of a user's, as the subtype_diff of a
 * range type: ANALYZE runs as the table's owner, which is the extension's.
 */
static void
append_alterations(StringInfo buf, TupleDesc desc)
{
	char	   *create = pstrdup(buf->data);
	char	   *name = strstr(create, STREAMING_INTERNAL_SCHEMA ".");

	*strchr(name, '(') = '\0';
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		if (att->attstorage != TYPSTORAGE_PLAIN)
			appendStringInfo(buf, "; ALTER TABLE %s ALTER COLUMN c%d SET STORAGE EXTERNAL",
							 name, i + 1);
		if (att->atttypid >= FirstNormalObjectId)
			appendStringInfo(buf, "; ALTER TABLE %s ALTER COLUMN c%d SET STATISTICS 0",
							 name, i + 1);
	}
	pfree(create);
}

bool
streaming_table_matches(Oid relid, TupleDesc desc, int shift, bool exact)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	own = RelationGetDescr(rel);
	bool		matches = own->natts == desc->natts + shift;

	for (int i = 0; matches && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Form_pg_attribute stored = TupleDescAttr(own, i + shift);
		int32		typmod;

		/* What is dropped must not keep its type from being dropped. */
		if (att->attisdropped)
			matches = stored->attisdropped || stored->atttypid == INT4OID;
		else
			matches = base_type(att, &typmod) == stored->atttypid &&
				(typmod == stored->atttypmod || !exact);
	}
	table_close(rel, AccessShareLock);
	return matches;
}

BlockNumber
streaming_table_blocks(Relation rel)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);

	if (OidIsValid(rel->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);

		blocks += RelationGetNumberOfBlocks(toast);
		table_close(toast, NoLock);
	}
	return blocks;
}

bool
streaming_table_clear(Oid relid)
{
	return streaming_table_reuse(relid, 0);
}

bool
streaming_table_reuse(Oid relid, BlockNumber keep)
{
	Relation	rel;
	Oid			toast;

	if (!ConditionalLockRelationOid(relid, AccessExclusiveLock))
		return false;

	rel = table_open(relid, NoLock);
	Assert(rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED);
	toast = rel->rd_rel->reltoastrelid;
	if (OidIsValid(toast))
	{
		Relation	toast_rel = table_open(toast, AccessExclusiveLock);
		bool		used = RelationGetNumberOfBlocks(toast_rel) > 0;

		table_close(toast_rel, NoLock);
		if (used)
		{
			/* In place, with its toast table and that one's index. */
			heap_truncate_one_rel(rel);
			table_close(rel, NoLock);
			return true;
		}
	}
	if (RelationGetNumberOfBlocks(rel) > keep)
		table_relation_nontransactional_truncate(rel);
	table_close(rel, NoLock);
	return true;
}
