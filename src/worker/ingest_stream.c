/*
 * ingest_stream.c
 *		Reads one Kafka or directory stream, for all the views that need it.
 *
 * An attempt opens the source where the views are (ingest_start.c), begins a new
 * ring of buffer segments (buffer.c), and then moves chunks of records from the source
 * into the buffer until something fails or the definition of the stream changes.
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
 * When the segments are all in use nothing is read until a reader moves on
 * (back-pressure: the source keeps what is not read).
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
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/attempt.h"
#include "catalog/view.h"
#include "catalog/read_columns.h"
#include "format/reject.h"
#include "kafka.h"
#include "shared/slots.h"
#include "worker/ingest.h"
#include "worker/worker.h"

#define POLL_RECORDS	1000	/* of one poll */
#define CHUNK_RECORDS	10000	/* of one transaction, at most, or */
#define CHUNK_TIME		10.0	/* ms after which it is committed */
#define ROOM_INTERVAL	1000	/* ms between looks for readers to detach */
#define RETRY_MIN		100		/* ms, doubled up to streaming.retry_max */
#define STATS_INTERVAL	100		/* ms between looks at the source's ends */
#define RELEASE_MIN		100		/* ms between a chunk and a look at who has taken it,
								 * doubled up to streaming.scan_interval */
#define FEW_RECORDS		100		/* of a chunk: they trickle in */

bool		streaming_ingest_fds_changed = false;

/* Attempts */
static void end_attempt(StreamingIngest *ingest);
static void run_attempt(StreamingIngest *ingest);
static void take_error(StreamingIngest *ingest);
static void show_error(StreamingIngest *ingest, ErrorData *error);
static void hold_until(StreamingIngest *ingest, int64 ms);
static void set_due(StreamingIngest *ingest);
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
static void forget_stop(StreamingIngest *ingest);
static void release_taken(StreamingIngest *ingest);

/* ----------
 * Whose stream it is
 * ----------
 */

StreamingIngest *
streaming_ingest_take(Oid relid, Oid owner)
{
	StreamingStreamShared *shared = streaming_stream_use(relid);
	StreamingIngest *ingest;
	bool		taken;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	taken = shared->ingest_latch == NULL;
	if (taken)
	{
		shared->ingest_latch = MyLatch;
		shared->state = STREAMING_INGEST_STARTING;
	}
	LWLockRelease(shared->lock);
	if (!taken)
	{
		streaming_stream_release(shared);
		return NULL;
	}
	ingest = MemoryContextAllocZero(TopMemoryContext, sizeof(StreamingIngest));
	ingest->relid = relid;
	ingest->owner = owner;
	ingest->shared = shared;
	ingest->ready = true;
	ingest->show_at = STREAMING_TIME_NEVER;
	ingest->fd = -1;
	return ingest;
}

void
streaming_ingest_let_go(StreamingIngest *ingest)
{
	StreamingStreamShared *shared = ingest->shared;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->ingest_latch = NULL;
	shared->ingest_waits = false;
	shared->unheard = -1;
	shared->state = STREAMING_INGEST_NONE;
	if (streaming_kafka_has_aborted())
		strlcpy(shared->last_error,
				"librdkafka has aborted at what a broker sent; see the server log",
				STREAMING_MESSAGE_LENGTH);
	LWLockRelease(shared->lock);
}

void
streaming_ingest_leave(StreamingIngest *ingest)
{
	end_attempt(ingest);
	streaming_ingest_let_go(ingest);
	streaming_stream_release(ingest->shared);
	pfree(ingest);
}

/* ----------
 * Attempts
 * ----------
 */

