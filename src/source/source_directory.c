/*
 * source_directory.c
 *		A directory as a source: files that match a glob, each taken once.
 *
 * Every file gets a number when it is first seen, from 1 without gaps, and a
 * record's offset is file number << 32 | number of the record in the file,
 * from 0 (the header of a CSV file is a record, blank lines count).  The
 * position behind a file that is read whole is the begin of the next number,
 * be there such a file or not.  So the order of the stream is the order in
 * which files were first seen; files first seen by the same look are ordered
 * by their modification time, then their name, or as option "order" says.  (What the kernel tells is one
 * look for all that has happened since the last one.)
 *
 * A file is its path.  One that is replaced or changed after it was taken is not
 * taken again by who has taken it; this is remarked in the log, by last_error and in
 * streaming.files when it is noticed.  Who begins anew reads it as it is now, as a
 * SELECT does.  (It keeps its number, and so its place in the order.)
 *
 * With option "after" files go when all views have taken them (directory_release.c).
 * Rows of such files are deleted, from the lowest number on: a position before the
 * first row that is left is lost.
 *
 * When the stream's path is altered, numbers stay.  Files that do not match the new
 * path are passed over, whoever has not taken them yet.
 *
 * Numbers and transactions
 * ------------------------
 * Numbers live in streaming.files; a position is of use as long as the row of
 * its file is there.  Views keep positions in logged rows, while the records
 * between two positions may go through a buffer that neither waits for a
 * commit nor survives a crash.  Hence:
 *
 * 1. Only bounds and poll of a follower, and start in every mode but batch,
 *	  register files: they insert the rows in the caller's transaction, under
 *	  the stream's lock, which is kept to its end.  Numbers therefore are
 *	  committed in order.
 * 2. A follower's poll delivers no record of a file before the transaction that
 *	  registered it has committed.  Whatever the caller does with a record, a
 *	  buffer that others see at once included, happens after the commit record
 *	  of its number: later in WAL is any checkpoint that passes it, also if no
 *	  commit was flushed (synchronous_commit = off).  A number that was lost in
 *	  an abort or a crash was never told to anybody, and is given again.
 *	  So after poll returned nothing but has registered files, the caller
 *	  commits and comes again: wait_fd is readable at once.
 * 3. Positions of bounds and start include files registered in the caller's own
 *	  transaction: they may be written in it, but shown to other processes only
 *	  after its commit.
 * 4. Catch-up reads see what is committed, and what start has registered in
 *	  their own transaction, in which their checkpoint is then written too.
 * 5. A batch read writes nothing: files without a number get one in memory.
 * 6. After an abort the caller seeks before it polls again.  (After an error
 *	  inside of poll itself, poll goes on where it was.)
 *
 * That a file has been read whole is written to streaming.files by the follower
 * (column records), in the transaction of the poll that read the last of it.
 */
#include "postgres.h"

#include "streaming.h"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "access/xact.h"
#include "base/clock.h"
#include "source/beneath.h"
#include "source/directory_numbers.h"
#include "source/directory_reader.h"
#include "source/directory_watch.h"
#include "source/directory_release.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "source/source.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define POSITION(file, record)	((int64) (((uint64) (file) << 32) | (uint32) (record)))
#define POSITION_FILE(position) ((int64) ((uint64) (position) >> 32))
#define POSITION_RECORD(position) ((int64) ((position) & PG_UINT32_MAX))

/* Files whose rows are read at a time. */
#define WINDOW_SIZE		64

/* First pause after trouble with a file; doubled up to streaming.retry_max. */
#define FIRST_RETRY		1000	/* ms */

/* While there is something to read, how often to ask for news. */
#define NEWS_INTERVAL	50		/* ms */

typedef struct DirectorySource
{
	StreamingSource base;
	StreamingReadMode mode;
	MemoryContext context;		/* holds all of it */
	MemoryContextCallback on_reset;
	StreamingWatch *watch;
	StreamingNumbers *numbers;
	StreamingReader *reader;

	/* the way through the files */
	bool		positioned;		/* position is set */
	bool		verified;		/* and known to be one that was given out */
	int64		position;		/* next to deliver */
	int64		delivered;		/* what position was when poll returned last */
	bool		in_poll;		/* still so at the next poll: that one failed */
	bool		reading;		/* current is open, or known to need no reading */
	StreamingFile current;		/* path palloc'd in context */
	List	   *retired;		/* paths that records of the last poll point to */
	StreamingFile window[WINDOW_SIZE];	/* the next files */
	int			nwindow;
	MemoryContext window_context;	/* its paths */
	StreamingFile *finished;	/* by this poll: their records are to be written */
	int			nfinished;
	int			allocated_finished;

	/* when to look again */
	int			epoll;			/* joins what follows, or -1 */
	int			timer;
	bool		timer_due;		/* it is set to expire at once */
	StreamingTime next_scan;
	StreamingTime next_news;
	StreamingTime retry_at;		/* 0: no trouble */
	int			retry_delay;
	char	   *trouble;		/* with a file */
	int64		released;		/* there are no rows of files up to this one */
	char	   *release_trouble;	/* with one that has been taken */
} DirectorySource;

