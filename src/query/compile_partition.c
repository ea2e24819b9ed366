/*
 * compile_partition.c
 *		Queries over several inputs, and those whose rows depend on each other.
 *
 * The inputs of such a query, its leaves, are streams, views and stages.  Their rows
 * are kept, each leaf's in a table.
 *
 *	partition	Where an equality, a PARTITION BY, ... takes care that a row of the
 *				result comes of rows of all leaves that agree in some key, the rows
 *				with one key are a partition: the query over all rows is the union of
 *				the query over each partition.  A batch computes the partitions anew
 *				that it has touched, and hands up the difference to what they were.
 *				What is not known to fall into partitions is one, as a whole.
 *
 *	join		An inner join: the rows that come to a leaf are joined with what is
 *				kept of the others.  In output mode append also an outer join of two
 *				leaves with a bound in event time: its inner part is that, and rows
 *				that have met none follow when they close.  And queries over each row
 *				of one leaf by itself, and what it meets of others in subqueries: they
 *				are run over the rows that close.
 *
 * The statement is the user's query, with its leaves replaced by names:
 *
 *	WITH "$leaf_1"(...) AS (SELECT ... FROM rows_<id>_<n>_1 ...), ... <query>
 *
 * so whatever PostgreSQL can run there can be kept.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "query/compile.h"
#include "streaming.h"

/* A query within the query, and those around it. */
typedef struct Level
{
	Query	   *query;
	struct Level *above;
} Level;

typedef struct Leaf
{
	Level	   *level;
	int			rti;			/* in level->query */
	bool		nullable;		/* an outer join may fill it with NULLs */
	List	   *columns;		/* of Var: what the query reads of it, as of a relation 1 */
	Oid			row_type;		/* it reads whole rows, which have this type; or Invalid */
	List	   *names;			/* of String: then, those of the columns */
	bool		dropped;		/* and others have been dropped */
	bool		tableoid;		/* and their tableoid, which is */
	Oid			relid;
	List	   *keys;			/* of Expr: likewise */
	Query	   *query;			/* SELECT <columns>, <keys> FROM leaf */
} Leaf;

/* The leaves whose rows a condition chooses: where it is not true, they are left out. */
typedef struct Choice
{
	Bitmapset  *leaves;
	Bitmapset  *others;			/* FULL JOIN: those of the other side; else NULL */
	bool		outer;			/* an outer join's: what is not among them stays */
} Choice;

/* Expressions over leaves that are equal where rows of these meet. */
typedef struct KeyNode
{
	int			leaf;
	Node	   *expr;			/* as of a relation 1 */
	Oid			collation;
	int			class;			/* number of the set of equal ones */
} KeyNode;

typedef struct Partition
{
	StreamingCompiler *compiler;
	Query	   *query;
	List	   *levels;			/* of Level: those that have leaves, outermost first */
	List	   *leaves;			/* of Leaf */
	List	   *nodes;			/* of KeyNode */
	bool		whole;
	bool		by_row;			/* see is_by_row */
	int			depth;			/* levels above the one with the leaf (fold.c) */
	int			nlevels;		/* of these, collected so far */
} Partition;

static void collect_level(Partition *partition, Query *query, Level *above);
static void collect_expression(Partition *partition, Node *node, Level *level);
static void collect_branch(Partition *partition, Level *level, RangeTblEntry *rte);

/* ---- Leaves ---- */

static void
add_leaf(Partition *partition, Level *level, int rti, bool nullable)
{
	Leaf	   *leaf = palloc0(sizeof(Leaf));

	leaf->level = level;
	leaf->rti = rti;
	leaf->nullable = nullable;
	partition->leaves = lappend(partition->leaves, leaf);
}

static void
collect_relation(Partition *partition, Level *level, int rti, bool nullable)
{
	RangeTblEntry *rte = rt_fetch(rti, level->query->rtable);

	if (!streaming_rte_contains_input(rte))
		return;
	if (partition->nlevels < partition->depth)
	{
		partition->nlevels++;
		collect_level(partition, rte->subquery, level);
	}
	else if (rte->rtekind == RTE_RELATION || streaming_is_delta(rte) ||
		(rte->rtekind == RTE_SUBQUERY && !streaming_is_correlated(rte->subquery)))
		add_leaf(partition, level, rti, nullable);
	else if (rte->rtekind == RTE_SUBQUERY)
		collect_level(partition, rte->subquery, level);
	else
	{
		collect_expression(partition, (Node *) rte->functions, level);
		collect_expression(partition, (Node *) rte->values_lists, level);
		collect_expression(partition, (Node *) rte->tablefunc, level);
	}
}

static void
collect_from(Partition *partition, Level *level, Node *node, bool nullable)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			collect_from(partition, level, lfirst(lc), nullable);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		full = join->jointype == JOIN_FULL;

		collect_from(partition, level, join->larg,
					 nullable || full || join->jointype == JOIN_RIGHT);
		collect_from(partition, level, join->rarg,
					 nullable || full || join->jointype == JOIN_LEFT);
	}
	else
		collect_relation(partition, level, castNode(RangeTblRef, node)->rtindex, nullable);
}

/* Sublinks over inputs, in the expressions of a level. */
static bool
collect_sublinks(Node *node, void *context)
{
	Partition  *partition = ((void **) context)[0];
	Level	   *level = ((void **) context)[1];

	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
	{
		SubLink    *sublink = (SubLink *) node;
		Query	   *query = castNode(Query, sublink->subselect);

		(void) collect_sublinks(sublink->testexpr, context);
		if (!streaming_contains_input((Node *) query))
			return false;
		/* what does not depend on the rows outside is a leaf by itself */
		if (!streaming_is_correlated(query))
			streaming_split_final(query, query->hasDistinctOn);
		collect_level(partition, query, level);
		return false;
	}
	return expression_tree_walker(node, collect_sublinks, context);
}

static void
collect_expression(Partition *partition, Node *node, Level *level)
{
	void	   *context[2] = {partition, level};

	(void) collect_sublinks(node, context);
}

/* A query of a set operation stays a query: it selects from its leaf. */
static void
collect_branch(Partition *partition, Level *level, RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_SUBQUERY || !streaming_contains_input((Node *) rte->subquery))
		return;
	if (!streaming_is_correlated(rte->subquery))
		streaming_split_final(rte->subquery, false);
	collect_level(partition, rte->subquery, level);
}

