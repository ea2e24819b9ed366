/*
 * closest_match.c
 *		What the user may have meant by a word that does not exist.
 *
 * ClosestMatchState of varlena.h does this since PostgreSQL 16 (upstream commit
 * 5ac51c8c9e); the limits here are the same.
 */
#include "postgres.h"

#include "utils/varlena.h"

#include "base/closest_match.h"

#define MAX_DISTANCE 4
#define MAX_LENGTH 255			/* of varstr_levenshtein */

const char *
streaming_closest_match(const char *name, const char *const *candidates, int n)
{
	int			length = strlen(name);
	int			best = MAX_DISTANCE + 1;
	const char *match = NULL;

	if (length > MAX_LENGTH)
		return NULL;
	for (int i = 0; i < n; i++)
	{
		int			distance = varstr_levenshtein_less_equal(name, length, candidates[i],
															 strlen(candidates[i]), 1, 1, 1,
															 MAX_DISTANCE, true);

		if (distance < best && distance <= length / 2)
		{
			best = distance;
			match = candidates[i];
		}
	}
	return match;
}
