/*
 * path_partition.h
 *		Values in the names of directories: dt=2026-11-30/hour=05/x.json.
 */
#ifndef STREAMING_PATH_PARTITION_H
#define STREAMING_PATH_PARTITION_H

/* What a directory is called whose value is NULL. */
#define STREAMING_NULL_PARTITION	"__HIVE_DEFAULT_PARTITION__"

/* in path_partition.c */

/*
 * The value that the directories of path, a file's, have for name, palloc'd and not
 * checked to be valid in any encoding; *length is set.  NULL: none of them has one,
 * or it is NULL.  Only directories below base count, where path is below it.
 */
extern char *streaming_path_partition(const char *path, const char *base, const char *name,
									  size_t *length);

#endif							/* STREAMING_PATH_PARTITION_H */
