/*
 * compression.c
 *		How files are compressed.
 */
#include "postgres.h"

#include "format/compression.h"

StreamingCompression
streaming_file_compression(const StreamingStream *stream, const char *path)
{
	const char *option = stream->compression;
	size_t		length = strlen(path);

	if (option == NULL || pg_strcasecmp(option, "auto") == 0)
	{
		if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
			return STREAMING_COMPRESSION_GZIP;
		if (length > 4 && strcmp(path + length - 4, ".zst") == 0)
			return STREAMING_COMPRESSION_ZSTD;
		return STREAMING_COMPRESSION_NONE;
	}
	if (pg_strcasecmp(option, "none") == 0)
		return STREAMING_COMPRESSION_NONE;
	if (pg_strcasecmp(option, "gzip") == 0)
		return STREAMING_COMPRESSION_GZIP;
	if (pg_strcasecmp(option, "zstd") == 0)
		return STREAMING_COMPRESSION_ZSTD;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", "compression", option),
			 errhint("Valid values are \"none\", \"gzip\" and \"zstd\".")));
}
