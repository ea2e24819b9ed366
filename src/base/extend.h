/*
 * extend.h
 *		Tables' files are made longer by many pages at once.
 */
#ifndef STREAMING_EXTEND_H
#define STREAMING_EXTEND_H

#include "access/heapam.h"
#include "storage/block.h"
#include "utils/rel.h"

/*
 * Adds up to wanted pages of zeroes to a table whose file has as many blocks, and that
 * nobody else makes longer meanwhile.  Returns how many it has now: the same where that
 * cannot be done, as when the disk is full, which P_NEW will say better.
 */
extern BlockNumber streaming_extend(Relation rel, BlockNumber blocks, BlockNumber wanted);

/*
 * Makes ready for the insert of many rows of so many bytes in all with bulk: if no page of
 * the table is half empty, it gets as many new ones, unless the server adds them so itself.
 */
extern void streaming_reserve(Relation rel, Size bytes, BulkInsertState bulk);

#endif							/* STREAMING_EXTEND_H */
