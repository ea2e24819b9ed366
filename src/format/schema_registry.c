/*
 * schema_registry.c
 *		The schemas of a server's registry, by their numbers.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/clean_text.h"
#include "catalog/catalog_table.h"
#include "format/avro_schema.h"
#include "format/schema_registry.h"
#include "http.h"

#define CONTENT_TYPE	"application/vnd.schemaregistry.v1+json"

/* What a registry says where it knows no such thing; a proxy does not. */
#define SUBJECT_NOT_FOUND	40401
#define VERSION_NOT_FOUND	40402
#define SCHEMA_NOT_FOUND	40403

/* No more of an answer is repeated in a message, and of a name in one. */
#define MAX_QUOTED		300
#define MAX_QUOTED_NAME	100

/* Schemas that one may refer to, by others, and bytes of their answers. */
#define MAX_REFERENCES	100
#define MAX_REFERRED	(16 * 1024 * 1024)

/* A shorter secret is found by accident. */
#define MIN_SECRET		4

/* What is kept of a Protobuf schema begins so; no Avro schema does. */
#define FILES_BEGIN		"{\"" STREAMING_PROTOBUF_FILES "\": ["

typedef enum SchemaColumn
{
	COLUMN_SERVER = 1,
	COLUMN_ROLE,
	COLUMN_REGISTRY,
	COLUMN_SCHEMA_ID,
	COLUMN_SUBJECT,
	COLUMN_SCHEMA,
	COLUMN_FETCHED_AT
#define COLUMN_COUNT COLUMN_FETCHED_AT
} SchemaColumn;

static const StreamingTableColumn columns[COLUMN_COUNT] = {
	{"server", OIDOID},
	{"role", OIDOID},
	{"registry", TEXTOID},
	{"schema_id", INT4OID},
	{"subject", TEXTOID},
	{"schema", TEXTOID},
	{"fetched_at", TIMESTAMPTZOID},
};

static StreamingTableDef schemas =
{"registry_schemas", COLUMN_COUNT, columns, {{COLUMN_SERVER, COLUMN_ROLE, COLUMN_SCHEMA_ID}}};

/* A row that is looked for, and what was found. */
typedef struct Known
{
	const char *subject;		/* "": by its number */
	int32		id;				/* 0: by the schema */
	char	   *schema;
} Known;

/* How registries call them, in the order of StreamingSchemaType, and their options. */
static const struct
{
	const char *name;
	const char *option;
}			types[] = {
	{"AVRO", "avro_schema"},
	{"PROTOBUF", "protobuf_schema"}
};

/* What a schema refers to, as it is asked for. */
typedef struct References
{
	List	   *paths;			/* of String */
	size_t		length;			/* of the answers */
	StringInfoData all;
} References;

static void check_type(int32 id, const char *found, StreamingSchemaType type);
static char *with_references(const StreamingStream *stream, Jsonb *json, char *schema,
							 StreamingSchemaType type);
static void add_references(const StreamingStream *stream, Jsonb *json, StreamingSchemaType type,
						   References *references);
static void add_file(StringInfo all, const char *name, const char *text);
static bool find_known(const StreamingStream *stream, Known *known);
static void remember(const StreamingStream *stream, const Known *known);
static void ask(const StreamingStream *stream, const char *path, const char *body,
				const char *what, StreamingHttpAnswer *answer);
static Jsonb *parse_answer(const StreamingStream *stream, const char *what,
						   const StreamingHttpAnswer *answer);
static bool string_of(Jsonb *json, const char *name, char **string);
static bool number_of(Jsonb *json, const char *name, int64 *number);
static char *quoted_answer(const StreamingStream *stream, const StreamingHttpAnswer *answer);
static bool is_secret_in(const StreamingRegistry *registry, const char *text, size_t length);
pg_noreturn static void no_answer(const StreamingStream *stream, const char *what, const char *why);

bool
streaming_registry_id(const char *payload, size_t length, int32 *id)
{
	uint32		number;

	if (length < STREAMING_REGISTRY_HEADER || payload[0] != '\0')
		return false;
	memcpy(&number, payload + 1, sizeof(number));
	*id = (int32) pg_ntoh32(number);
	return true;
}

