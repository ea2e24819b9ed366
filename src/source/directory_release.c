/*
 * directory_release.c
 *		Files of a directory stream that all views have taken: option "after".
 *
 * What the disk does no rollback takes back, and a file that is gone cannot be
 * read again.  So each step on the disk follows the commit, flushed to disk, of a
 * row that says what is to be done; and each is such that it can be seen
 * afterwards whether it has been done:
 *
 *		row in streaming.files			on the disk, once that is durable
 *
 *		(taken)
 *		   |  all views' checkpoints are behind it
 *		LEAVING							orders.csv -> .taken-17-orders.csv
 *		   |
 *		ASIDE, path .taken-17-...		unlinked, or moved into the archive
 *		   |
 *		GONE
 *		   |  so are all before it, and there is one behind it
 *		(deleted)
 *
 * Nobody reads a file from LEAVING on.  A commit on disk has all before it on
 * disk, the checkpoints included: no crash takes a view back to before a file
 * that has been touched.  The row of the highest number stays, since the next
 * number is made of it.
 *
 * As long as a file has its own name it is compared with its row before it is
 * moved, and after: one that was changed or replaced meanwhile has rows that
 * nobody has had.  It goes back to its place, and is remembered as changed
 * (source_directory.c).  Once the name is free, a file that appears under it is a
 * new one.
 */
#include "postgres.h"

#include "streaming.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/beneath.h"
#include "catalog/pg_authid.h"
#include "base/clock.h"
#include "common/file_perm.h"
#include "source/directory_release.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"

/* One call: the stream is not read meanwhile, and each costs flushes to disk. */
#define RELEASE_FILES	4096
#define RELEASE_TIME	100		/* ms, about */

/* Rows that are read at a time. */
#define CHUNK_SIZE		64

#define HIDDEN_PREFIX	".taken-"

/* Other names that are tried where the archive has a file of that name. */
#define ARCHIVE_NAMES	1000

typedef struct Release
{
	const StreamingStream *stream;
	StreamingWatch *watch;
	StreamingFileTable table;
	int64		last;			/* highest number there is */
	int64	   *after;			/* there is no row up to this one */
	bool		front;			/* all rows so far are deleted */
	bool		end;			/* nothing to do behind this row */
	int			steps;			/* rows written */
	int			failures;
	char	   *trouble;		/* the first of them */

	/* the directory of the last file, kept for the next one's */
	char	   *directory;
	int			fd;				/* or -1 */
} Release;

static bool may_write(const StreamingStream *stream, char **trouble);
static void release_rows(Release *release, int64 below);
static void release_row(Release *release, StreamingFile *file);
static void set_aside(Release *release, StreamingFile *file);
static void finish(Release *release, StreamingFile *file);
static void keep_changed(Release *release, StreamingFile *file);
static void put_back(Release *release, StreamingFile *file);
static bool archive(Release *release, const StreamingFile *file, const char *hidden);
static int	archive_name(Release *release, const char *hidden, int to, const char *name);
static int	make_directory(const StreamingStream *stream, const char *path);
static int	look(Release *release, const char *path, int directory, const char *name);
static bool is_same(int directory, const char *name, const StreamingFile *file);
static int	rename_new(int from, const char *name, int to, const char *new_name);
static int	open_directory(Release *release, const char *path);
static void close_directory(Release *release);
static void write_row(Release *release, const StreamingFile *file, int64 records);
static void fail(Release *release, const char *what, const char *path, int error);
static const char *name_of(const char *path);
static char *hidden_path(const StreamingFile *file);
static char *own_path(const StreamingFile *file);

StreamingRelease
streaming_files_release(const StreamingStream *stream, StreamingWatch *watch, int64 *after,
						int64 below, char **trouble)
{
	Release    *release;

	*trouble = NULL;
	if (!may_write(stream, trouble))
		return STREAMING_RELEASE_LATER;

	/* Who begins anew chooses its first file under this lock. */
	if (!streaming_files_lock(stream->relid, 0))
		return STREAMING_RELEASE_LATER;

	release = palloc0(sizeof(Release));
	release->stream = stream;
	release->watch = watch;
	release->after = after;
	release->front = true;
	release->fd = -1;
	streaming_files_open(&release->table, stream->relid, RowExclusiveLock);
	release->last = streaming_files_last(&release->table);
	PG_TRY();
	{
		release_rows(release, below);
	}
	PG_FINALLY();
	{
		close_directory(release);
	}
	PG_END_TRY();
	streaming_files_close(&release->table);

	*trouble = release->trouble;
	if (release->failures > 0)
		return STREAMING_RELEASE_LATER;
	if (release->steps > 0)
		return STREAMING_RELEASE_MORE;
	return stream->after == STREAMING_AFTER_KEEP ? STREAMING_RELEASE_NEVER : STREAMING_RELEASE_DONE;
}

