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

#include <arrow/array/array_nested.h>
#include <arrow/array/builder_base.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/buffer.h>
#include <arrow/buffer_builder.h>
#include <arrow/builder.h>
#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/io/interfaces.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/scalar.h>
#include <arrow/status.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/compression.h>
#include <arrow/util/config.h>
#include <arrow/util/decimal.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/statistics.h>
#include <parquet/types.h>

#include "arrow/orc_protocol.h"

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

	/* To the program that reads the file, and from it. */
	Status send(const void *data, size_t size)
	{
		if (input_.write(input_.arg, data, size))
			return Status::OK();
		failed = true;
		return Status::IOError("could not be read");
	}

	Status receive(void *to, size_t size)
	{
		ssize_t		n = input_.read(input_.arg, 0, to, size);

		if (n < 0)
		{
			failed = true;
			return Status::IOError("could not be read");
		}
		if (static_cast<size_t>(n) < size)
			return Status::IOError(STREAMING_ARROW_READER_ENDED);
		return Status::OK();
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

Batch
rows_without_fields(int64_t n)
{
	return arrow::RecordBatch::Make(arrow::schema({}), n, std::vector<std::shared_ptr<arrow::Array>>());
}

class File
{
  public:
	std::shared_ptr<Input> input;

	virtual ~File() = default;
	virtual Result<std::shared_ptr<arrow::Schema>> open() = 0;
	virtual Result<int64_t> begin(std::vector<int> fields, std::vector<bool> excluded, int64_t skip) = 0;
	virtual int64_t row_groups() { return 0; }

	/* NULL: there is nothing to compare. */
	virtual Result<std::shared_ptr<arrow::StructArray>> statistics(const int *path, int depth) { return nullptr; }

	Result<Batch> next()
	{
		if (rest_)
			return std::exchange(rest_, nullptr);
		return read();
	}

	/* Rows that have been excluded since this was asked for last. */
	int64_t take_excluded() { return std::exchange(excluded_rows_, 0); }

  protected:
	int64_t		excluded_rows_ = 0;

	virtual Result<Batch> read() = 0;

	/* Reads rows until skip of them are behind us, of which some are; returns how many. */
	Result<int64_t> pass_over(int64_t skipped, int64_t skip)
	{
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

  private:
	Batch		rest_;			/* of a batch that is passed over in part */
};

/* ---- Statistics of a Parquet column ---- */

using Statistics = std::shared_ptr<parquet::Statistics>;

template <typename Type, typename Make>
std::pair<std::shared_ptr<arrow::Scalar>, std::shared_ptr<arrow::Scalar>>
bounds_of(const Statistics &statistics, Make make)
{
	const auto &typed = static_cast<const parquet::TypedStatistics<Type> &>(*statistics);

	return {make(typed.min()), make(typed.max())};
}

/* In what way statistics of a column are Arrow's values; type NULL: in none. */
struct StatisticsType
{
	std::shared_ptr<arrow::DataType> type;
	parquet::Type::type physical;
	int			length;			/* of FIXED_LEN_BYTE_ARRAY */

	/* The unit of a time is Parquet's own, whatever the reader makes of it. */
	StatisticsType(const parquet::ColumnDescriptor &column, std::shared_ptr<arrow::DataType> field)
		: physical(column.physical_type()), length(column.type_length())
	{
		const auto &logical = column.logical_type();
		bool		is_integer = physical == parquet::Type::INT32 || physical == parquet::Type::INT64;

		if (column.max_repetition_level() > 0)
			return;
		if (field->id() == arrow::Type::DICTIONARY)
			field = static_cast<const arrow::DictionaryType &>(*field).value_type();
		if (field->id() == arrow::Type::BOOL && physical == parquet::Type::BOOLEAN)
			type = field;
		else if (arrow::is_integer(field->id()) && is_integer && (logical->is_none() || logical->is_int()))
			type = field;
		else if (arrow::is_date(field->id()) && physical == parquet::Type::INT32 && logical->is_date())
			type = arrow::date32();
		else if (field->id() == arrow::Type::TIMESTAMP && physical == parquet::Type::INT64 && logical->is_timestamp())
			type = arrow::timestamp(unit_of(static_cast<const parquet::TimestampLogicalType &>(*logical).time_unit()),
									static_cast<const arrow::TimestampType &>(*field).timezone());
		else if (arrow::is_time(field->id()) && is_integer && logical->is_time())
			type = physical == parquet::Type::INT32 ? arrow::time32(arrow::TimeUnit::MILLI) :
				arrow::time64(unit_of(static_cast<const parquet::TimeLogicalType &>(*logical).time_unit()));
		else if ((field->id() == arrow::Type::FLOAT && physical == parquet::Type::FLOAT) ||
				 (field->id() == arrow::Type::DOUBLE && physical == parquet::Type::DOUBLE))
			type = field;
		else if (field->id() == arrow::Type::DECIMAL128 && logical->is_decimal() &&
				 (is_integer || (physical == parquet::Type::FIXED_LEN_BYTE_ARRAY && length >= 1 && length <= 16)))
			type = field;
		else if ((arrow::is_string(field->id()) || field->id() == arrow::Type::STRING_VIEW) &&
				 physical == parquet::Type::BYTE_ARRAY)
			type = arrow::binary();
	}

	std::pair<std::shared_ptr<arrow::Scalar>, std::shared_ptr<arrow::Scalar>> bounds(const Statistics &statistics) const
	{
		switch (physical)
		{
			case parquet::Type::BOOLEAN:
				return bounds_of<parquet::BooleanType>(statistics, [](bool v) { return arrow::MakeScalar(v); });
			case parquet::Type::INT32:
				return bounds_of<parquet::Int32Type>(statistics, [this](int32_t v) { return integer(v); });
			case parquet::Type::INT64:
				return bounds_of<parquet::Int64Type>(statistics, [this](int64_t v) { return integer(v); });
			case parquet::Type::FLOAT:
				return bounds_of<parquet::FloatType>(statistics, [](float v) { return arrow::MakeScalar(v); });
			case parquet::Type::DOUBLE:
				return bounds_of<parquet::DoubleType>(statistics, [](double v) { return arrow::MakeScalar(v); });
			case parquet::Type::BYTE_ARRAY:
				return bounds_of<parquet::ByteArrayType>(statistics, [](const parquet::ByteArray &v) {
					return std::make_shared<arrow::BinaryScalar>(std::string(reinterpret_cast<const char *>(v.ptr), v.len));
				});
			case parquet::Type::FIXED_LEN_BYTE_ARRAY:
				return bounds_of<parquet::FLBAType>(statistics, [this](const parquet::FixedLenByteArray &v) {
					return decimal(arrow::Decimal128::FromBigEndian(v.ptr, length).ValueOr(arrow::Decimal128()));
				});
			default:
				return {};
		}
	}

  private:
	static arrow::TimeUnit::type unit_of(parquet::LogicalType::TimeUnit::unit unit)
	{
		return unit == parquet::LogicalType::TimeUnit::MILLIS ? arrow::TimeUnit::MILLI :
			unit == parquet::LogicalType::TimeUnit::NANOS ? arrow::TimeUnit::NANO : arrow::TimeUnit::MICRO;
	}

	std::shared_ptr<arrow::Scalar> decimal(const arrow::Decimal128 &value) const
	{
		return std::make_shared<arrow::Decimal128Scalar>(value, type);
	}

	template <typename Integer>
	std::shared_ptr<arrow::Scalar> integer(Integer value) const
	{
		if (type->id() == arrow::Type::DECIMAL128)
			return decimal(arrow::Decimal128(value));
		return arrow::MakeScalar(type, value).ValueOr(arrow::MakeNullScalar(type));
	}
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
	Result<int64_t> begin(std::vector<int> fields, std::vector<bool> excluded, int64_t skip) override
	{
		int64_t		skipped = 0;

		for (int field : fields)
			add_leaves(reader_->manifest().schema_fields.at(field));
		while (group_ < reader_->num_row_groups() && skipped + rows_of(group_) <= skip &&
			   !(skipped + rows_of(group_) == skip && rows_of(group_) % BATCH_ROWS == 1))
			skipped += rows_of(group_++);
		ARROW_ASSIGN_OR_RAISE(skipped, pass_over(skipped, skip));
		excluded_ = std::move(excluded);
		return skipped;
	}

	int64_t row_groups() override { return reader_->num_row_groups(); }

	Result<std::shared_ptr<arrow::StructArray>> statistics(const int *path, int depth) override
	{
		const parquet::arrow::SchemaField *field = &reader_->manifest().schema_fields.at(path[0]);

		for (int step = 1; step <= depth; step++)
			field = &field->children.at(path[step]);
		if (!field->is_leaf())
			return nullptr;

		StatisticsType of(*reader_->parquet_reader()->metadata()->schema()->Column(field->column_index),
						  field->field->type());

		if (!of.type)
			return nullptr;
		return statistics(of, field->column_index);
	}

  private:
	std::unique_ptr<parquet::arrow::FileReader> reader_;
	std::vector<int> leaves_;
	std::vector<bool> excluded_;	/* none: no group is */
	int			group_ = 0;
	int64_t		done_ = 0;		/* rows of it */
	std::unique_ptr<arrow::RecordBatchReader> batches_;	/* of it */

	Result<std::shared_ptr<arrow::StructArray>> statistics(const StatisticsType &of, int column)
	{
		std::unique_ptr<arrow::ArrayBuilder> min;
		std::unique_ptr<arrow::ArrayBuilder> max;
		arrow::Int64Builder nulls(pool());
		arrow::Int64Builder rows(pool());

		ARROW_RETURN_NOT_OK(arrow::MakeBuilder(pool(), of.type, &min));
		ARROW_RETURN_NOT_OK(arrow::MakeBuilder(pool(), of.type, &max));
		for (int group = 0; group < reader_->num_row_groups(); group++)
		{
			auto		chunk = reader_->parquet_reader()->metadata()->RowGroup(group)->ColumnChunk(column);
			Statistics	statistics = chunk->is_stats_set() ? chunk->statistics() : nullptr;

			ARROW_RETURN_NOT_OK(rows.Append(rows_of(group)));
			ARROW_RETURN_NOT_OK(statistics && statistics->HasNullCount() ? nulls.Append(statistics->null_count()) :
								nulls.AppendNull());
			if (statistics && statistics->HasMinMax())
			{
				auto		bounds = of.bounds(statistics);

				ARROW_RETURN_NOT_OK(min->AppendScalar(*bounds.first));
				ARROW_RETURN_NOT_OK(max->AppendScalar(*bounds.second));
			}
			else
			{
				ARROW_RETURN_NOT_OK(min->AppendNull());
				ARROW_RETURN_NOT_OK(max->AppendNull());
			}
		}

		std::vector<std::shared_ptr<arrow::Array>> columns(4);

		ARROW_RETURN_NOT_OK(min->Finish(&columns[0]));
		ARROW_RETURN_NOT_OK(max->Finish(&columns[1]));
		ARROW_RETURN_NOT_OK(nulls.Finish(&columns[2]));
		ARROW_RETURN_NOT_OK(rows.Finish(&columns[3]));
		return arrow::StructArray::Make(columns, std::vector<std::string>{"min", "max", "nulls", "rows"});
	}

	int64_t rows_of(int group) { return reader_->parquet_reader()->metadata()->RowGroup(group)->num_rows(); }

	void add_leaves(const parquet::arrow::SchemaField &field)
	{
		if (field.is_leaf())
			leaves_.push_back(field.column_index);
		for (const auto &child : field.children)
			add_leaves(child);
	}

	/* Of a group that a reader is in the middle of, what is left. */
	bool is_excluded() const
	{
		return static_cast<size_t>(group_) < excluded_.size() && excluded_[group_];
	}

	Result<Batch> read() override
	{
		for (; group_ < reader_->num_row_groups(); group_++, done_ = 0, batches_.reset())
		{
			int64_t		rows = rows_of(group_);
			Batch		batch;

			if (is_excluded())
				excluded_rows_ += rows - std::exchange(done_, rows);
			if (done_ == rows)
				continue;
			if (leaves_.empty())
				batch = rows_without_fields(std::min(BATCH_ROWS, rows - done_));
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
	Result<int64_t> begin(std::vector<int> fields, std::vector<bool> excluded, int64_t skip) override
	{
		fields_ = fields;
		if (fields.empty() && schema_->num_fields() > 0)
			fields.push_back(0);
		options_.included_fields = fields;
		ARROW_RETURN_NOT_OK(open_reader());
		return pass_over(0, skip);
	}

  private:
	arrow::ipc::IpcReadOptions options_ = arrow::ipc::IpcReadOptions::Defaults();
	bool		is_file_ = false;
	std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
	std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream_;
	std::shared_ptr<arrow::Schema> schema_;
	std::vector<int> fields_;
	int			batch_ = 0;

	Status open_reader()
	{
		ARROW_RETURN_NOT_OK(input->Seek(0));
		if (is_file_)
			return arrow::ipc::RecordBatchFileReader::Open(input, options_).Value(&file_);
		return arrow::ipc::RecordBatchStreamReader::Open(std::shared_ptr<arrow::io::InputStream>(input), options_)
			.Value(&stream_);
	}

	Result<Batch> read() override
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
				return rows_without_fields(batch->num_rows());
			return batch;
		}
	}
};

/* What the program streaming_orc says of a file, which is as good as a file. */
class OrcFile : public File
{
  public:
	Result<std::shared_ptr<arrow::Schema>> open() override
	{
		options_.memory_pool = pool();
		options_.use_threads = false;
		options_.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
		ARROW_ASSIGN_OR_RAISE(auto message, receive());
		if (!message)
			return Status::Invalid("it says nothing of itself");

		arrow::io::BufferReader reader(message);

		ARROW_ASSIGN_OR_RAISE(schema_, arrow::ipc::ReadSchema(&reader, &memo_));
		return schema_;
	}

	Result<int64_t> begin(std::vector<int> fields, std::vector<bool> excluded, int64_t skip) override
	{
		StreamingOrcRequest request = {skip, static_cast<int64_t>(fields.size())};
		std::vector<std::shared_ptr<arrow::Field>> wanted;
		int64_t		skipped;

		for (int field : fields)
			wanted.push_back(schema_->field(field));
		schema_ = arrow::schema(wanted);
		static_assert(sizeof(int) == sizeof(int32_t));
		ARROW_RETURN_NOT_OK(input->send(&request, sizeof(request)));
		ARROW_RETURN_NOT_OK(input->send(fields.data(), fields.size() * sizeof(int)));
		ARROW_ASSIGN_OR_RAISE(auto answer, receive());
		if (!answer || answer->size() != sizeof(skipped))
			return Status::Invalid("it does not begin");
		std::copy_n(answer->data(), sizeof(skipped), reinterpret_cast<uint8_t *>(&skipped));
		if (skipped < 0 || skipped > skip)
			return Status::Invalid("it does not begin");
		return skipped;
	}

  private:
	arrow::ipc::IpcReadOptions options_ = arrow::ipc::IpcReadOptions::Defaults();
	arrow::ipc::DictionaryMemo memo_;
	std::shared_ptr<arrow::Schema> schema_;

	Result<Batch> read() override
	{
		ARROW_ASSIGN_OR_RAISE(auto message, receive());
		if (!message)
			return nullptr;

		arrow::io::BufferReader reader(message);

		ARROW_ASSIGN_OR_RAISE(Batch batch, arrow::ipc::ReadRecordBatch(schema_, &memo_, options_, &reader));
		if (batch->num_rows() == 0)
			return Status::Invalid("a batch has no rows");
		ARROW_RETURN_NOT_OK(batch->ValidateFull());
		return batch;
	}

	/* The next frame of data; NULL: there is none. */
	Result<std::shared_ptr<arrow::Buffer>> receive()
	{
		StreamingOrcFrame frame;

		ARROW_RETURN_NOT_OK(input->receive(&frame, sizeof(frame)));
		if (frame.length < 0 || (frame.kind != STREAMING_ORC_DATA && frame.length > STREAMING_ORC_MAX_TEXT))
			return Status::Invalid("what its reader says of it has no meaning");
		ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::ResizableBuffer> buffer,
							  arrow::AllocateResizableBuffer(frame.length, pool()));
		ARROW_RETURN_NOT_OK(input->receive(buffer->mutable_data(), frame.length));
		switch (frame.kind)
		{
			case STREAMING_ORC_DATA:
				return std::shared_ptr<arrow::Buffer>(std::move(buffer));
			case STREAMING_ORC_END:
				return nullptr;
			case STREAMING_ORC_DAMAGE:
				return Status::Invalid(buffer->ToString());
			case STREAMING_ORC_TROUBLE:
				input->failed = true;
				return Status::IOError("could not be read");
		}
		return Status::Invalid("what its reader says of it has no meaning");
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
	std::unique_ptr<parquet::arrow::FileWriter> parquet;	/* one of the two */
	std::shared_ptr<arrow::ipc::RecordBatchWriter> ipc;
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
		switch (kind)
		{
			case STREAMING_ARROW_PARQUET:
				made->file = std::make_unique<ParquetFile>();
				break;
			case STREAMING_ARROW_IPC:
				made->file = std::make_unique<ArrowFile>();
				break;
			case STREAMING_ARROW_ORC:
				made->file = std::make_unique<OrcFile>();
				break;
		}
		made->file->input = bytes;
		ARROW_ASSIGN_OR_RAISE(auto found, made->file->open());
		ARROW_RETURN_NOT_OK(arrow::ExportSchema(*found, schema));
		*result = made.release();
		return Status::OK();
	});
}

