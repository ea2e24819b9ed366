/*
 * compile.h
 *		What the files of the compiler share: compile.c, compile_*.c, event_time.c,
 *		mutable.c, session.c; partition.h has what is theirs of compile_partition.c.
 */
#ifndef STREAMING_COMPILE_H
#define STREAMING_COMPILE_H

#include "nodes/pathnodes.h"
#include "query/program.h"

#define STREAMING_SIGN_NAME "$sign"

/* Event time of an input of a join. */
typedef struct StreamingLeafTime
{
	RangeTblEntry *rte;			/* in the query of the join */
	Query	   *query;			/* reads it as a relation 1 */
	bool		nullable;		/* an outer join may fill it with NULLs */
	bool		preserved;		/* what its rows have met is asked when they close */

	/* as of a relation 1 */
	List	   *late;			/* of Expr: at the first of these times its rows are late */
	List	   *closes;			/* of Expr: at the first of these they go */
	List	   *exprs;			/* those that are event time in the output, and */
	List	   *windows;		/* of StreamingWindow: what they are */
	int64		lag;			/* with closes: StreamingEdge.lag */
} StreamingLeafTime;

typedef struct StreamingCompiler
{
	StreamingProgram *program;
	int			mode;			/* asked for, or -1 */
	List	   *done;			/* of Query: subqueries that are stages */
	List	   *done_stages;	/* of int: their numbers */
	StreamingLeafTime *leaf_times;	/* of the join that is compiled; or NULL */
	int			nleaf_times;
	bool		unbounded_outer;	/* an outer join has no bound in event time */
	int			max_stages;
} StreamingCompiler;

/*
 * A subquery that has become a stage stands in the query as a relation that is
 * known by name only; its number is in relid.
 */
#define STREAMING_RELKIND_DELTA	'd'
#define streaming_is_delta(rte) \
	((rte)->rtekind == RTE_CTE && (rte)->relkind == STREAMING_RELKIND_DELTA)

/* Ditto an ordinary table that is followed, in a query that is being compiled. */
#define STREAMING_RELKIND_FOLLOWED	'F'
#define streaming_is_followed(rte) \
	((rte)->rtekind == RTE_RELATION && (rte)->relkind == STREAMING_RELKIND_FOLLOWED)

/* in followed.c: marks those of tables (of Oid) in query */
extern void streaming_mark_followed(Query *query, List *tables);

/* Ditto a stream whose rows its records change. */
#define STREAMING_RELKIND_CHANGING	'C'
#define streaming_is_changing(rte) \
	((rte)->rtekind == RTE_RELATION && (rte)->relkind == STREAMING_RELKIND_CHANGING)

/* in compile_changes.c */

/* Marks such streams in query; and makes them subqueries that have their rows. */
extern void streaming_mark_changing(Query *query);
extern void streaming_wrap_changing(Query *query);

/* Is query such a subquery? */
extern bool streaming_reads_changes(Query *query);

/*
 * query as one that reads such a stream itself, if it does nothing but to filter and
 * project its rows, always in the same way; or NULL.
 */
extern Query *streaming_pull_changes(Query *query);

/* The stage of such a query. */
extern StreamingStage *streaming_compile_changes(StreamingCompiler *compiler, Query *query);

/* in check.c */

/* Is relid a stream or a continuous view? */
extern bool streaming_is_input(Oid relid);

/* Is a relation of a query one of these, or a table that is followed? */
extern bool streaming_rte_is_input(RangeTblEntry *rte);

/* Is there one below node, a query or an expression, or behind rte? */
extern bool streaming_contains_input(Node *node);

/* An error if there is none in query. */
extern void streaming_require_input(Query *query);
extern bool streaming_rte_contains_input(RangeTblEntry *rte);

/* Is there a sublink (EXISTS, IN, scalar) over an input in an expression? */
extern bool streaming_has_sublink_input(Node *node, void *context);

/* Does it name columns of queries around it? */
extern bool streaming_is_correlated(Query *query);

/* FROM and WHERE have one input, whose rows they take one by one. */
extern bool streaming_has_plain_from(Query *query);

/* So has the query, and it does nothing to these rows but to aggregate them. */
extern bool streaming_is_plain(Query *query);

/* Also the subqueries on the way to that input. */
extern bool streaming_is_chain(Query *query);

/*
 * A copy of what is written out in several places.  Errors if all of them since the
 * last streaming_copies_begin are too many to be kept, which may be exponentially many.
 */
extern Node *streaming_copy(Node *node);
extern void streaming_copies_begin(void);

/* in evaluate_once.c */

