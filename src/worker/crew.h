/*
 * crew.h
 *		What the coordinator does about workers that are busy for long, and about
 *		views that wait.
 */
#ifndef STREAMING_CREW_H
#define STREAMING_CREW_H

#include "shared/slots.h"

/* A query worker, by its number, for who deals out views. */
typedef struct StreamingCrew
{
	/* set by the coordinator */
	bool		live;			/* it may be given views */
	int			worker;			/* index of its slot */

	/* assign.c's, 0 at first */
	int			load;			/* views it has */
	Oid			owner;			/* of all of them; Invalid: there are several */
	bool		busy;			/* its batch holds up others */
	Oid			busy_owner;		/* of the view of that */
	int			busy_slot;		/* that view's slot */
} StreamingCrew;

/* in assign.c */

/*
 * Deals the enabled views of this database out to crews, n of them.  full: the
 * server has no room for a worker, which is told to the views that have none.
 * *held_up: a batch holds up others.  Returns whether one worker more would help.
 */
extern bool streaming_assign_views(StreamingCrew *crews, int n, bool full, bool *held_up);

/* in watch.c */

/* Cancels what takes long and is in somebody's way. */
extern void streaming_watch_workers(void);

#endif							/* STREAMING_CREW_H */
