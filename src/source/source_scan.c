/*
 * source_scan.c
 *		Reads a source from some positions to its present end, row by row.
 *
 * For those who read a source without the buffer: a view that has to catch up,
 * and SELECT from a stream.
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "format/reject.h"
#include "source/source_scan.h"

/* Records that are decoded at a time. */
#define BLOCK_RECORDS	500

/* Longest wait before the source is asked again. */
#define WAIT_INTERVAL	200		/* ms */

static bool read_block(StreamingSourceScan *scan, int64 max);
static void decode_block(StreamingSourceScan *scan);
static void wait_for_source(StreamingSourceScan *scan, StreamingTime since);

StreamingSourceScan *
streaming_source_scan_open(StreamingStream *stream, StreamingReadMode mode, Bitmapset *needed)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streaming source scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StreamingSourceScan *scan = palloc0(sizeof(StreamingSourceScan));
	int			natts = Max(stream->tupdesc->natts, 1);

	scan->context = context;
	scan->stream = stream;
	scan->source = streaming_source_open(stream, mode);
	scan->source->needed = bms_copy(needed);
	scan->decoder = streaming_decoder_open(stream, scan->source->needed);
	scan->block_context = AllocSetContextCreate(context, "streaming source block",
												ALLOCSET_DEFAULT_SIZES);
	scan->records = palloc(sizeof(StreamingRecord) * BLOCK_RECORDS);
	scan->result = palloc(sizeof(bool) * BLOCK_RECORDS);
	scan->block_values = palloc(sizeof(Datum) * natts * BLOCK_RECORDS);
	scan->block_isnull = palloc(sizeof(bool) * natts * BLOCK_RECORDS);
	streaming_positions_init(&scan->positions);
	MemoryContextSwitchTo(old);
	return scan;
}

void
streaming_source_scan_start(StreamingSourceScan *scan, const StreamingPositions *positions)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);

	/* What was there before is small and rarely replaced. */
	streaming_positions_init(&scan->begin);
	streaming_positions_init(&scan->end);
	scan->source->routine->bounds(scan->source, streaming_connect_timeout,
								  &scan->begin, &scan->end);
	if (positions)
	{
		streaming_positions_copy(&scan->positions, positions);
		scan->source->routine->seek(scan->source, &scan->positions);
		scan->nrecords = scan->current = 0;
	}
	MemoryContextSwitchTo(old);
}

bool
streaming_source_scan_at_end(StreamingSourceScan *scan)
{
	for (int i = 0; i < scan->end.n; i++)
	{
		StreamingPosition *end = &scan->end.pos[i];
		int64		position = streaming_positions_get(&scan->positions, end->partition);

		if (position < 0)
			position = Max(streaming_positions_get(&scan->begin, end->partition), 0);
		if (position < end->offset)
			return false;
	}
	return true;
}

bool
streaming_source_scan_next(StreamingSourceScan *scan, int64 max)
{
	int			natts = scan->stream->tupdesc->natts;

	for (;;)
	{
		while (scan->current < scan->nrecords)
		{
			int			i = scan->current++;

			if (!scan->result[i])
				continue;
			scan->record = &scan->records[i];
			scan->values = scan->block_values + i * natts;
			scan->isnull = scan->block_isnull + i * natts;
			return true;
		}
		if (max <= 0 || streaming_source_scan_at_end(scan))
			return false;
		if (!read_block(scan, max))
			return false;
		max -= scan->nrecords;
	}
}

/* Polls until there are records, or none will come. */
static bool
read_block(StreamingSourceScan *scan, int64 max)
{
	StreamingTime since = streaming_now();

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		scan->current = 0;
		scan->nrecords = 0;
		scan->nrecords = scan->source->routine->poll(scan->source, scan->records,
													 (int) Min(max, BLOCK_RECORDS),
													 &scan->positions);
		if (scan->nrecords > 0)
		{
			decode_block(scan);
			return true;
		}
		if (streaming_source_scan_at_end(scan))
			return false;
		wait_for_source(scan, since);
	}
}

static void
decode_block(StreamingSourceScan *scan)
{
	StreamingReject *rejects = NULL;
	int			nrejects = 0;
	MemoryContext old;

	MemoryContextReset(scan->block_context);
	old = MemoryContextSwitchTo(scan->block_context);
	streaming_decode(scan->decoder, scan->records, scan->nrecords, scan->block_values,
					 scan->block_isnull, scan->result, &rejects, &nrejects);
	if (scan->write_rejects)
		scan->rejected += streaming_reject(scan->stream, rejects, nrejects);
	if (scan->missed)
	{
		MemoryContextSwitchTo(scan->missed_context);
		for (int i = 0; i < nrejects; i++)
			streaming_missed_add(scan->missed, rejects[i].partition, rejects[i].offset);
	}
	MemoryContextSwitchTo(old);
}

static void
wait_for_source(StreamingSourceScan *scan, StreamingTime since)
{
	int			fd = scan->source->routine->wait_fd(scan->source);

	if (streaming_time_passed(since, streaming_now(), streaming_connect_timeout))
	{
		const char *trouble = scan->source->routine->last_error(scan->source);

		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("could not read stream %s within %d ms", scan->stream->name,
						streaming_connect_timeout),
				 trouble ? errdetail_internal("%s", trouble) : 0,
				 errhint("The setting streaming.connect_timeout limits the wait.")));
	}
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH |
							 (fd >= 0 ? WL_SOCKET_READABLE : 0),
							 fd >= 0 ? fd : PGINVALID_SOCKET, WAIT_INTERVAL,
							 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

void
streaming_source_scan_close(StreamingSourceScan *scan)
{
	streaming_source_close(scan->source);
	MemoryContextDelete(scan->context);
}
