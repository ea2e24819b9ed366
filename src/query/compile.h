/*
 * compile.h
 *		What the files of the compiler share: compile.c, compile_bag.c,
 *		event_time.c, mutable.c, session.c.
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

/*
 * in flatten_joins.c: after a relation below joins of query has got a column more.
 * Joins lose their names and USING, which the deparser would print.
 */
extern void streaming_flatten_joins(Query *query);

/* Lets rte be printed as a relation that is known by name only. */
extern void streaming_name_relation(RangeTblEntry *rte, const char *name, List *columns);

/*
 * Sets sql (and initial_sql) of a stage from its query.  nbag: number of columns
 * whose distinct rows are counted, -1: rows as they are.
 */
extern void streaming_set_stage_sql(StreamingCompiler *compiler, StreamingStage *stage,
									StreamingStage *below, Query *query, int nbag);

extern bool streaming_is_aggregation(Query *query);

/*
 * in mutable.c: errors if query, with its grouping expressions written out, calls
 * over rows that are kept what is not the same each time.  mode: asked for, or -1.
 */
extern void streaming_refuse_mutable(Query *query, bool input_changes, int mode);

/* in session.c */

/* expr if it is a call of streaming.session, or NULL */
extern FuncExpr *streaming_session_call(Node *expr);

/* The session among the keys of GROUP BY, or NULL.  It is made the last key. */
extern FuncExpr *streaming_take_session(Query *query);

extern int64 streaming_session_gap(FuncExpr *call);

/* Errors if there is a call of streaming.session in node, but for aggregations below. */
extern void streaming_refuse_sessions(Node *node);

/* Errors if sessions are not kept here.  uncombinable: name of such an aggregate. */
extern void streaming_session_check(StreamingStage *stage, StreamingStage *below,
									const char *uncombinable);

/* in compile_bag.c */
extern void streaming_compile_recompute(StreamingCompiler *compiler, StreamingStage *stage,
										StreamingStage *below, Query *query, List *keys,
										List *key_tles, List *aggrefs);

/* in ../windows.c: raises the errors that streaming.hop would raise */
extern void streaming_hop_check(const Interval *slide, const Interval *size);

/* in event_time.c */

/* The value of a constant expression of type interval; NULL: it is none. */
extern Interval *streaming_constant_interval(Node *node);

/*
 * When groups close, if one of the keys is a window of the event time: at the
 * earliest of its windows' ends.  The query of the first stage gets a filter that
 * drops the rows of closed groups.
 */
extern void streaming_compile_event_time(StreamingCompiler *compiler, StreamingStage *stage,
										 StreamingStage *below, Query *query, List *keys);

#endif							/* STREAMING_COMPILE_H */
