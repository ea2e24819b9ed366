/*
 * buffer.c
 *		The unlogged buffer between a stream's ingest worker and its readers.
 *
 * A ring of segments, each an unlogged table.  A segment has a number, rising
 * from 1 with every segment that is begun; a number is never used again while
 * the server runs.  One process, the stream's ingest worker, appends rows to
 * the segment with the highest number (head) and tells in shared memory up to
 * which row they may be read (end).  Each reader has a place, behind which it
 * has not yet committed anything:
 *
 *		 number 7 (complete)      8 (complete)           9 (head)
 *		[m|.....|.......m]       [m|...........m]       [m|....m|....
 *		            ^ reader A           ^ reader B            ^ end
 *
 * Rows are (offset, partition, the stream's columns).  Besides rows there are
 * markers (m): "partition p has been delivered up to offset o", also where no
 * row tells it (control records of Kafka); and of each record that was rejected one
 * that says so, which readers take for a row that is none.  A segment begins
 * with markers of all partitions known, so its own rows say what a reader must
 * have taken to continue with it; nothing has to be kept elsewhere.
 *
 * Why rows are inserted frozen, and why it is right.  They are visible to
 * every snapshot at once and need no clog lookup, no hint bits, no vacuum; the
 * page is all-visible from its first row on, so a scan does not look at row
 * headers at all.  Visibility in the sense of a transaction is not needed:
 * readers stop at end, and end moves only after the writer's commit.  Rows of
 * a transaction that failed would be visible, too; therefore a writer that met
 * an error is thrown away with its whole ring, and the next one begins a new
 * segment.  Unlogged tables are emptied by crash recovery; shared memory is new
 * then, too.
 *
 * The rows are read by others right after, from shared buffers, and mostly are
 * overwritten before anybody had to write them to disk (buffer_page.c).
 *
 * When a segment is full the writer needs another table: one that no reader
 * that counts needs any more is filled again in place (no new file, no change
 * of the catalogs), or one is made.  A reader does not count once it has been
 * detached; it may still be scanning, but then it holds a lock on the table,
 * which is therefore passed over.  So a stuck reader costs at most the tables it
 * has locked.  See advance_reader_limits for who is detached when.
 *
 * Lock order: a reader registers its place under the stream's lock, then locks
 * the tables, then looks again whether it has been detached in between; the
 * writer invalidates a segment under the stream's lock, then locks its table
 * conditionally.  Whichever comes first, nobody reads a table that is filled again.
 *
 * A place is where a row lies in the table's file.  When somebody has the table
 * rewritten (VACUUM FULL), the segment is lost: the file is not the one in which it
 * was begun.  Readers that meet it go on from the source, and the writer begins
 * another ring.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "buffer/buffer.h"
#include "catalog/view.h"
#include "catalog/internal.h"
#include "buffer/shift_slot.h"

/*
 * Segments that are in use at most, in the sense of streaming.buffer_size.  Of
 * readers that keep up two or three are in use: the fewer pages those have, the
 * more often they are used again while they are in the processor's cache.
 */
#define LIVE_SEGMENTS	8

/* How long a reader may wait for rows because others hold the ring full. */
#define DETACH_AFTER	3000	/* ms */

/* Marker of partition p: "$partition" = -1 - p. */
#define MARKER(partition) (-1 - (partition))

/*
 * Added to the partition of a rejected record, which is written as a marker is.  No
 * partition has as high a number but STREAMING_NO_PARTITION.
 */
#define REJECTED	(1 << 30)

static void ready_tables(StreamingBufferWriter *writer);
static int	claim_segment(StreamingBufferWriter *writer);
static BlockNumber segment_blocks(void);
static void wait_for_room(StreamingStreamShared *shared);
static uint64 advance_reader_limits(StreamingStreamShared *shared);
static bool holds_segment(StreamingViewReader *reader, StreamingStreamShared *shared,
						  StreamingSegment **segment);
