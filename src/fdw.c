/*
 * fdw.c
 *		Streams as foreign tables: SELECT, INSERT and COPY.
 *
 * A scan of a stream means one of two things.  In a worker that runs a batch of
 * a continuous view, it returns the rows of the batch (input.h says that a
 * reader of the stream is bound).  Everywhere else it is a batch read: all that
 * the source holds now, or the rows of a pushed stream that are still there.
 *
 * Rows come in slots of the reader's own, so that nothing is copied: the
 * executor takes whatever slot an FDW returns.  Bulk that has come into a pushed
 * stream is the one thing that is scanned in parallel.
 *
 * INSERT and COPY into a pushed stream collect rows (source_push.c) and write them
 * in blocks, so that a statement costs about what it costs on a table; where triggers
 * may look for the rows of their statement, each is written as it comes.  Into
 * another one they become messages in the outbox (sink/stream_writer.c), which
 * leave at commit.  UPDATE, DELETE and TRUNCATE are refused by PostgreSQL
 * itself, since there are no callbacks for them.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/parallel.h"
#include "access/table.h"
#include "commands/explain.h"
#if __has_include("commands/explain_state.h")	/* split from it in 18 */
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/executor.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "command/command.h"
#include "input/input_internal.h"
#include "buffer/shift_slot.h"
#include "command/import_schema.h"
#include "exec/fold.h"
#include "format/scan_condition.h"
#include "push/follow.h"
#include "sink/file_place.h"
#include "sink/outbox.h"
#include "push/source_push.h"

/* Rows of a source that nobody has counted. */
#define UNKNOWN_ROWS	100000

/*
 * Nothing is known of what a stream holds, and the default selectivity of an
 * equality is 1/200.  The plan of a batch must be good when filters let
 * many rows through: when they do not, no plan takes long.
 */
#define LEAST_SELECTIVITY	(1.0 / 3)

/* What a row costs before the plan sees it, in units of cpu_tuple_cost. */
#define BUFFERED_ROW_COST	1.0
#define DECODED_ROW_COST	20.0

/* An INSERT or COPY: one of the two. */
typedef struct StreamInsert
{
	StreamingPush *push;
	StreamingStreamWriter *writer;
	bool		at_once;		/* pushed rows are written one by one */
} StreamInsert;

/* A scan. */
typedef struct StreamScan
{
	StreamingSourceKind kind;
	MemoryContext context;		/* the query's */
	StreamingInputScan *bound;	/* of a batch, or NULL */
	AttrNumber	change_attno;	/* its rows say there what they do; 0: they do not */

	/* batch read of a source */
	StreamingStream *stream;
	StreamingSourceScan *source;
	StreamingConditions *conditions;	/* that its rows have to meet, or some of them */
	StreamingFold *fold;		/* of its records, once they have been read; or NULL */

	/* batch read of a pushed stream, or a share of a batch */
	StreamingPushShare *share;	/* NULL: no share */
	StreamingStreamShared *shared;
	StreamingPushScan push;
	bool		pushing;		/* push has begun */
	TupleTableSlot *stored;
	TupleTableSlot *slot;
} StreamScan;

PG_FUNCTION_INFO_V1(streaming_fdw_handler);

/* Planning */
static void get_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
static double estimate_rows(RelOptInfo *baserel, Oid relid);
static double pushed_rows(Oid relid);
static void get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
static ForeignScan *get_plan(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
							 ForeignPath *best_path, List *tlist, List *clauses,
							 Plan *outer_plan);
static List *read_columns(RelOptInfo *baserel, List *clauses);
static Bitmapset *needed_columns(ForeignScanState *node);
static bool is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
static void add_parallel_path(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
							  Cost startup, Cost total);

