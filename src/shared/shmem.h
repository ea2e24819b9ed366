/*
 * shmem.h
 *		Shared memory of streams: the ring of buffer segments, the readers of a
 *		stream, who is pushing rows into it, and its counters.
 *
 * One StreamingStreamShared per stream that has been read or pushed to since
 * the server started, of all databases.  A stream keeps its entry as long as
 * somebody uses it; one that nobody uses may be given to another stream when
 * all are taken, so whatever must survive that is in tables.
 *
 * Locks:
 *
 *	streaming_streams->lock		which stream has which entry, and which readers
 *								exist (database, stream, view, owner of each)
 *	stream->lock				everything else of the stream and the positions
 *								and flags of its readers
 *	atomics						as noted
 *
 * The first is taken before the second, both for microseconds: never while
 * reading, waiting or raising an error.
 */
#ifndef STREAMING_SHMEM_H
#define STREAMING_SHMEM_H

#include "port/atomics.h"
#include "storage/itemptr.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/column_set.h"
#include "catalog/stream.h"

/* Tables in a stream's ring at most; buffer.c says when how many are used. */
#define STREAMING_MAX_SEGMENTS	16

/* Partitions whose positions are shown one by one; others are summed up. */
#define STREAMING_MAX_PARTITIONS	64

#define STREAMING_MESSAGE_LENGTH	512

/*
 * A place in a sequence of segments: "behind the row tid of segment number".
 * Of pushed streams only the block counts.  number 0: no place.
 */
typedef struct StreamingPlace
{
	uint64		number;
	ItemPointerData tid;
} StreamingPlace;

/*
 * A table of a pushed stream, as somebody saw it who had it locked.  A place in it
 * counts as long as the era is the same: another begins when blocks may have
 * other rows than before.  push_tables.c keeps it.
 */
typedef struct StreamingPushFile
{
	Oid			file;			/* its relfilenode; Invalid: nobody has seen it */
	BlockNumber blocks;			/* its length */
	uint64		era;			/* by chance, so that none comes again; never 0 */
} StreamingPushFile;

/* Tables of a pushed stream, used in turn: segment n is in table n % 2. */
#define STREAMING_PUSH_TABLES	2

/* One table of the ring. */
typedef struct StreamingSegment
{
	Oid			relid;			/* Invalid: there is no such table yet */
	Oid			file;			/* its relfilenode when the segment was begun */
	uint64		number;			/* of what it holds, rising from 1; 0: nothing */
	ItemPointerData end;		/* last row that may be read */
	bool		complete;		/* nothing will be appended */
	int64		rows;			/* of the stream's published_rows up to end */
	StreamingColumnSet columns; /* that were decoded; others are NULL */
} StreamingSegment;

typedef struct StreamingPartitionStats
{
	int32		partition;
	int64		position;		/* next to be taken by the ingest worker */
	int64		end;			/* known end, -1: unknown */
} StreamingPartitionStats;

typedef enum StreamingIngestState
{
	STREAMING_INGEST_NONE,		/* nobody fills the ring; next: STARTING */
	STREAMING_INGEST_STARTING,	/* readers wait; next: RUNNING, NONE */
	STREAMING_INGEST_RUNNING	/* the ring is valid; next: STARTING, NONE */
} StreamingIngestState;

