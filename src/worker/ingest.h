/*
 * ingest.h
 *		An attempt to read a stream: what ingest_worker.c and ingest_start.c
 *		share.
 */
#ifndef STREAMING_INGEST_H
#define STREAMING_INGEST_H

#include "buffer/buffer.h"
#include "format/format.h"
#include "source/source.h"
#include "shared/shmem.h"

/*
 * From opening the source to the next error or change of the definition.
 * Lives in context, and goes with it.
 */
typedef struct StreamingIngest
{
	Oid			relid;
	StreamingStreamShared *shared;

	MemoryContext context;
	MemoryContext block_context;	/* values of a block of rows */
	StreamingStream *stream;
	StreamingSource *source;
	StreamingDecoder *decoder;
	StreamingColumnSet columns; /* that are decoded */
	StreamingBufferWriter *writer;
	int64		incarnation;	/* of the source; 0: it has none */
	StreamingPositions positions;	/* read up to here */
	StreamingPositions marked;	/* positions that markers have told */
	bool		begun;			/* the source has what follows positions */
	int64		nrecords;		/* that have been decoded */
	StreamingPositions ahead;	/* ends that were known at */
	StreamingTime ahead_at;		/* this time, and that it is to come to; 0: none */

	StreamingTime release_at;	/* when to tell the source what has been taken */
	long		release_delay;	/* ms */
	bool		releases_never; /* it is all the same to the source */

	StreamingRecord *records;	/* of one poll */
	Datum	   *values;			/* of one block */
	bool	   *isnull;
	bool	   *result;

	/* of the chunk under way */
	int64		rows;
	int64		bytes;
	int64		bad;			/* records that were rejected */
	int64		rejected;		/* and are new in streaming.rejected_rows */
	char		reject_error[STREAMING_MESSAGE_LENGTH]; /* of the last of them */
	ErrorData  *stopped;		/* on_error 'stop' has met a bad record */
} StreamingIngest;

/* in ingest_start.c */

/*
 * Where to begin, from the checkpoints of the enabled views in the source's
 * incarnation and what the source holds; *earliest is set to the begin of the source's partitions.  In a
 * transaction that may write.  Returns false if no view has said yet where it
 * begins.  Errors: the source's.
 */
extern bool streaming_ingest_positions(StreamingIngest *ingest, StreamingPositions *start,
									   StreamingPositions *earliest);

/* in ingest_release.c */

/*
 * Tells the source what all views have taken.  In a transaction that may write,
 * whose commit is to be flushed to disk.  LATER, too, if a view has not come to
 * what has been read.
 */
extern StreamingRelease streaming_ingest_release(StreamingIngest *ingest);

/* in ingest_start.c */

/* Columns that the enabled views, and the readers there are, ask for. */
extern void streaming_ingest_columns(StreamingIngest *ingest, StreamingColumnSet *columns);

#endif							/* STREAMING_INGEST_H */
