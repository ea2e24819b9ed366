/*
 * batch.c
 *		Runs one batch of one view: input -> stages -> sink -> checkpoint, in one
 *		transaction.
 *
 *	begin, lock the view ─▶ fix the end of the input ─▶ stage 1 ─▶ delta_1 ─▶ ...
 *		─▶ sink, change stream ─▶ checkpoint, progress ─▶ commit
 *
 * Where the view depends on a watermark, rows are late by that of the beginning
 * of the batch; when all inputs have been read the new one is known, and
 * each stage closes its groups by it before those run that read them.  A batch may
 * have no rows, and only move the watermark.
 *
 * The transaction is a real transaction block (distributed tables look at
 * IsTransactionBlock).  All that the view's query says is compiled, planned and
 * run as the view's owner, in a security-restricted operation (run_as.h), as that
 * of REFRESH MATERIALIZED VIEW is.
 *
 * Locks: a batch holds ShareUpdateExclusiveLock on the view from its beginning
 * to its commit.  Whoever makes a view that reads this one takes the same lock, who
 * resets it or changes its options a stronger one, so that none of this happens in
 * the middle of a batch, and the next batch sees it.  With it it takes, all or none at a
 * time, AccessShareLock on what it reads, so as not to deadlock with DROP.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "streaming.h"

#include "exec/view_state.h"
#include "exec/late.h"
#include "catalog/relation_locks.h"
#include "catalog/run_as.h"
#include "push/follow.h"

static double
since_ms(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

/* Adds how far an input has come to a plan; its partitions are told by the scan. */
static void
add_positions(StreamingViewState *state, int i, StreamingPlannedBatch *batch)
{
	char	  **partitions;
	char	  **positions;
	int			n = streaming_input_positions(state->inputs[i], &partitions, &positions);
	int			all = Max(batch->n + n, 1);

	batch->partitions = batch->partitions ? repalloc(batch->partitions, sizeof(char *) * all) :
		palloc(sizeof(char *) * all);
	batch->positions = batch->positions ? repalloc(batch->positions, sizeof(char *) * all) :
		palloc(sizeof(char *) * all);
	for (int k = 0; k < n; k++)
	{
		batch->partitions[batch->n] = psprintf("%u/%s", state->program->inputs[i].scan, partitions[k]);
		batch->positions[batch->n++] = positions[k];
	}
}

/* The partitions of an input in the plan, and their positions; returns how many. */
static int
planned_positions(StreamingViewState *state, int i, char **partitions, char **positions)
{
	StreamingPlannedBatch *planned = state->planned;
	char	   *prefix = psprintf("%u/", state->program->inputs[i].scan);
	int			n = 0;

	for (int k = 0; k < planned->n; k++)
	{
		if (strncmp(planned->partitions[k], prefix, strlen(prefix)) != 0)
			continue;
		partitions[n] = planned->partitions[k] + strlen(prefix);
		positions[n++] = planned->positions[k];
	}
	return n;
}

/* A batch that was tried before ends where it ended then. */
void
streaming_batch_plan_inputs(StreamingViewState *state)
{
	int			known = 0;

	for (int i = 0; state->planned && i < state->program->ninputs; i++)
	{
		char	  **partitions = palloc(sizeof(char *) * Max(state->planned->n, 1));
		char	  **positions = palloc(sizeof(char *) * Max(state->planned->n, 1));
		int			n = planned_positions(state, i, partitions, positions);

		known += n;
		if (n > 0)
			streaming_input_plan(state->inputs[i], n, partitions, positions);
	}
	if (state->planned && known < state->planned->n)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.planned_batches\" is of another stream than continuous view \"%s\" reads",
						STREAMING_INTERNAL_SCHEMA, get_rel_name(state->view)),
				 errhint("Delete the row to let the batch take what there is.")));
}

/*
 * The batch is about to call functions: writes down what it has taken in, for the
 * next attempt, should there be one.  The first batch of a view over a view takes
 * what that one shows, which nobody can bring back.
 */
static void
plan_batch(StreamingViewState *state)
{
	StreamingPlannedBatch batch = {
		.batch_id = state->progress.batch_id + 1,
		.watermark = state->progress.watermark,
	};

	if (!streaming_view_calls_functions(state) || state->planned ||
		(batch.batch_id == 1 && streaming_view_loads_inputs(state)))
		return;
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (state->has_input[i])
			add_positions(state, i, &batch);
	}
	streaming_planned_batch_write(state->view, &batch);
	streaming_stop_point("batch_planned");
}

