/*
 * compile_recursion.c
 *		WITH RECURSIVE that new rows are added to (normalize_recursion.c): its statements.
 *
 * Its stage is one of partitions, of which there is one, the whole.  The stage's table has
 * the rows of r, so the recursive term can be asked of them:
 *
 *	Join <n>	what comes to an input of the term, over all rows of r and what is kept of
 *				the other inputs; what comes to the other term, as it is
 *	Step		rows that are new in r, over all that is kept
 *
 * Where rows of r and of inputs meet by equality, both have its hash in "$group", with an
 * index.  The statements name r "$recursive".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/typcache.h"

#include "query/partition.h"
#include "streaming.h"

/* A condition of the recursive term: a column of r equals an expression over a leaf. */
typedef struct Meeting
{
	AttrNumber	column;
	Oid			type;			/* that it is compared as */
	Oid			collation;
	int			leaf;
	Node	   *expr;			/* as of a relation 1 */
} Meeting;

typedef struct MeetingSearch
{
	Partition  *partition;
	Level	   *level;			/* of the recursive term */
	List	   *meetings;
} MeetingSearch;

/* ---- Where its rows meet those of inputs ---- */

static void
add_meeting(MeetingSearch *search, OpExpr *op, Node *own, Node *other)
{
	Node	   *bare = own;
	Meeting    *meeting;
	Node	   *expr;
	int			leaf;

	while (IsA(bare, RelabelType))
		bare = (Node *) ((RelabelType *) bare)->arg;
	if (!IsA(bare, Var) || ((Var *) bare)->varlevelsup > 0 ||
		((Var *) bare)->varno != streaming_recursive_relation(search->level->query))
		return;
	leaf = streaming_key_of_expr(search->partition, search->level, other, &expr);
	if (leaf < 0 || !streaming_hashes_alike(op->opno, own, other))
		return;
	meeting = palloc(sizeof(Meeting));
	meeting->column = ((Var *) bare)->varattno;
	meeting->type = exprType(own);
	meeting->collation = op->inputcollid;
	meeting->leaf = leaf;
	meeting->expr = expr;
	search->meetings = lappend(search->meetings, meeting);
}

static void
find_meetings(MeetingSearch *search, Node *node)
{
	Node	   *quals;
	ListCell   *lc;

	if (node == NULL || IsA(node, RangeTblRef))
		return;
	if (IsA(node, JoinExpr))
	{
		find_meetings(search, ((JoinExpr *) node)->larg);
		find_meetings(search, ((JoinExpr *) node)->rarg);
		quals = ((JoinExpr *) node)->quals;
	}
	else
	{
		foreach(lc, castNode(FromExpr, node)->fromlist)
			find_meetings(search, lfirst(lc));
		quals = ((FromExpr *) node)->quals;
	}
	foreach(lc, make_ands_implicit((Expr *) quals))
	{
		OpExpr	   *op = lfirst(lc);

		if (!IsA(op, OpExpr) || list_length(op->args) != 2)
			continue;
		add_meeting(search, op, linitial(op->args), lsecond(op->args));
		add_meeting(search, op, lsecond(op->args), linitial(op->args));
	}
}

/* That of a leaf by which it meets the same column, in the same way; or NULL. */
static Meeting *
like_meeting(List *meetings, Meeting *wanted, int leaf)
{
	ListCell   *lc;

	foreach(lc, meetings)
	{
		Meeting    *meeting = lfirst(lc);

		if (meeting->leaf == leaf && meeting->column == wanted->column &&
			meeting->type == wanted->type && meeting->collation == wanted->collation)
			return meeting;
	}
	return NULL;
}

static bool
all_leaves_meet(MeetingSearch *search, Meeting *meeting)
{
	ListCell   *lc;

	foreach(lc, search->partition->leaves)
	{
		if (((Leaf *) lfirst(lc))->level == search->level &&
			like_meeting(search->meetings, meeting, foreach_current_index(lc)) == NULL)
			return false;
	}
	return true;
}

