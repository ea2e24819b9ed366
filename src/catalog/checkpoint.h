/*
 * checkpoint.h
 *		streaming.checkpoints: how far each view has taken each stream.
 *
 * A row per (view, stream, partition), written in the transaction of the batch
 * whose rows it covers.  The text of a position is the source's own; a pushed
 * stream has the one partition "0" (see push_position.c).
 */
#ifndef STREAMING_CHECKPOINT_H
#define STREAMING_CHECKPOINT_H

#include "catalog/catalog_table.h"
#include "catalog/position.h"
#include "utils/snapshot.h"

/* A row; the strings are in the reader's CurrentMemoryContext. */
typedef struct StreamingCheckpoint
{
	Oid			view;
	char	   *partition;
	char	   *position;
	TimestampTz committed_at;
	TimestampTz event_time;		/* largest one taken; DT_NOBEGIN: none */
	int64		incarnation;	/* of the topic; 0: it is of none */
} StreamingCheckpoint;

/* Where the rows of a view and a stream were written last, in no order; zeros at first. */
typedef struct StreamingCheckpointPlaces
{
	MemoryContext context;		/* of rows */
	StreamingRowPlace *rows;
	int			n;
	int			allocated;
} StreamingCheckpointPlaces;

/* in checkpoint.c; all run in a transaction, with the latest snapshot */

/* Rows of view and stream (view Invalid: of all views), by view. */
extern List *streaming_checkpoint_read(Oid view, Oid stream);

/* Ditto, as snapshot sees them. */
extern List *streaming_checkpoint_read_as_of(Oid view, Oid stream, Snapshot snapshot);

/* The partition as a number; an error if it is none that a source can have. */
extern int32 streaming_checkpoint_partition(const StreamingCheckpoint *row);

/*
 * Sets the positions of n partitions.  Rows that are new are inserted, other
 * partitions are left alone.  event_times: the largest of each partition,
 * DT_NOBEGIN for none; NULL: none.  places: of who writes them with each batch, or NULL.
 */
extern void streaming_checkpoint_write(Oid view, Oid stream, int64 batch_id, int64 incarnation,
									   int n, char *const *partitions, char *const *positions,
									   const TimestampTz *event_times,
									   StreamingCheckpointPlaces *places);

/* Ditto for sources with offsets.  False: there is no checkpoint. */
extern bool streaming_checkpoint_read_positions(Oid view, Oid stream,
												StreamingSourceKind kind,
												StreamingPositions *positions);

/* The topic that the view's positions are of; -1: there is no checkpoint. */
extern int64 streaming_checkpoint_incarnation(Oid view, Oid stream);

/*
 * Lets view, which reads another one, load that one anew when it is taken up
 * next.  It is locked as its batches lock it.
 */
extern void streaming_reset_later(Oid view);

#endif							/* STREAMING_CHECKPOINT_H */
