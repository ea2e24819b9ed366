/*
 * ingest_start.c
 *		Where an ingest worker begins to read its stream.
 *
 * Every enabled view of the stream has a position: its checkpoint, or, for one
 * that has none and is to begin with the earliest record, nothing at all.  A
 * view that begins somewhere else ('latest', a time; any start of a directory)
 * finds out where by itself and writes that down with its first batch; until
 * then it does not count.
 *
 * The buffer begins at the smallest position, partition by partition, of those
 * views that are near the one that is furthest ahead.  Who is far behind reads
 * the source on its own until it has caught up with the buffer: otherwise the
 * others would wait until all that it has missed had gone through the buffer.
 * A view whose checkpoint is in another topic than the stream's present one does not
 * count either.  It fails until it is reset, or that topic is back (input.c).
 *
 * It makes no difference to the result which views are near, since each passes
 * over what it has.
 *
 *		earliest        view C         view A  view B           end
 *		|------------------|--------------|-------|--------------|
 *		                   C reads here   ^ the buffer begins here
 *
 * Positions before the first record that the source still has are raised to
 * it.  A view that has lost records by that is not served from the buffer; it
 * reads the source on its own and gets the source's error, alone.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/view.h"
#include "catalog/checkpoint.h"
#include "catalog/read_columns.h"
#include "source/topic_numbers.h"
#include "worker/ingest.h"

/* What counts as near: records behind, for a directory files behind. */
#define NEAR_RECORDS	1000000
#define NEAR_FILES		100

static bool view_position(StreamingIngest *ingest, const StreamingView *view,
						  StreamingPositions *positions);
static double distance(StreamingSourceKind kind, const StreamingPositions *from,
					   const StreamingPositions *to, const StreamingPositions *begin);
static List *enabled_views(Oid stream);
static void check_end(StreamingStream *stream, const StreamingPositions *start,
					  const StreamingPositions *end);

static List *
enabled_views(Oid stream)
{
	List	   *views = NIL;
	ListCell   *lc;

	foreach(lc, streaming_catalog_views_of_stream(stream))
	{
		StreamingView *view = streaming_catalog_view(lfirst_oid(lc), true);

		if (view && view->enabled && !view->restored)
			views = lappend(views, view);
	}
	return views;
}

/* False: it has not been decided yet. */
static bool
view_position(StreamingIngest *ingest, const StreamingView *view,
			  StreamingPositions *positions)
{
	StreamingStream *stream = ingest->stream;
	const char *start = view->start ? view->start : stream->start;

	streaming_positions_init(positions);
	if (ingest->incarnation > 0)
	{
		int64		incarnation = streaming_checkpoint_incarnation(view->view, stream->relid);

		/* One in another topic is nowhere here. */
		if (incarnation >= 0 && incarnation != ingest->incarnation)
			return false;
	}
	if (streaming_checkpoint_read_positions(view->view, stream->relid, stream->kind, positions))
		return true;
	return stream->kind == STREAMING_SOURCE_KAFKA &&
		(start == NULL || strcmp(start, "earliest") == 0);
}

/* Partitions that are not in from count from where they begin. */
static double
distance(StreamingSourceKind kind, const StreamingPositions *from,
		 const StreamingPositions *to, const StreamingPositions *begin)
{
	double		sum = 0;

	for (int i = 0; i < to->n; i++)
	{
		int32		partition = to->pos[i].partition;
		int64		first = Max(streaming_positions_get(from, partition),
								streaming_positions_get(begin, partition));

		first = Max(first, 0);
		if (kind == STREAMING_SOURCE_DIRECTORY)
			sum += Max((to->pos[i].offset >> 32) - (first >> 32), 0);
		else
			sum += Max(to->pos[i].offset - first, 0);
	}
	return sum;
}

/* A topic that was made anew counts from 0 again. */
static void
check_end(StreamingStream *stream, const StreamingPositions *start, const StreamingPositions *end)
{
	for (int i = 0; i < end->n; i++)
	{
		const StreamingPosition *p = &end->pos[i];
		int64		offset = streaming_positions_get(start, p->partition);

		if (offset > p->offset)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("offset " INT64_FORMAT " of %s is not there any more",
							offset, streaming_partition_name(stream, p->partition)),
					 errdetail("The partition ends at offset " INT64_FORMAT ": the topic was created anew, or the broker has lost messages.",
							   p->offset),
					 errhint("Call streaming.reset() for the views of stream %s to begin again where their option \"start\" says.",
							 stream->name)));
	}
}

bool
streaming_ingest_positions(StreamingIngest *ingest, StreamingPositions *start,
						   StreamingPositions *earliest)
{
	StreamingSourceKind kind = ingest->stream->kind;
	List	   *views = enabled_views(ingest->relid);
	StreamingPositions *positions = palloc(sizeof(StreamingPositions) * (list_length(views) + 1));
	StreamingPositions end;
	StreamingPositions ahead;
	double		near = kind == STREAMING_SOURCE_DIRECTORY ? NEAR_FILES : NEAR_RECORDS;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, views)
		if (view_position(ingest, lfirst(lc), &positions[n]))
			n++;
	if (n == 0)
		return false;

	ingest->source->routine->bounds(ingest->source, streaming_connect_timeout, earliest, &end);

	streaming_positions_init(&ahead);
	for (int v = 0; v < n; v++)
		for (int i = 0; i < positions[v].n; i++)
		{
			StreamingPosition *p = &positions[v].pos[i];

			if (p->offset > streaming_positions_get(&ahead, p->partition))
				streaming_positions_set(&ahead, p->partition, p->offset);
		}

	/* The smallest of those that are near; unknown (-1) is the smallest. */
	streaming_positions_copy(start, &ahead);
	for (int v = 0; v < n; v++)
	{
		if (distance(kind, &positions[v], &ahead, earliest) > near)
			continue;
		for (int i = 0; i < start->n; i++)
		{
			int64		offset = streaming_positions_get(&positions[v], start->pos[i].partition);

			start->pos[i].offset = Min(start->pos[i].offset, offset);
		}
	}

	if (kind == STREAMING_SOURCE_KAFKA)
		check_end(ingest->stream, start, &end);

	/* Every partition gets a position that can be read. */
	for (int i = 0; i < earliest->n; i++)
	{
		int32		partition = earliest->pos[i].partition;

		if (streaming_positions_get(start, partition) < earliest->pos[i].offset)
			streaming_positions_set(start, partition, earliest->pos[i].offset);
	}
	for (int i = 0; i < start->n; i++)
		start->pos[i].offset = Max(start->pos[i].offset, 0);
	return true;
}

void
streaming_ingest_columns(StreamingIngest *ingest, StreamingColumnSet *columns)
{
	StreamingStreamShared *shared = ingest->shared;
	ListCell   *lc;

	memset(columns, 0, sizeof(StreamingColumnSet));
	foreach(lc, enabled_views(ingest->relid))
	{
		StreamingView *view = lfirst(lc);

		streaming_read_columns(view->definition, ingest->stream, columns);
	}

	/* Begin anew with what readers ask for: some may have gone. */
	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	memset(&shared->wanted, 0, sizeof(shared->wanted));
	streaming_foreach_reader(reader, shared)
		streaming_columns_union(&shared->wanted, &reader->columns);
	streaming_columns_union(columns, &shared->wanted);
	LWLockRelease(shared->lock);
	LWLockRelease(streaming_streams->lock);
}