static StreamingSource *directory_open(StreamingStream *stream, StreamingReadMode mode);
static void directory_bounds(StreamingSource *base, int timeout,
							 StreamingPositions *begin, StreamingPositions *end);
static void directory_start(StreamingSource *base, const char *start, int timeout,
							StreamingPositions *positions);
static bool directory_settle(StreamingSource *base, StreamingPositions *end);
static void directory_forget(StreamingSource *base, const StreamingPositions *needed);
static StreamingRelease directory_release(StreamingSource *base,
										  const StreamingPositions *needed);
static void directory_seek(StreamingSource *base, const StreamingPositions *positions);
static int	directory_poll(StreamingSource *base, StreamingRecord *records, int max,
						   StreamingPositions *positions);
static int	directory_wait_fd(StreamingSource *base);
static void directory_known_end(StreamingSource *base, StreamingPositions *end);
static const char *directory_last_error(StreamingSource *base);
static void directory_close(StreamingSource *base);
static void close_on_reset(void *arg);

/* reading */
static int	read_records(DirectorySource *source, StreamingRecord *records, int max);
static bool next_file(DirectorySource *source, bool quiet);
static bool open_file(DirectorySource *source, bool quiet);
static void finish_file(DirectorySource *source);
static void leave_file(DirectorySource *source);

/* trouble */
static void verify_position(DirectorySource *source);
static void lost_position(DirectorySource *source);
static void vanished(DirectorySource *source);
static void set_trouble(DirectorySource *source, const char *message, int error, bool quiet);
static void clear_trouble(DirectorySource *source);

/* waiting */
static void arm_timer(DirectorySource *source, bool more);

const StreamingSourceRoutine streaming_source_directory = {
	.name = "directory",
	.open = directory_open,
	.identify = NULL,
	.bounds = directory_bounds,
	.settle = directory_settle,
	.start = directory_start,
	.forget = directory_forget,
	.release = directory_release,
	.seek = directory_seek,
	.poll = directory_poll,
	.wait_fd = directory_wait_fd,
	.known_end = directory_known_end,
	.last_error = directory_last_error,
	.close = directory_close,
};

/* ------------------------------------------------------------------------
 * The routine
 * ------------------------------------------------------------------------ */

static StreamingSource *
directory_open(StreamingStream *stream, StreamingReadMode mode)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "directory source", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	DirectorySource *source = palloc0(sizeof(DirectorySource));

	source->base.routine = &streaming_source_directory;
	source->base.stream = stream;
	source->mode = mode;
	source->context = context;
	source->epoll = source->timer = -1;
	source->window_context = AllocSetContextCreate(context, "directory source files",
												   ALLOCSET_DEFAULT_SIZES);
	source->watch = streaming_watch_open(stream);
	source->numbers = streaming_numbers_open(stream, mode, source->watch);
	source->reader = streaming_reader_open(stream);

	source->on_reset.func = close_on_reset;
	source->on_reset.arg = source;
	MemoryContextRegisterResetCallback(context, &source->on_reset);
	MemoryContextSwitchTo(old);
	return &source->base;
}

static void
directory_bounds(StreamingSource *base, int timeout,
				 StreamingPositions *begin, StreamingPositions *end)
{
	DirectorySource *source = (DirectorySource *) base;

	if (source->mode == STREAMING_READ_FOLLOW)
		streaming_numbers_discover(source->numbers, true, timeout);
	streaming_numbers_refresh(source->numbers);

	streaming_positions_init(begin);
	streaming_positions_set(begin, 0, POSITION(streaming_numbers_earliest(source->numbers), 0));
	streaming_positions_init(end);
	streaming_positions_set(end, 0, POSITION(streaming_numbers_end(source->numbers), 0));
}