static void
collect_level(Partition *partition, Query *query, Level *above)
{
	Level	   *level = palloc0(sizeof(Level));
	ListCell   *lc;

	level->query = query;
	level->above = above;
	partition->levels = lappend(partition->levels, level);
	streaming_flatten_group_exprs(query);
	streaming_flatten_joins(query);
	foreach(lc, query->setOperations ? query->rtable : NIL)
		collect_branch(partition, level, lfirst_node(RangeTblEntry, lc));
	collect_from(partition, level, (Node *) query->jointree, false);
	collect_expression(partition, (Node *) query->jointree, level);
	collect_expression(partition, (Node *) query->targetList, level);
	collect_expression(partition, query->havingQual, level);
	collect_expression(partition, query->limitCount, level);
	collect_expression(partition, query->limitOffset, level);
	foreach(lc, query->cteList)
	{
		Query	   *cte = castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery);

		if (streaming_contains_input((Node *) cte))
			collect_level(partition, cte, level);
	}
}

static RangeTblEntry *
leaf_rte(Leaf *leaf)
{
	return rt_fetch(leaf->rti, leaf->level->query->rtable);
}

/* The leaf that a Var at level names; its number, or -1. */
static int
leaf_of_var(Partition *partition, Level *level, Var *var)
{
	ListCell   *lc;

	for (Index i = 0; level && i < var->varlevelsup; i++)
		level = level->above;
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		if (leaf->level == level && leaf->rti == var->varno)
			return foreach_current_index(lc);
	}
	return -1;
}

/* ---- What the query reads of its leaves ---- */

typedef struct ColumnSearch
{
	Partition  *partition;
	Level	   *level;
	bool		named;			/* leaves have got their names: what is no column of theirs
								 * is one that stands behind them */
} ColumnSearch;

static void
add_column(Leaf *leaf, Var *var)
{
	Var		   *column = copyObject(var);
	ListCell   *lc;

	foreach(lc, leaf->columns)
	{
		if (lfirst_node(Var, lc)->varattno == var->varattno)
			return;
	}
	column->varno = 1;
	column->varlevelsup = 0;
	column->varnosyn = 0;
	column->varattnosyn = 0;
	leaf->columns = lappend(leaf->columns, column);
}

static bool
has_dropped(Oid row_type)
{
	TupleDesc	desc;
	bool		result = false;

	if (row_type == RECORDOID)
		return false;
	desc = lookup_rowtype_tupdesc_domain(row_type, -1, false);
	for (int i = 0; i < desc->natts; i++)
		result |= TupleDescAttr(desc, i)->attisdropped;
	ReleaseTupleDesc(desc);
	return result;
}

static void
need_column(Partition *partition, Leaf *leaf, Var *var)
{
	ListCell   *lc;

	if (var->varattno > 0)
		add_column(leaf, var);
	else if (var->varattno == TableOidAttributeNumber)
		leaf->tableoid = true;
	else if (!OidIsValid(leaf->row_type))
	{
		leaf->row_type = var->vartype;
		leaf->dropped = has_dropped(leaf->row_type);
		foreach(lc, streaming_columns_of(partition->compiler, leaf_rte(leaf)))
			add_column(leaf, lfirst_node(Var, lc));
	}
}

/* A whole row and tableoid are columns behind the others: see leaf_name. */
static void
name_column(Leaf *leaf, Var *var)
{
	if (var->varattno > 0)
		return;
	var->varattno = list_length(leaf_rte(leaf)->eref->colnames) -
		(var->varattno == 0 && leaf->tableoid ? 1 : 0);
	var->varnosyn = 0;
	var->varattnosyn = 0;
}

static bool
search_columns(Node *node, ColumnSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		int			i = leaf_of_var(search->partition, search->level, (Var *) node);
		Leaf	   *leaf = i >= 0 ? list_nth(search->partition->leaves, i) : NULL;

		if (leaf && search->named)
			name_column(leaf, (Var *) node);
		else if (leaf)
			need_column(search->partition, leaf, (Var *) node);
		return false;
	}
	if (IsA(node, Query))
	{
		ColumnSearch below = {search->partition, NULL, search->named};
		Level		unknown = {(Query *) node, search->level};
		ListCell   *lc;

		foreach(lc, search->partition->levels)
		{
			if (((Level *) lfirst(lc))->query == (Query *) node)
				below.level = lfirst(lc);
		}
		if (below.level == NULL)
			below.level = &unknown;
		return query_tree_walker((Query *) node, search_columns, &below,
								 QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, search_columns, search);
}

static int
compare_columns(const ListCell *a, const ListCell *b)
{
	return lfirst_node(Var, a)->varattno - lfirst_node(Var, b)->varattno;
}

static void
find_columns(Partition *partition)
{
	ColumnSearch search = {partition, NULL};
	ListCell   *lc;

	(void) search_columns((Node *) partition->query, &search);
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		list_sort(leaf->columns, compare_columns);
	}
}

/* ---- Keys ---- */

typedef struct LeafSearch
{
	Partition  *partition;
	Level	   *level;
	int			leaf;			/* -1: none yet */
	bool		fits;
} LeafSearch;

/* Is node an expression over one leaf, and whose value follows from its row? */
static bool
search_leaf(Node *node, LeafSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		int			i = leaf_of_var(search->partition, search->level, (Var *) node);

		if (i < 0 || (search->leaf >= 0 && search->leaf != i) || ((Var *) node)->varattno <= 0)
			search->fits = false;
		search->leaf = i;
		return !search->fits;
	}
	if (IsA(node, SubLink) || IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, Param) ||
		IsA(node, GroupingFunc))
	{
		search->fits = false;
		return true;
	}
	return expression_tree_walker(node, search_leaf, search);
}

static Node *
leaf_expr_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = 1;
		var->varlevelsup = 0;
		var->varnosyn = 0;
		var->varattnosyn = 0;
		return (Node *) var;
	}
	return expression_tree_mutator(node, leaf_expr_mutator, context);
}

/* The number of the leaf that expr, at level, can be a key of; -1: none. */
static int
leaf_of_expr(Partition *partition, Level *level, Node *expr, Node **key)
{
	LeafSearch	search = {partition, level, -1, true};
	Node	   *bare = expr;

	(void) search_leaf(expr, &search);
	if (!search.fits || search.leaf < 0 || contain_mutable_functions(expr) ||
		expression_returns_set(expr))
		return -1;
	while (IsA(bare, RelabelType))
		bare = (Node *) ((RelabelType *) bare)->arg;
	/* of a row of NULLs it must be NULL */
	if (((Leaf *) list_nth(partition->leaves, search.leaf))->nullable && !IsA(bare, Var))
		return -1;
	*key = leaf_expr_mutator(expr, NULL);
	return search.leaf;
}

/* Do values of both sides hash alike where the operator calls them equal? */
static bool
hashes_alike(Oid opno, Node *left, Node *right)
{
	TypeCacheEntry *types[2];

	types[0] = lookup_type_cache(exprType(left), TYPECACHE_HASH_OPFAMILY | TYPECACHE_HASH_EXTENDED_PROC);
	types[1] = lookup_type_cache(exprType(right), TYPECACHE_HASH_OPFAMILY | TYPECACHE_HASH_EXTENDED_PROC);
	return OidIsValid(types[0]->hash_opf) && types[0]->hash_opf == types[1]->hash_opf &&
		OidIsValid(types[0]->hash_extended_proc) && OidIsValid(types[1]->hash_extended_proc) &&
		op_in_opfamily(opno, types[0]->hash_opf);
}

