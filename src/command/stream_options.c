/*
 * stream_options.c
 *		Validators of the three wrappers: options of servers, user mappings,
 *		streams and their columns.
 *
 * PostgreSQL calls a validator with all options that an object is about to
 * have, and without telling which object or of what types its columns are.
 * What needs to know that is checked by streaming_stream_open.
 *
 * Options of Kafka servers and user mappings are librdkafka's properties;
 * kafka_property.c says who may set which.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "streaming.h"
#include "base/closest_match.h"
#include "kafka.h"
#include "base/settings.h"
#include "catalog/stream.h"
#include "command/command.h"
#include "format/columnar.h"
#include "format/avro_schema.h"
#include "format/protobuf_schema.h"
#include "http.h"
#include "source/topic_pattern.h"

PG_FUNCTION_INFO_V1(kafka_fdw_validator);
PG_FUNCTION_INFO_V1(directory_fdw_validator);
PG_FUNCTION_INFO_V1(streaming_push_validator);

/*
 * Members that a path of option "field" may name.  Readers and writers go down such
 * a path by recursion, and have room for all columns at each step of it.
 */
#define FIELD_MAX_MEMBERS	100

#define FORMATS		"\"json\", \"csv\", \"text\", \"avro\", \"protobuf\", \"parquet\", \"arrow\" and \"orc\""

/* Longest certificate or key. */
#define MAX_PEM		(256 * 1024)

/* Wrappers that have an option, as a set of bits. */
#define KAFKA		(1 << STREAMING_SOURCE_KAFKA)
#define DIRECTORY	(1 << STREAMING_SOURCE_DIRECTORY)
#define PUSH		(1 << STREAMING_SOURCE_PUSH)

typedef struct StreamOption
{
	const char *name;
	Oid			catalog;		/* of the objects that have it */
	int			wrappers;
	void		(*check) (DefElem *def);	/* NULL: any string; COPY's own are
											 * checked together */
} StreamOption;

static void check_schema_registry(DefElem *def);
static void check_pem(DefElem *def);
static void check_format(DefElem *def);
static void check_avro_schema(DefElem *def);
static void check_avro_codec(DefElem *def);
static void check_protobuf_schema(DefElem *def);
static void check_key_format(DefElem *def);
static void check_key_avro_schema(DefElem *def);
static void check_on_error(DefElem *def);
static void check_changes(DefElem *def);
static void check_on_lost_offset(DefElem *def);
static void check_not_empty(DefElem *def);
static void check_topic(DefElem *def);
static void check_start(DefElem *def);
static void check_setting(DefElem *def);
static void check_key(DefElem *def);
static void check_server_path(DefElem *def);
static void check_follow_symlinks(DefElem *def);
static void check_table_path(DefElem *def);
static void check_order(DefElem *def);
static void check_after(DefElem *def);
static void check_archive_path(DefElem *def);
static void check_compression(DefElem *def);
static void check_file_max_rows(DefElem *def);
static void check_file_max_size(DefElem *def);
static void check_field(DefElem *def);
static void check_path(DefElem *def, const char *path);
static void check_boolean(DefElem *def);
static void check_interval(DefElem *def);
static void check_time_format(DefElem *def);
static void check_metadata_kafka(DefElem *def);
static void check_metadata_directory(DefElem *def);