static bool is_at_end(StreamingViewReader *reader, StreamingSegment *segment);
static bool is_current_ring(StreamingStreamShared *shared, StreamingViewReader *reader);
static StreamingSegment *find_segment(StreamingStreamShared *shared, uint64 number);
static StreamingSegment *oldest_segment(StreamingStreamShared *shared, uint64 at_least);
static bool is_intact(const StreamingSegment *segment, Relation rel);
static bool covers(const StreamingSegment *segment, TupleDesc desc, const int64 *next,
				   int npartitions, ItemPointer begin);
static void put_row(StreamingBufferWriter *writer, int32 partition, int64 offset,
					const Datum *values, const bool *isnull);
static void put_marker(StreamingBufferWriter *writer, int32 partition, int64 offset,
					   bool earliest);

/* ----------
 * The writer
 * ----------
 */

StreamingBufferWriter *
streaming_buffer_open(StreamingStreamShared *shared, StreamingStream *stream)
{
	StreamingBufferWriter *writer = palloc0(sizeof(StreamingBufferWriter));

	writer->shared = shared;
	writer->stream = stream;
	writer->desc = streaming_buffer_desc(stream->tupdesc);
	writer->columns = streaming_page_columns(writer->desc);
	writer->values = palloc(sizeof(Datum) * writer->desc->natts);
	writer->isnull = palloc(sizeof(bool) * writer->desc->natts);
	writer->segment = -1;
	streaming_positions_init(&writer->earliest);

	streaming_buffer_discard(shared);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->place = stream->place;
	LWLockRelease(shared->lock);
	ready_tables(writer);
	return writer;
}

void
streaming_buffer_discard(StreamingStreamShared *shared)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->state = STREAMING_INGEST_STARTING;
	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
	{
		shared->segments[i].number = 0;
		shared->segments[i].relid = InvalidOid;
	}
	LWLockRelease(shared->lock);
}

void
streaming_buffer_doubt(StreamingStreamShared *shared)
{
	streaming_buffer_discard(shared);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->doubted = true;
	if (shared->ingest_latch)
		SetLatch(shared->ingest_latch);
	LWLockRelease(shared->lock);
}

TupleDesc
streaming_buffer_desc(TupleDesc stream)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stream->natts + STREAMING_BUFFER_SHIFT);

	TupleDescInitEntry(desc, 1, "$offset", INT8OID, -1, 0);
	TupleDescInitEntry(desc, 2, "$partition", INT4OID, -1, 0);
	for (int i = 0; i < stream->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(stream, i);
		int32		typmod = att->atttypmod;
		Oid			type;

		if (att->attisdropped)
		{
			TupleDescInitEntry(desc, i + 1 + STREAMING_BUFFER_SHIFT, NULL, INT4OID, -1, 0);
			continue;
		}
		type = getBaseTypeAndTypmod(att->atttypid, &typmod);
		TupleDescInitEntry(desc, i + 1 + STREAMING_BUFFER_SHIFT, NULL, type, typmod, 0);
	}
	TupleDescFinalize(desc);
	return desc;
}

/* Finds the tables of former rings; those of another shape are dropped. */
static void
ready_tables(StreamingBufferWriter *writer)
{
	StreamingStreamShared *shared = writer->shared;
	Oid			namespace = streaming_internal_namespace();

	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
	{
		char	   *name = streaming_buffer_name(writer->stream->relid, i);
		Oid			relid = get_relname_relid(name, namespace);

		if (!OidIsValid(relid))
			continue;
		if (!streaming_table_matches(relid, writer->stream->tupdesc, STREAMING_BUFFER_SHIFT,
									 false))
		{
			if (!ConditionalLockRelationOid(relid, AccessExclusiveLock))
			{
				writer->unusable[i] = true;
				continue;
			}
			streaming_internal_drop(relid);
			relid = InvalidOid;
		}
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		shared->segments[i].relid = relid;
		LWLockRelease(shared->lock);
	}
}

