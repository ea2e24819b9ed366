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
 * all that it is made of is there, then the dependencies are recorded anew and
 * it begins to run, from the checkpoint that came with it.  On the same way rows
 * are removed whose views were dropped while the library was not loaded.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

#include "streaming.h"
#include "worker/worker.h"
#include "command/command.h"

PG_FUNCTION_INFO_V1(streaming_notify_workers);

static bool
is_complete(StreamingView *view)
{
	ListCell   *lc;

	foreach(lc, view->relations)
	{
		if (!OidIsValid(get_relname_relid(lfirst(lc), streaming_internal_namespace())))
			return false;
	}

	/* pg_dump makes the view twice: first as SELECT NULL, NULL ... */
	return list_member_oid(streaming_catalog_named_relations(view->view),
						   streaming_view_reads(view));
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
	streaming_catalog_settle_view(view->view);
}

/* Does what it can for one view; an error is a warning to the log. */
static void
try_restore_view(Oid relid)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		StreamingView *view;

		LockRelationOid(relid, AccessShareLock);
		view = streaming_catalog_view(relid, true);
		if (view && !OidIsValid(view->owner))
			streaming_catalog_forget(relid);
		else if (view && view->restored && is_complete(view))
			restore_view(view);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ereport(WARNING,
				(errmsg("could not restore continuous view %u: %s", relid, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

void
streaming_restore_views(void)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_restored_views())
		try_restore_view(((StreamingView *) lfirst(lc))->view);
}

/* Trigger on streaming.continuous_view. */
Datum
streaming_notify_workers(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "notify_workers")));
	streaming_workers_notify();
	return PointerGetDatum(NULL);
}
