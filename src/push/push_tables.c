/*
 * push_tables.c
 *		The tables that hold pushed rows until views have taken them.
 *
 * A pushed stream has two tables, push_<token>_<oid>_0 and _1, used in turn.  Rows of
 * segment n, the current one, go to table n % 2; the other table holds what is
 * left of segment n - 1.  The number is in streaming_internal.push_segments, where it
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
 * the stream whose number their name has; they are dropped when met.  Those that
 * pg_upgrade has carried do not, either, but for them there is a row in
 * streaming_internal.push_segments, which is in no dump.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/depend.h"
#include "buffer/buffer.h"
#include "catalog/view.h"
#include "catalog/catalog_table.h"
#include "catalog/checkpoint.h"
#include "catalog/internal.h"
#include "push/push_scan.h"
#include "catalog/run_as.h"
#include "buffer/shift_slot.h"
#include "push/source_push.h"

typedef enum SegmentColumn
{
	COLUMN_STREAM = 1,
	COLUMN_SEGMENT,
	COLUMN_SINCE,
	COLUMN_MADE
#define COLUMN_COUNT COLUMN_MADE
} SegmentColumn;

static const StreamingTableColumn columns[COLUMN_COUNT] = {
	{"stream", REGCLASSOID},
	{"segment", INT8OID},
	{"since", TIMESTAMPTZOID},
	{"made", TIMESTAMPTZOID},
};

static StreamingTableDef segments =
{"push_segments", COLUMN_COUNT, columns, {{COLUMN_STREAM}}};

static Oid	own_table(const char *name, Oid stream, bool known);
static void make_table(StreamingStream *stream, int index);
static void adapt_table(StreamingStream *stream, Oid relid, int index);
static char *adapt_column(StreamingStream *stream, Oid relid, int i);
pg_noreturn static void refuse_change(char *message);
static bool is_same_value(Form_pg_attribute stored, Oid type, int32 typmod);
static bool is_empty(Oid relid);

/* ----------
 * streaming_internal.push_segments
 * ----------
 */

/* *tuple is the row of stream while the scan is open; NULL: there is none. */
static SysScanDesc
open_segments(StreamingTable *table, Oid stream, LOCKMODE mode, HeapTuple *tuple)
{
	ScanKeyData key;
	SysScanDesc scan;

	(void) streaming_table_open(table, &segments, mode, false);
	streaming_table_key(table, &key, COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream));
	scan = streaming_table_scan(table, 0, NULL, 1, &key);
	*tuple = systable_getnext(scan);
	return scan;
}

bool
streaming_push_read_segment(Oid stream, StreamingPushSegment *row)
{
	StreamingTable table;
	HeapTuple	tuple;
	SysScanDesc scan = open_segments(&table, stream, AccessShareLock, &tuple);
	bool		found = HeapTupleIsValid(tuple);

	if (found)
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		streaming_table_read(&table, tuple, values, isnull);
		row->segment = DatumGetInt64(values[COLUMN_SEGMENT - 1]);
		row->since = DatumGetTimestampTz(values[COLUMN_SINCE - 1]);
		row->made = DatumGetTimestampTz(values[COLUMN_MADE - 1]);
		/* it is packed into a half of 64 bits */
		if ((int64) row->segment < 1 || row->segment > PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a row of table \"%s.push_segments\" has a wrong value in column \"segment\"",
							STREAMING_INTERNAL_SCHEMA)));
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);
	return found;
}

List *
streaming_push_streams(void)
{
	StreamingTable table;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *streams = NIL;

	(void) streaming_table_open(&table, &segments, AccessShareLock, false);
	scan = streaming_table_scan(&table, -1, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		streaming_table_read(&table, tuple, values, isnull);
		streams = lappend_oid(streams, DatumGetObjectId(values[COLUMN_STREAM - 1]));
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);
	return streams;
}

void
streaming_push_write_segment(Oid stream, const StreamingPushSegment *row)
{
	StreamingTable table;
	HeapTuple	old;
	SysScanDesc scan = open_segments(&table, stream, RowExclusiveLock, &old);
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};

	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(stream);
	values[COLUMN_SEGMENT - 1] = Int64GetDatum(row->segment);
	values[COLUMN_SINCE - 1] = TimestampTzGetDatum(row->since);
	values[COLUMN_MADE - 1] = TimestampTzGetDatum(row->made);
	streaming_table_write(&table, old, values, isnull);
	systable_endscan(scan);
	streaming_table_close(&table, NoLock);
	CommandCounterIncrement();
}

uint64
streaming_push_current(StreamingStreamShared *shared)
{
	StreamingPushSegment row;
	uint64		number;
	bool		standby;

	LWLockAcquire(shared->lock, LW_SHARED);
	number = shared->push_number;
	LWLockRelease(shared->lock);
	if (number > 0)
		return number;

	/*
	 * Whoever switches tells it in shared memory, too, so old news do no harm.
	 * Those of a standby would: its primary tells it nothing but the catalog.
	 */
	standby = RecoveryInProgress();
	if (!streaming_push_read_segment(shared->stream, &row))
		return 0;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->push_number == 0)
	{
		if (!standby)
			shared->push_number = row.segment;
		shared->push_identity = (uint32) row.made;
	}
	number = standby ? row.segment : shared->push_number;
	LWLockRelease(shared->lock);
	return number;
}

