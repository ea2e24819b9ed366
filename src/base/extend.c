/*
 * extend.c
 *		Tables' files are made longer by many pages at once.
 *
 * P_NEW writes each page to the file as zeroes, only to keep its place.  A file system
 * keeps the place of many for the price of one.
 */
#include "postgres.h"

#include <fcntl.h>

#include "streaming.h"

#include "access/hio.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "storage/freespace.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"

#include "base/extend.h"

#ifdef STREAMING_HAS_ZEROEXTEND

BlockNumber
streaming_extend(Relation rel, BlockNumber blocks, BlockNumber wanted)
{
	smgrzeroextend(RelationGetSmgr(rel), MAIN_FORKNUM, blocks, wanted, false);
	return blocks + wanted;
}

#elif defined(HAVE_POSIX_FALLOCATE)

/* Within one file: those of a large table are made by the server. */
BlockNumber
streaming_extend(Relation rel, BlockNumber blocks, BlockNumber wanted)
{
	BlockNumber first = blocks % RELSEG_SIZE;
	uint32		segment = blocks / RELSEG_SIZE;
	char	   *path = relpath(RelationGetSmgr(rel)->smgr_rnode, MAIN_FORKNUM);
	int			fd;

	wanted = Min(wanted, RELSEG_SIZE - first);
	fd = first == 0 ? -1 :
		OpenTransientFile(segment == 0 ? path : psprintf("%s.%u", path, segment),
						  O_RDWR | PG_BINARY);
	if (fd < 0)
		return blocks;
	if (posix_fallocate(fd, (off_t) first * BLCKSZ, (off_t) wanted * BLCKSZ) != 0)
		wanted = 0;
	CloseTransientFile(fd);
	return blocks + wanted;
}

#else

BlockNumber
streaming_extend(Relation rel, BlockNumber blocks, BlockNumber wanted)
{
	return blocks;
}

#endif

#ifdef STREAMING_HAS_ZEROEXTEND

void
streaming_reserve(Relation rel, Size bytes, BulkInsertState bulk)
{
}

#else

/* For less than this P_NEW is as good. */
#define MIN_RESERVED_PAGES	4

/* As RelationAddExtraBlocks() does for those who wait for each other. */
void
streaming_reserve(Relation rel, Size bytes, BulkInsertState bulk)
{
	BlockNumber wanted = bytes / BLCKSZ;
	BlockNumber first;
	BlockNumber end;

	if (wanted < MIN_RESERVED_PAGES || GetPageWithFreeSpace(rel, BLCKSZ / 2) != InvalidBlockNumber)
		return;
	LockRelationForExtension(rel, ExclusiveLock);
	first = RelationGetNumberOfBlocks(rel);
	end = streaming_extend(rel, first, wanted);
	UnlockRelationForExtension(rel, ExclusiveLock);
	for (BlockNumber block = first; block < end; block++)
	{
		Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK,
												bulk->strategy);
		Page		page = BufferGetPage(buffer);

		if (PageIsNew(page))
			PageInit(page, BufferGetPageSize(buffer), 0);
		MarkBufferDirty(buffer);
		RecordPageWithFreeSpace(rel, block, PageGetHeapFreeSpace(page));
		UnlockReleaseBuffer(buffer);
	}
	if (end > first)
		FreeSpaceMapVacuumRange(rel, first, end);
}

#endif
