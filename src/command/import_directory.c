/*
 * import_directory.c
 *		IMPORT FOREIGN SCHEMA from a directory server.
 *
 * The remote schema is a directory below the server's path, "." for that itself.  Each
 * directory in it that has files becomes a foreign table, called as it is:
 *
 *		files						foreign table	its path
 *		orders/a.csv, orders/b.csv	orders			all .csv in orders
 *		eu/users/u.json				eu_users		all .json in eu/users
 *		visits/dt=2026-11-30/v.json	visits			all .json in visits/dt=<any>
 *
 * Directories called name=value are no tables of their own, and give columns.  A directory
 * with files of more than one format becomes a table for each, orders_csv and
 * orders_json.  Columns are those of the files that are newest, in the order of their
 * names.
 */
#include "postgres.h"

#include "streaming.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "source/beneath.h"
#include "command/import_schema.h"
#include "base/attempt.h"
#include "format/avro_schema.h"
#include "format/columnar.h"
#include "format/format.h"
#include "format/path_partition.h"
#include "source/directory_reader.h"

#define SAMPLE_FILES	10		/* of a table */
#define MAX_DEPTH		32		/* of directories */
#define MAX_TABLES		10000

typedef struct Kind
{
	const char *extension;
	const char *format;
	char		delimiter;		/* of CSV; '\0': it is to be found */
} Kind;

static const Kind kinds[] =
{
	{"csv", "csv", '\0'},
	{"tsv", "csv", '\t'},
	{"json", "json", '\0'},
	{"jsonl", "json", '\0'},
	{"ndjson", "json", '\0'},
	{"parquet", "parquet", '\0'},
	{"arrow", "arrow", '\0'},
	{"feather", "arrow", '\0'},
	{"orc", "orc", '\0'},
	{"avro", "avro", '\0'},
};

typedef struct SampleFile
{
	char	   *path;
	time_t		modified;
} SampleFile;

/* Files that are one foreign table. */
typedef struct FileGroup
{
	char	   *table;			/* without the format */
	char	   *directory;		/* relative to the server's path, a pattern; "": that */
	List	   *keys;			/* of the directories called key=value */
	const Kind *kind;
	const char *compression;	/* ".gz" or "", if all have the same; NULL: not */
	int			nfiles;
	SampleFile	files[SAMPLE_FILES];	/* the newest */
} FileGroup;

/* The schema of an Avro file, in a streaming_attempt. */
typedef struct AvroHead
{
	StreamingSample *sample;
	const char *text;
} AvroHead;

typedef struct Import
{
	StreamingStream *stream;
	ForeignServer *server;
	List	   *groups;
} Import;

static char *remote_directory(const char *schema, StreamingStream *stream);
static void walk(Import *import, const char *path, const char *table, const char *pattern,
				 List *keys, int depth);
static void meet(Import *import, int fd, const char *path, const char *table,
				 const char *pattern, List *keys, int depth, const char *name);
static void add_file(Import *import, const char *table, const char *pattern, List *keys,
					 const char *path, const struct stat *st);
static const Kind *kind_of(const char *name, const char **compression);
static int	group_cmp(const ListCell *a, const ListCell *b);
static int	file_cmp(const void *a, const void *b);
static char *table_name(Import *import, FileGroup *group);
static char *import_group(Import *import, FileGroup *group, const char *table);
static void sample_files(Import *import, FileGroup *group, StreamingSample *sample,
						 char *delimiter);
static void sample_avro(StreamingSample *sample, StreamingReader *reader, const char *path);
static void sample_schema(StreamingSample *sample, const StreamingArrowType *type, const char *path);
static char find_delimiter(const char *payload, size_t length);
static char *escape_pattern(const char *name);

List *
streaming_import_directory(ImportForeignSchemaStmt *stmt, ForeignServer *server)
{
	Import		import = {NULL, server, NIL};
	List	   *commands = NIL;
	char	   *directory;
	char	   *name;
	ListCell   *lc;

	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to import from directory server \"%s\"", server->servername),
				 errdetail("Only roles with privileges of the \"%s\" role may read files of the database server.",
						   "pg_read_server_files")));
	import.stream = streaming_import_stream(server, "that is to be imported");
	directory = remote_directory(stmt->remote_schema, import.stream);
	name = pstrdup(directory[0] ? directory : import.stream->base);
	walk(&import, psprintf("%s%s%s", import.stream->base, directory[0] ? "/" : "", directory),
		 strrchr(name, '/') ? strrchr(name, '/') + 1 : name,
		 escape_pattern(directory), NIL, 0);

	list_sort(import.groups, group_cmp);
	foreach(lc, import.groups)
	{
		char	   *table = table_name(&import, lfirst(lc));
		char	   *command;

		if (!IsImportableForeignTable(table, stmt))
			continue;
		command = import_group(&import, lfirst(lc), table);
		if (command)
			commands = lappend(commands, command);
	}
	return commands;
}

