/*
 * shmem.c
 *		Shared memory of streams, see shmem.h.
 *
 * Laid out at server start for streaming.max_streams streams and twice
 * streaming.max_views readers (a view may read more than one stream).  A
 * process remembers the entries it uses and the reader slots it has taken, and
 * gives them back at its exit; a process that cannot do so takes the whole
 * server's shared memory down with it.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/memutils.h"

#include "catalog/internal.h"
#include "catalog/view.h"
#include "shared/shmem.h"

#define TRANCHE "streaming_streams"

StreamingStreams *streaming_streams = NULL;
StreamingStreamShared *streaming_stream_entries = NULL;
StreamingViewReader *streaming_readers = NULL;

static pg_atomic_uint64 *push_registry = NULL;	/* [stream][backend] */
static int *local_uses = NULL;	/* of each entry, by this process */
static bool exit_registered = false;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void request(void);
static void startup(void);
static Size registry_size(void);
static int	reader_count(void);
static void layout_entries(void);
static void register_exit(void);
static void leave_all(int code, Datum arg);
static int	find_entry(Oid stream);
static int	make_entry(Oid stream, Oid owner, int share);
static int	share_of_role(Oid owner);
static void retire_reader(StreamingStreamShared *shared, StreamingViewReader *reader);

void
streaming_shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}

static int
reader_count(void)
{
	return streaming_max_views * 2;
}

static Size
registry_size(void)
{
	return mul_size(mul_size(streaming_max_streams, MaxBackends), sizeof(pg_atomic_uint64));
}

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(sizeof(StreamingStreams));
	RequestAddinShmemSpace(mul_size(streaming_max_streams, sizeof(StreamingStreamShared)));
	RequestAddinShmemSpace(mul_size(reader_count(), sizeof(StreamingViewReader)));
	RequestAddinShmemSpace(registry_size());
	RequestNamedLWLockTranche(TRANCHE, streaming_max_streams + 1);
}

static void
startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	streaming_streams = ShmemInitStruct("streaming streams", sizeof(StreamingStreams), &found);
	streaming_stream_entries =
		ShmemInitStruct("streaming stream entries",
						mul_size(streaming_max_streams, sizeof(StreamingStreamShared)), &found);
	streaming_readers =
		ShmemInitStruct("streaming readers",
						mul_size(reader_count(), sizeof(StreamingViewReader)), &found);
	push_registry = ShmemInitStruct("streaming push registry", registry_size(), &found);
	if (!found)
		layout_entries();
	LWLockRelease(AddinShmemInitLock);
}

static void
layout_entries(void)
{
	LWLockPadded *locks = GetNamedLWLockTranche(TRANCHE);

	memset(streaming_streams, 0, sizeof(StreamingStreams));
	streaming_streams->lock = &locks[0].lock;
	streaming_streams->nstreams = streaming_max_streams;
	streaming_streams->nreaders = reader_count();
	streaming_streams->nbackends = MaxBackends;

	memset(streaming_stream_entries, 0,
		   sizeof(StreamingStreamShared) * streaming_max_streams);
	for (int i = 0; i < streaming_max_streams; i++)
	{
		StreamingStreamShared *shared = &streaming_stream_entries[i];

		shared->lock = &locks[i + 1].lock;
		shared->first_reader = -1;
		pg_atomic_init_u64(&shared->changes, 1);
		pg_atomic_init_u64(&shared->rows_read, 0);
		pg_atomic_init_u64(&shared->bytes_read, 0);
		pg_atomic_init_u64(&shared->rejected_rows, 0);
		pg_atomic_init_u64(&shared->rejected_since_row, 0);
		pg_atomic_init_u64(&shared->push_waited_at, 0);
		pg_atomic_init_u64(&shared->alone_until, 0);
		pg_atomic_init_u64(&shared->together_until, 0);
	}

	memset(streaming_readers, 0, sizeof(StreamingViewReader) * reader_count());
	for (int i = 0; i < reader_count(); i++)
	{
		pg_atomic_init_u64(&streaming_readers[i].idle_at, 0);
		pg_atomic_init_u64(&streaming_readers[i].waits_since, 0);
		pg_atomic_init_u64(&streaming_readers[i].busy_since, 0);
		pg_atomic_init_u64(&streaming_readers[i].busy_from, PG_UINT64_MAX);
		pg_atomic_init_u64(&streaming_readers[i].busy_rows, 0);
		pg_atomic_init_u64(&streaming_readers[i].batch_rows, 0);
		pg_atomic_init_u32(&streaming_readers[i].phase, STREAMING_PHASE_FOLLOWS);
	}
	for (Size i = 0; i < (Size) streaming_max_streams * MaxBackends; i++)
		pg_atomic_init_u64(&push_registry[i], STREAMING_NOT_PUSHING);
}