static KeyNode *
key_node(Partition *partition, int leaf, Node *expr, Oid collation)
{
	ListCell   *lc;
	KeyNode    *node;

	foreach(lc, partition->nodes)
	{
		node = lfirst(lc);
		if (node->leaf == leaf && node->collation == collation && equal(node->expr, expr))
			return node;
	}
	node = palloc(sizeof(KeyNode));
	node->leaf = leaf;
	node->expr = expr;
	node->collation = collation;
	node->class = list_length(partition->nodes);
	partition->nodes = lappend(partition->nodes, node);
	return node;
}

/* The leaves of a level and of the levels within it; or of its relations alone. */
static Bitmapset *
leaves_of(Partition *partition, Level *level, Relids relations)
{
	Bitmapset  *result = NULL;
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);
		Level	   *of = leaf->level;

		while (relations == NULL && of && of != level)
			of = of->above;
		if (of == level && (relations == NULL || bms_is_member(leaf->rti, relations)))
			result = bms_add_member(result, foreach_current_index(lc));
	}
	return result;
}

/* Has a set of equal expressions one of a leaf outside of leaves? */
static bool
reaches_out(Partition *partition, int class, Bitmapset *leaves)
{
	ListCell   *lc;

	foreach(lc, partition->nodes)
	{
		KeyNode    *node = lfirst(lc);

		if (node->class == class && !bms_is_member(node->leaf, leaves))
			return true;
	}
	return false;
}

/* Does a condition that compares two leaves choose among the rows of one by the other? */
static bool
chooses(const Choice *choice, int *leaves)
{
	bool		left = bms_is_member(leaves[0], choice->leaves);
	bool		right = bms_is_member(leaves[1], choice->leaves);

	if (choice->others == NULL)
		return left || right;
	return (left && bms_is_member(leaves[1], choice->others)) ||
		(right && bms_is_member(leaves[0], choice->others));
}

/*
 * Two expressions are equal for the rows that a condition chooses.  It does not make
 * equal what two other leaves have: where these differ, the rows that are compared
 * with both are left out, and theirs are not.
 */
static void
unite(Partition *partition, KeyNode *a, KeyNode *b, const Choice *choice)
{
	int			from = b->class;
	ListCell   *lc;

	if (reaches_out(partition, a->class, choice->leaves) &&
		reaches_out(partition, from, choice->leaves))
		return;
	if (choice->others && reaches_out(partition, a->class, choice->others) &&
		reaches_out(partition, from, choice->others))
		return;
	foreach(lc, partition->nodes)
	{
		KeyNode    *node = lfirst(lc);

		if (node->class == from)
			node->class = a->class;
	}
}

/* left = right, each at its own level, where nothing but true counts. */
static void
add_equality(Partition *partition, OpExpr *op, Node *left, Level *left_level, Node *right,
			 Level *right_level, const Choice *choice)
{
	Node	   *keys[2];
	int			leaves[2];

	leaves[0] = leaf_of_expr(partition, left_level, left, &keys[0]);
	leaves[1] = leaf_of_expr(partition, right_level, right, &keys[1]);
	if (leaves[0] < 0 || leaves[1] < 0 || leaves[0] == leaves[1] ||
		!chooses(choice, leaves) || !hashes_alike(op->opno, left, right))
		return;
	unite(partition, key_node(partition, leaves[0], keys[0], op->inputcollid),
		  key_node(partition, leaves[1], keys[1], op->inputcollid), choice);
}

/*
 * expr = ANY (SELECT expr ...).  Whether a row of the subquery is there must not depend
 * on those of other values.
 */
static void
add_any(Partition *partition, Level *level, SubLink *sublink, const Choice *choice)
{
	Query	   *query = castNode(Query, sublink->subselect);
	Level	   *below = NULL;
	ListCell   *lc;

	foreach(lc, partition->levels)
	{
		if (((Level *) lfirst(lc))->query == query)
			below = lfirst(lc);
	}
	if (below == NULL || sublink->subLinkType != ANY_SUBLINK || query->setOperations ||
		query->limitCount || query->limitOffset || query->hasDistinctOn || query->hasWindowFuncs)
		return;
	foreach(lc, make_ands_implicit((Expr *) sublink->testexpr))
	{
		OpExpr	   *op = lfirst(lc);
		Param	   *param;
		Node	   *right;

		if (!IsA(op, OpExpr) || list_length(op->args) != 2)
			continue;
		right = lsecond(op->args);
		while (IsA(right, RelabelType))
			right = (Node *) ((RelabelType *) right)->arg;
		if (!IsA(right, Param))
			continue;
		param = (Param *) right;
		right = (Node *) list_nth_node(TargetEntry, query->targetList, param->paramid - 1)->expr;
		if (exprType(right) == exprType(lsecond(op->args)))
			add_equality(partition, op, linitial(op->args), level, right, below, choice);
	}
}

static void
add_conditions(Partition *partition, Level *level, Node *quals, const Choice *choice)
{
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) quals))
	{
		OpExpr	   *op = lfirst(lc);

		if (IsA(op, SubLink) && !choice->outer)
			add_any(partition, level, (SubLink *) op, choice);
		if (IsA(op, OpExpr) && list_length(op->args) == 2)
			add_equality(partition, op, linitial(op->args), level, lsecond(op->args), level, choice);
	}
}

static void
find_equalities(Partition *partition, Level *level, Node *node)
{
	Choice		choice = {leaves_of(partition, level, NULL)};
	ListCell   *lc;

	if (node == NULL || IsA(node, RangeTblRef))
		return;
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			find_equalities(partition, level, lfirst(lc));
		add_conditions(partition, level, ((FromExpr *) node)->quals, &choice);
	}
	else
	{
		JoinExpr   *join = (JoinExpr *) node;

		find_equalities(partition, level, join->larg);
		find_equalities(partition, level, join->rarg);
		choice.outer = join->jointype != JOIN_INNER;
		if (choice.outer)
			choice.leaves = leaves_of(partition, level,
									  streaming_relations_of(join->jointype == JOIN_RIGHT ?
															 join->larg : join->rarg));
		if (join->jointype == JOIN_FULL)
			choice.others = leaves_of(partition, level, streaming_relations_of(join->larg));
		/* without inputs a side has no rows to choose */
		if (choice.leaves != NULL && (join->jointype != JOIN_FULL || choice.others != NULL))
			add_conditions(partition, level, join->quals, &choice);
	}
}

