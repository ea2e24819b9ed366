/*
 * catalog.c
 *		Reads and writes the extension's tables; the only file that knows the
 *		columns of streaming.continuous_view.
 *
 * The tables are read and written through their indexes like system catalogs,
 * without SQL: hooks call this while other commands are under way, and nobody's
 * search_path or privileges matter.
 *
 * Any of these functions may meet a database in which the extension is not
 * installed, or is being dropped at this moment; then there are no views.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/timestamp.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "catalog.h"
#include "stream.h"

PG_FUNCTION_INFO_V1(streaming_watermark);

/* Columns of streaming.continuous_view. */
enum
{
	Anum_view = 1,
	Anum_id,
	Anum_definition,
	Anum_result,
	Anum_sink_kind,
	Anum_sink,
	Anum_output_mode,
	Anum_trigger,
	Anum_start,
	Anum_max_rows_per_trigger,
	Anum_max_files_per_trigger,
	Anum_enabled,
	Anum_generation,
	Anum_home,
	Anum_relations,
	_Anum_end,
};

/* The column of streaming.progress that is read here. */
#define Anum_progress_watermark 7

#define Natts_continuous_view (_Anum_end - 1)
#define Index_of(anum) ((anum) - 1)

static const char *const output_mode_names[] = {
	[STREAMING_OUTPUT_APPEND] = "append",
	[STREAMING_OUTPUT_UPDATE] = "update",
	[STREAMING_OUTPUT_COMPLETE] = "complete",
};

static const char *const sink_kind_names[] = {
	[STREAMING_SINK_OWN] = "own",
	[STREAMING_SINK_MEMORY] = "memory",
	[STREAMING_SINK_RELATION] = "relation",
	[STREAMING_SINK_CONSOLE] = "console",
	[STREAMING_SINK_FOREACH] = "foreach",
	[STREAMING_SINK_FOREACH_BATCH] = "foreach_batch",
};

/*
 * Tables with rows of single relations, each with an index whose first column
 * is the relation, as is the table's first column.
 */
static const struct
{
	const char *table;
	const char *index;
}			tables_by_relation[] =
{
	{"continuous_view", "continuous_view_pkey"},
	{"checkpoints", "checkpoints_pkey"},
	{"progress", "progress_pkey"},
	{"files", "files_pkey"},
	{"push_segments", "push_segments_pkey"},
	{"deliveries", "deliveries_pkey"},
	{"outbox", "outbox_pkey"},
	{"rejected_rows", "rejected_rows_stream_partition_position_key"},
};

/* A scan of one of them; relation is NULL if the extension is not there. */
typedef struct TableScan
{
	Relation	relation;
	SysScanDesc scan;
} TableScan;


/* ---------------------------------------------------------------------------
 * Access to the tables
 * ---------------------------------------------------------------------------
 */

Oid
streaming_catalog_namespace(void)
{
	return get_namespace_oid(STREAMING_SCHEMA, true);
}

Oid
streaming_internal_namespace(void)
{
	return get_namespace_oid(STREAMING_INTERNAL_SCHEMA, true);
}

/* Rows of *relid, or if that is NULL all rows. */
static void
table_scan_begin(TableScan *scan, const char *table, const char *index, const Oid *relid,
				 LOCKMODE lockmode)
{
	Oid			namespace = streaming_catalog_namespace();
	Oid			table_oid = InvalidOid;
	ScanKeyData key;

	if (OidIsValid(namespace))
		table_oid = get_relname_relid(table, namespace);
	scan->relation = OidIsValid(table_oid) ? try_table_open(table_oid, lockmode) : NULL;
	if (scan->relation == NULL)
		return;

	if (relid)
	{
		/* while the extension is being dropped the index may be gone */
		Oid			index_oid = get_relname_relid(index, namespace);

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(*relid));
		scan->scan = systable_beginscan(scan->relation, index_oid, OidIsValid(index_oid),
										NULL, 1, &key);
	}
	else
		scan->scan = systable_beginscan(scan->relation, InvalidOid, false, NULL, 0, NULL);
}

