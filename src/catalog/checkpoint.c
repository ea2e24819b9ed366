/*
 * checkpoint.c
 *		streaming.checkpoints: how far each view has taken each stream.
 *
 * Written with every batch, so not by way of SQL: a row is found by the
 * table's primary key and updated as a catalog's row is, mostly in place of
 * the index (HOT; the table has room on its pages).  Who has written it before looks
 * first where that was.
 *
 * A row is written by the one worker that holds the view, and deleted by
 * whoever resets or drops it; should they meet, one of them fails with an
 * error and tries again.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "catalog/catalog_table.h"
#include "catalog/checkpoint.h"
#include "catalog/internal.h"
#include "catalog/view.h"

/* More than any topic has; arrays are as long as the largest number. */
#define MAX_PARTITION	1000000

typedef enum CheckpointColumn
{
	COLUMN_VIEW = 1,
	COLUMN_STREAM,
	COLUMN_PARTITION,
	COLUMN_POSITION,
	COLUMN_BATCH_ID,
	COLUMN_COMMITTED_AT,
	COLUMN_EVENT_TIME,
	COLUMN_INCARNATION
#define COLUMN_COUNT COLUMN_INCARNATION
} CheckpointColumn;

static const StreamingTableColumn columns[COLUMN_COUNT] = {
	{"view", REGCLASSOID},
	{"stream", REGCLASSOID},
	{"partition", TEXTOID},
	{"position", TEXTOID},
	{"batch_id", INT8OID},
	{"committed_at", TIMESTAMPTZOID},
	{"event_time", TIMESTAMPTZOID, true},
	{"incarnation", INT8OID},
};

static StreamingTableDef checkpoints =
{"checkpoints", COLUMN_COUNT, columns, {{COLUMN_VIEW, COLUMN_STREAM}}, .for_users = true};

/* Positions that are being written. */
typedef struct Writing
{
	StreamingTable table;
	Oid			view;
	Oid			stream;
	int64		batch_id;
	int64		incarnation;
	TimestampTz now;
	int			n;
	char	   *const *partitions;
	char	   *const *positions;
	const TimestampTz *event_times; /* NULL: none */
	bool	   *written;
	int			left;			/* that have not been */
} Writing;

static SysScanDesc begin_scan(const StreamingTable *table, Oid view, Oid stream,
							  Snapshot snapshot, ScanKey keys);
static StreamingRowPlace write_row(Writing *writing, HeapTuple old, int i);

/* view Invalid: any.  snapshot NULL: the latest.  keys: room for two. */
static SysScanDesc
begin_scan(const StreamingTable *table, Oid view, Oid stream, Snapshot snapshot, ScanKey keys)
{
	int			n = 0;

	if (OidIsValid(view))
		streaming_table_key(table, &keys[n++], COLUMN_VIEW, BTEqualStrategyNumber, F_OIDEQ,
							ObjectIdGetDatum(view));
	streaming_table_key(table, &keys[n++], COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream));
	return streaming_table_scan(table, OidIsValid(view) ? 0 : -1, snapshot, n, keys);
}

List *
streaming_checkpoint_read(Oid view, Oid stream)
{
	return streaming_checkpoint_read_as_of(view, stream, NULL);
}

List *
streaming_checkpoint_read_as_of(Oid view, Oid stream, Snapshot snapshot)
{
	StreamingTable table;
	ScanKeyData keys[2];
	SysScanDesc scan;
	List	   *result = NIL;
	HeapTuple	tuple;

	(void) streaming_table_open(&table, &checkpoints, AccessShareLock, false);
	scan = begin_scan(&table, view, stream, snapshot, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		StreamingCheckpoint *checkpoint = palloc(sizeof(StreamingCheckpoint));
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		streaming_table_read(&table, tuple, values, isnull);
		checkpoint->view = DatumGetObjectId(values[COLUMN_VIEW - 1]);
		checkpoint->partition = TextDatumGetCString(values[COLUMN_PARTITION - 1]);
		checkpoint->position = TextDatumGetCString(values[COLUMN_POSITION - 1]);
		checkpoint->committed_at = DatumGetTimestampTz(values[COLUMN_COMMITTED_AT - 1]);
		checkpoint->event_time = isnull[COLUMN_EVENT_TIME - 1] ? DT_NOBEGIN :
			DatumGetTimestampTz(values[COLUMN_EVENT_TIME - 1]);
		checkpoint->incarnation = DatumGetInt64(values[COLUMN_INCARNATION - 1]);
		result = lappend(result, checkpoint);
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);
	return result;
}

int32
streaming_checkpoint_partition(const StreamingCheckpoint *row)
{
	char	   *end;
	long		partition;

	errno = 0;
	partition = strtol(row->partition, &end, 10);
	if (errno != 0 || end == row->partition || *end != '\0' || partition < 0 ||
		partition > MAX_PARTITION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.checkpoints\" has a wrong value in column \"partition\": \"%s\"",
						STREAMING_SCHEMA, row->partition)));
	return partition;
}

bool
streaming_checkpoint_read_positions(Oid view, Oid stream, StreamingSourceKind kind,
									StreamingPositions *positions)
{
	List	   *rows = streaming_checkpoint_read(view, stream);
	ListCell   *lc;

	foreach(lc, rows)
	{
		StreamingCheckpoint *row = lfirst(lc);

		streaming_positions_set(positions, streaming_checkpoint_partition(row),
								streaming_position_in(kind, row->position));
	}
	return rows != NIL;
}

