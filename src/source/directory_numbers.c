/*
 * directory_numbers.c
 *		Which number each file of a directory stream has, and may be read.
 *
 * The rules are told in source_directory.c.  Between the watch, which returns a
 * file once, and the table, which has a row only if the transaction commits,
 * a file could be lost: so "uncertain" is set before the watch is asked, and
 * cleared when the rows are written; and when the transaction that wrote them
 * has ended, the table must know them.  Where that fails, the watch forgets
 * what it has returned, and all files are looked up anew.
 */
#include "postgres.h"

#include "streaming.h"

#include <sys/stat.h>

#include "access/transam.h"
#include "access/xact.h"
#include "source/beneath.h"
#include "source/directory_numbers.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Rows that are read at a time. */
#define CHUNK_SIZE		64

/* Pause before the next try to register files while somebody else does. */
#define REGISTER_RETRY	100		/* ms */

/* Pause before the next look whether the transaction has committed. */
#define PENDING_RETRY	10		/* ms */

struct StreamingNumbers
{
	StreamingStream *stream;
	StreamingReadMode mode;
	StreamingWatch *watch;
	MemoryContext context;

	int64		last;			/* highest number that may be read */
	int64		begin;			/* files below are not there any more */
	int64		reached;		/* files up to it have been read */
	bool		changed;		/* one is not what has been taken */

	TransactionId pending;		/* has registered files and not ended yet */
	int64		pending_first;	/* their numbers */
	int64		pending_last;
	bool		pending_told;	/* due has asked for a call at once */

	bool		uncertain;		/* watch may have returned files that are not
								 * registered */
	StreamingTime register_retry; /* if uncertain: not to try before */

	StreamingFile *batch;		/* batch mode: all files there are */
	int			nbatch;
	int64		registered;		/* numbers above are guesses */
};

static void register_files(StreamingNumbers *numbers, StreamingFound *found, int n, int timeout);
static int	known_files(StreamingFileTable *files, StreamingFound *found, int n,
						StreamingFound *changed, int *nchanged);
static bool is_changed(const StreamingFile *file, const StreamingFound *found);
static void note_change(StreamingNumbers *numbers, StreamingFileTable *files,
						const StreamingFound *found);
static bool is_pending(const StreamingNumbers *numbers);
static void batch_load(StreamingNumbers *numbers);
static int	file_cmp(const void *a, const void *b);
static bool is_there(const char *path);

StreamingNumbers *
streaming_numbers_open(StreamingStream *stream, StreamingReadMode mode, StreamingWatch *watch)
{
	StreamingNumbers *numbers = palloc0(sizeof(StreamingNumbers));

	numbers->stream = stream;
	numbers->mode = mode;
	numbers->watch = watch;
	numbers->context = CurrentMemoryContext;
	numbers->begin = 1;
	return numbers;
}

