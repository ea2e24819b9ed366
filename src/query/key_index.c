/*
 * key_index.c
 *		The index on the group key of what users read, result_<id>_$key.
 *
 * Nobody has asked for it, so it must do no harm: no row is too large for it, none of
 * it calls what a user wrote, it does not grow with the updates of a group, and where
 * it cannot be so there is none.
 *
 *	B-tree	of the keys that are outputs, in the order of GROUP BY, as many as fit into
 *			an entry whatever their values are
 *	hash	of a key that has no such limit, such as text, if it is the only one: in a
 *			hash index rows of the same value are found one after the other, and here
 *			there is one of each
 *
 * The session is left out of its keys, since it changes.  When the index is made is
 * exec/result_index.c's matter.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "query/key_index.h"
#include "streaming.h"

/* Less than a B-tree takes, a third of a page. */
#define MAX_ENTRY	2000

/* Address, prefix and mask, with what a varlena begins with. */
#define INET_WIDTH	32

bool
streaming_type_is_plain(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);

	if (OidIsValid(element))
		return streaming_type_is_plain(element);
	return base < FirstUnpinnedObjectId || get_typtype(base) == TYPTYPE_ENUM;
}

/* Bytes that a value has at most; -1: there is no limit. */
static int
max_width(Oid type, int32 typmod)
{
	Oid			base = getBaseTypeAndTypmod(type, &typmod);
	Oid			subtype = get_range_subtype(base);
	int			width;

	if (get_typlen(base) > 0)
		return get_typlen(base);
	if (base == INETOID || base == CIDROID)
		return INET_WIDTH;
	if (OidIsValid(subtype))
	{
		width = max_width(subtype, -1);
		return width < 0 ? -1 : 2 * MAXALIGN(width) + INET_WIDTH;
	}
	return type_maximum_size(base, typmod);
}

static bool
has_opclass(Oid type, Oid method)
{
	Oid			opclass = GetDefaultOpClass(type, method);

	return OidIsValid(opclass) && opclass < FirstUnpinnedObjectId;
}

bool
streaming_type_fits_index(Oid type, int32 typmod)
{
	int			width = max_width(type, typmod);

	return streaming_type_is_plain(type) && width >= 0 && width <= MAX_ENTRY &&
		has_opclass(type, BTREE_AM_OID);
}

bool
streaming_type_is_ordered(Oid type)
{
	return streaming_type_is_plain(type) && has_opclass(type, BTREE_AM_OID);
}

/* The output that a key is; NULL: none. */
static const StreamingValue *
output_of_key(const StreamingStage *stage, int key)
{
	for (int i = 0; i < stage->noutputs; i++)
	{
		if (stage->outputs[i].key == key)
			return &stage->outputs[i];
	}
	return NULL;
}

char *
streaming_key_index_name(const StreamingStage *stage)
{
	return psprintf("%s_$key", stage->result_table);
}

char *
streaming_key_index_ddl(const StreamingStage *stage)
{
	int			nkeys = stage->nkeys - (stage->kind == STREAMING_STAGE_SESSION ? 1 : 0);
	const char *method = "btree";
	int			size = 0;
	int			n = 0;
	StringInfoData columns;

	if (stage->result_table == NULL || !streaming_has_groups(stage))
		return NULL;
	initStringInfo(&columns);
	for (int i = 0; i < nkeys && n < INDEX_MAX_KEYS; i++)
	{
		const StreamingValue *output = output_of_key(stage, i);
		int			width;

		if (output == NULL || !streaming_type_is_plain(output->type))
			continue;
		width = max_width(output->type, output->typmod);
		if (width < 0 || !has_opclass(output->type, BTREE_AM_OID))
		{
			if (stage->nkeys > 1 || !has_opclass(output->type, HASH_AM_OID))
				continue;
			method = "hash";
			width = 0;
		}
		size += MAXALIGN(width);
		if (size > MAX_ENTRY)
			break;
		appendStringInfo(&columns, "%s%s", n++ > 0 ? ", " : "", quote_identifier(output->column));
	}
	if (n == 0)
		return NULL;
	return psprintf("CREATE INDEX %s ON %s.%s USING %s (%s)",
					quote_identifier(streaming_key_index_name(stage)), STREAMING_INTERNAL_SCHEMA,
					quote_identifier(stage->result_table), method, columns.data);
}
