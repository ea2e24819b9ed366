/*
 * event_time.c
 *		Which keys of an aggregation are windows of the event time, and when
 *		their groups close.
 *
 *	key									closes at
 *	the watermarked column itself		key + 1 microsecond
 *	date_bin(stride, column, origin)	key + stride
 *	date_trunc(unit, column[, zone])	key + unit
 *	streaming.tumble, streaming.hop		upper(key)
 *	streaming.session					upper(key) + 1 microsecond
 *	lower, upper of tumble, hop			key + size, key
 *
 * Every row of such a group has an event time before that moment, so once the
 * watermark has reached it, and what delay the rows may have more, whatever comes for
 * the group is late.  Strides and
 * units are constants that the server's own functions make; the origin may be
 * anything, since it moves the key.
 *
 * A column of type timestamp is taken as UTC, here and by the reader that
 * follows the watermark (input_event_time.c).
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/int.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "query/compile.h"
#include "streaming.h"

static StreamingWindow window_of(StreamingCompiler *compiler, Query *query, Node *expr);
static StreamingWindow window_of_var(StreamingCompiler *compiler, Query *query, Var *var);
static StreamingWindow window_of_call(StreamingCompiler *compiler, Query *query, FuncExpr *call);
static StreamingWindow window_of_bound(StreamingCompiler *compiler, Query *query, FuncExpr *call);
static StreamingWindow window_of_coalesce(StreamingCompiler *compiler, Query *query,
										  CoalesceExpr *coalesce);

AttrNumber
streaming_event_column(Oid stream, Interval **delay, char **name)
{
	Relation	rel = relation_open(stream, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	AttrNumber	found = 0;

	for (int i = 0; i < desc->natts && found == 0; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		ListCell   *lc;

		if (att->attisdropped)
			continue;
		foreach(lc, GetForeignColumnOptions(stream, i + 1))
		{
			DefElem    *option = lfirst_node(DefElem, lc);

			if (strcmp(option->defname, "watermark") != 0)
				continue;
			found = i + 1;
			*name = pstrdup(NameStr(att->attname));
			*delay = DatumGetIntervalP(DirectFunctionCall3(interval_in,
														   CStringGetDatum(defGetString(option)),
														   ObjectIdGetDatum(InvalidOid),
														   Int32GetDatum(-1)));
		}
	}
	relation_close(rel, NoLock);
	return found;
}

/* ---- What an expression is ---- */

static Node *
strip_relabel(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

StreamingWindow
streaming_window_of(StreamingCompiler *compiler, Query *query, Node *expr)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};
	StreamingWindow window = window_of(compiler, query, expr);

	/* groups whose time is NULL never close */
	return window.side ? none : window;
}

/* Also what an outer join may fill with NULL. */
static StreamingWindow
window_of(StreamingCompiler *compiler, Query *query, Node *expr)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};

	expr = strip_relabel(expr);
	if (expr && IsA(expr, Var))
		return window_of_var(compiler, query, (Var *) expr);
	if (expr && IsA(expr, FuncExpr))
		return window_of_call(compiler, query, (FuncExpr *) expr);
	if (expr && IsA(expr, CoalesceExpr))
		return window_of_coalesce(compiler, query, (CoalesceExpr *) expr);
	return none;
}

/* A column of a relation: the watermarked one of a stream? */
static StreamingWindow
window_of_column(StreamingCompiler *compiler, Oid relid, AttrNumber attno)
{
	StreamingProgram *program = compiler->program;
	StreamingWindow result = {STREAMING_WINDOW_NONE};

	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i].relid != relid || program->inputs[i].event_attno != attno)
			continue;
		result.kind = STREAMING_WINDOW_TIME;
		result.has_late = true;
		result.inputs = bms_make_singleton(i);
	}
	return result;
}

/* A column of an input of the join that is compiled, whose stage is the last one so far. */
static StreamingWindow
window_of_leaf(StreamingCompiler *compiler, RangeTblEntry *rte, AttrNumber attno)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};

	for (int i = 0; i < compiler->nleaf_times; i++)
	{
		StreamingLeafTime *leaf = &compiler->leaf_times[i];
		ListCell   *lc;

		foreach(lc, leaf->rte == rte ? leaf->exprs : NIL)
		{
			Var		   *var = lfirst(lc);
			StreamingWindow result;

			if (!IsA(var, Var) || var->varattno != attno)
				continue;
			result = *(StreamingWindow *) list_nth(leaf->windows, foreach_current_index(lc));
			result.side = leaf->nullable ? i + 1 : 0;
			result.join = compiler->program->nstages;
			return result;
		}
	}
	return none;
}

