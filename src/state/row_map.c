/*
 * row_map.c
 *		Where the rows of a state table are, in memory: hash -> tid.
 *
 * What an index on the hash would say.  To ask it takes a cache miss, where going
 * down a large index takes a dozen.
 *
 *		part	   the first 8 bits of the hash
 *		key		   the last 32
 *		entries	   sorted by key, with gaps; an entry is at its home (the place
 *				   that its key has among all keys) or behind it, with no gap
 *				   in between
 *
 *			home:	0	1	2	3	4	5	6	7
 *				   [a1 |	|c2 |d2 |e3 |	|g6 |	|
 *
 * That is linear probing with the order kept: a search ends at a gap or at a key
 * that is greater.  A batch looks groups up in the order of their hashes, so it
 * goes through the parts one after the other, and each stays in the processor's
 * cache for as long; within a part keys come in no order, which keeps its
 * entries spread out.  A part that is full grows by a quarter, so what is
 * allocated at a time is small against the whole.  40 bits of hash tell apart a
 * million rows but for a few; whoever finds a row looks at it anyway.
 *
 * A map is complete or of no use: that a hash is not in it must mean that no row
 * has it.  It is complete from the beginning if the table is empty then, or when
 * the table has been read once, or its index, which pays after some number of
 * look-ups.  It
 * belongs to the worker of the view, which alone writes to the table, and is
 * thrown away when a batch fails.
 *
 * The maps of a process may take streaming.state_memory together.  One that would
 * exceed it is given up, and an index is asked.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "state/row_map.h"
#include "streaming.h"

#define PARTS			256

/* Places behind the last home, for entries that come to lie behind it. */
#define OVERRUN			32

#define MIN_HOMES		8

/* Reading an entry of the index takes about this share of a look-up by it. */
#define READ_SHARE		32

/* Ten bytes; an entry whose tid is not valid is a gap. */
typedef struct Entry
{
	uint16		key_high;
	uint16		key_low;
	ItemPointerData tid;
} Entry;

typedef struct Part
{
	Entry	   *entries;		/* of nhomes + OVERRUN; NULL: none yet */
	uint32		nhomes;
	uint32		nused;
} Part;

struct StreamingRowMap
{
	MemoryContext context;
	MemoryContextCallback callback;
	Oid			relfilenode;	/* of the table */
	bool		complete;
	bool		given_up;		/* it would be too large */
	int64		lookups;		/* that it could not answer */
	Size		size;			/* of all entries */
	Part		parts[PARTS];
};

/* Of all maps in this process. */
static Size total_size = 0;

static void map_gone(void *arg);
static void clear(StreamingRowMap *map);
static void give_up(StreamingRowMap *map);
static bool grow(StreamingRowMap *map, Part *part);
static void set_size(StreamingRowMap *map, Size size);

static inline uint32
key_of(const Entry *entry)
{
	return (uint32) entry->key_high << 16 | entry->key_low;
}

static inline bool
is_gap(const Entry *entry)
{
	return entry->tid.ip_posid == InvalidOffsetNumber;
}

static inline uint32
home_of(const Part *part, uint32 key)
{
	return (uint64) key * part->nhomes >> 32;
}

static inline void
split_hash(int64 hash, uint32 *part, uint32 *key)
{
	*part = (uint64) hash >> 56;
	*key = (uint32) hash;
}

/* ----------
 * The map
 * ----------
 */

StreamingRowMap *
streaming_row_map_make(void)
{
	StreamingRowMap *map = palloc0(sizeof(StreamingRowMap));

	map->context = AllocSetContextCreate(CurrentMemoryContext, "streaming row map",
										 ALLOCSET_DEFAULT_SIZES);
	map->callback.func = map_gone;
	map->callback.arg = map;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &map->callback);
	return map;
}

static void
map_gone(void *arg)
{
	set_size(arg, 0);
}

static void
set_size(StreamingRowMap *map, Size size)
{
	total_size += size - map->size;
	map->size = size;
}

static void
clear(StreamingRowMap *map)
{
	memset(map->parts, 0, sizeof(map->parts));
	MemoryContextReset(map->context);
	set_size(map, 0);
	map->complete = false;
}

static void
give_up(StreamingRowMap *map)
{
	clear(map);
	map->given_up = true;
}

void
streaming_row_map_attach(StreamingRowMap *map, Oid relfilenode, bool empty)
{
	if (map->relfilenode == relfilenode && (map->complete || !empty))
		return;
	clear(map);
	map->relfilenode = relfilenode;
	map->complete = empty;
	map->given_up = false;
	map->lookups = 0;
}

bool
streaming_row_map_is_complete(const StreamingRowMap *map)
{
	return map->complete;
}

bool
streaming_row_map_has_room(const StreamingRowMap *map)
{
	return !map->given_up && total_size < (Size) streaming_state_memory * 1024;
}

bool
streaming_row_map_wants_all(StreamingRowMap *map, int64 lookups, int64 rows)
{
	if (map->complete || map->given_up)
		return false;
	if (rows * sizeof(Entry) + total_size > (Size) streaming_state_memory * 1024)
		return false;
	map->lookups += lookups;
	return map->lookups >= rows / READ_SHARE;
}

void
streaming_row_map_completed(StreamingRowMap *map)
{
	map->complete = !map->given_up;
}

/* ----------
 * Entries
 * ----------
 */

