/*
 * delivery_directory.c
 *		Files in a directory as the place of a stream's messages.
 *
 * A delivery makes new files, one message a line or in blocks (block_write.h), and never touches one that is
 * there.  They are written under hidden names, made durable, noted in the
 * database, and then renamed:
 *
 *		.streaming-<token>-0000		hidden
 *		orders-0000000017-0000-5c0f1e2a.json
 *
 * What the note names has been delivered once its hidden name is gone, whoever
 * has taken the file away since; so a reader that moves or deletes files as they
 * appear never gets one twice.  Hidden files that no note names are removed and
 * written again.
 *
 * A whole result (STREAMING_MESSAGE_COMPLETE) is one file under a name that does
 * not change: the rename puts it in the place of the one before.  Only the last
 * result of a delivery is written.
 */
#include "postgres.h"

#include "streaming.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "source/beneath.h"
#include "catalog/view.h"
#include "format/block_write.h"
#include "format/columnar.h"
#include "format/encode.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "sink/delivery.h"
#include "sink/file_place.h"
#include "sink/file_writer.h"
#include "storage/fd.h"

#define HIDDEN_PREFIX	".streaming-"

typedef struct DirectoryDelivery
{
	StreamingDelivery base;
	StreamingFilePlace place;
	int			directory;		/* that of the place, open; -1: it is not */
	StreamingFileWriter *writer;
	StreamingBlockWriter *blocks;	/* NULL: messages are lines */
	StringInfoData header;		/* first line of each file, or a message without a row; empty: none */
	bool		at_once;		/* a whole result is not kept waiting */

	/* the delivery */
	int64		number;
	int			nparts;			/* files begun, without that of a result */
	int64		rows;			/* in the file being written */
	bool		writing;		/* a file is open */
	bool		in_result;		/* messages belong to a whole result */
	bool		has_result;
	bool		removable;		/* not prepared: no note names the files */
	char		path[MAXPGPATH];	/* of the file being written */
} DirectoryDelivery;

/* A note, taken apart. */
typedef struct Note
{
	int			nparts;
	char	   *directory;
	char	   *prefix;
	char	   *suffix;
	char	   *result;			/* file name; NULL: none */
} Note;

static StreamingDelivery *directory_open(StreamingStream *stream, const char *identity);
static bool directory_recover(StreamingDelivery *base, int64 number, bool done,
							  const char *note);
static int64 directory_due(StreamingDelivery *base, const StreamingBacklog *backlog);
static void directory_begin(StreamingDelivery *base, int64 number);
static void directory_write(StreamingDelivery *base, const StreamingMessage *message);
static char *directory_prepare(StreamingDelivery *base);
static void directory_commit(StreamingDelivery *base);
static void directory_abort(StreamingDelivery *base);
static void directory_close(StreamingDelivery *base);

static bool has_result_view(Oid stream);
static void open_place(DirectoryDelivery *delivery);
static void close_place(DirectoryDelivery *delivery);
static int	open_directory(const StreamingDelivery *base, const char *path, int elevel);
static void begin_result(DirectoryDelivery *delivery);
static void begin_file(DirectoryDelivery *delivery);
static void write_row(DirectoryDelivery *delivery, const char *message, size_t length);
static void write_block(DirectoryDelivery *delivery, bool end);
static int64 file_size(const DirectoryDelivery *delivery);
static void end_file(DirectoryDelivery *delivery);
static void close_writers(DirectoryDelivery *delivery);
static void put_in_place(DirectoryDelivery *delivery, const Note *note, bool again);
static void rename_file(int directory, const char *from, const char *to, bool again);
static char *make_note(const DirectoryDelivery *delivery);
static void read_note(const char *string, Note *note);
static void remove_hidden(const DirectoryDelivery *delivery, int elevel);
static char *hidden_path(const StreamingDelivery *base, const char *directory, int part);

/* Number of the hidden file of a whole result. */
#define RESULT_PART		(-1)

const StreamingDeliveryRoutine streaming_delivery_directory = {
	.name = "directory",
	.whole_transactions = true,
	.open = directory_open,
	.recover = directory_recover,
	.due = directory_due,
	.begin = directory_begin,
	.write = directory_write,
	.prepare = directory_prepare,
	.commit = directory_commit,
	.abort = directory_abort,
	.close = directory_close
};

