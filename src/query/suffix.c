/*
 * suffix.c
 *		Window functions that do not look ahead: of a partition what is behind the first
 *		row that comes or goes is computed anew.
 *
 *	rows of a partition, in the order of the windows' first key
 *
 *		... a a a b b c │ d d e f ...
 *			 carried ───┘ └─ first row that came or went, its peers, and what is behind
 *
 * Where no function looks behind the current row and its peers, what is before keeps its
 * output, and is carried into the rest in one of two ways:
 *
 *	as a value	The function of a frame that begins with the partition is that over the
 *				rest, and what it was for the rows before: a count more, a sum more, the
 *				lesser of two.  That is read from the outputs of the last row before; where
 *				it is none of the query's, it is one more, hidden column of the stage.
 *	as rows		Of lag and of a frame that begins a number of rows before, so many rows
 *				before the first are read again.
 *
 * The sums are of integers and numerics, so that it does not matter what is added to what
 * first.  Rows begin with the peers of one value of the first key, whatever the other keys
 * are, so that it needs no more than an index.  Everything else is computed as a whole
 * partition (compile_partition.c), as are queries of several windows that differ in
 * PARTITION BY or in that key.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "query/key_index.h"
#include "query/partition.h"
#include "streaming.h"

/* How what a function was before is put together with what it is over the rest. */
typedef enum Carry
{
	CARRY_REFUSED,				/* it looks ahead, or is not known */
	CARRY_NOTHING,
	CARRY_SUM,
	CARRY_LEAST,
	CARRY_LARGEST,
	CARRY_AND,
	CARRY_OR,
	CARRY_FIRST
} Carry;

typedef struct SuffixPlan
{
	Partition  *partition;
	Query	   *query;
	Leaf	   *leaf;
	StreamingStage *stage;
	StreamingSuffix *suffix;
	SortGroupClause *order;		/* the first key of all windows */
	List	   *functions;		/* of WindowFunc, each once */
	List	   *hidden;			/* of Expr: columns that are none of the query's */
	List	   *carried;		/* of Expr: what is carried as a value */
	bool		fits;
} SuffixPlan;

/* ---- What can be kept so ---- */

static WindowClause *
clause_of(Query *query, WindowFunc *function)
{
	ListCell   *lc;

	foreach(lc, query->windowClause)
	{
		if (lfirst_node(WindowClause, lc)->winref == function->winref)
			return lfirst(lc);
	}
	elog(ERROR, "a window function has no window");
}

static bool
begins_with_partition(WindowClause *window)
{
	return (window->frameOptions & FRAMEOPTION_START_UNBOUNDED_PRECEDING) &&
		(window->frameOptions & FRAMEOPTION_END_CURRENT_ROW);
}

/* A constant number of rows; -1: it is none. */
static int64
constant_rows(Node *node)
{
	Node	   *value = node ? eval_const_expressions(NULL, node) : NULL;
	Const	   *constant = (Const *) value;

	if (value == NULL || !IsA(value, Const) || constant->constisnull)
		return -1;
	return constant->consttype == INT8OID ? DatumGetInt64(constant->constvalue) :
		constant->consttype == INT4OID ? DatumGetInt32(constant->constvalue) : -1;
}

/* Rows before the current one that a frame can begin with; -1: there is no limit. */
static int64
rows_before(WindowClause *window)
{
	int			options = window->frameOptions;

	if (options & FRAMEOPTION_START_CURRENT_ROW)
		return options & FRAMEOPTION_END_CURRENT_ROW ? 0 : -1;
	if (!(options & FRAMEOPTION_ROWS) || !(options & FRAMEOPTION_START_OFFSET_PRECEDING) ||
		!(options & (FRAMEOPTION_END_CURRENT_ROW | FRAMEOPTION_END_OFFSET_PRECEDING)))
		return -1;
	return constant_rows(window->startOffset);
}

