/*
 * format_options.c
 *		Options of a stream that go with its format.
 */
#include "postgres.h"

#include "commands/copy.h"
#include "commands/defrem.h"

#include "streaming.h"
#include "catalog/stream.h"
#include "command/command.h"
#include "format/columnar.h"
#include "format/protobuf_schema.h"

/* What is COPY's is checked by COPY. */
static void
validate_copy_options(List *options)
{
	static const char *const names[] = {"header", "delimiter", "quote", "escape", "null", "encoding"};
	DefElem    *format = streaming_find_option(options, "format");
	const char *format_name = format ? defGetString(format) : "json";
	bool		is_copy = strcmp(format_name, "csv") == 0 || strcmp(format_name, "text") == 0;
	List	   *copy_options = NIL;

	for (int i = 0; i < lengthof(names); i++)
	{
		DefElem    *def = streaming_find_option(options, names[i]);

		if (def && !is_copy)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" is not valid for format \"%s\"", names[i], format_name),
					 errhint("It is an option of the formats \"csv\" and \"text\".")));
		if (def)
			copy_options = lappend(copy_options, def);
	}
	if (is_copy)
		ProcessCopyOptions(NULL, NULL, true, lappend(copy_options, format));
}

static void
validate_avro_options(List *options, StreamingSourceKind kind)
{
	static const char *const names[] = {"avro_schema", "avro_codec"};
	DefElem    *format = streaming_find_option(options, "format");
	const char *format_name = format ? defGetString(format) : "json";
	bool		is_avro = strcmp(format_name, "avro") == 0;
	StreamingArrowKind columnar;
	bool		is_columnar = streaming_format_is_columnar(format_name, &columnar);

	for (int i = 0; i < lengthof(names); i++)
		if (!is_avro && streaming_find_option(options, names[i]))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" is not valid for format \"%s\"", names[i], format_name),
					 errhint("It is an option of the format \"avro\".")));
	if ((is_avro || is_columnar) && kind == STREAMING_SOURCE_DIRECTORY && streaming_find_option(options, "compression"))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is not valid for format \"%s\"", "compression", format_name),
				 is_avro ? errhint("Such files say themselves how they are compressed; \"avro_codec\" is how they are written.") :
				 errhint("Such files say themselves how they are compressed.")));
	if (is_columnar && kind != STREAMING_SOURCE_DIRECTORY)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("format \"%s\" is one of files", format_name),
				 errhint("Streams of a server with the foreign data wrapper directory have it.")));
}

static void
validate_protobuf_options(List *options, StreamingSourceKind kind)
{
	static const char *const names[] = {"protobuf_schema", "protobuf_message"};
	DefElem    *format = streaming_find_option(options, "format");
	const char *format_name = format ? defGetString(format) : "json";
	bool		is_protobuf = strcmp(format_name, "protobuf") == 0;
	DefElem    *schema = streaming_find_option(options, "protobuf_schema");
	DefElem    *message = streaming_find_option(options, "protobuf_message");

	for (int i = 0; i < lengthof(names); i++)
		if (!is_protobuf && streaming_find_option(options, names[i]))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" is not valid for format \"%s\"", names[i], format_name),
					 errhint("It is an option of the format \"protobuf\".")));
	if (is_protobuf && kind == STREAMING_SOURCE_DIRECTORY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("format \"%s\" is not supported for files", "protobuf"),
				 errdetail("Nothing in a file would say where a message ends.")));
	if (message && schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"%s\" needs the option \"%s\"", "protobuf_message", "protobuf_schema"),
				 errdetail("Messages of a schema registry say themselves which they are.")));
	if (schema)
		(void) streaming_protobuf_root(streaming_protobuf_schema(defGetString(schema)),
									   message ? defGetString(message) : NULL);
}

static void
validate_key_options(List *options)
{
	static const struct
	{
		const char *name;
		const char *format;
	}			names[] = {
		{"key_avro_schema", "avro"},
		{"key_protobuf_schema", "protobuf"},
		{"key_protobuf_message", "protobuf"},
	};
	DefElem    *format = streaming_find_option(options, "key_format");
	const char *format_name = format ? defGetString(format) : "text";
	DefElem    *schema = streaming_find_option(options, "key_protobuf_schema");
	DefElem    *message = streaming_find_option(options, "key_protobuf_message");

	for (int i = 0; i < lengthof(names); i++)
		if (streaming_find_option(options, names[i].name) && strcmp(format_name, names[i].format) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" is not valid for keys of format \"%s\"", names[i].name, format_name),
					 errhint("Set the option \"%s\" to \"%s\".", "key_format", names[i].format)));
	if (message && schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"%s\" needs the option \"%s\"", "key_protobuf_message", "key_protobuf_schema"),
				 errdetail("Messages of a schema registry say themselves which they are.")));
	if (schema)
		(void) streaming_protobuf_root(streaming_protobuf_schema(defGetString(schema)),
									   message ? defGetString(message) : NULL);
}

void
streaming_validate_format(List *options, StreamingSourceKind kind)
{
	validate_copy_options(options);
	validate_avro_options(options, kind);
	validate_protobuf_options(options, kind);
	validate_key_options(options);
}
