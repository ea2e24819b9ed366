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
#include "query/program.h"
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

	if (view == NULL)
		return false;
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

	streaming_catalog_update_view(view);
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
			case AT_AddColumn:
			case AT_DropColumn:
			case AT_AlterColumnType:
			case AT_ChangeOwner:
			case AT_AddInherit:
			case AT_AttachPartition:
			case AT_SetUnLogged:
			case AT_EnableRowSecurity:
			case AT_ForceRowSecurity:
			case AT_DisableTrig:
			case AT_DisableTrigAll:
			case AT_DisableTrigUser:
				streaming_refuse_internal(relid);
				break;
			default:
				/* statistics, storage parameters, replica identity ... */
				break;
		}
	}
}

/*
 * The owner of a view over a view reads that one's change stream, whose own
 * owner may have changed.
 */
static void
grant_change_streams(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_inputs(view->definition))
	{
		StreamingView *upstream = streaming_catalog_view(lfirst_oid(lc), true);
		StreamingOwnerRights rights;
		char	   *name;

		if (upstream == NULL)
			continue;
		name = streaming_change_stream_name(upstream->id);
		if (!OidIsValid(get_relname_relid(name, streaming_internal_namespace())))
			continue;
		streaming_owner_rights_begin(&rights);
		streaming_run_sql(psprintf("GRANT SELECT ON %s.%s TO %s", STREAMING_INTERNAL_SCHEMA,
								   quote_identifier(name),
								   quote_identifier(GetUserNameFromId(view->owner, false))));
		streaming_owner_rights_end(&rights);
		CommandCounterIncrement();
	}
}

void
streaming_owner_changed(Oid relid)
{
	ListCell   *lc;

	CommandCounterIncrement();
	if (OidIsValid(relid))
		streaming_internal_change_owner(relid);
	foreach(lc, streaming_catalog_views())
		grant_change_streams(lfirst(lc));
	streaming_workers_notify();
}