/* min and max are the server's, and take one argument. */
static Carry
carry_of_aggregate(WindowFunc *function)
{
	const char *name;

	switch (function->winfnoid)
	{
		case F_COUNT_:
		case F_COUNT_ANY:
		case F_SUM_INT2:
		case F_SUM_INT4:
		case F_SUM_INT8:
		case F_SUM_NUMERIC:
			return CARRY_SUM;
		case F_BOOL_AND:
		case F_EVERY:
			return CARRY_AND;
		case F_BOOL_OR:
			return CARRY_OR;
	}
	name = get_func_name(function->winfnoid);
	if (list_length(function->args) != 1 || !streaming_type_is_ordered(function->wintype))
		return CARRY_REFUSED;
	return strcmp(name, "min") == 0 ? CARRY_LEAST : strcmp(name, "max") == 0 ? CARRY_LARGEST :
		CARRY_REFUSED;
}

/* Rows before the current one that it looks at, if that has a limit, into *before. */
static Carry
carry_of(Query *query, WindowFunc *function, int64 *before)
{
	WindowClause *window = clause_of(query, function);
	bool		excludes = (window->frameOptions & FRAMEOPTION_EXCLUSION) != 0;

	*before = 0;
	if (function->winfnoid >= FirstUnpinnedObjectId || streaming_skips_nulls(function))
		return CARRY_REFUSED;
	switch (function->winfnoid)
	{
		case F_ROW_NUMBER:
		case F_RANK_:
		case F_DENSE_RANK_:
			return CARRY_SUM;
		case F_LAG_ANYELEMENT:
			*before = 1;
			return CARRY_NOTHING;
		case F_LAG_ANYELEMENT_INT4:
		case F_LAG_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
			*before = constant_rows(lsecond(function->args));
			return *before < 0 ? CARRY_REFUSED : CARRY_NOTHING;
		case F_LAST_VALUE:
			if (excludes || !(window->frameOptions & FRAMEOPTION_END_CURRENT_ROW))
				return CARRY_REFUSED;
			return CARRY_NOTHING;
		case F_FIRST_VALUE:
			if (begins_with_partition(window))
				return excludes ? CARRY_REFUSED : CARRY_FIRST;
			break;
		default:
			if (!function->winagg)
				return CARRY_REFUSED;
			if (begins_with_partition(window))
				return carry_of_aggregate(function);
			break;
	}
	*before = rows_before(window);
	return *before < 0 ? CARRY_REFUSED : CARRY_NOTHING;
}

/* The column of the leaf that a clause names, as of a relation 1; or NULL. */
static Var *
plain_column(SuffixPlan *plan, SortGroupClause *clause)
{
	Var		   *var = (Var *) get_sortgroupclause_tle(clause, plan->query->targetList)->expr;
	ListCell   *lc;

	if (!IsA(var, Var) || var->varno != plan->leaf->rti || var->varlevelsup > 0)
		return NULL;
	foreach(lc, plan->leaf->columns)
	{
		if (lfirst_node(Var, lc)->varattno == var->varattno)
			return lfirst(lc);
	}
	return NULL;
}

/* Is it in an order that an index has, with NULLs at the end? */
static bool
is_indexed(SortGroupClause *clause, Var *column)
{
	Oid			opclass = GetDefaultOpClass(column->vartype, BTREE_AM_OID);
	int			strategy;

	if (clause->nulls_first || column->vartype >= FirstUnpinnedObjectId || !OidIsValid(opclass) ||
		!streaming_type_fits_index(column->vartype, column->vartypmod))
		return false;
	strategy = get_op_opfamily_strategy(clause->sortop, get_opclass_family(opclass));
	return strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber;
}

/* Do all windows have the same partitions, and the same first key, all plain columns? */
static bool
windows_agree(SuffixPlan *plan)
{
	WindowClause *first = linitial(plan->query->windowClause);
	Var		   *column;
	ListCell   *lc;

	if (first->orderClause == NIL)
		return false;
	plan->order = linitial(first->orderClause);
	foreach(lc, plan->query->windowClause)
	{
		WindowClause *window = lfirst(lc);

		if (!equal(window->partitionClause, first->partitionClause) ||
			window->orderClause == NIL || !equal(linitial(window->orderClause), plan->order))
			return false;
	}
	foreach(lc, first->partitionClause)
	{
		column = plain_column(plan, lfirst(lc));
		if (column == NULL || !streaming_type_is_plain(column->vartype))
			return false;
	}
	column = plain_column(plan, plan->order);
	return column && is_indexed(plan->order, column);
}

