/*
 * push_tables.c
 *		The tables that hold pushed rows until views have taken them.
 *
 * A pushed stream has two tables, push_<oid>_0 and _1, used in turn.  Rows of
 * segment n, the current one, go to table n % 2; the other table holds what is
 * left of segment n - 1.  The number is in streaming.push_segments, where it
 * survives everything, and in shared memory, where everybody looks.  push_trim.c
 * empties tables and begins segments.
 *
 * If the server dies between the commit of a new number and its telling, the
 * catalog counts; nobody has written to the new current table before.  If only
 * the process dies, others go on with n, which then is one that the catalog
 * calls old: readers read both tables anyhow, and what views have passed is
 * decided by where they really are.
 *
 * Tables that come from a dump (pg_dump knows nothing of us) do not depend on
 * the stream whose number their name has; they are dropped when met.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "buffer.h"
#include "catalog.h"
#include "checkpoint.h"
#include "command/command.h"
#include "input_internal.h"
#include "query/program.h"
#include "source/source_push.h"

typedef enum SegmentColumn
{
	COLUMN_STREAM = 1,
	COLUMN_SEGMENT,
	COLUMN_SINCE,
	COLUMN_MADE
#define COLUMN_COUNT COLUMN_MADE
} SegmentColumn;

static Oid	own_table(const char *name, Oid stream);
static void make_table(StreamingStream *stream, int index);
static void adapt_table(StreamingStream *stream, Oid relid, int index);
static bool is_empty(Oid relid);

/* ----------
 * streaming.push_segments
 * ----------
 */

static Relation
open_segments(Oid stream, LOCKMODE mode, SysScanDesc *scan)
{
	Relation	rel = table_open(get_relname_relid("push_segments",
												   streaming_catalog_namespace()), mode);
	List	   *indexes = RelationGetIndexList(rel);
	ScanKeyData key;

	ScanKeyInit(&key, COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	*scan = systable_beginscan(rel, linitial_oid(indexes), true, NULL, 1, &key);
	return rel;
}

bool
streaming_push_read_segment(Oid stream, StreamingPushSegment *row)
{
	SysScanDesc scan;
	Relation	rel = open_segments(stream, AccessShareLock, &scan);
	HeapTuple	tuple = systable_getnext(scan);
	bool		found = HeapTupleIsValid(tuple);

	if (found)
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, isnull);
		row->segment = DatumGetInt64(values[COLUMN_SEGMENT - 1]);
		row->since = DatumGetTimestampTz(values[COLUMN_SINCE - 1]);
		row->made = DatumGetTimestampTz(values[COLUMN_MADE - 1]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
streaming_push_write_segment(Oid stream, const StreamingPushSegment *row)
{
	SysScanDesc scan;
	Relation	rel = open_segments(stream, RowExclusiveLock, &scan);
	HeapTuple	old = systable_getnext(scan);
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};
	HeapTuple	new;

	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(stream);
	values[COLUMN_SEGMENT - 1] = Int64GetDatum(row->segment);
	values[COLUMN_SINCE - 1] = TimestampTzGetDatum(row->since);
	values[COLUMN_MADE - 1] = TimestampTzGetDatum(row->made);
	new = heap_form_tuple(RelationGetDescr(rel), values, isnull);
	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(rel, &old->t_self, new);
	else
		CatalogTupleInsert(rel, new);
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

uint64
streaming_push_current(StreamingStreamShared *shared)
{
	StreamingPushSegment row;
	uint64		number;
	Oid			relid;
	Relation	table = NULL;
	BlockNumber blocks = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	number = shared->push_number;
	LWLockRelease(shared->lock);
	if (number > 0)
		return number;

	/* Whoever switches tells it in shared memory, too, so old news do no harm. */
	if (!streaming_push_read_segment(shared->stream, &row))
		return 0;
	relid = streaming_push_table(shared->stream, row.segment);
	if (OidIsValid(relid))
		table = try_table_open(relid, AccessShareLock);
	if (table)
	{
		blocks = RelationGetNumberOfBlocks(table);
		table_close(table, NoLock);
	}
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->push_number == 0)
	{
		shared->push_number = row.segment;
		shared->push_floor = streaming_pack_place(row.segment, blocks > 0 ? blocks - 1 : 0);
		shared->push_identity = (uint32) row.made;
	}
	number = shared->push_number;
	LWLockRelease(shared->lock);
	return number;
}

/* ----------
 * Tables
 * ----------
 */

static char *
table_name(Oid stream, int index)
{
	return psprintf("push_%u_%d", stream, index);
}

Oid
streaming_push_table(Oid stream, uint64 number)
{
	return get_relname_relid(table_name(stream, number % STREAMING_PUSH_TABLES),
							 streaming_internal_namespace());
}

void
streaming_push_create_tables(Oid stream)
{
	StreamingStream *definition;
	StreamingPushSegment row;

	/* One at a time; conflicts with itself, not with those who push. */
	LockRelationOid(stream, ShareUpdateExclusiveLock);
	definition = streaming_stream_open(stream, GetUserId());
	for (int i = 0; i < STREAMING_PUSH_TABLES; i++)
	{
		Oid			relid = own_table(table_name(stream, i), stream);

		if (!OidIsValid(relid))
			make_table(definition, i);
		else
			adapt_table(definition, relid, i);
	}
	if (!streaming_push_read_segment(stream, &row))
	{
		row.segment = 1;
		row.since = row.made = GetCurrentTimestamp();
		streaming_push_write_segment(stream, &row);
	}
}

/* A table of that name that is stream's; another one is dropped. */
static Oid
own_table(const char *name, Oid stream)
{
	Oid			relid = get_relname_relid(name, streaming_internal_namespace());
	Relation	depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		own = false;

	if (!OidIsValid(relid))
		return InvalidOid;

	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refclassid == RelationRelationId && form->refobjid == stream)
			own = true;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (own)
		return relid;

	streaming_internal_drop(relid);
	return InvalidOid;
}

