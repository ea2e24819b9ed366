/*
 * streaming_arrow.cc
 *		The module streaming_arrow: Apache Arrow's C++ library, behind arrow_module.h.
 *
 * No exception leaves this file, and nothing in it calls the server, whose errors would
 * jump over what C++ has to destroy.  Arrow makes threads where it is asked to read in
 * parallel, or ahead; here it is asked for neither.
 *
 * What a file says decides no allocation and no recursion: memory comes from one pool
 * with a bound, no more is read than the file has, and Arrow's own readers bound how deep
 * a schema is.
 */
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/buffer_builder.h>
#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/reader.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/config.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

/* Behind Arrow's header, which has the two structs of the interface, too. */
#include "format/arrow_module.h"

namespace
{

using arrow::Result;
using arrow::Status;

/*
 * Rows of a batch of a Parquet file.  Not as many as fit, since where damage begins
 * must not depend on who reads which columns: it begins with a batch.
 */
constexpr int64_t BATCH_ROWS = 2048;

/* Where that many need too much memory they are fewer. */
constexpr int64_t SMALLER = 16;

constexpr int64_t READ_BUFFER = 64 * 1024;

/* ------------------------------------------------------------------------
 * Memory
 * ------------------------------------------------------------------------ */

class BoundedPool : public arrow::MemoryPool
{
  public:
	int64_t		limit = 0;
	bool		failed = false; /* the server did not have what is within it */

	using arrow::MemoryPool::Allocate;
	using arrow::MemoryPool::Free;
	using arrow::MemoryPool::Reallocate;

	Status Allocate(int64_t size, int64_t alignment, uint8_t **out) override
	{
		if (size < 0 || size > limit - used_)
			return exceeded(size);
		return account(base_->Allocate(size, alignment, out), size);
	}

	Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t **ptr) override
	{
		if (new_size < 0 || new_size - old_size > limit - used_)
			return exceeded(new_size);
		return account(base_->Reallocate(old_size, new_size, alignment, ptr), new_size - old_size);
	}

	void Free(uint8_t *buffer, int64_t size, int64_t alignment) override
	{
		base_->Free(buffer, size, alignment);
		used_ -= size;
	}

	int64_t bytes_allocated() const override { return used_; }
	int64_t max_memory() const override { return peak_; }
	int64_t total_bytes_allocated() const override { return total_; }
	int64_t num_allocations() const override { return allocations_; }
	std::string backend_name() const override { return "streaming"; }

  private:
	arrow::MemoryPool *base_ = arrow::system_memory_pool();
	int64_t		used_ = 0;
	int64_t		peak_ = 0;
	int64_t		total_ = 0;
	int64_t		allocations_ = 0;

	Status account(const Status &status, int64_t size)
	{
		failed |= !status.ok();
		if (!status.ok())
			return status;
		used_ += size;
		peak_ = std::max(peak_, used_);
		total_ += std::max<int64_t>(size, 0);
		allocations_++;
		return status;
	}

	Status exceeded(int64_t size) const
	{
		return Status::OutOfMemory("it asks for ", size, " bytes, with ", used_, " in use");
	}
};

/* Batches may outlive their file: it is never destroyed. */
BoundedPool *
pool()
{
	static BoundedPool *made = new BoundedPool();

	return made;
}

/* ------------------------------------------------------------------------
 * Bytes
 * ------------------------------------------------------------------------ */

class Input : public arrow::io::RandomAccessFile
{
  public:
	bool		failed = false; /* not the file but reading it */

	explicit Input(const StreamingArrowInput &input) : input_(input)
	{
		set_mode(arrow::io::FileMode::READ);
	}

	Status Close() override
	{
		closed_ = true;
		return Status::OK();
	}

	bool closed() const override { return closed_; }
	Result<int64_t> Tell() const override { return at_; }
	Result<int64_t> GetSize() override { return input_.size; }

