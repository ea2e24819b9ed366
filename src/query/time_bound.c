/*
 * time_bound.c
 *		Joins whose sides are near each other in event time.
 *
 *	FROM a JOIN b ON a.k = b.k AND a.at BETWEEN b.at - interval '1 hour' AND b.at
 *
 * A row of b that is not late has b.at >= watermark, so whatever is yet to be joined
 * with it has a.at >= watermark - 1 hour: rows of a that are older are kept no more,
 * and of what the join hands up a.at is event time, an hour later than the watermark.
 *
 * Conditions say that one time is at most so much before another.  Those that follow
 * from each other are found as longest paths are: with a - b >= x and b - c >= y,
 * a - c >= x + y.  All times are those at which the windows end (event_time.c), which
 * for windows that are equal are the same.
 *
 * A row is kept until every other input is so far that none of its rows in time can
 * be joined with it.  An input without a bound to it never is.
 *
 * Of an outer join a row that has met none is handed up then.  Whether it has is asked
 * of what is kept of the other side, which therefore is kept for longer (its lag): until
 * no row that it has met is to ask any more.
 *
 *	a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '1 hour'
 *
 * A row of b can be joined until the watermark has passed b.at; but a row of a that it
 * has met, at most as old as b.at, asks an hour after its own time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "query/compile.h"

/* No bound is known.  Bounds are far from where adding two of them overflows. */
#define NO_BOUND	PG_INT64_MIN
#define MAX_BOUND	(PG_INT64_MAX / 4)

/* A time in the conditions: an expression over a leaf. */
typedef struct TimeNode
{
	int			number;			/* in BoundSearch.nodes */
	int			leaf;
	Node	   *expr;			/* as of a relation 1 */
	StreamingWindow window;
} TimeNode;

/* One side of a comparison: a node and what is added to it, in microseconds. */
typedef struct Side
{
	TimeNode   *node;
	int64		least;
	int64		most;
} Side;

/* node->window's end is at least that much after the other's. */
typedef struct Bound
{
	TimeNode   *node;
	TimeNode   *other;
	int64		difference;
} Bound;

typedef struct BoundSearch
{
	StreamingCompiler *compiler;
	StreamingLeafTime *leaves;
	int			nleaves;
	List	   *nodes;			/* of TimeNode */
	List	   *bounds;			/* of Bound */
} BoundSearch;

/* ---- Constants ---- */

/*
 * A constant interval that adds to a time between least and most microseconds: days
 * are longer and shorter where clocks are changed.
 */
static bool
constant_shift(Node *node, bool by_clock, int64 *least, int64 *most)
{
	Interval   *interval = exprType(node) == INTERVALOID ? streaming_constant_interval(node) : NULL;
	int64		usecs;
	int64		spare = by_clock && interval && interval->day != 0 ? USECS_PER_DAY : 0;

	if (interval == NULL || interval->month != 0 ||
		pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, interval->time, &usecs) ||
		usecs > MAX_BOUND / 4 || usecs < -MAX_BOUND / 4)
		return false;
	*least = usecs - spare;
	*most = usecs + spare;
	return true;
}

/* time + interval, time - interval; *sign: 1 or -1 */
static bool
is_shift(Node *node, Node **time, Node **interval, int *sign)
{
	OpExpr	   *op = (OpExpr *) node;
	bool		swapped = false;

	if (!IsA(node, OpExpr) || list_length(op->args) != 2)
		return false;
	*sign = 1;
	switch (get_opcode(op->opno))
	{
		case F_TIMESTAMPTZ_MI_INTERVAL:
		case F_TIMESTAMP_MI_INTERVAL:
			*sign = -1;
			break;
		case F_TIMESTAMPTZ_PL_INTERVAL:
		case F_TIMESTAMP_PL_INTERVAL:
			break;
		case F_INTERVAL_PL_TIMESTAMPTZ:
		case F_INTERVAL_PL_TIMESTAMP:
			swapped = true;
			break;
		default:
			return false;
	}
	*time = swapped ? lsecond(op->args) : linitial(op->args);
	*interval = swapped ? linitial(op->args) : lsecond(op->args);
	return true;
}

