/*
 * source.h
 *		Where bytes arrive: the interface of a source that can be read again.
 *
 * A source has partitions, named by a number; a partition is an ever-growing
 * sequence of records, numbered by an offset that rises (not always by one).
 * A position is the offset of the next record not yet taken.  Kafka's
 * partitions and offsets are Kafka's own.  A directory has the one partition 0
 * and offset = file number << 32 | record number in the file (see
 * source_directory.c for how files get their numbers).  Of many topics each
 * partition has a number as the stream's (topic_numbers.c); the offsets are Kafka's.
 *
 * Pushed streams are no such source: their rows are in their buffer already.
 *
 * All functions run in an ordinary backend or worker, in any memory context
 * unless stated, and may ereport(ERROR); a source that was opened is closed by
 * streaming_source_close or by the reset of the memory context it was opened
 * in (sources register a reset callback), so an error leaks nothing.  No
 * function waits longer than it is told, and every wait reacts to interrupts
 * and to the death of the postmaster.
 */
#ifndef STREAMING_SOURCE_H
#define STREAMING_SOURCE_H

#include "catalog/position.h"
#include "catalog/stream.h"
#include "format/record.h"

typedef struct StreamingSource StreamingSource;

/*
 * What a source is opened for.  Kafka knows no difference but that only a
 * follower keeps asking the broker; a directory, which numbers its files
 * itself, does (source_directory.c tells its rules about transactions).
 */
typedef enum StreamingReadMode
{
	/*
	 * What is durable, up to an end: a view that reads the source on its own
	 * until it has caught up.  Trouble with reading is an error.
	 */
	STREAMING_READ_CATCHUP = 0,

	/*
	 * Without end: an ingest worker.  The one mode that registers new files;
	 * poll and bounds want a transaction that may write.
	 */
	STREAMING_READ_FOLLOW = 1,

	/*
	 * All that is there now, for a SELECT: writes nothing, works on a
	 * standby.  Positions are of no use after the source is closed.
	 */
	STREAMING_READ_BATCH = 2
} StreamingReadMode;

/* What a source has to say when it is told that records have been taken. */
typedef enum StreamingRelease
{
	STREAMING_RELEASE_NEVER = 0,	/* it is all the same to it */
	STREAMING_RELEASE_DONE,		/* tell it when more has been taken */
	STREAMING_RELEASE_MORE,		/* commit, and come again at once */
	STREAMING_RELEASE_LATER		/* come again after a pause */
} StreamingRelease;