/*
 * The first of some event times that is not NULL: if one of them never is, or if they are
 * of both sides of an outer join.
 */
static StreamingWindow
window_of_coalesce(StreamingCompiler *compiler, Query *query, CoalesceExpr *coalesce)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};
	StreamingWindow result = none;
	int			sides = 0;
	ListCell   *lc;

	foreach(lc, coalesce->args)
	{
		StreamingWindow window = window_of(compiler, query, lfirst(lc));

		if (lc == list_head(coalesce->args))
			result = window;
		if (window.kind == STREAMING_WINDOW_NONE || window.join != result.join)
			return none;
		result = streaming_window_of_both(&result, &window);
		sides |= window.side ? window.side : 3;
	}
	result.side = 0;
	return sides == 3 ? result : none;
}

/* A column: of a stream, of a stage, a subquery or a join, or of a function in FROM. */
static StreamingWindow
window_of_var(StreamingCompiler *compiler, Query *query, Var *var)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};
	RangeTblEntry *rte;

	if (var->varlevelsup > 0 || var->varattno <= 0)
		return none;
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_RELATION)
		return window_of_column(compiler, rte->relid, var->varattno);
	if (streaming_is_delta(rte))
	{
		StreamingStage *stage = &compiler->program->stages[rte->relid - 1];

		return var->varattno <= stage->noutputs ? stage->outputs[var->varattno - 1].event : none;
	}
	if (rte->rtekind == RTE_CTE)
		return window_of_leaf(compiler, rte, var->varattno);
	if (rte->rtekind == RTE_JOIN)
		return window_of(compiler, query, list_nth(rte->joinaliasvars, var->varattno - 1));
	if (rte->rtekind == RTE_SUBQUERY)
	{
		TargetEntry *tle = list_nth(rte->subquery->targetList, var->varattno - 1);

		return window_of(compiler, rte->subquery, (Node *) tle->expr);
	}
	if (rte->rtekind == RTE_FUNCTION && var->varattno == 1 && list_length(rte->functions) == 1)
	{
		RangeTblFunction *function = linitial_node(RangeTblFunction, rte->functions);

		return streaming_window_of(compiler, query, function->funcexpr);
	}
	return none;
}

/* A check_function_callback: is it not one of the server's own? */
static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

static bool
has_user_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) || check_functions_in_node(node, is_user_function, NULL))
		return true;
	return expression_tree_walker(node, has_user_code, context);
}

/*
 * The value of a constant expression; NULL: it is none, or is NULL.  What calls
 * functions of users is none: to compile a view, for which anybody may ask, runs
 * nothing that a user wrote.
 */
static Const *
constant(Node *node)
{
	if (has_user_code(node, NULL))
		return NULL;
	node = eval_const_expressions(NULL, node);
	return IsA(node, Const) && !((Const *) node)->constisnull ? (Const *) node : NULL;
}

Interval *
streaming_constant_interval(Node *node)
{
	Const	   *value = constant(node);

	return value ? DatumGetIntervalP(value->constvalue) : NULL;
}

/* The length of a unit of date_trunc, NULL: not a constant, or no unit. */
static Interval *
constant_unit(Node *node)
{
	static const char *const units[][2] = {
		{"microseconds", "1 microsecond"}, {"milliseconds", "1 millisecond"},
		{"second", "1 second"}, {"minute", "1 minute"}, {"hour", "1 hour"},
		{"day", "1 day"}, {"week", "7 days"}, {"month", "1 month"},
		{"quarter", "3 months"}, {"year", "1 year"}, {"decade", "10 years"},
		{"century", "100 years"}, {"millennium", "1000 years"},
	};
	Const	   *value = constant(node);
	char	   *unit = value ? TextDatumGetCString(value->constvalue) : NULL;

	for (int i = 0; unit && i < lengthof(units); i++)
	{
		if (pg_strcasecmp(unit, units[i][0]) == 0)
			return DatumGetIntervalP(DirectFunctionCall3(interval_in,
														 CStringGetDatum(units[i][1]),
														 ObjectIdGetDatum(InvalidOid),
														 Int32GetDatum(-1)));
	}
	return NULL;
}

