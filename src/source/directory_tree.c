/*
 * directory_tree.c
 *		The directories that a watch knows, and the files in them.
 *
 * See directory_watch.c for the idea.  A leaf remembers the files that are in
 * it now, not all that ever were: memory is bounded by what lies there.
 */
#include "postgres.h"

#include "streaming.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "source/beneath.h"
#include "common/hashfn.h"
#include "source/directory_files.h"
#include "source/directory_tree.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

/* How long a file that was created in place must rest if it is never closed. */
#define HOLD_TIME		10		/* s */

/*
 * A directory's time of modification says nothing about changes within the
 * granularity of the file system's clock; and a file that young, which inotify
 * has not told of yet, is left to it.
 */
#define YOUNG_TIME		2		/* s */

typedef enum SeenState
{
	SEEN_NEW,					/* next: any of the others */
	SEEN_RETURNED,				/* next: itself, when it is replaced */
	SEEN_HELD,					/* being written; next: RETURNED */
	SEEN_LINK,					/* a symbolic link; next: any */
	SEEN_REFUSED				/* its name cannot be stored */
} SeenState;

/*
 * A file that is in a directory.  Its name is kept as a hash of 128 bits,
 * since there may be a million of them: too wide to collide.
 */
typedef struct SeenKey
{
	uint64		a;
	uint64		b;
} SeenKey;

typedef struct Seen
{
	SeenKey		key;
	int64		size;
	int64		mtime_ns;
	uint32		round;			/* of the collection it was last returned by */
	uint8		state;			/* SeenState */
	char		status;			/* of simplehash */
} Seen;

#define SH_PREFIX		seen
#define SH_ELEMENT_TYPE Seen
#define SH_KEY_TYPE		SeenKey
#define SH_KEY			key
#define SH_HASH_KEY(tb, k)	((uint32) (k).a)
#define SH_EQUAL(tb, x, y)	((x).a == (y).a && (x).b == (y).b)
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Child
{
	SeenKey		key;			/* of the name */
	StreamingDirectory *directory;
	char		status;			/* of simplehash */
} Child;

#define SH_PREFIX		child
#define SH_ELEMENT_TYPE Child
#define SH_KEY_TYPE		SeenKey
#define SH_KEY			key
#define SH_HASH_KEY(tb, k)	((uint32) (k).a)
#define SH_EQUAL(tb, x, y)	((x).a == (y).a && (x).b == (y).b)
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* directories */
static void directory_watch(StreamingWatch *watch, StreamingDirectory *directory);
static bool directory_read(StreamingWatch *watch, StreamingDirectory *directory, int fd,
						   StreamingCollection *collection, int64 mtime_ns);
static int	entries_read(StreamingWatch *watch, StreamingDirectory *directory, int fd,
						 seen_hash *seen, bool events, StreamingCollection *collection,
						 bool *unsettled);
static int	entries_meet(StreamingWatch *watch, StreamingDirectory *directory, DIR *dir,
						 seen_hash *seen, bool events, StreamingCollection *collection,
						 bool *unsettled);
static void directory_meet(StreamingWatch *watch, StreamingDirectory *directory, int fd,
						   const char *name);
static void set_trouble(StreamingWatch *watch, const char *path, int error);

/* files */
static Seen *file_meet(StreamingWatch *watch, StreamingDirectory *directory, int fd,
					   seen_hash *into, const char *name, bool events,
					   StreamingCollection *collection);
static bool file_return(StreamingWatch *watch, StreamingDirectory *directory, Seen *seen,
						const char *path, const struct stat *st, StreamingCollection *collection);
static Seen *seen_carry(seen_hash *into, const Seen *known);
static void remark_link(StreamingWatch *watch, const char *path);

/* names */
static char *entry_path(const StreamingDirectory *directory, const char *name);
static SeenKey name_key(const char *name);

StreamingDirectory *
streaming_tree_make(StreamingWatch *watch, StreamingDirectory *parent, const char *path)
{
	MemoryContext old = MemoryContextSwitchTo(watch->context);
	StreamingDirectory  *directory = palloc0(sizeof(StreamingDirectory));

	directory->path = pstrdup(path);
	directory->depth = parent == NULL ? 0 : parent->depth + 1;
	directory->parent = parent;
	directory->wd = -1;
	if (streaming_tree_is_leaf(watch, directory))
		directory->seen = seen_create(watch->context, 16, NULL);
	else
		directory->children = child_create(watch->context, 16, NULL);
	MemoryContextSwitchTo(old);
	return directory;
}

