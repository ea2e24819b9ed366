/*
 * ingest_worker.c
 *		Reads one Kafka or directory stream for all the views that need it.
 *
 * The coordinator starts one such process per stream with enabled views, and
 * terminates it when there are none.  It makes attempts: an attempt opens the
 * source where the views are (ingest_start.c), begins a new ring of buffer
 * segments (buffer.c), and then moves chunks of records from the source into
 * the buffer until something fails or the definition of the stream changes.
 * An error ends the attempt, never the process; it is shown as the stream's
 * last error, logged, and followed by the next attempt after a pause.
 *
 * A chunk is what the source has at hand, up to CHUNK_RECORDS or CHUNK_TIME: a
 * single record is passed on at once, under load the costs of a transaction
 * are shared by many.  One transaction each:
 *
 *		lock the stream, see whether it has changed
 *		poll, decode, append to the segment        (again while there is more)
 *		rejected records into streaming.rejected_rows
 *		markers of positions
 *		commit
 *		publish: readers may read up to here; wake them
 *
 * The commit writes to disk only if something logged was written: rejected
 * records, numbers of files.  Readers see nothing before it, so whatever they
 * commit comes later in WAL.
 *
 * When the segments are all in use the worker waits until a reader moves on
 * (back-pressure: the source keeps what is not read).  When there is nothing
 * to read it waits for its latch or the source's descriptor, without a timeout
 * unless the source has no descriptor; an idle stream costs no CPU.
 *
 * With on_error 'stop', a record that cannot be decoded ends the attempt.  The
 * next attempts are careful: they decode record by record, so that everything
 * before the bad one is passed on and the views stop exactly there.  The views
 * themselves raise the error (input.c), as long as stop_error is set.  They do
 * so, too, where the source does not have what follows their checkpoints.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/attempt.h"
#include "catalog/view.h"
#include "format/reject.h"
#include "catalog/read_columns.h"
#include "worker/ingest.h"
#include "shared/slots.h"
#include "worker/worker.h"

#define POLL_RECORDS	1000	/* of one poll */
#define CHUNK_RECORDS	10000	/* of one transaction, at most, or */
#define CHUNK_TIME		10.0	/* ms after which it is committed */
#define ROOM_INTERVAL	1000	/* ms between looks for readers to detach */
#define RETRY_MIN		100		/* ms, doubled up to streaming.retry_max */
#define STATS_INTERVAL	100		/* ms between looks at the source's ends */
#define RELEASE_MIN		100		/* ms between a chunk and a look at who has taken it,
								 * doubled up to streaming.scan_interval */
#define ABSENT_RECORDS	1000	/* without the field of a column: a warning */

/*
 * Rows that trickle in are passed on in small groups: a chunk of fewer than
 * PACE_RECORDS is followed by the next no sooner than PACE_INTERVAL, so that a
 * thousand records a second cost a few hundred transactions in this process
 * and in each view, not a thousand.  A record that comes alone does not wait.
 */
#define PACE_RECORDS	100
#define PACE_INTERVAL	9		/* ms */

static StreamingStreamShared *shared = NULL;
static bool definition_changed = false;
static bool careful = false;	/* see above */
static bool progressed = false; /* the attempt has passed something on */
static bool warned_of_absent = false;	/* in the log, since the definition changed */
static StreamingTime stats_at = 0;

/* What wait_for_more waits for; of the source of the present attempt. */
static WaitEventSet *wait_set = NULL;
static int	wait_set_fd = -1;

/* The process */
static void ingest_connect(Oid dboid, Oid relid);
static void ingest_leave(int code, Datum arg);
static void relation_changed(Datum arg, Oid relid);
static void catalog_changed(Datum arg, int cacheid, uint32 hashvalue);

/* Attempts */
static bool run_attempt(Oid relid);
static void show_error(StreamingIngest *ingest, ErrorData *error);
static void pause_after_error(int failures);
static void read_stream(StreamingIngest *ingest);
static bool begin_attempt(StreamingIngest *ingest);
static bool define_stream(StreamingIngest *ingest);
static void identify_source(StreamingIngest *ingest);
static void show_incarnation(StreamingIngest *ingest);
static void seek_source(StreamingIngest *ingest);
static void renew_ring(StreamingIngest *ingest);