/*
 * The query, or one that means the same and computes once what its WHERE and its select list
 * have in common, if that is dear.
 */
extern Query *streaming_evaluate_once(Query *query);

/* in normalize.c */

/*
 * Rewrites query, in place, such that of it and of the subqueries in FROM each
 * does one thing that keeps state: see normalize.c.
 */
extern void streaming_normalize(Query *query);

/* FROM and WHERE of query become a subquery, its only relation. */
extern void streaming_split_from(Query *query);

/*
 * lower, which has a copy of query's relations, becomes a relation of query: it
 * hands up the columns of relids that query reads, which are no longer relations of
 * query, and takes the place of the first of them.
 */
extern void streaming_raise_columns(Query *query, Query *lower, Relids relids);

/*
 * All of query becomes a subquery but ORDER BY and LIMIT; distinct: and but
 * DISTINCT.
 */
extern void streaming_split_final(Query *query, bool distinct);

/* in normalize_with.c */

/* WITH queries that nothing names are not run, and go. */
extern void streaming_drop_unused_ctes(Query *query);

/* WITH queries that are named like the relations of a stage get other names. */
extern void streaming_rename_ctes(Query *query);

/* WITH queries over streams are written where they are named. */
extern void streaming_inline_ctes(Query *query);

/* in normalize_rows.c: of a level that keeps rows, what is made of those of subqueries */
extern void streaming_normalize_rows(Query *query);

/* in normalize_order.c: aggregates over a subquery that is ordered take its rows in that order */
extern void streaming_normalize_order(Query *query);

/* in normalize_rows.c: what counts rows that are different is written otherwise, in place. */
extern void streaming_normalize_row_counts(Query *query);

/* in normalize_recursion.c */

/*
 * Does query select the rows of a WITH RECURSIVE as they are, and do rows that come to its
 * inputs but add to these?
 */
extern bool streaming_is_recursion(Query *query);

/* Such a query. */
extern Query *streaming_recursion_query(CommonTableExpr *cte);

/* Can cte, a WITH query of query, become one where it is named? */
extern bool streaming_adds_to_recursion(Query *query, CommonTableExpr *cte);

/* The recursive term of such; and which relation of that stands for the WITH query, or 0. */
extern Query *streaming_recursive_term(CommonTableExpr *cte);
extern int	streaming_recursive_relation(Query *step);

/* in compile.c */

/* Type, typmod and collation of expr; of no key and no aggregate. */
extern void streaming_fill_value(StreamingValue *value, char *name, Node *expr);

extern bool streaming_is_aggregation(Query *query);

/* Index of an equal node, or -1. */
extern int	streaming_list_position(List *list, Node *node);

/* Lets rte be printed as a relation that is known by name only. */
extern void streaming_name_relation(RangeTblEntry *rte, const char *name, List *columns);

/* A stage's output rows are its keys, told apart by their bytes. */
extern void streaming_keys_of_outputs(StreamingStage *stage);

/* Compiles a query, normalized, into a stage, and those below it. */
extern StreamingStage *streaming_compile_query(StreamingCompiler *compiler, Query *query);

/* Does what a row becomes depend on the row alone, whenever it is looked at? */
extern bool streaming_is_fixed(Query *query);

/* streaming_refuse_mutable of a query whose input is bound. */
extern void streaming_refuse_mutable_input(StreamingCompiler *compiler, Query *query);

/* The number of a new stage. */
extern StreamingStage *streaming_add_stage(StreamingCompiler *compiler);

/* The outputs of a stage are those of query. */
extern void streaming_fill_outputs(StreamingStage *stage, Query *query);

/* in compile_rows.c */

/* The columns of a stream, view, subquery or stage, as Vars of a relation 1. */
extern List *streaming_columns_of(StreamingCompiler *compiler, RangeTblEntry *rte);

/*
 * The rows of what is below have a sign behind their columns that is no part of them.  So
 * where query reads those of its relation rti as a whole, a subquery makes that a column.
 */
extern void streaming_bind_rows(StreamingCompiler *compiler, Query *query, int rti);

/* in compile_edge.c */

/* Subqueries in FROM that need a stage of their own become one. */
extern void streaming_compile_below(StreamingCompiler *compiler, Query *query);

/*
 * Lets a subquery in FROM, which is a stage, be that stage's delta; or compiles
 * it first.
 */
extern void streaming_bind_subquery(StreamingCompiler *compiler, RangeTblEntry *rte);

/* The stage below the one input of query; NULL: that is a relation. */
extern StreamingStage *streaming_stage_below(StreamingCompiler *compiler, Query *query);

