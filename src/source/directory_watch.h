/*
 * directory_watch.h
 *		Which files match a glob, and which of them are new.
 */
#ifndef STREAMING_DIRECTORY_WATCH_H
#define STREAMING_DIRECTORY_WATCH_H

#include "catalog/stream.h"
#include "utils/timestamp.h"

typedef struct StreamingWatch StreamingWatch;

/* A regular file that matches, as it was when it was looked at. */
typedef struct StreamingFound
{
	char	   *path;			/* valid in the server encoding */
	int64		size;
	int64		mtime_ns;		/* since the Unix epoch */
	TimestampTz modified;		/* the same, as it is stored */
} StreamingFound;

/* in directory_watch.c */

/*
 * Makes a watch on the path of a directory stream, in CurrentMemoryContext.
 * stream must outlive it.  Looks at nothing yet.
 */
extern StreamingWatch *streaming_watch_open(const StreamingStream *stream);

/* Frees what a reset of the memory context would not; may not ereport. */
extern void streaming_watch_close(StreamingWatch *watch);

/*
 * Asks the kernel to tell of new files from now on (inotify).  Returns a
 * descriptor that becomes readable when there is news, or -1 if that cannot
 * be had, which is logged; then only scans find files.
 */
extern int	streaming_watch_notify(StreamingWatch *watch);

/*
 * Returns the files not returned before, in the order of their modification
 * time and then their name, or of their name alone, and sets *n: an array in CurrentMemoryContext.
 * Without scan only those that the kernel has told of; with it the
 * directories are read too, where they have changed since they were read
 * last.  A file whose content was replaced is returned again, if it is
 * noticed; so is one whose row could not be written (streaming_watch_again).
 */
extern StreamingFound *streaming_watch_collect(StreamingWatch *watch, bool scan, int *n);

/* Does a file of that path match? */
extern bool streaming_watch_matches(StreamingWatch *watch, const char *path);

/* Forget which files were returned: the next scan returns them all again. */
extern void streaming_watch_again(StreamingWatch *watch);

/* Would collect return something without a scan, or does it ask for one? */
extern bool streaming_watch_wants_scan(StreamingWatch *watch);

/*
 * What keeps directories from being read (NULL: nothing), as of the last
 * scan.  *error is the errno.
 */
extern const char *streaming_watch_trouble(StreamingWatch *watch, int *error);

/*
 * A remark about a single file that is not taken, or not as it is now: logged
 * once, and kept to be shown for some minutes.
 */
extern void streaming_watch_remark(StreamingWatch *watch, const char *format,...) pg_attribute_printf(2, 3);
extern const char *streaming_watch_last_remark(StreamingWatch *watch);

/* Fills found from what stat says of a file. */
struct stat;
extern void streaming_watch_stat(const struct stat *st, StreamingFound *found);

#endif							/* STREAMING_DIRECTORY_WATCH_H */
