/*
 * stats.c
 *		Monitoring: the functions behind streaming.views, stat_views,
 *		stat_streams and batches.
 *
 * Anybody may call them, as anybody may look at PostgreSQL's own statistics:
 * counts and positions are for all.  Messages can have data in them, and are shown
 * to who may monitor the view or the stream (catalog/view.h).  What is shown may be
 * dropped at this moment; then there is nothing to tell, and that is no error.
 *
 * What is counted in the transactions of batches (streaming_internal.progress, with the
 * totals of stages, and streaming.checkpoints) is read by SQL; here is what only shared memory knows,
 * and how far views are behind.
 *
 * A view's lag is the number of records between its checkpoint and the end of
 * its source as last known, by stream:
 *
 *	Kafka		differences of offsets, by partition.  The ends are the ingest
 *				worker's; NULL as long as it does not know them.  Where offsets
 *				have gaps (transactions, compaction), more than there are.
 *	directory	rows in the buffer that the view has not taken.  NULL while there
 *				are files that have not been read yet: nobody knows how many
 *				records they have.
 *	pushed		rows that are committed and not taken, counted when asked: as
 *				expensive as reading the rows that wait.
 *
 * In seconds it is the time that the oldest of them has been waiting, at most: since
 * something came after the reader had taken all there was (shmem.h), since the
 * ingest worker was last known to be at an end, or since the view failed first.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "stats.h"
#include "catalog/view.h"
#include "catalog/checkpoint.h"
#include "input/input.h"
#include "push/follow.h"
#include "query/program.h"
#include "catalog/read_columns.h"
#include "shared/shmem.h"
#include "sink/outbox.h"
#include "shared/sink_slots.h"
#include "source/source.h"
#include "source/topic_numbers.h"
#include "shared/slots.h"
#include "push/source_push.h"

/* Records rejected one after the other that are trouble, where there were good ones before. */
#define MANY_REJECTED	100

PG_FUNCTION_INFO_V1(streaming_view_status);
PG_FUNCTION_INFO_V1(streaming_view_lag);
PG_FUNCTION_INFO_V1(streaming_view_lag_seconds);
PG_FUNCTION_INFO_V1(streaming_batches);
PG_FUNCTION_INFO_V1(streaming_stream_partitions);
PG_FUNCTION_INFO_V1(streaming_sink_status);

static void find_status(Oid view, StreamingViewStatus *status, char *error);
static bool lacks_something(Oid relid, char *error);
static bool sink_is_in_trouble(Oid sink, char *error);
static bool source_is_in_trouble(Oid stream, char *error);
static void explain_trouble(const char *what, Oid relid, const char *trouble, const char *shown,
							char *error);
static bool find_running_since(Oid view, TimestampTz *since);
static bool has_worker(Oid dboid, StreamingWorkerType type, Oid stream);
static bool push_lag(Oid view, Oid stream, int64 *lag);
static bool kafka_lag(Oid view, Oid stream, StreamingStreamStats *stats, int64 *lag);
static bool directory_lag(Oid view, Oid stream, StreamingStreamStats *stats, int64 *lag);
static Datum batch_phases(const StreamingBatchResult *batch);
static const char *stream_error(Oid stream, StreamingSourceKind kind,
								const StreamingStreamStats *stats);
static const char *all_rejected(const StreamingStreamStats *stats);
static Datum absent_columns(Oid stream, const StreamingStreamStats *stats);
static void put_partition(ReturnSetInfo *rsinfo, Oid stream, StreamingSourceKind kind,
						  const StreamingStreamStats *stats, int index, const char *error,
						  const char *name);

/* ---- Views ---- */

/*
 * streaming_internal.view_status(view oid, enabled boolean, out status text,
 * out last_error text, out running_since timestamptz).  On a standby all views
 * are paused.
 */
