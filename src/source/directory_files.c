/*
 * directory_files.c
 *		The files of directory streams, as streaming.files remembers them.
 *
 * Rows are read and written directly rather than through SPI: a user's SELECT
 * from a directory stream needs no right on the table and runs on a standby,
 * and ten thousand small files cost ten thousand index probes, not as many
 * queries.
 *
 * Locking: rows of a stream are added by whoever holds the stream's lock
 * (streaming_files_lock), a heavyweight lock that conflicts with nothing
 * else.  It is kept to the end of the transaction.  Therefore numbers have no
 * gaps, and whoever sees a number sees all numbers below it.  Column records
 * is written by the stream's one follower, without a lock, or, for files that
 * nobody will read, under it.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_foreign_table.h"
#include "clock.h"
#include "directory_files.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* Columns of streaming.files, in the order of streaming.sql. */
enum Anum_files
{
	Anum_files_stream = 1,
	Anum_files_file,
	Anum_files_path,
	Anum_files_size,
	Anum_files_modified,
	Anum_files_records,
	_Anum_files_max
};

#define Natts_files (_Anum_files_max - 1)

/* Between two tries to get the lock, ms. */
#define LOCK_RETRY 10

static void file_from_tuple(StreamingFileTable *files, HeapTuple tuple, StreamingFile *file);
static void scan_key(StreamingFileTable *files, ScanKey key, AttrNumber column,
					 StrategyNumber strategy, RegProcedure procedure, Datum value);

bool
streaming_files_lock(Oid stream, int timeout)
{
	LOCKTAG		tag;
	StreamingTime until = 0;
	bool		woken = false;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ForeignTableRelationId, stream, 0);
	for (;;)
	{
		StreamingTime now;

		CHECK_FOR_INTERRUPTS();
		if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		{
			AcceptInvalidationMessages();
			if (woken)
				SetLatch(MyLatch);
			return true;
		}
		if (timeout <= 0)
			return false;
		now = streaming_now();
		if (until == 0)
			until = streaming_time_plus(now, timeout);
		else if (now >= until)
		{
			if (woken)
				SetLatch(MyLatch);
			return false;
		}

		/*
		 * Polling, since a wait for the lock itself has no limit of its own.
		 * Whoever set the latch meant the caller: set it again at the end.
		 */
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					  LOCK_RETRY, PG_WAIT_EXTENSION) & WL_LATCH_SET)
		{
			woken = true;
			ResetLatch(MyLatch);
		}
	}
}

void
streaming_files_open(StreamingFileTable *files, Oid stream, LOCKMODE mode)
{
	Oid			schema = get_namespace_oid(STREAMING_SCHEMA, false);
	Oid			table = get_relname_relid("files", schema);

	files->stream = stream;
	files->by_number = get_relname_relid("files_pkey", schema);
	files->by_path = get_relname_relid("files_stream_path_key", schema);
	if (!OidIsValid(table) || !OidIsValid(files->by_number) || !OidIsValid(files->by_path))
		elog(ERROR, "table " STREAMING_SCHEMA ".files or one of its indexes is missing");

	files->table = table_open(table, mode);
	if (RelationGetDescr(files->table)->natts < Natts_files)
		elog(ERROR, "table " STREAMING_SCHEMA ".files has too few columns");
	PushActiveSnapshot(GetLatestSnapshot());
}

void
streaming_files_close(StreamingFileTable *files)
{
	PopActiveSnapshot();
	table_close(files->table, NoLock);
	files->table = NULL;
}

