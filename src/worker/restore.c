/*
 * restore.c
 *		Views that came from elsewhere: pg_restore, pg_upgrade, CREATE DATABASE
 *		... TEMPLATE.
 *
 * pg_dump takes the catalog's rows, the views that users read, the definitions
 * and the tables, all of them as ordinary objects in an order of its own; rows
 * come before indexes, and workers watch all the time.  It does not take what
 * the parts have in common, DEPENDENCY_INTERNAL.
 *
 * A row tells that it was copied (StreamingView.restored).  Its view waits until
 * all is there, then the dependencies are recorded anew and it begins to run,
 * from the checkpoint that came with it.  On the same way rows are removed whose
 * views were dropped while the library was not loaded.
 *
 * That all is there cannot be seen from the parts: pg_restore -j loads tables
 * in any order, and an empty one may be empty or not loaded yet.  But what it
 * does last, after all data, indexes and constraints, is to refresh
 * materialized views.  So there is one, streaming_internal.restored, made with
 * the first continuous view; in a database that is being restored it is not
 * populated.
 *
 * A database that has continuous views may be restored into: then the marker is
 * there, and is emptied instead of made.
 *
 * A dump without data (pg_dump -s) has no rows of streaming_internal.continuous_view.  What
 * they say is in a view besides, streaming_internal.options_<id>, which PostgreSQL
 * dumps and in which it keeps names right; such views begin as new ones.  Whether
 * data are still to come nobody can see, so the marker is not populated until
 * somebody says that all is there by refreshing it.  The rows are written then, by the
 * function in the marker's query, so that who has refreshed it finds the views.
 *
 * pg_upgrade carries everything, but not the dependencies.
 *
 * Pushed rows that views have not taken are not in a dump: which ones these are
 * is told by transaction ids of the old cluster.  A dump says that there were
 * such rows by leaving out the checkpoint of the view in that stream: the
 * condition of pg_extension_config_dump, streaming_check_dump, looks at the
 * rows.  Every view of a pushed stream has a checkpoint from its beginning, so
 * when a restored one has none, that goes to streaming.rejected_rows and to the
 * log.  The tables that the rows are in come with the dump and belong to
 * nothing; they are dropped when all is there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "catalog/object_name.h"
#include "base/attempt.h"
#include "catalog/checkpoint.h"
#include "sink/sink.h"
#include "input/input.h"
#include "push/follow.h"
#include "query/program.h"
#include "shared/shmem.h"
#include "push/source_push.h"
#include "shared/notify.h"
#include "worker/worker.h"
#include "catalog/internal.h"

#define MARKER "restored"
#define LOCK_WAIT	"1s"		/* at most for each lock on a part of a view */

PG_FUNCTION_INFO_V1(streaming_notify_workers);
PG_FUNCTION_INFO_V1(streaming_check_dump);
PG_FUNCTION_INFO_V1(streaming_restore_rows);

static void drop_orphans(void);
static void check_may_restore(Oid relid);

/* ---------------------------------------------------------------------------
 * Is all there?
 * ---------------------------------------------------------------------------
 */

static Oid
marker(void)
{
	return get_relname_relid(MARKER, streaming_internal_namespace());
}

void
streaming_restore_make_marker(void)
{
	StreamingOwnerRights rights;

	if (OidIsValid(marker()))
		return;

	/* One at a time. */
	LockDatabaseObject(NamespaceRelationId, streaming_internal_namespace(), 0,
					   ShareUpdateExclusiveLock);
	if (OidIsValid(marker()))
		return;
	streaming_owner_rights_begin(&rights);
	streaming_run_sql("CREATE MATERIALIZED VIEW " STREAMING_INTERNAL_SCHEMA "." MARKER
					  " AS SELECT " STREAMING_INTERNAL_SCHEMA ".restore_rows() AS complete");
	streaming_run_sql("COMMENT ON MATERIALIZED VIEW " STREAMING_INTERNAL_SCHEMA "." MARKER
					  " IS 'populated when all of a dump is restored'");
	streaming_run_sql("ALTER MATERIALIZED VIEW " STREAMING_INTERNAL_SCHEMA "." MARKER
					  " DEPENDS ON EXTENSION streaming");
	streaming_owner_rights_end(&rights);
	drop_orphans();
}