bool
streaming_buffer_advance(StreamingBufferWriter *writer, const StreamingPositions *positions,
						 const StreamingColumnSet *columns)
{
	StreamingStreamShared *shared = writer->shared;
	int			index = claim_segment(writer);
	Oid			file;

	if (index < 0)
		return false;
	writer->rel = table_open(shared->segments[index].relid, RowExclusiveLock);
	file = writer->rel->rd_rel->relfilenode;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (writer->segment >= 0)
		shared->segments[writer->segment].complete = true;
	shared->head++;
	shared->segments[index].number = shared->head;
	shared->segments[index].file = file;
	shared->segments[index].complete = false;
	ItemPointerSetInvalid(&shared->segments[index].end);
	shared->segments[index].rows = shared->published_rows;
	shared->segments[index].columns = *columns;
	shared->columns = *columns;
	shared->ingest_waits = false;
	shared->full_since = 0;
	LWLockRelease(shared->lock);

	writer->segment = index;
	writer->full = false;
	writer->file_blocks = 0;
	writer->wide = 0;
	ItemPointerSetInvalid(&writer->end);
	put_marker(writer, STREAMING_NO_PARTITION, 0, true);
	for (int i = 0; i < positions->n; i++)
	{
		int32		partition = positions->pos[i].partition;
		int64		offset = positions->pos[i].offset;

		put_marker(writer, partition, offset,
				   streaming_positions_get(&writer->earliest, partition) == offset);
	}
	streaming_buffer_flush(writer);
	return true;
}

/*
 * Index of an empty table, made or emptied, that belongs to no segment any
 * more; -1: there is no room.
 */
static int
claim_segment(StreamingBufferWriter *writer)
{
	StreamingStreamShared *shared = writer->shared;
	Oid			tables[STREAMING_MAX_SEGMENTS];
	uint64		needed;
	int			nlive = 0;
	int			missing = -1;

	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	needed = advance_reader_limits(shared);
	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
	{
		StreamingSegment *segment = &shared->segments[i];

		if (segment->number >= needed && segment->number > 0)
			nlive++;
	}
	if (nlive >= LIVE_SEGMENTS)
		wait_for_room(shared);
	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
	{
		StreamingSegment *segment = &shared->segments[i];

		tables[i] = InvalidOid;
		if (nlive >= LIVE_SEGMENTS || (segment->number > 0 && segment->number >= needed))
			continue;
		segment->number = 0;
		tables[i] = segment->relid;
		if (!OidIsValid(segment->relid) && missing < 0 && !writer->unusable[i])
			missing = i;
	}
	LWLockRelease(shared->lock);
	LWLockRelease(streaming_streams->lock);
	if (nlive >= LIVE_SEGMENTS)
		return -1;

	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
		if (OidIsValid(tables[i]) && streaming_table_reuse(tables[i], 2 * segment_blocks()))
			return i;

	if (missing >= 0)
	{
		Oid			relid = streaming_internal_table(streaming_buffer_name(writer->stream->relid,
																		   missing),
													 writer->stream->relid,
													 writer->stream->tupdesc,
													 "\"$offset\" pg_catalog.int8 NOT NULL, "
													 "\"$partition\" pg_catalog.int4 NOT NULL, ",
													 false);

		/*
		 * If the transaction fails after this, so does the writer, and the
		 * next one looks for the tables anew.
		 */
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		shared->segments[missing].relid = relid;
		LWLockRelease(shared->lock);
		return missing;
	}

	/* All tables are locked by somebody. */
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	wait_for_room(shared);
	LWLockRelease(shared->lock);
	return -1;
}

/* Pages after which a segment is full. */
static BlockNumber
segment_blocks(void)
{
	return streaming_buffer_size / LIVE_SEGMENTS / (BLCKSZ / 1024);
}

/* Caller holds the stream's lock. */
static void
wait_for_room(StreamingStreamShared *shared)
{
	shared->ingest_waits = true;
	if (shared->full_since == 0)
		shared->full_since = streaming_now();
}

