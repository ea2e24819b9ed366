/*
 * weighted_forms.c
 *		How aggregates over rows that appear and disappear are written: see
 *		compile_weights.c.
 *
 * An aggregate becomes an expression of aggregates over weights.  Of the variances the
 * parts are the number of values, their sum and that of their squares, all exact; what is
 * made of them is what PostgreSQL makes of its own sums.  (The square of a number of more
 * than 65,535 digits is no numeric, and an error.)  Those of floating-point numbers are none
 * of these.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "query/weights.h"
#include "streaming.h"

/* A variance, of a sample or of all, or the root of it. */
typedef struct Variance
{
	Oid			aggregate;
	bool		sample;
	bool		root;
} Variance;

static const Variance variances[] = {
	{F_VAR_POP_INT2}, {F_VAR_POP_INT4}, {F_VAR_POP_INT8}, {F_VAR_POP_NUMERIC},
	{F_VAR_SAMP_INT2, true}, {F_VAR_SAMP_INT4, true}, {F_VAR_SAMP_INT8, true},
	{F_VAR_SAMP_NUMERIC, true},
	{F_VARIANCE_INT2, true}, {F_VARIANCE_INT4, true}, {F_VARIANCE_INT8, true},
	{F_VARIANCE_NUMERIC, true},
	{F_STDDEV_POP_INT2, false, true}, {F_STDDEV_POP_INT4, false, true},
	{F_STDDEV_POP_INT8, false, true}, {F_STDDEV_POP_NUMERIC, false, true},
	{F_STDDEV_SAMP_INT2, true, true}, {F_STDDEV_SAMP_INT4, true, true},
	{F_STDDEV_SAMP_INT8, true, true}, {F_STDDEV_SAMP_NUMERIC, true, true},
	{F_STDDEV_INT2, true, true}, {F_STDDEV_INT4, true, true}, {F_STDDEV_INT8, true, true},
	{F_STDDEV_NUMERIC, true, true}
};

static const Variance *
find_variance(Oid aggregate)
{
	for (int i = 0; i < lengthof(variances); i++)
	{
		if (variances[i].aggregate == aggregate)
			return &variances[i];
	}
	return NULL;
}

StreamingMethod
streaming_weight_method(Aggref *aggref)
{
	const char *name;

	if (aggref->aggfnoid >= FirstUnpinnedObjectId)
		return STREAMING_METHOD_OTHER;
	switch (aggref->aggfnoid)
	{
		case F_COUNT_:
		case F_COUNT_ANY:
			return STREAMING_METHOD_COUNT;
		case F_SUM_INT2:
		case F_SUM_INT4:
		case F_SUM_INT8:
		case F_SUM_NUMERIC:
			return STREAMING_METHOD_SUM;
		case F_AVG_INT2:
		case F_AVG_INT4:
		case F_AVG_INT8:
		case F_AVG_NUMERIC:
			return STREAMING_METHOD_AVG;
		case F_BOOL_AND:
		case F_EVERY:
			return STREAMING_METHOD_EVERY;
		case F_BOOL_OR:
			return STREAMING_METHOD_ANY;
		case F_BIT_AND_INT2:
		case F_BIT_AND_INT4:
		case F_BIT_AND_INT8:
			return STREAMING_METHOD_BIT_AND;
		case F_BIT_OR_INT2:
		case F_BIT_OR_INT4:
		case F_BIT_OR_INT8:
			return STREAMING_METHOD_BIT_OR;
		case F_BIT_XOR_INT2:
		case F_BIT_XOR_INT4:
		case F_BIT_XOR_INT8:
			return STREAMING_METHOD_BIT_XOR;
	}
	if (find_variance(aggref->aggfnoid))
		return STREAMING_METHOD_VARIANCE;
	name = get_func_name(aggref->aggfnoid);
	return list_length(aggref->args) == 1 && (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) ?
		STREAMING_METHOD_EXTREME : STREAMING_METHOD_OTHER;
}

Expr *
streaming_weight_argument(Aggref *aggref)
{
	Expr	   *expr = aggref->args == NIL ? NULL : linitial_node(TargetEntry, aggref->args)->expr;
	Oid			base = expr ? getBaseType(exprType((Node *) expr)) : InvalidOid;

	if (expr == NULL || base == exprType((Node *) expr))
		return expr;
	return (Expr *) makeRelabelType(expr, base, -1, exprCollation((Node *) expr),
									COERCE_EXPLICIT_CAST);
}