char *
streaming_registry_schema(const StreamingStream *stream, int32 id, StreamingSchemaType type)
{
	Known		known = {.subject = "", .id = id};
	const char *what = psprintf("schema %d", id);
	StreamingHttpAnswer answer;
	Jsonb	   *json;
	char	   *found = "AVRO";
	int64		code;

	if (find_known(stream, &known))
	{
		bool		files = strncmp(known.schema, FILES_BEGIN, strlen(FILES_BEGIN)) == 0;

		check_type(id, types[files ? STREAMING_SCHEMA_PROTOBUF : STREAMING_SCHEMA_AVRO].name, type);
		return known.schema;
	}
	ask(stream, psprintf("/schemas/ids/%d", id), NULL, what, &answer);
	json = parse_answer(stream, what, &answer);
	if (answer.status == 404 && number_of(json, "error_code", &code) && code == SCHEMA_NOT_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("schema registry has no schema %d", id)));
	if (answer.status != 200 || !string_of(json, "schema", &known.schema))
		no_answer(stream, what, quoted_answer(stream, &answer));
	(void) string_of(json, "schemaType", &found);
	check_type(id, found, type);
	known.schema = with_references(stream, json, known.schema, type);
	remember(stream, &known);
	return known.schema;
}

static void
check_type(int32 id, const char *found, StreamingSchemaType type)
{
	if (strcmp(found, types[type].name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("schema %d of the schema registry is of type %s, not %s", id,
						streaming_clean_copy(found, MAX_QUOTED_NAME), types[type].name)));
}

/* The schema of an answer, with those that it refers to, if any. */
static char *
with_references(const StreamingStream *stream, Jsonb *json, char *schema, StreamingSchemaType type)
{
	References	references = {0};

	initStringInfo(&references.all);
	add_references(stream, json, type, &references);
	if (type == STREAMING_SCHEMA_PROTOBUF)
	{
		add_file(&references.all, "", schema);
		return psprintf(FILES_BEGIN "%s]}", references.all.data);
	}
	return references.paths == NIL ? schema :
		psprintf("{\"" STREAMING_AVRO_REFERENCES "\": [%s], \"" STREAMING_AVRO_SCHEMA "\": %s}",
				 references.all.data, schema);
}

/* Appends what json refers to, the innermost first, each once. */
static void
add_references(const StreamingStream *stream, Jsonb *json, StreamingSchemaType type,
			   References *references)
{
	JsonbValue	value;
	JsonbContainer *array;

	check_stack_depth();
	if (getKeyJsonValueFromContainer(&json->root, "references", strlen("references"), &value) == NULL ||
		value.type != jbvBinary || !JsonContainerIsArray((JsonbContainer *) value.val.binary.data))
		return;
	array = value.val.binary.data;
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		Jsonb	   *reference = JsonbValueToJsonb(getIthJsonbValueFromContainer(array, i));
		StringInfo	all = &references->all;
		StreamingHttpAnswer answer;
		Jsonb	   *answered;
		char	   *subject;
		char	   *name = "";
		char	   *path;
		const char *what;
		char	   *schema;
		int64		version;

		CHECK_FOR_INTERRUPTS();
		if (!JB_ROOT_IS_OBJECT(reference) || !string_of(reference, "subject", &subject) ||
			!number_of(reference, "version", &version))
			no_answer(stream, "what a schema refers to", "a reference has no subject or version");
		path = psprintf("/subjects/%s/versions/%lld", streaming_http_escape(subject), (long long) version);
		if (list_member(references->paths, makeString(path)))
			continue;
		if (list_length(references->paths) == MAX_REFERENCES)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("schema refers to more than %d others", MAX_REFERENCES)));
		references->paths = lappend(references->paths, makeString(path));
		what = streaming_clean_copy(path, MAX_QUOTED);
		ask(stream, path, NULL, what, &answer);
		references->length += answer.length;
		if (references->length > MAX_REFERRED)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("schema refers to others that are longer than %d bytes", MAX_REFERRED)));
		answered = parse_answer(stream, what, &answer);
		if (answer.status != 200 || !string_of(answered, "schema", &schema))
			no_answer(stream, what, quoted_answer(stream, &answer));
		add_references(stream, answered, type, references);
		(void) string_of(reference, "name", &name);
		if (type == STREAMING_SCHEMA_PROTOBUF)
			add_file(all, name, schema);
		else
			appendStringInfo(all, "%s%s", all->len > 0 ? ", " : "", schema);
	}
}

static void
add_file(StringInfo all, const char *name, const char *text)
{
	if (all->len > 0)
		appendStringInfoString(all, ", ");
	escape_json(all, name);
	appendStringInfoString(all, ", ");
	escape_json(all, text);
}