/* Does each row of a node of the jointree have a row of a leaf in it? */
static bool
is_anchored(Partition *partition, Level *level, Node *node)
{
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
	{
		foreach(lc, partition->leaves)
		{
			Leaf	   *leaf = lfirst(lc);

			if (leaf->level == level && leaf->rti == ((RangeTblRef *) node)->rtindex)
				return true;
		}
		return false;
	}
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		left = is_anchored(partition, level, join->larg);
		bool		right = is_anchored(partition, level, join->rarg);

		switch (join->jointype)
		{
			case JOIN_LEFT:
				return left;
			case JOIN_RIGHT:
				return right;
			case JOIN_FULL:
				return left && right;
			default:
				return left || right;
		}
	}
	foreach(lc, castNode(FromExpr, node)->fromlist)
	{
		if (is_anchored(partition, level, lfirst(lc)))
			return true;
	}
	return false;
}

/* Keys from equalities: a set of equal expressions that has one of each leaf. */
static void
keys_of_equalities(Partition *partition)
{
	int			n = list_length(partition->leaves);
	ListCell   *lc;

	foreach(lc, partition->levels)
	{
		Level	   *level = lfirst(lc);

		find_equalities(partition, level, (Node *) level->query->jointree);
	}
	for (int class = 0; class < list_length(partition->nodes); class++)
	{
		KeyNode   **found = palloc0(sizeof(KeyNode *) * n);
		int			nfound = 0;

		foreach(lc, partition->nodes)
		{
			KeyNode    *node = lfirst(lc);

			if (node->class == class && found[node->leaf] == NULL)
			{
				found[node->leaf] = node;
				nfound++;
			}
		}
		for (int i = 0; nfound == n && i < n; i++)
		{
			Leaf	   *leaf = list_nth(partition->leaves, i);

			leaf->keys = lappend(leaf->keys, found[i]);
		}
	}
}

static KeyNode *
plain_key(Node *expr)
{
	KeyNode    *node = palloc0(sizeof(KeyNode));

	node->expr = leaf_expr_mutator(expr, NULL);
	node->collation = exprCollation(expr);
	return node;
}

/* Keys of the one leaf from expressions of PARTITION BY or DISTINCT ON. */
static void
keys_of_exprs(Partition *partition, List *exprs, Leaf *leaf)
{
	ListCell   *lc;

	foreach(lc, exprs)
	{
		Node	   *key;

		if (leaf_of_expr(partition, leaf->level, lfirst(lc), &key) >= 0)
			leaf->keys = lappend(leaf->keys, plain_key(lfirst(lc)));
	}
}

/* INTERSECT, EXCEPT, UNION: equal rows meet. */
static bool
keys_of_set_operation(Partition *partition, Query *query)
{
	SetOperationStmt *stmt = castNode(SetOperationStmt, query->setOperations);
	ListCell   *lc;

	if (query->cteList != NIL || partition->query->rtable == NIL)
		return false;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* of a table all rows are in all partitions */
		if (rte->rtekind == RTE_SUBQUERY && !streaming_contains_input((Node *) rte->subquery))
			return false;
	}
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);
		Query	   *branch = leaf->level->query;

		if (leaf->level->above == NULL || leaf->level->above->query != query ||
			branch->limitCount || branch->limitOffset)
			return false;
		for (int i = 0; i < list_length(stmt->colTypes); i++)
		{
			Node	   *expr = (Node *) list_nth_node(TargetEntry, branch->targetList, i)->expr;
			KeyNode    *key = plain_key(expr);

			if (exprType(expr) != list_nth_oid(stmt->colTypes, i))
				return false;
			key->collation = list_nth_oid(stmt->colCollations, i);
			leaf->keys = lappend(leaf->keys, key);
		}
	}
	return true;
}

static void
find_keys(Partition *partition)
{
	Leaf	   *first = linitial(partition->leaves);
	Query	   *query = partition->depth > 0 ? first->level->query : partition->query;
	ListCell   *lc;

	if (query->setOperations)
		partition->whole = !keys_of_set_operation(partition, query);
	else if (query->limitCount || query->limitOffset ||
			 ((query->hasWindowFuncs || query->hasDistinctOn) && list_length(partition->leaves) > 1))
		partition->whole = true;
	else if (query->hasWindowFuncs)
		keys_of_exprs(partition, streaming_window_keys(query), first);
	else if (query->hasDistinctOn)
		keys_of_exprs(partition, streaming_distinct_keys(query), first);
	else if (!is_anchored(partition, linitial(partition->levels), (Node *) query->jointree))
		partition->whole = true;
	else if (list_length(partition->leaves) > 1)
		keys_of_equalities(partition);
	else
	{
		/* each row by itself */
		foreach(lc, first->columns)
		{
			KeyNode    *key = plain_key(lfirst(lc));

			key->class = -1;
			first->keys = lappend(first->keys, key);
		}
	}
	partition->whole |= first->keys == NIL;
	foreach(lc, partition->leaves)
	{
		if (partition->whole)
			((Leaf *) lfirst(lc))->keys = NIL;
	}
}

/* ---- Kind ---- */

static bool
only_inner(Node *node)
{
	ListCell   *lc;

	if (node == NULL || IsA(node, RangeTblRef))
		return true;
	if (IsA(node, JoinExpr))
		return ((JoinExpr *) node)->jointype == JOIN_INNER &&
			only_inner(((JoinExpr *) node)->larg) && only_inner(((JoinExpr *) node)->rarg);
	foreach(lc, castNode(FromExpr, node)->fromlist)
	{
		if (!only_inner(lfirst(lc)))
			return false;
	}
	return true;
}

/* The outer join of two leaves that is all that FROM has; or NULL. */
static JoinExpr *
outer_join(Query *query)
{
	Node	   *from = list_length(query->jointree->fromlist) == 1 ?
		linitial(query->jointree->fromlist) : NULL;
	JoinExpr   *join = (JoinExpr *) from;

	return from && IsA(from, JoinExpr) && join->jointype != JOIN_INNER &&
		IsA(join->larg, RangeTblRef) && IsA(join->rarg, RangeTblRef) ? join : NULL;
}

/*
 * Does it compute the same whenever rows come or go?  Rows that have met none cannot be
 * handed up for good where what they could meet is taken back.
 */
static bool
is_fixed(Partition *partition)
{
	bool		is_signed = false;
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Query	   *query = ((Leaf *) lfirst(lc))->query;

		if (!streaming_make_edge(partition->compiler, query, false).is_signed)
			continue;
		is_signed = true;
		if (partition->by_row || outer_join(partition->query) || contain_mutable_functions((Node *) query))
			return false;
	}
	return streaming_is_fixed_join(partition->query, is_signed);
}

