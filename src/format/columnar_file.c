/*
 * columnar_file.c
 *		Files in columnar formats, batch by batch.
 *
 * A batch lives until nobody looks at its records any more, which may be after its file
 * has ended; so does the layout that it is read by.
 */
#include "postgres.h"

#include "streaming.h"

#include <unistd.h>

#include "fmgr.h"
#include "format/columnar.h"
#include "format/orc_process.h"
#include "format/scan_condition.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

struct StreamingColumnarFile
{
	MemoryContext context;
	StreamingDecoder *decoder;	/* says which fields are wanted */
	StreamingConditions *conditions;	/* and these which rows; or NULL */
	StreamingArrowKind kind;
	const StreamingArrowModule *module;
	StreamingArrowFile *file;	/* NULL: none */
	StreamingLayout *layout;	/* likewise */
	int			fd;
	StreamingOrcProcess orc;	/* reads the file, if it is of ORC */
	int			read_errno;
	List	   *batches;		/* that are kept */
	int64		size;			/* of these */
};

/* Of layouts and batches of this process. */
static uint64 last_number = 0;

static StreamingArrowStatus settle(StreamingColumnarFile *file, StreamingArrowStatus status,
								   const StreamingArrowError *error, const char **why);
static bool make_layout(StreamingColumnarFile *file, struct ArrowSchema *schema, const char **why);
static void drop_layout(StreamingLayout *layout);
static void drop_batch(StreamingBatch *batch);
static void say_damage(StreamingColumnarFile *file, const char *message, const char **why);
static ssize_t read_input(void *arg, int64_t offset, void *to, size_t size);
static ssize_t read_orc(void *arg, int64_t offset, void *to, size_t size);
static bool write_orc(void *arg, const void *data, size_t size);

bool
streaming_format_is_columnar(const char *format, StreamingArrowKind *kind)
{
	if (strcmp(format, "parquet") == 0)
		*kind = STREAMING_ARROW_PARQUET;
	else if (strcmp(format, "arrow") == 0)
		*kind = STREAMING_ARROW_IPC;
	else if (strcmp(format, "orc") == 0)
		*kind = STREAMING_ARROW_ORC;
	else
		return false;
	return true;
}

static bool
module_is_installed(void)
{
	char		path[MAXPGPATH];

	snprintf(path, sizeof(path), "%s/streaming_arrow%s", pkglib_path, DLSUFFIX);
	return access(path, R_OK) == 0;
}

bool
streaming_columnar_is_installed(StreamingArrowKind kind)
{
	return module_is_installed() && (kind != STREAMING_ARROW_ORC || streaming_orc_is_installed());
}

void
streaming_columnar_check(StreamingArrowKind kind)
{
	if (!module_is_installed())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("formats \"parquet\", \"arrow\" and \"orc\" are not installed"),
				 errdetail("There is no library \"%s/streaming_arrow%s\".", pkglib_path, DLSUFFIX),
				 errhint("Build streaming where Apache Arrow's C++ library is, as doc/operations.md says, and install it.")));
	if (kind == STREAMING_ARROW_ORC && !streaming_orc_is_installed())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("format \"%s\" is not installed", "orc"),
				 errdetail("There is no program \"%s/streaming_orc\": the Apache Arrow that streaming was built with does not read ORC.",
						   pkglib_path),
				 errhint("Build streaming where Apache Arrow's C++ library has its adapter of ORC, as doc/operations.md says, and install it.")));
}

const StreamingArrowModule *
streaming_arrow_module(void)
{
	static const StreamingArrowModule *module = NULL;
	StreamingArrowFunction function;

	if (module)
		return module;
	streaming_columnar_check(STREAMING_ARROW_IPC);
	/* Where Arrow brings jemalloc, that makes a thread unless it is told. */
	setenv("JE_ARROW_MALLOC_CONF", "background_thread:false", 0);
	function = (StreamingArrowFunction) load_external_function(STREAMING_ARROW_LIBRARY, STREAMING_ARROW_FUNCTION,
															   true, NULL);
	if (function()->version != STREAMING_ARROW_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("library \"%s\" is of another version of streaming", "streaming_arrow"),
				 errdetail("It has version %d of the interface, where %d is needed.", function()->version,
						   STREAMING_ARROW_VERSION),
				 errhint("Install both anew, and begin a new session.")));
	module = function();
	return module;
}

