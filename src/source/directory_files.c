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
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "base/clock.h"
#include "source/directory_files.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
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
	Anum_files_changed,
	_Anum_files_max
};

#define Natts_files (_Anum_files_max - 1)

static const StreamingTableColumn columns[Natts_files] = {
	{"stream", REGCLASSOID},
	{"file", INT8OID},
	{"path", TEXTOID},
	{"size", INT8OID},
	{"modified", TIMESTAMPTZOID},
	{"records", INT8OID, true},
	{"changed", TIMESTAMPTZOID, true},
};

enum
{
	BY_NUMBER,
	BY_PATH
};

static StreamingTableDef files_table =
{
	"files", Natts_files, columns,
	{
		[BY_NUMBER] = {Anum_files_stream, Anum_files_file},
		[BY_PATH] = {Anum_files_stream, Anum_files_path}
	},
	.for_users = true
};

/* Between two tries to get the lock, ms. */
#define LOCK_RETRY 10

static void file_from_values(const Datum *values, const bool *isnull, StreamingFile *file);
static HeapTuple find_number(StreamingFileTable *files, int64 number, SysScanDesc *scan);
static SysScanDesc begin_ordered(StreamingFileTable *files, int nkeys, ScanKey keys,
								 Relation *index);

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
	files->stream = stream;
	(void) streaming_table_open(&files->table, &files_table, mode, false);
	/* A query that has parallel workers must do with the snapshot that it has. */
	PushActiveSnapshot(IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot());
}

void
streaming_files_close(StreamingFileTable *files)
{
	PopActiveSnapshot();
	streaming_table_close(&files->table, NoLock);
}

/* By number. */
static SysScanDesc
begin_ordered(StreamingFileTable *files, int nkeys, ScanKey keys, Relation *index)
{
	*index = streaming_table_index(&files->table, BY_NUMBER);
	streaming_table_key(&files->table, &keys[0], Anum_files_stream, BTEqualStrategyNumber,
						F_OIDEQ, ObjectIdGetDatum(files->stream));
	return systable_beginscan_ordered(files->table.rel, *index, GetActiveSnapshot(), nkeys, keys);
}

