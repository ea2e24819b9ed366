/*
 * depend.h
 *		What pg_depend says of an object.
 */
#ifndef STREAMING_DEPEND_H
#define STREAMING_DEPEND_H

#include "nodes/pg_list.h"

/* A row of pg_depend, from one of its two sides: the other object. */
typedef struct StreamingDependency
{
	Oid			class;			/* oid of the catalog that it is in */
	Oid			object;
	int32		column;			/* of it; 0: the whole */
	int32		own_column;		/* of the object that was asked about; 0: the whole */
	char		type;			/* DEPENDENCY_xxx */
} StreamingDependency;

/* What object, of catalog class, depends on: of StreamingDependency. */
extern List *streaming_dependencies(Oid class, Oid object);

/*
 * What depends on it; by class and oid, not as its rows lie in pg_depend, so that the same
 * one is told of first.
 */
extern List *streaming_dependents(Oid class, Oid object);

/* What the query of a view depends on. */
extern List *streaming_query_dependencies(Oid view);

#endif							/* STREAMING_DEPEND_H */
