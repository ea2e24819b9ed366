/*
 * stream.c
 *		Reads the definition of a stream from the system catalogs.
 *
 * Values of single options have been checked by the validators
 * (command/stream_options.c).  What those cannot see is checked here, each
 * time: options against the types of columns, and columns against each other.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "streaming.h"
#include "catalog/extension.h"
#include "kafka.h"
#include "base/settings.h"
#include "catalog/stream.h"

/* Of what is written into directories. */
#define DEFAULT_FILE_MAX_SIZE	((int64) 128 * 1024 * 1024)
#define DEFAULT_FILE_INTERVAL	((int64) 10 * 1000)

static const struct
{
	const char *validator;		/* what tells our wrappers from others */
	StreamingSourceKind kind;
}			wrappers[] =
{
	{"kafka_fdw_validator", STREAMING_SOURCE_KAFKA},
	{"directory_fdw_validator", STREAMING_SOURCE_DIRECTORY},
	{"streaming_push_validator", STREAMING_SOURCE_PUSH},
};

static const char *const metadata_names[] = {
	[STREAMING_META_KEY] = "key",
	[STREAMING_META_PARTITION] = "partition",
	[STREAMING_META_OFFSET] = "offset",
	[STREAMING_META_TIMESTAMP] = "timestamp",
	[STREAMING_META_HEADERS] = "headers",
	[STREAMING_META_TOPIC] = "topic",
	[STREAMING_META_SCHEMA_ID] = "schema_id",
	[STREAMING_META_PATH] = "path",
	[STREAMING_META_LINE] = "line",
	[STREAMING_META_MTIME] = "mtime",
	[STREAMING_META_SIZE] = "size",
};

static void read_server_options(StreamingStream *stream, List *options);
static void read_table_options(StreamingStream *stream, List *options);
static void check_format(const StreamingStream *stream);
static uint32 hash_place(const StreamingStream *stream);
static void split_path(StreamingColumn *column);
static void read_column(StreamingStream *stream, int index);
static void check_columns(StreamingStream *stream);
static void read_server(StreamingStream *stream, Oid serverid, Oid userid);
static List *user_mapping_options(Oid userid, Oid serverid);

/* ---------------------------------------------------------------------------
 * Which relations are streams
 * ---------------------------------------------------------------------------
 */

bool
streaming_wrapper_kind(Oid fdwid, StreamingSourceKind *kind)
{
	ForeignDataWrapper *fdw = GetForeignDataWrapperExtended(fdwid, FDW_MISSING_OK);

	if (fdw == NULL || !streaming_is_our_function(fdw->fdwhandler, "streaming_fdw_handler"))
		return false;
	for (int i = 0; i < lengthof(wrappers); i++)
	{
		if (streaming_is_our_function(fdw->fdwvalidator, wrappers[i].validator))
		{
			if (kind)
				*kind = wrappers[i].kind;
			return true;
		}
	}
	return false;
}

bool
streaming_is_stream(Oid relid, StreamingSourceKind *kind)
{
	HeapTuple	tuple;
	ForeignServer *server = NULL;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;

	/* It may be dropped at this moment. */
	tuple = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		server = GetForeignServerExtended(((Form_pg_foreign_table) GETSTRUCT(tuple))->ftserver,
										  FSV_MISSING_OK);
		ReleaseSysCache(tuple);
	}
	return server && streaming_wrapper_kind(server->fdwid, kind);
}

/* ---------------------------------------------------------------------------
 * Reading a definition
 * ---------------------------------------------------------------------------
 */

