/*
 * catalog_table.c
 *		The extension's tables, read and written without SQL.
 *
 * Where the columns and the indexes are is looked up once, and again after each
 * change of the table, of which PostgreSQL tells by its relcache.  Who has the
 * table open has copied what was found, and its lock keeps that true.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "streaming.h"
#include "catalog/catalog_table.h"
#include "catalog/extension.h"
#include "base/index_lookup.h"

#define HINT_SHAPE "Make it as CREATE EXTENSION does, or drop the extension and create it again."

typedef struct StreamingTableShape
{
	Oid			relid;			/* Invalid: to be looked up */
	AttrNumber	attnums[STREAMING_TABLE_COLUMNS];
	Oid			indexes[STREAMING_TABLE_INDEXES];
	Oid			obstacle;		/* an index that we cannot add to, or Invalid */
	struct StreamingTableShape *next;
} StreamingTableShape;

static StreamingTableShape *shapes = NULL;
static uint64 changes = 0;		/* of any relation */

static const char *
schema_of(const StreamingTableDef *def)
{
	return def->for_users ? STREAMING_SCHEMA : STREAMING_INTERNAL_SCHEMA;
}

static Oid
namespace_of(const StreamingTableDef *def)
{
	return def->for_users ? streaming_catalog_namespace() : streaming_internal_namespace();
}

/* ---- Shapes ---- */

static void
relation_changed(Datum arg, Oid relid)
{
	changes++;
	for (StreamingTableShape *shape = shapes; shape; shape = shape->next)
	{
		if (!OidIsValid(relid) || shape->relid == relid)
			shape->relid = InvalidOid;
	}
}

static StreamingTableShape *
shape_of(StreamingTableDef *def)
{
	if (def->shape == NULL)
	{
		Assert(def->ncolumns <= STREAMING_TABLE_COLUMNS);
		if (shapes == NULL)
			CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		def->shape = MemoryContextAllocZero(TopMemoryContext, sizeof(StreamingTableShape));
		def->shape->next = shapes;
		shapes = def->shape;
	}
	return def->shape;
}

static AttrNumber
find_column(Relation rel, const StreamingTableDef *def, const StreamingTableColumn *column)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), column->name) == 0 &&
			att->atttypid == column->type)
			return i + 1;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s.%s\" has no column \"%s\" of type %s", schema_of(def),
					RelationGetRelationName(rel), column->name, format_type_be(column->type)),
			 errhint(HINT_SHAPE)));
	return InvalidAttrNumber;	/* keep compiler quiet */
}

/* CatalogTupleInsert, which is made for system catalogs, knows no expressions. */
static bool
is_plain(Relation index)
{
	return RelationGetIndexExpressions(index) == NIL && RelationGetIndexPredicate(index) == NIL;
}

/* Can rows be looked up in index by these columns of def? */
static bool
is_on(Relation index, const StreamingTableShape *shape, const int *columns)
{
	AttrNumber	attnums[STREAMING_INDEX_COLUMNS];
	int			n;

	for (n = 0; n < STREAMING_INDEX_COLUMNS && columns[n] != 0; n++)
		attnums[n] = shape->attnums[columns[n] - 1];
	return streaming_index_fits(index, attnums, n);
}

static void
look_at(Relation rel, const StreamingTableDef *def, StreamingTableShape *shape)
{
	ListCell   *lc;
	List	   *indexes;

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("\"%s.%s\" is not an ordinary table", schema_of(def),
						RelationGetRelationName(rel)),
				 errhint(HINT_SHAPE)));
	for (int i = 0; i < def->ncolumns; i++)
		shape->attnums[i] = find_column(rel, def, &def->columns[i]);
	memset(shape->indexes, 0, sizeof(shape->indexes));
	shape->obstacle = InvalidOid;

	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		for (int i = 0; i < STREAMING_TABLE_INDEXES; i++)
		{
			if (def->indexes[i][0] != 0 && !OidIsValid(shape->indexes[i]) &&
				is_on(index, shape, def->indexes[i]))
				shape->indexes[i] = lfirst_oid(lc);
		}
		if (!is_plain(index))
			shape->obstacle = lfirst_oid(lc);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
}

/* ---- Open and close ---- */

