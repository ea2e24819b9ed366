/*
 * compile_table_join.c
 *		Outer joins that keep the rows of an ordinary table: of one input with what is none.
 *
 *	names LEFT JOIN a ON names.k = a.k
 *
 * All rows of the table are in the result, whether or not one of the input meets them.
 * The first batch shows them.  From then on a partition is what has one key: a row that
 * comes tells the key, by which rows of the table are looked up, with the table's own
 * indexes.
 *
 *	"$keys"(k1, ..., "$group")		keys of the rows that have come
 *	statement						the user's query, over rows of the input of these groups and
 *									rows of the table with these keys; behind its columns
 *									the group of the former, or NULL, and the key of the latter
 *
 * Of a row that none has met the key tells the partition (exec/table_join.c).  With each row of
 * the result the key of the table's row is kept: where another key has the hash of one that
 * comes, the query is run over all rows.  Where the table changes, this is seen when a row with its key comes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "query/partition.h"
#include "streaming.h"

/* The side of the outer join that is no leaf, and is kept; 0: there is none. */
static int
kept_table(Partition *partition)
{
	Query	   *query = partition->query;
	JoinExpr   *join = streaming_outer_join(query);
	Leaf	   *leaf = linitial(partition->leaves);
	int			left;
	int			right;

	if (join == NULL || list_length(partition->leaves) > 1 || list_length(partition->levels) > 1 ||
		partition->depth > 0 || query->hasSubLinks || query->setOperations ||
		query->hasWindowFuncs || query->hasDistinctOn || query->limitCount || query->limitOffset ||
		query->cteList != NIL || join->jointype == JOIN_INNER)
		return 0;
	left = ((RangeTblRef *) join->larg)->rtindex;
	right = ((RangeTblRef *) join->rarg)->rtindex;
	if (rt_fetch(left, query->rtable)->lateral || rt_fetch(right, query->rtable)->lateral)
		return 0;
	if (leaf->rti == left)
		return join->jointype == JOIN_LEFT ? 0 : right;
	return join->jointype == JOIN_RIGHT ? 0 : left;
}

/* Can a condition tell by which values of the table rows meet those of the leaf? */
static bool
find_key(Partition *partition, int table, Node *qual)
{
	OpExpr	   *op = (OpExpr *) qual;
	Leaf	   *leaf = linitial(partition->leaves);
	Relids		relids = bms_make_singleton(table);

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 ||
		list_length(leaf->keys) == STREAMING_TABLE_KEYS)
		return false;
	for (int side = 0; side < 2; side++)
	{
		Node	   *expr = list_nth(op->args, side);
		Node	   *of_table = list_nth(op->args, 1 - side);
		KeyNode    *key;
		Node	   *node;

		if (!bms_equal(pull_varnos(NULL, of_table), relids) || contain_mutable_functions(of_table) ||
			!streaming_hashes_alike(op->opno, expr, of_table) ||
			streaming_key_of_expr(partition, leaf->level, expr, &node) < 0)
			continue;
		key = palloc0(sizeof(KeyNode));
		key->expr = node;
		key->collation = op->inputcollid;
		leaf->keys = lappend(leaf->keys, key);
		partition->table_keys = lappend(partition->table_keys, of_table);
		partition->table_conditions = lappend(partition->table_conditions, op);
		return true;
	}
	return false;
}

void
streaming_find_table_keys(Partition *partition)
{
	int			table = kept_table(partition);
	ListCell   *lc;

	if (!partition->whole || table == 0)
		return;
	foreach(lc, make_ands_implicit((Expr *) streaming_outer_join(partition->query)->quals))
		(void) find_key(partition, table, lfirst(lc));
	if (partition->table_keys == NIL)
		return;
	partition->whole = false;
	partition->table = table;
}

/* ---- The statements ---- */

/*
 * There is a key among those of rows that have come.  As a condition on the table; shown: on
 * "$shown", of keys of rows of the result.
 */
static Node *
is_touched(Partition *partition, bool shown)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	SubLink    *sublink = makeNode(SubLink);
	List	   *columns = NIL;
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, partition->table_keys)
	{
		int			i = foreach_current_index(lc);
		OpExpr	   *op = copyObject(list_nth_node(OpExpr, partition->table_conditions, i));
		int			side = equal(linitial(op->args), lfirst(lc)) ? 0 : 1;
		Node	   *other = list_nth(op->args, 1 - side);

		columns = lappend(columns, makeString(psprintf("k%d", i + 1)));
		if (shown)
			lfirst(list_nth_cell(op->args, side)) =
				makeVar(1, i + 1, exprType(lfirst(lc)), exprTypmod(lfirst(lc)),
						exprCollation(lfirst(lc)), 0);
		IncrementVarSublevelsUp((Node *) list_nth(op->args, side), 1, 0);
		lfirst(list_nth_cell(op->args, 1 - side)) =
			makeVar(1, i + 1, exprType(other), exprTypmod(other), exprCollation(other), 0);
		quals = lappend(quals, op);
	}
	streaming_name_relation(rte, "$keys", columns);
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), (Node *) make_ands_explicit(quals));
	sublink->subLinkType = EXISTS_SUBLINK;
	sublink->subselect = (Node *) query;
	sublink->location = -1;
	return (Node *) sublink;
}

