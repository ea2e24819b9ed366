/*
 * look_up.c
 *		An executor node that finds rows of a table of state by their partition.
 *
 * Where the rows of a partition are the worker remembers (state/row_map.c).  The planner,
 * to whom this node is another way to read such a table, is free to read all of it instead.
 *
 *		Nested Loop
 *		  ->  rows of the batch, in the order of their hashes
 *		  ->  Streaming Look-up of what they meet
 *
 * A plan may last longer than the map does.  Then the index is asked, which
 * streaming_state_ready has made.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "exec/exec.h"
#include "state/state_table.h"

typedef struct LookUp
{
	CustomScanState css;
	StreamingStateTable *table;
	StreamingStateLookUp look_up;
	ExprState  *group;			/* what is looked for */
	bool		begun;
} LookUp;

static Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *plans);
static Node *create_state(CustomScan *plan);
static void begin(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *execute(CustomScanState *node);
static void end(CustomScanState *node);
static void rescan(CustomScanState *node);

static set_rel_pathlist_hook_type prev_pathlist_hook = NULL;

static const CustomPathMethods path_methods = {
	.CustomName = "Streaming Look-up",
	.PlanCustomPath = make_plan
};

static const CustomScanMethods scan_methods = {
	.CustomName = "Streaming Look-up",
	.CreateCustomScanState = create_state
};

static const CustomExecMethods exec_methods = {
	.CustomName = "Streaming Look-up",
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan
};

/* ----------
 * Planning
 * ----------
 */

/* What the group of a row is to be equal to by a condition; NULL: it says nothing of that. */
static Expr *
wanted_group(RestrictInfo *info, Index rti, AttrNumber attno)
{
	OpExpr	   *op = (OpExpr *) info->clause;

	if (!IsA(op, OpExpr) || info->pseudoconstant ||
		op->opno != lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr)
		return NULL;
	for (int i = 0; i < 2; i++)
	{
		Var		   *var = list_nth(op->args, i);
		Expr	   *other = list_nth(op->args, 1 - i);

		if (IsA(var, Var) && var->varno == rti && var->varattno == attno && var->varlevelsup == 0 &&
			!bms_is_member(rti, i == 0 ? info->right_relids : info->left_relids) &&
			!contain_volatile_functions((Node *) other))
			return other;
	}
	return NULL;
}

static void
add_look_up(PlannerInfo *root, RelOptInfo *rel, Relids outer)
{
	CustomPath *path = makeNode(CustomPath);
	QualCost	quals = rel->baserestrictcost;

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = get_baserel_parampathinfo(root, rel, outer);
	path->path.rows = path->path.param_info ? path->path.param_info->ppi_rows : rel->rows;
	/* a look-up, and each row of it, cost what a row does that is read with all */
	path->path.startup_cost = quals.startup;
	path->path.total_cost = quals.startup + cpu_tuple_cost +
		path->path.rows * (cpu_tuple_cost + quals.per_tuple) +
		path->path.pathtarget->cost.startup + path->path.pathtarget->cost.per_tuple * path->path.rows;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &path_methods;
	add_path(rel, &path->path);
}

/* Lists of sets are no nodes before version 16. */
static bool
is_known(List *known, Relids relids)
{
	ListCell   *lc;

	foreach(lc, known)
	{
		if (bms_equal(lfirst(lc), relids))
			return true;
	}
	return false;
}

typedef struct GroupColumn
{
	Index		rti;
	AttrNumber	attno;
} GroupColumn;

static bool
is_group(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *em, void *arg)
{
	GroupColumn *column = arg;
	Var		   *var = (Var *) em->em_expr;

	return IsA(var, Var) && var->varno == column->rti && var->varattno == column->attno;
}

/* Ways for those conditions of joins that say what the group is equal to. */
static void
add_joined(PlannerInfo *root, RelOptInfo *rel, List *conditions, GroupColumn *column,
		   List **known)
{
	ListCell   *lc;

	foreach(lc, conditions)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);
		Relids		outer;

		if (!join_clause_is_movable_to(info, rel) || wanted_group(info, column->rti, column->attno) == NULL)
			continue;
		outer = bms_difference(info->clause_relids, rel->relids);
		outer = bms_add_members(outer, rel->lateral_relids);
		outer = bms_del_member(outer, column->rti);
		if (bms_is_empty(outer) || is_known(*known, outer))
			continue;
		*known = lappend(*known, outer);
		add_look_up(root, rel, outer);
	}
}

