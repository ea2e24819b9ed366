/*
 * input.c
 *		A view's reader of one stream, see input.h.
 *
 * Here is what all ways of reading have in common: opening and closing, which
 * way a batch takes, scans, checkpoints.
 *
 * Kafka and directory streams: how a reader finds its way
 *
 *		             no checkpoint
 *		UNDECIDED ───────────────────▶ asks the source where "latest" (...) is:
 *		                               a batch without rows writes it down
 *		             the ring is being made
 *		WAITING ◀────────────────────▶ nothing to take until it is
 *		             it begins at or before what I have
 *		BUFFER  ◀────────────────────▶ reads the ring
 *		             it begins behind it, or I was detached
 *		SOURCE  ◀────────────────────▶ reads the source, batch after batch, and
 *		                               tries the ring again before each
 *
 * Before any of these come records that the view has passed and that have been retried
 * since (input_retried.c): they make a batch of their own, which moves nothing.
 *
 * All of it is decided anew at the beginning of each batch.  A batch that was tried
 * before and has its end given (streaming_input_plan) is read from the source, where
 * it has been when it was in the ring.  If the stream has
 * stopped at a record that cannot be decoded (on_error 'stop'), a reader that
 * finds nothing more to take raises the error.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/checkpoint.h"
#include "input/input_internal.h"
#include "catalog/read_columns.h"
#include "buffer/shift_slot.h"
#include "source/kafka_identity.h"
#include "push/source_push.h"

/*
 * What plans are made for.  They are kept from batch to batch, so it is not the
 * number of rows of one batch.
 */
static const double rows_of_size[STREAMING_SIZES] = {100, 10000, 10000, 1000000};

/*
 * With fewer rows to a group, parallel workers have more to do with handing up
 * the groups that each of them has than they have saved by sharing the rows.
 */
#define ROWS_OF_BULK_GROUP	2

/* Readers open in this process. */
static List *open_inputs = NIL;

static Oid	relation_owner(Oid relid);
static void read_checkpoint(StreamingInput *input);
static void write_missed(StreamingInput *input);
static bool begin_buffered(StreamingInput *input);
static void note_idle(StreamingInput *input);
static void raise_stop_error(StreamingInput *input);
static void reset_batch(StreamingInput *input);

/* ----------
 * Opening and closing
 * ----------
 */

StreamingInput *
streaming_input_open(const StreamingView *view, Oid stream)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streaming input",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StreamingInput *input = palloc0(sizeof(StreamingInput));

	streaming_require_loaded();
	LockRelationOid(stream, AccessShareLock);
	input->context = context;
	input->checkpoint.context = context;
	input->view = view->view;
	input->holds_pushers = view->trigger != STREAMING_TRIGGER_MANUAL;
	input->start = view->start ? pstrdup(view->start) : NULL;
	input->stream = streaming_stream_open(stream, relation_owner(stream));
	streaming_read_columns(view->definition, input->stream, &input->columns);
	input->shared = streaming_stream_use(stream);
	PG_TRY();
	{
		input->reader = streaming_reader_enter(input->shared, view->view);
		if (input->stream->kind == STREAMING_SOURCE_PUSH)
			streaming_snapshot_open(input);
		else
			read_checkpoint(input);
	}
	PG_CATCH();
	{
		if (input->reader)
			streaming_reader_leave(input->reader);
		streaming_stream_release(input->shared);
		PG_RE_THROW();
	}
	PG_END_TRY();

	MemoryContextSwitchTo(TopMemoryContext);
	open_inputs = lappend(open_inputs, input);
	MemoryContextSwitchTo(old);
	return input;
}

static Oid
relation_owner(Oid relid)
{
	Oid			owner = streaming_relation_owner(relid, true);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("stream with OID %u does not exist", relid)));
	return owner;
}