int64
streaming_checkpoint_incarnation(Oid view, Oid stream)
{
	List	   *rows = streaming_checkpoint_read(view, stream);

	return rows == NIL ? -1 : ((StreamingCheckpoint *) linitial(rows))->incarnation;
}

/* Writes what is wanted for the partition that old is of.  False: nothing, or it has been. */
static bool
write_wanted(Writing *writing, HeapTuple old, StreamingRowPlace *place)
{
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT];
	char	   *partition;
	int			i;

	streaming_table_read(&writing->table, old, values, isnull);
	partition = TextDatumGetCString(values[COLUMN_PARTITION - 1]);
	for (i = 0; i < writing->n; i++)
	{
		if (!writing->written[i] && strcmp(writing->partitions[i], partition) == 0)
			break;
	}
	pfree(partition);
	if (i < writing->n)
		*place = write_row(writing, old, i);
	return i < writing->n;
}

/* Is it a row of that view and stream?  Anybody's may be where one was written last. */
static bool
is_row_of(const Writing *writing, HeapTuple tuple)
{
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT];

	return streaming_table_try_read(&writing->table, tuple, values, isnull) == NULL &&
		DatumGetObjectId(values[COLUMN_VIEW - 1]) == writing->view &&
		DatumGetObjectId(values[COLUMN_STREAM - 1]) == writing->stream;
}

/* Writes the rows that are where they were written last; the others are forgotten. */
static void
write_known(Writing *writing, StreamingCheckpointPlaces *places)
{
	TupleTableSlot *slot = table_slot_create(writing->table.rel, NULL);

	for (int i = 0; i < places->n && writing->left > 0;)
	{
		HeapTuple	tuple = streaming_table_row_at(&writing->table, &places->rows[i], slot);

		if (tuple == NULL || !is_row_of(writing, tuple))
			places->rows[i] = places->rows[--places->n];
		else
			(void) write_wanted(writing, tuple, &places->rows[i++]);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
add_place(StreamingCheckpointPlaces *places, StreamingRowPlace place)
{
	if (places == NULL)
		return;
	if (places->n == places->allocated)
	{
		int			n = Max(places->allocated * 2, 8);

		places->rows = places->rows ?
			repalloc(places->rows, sizeof(StreamingRowPlace) * n) :
			MemoryContextAlloc(places->context, sizeof(StreamingRowPlace) * n);
		places->allocated = n;
	}
	places->rows[places->n++] = place;
}

static void
write_found(Writing *writing, StreamingCheckpointPlaces *places)
{
	ScanKeyData keys[2];
	SysScanDesc scan = begin_scan(&writing->table, writing->view, writing->stream, NULL, keys);
	HeapTuple	tuple;
	StreamingRowPlace place;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (write_wanted(writing, tuple, &place))
			add_place(places, place);
	}
	systable_endscan(scan);
}

void
streaming_checkpoint_write(Oid view, Oid stream, int64 batch_id, int64 incarnation, int n,
						   char *const *partitions, char *const *positions,
						   const TimestampTz *event_times, StreamingCheckpointPlaces *places)
{
	Writing		writing = {
		.view = view,
		.stream = stream,
		.batch_id = batch_id,
		.incarnation = incarnation,
		.now = GetCurrentTimestamp(),
		.n = n,
		.partitions = partitions,
		.positions = positions,
		.event_times = event_times,
		.left = n,
	};

	if (n == 0)
		return;
	writing.written = palloc0(sizeof(bool) * n);
	(void) streaming_table_open(&writing.table, &checkpoints, RowExclusiveLock, false);
	if (n > 1)
		streaming_table_write_many(&writing.table);
	if (places && places->n > 0)
		write_known(&writing, places);
	if (writing.left > 0)
		write_found(&writing, places);
	for (int i = 0; i < n; i++)
	{
		if (!writing.written[i])
			add_place(places, write_row(&writing, NULL, i));
	}
	streaming_table_close(&writing.table, NoLock);
	pfree(writing.written);
}

void
streaming_reset_later(Oid relid)
{
	StreamingOwnerRights rights;

	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("DELETE FROM streaming.checkpoints WHERE view = %u", relid));
	streaming_owner_rights_end(&rights);
	streaming_catalog_update_view(streaming_catalog_view(relid, false));
}

/* old NULL: a new row. */
static StreamingRowPlace
write_row(Writing *writing, HeapTuple old, int i)
{
	TimestampTz event_time = writing->event_times ? writing->event_times[i] : DT_NOBEGIN;
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};

	values[COLUMN_VIEW - 1] = ObjectIdGetDatum(writing->view);
	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(writing->stream);
	values[COLUMN_PARTITION - 1] = CStringGetTextDatum(writing->partitions[i]);
	values[COLUMN_POSITION - 1] = CStringGetTextDatum(writing->positions[i]);
	values[COLUMN_BATCH_ID - 1] = Int64GetDatum(writing->batch_id);
	values[COLUMN_COMMITTED_AT - 1] = TimestampTzGetDatum(writing->now);
	values[COLUMN_EVENT_TIME - 1] = TimestampTzGetDatum(event_time);
	values[COLUMN_INCARNATION - 1] = Int64GetDatum(writing->incarnation);
	isnull[COLUMN_EVENT_TIME - 1] = event_time == DT_NOBEGIN;
	writing->written[i] = true;
	writing->left--;
	return streaming_table_write(&writing->table, old, values, isnull);
}
