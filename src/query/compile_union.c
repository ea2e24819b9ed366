/*
 * compile_union.c
 *		UNION ALL: several inputs whose rows are the output of one stage.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"

#include "query/compile.h"

/*
 * The subqueries of a tree of UNION ALL, each once; false: it has another operation, or
 * one whose columns have other types.
 */
static bool
union_branches(Query *query, Node *node, List **branches)
{
	SetOperationStmt *stmt = (SetOperationStmt *) node;
	SetOperationStmt *top = castNode(SetOperationStmt, query->setOperations);

	if (IsA(node, RangeTblRef))
	{
		*branches = lappend(*branches, rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable));
		return true;
	}
	return stmt->op == SETOP_UNION && stmt->all && equal(stmt->colTypes, top->colTypes) &&
		union_branches(query, stmt->larg, branches) && union_branches(query, stmt->rarg, branches);
}

/* SELECT <columns, as the output of query has them> FROM <branch> */
static Query *
branch_query(Query *query, RangeTblEntry *branch)
{
	Query	   *result = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	SetOperationStmt *stmt = castNode(SetOperationStmt, query->setOperations);
	List	   *targets = branch->subquery->targetList;
	int			i = 0;
	ListCell   *lc;

	rtr->rtindex = 1;
	branch->inFromCl = true;
	result->commandType = CMD_SELECT;
	result->canSetTag = true;
	result->rtable = list_make1(branch);
	result->jointree = makeFromExpr(list_make1(rtr), NULL);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *below = list_nth_node(TargetEntry, targets, i);
		Node	   *expr = (Node *) below->expr;
		Node	   *var = (Node *) makeVar(1, i + 1, exprType(expr), exprTypmod(expr),
										   exprCollation(expr), 0);

		/* as the planner does (generate_setop_tlist) */
		if (exprType(expr) != list_nth_oid(stmt->colTypes, i))
			var = coerce_to_common_type(NULL, var, list_nth_oid(stmt->colTypes, i),
										"UNION/INTERSECT/EXCEPT");
		result->targetList = lappend(result->targetList,
									 makeTargetEntry((Expr *) var, ++i, pstrdup(tle->resname), false));
	}
	return result;
}

bool
streaming_is_union_all(Query *query)
{
	List	   *branches = NIL;
	ListCell   *lc;

	if (!query->setOperations || query->cteList != NIL ||
		!union_branches(query, query->setOperations, &branches))
		return false;
	foreach(lc, branches)
	{
		if (!streaming_contains_input((Node *) lfirst_node(RangeTblEntry, lc)->subquery))
			return false;
	}
	return true;
}

/* A column is event time if it is that in all branches. */
static void
add_branch_event_time(StreamingCompiler *compiler, StreamingStage *stage, Query *branch)
{
	ListCell   *lc;

	foreach(lc, branch->targetList)
	{
		StreamingWindow *event = &stage->outputs[foreach_current_index(lc)].event;
		StreamingWindow other = streaming_window_of(compiler, branch,
													(Node *) lfirst_node(TargetEntry, lc)->expr);

		*event = streaming_window_of_both(event, &other);
	}
}

StreamingStage *
streaming_compile_union(StreamingCompiler *compiler, Query *query)
{
	List	   *branches = NIL;
	List	   *queries = NIL;
	ListCell   *lc;
	StreamingStage *stage;
	bool		is_signed = false;

	(void) union_branches(query, query->setOperations, &branches);
	foreach(lc, branches)
	{
		Query	   *branch = branch_query(query, lfirst(lc));

		streaming_compile_below(compiler, branch);
		streaming_refuse_mutable_input(compiler, branch);
		is_signed |= streaming_input_is_signed(compiler, branch);
		queries = lappend(queries, branch);
	}
	/* what a row that is taken back has been must be remembered */
	foreach(lc, queries)
	{
		Query	   *branch = lfirst_node(Query, lc);

		if (streaming_input_is_signed(compiler, branch) && !streaming_is_fixed(branch))
			streaming_bind_subquery(compiler, linitial_node(RangeTblEntry, branch->rtable));
	}
	stage = streaming_add_stage(compiler);
	stage->kind = STREAMING_STAGE_APPEND;
	stage->only_appears = !is_signed;
	streaming_fill_outputs(stage, query);
	streaming_outputs_event_time(compiler, stage, linitial(queries));
	for_each_from(lc, queries, 1)
		add_branch_event_time(compiler, stage, lfirst(lc));
	foreach(lc, queries)
		streaming_add_edge(stage, streaming_make_edge(compiler, lfirst(lc), true));
	return stage;
}
