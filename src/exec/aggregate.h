/*
 * aggregate.h
 *		Transition states of one aggregate: combined, kept and finalized.
 */
#ifndef STREAMING_AGGREGATE_H
#define STREAMING_AGGREGATE_H

#include "fmgr.h"
#include "nodes/execnodes.h"
#include "query/program.h"

typedef struct StreamingAggregateOps
{
	StreamingAggregate *aggregate;
	FmgrInfo	combine;
	FmgrInfo	final;
	FmgrInfo	serial;
	FmgrInfo	deserial;
	bool		internal;		/* the state is kept serialized */
	bool		has_final;
	int			final_nargs;	/* the state and arguments that are NULL */
	AggState   *context;		/* what aggregate functions find in fcinfo */
	int16		typlen;			/* of what is kept */
	bool		typbyval;
} StreamingAggregateOps;

/*
 * Prepares naggs aggregates, in CurrentMemoryContext.  States and results of
 * the calls below live in econtext's per-tuple memory, which the caller
 * resets.
 */
extern StreamingAggregateOps *streaming_aggregate_ops(StreamingAggregate *aggs, int naggs,
													  ExprContext *econtext);

/* kept + delta (both as kept in the table) -> kept */
extern Datum streaming_aggregate_combine(StreamingAggregateOps *ops,
										 Datum kept, bool kept_null,
										 Datum delta, bool delta_null, bool *isnull);

/* kept -> the aggregate's result */
extern Datum streaming_aggregate_final(StreamingAggregateOps *ops,
									   Datum kept, bool kept_null, bool *isnull);

#endif							/* STREAMING_AGGREGATE_H */