/*
 * Returns the lowest number of a segment that a reader still needs; the head is
 * always needed.  If the ring is full, detaches the readers that hold its oldest
 * segment where that is fair:
 *
 *	- a reader whose last batch failed, at once
 *	- any other when the ring has been full for DETACH_AFTER and some reader has
 *	  taken all there is, and waits for rows that do not come because of it
 *
 * A detached reader goes on from the source itself and comes back when it has
 * caught up.  Caller holds both locks.
 */
static uint64
advance_reader_limits(StreamingStreamShared *shared)
{
	uint64		oldest = shared->head;
	uint64		needed = shared->head;
	bool		starved = false;

	streaming_foreach_reader(reader, shared)
	{
		StreamingSegment *segment;

		if (!holds_segment(reader, shared, &segment))
			continue;
		if (!reader->running && is_at_end(reader, segment))
		{
			/* One that has read a complete segment to its end holds the next. */
			if (segment->complete)
			{
				reader->place.number++;
				ItemPointerSetInvalid(&reader->place.tid);
			}
			else
				starved = true;
		}
		oldest = Min(oldest, reader->place.number);
	}
	if (shared->head - oldest + 1 < LIVE_SEGMENTS)
		return oldest;

	starved = starved && shared->full_since != 0 &&
		streaming_time_passed(shared->full_since, streaming_now(), DETACH_AFTER);
	streaming_foreach_reader(reader, shared)
	{
		StreamingSegment *segment;

		if (!holds_segment(reader, shared, &segment))
			continue;
		if (reader->place.number == oldest && (reader->failing || starved))
			reader->detached = true;
		else
			needed = Min(needed, reader->place.number);
	}
	return needed;
}

/* Does reader read this ring?  Sets *segment to the one it holds. */
static bool
holds_segment(StreamingViewReader *reader, StreamingStreamShared *shared,
			  StreamingSegment **segment)
{
	if (reader->mode != STREAMING_INPUT_BUFFER || reader->detached)
		return false;
	*segment = find_segment(shared, reader->place.number);
	return *segment != NULL;
}

/* Has reader taken all that segment, which it holds, has? */
static bool
is_at_end(StreamingViewReader *reader, StreamingSegment *segment)
{
	return ItemPointerIsValid(&reader->place.tid) && ItemPointerIsValid(&segment->end) &&
		ItemPointerEquals(&reader->place.tid, &segment->end);
}

bool
streaming_buffer_is_intact(StreamingBufferWriter *writer)
{
	const StreamingSegment *segment = &writer->shared->segments[writer->segment];
	Relation	rel = try_table_open(segment->relid, RowExclusiveLock);
	bool		intact = rel && is_intact(segment, rel);

	if (rel)
		table_close(rel, NoLock);
	return intact;
}

void
streaming_buffer_append(StreamingBufferWriter *writer, int32 partition, int64 offset,
						const Datum *values, const bool *isnull)
{
	put_row(writer, partition, offset, values, isnull);
	writer->rows++;
}

/* values NULL: all columns are NULL. */
static void
put_row(StreamingBufferWriter *writer, int32 partition, int64 offset,
		const Datum *values, const bool *isnull)
{
	int			natts = writer->stream->tupdesc->natts;

	if (writer->rel == NULL)
		writer->rel = table_open(writer->shared->segments[writer->segment].relid,
								 RowExclusiveLock);
	writer->values[0] = Int64GetDatum(offset);
	writer->values[1] = Int32GetDatum(partition);
	writer->isnull[0] = writer->isnull[1] = false;
	if (values)
	{
		memcpy(writer->values + STREAMING_BUFFER_SHIFT, values, sizeof(Datum) * natts);
		memcpy(writer->isnull + STREAMING_BUFFER_SHIFT, isnull, sizeof(bool) * natts);
	}
	else
		memset(writer->isnull + STREAMING_BUFFER_SHIFT, true, sizeof(bool) * natts);
	streaming_page_put(writer, writer->values, writer->isnull);
}

