/*
 * stats_progress.c
 *		streaming.stat_progress: how far a view is that has much to take.
 *
 * The worker that runs a view says in shared memory since when it has been taking and how
 * many rows that were (shmem.h: busy_since).  What is left is its lag, as stats.c knows it,
 * asked for only where there is something to show.  Of a directory it is not known as
 * long as there are files that nobody has read; their bytes are.
 *
 * Counts and times are for all, as those of streaming.stat_views are.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "streaming.h"
#include "stats.h"
#include "catalog/checkpoint.h"
#include "catalog/internal.h"
#include "catalog/view.h"
#include "push/follow.h"
#include "query/program.h"
#include "shared/shmem.h"
#include "shared/slots.h"

/* What arrives and is taken within this is no catch-up. */
#define MOMENT	1000			/* ms */

PG_FUNCTION_INFO_V1(streaming_view_progress);

typedef struct Progress
{
	const char *phase;
	StreamingTime since;
	int64		rows_done;		/* -1: not known, as those below */
	int64		rows_total;
	int64		bytes_done;
	int64		bytes_total;
} Progress;

static void add_input(ReturnSetInfo *rsinfo, Oid view, Oid shown, Oid scan, bool drained);
static bool find_progress(Oid view, Oid shown, Oid scan, bool drained, Progress *progress);
static void find_load(Oid shown, const StreamingReaderProgress *reader, Progress *progress);
static void find_bytes(Oid view, Oid stream, int64 from, Progress *progress);
static bool is_drained(Oid view);
static void put_row(ReturnSetInfo *rsinfo, Oid shown, const Progress *progress);

/*
 * streaming_internal.view_progress(view oid): a row for each input of which the view has
 * much to take.
 */
Datum
streaming_view_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			view = PG_GETARG_OID(0);
	StreamingView *row;
	bool		drained;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (streaming_slots == NULL || streaming_catalog_damage(view) ||
		(row = streaming_catalog_view(view, true)) == NULL)
		return (Datum) 0;
	drained = is_drained(view);
	foreach(lc, streaming_catalog_inputs(row->definition))
	{
		Oid			shown = lfirst_oid(lc);
		StreamingView *upstream;
		Oid			scan = shown;

		if (streaming_catalog_damage(shown))
			continue;
		upstream = streaming_catalog_view(shown, true);
		if (upstream)
			scan = get_relname_relid(streaming_change_stream_name(upstream->id),
									 streaming_internal_namespace());
		add_input(rsinfo, view, shown, scan, drained);
	}
	foreach(lc, row->tables)
		add_input(rsinfo, view, lfirst_oid(lc), streaming_follow_stream(lfirst_oid(lc)), drained);
	return (Datum) 0;
}

/* scan: the stream that is read for it; Invalid: there is none any more. */
static void
add_input(ReturnSetInfo *rsinfo, Oid view, Oid shown, Oid scan, bool drained)
{
	Progress	progress;

	if (OidIsValid(scan) && find_progress(view, shown, scan, drained, &progress))
		put_row(rsinfo, shown, &progress);
}

static bool
find_progress(Oid view, Oid shown, Oid scan, bool drained, Progress *progress)
{
	StreamingReaderProgress reader;
	StreamingSourceKind kind;
	int64		lag;

	*progress = (Progress) {NULL, 0, -1, -1, -1, -1};
	if (!streaming_reader_progress(view, scan, &reader) || !streaming_is_stream(scan, &kind))
		return false;
	progress->since = reader.since;
	if (reader.phase == STREAMING_PHASE_LOAD || reader.phase == STREAMING_PHASE_LOAD_COUNTED)
	{
		find_load(shown, &reader, progress);
		return true;
	}
	if (reader.phase == STREAMING_PHASE_RESET)
		progress->phase = "reset";
	else if (drained)
		progress->phase = "drain";
	else if (streaming_time_passed(reader.since, streaming_now(), MOMENT))
		progress->phase = "catch-up";
	else
		return false;
	progress->rows_done = reader.rows + reader.batch_rows;
	if (streaming_stream_lag(view, scan, kind, &lag))
		progress->rows_total = Max(reader.rows + lag, progress->rows_done);
	if (kind == STREAMING_SOURCE_DIRECTORY)
		find_bytes(view, scan, reader.from, progress);
	return true;
}

