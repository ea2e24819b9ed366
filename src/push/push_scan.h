/*
 * push_scan.h
 *		Which pushed rows a position has taken, and reading those that it has not.
 */
#ifndef STREAMING_PUSH_SCAN_H
#define STREAMING_PUSH_SCAN_H

#include "access/htup_details.h"
#include "executor/tuptable.h"
#include "shared/shmem.h"
#include "storage/block.h"
#include "storage/bufpage.h"
#include "utils/snapshot.h"

/*
 * Position in a pushed stream: all rows that a snapshot saw have been taken,
 * and those that it did not see are at (number, block) or behind it.
 */
typedef struct StreamingSnapshotPosition
{
	uint64		number;			/* of the segment */
	uint64		era;			/* of its table, in which block counts */
	BlockNumber block;
	uint64		xmin;			/* of the snapshot; 64-bit transaction ids */
	uint64		xmax;			/* 0: nothing has been taken */
	int			nxip;
	uint64	   *xip;			/* sorted */
	uint64		own_xid;		/* of the transaction that took the snapshot, among
								 * xip; 0: it had none */
	CommandId	own_cid;		/* the snapshot saw what it did before that */
} StreamingSnapshotPosition;

/* What it depends on whether a scan wants a row that nobody has deleted. */
typedef struct StreamingPushOrigin
{
	TransactionId xmin;			/* tells "$xid", too */
	CommandId	cmin;
	uint16		infomask;		/* of it HEAP_XACT_MASK; 0: of no row */
} StreamingPushOrigin;

/* Of the page that a position begins with, all rows before next have been taken. */
typedef struct StreamingPushTaken
{
	uint64		number;
	uint64		era;
	BlockNumber block;
	OffsetNumber next;			/* Invalid: nothing is known */
} StreamingPushTaken;

/* What processes know together that share a scan; in their shared memory. */
typedef struct StreamingPushShare StreamingPushShare;

/* The rows of a pushed stream's tables that a position has not taken. */
typedef struct StreamingPushScan
{
	/* old and current segment */
	Oid			tables[2];
	uint64		numbers[2];
	uint64		eras[2];		/* of the tables that are locked */
	TupleDesc	desc;			/* of the rows wanted; NULL: nobody looks into them */
	const StreamingSnapshotPosition *position;	/* NULL: all rows are wanted */
	const StreamingSnapshotPosition *until; /* and seen by this one; NULL: by any */
	StreamingPushTaken *taken;	/* by position or earlier ones; NULL: nobody remembers it */
	Snapshot	snapshot;
	uint64		next_xid;		/* when the scan began */
	TupleTableSlot *slot;		/* the row found */

	int			table;			/* index of the one that is scanned, 2: end */
	ItemPointerData from;		/* where to begin in it */
	Relation	rel;			/* NULL: it has not been begun */
	BlockNumber block;			/* to be read next */
	BlockNumber nblocks;
	BlockNumber most;			/* to be read of each table; 0: all */

	/* the page that is read, pinned */
	Buffer		buffer;			/* Invalid: none */
	Page		page;
	OffsetNumber wanted[MaxHeapTuplesPerPage];
	int			nwanted;
	int			next;			/* of wanted */
	HeapTupleData tuple;		/* in slot */

	/* of the row looked at last */
	StreamingPushOrigin origin;
	bool		origin_wanted;
	bool		origin_taken;	/* by position, as from now on by all later ones */

	/* of a scan that several processes share */
	StreamingPushShare *share;	/* NULL: it is not */
	StreamingSnapshotPosition shared_position;
	uint64		pages;			/* that this process has read */
	uint64		rows;
} StreamingPushScan;

/* in push_position.c */

/* What snapshot has seen; the place is the caller's to set.  In CurrentMemoryContext. */
extern void streaming_snapshot_position_set(StreamingSnapshotPosition *position, Snapshot snapshot);

/*
 * Text form of a position, palloc'd; identity is that of the stream's tables.
 * in: false if the text is of other tables (a restored dump).
 */
extern char *streaming_snapshot_position_out(const StreamingSnapshotPosition *position,
											 uint32 identity);
extern bool streaming_snapshot_position_in(const char *text, uint32 identity,
										   StreamingSnapshotPosition *position);

/*
 * Has the active snapshot rows in table, of segment number, that position has
 * not taken?  The caller has a lock on the table.
 */
extern bool streaming_snapshot_needs(const char *position, StreamingStreamShared *shared,
									 Oid table, uint64 number);

/* Has the position taken the rows that a command of a transaction has pushed? */
extern bool streaming_snapshot_has_seen(const StreamingSnapshotPosition *position, uint64 xid,
										CommandId cid);

/* in push_scan.c */

/*
 * Locks the tables of a pushed stream's segments from number from on, and
 * prepares to scan them; slot is one that streaming_stored_slot_make has made.
 * begin sets the snapshot; rows that position has taken are left out, NULL: none.
 */
extern void streaming_push_scan_lock(StreamingPushScan *scan, StreamingStreamShared *shared,
									 uint64 from);
extern void streaming_push_scan_lock_table(StreamingPushScan *scan,
										   StreamingStreamShared *shared, int i);
extern void streaming_push_scan_begin(StreamingPushScan *scan, Snapshot snapshot,
									  const StreamingSnapshotPosition *position,
									  TupleTableSlot *slot);
extern bool streaming_push_scan_next(StreamingPushScan *scan);
extern void streaming_push_scan_end(StreamingPushScan *scan);

/*
 * For a parallel query.  The leader describes a scan that it has begun and not
 * read in size bytes of shared memory.  Every process, the leader too if it takes
 * part, calls join in the place of lock; the position that it begins with counts
 * for nothing.  reset: the scan is to be read once more; nobody reads it now.
 * is_done, when the others have ended: have all pages been read?  Then *rows is
 * their number of rows.
 */
extern Size streaming_push_share_size(const StreamingPushScan *scan);
extern void streaming_push_share_init(StreamingPushShare *share, const StreamingPushScan *scan);
extern void streaming_push_share_reset(StreamingPushShare *share);
extern void streaming_push_scan_join(StreamingPushScan *scan, StreamingPushShare *share);
extern bool streaming_push_share_is_done(StreamingPushShare *share, int64 *rows);

#endif							/* STREAMING_PUSH_SCAN_H */
