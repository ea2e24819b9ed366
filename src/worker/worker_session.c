/*
 * worker_session.c
 *		What the sessions of ingest, query and delivery workers have in common.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/settings.h"
#include "catalog/run_as.h"
#include "shared/slots.h"
#include "worker/worker.h"

#define LONG_RUN_CHECK		1000	/* ms */

void
streaming_worker_set_session(void)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"jit", "off"},
		{"session_replication_role", "origin"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"transaction_timeout", "0"},	/* PostgreSQL 17 */
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"vacuum_cost_delay", "0"}, /* rows wait while we VACUUM */
	};

	streaming_run_as_worker();
	for (int i = 0; i < lengthof(settings); i++)
		if (GetConfigOption(settings[i].name, true, false))
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	streaming_settings_forget();
}

/*
 * pgstat_report_stat measures from the end of the last transaction, so a process
 * without a new one would be told to wait for ever: it has to be forced then, as
 * PostgresMain does.
 */
long
streaming_worker_report_stats(void)
{
	static StreamingTime due = STREAMING_TIME_NEVER;
	StreamingTime now = streaming_now();
	long		timeout = pgstat_report_stat(now >= due);

	if (timeout <= 0)
		due = STREAMING_TIME_NEVER;
	else
		due = Min(due, streaming_time_plus(now, timeout));
	return due == STREAMING_TIME_NEVER ? -1 : streaming_ms_until(now, due);
}

/*
 * Timeout handler: what computes for long must not outlive the postmaster for
 * long.  Its next CHECK_FOR_INTERRUPTS ends it.  And the coordinator looks for who
 * waits for it.
 */
static void
check_long_run(void)
{
	if (!PostmasterIsAlive())
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
	streaming_wake_coordinator_now();
}

void
streaming_worker_watch(bool on)
{
	static TimeoutId timeout = MAX_TIMEOUTS;

	if (timeout == MAX_TIMEOUTS)
		timeout = RegisterTimeout(USER_TIMEOUT, check_long_run);
	if (on)
		enable_timeout_every(timeout,
							 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LONG_RUN_CHECK),
							 LONG_RUN_CHECK);
	else
		disable_timeout(timeout, false);
}

void
streaming_refuse_in_batch(const char *function)
{
	if (streaming_my_worker == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s cannot be called by a function of a continuous view", function),
			 errdetail("It would wait for, or change, the batch that calls it."),
			 errhint("Call it from another session, for example one of pg_cron.")));
}

void
streaming_worker_interrupts(void (*set_session) (void))
{
	if (ProcDiePending)
		proc_exit(0);
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		set_session();
	}
}
