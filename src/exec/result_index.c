/*
 * result_index.c
 *		When the index on the group key of a view's result is made, and others.
 *
 * To build it at once takes a fraction of what it takes to add as many rows to it one
 * by one.  So a table has none while it is loaded, nor while it is so small that to
 * read all of it takes no longer than to plan a query.  It is made after a batch when
 * the table is larger, and no input waits or few rows have been added: what the next
 * batches add is little then.
 *
 * So are, when no input waits, those that a large table of state should have (state/state_ways.c).
 *
 * Readers are not kept waiting.  Nor does this wait for locks: what is in use now is
 * tried after another batch.  Where it fails, the view goes on without.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/internal.h"
#include "exec/stage.h"
#include "query/key_index.h"
#include "streaming.h"

/* A megabyte is read in a millisecond. */
#define PAGES_WITHOUT_INDEX		128

static bool
is_wanted(const StreamingStageExec *exec, bool idle)
{
	const StreamingStateKept *kept = exec->result_kept;

	return exec->key_index && kept->pages > PAGES_WITHOUT_INDEX &&
		(idle || kept->rows_added < kept->pages);
}

/* In a transaction.  False: something is in use. */
static bool
make_index(Oid view, const char *name, const char *index, const char *sql)
{
	Oid			namespace = streaming_internal_namespace();
	Oid			table = get_relname_relid(name, namespace);
	StreamingOwnerRights saved;

	if (!ConditionalLockRelationOid(view, ShareUpdateExclusiveLock))
		return false;
	if (!OidIsValid(table) || (index && OidIsValid(get_relname_relid(index, namespace))))
		return true;
	if (!ConditionalLockRelationOid(table, ShareLock))
		return false;
	PushActiveSnapshot(GetTransactionSnapshot());
	streaming_owner_rights_begin(&saved);
	/* the memory of this process is what its settings say */
	(void) set_config_option("max_parallel_maintenance_workers", "0", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_run_sql(sql);
	streaming_owner_rights_end(&saved);
	PopActiveSnapshot();
	return true;
}

static void
error_context(void *arg)
{
	errcontext("index of \"%s\"", (char *) arg);
}

/*
 * Makes an index of a table; index: its name, if it may be there.  False: that is to be tried
 * again.
 */
static bool
try_index(Oid view, const char *table, const char *index, const char *sql)
{
	MemoryContext old = CurrentMemoryContext;
	ErrorContextCallback callback = {error_context_stack, error_context, unconstify(char *, table)};
	volatile bool done = true;

	error_context_stack = &callback;
	pgstat_report_activity(STATE_RUNNING, sql);
	SetCurrentStatementStartTimestamp();
	PG_TRY();
	{
		StartTransactionCommand();
		done = make_index(view, table, index, sql);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(old);
		/* who cancels it has a reason that may be gone after another batch */
		done = geterrcode() != ERRCODE_QUERY_CANCELED;
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	pgstat_report_activity(STATE_IDLE, NULL);
	return done;
}

/* Those that a table of state should have. */
static void
index_state(StreamingStateKept *kept)
{
	while (kept && kept->indexes != NIL &&
		   try_index(kept->view, kept->table, NULL, linitial(kept->indexes)))
	{
		kept->indexes = list_delete_first(kept->indexes);
		kept->indexes_tried |= kept->indexes == NIL;
	}
}

void
streaming_stage_index(StreamingStageExec *exec, bool idle)
{
	if (is_wanted(exec, idle) &&
		try_index(exec->result_kept->view, exec->stage->result_table,
				  streaming_key_index_name(exec->stage), exec->key_index))
		exec->key_index = NULL;
	if (!idle)
		return;
	index_state(exec->kept);
	for (int i = 0; i < exec->stage->nedges; i++)
		index_state(exec->edges[i].kept);
}