/* Chunks */
static bool begin_transaction(StreamingIngest *ingest);
static void commit_transaction(void);
static void end_watch(void);
static bool make_room(StreamingIngest *ingest);
static int	move_chunk(StreamingIngest *ingest);
static void take_records(StreamingIngest *ingest, int n);
static void take_block(StreamingIngest *ingest, StreamingRecord *records, int n);
static void decode_block(StreamingIngest *ingest, StreamingRecord *records, int n,
						 StreamingReject **rejects, int *nrejects);
static void decode_carefully(StreamingIngest *ingest, StreamingRecord *record,
							 StreamingReject **rejects, int *nrejects);
static void publish(StreamingIngest *ingest);
static void forget_stop(void);
static void show_rejects(StreamingIngest *ingest);
static void warn_of_absent(StreamingIngest *ingest);
static void show_absent(StreamingIngest *ingest);
static StreamingTime find_behind_since(StreamingIngest *ingest, const StreamingPositions *end);
static bool is_past(StreamingIngest *ingest, const StreamingPositions *end);
static void show_state(StreamingIngest *ingest);
static void release_taken(StreamingIngest *ingest);
static void wait_for_more(StreamingIngest *ingest);
static void wait_for_company(StreamingIngest *ingest);
static void forget_wait_set(void);

void
streaming_ingest_main(Datum arg)
{
	StreamingWorkerSlot *me = streaming_worker_attach();
	Oid			relid = me->stream;
	int			failures = 0;

	ingest_connect(me->dboid, relid);
	for (;;)
	{
		bool		failed;

		streaming_worker_interrupts(streaming_worker_set_session);
		progressed = false;
		failed = !run_attempt(relid);
		if (progressed)
			failures = 0;
		if (failed)
			pause_after_error(failures++);
	}
}

/* ----------
 * The process
 * ----------
 */

static void
ingest_connect(Oid dboid, Oid relid)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	streaming_worker_set_session();

	CacheRegisterRelcacheCallback(relation_changed, ObjectIdGetDatum(relid));
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, catalog_changed, (Datum) 0);

	StartTransactionCommand();
	shared = streaming_stream_use(relid);
	CommitTransactionCommand();
	before_shmem_exit(ingest_leave, (Datum) 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->ingest_latch = MyLatch;
	shared->state = STREAMING_INGEST_STARTING;
	LWLockRelease(shared->lock);
}

static void
ingest_leave(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->ingest_latch = NULL;
	shared->ingest_waits = false;
	shared->unheard = -1;
	shared->state = STREAMING_INGEST_NONE;
	LWLockRelease(shared->lock);
}

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == DatumGetObjectId(arg))
		definition_changed = true;
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	definition_changed = true;
}

/* ----------
 * Attempts
 * ----------
 */

/* Returns true if the next attempt should follow at once. */
static bool
run_attempt(Oid relid)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "streaming ingest",
												  ALLOCSET_DEFAULT_SIZES);
	StreamingIngest *ingest = MemoryContextAllocZero(context, sizeof(StreamingIngest));
	volatile bool failed = false;

	ingest->relid = relid;
	ingest->shared = shared;
	ingest->context = context;
	MemoryContextSwitchTo(context);

	PG_TRY();
	{
		read_stream(ingest);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (streaming_worker_is_cancelled())
			error = NULL;		/* somebody waits: no trouble of the stream's */
		else
			EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		end_watch();
		if (error)
			show_error(ingest, error);
		failed = true;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();

	MemoryContextSwitchTo(TopMemoryContext);
	forget_wait_set();
	if (ingest->source)
		streaming_source_close(ingest->source);
	MemoryContextDelete(context);
	return !failed;
}

static void
show_error(StreamingIngest *ingest, ErrorData *error)
{
	bool		stopped = ingest->stopped != NULL;
	bool		lost = !ingest->begun && error->sqlerrcode == ERRCODE_DATA_EXCEPTION;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->ingest_waits = false;
	shared->unheard = -1;
	snprintf(stopped || lost ? shared->stop_error : shared->last_error,
			 STREAMING_MESSAGE_LENGTH, "%s%s%s", error->message,
			 error->detail ? ": " : "", error->detail ? error->detail : "");
	if (stopped || lost)
	{
		shared->stop_sqlerrcode = error->sqlerrcode;
		shared->stop_lost = lost;
	}
	LWLockRelease(shared->lock);
	streaming_stream_wake_readers(shared);
}

