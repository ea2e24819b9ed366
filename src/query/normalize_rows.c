/*
 * normalize_rows.c
 *		Rows of subqueries as values, such as to_jsonb(q), where a level aggregates them,
 *		numbers them, or lets only some of them be.
 *
 *		SELECT jsonb_agg(q ORDER BY q.k) FROM (SELECT k, count(*) AS n ...) q
 *
 * What a level keeps is kept in tables, and a row without a type of its own is no column.
 * So what is made of it becomes a column beneath:
 *
 *		SELECT jsonb_agg(q."$row" ORDER BY q.k)
 *		FROM (SELECT k, n, to_jsonb(q) AS "$row" FROM (SELECT k, count(*) AS n ...) q) q
 *
 * That is calls of strict functions, which are NULL where there is no row, as a column is.
 * What jsonb_agg and the like make of a row is what to_jsonb makes of it.  But json_agg begins
 * a new line for each, which it does not for json: it becomes a string_agg of the lines.
 *
 * And count(DISTINCT (a, b)) counts arrays of jsonb, where these are equal as the values are.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "query/compile.h"

typedef struct RowContext
{
	int			rti;
	int			ncolumns;		/* of the subquery */
	List	   *exprs;			/* of Expr over relation 1: columns behind those */
} RowContext;

typedef struct RowSearch
{
	int			rti;
	bool		row;			/* it is there as a whole */
	bool		other;			/* and something else */
} RowSearch;

static bool
is_row(Node *node, int rti)
{
	Var		   *var = (Var *) node;

	return node && IsA(var, Var) && var->varno == rti && var->varlevelsup == 0 &&
		var->varattno == InvalidAttrNumber && var->vartype == RECORDOID;
}

static bool
search_row(Node *node, RowSearch *search)
{
	if (node == NULL)
		return false;
	if (is_row(node, search->rti))
		search->row = true;
	else if (IsA(node, Var))
		search->other |= ((Var *) node)->varno != search->rti || ((Var *) node)->varlevelsup > 0;
	else if (IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, GroupingFunc) ||
			 IsA(node, SubLink) || IsA(node, Param))
		search->other = true;
	return expression_tree_walker(node, search_row, search);
}

/* Is it a column of the subquery whose value is made of its row? */
static bool
is_made_of_row(Node *node, int rti)
{
	RowSearch	search = {rti};

	if (!(IsA(node, FuncExpr) && func_strict(((FuncExpr *) node)->funcid)) && !IsA(node, CoerceViaIO))
		return false;
	(void) search_row(node, &search);
	return search.row && !search.other && exprType(node) != RECORDOID && !expression_returns_set(node) &&
		!contain_volatile_functions(node);
}

static Node *
to_relation_one(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = var->varnosyn = 1;
		var->varattnosyn = var->varattno;
		return (Node *) var;
	}
	return expression_tree_mutator(node, to_relation_one, context);
}

static Node *
column_for(RowContext *context, Node *node)
{
	Node	   *expr = to_relation_one(node, NULL);
	int			i = streaming_list_position(context->exprs, expr);

	if (i < 0)
	{
		i = list_length(context->exprs);
		context->exprs = lappend(context->exprs, expr);
	}
	return (Node *) makeVar(context->rti, context->ncolumns + i + 1, exprType(expr), exprTypmod(expr),
							exprCollation(expr), 0);
}

/* What an aggregate of the server's makes of a row; or 0. */
static Oid
function_of_aggregate(Oid aggregate)
{
	switch (aggregate)
	{
		case F_JSON_OBJECT_AGG:
			return F_TO_JSON;
		case F_JSONB_AGG:
		case F_JSONB_OBJECT_AGG:
		case F_COUNT_ANY:
			return F_TO_JSONB;
		default:
			return InvalidOid;
	}
}

