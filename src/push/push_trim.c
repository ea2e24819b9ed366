/*
 * push_trim.c
 *		Forgets pushed rows that all views have taken.
 *
 * With segment n the current one (push_tables.c), two steps:
 *
 *	1. The old table is not empty and no view needs its rows (and, with
 *	   retention, its last row is old enough): empty it.
 *	2. The old table is empty and the current one large (with retention: or old):
 *	   n + 1 is committed to the catalog, then told in shared memory.
 *
 * The database's coordinator takes them, in transactions of its own, so neither
 * a session that pushes nor a batch holds a lock for it.  It is asked by whoever
 * sees that there may be something to do: batches, and sessions that push.  As
 * long as only a lock or an age is in the way it tries again; where a view is,
 * that view will ask.
 *
 * Both steps are taken under AccessExclusiveLock on the old table, which is
 * only ever tried for.  Since writers keep their lock on the table they write
 * to until their end, it means that no transaction is under way that could add
 * rows; readers that have passed the table do not lock it (input_snapshot.c).
 *
 * A logged table is emptied by TRUNCATE: a new file, so that a crash leaves
 * either one whole.  That is once per half of streaming.buffer_size of rows.
 *
 * Whether a view needs rows is asked of the rows: do any lie in the old table
 * that the position of its checkpoint has not taken?  A view that has taken all
 * runs no batch until more rows come, so numbers in positions would not tell.
 * A view that has no checkpoint yet begins with all that there is, so while
 * there is such a view nothing is emptied.  Views that are paused or have failed
 * keep their rows, too.
 *
 * With two exceptions in the change stream of a view or of a table that is followed.
 * Who reads it begins with what it shows then, and needs no row from before.  And a view
 * does not keep changes of a table, or of a view of another role, for ever: once both
 * tables are full, one that is paused or fails is to load that anew when it runs again;
 * if it follows a table beside streams it keeps the changes, as it keeps theirs.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "buffer/buffer.h"
#include "catalog/view.h"
#include "catalog/checkpoint.h"
#include "catalog/internal.h"
#include "push/push_scan.h"
#include "push/source_push.h"
#include "shared/slots.h"
#include "shared/notify.h"

#define TRIM_INTERVAL	200		/* ms between looks at a stream */
#define ERROR_INTERVAL	10000	/* ms after an error */

static BlockNumber segment_limit(void);
static List *take_requests(long *timeout);
static void trim_stream(Oid stream);
static StreamingTime trim(StreamingStreamShared *shared, uint64 *number);
static void write_segment(Oid stream, const StreamingPushSegment *row);
static StreamingTime begin_segment(StreamingStreamShared *shared, StreamingPushSegment *row,
								 int64 retention, uint64 *number);
static void tell_segment(StreamingStreamShared *shared, uint64 number, bool old_empty);
static void look_again(StreamingStreamShared *shared, StreamingTime due);
static BlockNumber table_blocks(Oid relid);
static bool is_needed(StreamingStreamShared *shared, Oid old, uint64 number, bool full);
static bool lets_go(Oid upstream, Oid relid);
static void empty_table(Oid relid);
static int64 interval_us(const Interval *interval);

static BlockNumber
segment_limit(void)
{
	return (BlockNumber) Max(streaming_buffer_size / 2 / (BLCKSZ / 1024), 1);
}

/* ----------
 * Requests
 * ----------
 */

void
streaming_push_ask_trim(StreamingStreamShared *shared, BlockNumber blocks)
{
	bool		ask;

	LWLockAcquire(shared->lock, LW_SHARED);
	ask = !shared->push_trim && (!shared->push_old_empty || blocks >= segment_limit());
	LWLockRelease(shared->lock);
	if (!ask)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->push_trim = true;
	LWLockRelease(shared->lock);
	streaming_wake_coordinator();
}

void
streaming_push_ask_trim_all(void)
{
	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	for (int i = 0; i < streaming_streams->nstreams; i++)
	{
		StreamingStreamShared *shared = &streaming_stream_entries[i];

		if (shared->database != MyDatabaseId)
			continue;
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (shared->push_number > 0)
		{
			shared->push_trim = true;
			shared->push_due = 0;
			shared->push_old_empty = false;
		}
		LWLockRelease(shared->lock);
	}
	LWLockRelease(streaming_streams->lock);
}