static uint64
new_era(void)
{
	uint64		era;

	do
		era = pg_prng_uint64(&pg_global_prng_state);
	while (era == 0);
	return era;
}

/*
 * Blocks have other rows than before if the table has another file (VACUUM FULL
 * and others that rewrite it), or is shorter than somebody saw it: VACUUM may have
 * cut off its end, a crash may have, and what is added then lies before places
 * that were noted.  All who add rows and all who note places look first, and the
 * lock they have keeps others from cutting meanwhile.  So nobody misses it.
 */
uint64
streaming_push_look(StreamingStreamShared *shared, Relation table, uint64 number,
					BlockNumber *blocks)
{
	StreamingPushFile *known = &shared->push_files[number % STREAMING_PUSH_TABLES];
	Oid			file = table->rd_rel->relfilenode;
	uint64		era;
	bool		news;

	*blocks = RelationGetNumberOfBlocks(table);
	if (RecoveryInProgress())
		return 0;
	LWLockAcquire(shared->lock, LW_SHARED);
	era = known->era;
	news = known->file != file || known->blocks != *blocks;
	LWLockRelease(shared->lock);
	if (!news)
		return era;

	/* Under the lock, so that it is not shorter for being an older length. */
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	*blocks = RelationGetNumberOfBlocks(table);
	if (known->file != file || known->blocks > *blocks)
		known->era = new_era();
	known->file = file;
	known->blocks = *blocks;
	era = known->era;
	LWLockRelease(shared->lock);
	return era;
}

/* ----------
 * Tables
 * ----------
 */

static char *
table_name(Oid stream, int index)
{
	return psprintf("push_%u_%u_%d", streaming_catalog_token(), stream, index);
}

Oid
streaming_push_table(Oid stream, uint64 number)
{
	return get_relname_relid(table_name(stream, number % STREAMING_PUSH_TABLES),
							 streaming_internal_namespace());
}

bool
streaming_push_is_readable(Oid stream)
{
	if (!RecoveryInProgress())
		return true;
	for (int i = 0; i < STREAMING_PUSH_TABLES; i++)
	{
		Oid			table = streaming_push_table(stream, i);

		if (OidIsValid(table) && get_rel_persistence(table) != RELPERSISTENCE_PERMANENT)
			return false;
	}
	return true;
}

void
streaming_push_create_tables(Oid stream)
{
	StreamingStream *definition;
	StreamingPushSegment row;
	bool		known;

	/* One at a time; conflicts with itself, not with those who push. */
	LockRelationOid(stream, ShareUpdateExclusiveLock);
	definition = streaming_stream_open(stream, GetUserId());
	known = streaming_push_read_segment(stream, &row);
	for (int i = 0; i < STREAMING_PUSH_TABLES; i++)
	{
		Oid			relid = own_table(table_name(stream, i), stream, known);

		if (!OidIsValid(relid))
			make_table(definition, i);
		else
			adapt_table(definition, relid, i);
	}
	if (!known)
	{
		row.segment = 1;
		row.since = row.made = GetCurrentTimestamp();
		streaming_push_write_segment(stream, &row);
	}
}

/*
 * A table of that name that is stream's.  pg_upgrade has carried it with what is
 * known of it, but for its dependency; any other one is dropped.
 */
static Oid
own_table(const char *name, Oid stream, bool known)
{
	Oid			relid = get_relname_relid(name, streaming_internal_namespace());
	bool		own = false;
	ListCell   *lc;

	if (!OidIsValid(relid))
		return InvalidOid;
	foreach(lc, streaming_dependencies(RelationRelationId, relid))
	{
		StreamingDependency *needed = lfirst(lc);

		own |= needed->class == RelationRelationId && needed->object == stream;
	}
	if (!own && known)
		streaming_internal_adopt(relid, stream);
	if (own || known)
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
 * that is empty is made anew; one that has rows is altered as long as they stay
 * where they are, with the transaction ids they have: who has taken them knows
 * them by those.
 */
static void
adapt_table(StreamingStream *stream, Oid relid, int index)
{
	bool		durable = get_rel_persistence(relid) == RELPERSISTENCE_PERMANENT;

	if (streaming_table_matches(relid, stream->tupdesc, STREAMING_PUSH_SHIFT, true) &&
		durable == stream->durable)
		return;

	LockRelationOid(relid, AccessExclusiveLock);
	if (is_empty(relid))
	{
		streaming_internal_drop(relid);
		make_table(stream, index);
		return;
	}
	if (durable != stream->durable)
		refuse_change(psprintf("cannot change the option \"durable\" of stream %s while it holds rows",
							   stream->name));
	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		char	   *command = adapt_column(stream, relid, i);
		StreamingOwnerRights rights;

		if (command == NULL)
			continue;
		streaming_owner_rights_begin(&rights);
		streaming_run_sql(psprintf("ALTER TABLE %s.%s %s", STREAMING_INTERNAL_SCHEMA,
								   get_rel_name(relid), command));
		streaming_owner_rights_end(&rights);
		CommandCounterIncrement();
	}
	streaming_internal_skip_statistics(relid);
}