bool
streaming_restore_is_marker(const RangeVar *name)
{
	return name->schemaname && strcmp(name->schemaname, STREAMING_INTERNAL_SCHEMA) == 0 &&
		strcmp(name->relname, MARKER) == 0;
}

/* A relation's row of pg_class, copied; false: there is none. */
static bool
read_class(Oid relid, FormData_pg_class *form)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		return false;
	memcpy(form, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	ReleaseSysCache(tuple);
	return true;
}

/*
 * A dump makes the marker: where it is there already, it says that not all is
 * there.  False: it is not, or name is not the marker's.
 */
bool
streaming_restore_begin(const RangeVar *name)
{
	if (!streaming_restore_is_marker(name) || !streaming_is_installed() || !OidIsValid(marker()))
		return false;
	check_may_restore(marker());
	streaming_run_sql("REFRESH MATERIALIZED VIEW " STREAMING_INTERNAL_SCHEMA "." MARKER
					  " WITH NO DATA");
	return true;
}

static void
check_may_restore(Oid relid)
{
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, MARKER);
}

static bool
is_populated(Oid relid)
{
	FormData_pg_class form;

	return read_class(relid, &form) && form.relispopulated;
}

/* Those come late in a dump. */
static bool
has_triggers(Oid relid)
{
	FormData_pg_class form;

	return read_class(relid, &form) && form.relhastriggers;
}

bool
streaming_restore_is_complete(const StreamingView *view)
{
	ListCell   *lc;

	if (!is_populated(marker()) || !has_triggers(view->view))
		return false;
	foreach(lc, view->relations)
	{
		if (!OidIsValid(get_relname_relid(lfirst(lc), streaming_internal_namespace())))
			return false;
	}

	/* pg_dump makes a view twice if its table is a part of it: first as SELECT NULL ... */
	if (!OidIsValid(streaming_view_reads(view)))
		return true;
	return list_member_oid(streaming_catalog_named(view->view, RelationRelationId),
						   streaming_view_reads(view));
}

/*
 * Says what the dump could not carry, and begins with what is pushed from now on.
 * A view over a view loads that anew where it has no checkpoint (worker/reset.c).
 */
static void
restore_pushed(StreamingView *view)
{
	StreamingOwnerRights rights;
	char	   *name = streaming_qualified_name(view->view);
	ListCell   *lc;

	foreach(lc, streaming_catalog_streams_of_view(view->view))
	{
		StreamingSourceKind kind;

		if (!streaming_is_stream(lfirst_oid(lc), &kind) || kind != STREAMING_SOURCE_PUSH ||
			streaming_checkpoint_read(view->view, lfirst_oid(lc)) != NIL)
			continue;
		streaming_input_initialize(view, lfirst_oid(lc));
		streaming_owner_rights_begin(&rights);
		streaming_run_sql(psprintf("INSERT INTO " STREAMING_SCHEMA ".rejected_rows "
								   "(stream, partition, position, error) "
								   "VALUES (%u, '0', %s, %s) ON CONFLICT DO NOTHING",
								   lfirst_oid(lc),
								   quote_literal_cstr(psprintf("restore of %s", name)),
								   quote_literal_cstr(psprintf("pushed rows that continuous view %s had not taken when the database was dumped are missing",
															   name))));
		streaming_owner_rights_end(&rights);
		ereport(WARNING,
				(errmsg("pushed rows of \"%s\" that continuous view \"%s\" had not taken when the database was dumped are missing",
						get_rel_name(lfirst_oid(lc)), get_rel_name(view->view)),
				 errdetail("streaming.rejected_rows says so, too.")));
	}
}

/* As CREATE VIEW. */
static void
begin_view(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_streams_of_view(view->view))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			streaming_input_initialize(view, lfirst_oid(lc));
	}
}