static void
add_look_ups(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	StreamingStateTable *table = rte->rtekind == RTE_RELATION ? streaming_state_opened(rte->relid) : NULL;
	GroupColumn column = {rti, table ? streaming_state_mapped_group(table) : 0};
	List	   *known = NIL;
	ListCell   *lc;

	if (prev_pathlist_hook)
		prev_pathlist_hook(root, rel, rti, rte);
	if (column.attno == 0 || rel->reloptkind != RELOPT_BASEREL)
		return;
	foreach(lc, rel->baserestrictinfo)
	{
		if (wanted_group(lfirst(lc), rti, column.attno) == NULL)
			continue;
		add_look_up(root, rel, rel->lateral_relids);
		return;
	}
	add_joined(root, rel, rel->joininfo, &column, &known);
	if (rel->has_eclass_joins)
		add_joined(root, rel,
				   generate_implied_equalities_for_column(root, rel, is_group, &column,
														  rel->lateral_referencers),
				   &column, &known);
}

static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *plans)
{
	StreamingStateTable *table = streaming_state_opened(planner_rt_fetch(rel->relid, root)->relid);
	CustomScan *scan = makeNode(CustomScan);
	AttrNumber	attno = streaming_state_mapped_group(table);
	List	   *others = NIL;
	Expr	   *group = NULL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		Expr	   *wanted = group ? NULL : wanted_group(lfirst(lc), rel->relid, attno);

		if (wanted)
			group = wanted;
		else
			others = lappend(others, lfirst(lc));
	}
	if (group == NULL)
		elog(ERROR, "rows are looked up by no group");
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(others, false);
	scan->scan.scanrelid = rel->relid;
	scan->custom_exprs = list_make1(group);
	scan->flags = path->flags;
	scan->methods = &scan_methods;
	return (Plan *) scan;
}

/* ----------
 * Execution
 * ----------
 */

static Node *
create_state(CustomScan *plan)
{
	LookUp	   *scan = palloc0(sizeof(LookUp));

	NodeSetTag(scan, T_CustomScanState);
	scan->css.methods = &exec_methods;
	return (Node *) scan;
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	LookUp	   *scan = (LookUp *) node;
	Relation	rel = node->ss.ss_currentRelation;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;

	/* not of a virtual row, for which what is made of it was prepared */
	streaming_init_scan_slot(estate, &node->ss, RelationGetDescr(rel), &TTSOpsBufferHeapTuple);
	ExecAssignScanProjectionInfo(&node->ss);
	node->ss.ps.qual = ExecInitQual(plan->scan.plan.qual, (PlanState *) node);
	scan->group = ExecInitExpr(linitial(plan->custom_exprs), (PlanState *) node);
	scan->table = streaming_state_opened(RelationGetRelid(rel));
	if (scan->table == NULL)
		elog(ERROR, "table \"%s\" is not open", RelationGetRelationName(rel));
}

/* The next row of the group, whatever else is asked of it. */
static TupleTableSlot *
next_row(ScanState *node)
{
	LookUp	   *scan = (LookUp *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;

	if (!scan->begun)
	{
		ExprContext *econtext = node->ps.ps_ExprContext;
		bool		isnull;
		Datum		group = ExecEvalExprSwitchContext(scan->group, econtext, &isnull);

		if (isnull)
			return ExecClearTuple(slot);
		streaming_state_look_up(scan->table, &scan->look_up, STREAMING_BY_GROUP,
								DatumGetInt64(group));
		scan->begun = true;
	}
	if (!streaming_state_look_up_next(scan->table, &scan->look_up, slot))
		return ExecClearTuple(slot);
	return slot;
}

static bool
recheck(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck);
}

static void
end(CustomScanState *node)
{
	LookUp	   *scan = (LookUp *) node;

	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	streaming_state_look_up_end(&scan->look_up);
}

static void
rescan(CustomScanState *node)
{
	LookUp	   *scan = (LookUp *) node;

	scan->begun = false;
	ExecScanReScan(&node->ss);
}

void
streaming_look_up_init(void)
{
	prev_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_look_ups;
}
