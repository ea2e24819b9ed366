/*
 * sink_foreach_batch.c
 *		A function called once a batch, with a temporary table of its rows:
 *		streaming.foreach_batch.
 *
 * The table is made once per view and worker; its rows go at the end of the
 * transaction (ON COMMIT DELETE ROWS), so that batches leave nothing behind in
 * the catalogs.  It belongs to the extension's owner, and everybody may read it:
 * nobody can alter it, nothing but this file's code runs while it is filled, and
 * a function that is SECURITY DEFINER can use it.  Others than this worker cannot
 * reach its rows.
 *
 * A batch is a security-restricted operation, in which no temporary table can be
 * made: making it is the one thing that is done outside.
 *
 * A function with a third argument gets a second table, of the rows that leave
 * the result (update mode).
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/view.h"
#include "sink/sink_rows.h"

/*
 * Nobody but us can vacuum a temporary table, and it would hold back the
 * database's oldest transaction: in time, it is made anew.
 */
#define MAX_TABLE_AGE	50000000

/* A temporary table; rel is open during a batch. */
typedef struct BatchTable
{
	char	   *name;
	Relation	rel;
	TupleTableSlot *slot;
	BulkInsertState bulk;
} BatchTable;

typedef struct ForeachBatchSink
{
	StreamingSink base;
	StreamingStatement result;	/* complete mode */
	FuncExpr   *process;
	TupleDesc	desc;
	BatchTable	rows;
	BatchTable	removed;		/* name NULL: the function does not want it */
} ForeachBatchSink;

/*
 * Names of tables whose sinks were closed, in TopMemoryContext: maybe to be
 * opened again, maybe of views that are dropped.
 */
static List *abandoned = NIL;

static void
foreach_batch_check(StreamingProgram *program)
{
	StreamingStage *last = streaming_last_stage(program);

	for (int i = 0; i < last->noutputs; i++)
	{
		if (SystemAttributeByName(last->outputs[i].name))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("functions of streaming.foreach_batch get their rows in a table, which cannot have a column named \"%s\"",
							last->outputs[i].name),
					 errhint("Give the column another name with AS.")));
	}
}

static StreamingSink *
foreach_batch_open(StreamingProgram *program)
{
	ForeachBatchSink *sink = palloc0(sizeof(ForeachBatchSink));

	sink->process = streaming_sink_function(program->id, STREAMING_FUNCTION_FOREACH_BATCH);
	if (sink->process == NULL)
		elog(ERROR, "view \"%s\" names no function", streaming_sink_functions_name(program->id));
	sink->desc = streaming_sink_desc(program);
	sink->rows.name = psprintf("batch_%d", program->id);
	if (list_length(sink->process->args) > 2)
		sink->removed.name = psprintf("removed_%d", program->id);
	return &sink->base;
}

/* ---------------------------------------------------------------------------
 * The table
 * ---------------------------------------------------------------------------
 */

static Oid
find_table(const char *name)
{
	return RangeVarGetRelid(makeRangeVar("pg_temp", pstrdup(name), -1), NoLock, true);
}

/* Connected to SPI. */
static void
run_ddl(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(rc));
	CommandCounterIncrement();
}

static void
drop_table(const char *name)
{
	run_ddl(psprintf("DROP TABLE pg_temp.%s", quote_identifier(name)));
}

static bool
is_too_old(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	TransactionId frozen;

	if (!HeapTupleIsValid(tuple))
		return true;
	frozen = ((Form_pg_class) GETSTRUCT(tuple))->relfrozenxid;
	ReleaseSysCache(tuple);
	return (int32) (ReadNextTransactionId() - frozen) > MAX_TABLE_AGE;
}

/* Has somebody changed it (DROP TYPE ... CASCADE takes a column)? */
static bool
has_columns(Oid relid, TupleDesc desc)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	now = RelationGetDescr(rel);
	bool		same = now->natts == desc->natts;

	for (int i = 0; same && i < desc->natts; i++)
		same = !TupleDescAttr(now, i)->attisdropped &&
			TupleDescAttr(now, i)->atttypid == TupleDescAttr(desc, i)->atttypid;
	table_close(rel, NoLock);
	return same;
}

/*
 * The table must not keep a type from being dropped when the view that needed it
 * is dropped: it lives as long as the worker.
 */
static void
forget_dependencies(Oid relid, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		deleteDependencyRecordsForSpecific(RelationRelationId, relid, DEPENDENCY_NORMAL,
										   TypeRelationId, att->atttypid);
		if (OidIsValid(att->attcollation))
			deleteDependencyRecordsForSpecific(RelationRelationId, relid, DEPENDENCY_NORMAL,
											   CollationRelationId, att->attcollation);
	}
	CommandCounterIncrement();
}

static void
make_table(ForeachBatchSink *sink, const char *name)
{
	run_ddl(streaming_layout_temporary_ddl(sink->base.program, name));
	run_ddl(psprintf("GRANT SELECT ON pg_temp.%s TO PUBLIC", quote_identifier(name)));
	forget_dependencies(find_table(name), sink->desc);
}