/*
 * By which columns rows are looked up: there is one way for rows of r.  Best are those by which
 * all leaves meet it, else what the first one has.
 */
static List *
choose_meetings(MeetingSearch *search)
{
	List	   *best = NIL;
	List	   *first = NIL;
	ListCell   *lc;

	foreach(lc, search->meetings)
	{
		Meeting    *meeting = lfirst(lc);

		/* of a column there may be several */
		if (meeting->leaf != ((Meeting *) linitial(search->meetings))->leaf ||
			like_meeting(search->meetings, meeting, meeting->leaf) != meeting)
			continue;
		first = lappend(first, meeting);
		if (all_leaves_meet(search, meeting))
			best = lappend(best, meeting);
	}
	return best ? best : first;
}

static KeyNode *
key_of(Meeting *meeting)
{
	KeyNode    *node = palloc0(sizeof(KeyNode));

	node->leaf = meeting->leaf;
	node->expr = meeting->expr;
	node->collation = meeting->collation;
	return node;
}

/* A leaf that does not meet r by all of the columns is read as a whole. */
static void
set_leaf_keys(MeetingSearch *search, Leaf *leaf, int number, List *chosen)
{
	List	   *keys = NIL;
	ListCell   *lc;

	foreach(lc, chosen)
	{
		Meeting    *meeting = like_meeting(search->meetings, lfirst(lc), number);

		if (meeting == NULL)
			return;
		keys = lappend(keys, key_of(meeting));
	}
	leaf->keys = keys;
}

static StreamingRecursion *
make_recursion(List *chosen, bool distinct)
{
	StreamingRecursion *recursion = palloc0(sizeof(StreamingRecursion));
	ListCell   *lc;

	recursion->distinct = distinct;
	recursion->nkeys = list_length(chosen);
	recursion->keys = palloc0(sizeof(StreamingValue) * Max(recursion->nkeys, 1));
	recursion->columns = palloc0(sizeof(int) * Max(recursion->nkeys, 1));
	foreach(lc, chosen)
	{
		Meeting    *meeting = lfirst(lc);
		StreamingValue *key = &recursion->keys[foreach_current_index(lc)];

		key->name = key->column = psprintf("k%d", foreach_current_index(lc) + 1);
		key->type = meeting->type;
		key->typmod = -1;
		key->collation = meeting->collation;
		key->eqop = lookup_type_cache(key->type, TYPECACHE_EQ_OPR)->eq_opr;
		key->key = key->aggregate = -1;
		recursion->columns[foreach_current_index(lc)] = meeting->column - 1;
	}
	return recursion;
}

void
streaming_find_recursion(Partition *partition)
{
	CommonTableExpr *cte = linitial_node(CommonTableExpr, partition->query->cteList);
	SetOperationStmt *stmt = castNode(SetOperationStmt,
									  castNode(Query, cte->ctequery)->setOperations);
	MeetingSearch search = {partition};
	List	   *chosen = NIL;
	ListCell   *lc;

	partition->step = streaming_recursive_term(cte);
	foreach(lc, partition->levels)
	{
		if (((Level *) lfirst(lc))->query == partition->step)
			search.level = lfirst(lc);
	}
	if (search.level)
		find_meetings(&search, (Node *) partition->step->jointree);
	chosen = choose_meetings(&search);
	foreach(lc, chosen ? partition->leaves : NIL)
	{
		Leaf	   *leaf = lfirst(lc);

		if (leaf->level == search.level)
			set_leaf_keys(&search, leaf, foreach_current_index(lc), chosen);
	}
	partition->recursion = make_recursion(chosen, !stmt->all);
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		partition->recursion->scans |= leaf->level == search.level && leaf->keys == NIL;
	}
}

/* ---- Statements ---- */

