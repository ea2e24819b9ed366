/*
 * alter_stream.c
 *		CREATE and ALTER FOREIGN TABLE of streams: checks that the validators
 *		cannot make, because they do not see the table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "catalog.h"
#include "query/program.h"
#include "source/source_push.h"
#include "worker/worker.h"
#include "command/command.h"

/*
 * The state of a view depends on what its stream has for a watermark, so that is
 * not changed below a view if the view's tables would have to be other ones.  A
 * view that could not be kept at all raises its own error.
 */
static void
check_view(Oid view, Oid stream)
{
	StreamingView *definition = streaming_catalog_view(view, true);
	StreamingProgram *program;
	Relation	rel;

	if (definition == NULL || definition->restored)
		return;
	rel = relation_open(definition->definition, AccessShareLock);
	program = streaming_compile(get_view_query(rel), definition->owner, definition->id,
								&definition->sink, definition->output_mode);
	relation_close(rel, NoLock);
	if (!streaming_layout_matches(program))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot change the watermark of stream \"%s\" because continuous view \"%s\" depends on it",
						get_rel_name(stream), get_rel_name(view)),
				 errhint("Drop the view, change the stream, and create the view again.")));
}

void
streaming_check_relation(Oid relid)
{
	ListCell   *lc;

	StreamingSourceKind kind;

	CommandCounterIncrement();
	if (!streaming_is_stream(relid, &kind))
		return;
	(void) streaming_stream_open(relid, GetUserId());
	foreach(lc, streaming_catalog_views_of_stream(relid))
		check_view(lfirst_oid(lc), relid);
	if (kind == STREAMING_SOURCE_PUSH)
		streaming_push_create_tables(relid);
	streaming_workers_notify();
}