/* Scanning */
static void begin_scan(ForeignScanState *node, int eflags);
static TupleTableSlot *iterate_scan(ForeignScanState *node);
static void open_scan(ForeignScanState *node, StreamScan *state);
static void open_source(ForeignScanState *node, StreamScan *state);
static void start_source(ForeignScanState *node, StreamScan *state);
static void open_pushed(ForeignScanState *node, StreamScan *state);
static void begin_pushed(ForeignScanState *node, StreamScan *state);
static TupleTableSlot *next_source_row(StreamScan *state);
static TupleTableSlot *next_bound_row(StreamScan *state);
static TupleTableSlot *next_folded_row(StreamScan *state);
static void rescan(ForeignScanState *node);
static void end_scan(ForeignScanState *node);
static void explain_scan(ForeignScanState *node, ExplainState *es);
static Oid	scan_user(ForeignScanState *node);

/* Scanning in parallel */
static Size estimate_share(ForeignScanState *node, ParallelContext *pcxt);
static void init_share(ForeignScanState *node, ParallelContext *pcxt, void *coordinate);
static void reset_share(ForeignScanState *node, ParallelContext *pcxt, void *coordinate);
static void join_share(ForeignScanState *node, shm_toc *toc, void *coordinate);
static void shutdown_scan(ForeignScanState *node);

/* Inserting */
static int	is_updatable(Relation rel);
static List *plan_modify(PlannerInfo *root, ModifyTable *plan, Index index, int subplan);
static void begin_modify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *fdw_private,
						 int subplan, int eflags);
static void begin_insert(ModifyTableState *mtstate, ResultRelInfo *rinfo);
static TupleTableSlot *exec_insert(EState *estate, ResultRelInfo *rinfo,
								   TupleTableSlot *slot, TupleTableSlot *plan_slot);
static void end_insert(EState *estate, ResultRelInfo *rinfo);

Datum
streaming_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	routine->BeginForeignScan = begin_scan;
	routine->IterateForeignScan = iterate_scan;
	routine->ReScanForeignScan = rescan;
	routine->EndForeignScan = end_scan;
	routine->ExplainForeignScan = explain_scan;

	routine->IsForeignScanParallelSafe = is_parallel_safe;
	routine->EstimateDSMForeignScan = estimate_share;
	routine->InitializeDSMForeignScan = init_share;
	routine->ReInitializeDSMForeignScan = reset_share;
	routine->InitializeWorkerForeignScan = join_share;
	routine->ShutdownForeignScan = shutdown_scan;

	routine->IsForeignRelUpdatable = is_updatable;
	routine->PlanForeignModify = plan_modify;
	routine->BeginForeignModify = begin_modify;
	routine->ExecForeignInsert = exec_insert;
	routine->EndForeignModify = end_insert;
	routine->BeginForeignInsert = begin_insert;
	routine->EndForeignInsert = end_insert;

	routine->ImportForeignSchema = streaming_import_schema;

	PG_RETURN_POINTER(routine);
}

/* ----------
 * Planning
 * ----------
 */

static void
get_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	double		ignored;

	baserel->tuples = estimate_rows(baserel, relid);
	set_baserel_size_estimates(root, baserel);
	if (streaming_input_estimate(relid, &ignored))
		baserel->rows = Max(baserel->rows, clamp_row_est(baserel->tuples * LEAST_SELECTIVITY));
}

static double
estimate_rows(RelOptInfo *baserel, Oid relid)
{
	StreamingSourceKind kind;
	double		rows;

	if (streaming_input_estimate(relid, &rows))
		return rows;
	if (streaming_is_stream(relid, &kind) && kind == STREAMING_SOURCE_PUSH)
		return pushed_rows(relid);
	return UNKNOWN_ROWS;
}

/* As for a table that was never analyzed: by its size and its columns. */
static double
pushed_rows(Oid relid)
{
	Relation	stream = table_open(relid, NoLock);
	int32		width = get_relation_data_width(relid, NULL) + 40;
	double		rows = 0;

	for (int i = 0; i < STREAMING_PUSH_TABLES && streaming_push_is_readable(relid); i++)
	{
		Oid			table_oid = streaming_push_table(relid, i);
		Relation	table = OidIsValid(table_oid) ?
			try_table_open(table_oid, AccessShareLock) : NULL;

		if (table == NULL)
			continue;
		rows += (double) RelationGetNumberOfBlocks(table) * (BLCKSZ / width);
		table_close(table, AccessShareLock);
	}
	table_close(stream, NoLock);
	return Max(rows, 1);
}

