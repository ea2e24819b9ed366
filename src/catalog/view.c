/*
 * view.c
 *		Reads and writes the extension's tables; the only file that knows the
 *		columns of streaming_internal.continuous_view.
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
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/timestamp.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "base/depend.h"
#include "catalog/view.h"
#include "catalog/catalog_table.h"
#include "base/settings.h"
#include "catalog/stream.h"

/* Columns of streaming_internal.continuous_view. */
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
	Anum_catch_up_rate,
	Anum_enabled,
	Anum_settings,
	Anum_generation,
	Anum_home,
	Anum_relations,
	Anum_tables,
	_Anum_end,
};

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

static const StreamingTableColumn view_columns[] = {
	{"view", REGCLASSOID},
	{"id", INT4OID},
	{"definition", REGCLASSOID},
	{"result", REGCLASSOID, true},
	{"sink_kind", TEXTOID},
	{"sink", REGCLASSOID, true},
	{"output_mode", TEXTOID},
	{"trigger", TEXTOID},
	{"start", TEXTOID, true},
	{"max_rows_per_trigger", INT8OID, true},
	{"max_files_per_trigger", INT8OID, true},
	{"catch_up_rate", INT8OID, true},
	{"enabled", BOOLOID},
	{"settings", TEXTARRAYOID},
	{"generation", INT8OID},
	{"home", TEXTOID},
	{"relations", TEXTARRAYOID},
	{"tables", REGCLASSARRAYOID},
};

StaticAssertDecl(lengthof(view_columns) == Natts_continuous_view,
				 "columns of streaming_internal.continuous_view");

static StreamingTableDef view_table =
{"continuous_view", Natts_continuous_view, view_columns, {{Anum_view}}};

/*
 * Tables with rows of single relations, by the column that says which.  Of a row
 * that is to go nothing else is read, so that it goes however damaged it is.
 */
static const StreamingTableColumn of_view[] = {{"view", REGCLASSOID}};
static const StreamingTableColumn of_stream[] = {{"stream", REGCLASSOID}};

static StreamingTableDef tables_by_relation[] = {
	{"continuous_view", 1, of_view, {{1}}},
	{"checkpoints", 1, of_view, {{1}}, .for_users = true},
	{"progress", 1, of_view, {{1}}},
	{"planned_batches", 1, of_view, {{1}}},
	{"missed_rows", 1, of_view, {{1}}},
	{"missed_rows", 1, of_stream, {{1}}},
	{"files", 1, of_stream, {{1}}, .for_users = true},
	{"topics", 1, of_stream, {{1}}},
	{"topic_partitions", 1, of_stream, {{1}}},
	{"push_segments", 1, of_stream, {{1}}},
	{"deliveries", 1, of_stream, {{1}}},
	{"outbox", 1, of_stream, {{1}}},
	{"outbox_transactions", 1, of_stream, {{1}}},
	{"rejected_rows", 1, of_stream, {{1}}, .for_users = true},
};

/* A scan of one of them; not open if the extension is not there. */
typedef struct TableScan
{
	bool		open;
	StreamingTable table;
	SysScanDesc scan;
} TableScan;


/* ---------------------------------------------------------------------------
 * Access to the tables
 * ---------------------------------------------------------------------------
 */

/* Rows of *relid, which is the first column, or if that is NULL all rows. */
static void
table_scan_begin(TableScan *scan, StreamingTableDef *def, const Oid *relid, LOCKMODE lockmode,
				 bool missing_ok)
{
	ScanKeyData key;

	scan->open = streaming_table_open(&scan->table, def, lockmode, missing_ok);
	if (!scan->open)
		return;
	if (relid)
		streaming_table_key(&scan->table, &key, 1, BTEqualStrategyNumber, F_OIDEQ,
							ObjectIdGetDatum(*relid));
	scan->scan = streaming_table_scan(&scan->table, relid ? 0 : -1, NULL, relid ? 1 : 0, &key);
}

static HeapTuple
table_scan_next(TableScan *scan)
{
	return scan->open ? systable_getnext(scan->scan) : NULL;
}

