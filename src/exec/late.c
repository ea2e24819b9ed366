/*
 * late.c
 *		Rows that come after their group has closed.
 *
 * Where rows of a stream are grouped by a window, the statement asks
 *
 *		WHERE streaming_internal.in_time(<time at which the row's group closes>, ...)
 *			  IS NOT NULL
 *
 * which the planner puts on the scan, behind the query's other conditions: the
 * function is declared expensive.  Of IS NOT NULL it expects nearly all rows, of a
 * boolean function a third, and would rather sort than hash the others.  The watermark is that of the beginning of the
 * batch, so within a batch nothing is late.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"

#include "exec/late.h"

PG_FUNCTION_INFO_V1(streaming_window_end);
PG_FUNCTION_INFO_V1(streaming_in_time);

static bool running = false;
static TimestampTz closed_until;
static int64 late_rows;			/* of this pass of a statement through its input */
static int64 most_late_rows;	/* of its passes */
static int64 all_late_rows;		/* of the statements before */

void
streaming_late_begin(TimestampTz watermark)
{
	running = true;
	closed_until = watermark;
	late_rows = most_late_rows = all_late_rows = 0;
}

void
streaming_late_rescan(void)
{
	most_late_rows = Max(most_late_rows, late_rows);
	late_rows = 0;
}

void
streaming_late_next(bool count)
{
	streaming_late_rescan();
	if (count)
		all_late_rows += most_late_rows;
	most_late_rows = 0;
}

int64
streaming_late_end(void)
{
	streaming_late_next(true);
	running = false;
	return all_late_rows;
}

/*
 * streaming_internal.in_time(closes timestamptz, must_close boolean) returns boolean:
 * groups that never close, which are those of times that are NULL or infinite, are
 * dropped where they must close (append; sessions).
 */
Datum
streaming_in_time(PG_FUNCTION_ARGS)
{
	TimestampTz closes = PG_ARGISNULL(0) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(0);
	bool		late;

	if (!running)
		PG_RETURN_BOOL(true);
	if (TIMESTAMP_NOT_FINITE(closes))
		late = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	else
		late = closes <= closed_until;
	if (late)
	{
		late_rows++;
		PG_RETURN_NULL();
	}
	PG_RETURN_BOOL(true);
}

/*
 * A width in microseconds, or somewhat more.  Where there is as much before the
 * end of all timestamps it can be added, in any time zone.
 */
static uint64
microseconds(const Interval *width)
{
	int64		days = (int64) width->month * 31 + width->day + 2;
	int64		usecs;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, width->time, &usecs))
		return PG_UINT64_MAX;
	return Max(usecs, 0);
}

TimestampTz
streaming_time_less(TimestampTz time, const Interval *delay)
{
	if (TIMESTAMP_NOT_FINITE(time) ||
		(uint64) time - (uint64) MIN_TIMESTAMP < microseconds(delay))
		return DT_NOBEGIN;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamp_mi_interval,
												   TimestampTzGetDatum(time),
												   IntervalPGetDatum(unconstify(Interval *, delay))));
}

/*
 * streaming_internal.window_end(start timestamptz, width interval, zone text) returns
 * timestamptz: the end of a window by the clock of zone; NULL: of the session's.
 */
Datum
streaming_window_end(PG_FUNCTION_ARGS)
{
	TimestampTz start;
	Datum		width;
	Datum		end;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	width = PG_GETARG_DATUM(1);
	start = PG_GETARG_TIMESTAMPTZ(0);
	if (TIMESTAMP_NOT_FINITE(start))
		PG_RETURN_TIMESTAMPTZ(start);
	if ((uint64) END_TIMESTAMP - (uint64) start <= microseconds(DatumGetIntervalP(width)))
		PG_RETURN_TIMESTAMPTZ(DT_NOEND);
	if (PG_ARGISNULL(2))
		PG_RETURN_DATUM(DirectFunctionCall2(timestamptz_pl_interval, PG_GETARG_DATUM(0), width));
	end = DirectFunctionCall2(timestamptz_zone, PG_GETARG_DATUM(2), PG_GETARG_DATUM(0));
	end = DirectFunctionCall2(timestamp_pl_interval, end, width);
	PG_RETURN_DATUM(DirectFunctionCall2(timestamp_zone, PG_GETARG_DATUM(2), end));
}
