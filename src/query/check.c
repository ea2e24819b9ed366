/*
 * check.c
 *		What a continuous query reads, and which queries cannot be kept up to
 *		date: refuses them.
 *
 * Everything refused is refused with ERRCODE_FEATURE_NOT_SUPPORTED and a hint that
 * says what would work.  The query is looked at as the parser left it, but that
 * ordinary views over streams have been expanded (expand_views.c).
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "query/compile.h"
#include "catalog/stream.h"

typedef struct InputSearch
{
	List	   *relids;			/* of Oid: inputs found, each once */
	int			count;			/* how often they are named */
	char	   *hidden_in;		/* an ordinary view that hides one */
	List	   *views;			/* of Oid: ordinary views that were looked into */
	List	   *rtable;			/* of the query being walked */
} InputSearch;

static bool search_walker(Node *node, InputSearch *search);

static void
refuse(const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views do not support %s", what),
			 errhint("%s", hint)));
}

bool
streaming_is_input(Oid relid)
{
	StreamingSourceKind kind;

	return streaming_is_stream(relid, &kind) ||
		(get_rel_relkind(relid) == RELKIND_VIEW &&
		 streaming_catalog_view(relid, true) != NULL);
}

bool
streaming_rte_is_input(RangeTblEntry *rte)
{
	return streaming_is_followed(rte) || streaming_is_input(rte->relid);
}

static void
search_relation(RangeTblEntry *rte, InputSearch *search)
{
	Oid			relid = rte->relid;

	if (streaming_rte_is_input(rte))
	{
		search->count++;
		search->relids = list_append_unique_oid(search->relids, relid);
	}
	else if (get_rel_relkind(relid) == RELKIND_VIEW && !list_member_oid(search->views, relid))
	{
		Relation	rel = table_open(relid, AccessShareLock);
		InputSearch inner = {.views = lappend_oid(search->views, relid)};

		search_walker((Node *) get_view_query(rel), &inner);
		table_close(rel, NoLock);
		search->views = inner.views;
		if (search->hidden_in == NULL && (inner.count > 0 || inner.hidden_in))
			search->hidden_in = get_rel_name(relid);
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
			search_relation(rte, search);
		else if (streaming_is_delta(rte))
			search->count++;
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

/* ---- How much is written out ---- */

/* Nodes of a tree that are copied in all.  What is within it fits into memory. */
#define MAX_COPIED	50000

static int	ncopied;

void
streaming_copies_begin(void)
{
	ncopied = 0;
}

static bool
count_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (++ncopied > MAX_COPIED)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("query is too complex for a continuous view"),
				 errdetail("WITH queries and ordinary views over streams are written out wherever they are named, and so is an aggregation for each of its grouping sets."),
				 errhint("Make a continuous view of what is named several times, and let this one read that.")));
	return IsA(node, Query) ? query_tree_walker((Query *) node, count_walker, context, 0) :
		expression_tree_walker(node, count_walker, context);
}

Node *
streaming_copy(Node *node)
{
	CHECK_FOR_INTERRUPTS();
	(void) count_walker(node, NULL);
	return copyObject(node);
}

bool
streaming_contains_input(Node *node)
{
	InputSearch search = search_inputs(node);

	return search.count > 0 || search.hidden_in != NULL;
}

char *
streaming_hiding_view(Query *query)
{
	return search_inputs((Node *) query).hidden_in;
}

bool
streaming_rte_contains_input(RangeTblEntry *rte)
{
	InputSearch search = {0};

	if (rte->rtekind == RTE_RELATION)
		search_relation(rte, &search);
	else if (streaming_is_delta(rte))
		search.count++;
	else
		(void) range_table_entry_walker(rte, search_walker, &search, 0);
	return search.count > 0 || search.hidden_in != NULL;
}

bool
streaming_has_sublink_input(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink) && streaming_contains_input(((SubLink *) node)->subselect))
		return true;
	return expression_tree_walker(node, streaming_has_sublink_input, context);
}

