/*
 * vacuum.h
 *		VACUUM and ANALYZE of the extension's own tables by the workers that write them.
 */
#ifndef STREAMING_VACUUM_H
#define STREAMING_VACUUM_H

/*
 * VACUUMs a table, in transactions of its own: to be called outside of any, by a
 * worker connected as superuser.  Shown in pg_stat_activity meanwhile.
 *
 * It is an offer: nothing happens if the table is not there or somebody holds a
 * lock on it, such as another VACUUM, and an error goes to the log.  What some
 * snapshot still sees stays.
 *
 * truncate: pages without rows at the end of the file are given back, for which
 * it may have to wait some seconds for those who read the table.
 */
extern void streaming_vacuum(const char *schema, const char *table, bool truncate);

/* Ditto, ANALYZEs one column of a table. */
extern void streaming_analyze(const char *schema, const char *table, const char *column);

#endif							/* STREAMING_VACUUM_H */
