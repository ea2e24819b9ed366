/*
 * protobuf_parse.c
 *		The text of .proto files, of proto2 and proto3.
 *
 * What says how values are read is taken: messages, fields, oneofs, maps, groups and
 * enums. All else (options, reserved names, extensions, services) is stepped over; an
 * extension is an unknown field to the reader.
 *
 * libprotobuf has a parser, too. It ends the process when it finds itself in doubt, two
 * of its versions in one process end it at once, and it is C++ with exceptions; so it
 * has no place in a database server.
 *
 * Needs no server.
 */
#include "format/protobuf.h"

#include <stdlib.h>
#include <string.h>

/* Messages inside of each other; protoc's own limit is 32. */
#define MAX_NESTING		50

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_NUMBER,
	TOKEN_STRING,				/* with its quotes */
	TOKEN_SYMBOL
} TokenKind;

typedef struct Parser
{
	StreamingProtobufSchema *schema;
	StreamingProtobufFile *file;
	const char *p;				/* behind the token */
	int			line;
	TokenKind	kind;
	const char *token;
	size_t		length;
	int			depth;
} Parser;

static const struct
{
	const char *name;
	StreamingProtobufKind kind;
}			scalars[] = {
	{"double", STREAMING_PROTOBUF_DOUBLE},
	{"float", STREAMING_PROTOBUF_FLOAT},
	{"int64", STREAMING_PROTOBUF_INT64},
	{"uint64", STREAMING_PROTOBUF_UINT64},
	{"int32", STREAMING_PROTOBUF_INT32},
	{"fixed64", STREAMING_PROTOBUF_FIXED64},
	{"fixed32", STREAMING_PROTOBUF_FIXED32},
	{"bool", STREAMING_PROTOBUF_BOOL},
	{"string", STREAMING_PROTOBUF_STRING},
	{"bytes", STREAMING_PROTOBUF_BYTES},
	{"uint32", STREAMING_PROTOBUF_UINT32},
	{"sfixed32", STREAMING_PROTOBUF_SFIXED32},
	{"sfixed64", STREAMING_PROTOBUF_SFIXED64},
	{"sint32", STREAMING_PROTOBUF_SINT32},
	{"sint64", STREAMING_PROTOBUF_SINT64}
};

static void parse_statement(Parser *parser);
static void parse_message(Parser *parser, StreamingProtobufMessage *parent);
static void parse_message_body(Parser *parser, StreamingProtobufMessage *message);
static void parse_member(Parser *parser, StreamingProtobufMessage *message);
static void parse_oneof(Parser *parser, StreamingProtobufMessage *message);
static void parse_field(Parser *parser, StreamingProtobufMessage *message, int oneof);
static void parse_map(Parser *parser, StreamingProtobufMessage *message);
static void parse_group(Parser *parser, StreamingProtobufMessage *message, int at);
static void set_type(StreamingProtobufField *field, const char *type);
static void parse_field_options(Parser *parser, StreamingProtobufField *field);
static void parse_enum(Parser *parser, StreamingProtobufMessage *parent);
static char *take_name(Parser *parser);
static char *take_full_name(Parser *parser);
static char *take_string(Parser *parser);
static int32_t take_number(Parser *parser);
static void skip_statement(Parser *parser);
static void skip_to(Parser *parser, const char *ends);
static bool is(const Parser *parser, const char *word);
static bool take_word(Parser *parser, const char *word);
static void need(Parser *parser, const char *word);
static void advance(Parser *parser);
static bool is_letter(char c);
static void unexpected(const Parser *parser, const char *wanted) __attribute__((noreturn));

void
streaming_protobuf_parse(StreamingProtobufSchema *schema, const char *name, const char *text)
{
	Parser		parser = {.schema = schema, .p = text, .line = 1};

	if (strlen(text) > STREAMING_PROTOBUF_MAX_SCHEMA)
		streaming_protobuf_refuse(true, "It is longer than %d bytes.", STREAMING_PROTOBUF_MAX_SCHEMA);
	parser.file = streaming_protobuf_add_file(schema);
	parser.file->name = name;
	advance(&parser);
	while (parser.kind != TOKEN_END)
		parse_statement(&parser);
}

