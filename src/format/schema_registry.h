/*
 * schema_registry.h
 *		The schemas of a server's registry, by their numbers.
 *
 * A registry is asked over HTTP as Confluent's documentation has it, and what it has
 * told is kept in streaming_internal.registry_schemas: a number means the same schema for good.
 * Rows are of the server and of the role whose user mapping has been shown to the
 * registry, so that nobody reads what was told to another.
 */
#ifndef STREAMING_SCHEMA_REGISTRY_H
#define STREAMING_SCHEMA_REGISTRY_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "catalog/stream.h"

/* What a message of a registry's schema begins with: a zero, and the number. */
#define STREAMING_REGISTRY_HEADER	5

/* Bytes of a message; false: they do not begin so. */
extern bool streaming_registry_id(const char *payload, size_t length, int32 *id);

typedef enum StreamingSchemaType
{
	STREAMING_SCHEMA_AVRO,
	STREAMING_SCHEMA_PROTOBUF
} StreamingSchemaType;

/* Of Protobuf's schemas the member that what is kept of them consists of. */
#define STREAMING_PROTOBUF_FILES	"$protobuf"

/* in schema_registry.c */

/*
 * The schema of a number, palloc'd JSON in the database's encoding: an Avro schema, or an
 * object of STREAMING_PROTOBUF_FILES, an array of names and texts of files by turns, with
 * those that others import first and its own, whose name is "", last.  Waits for
 * the registry, unless it is known; keeps it in the catalog where the transaction may
 * write.  Errors: class 22 and FEATURE_NOT_SUPPORTED if there is no such schema, or it
 * is of another type; FDW_UNABLE_TO_ESTABLISH_CONNECTION if the registry cannot say.
 */
extern char *streaming_registry_schema(const StreamingStream *stream, int32 id,
										StreamingSchemaType type);

/*
 * The newest schema of the subject of the stream's records, as streaming_registry_schema
 * has it.  false: there is none, or it is of another type than these.  Errors:
 * FDW_UNABLE_TO_ESTABLISH_CONNECTION.
 */
extern bool streaming_registry_latest(const StreamingStream *stream, StreamingSchemaType *type,
									  const char **schema);

/* The subject that schemas of the stream's records are versions of. */
extern char *streaming_registry_subject(const StreamingStream *stream);

/*
 * The number of a schema that records of the stream's topic are written with; it is
 * registered unless that is known.  Errors: INVALID_PARAMETER_VALUE if the registry
 * does not take it, FDW_UNABLE_TO_ESTABLISH_CONNECTION.
 */
extern int32 streaming_registry_register(const StreamingStream *stream, StreamingSchemaType type,
											const char *schema);

#endif							/* STREAMING_SCHEMA_REGISTRY_H */
