/*
 * progress.c
 *		Running totals of a view, a row of streaming_internal.progress, and the function
 *		streaming.watermark.
 *
 * The row is written in the transaction of each batch, so the totals are as true
 * as the result.  It is written like a catalog row: one heap-only update.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "streaming.h"
#include "catalog/view.h"
#include "catalog/catalog_table.h"
#include "catalog/progress.h"

/* Columns of streaming_internal.progress. */
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
	Anum_progress_stage_input_rows,
	Anum_progress_stage_output_rows,
	Anum_progress_stage_state_rows,
	Anum_progress_stage_ms,
	Anum_progress_stage_kinds,
	Anum_progress_unknown_keys,
	_Anum_progress_max
};
#define Natts_progress (_Anum_progress_max - 1)

static const StreamingTableColumn columns[Natts_progress] = {
	{"view", REGCLASSOID},
	{"batch_id", INT8OID},
	{"input_rows", INT8OID},
	{"output_rows", INT8OID},
	{"late_rows", INT8OID},
	{"state_rows", INT8OID},
	{"watermark", TIMESTAMPTZOID, true},
	{"last_batch_ms", FLOAT8OID, true},
	{"last_batch_at", TIMESTAMPTZOID, true},
	{"stage_input_rows", INT8ARRAYOID, true},
	{"stage_output_rows", INT8ARRAYOID, true},
	{"stage_state_rows", INT8ARRAYOID, true},
	{"stage_ms", FLOAT8ARRAYOID, true},
	{"stage_kinds", TEXTARRAYOID, true},
	{"unknown_keys", INT8OID},
};

static StreamingTableDef progress_table =
{"progress", Natts_progress, columns, {{Anum_progress_view}}};

PG_FUNCTION_INFO_V1(streaming_watermark);

/* Of the row of view, which is *tuple while the scan is open; NULL: there is none. */
static SysScanDesc
begin_scan(StreamingTable *table, Oid view, HeapTuple *tuple)
{
	ScanKeyData key;
	SysScanDesc scan;

	streaming_table_key(table, &key, Anum_progress_view, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(view));
	scan = streaming_table_scan(table, 0, SnapshotSelf, 1, &key);
	*tuple = systable_getnext(scan);
	return scan;
}

/*
 * The elements of an array, those that are NULL or behind its end left as they
 * are.
 */
static void
read_array(Datum value, bool isnull, Oid type, Datum *elements)
{
	Datum	   *found;
	bool	   *found_null;
	int			n = 0;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), type, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &found, &found_null, &n);
	n = Min(n, STREAMING_COUNTED_STAGES);
	for (int i = 0; i < n; i++)
	{
		if (!found_null[i])
			elements[i] = found[i];
	}
}

static void
read_stages(StreamingProgress *progress, Datum *values, bool *isnull)
{
	Datum		elements[_Anum_progress_max][STREAMING_COUNTED_STAGES] = {0};

	for (int attno = Anum_progress_stage_input_rows; attno <= Anum_progress_stage_ms; attno++)
		read_array(values[attno - 1], isnull[attno - 1],
				   attno == Anum_progress_stage_ms ? FLOAT8OID : INT8OID, elements[attno]);
	for (int i = 0; i < STREAMING_COUNTED_STAGES; i++)
	{
		StreamingStageTotals *stage = &progress->stages[i];

		stage->input_rows = DatumGetInt64(elements[Anum_progress_stage_input_rows][i]);
		stage->output_rows = DatumGetInt64(elements[Anum_progress_stage_output_rows][i]);
		stage->state_rows = DatumGetInt64(elements[Anum_progress_stage_state_rows][i]);
		stage->ms = DatumGetFloat8(elements[Anum_progress_stage_ms][i]);
	}
}