static void
parse_statement(Parser *parser)
{
	streaming_protobuf_breathe();
	if (take_word(parser, ";"))
		return;
	if (take_word(parser, "syntax"))
	{
		char	   *syntax;

		need(parser, "=");
		syntax = take_string(parser);
		if (strcmp(syntax, "proto2") != 0 && strcmp(syntax, "proto3") != 0)
			streaming_protobuf_refuse(false, "Its syntax is neither proto2 nor proto3.");
		parser->file->proto3 = strcmp(syntax, "proto3") == 0;
		need(parser, ";");
	}
	else if (take_word(parser, "package"))
	{
		parser->file->package = take_full_name(parser);
		need(parser, ";");
	}
	else if (take_word(parser, "import"))
	{
		if (is(parser, "public") || is(parser, "weak"))
			advance(parser);
		streaming_protobuf_add_import(parser->file, take_string(parser));
		need(parser, ";");
	}
	else if (take_word(parser, "message"))
		parse_message(parser, NULL);
	else if (take_word(parser, "enum"))
		parse_enum(parser, NULL);
	else if (is(parser, "option") || is(parser, "extend") || is(parser, "service"))
		skip_statement(parser);
	else if (is(parser, "edition"))
		streaming_protobuf_refuse(false, "Its syntax is neither proto2 nor proto3.");
	else
		unexpected(parser, "a statement");
}

/* Behind the word. */
static void
parse_message(Parser *parser, StreamingProtobufMessage *parent)
{
	char	   *name = take_name(parser);

	parse_message_body(parser, streaming_protobuf_add_message(parser->schema, parser->file, parent, name));
}

static void
parse_message_body(Parser *parser, StreamingProtobufMessage *message)
{
	if (++parser->depth > MAX_NESTING)
		streaming_protobuf_refuse(true, "Messages are nested more than %d deep.", MAX_NESTING);
	need(parser, "{");
	while (!take_word(parser, "}"))
		parse_member(parser, message);
	parser->depth--;
}

static void
parse_member(Parser *parser, StreamingProtobufMessage *message)
{
	streaming_protobuf_breathe();
	if (take_word(parser, ";"))
		return;
	if (take_word(parser, "message"))
		parse_message(parser, message);
	else if (take_word(parser, "enum"))
		parse_enum(parser, message);
	else if (is(parser, "option") || is(parser, "extend") || is(parser, "extensions") || is(parser, "reserved"))
		skip_statement(parser);
	else if (take_word(parser, "oneof"))
		parse_oneof(parser, message);
	else
		parse_field(parser, message, -1);
}

static void
parse_oneof(Parser *parser, StreamingProtobufMessage *message)
{
	int			oneof = message->noneofs++;

	(void) take_name(parser);
	need(parser, "{");
	while (!take_word(parser, "}"))
	{
		streaming_protobuf_breathe();
		if (is(parser, "option"))
			skip_statement(parser);
		else if (!take_word(parser, ";"))
			parse_field(parser, message, oneof);
	}
}

static void
parse_field(Parser *parser, StreamingProtobufMessage *message, int oneof)
{
	StreamingProtobufField *field;
	bool		repeated = false;
	bool		optional = false;
	bool		required = false;
	char	   *type;

	if (oneof < 0)
	{
		repeated = take_word(parser, "repeated");
		optional = !repeated && take_word(parser, "optional");
		required = !repeated && !optional && take_word(parser, "required");
	}
	type = take_full_name(parser);
	if (strcmp(type, "map") == 0 && is(parser, "<") && !repeated && oneof < 0)
	{
		parse_map(parser, message);
		return;
	}
	field = streaming_protobuf_add_field(message);
	field->repeated = repeated;
	field->optional = optional;
	field->required = required;
	field->oneof = oneof;
	if (strcmp(type, "group") == 0)
	{
		parse_group(parser, message, message->n - 1);
		return;
	}
	set_type(field, type);
	field->name = take_name(parser);
	need(parser, "=");
	field->number = take_number(parser);
	parse_field_options(parser, field);
	need(parser, ";");
}

/* Of a map each entry is a message, of a type that is declared by the way. */
static void
parse_map(Parser *parser, StreamingProtobufMessage *message)
{
	StreamingProtobufMessage *entry;
	StreamingProtobufField *field;
	char	   *key;
	char	   *value;
	char	   *name;
	char		entry_name[STREAMING_PROTOBUF_MAX_NAME + 8];
	size_t		length = 0;
	bool		upper = true;

	need(parser, "<");
	key = take_name(parser);
	need(parser, ",");
	value = take_full_name(parser);
	need(parser, ">");
	name = take_name(parser);

	/* FooBarEntry, for foo_bar */
	for (const char *c = name; *c; c++)
	{
		if (*c != '_')
			entry_name[length++] = upper && *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c;
		upper = *c == '_';
	}
	strcpy(entry_name + length, "Entry");
	entry = streaming_protobuf_add_message(parser->schema, parser->file, message, entry_name);
	entry->map_entry = true;
	field = streaming_protobuf_add_field(entry);
	field->name = "key";
	field->number = 1;
	set_type(field, key);
	field = streaming_protobuf_add_field(entry);
	field->name = "value";
	field->number = 2;
	set_type(field, value);

	field = streaming_protobuf_add_field(message);
	field->name = name;
	field->repeated = true;
	field->kind = STREAMING_PROTOBUF_MESSAGE;
	field->type_name = streaming_protobuf_copy(entry_name, strlen(entry_name));
	need(parser, "=");
	field->number = take_number(parser);
	parse_field_options(parser, field);
	need(parser, ";");
}