void
streaming_buffer_append_rejected(StreamingBufferWriter *writer, int32 partition, int64 offset)
{
	put_row(writer, MARKER(partition | REJECTED), offset, NULL, NULL);
}

static void
put_marker(StreamingBufferWriter *writer, int32 partition, int64 offset, bool earliest)
{
	put_row(writer, MARKER(partition), earliest ? -1 - offset : offset, NULL, NULL);
}

void
streaming_buffer_flush(StreamingBufferWriter *writer)
{
	streaming_page_unlock(writer);
	if (ItemPointerGetBlockNumberNoCheck(&writer->end) + writer->wide / BLCKSZ >=
		segment_blocks())
		writer->full = true;
}

void
streaming_buffer_mark(StreamingBufferWriter *writer, const StreamingPositions *before,
					  const StreamingPositions *positions)
{
	for (int i = 0; i < positions->n; i++)
	{
		int32		partition = positions->pos[i].partition;
		int64		offset = positions->pos[i].offset;

		if (streaming_positions_get(before, partition) != offset)
			put_marker(writer, partition, offset, false);
	}
	streaming_buffer_flush(writer);
}

void
streaming_buffer_release(StreamingBufferWriter *writer)
{
	if (writer->rel == NULL)
		return;
	streaming_page_release(writer);
	table_close(writer->rel, NoLock);
	writer->rel = NULL;
}

void
streaming_buffer_publish(StreamingBufferWriter *writer)
{
	StreamingStreamShared *shared = writer->shared;
	StreamingSegment *segment = &shared->segments[writer->segment];

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	segment->end = writer->end;
	shared->published_rows += writer->rows;
	segment->rows = shared->published_rows;
	shared->state = STREAMING_INGEST_RUNNING;
	LWLockRelease(shared->lock);
	writer->rows = 0;
	streaming_stream_wake_readers(shared);
}

/* ----------
 * Readers
 * ----------
 */

/* Caller holds the stream's lock.  NULL: there is no such segment (any more). */
static StreamingSegment *
find_segment(StreamingStreamShared *shared, uint64 number)
{
	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
		if (shared->segments[i].number == number && number > 0)
			return &shared->segments[i];
	return NULL;
}

/* The one with the lowest number from at_least on that may be read; or NULL. */
static StreamingSegment *
oldest_segment(StreamingStreamShared *shared, uint64 at_least)
{
	StreamingSegment *oldest = NULL;

	for (int i = 0; i < STREAMING_MAX_SEGMENTS; i++)
	{
		StreamingSegment *segment = &shared->segments[i];

		if (segment->number >= at_least && segment->number > 0 &&
			ItemPointerIsValid(&segment->end) &&
			(oldest == NULL || segment->number < oldest->number))
			oldest = segment;
	}
	return oldest;
}

static bool
is_current_ring(StreamingStreamShared *shared, StreamingViewReader *reader)
{
	return reader->mode == STREAMING_INPUT_BUFFER && !reader->detached &&
		shared->state == STREAMING_INGEST_RUNNING &&
		find_segment(shared, reader->place.number) != NULL;
}

bool
streaming_buffer_is_urgent(StreamingStreamShared *shared, StreamingViewReader *reader)
{
	bool		urgent;

	LWLockAcquire(shared->lock, LW_SHARED);
	urgent = shared->state == STREAMING_INGEST_RUNNING &&
		(!is_current_ring(shared, reader) ||
		 shared->head - reader->place.number >= LIVE_SEGMENTS / 2);
	LWLockRelease(shared->lock);
	return urgent;
}

/*
 * Tries the newest segment first: what is in the older ones the reader would
 * only pass over.
 */
