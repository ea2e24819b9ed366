/*
 * sink_rows.h
 *		What sinks that look at each row themselves have in common: how they come
 *		by the rows of a batch, and how they call a function of the user's.
 */
#ifndef STREAMING_SINK_ROWS_H
#define STREAMING_SINK_ROWS_H

#include "executor/tuptable.h"
#include "nodes/primnodes.h"
#include "sink/sink.h"

/* in sink_rows.c */

/*
 * Called for a row: sign 1 to be written, -1 it leaves the result.  The first
 * columns of slot are the program's outputs.
 */
typedef void (*StreamingSinkRow) (void *arg, int sign, TupleTableSlot *slot);

/*
 * Calls row for each of changes, or if that is NULL (output mode complete) for
 * each of the whole result, which is read with *result: a statement that is all
 * zero at first and that the sink frees.  Connected to SPI.
 */
extern void streaming_sink_rows(StreamingSink *sink, StreamingDelta *changes,
								StreamingStatement *result, StreamingSinkRow row, void *arg);

/* The outputs of a program, without "$sign". */
extern TupleDesc streaming_sink_desc(StreamingProgram *program);

/* in sink_functions.c: which functions a view has */

#define STREAMING_FUNCTION_FOREACH			"foreach"
#define STREAMING_FUNCTION_OPEN				"open"
#define STREAMING_FUNCTION_CLOSE			"close"
#define STREAMING_FUNCTION_FOREACH_BATCH	"foreach_batch"

/* Name of the part of view number id that holds its functions. */
extern char *streaming_sink_functions_name(int32 id);

/* The call of a function of view number id, in CurrentMemoryContext; NULL: none. */
extern FuncExpr *streaming_sink_function(int32 id, const char *which);

/*
 * Can a value of a composite type be made of columns: as many, in the same
 * order, of the same types?
 */
extern bool streaming_same_columns(TupleDesc composite, TupleDesc columns);

/* in sink_call.c: a function as a batch calls it */

typedef struct StreamingCall StreamingCall;

/*
 * Before the calls of a batch, connected to SPI: what functions do is checked at
 * once.  Deferred triggers would fire at the end of the transaction, no longer
 * with the rights of the view's owner, which PostgreSQL refuses.
 */
extern void streaming_call_immediate(void);

/*
 * Lives in CurrentMemoryContext, for one batch.  The current user must have the
 * right to execute the function, else it ereports.
 */
extern StreamingCall *streaming_call_begin(FuncExpr *function);

/*
 * Where the arguments of the next call are to be allocated; forgets those of the
 * last one, and its result.
 */
extern MemoryContext streaming_call_memory(StreamingCall *call);
extern Datum streaming_call(StreamingCall *call, Datum *args, bool *nulls, bool *isnull);
extern void streaming_call_end(StreamingCall *call);

#endif							/* STREAMING_SINK_ROWS_H */
