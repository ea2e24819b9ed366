/*
 * input_source.c
 *		Reading a batch from the source itself.
 *
 * For a view that the buffer has nothing for: it begins long before the buffer,
 * or has been left behind.  The records of a batch are decoded when it begins
 * and kept in a tuplestore, so that the plan may read them as often as it likes,
 * and so that everything that can go wrong with a source does so before any
 * state has been touched.  A batch has at most streaming.batch_rows records, and
 * the source stays open from one to the next.
 *
 * A source is read up to the end it has when it is asked; then it is asked
 * again.  At an end the position of every partition is known, so the buffer,
 * which began at some position of the source, sooner or later begins at or
 * before it, and the reader goes over to it (input.c tries before each batch).
 */
#include "postgres.h"

#include "streaming.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "input/input_internal.h"
#include "catalog/checkpoint.h"
#include "catalog/read_columns.h"

static StreamingSourceScan *open_source(StreamingInput *input);
static void identify(StreamingInput *input);
static void note_missed(StreamingInput *input);
static void forget_deleted(StreamingInput *input, StreamingSource *source);
static void read_batch(StreamingInput *input);
static void keep_row(StreamingInput *input);
static bool has_reached_plan(const StreamingInput *input, const StreamingPositions *positions);
static void move_as_planned(StreamingInput *input);
static void take_positions(StreamingInput *input, const StreamingPositions *positions);
static void positions_of(const StreamingOffsets *offsets, StreamingPositions *positions);

/* Outlives the batch: in the input's own context. */
static StreamingSourceScan *
open_source(StreamingInput *input)
{
	MemoryContext old = MemoryContextSwitchTo(input->context);

	if (input->source == NULL)
	{
		input->source = streaming_source_scan_open(input->stream, STREAMING_READ_CATCHUP,
												   streaming_columns_bitmap(&input->columns));
		input->source->write_rejects = true;
		input->seek = true;
	}
	MemoryContextSwitchTo(old);
	return input->source;
}

void
streaming_source_leave(StreamingInput *input)
{
	if (input->source)
		streaming_source_scan_close(input->source);
	input->source = NULL;
}

/*
 * A view without a checkpoint: asks the source where it is to begin.  The
 * batch has no rows; its commit makes the answer durable.
 */
void
streaming_source_decide(StreamingInput *input)
{
	StreamingSourceScan *scan = open_source(input);
	const char *start = input->start ? input->start : input->stream->start;
	StreamingPositions positions;

	streaming_positions_init(&positions);
	identify(input);
	forget_deleted(input, scan->source);
	scan->source->routine->start(scan->source, start ? start : "earliest",
								 streaming_connect_timeout, &positions);
	take_positions(input, &positions);
	/* the ring has what was in files before they were changed */
	if (scan->source->changed)
		streaming_buffer_doubt(input->shared);
	streaming_source_leave(input);
	input->mode = STREAMING_INPUT_NONE;
}

/* Before a seek: is it the source that next is of? */
static void
identify(StreamingInput *input)
{
	StreamingSource *source = input->source->source;

	input->source_incarnation = source->routine->identify == NULL ? 0 :
		source->routine->identify(source, streaming_connect_timeout);
	streaming_input_check_incarnation(input, input->source_incarnation);
	input->batch_incarnation = input->source_incarnation;
}

/* What the batch rejects is noted in its own memory. */
static void
note_missed(StreamingInput *input)
{
	input->source->missed = &input->missed;
	input->source->missed_context = input->batch_context;
}

/* What the source has lost before the other views' positions is no loss to us. */
static void
forget_deleted(StreamingInput *input, StreamingSource *source)
{
	StreamingStream *stream = input->stream;
	StreamingPositions needed;
	ListCell   *lc;

	if (source->routine->forget == NULL)
		return;
	streaming_positions_init(&needed);
	foreach(lc, streaming_checkpoint_read(InvalidOid, stream->relid))
	{
		StreamingCheckpoint *row = lfirst(lc);
		int32		partition = streaming_checkpoint_partition(row);
		int64		offset = streaming_position_in(stream->kind, row->position);
		int64		known = streaming_positions_get(&needed, partition);

		if (known < 0 || offset < known)
			streaming_positions_set(&needed, partition, offset);
	}
	source->routine->forget(source, &needed);
}

/* False: the source has nothing more than we have. */
bool
streaming_source_begin(StreamingInput *input)
{
	StreamingSourceScan *scan = open_source(input);
	bool		known;

	if (input->seek)
	{
		StreamingPositions positions;

		identify(input);
		positions_of(&input->next, &positions);
		streaming_source_scan_start(scan, &positions);
		input->seek = false;
	}
	else if (streaming_source_scan_at_end(scan))
		streaming_source_scan_start(scan, NULL);

	/* Where there is nothing to read there may still be something to know. */
	known = true;
	for (int i = 0; i < scan->end.n; i++)
		if (streaming_offsets_get(&input->next, scan->end.pos[i].partition) <
			scan->end.pos[i].offset)
			known = false;
	if (known && streaming_source_scan_at_end(scan))
		return false;

	input->batch_incarnation = input->source_incarnation;

	/* Should anything fail from here on, the source is not where next is. */
	input->seek = true;
	note_missed(input);
	read_batch(input);
	input->size = tuplestore_tuple_count(input->store) > STREAMING_FEW_ROWS ?
		STREAMING_SIZE_MANY : STREAMING_SIZE_FEW;
	input->mode = STREAMING_INPUT_SOURCE;
	return true;
}

