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

static HeapTupleHeader form_row(StreamingBufferWriter *writer, const Datum *values,
								const bool *isnull, Size *length);
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

/*
 * Forms a row in the writer's own memory, valid until the next one; NULL if
 * some of its values have to go out of line.
 */
static HeapTupleHeader
form_row(StreamingBufferWriter *writer, const Datum *values, const bool *isnull, Size *length)
{
	TupleDesc	desc = writer->desc;
	HeapTupleHeader row = (HeapTupleHeader) writer->row.data;
	bool		has_null = false;
	Size		hoff;
	Size		data_length;

	for (int i = 0; i < desc->natts; i++)
		has_null |= isnull[i];
	hoff = MAXALIGN(SizeofHeapTupleHeader + (has_null ? BITMAPLEN(desc->natts) : 0));
	data_length = heap_compute_data_size(desc, unconstify(Datum *, values),
										 unconstify(bool *, isnull));
	*length = hoff + data_length;
	if (*length > TOAST_TUPLE_THRESHOLD)
		return NULL;

	memset(row, 0, *length);
	HeapTupleHeaderSetNatts(row, desc->natts);
	row->t_hoff = hoff;
	heap_fill_tuple(desc, unconstify(Datum *, values), unconstify(bool *, isnull),
					(char *) row + hoff, data_length, &row->t_infomask,
					has_null ? row->t_bits : NULL);
	freeze(row);
	return row;
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

/* The next page, empty.  A file without pages may stay small; one that grows will more. */
static void
begin_page(StreamingBufferWriter *writer)
{
	bool		extend;

	writer->block = ItemPointerIsValid(&writer->end) ? writer->block + 1 : 0;
	if (writer->block >= writer->file_blocks)
		writer->file_blocks = RelationGetNumberOfBlocks(writer->rel);
	if (writer->block >= writer->file_blocks && writer->block > 0)
		writer->file_blocks = streaming_extend(writer->rel, writer->file_blocks,
											   Min(writer->file_blocks, EXTEND_PAGES));
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
