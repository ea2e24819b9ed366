/*
 * scan_condition.h
 *		Conditions of a query that say of a column alone which values it may have.
 *
 * They are found in the clauses of a scan when it is planned, and their other sides are
 * evaluated once when it begins, as an index scan does.  Who reads the records may pass
 * over those that cannot meet all of them; who does not, need not: the executor checks
 * the clauses of whatever comes.
 */
#ifndef STREAMING_SCAN_CONDITION_H
#define STREAMING_SCAN_CONDITION_H

#include "access/stratnum.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

typedef enum StreamingConditionKind
{
	STREAMING_CONDITION_IS_NULL,
	STREAMING_CONDITION_IS_NOT_NULL,
	STREAMING_CONDITION_COMPARES	/* with a value, by an operator of a btree */
} StreamingConditionKind;

typedef struct StreamingCondition
{
	StreamingConditionKind kind;
	AttrNumber	attnum;

	/* if it compares */
	StrategyNumber strategy;
	FmgrInfo	compare;		/* three-way; the server's own */
	ExprState  *expression;
	Oid			type;			/* of the value */
	bool		known;			/* it has a value, which is not NULL */
	Datum		value;
} StreamingCondition;

typedef struct StreamingConditions StreamingConditions;

struct StreamingConditions
{
	int			n;
	StreamingCondition *conditions;
	MemoryContext values;

	/* what has come of them: of files that have row groups */
	int64		groups_read;
	int64		groups_skipped;
};

/*
 * Finds them in clauses that are ANDed, of the relation.  Returns what a plan can keep,
 * and appends to *expressions what the planner is to treat as expressions of the plan.
 */
extern List *streaming_conditions_find(List *clauses, Index relid, List **expressions);

/* Makes them of the plan's, in CurrentMemoryContext. */
extern StreamingConditions *streaming_conditions_open(List *found, List *expressions, PlanState *parent);

/* Evaluates their other sides. */
extern void streaming_conditions_evaluate(StreamingConditions *conditions, ExprContext *econtext);

#endif							/* STREAMING_SCAN_CONDITION_H */
