/*
 * file_place.h
 *		Where the files of a directory stream go, and how they are called.
 */
#ifndef STREAMING_FILE_PLACE_H
#define STREAMING_FILE_PLACE_H

#include "catalog/stream.h"

/*
 * A file's name is prefix, a middle part and suffix, and matches the stream's
 * path, so that reading the stream reads what was written to it.
 */
typedef struct StreamingFilePlace
{
	char	   *directory;		/* absolute */
	char	   *prefix;
	char	   *suffix;
	bool		single;			/* the path has no wildcard: prefix is the name
								 * of the one file, suffix is empty */
} StreamingFilePlace;

/* What the middle part of the name of a view's whole result is. */
#define STREAMING_RESULT_NAME	"result"

/* in file_place.c */

/*
 * Finds the place of stream's files, in CurrentMemoryContext.  Errors:
 * FEATURE_NOT_SUPPORTED, with a hint, if the path does not tell.
 */
extern void streaming_file_place(const StreamingStream *stream, StreamingFilePlace *place);

/*
 * May files be written there, in the name of the stream's owner, and one after
 * the other (append) or one that is replaced?  Errors: INSUFFICIENT_PRIVILEGE,
 * and those of streaming_file_place.
 */
extern void streaming_file_place_check(const StreamingStream *stream, bool append);

/* Would a reader of path take the files of stream? */
extern bool streaming_file_place_read_by(const StreamingStream *stream, const char *path);

/* The name of part (from 0) of a delivery; the token tells it from others. */
extern char *streaming_file_part_name(const char *prefix, const char *suffix,
									  int64 number, int part, const char *token);

/* The name of the file that has a whole result. */
extern char *streaming_file_result_name(const StreamingFilePlace *place);

#endif							/* STREAMING_FILE_PLACE_H */
