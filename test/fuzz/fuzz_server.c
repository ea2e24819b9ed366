/*
 * fuzz_server.c
 *		Whole decoders, in a server: from the bytes of a record, a file or a registry's answer
 *		to values.
 *
 * This becomes a part of the module streaming, in a server of one session, and
 * streaming_fuzz(target, stream, arguments of libFuzzer) is a function of it.  Targets:
 *
 *		record	bytes of a message, of a stream that has no keys
 *		keyed	a byte with the length of the key (255: none), the key, the message
 *		file	bytes of a file, which is split into records; of Avro taken apart
 *		placed	ditto, behind a byte with the length of the file's path, and the path
 *		schema	schemas, the newest first, each up to a line "--", and a message of the first:
 *				the registry says the former; each may begin with the names of others, as
 *				"@name" and a blank
 *		answer	ditto, the registry's answers as they are: "!" before one makes it a 404
 *		import	answers about the newest schema of a topic's values and keys
 *
 * Which records are good, and why others are not, depends on nothing but the record: not on
 * who reads which columns.  Values can be shown, and texts are valid.  No error is of class XX.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include <unistd.h>

#include "base/attempt.h"
#include "command/import_schema.h"
#include "format/avro_file.h"
#include "format/format.h"
#include "format/schema_registry.h"
#include "http.h"

#define MAX_RECORDS		64
#define PARTS_END		"\n--\n"

/* Bytes that an input may take in the server's memory. */
#define MAX_MEMORY		(512 * 1024 * 1024)

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*callback) (const uint8_t *data, size_t size));
extern bool __real_streaming_http_ask(const StreamingHttpRequest *request,
									  StreamingHttpAnswer *answer, char **trouble);
extern bool __wrap_streaming_http_ask(const StreamingHttpRequest *request,
									  StreamingHttpAnswer *answer, char **trouble);

typedef struct Input
{
	const char *data;
	size_t		length;
} Input;

static char *target;
static Oid	relid;
static Input input;				/* what is left of it */
static int	asked;
static MemoryContext work;

/* For inputs that bring no schemas: for who reads all columns, and for who reads none. */
static StreamingStream *kept_stream;
static StreamingDecoder *kept[2];

static int	one_input(const uint8_t *data, size_t size);
static void run_input(void *arg);
static int	take_avro(StreamingRecord *records);
static int	take_lines(StreamingRecord *records);
static void decode(StreamingRecord *records, int n);
static void check_value(Form_pg_attribute att, Datum value);
static void check_error(int sqlerrcode, const char *message);
static void import(StreamingStream *stream);
static bool has_prefix(const char *name);
static Input take_prefix(void);
static Input take_part(void);
static void broken(const char *what, const char *detail);

PG_FUNCTION_INFO_V1(streaming_fuzz);

Datum
streaming_fuzz(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(2);
	Datum	   *elements;
	int			n;
	int			argc = 1;
	char	  **argv;

	target = text_to_cstring(PG_GETARG_TEXT_PP(0));
	relid = PG_GETARG_OID(1);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	argv = palloc0(sizeof(char *) * (n + 2));
	argv[0] = "streaming_fuzz";
	for (int i = 0; i < n; i++)
		argv[argc++] = TextDatumGetCString(elements[i]);
	kept_stream = streaming_stream_open(relid, GetUserId());
	if (kept_stream->registry == NULL)
	{
		kept[0] = streaming_decoder_open(kept_stream, NULL);
		kept[1] = streaming_decoder_open(kept_stream, bms_make_singleton(0));
	}
	work = AllocSetContextCreate(CurrentMemoryContext, "fuzz", ALLOCSET_DEFAULT_SIZES);

	/* What the registry says is not kept. */
	XactReadOnly = true;
	/* No server is there that would have to be shut down. */
	_exit(LLVMFuzzerRunDriver(&argc, &argv, one_input));
}

