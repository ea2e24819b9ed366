/*
 * statement.h
 *		A SQL statement over rows that are in no table: prepared once, run with
 *		each batch.
 */
#ifndef STREAMING_STATEMENT_H
#define STREAMING_STATEMENT_H

#include "executor/spi.h"
#include "storage/block.h"
#include "tcop/dest.h"
#include "utils/tuplestore.h"

/*
 * Plans are kept from batch to batch, and the best one for a single row (look
 * up what it joins with) is a bad one for a million (read all that it joins
 * with), and the other way round.  So there are several; more rows than this are
 * many.  If they are expected to be of many groups, they are better ordered than put
 * into a hash table (exec/hash_order.c).  For bulk, which only a pushed stream tells
 * apart, parallel workers are worth being started.
 */
#define STREAMING_FEW_ROWS	1000

typedef enum StreamingSize
{
	STREAMING_SIZE_FEW,
	STREAMING_SIZE_MANY,
	STREAMING_SIZE_MANY_GROUPS,
	STREAMING_SIZE_BULK
#define STREAMING_SIZES (STREAMING_SIZE_BULK + 1)
} StreamingSize;

/*
 * Cursor options of statements that aggregate, or read state, on top of the server's;
 * exec/partial.c, a planner hook, acts upon them.
 */
#define STREAMING_CURSOR_OPT_PARTIAL 0x10000000 /* hands out states */
#define STREAMING_CURSOR_OPT_ORDERED 0x08000000 /* also: in the order of hashes */
#define STREAMING_CURSOR_OPT_LOOK_UP 0x04000000 /* joins rows with tables of state */

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
	bool		parallel;		/* bulk may be read by parallel workers: then
								 * dest must not write to the database */
	bool		many_groups;	/* what many rows are expected to be of */
	StreamingSize size;	/* set before a run that reads no delta */
	BlockNumber planned_blocks; /* for whom it matters: of the tables it reads */
	int64		planned_rows;	/* of the delta, when many were planned for */
	SPIPlanPtr	plans[STREAMING_SIZES];	/* NULL until the first run of
												 * that size */
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

/*
 * Would parallel workers take part, if it read bulk?  Connected to SPI, and
 * planned for the inputs as they are now.
 */
extern bool streaming_statement_is_parallel(StreamingStatement *statement);
extern void streaming_statement_free(StreamingStatement *statement);

/*
 * For who receives rows of a statement, before it looks into one: errors if it
 * has other columns than of these types (of Oid).
 */
extern void streaming_check_types(TupleDesc desc, List *types);

#endif							/* STREAMING_STATEMENT_H */
