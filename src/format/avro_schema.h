/*
 * avro_schema.h
 *		Avro schemas: from JSON to types, and what a reader makes of a writer's.
 */
#ifndef STREAMING_AVRO_SCHEMA_H
#define STREAMING_AVRO_SCHEMA_H

#include "format/avro.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* A longer one is refused. */
#define STREAMING_AVRO_MAX_SCHEMA	(1024 * 1024)

/* Members that no schema has. */
#define STREAMING_AVRO_REFERENCES	"$references"
#define STREAMING_AVRO_SCHEMA		"$schema"

/* in avro_schema.c */

/*
 * The type that a schema, JSON in the database's encoding, describes: a record, or a
 * union with one.  An object of STREAMING_AVRO_REFERENCES, an array, and
 * STREAMING_AVRO_SCHEMA is the latter, which uses types that the former have in the
 * order in which they may use each other.  All of it is in CurrentMemoryContext.  Errors: class 22, 54 or
 * FEATURE_NOT_SUPPORTED if it is no such schema.
 */
extern StreamingAvroType *streaming_avro_schema(const char *json);

/*
 * Ditto of a schema of any type: a record called "key" with a field "key" of that type. Its
 * bytes are those of the field.
 */
extern StreamingAvroType *streaming_avro_key_schema(const char *json);

/* What a type is called in a message: its name, or "long". */
extern const char *streaming_avro_type_name(const StreamingAvroType *type);

/* in avro_type.c: the type of PostgreSQL, as SQL has it, that takes all values of a type. */
extern const char *streaming_avro_sql_type(const StreamingAvroType *type);

/* in avro_resolve.c */

/*
 * The type that reads what was written as writer, and gives what reader says: its
 * names, logical types, symbols, and the defaults of fields that writer lacks.
 * What cannot be read so is of kind STREAMING_AVRO_NEVER.  It shares parts with both.
 */
extern StreamingAvroType *streaming_avro_resolve(StreamingAvroType *writer,
												 StreamingAvroType *reader);

/* in avro_constant.c: appends the bytes of a value of the type, which JSON spells. */
extern void streaming_avro_constant(StringInfo buf, const StreamingAvroType *type,
									const JsonbValue *value);

#endif							/* STREAMING_AVRO_SCHEMA_H */
