/*
 * partial.c
 *		Makes the planner stop an aggregation half way, and choose its order.
 *
 * A statement prepared with the cursor option STREAMING_CURSOR_OPT_PARTIAL must
 * be a plain GROUP BY whose select list holds only grouping expressions and
 * aggregate calls.  It is planned as any other; then its Agg node is told to
 * hand out transition states (serialized where their type is "internal")
 * instead of results, which is what the planner itself asks of the lower half
 * of a parallel aggregation (see AGGSPLIT_INITIAL_SERIAL in nodes/nodes.h).  Of a
 * parallel plan it is the upper half, which combines what the workers hand up.
 *
 * With STREAMING_CURSOR_OPT_ORDERED, too, its input is to come in the order of the
 * groups' hashes.  The planner is made to sort the input, which also leaves out of
 * it what the aggregation does not read; then a node of ours does it in the
 * place of Sort (hash_order.c).
 *
 * The marks are bits of the cursor options, so that statements planned inside
 * functions that the aggregation calls are not touched.
 *
 * With STREAMING_CURSOR_OPT_LOOK_UP rows of tables are rather looked up than read with all.
 *
 * Any plan has its recursions bounded.
 */
#include "postgres.h"

#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "utils/guc.h"

#include "compat.h"
#include "base/statement.h"
#include "exec/exec.h"
#include "exec/hash_order.h"

/* Combines states, but hands out states again: between the planner's two halves. */
#define AGGSPLIT_BETWEEN \
	((AggSplit) (AGGSPLIT_INITIAL_SERIAL | AGGSPLIT_FINAL_DESERIAL))

/* What a page of state costs, and a row of it, of what the server's settings say. */
#define CACHED_PAGE 0.1
#define COPIED_TUPLE 4

static planner_hook_type prev_planner_hook = NULL;

static void
split_aggregation(PlannedStmt *stmt)
{
	Agg		   *agg = (Agg *) stmt->planTree;
	AggSplit	split;
	ListCell   *lc;

	if (!IsA(agg, Agg) || agg->plan.qual != NIL ||
		(agg->aggsplit != AGGSPLIT_SIMPLE && agg->aggsplit != AGGSPLIT_FINAL_DESERIAL))
		elog(ERROR, "partial aggregation has an unexpected plan");

	split = agg->aggsplit == AGGSPLIT_SIMPLE ? AGGSPLIT_INITIAL_SERIAL : AGGSPLIT_BETWEEN;
	agg->aggsplit = split;
	foreach(lc, agg->chain)		/* of grouping sets: the other ways to groups */
		lfirst_node(Agg, lc)->aggsplit = split;
	foreach(lc, agg->plan.targetlist)
	{
		Aggref	   *aggref = (Aggref *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(aggref, Aggref))
			continue;
		aggref->aggsplit = AGGSPLIT_SIMPLE; /* as mark_partial_aggref wants it */
		mark_partial_aggref(aggref, split);
	}
}

/*
 * The planner takes min and max of a whole input from the ends of an order, which has
 * no halves; but not in a query that has a WITH clause.
 */
static void
avoid_minmax(Query *query)
{
	CommonTableExpr *unused = makeNode(CommonTableExpr);
	Query	   *nothing = makeNode(Query);

	if (query->groupClause != NIL || !query->hasAggs || query->cteList != NIL)
		return;
	nothing->commandType = CMD_SELECT;
	nothing->jointree = makeFromExpr(NIL, NULL);
	unused->ctename = pstrdup("$unused");
	unused->ctequery = (Node *) nothing;
	query->cteList = list_make1(unused);
}

/* If the planner has found another way to the groups, it is as well. */
static void
order_by_hash(PlannedStmt *stmt)
{
	Plan	   *plan = stmt->planTree;
	Plan	   *below = outerPlan(plan);
	List	   *keys = NIL;
	Plan	   *order;
	ListCell   *lc;

	if (!(IsA(plan, Agg) && ((Agg *) plan)->aggstrategy == AGG_SORTED) && !IsA(plan, Group))
		return;
	if (!IsA(below, Sort))
		return;
	foreach(lc, plan->targetlist)
	{
		Expr	   *expr = lfirst_node(TargetEntry, lc)->expr;

		if (IsA(expr, Aggref))
			continue;
		if (!IsA(expr, Var) || ((Var *) expr)->varno != OUTER_VAR)
			return;
		keys = lappend(keys, expr);
	}
	order = streaming_hash_order((Sort *) below, keys);
	if (order)
		outerPlan(plan) = order;
}

