/*
 * file_writer.h
 *		Writes files, one after the other, and makes them durable.
 */
#ifndef STREAMING_FILE_WRITER_H
#define STREAMING_FILE_WRITER_H

#include "format/compression.h"

typedef struct StreamingFileWriter StreamingFileWriter;

/* in file_writer.c; what can fail ereports, naming the file */

/* Makes a writer in CurrentMemoryContext. */
extern StreamingFileWriter *streaming_file_writer_make(StreamingCompression compression);

/* Frees what a reset of the memory context would not; never ereports. */
extern void streaming_file_writer_close(StreamingFileWriter *writer);

/*
 * Begins a file, which must not exist; readable by all, as those of COPY TO.  It
 * is the last name of path, in a directory that is open; path must live until
 * the file is finished.
 */
extern void streaming_file_writer_begin(StreamingFileWriter *writer, int directory,
										const char *path);

/* Appends.  Reacts to interrupts. */
extern void streaming_file_writer_write(StreamingFileWriter *writer,
										const char *data, size_t length);

/* Bytes of the file so far, as far as they have left the compressor. */
extern int64 streaming_file_writer_size(const StreamingFileWriter *writer);

/* Ends the file: it is durable, but not yet the directory that names it. */
extern void streaming_file_writer_finish(StreamingFileWriter *writer);

/* Makes what has happened to a directory, which is open, durable. */
extern void streaming_sync_directory(int directory, const char *path);

#endif							/* STREAMING_FILE_WRITER_H */
