/*
 * wanted.h
 *		Which fields of a record with names the columns of a stream want.
 */
#ifndef STREAMING_WANTED_H
#define STREAMING_WANTED_H

#include "catalog/stream.h"

/* A field that columns want; those of the same field share it. */
typedef struct StreamingWanted
{
	const StreamingColumn *column;	/* for its path */
	bool		any_case;
} StreamingWanted;

typedef struct StreamingWantedFields
{
	StreamingWanted *items;		/* as many as the stream may have columns */
	int			n;
} StreamingWantedFields;

/* in wanted.c */

/* The number of the field that the column wants, which is added unless it is there. */
extern int	streaming_want_column(StreamingWantedFields *wanted, const StreamingColumn *column);

/*
 * Which of n names is the step of the path of a number; -1: none.  name_of: one of them,
 * or NULL if nobody may want it.  A name that differs in case alone is as good where
 * no column says which, and no other field is meant by it.
 */
extern int	streaming_find_wanted(const StreamingWantedFields *wanted, int number, int step,
								  const char *(*name_of) (const void *record, int i),
								  const void *record, int n);

#endif							/* STREAMING_WANTED_H */
