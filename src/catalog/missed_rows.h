/*
 * missed_rows.h
 *		streaming_internal.missed_rows: records that views have passed without a row.
 */
#ifndef STREAMING_MISSED_ROWS_H
#define STREAMING_MISSED_ROWS_H

#include "catalog/position.h"

/* Partition of a planned batch (planned_batch.h) that is made of retried records. */
#define STREAMING_RETRIED_PARTITION "retried"

/* Records that a batch has passed, in no order; zeros: none. */
typedef struct StreamingMissed
{
	int			n;
	int			allocated;
	StreamingPosition *records;
} StreamingMissed;

/* in missed_rows.c */

/*
 * Notes a record, in CurrentMemoryContext, or where the list is.  Of more than
 * streaming.rejected_limit the last ones stay.
 */
extern void streaming_missed_add(StreamingMissed *missed, int32 partition, int64 offset);

/*
 * In the transaction of a batch of view that passes them: writes down those that
 * streaming.rejected_rows has and that can be decoded again.
 */
extern void streaming_missed_write(Oid view, Oid stream, StreamingSourceKind kind,
								   const StreamingMissed *missed);

/* Have records that view has passed been retried, which it has not taken yet? */
extern bool streaming_missed_has_retried(Oid view, Oid stream);

/* Forgets those of stream that streaming.rejected_rows no longer has. */
extern void streaming_missed_clean(Oid stream);

/* view begins anew. */
extern void streaming_missed_forget(Oid view);

#endif							/* STREAMING_MISSED_ROWS_H */