/*
 * Rights may be lost after the option was set.  Whoever owns the server says where
 * the files are.
 */
static bool
may_write(const StreamingStream *stream, char **trouble)
{
	Oid			owners[] = {stream->owner, GetForeignServer(GetForeignTable(stream->relid)->serverid)->owner};

	if (stream->after == STREAMING_AFTER_KEEP)
		return true;
	for (int i = 0; i < lengthof(owners); i++)
	{
		if (has_privs_of_role(owners[i], ROLE_PG_WRITE_SERVER_FILES))
			continue;
		*trouble = psprintf("files of stream %s are kept: the owner of its %s, \"%s\", has no privileges of the role \"%s\"",
							stream->name, i == 0 ? "foreign table" : "server",
							GetUserNameFromId(owners[i], false), "pg_write_server_files");
		return false;
	}
	return true;
}

static void
release_rows(Release *release, int64 below)
{
	StreamingFile files[CHUNK_SIZE];
	StreamingTime until = streaming_time_plus(streaming_now(), RELEASE_TIME);
	int64		after = *release->after;
	int			n;

	while (!release->end && release->steps + release->failures < RELEASE_FILES &&
		   (release->steps == 0 || streaming_now() < until) &&
		   (n = streaming_files_next(&release->table, after, files, CHUNK_SIZE)) > 0)
	{
		for (int i = 0; i < n && !release->end; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (files[i].number >= below)
				return;
			release_row(release, &files[i]);
			after = files[i].number;
		}
	}
}

/* Takes one file one step further. */
static void
release_row(Release *release, StreamingFile *file)
{
	bool		keep = release->stream->after == STREAMING_AFTER_KEEP;

	if (file->records == STREAMING_FILE_GONE)
	{
		if (release->front && file->number < release->last)
		{
			streaming_files_delete(&release->table, file->number);
			*release->after = file->number;
			release->steps++;
		}
		return;
	}
	release->front = false;
	if (file->records == STREAMING_FILE_LEAVING || file->records == STREAMING_FILE_ASIDE)
	{
		if (keep)				/* the option has been altered in between */
			put_back(release, file);
		else if (file->records == STREAMING_FILE_LEAVING)
			set_aside(release, file);
		else
			finish(release, file);
	}
	else if (keep)
		release->end = true;
	else if (!file->changed && file->records != STREAMING_FILE_GIVEN_UP &&
			 streaming_watch_matches(release->watch, file->path))
		write_row(release, file, STREAMING_FILE_LEAVING);
}

/*
 * Gives the file its hidden name.  One that is not there is given up, but known as
 * long as its path is: it may be that a disk is away.
 */
static void
set_aside(Release *release, StreamingFile *file)
{
	const char *name = name_of(file->path);
	const char *hidden = hidden_path(file);
	int			fd = open_directory(release, file->path);
	int			aside = look(release, file->path, fd, name_of(hidden));
	int			there = aside == 0 && fd >= 0 ? look(release, file->path, fd, name) : 0;

	if (aside < 0 || there < 0)
		return;
	if (there && there && is_same(fd, name, file))
	{
		if (rename_new(fd, name, fd, name_of(hidden)) != 0)
		{
			if (errno != ENOENT)
				fail(release, "rename", file->path, errno);
			return;				/* ENOENT: since we looked; look again */
		}
		aside = true;
		if (!is_same(fd, name_of(hidden), file) &&
			rename_new(fd, name_of(hidden), fd, name) == 0)
			aside = false;		/* it had just been replaced */
	}
	if (aside)
	{
		streaming_stop_point("file_aside");
		file->path = unconstify(char *, hidden);
		write_row(release, file, STREAMING_FILE_ASIDE);
	}
	else if (there)
		keep_changed(release, file);
	else
		write_row(release, file, STREAMING_FILE_GIVEN_UP);
}

