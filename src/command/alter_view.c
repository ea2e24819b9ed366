/*
 * alter_view.c
 *		ALTER VIEW ... SET and RESET of our options; and what follows from other
 *		changes of continuous views that PostgreSQL makes itself.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "catalog/planned_batch.h"
#include "shared/notify.h"
#include "worker/worker.h"
#include "command/command.h"

static bool
sets_options(AlterTableCmd *cmd)
{
	return cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ResetRelOptions;
}

bool
streaming_alters_view_options(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (sets_options(cmd) && streaming_has_view_options((List *) cmd->def))
			return true;
	}
	return false;
}

/* As ALTER VIEW looks up its view. */
static void
check_owner(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid) && !object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)),
					   name->relname);
}

/*
 * A batch holds ShareUpdateExclusiveLock: after the command none runs that does
 * not know of it.  A stronger lock, since it has one that takes long cancelled
 * (worker/watch.c); those who read the view are in nobody's way.  NULL if there is
 * no such view, and that is no error.
 */
static StreamingView *
open_view(AlterTableStmt *stmt)
{
	Oid			relid = RangeVarGetRelidExtended(stmt->relation, ExclusiveLock,
												 stmt->missing_ok ? RVR_MISSING_OK : 0,
												 check_owner, NULL);

	if (OidIsValid(relid))
		return streaming_catalog_view(relid, false);
	ereport(NOTICE,
			(errmsg("relation \"%s\" does not exist, skipping", stmt->relation->relname)));
	return NULL;
}

bool
streaming_alter_view_options(AlterTableStmt *stmt)
{
	StreamingView *view = open_view(stmt);
	List	   *cmds = NIL;
	ListCell   *lc;
	int64		max_rows;
	int64		max_files;
	int64		catch_up_rate;

	if (view == NULL)
		return false;
	max_rows = view->max_rows;
	max_files = view->max_files;
	catch_up_rate = view->catch_up_rate;
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (sets_options(cmd))
		{
			streaming_change_view_options(view, (List *) cmd->def,
										  cmd->subtype == AT_ResetRelOptions);
			cmd->def = (Node *) streaming_other_options((List *) cmd->def);
			if (cmd->def == NULL)
				continue;
		}
		cmds = lappend(cmds, cmd);
	}
	stmt->cmds = cmds;

	/* a batch that is too large to succeed would be tried as it is for ever */
	if (view->max_rows != max_rows || view->max_files != max_files ||
		view->catch_up_rate != catch_up_rate)
		streaming_planned_batch_delete(view->view);
	streaming_catalog_update_view(view);
	streaming_restore_keep(view->view);
	streaming_workers_notify();
	return stmt->cmds != NIL;
}

/* Readers would need rights on tables that they do not know of. */
static void
refuse_option(List *options, const char *name, const char *hint)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("continuous views do not support the option \"%s\"", name),
					 errhint("%s", hint)));
	}
}

void
streaming_check_alter(Oid relid, AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		switch (cmd->subtype)
		{
			case AT_SetRelOptions:
				if (get_rel_relkind(relid) != RELKIND_VIEW ||
					streaming_catalog_view(relid, true) == NULL)
					break;
				refuse_option((List *) cmd->def, "security_invoker",
							  "The query runs with the rights of the view's owner. Use GRANT to say who may read its result.");
				refuse_option((List *) cmd->def, "check_option",
							  "Nobody can write to a continuous view.");
				break;
			default:
				break;
		}
	}
}

/* Of Oid: the views that run without the rights of a superuser. */
List *
streaming_owner_changing(void)
{
	List	   *restricted = NIL;
	ListCell   *lc;

	foreach(lc, streaming_catalog_views())
	{
		StreamingView *view = lfirst(lc);

		if (!superuser_arg(view->owner))
			restricted = lappend_oid(restricted, view->view);
	}
	return restricted;
}

/*
 * A view that has become a superuser's would run, by itself and at once, what
 * another role has written.
 */
static void
pause_escalated(StreamingView *view)
{
	view->enabled = false;
	streaming_catalog_update_view(view);
	streaming_restore_keep(view->view);
	ereport(WARNING,
			(errmsg("continuous view \"%s\" is paused, because its query would run with the rights of a superuser",
					get_rel_name(view->view)),
			 errhint("When you have looked at the query and at the functions it calls, resume it with ALTER VIEW ... SET (streaming.enabled = on).")));
}

void
streaming_owner_changed(Oid relid, List *restricted)
{
	ListCell   *lc;

	CommandCounterIncrement();
	foreach(lc, restricted)
	{
		StreamingView *view = streaming_catalog_view(lfirst_oid(lc), true);

		if (view && view->enabled && superuser_arg(view->owner))
			pause_escalated(view);
	}
	streaming_internal_owner_changed(relid);
	streaming_workers_notify();
}
