/*
 * value.h
 *		A value with a type, and what it has to do with event time.
 */
#ifndef STREAMING_VALUE_H
#define STREAMING_VALUE_H

#include "access/attnum.h"
#include "nodes/bitmapset.h"
#include "nodes/nodes.h"
#include "utils/timestamp.h"

/* How the time at which a group closes follows from one of its keys. */
typedef enum StreamingWindowKind
{
	STREAMING_WINDOW_NONE,
	STREAMING_WINDOW_TIME,		/* the key is the event time itself */
	STREAMING_WINDOW_START,		/* begins a window: key + length */
	STREAMING_WINDOW_RANGE,		/* upper(key) */
	STREAMING_WINDOW_SESSION	/* behind upper(key): who comes then joins no more */
} StreamingWindowKind;

/*
 * A column that is event time, or a window of it.  Rows that come or go after the
 * watermark has passed the end of their window, and delay more, are late.
 */
typedef struct StreamingWindow
{
	StreamingWindowKind kind;
	Interval   *length;			/* START; RANGE: NULL if it is not known */
	Node	   *zone;			/* the time zone that length is added in; NULL:
								 * the session's */
	bool		from_epoch;		/* windows follow each other from the Unix epoch */
	int64		delay;			/* microseconds */
	bool		has_late;		/* late rows are still among them */
	Bitmapset  *inputs;			/* of the program, whose event time it is */
	int			side;			/* 1, 2: of an outer join, NULL where a row of the
								 * other side has met none; 0: never NULL for that */
	int			join;			/* then: the number of its stage */
} StreamingWindow;

/* A value with a type: a group key, an aggregate's argument, an output column. */
typedef struct StreamingValue
{
	char	   *name;
	char	   *column;			/* output column: as name in what is not the user's;
								 * see streaming_column_name */
	Oid			type;
	int32		typmod;
	Oid			collation;
	Oid			eqop;			/* keys: the equality of GROUP BY; Invalid: equal
								 * is what has the same bytes */
	AttrNumber	attno;			/* where its table keeps it; 0: nowhere */
	int			key;			/* output column: the key it is, or -1 */
	int			aggregate;		/* output column: the aggregate it is, or -1 */
	StreamingWindow event;		/* output column: the event time that it is */
} StreamingValue;

#endif							/* STREAMING_VALUE_H */
