/*
 * sink_call.c
 *		Calls of a user's function, any number with one look-up.
 *
 * The executor evaluates the function as it would in a query, so that rights,
 * STRICT, collations and tracking by the statistics system are as ever.  It is
 * looked up with each batch: one that was replaced counts from the next.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "compat.h"
#include "sink/sink_rows.h"

struct StreamingCall
{
	ExprContext *econtext;
	ExprState  *state;
	TupleTableSlot *args;
};

void
streaming_call_immediate(void)
{
	int			rc = SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);

	if (rc < 0)
		elog(ERROR, "could not set constraints: %s", SPI_result_code_string(rc));
}

StreamingCall *
streaming_call_begin(FuncExpr *function)
{
	StreamingCall *call = palloc0(sizeof(StreamingCall));
	FuncExpr   *expr = copyObject(function);
	TupleDesc	desc = CreateTemplateTupleDesc(list_length(expr->args));
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		Node	   *arg = lfirst(lc);
		int			attno = foreach_current_index(lc) + 1;

		TupleDescInitEntry(desc, attno, NULL, exprType(arg), -1, 0);
		lfirst(lc) = makeVar(1, attno, exprType(arg), -1, exprCollation(arg), 0);
	}
	TupleDescFinalize(desc);
	call->args = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	call->econtext = CreateStandaloneExprContext();
	call->state = ExecInitExpr((Expr *) expr, NULL);
	return call;
}

MemoryContext
streaming_call_memory(StreamingCall *call)
{
	ResetExprContext(call->econtext);
	return call->econtext->ecxt_per_tuple_memory;
}

Datum
streaming_call(StreamingCall *call, Datum *args, bool *nulls, bool *isnull)
{
	int			n = call->args->tts_tupleDescriptor->natts;

	ExecClearTuple(call->args);
	memcpy(call->args->tts_values, args, sizeof(Datum) * n);
	memcpy(call->args->tts_isnull, nulls, sizeof(bool) * n);
	ExecStoreVirtualTuple(call->args);
	call->econtext->ecxt_scantuple = call->args;
	return ExecEvalExprSwitchContext(call->state, call->econtext, isnull);
}

void
streaming_call_end(StreamingCall *call)
{
	ExecDropSingleTupleTableSlot(call->args);
	FreeExprContext(call->econtext, true);
	pfree(call);
}