/* Where to go on; and asks the ingest worker for the columns needed. */
static void
read_checkpoint(StreamingInput *input)
{
	StreamingStream *stream = input->stream;
	const char *start = input->start ? input->start : stream->start;
	StreamingPositions positions;
	Latch	   *wake;

	streaming_positions_init(&positions);
	input->written = streaming_checkpoint_read_positions(input->view, stream->relid,
														 stream->kind, &positions);
	if (input->written)
		input->incarnation = streaming_checkpoint_incarnation(input->view, stream->relid);
	for (int i = 0; i < positions.n; i++)
		streaming_offsets_set(&input->next, positions.pos[i].partition,
							  positions.pos[i].offset);

	/* All of a topic needs no asking: a partition not known is taken whole. */
	input->decided = input->written ||
		(stream->kind == STREAMING_SOURCE_KAFKA &&
		 (start == NULL || strcmp(start, "earliest") == 0));

	input->has_retried = streaming_missed_has_retried(input->view, stream->relid);

	LWLockAcquire(input->shared->lock, LW_EXCLUSIVE);
	input->reader->columns = input->columns;
	streaming_columns_union(&input->shared->wanted, &input->columns);
	wake = input->shared->ingest_latch;
	LWLockRelease(input->shared->lock);
	if (wake)
		SetLatch(wake);
}

void
streaming_input_close(StreamingInput *input)
{
	open_inputs = list_delete_ptr(open_inputs, input);
	if (input->source)
		streaming_source_scan_close(input->source);
	streaming_reader_leave(input->reader);
	streaming_stream_release(input->shared);
	MemoryContextDelete(input->context);
}

/* ----------
 * Offsets
 * ----------
 */

void
streaming_offsets_set(StreamingOffsets *offsets, int32 partition, int64 offset)
{
	if (unlikely(partition >= offsets->n))
	{
		int			n = Max(partition + 1, 16);

		/* A partition number is small: brokers count them from 0. */
		if (partition < 0 || partition > MaxAllocSize / sizeof(int64) - 1)
			elog(ERROR, "invalid partition number %d", partition);
		if (offsets->next == NULL)
			offsets->next = palloc(sizeof(int64) * n);
		else
			offsets->next = repalloc(offsets->next, sizeof(int64) * n);
		while (offsets->n < n)
			offsets->next[offsets->n++] = -1;
	}
	offsets->next[partition] = offset;
}

/* to keeps its memory context, or gets the current one. */
void
streaming_offsets_copy(StreamingOffsets *to, const StreamingOffsets *from)
{
	if (from->n > 0)
	{
		if (to->n < from->n)
			streaming_offsets_set(to, from->n - 1, -1);
		memcpy(to->next, from->next, sizeof(int64) * from->n);
	}
	for (int i = from->n; i < to->n; i++)
		to->next[i] = -1;
}

/* ----------
 * The batch
 * ----------
 */

bool
streaming_input_available(StreamingInput *input)
{
	return input->more || !input->decided || input->has_retried ||
		pg_atomic_read_u64(&input->shared->changes) != input->seen_changes;
}

bool
streaming_input_is_urgent(StreamingInput *input)
{
	const int	since = 1000;	/* ms */

	if (input->stream->kind != STREAMING_SOURCE_PUSH)
		return streaming_buffer_is_urgent(input->shared, input->reader);
	return !streaming_time_passed(pg_atomic_read_u64(&input->shared->push_waited_at),
								  streaming_now(), since);
}

/* Without the lock: it is a guess. */
bool
streaming_input_is_short(StreamingInput *input)
{
	return input->stream->kind != STREAMING_SOURCE_PUSH &&
		input->reader->mode == STREAMING_INPUT_BUFFER &&
		input->shared->published_rows - input->reader->rows <= STREAMING_FEW_ROWS;
}

void
streaming_input_prepare(StreamingInput *input)
{
	LockRelationOid(input->stream->relid, AccessShareLock);
	if (input->stream->kind == STREAMING_SOURCE_PUSH)
		streaming_snapshot_prepare(input);
}

