/*
 * streaming.c
 *		The library's entry point.
 *
 * The extension lives in shared memory and in background workers, so the
 * library has to be loaded by the postmaster.  Loaded in any other way it
 * does nothing, and each of its functions says what is missing.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "streaming.h"
#include "base/call_memo.h"
#include "command/command.h"
#include "exec/exec.h"
#include "shared/shmem.h"
#include "shared/sink_slots.h"
#include "shared/slots.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(streaming_check_loaded);

static bool loaded = false;		/* inherited by every process */

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	streaming_guc_init();
	streaming_shmem_init();
	streaming_slots_init();
	streaming_sink_slots_init();
	streaming_launcher_register();
	streaming_query_init();
	streaming_look_up_init();
	streaming_call_memo_init();
	streaming_command_init();
	loaded = true;
}

bool
streaming_is_loaded(void)
{
	return loaded;
}

void
streaming_require_loaded(void)
{
	if (!loaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streaming must be loaded by shared_preload_libraries"),
				 errhint("Add streaming to the setting shared_preload_libraries in postgresql.conf and restart the server.")));
}

/*
 * streaming_internal.check_loaded(): first call of CREATE EXTENSION, so that it
 * fails before it has made anything.
 */
Datum
streaming_check_loaded(PG_FUNCTION_ARGS)
{
	streaming_require_loaded();
	PG_RETURN_VOID();
}