static void
get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	StreamingSourceKind kind = STREAMING_SOURCE_PUSH;
	double		ignored;
	double		row_cost = BUFFERED_ROW_COST;
	Cost		startup = baserel->baserestrictcost.startup;
	Cost		total;
	Path	   *path;

	(void) streaming_is_stream(relid, &kind);
	if (kind != STREAMING_SOURCE_PUSH && !streaming_input_estimate(relid, &ignored))
		row_cost = DECODED_ROW_COST;
	total = startup + baserel->tuples *
		(cpu_tuple_cost * row_cost + baserel->baserestrictcost.per_tuple);
	path = (Path *)
		streaming_create_foreignscan_path(root, baserel, baserel->rows, startup, total,
										  baserel->lateral_relids);
	/* Only the leader has the reader; its workers can have shares, but not all. */
	path->parallel_safe = false;
	add_path(baserel, path);
	if (baserel->consider_parallel && bms_is_empty(baserel->lateral_relids))
		add_parallel_path(root, baserel, relid, startup, total);
}

/*
 * Bulk that comes into a pushed stream is read by several processes, if the
 * planner finds that worth while: as it does for tables.
 */
static bool
is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	StreamingInput *input = streaming_input_bound(rte->relid);

	return input && streaming_input_size(input) == STREAMING_SIZE_BULK;
}

static void
add_parallel_path(PlannerInfo *root, RelOptInfo *baserel, Oid relid, Cost startup, Cost total)
{
	int			workers = compute_parallel_worker(baserel, streaming_input_bound(relid)->pages,
												  -1, max_parallel_workers_per_gather);
	Path	   *path;

	if (workers == 0)
		return;
	/* What the leader reads between gathering is not counted on. */
	path = (Path *)
		streaming_create_foreignscan_path(root, baserel, clamp_row_est(baserel->rows / workers),
										  startup, startup + (total - startup) / workers, NULL);
	path->parallel_aware = true;
	path->parallel_workers = workers;
	add_partial_path(baserel, path);
}

static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *baserel, Oid relid, ForeignPath *best_path,
		 List *tlist, List *clauses, Plan *outer_plan)
{
	List	   *conditions = NIL;
	List	   *expressions = NIL;
	double		ignored;

	clauses = extract_actual_clauses(clauses, false);
	/* A batch has all records there are. */
	if (!streaming_input_estimate(relid, &ignored))
		conditions = streaming_conditions_find(clauses, baserel->relid, &expressions);
	return make_foreignscan(tlist, clauses, baserel->relid, expressions,
							list_make2(read_columns(baserel, clauses), conditions), NIL, NIL, outer_plan);
}

/*
 * Numbers of the columns that the query reads; 0 is the whole row.  The plan's target
 * list may have all of them, if that is all the same to the plan above.
 */
static List *
read_columns(RelOptInfo *baserel, List *clauses)
{
	Bitmapset  *attrs = NULL;
	List	   *columns = NIL;
	int			attr = -1;

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &attrs);
	pull_varattnos((Node *) clauses, baserel->relid, &attrs);
	while ((attr = bms_next_member(attrs, attr)) >= 0)
		columns = lappend_int(columns, attr + FirstLowInvalidHeapAttributeNumber);
	return columns;
}

/* As streaming_decoder_open wants them. */
static Bitmapset *
needed_columns(ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Bitmapset  *needed = bms_make_singleton(0);
	ListCell   *lc;

	foreach(lc, (List *) linitial(plan->fdw_private))
	{
		AttrNumber	attno = lfirst_int(lc);

		if (attno == InvalidAttrNumber)
			return NULL;
		if (attno > 0)
			needed = bms_add_member(needed, attno);
	}
	return needed;
}