StreamingStream *
streaming_stream_open(Oid relid, Oid userid)
{
	StreamingStream *stream = palloc0(sizeof(StreamingStream));
	Relation	rel;
	ForeignTable *table;

	if (!streaming_is_stream(relid, &stream->kind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a stream", get_rel_name(relid)),
				 errhint("Streams are foreign tables of a kafka, directory or streaming server.")));

	rel = table_open(relid, AccessShareLock);
	stream->relid = relid;
	stream->owner = rel->rd_rel->relowner;
	stream->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											  RelationGetRelationName(rel));
	stream->tupdesc = CreateTupleDescCopy(RelationGetDescr(rel));
	table_close(rel, AccessShareLock);

	stream->format = "json";
	stream->settings = streaming_settings_of_records();
	stream->on_error = STREAMING_ON_ERROR_REJECT;
	stream->start = "earliest";
	stream->durable = true;
	stream->file_max_size = DEFAULT_FILE_MAX_SIZE;
	stream->file_interval = DEFAULT_FILE_INTERVAL;

	table = GetForeignTable(relid);
	read_server(stream, table->serverid, userid);
	read_table_options(stream, table->options);
	check_format(stream);
	stream->place = hash_place(stream);
	if (stream->changes != STREAMING_CHANGES_APPEND)
		streaming_changes_begin(stream);

	stream->columns = palloc0(sizeof(StreamingColumn) * Max(stream->tupdesc->natts, 1));
	for (int i = 0; i < stream->tupdesc->natts; i++)
		read_column(stream, i);
	check_columns(stream);
	streaming_check_keys(stream);
	if (stream->change_attno)
		streaming_changes_end(stream);
	return stream;
}

static void
check_format(const StreamingStream *stream)
{
	bool		is_avro = strcmp(stream->format, "avro") == 0;
	bool		is_protobuf = strcmp(stream->format, "protobuf") == 0;

	/* Files have theirs. */
	if (((is_avro && stream->avro_schema == NULL) || (is_protobuf && stream->protobuf_schema == NULL)) &&
		stream->kind == STREAMING_SOURCE_KAFKA &&
		stream->registry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("stream %s with format \"%s\" has no schema", stream->name, stream->format),
				 errhint("Give it the option \"%s\", or its server the option \"schema_registry\".",
						 is_avro ? "avro_schema" : "protobuf_schema")));
}

/* Of topic and brokers, or the path; never 0. */
static uint32
hash_place(const StreamingStream *stream)
{
	const char *parts[] = {stream->topic, stream->path, NULL};
	uint32		hash = 1;
	ListCell   *lc;

	foreach(lc, stream->client_options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "bootstrap.servers") == 0)
			parts[2] = defGetString(option);
	}
	for (int i = 0; i < lengthof(parts); i++)
	{
		if (parts[i])
			hash = hash_combine(hash, string_hash(parts[i], strlen(parts[i]) + 1));
	}
	return hash != 0 ? hash : 1;
}

char *
streaming_kafka_property_name(const char *option)
{
	char	   *name = pstrdup(option);

	for (char *p = name; *p; p++)
	{
		if (*p == '_')
			*p = '.';
	}
	/* a few properties do have an underscore */
	if (!streaming_kafka_is_property(name) && streaming_kafka_is_property(option))
		return pstrdup(option);
	return name;
}

/* Those of userid, else those of PUBLIC, else none. */
static List *
user_mapping_options(Oid userid, Oid serverid)
{
	HeapTuple	tuple;
	Datum		datum;
	bool		isnull;
	List	   *options = NIL;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
							ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions,
							&isnull);
	if (!isnull)
		options = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

StreamingStream *
streaming_stream_of_server(Oid serverid, Oid userid)
{
	StreamingStream *stream = palloc0(sizeof(StreamingStream));

	if (!streaming_wrapper_kind(GetForeignServer(serverid)->fdwid, &stream->kind))
		elog(ERROR, "server %u is not one of streams", serverid);
	read_server(stream, serverid, userid);
	return stream;
}

static void
read_server(StreamingStream *stream, Oid serverid, Oid userid)
{
	List	   *mapping;

	read_server_options(stream, GetForeignServer(serverid)->options);
	if (stream->kind != STREAMING_SOURCE_KAFKA)
		return;
	mapping = user_mapping_options(userid, serverid);
	stream->has_mapping = mapping != NIL;
	read_server_options(stream, mapping);
	if (stream->registry)
	{
		stream->registry->server = serverid;
		stream->registry->role = userid;
	}
	if (stream->registry && stream->registry->url == NULL)
		stream->registry = NULL;	/* a mapping alone makes none */
}

