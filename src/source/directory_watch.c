/*
 * directory_watch.c
 *		Which files match a glob, and which of them are new.
 *
 * The glob is cut into a base, the directories named without wildcards, and
 * one pattern for each component after it; the last one is matched by files,
 * the others by directories:
 *
 *		/srv/landing/day-?/orders-*.csv
 *		base         [0]   [1]
 *
 * A tree of directories mirrors what matches.  Each has a watch of inotify, if
 * there is one, and the leaves know the files they have returned.  There are
 * two ways to learn of a file:
 *
 *	event	inotify says that a name was moved into a directory, or that a file
 *			written in place was closed.  Nothing else is looked at.
 *	scan	every directory is looked at, and read if it has changed since it
 *			was read last.  A scan of directories in which nothing happens
 *			costs one stat each.
 *
 * Files ought to be moved into place.  One that is seen to be created in place
 * is held back until it is closed, or, should that event be lost, until it has
 * rested for a while; but no promise hangs on that, since without inotify
 * (or before the process came) its creation is not seen.
 *
 * Names that begin with '.' or '_' are ignored, except a directory which the
 * glob names literally.  Symbolic links are ignored, with a remark, unless the
 * stream follows them.
 */
#include "postgres.h"

#include "streaming.h"

#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "source/directory_tree.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/fd.h"
#include "utils/memutils.h"

/* How long a remark is shown. */
#define REMARK_TIME		600000	/* ms */

#define EVENT_BUFFER	(64 * 1024)

static void events_read(StreamingWatch *watch, StreamingCollection *collection);
static int	found_cmp(const void *a, const void *b, void *arg);

StreamingWatch *
streaming_watch_open(const StreamingStream *stream)
{
	StreamingWatch *watch = palloc0(sizeof(StreamingWatch));
	StringInfoData base;
	char	   *copy = pstrdup(stream->path);
	char	   *component;
	char	   *rest = copy;
	bool		literal = true;
	List	   *components = NIL;
	ListCell   *lc;

	if (!is_absolute_path(stream->path))
		elog(ERROR, "path \"%s\" is not absolute", stream->path);

	watch->stream = stream;
	watch->context = CurrentMemoryContext;
	watch->inotify = -1;
	while ((component = strsep(&rest, "/")) != NULL)
	{
		if (component[0] != '\0')
			components = lappend(components, component);
	}

	initStringInfo(&base);
	watch->patterns = palloc0(sizeof(char *) * (list_length(components) + 1));
	foreach(lc, components)
	{
		component = lfirst(lc);
		if (lnext(components, lc) == NULL)
			literal = false;	/* the last one is for files in any case */
		else if (literal)
			literal = streaming_tree_is_literal(component);
		if (literal)
			appendStringInfo(&base, "/%s", component);
		else
			watch->patterns[watch->npatterns++] = pstrdup(component);
	}
	if (watch->npatterns == 0)
		elog(ERROR, "path \"%s\" names no file", stream->path);
	watch->base = base.len > 0 ? base.data : pstrdup("/");

	list_free(components);
	pfree(copy);
	return watch;
}

bool
streaming_watch_matches(StreamingWatch *watch, const char *path)
{
	size_t		length = strcmp(watch->base, "/") == 0 ? 0 : strlen(watch->base);
	char	   *rest = pstrdup(path);
	char	   *components = rest;
	char	   *component;
	int			depth = 0;
	bool		matches = strncmp(path, watch->base, length) == 0 && path[length] == '/';

	if (matches)
		rest += length + 1;
	while (matches && (component = strsep(&rest, "/")) != NULL)
	{
		matches = depth < watch->npatterns && streaming_tree_matches(watch, depth, component);
		depth++;
	}
	pfree(components);
	return matches && depth == watch->npatterns;
}

void
streaming_watch_close(StreamingWatch *watch)
{
	if (watch->inotify >= 0)
	{
		close(watch->inotify);	/* and with it all its watches */
		ReleaseExternalFD();
		watch->inotify = -1;
	}
}

