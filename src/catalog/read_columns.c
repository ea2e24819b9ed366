/*
 * read_columns.c
 *		Which columns of a stream a continuous view reads.
 *
 * Records are decoded for all views at once, and only as far as one of them
 * asks: of a wide record that mostly is text, most of the work is never done.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteSupport.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "rewrite/rewriteHandler.h"

#include "catalog/read_columns.h"

typedef struct WalkContext
{
	Oid			relid;
	List	   *queries;		/* of Query, the innermost first */
	bool		found;			/* the stream is mentioned */
	bool		all;			/* a whole row of it is */
	StreamingColumnSet *set;
} WalkContext;

static bool walk(Node *node, WalkContext *context);
static void take_var(Var *var, WalkContext *context);
static void take_alias(List *exprs, int levelsup, AttrNumber attno, WalkContext *context);

void
streaming_read_columns(Oid definition, const StreamingStream *stream,
					   StreamingColumnSet *set)
{
	Relation	view = table_open(definition, AccessShareLock);
	WalkContext context = {.relid = stream->relid, .set = set};

	walk((Node *) get_view_query(view), &context);
	table_close(view, NoLock);

	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		const StreamingColumn *column = &stream->columns[i];

		if (column->dropped)
			continue;
		if (!context.found || context.all || column->watermark ||
			streaming_stream_is_key(stream, i + 1))
			streaming_columns_add(set, i + 1);
	}
}

void
streaming_query_columns(Query *query, Oid relid, StreamingColumnSet *set)
{
	WalkContext context = {.relid = relid, .set = set};

	(void) walk((Node *) query, &context);
	Assert(!context.all);
}

static bool
walk(Node *node, WalkContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst(lc);

			if (rte->rtekind == RTE_RELATION && rte->relid == context->relid)
				context->found = true;
		}
		context->queries = lcons(query, context->queries);

		/* The aliases of a join name all its columns, mentioned or not. */
		query_tree_walker(query, walk, context, QTW_IGNORE_JOINALIASES);
		context->queries = list_delete_first(context->queries);
		return false;
	}
	if (IsA(node, Var))
	{
		take_var((Var *) node, context);
		return false;
	}
	return expression_tree_walker(node, walk, context);
}

static void
take_var(Var *var, WalkContext *context)
{
	Query	   *query;
	RangeTblEntry *rte;

	if (var->varlevelsup >= list_length(context->queries))
		return;
	query = list_nth(context->queries, var->varlevelsup);
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_JOIN)
		take_alias(rte->joinaliasvars, var->varlevelsup, var->varattno, context);
	else if (rte->rtekind == RTE_RELATION && rte->relid == context->relid)
	{
		if (var->varattno == InvalidAttrNumber)
			context->all = true;
		else if (var->varattno > 0)
			streaming_columns_add(context->set, var->varattno);
	}
}

/* A column of a join (attno 0: the whole row) stands for an expression. */
static void
take_alias(List *exprs, int levelsup, AttrNumber attno, WalkContext *context)
{
	List	   *queries = context->queries;

	context->queries = list_copy_tail(queries, levelsup);
	if (attno == InvalidAttrNumber)
		walk((Node *) exprs, context);
	else if (attno > 0)
		walk(list_nth(exprs, attno - 1), context);
	context->queries = queries;
}

Bitmapset *
streaming_columns_bitmap(const StreamingColumnSet *set)
{
	/* Member 0 is no column: an empty set would be NULL, which means all. */
	Bitmapset  *bitmap = bms_make_singleton(0);

	for (int attno = 1; attno < STREAMING_COLUMN_WORDS * 64; attno++)
		if (set->words[attno / 64] & (UINT64CONST(1) << (attno % 64)))
			bitmap = bms_add_member(bitmap, attno);
	return bitmap;
}
