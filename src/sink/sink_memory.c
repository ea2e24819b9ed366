/*
 * sink_memory.c
 *		The sink memory: the view's own tables are unlogged.
 *
 * They are written as those of any view, without WAL.  A crash of the server (and
 * the promotion of a standby) leaves them empty, while the checkpoint is where
 * it was.  What tells an empty table from a result without rows is a table
 * memory_<id> that gets a row with the first batch: if batches have been
 * committed and it is empty, all is lost, and the view begins again at its start
 * (worker/reset.c) when a worker takes it up.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "catalog/view.h"
#include "sink/sink.h"
#include "state/state_table.h"

void
streaming_memory_mark(int32 id, int64 batch_id)
{
	TupleDesc	desc = CreateTemplateTupleDesc(1);
	StreamingStateTable *table;

	TupleDescInitEntry(desc, 1, "batch_id", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	table = streaming_state_open(streaming_memory_table(id), desc, 0, NULL);
	ExecClearTuple(table->row);
	table->row->tts_values[0] = Int64GetDatum(batch_id);
	table->row->tts_isnull[0] = false;
	ExecStoreVirtualTuple(table->row);
	streaming_state_insert(table, table->row);
	streaming_state_close(table);
}

/*
 * The row is there to stay, so the table has no blocks only if it is gone.  A
 * first batch that fails leaves a dead row behind, but then there is nothing to
 * lose.
 */
bool
streaming_memory_is_marked(int32 id)
{
	Oid			relid = get_relname_relid(streaming_memory_table(id),
										  streaming_internal_namespace());
	Relation	rel = OidIsValid(relid) ? try_table_open(relid, AccessShareLock) : NULL;
	bool		marked;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" of a continuous view does not exist",
						STREAMING_INTERNAL_SCHEMA, streaming_memory_table(id)),
				 errhint("Drop the view and create it again.")));
	marked = rel->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(rel) > 0;
	table_close(rel, AccessShareLock);
	return marked;
}