/* Keeps the lock on the table. */
static void
table_scan_end(TableScan *scan)
{
	if (!scan->open)
		return;
	systable_endscan(scan->scan);
	streaming_table_close(&scan->table, NoLock);
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

const char *
streaming_sink_kind_name(StreamingSinkKind kind)
{
	return sink_kind_names[kind];
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

static bool
sink_kind_parse(const char *name, StreamingSinkKind *kind)
{
	for (int i = 0; i < lengthof(sink_kind_names); i++)
	{
		if (strcmp(name, sink_kind_names[i]) == 0)
		{
			*kind = i;
			return true;
		}
	}
	return false;
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

/* False: a name is NULL. */
static bool
names_from_array(Datum array, List **names)
{
	Datum	   *elements;
	bool	   *isnull;
	int			nelements;

	*names = NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &isnull, &nelements);
	for (int i = 0; i < nelements; i++)
	{
		if (isnull[i])
			return false;
		*names = lappend(*names, TextDatumGetCString(elements[i]));
	}
	return true;
}

/* False: an element is NULL. */
static bool
relations_from_array(Datum array, List **relids)
{
	Datum	   *elements;
	bool	   *isnull;
	int			nelements;

	*relids = NIL;
	deconstruct_array(DatumGetArrayTypeP(array), REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, &isnull, &nelements);
	for (int i = 0; i < nelements; i++)
	{
		if (isnull[i])
			return false;
		*relids = lappend_oid(*relids, DatumGetObjectId(elements[i]));
	}
	return true;
}

static Datum
relations_to_array(List *relids)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(relids), 1));
	int			nelements = 0;
	ListCell   *lc;

	foreach(lc, relids)
		elements[nelements++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, nelements, REGCLASSOID, sizeof(Oid), true,
										   TYPALIGN_INT));
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

/* Whether their values are valid is seen when they are used. */
static bool
are_settings(List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
	{
		const char *value;

		if (streaming_setting_parse(lfirst(lc), &value) == NULL)
			return false;
	}
	return true;
}

/*
 * Is text a trigger?  Whoever has damaged the row has not asked
 * streaming_trigger_parse; interval_in leaves nothing behind that an abort would
 * have to take away.
 */
static bool
is_trigger(const char *text, StreamingTriggerKind *kind, int64 *us)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback *callback = error_context_stack;
	volatile bool good = true;

	PG_TRY();
	{
		*kind = streaming_trigger_parse(text, us);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error_context_stack = callback;
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		good = false;
	}
	PG_END_TRY();
	return good;
}

/*
 * A part is gone; so is the view, if somebody is dropping it at this moment, and
 * who does that has a lock until all have heard of it.
 */
static bool
is_dropped(Oid view)
{
	bool		dropped;

	LockRelationOid(view, AccessShareLock);
	dropped = get_rel_relkind(view) == '\0';
	UnlockRelationOid(view, AccessShareLock);
	return dropped;
}

/*
 * The column of view that refers to a relation of another kind, or NULL.  If the
 * view is no more its owner becomes Invalid, and what it refers to is gone, too.
 */
static const char *
wrong_reference(StreamingView *view)
{
	const char *wrong = NULL;
	ListCell   *lc;

	if (!OidIsValid(view->owner))
		return NULL;
	if (get_rel_relkind(view->view) != RELKIND_VIEW)
		wrong = "view";
	else if (get_rel_relkind(view->definition) != RELKIND_VIEW || view->definition == view->view)
		wrong = "definition";
	else if (OidIsValid(view->result) && get_rel_relkind(view->result) != RELKIND_RELATION)
		wrong = "result";
	else if (OidIsValid(view->sink.relid) != (view->sink.kind == STREAMING_SINK_RELATION))
		wrong = "sink";
	foreach(lc, view->tables)
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));

		if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
			wrong = "tables";
	}
	if (wrong && is_dropped(view->view))
	{
		view->owner = InvalidOid;
		wrong = NULL;
	}
	return wrong;
}

/*
 * Of a row that makes no sense, NULL; then *damage is the name of a column that
 * has a wrong value.
 */
