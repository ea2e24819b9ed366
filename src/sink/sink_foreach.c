/*
 * sink_foreach.c
 *		A function called for each row: streaming.foreach, with foreach_open and
 *		foreach_close.
 *
 *	open(0, batch) ─▶ true:  foreach(row) for each row ─▶ close(NULL)
 *					  false: no row is passed			─▶ close(NULL)
 *		any error in foreach(row)						─▶ close(its message), and
 *														   the batch fails with it
 *
 * All of it happens in the batch's transaction, so what the functions do to
 * tables is done if and only if the batch is, also what close does.  A batch
 * that is tried again has the same number and takes in the same (planned_batch.h).
 * If open itself fails, close is not called.
 *
 * Rows that leave the result (update mode) are passed to a function that takes
 * a second argument: foreach(row, removed).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/attempt.h"
#include "sink/sink_rows.h"

typedef struct ForeachSink
{
	StreamingSink base;
	StreamingStatement result;	/* complete mode */
	FuncExpr   *process;
	FuncExpr   *open;			/* NULL: there is none */
	FuncExpr   *close;

	/* for one batch */
	StreamingCall *call;		/* of process */
	TupleDesc	row_desc;		/* of its first argument */
	Datum	   *values;			/* of row_desc */
	bool	   *nulls;
} ForeachSink;

/*
 * What the type is now: nothing keeps it from being altered, and a value of
 * another form than the function expects would be misread.
 */
static TupleDesc
argument_desc(StreamingProgram *program, FuncExpr *process)
{
	Oid			type = exprType(linitial(process->args));
	TupleDesc	columns = streaming_sink_desc(program);
	TupleDesc	composite;

	if (type == RECORDOID)
		return BlessTupleDesc(columns);
	composite = lookup_rowtype_tupdesc_copy(type, -1);
	if (!streaming_same_columns(composite, columns))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("type %s no longer has the columns of the continuous view",
						format_type_be(type)),
				 errhint("Alter the type, or drop the view and create it again.")));
	return composite;
}

static StreamingSink *
foreach_open_sink(StreamingProgram *program)
{
	ForeachSink *sink = palloc0(sizeof(ForeachSink));

	sink->process = streaming_sink_function(program->id, STREAMING_FUNCTION_FOREACH);
	sink->open = streaming_sink_function(program->id, STREAMING_FUNCTION_OPEN);
	sink->close = streaming_sink_function(program->id, STREAMING_FUNCTION_CLOSE);
	if (sink->process == NULL)
		elog(ERROR, "view \"%s\" names no function", streaming_sink_functions_name(program->id));
	return &sink->base;
}

/* Are rows wanted? */
static bool
call_open(ForeachSink *sink)
{
	Datum		args[2] = {Int64GetDatum(0), Int64GetDatum(sink->base.batch_id)};
	bool		nulls[2] = {false, false};
	StreamingCall *call;
	Datum		result;
	bool		isnull;
	bool		wanted;

	if (sink->open == NULL)
		return true;
	call = streaming_call_begin(sink->open);
	result = streaming_call(call, args, nulls, &isnull);
	wanted = !isnull && DatumGetBool(result);
	streaming_call_end(call);
	return wanted;
}

/* message: NULL, all is well. */
static void
call_close(ForeachSink *sink, const char *message)
{
	Datum		args[1] = {message ? CStringGetTextDatum(message) : (Datum) 0};
	bool		nulls[1] = {message == NULL};
	StreamingCall *call;
	bool		isnull;

	if (sink->close == NULL)
		return;
	call = streaming_call_begin(sink->close);
	(void) streaming_call(call, args, nulls, &isnull);
	streaming_call_end(call);
}

static void
process_row(void *arg, int sign, TupleTableSlot *slot)
{
	ForeachSink *sink = arg;
	TupleDesc	desc = sink->row_desc;
	bool		takes_removed = list_length(sink->process->args) > 1;
	MemoryContext old;
	Datum		args[2];
	bool		nulls[2] = {false, false};
	bool		isnull;
	int			n = 0;

	if (sign < 0 && !takes_removed)
		return;
	old = MemoryContextSwitchTo(streaming_call_memory(sink->call));
	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		sink->nulls[i] = TupleDescAttr(desc, i)->attisdropped || slot->tts_isnull[n];
		sink->values[i] = sink->nulls[i] ? (Datum) 0 : slot->tts_values[n];
		if (!TupleDescAttr(desc, i)->attisdropped)
			n++;
	}
	args[0] = HeapTupleGetDatum(heap_form_tuple(desc, sink->values, sink->nulls));
	args[1] = BoolGetDatum(sign < 0);
	MemoryContextSwitchTo(old);
	(void) streaming_call(sink->call, args, nulls, &isnull);
}

static void
process_rows(ForeachSink *sink, StreamingDelta *changes)
{
	sink->row_desc = argument_desc(sink->base.program, sink->process);
	sink->values = palloc(sizeof(Datum) * Max(sink->row_desc->natts, 1));
	sink->nulls = palloc(sizeof(bool) * Max(sink->row_desc->natts, 1));
	sink->call = streaming_call_begin(sink->process);
	streaming_sink_rows(&sink->base, changes, &sink->result, process_row, sink);
	streaming_call_end(sink->call);
}

/* The arguments of a call that may fail. */
typedef struct Attempt
{
	ForeachSink *sink;
	const char *message;		/* for close */
	StreamingDelta *changes;	/* for process_rows */
} Attempt;

static void
attempt_close(void *arg)
{
	Attempt    *attempt = arg;

	call_close(attempt->sink, attempt->message);
}

static void
attempt_rows(void *arg)
{
	Attempt    *attempt = arg;

	process_rows(attempt->sink, attempt->changes);
}

/*
 * process_rows, after whose error close is called with its message; close's own
 * errors are a warning, so that the first one is what the user sees.
 */
static void
process_rows_guarded(ForeachSink *sink, StreamingDelta *changes)
{
	Attempt		attempt = {sink, NULL, changes};
	ErrorData  *error = streaming_attempt(attempt_rows, &attempt, CurrentMemoryContext);
	ErrorData  *another;

	if (error == NULL)
		return;
	attempt.message = error->message;
	another = streaming_attempt(attempt_close, &attempt, CurrentMemoryContext);
	if (another)
		ereport(WARNING,
				(errmsg("function \"%s\" failed after an error: %s",
						get_func_name(sink->close->funcid), another->message)));
	ReThrowError(error);
}

static void
foreach_write(StreamingSink *base, StreamingDelta *changes)
{
	ForeachSink *sink = (ForeachSink *) base;

	streaming_call_immediate();
	if (call_open(sink))
	{
		if (sink->close)
			process_rows_guarded(sink, changes);
		else
			process_rows(sink, changes);
	}
	call_close(sink, NULL);
}

static void
foreach_close_sink(StreamingSink *base)
{
	streaming_statement_free(&((ForeachSink *) base)->result);
}

const StreamingSinkRoutine streaming_sink_foreach = {
	.name = "foreach",
	.calls_functions = true,
	.open = foreach_open_sink,
	.write = foreach_write,
	.close = foreach_close_sink,
};