/*
 * What such functions refuse with the first row a view should not wait for: months,
 * and whatever else they say of constants.
 */
static void
refuse_months(List *widths, const char *what)
{
	ListCell   *lc;

	foreach(lc, widths)
	{
		Interval   *width = streaming_constant_interval(lfirst(lc));

		if (width && width->month != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s cannot have a width with months or years", what),
					 errhint("Use date_trunc to group by months.")));
	}
}

/* time: which argument is the event time, which is tried with a time of its type. */
static void
try_constants(FuncExpr *call, int time)
{
	FuncExpr   *trial = copyObject(call);
	ListCell   *lc;

	foreach(lc, trial->args)
	{
		if (foreach_current_index(lc) == time)
			lfirst(lc) = makeConst(getBaseType(exprType(lfirst(lc))), -1, InvalidOid,
								   sizeof(TimestampTz), TimestampTzGetDatum(0), false,
								   FLOAT8PASSBYVAL);
		else if ((lfirst(lc) = constant(lfirst(lc))) == NULL)
			return;
	}
	if (trial->funcretset)
		streaming_hop_check(DatumGetIntervalP(lsecond_node(Const, trial->args)->constvalue),
							DatumGetIntervalP(lthird_node(Const, trial->args)->constvalue));
	else
		(void) evaluate_expr((Expr *) trial, trial->funcresulttype, -1, InvalidOid);
}

/* A constant interval without months as so many microseconds; NULL: it is none. */
static Interval *
fixed_length(Node *node)
{
	Interval   *interval = streaming_constant_interval(node);
	Interval   *result;
	int64		usecs;

	if (interval == NULL || interval->month != 0 ||
		pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, interval->time, &usecs))
		return NULL;
	result = palloc0(sizeof(Interval));
	result->time = usecs;
	return result;
}

/*
 * The starts of windows as times that are grouped again.  What begins in the outer
 * window ends less than its length after that; not after it at all, if both follow each
 * other from the epoch and the outer one, of length outer, has room for so many.
 */
static StreamingWindow
time_of_start(const StreamingWindow *window, Oid type, const Interval *outer)
{
	StreamingWindow result = *window;
	const Interval *length = window->length;
	int64		usecs;

	result.kind = STREAMING_WINDOW_NONE;
	if (length == NULL || length->month != 0 || length->day > 1000 || length->day < 0)
		return result;
	usecs = length->day * USECS_PER_DAY + length->time;
	if (usecs < 0 || usecs > 1000 * USECS_PER_DAY)
		return result;
	if (!(window->from_epoch && outer && usecs > 0 && outer->time % usecs == 0))
		result.delay += usecs;
	/* days, and hours by the clock of a zone, are longer where that is changed */
	if (type != TIMESTAMPOID && (length->day != 0 || window->zone))
		result.delay += USECS_PER_DAY;
	result.kind = STREAMING_WINDOW_TIME;
	result.length = NULL;
	result.zone = NULL;
	return result;
}

/* lower and upper of a window: upper begins one that has no length. */
static StreamingWindow
window_of_bound(StreamingCompiler *compiler, Query *query, FuncExpr *call)
{
	StreamingWindow result = streaming_window_of(compiler, query, linitial(call->args));

	if (result.kind == STREAMING_WINDOW_SESSION && call->funcid == F_UPPER_ANYRANGE)
		result.kind = STREAMING_WINDOW_TIME;
	else if (result.kind == STREAMING_WINDOW_RANGE && call->funcid == F_UPPER_ANYRANGE)
	{
		result.kind = STREAMING_WINDOW_START;
		result.length = palloc0(sizeof(Interval));
		result.from_epoch = false;
	}
	else if (result.kind == STREAMING_WINDOW_RANGE && result.length)
		result.kind = STREAMING_WINDOW_START;
	else
		result.kind = STREAMING_WINDOW_NONE;
	return result;
}

