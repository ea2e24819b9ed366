/*
 * program.h
 *		A compiled continuous query: the stages that rows pass through.
 *
 *	stream ──▶ [stage 1] ──delta_1──┐
 *	view ─────▶ [stage 2] ──delta_2──┴─▶ [stage 3] ──▶ ... ──▶ sink
 *
 * A stage has one or more inputs, its edges: streams, changes of views, and stages
 * below.  Each is a SQL statement; what becomes of its rows is the stage's kind.
 * What leaves a stage is a set of rows with a weight ("$sign": above 0 for a row that
 * appears so often, below for one that disappears).  Statements of stages above read
 * them under the name delta_<n>.
 *
 * Kinds of stages:
 *
 *	append		filter, project, join: the statement's rows are the output
 *	combine		the statement computes partial aggregates of the batch, which
 *				aggcombinefn adds to the group's state
 *	multiset	filter, project, join over signed rows: the statement's distinct
 *				rows are kept with their multiplicity
 *	recompute	the statement's rows (group keys and aggregate arguments) are
 *				kept in a bag table with their multiplicity; the aggregates of
 *				the groups touched are computed anew from it
 *
 *	session		the statement computes partial aggregates by the other keys and
 *				the time; sessions that come to touch each other are combined.
 *				The session, a range, is the last key; in the statement's rows
 *				the time stands in its place
 *
 *	upsert		the statement's rows are records of a stream that say which row there is
 *				of a key from now on, or that there is none: the last one of each key is
 *				kept.  What of it is not the key stands where aggregates have states
 *	partition	the rows of all inputs are kept; the query is computed anew over the
 *				partitions that have been touched, and what they were is taken back.  To
 *				a recursion rows are added where none is taken back
 *	join		the rows of all inputs are kept; what comes to one is joined with what
 *				is kept of the others.  Where it counts whether a row meets any, those
 *				are asked that what comes is the first to meet, and what goes was the
 *				last.  In output mode append the rows of an outer join that have met none
 *				are handed up when the watermark says that they never will
 *
 * "recompute" takes any aggregate and any sign; "combine" is for aggregates that can be
 * combined, over input that only appears or, where they are taken by weights, any.
 * What an aggregate wants to know of single values, DISTINCT or the least of them, a
 * stage of its own keeps beneath it (keeps_values); see compile_weights.c.
 *
 * Event time: where an aggregation groups by a window of a stream's watermarked
 * column, each of its groups closes at some time, a function of its keys.  Once
 * the watermark has passed it, rows of the group are late: a statement
 * drops and counts them (streaming_internal.in_time).  So a closed
 * group never changes again.  In output mode append such a stage hands its
 * groups up when they close, and not before; their state goes, as it does
 * wherever it is not the result itself.
 *
 * Each stage says which of its outputs are event time (StreamingValue.event), and
 * how long after the watermark rows of it may still come.  The watermark is one for
 * the view, the least of its inputs'; so it is behind each of theirs.
 */
#ifndef STREAMING_PROGRAM_H
#define STREAMING_PROGRAM_H

#include "query/query.h"
#include "base/value.h"
#include "nodes/primnodes.h"
#include "utils/rel.h"

typedef enum StreamingStageKind
{
	STREAMING_STAGE_APPEND,
	STREAMING_STAGE_COMBINE,
	STREAMING_STAGE_MULTISET,
	STREAMING_STAGE_RECOMPUTE,
	STREAMING_STAGE_SESSION,
	STREAMING_STAGE_PARTITION,
	STREAMING_STAGE_JOIN,
	STREAMING_STAGE_UPSERT
} StreamingStageKind;

typedef struct StreamingAggregate
{
	Aggref	   *aggref;			/* as the user wrote it */
	Oid			transtype;		/* resolved */
	Oid			statetype;		/* kept as: transtype, bytea for internal;
								 * "recompute": the aggregate's result type */
	int32		statetypmod;
	Oid			combinefn;
	Oid			finalfn;		/* Invalid: the state is the result */
	Oid			serialfn;		/* transtype internal only */
	Oid			deserialfn;
	AttrNumber	attno;			/* where the state table keeps the state */
	struct StreamingStage *store;	/* min, max: the stage whose table holds the
									 * values in their order; NULL: it is combined */
	int			store_key;		/* ditto, the key that they are */
	bool		largest;		/* ditto, max */
} StreamingAggregate;