/* The first entry of part whose key is not less than key, or the gap before it. */
static inline uint32
find_entry(const Part *part, uint32 key)
{
	uint32		at = home_of(part, key);
	uint32		end = part->nhomes + OVERRUN;

	while (at < end && !is_gap(&part->entries[at]) && key_of(&part->entries[at]) < key)
		at++;
	return at;
}

static inline bool
has_key(const Part *part, uint32 at, uint32 key)
{
	return at < part->nhomes + OVERRUN && !is_gap(&part->entries[at]) &&
		key_of(&part->entries[at]) == key;
}

StreamingRowMapCursor
streaming_row_map_find(const StreamingRowMap *map, int64 hash)
{
	StreamingRowMapCursor cursor;
	const Part *part;

	split_hash(hash, &cursor.part, &cursor.key);
	part = &map->parts[cursor.part];
	cursor.at = part->entries ? find_entry(part, cursor.key) : 0;
	return cursor;
}

void
streaming_row_map_prefetch(const StreamingRowMap *map, int64 hash)
{
	const Part *part;
	uint32		number;
	uint32		key;

	split_hash(hash, &number, &key);
	part = &map->parts[number];
	if (part->entries)
		streaming_prefetch(&part->entries[home_of(part, key)]);
}

bool
streaming_row_map_next(const StreamingRowMap *map, StreamingRowMapCursor *cursor,
					   ItemPointer tid)
{
	const Part *part = &map->parts[cursor->part];

	if (part->entries == NULL || !has_key(part, cursor->at, cursor->key))
		return false;
	*tid = part->entries[cursor->at++].tid;
	return true;
}

/* Puts an entry behind those with the same key; false: there is no place. */
static bool
put_entry(Part *part, uint32 key, const ItemPointerData *tid)
{
	uint32		end = part->nhomes + OVERRUN;
	uint32		at;
	uint32		gap;

	if (part->entries == NULL)
		return false;
	for (at = find_entry(part, key); has_key(part, at, key); at++)
		;
	for (gap = at; gap < end && !is_gap(&part->entries[gap]); gap++)
		;
	if (gap >= end)
		return false;
	memmove(&part->entries[at + 1], &part->entries[at], sizeof(Entry) * (gap - at));
	part->entries[at].key_high = key >> 16;
	part->entries[at].key_low = (uint16) key;
	part->entries[at].tid = *tid;
	part->nused++;
	return true;
}

bool
streaming_row_map_add(StreamingRowMap *map, int64 hash, ItemPointer tid)
{
	StreamingRowMapCursor cursor;
	ItemPointerData known;
	Part	   *part;

	if (map->given_up)
		return false;
	cursor = streaming_row_map_find(map, hash);
	part = &map->parts[cursor.part];
	while (streaming_row_map_next(map, &cursor, &known))
		if (ItemPointerEquals(&known, tid))
			return true;
	while (part->nused >= part->nhomes / 8 * 7 || !put_entry(part, cursor.key, tid))
		if (!grow(map, part))
			return false;
	return true;
}

/* Puts the entries of part into an array with more homes; false: given up. */
static bool
grow(StreamingRowMap *map, Part *part)
{
	Part		larger = {.nhomes = Max(part->nhomes + part->nhomes / 4, MIN_HOMES)};
	Size		added;
	bool		fits;

	do
	{
		larger.nhomes += MIN_HOMES;
		larger.nused = 0;
		added = sizeof(Entry) * (larger.nhomes + OVERRUN);
		if (part->entries)
			added -= sizeof(Entry) * (part->nhomes + OVERRUN);
		if (total_size + added > (Size) streaming_state_memory * 1024)
		{
			give_up(map);
			return false;
		}
		larger.entries = MemoryContextAllocZero(map->context,
												sizeof(Entry) * (larger.nhomes + OVERRUN));
		fits = true;
		for (uint32 i = 0; part->entries && fits && i < part->nhomes + OVERRUN; i++)
		{
			const Entry *entry = &part->entries[i];

			if (!is_gap(entry))
				fits = put_entry(&larger, key_of(entry), &entry->tid);
		}
		if (!fits)
			pfree(larger.entries);
	} while (!fits);

	if (part->entries)
		pfree(part->entries);
	*part = larger;
	set_size(map, map->size + added);
	return true;
}

/* Closes the gap that taking the entry at at would leave, up to an entry at home. */
static void
take_entry(Part *part, uint32 at)
{
	uint32		end = part->nhomes + OVERRUN;
	uint32		last = at;

	while (last + 1 < end && !is_gap(&part->entries[last + 1]) &&
		   home_of(part, key_of(&part->entries[last + 1])) <= last)
		last++;
	memmove(&part->entries[at], &part->entries[at + 1], sizeof(Entry) * (last - at));
	ItemPointerSetInvalid(&part->entries[last].tid);
	part->nused--;
}

void
streaming_row_map_remove(StreamingRowMap *map, int64 hash, ItemPointer tid)
{
	StreamingRowMapCursor cursor = streaming_row_map_find(map, hash);
	ItemPointerData known;
	uint32		at = 0;
	int			n = 0;

	while (streaming_row_map_next(map, &cursor, &known))
	{
		if (ItemPointerGetBlockNumberNoCheck(&known) == ItemPointerGetBlockNumberNoCheck(tid))
		{
			at = cursor.at - 1;
			n++;
		}
	}
	if (n == 1)
		take_entry(&map->parts[cursor.part], at);
}