static const StreamOption stream_options[] =
{
	/* of Kafka besides librdkafka's */
	{"schema_registry", ForeignServerRelationId, KAFKA, check_schema_registry},
	{"schema_registry_ca_pem", ForeignServerRelationId, KAFKA, check_pem},
	{"schema_registry_username", UserMappingRelationId, KAFKA, check_not_empty},
	{"schema_registry_password", UserMappingRelationId, KAFKA, check_not_empty},
	{"schema_registry_certificate_pem", UserMappingRelationId, KAFKA, check_pem},
	{"schema_registry_key_pem", UserMappingRelationId, KAFKA, check_pem},

	{"path", ForeignServerRelationId, DIRECTORY, check_server_path},
	{"follow_symlinks", ForeignServerRelationId, DIRECTORY, check_follow_symlinks},

	{"format", ForeignTableRelationId, KAFKA | DIRECTORY, check_format},
	{"on_error", ForeignTableRelationId, KAFKA | DIRECTORY, check_on_error},
	{"changes", ForeignTableRelationId, KAFKA | DIRECTORY, check_changes},
	{"start", ForeignTableRelationId, KAFKA | DIRECTORY, check_start},
	{"timezone", ForeignTableRelationId, KAFKA | DIRECTORY, check_setting},
	{"datestyle", ForeignTableRelationId, KAFKA | DIRECTORY, check_setting},
	{"avro_schema", ForeignTableRelationId, KAFKA | DIRECTORY, check_avro_schema},
	{"avro_codec", ForeignTableRelationId, DIRECTORY, check_avro_codec},
	{"protobuf_schema", ForeignTableRelationId, KAFKA, check_protobuf_schema},
	{"protobuf_message", ForeignTableRelationId, KAFKA, check_not_empty},
	{"key_format", ForeignTableRelationId, KAFKA, check_key_format},
	{"key_avro_schema", ForeignTableRelationId, KAFKA, check_key_avro_schema},
	{"key_protobuf_schema", ForeignTableRelationId, KAFKA, check_protobuf_schema},
	{"key_protobuf_message", ForeignTableRelationId, KAFKA, check_not_empty},
	{"topic", ForeignTableRelationId, KAFKA, check_topic},
	{"key", ForeignTableRelationId, KAFKA | DIRECTORY, check_key},
	{"on_lost_offset", ForeignTableRelationId, KAFKA, check_on_lost_offset},
	{"group_id", ForeignTableRelationId, KAFKA, check_not_empty},
	{"transactional_id", ForeignTableRelationId, KAFKA, check_not_empty},
	{"path", ForeignTableRelationId, DIRECTORY, check_table_path},
	{"order", ForeignTableRelationId, DIRECTORY, check_order},
	{"after", ForeignTableRelationId, DIRECTORY, check_after},
	{"archive_path", ForeignTableRelationId, DIRECTORY, check_archive_path},
	{"compression", ForeignTableRelationId, DIRECTORY, check_compression},
	{"file_max_rows", ForeignTableRelationId, DIRECTORY, check_file_max_rows},
	{"file_max_size", ForeignTableRelationId, DIRECTORY, check_file_max_size},
	{"file_interval", ForeignTableRelationId, DIRECTORY, check_interval},
	{"header", ForeignTableRelationId, DIRECTORY, NULL},
	{"delimiter", ForeignTableRelationId, KAFKA | DIRECTORY, NULL},
	{"quote", ForeignTableRelationId, KAFKA | DIRECTORY, NULL},
	{"escape", ForeignTableRelationId, KAFKA | DIRECTORY, NULL},
	{"null", ForeignTableRelationId, KAFKA | DIRECTORY, NULL},
	{"encoding", ForeignTableRelationId, KAFKA | DIRECTORY, NULL},
	{"durable", ForeignTableRelationId, PUSH, check_boolean},
	{"retention", ForeignTableRelationId, PUSH, check_interval},

	{"field", AttributeRelationId, KAFKA | DIRECTORY, check_field},
	{"watermark", AttributeRelationId, KAFKA | DIRECTORY | PUSH, check_interval},
	{"max_ahead", AttributeRelationId, KAFKA | DIRECTORY | PUSH, check_interval},
	{"time_format", AttributeRelationId, KAFKA | DIRECTORY, check_time_format},
	{"metadata", AttributeRelationId, KAFKA, check_metadata_kafka},
	{"metadata", AttributeRelationId, DIRECTORY, check_metadata_directory},
};

static void validate(FunctionCallInfo fcinfo, StreamingSourceKind kind);
static const StreamOption *find_option(const char *name, Oid catalog, StreamingSourceKind kind);
static void unknown_option(const char *name, Oid catalog, StreamingSourceKind kind);
static void validate_kafka_options(List *options, Oid catalog);
static void validate_required(List *options, Oid catalog, StreamingSourceKind kind);
static void validate_after(List *options);
static void validate_lost_offset(List *options);
static void validate_key(List *options, StreamingSourceKind kind);
static void validate_column_options(List *options);

Datum
kafka_fdw_validator(PG_FUNCTION_ARGS)
{
	validate(fcinfo, STREAMING_SOURCE_KAFKA);
	PG_RETURN_VOID();
}