static void
pause_after_error(int failures)
{
	long		delay = RETRY_MIN;

	for (int i = 0; i < failures && delay < streaming_retry_max; i++)
		delay *= 2;
	delay = Min(delay, streaming_retry_max);

	while (delay > 0)
	{
		StreamingTime start = streaming_now();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 delay, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		streaming_worker_interrupts(streaming_worker_set_session);
		AcceptInvalidationMessages();
		if (definition_changed || (shared->stop_lost && delay > RETRY_MIN))
			return;				/* a view may have been reset */
		delay -= (streaming_now() - start) / 1000;
	}
}

static void
read_stream(StreamingIngest *ingest)
{
	while (!begin_attempt(ingest))
	{
		/*
		 * A view will say where it begins, and wake us.  If they are in another
		 * topic, that may come back.
		 */
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (ingest->incarnation > 0 ? WL_TIMEOUT : 0),
						 ingest->incarnation > 0 ? streaming_retry_max : -1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		streaming_worker_interrupts(streaming_worker_set_session);
	}

	while (!definition_changed)
	{
		int			n = 0;

		streaming_worker_interrupts(streaming_worker_set_session);
		if (!make_room(ingest))
			continue;
		n = move_chunk(ingest);
		if (ingest->stopped)
			ReThrowError(ingest->stopped);
		if (ingest->source->changed)
			renew_ring(ingest);
		release_taken(ingest);
		if (n == 0 && !definition_changed)
			wait_for_more(ingest);
		else if (n < PACE_RECORDS)
			wait_for_company(ingest);
	}
}

/*
 * Opens the stream and begins a ring.  Returns false if no view knows yet
 * where it begins.
 */
static bool
begin_attempt(StreamingIngest *ingest)
{
	StreamingPositions start;
	StreamingPositions earliest;
	MemoryContext old = CurrentMemoryContext;

	if (!begin_transaction(ingest))
		proc_exit(0);
	if (definition_changed)
	{
		forget_stop();
		pg_atomic_write_u64(&shared->rejected_since_row, 0);
		warned_of_absent = false;
	}
	definition_changed = false;
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(ingest->context);
	if (!define_stream(ingest))
		proc_exit(0);
	identify_source(ingest);
	streaming_positions_init(&start);
	streaming_positions_init(&earliest);
	if (!streaming_ingest_positions(ingest, &start, &earliest))
	{
		streaming_source_close(ingest->source);
		ingest->source = NULL;
		PopActiveSnapshot();
		commit_transaction();
		MemoryContextSwitchTo(old);
		show_incarnation(ingest);
		return false;
	}
	streaming_ingest_columns(ingest, &ingest->columns);

	ingest->source->needed = streaming_columns_bitmap(&ingest->columns);
	ingest->decoder = streaming_decoder_open(ingest->stream, ingest->source->needed);
	streaming_positions_init(&ingest->positions);
	streaming_positions_copy(&ingest->positions, &start);
	streaming_positions_init(&ingest->marked);
	streaming_positions_init(&ingest->ahead);
	seek_source(ingest);

	ingest->writer = streaming_buffer_open(shared, ingest->stream);
	streaming_positions_copy(&ingest->writer->earliest, &earliest);
	PopActiveSnapshot();
	commit_transaction();
	MemoryContextSwitchTo(old);
	show_incarnation(ingest);
	ingest->begun = true;
	ingest->release_delay = RELEASE_MIN;	/* and release_at: now */
	if (shared->stop_lost)
		forget_stop();
	return true;
}

/* False: it has been dropped. */
static bool
define_stream(StreamingIngest *ingest)
{
	Oid			owner = streaming_relation_owner(ingest->relid, true);
	int			natts;

	if (!OidIsValid(owner))
		return false;
	ingest->stream = streaming_stream_open(ingest->relid, owner);
	ingest->source = streaming_source_open(ingest->stream, STREAMING_READ_FOLLOW);

	natts = ingest->stream->tupdesc->natts;
	ingest->records = palloc(sizeof(StreamingRecord) * POLL_RECORDS);
	ingest->values = palloc(sizeof(Datum) * (natts + 1) * STREAMING_BUFFER_BLOCK);
	ingest->isnull = palloc(sizeof(bool) * (natts + 1) * STREAMING_BUFFER_BLOCK);
	ingest->result = palloc(sizeof(bool) * STREAMING_BUFFER_BLOCK);
	ingest->block_context = AllocSetContextCreate(ingest->context, "streaming ingest block",
												  ALLOCSET_DEFAULT_SIZES);
	return true;
}