static bool
is_window_query(Partition *partition, StreamingStage *stage)
{
	Leaf	   *leaf = linitial(partition->leaves);
	Query	   *query = leaf->level->query;

	return list_length(partition->leaves) == 1 && list_length(partition->levels) == 1 &&
		partition->depth == 0 && query == partition->query && query->hasWindowFuncs &&
		streaming_only_relation(query) == leaf->rti && !OidIsValid(leaf->row_type) &&
		!leaf->tableoid && !query->hasAggs && !query->hasSubLinks && !query->hasTargetSRFs &&
		query->groupClause == NIL && query->distinctClause == NIL && query->limitCount == NULL &&
		query->limitOffset == NULL && query->cteList == NIL && query->havingQual == NULL &&
		stage->prune_sql == NULL;
}

/* ---- Averages ---- */

static WindowFunc *
other_function(WindowFunc *function, Oid other, Oid type)
{
	WindowFunc *result = copyObject(function);

	result->winfnoid = other;
	result->wintype = type;
	return result;
}

static Expr *
to_numeric(WindowFunc *function)
{
	if (function->wintype == NUMERICOID)
		return (Expr *) function;
	return (Expr *) makeFuncExpr(F_NUMERIC_INT8, NUMERICOID, list_make1(function), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CAST);
}

static Oid
sum_for_average(WindowFunc *function)
{
	switch (function->winfnoid)
	{
		case F_AVG_INT2:
			return F_SUM_INT2;
		case F_AVG_INT4:
			return F_SUM_INT4;
		case F_AVG_INT8:
			return F_SUM_INT8;
		case F_AVG_NUMERIC:
			return F_SUM_NUMERIC;
		default:
			return InvalidOid;
	}
}

static Expr *
call(Oid function, Oid type, Expr *left, Expr *right)
{
	return (Expr *) makeFuncExpr(function, type, list_make2(left, right), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* CASE WHEN condition THEN result ELSE otherwise END */
static Expr *
choice(Expr *condition, Expr *result, Expr *otherwise)
{
	CaseExpr   *expr = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = condition;
	when->result = result;
	when->location = -1;
	expr->casetype = exprType((Node *) result);
	expr->casecollid = exprCollation((Node *) result);
	expr->args = list_make1(when);
	expr->defresult = otherwise;
	expr->location = -1;
	return (Expr *) expr;
}

/* An average over what begins with the partition is made of a sum and a count. */
static Node *
average_mutator(Node *node, Query *query)
{
	WindowFunc *function = (WindowFunc *) node;
	Oid			sum;
	WindowFunc *count;
	Expr	   *zero;
	Expr	   *total;

	if (node == NULL)
		return NULL;
	if (!IsA(node, WindowFunc))
		return expression_tree_mutator(node, average_mutator, query);
	sum = sum_for_average(function);
	if (!OidIsValid(sum) || !begins_with_partition(clause_of(query, function)))
		return copyObject(node);
	count = other_function(function, F_COUNT_ANY, INT8OID);
	zero = (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false,
							  FLOAT8PASSBYVAL);
	total = to_numeric(other_function(function, sum, get_func_rettype(sum)));
	return (Node *) choice(call(F_INT8GT, BOOLOID, (Expr *) count, zero),
						   call(F_NUMERIC_DIV, NUMERICOID, total, to_numeric(copyObject(count))),
						   (Expr *) makeNullConst(NUMERICOID, -1, InvalidOid));
}

/* ---- What is carried ---- */

/* The window over all rows up to the current value of the first key; made if need be. */
static WindowClause *
peers_window(SuffixPlan *plan)
{
	WindowClause *first = linitial(plan->query->windowClause);
	WindowClause *result;
	Index		winref = 0;
	ListCell   *lc;

	foreach(lc, plan->query->windowClause)
	{
		WindowClause *window = lfirst(lc);

		winref = Max(winref, window->winref);
		if (list_length(window->orderClause) == 1 && begins_with_partition(window) &&
			!(window->frameOptions & (FRAMEOPTION_ROWS | FRAMEOPTION_EXCLUSION)))
			return window;
	}
	result = makeNode(WindowClause);
	result->partitionClause = copyObject(first->partitionClause);
	result->orderClause = list_make1(copyObject(plan->order));
	result->frameOptions = FRAMEOPTION_DEFAULTS;
	result->winref = winref + 1;
	plan->query->windowClause = lappend(plan->query->windowClause, result);
	return result;
}

/* What it is for the last row of those before, all of one value of the first key. */
static WindowFunc *
carried_function(SuffixPlan *plan, WindowFunc *function)
{
	WindowFunc *result = copyObject(function);

	if (function->winfnoid == F_DENSE_RANK_ || function->winfnoid == F_FIRST_VALUE)
		return result;
	if (!function->winagg)
	{
		result->winfnoid = F_COUNT_;
		result->winstar = result->winagg = true;
	}
	result->winref = peers_window(plan)->winref;
	return result;
}

/* The key of the stage that an expression is; a hidden one if it is no output. */
static int
key_of(SuffixPlan *plan, Node *expr)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, plan->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		if (equal(tle->expr, expr))
			return n;
		n++;
	}
	plan->hidden = list_append_unique(plan->hidden, expr);
	return plan->stage->noutputs + streaming_list_position(plan->hidden, expr);
}