/* at: the place of its field, which may move while those of the group are read */
static void
parse_group(Parser *parser, StreamingProtobufMessage *message, int at)
{
	StreamingProtobufField *field = &message->fields[at];
	char	   *name = take_name(parser);
	char	   *lower = streaming_protobuf_copy(name, strlen(name));

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	field->name = lower;
	field->kind = STREAMING_PROTOBUF_GROUP;
	field->type_name = name;
	need(parser, "=");
	field->number = take_number(parser);
	parse_field_options(parser, field);
	parse_message_body(parser, streaming_protobuf_add_message(parser->schema, parser->file, message, name));
}

static void
set_type(StreamingProtobufField *field, const char *type)
{
	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++)
	{
		if (strcmp(scalars[i].name, type) == 0)
		{
			field->kind = scalars[i].kind;
			return;
		}
	}
	field->type_name = type;
}

/* [packed = false, (an.option).of = {...}]; of them only one counts. */
static void
parse_field_options(Parser *parser, StreamingProtobufField *field)
{
	if (!take_word(parser, "["))
		return;
	do
	{
		if (take_word(parser, "packed") && take_word(parser, "="))
		{
			field->packed_said = true;
			field->packed = is(parser, "true");
		}
		skip_to(parser, ",]");
	} while (take_word(parser, ","));
	need(parser, "]");
}

/* Behind the word. */
static void
parse_enum(Parser *parser, StreamingProtobufMessage *parent)
{
	char	   *name = take_name(parser);
	StreamingProtobufEnum *symbols = streaming_protobuf_add_enum(parser->schema, parser->file, parent, name);

	need(parser, "{");
	while (!take_word(parser, "}"))
	{
		StreamingProtobufField options;
		char	   *symbol;

		streaming_protobuf_breathe();
		if (take_word(parser, ";"))
			continue;
		if (is(parser, "option") || is(parser, "reserved"))
		{
			skip_statement(parser);
			continue;
		}
		symbol = take_name(parser);
		need(parser, "=");
		streaming_protobuf_add_symbol(symbols, symbol, take_number(parser));
		parse_field_options(parser, &options);
		need(parser, ";");
	}
}

/* ------------------------------------------------------------------------
 * Tokens
 * ------------------------------------------------------------------------ */

static char *
take_name(Parser *parser)
{
	char	   *name;

	if (parser->kind != TOKEN_NAME)
		unexpected(parser, "a name");
	if (parser->length > STREAMING_PROTOBUF_MAX_NAME)
		streaming_protobuf_refuse(true, "A name is longer than %d bytes.", STREAMING_PROTOBUF_MAX_NAME);
	name = streaming_protobuf_copy(parser->token, parser->length);
	advance(parser);
	return name;
}

/* [.]name{.name} */
static char *
take_full_name(Parser *parser)
{
	char		name[STREAMING_PROTOBUF_MAX_NAME + 1];
	size_t		length = 0;

	if (take_word(parser, "."))
		name[length++] = '.';
	for (;;)
	{
		if (parser->kind != TOKEN_NAME)
			unexpected(parser, "a name");
		if (length + parser->length + 1 > STREAMING_PROTOBUF_MAX_NAME)
			streaming_protobuf_refuse(true, "A name is longer than %d bytes.", STREAMING_PROTOBUF_MAX_NAME);
		memcpy(name + length, parser->token, parser->length);
		length += parser->length;
		advance(parser);
		if (!take_word(parser, "."))
			return streaming_protobuf_copy(name, length);
		name[length++] = '.';
	}
}

/* As it is: what stands in the way of comparing it is no name of a file. */
static char *
take_string(Parser *parser)
{
	char	   *string;

	if (parser->kind != TOKEN_STRING)
		unexpected(parser, "a string");
	string = streaming_protobuf_copy(parser->token + 1, parser->length - 2);
	advance(parser);
	return string;
}

