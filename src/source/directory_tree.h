/*
 * directory_tree.h
 *		The directories that a watch knows: shared by directory_watch.c, which
 *		asks, and directory_tree.c, which looks.
 */
#ifndef STREAMING_DIRECTORY_TREE_H
#define STREAMING_DIRECTORY_TREE_H

#include <sys/stat.h>

#include "base/clock.h"
#include "source/directory_watch.h"
#include "utils/hsearch.h"

typedef struct StreamingDirectory
{
	char	   *path;
	int			depth;			/* index of the pattern for its entries */
	int			wd;				/* of inotify, or -1 */
	bool		was_watched;	/* already when it was read last */
	dev_t		device;
	ino_t		inode;
	int64		mtime_ns;		/* when it was read last; 0: never */
	bool		settled;		/* if that is still so, nothing is new */
	bool		found;			/* its parent's current reading has met it */
	struct StreamingDirectory *parent;
	struct child_hash *children;	/* unless it is a leaf */
	struct seen_hash *seen;		/* if it is one: its files */
} StreamingDirectory;

/* An entry of StreamingWatch.by_wd. */
typedef struct StreamingWatchedDirectory
{
	int			wd;				/* key */
	StreamingDirectory *directory;
} StreamingWatchedDirectory;

struct StreamingWatch
{
	MemoryContext context;
	const StreamingStream *stream;
	char	   *base;
	char	  **patterns;
	int			npatterns;
	StreamingDirectory *root;	/* NULL: the base is not there */

	int			inotify;		/* descriptor, or -1 */
	bool		no_watches;		/* the kernel's limit is reached; logged */
	HTAB	   *by_wd;
	bool		rescan;			/* events ask for a scan */
	bool		lost_events;	/* the kernel's queue has overflown */
	uint32		round;			/* number of the current collection */

	char	   *trouble;
	int			trouble_errno;
	bool		link_remarked;
	char	   *remark;
	StreamingTime remark_time;
};

/* What one call of streaming_watch_collect gathers. */
typedef struct StreamingCollection
{
	StreamingFound *files;
	int			n;
	int			allocated;
	int64		now_ns;
} StreamingCollection;

/* Does it hold files, not directories, that are wanted? */
static inline bool
streaming_tree_is_leaf(const StreamingWatch *watch, const StreamingDirectory *directory)
{
	return directory->depth == watch->npatterns - 1;
}

static inline bool
streaming_tree_is_literal(const char *component)
{
	return strpbrk(component, "*?[\\") == NULL;
}

/* in directory_tree.c */

/* Makes a directory, of which nothing is known yet; parent NULL: the base. */
extern StreamingDirectory *streaming_tree_make(StreamingWatch *watch,
											   StreamingDirectory *parent, const char *path);

/* Forgets a directory and all below it.  The caller unlinks it from its parent. */
extern void streaming_tree_drop(StreamingWatch *watch, StreamingDirectory *directory);

/* Does the name of an entry of a directory at depth match? */
extern bool streaming_tree_matches(StreamingWatch *watch, int depth, const char *name);

/* Its watch is gone or of no use. */
extern void streaming_tree_unwatch(StreamingWatch *watch, StreamingDirectory *directory);

/*
 * Looks at a directory and all below it.  Returns false if it is not there,
 * and so is to be dropped; what keeps it from being read is noted as trouble.
 */
extern bool streaming_tree_scan(StreamingWatch *watch, StreamingDirectory *directory,
								StreamingCollection *collection);

/*
 * The kernel tells that a name has come to a leaf (created), or that a file is
 * complete: moved there, or closed after writing.
 */
extern void streaming_tree_event(StreamingWatch *watch, StreamingDirectory *directory,
								 const char *name, bool created,
								 StreamingCollection *collection);

#endif							/* STREAMING_DIRECTORY_TREE_H */