/* Streams to look at now; lowers *timeout to the ms until others are due. */
static List *
take_requests(long *timeout)
{
	StreamingTime now = streaming_now();
	List	   *streams = NIL;

	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	for (int i = 0; i < streaming_streams->nstreams; i++)
	{
		StreamingStreamShared *shared = &streaming_stream_entries[i];
		long		ms;

		if (shared->database != MyDatabaseId)
			continue;
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (shared->push_trim && shared->push_due <= now)
		{
			/* Before looking, so that who asks meanwhile is heard. */
			shared->push_trim = false;
			shared->push_due = streaming_time_plus(now, TRIM_INTERVAL);
			streams = lappend_oid(streams, shared->stream);
		}
		else if (shared->push_trim)
		{
			ms = streaming_ms_until(now, shared->push_due);
			*timeout = *timeout < 0 ? ms : Min(*timeout, ms);
		}
		LWLockRelease(shared->lock);
	}
	LWLockRelease(streaming_streams->lock);
	return streams;
}

long
streaming_push_trim(void)
{
	long		timeout = -1;
	List	   *streams;

	while ((streams = take_requests(&timeout)) != NIL)
	{
		ListCell   *lc;

		foreach(lc, streams)
			trim_stream(lfirst_oid(lc));
		timeout = -1;
	}
	return timeout;
}

/* ----------
 * Trimming
 * ----------
 */

/* In a transaction of its own; an error is for the log. */
static void
trim_stream(Oid stream)
{
	MemoryContext context = CurrentMemoryContext;
	StreamingStreamShared *shared = streaming_stream_use(stream);
	uint64		number = 0;
	StreamingTime again;

	PG_TRY();
	{
		StartTransactionCommand();
		XactReadOnly = false;	/* whatever the database's default is */
		again = trim(shared, &number);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		number = 0;
		again = streaming_time_plus(streaming_now(), ERROR_INTERVAL);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (number > 0)
		tell_segment(shared, number, again == 0);
	if (again > 0)
		look_again(shared, again);
	streaming_stream_release(shared);
}

/*
 * Sets *number to the number of the segment for new rows, to be told after the
 * commit.  Returns when to look again, 0: when asked; with a number, that the
 * old table is empty and nothing is to be done until the current one is large.
 */
static StreamingTime
trim(StreamingStreamShared *shared, uint64 *number)
{
	StreamingTime soon = streaming_time_plus(streaming_now(), TRIM_INTERVAL);
	Oid			stream = shared->stream;
	StreamingStream *definition;
	StreamingPushSegment row;
	Oid			old;
	int64		retention;

	if (!ConditionalLockRelationOid(stream, AccessShareLock))
		return soon;
	if (get_rel_relkind(stream) != RELKIND_FOREIGN_TABLE ||
		!streaming_push_read_segment(stream, &row))
		return 0;
	*number = streaming_push_current(shared);
	old = streaming_push_table(stream, *number + 1);
	if (!OidIsValid(old) || !OidIsValid(streaming_push_table(stream, *number)) ||
		!ConditionalLockRelationOid(old, AccessExclusiveLock))
	{
		*number = 0;
		return OidIsValid(old) ? soon : 0;
	}
	row.segment = *number;
	definition = streaming_stream_open(stream, GetUserId());
	retention = definition->retention ? interval_us(definition->retention) : 0;

	if (retention > 0 && row.since > GetCurrentTimestamp())
	{
		/* The wall clock has been set back. */
		row.since = GetCurrentTimestamp();
		write_segment(stream, &row);
	}
	if (table_blocks(old) > 0)
	{
		/* Its last row came when the current segment began, or soon after. */
		StreamingTime old_enough = streaming_time_of(row.since) + retention;
		bool		young = retention > 0 && streaming_now() < old_enough;

		Oid			current = streaming_push_table(stream, *number);
		bool		full;

		LockRelationOid(current, AccessShareLock);
		full = table_blocks(current) >= segment_limit();
		if (young || is_needed(shared, old, *number, full))
		{
			*number = 0;
			return young ? old_enough : 0;
		}
		empty_table(old);
	}
	return begin_segment(shared, &row, retention, number);
}

static void
write_segment(Oid stream, const StreamingPushSegment *row)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	streaming_push_write_segment(stream, row);
	PopActiveSnapshot();
}

