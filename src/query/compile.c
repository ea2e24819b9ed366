/*
 * compile.c
 *		Turns a checked query into a program of stages.
 *
 * The query tree is cut at its aggregations, innermost first.  Each piece is
 * written out as SQL by the server's own deparser, reading its input by name:
 * the stream, or delta_<n> for what the stage below hands up.  So
 * every step can be read (streaming.explain) and is planned by PostgreSQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "push/follow.h"
#include "query/compile.h"
#include "catalog/run_as.h"
#include "base/settings.h"
#include "streaming.h"
#include "sink/sink.h"
#include "catalog/stream.h"

void
streaming_fill_value(StreamingValue *value, char *name, Node *expr)
{
	memset(value, 0, sizeof(*value));
	value->name = value->column = name;
	value->type = exprType(expr);
	value->typmod = exprTypmod(expr);
	value->collation = exprCollation(expr);
	value->key = value->aggregate = -1;
}

bool
streaming_is_aggregation(Query *query)
{
	return query->hasAggs || query->groupClause != NIL || query->havingQual != NULL ||
		query->distinctClause != NIL;
}

void
streaming_name_relation(RangeTblEntry *rte, const char *name, List *columns)
{
	rte->rtekind = RTE_CTE;		/* what the deparser prints by bare name */
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->subquery = NULL;
	rte->lateral = false;
	rte->inh = false;
	rte->inFromCl = true;
	rte->ctename = pstrdup(name);
	rte->ctelevelsup = 0;
	rte->alias = NULL;
	rte->eref = makeAlias(name, columns);
}

void
streaming_fill_outputs(StreamingStage *stage, Query *query)
{
	ListCell   *lc;

	/* rows that are handed up have a sign behind them */
	if (list_length(query->targetList) >= MaxTupleAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("a subquery of a continuous view can have at most %d columns",
						MaxTupleAttributeNumber - 1),
				 errhint("Leave out columns that the outer query does not use.")));
	stage->outputs = palloc0(sizeof(StreamingValue) * Max(list_length(query->targetList), 1));
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		StreamingValue *output = &stage->outputs[stage->noutputs];

		if (tle->resjunk)
			continue;
		streaming_fill_value(output, tle->resname, (Node *) tle->expr);
		output->column = streaming_column_name(tle->resname, ++stage->noutputs);
	}
}

/* Does what a row becomes depend on more than the row? */
static bool
reads_more(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, (List *) context);

		return rte->rtekind == RTE_RELATION && !streaming_rte_is_input(rte);
	}
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_CTE && !streaming_is_delta(rte);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_more, ((Query *) node)->rtable,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reads_more, context);
}

bool
streaming_is_fixed(Query *query)
{
	return !reads_more((Node *) query, NULL) && !contain_mutable_functions((Node *) query);
}

/* Rows of an aggregation are kept, also where they never disappear. */
void
streaming_refuse_mutable_input(StreamingCompiler *compiler, Query *query)
{
	StreamingStage *below = streaming_stage_below(compiler, query);

	streaming_refuse_mutable(query, (below && streaming_has_groups(below)) ||
							 streaming_input_is_signed(compiler, query), compiler->mode);
}

/*
 * A query without aggregation, the view's own.  Over rows that only appear its rows
 * are the output; over others, its distinct rows are kept with their multiplicity.
 * Where these may be others when a row is taken back, they are remembered by the row.
 */
static StreamingStage *
compile_linear(StreamingCompiler *compiler, Query *query)
{
	StreamingEdge edge = streaming_make_edge(compiler, streaming_evaluate_once(query), true);
	StreamingStage *stage;

	streaming_refuse_sessions((Node *) query);
	streaming_refuse_mutable_input(compiler, query);
	if (edge.is_signed && !streaming_is_fixed(query))
		return streaming_compile_partition(compiler, query);
	stage = streaming_add_stage(compiler);
	streaming_fill_outputs(stage, query);
	streaming_outputs_event_time(compiler, stage, query);
	if (!edge.is_signed)
	{
		stage->kind = STREAMING_STAGE_APPEND;
		stage->only_appears = true;
		streaming_add_edge(stage, edge);
		return stage;
	}
	stage->kind = STREAMING_STAGE_MULTISET;
	streaming_keys_of_outputs(stage);
	streaming_add_edge(stage, streaming_make_counted_edge(compiler, query, stage->outputs, stage->noutputs));
	return stage;
}

