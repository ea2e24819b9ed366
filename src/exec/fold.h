/*
 * fold.h
 *		What is left of the records of a stream whose rows change: of each key the last.
 */
#ifndef STREAMING_FOLD_H
#define STREAMING_FOLD_H

#include "catalog/stream.h"
#include "executor/tuptable.h"
#include "state/group_key.h"

typedef struct StreamingFold StreamingFold;

/* The last record of a key behind the last truncation. */
typedef struct StreamingFolded
{
	MinimalTuple row;			/* columns first */
	int64		hash;			/* of the key */
	StreamingChange change;
	bool		supposes;		/* the key's first record supposes that there is a row */
	int64		unknown;		/* of its other records those that suppose one where the
								 * one before has deleted it */
} StreamingFolded;

/*
 * Takes records with the columns of desc, of which keys, nkeys of them, make key; then hands
 * out what is left of them, by the hash of the key.  In CurrentMemoryContext, within
 * work_mem kilobytes and temporary files.  streaming_fold_next: folded->row is valid until
 * the next call; false: there is no more.
 */
extern StreamingFold *streaming_fold_begin(TupleDesc desc, StreamingGroupKey *key,
										   const AttrNumber *keys, int nkeys, int memory);
extern void streaming_fold_add(StreamingFold *fold, const Datum *values, const bool *isnull,
							   StreamingChange change);
extern bool streaming_fold_next(StreamingFold *fold, StreamingFolded *folded);

/* How many records have come; has one of them left no row? */
extern int64 streaming_fold_records(StreamingFold *fold);
extern bool streaming_fold_truncates(StreamingFold *fold);
extern void streaming_fold_end(StreamingFold *fold);

/* Of all records of stream: to read a row into slot, a virtual one of its tupdesc. */
extern StreamingFold *streaming_fold_stream(StreamingStream *stream);
extern bool streaming_fold_row(StreamingFold *fold, TupleTableSlot *slot);

#endif							/* STREAMING_FOLD_H */