int
streaming_watch_notify(StreamingWatch *watch)
{
	HASHCTL		control = {
		.keysize = sizeof(int),
		.entrysize = sizeof(StreamingWatchedDirectory),
		.hcxt = watch->context
	};

	if (watch->inotify >= 0)
		return watch->inotify;
	if (watch->by_wd == NULL)
		watch->by_wd = hash_create("watched directories", 16, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	if (AcquireExternalFD())
	{
		watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (watch->inotify < 0)
		{
			int			save_errno = errno;

			ReleaseExternalFD();
			errno = save_errno;
		}
	}
	if (watch->inotify < 0)
		ereport(LOG,
				(errmsg("could not watch directory \"%s\": %m", watch->base),
				 errdetail("New files are found by the periodic scan only."),
				 errhint("Raise the system's limit fs.inotify.max_user_instances or max_files_per_process.")));
	else
		watch->rescan = true;	/* to set the watches */
	return watch->inotify;
}

StreamingFound *
streaming_watch_collect(StreamingWatch *watch, bool scan, int *n)
{
	StreamingCollection	collection = {0};
	struct timespec now;

	watch->round++;
	clock_gettime(CLOCK_REALTIME, &now);
	collection.now_ns = (int64) now.tv_sec * 1000000000 + now.tv_nsec;
	collection.allocated = 16;
	collection.files = palloc(sizeof(StreamingFound) * collection.allocated);

	if (watch->inotify >= 0)
		events_read(watch, &collection);
	if (scan || watch->rescan)
	{
		watch->rescan = false;
		if (watch->trouble != NULL)
			pfree(watch->trouble);
		watch->trouble = NULL;
		if (watch->root == NULL)
			watch->root = streaming_tree_make(watch, NULL, watch->base);
		if (!streaming_tree_scan(watch, watch->root, &collection))
		{
			streaming_tree_drop(watch, watch->root);
			watch->root = NULL;
		}
		watch->lost_events = false;
	}

	qsort_arg(collection.files, collection.n, sizeof(StreamingFound), found_cmp,
			  unconstify(StreamingStream *, watch->stream));
	*n = collection.n;
	return collection.files;
}

void
streaming_watch_again(StreamingWatch *watch)
{
	if (watch->root != NULL)
		streaming_tree_drop(watch, watch->root);
	watch->root = NULL;
	watch->rescan = true;
}

bool
streaming_watch_wants_scan(StreamingWatch *watch)
{
	return watch->rescan;
}

const char *
streaming_watch_trouble(StreamingWatch *watch, int *error)
{
	*error = watch->trouble_errno;
	return watch->trouble;
}

void
streaming_watch_remark(StreamingWatch *watch, const char *format,...)
{
	StringInfoData message;
	MemoryContext old = MemoryContextSwitchTo(watch->context);

	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	MemoryContextSwitchTo(old);

	if (watch->remark != NULL)
		pfree(watch->remark);
	watch->remark = message.data;
	watch->remark_time = streaming_now();
	ereport(LOG, (errmsg_internal("%s", message.data)));
}

const char *
streaming_watch_last_remark(StreamingWatch *watch)
{
	if (watch->remark != NULL &&
		streaming_time_passed(watch->remark_time, streaming_now(), REMARK_TIME))
	{
		pfree(watch->remark);
		watch->remark = NULL;
	}
	return watch->remark;
}

void
streaming_watch_stat(const struct stat *st, StreamingFound *found)
{
	found->size = st->st_size;
	found->mtime_ns = (int64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	found->modified = time_t_to_timestamptz(st->st_mtim.tv_sec) + st->st_mtim.tv_nsec / 1000;
}

static void
events_read(StreamingWatch *watch, StreamingCollection *collection)
{
	char	   *buffer = palloc(EVENT_BUFFER);
	ssize_t		length;

	while ((length = read(watch->inotify, buffer, EVENT_BUFFER)) > 0)
	{
		const struct inotify_event *event;

		CHECK_FOR_INTERRUPTS();
		for (char *p = buffer; p < buffer + length; p += sizeof(*event) + event->len)
		{
			StreamingWatchedDirectory *entry;
			StreamingDirectory  *directory;

			event = (const struct inotify_event *) p;
			if (event->mask & IN_Q_OVERFLOW)
			{
				/* Directories that changed are read: their time tells which. */
				watch->rescan = true;
				watch->lost_events = true;
				continue;
			}
			entry = hash_search(watch->by_wd, &event->wd, HASH_FIND, NULL);
			if (entry == NULL)
				continue;
			directory = entry->directory;
			if (event->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF))
			{
				streaming_tree_unwatch(watch, directory);
				directory->settled = false;
				watch->rescan = true;
			}
			else if (!streaming_tree_is_leaf(watch, directory))
			{
				directory->settled = false;
				watch->rescan = true;
			}
			else if (event->len > 0 && !(event->mask & IN_ISDIR))
				streaming_tree_event(watch, directory, event->name,
						   (event->mask & IN_CREATE) != 0, collection);
		}
	}
	pfree(buffer);
}

static int
found_cmp(const void *a, const void *b, void *arg)
{
	const StreamingFound *x = a;
	const StreamingFound *y = b;
	const StreamingStream *stream = arg;

	if (!stream->by_name && x->mtime_ns != y->mtime_ns)
		return x->mtime_ns < y->mtime_ns ? -1 : 1;
	return strcmp(x->path, y->path);
}