static HeapTuple
table_scan_next(TableScan *scan)
{
	return scan->relation ? systable_getnext(scan->scan) : NULL;
}

/* Keeps the lock on the table. */
static void
table_scan_end(TableScan *scan)
{
	if (scan->relation == NULL)
		return;
	systable_endscan(scan->scan);
	table_close(scan->relation, NoLock);
}

static void
view_scan_begin(TableScan *scan, const Oid *view, LOCKMODE lockmode)
{
	table_scan_begin(scan, tables_by_relation[0].table, tables_by_relation[0].index,
					 view, lockmode);
}

/* ---------------------------------------------------------------------------
 * Values of columns
 * ---------------------------------------------------------------------------
 */

const char *
streaming_output_mode_name(StreamingOutputMode mode)
{
	return output_mode_names[mode];
}

bool
streaming_output_mode_parse(const char *name, StreamingOutputMode *mode)
{
	for (int i = 0; i < lengthof(output_mode_names); i++)
	{
		if (strcmp(name, output_mode_names[i]) == 0)
		{
			*mode = i;
			return true;
		}
	}
	return false;
}

static StreamingSinkKind
sink_kind_of(const char *name)
{
	for (int i = 0; i < lengthof(sink_kind_names); i++)
	{
		if (strcmp(name, sink_kind_names[i]) == 0)
			return i;
	}
	elog(ERROR, "unknown kind of sink \"%s\"", name);
}

Oid
streaming_view_reads(const StreamingView *view)
{
	return view->sink.kind == STREAMING_SINK_RELATION ? view->sink.relid : view->result;
}

/* Error context: the message is interval_in's. */
static void
hint_trigger_values(void *arg)
{
	errhint("A trigger is \"asap\", \"manual\" or an interval.");
}

StreamingTriggerKind
streaming_trigger_parse(const char *text, int64 *us)
{
	ErrorContextCallback context;
	Interval   *interval;
	double		days;

	*us = 0;
	if (pg_strcasecmp(text, "asap") == 0)
		return STREAMING_TRIGGER_ASAP;
	if (pg_strcasecmp(text, "manual") == 0)
		return STREAMING_TRIGGER_MANUAL;

	context.callback = hint_trigger_values;
	context.arg = NULL;
	context.previous = error_context_stack;
	error_context_stack = &context;
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	error_context_stack = context.previous;
	days = (double) interval->month * DAYS_PER_MONTH + interval->day +
		(double) interval->time / USECS_PER_DAY;
	if (days > 100 * DAYS_PER_YEAR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger interval must be at most 100 years"),
				 errhint("Use \"manual\" for a view that runs only when streaming.drain is called.")));
	*us = (int64) (days * USECS_PER_DAY);
	if (*us <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger interval must be greater than zero"),
				 errhint("Use \"asap\" to process rows as soon as they arrive.")));
	return STREAMING_TRIGGER_INTERVAL;
}

/*
 * Where a row belongs: names this cluster, database and view.  A row with
 * another value was copied here, by pg_restore, pg_upgrade or CREATE DATABASE.
 */
static char *
home_of(Oid view)
{
	return psprintf(UINT64_FORMAT "/%u/%u", GetSystemIdentifier(), MyDatabaseId, view);
}

static List *
names_from_array(Datum array)
{
	Datum	   *elements;
	int			nelements;
	List	   *names = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &nelements);
	for (int i = 0; i < nelements; i++)
		names = lappend(names, TextDatumGetCString(elements[i]));
	return names;
}