void
streaming_tree_drop(StreamingWatch *watch, StreamingDirectory *directory)
{
	if (directory->children != NULL)
	{
		child_iterator iterator;
		Child	   *child;

		child_start_iterate(directory->children, &iterator);
		while ((child = child_iterate(directory->children, &iterator)) != NULL)
			streaming_tree_drop(watch, child->directory);
		child_destroy(directory->children);
	}
	streaming_tree_unwatch(watch, directory);
	if (directory->seen != NULL)
		seen_destroy(directory->seen);
	pfree(directory->path);
	pfree(directory);
}

/*
 * Watches a directory.  Must be done before it is read, so that nothing falls
 * between.  One inode has one watch: a directory that is reached by two paths
 * is watched by one of them, the other one is scanned.
 */
static void
directory_watch(StreamingWatch *watch, StreamingDirectory *directory)
{
	uint32		mask = IN_ONLYDIR | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
	StreamingWatchedDirectory *entry;
	bool		found;
	int			wd;

	if (watch->inotify < 0 || directory->wd >= 0 || watch->no_watches)
		return;
	if (streaming_tree_is_leaf(watch, directory))
		mask |= IN_CLOSE_WRITE;
	else
		mask |= IN_MOVED_FROM | IN_DELETE;
	if (!watch->stream->follow_symlinks && directory->parent != NULL)
		mask |= IN_DONT_FOLLOW;

	/* IN_MASK_CREATE would refuse a second watch, but not on older kernels. */
	wd = inotify_add_watch(watch->inotify, directory->path, mask);
	if (wd < 0)
	{
		if (errno == ENOSPC || errno == ENOMEM)
		{
			watch->no_watches = true;
			ereport(LOG,
					(errmsg("could not watch directory \"%s\": %m", directory->path),
					 errdetail("New files in further directories are found by the periodic scan only."),
					 errhint("Raise the system's limit fs.inotify.max_user_watches.")));
		}
		return;
	}
	entry = hash_search(watch->by_wd, &wd, HASH_ENTER, &found);
	if (found)
		return;
	entry->directory = directory;
	directory->wd = wd;
}

void
streaming_tree_unwatch(StreamingWatch *watch, StreamingDirectory *directory)
{
	if (directory->wd < 0)
		return;
	if (watch->inotify >= 0)
		(void) inotify_rm_watch(watch->inotify, directory->wd);
	(void) hash_search(watch->by_wd, &directory->wd, HASH_REMOVE, NULL);
	directory->was_watched = false;
	directory->wd = -1;
}

bool
streaming_tree_scan(StreamingWatch *watch, StreamingDirectory *directory, StreamingCollection *collection)
{
	struct stat st;
	int64		mtime_ns;
	int			fd;

	CHECK_FOR_INTERRUPTS();
	directory_watch(watch, directory);
	fd = streaming_beneath_directory(watch->stream, directory->path);
	if (fd < 0 || fstat(fd, &st) != 0)
	{
		int			error = errno;

		if (fd >= 0)
			(void) close(fd);
		/* A directory further down may come and go; the base should be there. */
		if (directory->parent == NULL || (error != ENOENT && error != ENOTDIR))
			set_trouble(watch, directory->path, error);

		/* Of one that may not be read now is kept what is known. */
		return error == EACCES || error == EMFILE || error == ENFILE;
	}
	mtime_ns = (int64) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;

	if (directory->device != st.st_dev || directory->inode != st.st_ino)
	{
		/* Another directory has taken its place (or it is new). */
		if (directory->inode != 0)
		{
			streaming_tree_unwatch(watch, directory);
			directory_watch(watch, directory);
		}
		directory->device = st.st_dev;
		directory->inode = st.st_ino;
		directory->mtime_ns = 0;
		directory->settled = false;
	}

	if (!directory->settled || directory->mtime_ns != mtime_ns)
	{
		if (!directory_read(watch, directory, fd, collection, mtime_ns))
			return true;
	}
	else
		(void) close(fd);

	if (directory->children != NULL)
	{
		child_iterator iterator;
		Child	   *child;

		child_start_iterate(directory->children, &iterator);
		while ((child = child_iterate(directory->children, &iterator)) != NULL)
		{
			if (!streaming_tree_scan(watch, child->directory, collection))
			{
				streaming_tree_drop(watch, child->directory);
				child_delete_item(directory->children, child);
			}
		}
	}
	return true;
}