void
streaming_ingest_run(StreamingIngest *ingest)
{
	bool		was_held = ingest->held;

	ingest->ready = ingest->held = false;
	ingest->due = STREAMING_TIME_NEVER;
	ingest->moved = STREAMING_MOVED_NOTHING;
	if (ingest->context == NULL)
	{
		ingest->context = AllocSetContextCreate(TopMemoryContext, "streaming ingest",
												ALLOCSET_DEFAULT_SIZES);
		ingest->fd = -1;
	}
	MemoryContextSwitchTo(ingest->context);
	PG_TRY();
	{
		run_attempt(ingest);
	}
	PG_CATCH();
	{
		take_error(ingest);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	streaming_ingest_fds_changed |= ingest->held != was_held;
}

/* The source's descriptor is closed by this. */
static void
end_attempt(StreamingIngest *ingest)
{
	MemoryContext context = ingest->context;

	MemoryContextSwitchTo(TopMemoryContext);
	streaming_ingest_fds_changed |= ingest->fd >= 0;
	if (ingest->source)
		streaming_source_close(ingest->source);
	if (context)
		MemoryContextDelete(context);
	memset((char *) ingest + offsetof(StreamingIngest, context), 0,
		   sizeof(StreamingIngest) - offsetof(StreamingIngest, context));
	ingest->fd = -1;
	ingest->show_at = STREAMING_TIME_NEVER;
}

static void
run_attempt(StreamingIngest *ingest)
{
	int			n;
	int			fd;

	if (ingest->writer == NULL && !begin_attempt(ingest))
	{
		bool		elsewhere = ingest->incarnation > 0;

		/*
		 * A view will say where it begins, and wake us.  If they are in another
		 * topic, that may come back.
		 */
		end_attempt(ingest);
		if (elsewhere)
			hold_until(ingest, streaming_retry_max);
		ingest->held = true;
		return;
	}
	if (!make_room(ingest))
	{
		if (ingest->definition_changed)
		{
			end_attempt(ingest);
			ingest->ready = true;
		}
		return;
	}
	n = move_chunk(ingest);
	if (ingest->stopped)
		ReThrowError(ingest->stopped);
	if (ingest->source->changed && !ingest->definition_changed)
		renew_ring(ingest);
	release_taken(ingest);
	if (ingest->progressed)
		ingest->failures = 0;
	if (ingest->definition_changed)
	{
		end_attempt(ingest);
		ingest->ready = true;
		return;
	}
	ingest->moved = n >= FEW_RECORDS ? STREAMING_MOVED_MANY :
		n > 0 ? STREAMING_MOVED_FEW : STREAMING_MOVED_NOTHING;
	fd = ingest->source->routine->wait_fd(ingest->source);
	streaming_ingest_fds_changed |= fd != ingest->fd;
	ingest->fd = fd;
	ingest->ready = n > 0 && !ingest->source->routine->fd_tells_rest;
	set_due(ingest);
}

/* In PG_CATCH. */
static void
take_error(StreamingIngest *ingest)
{
	ErrorData  *error;
	int64		delay = RETRY_MIN;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(ingest->context);
	error = CopyErrorData();
	if (streaming_worker_is_cancelled())
		error = NULL;			/* somebody waits: no trouble of the stream's */
	else
		EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	end_watch();
	if (error)
		show_error(ingest, error);
	RESUME_INTERRUPTS();

	if (ingest->progressed)
		ingest->failures = 0;
	for (int i = 0; i < ingest->failures && delay < streaming_retry_max; i++)
		delay *= 2;
	ingest->failures++;
	end_attempt(ingest);
	hold_until(ingest, Min(delay, streaming_retry_max));
}

/* Takes the half of a character away that a cut may have left. */
static void
clip_message(char *text)
{
	text[pg_mbcliplen(text, strlen(text), strlen(text))] = '\0';
}

static void
show_error(StreamingIngest *ingest, ErrorData *error)
{
	bool		stopped = ingest->stopped != NULL;
	bool		lost = !ingest->begun && error->sqlerrcode == ERRCODE_DATA_EXCEPTION;

	LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
	ingest->shared->ingest_waits = false;
	ingest->shared->unheard = -1;
	snprintf(stopped || lost ? ingest->shared->stop_error : ingest->shared->last_error,
			 STREAMING_MESSAGE_LENGTH, "%s%s%s", error->message,
			 error->detail ? ": " : "", error->detail ? error->detail : "");
	clip_message(stopped || lost ? ingest->shared->stop_error : ingest->shared->last_error);
	if (stopped || lost)
	{
		ingest->shared->stop_sqlerrcode = error->sqlerrcode;
		ingest->shared->stop_lost = lost;
	}
	LWLockRelease(ingest->shared->lock);
	streaming_stream_wake_readers(ingest->shared);
}

static void
hold_until(StreamingIngest *ingest, int64 ms)
{
	ingest->due = streaming_time_plus(streaming_now(), ms);
	ingest->held = true;
}

/* Nothing more has come: when to look without being told. */
static void
set_due(StreamingIngest *ingest)
{
	StreamingTime now = streaming_now();

	if (streaming_time_passed(ingest->stats_at, now, STATS_INTERVAL))
		streaming_ingest_show(ingest);
	else
		ingest->show_at = streaming_time_plus(now, STATS_INTERVAL);
	if (ingest->fd < 0)
		ingest->due = streaming_time_plus(now, streaming_scan_interval);
	ingest->due = Min(ingest->due, ingest->release_at);
}

void
streaming_ingest_look(StreamingIngest *ingest)
{
	StreamingStreamShared *shared = ingest->shared;
	StreamingTime now = streaming_now();
	bool		told;

	if (ingest->ready)
		return;
	if (ingest->context == NULL && ingest->failures > 0)
	{
		/* a view may have been reset */
		if (ingest->definition_changed ||
			(shared->stop_lost && ingest->due > streaming_time_plus(now, RETRY_MIN)))
			ingest->ready = true;
		return;
	}
	LWLockAcquire(shared->lock, LW_SHARED);
	told = shared->doubted || !streaming_columns_subset(&shared->wanted, &ingest->columns);
	LWLockRelease(shared->lock);
	if (told || ingest->alone || ingest->held || ingest->definition_changed)
		ingest->ready = true;
	else if (streaming_time_passed(ingest->stats_at, now, STATS_INTERVAL))
		streaming_ingest_show(ingest);
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
		return false;
	if (ingest->definition_changed)
	{
		forget_stop(ingest);
		pg_atomic_write_u64(&ingest->shared->rejected_since_row, 0);
		ingest->warned_of_absent = false;
	}
	ingest->definition_changed = false;
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(ingest->context);
	if (!define_stream(ingest))
	{
		PopActiveSnapshot();
		commit_transaction();
		return false;
	}
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

	ingest->writer = streaming_buffer_open(ingest->shared, ingest->stream);
	streaming_positions_copy(&ingest->writer->earliest, &earliest);
	PopActiveSnapshot();
	commit_transaction();
	MemoryContextSwitchTo(old);
	show_incarnation(ingest);
	ingest->begun = true;
	ingest->release_delay = RELEASE_MIN;	/* and release_at: now */
	if (ingest->shared->stop_lost)
		forget_stop(ingest);
	return true;
}

/* False: it has been dropped, or is somebody else's. */
static bool
define_stream(StreamingIngest *ingest)
{
	Oid			owner = streaming_relation_owner(ingest->relid, true);
	int			natts;

	ingest->gone = !OidIsValid(owner) ||
		(OidIsValid(ingest->owner) && owner != ingest->owner);
	if (ingest->gone)
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
	LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
	ingest->shared->doubted = false;
	LWLockRelease(ingest->shared->lock);
	if (ingest->source->routine->identify)
		ingest->incarnation = ingest->source->routine->identify(ingest->source,
																streaming_connect_timeout);
	if (ingest->incarnation == ingest->shared->incarnation)
		return;
	streaming_buffer_discard(ingest->shared);
	LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
	ingest->shared->incarnation = 0;	/* until the new one is committed */
	LWLockRelease(ingest->shared->lock);
}

static void
show_incarnation(StreamingIngest *ingest)
{
	bool		changed;

	LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
	changed = ingest->shared->incarnation != ingest->incarnation;
	ingest->shared->incarnation = ingest->incarnation;
	LWLockRelease(ingest->shared->lock);
	if (changed)
		streaming_stream_wake_readers(ingest->shared);
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
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(ingest->context);
	writer = streaming_buffer_open(ingest->shared, ingest->stream);
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
 * Starts a transaction with the stream locked.  False: the stream is gone, and there is
 * no transaction; definition_changed: it has changed, and the caller commits.
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
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(ingest->relid)))
		return true;
	commit_transaction();
	ingest->gone = ingest->definition_changed = true;
	return false;
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
 * Makes sure that there is a segment to write to.  False: look again; if it is held,
 * when readers have moved on.
 */
