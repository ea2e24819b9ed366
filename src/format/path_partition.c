/*
 * path_partition.c
 *		Values in the names of directories: dt=2026-11-30/hour=05/x.json.
 *
 * Hive's layout, which Spark and Arrow write, too.  Characters that a name of a file
 * cannot have are written as % and two hexadecimal digits, in the name as well as in
 * the value; what is no such escape is taken as it is.  Escapes are bytes: Hive
 * escapes ASCII only, Arrow UTF-8.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/path_partition.h"

static char *unescape(const char *text, size_t length, size_t *result_length);
static int	digit(char c);

char *
streaming_path_partition(const char *path, const char *base, const char *name, size_t *length)
{
	size_t		base_length = strlen(base);
	const char *part = path;
	const char *slash;
	char	   *value = NULL;

	if (strncmp(path, base, base_length) == 0)
		part += base_length;
	for (; (slash = strchr(part, '/')) != NULL; part = slash + 1)
	{
		const char *equals = memchr(part, '=', slash - part);
		size_t		part_name_length;
		char	   *part_name;

		if (equals == NULL)
			continue;
		part_name = unescape(part, equals - part, &part_name_length);
		if (part_name_length == strlen(name) && memcmp(part_name, name, part_name_length) == 0)
			value = unescape(equals + 1, slash - equals - 1, length);
		pfree(part_name);
	}
	return value != NULL && strcmp(value, STREAMING_NULL_PARTITION) == 0 ? NULL : value;
}

/* The result ends with a zero, too. */
static char *
unescape(const char *text, size_t length, size_t *result_length)
{
	char	   *result = palloc(length + 1);
	char	   *to = result;

	for (size_t i = 0; i < length; i++)
	{
		if (text[i] == '%' && length - i > 2 && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0)
		{
			*to++ = (char) (digit(text[i + 1]) * 16 + digit(text[i + 2]));
			i += 2;
		}
		else
			*to++ = text[i];
	}
	*to = '\0';
	*result_length = to - result;
	return result;
}

/* -1: it is none. */
static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}