/* Takes an option of a server or user mapping; false: it is of something else. */
static bool
registry_option(StreamingStream *stream, const char *name, const char *value)
{
	StreamingRegistry *registry = stream->registry;
	char	   *url;

	if (strncmp(name, "schema_registry", strlen("schema_registry")) != 0)
		return false;
	if (registry == NULL)
		stream->registry = registry = palloc0(sizeof(StreamingRegistry));
	name += strlen("schema_registry");
	if (*name == '\0')
	{
		registry->url = url = pstrdup(value);
		while (url[0] && url[strlen(url) - 1] == '/')
			url[strlen(url) - 1] = '\0';
	}
	else if (strcmp(name, "_username") == 0)
		registry->username = value;
	else if (strcmp(name, "_password") == 0)
		registry->password = value;
	else if (strcmp(name, "_ca_pem") == 0)
		registry->ca_pem = value;
	else if (strcmp(name, "_certificate_pem") == 0)
		registry->certificate_pem = value;
	else if (strcmp(name, "_key_pem") == 0)
		registry->key_pem = value;
	else
		return false;
	return true;
}

/* Options of the server, then those of the user mapping, which win. */
static void
read_server_options(StreamingStream *stream, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		ListCell   *old;
		char	   *name;

		if (stream->kind != STREAMING_SOURCE_KAFKA)
		{
			if (strcmp(def->defname, "path") == 0)
				stream->base = defGetString(def);
			else if (strcmp(def->defname, "follow_symlinks") == 0)
				stream->follow_symlinks = defGetBoolean(def);
			continue;
		}
		if (registry_option(stream, def->defname, defGetString(def)))
			continue;
		name = streaming_kafka_property_name(def->defname);
		foreach(old, stream->client_options)
		{
			if (strcmp(((DefElem *) lfirst(old))->defname, name) == 0)
				stream->client_options = foreach_delete_current(stream->client_options, old);
		}
		stream->client_options =
			lappend(stream->client_options,
					makeDefElem(name, (Node *) makeString(defGetString(def)), -1));
	}
}

static Interval *
interval_from_string(const char *value)
{
	return DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(value),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1)));
}

int64
streaming_interval_ms(const Interval *interval)
{
	double		days = (double) interval->month * DAYS_PER_MONTH + interval->day +
		(double) interval->time / USECS_PER_DAY;

	return (int64) (days * SECS_PER_DAY * 1000);
}

TimestampTz
streaming_start_time(const StreamingStream *stream, const char *start)
{
	int			level = NewGUCNestLevel();
	TimestampTz time;

	streaming_settings_use(stream->settings);
	time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(start),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
	AtEOXact_GUC(false, level);
	return time;
}

static StreamingOnError
on_error_from_string(const char *value)
{
	if (strcmp(value, "null") == 0)
		return STREAMING_ON_ERROR_NULL;
	if (strcmp(value, "stop") == 0)
		return STREAMING_ON_ERROR_STOP;
	return STREAMING_ON_ERROR_REJECT;
}

static StreamingAfter
after_from_string(const char *value)
{
	if (strcmp(value, "archive") == 0)
		return STREAMING_AFTER_ARCHIVE;
	if (strcmp(value, "delete") == 0)
		return STREAMING_AFTER_DELETE;
	return STREAMING_AFTER_KEEP;
}

static StreamingChanges
changes_from_string(const char *value)
{
	if (strcmp(value, "upsert") == 0)
		return STREAMING_CHANGES_UPSERT;
	if (strcmp(value, "debezium") == 0)
		return STREAMING_CHANGES_DEBEZIUM;
	return STREAMING_CHANGES_APPEND;
}

static List *
key_columns_from_string(const char *value)
{
	List	   *names;
	List	   *result = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(value), ',', &names))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
				 errmsg("invalid list of columns in option \"%s\": \"%s\"", "key", value)));
	foreach(lc, names)
		result = lappend(result, makeString(lfirst(lc)));
	return result;
}

