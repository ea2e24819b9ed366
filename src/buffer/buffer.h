/*
 * buffer.h
 *		The unlogged buffer between a stream's ingest worker and its readers.
 *
 * buffer.c tells how it works.
 */
#ifndef STREAMING_BUFFER_H
#define STREAMING_BUFFER_H

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "shared/shmem.h"
#include "source/source.h"

/* Columns that a segment has before the stream's own: "$offset", "$partition". */
#define STREAMING_BUFFER_SHIFT	2

/* Rows that are decoded and written at a time. */
#define STREAMING_BUFFER_BLOCK	500

/* ----------
 * The writer: one per stream, in its ingest worker.
 * ----------
 */
/* How a value of a column of a segment is stored. */
typedef enum StreamingStored
{
	STREAMING_STORED_1,			/* by value, of so many bytes */
	STREAMING_STORED_2,
	STREAMING_STORED_4,
	STREAMING_STORED_8,
	STREAMING_STORED_FIXED,		/* by reference */
	STREAMING_STORED_VARLENA,
	STREAMING_STORED_PACKED,	/* with a short header if it is short */
	STREAMING_STORED_OTHER
} StreamingStored;

typedef struct StreamingBufferColumn
{
	StreamingStored stored;
	int			length;			/* of what has a fixed one by reference */
	int			align;
} StreamingBufferColumn;

typedef struct StreamingBufferWriter
{
	StreamingStreamShared *shared;
	StreamingStream *stream;
	TupleDesc	desc;			/* of the segments */
	StreamingBufferColumn *columns; /* its */
	Datum	   *values;			/* of a row of a segment */
	bool	   *isnull;
	PGAlignedBlock row;			/* in which rows are formed */
	bool		unusable[STREAMING_MAX_SEGMENTS];	/* table of an old shape
													 * that is locked */
	StreamingPositions earliest;	/* where the source began when the ring did */

	/* the segment that is written */
	int			segment;		/* index; -1: none yet */
	bool		full;
	Size		wide;			/* of rows of which values are out of line */
	BlockNumber block;			/* that is filled, if there is an end */
	BlockNumber file_blocks;	/* length of the table's file; maybe longer */

	/* within a transaction */
	Relation	rel;
	Buffer		buffer;			/* of block, pinned; or invalid */
	bool		locked;

	/* written and not yet published */
	ItemPointerData end;
	int64		rows;
} StreamingBufferWriter;

/*
 * Makes a writer in CurrentMemoryContext and readies the stream's tables, in a
 * transaction.  The ring that there may have been is gone: state STARTING.
 */
extern StreamingBufferWriter *streaming_buffer_open(StreamingStreamShared *shared,
													StreamingStream *stream);

/* The ring, if there is one, holds what nobody is to read any more. */
extern void streaming_buffer_discard(StreamingStreamShared *shared);

/* Ditto, and the ingest worker is to begin another one. */
extern void streaming_buffer_doubt(StreamingStreamShared *shared);

/*
 * Begins the next segment, which starts with markers of positions, in a
 * transaction.  Returns false if there is no room: then ingest_waits is set,
 * and readers that hold the others back have been detached.
 */
extern bool streaming_buffer_advance(StreamingBufferWriter *writer,
									 const StreamingPositions *positions,
									 const StreamingColumnSet *columns);

/*
 * First in a transaction: locks the segment that is written.  False: somebody has
 * rewritten it, and the writer is of no more use.
 */
extern bool streaming_buffer_is_intact(StreamingBufferWriter *writer);

/*
 * A row; values and isnull are of the stream's columns.  A page of the segment
 * may stay locked until the flush, to which there should be nothing but rows.
 */
extern void streaming_buffer_append(StreamingBufferWriter *writer,
									int32 partition, int64 offset,
									const Datum *values, const bool *isnull);

/* A record that is no row, so that readers know that they pass it. */
extern void streaming_buffer_append_rejected(StreamingBufferWriter *writer,
											 int32 partition, int64 offset);

/* Lets go of the page; says whether the segment is full. */
extern void streaming_buffer_flush(StreamingBufferWriter *writer);

/* Marks the positions of partitions that differ from those in before. */
extern void streaming_buffer_mark(StreamingBufferWriter *writer,
								  const StreamingPositions *before,
								  const StreamingPositions *positions);

/* Lets go of the table; before the transaction's end. */
extern void streaming_buffer_release(StreamingBufferWriter *writer);

/*
 * The transaction has committed: shows its rows to the readers.  Nothing is
 * shown after an error: the writer is then of no more use.
 */
extern void streaming_buffer_publish(StreamingBufferWriter *writer);