static Datum
names_to_array(List *names)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			nelements = 0;
	ListCell   *lc;

	foreach(lc, names)
		elements[nelements++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, nelements, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

static StreamingView *
view_from_tuple(HeapTuple tuple, TupleDesc desc)
{
	Datum		values[Natts_continuous_view];
	bool		nulls[Natts_continuous_view];
	StreamingView *view = palloc0(sizeof(StreamingView));

	if (desc->natts != Natts_continuous_view)
		elog(ERROR, "streaming.continuous_view has %d columns, expected %d",
			 desc->natts, Natts_continuous_view);
	heap_deform_tuple(tuple, desc, values, nulls);

#define OID_OR_INVALID(anum) \
	(nulls[Index_of(anum)] ? InvalidOid : DatumGetObjectId(values[Index_of(anum)]))
#define INT64_OR_ZERO(anum) \
	(nulls[Index_of(anum)] ? 0 : DatumGetInt64(values[Index_of(anum)]))

	view->view = DatumGetObjectId(values[Index_of(Anum_view)]);
	view->id = DatumGetInt32(values[Index_of(Anum_id)]);
	view->definition = DatumGetObjectId(values[Index_of(Anum_definition)]);
	view->result = OID_OR_INVALID(Anum_result);
	view->sink.kind = sink_kind_of(TextDatumGetCString(values[Index_of(Anum_sink_kind)]));
	view->sink.relid = OID_OR_INVALID(Anum_sink);
	view->owner = streaming_relation_owner(view->view, true);
	if (!streaming_output_mode_parse(TextDatumGetCString(values[Index_of(Anum_output_mode)]),
									 &view->output_mode))
		elog(ERROR, "unknown output mode of continuous view %d", view->id);
	view->trigger_text = TextDatumGetCString(values[Index_of(Anum_trigger)]);
	view->trigger = streaming_trigger_parse(view->trigger_text, &view->trigger_us);
	if (!nulls[Index_of(Anum_start)])
		view->start = TextDatumGetCString(values[Index_of(Anum_start)]);
	view->max_rows = INT64_OR_ZERO(Anum_max_rows_per_trigger);
	view->max_files = INT64_OR_ZERO(Anum_max_files_per_trigger);
	view->enabled = DatumGetBool(values[Index_of(Anum_enabled)]);
	view->generation = DatumGetInt64(values[Index_of(Anum_generation)]);
	view->restored =
		strcmp(TextDatumGetCString(values[Index_of(Anum_home)]), home_of(view->view)) != 0;
	view->relations = names_from_array(values[Index_of(Anum_relations)]);
	return view;
}

static void
view_to_values(const StreamingView *view, Datum *values, bool *nulls)
{
	memset(nulls, false, Natts_continuous_view * sizeof(bool));

	values[Index_of(Anum_view)] = ObjectIdGetDatum(view->view);
	values[Index_of(Anum_id)] = Int32GetDatum(view->id);
	values[Index_of(Anum_definition)] = ObjectIdGetDatum(view->definition);
	values[Index_of(Anum_result)] = ObjectIdGetDatum(view->result);
	nulls[Index_of(Anum_result)] = !OidIsValid(view->result);
	values[Index_of(Anum_sink_kind)] = CStringGetTextDatum(sink_kind_names[view->sink.kind]);
	values[Index_of(Anum_sink)] = ObjectIdGetDatum(view->sink.relid);
	nulls[Index_of(Anum_sink)] = !OidIsValid(view->sink.relid);
	values[Index_of(Anum_output_mode)] =
		CStringGetTextDatum(output_mode_names[view->output_mode]);
	values[Index_of(Anum_trigger)] = CStringGetTextDatum(view->trigger_text);
	if (view->start)
		values[Index_of(Anum_start)] = CStringGetTextDatum(view->start);
	nulls[Index_of(Anum_start)] = view->start == NULL;
	values[Index_of(Anum_max_rows_per_trigger)] = Int64GetDatum(view->max_rows);
	nulls[Index_of(Anum_max_rows_per_trigger)] = view->max_rows == 0;
	values[Index_of(Anum_max_files_per_trigger)] = Int64GetDatum(view->max_files);
	nulls[Index_of(Anum_max_files_per_trigger)] = view->max_files == 0;
	values[Index_of(Anum_enabled)] = BoolGetDatum(view->enabled);
	values[Index_of(Anum_generation)] = Int64GetDatum(view->generation);
	values[Index_of(Anum_home)] = CStringGetTextDatum(home_of(view->view));
	values[Index_of(Anum_relations)] = names_to_array(view->relations);
}

/* ---------------------------------------------------------------------------
 * Continuous views
 * ---------------------------------------------------------------------------
 */

/* InvalidOid if there is no such relation. */
Oid
streaming_relation_owner(Oid relid, bool missing_ok)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	else if (!missing_ok)
		elog(ERROR, "cache lookup failed for relation %u", relid);
	return owner;
}