/* What a program reads. */
typedef struct StreamingProgramInput
{
	Oid			relid;			/* the stream; the view read as a stream; the ordinary
								 * table that is followed */
	bool		is_table;		/* the last */
	bool		is_loaded;		/* a view or a table: the first batch reads itself,
								 * those after it the stream of its changes */
	bool		is_signed;		/* its rows may disappear */
	Oid			scan;			/* the relation that is scanned: the stream, or the
								 * change stream of the view or table (Invalid while
								 * it does not exist yet) */
	AttrNumber	event_attno;	/* watermarked column; 0: none or of no interest */
	char	   *event_column;
	Interval   *event_delay;
	bool		followed;		/* the view's watermark is the least of such */
} StreamingProgramInput;

/* One of a stage's inputs: a statement over what is below. */
/* Of the rows that an edge brings only the first ones of each partition matter (exec/top.c). */
typedef struct StreamingTopColumn
{
	int			column;			/* of the edge, from 0 */
	Oid			eqop;
	Oid			sortop;
	bool		nulls_first;
	Oid			collation;
} StreamingTopColumn;

typedef struct StreamingTop
{
	int64		most;			/* rows of a partition */
	int			npartition;
	StreamingTopColumn *partition;
	int			norder;
	StreamingTopColumn *order;
} StreamingTop;

typedef struct StreamingEdge
{
	int			input;			/* of the program's inputs; -1: a stage is below */
	int			stage;			/* number of the stage below; 0: an input is */
	bool		is_signed;		/* rows may disappear */
	bool		weighted;		/* kept rows: how often they come is behind them */
	bool		by_panes;		/* its rows are states, several of a group */
	bool		again;			/* its late rows are counted by another edge */
	char	   *sql;			/* over the input or delta_<stage> */
	char	   *initial_sql;	/* for the first batch, over a view or table itself; or NULL */

	/*
	 * partition, join: its rows are kept.  The statement hands out the columns,
	 * and then the keys, which tell a row's partition.
	 */
	int			ncolumns;
	StreamingValue *columns;
	int			nkeys;
	StreamingValue *keys;
	StreamingTop *top;			/* partition: which of its rows matter; NULL: all do */
	char	   *table;
	TupleDesc	desc;			/* its columns, then the three: */
#define STREAMING_EDGE_COUNT(edge) ((edge)->ncolumns + 1)
#define STREAMING_EDGE_GROUP(edge) ((edge)->ncolumns + 2)
#define STREAMING_EDGE_HASH(edge) ((edge)->ncolumns + 3)
	char	   *join_sql;		/* join: over "$edge" and the rows of the others; NULL:
								 * rows that come wait until some close.  recursion: ditto, and
								 * over "$recursive" */
	bool		only_meets;		/* join_sql: a row that meets none of each other input gives
								 * nothing */
	char	   *first_match_sql;	/* join: of others, those of which the first row that they
									 * meet comes, over "$edge" before it is kept; or NULL */
	char	   *last_match_sql; /* ditto, of which the last one goes, when "$edge" has been
								 * kept */
	Expr	   *closes;			/* join, of its columns, Vars of varno 1: when a row
								 * can be joined no more and goes; NULL: never */
	AttrNumber	closes_attno;	/* then */
	int64		lag;			/* with closes: how much later, in microseconds, it goes:
								 * others that it has met are to find it; -1: never */
	int		   *kept_keys;		/* partition, without a table: what is kept of its rows are
								 * those of the result; of each column, the key of the
								 * stage that has it, from 0; or NULL */
	char	   *unmatched_sql;	/* of the rows that close after $1 and until $2: outer
								 * join: those that have met none; without join_sql:
								 * the query over each of them; or NULL */
} StreamingEdge;

