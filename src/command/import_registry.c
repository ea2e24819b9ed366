/*
 * import_registry.c
 *		Columns of a topic, as the newest schemas of its subjects in a registry say them.
 *
 *		TOPIC-value		Avro, Protobuf: a column for each field of its record, or of its first message
 *		TOPIC-key		likewise for what the value does not have; in Avro also what is no record
 */
#include "postgres.h"

#include "streaming.h"

#include "utils/builtins.h"

#include "base/attempt.h"
#include "command/import_schema.h"
#include "format/avro_schema.h"
#include "format/protobuf_schema.h"
#include "format/protobuf_value.h"
#include "format/schema_registry.h"

/* A schema that is being read, in a streaming_attempt. */
typedef struct Reading
{
	StreamingSample *sample;
	bool		is_key;
	StreamingSchemaType type;
	const char *schema;
} Reading;

static const char *const formats[] = {
	[STREAMING_SCHEMA_AVRO] = "avro",
	[STREAMING_SCHEMA_PROTOBUF] = "protobuf"
};

static void read_schema(void *arg);
static void read_avro(const Reading *reading);
static void read_protobuf(const Reading *reading);
static void add_field(const Reading *reading, const char *name, const char *type);

bool
streaming_import_registry(StreamingStream *stream, bool is_key, StreamingSample *sample, StringInfo options)
{
	Reading		reading = {.sample = sample, .is_key = is_key};
	StreamingStream of = *stream;
	ErrorData  *error;

	of.is_key = is_key;
	if (stream->registry == NULL || !streaming_registry_latest(&of, &reading.type, &reading.schema))
		return false;
	error = streaming_attempt(read_schema, &reading, CurrentMemoryContext);
	if (error && (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION ||
				  ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_FEATURE_NOT_SUPPORTED ||
				  ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_PROGRAM_LIMIT_EXCEEDED))
	{
		ereport(WARNING,
				(errmsg("schema of subject \"%s\" cannot be read: %s", streaming_registry_subject(&of), error->message),
				 error->detail ? errdetail("%s", error->detail) : 0));
		return true;
	}
	if (error)
		ReThrowError(error);
	appendStringInfo(options, ", %s %s", is_key ? "key_format" : "format",
					 quote_literal_cstr(formats[reading.type]));
	return true;
}

static void
read_schema(void *arg)
{
	const Reading *reading = arg;

	if (reading->type == STREAMING_SCHEMA_AVRO)
		read_avro(reading);
	else
		read_protobuf(reading);
}

/* Of a union of records their fields. */
static void
read_avro(const Reading *reading)
{
	if (reading->is_key)
	{
		const StreamingAvroType *key = streaming_avro_key_schema(reading->schema)->fields[0].type;

		if (key->kind == STREAMING_AVRO_RECORD)
			for (int i = 0; i < key->n; i++)
				add_field(reading, key->fields[i].name, streaming_avro_sql_type(key->fields[i].type));
		else
			streaming_sample_key(reading->sample, streaming_avro_sql_type(key));
	}
	else
		streaming_sample_avro(reading->sample, streaming_avro_schema(reading->schema));
}

static void
read_protobuf(const Reading *reading)
{
	int32		path = 0;
	StreamingProtobufSchema *schema = streaming_protobuf_registered(reading->schema);
	StreamingProtobufMessage *message = schema ? streaming_protobuf_at(schema, &path, 1) : NULL;

	for (int i = 0; message && i < message->n; i++)
		add_field(reading, message->fields[i].name, streaming_protobuf_sql_type(&message->fields[i]));
}

static void
add_field(const Reading *reading, const char *name, const char *type)
{
	if (reading->is_key)
		streaming_sample_key_field(reading->sample, name, type);
	else
		streaming_sample_field(reading->sample, name, type);
}