static int
one_input(const uint8_t *data, size_t size)
{
	MemoryContext old = MemoryContextSwitchTo(work);
	ErrorData  *error;

	input.data = memcpy(palloc(size + 1), data, size);
	input.length = size;
	asked = 0;
	error = streaming_attempt(run_input, NULL, work);
	if (error)
		check_error(error->sqlerrcode, error->message);
	if (MemoryContextMemAllocated(work, true) > MAX_MEMORY)
		broken("so much memory", psprintf("%zu", MemoryContextMemAllocated(work, true)));
	MemoryContextSwitchTo(old);
	MemoryContextReset(work);
	return 0;
}

static void
run_input(void *arg)
{
	StreamingStream *stream = kept_stream;
	Input		prefix = {0};
	StreamingRecord record = {.timestamp_ms = -1};

	if (strcmp(target, "import") == 0)
	{
		import(stream);
		return;
	}
	if (has_prefix(target))
		prefix = take_prefix();
	if (stream->kind == STREAMING_SOURCE_DIRECTORY)
	{
		StreamingRecord records[MAX_RECORDS];
		int			n = strcmp(stream->format, "avro") == 0 ? take_avro(records) : take_lines(records);
		char	   *path = psprintf("%s/%s", stream->base,
									pnstrdup(prefix.data ? prefix.data : "x", prefix.data ? prefix.length : 1));

		/* Of others a directory's source says that it passes them over. */
		if (!pg_verifymbstr(path, (int) strlen(path), true))
			return;
		for (int i = 0; i < n; i++)
			records[i].path = path;
		decode(records, n);
		return;
	}
	if (strcmp(target, "schema") == 0 || strcmp(target, "answer") == 0)
	{
		/* The registry's come first, the message last: it is found from the end. */
		size_t		at = input.length;

		while (at > 0 && !(at + strlen(PARTS_END) <= input.length &&
						   memcmp(input.data + at, PARTS_END, strlen(PARTS_END)) == 0))
			at--;
		if (at == 0)
			return;
		record.length = input.length - at - strlen(PARTS_END) + STREAMING_REGISTRY_HEADER;
		record.payload = palloc0(record.length);
		memcpy((char *) record.payload + STREAMING_REGISTRY_HEADER, input.data + at + strlen(PARTS_END),
			   record.length - STREAMING_REGISTRY_HEADER);
		input.length = at;
	}
	else
	{
		/* none of a message with a key: that deletes */
		if (input.length > 0 || prefix.data == NULL)
			record.payload = memcpy(palloc(input.length + 1), input.data, input.length);
		record.length = input.length;
	}
	record.key = prefix.data;
	record.key_length = prefix.length;
	decode(&record, 1);
}

/* As source/directory_reader.c does. */
static int
take_lines(StreamingRecord *records)
{
	StreamingDecoder *decoder = kept[0];
	const StreamingFormatRoutine *format = decoder->routine;
	int			n = 0;

	if (format->begin_file)
		format->begin_file(decoder);
	if (streaming_begins_with_mark(input.data, input.length))
	{
		input.data += STREAMING_MARK_LENGTH;
		input.length -= STREAMING_MARK_LENGTH;
	}
	for (int64 offset = 0; input.length > 0 && n < MAX_RECORDS; offset++)
	{
		size_t		scanned = 0;
		size_t		length = 0;
		size_t		taken = 0;

		/* It comes in two pieces. */
		taken = format->split(decoder, input.data, input.length / 2, false, &scanned, &length);
		if (taken == 0)
			taken = format->split(decoder, input.data, input.length, true, &scanned, &length);
		if (taken == 0 || taken > input.length || length > taken)
			broken("a record has an end", NULL);
		if (length > 0 || format->empty_records)
			records[n++] = (StreamingRecord)
			{
				.offset = offset, .payload = input.data, .length = length, .timestamp_ms = -1
			};
		input.data += taken;
		input.length -= taken;
	}
	return n;
}

