/*
 * input_internal.h
 *		What the files of the reader share: input.c, input_buffer.c,
 *		input_source.c, input_snapshot.c, push_scan.c, input_event_time.c.
 */
#ifndef STREAMING_INPUT_INTERNAL_H
#define STREAMING_INPUT_INTERNAL_H

#include "access/htup_details.h"
#include "buffer.h"
#include "input.h"
#include "shmem.h"
#include "source/source_scan.h"
#include "statement.h"
#include "storage/block.h"
#include "storage/bufpage.h"
#include "utils/tuplestore.h"

/* Pages of a table that hold, with common rows, many (STREAMING_FEW_ROWS). */
#define STREAMING_MANY_PAGES	16

/* Pages that a sample of a batch has. */
#define STREAMING_SAMPLE_PAGES	128

/* The next offset of each partition, dense; -1: not known. */
typedef struct StreamingOffsets
{
	int			n;
	int64	   *next;
} StreamingOffsets;

/* A time of each partition; DT_NOBEGIN: none. */
typedef struct StreamingEventTimes
{
	int			n;
	TimestampTz *time;
} StreamingEventTimes;

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

	/* of a scan that several processes share */
	StreamingPushShare *share;	/* NULL: it is not */
	StreamingSnapshotPosition shared_position;
	uint64		pages;			/* that this process has read */
	uint64		rows;
} StreamingPushScan;

struct StreamingInput
{
	MemoryContext context;		/* of the input and all it keeps */
	Oid			view;
	char	   *start;			/* NULL: the stream's */
	StreamingStream *stream;
	StreamingColumnSet columns; /* that the view reads */
	StreamingStreamShared *shared;
	StreamingViewReader *reader;
	bool		holds_pushers;	/* streaming.push_limit is about it: it does not
								 * wait to be drained */
	uint64		seen_changes;	/* shared->changes when it looked last */
	StreamingTime began;		/* when that was read */
	bool		more;			/* the last batch left something */

	/* event time; committed, as next is */
	AttrNumber	event_attno;	/* 0: of no interest */
	StreamingEventTimes event_times;	/* largest of each partition */
	TimestampTz latest;			/* later ones are none, in this batch */
	StreamingEventTimes moved;	/* rather StreamingTime: when a partition
								 * moved last */
	void		(*rescanned) (void);	/* called when a scan begins anew */

	/* the batch */
	bool		bound;
	StreamingSize size;	/* that it is likely to have */
	BlockNumber pages;			/* of rows, if the size is bulk */
	bool		sampling;		/* scans return only a sample */
	int64		sampled;		/* its rows */
	StreamingInputMode mode;	/* NONE: no rows, only a position */
	MemoryContext batch_context;
	int64		max_rows;		/* 0: none */
	int64		max_files;

	/* where a batch that was tried before ends */
	bool		planned;
	StreamingOffsets planned_end;	/* -1: nothing of the partition */
	StreamingSnapshotPosition planned_position; /* of a pushed stream */

	/* set by the first scan that came to the end */
	bool		done;
	int64		batch_rows;
	bool		batch_more;
	StreamingEventTimes batch_times;	/* largest event time of each partition */

	/* kafka, directory */
	bool		decided;		/* next is where it is to go on */
	bool		written;		/* there is a checkpoint */
	bool		initial;		/* the batch only decides where to begin */
	int64		incarnation;	/* of the source that next is of; 0: none */
	int64		batch_incarnation;	/* of the one that the batch has read */
	StreamingOffsets next;		/* committed */
	StreamingOffsets after;		/* of the batch, when done */

	/* mode BUFFER */
	StreamingBufferRange range;
	StreamingPlace place;		/* when done */
	int64		place_rows;

	/* mode SOURCE */
	StreamingSourceScan *source;	/* NULL: not open */
	int64		source_incarnation; /* as of its last seek */
	bool		seek;			/* it is not where next is */
	Tuplestorestate *store;		/* rows of the batch */

	/* mode SNAPSHOT */
	StreamingSnapshotPosition position; /* committed */
	StreamingSnapshotPosition new_position; /* of the batch */
	uint64		prepared;		/* number of the current segment; 0: not prepared */
	StreamingPlace looked_at;	/* the end when it was prepared */
	BlockNumber table_size;		/* of the current segment then */
	StreamingPushScan push;		/* begins with the batch's first row */
};