void
streaming_numbers_discover(StreamingNumbers *numbers, bool scan, int timeout)
{
	MemoryContext context;
	MemoryContext old;
	StreamingFound *found;
	int			n;

	if (TransactionIdIsValid(numbers->pending) && !is_pending(numbers))
	{
		/*
		 * It has ended.  Whatever is committed now is there to be read.  Should
		 * a subtransaction have registered the files and been rolled back, the
		 * numbers are missing although the transaction has committed.
		 */
		bool		committed = TransactionIdDidCommit(numbers->pending);

		numbers->pending = InvalidTransactionId;
		streaming_numbers_refresh(numbers);
		if (!committed || numbers->last < numbers->pending_last)
		{
			numbers->uncertain = true;
			numbers->register_retry = 0;
		}
	}

	if (numbers->uncertain)
	{
		if (timeout == 0 && streaming_now() < numbers->register_retry)
			return;
		streaming_watch_again(numbers->watch);
		scan = true;
	}

	context = AllocSetContextCreate(CurrentMemoryContext, "directory source news",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	numbers->uncertain = true;	/* until all is done, should there be an error */
	found = streaming_watch_collect(numbers->watch, scan, &n);
	if (n > 0)
		register_files(numbers, found, n, timeout);
	else
		numbers->uncertain = false;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
streaming_numbers_reached(StreamingNumbers *numbers, int64 number)
{
	numbers->reached = number;
}

bool
streaming_numbers_changed(StreamingNumbers *numbers)
{
	bool		changed = numbers->changed;

	numbers->changed = false;
	return changed;
}

/*
 * Registers those of the files that are not, and notes those that have changed
 * since.  Clears uncertain if it could.
 */
static void
register_files(StreamingNumbers *numbers, StreamingFound *found, int n, int timeout)
{
	Oid			stream = numbers->stream->relid;
	StreamingFileTable files;
	StreamingFile *added;
	StreamingFound *changed = MemoryContextAllocHuge(CurrentMemoryContext,
													 sizeof(StreamingFound) * n);
	int			nchanged = 0;
	int64		last;

	/* Mostly there is nothing to write: look first without the lock. */
	streaming_files_open(&files, stream, AccessShareLock);
	n = known_files(&files, found, n, changed, &nchanged);
	streaming_files_close(&files);
	if (n == 0 && nchanged == 0)
	{
		numbers->uncertain = false;
		return;
	}

	if (!streaming_files_lock(stream, timeout))
	{
		if (timeout > 0)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not register new files of stream %s: another transaction is registering files",
							numbers->stream->name)));
		numbers->register_retry = streaming_time_plus(streaming_now(), REGISTER_RETRY);
		return;
	}

	streaming_files_open(&files, stream, RowExclusiveLock);
	for (int i = 0; i < nchanged; i++)
		note_change(numbers, &files, &changed[i]);
	n = known_files(&files, found, n, changed, &nchanged);
	last = streaming_files_last(&files);
	if (last + n > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("stream %s has had too many files", numbers->stream->name)));
	added = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(StreamingFile) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		added[i].number = last + 1 + i;
		added[i].path = found[i].path;
		added[i].size = found[i].size;
		added[i].modified = found[i].modified;
		added[i].records = STREAMING_FILE_UNREAD;
	}
	if (n > 0)
	{
		streaming_files_insert(&files, added, n);
		if (!TransactionIdIsValid(numbers->pending))
			numbers->pending_first = last + 1;
		numbers->pending = GetTopTransactionId();
		numbers->pending_last = last + n;
		numbers->pending_told = false;
	}
	streaming_files_close(&files);
	numbers->uncertain = false;
}

/*
 * Moves the files that are not registered to the front and returns how many
 * there are.  Those which are, but were different then, go to changed.
 */
static int
known_files(StreamingFileTable *files, StreamingFound *found, int n,
			StreamingFound *changed, int *nchanged)
{
	int			unknown = 0;

	*nchanged = 0;
	for (int i = 0; i < n; i++)
	{
		StreamingFile file;

		CHECK_FOR_INTERRUPTS();
		if (!streaming_files_find(files, found[i].path, &file))
			found[unknown++] = found[i];
		else if (is_changed(&file, &found[i]))
			changed[(*nchanged)++] = found[i];
	}
	return unknown;
}

/*
 * One that nobody can have read was seen too early, and is read as it is now.  One
 * that was given up has come back.
 */
static void
note_change(StreamingNumbers *numbers, StreamingFileTable *files, const StreamingFound *found)
{
	StreamingFile file;
	bool		taken;

	if (!streaming_files_find(files, found->path, &file) || !is_changed(&file, found))
		return;
	taken = file.records != STREAMING_FILE_UNREAD || file.number <= numbers->reached;
	file.size = found->size;
	file.modified = found->modified;
	streaming_files_set_found(files, &file, taken);
	if (!taken)
		return;
	numbers->changed = true;
	streaming_watch_remark(numbers->watch,
						   "file \"%s\" of stream %s was changed after it had been taken: only views that begin anew read it as it is now",
						   found->path, numbers->stream->name);
}

static bool
is_changed(const StreamingFile *file, const StreamingFound *found)
{
	return file->size != found->size || file->modified != found->modified;
}

