/*
 * mutable.c
 *		Refuses functions that answer otherwise tomorrow, over rows that are kept.
 *
 * A row of a stream is looked at once, when it comes: there now() is the time of
 * the batch, and stays what it was, as in an INSERT.  A row of an aggregation is
 * kept, and is looked at again when it changes and only then.  A filter with now()
 * over such rows would let through what it let through when each group last changed;
 * and what it leaves out of the result when a row is taken back need not be what it
 * has put there.
 *
 * So above an aggregation, over a continuous view whose rows can change, and where
 * rows are computed anew, a function must depend on its arguments alone, or on settings besides.  The latter
 * is what most functions of the server are STABLE for: those that write and read
 * times, and the like.  What a user has declared STABLE may read tables.
 *
 * In output mode append a group is looked at when it closes, and never again.
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "catalog/extension.h"
#include "query/compile.h"

typedef struct MutableSearch
{
	const char *place;			/* for the message */
	List	   *keys;			/* of Expr that the level below has computed */
	bool		skips_aggregates;	/* so it has the arguments of these */
} MutableSearch;

static void check_results(Query *query);
static void check_all(Query *query, const char *place);
static bool mutable_walker(Node *node, MutableSearch *search);
static bool refuse_function(Oid function, void *context);
static bool depends_on_settings(Oid function);
static bool reads_clock(CoerceViaIO *coerce);
static void refuse(const char *what, bool of_user, const MutableSearch *search);

void
streaming_refuse_mutable(Query *query, bool kept, int mode)
{
	int			input = streaming_query_input(query);
	RangeTblEntry *rte = input ? rt_fetch(input, query->rtable) : NULL;

	if (mode == STREAMING_OUTPUT_APPEND)
		return;
	if (kept && rte == NULL)
		check_all(query, "in a query whose rows are computed anew");
	else if (kept)
	{
		check_all(query, streaming_is_delta(rte) || rte->rtekind == RTE_SUBQUERY ?
				  "above an aggregation" : streaming_is_followed(rte) ? "over a table that is followed" :
				  "over a continuous view whose rows can change");
		if (rte->rtekind == RTE_SUBQUERY)
			streaming_refuse_mutable(rte->subquery, kept, mode);
	}
	else if (streaming_is_aggregation(query))
		check_results(query);
}

/* Of an aggregation of rows as they come: what is made of its keys and aggregates. */
static void
check_results(Query *query)
{
	MutableSearch search = {.skips_aggregates = true};
	List	   *clauses = query->groupClause ? query->groupClause : query->distinctClause;

	search.keys = get_sortgrouplist_exprs(clauses, query->targetList);
	search.place = "in the select list of an aggregation, outside of aggregates and grouping columns";
	(void) mutable_walker((Node *) query->targetList, &search);
	search.place = "in HAVING";
	(void) mutable_walker(query->havingQual, &search);
}

static void
check_all(Query *query, const char *place)
{
	MutableSearch search = {.place = place};
	int			input = streaming_query_input(query);
	ListCell   *lc;

	(void) query_tree_walker(query, mutable_walker, &search, QTW_IGNORE_RANGE_TABLE);
	foreach(lc, query->rtable)
	{
		if (foreach_current_index(lc) + 1 != input)
			(void) range_table_entry_walker(lfirst_node(RangeTblEntry, lc), mutable_walker,
											&search, 0);
	}
}

/* Errors if something mutable is found. */
static bool
mutable_walker(Node *node, MutableSearch *search)
{
	if (node == NULL || streaming_list_position(search->keys, node) >= 0)
		return false;
	if (IsA(node, Aggref) && search->skips_aggregates)
		/* what is evaluated once for a group and not for each of its rows */
		return mutable_walker((Node *) ((Aggref *) node)->aggdirectargs, search);
	if (IsA(node, SQLValueFunction))
		refuse("CURRENT_DATE, CURRENT_USER and the like", false, search);
	if (IsA(node, NextValueExpr))
		refuse("sequences", false, search);
	if (IsA(node, CoerceViaIO) && reads_clock((CoerceViaIO *) node))
		refuse("a time that is read from a constant text", false, search);
	(void) check_functions_in_node(node, refuse_function, search);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, mutable_walker, search, 0);
	return expression_tree_walker(node, mutable_walker, search);
}

static bool
refuse_function(Oid function, void *context)
{
	bool		of_server = get_func_namespace(function) == PG_CATALOG_NAMESPACE;

	if (func_volatile(function) == PROVOLATILE_IMMUTABLE ||
		streaming_is_our_function(function, "session"))	/* has rules of its own */
		return false;
	if (of_server && func_volatile(function) == PROVOLATILE_STABLE &&
		depends_on_settings(function))
		return false;
	refuse(psprintf("function %s", get_func_name(function)), !of_server, context);
	return false;
}

/*
 * Of a STABLE function of the server: on its arguments and settings, not on the
 * time, the session or catalogs.
 */
static bool
depends_on_settings(Oid function)
{
	static const char *const others[] = {
		"col_description", "current_", "getpgusername", "has_", "inet_", "mxid_age", "now",
		"obj_description", "pg_", "row_security_active", "session_user", "shobj_description",
		"statement_timestamp", "transaction_timestamp", "txid_"
	};
	const char *name = get_func_name(function);

	if (strcmp(name, "pg_typeof") == 0 || strcmp(name, "pg_collation_for") == 0)
		return true;
	if (strcmp(name, "age") == 0)
		return get_func_nargs(function) > 1;	/* since now */
	if (strstr(name, "_to_xml") != NULL)
		return false;
	for (int i = 0; i < lengthof(others); i++)
	{
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return false;
	}
	return true;
}

/* Such as 'today'::text::date. */
static bool
reads_clock(CoerceViaIO *coerce)
{
	switch (getBaseType(coerce->resulttype))
	{
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return !contain_var_clause((Node *) coerce->arg) &&
				!contain_agg_clause((Node *) coerce->arg);
		default:
			return false;
	}
}

static void
refuse(const char *what, bool of_user, const MutableSearch *search)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views do not support %s %s", what, search->place),
			 errdetail("Rows that are kept are looked at again only when they change, while its result can change at any time."),
			 of_user ?
			 errhint("Call it in a query over the continuous view; or mark it IMMUTABLE if its result depends on its arguments alone.") :
			 errhint("Use it in a query over the continuous view, such as SELECT ... FROM view WHERE ...")));
}