static void
directory_start(StreamingSource *base, const char *start, int timeout,
				StreamingPositions *positions)
{
	DirectorySource *source = (DirectorySource *) base;
	int64		number;

	if (source->mode != STREAMING_READ_BATCH)
		streaming_numbers_discover(source->numbers, true, timeout);
	source->base.changed |= streaming_numbers_changed(source->numbers);
	streaming_numbers_refresh(source->numbers);

	if (strcmp(start, "earliest") == 0)
		number = streaming_numbers_earliest(source->numbers);
	else if (strcmp(start, "latest") == 0)
		number = streaming_numbers_end(source->numbers);
	else
	{
		TimestampTz since = streaming_start_time(base->stream, start);

		/* Files that are older may follow; the order is that of the numbers. */
		number = streaming_numbers_since(source->numbers, since);
	}

	streaming_positions_init(positions);
	streaming_positions_set(positions, 0, POSITION(number, 0));
}

static bool
directory_settle(StreamingSource *base, StreamingPositions *end)
{
	int64		number;

	if (!streaming_numbers_settle(((DirectorySource *) base)->numbers, &number))
		return false;
	streaming_positions_init(end);
	streaming_positions_set(end, 0, POSITION(number, 0));
	return true;
}

static void
directory_forget(StreamingSource *base, const StreamingPositions *needed)
{
	DirectorySource *source = (DirectorySource *) base;
	int64		position = streaming_positions_get(needed, 0);

	if (source->mode == STREAMING_READ_BATCH)
		return;
	streaming_numbers_forget(source->numbers,
							 position < 0 ? PG_INT64_MAX : POSITION_FILE(position));
	source->nwindow = 0;
}

/* Never past what is read here, so that no file goes that this process is to read. */
static StreamingRelease
directory_release(StreamingSource *base, const StreamingPositions *needed)
{
	DirectorySource *source = (DirectorySource *) base;
	int64		below = POSITION_FILE(Max(streaming_positions_get(needed, 0), 0));
	StreamingRelease result;
	char	   *trouble;

	result = streaming_files_release(base->stream, source->watch, &source->released,
									 Min(below, POSITION_FILE(source->position)), &trouble);
	if (trouble != NULL &&
		(source->release_trouble == NULL || strcmp(source->release_trouble, trouble) != 0))
		ereport(LOG, (errmsg("%s", trouble)));
	if (source->release_trouble != NULL)
		pfree(source->release_trouble);
	source->release_trouble = trouble == NULL ? NULL :
		MemoryContextStrdup(source->context, trouble);
	return result;
}

static void
directory_seek(StreamingSource *base, const StreamingPositions *positions)
{
	DirectorySource *source = (DirectorySource *) base;
	int64		position = streaming_positions_get(positions, 0);

	leave_file(source);
	source->nwindow = 0;
	source->positioned = position >= 0;
	source->verified = false;
	source->position = source->delivered = position;
	source->nfinished = 0;
	source->in_poll = false;
	source->retry_at = 0;
	source->retry_delay = 0;
}

static int
directory_poll(StreamingSource *base, StreamingRecord *records, int max,
			   StreamingPositions *positions)
{
	DirectorySource *source = (DirectorySource *) base;
	StreamingTime now = streaming_now();
	int			n = 0;

	if (!IsTransactionState())
		elog(ERROR, "a directory source must be polled in a transaction");

	list_free_deep(source->retired);
	source->retired = NIL;
	if (source->in_poll)
	{
		/* The last one failed: what it had read was not delivered. */
		leave_file(source);
		source->nwindow = 0;
		source->position = source->delivered;
		source->nfinished = 0;
	}
	source->in_poll = true;
	if (!source->reading)
		streaming_reader_trim(source->reader);

	if (source->mode == STREAMING_READ_FOLLOW)
	{
		bool		scan = now >= source->next_scan;

		if (source->epoll < 0)
			(void) directory_wait_fd(base);
		if (scan || !source->reading || now >= source->next_news)
		{
			source->next_news = streaming_time_plus(now, NEWS_INTERVAL);
			if (scan)
				source->next_scan = streaming_time_plus(now, streaming_scan_interval);
			if (source->positioned)
				streaming_numbers_reached(source->numbers,
										  POSITION_FILE(source->position) -
										  (POSITION_RECORD(source->position) == 0));
			streaming_numbers_discover(source->numbers, scan, 0);
			source->base.changed |= streaming_numbers_changed(source->numbers);
		}
	}
	if (!source->positioned)
	{
		streaming_numbers_refresh(source->numbers);
		source->position = POSITION(streaming_numbers_earliest(source->numbers), 0);
		source->positioned = true;
	}
	if (!source->verified)
		verify_position(source);

	if (source->retry_at == 0 || now >= source->retry_at)
		n = read_records(source, records, max);

	if (source->nfinished > 0)
		streaming_numbers_set_records(source->numbers, source->finished, source->nfinished);
	source->nfinished = 0;
	source->in_poll = false;
	source->delivered = source->position;
	streaming_positions_set(positions, 0, source->position);
	arm_timer(source, n > 0 || (source->reading && source->retry_at == 0));
	return n;
}