StreamingView *
streaming_catalog_view(Oid view, bool missing_ok)
{
	TableScan	scan;
	HeapTuple	tuple;
	StreamingView *result = NULL;

	view_scan_begin(&scan, &view, AccessShareLock);
	tuple = table_scan_next(&scan);
	if (tuple)
		result = view_from_tuple(tuple, RelationGetDescr(scan.relation));
	table_scan_end(&scan);

	if (result == NULL && !missing_ok)
	{
		char	   *name = get_rel_name(view);

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", view)));
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a continuous view", name),
				 errhint("Continuous views are made by CREATE VIEW ... WITH (streaming.continuous).")));
	}
	return result;
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	int32		left = ((StreamingView *) lfirst(a))->id;
	int32		right = ((StreamingView *) lfirst(b))->id;

	return (left > right) - (left < right);
}

static List *
views_of_kind(bool restored)
{
	TableScan	scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	view_scan_begin(&scan, NULL, AccessShareLock);
	while ((tuple = table_scan_next(&scan)) != NULL)
	{
		StreamingView *view = view_from_tuple(tuple, RelationGetDescr(scan.relation));

		/* one that was dropped while the library was not loaded has no owner */
		if ((view->restored || !OidIsValid(view->owner)) == restored)
			result = lappend(result, view);
	}
	table_scan_end(&scan);
	list_sort(result, compare_ids);
	return result;
}

List *
streaming_catalog_views(void)
{
	return views_of_kind(false);
}

List *
streaming_catalog_restored_views(void)
{
	return views_of_kind(true);
}

void
streaming_catalog_insert_view(const StreamingView *view)
{
	Datum		values[Natts_continuous_view];
	bool		nulls[Natts_continuous_view];
	Oid			table_oid = get_relname_relid("continuous_view", streaming_catalog_namespace());
	Relation	table = table_open(table_oid, RowExclusiveLock);
	HeapTuple	tuple;

	view_to_values(view, values, nulls);
	tuple = heap_form_tuple(RelationGetDescr(table), values, nulls);
	CatalogTupleInsert(table, tuple);
	heap_freetuple(tuple);
	table_close(table, NoLock);
	CommandCounterIncrement();
}

/*
 * Writes row relid anew: with the options of view (or NULL), which raises its
 * generation, and with one more relation (or NULL).
 */
static void
rewrite_view(Oid relid, const StreamingView *view, char *relation)
{
	TableScan	scan;
	HeapTuple	tuple;
	HeapTuple	new_tuple;
	StreamingView updated;
	Datum		values[Natts_continuous_view];
	bool		nulls[Natts_continuous_view];

	view_scan_begin(&scan, &relid, RowExclusiveLock);
	tuple = table_scan_next(&scan);
	if (tuple == NULL)
		elog(ERROR, "continuous view %u does not exist", relid);

	/* what is in the table counts for all that is no option */
	updated = *view_from_tuple(tuple, RelationGetDescr(scan.relation));
	if (view)
	{
		updated.trigger_text = view->trigger_text;
		updated.max_rows = view->max_rows;
		updated.max_files = view->max_files;
		updated.enabled = view->enabled;
		updated.generation++;
	}
	if (relation)
		updated.relations = lappend(updated.relations, relation);
	view_to_values(&updated, values, nulls);
	new_tuple = heap_form_tuple(RelationGetDescr(scan.relation), values, nulls);
	CatalogTupleUpdate(scan.relation, &tuple->t_self, new_tuple);
	heap_freetuple(new_tuple);
	table_scan_end(&scan);
	/* whoever runs it reads the row again */
	CacheInvalidateRelcacheByRelid(relid);
	CommandCounterIncrement();
}

void
streaming_catalog_update_view(const StreamingView *view)
{
	rewrite_view(view->view, view, NULL);
}

void
streaming_catalog_settle_view(Oid view)
{
	rewrite_view(view, NULL, NULL);
}

void
streaming_catalog_add_relation(Oid view, char *name)
{
	rewrite_view(view, NULL, name);
}

