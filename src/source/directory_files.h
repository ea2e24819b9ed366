/*
 * directory_files.h
 *		The files of directory streams, as streaming.files remembers them.
 */
#ifndef STREAMING_DIRECTORY_FILES_H
#define STREAMING_DIRECTORY_FILES_H

#include "catalog/catalog_table.h"
#include "storage/lockdefs.h"
#include "utils/timestamp.h"

/*
 * Values of StreamingFile.records that are no count.  In the table, a file
 * that is not yet read whole has NULL; the others are there as they are here.
 */
#define STREAMING_FILE_UNREAD	(-2)
#define STREAMING_FILE_GIVEN_UP (-1)	/* it vanished and nobody needed it */
#define STREAMING_FILE_LEAVING	(-3)	/* see directory_release.c */
#define STREAMING_FILE_ASIDE	(-4)
#define STREAMING_FILE_GONE		(-5)

/* Paths that are longer do not fit into an index of the table. */
#define STREAMING_FILE_MAX_PATH 2000

typedef struct StreamingFile
{
	int64		number;
	char	   *path;
	int64		size;			/* when it was looked at last */
	TimestampTz modified;		/* likewise */
	int64		records;		/* or one of the values above */
	bool		changed;		/* after it had been taken */
} StreamingFile;

/* Is nobody to read it any more? */
static inline bool
streaming_file_is_gone(const StreamingFile *file)
{
	return file->records == STREAMING_FILE_GIVEN_UP || file->records <= STREAMING_FILE_LEAVING;
}

/* streaming.files, open for the files of one stream. */
typedef struct StreamingFileTable
{
	Oid			stream;
	StreamingTable table;
} StreamingFileTable;

/* in directory_files.c */

/*
 * Takes the one lock under which rows of a stream are written; it is held to
 * the end of the (sub)transaction, so numbers become visible in their order.
 * Waits at most timeout ms; returns false if somebody else still holds it.
 */
extern bool streaming_files_lock(Oid stream, int timeout);

/*
 * Opens the table with a new snapshot, which is active until close: what has
 * been committed before, and the transaction's own rows.  mode as for
 * table_open.  After an error nothing is to be closed.
 */
extern void streaming_files_open(StreamingFileTable *files, Oid stream, LOCKMODE mode);
extern void streaming_files_close(StreamingFileTable *files);

/*
 * Fills result with at most max files whose number is above after, in order;
 * returns how many.  Paths are in CurrentMemoryContext.
 */
extern int	streaming_files_next(StreamingFileTable *files, int64 after,
								 StreamingFile *result, int max);

/* The highest number; 0 if there is none. */
extern int64 streaming_files_last(StreamingFileTable *files);

/* The file of that path; result->path is path itself.  False: none. */
extern bool streaming_files_find(StreamingFileTable *files, const char *path,
								 StreamingFile *result);

/*
 * Adds files, numbered by the caller, who holds the lock and makes sure that
 * neither number nor path is there.
 */
extern void streaming_files_insert(StreamingFileTable *files,
								   const StreamingFile *added, int n);

/*
 * Sets records of n files (only number and records are read).  The caller
 * holds the lock or is the one to whom this column of these files belongs.
 * Files that are not there are passed over.
 */
extern void streaming_files_set_records(StreamingFileTable *files,
										const StreamingFile *changed, int n);

/*
 * Sets size and modified of a file.  remark: it is not what has been taken, which is
 * remembered, and it is unread.  The caller holds the lock.
 */
extern void streaming_files_set_found(StreamingFileTable *files, const StreamingFile *file,
									  bool remark);

/*
 * Sets path and records of a file.  The caller holds the lock, and makes sure that no
 * other file has that path.
 */
extern void streaming_files_set_state(StreamingFileTable *files, const StreamingFile *file);

/* Forgets a file.  The caller holds the lock, and never forgets the last one. */
extern void streaming_files_delete(StreamingFileTable *files, int64 number);

/* How many files of stream have been archived or deleted, or are about to be. */
extern int64 streaming_files_count_gone(Oid stream);

#endif							/* STREAMING_DIRECTORY_FILES_H */