/* A row as an argument of an aggregate is what that makes of it. */
static Expr *
call_on_row(Oid function, Expr *row)
{
	return (Expr *) makeFuncExpr(function, function == F_TO_JSON ? JSONOID : JSONBOID, list_make1(row),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static Expr *
text_constant(const char *text)
{
	return (Expr *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(text), false, false);
}

static Expr *
call_on_texts(Oid function, Expr *left, Expr *right)
{
	return (Expr *) makeFuncExpr(function, TEXTOID, list_make2(left, right), DEFAULT_COLLATION_OID,
								 DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL);
}

static Expr *
convert(Expr *expr, Oid type, Oid collation)
{
	CoerceViaIO *result = makeNode(CoerceViaIO);

	result->arg = expr;
	result->resulttype = type;
	result->resultcollid = collation;
	result->coerceformat = COERCE_EXPLICIT_CAST;
	result->location = -1;
	return (Expr *) result;
}

/* A row on a line of its own; but NULL stays on that of the row before. */
static Expr *
line_of_row(Expr *row)
{
	CoalesceExpr *result = makeNode(CoalesceExpr);
	Expr	   *text = convert(call_on_row(F_TO_JSON, row), TEXTOID, DEFAULT_COLLATION_OID);

	result->coalescetype = TEXTOID;
	result->coalescecollid = DEFAULT_COLLATION_OID;
	result->args = list_make2(call_on_texts(F_TEXTCAT, text_constant("\n "), text), text_constant("null"));
	result->location = -1;
	return (Expr *) result;
}

/* What json_agg makes of lines. */
static Node *
json_of_lines(Expr *lines)
{
	Expr	   *first = call_on_texts(F_LTRIM_TEXT_TEXT, lines, text_constant("\n "));

	return (Node *) convert(call_on_texts(F_TEXTCAT, call_on_texts(F_TEXTCAT, text_constant("["), first),
										  text_constant("]")),
							JSONOID, InvalidOid);
}

/* json_agg over rows; arguments that its order names are behind the row. */
static Node *
aggregate_lines(Aggref *aggref)
{
	TargetEntry *row = linitial_node(TargetEntry, aggref->args);
	ListCell   *lc;

	row->expr = line_of_row(row->expr);
	aggref->args = list_insert_nth(aggref->args, 1, makeTargetEntry(text_constant(", "), 2, NULL, false));
	foreach(lc, aggref->args)
		lfirst_node(TargetEntry, lc)->resno = foreach_current_index(lc) + 1;
	aggref->aggfnoid = F_STRING_AGG_TEXT_TEXT;
	aggref->aggtype = TEXTOID;
	aggref->aggtranstype = InvalidOid;
	aggref->aggargtypes = list_make2_oid(TEXTOID, TEXTOID);
	aggref->aggcollid = aggref->inputcollid = DEFAULT_COLLATION_OID;
	return json_of_lines((Expr *) aggref);
}

static bool
is_row_argument(Node *node, int rti)
{
	TargetEntry *tle = (TargetEntry *) node;

	/* one that the order names stays what it is */
	return is_row((Node *) tle->expr, rti) && tle->ressortgroupref == 0;
}

static Node *
row_arguments(Aggref *aggref, RowContext *context)
{
	Oid			function = function_of_aggregate(aggref->aggfnoid);
	ListCell   *lc;

	if (aggref->aggdistinct != NIL)
		return (Node *) aggref;
	if (aggref->aggfnoid == F_JSON_AGG && is_row_argument(linitial(aggref->args), context->rti))
		return aggregate_lines(aggref);
	foreach(lc, aggref->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!OidIsValid(function) || !is_row_argument((Node *) tle, context->rti))
			continue;
		tle->expr = call_on_row(function, tle->expr);
		list_nth_cell(aggref->aggargtypes, foreach_current_index(lc))->oid_value =
			exprType((Node *) tle->expr);
	}
	return (Node *) aggref;
}

static Node *
window_arguments(WindowFunc *window, RowContext *context)
{
	Oid			function = function_of_aggregate(window->winfnoid);
	ListCell   *lc;

	if (window->winfnoid == F_JSON_AGG && is_row(linitial(window->args), context->rti))
	{
		window->args = list_make2(line_of_row(linitial(window->args)), text_constant(", "));
		window->winfnoid = F_STRING_AGG_TEXT_TEXT;
		window->wintype = TEXTOID;
		window->wincollid = window->inputcollid = DEFAULT_COLLATION_OID;
		return json_of_lines((Expr *) window);
	}
	foreach(lc, window->args)
	{
		if (OidIsValid(function) && is_row(lfirst(lc), context->rti))
			lfirst(lc) = call_on_row(function, lfirst(lc));
	}
	return (Node *) window;
}

static Node *
row_mutator(Node *node, RowContext *context)
{
	if (node == NULL)
		return NULL;
	if (is_made_of_row(node, context->rti))
		return column_for(context, node);
	if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup == 0)
		node = row_arguments(copyObject((Aggref *) node), context);
	else if (IsA(node, WindowFunc))
		node = window_arguments(copyObject((WindowFunc *) node), context);
	return expression_tree_mutator(node, row_mutator, context);
}