bool
streaming_registry_latest(const StreamingStream *stream, StreamingSchemaType *type, const char **schema)
{
	char	   *subject = streaming_registry_subject(stream);
	const char *what = psprintf("the newest schema of subject \"%s\"", subject);
	StreamingHttpAnswer answer;
	Jsonb	   *json;
	char	   *text;
	char	   *found = "AVRO";
	int64		code;

	ask(stream, psprintf("/subjects/%s/versions/latest", streaming_http_escape(subject)), NULL, what, &answer);
	json = parse_answer(stream, what, &answer);
	if (answer.status == 404 && number_of(json, "error_code", &code) &&
		(code == SUBJECT_NOT_FOUND || code == VERSION_NOT_FOUND))
		return false;
	if (answer.status != 200 || !string_of(json, "schema", &text))
		no_answer(stream, what, quoted_answer(stream, &answer));
	(void) string_of(json, "schemaType", &found);
	for (int i = 0; i < lengthof(types); i++)
	{
		if (strcmp(found, types[i].name) != 0)
			continue;
		*type = i;
		*schema = with_references(stream, json, text, *type);
		return true;
	}
	return false;
}

char *
streaming_registry_subject(const StreamingStream *stream)
{
	return psprintf("%s-%s", stream->topic, stream->is_key ? "key" : "value");
}

int32
streaming_registry_register(const StreamingStream *stream, StreamingSchemaType type, const char *schema)
{
	Known		known = {.subject = streaming_registry_subject(stream), .schema = unconstify(char *, schema)};
	const char *what = psprintf("the number of a schema for subject \"%s\"", known.subject);
	StreamingHttpAnswer answer;
	StringInfoData body;
	Jsonb	   *json;
	int64		id;

	if (find_known(stream, &known))
		return known.id;
	initStringInfo(&body);
	appendStringInfoChar(&body, '{');
	if (type != STREAMING_SCHEMA_AVRO)
		appendStringInfo(&body, "\"schemaType\": \"%s\", ", types[type].name);
	appendStringInfoString(&body, "\"schema\": ");
	escape_json(&body, schema);
	appendStringInfoChar(&body, '}');
	ask(stream, psprintf("/subjects/%s/versions", streaming_http_escape(known.subject)),
		pg_server_to_any(body.data, body.len, PG_UTF8), what, &answer);
	if (answer.status == 409 || answer.status == 422)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema registry does not take the schema of stream %s for subject \"%s\"",
						stream->name, known.subject),
				 errdetail("It says: %s", quoted_answer(stream, &answer)),
				 errhint("Change the columns, give the option \"%s%s\", or change the compatibility of the subject.",
						 stream->is_key ? "key_" : "", types[type].option)));
	json = parse_answer(stream, what, &answer);
	if (answer.status != 200 || !number_of(json, "id", &id) || id < PG_INT32_MIN || id > PG_INT32_MAX)
		no_answer(stream, what, quoted_answer(stream, &answer));
	known.id = (int32) id;
	remember(stream, &known);
	return known.id;
}

/* ---- What is known ---- */

static bool
find_known(const StreamingStream *stream, Known *known)
{
	const StreamingRegistry *registry = stream->registry;
	StreamingTable table;
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	(void) streaming_table_open(&table, &schemas, AccessShareLock, false);
	streaming_table_key(&table, &keys[0], COLUMN_SERVER, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(registry->server));
	streaming_table_key(&table, &keys[1], COLUMN_ROLE, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(registry->role));
	streaming_table_key(&table, &keys[2], COLUMN_SCHEMA_ID, BTEqualStrategyNumber, F_INT4EQ,
						Int32GetDatum(known->id));
	scan = streaming_table_scan(&table, 0, NULL, known->schema ? 2 : 3, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];
		char	   *schema;

		streaming_table_read(&table, tuple, values, isnull);
		if (strcmp(TextDatumGetCString(values[COLUMN_REGISTRY - 1]), registry->url) != 0 ||
			strcmp(TextDatumGetCString(values[COLUMN_SUBJECT - 1]), known->subject) != 0)
			continue;
		schema = TextDatumGetCString(values[COLUMN_SCHEMA - 1]);
		found = known->schema == NULL || strcmp(known->schema, schema) == 0;
		if (!found)
			continue;
		known->schema = schema;
		known->id = DatumGetInt32(values[COLUMN_SCHEMA_ID - 1]);
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);
	return found;
}