Datum
directory_fdw_validator(PG_FUNCTION_ARGS)
{
	validate(fcinfo, STREAMING_SOURCE_DIRECTORY);
	PG_RETURN_VOID();
}

Datum
streaming_push_validator(PG_FUNCTION_ARGS)
{
	validate(fcinfo, STREAMING_SOURCE_PUSH);
	PG_RETURN_VOID();
}

static void
validate(FunctionCallInfo fcinfo, StreamingSourceKind kind)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	ListCell   *lc;

	streaming_require_loaded();
	if (kind == STREAMING_SOURCE_KAFKA &&
		(catalog == ForeignServerRelationId || catalog == UserMappingRelationId))
	{
		validate_kafka_options(options, catalog);
		return;
	}

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		const StreamOption *option = find_option(def->defname, catalog, kind);

		if (option == NULL)
			unknown_option(def->defname, catalog, kind);
		else if (option->check)
			option->check(def);
	}
	validate_required(options, catalog, kind);
	if (catalog == ForeignTableRelationId)
	{
		validate_after(options);
		validate_lost_offset(options);
		validate_key(options, kind);
		streaming_validate_format(options, kind);
	}
	if (catalog == AttributeRelationId)
		validate_column_options(options);
}

/* catalog InvalidOid: of any objects */
static const StreamOption *
find_option(const char *name, Oid catalog, StreamingSourceKind kind)
{
	for (int i = 0; i < lengthof(stream_options); i++)
	{
		const StreamOption *option = &stream_options[i];

		if (strcmp(option->name, name) == 0 && (option->wrappers & (1 << kind)) &&
			(option->catalog == catalog || !OidIsValid(catalog)))
			return option;
	}
	return NULL;
}

static const char *
object_name(Oid catalog)
{
	switch (catalog)
	{
		case ForeignDataWrapperRelationId:
			return "a foreign-data wrapper";
		case ForeignServerRelationId:
			return "a server";
		case UserMappingRelationId:
			return "a user mapping";
		case ForeignTableRelationId:
			return "a foreign table";
		default:
			return "a column";
	}
}

/* The hint names the object that has such an option, the closest match, or all. */
static void
unknown_option(const char *name, Oid catalog, StreamingSourceKind kind)
{
	const StreamOption *elsewhere = find_option(name, InvalidOid, kind);
	const char *names[lengthof(stream_options)];
	int			nnames = 0;
	const char *closest;
	StringInfoData valid;

	initStringInfo(&valid);
	for (int i = 0; i < lengthof(stream_options); i++)
	{
		if (stream_options[i].catalog == catalog &&
			(stream_options[i].wrappers & (1 << kind)))
		{
			appendStringInfo(&valid, "%s%s", nnames ? ", " : "", stream_options[i].name);
			names[nnames++] = stream_options[i].name;
		}
	}
	closest = streaming_closest_match(name, names, nnames);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 elsewhere ? errhint("It is an option of %s.", object_name(elsewhere->catalog)) :
			 closest ? errhint("Perhaps you meant the option \"%s\".", closest) :
			 nnames == 0 ? errhint("There are no valid options in this context.") :
			 errhint("Valid options are: %s.", valid.data)));
}

/* ---------------------------------------------------------------------------
 * Kafka servers and user mappings
 * ---------------------------------------------------------------------------
 */

static void
validate_kafka_option(DefElem *def, const char *property, Oid catalog)
{
	streaming_kafka_check_property(property, defGetString(def));
	if (catalog == ForeignServerRelationId && streaming_kafka_is_secret(property))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is not allowed in a server", def->defname),
				 errdetail("Every user may see the options of a server."),
				 errhint("Use CREATE USER MAPPING with this option.")));
	if (catalog == UserMappingRelationId && !streaming_kafka_is_of_user(property))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is not allowed in a user mapping", def->defname),
				 errhint("It is an option of a server.")));
}

/* What the wrappers of other databases call an option of ours. */
static void
check_other_name(const char *name)
{
	static const struct
	{
		const char *name;
		const char *ours;
	}			others[] = {
		{"user", "sasl_username"},
		{"username", "sasl_username"},
		{"password", "sasl_password"},
		{"host", "bootstrap_servers"},
		{"servers", "bootstrap_servers"},
		{"brokers", "bootstrap_servers"},
	};

	for (int i = 0; i < lengthof(others); i++)
	{
		if (strcmp(name, others[i].name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", name),
					 errhint("Perhaps you meant the option \"%s\".", others[i].ours)));
	}
}

