/*
 * hash_order.h
 *		An executor node that brings rows into the order of their groups' hashes.
 */
#ifndef STREAMING_HASH_ORDER_H
#define STREAMING_HASH_ORDER_H

#include "nodes/plannodes.h"

/*
 * A node that takes the place of sort below an aggregation.  keys: of Var, the
 * grouping expressions among the columns of sort, in the order in which the
 * stage hashes them.  NULL: one of them has no hash function.
 *
 * Rows of a group come one after the other, but for two exceptions, after which
 * the same group may come again: a batch that does not fit into the memory that a
 * hash table may have is ordered piece by piece, and a group may be interrupted
 * by one with the same hash.
 */
extern Plan *streaming_hash_order(Sort *sort, List *keys);

#endif							/* STREAMING_HASH_ORDER_H */
