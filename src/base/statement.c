/*
 * statement.c
 *		A SQL statement over rows that are in no table.
 *
 * Rows are handed to the statement as an ephemeral named relation, as
 * transition tables are to a trigger.  The plan is kept between batches; the
 * plan cache makes it anew when something it depends on has changed.
 */
#include "postgres.h"

#include "utils/plancache.h"
#include "utils/resowner.h"

#include "base/call_memo.h"
#include "base/statement.h"

/* Rows are about as many as so many times more, or less. */
#define SAME_ROWS 4

static SPIPlanPtr
prepare(StreamingStatement *statement, StreamingSize size)
{
	int			options = statement->cursor_options;
	SPIPlanPtr	plan;

	if (statement->parallel && size == STREAMING_SIZE_BULK)
		options |= CURSOR_OPT_PARALLEL_OK;
	if (size == STREAMING_SIZE_MANY_GROUPS)
		options |= STREAMING_CURSOR_OPT_ORDERED;
	plan = SPI_prepare_cursor(statement->sql, statement->nparams, statement->param_types,
							  options);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement->sql,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

static void
register_delta(StreamingDelta *delta)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	int			rc;

	enr->md.name = delta->name;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = delta->desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = Max(delta->nrows, 100);
	enr->reldata = delta->store;
	rc = SPI_register_relation(enr);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register \"%s\": %s", delta->name,
			 SPI_result_code_string(rc));
}

/*
 * A table of state is read as a whole for rows that are not much fewer than its own, and
 * looked up for others: so no plan for many rows is kept for many more or less.
 */
static void
forget_plan(StreamingStatement *statement, int64 nrows)
{
	SPIPlanPtr *plan = &statement->plans[STREAMING_SIZE_MANY];

	if (*plan && nrows <= statement->planned_rows * SAME_ROWS &&
		nrows >= statement->planned_rows / SAME_ROWS)
		return;
	if (*plan)
		SPI_freeplan(*plan);
	*plan = NULL;
	statement->planned_rows = nrows;
}

/* Prepares the plan for that size, if it is not. */
static SPIPlanPtr
get_plan(StreamingStatement *statement, StreamingSize size)
{
	if (statement->plans[size] == NULL)
		statement->plans[size] = prepare(statement, size);
	return statement->plans[size];
}

bool
streaming_statement_is_parallel(StreamingStatement *statement)
{
	CachedPlan *plan;
	bool		parallel;

	if (!statement->parallel)
		return false;
	plan = SPI_plan_get_cached_plan(get_plan(statement, STREAMING_SIZE_BULK));
	if (plan == NULL)
		elog(ERROR, "\"%s\" has no plan", statement->sql);
	parallel = linitial_node(PlannedStmt, plan->stmt_list)->parallelModeNeeded;
	ReleaseCachedPlan(plan, CurrentResourceOwner);
	return parallel;
}

uint64
streaming_statement_run(StreamingStatement *statement, StreamingDelta *delta,
						Datum *params, bool read_only, DestReceiver *dest)
{
	StreamingSize size = delta == NULL ? statement->size :
		delta->nrows > STREAMING_FEW_ROWS ? STREAMING_SIZE_MANY : STREAMING_SIZE_FEW;
	MemoryContext old = CurrentMemoryContext;
	SPIExecuteOptions options = {0};
	ParamListInfo list = NULL;
	SPIPlanPtr	plan;
	int			rc;

	if (size == STREAMING_SIZE_MANY && statement->many_groups)
		size = STREAMING_SIZE_MANY_GROUPS;
	if (size == STREAMING_SIZE_MANY && delta && (statement->cursor_options & STREAMING_CURSOR_OPT_LOOK_UP))
		forget_plan(statement, delta->nrows);
	if (delta)
		register_delta(delta);
	if (statement->nparams > 0)
	{
		list = makeParamList(statement->nparams);
		for (int i = 0; i < statement->nparams; i++)
		{
			list->params[i].value = params[i];
			list->params[i].isnull = false;
			list->params[i].pflags = PARAM_FLAG_CONST;
			list->params[i].ptype = statement->param_types[i];
		}
	}
	options.params = list;
	options.read_only = read_only;
	options.dest = dest ? dest : None_Receiver;
	plan = get_plan(statement, size);
	streaming_remember_calls();
	rc = SPI_execute_plan_extended(plan, &options);
	if (rc < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql,
			 SPI_result_code_string(rc));
	if (delta)
		SPI_unregister_relation(delta->name);
	/* SPI leaves its own behind, which lasts as long as the batch. */
	MemoryContextSwitchTo(old);
	return SPI_processed;
}

void
streaming_statement_free(StreamingStatement *statement)
{
	for (int i = 0; i < lengthof(statement->plans); i++)
	{
		if (statement->plans[i])
			SPI_freeplan(statement->plans[i]);
		statement->plans[i] = NULL;
	}
}

void
streaming_check_types(TupleDesc desc, List *types)
{
	bool		same = desc->natts == list_length(types);

	for (int i = 0; same && i < desc->natts; i++)
		same = TupleDescAttr(desc, i)->atttypid == list_nth_oid(types, i);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query of the continuous view gives rows of other types than its tables hold"),
				 errhint("Drop the view and create it again.")));
}
