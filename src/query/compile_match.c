/*
 * compile_match.c
 *		Joins in which it counts whether a row meets any: outer joins, EXISTS, NOT EXISTS.
 *
 *	a LEFT JOIN b ON ...				rows that meet; rows of a that meet none, with NULLs
 *	a WHERE EXISTS (SELECT FROM b ...)	rows of a that meet some
 *	a WHERE NOT EXISTS (...)			rows of a that meet none
 *
 * What comes to a is joined with b as it is.  Of what comes to b, whatever its rows are
 * joined with, two kinds of rows change whether rows of a meet any:
 *
 *	the first match		a row of b has come: rows of a that it meets, and that have met
 *						none of b before
 *	the last match		a row of b has gone: rows of a that it met, and that meet none of
 *						b after
 *
 * So nobody counts matches, and a row of a is looked at when a row of b that it meets
 * comes or goes.  Where all that is asked is that keys are equal, the same holds of all
 * rows with a key, and is asked once of the row of b.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "query/partition.h"
#include "streaming.h"

/* ---- Kind ---- */

/* The sublink of a condition "[NOT] EXISTS (...)"; or NULL. */
static SubLink *
exists_of(Node *condition, bool *negated)
{
	SubLink    *sublink;

	*negated = is_notclause(condition);
	sublink = (SubLink *) (*negated ? (Node *) get_notclausearg(condition) : condition);
	return IsA(sublink, SubLink) && sublink->subLinkType == EXISTS_SUBLINK ? sublink : NULL;
}

/* The leaf that is all that a subquery has in FROM, by whose rows alone it has some; or -1. */
static int
leaf_of_exists(Partition *partition, Query *query)
{
	int			rti = streaming_only_relation(query);
	ListCell   *lc;

	if (query->setOperations || query->cteList != NIL || query->hasAggs || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual || query->hasWindowFuncs ||
		query->hasDistinctOn || query->hasTargetSRFs || query->limitCount || query->limitOffset ||
		query->targetList != NIL || checkExprHasSubLink((Node *) query->jointree))
		return -1;
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		if (leaf->level->query == query)
			return leaf->rti == rti ? foreach_current_index(lc) : -1;
	}
	return -1;
}

/* Are all sublinks conditions of WHERE, each over one leaf? */
static bool
has_exists_only(Partition *partition)
{
	Query	   *query = partition->query;
	int			n = 0;
	bool		negated;
	ListCell   *lc;

	if (checkExprHasSubLink((Node *) query->targetList) ||
		checkExprHasSubLink((Node *) query->jointree->fromlist))
		return false;
	foreach(lc, make_ands_implicit((Expr *) query->jointree->quals))
	{
		SubLink    *sublink = exists_of(lfirst(lc), &negated);

		if (sublink == NULL && checkExprHasSubLink(lfirst(lc)))
			return false;
		if (sublink && leaf_of_exists(partition, castNode(Query, sublink->subselect)) < 0)
			return false;
		n += sublink != NULL;
	}
	return n > 0 && n == list_length(partition->levels) - 1;
}

/* How many leaves are in FROM? */
static int
leaves_in_from(Partition *partition)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, partition->leaves)
		n += ((Leaf *) lfirst(lc))->level == linitial(partition->levels);
	return n;
}

/* Does it nothing but join inputs, all of its FROM, and filter? */
static bool
is_of_leaves(Partition *partition)
{
	Query	   *query = partition->query;
	int			n = leaves_in_from(partition);

	return partition->compiler->mode != STREAMING_OUTPUT_APPEND && partition->depth == 0 && n > 0 &&
		!query->setOperations && !query->hasWindowFuncs && !query->hasDistinctOn &&
		!query->limitCount && !query->limitOffset && query->cteList == NIL &&
		bms_num_members(streaming_relations_of((Node *) query->jointree)) == n;
}

bool
streaming_is_by_match(Partition *partition)
{
	Query	   *query = partition->query;

	if (!is_of_leaves(partition))
		return false;
	if (streaming_outer_join(query))
		return list_length(partition->leaves) == 2 && !query->hasSubLinks;
	return streaming_only_inner((Node *) query->jointree) && has_exists_only(partition);
}

bool
streaming_nests_by_match(Partition *partition, Query *nested)
{
	Query	   *query = partition->query;

	if (!is_of_leaves(partition) || !streaming_is_fixed_join(query, true))
		return false;
	if (streaming_is_by_match(partition))
		return partition->whole && streaming_nest_exists(nested);
	return !streaming_only_inner((Node *) query->jointree) &&
		(!query->hasSubLinks || has_exists_only(partition)) && streaming_nest_outer(nested);
}