static StreamingView *
try_view_from_tuple(const StreamingTable *table, HeapTuple tuple, const char **damage)
{
	Datum		values[Natts_continuous_view];
	bool		nulls[Natts_continuous_view];
	StreamingView *view = palloc0(sizeof(StreamingView));

	*damage = streaming_table_try_read(table, tuple, values, nulls);
	if (*damage)
		return NULL;

#define OID_OR_INVALID(anum) \
	(nulls[Index_of(anum)] ? InvalidOid : DatumGetObjectId(values[Index_of(anum)]))
#define INT64_OR_ZERO(anum) \
	(nulls[Index_of(anum)] ? 0 : DatumGetInt64(values[Index_of(anum)]))

	view->view = DatumGetObjectId(values[Index_of(Anum_view)]);
	view->id = DatumGetInt32(values[Index_of(Anum_id)]);
	view->definition = DatumGetObjectId(values[Index_of(Anum_definition)]);
	view->result = OID_OR_INVALID(Anum_result);
	view->sink.relid = OID_OR_INVALID(Anum_sink);
	view->owner = streaming_relation_owner(view->view, true);
	view->trigger_text = TextDatumGetCString(values[Index_of(Anum_trigger)]);
	if (!nulls[Index_of(Anum_start)])
		view->start = TextDatumGetCString(values[Index_of(Anum_start)]);
	view->max_rows = INT64_OR_ZERO(Anum_max_rows_per_trigger);
	view->max_files = INT64_OR_ZERO(Anum_max_files_per_trigger);
	view->catch_up_rate = INT64_OR_ZERO(Anum_catch_up_rate);
	view->enabled = DatumGetBool(values[Index_of(Anum_enabled)]);
	view->generation = DatumGetInt64(values[Index_of(Anum_generation)]);
	view->restored =
		strcmp(TextDatumGetCString(values[Index_of(Anum_home)]), home_of(view->view)) != 0;
	view->begins = strcmp(TextDatumGetCString(values[Index_of(Anum_home)]),
						  STREAMING_HOME_NONE) == 0;

	if (view->id <= 0)
		*damage = "id";
	else if (view->max_rows < 0)
		*damage = "max_rows_per_trigger";
	else if (view->max_files < 0)
		*damage = "max_files_per_trigger";
	else if (view->catch_up_rate < 0)
		*damage = "catch_up_rate";
	else if (!sink_kind_parse(TextDatumGetCString(values[Index_of(Anum_sink_kind)]),
							  &view->sink.kind))
		*damage = "sink_kind";
	else if (!streaming_output_mode_parse(TextDatumGetCString(values[Index_of(Anum_output_mode)]),
										  &view->output_mode))
		*damage = "output_mode";
	else if (!is_trigger(view->trigger_text, &view->trigger, &view->trigger_us))
		*damage = "trigger";
	else if (!names_from_array(values[Index_of(Anum_relations)], &view->relations))
		*damage = "relations";
	else if (!relations_from_array(values[Index_of(Anum_tables)], &view->tables))
		*damage = "tables";
	else if (!names_from_array(values[Index_of(Anum_settings)], &view->settings) ||
			 !are_settings(view->settings))
		*damage = "settings";
	else
		*damage = wrong_reference(view);
	return *damage ? NULL : view;
}

static const char *
damage_message(const char *column)
{
	return psprintf("a row of table \"%s.continuous_view\" has a wrong value in column \"%s\"",
					STREAMING_INTERNAL_SCHEMA, column);
}

#define DAMAGE_HINT "Set it right, or drop the continuous view."

/* Of a row that makes no sense, NULL and a warning: one such view stops no others. */
static StreamingView *
view_from_tuple(const StreamingTable *table, HeapTuple tuple)
{
	const char *damage;
	StreamingView *view = try_view_from_tuple(table, tuple, &damage);

	if (view == NULL)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s", damage_message(damage)),
				 errhint(DAMAGE_HINT)));
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
	values[Index_of(Anum_catch_up_rate)] = Int64GetDatum(view->catch_up_rate);
	nulls[Index_of(Anum_catch_up_rate)] = view->catch_up_rate == 0;
	values[Index_of(Anum_enabled)] = BoolGetDatum(view->enabled);
	values[Index_of(Anum_settings)] = names_to_array(view->settings);
	values[Index_of(Anum_generation)] = Int64GetDatum(view->generation);
	values[Index_of(Anum_home)] = CStringGetTextDatum(home_of(view->view));
	values[Index_of(Anum_relations)] = names_to_array(view->relations);
	values[Index_of(Anum_tables)] = relations_to_array(view->tables);
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