bool
streaming_buffer_enter(StreamingStreamShared *shared, StreamingViewReader *reader,
					   TupleDesc desc, const StreamingColumnSet *columns,
					   const int64 *next, int npartitions)
{
	StreamingSegment *segment;
	StreamingSegment candidates[STREAMING_MAX_SEGMENTS];
	ItemPointerData begin;
	int			n = 0;
	bool		entered = false;

	/* Hold everything first, so that nothing vanishes while we look. */
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	reader->detached = false;
	if (shared->state == STREAMING_INGEST_RUNNING)
	{
		segment = oldest_segment(shared, 1);
		if (segment)
		{
			reader->mode = STREAMING_INPUT_BUFFER;
			reader->place.number = segment->number;
			ItemPointerSetInvalid(&reader->place.tid);
			reader->running = true;
		}
		while (segment)
		{
			if (!streaming_columns_subset(columns, &segment->columns))
				n = 0;			/* this one and those before are of no use */
			else
				candidates[n++] = *segment;
			segment = oldest_segment(shared, segment->number + 1);
		}
	}
	LWLockRelease(shared->lock);

	while (n > 0 && !entered)
	{
		segment = &candidates[--n];
		entered = covers(segment, desc, next, npartitions, &begin);
	}

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (entered && is_current_ring(shared, reader))
	{
		reader->place.number = segment->number;
		reader->place.tid = begin;
		reader->running = false;
		reader->rows = shared->published_rows;	/* a guess, until a batch is
												 * committed */
	}
	else
	{
		reader->mode = STREAMING_INPUT_NONE;
		reader->running = false;
		entered = false;
	}
	LWLockRelease(shared->lock);
	return entered;
}

/*
 * Are the rows of a segment, whose table rel is locked, where they were written?
 * VACUUM FULL and others that rewrite the table move them to another file.
 */
static bool
is_intact(const StreamingSegment *segment, Relation rel)
{
	return rel->rd_rel->relfilenode == segment->file;
}

/*
 * Does a reader that has everything before next need nothing from before a
 * segment?  *begin is set to the last of the markers that tell
 * it: what they say the reader knows, and a ring that has nothing but them has
 * nothing for it.
 */
