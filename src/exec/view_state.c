/*
 * view_state.c
 *		A view as a query worker holds it: compiled, its stages and inputs opened, until
 *		something that it names changes; and whether it is to be run.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "rewrite/rewriteHandler.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "streaming.h"

#include "exec/view_state.h"
#include "exec/late.h"
#include "catalog/relation_locks.h"
#include "catalog/run_as.h"
#include "push/follow.h"
#include "sink/outbox.h"
#include "push/source_push.h"

/* The states open in this process, for invalidation. */
static List *open_states = NIL;

static void
relation_changed(Datum arg, Oid relid)
{
	ListCell   *lc;

	foreach(lc, open_states)
	{
		StreamingViewState *state = lfirst(lc);

		if (!OidIsValid(relid) || list_member_oid(state->relations, relid))
			state->valid = false;
	}
}

/* The names of schemas are part of all names. */
static void
object_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	ListCell   *lc;

	foreach(lc, open_states)
	{
		StreamingViewState *state = lfirst(lc);

		if (hashvalue == 0 || cacheid == NAMESPACEOID ||
			list_member_int(state->objects, (int) hashvalue))
			state->valid = false;
	}
}

/* Rights come from membership, too; and where rows come from is told by servers. */
static void
role_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	relation_changed((Datum) 0, InvalidOid);
}

static List *
add_object(List *objects, int cache, Oid object)
{
	return lappend_int(objects, (int) GetSysCacheHashValue1(cache, ObjectIdGetDatum(object)));
}

/*
 * Hashes in the system caches of what the definition of a view names, and of the
 * functions of its operators.
 */
static List *
named_objects(Oid definition)
{
	static const struct
	{
		Oid			class;
		int			cache;
	}			kinds[] = {
		{ProcedureRelationId, PROCOID}, {OperatorRelationId, OPEROID},
		{TypeRelationId, TYPEOID}, {CollationRelationId, COLLOID},
	};
	List	   *result = NIL;
	ListCell   *lc;

	for (int i = 0; i < lengthof(kinds); i++)
	{
		foreach(lc, streaming_catalog_named(definition, kinds[i].class))
		{
			result = add_object(result, kinds[i].cache, lfirst_oid(lc));
			if (kinds[i].cache == OPEROID)
				result = add_object(result, PROCOID, get_opcode(lfirst_oid(lc)));
		}
	}
	return result;
}

/* The same of what its aggregates call. */
static List *
add_support_functions(List *objects, StreamingProgram *program)
{
	for (int i = 0; i < program->nstages; i++)
	{
		StreamingStage *stage = &program->stages[i];

		for (int j = 0; j < stage->naggs; j++)
		{
			StreamingAggregate *agg = &stage->aggs[j];

			objects = add_object(objects, PROCOID, agg->combinefn);
			objects = add_object(objects, PROCOID, agg->finalfn);
			objects = add_object(objects, PROCOID, agg->serialfn);
			objects = add_object(objects, PROCOID, agg->deserialfn);
		}
	}
	return objects;
}

static void
close_program(StreamingViewState *state)
{
	for (int i = 0; state->inputs && i < state->program->ninputs; i++)
	{
		if (state->inputs[i])
			streaming_input_close(state->inputs[i]);
	}
	state->inputs = NULL;
	for (int i = 0; state->stages && i < state->program->nstages; i++)
	{
		if (state->stages[i])
			streaming_stage_close(state->stages[i]);
	}
	state->stages = NULL;
	if (state->sink)
		state->sink->routine->close(state->sink);
	state->sink = NULL;
	streaming_statement_free(&state->write_changes);
	state->program = NULL;
	state->planned = NULL;
	state->relations = NIL;
	state->objects = NIL;
	state->locks = NIL;
	state->valid = false;
	MemoryContextReset(state->program_context);
}

static Oid
find_change_stream(StreamingView *definition)
{
	return get_relname_relid(streaming_change_stream_name(definition->id),
							 streaming_internal_namespace());
}

