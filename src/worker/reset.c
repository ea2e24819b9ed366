/*
 * reset.c
 *		streaming.reset: a view forgets all and begins again at its start.
 *
 * Views that read the view begin again, too, since their state is made of changes
 * that will come a second time.  Those of the same owner are reset with it.  Those
 * of others are only told to: their sinks, with triggers of their owners', are
 * none of the caller's business, and no error there keeps the view from being
 * reset.  A view that is told so has lost its checkpoint, and is reset by the
 * worker that takes it up next.  (So is one that was paused, or has failed, for
 * so long that the changes it has not taken became too many, see push_trim.c.)
 *
 * The view is locked against its batches, so none is under way and the next one
 * begins after our commit, sees a new generation and opens the view anew.  One
 * that takes long is cancelled for it (watch.c).
 *
 * What the console or a function has got is got again.
 *
 * Rows of a pushed stream that have been removed cannot be read again, nor can files
 * that option "after" of a directory stream has taken away.  A view that has taken
 * such rows is reset only if the caller insists.
 *
 * Rows in a table of the user's: in update mode those with the keys of the
 * view's groups are deleted, in complete mode all.  Rows that the view has
 * appended cannot be told from others; they stay, and a notice says so.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "catalog/checkpoint.h"
#include "catalog/internal.h"
#include "catalog/missed_rows.h"
#include "catalog/progress.h"
#include "input/input.h"
#include "catalog/planned_batch.h"
#include "push/follow.h"
#include "query/program.h"
#include "catalog/run_as.h"
#include "source/directory_files.h"
#include "sink/sink.h"
#include "shared/notify.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streaming_reset);

static void refuse_loss(Oid relid);
static void refuse_lost_files(Oid relid);
static void reset_with_dependents(Oid root, bool force);
static List *with_dependents(List *views, Oid view, Oid owner, List **others);
static void check_owner(Oid view);
static void reset_view(Oid relid, Oid root);
static void clear_sink(StreamingView *view, bool root);
static void forget_progress(Oid relid);
static void run_as_owner(StreamingView *view, const char *sql);
static List *own_tables(StreamingView *view);
static char *sink_sql(StreamingView *view);

/*
 * Counts the rows that view has taken from pushed streams and that these do not have
 * any more, by its totals: those would be missing afterwards.  Rows of other inputs are
 * in the totals, too: beside a pushed stream they count as if they were gone.
 */
static void
refuse_loss(Oid relid)
{
	StreamingView *view = streaming_catalog_view(relid, false);
	int64		gone = streaming_progress_read(relid).input_rows;
	List	   *pushed = NIL;
	ListCell   *lc;

	/* "latest" is now, whatever there was before */
	if (view->start && strcmp(view->start, "earliest") != 0)
		return;
	foreach(lc, streaming_catalog_streams_of_view(relid))
	{
		Oid			stream = lfirst_oid(lc);
		StreamingSourceKind kind;

		if (!streaming_is_stream(stream, &kind) || kind != STREAMING_SOURCE_PUSH)
			continue;
		pushed = lappend_oid(pushed, stream);
		gone += streaming_input_push_lag(relid, stream) - streaming_input_push_rest(stream, NULL);
	}
	if (pushed == NIL || gone <= 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg_plural("cannot reset continuous view \"%s\" because %s %lld row that the view has taken",
						   "cannot reset continuous view \"%s\" because %s %lld rows that the view has taken",
						   gone, get_rel_name(relid),
						   list_length(pushed) > 1 ? "its streams no longer have" :
						   psprintf("stream \"%s\" no longer has", get_rel_name(linitial_oid(pushed))),
						   (long long) gone),
			 errdetail("Rows that all views have taken are removed after the stream's \"retention\"."),
			 errhint("Call streaming.reset with \"force => true\" to begin again without them.")));
}

/*
 * Which files a view has had nobody remembers; where it has had any rows, those that are
 * gone count.
 */
