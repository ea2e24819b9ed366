/*
 * guc.c
 *		The settings.
 *
 * Sizes of shared memory are fixed at server start; everything else follows
 * a reload.  Settings that a session may choose for itself are only those of
 * calls it waits for.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "streaming.h"

int			streaming_max_streams = 128;
int			streaming_max_views = 512;
int			streaming_role_share = 50;
int			streaming_query_workers = 2;
int			streaming_max_query_workers = 8;
int			streaming_buffer_size = 256 * 1024;
int			streaming_batch_rows = 100000;
int			streaming_catch_up_rate = 0;
int			streaming_arrow_memory = 256 * 1024;
int			streaming_work_mem = 64 * 1024;
int			streaming_state_memory = 160 * 1024;
int			streaming_retry_max = 60 * 1000;
int			streaming_lock_timeout = 2 * 1000;
int			streaming_batch_timeout = 0;
bool		streaming_synchronous_commit = false;
int			streaming_scan_interval = 10 * 1000;
int			streaming_idle_partition_timeout = 60 * 1000;
int			streaming_connect_timeout = 10 * 1000;
int			streaming_batches_kept = 100;
int			streaming_source_memory = 64 * 1024;
int			streaming_reachable_timeout = 1000;
int			streaming_push_limit = 1024 * 1024;
int			streaming_rejected_limit = 10000;
int			streaming_outbox_size = 1024 * 1024;
int			streaming_delivery_idle_timeout = 10 * 60 * 1000;
char	   *streaming_stop_point_name = NULL;

static void define_size_settings(void);
static void define_worker_settings(void);
static void define_source_settings(void);
static void define_sink_settings(void);

void
streaming_guc_init(void)
{
	define_size_settings();
	define_worker_settings();
	define_source_settings();
	define_sink_settings();
	MarkGUCPrefixReserved("streaming");
}

/* What shared memory is laid out for. */
static void
define_size_settings(void)
{
	DefineCustomIntVariable("streaming.max_streams",
							"Streams of all databases that continuous views can read at the same time.",
							NULL,
							&streaming_max_streams,
							128, 1, 10000,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.max_views",
							"Continuous views of all databases that can be enabled at the same time.",
							NULL,
							&streaming_max_views,
							512, 1, 100000,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.role_share",
							"Percentage of streaming.max_streams and streaming.max_views that one role's streams and views may use.",
							"Superusers may use all.",
							&streaming_role_share,
							50, 1, 100,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.batches_kept",
							"Number of last batches of each view that streaming.batches shows.",
							NULL,
							&streaming_batches_kept,
							100, 1, 10000,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
}

/* What the workers that run views may use. */
static void
define_worker_settings(void)
{
	DefineCustomIntVariable("streaming.query_workers",
							"Processes in each database that run continuous views.",
							"Views are spread over them. Each takes a slot of max_worker_processes, as do the streams that are read, each database and the launcher.",
							&streaming_query_workers,
							2, 1, 1000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.max_query_workers",
							"Processes in each database that run continuous views, at most.",
							"Beyond streaming.query_workers they are started while batches that take long hold up other views. One role's batches may hold up half of them.",
							&streaming_max_query_workers,
							8, 1, 1000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.work_mem",
							"work_mem of the processes that run continuous views.",
							"Batches and state that need more go to temporary files and tables.",
							&streaming_work_mem,
							64 * 1024, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.state_memory",
							"Memory of each process that runs continuous views in which it keeps where the rows of their state are.",
							"About 13 bytes a row. A table of state that does not fit gets an index, which is slower.",
							&streaming_state_memory,
							160 * 1024, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.arrow_memory",
							"Memory that Apache Arrow may take in each process that reads Parquet or Arrow files.",
							"A file that needs more is not read.",
							&streaming_arrow_memory,
							256 * 1024, 16 * 1024, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.batch_rows",
							"Rows that a batch takes at most from a source that it reads itself, or writes to a stream.",
							"The view option streaming.max_rows_per_trigger overrides it.",
							&streaming_batch_rows,
							100000, 1, INT_MAX,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.catch_up_rate",
							"Rows a second that a view takes from a stream at most while it catches up.",
							"The view option of the same name overrides it. 0: no limit.",
							&streaming_catch_up_rate,
							0, 0, INT_MAX,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.retry_max",
							"Longest pause before a view or a source that failed is tried again.",
							"Pauses begin short and double with each failure.",
							&streaming_retry_max,
							60 * 1000, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.lock_timeout",
							"Longest wait of a batch for a lock, such as one on a row of its sink.",
							"The batch is then given up and tried again later, so that the other views of the same process run meanwhile. 0: no limit.",
							&streaming_lock_timeout,
							2 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("streaming.synchronous_commit",
							 "Small batches wait until they are on disk when they commit.",
							 "Otherwise they are on disk soon after, and what a crash takes is computed anew. Only batches whose results stay in the view are concerned; the others do as synchronous_commit says.",
							 &streaming_synchronous_commit,
							 false,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.batch_timeout",
							"Longest time that a batch may take.",
							"A batch that takes longer is canceled and tried again later. 0: no limit.",
							&streaming_batch_timeout,
							0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

/* What reading and buffering a stream may use. */
static void
define_source_settings(void)
{
	DefineCustomIntVariable("streaming.buffer_size",
							"Size of a stream's buffer at which reading its source waits for the views.",
							NULL,
							&streaming_buffer_size,
							256 * 1024, 1024, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.push_limit",
							"Rows that views have not taken yet, above which INSERT and COPY into a stream wait.",
							"A statement waits before it inserts, until the slowest view that runs has caught up. 0: never.",
							&streaming_push_limit,
							1024 * 1024, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.rejected_limit",
							"Rows of streaming.rejected_rows that are kept of each stream, at most.",
							"When more records are rejected, the oldest rows are deleted. -1: no limit.",
							&streaming_rejected_limit,
							10000, -1, INT_MAX,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.source_memory",
							"Memory for messages of a Kafka stream that have arrived and are not yet decoded.",
							NULL,
							&streaming_source_memory,
							64 * 1024, 1024, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.idle_partition_timeout",
							"Time after which a partition that has no new records no longer holds back the watermark.",
							"Rows that it gets later may be late. 0: it holds it back for ever.",
							&streaming_idle_partition_timeout,
							60 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.scan_interval",
							"Time between scans of a directory stream for new files.",
							"Files that the operating system reports are noticed at once; the scan finds the others, such as those of network file systems.",
							&streaming_scan_interval,
							10 * 1000, 10, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.connect_timeout",
							"Longest wait for a source in a call that a user waits for.",
							NULL,
							&streaming_connect_timeout,
							10 * 1000, 1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.reachable_timeout",
							"Longest wait for a broker in CREATE and ALTER of servers, streams and continuous views, which warn if it cannot be reached.",
							"0: they do not look whether brokers, topics and directories are there.",
							&streaming_reachable_timeout,
							1000, 0, 10 * 1000,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

/* What writing to Kafka and to directories may use. */
static void
define_sink_settings(void)
{
	DefineCustomIntVariable("streaming.outbox_size",
							"Undelivered messages of a stream above which nothing more is written to it.",
							"Views that write to the stream do not run, and INSERT and COPY wait before their first row, until enough has been delivered. 0: never.",
							&streaming_outbox_size,
							1024 * 1024, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("streaming.delivery_idle_timeout",
							"Time after which a delivery worker that has nothing to do ends.",
							"It is started again when there is something. 0: it stays.",
							&streaming_delivery_idle_timeout,
							10 * 60 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomStringVariable("streaming.stop_point",
							   "Place at which the extension's workers wait.",
							   "For tests: the processes that come by wait until this setting is changed.",
							   &streaming_stop_point_name,
							   "",
							   PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							   NULL, NULL, NULL);
}