/* ----------
 * Scanning
 * ----------
 */

/*
 * The changes of a continuous view, or of a table, are read by batches of the views
 * that read or follow it, whose owners must have the right to read that; and written by
 * its own batches (exec/change_stream.c) or triggers (follow_trigger.c) only.
 */
static bool
is_change_stream(Relation rel)
{
	return RelationGetNamespace(rel) == streaming_internal_namespace();
}

pg_noreturn static void
refuse_change_stream(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot read \"%s\"", RelationGetRelationName(rel)),
			 errdetail("It brings the changes of a relation to the continuous views that read or follow it."),
			 errhint("Query the relation instead.")));
}

/* A parallel worker is told only later whether it has a share of a batch (open_scan). */
static void
check_change_stream(ForeignScanState *node)
{
	Relation	rel = node->ss.ss_currentRelation;
	Oid			whole = streaming_internal_whole(RelationGetRelid(rel));

	if (!IsParallelWorker() && streaming_input_bound(RelationGetRelid(rel)) == NULL)
		refuse_change_stream(rel);
	if (OidIsValid(whole))
		streaming_follow_check_reader(whole, scan_user(node));
}

static void
begin_scan(ForeignScanState *node, int eflags)
{
	Oid			relid = RelationGetRelid(node->ss.ss_currentRelation);
	StreamingInput *input = streaming_input_bound(relid);
	StreamScan *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	streaming_require_loaded();
	if (is_change_stream(node->ss.ss_currentRelation))
		check_change_stream(node);
	state = palloc0(sizeof(StreamScan));
	state->context = CurrentMemoryContext;
	if (input)
		state->kind = input->stream->kind;
	else
		(void) streaming_is_stream(relid, &state->kind);
	node->fdw_state = state;
}

static TupleTableSlot *
iterate_scan(ForeignScanState *node)
{
	StreamScan  *state = node->fdw_state;

	if (state->bound == NULL && state->source == NULL && !state->pushing)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);

		open_scan(node, state);
		MemoryContextSwitchTo(old);
	}
	if (state->bound)
		return next_bound_row(state);
	if (state->source && state->stream->change_attno)
		return next_folded_row(state);
	if (state->source)
		return next_source_row(state);
	if (!streaming_push_scan_next(&state->push))
		return NULL;
	streaming_shift_slot_set(state->slot);
	return state->slot;
}

/* What a record does is the row's ctid: see input.h. */
static TupleTableSlot *
next_bound_row(StreamScan *state)
{
	TupleTableSlot *slot = streaming_input_scan_next(state->bound);
	bool		isnull;

	if (slot && state->change_attno)
		ItemPointerSet(&slot->tts_tid, 0, DatumGetInt16(slot_getattr(slot, state->change_attno, &isnull)));
	return slot;
}

/* SELECT sees the rows that all records have left. */
static TupleTableSlot *
next_folded_row(StreamScan *state)
{
	if (state->fold == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);

		state->fold = streaming_fold_stream(state->stream);
		MemoryContextSwitchTo(old);
		while (streaming_source_scan_next(state->source, PG_INT64_MAX))
		{
			CHECK_FOR_INTERRUPTS();
			streaming_fold_add(state->fold, state->source->values, state->source->isnull,
							   DatumGetInt16(state->source->values[state->stream->change_attno - 1]));
		}
	}
	return streaming_fold_row(state->fold, state->slot) ? state->slot : NULL;
}

/*
 * A reader has read the definition of its stream before, perhaps long ago, and is
 * told of changes later, if at all.
 */