/* ---- Comparisons ---- */

typedef struct LeafVars
{
	BoundSearch *search;
	int			leaf;			/* -1: none yet; -2: several, or others */
} LeafVars;

static Node *
leaf_mutator(Node *node, LeafVars *vars)
{
	Var		   *var;
	int			leaf;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, leaf_mutator, vars);
	var = (Var *) copyObject(node);
	leaf = (int) var->varno <= vars->search->nleaves ? (int) var->varno - 1 : -2;
	vars->leaf = vars->leaf == -1 || vars->leaf == leaf ? leaf : -2;
	var->varno = 1;
	return (Node *) var;
}

/* The node of an expression that is event time; NULL: it is not. */
static TimeNode *
node_of(BoundSearch *search, Node *expr)
{
	LeafVars	vars = {search, -1};
	TimeNode   *node;
	StreamingWindow window;
	ListCell   *lc;

	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	expr = leaf_mutator(expr, &vars);
	if (vars.leaf < 0)
		return NULL;
	window = streaming_window_of(search->compiler, search->leaves[vars.leaf].query, expr);
	if (window.kind == STREAMING_WINDOW_NONE || window.kind == STREAMING_WINDOW_SESSION)
		return NULL;
	foreach(lc, search->nodes)
	{
		node = lfirst(lc);
		if (node->leaf == vars.leaf && equal(node->expr, expr))
			return node;
	}
	node = palloc(sizeof(TimeNode));
	node->number = list_length(search->nodes);
	node->leaf = vars.leaf;
	node->expr = expr;
	node->window = window;
	search->nodes = lappend(search->nodes, node);
	return node;
}

static Side
side_of(BoundSearch *search, Node *expr)
{
	Side		side = {NULL, 0, 0};
	Node	   *time;
	Node	   *interval;
	int			sign;
	int64		least;
	int64		most;

	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	if (!is_shift(expr, &time, &interval, &sign))
	{
		side.node = node_of(search, expr);
		return side;
	}
	if (!constant_shift(interval, exprType(time) == TIMESTAMPTZOID, &least, &most))
		return side;
	side = side_of(search, time);
	side.least += sign > 0 ? least : -most;
	side.most += sign > 0 ? most : -least;
	if (side.least < -MAX_BOUND / 4 || side.least > MAX_BOUND / 4 ||
		side.most < -MAX_BOUND / 4 || side.most > MAX_BOUND / 4)
		side.node = NULL;
	return side;
}

/* left >= right */
static void
add_bound(BoundSearch *search, const Side *left, const Side *right)
{
	Bound	   *bound = palloc(sizeof(Bound));

	bound->node = left->node;
	bound->other = right->node;
	bound->difference = right->least - left->most;
	search->bounds = lappend(search->bounds, bound);
}

/* Do they end at the same time if they are equal? */
static bool
same_windows(const StreamingWindow *a, const StreamingWindow *b)
{
	return streaming_window_of_both(a, b).kind != STREAMING_WINDOW_NONE;
}

/* The btree strategy of a comparison of values of a type; 0: it is none. */
static int
strategy_of(Oid opno, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(type), TYPECACHE_BTREE_OPFAMILY);

	return OidIsValid(entry->btree_opf) ? get_op_opfamily_strategy(opno, entry->btree_opf) : 0;
}