static bool
covers(const StreamingSegment *segment, TupleDesc desc, const int64 *next, int npartitions,
	   ItemPointer begin)
{
	Relation	rel = try_table_open(segment->relid, AccessShareLock);
	StreamingBufferPart part = {.relid = segment->relid, .upto = segment->end};
	TupleTableSlot *slot;
	TableScanDesc scan;
	bool		covered = true;

	ItemPointerSetInvalid(begin);
	if (rel == NULL)
		return false;
	if (!is_intact(segment, rel) ||
		!streaming_table_matches(segment->relid, desc, STREAMING_BUFFER_SHIFT, false))
	{
		table_close(rel, NoLock);
		return false;
	}
	slot = streaming_stored_slot_make();
	streaming_stored_slot_set(slot, rel, NULL, 0);
	scan = streaming_buffer_scan(rel, GetActiveSnapshot(), &part);
	while (covered && table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		StreamingBufferRow row;
		int64		mine;

		streaming_buffer_row(slot, &row);
		if (!row.marker)
			break;				/* that was the segment's beginning */
		*begin = row.tid;
		mine = row.partition < npartitions ? next[row.partition] : -1;
		covered = mine < 0 ? row.earliest : mine >= row.offset;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return covered;
}

bool
streaming_buffer_range(StreamingStreamShared *shared, StreamingViewReader *reader,
					   StreamingBufferRange *range)
{
	Relation	tables[STREAMING_MAX_SEGMENTS];
	int			nparts;
	bool		gone = false;
	bool		valid;

	range->n = 0;
	range->more = false;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	valid = is_current_ring(shared, reader);
	if (valid)
	{
		uint64		number = reader->place.number;
		StreamingSegment *segment;

		while ((segment = find_segment(shared, number)) != NULL &&
			   ItemPointerIsValid(&segment->end))
		{
			StreamingBufferPart *part;
			bool		first = number == reader->place.number;

			/*
			 * Half of the ring is enough for a batch: more would only keep
			 * the writer waiting until it is committed.
			 */
			if (range->n == LIVE_SEGMENTS / 2)
			{
				range->more = true;
				break;
			}
			number++;
			if (first && is_at_end(reader, segment))
				continue;
			part = &range->parts[range->n++];
			part->relid = segment->relid;
			part->number = segment->number;
			ItemPointerSetInvalid(&part->after);
			if (first)
				part->after = reader->place.tid;
			part->upto = segment->end;
			part->complete = segment->complete;
			part->rows = segment->rows;
		}
		reader->running = range->n > 0;
	}
	else
		reader->mode = STREAMING_INPUT_NONE;
	LWLockRelease(shared->lock);
	nparts = range->n;
	if (nparts == 0)
		return false;

	for (int i = 0; i < range->n; i++)
	{
		tables[i] = try_table_open(range->parts[i].relid, AccessShareLock);
		gone |= tables[i] == NULL;
	}

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	valid = !gone && is_current_ring(shared, reader);
	for (int i = 0; i < range->n; i++)
	{
		StreamingSegment *segment = find_segment(shared, range->parts[i].number);

		if (segment == NULL || tables[i] == NULL ||
			segment->relid != range->parts[i].relid || !is_intact(segment, tables[i]))
			valid = false;
	}
	if (!valid)
	{
		reader->mode = STREAMING_INPUT_NONE;
		reader->running = false;
		range->n = 0;
	}
	LWLockRelease(shared->lock);
	for (int i = 0; i < nparts; i++)
		if (tables[i])
			table_close(tables[i], NoLock);
	return valid;
}

void
streaming_buffer_advance_reader(StreamingStreamShared *shared, StreamingViewReader *reader,
								StreamingPlace place, int64 rows)
{
	StreamingSegment *segment;
	Latch	   *wake;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	reader->place = place;
	reader->rows = rows;
	reader->running = false;
	reader->failing = false;
	segment = find_segment(shared, place.number);
	if (segment && segment->complete && ItemPointerEquals(&place.tid, &segment->end))
	{
		reader->place.number++;
		ItemPointerSetInvalid(&reader->place.tid);
	}
	wake = shared->ingest_waits ? shared->ingest_latch : NULL;
	LWLockRelease(shared->lock);
	if (wake)
		SetLatch(wake);
}

/*
 * Reads our own two columns straight from the tuple: they come first, have a
 * fixed width and are never NULL, so they are where the data begin.
 */
void
streaming_buffer_row(TupleTableSlot *slot, StreamingBufferRow *row)
{
	HeapTuple	tuple = ((HeapTupleTableSlot *) slot)->tuple;
	const char *data = (const char *) tuple->t_data + tuple->t_data->t_hoff;
	int32		partition;

	Assert(TTS_IS_BUFFERTUPLE(slot));
	memcpy(&row->offset, data, sizeof(int64));
	memcpy(&partition, data + sizeof(int64), sizeof(int32));
	row->tid = tuple->t_self;
	row->marker = partition < 0;
	row->partition = row->marker ? MARKER(partition) : partition;
	row->rejected = row->marker && row->partition != STREAMING_NO_PARTITION &&
		(row->partition & REJECTED) != 0;
	if (row->rejected)
	{
		row->partition &= ~REJECTED;
		row->marker = false;
	}
	row->earliest = row->marker && row->offset < 0;
	if (row->earliest)
		row->offset = -1 - row->offset;
}

TableScanDesc
streaming_buffer_scan(Relation rel, Snapshot snapshot, const StreamingBufferPart *part)
{
	ItemPointerData from;
	ItemPointerData upto = part->upto;

	if (ItemPointerIsValid(&part->after))
		ItemPointerSet(&from, ItemPointerGetBlockNumber(&part->after),
					   ItemPointerGetOffsetNumber(&part->after) + 1);
	else
		ItemPointerSet(&from, 0, FirstOffsetNumber);
	return streaming_beginscan_tidrange(rel, snapshot, &from, &upto);
}
