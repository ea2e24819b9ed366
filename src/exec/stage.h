/*
 * stage.h
 *		A stage of a program as a worker runs it, batch after batch.
 */
#ifndef STREAMING_STAGE_H
#define STREAMING_STAGE_H

#include "exec/aggregate.h"
#include "port/atomics.h"
#include "portability/instr_time.h"
#include "sink/sink.h"
#include "state/group_key.h"
#include "state/state_table.h"
#include "base/statement.h"
#include "utils/tuplesort.h"

typedef struct StreamingWeighing StreamingWeighing;

/* One of the inputs of a stage. */
typedef struct StreamingEdgeExec
{
	/* for the life of the view in this worker */
	StreamingEdge *edge;
	StreamingStatement statement;
	StreamingStatement initial;
	StreamingStatement join;
	StreamingStatement first_match; /* these two: see edge.c */
	StreamingStatement last_match;
	StreamingStatement unmatched;	/* outer join: rows that go and have met none */
	StreamingGroupKey *weighed; /* what its rows are equal by that wait for all
								 * (weigh.c); NULL: they are merged in chunks */

	/* where its rows are kept */
	List	   *types;			/* of Oid: of the statement's columns */
	StreamingGroupKey *partition;	/* of the keys */
	StreamingGroupKey *row;		/* of the columns */
	StreamingStateKept *kept;
	TupleDesc	rows_desc;
	ExprState  *closes;			/* over the columns; NULL: rows do not go */
	struct StreamingTopExec *top;	/* which of its rows matter; NULL: all do */
	bool		forms_rows;		/* its rows wait as they are kept, of rows_desc; see edge.c */

	/* for one batch */
	bool		ran;
	bool		initial_load;	/* initial is to be run, not statement */
	pg_atomic_uint64 *loaded;	/* of that, gets how many rows have come; NULL: nobody
								 * wants to know */
	StreamingSize input_size;	/* of the stream bound */
	StreamingStateTable *table;
	StreamingDelta *rows;		/* join: what has come; see edge.c */
	bool		waits;			/* nothing is kept before all has come */
	bool		joined;			/* all has come and is in rows */
	Datum	   *values;			/* space for one of those */
	bool	   *isnull;
	TupleTableSlot *formed;		/* forms_rows: a row as it is kept */
	TupleTableSlot *waiting;	/* ditto, one that waits */
} StreamingEdgeExec;