static void
add_comparison(BoundSearch *search, OpExpr *op)
{
	Node	   *left_expr = linitial(op->args);
	Node	   *right_expr = lsecond(op->args);
	int			strategy = strategy_of(op->opno, exprType(left_expr));
	OpExpr	   *difference = (OpExpr *) left_expr;
	Side		left;
	Side		right;

	if (strategy == 0)
		return;
	/* a - b < interval */
	if (IsA(left_expr, OpExpr) && (get_opcode(difference->opno) == F_TIMESTAMPTZ_MI ||
								   get_opcode(difference->opno) == F_TIMESTAMP_MI))
	{
		left = side_of(search, linitial(difference->args));
		right = side_of(search, lsecond(difference->args));
		if (!constant_shift(right_expr, false, &left.least, &left.most))
			return;
		right.least = left.least;
		right.most = left.most;
		left.least = left.most = 0;
	}
	else
	{
		if (exprType(left_expr) != exprType(right_expr))
			return;
		left = side_of(search, left_expr);
		right = side_of(search, right_expr);
	}
	if (left.node == NULL || right.node == NULL || left.node->leaf == right.node->leaf ||
		!same_windows(&left.node->window, &right.node->window))
		return;
	if (left.node->window.kind != STREAMING_WINDOW_TIME && strategy != BTEqualStrategyNumber)
		return;
	if (strategy != BTLessStrategyNumber && strategy != BTLessEqualStrategyNumber)
		add_bound(search, &left, &right);
	if (strategy != BTGreaterStrategyNumber && strategy != BTGreaterEqualStrategyNumber)
		add_bound(search, &right, &left);
}

static void
add_condition(BoundSearch *search, Node *node)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	if (IsA(node, List))
	{
		foreach(lc, (List *) node)
			add_condition(search, lfirst(lc));
	}
	else if (is_andclause(node))
		add_condition(search, (Node *) ((BoolExpr *) node)->args);
	else if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
		add_comparison(search, (OpExpr *) node);
}

/* ---- What follows ---- */

/* How much, at least, each node is after each other one; of list_length(nodes)^2. */
static int64 *
differences(BoundSearch *search)
{
	int			n = list_length(search->nodes);
	int64	   *d = palloc(sizeof(int64) * Max(n * n, 1));
	ListCell   *lc;

	for (int i = 0; i < n * n; i++)
		d[i] = NO_BOUND;
	foreach(lc, search->bounds)
	{
		Bound	   *bound = lfirst(lc);
		int64	   *known = &d[bound->node->number * n + bound->other->number];

		*known = Max(*known, bound->difference);
	}
	for (int k = 0; k < n; k++)
	{
		for (int i = 0; i < n; i++)
		{
			for (int j = 0; j < n && d[i * n + k] != NO_BOUND; j++)
			{
				if (d[k * n + j] != NO_BOUND && i != j)
					d[i * n + j] = Max(d[i * n + j],
									   Max(Min(d[i * n + k] + d[k * n + j], MAX_BOUND), -MAX_BOUND));
			}
		}
	}
	return d;
}

/* Until how long after its end can rows of node i be joined?  -1: for ever. */
static int64
delay_of(BoundSearch *search, const int64 *d, int i)
{
	int			n = list_length(search->nodes);
	TimeNode   *node = list_nth(search->nodes, i);
	int64		result = node->window.delay;

	for (int leaf = 0; leaf < search->nleaves; leaf++)
	{
		int64		least = PG_INT64_MAX;

		for (int j = 0; j < n; j++)
		{
			TimeNode   *other = list_nth(search->nodes, j);

			if (other->leaf == leaf && d[i * n + j] != NO_BOUND)
				least = Min(least, other->window.delay - d[i * n + j]);
		}
		if (leaf != node->leaf && least == PG_INT64_MAX)
			return -1;
		if (leaf != node->leaf)
			result = Max(result, least);
	}
	return result < MAX_BOUND ? result : -1;
}

/* The times that an input's rows must have in order not to be late. */
static void
add_late(BoundSearch *search)
{
	ListCell   *lc;

	foreach(lc, search->bounds)
	{
		Bound	   *bound = lfirst(lc);
		TimeNode   *nodes[2] = {bound->node, bound->other};

		for (int i = 0; i < 2; i++)
		{
			StreamingLeafTime *leaf = &search->leaves[nodes[i]->leaf];

			streaming_follow(search->compiler, nodes[i]->window.inputs);
			if (nodes[i]->window.has_late)
				leaf->late = list_append_unique(leaf->late,
												streaming_window_closes(&nodes[i]->window, nodes[i]->expr));
		}
	}
}

