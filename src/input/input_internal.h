/*
 * input_internal.h
 *		What the files of the reader share: input.c, input_buffer.c,
 *		input_source.c, input_retried.c, input_snapshot.c, input_event_time.c,
 *		input_progress.c.
 */
#ifndef STREAMING_INPUT_INTERNAL_H
#define STREAMING_INPUT_INTERNAL_H

#include "access/htup_details.h"
#include "buffer/buffer.h"
#include "catalog/missed_rows.h"
#include "catalog/checkpoint.h"
#include "input/input.h"
#include "push/push_scan.h"
#include "shared/shmem.h"
#include "source/source_scan.h"
#include "base/statement.h"
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
	StreamingCheckpointPlaces checkpoint;	/* its rows */

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
	int64		planned_retried;	/* rather, so many retried records; 0: none */
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
	StreamingMissed missed;		/* records that it passes without a row; there may be
								 * some that are not before after */
	bool		has_retried;	/* there may be retried records to take */
	int64		retried;		/* that the batch is made of; 0: of none */

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
	StreamingPushTaken taken;	/* by position, of its page */
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
	StreamingMissed missed;
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

/* in input_progress.c: for people, see shmem.h (busy_since) */

/* A batch looks for rows; where there are none, idle follows. */
extern void streaming_show_busy(StreamingInput *input);
extern void streaming_show_idle(StreamingInput *input);
extern void streaming_show_committed(StreamingInput *input);

/* So many rows of the batch have been read; told now and then. */
static inline void
streaming_show_rows(StreamingInput *input, int64 rows)
{
	if (unlikely((rows & 1023) == 0))
		pg_atomic_write_u64(&input->reader->batch_rows, rows);
}

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

/* in input_retried.c */

/*
 * Makes a batch of records that have been retried, at most max of them.  False: there
 * are none.
 */
extern bool streaming_retried_begin(StreamingInput *input, int64 max);

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

#endif							/* STREAMING_INPUT_INTERNAL_H */
