/*
 * outbox_table.c
 *		Reads and deletes rows of streaming_internal.outbox, for the delivery worker, and
 *		keeps the rows of streaming_internal.outbox_transactions and streaming_internal.deliveries;
 *		the only file that knows the columns of these two.
 *
 * They are read through their indexes, without SQL.  Which transactions belong
 * to a delivery is told by its stored snapshot; that their rows are visible, by
 * the active one, which is a later one.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "sink/outbox_table.h"

/* Columns of streaming_internal.outbox_transactions. */
enum
{
	Anum_transaction_stream = 1,
	Anum_transaction_place,
	Anum_transaction_xid,
	Anum_transaction_home,
	_Anum_transaction_end
};
#define Natts_transactions (_Anum_transaction_end - 1)

/* Columns of streaming_internal.deliveries. */
enum
{
	Anum_stream = 1,
	Anum_home,
	Anum_identity,
	Anum_number,
	Anum_pending,
	Anum_token,
	Anum_snapshot,
	Anum_bound_place,
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

static const StreamingTableColumn outbox_columns[Natts_outbox] = {
	{"stream", REGCLASSOID},
	{"xid", XID8OID},
	{"number", INT4OID},
	{"messages", INT4OID},
	{"data", BYTEAOID},
};

static StreamingTableDef outbox_table =
{
	"outbox", Natts_outbox, outbox_columns,
	{{Anum_outbox_stream, Anum_outbox_xid, Anum_outbox_number}}
};

static const StreamingTableColumn transactions_columns[Natts_transactions] = {
	{"stream", REGCLASSOID},
	{"place", PG_LSNOID},
	{"xid", XID8OID},
	{"home", OIDOID},
};

static StreamingTableDef transactions_table =
{
	"outbox_transactions", Natts_transactions, transactions_columns,
	{{Anum_transaction_stream, Anum_transaction_place, Anum_transaction_xid}}
};

static const StreamingTableColumn deliveries_columns[Natts_deliveries] = {
	{"stream", REGCLASSOID},
	{"home", OIDOID},
	{"identity", UUIDOID},
	{"number", INT8OID},
	{"pending", BOOLOID},
	{"token", UUIDOID, true},
	{"snapshot", PG_SNAPSHOTOID, true},
	{"bound_place", PG_LSNOID, true},
	{"bound_xid", XID8OID, true},
	{"bound_number", INT4OID, true},
	{"note", TEXTOID, true},
	{"messages", INT8OID},
	{"bytes", INT8OID},
	{"delivered_at", TIMESTAMPTZOID, true},
};

static StreamingTableDef deliveries_table =
{"deliveries", Natts_deliveries, deliveries_columns, {{Anum_stream}}};

/* Of both, all that counts for who wants to know which streams there are. */
static StreamingTableDef outbox_streams = {"outbox_transactions", 1, transactions_columns, {{1}}};
static StreamingTableDef deliveries_streams = {"deliveries", 1, deliveries_columns, {{1}}};

/*
 * A scan of the chunks of a stream in order: of the transactions of a snapshot, and
 * of the chunks of each.
 */
typedef struct OutboxScan
{
	StreamingTable transactions;
	StreamingTable chunks;
	Relation	transactions_index;
	Relation	chunks_index;
	SysScanDesc scan;			/* of transactions */
	SysScanDesc chunk_scan;		/* of the chunks of one; NULL: between two */
	Oid			stream;
	StreamingOutboxPlace after;
	Datum		snapshot;
	HeapTuple	transaction;
	Oid			home;			/* of it */
	Datum		values[Natts_outbox];	/* of the chunk */
	bool		isnull[Natts_outbox];
	StreamingOutboxPlace place; /* of the chunk; before the first: number 0 */
} OutboxScan;

/* ---- The outbox ---- */

void
streaming_outbox_table_open(StreamingTable *table, int lockmode)
{
	(void) streaming_table_open(table, &outbox_table, lockmode, false);
}

void
streaming_outbox_write_transaction(Oid stream, XLogRecPtr lsn)
{
	StreamingTable table;
	Datum		values[Natts_transactions];
	bool		isnull[Natts_transactions] = {false};

	values[Anum_transaction_stream - 1] = ObjectIdGetDatum(stream);
	values[Anum_transaction_place - 1] = LSNGetDatum(lsn);
	values[Anum_transaction_xid - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[Anum_transaction_home - 1] = ObjectIdGetDatum(MyDatabaseId);
	(void) streaming_table_open(&table, &transactions_table, RowExclusiveLock, false);
	streaming_table_write(&table, NULL, values, isnull);
	streaming_table_close(&table, NoLock);
}

/* What is behind after. */
static void
scan_begin(OutboxScan *scan, Oid stream, StreamingOutboxPlace after, Datum snapshot,
		   LOCKMODE lockmode)
{
	ScanKeyData keys[2];

	(void) streaming_table_open(&scan->transactions, &transactions_table, lockmode, false);
	streaming_outbox_table_open(&scan->chunks, lockmode);
	scan->transactions_index = streaming_table_index(&scan->transactions, 0);
	scan->chunks_index = streaming_table_index(&scan->chunks, 0);
	scan->chunk_scan = NULL;
	scan->stream = stream;
	scan->after = after;
	scan->snapshot = snapshot;
	streaming_table_key(&scan->transactions, &keys[0], Anum_transaction_stream,
						BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(stream));
	streaming_table_key(&scan->transactions, &keys[1], Anum_transaction_place,
						BTGreaterEqualStrategyNumber, F_PG_LSN_GE, LSNGetDatum(after.lsn));
	scan->scan = systable_beginscan_ordered(scan->transactions.rel, scan->transactions_index,
											GetActiveSnapshot(), 2, keys);
}

/* False: there is no other one. */
static bool
next_transaction(OutboxScan *scan)
{
	while ((scan->transaction = systable_getnext_ordered(scan->scan, ForwardScanDirection)) != NULL)
	{
		Datum		values[Natts_transactions];
		bool		isnull[Natts_transactions];
		Datum		xid;

		streaming_table_read(&scan->transactions, scan->transaction, values, isnull);
		xid = values[Anum_transaction_xid - 1];
		scan->home = DatumGetObjectId(values[Anum_transaction_home - 1]);
		scan->place.lsn = DatumGetLSN(values[Anum_transaction_place - 1]);
		scan->place.xid = U64FromFullTransactionId(DatumGetFullTransactionId(xid));
		scan->place.number = 0;
		if (scan->place.lsn == scan->after.lsn && scan->place.xid < scan->after.xid)
			continue;
		if (DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot, xid, scan->snapshot)))
			return true;
	}
	return false;
}

