/*
 * directory_release.h
 *		Files of a directory stream that all views have taken: option "after".
 */
#ifndef STREAMING_DIRECTORY_RELEASE_H
#define STREAMING_DIRECTORY_RELEASE_H

#include "source/directory_files.h"
#include "source/directory_watch.h"
#include "source/source.h"

/* in directory_release.c */

/*
 * Goes on with archiving or deleting files whose numbers are above *after, 0 in the
 * beginning, and below below, as StreamingSourceRoutine.release says.  *after is moved
 * past rows that are deleted; after an abort it is 0 again.  *trouble is set to what is in the way of
 * one of them, in CurrentMemoryContext, or NULL.
 */
extern StreamingRelease streaming_files_release(const StreamingStream *stream,
												StreamingWatch *watch,
												int64 *after, int64 below,
												char **trouble);

#endif							/* STREAMING_DIRECTORY_RELEASE_H */