static void
validate_kafka_options(List *options, Oid catalog)
{
	List	   *properties = NIL;
	bool		brokers = false;
	bool		sasl = false;
	bool		mechanism = false;
	ListCell   *lc;
	ListCell   *other;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		char	   *property = streaming_kafka_property_name(def->defname);
		const StreamOption *option = find_option(def->defname, catalog, STREAMING_SOURCE_KAFKA);

		if (option)
		{
			option->check(def);
			continue;
		}
		if (!streaming_kafka_is_property(property))
		{
			if (find_option(def->defname, InvalidOid, STREAMING_SOURCE_KAFKA))
				unknown_option(def->defname, catalog, STREAMING_SOURCE_KAFKA);
			check_other_name(def->defname);
		}
		validate_kafka_option(def, property, catalog);
		foreach(other, properties)
		{
			if (strcmp(lfirst(other), property) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						 errmsg("librdkafka property \"%s\" is set by more than one option",
								property)));
		}
		properties = lappend(properties, property);
		if (strcmp(property, "bootstrap.servers") == 0 ||
			strcmp(property, "metadata.broker.list") == 0)
		{
			check_not_empty(def);
			brokers = true;
		}
		if (strcmp(property, "security.protocol") == 0)
			sasl = pg_strncasecmp(defGetString(def), "sasl", 4) == 0;
		if (strcmp(property, "sasl.mechanism") == 0 || strcmp(property, "sasl.mechanisms") == 0)
			mechanism = true;
	}

	/* librdkafka's default is Kerberos, which is not everybody's to use. */
	if (sasl && !mechanism)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"%s\" is required where \"%s\" is SASL's",
						"sasl_mechanism", "security_protocol"),
				 errhint("Valid values are \"PLAIN\", \"SCRAM-SHA-256\", \"SCRAM-SHA-512\", \"OAUTHBEARER\" and \"GSSAPI\".")));
	if (catalog == ForeignServerRelationId && !brokers)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"%s\" is required for Kafka servers", "bootstrap_servers"),
				 errhint("Name one or more brokers, such as OPTIONS (bootstrap_servers 'localhost:9092').")));
}

/* ---------------------------------------------------------------------------
 * Options against each other
 * ---------------------------------------------------------------------------
 */

DefElem *
streaming_find_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return lfirst(lc);
	}
	return NULL;
}

static void
require(List *options, const char *name, const char *of, const char *hint)
{
	if (streaming_find_option(options, name) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"%s\" is required for %s", name, of),
				 errhint("%s", hint)));
}

static void
validate_required(List *options, Oid catalog, StreamingSourceKind kind)
{
	if (kind == STREAMING_SOURCE_KAFKA && catalog == ForeignTableRelationId)
		require(options, "topic", "Kafka streams", "Name a topic of the broker.");
	if (kind == STREAMING_SOURCE_DIRECTORY && catalog == ForeignServerRelationId)
		require(options, "path", "directory servers",
				"Name a directory of the database server by its absolute path.");
	if (kind == STREAMING_SOURCE_DIRECTORY && catalog == ForeignTableRelationId)
		require(options, "path", "directory streams",
				"Give a pattern of files below the server's directory, such as OPTIONS (path '*.json').");
}

/* Where files go has to be said, and is said for nothing if they stay. */
static void
validate_after(List *options)
{
	DefElem    *after = streaming_find_option(options, "after");
	bool		archives = after && strcmp(defGetString(after), "archive") == 0;

	if (archives)
		require(options, "archive_path", "streams whose files are archived",
				"Name a directory below the server's path, such as OPTIONS (archive_path 'archive').");
	else if (streaming_find_option(options, "archive_path"))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" needs option \"%s\"", "archive_path", "after"),
				 errhint("Set option \"after\" to \"archive\", or leave \"archive_path\" out.")));
}

/* What is skipped is noted like a bad record, at which such a stream would stop. */
static void
validate_lost_offset(List *options)
{
	DefElem    *lost = streaming_find_option(options, "on_lost_offset");
	DefElem    *error = streaming_find_option(options, "on_error");

	if (lost && error && strcmp(defGetString(lost), "skip") == 0 &&
		strcmp(defGetString(error), "stop") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("options \"%s\" and \"%s\" exclude each other",
						"on_lost_offset 'skip'", "on_error 'stop'"),
				 errdetail("A stream that stops at the first bad record does not pass over records that are lost."),
				 errhint("Set one of them to another value.")));
}