static PlannedStmt *
next_planner(STREAMING_PLANNER_PARAMETERS)
{
	if (prev_planner_hook)
		return prev_planner_hook(STREAMING_PLANNER_ARGUMENTS);
	return standard_planner(STREAMING_PLANNER_ARGUMENTS);
}

/*
 * The next planner, without hash tables for groups if hash is false.  Grouping sets have
 * them however many groups there may be, of which nothing is known: a table that is full
 * writes the rows of the others out, and all are sorted once for each set without.
 *
 * If look_up is true rows of a batch are joined with a table of state.  Left to itself the planner
 * reads all of that until it has some 100 times as many rows, by what it takes disks to be, and
 * 20 times if all is cached, so that a batch costs what the state does.  But the pages of state
 * are in memory; and a row that is copied into a hash table takes a quarter of the time in which
 * another is found by an index, whose entries are asked for in their order.
 */
static PlannedStmt *
plan_with(bool hash, bool look_up, STREAMING_PLANNER_PARAMETERS)
{
	PlannedStmt *volatile stmt = NULL;
	bool		saved = enable_hashagg;
	int			saved_mem = work_mem;
	double		saved_seq = seq_page_cost;
	double		saved_random = random_page_cost;
	double		saved_tuple = cpu_tuple_cost;

	if (parse->groupingSets)
		work_mem = MAX_KILOBYTES;
	else
		enable_hashagg = enable_hashagg && hash;
	if (look_up)
	{
		seq_page_cost *= CACHED_PAGE;
		random_page_cost = Min(random_page_cost, seq_page_cost);
		cpu_tuple_cost *= COPIED_TUPLE;
	}
	PG_TRY();
	{
		stmt = next_planner(STREAMING_PLANNER_ARGUMENTS);
	}
	PG_FINALLY();
	{
		enable_hashagg = saved;
		work_mem = saved_mem;
		seq_page_cost = saved_seq;
		random_page_cost = saved_random;
		cpu_tuple_cost = saved_tuple;
	}
	PG_END_TRY();
	return stmt;
}

/*
 * PostgreSQL 19 makes the hash table of a recursion as large as the planner's estimate of its
 * rows wants it, which multiplies what it does not know and soon is of gigabytes; releases
 * before begin with hash_mem at most. Tables grow as they need to.
 */
static void
limit_recursions(PlannedStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->subplans)
	{
		RecursiveUnion *plan = lfirst(lc);

		if (plan && IsA(plan, RecursiveUnion))
			plan->numGroups = Min(plan->numGroups,
								  Max(get_hash_memory_limit() / sizeof(TupleHashEntryData), 1));
	}
}

static PlannedStmt *
streaming_planner(STREAMING_PLANNER_PARAMETERS)
{
	bool		partial = (cursor_options & STREAMING_CURSOR_OPT_PARTIAL) != 0;
	bool		ordered = (cursor_options & STREAMING_CURSOR_OPT_ORDERED) != 0;
	bool		look_up = (cursor_options & STREAMING_CURSOR_OPT_LOOK_UP) != 0;
	PlannedStmt *stmt;

	cursor_options &= ~(STREAMING_CURSOR_OPT_PARTIAL | STREAMING_CURSOR_OPT_ORDERED |
						STREAMING_CURSOR_OPT_LOOK_UP);
	if (partial)
		avoid_minmax(parse);
	stmt = partial || ordered || look_up ? plan_with(!ordered, look_up, STREAMING_PLANNER_ARGUMENTS) :
		next_planner(STREAMING_PLANNER_ARGUMENTS);
	if (partial)
		split_aggregation(stmt);
	if (ordered)
		order_by_hash(stmt);
	limit_recursions(stmt);
	return stmt;
}

void
streaming_query_init(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = streaming_planner;
}
