/*
 * vacuum.c
 *		VACUUM of the extension's own tables by the workers that empty them, and
 *		ANALYZE of those that they look rows up in with SQL.
 *
 * Where rows go as fast as they come, space is needed again at once; autovacuum
 * comes once a minute, if it is on.
 *
 * ExecVacuum is called rather than ProcessUtility, and with the table's oid alone:
 * a table that is locked or has just been dropped is then passed over without a
 * warning, and no hook needs to expect a statement that names no table.  VACUUM
 * itself switches to the owner of the table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "streaming.h"
#include "base/vacuum.h"

/*
 * Of a column that is looked up all that the planner wants to know is about how many rows a
 * value has.  The hundred values of the default would have it read ten times as many rows,
 * each time the table has grown.
 */
#define ANALYZE_TARGET	"10"

typedef struct VacuumTask
{
	const char *schema;
	const char *table;
	const char *column;			/* to ANALYZE; NULL: VACUUM */
	bool		truncate;
} VacuumTask;

static DefElem *
option(const char *name, Node *value)
{
	return makeDefElem(pstrdup(name), value, -1);
}

/*
 * Index entries of what has been removed go, too, however few pages of the table
 * it was on: look-ups suffer from them.  No parallel workers: mostly there is
 * less to do than it takes to start them.  The oldest xid of the database is left
 * to autovacuum, which does it once for many tables.
 */
static VacuumStmt *
vacuum_statement(Oid relid, bool truncate)
{
	VacuumStmt *statement = makeNode(VacuumStmt);

	statement->is_vacuumcmd = true;
	statement->options = list_make4(option("skip_locked", (Node *) makeBoolean(true)),
									option("index_cleanup", (Node *) makeBoolean(true)),
									option("truncate", (Node *) makeBoolean(truncate)),
									option("parallel", (Node *) makeInteger(0)));
	if (STREAMING_VACUUM_SKIPS_DATABASE_STATS)
		statement->options = lappend(statement->options,
									 option("skip_database_stats", (Node *) makeBoolean(true)));
	statement->rels = list_make1(makeVacuumRelation(NULL, relid, NIL));
	return statement;
}

/* Of one column: those of users' types are none of the worker's business. */
static VacuumStmt *
analyze_statement(Oid relid, const char *column)
{
	VacuumStmt *statement = makeNode(VacuumStmt);

	statement->options = list_make1(option("skip_locked", (Node *) makeBoolean(true)));
	statement->rels = list_make1(makeVacuumRelation(NULL, relid,
													list_make1(makeString(pstrdup(column)))));
	return statement;
}

/* In a transaction, which VACUUM replaces by others. */
static void
run_statement(VacuumTask *task, MemoryContext context)
{
	Oid			relid = get_relname_relid(task->table, get_namespace_oid(task->schema, true));
	int			nest_level;

	if (!OidIsValid(relid))
		return;
	MemoryContextSwitchTo(context);
	if (task->column == NULL)
	{
		ExecVacuum(make_parsestate(NULL), vacuum_statement(relid, task->truncate), true);
		return;
	}
	nest_level = NewGUCNestLevel();
	(void) set_config_option("default_statistics_target", ANALYZE_TARGET, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	ExecVacuum(make_parsestate(NULL), analyze_statement(relid, task->column), true);
	PopActiveSnapshot();
	AtEOXact_GUC(true, nest_level);
}

static void
error_context(void *arg)
{
	errcontext("%s", (char *) arg);
}

static void
run_task(VacuumTask *task)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "streaming vacuum",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemoryContext portal = PortalContext;
	char	   *activity = psprintf("%s %s.%s", task->column ? "ANALYZE" : "VACUUM",
									task->schema, task->table);
	ErrorContextCallback callback = {error_context_stack, error_context, activity};

	error_context_stack = &callback;
	pgstat_report_activity(STATE_RUNNING, activity);
	SetCurrentStatementStartTimestamp();
	PortalContext = context;
	PG_TRY();
	{
		StartTransactionCommand();
		run_statement(task, context);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	PortalContext = portal;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	pgstat_report_activity(STATE_IDLE, NULL);
}

void
streaming_vacuum(const char *schema, const char *table, bool truncate)
{
	VacuumTask	task = {schema, table, NULL, truncate};

	run_task(&task);
}

void
streaming_analyze(const char *schema, const char *table, const char *column)
{
	VacuumTask	task = {schema, table, column, false};

	run_task(&task);
}