/* Messages have a key in any case, lines of files only where it says which row they change. */
static void
validate_key(List *options, StreamingSourceKind kind)
{
	DefElem    *changes = streaming_find_option(options, "changes");

	if (kind == STREAMING_SOURCE_DIRECTORY && streaming_find_option(options, "key") &&
		(changes == NULL || strcmp(defGetString(changes), "append") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" needs option \"%s\"", "key", "changes"),
				 errhint("Set option \"changes\" to \"upsert\" or \"debezium\", or leave \"key\" out.")));
}

static void
validate_column_options(List *options)
{
	static const char *const names[] = {"field", "time_format"};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (streaming_find_option(options, "metadata") && streaming_find_option(options, names[i]))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("options \"%s\" and \"%s\" exclude each other", "metadata", names[i]),
					 errdetail("A column with metadata does not come from a field of the record.")));
	}
}

/* ---------------------------------------------------------------------------
 * Values of single options
 * ---------------------------------------------------------------------------
 */

static void
check_one_of(DefElem *def, const char *const *values, int nvalues, const char *valid)
{
	char	   *value = defGetString(def);

	for (int i = 0; i < nvalues; i++)
	{
		if (strcmp(value, values[i]) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", def->defname, value),
			 errhint("Valid values are %s.", valid)));
}

/*
 * As with the endpoint of a token: the server asks it from inside its firewall, and
 * what it answers is shown in errors.
 */
static void
check_schema_registry(DefElem *def)
{
	const char *why = streaming_http_check_url(defGetString(def));

	if (why)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", def->defname, defGetString(def)),
				 errdetail("%s", why),
				 errhint("Give an address such as \"https://registry.example.org:8081\".")));
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", def->defname),
				 errdetail("Only a superuser may name an address that the database server asks.")));
}

/* No message repeats it. */
static void
check_pem(DefElem *def)
{
	const char *value = defGetString(def);

	if (strlen(value) > MAX_PEM || strstr(value, "-----BEGIN ") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", def->defname),
				 errhint("It is a certificate or a key in PEM format, of at most %d bytes.", MAX_PEM)));
}

static void
check_format(DefElem *def)
{
	static const char *const values[] = {"json", "csv", "text", "avro", "protobuf", "parquet", "arrow", "orc"};
	StreamingArrowKind kind;

	check_one_of(def, values, lengthof(values), FORMATS);
	if (streaming_format_is_columnar(defGetString(def), &kind))
		streaming_columnar_check(kind);
}

static void
check_avro_schema(DefElem *def)
{
	(void) streaming_avro_schema(defGetString(def));
}

static void
check_protobuf_schema(DefElem *def)
{
	(void) streaming_protobuf_schema(defGetString(def));
}

static void
check_avro_codec(DefElem *def)
{
	static const char *const values[] = {"null", "deflate", "snappy", "zstandard", "bzip2", "xz"};

	check_one_of(def, values, lengthof(values),
				 "\"null\", \"deflate\", \"snappy\", \"zstandard\", \"bzip2\" and \"xz\"");
}

static void
check_key_format(DefElem *def)
{
	static const char *const values[] = {"text", "json", "avro", "protobuf"};

	check_one_of(def, values, lengthof(values), "\"text\", \"json\", \"avro\" and \"protobuf\"");
}

static void
check_key_avro_schema(DefElem *def)
{
	(void) streaming_avro_key_schema(defGetString(def));
}

static void
check_on_error(DefElem *def)
{
	static const char *const values[] = {"reject", "null", "stop"};

	check_one_of(def, values, lengthof(values), "\"reject\", \"null\" and \"stop\"");
}

static void
check_changes(DefElem *def)
{
	static const char *const values[] = {"append", "upsert", "debezium"};

	check_one_of(def, values, lengthof(values), "\"append\", \"upsert\" and \"debezium\"");
}

static void
check_on_lost_offset(DefElem *def)
{
	static const char *const values[] = {"stop", "skip"};

	check_one_of(def, values, lengthof(values), "\"stop\" and \"skip\"");
}