bool
streaming_is_idempotent(StreamingMethod method)
{
	return method == STREAMING_METHOD_EXTREME || method == STREAMING_METHOD_EVERY ||
		method == STREAMING_METHOD_ANY || method == STREAMING_METHOD_BIT_AND ||
		method == STREAMING_METHOD_BIT_OR;
}

/* ---- Their parts ---- */

Expr *
streaming_weight(void)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = PG_INT32_MAX;
	param->paramtype = INT8OID;
	param->paramtypmod = -1;
	param->location = -1;
	return (Expr *) param;
}

static Expr *
call(Oid function, Oid type, List *args)
{
	return (Expr *) makeFuncExpr(function, type, args, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static Expr *
cast(Oid function, Oid type, Expr *arg)
{
	return (Expr *) makeFuncExpr(function, type, list_make1(arg), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CAST);
}

Expr *
streaming_int4(int value)
{
	return (Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(value), false,
							  true);
}

Expr *
streaming_int8(int64 value)
{
	return (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false,
							  FLOAT8PASSBYVAL);
}

Expr *
streaming_zero(void)
{
	return streaming_int8(0);
}

Expr *
streaming_has_bit(Expr *bits, int bit)
{
	Expr	   *mask = streaming_int8((int64) (UINT64CONST(1) << bit));

	return call(F_INT8NE, BOOLOID,
				list_make2(call(F_INT8AND, INT8OID, list_make2(bits, mask)), streaming_zero()));
}

static Oid
our_function(const char *name, int nargs, const Oid *types)
{
	return LookupFuncName(list_make2(makeString(STREAMING_INTERNAL_SCHEMA),
									 makeString(pstrdup(name))), nargs, types, false);
}

Aggref *
streaming_make_aggregate(Oid function, List *args, Oid type, Expr *filter)
{
	Aggref	   *aggref = makeNode(Aggref);
	ListCell   *lc;

	foreach(lc, args)
	{
		Expr	   *arg = lfirst(lc);

		aggref->aggargtypes = lappend_oid(aggref->aggargtypes, exprType((Node *) arg));
		aggref->args = lappend(aggref->args,
							   makeTargetEntry(arg, foreach_current_index(lc) + 1, NULL, false));
	}
	aggref->aggfnoid = function;
	aggref->aggtype = type;
	aggref->aggfilter = filter;
	aggref->aggkind = AGGKIND_NORMAL;
	aggref->aggsplit = AGGSPLIT_SIMPLE;
	aggref->aggno = aggref->aggtransno = -1;
	aggref->location = -1;
	return aggref;
}

/* streaming_internal.name(args) FILTER (WHERE filter) */
static Expr *
our_aggregate(const char *name, List *args, Oid type, Expr *filter)
{
	Oid			types[2] = {exprType(linitial(args)), exprType(llast(args))};

	return (Expr *) streaming_make_aggregate(our_function(name, list_length(args), types), args,
											 type, filter);
}

Expr *
streaming_sum_weights(Expr *weight, Expr *filter)
{
	return our_aggregate("sum_weights", list_make1(weight), INT8OID, filter);
}

Expr *
streaming_both(Expr *a, Expr *b)
{
	return (Expr *) make_and_qual((Node *) copyObject(a), (Node *) b);
}

static Expr *
count_values(Expr *arg, Expr *filter)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = copyObject(arg);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return streaming_sum_weights(streaming_weight(), streaming_both(filter, (Expr *) test));
}

/* CASE WHEN count > 0 THEN result END */
static Expr *
if_any(Expr *count, Expr *result)
{
	CaseExpr   *expr = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = call(F_INT8GT, BOOLOID, list_make2(copyObject(count), streaming_zero()));
	when->result = result;
	when->location = -1;
	expr->casetype = exprType((Node *) result);
	expr->args = list_make1(when);
	expr->defresult = (Expr *) makeNullConst(expr->casetype, -1, InvalidOid);
	expr->location = -1;
	return (Expr *) expr;
}

static Expr *
as_int8(Expr *arg)
{
	Oid			type = exprType((Node *) arg);

	return type == INT8OID ? copyObject(arg) :
		cast(type == INT4OID ? F_INT8_INT4 : F_INT8_INT2, INT8OID, copyObject(arg));
}

static Expr *
as_numeric(Expr *arg)
{
	switch (exprType((Node *) arg))
	{
		case INT2OID:
			return cast(F_NUMERIC_INT2, NUMERICOID, copyObject(arg));
		case INT4OID:
			return cast(F_NUMERIC_INT4, NUMERICOID, copyObject(arg));
		case INT8OID:
			return cast(F_NUMERIC_INT8, NUMERICOID, copyObject(arg));
		default:
			return copyObject(arg);
	}
}

/* ---- The forms ---- */

/* sum and avg */
static Expr *
weighted_number(StreamingMethod method, Expr *arg, Expr *filter)
{
	Oid			type = exprType((Node *) arg);
	Expr	   *count;
	Expr	   *sum;

	if (type == NUMERICOID || type == INT8OID)
		return our_aggregate(method == STREAMING_METHOD_SUM ? "weighted_sum" : "weighted_avg",
							 list_make2(as_numeric(arg), streaming_weight()), NUMERICOID, filter);
	arg = as_int8(arg);
	count = count_values(arg, filter);
	sum = streaming_sum_weights(call(F_INT8MUL, INT8OID, list_make2(copyObject(arg), streaming_weight())),
								copyObject(filter));
	if (method == STREAMING_METHOD_SUM)
		return if_any(count, sum);
	return if_any(count, call(F_NUMERIC_DIV, NUMERICOID,
							  list_make2(cast(F_NUMERIC_INT8, NUMERICOID, sum),
										 cast(F_NUMERIC_INT8, NUMERICOID, copyObject(count)))));
}

static Expr *
weighted_variance(Oid aggregate, Expr *arg, Expr *filter)
{
	static const Oid types[] = {INT8OID, NUMERICOID, NUMERICOID, BOOLOID, BOOLOID};
	const Variance *variance = find_variance(aggregate);
	Expr	   *value = as_numeric(arg);
	Expr	   *square = call(F_NUMERIC_MUL, NUMERICOID, list_make2(copyObject(value), copyObject(value)));

	return call(our_function("variance_of", lengthof(types), types), NUMERICOID,
				list_make5(count_values(arg, filter),
						   our_aggregate("weighted_sum", list_make2(value, streaming_weight()),
										 NUMERICOID, copyObject(filter)),
						   our_aggregate("weighted_sum", list_make2(square, streaming_weight()),
										 NUMERICOID, copyObject(filter)),
						   makeBoolConst(variance->sample, false),
						   makeBoolConst(variance->root, false)));
}

static Expr *
weighted_bits(const char *name, Expr *arg, Expr *filter)
{
	Oid			type = exprType((Node *) arg);
	Expr	   *bits = our_aggregate(name, list_make2(as_int8(arg), streaming_weight()), INT8OID, filter);

	return type == INT8OID ? bits : cast(type == INT4OID ? F_INT4_INT8 : F_INT2_INT8, type, bits);
}

Expr *
streaming_weighted_form(Aggref *aggref, Expr *arg, Expr *filter)
{
	StreamingMethod method = streaming_weight_method(aggref);

	switch (method)
	{
		case STREAMING_METHOD_COUNT:
			return arg ? count_values(arg, filter) : streaming_sum_weights(streaming_weight(), filter);
		case STREAMING_METHOD_SUM:
		case STREAMING_METHOD_AVG:
			return weighted_number(method, arg, filter);
		case STREAMING_METHOD_VARIANCE:
			return weighted_variance(aggref->aggfnoid, arg, filter);
		case STREAMING_METHOD_EVERY:
			return if_any(count_values(arg, filter),
						  call(F_INT8EQ, BOOLOID,
							   list_make2(streaming_sum_weights(streaming_weight(),
																streaming_both(filter, make_notclause(copyObject(arg)))),
										  streaming_zero())));
		case STREAMING_METHOD_ANY:
			return if_any(count_values(arg, filter),
						  call(F_INT8GT, BOOLOID,
							   list_make2(streaming_sum_weights(streaming_weight(),
																streaming_both(filter, copyObject(arg))),
										  streaming_zero())));
		case STREAMING_METHOD_BIT_AND:
			return weighted_bits("weighted_bit_and", arg, filter);
		case STREAMING_METHOD_BIT_OR:
			return weighted_bits("weighted_bit_or", arg, filter);
		case STREAMING_METHOD_BIT_XOR:
			return weighted_bits("weighted_bit_xor", arg, filter);
		case STREAMING_METHOD_EXTREME:
		case STREAMING_METHOD_OTHER:
			break;
	}
	elog(ERROR, "aggregate %u cannot be weighted", aggref->aggfnoid);
}
