/*
 * column_set.c
 *		Sets of columns.
 */
#include "postgres.h"

#include "base/column_set.h"

void
streaming_columns_add(StreamingColumnSet *set, AttrNumber attno)
{
	Assert(attno > 0 && attno < STREAMING_COLUMN_WORDS * 64);
	set->words[attno / 64] |= UINT64CONST(1) << (attno % 64);
}

void
streaming_columns_union(StreamingColumnSet *set, const StreamingColumnSet *other)
{
	for (int i = 0; i < STREAMING_COLUMN_WORDS; i++)
		set->words[i] |= other->words[i];
}

bool
streaming_columns_subset(const StreamingColumnSet *part, const StreamingColumnSet *whole)
{
	for (int i = 0; i < STREAMING_COLUMN_WORDS; i++)
		if (part->words[i] & ~whole->words[i])
			return false;
	return true;
}
