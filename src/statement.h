/*
 * statement.h
 *		A SQL statement over rows that are in no table: prepared once, run with
 *		each batch.
 */
#ifndef STREAMING_STATEMENT_H
#define STREAMING_STATEMENT_H

#include "executor/spi.h"
#include "tcop/dest.h"
#include "utils/tuplestore.h"

/*
 * Plans are kept from batch to batch, and the best one for a single row (look
 * up what it joins with) is a bad one for a million (read all that it joins
 * with), and the other way round.  So there are two; more rows than this are many.
 */
#define STREAMING_FEW_ROWS	1000

/* Rows that a statement sees under a name. */
typedef struct StreamingDelta
{
	char	   *name;
	TupleDesc	desc;
	Tuplestorestate *store;
	int64		nrows;
	int64		nleaving;		/* a lower bound of those with a negative sign; 0
								 * only if there are none */
} StreamingDelta;

typedef struct StreamingStatement
{
	const char *sql;			/* all names qualified */
	int			cursor_options;
	int			nparams;
	Oid		   *param_types;
	bool		large;			/* set before a run that reads no delta: there
								 * are many rows */
	SPIPlanPtr	plans[2];		/* for few and for many rows; NULL until the
								 * first run of that kind */
} StreamingStatement;

/*
 * Runs a statement, connected to SPI.  delta: the rows it reads by name, or
 * NULL.  read_only: under the active snapshot as it is; otherwise under a new
 * one that sees what this transaction has done.  dest receives the result's
 * rows; NULL: they are thrown away.  Returns the number of rows processed.
 */
extern uint64 streaming_statement_run(StreamingStatement *statement,
									  StreamingDelta *delta, Datum *params,
									  bool read_only, DestReceiver *dest);
extern void streaming_statement_free(StreamingStatement *statement);

#endif							/* STREAMING_STATEMENT_H */