static void
write_sink(StreamingViewState *state, StreamingDelta *writes, StreamingBatchResult *result)
{
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	state->sink->view = state->view;
	state->sink->batch_id = state->progress.batch_id + 1;
	state->sink->routine->write(state->sink, writes);
	result->write_ms = since_ms(start);
}

/* Do the rows of the last stage go to the sink without being collected? */
static bool
sink_takes_rows(StreamingViewState *state)
{
	return state->sink && state->sink->routine->begin_take &&
		state->program->output_mode == STREAMING_OUTPUT_APPEND &&
		streaming_last_stage(state->program)->kind == STREAMING_STAGE_APPEND &&
		state->sink->routine->begin_take(state->sink);
}

/*
 * What the first stage is to take the size of its input for.  Parallel workers
 * are worth their while if what they hand up is little, and a hash table of groups
 * if they are few, of which the planner knows nothing.  So looks at what the first
 * rows come to; less than a twentieth of a batch is thus read twice.
 */
static StreamingSize
input_size(StreamingViewState *state, StreamingStageExec *exec, StreamingEdgeExec *edge)
{
	StreamingInput *input = state->inputs[edge->edge->input];
	StreamingSize size = streaming_input_size(input);
	int64		groups;
	int64		rows;

	if (size != STREAMING_SIZE_BULK || !streaming_statement_is_parallel(&edge->statement))
		return size;
	streaming_input_begin_sample(input);
	edge->statement.size = STREAMING_SIZE_MANY;
	groups = streaming_statement_run(&edge->statement, NULL, NULL, true, NULL);
	size = streaming_input_end_sample(input, &groups, &rows);
	streaming_stage_expect(exec, rows, groups);
	return size;
}

/* Where to write how many rows have come of a table or view that is loaded; or NULL. */
static pg_atomic_uint64 *
show_load(StreamingViewState *state, StreamingStageExec *exec, int input)
{
	/* of groups the first stage sees only what they come to */
	bool		counted = exec->stage->kind != STREAMING_STAGE_COMBINE;
	pg_atomic_uint64 *rows = streaming_input_show_load(state->inputs[input], counted);

	return counted ? rows : NULL;
}

/* What the inputs of a stage that are the program's are like. */
static void
prepare_edges(StreamingViewState *state, StreamingStageExec *exec)
{
	for (int i = 0; i < exec->stage->nedges; i++)
	{
		StreamingEdgeExec *edge = &exec->edges[i];

		if (edge->edge->input < 0)
			continue;
		edge->initial_load = exec->first && state->program->inputs[edge->edge->input].is_loaded;
		edge->loaded = NULL;
		if (edge->initial_load)
			edge->loaded = show_load(state, exec, edge->edge->input);
		edge->input_size = input_size(state, exec, edge);
	}
}

/* All inputs have been read: the watermark that follows is known. */
static void
end_input(StreamingViewState *state, bool input)
{
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (state->has_input[i])
			streaming_input_finish(state->inputs[i]);
	}
	state->progress.watermark = state->planned ? state->planned->watermark :
		streaming_view_watermark(state, input);
}

/* Stage i is complete: adds its rows to its totals.  deltas: of those below. */
static void
count_stage(StreamingViewState *state, int i, StreamingDelta **deltas)
{
	StreamingStageExec *exec = state->stages[i];
	StreamingStageTotals *totals = &state->progress.stages[i];

	if (i >= state->progress.nstages)
		return;
	for (int k = 0; k < exec->stage->nedges; k++)
	{
		if (exec->stage->edges[k].stage)
			totals->input_rows += deltas[exec->stage->edges[k].stage - 1]->nrows;
	}
	totals->output_rows += exec->stage->last ? exec->output_rows : exec->changes->nrows;
	totals->state_rows += exec->rows_added;
}

/* Stage i has been run, or gone on, since start. */
static void
count_time(StreamingViewState *state, int i, instr_time start)
{
	if (i < state->progress.nstages)
		state->progress.stages[i].ms += since_ms(start);
}

/* So many rows of an input have been read, by each edge that reads it. */
static void
count_input(StreamingViewState *state, int input, int64 rows)
{
	for (int i = 0; i < state->progress.nstages; i++)
	{
		StreamingStage *stage = &state->program->stages[i];

		for (int k = 0; k < stage->nedges; k++)
		{
			if (stage->edges[k].stage == 0 && stage->edges[k].input == input)
				state->progress.stages[i].input_rows += rows;
		}
	}
}