/* Has it the form of one whose rows that come can be joined with those that are kept? */
static bool
is_join(Partition *partition)
{
	Query	   *query = partition->query;
	int			members = bms_num_members(streaming_relations_of((Node *) query->jointree));

	return list_length(partition->leaves) > 1 && list_length(partition->levels) == 1 &&
		!query->setOperations && !query->hasWindowFuncs && !query->hasDistinctOn &&
		!query->limitCount && !query->limitOffset && query->cteList == NIL &&
		members == list_length(partition->leaves) && !query->hasSubLinks &&
		(only_inner((Node *) query->jointree) ||
		 (partition->compiler->mode == STREAMING_OUTPUT_APPEND && outer_join(query)));
}

/*
 * Is each row of the result made of one row of the first leaf, and of what it meets of the
 * others in subqueries?
 */
static bool
is_by_row(Partition *partition)
{
	Query	   *query = partition->query;
	Leaf	   *first = linitial(partition->leaves);
	ListCell   *lc;

	if (partition->compiler->mode != STREAMING_OUTPUT_APPEND || partition->depth > 0 ||
		list_length(partition->leaves) < 2 || query->setOperations || query->hasWindowFuncs ||
		query->hasDistinctOn || query->limitCount || query->limitOffset || query->cteList != NIL ||
		first->level != linitial(partition->levels) || first->nullable)
		return false;
	for_each_from(lc, partition->leaves, 1)
	{
		if (((Leaf *) lfirst(lc))->level == first->level)
			return false;
	}
	return true;
}

/* ---- Edges ---- */

static StreamingValue *
fill_values(List *exprs, const char *prefix)
{
	StreamingValue *values = palloc0(sizeof(StreamingValue) * Max(list_length(exprs), 1));
	ListCell   *lc;

	foreach(lc, exprs)
		streaming_fill_value(&values[foreach_current_index(lc)],
							 psprintf("%s%d", prefix, foreach_current_index(lc) + 1), lfirst(lc));
	return values;
}

/* SELECT <columns>, <keys> FROM leaf */
static Query *
edge_query(Leaf *leaf)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	RangeTblEntry *rte = copyObject(leaf_rte(leaf));
	ListCell   *lc;
	int			resno = 0;

	rtr->rtindex = 1;
	rte->lateral = false;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), NULL);
	if (rte->rtekind == RTE_SUBQUERY)
	{
		if (rte->alias == NULL)
			rte->alias = makeAlias("q", NIL);
		streaming_normalize(rte->subquery);
	}
	foreach(lc, leaf->columns)
	{
		resno++;
		query->targetList = lappend(query->targetList,
									makeTargetEntry(copyObject(lfirst(lc)), resno,
													psprintf("c%d", resno), false));
	}
	foreach(lc, leaf->keys)
	{
		KeyNode    *key = lfirst(lc);

		resno++;
		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) copyObject(key->expr), resno,
													psprintf("k%d", foreach_current_index(lc) + 1), false));
	}
	return query;
}

/* Sets the leaf's query, over what is below. */
static void
compile_leaf(StreamingCompiler *compiler, Leaf *leaf)
{
	Query	   *query = leaf->query = edge_query(leaf);

	streaming_compile_below(compiler, query);
	streaming_refuse_mutable_input(compiler, query);
	/* what a row that is taken back has been must be remembered */
	if (streaming_input_is_signed(compiler, query) && !streaming_is_fixed(query))
		streaming_bind_subquery(compiler, linitial_node(RangeTblEntry, query->rtable));
}

static StreamingEdge
make_edge(Partition *partition, Leaf *leaf)
{
	StreamingCompiler *compiler = partition->compiler;
	List	   *keys = NIL;
	StreamingEdge edge;
	ListCell   *lc;

	foreach(lc, leaf->keys)
		keys = lappend(keys, ((KeyNode *) lfirst(lc))->expr);
	edge = streaming_make_edge(compiler, leaf->query, true);
	edge.weighted = edge.is_signed;
	edge.ncolumns = list_length(leaf->columns);
	edge.columns = fill_values(leaf->columns, "c");
	edge.nkeys = list_length(leaf->keys);
	edge.keys = fill_values(keys, "k");
	foreach(lc, leaf->keys)
	{
		KeyNode    *key = lfirst(lc);
		StreamingValue *value = &edge.keys[foreach_current_index(lc)];

		value->collation = key->collation;
		if (key->class >= 0)
			value->eqop = lookup_type_cache(value->type, TYPECACHE_EQ_OPR)->eq_opr;
	}
	return edge;
}

/* ---- Event time ---- */

/* Columns of a leaf as columns of its edge. */
static Node *
edge_column_mutator(Node *node, Leaf *leaf)
{
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, edge_column_mutator, leaf);
	foreach(lc, leaf->columns)
	{
		if (lfirst_node(Var, lc)->varattno == ((Var *) node)->varattno)
		{
			Var		   *var = (Var *) copyObject(node);

			var->varattno = foreach_current_index(lc) + 1;
			return (Node *) var;
		}
	}
	elog(ERROR, "a condition reads a column that is none of its leaf");
}

/* Late rows are counted once: a stage hands them up for a statement without joins. */
static void
add_late_filter(Partition *partition, Leaf *leaf, List *times)
{
	RangeTblEntry *rte = linitial_node(RangeTblEntry, leaf->query->rtable);

	if (streaming_stage_below(partition->compiler, leaf->query) && !streaming_is_delta(rte))
		streaming_bind_subquery(partition->compiler, rte);
	streaming_add_in_time(leaf->query, streaming_least(times),
						  partition->compiler->mode == STREAMING_OUTPUT_APPEND);
}

typedef struct MeetContext
{
	Partition  *partition;
	Level	   *level;
} MeetContext;

/* Columns of leaves have the number of the leaf; others have none that there is. */
static Node *
meet_mutator(Node *node, MeetContext *context)
{
	Var		   *var;
	int			leaf;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return IsA(node, Query) ? copyObject(node) :
			expression_tree_mutator(node, meet_mutator, context);
	var = (Var *) copyObject(node);
	leaf = leaf_of_var(context->partition, context->level, var);
	var->varno = leaf >= 0 ? leaf + 1 : list_length(context->partition->leaves) + 1;
	var->varlevelsup = 0;
	var->varnosyn = 0;
	var->varattnosyn = 0;
	return (Node *) var;
}

static List *
conditions_of(Partition *partition, Level *level, Node *node)
{
	MeetContext context = {partition, level};
	List	   *result = NIL;
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		return NIL;
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		result = list_concat(conditions_of(partition, level, join->larg),
							 conditions_of(partition, level, join->rarg));
		return lappend(result, meet_mutator(join->quals, &context));
	}
	foreach(lc, castNode(FromExpr, node)->fromlist)
		result = list_concat(result, conditions_of(partition, level, lfirst(lc)));
	return lappend(result, meet_mutator(((FromExpr *) node)->quals, &context));
}

