/*
 * worker.h
 *		Who runs it: the launcher, a coordinator per database, ingest,
 *		query and delivery workers.
 */
#ifndef STREAMING_WORKER_H
#define STREAMING_WORKER_H

#include "postgres.h"

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

/*
 * Lets view, which reads another one, load that one anew when it is taken up
 * next.  It is locked as its batches lock it.
 */
extern void streaming_reset_later(Oid view);

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

/* in slots.c */

extern void streaming_slots_init(void); /* from _PG_init, after the settings */

/*
 * Something changed that the workers of this database should know of (a view
 * or stream was made, altered, dropped, enabled, reset; the extension was made
 * or dropped): at commit of the current transaction the coordinator, started
 * if there is none, reads the catalogs anew and tells the workers.  Cheap; may
 * be called many times.
 */
extern void streaming_workers_notify(void);

/* The same at once, for who is about to end its transaction, or its process. */
extern void streaming_workers_notify_now(void);

/* The coordinator of this database, if there is one, is to look at what it does. */
extern void streaming_wake_coordinator(void);

/*
 * The current transaction is about to do something to a database that must
 * have no connections: DROP DATABASE, ALTER DATABASE ... RENAME or SET
 * TABLESPACE, or CREATE DATABASE, whose template it is.  Waits until our
 * workers have left it and keeps them out until the end of the transaction;
 * then they come back, if the database is still there, and databases that are
 * new are looked at.  Does nothing for a database the user does not own: the
 * command will fail.
 */
extern void streaming_workers_leave_database(Oid dboid);

#endif							/* STREAMING_WORKER_H */
