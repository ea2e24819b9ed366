/*
 * directory_numbers.h
 *		Which number each file of a directory stream has, and may be read.
 */
#ifndef STREAMING_DIRECTORY_NUMBERS_H
#define STREAMING_DIRECTORY_NUMBERS_H

#include "base/clock.h"
#include "source/directory_files.h"
#include "source/directory_watch.h"
#include "source/source.h"

typedef struct StreamingNumbers StreamingNumbers;

/* in directory_numbers.c */

/*
 * In CurrentMemoryContext, which outlives it, as do stream and watch.  The
 * functions below run in a transaction; in batch mode, none of them writes.
 */
extern StreamingNumbers *streaming_numbers_open(StreamingStream *stream,
												StreamingReadMode mode,
												StreamingWatch *watch);

/*
 * Asks watch for new files (scan: it shall read directories) and registers
 * them, and notes which ones have changed; not in batch mode.  timeout is how long to wait, in ms, for somebody
 * else who registers files of the stream, before it is an error; 0: leave it
 * for later.
 */
extern void streaming_numbers_discover(StreamingNumbers *numbers, bool scan, int timeout);

/* Says that files up to number have been read, at least the first records of it. */
extern void streaming_numbers_reached(StreamingNumbers *numbers, int64 number);

/* Has discover noticed, since the last call, that a file is not what has been taken? */
extern bool streaming_numbers_changed(StreamingNumbers *numbers);

/* Asks the table which numbers may be read; in batch mode: the directory, once. */
extern void streaming_numbers_refresh(StreamingNumbers *numbers);

/*
 * The highest number that may be read, as of the last refresh; and the one
 * behind the highest that is there, which counts files that the current
 * transaction has registered.
 */
extern int64 streaming_numbers_last(const StreamingNumbers *numbers);
extern int64 streaming_numbers_end(const StreamingNumbers *numbers);

/*
 * Batch mode: the number behind the highest of the files that were there, as
 * soon as all of them that still are have been registered; false: not yet.
 */
extern bool streaming_numbers_settle(StreamingNumbers *numbers, int64 *end);

/* The first number whose file is there, or the end. */
extern int64 streaming_numbers_earliest(StreamingNumbers *numbers);

/* The first number whose file was modified at or after since, or the end. */
extern int64 streaming_numbers_since(StreamingNumbers *numbers, TimestampTz since);

/*
 * Fills files with at most max files with numbers above after and below end,
 * in order; their paths are palloc'd.
 */
extern int	streaming_numbers_next(StreamingNumbers *numbers, int64 after, int64 end,
								   StreamingFile *files, int max);
extern bool streaming_numbers_find(StreamingNumbers *numbers, int64 number,
								   StreamingFile *file);

/* Gives up the files with numbers below below that are not there any more. */
extern void streaming_numbers_forget(StreamingNumbers *numbers, int64 below);

/*
 * Writes the records of n files.  A stream has one follower, so this needs no
 * lock; a second one's transaction would fail, or wait for ours and fail.
 */
extern void streaming_numbers_set_records(StreamingNumbers *numbers,
										  const StreamingFile *files, int n);

/* When discover is to be called again, apart from news and scans. */
extern StreamingTime streaming_numbers_due(StreamingNumbers *numbers);

#endif							/* STREAMING_DIRECTORY_NUMBERS_H */