static void
check_not_empty(DefElem *def)
{
	if (defGetString(def)[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must not be empty", def->defname)));
}

/* Names cannot begin with ^. */
static void
check_topic(DefElem *def)
{
	check_not_empty(def);
	if (defGetString(def)[0] == '^')
		streaming_topic_pattern_check(defGetString(def));
}

/*
 * Error context, for a value that an input function of the server reads: its
 * message does not say of what the value is.
 */
static void
hint_values(void *arg)
{
	errhint("%s", (const char *) arg);
}

char *
streaming_check_start(char *value)
{
	ErrorContextCallback context;
	TimestampTz time;

	if (strcmp(value, "earliest") == 0 || strcmp(value, "latest") == 0)
		return value;
	if (pg_strcasecmp(value, "earliest") == 0 || pg_strcasecmp(value, "latest") == 0)
		return pg_strcasecmp(value, "latest") == 0 ? "latest" : "earliest";
	context.callback = hint_values;
	context.arg = "Valid values are \"earliest\", \"latest\" and a time.";
	context.previous = error_context_stack;
	error_context_stack = &context;
	time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(value),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
	error_context_stack = context.previous;
	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("start must be \"earliest\", \"latest\" or a finite time")));
	return pstrdup(timestamptz_to_str(time));
}

static void
check_start(DefElem *def)
{
	(void) streaming_check_start(defGetString(def));
}

static void
check_setting(DefElem *def)
{
	(void) streaming_settings_change(NIL, def->defname, defGetString(def));
}

static void
check_key(DefElem *def)
{
	List	   *names;

	check_not_empty(def);
	if (!SplitIdentifierString(pstrdup(defGetString(def)), ',', &names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid list of columns in option \"%s\": \"%s\"",
						def->defname, defGetString(def)),
				 errhint("Separate names of columns by commas.")));
}

/* As file_fdw: whoever names files of the server must be allowed to read them. */
static void
check_may_read_files(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set the path of a directory"),
				 errdetail("Only roles with privileges of the \"%s\" role may read files of the database server.",
						   "pg_read_server_files")));
}

static void
check_server_path(DefElem *def)
{
	check_may_read_files();
	if (!is_absolute_path(defGetString(def)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of a directory server must be an absolute path: \"%s\"",
						def->defname, defGetString(def))));
}

static void
check_follow_symlinks(DefElem *def)
{
	if (defGetBoolean(def) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", def->defname),
				 errdetail("Only a superuser may let a stream follow symbolic links, which may lead to any file of the database server.")));
}

/* Must stay below the server's directory.  hint: what it is. */
static void
check_relative(DefElem *def, const char *hint)
{
	char	   *path = defGetString(def);

	check_not_empty(def);
	if (is_absolute_path(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of a directory stream must be relative: \"%s\"",
						def->defname, path),
				 errhint("%s", hint)));
	for (char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
	{
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" must not contain \"..\": \"%s\"", def->defname, path),
					 errhint("%s", hint)));
	}
}

static void
check_table_path(DefElem *def)
{
	check_may_read_files();
	check_relative(def, "It is a pattern of files below the path of the server.");
}

/* As the sink that writes files. */
static void
check_may_write_files(DefElem *def)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", def->defname),
				 errdetail("Only roles with privileges of the \"%s\" role may let a stream move or delete files of the database server.",
						   "pg_write_server_files")));
}

static void
check_order(DefElem *def)
{
	static const char *const values[] = {"time", "name"};

	check_one_of(def, values, lengthof(values), "\"time\" and \"name\"");
}

static void
check_after(DefElem *def)
{
	static const char *const values[] = {"keep", "archive", "delete"};

	check_one_of(def, values, lengthof(values), "\"keep\", \"archive\" and \"delete\"");
	if (strcmp(defGetString(def), "keep") != 0)
		check_may_write_files(def);
}

static void
check_archive_path(DefElem *def)
{
	static const char *const hint = "It is a directory below the path of the server.";
	char	   *path = defGetString(def);

	check_may_write_files(def);
	check_relative(def, hint);
	for (char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
	{
		if (part[0] == '/' || (part[0] == '.' && (part[1] == '/' || part[1] == '\0')))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"", def->defname, path),
					 errhint("%s", hint)));
	}
}