/* ---- Rows that meet ---- */

/*
 * Conditions on rows of leaf, of a level or a subquery of it, and of one other there: as
 * conditions of a query over the one, around which is a query over the other.
 */
static Node *
pair_mutator(Node *node, Leaf *leaf)
{
	Var		   *var;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, pair_mutator, leaf);
	var = (Var *) copyObject(node);
	if (var->varlevelsup > 0 || var->varno != leaf->rti)
		var->varlevelsup = 1;
	var->varno = 1;
	var->varnosyn = 0;
	var->varattnosyn = 0;
	return (Node *) var;
}

static SubLink *
make_exists(RangeTblEntry *rte, Node *quals)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	SubLink    *sublink = makeNode(SubLink);

	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), quals);
	sublink->subLinkType = EXISTS_SUBLINK;
	sublink->subselect = (Node *) query;
	sublink->location = -1;
	return sublink;
}

/* A relation of the rows of a leaf: the number more-th behind the leaves. */
static RangeTblEntry *
rename_leaf(Partition *partition, RangeTblEntry *rte, int more)
{
	char	   *name = psprintf("$leaf_%d", list_length(partition->leaves) + more);

	rte->ctename = name;
	rte->eref->aliasname = pstrdup(name);
	return rte;
}

#define CHANGED	1				/* the rows that have come, or gone */
#define ASKED	2				/* those of the other leaf that may meet them */

static void
add_condition(Query *query, Node *condition)
{
	query->jointree->quals = make_and_qual(query->jointree->quals, condition);
}

static Expr *
minus(Expr *weight)
{
	return (Expr *) makeFuncExpr(F_INT8UM, INT8OID, list_make1(weight), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* Rows that were there so often are gone. */
static Query *
negate(Query *query)
{
	TargetEntry *weight = llast_node(TargetEntry, query->targetList);

	weight->expr = minus(weight->expr);
	return query;
}

/* ---- Outer joins ---- */

/* The query of rows that come to a side, with those that meet none, if that side has these. */
static Query *
outer_come(Partition *partition, Query *join, int i)
{
	Query	   *query = copyObject(join);
	JoinExpr   *outer = streaming_outer_join(query);
	Leaf	   *leaf = list_nth(partition->leaves, i);
	bool		left = ((RangeTblRef *) outer->larg)->rtindex == leaf->rti;
	CoalesceExpr *others;

	if (outer->jointype != JOIN_FULL && outer->jointype != (left ? JOIN_LEFT : JOIN_RIGHT))
		return streaming_weighted_matches(partition, join);
	others = makeNode(CoalesceExpr);
	others->coalescetype = INT8OID;
	others->args = list_make2(streaming_leaf_count(list_nth(partition->leaves, 1 - i)),
							  makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(1),
										false, FLOAT8PASSBYVAL));
	others->location = -1;
	outer->jointype = left ? JOIN_LEFT : JOIN_RIGHT;
	streaming_add_weight(query,
						 (Expr *) makeFuncExpr(F_INT8MUL, INT8OID,
											   list_make2(streaming_leaf_count(leaf), others),
											   InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
	return query;
}

/*
 * The query of rows of the other side that meet none of leaf i.  NULL: that side has no rows for
 * those that meet none.
 */
static Query *
outer_without(Partition *partition, Query *join, int i)
{
	JoinExpr   *outer = streaming_outer_join(join);
	Leaf	   *leaf = list_nth(partition->leaves, i);
	bool		left = ((RangeTblRef *) outer->larg)->rtindex == leaf->rti;
	NullTest   *there = makeNode(NullTest);
	Query	   *query;

	if (outer->jointype == (left ? JOIN_LEFT : JOIN_RIGHT))
		return NULL;
	query = copyObject(join);
	/* as what an anti join looks for */
	there->arg = (Expr *) streaming_leaf_group(leaf);
	there->nulltesttype = IS_NOT_NULL;
	there->location = -1;
	streaming_outer_join(query)->quals = make_and_qual(streaming_outer_join(query)->quals,
													   (Node *) there);
	return streaming_without_match(partition, query, 1 - i);
}

/* ---- EXISTS ---- */

/* What quals are ANDed of, at any depth. */
static List *
conditions_of(Node *quals)
{
	List	   *conditions = NIL;
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) quals))
	{
		if (is_andclause(lfirst(lc)))
			conditions = list_concat(conditions, conditions_of(lfirst(lc)));
		else
			conditions = lappend(conditions, lfirst(lc));
	}
	return conditions;
}