/*
 * One descriptor joins inotify and a timer, which tells of the next scan, of
 * the next try after trouble, and of records that wait already.
 */
static int
directory_wait_fd(StreamingSource *base)
{
	DirectorySource *source = (DirectorySource *) base;
	struct epoll_event event = {.events = EPOLLIN};
	int			inotify;

	if (source->mode != STREAMING_READ_FOLLOW)
		return -1;
	if (source->epoll >= 0)
		return source->epoll;

	if (!AcquireExternalFD())
		return -1;
	source->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (source->epoll < 0)
	{
		ReleaseExternalFD();
		return -1;
	}
	if (AcquireExternalFD())
	{
		source->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		if (source->timer < 0)
			ReleaseExternalFD();
	}
	if (source->timer < 0 ||
		epoll_ctl(source->epoll, EPOLL_CTL_ADD, source->timer, &event) != 0)
	{
		close(source->epoll);
		ReleaseExternalFD();
		source->epoll = -1;
		if (source->timer >= 0)
		{
			close(source->timer);
			ReleaseExternalFD();
			source->timer = -1;
		}
		return -1;
	}

	inotify = streaming_watch_notify(source->watch);
	if (inotify >= 0 && epoll_ctl(source->epoll, EPOLL_CTL_ADD, inotify, &event) != 0)
		ereport(LOG, (errmsg("could not wait for news of directory \"%s\": %m",
							 base->stream->path)));
	arm_timer(source, true);
	return source->epoll;
}

static void
directory_known_end(StreamingSource *base, StreamingPositions *end)
{
	DirectorySource *source = (DirectorySource *) base;

	streaming_positions_init(end);
	streaming_positions_set(end, 0, POSITION(streaming_numbers_last(source->numbers) + 1, 0));
}

static const char *
directory_last_error(StreamingSource *base)
{
	DirectorySource *source = (DirectorySource *) base;
	const char *trouble;
	int			error;

	if (source->trouble != NULL)
		return source->trouble;
	trouble = streaming_watch_trouble(source->watch, &error);
	if (trouble == NULL)
		trouble = source->release_trouble;
	return trouble != NULL ? trouble : streaming_watch_last_remark(source->watch);
}

static void
directory_close(StreamingSource *base)
{
	DirectorySource *source = (DirectorySource *) base;

	MemoryContextDelete(source->context);	/* calls close_on_reset */
}