static void
begin_chunks(OutboxScan *scan)
{
	ScanKeyData keys[3];
	bool		same = scan->place.lsn == scan->after.lsn && scan->place.xid == scan->after.xid;

	streaming_table_key(&scan->chunks, &keys[0], Anum_outbox_stream, BTEqualStrategyNumber,
						F_OIDEQ, ObjectIdGetDatum(scan->stream));
	streaming_table_key(&scan->chunks, &keys[1], Anum_outbox_xid, BTEqualStrategyNumber, F_XID8EQ,
						FullTransactionIdGetDatum(FullTransactionIdFromU64(scan->place.xid)));
	streaming_table_key(&scan->chunks, &keys[2], Anum_outbox_number, BTGreaterStrategyNumber,
						F_INT4GT, Int32GetDatum(same ? scan->after.number : 0));
	scan->chunk_scan = systable_beginscan_ordered(scan->chunks.rel, scan->chunks_index,
												  GetActiveSnapshot(), 3, keys);
}

/* Of the transaction the scan is at; NULL: no more. */
static HeapTuple
next_chunk(OutboxScan *scan)
{
	HeapTuple	tuple;

	if (scan->chunk_scan == NULL)
		begin_chunks(scan);
	tuple = systable_getnext_ordered(scan->chunk_scan, ForwardScanDirection);
	if (tuple)
	{
		streaming_table_read(&scan->chunks, tuple, scan->values, scan->isnull);
		scan->place.number = DatumGetInt32(scan->values[Index_of_outbox(number)]);
		return tuple;
	}
	systable_endscan_ordered(scan->chunk_scan);
	scan->chunk_scan = NULL;
	return NULL;
}