/* Notes a function, and what is carried into it. */
static bool
plan_function(Node *node, SuffixPlan *plan)
{
	WindowFunc *function = (WindowFunc *) node;
	WindowFunc *before;
	int64		rows;
	Carry		carry;

	if (node == NULL)
		return false;
	if (!IsA(node, WindowFunc))
		return expression_tree_walker(node, plan_function, plan);
	if (list_member(plan->functions, function))
		return false;
	carry = carry_of(plan->query, function, &rows);
	if (carry == CARRY_REFUSED)
	{
		plan->fits = false;
		return true;
	}
	plan->functions = lappend(plan->functions, function);
	plan->suffix->rows_before = Max(plan->suffix->rows_before, rows);
	if (carry == CARRY_NOTHING)
		return false;
	before = carried_function(plan, function);
	plan->fits &= get_typtype(before->wintype) != TYPTYPE_PSEUDO;
	if (list_member(plan->carried, before))
		return false;
	plan->carried = lappend(plan->carried, before);
	if (before->winfnoid == F_DENSE_RANK_)
	{
		/* of those before, the last one in its own order has the largest */
		plan->fits &= plan->suffix->last_key < 0;
		plan->suffix->last_key = key_of(plan, (Node *) before);
	}
	(void) key_of(plan, (Node *) before);
	return plan_function((Node *) before, plan);
}

/* ---- The statements ---- */

static Var *
raw_column(int i, Node *expr)
{
	return makeVar(1, i, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* Behind the columns and the functions are: the partition, the first key, "has", values. */
static int
first_extra(SuffixPlan *plan)
{
	return list_length(plan->leaf->columns) + list_length(plan->functions) + 1;
}

static Expr *
coalesce(List *args)
{
	CoalesceExpr *result = makeNode(CoalesceExpr);

	result->coalescetype = exprType(linitial(args));
	result->coalescecollid = exprCollation(linitial(args));
	result->args = args;
	result->location = -1;
	return (Expr *) result;
}

static Expr *
end_of(MinMaxOp op, Var *value, Var *before)
{
	MinMaxExpr *result = makeNode(MinMaxExpr);

	result->minmaxtype = value->vartype;
	result->minmaxcollid = result->inputcollid = value->varcollid;
	result->op = op;
	result->args = list_make2(value, before);
	result->location = -1;
	return (Expr *) result;
}

/* A function over all rows, of what it is over the rest and what it was before. */
static Expr *
whole_function(SuffixPlan *plan, WindowFunc *function)
{
	int			i = streaming_list_position(plan->functions, (Node *) function);
	Var		   *value = raw_column(list_length(plan->leaf->columns) + 1 + i, (Node *) function);
	Carry		carry;
	int64		rows;
	WindowFunc *carried;
	Var		   *before;

	carry = carry_of(plan->query, function, &rows);
	if (carry == CARRY_NOTHING)
		return (Expr *) value;
	carried = carried_function(plan, function);
	before = raw_column(first_extra(plan) + 3 + streaming_list_position(plan->carried, (Node *) carried),
						(Node *) carried);
	switch (carry)
	{
		case CARRY_SUM:
			return coalesce(list_make3(call(function->wintype == INT8OID ? F_INT8PL : F_NUMERIC_ADD,
											function->wintype, (Expr *) value, (Expr *) before),
									   copyObject(value), copyObject(before)));
		case CARRY_LEAST:
			return end_of(IS_LEAST, value, before);
		case CARRY_LARGEST:
			return end_of(IS_GREATEST, value, before);
		case CARRY_AND:
		case CARRY_OR:
			return makeBoolExpr(carry == CARRY_AND ? AND_EXPR : OR_EXPR,
								list_make2(coalesce(list_make2(value, before)),
										   coalesce(list_make2(copyObject(before), copyObject(value)))), -1);
		case CARRY_FIRST:
			return choice((Expr *) makeVar(1, first_extra(plan) + 2, BOOLOID, -1, InvalidOid, 0),
						  (Expr *) before, (Expr *) value);
		case CARRY_NOTHING:
		case CARRY_REFUSED:
			break;
	}
	elog(ERROR, "a window function is not computed by what it was before");
}

/* Columns and functions as they are at the level above. */
static Node *
result_mutator(Node *node, SuffixPlan *plan)
{
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, WindowFunc))
		return (Node *) whole_function(plan, (WindowFunc *) node);
	if (!IsA(node, Var))
		return expression_tree_mutator(node, result_mutator, plan);
	foreach(lc, plan->leaf->columns)
	{
		if (lfirst_node(Var, lc)->varattno == ((Var *) node)->varattno)
			return (Node *) raw_column(foreach_current_index(lc) + 1, node);
	}
	elog(ERROR, "a window query reads a column that is not kept");
}