int
streaming_files_next(StreamingFileTable *files, int64 after, StreamingFile *result, int max)
{
	ScanKeyData keys[2];
	Relation	index;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;

	streaming_table_key(&files->table, &keys[1], Anum_files_file, BTGreaterStrategyNumber,
						F_INT8GT, Int64GetDatum(after));
	scan = begin_ordered(files, 2, keys, &index);
	while (n < max &&
		   (tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		Datum		values[Natts_files];
		bool		isnull[Natts_files];

		streaming_table_read(&files->table, tuple, values, isnull);
		file_from_values(values, isnull, &result[n]);
		result[n++].path = TextDatumGetCString(values[Anum_files_path - 1]);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return n;
}

int64
streaming_files_last(StreamingFileTable *files)
{
	ScanKeyData keys[1];
	Relation	index;
	SysScanDesc scan = begin_ordered(files, 1, keys, &index);
	HeapTuple	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	StreamingFile file;

	file.number = 0;
	if (tuple != NULL)
	{
		Datum		values[Natts_files];
		bool		isnull[Natts_files];

		streaming_table_read(&files->table, tuple, values, isnull);
		file_from_values(values, isnull, &file);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return file.number;
}

bool
streaming_files_find(StreamingFileTable *files, const char *path, StreamingFile *result)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Datum		value = CStringGetTextDatum(path);

	streaming_table_key(&files->table, &keys[0], Anum_files_stream, BTEqualStrategyNumber,
						F_OIDEQ, ObjectIdGetDatum(files->stream));
	streaming_table_key(&files->table, &keys[1], Anum_files_path, BTEqualStrategyNumber,
						F_TEXTEQ, value);
	scan = streaming_table_scan(&files->table, BY_PATH, GetActiveSnapshot(), 2, keys);
	tuple = systable_getnext(scan);
	if (tuple != NULL)
	{
		Datum		values[Natts_files];
		bool		isnull[Natts_files];

		streaming_table_read(&files->table, tuple, values, isnull);
		file_from_values(values, isnull, result);
		result->path = unconstify(char *, path);
	}
	systable_endscan(scan);
	pfree(DatumGetPointer(value));
	return tuple != NULL;
}

/* The row of a number, or NULL, and the scan to be ended. */
static HeapTuple
find_number(StreamingFileTable *files, int64 number, SysScanDesc *scan)
{
	ScanKeyData keys[2];

	streaming_table_key(&files->table, &keys[0], Anum_files_stream, BTEqualStrategyNumber,
						F_OIDEQ, ObjectIdGetDatum(files->stream));
	streaming_table_key(&files->table, &keys[1], Anum_files_file, BTEqualStrategyNumber,
						F_INT8EQ, Int64GetDatum(number));
	*scan = streaming_table_scan(&files->table, BY_NUMBER, GetActiveSnapshot(), 2, keys);
	return systable_getnext(*scan);
}

void
streaming_files_insert(StreamingFileTable *files, const StreamingFile *added, int n)
{
	for (int i = 0; i < n; i++)
	{
		Datum		values[Natts_files];
		bool		nulls[Natts_files] = {0};

		CHECK_FOR_INTERRUPTS();
		values[Anum_files_stream - 1] = ObjectIdGetDatum(files->stream);
		values[Anum_files_file - 1] = Int64GetDatum(added[i].number);
		values[Anum_files_path - 1] = CStringGetTextDatum(added[i].path);
		values[Anum_files_size - 1] = Int64GetDatum(added[i].size);
		values[Anum_files_modified - 1] = TimestampTzGetDatum(added[i].modified);
		values[Anum_files_records - 1] = Int64GetDatum(added[i].records);
		nulls[Anum_files_records - 1] = added[i].records == STREAMING_FILE_UNREAD;
		nulls[Anum_files_changed - 1] = true;
		streaming_table_write(&files->table, NULL, values, nulls);
		pfree(DatumGetPointer(values[Anum_files_path - 1]));
	}
	CommandCounterIncrement();
}

void
streaming_files_set_records(StreamingFileTable *files, const StreamingFile *changed, int n)
{
	for (int i = 0; i < n; i++)
	{
		SysScanDesc scan;
		HeapTuple	tuple;

		CHECK_FOR_INTERRUPTS();
		tuple = find_number(files, changed[i].number, &scan);
		if (tuple != NULL)
		{
			Datum		values[Natts_files];
			bool		nulls[Natts_files];

			streaming_table_read(&files->table, tuple, values, nulls);
			values[Anum_files_records - 1] = Int64GetDatum(changed[i].records);
			nulls[Anum_files_records - 1] = false;
			streaming_table_write(&files->table, tuple, values, nulls);
		}
		systable_endscan(scan);
	}
	CommandCounterIncrement();
}

void
streaming_files_set_found(StreamingFileTable *files, const StreamingFile *file, bool remark)
{
	SysScanDesc scan;
	HeapTuple	tuple = find_number(files, file->number, &scan);

	if (tuple != NULL)
	{
		Datum		values[Natts_files];
		bool		nulls[Natts_files];

		streaming_table_read(&files->table, tuple, values, nulls);
		values[Anum_files_size - 1] = Int64GetDatum(file->size);
		values[Anum_files_modified - 1] = TimestampTzGetDatum(file->modified);
		if (remark)
		{
			nulls[Anum_files_records - 1] = true;
			values[Anum_files_changed - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
			nulls[Anum_files_changed - 1] = false;
		}
		streaming_table_write(&files->table, tuple, values, nulls);
	}
	systable_endscan(scan);
	CommandCounterIncrement();
}

void
streaming_files_set_state(StreamingFileTable *files, const StreamingFile *file)
{
	SysScanDesc scan;
	HeapTuple	tuple = find_number(files, file->number, &scan);

	if (tuple != NULL)
	{
		Datum		values[Natts_files];
		bool		nulls[Natts_files];

		streaming_table_read(&files->table, tuple, values, nulls);
		values[Anum_files_path - 1] = CStringGetTextDatum(file->path);
		values[Anum_files_records - 1] = Int64GetDatum(file->records);
		nulls[Anum_files_records - 1] = file->records == STREAMING_FILE_UNREAD;
		streaming_table_write(&files->table, tuple, values, nulls);
	}
	systable_endscan(scan);
	CommandCounterIncrement();
}

void
streaming_files_delete(StreamingFileTable *files, int64 number)
{
	SysScanDesc scan;
	HeapTuple	tuple = find_number(files, number, &scan);

	if (tuple != NULL)
		CatalogTupleDelete(files->table.rel, &tuple->t_self);
	systable_endscan(scan);
	CommandCounterIncrement();
}

/* Those whose rows are there no more had the lowest numbers. */
int64
streaming_files_count_gone(Oid stream)
{
	StreamingFileTable files;
	StreamingFile file;
	int64		after = 0;
	int64		gone = 0;

	streaming_files_open(&files, stream, AccessShareLock);
	while (streaming_files_next(&files, after, &file, 1) == 1)
	{
		if (after == 0)
			gone = file.number - 1;
		after = file.number;
		pfree(file.path);
		if (file.records > STREAMING_FILE_LEAVING)
			break;
		gone++;
	}
	streaming_files_close(&files);
	return gone;
}

/* All but the path, which not every caller wants copied. */
static void
file_from_values(const Datum *values, const bool *isnull, StreamingFile *file)
{
	file->number = DatumGetInt64(values[Anum_files_file - 1]);
	file->path = NULL;
	file->size = DatumGetInt64(values[Anum_files_size - 1]);
	file->modified = DatumGetTimestampTz(values[Anum_files_modified - 1]);
	file->records = isnull[Anum_files_records - 1] ? STREAMING_FILE_UNREAD :
		DatumGetInt64(values[Anum_files_records - 1]);
	file->changed = !isnull[Anum_files_changed - 1];
	/* it is packed into a half of 64 bits */
	if (file->number < 1 || file->number > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.files\" has a wrong value in column \"file\"",
						STREAMING_SCHEMA)));
}
