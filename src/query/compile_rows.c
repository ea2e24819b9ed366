/*
 * compile_rows.c
 *		A relation's columns, and rows that a query reads as a whole.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"

#include "query/compile.h"

/* A query that is kept does not know of columns that were added to a relation. */
static List *
columns_of_relation(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *result = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			result = lappend(result, makeVar(1, i + 1, att->atttypid, att->atttypmod,
											 att->attcollation, 0));
	}
	relation_close(rel, NoLock);
	return result;
}

List *
streaming_columns_of(StreamingCompiler *compiler, RangeTblEntry *rte)
{
	List	   *result = NIL;

	if (rte->rtekind == RTE_RELATION)
		return columns_of_relation(rte->relid);
	for (int i = 0; i < list_length(rte->eref->colnames); i++)
	{
		Var		   *column = makeVar(1, i + 1, InvalidOid, -1, InvalidOid, 0);

		if (streaming_is_delta(rte))
		{
			StreamingValue *output = &compiler->program->stages[rte->relid - 1].outputs[i];

			column->vartype = output->type;
			column->vartypmod = output->typmod;
			column->varcollid = output->collation;
		}
		else
		{
			Node	   *expr = (Node *) list_nth_node(TargetEntry, rte->subquery->targetList, i)->expr;

			column->vartype = exprType(expr);
			column->vartypmod = exprTypmod(expr);
			column->varcollid = exprCollation(expr);
		}
		result = lappend(result, column);
	}
	return result;
}

typedef struct RowContext
{
	int			rti;
	Index		level;			/* of the node, below the query's */
	Oid			type;			/* of its rows as a whole; Invalid: none is read */
	AttrNumber	attno;			/* that they become a column of; 0: none */
} RowContext;

static bool
name_rows(Node *node, RowContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varlevelsup != context->level || var->varno != context->rti || var->varattno != 0)
			return false;
		context->type = var->vartype;
		var->varattno = context->attno;
		if (context->attno)
			var->varnosyn = var->varattnosyn = 0;
		return false;
	}
	if (IsA(node, Query))
	{
		context->level++;
		(void) query_tree_walker((Query *) node, name_rows, context, QTW_IGNORE_JOINALIASES);
		context->level--;
		return false;
	}
	return expression_tree_walker(node, name_rows, context);
}

/* SELECT <targets> FROM <relation>; NULL: without FROM */
static Query *
select_from(List *targets, RangeTblEntry *relation)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);

	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = relation ? list_make1(relation) : NIL;
	query->jointree = makeFromExpr(relation ? list_make1(rtr) : NIL, NULL);
	query->targetList = targets;
	return query;
}

static RangeTblEntry *
subquery_of(Query *query, const char *name)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	ListCell   *lc;

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->alias = makeAlias(name, NIL);
	rte->eref = makeAlias(name, NIL);
	rte->inFromCl = true;
	foreach(lc, query->targetList)
		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(pstrdup(lfirst_node(TargetEntry, lc)->resname)));
	return rte;
}

/*
 * targets, of a relation 1, as one value; type: of a view's rows, or record, which has its
 * columns' names: (SELECT r FROM (SELECT <targets>) r).
 */
static Expr *
whole_row(List *targets, Oid type)
{
	RowExpr    *row = makeNode(RowExpr);
	SubLink    *sublink = makeNode(SubLink);
	Query	   *query;
	ListCell   *lc;

	if (type != RECORDOID)
	{
		foreach(lc, targets)
			row->args = lappend(row->args, copyObject(lfirst_node(TargetEntry, lc)->expr));
		row->row_typeid = type;
		row->row_format = COERCE_EXPLICIT_CAST;
		row->location = -1;
		return (Expr *) row;
	}
	query = select_from(copyObject(targets), NULL);
	IncrementVarSublevelsUp((Node *) query->targetList, 2, 0);
	sublink->subLinkType = EXPR_SUBLINK;
	sublink->subselect = (Node *) select_from(list_make1(makeTargetEntry((Expr *) makeVar(1, 0, RECORDOID, -1, InvalidOid, 0),
																		 1, pstrdup("r"), false)),
											  subquery_of(query, "r"));
	sublink->location = -1;
	return (Expr *) sublink;
}

void
streaming_bind_rows(StreamingCompiler *compiler, Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	RowContext	context = {rti};
	RangeTblEntry *copy;
	Query	   *below;
	List	   *targets = NIL;
	ListCell   *lc;

	(void) query_tree_walker(query, name_rows, &context, QTW_IGNORE_JOINALIASES);
	if (!OidIsValid(context.type) ||
		(rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE))
		return;
	foreach(lc, streaming_columns_of(compiler, rte))
	{
		Var		   *column = lfirst_node(Var, lc);

		targets = lappend(targets, makeTargetEntry((Expr *) column, foreach_current_index(lc) + 1,
												   pstrdup(strVal(list_nth(rte->eref->colnames,
																		   column->varattno - 1))),
												   false));
	}
	copy = copyObject(rte);
	copy->lateral = false;
	below = select_from(targets, copy);
	context.attno = list_length(targets) + 1;
	(void) query_tree_walker(query, name_rows, &context, QTW_IGNORE_JOINALIASES);
	below->targetList = lappend(below->targetList,
								makeTargetEntry(whole_row(targets, context.type), context.attno,
												pstrdup("$row"), false));
	below->hasSubLinks = context.type == RECORDOID;
	lfirst(list_nth_cell(query->rtable, rti - 1)) = subquery_of(below, rte->eref->aliasname);
}
