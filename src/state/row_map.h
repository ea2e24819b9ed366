/*
 * row_map.h
 *		Where the rows of a state table are, in memory: hash -> tid.
 */
#ifndef STREAMING_ROW_MAP_H
#define STREAMING_ROW_MAP_H

#include "storage/itemptr.h"

typedef struct StreamingRowMap StreamingRowMap;

/* The rows of one hash, while they are looked at. */
typedef struct StreamingRowMapCursor
{
	uint32		part;
	uint32		key;
	uint32		at;
	uint32		within;			/* of a list */
} StreamingRowMapCursor;

/* An empty map of no table, in CurrentMemoryContext. */
extern StreamingRowMap *streaming_row_map_make(void);

/*
 * Says which file of which table the map is asked about from now on, and
 * whether it is empty.  What the map knows of another file it forgets.
 */
extern void streaming_row_map_attach(StreamingRowMap *map, Oid relfilenode, bool empty);

/* Does it know all rows of the table? */
extern bool streaming_row_map_is_complete(const StreamingRowMap *map);

/*
 * Is it worth trying to read what the map does not know?  If so the caller adds all
 * rows there are, then calls streaming_row_map_completed.  wants_all: lookups are
 * about to be made in the table, of rows (roughly) in all.
 */
extern bool streaming_row_map_has_room(const StreamingRowMap *map);
extern bool streaming_row_map_wants_all(StreamingRowMap *map, int64 lookups, int64 rows);
extern void streaming_row_map_completed(StreamingRowMap *map);

/* It is not to be used until it is attached to another file. */
extern void streaming_row_map_give_up(StreamingRowMap *map);

/*
 * The rows that may have a hash; few others, and none is left out.  No row is
 * returned twice.  The map must not be changed between the two calls' results.
 */
extern StreamingRowMapCursor streaming_row_map_find(const StreamingRowMap *map, int64 hash);
extern bool streaming_row_map_next(const StreamingRowMap *map, StreamingRowMapCursor *cursor,
								   ItemPointer tid);

/* Begins to load what streaming_row_map_find will look at. */
extern void streaming_row_map_prefetch(const StreamingRowMap *map, int64 hash);

/* Adds a row; if it is there already, nothing.  False: the map is given up. */
extern bool streaming_row_map_add(StreamingRowMap *map, int64 hash, ItemPointer tid);

/*
 * A row has gone from tid, which may be a newer version of it than the map knows,
 * on the same page.  Where that leaves open which row is meant, all stay: who
 * looks them up finds nothing there.
 */
extern void streaming_row_map_remove(StreamingRowMap *map, int64 hash, ItemPointer tid);

#endif							/* STREAMING_ROW_MAP_H */
