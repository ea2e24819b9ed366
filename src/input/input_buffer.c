/*
 * input_buffer.c
 *		Reading a batch from the buffer.
 *
 * A batch is a range of the ring: from the reader's place to what was published
 * when the batch began.  A scan goes through the rows in the order in which
 * they were written, keeps its own copy of the next offset of each partition,
 * passes over what is before it and lets markers move it.  Limits of rows and
 * files are counted from the batch's first row, so every scan of a batch ends at
 * the same row.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "input/input_internal.h"
#include "buffer/shift_slot.h"

static bool is_large(const StreamingBufferRange *range);
static bool next_part(StreamingInputScan *scan);
static void close_part(StreamingInputScan *scan);
static bool limit_reached(StreamingInputScan *scan, const StreamingBufferRow *row);
static void end_of_batch(StreamingInputScan *scan, bool limited);

/*
 * False: nothing new (the reader's mode is still BUFFER), or the ring is of no
 * use to it now.
 */
bool
streaming_buffer_begin(StreamingInput *input)
{
	StreamingViewReader *reader = input->reader;

	for (int attempt = 0; attempt < 2; attempt++)
	{
		if (reader->mode != STREAMING_INPUT_BUFFER &&
			!streaming_buffer_enter(input->shared, reader, input->stream->tupdesc,
									&input->columns, input->next.next, input->next.n))
			return false;
		if (streaming_buffer_range(input->shared, reader, &input->range))
		{
			input->mode = STREAMING_INPUT_BUFFER;
			input->size = is_large(&input->range) ? STREAMING_SIZE_MANY : STREAMING_SIZE_FEW;
			return true;
		}
		if (reader->mode == STREAMING_INPUT_BUFFER)
			return false;
	}
	return false;
}

static bool
is_large(const StreamingBufferRange *range)
{
	BlockNumber pages = 0;

	for (int i = 0; i < range->n; i++)
	{
		const StreamingBufferPart *part = &range->parts[i];

		pages += ItemPointerGetBlockNumber(&part->upto) + 1;
		if (ItemPointerIsValid(&part->after))
			pages -= ItemPointerGetBlockNumber(&part->after);
	}
	return pages > STREAMING_MANY_PAGES;
}

void
streaming_buffer_scan_open(StreamingInputScan *scan)
{
	streaming_offsets_copy(&scan->next, &scan->input->next);
	scan->part = -1;
	scan->file = -1;
}

TupleTableSlot *
streaming_buffer_scan_next(StreamingInputScan *scan)
{
	for (;;)
	{
		StreamingBufferRow row;

		if (scan->scan == NULL && !next_part(scan))
		{
			end_of_batch(scan, false);
			return NULL;
		}
		if (!table_scan_getnextslot_tidrange(scan->scan, ForwardScanDirection, scan->stored))
		{
			close_part(scan);
			continue;
		}

		streaming_buffer_row(scan->stored, &row);
		if (unlikely(row.marker))
		{
			if (row.partition != STREAMING_NO_PARTITION &&
				streaming_offsets_get(&scan->next, row.partition) < row.offset)
				streaming_offsets_set(&scan->next, row.partition, row.offset);
			scan->last = row.tid;
			continue;
		}
		if (row.offset < streaming_offsets_get(&scan->next, row.partition))
		{
			scan->last = row.tid;
			continue;
		}
		if (unlikely(limit_reached(scan, &row)))
		{
			end_of_batch(scan, true);
			return NULL;
		}
		if (likely(row.partition < scan->next.n))
			scan->next.next[row.partition] = row.offset + 1;
		else
			streaming_offsets_set(&scan->next, row.partition, row.offset + 1);
		scan->last = row.tid;
		if (unlikely(row.rejected))
		{
			streaming_missed_add(&scan->missed, row.partition, row.offset);
			continue;
		}
		streaming_show_rows(scan->input, ++scan->rows);
		streaming_shift_slot_set(scan->slot);
		streaming_track_row(scan->input, row.partition, scan->slot);
		return scan->slot;
	}
}

static bool
limit_reached(StreamingInputScan *scan, const StreamingBufferRow *row)
{
	StreamingInput *input = scan->input;

	if (input->max_rows > 0 && scan->rows >= input->max_rows)
		return true;
	if (input->max_files > 0 && input->stream->kind == STREAMING_SOURCE_DIRECTORY)
	{
		int64		file = row->offset >> 32;

		if (file != scan->file)
		{
			if (scan->files >= input->max_files)
				return true;
			scan->file = file;
			scan->files++;
		}
	}
	return false;
}

/* Opens the next part of the range; false: there is none. */
static bool
next_part(StreamingInputScan *scan)
{
	StreamingBufferRange *range = &scan->input->range;
	StreamingBufferPart *part;

	if (scan->part + 1 >= range->n)
		return false;
	part = &range->parts[++scan->part];
	scan->rel = table_open(part->relid, NoLock);	/* locked by the range */
	streaming_stored_slot_set(scan->stored, scan->rel, scan->input->stream->tupdesc,
							  STREAMING_BUFFER_SHIFT);
	scan->scan = streaming_buffer_scan(scan->rel, GetActiveSnapshot(), part);
	scan->last = part->after;
	return true;
}

static void
close_part(StreamingInputScan *scan)
{
	ExecClearTuple(scan->stored);
	table_endscan(scan->scan);
	table_close(scan->rel, NoLock);
	scan->scan = NULL;
	scan->rel = NULL;
}

/*
 * The scan has seen the batch.  The first one to get here tells where it ends:
 * with its range, or before the row that a limit kept out.
 */
static void
end_of_batch(StreamingInputScan *scan, bool limited)
{
	StreamingInput *input = scan->input;
	StreamingBufferPart *part = &input->range.parts[scan->part];

	if (!input->done)
	{
		MemoryContext old = MemoryContextSwitchTo(input->batch_context);

		streaming_offsets_copy(&input->after, &scan->next);
		MemoryContextSwitchTo(old);
		input->missed = scan->missed;
		memset(&scan->missed, 0, sizeof(scan->missed));
		input->place.number = part->number;
		input->place.tid = limited ? scan->last : part->upto;
		input->place_rows = limited ? input->reader->rows + scan->rows : part->rows;
	}
	if (scan->scan)
		close_part(scan);
	streaming_scan_done(scan, limited || input->range.more);
}

void
streaming_buffer_scan_reset(StreamingInputScan *scan)
{
	if (scan->scan)
		close_part(scan);
	streaming_offsets_copy(&scan->next, &scan->input->next);
	scan->missed.n = 0;
	scan->part = -1;
	scan->file = -1;
	scan->files = 0;
}