/* SELECT <columns>, <exprs> FROM <the subquery> */
static void
make_columns(RangeTblEntry *rte, List *exprs)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *below = copyObject(rte);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	ListCell   *lc;

	IncrementVarSublevelsUp((Node *) below->subquery, 1, 1);
	below->lateral = false;
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(below);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	foreach(lc, rte->eref->colnames)
	{
		Node	   *expr = (Node *) list_nth_node(TargetEntry, below->subquery->targetList,
												  foreach_current_index(lc))->expr;
		int			attno = foreach_current_index(lc) + 1;

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) makeVar(1, attno, exprType(expr), exprTypmod(expr),
																	 exprCollation(expr), 0),
													attno, pstrdup(strVal(lfirst(lc))), false));
	}
	rte->alias = makeAlias(rte->eref->aliasname, NIL);
	foreach(lc, exprs)
	{
		char	   *name = psprintf("$row%d", foreach_current_index(lc) + 1);

		query->targetList = lappend(query->targetList,
									makeTargetEntry(lfirst(lc), list_length(query->targetList) + 1, name, false));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(name)));
	}
	rte->subquery = query;
}

void
streaming_normalize_rows(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		RowContext	context = {foreach_current_index(lc) + 1};
		List	   *targets;
		Node	   *having;

		if (rte->rtekind != RTE_SUBQUERY || !streaming_rte_contains_input(rte))
			continue;
		context.ncolumns = list_length(rte->eref->colnames);
		targets = (List *) row_mutator((Node *) query->targetList, &context);
		having = row_mutator(query->havingQual, &context);
		if (context.exprs == NIL)
			continue;
		query->targetList = targets;
		query->havingQual = having;
		make_columns(rte, context.exprs);
	}
}

/* ---- count(DISTINCT (a, b)) ---- */

/* Are values equal where they are equal as jsonb? */
static bool
is_equal_as_jsonb(Node *expr)
{
	Oid			collation = exprCollation(expr);

	switch (getBaseType(exprType(expr)))
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case UUIDOID:
			return true;
		case TEXTOID:
		case VARCHAROID:
			return !OidIsValid(collation) || get_collation_isdeterministic(collation);
		default:
			return false;
	}
}

static bool
counts_distinct_rows(Aggref *aggref)
{
	RowExpr    *row;
	ListCell   *lc;

	if (aggref->aggfnoid != F_COUNT_ANY || aggref->aggdistinct == NIL || aggref->aggorder != NIL)
		return false;
	row = (RowExpr *) linitial_node(TargetEntry, aggref->args)->expr;
	if (!IsA(row, RowExpr) || row->row_typeid != RECORDOID)
		return false;
	foreach(lc, row->args)
	{
		if (!is_equal_as_jsonb(lfirst(lc)))
			return false;
	}
	return true;
}

static bool
count_arrays(Node *node, void *context)
{
	Aggref	   *aggref = (Aggref *) node;
	TargetEntry *tle;
	SortGroupClause *clause;

	if (node == NULL)
		return false;
	if (IsA(node, Aggref) && counts_distinct_rows(aggref))
	{
		tle = linitial_node(TargetEntry, aggref->args);
		clause = linitial_node(SortGroupClause, aggref->aggdistinct);
		tle->expr = (Expr *) makeFuncExpr(F_JSONB_BUILD_ARRAY_ANY, JSONBOID, ((RowExpr *) tle->expr)->args,
										  InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
		get_sort_group_operators(JSONBOID, true, true, false, &clause->sortop, &clause->eqop, NULL,
								 &clause->hashable);
		aggref->aggargtypes = list_make1_oid(JSONBOID);
		aggref->inputcollid = InvalidOid;
	}
	return expression_tree_walker(node, count_arrays, context);
}

void
streaming_normalize_row_counts(Query *query)
{
	(void) count_arrays((Node *) query->targetList, NULL);
	(void) count_arrays(query->havingQual, NULL);
}
