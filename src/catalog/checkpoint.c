/*
 * checkpoint.c
 *		streaming.checkpoints: how far each view has taken each stream.
 *
 * Written with every batch, so not by way of SQL: a row is found by the
 * table's primary key and updated as a catalog's row is, mostly in place of
 * the index (HOT; the table has room on its pages).
 *
 * A row is written by the one worker that holds the view, and deleted by
 * whoever resets or drops it; should they meet, one of them fails with an
 * error and tries again.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
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

static SysScanDesc begin_scan(const StreamingTable *table, Oid view, Oid stream,
							  Snapshot snapshot, ScanKey keys);
static void write_row(const StreamingTable *table, HeapTuple old, Oid view, Oid stream,
					  int64 batch_id, const char *partition, const char *position,
					  TimestampTz event_time, int64 incarnation);

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

void
streaming_checkpoint_write(Oid view, Oid stream, int64 batch_id, int64 incarnation, int n,
						   char *const *partitions, char *const *positions,
						   const TimestampTz *event_times)
{
	StreamingTable table;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool	   *found;

	if (n == 0)
		return;
	found = palloc0(sizeof(bool) * n);
	(void) streaming_table_open(&table, &checkpoints, RowExclusiveLock, false);
	scan = begin_scan(&table, view, stream, NULL, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];
		char	   *partition;

		streaming_table_read(&table, tuple, values, isnull);
		partition = TextDatumGetCString(values[COLUMN_PARTITION - 1]);
		for (int i = 0; i < n; i++)
			if (!found[i] && strcmp(partitions[i], partition) == 0)
			{
				write_row(&table, tuple, view, stream, batch_id, partitions[i], positions[i],
						  event_times ? event_times[i] : DT_NOBEGIN, incarnation);
				found[i] = true;
				break;
			}
		pfree(partition);
	}
	systable_endscan(scan);
	for (int i = 0; i < n; i++)
		if (!found[i])
			write_row(&table, NULL, view, stream, batch_id, partitions[i], positions[i],
					  event_times ? event_times[i] : DT_NOBEGIN, incarnation);
	streaming_table_close(&table, NoLock);
	pfree(found);
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
static void
write_row(const StreamingTable *table, HeapTuple old, Oid view, Oid stream, int64 batch_id,
		  const char *partition, const char *position, TimestampTz event_time, int64 incarnation)
{
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};

	values[COLUMN_VIEW - 1] = ObjectIdGetDatum(view);
	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(stream);
	values[COLUMN_PARTITION - 1] = CStringGetTextDatum(partition);
	values[COLUMN_POSITION - 1] = CStringGetTextDatum(position);
	values[COLUMN_BATCH_ID - 1] = Int64GetDatum(batch_id);
	values[COLUMN_COMMITTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[COLUMN_EVENT_TIME - 1] = TimestampTzGetDatum(event_time);
	values[COLUMN_INCARNATION - 1] = Int64GetDatum(incarnation);
	isnull[COLUMN_EVENT_TIME - 1] = event_time == DT_NOBEGIN;
	streaming_table_write(table, old, values, isnull);
}
