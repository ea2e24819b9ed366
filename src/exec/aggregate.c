/*
 * aggregate.c
 *		Transition states of one aggregate: combined, kept and finalized.
 *
 * The aggregate's own support functions are called as nodeAgg.c calls them
 * (advance_combine_function, finalize_aggregate): with an AggState as the call's
 * context, which tells them in which memory they may keep things.  Ours is
 * made by hand and has nothing but that.  States of type internal are kept
 * serialized, as parallel workers hand them over.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/parse_agg.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "exec/aggregate.h"
#include "streaming.h"

/* The right to execute it is the owner's of the aggregate, as in nodeAgg.c. */
static void
prepare_function(FmgrInfo *flinfo, Oid function, Oid owner, Expr *expr)
{
	AclResult	result = streaming_function_aclcheck(function, owner);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
	fmgr_info(function, flinfo);
	fmgr_info_set_expr((Node *) expr, flinfo);
}

static Oid
function_owner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
prepare_ops(StreamingAggregateOps *ops, StreamingAggregate *agg, AggState *context)
{
	Aggref	   *aggref = agg->aggref;
	Oid			argtypes[FUNC_MAX_ARGS];
	Oid			combine_input[1] = {agg->transtype};
	int			nargs;
	Oid			owner;
	Expr	   *expr;

	memset(ops, 0, sizeof(*ops));
	ops->aggregate = agg;
	ops->context = context;
	ops->internal = agg->transtype == INTERNALOID;
	ops->has_final = OidIsValid(agg->finalfn);
	get_typlenbyval(agg->statetype, &ops->typlen, &ops->typbyval);
	if (!OidIsValid(agg->combinefn))
		return;					/* its result is kept */
	nargs = get_aggregate_argtypes(aggref, argtypes);
	owner = function_owner(aggref->aggfnoid);

	build_aggregate_transfn_expr(combine_input, 1, 0, false, agg->transtype,
								 aggref->inputcollid, agg->combinefn, InvalidOid,
								 &expr, NULL);
	prepare_function(&ops->combine, agg->combinefn, owner, expr);
	if (ops->internal)
	{
		build_aggregate_serialfn_expr(agg->serialfn, &expr);
		prepare_function(&ops->serial, agg->serialfn, owner, expr);
		build_aggregate_deserialfn_expr(agg->deserialfn, &expr);
		prepare_function(&ops->deserial, agg->deserialfn, owner, expr);
	}
	if (ops->has_final)
	{
		/* aggfinalextra shows in the function's own number of arguments */
		ops->final_nargs = get_func_nargs(agg->finalfn);
		build_aggregate_finalfn_expr(argtypes, Min(ops->final_nargs, nargs + 1),
									 agg->transtype, aggref->aggtype,
									 aggref->inputcollid, agg->finalfn, &expr);
		prepare_function(&ops->final, agg->finalfn, owner, expr);
	}
}

StreamingAggregateOps *
streaming_aggregate_ops(StreamingAggregate *aggs, int naggs, ExprContext *econtext)
{
	StreamingAggregateOps *ops = palloc(sizeof(StreamingAggregateOps) * Max(naggs, 1));
	AggState   *context = makeNode(AggState);

	context->curaggcontext = econtext;
	context->tmpcontext = econtext;
	for (int i = 0; i < naggs; i++)
		prepare_ops(&ops[i], &aggs[i], context);
	return ops;
}

/* Calls a support function; a strict one is not called with a NULL. */
static Datum
call(StreamingAggregateOps *ops, FmgrInfo *flinfo, int nargs,
	 NullableDatum *args, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, flinfo, nargs, ops->aggregate->aggref->inputcollid,
							 (Node *) ops->context, NULL);
	for (int i = 0; i < nargs; i++)
	{
		fcinfo->args[i] = args[i];
		if (args[i].isnull && flinfo->fn_strict)
		{
			*isnull = true;
			return (Datum) 0;
		}
	}
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/*
 * What the table holds -> what support functions take.  They may change a state
 * in place, so it is never the table's own copy; and some read it as it is in
 * memory, so it is neither compressed, nor out of line, nor has a short header.
 */
static NullableDatum
unpack(StreamingAggregateOps *ops, Datum kept, bool kept_null)
{
	NullableDatum state = {kept, kept_null};

	if (kept_null)
		return state;
	if (ops->typlen == -1)
		state.value = PointerGetDatum(PG_DETOAST_DATUM_COPY(kept));
	else
		state.value = datumCopy(kept, ops->typbyval, ops->typlen);
	if (ops->internal)
	{
		NullableDatum args[2] = {{state.value, false}, {(Datum) 0, false}};

		state.value = call(ops, &ops->deserial, 2, args, &state.isnull);
	}
	return state;
}

static Datum
pack(StreamingAggregateOps *ops, NullableDatum state, bool *isnull)
{
	/* Combining nothing with nothing may give a null pointer that is not NULL. */
	*isnull = state.isnull || (ops->internal && DatumGetPointer(state.value) == NULL);
	if (!ops->internal || *isnull)
		return state.value;
	return call(ops, &ops->serial, 1, &state, isnull);
}

Datum
streaming_aggregate_combine(StreamingAggregateOps *ops, Datum kept, bool kept_null,
							Datum delta, bool delta_null, bool *isnull)
{
	NullableDatum args[2];
	NullableDatum state;

	if (ops->combine.fn_strict && (kept_null || delta_null))
	{
		*isnull = kept_null && delta_null;
		return kept_null ? delta : kept;
	}
	args[0] = unpack(ops, kept, kept_null);
	args[1] = unpack(ops, delta, delta_null);
	state.value = call(ops, &ops->combine, 2, args, &state.isnull);
	return pack(ops, state, isnull);
}

Datum
streaming_aggregate_final(StreamingAggregateOps *ops, Datum kept, bool kept_null, bool *isnull)
{
	NullableDatum args[FUNC_MAX_ARGS];

	if (!ops->has_final)
	{
		*isnull = kept_null;
		return kept;
	}
	args[0] = unpack(ops, kept, kept_null);
	for (int i = 1; i < ops->final_nargs; i++)
	{
		args[i].value = (Datum) 0;
		args[i].isnull = true;
	}
	return call(ops, &ops->final, ops->final_nargs, args, isnull);
}