StreamingColumnarFile *
streaming_columnar_open(StreamingDecoder *decoder, StreamingConditions *conditions)
{
	StreamingColumnarFile *file = palloc0(sizeof(StreamingColumnarFile));

	file->context = CurrentMemoryContext;
	file->decoder = decoder;
	file->conditions = conditions;
	file->fd = -1;
	(void) streaming_format_is_columnar(decoder->routine->name, &file->kind);
	streaming_columnar_check(file->kind);
	file->module = streaming_arrow_module();
	return file;
}

void
streaming_columnar_close(StreamingColumnarFile *file)
{
	ListCell   *lc;

	streaming_columnar_end(file);
	foreach(lc, file->batches)
	{
		StreamingBatch *batch = lfirst(lc);

		batch->array.release(&batch->array);
	}
	file->batches = NIL;
}

StreamingArrowStatus
streaming_columnar_begin(StreamingColumnarFile *file, int fd, int64 size, int64 skip,
						 int64 *skipped, const char **why)
{
	StreamingArrowInput input = {.size = size, .read = read_input, .arg = file};
	int64		memory = (int64) streaming_arrow_memory * 1024;
	StreamingArrowError error;
	StreamingArrowStatus status;
	struct ArrowSchema schema = {0};
	int		   *fields;
	int			nfields = 0;
	bool	   *excluded;

	streaming_columnar_end(file);
	*skipped = 0;
	file->fd = fd;
	if (file->kind == STREAMING_ARROW_ORC)
	{
		streaming_orc_start(&file->orc, fd, memory);
		input.read = read_orc;
		input.write = write_orc;
	}
	status = file->module->open(&input, file->kind, memory, &file->file, &schema, &error);
	if (status != STREAMING_ARROW_OK)
		return settle(file, status, &error, why);
	if (!make_layout(file, &schema, why))
		return STREAMING_ARROW_DAMAGE;

	fields = palloc(sizeof(int) * Max(file->layout->type->n, 1));
	for (int i = 0; i < file->layout->type->n; i++)
	{
		file->layout->place[i] = -1;
		if (!streaming_columnar_wants(file->decoder, file->layout->type, i))
			continue;
		file->layout->place[i] = nfields;
		fields[nfields++] = i;
	}
	excluded = streaming_row_groups_exclude(file->module, file->file, file->decoder, file->layout->type,
											file->conditions);
	status = file->module->begin(file->file, fields, nfields, excluded, skip, skipped, &error);
	pfree(fields);
	if (excluded)
		pfree(excluded);
	return settle(file, status, &error, why);
}

StreamingArrowStatus
streaming_columnar_next(StreamingColumnarFile *file, StreamingBatch **result, int64 *excluded,
						const char **why)
{
	struct ArrowArray array = {0};
	int64_t		size;
	int64_t		left_out = 0;
	StreamingArrowError error;
	StreamingArrowStatus status;
	MemoryContext old = MemoryContextSwitchTo(file->context);
	StreamingBatch *batch = palloc0(sizeof(StreamingBatch));

	/* So that nothing fails once there is an array. */
	file->batches = lappend(file->batches, batch);
	file->batches = list_delete_last(file->batches);
	MemoryContextSwitchTo(old);

	*result = NULL;
	status = file->module->next(file->file, &array, &size, &left_out, &error);
	*excluded = left_out;
	if (status != STREAMING_ARROW_OK)
	{
		pfree(batch);
		return settle(file, status, &error, why);
	}
	old = MemoryContextSwitchTo(file->context);
	batch->array = array;
	batch->layout = file->layout;
	batch->layout->references++;
	batch->number = ++last_number;
	batch->size = size;
	file->batches = lappend(file->batches, batch);
	file->size += batch->size;
	MemoryContextSwitchTo(old);
	*result = batch;
	return STREAMING_ARROW_OK;
}

const StreamingArrowType *
streaming_columnar_type(const StreamingColumnarFile *file)
{
	return file->layout ? file->layout->type : NULL;
}

void
streaming_columnar_end(StreamingColumnarFile *file)
{
	if (file->file)
		file->module->close(file->file);
	file->file = NULL;
	if (file->layout)
		drop_layout(file->layout);
	file->layout = NULL;
	file->fd = -1;
	(void) streaming_orc_end(&file->orc);
}