static void
close_on_reset(void *arg)
{
	DirectorySource *source = arg;

	streaming_reader_close(source->reader);
	if (source->epoll >= 0)
	{
		close(source->epoll);
		ReleaseExternalFD();
	}
	if (source->timer >= 0)
	{
		close(source->timer);
		ReleaseExternalFD();
	}
	streaming_watch_close(source->watch);
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------ */

/*
 * What comes before an error is delivered first; the next poll meets the error
 * again, with nothing in hand.
 */
static int
read_records(DirectorySource *source, StreamingRecord *records, int max)
{
	int			n = 0;

	while (n < max)
	{
		StreamingReaderResult result;

		CHECK_FOR_INTERRUPTS();
		if (!source->reading && !next_file(source, n > 0))
			break;

		result = streaming_reader_next(source->reader, &records[n], n == 0);
		if (result == STREAMING_READER_FULL)
			break;
		if (result == STREAMING_READER_TROUBLE)
		{
			set_trouble(source, streaming_reader_trouble(source->reader), errno, n > 0);
			break;
		}
		if (source->trouble != NULL)
			clear_trouble(source);
		if (result == STREAMING_READER_END)
			finish_file(source);
		else
		{
			records[n].offset += POSITION(source->current.number, 0);
			source->position = Max(source->position, records[n].offset + 1);
			n++;
		}
	}
	return n;
}

/*
 * Opens the file that position is in, or the next one there is.  Returns false
 * if there is none now, or trouble.  quiet: errors are left for the next call.
 */
static bool
next_file(DirectorySource *source, bool quiet)
{
	for (;;)
	{
		int64		number = POSITION_FILE(source->position);
		StreamingFile *file = NULL;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < source->nwindow && file == NULL; i++)
		{
			if (source->window[i].number >= number)
				file = &source->window[i];
		}
		if (file == NULL)
		{
			MemoryContext old;

			if (streaming_numbers_last(source->numbers) < number)
				streaming_numbers_refresh(source->numbers);
			if (streaming_numbers_last(source->numbers) < number)
				return false;
			source->nwindow = 0;
			MemoryContextReset(source->window_context);
			old = MemoryContextSwitchTo(source->window_context);
			source->nwindow = streaming_numbers_next(source->numbers, number - 1, streaming_numbers_last(source->numbers) + 1,
										 source->window, WINDOW_SIZE);
			MemoryContextSwitchTo(old);
			if (source->nwindow == 0)
				return false;
			file = &source->window[0];
		}

		if (file->number > number)
		{
			/* Batch: it is not there any more; else its row should be there. */
			if (source->mode != STREAMING_READ_BATCH)
			{
				if (quiet)
					return false;
				lost_position(source);
			}
			source->position = POSITION(file->number, 0);
		}
		if (streaming_file_is_gone(file) ||
			file->records == POSITION_RECORD(source->position) ||
			!streaming_watch_matches(source->watch, file->path))
			source->position = POSITION(file->number + 1, 0);
		else
		{
			source->current = *file;
			source->current.path = MemoryContextStrdup(source->context, file->path);
			if (open_file(source, quiet))
				return true;
			if (source->position < POSITION(source->current.number + 1, 0))
				return false;
		}
	}
}

/*
 * Opens current.  Returns false after trouble, or if it is passed over since
 * it is not there: position is then behind it.
 */
static bool
open_file(DirectorySource *source, bool quiet)
{
	StreamingFile *current = &source->current;
	StreamingFound found;
	struct stat st;

	streaming_reader_need(source->reader, source->base.needed);
	streaming_reader_filter(source->reader, source->base.conditions);
	if (!streaming_reader_begin(source->reader, current->path,
								POSITION_RECORD(source->position), &st))
	{
		StreamingFile again;

		if (errno != ENOENT && errno != ENOTDIR)
			set_trouble(source, streaming_reader_trouble(source->reader), errno, quiet);
		else if (source->mode == STREAMING_READ_BATCH ||
				 (streaming_numbers_find(source->numbers, current->number, &again) &&
				  streaming_file_is_gone(&again)))
		{
			/* It has gone, and that is all right. */
			source->position = POSITION(current->number + 1, 0);
			leave_file(source);
		}
		else
		{
			if (!quiet)
				vanished(source);
			leave_file(source);
		}
		return false;
	}
	source->reading = true;

	streaming_watch_stat(&st, &found);
	if (source->mode != STREAMING_READ_BATCH &&
		(found.size != current->size || found.modified != current->modified))
		streaming_watch_remark(source->watch,
							   "file \"%s\" of stream %s was changed before it was read: it is read as it is now",
							   current->path, source->base.stream->name);
	return true;
}

/* All records of current have been delivered. */
static void
finish_file(DirectorySource *source)
{
	int64		count = streaming_reader_count(source->reader);

	if (count < POSITION_RECORD(source->position))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("position %s of stream %s is no longer there",
						streaming_position_out(STREAMING_SOURCE_DIRECTORY, source->position),
						source->base.stream->name),
				 errdetail("File \"%s\" has only " INT64_FORMAT " records now.",
						   source->current.path, count),
				 errhint("Put the file back as it was, or call streaming.reset for the views that need it.")));

	if (source->mode == STREAMING_READ_FOLLOW &&
		source->current.records == STREAMING_FILE_UNREAD)
	{
		if (source->nfinished == source->allocated_finished)
		{
			int			allocated = Max(16, source->allocated_finished * 2);

			if (source->finished == NULL)
				source->finished = MemoryContextAlloc(source->context,
													  sizeof(StreamingFile) * allocated);
			else
				source->finished = repalloc(source->finished,
											sizeof(StreamingFile) * allocated);
			source->allocated_finished = allocated;
		}
		source->finished[source->nfinished] = source->current;
		source->finished[source->nfinished++].records = count;
	}
	source->position = POSITION(source->current.number + 1, 0);
	leave_file(source);
}