/* What the ring holds of another source is dropped. */
static void
identify_source(StreamingIngest *ingest)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->doubted = false;
	LWLockRelease(shared->lock);
	if (ingest->source->routine->identify)
		ingest->incarnation = ingest->source->routine->identify(ingest->source,
																streaming_connect_timeout);
	if (ingest->incarnation == shared->incarnation)
		return;
	streaming_buffer_discard(shared);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->incarnation = 0;	/* until the new one is committed */
	LWLockRelease(shared->lock);
}

static void
show_incarnation(StreamingIngest *ingest)
{
	bool		changed;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	changed = shared->incarnation != ingest->incarnation;
	shared->incarnation = ingest->incarnation;
	LWLockRelease(shared->lock);
	if (changed)
		streaming_stream_wake_readers(shared);
}

static void
seek_source(StreamingIngest *ingest)
{
	ingest->source->routine->seek(ingest->source, &ingest->positions);
}

/*
 * Begins a ring where the source is read now.  Who has not taken all of the old one
 * reads the source on its own.
 */
static void
renew_ring(StreamingIngest *ingest)
{
	StreamingBufferWriter *writer;

	if (!begin_transaction(ingest))
		proc_exit(0);
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(ingest->context);
	writer = streaming_buffer_open(shared, ingest->stream);
	streaming_positions_copy(&writer->earliest, &ingest->writer->earliest);
	pfree(ingest->writer);
	ingest->writer = writer;
	ingest->source->changed = false;
	PopActiveSnapshot();
	commit_transaction();
	MemoryContextSwitchTo(ingest->context);
}

/* ----------
 * Chunks
 * ----------
 */

/*
 * Starts a transaction with the stream locked.  False: the stream is gone;
 * definition_changed: it has changed, and the caller commits.
 */
static bool
begin_transaction(StreamingIngest *ingest)
{
	SetCurrentStatementStartTimestamp();
	LWLockAcquire(streaming_slots->lock, LW_EXCLUSIVE);
	streaming_worker_begin(-1, 0);
	LWLockRelease(streaming_slots->lock);
	streaming_worker_watch(true);
	StartTransactionCommand();
	LockRelationOid(ingest->relid, AccessShareLock);
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(ingest->relid));
}

static void
commit_transaction(void)
{
	CommitTransactionCommand();
	end_watch();
}

/* A cancel that comes too late is forgotten. */
static void
end_watch(void)
{
	streaming_worker_watch(false);
	streaming_worker_end();
	QueryCancelPending = false;
}

/*
 * Makes sure that there is a segment to write to, waiting for the readers if
 * need be.  False: look again.
 */
static bool
make_room(StreamingIngest *ingest)
{
	StreamingBufferWriter *writer = ingest->writer;
	bool		anew;
	bool		advanced;

	LWLockAcquire(shared->lock, LW_SHARED);
	anew = shared->doubted || !streaming_columns_subset(&shared->wanted, &ingest->columns);
	LWLockRelease(shared->lock);
	if (anew)
	{
		/* A view asks for more columns, or somebody has seen another source. */
		definition_changed = true;
		return false;
	}
	if (writer->segment >= 0 && !writer->full)
		return true;

	if (!begin_transaction(ingest))
		proc_exit(0);
	PushActiveSnapshot(GetTransactionSnapshot());
	advanced = streaming_buffer_advance(writer, &ingest->positions, &ingest->columns);
	streaming_buffer_release(writer);
	PopActiveSnapshot();
	commit_transaction();
	MemoryContextSwitchTo(ingest->context);
	if (advanced)
	{
		streaming_positions_copy(&ingest->marked, &ingest->positions);
		streaming_buffer_publish(writer);
		return true;
	}

	show_state(ingest);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ROOM_INTERVAL, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	return false;
}