	Status Seek(int64_t position) override
	{
		if (position < 0 || position > input_.size)
			return Status::Invalid("a place beyond the end of the file");
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
		if (position < 0 || position > input_.size || size < 0)
			return Status::Invalid("a place beyond the end of the file");
		size = std::min(size, input_.size - position);

		ssize_t		n = input_.read(input_.arg, position, out, size);

		if (n < 0)
		{
			failed = true;
			return Status::IOError("could not be read");
		}
		return n;
	}

	Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override
	{
		if (position < 0 || position > input_.size || size < 0)
			return Status::Invalid("a place beyond the end of the file");
		size = std::min(size, input_.size - position);
		ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::ResizableBuffer> buffer,
							  arrow::AllocateResizableBuffer(size, pool()));
		ARROW_ASSIGN_OR_RAISE(int64_t n, ReadAt(position, size, buffer->mutable_data()));
		if (n < size)
			ARROW_RETURN_NOT_OK(buffer->Resize(n));
		return std::shared_ptr<arrow::Buffer>(std::move(buffer));
	}

  private:
	StreamingArrowInput input_;
	int64_t		at_ = 0;
	bool		closed_ = false;
};

/* ------------------------------------------------------------------------
 * Files
 * ------------------------------------------------------------------------ */

/* What next returns: NULL is the end. */
using Batch = std::shared_ptr<arrow::RecordBatch>;

class File
{
  public:
	std::shared_ptr<Input> input;

	virtual ~File() = default;
	virtual Result<std::shared_ptr<arrow::Schema>> open() = 0;
	virtual Result<int64_t> begin(std::vector<int> fields, int64_t skip) = 0;
	virtual Result<Batch> next() = 0;
};

class ParquetFile : public File
{
  public:
	Result<std::shared_ptr<arrow::Schema>> open() override
	{
		parquet::ReaderProperties properties(pool());
		parquet::ArrowReaderProperties arrow_properties(false);
		std::shared_ptr<arrow::Schema> schema;

		properties.enable_buffered_stream();
		properties.set_buffer_size(READ_BUFFER);
		properties.set_page_checksum_verification(true);
		properties.set_schema_depth_limit(STREAMING_ARROW_MAX_DEPTH);
		arrow_properties.set_batch_size(BATCH_ROWS);
		arrow_properties.set_pre_buffer(false);
		arrow_properties.set_arrow_extensions_enabled(true);
		arrow_properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
		ARROW_ASSIGN_OR_RAISE(reader_, parquet::arrow::FileReader::Make(
								  pool(), parquet::ParquetFileReader::Open(input, properties), arrow_properties));
		ARROW_RETURN_NOT_OK(reader_->GetSchema(&schema));
		for (int i = 0; i < reader_->num_row_groups(); i++)
			if (rows_of(i) < 0)
				return Status::Invalid("a row group has a negative number of rows");
		return schema;
	}

	/*
	 * Whole row groups are passed over by what is said of them.  Where a batch of one
	 * row ends a group, the group is read, too: damage in it counts as that row.
	 */
	Result<int64_t> begin(std::vector<int> fields, int64_t skip) override
	{
		int64_t		skipped = 0;

		for (int field : fields)
			add_leaves(reader_->manifest().schema_fields.at(field));
		while (group_ < reader_->num_row_groups() && skipped + rows_of(group_) <= skip &&
			   !(skipped + rows_of(group_) == skip && rows_of(group_) % BATCH_ROWS == 1))
			skipped += rows_of(group_++);
		while (skipped < skip)
		{
			ARROW_ASSIGN_OR_RAISE(Batch batch, read());
			if (!batch)
				break;
			skipped += batch->num_rows();
			if (skipped > skip)
			{
				rest_ = batch->Slice(batch->num_rows() - (skipped - skip));
				skipped = skip;
			}
		}
		return skipped;
	}

	Result<Batch> next() override
	{
		if (rest_)
			return std::exchange(rest_, nullptr);
		return read();
	}

  private:
	std::unique_ptr<parquet::arrow::FileReader> reader_;
	std::vector<int> leaves_;
	int			group_ = 0;
	int64_t		done_ = 0;		/* rows of it */
	std::unique_ptr<arrow::RecordBatchReader> batches_;	/* of it */
	Batch		rest_;

	int64_t rows_of(int group) { return reader_->parquet_reader()->metadata()->RowGroup(group)->num_rows(); }

	void add_leaves(const parquet::arrow::SchemaField &field)
	{
		if (field.is_leaf())
			leaves_.push_back(field.column_index);
		for (const auto &child : field.children)
			add_leaves(child);
	}