static void
restore_view(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, view->relations)
	{
		Oid			relid = get_relname_relid(lfirst(lc), streaming_internal_namespace());

		if (get_rel_relkind(relid) != RELKIND_INDEX)
			streaming_internal_adopt(relid, view->view);
	}
	foreach(lc, view->tables)
		streaming_follow_capture(lfirst_oid(lc), view->definition, view->owner);
	if (view->begins)
		begin_view(view);
	else
		restore_pushed(view);
	streaming_catalog_settle_view(view->view);
}

/* ---------------------------------------------------------------------------
 * Restoring
 * ---------------------------------------------------------------------------
 */

/* A view that may be complete now. */
typedef struct Candidate
{
	Oid			relid;
	bool		locked;			/* somebody has it locked */
	bool		restored;
} Candidate;

static void
restore_candidate(void *arg)
{
	Candidate  *candidate = arg;
	StreamingView *view;

	candidate->locked = !ConditionalLockRelationOid(candidate->relid, AccessShareLock);
	if (candidate->locked)
		return;
	view = streaming_catalog_view(candidate->relid, true);
	if (view && !OidIsValid(view->owner))
		streaming_catalog_forget(candidate->relid);
	else if (view && view->restored && streaming_restore_is_complete(view))
	{
		restore_view(view);
		candidate->restored = true;
	}
}

/*
 * Does what it can for one view; an error is a warning to the log.  The coordinator
 * serves all views, and so does not wait for who has locked one of them.
 */
static Candidate
try_restore_view(Oid relid)
{
	Candidate	candidate = {.relid = relid};
	int			guc_level = NewGUCNestLevel();
	ErrorData  *error;

	(void) set_config_option("lock_timeout", LOCK_WAIT, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	error = streaming_attempt(restore_candidate, &candidate, CurrentMemoryContext);
	AtEOXact_GUC(error == NULL, guc_level);
	if (error == NULL)
		return candidate;
	candidate.locked = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
	candidate.restored = false;
	if (!candidate.locked)
		ereport(WARNING,
				(errmsg("could not restore continuous view %u: %s", relid, error->message)));
	return candidate;
}

/* ---------------------------------------------------------------------------
 * Views without data
 * ---------------------------------------------------------------------------
 */

char *
streaming_options_name(int32 id)
{
	return psprintf("options_%d", id);
}

static void
append_text(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, ", %s::pg_catalog.text AS %s",
					 value ? quote_literal_cstr(value) : "NULL", name);
}

static void
append_relation(StringInfo buf, const char *name, Oid relid)
{
	appendStringInfo(buf, ", %s::pg_catalog.regclass AS %s",
					 OidIsValid(relid) ? psprintf("'%u'", relid) : "NULL", name);
}

static void
append_array(StringInfo buf, const char *name, List *values)
{
	ListCell   *lc;

	appendStringInfoString(buf, ", ARRAY[");
	foreach(lc, values)
		appendStringInfo(buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_literal_cstr(lfirst(lc)));
	appendStringInfo(buf, "]::pg_catalog.text[] AS %s", name);
}

static void
append_relations(StringInfo buf, const char *name, List *relids)
{
	ListCell   *lc;

	appendStringInfoString(buf, ", ARRAY[");
	foreach(lc, relids)
		appendStringInfo(buf, "%s'%u'::pg_catalog.regclass",
						 foreach_current_index(lc) > 0 ? ", " : "", lfirst_oid(lc));
	appendStringInfo(buf, "]::pg_catalog.regclass[] AS %s", name);
}

/*
 * Makes options_<id>, or makes it anew when the row of the view has changed.  The
 * relations are constants there that PostgreSQL tracks.
 */