bool
streaming_input_begin(StreamingInput *input, int64 max_rows, int64 max_files)
{
	MemoryContext old;
	bool		begun;

	Assert(!input->bound);
	Assert(ActiveSnapshotSet());
	input->max_rows = max_rows;
	input->max_files = max_files;
	input->done = false;
	input->size = STREAMING_SIZE_FEW;
	streaming_track_begin(input);
	streaming_show_busy(input);
	/* committed() still needs what is in it, when the transaction has ended */
	input->batch_context = AllocSetContextCreate(input->context, "streaming batch",
												 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(input->batch_context);

	/* Before looking, so that what comes now is looked at next time. */
	input->began = streaming_now();
	input->seen_changes = pg_atomic_read_u64(&input->shared->changes);
	pg_read_barrier();
	input->more = false;

	if (input->stream->kind == STREAMING_SOURCE_PUSH)
		begun = streaming_snapshot_begin(input);
	else
		begun = begin_buffered(input);
	MemoryContextSwitchTo(old);
	if (max_rows > 0 && max_rows <= STREAMING_FEW_ROWS)
		input->size = STREAMING_SIZE_FEW;
	input->bound = begun;
	if (!begun)
	{
		note_idle(input);
		reset_batch(input);
	}
	return begun;
}

/* All that had come when the batch began has been taken; what has come since waits. */
static void
note_idle(StreamingInput *input)
{
	uint64		none = 0;

	streaming_show_idle(input);
	pg_atomic_write_u64(&input->reader->idle_at, input->seen_changes);
	pg_atomic_write_u64(&input->reader->waits_since, 0);
	pg_memory_barrier();
	if (pg_atomic_read_u64(&input->shared->changes) != input->seen_changes)
		(void) pg_atomic_compare_exchange_u64(&input->reader->waits_since, &none, input->began);
}

void
streaming_input_begin_empty(StreamingInput *input)
{
	Assert(!input->bound);
	input->mode = STREAMING_INPUT_NONE;
	input->done = true;
	input->size = STREAMING_SIZE_FEW;
	input->batch_rows = 0;
	input->batch_more = false;
	input->bound = true;
}

void
streaming_input_end_empty(StreamingInput *input)
{
	streaming_show_idle(input);
	input->bound = false;
	reset_batch(input);
}

void
streaming_input_checkpoint_empty(StreamingInput *input, int64 batch_id)
{
	Assert(input->stream->kind == STREAMING_SOURCE_PUSH);
	streaming_snapshot_checkpoint(input, &input->position, batch_id);
}

void
streaming_input_check_incarnation(StreamingInput *input, int64 incarnation)
{
	if (input->written && incarnation != 0 && incarnation != input->incarnation)
		streaming_topic_report(input->stream, input->incarnation);
}

/* That of the ring; 0: none, or the worker does not know it. */
static int64
ring_incarnation(StreamingInput *input)
{
	int64		incarnation;

	LWLockAcquire(input->shared->lock, LW_SHARED);
	incarnation = input->shared->incarnation;
	LWLockRelease(input->shared->lock);
	return incarnation;
}

static bool
begin_buffered(StreamingInput *input)
{
	int64		incarnation = ring_incarnation(input);
	bool		waits;

	streaming_input_check_incarnation(input, incarnation);
	input->initial = !input->decided;
	if (input->planned && input->planned_retried == 0)
	{
		streaming_source_begin_planned(input);
		return true;
	}
	if (input->initial)
	{
		streaming_source_decide(input);
		return true;
	}

	if (input->has_retried &&
		streaming_retried_begin(input, input->planned_retried > 0 ? input->planned_retried :
								input->max_rows > 0 ? input->max_rows : streaming_batch_rows))
		return true;

	/* A ring that is read from elsewhere is about to go, or our definition is old. */
	LWLockAcquire(input->shared->lock, LW_SHARED);
	waits = input->shared->place != 0 && input->shared->place != input->stream->place;
	LWLockRelease(input->shared->lock);
	if (waits)
		return false;
	if (streaming_buffer_begin(input))
	{
		/* It may have become another ring, of another source. */
		if (ring_incarnation(input) != incarnation)
		{
			input->more = true;
			return false;
		}
		input->batch_incarnation = incarnation;
		streaming_source_leave(input);
		return true;
	}
	/* Nothing new in the ring, or a ring for us is about to be made? */
	LWLockAcquire(input->shared->lock, LW_SHARED);
	waits = input->shared->ingest_latch == NULL ||
		input->shared->state != STREAMING_INGEST_RUNNING ||
		!streaming_columns_subset(&input->columns, &input->shared->columns);
	LWLockRelease(input->shared->lock);
	if (input->reader->mode == STREAMING_INPUT_BUFFER || waits)
	{
		raise_stop_error(input);
		return false;
	}
	if (streaming_source_begin(input))
		return true;
	raise_stop_error(input);
	return false;
}

/* The stream has stopped: say so once everything before has been taken. */
static void
raise_stop_error(StreamingInput *input)
{
	char		message[STREAMING_MESSAGE_LENGTH];
	int			sqlerrcode;
	bool		lost;

	LWLockAcquire(input->shared->lock, LW_SHARED);
	strlcpy(message, input->shared->stop_error, STREAMING_MESSAGE_LENGTH);
	sqlerrcode = input->shared->stop_sqlerrcode;
	lost = input->shared->stop_lost;
	LWLockRelease(input->shared->lock);
	if (message[0] == '\0')
		return;
	if (lost)
		ereport(ERROR,
				(errcode(sqlerrcode),
				 errmsg_internal("%s", message),
				 errhint("Call streaming.reset() to begin the view again where its option \"start\" says.")));
	if (input->stream->on_error != STREAMING_ON_ERROR_STOP)
		return;					/* no longer; the ingest worker will see */
	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("stream %s has stopped at a record that cannot be decoded",
					input->stream->name),
			 errdetail_internal("%s", message),
			 errhint("Set the stream's option on_error to 'reject' or 'null' to go on.")));
}