static int
take_avro(StreamingRecord *records)
{
	StreamingAvroFile *file = streaming_avro_file_open();
	int			n = 0;

	streaming_avro_file_begin(file);
	while (n < MAX_RECORDS)
	{
		const char *data;
		const char *why;
		size_t		length;
		size_t		some = Min(input.length, 100);
		bool		is_schema;
		StreamingAvroPiece piece = streaming_avro_file_next(file, &data, &length, &is_schema, &why);

		if (piece == STREAMING_AVRO_PIECE)
		{
			uint32		said = (uint32) length;
			char	   *frame = palloc(STREAMING_AVRO_FRAME + length);

			frame[0] = is_schema ? STREAMING_AVRO_FRAME_SCHEMA : STREAMING_AVRO_FRAME_RECORD;
			memcpy(frame + 1, &said, sizeof(said));
			memcpy(frame + STREAMING_AVRO_FRAME, data, length);
			records[n] = (StreamingRecord)
			{
				.offset = n, .payload = frame, .length = STREAMING_AVRO_FRAME + length, .timestamp_ms = -1
			};
			n++;
			continue;
		}
		if (piece == STREAMING_AVRO_PIECE_DAMAGE || some == 0)
			break;
		memcpy(streaming_avro_file_room(file, some), input.data, some);
		streaming_avro_file_add(file, some);
		input.data += some;
		input.length -= some;
	}
	streaming_avro_file_close(file);
	return n;
}

/* Once for who reads all columns, and once for who reads none. */
static void
decode(StreamingRecord *records, int n)
{
	StreamingStream *stream = kept_stream;
	StreamingDecoder *decoders[2] = {kept[0], kept[1]};
	int			natts = stream->tupdesc->natts;
	Datum	   *values = palloc0(sizeof(Datum) * natts * MAX_RECORDS);
	bool	   *isnull = palloc0(sizeof(bool) * natts * MAX_RECORDS);
	bool		result[2][MAX_RECORDS];
	StreamingReject *rejects[2];
	int			nrejects[2];
	Input		rest = input;

	if (decoders[0] == NULL)
	{
		decoders[0] = streaming_decoder_open(stream, NULL);
		decoders[1] = streaming_decoder_open(stream, bms_make_singleton(0));
	}
	streaming_decode(decoders[0], records, n, values, isnull, result[0], &rejects[0], &nrejects[0]);
	for (int i = 0; i < n; i++)
		for (int k = 0; result[0][i] && k < natts; k++)
			if (!isnull[i * natts + k])
				check_value(TupleDescAttr(stream->tupdesc, k), values[i * natts + k]);
	for (int i = 0; i < nrejects[0]; i++)
		check_error(rejects[0][i].sqlerrcode, rejects[0][i].message);

	input = rest;
	asked = 0;
	streaming_decode(decoders[1], records, n, values, isnull, result[1], &rejects[1], &nrejects[1]);
	if (stream->on_error == STREAMING_ON_ERROR_NULL)
		return;
	if (memcmp(result[0], result[1], sizeof(bool) * n) != 0 || nrejects[0] != nrejects[1])
		broken("records are as good for who reads nothing", nrejects[0] > nrejects[1] ?
			   rejects[0][0].message : nrejects[1] > 0 ? rejects[1][0].message : NULL);
	for (int i = 0; i < nrejects[0]; i++)
		if (strcmp(rejects[0][i].message, rejects[1][i].message) != 0)
			broken(rejects[0][i].message, rejects[1][i].message);
}

static void
check_value(Form_pg_attribute att, Datum value)
{
	Oid			output;
	bool		is_varlena;
	char	   *shown;

	if (att->attisdropped)
		return;
	getTypeOutputInfo(att->atttypid, &output, &is_varlena);
	shown = OidOutputFunctionCall(output, value);
	if (!pg_verifymbstr(shown, (int) strlen(shown), true))
		broken("a value is text", NameStr(att->attname));
	if (att->atttypid == TEXTOID &&
		strlen(shown) != VARSIZE_ANY_EXHDR(DatumGetTextPP(value)))
		broken("text has no zero in it", NameStr(att->attname));
}

/* A size that is none is a data error of the server's, too; see format/decoder.c. */
static void
check_error(int sqlerrcode, const char *message)
{
	if (ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_INTERNAL_ERROR &&
		strncmp(message, "invalid memory alloc request size", 33) != 0)
		broken("no error is of class XX", message);
	if (message == NULL || message[0] == '\0')
		broken("an error has a message", NULL);
}