/* One way through the rows of a batch. */
struct StreamingInputScan
{
	StreamingInput *input;
	TupleTableSlot *stored;		/* as it lies in a table */
	TupleTableSlot *slot;		/* as a row of the stream */
	bool		finished;
	int64		rows;

	/* mode BUFFER */
	StreamingOffsets next;
	int			part;			/* of the range; -1: before the first */
	Relation	rel;
	TableScanDesc scan;
	ItemPointerData last;		/* taken or passed over */
	int64		file;
	int64		files;

	/* mode SOURCE */
	int			read_pointer;

	/* mode SNAPSHOT */
	StreamingPushScan push;
};

/* in input.c */
extern void streaming_offsets_set(StreamingOffsets *offsets, int32 partition, int64 offset);
extern void streaming_offsets_copy(StreamingOffsets *to, const StreamingOffsets *from);

static inline int64
streaming_offsets_get(const StreamingOffsets *offsets, int32 partition)
{
	return likely(partition < offsets->n) ? offsets->next[partition] : -1;
}

extern void streaming_scan_done(StreamingInputScan *scan, bool more);

/* An error if the batch would go on in a source that is not the one of next. */
extern void streaming_input_check_incarnation(StreamingInput *input, int64 incarnation);

/* in input_event_time.c */

/* A batch begins: what is ahead is ahead of the clock as it is now. */
extern void streaming_track_begin(StreamingInput *input);

/* Notes the event time of a row of the batch. */
extern void streaming_track_time(StreamingInput *input, int32 partition, TimestampTz time);

/* Largest event time of a partition, the batch's rows included. */
extern TimestampTz streaming_partition_time(StreamingInput *input, int32 partition);

/* The batch is committed; called while next is still where it began. */
extern void streaming_track_committed(StreamingInput *input);

/* Notes the event time of the row in slot, which is of the stream's type. */
static inline void
streaming_track_row(StreamingInput *input, int32 partition, TupleTableSlot *slot)
{
	Datum		value;
	bool		isnull;

	if (input->event_attno == 0)
		return;
	value = slot_getattr(slot, input->event_attno, &isnull);
	if (!isnull)
		streaming_track_time(input, partition, DatumGetTimestampTz(value));
}

/* in input_buffer.c */
extern bool streaming_buffer_begin(StreamingInput *input);
extern void streaming_buffer_scan_open(StreamingInputScan *scan);
extern TupleTableSlot *streaming_buffer_scan_next(StreamingInputScan *scan);
extern void streaming_buffer_scan_reset(StreamingInputScan *scan);

/* in input_source.c */
extern void streaming_source_decide(StreamingInput *input);
extern bool streaming_source_begin(StreamingInput *input);
extern void streaming_source_begin_planned(StreamingInput *input);
extern void streaming_source_leave(StreamingInput *input);
extern void streaming_store_scan_open(StreamingInputScan *scan);
extern TupleTableSlot *streaming_store_scan_next(StreamingInputScan *scan);
extern void streaming_store_scan_reset(StreamingInputScan *scan);

/* in input_snapshot.c */

/* What a snapshot taken now sees; the tables are locked. */
extern void streaming_snapshot_position_now(StreamingPushScan *scan,
											StreamingStreamShared *shared,
											StreamingSnapshotPosition *position);
extern void streaming_snapshot_open(StreamingInput *input);
extern void streaming_snapshot_prepare(StreamingInput *input);
extern bool streaming_snapshot_begin(StreamingInput *input);
extern void streaming_snapshot_checkpoint(StreamingInput *input,
										  const StreamingSnapshotPosition *taken,
										  int64 batch_id);
extern void streaming_snapshot_committed(StreamingInput *input);
extern void streaming_snapshot_scan_open(StreamingInputScan *scan);
extern TupleTableSlot *streaming_snapshot_scan_next(StreamingInputScan *scan);
extern void streaming_snapshot_scan_reset(StreamingInputScan *scan);

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

#endif							/* STREAMING_INPUT_INTERNAL_H */