/* ----------
 * Entries of streams
 * ----------
 */

/* Caller holds streaming_streams->lock. */
static int
find_entry(Oid stream)
{
	for (int i = 0; i < streaming_streams->nstreams; i++)
		if (streaming_stream_entries[i].stream == stream &&
			streaming_stream_entries[i].database == MyDatabaseId)
			return i;
	return -1;
}

/*
 * The role whose share the entry is of: the stream's owner, or that of the view or table
 * whose changes it brings.
 */
static Oid
user_of_entry(Oid stream)
{
	Oid			root;

	if (!IsTransactionState())
		return InvalidOid;
	root = streaming_internal_root(stream);
	return streaming_relation_owner(OidIsValid(root) ? root : stream, true);
}

/* Entries that the streams of owner may use at the same time. */
static int
share_of_role(Oid owner)
{
	if (!OidIsValid(owner) || superuser_arg(owner))
		return streaming_streams->nstreams;
	return Max((int64) streaming_streams->nstreams * streaming_role_share / 100, 1);
}

/*
 * Takes a free entry, or one that nobody uses.  -1: there is none; -2: the owner
 * may not use more than share.  Caller holds the lock.
 */
static int
make_entry(Oid stream, Oid owner, int share)
{
	StreamingStreamShared *shared;
	int			chosen = -1;
	bool		chosen_free = false;
	int			nowned = 0;

	for (int i = 0; i < streaming_streams->nstreams; i++)
	{
		bool		free;

		shared = &streaming_stream_entries[i];
		free = !OidIsValid(shared->database);
		if (free ? !chosen_free :
			chosen < 0 && shared->users == 0 &&
			streaming_lowest_push(shared) == STREAMING_NOT_PUSHING)
		{
			chosen = i;
			chosen_free = free;
		}
		nowned += !free && shared->users > 0 && shared->owner == owner;
	}
	if (nowned >= share)
		return -2;
	if (chosen < 0)
		return -1;

	/* Nobody else can reach it, so its own lock is not needed. */
	shared = &streaming_stream_entries[chosen];
	shared->database = MyDatabaseId;
	shared->stream = stream;
	shared->owner = owner;
	shared->users = 0;
	shared->state = STREAMING_INGEST_NONE;
	shared->ingest_latch = NULL;
	pg_atomic_write_u64(&shared->alone_until, 0);
	pg_atomic_write_u64(&shared->together_until, 0);
	shared->incarnation = 0;
	shared->doubted = false;
	shared->place = 0;
	shared->ingest_waits = false;
	shared->head = 0;
	memset(shared->segments, 0, sizeof(shared->segments));
	shared->published_rows = 0;
	memset(&shared->columns, 0, sizeof(shared->columns));
	memset(&shared->wanted, 0, sizeof(shared->wanted));
	shared->push_number = 0;
	memset(shared->push_files, 0, sizeof(shared->push_files));
	shared->push_identity = 0;
	shared->push_old_empty = false;
	shared->push_trim = false;
	shared->push_due = 0;
	shared->npartitions = 0;
	shared->unheard = -1;
	shared->rest_lag = 0;
	shared->behind_since = 0;
	memset(&shared->absent, 0, sizeof(shared->absent));
	shared->last_error[0] = '\0';
	shared->stop_error[0] = '\0';
	shared->stop_lost = false;
	shared->full_since = 0;
	pg_atomic_fetch_add_u64(&shared->changes, 1);
	pg_atomic_write_u64(&shared->rows_read, 0);
	pg_atomic_write_u64(&shared->bytes_read, 0);
	pg_atomic_write_u64(&shared->rejected_rows, 0);
	pg_atomic_write_u64(&shared->rejected_since_row, 0);
	return chosen;
}

