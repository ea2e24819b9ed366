/*
 * check.c
 *		Which queries can be kept up to date: refuses the others.
 *
 * What is kept today: one stream (or one other continuous view), filters,
 * projections, joins with ordinary tables, and aggregations, also of
 * aggregations.  Everything refused is refused with ERRCODE_FEATURE_NOT_SUPPORTED
 * and a hint that says what would work.
 *
 * The query is looked at as the parser left it.  Ordinary views are not
 * expanded: a stream hidden in one is refused with a hint.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "query/program.h"
#include "stream.h"

typedef struct InputSearch
{
	Oid			relid;			/* first input found */
	bool		is_view;
	int			count;			/* how many there are */
	char	   *hidden_in;		/* an ordinary view that hides one */
	List	   *rtable;			/* of the query being walked */
} InputSearch;

static bool search_walker(Node *node, InputSearch *search);
static bool contains_input(Node *node);
static bool has_subquery_input(Node *node, void *context);
static void check_level(Query *query, bool top);
static void check_from(Query *query, Node *node);

static void
refuse(const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views do not support %s", what),
			 errhint("%s", hint)));
}

/* An input is a stream or a continuous view. */
static void
search_relation(Oid relid, InputSearch *search)
{
	StreamingSourceKind kind;
	bool		is_view = false;

	if (!streaming_is_stream(relid, &kind))
	{
		if (get_rel_relkind(relid) != RELKIND_VIEW)
			return;
		is_view = streaming_catalog_view(relid, true) != NULL;
		if (!is_view)
		{
			Relation	rel = table_open(relid, AccessShareLock);
			bool		hides = contains_input((Node *) get_view_query(rel));

			table_close(rel, NoLock);
			if (hides && search->hidden_in == NULL)
				search->hidden_in = get_rel_name(relid);
			return;
		}
	}
	if (search->count++ == 0)
	{
		search->relid = relid;
		search->is_view = is_view;
	}
}

static bool
search_walker(Node *node, InputSearch *search)
{
	if (node == NULL)
		return false;
	/* only what FROM names: a view's rule also lists the view itself */
	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, search->rtable);

		if (rte->rtekind == RTE_RELATION)
			search_relation(rte->relid, search);
		return range_table_entry_walker(rte, search_walker, search, 0);
	}
	if (IsA(node, Query))
	{
		List	   *outer = search->rtable;
		bool		result;

		search->rtable = ((Query *) node)->rtable;
		result = query_tree_walker((Query *) node, search_walker, search,
								   QTW_IGNORE_RANGE_TABLE);
		search->rtable = outer;
		return result;
	}
	return expression_tree_walker(node, search_walker, search);
}

static InputSearch
search_inputs(Node *node)
{
	InputSearch search = {0};

	search_walker(node, &search);
	return search;
}

static bool
contains_input(Node *node)
{
	InputSearch search = search_inputs(node);

	return search.count > 0 || search.hidden_in != NULL;
}

/* Is there a sublink (EXISTS, IN, scalar) over an input in an expression? */
static bool
has_subquery_input(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		return contains_input(((SubLink *) node)->subselect);
	return expression_tree_walker(node, has_subquery_input, context);
}

/* Index of the range table entry below node that holds the input, or 0. */
static int
input_below(Query *query, Node *node)
{
	if (node == NULL)
		return 0;
	if (IsA(node, RangeTblRef))
	{
		int			rti = ((RangeTblRef *) node)->rtindex;
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_RELATION || rte->rtekind == RTE_SUBQUERY)
		{
			InputSearch search = {0};

			if (rte->rtekind == RTE_RELATION)
				search_relation(rte->relid, &search);
			else
				search_walker((Node *) rte->subquery, &search);
			return search.count > 0 ? rti : 0;
		}
		return 0;
	}
	if (IsA(node, JoinExpr))
	{
		int			rti = input_below(query, ((JoinExpr *) node)->larg);

		return rti ? rti : input_below(query, ((JoinExpr *) node)->rarg);
	}
	if (IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
		{
			int			rti = input_below(query, lfirst(lc));

			if (rti)
				return rti;
		}
	}
	return 0;
}

int
streaming_query_input(Query *query)
{
	return input_below(query, (Node *) query->jointree);
}

