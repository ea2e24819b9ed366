/*
 * file_place.c
 *		Where the files of a directory stream go, and how they are called.
 *
 *		/srv/landing/orders/day-*.csv
 *		directory           prefix, suffix
 *
 *		/srv/landing/orders/day-0000000017-0000-5c0f1e2a.csv
 *
 * The number is that of the delivery, and then of the file in it, so that names
 * are in the order of writing.  What follows is random: a name is never used
 * again, not by a stream of the same name that is made anew, nor by a copy of
 * the database that writes to the same directory.
 */
#include "postgres.h"

#include "streaming.h"

#include <fnmatch.h>

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "catalog/view.h"
#include "sink/file_place.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#define WILDCARDS	"*?[\\"

/* Characters of a token that are part of a name. */
#define TOKEN_LENGTH	8

static void split_name(const StreamingStream *stream, char *name, StreamingFilePlace *place);
static char *sample_name(const StreamingFilePlace *place);

void
streaming_file_place(const StreamingStream *stream, StreamingFilePlace *place)
{
	char	   *path = pstrdup(stream->path);
	char	   *slash = strrchr(path, '/');

	*slash = '\0';
	if (strpbrk(path, WILDCARDS) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, whose path has a wildcard in the name of a directory",
						stream->name),
				 errhint("Write to a foreign table whose option \"path\" names one directory, such as 'out/*.json'.")));
	if (strchr(stream->path, '\n') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, whose path has an end of line",
						stream->name),
				 errhint("Give the foreign table another \"path\".")));
	place->directory = path;
	split_name(stream, slash + 1, place);
}

static void
split_name(const StreamingStream *stream, char *name, StreamingFilePlace *place)
{
	char	   *star = strchr(name, '*');
	StringInfoData suffix;

	place->single = strpbrk(name, WILDCARDS) == NULL;
	place->prefix = name;
	place->suffix = "";
	if (star)
	{
		/* What further stars match may be nothing. */
		initStringInfo(&suffix);
		for (const char *p = star; *p; p++)
			if (*p != '*')
				appendStringInfoChar(&suffix, *p);
		*star = '\0';
		place->suffix = suffix.data;
	}
	if (name[0] == '.' || name[0] == '_' ||
		strpbrk(place->prefix, WILDCARDS) != NULL || strpbrk(place->suffix, WILDCARDS) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s, whose path does not tell how to name a file",
						stream->name),
				 errhint("Write to a foreign table whose option \"path\" has one * in the name of the file, such as 'out/*.json'.")));
}

void
streaming_file_place_check(const StreamingStream *stream, bool append)
{
	StreamingFilePlace place;
	Oid			owner = streaming_relation_owner(stream->relid, false);

	streaming_file_place(stream, &place);
	if (!has_privs_of_role(owner, ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write files for stream %s", stream->name),
				 errdetail("Its owner \"%s\" has no privileges of the role \"%s\".",
						   GetUserNameFromId(owner, false), "pg_write_server_files"),
				 errhint("Grant that role to the owner of the foreign table.")));
	if (append && place.single)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot append to stream %s, whose path names a single file", stream->name),
				 errdetail("Rows are written to new files; an existing one is never changed."),
				 errhint("Write to a foreign table whose option \"path\" has one * in the name of the file, such as 'out/*.json', or use output mode \"complete\", which replaces the file.")));
}

bool
streaming_file_place_read_by(const StreamingStream *stream, const char *path)
{
	StreamingFilePlace place;
	char	   *part;
	char	   *result;
	char	   *glob;

	streaming_file_place(stream, &place);
	part = psprintf("%s/%s", place.directory, sample_name(&place));
	result = psprintf("%s/%s", place.directory, streaming_file_result_name(&place));
	glob = pstrdup(path);
	canonicalize_path(part);
	canonicalize_path(result);
	canonicalize_path(glob);
	return fnmatch(glob, part, FNM_PATHNAME) == 0 || fnmatch(glob, result, FNM_PATHNAME) == 0;
}

char *
streaming_file_part_name(const char *prefix, const char *suffix,
						 int64 number, int part, const char *token)
{
	return psprintf("%s%010lld-%04d-%.*s%s", prefix, (long long) number, part,
					TOKEN_LENGTH, token, suffix);
}

char *
streaming_file_result_name(const StreamingFilePlace *place)
{
	if (place->single)
		return pstrdup(place->prefix);
	return psprintf("%s" STREAMING_RESULT_NAME "%s", place->prefix, place->suffix);
}

static char *
sample_name(const StreamingFilePlace *place)
{
	if (place->single)
		return pstrdup(place->prefix);
	return streaming_file_part_name(place->prefix, place->suffix, 1, 0, "00000000");
}