static bool
make_room(StreamingIngest *ingest)
{
	StreamingBufferWriter *writer = ingest->writer;
	bool		anew;
	bool		advanced;

	LWLockAcquire(ingest->shared->lock, LW_SHARED);
	anew = ingest->shared->doubted || !streaming_columns_subset(&ingest->shared->wanted, &ingest->columns);
	LWLockRelease(ingest->shared->lock);
	if (anew)
	{
		/* A view asks for more columns, or somebody has seen another source. */
		ingest->definition_changed = true;
		return false;
	}
	if (writer->segment >= 0 && !writer->full)
		return true;

	if (!begin_transaction(ingest))
		return false;
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

	streaming_ingest_show(ingest);
	hold_until(ingest, ROOM_INTERVAL);
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
		return 0;
	if (!streaming_buffer_is_intact(ingest->writer))
		ingest->definition_changed = true;	/* begin anew */
	if (ingest->definition_changed)
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
	int			block = ingest->careful ? 1 : STREAMING_BUFFER_BLOCK;

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
	int			reject = 0;
	const char *message;

	MemoryContextReset(ingest->block_context);
	decode_block(ingest, records, n, &rejects, &nrejects);
	if (ingest->stopped)
		return;
	for (int i = 0; i < n; i++)
	{
		ingest->bytes += records[i].length;
		if (reject < nrejects && rejects[reject].partition == records[i].partition &&
			rejects[reject].offset == records[i].offset)
		{
			reject++;
			streaming_buffer_append_rejected(ingest->writer, records[i].partition,
											 records[i].offset);
		}
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
	if (ingest->careful)
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
			ingest->careful = true;
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
	/* A registry that does not answer is not the record's fault, and may answer again. */
	if (ingest->stopped &&
		(ingest->stopped->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		 ingest->stopped->sqlerrcode == ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION))
		ReThrowError(ingest->stopped);
}

static void
publish(StreamingIngest *ingest)
{
	ingest->progressed = true;
	streaming_positions_copy(&ingest->marked, &ingest->positions);
	pg_atomic_fetch_add_u64(&ingest->shared->rows_read, ingest->rows);
	pg_atomic_fetch_add_u64(&ingest->shared->bytes_read, ingest->bytes);
	pg_atomic_fetch_add_u64(&ingest->shared->rejected_rows, ingest->rejected);
	streaming_ingest_show_rejects(ingest);
	streaming_ingest_warn_of_absent(ingest);
	if (ingest->stopped == NULL && ingest->careful && ingest->rows > 0)
		forget_stop(ingest);			/* past the record that stopped us */
	streaming_buffer_publish(ingest->writer);
	if (ingest->source->routine->release && !ingest->releases_never)
	{
		ingest->release_delay = RELEASE_MIN;
		ingest->release_at = Min(ingest->release_at,
								 streaming_time_plus(streaming_now(), RELEASE_MIN));
	}
	if (streaming_time_passed(ingest->stats_at, streaming_now(), STATS_INTERVAL))
		streaming_ingest_show(ingest);
}

static void
forget_stop(StreamingIngest *ingest)
{
	LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
	ingest->shared->stop_error[0] = '\0';
	ingest->shared->stop_lost = false;
	LWLockRelease(ingest->shared->lock);
	ingest->careful = false;
}

/*
 * Views take a chunk some time after it was published, and do not say so: looked for
 * soon, and then ever more rarely until all have.
 */
static void
release_taken(StreamingIngest *ingest)
{
	StreamingRelease result;

	if (ingest->definition_changed || streaming_now() < ingest->release_at)
		return;
	if (!begin_transaction(ingest))
		return;
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