void
streaming_numbers_refresh(StreamingNumbers *numbers)
{
	StreamingFileTable files;

	if (numbers->mode == STREAMING_READ_BATCH)
		batch_load(numbers);
	else if (numbers->mode == STREAMING_READ_FOLLOW && is_pending(numbers))
		numbers->last = numbers->pending_first - 1;
	else
	{
		streaming_files_open(&files, numbers->stream->relid, AccessShareLock);
		numbers->last = streaming_files_last(&files);
		streaming_files_close(&files);
	}
}

/* Has the current transaction registered files? */
static bool
is_pending(const StreamingNumbers *numbers)
{
	return TransactionIdIsValid(numbers->pending) &&
		TransactionIdIsCurrentTransactionId(numbers->pending);
}

/*
 * Batch mode: lists the files that are there, those with a number first.  Once;
 * a SELECT sees the directory as it was at its begin.
 */
static void
batch_load(StreamingNumbers *numbers)
{
	MemoryContext old;
	StreamingFileTable files;
	StreamingFound *found;
	const char *trouble;
	int64		last;
	int			n;
	int			error;
	int			unknown = 0;

	if (numbers->batch != NULL)
		return;
	old = MemoryContextSwitchTo(numbers->context);
	found = streaming_watch_collect(numbers->watch, true, &n);
	trouble = streaming_watch_trouble(numbers->watch, &error);
	if (trouble != NULL)
	{
		errno = error;
		ereport(ERROR, (streaming_beneath_errcode(error), errmsg("%s", trouble)));
	}

	numbers->batch = MemoryContextAllocHuge(numbers->context, sizeof(StreamingFile) * Max(n, 1));
	streaming_files_open(&files, numbers->stream->relid, AccessShareLock);
	last = streaming_files_last(&files);
	for (int i = 0; i < n; i++)
	{
		StreamingFile *file = &numbers->batch[numbers->nbatch++];

		CHECK_FOR_INTERRUPTS();
		if (!streaming_files_find(&files, found[i].path, file))
		{
			file->number = last + ++unknown;
			file->path = found[i].path;
			file->size = found[i].size;
			file->modified = found[i].modified;
		}
		file->records = STREAMING_FILE_UNREAD;
	}
	streaming_files_close(&files);
	numbers->registered = last;
	qsort(numbers->batch, numbers->nbatch, sizeof(StreamingFile), file_cmp);
	numbers->last = last + unknown;
	pfree(found);
	MemoryContextSwitchTo(old);
}

int64
streaming_numbers_last(const StreamingNumbers *numbers)
{
	return numbers->last;
}

int64
streaming_numbers_end(const StreamingNumbers *numbers)
{
	return (is_pending(numbers) ? Max(numbers->last, numbers->pending_last) : numbers->last) + 1;
}

/*
 * Others may have come in between and been registered first, so the guesses do
 * not tell.
 */
bool
streaming_numbers_settle(StreamingNumbers *numbers, int64 *end)
{
	StreamingFileTable files;
	bool		settled = true;

	Assert(numbers->mode == STREAMING_READ_BATCH);
	*end = Min(numbers->registered, numbers->last) + 1;
	streaming_files_open(&files, numbers->stream->relid, AccessShareLock);
	for (int i = 0; i < numbers->nbatch && settled; i++)
	{
		StreamingFile file;

		if (numbers->batch[i].number <= numbers->registered)
			continue;
		if (streaming_files_find(&files, numbers->batch[i].path, &file))
			*end = Max(*end, file.number + 1);
		else
			settled = !is_there(numbers->batch[i].path);
	}
	streaming_files_close(&files);
	return settled;
}

int64
streaming_numbers_earliest(StreamingNumbers *numbers)
{
	int64		end = streaming_numbers_end(numbers);

	while (numbers->begin < end)
	{
		StreamingFile files[CHUNK_SIZE];
		int			n = streaming_numbers_next(numbers, numbers->begin - 1, end, files, CHUNK_SIZE);
		bool		found = false;

		if (n == 0)
			return end;
		for (int i = 0; i < n; i++)
		{
			if (!found)
			{
				found = !streaming_file_is_gone(&files[i]) && is_there(files[i].path);
				numbers->begin = found ? files[i].number : files[i].number + 1;
			}
			pfree(files[i].path);
		}
		if (found)
			break;
	}
	return numbers->begin;
}

