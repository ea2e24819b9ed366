/*
 * planned_batch.c
 *		streaming_internal.planned_batches: what a batch that calls a user's functions has
 *		taken in, written down before it calls them.
 *
 * The row must be there whatever becomes of the batch, though it is only known in
 * the middle of the batch's transaction.  It is inserted frozen, as COPY FREEZE
 * does: it counts at once, for everybody, and an abort leaves it alone.  Nobody but
 * the view's worker looks at it, so that it is seen too early by others does not
 * matter.  It is deleted in the same transaction, as ever: so it is gone when
 * the batch is committed, and there when it is not.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/durable.h"
#include "catalog/catalog_table.h"
#include "catalog/planned_batch.h"

/* Columns of streaming_internal.planned_batches. */
enum
{
	Anum_view = 1,
	Anum_batch_id,
	Anum_partitions,
	Anum_positions,
	Anum_watermark,
	_Anum_end
};
#define Natts_planned (_Anum_end - 1)
#define Index_of(column) (Anum_##column - 1)

static const StreamingTableColumn columns[Natts_planned] = {
	{"view", REGCLASSOID},
	{"batch_id", INT8OID},
	{"partitions", TEXTARRAYOID},
	{"positions", TEXTARRAYOID},
	{"watermark", TIMESTAMPTZOID, true},
};

static StreamingTableDef planned_batches =
{"planned_batches", Natts_planned, columns, {{Anum_view}}};

static SysScanDesc
begin_scan(StreamingTable *table, Oid view, LOCKMODE lockmode)
{
	ScanKeyData key;

	(void) streaming_table_open(table, &planned_batches, lockmode, false);
	streaming_table_key(table, &key, Anum_view, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(view));
	return streaming_table_scan(table, 0, NULL, 1, &key);
}

/* Strings of an array; NULL: it is no list, or one of them is NULL. */
static char **
take_strings(Datum datum, int *n)
{
	ArrayType  *array = DatumGetArrayTypePCopy(datum);
	Datum	   *elements;
	bool	   *isnull;
	char	  **strings;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		return NULL;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &isnull, n);
	strings = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		strings[i] = TextDatumGetCString(elements[i]);
	return strings;
}

static StreamingPlannedBatch *
take_row(const Datum *values, const bool *isnull)
{
	StreamingPlannedBatch *batch = palloc(sizeof(StreamingPlannedBatch));
	int			npositions;

	batch->batch_id = DatumGetInt64(values[Index_of(batch_id)]);
	batch->partitions = take_strings(values[Index_of(partitions)], &batch->n);
	batch->positions = take_strings(values[Index_of(positions)], &npositions);
	batch->watermark = isnull[Index_of(watermark)] ? DT_NOBEGIN :
		DatumGetTimestampTz(values[Index_of(watermark)]);
	if (batch->partitions == NULL || batch->positions == NULL || batch->n != npositions)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.planned_batches\" does not say what batch " INT64_FORMAT " takes in",
						STREAMING_INTERNAL_SCHEMA, batch->batch_id),
				 errhint("Delete the row to let the batch take what there is.")));
	return batch;
}

StreamingPlannedBatch *
streaming_planned_batch_read(Oid view, int64 batch_id)
{
	StreamingTable table;
	SysScanDesc scan = begin_scan(&table, view, AccessShareLock);
	StreamingPlannedBatch *batch = NULL;
	HeapTuple	tuple;

	while (batch == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[Natts_planned];
		bool		isnull[Natts_planned];

		streaming_table_read(&table, tuple, values, isnull);
		if (DatumGetInt64(values[Index_of(batch_id)]) == batch_id)
			batch = take_row(values, isnull);
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);
	return batch;
}

static Datum
make_array(char *const *strings, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(strings[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* slot is of the table. */
static void
set_row(const StreamingTable *table, TupleTableSlot *slot, Oid view,
		const StreamingPlannedBatch *batch)
{
	Datum		values[Natts_planned];

	values[Index_of(view)] = ObjectIdGetDatum(view);
	values[Index_of(batch_id)] = Int64GetDatum(batch->batch_id);
	values[Index_of(partitions)] = make_array(batch->partitions, batch->n);
	values[Index_of(positions)] = make_array(batch->positions, batch->n);
	values[Index_of(watermark)] = TimestampTzGetDatum(batch->watermark);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (int i = 0; i < Natts_planned; i++)
	{
		AttrNumber	attno = table->attnums[i] - 1;

		slot->tts_values[attno] = values[i];
		slot->tts_isnull[attno] = i == Index_of(watermark) && batch->watermark == DT_NOBEGIN;
	}
	ExecStoreVirtualTuple(slot);
}

void
streaming_planned_batch_write(Oid view, const StreamingPlannedBatch *batch)
{
	StreamingTable table;
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	TupleTableSlot *slot;

	(void) streaming_table_open(&table, &planned_batches, RowExclusiveLock, false);
	InitResultRelInfo(result, table.rel, 1, NULL, 0);
	ExecOpenIndices(result, false);
	slot = table_slot_create(table.rel, NULL);
	set_row(&table, slot, view, batch);
	table_tuple_insert(table.rel, slot, GetCurrentCommandId(true), TABLE_INSERT_FROZEN, NULL);
	(void) streaming_insert_index_tuples(result, slot, estate, false);
	ExecDropSingleTupleTableSlot(slot);
	ExecCloseIndices(result);
	streaming_table_close(&table, NoLock);
	FreeExecutorState(estate);
	streaming_make_durable(XactLastRecEnd);
}

void
streaming_planned_batch_delete(Oid view)
{
	StreamingTable table;
	SysScanDesc scan = begin_scan(&table, view, RowExclusiveLock);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		CatalogTupleDelete(table.rel, &tuple->t_self);
	systable_endscan(scan);
	streaming_table_close(&table, NoLock);
}
