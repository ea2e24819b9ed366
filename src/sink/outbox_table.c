/*
 * outbox_table.c
 *		Reads and deletes rows of streaming.outbox, for the delivery worker, and
 *		keeps the rows of streaming.deliveries; the only file that knows the
 *		columns of the latter.
 *
 * Both are read through their indexes, without SQL.  Which transactions belong
 * to a delivery is told by its stored snapshot; that their rows are visible, by
 * the active one, which is a later one.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "catalog.h"
#include "index_lookup.h"
#include "sink/outbox_table.h"

/* Columns of streaming.deliveries. */
enum
{
	Anum_stream = 1,
	Anum_home,
	Anum_identity,
	Anum_number,
	Anum_pending,
	Anum_token,
	Anum_snapshot,
	Anum_bound_xid,
	Anum_bound_number,
	Anum_note,
	Anum_messages,
	Anum_bytes,
	Anum_delivered_at,
	_Anum_end
};
#define Natts_deliveries (_Anum_end - 1)
#define Index_of(column) (Anum_##column - 1)

/* A scan of the chunks of a stream in order, of the transactions of a snapshot. */
typedef struct OutboxScan
{
	Relation	table;
	Relation	index;
	SysScanDesc scan;
	bool		same;			/* of the place's transaction, then of later ones */
	Oid			stream;
	StreamingOutboxPlace after;
	Datum		snapshot;
	Datum		values[Natts_outbox];
	bool		isnull[Natts_outbox];
	StreamingOutboxPlace place;
} OutboxScan;

static void begin_part(OutboxScan *scan);

static Relation
open_table(const char *name, LOCKMODE lockmode)
{
	Oid			relid = get_relname_relid(name, streaming_catalog_namespace());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" does not exist", STREAMING_SCHEMA, name)));
	return table_open(relid, lockmode);
}

/* Their rows are read in this order. */
static const AttrNumber outbox_order[] = {
	Anum_outbox_stream, Anum_outbox_xid, Anum_outbox_number
};

static Oid
require_index(Relation table, const AttrNumber *columns, int n)
{
	Oid			index = streaming_find_index(table, columns, n);

	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s.%s\" has no valid primary key", STREAMING_SCHEMA,
						RelationGetRelationName(table)),
				 errhint("Create it again, or wait until the dump that is being restored has made it.")));
	return index;
}

/* ---- The outbox ---- */

Relation
streaming_outbox_table(int lockmode)
{
	return open_table("outbox", lockmode);
}

/* What is behind after. */
static void
scan_begin(OutboxScan *scan, Oid stream, StreamingOutboxPlace after, Datum snapshot,
		   LOCKMODE lockmode)
{
	scan->table = streaming_outbox_table(lockmode);
	scan->index = index_open(require_index(scan->table, outbox_order, lengthof(outbox_order)),
							 AccessShareLock);
	scan->stream = stream;
	scan->after = after;
	scan->snapshot = snapshot;
	scan->same = true;
	begin_part(scan);
}

/*
 * An index scan cannot begin in the middle of a transaction and go on with the
 * next one; two can.
 */
static void
begin_part(OutboxScan *scan)
{
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], Anum_outbox_stream, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(scan->stream));
	ScanKeyInit(&keys[1], Anum_outbox_xid,
				scan->same ? BTEqualStrategyNumber : BTGreaterStrategyNumber,
				scan->same ? F_XID8EQ : F_XID8GT,
				FullTransactionIdGetDatum(FullTransactionIdFromU64(scan->after.xid)));
	ScanKeyInit(&keys[2], Anum_outbox_number, BTGreaterStrategyNumber, F_INT4GT,
				Int32GetDatum(scan->after.number));
	scan->scan = systable_beginscan_ordered(scan->table, scan->index, GetActiveSnapshot(),
											scan->same ? 3 : 2, keys);
}

static HeapTuple
scan_next(OutboxScan *scan)
{
	for (;;)
	{
		HeapTuple	tuple = systable_getnext_ordered(scan->scan, ForwardScanDirection);

		if (tuple == NULL && scan->same)
		{
			systable_endscan_ordered(scan->scan);
			scan->same = false;
			begin_part(scan);
			continue;
		}
		if (tuple == NULL)
			return NULL;
		heap_deform_tuple(tuple, RelationGetDescr(scan->table), scan->values, scan->isnull);
		if (!DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot,
											  scan->values[Index_of_outbox(xid)],
											  scan->snapshot)))
			continue;
		scan->place.xid =
			U64FromFullTransactionId(DatumGetFullTransactionId(scan->values[Index_of_outbox(xid)]));
		scan->place.number = DatumGetInt32(scan->values[Index_of_outbox(number)]);
		return tuple;
	}
}

static void
scan_end(OutboxScan *scan)
{
	systable_endscan_ordered(scan->scan);
	index_close(scan->index, AccessShareLock);
	table_close(scan->table, NoLock);
}