/* The second step. */
static StreamingTime
begin_segment(StreamingStreamShared *shared, StreamingPushSegment *row, int64 retention,
			  uint64 *number)
{
	Oid			current = streaming_push_table(shared->stream, *number);
	StreamingTime old_enough = streaming_time_of(row->since) + retention;
	BlockNumber blocks;

	LockRelationOid(current, AccessShareLock);
	blocks = table_blocks(current);
	if (blocks < segment_limit())
	{
		if (retention == 0)
			return 0;
		if (blocks == 0)
		{
			*number = 0;		/* the first rows to come ask to be looked at */
			return 0;
		}
		if (streaming_now() < old_enough)
			return old_enough;
	}
	row->segment = ++*number;
	row->since = GetCurrentTimestamp();
	write_segment(shared->stream, row);
	return streaming_now();		/* maybe nobody needs what was written until now */
}

/* The old table of segment number is empty or, with !old_empty, may be not. */
static void
tell_segment(StreamingStreamShared *shared, uint64 number, bool old_empty)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->push_number <= number)
	{
		shared->push_number = number;
		shared->push_old_empty = old_empty;
	}
	LWLockRelease(shared->lock);
}

static void
look_again(StreamingStreamShared *shared, StreamingTime due)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->push_trim = true;
	shared->push_due = due;
	LWLockRelease(shared->lock);
}

/* The caller has a lock. */
static BlockNumber
table_blocks(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	BlockNumber blocks = streaming_table_blocks(rel);

	table_close(rel, NoLock);
	return blocks;
}

/*
 * Does some view need rows of the table old, of the segment before number?  full:
 * so is the table of segment number.
 */
static bool
is_needed(StreamingStreamShared *shared, Oid old, uint64 number, bool full)
{
	List	   *checkpoints = streaming_checkpoint_read(InvalidOid, shared->stream);
	Oid			upstream = streaming_internal_root(shared->stream);
	bool		needed = false;
	ListCell   *lv;

	/* A snapshot younger than the lock, so that it sees all rows there are. */
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(lv, streaming_catalog_views_of_stream(OidIsValid(upstream) ? upstream : shared->stream))
	{
		bool		needs = !OidIsValid(upstream);	/* unless it has a checkpoint */
		ListCell   *lc;

		foreach(lc, checkpoints)
		{
			StreamingCheckpoint *checkpoint = lfirst(lc);

			if (checkpoint->view == lfirst_oid(lv))
				needs = streaming_snapshot_needs(checkpoint->position, shared, old, number - 1);
		}
		if (needs && full && OidIsValid(upstream) && lets_go(upstream, lfirst_oid(lv)))
			needs = false;
		needed |= needs;
		if (needed)
			break;
	}
	PopActiveSnapshot();
	return needed;
}

/* Does the view run, and without errors? */
static bool
is_running(StreamingView *view)
{
	int			index;
	bool		running;

	if (!view->enabled)
		return false;
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	index = streaming_view_slot_find(MyDatabaseId, view->view);
	running = index < 0 || streaming_view_slots[index].status == STREAMING_VIEW_RUNNING;
	LWLockRelease(streaming_slots->lock);
	return running;
}

/* May it load upstream anew, and begin again with all that it reads? */
static bool
may_reload(StreamingView *view, Oid upstream)
{
	ListCell   *lc;

	if (get_rel_relkind(upstream) == RELKIND_VIEW)
		return view->owner != streaming_relation_owner(upstream, true);
	foreach(lc, streaming_catalog_inputs(view->definition))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return false;
	}
	return true;
}

/* Lets relid, which reads upstream, load it anew, if it may not keep its changes. */
static bool
lets_go(Oid upstream, Oid relid)
{
	StreamingView *view;

	/* held by its batches and by who changes its options */
	if (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock))
		return false;
	view = streaming_catalog_view(relid, true);
	if (view == NULL || is_running(view) || !may_reload(view, upstream))
	{
		UnlockRelationOid(relid, ShareUpdateExclusiveLock);
		return false;
	}
	ereport(LOG,
			(errmsg("continuous view \"%s\" is to load \"%s\" anew when it runs again",
					get_rel_name(relid), get_rel_name(upstream)),
			 errdetail("It has not taken changes that fill streaming.buffer_size.")));
	streaming_reset_later(relid);
	return true;
}

static void
empty_table(Oid relid)
{
	if (get_rel_persistence(relid) == RELPERSISTENCE_UNLOGGED)
	{
		(void) streaming_table_clear(relid);
		return;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	streaming_internal_truncate(list_make1_oid(relid));
	PopActiveSnapshot();
}

static int64
interval_us(const Interval *interval)
{
	return interval->time +
		((int64) interval->month * DAYS_PER_MONTH + interval->day) * USECS_PER_DAY;
}
