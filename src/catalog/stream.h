/*
 * stream.h
 *		The definition of a stream: its options, resolved and validated.
 */
#ifndef STREAMING_STREAM_H
#define STREAMING_STREAM_H

#include "access/tupdesc.h"
#include "foreign/foreign.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

typedef enum StreamingSourceKind
{
	STREAMING_SOURCE_KAFKA,		/* wrapper "kafka" */
	STREAMING_SOURCE_DIRECTORY, /* wrapper "directory" */
	STREAMING_SOURCE_PUSH		/* wrapper "streaming": INSERT and COPY */
} StreamingSourceKind;

typedef enum StreamingOnError
{
	STREAMING_ON_ERROR_REJECT,	/* to streaming.rejected_rows, go on */
	STREAMING_ON_ERROR_NULL,	/* the bad field becomes NULL; a record that
								 * is no record at all is rejected */
	STREAMING_ON_ERROR_STOP		/* the views on the stream stop */
} StreamingOnError;

/* What the records of a stream are to the rows of the table that it stands for. */
typedef enum StreamingChanges
{
	STREAMING_CHANGES_APPEND,	/* rows of it */
	STREAMING_CHANGES_UPSERT,	/* a row replaces the one with its key; a record without
								 * payload deletes that */
	STREAMING_CHANGES_DEBEZIUM	/* the envelopes that Debezium writes */
} StreamingChanges;

/*
 * What a record does, in the column change_attno of its row.  Values are kept in
 * buffers for moments only.
 */
typedef enum StreamingChange
{
	STREAMING_CHANGE_NONE,		/* nothing: there is no row */
	STREAMING_CHANGE_PUT,		/* the row is the one with its key from now on */
	STREAMING_CHANGE_UPDATE,	/* ditto, and there should be one */
	STREAMING_CHANGE_DELETE,	/* only the key is set: there is none any more */
	STREAMING_CHANGE_TRUNCATE	/* no row is left; not even the key is set */
} StreamingChange;

/* What becomes of the files of a directory that all views have taken. */
typedef enum StreamingAfter
{
	STREAMING_AFTER_KEEP,
	STREAMING_AFTER_ARCHIVE,	/* moved below the option archive_path */
	STREAMING_AFTER_DELETE
} StreamingAfter;

/* Where a column's value comes from: the record, or what is known about it. */
typedef enum StreamingMetadata
{
	STREAMING_META_NONE,		/* a field of the record */
	STREAMING_META_KEY,			/* kafka: text or bytea; in Avro any type */
	STREAMING_META_PARTITION,	/* kafka: integer types */
	STREAMING_META_OFFSET,		/* kafka: bigint */
	STREAMING_META_TIMESTAMP,	/* kafka: timestamptz of the message */
	STREAMING_META_HEADERS,		/* kafka: jsonb object */
	STREAMING_META_TOPIC,		/* kafka: text */
	STREAMING_META_SCHEMA_ID,	/* kafka, with a schema registry: int */
	STREAMING_META_PATH,		/* directory: text */
	STREAMING_META_LINE,		/* directory: bigint, record number from 1 */
	STREAMING_META_MTIME,		/* directory: timestamptz, of the file */
	STREAMING_META_SIZE,		/* directory: bigint, bytes of the file */
	STREAMING_META_PATH_VALUE,	/* directory: any type, see path_partition.h */
	STREAMING_META_KEY_FIELD	/* kafka: any type, of the message's key */
} StreamingMetadata;

typedef enum StreamingTimeFormat
{
	STREAMING_TIME_TEXT,		/* the type's input function */
	STREAMING_TIME_EPOCH_S,
	STREAMING_TIME_EPOCH_MS,
	STREAMING_TIME_EPOCH_US
} StreamingTimeFormat;

typedef struct StreamingColumn
{
	bool		dropped;		/* always NULL; nothing else is set */
	char	   *name;			/* of the column */
	char	   *field;			/* in the record, or the key; default: the name */
	bool		any_case;		/* the default, so its case may differ */
	char	  **path;			/* in JSON: names of members, from the outside in */
	int			npath;			/* at least 1 */
	Oid			type;
	int32		typmod;
	Oid			collation;
	StreamingMetadata metadata;
	char	   *path_value;		/* whose name is that */
	StreamingTimeFormat time_format;
	Interval   *watermark;		/* NULL: none */
	Interval   *max_ahead;		/* of the clock, to move the watermark; NULL: any */
} StreamingColumn;

/* What the options "schema_registry..." of server and user mapping say. */
typedef struct StreamingRegistry
{
	Oid			server;
	Oid			role;			/* whose user mapping it is */
	const char *url;			/* without a slash at the end */
	const char *username;
	const char *password;
	const char *ca_pem;
	const char *certificate_pem;
	const char *key_pem;
} StreamingRegistry;

/*
 * A stream, as the catalogs describe it at the moment of the call.  Lives in
 * the memory context of the caller of streaming_stream_open.
 */