static StreamingWindow
window_of_call(StreamingCompiler *compiler, Query *query, FuncExpr *call)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};
	StreamingWindow result;
	Interval   *length = NULL;
	Node	   *zone = NULL;
	int			time = 1;		/* which argument is the event time */

	switch (call->funcid)
	{
		case F_LOWER_ANYRANGE:
		case F_UPPER_ANYRANGE:
			return window_of_bound(compiler, query, call);
		case F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP:
		case F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ:
			length = streaming_constant_interval(linitial(call->args));
			refuse_months(list_make1(linitial(call->args)), "windows of date_bin");
			break;
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT:
			zone = (Node *) constant(lthird(call->args));
			if (zone == NULL)
				return none;
			pg_fallthrough;
		case F_DATE_TRUNC_TEXT_TIMESTAMP:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
			length = constant_unit(linitial(call->args));
			break;
		default:
			if (!streaming_is_our_function(call->funcid, "tumble") &&
				!streaming_is_our_function(call->funcid, "hop") && !streaming_session_call((Node *) call))
				return none;
			if (!streaming_session_call((Node *) call))
				refuse_months(list_copy_tail(call->args, 1), "windows of event time");
			time = 0;
	}
	if (time == 1 && length == NULL)
		return none;
	if (time == 0 && !streaming_session_call((Node *) call))
		length = fixed_length(llast(call->args));
	result = streaming_window_of(compiler, query, list_nth(call->args, time));
	if (result.kind == STREAMING_WINDOW_START && !streaming_session_call((Node *) call))
		result = time_of_start(&result, exprType(list_nth(call->args, time)),
							   streaming_is_our_function(call->funcid, "tumble") ? length : NULL);
	if (result.kind != STREAMING_WINDOW_TIME)
		return none;
	result.from_epoch = streaming_is_our_function(call->funcid, "tumble");
	result.kind = time == 1 ? STREAMING_WINDOW_START :
		streaming_session_call((Node *) call) ? STREAMING_WINDOW_SESSION :
		STREAMING_WINDOW_RANGE;
	result.length = length;
	result.zone = zone;
	if (result.kind != STREAMING_WINDOW_SESSION)
		try_constants(call, time);
	return result;
}

void
streaming_outputs_event_time(StreamingCompiler *compiler, StreamingStage *stage, Query *query)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			stage->outputs[n++].event = window_of(compiler, query, (Node *) tle->expr);
	}
}

StreamingWindow
streaming_window_of_both(const StreamingWindow *a, const StreamingWindow *b)
{
	StreamingWindow none = {STREAMING_WINDOW_NONE};
	StreamingWindow result = *a;
	bool		same_length = a->length == b->length ||
		(a->length && b->length && memcmp(a->length, b->length, sizeof(Interval)) == 0);

	if (a->kind != b->kind || !equal(a->zone, b->zone) ||
		(!same_length && a->kind != STREAMING_WINDOW_RANGE))
		return none;
	if (!same_length)
		result.length = NULL;
	result.from_epoch &= b->from_epoch;
	result.delay = Max(a->delay, b->delay);
	result.has_late |= b->has_late;
	result.inputs = bms_union(a->inputs, b->inputs);
	return result;
}

/* ---- When it closes ---- */

static Node *
text_const(const char *text)
{
	return (Node *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
							  text ? CStringGetTextDatum(text) : (Datum) 0, text == NULL, false);
}