	Result<Batch> read()
	{
		for (; group_ < reader_->num_row_groups(); group_++, done_ = 0, batches_.reset())
		{
			int64_t		rows = rows_of(group_);
			Batch		batch;

			if (done_ == rows)
				continue;
			if (leaves_.empty())
				batch = arrow::RecordBatch::Make(arrow::schema({}), std::min(BATCH_ROWS, rows - done_),
												 std::vector<std::shared_ptr<arrow::Array>>());
			else
			{
				ARROW_ASSIGN_OR_RAISE(batch, read_rows());
				if (!batch || batch->num_rows() == 0 || batch->num_rows() > rows - done_)
					return Status::Invalid("a row group does not have the rows that it says");
				ARROW_RETURN_NOT_OK(batch->Validate());
			}
			done_ += batch->num_rows();
			return batch;
		}
		return nullptr;
	}

	Result<Batch> read_rows()
	{
		if (!batches_)
			ARROW_RETURN_NOT_OK(begin_group(BATCH_ROWS));

		auto		batch = read_guarded();

		if (!batch.status().IsOutOfMemory())
			return batch;

		/* Rows that are very wide, a few at a time. */
		ARROW_RETURN_NOT_OK(begin_group(SMALLER));
		for (int64_t passed = 0; passed < done_;)
		{
			ARROW_ASSIGN_OR_RAISE(Batch before, read_guarded());
			if (!before || before->num_rows() > done_ - passed)
				return batch.status();
			passed += before->num_rows();
		}
		return read_guarded();
	}

	Status begin_group(int64_t rows)
	{
		batches_.reset();
		reader_->set_batch_size(rows);
		ARROW_ASSIGN_OR_RAISE(batches_, reader_->GetRecordBatchReader({group_}, leaves_));
		reader_->set_batch_size(BATCH_ROWS);
		return Status::OK();
	}

	Result<Batch> read_guarded()
	{
		try
		{
			return batches_->Next();
		}
		catch (const parquet::ParquetStatusException &e)
		{
			return e.status();
		}
	}
};

class ArrowFile : public File
{
  public:
	Result<std::shared_ptr<arrow::Schema>> open() override
	{
		char		magic[6] = {0};

		options_.memory_pool = pool();
		options_.use_threads = false;
		options_.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
		ARROW_ASSIGN_OR_RAISE(int64_t n, input->ReadAt(0, sizeof(magic), magic));
		is_file_ = n == sizeof(magic) && std::equal(magic, magic + sizeof(magic), "ARROW1");
		ARROW_RETURN_NOT_OK(open_reader());
		schema_ = is_file_ ? file_->schema() : stream_->schema();
		return schema_;
	}

	/* The reader is told what it includes when it is made.  No field at all means all. */
	Result<int64_t> begin(std::vector<int> fields, int64_t skip) override
	{
		int64_t		skipped = 0;

		fields_ = fields;
		if (fields.empty() && schema_->num_fields() > 0)
			fields.push_back(0);
		options_.included_fields = fields;
		ARROW_RETURN_NOT_OK(open_reader());
		while (skipped < skip)
		{
			ARROW_ASSIGN_OR_RAISE(Batch batch, read());
			if (!batch)
				break;
			skipped += batch->num_rows();
			if (skipped > skip)
			{
				rest_ = batch->Slice(batch->num_rows() - (skipped - skip));
				skipped = skip;
			}
		}
		return skipped;
	}

	Result<Batch> next() override
	{
		if (rest_)
			return std::exchange(rest_, nullptr);
		return read();
	}

  private:
	arrow::ipc::IpcReadOptions options_ = arrow::ipc::IpcReadOptions::Defaults();
	bool		is_file_ = false;
	std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
	std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream_;
	std::shared_ptr<arrow::Schema> schema_;
	std::vector<int> fields_;
	int			batch_ = 0;
	Batch		rest_;

	Status open_reader()
	{
		ARROW_RETURN_NOT_OK(input->Seek(0));
		if (is_file_)
			return arrow::ipc::RecordBatchFileReader::Open(input, options_).Value(&file_);
		return arrow::ipc::RecordBatchStreamReader::Open(std::shared_ptr<arrow::io::InputStream>(input), options_)
			.Value(&stream_);
	}

