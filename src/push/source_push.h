/*
 * source_push.h
 *		Rows that sessions push into a stream with INSERT and COPY.
 */
#ifndef STREAMING_SOURCE_PUSH_H
#define STREAMING_SOURCE_PUSH_H

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "executor/tuptable.h"
#include "shared/shmem.h"
#include "utils/relcache.h"

/* Columns that a pushed stream's table has before the stream's: "$xid". */
#define STREAMING_PUSH_SHIFT	1

/*
 * The top-level transaction that has pushed a row: "$xid", or if that is NULL,
 * xmin.  That keeps its value when the row is frozen; it is the latest such
 * number before next, which is wrong only for a row older than 2^32
 * transactions.  "$xid" comes first, so a value is where the data begin.
 */
static inline uint64
streaming_push_row_xid(HeapTuple tuple, uint64 next)
{
	HeapTupleHeader header = tuple->t_data;
	uint64		xid;

	if ((header->t_infomask & HEAP_HASNULL) && att_isnull(0, header->t_bits))
	{
		xid = (next & ~UINT64CONST(0xFFFFFFFF)) | HeapTupleHeaderGetRawXmin(header);
		return xid < next ? xid : xid - (UINT64CONST(1) << 32);
	}
	memcpy(&xid, (char *) header + header->t_hoff, sizeof(xid));
	return xid;
}

typedef struct StreamingPush StreamingPush;

/* in source_push.c */

/*
 * Begins to push rows into stream, in CurrentMemoryContext, for one statement.
 * May wait until views have taken what is there (streaming.push_limit).
 */
extern StreamingPush *streaming_push_begin(Relation stream);

/* Takes a copy of the row; it is written by flush or end at the latest. */
extern void streaming_push_row(StreamingPush *push, TupleTableSlot *slot);
extern void streaming_push_flush(StreamingPush *push);
extern void streaming_push_end(StreamingPush *push);

/*
 * The view that is furthest behind in a stream, and by more than
 * streaming.push_limit; Invalid: there is none.  must_wait: there is one; tells it
 * that somebody waits.  Both in a transaction.
 */
extern Oid	streaming_push_behind(Oid stream);
extern bool streaming_push_must_wait(Oid stream);

/* in push_tables.c */

/* Row of streaming_internal.push_segments. */
typedef struct StreamingPushSegment
{
	int64		segment;		/* the current one's number */
	TimestampTz since;			/* when it began */
	TimestampTz made;			/* the stream's tables */
} StreamingPushSegment;

/* read: false if the stream has no tables yet. */
extern bool streaming_push_read_segment(Oid stream, StreamingPushSegment *row);
extern void streaming_push_write_segment(Oid stream, const StreamingPushSegment *row);

/*
 * Makes the tables of a pushed stream, or adapts them to its columns if they
 * are there, which is an error if rows would have to change for it; the caller
 * holds a lock on the stream.  Called when a stream has
 * been made or altered, and, should they be missing, by whoever needs them.
 */
extern void streaming_push_create_tables(Oid stream);

/*
 * Raises an error if a row that the stream holds breaks its constraints, or is not one
 * of the partition that it is.  The
 * caller has locked the stream so that nobody pushes.
 */
extern void streaming_push_check_rows(Oid stream);

/* The table of segment number, Invalid if there is none. */
extern Oid	streaming_push_table(Oid stream, uint64 number);
extern List *streaming_push_streams(void);	/* of Oid: those in streaming_internal.push_segments */

/* False: the rows are in unlogged tables, which a standby does not have. */
extern bool streaming_push_is_readable(Oid stream);

/*
 * Number of the segment for new rows, from shared memory or the catalog; 0: the
 * stream has no tables yet.  Can only rise.  On a standby it is the catalog's, and
 * is not kept: the primary decides what it is.
 */
extern uint64 streaming_push_current(StreamingStreamShared *shared);

/*
 * Looks at the table of segment number, which the caller has locked: returns its
 * era, and in *blocks its length.  Places that were noted in the same era lie
 * where they did, until the lock is released.  0, on a standby: it cannot tell.
 */
extern uint64 streaming_push_look(StreamingStreamShared *shared, Relation table,
								  uint64 number, BlockNumber *blocks);

/* in push_trim.c */

/*
 * If something might be forgotten, as far as shared memory and the size of the
 * current table (streaming_table_blocks) tell, asks the coordinator to look.
 */
extern void streaming_push_ask_trim(StreamingStreamShared *shared, BlockNumber blocks);

/* The coordinator: is to look at all streams of this database, for whatever reason. */
extern void streaming_push_ask_trim_all(void);

/*
 * The coordinator, outside a transaction: forgets, in the streams it has been
 * asked to look at, what all views have taken.  Never waits for a lock.
 * Returns ms until it is to be called again, -1: when it is asked.
 */
extern long streaming_push_trim(void);

#endif							/* STREAMING_SOURCE_PUSH_H */