static bool
is_behind(StreamingOutboxPlace place, StreamingOutboxPlace other)
{
	return place.xid > other.xid || (place.xid == other.xid && place.number > other.number);
}

/* Adds the chunk at the scan's place. */
static void
count_chunk(OutboxScan *scan, StreamingOutboxExtent *extent)
{
	extent->chunks++;
	extent->messages += DatumGetInt32(scan->values[Index_of_outbox(messages)]);
	extent->bytes += toast_raw_datum_size(scan->values[Index_of_outbox(data)]) - VARHDRSZ;
	extent->last = scan->place;
}

void
streaming_outbox_look(Oid stream, StreamingOutboxPlace after, Datum snapshot,
					  int64 max_bytes, bool whole, StreamingOutboxExtent *extent)
{
	OutboxScan	scan;
	HeapTuple	tuple;

	memset(extent, 0, sizeof(*extent));
	scan_begin(&scan, stream, after, snapshot, AccessShareLock);
	while (!extent->more && (tuple = scan_next(&scan)) != NULL)
	{
		if (extent->bytes >= max_bytes && (!whole || scan.place.xid != extent->last.xid))
			extent->more = true;
		else
			count_chunk(&scan, extent);
	}
	scan_end(&scan);
}

List *
streaming_outbox_read(Oid stream, StreamingOutboxPlace *after, StreamingOutboxPlace bound,
					  Datum snapshot, int64 max_bytes)
{
	OutboxScan	scan;
	HeapTuple	tuple;
	List	   *chunks = NIL;
	int64		bytes = 0;

	scan_begin(&scan, stream, *after, snapshot, AccessShareLock);
	while (bytes < max_bytes && (tuple = scan_next(&scan)) != NULL)
	{
		struct varlena *stored;
		bytea	   *chunk;

		if (is_behind(scan.place, bound))
			break;
		stored = (struct varlena *) DatumGetPointer(scan.values[Index_of_outbox(data)]);
		chunk = (bytea *) pg_detoast_datum_packed(stored);
		if (chunk == (bytea *) stored)
		{
			chunk = palloc(VARSIZE_ANY(stored));
			memcpy(chunk, stored, VARSIZE_ANY(stored));
		}
		bytes += VARSIZE_ANY(chunk);
		chunks = lappend(chunks, chunk);
		*after = scan.place;
	}
	scan_end(&scan);
	return chunks;
}

void
streaming_outbox_delete(Oid stream, StreamingOutboxPlace after, StreamingOutboxPlace bound,
						Datum snapshot, StreamingOutboxExtent *extent)
{
	OutboxScan	scan;
	HeapTuple	tuple;

	memset(extent, 0, sizeof(*extent));
	scan_begin(&scan, stream, after, snapshot, RowExclusiveLock);
	while ((tuple = scan_next(&scan)) != NULL && !is_behind(scan.place, bound))
	{
		count_chunk(&scan, extent);
		simple_heap_delete(scan.table, &tuple->t_self);
	}
	scan_end(&scan);
}

void
streaming_outbox_delete_copied(Oid stream, Datum snapshot)
{
	OutboxScan	scan;
	HeapTuple	tuple;
	StreamingOutboxPlace begin = {0};

	scan_begin(&scan, stream, begin, snapshot, RowExclusiveLock);
	while ((tuple = scan_next(&scan)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (DatumGetObjectId(scan.values[Index_of_outbox(home)]) != MyDatabaseId)
			simple_heap_delete(scan.table, &tuple->t_self);
	}
	scan_end(&scan);
}

/* The streams of a table whose first column, and index column, is that. */
static List *
streams_of(const char *name)
{
	List	   *streams = NIL;
	Oid			relid = get_relname_relid(name, streaming_catalog_namespace());
	Relation	table;
	Relation	index;
	const AttrNumber first = 1;
	ScanKeyData key;
	Oid			last = InvalidOid;
	bool		found = true;

	/* The extension may be on its way out. */
	table = OidIsValid(relid) ? try_table_open(relid, AccessShareLock) : NULL;
	if (table == NULL)
		return NIL;
	index = index_open(require_index(table, &first, 1), AccessShareLock);

	/* Each step is a descent of the index to the next stream. */
	while (found)
	{
		SysScanDesc scan;
		HeapTuple	tuple;
		bool		isnull;

		ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_OIDGT, ObjectIdGetDatum(last));
		scan = systable_beginscan_ordered(table, index, GetActiveSnapshot(), 1, &key);
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
		found = tuple != NULL;
		if (found)
		{
			last = DatumGetObjectId(heap_getattr(tuple, 1, RelationGetDescr(table), &isnull));
			streams = lappend_oid(streams, last);
		}
		systable_endscan_ordered(scan);
	}
	index_close(index, AccessShareLock);
	table_close(table, NoLock);
	return streams;
}

List *
streaming_outbox_streams(List **idle)
{
	*idle = streams_of("deliveries");
	return streams_of("outbox");
}

/* ---- Deliveries ---- */