/* NULL: there is none. */
static Relation
open_relation(StreamingTableDef *def, StreamingTableShape *shape, LOCKMODE lockmode)
{
	Relation	rel = NULL;
	Oid			known;

	do
	{
		Oid			relid;

		if (rel)
			table_close(rel, NoLock);
		known = shape->relid;
		relid = OidIsValid(known) ? known : streaming_member_table(namespace_of(def), def->name);
		rel = OidIsValid(relid) ? try_table_open(relid, lockmode) : NULL;
		/* With the lock came the news of changes. */
	} while (known != shape->relid);
	return rel;
}

static void
check_writable(const StreamingTableDef *def, const StreamingTableShape *shape)
{
	if (OidIsValid(shape->obstacle))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("cannot write to table \"%s.%s\", which has index \"%s\"",
						schema_of(def), def->name, get_rel_name(shape->obstacle)),
				 errdetail("The extension does not maintain indexes with expressions or a condition."),
				 errhint("Drop the index.")));
}

bool
streaming_table_open(StreamingTable *table, StreamingTableDef *def, int lockmode,
					 bool missing_ok)
{
	StreamingTableShape *shape = shape_of(def);
	Relation	rel = open_relation(def, shape, lockmode);

	if (rel == NULL && missing_ok)
		return false;
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("table \"%s.%s\" of extension streaming does not exist",
						schema_of(def), def->name),
				 errhint(HINT_SHAPE)));
	if (!OidIsValid(shape->relid))
	{
		uint64		before = changes;

		look_at(rel, def, shape);
		if (before == changes)
			shape->relid = RelationGetRelid(rel);
	}
	if (lockmode >= RowExclusiveLock)
		check_writable(def, shape);
	table->def = def;
	table->rel = rel;
	table->writes_many = false;
	table->written = NULL;
	memcpy(table->attnums, shape->attnums, sizeof(table->attnums));
	memcpy(table->indexes, shape->indexes, sizeof(table->indexes));
	return true;
}

void
streaming_table_close(StreamingTable *table, int lockmode)
{
	if (table->written)
		CatalogCloseIndexes(table->written);
	table->written = NULL;
	table_close(table->rel, lockmode);
	table->rel = NULL;
}

/* ---- Scans ---- */

void
streaming_table_key(const StreamingTable *table, ScanKey key, int column,
					StrategyNumber strategy, RegProcedure procedure, Datum value)
{
	AttrNumber	attnum = table->attnums[column - 1];

	/* ScanKeyInit would compare text with another collation than the index has. */
	ScanKeyEntryInitialize(key, 0, attnum, strategy, InvalidOid,
						   TupleDescAttr(RelationGetDescr(table->rel), attnum - 1)->attcollation,
						   procedure, value);
}

SysScanDesc
streaming_table_scan(const StreamingTable *table, int index, Snapshot snapshot,
					 int nkeys, ScanKey keys)
{
	Oid			relid = index >= 0 ? table->indexes[index] : InvalidOid;

	return systable_beginscan(table->rel, relid, OidIsValid(relid), snapshot, nkeys, keys);
}

Relation
streaming_table_index(const StreamingTable *table, int index)
{
	const StreamingTableDef *def = table->def;
	StringInfoData names;

	if (OidIsValid(table->indexes[index]))
		return index_open(table->indexes[index], AccessShareLock);

	initStringInfo(&names);
	for (int i = 0; i < STREAMING_INDEX_COLUMNS && def->indexes[index][i] != 0; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 def->columns[def->indexes[index][i] - 1].name);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s.%s\" has no index on (%s)", schema_of(def), def->name,
					names.data),
			 errhint("Restore its primary key and unique constraints, as CREATE EXTENSION makes them.")));
	return NULL;				/* keep compiler quiet */
}

/* ---- Rows ---- */

const char *
streaming_table_try_read(const StreamingTable *table, HeapTuple tuple, Datum *values,
						 bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	Datum	   *all = palloc(sizeof(Datum) * desc->natts);
	bool	   *all_null = palloc(sizeof(bool) * desc->natts);
	const char *missing = NULL;

	heap_deform_tuple(tuple, desc, all, all_null);
	for (int i = 0; i < table->def->ncolumns; i++)
	{
		values[i] = all[table->attnums[i] - 1];
		isnull[i] = all_null[table->attnums[i] - 1];
		if (isnull[i] && !table->def->columns[i].nullable && missing == NULL)
			missing = table->def->columns[i].name;
	}
	pfree(all);
	pfree(all_null);
	return missing;
}