typedef struct StreamingStreamShared
{
	LWLock	   *lock;			/* fixed */

	/* streaming_streams->lock */
	Oid			database;		/* Invalid: the entry is free */
	Oid			stream;
	Oid			owner;
	int			users;			/* readers, ingest worker, sessions that look */
	int			first_reader;	/* index of a reader, -1: none */

	/* the ring (kafka, directory) */
	StreamingIngestState state;
	int64		incarnation;	/* of what is read, and in the ring; 0: not known, or
								 * there is none (see source.h) */
	bool		doubted;		/* it is to be asked for again */
	uint32		place;			/* where it is read: StreamingStream.place */
	Latch	   *ingest_latch;	/* of the ingest worker that has taken it up; NULL: none */
	pg_atomic_uint64 alone_until;	/* StreamingTime: it has an ingest worker of its own */
	pg_atomic_uint64 together_until;	/* there was no room for that: it is to have none */
	bool		ingest_waits;	/* for room: wake it when a reader moves on */
	StreamingTime full_since;		/* it has been waiting for room; 0: it has not */
	uint64		head;			/* number of the segment that is written */
	StreamingSegment segments[STREAMING_MAX_SEGMENTS];
	int64		published_rows; /* since the server started */
	StreamingColumnSet columns; /* that are decoded into the head */
	StreamingColumnSet wanted;	/* that readers ask for */

	/* pushed rows (source_push.c); 0: not yet read from the catalog */
	uint64		push_number;	/* of the segment for new rows */
	StreamingPushFile push_files[STREAMING_PUSH_TABLES];
	uint32		push_identity;	/* of the stream's tables */
	bool		push_old_empty; /* the other table is known to be empty */
	bool		push_trim;		/* the coordinator is to look for what can go */
	StreamingTime push_due;		/* but not before */
	pg_atomic_uint64 push_waited_at;	/* StreamingTime: a session waited for the
										 * views to take rows */

	/*
	 * Rises with every change that a reader may want to look at: rows,
	 * errors, a new ring.  Written after the change, read before looking.
	 */
	pg_atomic_uint64 changes;

	/* counters, since the server started */
	pg_atomic_uint64 rows_read;
	pg_atomic_uint64 bytes_read;
	pg_atomic_uint64 rejected_rows;
	pg_atomic_uint64 rejected_since_row;	/* records, since one became a row */

	/* what the ingest worker knows */
	int			unheard;		/* partitions whose end is not known yet; -1: not
								 * known how many there are, or in trouble */
	StreamingTime heard_since;	/* when unheard became 0 */
	StreamingTime behind_since; /* of an end that it had not come to yet at the
								 * last look; 0: it is at the end */
	int			npartitions;	/* may be more than are shown */
	StreamingPartitionStats partitions[STREAMING_MAX_PARTITIONS];
	int64		rest_lag;		/* records behind of those not shown */
	StreamingColumnSet absent;	/* columns that no record has had a field for */
	char		reject_error[STREAMING_MESSAGE_LENGTH];	/* of the last one rejected */
	char		last_error[STREAMING_MESSAGE_LENGTH];	/* "": none */

	/*
	 * With on_error 'stop', a record that cannot be decoded: readers that have
	 * taken all there is before it fail with this message.  "": none.
	 */
	char		stop_error[STREAMING_MESSAGE_LENGTH];
	int			stop_sqlerrcode;
	bool		stop_lost;		/* rather: nobody can read on from the views'
								 * checkpoints; any on_error */
} StreamingStreamShared;

typedef enum StreamingInputMode
{
	STREAMING_INPUT_NONE,		/* not decided; holds nothing */
	STREAMING_INPUT_BUFFER,		/* holds its segment and all later ones */
	STREAMING_INPUT_SOURCE,		/* reads the source itself */
	STREAMING_INPUT_SNAPSHOT		/* pushed stream */
} StreamingInputMode;

/* Why a reader has something to take, for people. */
typedef enum StreamingReaderPhase
{
	STREAMING_PHASE_FOLLOWS,	/* it has come, or is behind */
	STREAMING_PHASE_RESET,		/* the view has been reset, and begins again */
	STREAMING_PHASE_LOAD,		/* the table or view itself is read */
	STREAMING_PHASE_LOAD_COUNTED	/* ditto, and batch_rows tells how much */
} StreamingReaderPhase;

/* A view's reader of a stream. */
typedef struct StreamingViewReader
{
	/* streaming_streams->lock */
	Oid			database;		/* Invalid: the slot is free */
	Oid			view;
	int			stream;			/* index of the stream's entry */
	int			next;			/* index of its next reader, -1: none */
	Latch	   *latch;			/* of the process; a stale one does no harm */

	/* lock of the stream */
	StreamingInputMode mode;
	StreamingPlace place;		/* all before it is committed; SNAPSHOT: was
								 * looked at (0: pushers need not care) */
	int64		rows;			/* published_rows at place */
	bool		running;		/* a batch is under way */
	bool		failing;		/* the last batch failed */
	bool		detached;		/* held the others back: must leave the ring */
	StreamingColumnSet columns; /* that it needs; also in the stream's wanted */

	/* the stream's changes when all there was had been taken; 0: it has not been */
	pg_atomic_uint64 idle_at;

	/* StreamingTime since when something waits for it, at most; 0: nothing does */
	pg_atomic_uint64 waits_since;

	/* what it takes in one go, from the first batch that finds something to the last */
	pg_atomic_uint64 busy_since;	/* StreamingTime; 0: it has taken all there is */
	pg_atomic_uint64 busy_from; /* the offset of partition 0 where that began; PG_UINT64_MAX:
								 * not known */
	pg_atomic_uint64 busy_rows; /* committed */
	pg_atomic_uint64 batch_rows;	/* of the batch under way, a while ago */
	pg_atomic_uint32 phase;		/* StreamingReaderPhase */
} StreamingViewReader;

