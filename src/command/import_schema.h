/*
 * import_schema.h
 *		IMPORT FOREIGN SCHEMA: foreign tables found by looking.
 */
#ifndef STREAMING_IMPORT_SCHEMA_H
#define STREAMING_IMPORT_SCHEMA_H

#include "foreign/fdwapi.h"
#include "lib/stringinfo.h"
#include "catalog/stream.h"

/* Records that are looked at for one table. */
#define STREAMING_SAMPLE_RECORDS	1000

/* Columns that records have had. */
typedef struct StreamingSample StreamingSample;

/* in import_columns.c */

/* In CurrentMemoryContext. */
extern StreamingSample *streaming_sample_begin(void);

/* A record that is an object; what is none counts as nothing. */
extern void streaming_sample_json(StreamingSample *sample, const char *payload, size_t length);

/*
 * A record whose values are parted by delimiter.  The first one tells, if
 * the names are unique and nothing but text, what the columns are called.
 */
extern void streaming_sample_csv(StreamingSample *sample, const char *payload, size_t length,
								 char delimiter);
extern bool streaming_sample_has_header(const StreamingSample *sample);

/* A field that records have, of a type in SQL; NULL: of none that a column has. */
extern void streaming_sample_field(StreamingSample *sample, const char *name, const char *type);

/* The fields of an Avro schema, a record or a union of some. */
struct StreamingAvroType;
extern void streaming_sample_avro(StreamingSample *sample, const struct StreamingAvroType *type);

/*
 * A field of keys, unless records have one of that name; and all of the key.  After the
 * fields of records.
 */
extern void streaming_sample_key_field(StreamingSample *sample, const char *name, const char *type);
extern void streaming_sample_key(StreamingSample *sample, const char *type);

/* One that is told by the names of directories. */
extern void streaming_sample_path_value(StreamingSample *sample, const char *name,
										const char *value);

/* Appends definitions of columns; false: there is none. */
extern bool streaming_sample_columns(StreamingSample *sample, StringInfo sql);

/* in import_directory.c and import_kafka.c: commands (char *), as the callback's */
extern List *streaming_import_directory(ImportForeignSchemaStmt *stmt, ForeignServer *server);
extern List *streaming_import_kafka(ImportForeignSchemaStmt *stmt, ForeignServer *server);

/*
 * in import_registry.c: what the registry of the stream's server has for its topic, or the
 * keys of it; appends options.  false: it has nothing, or nothing that a stream can read.
 */
extern bool streaming_import_registry(StreamingStream *stream, bool is_key, StreamingSample *sample,
									  StringInfo options);

/* in import_schema.c */

/* The callback of the wrapper. */
extern List *streaming_import_schema(ImportForeignSchemaStmt *stmt, Oid serverOid);

/*
 * CREATE FOREIGN TABLE with options (", name 'value'" each, but for the first comma),
 * or NULL, with a WARNING, if the sample has no columns.
 */
extern char *streaming_import_command(const char *table, StreamingSample *sample,
									  ForeignServer *server, const char *options);

/* A stream of the server that has no table, for the sampling. */
extern StreamingStream *streaming_import_stream(ForeignServer *server, const char *what);

#endif							/* STREAMING_IMPORT_SCHEMA_H */