/* Closes current, if there is one; its path stays until the next poll. */
static void
leave_file(DirectorySource *source)
{
	streaming_reader_end(source->reader);
	if (source->current.path != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(source->context);

		source->retired = lappend(source->retired, source->current.path);
		source->current.path = NULL;
		MemoryContextSwitchTo(old);
	}
	source->reading = false;
}

/* ------------------------------------------------------------------------
 * Trouble
 * ------------------------------------------------------------------------ */

/*
 * A position is one that this stream has given out if its file is known, or is
 * the next one.
 */
static void
verify_position(DirectorySource *source)
{
	if (source->mode != STREAMING_READ_BATCH)
	{
		streaming_numbers_refresh(source->numbers);
		if (POSITION_FILE(source->position) > streaming_numbers_end(source->numbers) ||
			(POSITION_FILE(source->position) == streaming_numbers_end(source->numbers) &&
			 POSITION_RECORD(source->position) > 0))
			lost_position(source);
	}
	if (POSITION_FILE(source->position) < 1)
		source->position = POSITION(1, 0);
	source->verified = true;
}

static void
lost_position(DirectorySource *source)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("position %s of stream %s is not known",
					streaming_position_out(STREAMING_SOURCE_DIRECTORY, source->position),
					source->base.stream->name),
			 POSITION_FILE(source->position) <= streaming_numbers_last(source->numbers) ?
			 errdetail("Its file has been archived or deleted, as option \"after\" of the stream says.") :
			 errdetail("The last known file has number " INT64_FORMAT ".", streaming_numbers_last(source->numbers)),
			 errhint("Call streaming.reset for the views that need it, to begin again.")));
}

/* A file that must be read is not there. */
static void
vanished(DirectorySource *source)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("file \"%s\" of stream %s is no longer there",
					source->current.path, source->base.stream->name),
			 errdetail("It is needed from position %s on.",
					   streaming_position_out(STREAMING_SOURCE_DIRECTORY, source->position)),
			 errhint("Put the file back under its name, or call streaming.reset for the views that need it, to begin again without it.")));
}

/*
 * Current cannot be opened or read.  A follower tries again later, since the
 * order of files is kept; others fail, unless quiet, and their caller tries again.
 */
static void
set_trouble(DirectorySource *source, const char *message, int error, bool quiet)
{
	int64		delay;

	leave_file(source);
	if (source->mode != STREAMING_READ_FOLLOW)
	{
		if (quiet)
			return;
		errno = error;
		ereport(ERROR,
				(error == 0 ? errcode(ERRCODE_FEATURE_NOT_SUPPORTED) : streaming_beneath_errcode(error),
				 errmsg("%s", message)));
	}

	if (source->trouble == NULL || strcmp(source->trouble, message) != 0)
	{
		clear_trouble(source);
		source->trouble = MemoryContextStrdup(source->context, message);
		ereport(LOG, (errmsg("%s", message),
					  errdetail("Stream %s waits for it.", source->base.stream->name)));
	}
	delay = source->retry_delay == 0 ? FIRST_RETRY : (int64) source->retry_delay * 2;
	source->retry_delay = Min(delay, Max(streaming_retry_max, 1));
	source->retry_at = streaming_time_plus(streaming_now(), source->retry_delay);
}

static void
clear_trouble(DirectorySource *source)
{
	if (source->trouble != NULL)
		pfree(source->trouble);
	source->trouble = NULL;
	source->retry_at = 0;
	source->retry_delay = 0;
}

/* ------------------------------------------------------------------------
 * Waiting
 * ------------------------------------------------------------------------ */

/* Sets the timer to when poll is to be called next; more: at once. */
static void
arm_timer(DirectorySource *source, bool more)
{
	struct itimerspec when = {{0}};
	StreamingTime next;
	int64		wait;

	if (source->timer < 0 || (more && source->timer_due))
		return;
	next = streaming_numbers_due(source->numbers);
	next = Min(next, source->next_scan);
	if (source->retry_at != 0)
		next = Min(next, source->retry_at);

	wait = more ? 0 : next - streaming_now();
	if (wait > 0)
	{
		when.it_value.tv_sec = wait / USECS_PER_SEC;
		when.it_value.tv_nsec = wait % USECS_PER_SEC * 1000;
	}
	else
		when.it_value.tv_nsec = 1;
	source->timer_due = more;
	(void) timerfd_settime(source->timer, 0, &when, NULL);
}
