/*
 * windows.c
 *		Event-time windows as SQL functions: streaming.tumble, streaming.hop;
 *		streaming.session is one by name only.
 *
 * Windows are [start, end).  They are aligned to the Unix epoch, as date_bin
 * with origin 'epoch' and Spark's window() are; a day has 24 hours.  A time that
 * is NULL or infinite is in no window.
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

/* Of the Unix epoch, as a TimestampTz. */
#define EPOCH (-(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

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

/* The last multiple of width from the epoch that is not after at. */
static TimestampTz
floor_to(TimestampTz at, int64 width)
{
	int64		offset;

	if (pg_sub_s64_overflow(at, EPOCH, &offset))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	offset %= width;
	return at - (offset < 0 ? offset + width : offset);
}

static Datum
window(TypeCacheEntry *type, TimestampTz start, int64 size)
{
	RangeBound	lower = {.val = TimestampTzGetDatum(start), .inclusive = true, .lower = true};
	RangeBound	upper = {.inclusive = false, .lower = false};
	TimestampTz end;

	if (pg_add_s64_overflow(start, size, &end) || !IS_VALID_TIMESTAMP(start) ||
		!IS_VALID_TIMESTAMP(end))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	upper.val = TimestampTzGetDatum(end);
	return RangeTypePGetDatum(streaming_make_range(type, &lower, &upper));
}

/* streaming.tumble(at timestamptz, size interval) returns tstzrange */
Datum
streaming_tumble(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	int64		size = positive_usecs(PG_GETARG_INTERVAL_P(1), "size");

	if (TIMESTAMP_NOT_FINITE(at))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(window(range_get_typcache(fcinfo, TSTZRANGEOID), floor_to(at, size), size));
}

/* streaming.hop(at timestamptz, slide interval, size interval) returns setof tstzrange */
Datum
streaming_hop(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	Hop		   *hop;
	Datum		result;

	if (SRF_IS_FIRSTCALL())
	{
		context = SRF_FIRSTCALL_INIT();
		hop = MemoryContextAlloc(context->multi_call_memory_ctx, sizeof(Hop));
		hop->type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
		hop->at = PG_GETARG_TIMESTAMPTZ(0);
		hop->slide = positive_usecs(PG_GETARG_INTERVAL_P(1), "slide");
		hop->size = positive_usecs(PG_GETARG_INTERVAL_P(2), "size");
		if (hop->slide > hop->size)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("slide of a window must not be greater than its size"),
					 errdetail("Times between two windows would be in none.")));
		/* the earliest start that is after at - size */
		hop->start = DT_NOEND;
		if (!TIMESTAMP_NOT_FINITE(hop->at))
			hop->start = floor_to(hop->at, hop->slide) -
				(hop->size - 1 - (hop->at - floor_to(hop->at, hop->slide))) /
				hop->slide * hop->slide;
		context->user_fctx = hop;
	}
	context = SRF_PERCALL_SETUP();
	hop = context->user_fctx;
	if (hop->start > hop->at || TIMESTAMP_NOT_FINITE(hop->at))
		SRF_RETURN_DONE(context);
	result = window(hop->type, hop->start, hop->size);
	hop->start += hop->slide;
	SRF_RETURN_NEXT(context, result);
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