void
streaming_keys_of_outputs(StreamingStage *stage)
{
	stage->grouped = true;
	stage->nkeys = stage->noutputs;
	stage->keys = palloc0(sizeof(StreamingValue) * Max(stage->nkeys, 1));
	for (int i = 0; i < stage->nkeys; i++)
	{
		stage->keys[i] = stage->outputs[i];
		stage->keys[i].eqop = InvalidOid;
		stage->outputs[i].key = i;
	}
}

int
streaming_list_position(List *list, Node *node)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		if (equal(lfirst(lc), node))
			return foreach_current_index(lc);
	}
	return -1;
}

/* ---- Queries ---- */

StreamingStage *
streaming_add_stage(StreamingCompiler *compiler)
{
	StreamingProgram *program = compiler->program;
	StreamingStage *stage = &program->stages[program->nstages++];

	if (program->nstages > compiler->max_stages)
		elog(ERROR, "a query has more stages than were expected");
	stage->number = program->nstages;
	return stage;
}

StreamingStage *
streaming_compile_query(StreamingCompiler *compiler, Query *query)
{
	Query	   *changes;

	check_stack_depth();
	if ((changes = streaming_pull_changes(query)) != NULL)
		return streaming_compile_changes(compiler, changes);
	if (streaming_is_union_all(query))
		return streaming_compile_union(compiler, query);
	if (!streaming_is_plain(query) || streaming_folded_levels(query) > 0)
	{
		streaming_refuse_sessions((Node *) query);
		return streaming_compile_partition(compiler, query);
	}
	if (streaming_is_aggregation(query) && streaming_filters_partitions(query))
		streaming_split_from(query);	/* the filter is computed with them */
	streaming_compile_below(compiler, query);
	if (streaming_is_aggregation(query))
		return streaming_compile_aggregation(compiler, query);
	return compile_linear(compiler, query);
}

/*
 * The stage of the query itself is the last one.  Rows that appear and disappear
 * and are not kept so far are kept by one more.
 */
static void
compile_top(StreamingCompiler *compiler, Query *query)
{
	StreamingStage *stage = streaming_compile_query(compiler, query);

	if (stage->kind == STREAMING_STAGE_JOIN ||
		(stage->kind == STREAMING_STAGE_APPEND && !stage->only_appears))
	{
		Query	   *top = makeNode(Query);
		RangeTblRef *rtr = makeNode(RangeTblRef);

		for (int i = 0; i < stage->noutputs; i++)
		{
			StreamingValue *output = &stage->outputs[i];

			top->targetList = lappend(top->targetList,
									  makeTargetEntry((Expr *) makeVar(1, i + 1, output->type,
																	   output->typmod, output->collation, 0),
													  i + 1, output->name, false));
		}
		rtr->rtindex = 1;
		top->commandType = CMD_SELECT;
		top->canSetTag = true;
		top->rtable = list_make1(streaming_delta_rte(stage));
		top->jointree = makeFromExpr(list_make1(rtr), NULL);
		stage = compile_linear(compiler, top);
	}
	stage->last = true;
}

/* More than there can be stages. */
static bool
count_nodes(Node *node, int *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		(*count) += 5;
		return query_tree_walker((Query *) node, count_nodes, count, 0);
	}
	if (IsA(node, RangeTblRef) || IsA(node, JoinExpr) || IsA(node, SubLink))
		(*count) += 4;
	return expression_tree_walker(node, count_nodes, count);
}