typedef struct StreamingStageExec
{
	/* for the life of the view in this worker */
	StreamingStage *stage;
	StreamingEdgeExec *edges;
	StreamingStatement recompute;
	StreamingStatement stored;	/* partition: what the whole, or ends of partitions, were */
	TupleDesc	stored_desc;	/* ditto: a row of that */
	StreamingStatement prune;	/* partition: which rows go */
	StreamingStatement step;	/* these four: see recursion.c */
	StreamingGroupKey *meeting;
	TupleDesc	fresh_desc;
	TupleTableSlot *weighed;
	StreamingStatement first_load;	/* these two: see table_join.c */
	StreamingStatement same_hash;
	StreamingGroupKey *table_key;	/* ditto, of the key of the table */
	StreamingGroupKey *group_key;	/* of the keys */
	StreamingGroupKey *owner_key;	/* keeps_values, ordered: of those of the group above */
	StreamingGroupKey *row_key; /* recompute: of keys and arguments; partition: of
								 * the partition and the keys */
	StreamingGroupKey *output_key;	/* partition with hidden keys: of the outputs; or NULL */
	ExprContext *econtext;		/* per-tuple memory: one group */
	StreamingAggregateOps *aggs;
	TupleTableSlot *values;		/* keys and aggregates' results */
	ProjectionInfo *projection; /* values -> outputs */
	ExprState  *having;
	ExprState  *closes;			/* over values */
	TupleDesc	delta_desc;		/* outputs and "$sign" */
	List	   *result_types;	/* of Oid: recompute: of the columns of recomputed
								 * groups; partition: of rows of the result */
	StreamingStateKept *kept;	/* of the table; NULL: there is none */
	StreamingStateKept *bag_kept;
	StreamingStateKept *result_kept;	/* of the result table; NULL: there is none */
	char	   *key_index;		/* CREATE INDEX that is still to be run; or NULL */

	/* for one batch */
	bool		first;			/* the view's first */
	TimestampTz watermark;		/* that it begins with */
	StreamingEdgeExec *current;	/* whose statement is run */
	MemoryContext batch_context;
	StreamingStateTable *table; /* NULL: nothing is kept */
	StreamingStateTable *bag;
	StreamingStateTable *values_kept;	/* where the ends of values are looked up; NULL:
										 * not needed yet */
	StreamingStateTable *result;	/* of groups that have closed */
	StreamingDelta *changes;	/* all changes, signed; NULL: nobody reads them */
	StreamingDelta *writes;		/* what a sink is to write; NULL: no sink */
	StreamingSink *takes;		/* a sink that takes rows as they come; or NULL */
	MemoryContext pending_context;
	StreamingHashed *pending;	/* MinimalTuples that wait to be merged */
	int			npending;
	int			max_pending;
	bool		in_order;		/* pending rows came in the order of their hashes */
	bool		keeps_order;	/* so did those before, in this batch */
	Tuplestorestate *waiting;	/* rows that come after those; NULL: none */
	TupleTableSlot *input;		/* a pending row */
	TupleTableSlot *other;		/* another one */
	int64	   *weights;		/* of pending rows that are distinct */
	int			max_weights;
	int64		lookups;		/* that merging pending rows begins or goes on */
	StreamingWeighing *weighing;	/* rows with weights; NULL: none */
	struct StreamingSessionMerge *sessions; /* session */
	struct StreamingFold *fold; /* upsert: records that have come; NULL: none */
	bool		rewrites;		/* upsert: groups are written although they are as they were */
	StreamingDelta *touched_rows;	/* partition: see touched.c; NULL: none */
	Tuplestorestate *unweighed; /* partition with hidden keys: changes of its outputs */
	Tuplestorestate *derived;	/* recursion: outputs, weighted; NULL: none */
	StreamingDelta *fresh;		/* recursion: gets rows that are new; NULL: all are put */
	bool		recomputes;		/* recursion: a row has been taken back */
	StreamingDelta *touched_keys;	/* see table_join.c; NULL: none */
	Tuplesortstate *touched;	/* recompute, partition: hashes of groups; NULL: none */
	int64		last_touched;
	bool		touched_sorted;
	bool		brings_behind;	/* partition: its edge may have brought rows that do not matter */
	int64		ngroups;		/* rows of the statement */
	int64		output_rows;	/* rows that changed in the result */
	int64		unknown_keys;	/* upsert: records that change or delete a row that there is
								 * not */
	int64		rows_added;		/* to its tables, less those deleted */
	instr_time	merge_time;		/* spent in merging, of the stage's run */
} StreamingStageExec;

/* in stage.c */

/* Prepares a stage of view, in CurrentMemoryContext. */
extern StreamingStageExec *streaming_stage_open(Oid view, StreamingStage *stage);
extern void streaming_stage_close(StreamingStageExec *exec);

/*
 * Runs a stage over its inputs, connected to SPI, in CurrentMemoryContext which
 * lives for the batch: begin, then run until all inputs have been there.  deltas: of
 * the stages below, by their number less 1; NULL: not complete yet.  run returns false
 * if the stage waits for such.  exec->first, exec->watermark, exec->changes,
 * exec->writes, exec->takes and, of edges that read an input of the program, initial_load and
 * input_size are set by the caller.
 */
extern void streaming_stage_begin(StreamingStageExec *exec);
extern bool streaming_stage_run(StreamingStageExec *exec, StreamingDelta **deltas);

/*
 * Tells what the next run's input is like: that of the run before, if not known
 * better.  A small one tells nothing.
 */
extern void streaming_stage_expect(StreamingStageExec *exec, int64 rows, int64 groups);

/*
 * After each run, when the batch's watermark is known: closes the groups whose
 * time is above from (DT_NOBEGIN: all) and at most upto (DT_NOBEGIN: none), and
 * lets go of the tables.
 */
extern void streaming_stage_finish(StreamingStageExec *exec, TimestampTz from,
								   TimestampTz upto);

/* Closes one of its tables and counts what was added. */
extern void streaming_stage_close_table(StreamingStageExec *exec, StreamingStateTable *table);

/* Between batches, outside of a transaction: keeps the stage's tables small. */
extern void streaming_stage_vacuum(StreamingStageExec *exec);