/* What is made of answers is one command, which creates that table, of that server. */
static void
import(StreamingStream *stream)
{
	ForeignServer *server = GetForeignServer(stream->registry->server);
	StreamingSample *sample = streaming_sample_begin();
	StringInfoData options;
	char	   *command;
	List	   *parsed;
	CreateForeignTableStmt *create;

	initStringInfo(&options);
	appendStringInfoString(&options, "topic 't'");
	(void) streaming_import_registry(stream, false, sample, &options);
	(void) streaming_import_registry(stream, true, sample, &options);
	command = streaming_import_command("t", sample, server, options.data);
	if (command == NULL)
		return;
	parsed = raw_parser(command, RAW_PARSE_DEFAULT);
	if (list_length(parsed) != 1 || !IsA(linitial_node(RawStmt, parsed)->stmt, CreateForeignTableStmt))
		broken("one foreign table is made", command);
	create = (CreateForeignTableStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (strcmp(create->servername, server->servername) != 0 || strcmp(create->base.relation->relname, "t") != 0 ||
		create->base.constraints != NIL || list_length(create->options) > 3)
		broken("it is as it was meant", command);
}

/* ---- The input ---- */

static bool
has_prefix(const char *name)
{
	return strcmp(name, "keyed") == 0 || strcmp(name, "placed") == 0;
}

static Input
take_prefix(void)
{
	Input		prefix = {0};
	uint8		length;

	if (input.length == 0)
		return prefix;
	length = (uint8) input.data[0];
	input.data++;
	input.length--;
	if (length == 255)
		return prefix;
	prefix.length = Min(length, input.length);
	prefix.data = memcpy(palloc(prefix.length + 1), input.data, prefix.length);
	input.data += prefix.length;
	input.length -= prefix.length;
	return prefix;
}

/* What stands before the next line "--". */
static Input
take_part(void)
{
	Input		part = input;

	for (part.length = 0; part.length < input.length; part.length++)
		if (part.length + strlen(PARTS_END) <= input.length &&
			memcmp(part.data + part.length, PARTS_END, strlen(PARTS_END)) == 0)
		{
			input.data += part.length + strlen(PARTS_END);
			input.length -= part.length + strlen(PARTS_END);
			return part;
		}
	input.data += input.length;
	input.length = 0;
	return part;
}

/* In the place of the one in http.c. */
bool
__wrap_streaming_http_ask(const StreamingHttpRequest *request, StreamingHttpAnswer *answer, char **trouble)
{
	Input		part = take_part();
	StringInfoData said;
	char	   *text;
	int			references = 0;

	if (++asked > 1000)
		broken("a registry is asked so often", request->url);
	answer->status = 200;
	if (strcmp(target, "schema") != 0)
	{
		if (part.length > 0 && part.data[0] == '!')
		{
			answer->status = 404;
			part.data++;
			part.length--;
		}
		answer->body = palloc0(part.length + 1);
		memcpy(answer->body, part.data, part.length);
		answer->length = part.length;
		return true;
	}

	text = pnstrdup(part.data, part.length);
	initStringInfo(&said);
	appendStringInfo(&said, "{\"schemaType\": \"%s\", \"references\": [",
					 strstr(request->url, "proto") ? "PROTOBUF" : "AVRO");
	while (text[0] == '@')
	{
		char	   *name = text + 1;

		text = name + strcspn(name, " ");
		if (*text)
			*text++ = '\0';
		appendStringInfoString(&said, references++ ? ", {\"name\": " : "{\"name\": ");
		escape_json(&said, name);
		appendStringInfoString(&said, ", \"subject\": ");
		escape_json(&said, name);
		appendStringInfoString(&said, ", \"version\": 1}");
	}
	appendStringInfoString(&said, "], \"schema\": ");
	escape_json(&said, text);
	appendStringInfoChar(&said, '}');
	answer->body = said.data;
	answer->length = said.len;
	return true;
}

/* libFuzzer keeps the input. */
static void
broken(const char *what, const char *detail)
{
	fprintf(stderr, "not so: %s (%s)\n", what, detail ? detail : "");
	abort();
}
