/*
 * ingest.h
 *		A stream that an ingest worker reads: what the files ingest_*.c share.
 */
#ifndef STREAMING_INGEST_H
#define STREAMING_INGEST_H

#include "buffer/buffer.h"
#include "format/format.h"
#include "source/source.h"
#include "shared/shmem.h"

/* What the last run of a stream has passed on. */
typedef enum StreamingIngestMoved
{
	STREAMING_MOVED_NOTHING,
	STREAMING_MOVED_FEW,		/* rows trickle in: more may keep them company */
	STREAMING_MOVED_MANY
} StreamingIngestMoved;

/*
 * A stream that this process reads, and what there is of its present attempt: from
 * opening the source to the next error or change of the definition.  What is of
 * the attempt lives in context and goes with it.
 */
typedef struct StreamingIngest
{
	Oid			relid;
	Oid			owner;			/* that the stream must have; Invalid: any */
	StreamingStreamShared *shared;
	bool		alone;			/* the only one of this process */

	bool		definition_changed;
	bool		careful;		/* decodes record by record, see ingest_stream.c */
	bool		warned_of_absent;	/* in the log, since the definition changed */
	int			failures;		/* attempts in a row */
	bool		gone;			/* dropped, or another's: to be left */

	/* when it is to be run again */
	bool		ready;			/* now */
	StreamingTime due;			/* at that time, if not before */
	bool		held;			/* not before, whatever its descriptor says: it has failed,
								 * has no room, or no view to begin with */
	StreamingTime show_at;		/* what people see is to be brought up to date */
	StreamingTime stats_at;		/* when it was last */
	StreamingIngestMoved moved;
	StreamingTime busy_since;	/* it has had more to read at each run; 0: it has not */

	/* of the attempt; all from here on is 0 between two of them */
	MemoryContext context;		/* NULL: there is none */
	MemoryContext block_context;	/* values of a block of rows */
	bool		progressed;		/* it has passed something on */
	int			fd;				/* that tells that there is more; -1: none */
	StreamingStream *stream;
	StreamingSource *source;
	StreamingDecoder *decoder;
	StreamingColumnSet columns; /* that are decoded */
	StreamingBufferWriter *writer;	/* NULL: it has not begun to read */
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

/* in ingest_stream.c */

/*
 * Takes a stream up; NULL: another process still has it.  In a transaction; the
 * result is in TopMemoryContext.  Errors: those of streaming_stream_use.
 */
extern StreamingIngest *streaming_ingest_take(Oid relid, Oid owner);

/* Ends the attempt, and lets others take the stream up.  Frees ingest. */
extern void streaming_ingest_leave(StreamingIngest *ingest);

/* The same at the end of the process, which frees everything. */
extern void streaming_ingest_let_go(StreamingIngest *ingest);

/*
 * Runs the stream as far as it goes without waiting for more: begins an attempt, or
 * passes on what has come.  Says when it is to be run again.  Errors end the attempt,
 * are shown and logged, and not thrown.
 */
extern void streaming_ingest_run(StreamingIngest *ingest);

/* The process was woken: is there something that concerns this stream? */
extern void streaming_ingest_look(StreamingIngest *ingest);

/* A descriptor that is waited for has come or gone; whoever waits sets it to false. */
extern bool streaming_ingest_fds_changed;

/* in ingest_streams.c */

/*
 * The server whose worker reads a stream, for its owner; Invalid: it has a worker of
 * its own.  *until is lowered to when that may change.  In a transaction.
 */
extern Oid	streaming_ingest_server(Oid stream, StreamingTime *until);

/* The streams (Oid) of owner that the worker of server is to read; likewise. */
extern List *streaming_ingest_streams(Oid server, Oid owner, StreamingTime *until);

/*
 * The stream is to have a worker of its own for a while, or that for a while longer.
 * False: the server has no room for that.
 */
extern bool streaming_ingest_separate(StreamingStreamShared *shared);

/* There is no room for that after all.  False: it was not to have one. */
extern bool streaming_ingest_rejoin(Oid stream);

/* In ingest_show.c: what people see of a stream that is read; if it is not, nothing. */
extern void streaming_ingest_show(StreamingIngest *ingest);
extern void streaming_ingest_show_rejects(StreamingIngest *ingest);
extern void streaming_ingest_warn_of_absent(StreamingIngest *ingest);

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