/* Conditions on rows that meet. */
static List *
meeting(Partition *partition)
{
	JoinExpr   *outer = outer_join(partition->query);
	List	   *result = NIL;
	ListCell   *lc;

	/* what WHERE says is asked of rows that meet, and of those that do not */
	if (!partition->by_row)
		return conditions_of(partition, linitial(partition->levels),
							 outer ? (Node *) outer : (Node *) partition->query->jointree);
	for_each_from(lc, partition->levels, 1)
	{
		Level	   *level = lfirst(lc);

		if (only_inner((Node *) level->query->jointree))
			result = list_concat(result, conditions_of(partition, level,
													   (Node *) level->query->jointree));
	}
	return result;
}

/* Is what rows of a leaf have met asked when they close? */
static bool
is_preserved(Partition *partition, int i)
{
	JoinExpr   *join = outer_join(partition->query);
	Leaf	   *leaf = list_nth(partition->leaves, i);
	bool		left;

	if (partition->by_row)
		return i == 0;
	if (join == NULL)
		return false;
	left = ((RangeTblRef *) join->larg)->rtindex == leaf->rti;
	return join->jointype == JOIN_FULL || join->jointype == (left ? JOIN_LEFT : JOIN_RIGHT);
}

/*
 * Where a join has a bound in event time, late rows are told before they are kept.
 * Sets the compiler's leaf_times.  False: it is an outer join whose rows may always
 * meet others.
 */
static bool
bound_leaves(Partition *partition)
{
	StreamingCompiler *compiler = partition->compiler;
	int			n = list_length(partition->leaves);
	StreamingLeafTime *times = palloc0(sizeof(StreamingLeafTime) * n);

	for (int i = 0; i < n; i++)
	{
		Leaf	   *leaf = list_nth(partition->leaves, i);

		times[i].rte = leaf_rte(leaf);
		times[i].query = leaf->query;
		times[i].nullable = leaf->nullable;
		times[i].preserved = is_preserved(partition, i);
	}
	streaming_bound_times(compiler, meeting(partition), times, n);
	for (int i = 0; i < n; i++)
	{
		if (times[i].preserved && times[i].closes == NIL)
			return false;
	}
	for (int i = 0; i < n; i++)
	{
		if (times[i].late)
			add_late_filter(partition, list_nth(partition->leaves, i), times[i].late);
		/* a row of the result comes when that of the first leaf closes */
		if (partition->by_row && i > 0)
			times[i].exprs = NIL;
	}
	compiler->leaf_times = times;
	compiler->nleaf_times = n;
	return true;
}

/* ---- The statement ---- */

/*
 * The names of a leaf's columns, as the query has them.  Behind these are the row as a
 * whole and tableoid, if they are read.
 */
static void
leaf_name(Partition *partition, int i)
{
	Leaf	   *leaf = list_nth(partition->leaves, i);
	RangeTblEntry *rte = leaf_rte(leaf);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, rte->eref->colnames)
	{
		char	   *name = strVal(lfirst(lc));

		/* of dropped columns they are empty, and others may be like ours */
		names = lappend(names, makeString(name[0] && name[0] != '$' ? pstrdup(name) :
										  psprintf("$_%d", foreach_current_index(lc) + 1)));
	}
	/* columns that were added since, which only whole rows have */
	while (leaf->columns != NIL && list_length(names) < llast_node(Var, leaf->columns)->varattno)
		names = lappend(names, makeString(psprintf("$_%d", list_length(names) + 1)));
	for (int k = 0; leaf->row_type == RECORDOID && k < list_length(leaf->columns); k++)
		leaf->names = lappend(leaf->names, copyObject(list_nth(rte->eref->colnames, k)));
	if (OidIsValid(leaf->row_type))
		names = lappend(names, makeString("$row"));
	if (leaf->tableoid)
	{
		leaf->relid = rte->relid;
		names = lappend(names, makeString("$tableoid"));
	}
	streaming_name_relation(rte, psprintf("$leaf_%d", i + 1), names);
}

/* What is not a column of a leaf becomes one. */
static void
name_rows(Partition *partition)
{
	ColumnSearch search = {partition, NULL, true};

	(void) search_columns((Node *) partition->query, &search);
}

/*
 * The row of a leaf as a whole, which has all its columns.  A record has their names, too.
 * The planner, if it saw into a row with dropped columns, would take these for NULL.
 */
static char *
whole_row(Leaf *leaf)
{
	bool		is_record = leaf->row_type == RECORDOID;
	char	   *type = is_record ? NULL : format_type_be_qualified(leaf->row_type);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < list_length(leaf->columns); i++)
	{
		appendStringInfo(&buf, "%st.c%d", i ? ", " : "", i + 1);
		if (is_record)
			appendStringInfo(&buf, " AS %s", quote_identifier(strVal(list_nth(leaf->names, i))));
	}
	if (is_record)
		return psprintf("(SELECT r FROM (SELECT %s) r)", buf.data);
	return psprintf(leaf->dropped ? "(SELECT ROW(%s)::%s)" : "ROW(%s)::%s", buf.data, type);
}

/*
 * "$leaf_<i>"(<names>) AS (SELECT <columns> FROM <rows>): what the query reads as its
 * leaf.  Columns that it does not read are NULL.  more: nmore columns behind those.
 */
static void
append_leaf(StringInfo buf, Leaf *leaf, int i, const char *more, int nmore, const char *rows)
{
	RangeTblEntry *rte = leaf_rte(leaf);
	ListCell   *lc;
	int			next = 0;
	int			ncolumns = list_length(rte->eref->colnames) - nmore;

	appendStringInfo(buf, "%s\"$leaf_%d\"", i ? ", " : "WITH ", i + 1);
	for (int k = 0; k < list_length(rte->eref->colnames); k++)
		appendStringInfo(buf, "%s%s", k ? ", " : "(",
						 quote_identifier(strVal(list_nth(rte->eref->colnames, k))));
	appendStringInfoString(buf, rte->eref->colnames ? ") AS NOT MATERIALIZED (SELECT " :
						   " AS NOT MATERIALIZED (SELECT ");
	for (int k = 0; k < ncolumns; k++)
	{
		lc = next < list_length(leaf->columns) ? list_nth_cell(leaf->columns, next) : NULL;
		if (k)
			appendStringInfoString(buf, ", ");
		if (lc && lfirst_node(Var, lc)->varattno == k + 1)
			appendStringInfo(buf, "t.c%d", ++next);
		else if (leaf->tableoid && k == ncolumns - 1)
			appendStringInfo(buf, "%u::pg_catalog.oid", leaf->relid);
		else if (OidIsValid(leaf->row_type) && k == ncolumns - (leaf->tableoid ? 2 : 1))
			appendStringInfoString(buf, whole_row(leaf));
		else
			appendStringInfoString(buf, "NULL::pg_catalog.text");
	}
	if (nmore > 0)
		appendStringInfo(buf, "%s%s", ncolumns ? ", " : "", more);
	appendStringInfo(buf, " FROM %s)", rows);
}

