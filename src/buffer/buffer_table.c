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
 * The tables are parts of their stream and go with it.  Nobody vacuums them but
 * for wraparound: rows are never deleted, tables are emptied as a whole.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/heap.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "buffer/buffer.h"
#include "catalog/view.h"
#include "catalog/internal.h"

static void append_columns(StringInfo buf, TupleDesc desc);
static void append_storage(StringInfo buf, TupleDesc desc);
static Oid	base_type(Form_pg_attribute att, int32 *typmod);

char *
streaming_buffer_name(Oid stream, int index)
{
	return psprintf("buffer_%u_%u_%d", streaming_catalog_token(), stream, index);
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
	StreamingOwnerRights rights;
	Oid			relid;

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
	append_storage(&buf, desc);

	streaming_owner_rights_begin(&rights);
	(void) set_config_option("default_tablespace", "", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_run_sql(buf.data);
	streaming_owner_rights_end(&rights);
	CommandCounterIncrement();
	pfree(buf.data);

	relid = get_relname_relid(name, streaming_internal_namespace());
	streaming_internal_make_read_only(relid);
	streaming_internal_adopt(relid, stream);
	return relid;
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

static void
append_storage(StringInfo buf, TupleDesc desc)
{
	char	   *create = pstrdup(buf->data);
	char	   *name = strstr(create, STREAMING_INTERNAL_SCHEMA ".");
	bool		any = false;

	*strchr(name, '(') = '\0';
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attstorage == TYPSTORAGE_PLAIN)
			continue;
		if (!any)
			appendStringInfo(buf, "; ALTER TABLE %s", name);
		appendStringInfo(buf, "%s ALTER COLUMN c%d SET STORAGE EXTERNAL", any ? "," : "", i + 1);
		any = true;
	}
	pfree(create);
}

/* Are the first columns those of a segment, or of a table of pushed rows? */
static bool
has_own_columns(TupleDesc own, int shift)
{
	if (shift == STREAMING_BUFFER_SHIFT)
		return TupleDescAttr(own, 0)->atttypid == INT8OID &&
			TupleDescAttr(own, 1)->atttypid == INT4OID;
	return TupleDescAttr(own, 0)->atttypid == XID8OID;
}

static bool
has_shape(Relation rel, TupleDesc desc, int shift)
{
	TupleDesc	own = RelationGetDescr(rel);

	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID && own->natts == desc->natts + shift &&
		has_own_columns(own, shift);
}

bool
streaming_table_is_readable(Relation rel, TupleDesc desc, int shift)
{
	bool		readable = has_shape(rel, desc, shift);

	for (int i = 0; readable && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Form_pg_attribute stored = TupleDescAttr(RelationGetDescr(rel), i + shift);
		int32		typmod;

		readable = att->attisdropped ||
			(!stored->attisdropped && base_type(att, &typmod) == stored->atttypid);
	}
	return readable;
}

bool
streaming_table_matches(Oid relid, TupleDesc desc, int shift, bool exact)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	own = RelationGetDescr(rel);
	bool		matches = has_shape(rel, desc, shift);

	for (int i = 0; matches && i < own->natts; i++)
		matches = !TupleDescAttr(own, i)->attisdropped;
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