/* in result_index.c: ditto, makes the index on the result's keys, idle: no input waits. */
extern void streaming_stage_index(StreamingStageExec *exec, bool idle);

/* in stage.c: adds a row, copied, to the end of the pending rows. */
extern void streaming_add_pending(StreamingStageExec *exec, int64 hash, TupleTableSlot *slot);

/* The same, of a tuple that lives until they are merged. */
extern void streaming_add_held(StreamingStageExec *exec, int64 hash, MinimalTuple tuple);

/* An empty delta named name for a stage's output, in CurrentMemoryContext. */
extern StreamingDelta *streaming_delta_make(StreamingStageExec *exec, const char *name);

/* in change_stream.c */

/* The statement over changes for streaming_write_changes, in CurrentMemoryContext. */
extern char *streaming_changes_sql(Oid stream, StreamingStage *last);

/* Pushes changes into the change stream of a view, connected to SPI. */
extern void streaming_write_changes(Oid stream, StreamingStatement *statement,
									StreamingDelta *changes);

/* in group.c */

/* Merges pending rows (sorted by hash) into the stage's table. */
extern void streaming_merge_pending(StreamingStageExec *exec);

/* in merge_session.c */

/* A row of the statement of a session stage waits for streaming_session_merge. */
extern void streaming_session_add(StreamingStageExec *exec, TupleTableSlot *slot);
extern void streaming_session_merge(StreamingStageExec *exec);

/* in close.c */
extern void streaming_close_edges(StreamingStageExec *exec, TimestampTz from, TimestampTz upto);
extern void streaming_close_groups(StreamingStageExec *exec, TimestampTz from,
								   TimestampTz upto);

/* in recompute.c */
extern void streaming_merge_bag(StreamingStageExec *exec);
extern void streaming_recompute_touched(StreamingStageExec *exec);
extern char *streaming_recompute_statement(StreamingStage *stage);

/* in upsert.c: a record waits for streaming_upsert_merge. */
extern void streaming_upsert_add(StreamingStageExec *exec, TupleTableSlot *slot);
extern void streaming_upsert_merge(StreamingStageExec *exec);

/* in group.c: the parts recompute.c and upsert.c build on */

/* The stored row of a key, which is in table->stored then; or NULL.  In the group's memory. */
extern TupleTableSlot *streaming_find_group(StreamingStageExec *exec, int64 hash,
											Datum *keys, bool *keys_null);
extern void streaming_stored_keys(StreamingStageExec *exec, TupleTableSlot *stored,
								  Datum *keys, bool *isnull);
extern void streaming_put_group(StreamingStageExec *exec, TupleTableSlot *stored,
								int64 hash, Datum *keys, bool *keys_null,
								Datum *states, bool *states_null);
extern void streaming_remove_group(StreamingStageExec *exec, TupleTableSlot *stored);
extern void streaming_close_group(StreamingStageExec *exec, TupleTableSlot *stored);

/*
 * Writes a group in the place of those stored in nstored tuples, which it has
 * swallowed; slot is of the table's type.  same_key: there is one, with the same
 * keys.
 */
extern void streaming_replace_groups(StreamingStageExec *exec, HeapTuple *stored, int nstored,
									 bool same_key, TupleTableSlot *slot, int64 hash,
									 Datum *keys, bool *keys_null,
									 Datum *states, bool *states_null);
extern Datum streaming_closes(StreamingStageExec *exec, Datum *keys, bool *keys_null,
							  bool *isnull);

/* in edge.c */

extern void streaming_edge_open(StreamingEdgeExec *exec, Oid view, StreamingStage *stage,
								StreamingEdge *edge);
extern void streaming_edge_close(StreamingEdgeExec *exec);

/* Opens the table of an edge for a batch. */
extern StreamingStateTable *streaming_edge_table(StreamingEdgeExec *exec);

/*
 * What rows that only appear wait by: their partition, whose rows and index entries
 * are then together.
 */
extern int64 streaming_edge_hash(StreamingEdgeExec *exec, TupleTableSlot *slot);

/*
 * Of an edge that forms_rows, around its statement.  form returns a row of the statement, of
 * that partition, as it is kept, in a slot that is valid as long as both.
 */
extern void streaming_edge_begin(StreamingStageExec *exec);
extern void streaming_edge_end(StreamingStageExec *exec);
extern TupleTableSlot *streaming_edge_form(StreamingEdgeExec *edge, TupleTableSlot *slot, int64 group);

