/*
 * index_lookup.h
 *		Which index of one of our tables rows can be looked up by.
 */
#ifndef STREAMING_INDEX_LOOKUP_H
#define STREAMING_INDEX_LOOKUP_H

#include "access/attnum.h"
#include "utils/relcache.h"

/*
 * Does index find, in their order, all rows of its table by these n columns?  Not
 * if it is of another access method than btree or of other operators than the
 * types' own, if it is of expressions or of some rows only, or if it is not valid:
 * being made or remade, or left behind by a command that failed.
 */
extern bool streaming_index_fits(Relation index, const AttrNumber *attnos, int n);

/* Ditto some rows, by these n columns and no more. */
extern bool streaming_partial_index_fits(Relation index, const AttrNumber *attnos, int n);

#endif							/* STREAMING_INDEX_LOOKUP_H */