static void
read_table_options(StreamingStream *stream, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		char	   *value = defGetString(def);

		if (strcmp(def->defname, "format") == 0)
			stream->format = value;
		else if (strcmp(def->defname, "changes") == 0)
			stream->changes = changes_from_string(value);
		else if (strcmp(def->defname, "on_error") == 0)
			stream->on_error = on_error_from_string(value);
		else if (streaming_setting_name(def->defname))
			stream->settings = lappend(stream->settings, psprintf("%s=%s", def->defname, value));
		else if (strcmp(def->defname, "topic") == 0)
			stream->topic = value;
		else if (strcmp(def->defname, "start") == 0)
			stream->start = value;
		else if (strcmp(def->defname, "on_lost_offset") == 0)
			stream->skip_lost = strcmp(value, "skip") == 0;
		else if (strcmp(def->defname, "group_id") == 0)
			stream->group_id = value;
		else if (strcmp(def->defname, "transactional_id") == 0)
			stream->transactional_id = value;
		else if (strcmp(def->defname, "key") == 0)
			stream->key_columns = key_columns_from_string(value);
		else if (strcmp(def->defname, "path") == 0)
			stream->path = psprintf("%s/%s", stream->base, value);
		else if (strcmp(def->defname, "order") == 0)
			stream->by_name = strcmp(value, "name") == 0;
		else if (strcmp(def->defname, "after") == 0)
			stream->after = after_from_string(value);
		else if (strcmp(def->defname, "archive_path") == 0)
			stream->archive = psprintf("%s/%s", stream->base, value);
		else if (strcmp(def->defname, "compression") == 0)
			stream->compression = value;
		else if (strcmp(def->defname, "file_max_rows") == 0)
			stream->file_max_rows = pg_strtoint64(value);
		else if (strcmp(def->defname, "file_max_size") == 0)
			stream->file_max_size =
				DatumGetInt64(DirectFunctionCall1(pg_size_bytes,
												  CStringGetTextDatum(value)));
		else if (strcmp(def->defname, "file_interval") == 0)
			stream->file_interval = streaming_interval_ms(interval_from_string(value));
		else if (strcmp(def->defname, "avro_schema") == 0)
			stream->avro_schema = value;
		else if (strcmp(def->defname, "avro_codec") == 0)
			stream->avro_codec = value;
		else if (strcmp(def->defname, "protobuf_schema") == 0)
			stream->protobuf_schema = value;
		else if (strcmp(def->defname, "protobuf_message") == 0)
			stream->protobuf_message = value;
		else if (strcmp(def->defname, "key_format") == 0)
			stream->key_format = value;
		else if (strcmp(def->defname, "key_avro_schema") == 0)
			stream->key_avro_schema = value;
		else if (strcmp(def->defname, "key_protobuf_schema") == 0)
			stream->key_protobuf_schema = value;
		else if (strcmp(def->defname, "key_protobuf_message") == 0)
			stream->key_protobuf_message = value;
		else if (strcmp(def->defname, "durable") == 0)
			stream->durable = defGetBoolean(def);
		else if (strcmp(def->defname, "retention") == 0)
			stream->retention = interval_from_string(value);
		else
			stream->copy_options = lappend(stream->copy_options, def);
	}
}

/*
 * Dots part the names of members: "user.id" is member id of the object that is
 * member user.  A backslash before a dot or a backslash takes it as it is.
 */
static void
split_path(StreamingColumn *column)
{
	const char *from = column->field;
	char	   *to = palloc(strlen(from) + 1);

	column->path = palloc(sizeof(char *) * (strlen(from) + 1));
	column->path[0] = to;
	column->npath = 1;
	for (; *from; from++)
	{
		if (*from == '.')
		{
			*to++ = '\0';
			column->path[column->npath++] = to;
			continue;
		}
		if (*from == '\\' && (from[1] == '.' || from[1] == '\\'))
			from++;
		*to++ = *from;
	}
	*to = '\0';
}

static void
read_column(StreamingStream *stream, int index)
{
	Form_pg_attribute att = TupleDescAttr(stream->tupdesc, index);
	StreamingColumn *column = &stream->columns[index];
	ListCell   *lc;

	column->dropped = att->attisdropped || index + 1 == stream->change_attno;
	if (column->dropped)
		return;
	column->name = pstrdup(NameStr(att->attname));
	column->field = column->name;
	column->any_case = true;
	column->path = &column->name;
	column->npath = 1;
	column->type = att->atttypid;
	column->typmod = att->atttypmod;
	column->collation = att->attcollation;

	foreach(lc, GetForeignColumnOptions(stream->relid, att->attnum))
	{
		DefElem    *def = lfirst(lc);
		char	   *value = defGetString(def);

		if (strcmp(def->defname, "field") == 0)
		{
			column->field = value;
			column->any_case = false;
			split_path(column);
		}
		else if (strcmp(def->defname, "watermark") == 0)
			column->watermark = interval_from_string(value);
		else if (strcmp(def->defname, "max_ahead") == 0)
			column->max_ahead = interval_from_string(value);
		else if (strcmp(def->defname, "time_format") == 0)
		{
			if (strcmp(value, "epoch_s") == 0)
				column->time_format = STREAMING_TIME_EPOCH_S;
			else if (strcmp(value, "epoch_ms") == 0)
				column->time_format = STREAMING_TIME_EPOCH_MS;
			else if (strcmp(value, "epoch_us") == 0)
				column->time_format = STREAMING_TIME_EPOCH_US;
		}
		else if (strcmp(def->defname, "metadata") == 0)
		{
			for (int i = STREAMING_META_KEY; i < lengthof(metadata_names); i++)
			{
				if (strcmp(value, metadata_names[i]) == 0)
					column->metadata = i;
			}
			if (strncmp(value, STREAMING_PATH_VALUE_PREFIX, strlen(STREAMING_PATH_VALUE_PREFIX)) == 0)
			{
				column->metadata = STREAMING_META_PATH_VALUE;
				column->path_value = value + strlen(STREAMING_PATH_VALUE_PREFIX);
			}
			if (strncmp(value, STREAMING_KEY_FIELD_PREFIX, strlen(STREAMING_KEY_FIELD_PREFIX)) == 0)
			{
				column->metadata = STREAMING_META_KEY_FIELD;
				column->field = value + strlen(STREAMING_KEY_FIELD_PREFIX);
				column->any_case = false;
				split_path(column);
			}
		}
	}
}