/* The row's tuple while the scan is open. */
static SysScanDesc
find_delivery(Relation table, Oid stream, HeapTuple *tuple)
{
	static const AttrNumber columns[] = {Anum_stream};
	Oid			index = streaming_find_index(table, columns, lengthof(columns));
	ScanKeyData key;
	SysScanDesc scan;

	ScanKeyInit(&key, Anum_stream, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(stream));
	scan = systable_beginscan(table, index, OidIsValid(index), NULL, 1, &key);
	*tuple = systable_getnext(scan);
	return scan;
}

static char *
out_uuid(Datum uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, uuid));
}

static Datum
in_uuid(const char *text)
{
	return DirectFunctionCall1(uuid_in, CStringGetDatum(text));
}

StreamingDeliveryRow *
streaming_delivery_read(Oid stream)
{
	Relation	table = open_table("deliveries", AccessShareLock);
	HeapTuple	tuple;
	SysScanDesc scan = find_delivery(table, stream, &tuple);
	StreamingDeliveryRow *row = NULL;

	if (tuple)
	{
		Datum		values[Natts_deliveries];
		bool		isnull[Natts_deliveries];

		heap_deform_tuple(tuple, RelationGetDescr(table), values, isnull);
		row = palloc0(sizeof(StreamingDeliveryRow));
		row->stream = stream;
		row->home = DatumGetObjectId(values[Index_of(home)]);
		row->identity = out_uuid(values[Index_of(identity)]);
		row->number = DatumGetInt64(values[Index_of(number)]);
		row->pending = DatumGetBool(values[Index_of(pending)]);
		if (!isnull[Index_of(token)])
			row->token = out_uuid(values[Index_of(token)]);
		if (!isnull[Index_of(snapshot)])
			row->snapshot = DatumGetCString(DirectFunctionCall1(pg_snapshot_out,
																values[Index_of(snapshot)]));
		if (!isnull[Index_of(bound_xid)])
			row->bound.xid =
				U64FromFullTransactionId(DatumGetFullTransactionId(values[Index_of(bound_xid)]));
		if (!isnull[Index_of(bound_number)])
			row->bound.number = DatumGetInt32(values[Index_of(bound_number)]);
		if (!isnull[Index_of(note)])
			row->note = TextDatumGetCString(values[Index_of(note)]);
		row->messages = DatumGetInt64(values[Index_of(messages)]);
		row->bytes = DatumGetInt64(values[Index_of(bytes)]);
		if (!isnull[Index_of(delivered_at)])
			row->delivered_at = DatumGetTimestampTz(values[Index_of(delivered_at)]);
	}
	systable_endscan(scan);
	table_close(table, NoLock);
	return row;
}

void
streaming_delivery_write(const StreamingDeliveryRow *row, bool insert)
{
	Relation	table = open_table("deliveries", RowExclusiveLock);
	Datum		values[Natts_deliveries] = {0};
	bool		isnull[Natts_deliveries] = {0};
	HeapTuple	tuple;
	HeapTuple	old;
	SysScanDesc scan;

	values[Index_of(stream)] = ObjectIdGetDatum(row->stream);
	values[Index_of(home)] = ObjectIdGetDatum(row->home);
	values[Index_of(identity)] = in_uuid(row->identity);
	values[Index_of(number)] = Int64GetDatum(row->number);
	values[Index_of(pending)] = BoolGetDatum(row->pending);
	isnull[Index_of(token)] = row->token == NULL;
	if (row->token)
		values[Index_of(token)] = in_uuid(row->token);
	isnull[Index_of(snapshot)] = row->snapshot == NULL;
	if (row->snapshot)
		values[Index_of(snapshot)] = DirectFunctionCall1(pg_snapshot_in,
														 CStringGetDatum(row->snapshot));
	isnull[Index_of(bound_xid)] = isnull[Index_of(bound_number)] = !row->pending;
	values[Index_of(bound_xid)] =
		FullTransactionIdGetDatum(FullTransactionIdFromU64(row->bound.xid));
	values[Index_of(bound_number)] = Int32GetDatum(row->bound.number);
	isnull[Index_of(note)] = row->note == NULL;
	if (row->note)
		values[Index_of(note)] = CStringGetTextDatum(row->note);
	values[Index_of(messages)] = Int64GetDatum(row->messages);
	values[Index_of(bytes)] = Int64GetDatum(row->bytes);
	isnull[Index_of(delivered_at)] = row->delivered_at == 0;
	values[Index_of(delivered_at)] = TimestampTzGetDatum(row->delivered_at);

	tuple = heap_form_tuple(RelationGetDescr(table), values, isnull);
	scan = find_delivery(table, row->stream, &old);
	if (insert)
		CatalogTupleInsert(table, tuple);
	else if (old)
		CatalogTupleUpdate(table, &old->t_self, tuple);
	systable_endscan(scan);
	table_close(table, NoLock);
}

char *
streaming_new_uuid(void)
{
	return out_uuid(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
}