	Result<Batch> read()
	{
		for (;;)
		{
			Batch		batch;

			if (!is_file_)
			{
				ARROW_RETURN_NOT_OK(stream_->ReadNext(&batch));
			}
			else if (batch_ < file_->num_record_batches())
			{
				ARROW_ASSIGN_OR_RAISE(batch, file_->ReadRecordBatch(batch_++));
			}
			if (!batch)
				return nullptr;
			/* What is in it has not been looked at yet. */
			ARROW_RETURN_NOT_OK(batch->ValidateFull());
			if (batch->num_rows() == 0)
				continue;
			if (fields_.empty())
				return arrow::RecordBatch::Make(arrow::schema({}), batch->num_rows(),
												std::vector<std::shared_ptr<arrow::Array>>());
			return batch;
		}
	}
};

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------ */

/* Keeps bytes until they are fetched. */
class Output : public arrow::io::OutputStream
{
  public:
	Output() : buffer_(pool()) { set_mode(arrow::io::FileMode::WRITE); }

	using arrow::io::OutputStream::Write;

	Status Close() override
	{
		closed_ = true;
		return Status::OK();
	}

	bool closed() const override { return closed_; }
	Result<int64_t> Tell() const override { return before_ + buffer_.length(); }
	Status Write(const void *data, int64_t size) override { return buffer_.Append(data, size); }

	const uint8_t *data() const { return buffer_.data(); }
	int64_t length() const { return buffer_.length(); }

	void clear()
	{
		before_ += buffer_.length();
		buffer_.Reset();
	}

  private:
	arrow::BufferBuilder buffer_;
	int64_t		before_ = 0;
	bool		closed_ = false;
};

/* ------------------------------------------------------------------------
 * The interface
 * ------------------------------------------------------------------------ */

StreamingArrowStatus
report(StreamingArrowStatus status, const char *message, StreamingArrowError *error)
{
	std::snprintf(error->message, sizeof(error->message), "%s", message);
	return status;
}

StreamingArrowStatus
report(const Status &status, bool failed, StreamingArrowError *error)
{
	const std::string &message = status.message();

	if (status.ok())
		return STREAMING_ARROW_OK;
	if (failed)
		return report(STREAMING_ARROW_TROUBLE, message.c_str(), error);
	/*
	 * What a file asks for may be nonsense; some of it is asked for past the pool.  The
	 * server's own trouble is a failure of the pool within its limit.
	 */
	if (status.IsOutOfMemory() && !pool()->failed)
		return report(STREAMING_ARROW_DAMAGE, "it needs more memory than streaming.arrow_memory", error);
	return report(status.IsOutOfMemory() ? STREAMING_ARROW_MEMORY : STREAMING_ARROW_DAMAGE,
				  message.c_str(), error);
}

/* Runs code, which returns a Status, and lets nothing out of it. */
template <typename Code>
StreamingArrowStatus
guard(const bool &failed, StreamingArrowError *error, Code code) noexcept
{
	pool()->failed = false;
	try
	{
		return report(code(), failed, error);
	}
	catch (const parquet::ParquetStatusException &e)
	{
		return report(e.status(), failed, error);
	}
	catch (const std::bad_alloc &)
	{
		return report(STREAMING_ARROW_MEMORY, "out of memory", error);
	}
	catch (const std::exception &e)
	{
		return report(failed ? STREAMING_ARROW_TROUBLE : STREAMING_ARROW_DAMAGE, e.what(), error);
	}
	catch (...)
	{
		return report(STREAMING_ARROW_DAMAGE, "unknown exception", error);
	}
}

}								/* namespace */

struct StreamingArrowFile
{
	std::unique_ptr<File> file;
};

struct StreamingArrowWriter
{
	std::shared_ptr<arrow::Schema> schema;
	std::shared_ptr<Output> output;
	std::unique_ptr<parquet::arrow::FileWriter> writer;
	bool		fetched = false;	/* what is in output */
};