typedef struct StreamingStream
{
	Oid			relid;
	Oid			owner;
	char	   *name;			/* qualified and quoted, for messages */
	StreamingSourceKind kind;
	TupleDesc	tupdesc;		/* a copy of the foreign table's; behind its columns
								 * "$change", if there is one */
	StreamingColumn *columns;	/* tupdesc->natts of them */
	StreamingChanges changes;
	AttrNumber	change_attno;	/* of "$change" (a StreamingChange, int2), which is no
								 * field and no metadata, and as if it were dropped in
								 * columns; 0: rows are appended */
	int			nkeys;			/* then */
	AttrNumber *keys;			/* ditto, the columns that tell its rows apart */
	char	   *format;			/* "json" ... */
	StreamingOnError on_error;
	List	   *settings;		/* records are read with them: see settings.h */
	List	   *key_columns;	/* of String: option "key", columns that make the key */
	uint32		place;			/* hash of what tells where records come from */

	/* kafka */
	char	   *topic;
	char	   *start;			/* "earliest", "latest" or a timestamp */
	bool		skip_lost;		/* go on behind messages that are deleted */
	char	   *group_id;		/* gets the views' positions; NULL: none */
	char	   *transactional_id;	/* NULL: made of the identity */
	List	   *client_options; /* of DefElem: server and user mapping options
								 * meant for librdkafka, names with dots */
	bool		has_mapping;	/* there is a user mapping, with options */

	/* directory */
	char	   *base;			/* path of the server */
	bool		follow_symlinks;	/* those beneath it */
	char	   *path;			/* absolute glob */
	bool		by_name;		/* files that appear together are in that order */
	StreamingAfter after;
	char	   *archive;		/* absolute; if after says so */
	char	   *compression;	/* NULL: by file name */
	int64		file_max_rows;	/* limits of files written: 0: none */
	int64		file_max_size;	/* bytes, about; after compression */
	int64		file_interval;	/* ms that rows wait for others at most */

	char	   *avro_schema;	/* option of format avro; NULL: none */
	char	   *avro_codec;		/* of files that are written; NULL: the default */
	char	   *protobuf_schema;	/* options of format protobuf; NULL: none */
	char	   *protobuf_message;
	char	   *key_format;		/* of messages' keys; NULL: text, or as they look */
	char	   *key_avro_schema;	/* as those of the value */
	char	   *key_protobuf_schema;
	char	   *key_protobuf_message;
	bool		is_key;			/* what is read and written are keys (stream_key.c) */
	StreamingRegistry *registry;	/* of schemas; NULL: the server has none */

	/* csv and text: of DefElem, named as COPY names them */
	List	   *copy_options;

	/* push */
	bool		durable;
	Interval   *retention;		/* NULL: none */
} StreamingStream;

/* Does the option "topic" name the topics by a regular expression? */
static inline bool
streaming_stream_is_pattern(const StreamingStream *stream)
{
	return stream->topic != NULL && stream->topic[0] == '^';
}

/* Before the name of a value that the path of a file has, in option "metadata". */
#define STREAMING_PATH_VALUE_PREFIX "partition:"

/* Ditto, of a field of the message's key. */
#define STREAMING_KEY_FIELD_PREFIX "key:"

/* in stream.c */

/*
 * Reads the definition of stream relid: options of the wrapper's server, of
 * the user mapping of userid, of the table and its columns.  The caller holds
 * a lock on the table.  Errors: ERRCODE_WRONG_OBJECT_TYPE if it is no stream,
 * the validator's errors if options contradict each other.
 */
extern StreamingStream *streaming_stream_open(Oid relid, Oid userid);

/*
 * What all streams of a server of ours have in common, for userid; no more is set.
 */
extern StreamingStream *streaming_stream_of_server(Oid serverid, Oid userid);

/*
 * The kind of source of wrapper fdwid, by its handler and its validator, whatever
 * it is called; false: not ours.
 */
extern bool streaming_wrapper_kind(Oid fdwid, StreamingSourceKind *kind);

/* The librdkafka property that a server or user mapping option names; palloc'd. */
extern char *streaming_kafka_property_name(const char *option);

/*
 * The time that a stream's or a view's "start" says, read as the stream's records
 * are.  In a transaction.
 */
extern TimestampTz streaming_start_time(const StreamingStream *stream, const char *start);

/* Milliseconds of an interval, months as 30 days. */
extern int64 streaming_interval_ms(const Interval *interval);

/* The columns of the foreign table itself. */
static inline int
streaming_stream_natts(const StreamingStream *stream)
{
	return stream->change_attno ? stream->change_attno - 1 : stream->tupdesc->natts;
}

/* Is relid a foreign table of one of our wrappers?  Sets *kind if so. */
extern bool streaming_is_stream(Oid relid, StreamingSourceKind *kind);

/* in stream_key.c */

/* Has the key parts, by its format?  Is it nothing that could be text? */
extern bool streaming_key_has_fields(const StreamingStream *stream);
extern bool streaming_key_is_binary(const StreamingStream *stream);

/* Is the column read from the key as its format says?  Is it all of the key? */
extern bool streaming_key_column_is_read(const StreamingStream *stream, const StreamingColumn *column);
extern bool streaming_key_is_whole(const StreamingStream *stream, const StreamingColumn *column);

/* The columns (attribute numbers) that make the key of a message: the option "key", or metadata. */
extern List *streaming_key_attnos(const StreamingStream *stream);

/*
 * A stream whose messages are the keys of this one's; columns are a copy, which the caller
 * makes those that it wants.
 */
extern StreamingStream *streaming_stream_of_keys(const StreamingStream *of);

/* For streaming_stream_open: refuses what does not fit the format of the key. */
extern void streaming_check_keys(const StreamingStream *stream);

/* in stream_changes.c */

/* Is it one of the keys of a stream whose rows change? */
extern bool streaming_stream_is_key(const StreamingStream *stream, AttrNumber attno);

/* Are relid's rows changed by its records?  It is a stream, or anything else. */
extern bool streaming_stream_changes(Oid relid);

/*
 * For streaming_stream_open, of a stream whose rows change: gives them the column
 * "$change"; then, columns being known, finds the keys and refuses what is not kept.
 */
extern void streaming_changes_begin(StreamingStream *stream);
extern void streaming_changes_end(StreamingStream *stream);

#endif							/* STREAMING_STREAM_H */