/*
 * Reads a directory, whose descriptor it closes: makes and drops children, or
 * returns new files.  Returns false if it could not be read; what is known of it
 * is then kept.
 */
static bool
directory_read(StreamingWatch *watch, StreamingDirectory *directory, int fd,
			   StreamingCollection *collection, int64 mtime_ns)
{
	bool		leaf = streaming_tree_is_leaf(watch, directory);
	bool		events = directory->wd >= 0 && directory->was_watched && !watch->lost_events;
	seen_hash  *seen = NULL;
	bool		unsettled = false;
	child_iterator iterator;
	Child	   *child;
	int			error;

	/*
	 * What is known of the files is carried into a new table, so that files
	 * which are gone are forgotten.
	 */
	if (leaf)
		seen = seen_create(watch->context, Max(directory->seen->members, 16), NULL);
	else
	{
		child_start_iterate(directory->children, &iterator);
		while ((child = child_iterate(directory->children, &iterator)) != NULL)
			child->directory->found = false;
	}

	error = entries_read(watch, directory, fd, seen, events, collection, &unsettled);
	if (error != 0)
	{
		/* Half of the names are better than none, but the rest is not gone. */
		if (seen != NULL)
			seen_destroy(seen);
		set_trouble(watch, directory->path, error);
		directory->settled = false;
		return false;
	}

	if (leaf)
	{
		seen_destroy(directory->seen);
		directory->seen = seen;
	}
	else
	{
		child_start_iterate(directory->children, &iterator);
		while ((child = child_iterate(directory->children, &iterator)) != NULL)
		{
			if (!child->directory->found)
			{
				streaming_tree_drop(watch, child->directory);
				child_delete_item(directory->children, child);
			}
		}
	}

	directory->was_watched = directory->wd >= 0;
	directory->mtime_ns = mtime_ns;
	directory->settled = !unsettled &&
		mtime_ns < collection->now_ns - (int64) YOUNG_TIME * 1000000000;
	return true;
}

/*
 * Looks at the entries that match, and closes fd.  Sets *unsettled if one of
 * them is to be looked at again; returns why the reading ended, as an errno.
 */
static int
entries_read(StreamingWatch *watch, StreamingDirectory *directory, int fd, seen_hash *seen,
			 bool events, StreamingCollection *collection, bool *unsettled)
{
	DIR		   *dir = fdopendir(fd);
	volatile int error = errno;

	if (dir == NULL)
	{
		(void) close(fd);
		return error;
	}
	PG_TRY();
	{
		error = entries_meet(watch, directory, dir, seen, events, collection, unsettled);
	}
	PG_FINALLY();
	{
		(void) closedir(dir);
	}
	PG_END_TRY();
	return error;
}

static int
entries_meet(StreamingWatch *watch, StreamingDirectory *directory, DIR *dir, seen_hash *seen,
			 bool events, StreamingCollection *collection, bool *unsettled)
{
	bool		leaf = streaming_tree_is_leaf(watch, directory);
	struct dirent *entry;

	while (errno = 0, (entry = readdir(dir)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			!streaming_tree_matches(watch, directory->depth, entry->d_name))
			continue;
		if (!leaf)
		{
			if (entry->d_type == DT_DIR || entry->d_type == DT_LNK ||
				entry->d_type == DT_UNKNOWN)
				directory_meet(watch, directory, dirfd(dir), entry->d_name);
		}
		else if (entry->d_type == DT_REG || entry->d_type == DT_LNK ||
				 entry->d_type == DT_UNKNOWN)
		{
			Seen	   *met = file_meet(watch, directory, dirfd(dir), seen, entry->d_name,
										events, collection);

			if (met == NULL || met->state == SEEN_HELD)
				*unsettled = true;
		}
	}
	return errno;
}