int32
streaming_catalog_next_id(void)
{
	Oid			sequence = get_relname_relid("continuous_view_id",
											 streaming_catalog_namespace());

	return (int32) nextval_internal(sequence, false);
}

/*
 * All rows about a relation go.  The caller is dropping it, and so holds a lock
 * that keeps everybody else from writing such rows.
 */
void
streaming_catalog_forget(Oid relid)
{
	for (int i = 0; i < lengthof(tables_by_relation); i++)
	{
		TableScan	scan;
		HeapTuple	tuple;

		table_scan_begin(&scan, tables_by_relation[i].table, tables_by_relation[i].index,
						 &relid, RowExclusiveLock);
		while ((tuple = table_scan_next(&scan)) != NULL)
			CatalogTupleDelete(scan.relation, &tuple->t_self);
		table_scan_end(&scan);
	}
	CommandCounterIncrement();
}

/* streaming.watermark(view regclass) */
Datum
streaming_watermark(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	TableScan	scan;
	HeapTuple	tuple;
	Datum		watermark = (Datum) 0;
	bool		isnull = true;

	streaming_require_loaded();
	(void) streaming_catalog_view(view, false);
	table_scan_begin(&scan, "progress", "progress_pkey", &view, AccessShareLock);
	tuple = table_scan_next(&scan);
	if (tuple)
		watermark = heap_getattr(tuple, Anum_progress_watermark,
								 RelationGetDescr(scan.relation), &isnull);
	table_scan_end(&scan);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(watermark);
}

/* ---------------------------------------------------------------------------
 * What reads what
 * ---------------------------------------------------------------------------
 */

/* Is relid a row of continuous_view?  Cheaper than reading it. */
static bool
is_continuous_view(Oid relid)
{
	TableScan	scan;
	bool		found;

	view_scan_begin(&scan, &relid, AccessShareLock);
	found = table_scan_next(&scan) != NULL;
	table_scan_end(&scan);
	return found;
}

List *
streaming_catalog_named(Oid view, Oid class)
{
	Oid			rule = GetSysCacheOid2(RULERELNAME, Anum_pg_rewrite_oid,
									   ObjectIdGetDatum(view), CStringGetDatum("_RETURN"));
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *objects = NIL;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RewriteRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, keys);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		if (row->refclassid == class && row->refobjid != view)
			objects = list_append_unique_oid(objects, row->refobjid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return objects;
}

/* Streams and continuous views among them, through other ordinary views. */
static List *
add_inputs_of_rule(List *inputs, Oid view)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_named(view, RelationRelationId))
	{
		Oid			relid = lfirst_oid(lc);
		StreamingSourceKind kind;

		if (streaming_is_stream(relid, &kind))
			inputs = list_append_unique_oid(inputs, relid);
		else if (get_rel_relkind(relid) == RELKIND_VIEW)
		{
			if (is_continuous_view(relid))
				inputs = list_append_unique_oid(inputs, relid);
			else
				inputs = add_inputs_of_rule(inputs, relid);
		}
	}
	return inputs;
}

List *
streaming_catalog_inputs(Oid definition)
{
	return add_inputs_of_rule(NIL, definition);
}

List *
streaming_catalog_streams_of_view(Oid view)
{
	StreamingView *row = streaming_catalog_view(view, true);

	return row ? streaming_catalog_inputs(row->definition) : NIL;
}

List *
streaming_catalog_views_of_stream(Oid stream)
{
	TableScan	scan;
	HeapTuple	tuple;
	List	   *rows = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	view_scan_begin(&scan, NULL, AccessShareLock);
	while ((tuple = table_scan_next(&scan)) != NULL)
		rows = lappend(rows, view_from_tuple(tuple, RelationGetDescr(scan.relation)));
	table_scan_end(&scan);

	foreach(lc, rows)
	{
		StreamingView *row = lfirst(lc);

		if (list_member_oid(streaming_catalog_inputs(row->definition), stream))
			result = lappend_oid(result, row->view);
	}
	return result;
}

Oid
streaming_catalog_owner(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("streaming"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (tuple)
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return owner;
}
