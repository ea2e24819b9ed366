/*
 * checkpoint.c
 *		streaming.checkpoints: how far each view has taken each stream.
 *
 * Written with every batch, so not by way of SQL: a row is found by the
 * table's only index and updated as a catalog's row is, mostly in place of
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
#include "access/skey.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "checkpoint.h"
#include "index_lookup.h"

typedef enum CheckpointColumn
{
	COLUMN_VIEW = 1,
	COLUMN_STREAM,
	COLUMN_PARTITION,
	COLUMN_POSITION,
	COLUMN_BATCH_ID,
	COLUMN_COMMITTED_AT,
	COLUMN_EVENT_TIME
#define COLUMN_COUNT COLUMN_EVENT_TIME
} CheckpointColumn;

static Relation open_table(LOCKMODE mode);
static SysScanDesc begin_scan(Relation rel, Oid view, Oid stream, ScanKey keys);
static void update_row(Relation rel, HeapTuple old, const char *position,
					   TimestampTz event_time, int64 batch_id);
static void insert_row(Relation rel, Oid view, Oid stream, int64 batch_id,
					   const char *partition, const char *position, TimestampTz event_time);

static Relation
open_table(LOCKMODE mode)
{
	Oid			relid = get_relname_relid("checkpoints", streaming_catalog_namespace());

	if (!OidIsValid(relid))
		elog(ERROR, "table %s.checkpoints does not exist", STREAMING_SCHEMA);
	return table_open(relid, mode);
}

/* view Invalid: any.  keys: room for two. */
static SysScanDesc
begin_scan(Relation rel, Oid view, Oid stream, ScanKey keys)
{
	int			n = 0;
	Oid			index = InvalidOid;

	if (OidIsValid(view))
	{
		static const AttrNumber columns[] = {COLUMN_VIEW, COLUMN_STREAM};

		index = streaming_find_index(rel, columns, lengthof(columns));
		ScanKeyInit(&keys[n++], COLUMN_VIEW, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(view));
	}
	ScanKeyInit(&keys[n++], COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	return systable_beginscan(rel, index, OidIsValid(index), NULL, n, keys);
}

List *
streaming_checkpoint_read(Oid view, Oid stream)
{
	Relation	rel = open_table(AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan = begin_scan(rel, view, stream, keys);
	List	   *result = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		StreamingCheckpoint *checkpoint = palloc(sizeof(StreamingCheckpoint));
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, isnull);
		checkpoint->view = DatumGetObjectId(values[COLUMN_VIEW - 1]);
		checkpoint->partition = TextDatumGetCString(values[COLUMN_PARTITION - 1]);
		checkpoint->position = TextDatumGetCString(values[COLUMN_POSITION - 1]);
		checkpoint->committed_at = DatumGetTimestampTz(values[COLUMN_COMMITTED_AT - 1]);
		checkpoint->event_time = isnull[COLUMN_EVENT_TIME - 1] ? DT_NOBEGIN :
			DatumGetTimestampTz(values[COLUMN_EVENT_TIME - 1]);
		result = lappend(result, checkpoint);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
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

		streaming_positions_set(positions, pg_strtoint32(row->partition),
								streaming_position_in(kind, row->position));
	}
	return rows != NIL;
}

void
streaming_checkpoint_write(Oid view, Oid stream, int64 batch_id, int n,
						   char *const *partitions, char *const *positions,
						   const TimestampTz *event_times)
{
	Relation	rel;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool	   *found;

	if (n == 0)
		return;
	found = palloc0(sizeof(bool) * n);
	rel = open_table(RowExclusiveLock);
	scan = begin_scan(rel, view, stream, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		char	   *partition = TextDatumGetCString(heap_getattr(tuple, COLUMN_PARTITION,
																 RelationGetDescr(rel),
																 &isnull));

		for (int i = 0; i < n; i++)
			if (!found[i] && strcmp(partitions[i], partition) == 0)
			{
				update_row(rel, tuple, positions[i],
						   event_times ? event_times[i] : DT_NOBEGIN, batch_id);
				found[i] = true;
				break;
			}
		pfree(partition);
	}
	systable_endscan(scan);
	for (int i = 0; i < n; i++)
		if (!found[i])
			insert_row(rel, view, stream, batch_id, partitions[i], positions[i],
					   event_times ? event_times[i] : DT_NOBEGIN);
	table_close(rel, NoLock);
	pfree(found);
}

static void
update_row(Relation rel, HeapTuple old, const char *position, TimestampTz event_time,
		   int64 batch_id)
{
	Datum		values[COLUMN_COUNT] = {0};
	bool		isnull[COLUMN_COUNT] = {false};
	bool		replace[COLUMN_COUNT] = {false};
	HeapTuple	new;

	values[COLUMN_POSITION - 1] = CStringGetTextDatum(position);
	values[COLUMN_BATCH_ID - 1] = Int64GetDatum(batch_id);
	values[COLUMN_COMMITTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[COLUMN_EVENT_TIME - 1] = TimestampTzGetDatum(event_time);
	isnull[COLUMN_EVENT_TIME - 1] = event_time == DT_NOBEGIN;
	replace[COLUMN_EVENT_TIME - 1] = true;
	replace[COLUMN_POSITION - 1] = true;
	replace[COLUMN_BATCH_ID - 1] = true;
	replace[COLUMN_COMMITTED_AT - 1] = true;
	new = heap_modify_tuple(old, RelationGetDescr(rel), values, isnull, replace);
	CatalogTupleUpdate(rel, &old->t_self, new);
	heap_freetuple(new);
}

static void
insert_row(Relation rel, Oid view, Oid stream, int64 batch_id, const char *partition,
		   const char *position, TimestampTz event_time)
{
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};
	HeapTuple	tuple;

	values[COLUMN_VIEW - 1] = ObjectIdGetDatum(view);
	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(stream);
	values[COLUMN_PARTITION - 1] = CStringGetTextDatum(partition);
	values[COLUMN_POSITION - 1] = CStringGetTextDatum(position);
	values[COLUMN_BATCH_ID - 1] = Int64GetDatum(batch_id);
	values[COLUMN_COMMITTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[COLUMN_EVENT_TIME - 1] = TimestampTzGetDatum(event_time);
	isnull[COLUMN_EVENT_TIME - 1] = event_time == DT_NOBEGIN;
	tuple = heap_form_tuple(RelationGetDescr(rel), values, isnull);
	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
}
