/*
 * compile.h
 *		What the files of the compiler share: compile.c, compile_bag.c,
 *		event_time.c.
 */
#ifndef STREAMING_COMPILE_H
#define STREAMING_COMPILE_H

#include "query/program.h"

#define STREAMING_SIGN_NAME "$sign"

typedef struct StreamingCompiler
{
	StreamingProgram *program;
	bool		input_signed;	/* rows of the input may disappear */
	int			mode;			/* asked for, or -1 */
	AttrNumber	event_attno;	/* the stream's watermarked column, 0: none or
								 * of no interest */
} StreamingCompiler;

/* in compile.c */

/* Type, typmod and collation of expr; of no key and no aggregate. */
extern void streaming_fill_value(StreamingValue *value, char *name, Node *expr);

/* The equality operator of a type, for rows that are told apart. */
extern Oid	streaming_equality_of(Oid type, const char *what);

/* Index of an equal node, or -1. */
extern int	streaming_list_position(List *list, Node *node);

extern char *streaming_deparse(Query *query);

/* Lets rte be printed as a relation that is known by name only. */
extern void streaming_name_relation(RangeTblEntry *rte, const char *name, List *columns);

/*
 * Sets sql (and initial_sql) of a stage from its query.  nbag: number of columns
 * whose distinct rows are counted, -1: rows as they are.
 */
extern void streaming_set_stage_sql(StreamingCompiler *compiler, StreamingStage *stage,
									StreamingStage *below, Query *query, int nbag);

/* in compile_bag.c */
extern void streaming_compile_recompute(StreamingCompiler *compiler, StreamingStage *stage,
										StreamingStage *below, Query *query, List *keys,
										List *key_tles, List *aggrefs);

/* in event_time.c */

/*
 * When groups close, if one of the keys is a window of the event time: at the
 * earliest of its windows' ends.  The query of the first stage gets a filter that
 * drops the rows of closed groups.
 */
extern void streaming_compile_event_time(StreamingCompiler *compiler, StreamingStage *stage,
										 StreamingStage *below, Query *query, List *keys);

#endif							/* STREAMING_COMPILE_H */
