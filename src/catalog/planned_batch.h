/*
 * planned_batch.h
 *		streaming_internal.planned_batches: what a batch that calls a user's functions has
 *		taken in, written down before it calls them.
 *
 * Functions do things outside the database that no rollback takes back, and go by
 * the number of the batch to tell what has been done.  So the same number must
 * have the same rows: a batch that has failed, or was lost in a crash, is run again
 * up to the positions, and with the watermark, of its first attempt.
 */
#ifndef STREAMING_PLANNED_BATCH_H
#define STREAMING_PLANNED_BATCH_H

#include "utils/timestamp.h"

typedef struct StreamingPlannedBatch
{
	int64		batch_id;
	int			n;				/* partitions that it moves; 0: it takes no input */
	char	  **partitions;
	char	  **positions;		/* as in streaming.checkpoints */
	TimestampTz watermark;		/* at its end; DT_NOBEGIN: none */
} StreamingPlannedBatch;

/* in planned_batch.c; all run in a transaction */

/* In CurrentMemoryContext; NULL: the batch has not been planned. */
extern StreamingPlannedBatch *streaming_planned_batch_read(Oid view, int64 batch_id);

/*
 * Writes one that is not there.  It is durable when this returns, and stays when the
 * current transaction is aborted.
 */
extern void streaming_planned_batch_write(Oid view, const StreamingPlannedBatch *batch);

/* Deletes what there is of view; an abort keeps it. */
extern void streaming_planned_batch_delete(Oid view);

#endif							/* STREAMING_PLANNED_BATCH_H */