bool
streaming_may_monitor(Oid relid)
{
	Oid			owner = streaming_relation_owner(relid, true);

	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		(OidIsValid(owner) && has_privs_of_role(GetUserId(), owner));
}

/* NULL, with *damage NULL: there is no row. */
static StreamingView *
find_view(Oid view, const char **damage)
{
	TableScan	scan;
	HeapTuple	tuple;
	StreamingView *result = NULL;

	*damage = NULL;
	table_scan_begin(&scan, &view_table, &view, AccessShareLock, true);
	tuple = table_scan_next(&scan);
	if (tuple)
		result = try_view_from_tuple(&scan.table, tuple, damage);
	table_scan_end(&scan);
	return result;
}

const char *
streaming_catalog_damage(Oid view)
{
	const char *damage;

	(void) find_view(view, &damage);
	return damage ? damage_message(damage) : NULL;
}

StreamingView *
streaming_catalog_view(Oid view, bool missing_ok)
{
	const char *damage;
	StreamingView *result = find_view(view, &damage);

	if (damage)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s", damage_message(damage)),
				 errhint(DAMAGE_HINT)));
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

/* Without the unique key there may be some; they would share their tables. */
static List *
without_duplicates(List *views)
{
	List	   *result = NIL;
	int32		last_id = 0;
	ListCell   *lc;

	foreach(lc, views)
	{
		StreamingView *view = lfirst(lc);

		if (view->id == last_id)
			ereport(WARNING,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("table \"%s.continuous_view\" has more than one row with id %d",
							STREAMING_INTERNAL_SCHEMA, view->id),
					 errhint("Delete all but one.")));
		else
			result = lappend(result, view);
		last_id = view->id;
	}
	return result;
}

static List *
views_of_kind(bool restored)
{
	TableScan	scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	table_scan_begin(&scan, &view_table, NULL, AccessShareLock, !streaming_is_installed());
	while ((tuple = table_scan_next(&scan)) != NULL)
	{
		StreamingView *view = view_from_tuple(&scan.table, tuple);

		/* one that was dropped while the library was not loaded has no owner */
		if (view && (view->restored || !OidIsValid(view->owner)) == restored)
			result = lappend(result, view);
	}
	table_scan_end(&scan);
	list_sort(result, compare_ids);
	return without_duplicates(result);
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
	StreamingTable table;

	(void) streaming_table_open(&table, &view_table, RowExclusiveLock, false);
	view_to_values(view, values, nulls);
	streaming_table_write(&table, NULL, values, nulls);
	streaming_table_close(&table, NoLock);
	CommandCounterIncrement();
}

/*
 * Writes row relid anew: with the options of view (or NULL), which raises its
 * generation, and with one more relation (or NULL).
 */
