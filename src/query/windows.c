/*
 * windows.c
 *		Event-time windows as SQL functions: streaming.tumble, streaming.hop;
 *		streaming.session is one by name only.
 *
 * Windows are [start, end).  They are aligned to the Unix epoch, as date_bin
 * with origin 'epoch' and Spark's window() are; a day has 24 hours.  A time that
 * is NULL or infinite is in no window, nor in one that would reach beyond the
 * range of timestamps.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "query/compile.h"

/* Of the Unix epoch, as a TimestampTz. */
#define EPOCH (-(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* That a time can be in: a second's slide for a day's size, and somewhat more. */
#define MAX_WINDOWS	100000

PG_FUNCTION_INFO_V1(streaming_tumble);
PG_FUNCTION_INFO_V1(streaming_hop);
PG_FUNCTION_INFO_V1(streaming_session);

/* What hop keeps between its rows. */
typedef struct Hop
{
	TypeCacheEntry *type;
	TimestampTz start;			/* of the next window */
	TimestampTz at;
	int64		slide;
	int64		size;
} Hop;

static int64
positive_usecs(const Interval *interval, const char *what)
{
	int64		days = (int64) interval->day;
	int64		usecs;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s of a window cannot have months or years", what),
				 errhint("Use date_trunc to group by months.")));
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, interval->time, &usecs))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("interval out of range")));
	if (usecs <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of a window must be greater than zero", what)));
	return usecs;
}

/*
 * The last multiple of width from the epoch that is not after at; DT_NOBEGIN: it
 * would be before all timestamps.
 */
static TimestampTz
floor_to(TimestampTz at, int64 width)
{
	int64		rest = at % width;
	uint64		offset = rest < 0 ? rest + width : rest;
	TimestampTz result;

	offset = (offset + (uint64) (-EPOCH % width)) % width;
	return pg_sub_s64_overflow(at, offset, &result) ? DT_NOBEGIN : result;
}

/* False: it would begin or end beyond the range of timestamps. */
static bool
window(TypeCacheEntry *type, TimestampTz start, int64 size, Datum *result)
{
	RangeBound	lower = {.val = TimestampTzGetDatum(start), .inclusive = true, .lower = true};
	RangeBound	upper = {.inclusive = false, .lower = false};
	TimestampTz end;

	if (pg_add_s64_overflow(start, size, &end) || !IS_VALID_TIMESTAMP(start) ||
		!IS_VALID_TIMESTAMP(end))
		return false;
	upper.val = TimestampTzGetDatum(end);
	*result = RangeTypePGetDatum(streaming_make_range(type, &lower, &upper));
	return true;
}

/* streaming.tumble(at timestamptz, size interval) returns tstzrange */
Datum
streaming_tumble(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	int64		size = positive_usecs(PG_GETARG_INTERVAL_P(1), "size");
	Datum		result;

	if (TIMESTAMP_NOT_FINITE(at) ||
		!window(range_get_typcache(fcinfo, TSTZRANGEOID), floor_to(at, size), size, &result))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

static void
read_hop(Hop *hop, const Interval *slide, const Interval *size)
{
	hop->slide = positive_usecs(slide, "slide");
	hop->size = positive_usecs(size, "size");
	if (hop->slide > hop->size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("slide of a window must not be greater than its size"),
				 errdetail("Times between two windows would be in none.")));
	if (hop->size / hop->slide > MAX_WINDOWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a time would be in more than %d windows", MAX_WINDOWS),
				 errhint("Use a larger slide or a smaller size.")));
}

void
streaming_hop_check(const Interval *slide, const Interval *size)
{
	Hop			hop;

	read_hop(&hop, slide, size);
}

/* streaming.hop(at timestamptz, slide interval, size interval) returns setof tstzrange */
Datum
streaming_hop(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	Hop		   *hop;
	TimestampTz last;
	Datum		result;

	if (SRF_IS_FIRSTCALL())
	{
		context = SRF_FIRSTCALL_INIT();
		hop = MemoryContextAlloc(context->multi_call_memory_ctx, sizeof(Hop));
		hop->type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
		hop->at = PG_GETARG_TIMESTAMPTZ(0);
		read_hop(hop, PG_GETARG_INTERVAL_P(1), PG_GETARG_INTERVAL_P(2));
		hop->start = DT_NOEND;
		last = TIMESTAMP_NOT_FINITE(hop->at) ? DT_NOBEGIN : floor_to(hop->at, hop->slide);
		if (last != DT_NOBEGIN)
		{
			/* the earliest start that is after at - size */
			if (pg_sub_s64_overflow(last, (hop->size - 1 - (hop->at - last)) /
									hop->slide * hop->slide, &hop->start))
				hop->start = floor_to(MIN_TIMESTAMP, hop->slide) + hop->slide;
		}
		context->user_fctx = hop;
	}
	context = SRF_PERCALL_SETUP();
	hop = context->user_fctx;
	while (hop->start <= hop->at && hop->start != DT_NOEND)
	{
		TimestampTz start = hop->start;

		if (pg_add_s64_overflow(start, hop->slide, &hop->start))
			hop->start = DT_NOEND;
		if (window(hop->type, start, hop->size, &result))
			SRF_RETURN_NEXT(context, result);
	}
	SRF_RETURN_DONE(context);
}

/*
 * streaming.session(at timestamptz, gap interval): its window depends on other
 * rows, so it stands for something that a continuous view keeps (query/session.c).
 */
Datum
streaming_session(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("streaming.session has a meaning only in GROUP BY of a continuous view"),
			 errhint("In other queries, find the gaps with the window function lag.")));
	PG_RETURN_NULL();
}