/* Relative to the server's path, without slashes at its end; "": that. */
static char *
remote_directory(const char *schema, StreamingStream *stream)
{
	char	   *path = pstrdup(schema);
	int			fd;

	canonicalize_path(path);
	if (is_absolute_path(path) || path_contains_parent_reference(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("remote schema \"%s\" is not a directory below the path of the server", schema),
				 errhint("Name a directory relative to \"%s\", or \".\" for that itself.", stream->base)));
	if (strcmp(path, ".") == 0)
		path = "";
	fd = streaming_beneath_directory(stream, psprintf("%s/%s", stream->base, path));
	if (fd < 0)
	{
		int			error = errno;

		errno = error;
		ereport(ERROR,
				(streaming_beneath_errcode(error),
				 errmsg("could not read directory \"%s/%s\": %s", stream->base, path,
						streaming_beneath_error(stream, error)),
				 errhint("The remote schema is a directory relative to the path of the server, or \".\" for that itself.")));
	}
	(void) close(fd);
	return path;
}

/* ---- Which files there are ---- */

/* A directory that cannot be read is passed over, with a WARNING. */
static void
walk(Import *import, const char *path, const char *table, const char *pattern, List *keys,
	 int depth)
{
	int			fd = streaming_beneath_directory(import->stream, path);
	DIR		   *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL)
	{
		int			error = errno;

		if (fd >= 0)
			(void) close(fd);
		ereport(WARNING,
				(errmsg("could not read directory \"%s\": %s", path,
						streaming_beneath_error(import->stream, error))));
		return;
	}
	PG_TRY();
	{
		while ((entry = readdir(dir)) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			if (entry->d_name[0] != '.' && entry->d_name[0] != '_' &&
				pg_verifymbstr(entry->d_name, strlen(entry->d_name), true))
				meet(import, dirfd(dir), path, table, pattern, keys, depth, entry->d_name);
		}
	}
	PG_FINALLY();
	{
		(void) closedir(dir);
	}
	PG_END_TRY();
}

static void
meet(Import *import, int fd, const char *path, const char *table, const char *pattern,
	 List *keys, int depth, const char *name)
{
	char	   *entry = psprintf("%s/%s", path, name);
	const char *equals = strchr(name, '=');
	struct stat st;

	if (streaming_beneath_stat(import->stream, fd, name, &st) != 0)
		return;
	if (S_ISREG(st.st_mode))
		add_file(import, table, pattern, keys, entry, &st);
	else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH && equals != NULL && equals != name)
	{
		char	   *key = pnstrdup(name, equals - name);

		walk(import, entry, table,
			 psprintf("%s%s%s=*", pattern, pattern[0] ? "/" : "", escape_pattern(key)),
			 lappend(list_copy(keys), key), depth + 1);
	}
	else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
		walk(import, entry, depth == 0 ? name : psprintf("%s_%s", table, name),
			 psprintf("%s%s%s", pattern, pattern[0] ? "/" : "", escape_pattern(name)),
			 keys, depth + 1);
}

static void
add_file(Import *import, const char *table, const char *pattern, List *keys, const char *path,
		 const struct stat *st)
{
	const char *compression;
	const Kind *kind = kind_of(strrchr(path, '/') + 1, &compression);
	FileGroup  *group = NULL;
	int			oldest = 0;
	ListCell   *lc;

	if (kind == NULL)
		return;
	foreach(lc, import->groups)
	{
		FileGroup  *other = lfirst(lc);

		if (other->kind == kind && strcmp(other->directory, pattern) == 0)
			group = other;
	}
	if (group == NULL)
	{
		if (list_length(import->groups) >= MAX_TABLES)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("there are more than %d directories with files", MAX_TABLES),
					 errhint("Name one of them as the remote schema.")));
		group = palloc0(sizeof(FileGroup));
		group->table = pstrdup(table);
		group->directory = pstrdup(pattern);
		group->keys = keys;
		group->kind = kind;
		group->compression = compression;
		import->groups = lappend(import->groups, group);
	}
	if (group->compression && strcmp(group->compression, compression) != 0)
		group->compression = NULL;

	if (group->nfiles < SAMPLE_FILES)
		oldest = group->nfiles++;
	else
	{
		for (int i = 1; i < SAMPLE_FILES; i++)
			if (group->files[i].modified < group->files[oldest].modified)
				oldest = i;
		if (st->st_mtime <= group->files[oldest].modified)
			return;
		pfree(group->files[oldest].path);
	}
	group->files[oldest].path = pstrdup(path);
	group->files[oldest].modified = st->st_mtime;
}