static void
add_target(Query *query, Node *expr, const char *name)
{
	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) expr, list_length(query->targetList) + 1,
												pstrdup(name), false));
}

/* SELECT <partition>, <outputs>, <hidden columns> FROM "$raw" */
static char *
result_sql(SuffixPlan *plan)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	int			ncolumns = first_extra(plan) + 2 + list_length(plan->carried);
	List	   *names = NIL;
	ListCell   *lc;

	for (int i = 1; i <= ncolumns; i++)
		names = lappend(names, makeString(psprintf("r%d", i)));
	streaming_name_relation(rte, "$raw", names);
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	add_target(query, (Node *) makeVar(1, first_extra(plan), INT8OID, -1, InvalidOid, 0), "$group");
	foreach(lc, plan->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			add_target(query, result_mutator((Node *) tle->expr, plan),
					   psprintf("c%d", list_length(query->targetList)));
	}
	foreach(lc, plan->hidden)
		add_target(query, result_mutator(lfirst(lc), plan), psprintf("c%d", list_length(query->targetList)));
	return streaming_deparse(query);
}

/* Of a column of the leaf behind its own. */
static char *
extra_name(int i)
{
	return psprintf("$f%d", i + 1);
}

/*
 * SELECT <columns>, <functions>, <what is carried> FROM <leaf> WHERE ...: the clauses of
 * windows name targets, which stay as junk.
 */
static char *
raw_sql(SuffixPlan *plan)
{
	Query	   *query = copyObject(plan->query);
	RangeTblEntry *rte = streaming_leaf_rte(plan->leaf);
	int			ncolumns = list_length(rte->eref->colnames);
	List	   *junk = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->ressortgroupref == 0)
			continue;
		tle->resjunk = true;
		junk = lappend(junk, tle);
	}
	query->targetList = NIL;
	query->sortClause = NIL;
	foreach(lc, plan->leaf->columns)
	{
		Var		   *column = copyObject(lfirst_node(Var, lc));

		column->varno = plan->leaf->rti;
		add_target(query, (Node *) column, psprintf("c%d", list_length(query->targetList) + 1));
	}
	foreach(lc, plan->functions)
		add_target(query, copyObject(lfirst(lc)), psprintf("c%d", list_length(query->targetList) + 1));
	for (int i = 0; i < 3 + list_length(plan->carried); i++)
	{
		/* whatever their types are: they are written by their names */
		add_target(query, (Node *) makeVar(plan->leaf->rti, ncolumns + i + 1, INT8OID, -1, InvalidOid, 0),
				   psprintf("c%d", list_length(query->targetList) + 1));
	}
	foreach(lc, junk)
		lfirst_node(TargetEntry, lc)->resno = list_length(query->targetList) + foreach_current_index(lc) + 1;
	query->targetList = list_concat(query->targetList, junk);
	rte = list_nth(query->rtable, plan->leaf->rti - 1);
	for (int i = 0; i < 3 + list_length(plan->carried); i++)
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(extra_name(i)));
	return streaming_deparse(query);
}