static void
check_columns(Relation rel, const StreamingStream *stream)
{
	TupleDesc	now = RelationGetDescr(rel);
	int			natts = streaming_stream_natts(stream);
	bool		changed = now->natts < natts;

	for (int i = 0; !changed && i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(now, i);

		changed = !att->attisdropped &&
			att->atttypid != TupleDescAttr(stream->tupdesc, i)->atttypid;
	}
	if (changed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("columns of stream %s have changed", stream->name)));
}

static void
open_scan(ForeignScanState *node, StreamScan *state)
{
	StreamingInput *input =
		streaming_input_bound(RelationGetRelid(node->ss.ss_currentRelation));

	if (state->share)
	{
		streaming_push_scan_join(&state->push, state->share);
		begin_pushed(node, state);
	}
	else if (input)
	{
		check_columns(node->ss.ss_currentRelation, input->stream);
		state->bound = streaming_input_scan_open(input);
		state->change_attno = input->stream->change_attno;
	}
	else if (is_change_stream(node->ss.ss_currentRelation))
		refuse_change_stream(node->ss.ss_currentRelation);
	else if (state->kind == STREAMING_SOURCE_PUSH)
		open_pushed(node, state);
	else
		open_source(node, state);
}

/* The role whose rights, and user mapping, the scan uses. */
static Oid
scan_user(ForeignScanState *node)
{
	Oid			user = streaming_scan_check_as_user(node);

	return OidIsValid(user) ? user : GetUserId();
}

static void
open_source(ForeignScanState *node, StreamScan *state)
{
	state->stream = streaming_stream_open(RelationGetRelid(node->ss.ss_currentRelation),
										  scan_user(node));
	/* Without what a record does: a query without a projection sends all that a slot has. */
	state->slot = MakeSingleTupleTableSlot(state->stream->change_attno ?
										   CreateTupleDescCopy(RelationGetDescr(node->ss.ss_currentRelation)) :
										   state->stream->tupdesc, &TTSOpsVirtual);
	state->source = streaming_source_scan_open(state->stream, STREAMING_READ_BATCH,
											   needed_columns(node));

	/* What a record does counts whatever its row is. */
	if (!state->stream->change_attno)
	{
		ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

		state->conditions = streaming_conditions_open(lsecond(plan->fdw_private), plan->fdw_exprs, &node->ss.ps);
		state->source->source->conditions = state->conditions;
	}
	start_source(node, state);
}

/* From the earliest of every partition. */
static void
start_source(ForeignScanState *node, StreamScan *state)
{
	StreamingPositions none;

	if (state->conditions)
		streaming_conditions_evaluate(state->conditions, node->ss.ps.ps_ExprContext);
	streaming_positions_init(&none);
	streaming_source_scan_start(state->source, &none);
}

static TupleTableSlot *
next_source_row(StreamScan *state)
{
	TupleTableSlot *slot = state->slot;
	int			natts = state->stream->tupdesc->natts;

	ExecClearTuple(slot);
	if (!streaming_source_scan_next(state->source, PG_INT64_MAX))
		return NULL;
	memcpy(slot->tts_values, state->source->values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, state->source->isnull, sizeof(bool) * natts);
	return ExecStoreVirtualTuple(slot);
}

static void
open_pushed(ForeignScanState *node, StreamScan *state)
{
	Relation	stream = node->ss.ss_currentRelation;

	if (!streaming_push_is_readable(RelationGetRelid(stream)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot read stream \"%s\" during recovery", RelationGetRelationName(stream)),
				 errdetail("The rows of a stream with the option durable 'false' are in unlogged tables, which a standby does not have."),
				 errhint("Read it on the primary.")));
	state->shared = streaming_stream_use(RelationGetRelid(stream));
	streaming_push_scan_lock(&state->push, state->shared, 0);
	streaming_stream_release(state->shared);
	begin_pushed(node, state);
}

