/*
 * wanted.c
 *		Which fields of a record with names the columns of a stream want.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/wanted.h"

static bool same_path(const StreamingColumn *a, const StreamingColumn *b);
static bool is_somebodys(const StreamingWantedFields *wanted, const char *name);
static bool is_ambiguous(const StreamingWantedFields *wanted, int number);

int
streaming_want_column(StreamingWantedFields *wanted, const StreamingColumn *column)
{
	int			number = 0;

	while (number < wanted->n && !same_path(wanted->items[number].column, column))
		number++;
	if (number == wanted->n)
	{
		wanted->items[number].column = column;
		wanted->items[number].any_case = column->any_case;
		wanted->n++;
	}
	else if (!column->any_case)
		wanted->items[number].any_case = false;
	return number;
}

static bool
same_path(const StreamingColumn *a, const StreamingColumn *b)
{
	int			step = 0;

	while (step < a->npath && step < b->npath && strcmp(a->path[step], b->path[step]) == 0)
		step++;
	return step == a->npath && step == b->npath;
}

int
streaming_find_wanted(const StreamingWantedFields *wanted, int number, int step,
					  const char *(*name_of) (const void *record, int i),
					  const void *record, int n)
{
	const char *wish = wanted->items[number].column->path[step];

	for (int i = 0; i < n; i++)
	{
		const char *name = name_of(record, i);

		if (name && strcmp(name, wish) == 0)
			return i;
	}
	for (int i = 0; wanted->items[number].any_case && i < n; i++)
	{
		const char *name = name_of(record, i);

		if (name && pg_strcasecmp(name, wish) == 0 &&
			!is_somebodys(wanted, name) && !is_ambiguous(wanted, number))
			return i;
	}
	return -1;
}

/* Is a path's beginning called so? */
static bool
is_somebodys(const StreamingWantedFields *wanted, const char *name)
{
	for (int i = 0; i < wanted->n; i++)
		if (strcmp(wanted->items[i].column->path[0], name) == 0)
			return true;
	return false;
}

/* Columns that differ in case only have no other way to be told apart. */
static bool
is_ambiguous(const StreamingWantedFields *wanted, int number)
{
	for (int i = 0; i < wanted->n; i++)
		if (i != number && wanted->items[i].any_case &&
			pg_strcasecmp(wanted->items[i].column->path[0], wanted->items[number].column->path[0]) == 0)
			return true;
	return false;
}