/* The rows of an edge that close after $1 and until $2. */
static char *
closing_rows(StreamingEdge *edge)
{
	return psprintf("%s.%s t WHERE t.\"$closes\" OPERATOR(pg_catalog.>) $1 AND t.\"$closes\" OPERATOR(pg_catalog.<=) $2",
					STREAMING_INTERNAL_SCHEMA, edge->table);
}

/* The rows of an edge; of the partition g, unless there is one as a whole. */
static char *
partition_rows(Partition *partition, StreamingStage *stage, StreamingEdge *edge)
{
	bool		closing = partition->by_row && edge == &stage->edges[0];
	const char *rows = closing ? closing_rows(edge) :
		psprintf("%s.%s t%s", STREAMING_INTERNAL_SCHEMA, edge->table, !edge->weighted ? "" :
				 ", pg_catalog.generate_series(1::pg_catalog.int8, t.\"$count\")");

	return psprintf("%s%s", rows, stage->whole ? "" : closing ?
					" AND t.\"$group\" OPERATOR(pg_catalog.=) g.\"$group\"" :
					" WHERE t.\"$group\" OPERATOR(pg_catalog.=) g.\"$group\"");
}

/*
 * The query over partitions: of those in $1, which are before their rows.  by_row: of those
 * of rows that close, and each row has its weight behind it.
 */
static char *
partition_sql(Partition *partition, StreamingStage *stage, const char *query)
{
	StringInfoData buf;
	const char *columns = !partition->by_row ? stage->whole ? "0::pg_catalog.int8, q.*" :
		"g.\"$group\", q.*" : "q.*, 1::pg_catalog.int8";
	const char *groups = partition->by_row ?
		psprintf("(SELECT DISTINCT t.\"$group\" FROM %s) g", closing_rows(&stage->edges[0])) :
		"pg_catalog.unnest($1) g(\"$group\")";
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT %s FROM ", columns);
	appendStringInfo(&buf, stage->whole ? "(" : "%s, LATERAL (", groups);
	foreach(lc, partition->leaves)
	{
		int			i = foreach_current_index(lc);

		append_leaf(&buf, lfirst(lc), i, NULL, 0, partition_rows(partition, stage, &stage->edges[i]));
	}
	appendStringInfo(&buf, " SELECT * FROM (%s) r) q", query);
	return buf.data;
}

/*
 * The rows of an edge whose partitions are in $1; all of them, if the stage is whole.
 * Without statistics the planner takes partitions for large: it is not to read the
 * whole table for some.
 */
static char *
touched_rows(StreamingStage *stage, StreamingEdge *edge)
{
	char	   *rows = psprintf("%s.%s t%s", STREAMING_INTERNAL_SCHEMA, edge->table,
								edge->weighted ? ", pg_catalog.generate_series(1::pg_catalog.int8, t.\"$count\")" : "");

	return stage->whole ? rows :
		psprintf("pg_catalog.unnest($1) g(\"$group\"), "
				 "LATERAL (SELECT t.*, t.ctid FROM %s WHERE t.\"$group\" OPERATOR(pg_catalog.=) g.\"$group\" OFFSET 0) t",
				 rows);
}

/* Does each level take its rows from one relation, and by partition? */
static bool
is_ordered(Partition *partition)
{
	Leaf	   *leaf = linitial(partition->leaves);
	Query	   *query = leaf->level->query;

	return list_length(partition->leaves) == 1 &&
		list_length(partition->levels) == partition->depth + 1 &&
		(query->hasWindowFuncs || query->hasDistinctOn) && streaming_only_relation(query) == leaf->rti;
}

/* All partitions at once: their rows have their partition behind them. */
static char *
ordered_sql(Partition *partition, StreamingStage *stage)
{
	StringInfoData buf;

	streaming_carry_column(partition->query, partition->depth, "$group", INT8OID);
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT q.\"$group\"");
	for (int i = 0; i < stage->noutputs; i++)
		appendStringInfo(&buf, ", q.c%d", i + 1);
	appendStringInfoString(&buf, " FROM (");
	append_leaf(&buf, linitial(partition->leaves), 0, "t.\"$group\"", 1,
				touched_rows(stage, &stage->edges[0]));
	appendStringInfo(&buf, " %s) q(", streaming_deparse(partition->query));
	for (int i = 0; i < stage->noutputs; i++)
		appendStringInfo(&buf, "c%d, ", i + 1);
	appendStringInfoString(&buf, "\"$group\")");
	return buf.data;
}

/* The tids of rows that no longer matter; NULL: all do. */
static char *
prune_sql(Partition *partition, StreamingStage *stage)
{
	Leaf	   *leaf = linitial(partition->leaves);
	Level	   *above = list_length(partition->levels) > 1 ?
		list_nth(partition->levels, list_length(partition->levels) - 2) : NULL;
	Level		level = *leaf->level;
	Leaf		behind = *leaf;
	StringInfoData buf;
	int64		most;

	if (list_length(partition->leaves) > 1 || stage->edges[0].is_signed ||
		streaming_only_relation(level.query) != leaf->rti ||
		list_length(partition->levels) != partition->depth + 1)
		return NULL;
	level.query = streaming_rows_behind(level.query, above ? above->query : NULL, &most);
	if (level.query == NULL)
		return NULL;
	behind.level = &level;
	(void) streaming_carry_column(level.query, 0, "$tid", TIDOID);
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT q.tid FROM (");
	append_leaf(&buf, &behind, 0, "t.ctid", 1, touched_rows(stage, &stage->edges[0]));
	appendStringInfo(&buf, " %s) q(n, tid) WHERE q.n OPERATOR(pg_catalog.>) (" INT64_FORMAT ")::pg_catalog.int8",
					 streaming_deparse(level.query), most);
	return buf.data;
}

/*
 * In the statement of a join a leaf has its weight and group behind its columns.  rows: of
 * the leaf number edge; of the others all that are kept.
 */
static char *
join_sql(Partition *partition, StreamingStage *stage, int edge, const char *rows, Query *query)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, partition->leaves)
	{
		int			i = foreach_current_index(lc);

		append_leaf(&buf, lfirst(lc), i, "t.\"$count\", t.\"$group\"", 2,
					i == edge ? rows :
					psprintf("%s.%s t", STREAMING_INTERNAL_SCHEMA, stage->edges[i].table));
	}
	appendStringInfo(&buf, " %s", streaming_deparse(query));
	return buf.data;
}

/* What a leaf of a join has behind its columns. */
static Var *
leaf_count(Leaf *leaf)
{
	return makeVar(leaf->rti, list_length(leaf_rte(leaf)->eref->colnames) - 1, INT8OID, -1,
				   InvalidOid, 0);
}

static Var *
leaf_group(Leaf *leaf)
{
	return makeVar(leaf->rti, list_length(leaf_rte(leaf)->eref->colnames), INT8OID, -1,
				   InvalidOid, 0);
}