/* A relation of a query that is what stage hands up. */
extern RangeTblEntry *streaming_delta_rte(StreamingStage *stage);

/* May rows of the one input of query disappear? */
extern bool streaming_input_is_signed(StreamingCompiler *compiler, Query *query);

/* Do rows of a relation only appear, as far as its form tells before it is compiled? */
extern bool streaming_only_appears(StreamingCompiler *compiler, RangeTblEntry *rte);

/*
 * The edge of a stage over the one input of query.  with_sign: the rows have their
 * sign behind them if they may disappear.
 */
extern StreamingEdge streaming_make_edge(StreamingCompiler *compiler, Query *query,
										 bool with_sign);

/*
 * Ditto of rows that are kept with their multiplicity: they are counted where that
 * saves something, and have their number behind them (weighted).
 */
extern StreamingEdge streaming_make_counted_edge(StreamingCompiler *compiler, Query *query,
												 StreamingValue *values, int nvalues);

/* Are equal values of a type the same bytes? */
extern bool streaming_is_equal_image(Oid type, Oid collation);

extern void streaming_add_edge(StreamingStage *stage, StreamingEdge edge);

extern char *streaming_deparse(Query *query);

/* in compile_aggregation.c */

/*
 * Fills agg from pg_aggregate.  Returns true if its partial results can be
 * combined; the transition state of such is what is kept.
 */
extern bool streaming_fill_aggregate(StreamingAggregate *agg, Aggref *aggref);

/* Can partial results be combined?  distinct: DISTINCT inside it counts. */
extern bool streaming_is_combinable(Aggref *aggref, bool distinct);

/* The stage of an aggregation over one input, normalized, what is below being compiled. */
extern StreamingStage *streaming_compile_aggregation(StreamingCompiler *compiler, Query *query);

/* in compile_union.c */

/* Is query a UNION ALL whose branches all have inputs, and nothing else? */
extern bool streaming_is_union_all(Query *query);

/* Then: several inputs whose rows are the output of one stage. */
extern StreamingStage *streaming_compile_union(StreamingCompiler *compiler, Query *query);

/*
 * in flatten_joins.c: after a relation below joins of query has got a column more.
 * Joins lose their names and USING, which the deparser would print.
 */
extern void streaming_flatten_joins(Query *query);

/* in fold.c */

/* Index of the relation that is all that FROM has, or 0. */
extern int	streaming_only_relation(Query *query);

/*
 * How many levels of query, its own the first, are above one with window functions,
 * DISTINCT ON or LIMIT, and can be computed with that by its partitions; 0: none.
 */
extern int	streaming_folded_levels(Query *query);

/* Does query take some of the rows of such levels, but is not computed with them? */
extern bool streaming_filters_partitions(Query *query);

/*
 * Expressions that rows must have in common to meet in a level: in all of its
 * windows, or in its DISTINCT.  Their values do not change.
 */
extern List *streaming_window_keys(Query *query);
extern List *streaming_distinct_keys(Query *query);

/*
 * query and its subqueries, depth of them, hand up a column more, that the lowest
 * one's only relation gets: where rows meet, it is the same.  Returns its number.
 */
extern AttrNumber streaming_carry_column(Query *query, int depth, const char *name, Oid type);

/*
 * SELECT n FROM <query's relation>: n numbers the rows such that query and above, the
 * level above it or NULL, do not depend on those with n > *most, nor will they when
 * more rows have come.  NULL: there are no such rows.
 */
extern Query *streaming_rows_behind(Query *query, Query *above, int64 *most);

/*
 * Then: is there a row of query, whose relation or that of its only subquery is numbered so,
 * for each with n <= *most?
 */
extern bool streaming_shows_first_rows(Query *query, int depth);

/* in nest_joins.c */

/* Relations below a node of a jointree. */
extern Relids streaming_relations_of(Node *node);

/*
 * Two inputs of a join of several become a subquery; false: there are no such.  all: also
 * those that nothing but an ordinary table may join.
 */
extern bool streaming_nest_joins(Query *query, bool all);

/*
 * An outer join beside other inputs, or a side of one with several, becomes a subquery; of
 * several conditions over inputs all but the last go into one.  False: there are no such.
 */
extern bool streaming_nest_outer(Query *query);
extern bool streaming_nest_exists(Query *query);

/* An item of query's jointree becomes a subquery that has the conditions, which go there. */
extern void streaming_nest_filter(Query *query, Node **item, List *conditions);

/* in compile_partition.c: queries whose partitions are computed anew */
extern StreamingStage *streaming_compile_partition(StreamingCompiler *compiler, Query *query);