/* The number of the condition of WHERE whose subquery reads leaf i. */
static int
condition_on(List *conditions, int i)
{
	char	   *name = psprintf("$leaf_%d", i + 1);
	bool		negated;
	ListCell   *lc;

	foreach(lc, conditions)
	{
		SubLink    *sublink = exists_of(lfirst(lc), &negated);
		RangeTblEntry *rte = sublink ?
			linitial_node(RangeTblEntry, castNode(Query, sublink->subselect)->rtable) : NULL;

		if (rte && rte->rtekind == RTE_CTE && strcmp(rte->ctename, name) == 0)
			return foreach_current_index(lc);
	}
	elog(ERROR, "an input of a query is in none of its conditions");
}

/*
 * The query of rows that meet none of leaf i.  Sets what says which of its rows they meet, and
 * whether the user's query lets through those that meet none.
 */
static Query *
exists_without(Partition *partition, Query *join, int i, SubLink **met, bool *negated)
{
	Query	   *query = streaming_weighted_matches(partition, join);
	List	   *conditions = conditions_of(query->jointree->quals);
	ListCell   *cell = list_nth_cell(conditions, condition_on(conditions, i));

	*met = exists_of(lfirst(cell), negated);
	lfirst(cell) = make_notclause((Expr *) *met);
	query->jointree->quals = (Node *) make_ands_explicit(conditions);
	return query;
}

/* ---- Keys ---- */

/* The equality by which values of a type are hashed; or Invalid. */
static Oid
hashed_equality(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_OPFAMILY);

	return OidIsValid(entry->hash_opf) ?
		get_opfamily_member(entry->hash_opf, entry->hash_opintype, entry->hash_opintype,
							HTEqualStrategyNumber) : InvalidOid;
}

/* Is a side of an equality a key of leaf? */
static bool
is_key(Leaf *leaf, OpExpr *op, Node *expr)
{
	TypeCacheEntry *type = lookup_type_cache(exprType(expr), TYPECACHE_HASH_OPFAMILY);
	ListCell   *lc;

	if (!OidIsValid(type->hash_opf) || !op_in_opfamily(op->opno, type->hash_opf))
		return false;
	foreach(lc, leaf->keys)
	{
		KeyNode    *key = lfirst(lc);

		if (key->collation == op->inputcollid && equal(key->expr, streaming_leaf_expr(expr)))
			return true;
	}
	return false;
}

/* Is a condition the same for all rows of leaf with equal keys? */
static bool
is_by_key(Leaf *leaf, Node *qual)
{
	Relids		only = bms_make_singleton(leaf->rti);
	OpExpr	   *op = (OpExpr *) qual;
	Relids		sides[2];

	if (!bms_is_member(leaf->rti, pull_varnos(NULL, qual)))
		return true;
	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return false;
	sides[0] = pull_varnos(NULL, linitial(op->args));
	sides[1] = pull_varnos(NULL, lsecond(op->args));
	return (bms_equal(sides[0], only) && !bms_overlap(sides[1], only) &&
			is_key(leaf, op, linitial(op->args))) ||
		(bms_equal(sides[1], only) && !bms_overlap(sides[0], only) &&
		 is_key(leaf, op, lsecond(op->args)));
}

/* Do all rows of leaf with equal keys meet the same ones, those that quals says? */
static bool
meets_by_key(Leaf *leaf, Node *quals)
{
	ListCell   *lc;

	if (leaf->keys == NIL)
		return false;
	foreach(lc, leaf->keys)
	{
		if (!OidIsValid(hashed_equality(exprType(((KeyNode *) lfirst(lc))->expr))))
			return false;
	}
	foreach(lc, make_ands_implicit((Expr *) quals))
	{
		if (!is_by_key(leaf, lfirst(lc)))
			return false;
	}
	return true;
}

/* Rows of an edge: its columns, weight and group. */
static RangeTblEntry *
edge_rte(StreamingEdge *edge, const char *name)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *columns = NIL;

	for (int i = 0; i < edge->ncolumns; i++)
		columns = lappend(columns, makeString(edge->columns[i].name));
	columns = lappend(columns, makeString("$count"));
	columns = lappend(columns, makeString("$group"));
	streaming_name_relation(rte, name, columns);
	return rte;
}

static Var *
edge_column(AttrNumber attno, Index levelsup)
{
	return makeVar(1, attno, INT8OID, -1, InvalidOid, levelsup);
}

static Node *
same(Oid operator, Node *within, Oid collation)
{
	Node	   *around = copyObject(within);

	IncrementVarSublevelsUp(around, 1, 0);
	return (Node *) make_opclause(operator, BOOLOID, false, (Expr *) within, (Expr *) around,
								  InvalidOid, collation);
}