void
streaming_input_finish(StreamingInput *input)
{
	StreamingInputScan *scan;
	MemoryContext old;

	Assert(input->bound);
	if (input->done)
		return;
	old = MemoryContextSwitchTo(input->batch_context);
	scan = streaming_input_scan_open(input);
	MemoryContextSwitchTo(old);
	while (streaming_input_scan_next(scan) != NULL)
		CHECK_FOR_INTERRUPTS();
	streaming_input_scan_close(scan);
}

int64
streaming_input_end(StreamingInput *input, bool *more)
{
	streaming_input_finish(input);
	input->bound = false;
	*more = input->batch_more;
	return input->batch_rows;
}

void
streaming_scan_done(StreamingInputScan *scan, bool more)
{
	scan->finished = true;
	if (scan->input->sampling)
		scan->input->sampled = scan->rows;
	else
		streaming_input_scanned(scan->input, scan->rows, more);
}

/* The first scan that comes to the end tells the batch's size. */
void
streaming_input_scanned(StreamingInput *input, int64 rows, bool more)
{
	if (input->done)
		return;
	input->done = true;
	input->batch_rows = rows;
	input->batch_more = more;
}

/* Of partitions with offsets; *times: what event time each has come to. */
static int
moved_positions(StreamingInput *input, char ***partitions, char ***positions,
				TimestampTz **times)
{
	const StreamingOffsets *after = &input->after;
	int			n = 0;

	*partitions = palloc(sizeof(char *) * (after->n + 1));
	*positions = palloc(sizeof(char *) * (after->n + 1));
	*times = palloc(sizeof(TimestampTz) * (after->n + 1));
	for (int i = 0; i < after->n; i++)
	{
		if (after->next[i] < 0 ||
			(input->written && streaming_offsets_get(&input->next, i) == after->next[i]))
			continue;
		(*partitions)[n] = psprintf("%d", i);
		(*times)[n] = streaming_partition_time(input, i);
		(*positions)[n++] = streaming_position_out(input->stream->kind, after->next[i]);
	}
	return n;
}

int
streaming_input_positions(StreamingInput *input, char ***partitions, char ***positions)
{
	TimestampTz *times;

	if (input->stream->kind != STREAMING_SOURCE_PUSH && input->retried == 0)
		return moved_positions(input, partitions, positions, &times);
	*partitions = palloc(sizeof(char *));
	*positions = palloc(sizeof(char *));
	if (input->retried > 0)
	{
		(*partitions)[0] = pstrdup(STREAMING_RETRIED_PARTITION);
		(*positions)[0] = psprintf(INT64_FORMAT, input->retried);
		return 1;
	}
	(*partitions)[0] = pstrdup("0");
	(*positions)[0] = streaming_snapshot_position_out(&input->new_position,
													  input->shared->push_identity);
	return 1;
}