/* Rows of a side that may be filled with nulls would have to be taken back. */
static void
check_from(Query *query, Node *node)
{
	if (IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
			check_from(query, lfirst(lc));
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		left = input_below(query, join->larg) != 0;
		bool		right = input_below(query, join->rarg) != 0;

		if ((join->jointype == JOIN_FULL && (left || right)) ||
			(join->jointype == JOIN_LEFT && right) ||
			(join->jointype == JOIN_RIGHT && left))
			refuse("an outer join that fills up the stream's side",
				   "Put the stream on the side of the join that keeps all its rows.");
		check_from(query, join->larg);
		check_from(query, join->rarg);
	}
	else if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable);

		if (rte->tablesample && input_below(query, node))
			refuse("TABLESAMPLE of a stream", "Filter with WHERE.");
		if (rte->rtekind == RTE_SUBQUERY && input_below(query, node))
			check_level(rte->subquery, false);
	}
}

/* Those of any table; only tableoid means something to a row of a stream. */
static bool
names_system_column(Node *node, Query *query)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		RangeTblEntry *rte;
		StreamingSourceKind kind;

		if (var->varlevelsup > 0 || var->varattno >= 0 ||
			var->varattno == TableOidAttributeNumber)
			return false;
		rte = rt_fetch(var->varno, query->rtable);
		return rte->rtekind == RTE_RELATION && streaming_is_stream(rte->relid, &kind);
	}
	return expression_tree_walker(node, names_system_column, query);
}

static bool
contains_grouping(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, GroupingFunc) || expression_tree_walker(node, contains_grouping, context);
}

static void
check_level(Query *query, bool top)
{
	ListCell   *lc;

	if (query->setOperations)
		refuse("UNION, INTERSECT and EXCEPT",
			   "Make a continuous view of each part.");
	if (query->cteList != NIL)
		refuse("WITH queries", "Write the query as a subquery in FROM.");
	if (query->hasWindowFuncs)
		refuse("window functions",
			   "Compute them in a query over the continuous view.");
	if (query->hasDistinctOn)
		refuse("SELECT DISTINCT ON",
			   "Use GROUP BY with min or max, or SELECT DISTINCT.");
	if (query->distinctClause && (query->hasAggs || query->groupClause))
		refuse("SELECT DISTINCT together with aggregation",
			   "Aggregate in a subquery and group its result.");
	if (query->groupingSets != NIL)
		refuse("GROUPING SETS, ROLLUP and CUBE",
			   "Make a continuous view of each grouping.");
	if (contains_grouping((Node *) query->targetList, NULL) ||
		contains_grouping(query->havingQual, NULL))
		refuse("GROUPING()", "Without GROUPING SETS it is 0: write 0.");
	if (names_system_column((Node *) query->targetList, query) ||
		names_system_column(query->havingQual, query) ||
		names_system_column((Node *) query->jointree, query))
		refuse("system columns of a stream, except tableoid",
			   "For a record's place, add a column with the option \"metadata\" to the stream.");
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (top && !tle->resjunk && strcmp(tle->resname, "$hash") == 0)
			refuse("a column named \"$hash\"", "Give it another name with AS.");
	}
	if (query->limitCount || query->limitOffset)
		refuse("LIMIT and OFFSET", "Use LIMIT in a query over the continuous view.");
	if (query->sortClause != NIL)
		refuse("ORDER BY",
			   "Use ORDER BY in a query over the continuous view.");
	if (query->rowMarks != NIL)
		refuse("FOR UPDATE and FOR SHARE", "Leave the clause out.");
	if (query->hasTargetSRFs && (query->hasAggs || query->groupClause || query->distinctClause))
		refuse("set-returning functions in the select list of an aggregation",
			   "Call the function in FROM, or in a subquery below the aggregation.");
	if (query->hasModifyingCTE || query->commandType != CMD_SELECT)
		refuse("data-modifying statements", "Use SELECT.");

	if (has_subquery_input((Node *) query->targetList, NULL) ||
		has_subquery_input(query->havingQual, NULL) ||
		has_subquery_input((Node *) query->jointree, NULL))
		refuse("a stream in a subquery expression",
			   "Join the stream in FROM.");
	check_from(query, (Node *) query->jointree);
}

Oid
streaming_query_check(Query *query, bool *is_view)
{
	InputSearch search = search_inputs((Node *) query);

	if (search.hidden_in)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support a stream inside the ordinary view \"%s\"",
						search.hidden_in),
				 errhint("Name the stream in the query itself, or make that view continuous.")));
	if (search.count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("continuous view reads no stream"),
				 errhint("Select from a foreign table of a kafka, directory or streaming server, or from another continuous view; for ordinary tables use a materialized view.")));
	check_level(query, true);
	if (search.count > 1)
		refuse("more than one stream",
			   "Make a continuous view of each stream and join them when reading.");
	*is_view = search.is_view;
	return search.relid;
}