/* Rows that can change after they have been written. */
static void
refuse_append(StreamingCompiler *compiler)
{
	StreamingProgram *program = compiler->program;
	const char *detail = "A group can change after it has been written.";
	char	   *event_column = NULL;

	for (int i = program->ninputs - 1; i >= 0; i--)
	{
		if (program->inputs[i].event_attno)
			event_column = program->inputs[i].event_column;
	}
	for (int i = 0; i < program->ninputs; i++)
	{
		if (streaming_stream_changes(program->inputs[i].relid))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported over a stream whose rows change"),
					 errdetail("Records of stream \"%s\" change and delete rows after they have been written.",
							   get_rel_name(program->inputs[i].relid)),
					 errhint("Use streaming.output_mode = 'update', or read the changes themselves as a stream with \"changes\" set to \"append\".")));
		if (program->inputs[i].is_table)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for a view that follows ordinary tables"),
					 errdetail("Rows of table \"%s\" can change after they have been written.",
							   get_rel_name(program->inputs[i].relid)),
					 errhint("Use streaming.output_mode = 'update', or do not follow the table.")));
	}
	if (program->nstages == 1 && program->stages[0].kind == STREAMING_STAGE_MULTISET)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported over a continuous view whose rows can change"),
				 errhint("Let that view append, by windows of event time, or use streaming.output_mode = 'update'.")));
	if (program->ninputs == 1 && program->inputs[0].is_loaded)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported for an aggregation over a continuous view"),
				 errdetail("%s", detail),
				 errhint("Aggregate the stream itself, by a window of its watermarked column, or use streaming.output_mode = 'update'.")));
	if (event_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"append\" is not supported for an aggregation without a watermark"),
				 errdetail("%s", detail),
				 errhint("Give the stream's event-time column the option \"watermark\" and group by a window of it, such as date_bin, or use streaming.output_mode = 'update'.")));
	for (int i = 0; i < program->nstages; i++)
	{
		StreamingStage *stage = &program->stages[i];

		if (stage->kind == STREAMING_STAGE_PARTITION && stage->signed_input)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for joins, subqueries and windows over rows that can change"),
					 errdetail("A row can disappear after it has been written."),
					 errhint("Let what they read append, by windows of event time, or use streaming.output_mode = 'update'.")));
		if (stage->kind == STREAMING_STAGE_PARTITION && compiler->unbounded_outer)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for outer joins and subqueries over streams without a bound in event time"),
					 errdetail("A row that has met none can meet one that comes later."),
					 errhint("Bound the watermarked columns of both sides by constants, in ON or in WHERE of the subquery, as in \"a.at BETWEEN b.at - interval '1 hour' AND b.at\", or join by equal windows of them; or use streaming.output_mode = 'update'.")));
		if (stage->kind == STREAMING_STAGE_PARTITION)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for window functions, DISTINCT ON, LIMIT and what else is computed anew"),
					 errdetail("A row can disappear after it has been written."),
					 errhint("Use streaming.output_mode = 'update'.")));
		if (stage->kind == STREAMING_STAGE_JOIN && !stage->evicts_rows)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"append\" is not supported for an aggregation over a join of streams without a bound in event time"),
					 errdetail("A row can be joined with any that comes later, and so change its group after that has been written."),
					 errhint("Bound the watermarked columns of both sides by constants, as in \"a.at BETWEEN b.at - interval '1 hour' AND b.at\", or join by equal windows of them; or use streaming.output_mode = 'update'.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("output mode \"append\" is not supported for an aggregation that is not grouped by a window of event time"),
			 errdetail("%s", detail),
			 errhint("Group, at each level, by column \"%s\" or by date_bin, date_trunc, streaming.tumble, streaming.hop or streaming.session of it, with a constant width; or use streaming.output_mode = 'update'.",
					 event_column)));
}

/* Chooses the output mode and refuses those that cannot be kept. */
static StreamingOutputMode
resolve_output_mode(StreamingCompiler *compiler, int mode)
{
	StreamingProgram *program = compiler->program;
	bool		append = streaming_last_stage(program)->kind == STREAMING_STAGE_APPEND;

	if (mode < 0)
		return append ? STREAMING_OUTPUT_APPEND : STREAMING_OUTPUT_UPDATE;
	/* rows that never change are written once, whatever the mode's name */
	if (mode == STREAMING_OUTPUT_UPDATE && append)
		return STREAMING_OUTPUT_APPEND;
	if (mode == STREAMING_OUTPUT_APPEND && !streaming_last_stage(program)->only_appears)
		refuse_append(compiler);
	return mode;
}

/*
 * Is the result kept in a table of the view's own?  Where users can read it
 * nowhere else, if that costs nothing: the state of an aggregation holds it
 * anyway, unless the watermark is to bound it.  In output mode complete the sink
 * reads the whole result there.
 */
static bool
keeps_result(StreamingProgram *program)
{
	switch (program->sink.kind)
	{
		case STREAMING_SINK_OWN:
		case STREAMING_SINK_MEMORY:
			return true;
		case STREAMING_SINK_RELATION:
			return program->output_mode == STREAMING_OUTPUT_COMPLETE;
		default:
			return program->output_mode != STREAMING_OUTPUT_APPEND &&
				(program->output_mode == STREAMING_OUTPUT_COMPLETE ||
				 streaming_last_stage(program)->closes_text == NULL);
	}
}

/* Its rows are in a pushed stream only until those who read that have taken them. */
static void
refuse_written_stream(StreamingView *upstream)
{
	StreamingSourceKind kind;

	if (OidIsValid(upstream->sink.relid) && streaming_is_stream(upstream->sink.relid, &kind) &&
		kind == STREAMING_SOURCE_PUSH)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support reading \"%s\", which writes to a pushed stream",
						get_rel_name(upstream->view)),
				 errhint("Read the stream itself: \"%s\".", get_rel_name(upstream->sink.relid))));
}

