/*
 * protobuf_schema.h
 *		Protobuf schemas of streams: what an option or a registry says.
 */
#ifndef STREAMING_PROTOBUF_SCHEMA_H
#define STREAMING_PROTOBUF_SCHEMA_H

#include "format/protobuf.h"

/* Messages inside of each other, that a message of a registry may lead to. */
#define STREAMING_PROTOBUF_MAX_INDEX	8

/* in protobuf_schema.c */

/*
 * The schema that the option "protobuf_schema" is: the text of a .proto file, or a
 * FileDescriptorSet in base64 or, behind \x, in hexadecimal.  In CurrentMemoryContext.
 * Errors: class 22 or 54 if it is none.
 */
extern StreamingProtobufSchema *streaming_protobuf_schema(const char *option);

/* Is it text?  Else it is a descriptor. */
extern bool streaming_protobuf_is_text(const char *option);

/*
 * The schema of files that a registry has: names and texts by turns, those that others
 * import first, the message's own last.
 */
extern StreamingProtobufSchema *streaming_protobuf_of_files(const char **files, int n);

/* Ditto as schema_registry.h has them, JSON; NULL: it is none. */
extern StreamingProtobufSchema *streaming_protobuf_registered(const char *json);

/*
 * The message that records are, by its full name, or its name in the main file's
 * package; NULL: the only one of that file.  Errors: class 22.
 */
extern StreamingProtobufMessage *streaming_protobuf_root(const StreamingProtobufSchema *schema,
														 const char *name);

/* That of the main file by its place, and those of the messages around it; NULL: none. */
extern StreamingProtobufMessage *streaming_protobuf_at(const StreamingProtobufSchema *schema,
													   const int32 *path, int npath);

#endif							/* STREAMING_PROTOBUF_SCHEMA_H */