static Datum
make_array(Datum *elements, int n, Oid type)
{
	return PointerGetDatum(construct_array(elements, n, type, sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static void
write_stages(const StreamingProgress *progress, Datum *values)
{
	Datum		elements[_Anum_progress_max][STREAMING_COUNTED_STAGES];
	int			n = progress->nstages;

	for (int i = 0; i < n; i++)
	{
		const StreamingStageTotals *stage = &progress->stages[i];

		elements[Anum_progress_stage_input_rows][i] = Int64GetDatum(stage->input_rows);
		elements[Anum_progress_stage_output_rows][i] = Int64GetDatum(stage->output_rows);
		elements[Anum_progress_stage_state_rows][i] = Int64GetDatum(stage->state_rows);
		elements[Anum_progress_stage_ms][i] = Float8GetDatum(stage->ms);
		elements[Anum_progress_stage_kinds][i] = CStringGetTextDatum(stage->kind);
	}
	for (int attno = Anum_progress_stage_input_rows; attno <= Anum_progress_stage_ms; attno++)
		values[attno - 1] = make_array(elements[attno], n,
									   attno == Anum_progress_stage_ms ? FLOAT8OID : INT8OID);
	values[Anum_progress_stage_kinds - 1] =
		PointerGetDatum(construct_array(elements[Anum_progress_stage_kinds], n, TEXTOID, -1,
										false, TYPALIGN_INT));
}

StreamingProgress
streaming_progress_read(Oid view)
{
	StreamingProgress progress = {.watermark = DT_NOBEGIN};
	StreamingTable table;
	HeapTuple	tuple;
	SysScanDesc scan;

	(void) streaming_table_open(&table, &progress_table, AccessShareLock, false);
	scan = begin_scan(&table, view, &tuple);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[Natts_progress];
		bool		isnull[Natts_progress];

		streaming_table_read(&table, tuple, values, isnull);
		progress.is_reset = DatumGetInt64(values[Anum_progress_batch_id - 1]) == 0;
		progress.batch_id = DatumGetInt64(values[Anum_progress_batch_id - 1]);
		progress.input_rows = DatumGetInt64(values[Anum_progress_input_rows - 1]);
		progress.output_rows = DatumGetInt64(values[Anum_progress_output_rows - 1]);
		progress.late_rows = DatumGetInt64(values[Anum_progress_late_rows - 1]);
		progress.unknown_keys = DatumGetInt64(values[Anum_progress_unknown_keys - 1]);
		if (!isnull[Anum_progress_watermark - 1])
			progress.watermark = DatumGetTimestampTz(values[Anum_progress_watermark - 1]);
		progress.state_rows = DatumGetInt64(values[Anum_progress_state_rows - 1]);
		read_stages(&progress, values, isnull);
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);
	return progress;
}

/* Is it the row of view?  Another's may be where that was written last. */
static bool
is_row_of(const StreamingTable *table, HeapTuple tuple, Oid view)
{
	Datum		values[Natts_progress];
	bool		isnull[Natts_progress];

	return streaming_table_try_read(table, tuple, values, isnull) == NULL &&
		DatumGetObjectId(values[Anum_progress_view - 1]) == view;
}

/* In the place of the row that view has, where it was written last or elsewhere. */
static StreamingRowPlace
write_row(StreamingTable *table, Oid view, const StreamingRowPlace *place, const Datum *values,
		  const bool *isnull)
{
	TupleTableSlot *slot = table_slot_create(table->rel, NULL);
	HeapTuple	old = streaming_table_row_at(table, place, slot);
	StreamingRowPlace written;
	SysScanDesc scan = NULL;

	if (old == NULL || !is_row_of(table, old, view))
		scan = begin_scan(table, view, &old);
	written = streaming_table_write(table, old, values, isnull);
	if (scan)
		systable_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return written;
}

void
streaming_progress_write(Oid view, const StreamingProgress *progress,
						 double batch_ms, TimestampTz batch_at, StreamingRowPlace *place)
{
	StreamingTable table;
	Datum		values[Natts_progress] = {0};
	bool		isnull[Natts_progress] = {0};

	values[Anum_progress_view - 1] = ObjectIdGetDatum(view);
	values[Anum_progress_batch_id - 1] = Int64GetDatum(progress->batch_id);
	values[Anum_progress_input_rows - 1] = Int64GetDatum(progress->input_rows);
	values[Anum_progress_output_rows - 1] = Int64GetDatum(progress->output_rows);
	values[Anum_progress_late_rows - 1] = Int64GetDatum(progress->late_rows);
	values[Anum_progress_unknown_keys - 1] = Int64GetDatum(progress->unknown_keys);
	values[Anum_progress_state_rows - 1] = Int64GetDatum(progress->state_rows);
	values[Anum_progress_watermark - 1] = TimestampTzGetDatum(progress->watermark);
	isnull[Anum_progress_watermark - 1] = progress->watermark == DT_NOBEGIN;
	values[Anum_progress_last_batch_ms - 1] = Float8GetDatum(batch_ms);
	values[Anum_progress_last_batch_at - 1] = TimestampTzGetDatum(batch_at);
	write_stages(progress, values);
	(void) streaming_table_open(&table, &progress_table, RowExclusiveLock, false);
	*place = write_row(&table, view, place, values, isnull);
	streaming_table_close(&table, RowExclusiveLock);
}

/* streaming.watermark(view regclass) returns timestamptz */
Datum
streaming_watermark(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	AclResult	result;
	TimestampTz watermark;

	streaming_require_loaded();
	(void) streaming_catalog_view(view, false);
	/* It is the time of a row. */
	result = pg_class_aclcheck(view, GetUserId(), ACL_SELECT);
	if (result != ACLCHECK_OK && !streaming_may_monitor(view))
		aclcheck_error(result, OBJECT_VIEW, get_rel_name(view));
	watermark = streaming_progress_read(view).watermark;
	if (watermark == DT_NOBEGIN)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(watermark);
}