/*
 * Are there none with the key of a row of "$edge" among those in "$kept"?  As a condition on
 * the first.
 */
static Node *
no_other(Leaf *leaf, StreamingEdge *edge)
{
	Node	   *quals = same(hashed_equality(INT8OID),
							 (Node *) edge_column(STREAMING_EDGE_GROUP(edge), 0), InvalidOid);
	ListCell   *lc;

	foreach(lc, leaf->keys)
	{
		KeyNode    *key = lfirst(lc);

		quals = make_and_qual(quals, same(hashed_equality(exprType(key->expr)),
										  streaming_edge_columns(key->expr, leaf), key->collation));
	}
	return (Node *) make_notclause((Expr *) make_exists(edge_rte(edge, "$kept"), quals));
}

/* ---- Statements ---- */

/*
 * "$new": the rows of an edge that have come, or gone.  by_key: of which there are no others
 * with the same key.
 */
static char *
new_rows(Leaf *leaf, StreamingEdge *edge, bool come, bool by_key)
{
	SubLink    *rows = make_exists(edge_rte(edge, "$edge"), NULL);
	Query	   *query = castNode(Query, rows->subselect);
	TypeCacheEntry *type = lookup_type_cache(INT8OID, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
	Const	   *zero = makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false,
								 FLOAT8PASSBYVAL);

	for (int i = 0; i < edge->ncolumns + 2; i++)
	{
		StreamingValue *value = i < edge->ncolumns ? &edge->columns[i] : NULL;
		Var		   *var = value ? makeVar(1, i + 1, value->type, value->typmod, value->collation, 0) :
			edge_column(i + 1, 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, i + 1,
													value ? value->name :
													i == edge->ncolumns ? "$count" : "$group", false));
	}
	add_condition(query, (Node *) make_opclause(come ? type->gt_opr : type->lt_opr, BOOLOID, false,
												(Expr *) edge_column(STREAMING_EDGE_COUNT(edge), 0),
												(Expr *) zero, InvalidOid, InvalidOid));
	query->hasSubLinks = by_key;
	if (by_key)
		add_condition(query, no_other(leaf, edge));
	return streaming_deparse(query);
}

/*
 * The rows of a leaf, other, that meet one of leaf that has come or gone.  They are looked for
 * before anything else is asked of them (OFFSET 0).
 */
static char *
met_rows(Partition *partition, Leaf *leaf, Leaf *other, Node *quals)
{
	RangeTblEntry *changed = rename_leaf(partition, copyObject(streaming_leaf_rte(leaf)), CHANGED);
	RangeTblEntry *asked = rename_leaf(partition, copyObject(streaming_leaf_rte(other)), ASKED);
	SubLink    *rows = make_exists(asked, (Node *) make_exists(changed, pair_mutator(quals, leaf)));
	Query	   *query = castNode(Query, rows->subselect);
	ListCell   *lc;

	foreach(lc, asked->eref->colnames)
	{
		/* of what type does not matter here */
		Var		   *var = makeVar(1, foreach_current_index(lc) + 1, INT8OID, -1, InvalidOid, 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, var->varattno, strVal(lfirst(lc)),
													false));
	}
	query->hasSubLinks = true;
	query->limitOffset = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0),
											false, FLOAT8PASSBYVAL);
	return streaming_deparse(query);
}

/* The only leaf in FROM besides leaf i; or -1. */
static int
only_other(Partition *partition, int i)
{
	int			other = -1;
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		if (foreach_current_index(lc) == i ||
			((Leaf *) lfirst(lc))->level != linitial(partition->levels))
			continue;
		if (other >= 0)
			return -1;
		other = foreach_current_index(lc);
	}
	return other;
}

/*
 * A query over the leaves, of which those in FROM are rows of the groups of what has come to
 * leaf i, or gone; and these are one leaf more.  If there is one in FROM, it is of rows
 * that meet some of them, as quals says.
 */
