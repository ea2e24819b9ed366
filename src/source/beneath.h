/*
 * beneath.h
 *		Files of a directory stream, which are beneath the path of its server.
 *
 * Whoever may write there with the operating system's rights must not make the
 * server read or write anywhere else; so no symbolic link beneath that path is
 * followed, at whatever moment it comes, unless a superuser has said so (option
 * follow_symlinks of the server).  The path itself may have links.
 *
 * A path that is not beneath that of the server was noted when the server had
 * another one, and is taken as it is.
 */
#ifndef STREAMING_BENEATH_H
#define STREAMING_BENEATH_H

#include <sys/stat.h>

#include "catalog/stream.h"

/*
 * All return -1 with errno where it fails: ELOOP for a link.  Paths are
 * absolute.
 */

/* in beneath.c */

/* Opens a directory, for openat and the like. */
extern int	streaming_beneath_directory(const StreamingStream *stream, const char *path);

/* Opens a file that is there; flags as for open. */
extern int	streaming_beneath_file(const StreamingStream *stream, const char *path, int flags);

/* As fstatat, for a name in a directory; a link is a link unless it is followed. */
extern int	streaming_beneath_stat(const StreamingStream *stream, int directory,
								   const char *name, struct stat *st);

/* strerror, but for ELOOP, which has one reason here. */
extern int	streaming_beneath_errcode(int error);
extern const char *streaming_beneath_error(const StreamingStream *stream, int error);

#endif							/* STREAMING_BENEATH_H */
