/*
 * notify.h
 *		What sessions and workers tell those who run things.
 */
#ifndef STREAMING_NOTIFY_H
#define STREAMING_NOTIFY_H

/* in slots.c */

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

#endif							/* STREAMING_NOTIFY_H */
