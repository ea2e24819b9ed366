/*
 * input_progress.c
 *		Tells in shared memory what a reader is at, for streaming.stat_progress.
 *
 * It is busy from the first batch that looks for rows until one has taken all there is.
 * Only the process that runs the view writes, so nothing needs a lock; who looks may see
 * the numbers of two moments.
 */
#include "postgres.h"

#include "streaming.h"

#include "input/input_internal.h"

void
streaming_show_busy(StreamingInput *input)
{
	StreamingViewReader *reader = input->reader;
	int64		from = input->stream->kind == STREAMING_SOURCE_PUSH ? -1 :
		streaming_offsets_get(&input->next, 0);

	pg_atomic_write_u64(&reader->batch_rows, 0);
	if (pg_atomic_read_u64(&reader->busy_since) != 0)
		return;
	pg_atomic_write_u64(&reader->busy_rows, 0);
	pg_atomic_write_u64(&reader->busy_from, (uint64) from);
	pg_atomic_write_u64(&reader->busy_since, streaming_now());
}

void
streaming_show_idle(StreamingInput *input)
{
	pg_atomic_write_u64(&input->reader->busy_since, 0);
	pg_atomic_write_u32(&input->reader->phase, STREAMING_PHASE_FOLLOWS);
}

void
streaming_show_committed(StreamingInput *input)
{
	pg_atomic_fetch_add_u64(&input->reader->busy_rows, input->batch_rows);
	pg_atomic_write_u64(&input->reader->batch_rows, 0);
}

void
streaming_input_show_reset(StreamingInput *input)
{
	pg_atomic_write_u32(&input->reader->phase, STREAMING_PHASE_RESET);
}

pg_atomic_uint64 *
streaming_input_show_load(StreamingInput *input, bool counted)
{
	streaming_show_busy(input);
	pg_atomic_write_u32(&input->reader->phase,
						counted ? STREAMING_PHASE_LOAD_COUNTED : STREAMING_PHASE_LOAD);
	return &input->reader->batch_rows;
}