/* Index of the range table entry below node that holds an input, or 0. */
static int
input_below(Query *query, Node *node)
{
	if (node == NULL)
		return 0;
	if (IsA(node, RangeTblRef))
	{
		int			rti = ((RangeTblRef *) node)->rtindex;

		return streaming_rte_contains_input(rt_fetch(rti, query->rtable)) ? rti : 0;
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

/* Names around the queries in node: columns, aggregates, WITH queries. */
static bool
correlated_walker(Node *node, void *context)
{
	Index	   *level = (Index *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varlevelsup > *level;
	if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup > *level)
		return true;
	if (IsA(node, GroupingFunc) && ((GroupingFunc *) node)->agglevelsup > *level)
		return true;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_CTE && !streaming_is_delta(rte) && rte->ctelevelsup > *level;
	}
	if (IsA(node, Query))
	{
		bool		result;

		(*level)++;
		result = query_tree_walker((Query *) node, correlated_walker, context,
								   QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
		(*level)--;
		return result;
	}
	return expression_tree_walker(node, correlated_walker, context);
}

bool
streaming_is_correlated(Query *query)
{
	Index		level = 0;

	return query_tree_walker(query, correlated_walker, &level,
							 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
}

/* ---- Which levels have one input, whose rows they take one by one ---- */

typedef struct PlainSearch
{
	Query	   *query;
	int			ninputs;
	bool		fits;
} PlainSearch;

static void
search_plain(PlainSearch *search, Node *node, bool nullable)
{
	RangeTblEntry *rte;
	ListCell   *lc;

	if (node == NULL)
		return;
	if (IsA(node, FromExpr))
	{
		FromExpr   *from = (FromExpr *) node;

		foreach(lc, from->fromlist)
			search_plain(search, lfirst(lc), nullable);
		search->fits &= !streaming_has_sublink_input(from->quals, NULL);
		return;
	}
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		full = join->jointype == JOIN_FULL;

		search_plain(search, join->larg, nullable || full || join->jointype == JOIN_RIGHT);
		search_plain(search, join->rarg, nullable || full || join->jointype == JOIN_LEFT);
		search->fits &= !streaming_has_sublink_input(join->quals, NULL);
		return;
	}
	rte = rt_fetch(castNode(RangeTblRef, node)->rtindex, search->query->rtable);
	if (!streaming_rte_contains_input(rte))
		return;
	search->ninputs++;
	if (nullable || (rte->rtekind != RTE_RELATION && rte->rtekind != RTE_SUBQUERY &&
					 !streaming_is_delta(rte)) ||
		(rte->rtekind == RTE_SUBQUERY && streaming_is_correlated(rte->subquery)))
		search->fits = false;
}

bool
streaming_has_plain_from(Query *query)
{
	PlainSearch search = {query, 0, true};
	ListCell   *lc;

	if (query->setOperations)
		return false;
	foreach(lc, query->cteList)
	{
		if (streaming_contains_input(lfirst_node(CommonTableExpr, lc)->ctequery))
			return false;
	}
	search_plain(&search, (Node *) query->jointree, false);
	return search.fits && search.ninputs == 1;
}

bool
streaming_is_plain(Query *query)
{
	if (query->hasWindowFuncs || query->hasDistinctOn || query->limitCount ||
		query->limitOffset || query->groupingSets != NIL || streaming_reads_changes(query) ||
		!streaming_has_plain_from(query) ||
		streaming_has_sublink_input((Node *) query->targetList, NULL) ||
		streaming_has_sublink_input(query->havingQual, NULL))
		return false;
	if (!streaming_is_aggregation(query))
		return true;
	return !query->hasTargetSRFs &&
		!(query->distinctClause && (query->hasAggs || query->groupClause || query->havingQual));
}

bool
streaming_is_chain(Query *query)
{
	RangeTblEntry *rte;

	if (!streaming_is_plain(query))
		return false;
	rte = rt_fetch(streaming_query_input(query), query->rtable);
	return rte->rtekind != RTE_SUBQUERY || streaming_is_chain(rte->subquery);
}

/* ---- What is refused ---- */

typedef struct ColumnCheck
{
	Query	   *query;			/* whose relations */
	Index		level;			/* of the node within it */
} ColumnCheck;

/* What a row of an input does not have: columns of any table, but for tableoid. */
static bool
check_columns(Node *node, void *context)
{
	ColumnCheck *check = context;
	bool		result;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		check->level++;
		result = query_tree_walker((Query *) node, check_columns, context, 0);
		check->level--;
		return result;
	}
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == check->level &&
		((Var *) node)->varattno <= 0)
	{
		RangeTblEntry *rte = rt_fetch(((Var *) node)->varno, check->query->rtable);
		AttrNumber	attno = ((Var *) node)->varattno;

		if (rte->rtekind != RTE_RELATION || !streaming_rte_is_input(rte))
			return false;
		if (streaming_is_followed(rte) && attno == 0)
			refuse("a whole row of a table that is followed", "Name the columns themselves.");
		if (streaming_is_followed(rte))
			refuse("system columns of a table that is followed",
				   "Add a column to the table, such as one that is GENERATED AS IDENTITY.");
		if (streaming_is_changing(rte) && attno == 0)
			refuse("a whole row of a stream whose rows change", "Name the columns themselves.");
		if (streaming_is_changing(rte))
			refuse("system columns of a stream whose rows change",
				   "For a record's place, add a column with the option \"metadata\" to the stream.");
		if (attno != 0 && attno != TableOidAttributeNumber)
			refuse("system columns of a stream, except tableoid",
				   "For a record's place, add a column with the option \"metadata\" to the stream.");
		return false;
	}
	return expression_tree_walker(node, check_columns, context);
}

/* Each query in node, at any depth. */
static bool
check_walker(Node *node, void *context)
{
	Query	   *query = (Query *) node;
	ColumnCheck columns = {query, 0};
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, check_walker, context);
	if (query->rowMarks != NIL)
		refuse("FOR UPDATE and FOR SHARE", "Leave the clause out.");
	if (query->hasModifyingCTE || query->commandType != CMD_SELECT)
		refuse("data-modifying statements", "Use SELECT.");
	(void) query_tree_walker(query, check_columns, &columns, 0);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->tablesample && rte->rtekind == RTE_RELATION && streaming_rte_is_input(rte))
			refuse("TABLESAMPLE of a stream", "Filter with WHERE.");
	}
	return query_tree_walker(query, check_walker, context, 0);
}

void
streaming_require_input(Query *query)
{
	if (streaming_contains_input((Node *) query))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("continuous view reads no stream"),
			 errhint("Select from a foreign table of a kafka, directory or streaming server, or from another continuous view; let the view follow ordinary tables with the option \"streaming.follow\"; or use a materialized view.")));
}

List *
streaming_query_check(Query *query)
{
	InputSearch search = search_inputs((Node *) query);

	if (search.hidden_in)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support a stream inside the ordinary view \"%s\"",
						search.hidden_in),
				 errhint("Drop the view and create it again.")));
	streaming_require_input(query);
	(void) check_walker((Node *) query, NULL);
	return search.relids;
}