int64_t
count_groups(StreamingArrowFile *file)
{
	return file->file->row_groups();
}

StreamingArrowStatus
find_statistics(StreamingArrowFile *file, const int *path, int depth, struct ArrowSchema *schema,
				struct ArrowArray *groups, StreamingArrowError *error)
{
	bool		found = false;
	StreamingArrowStatus status = guard(file->file->input->failed, error, [&]() -> Status {
		ARROW_ASSIGN_OR_RAISE(auto statistics, file->file->statistics(path, depth));

		found = statistics != nullptr;
		return found ? arrow::ExportArray(*statistics, groups, schema) : Status::OK();
	});

	return status == STREAMING_ARROW_OK && !found ? STREAMING_ARROW_END : status;
}

StreamingArrowStatus
begin_file(StreamingArrowFile *file, const int *fields, int nfields, const bool *excluded, int64_t skip,
		   int64_t *skipped, StreamingArrowError *error)
{
	return guard(file->file->input->failed, error, [&]() -> Status {
		std::vector<bool> groups(excluded, excluded ? excluded + file->file->row_groups() : nullptr);

		return file->file->begin(std::vector<int>(fields, fields + nfields), std::move(groups), skip).Value(skipped);
	});
}

StreamingArrowStatus
next_batch(StreamingArrowFile *file, struct ArrowArray *batch, int64_t *size, int64_t *excluded,
		   StreamingArrowError *error)
{
	bool		end = false;
	StreamingArrowStatus status = guard(file->file->input->failed, error, [&]() -> Status {
		ARROW_ASSIGN_OR_RAISE(Batch rows, file->file->next());

		*excluded = file->file->take_excluded();
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

Status
open_parquet(StreamingArrowWriter *writer)
{
	parquet::WriterProperties::Builder properties;
	parquet::ArrowWriterProperties::Builder arrow_properties;

	properties.memory_pool(pool())->compression(parquet::Compression::ZSTD)->enable_page_checksum();
	arrow_properties.set_use_threads(false);
	return parquet::arrow::FileWriter::Open(*writer->schema, pool(), writer->output, properties.build(),
											arrow_properties.build()).Value(&writer->parquet);
}

Status
open_ipc(StreamingArrowWriter *writer)
{
	arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();

	options.memory_pool = pool();
	options.use_threads = false;
	ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(arrow::Compression::ZSTD));
	return arrow::ipc::MakeFileWriter(writer->output, writer->schema, options).Value(&writer->ipc);
}

StreamingArrowStatus
open_writer(StreamingArrowKind kind, int64_t memory, struct ArrowSchema *schema, StreamingArrowWriter **result,
			StreamingArrowError *error)
{
	*result = nullptr;
	return guard(false, error, [&]() -> Status {
		auto		made = std::make_unique<StreamingArrowWriter>();

		pool()->limit = memory;
		ARROW_ASSIGN_OR_RAISE(made->schema, arrow::ImportSchema(schema));
		made->output = std::make_shared<Output>();
		ARROW_RETURN_NOT_OK(kind == STREAMING_ARROW_PARQUET ? open_parquet(made.get()) : open_ipc(made.get()));
		*result = made.release();
		return Status::OK();
	});
}

Status
write_rows(StreamingArrowWriter *writer, const arrow::RecordBatch &rows)
{
	if (writer->ipc)
		return writer->ipc->WriteRecordBatch(rows);
	ARROW_RETURN_NOT_OK(writer->parquet->NewRowGroup());
	for (const auto &column : rows.columns())
		ARROW_RETURN_NOT_OK(writer->parquet->WriteColumnChunk(*column));
	return Status::OK();
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
			ARROW_RETURN_NOT_OK(write_rows(writer, *rows));
		}
		if (end)
			ARROW_RETURN_NOT_OK(writer->ipc ? writer->ipc->Close() : writer->parquet->Close());
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
	count_groups,
	find_statistics,
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
