/*
 * buffer_page.c
 *		Puts rows into the pages of a segment.
 *
 * heap_multi_insert only ever appends to a file: a table has to be truncated
 * before it is filled anew, and each page, that way, is first written to the
 * file as zeroes.  Segments are filled again and again, by one process, without
 * a log.  So the writer goes through the pages of the table from the first one
 * on and overwrites whatever they hold, and makes the file longer only where it
 * ends.  Rows of the segment's former use stay in the pages behind; nobody
 * reads past the segment's end.
 *
 * Pages are in the format of a heap, as rewriteheap.c writes them, and the rows
 * are frozen (see buffer.c): no transaction id is needed to write them.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"

#include "base/extend.h"
#include "buffer/buffer.h"

/* So many pages a file is made longer by at a time, at most */
#define EXTEND_PAGES	128

static StreamingStored stored_as(Form_pg_attribute att);
static HeapTupleHeader form_row(StreamingBufferWriter *writer, const Datum *values,
								const bool *isnull, Size *length);
static inline char *pad(char *out, int align);
static inline char *append_varlena(char *out, const char *limit,
								   const StreamingBufferColumn *column, const char *value);
static HeapTupleHeader form_wide_row(StreamingBufferWriter *writer, const Datum *values,
									 const bool *isnull, Size *length);
static void freeze(HeapTupleHeader row);
static void lock_page(StreamingBufferWriter *writer);
static void begin_page(StreamingBufferWriter *writer);
static void leave_page(StreamingBufferWriter *writer);

void
streaming_page_put(StreamingBufferWriter *writer, const Datum *values, const bool *isnull)
{
	Size		length;
	HeapTupleHeader row = form_row(writer, values, isnull, &length);
	OffsetNumber offset;
	Page		page;

	if (row == NULL)
		row = form_wide_row(writer, values, isnull, &length);
	lock_page(writer);
	page = BufferGetPage(writer->buffer);
	if (MAXALIGN(length) > PageGetHeapFreeSpace(page))
	{
		leave_page(writer);
		begin_page(writer);
		page = BufferGetPage(writer->buffer);
	}
	offset = PageAddItem(page, (void *) row, length, InvalidOffsetNumber, false, true);
	if (offset == InvalidOffsetNumber)
		elog(ERROR, "could not add a row of %zu bytes to a page", length);
	ItemPointerSet(&writer->end, writer->block, offset);
	((HeapTupleHeader) PageGetItem(page, PageGetItemId(page, offset)))->t_ctid = writer->end;
}

void
streaming_page_unlock(StreamingBufferWriter *writer)
{
	if (!writer->locked)
		return;
	MarkBufferDirty(writer->buffer);
	LockBuffer(writer->buffer, BUFFER_LOCK_UNLOCK);
	writer->locked = false;
}

void
streaming_page_release(StreamingBufferWriter *writer)
{
	streaming_page_unlock(writer);
	if (BufferIsValid(writer->buffer))
		ReleaseBuffer(writer->buffer);
	writer->buffer = InvalidBuffer;
}

/* ----------
 * Rows
 * ----------
 */

StreamingBufferColumn *
streaming_page_columns(TupleDesc desc)
{
	StreamingBufferColumn *columns = palloc(sizeof(StreamingBufferColumn) * desc->natts);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		columns[i].stored = stored_as(att);
		columns[i].length = att->attlen;
		columns[i].align = att_align_nominal(1, att->attalign);
	}
	return columns;
}

static StreamingStored
stored_as(Form_pg_attribute att)
{
	if (att->attlen == -1)
		return att->attstorage == TYPSTORAGE_PLAIN ? STREAMING_STORED_VARLENA : STREAMING_STORED_PACKED;
	if (att->attlen < 0)
		return STREAMING_STORED_OTHER;
	if (!att->attbyval)
		return STREAMING_STORED_FIXED;
	switch (att->attlen)
	{
		case 1:
			return STREAMING_STORED_1;
		case 2:
			return STREAMING_STORED_2;
		case 4:
			return STREAMING_STORED_4;
		default:
			return STREAMING_STORED_8;
	}
}

