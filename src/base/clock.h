/*
 * clock.h
 *		Time between two moments, by a clock that only goes forward.
 *
 * The wall clock (TimestampTz) may be set back or forth, and is for what people
 * read and for what must survive a restart.  Everything that waits or measures
 * uses this one.  All processes of the server see the same clock, so a
 * StreamingTime may be in shared memory; on disk it has no meaning.
 */
#ifndef STREAMING_CLOCK_H
#define STREAMING_CLOCK_H

#include "portability/instr_time.h"
#include "utils/timestamp.h"

/* In microseconds; 0 is long ago. */
typedef int64 StreamingTime;

#define STREAMING_TIME_NEVER	PG_INT64_MAX

static inline StreamingTime
streaming_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (StreamingTime) INSTR_TIME_GET_MICROSEC(now);
}

/* ms after time */
static inline StreamingTime
streaming_time_plus(StreamingTime time, int64 ms)
{
	return time + ms * 1000;
}

/* Have ms passed from since to now? */
static inline bool
streaming_time_passed(StreamingTime since, StreamingTime now, int64 ms)
{
	return now - since >= ms * 1000;
}

/* From now to due, rounded up; 0 if due has come. */
static inline int64
streaming_ms_until(StreamingTime now, StreamingTime due)
{
	return due <= now ? 0 : (due - now - 1) / 1000 + 1;
}

/* When the wall clock said at, which is about now or earlier. */
static inline StreamingTime
streaming_time_of(TimestampTz at)
{
	TimestampTz wall = GetCurrentTimestamp();

	return streaming_now() - (at < wall ? wall - at : 0);
}

#endif							/* STREAMING_CLOCK_H */