/* The tables are known and locked. */
static void
begin_pushed(ForeignScanState *node, StreamScan *state)
{
	TupleDesc	desc = RelationGetDescr(node->ss.ss_currentRelation);

	state->pushing = true;
	state->stored = streaming_stored_slot_make();
	state->slot = streaming_shift_slot_make(CreateTupleDescCopy(desc), state->stored,
											STREAMING_PUSH_SHIFT);
	state->push.desc = state->slot->tts_tupleDescriptor;
	streaming_push_scan_begin(&state->push, node->ss.ps.state->es_snapshot, NULL,
							  state->stored);
}

static void
rescan(ForeignScanState *node)
{
	StreamScan  *state = node->fdw_state;

	if (state->fold)
		streaming_fold_end(state->fold);
	state->fold = NULL;
	if (state->bound)
		streaming_input_scan_rescan(state->bound);
	else if (state->source)
		start_source(node, state);
	else if (state->pushing)
	{
		streaming_push_scan_end(&state->push);
		streaming_push_scan_begin(&state->push, node->ss.ps.state->es_snapshot, NULL,
								  state->stored);
	}
}

static void
end_scan(ForeignScanState *node)
{
	StreamScan  *state = node->fdw_state;

	if (state == NULL)
		return;
	if (state->bound)
		streaming_input_scan_close(state->bound);
	if (state->fold)
		streaming_fold_end(state->fold);
	if (state->source)
		streaming_source_scan_close(state->source);
	if (state->pushing)
		streaming_push_scan_end(&state->push);
}

/* Of files whose format has them, once it has been looked at some. */
static void
explain_row_groups(const StreamScan *state, ExplainState *es)
{
	const StreamingConditions *conditions = state ? state->conditions : NULL;

	if (!es->analyze || conditions == NULL || conditions->groups_read + conditions->groups_skipped == 0)
		return;
	ExplainPropertyInteger("Row Groups Read", NULL, conditions->groups_read, es);
	ExplainPropertyInteger("Row Groups Skipped", NULL, conditions->groups_skipped, es);
}

static void
explain_scan(ForeignScanState *node, ExplainState *es)
{
	Oid			relid = RelationGetRelid(node->ss.ss_currentRelation);
	StreamingStream *stream = streaming_stream_open(relid, scan_user(node));

	switch (stream->kind)
	{
		case STREAMING_SOURCE_KAFKA:
			ExplainPropertyText("Source", "kafka", es);
			ExplainPropertyText("Topic", stream->topic, es);
			break;
		case STREAMING_SOURCE_DIRECTORY:
			ExplainPropertyText("Source", "directory", es);
			ExplainPropertyText("Path", stream->path, es);
			explain_row_groups(node->fdw_state, es);
			break;
		case STREAMING_SOURCE_PUSH:
			ExplainPropertyText("Source", "pushed rows", es);
			break;
	}
}

/* ----------
 * Scanning in parallel
 *
 * A batch, that is; every process reads its share (push_scan.c).
 * ----------
 */

static Size
estimate_share(ForeignScanState *node, ParallelContext *pcxt)
{
	StreamingInput *input =
		streaming_input_bound(RelationGetRelid(node->ss.ss_currentRelation));

	if (input == NULL || input->mode != STREAMING_INPUT_SNAPSHOT)
		elog(ERROR, "a parallel scan of a stream needs a batch of pushed rows");
	return streaming_push_share_size(&input->push);
}

static void
init_share(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	StreamScan  *state = node->fdw_state;
	StreamingInput *input =
		streaming_input_bound(RelationGetRelid(node->ss.ss_currentRelation));

	state->share = coordinate;
	streaming_push_share_init(state->share, &input->push);
}

static void
reset_share(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	streaming_push_share_reset(coordinate);
}

static void
join_share(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	StreamScan  *state = node->fdw_state;

	state->share = coordinate;
}

/* The last that is called before the shared memory goes. */
static void
shutdown_scan(ForeignScanState *node)
{
	StreamScan  *state = node->fdw_state;
	int64		rows;

	if (state == NULL || state->share == NULL)
		return;
	if (!IsParallelWorker() && streaming_push_share_is_done(state->share, &rows))
		streaming_input_scanned(streaming_input_bound(RelationGetRelid(node->ss.ss_currentRelation)),
								rows, false);
	state->share = NULL;
}