Datum
streaming_view_status(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {
		[STREAMING_VIEW_RUNNING] = "running",
		[STREAMING_VIEW_RETRYING] = "retrying",
		[STREAMING_VIEW_FAILED] = "failed",
		[STREAMING_VIEW_WAITING] = "waiting",
	};
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false, true, true};
	Oid			view = PG_GETARG_OID(0);
	const char *damage = streaming_catalog_damage(view);
	char		error[STREAMING_ERROR_LENGTH] = "";
	TimestampTz running_since = 0;
	StreamingViewStatus status = STREAMING_VIEW_RUNNING;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (damage)
	{
		values[0] = CStringGetTextDatum(names[STREAMING_VIEW_FAILED]);
		strlcpy(error, damage, STREAMING_ERROR_LENGTH);
	}
	else if (!PG_GETARG_BOOL(1) || RecoveryInProgress())
		values[0] = CStringGetTextDatum("paused");
	else
	{
		find_status(view, &status, error);
		if (status == STREAMING_VIEW_RUNNING && lacks_something(view, error))
			status = STREAMING_VIEW_WAITING;
		values[0] = CStringGetTextDatum(names[status]);
	}
	if (find_running_since(view, &running_since))
	{
		values[2] = TimestampTzGetDatum(running_since);
		nulls[2] = false;
	}
	if (error[0] && streaming_may_monitor(view))
	{
		values[1] = CStringGetTextDatum(error);
		nulls[1] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * The view runs; does it get and give nothing since a source or its sink is in
 * trouble?  Then error says so.
 */
static bool
lacks_something(Oid relid, char *error)
{
	StreamingView *view = streaming_catalog_view(relid, true);
	ListCell   *lc;

	if (view == NULL || streaming_slots == NULL)
		return false;
	if (OidIsValid(view->sink.relid) && sink_is_in_trouble(view->sink.relid, error))
		return true;
	foreach(lc, streaming_catalog_inputs(view->definition))
	{
		if (source_is_in_trouble(lfirst_oid(lc), error))
			return true;
	}
	return false;
}

static bool
sink_is_in_trouble(Oid sink, char *error)
{
	char		trouble[STREAMING_SINK_ERROR_LENGTH] = "";
	StreamingSinkSlot *slot;
	Oid			behind;

	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	slot = streaming_sink_slot(sink, false);
	if (slot && slot->status != STREAMING_SINK_RUNNING)
		strlcpy(trouble, slot->last_error, sizeof(trouble));
	LWLockRelease(streaming_sinks->lock);
	if (trouble[0])
		explain_trouble("sink", sink, trouble, "streaming.stat_sinks", error);
	else if (OidIsValid(behind = streaming_push_behind(sink)))
		snprintf(error, STREAMING_ERROR_LENGTH,
				 "waits for continuous view \"%s\", which is more than streaming.push_limit (%d kB) behind in its sink \"%s\"",
				 get_rel_name(behind), streaming_push_limit, get_rel_name(sink));
	else if (streaming_outbox_full(sink))
		snprintf(error, STREAMING_ERROR_LENGTH,
				 "waits for its sink \"%s\": more than streaming.outbox_size (%d kB) is not delivered yet",
				 get_rel_name(sink), streaming_outbox_size);
	return error[0] != '\0';
}

static bool
source_is_in_trouble(Oid stream, char *error)
{
	StreamingSourceKind kind;
	StreamingStreamStats *stats;
	const char *trouble;

	if (!streaming_is_stream(stream, &kind) || kind == STREAMING_SOURCE_PUSH)
		return false;
	stats = palloc(sizeof(StreamingStreamStats));
	(void) streaming_stream_stats(stream, stats);
	trouble = stream_error(stream, kind, stats);
	if (trouble)
		explain_trouble("source", stream, trouble, "streaming.stat_streams", error);
	pfree(stats);
	return trouble != NULL;
}

/* The words of the trouble are for who would see them in the view named shown, too. */
static void
explain_trouble(const char *what, Oid relid, const char *trouble, const char *shown, char *error)
{
	if (streaming_may_monitor(relid))
		trouble = psprintf("waits for its %s \"%s\": %s", what, get_rel_name(relid), trouble);
	else
		trouble = psprintf("waits for its %s \"%s\"\nHINT:  The owner of \"%s\" sees why in %s.",
						   what, get_rel_name(relid), get_rel_name(relid), shown);
	strlcpy(error, trouble, pg_mbcliplen(trouble, strlen(trouble), STREAMING_ERROR_LENGTH - 1) + 1);
}

/* False: no batch of view is under way. */
static bool
find_running_since(Oid view, TimestampTz *since)
{
	bool		found = false;

	if (streaming_slots == NULL)
		return false;
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	for (int i = 0; i < streaming_slots->nworkers && !found; i++)
	{
		StreamingWorkerSlot *worker = &streaming_worker_slots[i];

		found = worker->state == STREAMING_WORKER_RUNNING && worker->dboid == MyDatabaseId &&
			worker->view_slot >= 0 && streaming_view_slots[worker->view_slot].view == view;
		if (found)
			*since = worker->busy_at;
	}
	LWLockRelease(streaming_slots->lock);
	return found;
}

/* Of an enabled view.  error: of STREAMING_ERROR_LENGTH, empty. */
static void
find_status(Oid view, StreamingViewStatus *status, char *error)
{
	int			index;
	StreamingDatabaseSlot *database;

	if (streaming_slots == NULL)
	{
		*status = STREAMING_VIEW_FAILED;
		strlcpy(error, "streaming is not loaded by shared_preload_libraries",
				STREAMING_ERROR_LENGTH);
		return;
	}
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	index = streaming_view_slot_find(MyDatabaseId, view);
	database = streaming_database_slot(MyDatabaseId, false);
	if (!has_worker(MyDatabaseId, STREAMING_COORDINATOR, InvalidOid))
	{
		*status = STREAMING_VIEW_WAITING;
		strlcpy(error, database && database->last_error[0] ? database->last_error :
				"the streaming coordinator of this database does not run",
				STREAMING_ERROR_LENGTH);
	}
	else if (index >= 0)
	{
		*status = streaming_view_slots[index].status;
		strlcpy(error, streaming_view_slots[index].last_error, STREAMING_ERROR_LENGTH);
	}
	else if (database && database->last_error[0])
	{
		/* It has no slot since there are too many. */
		*status = STREAMING_VIEW_WAITING;
		strlcpy(error, database->last_error, STREAMING_ERROR_LENGTH);
	}
	LWLockRelease(streaming_slots->lock);
}

/* Caller holds the lock. */
static bool
has_worker(Oid dboid, StreamingWorkerType type, Oid stream)
{
	for (int i = 0; i < streaming_slots->nworkers; i++)
	{
		StreamingWorkerSlot *slot = &streaming_worker_slots[i];

		if (slot->state != STREAMING_WORKER_FREE && slot->dboid == dboid &&
			slot->type == type && slot->stream == stream)
			return true;
	}
	return false;
}

/* streaming_internal.view_lag(view oid) returns bigint; NULL: unknown */
Datum
streaming_view_lag(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	int64		sum = 0;
	StreamingView *row;
	ListCell   *lc;

	if (streaming_slots == NULL || streaming_catalog_damage(view))
		PG_RETURN_NULL();
	foreach(lc, streaming_catalog_streams_of_view(view))
	{
		Oid			stream = lfirst_oid(lc);
		StreamingView *upstream;
		StreamingSourceKind kind;
		int64		lag;

		if (streaming_catalog_damage(stream))
			PG_RETURN_NULL();
		upstream = streaming_catalog_view(stream, true);
		if (upstream)
			stream = get_relname_relid(streaming_change_stream_name(upstream->id),
									   streaming_internal_namespace());
		if (!streaming_is_stream(stream, &kind) || !streaming_stream_lag(view, stream, kind, &lag))
			PG_RETURN_NULL();
		sum += lag;
	}
	row = streaming_catalog_view(view, true);
	foreach(lc, row ? row->tables : NIL)
	{
		Oid			stream = streaming_follow_stream(lfirst_oid(lc));
		int64		lag;

		if (!OidIsValid(stream) || !push_lag(view, stream, &lag))
			PG_RETURN_NULL();
		sum += lag;
	}
	PG_RETURN_INT64(sum);
}

/* ---- Lag ---- */

/*
 * streaming_internal.view_lag_seconds(view oid) returns float8; NULL: nothing waits,
 * or nobody runs the view who would know.  Who has failed may have closed the
 * view, and lost what its reader knew.
 */
Datum
streaming_view_lag_seconds(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	StreamingTime since = streaming_view_waits_since(view);
	int			index;

	if (streaming_slots == NULL)
		PG_RETURN_NULL();
	LWLockAcquire(streaming_slots->lock, LW_SHARED);
	index = streaming_view_slot_find(MyDatabaseId, view);
	if (index >= 0 && streaming_view_slots[index].failures > 0)
	{
		StreamingTime failing = streaming_view_slots[index].failing_since;

		since = since > 0 ? Min(since, failing) : failing;
	}
	LWLockRelease(streaming_slots->lock);
	if (since == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(Max(streaming_now() - since, 0) / 1000000.0);
}

bool
streaming_stream_lag(Oid view, Oid stream, StreamingSourceKind kind, int64 *lag)
{
	StreamingStreamStats stats;

	if (kind == STREAMING_SOURCE_PUSH)
		return push_lag(view, stream, lag);
	if (!streaming_stream_stats(stream, &stats))
		return false;
	return kind == STREAMING_SOURCE_KAFKA ? kafka_lag(view, stream, &stats, lag) :
		directory_lag(view, stream, &stats, lag);
}

static bool
push_lag(Oid view, Oid stream, int64 *lag)
{
	*lag = streaming_input_push_lag(view, stream);
	return *lag >= 0;
}

static bool
kafka_lag(Oid view, Oid stream, StreamingStreamStats *stats, int64 *lag)
{
	StreamingPositions taken;

	streaming_positions_init(&taken);
	if (stats->npartitions == 0 || stats->nhidden > 0 ||
		!streaming_checkpoint_read_positions(view, stream, STREAMING_SOURCE_KAFKA, &taken))
		return false;
	*lag = 0;
	for (int i = 0; i < stats->npartitions; i++)
	{
		StreamingPartitionStats *partition = &stats->partitions[i];
		int64		offset = streaming_positions_get(&taken, partition->partition);

		if (partition->end < 0)
			return false;
		*lag += Max(partition->end - Max(offset, 0), 0);
	}
	return true;
}

static bool
directory_lag(Oid view, Oid stream, StreamingStreamStats *stats, int64 *lag)
{
	StreamingPositions taken;
	int64		end = stats->npartitions > 0 ? stats->partitions[0].end : -1;

	streaming_positions_init(&taken);
	if (end < 0)
		return false;
	*lag = 0;
	if (streaming_checkpoint_read_positions(view, stream, STREAMING_SOURCE_DIRECTORY, &taken) &&
		streaming_positions_get(&taken, 0) >= end)
		return true;
	*lag = streaming_reader_lag(view, stream);
	return *lag >= 0 && stats->partitions[0].position >= end;
}

/* ---- Batches ---- */

/*
 * streaming_internal.batches(): the last batches of the views of this database,
 * newest first for each view.
 */
Datum
streaming_batches(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	StreamingBatchResult *batches;

	InitMaterializedSRF(fcinfo, 0);
	if (streaming_slots == NULL)
		return (Datum) 0;
	batches = palloc(sizeof(StreamingBatchResult) * streaming_slots->nbatches);

	for (int i = 0; i < streaming_slots->nviews; i++)
	{
		Oid			view;
		int			n = 0;

		LWLockAcquire(streaming_slots->lock, LW_SHARED);
		view = streaming_view_slots[i].view;
		if (streaming_view_slots[i].dboid == MyDatabaseId)
			n = streaming_view_slot_batches(i, batches);
		LWLockRelease(streaming_slots->lock);

		for (int k = 0; k < n; k++)
		{
			StreamingBatchResult *batch = &batches[k];
			Datum		values[8];
			bool		nulls[8] = {0};

			values[0] = ObjectIdGetDatum(view);
			values[1] = Int64GetDatum(batch->batch_id);
			values[2] = TimestampTzGetDatum(batch->started_at);
			values[3] = Float8GetDatum(batch->duration_ms);
			values[4] = Int64GetDatum(batch->input_rows);
			values[5] = Int64GetDatum(batch->output_rows);
			values[6] = Float8GetDatum(batch->input_rows * 1000.0 / Max(batch->duration_ms, 0.001));
			values[7] = batch_phases(batch);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

static Datum
batch_phases(const StreamingBatchResult *batch)
{
	char	   *json = psprintf("{\"read\": %.3f, \"merge\": %.3f, \"write\": %.3f, \"commit\": %.3f}",
								batch->read_ms, batch->merge_ms, batch->write_ms,
								batch->commit_ms);

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

/* ---- Streams ---- */

/*
 * streaming_internal.stream_partitions(stream oid): a row per partition; one
 * with NULL for those that are not shown one by one, or for a stream of which
 * no partition is known.
 */
Datum
streaming_stream_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			stream = PG_GETARG_OID(0);
	StreamingSourceKind kind;
	StreamingStreamStats stats = {0};
	StreamingTopicPartition *parts = NULL;
	int			nparts = 0;
	const char *error;

	InitMaterializedSRF(fcinfo, 0);
	if (!streaming_is_stream(stream, &kind))
		return (Datum) 0;
	if (streaming_slots)
		(void) streaming_stream_stats(stream, &stats);
	error = streaming_may_monitor(stream) ? stream_error(stream, kind, &stats) : NULL;
	if (kind == STREAMING_SOURCE_KAFKA && streaming_may_monitor(stream))
		parts = streaming_topic_numbers_read(stream, &nparts);

	for (int i = 0; i < stats.npartitions; i++)
	{
		int32		number = stats.partitions[i].partition;

		put_partition(rsinfo, stream, kind, &stats, i, error, number >= nparts ? NULL :
					  psprintf("%s:%d", parts[number].topic, parts[number].mark.partition));
	}
	if (stats.npartitions == 0 || stats.nhidden > 0)
		put_partition(rsinfo, stream, kind, &stats, -1, error, NULL);
	return (Datum) 0;
}

static const char *
stream_error(Oid stream, StreamingSourceKind kind, const StreamingStreamStats *stats)
{
	const char *trouble = NULL;

	if (stats->last_error[0])
		return stats->last_error;
	if (streaming_slots && kind != STREAMING_SOURCE_PUSH)
		trouble = streaming_ingest_trouble(stream);
	return trouble ? trouble : all_rejected(stats);
}

/* One bad record among good ones is no trouble of the stream's. */
static const char *
all_rejected(const StreamingStreamStats *stats)
{
	if (stats->rows_read == 0 && stats->rejected_since_row > 0)
		return psprintf("all of its %lld records so far have been rejected: %s",
						(long long) stats->rejected_since_row, stats->reject_error);
	if (stats->rejected_since_row >= MANY_REJECTED)
		return psprintf("its last %lld records have been rejected, all of them: %s",
						(long long) stats->rejected_since_row, stats->reject_error);
	return NULL;
}

/* index -1: of no partition that is shown.  name: what Kafka calls it, or NULL. */
static void
put_partition(ReturnSetInfo *rsinfo, Oid stream, StreamingSourceKind kind,
			  const StreamingStreamStats *stats, int index, const char *error,
			  const char *name)
{
	const StreamingPartitionStats *partition = &stats->partitions[Max(index, 0)];
	Datum		values[10];
	bool		nulls[10] = {0};

	nulls[0] = nulls[1] = index < 0;
	nulls[2] = index < 0 || partition->end < 0;
	if (!nulls[0])
	{
		values[0] = CStringGetTextDatum(psprintf("%d", partition->partition));
		values[1] = CStringGetTextDatum(streaming_position_out(kind, partition->position));
	}
	if (!nulls[2])
		values[2] = CStringGetTextDatum(streaming_position_out(kind, partition->end));

	/*
	 * Offsets of a directory do not tell how many records lie between them;
	 * pushed rows are in their buffer at once.
	 */
	nulls[3] = index < 0 ? stats->nhidden == 0 && kind != STREAMING_SOURCE_PUSH : nulls[2];
	if (index < 0)
		values[3] = Int64GetDatum(stats->hidden_lag);
	else if (!nulls[3])
	{
		int64		distance = Max(partition->end - partition->position, 0);

		values[3] = Int64GetDatum(distance);
		if (kind == STREAMING_SOURCE_DIRECTORY && distance > 0)
			nulls[3] = true;
	}
	/* They are the stream's: on one of its rows, so that sums are right. */
	nulls[4] = nulls[5] = nulls[6] = index > 0 || (index < 0 && stats->npartitions > 0);
	values[4] = Int64GetDatum(stats->rows_read);
	values[5] = Int64GetDatum(stats->bytes_read);
	values[6] = Int64GetDatum(stats->rejected_rows);
	values[7] = absent_columns(stream, stats);
	nulls[7] = nulls[4] || values[7] == (Datum) 0;
	nulls[8] = error == NULL;
	if (error)
		values[8] = CStringGetTextDatum(error);
	nulls[9] = name == NULL;
	if (name)
		values[9] = CStringGetTextDatum(name);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Names of those that are still there, as text[]; 0: there are none. */
static Datum
absent_columns(Oid stream, const StreamingStreamStats *stats)
{
	Bitmapset  *absent = streaming_columns_bitmap(&stats->absent);
	Datum	   *names = palloc(sizeof(Datum) * bms_num_members(absent));
	int			nnames = 0;
	int			attnum = 0;

	while ((attnum = bms_next_member(absent, attnum)) >= 0)
	{
		char	   *name = get_attname(stream, attnum, true);

		if (name)
			names[nnames++] = CStringGetTextDatum(name);
	}
	if (nnames == 0)
		return (Datum) 0;
	return PointerGetDatum(construct_array(names, nnames, TEXTOID, -1, false, TYPALIGN_INT));
}

/* ---- Sinks ---- */

/*
 * streaming_internal.sink_status(stream oid, out pending_rows bigint, out
 * pending_bytes bigint, out status text, out last_error text)
 */
Datum
streaming_sink_status(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {
		[STREAMING_SINK_RUNNING] = "running",
		[STREAMING_SINK_RETRYING] = "retrying",
		[STREAMING_SINK_FAILED] = "failed",
	};
	TupleDesc	desc;
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, false, true};
	char		error[STREAMING_SINK_ERROR_LENGTH] = "";
	const char *status = "idle";
	StreamingSinkSlot *slot;
	bool		attended = false;
	int64		messages = 0;
	int64		bytes = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	streaming_require_loaded();
	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	slot = streaming_sink_slot(PG_GETARG_OID(0), false);
	if (slot && slot->latch)
	{
		streaming_sink_pending(slot, &messages, &bytes);
		status = names[slot->status];
		strlcpy(error, slot->last_error, sizeof(error));
		nulls[0] = nulls[1] = !slot->counted;
		attended = true;
	}
	LWLockRelease(streaming_sinks->lock);
	if (!attended)
	{
		StreamingDatabaseSlot *database;

		LWLockAcquire(streaming_slots->lock, LW_SHARED);
		database = streaming_database_slot(MyDatabaseId, false);
		if (database && database->full)
			strlcpy(error, STREAMING_FULL_MESSAGE, sizeof(error));
		LWLockRelease(streaming_slots->lock);
	}
	values[0] = Int64GetDatum(messages);
	values[1] = Int64GetDatum(bytes);
	values[2] = CStringGetTextDatum(status);
	nulls[3] = error[0] == '\0' || !streaming_may_monitor(PG_GETARG_OID(0));
	if (!nulls[3])
		values[3] = CStringGetTextDatum(error);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
