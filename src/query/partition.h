/*
 * partition.h
 *		What the files of queries over several inputs share: compile_partition.c,
 *		compile_join.c, compile_match.c, compile_recursion.c, compile_table_join.c,
 *		compile_top.c, normalize_recursion.c, partition_leaves.c, partition_keys.c,
 *		partition_sql.c, suffix.c, suffix_sql.c, unused_outputs.c.
 */
#ifndef STREAMING_PARTITION_H
#define STREAMING_PARTITION_H

#include "lib/stringinfo.h"
#include "query/compile.h"

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
	bool		by_row;			/* see streaming_is_by_row */
	bool		by_match;		/* see streaming_is_by_match */
	int			table;			/* see streaming_find_table_keys; 0: none */
	List	   *table_keys;		/* then, of Node: of it, what the keys of the leaf equal */
	List	   *table_conditions;	/* of OpExpr: by which */
	int			depth;			/* levels above the one with the leaf (fold.c) */
	int			nlevels;		/* of these, collected so far */
	Query	   *step;			/* of a WITH RECURSIVE: its recursive term; or NULL */
	StreamingRecursion *recursion;	/* ditto */
} Partition;

/* in partition_leaves.c */

/* Adds query, which is within above, those within it, and their leaves to the partition. */
extern void streaming_collect_level(Partition *partition, Query *query, Level *above);

extern RangeTblEntry *streaming_leaf_rte(Leaf *leaf);

/* The leaf that a Var at level names; its number, or -1. */
extern int	streaming_leaf_of_var(Partition *partition, Level *level, Var *var);

/* Sets what the query reads of its leaves. */
extern void streaming_find_columns(Partition *partition);

/*
 * The names of a leaf's columns, as the query has them.  Behind these are the row as a
 * whole and tableoid, if they are read.
 */
extern void streaming_leaf_name(Partition *partition, int i);

/* What is not a column of a leaf becomes one, all of them having got their names. */
extern void streaming_name_rows(Partition *partition);

/* in compile_top.c: stage->edges[0].top, which is the same as streaming_prune_rows; or NULL */
extern StreamingTop *streaming_plan_top(Partition *partition, StreamingStage *stage);

/*
 * If the rows of the result are all that is to be kept: sets edges[0].kept_keys instead of its
 * table, adds to the stage's keys, and sets recompute_sql.
 */
extern bool streaming_plan_kept_result(Partition *partition, StreamingStage *stage);

/* in unused_outputs.c */

/*
 * Columns of the subquery that is relation rti of query become NULL where query does not
 * name them and nothing else depends on them.
 */
extern void streaming_drop_unused_outputs(Query *query, int rti);

/* in partition_keys.c */

/* Sets the keys of leaves whose columns are known, or whole. */
extern void streaming_find_keys(Partition *partition);

/* An expression over one leaf as one of a relation 1, as keys are. */
extern Node *streaming_leaf_expr(Node *expr);

/* Can expr, at level, be a key?  Of which leaf, and as what; else -1. */
extern int	streaming_key_of_expr(Partition *partition, Level *level, Node *expr, Node **key);

/* Do values of both sides hash alike where the operator calls them equal? */
extern bool streaming_hashes_alike(Oid opno, Node *left, Node *right);

/* in partition_sql.c */

/*
 * "$leaf_<i>"(<names>) AS (SELECT <columns> FROM <rows>): what the query reads as its
 * leaf.  Columns that it does not read are NULL.  more: nmore columns behind those.
 */
extern void streaming_append_leaf(StringInfo buf, Leaf *leaf, int i, const char *more, int nmore,
								  const char *rows);

/* The rows of an edge that close after $1 and until $2. */
extern char *streaming_closing_rows(StreamingEdge *edge);

/*
 * The query over partitions: of those in $1, which are before their rows.  by_row: of those
 * of rows that close, and each row has its weight behind it.
 */
extern char *streaming_partition_sql(Partition *partition, StreamingStage *stage,
									 const char *query);

/* Does each level take its rows from one relation, and by partition? */
extern bool streaming_is_ordered(Partition *partition);

/*
 * Then, all partitions at once: their rows have their partition before them, and behind them
 * columns (of Var) of the leaf.
 */
extern char *streaming_ordered_sql(Partition *partition, StreamingStage *stage, List *columns);

/*
 * The query that numbers the rows of the leaf, those behind most of them no longer matter;
 * NULL: all do.
 */
extern Query *streaming_partition_behind(Partition *partition, StreamingStage *stage, int64 *most);

/* The tids of rows that no longer matter; NULL: all do. */
extern char *streaming_prune_sql(Partition *partition, StreamingStage *stage);

/*
 * Of the rows of a statement of the edge (NULL: none) those that matter among themselves;
 * all, if streaming_prune_sql is NULL.
 */
