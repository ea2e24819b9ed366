/*
 * topic_pattern.c
 *		Topics that are named by a regular expression.
 *
 * It is one of PostgreSQL's, by the rules of ASCII, since names of topics have nothing
 * else.  A user writes it and a worker runs it, over and over: without back-references
 * PostgreSQL's engine reads a name once, in steps that the expression's length bounds;
 * with them it may try for ever.  So these are refused.  Lookaround constraints are tried
 * at each character, and, inside of each other, at each of those; so there may be few.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/builtins.h"

#include "source/topic_pattern.h"

#define MAX_PATTERN		1000	/* bytes */
#define MAX_LOOKAROUND	2
#define MAX_TOPIC		249		/* characters of a name, by Kafka */

/* Topics that Kafka has for itself. */
#define INTERNAL_PREFIX	"__"

#define PATTERN_FLAGS	(REG_ADVANCED | REG_NOSUB)

static int	count_lookaround(const char *pattern);
static bool is_name(const char *topic);

void
streaming_topic_pattern_check(const char *pattern)
{
	size_t		length = strlen(pattern);
	pg_wchar   *wide;
	regex_t		regex;
	int			result;
	bool		refers_back;
	bool		looks_around;

	if (length > MAX_PATTERN)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("regular expression of option \"%s\" is longer than %d bytes", "topic",
						MAX_PATTERN)));
	wide = palloc(sizeof(pg_wchar) * (length + 1));
	result = pg_regcomp(&regex, wide, pg_mb2wchar_with_len(pattern, wide, (int) length),
						PATTERN_FLAGS, C_COLLATION_OID);
	if (result != REG_OKAY)
	{
		char		text[100];

		pg_regerror(result, &regex, text, sizeof(text));
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
				 errmsg("option \"%s\" has an invalid regular expression: %s", "topic", text),
				 errhint("A topic that begins with ^ is one of PostgreSQL's regular expressions, which names all topics that match it.")));
	}
	refers_back = (regex.re_info & REG_UBACKREF) != 0;
	looks_around = (regex.re_info & REG_ULOOKAROUND) != 0;
	pg_regfree(&regex);
	pfree(wide);
	if (refers_back)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("regular expression of option \"%s\" has a back-reference", "topic"),
				 errhint("Write the alternatives out.")));
	if (looks_around && count_lookaround(pattern) > MAX_LOOKAROUND)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("regular expression of option \"%s\" has more than %d lookaround constraints",
						"topic", MAX_LOOKAROUND),
				 errhint("Join them by | in one.")));
}

bool
streaming_topic_pattern_matches(const char *pattern, const char *topic)
{
	text	   *expression;
	bool		matches;

	if (!is_name(topic) ||
		(strncmp(topic, INTERNAL_PREFIX, strlen(INTERNAL_PREFIX)) == 0 &&
		 strncmp(pattern, "^" INTERNAL_PREFIX, strlen("^" INTERNAL_PREFIX)) != 0))
		return false;
	expression = cstring_to_text(pattern);
	matches = RE_compile_and_execute(expression, unconstify(char *, topic), (int) strlen(topic),
									 PATTERN_FLAGS, C_COLLATION_OID, 0, NULL);
	pfree(expression);
	return matches;
}

/* At least as many as there are. */
static int
count_lookaround(const char *pattern)
{
	int			n = 0;

	for (const char *at = strstr(pattern, "(?"); at != NULL; at = strstr(at + 2, "(?"))
		n += at[2] == '=' || at[2] == '!' || at[2] == '<';
	return n;
}

/* Brokers have no others; who says otherwise is none. */
static bool
is_name(const char *topic)
{
	size_t		length = strlen(topic);

	return length > 0 && length <= MAX_TOPIC &&
		strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}