/*
 * Drops what is left of others.  A name is forgotten only when the table is seen
 * to be gone: this transaction may yet fail.
 */
static void
drop_abandoned(void)
{
	ListCell   *lc;

	foreach(lc, abandoned)
	{
		char	   *name = lfirst(lc);

		if (OidIsValid(find_table(name)))
			drop_table(name);
		else
		{
			abandoned = foreach_delete_current(abandoned, lc);
			pfree(name);
		}
	}
}

/* The sink of this name is open: its table is not abandoned (any more). */
static void
claim_table(const char *name)
{
	ListCell   *lc;

	foreach(lc, abandoned)
	{
		if (strcmp(lfirst(lc), name) == 0)
		{
			pfree(lfirst(lc));
			abandoned = foreach_delete_current(abandoned, lc);
		}
	}
}

static void
abandon_table(const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	claim_table(name);
	abandoned = lappend(abandoned, pstrdup(name));
	MemoryContextSwitchTo(old);
}

static void
prepare_table(ForeachBatchSink *sink, const char *name)
{
	Oid			relid;

	if (name == NULL)
		return;
	claim_table(name);
	relid = find_table(name);
	if (OidIsValid(relid) && !is_too_old(relid) && has_columns(relid, sink->desc))
		return;
	if (OidIsValid(relid))
		drop_table(name);
	make_table(sink, name);
}

/* With the rights of the extension's owner, outside the restriction. */
static void
prepare_tables(ForeachBatchSink *sink)
{
	Oid			userid;
	int			security_context;
	int			guc_level = NewGUCNestLevel();

	GetUserIdAndSecContext(&userid, &security_context);
	SetUserIdAndSecContext(streaming_catalog_owner(), SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("default_table_access_method", "heap", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	prepare_table(sink, sink->rows.name);
	prepare_table(sink, sink->removed.name);
	drop_abandoned();
	AtEOXact_GUC(true, guc_level);
	SetUserIdAndSecContext(userid, security_context);
}

/* ---------------------------------------------------------------------------
 * A batch
 * ---------------------------------------------------------------------------
 */

static void
open_table(BatchTable *table)
{
	if (table->name == NULL)
		return;
	table->rel = table_open(find_table(table->name), RowExclusiveLock);
	table->slot = MakeSingleTupleTableSlot(RelationGetDescr(table->rel), &TTSOpsVirtual);
	table->bulk = GetBulkInsertState();
}

static void
close_table(BatchTable *table)
{
	if (table->name == NULL)
		return;
	FreeBulkInsertState(table->bulk);
	ExecDropSingleTupleTableSlot(table->slot);
	table_close(table->rel, NoLock);
}

static void
insert_row(void *arg, int sign, TupleTableSlot *row)
{
	ForeachBatchSink *sink = arg;
	BatchTable *table = sign < 0 ? &sink->removed : &sink->rows;
	TupleTableSlot *slot = table->slot;

	if (table->name == NULL)
		return;
	slot_getallattrs(row);
	ExecClearTuple(slot);
	memcpy(slot->tts_values, row->tts_values, sizeof(Datum) * sink->desc->natts);
	memcpy(slot->tts_isnull, row->tts_isnull, sizeof(bool) * sink->desc->natts);
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(table->rel, slot, GetCurrentCommandId(true), 0, table->bulk);
}

static void
foreach_batch_write(StreamingSink *base, StreamingDelta *changes)
{
	ForeachBatchSink *sink = (ForeachBatchSink *) base;
	StreamingCall *call;
	Datum		args[3] = {0};
	bool		nulls[3] = {false, false, false};
	bool		isnull;

	prepare_tables(sink);
	open_table(&sink->rows);
	open_table(&sink->removed);
	streaming_sink_rows(base, changes, &sink->result, insert_row, sink);
	args[0] = ObjectIdGetDatum(RelationGetRelid(sink->rows.rel));
	args[1] = Int64GetDatum(base->batch_id);
	if (sink->removed.name)
		args[2] = ObjectIdGetDatum(RelationGetRelid(sink->removed.rel));
	close_table(&sink->rows);
	close_table(&sink->removed);
	CommandCounterIncrement();

	streaming_call_immediate();
	call = streaming_call_begin(sink->process);
	(void) streaming_call(call, args, nulls, &isnull);
	streaming_call_end(call);
}

static void
foreach_batch_close(StreamingSink *base)
{
	ForeachBatchSink *sink = (ForeachBatchSink *) base;

	streaming_statement_free(&sink->result);
	abandon_table(sink->rows.name);
	if (sink->removed.name)
		abandon_table(sink->removed.name);
}

const StreamingSinkRoutine streaming_sink_foreach_batch = {
	.name = "foreach_batch",
	.calls_functions = true,
	.check = foreach_batch_check,
	.open = foreach_batch_open,
	.write = foreach_batch_write,
	.close = foreach_batch_close,
};
