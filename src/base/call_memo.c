/*
 * call_memo.c
 *		Functions of text that take long are not called again for what they were called for.
 *
 * Columns with URLs, channels and names of programs hold the same texts again and again, and
 * a regular expression takes longer than all else that is done with a row.  So what some of
 * the server's own functions have returned is kept, in one table of the process: they are
 * immutable, and depend on their arguments and the collation alone.  The table is of a fixed
 * size, and a new call takes the place of the older one of two.
 *
 * A call site where calls are mostly new soon leaves the table alone, but for a try now and
 * then.
 *
 * PostgreSQL has no place for this but the steps of an expression that is ready to run: there
 * the function's address is replaced by ours.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "executor/execExpr.h"
#include "executor/executor.h"
#include "jit/jit.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "streaming.h"
#include "base/call_memo.h"

#define MEMO_PAIRS		16384	/* a power of two */
#define MAX_CALL_BYTES	240		/* arguments and result; longer ones are not kept */

/* A site has its calls looked up when it has made so many; and of as many that were ... */
#define CALLS_BEFORE	256
#define CALLS_TRIED		1024
/* ... one in so many must be found, or it goes without for the next ones. */
#define CALLS_FOUND		4
#define CALLS_WITHOUT	(32 * CALLS_TRIED)

/* Arguments and result follow each other in data. */
typedef struct Call
{
	uint32		hash;
	Oid			function;		/* InvalidOid: none */
	Oid			collation;
	uint16		lengths[4];		/* of the arguments */
	uint16		result_length;
	bool		isnull;
	Datum		value;			/* result, if it is passed by value */
	char	   *data;
} Call;

/* One step of an expression */
typedef struct CallSite
{
	FmgrInfo	own;			/* in the place of function; its fn_extra is the site */
	FmgrInfo   *function;
	bool		byval;			/* result */
	uint32		calls;
	uint32		found;
	uint32		without;		/* calls that are left to be made without a look */
} CallSite;

static ExecutorStart_hook_type prev_executor_start = NULL;
static bool remember_next = false;
static Call *memo = NULL;
static MemoryContext memo_context = NULL;

/* Those of texts that take longer than a look. */
static bool
is_remembered(Oid function)
{
	switch (function)
	{
		case F_REGEXP_MATCH_TEXT_TEXT:
		case F_REGEXP_MATCH_TEXT_TEXT_TEXT:
		case F_REGEXP_REPLACE_TEXT_TEXT_TEXT:
		case F_REGEXP_REPLACE_TEXT_TEXT_TEXT_TEXT:
		case F_REGEXP_LIKE_TEXT_TEXT:
		case F_REGEXP_LIKE_TEXT_TEXT_TEXT:
		case F_SUBSTRING_TEXT_TEXT:
		case F_TEXTREGEXEQ:
		case F_TEXTREGEXNE:
		case F_TEXTICREGEXEQ:
		case F_TEXTICREGEXNE:
		case F_LOWER_TEXT:
		case F_UPPER_TEXT:
			return true;
		default:
			return false;
	}
}

static Datum
call_function(FunctionCallInfo fcinfo, CallSite *site)
{
	Datum		result;

	fcinfo->flinfo = site->function;
	result = FunctionCallInvoke(fcinfo);
	fcinfo->flinfo = &site->own;
	return result;
}

static bool
is_call(const Call *call, uint32 hash, FunctionCallInfo fcinfo, Oid function,
		const uint16 *lengths)
{
	const char *data = call->data;

	if (call->function != function || call->hash != hash || call->collation != fcinfo->fncollation)
		return false;
	for (int i = 0; i < fcinfo->nargs; i++)
	{
		if (call->lengths[i] != lengths[i] ||
			memcmp(data, VARDATA_ANY(DatumGetPointer(fcinfo->args[i].value)), lengths[i]) != 0)
			return false;
		data += lengths[i];
	}
	return true;
}

static void
keep_call(Call *call, uint32 hash, FunctionCallInfo fcinfo, CallSite *site, const uint16 *lengths,
		  Size length, Datum result)
{
	Size		result_length = site->byval || fcinfo->isnull ? 0 :
		VARSIZE_ANY(DatumGetPointer(result));
	char	   *data;

	if (length + result_length > MAX_CALL_BYTES)
		return;
	data = MemoryContextAlloc(memo_context, Max(length + result_length, 1));
	if (call->function != InvalidOid)
		pfree(call->data);
	call->data = data;
	call->hash = hash;
	call->function = site->function->fn_oid;
	call->collation = fcinfo->fncollation;
	call->isnull = fcinfo->isnull;
	call->value = result;
	call->result_length = result_length;
	for (int i = 0; i < fcinfo->nargs; i++)
	{
		call->lengths[i] = lengths[i];
		memcpy(data, VARDATA_ANY(DatumGetPointer(fcinfo->args[i].value)), lengths[i]);
		data += lengths[i];
	}
	if (result_length > 0)
		memcpy(data, DatumGetPointer(result), result_length);
}