/* NULL: nobody knows what is in it. */
static const Kind *
kind_of(const char *name, const char **compression)
{
	static const char *const compressions[] = {".gz", ".zst"};
	char	   *rest = pstrdup(name);
	StreamingArrowKind columnar;
	char	   *dot;

	*compression = "";
	for (int i = 0; i < lengthof(compressions); i++)
	{
		size_t		length = strlen(compressions[i]);

		if (strlen(rest) > length &&
			strcmp(rest + strlen(rest) - length, compressions[i]) == 0)
		{
			rest[strlen(rest) - length] = '\0';
			*compression = compressions[i];
			break;
		}
	}
	dot = strrchr(rest, '.');
	for (int i = 0; dot != NULL && i < lengthof(kinds); i++)
	{
		if (strcmp(dot + 1, kinds[i].extension) != 0)
			continue;
		/* Some say themselves how they are compressed. */
		if ((*compression)[0] == '\0' || !(streaming_format_is_columnar(kinds[i].format, &columnar) ||
										  strcmp(kinds[i].format, "avro") == 0))
			return &kinds[i];
	}
	return NULL;
}

/* ---- A table ---- */

/* Whatever the order in which directories are read. */
static int
group_cmp(const ListCell *a, const ListCell *b)
{
	const FileGroup *x = lfirst(a);
	const FileGroup *y = lfirst(b);
	int			cmp = strcmp(x->directory, y->directory);

	return cmp != 0 ? cmp : strcmp(x->kind->extension, y->kind->extension);
}

static int
file_cmp(const void *a, const void *b)
{
	return strcmp(((const SampleFile *) a)->path, ((const SampleFile *) b)->path);
}

/* The format is in it if another group would have the same. */
static char *
table_name(Import *import, FileGroup *group)
{
	char	   *name = group->table;
	ListCell   *lc;

	foreach(lc, import->groups)
	{
		FileGroup  *other = lfirst(lc);

		if (other != group && strcmp(other->table, group->table) == 0)
			name = psprintf("%s_%s", group->table, group->kind->extension);
	}
	name = pstrdup(name);
	truncate_identifier(name, strlen(name), false);
	return name;
}

static char *
import_group(Import *import, FileGroup *group, const char *table)
{
	StreamingSample *sample = streaming_sample_begin();
	StringInfoData options;
	char		delimiter = group->kind->delimiter;
	bool		is_csv = strcmp(group->kind->format, "csv") == 0;
	StreamingArrowKind columnar;
	ListCell   *lc;

	if (streaming_format_is_columnar(group->kind->format, &columnar) && !streaming_columnar_is_installed(columnar))
	{
		ereport(WARNING,
				(errmsg("foreign table \"%s\" is not made, since format \"%s\" is not installed", table,
						group->kind->format),
				 errhint("Build streaming where Apache Arrow's C++ library is, as doc/operations.md says.")));
		return NULL;
	}
	qsort(group->files, group->nfiles, sizeof(SampleFile), file_cmp);
	sample_files(import, group, sample, &delimiter);
	for (int i = 0; i < group->nfiles; i++)
	{
		foreach(lc, group->keys)
		{
			size_t		length;

			streaming_sample_path_value(sample, lfirst(lc),
										streaming_path_partition(group->files[i].path,
																 import->stream->base,
																 lfirst(lc), &length));
		}
	}

	initStringInfo(&options);
	appendStringInfo(&options, "path %s, format %s",
					 quote_literal_cstr(psprintf("%s%s*.%s%s", group->directory,
												 group->directory[0] ? "/" : "",
												 group->kind->extension,
												 group->compression ? group->compression : "*")),
					 quote_literal_cstr(group->kind->format));
	if (is_csv && streaming_sample_has_header(sample))
		appendStringInfoString(&options, ", header 'true'");
	if (is_csv && delimiter != ',' && delimiter != '\0')
		appendStringInfo(&options, ", delimiter %s", quote_literal_cstr(psprintf("%c", delimiter)));
	return streaming_import_command(table, sample, import->server, options.data);
}