/*
 * Forms a row in the writer's own memory, valid until the next one; NULL if
 * that is not for it: some of its values have to go out of line, or are there.
 * What heap_compute_data_size() and heap_fill_tuple() do, once over the values.
 */
static HeapTupleHeader
form_row(StreamingBufferWriter *writer, const Datum *values, const bool *isnull, Size *length)
{
	int			natts = writer->desc->natts;
	HeapTupleHeader row = (HeapTupleHeader) writer->row.data;
	char	   *limit = writer->row.data + TOAST_TUPLE_THRESHOLD;
	bool		has_null = memchr(isnull, true, natts) != NULL;
	Size		hoff = MAXALIGN(SizeofHeapTupleHeader + (has_null ? BITMAPLEN(natts) : 0));
	char	   *out = writer->row.data + hoff;
	uint16		infomask = has_null ? HEAP_HASNULL : 0;

	/* behind the limit there is room for any number and its padding */
	StaticAssertStmt(TOAST_TUPLE_THRESHOLD + 2 * MAXIMUM_ALIGNOF + sizeof(Datum) <= BLCKSZ,
					 "a row is no longer than a page");

	memset(row, 0, hoff);
	for (int i = 0; i < natts; i++)
	{
		const StreamingBufferColumn *column = &writer->columns[i];
		Datum		value = values[i];
		Size		size;

		if (has_null)
		{
			if (isnull[i])
				continue;
			row->t_bits[i >> 3] |= 1 << (i & 7);
		}
		if (out > limit)
			return NULL;
		switch (column->stored)
		{
			case STREAMING_STORED_1:
				*out++ = DatumGetChar(value);
				break;
			case STREAMING_STORED_2:
				{
					int16		number = DatumGetInt16(value);

					out = pad(out, column->align);
					memcpy(out, &number, sizeof(number));
					out += sizeof(number);
					break;
				}
			case STREAMING_STORED_4:
				{
					int32		number = DatumGetInt32(value);

					out = pad(out, column->align);
					memcpy(out, &number, sizeof(number));
					out += sizeof(number);
					break;
				}
			case STREAMING_STORED_8:
				out = pad(out, column->align);
				memcpy(out, &value, sizeof(value));
				out += sizeof(value);
				break;
			case STREAMING_STORED_FIXED:
				out = pad(out, column->align);
				size = column->length;
				if (out + size > limit)
					return NULL;
				memcpy(out, DatumGetPointer(value), size);
				out += size;
				break;
			case STREAMING_STORED_VARLENA:
			case STREAMING_STORED_PACKED:
				infomask |= HEAP_HASVARWIDTH;
				out = append_varlena(out, limit, column, DatumGetPointer(value));
				if (out == NULL)
					return NULL;
				break;
			case STREAMING_STORED_OTHER:
				return NULL;
		}
	}
	if (out > limit)
		return NULL;

	*length = out - writer->row.data;
	row->t_infomask = infomask;
	HeapTupleHeaderSetNatts(row, natts);
	row->t_hoff = hoff;
	freeze(row);
	return row;
}

/* Padding is zero: so a reader tells it from a short header. */
static inline char *
pad(char *out, int align)
{
	memset(out, 0, MAXIMUM_ALIGNOF);
	return (char *) TYPEALIGN(align, out);
}

/* Returns its end, or NULL if it is none for this row. */
static inline char *
append_varlena(char *out, const char *limit, const StreamingBufferColumn *column, const char *value)
{
	Size		size;

	if (VARATT_IS_SHORT(value))
	{
		if (VARATT_IS_EXTERNAL(value))
			return NULL;
		size = VARSIZE_SHORT(value);
	}
	else if (column->stored == STREAMING_STORED_PACKED && VARATT_CAN_MAKE_SHORT(value))
	{
		size = VARATT_CONVERTED_SHORT_SIZE(value);
		if (size > limit - out)
			return NULL;
		SET_VARSIZE_SHORT(out, size);
		memcpy(out + 1, VARDATA(value), size - 1);
		return out + size;
	}
	else
	{
		size = VARSIZE(value);
		out = pad(out, column->align);
	}
	if (out > limit || size > limit - out)
		return NULL;
	memcpy(out, value, size);
	return out + size;
}