/* Compiles the view's query and makes its stages and its sink ready, as its owner. */
static void
open_stages(StreamingViewState *state)
{
	StreamingView *definition = state->definition;
	Relation	rel = relation_open(definition->definition, AccessShareLock);
	StreamingProgram *program;
	StreamingRunAs saved;

	streaming_run_as_begin(&saved, definition->owner, definition->settings);
	program = streaming_compile(get_view_query(rel), definition->owner, definition->id,
								definition->tables, &definition->sink, definition->output_mode);
	relation_close(rel, NoLock);
	state->program = program;
	state->objects = add_support_functions(state->objects, program);
	if (!streaming_layout_matches(program))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("tables of continuous view \"%s\" do not fit its query any more",
						get_rel_name(state->view)),
				 errhint("Drop the view and create it again.")));
	state->stages = palloc0(sizeof(StreamingStageExec *) * program->nstages);
	for (int i = 0; i < program->nstages; i++)
		state->stages[i] = streaming_stage_open(state->view, &program->stages[i]);
	state->sink = streaming_sink_open(program);
	streaming_run_as_end(&saved);
}

bool
streaming_view_calls_functions(StreamingViewState *state)
{
	return state->sink && state->sink->routine->calls_functions;
}

/* Event times, and late rows: of sessions these are counted without a watermark, too. */
static void
track_inputs(StreamingViewState *state)
{
	StreamingProgram *program = state->program;
	bool		counts = program->has_watermark;

	for (int i = 0; i < program->nstages; i++)
		counts |= program->stages[i].kind == STREAMING_STAGE_SESSION;
	for (int i = 0; counts && i < program->ninputs; i++)
	{
		if (!program->inputs[i].is_loaded)
			streaming_input_track(state->inputs[i], program->inputs[i].followed ?
								  program->inputs[i].event_attno : 0, streaming_late_rescan);
	}
}

/*
 * Compiles the view as the catalogs describe it now.  Statements are text, so
 * what has another name by now must be known before the server plans them anew.
 * Nothing that a paused view says is run, and so it is not planned either.
 */
static void
open_program(StreamingViewState *state)
{
	MemoryContext old;

	close_program(state);
	old = MemoryContextSwitchTo(state->program_context);
	state->locks = streaming_relations_of_view(state->view);
	streaming_lock_relations(state->locks, AccessShareLock);
	/* a change that commits while the view is compiled is not missed */
	state->relations = list_make1_oid(state->view);
	state->valid = true;
	state->definition = streaming_catalog_view(state->view, false);
	state->due = STREAMING_TIME_NEVER;
	if (!state->definition->enabled)
	{
		MemoryContextSwitchTo(old);
		return;
	}
	state->relations = list_concat(state->relations,
								   streaming_catalog_named(state->definition->definition,
														   RelationRelationId));
	state->objects = named_objects(state->definition->definition);
	open_stages(state);
	state->change_stream = find_change_stream(state->definition);
	state->relations = list_concat(state->relations, streaming_layout_row_types(state->program));
	state->relations = lappend_oid(state->relations, state->definition->definition);
	if (OidIsValid(state->program->sink.relid))
		state->relations = lappend_oid(state->relations, state->program->sink.relid);
	if (OidIsValid(state->change_stream))
		state->write_changes.sql = streaming_changes_sql(state->change_stream,
														 streaming_last_stage(state->program));
	state->has_input = palloc0(sizeof(bool) * state->program->ninputs);
	state->inputs = palloc0(sizeof(StreamingInput *) * state->program->ninputs);
	for (int i = 0; i < state->program->ninputs; i++)
	{
		if (state->program->inputs[i].is_table)
			streaming_follow_check_captured(state->program->inputs[i].relid,
											state->definition->definition);
		state->relations = lappend_oid(state->relations, state->program->inputs[i].scan);
		state->inputs[i] = streaming_input_open(state->definition, state->program->inputs[i].scan);
	}
	state->progress = streaming_progress_read(state->view);
	if (state->progress.batch_id == 0)
		state->begins_again = state->progress.is_reset;
	for (int i = 0; state->begins_again && i < state->program->ninputs; i++)
		streaming_input_show_reset(state->inputs[i]);
	state->progress.nstages = Min(state->program->nstages, STREAMING_COUNTED_STAGES);
	for (int i = 0; i < state->progress.nstages; i++)
		state->progress.stages[i].kind = streaming_stage_kind_name(state->program->stages[i].kind);
	state->planned = streaming_view_calls_functions(state) ?
		streaming_planned_batch_read(state->view, state->progress.batch_id + 1) : NULL;
	streaming_batch_plan_inputs(state);
	state->closed = DT_NOBEGIN;
	state->due_timeout = streaming_idle_partition_timeout;
	track_inputs(state);
	MemoryContextSwitchTo(old);
}

