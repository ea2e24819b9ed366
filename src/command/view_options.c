/*
 * view_options.c
 *		Options of continuous views: CREATE VIEW ... WITH (streaming.xxx = ...)
 *		and ALTER VIEW ... SET, RESET.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "streaming.h"
#include "base/closest_match.h"
#include "base/settings.h"
#include "command/command.h"

typedef struct ViewOption
{
	const char *name;
	bool		changeable;		/* by ALTER VIEW */

	/* Checks def and applies it to result.  NULL: it is a setting. */
	void		(*apply) (DefElem *def, StreamingViewOptions *result);

	/* Applies def, or the default if it is NULL, to an existing view. */
	void		(*change) (DefElem *def, StreamingView *view);
} ViewOption;

static void apply_continuous(DefElem *def, StreamingViewOptions *result);
static void apply_trigger(DefElem *def, StreamingViewOptions *result);
static void apply_output_mode(DefElem *def, StreamingViewOptions *result);
static void apply_sink(DefElem *def, StreamingViewOptions *result);
static void apply_foreach(DefElem *def, StreamingViewOptions *result);
static void apply_foreach_open(DefElem *def, StreamingViewOptions *result);
static void apply_foreach_close(DefElem *def, StreamingViewOptions *result);
static void apply_foreach_batch(DefElem *def, StreamingViewOptions *result);
static void apply_start(DefElem *def, StreamingViewOptions *result);
static void apply_follow(DefElem *def, StreamingViewOptions *result);
static void apply_max_rows(DefElem *def, StreamingViewOptions *result);
static void apply_max_files(DefElem *def, StreamingViewOptions *result);
static void apply_catch_up_rate(DefElem *def, StreamingViewOptions *result);
static void apply_enabled(DefElem *def, StreamingViewOptions *result);
static void change_trigger(DefElem *def, StreamingView *view);
static void change_max_rows(DefElem *def, StreamingView *view);
static void change_max_files(DefElem *def, StreamingView *view);
static void change_catch_up_rate(DefElem *def, StreamingView *view);
static void change_enabled(DefElem *def, StreamingView *view);

static const ViewOption view_options[] =
{
	{"continuous", false, apply_continuous, NULL},
	{"trigger", true, apply_trigger, change_trigger},
	{"output_mode", false, apply_output_mode, NULL},
	{"sink", false, apply_sink, NULL},
	{"foreach", false, apply_foreach, NULL},
	{"foreach_open", false, apply_foreach_open, NULL},
	{"foreach_close", false, apply_foreach_close, NULL},
	{"foreach_batch", false, apply_foreach_batch, NULL},
	{"start", false, apply_start, NULL},
	{"follow", false, apply_follow, NULL},
	{"max_rows_per_trigger", true, apply_max_rows, change_max_rows},
	{"max_files_per_trigger", true, apply_max_files, change_max_files},
	{"catch_up_rate", true, apply_catch_up_rate, change_catch_up_rate},
	{"enabled", true, apply_enabled, change_enabled},

	/* settings, see settings.c */
	{"timezone", true, NULL, NULL},
	{"datestyle", true, NULL, NULL},
	{"intervalstyle", true, NULL, NULL},
	{"timezone_abbreviations", true, NULL, NULL},
	{"extra_float_digits", true, NULL, NULL},
	{"bytea_output", true, NULL, NULL},
	{"lc_monetary", true, NULL, NULL},
	{"lc_numeric", true, NULL, NULL},
	{"lc_time", true, NULL, NULL},
	{"default_text_search_config", true, NULL, NULL},
	{"xmlbinary", true, NULL, NULL},
	{"xmloption", true, NULL, NULL},
	{"array_nulls", true, NULL, NULL},
	{"transform_null_equals", true, NULL, NULL},
};

static bool
is_ours(DefElem *def)
{
	return def->defnamespace && strcmp(def->defnamespace, STREAMING_OPTION_NAMESPACE) == 0;
}

bool
streaming_has_view_options(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (is_ours(lfirst(lc)))
			return true;
	}
	return false;
}

List *
streaming_other_options(List *options)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, options)
	{
		if (!is_ours(lfirst(lc)))
			others = lappend(others, lfirst(lc));
	}
	return others;
}