static void
refuse_lost_files(Oid relid)
{
	StreamingView *view = streaming_catalog_view(relid, false);
	ListCell   *lc;

	if (streaming_progress_read(relid).input_rows == 0)
		return;
	foreach(lc, streaming_catalog_streams_of_view(relid))
	{
		Oid			stream = lfirst_oid(lc);
		StreamingSourceKind kind;
		const char *start = view->start;
		int64		gone;

		if (!streaming_is_stream(stream, &kind) || kind != STREAMING_SOURCE_DIRECTORY)
			continue;
		if (start == NULL)
			start = streaming_stream_open(stream, view->owner)->start;
		if (start && strcmp(start, "latest") == 0)
			continue;
		gone = streaming_files_count_gone(stream);
		if (gone > 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg_plural("cannot reset continuous view \"%s\" because %lld file of stream \"%s\" is no longer there",
								   "cannot reset continuous view \"%s\" because %lld files of stream \"%s\" are no longer there",
								   gone, get_rel_name(relid), (long long) gone, get_rel_name(stream)),
					 errdetail("Files that all views have taken are archived or deleted, as the stream's option \"after\" says."),
					 errhint("Call streaming.reset with \"force => true\" to begin again without them.")));
	}
}

/* streaming.reset(view regclass, force boolean) */
Datum
streaming_reset(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);

	streaming_require_loaded();
	streaming_refuse_in_batch("streaming.reset()");
	/* before the lock, and after it, since it may have changed hands meanwhile */
	check_owner(view);
	LockRelationOid(view, ExclusiveLock);
	check_owner(view);
	reset_with_dependents(view, PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

static void
check_owner(Oid view)
{
	(void) streaming_catalog_view(view, false);
	if (!object_ownercheck(RelationRelationId, view, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_VIEW, get_rel_name(view));
}

/* Has it run, and follows a table from a position that is no more? */
static bool
has_lost_table(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, view->tables)
	{
		Oid			changes = streaming_follow_stream(lfirst_oid(lc));

		if (OidIsValid(changes) && streaming_checkpoint_read(view->view, changes) == NIL)
			return true;
	}
	return false;
}

/* Ditto, reads a view? */
static bool
has_lost_position(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_inputs(view->definition))
	{
		StreamingView *upstream = streaming_catalog_view(lfirst_oid(lc), true);
		Oid			changes;

		if (upstream == NULL)
			continue;
		changes = get_relname_relid(streaming_change_stream_name(upstream->id),
									streaming_internal_namespace());
		if (OidIsValid(changes) && streaming_checkpoint_read(view->view, changes) == NIL)
			return true;
	}
	return false;
}

/*
 * A view over a stream that has lost its position in a table fails where it would lose
 * rows of the stream: only its owner can tell whether it may begin without them.
 */
void
streaming_reset_if_lost(Oid view)
{
	StreamingView *row = streaming_catalog_view(view, false);
	bool		force = true;

	if (streaming_progress_read(view).batch_id == 0)
		return;
	if (row->sink.kind == STREAMING_SINK_MEMORY && !streaming_memory_is_marked(row->id))
		ereport(LOG,
				(errmsg("continuous view \"%s\" has lost its unlogged tables and begins again at its start",
						get_rel_name(view))));
	else if (has_lost_position(row))
		ereport(LOG,
				(errmsg("continuous view \"%s\" loads the view that it reads anew",
						get_rel_name(view))));
	else if (has_lost_table(row))
	{
		force = false;
		ereport(LOG,
				(errmsg("continuous view \"%s\" loads the tables that it follows anew",
						get_rel_name(view))));
	}
	else
		return;
	LockRelationOid(view, ExclusiveLock);
	reset_with_dependents(view, force);
}