void
streaming_table_read(const StreamingTable *table, HeapTuple tuple, Datum *values, bool *isnull)
{
	const char *missing = streaming_table_try_read(table, tuple, values, isnull);

	if (missing)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.%s\" has NULL in column \"%s\"", schema_of(table->def),
						table->def->name, missing),
				 errhint("Set it right or delete the row.")));
}

HeapTuple
streaming_table_row_at(const StreamingTable *table, const StreamingRowPlace *place,
					   TupleTableSlot *slot)
{
	/* what was rewritten is elsewhere, and a table may be cut */
	if (!OidIsValid(place->file) || place->file != table->rel->rd_rel->relfilenode ||
		ItemPointerGetBlockNumber(&place->tid) >= RelationGetNumberOfBlocks(table->rel))
		return NULL;
	if (!table_tuple_fetch_row_version(table->rel, unconstify(ItemPointerData *, &place->tid),
									   SnapshotSelf, slot))
		return NULL;
	return ExecFetchSlotHeapTuple(slot, false, NULL);
}

void
streaming_table_write_many(StreamingTable *table)
{
	table->writes_many = true;
}

static CatalogIndexState
open_indexes(StreamingTable *table)
{
	CatalogIndexState indexes = table->written ? table->written : CatalogOpenIndexes(table->rel);

	if (table->writes_many)
		table->written = indexes;
	return indexes;
}

static void
close_indexes(StreamingTable *table, CatalogIndexState indexes)
{
	if (!table->writes_many)
		CatalogCloseIndexes(indexes);
}

static void
index_row(StreamingTable *table, TupleTableSlot *row, bool only_summarizing)
{
	CatalogIndexState indexes = open_indexes(table);
	EState	   *estate = CreateExecutorState();

	if (indexes->ri_NumIndices > 0)
		streaming_insert_index_tuples(indexes, row, estate, only_summarizing);
	FreeExecutorState(estate);
	close_indexes(table, indexes);
}

/*
 * As CatalogTupleUpdate, which opens the indexes before it knows whether they are to
 * have another entry: mostly the row stays on its page, and they are not.  Takes tuple.
 */
static ItemPointerData
update_row(StreamingTable *table, HeapTuple old, HeapTuple tuple)
{
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(table->rel),
												   &TTSOpsHeapTuple);
	streaming_update_indexes update_indexes;
	ItemPointerData tid;

	ExecStoreHeapTuple(tuple, row, true);
	simple_table_tuple_update(table->rel, &old->t_self, row, InvalidSnapshot, &update_indexes);
	if (streaming_must_index(update_indexes))
		index_row(table, row, streaming_only_summarizing(update_indexes));
	tid = row->tts_tid;
	ExecDropSingleTupleTableSlot(row);
	return tid;
}

static ItemPointerData
insert_row(StreamingTable *table, HeapTuple tuple)
{
	CatalogIndexState indexes = open_indexes(table);
	ItemPointerData tid;

	CatalogTupleInsertWithInfo(table->rel, tuple, indexes);
	tid = tuple->t_self;
	close_indexes(table, indexes);
	heap_freetuple(tuple);
	return tid;
}

StreamingRowPlace
streaming_table_write(StreamingTable *table, HeapTuple old, const Datum *values,
					  const bool *isnull)
{
	StreamingRowPlace place = {.file = table->rel->rd_rel->relfilenode};
	TupleDesc	desc = RelationGetDescr(table->rel);
	Datum	   *all = palloc0(sizeof(Datum) * desc->natts);
	bool	   *all_null = palloc(sizeof(bool) * desc->natts);
	HeapTuple	tuple;

	memset(all_null, true, sizeof(bool) * desc->natts);
	if (old)
		heap_deform_tuple(old, desc, all, all_null);
	for (int i = 0; i < table->def->ncolumns; i++)
	{
		all[table->attnums[i] - 1] = values[i];
		all_null[table->attnums[i] - 1] = isnull[i];
	}
	tuple = heap_form_tuple(desc, all, all_null);
	place.tid = old ? update_row(table, old, tuple) : insert_row(table, tuple);
	pfree(all);
	pfree(all_null);
	return place;
}