/* Of 32 bits, in decimal, octal or hexadecimal. */
static int32_t
take_number(Parser *parser)
{
	bool		negative = take_word(parser, "-");
	char		digits[32];
	char	   *end;
	long long	number;

	if (parser->kind != TOKEN_NUMBER || parser->length >= sizeof(digits))
		unexpected(parser, "a number");
	memcpy(digits, parser->token, parser->length);
	digits[parser->length] = '\0';
	number = strtoll(digits, &end, 0);
	if (negative)
		number = -number;
	if (*end != '\0' || number < INT32_MIN || number > INT32_MAX)
		unexpected(parser, "a number");
	advance(parser);
	return (int32_t) number;
}

/* Up to its semicolon, or the end of its block. */
static void
skip_statement(Parser *parser)
{
	skip_to(parser, ";{");
	if (take_word(parser, ";"))
		return;
	need(parser, "{");
	skip_to(parser, "}");
	need(parser, "}");

	/* option (an.option) = {...}; is one, too. */
	(void) take_word(parser, ";");
}

/* To the first of these symbols that is not between brackets. */
static void
skip_to(Parser *parser, const char *ends)
{
	int			depth = 0;

	while (parser->kind != TOKEN_END)
	{
		char		c = parser->kind == TOKEN_SYMBOL ? *parser->token : '\0';

		streaming_protobuf_breathe();
		if (depth == 0 && c != '\0' && strchr(ends, c))
			return;
		if (c == '{' || c == '[' || c == '(')
			depth++;
		else if ((c == '}' || c == ']' || c == ')') && --depth < 0)
			break;
		advance(parser);
	}
	unexpected(parser, "the end of a statement");
}

static bool
is(const Parser *parser, const char *word)
{
	return (parser->kind == TOKEN_NAME || parser->kind == TOKEN_SYMBOL) &&
		parser->length == strlen(word) && memcmp(parser->token, word, parser->length) == 0;
}

static bool
take_word(Parser *parser, const char *word)
{
	if (!is(parser, word))
		return false;
	advance(parser);
	return true;
}

static void
need(Parser *parser, const char *word)
{
	if (!take_word(parser, word))
		unexpected(parser, word);
}

static void
advance(Parser *parser)
{
	const char *p = parser->p;

	for (;;)
	{
		if (*p == '\n')
			parser->line++;
		if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
			p++;
		else if (p[0] == '/' && p[1] == '/')
			p += strcspn(p, "\n");
		else if (p[0] == '/' && p[1] == '*')
		{
			for (p += 2; *p && !(p[0] == '*' && p[1] == '/'); p++)
				parser->line += *p == '\n';
			if (*p)
				p += 2;
		}
		else
			break;
	}
	parser->token = p;
	if (*p == '\0')
		parser->kind = TOKEN_END;
	else if (is_letter(*p))
	{
		parser->kind = TOKEN_NAME;
		while (is_letter(*p) || (*p >= '0' && *p <= '9'))
			p++;
	}
	else if (*p >= '0' && *p <= '9')
	{
		/* With all that a number may have; those that count have digits alone. */
		parser->kind = TOKEN_NUMBER;
		while (is_letter(*p) || (*p >= '0' && *p <= '9') || *p == '.' ||
			   ((*p == '-' || *p == '+') && (p[-1] == 'e' || p[-1] == 'E')))
			p++;
	}
	else if (*p == '"' || *p == '\'')
	{
		char		quote = *p++;

		parser->kind = TOKEN_STRING;
		while (*p && *p != quote && *p != '\n')
			p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
		if (*p != quote)
		{
			parser->kind = TOKEN_SYMBOL;
			parser->length = 1;
			unexpected(parser, "the end of a string");
		}
		p++;
	}
	else
	{
		parser->kind = TOKEN_SYMBOL;
		p++;
	}
	parser->p = p;
	parser->length = p - parser->token;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void
unexpected(const Parser *parser, const char *wanted)
{
	int			length = parser->length > 40 ? 40 : (int) parser->length;

	for (int i = 0; i < length; i++)
		if (parser->token[i] < ' ' || parser->token[i] > '~')
			length = i;
	if (parser->kind == TOKEN_END)
		streaming_protobuf_refuse(false, "Its text ends where %s is expected.", wanted);
	streaming_protobuf_refuse(false, "In line %d, %s is expected where \"%.*s\" is.",
							  parser->line, wanted, length, parser->token);
}