void
streaming_input_plan(StreamingInput *input, int n, char *const *partitions,
					 char *const *positions)
{
	MemoryContext old = MemoryContextSwitchTo(input->context);

	input->planned = true;
	for (int i = 0; i < n && input->stream->kind != STREAMING_SOURCE_PUSH; i++)
	{
		StreamingCheckpoint row = {.partition = partitions[i]};

		if (strcmp(partitions[i], STREAMING_RETRIED_PARTITION) == 0)
		{
			input->planned_retried = Max(strtoll(positions[i], NULL, 10), 1);
			continue;
		}
		streaming_offsets_set(&input->planned_end, streaming_checkpoint_partition(&row),
							  streaming_position_in(input->stream->kind, positions[i]));
	}
	if (input->stream->kind == STREAMING_SOURCE_PUSH &&
		!streaming_snapshot_position_in(positions[0], input->shared->push_identity,
										&input->planned_position))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.planned_batches\" is of another stream than %s",
						STREAMING_INTERNAL_SCHEMA, input->stream->name),
				 errhint("Delete the row to let the batch take what there is.")));
	MemoryContextSwitchTo(old);
}

void
streaming_input_checkpoint(StreamingInput *input, int64 batch_id)
{
	char	  **partitions;
	char	  **positions;
	TimestampTz *times;
	int			n;

	if (input->stream->kind == STREAMING_SOURCE_PUSH)
	{
		streaming_snapshot_checkpoint(input, &input->new_position, batch_id);
		return;
	}
	n = moved_positions(input, &partitions, &positions, &times);
	streaming_checkpoint_write(input->view, input->stream->relid, batch_id,
							   input->batch_incarnation, n, partitions, positions, times,
							   &input->checkpoint);
	write_missed(input);
}

/* What a limit has left is not passed yet. */
static void
write_missed(StreamingInput *input)
{
	StreamingMissed *missed = &input->missed;
	int			n = 0;

	for (int i = 0; i < missed->n; i++)
	{
		if (missed->records[i].offset < streaming_offsets_get(&input->after,
															  missed->records[i].partition))
			missed->records[n++] = missed->records[i];
	}
	missed->n = n;
	streaming_missed_write(input->view, input->stream->relid, input->stream->kind, missed);
}

void
streaming_input_committed(StreamingInput *input)
{
	MemoryContext old = MemoryContextSwitchTo(input->context);
	Latch	   *wake = NULL;

	streaming_track_committed(input);
	streaming_show_committed(input);
	if (input->source)
	{
		pg_atomic_fetch_add_u64(&input->shared->rejected_rows, input->source->rejected);
		input->source->rejected = 0;
	}
	if (input->stream->kind == STREAMING_SOURCE_PUSH)
		streaming_snapshot_committed(input);
	else
	{
		streaming_offsets_copy(&input->next, &input->after);
		input->incarnation = input->batch_incarnation;
		input->written = true;
		input->decided = true;
		if (input->mode == STREAMING_INPUT_BUFFER)
			streaming_buffer_advance_reader(input->shared, input->reader, input->place,
											input->place_rows);
		else
		{
			LWLockAcquire(input->shared->lock, LW_EXCLUSIVE);
			input->reader->failing = false;
			if (input->initial)
				wake = input->shared->ingest_latch; /* may wait for this */
			LWLockRelease(input->shared->lock);
		}
	}
	if (wake)
		SetLatch(wake);
	input->more = input->batch_more || input->initial;
	input->initial = false;
	input->planned = false;
	input->planned_retried = 0;
	if (input->more)
		pg_atomic_write_u64(&input->reader->idle_at, 0);
	else
		note_idle(input);
	reset_batch(input);
	MemoryContextSwitchTo(old);
}

