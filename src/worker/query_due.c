/*
 * query_due.c
 *		When a query worker's view is to be run: see query_worker.c.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgstat.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "streaming.h"
#include "worker/query_run.h"

#define CLOCK_JUMP			1000	/* ms; the wall clock has been set, not slewed */

static void
due_at(StreamingTime due, StreamingTime now, long *timeout)
{
	long		ms = (long) Min(streaming_ms_until(now, due), PG_INT32_MAX);

	*timeout = *timeout < 0 ? ms : Min(*timeout, ms);
}

/* What the wall clock is ahead of the other one. */
static int64
clock_offset(void)
{
	return GetCurrentTimestamp() - streaming_now();
}

void
streaming_run_set_due(StreamingRun *run)
{
	const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	int64		since_epoch = GetCurrentTimestamp() + epoch;

	run->due_offset = clock_offset();
	run->due = streaming_now() + run->trigger_us - since_epoch % run->trigger_us;
}

/* Something has come, or the watermark may move without. */
static bool
has_work(StreamingRun *run, StreamingTime now, long *timeout)
{
	StreamingTime due;

	if (run->more || streaming_view_has_input(run->state))
	{
		if (run->paced <= now + PACE_SLACK)
			return true;
		due_at(run->paced, now, timeout);
		return false;
	}
	due = streaming_view_due(run->state);
	if (due > now && due != STREAMING_TIME_NEVER)
		due_at(due, now, timeout);
	return due <= now;
}

/*
 * Input that was there when the last batch ended waits for the time that is due
 * since then; what arrives later than that waits for the next multiple.  So
 * nothing needs to wake us while there is no input.
 */
static bool
interval_is_due(StreamingRun *run, StreamingTime now, long *timeout)
{
	if (!has_work(run, now, timeout))
		return false;
	if (!run->limited && streaming_view_is_urgent(run->state))
		run->catching_up = true;
	if (run->catching_up)
		return true;
	if (run->due <= now && run->input_seen)
		return true;
	if (run->due <= now || llabs(clock_offset() - run->due_offset) > CLOCK_JUMP * 1000)
		streaming_run_set_due(run);
	run->input_seen = true;
	due_at(run->due, now, timeout);
	return false;
}

bool
streaming_run_is_due(StreamingRun *run, StreamingTime now, long *timeout)
{
	/* Without the lock: what is pushed after a drain has returned is not its. */
	if (run->drained && streaming_view_slots[run->index].drainers == 0)
		run->drained = false;
	if (run->state && streaming_view_is_held_back(run->state))
	{
		due_at(streaming_time_plus(now, HELD_BACK), now, timeout);
		return false;
	}
	if (run->held_until > now && !run->drained)
	{
		due_at(run->held_until, now, timeout);
		return false;
	}
	if (run->limited_until > now)
	{
		due_at(run->limited_until, now, timeout);
		return false;
	}
	if (run->requested > run->failed_request && run->requested > run->served)
		return true;			/* a new request */
	if (run->retry_at > now)
	{
		due_at(run->retry_at, now, timeout);
		return false;
	}
	if (run->state == NULL)
		return true;			/* to be opened */
	if (run->drained && (run->failures > 0 || run->requested > run->served))
		return true;
	if (run->trigger == STREAMING_TRIGGER_MANUAL && !run->drained)
		return false;
	if (run->failures > 0)
		return true;
	if (run->more && !(run->limited && run->trigger == STREAMING_TRIGGER_INTERVAL))
		return true;
	if (run->trigger == STREAMING_TRIGGER_INTERVAL && !run->drained)
		return interval_is_due(run, now, timeout);
	return has_work(run, now, timeout);
}

bool
streaming_runs_keep_pace(List *runs)
{
	StreamingTime now = streaming_now();
	StreamingTime due = STREAMING_TIME_NEVER;
	ListCell   *lc;

	foreach(lc, runs)
	{
		StreamingRun *run = lfirst(lc);

		if (run->paced <= now + PACE_SLACK)
			return false;
		due = Min(due, run->paced);
	}
	if (due > now + PACE_INTERVAL)
		return false;
	pgstat_report_wait_start(PG_WAIT_EXTENSION);
	pg_usleep(due - now);
	pgstat_report_wait_end();
	return true;
}