/*
 * Lets the pending rows, sorted by hash, be distinct by their first columns, those
 * of key.  weighted: their last column is a weight, else it is 1; the sums are in
 * exec->weights.
 */
extern void streaming_collapse_pending(StreamingStageExec *exec, StreamingGroupKey *key,
									   bool weighted);

/*
 * Keeps the pending rows of the current edge, distinct if it is weighted, and
 * touches their partitions.
 */
extern void streaming_merge_edge(StreamingStageExec *exec);

/*
 * Before a statement over tables of the stage, which looks them up: it is planned anew if they
 * have grown.
 */
extern void streaming_replan(StreamingStageExec *exec, StreamingStatement *statement);

/* Keeps a row of an edge, or lets one go, by its weight.  hash: of the row; group: of its keys. */
extern void streaming_keep_row(StreamingEdgeExec *exec, int64 hash, Datum *values, bool *isnull,
							   int64 weight, int64 group);

/*
 * join: before the current edge's rows come, with each, to join them when all have come, and
 * when they have been kept.
 */
extern void streaming_join_begin(StreamingStageExec *exec);
extern void streaming_join_add(StreamingStageExec *exec, TupleTableSlot *slot);

/* The same, of the pending rows, if they are formed and have not been joined. */
extern void streaming_join_add_formed(StreamingStageExec *exec);
extern void streaming_join_run(StreamingStageExec *exec);
extern void streaming_join_end(StreamingStageExec *exec);

/* The parts match.c builds on: a row of the current edge joins with a weight. */
extern void streaming_join_add_weighted(StreamingStageExec *exec, TupleTableSlot *slot,
										int64 weight);

/* in match.c: of the current edge, whose rows wait */

/* Those that have been weighed are what joins. */
extern void streaming_match_weigh(StreamingStageExec *exec);

/* Then they are kept. */
extern void streaming_match_keep(StreamingStageExec *exec);

/* in edge.c */

/*
 * outer join: hands up the rows of an edge that close until the time given, after the
 * watermark that the batch began with, and have met none.  The tables are flushed.
 */
extern void streaming_join_unmatched(StreamingStageExec *exec, StreamingEdgeExec *edge,
									 TimestampTz upto);

/* in partition.c */

/* Rows of a partition's table that have gone, in whose places others may be written. */
typedef struct StreamingFreePlaces
{
	StreamingStatePlace *places;
	int			n;
} StreamingFreePlaces;

/* (group, keys) of a row of the table, which live as long as stored does, and how often it is there. */
extern int64 streaming_partition_read(StreamingStage *stage, TupleTableSlot *stored, Datum *values,
									  bool *isnull);

/* A row of the result, (group, keys) of that hash, comes into the table; the others go. */
extern void streaming_partition_write(StreamingStageExec *exec, StreamingFreePlaces *freed, int64 hash,
									  Datum *values, bool *isnull, int64 count);
extern void streaming_partition_free(StreamingStageExec *exec, StreamingFreePlaces *freed);

/* The result changes so often by a row of those keys; what is behind the outputs is hidden. */
extern void streaming_partition_changed(StreamingStageExec *exec, int64 weight, Datum *keys,
										bool *isnull);
extern void streaming_partition_open(StreamingStageExec *exec);
extern void streaming_compute_touched(StreamingStageExec *exec);

/* in recursion.c: a partition's stage is opened, and all rows have been kept */
extern void streaming_recursion_open(StreamingStageExec *exec);
extern void streaming_recursion_run(StreamingStageExec *exec);

/* A row of outputs and a weight has been derived; a row is weighed; (hash, outputs) are new. */
extern void streaming_recursion_derive(StreamingStageExec *exec, TupleTableSlot *slot);
extern void streaming_recursion_weigh(StreamingStageExec *exec, Datum *outputs, bool *isnull,
									  int64 weight);
extern void streaming_recursion_add(StreamingStageExec *exec, Datum *values, bool *isnull,
									int64 weight);

/*
 * in first_rows.c: merges the pending rows, all that a batch has brought and in the order of their
 * hashes, with the first rows of their partitions.
 */
extern void streaming_merge_first_rows(StreamingStageExec *exec);

/* in touched.c: a row of the edge, of that partition, is one of "$touched" */
extern void streaming_touch_row(StreamingStageExec *exec, Datum *columns, bool *nulls,
								int64 group);

