/*
 * worker.h
 *		Who runs it: the launcher, a coordinator per database, ingest,
 *		query and delivery workers.
 */
#ifndef STREAMING_WORKER_H
#define STREAMING_WORKER_H

#include "postgres.h"

#include "catalog/view.h"
#include "nodes/primnodes.h"

/* entry points named in RegisterBackgroundWorker; in the file of that name */
extern PGDLLEXPORT void streaming_launcher_main(Datum arg);
extern PGDLLEXPORT void streaming_coordinator_main(Datum arg);
extern PGDLLEXPORT void streaming_ingest_main(Datum arg);
extern PGDLLEXPORT void streaming_query_main(Datum arg);
extern PGDLLEXPORT void streaming_delivery_main(Datum arg);

/* in launcher.c */
extern void streaming_launcher_register(void);	/* from _PG_init */

/* in reset.c */

/*
 * Resets view, and those that read it, if a crash has emptied its tables
 * (sink/sink_memory.c) or streaming_reset_later was called for it.  For a worker
 * that takes it up, in a transaction of its own.
 */
extern void streaming_reset_if_lost(Oid view);

/* in restore.c */

/*
 * Views that came from a dump or from another database begin to run when all
 * that belongs to them is there: what pg_dump does not know of is made good.
 * Rows of views that are no more go.
 * For the coordinator, in a transaction, before it reads the catalog.  Does not wait
 * for who has a view locked: true, if it is to be called again for that.
 */
extern bool streaming_restore_views(void);

/*
 * Makes what tells, in a dump that is restored, that all is there; called when
 * a user makes a continuous view.
 */
extern void streaming_restore_make_marker(void);
extern bool streaming_restore_is_marker(const RangeVar *name);

/* A statement makes the relation of that name.  True: it need not, all is done. */
extern bool streaming_restore_begin(const RangeVar *name);

/*
 * The row of view in streaming_internal.continuous_view is new, or has changed: writes it down
 * for dumps without data, in options_<id>.
 */
extern void streaming_restore_keep(Oid view);
extern char *streaming_options_name(int32 id);

/* Is all there of a view that comes from a dump?  Then it is about to run. */
extern bool streaming_restore_is_complete(const StreamingView *view);

/* in worker_session.c */

/*
 * Settings of the database, or of the role we connect as, must not leak in.  A
 * worker calls it when it has connected and after each reload, and adds what it
 * wants beyond.
 */
extern void streaming_worker_set_session(void);

/*
 * Between transactions, before a worker waits: hands over what it has counted.
 * Returns after how many ms it wants to be called again, which is once what the
 * last transactions counted has waited for long; -1 if nothing waits.
 */
extern long streaming_worker_report_stats(void);

/*
 * Between transactions: exits if it is to, reloads the configuration, after
 * which set_session is called.
 */
extern void streaming_worker_interrupts(void (*set_session) (void));

/*
 * Between on and off the coordinator is woken each second, to look for who waits
 * for this worker (watch.c), and the postmaster is looked for.
 */
extern void streaming_worker_watch(bool on);

/* Errors if a worker runs this: a function that a view calls has called function. */
extern void streaming_refuse_in_batch(const char *function);

#endif							/* STREAMING_WORKER_H */