static const ViewOption *
find_option(const char *name)
{
	const char *names[lengthof(view_options)];
	const char *closest;

	for (int i = 0; i < lengthof(view_options); i++)
	{
		if (strcmp(view_options[i].name, name) == 0)
			return &view_options[i];
		names[i] = view_options[i].name;
	}
	closest = streaming_closest_match(name, names, lengthof(names));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized option \"%s.%s\" of a continuous view",
					STREAMING_OPTION_NAMESPACE, name),
			 closest ? errhint("Perhaps you meant the option \"%s.%s\".",
							   STREAMING_OPTION_NAMESPACE, closest) : 0));
	return NULL;				/* keep compiler quiet */
}

static void
exclude(const char *name, const char *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("options \"%s.%s\" and \"%s.%s\" exclude each other",
					STREAMING_OPTION_NAMESPACE, name, STREAMING_OPTION_NAMESPACE, other),
			 errhint("A view has one sink. Make another view for the other, over this one or over the same stream.")));
}

static void
need_foreach(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s.%s\" needs \"%s.%s\"", STREAMING_OPTION_NAMESPACE, name,
					STREAMING_OPTION_NAMESPACE, "foreach"),
			 errhint("Name the function that is called for each row with \"%s.%s\".",
					 STREAMING_OPTION_NAMESPACE, "foreach")));
}

/* A view has one sink, whatever the order of the options. */
static void
check_sink_options(StreamingViewOptions *options)
{
	bool		sink = options->sink_kind != STREAMING_SINK_OWN;

	if (sink && options->foreach)
		exclude("sink", "foreach");
	if (sink && options->foreach_batch)
		exclude("sink", "foreach_batch");
	if (options->foreach && options->foreach_batch)
		exclude("foreach", "foreach_batch");
	if (options->foreach_open && !options->foreach)
		need_foreach("foreach_open");
	if (options->foreach_close && !options->foreach)
		need_foreach("foreach_close");
	if (options->foreach)
		options->sink_kind = STREAMING_SINK_FOREACH;
	if (options->foreach_batch)
		options->sink_kind = STREAMING_SINK_FOREACH_BATCH;
}

void
streaming_read_view_options(List *options, StreamingViewOptions *result)
{
	List	   *seen = NIL;
	ListCell   *lc;

	memset(result, 0, sizeof(*result));
	result->trigger_text = "asap";
	result->output_mode = -1;
	result->enabled = true;
	result->settings = streaming_settings_of_session();

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		const ViewOption *option;

		if (!is_ours(def))
			continue;
		option = find_option(def->defname);
		if (list_member_ptr(seen, option))
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("option \"%s.%s\" specified more than once",
							STREAMING_OPTION_NAMESPACE, option->name)));
		seen = lappend(seen, (void *) option);
		if (option->apply)
			option->apply(def, result);
		else
			result->settings = streaming_settings_change(result->settings, option->name,
														 defGetString(def));
	}
	check_sink_options(result);
}

void
streaming_change_view_options(StreamingView *view, List *options, bool reset)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		const ViewOption *option;

		if (!is_ours(def))
			continue;
		option = find_option(def->defname);
		if (!option->changeable)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("option \"%s.%s\" of a continuous view cannot be changed",
							STREAMING_OPTION_NAMESPACE, option->name),
					 errhint("Drop the view and create it again.")));
		if (option->change)
			option->change(reset ? NULL : def, view);
		else
			view->settings = streaming_settings_change(view->settings, option->name,
													   reset ? NULL : defGetString(def));
	}
}

/* ---------------------------------------------------------------------------
 * Single options
 * ---------------------------------------------------------------------------
 */

static void
value_error(const char *name, const char *value, const char *valid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s.%s\": \"%s\"",
					STREAMING_OPTION_NAMESPACE, name, value),
			 errhint("Valid values are %s.", valid)));
}

/* As PostgreSQL reads booleans of its own options. */
static bool
get_boolean(DefElem *def)
{
	bool		value = true;

	if (def->arg && !parse_bool(defGetString(def), &value))
		value_error(def->defname, defGetString(def), "\"on\" and \"off\"");
	return value;
}