StreamingStreamShared *
streaming_stream_use(Oid stream)
{
	StreamingStreamShared *shared = NULL;
	Oid			owner = InvalidOid;
	int			share = 0;
	int			index;

	streaming_require_loaded();
	register_exit();
	LWLockAcquire(streaming_streams->lock, LW_EXCLUSIVE);
	index = find_entry(stream);
	if (index < 0)
	{
		LWLockRelease(streaming_streams->lock);
		owner = user_of_entry(stream);
		share = share_of_role(owner);
		LWLockAcquire(streaming_streams->lock, LW_EXCLUSIVE);
		index = find_entry(stream);
		if (index < 0)
			index = make_entry(stream, owner, share);
	}
	if (index >= 0)
	{
		shared = &streaming_stream_entries[index];
		shared->users++;
	}
	LWLockRelease(streaming_streams->lock);

	if (index == -2)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("role \"%s\" has %d streams in use already",
						GetUserNameFromId(owner, false), share),
				 errhint("Increase streaming.role_share, or streaming.max_streams and restart the server.")));
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("all %d entries for streams are in use", streaming_streams->nstreams),
				 errhint("Increase streaming.max_streams and restart the server.")));
	local_uses[index]++;
	return shared;
}

void
streaming_stream_release(StreamingStreamShared *shared)
{
	int			index = shared - streaming_stream_entries;

	Assert(local_uses[index] > 0);
	local_uses[index]--;
	LWLockAcquire(streaming_streams->lock, LW_EXCLUSIVE);
	shared->users--;
	LWLockRelease(streaming_streams->lock);
}

StreamingStreamShared *
streaming_stream_lookup(Oid stream)
{
	int			index;

	if (streaming_streams == NULL)
		return NULL;
	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	index = find_entry(stream);
	LWLockRelease(streaming_streams->lock);
	return index < 0 ? NULL : &streaming_stream_entries[index];
}

/* ----------
 * Readers
 * ----------
 */

/* Caller holds streaming_streams->lock. */
static void
retire_reader(StreamingStreamShared *shared, StreamingViewReader *reader)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	reader->mode = STREAMING_INPUT_NONE;
	reader->running = false;
	LWLockRelease(shared->lock);
	pg_atomic_write_u64(&reader->idle_at, 0);
}

StreamingViewReader *
streaming_reader_enter(StreamingStreamShared *shared, Oid view)
{
	StreamingViewReader *reader = NULL;

	register_exit();
	LWLockAcquire(streaming_streams->lock, LW_EXCLUSIVE);
	streaming_foreach_reader(other, shared)
	{
		if (other->view == view)
			retire_reader(shared, other);
	}
	for (int i = 0; i < streaming_streams->nreaders; i++)
		if (!OidIsValid(streaming_readers[i].database))
		{
			reader = &streaming_readers[i];
			/* all but the atomics */
			memset(reader, 0, offsetof(StreamingViewReader, idle_at));
			pg_atomic_write_u64(&reader->idle_at, 0);
			pg_atomic_write_u64(&reader->waits_since, streaming_now());
			pg_atomic_write_u64(&reader->busy_since, 0);
			pg_atomic_write_u32(&reader->phase, STREAMING_PHASE_FOLLOWS);
			reader->database = MyDatabaseId;
			reader->view = view;
			reader->stream = shared - streaming_stream_entries;
			reader->next = shared->first_reader;
			shared->first_reader = i;
			reader->latch = &MyProc->procLatch;
			shared->users++;
			break;
		}
	LWLockRelease(streaming_streams->lock);

	if (reader == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("all %d slots for readers of streams are in use",
						streaming_streams->nreaders),
				 errhint("Increase streaming.max_views and restart the server.")));
	return reader;
}