int
streaming_files_next(StreamingFileTable *files, int64 after, StreamingFile *result, int max)
{
	ScanKeyData key[2];
	Relation	index;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;

	scan_key(files, &key[0], Anum_files_stream, BTEqualStrategyNumber,
			 F_OIDEQ, ObjectIdGetDatum(files->stream));
	scan_key(files, &key[1], Anum_files_file, BTGreaterStrategyNumber,
			 F_INT8GT, Int64GetDatum(after));

	index = index_open(files->by_number, AccessShareLock);
	scan = systable_beginscan_ordered(files->table, index, GetActiveSnapshot(), 2, key);
	while (n < max &&
		   (tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		path = heap_getattr(tuple, Anum_files_path,
										RelationGetDescr(files->table), &isnull);

		file_from_tuple(files, tuple, &result[n]);
		result[n++].path = TextDatumGetCString(path);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return n;
}

int64
streaming_files_last(StreamingFileTable *files)
{
	ScanKeyData key[1];
	Relation	index;
	SysScanDesc scan;
	HeapTuple	tuple;
	StreamingFile file;

	scan_key(files, &key[0], Anum_files_stream, BTEqualStrategyNumber,
			 F_OIDEQ, ObjectIdGetDatum(files->stream));

	index = index_open(files->by_number, AccessShareLock);
	scan = systable_beginscan_ordered(files->table, index, GetActiveSnapshot(), 1, key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	file.number = 0;
	if (tuple != NULL)
		file_from_tuple(files, tuple, &file);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return file.number;
}

bool
streaming_files_find(StreamingFileTable *files, const char *path, StreamingFile *result)
{
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Datum		value = CStringGetTextDatum(path);

	scan_key(files, &key[0], Anum_files_stream, BTEqualStrategyNumber,
			 F_OIDEQ, ObjectIdGetDatum(files->stream));
	scan_key(files, &key[1], Anum_files_path, BTEqualStrategyNumber, F_TEXTEQ, value);

	scan = systable_beginscan(files->table, files->by_path, true, GetActiveSnapshot(), 2, key);
	tuple = systable_getnext(scan);
	if (tuple != NULL)
	{
		file_from_tuple(files, tuple, result);
		result->path = unconstify(char *, path);
	}
	systable_endscan(scan);
	pfree(DatumGetPointer(value));
	return tuple != NULL;
}

void
streaming_files_insert(StreamingFileTable *files, const StreamingFile *added, int n)
{
	CatalogIndexState indexes = CatalogOpenIndexes(files->table);

	for (int i = 0; i < n; i++)
	{
		Datum		values[Natts_files];
		bool		nulls[Natts_files];
		HeapTuple	tuple;

		CHECK_FOR_INTERRUPTS();
		memset(nulls, false, sizeof(nulls));
		values[Anum_files_stream - 1] = ObjectIdGetDatum(files->stream);
		values[Anum_files_file - 1] = Int64GetDatum(added[i].number);
		values[Anum_files_path - 1] = CStringGetTextDatum(added[i].path);
		values[Anum_files_size - 1] = Int64GetDatum(added[i].size);
		values[Anum_files_modified - 1] = TimestampTzGetDatum(added[i].modified);
		values[Anum_files_records - 1] = Int64GetDatum(added[i].records);
		nulls[Anum_files_records - 1] = added[i].records == STREAMING_FILE_UNREAD;

		tuple = heap_form_tuple(RelationGetDescr(files->table), values, nulls);
		CatalogTupleInsertWithInfo(files->table, tuple, indexes);
		heap_freetuple(tuple);
		pfree(DatumGetPointer(values[Anum_files_path - 1]));
	}
	CatalogCloseIndexes(indexes);
	CommandCounterIncrement();
}

void
streaming_files_set_records(StreamingFileTable *files, const StreamingFile *changed, int n)
{
	CatalogIndexState indexes = CatalogOpenIndexes(files->table);

	for (int i = 0; i < n; i++)
	{
		ScanKeyData key[2];
		SysScanDesc scan;
		HeapTuple	tuple;

		CHECK_FOR_INTERRUPTS();
		scan_key(files, &key[0], Anum_files_stream, BTEqualStrategyNumber,
				 F_OIDEQ, ObjectIdGetDatum(files->stream));
		scan_key(files, &key[1], Anum_files_file, BTEqualStrategyNumber,
				 F_INT8EQ, Int64GetDatum(changed[i].number));

		scan = systable_beginscan(files->table, files->by_number, true,
								  GetActiveSnapshot(), 2, key);
		tuple = systable_getnext(scan);
		if (tuple != NULL)
		{
			Datum		values[Natts_files] = {0};
			bool		nulls[Natts_files] = {0};
			bool		replace[Natts_files] = {0};
			HeapTuple	changed_tuple;

			values[Anum_files_records - 1] = Int64GetDatum(changed[i].records);
			replace[Anum_files_records - 1] = true;
			changed_tuple = heap_modify_tuple(tuple, RelationGetDescr(files->table),
											  values, nulls, replace);
			CatalogTupleUpdateWithInfo(files->table, &tuple->t_self, changed_tuple, indexes);
			heap_freetuple(changed_tuple);
		}
		systable_endscan(scan);
	}
	CatalogCloseIndexes(indexes);
	CommandCounterIncrement();
}

/* All but the path, which not every caller wants copied. */
static void
file_from_tuple(StreamingFileTable *files, HeapTuple tuple, StreamingFile *file)
{
	TupleDesc	desc = RelationGetDescr(files->table);
	bool		isnull;

	file->number = DatumGetInt64(heap_getattr(tuple, Anum_files_file, desc, &isnull));
	file->path = NULL;
	file->size = DatumGetInt64(heap_getattr(tuple, Anum_files_size, desc, &isnull));
	file->modified = DatumGetTimestampTz(heap_getattr(tuple, Anum_files_modified, desc, &isnull));
	file->records = DatumGetInt64(heap_getattr(tuple, Anum_files_records, desc, &isnull));
	if (isnull)
		file->records = STREAMING_FILE_UNREAD;
}

/*
 * As ScanKeyInit, which is made for system catalogs and would compare text
 * with the wrong collation for the index.
 */
static void
scan_key(StreamingFileTable *files, ScanKey key, AttrNumber column,
		 StrategyNumber strategy, RegProcedure procedure, Datum value)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(files->table), column - 1);

	ScanKeyEntryInitialize(key, 0, column, strategy, InvalidOid,
						   attribute->attcollation, procedure, value);
}