static void
check_compression(DefElem *def)
{
	static const char *const values[] = {"none", "gzip", "zstd"};

	check_one_of(def, values, lengthof(values), "\"none\", \"gzip\" and \"zstd\"");
}

/* Calls an input function for the value of an option, with a hint if it fails. */
static Datum
read_value(DefElem *def, PGFunction function, const char *kind)
{
	ErrorContextCallback context;
	char	   *value = defGetString(def);
	Datum		result;

	context.callback = hint_values;
	context.arg = psprintf("Option \"%s\" takes %s.", def->defname, kind);
	context.previous = error_context_stack;
	error_context_stack = &context;
	if (function == pg_size_bytes)
		result = DirectFunctionCall1(function, CStringGetTextDatum(value));
	else
		result = DirectFunctionCall3(function, CStringGetDatum(value),
									 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	error_context_stack = context.previous;
	return result;
}

static void
check_file_max_rows(DefElem *def)
{
	if (DatumGetInt64(read_value(def, int8in, "a number of rows")) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must be positive: \"%s\"",
						def->defname, defGetString(def)),
				 errhint("Leave it out to have no limit.")));
}

static void
check_file_max_size(DefElem *def)
{
	if (DatumGetInt64(read_value(def, pg_size_bytes, "a size, such as \"128MB\"")) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must be positive: \"%s\"",
						def->defname, defGetString(def)),
				 errhint("Give a size such as \"128MB\".")));
}

static void
check_field(DefElem *def)
{
	check_path(def, defGetString(def));
}

/* Names of members, one in the other. */
static void
check_path(DefElem *def, const char *path)
{
	int			members = 1;

	if (path[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must name a field", def->defname)));
	for (const char *p = path; *p; p++)
	{
		if (*p == '\\' && (p[1] == '.' || p[1] == '\\'))
			p++;
		else if (*p == '.')
			members++;
	}
	if (members > FIELD_MAX_MEMBERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("option \"%s\" must not name more than %d members, one in the other",
						def->defname, FIELD_MAX_MEMBERS),
				 errhint("Give the outer member to a column of type jsonb, and take it apart in the query.")));
}

static void
check_boolean(DefElem *def)
{
	(void) defGetBoolean(def);
}

static void
check_interval(DefElem *def)
{
	Interval   *interval = DatumGetIntervalP(read_value(def, interval_in,
														"an interval, such as \"10 seconds\""));
	double		days = (double) interval->month * DAYS_PER_MONTH + interval->day +
		(double) interval->time / USECS_PER_DAY;

	if (days < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must not be negative: \"%s\"",
						def->defname, defGetString(def))));
	if (days > 10000 * DAYS_PER_YEAR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" is too long an interval: \"%s\"",
						def->defname, defGetString(def))));
}

static void
check_time_format(DefElem *def)
{
	static const char *const values[] = {"text", "epoch_s", "epoch_ms", "epoch_us"};

	check_one_of(def, values, lengthof(values),
				 "\"text\", \"epoch_s\", \"epoch_ms\" and \"epoch_us\"");
}

static void
check_metadata_kafka(DefElem *def)
{
	static const char *const values[] = {"key", "partition", "offset", "timestamp", "headers",
	"topic", "schema_id"};

	if (strncmp(defGetString(def), STREAMING_KEY_FIELD_PREFIX, strlen(STREAMING_KEY_FIELD_PREFIX)) == 0)
	{
		check_path(def, defGetString(def) + strlen(STREAMING_KEY_FIELD_PREFIX));
		return;
	}
	check_one_of(def, values, lengthof(values),
				 "\"key\", \"key:field\", for a field of it, \"partition\", \"offset\", \"timestamp\", \"headers\", \"topic\" and \"schema_id\"");
}

static void
check_metadata_directory(DefElem *def)
{
	static const char *const values[] = {"path", "line", "mtime", "size"};
	size_t		prefix = strlen(STREAMING_PATH_VALUE_PREFIX);
	char	   *value = defGetString(def);

	if (strncmp(value, STREAMING_PATH_VALUE_PREFIX, prefix) == 0 && value[prefix] != '\0')
		return;
	check_one_of(def, values, lengthof(values),
				 "\"path\", \"line\", \"mtime\", \"size\" and \"partition:name\", for the value in a directory called name=value");
}