/*
 * What is behind the end of a partition may come before another one's end; it is
 * passed over, and read again by the next batch.  A view that is yet to begin
 * takes nothing, and only moves.
 */
void
streaming_source_begin_planned(StreamingInput *input)
{
	StreamingSourceScan *scan = open_source(input);
	StreamingPositions positions;

	identify(input);
	input->seek = true;
	note_missed(input);
	input->batch_rows = 0;
	input->batch_more = true;
	input->store = tuplestore_begin_heap(true, false, work_mem);
	input->mode = STREAMING_INPUT_SOURCE;
	positions_of(&input->next, &positions);
	if (!input->initial)
		streaming_source_scan_start(scan, &positions);
	/* positions are ahead of the rows in the middle of what was polled */
	while (!input->initial && !has_reached_plan(input, &scan->positions) &&
		   !streaming_source_scan_at_end(scan))
	{
		bool		found = streaming_source_scan_next(scan, streaming_batch_rows);

		for (; found; found = streaming_source_scan_next(scan, 0))
		{
			if (scan->record->offset < streaming_offsets_get(&input->planned_end,
															 scan->record->partition))
				keep_row(input);
			CHECK_FOR_INTERRUPTS();
		}
	}
	move_as_planned(input);
}

static bool
has_reached_plan(const StreamingInput *input, const StreamingPositions *positions)
{
	for (int i = 0; i < input->planned_end.n; i++)
	{
		if (Max(streaming_offsets_get(&input->next, i), streaming_positions_get(positions, i)) <
			input->planned_end.next[i])
			return false;
	}
	return true;
}

static void
move_as_planned(StreamingInput *input)
{
	streaming_offsets_copy(&input->after, &input->next);
	for (int i = 0; i < input->planned_end.n; i++)
	{
		if (streaming_offsets_get(&input->after, i) < input->planned_end.next[i])
			streaming_offsets_set(&input->after, i, input->planned_end.next[i]);
	}
}

/* The row that the scan has returned. */
static void
keep_row(StreamingInput *input)
{
	StreamingSourceScan *scan = input->source;

	tuplestore_putvalues(input->store, input->stream->tupdesc, scan->values, scan->isnull);
	if (input->event_attno && !scan->isnull[input->event_attno - 1])
		streaming_track_time(input, scan->record->partition,
							 DatumGetTimestampTz(scan->values[input->event_attno - 1]));
	streaming_show_rows(input, ++input->batch_rows);
}

static void
read_batch(StreamingInput *input)
{
	StreamingSourceScan *scan = input->source;
	int64		limit = input->max_rows > 0 ? input->max_rows : streaming_batch_rows;
	int64		files = 0;
	int64		file = -1;
	bool		cut = false;

	input->batch_rows = 0;
	input->store = tuplestore_begin_heap(true, false, work_mem);
	while (input->batch_rows < limit &&
		   streaming_source_scan_next(scan, limit - input->batch_rows))
	{
		if (input->max_files > 0 && input->stream->kind == STREAMING_SOURCE_DIRECTORY &&
			scan->record->offset >> 32 != file)
		{
			if (files++ == input->max_files)
			{
				cut = true;
				break;
			}
			file = scan->record->offset >> 32;
		}
		keep_row(input);
		CHECK_FOR_INTERRUPTS();
	}
	take_positions(input, &scan->positions);
	if (cut)
		streaming_offsets_set(&input->after, scan->record->partition, scan->record->offset);
	else if (streaming_source_scan_at_end(scan))
	{
		for (int i = 0; i < scan->end.n; i++)
		{
			StreamingPosition *end = &scan->end.pos[i];

			if (streaming_offsets_get(&input->after, end->partition) < end->offset)
				streaming_offsets_set(&input->after, end->partition, end->offset);
		}
	}
	input->seek = cut;

	/* Even at the end: the next batch asks again, or finds the buffer. */
	input->batch_more = true;
}

/* after = next, moved to positions; in the batch's context. */
static void
take_positions(StreamingInput *input, const StreamingPositions *positions)
{
	streaming_offsets_copy(&input->after, &input->next);
	for (int i = 0; i < positions->n; i++)
		streaming_offsets_set(&input->after, positions->pos[i].partition,
							  positions->pos[i].offset);
}

static void
positions_of(const StreamingOffsets *offsets, StreamingPositions *positions)
{
	streaming_positions_init(positions);
	for (int i = 0; i < offsets->n; i++)
		if (offsets->next[i] >= 0)
			streaming_positions_set(positions, i, offsets->next[i]);
}

/* ----------
 * Scans of the tuplestore, each with a read pointer of its own
 * ----------
 */

void
streaming_store_scan_open(StreamingInputScan *scan)
{
	Tuplestorestate *store = scan->input->store;

	scan->read_pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(store, scan->read_pointer);
	tuplestore_rescan(store);
}

TupleTableSlot *
streaming_store_scan_next(StreamingInputScan *scan)
{
	StreamingInput *input = scan->input;

	tuplestore_select_read_pointer(input->store, scan->read_pointer);
	if (tuplestore_gettupleslot(input->store, true, false, scan->slot))
		return scan->slot;
	scan->rows = input->batch_rows;
	streaming_scan_done(scan, input->batch_more);
	return NULL;
}

void
streaming_store_scan_reset(StreamingInputScan *scan)
{
	ExecClearTuple(scan->slot);
	tuplestore_select_read_pointer(scan->input->store, scan->read_pointer);
	tuplestore_rescan(scan->input->store);
}
