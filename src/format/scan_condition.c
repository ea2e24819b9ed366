/*
 * scan_condition.c
 *		Finds conditions on single columns in the clauses of a scan.
 *
 * Nothing that a user has written is called for the sake of passing over records: an
 * operator counts if it and its three-way comparison are the server's own.  That sees
 * values that the user may not be allowed to see, as an index's does; so it must not fail
 * or tell of them, which those of the types below do not.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "format/scan_condition.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/fmgroids.h"
#include "utils/typcache.h"

/* Of what a plan keeps: a list of integers for each. */
enum
{
	PLANNED_KIND,
	PLANNED_ATTNUM,
	PLANNED_STRATEGY,
	PLANNED_COMPARE,
	PLANNED_NITEMS				/* how many there are */
};

typedef struct Search
{
	Index		relid;
	List	   *found;
	List	   *expressions;
} Search;

static void find_in(Search *search, Expr *clause);
static void find_comparison(Search *search, const OpExpr *clause);
static void find_null_test(Search *search, const NullTest *test);
static void find_boolean(Search *search, Expr *operand, bool wanted);
static const Var *column_of(const Search *search, Expr *expr);
static bool is_once(Expr *expr);
static bool is_exact(Oid type, Oid collation, StrategyNumber strategy);
static void add(Search *search, StreamingConditionKind kind, AttrNumber attnum, StrategyNumber strategy,
				Oid compare, Expr *expression);

List *
streaming_conditions_find(List *clauses, Index relid, List **expressions)
{
	Search		search = {.relid = relid, .expressions = *expressions};
	ListCell   *lc;

	foreach(lc, clauses)
		find_in(&search, lfirst(lc));
	*expressions = search.expressions;
	return search.found;
}

static void
find_in(Search *search, Expr *clause)
{
	ListCell   *lc;

	if (IsA(clause, OpExpr))
		find_comparison(search, (OpExpr *) clause);
	else if (IsA(clause, NullTest))
		find_null_test(search, (NullTest *) clause);
	else if (IsA(clause, BooleanTest))
	{
		const BooleanTest *test = (BooleanTest *) clause;

		if (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE)
			find_boolean(search, test->arg, test->booltesttype == IS_TRUE);
	}
	else if (is_notclause(clause))
		find_boolean(search, get_notclausearg(clause), false);
	else if (is_andclause(clause))
	{
		foreach(lc, ((BoolExpr *) clause)->args)
			find_in(search, lfirst(lc));
	}
	else if (IsA(clause, Var))
		find_boolean(search, clause, true);
}

static void
find_comparison(Search *search, const OpExpr *clause)
{
	Oid			operator = clause->opno;
	const Var  *column;
	Expr	   *other;
	Oid			left;
	Oid			right;
	Oid			opfamily;
	Oid			compare;
	StrategyNumber strategy;

	if (list_length(clause->args) != 2)
		return;
	column = column_of(search, linitial(clause->args));
	other = lsecond(clause->args);
	if (column == NULL)
	{
		column = column_of(search, lsecond(clause->args));
		other = linitial(clause->args);
		operator = get_commutator(operator);
	}
	if (column == NULL || !OidIsValid(operator) || operator >= FirstNormalObjectId || !is_once(other))
		return;

	op_input_types(operator, &left, &right);
	opfamily = lookup_type_cache(left, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	if (!OidIsValid(opfamily) || opfamily >= FirstNormalObjectId)
		return;
	strategy = get_op_opfamily_strategy(operator, opfamily);
	compare = get_opfamily_proc(opfamily, left, right, BTORDER_PROC);
	/* One between types that looks at the time zone does not keep their order. */
	if (strategy == InvalidStrategy || !OidIsValid(compare) || compare >= FirstNormalObjectId ||
		func_volatile(compare) != PROVOLATILE_IMMUTABLE || !is_exact(left, clause->inputcollid, strategy))
		return;
	add(search, STREAMING_CONDITION_COMPARES, column->varattno, strategy, compare, other);
}

static void
find_null_test(Search *search, const NullTest *test)
{
	const Var  *column = column_of(search, test->arg);

	if (column && !test->argisrow)
		add(search, test->nulltesttype == IS_NULL ? STREAMING_CONDITION_IS_NULL : STREAMING_CONDITION_IS_NOT_NULL,
			column->varattno, InvalidStrategy, InvalidOid, NULL);
}

static void
find_boolean(Search *search, Expr *operand, bool wanted)
{
	const Var  *column = column_of(search, operand);

	if (column && column->vartype == BOOLOID)
		add(search, STREAMING_CONDITION_COMPARES, column->varattno, BTEqualStrategyNumber, F_BTBOOLCMP,
			(Expr *) makeBoolConst(wanted, false));
}

/* A column, as it is; NULL: it is something else. */
static const Var *
column_of(const Search *search, Expr *expr)
{
	const Var  *var;

	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	var = (Var *) expr;
	return IsA(expr, Var) && var->varno == search->relid && var->varattno > 0 && var->varlevelsup == 0 ? var : NULL;
}

/* Is it the same for all rows of a scan? */
static bool
is_once(Expr *expr)
{
	return !contain_var_clause((Node *) expr) && !contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr) && !expression_returns_set((Node *) expr);
}

