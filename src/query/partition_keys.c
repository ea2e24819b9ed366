/*
 * partition_keys.c
 *		Which rows of a query's leaves belong together: the keys of its partitions.
 *
 * Rows meet where expressions over them are equal: in conditions of joins and WHERE, in
 * PARTITION BY and DISTINCT ON, in the columns of a set operation.  Of each set of equal
 * expressions that has one of each leaf there is a key; without any, all rows are one
 * partition.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "query/partition.h"

/* The leaves whose rows a condition chooses: where it is not true, they are left out. */
typedef struct Choice
{
	Bitmapset  *leaves;
	Bitmapset  *others;			/* FULL JOIN: those of the other side; else NULL */
	bool		outer;			/* an outer join's: what is not among them stays */
} Choice;

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
		int			i = streaming_leaf_of_var(search->partition, search->level, (Var *) node);

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

Node *
streaming_leaf_expr(Node *expr)
{
	return leaf_expr_mutator(expr, NULL);
}

int
streaming_key_of_expr(Partition *partition, Level *level, Node *expr, Node **key)
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

bool
streaming_hashes_alike(Oid opno, Node *left, Node *right)
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

	leaves[0] = streaming_key_of_expr(partition, left_level, left, &keys[0]);
	leaves[1] = streaming_key_of_expr(partition, right_level, right, &keys[1]);
	if (leaves[0] < 0 || leaves[1] < 0 || leaves[0] == leaves[1] ||
		!chooses(choice, leaves) || !streaming_hashes_alike(op->opno, left, right))
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

/* Keys of the one leaf from expressions of PARTITION BY or DISTINCT ON of query. */
static void
keys_of_exprs(Partition *partition, Query *query, List *exprs, Leaf *leaf)
{
	ListCell   *lc;

	/* of a leaf in a subquery's expression they have no columns, but may look as if */
	if (leaf->level->query != query)
		return;
	foreach(lc, exprs)
	{
		Node	   *key;

		if (streaming_key_of_expr(partition, leaf->level, lfirst(lc), &key) >= 0)
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

void
streaming_find_keys(Partition *partition)
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
		keys_of_exprs(partition, query, streaming_window_keys(query), first);
	else if (query->hasDistinctOn)
		keys_of_exprs(partition, query, streaming_distinct_keys(query), first);
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
