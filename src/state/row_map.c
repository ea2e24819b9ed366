/*
 * row_map.c
 *		Where the rows of a state table are, in memory: hash -> tids.
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
 * Where many rows have a hash, as those that are joined by it, one entry stands for all:
 * its tid says which list they are in, in the order of their tids.
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

/* More rows of a key are in a list, which begins with places for so many. */
#define MAX_ENTRIES_OF_KEY	4
#define MIN_LIST			8

/* The offset in the tid of an entry that is a list, whose number is the block. */
#define LIST_OFFSET			0xFFFF

/* Reading an entry of the index takes about this share of a look-up by it. */
#define READ_SHARE		32

/* Ten bytes; an entry whose tid is not valid is a gap. */
typedef struct Entry
{
	uint16		key_high;
	uint16		key_low;
	ItemPointerData tid;
} Entry;

/*
 * Rows of a key, from first on, ascending: rows come at the end of a table for the most part,
 * and where they go, the oldest go first.
 */
typedef struct RowList
{
	uint32		first;
	uint32		n;
	uint32		max;
	ItemPointerData tids[FLEXIBLE_ARRAY_MEMBER];
} RowList;

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
	Size		size;			/* of all entries and lists */
	RowList   **lists;
	uint32		nlists;
	uint32		max_lists;
	Part		parts[PARTS];
};

/* Of all maps in this process. */
static Size total_size = 0;

static void map_gone(void *arg);
static void clear(StreamingRowMap *map);
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

static inline bool
is_list(const Entry *entry)
{
	return entry->tid.ip_posid == LIST_OFFSET;
}

static inline RowList *
list_of(const StreamingRowMap *map, const Entry *entry)
{
	return map->lists[ItemPointerGetBlockNumberNoCheck(&entry->tid)];
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
	map->lists = NULL;
	map->nlists = map->max_lists = 0;
	MemoryContextReset(map->context);
	set_size(map, 0);
	map->complete = false;
}

void
streaming_row_map_give_up(StreamingRowMap *map)
{
	clear(map);
	map->given_up = true;
}

/* False: the map is given up. */
static bool
has_room_for(StreamingRowMap *map, Size added)
{
	if (total_size + added <= (Size) streaming_state_memory * 1024)
		return true;
	streaming_row_map_give_up(map);
	return false;
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
	cursor.within = 0;
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
	const Entry *entry;
	const RowList *list;

	if (part->entries == NULL || !has_key(part, cursor->at, cursor->key))
		return false;
	entry = &part->entries[cursor->at];
	if (!is_list(entry))
	{
		*tid = entry->tid;
		cursor->at++;
		return true;
	}
	/* there is no other entry of the key */
	list = list_of(map, entry);
	if (cursor->within >= list->n)
		return false;
	*tid = list->tids[list->first + cursor->within++];
	return true;
}

/* ----------
 * Lists
 * ----------
 */

static Size
list_size(uint32 max)
{
	return offsetof(RowList, tids) + sizeof(ItemPointerData) * max;
}

/* Takes so many more bytes; false: the map is given up. */
static bool
may_take(StreamingRowMap *map, Size added)
{
	if (!has_room_for(map, added))
		return false;
	set_size(map, map->size + added);
	return true;
}