/* Its temporary files would be missed at the commit. */
static void
end_delta(StreamingDelta *delta)
{
	if (delta)
		tuplestore_end(delta->store);
}

/* Makes a stage ready to run: what its inputs are like, and who is to have its rows. */
static void
begin_stage(StreamingViewState *state, StreamingStageExec *exec)
{
	StreamingProgram *program = state->program;
	bool		last = exec->stage->last;

	exec->first = state->progress.batch_id == 0;
	exec->watermark = state->progress.watermark;
	prepare_edges(state, exec);
	exec->changes = exec->writes = NULL;
	exec->takes = NULL;
	if (!last)
		exec->changes = streaming_delta_make(exec, psprintf("delta_%d", exec->stage->number));
	else if (OidIsValid(state->change_stream))
		exec->changes = streaming_delta_make(exec, "changes");
	if (last && sink_takes_rows(state))
		exec->takes = state->sink;
	else if (last && state->sink && program->output_mode != STREAMING_OUTPUT_COMPLETE)
		exec->writes = streaming_delta_make(exec, "changes");
	streaming_stage_begin(exec);
}

/* Closes the groups of a stage that has run: its output is complete. */
static void
finish_stage(StreamingViewState *state, StreamingStageExec *exec, StreamingDelta **deltas,
			 StreamingBatchResult *result)
{
	streaming_stage_finish(exec, state->closed, state->progress.watermark);
	result->merge_ms += INSTR_TIME_GET_MILLISEC(exec->merge_time);
	if (exec->table)
		state->progress.state_rows += exec->table->rows_added;
	count_stage(state, exec->stage->number - 1, deltas);
	deltas[exec->stage->number - 1] = exec->changes;
}

/* What the last stage has handed up goes where it is to go. */
static void
hand_out(StreamingViewState *state, StreamingStageExec *exec, StreamingBatchResult *result)
{
	result->output_rows = exec->output_rows;
	if (exec->takes)
		state->sink->routine->end_take(state->sink);
	else if (state->sink)
	{
		plan_batch(state);
		write_sink(state, exec->writes, result);
	}
	if (exec->first && state->program->sink.kind == STREAMING_SINK_MEMORY)
		streaming_memory_mark(state->program->id, state->progress.batch_id + 1);
	if (exec->changes && exec->changes->nrows > 0)
		streaming_write_changes(state->change_stream, &state->write_changes, exec->changes);
	end_delta(exec->writes);
}

/*
 * Runs the stages.  First, in their order, those that need not wait for groups to
 * close, and of the others what reads inputs; then, with the new watermark, what is
 * left.  input: the batch has some.
 */
static void
run_stages(StreamingViewState *state, bool input, StreamingBatchResult *result)
{
	StreamingProgram *program = state->program;
	int			n = program->nstages;
	StreamingDelta **deltas = palloc0(sizeof(StreamingDelta *) * n);
	bool	   *ran = palloc0(sizeof(bool) * n);
	bool	   *finished = palloc0(sizeof(bool) * n);

	streaming_late_begin(state->progress.watermark);
	for (int i = 0; i < n; i++)
	{
		StreamingStageExec *exec = state->stages[i];
		instr_time	start;

		INSTR_TIME_SET_CURRENT(start);
		begin_stage(state, exec);
		ran[i] = streaming_stage_run(exec, deltas);
		if (ran[i] && exec->stage->closes == NULL && !exec->stage->evicts_rows &&
			!exec->stage->last)
		{
			finish_stage(state, exec, deltas, result);
			finished[i] = true;
		}
		else if (ran[i] && !exec->stage->emits_closed)
			deltas[i] = exec->changes;
		count_time(state, i, start);
	}
	end_input(state, input);
	for (int i = 0; i < n; i++)
	{
		StreamingStageExec *exec = state->stages[i];
		instr_time	start;

		if (finished[i])
			continue;
		INSTR_TIME_SET_CURRENT(start);
		if (!ran[i] && !streaming_stage_run(exec, deltas))
			elog(ERROR, "stage %d has not got its input", i + 1);
		finish_stage(state, exec, deltas, result);
		count_time(state, i, start);
	}
	state->progress.late_rows += streaming_late_end();
	for (int i = 0; i < n; i++)
		state->progress.unknown_keys += state->stages[i]->unknown_keys;
	hand_out(state, state->stages[n - 1], result);
	for (int i = 0; i < n; i++)
		end_delta(deltas[i]);
}