/* touched: the rows of the keys in "$keys", else all. */
static char *
table_join_sql(Partition *partition, StreamingStage *stage, Query *join, bool touched)
{
	Query	   *query = copyObject(join);
	JoinExpr   *outer = streaming_outer_join(query);
	Node	  **table = ((RangeTblRef *) outer->larg)->rtindex == partition->table ?
		&outer->larg : &outer->rarg;
	StreamingEdge *edge = &stage->edges[0];
	StringInfoData buf;

	if (touched)
	{
		query->hasSubLinks = true;
		streaming_nest_filter(query, table, list_make1(is_touched(partition, false)));
	}
	initStringInfo(&buf);
	appendStringInfoString(&buf, "WITH ");
	streaming_append_leaf(&buf, linitial(partition->leaves), 0, "t.\"$group\"", 1,
						  psprintf("%s.%s t%s%s", STREAMING_INTERNAL_SCHEMA, edge->table,
								   !edge->weighted ? "" :
								   ", pg_catalog.generate_series(1::pg_catalog.int8, t.\"$count\")",
								   !touched ? "" :
								   " WHERE t.\"$group\" OPERATOR(pg_catalog.=) ANY (SELECT n.\"$group\" FROM \"$keys\" n)"));
	appendStringInfo(&buf, " %s", streaming_deparse(query));
	return buf.data;
}

/* Rows of "$shown" whose key is none of those in "$keys". */
static char *
same_hash_sql(Partition *partition)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *rtr = makeNode(RangeTblRef);
	Query	   *query = makeNode(Query);
	List	   *columns = NIL;
	List	   *quals = list_make1(make_notclause((Expr *) is_touched(partition, true)));
	ListCell   *lc;

	foreach(lc, partition->table_keys)
	{
		int			i = foreach_current_index(lc) + 1;
		NullTest   *test = makeNode(NullTest);

		columns = lappend(columns, makeString(psprintf("t%d", i)));
		test->arg = (Expr *) makeVar(1, i, exprType(lfirst(lc)), exprTypmod(lfirst(lc)),
									 exprCollation(lfirst(lc)), 0);
		test->nulltesttype = IS_NOT_NULL;
		test->location = -1;
		quals = lappend(quals, test);
	}
	streaming_name_relation(rte, "$shown", columns);
	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasSubLinks = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(rtr), (Node *) make_ands_explicit(quals));
	return streaming_deparse(query);
}

/* Rows of the result are told apart by the key of the table, too. */
static void
keep_table_keys(StreamingStage *stage)
{
	StreamingValue *keys = palloc0(sizeof(StreamingValue) * (stage->nkeys + stage->ntable_keys));

	memcpy(keys, stage->keys, sizeof(StreamingValue) * stage->nkeys);
	for (int i = 0; i < stage->ntable_keys; i++)
	{
		keys[stage->nkeys + i] = stage->table_keys[i];
		keys[stage->nkeys + i].eqop = InvalidOid;
	}
	stage->keys = keys;
	stage->nkeys += stage->ntable_keys;
}

void
streaming_table_join_statements(Partition *partition, StreamingStage *stage)
{
	Query	   *query = partition->query;
	Leaf	   *leaf = linitial(partition->leaves);
	RangeTblEntry *rte = streaming_leaf_rte(leaf);
	ListCell   *lc;

	rte->eref->colnames = lappend(rte->eref->colnames, makeString("$group"));
	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) makeVar(leaf->rti, list_length(rte->eref->colnames),
																 INT8OID, -1, InvalidOid, 0),
												list_length(query->targetList) + 1, "$group", false));
	stage->ntable_keys = list_length(partition->table_keys);
	stage->table_keys = palloc0(sizeof(StreamingValue) * stage->ntable_keys);
	foreach(lc, partition->table_keys)
	{
		int			i = foreach_current_index(lc);
		StreamingValue *key = &stage->table_keys[i];

		streaming_fill_value(key, psprintf("$k%d", i + 1), lfirst(lc));
		key->collation = stage->edges[0].keys[i].collation;
		key->eqop = lookup_type_cache(key->type, TYPECACHE_EQ_OPR)->eq_opr;
		query->targetList = lappend(query->targetList,
									makeTargetEntry(copyObject(lfirst(lc)),
													list_length(query->targetList) + 1, key->name,
													false));
	}
	keep_table_keys(stage);
	streaming_flatten_joins(query);
	stage->same_hash_sql = same_hash_sql(partition);
	stage->first_sql = table_join_sql(partition, stage, query, false);
	stage->recompute_sql = table_join_sql(partition, stage, query, true);
}
