/*
 * schema_readers.h
 *		How records of a registry's schemas are read: what has been made of each.
 */
#ifndef STREAMING_SCHEMA_READERS_H
#define STREAMING_SCHEMA_READERS_H

#include "format/format.h"
#include "format/schema_registry.h"

#define STREAMING_READER_PATH	8

/* Which one; all of it is compared. */
typedef struct StreamingReaderKey
{
	int32		id;				/* number of the schema */
	int32		npath;			/* of Protobuf: which of its messages */
	int32		path[STREAMING_READER_PATH];
} StreamingReaderKey;

typedef struct StreamingReaders StreamingReaders;

/*
 * Makes a reader of a schema, as the registry has it, in CurrentMemoryContext.  Errors
 * that are the schema's, of class 22 and the like, are the same for its next record.
 */
typedef void *(*StreamingReaderMaker) (StreamingDecoder *decoder, const StreamingReaderKey *key,
									   const char *schema);

/* in schema_readers.c */

/* Makes an empty set in CurrentMemoryContext.  type: of schemas, as registries call it. */
extern StreamingReaders *streaming_readers_open(StreamingSchemaType type, StreamingReaderMaker make);

/*
 * The reader of the key, which is valid until the next call.  Asks the registry and
 * makes it if it is new; errors are streaming_registry_schema's and the maker's.
 */
extern void *streaming_reader_find(StreamingReaders *readers, StreamingDecoder *decoder,
								   const StreamingReaderKey *key);

#endif							/* STREAMING_SCHEMA_READERS_H */