/* What it held may be waited for. */
void
streaming_reader_leave(StreamingViewReader *reader)
{
	StreamingStreamShared *shared = &streaming_stream_entries[reader->stream];
	int		   *link = &shared->first_reader;
	Latch	   *wake = NULL;

	LWLockAcquire(streaming_streams->lock, LW_EXCLUSIVE);
	while (*link != reader - streaming_readers)
		link = &streaming_readers[*link].next;
	*link = reader->next;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->ingest_waits)
		wake = shared->ingest_latch;
	reader->mode = STREAMING_INPUT_NONE;
	reader->database = InvalidOid;
	reader->latch = NULL;
	LWLockRelease(shared->lock);
	shared->users--;
	LWLockRelease(streaming_streams->lock);

	if (wake)
		SetLatch(wake);
}

bool
streaming_view_waits(Oid view)
{
	bool		waits = true;	/* without a reader it has not been opened yet */

	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	for (int i = 0; i < streaming_streams->nreaders; i++)
	{
		StreamingViewReader *reader = &streaming_readers[i];

		if (reader->database != MyDatabaseId || reader->view != view)
			continue;
		waits = pg_atomic_read_u64(&reader->idle_at) !=
			pg_atomic_read_u64(&streaming_stream_entries[reader->stream].changes);
		if (waits)
			break;
	}
	LWLockRelease(streaming_streams->lock);
	return waits;
}

void
streaming_stream_wake_readers(StreamingStreamShared *shared)
{
	StreamingTime now = streaming_now();

	pg_atomic_fetch_add_u64(&shared->changes, 1);

	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	streaming_foreach_reader(reader, shared)
	{
		uint64		none = 0;

		(void) pg_atomic_compare_exchange_u64(&reader->waits_since, &none, now);
		SetLatch(reader->latch);
	}
	LWLockRelease(streaming_streams->lock);
}

static void
register_exit(void)
{
	if (exit_registered)
		return;
	local_uses = MemoryContextAllocZero(TopMemoryContext,
										sizeof(int) * streaming_streams->nstreams);
	/* After the transaction has been aborted, which releases uses of its own. */
	on_shmem_exit(leave_all, (Datum) 0);
	exit_registered = true;
}

/* At exit: the slots and uses that error paths or the end of the loop left. */
static void
leave_all(int code, Datum arg)
{
	for (int i = 0; i < streaming_streams->nreaders; i++)
		if (OidIsValid(streaming_readers[i].database) &&
			streaming_readers[i].latch == &MyProc->procLatch)
			streaming_reader_leave(&streaming_readers[i]);

	LWLockAcquire(streaming_streams->lock, LW_EXCLUSIVE);
	for (int i = 0; i < streaming_streams->nstreams; i++)
		streaming_stream_entries[i].users -= local_uses[i];
	LWLockRelease(streaming_streams->lock);
	memset(local_uses, 0, sizeof(int) * streaming_streams->nstreams);
}

/* ----------
 * Who pushes
 * ----------
 */

pg_atomic_uint64 *
streaming_my_push(StreamingStreamShared *shared)
{
	int			index = shared - streaming_stream_entries;

	return &push_registry[(Size) index * streaming_streams->nbackends + streaming_my_proc_number()];
}

uint64
streaming_lowest_push(StreamingStreamShared *shared)
{
	int			index = shared - streaming_stream_entries;
	pg_atomic_uint64 *entries = &push_registry[(Size) index * streaming_streams->nbackends];
	uint64		lowest = STREAMING_NOT_PUSHING;

	for (int i = 0; i < streaming_streams->nbackends; i++)
	{
		uint64		place = pg_atomic_read_u64(&entries[i]);

		if (place < lowest)
			lowest = place;
	}
	return lowest;
}

/* ----------
 * Sets of columns
 * ----------
 */

/* ----------
 * For people
 * ----------
 */

