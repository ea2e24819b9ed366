/*
 * protobuf_schema.c
 *		Protobuf schemas of streams: what an option or a registry says.
 *
 * The readers of schemas need no server (protobuf.h); what they ask for is here.
 */
#include "postgres.h"

#include "streaming.h"

#include "base/clean_text.h"
#include "format/protobuf_schema.h"
#include "format/schema_registry.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#if __has_include("varatt.h")	/* split from postgres.h in 16 */
#include "varatt.h"
#endif

/* Bytes that are shown of what a schema says. */
#define MAX_DETAIL		300

static bytea *decode_option(const char *option);
static void hint_option(void *arg);
static StreamingProtobufMessage *only_message(const StreamingProtobufSchema *schema);

StreamingProtobufSchema *
streaming_protobuf_schema(const char *option)
{
	StreamingProtobufSchema *schema = palloc0(sizeof(StreamingProtobufSchema));

	if (streaming_protobuf_is_text(option))
		streaming_protobuf_parse(schema, "", option);
	else
	{
		bytea	   *bytes = decode_option(option);

		streaming_protobuf_describe(schema, (uint8_t *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
		if (schema->files == NULL)
			streaming_protobuf_refuse(false, "It has no file.");
	}
	streaming_protobuf_link(schema);
	return schema;
}

static bytea *
decode_option(const char *option)
{
	bool		hexadecimal = strncmp(option, "\\x", 2) == 0;
	ErrorContextCallback context = {.callback = hint_option, .previous = error_context_stack};
	bytea	   *bytes;

	if (strlen(option) > 2 * STREAMING_PROTOBUF_MAX_SCHEMA + 2)
		streaming_protobuf_refuse(true, "It is longer than %d bytes.", STREAMING_PROTOBUF_MAX_SCHEMA);
	error_context_stack = &context;
	bytes = DatumGetByteaPP(DirectFunctionCall2(binary_decode,
												CStringGetTextDatum(option + (hexadecimal ? 2 : 0)),
												CStringGetTextDatum(hexadecimal ? "hex" : "base64")));
	error_context_stack = context.previous;
	return bytes;
}

/* Error context: of what is no base64. */
static void
hint_option(void *arg)
{
	errhint("The option \"protobuf_schema\" is the text of a .proto file, or a FileDescriptorSet in base64 or hexadecimal.");
}

/* Every statement of a .proto file has such, and base64 none of them. */
bool
streaming_protobuf_is_text(const char *option)
{
	return strpbrk(option, ";{}") != NULL;
}

StreamingProtobufSchema *
streaming_protobuf_of_files(const char **files, int n)
{
	StreamingProtobufSchema *schema = palloc0(sizeof(StreamingProtobufSchema));

	for (int i = 0; i + 1 < n; i += 2)
		streaming_protobuf_parse(schema, files[i], files[i + 1]);
	if (schema->files == NULL)
		streaming_protobuf_refuse(false, "It has no file.");
	streaming_protobuf_link(schema);
	return schema;
}

StreamingProtobufSchema *
streaming_protobuf_registered(const char *json)
{
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	JsonbValue	files;
	JsonbContainer *array;
	const char **texts;
	int			n;

	if (getKeyJsonValueFromContainer(&jsonb->root, STREAMING_PROTOBUF_FILES, strlen(STREAMING_PROTOBUF_FILES), &files) == NULL ||
		files.type != jbvBinary || !JsonContainerIsArray((JsonbContainer *) files.val.binary.data))
		return NULL;
	array = files.val.binary.data;
	n = JsonContainerSize(array);
	texts = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *text = getIthJsonbValueFromContainer(array, i);

		texts[i] = text->type == jbvString ? pnstrdup(text->val.string.val, text->val.string.len) : "";
	}
	return streaming_protobuf_of_files(texts, n);
}

StreamingProtobufMessage *
streaming_protobuf_root(const StreamingProtobufSchema *schema, const char *name)
{
	StreamingProtobufMessage *message;

	if (name == NULL)
		return only_message(schema);
	message = streaming_protobuf_find(schema, name[0] == '.' ? name + 1 : name);
	if (message == NULL)
		message = streaming_protobuf_find(schema, psprintf("%s.%s", schema->main->package, name));
	if (message == NULL || message->map_entry)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("Protobuf schema has no message \"%s\"", name),
				 errhint("Set the option \"protobuf_message\" to the full name of the message that records are.")));
	return message;
}

static StreamingProtobufMessage *
only_message(const StreamingProtobufSchema *schema)
{
	StreamingProtobufMessage *found = NULL;

	for (StreamingProtobufMessage *message = schema->messages; message; message = message->next)
	{
		if (message->file != schema->main || message->parent)
			continue;
		if (found)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("Protobuf schema has several messages, such as \"%s\" and \"%s\"",
							message->name, found->name),
					 errhint("Set the option \"protobuf_message\" to the full name of the one that records are.")));
		found = message;
	}
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("Protobuf schema has no message")));
	return found;
}

StreamingProtobufMessage *
streaming_protobuf_at(const StreamingProtobufSchema *schema, const int32 *path, int npath)
{
	StreamingProtobufMessage *at = NULL;

	for (int i = 0; i < npath; i++)
	{
		StreamingProtobufMessage *message = schema->messages;

		while (message && (message->file != schema->main || message->parent != at || message->index != path[i]))
			message = message->next;
		if (message == NULL)
			return NULL;
		at = message;
	}
	return at && !at->map_entry ? at : NULL;
}

/* ---- What protobuf.h asks for ---- */

void *
streaming_protobuf_allocate(size_t size)
{
	return palloc0(size);
}

void *
streaming_protobuf_resize(void *old, size_t size)
{
	return repalloc_huge(old, size);
}

void
streaming_protobuf_refuse(bool limit, const char *format,...)
{
	char		detail[2048];
	va_list		args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(limit ? ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid Protobuf schema"),
			 errdetail_internal("%s", streaming_clean_copy(detail, MAX_DETAIL))));
}

void
streaming_protobuf_breathe(void)
{
	CHECK_FOR_INTERRUPTS();
}