extern char *streaming_prune_rows(Partition *partition, StreamingStage *stage, const char *sql);

/* in suffix.c: sets stage->suffix if the ends of partitions are enough, and adds to its keys */
extern void streaming_plan_suffix(Partition *partition, StreamingStage *stage);

/* in suffix_sql.c: columns that follow those of the leaf, and its rows */
extern char *streaming_suffix_carried(StreamingSuffix *suffix);
extern char *streaming_suffix_rows(StreamingSuffix *suffix, StreamingEdge *edge);

/* in compile_recursion.c */

/* Of a query that is a recursion: sets it, and the keys by which its rows and leaves meet. */
extern void streaming_find_recursion(Partition *partition);

/* Then, the statements of the stage, whose leaves have got their names. */
extern void streaming_recursion_statements(Partition *partition, StreamingStage *stage);

/* in compile_join.c */

/* The outer join of two leaves that is all that FROM has; or NULL. */
extern JoinExpr *streaming_outer_join(Query *query);

/*
 * Does it compute the same whenever rows come or go?  Rows that have met none cannot be
 * handed up for good where what they could meet is taken back.
 */
extern bool streaming_is_fixed_partition(Partition *partition);

/* Has it the form of one whose rows that come can be joined with those that are kept? */
extern bool streaming_is_join(Partition *partition);

/* Are leaves whose rows only appear joined with each other, and with ordinary tables? */
extern bool streaming_joins_tables(Partition *partition);

/*
 * Is each row of the result made of one row of the first leaf, and of what it meets of the
 * others in subqueries?
 */
extern bool streaming_is_by_row(Partition *partition);

/*
 * Where a join has a bound in event time, late rows are told before they are kept.
 * Sets the compiler's leaf_times.  False: it is an outer join whose rows may always
 * meet others.
 */
extern bool streaming_bound_leaves(Partition *partition);

/* When rows of a join go. */
extern void streaming_join_closes(Partition *partition, StreamingStage *stage);

/* The statements of a join, whose leaves have got their names. */
extern void streaming_join_statements(Partition *partition, StreamingStage *stage);

/* In the statement of a join leaves have their weight and group behind their columns. */
#define STREAMING_LEAF_WEIGHTS "t.\"$count\", t.\"$group\""
extern Var *streaming_leaf_count(Leaf *leaf);
extern Var *streaming_leaf_group(Leaf *leaf);

/* Adds to the query of a join that groups of what is in FROM are equal. */
extern void streaming_add_groups(Partition *partition);

/* Adds the weight behind the columns of a query. */
extern void streaming_add_weight(Query *query, Expr *weight);

/*
 * A query over the leaves of a join.  rows: of the leaf number edge; of the others all that
 * are kept.
 */
extern char *streaming_join_sql(Partition *partition, StreamingStage *stage, int edge,
								const char *rows, Query *query);

/* Columns of a leaf as columns of its edge; others have an error. */
extern Node *streaming_edge_columns(Node *node, Leaf *leaf);

/* Joins of inner joins alone? */
extern bool streaming_only_inner(Node *jointree);

/* The query of rows that meet, with the product of the weights of the leaves in FROM. */
extern Query *streaming_weighted_matches(Partition *partition, Query *join);

/* The query of rows of a leaf of an outer join that meet none of the other, weighted. */
extern Query *streaming_without_match(Partition *partition, Query *join, int edge);

/* in compile_table_join.c */

/*
 * Where an outer join keeps the rows of what is no input, and there would be one partition, the
 * whole: sets the keys of the leaf and of that, if rows meet by equality.
 */
extern void streaming_find_table_keys(Partition *partition);

/* Then, the statements of the stage, whose leaf has got its name. */
extern void streaming_table_join_statements(Partition *partition, StreamingStage *stage);

/* in normalize_exists.c */

/*
 * Writes conditions of WHERE over inputs, such as IN, as EXISTS or NOT EXISTS, where they
 * are that, and lets relations of subqueries and outer joins have the conditions that
 * are theirs alone.
 */
extern void streaming_normalize_matches(Query *query);

/* in compile_match.c */

/*
 * Is it an outer join of two leaves, or are rows of leaves filtered by whether there are
 * rows of others?  Then what changes is known by the first row that meets another, and
 * by the last.
 */
extern bool streaming_is_by_match(Partition *partition);

/*
 * Or does it become that when parts of it are subqueries?  Then those of nested, a copy of its
 * query, have become such.
 */
extern bool streaming_nests_by_match(Partition *partition, Query *nested);

/* Adds to the edges of such a join, whose leaves have got their names, its statements. */
extern void streaming_match_statements(Partition *partition, StreamingStage *stage);

#endif							/* STREAMING_PARTITION_H */
