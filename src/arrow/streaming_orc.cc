/*
 * streaming_orc.cc
 *		The program streaming_orc VERSION MEMORY PARENT: reads one ORC file, says what is
 *		in it (orc_protocol.h), and ends.
 *
 * It is a process of its own since the C++ library that reads ORC takes memory where
 * nobody asks how much, and uses what malloc returns where that is NULL.  Here a limit of
 * the operating system holds for it, and a signal ends this process only; which goes for
 * whatever else a file may do to it, too.  What comes out of it is Arrow's, which is
 * validated by who reads it.
 */
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <arrow/adapters/orc/adapter.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/writer.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <arrow/type.h>

#include "arrow/orc_protocol.h"
#include "format/arrow_module.h"

namespace
{

using arrow::Result;
using arrow::Status;
using Batch = std::shared_ptr<arrow::RecordBatch>;

constexpr int FILE_FD = 0;
constexpr int SOCKET_FD = 1;

/* As of Parquet files: where damage begins does not depend on who reads. */
constexpr int64_t BATCH_ROWS = 2048;

/* Of the processor, for what is between two frames; no file is worth more. */
constexpr int PATIENCE = 60;	/* s */

/* What a process takes before it has a file, about. */
constexpr int64_t OWN_MEMORY = 64 * 1024 * 1024;

/* ------------------------------------------------------------------------
 * The socket
 * ------------------------------------------------------------------------ */

/* Without a reader there is nobody to work for. */
void
put(const void *data, size_t size)
{
	const char *at = static_cast<const char *>(data);

	while (size > 0)
	{
		ssize_t		n = write(SOCKET_FD, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		size -= n;
	}
}

void
get(void *data, size_t size)
{
	char	   *at = static_cast<char *>(data);

	while (size > 0)
	{
		ssize_t		n = read(SOCKET_FD, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		size -= n;
	}
}

/* From now on the next frame has all its time. */
void
begin_frame()
{
	struct itimerval patience = {{0, 0}, {PATIENCE, 0}};

	setitimer(ITIMER_VIRTUAL, &patience, nullptr);
}

void
put_frame(StreamingOrcKind kind, const void *data, int64_t length)
{
	StreamingOrcFrame frame = {kind, 0, length};

	put(&frame, sizeof(frame));
	put(data, length);
	begin_frame();
}

[[noreturn]] void
end_damaged(const char *why)
{
	put_frame(STREAMING_ORC_DAMAGE, why, strnlen(why, STREAMING_ORC_MAX_TEXT));
	_exit(0);
}

}								/* namespace */

/* ------------------------------------------------------------------------
 * Memory
 *
 * The library does not look at what malloc returns.
 * ------------------------------------------------------------------------ */

#ifdef __GLIBC__
extern "C"
{
void	   *__libc_malloc(size_t size);
void	   *__libc_calloc(size_t n, size_t size);
void	   *__libc_realloc(void *old, size_t size);

static void *
had(void *memory, size_t size)
{
	if (memory == nullptr && size > 0)
		end_damaged("it needs more memory than streaming.arrow_memory");
	return memory;
}

void *
malloc(size_t size)
{
	return had(__libc_malloc(size), size);
}

void *
calloc(size_t n, size_t size)
{
	return had(__libc_calloc(n, size), n * size);
}

void *
realloc(void *old, size_t size)
{
	return had(__libc_realloc(old, size), size);
}
}
#endif

/* ------------------------------------------------------------------------
 * Time zones
 *
 * A file names the zone of who wrote it, and the library opens that below the directory
 * of zones, wherever the name leads: what it then says tells whether there is such a file,
 * and a named pipe would hold it up for ever.  Names that leave the directory lead nowhere.
 * ------------------------------------------------------------------------ */

#ifdef __GLIBC__
static bool
leads_up(const char *path)
{
	for (const char *at = strstr(path, ".."); at != nullptr; at = strstr(at + 1, ".."))
	{
		if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
			return true;
	}
	return false;
}

/* In the place of the C library's, for the libraries that this program uses. */
template <typename Function>
static Function
next_of(const char *name)
{
	return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

/* Files are only read here; not even a named pipe among the zones is waited for. */
static int
open_to_read(const char *name, const char *path, int flags)
{
	if (leads_up(path))
	{
		errno = ENOENT;
		return -1;
	}
	return next_of<int (*)(const char *, int, ...)>(name)(path, flags | O_NONBLOCK, 0);
}

template <typename Stat>
static int
stat_of(const char *name, int version, const char *path, Stat *st)
{
	if (leads_up(path))
	{
		errno = ENOENT;
		return -1;
	}
	return next_of<int (*)(int, const char *, Stat *)>(name)(version, path, st);
}

template <typename Stat>
static int
stat_of(const char *name, const char *path, Stat *st)
{
	if (leads_up(path))
	{
		errno = ENOENT;
		return -1;
	}
	return next_of<int (*)(const char *, Stat *)>(name)(path, st);
}

#pragma GCC visibility push(default)
extern "C"
{
int
open(const char *path, int flags, ...)
{
	return open_to_read("open", path, flags);
}

int
open64(const char *path, int flags, ...)
{
	return open_to_read("open64", path, flags);
}

int
stat(const char *path, struct stat *st)
{
	return stat_of("stat", path, st);
}

int
stat64(const char *path, struct stat64 *st)
{
	return stat_of("stat64", path, st);
}

/* Of libraries that have been built for an older C library. */
int
__xstat(int version, const char *path, struct stat *st)
{
	return stat_of("__xstat", version, path, st);
}

int
__xstat64(int version, const char *path, struct stat64 *st)
{
	return stat_of("__xstat64", version, path, st);
}
}
#pragma GCC visibility pop
#endif

namespace
{

/* ------------------------------------------------------------------------
 * The file
 * ------------------------------------------------------------------------ */

class Input : public arrow::io::RandomAccessFile
{
  public:
	explicit Input(int64_t size) : size_(size) { set_mode(arrow::io::FileMode::READ); }

	Status Close() override
	{
		closed_ = true;
		return Status::OK();
	}

	bool closed() const override { return closed_; }
	Result<int64_t> Tell() const override { return at_; }
	Result<int64_t> GetSize() override { return size_; }

	Status Seek(int64_t position) override
	{
		at_ = position;
		return Status::OK();
	}

	Result<int64_t> Read(int64_t size, void *out) override
	{
		ARROW_ASSIGN_OR_RAISE(int64_t n, ReadAt(at_, size, out));
		at_ += n;
		return n;
	}

	Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override
	{
		ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(at_, size));
		at_ += buffer->size();
		return buffer;
	}

	Result<int64_t> ReadAt(int64_t position, int64_t size, void *out) override
	{
		int64_t		done = 0;

		ARROW_ASSIGN_OR_RAISE(size, bounded(position, size));
		while (done < size)
		{
			ssize_t		n = pread(FILE_FD, static_cast<char *>(out) + done, size - done, position + done);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				end_in_trouble();
			if (n == 0)
				break;
			done += n;
		}
		return done;
	}

	Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override
	{
		ARROW_ASSIGN_OR_RAISE(size, bounded(position, size));
		ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::ResizableBuffer> buffer,
							  arrow::AllocateResizableBuffer(size, arrow::system_memory_pool()));
		ARROW_ASSIGN_OR_RAISE(int64_t n, ReadAt(position, size, buffer->mutable_data()));
		ARROW_RETURN_NOT_OK(buffer->Resize(n));
		return std::shared_ptr<arrow::Buffer>(std::move(buffer));
	}

  private:
	int64_t		size_;
	int64_t		at_ = 0;
	bool		closed_ = false;

	Result<int64_t> bounded(int64_t position, int64_t size) const
	{
		if (position < 0 || position > size_ || size < 0)
			return Status::Invalid("a place beyond the end of the file");
		return std::min(size, size_ - position);
	}

	[[noreturn]] static void end_in_trouble()
	{
		put_frame(STREAMING_ORC_TROUBLE, nullptr, 0);
		_exit(0);
	}
};

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------ */

Status
put_rows(const arrow::RecordBatch &rows)
{
	arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();

	options.memory_pool = arrow::system_memory_pool();
	options.use_threads = false;
	ARROW_ASSIGN_OR_RAISE(auto message, arrow::ipc::SerializeRecordBatch(rows, options));
	put_frame(STREAMING_ORC_DATA, message->data(), message->size());
	return Status::OK();
}

/* The rows of a stripe, but its first ones. */
Status
put_stripe(arrow::adapters::orc::ORCFileReader *reader, const arrow::adapters::orc::StripeInformation &stripe,
		   const std::vector<int> &fields, int64_t skip)
{
	std::shared_ptr<arrow::RecordBatchReader> batches;

	if (!fields.empty())
	{
		ARROW_RETURN_NOT_OK(reader->Seek(stripe.first_row_id));
		ARROW_ASSIGN_OR_RAISE(batches, reader->NextStripeReader(BATCH_ROWS, fields));
		if (!batches)
			return Status::Invalid("a stripe does not have the rows that it says");
	}
	for (int64_t done = 0; done < stripe.num_rows;)
	{
		Batch		batch;

		if (batches)
			ARROW_RETURN_NOT_OK(batches->ReadNext(&batch));
		else
			batch = arrow::RecordBatch::Make(arrow::schema({}), std::min(BATCH_ROWS, stripe.num_rows - done),
											 std::vector<std::shared_ptr<arrow::Array>>());
		if (!batch || batch->num_rows() == 0 || batch->num_rows() > stripe.num_rows - done)
			return Status::Invalid("a stripe does not have the rows that it says");

		int64_t		passed = std::clamp<int64_t>(skip - done, 0, batch->num_rows());

		done += batch->num_rows();
		if (passed < batch->num_rows())
			ARROW_RETURN_NOT_OK(put_rows(passed > 0 ? *batch->Slice(passed) : *batch));
	}
	return Status::OK();
}

/*
 * Stripes that are before skip, by what is said of them.  Where a batch of one row ends
 * a stripe, that is read, too: damage in it counts as that row.
 */
bool
is_before(const arrow::adapters::orc::StripeInformation &stripe, int64_t skip)
{
	return stripe.num_rows <= skip && !(stripe.num_rows == skip && stripe.num_rows % BATCH_ROWS == 1);
}

Status
answer()
{
	struct stat st;
	StreamingOrcRequest request;
	std::vector<int> fields;
	int64_t		rows = 0;
	int64_t		skipped;

	if (fstat(FILE_FD, &st) != 0)
		return Status::IOError("its size is not known");
	ARROW_ASSIGN_OR_RAISE(auto reader, arrow::adapters::orc::ORCFileReader::Open(std::make_shared<Input>(st.st_size),
																				 arrow::system_memory_pool()));
	ARROW_ASSIGN_OR_RAISE(auto schema, reader->ReadSchema());
	ARROW_ASSIGN_OR_RAISE(auto message, arrow::ipc::SerializeSchema(*schema, arrow::system_memory_pool()));
	for (int64_t i = 0; i < reader->NumberOfStripes(); i++)
	{
		auto		stripe = reader->GetStripeInformation(i);

		if (stripe.num_rows < 0 || stripe.first_row_id != rows)
			return Status::Invalid("a stripe has no number of rows");
		rows += stripe.num_rows;
	}
	put_frame(STREAMING_ORC_DATA, message->data(), message->size());

	get(&request, sizeof(request));
	for (int64_t i = 0; i < request.nfields; i++)
	{
		int32_t		field;

		get(&field, sizeof(field));
		fields.push_back(field);
	}
	skipped = std::min(request.skip, rows);
	put_frame(STREAMING_ORC_DATA, &skipped, sizeof(skipped));

	for (int64_t i = 0; i < reader->NumberOfStripes(); i++)
	{
		auto		stripe = reader->GetStripeInformation(i);

		if (!is_before(stripe, skipped))
			ARROW_RETURN_NOT_OK(put_stripe(reader.get(), stripe, fields, skipped));
		skipped = std::max<int64_t>(skipped - stripe.num_rows, 0);
	}
	put_frame(STREAMING_ORC_END, nullptr, 0);
	return Status::OK();
}

/* Nothing of the server's is left open, and no file is left behind. */
void
confine(int64_t memory, pid_t parent)
{
	struct rlimit none = {0, 0};
	struct rlimit data;

	/* Others take more at once than they use. */
	setenv("ARROW_DEFAULT_MEMORY_POOL", "system", 1);

	data.rlim_cur = data.rlim_max = memory + OWN_MEMORY;
	setrlimit(RLIMIT_DATA, &data);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);				/* it has ended before */
	begin_frame();
	for (int fd = SOCKET_FD + 2, end = static_cast<int>(sysconf(_SC_OPEN_MAX)); fd < std::min(end, 65536); fd++)
		close(fd);
}

}								/* namespace */

int
main(int argc, char **argv)
{
	if (argc != 4 || std::atoi(argv[1]) != STREAMING_ARROW_VERSION)
		end_damaged("the program streaming_orc is of another version of streaming");
	confine(std::atoll(argv[2]), std::atoi(argv[3]));
	try
	{
		Status		status = answer();

		if (!status.ok())
			end_damaged(status.IsOutOfMemory() ? "it needs more memory than streaming.arrow_memory" :
						status.message().c_str());
	}
	catch (const std::exception &e)
	{
		end_damaged(e.what());
	}
	catch (...)
	{
		end_damaged("unknown exception");
	}
	_exit(0);
}