static void
rewrite_view(Oid relid, const StreamingView *view, char *relation)
{
	StreamingView updated;
	TableScan	scan;
	HeapTuple	tuple;
	Datum		values[Natts_continuous_view];
	bool		nulls[Natts_continuous_view];

	/* what is in the table counts for all that is no option */
	updated = *streaming_catalog_view(relid, false);
	if (view)
	{
		updated.trigger_text = view->trigger_text;
		updated.max_rows = view->max_rows;
		updated.max_files = view->max_files;
		updated.catch_up_rate = view->catch_up_rate;
		updated.enabled = view->enabled;
		updated.settings = view->settings;
		updated.generation++;
	}
	if (relation)
		updated.relations = lappend(updated.relations, relation);
	view_to_values(&updated, values, nulls);

	table_scan_begin(&scan, &view_table, &relid, RowExclusiveLock, true);
	tuple = table_scan_next(&scan);
	if (tuple == NULL)
		elog(ERROR, "continuous view %u does not exist", relid);
	streaming_table_write(&scan.table, tuple, values, nulls);
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

static Oid
view_ids(void)
{
	return streaming_member_table(streaming_internal_namespace(), "continuous_view_id");
}

/* Databases made from the same template have the same sequence. */
int32
streaming_catalog_next_id(void)
{
	int32		id;

	do
	{
		uint32		number = (uint32) nextval_internal(view_ids(), false);

		id = (number + murmurhash32(MyDatabaseId)) % PG_INT32_MAX + 1;
	} while (OidIsValid(get_relname_relid(streaming_definition_name(id),
										  streaming_internal_namespace())));
	return id;
}

char *
streaming_definition_name(int32 id)
{
	return psprintf("definition_%d", id);
}

uint32
streaming_catalog_token(void)
{
	/* asked for by each statement that pushes; it never changes */
	static Oid	namespace = InvalidOid;
	static uint32 token;
	HeapTuple	tuple;

	if (OidIsValid(namespace) && namespace == streaming_catalog_namespace())
		return token;
	tuple = SearchSysCache1(SEQRELID,
							ObjectIdGetDatum(view_ids()));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("sequence \"%s.continuous_view_id\" is missing", STREAMING_INTERNAL_SCHEMA)));
	token = (uint32) ((Form_pg_sequence) GETSTRUCT(tuple))->seqstart;
	ReleaseSysCache(tuple);
	namespace = streaming_catalog_namespace();
	return token;
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

		table_scan_begin(&scan, &tables_by_relation[i], &relid, RowExclusiveLock, true);
		while ((tuple = table_scan_next(&scan)) != NULL)
			CatalogTupleDelete(scan.table.rel, &tuple->t_self);
		table_scan_end(&scan);
	}
	CommandCounterIncrement();
}

/* ---------------------------------------------------------------------------
 * What reads what
 * ---------------------------------------------------------------------------
 */

bool
streaming_catalog_has_view(Oid relid)
{
	TableScan	scan;
	bool		found;

	table_scan_begin(&scan, &tables_by_relation[0], &relid, AccessShareLock, true);
	found = table_scan_next(&scan) != NULL;
	table_scan_end(&scan);
	return found;
}

List *
streaming_catalog_named(Oid view, Oid class)
{
	List	   *objects = NIL;
	ListCell   *lc;

	foreach(lc, streaming_query_dependencies(view))
	{
		StreamingDependency *named = lfirst(lc);

		if (named->class == class && named->object != view)
			objects = list_append_unique_oid(objects, named->object);
	}
	return objects;
}

/*
 * Streams and continuous views among them, through other ordinary views.  Those that
 * have been looked into are in *seen: each may be named many times, also by itself.
 */
static List *
add_inputs_of_rule(List *inputs, Oid view, List **seen)
{
	ListCell   *lc;

	if (list_member_oid(*seen, view))
		return inputs;
	check_stack_depth();
	*seen = lappend_oid(*seen, view);
	foreach(lc, streaming_catalog_named(view, RelationRelationId))
	{
		Oid			relid = lfirst_oid(lc);
		StreamingSourceKind kind;

		if (streaming_is_stream(relid, &kind))
			inputs = list_append_unique_oid(inputs, relid);
		else if (get_rel_relkind(relid) == RELKIND_VIEW)
		{
			if (streaming_catalog_has_view(relid))
				inputs = list_append_unique_oid(inputs, relid);
			else
				inputs = add_inputs_of_rule(inputs, relid, seen);
		}
	}
	return inputs;
}

List *
streaming_catalog_inputs(Oid definition)
{
	List	   *seen = NIL;

	return add_inputs_of_rule(NIL, definition, &seen);
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

	table_scan_begin(&scan, &view_table, NULL, AccessShareLock, !streaming_is_installed());
	while ((tuple = table_scan_next(&scan)) != NULL)
	{
		StreamingView *row = view_from_tuple(&scan.table, tuple);

		if (row)
			rows = lappend(rows, row);
	}
	table_scan_end(&scan);

	foreach(lc, rows)
	{
		StreamingView *row = lfirst(lc);

		if (list_member_oid(streaming_catalog_inputs(row->definition), stream) ||
			list_member_oid(row->tables, stream))
			result = lappend_oid(result, row->view);
	}
	/* not as updates have moved their rows, so that the same one is told of first */
	list_sort(result, list_oid_cmp);
	return result;
}