typedef struct StreamingStreams
{
	LWLock	   *lock;			/* fixed, as are the numbers */
	int			nstreams;
	int			nreaders;
	int			nbackends;
} StreamingStreams;

/* NULL where the library was not preloaded */
extern StreamingStreams *streaming_streams;
extern StreamingStreamShared *streaming_stream_entries;
extern StreamingViewReader *streaming_readers;

/* in shmem.c */
extern void streaming_shmem_init(void); /* from _PG_init */

/*
 * The entry of a stream of this database, made if there is none; it is not
 * given away before release.  Outside of a transaction it is counted for nobody's
 * streaming.role_share.  Errors: CONFIGURATION_LIMIT_EXCEEDED.
 */
extern StreamingStreamShared *streaming_stream_use(Oid stream);
extern void streaming_stream_release(StreamingStreamShared *shared);

/* Ditto, NULL if there is none. */
extern StreamingStreamShared *streaming_stream_lookup(Oid stream);

/* The readers of a stream, one by one; the caller holds streaming_streams->lock. */
#define streaming_foreach_reader(reader, shared) \
	for (StreamingViewReader *reader = streaming_reader_at((shared)->first_reader); \
		 reader != NULL; reader = streaming_reader_at(reader->next))
#define streaming_reader_at(index) ((index) < 0 ? NULL : &streaming_readers[index])

/*
 * A slot for view's reader, mode NONE; the process leaves it at its exit.  A
 * process that runs the view no more, but has not left its slot yet, holds nothing
 * and nobody by it from now on.
 */
extern StreamingViewReader *streaming_reader_enter(StreamingStreamShared *shared, Oid view);
extern void streaming_reader_leave(StreamingViewReader *reader);

/* Has view, of this database, something to take, as far as its readers say? */
extern bool streaming_view_waits(Oid view);

/*
 * Something changed that readers of the stream may look at: raises changes
 * and sets the readers' latches.
 */
extern void streaming_stream_wake_readers(StreamingStreamShared *shared);

/*
 * Who pushes rows.  An entry is the lowest place at which this backend's
 * transaction inserts (see source_push.c for why and in which order).
 */
#define STREAMING_NOT_PUSHING PG_UINT64_MAX
#define streaming_pack_place(number, block) (((uint64) (number) << 32) | (uint32) (block))
extern pg_atomic_uint64 *streaming_my_push(StreamingStreamShared *shared);
extern uint64 streaming_lowest_push(StreamingStreamShared *shared);

/* For streaming.stat_streams: a copy of what is known of a stream. */
typedef struct StreamingStreamStats
{
	StreamingIngestState state;
	int64		rows_read;
	int64		bytes_read;
	int64		rejected_rows;
	int64		rejected_since_row;
	StreamingColumnSet absent;
	char		reject_error[STREAMING_MESSAGE_LENGTH];
	int			unheard;
	int			npartitions;	/* entries of partitions */
	StreamingPartitionStats partitions[STREAMING_MAX_PARTITIONS];
	int			nhidden;		/* partitions that are not shown */
	int64		hidden_lag;
	char		last_error[STREAMING_MESSAGE_LENGTH];
} StreamingStreamStats;

/* False: nothing is known of it since the server started (or not preloaded). */
extern bool streaming_stream_stats(Oid stream, StreamingStreamStats *stats);

/*
 * Since when records have been waiting for a view in its streams, or to be read
 * into their buffers, at most, as far as is known; 0: nothing is.
 */
extern StreamingTime streaming_view_waits_since(Oid view);

/* For streaming.stat_progress: what a reader is at. */
typedef struct StreamingReaderProgress
{
	StreamingReaderPhase phase;
	StreamingTime since;
	int64		from;			/* offset of partition 0; -1: not known */
	int64		rows;			/* committed */
	int64		batch_rows;
} StreamingReaderProgress;

/* False: it has taken all there is, or there is no such reader. */
extern bool streaming_reader_progress(Oid view, Oid stream, StreamingReaderProgress *progress);

/* How far a view's reader is behind what is in the stream's buffer; -1: unknown. */
extern int64 streaming_reader_lag(Oid view, Oid stream);

#endif							/* STREAMING_SHMEM_H */