/* Those rows, which begin anew; NULL: there are none. */
extern StreamingDelta *streaming_take_touched(StreamingStageExec *exec);
/*
 * Its parts: what is less than what it was, by statements that read rows, or nothing;
 * what n partitions were is weighed, and what has been weighed becomes the result.
 */
extern void streaming_partition_compute(StreamingStageExec *exec, StreamingDelta *rows);
extern void streaming_partition_stored(StreamingStageExec *exec, int64 *hashes, int n);
extern void streaming_partition_put(StreamingStageExec *exec);
extern void streaming_partition_stored_all(StreamingStageExec *exec);

/* in table_join.c: a partition's stage is opened, a row comes, and all have been kept */
extern void streaming_table_join_open(StreamingStageExec *exec);
extern void streaming_table_join_add(StreamingStageExec *exec, TupleTableSlot *slot);
extern void streaming_table_join_compute(StreamingStageExec *exec);

/* in prune.c: removes rows that no longer matter from partitions, an array of their hashes */
extern void streaming_prune(StreamingStageExec *exec, Datum partitions);

/* in partition.c: an array of them, in CurrentMemoryContext */
extern Datum streaming_int8_array(int64 *values, int n);

/* in extreme.c */

/*
 * The least or largest of a group's values; in CurrentMemoryContext.  hash: of the
 * group's keys.
 */
extern Datum streaming_extreme(StreamingStageExec *exec, StreamingAggregate *agg, int64 hash,
							   Datum *keys, bool *keys_null, bool *isnull);
extern void streaming_extreme_end(StreamingStageExec *exec);

/* in weigh.c */

/*
 * A row waits until all have come.  Rows that are equal by key, of the first columns,
 * are one.  weighted: the last column is a weight, else it is 1.
 */
extern void streaming_weigh(StreamingStageExec *exec, StreamingGroupKey *key,
							TupleTableSlot *slot, bool weighted);

/*
 * Lets the pending rows be some of those, each once and with a weight that is not 0
 * in exec->weights, in the order of their hashes, and all of a hash at a time.  (Of the
 * kind combine they are as they have come.)  False: there are no more.
 */
extern bool streaming_weigh_next(StreamingStageExec *exec);

/* A group or partition is to be computed anew. */
extern void streaming_touch_group(StreamingStageExec *exec, int64 hash);

/* The next of them in order, each once, at most max; returns how many, 0 at the end. */
extern int streaming_next_touched(StreamingStageExec *exec, int64 *hashes, int max);

/* in stage.c: slots of pending rows, of desc, for the batch */
extern void streaming_make_input(StreamingStageExec *exec, TupleDesc desc);
extern void streaming_drop_input(StreamingStageExec *exec);

/* in stage.c: a row of the output appears so often, or (less than 0) disappears */
extern void streaming_emit_weighted(StreamingStageExec *exec, int64 weight, Datum *outputs,
									bool *isnull);

/* in stage.c: one changed row of the output */
extern void streaming_emit(StreamingStageExec *exec, StreamingDelta *delta, int64 sign,
						   Datum *outputs, bool *isnull);

/* in top.c */

typedef struct StreamingTopExec StreamingTopExec;

/* Of an edge that has a top, and forms_rows, for the life of the view in this worker. */
extern StreamingTopExec *streaming_top_open(StreamingEdgeExec *edge);

/*
 * These are of exec->current, which has a top, while its statement is run: begin, then add
 * each row.  is_full: they are to be taken before more are added.  take makes those that
 * matter pending, and reset forgets them when they have been merged.
 */
extern void streaming_top_begin(StreamingStageExec *exec);
extern void streaming_top_add(StreamingStageExec *exec, TupleTableSlot *slot);
extern bool streaming_top_is_full(StreamingStageExec *exec);
extern void streaming_top_take(StreamingStageExec *exec);
extern void streaming_top_reset(StreamingStageExec *exec);

/*
 * For rows that are merged with others: how columns of the edge are compared by the order, and
 * whether they are of one partition.
 */
extern int	streaming_top_compare(StreamingTopExec *exec, Datum *a, bool *a_null, Datum *b, bool *b_null);
extern bool streaming_top_same_partition(StreamingTopExec *exec, Datum *a, bool *a_null, Datum *b,
										 bool *b_null);

#endif							/* STREAMING_STAGE_H */