static StreamingDelivery *
directory_open(StreamingStream *stream, const char *identity)
{
	DirectoryDelivery *delivery = palloc0(sizeof(DirectoryDelivery));
	StreamingArrowKind kind;
	char	   *name;

	streaming_file_place_check(stream, false);
	streaming_file_place(stream, &delivery->place);
	delivery->directory = -1;
	delivery->at_once = delivery->place.single || has_result_view(stream->relid);

	/* With the last transaction of the delivery, it should be one file. */
	delivery->base.best_bytes = stream->file_max_size - stream->file_max_size / 8;
	name = streaming_file_result_name(&delivery->place);
	if (streaming_format_is_columnar(stream->format, &kind))
		delivery->blocks = streaming_columnar_writer_make(kind);
	else if (strcmp(stream->format, "avro") == 0)
		delivery->blocks = streaming_avro_writer_make(stream);
	delivery->writer = streaming_file_writer_make(delivery->blocks ? STREAMING_COMPRESSION_NONE :
												  streaming_file_compression(stream, name));

	initStringInfo(&delivery->header);
	if (streaming_encode_header(streaming_encoder_open(stream), &delivery->header) && !delivery->blocks)
		appendStringInfoChar(&delivery->header, '\n');
	return &delivery->base;
}

/* Does a view replace its result there?  One that comes later is noticed by it. */
static bool
has_result_view(Oid stream)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_views())
	{
		const StreamingView *view = lfirst(lc);

		if (view->sink.relid == stream && view->output_mode == STREAMING_OUTPUT_COMPLETE)
			return true;
	}
	return false;
}

static bool
directory_recover(StreamingDelivery *base, int64 number, bool done, const char *note)
{
	DirectoryDelivery *delivery = (DirectoryDelivery *) base;
	Note		noted;

	if (number == 0 || done)
		return done;
	if (note == NULL)
	{
		remove_hidden(delivery, ERROR);
		return false;
	}
	delivery->number = number;
	read_note(note, &noted);
	put_in_place(delivery, &noted, true);
	return true;
}

static int64
directory_due(StreamingDelivery *base, const StreamingBacklog *backlog)
{
	const StreamingStream *stream = base->stream;

	if (((DirectoryDelivery *) base)->at_once)
		return 0;
	if ((stream->file_max_rows > 0 && backlog->messages >= stream->file_max_rows) ||
		backlog->bytes >= base->best_bytes)
		return 0;
	return Max(stream->file_interval - backlog->age, 0);
}

static void
directory_begin(StreamingDelivery *base, int64 number)
{
	DirectoryDelivery *delivery = (DirectoryDelivery *) base;

	delivery->number = number;
	delivery->nparts = 0;
	delivery->writing = false;
	delivery->in_result = delivery->has_result = false;
	delivery->removable = true;
}

static void
directory_write(StreamingDelivery *base, const StreamingMessage *message)
{
	DirectoryDelivery *delivery = (DirectoryDelivery *) base;
	const StreamingStream *stream = base->stream;

	if (message->flags & STREAMING_MESSAGE_COMPLETE)
	{
		begin_result(delivery);
		return;
	}
	if (message->payload == NULL)
		elog(ERROR, "message without payload for stream %s", stream->name);

	/* The stream's columns have been altered since the row before. */
	if (delivery->writing && delivery->blocks &&
		!delivery->blocks->routine->takes(delivery->blocks, message->payload, message->payload_length))
		end_file(delivery);
	if (!delivery->writing)
		begin_file(delivery);
	write_row(delivery, message->payload, message->payload_length);
	delivery->rows++;

	/* A result has to be one file, however large. */
	if (!delivery->in_result &&
		(delivery->rows == stream->file_max_rows ||
		 file_size(delivery) >= stream->file_max_size))
		end_file(delivery);
}

static void
write_row(DirectoryDelivery *delivery, const char *message, size_t length)
{
	if (!delivery->blocks)
	{
		streaming_file_writer_write(delivery->writer, message, length);
		streaming_file_writer_write(delivery->writer, "\n", 1);
	}
	else if (delivery->blocks->routine->add(delivery->blocks, message, length))
		write_block(delivery, false);
}

