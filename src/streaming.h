/*
 * streaming.h
 *		What every file of the extension may rely on: names, limits, settings.
 *
 * Include it right after postgres.h.  Folders depend on each other only in the
 * order that README has them in; this header depends on none of them.
 *
 * Vocabulary (the README of this folder explains it):
 *
 *	stream		a foreign table of one of our wrappers
 *	view		a continuous view; identified by the oid of the view users read
 *	batch		what one trigger of one view takes in, one transaction
 *	position	per source partition, the next offset that is not yet taken
 */
#ifndef STREAMING_H
#define STREAMING_H

#include "compat.h"

/* Schemas: what users see, and what belongs to single views and streams. */
#define STREAMING_SCHEMA			"streaming"
#define STREAMING_INTERNAL_SCHEMA	"streaming_internal"

/* Option namespace of CREATE VIEW ... WITH (streaming.xxx = ...). */
#define STREAMING_OPTION_NAMESPACE	"streaming"

/* in guc.c: the settings, each described where it is defined */
extern int	streaming_max_streams;
extern int	streaming_max_views;
extern int	streaming_query_workers;
extern int	streaming_buffer_size;		/* kB, per stream */
extern int	streaming_batch_rows;		/* rows a batch takes at most by default */
extern int	streaming_catch_up_rate;	/* rows a second, 0: no limit */
extern int	streaming_arrow_memory;	/* kB, of a process */
extern int	streaming_work_mem;			/* kB, work_mem of a query worker */
extern int	streaming_state_memory;		/* kB, row maps of a query worker */
extern int	streaming_retry_max;		/* ms, ceiling of the back-off */
extern int	streaming_idle_partition_timeout;	/* ms */
extern int	streaming_max_query_workers;	/* with those for views that are held up */
extern int	streaming_batch_timeout;	/* ms, 0: none */
extern int	streaming_role_share;	/* per cent of streams, views that one role may use */
extern bool streaming_synchronous_commit;	/* of small batches */
extern int	streaming_lock_timeout;	/* ms, lock_timeout of batches; 0: none */
extern int	streaming_scan_interval;	/* ms, periodic scan of directories */
extern int	streaming_connect_timeout;	/* ms, for calls a user waits for */
extern int	streaming_reachable_timeout;	/* ms, 0: nobody looks */
extern int	streaming_batches_kept;		/* rows of streaming.batches a view */
extern int	streaming_push_limit;		/* kB, unread pushed rows of a stream */
extern int	streaming_rejected_limit;	/* rows kept of a stream, -1: all */
extern int	streaming_source_memory;	/* kB, librdkafka's queues of a stream */
extern int	streaming_outbox_size;		/* kB, undelivered messages of a stream */
extern int	streaming_delivery_idle_timeout;	/* ms, 0: none */
extern char *streaming_stop_point_name; /* "": none */
extern void streaming_guc_init(void);

/*
 * in stop_point.c: waits if the setting streaming.stop_point is name.  Called
 * outside transactions, in workers.
 */
extern void streaming_stop_point(const char *name);

/* in streaming.c */
extern bool streaming_is_loaded(void);	/* shared memory is there */
extern void streaming_require_loaded(void);	/* ereport if it is not */

#endif							/* STREAMING_H */
