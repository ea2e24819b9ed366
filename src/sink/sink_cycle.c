/*
 * sink_cycle.c
 *		No view gets, by whatever way, rows that it has written: it would never be done.
 *
 * The ways are views over views, pushed streams that views write and read, and tables
 * that views write and follow.  What triggers and functions write is not known.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "catalog/object_name.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "push/follow.h"
#include "sink/sink.h"

/*
 * Do rows of relid, a stream, a view or a table, come from those of sink?  Two views may
 * have been made at the same time that each alone is good; so this is asked again
 * whenever one is opened.
 */
static bool
comes_from(Oid relid, Oid sink, List **seen)
{
	ListCell   *lc;
	ListCell   *input;

	if (relid == sink)
		return true;
	if (list_member_oid(*seen, relid))
		return false;
	check_stack_depth();
	*seen = lappend_oid(*seen, relid);
	foreach(lc, streaming_catalog_views())
	{
		StreamingView *view = lfirst(lc);

		if (view->view != relid && view->sink.relid != relid)
			continue;
		foreach(input, list_concat(streaming_catalog_inputs(view->definition), view->tables))
		{
			if (comes_from(lfirst_oid(input), sink, seen))
				return true;
		}
	}
	return false;
}

void
streaming_sink_check_cycle(StreamingProgram *program)
{
	Oid			sink = program->sink.relid;
	StreamingSourceKind unused;
	bool		is_stream = streaming_is_stream(sink, &unused);
	const char *kind = is_stream ? "stream" : "table";

	for (int i = 0; i < program->ninputs; i++)
	{
		Oid			input = program->inputs[i].relid;
		List	   *seen = NIL;

		/* Of a table that nobody follows nothing comes: the catalog need not be read. */
		if (input != sink && !is_stream && !OidIsValid(streaming_follow_stream(sink)))
			continue;
		if (!comes_from(input, sink, &seen))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous view cannot write to a %s that its own rows come from", kind),
				 input == sink ?
				 errdetail("It reads %s %s itself.", kind, streaming_qualified_name(sink)) :
				 errdetail("It reads \"%s\", to which other continuous views bring rows of %s %s.",
						   get_rel_name(input), kind, streaming_qualified_name(sink)),
				 errhint("Let it write to another %s.", kind)));
	}
}