/* The file that is there is another one than was taken. */
static void
keep_changed(Release *release, StreamingFile *file)
{
	StreamingFound found;
	struct stat st;

	if (fstatat(release->fd, name_of(file->path), &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;					/* look again */
	streaming_watch_stat(&st, &found);
	file->size = found.size;
	file->modified = found.modified;
	streaming_files_set_found(&release->table, file, true);
	release->steps++;
	streaming_watch_remark(release->watch,
						   "file \"%s\" of stream %s was changed after it had been taken, and stays",
						   file->path, release->stream->name);
}

/* Deletes the hidden file, or moves it into the archive. */
static void
finish(Release *release, StreamingFile *file)
{
	const char *hidden = name_of(file->path);
	int			fd = open_directory(release, file->path);
	int			there = look(release, file->path, fd, hidden);

	if (there < 0)
		return;
	if (there && release->stream->after == STREAMING_AFTER_ARCHIVE)
	{
		if (!archive(release, file, hidden))
			return;
	}
	else if (there && unlinkat(fd, hidden, 0) != 0 && errno != ENOENT)
	{
		fail(release, "delete", file->path, errno);
		return;
	}
	streaming_stop_point("file_gone");
	write_row(release, file, STREAMING_FILE_GONE);
}

/* What was to go is to stay after all. */
static void
put_back(Release *release, StreamingFile *file)
{
	bool		aside = file->records == STREAMING_FILE_ASIDE;
	char	   *path = aside ? own_path(file) : file->path;
	char	   *hidden = aside ? file->path : hidden_path(file);
	int			fd = open_directory(release, file->path);
	int			there = look(release, file->path, fd, name_of(hidden));
	StreamingFile other;

	if (there < 0)
		return;
	if (!there)
	{
		write_row(release, file, aside ? STREAMING_FILE_GONE : STREAMING_FILE_UNREAD);
		return;
	}
	if (aside && streaming_files_find(&release->table, path, &other))
	{
		fail(release, "rename", hidden, EEXIST);
		return;
	}
	if (rename_new(fd, name_of(hidden), fd, name_of(path)) != 0)
	{
		fail(release, "rename", hidden, errno);
		return;
	}
	file->path = path;
	write_row(release, file, STREAMING_FILE_UNREAD);
}

/* ------------------------------------------------------------------------
 * The archive
 * ------------------------------------------------------------------------ */

/* Below archive_path the file is where it was below the server's path. */
static bool
archive(Release *release, const StreamingFile *file, const char *hidden)
{
	const StreamingStream *stream = release->stream;
	char	   *own = own_path(file);
	char	   *path = psprintf("%s/%s", stream->archive, own + strlen(stream->base) + 1);
	const char *name = name_of(path);
	int			to;
	int			result;
	int			save_errno;

	to = make_directory(stream, pnstrdup(path, name - 1 - path));
	if (to < 0)
	{
		fail(release, "make the directory of", path, errno);
		return false;
	}
	result = archive_name(release, hidden, to, name);
	save_errno = errno;
	/* There before it is gone from here. */
	if (result == 0 && fsync(to) != 0)
	{
		result = -1;
		save_errno = errno;
	}
	(void) close(to);
	if (result != 0)
		fail(release, "move into the archive", file->path, save_errno);
	return result == 0;
}

/* Moves it to a name that is free.  Returns -1 with errno. */
static int
archive_name(Release *release, const char *hidden, int to, const char *name)
{
	for (int i = 0; i < ARCHIVE_NAMES; i++)
	{
		const char *free_name = i == 0 ? name : psprintf("%s.%d", name, i);
		struct stat from_stat;
		struct stat to_stat;

		CHECK_FOR_INTERRUPTS();
		if (rename_new(release->fd, hidden, to, free_name) == 0)
			return 0;
		if (errno != EEXIST)
			return -1;

		/* A crash may have come between its two names. */
		if (fstatat(release->fd, hidden, &from_stat, AT_SYMLINK_NOFOLLOW) == 0 &&
			fstatat(to, free_name, &to_stat, AT_SYMLINK_NOFOLLOW) == 0 &&
			from_stat.st_dev == to_stat.st_dev && from_stat.st_ino == to_stat.st_ino)
			return unlinkat(release->fd, hidden, 0);
	}
	errno = EEXIST;
	return -1;
}

/* Opens a directory beneath the server's path, and makes it if need be. */
static int
make_directory(const StreamingStream *stream, const char *path)
{
	int			fd = streaming_beneath_directory(stream, path);
	char	   *parent;
	int			in;
	int			save_errno;

	if (fd >= 0 || errno != ENOENT || strlen(path) <= strlen(stream->base))
		return fd;
	parent = pnstrdup(path, strrchr(path, '/') - path);
	in = make_directory(stream, parent);
	if (in < 0)
		return -1;
	fd = mkdirat(in, name_of(path), pg_dir_create_mode) != 0 && errno != EEXIST ? -1 : 0;
	if (fd == 0)
		fd = fsync(in);
	save_errno = errno;
	(void) close(in);
	errno = save_errno;
	return fd != 0 ? -1 : streaming_beneath_directory(stream, path);
}

/* ------------------------------------------------------------------------
 * Small steps
 * ------------------------------------------------------------------------ */

/*
 * Is there a file of that name?  directory may be -1, with errno.  -1: one cannot
 * know, which has been noted.
 */
static int
look(Release *release, const char *path, int directory, const char *name)
{
	struct stat st;

	if (directory >= 0 && fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	fail(release, "look for", path, errno);
	return -1;
}

/* Is the file of that name the one that the row is about, unchanged? */
static bool
is_same(int directory, const char *name, const StreamingFile *file)
{
	StreamingFound found;
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	streaming_watch_stat(&st, &found);
	return found.size == file->size && found.modified == file->modified;
}

/* As renameat, but EEXIST where the new name is there. */
static int
rename_new(int from, const char *name, int to, const char *new_name)
{
#ifdef RENAME_NOREPLACE
	if (renameat2(from, name, to, new_name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
#endif
	/* Not every file system can: then it has both names for a moment. */
	if (linkat(from, name, to, new_name, 0) != 0)
		return -1;
	return unlinkat(from, name, 0);
}

/* That of the file path, for as long as no other is asked for. */
static int
open_directory(Release *release, const char *path)
{
	char	   *directory = pnstrdup(path, Max(name_of(path) - 1 - path, 1));

	if (release->fd >= 0 && strcmp(release->directory, directory) == 0)
		return release->fd;
	close_directory(release);
	release->directory = directory;
	release->fd = streaming_beneath_directory(release->stream, directory);
	return release->fd;
}

static void
close_directory(Release *release)
{
	if (release->fd < 0)
		return;
	/* Otherwise a crash of the system could bring names back. */
	if (fsync(release->fd) != 0)
		fail(release, "write to disk", release->directory, errno);
	(void) close(release->fd);
	release->fd = -1;
}

static void
write_row(Release *release, const StreamingFile *file, int64 records)
{
	StreamingFile changed = *file;

	changed.records = records;
	streaming_files_set_state(&release->table, &changed);
	release->steps++;
}

static void
fail(Release *release, const char *what, const char *path, int error)
{
	if (release->trouble == NULL)
		release->trouble = psprintf("could not %s file \"%s\" of stream %s, which all views have taken: %s%s",
									what, path, release->stream->name,
									streaming_beneath_error(release->stream, error),
									error == EXDEV ? "; archive_path must be on the same file system" : "");
	release->failures++;
}

static const char *
name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static char *
hidden_path(const StreamingFile *file)
{
	const char *name = name_of(file->path);

	return psprintf("%.*s" HIDDEN_PREFIX INT64_FORMAT "-%s", (int) (name - file->path),
					file->path, file->number, name);
}

/* The path that a file had before it was put aside. */
static char *
own_path(const StreamingFile *file)
{
	const char *name = name_of(file->path);
	size_t		prefix = strlen(psprintf(HIDDEN_PREFIX INT64_FORMAT "-", file->number));

	return psprintf("%.*s%s", (int) (name - file->path), file->path,
					name + Min(prefix, strlen(name)));
}