static void
reset_with_dependents(Oid root, bool force)
{
	List	   *others = NIL;
	List	   *views = with_dependents(NIL, root, streaming_relation_owner(root, false), &others);
	ListCell   *lc;

	foreach(lc, views)
	{
		if (!force)
		{
			refuse_loss(lfirst_oid(lc));
			refuse_lost_files(lfirst_oid(lc));
		}
	}
	foreach(lc, views)
		reset_view(lfirst_oid(lc), root);
	foreach(lc, others)
		streaming_reset_later(lfirst_oid(lc));
	streaming_workers_notify();
}

/*
 * Locks those that read view; returns view and those of them that are owner's,
 * each behind what it reads.  Others go to *others.
 */
static List *
with_dependents(List *views, Oid view, Oid owner, List **others)
{
	ListCell   *lc;

	if (list_member_oid(views, view))
		return views;
	views = lappend_oid(views, view);
	foreach(lc, streaming_catalog_views_of_stream(view))
	{
		LockRelationOid(lfirst_oid(lc), ExclusiveLock);
		if (streaming_relation_owner(lfirst_oid(lc), true) == owner)
			views = with_dependents(views, lfirst_oid(lc), owner, others);
		else if (streaming_catalog_view(lfirst_oid(lc), true))
			*others = list_append_unique_oid(*others, lfirst_oid(lc));
	}
	return views;
}

static void
reset_view(Oid relid, Oid root)
{
	StreamingView *view = streaming_catalog_view(relid, false);
	ListCell   *lc;

	if (OidIsValid(view->sink.relid))
		clear_sink(view, relid == root);
	streaming_internal_truncate(own_tables(view));
	forget_progress(relid);
	streaming_catalog_update_view(view);

	/* As CREATE VIEW: "latest" is now, for a stream whose rows nobody can read again. */
	foreach(lc, streaming_catalog_streams_of_view(relid))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			streaming_input_initialize(view, lfirst_oid(lc));
	}
}

/*
 * root: the view that the reset is asked for.  Of one above it the sink stays as it
 * is if that view is paused, since then nothing of it is run.
 */
static void
clear_sink(StreamingView *view, bool root)
{
	char	   *sql;

	if (!root && !view->enabled)
	{
		ereport(NOTICE,
				(errmsg("rows that continuous view \"%s\" has written to \"%s\" are not removed",
						get_rel_name(view->view), get_rel_name(view->sink.relid)),
				 errhint("Its owner can reset it, too.")));
		return;
	}
	sql = sink_sql(view);
	if (sql)
		run_as_owner(view, sql);
}

static void
forget_progress(Oid relid)
{
	StreamingOwnerRights rights;

	streaming_owner_rights_begin(&rights);
	streaming_run_sql(psprintf("DELETE FROM streaming.checkpoints WHERE view = %u", relid));
	streaming_run_sql(psprintf("DELETE FROM streaming_internal.progress WHERE view = %u", relid));
	streaming_run_sql(psprintf("INSERT INTO streaming_internal.progress (view) VALUES (%u)", relid));
	streaming_planned_batch_delete(relid);
	streaming_missed_forget(relid);
	streaming_owner_rights_end(&rights);
}

static void
run_as_owner(StreamingView *view, const char *sql)
{
	StreamingRunAs saved;

	streaming_run_as_begin(&saved, view->owner, view->settings);
	streaming_run_sql(sql);
	streaming_run_as_end(&saved);
}

/* Of Oid: the view's own tables. */
static List *
own_tables(StreamingView *view)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, view->relations)
	{
		Oid			relid = get_relname_relid(lfirst(lc), streaming_internal_namespace());

		if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION)
			tables = lappend_oid(tables, relid);
	}
	return tables;
}

/* DELETE of the view's rows in its sink; NULL: they cannot be told. */
static char *
sink_sql(StreamingView *view)
{
	Relation	rel = relation_open(view->definition, AccessShareLock);
	StreamingProgram *program = streaming_compile(get_view_query(rel), view->owner, view->id,
												  view->tables, &view->sink, view->output_mode);
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
