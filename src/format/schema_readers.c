/*
 * schema_readers.c
 *		How records of a registry's schemas are read: what has been made of each.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/schema_readers.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Readers that are kept; a stream has a few schemas at a time. */
#define MAX_READERS		1000

/* That a registry does not know a number is believed as long. */
#define UNKNOWN_MS		10000

typedef struct Entry
{
	StreamingReaderKey key;
	void	   *reader;			/* NULL: there is none, or none that can read */
	ErrorData  *error;			/* why */
	TimestampTz asked_at;		/* then */
} Entry;

struct StreamingReaders
{
	StreamingSchemaType type;
	StreamingReaderMaker make;
	MemoryContext context;		/* of entries, which come and go */
	HTAB	   *entries;
	Entry	   *last;			/* records of one schema come together */
};

static void make_reader(StreamingReaders *readers, StreamingDecoder *decoder, Entry *entry);
static bool is_of_schema(int sqlerrcode);

StreamingReaders *
streaming_readers_open(StreamingSchemaType type, StreamingReaderMaker make)
{
	StreamingReaders *readers = palloc0(sizeof(StreamingReaders));

	readers->type = type;
	readers->make = make;
	readers->context = AllocSetContextCreate(CurrentMemoryContext, "streaming schema readers",
											 ALLOCSET_DEFAULT_SIZES);
	return readers;
}

void *
streaming_reader_find(StreamingReaders *readers, StreamingDecoder *decoder,
					  const StreamingReaderKey *key)
{
	Entry	   *entry = readers->last;
	bool		found;

	if (entry && memcmp(&entry->key, key, sizeof(StreamingReaderKey)) == 0)
		return entry->reader;
	readers->last = NULL;
	if (readers->entries && hash_get_num_entries(readers->entries) >= MAX_READERS)
	{
		MemoryContextReset(readers->context);
		readers->entries = NULL;
	}
	if (readers->entries == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(StreamingReaderKey),
			.entrysize = sizeof(Entry),
			.hcxt = readers->context
		};

		readers->entries = hash_create("schema readers", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(readers->entries, key, HASH_ENTER, &found);
	if (!found)
	{
		entry->reader = NULL;
		entry->error = NULL;
	}
	if (entry->reader == NULL)
	{
		if (entry->error != NULL &&
			!TimestampDifferenceExceeds(entry->asked_at, GetCurrentTimestamp(), UNKNOWN_MS))
			ThrowErrorData(entry->error);
		make_reader(readers, decoder, entry);
	}
	readers->last = entry;
	return entry->reader;
}

/*
 * Asks for the schema.  An error that comes of what it is, and not of how the registry
 * is doing, is kept: it is the same for the next record.
 */
static void
make_reader(StreamingReaders *readers, StreamingDecoder *decoder, Entry *entry)
{
	MemoryContext context = AllocSetContextCreate(readers->context, "streaming schema reader",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		char	   *schema = streaming_registry_schema(decoder->stream, entry->key.id, readers->type);

		MemoryContextSwitchTo(context);
		entry->reader = readers->make(decoder, &entry->key, schema);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		MemoryContextDelete(context);
		if (is_of_schema(geterrcode()))
		{
			MemoryContextSwitchTo(readers->context);
			if (entry->error)
				FreeErrorData(entry->error);
			entry->error = CopyErrorData();
			entry->asked_at = GetCurrentTimestamp();
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* As decoder.c tells errors for which a record is rejected. */
static bool
is_of_schema(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_FEATURE_NOT_SUPPORTED ||
		category == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}