/* Are rows of the edge kept, as they are or as the result that they make? */
#define streaming_keeps_rows(edge) ((edge)->table != NULL || (edge)->kept_keys != NULL)

/*
 * Are they looked up by their partition where the worker remembers (state/row_map.c)?  There is
 * no index of it then.  Others are looked up by more, or deleted by what a statement says.
 */
#define streaming_maps_partitions(stage, edge) \
	((edge)->table != NULL && (stage)->suffix == NULL && (stage)->prune_sql == NULL && \
	 !((stage)->whole && (edge)->nkeys == 0))

/* partition: ditto the rows of its result? */
#define streaming_maps_result(stage) \
	((stage)->kind == STREAMING_STAGE_PARTITION && (stage)->suffix == NULL && \
	 ((stage)->recursion ? (stage)->recursion->nkeys > 0 : !(stage)->whole))

/* partition: are rows that no longer matter not kept? */
#define streaming_keeps_first_rows(stage) \
	((stage)->prune_sql != NULL || (stage)->edges[0].kept_keys != NULL)

/* partition: what is behind the first row that comes or goes is computed anew (suffix.c). */
typedef struct StreamingSuffix
{
	int			npartition;
	int		   *columns;		/* of the edge, from 1: of the partition, and the first
								 * key of the order */
	int		   *keys;			/* of the stage, from 0: likewise */
	bool		descending;
	int64		rows_before;	/* that are read again */
	int			ncarried;
	int		   *carried;		/* keys of the stage: what is carried as a value */
	int			last_key;		/* that is largest in the last row of those before; -1:
								 * they have the same values */
	char	   *raw_sql;		/* the window functions, over "$carry" */
	int			nraw;			/* its columns */
	int			first_column;	/* that is the first key of the first row, from 1 */
	char	   *result_sql;		/* over "$raw" */
} StreamingSuffix;

/* partition: a WITH RECURSIVE that new rows are added to (compile_recursion.c). */
typedef struct StreamingRecursion
{
	bool		distinct;		/* UNION: a row is there once, however it is derived */
	char	   *step_sql;		/* the recursive term over "$recursive", rows that are new */
	int			nkeys;			/* by which rows of it meet those of inputs: */
	StreamingValue *keys;
	int		   *columns;		/* ditto: which of the outputs they are, from 0 */
	bool		scans;			/* an input of the recursive term is not looked up by them */
} StreamingRecursion;

/* The most keys by which rows of a table are looked up. */
#define STREAMING_TABLE_KEYS	8