/* The first place of list whose tid is not less than tid. */
static uint32
find_in_list(const RowList *list, ItemPointer tid)
{
	uint32		low = 0;
	uint32		high = list->n;

	/* most come at the end */
	if (high > 0 && ItemPointerCompare((ItemPointer) &list->tids[list->first + high - 1], tid) < 0)
		return high;
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (ItemPointerCompare((ItemPointer) &list->tids[list->first + middle], tid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_in_list(const RowList *list, uint32 at, ItemPointer tid)
{
	return at < list->n && ItemPointerEquals((ItemPointer) &list->tids[list->first + at], tid);
}

/* False: the map is given up. */
static bool
add_to_list(StreamingRowMap *map, Entry *entry, ItemPointer tid)
{
	RowList   **place = &map->lists[ItemPointerGetBlockNumberNoCheck(&entry->tid)];
	RowList    *list = *place;
	uint32		at = find_in_list(list, tid);
	ItemPointerData *tids;

	if (is_in_list(list, at, tid))
		return true;
	if (list->first + list->n == list->max && list->first >= list->max / 2)
	{
		memmove(list->tids, list->tids + list->first, sizeof(ItemPointerData) * list->n);
		list->first = 0;
	}
	if (list->first + list->n == list->max)
	{
		uint32		max = list->max + list->max / 2;

		if (!may_take(map, list_size(max) - list_size(list->max)))
			return false;
		list = *place = repalloc_huge(list, list_size(max));
		list->max = max;
	}
	tids = list->tids + list->first;
	memmove(&tids[at + 1], &tids[at], sizeof(ItemPointerData) * (list->n - at));
	tids[at] = *tid;
	list->n++;
	return true;
}

static void
take_from_list(RowList *list, uint32 at)
{
	ItemPointerData *tids = list->tids + list->first;

	list->n--;
	if (at == 0)
		list->first++;
	else
		memmove(&tids[at], &tids[at + 1], sizeof(ItemPointerData) * (list->n - at));
	if (list->n == 0)
		list->first = 0;
}

/* The number of a new, empty list; or -1: the map is given up. */
static int64
make_list(StreamingRowMap *map)
{
	RowList    *list;

	if (map->nlists == map->max_lists)
	{
		uint32		max = map->max_lists ? map->max_lists + map->max_lists / 4 : 64;

		if (!may_take(map, sizeof(RowList *) * (max - map->max_lists)))
			return -1;
		map->lists = map->lists == NULL ?
			MemoryContextAllocHuge(map->context, sizeof(RowList *) * max) :
			repalloc_huge(map->lists, sizeof(RowList *) * max);
		map->max_lists = max;
	}
	if (!may_take(map, list_size(MIN_LIST)))
		return -1;
	list = MemoryContextAlloc(map->context, list_size(MIN_LIST));
	list->first = list->n = 0;
	list->max = MIN_LIST;
	map->lists[map->nlists] = list;
	return map->nlists++;
}

/* ----------
 * Changes
 * ----------
 */

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
		if (!has_room_for(map, added))
			return false;
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

/* The entries of a key, from the first on, become one of a list.  False: the map is given up. */
static bool
entries_to_list(StreamingRowMap *map, Part *part, uint32 key)
{
	int64		number = make_list(map);
	Entry	   *first;

	if (number < 0)
		return false;
	first = &part->entries[find_entry(part, key)];
	for (int i = 0; i < MAX_ENTRIES_OF_KEY; i++)
	{
		Entry		list = {.tid = {.ip_posid = LIST_OFFSET}};

		BlockIdSet(&list.tid.ip_blkid, (BlockNumber) number);
		if (!add_to_list(map, &list, &first[i].tid))
			return false;
	}
	for (int i = 1; i < MAX_ENTRIES_OF_KEY; i++)
		take_entry(part, find_entry(part, key));
	first = &part->entries[find_entry(part, key)];
	BlockIdSet(&first->tid.ip_blkid, (BlockNumber) number);
	first->tid.ip_posid = LIST_OFFSET;
	return true;
}

bool
streaming_row_map_add(StreamingRowMap *map, int64 hash, ItemPointer tid)
{
	StreamingRowMapCursor cursor;
	Part	   *part;
	uint32		at;

	if (map->given_up)
		return false;
	cursor = streaming_row_map_find(map, hash);
	part = &map->parts[cursor.part];
	for (at = cursor.at; part->entries && has_key(part, at, cursor.key); at++)
	{
		if (is_list(&part->entries[at]))
			return add_to_list(map, &part->entries[at], tid);
		if (ItemPointerEquals(&part->entries[at].tid, tid))
			return true;
	}
	if (at - cursor.at == MAX_ENTRIES_OF_KEY)
		return entries_to_list(map, part, cursor.key) && streaming_row_map_add(map, hash, tid);
	while (part->nused >= part->nhomes / 8 * 7 || !put_entry(part, cursor.key, tid))
		if (!grow(map, part))
			return false;
	return true;
}

/* The place of the list that is tid, or else the only one on its page; or none, -1. */
static int64
find_of_page(const RowList *list, ItemPointer tid)
{
	ItemPointerData page;
	uint32		at = find_in_list(list, tid);

	if (is_in_list(list, at, tid))
		return at;
	ItemPointerSet(&page, ItemPointerGetBlockNumberNoCheck(tid), InvalidOffsetNumber);
	at = find_in_list(list, &page);
	ItemPointerSet(&page, ItemPointerGetBlockNumberNoCheck(tid), LIST_OFFSET);
	return find_in_list(list, &page) == at + 1 ? at : -1;
}

void
streaming_row_map_remove(StreamingRowMap *map, int64 hash, ItemPointer tid)
{
	StreamingRowMapCursor cursor = streaming_row_map_find(map, hash);
	Part	   *part = &map->parts[cursor.part];
	uint32		found = 0;
	int			n = 0;

	for (uint32 at = cursor.at; part->entries && has_key(part, at, cursor.key); at++)
	{
		Entry	   *entry = &part->entries[at];

		if (is_list(entry))
		{
			int64		place = find_of_page(list_of(map, entry), tid);

			if (place >= 0)
				take_from_list(list_of(map, entry), place);
			return;
		}
		if (ItemPointerEquals(&entry->tid, tid))
		{
			take_entry(part, at);
			return;
		}
		if (ItemPointerGetBlockNumberNoCheck(&entry->tid) == ItemPointerGetBlockNumberNoCheck(tid))
		{
			found = at;
			n++;
		}
	}
	if (n == 1)
		take_entry(part, found);
}
