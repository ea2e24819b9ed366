/*
 * beneath.c
 *		Files of a directory stream, which are beneath the path of its server.
 *
 * A path is walked name by name, each opened in the directory before it with
 * O_NOFOLLOW.  openat2 would do that in one call, but is not everywhere, and
 * says no more.
 */
#include "postgres.h"

#include "streaming.h"

#include <fcntl.h>
#include <unistd.h>

#include "source/beneath.h"
#include "storage/fd.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

static const char *rest_beneath(const StreamingStream *stream, const char *path);
static int	open_in(int directory, const char *name, int flags);

int
streaming_beneath_directory(const StreamingStream *stream, const char *path)
{
	const char *rest = rest_beneath(stream, path);
	int			fd;

	if (rest == NULL)
		return BasicOpenFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fd = BasicOpenFile(stream->base[0] ? stream->base : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0)
	{
		int			length = strcspn(rest, "/");
		char		name[MAXPGPATH];
		int			next;
		int			save_errno;

		/* In the end the directory itself, to be read. */
		if (length >= sizeof(name))
		{
			next = -1;
			errno = ENAMETOOLONG;
		}
		else if (length > 0)
		{
			strlcpy(name, rest, length + 1);
			next = open_in(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		else
			next = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		save_errno = errno;
		(void) close(fd);
		errno = save_errno;
		fd = next;
		if (length == 0)
			break;
		rest += length;
		rest += strspn(rest, "/");
	}
	return fd;
}

int
streaming_beneath_file(const StreamingStream *stream, const char *path, int flags)
{
	const char *slash = strrchr(path, '/');
	char	   *parent;
	int			directory;
	int			fd;
	int			save_errno;

	if (rest_beneath(stream, path) == NULL)
		return BasicOpenFile(path, flags);

	parent = pnstrdup(path, Max(slash - path, 1));
	directory = streaming_beneath_directory(stream, parent);
	pfree(parent);
	if (directory < 0)
		return -1;
	fd = open_in(directory, slash + 1, flags);
	save_errno = errno;
	(void) close(directory);
	errno = save_errno;
	return fd;
}

int
streaming_beneath_stat(const StreamingStream *stream, int directory, const char *name,
					   struct stat *st)
{
	return fstatat(directory, name, st, stream->follow_symlinks ? 0 : AT_SYMLINK_NOFOLLOW);
}

const char *
streaming_beneath_error(const StreamingStream *stream, int error)
{
	return error == ELOOP && !stream->follow_symlinks ?
		"symbolic links are not followed" : strerror(error);
}

/* An argument of ereport, which is to begin with errno as it was. */
int
streaming_beneath_errcode(int error)
{
	return error == ELOOP ? errcode(ERRCODE_INSUFFICIENT_PRIVILEGE) : errcode_for_file_access();
}

/*
 * What of path is after that of the server; NULL if it is not beneath it, or
 * links are followed, so that path may be opened as it is.  Slashes may be
 * doubled.
 */
static const char *
rest_beneath(const StreamingStream *stream, const char *path)
{
	const char *base = stream->base;

	if (stream->follow_symlinks)
		return NULL;
	for (;;)
	{
		base += strspn(base, "/");
		path += strspn(path, "/");
		if (*base == '\0')
			return path;
		while (*base != '\0' && *base != '/')
		{
			if (*base++ != *path++)
				return NULL;
		}
		if (*path != '/' && *path != '\0')
			return NULL;
	}
}

/* An O_DIRECTORY makes a link ENOTDIR, which says too little. */
static int
open_in(int directory, const char *name, int flags)
{
	int			fd = openat(directory, name, flags | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 && errno == ENOTDIR)
		errno = fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) ?
			ELOOP : ENOTDIR;
	return fd;
}