/* Every file has its share of the records.  What cannot be read is passed over. */
static void
sample_files(Import *import, FileGroup *group, StreamingSample *sample, char *delimiter)
{
	StreamingStream *stream = import->stream;
	bool		is_csv = strcmp(group->kind->format, "csv") == 0;
	StreamingArrowKind columnar;
	bool		is_columnar = streaming_format_is_columnar(group->kind->format, &columnar);
	bool		is_avro = strcmp(group->kind->format, "avro") == 0;
	StreamingReader *reader;

	stream->format = unconstify(char *, group->kind->format);
	reader = streaming_reader_open(stream);
	PG_TRY();
	{
		for (int i = 0; i < group->nfiles; i++)
		{
			StreamingRecord record;
			struct stat st;
			int			n = 0;

			if (!streaming_reader_begin(reader, group->files[i].path, 0, &st))
			{
				ereport(WARNING, (errmsg("%s", streaming_reader_trouble(reader))));
				continue;
			}
			if (is_columnar)
				sample_schema(sample, streaming_reader_type(reader), group->files[i].path);
			if (is_avro)
				sample_avro(sample, reader, group->files[i].path);
			while (!is_columnar && !is_avro && n < STREAMING_SAMPLE_RECORDS / group->nfiles &&
				   streaming_reader_next(reader, &record, true) == STREAMING_READER_RECORD)
			{
				CHECK_FOR_INTERRUPTS();
				if (record.framing_error != NULL)
					continue;
				if (is_csv && *delimiter == '\0')
					*delimiter = find_delimiter(record.payload, record.length);
				if (!is_csv)
					streaming_sample_json(sample, record.payload, record.length);
				else if (n > 0 || i == 0 || !streaming_sample_has_header(sample))
					streaming_sample_csv(sample, record.payload, record.length, *delimiter);
				n++;
			}
			streaming_reader_end(reader);
		}
	}
	PG_FINALLY();
	{
		streaming_reader_close(reader);
	}
	PG_END_TRY();
}

/* What the fields of a columnar file are. */
static void
sample_schema(StreamingSample *sample, const StreamingArrowType *type, const char *path)
{
	if (type == NULL)
		ereport(WARNING, (errmsg("file \"%s\" is damaged", path)));
	for (int i = 0; type && i < type->n; i++)
		streaming_sample_field(sample, type->types[i]->name, streaming_arrow_type_name(type->types[i]));
}

/* A streaming_attempt. */
static void
read_avro_schema(void *arg)
{
	AvroHead   *head = arg;

	streaming_sample_avro(head->sample, streaming_avro_schema(head->text));
}

/* What the first piece of an Avro file says. */
static void
sample_avro(StreamingSample *sample, StreamingReader *reader, const char *path)
{
	AvroHead	head = {sample};
	StreamingRecord record;
	ErrorData  *error;

	if (streaming_reader_next(reader, &record, true) != STREAMING_READER_RECORD)
		return;
	if (record.framing_error || record.length < STREAMING_AVRO_FRAME || record.payload[0] != STREAMING_AVRO_FRAME_SCHEMA)
	{
		ereport(WARNING,
				(errmsg("file \"%s\" is damaged", path),
				 record.framing_error ? errdetail("%s.", record.framing_error) : 0));
		return;
	}
	head.text = pnstrdup(record.payload + STREAMING_AVRO_FRAME, record.length - STREAMING_AVRO_FRAME);
	head.text = pg_any_to_server(head.text, strlen(head.text), PG_UTF8);
	error = streaming_attempt(read_avro_schema, &head, CurrentMemoryContext);
	if (error && (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_OUT_OF_MEMORY))
		ReThrowError(error);
	if (error)
		ereport(WARNING, (errmsg("schema of file \"%s\" cannot be read: %s", path, error->message)));
}

/* What there is most of in the first line, outside of quotes. */
static char
find_delimiter(const char *payload, size_t length)
{
	static const char candidates[] = ",;\t|";
	int			counts[lengthof(candidates) - 1] = {0};
	int			best = 0;
	bool		quoted = false;

	for (size_t i = 0; i < length; i++)
	{
		const char *candidate = payload[i] ? strchr(candidates, payload[i]) : NULL;

		if (payload[i] == '"')
			quoted = !quoted;
		else if (candidate && !quoted)
			counts[candidate - candidates]++;
	}
	for (int i = 1; i < lengthof(counts); i++)
	{
		if (counts[i] > counts[best])
			best = i;
	}
	return candidates[best];
}

/* A name, or several with slashes, that stands for itself in a pattern. */
static char *
escape_pattern(const char *name)
{
	StringInfoData result;

	initStringInfo(&result);
	for (const char *p = name; *p; p++)
	{
		if (strchr("*?[\\", *p))
			appendStringInfoChar(&result, '\\');
		appendStringInfoChar(&result, *p);
	}
	return result.data;
}
