/*
 * settings.c
 *		Settings of a session that change what a query gives, see settings.h.
 *
 * What is not among them is the server's in each batch: what only has to do with
 * how a result is computed, and what other extensions have defined.
 */
#include "postgres.h"

#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/settings.h"

/* A role that writes options sets these and no others: each is any user's to set. */
static const struct
{
	const char *name;
	const char *of_records;
}			kept[] =
{
	{"TimeZone", "UTC"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"timezone_abbreviations", "Default"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"default_text_search_config", "pg_catalog.simple"},
	{"xmlbinary", "base64"},
	{"xmloption", "content"},
	{"array_nulls", "on"},
	{"transform_null_equals", "off"},
};

/* Used last over the session's own, of which these differ. */
static bool known = false;
static List *known_settings = NIL;	/* of char *, in TopMemoryContext */
static List *known_changes = NIL;	/* likewise */

const char *
streaming_setting_name(const char *name)
{
	for (int i = 0; i < lengthof(kept); i++)
	{
		if (pg_strcasecmp(kept[i].name, name) == 0)
			return kept[i].name;
	}
	return NULL;
}

/* Each batch reads a list of all of them, in our order. */
const char *
streaming_setting_parse(const char *setting, const char **value)
{
	static int	next = 0;
	const char *end = strchr(setting, '=');

	if (end == NULL)
		return NULL;
	*value = end + 1;
	for (int i = 0; i < lengthof(kept); i++)
	{
		const char *name = kept[next].name;

		next = (next + 1) % lengthof(kept);
		if (pg_strncasecmp(name, setting, end - setting) == 0 && name[end - setting] == '\0')
			return name;
	}
	return NULL;
}

static char *
pair(const char *name, const char *value)
{
	return psprintf("%s=%s", name, value);
}

List *
streaming_settings_of_session(void)
{
	List	   *settings = NIL;

	for (int i = 0; i < lengthof(kept); i++)
		settings = lappend(settings, pair(kept[i].name, GetConfigOption(kept[i].name, false, false)));
	return settings;
}

List *
streaming_settings_of_records(void)
{
	List	   *settings = NIL;

	for (int i = 0; i < lengthof(kept); i++)
		settings = lappend(settings, pair(kept[i].name, kept[i].of_records));
	return settings;
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

void
streaming_settings_begin_with_records(void)
{
	for (int i = 0; i < lengthof(kept); i++)
	{
		if (strcmp(GetConfigOption(kept[i].name, false, false), kept[i].of_records) != 0)
			SetConfigOption(kept[i].name, kept[i].of_records, PGC_USERSET, PGC_S_OVERRIDE);
	}
}

List *
streaming_settings_change(const List *settings, const char *name, const char *value)
{
	int			level = NewGUCNestLevel();
	List	   *changed = NIL;
	ListCell   *lc;

	name = streaming_setting_name(name);
	if (value)
		set(name, value);
	foreach(lc, settings)
	{
		const char *other;

		if (streaming_setting_parse(lfirst(lc), &other) != name)
			changed = lappend(changed, lfirst(lc));
	}
	changed = lappend(changed, pair(name, GetConfigOption(name, false, false)));
	AtEOXact_GUC(false, level);
	return changed;
}

/* Error context: the message is that of SET. */
static void
hint_change(void *arg)
{
	const char *name = arg;

	errhint("It was valid when it was set. Set another with ALTER VIEW ... SET (streaming.%s = ...), or for a stream with ALTER FOREIGN TABLE ... OPTIONS (SET %s ...).",
			name, name);
}

/* Returns those that were not so. */
static List *
use(const List *settings)
{
	ErrorContextCallback context;
	List	   *changed = NIL;
	ListCell   *lc;

	context.callback = hint_change;
	context.previous = error_context_stack;
	error_context_stack = &context;
	foreach(lc, settings)
	{
		const char *value;
		const char *name = streaming_setting_parse(lfirst(lc), &value);

		context.arg = (void *) name;
		if (name && strcmp(GetConfigOption(name, false, false), value) != 0)
		{
			set(name, value);
			changed = lappend(changed, lfirst(lc));
		}
	}
	error_context_stack = context.previous;
	return changed;
}

void
streaming_settings_use(const List *settings)
{
	list_free(use(settings));
}

static bool
same_settings(const List *a, const List *b)
{
	if (list_length(a) != list_length(b))
		return false;
	for (int i = 0; i < list_length(a); i++)
	{
		if (strcmp(list_nth(a, i), list_nth(b, i)) != 0)
			return false;
	}
	return true;
}

static List *
copy_settings(const List *settings)
{
	List	   *copy = NIL;
	ListCell   *lc;

	foreach(lc, settings)
		copy = lappend(copy, pstrdup(lfirst(lc)));
	return copy;
}

void
streaming_settings_use_known(const List *settings)
{
	List	   *changed;
	MemoryContext old;

	if (known && same_settings(known_settings, settings))
	{
		list_free(use(known_changes));
		return;
	}
	streaming_settings_forget();
	changed = use(settings);
	old = MemoryContextSwitchTo(TopMemoryContext);
	known_settings = copy_settings(settings);
	known_changes = copy_settings(changed);
	MemoryContextSwitchTo(old);
	known = true;
}

void
streaming_settings_forget(void)
{
	known = false;
	list_free_deep(known_settings);
	list_free_deep(known_changes);
	known_settings = known_changes = NIL;
}

void
streaming_settings_write_exactly(void)
{
	set("DateStyle", "ISO");
	set("IntervalStyle", "postgres");
	set("extra_float_digits", "3");
}