/* Of any transaction. */
static HeapTuple
scan_next(OutboxScan *scan)
{
	while (scan->chunk_scan || next_transaction(scan))
	{
		HeapTuple	tuple = next_chunk(scan);

		if (tuple)
			return tuple;
	}
	return NULL;
}

static void
scan_end(OutboxScan *scan)
{
	if (scan->chunk_scan)
		systable_endscan_ordered(scan->chunk_scan);
	systable_endscan_ordered(scan->scan);
	index_close(scan->transactions_index, AccessShareLock);
	index_close(scan->chunks_index, AccessShareLock);
	streaming_table_close(&scan->transactions, NoLock);
	streaming_table_close(&scan->chunks, NoLock);
}

static bool
is_behind(StreamingOutboxPlace place, StreamingOutboxPlace other)
{
	if (place.lsn != other.lsn)
		return place.lsn > other.lsn;
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

	memset(extent, 0, sizeof(*extent));
	scan_begin(&scan, stream, after, snapshot, AccessShareLock);
	while (!extent->more && scan_next(&scan) != NULL)
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
	List	   *chunks = NIL;
	int64		bytes = 0;

	scan_begin(&scan, stream, *after, snapshot, AccessShareLock);
	while (bytes < max_bytes && scan_next(&scan) != NULL)
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

/* Those of the scan's transaction up to bound.  False: it has more. */
static bool
delete_chunks(OutboxScan *scan, StreamingOutboxPlace bound, StreamingOutboxExtent *extent)
{
	HeapTuple	tuple;

	while ((tuple = next_chunk(scan)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_behind(scan->place, bound))
			return false;
		count_chunk(scan, extent);
		simple_heap_delete(scan->chunks.rel, &tuple->t_self);
	}
	return true;
}

void
streaming_outbox_delete(Oid stream, StreamingOutboxPlace after, StreamingOutboxPlace bound,
						Datum snapshot, StreamingOutboxExtent *extent)
{
	OutboxScan	scan;

	memset(extent, 0, sizeof(*extent));
	scan_begin(&scan, stream, after, snapshot, RowExclusiveLock);
	while (next_transaction(&scan) && !is_behind(scan.place, bound) &&
		   delete_chunks(&scan, bound, extent))
		simple_heap_delete(scan.transactions.rel, &scan.transaction->t_self);
	scan_end(&scan);
}

void
streaming_outbox_delete_copied(Oid stream, Datum snapshot)
{
	OutboxScan	scan;
	StreamingOutboxPlace begin = {0};
	StreamingOutboxPlace end = {PG_UINT64_MAX, PG_UINT64_MAX, PG_INT32_MAX};
	StreamingOutboxExtent gone = {0};

	scan_begin(&scan, stream, begin, snapshot, RowExclusiveLock);
	while (next_transaction(&scan))
	{
		if (scan.home != MyDatabaseId && delete_chunks(&scan, end, &gone))
			simple_heap_delete(scan.transactions.rel, &scan.transaction->t_self);
	}
	scan_end(&scan);
}

static Oid
stream_of(const StreamingTable *table, HeapTuple tuple)
{
	Datum		value;
	bool		isnull;

	return streaming_table_try_read(table, tuple, &value, &isnull) ? InvalidOid :
		DatumGetObjectId(value);
}

/*
 * The streams that have rows in a table.  While the extension is dropped or
 * restored the table or its index may be missing.
 */
static List *
streams_of(StreamingTableDef *def)
{
	List	   *streams = NIL;
	StreamingTable table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			last = InvalidOid;
	bool		found = true;

	if (!streaming_table_open(&table, def, AccessShareLock, true))
		return NIL;
	if (!OidIsValid(table.indexes[0]))
	{
		scan = streaming_table_scan(&table, -1, GetActiveSnapshot(), 0, NULL);
		while ((tuple = systable_getnext(scan)) != NULL)
			streams = list_append_unique_oid(streams, stream_of(&table, tuple));
		systable_endscan(scan);
	}

	/* Each step is a descent of the index to the next stream. */
	while (found && OidIsValid(table.indexes[0]))
	{
		Relation	index = streaming_table_index(&table, 0);

		streaming_table_key(&table, &key, 1, BTGreaterStrategyNumber, F_OIDGT,
							ObjectIdGetDatum(last));
		scan = systable_beginscan_ordered(table.rel, index, GetActiveSnapshot(), 1, &key);
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
		found = tuple != NULL;
		if (found)
		{
			last = stream_of(&table, tuple);
			streams = lappend_oid(streams, last);
		}
		systable_endscan_ordered(scan);
		index_close(index, AccessShareLock);
	}
	streaming_table_close(&table, NoLock);
	return streams;
}

List *
streaming_outbox_streams(List **idle)
{
	*idle = streams_of(&deliveries_streams);
	return streams_of(&outbox_streams);
}

/* ---- Deliveries ---- */

/* *tuple is the row while the scan is open. */
static SysScanDesc
find_delivery(const StreamingTable *table, Oid stream, HeapTuple *tuple)
{
	ScanKeyData key;
	SysScanDesc scan;

	streaming_table_key(table, &key, Anum_stream, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream));
	scan = streaming_table_scan(table, 0, NULL, 1, &key);
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
	StreamingTable table;
	HeapTuple	tuple;
	SysScanDesc scan;
	StreamingDeliveryRow *row = NULL;

	(void) streaming_table_open(&table, &deliveries_table, AccessShareLock, false);
	scan = find_delivery(&table, stream, &tuple);
	if (tuple)
	{
		Datum		values[Natts_deliveries];
		bool		isnull[Natts_deliveries];

		streaming_table_read(&table, tuple, values, isnull);
		row = palloc0(sizeof(StreamingDeliveryRow));
		if (DatumGetBool(values[Index_of(pending)]) &&
			(isnull[Index_of(token)] || isnull[Index_of(snapshot)] ||
			 isnull[Index_of(bound_place)] || isnull[Index_of(bound_xid)] ||
			 isnull[Index_of(bound_number)]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a row of table \"%s.deliveries\" does not say what is pending",
							STREAMING_INTERNAL_SCHEMA),
					 errhint("Use streaming.restart_delivery, or set column \"pending\" to false to deliver all that is in the outbox.")));
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
		if (!isnull[Index_of(bound_place)])
			row->bound.lsn = DatumGetLSN(values[Index_of(bound_place)]);
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
	streaming_table_close(&table, NoLock);
	return row;
}

void
streaming_delivery_write(const StreamingDeliveryRow *row, bool insert)
{
	StreamingTable table;
	Datum		values[Natts_deliveries] = {0};
	bool		isnull[Natts_deliveries] = {0};
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
	isnull[Index_of(bound_place)] = isnull[Index_of(bound_xid)] =
		isnull[Index_of(bound_number)] = !row->pending;
	values[Index_of(bound_place)] = LSNGetDatum(row->bound.lsn);
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

	(void) streaming_table_open(&table, &deliveries_table, RowExclusiveLock, false);
	scan = find_delivery(&table, row->stream, &old);
	if (insert || old)
		streaming_table_write(&table, insert ? NULL : old, values, isnull);
	systable_endscan(scan);
	streaming_table_close(&table, NoLock);
}

char *
streaming_new_uuid(void)
{
	return out_uuid(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
}