/* Two may do so at a time: then there are two rows, which say the same. */
static void
remember(const StreamingStream *stream, const Known *known)
{
	StreamingTable table;
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};

	if (XactReadOnly || RecoveryInProgress() || IsInParallelMode())
		return;
	(void) streaming_table_open(&table, &schemas, RowExclusiveLock, false);
	values[COLUMN_SERVER - 1] = ObjectIdGetDatum(stream->registry->server);
	values[COLUMN_ROLE - 1] = ObjectIdGetDatum(stream->registry->role);
	values[COLUMN_REGISTRY - 1] = CStringGetTextDatum(stream->registry->url);
	values[COLUMN_SCHEMA_ID - 1] = Int32GetDatum(known->id);
	values[COLUMN_SUBJECT - 1] = CStringGetTextDatum(known->subject);
	values[COLUMN_SCHEMA - 1] = CStringGetTextDatum(known->schema);
	values[COLUMN_FETCHED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	streaming_table_write(&table, NULL, values, isnull);
	streaming_table_close(&table, NoLock);
	CommandCounterIncrement();
}

/* ---- Questions ---- */

/* Returns whatever the answer is; an error if there is none. */
static void
ask(const StreamingStream *stream, const char *path, const char *body, const char *what,
	StreamingHttpAnswer *answer)
{
	const StreamingRegistry *registry = stream->registry;
	StreamingHttpRequest request = {
		.url = psprintf("%s%s", registry->url, path),
		.type = CONTENT_TYPE,
		.body = body,
		.username = registry->username,
		.password = registry->password,
		.ca_pem = registry->ca_pem,
		.certificate_pem = registry->certificate_pem,
		.key_pem = registry->key_pem
	};
	char	   *trouble;

	if (!streaming_http_ask(&request, answer, &trouble))
		no_answer(stream, what, trouble);
}

/* The JSON object that it is; whoever answers anything else is no registry. */
static Jsonb *
parse_answer(const StreamingStream *stream, const char *what, const StreamingHttpAnswer *answer)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile json = NULL;

	if (answer->status != 200 && answer->status != 404)
		no_answer(stream, what, quoted_answer(stream, answer));
	PG_TRY();
	{
		char	   *text = pg_any_to_server(answer->body, answer->length, PG_UTF8);

		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		/*
		 * No JSON, or JSON that is nested too deeply or too large.  Another error follows at
		 * once, which undoes what this one has left.
		 */
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	if (json == NULL || !JB_ROOT_IS_OBJECT(json))
		no_answer(stream, what, quoted_answer(stream, answer));
	return json;
}

static bool
string_of(Jsonb *json, const char *name, char **string)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&json->root, name, strlen(name), &value) == NULL ||
		value.type != jbvString)
		return false;
	*string = pnstrdup(value.val.string.val, value.val.string.len);
	return true;
}

static bool
number_of(Jsonb *json, const char *name, int64 *number)
{
	JsonbValue	value;
	char	   *text;
	char	   *end;

	if (getKeyJsonValueFromContainer(&json->root, name, strlen(name), &value) == NULL ||
		value.type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
	*number = strlen(text) < 18 ? strtoll(text, &end, 10) : 0;
	return strlen(text) < 18 && *end == '\0';
}

/*
 * One line of what the registry, or who is in its place, has said.  Some repeat what they
 * were asked, with its headers.
 */
static char *
quoted_answer(const StreamingStream *stream, const StreamingHttpAnswer *answer)
{
	size_t		length = Min(answer->length, MAX_QUOTED);
	char	   *text;

	if (is_secret_in(stream->registry, answer->body, answer->length))
		return psprintf("status %ld, and an answer that repeats the password", answer->status);
	text = pnstrdup(answer->body, length);
	for (char *c = text; *c; c++)
		if ((unsigned char) *c < ' ' || (unsigned char) *c >= 0x7f)
			*c = ' ';
	return psprintf("status %ld: %s", answer->status, text);
}

/* Of the answer as a whole, since a part of the password may be where it is cut. */
static bool
is_secret_in(const StreamingRegistry *registry, const char *text, size_t length)
{
	const char *password = registry->password;
	char	   *pair;
	char	   *encoded;
	int			n;

	if (password == NULL || strlen(password) < MIN_SECRET)
		return false;
	pair = psprintf("%s:%s", registry->username ? registry->username : "", password);
	n = pg_b64_enc_len((int) strlen(pair));
	encoded = palloc0(n + 1);
	n = pg_b64_encode((const void *) pair, (int) strlen(pair), encoded, n);
	return memmem(text, length, password, strlen(password)) != NULL ||
		(n > 0 && memmem(text, length, encoded, n) != NULL);
}

static void
no_answer(const StreamingStream *stream, const char *what, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("could not get %s from schema registry \"%s\": %s",
					what, stream->registry->url, why),
			 errhint("Check the option \"schema_registry\" of the server, and \"schema_registry_...\" of the server and of the user mapping.")));
}