/* Of a table, or of the result of a view: as the last ANALYZE or VACUUM has found it. */
static void
find_load(Oid shown, const StreamingReaderProgress *reader, Progress *progress)
{
	StreamingView *view = streaming_catalog_view(shown, true);
	HeapTuple	tuple = SearchSysCache1(RELOID,
										ObjectIdGetDatum(view ? view->result : shown));

	progress->phase = "initial load";
	/* where they are sorted first they come at the end */
	if (reader->phase == STREAMING_PHASE_LOAD_COUNTED && reader->batch_rows > 0)
		progress->rows_done = reader->batch_rows;
	if (!HeapTupleIsValid(tuple))
		return;
	if (((Form_pg_class) GETSTRUCT(tuple))->reltuples >= 0)
		progress->rows_total = Max((int64) ((Form_pg_class) GETSTRUCT(tuple))->reltuples,
								   progress->rows_done);
	progress->bytes_total = (int64) ((Form_pg_class) GETSTRUCT(tuple))->relpages * BLCKSZ;
	ReleaseSysCache(tuple);
}

/*
 * Sizes of the files from where it began, and of those that it has taken since; of the
 * one that it is in, a share if it is known how many records that has.
 */
static void
find_bytes(Oid view, Oid stream, int64 from, Progress *progress)
{
	static const char *const sql =
		"SELECT coalesce(sum(CASE WHEN file < $3 THEN size"
		" WHEN file = $3 AND records > 0 THEN size * least($4::numeric / records, 1) END), 0)::int8,"
		" coalesce(sum(size), 0)::int8"
		" FROM " STREAMING_SCHEMA ".files"
		" WHERE stream = $1 AND file >= $2 AND (records IS NULL OR records >= 0)";
	Oid			types[4] = {OIDOID, INT8OID, INT8OID, INT8OID};
	Datum		args[4] = {ObjectIdGetDatum(stream)};
	StreamingPositions taken;
	StreamingOwnerRights rights;
	int64		position;
	bool		isnull;

	streaming_positions_init(&taken);
	(void) streaming_checkpoint_read_positions(view, stream, STREAMING_SOURCE_DIRECTORY, &taken);
	position = Max(streaming_positions_get(&taken, 0), 0);
	args[1] = Int64GetDatum(Max(from, 0) >> 32);
	args[2] = Int64GetDatum(position >> 32);
	args[3] = Int64GetDatum(position & PG_UINT32_MAX);

	streaming_owner_rights_begin(&rights);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, lengthof(args), types, args, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read %s.files", STREAMING_SCHEMA);
	progress->bytes_done = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
													   SPI_tuptable->tupdesc, 1, &isnull));
	progress->bytes_total = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
														SPI_tuptable->tupdesc, 2, &isnull));
	SPI_finish();
	streaming_owner_rights_end(&rights);
}

static bool
is_drained(Oid view)
{
	bool		drained;
	int			index;

	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	index = streaming_view_slot_find(MyDatabaseId, view);
	drained = index >= 0 && streaming_view_slots[index].drainers > 0;
	LWLockRelease(streaming_slots->lock);
	return drained;
}

/* The end is expected by the rows, and where their number is not known by the bytes. */
static void
put_row(ReturnSetInfo *rsinfo, Oid shown, const Progress *progress)
{
	Datum		values[8];
	bool		nulls[8] = {0};
	double		seconds = (streaming_now() - progress->since) / 1000000.0;
	bool		by_rows = progress->rows_total >= 0 && progress->rows_done > 0;
	double		done = by_rows ? progress->rows_done : progress->bytes_done;
	double		total = by_rows ? progress->rows_total : progress->bytes_total;

	values[0] = ObjectIdGetDatum(shown);
	values[1] = CStringGetTextDatum(progress->phase);
	values[2] = Int64GetDatum(progress->rows_done);
	nulls[2] = progress->rows_done < 0;
	values[3] = Int64GetDatum(progress->rows_total);
	nulls[3] = progress->rows_total < 0;
	values[4] = Int64GetDatum(progress->bytes_done);
	nulls[4] = progress->bytes_done < 0;
	values[5] = Int64GetDatum(progress->bytes_total);
	nulls[5] = progress->bytes_total < 0;
	values[6] = Float8GetDatum(seconds > 0 ? progress->rows_done / seconds : 0);
	nulls[6] = seconds <= 0 || progress->rows_done < 0;
	nulls[7] = done <= 0 || total < done;
	if (!nulls[7])
		values[7] = TimestampTzGetDatum(GetCurrentTimestamp() +
										(int64) Min(seconds * (total - done) / done * 1000000.0,
													100.0 * USECS_PER_DAY * 365));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