static void
make_table(StreamingStream *stream, int index)
{
	(void) streaming_internal_table(table_name(stream->relid, index), stream->relid,
									stream->tupdesc, "\"$xid\" pg_catalog.xid8, ",
									stream->durable);
}

/*
 * Gives a table the columns (and the durability) that the stream has now.  One
 * that is empty is made anew; one that has rows can be given more columns.
 */
static void
adapt_table(StreamingStream *stream, Oid relid, int index)
{
	bool		logged = get_rel_persistence(relid) == RELPERSISTENCE_PERMANENT;
	Relation	rel;
	int			natts;

	if (streaming_table_matches(relid, stream->tupdesc, STREAMING_PUSH_SHIFT) &&
		logged == stream->durable)
		return;

	LockRelationOid(relid, AccessExclusiveLock);
	if (is_empty(relid))
	{
		streaming_internal_drop(relid);
		make_table(stream, index);
		return;
	}

	rel = table_open(relid, NoLock);
	natts = RelationGetDescr(rel)->natts - STREAMING_PUSH_SHIFT;
	table_close(rel, NoLock);
	for (; natts < stream->tupdesc->natts; natts++)
	{
		Form_pg_attribute att = TupleDescAttr(stream->tupdesc, natts);
		int32		typmod = att->atttypmod;
		Oid			type = INT4OID;

		if (!att->attisdropped)
			type = getBaseTypeAndTypmod(att->atttypid, &typmod);
		streaming_push_run_as_owner(psprintf("ALTER TABLE %s.%s ADD COLUMN c%d %s",
											 STREAMING_INTERNAL_SCHEMA,
											 get_rel_name(relid), natts + 1,
											 format_type_extended(type, typmod,
																  FORMAT_TYPE_TYPEMOD_GIVEN |
																  FORMAT_TYPE_FORCE_QUALIFY)));
	}
	CommandCounterIncrement();
	if (!streaming_table_matches(relid, stream->tupdesc, STREAMING_PUSH_SHIFT))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the type of a column of stream %s while it holds rows",
						stream->name),
				 errhint("Make another stream, or add a column of the new type.")));
}

/* The caller has a lock. */
static bool
is_empty(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	bool		empty = RelationGetNumberOfBlocks(rel) == 0;

	table_close(rel, NoLock);
	return empty;
}

void
streaming_push_run_as_owner(const char *sql)
{
	Oid			userid;
	int			sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(streaming_catalog_owner(),
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	SPI_finish();
	SetUserIdAndSecContext(userid, sec_context);
}