int64
streaming_numbers_since(StreamingNumbers *numbers, TimestampTz since)
{
	int64		end = streaming_numbers_end(numbers);
	int64		after = streaming_numbers_earliest(numbers) - 1;
	StreamingFile files[CHUNK_SIZE];
	int			n;

	while ((n = streaming_numbers_next(numbers, after, end, files, CHUNK_SIZE)) > 0)
	{
		after = files[n - 1].number;
		for (int i = 0; i < n; i++)
		{
			if (files[i].modified >= since)
				return files[i].number;
			pfree(files[i].path);
		}
	}
	return end;
}

bool
streaming_numbers_find(StreamingNumbers *numbers, int64 number, StreamingFile *file)
{
	return streaming_numbers_next(numbers, number - 1, number + 1, file, 1) == 1;
}

int
streaming_numbers_next(StreamingNumbers *numbers, int64 after, int64 end, StreamingFile *files, int max)
{
	StreamingFileTable table;
	int			n = 0;

	if (numbers->mode == STREAMING_READ_BATCH)
	{
		int			low = 0;
		int			high = numbers->nbatch;

		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (numbers->batch[middle].number <= after)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < numbers->nbatch && n < max && numbers->batch[low].number < end; low++)
		{
			files[n] = numbers->batch[low];
			files[n].path = pstrdup(files[n].path);
			n++;
		}
		return n;
	}

	streaming_files_open(&table, numbers->stream->relid, AccessShareLock);
	n = streaming_files_next(&table, after, files, max);
	streaming_files_close(&table);
	while (n > 0 && files[n - 1].number >= end)
		pfree(files[--n].path);
	return n;
}

static int
file_cmp(const void *a, const void *b)
{
	int64		x = ((const StreamingFile *) a)->number;
	int64		y = ((const StreamingFile *) b)->number;

	return x < y ? -1 : x > y ? 1 : 0;
}

void
streaming_numbers_forget(StreamingNumbers *numbers, int64 below)
{
	StreamingFile files[CHUNK_SIZE];
	StreamingFileTable table;
	int64		after = 0;
	int			n;

	if (!streaming_files_lock(numbers->stream->relid, streaming_connect_timeout))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not look for vanished files of stream %s: another transaction is registering files",
						numbers->stream->name)));

	streaming_files_open(&table, numbers->stream->relid, RowExclusiveLock);
	while (after + 1 < below &&
		   (n = streaming_files_next(&table, after, files, CHUNK_SIZE)) > 0)
	{
		int			ngone = 0;

		after = files[n - 1].number;
		for (int i = 0; i < n; i++)
		{
			bool		gone = files[i].number < below &&
			!streaming_file_is_gone(&files[i]) && !is_there(files[i].path);

			if (gone)
				ereport(LOG,
						(errmsg("file \"%s\" of stream %s has vanished and is given up",
								files[i].path, numbers->stream->name)));
			pfree(files[i].path);
			if (gone)
			{
				files[ngone] = files[i];
				files[ngone++].records = STREAMING_FILE_GIVEN_UP;
			}
		}
		if (ngone > 0)
			streaming_files_set_records(&table, files, ngone);
	}
	streaming_files_close(&table);
}

void
streaming_numbers_set_records(StreamingNumbers *numbers, const StreamingFile *files, int n)
{
	StreamingFileTable table;

	streaming_files_open(&table, numbers->stream->relid, RowExclusiveLock);
	streaming_files_set_records(&table, files, n);
	streaming_files_close(&table);
}

StreamingTime
streaming_numbers_due(StreamingNumbers *numbers)
{
	if (TransactionIdIsValid(numbers->pending))
	{
		/* At once, that is after the commit; but do not spin if that tarries. */
		if (numbers->pending_told)
			return streaming_time_plus(streaming_now(), PENDING_RETRY);
		numbers->pending_told = true;
		return 0;
	}
	return numbers->uncertain ? numbers->register_retry : STREAMING_TIME_NEVER;
}

static bool
is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}