static Datum
look_up_call(FunctionCallInfo fcinfo, CallSite *site)
{
	Oid			function = site->function->fn_oid;
	uint32		hash = function;
	Size		length = 0;
	uint16		lengths[4];
	Datum		result;
	Call	   *call;			/* two with the same lower bits of the hash */

	for (int i = 0; i < fcinfo->nargs; i++)
	{
		Pointer		arg = DatumGetPointer(fcinfo->args[i].value);
		Size		bytes;

		if (VARATT_IS_EXTENDED(arg) && !VARATT_IS_SHORT(arg))
			return call_function(fcinfo, site);
		bytes = VARSIZE_ANY_EXHDR(arg);
		length += bytes;
		if (length > MAX_CALL_BYTES)
			return call_function(fcinfo, site);
		lengths[i] = bytes;
		hash = hash_combine(hash, hash_bytes((unsigned char *) VARDATA_ANY(arg), bytes));
	}
	if (memo == NULL)
	{
		memo_context = AllocSetContextCreate(TopMemoryContext, "streaming calls",
											 ALLOCSET_DEFAULT_SIZES);
		memo = MemoryContextAllocZero(memo_context, sizeof(Call) * 2 * MEMO_PAIRS);
	}
	call = &memo[2 * (hash & (MEMO_PAIRS - 1))];
	if (!is_call(&call[0], hash, fcinfo, function, lengths))
	{
		/* The one that was found last is the first of two. */
		Call		first = call[0];

		call[0] = call[1];
		call[1] = first;
	}
	if (!is_call(&call[0], hash, fcinfo, function, lengths))
	{
		result = call_function(fcinfo, site);
		keep_call(call, hash, fcinfo, site, lengths, length, result);
		return result;
	}
	site->found++;
	fcinfo->isnull = call->isnull;
	if (site->byval || call->isnull)
		return call->value;
	/* Who reads it may call others first, which take the place. */
	return PointerGetDatum(memcpy(palloc(call->result_length), call->data + length,
								  call->result_length));
}

/* Is called in the place of the function. */
static Datum
call_or_remember(FunctionCallInfo fcinfo)
{
	CallSite   *site = (CallSite *) fcinfo->flinfo->fn_extra;

	if (site->without > 0)
	{
		site->without--;
		return call_function(fcinfo, site);
	}
	if (++site->calls > CALLS_TRIED)
	{
		if (site->found < CALLS_TRIED / CALLS_FOUND)
			site->without = CALLS_WITHOUT;
		site->calls = CALLS_BEFORE;
		site->found = 0;
	}
	if (site->calls < CALLS_BEFORE && memo == NULL)
		return call_function(fcinfo, site);
	return look_up_call(fcinfo, site);
}

static void
remember_calls_of(ExprState *state)
{
	if (state == NULL)
		return;
	for (int i = 0; i < state->steps_len; i++)
	{
		ExprEvalStep *step = &state->steps[i];
		ExprEvalOp	op = ExecEvalStepOp(state, step);
		CallSite   *site;

		if (op < EEOP_FUNCEXPR || op >= EEOP_FUNCEXPR_FUSAGE ||
			!is_remembered(step->d.func.finfo->fn_oid) || !step->d.func.finfo->fn_strict)
			continue;
		site = palloc0(sizeof(CallSite));
		site->function = step->d.func.finfo;
		site->own = *site->function;
		site->own.fn_extra = site;
		site->byval = get_typbyval(get_func_rettype(site->function->fn_oid));
		step->d.func.fcinfo_data->flinfo = &site->own;
		step->d.func.fn_addr = call_or_remember;
	}
}

static bool
planstate_walker(PlanState *planstate, void *context)
{
	remember_calls_of(planstate->qual);
	if (planstate->ps_ProjInfo)
		remember_calls_of(&planstate->ps_ProjInfo->pi_state);
	return planstate_tree_walker(planstate, planstate_walker, context);
}

static void
executor_start(QueryDesc *query, int eflags)
{
	bool		remember = remember_next;

	remember_next = false;
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	/* Code that is compiled calls the functions themselves. */
	if (remember && query->planstate && !(query->estate->es_jit_flags & PGJIT_PERFORM))
	{
		MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);

		(void) planstate_walker(query->planstate, NULL);
		MemoryContextSwitchTo(old);
	}
}

void
streaming_remember_calls(void)
{
	remember_next = true;
}

void
streaming_call_memo_init(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}
