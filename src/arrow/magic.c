/*
 * magic.c
 *		Tells the server that the module streaming_arrow is of its version.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