/*
 * The executor asks for the right to read a stream.  Of a view or a table it reads the
 * changes, a part that the right to read the whole stands for.
 */
static void
check_upstreams(StreamingViewState *state)
{
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (state->program->inputs[i].is_loaded)
			streaming_follow_check_reader(state->program->inputs[i].relid, GetUserId());
	}
}

/* run_stages as the view's owner, connected to SPI. */
static void
run_as_owner(StreamingViewState *state, bool input, StreamingBatchResult *result)
{
	StreamingRunAs saved;

	streaming_run_as_begin(&saved, state->definition->owner, state->definition->settings);
	check_upstreams(state);
	SPI_connect();
	run_stages(state, input, result);
	SPI_finish();
	streaming_run_as_end(&saved);
}

void
streaming_batch_begin(void)
{
	StartTransactionCommand();
	BeginTransactionBlock();
	CommitTransactionCommand();
	StartTransactionCommand();
}

double
streaming_batch_commit(bool wait)
{
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	if (!wait)
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	EndTransactionBlock(false);
	CommitTransactionCommand();
	streaming_stop_point("batch_committed");
	return since_ms(start);
}

bool
streaming_view_is_derived(StreamingViewState *state)
{
	return state->valid && state->program && state->sink == NULL && state->planned == NULL;
}

bool
streaming_view_may_share(StreamingViewState *state)
{
	if (!streaming_view_is_derived(state))
		return false;
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (!streaming_input_is_short(state->inputs[i]))
			return false;
	}
	return true;
}

/* Rows a second of a view that catches up; 0: no limit. */
static int64
catch_up_rate(StreamingViewState *state)
{
	return state->definition->catch_up_rate > 0 ? state->definition->catch_up_rate :
		streaming_catch_up_rate;
}

/*
 * Rows that a batch takes at most, 0: all there are.  What goes to a stream is
 * delivered while the next batch runs, so batches are kept short; so they are where a
 * second has only so many rows.
 */
static int64
batch_limit(StreamingViewState *state)
{
	Oid			sink = state->program->sink.relid;
	int64		limit = state->definition->max_rows;
	int64		rate = catch_up_rate(state);

	if (limit == 0 && OidIsValid(sink) && get_rel_relkind(sink) == RELKIND_FOREIGN_TABLE &&
		state->program->output_mode != STREAMING_OUTPUT_COMPLETE)
		limit = streaming_batch_rows;
	if (rate > 0)
		limit = Min(rate, limit > 0 ? limit : streaming_batch_rows);
	return limit;
}

int64
streaming_view_pause(StreamingViewState *state, const StreamingBatchResult *result)
{
	int64		rate = state->valid && state->program ? catch_up_rate(state) : 0;

	if (rate == 0 || !result->more)
		return 0;
	return state->limited_rows * 1000 / rate;
}

/* Is an input part of the batch?  One that was planned has what it had. */
static bool
takes_input(StreamingViewState *state, int i)
{
	char	  **space;

	if (state->planned == NULL)
		return true;
	space = palloc(sizeof(char *) * Max(state->planned->n, 1) * 2);
	return planned_positions(state, i, space, space + state->planned->n) > 0;
}

/* Fixes the ends of the batch; false: no input has anything. */
static bool
begin_inputs(StreamingViewState *state)
{
	bool		some = false;

	for (int i = 0; i < state->program->ninputs; i++)
	{
		state->has_input[i] = takes_input(state, i) &&
			streaming_input_begin(state->inputs[i], batch_limit(state),
								  state->definition->max_files);
		some |= state->has_input[i];
	}
	return some;
}

/* The inputs that have nothing are read as well. */
static void
begin_empty_inputs(StreamingViewState *state)
{
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (!state->has_input[i])
			streaming_input_begin_empty(state->inputs[i]);
	}
}