/* in time_bound.c */

/*
 * Tells of leaves until when their rows can meet others.  conditions, of which none but
 * true counts: of rows that meet; a Var is of the leaf number varno, if there are so many.
 * preserved: of one of them at most, or of both of two.
 */
extern void streaming_bound_times(StreamingCompiler *compiler, List *conditions,
								  StreamingLeafTime *leaves, int nleaves);

/*
 * Do the conditions of query, and what it makes of rows that may be taken back, call
 * what is the same each time?  So is a time and a constant interval, since the view
 * keeps its time zone; by days it is where rows are not taken back.
 */
extern bool streaming_is_fixed_join(Query *query, bool is_signed);

/*
 * in mutable.c: errors if query calls over rows that are kept what is not the same
 * each time.  Its subqueries that are stages are names.  kept: its input's rows are;
 * else those of its groups.  mode: asked for, or -1.
 */
extern void streaming_refuse_mutable(Query *query, bool kept, int mode);

/* in session.c */

/* expr if it is a call of streaming.session, or NULL */
extern FuncExpr *streaming_session_call(Node *expr);

/* The session among the keys of GROUP BY, or NULL.  It is made the last key. */
extern FuncExpr *streaming_take_session(Query *query);

extern int64 streaming_session_gap(FuncExpr *call);

/* Errors if there is a call of streaming.session in node, but for aggregations below. */
extern void streaming_refuse_sessions(Node *node);

/* Errors if sessions are not kept here.  uncombinable: name of such an aggregate. */
extern void streaming_session_check(StreamingStage *stage, StreamingStage *below,
									const char *uncombinable);

/* in compile_weights.c */

/*
 * How the aggregates of a query are kept by weights and by their values; NULL: they
 * cannot be.  Rewrites them, and adds a stage for the values if one is needed.
 */
extern struct StreamingWeights *streaming_plan_weights(StreamingCompiler *compiler, Query *query);

/* The aggregate, 1 + its index, that counts the rows of a group; it is added to aggrefs. */
extern int	streaming_count_rows(struct StreamingWeights *weights, List **aggrefs);

/*
 * Makes the edges of stage, whose keys and event time are known, and the stage of the
 * values.  partial: SELECT keys, aggregates.
 */
extern void streaming_compile_weights(StreamingCompiler *compiler, struct StreamingWeights *weights,
									  StreamingStage *stage, Query *partial, List *aggrefs);

/* Stands in aggregates for the weight of a row, until the input is bound. */
extern Expr *streaming_weight(void);

/*
 * in compile_panes.c: query, SELECT keys, aggregates, as one that hands out states, of a
 * group one for each pane of its rows; NULL: it has no panes.
 */
extern Query *streaming_by_panes(Query *query, StreamingStage *stage);

/* in compile_bag.c */
extern void streaming_compile_recompute(StreamingCompiler *compiler, StreamingStage *stage,
										Query *query, List *keys, List *key_tles,
										List *aggrefs);

/* in ../windows.c: raises the errors that streaming.hop would raise */
extern void streaming_hop_check(const Interval *slide, const Interval *size);

/* in event_time.c */

/* The value of a constant expression of type interval; NULL: it is none. */
extern Interval *streaming_constant_interval(Node *node);

/* What window of event time an expression of query is; looks through plain columns. */
extern StreamingWindow streaming_window_of(StreamingCompiler *compiler, Query *query, Node *expr);

/* Which outputs of a stage are event time: those of query. */
extern void streaming_outputs_event_time(StreamingCompiler *compiler, StreamingStage *stage,
										 Query *query);

/* The least of times. */
extern Expr *streaming_least(List *times);

/* The view's watermark is to be behind those of inputs. */
extern void streaming_follow(StreamingCompiler *compiler, const Bitmapset *inputs);

/* Of what is in both branches of a UNION ALL. */
extern StreamingWindow streaming_window_of_both(const StreamingWindow *a, const StreamingWindow *b);

/*
 * Are late rows of an aggregation, if it is one by windows, told where the query's
 * rows are joined or made more?  Such a statement could look at a row more than once.
 */
extern bool streaming_counts_late_twice(StreamingCompiler *compiler, Query *query);

/*
 * When groups close, if one of the keys is a window of the event time: at the
 * earliest of its windows' ends.  The query gets a filter that drops the rows of
 * closed groups, if there may be some.
 */
extern void streaming_compile_event_time(StreamingCompiler *compiler, StreamingStage *stage,
										 Query *query, List *keys);

#endif							/* STREAMING_COMPILE_H */