bool
streaming_stream_stats(Oid stream, StreamingStreamStats *stats)
{
	StreamingStreamShared *shared = streaming_stream_lookup(stream);

	memset(stats, 0, sizeof(StreamingStreamStats));
	if (shared == NULL)
		return false;

	/*
	 * The entry may be given to another stream between the two locks: what is
	 * shown then is of no stream, which the next look corrects.
	 */
	LWLockAcquire(shared->lock, LW_SHARED);
	stats->state = shared->state;
	stats->unheard = shared->unheard;
	stats->npartitions = Min(shared->npartitions, STREAMING_MAX_PARTITIONS);
	memcpy(stats->partitions, shared->partitions,
		   sizeof(StreamingPartitionStats) * stats->npartitions);
	stats->nhidden = shared->npartitions - stats->npartitions;
	stats->hidden_lag = shared->rest_lag;
	stats->absent = shared->absent;
	strlcpy(stats->reject_error, shared->reject_error, STREAMING_MESSAGE_LENGTH);
	strlcpy(stats->last_error, shared->last_error, STREAMING_MESSAGE_LENGTH);
	if (shared->stop_error[0])
		strlcpy(stats->last_error, shared->stop_error, STREAMING_MESSAGE_LENGTH);
	LWLockRelease(shared->lock);

	stats->rows_read = pg_atomic_read_u64(&shared->rows_read);
	stats->bytes_read = pg_atomic_read_u64(&shared->bytes_read);
	stats->rejected_rows = pg_atomic_read_u64(&shared->rejected_rows);
	stats->rejected_since_row = pg_atomic_read_u64(&shared->rejected_since_row);
	return true;
}

StreamingTime
streaming_view_waits_since(Oid view)
{
	StreamingTime since = STREAMING_TIME_NEVER;

	if (streaming_streams == NULL)
		return 0;
	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	for (int i = 0; i < streaming_streams->nreaders; i++)
	{
		StreamingViewReader *reader = &streaming_readers[i];
		StreamingStreamShared *shared;
		StreamingTime waits;

		if (reader->database != MyDatabaseId || reader->view != view)
			continue;
		waits = pg_atomic_read_u64(&reader->waits_since);
		if (waits > 0)
			since = Min(since, waits);
		shared = &streaming_stream_entries[reader->stream];
		LWLockAcquire(shared->lock, LW_SHARED);
		if (shared->behind_since > 0)
			since = Min(since, shared->behind_since);
		LWLockRelease(shared->lock);
	}
	LWLockRelease(streaming_streams->lock);
	return since == STREAMING_TIME_NEVER ? 0 : since;
}

int64
streaming_reader_lag(Oid view, Oid stream)
{
	StreamingStreamShared *shared = streaming_stream_lookup(stream);
	int64		lag = -1;

	if (shared == NULL)
		return -1;

	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	streaming_foreach_reader(reader, shared)
	{
		if (reader->view != view)
			continue;
		LWLockAcquire(shared->lock, LW_SHARED);
		if (reader->mode == STREAMING_INPUT_BUFFER)
			lag = shared->published_rows - reader->rows;
		LWLockRelease(shared->lock);
	}
	LWLockRelease(streaming_streams->lock);
	return lag;
}

bool
streaming_reader_progress(Oid view, Oid stream, StreamingReaderProgress *progress)
{
	StreamingStreamShared *shared = streaming_stream_lookup(stream);

	memset(progress, 0, sizeof(*progress));
	if (shared == NULL)
		return false;
	LWLockAcquire(streaming_streams->lock, LW_SHARED);
	streaming_foreach_reader(reader, shared)
	{
		if (reader->view != view || pg_atomic_read_u64(&reader->busy_since) == 0)
			continue;
		progress->phase = pg_atomic_read_u32(&reader->phase);
		progress->since = pg_atomic_read_u64(&reader->busy_since);
		progress->from = (int64) pg_atomic_read_u64(&reader->busy_from);
		progress->rows = pg_atomic_read_u64(&reader->busy_rows);
		progress->batch_rows = pg_atomic_read_u64(&reader->batch_rows);
	}
	LWLockRelease(streaming_streams->lock);
	return progress->since > 0;
}