/* Adds to the query of a join that groups are equal. */
static void
add_groups(Partition *partition, Query *query)
{
	Oid			equal = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
	JoinExpr   *outer = outer_join(query);
	Node	  **quals = outer ? &outer->quals : &query->jointree->quals;
	Expr	   *first = (Expr *) leaf_group(linitial(partition->leaves));
	ListCell   *lc;

	for_each_from(lc, partition->leaves, 1)
		*quals = make_and_qual(*quals,
							   (Node *) make_opclause(equal, BOOLOID, false, copyObject(first),
													  (Expr *) leaf_group(lfirst(lc)), InvalidOid,
													  InvalidOid));
}

static void
add_weight(Query *query, Expr *weight)
{
	query->targetList = lappend(query->targetList,
								makeTargetEntry(weight, list_length(query->targetList) + 1,
												"$weight", false));
}

/* The query of rows that meet, which has the product of their weights. */
static Query *
matches(Partition *partition, Query *join)
{
	Query	   *query = copyObject(join);
	Expr	   *weight = NULL;
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Expr	   *one = (Expr *) leaf_count(lfirst(lc));

		weight = weight == NULL ? one :
			(Expr *) makeFuncExpr(F_INT8MUL, INT8OID, list_make2(weight, one), InvalidOid,
								  InvalidOid, COERCE_EXPLICIT_CALL);
	}
	if (outer_join(query))
		outer_join(query)->jointype = JOIN_INNER;
	add_weight(query, weight);
	return query;
}

/* The query of rows of a leaf of an outer join that meet none of the other. */
static Query *
without_match(Partition *partition, Query *join, int edge)
{
	Query	   *query = copyObject(join);
	JoinExpr   *outer = outer_join(query);
	Leaf	   *leaf = list_nth(partition->leaves, edge);
	NullTest   *test = makeNode(NullTest);

	outer->jointype = ((RangeTblRef *) outer->larg)->rtindex == leaf->rti ? JOIN_LEFT : JOIN_RIGHT;
	test->arg = (Expr *) leaf_group(list_nth(partition->leaves, 1 - edge));
	test->nulltesttype = IS_NULL;
	test->location = -1;
	query->jointree->quals = make_and_qual(query->jointree->quals, (Node *) test);
	add_weight(query, (Expr *) leaf_count(leaf));
	return query;
}

/* The statements of a join, whose leaves have got their names. */
static void
join_statements(Partition *partition, StreamingStage *stage)
{
	Query	   *query = partition->query;
	Query	   *met;
	ListCell   *lc;

	if (partition->by_row)
	{
		stage->emits_closed = true;
		streaming_flatten_joins(query);
		stage->edges[0].unmatched_sql = partition_sql(partition, stage, streaming_deparse(query));
		return;
	}
	foreach(lc, partition->leaves)
	{
		RangeTblEntry *rte = leaf_rte(lfirst(lc));

		rte->eref->colnames = lappend(rte->eref->colnames, makeString("$count"));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString("$group"));
	}
	if (!partition->whole)
		add_groups(partition, query);
	streaming_flatten_joins(query);
	met = matches(partition, query);
	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingEdge *edge = &stage->edges[i];
		StreamingLeafTime *times = &partition->compiler->leaf_times[i];

		edge->join_sql = join_sql(partition, stage, i, "\"$edge\" t", met);
		if (!times->preserved)
			continue;
		stage->emits_closed = true;
		edge->unmatched_sql =
			join_sql(partition, stage, i, closing_rows(edge), without_match(partition, query, i));
	}
}

/* When rows of a join go. */
static void
join_closes(Partition *partition, StreamingStage *stage)
{
	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingLeafTime *times = &partition->compiler->leaf_times[i];

		if (times->closes == NIL)
			continue;
		stage->edges[i].closes = (Expr *) edge_column_mutator((Node *) streaming_least(times->closes),
															  list_nth(partition->leaves, i));
		stage->edges[i].lag = times->lag;
		stage->evicts_rows = true;
	}
}

static void
name_tables(Partition *partition, StreamingStage *stage)
{
	for (int i = 0; i < stage->nedges; i++)
		stage->edges[i].table = psprintf("rows_%d_%d_%d", partition->compiler->program->id,
										 stage->number, i + 1);
}

StreamingStage *
streaming_compile_partition(StreamingCompiler *compiler, Query *query)
{
	Partition	partition = {compiler, query};
	Query	   *nested;
	StreamingEdge *edges;
	StreamingStage *stage;
	int			n;
	bool		joined;

	partition.depth = streaming_folded_levels(query);
	collect_level(&partition, query, NULL);
	find_columns(&partition);
	find_keys(&partition);
	nested = copyObject(query);
	partition.by_row = is_by_row(&partition);
	joined = partition.by_row || is_join(&partition);
	/* what is computed anew never appends */
	if ((partition.whole || (!joined && compiler->mode == STREAMING_OUTPUT_APPEND)) &&
		streaming_nest_joins(nested))
		return streaming_compile_query(compiler, nested);
	n = list_length(partition.leaves);
	for (int i = 0; i < n; i++)
		compile_leaf(compiler, list_nth(partition.leaves, i));
	joined = joined && is_fixed(&partition) && bound_leaves(&partition);
	compiler->unbounded_outer |= !joined && (partition.by_row || outer_join(query));
	partition.by_row &= joined;
	edges = palloc0(sizeof(StreamingEdge) * n);
	for (int i = 0; i < n; i++)
		edges[i] = make_edge(&partition, list_nth(partition.leaves, i));

	stage = streaming_add_stage(compiler);
	stage->kind = joined ? STREAMING_STAGE_JOIN : STREAMING_STAGE_PARTITION;
	stage->whole = partition.whole;
	stage->edges = edges;
	stage->nedges = n;
	streaming_fill_outputs(stage, query);
	name_tables(&partition, stage);
	for (int i = 0; i < n; i++)
	{
		stage->signed_input |= edges[i].is_signed;
		leaf_name(&partition, i);
	}
	name_rows(&partition);
	streaming_refuse_mutable(query, true, compiler->mode);
	if (streaming_contains_input((Node *) query))
		elog(ERROR, "an input of a query is none of its leaves");
	if (!joined)
	{
		streaming_keys_of_outputs(stage);
		streaming_flatten_joins(query);
		stage->prune_sql = prune_sql(&partition, stage);
		stage->recompute_sql = !stage->whole && is_ordered(&partition) ?
			ordered_sql(&partition, stage) :
			partition_sql(&partition, stage, streaming_deparse(query));
		return stage;
	}
	stage->only_appears = !stage->signed_input;
	streaming_outputs_event_time(compiler, stage, query);
	join_closes(&partition, stage);
	join_statements(&partition, stage);
	compiler->nleaf_times = 0;
	return stage;
}