void
streaming_restore_keep(Oid relid)
{
	StreamingView *view = streaming_catalog_view(relid, false);
	char	   *name = streaming_options_name(view->id);
	StreamingOwnerRights rights;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE OR REPLACE VIEW " STREAMING_INTERNAL_SCHEMA ".%s AS SELECT %d AS id",
					 name, view->id);
	append_relation(&buf, "view", view->view);
	append_relation(&buf, "definition", view->definition);
	append_relation(&buf, "result", view->result);
	append_text(&buf, "sink_kind", streaming_sink_kind_name(view->sink.kind));
	append_relation(&buf, "sink", view->sink.relid);
	append_text(&buf, "output_mode", streaming_output_mode_name(view->output_mode));
	append_text(&buf, "trigger", view->trigger_text);
	append_text(&buf, "start", view->start);
	appendStringInfo(&buf, ", nullif(" INT64_FORMAT "::pg_catalog.int8, 0) AS max_rows_per_trigger"
					 ", nullif(" INT64_FORMAT "::pg_catalog.int8, 0) AS max_files_per_trigger"
					 ", nullif(" INT64_FORMAT "::pg_catalog.int8, 0) AS catch_up_rate"
					 ", %s AS enabled",
					 view->max_rows, view->max_files, view->catch_up_rate, view->enabled ? "true" : "false");
	append_array(&buf, "settings", view->settings);
	append_array(&buf, "relations", view->relations);
	append_relations(&buf, "tables", view->tables);
	streaming_owner_rights_begin(&rights);
	streaming_run_sql(buf.data);
	streaming_owner_rights_end(&rights);
	CommandCounterIncrement();
	streaming_internal_adopt(get_relname_relid(name, streaming_internal_namespace()), relid);
}

/* A streaming_attempt: the view that options_<id> describes waits to be restored. */
static void
add_row(void *arg)
{
	StreamingOwnerRights rights;

	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("INSERT INTO " STREAMING_INTERNAL_SCHEMA ".continuous_view "
							   "(id, view, definition, result, sink_kind, sink, output_mode, trigger, start,"
							   " max_rows_per_trigger, max_files_per_trigger, catch_up_rate, enabled, settings, relations, tables, home) "
							   "SELECT *, '" STREAMING_HOME_NONE "' FROM %s",
							   streaming_qualified_name(*(Oid *) arg)));
	streaming_owner_rights_end(&rights);
}

/*
 * streaming_internal.restore_rows() returns boolean: true.  Writes the rows of views
 * that a dump without data has brought: the description is there, belongs to
 * nothing, and there is no row.  It is read with our rights, so it must be one that
 * nobody but a superuser can have written.
 */
Datum
streaming_restore_rows(PG_FUNCTION_ARGS)
{
	StreamingOwnerRights rights;
	SPITupleTable *found;
	uint64		n;

	streaming_owner_rights_begin(&rights);
	SPI_connect();
	if (SPI_execute("SELECT c.oid FROM pg_class c "
					"WHERE relnamespace = '" STREAMING_INTERNAL_SCHEMA "'::regnamespace "
					"AND relkind = 'v' AND relname ~ '^options_[0-9]+$' "
					"AND relowner IN (SELECT oid FROM pg_roles WHERE rolsuper) "
					"AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'i' "
					"AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass) "
					"AND NOT EXISTS (SELECT FROM " STREAMING_INTERNAL_SCHEMA ".continuous_view "
					"WHERE 'options_' || id = relname)",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for views without data");
	found = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(found->vals[i], found->tupdesc, 1,
														   &isnull));
		ErrorData  *error = streaming_attempt(add_row, &relid, CurrentMemoryContext);

		if (error)
			ereport(WARNING,
					(errmsg("could not restore the continuous view that \"%s\" describes: %s",
							get_rel_name(relid), error->message)));
	}
	SPI_finish();
	streaming_owner_rights_end(&rights);
	PG_RETURN_BOOL(true);
}

/*
 * Drops tables of rows that belong to no stream, and streams of changes that belong to no
 * table.  Does not wait for locks.  What this
 * transaction has adopted must be seen, which a read-only query would not.
 */
static void
drop_orphans(void)
{
	StreamingOwnerRights rights;
	SPITupleTable *found;
	uint64		n;

	streaming_owner_rights_begin(&rights);
	SPI_connect();
	if (SPI_execute("SELECT c.oid FROM pg_class c "
					"WHERE relnamespace = '" STREAMING_INTERNAL_SCHEMA "'::regnamespace "
					"AND (relkind = 'r' AND relname ~ '^(push|buffer)_[0-9]+_[0-9]+_[0-9]+$' "
					"OR relkind = 'f' AND relname ~ '^follow_[0-9]+_[0-9]+$') "
					"AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid "
					"AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass)",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for tables without a stream");
	found = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(found->vals[i], found->tupdesc, 1,
														   &isnull));

		/* it may be gone, as a part of one before */
		if (!ConditionalLockRelationOid(relid, AccessExclusiveLock) ||
			get_rel_relkind(relid) == '\0')
			continue;
		streaming_internal_drop(relid);
	}
	SPI_finish();
	streaming_owner_rights_end(&rights);
	CommandCounterIncrement();
}