void
streaming_input_aborted(StreamingInput *input)
{
	/* What was opened in the transaction has gone with it. */
	input->bound = false;
	input->seek = true;
	pg_atomic_write_u64(&input->reader->batch_rows, 0);
	if (input->source)
		input->source->rejected = 0;
	input->prepared = 0;
	input->seen_changes = 0;
	pg_atomic_write_u64(&input->reader->idle_at, 0);

	LWLockAcquire(input->shared->lock, LW_EXCLUSIVE);
	input->reader->running = false;
	input->reader->failing = true;
	LWLockRelease(input->shared->lock);
	reset_batch(input);
}

static void
reset_batch(StreamingInput *input)
{
	if (input->batch_context)
		MemoryContextDelete(input->batch_context);
	input->batch_context = NULL;
	input->store = NULL;
	input->prepared = 0;
	input->mode = STREAMING_INPUT_NONE;
	input->sampling = false;
	memset(&input->after, 0, sizeof(input->after));
	memset(&input->missed, 0, sizeof(input->missed));
	input->retried = 0;
	memset(&input->batch_times, 0, sizeof(input->batch_times));
	memset(&input->push, 0, sizeof(input->push));
	memset(&input->new_position, 0, sizeof(input->new_position));
	input->range.n = 0;
}

/* ----------
 * Rows
 * ----------
 */

StreamingInput *
streaming_input_bound(Oid relid)
{
	ListCell   *lc;

	foreach(lc, open_inputs)
	{
		StreamingInput *input = lfirst(lc);

		if (input->bound && input->stream->relid == relid)
			return input;
	}
	return NULL;
}

StreamingSize
streaming_input_size(StreamingInput *input)
{
	return input->size;
}

bool
streaming_input_is_pushed(StreamingInput *input)
{
	return input->stream->kind == STREAMING_SOURCE_PUSH;
}

void
streaming_input_begin_sample(StreamingInput *input)
{
	Assert(input->bound && input->mode == STREAMING_INPUT_SNAPSHOT);
	input->size = STREAMING_SIZE_MANY;
	input->sampling = true;
	input->sampled = 0;
}

StreamingSize
streaming_input_end_sample(StreamingInput *input, int64 *groups, int64 *rows)
{
	double		sampled = input->sampled;
	double		repeated = sampled - *groups;

	input->sampling = false;
	if (sampled >= *groups * ROWS_OF_BULK_GROUP)
		input->size = STREAMING_SIZE_BULK;
	*rows = sampled * Max(input->pages, STREAMING_SAMPLE_PAGES) / STREAMING_SAMPLE_PAGES;
	/* of so many groups, as likely as each other, two rows share one so often */
	*groups = Min(*rows, sampled * sampled / (2 * Max(repeated, 1)));
	return input->size;
}

bool
streaming_input_estimate(Oid relid, double *rows)
{
	ListCell   *lc;

	foreach(lc, open_inputs)
	{
		StreamingInput *input = lfirst(lc);

		if (input->stream->relid == relid)
		{
			*rows = rows_of_size[input->size];
			return true;
		}
	}
	return false;
}

/* In CurrentMemoryContext and with the current resource owner. */
StreamingInputScan *
streaming_input_scan_open(StreamingInput *input)
{
	StreamingInputScan *scan = palloc0(sizeof(StreamingInputScan));
	TupleDesc	desc = input->stream->tupdesc;

	Assert(input->bound);
	scan->input = input;
	switch (input->mode)
	{
		case STREAMING_INPUT_NONE:
			break;
		case STREAMING_INPUT_BUFFER:
			scan->stored = streaming_stored_slot_make();
			scan->slot = streaming_shift_slot_make(desc, scan->stored, STREAMING_BUFFER_SHIFT);
			streaming_buffer_scan_open(scan);
			break;
		case STREAMING_INPUT_SOURCE:
			scan->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
			streaming_store_scan_open(scan);
			break;
		case STREAMING_INPUT_SNAPSHOT:
			scan->stored = streaming_stored_slot_make();
			scan->slot = streaming_shift_slot_make(desc, scan->stored, STREAMING_PUSH_SHIFT);
			streaming_snapshot_scan_open(scan);
			break;
	}
	if (scan->slot)
		scan->slot->tts_tableOid = input->stream->relid;
	return scan;
}