static int64
get_positive_number(DefElem *def)
{
	char	   *value = defGetString(def);
	char	   *end;
	int64		number;

	/* It may be quoted, as numbers of PostgreSQL's own options may. */
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0')
		value_error(def->defname, value, "whole numbers");
	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s.%s\" must be greater than zero",
						STREAMING_OPTION_NAMESPACE, def->defname),
				 errhint("Without the option, and after RESET, there is no limit.")));
	return number;
}

static void
apply_continuous(DefElem *def, StreamingViewOptions *result)
{
	if (!get_boolean(def))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s.%s\" must be true", STREAMING_OPTION_NAMESPACE, def->defname),
				 errhint("Leave out all options \"%s.*\" to make an ordinary view, or set \"%s.enabled\" to off to make a view that waits.",
						 STREAMING_OPTION_NAMESPACE, STREAMING_OPTION_NAMESPACE)));
}

static void
apply_trigger(DefElem *def, StreamingViewOptions *result)
{
	int64		us;

	result->trigger_text = defGetString(def);
	(void) streaming_trigger_parse(result->trigger_text, &us);
}

static void
apply_output_mode(DefElem *def, StreamingViewOptions *result)
{
	char	   *value = defGetString(def);
	StreamingOutputMode mode;

	if (!streaming_output_mode_parse(value, &mode))
		value_error(def->defname, value, "\"append\", \"update\" and \"complete\"");
	result->output_mode = mode;
}

static void
apply_sink(DefElem *def, StreamingViewOptions *result)
{
	char	   *value = defGetString(def);

	if (strcmp(value, "console") == 0)
		result->sink_kind = STREAMING_SINK_CONSOLE;
	else if (strcmp(value, "memory") == 0)
		result->sink_kind = STREAMING_SINK_MEMORY;
	else
	{
		result->sink_kind = STREAMING_SINK_RELATION;
		result->sink = value;
	}
}

static void
apply_foreach(DefElem *def, StreamingViewOptions *result)
{
	result->foreach = defGetString(def);
}

static void
apply_foreach_open(DefElem *def, StreamingViewOptions *result)
{
	result->foreach_open = defGetString(def);
}

static void
apply_foreach_close(DefElem *def, StreamingViewOptions *result)
{
	result->foreach_close = defGetString(def);
}

static void
apply_foreach_batch(DefElem *def, StreamingViewOptions *result)
{
	result->foreach_batch = defGetString(def);
}

static void
apply_start(DefElem *def, StreamingViewOptions *result)
{
	result->start = streaming_check_start(defGetString(def));
}

/* Names separated by commas, each as in SQL. */
static void
apply_follow(DefElem *def, StreamingViewOptions *result)
{
	char	   *value = pstrdup(defGetString(def));
	char	   *name = value;
	bool		quoted = false;

	for (char *p = value;; p++)
	{
		if (*p == '"')
			quoted = !quoted;
		if (*p != '\0' && (*p != ',' || quoted))
			continue;
		result->follow = lappend(result->follow, pnstrdup(name, p - name));
		if (*p == '\0')
			break;
		name = p + 1;
	}
}

static void
apply_max_rows(DefElem *def, StreamingViewOptions *result)
{
	result->max_rows = get_positive_number(def);
}

static void
apply_max_files(DefElem *def, StreamingViewOptions *result)
{
	result->max_files = get_positive_number(def);
}

static void
apply_catch_up_rate(DefElem *def, StreamingViewOptions *result)
{
	result->catch_up_rate = get_positive_number(def);
}

static void
apply_enabled(DefElem *def, StreamingViewOptions *result)
{
	result->enabled = get_boolean(def);
}

static void
change_trigger(DefElem *def, StreamingView *view)
{
	view->trigger_text = def ? defGetString(def) : "asap";
	view->trigger = streaming_trigger_parse(view->trigger_text, &view->trigger_us);
}

static void
change_max_rows(DefElem *def, StreamingView *view)
{
	view->max_rows = def ? get_positive_number(def) : 0;
}

static void
change_max_files(DefElem *def, StreamingView *view)
{
	view->max_files = def ? get_positive_number(def) : 0;
}

static void
change_catch_up_rate(DefElem *def, StreamingView *view)
{
	view->catch_up_rate = def ? get_positive_number(def) : 0;
}

static void
change_enabled(DefElem *def, StreamingView *view)
{
	view->enabled = def ? get_boolean(def) : true;
}
