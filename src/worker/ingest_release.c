/*
 * ingest_release.c
 *		Tells a source which of its records nobody is going to ask for again.
 *
 * That is what all views of the stream have behind them, in committed checkpoints;
 * also those that are paused, have failed or were restored.  A view without a checkpoint
 * has yet to begin, and may want everything.
 *
 * A view that is being reset is about to lose its checkpoint.  It is locked for that
 * (worker/reset.c); so a lock on each view, which is only ever tried for, makes that
 * what is read here remains true until our commit.  A reset that comes later sees what
 * has gone.
 */
#include "postgres.h"

#include "streaming.h"

#include "storage/lmgr.h"
#include "utils/snapmgr.h"

#include "catalog/view.h"
#include "catalog/checkpoint.h"
#include "worker/ingest.h"

static bool lock_views(List *views);
static bool lower(StreamingIngest *ingest, Oid view, StreamingPositions *needed);

StreamingRelease
streaming_ingest_release(StreamingIngest *ingest)
{
	List	   *views;
	StreamingPositions needed;
	StreamingRelease result = STREAMING_RELEASE_LATER;
	bool		known;
	ListCell   *lc;

	if (ingest->source->routine->release == NULL)
		return STREAMING_RELEASE_NEVER;
	views = streaming_catalog_views_of_stream(ingest->relid);
	known = views != NIL && lock_views(views);

	/* what was committed before the locks */
	PushActiveSnapshot(GetLatestSnapshot());
	streaming_positions_init(&needed);
	streaming_positions_copy(&needed, &ingest->positions);
	foreach(lc, views)
		known = known && lower(ingest, lfirst_oid(lc), &needed);
	if (known)
		result = ingest->source->routine->release(ingest->source, &needed);
	PopActiveSnapshot();
	if (result == STREAMING_RELEASE_DONE &&
		memcmp(needed.pos, ingest->positions.pos, sizeof(StreamingPosition) * needed.n) != 0)
		result = STREAMING_RELEASE_LATER;
	return result;
}

static bool
lock_views(List *views)
{
	ListCell   *lc;

	foreach(lc, views)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), RowShareLock))
			return false;
	}
	return true;
}

/* False: the view may want everything, or is in another topic. */
static bool
lower(StreamingIngest *ingest, Oid view, StreamingPositions *needed)
{
	StreamingPositions positions;

	if (ingest->incarnation > 0 &&
		streaming_checkpoint_incarnation(view, ingest->relid) != ingest->incarnation)
		return false;
	streaming_positions_init(&positions);
	if (!streaming_checkpoint_read_positions(view, ingest->relid, ingest->stream->kind,
											 &positions))
		return false;
	for (int i = 0; i < needed->n; i++)
	{
		int64		offset = streaming_positions_get(&positions, needed->pos[i].partition);

		needed->pos[i].offset = Min(needed->pos[i].offset, Max(offset, 0));
	}
	return true;
}