TupleTableSlot *
streaming_input_scan_next(StreamingInputScan *scan)
{
	TupleTableSlot *row = NULL;
	MemoryContext old;

	if (scan->finished)
		return NULL;
	/* The executor asks in the memory of a single row. */
	old = MemoryContextSwitchTo(scan->input->batch_context);
	switch (scan->input->mode)
	{
		case STREAMING_INPUT_BUFFER:
			row = streaming_buffer_scan_next(scan);
			break;
		case STREAMING_INPUT_SOURCE:
			row = streaming_store_scan_next(scan);
			break;
		case STREAMING_INPUT_SNAPSHOT:
			row = streaming_snapshot_scan_next(scan);
			break;
		case STREAMING_INPUT_NONE:
			streaming_scan_done(scan, false);
			break;
	}
	MemoryContextSwitchTo(old);
	return row;
}

static void
reset_scan(StreamingInputScan *scan)
{
	switch (scan->input->mode)
	{
		case STREAMING_INPUT_BUFFER:
			streaming_buffer_scan_reset(scan);
			break;
		case STREAMING_INPUT_SOURCE:
			streaming_store_scan_reset(scan);
			break;
		case STREAMING_INPUT_SNAPSHOT:
			streaming_snapshot_scan_reset(scan);
			break;
		case STREAMING_INPUT_NONE:
			break;
	}
	scan->rows = 0;
	scan->finished = false;
}

void
streaming_input_scan_rescan(StreamingInputScan *scan)
{
	reset_scan(scan);
	if (scan->input->rescanned)
		scan->input->rescanned();
}

void
streaming_input_scan_close(StreamingInputScan *scan)
{
	reset_scan(scan);
	if (scan->slot)
		ExecDropSingleTupleTableSlot(scan->slot);
	if (scan->stored)
		ExecDropSingleTupleTableSlot(scan->stored);
	pfree(scan);
}

/* ----------
 * A view is made
 * ----------
 */

/* Rows of segment 1 are gone when another one has taken their table, or nothing has. */
static void
notice_removed(Oid stream, StreamingStreamShared *shared)
{
	uint64		number = streaming_push_current(shared);
	Oid			old = number == 2 ? streaming_push_table(stream, 1) : InvalidOid;
	bool		removed = number > 2;

	if (OidIsValid(old))
	{
		Relation	rel = table_open(old, AccessShareLock);

		removed = RelationGetNumberOfBlocks(rel) == 0;
		table_close(rel, AccessShareLock);
	}
	if (removed)
		ereport(NOTICE,
				(errmsg("the view begins with the rows that stream \"%s\" still has",
						get_rel_name(stream)),
				 errdetail("Rows that were pushed before have been taken by all views there were, and removed."),
				 errhint("The stream's option \"retention\" keeps rows for views that are made later.")));
}

void
streaming_input_initialize(const StreamingView *view, Oid stream)
{
	StreamingSourceKind kind;
	StreamingSnapshotPosition position = {0};
	StreamingStreamShared *shared;
	StreamingPushScan scan = {0};
	bool		earliest;
	char	   *text;
	char	   *partition = "0";

	if (!streaming_is_stream(stream, &kind) || kind != STREAMING_SOURCE_PUSH)
		return;
	earliest = view->start == NULL || strcmp(view->start, "earliest") == 0;
	if (!earliest && strcmp(view->start, "latest") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous view cannot begin at a time in a stream fed by INSERT"),
				 errhint("Set streaming.start to 'earliest' or 'latest'.")));

	shared = streaming_stream_use(stream);
	if (earliest)
		notice_removed(stream, shared);
	streaming_push_scan_lock(&scan, shared, PG_UINT64_MAX);
	if (OidIsValid(scan.tables[1]))
	{
		if (!earliest)
			streaming_snapshot_position_now(&scan, shared, &position);
		text = streaming_snapshot_position_out(&position, shared->push_identity);
		streaming_checkpoint_write(view->view, stream, 0, 0, 1, &partition, &text,
								   NULL, NULL);
	}
	streaming_stream_release(shared);
}