/* streaming_internal.window_end(start, width, zone) */
static Expr *
window_end(Expr *start, const Interval *width, Node *zone)
{
	Oid			argtypes[3] = {TIMESTAMPTZOID, INTERVALOID, TEXTOID};
	Oid			function = LookupFuncName(list_make2(makeString(STREAMING_INTERNAL_SCHEMA),
													 makeString("window_end")),
										  3, argtypes, false);
	Interval   *copy = palloc(sizeof(Interval));

	*copy = *width;
	return (Expr *) makeFuncExpr(function, TIMESTAMPTZOID,
								 list_make3(start,
											makeConst(INTERVALOID, -1, InvalidOid,
													  sizeof(Interval), IntervalPGetDatum(copy),
													  false, false),
											zone ? copyObject(zone) : text_const(NULL)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* When the window ends. */
static Expr *
end_of_window(const StreamingWindow *window, Node *key)
{
	static const Interval microsecond = {.time = 1};
	Oid			type = getBaseType(exprType(key));
	Expr	   *result = copyObject((Expr *) key);
	Node	   *zone = window->zone;

	if (window->kind == STREAMING_WINDOW_RANGE || window->kind == STREAMING_WINDOW_SESSION)
	{
		result = (Expr *) makeFuncExpr(F_UPPER_ANYRANGE, TIMESTAMPTZOID, list_make1(result),
									   InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
		return window->kind == STREAMING_WINDOW_RANGE ? result :
			window_end(result, &microsecond, NULL);
	}
	/* domains */
	if (type != exprType(key))
		result = (Expr *) makeRelabelType(result, type, -1, InvalidOid, COERCE_EXPLICIT_CAST);
	if (type == TIMESTAMPOID)
	{
		zone = text_const("UTC");
		result = (Expr *) makeFuncExpr(F_TIMEZONE_TEXT_TIMESTAMP, TIMESTAMPTZOID,
									   list_make2(copyObject(zone), result),
									   InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	}
	return window_end(result, window->length ? window->length : &microsecond, zone);
}

Expr *
streaming_window_closes(const StreamingWindow *window, Node *key)
{
	Expr	   *end = end_of_window(window, key);
	Interval	delay = {.time = window->delay};

	return window->delay ? window_end(end, &delay, NULL) : end;
}

static char *
interval_text(const Interval *interval)
{
	return DatumGetCString(DirectFunctionCall1(interval_out,
											   IntervalPGetDatum(unconstify(Interval *, interval))));
}

char *
streaming_window_closes_text(const StreamingWindow *window, const char *key)
{
	Interval	delay = {.time = window->delay};
	const char *more = window->delay ? psprintf(" + %s", interval_text(&delay)) : "";

	if (window->kind == STREAMING_WINDOW_RANGE)
		return psprintf("at upper(%s)%s", key, more);
	if (window->kind == STREAMING_WINDOW_SESSION)
		return psprintf("behind upper(%s)%s", key, more);
	if (window->kind == STREAMING_WINDOW_TIME)
		return psprintf("behind %s%s", key, more);
	return psprintf("at %s + %s%s", key, interval_text(window->length), more);
}

Expr *
streaming_session_fits(Node *time, int64 gap)
{
	Interval	width = {.time = gap};
	CaseExpr   *result = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = (Expr *) makeFuncExpr(F_ISFINITE_TIMESTAMPTZ, BOOLOID,
									   list_make1(window_end((Expr *) copyObject(time), &width, NULL)),
									   InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	when->result = (Expr *) makeConst(TIMESTAMPTZOID, -1, InvalidOid, sizeof(TimestampTz),
									  TimestampTzGetDatum(END_TIMESTAMP - 1), false,
									  FLOAT8PASSBYVAL);
	when->location = -1;
	result->casetype = TIMESTAMPTZOID;
	result->args = list_make1(when);
	result->defresult = (Expr *) makeNullConst(TIMESTAMPTZOID, -1, InvalidOid);
	result->location = -1;
	return (Expr *) result;
}

/* ---- Changes to the query ---- */

void
streaming_add_in_time(Query *query, Expr *closes, bool must_close)
{
	Oid			argtypes[2] = {TIMESTAMPTZOID, BOOLOID};
	Oid			function = LookupFuncName(list_make2(makeString(STREAMING_INTERNAL_SCHEMA),
													 makeString("in_time")),
										  2, argtypes, false);
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) makeFuncExpr(function, BOOLOID,
									  list_make2(closes, makeBoolConst(must_close, false)),
									  InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	query->jointree->quals = make_and_qual(query->jointree->quals, (Node *) test);
}

typedef struct LiftContext
{
	Node	   *call;
	Var		   *column;
} LiftContext;

static Node *
lift_mutator(Node *node, LiftContext *context)
{
	if (node == NULL)
		return NULL;
	if (equal(node, context->call))
		return (Node *) copyObject(context->column);
	return expression_tree_mutator(node, lift_mutator, context);
}

/* FROM ..., LATERAL call */
static Var *
add_lateral(Query *query, FuncExpr *call)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblFunction *function = makeNode(RangeTblFunction);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	char	   *name = get_func_name(call->funcid);

	function->funcexpr = (Node *) copyObject(call);
	function->funccolcount = 1;
	rte->rtekind = RTE_FUNCTION;
	rte->functions = list_make1(function);
	rte->alias = makeAlias(name, NIL);
	rte->eref = makeAlias(name, list_make1(makeString(name)));
	rte->lateral = true;
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	rtr->rtindex = list_length(query->rtable);
	query->jointree->fromlist = lappend(query->jointree->fromlist, rtr);
	return makeVar(rtr->rtindex, 1, exprType((Node *) call), -1, InvalidOid, 0);
}

/* If hop is the only set-returning function of an aggregation's select list. */
static void
lift_hop(Query *query)
{
	LiftContext context = {NULL, NULL};
	ListCell   *lc;
	List	   *lifted;

	foreach(lc, query->targetList)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		if (context.call == NULL && IsA(expr, FuncExpr) &&
			streaming_is_our_function(((FuncExpr *) expr)->funcid, "hop"))
			context.call = expr;
	}
	if (context.call == NULL)
		return;
	context.column = makeVar(list_length(query->rtable) + 1, 1, exprType(context.call), -1,
							 InvalidOid, 0);
	lifted = (List *) lift_mutator((Node *) query->targetList, &context);
	if (expression_returns_set((Node *) lifted))
		return;
	(void) add_lateral(query, (FuncExpr *) context.call);
	query->targetList = lifted;
	query->havingQual = lift_mutator(query->havingQual, &context);
	query->hasTargetSRFs = false;
}

void
streaming_lift_hops(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY)
			streaming_lift_hops(rte->subquery);
	}
	if (!query->hasTargetSRFs || query->commandType != CMD_SELECT)
		return;
	if (!query->hasAggs && query->groupClause == NIL && query->distinctClause == NIL)
		return;
	streaming_flatten_group_exprs(query);
	lift_hop(query);
}

/* ---- Stages ---- */

Expr *
streaming_least(List *times)
{
	MinMaxExpr *result = makeNode(MinMaxExpr);

	if (list_length(times) == 1)
		return linitial(times);
	result->minmaxtype = TIMESTAMPTZOID;
	result->op = IS_LEAST;
	result->args = times;
	result->location = -1;
	return (Expr *) result;
}

/*
 * When the group of a row closes.  A row of a session is late if it is older than
 * the watermark: the session that it would belong to may have been closed.
 */
static Expr *
closes_of_row(const StreamingWindow *window, Node *expr)
{
	StreamingWindow time = *window;
	FuncExpr   *session = streaming_session_call(expr);

	if (session == NULL)
		return streaming_window_closes(window, expr);
	time.kind = STREAMING_WINDOW_TIME;
	return streaming_window_closes(&time, linitial(session->args));
}

bool
streaming_counts_late_twice(StreamingCompiler *compiler, Query *query)
{
	Node	   *from = linitial(query->jointree->fromlist);
	ListCell   *lc;

	/* the scan of a stream says when it begins anew */
	if (streaming_stage_below(compiler, query) == NULL ||
		(list_length(query->jointree->fromlist) == 1 && IsA(from, RangeTblRef) &&
		 streaming_is_delta(rt_fetch(((RangeTblRef *) from)->rtindex, query->rtable))))
		return false;
	foreach(lc, query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(lc), query->targetList);

		if (streaming_window_of(compiler, query, (Node *) tle->expr).has_late)
			return true;
	}
	return false;
}

void
streaming_follow(StreamingCompiler *compiler, const Bitmapset *inputs)
{
	StreamingProgram *program = compiler->program;

	for (int i = bms_next_member(inputs, -1); i >= 0; i = bms_next_member(inputs, i))
		program->inputs[i].followed = program->has_watermark = true;
}

void
streaming_compile_event_time(StreamingCompiler *compiler, StreamingStage *stage, Query *query,
							 List *keys)
{
	List	   *of_rows = NIL;
	List	   *of_keys = NIL;
	ListCell   *lc;

	foreach(lc, keys)
	{
		int			i = foreach_current_index(lc);
		StreamingValue *key = &stage->keys[i];
		StreamingWindow window = streaming_window_of(compiler, query, lfirst(lc));

		/* WHERE cannot ask for the windows of a hop that is not in FROM */
		if (window.kind == STREAMING_WINDOW_NONE || expression_returns_set(lfirst(lc)))
			continue;
		if (window.has_late)
			of_rows = lappend(of_rows, closes_of_row(&window, lfirst(lc)));
		of_keys = lappend(of_keys,
						  streaming_window_closes(&window,
												  (Node *) makeVar(1, i + 1, key->type, key->typmod,
																   key->collation, 0)));
		if (stage->closes_text == NULL)
			stage->closes_text = streaming_window_closes_text(&window, key->name);
		streaming_follow(compiler, window.inputs);
	}
	if (of_keys == NIL)
		return;
	streaming_outputs_event_time(compiler, stage, query);
	for (int i = 0; i < stage->noutputs; i++)
		stage->outputs[i].event.has_late = false;
	stage->closes = streaming_least(of_keys);
	if (of_rows)
		streaming_add_in_time(query, streaming_least(of_rows), compiler->mode == STREAMING_OUTPUT_APPEND);
}