/* Writes down how far the batch has come. */
static void
end_inputs(StreamingViewState *state, StreamingBatchResult *result)
{
	state->limited_rows = 0;
	for (int i = 0; i < state->program->ninputs; i++)
	{
		StreamingInput *input = state->inputs[i];
		bool		more = false;

		if (state->has_input[i])
		{
			int64		rows = streaming_input_end(input, &more);

			result->input_rows += rows;
			if (!streaming_input_is_pushed(input))
				state->limited_rows += rows;
			count_input(state, i, rows);
			streaming_input_checkpoint(input, state->progress.batch_id + 1);
			result->more |= more;
			continue;
		}
		if (state->progress.batch_id == 0 && state->program->inputs[i].is_loaded)
			streaming_input_checkpoint_empty(input, 1);
		streaming_input_end_empty(input);
	}
	if (result->input_rows > 0)
		streaming_stage_expect(state->stages[0], result->input_rows, state->stages[0]->ngroups);
}

/*
 * A first batch reads tables that are followed with its snapshot: their partitions stay as
 * they are from before it.
 */
static void
lock_partitions(StreamingViewState *state)
{
	for (int i = 0; state->progress.batch_id == 0 && i < state->program->ninputs; i++)
	{
		if (state->program->inputs[i].is_table)
			(void) streaming_follow_members(state->program->inputs[i].relid, AccessShareLock);
	}
}

bool
streaming_batch_run(StreamingViewState *state, bool drained, bool beside,
					StreamingBatchResult *result)
{
	instr_time	start;
	double		read_and_merge;
	bool		input;
	List	   *locks = state->locks ? state->locks : list_make1_oid(state->view);

	memset(result, 0, sizeof(*result));
	INSTR_TIME_SET_CURRENT(start);
	result->started_at = GetCurrentTransactionStartTimestamp();
	if (!beside)
		streaming_lock_relations(locks, ShareUpdateExclusiveLock);
	else if (!streaming_try_lock_relations(locks, ShareUpdateExclusiveLock))
	{
		result->held_back = true;
		return false;
	}
	streaming_view_refresh(state);
	if (!state->definition->enabled ||
		(state->definition->trigger == STREAMING_TRIGGER_MANUAL && !drained))
	{
		result->more = true;
		return false;
	}
	/* Whoever drains it may wait for what a view above is to take after it. */
	if (!drained && streaming_view_waits_for_readers(state))
	{
		result->held_back = true;
		return false;
	}

	lock_partitions(state);
	for (int i = 0; i < state->program->ninputs; i++)
		streaming_input_prepare(state->inputs[i]);
	PushActiveSnapshot(GetTransactionSnapshot());
	input = begin_inputs(state);
	if (!input && !state->planned && !streaming_view_runs_without_input(state) &&
		streaming_view_watermark(state, false) == state->progress.watermark)
	{
		PopActiveSnapshot();
		return false;
	}
	begin_empty_inputs(state);
	run_as_owner(state, input, result);
	read_and_merge = since_ms(start);
	result->read_ms = read_and_merge - result->merge_ms - result->write_ms;
	end_inputs(state, result);
	state->progress.batch_id++;
	state->progress.input_rows += result->input_rows;
	state->progress.output_rows += result->output_rows;
	result->batch_id = state->progress.batch_id;
	streaming_progress_write(state->view, &state->progress, since_ms(start),
							 result->started_at, &state->progress_place);
	if (streaming_view_calls_functions(state))
		streaming_planned_batch_delete(state->view);
	PopActiveSnapshot();
	streaming_stop_point("batch_written");
	result->duration_ms = since_ms(start);
	result->commit_ms = result->duration_ms - read_and_merge;
	return true;
}

void
streaming_batch_committed(StreamingViewState *state, StreamingBatchResult *result,
						  double commit_ms)
{
	result->duration_ms += commit_ms;
	result->commit_ms += commit_ms;
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (state->has_input[i])
			streaming_input_committed(state->inputs[i]);
	}
	state->planned = NULL;
	state->begins_again &= result->more;
	state->closed = state->progress.watermark;
}

void
streaming_view_aborted(StreamingViewState *state)
{
	for (int i = 0; state->inputs && i < state->program->ninputs; i++)
	{
		if (state->inputs[i])
			streaming_input_aborted(state->inputs[i]);
	}
	(void) streaming_late_end();
	streaming_state_forget(state->view);
	/* the totals may have been counted up for what has not happened */
	state->valid = false;
}

void
streaming_view_vacuum(StreamingViewState *state)
{
	for (int i = 0; state->stages && i < state->program->nstages; i++)
	{
		streaming_stage_vacuum(state->stages[i]);
		streaming_stage_index(state->stages[i], !streaming_view_has_input(state));
	}
}