/* The columns of the edge and the keys of the stage that tell partition and order. */
static void
fill_columns(SuffixPlan *plan)
{
	StreamingSuffix *suffix = plan->suffix;
	WindowClause *first = linitial(plan->query->windowClause);
	List	   *clauses = lappend(list_copy(first->partitionClause), plan->order);
	Var		   *column = NULL;
	ListCell   *lc;

	suffix->npartition = list_length(first->partitionClause);
	suffix->columns = palloc(sizeof(int) * list_length(clauses));
	suffix->keys = palloc(sizeof(int) * list_length(clauses));
	foreach(lc, clauses)
	{
		int			i = foreach_current_index(lc);

		column = plain_column(plan, lfirst(lc));
		suffix->columns[i] = streaming_list_position(plan->leaf->columns, (Node *) column) + 1;
		suffix->keys[i] = key_of(plan, (Node *) get_sortgroupclause_tle(lfirst(lc),
																		plan->query->targetList)->expr);
	}
	suffix->descending = get_op_opfamily_strategy(plan->order->sortop,
												  get_opclass_family(GetDefaultOpClass(column->vartype,
																					   BTREE_AM_OID))) ==
		BTGreaterStrategyNumber;
}

static void
fill_keys(SuffixPlan *plan)
{
	StreamingStage *stage = plan->stage;
	StreamingValue *keys;
	ListCell   *lc;

	plan->suffix->ncarried = list_length(plan->carried);
	plan->suffix->carried = palloc(sizeof(int) * Max(plan->suffix->ncarried, 1));
	foreach(lc, plan->carried)
		plan->suffix->carried[foreach_current_index(lc)] = key_of(plan, lfirst(lc));
	keys = palloc0(sizeof(StreamingValue) * (stage->nkeys + list_length(plan->hidden) + 1));
	memcpy(keys, stage->keys, sizeof(StreamingValue) * stage->nkeys);
	foreach(lc, plan->hidden)
		streaming_fill_value(&keys[stage->nkeys + foreach_current_index(lc)],
							 psprintf("h%d", foreach_current_index(lc) + 1), lfirst(lc));
	stage->keys = keys;
	stage->nkeys += list_length(plan->hidden);
}

void
streaming_plan_suffix(Partition *partition, StreamingStage *stage)
{
	SuffixPlan		plan = {partition};
	RangeTblEntry *rte;
	StringInfoData buf;

	if (!is_window_query(partition, stage))
		return;
	plan.leaf = linitial(partition->leaves);
	plan.query = copyObject(partition->query);
	plan.stage = stage;
	plan.suffix = palloc0(sizeof(StreamingSuffix));
	plan.suffix->last_key = -1;
	plan.fits = true;
	if (!windows_agree(&plan))
		return;
	plan.query->targetList = (List *) average_mutator((Node *) plan.query->targetList, plan.query);
	(void) plan_function((Node *) copyObject(plan.query->targetList), &plan);
	if (!plan.fits)
		return;
	fill_columns(&plan);
	fill_keys(&plan);
	plan.suffix->nraw = first_extra(&plan) + 2 + plan.suffix->ncarried;
	plan.suffix->first_column = first_extra(&plan) + 1;
	plan.suffix->raw_sql = raw_sql(&plan);
	rte = streaming_leaf_rte(plan.leaf);
	for (int i = 0; i < 3 + plan.suffix->ncarried; i++)
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(extra_name(i)));
	initStringInfo(&buf);
	streaming_append_leaf(&buf, plan.leaf, 0, streaming_suffix_carried(plan.suffix),
						  3 + plan.suffix->ncarried, streaming_suffix_rows(plan.suffix, &stage->edges[0]));
	plan.suffix->raw_sql = psprintf("WITH %s %s", buf.data, plan.suffix->raw_sql);
	plan.suffix->result_sql = result_sql(&plan);
	stage->suffix = plan.suffix;
}