/* An entry that matches and may be a directory. */
static void
directory_meet(StreamingWatch *watch, StreamingDirectory *directory, int fd, const char *name)
{
	SeenKey		key = name_key(name);
	Child	   *child = child_lookup(directory->children, key);

	if (child == NULL)
	{
		char	   *path = entry_path(directory, name);
		struct stat st;
		bool		found;

		if (streaming_beneath_stat(watch->stream, fd, name, &st) != 0)
			st.st_mode = 0;
		if (S_ISLNK(st.st_mode))
			remark_link(watch, path);
		if (S_ISDIR(st.st_mode))
		{
			StreamingDirectory  *made = streaming_tree_make(watch, directory, path);

			child = child_insert(directory->children, key, &found);
			child->directory = made;
		}
		pfree(path);
	}
	if (child != NULL)
		child->directory->found = true;
}

static void
set_trouble(StreamingWatch *watch, const char *path, int error)
{
	if (watch->trouble != NULL)
		return;					/* the first one is nearest to the base */
	watch->trouble = MemoryContextStrdup(watch->context,
										 psprintf("could not read directory \"%s\": %s",
												  pg_verifymbstr(path, strlen(path), true) ?
												  path : watch->base,
												  streaming_beneath_error(watch->stream, error)));
	watch->trouble_errno = error;
}

/* ------------------------------------------------------------------------
 * Files
 * ------------------------------------------------------------------------ */

/*
 * The reading of a directory has met a name that matches.  Enters it into the
 * new table and returns the entry, or NULL if it was not entered and is to be
 * looked at again.  events: the directory has been watched since it was read
 * last, so that there has been an event for what is new.
 */
static Seen *
file_meet(StreamingWatch *watch, StreamingDirectory *directory, int fd, seen_hash *into,
		  const char *name, bool events, StreamingCollection *collection)
{
	SeenKey		key = name_key(name);
	Seen	   *known = seen_lookup(directory->seen, key);
	Seen	   *seen;
	bool		found;
	char	   *path;
	struct stat st;

	if (known != NULL && (known->state == SEEN_REFUSED ||
						  (known->state == SEEN_RETURNED && events)))
	{
		/* Nothing to look at: events tell if it is replaced. */
		return seen_carry(into, known);
	}

	path = entry_path(directory, name);
	if (streaming_beneath_stat(watch->stream, fd, name, &st) != 0 ||
		(!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)))
	{
		pfree(path);
		return NULL;
	}
	if (S_ISLNK(st.st_mode))
	{
		if (known == NULL || known->state != SEEN_LINK)
			remark_link(watch, path);
		pfree(path);
		seen = seen_insert(into, key, &found);
		seen->state = SEEN_LINK;
		return seen;
	}

	if (known != NULL && known->state == SEEN_HELD && directory->wd >= 0 &&
		st.st_mtim.tv_sec > collection->now_ns / 1000000000 - HOLD_TIME)
	{
		pfree(path);
		return seen_carry(into, known);
	}
	if (known == NULL && events &&
		st.st_mtim.tv_sec > collection->now_ns / 1000000000 - YOUNG_TIME)
	{
		pfree(path);
		return NULL;
	}

	if (known != NULL)
		seen = seen_carry(into, known);
	else
	{
		seen = seen_insert(into, key, &found);
		seen->state = SEEN_NEW;
	}
	if (!file_return(watch, directory, seen, path, &st, collection))
		pfree(path);
	return seen;
}

void
streaming_tree_event(StreamingWatch *watch, StreamingDirectory *directory, const char *name,
		   bool created, StreamingCollection *collection)
{
	SeenKey		key = name_key(name);
	Seen	   *seen;
	bool		found;
	char	   *path;
	struct stat st;
	int			fd;

	if (!streaming_tree_matches(watch, directory->depth, name))
		return;
	fd = streaming_beneath_directory(watch->stream, directory->path);
	if (fd < 0)
		return;
	path = entry_path(directory, name);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
	{
		/* A link is complete as soon as it is there. */
		if (S_ISLNK(st.st_mode) || st.st_nlink > 1)
			created = false;
		if (S_ISLNK(st.st_mode) &&
			streaming_beneath_stat(watch->stream, fd, name, &st) != 0)
			st.st_mode = 0;
		if (S_ISLNK(st.st_mode))
		{
			remark_link(watch, path);
			seen = seen_insert(directory->seen, key, &found);
			seen->state = SEEN_LINK;
		}
		if (S_ISREG(st.st_mode))
		{
			seen = seen_insert(directory->seen, key, &found);
			if (!found)
				seen->state = SEEN_NEW;
			if (created)
			{
				seen->state = SEEN_HELD;
				directory->settled = false;
			}
			else if (file_return(watch, directory, seen, path, &st, collection))
				path = NULL;
		}
	}
	(void) close(fd);
	if (path != NULL)
		pfree(path);
}