namespace
{

StreamingArrowStatus
open_file(const StreamingArrowInput *input, StreamingArrowKind kind, int64_t memory,
		  StreamingArrowFile **result, struct ArrowSchema *schema, StreamingArrowError *error)
{
	std::shared_ptr<Input> bytes;

	*result = nullptr;
	try
	{
		bytes = std::make_shared<Input>(*input);
	}
	catch (...)
	{
		return report(STREAMING_ARROW_MEMORY, "out of memory", error);
	}
	return guard(bytes->failed, error, [&]() -> Status {
		auto		made = std::make_unique<StreamingArrowFile>();

		pool()->limit = memory;
		if (kind == STREAMING_ARROW_PARQUET)
			made->file = std::make_unique<ParquetFile>();
		else
			made->file = std::make_unique<ArrowFile>();
		made->file->input = bytes;
		ARROW_ASSIGN_OR_RAISE(auto found, made->file->open());
		ARROW_RETURN_NOT_OK(arrow::ExportSchema(*found, schema));
		*result = made.release();
		return Status::OK();
	});
}

StreamingArrowStatus
begin_file(StreamingArrowFile *file, const int *fields, int nfields, int64_t skip, int64_t *skipped,
		   StreamingArrowError *error)
{
	return guard(file->file->input->failed, error, [&]() -> Status {
		return file->file->begin(std::vector<int>(fields, fields + nfields), skip).Value(skipped);
	});
}

StreamingArrowStatus
next_batch(StreamingArrowFile *file, struct ArrowArray *batch, int64_t *size, StreamingArrowError *error)
{
	bool		end = false;
	StreamingArrowStatus status = guard(file->file->input->failed, error, [&]() -> Status {
		ARROW_ASSIGN_OR_RAISE(Batch rows, file->file->next());

		end = !rows;
		if (end)
			return Status::OK();
		*size = arrow::util::TotalBufferSize(*rows);
		return arrow::ExportRecordBatch(*rows, batch);
	});

	return status == STREAMING_ARROW_OK && end ? STREAMING_ARROW_END : status;
}

void
close_file(StreamingArrowFile *file)
{
	try
	{
		delete file;
	}
	catch (...)
	{
	}
}

StreamingArrowStatus
open_writer(int64_t memory, struct ArrowSchema *schema, StreamingArrowWriter **result, StreamingArrowError *error)
{
	*result = nullptr;
	return guard(false, error, [&]() -> Status {
		auto		made = std::make_unique<StreamingArrowWriter>();
		parquet::WriterProperties::Builder properties;
		parquet::ArrowWriterProperties::Builder arrow_properties;

		pool()->limit = memory;
		ARROW_ASSIGN_OR_RAISE(made->schema, arrow::ImportSchema(schema));
		made->output = std::make_shared<Output>();
		properties.memory_pool(pool())->compression(parquet::Compression::ZSTD)->enable_page_checksum();
		arrow_properties.set_use_threads(false);
		ARROW_ASSIGN_OR_RAISE(made->writer, parquet::arrow::FileWriter::Open(*made->schema, pool(), made->output,
																			 properties.build(), arrow_properties.build()));
		*result = made.release();
		return Status::OK();
	});
}

StreamingArrowStatus
write_batch(StreamingArrowWriter *writer, struct ArrowArray *batch, bool end, const char **data, size_t *length,
			StreamingArrowError *error)
{
	return guard(false, error, [&]() -> Status {
		if (writer->fetched)
			writer->output->clear();
		writer->fetched = false;
		if (batch)
		{
			ARROW_ASSIGN_OR_RAISE(Batch rows, arrow::ImportRecordBatch(batch, writer->schema));
			ARROW_RETURN_NOT_OK(writer->writer->NewRowGroup());
			for (const auto &column : rows->columns())
				ARROW_RETURN_NOT_OK(writer->writer->WriteColumnChunk(*column));
		}
		if (end)
			ARROW_RETURN_NOT_OK(writer->writer->Close());
		*data = reinterpret_cast<const char *>(writer->output->data());
		*length = writer->output->length();
		writer->fetched = true;
		return Status::OK();
	});
}

void
close_writer(StreamingArrowWriter *writer)
{
	try
	{
		delete writer;
	}
	catch (...)
	{
	}
}

const StreamingArrowModule module = {
	STREAMING_ARROW_VERSION,
	"Apache Arrow " ARROW_VERSION_STRING,
	open_file,
	begin_file,
	next_batch,
	close_file,
	open_writer,
	write_batch,
	close_writer
};

}								/* namespace */

extern "C" __attribute__((visibility("default"))) const StreamingArrowModule *
streaming_arrow_module(void)
{
	return &module;
}
