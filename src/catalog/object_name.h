/*
 * object_name.h
 *		Names of objects, as a statement can have them under any search_path.
 */
#ifndef STREAMING_OBJECT_NAME_H
#define STREAMING_OBJECT_NAME_H

/* in object_name.c */

/*
 * Schema-qualified, quoted names of a relation and of a collation.  (The server's
 * generate_collation_name leaves the schema out where search_path has it.)
 */
extern char *streaming_qualified_name(Oid relid);
extern char *streaming_collation_name(Oid collation);

#endif							/* STREAMING_OBJECT_NAME_H */
