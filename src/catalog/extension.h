/*
 * extension.h
 *		Which objects of the database are the extension's.
 *
 * A name tells nothing: in a database without the extension anybody may make
 * schemas and functions of these names.  What counts is membership, as
 * pg_depend has it.
 *
 * All may be called anywhere, and are cheap: what was found is remembered until
 * a schema is made, dropped or renamed.  Outside transactions, and in those that
 * have failed, they find nothing.
 */
#ifndef STREAMING_EXTENSION_H
#define STREAMING_EXTENSION_H

/* in extension.c */

/*
 * Is the extension here, with both of its schemas?  Not while pg_upgrade makes them,
 * piece by piece, and nothing else may be made.
 */
extern bool streaming_is_installed(void);

/* The schemas; Invalid: not installed, or it is being made or dropped. */
extern Oid	streaming_catalog_namespace(void);
extern Oid	streaming_internal_namespace(void);

/* Does the extension have a function of that name (with any arguments) which is function? */
extern bool streaming_is_our_function(Oid function, const char *name);

/*
 * The extension's table (or sequence) of that name in one of these schemas; Invalid:
 * there is none.
 */
extern Oid	streaming_member_table(Oid schema, const char *name);

/* Its owner; Invalid: not installed. */
extern Oid	streaming_catalog_owner(void);

#endif							/* STREAMING_EXTENSION_H */
