/*
 * late.c
 *		Rows that come after their group has closed.
 *
 * The first stage of a view that depends on a watermark asks
 *
 *		WHERE streaming_internal.in_time(<time at which the row's group closes>)
 *			  IS NOT NULL
 *
 * which the planner puts on the scan, behind the query's other conditions: the
 * function is declared expensive.  Of IS NOT NULL it expects nearly all rows, of a
 * boolean function a third, and would rather sort than hash the others.  The watermark is that of the beginning of the
 * batch, so within a batch nothing is late.
 */
#include "postgres.h"

#include "fmgr.h"

#include "exec/late.h"

PG_FUNCTION_INFO_V1(streaming_in_time);

static bool running = false;
static TimestampTz closed_until;
static bool drop_open;			/* groups that never close */
static int64 late_rows;			/* of this pass through the batch */
static int64 most_late_rows;	/* of a pass */

void
streaming_late_begin(TimestampTz watermark, bool only_closing)
{
	running = true;
	closed_until = watermark;
	drop_open = only_closing;
	late_rows = most_late_rows = 0;
}

void
streaming_late_rescan(void)
{
	most_late_rows = Max(most_late_rows, late_rows);
	late_rows = 0;
}

int64
streaming_late_end(void)
{
	streaming_late_rescan();
	running = false;
	return most_late_rows;
}

/* streaming_internal.in_time(closes timestamptz) returns boolean */
Datum
streaming_in_time(PG_FUNCTION_ARGS)
{
	TimestampTz closes = PG_ARGISNULL(0) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(0);
	bool		late;

	if (!running)
		PG_RETURN_BOOL(true);
	if (TIMESTAMP_NOT_FINITE(closes))
		late = drop_open;
	else
		late = closes <= closed_until;
	if (late)
	{
		late_rows++;
		PG_RETURN_NULL();
	}
	PG_RETURN_BOOL(true);
}
