/*
 * drop.c
 *		What is forgotten when a view or a stream is dropped, by whatever
 *		command: DROP, DROP OWNED, DROP ... CASCADE of something else.
 *
 * Tables and definitions go by dependency; here go the rows of the catalog.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "shared/notify.h"
#include "command/command.h"

void
streaming_relation_dropped(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	StreamingSourceKind kind;

	if (relkind == RELKIND_FOREIGN_TABLE && !streaming_is_stream(relid, &kind))
		return;
	if (relkind == RELKIND_VIEW && !streaming_catalog_has_view(relid))
		return;
	if (relkind != RELKIND_VIEW && relkind != RELKIND_FOREIGN_TABLE)
		return;
	streaming_catalog_forget(relid);
	streaming_workers_notify();
}