/* The rows that have been collected; end: and the file's end. */
static void
write_block(DirectoryDelivery *delivery, bool end)
{
	size_t		length;
	const char *data = delivery->blocks->routine->flush(delivery->blocks, end, &length);

	streaming_file_writer_write(delivery->writer, data, length);
}

/* About, where rows are yet to be compressed. */
static int64
file_size(const DirectoryDelivery *delivery)
{
	return streaming_file_writer_size(delivery->writer) +
		(delivery->blocks ? delivery->blocks->routine->size(delivery->blocks) : 0);
}

static char *
directory_prepare(StreamingDelivery *base)
{
	DirectoryDelivery *delivery = (DirectoryDelivery *) base;

	if (delivery->writing)
		end_file(delivery);
	if (delivery->nparts > 0 || delivery->has_result)
		streaming_sync_directory(delivery->directory, delivery->place.directory);
	close_place(delivery);
	delivery->removable = false;
	return make_note(delivery);
}

static void
directory_commit(StreamingDelivery *base)
{
	DirectoryDelivery *delivery = (DirectoryDelivery *) base;
	Note		note;

	read_note(make_note(delivery), &note);
	put_in_place(delivery, &note, false);
}

/* What has been noted is left to recover. */
static void
directory_abort(StreamingDelivery *base)
{
	DirectoryDelivery *delivery = (DirectoryDelivery *) base;

	close_writers(delivery);
	close_place(delivery);
	if (delivery->removable)
		remove_hidden(delivery, LOG);
	delivery->removable = false;
}

static void
directory_close(StreamingDelivery *base)
{
	close_writers((DirectoryDelivery *) base);
	close_place((DirectoryDelivery *) base);
}

static void
close_writers(DirectoryDelivery *delivery)
{
	streaming_file_writer_close(delivery->writer);
	if (delivery->blocks && delivery->blocks->routine->close)
		delivery->blocks->routine->close(delivery->blocks);
}

/* ----------
 * The directory
 * ----------
 */

/* Opens the place's directory, if it is not open. */
static void
open_place(DirectoryDelivery *delivery)
{
	if (delivery->directory >= 0)
		return;
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open directory \"%s\": %m", delivery->place.directory)));
	PG_TRY();
	{
		delivery->directory = open_directory(&delivery->base, delivery->place.directory, ERROR);
	}
	PG_CATCH();
	{
		ReleaseExternalFD();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
close_place(DirectoryDelivery *delivery)
{
	if (delivery->directory < 0)
		return;
	(void) close(delivery->directory);
	ReleaseExternalFD();
	delivery->directory = -1;
}

/* -1: it cannot be opened, which has been reported. */
static int
open_directory(const StreamingDelivery *base, const char *path, int elevel)
{
	int			fd = streaming_beneath_directory(base->stream, path);
	int			error = errno;

	if (fd < 0)
		ereport(elevel,
				(streaming_beneath_errcode(error),
				 errmsg("could not open directory \"%s\": %s", path,
						streaming_beneath_error(base->stream, error)),
				 error == ENOENT || error == EACCES ?
				 errhint("The directory must exist, and the user that the server runs as must be allowed to write to it.") : 0));
	return fd;
}

/* ----------
 * Writing hidden files
 * ----------
 */

/* A whole result begins, and makes the one before it worthless. */
static void
begin_result(DirectoryDelivery *delivery)
{
	if (delivery->writing)
		end_file(delivery);
	if (delivery->has_result)
	{
		char	   *path = hidden_path(&delivery->base, delivery->place.directory, RESULT_PART);

		if (unlinkat(delivery->directory, strrchr(path, '/') + 1, 0) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s\": %m", path)));
	}
	delivery->in_result = delivery->has_result = true;
	delivery->at_once = true;

	/* An empty result is a file, too. */
	begin_file(delivery);
}

static void
begin_file(DirectoryDelivery *delivery)
{
	const StreamingStream *stream = delivery->base.stream;

	if (!delivery->in_result && delivery->place.single)
		streaming_file_place_check(stream, true);
	strlcpy(delivery->path,
			hidden_path(&delivery->base, delivery->place.directory,
						delivery->in_result ? RESULT_PART : delivery->nparts),
			sizeof(delivery->path));
	open_place(delivery);
	streaming_file_writer_begin(delivery->writer, delivery->directory, delivery->path);
	if (delivery->blocks)
		delivery->blocks->routine->begin(delivery->blocks, delivery->header.data, delivery->header.len);
	else
		streaming_file_writer_write(delivery->writer, delivery->header.data, delivery->header.len);
	if (!delivery->in_result)
		delivery->nparts++;
	delivery->rows = 0;
	delivery->writing = true;
}