/* In CurrentMemoryContext. */
static HeapTupleHeader
form_wide_row(StreamingBufferWriter *writer, const Datum *values, const bool *isnull,
			  Size *length)
{
	HeapTuple	tuple = heap_form_tuple(writer->desc, unconstify(Datum *, values),
										unconstify(bool *, isnull));

	/* Values out of line are written to another table: not with a page locked. */
	streaming_page_unlock(writer);
	writer->wide += tuple->t_len;
	tuple->t_tableOid = RelationGetRelid(writer->rel);
	if (OidIsValid(writer->rel->rd_rel->reltoastrelid))
		tuple = heap_toast_insert_or_update(writer->rel, tuple, NULL,
											HEAP_INSERT_SKIP_FSM | HEAP_INSERT_FROZEN);
	if (MAXALIGN(tuple->t_len) > MaxHeapTupleSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row of stream %s is too big: size %zu, maximum size %zu",
						writer->stream->name, (Size) tuple->t_len, MaxHeapTupleSize)));
	freeze(tuple->t_data);
	*length = tuple->t_len;
	return tuple->t_data;
}

static void
freeze(HeapTupleHeader row)
{
	row->t_infomask &= ~HEAP_XACT_MASK;
	row->t_infomask2 &= ~HEAP2_XACT_MASK;
	row->t_infomask |= HEAP_XMAX_INVALID;
	HeapTupleHeaderSetXmin(row, FrozenTransactionId);
	HeapTupleHeaderSetXminFrozen(row);
	HeapTupleHeaderSetCmin(row, FirstCommandId);
	HeapTupleHeaderSetXmax(row, InvalidTransactionId);
}

/* ----------
 * Pages
 * ----------
 */

/* The page that is being filled, or the segment's first one. */
static void
lock_page(StreamingBufferWriter *writer)
{
	if (writer->locked)
		return;
	if (!ItemPointerIsValid(&writer->end))
	{
		begin_page(writer);
		return;
	}
	if (!BufferIsValid(writer->buffer))
		writer->buffer = ReadBuffer(writer->rel, writer->block);
	LockBuffer(writer->buffer, BUFFER_LOCK_EXCLUSIVE);
	writer->locked = true;
}

/* The next page, empty.  A file that grows will more: by a quarter of what it has. */
static void
begin_page(StreamingBufferWriter *writer)
{
	BlockNumber more;
	bool		extend;

	writer->block = ItemPointerIsValid(&writer->end) ? writer->block + 1 : 0;
	if (writer->block >= writer->file_blocks)
		writer->file_blocks = RelationGetNumberOfBlocks(writer->rel);
	more = Min(writer->file_blocks / 4, EXTEND_PAGES);
	if (writer->block >= writer->file_blocks && more > 0)
		writer->file_blocks = streaming_extend(writer->rel, writer->file_blocks, more);
	extend = writer->block >= writer->file_blocks;
	writer->buffer = ReadBufferExtended(writer->rel, MAIN_FORKNUM,
										extend ? P_NEW : writer->block,
										RBM_ZERO_AND_LOCK, NULL);
	writer->locked = true;
	if (BufferGetBlockNumber(writer->buffer) != writer->block)
		elog(ERROR, "buffer of stream %s has been changed by somebody else",
			 writer->stream->name);
	if (extend)
		writer->file_blocks = writer->block + 1;
	PageInit(BufferGetPage(writer->buffer), BufferGetPageSize(writer->buffer), 0);
	PageSetAllVisible(BufferGetPage(writer->buffer));
}

static void
leave_page(StreamingBufferWriter *writer)
{
	streaming_page_unlock(writer);
	ReleaseBuffer(writer->buffer);
	writer->buffer = InvalidBuffer;
}
