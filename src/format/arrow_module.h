/*
 * arrow_module.h
 *		What lies between us and the module streaming_arrow, which is in C++.
 *
 * The module wraps Apache Arrow's library, and is loaded when a stream has one of its
 * formats.  Rows pass as Arrow's C data interface has them, whose two structs are those
 * of its specification.
 *
 * No function of the module throws, calls the server, or makes a thread; each says in
 * its status what became of it.
 */
#ifndef STREAMING_ARROW_MODULE_H
#define STREAMING_ARROW_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* ---- The C data interface ---- */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED	1
#define ARROW_FLAG_NULLABLE				2
#define ARROW_FLAG_MAP_KEYS_SORTED		4

struct ArrowSchema
{
	const char *format;
	const char *name;
	const char *metadata;
	int64_t		flags;
	int64_t		n_children;
	struct ArrowSchema **children;
	struct ArrowSchema *dictionary;
	void		(*release) (struct ArrowSchema *);
	void	   *private_data;
};

struct ArrowArray
{
	int64_t		length;
	int64_t		null_count;
	int64_t		offset;
	int64_t		n_buffers;
	int64_t		n_children;
	const void **buffers;
	struct ArrowArray **children;
	struct ArrowArray *dictionary;
	void		(*release) (struct ArrowArray *);
	void	   *private_data;
};

#endif							/* ARROW_C_DATA_INTERFACE */

/* ---- The module ---- */

/* Changes with this file. */
#define STREAMING_ARROW_VERSION		3

/* A schema that is nested deeper, or has more fields in all, is refused. */
#define STREAMING_ARROW_MAX_DEPTH	64
#define STREAMING_ARROW_MAX_FIELDS	10000

typedef enum StreamingArrowKind
{
	STREAMING_ARROW_PARQUET,
	STREAMING_ARROW_IPC,		/* the file and the stream */
	STREAMING_ARROW_ORC			/* what the program streaming_orc says of one */
} StreamingArrowKind;

typedef enum StreamingArrowStatus
{
	STREAMING_ARROW_OK,
	STREAMING_ARROW_END,		/* there are no more rows */
	STREAMING_ARROW_DAMAGE,		/* it is no such file from here on, or one that cannot
								 * be read */
	STREAMING_ARROW_MEMORY,		/* it needs more memory than it is given */
	STREAMING_ARROW_TROUBLE		/* the input's read has failed */
} StreamingArrowStatus;

/*
 * The bytes of a file.  read: as pread, but says by -1 alone that it has failed.  Of ORC,
 * what the program says (arrow/orc_protocol.h), in its order: the offset is of no use;
 * write: what it is told, false: that has failed.
 */
typedef struct StreamingArrowInput
{
	int64_t		size;
	ssize_t		(*read) (void *arg, int64_t offset, void *to, size_t size);
	bool		(*write) (void *arg, const void *data, size_t size);
	void	   *arg;
} StreamingArrowInput;

#define STREAMING_ARROW_MESSAGE		512

/* Of DAMAGE, where the program has ended in the middle of what it says. */
#define STREAMING_ARROW_READER_ENDED	"its reader has ended"

typedef struct StreamingArrowError
{
	char		message[STREAMING_ARROW_MESSAGE];
} StreamingArrowError;

typedef struct StreamingArrowFile StreamingArrowFile;
typedef struct StreamingArrowWriter StreamingArrowWriter;

typedef struct StreamingArrowModule
{
	int			version;		/* STREAMING_ARROW_VERSION */
	const char *library;		/* whose it is, and which version */

	/*
	 * Opens a file.  memory: bytes that all files and batches of this process may take
	 * from now on.  *schema: a struct of its fields.
	 */
	StreamingArrowStatus (*open) (const StreamingArrowInput *input, StreamingArrowKind kind,
								  int64_t memory, StreamingArrowFile **file,
								  struct ArrowSchema *schema, StreamingArrowError *error);

	/* How many row groups it has; 0: its format has none. */
	int64_t		(*row_groups) (StreamingArrowFile *file);

	/*
	 * What is said of the values at a path of depth + 1 fields, depth structs above them:
	 * of each row group min and max, NULL where nothing is known of them, and how many
	 * are NULL, which may be NULL, and how many there are, as int64.  Text is binary.
	 * END: nothing that could be compared.
	 */
	StreamingArrowStatus (*statistics) (StreamingArrowFile *file, const int *path, int depth,
										struct ArrowSchema *schema, struct ArrowArray *groups,
										StreamingArrowError *error);

	/*
	 * Before the first next: the fields that are wanted, by their numbers, in order; the
	 * row groups that are not, NULL: all are; and how many rows to pass over.  *skipped:
	 * how many there are of them.
	 */
	StreamingArrowStatus (*begin) (StreamingArrowFile *file, const int *fields, int nfields,
								   const bool *excluded, int64_t skip, int64_t *skipped,
								   StreamingArrowError *error);

	/*
	 * The next rows: a struct of the fields wanted, in their order, that has been
	 * validated.  There is at least one.  It may outlive the file.  *size: its bytes;
	 * *excluded: rows before it, or before the end, that are in groups not wanted.
	 */
	StreamingArrowStatus (*next) (StreamingArrowFile *file, struct ArrowArray *batch,
								  int64_t *size, int64_t *excluded, StreamingArrowError *error);

	void		(*close) (StreamingArrowFile *file);

	/* Begins a file, not of ORC.  memory as for open.  The schema is released. */
	StreamingArrowStatus (*writer_open) (StreamingArrowKind kind, int64_t memory, struct ArrowSchema *schema,
										 StreamingArrowWriter **writer, StreamingArrowError *error);

	/*
	 * Writes a batch, NULL for none, as a row group or a batch of the file; end: and what a file ends with.  The
	 * batch is released before it returns.  *data: bytes of the file, until the next call.
	 */
	StreamingArrowStatus (*writer_write) (StreamingArrowWriter *writer, struct ArrowArray *batch, bool end,
										  const char **data, size_t *length, StreamingArrowError *error);

	void		(*writer_close) (StreamingArrowWriter *writer);
} StreamingArrowModule;

/* The function by which the module is found. */
#define STREAMING_ARROW_LIBRARY		"$libdir/streaming_arrow"
#define STREAMING_ARROW_FUNCTION	"streaming_arrow_module"

typedef const StreamingArrowModule *(*StreamingArrowFunction) (void);

#ifdef __cplusplus
}
#endif

#endif							/* STREAMING_ARROW_MODULE_H */
