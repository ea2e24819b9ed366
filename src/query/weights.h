/*
 * weights.h
 *		What compile_weights.c, compile_values.c and weighted_forms.c share.
 */
#ifndef STREAMING_WEIGHTS_H
#define STREAMING_WEIGHTS_H

#include "query/compile.h"

/* How an aggregate follows rows as they appear and disappear. */
typedef enum StreamingMethod
{
	STREAMING_METHOD_COUNT,
	STREAMING_METHOD_SUM,
	STREAMING_METHOD_AVG,
	STREAMING_METHOD_VARIANCE,	/* and standard deviations */
	STREAMING_METHOD_EXTREME,	/* min, max */
	STREAMING_METHOD_EVERY,
	STREAMING_METHOD_ANY,
	STREAMING_METHOD_BIT_AND,
	STREAMING_METHOD_BIT_OR,
	STREAMING_METHOD_BIT_XOR,
	STREAMING_METHOD_OTHER		/* it does not */
} StreamingMethod;

/* An argument of which the values are kept. */
typedef struct ValueColumn
{
	Expr	   *expr;
	Expr	   *filter;			/* of the only use that an ordered one has */
	SortGroupClause *distinct;	/* what makes values equal; NULL: their bytes, and they
								 * are ordered */
} ValueColumn;

/* Its values under a condition. */
typedef struct ValueUse
{
	int			column;
	Expr	   *filter;			/* NULL: all */
} ValueUse;

typedef struct StreamingWeights
{
	bool		is_signed;
	int			nkeys;
	List	   *columns;		/* of ValueColumn */
	List	   *uses;			/* of ValueUse */
	List	   *conditions;		/* of Expr: the filters of uses, each once; NULL: all rows */
	Index		varno;			/* of the values in aggregates, where it is no relation
								 * of the query */
	StreamingStage *values;		/* NULL: there are no uses */
	bool		changed;		/* there is something to rewrite */
	List	   *extremes;		/* of Aggref, as rewritten, and */
	List	   *extreme_columns;	/* of int */
} StreamingWeights;

/* in weighted_forms.c */

extern StreamingMethod streaming_weight_method(Aggref *aggref);

/*
 * The argument, or NULL; without its domain, which may not allow the NULL that stands for
 * what is not asked for.
 */
extern Expr *streaming_weight_argument(Aggref *aggref);

/* Where equal values are the same it does not matter how often each is there. */
extern bool streaming_is_idempotent(StreamingMethod method);

/* 0, an int8 */
extern Expr *streaming_zero(void);

extern Expr *streaming_int4(int value);
extern Expr *streaming_int8(int64 value);

/* Is the bit, from 0, of bits, an int8, set? */
extern Expr *streaming_has_bit(Expr *bits, int bit);

/* a AND b; each may be NULL. */
extern Expr *streaming_both(Expr *a, Expr *b);

/* A call of an aggregate, not yet planned.  args, filter: become part of it. */
extern Aggref *streaming_make_aggregate(Oid function, List *args, Oid type, Expr *filter);

extern Expr *streaming_sum_weights(Expr *weight, Expr *filter);

/* The aggregate over weights, of arg (NULL: of rows) under filter (NULL: of all). */
extern Expr *streaming_weighted_form(Aggref *aggref, Expr *arg, Expr *filter);

/* in compile_weights.c */

/* Are values told apart by a tag? */
extern bool streaming_has_tags(StreamingWeights *weights);

/* Is it kept of values which conditions have held of their rows, each a bit? */
extern bool streaming_has_bits(StreamingWeights *weights);

/* The tag of the values of a use, which is a number in the list. */
extern int	streaming_tag_of(StreamingWeights *weights, int use);

/* Index, from 0, of a column among those of the values. */
extern int	streaming_position_of(StreamingWeights *weights, int column);

/*
 * in compile_values.c: compiles the stage of the values.  Over rows that only appear a
 * value is there or not, as a group without aggregates is; over others it is counted.
 * owner: the aggregation, whose keys and event time are known.  partial: SELECT keys,
 * aggregates.
 */
extern void streaming_compile_values(StreamingCompiler *compiler, StreamingWeights *weights,
									 StreamingStage *owner, Query *partial);

#endif							/* STREAMING_WEIGHTS_H */