/* The relation that stands for r has the weight and the hash behind its columns. */
static void
name_recursion(Query *step, int ncolumns)
{
	RangeTblEntry *rte = rt_fetch(streaming_recursive_relation(step), step->rtable);
	List	   *names = NIL;

	for (int i = 0; i < ncolumns; i++)
		names = lappend(names, makeString(psprintf("c%d", i + 1)));
	names = lappend(names, makeString("$count"));
	names = lappend(names, makeString("$group"));
	streaming_name_relation(rte, "$recursive", names);
}

/* The recursive term with the weights of its rows. */
static Query *
weighted_step(Partition *partition, int rti, int ncolumns)
{
	Query	   *query = copyObject(partition->step);
	Oid			equal = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
	Expr	   *weight = (Expr *) makeVar(rti, ncolumns + 1, INT8OID, -1, InvalidOid, 0);
	ListCell   *lc;

	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		if (leaf->level->query != partition->step)
			continue;
		weight = (Expr *) makeFuncExpr(F_INT8MUL, INT8OID, list_make2(weight, streaming_leaf_count(leaf)),
									   InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
		if (leaf->keys != NIL)
			query->jointree->quals =
				make_and_qual(query->jointree->quals,
							  (Node *) make_opclause(equal, BOOLOID, false,
													 (Expr *) makeVar(rti, ncolumns + 2, INT8OID, -1, InvalidOid, 0),
													 (Expr *) streaming_leaf_group(leaf),
													 InvalidOid, InvalidOid));
	}
	/* of UNION a row is there or not */
	if (partition->recursion->distinct)
		weight = (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(1), false,
									FLOAT8PASSBYVAL);
	streaming_add_weight(query, weight);
	return query;
}

void
streaming_recursion_statements(Partition *partition, StreamingStage *stage)
{
	StreamingRecursion *recursion = stage->recursion = partition->recursion;
	int			rti = streaming_recursive_relation(partition->step);
	Query	   *step;
	ListCell   *lc;

	stage->only_appears = !stage->signed_input;
	stage->recompute_sql = streaming_partition_sql(partition, stage, streaming_deparse(partition->query));
	streaming_flatten_joins(partition->step);
	name_recursion(partition->step, stage->noutputs);
	foreach(lc, partition->leaves)
	{
		RangeTblEntry *rte = streaming_leaf_rte(lfirst(lc));

		rte->eref->colnames = lappend(rte->eref->colnames, makeString("$count"));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString("$group"));
	}
	step = weighted_step(partition, rti, stage->noutputs);
	recursion->step_sql = streaming_join_sql(partition, stage, -1, NULL, step);
	foreach(lc, partition->leaves)
	{
		Leaf	   *leaf = lfirst(lc);
		int			i = foreach_current_index(lc);
		Query	   *query = step;

		if (leaf->level->query != partition->step)
		{
			query = copyObject(leaf->level->query);
			streaming_add_weight(query, (Expr *) streaming_leaf_count(leaf));
		}
		stage->edges[i].join_sql = streaming_join_sql(partition, stage, i, "\"$edge\" t", query);
	}
}

char *
streaming_recursion_sql(StreamingStage *stage, const char *sql, bool fresh)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "WITH \"$recursive\"(");
	for (int i = 0; i < stage->noutputs; i++)
		appendStringInfo(&buf, "c%d, ", i + 1);
	appendStringInfoString(&buf, "\"$count\", \"$group\") AS NOT MATERIALIZED (SELECT ");
	for (int i = 0; i < stage->noutputs; i++)
		appendStringInfo(&buf, "t.%s, ", fresh ? psprintf("c%d", i + 1) :
						 quote_identifier(NameStr(TupleDescAttr(stage->table_desc,
																stage->keys[i].attno - 1)->attname)));
	appendStringInfoString(&buf, "t.\"$count\", t.\"$group\" FROM ");
	if (fresh)
		appendStringInfoString(&buf, "\"$edge\" t), ");
	else
		appendStringInfo(&buf, "%s.%s t), ", STREAMING_INTERNAL_SCHEMA, stage->table);
	/* of a stage with an input the statement has a WITH query for that */
	appendStringInfoString(&buf, sql + strlen("WITH "));
	return buf.data;
}
