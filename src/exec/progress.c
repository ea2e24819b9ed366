/*
 * progress.c
 *		Running totals of a view, a row of streaming.progress.
 *
 * The row is written in the transaction of each batch, so the totals are as true
 * as the result.  It is written like a catalog row: one heap-only update.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "exec/progress.h"
#include "index_lookup.h"

/* Columns of streaming.progress. */
enum
{
	Anum_progress_view = 1,
	Anum_progress_batch_id,
	Anum_progress_input_rows,
	Anum_progress_output_rows,
	Anum_progress_late_rows,
	Anum_progress_state_rows,
	Anum_progress_watermark,
	Anum_progress_last_batch_ms,
	Anum_progress_last_batch_at,
	_Anum_progress_max
};
#define Natts_progress (_Anum_progress_max - 1)

static Relation
open_progress(LOCKMODE lockmode)
{
	Oid			namespace = streaming_catalog_namespace();

	return table_open(get_relname_relid("progress", namespace), lockmode);
}

static SysScanDesc
begin_scan(Relation rel, Oid view)
{
	static const AttrNumber columns[] = {Anum_progress_view};
	Oid			index = streaming_find_index(rel, columns, lengthof(columns));
	ScanKeyData key;

	ScanKeyInit(&key, Anum_progress_view, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(view));
	return systable_beginscan(rel, index, OidIsValid(index), SnapshotSelf, 1, &key);
}

StreamingProgress
streaming_progress_read(Oid view)
{
	StreamingProgress progress = {.watermark = DT_NOBEGIN};
	Relation	rel = open_progress(AccessShareLock);
	SysScanDesc scan = begin_scan(rel, view);
	HeapTuple	tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
	{
		Datum		values[Natts_progress];
		bool		isnull[Natts_progress];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, isnull);
		progress.batch_id = DatumGetInt64(values[Anum_progress_batch_id - 1]);
		progress.input_rows = DatumGetInt64(values[Anum_progress_input_rows - 1]);
		progress.output_rows = DatumGetInt64(values[Anum_progress_output_rows - 1]);
		progress.late_rows = DatumGetInt64(values[Anum_progress_late_rows - 1]);
		if (!isnull[Anum_progress_watermark - 1])
			progress.watermark = DatumGetTimestampTz(values[Anum_progress_watermark - 1]);
		progress.state_rows = DatumGetInt64(values[Anum_progress_state_rows - 1]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return progress;
}

void
streaming_progress_write(Oid view, const StreamingProgress *progress,
						 double batch_ms, TimestampTz batch_at)
{
	Relation	rel = open_progress(RowExclusiveLock);
	SysScanDesc scan = begin_scan(rel, view);
	HeapTuple	old = systable_getnext(scan);
	HeapTuple	tuple;
	Datum		values[Natts_progress] = {0};
	bool		isnull[Natts_progress] = {0};

	values[Anum_progress_view - 1] = ObjectIdGetDatum(view);
	values[Anum_progress_batch_id - 1] = Int64GetDatum(progress->batch_id);
	values[Anum_progress_input_rows - 1] = Int64GetDatum(progress->input_rows);
	values[Anum_progress_output_rows - 1] = Int64GetDatum(progress->output_rows);
	values[Anum_progress_late_rows - 1] = Int64GetDatum(progress->late_rows);
	values[Anum_progress_state_rows - 1] = Int64GetDatum(progress->state_rows);
	values[Anum_progress_watermark - 1] = TimestampTzGetDatum(progress->watermark);
	isnull[Anum_progress_watermark - 1] = progress->watermark == DT_NOBEGIN;
	values[Anum_progress_last_batch_ms - 1] = Float8GetDatum(batch_ms);
	values[Anum_progress_last_batch_at - 1] = TimestampTzGetDatum(batch_at);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, isnull);
	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(rel, &old->t_self, tuple);
	else
		CatalogTupleInsert(rel, tuple);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
}