/*
 * Adds a file to the collection, which takes over path.  Returns false if it
 * was returned before as it is now, or cannot be: its name cannot be stored.
 */
static bool
file_return(StreamingWatch *watch, StreamingDirectory *directory, Seen *seen,
			const char *path, const struct stat *st, StreamingCollection *collection)
{
	StreamingFound *found;
	size_t		length = strlen(path);
	int64		mtime_ns = (int64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;

	if (seen->state == SEEN_REFUSED)
		return false;
	if (seen->state == SEEN_RETURNED &&
		(seen->round == watch->round ||
		 (seen->size == st->st_size && seen->mtime_ns == mtime_ns)))
		return false;
	seen->size = st->st_size;
	seen->mtime_ns = mtime_ns;
	seen->round = watch->round;
	if (!pg_verifymbstr(path, length, true))
	{
		seen->state = SEEN_REFUSED;
		streaming_watch_remark(watch, "a file in directory \"%s\" is ignored: its name is not valid in encoding \"%s\"",
							   pg_verifymbstr(directory->path, strlen(directory->path), true) ?
							   directory->path : watch->base,
							   GetDatabaseEncodingName());
		return false;
	}
	if (length > STREAMING_FILE_MAX_PATH)
	{
		seen->state = SEEN_REFUSED;
		streaming_watch_remark(watch, "file \"%s\" is ignored: its path is longer than %d bytes",
							   path, STREAMING_FILE_MAX_PATH);
		return false;
	}

	seen->state = SEEN_RETURNED;
	if (collection->n == collection->allocated)
	{
		collection->allocated *= 2;
		collection->files = repalloc_huge(collection->files,
										  sizeof(StreamingFound) * collection->allocated);
	}
	found = &collection->files[collection->n++];
	found->path = unconstify(char *, path);
	streaming_watch_stat(st, found);
	return true;
}

/* Once, since there may be as many as somebody likes to make. */
static void
remark_link(StreamingWatch *watch, const char *path)
{
	if (!watch->link_remarked)
		streaming_watch_remark(watch, "symbolic links are ignored, such as \"%s\"",
							   pg_verifymbstr(path, strlen(path), true) ? path : watch->base);
	watch->link_remarked = true;
}

/* Takes what is known of a file into a new table. */
static Seen *
seen_carry(seen_hash *into, const Seen *known)
{
	bool		found;
	Seen	   *seen = seen_insert(into, known->key, &found);

	seen->size = known->size;
	seen->mtime_ns = known->mtime_ns;
	seen->round = known->round;
	seen->state = known->state;
	return seen;
}

/* ------------------------------------------------------------------------
 * Names
 * ------------------------------------------------------------------------ */

bool
streaming_tree_matches(StreamingWatch *watch, int depth, const char *name)
{
	const char *pattern = watch->patterns[depth];

	if (depth < watch->npatterns - 1 && streaming_tree_is_literal(pattern))
		return strcmp(pattern, name) == 0;
	if (name[0] == '.' || name[0] == '_')
		return false;
	return fnmatch(pattern, name, 0) == 0;
}

static char *
entry_path(const StreamingDirectory *directory, const char *name)
{
	return psprintf("%s/%s", strcmp(directory->path, "/") == 0 ? "" : directory->path, name);
}

static SeenKey
name_key(const char *name)
{
	const unsigned char *bytes = (const unsigned char *) name;
	int			length = strlen(name);
	SeenKey		key;

	key.a = hash_bytes_extended(bytes, length, UINT64CONST(0x9ae16a3b2f90404f));
	key.b = hash_bytes_extended(bytes, length, UINT64CONST(0xc3a5c85c97cb3127));
	return key;
}