typedef struct StreamingStage
{
	StreamingStageKind kind;
	int			number;			/* from 1; its output is delta_<number> */
	bool		signed_input;
	bool		last;

	int			nedges;
	StreamingEdge *edges;

	/* append: output of sql.  Others: its first columns, the group's keys */
	int			noutputs;
	StreamingValue *outputs;
	int			nkeys;
	StreamingValue *keys;
	bool		grouped;		/* has GROUP BY; without, there is one group,
								 * also for no input */
	int			rows_agg;		/* combine: 1 + the aggregate that counts the rows of
								 * a group, which goes with the last one; 0: groups
								 * come to stay */

	/* combine, multiset: the values of aggregates above, each once in a group */
	bool		keeps_values;
	int			nowner_keys;	/* the first keys: those of the group above */
	Bitmapset  *ordered;		/* of keys, from 0: have an index, behind the group */
	Bitmapset  *wide;			/* of those: some values may be too wide for it */

	/* combine, recompute */
	int			naggs;
	StreamingAggregate *aggs;
	List	   *output_exprs;	/* of TargetEntry: outputs over a row of keys and
								 * aggregates, Vars of varno 1 */
	Expr	   *having;			/* likewise, or NULL */

	/* event time */
	Expr	   *closes;			/* likewise, of keys: the timestamptz at which the
								 * group closes; NULL: never */
	char	   *closes_text;	/* for people; NULL: no watermark closes it */
	int64		gap;			/* session: microseconds */
	bool		emits_closed;	/* hands groups up when they close; join: rows, those
								 * of unmatched_sql */
	bool		only_appears;	/* rows of its output never disappear */
	bool		evicts;			/* rows of table go when the group closes */
	bool		evicts_rows;	/* so do rows of edges, by their own times */

	char	   *table;			/* state (and result) table, unqualified */
	int			natts;			/* of table */
	TupleDesc	table_desc;		/* ditto, the columns */
	bool		outputs_stored; /* the table holds the outputs: users read it */
	AttrNumber	hash_attno;
	AttrNumber	count_attno;	/* multiset, partition */
	AttrNumber	shown_attno;	/* with HAVING and outputs_stored, else 0 */
	AttrNumber	closes_attno;	/* evicts, session */
	char	   *result_table;	/* what users read: table, if it stores the
								 * outputs; one of its own with emits_closed; or
								 * NULL */
	TupleDesc	result_desc;	/* of one of its own; else NULL */

	/* recompute: bag of (keys, arguments) */
	char	   *bag_table;
	int			nargs;
	StreamingValue *args;
	TupleDesc	bag_desc;
	AttrNumber	bag_closes_attno;	/* if groups close */
	int			bag_natts;		/* columns: keys, arguments[, time at which the
								 * group closes], then the three: */
#define STREAMING_BAG_COUNT(stage) ((stage)->bag_natts - 2)
#define STREAMING_BAG_GROUP(stage) ((stage)->bag_natts - 1)
#define STREAMING_BAG_HASH(stage) ((stage)->bag_natts)
	char	   *recompute_sql;	/* recompute: reads "bag"; see exec/recompute.c.
								 * partition: see exec/partition.c, table_join.c */
	int		   *first_keys;		/* partition, with kept_keys: each key is that column of the
								 * edge, or -1, the number of the row in its partition: no
								 * statement needs to compute it (exec/first_rows.c); or NULL */
	char	   *prune_sql;		/* partition: of rows kept that no longer matter;
								 * see exec/prune.c; or NULL */
	AttrNumber	group_attno;	/* partition: hash of the partition; with ordered:
								 * of the group above */
	bool		whole;			/* partition: there is one, the whole input */
	StreamingSuffix *suffix;	/* partition: its end is computed; or NULL.  Keys behind
								 * the outputs are hidden */
	StreamingRecursion *recursion;	/* partition: rows are added; or NULL */
	int			ntable_keys;	/* partition: rows of a table are kept that none has met: */
	StreamingValue *table_keys; /* their key; the last columns of recompute_sql; or NULL */
	char	   *first_sql;		/* ditto of the first batch, over all keys */
	char	   *same_hash_sql;	/* ditto, of keys in "$shown" that are none in "$keys" */
} StreamingStage;

typedef struct StreamingProgram
{
	int32		id;				/* of the view */
	int			ninputs;
	StreamingProgramInput *inputs;
	char	   *order_by;		/* clause that the result is read by; or NULL */
	int			nstages;
	StreamingStage *stages;
	bool		has_watermark;	/* an input is followed */
	StreamingOutputMode output_mode;
	StreamingSinkSpec sink;
	bool		keeps_result;	/* the last stage's rows are in result_<id> */
	List	   *sink_key;		/* of int: outputs that make its key, in the order
								 * of its index */
} StreamingProgram;

/* Has each row of its output a group key of its own?  Of upsert it is the stream's key. */
#define streaming_has_groups(stage) \
	((stage)->kind == STREAMING_STAGE_COMBINE || \
	 (stage)->kind == STREAMING_STAGE_RECOMPUTE || \
	 (stage)->kind == STREAMING_STAGE_SESSION || \
	 (stage)->kind == STREAMING_STAGE_UPSERT)

#define streaming_last_stage(program) (&(program)->stages[(program)->nstages - 1])

/* in check.c: refuses what is not kept; returns the relations (of Oid) that are read */
extern List *streaming_query_check(Query *query);

/* Index of the first range table entry of query (this level) that holds an input, or 0. */
extern int	streaming_query_input(Query *query);

/* in event_time.c */

/*
 * The watermarked column of the stream; 0: there is none.  *delay and *name are
 * in CurrentMemoryContext.
 */