/* ----------
 * Inserting
 * ----------
 */

static int
is_updatable(Relation rel)
{
	StreamingSourceKind kind;

	return streaming_is_stream(RelationGetRelid(rel), &kind) ? 1 << CMD_INSERT : 0;
}

static List *
plan_modify(PlannerInfo *root, ModifyTable *plan, Index index, int subplan)
{
	if (plan->onConflictAction != ONCONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("INSERT with an ON CONFLICT clause is not supported for streams"),
				 errhint("Leave the clause out; remove duplicates with SELECT DISTINCT or GROUP BY in a continuous view.")));
	return NIL;
}

static void
begin_modify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *fdw_private,
			 int subplan, int eflags)
{
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		begin_insert(mtstate, rinfo);
}

/*
 * Triggers see, as on a table, the rows that their statement has inserted before: those
 * for each row the ones before it, those behind the statement all.  There is no
 * callback between the last row and these.
 */
static bool
has_looking_triggers(ResultRelInfo *rinfo)
{
	TriggerDesc *triggers = rinfo ? rinfo->ri_TrigDesc : NULL;

	return triggers && (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
						triggers->trig_insert_after_statement);
}

static void
begin_insert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	Relation	rel = rinfo->ri_RelationDesc;
	StreamInsert *insert = palloc0(sizeof(StreamInsert));
	StreamingStream *stream;
	StreamingSourceKind kind = STREAMING_SOURCE_PUSH;

	if (is_change_stream(rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot insert into \"%s\"", RelationGetRelationName(rel)),
				 errdetail("It brings the changes of a relation to the continuous views that read or follow it.")));
	rinfo->ri_FdwState = insert;
	(void) streaming_is_stream(RelationGetRelid(rel), &kind);
	if (kind == STREAMING_SOURCE_PUSH)
	{
		insert->push = streaming_push_begin(rel);
		insert->at_once = has_looking_triggers(rinfo) ||
			has_looking_triggers(rinfo->ri_RootResultRelInfo);
		return;
	}
	stream = streaming_stream_open(RelationGetRelid(rel), rel->rd_rel->relowner);

	/* A batch may write a whole result, and was checked for that. */
	if (kind == STREAMING_SOURCE_DIRECTORY)
		streaming_file_place_check(stream, MyBackendType != B_BG_WORKER);
	insert->writer = streaming_stream_writer_open(stream);
}

static TupleTableSlot *
exec_insert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
			TupleTableSlot *plan_slot)
{
	StreamInsert *insert = rinfo->ri_FdwState;
	Relation	rel = rinfo->ri_RelationDesc;

	/* The executor leaves constraints of foreign tables to whoever keeps their rows. */
	if (rel->rd_att->constr)
		ExecConstraints(rinfo, slot, estate);
	/* A row that was routed here is of the partition, unless a trigger has changed it. */
	if (rel->rd_rel->relispartition &&
		(rinfo->ri_RootResultRelInfo == NULL ||
		 (rinfo->ri_TrigDesc && rinfo->ri_TrigDesc->trig_insert_before_row)))
		(void) ExecPartitionCheck(rinfo, slot, estate, true);
	if (insert->push)
	{
		streaming_push_row(insert->push, slot);
		if (insert->at_once)
			streaming_push_flush(insert->push);
	}
	else
	{
		slot_getallattrs(slot);
		streaming_stream_writer_put(insert->writer, slot->tts_values, slot->tts_isnull);
	}
	return slot;
}

static void
end_insert(EState *estate, ResultRelInfo *rinfo)
{
	StreamInsert *insert = rinfo->ri_FdwState;

	if (insert && insert->push)
		streaming_push_end(insert->push);
	if (insert && insert->writer)
		streaming_stream_writer_close(insert->writer);
	rinfo->ri_FdwState = NULL;
}
