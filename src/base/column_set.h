/*
 * column_set.h
 *		Sets of columns, of a size that is fixed: they are in shared memory.
 */
#ifndef STREAMING_COLUMN_SET_H
#define STREAMING_COLUMN_SET_H

#include "access/attnum.h"

/* A set of attribute numbers 1 .. MaxHeapAttributeNumber. */
#define STREAMING_COLUMN_WORDS	26
typedef struct StreamingColumnSet
{
	uint64		words[STREAMING_COLUMN_WORDS];
} StreamingColumnSet;

/* in column_set.c */
extern void streaming_columns_add(StreamingColumnSet *set, AttrNumber attno);
extern void streaming_columns_union(StreamingColumnSet *set, const StreamingColumnSet *other);
extern bool streaming_columns_subset(const StreamingColumnSet *part, const StreamingColumnSet *whole);

#endif							/* STREAMING_COLUMN_SET_H */