extern AttrNumber streaming_event_column(Oid stream, Interval **delay, char **name);

/* The time, timestamptz, at which the group of key closes. */
extern Expr *streaming_window_closes(const StreamingWindow *window, Node *key);
extern char *streaming_window_closes_text(const StreamingWindow *window, const char *key);

/*
 * Of a row of a session: a time that no watermark reaches; NULL if a session of
 * that time would not end before all timestamps do.
 */
extern Expr *streaming_session_fits(Node *time, int64 gap);

/*
 * Adds "streaming_internal.in_time(closes, must_close) IS NOT NULL" to the query's
 * WHERE.  must_close: rows of groups that never close are late, too.
 */
extern void streaming_add_in_time(Query *query, Expr *closes, bool must_close);

/*
 * GROUP BY streaming.hop(...) of the select list: moves the function into FROM.
 * query is modified.
 */
extern void streaming_lift_hops(Query *query);

/*
 * in compile.c: query is not modified; result in CurrentMemoryContext.  tables (of
 * Oid): those that are followed.  No code of users is run; what there is of code, and
 * the sink, is the owner's matter (run_as.h).
 */
extern StreamingProgram *streaming_compile(Query *query, Oid owner, int32 id, List *tables,
										   const StreamingSinkSpec *sink, int mode);

/*
 * in layout.c: what our tables and statements call the column attno of a view.  Tables
 * have system columns, and ours have columns "$..."; that is "$_<attno>", other names are
 * the same.
 */
extern char *streaming_column_name(const char *name, AttrNumber attno);

/* Names and columns of the tables of a program's stages. */
extern void streaming_layout(StreamingProgram *program);
extern List *streaming_layout_ddl(StreamingProgram *program);

/*
 * Have the view's tables as many columns as the program is made for?  Errors if
 * they are others, or the tables have been altered by others.
 */
extern bool streaming_layout_matches(StreamingProgram *program);

/*
 * Errors if rel is not a table that can be read and written as one of these
 * columns: names, types and collations.
 */
extern void streaming_layout_check(Relation rel, TupleDesc expected);

/*
 * Relations (of Oid) of the composite types of the program's values: ALTER TYPE
 * changes what they are.
 */
extern List *streaming_layout_row_types(StreamingProgram *program);

extern char *streaming_layout_view_query(StreamingProgram *program);

/*
 * SELECT <outputs> FROM result_<id>; the program keeps its result.  for_users: under
 * their names for them.
 */
extern char *streaming_layout_result_query(StreamingProgram *program, bool for_users);

/* CREATE TEMPORARY TABLE name with the outputs, whose rows go at each commit */
extern char *streaming_layout_temporary_ddl(StreamingProgram *program, const char *name);

extern char *streaming_change_stream_ddl(StreamingView *upstream);
extern char *streaming_change_stream_name(int32 id);
extern char *streaming_memory_table(int32 id);

/* in suffix_sql.c: over "$touched", the table's layout being known: what is, and what was */
extern char *streaming_suffix_sql(StreamingStage *stage);
extern char *streaming_suffix_stored_sql(StreamingStage *stage);

/*
 * in compile_recursion.c, ditto: a statement of a recursion with what is "$recursive" to it:
 * all of its rows, or fresh ones, in "$edge"
 */
extern char *streaming_recursion_sql(StreamingStage *stage, const char *sql, bool fresh);

/* in bounds.c: for people */
extern const char *streaming_stage_kind_name(StreamingStageKind kind);

/* What an edge reads: "stage <n>", or a relation's name. */
extern char *streaming_edge_source(StreamingProgram *program, StreamingEdge *edge);

/* What the time that a batch takes grows with, and what the rows of state do. */
extern const char *streaming_stage_cost(StreamingStage *stage);
extern char *streaming_stage_bound(StreamingProgram *program, StreamingStage *stage);

/* Does a stage keep rows of a stream that nothing bounds?  Which, and what would. */
extern bool streaming_program_grows(StreamingProgram *program, char **detail, char **hint);

#endif							/* STREAMING_PROGRAM_H */