void
streaming_columnar_forget(StreamingColumnarFile *file, const StreamingBatch *keep)
{
	ListCell   *lc;

	foreach(lc, file->batches)
	{
		StreamingBatch *batch = lfirst(lc);

		if (batch == keep)
			continue;
		file->size -= batch->size;
		file->batches = foreach_delete_current(file->batches, lc);
		drop_batch(batch);
	}
}

int64
streaming_columnar_size(const StreamingColumnarFile *file)
{
	return file->size;
}

/* What becomes of a call that has not brought anything. */
static StreamingArrowStatus
settle(StreamingColumnarFile *file, StreamingArrowStatus status, const StreamingArrowError *error,
	   const char **why)
{
	CHECK_FOR_INTERRUPTS();
	switch (status)
	{
		case STREAMING_ARROW_OK:
		case STREAMING_ARROW_END:
			break;
		case STREAMING_ARROW_TROUBLE:
			errno = file->read_errno != 0 ? file->read_errno : EIO;
			break;
		case STREAMING_ARROW_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed while reading a file of stream %s: %s.", file->decoder->stream->name, error->message)));
			break;
		case STREAMING_ARROW_DAMAGE:
			say_damage(file, error->message, why);
			break;
	}
	return status;
}

/* The message may repeat what is in the file. */
static void
say_damage(StreamingColumnarFile *file, const char *message, const char **why)
{
	bool		ended = strcmp(message, STREAMING_ARROW_READER_ENDED) == 0;
	const char *signal = streaming_orc_end(&file->orc);
	char	   *said = ended && signal ? psprintf("%s: %s", message, signal) : pstrdup(message);

	for (char *p = said; *p; p++)
		if ((unsigned char) *p < ' ' || (unsigned char) *p > '~')
			*p = '?';
	*why = said;
}

/* A schema that is none makes a bad file; the parser holds nothing but memory. */
static bool
make_layout(StreamingColumnarFile *file, struct ArrowSchema *schema, const char **why)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(file->context, "streaming file layout", ALLOCSET_SMALL_SIZES);
	StreamingLayout *volatile layout = NULL;

	PG_TRY();
	{
		StreamingLayout *made;

		MemoryContextSwitchTo(context);
		made = palloc0(sizeof(StreamingLayout));
		made->context = context;
		made->references = 1;
		made->number = ++last_number;
		made->type = streaming_arrow_type(schema);
		made->place = palloc(sizeof(int) * Max(made->type->n, 1));
		layout = made;
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());
		ErrorData  *error;

		MemoryContextSwitchTo(old);
		schema->release(schema);
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		error = CopyErrorData();
		FlushErrorState();
		*why = error->detail ? psprintf("%s (%s)", error->message, error->detail) : error->message;
		MemoryContextDelete(context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (layout)
		schema->release(schema);
	file->layout = layout;
	return layout != NULL;
}

static void
drop_layout(StreamingLayout *layout)
{
	if (--layout->references == 0)
		MemoryContextDelete(layout->context);
}

static void
drop_batch(StreamingBatch *batch)
{
	batch->array.release(&batch->array);
	drop_layout(batch->layout);
	pfree(batch);
}

/* Called by the module: no error may pass through it. */
static ssize_t
read_input(void *arg, int64_t offset, void *to, size_t size)
{
	StreamingColumnarFile *file = arg;
	size_t		done = 0;

	while (done < size)
	{
		ssize_t		n;

		if (InterruptPending && (QueryCancelPending || ProcDiePending))
		{
			file->read_errno = EINTR;
			return -1;
		}
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
		n = pread(file->fd, (char *) to + done, size - done, offset + done);
		pgstat_report_wait_end();
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
		{
			file->read_errno = errno;
			return -1;
		}
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

static ssize_t
read_orc(void *arg, int64_t offset, void *to, size_t size)
{
	StreamingColumnarFile *file = arg;
	ssize_t		n = streaming_orc_read(&file->orc, to, size);

	file->read_errno = file->orc.error;
	return n;
}

static bool
write_orc(void *arg, const void *data, size_t size)
{
	StreamingColumnarFile *file = arg;
	bool		written = streaming_orc_write(&file->orc, data, size);

	file->read_errno = file->orc.error;
	return written;
}