/* Returns the number of records that the source delivered, 0: nothing new. */
static int
move_chunk(StreamingIngest *ingest)
{
	int			total = 0;
	bool		moved = false;
	instr_time	start;
	instr_time	now;

	if (!begin_transaction(ingest))
		proc_exit(0);
	if (!streaming_buffer_is_intact(ingest->writer))
		definition_changed = true;	/* begin anew */
	if (definition_changed)
	{
		commit_transaction();
		return 0;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	ingest->rows = ingest->bytes = ingest->rejected = ingest->bad = 0;

	INSTR_TIME_SET_CURRENT(start);
	do
	{
		int			n = ingest->source->routine->poll(ingest->source, ingest->records,
													  POLL_RECORDS, &ingest->positions);

		if (n == 0)
			break;
		MemoryContextSwitchTo(ingest->block_context);
		take_records(ingest, n);
		MemoryContextSwitchTo(CurTransactionContext);
		total += n;
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
	} while (total < CHUNK_RECORDS && !ingest->writer->full && !ingest->stopped &&
			 INSTR_TIME_GET_MILLISEC(now) < CHUNK_TIME);

	streaming_buffer_mark(ingest->writer, &ingest->marked, &ingest->positions);
	moved = ingest->writer->rel != NULL;
	streaming_buffer_release(ingest->writer);
	PopActiveSnapshot();
	commit_transaction();
	MemoryContextSwitchTo(ingest->context);
	if (moved)
		publish(ingest);
	return moved ? Max(total, 1) : total;
}

static void
take_records(StreamingIngest *ingest, int n)
{
	int			block = careful ? 1 : STREAMING_BUFFER_BLOCK;

	for (int from = 0; from < n; from += block)
	{
		take_block(ingest, ingest->records + from, Min(block, n - from));
		if (!ingest->stopped)
			continue;

		/* What has not been taken has not been read. */
		for (int i = n - 1; i >= from; i--)
			streaming_positions_set(&ingest->positions, ingest->records[i].partition,
									ingest->records[i].offset);
		return;
	}
}

static void
take_block(StreamingIngest *ingest, StreamingRecord *records, int n)
{
	int			natts = ingest->stream->tupdesc->natts;
	StreamingReject *rejects = NULL;
	int			nrejects = 0;
	const char *message;

	MemoryContextReset(ingest->block_context);
	decode_block(ingest, records, n, &rejects, &nrejects);
	if (ingest->stopped)
		return;
	for (int i = 0; i < n; i++)
	{
		ingest->bytes += records[i].length;
		if (!ingest->result[i])
			continue;
		streaming_buffer_append(ingest->writer, records[i].partition, records[i].offset,
								ingest->values + i * natts, ingest->isnull + i * natts);
		ingest->rows++;
	}
	ingest->nrecords += n;
	streaming_buffer_flush(ingest->writer);
	if (nrejects == 0)
		return;
	ingest->rejected += streaming_reject(ingest->stream, rejects, nrejects);
	ingest->bad += nrejects;
	message = rejects[nrejects - 1].message;
	strlcpy(ingest->reject_error, message,
			pg_mbcliplen(message, strlen(message), STREAMING_MESSAGE_LENGTH - 1) + 1);
}

static void
decode_block(StreamingIngest *ingest, StreamingRecord *records, int n,
			 StreamingReject **rejects, int *nrejects)
{
	if (careful)
		decode_carefully(ingest, records, rejects, nrejects);
	else if (ingest->stream->on_error == STREAMING_ON_ERROR_STOP)
	{
		PG_TRY();
		{
			streaming_decode(ingest->decoder, records, n, ingest->values, ingest->isnull,
							 ingest->result, rejects, nrejects);
		}
		PG_CATCH();
		{
			careful = true;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	else
		streaming_decode(ingest->decoder, records, n, ingest->values, ingest->isnull,
						 ingest->result, rejects, nrejects);
}

/* The arguments of streaming_decode. */
typedef struct OneRecord
{
	StreamingIngest *ingest;
	StreamingRecord *record;
	StreamingReject **rejects;
	int		   *nrejects;
} OneRecord;

static void
decode_one(void *arg)
{
	OneRecord  *one = arg;
	StreamingIngest *ingest = one->ingest;

	streaming_decode(ingest->decoder, one->record, 1, ingest->values, ingest->isnull,
					 ingest->result, one->rejects, one->nrejects);
}

/* One record; an error is kept in ingest->stopped. */
static void
decode_carefully(StreamingIngest *ingest, StreamingRecord *record,
				 StreamingReject **rejects, int *nrejects)
{
	OneRecord	one = {ingest, record, rejects, nrejects};

	ingest->stopped = streaming_attempt(decode_one, &one, ingest->context);
	if (ingest->stopped && ingest->stopped->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(ingest->stopped);
}

static void
publish(StreamingIngest *ingest)
{
	progressed = true;
	streaming_positions_copy(&ingest->marked, &ingest->positions);
	pg_atomic_fetch_add_u64(&shared->rows_read, ingest->rows);
	pg_atomic_fetch_add_u64(&shared->bytes_read, ingest->bytes);
	pg_atomic_fetch_add_u64(&shared->rejected_rows, ingest->rejected);
	show_rejects(ingest);
	warn_of_absent(ingest);
	if (ingest->stopped == NULL && careful && ingest->rows > 0)
		forget_stop();			/* past the record that stopped us */
	streaming_buffer_publish(ingest->writer);
	if (ingest->source->routine->release && !ingest->releases_never)
	{
		ingest->release_delay = RELEASE_MIN;
		ingest->release_at = Min(ingest->release_at,
								 streaming_time_plus(streaming_now(), RELEASE_MIN));
	}
	if (streaming_time_passed(stats_at, streaming_now(), STATS_INTERVAL))
		show_state(ingest);
}

static void
forget_stop(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->stop_error[0] = '\0';
	shared->stop_lost = false;
	LWLockRelease(shared->lock);
	careful = false;
}

static void
show_rejects(StreamingIngest *ingest)
{
	if (ingest->bad > 0)
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		strlcpy(shared->reject_error, ingest->reject_error, STREAMING_MESSAGE_LENGTH);
		LWLockRelease(shared->lock);
	}
	if (ingest->rows > 0)
		pg_atomic_write_u64(&shared->rejected_since_row, 0);
	else if (ingest->bad > 0)
		pg_atomic_fetch_add_u64(&shared->rejected_since_row, ingest->bad);
}

/* Once: such a column is most likely a misspelt one, and is NULL in every row. */
static void
warn_of_absent(StreamingIngest *ingest)
{
	StringInfoData names;
	int			attnum = -1;

	if (warned_of_absent || ingest->nrecords < ABSENT_RECORDS)
		return;
	warned_of_absent = true;
	initStringInfo(&names);
	while ((attnum = bms_next_member(ingest->decoder->absent, attnum)) >= 0)
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						 ingest->stream->columns[attnum - 1].name);
	if (names.len > 0)
		ereport(WARNING,
				(errmsg("no record of stream %s has had a field for column %s",
						ingest->stream->name, names.data),
				 errdetail("%lld records have been read.", (long long) ingest->nrecords),
				 errhint("The column option \"field\" names the field, where it is not called like the column.")));
	pfree(names.data);
}

/* The columns that no record has had a field for. */
static void
show_absent(StreamingIngest *ingest)
{
	int			attnum = -1;

	memset(&shared->absent, 0, sizeof(shared->absent));
	if (ingest->nrecords == 0)
		return;
	while ((attnum = bms_next_member(ingest->decoder->absent, attnum)) >= 0)
		streaming_columns_add(&shared->absent, attnum);
}

/*
 * Since when records have been there that are not read yet, at most; 0: there are
 * none.  Who reads all the time is never at the end that is known now, but comes to
 * the one that was known a while ago.
 */
static StreamingTime
find_behind_since(StreamingIngest *ingest, const StreamingPositions *end)
{
	StreamingTime since = ingest->ahead_at ? ingest->ahead_at : stats_at;

	if (ingest->ahead_at == 0 || is_past(ingest, &ingest->ahead))
	{
		streaming_positions_copy(&ingest->ahead, end);
		ingest->ahead_at = stats_at;
	}
	return is_past(ingest, end) ? 0 : since;
}

static bool
is_past(StreamingIngest *ingest, const StreamingPositions *end)
{
	for (int i = 0; i < end->n; i++)
	{
		int64		position = streaming_positions_get(&ingest->positions, end->pos[i].partition);

		if (Max(position, 0) < end->pos[i].offset)
			return false;
	}
	return true;
}

/*
 * Positions, ends and the source's trouble, for people; readers that follow the
 * event time wait until every partition has been heard of.
 */
static void
show_state(StreamingIngest *ingest)
{
	const char *error = ingest->source->routine->last_error(ingest->source);
	StreamingPositions end;
	int			unheard = 0;
	bool		wake;

	stats_at = streaming_now();
	streaming_positions_init(&end);
	ingest->source->routine->known_end(ingest->source, &end);
	for (int i = 0; i < end.n; i++)
		unheard += end.pos[i].offset < 0 ||
			streaming_positions_get(&ingest->positions, end.pos[i].partition) < 0;
	if (end.n == 0 || error)
		unheard = -1;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	strlcpy(shared->last_error, error ? error : "", STREAMING_MESSAGE_LENGTH);
	wake = unheard == 0 && shared->unheard != 0;
	shared->unheard = unheard;
	if (wake)
		shared->heard_since = stats_at;
	show_absent(ingest);
	shared->behind_since = find_behind_since(ingest, &end);
	shared->npartitions = ingest->positions.n;
	shared->rest_lag = 0;
	for (int i = 0; i < ingest->positions.n; i++)
	{
		StreamingPosition *p = &ingest->positions.pos[i];
		int64		p_end = streaming_positions_get(&end, p->partition);

		if (i < STREAMING_MAX_PARTITIONS)
			shared->partitions[i] = (StreamingPartitionStats) {p->partition, p->offset, p_end};
		else
			shared->rest_lag += Max(p_end - p->offset, 0);
	}
	LWLockRelease(shared->lock);
	pfree(end.pos);
	if (wake)
		streaming_stream_wake_readers(shared);
}

/*
 * Views take a chunk some time after it was published, and do not say so: looked for
 * soon, and then ever more rarely until all have.
 */
static void
release_taken(StreamingIngest *ingest)
{
	StreamingRelease result;

	if (definition_changed || streaming_now() < ingest->release_at)
		return;
	if (!begin_transaction(ingest))
		proc_exit(0);
	PushActiveSnapshot(GetTransactionSnapshot());
	result = streaming_ingest_release(ingest);
	PopActiveSnapshot();
	ForceSyncCommit();
	commit_transaction();
	MemoryContextSwitchTo(ingest->context);

	ingest->releases_never = result == STREAMING_RELEASE_NEVER;
	if (result == STREAMING_RELEASE_MORE)
		ingest->release_delay = RELEASE_MIN;
	if (result == STREAMING_RELEASE_MORE)
		ingest->release_at = 0;
	else if (result == STREAMING_RELEASE_LATER)
	{
		ingest->release_at = streaming_time_plus(streaming_now(), ingest->release_delay);
		ingest->release_delay = Min(ingest->release_delay * 2,
									Max(streaming_scan_interval, RELEASE_MIN));
	}
	else
		ingest->release_at = STREAMING_TIME_NEVER;
}

static void
wait_for_more(StreamingIngest *ingest)
{
	int			fd = ingest->source->routine->wait_fd(ingest->source);
	long		timeout = streaming_worker_report_stats();
	WaitEvent	event;

	if (streaming_time_passed(stats_at, streaming_now(), STATS_INTERVAL))
		show_state(ingest);
	else if (timeout < 0 || timeout > STATS_INTERVAL)
		timeout = STATS_INTERVAL;	/* show it when nothing more comes */
	if (fd < 0 && (timeout < 0 || timeout > streaming_scan_interval))
		timeout = streaming_scan_interval;

	if (ingest->release_at != STREAMING_TIME_NEVER)
	{
		long		ms = Max(streaming_ms_until(streaming_now(), ingest->release_at), 1);

		timeout = timeout > 0 ? Min(timeout, ms) : ms;
	}

	if (wait_set == NULL || fd != wait_set_fd)
	{
		forget_wait_set();
		wait_set = streaming_create_wait_event_set(3);
		wait_set_fd = fd;
		AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		if (fd >= 0)
			AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, fd, NULL, NULL);
	}
	(void) WaitEventSetWait(wait_set, timeout, &event, 1, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* The source may close its descriptor after this. */
static void
forget_wait_set(void)
{
	if (wait_set)
		FreeWaitEventSet(wait_set);
	wait_set = NULL;
}

/* Rows that trickle in, see PACE_INTERVAL. */
static void
wait_for_company(StreamingIngest *ingest)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 PACE_INTERVAL, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}