static void
end_file(DirectoryDelivery *delivery)
{
	if (delivery->blocks)
		write_block(delivery, true);
	streaming_file_writer_finish(delivery->writer);
	delivery->writing = false;
}

/* ----------
 * From hidden names to those that readers see
 * ----------
 */

/* again: files that are not there have been renamed before. */
static void
put_in_place(DirectoryDelivery *delivery, const Note *note, bool again)
{
	StreamingDelivery *base = &delivery->base;
	int			directory;

	if (note->nparts == 0 && note->result == NULL)
		return;
	directory = open_directory(base, note->directory, ERROR);
	PG_TRY();
	{
		for (int i = 0; i < note->nparts; i++)
		{
			char	   *name = streaming_file_part_name(note->prefix, note->suffix,
														delivery->number, i, base->token);

			rename_file(directory, hidden_path(base, note->directory, i),
						psprintf("%s/%s", note->directory, name), again);
			streaming_stop_point("delivery_file_renamed");
		}
		if (note->result)
			rename_file(directory, hidden_path(base, note->directory, RESULT_PART),
						psprintf("%s/%s", note->directory, note->result), again);
		streaming_sync_directory(directory, note->directory);
	}
	PG_FINALLY();
	{
		(void) close(directory);
	}
	PG_END_TRY();
}

/* Both paths are of the directory. */
static void
rename_file(int directory, const char *from, const char *to, bool again)
{
	const char *from_name = strrchr(from, '/') + 1;

	if (renameat(directory, from_name, directory, strrchr(to, '/') + 1) == 0 ||
		(again && errno == ENOENT && faccessat(directory, from_name, F_OK, 0) != 0))
		return;
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not rename file \"%s\" to \"%s\": %m", from, to)));
}

/*
 * All it takes to finish, since options of the stream may change before that:
 * number of files, directory, prefix, suffix and name of the result, a line
 * each.
 */
static char *
make_note(const DirectoryDelivery *delivery)
{
	return psprintf("%d\n%s\n%s\n%s\n%s\n", delivery->nparts, delivery->place.directory,
					delivery->place.prefix, delivery->place.suffix,
					delivery->has_result ? streaming_file_result_name(&delivery->place) : "");
}

static void
read_note(const char *string, Note *note)
{
	char	   *rest = pstrdup(string);
	char	   *lines[5];

	for (int i = 0; i < lengthof(lines); i++)
	{
		lines[i] = rest ? strsep(&rest, "\n") : NULL;
		if (lines[i] == NULL)
			elog(ERROR, "unexpected note of a delivery: \"%s\"", string);
	}
	note->nparts = atoi(lines[0]);
	note->directory = lines[1];
	note->prefix = lines[2];
	note->suffix = lines[3];
	note->result = lines[4][0] == '\0' ? NULL : lines[4];
}

/* Removes the hidden files of this delivery. */
static void
remove_hidden(const DirectoryDelivery *delivery, int elevel)
{
	const char *directory = delivery->place.directory;
	char		prefix[NAMEDATALEN * 2];
	int			fd = open_directory(&delivery->base, directory, elevel);
	DIR		   *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		return;
	}

	snprintf(prefix, sizeof(prefix), HIDDEN_PREFIX "%s-", delivery->base.token);
	while ((entry = readdir(dir)) != NULL)
	{
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) != 0 && errno != ENOENT)
		{
			char	   *path = psprintf("%s/%s", directory, entry->d_name);
			int			save_errno = errno;

			(void) closedir(dir);
			errno = save_errno;
			ereport(elevel,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s\": %m", path)));
			return;
		}
	}
	(void) closedir(dir);
}

static char *
hidden_path(const StreamingDelivery *base, const char *directory, int part)
{
	if (part == RESULT_PART)
		return psprintf("%s/" HIDDEN_PREFIX "%s-result", directory, base->token);
	return psprintf("%s/" HIDDEN_PREFIX "%s-%04d", directory, base->token, part);
}