/* The relations that the query reads. */
static void
open_inputs(StreamingProgram *program, List *relids, int mode)
{
	ListCell   *lc;

	program->ninputs = list_length(relids);
	program->inputs = palloc0(sizeof(StreamingProgramInput) * program->ninputs);
	foreach(lc, relids)
	{
		StreamingProgramInput *input = &program->inputs[foreach_current_index(lc)];
		StreamingView *upstream;

		input->relid = input->scan = lfirst_oid(lc);
		input->is_table = !streaming_is_input(input->relid);
		input->is_loaded = input->is_table || get_rel_relkind(input->relid) == RELKIND_VIEW;
		/* the whole result, late rows and all, is what complete shows */
		if (!input->is_loaded && mode != STREAMING_OUTPUT_COMPLETE)
			input->event_attno = streaming_event_column(input->relid, &input->event_delay,
														&input->event_column);
		if (!input->is_loaded)
			continue;
		if (input->is_table)
		{
			input->is_signed = true;
			input->scan = streaming_follow_stream(input->relid);
			continue;
		}
		upstream = streaming_catalog_view(input->relid, false);
		if (!OidIsValid(streaming_view_reads(upstream)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("continuous views do not support reading \"%s\", which keeps no rows",
							get_rel_name(upstream->view)),
					 errdetail("Its sink is a function or the server log, and its rows are kept nowhere else."),
					 errhint("Read what that view reads, or create it with streaming.output_mode = 'complete'.")));
		refuse_written_stream(upstream);
		input->is_signed = upstream->output_mode != STREAMING_OUTPUT_APPEND;
		input->scan = get_relname_relid(streaming_change_stream_name(upstream->id),
										streaming_internal_namespace());
	}
}

/* How one key of ORDER BY is written behind its column. */
static char *
direction(SortGroupClause *clause, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
	const char *nulls = clause->nulls_first ? "NULLS FIRST" : "NULLS LAST";
	HeapTuple	tuple;
	Form_pg_operator form;
	char	   *result;

	if (clause->sortop == entry->lt_opr || clause->sortop == entry->gt_opr)
		return psprintf(" %s %s", clause->sortop == entry->lt_opr ? "ASC" : "DESC", nulls);
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(clause->sortop));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", clause->sortop);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf(" USING OPERATOR(%s.%s) %s",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname), nulls);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * ORDER BY of the query itself, as far as it is by columns of the output: in this
 * order the result is read.  NULL: in none.
 */
static char *
order_of(Query *query)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);

		if (tle->resjunk)
			break;
		appendStringInfo(&buf, "%s%d%s", buf.len ? ", " : " ORDER BY ", tle->resno,
						 direction(clause, exprType((Node *) tle->expr)));
	}
	return buf.len ? buf.data : NULL;
}

/* Writes grouping expressions where they are used, in each query below node. */
static bool
flatten_groups(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, flatten_groups, context);
	streaming_flatten_group_exprs((Query *) node);
	return query_tree_walker((Query *) node, flatten_groups, context, 0);
}

static StreamingProgram *
compile(Query *query, int32 id, List *tables, const StreamingSinkSpec *sink, int mode)
{
	StreamingProgram *program = palloc0(sizeof(StreamingProgram));
	StreamingCompiler	compiler = {program, mode};

	query = copyObject(query);
	streaming_mark_followed(query, tables);
	streaming_mark_changing(query);
	(void) flatten_groups((Node *) query, NULL);
	streaming_lift_hops(query);
	program->id = id;
	program->sink = *sink;
	program->order_by = order_of(query);
	open_inputs(program, streaming_query_check(query), mode);
	streaming_drop_unused_ctes(query);
	streaming_require_input(query);
	streaming_rename_ctes(query);
	streaming_wrap_changing(query);
	streaming_normalize(query);
	(void) count_nodes((Node *) query, &compiler.max_stages);
	program->stages = palloc0(sizeof(StreamingStage) * compiler.max_stages);
	compile_top(&compiler, query);
	program->output_mode = resolve_output_mode(&compiler, mode);
	program->keeps_result = keeps_result(program);
	streaming_layout(program);
	streaming_sink_check(program);
	return program;
}

StreamingProgram *
streaming_compile(Query *query, Oid owner, int32 id, List *tables,
				  const StreamingSinkSpec *sink, int mode)
{
	StreamingProgram *program;
	StreamingRunAs saved;

	streaming_run_as_begin(&saved, owner, NIL);
	streaming_settings_write_exactly(); /* constants */
	streaming_copies_begin();
	program = compile(query, id, tables, sink, mode);
	streaming_run_as_end(&saved);
	return program;
}