typedef struct StreamingSourceRoutine
{
	const char *name;

	/*
	 * Opens the source of a stream, in CurrentMemoryContext, without waiting
	 * for anything outside.  The stream must outlive the source.
	 */
	StreamingSource *(*open) (StreamingStream *stream, StreamingReadMode mode);

	/*
	 * May be NULL (one source, always).  The number by which what is read is known,
	 * see kafka_identity.c; positions are of no use in that of another number.
	 * Except in batch mode it is given one, in a transaction that may write; in
	 * batch mode, 0: it has none yet.  To be followed by seek, before poll.  Waits
	 * and fails as bounds does.  From then on poll fails with
	 * ERRCODE_DATA_EXCEPTION when it is another one, not in batch mode.
	 */
	int64		(*identify) (StreamingSource *source, int timeout);

	/*
	 * What the source holds now: for each partition the first offset that can
	 * still be read (begin) and the position behind the last (end).  begin
	 * and end are set in CurrentMemoryContext.  Waits at most timeout ms;
	 * errors: ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION.
	 */
	void		(*bounds) (StreamingSource *source, int timeout,
						   StreamingPositions *begin, StreamingPositions *end);

	/*
	 * May be NULL (a broker's offsets are final).  Files that nobody had
	 * registered when bounds looked, in batch mode, have guessed positions.
	 * True, with end set in CurrentMemoryContext, when all of them have
	 * their own: end is behind all that was there at bounds.
	 */
	bool		(*settle) (StreamingSource *source, StreamingPositions *end);

	/*
	 * Positions for the option value start: "earliest", "latest", or what
	 * timestamptz_in reads (the first record at or after it; for a directory
	 * the files modified at or after it).  Waits and fails as bounds does.
	 * A directory registers new files here except in batch mode, so that the
	 * positions are durable if the caller's transaction commits.
	 */
	void		(*start) (StreamingSource *source, const char *start,
						  int timeout, StreamingPositions *positions);

	/*
	 * May be NULL (Kafka's broker does it).  Called where a view begins
	 * without a checkpoint, before start, in a transaction that may write:
	 * what has been deleted before the positions needed may be passed over
	 * from now on without an error.  needed: the smallest checkpoint of the
	 * stream's views; a partition not named there is needed by nobody.
	 */
	void		(*forget) (StreamingSource *source, const StreamingPositions *needed);

	/*
	 * May be NULL.  Of a follower: what is before needed has been taken by all views,
	 * for good, so that the source may do away with it.  In a transaction that
	 * may write, in which views that begin anew are kept out; if it has written,
	 * its commit is to be on disk before the next call.
	 */
	StreamingRelease (*release) (StreamingSource *source, const StreamingPositions *needed);

	/*
	 * Begins to deliver records from the given positions; a partition that
	 * is not named there, and one that appears later, begins at its earliest
	 * offset.  After an abort of the transaction of a poll, seek before the
	 * next one.  Where an offset is no longer there (retention), poll fails
	 * with ERRCODE_DATA_EXCEPTION and a hint that names the choices
	 * (streaming.reset, option start).
	 */
	void		(*seek) (StreamingSource *source, const StreamingPositions *positions);

	/*
	 * Delivers at most max records that have arrived, at least none, without
	 * waiting (but for an answer whether it is still the source it was).
	 * *positions (in/out; in the context it was made in) is moved forward to
	 * what has been delivered or skipped: after the records of this call have
	 * been taken, it is the position to continue from.
	 * (The header of a CSV file that is read on in the middle may be delivered
	 * again, for the decoder; it is never a row.)
	 * Connection trouble is no error: it is told by last_error and cleared by
	 * success, while the source itself tries again with back-off.
	 */
	int			(*poll) (StreamingSource *source, StreamingRecord *records, int max,
						 StreamingPositions *positions);

	/*
	 * A descriptor that becomes readable when poll may have something to
	 * deliver, or -1: then ask at least every streaming.scan_interval.
	 */
	int			(*wait_fd) (StreamingSource *source);

	/* It does so, too, for what a poll has not delivered. */
	bool		fd_tells_rest;

	/*
	 * The last known ends of the partitions without asking anybody, for lag;
	 * partitions not known are absent, an end not known is -1.
	 */
	void		(*known_end) (StreamingSource *source, StreamingPositions *end);

	/* The trouble it is in now, or NULL.  Valid until the next call. */
	const char *(*last_error) (StreamingSource *source);

	/* Frees everything; must not ereport. */
	void		(*close) (StreamingSource *source);
} StreamingSourceRoutine;

/* Each source's own struct begins with this. */
struct StreamingSource
{
	const StreamingSourceRoutine *routine;
	StreamingStream *stream;

	/*
	 * Set by who opens it, before the first poll: the columns that are decoded, as for
	 * streaming_decoder_open.  Of a file in a columnar format others stay unread.
	 */
	Bitmapset  *needed;

	/*
	 * Likewise, in batch mode only: records that do not meet these (scan_condition.h) may
	 * be left out.  NULL: none may.
	 */
	struct StreamingConditions *conditions;

	/*
	 * Set by poll and start: what has been delivered before is not what the source
	 * holds now.  The buffer is of no use to those who begin anew.
	 */
	bool		changed;
};

/* in source.c */
extern StreamingSource *streaming_source_open(StreamingStream *stream,
											  StreamingReadMode mode);
extern void streaming_source_close(StreamingSource *source);

/* in source_kafka.c, source_topics.c, source_directory.c */
extern const StreamingSourceRoutine streaming_source_kafka;
extern const StreamingSourceRoutine streaming_source_topics;
extern const StreamingSourceRoutine streaming_source_directory;

#endif							/* STREAMING_SOURCE_H */
