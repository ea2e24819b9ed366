/*
 * input_event_time.c
 *		The event time that a stream has reached, from what a view has taken.
 *
 * Of each partition the largest event time is kept; it is written with the
 * position, in streaming.checkpoints.  The stream has reached the smallest of
 * them, over the partitions that are active:
 *
 *	records not taken yet		active, whatever the clock says
 *	at its end					active until streaming.idle_partition_timeout has
 *								passed since it moved last; a time in which the
 *								source could not be read does not count
 *	no row with a time, at its end	not active
 *
 * If none is active, the largest counts: in which order partitions fell idle
 * must not matter.  As long as the ingest worker has not heard of the end of
 * every partition, or is in trouble, nothing is said at all: what it has not heard
 * of may be full of old rows.
 *
 * Infinite times are no times: one such row would be the last.  So are those that
 * are farther ahead of the clock than the column's option max_ahead, when they are
 * taken.  A column of type timestamp is taken as UTC.
 */
#include "postgres.h"

#include "streaming.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/checkpoint.h"
#include "input/input_internal.h"

static void set_time(StreamingEventTimes *times, int32 partition, TimestampTz time);
static bool known_end(StreamingInput *input, int32 partition, int64 *end);

static inline TimestampTz
get_time(const StreamingEventTimes *times, int32 partition)
{
	return partition < times->n ? times->time[partition] : DT_NOBEGIN;
}

/* In CurrentMemoryContext, or where the array is. */
static void
set_time(StreamingEventTimes *times, int32 partition, TimestampTz time)
{
	if (partition >= times->n)
	{
		int			n = Max(partition + 1, 16);

		if (times->time == NULL)
			times->time = palloc(sizeof(TimestampTz) * n);
		else
			times->time = repalloc(times->time, sizeof(TimestampTz) * n);
		while (times->n < n)
			times->time[times->n++] = DT_NOBEGIN;
	}
	times->time[partition] = time;
}

/* Partitions of a pushed stream's checkpoint: "0". */
void
streaming_input_track(StreamingInput *input, AttrNumber attno, void (*rescanned) (void))
{
	MemoryContext old = MemoryContextSwitchTo(input->context);
	ListCell   *lc;

	input->event_attno = attno;
	input->rescanned = rescanned;
	foreach(lc, streaming_checkpoint_read(input->view, input->stream->relid))
	{
		StreamingCheckpoint *row = lfirst(lc);
		int32		partition = streaming_checkpoint_partition(row);

		set_time(&input->event_times, partition, row->event_time);
		set_time(&input->moved, partition, streaming_time_of(row->committed_at));
	}
	MemoryContextSwitchTo(old);
}

void
streaming_track_begin(StreamingInput *input)
{
	Interval   *ahead = input->event_attno == 0 ? NULL :
		input->stream->columns[input->event_attno - 1].max_ahead;

	input->latest = ahead ? GetCurrentTimestamp() + streaming_interval_ms(ahead) * 1000 :
		DT_NOEND;
}

void
streaming_track_time(StreamingInput *input, int32 partition, TimestampTz time)
{
	if (time <= get_time(&input->batch_times, partition) || TIMESTAMP_NOT_FINITE(time) ||
		time > input->latest)
		return;
	if (partition < input->batch_times.n)
		input->batch_times.time[partition] = time;
	else
	{
		MemoryContext old = MemoryContextSwitchTo(input->batch_context);

		set_time(&input->batch_times, partition, time);
		MemoryContextSwitchTo(old);
	}
}

/* With the batch, if one is under way. */
TimestampTz
streaming_partition_time(StreamingInput *input, int32 partition)
{
	return Max(get_time(&input->event_times, partition),
			   get_time(&input->batch_times, partition));
}

void
streaming_track_committed(StreamingInput *input)
{
	StreamingTime now = streaming_now();
	int			n = Max(input->batch_times.n, input->after.n);

	if (input->event_attno == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		TimestampTz time = get_time(&input->batch_times, i);

		if (time > get_time(&input->event_times, i))
			set_time(&input->event_times, i, time);
		if (streaming_offsets_get(&input->after, i) != streaming_offsets_get(&input->next, i))
			set_time(&input->moved, i, now);
	}
}

/*
 * The end of a partition as the ingest worker knows it; false: not known.  Of
 * partitions that shared memory has no room for it is only known whether the
 * ingest worker has read them all, and whether we have taken all that it had.
 */
static bool
known_end(StreamingInput *input, int32 partition, int64 *end)
{
	StreamingStreamShared *shared = input->shared;

	for (int i = 0; i < Min(shared->npartitions, STREAMING_MAX_PARTITIONS); i++)
	{
		if (shared->partitions[i].partition == partition)
		{
			*end = shared->partitions[i].end;
			return *end >= 0;
		}
	}
	*end = 0;
	return shared->npartitions <= STREAMING_MAX_PARTITIONS ||
		(shared->rest_lag == 0 && input->reader->mode == STREAMING_INPUT_BUFFER &&
		 !input->batch_more && !input->more);
}

/* Caller holds the stream's lock. */
static bool
has_unread(StreamingInput *input, int32 partition, const StreamingOffsets *position)
{
	int64		end;

	return !known_end(input, partition, &end) ||
		Max(streaming_offsets_get(position, partition), 0) < end;
}

/* The highest partition number there is, and one more. */
static int
count_partitions(StreamingInput *input)
{
	StreamingStreamShared *shared = input->shared;
	int			n = Max(input->event_times.n, input->batch_times.n);

	for (int i = 0; i < Min(shared->npartitions, STREAMING_MAX_PARTITIONS); i++)
		n = Max(n, shared->partitions[i].partition + 1);
	return n;
}

TimestampTz
streaming_input_event_time(StreamingInput *input, bool in_batch, StreamingTime now,
						   StreamingTime *due)
{
	const StreamingOffsets *position = in_batch ? &input->after : &input->next;
	TimestampTz lowest = DT_NOEND;
	TimestampTz highest = DT_NOBEGIN;
	int			n;

	*due = STREAMING_TIME_NEVER;
	if (input->stream->kind != STREAMING_SOURCE_KAFKA)
		return streaming_partition_time(input, 0);

	LWLockAcquire(input->shared->lock, LW_SHARED);
	n = input->shared->unheard == 0 ? count_partitions(input) : 0;
	for (int i = 0; i < n; i++)
	{
		TimestampTz time = streaming_partition_time(input, i);
		StreamingTime moved = get_time(&input->moved, i);
		StreamingTime idle = STREAMING_TIME_NEVER;

		if (in_batch && streaming_offsets_get(position, i) != streaming_offsets_get(&input->next, i))
			moved = now;
		highest = Max(highest, time);
		if (!has_unread(input, i, position))
		{
			if (time == DT_NOBEGIN)
				continue;
			if (streaming_idle_partition_timeout > 0)
				idle = streaming_time_plus(Max(moved, input->shared->heard_since),
										   streaming_idle_partition_timeout);
			if (idle <= now)
				continue;
		}
		lowest = Min(lowest, time);
		*due = Min(*due, idle);
	}
	LWLockRelease(input->shared->lock);
	if (lowest == DT_NOEND)
		lowest = highest;
	if (lowest == highest)
		*due = STREAMING_TIME_NEVER;
	return lowest;
}