/* ---------------------------------------------------------------------------
 * What the validators cannot see
 * ---------------------------------------------------------------------------
 */

static void
column_type_error(const StreamingStream *stream, const StreamingColumn *column,
				  const char *option, const char *types)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("column \"%s\" of stream %s has option \"%s\", and so must be of type %s",
					column->name, stream->name, option, types),
			 errdetail("Its type is %s.", format_type_be(column->type))));
}

static void
check_metadata_type(const StreamingStream *stream, const StreamingColumn *column)
{
	const char *types = NULL;
	Oid			type = column->type;

	switch (column->metadata)
	{
		case STREAMING_META_NONE:
		case STREAMING_META_PATH_VALUE:
		case STREAMING_META_KEY:	/* by stream_key.c */
		case STREAMING_META_KEY_FIELD:
			break;
		case STREAMING_META_PARTITION:
			if (type != INT2OID && type != INT4OID && type != INT8OID)
				types = "integer, bigint or smallint";
			break;
		case STREAMING_META_OFFSET:
		case STREAMING_META_LINE:
		case STREAMING_META_SIZE:
			if (type != INT8OID)
				types = "bigint";
			break;
		case STREAMING_META_TIMESTAMP:
		case STREAMING_META_MTIME:
			if (type != TIMESTAMPTZOID)
				types = "timestamp with time zone";
			break;
		case STREAMING_META_SCHEMA_ID:
			if (type != INT4OID)
				types = "integer";
			break;
		case STREAMING_META_HEADERS:
			if (type != JSONBOID)
				types = "jsonb";
			break;
		case STREAMING_META_TOPIC:
		case STREAMING_META_PATH:
			if (type != TEXTOID)
				types = "text";
			break;
	}
	if (types)
		column_type_error(stream, column, "metadata", types);
}

static void
check_columns(StreamingStream *stream)
{
	const StreamingColumn *watermark = NULL;
	ListCell   *lc;

	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		StreamingColumn *column = &stream->columns[i];
		Oid			base = column->dropped ? InvalidOid : getBaseType(column->type);
		bool		is_time = base == TIMESTAMPTZOID || base == TIMESTAMPOID;

		if (column->dropped)
			continue;
		check_metadata_type(stream, column);
		if (column->time_format != STREAMING_TIME_TEXT && !is_time)
			column_type_error(stream, column, "time_format",
							  "timestamp with or without time zone");
		if (column->max_ahead && column->watermark == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" of column \"%s\" of stream %s needs option \"%s\"",
							"max_ahead", column->name, stream->name, "watermark")));
		if (column->watermark == NULL)
			continue;
		if (!is_time)
			column_type_error(stream, column, "watermark",
							  "timestamp with or without time zone");
		if (watermark)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("stream %s has more than one column with option \"%s\"",
							stream->name, "watermark"),
					 errdetail("Columns \"%s\" and \"%s\" have one.",
							   watermark->name, column->name)));
		watermark = column;
	}

	foreach(lc, stream->key_columns)
	{
		char	   *name = strVal(lfirst(lc));

		if (get_attnum(stream->relid, name) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" named in option \"%s\" does not exist in stream %s",
							name, "key", stream->name)));
	}
}
