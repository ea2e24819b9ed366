/*
 * reset.c
 *		streaming.reset: a view forgets all and begins again at its start.
 *
 * Views that read the view are reset with it, since their state is made of
 * changes that will come a second time.  The caller must own all of them.
 *
 * The view is locked against its batches, so none is under way and the next one
 * begins after our commit, sees a new generation and opens the view anew.  One
 * that takes long is cancelled for it (watch.c).
 *
 * What the console or a function has got is got again.
 *
 * Rows in a table of the user's: in update mode those with the keys of the
 * view's groups are deleted, in complete mode all.  Rows that the view has
 * appended cannot be told from others; they stay, and a notice says so.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "command/command.h"
#include "exec/progress.h"
#include "input.h"
#include "query/program.h"
#include "sink/sink.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streaming_reset);

static List *with_dependents(List *views, Oid view, bool check_owner);
static void reset_view(Oid relid);
static void forget_progress(Oid relid);
static void run_as_owner(StreamingView *view, const char *sql, bool triggers);
static char *truncate_sql(StreamingView *view);
static char *sink_sql(StreamingView *view);

/* streaming.reset(view regclass) */
Datum
streaming_reset(PG_FUNCTION_ARGS)
{
	List	   *views;
	ListCell   *lc;

	streaming_require_loaded();
	streaming_refuse_in_batch("streaming.reset()");
	views = with_dependents(NIL, PG_GETARG_OID(0), true);
	foreach(lc, views)
		reset_view(lfirst_oid(lc));
	streaming_workers_notify();
	PG_RETURN_VOID();
}

void
streaming_reset_if_lost(Oid view)
{
	StreamingView *row = streaming_catalog_view(view, false);
	ListCell   *lc;

	if (row->sink.kind != STREAMING_SINK_MEMORY ||
		streaming_progress_read(view).batch_id == 0 || streaming_memory_is_marked(row->id))
		return;
	ereport(LOG,
			(errmsg("continuous view \"%s\" has lost its unlogged tables and begins again at its start",
					get_rel_name(view))));
	foreach(lc, with_dependents(NIL, view, false))
		reset_view(lfirst_oid(lc));
	streaming_workers_notify();
}

/* Checks and locks view and those that read it, each behind what it reads. */
static List *
with_dependents(List *views, Oid view, bool check_owner)
{
	ListCell   *lc;

	if (list_member_oid(views, view))
		return views;
	/* Before the lock, which stops others, and again, since it may have been waited for. */
	for (int locked = 0; locked <= 1; locked++)
	{
		(void) streaming_catalog_view(view, false);
		if (check_owner && !object_ownercheck(RelationRelationId, view, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_VIEW, get_rel_name(view));
		if (!locked)
			LockRelationOid(view, ExclusiveLock);
	}
	views = lappend_oid(views, view);
	foreach(lc, streaming_catalog_views_of_stream(view))
		views = with_dependents(views, lfirst_oid(lc), check_owner);
	return views;
}

static void
reset_view(Oid relid)
{
	StreamingView *view = streaming_catalog_view(relid, false);
	char	   *sql = OidIsValid(view->sink.relid) ? sink_sql(view) : NULL;
	ListCell   *lc;

	if (sql)
		run_as_owner(view, sql, true);
	sql = truncate_sql(view);
	if (sql)
		run_as_owner(view, sql, false);
	forget_progress(relid);
	streaming_catalog_update_view(view);

	/* As CREATE VIEW: "latest" is now, for a stream whose rows nobody can read again. */
	foreach(lc, streaming_catalog_streams_of_view(relid))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			streaming_input_initialize(view, lfirst_oid(lc));
	}
}

static void
forget_progress(Oid relid)
{
	StreamingOwnerRights rights;

	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("DELETE FROM streaming.checkpoints WHERE view = %u", relid));
	streaming_run_sql(psprintf("DELETE FROM streaming.progress WHERE view = %u", relid));
	streaming_owner_rights_end(&rights);
}

/* triggers: those that fire for ordinary sessions do. */
static void
run_as_owner(StreamingView *view, const char *sql, bool triggers)
{
	Oid			userid;
	int			security_context;
	int			guc_level = NewGUCNestLevel();

	GetUserIdAndSecContext(&userid, &security_context);
	SetUserIdAndSecContext(view->owner, security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* The triggers that keep users from changing the view's tables must not fire. */
	if (!triggers)
		(void) set_config_option("session_replication_role", "replica", PGC_SUSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_run_sql(sql);
	AtEOXact_GUC(true, guc_level);
	SetUserIdAndSecContext(userid, security_context);
}

/* Of the view's own tables; NULL if there are none. */
static char *
truncate_sql(StreamingView *view)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, view->relations)
	{
		Oid			relid = get_relname_relid(lfirst(lc), streaming_internal_namespace());

		if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION)
			appendStringInfo(&buf, "%s %s", buf.len == 0 ? "TRUNCATE" : ",",
							 streaming_qualified_name(relid));
	}
	return buf.len ? buf.data : NULL;
}

/* DELETE of the view's rows in its sink; NULL: they cannot be told. */
static char *
sink_sql(StreamingView *view)
{
	Relation	rel = relation_open(view->definition, AccessShareLock);
	StreamingProgram *program = streaming_compile(get_view_query(rel), view->id, &view->sink,
												  view->output_mode);
	StreamingSourceKind kind;
	char	   *sql;

	relation_close(rel, NoLock);
	if (streaming_is_stream(view->sink.relid, &kind))
	{
		ereport(NOTICE,
				(errmsg("results that continuous view \"%s\" has sent to \"%s\" stay there, and are sent again",
						get_rel_name(view->view), get_rel_name(view->sink.relid))));
		return NULL;
	}
	sql = streaming_sink_table_reset_sql(program);
	if (sql == NULL)
		ereport(NOTICE,
				(errmsg("rows that continuous view \"%s\" has written to \"%s\" are not removed",
						get_rel_name(view->view), get_rel_name(view->sink.relid)),
				 errhint("Delete them in the same transaction, unless they are to stay when the view writes them again, and the views that read it count them twice.")));
	return sql;
}
