/*
 * file_writer.c
 *		Writes files, one after the other, and makes them durable.
 *
 * Bytes are collected in one buffer, which is written or compressed when it is
 * full.  The compressors take their memory from malloc, and keep it for the
 * next file.
 */
#include "postgres.h"

#include "streaming.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "miscadmin.h"
#include "sink/file_writer.h"
#include "storage/fd.h"

#define BUFFER_SIZE		(128 * 1024)

/* Zstandard's own default; gzip's is twice as slow as this, for 3 % less. */
#define ZSTD_LEVEL		3
#define GZIP_LEVEL		5

struct StreamingFileWriter
{
	StreamingCompression compression;
	char	   *buffer;
	size_t		used;
	char	   *output;			/* of the compressor */

	/* the file */
	int			fd;				/* -1: none */
	const char *path;
	int64		size;

	z_stream	zlib;
	bool		zlib_made;
	ZSTD_CCtx  *zstd;
};

static void flush_buffer(StreamingFileWriter *writer, bool end);
static void compress_gzip(StreamingFileWriter *writer, bool end);
static void compress_zstd(StreamingFileWriter *writer, bool end);
static void write_bytes(StreamingFileWriter *writer, const char *data, size_t length);
pg_noreturn static void file_error(const char *what, const char *path);

StreamingFileWriter *
streaming_file_writer_make(StreamingCompression compression)
{
	StreamingFileWriter *writer = palloc0(sizeof(StreamingFileWriter));

	writer->compression = compression;
	writer->fd = -1;
	writer->buffer = palloc(BUFFER_SIZE);
	if (compression != STREAMING_COMPRESSION_NONE)
		writer->output = palloc(BUFFER_SIZE);
	return writer;
}

void
streaming_file_writer_close(StreamingFileWriter *writer)
{
	if (writer->fd >= 0)
	{
		(void) close(writer->fd);
		ReleaseExternalFD();
	}
	writer->fd = -1;
	if (writer->zlib_made)
		(void) deflateEnd(&writer->zlib);
	writer->zlib_made = false;
	ZSTD_freeCCtx(writer->zstd);
	writer->zstd = NULL;
}

void
streaming_file_writer_begin(StreamingFileWriter *writer, int directory, const char *path)
{
	Assert(writer->fd < 0);
	writer->path = path;
	writer->used = 0;
	writer->size = 0;

	if (!AcquireExternalFD())
		file_error("create", path);
	writer->fd = openat(directory, strrchr(path, '/') + 1,
						O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (writer->fd < 0)
	{
		int			save_errno = errno;

		ReleaseExternalFD();
		errno = save_errno;
		file_error("create", path);
	}

	/* The server's umask would keep it from anybody else. */
	if (fchmod(writer->fd, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) != 0)
		file_error("set permissions of", path);

	if (writer->compression == STREAMING_COMPRESSION_GZIP)
	{
		int			result = writer->zlib_made ? deflateReset(&writer->zlib) :
			deflateInit2(&writer->zlib, GZIP_LEVEL, Z_DEFLATED, 16 + MAX_WBITS, 8,
						 Z_DEFAULT_STRATEGY);

		if (result != Z_OK)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not initialize compression: %s", zError(result))));
		writer->zlib_made = true;
	}
	if (writer->compression == STREAMING_COMPRESSION_ZSTD)
	{
		if (writer->zstd == NULL)
			writer->zstd = ZSTD_createCCtx();
		if (writer->zstd == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not initialize compression: %s", "out of memory")));
		(void) ZSTD_CCtx_reset(writer->zstd, ZSTD_reset_session_only);
		(void) ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
		(void) ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1);
	}
}

void
streaming_file_writer_write(StreamingFileWriter *writer, const char *data, size_t length)
{
	while (length > BUFFER_SIZE - writer->used)
	{
		size_t		part = BUFFER_SIZE - writer->used;

		memcpy(writer->buffer + writer->used, data, part);
		writer->used = BUFFER_SIZE;
		data += part;
		length -= part;
		flush_buffer(writer, false);
	}
	memcpy(writer->buffer + writer->used, data, length);
	writer->used += length;
}

int64
streaming_file_writer_size(const StreamingFileWriter *writer)
{
	return writer->size +
		(writer->compression == STREAMING_COMPRESSION_NONE ? writer->used : 0);
}

void
streaming_file_writer_finish(StreamingFileWriter *writer)
{
	int			fd = writer->fd;

	flush_buffer(writer, true);
	if (pg_fsync(fd) != 0)
		file_error("fsync", writer->path);
	writer->fd = -1;
	ReleaseExternalFD();
	if (close(fd) != 0)
		file_error("close", writer->path);
}

void
streaming_sync_directory(int directory, const char *path)
{
	/* Some file systems cannot do that to a directory, and need not. */
	if (pg_fsync(directory) != 0 && errno != EBADF && errno != EINVAL)
		file_error("fsync", path);
}

static void
flush_buffer(StreamingFileWriter *writer, bool end)
{
	CHECK_FOR_INTERRUPTS();
	switch (writer->compression)
	{
		case STREAMING_COMPRESSION_NONE:
			write_bytes(writer, writer->buffer, writer->used);
			break;
		case STREAMING_COMPRESSION_GZIP:
			compress_gzip(writer, end);
			break;
		case STREAMING_COMPRESSION_ZSTD:
			compress_zstd(writer, end);
			break;
	}
	writer->used = 0;
}

static void
compress_gzip(StreamingFileWriter *writer, bool end)
{
	z_stream   *zlib = &writer->zlib;
	int			result;

	zlib->next_in = (Bytef *) writer->buffer;
	zlib->avail_in = writer->used;
	do
	{
		zlib->next_out = (Bytef *) writer->output;
		zlib->avail_out = BUFFER_SIZE;
		result = deflate(zlib, end ? Z_FINISH : Z_NO_FLUSH);
		if (result == Z_STREAM_ERROR)
			elog(ERROR, "could not compress file \"%s\": %s", writer->path, zError(result));
		write_bytes(writer, writer->output, BUFFER_SIZE - zlib->avail_out);
	} while (end ? result != Z_STREAM_END : zlib->avail_out == 0);
}

static void
compress_zstd(StreamingFileWriter *writer, bool end)
{
	ZSTD_inBuffer input = {writer->buffer, writer->used, 0};
	size_t		left;

	do
	{
		ZSTD_outBuffer output = {writer->output, BUFFER_SIZE, 0};

		left = ZSTD_compressStream2(writer->zstd, &output, &input,
									end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			elog(ERROR, "could not compress file \"%s\": %s", writer->path,
				 ZSTD_getErrorName(left));
		write_bytes(writer, writer->output, output.pos);
	} while (end ? left > 0 : input.pos < input.size);
}

static void
write_bytes(StreamingFileWriter *writer, const char *data, size_t length)
{
	while (length > 0)
	{
		ssize_t		written;

		errno = 0;
		written = write(writer->fd, data, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			/* As the server does: the one reason that has no errno. */
			if (errno == 0)
				errno = ENOSPC;
			file_error("write to", writer->path);
		}
		data += written;
		length -= written;
		writer->size += written;
	}
}

static void
file_error(const char *what, const char *path)
{
	int			error = errno;

	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s file \"%s\": %m", what, path),
			 error == ENOSPC || error == EDQUOT ? errhint("Check free disk space.") :
			 error == ENOENT || error == EACCES || error == EROFS ?
			 errhint("The directory must exist, and the user that the server runs as must be allowed to write to it.") : 0));
}