/*
 * By how much later than it closes a row goes by the time of node i of it: when the rows
 * of the other leaf that it has met have closed, if those are preserved.  -1: never.
 */
static int64
lag_of(BoundSearch *search, const int64 *d, int i)
{
	int			n = list_length(search->nodes);
	TimeNode   *node = list_nth(search->nodes, i);
	int64		least = PG_INT64_MAX;
	bool		asked = false;

	for (int leaf = 0; leaf < search->nleaves; leaf++)
		asked |= leaf != node->leaf && search->leaves[leaf].preserved;
	for (int j = 0; asked && j < n; j++)
	{
		TimeNode   *other = list_nth(search->nodes, j);
		int64		delay = delay_of(search, d, j);

		/* it closes by the first of its times, so before any of them */
		if (other->leaf != node->leaf && search->leaves[other->leaf].preserved &&
			delay >= 0 && d[i * n + j] != NO_BOUND)
			least = Min(least, delay - d[i * n + j]);
	}
	if (!asked)
		return 0;
	return least < MAX_BOUND ? Max(least - delay_of(search, d, i), 0) : -1;
}

/* Until when the rows of a leaf are joined, by the time of node i. */
static void
bound_leaf(BoundSearch *search, const int64 *d, int i, Bitmapset *inputs)
{
	TimeNode   *node = list_nth(search->nodes, i);
	StreamingLeafTime *leaf = &search->leaves[node->leaf];
	StreamingWindow *window = palloc(sizeof(StreamingWindow));
	int64		lag = lag_of(search, d, i);

	*window = node->window;
	window->delay = delay_of(search, d, i);
	if (window->delay < 0)
		return;
	window->has_late = false;
	window->inputs = inputs;
	if (leaf->closes)
		leaf->lag = lag < 0 || leaf->lag < 0 ? -1 : Max(leaf->lag, lag);
	else
		leaf->lag = lag;
	leaf->closes = lappend(leaf->closes, streaming_window_closes(window, node->expr));
	leaf->exprs = lappend(leaf->exprs, node->expr);
	leaf->windows = lappend(leaf->windows, window);
}

void
streaming_bound_times(StreamingCompiler *compiler, List *conditions, StreamingLeafTime *leaves,
					  int nleaves)
{
	BoundSearch search = {compiler, leaves, nleaves};
	Bitmapset  *inputs = NULL;
	int64	   *d;
	bool		bounded = false;
	ListCell   *lc;

	add_condition(&search, (Node *) conditions);
	d = differences(&search);
	foreach(lc, search.nodes)
		inputs = bms_add_members(inputs, ((TimeNode *) lfirst(lc))->window.inputs);
	foreach(lc, search.nodes)
		bound_leaf(&search, d, foreach_current_index(lc), inputs);
	for (int i = 0; i < nleaves; i++)
		bounded |= leaves[i].closes != NIL;
	if (bounded)
		add_late(&search);
}

static Node *
shift_mutator(Node *node, bool *with_days)
{
	Node	   *time;
	Node	   *interval;
	int			sign;
	int64		least;
	int64		most;

	if (node == NULL)
		return NULL;
	if (is_shift(node, &time, &interval, &sign) &&
		constant_shift(interval, true, &least, &most) && (*with_days || least == most))
		return shift_mutator(time, with_days);
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, shift_mutator, with_days, 0);
	return expression_tree_mutator(node, shift_mutator, with_days);
}

bool
streaming_is_fixed_join(Query *query, bool is_signed)
{
	bool		with_days = !is_signed;
	Query	   *copy = castNode(Query, shift_mutator((Node *) query, &with_days));

	/* a row that only appears is computed once */
	return !contain_mutable_functions((Node *) copy->jointree) &&
		!(is_signed && contain_mutable_functions((Node *) copy->targetList));
}
