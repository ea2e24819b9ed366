/*
 * statement.c
 *		A SQL statement over rows that are in no table.
 *
 * Rows are handed to the statement as an ephemeral named relation, as
 * transition tables are to a trigger.  The plan is kept between batches; the
 * plan cache makes it anew when something it depends on has changed.
 */
#include "postgres.h"

#include "statement.h"

static SPIPlanPtr
prepare(StreamingStatement *statement)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql, statement->nparams,
										  statement->param_types,
										  statement->cursor_options);

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

uint64
streaming_statement_run(StreamingStatement *statement, StreamingDelta *delta,
						Datum *params, bool read_only, DestReceiver *dest)
{
	bool		large = delta ? delta->nrows > STREAMING_FEW_ROWS : statement->large;
	SPIPlanPtr *plan = &statement->plans[large];
	SPIExecuteOptions options = {0};
	ParamListInfo list = NULL;
	int			rc;

	if (delta)
		register_delta(delta);
	if (*plan == NULL)
		*plan = prepare(statement);
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
	rc = SPI_execute_plan_extended(*plan, &options);
	if (rc < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql,
			 SPI_result_code_string(rc));
	if (delta)
		SPI_unregister_relation(delta->name);
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
