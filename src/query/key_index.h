/*
 * key_index.h
 *		The index on the group key of what users read.
 */
#ifndef STREAMING_KEY_INDEX_H
#define STREAMING_KEY_INDEX_H

#include "query/program.h"

/*
 * Are values of a type compared, hashed and analyzed without any code but the
 * server's?  An index of ours runs it as the extension's owner.
 */
extern bool streaming_type_is_plain(Oid type);

/* And can they be in a B-tree index, whatever they are? */
extern bool streaming_type_fits_index(Oid type, int32 typmod);

/* Can an index of those of its values that are narrow (streaming_internal.is_narrow)? */
extern bool streaming_type_is_ordered(Oid type);

extern char *streaming_key_index_name(const StreamingStage *stage);

/*
 * CREATE INDEX on the keys of the stage's result table, in CurrentMemoryContext; NULL:
 * there are none that can be indexed at no risk.
 */
extern char *streaming_key_index_ddl(const StreamingStage *stage);

#endif							/* STREAMING_KEY_INDEX_H */