static void
refuse_change(char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg_internal("%s", message),
			 errhint("Rows go when all views have taken them and they fill half of \"streaming.buffer_size\". "
					 "Add a column instead, or make another stream.")));
}

/*
 * What is to be done for column i (from 0 on) of the stream in a table that has
 * rows, NULL: nothing.
 */
static char *
adapt_column(StreamingStream *stream, Oid relid, int i)
{
	Form_pg_attribute att = TupleDescAttr(stream->tupdesc, i);
	Relation	rel = table_open(relid, NoLock);
	TupleDesc	own = RelationGetDescr(rel);
	Form_pg_attribute stored = i + STREAMING_PUSH_SHIFT < own->natts ?
		TupleDescAttr(own, i + STREAMING_PUSH_SHIFT) : NULL;
	int32		typmod = att->atttypmod;
	Oid			type = att->attisdropped ? INT4OID : getBaseTypeAndTypmod(att->atttypid, &typmod);
	char	   *name = format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN |
											FORMAT_TYPE_FORCE_QUALIFY);
	char	   *command = NULL;

	if (stored == NULL && get_attgenerated(stream->relid, i + 1) == ATTRIBUTE_GENERATED_STORED)
		refuse_change(psprintf("cannot add generated column \"%s\" to stream %s while it holds rows",
							   NameStr(att->attname), stream->name));
	else if (stored == NULL)
		command = psprintf("ADD COLUMN c%d %s", i + 1, name);
	else if (att->attisdropped && !stored->attisdropped && stored->atttypid != INT4OID)
		command = psprintf("DROP COLUMN c%d", i + 1);
	else if (!att->attisdropped &&
			 (stored->atttypid != type || stored->atttypmod != typmod))
	{
		if (stored->attisdropped || !is_same_value(stored, type, typmod))
			refuse_change(psprintf("cannot change the type of column \"%s\" of stream %s while it holds rows",
								   NameStr(att->attname), stream->name));
		command = psprintf("ALTER COLUMN c%d TYPE %s", i + 1, name);
	}
	table_close(rel, NoLock);
	return command;
}

/* Is any value of a column one of the type, as it is? */
static bool
is_same_value(Form_pg_attribute stored, Oid type, int32 typmod)
{
	Node	   *value = (Node *) makeVar(1, stored->attnum, stored->atttypid, stored->atttypmod,
										 stored->attcollation, 0);

	value = coerce_to_target_type(NULL, value, stored->atttypid, type, typmod,
								  COERCION_ASSIGNMENT, COERCE_EXPLICIT_CAST, -1);
	if (value)
		value = strip_implicit_coercions(eval_const_expressions(NULL, value));
	while (value && IsA(value, RelabelType))
		value = (Node *) ((RelabelType *) value)->arg;
	return value && IsA(value, Var);
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

/* Raises an error if a value in slot is none of its column's domain. */
static void
check_domains(TupleDesc desc, TupleTableSlot *slot)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum		value;
		bool		isnull;

		if (att->attisdropped || get_typtype(att->atttypid) != TYPTYPE_DOMAIN)
			continue;
		value = slot_getattr(slot, i + 1, &isnull);
		domain_check(value, isnull, att->atttypid, NULL, NULL);
	}
}

/* As the stream's owner, who wrote what is checked, whoever alters the stream. */
void
streaming_push_check_rows(Oid stream)
{
	Relation	rel = table_open(stream, NoLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StreamingStreamShared *shared = streaming_stream_use(stream);
	StreamingPushScan scan = {.desc = desc};
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	TupleTableSlot *stored = streaming_stored_slot_make();
	TupleTableSlot *slot = streaming_shift_slot_make(desc, stored, STREAMING_PUSH_SHIFT);
	StreamingRunAs saved;

	streaming_push_scan_lock(&scan, shared, 0);
	streaming_stream_release(shared);
	streaming_run_as_begin(&saved, rel->rd_rel->relowner, NIL);
	InitResultRelInfo(result, rel, 0, NULL, 0);
	slot->tts_tableOid = stream;

	PushActiveSnapshot(GetLatestSnapshot());
	streaming_push_scan_begin(&scan, GetActiveSnapshot(), NULL, stored);
	while (streaming_push_scan_next(&scan))
	{
		MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));

		CHECK_FOR_INTERRUPTS();
		streaming_shift_slot_set(slot);
		if (desc->constr)
			ExecConstraints(result, slot, estate);
		if (rel->rd_rel->relispartition)
			(void) ExecPartitionCheck(result, slot, estate, true);
		check_domains(desc, slot);
		MemoryContextSwitchTo(old);
		ResetPerTupleExprContext(estate);
	}
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(stored);
	FreeExecutorState(estate);
	streaming_run_as_end(&saved);
	table_close(rel, NoLock);
}