/* A streaming_attempt: tables of stream that pg_upgrade has carried are its parts again. */
static void
adopt_pushed(void *arg)
{
	Oid			stream = *(Oid *) arg;
	StreamingSourceKind kind;

	LockRelationOid(stream, AccessShareLock);
	if (streaming_is_stream(stream, &kind) && kind == STREAMING_SOURCE_PUSH)
		streaming_push_create_tables(stream);
}

/* Of all streams; only after pg_upgrade is there anything to do. */
static void
adopt_all_pushed(void)
{
	ListCell   *lc;

	foreach(lc, streaming_push_streams())
	{
		Oid			stream = lfirst_oid(lc);
		ErrorData  *error = streaming_attempt(adopt_pushed, &stream, CurrentMemoryContext);

		if (error)
			ereport(WARNING,
					(errmsg("could not restore the rows of stream %u: %s", stream, error->message)));
	}
}

bool
streaming_restore_views(void)
{
	bool		restored = false;
	bool		locked = false;
	List	   *restored_views;
	ListCell   *lc;

	restored_views = streaming_catalog_restored_views();
	if (restored_views != NIL)
		adopt_all_pushed();
	foreach(lc, restored_views)
	{
		Candidate	candidate = try_restore_view(((StreamingView *) lfirst(lc))->view);

		restored |= candidate.restored;
		locked |= candidate.locked;
	}
	if (restored)
		drop_orphans();
	return locked;
}

/* Trigger on streaming_internal.continuous_view. */
Datum
streaming_notify_workers(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "notify_workers")));
	if (RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation) !=
		streaming_member_table(streaming_internal_namespace(), "continuous_view"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is the trigger of streaming_internal.continuous_view only",
						"notify_workers")));
	streaming_workers_notify();
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------------------
 * Dumping
 * ---------------------------------------------------------------------------
 */

static const char *
dumped_name(Oid relid)
{
	const char *name = get_rel_name(relid);

	return name ? name : psprintf("%u", relid);
}

/*
 * streaming_internal.check_dump(view oid, stream oid) returns boolean: false, with
 * a warning, if the snapshot has pushed rows that the view has not taken.
 */
Datum
streaming_check_dump(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	Oid			stream = PG_GETARG_OID(1);
	StreamingSourceKind kind;
	AclResult	result;
	List	   *checkpoints;
	int64		rows;

	if (streaming_streams == NULL ||	/* not preloaded: nobody knows */
		!streaming_is_stream(stream, &kind) || kind != STREAMING_SOURCE_PUSH)
		PG_RETURN_BOOL(true);
	/* what is restored is captured from then on, and the table is loaded anew */
	if (streaming_follow_is_stream(stream))
		PG_RETURN_BOOL(false);
	result = pg_class_aclcheck(stream, GetUserId(), ACL_SELECT);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_TABLE, get_rel_name(stream));
	checkpoints = streaming_checkpoint_read_as_of(view, stream, GetActiveSnapshot());
	rows = streaming_input_push_rest(stream, checkpoints ?
									 ((StreamingCheckpoint *) linitial(checkpoints))->position :
									 NULL);
	if (rows > 0)
		ereport(WARNING,
				(errmsg_plural("continuous view \"%s\" has not taken %lld row of stream \"%s\", which a dump does not carry",
							   "continuous view \"%s\" has not taken %lld rows of stream \"%s\", which a dump does not carry",
							   rows, dumped_name(view), (long long) rows, get_rel_name(stream)),
				 errhint("Keep others from inserting into it, call streaming.drain for the view, and dump again.")));
	PG_RETURN_BOOL(rows <= 0);
}
