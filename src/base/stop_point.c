/*
 * stop_point.c
 *		Named places at which a process can be made to wait, for tests of what
 *		a crash there leaves behind.
 *
 * The setting streaming.stop_point names one.  A process that comes by says so
 * in the log, and goes on when the setting has another value.
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

void
streaming_stop_point(const char *name)
{
	if (likely(streaming_stop_point_name[0] == '\0') ||
		strcmp(streaming_stop_point_name, name) != 0)
		return;

	ereport(LOG, (errmsg("waiting at stop point \"%s\"", name)));
	while (strcmp(streaming_stop_point_name, name) == 0)
	{
		int			events = WaitLatch(MyLatch,
									   WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
									   1000, PG_WAIT_EXTENSION);

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();

		/* A worker that has just started may have missed the signal. */
		if (ConfigReloadPending || (events & WL_TIMEOUT))
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	SetLatch(MyLatch);			/* it may have been set for something else */
}
