/*
 * alter_stream.c
 *		CREATE and ALTER FOREIGN TABLE of streams: checks that the validators
 *		cannot make, because they do not see the table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "streaming.h"
#include "source/source_push.h"
#include "worker/worker.h"
#include "command/command.h"

void
streaming_check_relation(Oid relid)
{
	StreamingSourceKind kind;

	CommandCounterIncrement();
	if (!streaming_is_stream(relid, &kind))
		return;
	(void) streaming_stream_open(relid, GetUserId());
	if (kind == STREAMING_SOURCE_PUSH)
		streaming_push_create_tables(relid);
	streaming_workers_notify();
}