/* Does what a file says of the least and the greatest value answer it? */
static bool
is_exact(Oid type, Oid collation, StrategyNumber strategy)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
		case TEXTOID:
			/* A file's order is that of the bytes. */
			return collation == C_COLLATION_OID ||
				(strategy == BTEqualStrategyNumber && OidIsValid(collation) && get_collation_isdeterministic(collation));
		default:
			return false;
	}
}

static void
add(Search *search, StreamingConditionKind kind, AttrNumber attnum, StrategyNumber strategy, Oid compare,
	Expr *expression)
{
	List	   *planned = list_make2_int(kind, attnum);

	planned = lappend_int(planned, strategy);
	planned = lappend_int(planned, (int) compare);
	Assert(list_length(planned) == PLANNED_NITEMS);
	search->found = lappend(search->found, planned);
	if (expression)
		search->expressions = lappend(search->expressions, expression);
}

/* ---- In a scan ---- */

StreamingConditions *
streaming_conditions_open(List *found, List *expressions, PlanState *parent)
{
	StreamingConditions *conditions = palloc0(sizeof(StreamingConditions));
	ListCell   *lc;
	int			next = 0;

	conditions->conditions = palloc0(sizeof(StreamingCondition) * Max(list_length(found), 1));
	conditions->values = AllocSetContextCreate(CurrentMemoryContext, "streaming conditions", ALLOCSET_SMALL_SIZES);
	foreach(lc, found)
	{
		List	   *planned = lfirst(lc);
		StreamingCondition *condition = &conditions->conditions[conditions->n++];

		condition->kind = list_nth_int(planned, PLANNED_KIND);
		condition->attnum = list_nth_int(planned, PLANNED_ATTNUM);
		if (condition->kind != STREAMING_CONDITION_COMPARES)
			continue;
		condition->strategy = list_nth_int(planned, PLANNED_STRATEGY);
		fmgr_info((Oid) list_nth_int(planned, PLANNED_COMPARE), &condition->compare);
		condition->type = exprType(list_nth(expressions, next));
		condition->expression = ExecInitExpr(list_nth(expressions, next++), parent);
	}
	return conditions;
}

void
streaming_conditions_evaluate(StreamingConditions *conditions, ExprContext *econtext)
{
	MemoryContextReset(conditions->values);
	for (int i = 0; i < conditions->n; i++)
	{
		StreamingCondition *condition = &conditions->conditions[i];
		bool		isnull;
		Datum		value;
		int16		length;
		bool		by_value;
		MemoryContext old;

		if (condition->kind != STREAMING_CONDITION_COMPARES)
			continue;
		value = ExecEvalExprSwitchContext(condition->expression, econtext, &isnull);
		condition->known = !isnull;
		if (isnull)
			continue;
		get_typlenbyval(condition->type, &length, &by_value);
		old = MemoryContextSwitchTo(conditions->values);
		condition->value = length == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) :
			datumCopy(value, by_value, length);
		MemoryContextSwitchTo(old);
	}
}
