/*
 * group_key.h
 *		Hash and equality of group keys, for any type that can be grouped.
 */
#ifndef STREAMING_GROUP_KEY_H
#define STREAMING_GROUP_KEY_H

#include "fmgr.h"
#include "base/value.h"

typedef struct StreamingKeyColumn
{
	FmgrInfo	hash;			/* extended hash function; fn_oid Invalid: by
								 * image or not at all */
	bool		by_image;		/* equal values have equal bytes */
	Oid			row_type;		/* then: the type, if it has rows in it, whose bytes need
								 * not be equal (row_image.h) */
	FmgrInfo	equal;
	Oid			collation;
	int16		typlen;
	bool		typbyval;
} StreamingKeyColumn;

typedef struct StreamingGroupKey
{
	int			ncolumns;
	StreamingKeyColumn columns[FLEXIBLE_ARRAY_MEMBER];
} StreamingGroupKey;

/* A tuple, of a kind that its owner knows, with the hash of its key. */
typedef struct StreamingHashed
{
	int64		hash;
	void	   *tuple;
} StreamingHashed;

/* In CurrentMemoryContext; extra values (nextra may be 0) are further columns. */
extern StreamingGroupKey *streaming_group_key(StreamingValue *values, int nvalues,
											  StreamingValue *extra, int nextra);

/* Equal keys have equal hashes; NULLs are equal.  Stable across restarts. */
extern int64 streaming_group_hash(StreamingGroupKey *key, const Datum *values,
								  const bool *isnull);
extern bool streaming_group_equal(StreamingGroupKey *key,
								  const Datum *values1, const bool *isnull1,
								  const Datum *values2, const bool *isnull2);

/* By hash, in no order among equals. */
extern void streaming_sort_hashed(StreamingHashed *rows, size_t n);

#endif							/* STREAMING_GROUP_KEY_H */