StreamingViewState *
streaming_view_open(Oid view)
{
	static bool registered = false;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streaming view",
												  ALLOCSET_DEFAULT_SIZES);
	StreamingViewState *state = MemoryContextAllocZero(context, sizeof(StreamingViewState));
	MemoryContext old;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(OPEROID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(COLLOID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, role_changed, (Datum) 0);
		/* where the stream is read from, and as whom */
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, role_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, role_changed, (Datum) 0);
	}
	registered = true;
	state->view = view;
	state->context = context;
	state->program_context = AllocSetContextCreate(context, "streaming program",
												   ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(TopMemoryContext);
	open_states = lappend(open_states, state);
	MemoryContextSwitchTo(old);

	PG_TRY();
	{
		open_program(state);
	}
	PG_CATCH();
	{
		streaming_view_close(state);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return state;
}

void
streaming_view_close(StreamingViewState *state)
{
	open_states = list_delete_ptr(open_states, state);
	close_program(state);
	MemoryContextDelete(state->context);
}

void
streaming_view_forget(Oid view)
{
	streaming_state_forget(view);
}

bool
streaming_view_loads_inputs(StreamingViewState *state)
{
	StreamingProgram *program = state->program;

	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i].is_loaded)
			return true;
	}
	return false;
}

bool
streaming_view_runs_without_input(StreamingViewState *state)
{
	if (state->progress.batch_id > 0)
		return false;
	if (streaming_view_loads_inputs(state) ||
		(state->sink && state->program->output_mode == STREAMING_OUTPUT_COMPLETE))
		return true;
	for (int i = 0; i < state->program->nstages; i++)
	{
		StreamingStage *stage = &state->program->stages[i];

		if (stage->kind != STREAMING_STAGE_APPEND && stage->kind != STREAMING_STAGE_JOIN &&
			(stage->whole || stage->table_keys || !stage->grouped))
			return true;
	}
	return false;
}

bool
streaming_view_has_input(StreamingViewState *state)
{
	if (!state->valid)
		return true;
	if (state->program && (state->planned || streaming_view_runs_without_input(state)))
		return true;
	for (int i = 0; state->program && i < state->program->ninputs; i++)
	{
		if (streaming_input_available(state->inputs[i]))
			return true;
	}
	return false;
}

bool
streaming_view_is_held_back(StreamingViewState *state)
{
	return state->valid && state->program && OidIsValid(state->program->sink.relid) &&
		streaming_outbox_full(state->program->sink.relid);
}

bool
streaming_view_waits_for_readers(StreamingViewState *state)
{
	Oid			sink = state->program->sink.relid;
	StreamingSourceKind kind;

	return OidIsValid(sink) && streaming_is_stream(sink, &kind) &&
		kind == STREAMING_SOURCE_PUSH && streaming_push_must_wait(sink);
}

bool
streaming_view_is_urgent(StreamingViewState *state)
{
	for (int i = 0; state->valid && state->program && i < state->program->ninputs; i++)
	{
		if (streaming_input_is_urgent(state->inputs[i]))
			return true;
	}
	return false;
}

StreamingTime
streaming_view_due(StreamingViewState *state)
{
	if (state->program && state->program->has_watermark &&
		state->due_timeout != streaming_idle_partition_timeout)
		return 0;
	return state->due;
}

TimestampTz
streaming_view_watermark(StreamingViewState *state, bool in_batch)
{
	StreamingProgram *program = state->program;
	StreamingTime now = streaming_now();
	TimestampTz least = DT_NOEND;

	if (!program->has_watermark)
		return state->progress.watermark;
	state->due_timeout = streaming_idle_partition_timeout;
	state->due = STREAMING_TIME_NEVER;
	for (int i = 0; i < program->ninputs; i++)
	{
		StreamingTime due;
		TimestampTz time;

		if (!program->inputs[i].followed)
			continue;
		time = streaming_input_event_time(state->inputs[i], in_batch && state->has_input[i], now,
										  &due);
		least = Min(least, streaming_time_less(time, program->inputs[i].event_delay));
		state->due = Min(state->due, due);
	}
	return Max(least, state->progress.watermark);
}

void
streaming_view_refresh(StreamingViewState *state)
{
	if (state->valid && (state->program == NULL ||
						 find_change_stream(state->definition) == state->change_stream))
		return;
	/* planning may call functions that read tables */
	PushActiveSnapshot(GetTransactionSnapshot());
	open_program(state);
	PopActiveSnapshot();
}