static char *
match_sql(Partition *partition, StreamingStage *stage, int i, bool come, bool by_key, Query *query,
		  Node *quals)
{
	StreamingEdge *edge = &stage->edges[i];
	Leaf	   *leaf = list_nth(partition->leaves, i);
	int			n = list_length(partition->leaves);
	int			other = only_other(partition, i);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "WITH ");
	if (by_key)
		appendStringInfo(&buf, "\"$kept\" AS NOT MATERIALIZED (SELECT t.* FROM %s.%s t), ",
						 STREAMING_INTERNAL_SCHEMA, edge->table);
	appendStringInfo(&buf, "\"$new\" AS (%s), ", new_rows(leaf, edge, come, by_key));
	streaming_append_leaf(&buf, leaf, n + CHANGED - 1, STREAMING_LEAF_WEIGHTS, 2, "\"$new\" t");
	foreach(lc, partition->leaves)
	{
		int			k = foreach_current_index(lc);
		bool		of_groups = !stage->whole && k != i &&
			((Leaf *) lfirst(lc))->level == linitial(partition->levels);

		appendStringInfoString(&buf, ", ");
		streaming_append_leaf(&buf, lfirst(lc), k == other ? n + ASKED - 1 : k,
							  STREAMING_LEAF_WEIGHTS, 2,
							  psprintf("%s.%s t%s", STREAMING_INTERNAL_SCHEMA, stage->edges[k].table,
									   !of_groups ? "" :
									   " WHERE t.\"$group\" OPERATOR(pg_catalog.=) ANY (SELECT n.\"$group\" FROM \"$new\" n)"));
	}
	if (other >= 0)
		appendStringInfo(&buf, ", \"$leaf_%d\" AS NOT MATERIALIZED (%s)", other + 1,
						 met_rows(partition, leaf, list_nth(partition->leaves, other), quals));
	appendStringInfo(&buf, " %s", streaming_deparse(query));
	return buf.data;
}

/*
 * without: the query of rows that meet none of leaf i, as quals says.  met: those are not in the
 * result, and others are.
 */
static void
set_matches(Partition *partition, StreamingStage *stage, int i, bool by_key, Query *without,
			Node *quals, bool met)
{
	StreamingEdge *edge = &stage->edges[i];
	Query	   *negative = negate(copyObject(without));

	edge->first_match_sql = match_sql(partition, stage, i, true, by_key, met ? without : negative,
									  quals);
	if (edge->weighted)
		edge->last_match_sql = match_sql(partition, stage, i, false, by_key,
										 met ? negative : without, quals);
}

static void
outer_statements(Partition *partition, StreamingStage *stage, const bool *by_key)
{
	Query	   *query = partition->query;

	streaming_flatten_joins(query);
	for (int i = 0; i < 2; i++)
	{
		Query	   *without = outer_without(partition, query, i);

		stage->edges[i].join_sql = streaming_join_sql(partition, stage, i, "\"$edge\" t",
													  outer_come(partition, query, i));
		if (without)
			set_matches(partition, stage, i, by_key[i], without, streaming_outer_join(query)->quals,
						false);
	}
}

static void
exists_statements(Partition *partition, StreamingStage *stage, const bool *by_key)
{
	Query	   *query = partition->query;
	ListCell   *lc;

	streaming_flatten_joins(query);
	foreach(lc, partition->leaves)
	{
		int			i = foreach_current_index(lc);
		Query	   *without;
		SubLink    *met;
		bool		negated;

		if (((Leaf *) lfirst(lc))->level == linitial(partition->levels))
		{
			stage->edges[i].join_sql =
				streaming_join_sql(partition, stage, i, "\"$edge\" t",
								   streaming_weighted_matches(partition, query));
			continue;
		}
		without = exists_without(partition, query, i, &met, &negated);
		if (only_other(partition, i) < 0)
		{
			SubLink    *changed = copyObject(met);

			(void) rename_leaf(partition,
							   linitial_node(RangeTblEntry, castNode(Query, changed->subselect)->rtable),
							   CHANGED);
			add_condition(without, (Node *) changed);
		}
		set_matches(partition, stage, i, by_key[i], without,
					castNode(Query, met->subselect)->jointree->quals, !negated);
	}
}

/* Rows that meet in a subquery are of one group. */
static void
add_group_within(Partition *partition, Leaf *leaf)
{
	Var		   *first = streaming_leaf_group(linitial(partition->leaves));

	first->varlevelsup = 1;
	add_condition(leaf->level->query,
				  (Node *) make_opclause(hashed_equality(INT8OID), BOOLOID, false, (Expr *) first,
										 (Expr *) streaming_leaf_group(leaf), InvalidOid, InvalidOid));
}

void
streaming_match_statements(Partition *partition, StreamingStage *stage)
{
	JoinExpr   *outer = streaming_outer_join(partition->query);
	bool	   *by_key = palloc0(sizeof(bool) * stage->nedges);
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);
		bool		within = leaf->level != linitial(partition->levels);

		by_key[foreach_current_index(lc)] =
			meets_by_key(leaf, outer ? outer->quals : leaf->level->query->jointree->quals);
		if (within && !stage->whole)
			add_group_within(partition, leaf);
	}
	if (!stage->whole)
		streaming_add_groups(partition);
	if (outer)
		outer_statements(partition, stage, by_key);
	else
		exists_statements(partition, stage, by_key);
}