/* ----------
 * Readers
 * ----------
 */

/* What a batch reads of one segment: the rows behind after, up to upto. */
typedef struct StreamingBufferPart
{
	Oid			relid;
	uint64		number;
	ItemPointerData after;		/* invalid: from the beginning */
	ItemPointerData upto;
	bool		complete;
	int64		rows;			/* published_rows at upto */
} StreamingBufferPart;

typedef struct StreamingBufferRange
{
	int			n;
	bool		more;			/* the buffer held more */
	StreamingBufferPart parts[STREAMING_MAX_SEGMENTS];
} StreamingBufferRange;

/* Marker that only makes a segment have a row. */
#define STREAMING_NO_PARTITION PG_INT32_MAX

/* One row, marker or rejected record. */
typedef struct StreamingBufferRow
{
	int64		offset;
	int32		partition;
	bool		marker;
	bool		earliest;		/* marker: nothing has ever been before it */
	bool		rejected;		/* no row: a record that could not be decoded */
	ItemPointerData tid;
} StreamingBufferRow;

/*
 * desc: of the stream.  Can reader begin with some segment, given the next offset of each partition
 * (dense, -1: not known, that is: from the earliest)?  Then it holds that
 * segment and all later ones.  In a transaction with an active snapshot.
 */
extern bool streaming_buffer_enter(StreamingStreamShared *shared, StreamingViewReader *reader,
								   TupleDesc desc, const StreamingColumnSet *columns,
								   const int64 *next, int npartitions);

/*
 * What there is for reader now, with its tables locked.  False: nothing, or
 * the reader has been detached or the ring is another one, and it holds nothing
 * any more (mode NONE).
 */
extern bool streaming_buffer_range(StreamingStreamShared *shared, StreamingViewReader *reader,
								   StreamingBufferRange *range);

/*
 * Does reader hold half of the ring, or more?  Or is it not in the ring, which goes
 * on without it meanwhile?
 */
extern bool streaming_buffer_is_urgent(StreamingStreamShared *shared, StreamingViewReader *reader);

/* A batch that ends with place has been committed. */
extern void streaming_buffer_advance_reader(StreamingStreamShared *shared,
											StreamingViewReader *reader,
											StreamingPlace place, int64 rows);

/* Description of the segments' rows, in CurrentMemoryContext. */
extern TupleDesc streaming_buffer_desc(TupleDesc stream);

/* Takes the row that slot (of a segment's type) holds apart. */
extern void streaming_buffer_row(TupleTableSlot *slot, StreamingBufferRow *row);

/* Scans the rows of a part; rel is its table. */
extern TableScanDesc streaming_buffer_scan(Relation rel, Snapshot snapshot,
										   const StreamingBufferPart *part);

/* in buffer_page.c */

/* How rows of desc are stored; made once for a writer. */
extern StreamingBufferColumn *streaming_page_columns(TupleDesc desc);

/*
 * Adds a row with the columns of a segment to the one that is written, leaving
 * a page locked, until streaming_page_unlock.  release: before the table is
 * closed.
 */
extern void streaming_page_put(StreamingBufferWriter *writer, const Datum *values,
							   const bool *isnull);
extern void streaming_page_unlock(StreamingBufferWriter *writer);
extern void streaming_page_release(StreamingBufferWriter *writer);

/* in buffer_table.c */

/* Name of table index of a stream's ring. */
extern char *streaming_buffer_name(Oid stream, int index);

/* Makes a table in the internal schema that goes when stream goes. */
extern Oid	streaming_internal_table(const char *name, Oid stream, TupleDesc desc,
									 const char *own_columns, bool logged);

/* Size of a table in blocks, with what is out of line. */
extern BlockNumber streaming_table_blocks(Relation rel);

/*
 * Does a table of ours hold rows of desc behind shift columns of its own?  Also
 * if type modifiers differ, unless exact.
 */
extern bool streaming_table_matches(Oid relid, TupleDesc desc, int shift, bool exact);

/*
 * Can what the table holds be read as rows of desc?  As above, but of columns that
 * the stream has dropped the table may have what it likes.
 */
extern bool streaming_table_is_readable(Relation rel, TupleDesc desc, int shift);

/*
 * Empties the table in place if nobody uses it, without a new file or a change
 * of the catalogs.  Unlogged tables only.  False: somebody does.
 */
extern bool streaming_table_clear(Oid relid);

/*
 * The same for a table whose rows are going to be overwritten: it keeps them if
 * none has values out of line and its file has no more than keep pages.
 */
extern bool streaming_table_reuse(Oid relid, BlockNumber keep);

#endif							/* STREAMING_BUFFER_H */
