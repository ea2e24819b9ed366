/*
 * topic_parts.c
 *		Which partitions a source of many topics has.
 *
 *		brokers' topics ── pattern ──▶ (topic, partition) ── topic_partitions ──▶ number
 *
 * Who may give numbers: a follower, and a view that begins (start).  Who catches up
 * reads what has one.  A SELECT guesses, and writes nothing.
 *
 * A topic is gone when the brokers have not told of it for GONE_GRACE, twice, or when
 * its records are others than those that it is known by.  Its numbers are marked as gone
 * by the follower, who says so in the log and goes on with the others; what is under the
 * name later is another topic, with other numbers, read from its beginning, unless it
 * has the old one's records: then it was only out of sight, and is read on.
 *
 *		there ──▶ missing ──▶ gone ──▶ another topic
 *		  ▲──────────┘◀────────┘ the same records
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "source/directory_files.h"
#include "source/topic_pattern.h"
#include "source/topics_internal.h"

/* ms that brokers may not tell of a topic which there is: one may lag behind others */
#define GONE_GRACE		5000

/* ms between questions whether topics are there that have no number yet */
#define SETTLE_INTERVAL	1000

/* A partition of a topic without a number. */
typedef struct Missing
{
	char	   *topic;
	int32		partition;
} Missing;

static void reload(StreamingTopics *topics);
static void add_part(StreamingTopics *topics, const StreamingTopicPartition *row);
static Missing *match_found(StreamingTopics *topics, const StreamingTopicsFound *found, int *n);
static int	by_topic(const void *a, const void *b);
static int	revive(StreamingTopics *topics, Missing *missing, int n, int timeout);
static int	leave_gone(StreamingTopics *topics, Missing *missing, int n);
static void number_missing(StreamingTopics *topics, Missing *missing, int n, bool write);
static void give_up(StreamingTopics *topics, const char *topic, const char *why);
static bool judge(StreamingTopics *topics, StreamingPlace *places, int n);
static void keep_marks(StreamingTopics *topics, const StreamingPlace *places, int n);
static void forget_marks(StreamingTopics *topics, StreamingPlace *places, int n);
static int	place_by_topic(const void *a, const void *b);

/* ------------------------------------------------------------------------
 * What there is
 * ------------------------------------------------------------------------ */

void
streaming_parts_take(StreamingTopics *topics, const StreamingTopicsFound *found,
					 bool may_register, int timeout, bool in_poll)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streaming topics found",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Missing    *missing;
	int			n;

	topics->stale = false;
	reload(topics);
	missing = match_found(topics, found, &n);
	if (n > 0 && topics->mode == STREAMING_READ_BATCH)
		number_missing(topics, missing, n, false);
	else if (n > 0 && may_register)
	{
		if (streaming_files_lock(topics->base.stream->relid, timeout))
		{
			int			from;

			/* others may have been first */
			reload(topics);
			missing = match_found(topics, found, &n);
			n = topics->mode == STREAMING_READ_FOLLOW ? revive(topics, missing, n, timeout) :
				leave_gone(topics, missing, n);
			from = topics->nparts;
			number_missing(topics, missing, n, true);
			if (in_poll && topics->nparts > from)
			{
				topics->pending = GetTopTransactionId();
				topics->pending_from = from;
			}
		}
		else if (timeout > 0)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not register new topics of stream %s: another transaction is registering topics",
							topics->base.stream->name)));
		else
			topics->stale = true;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* What the table has; guesses are made once, and stay. */
static void
reload(StreamingTopics *topics)
{
	StreamingTopicPartition *rows;
	int			n;

	if (topics->mode == STREAMING_READ_BATCH && topics->registered >= 0)
		return;
	rows = streaming_topic_numbers_read(topics->base.stream->relid, &n);
	for (int i = 0; i < n; i++)
	{
		if (i >= topics->nparts)
			add_part(topics, &rows[i]);
		else if (rows[i].gone != topics->parts[i].row.gone)
		{
			topics->parts[i].row.gone = rows[i].gone;
			if (rows[i].gone)
				streaming_parts_stop(topics, i);
		}
	}
	topics->registered = n;
}

static void
add_part(StreamingTopics *topics, const StreamingTopicPartition *row)
{
	MemoryContext old = MemoryContextSwitchTo(topics->context);
	StreamingPart *part;

	if (topics->nparts == topics->allocated)
	{
		topics->allocated = Max(topics->allocated * 2, 16);
		topics->parts = topics->parts == NULL ?
			palloc(sizeof(StreamingPart) * topics->allocated) :
			repalloc(topics->parts, sizeof(StreamingPart) * topics->allocated);
	}
	part = &topics->parts[topics->nparts];
	memset(part, 0, sizeof(StreamingPart));
	part->row = *row;
	part->row.topic = pstrdup(row->topic);
	part->row.number = topics->nparts++;
	part->path = psprintf("%s:%d", row->topic, row->mark.partition);
	part->next = part->end = -1;
	MemoryContextSwitchTo(old);
}

/*
 * Sets there of all parts, and returns those that have no number, of *n.
 */
static Missing *
match_found(StreamingTopics *topics, const StreamingTopicsFound *found, int *n)
{
	const char *pattern = topics->base.stream->topic;
	StreamingPart **sorted = MemoryContextAllocHuge(CurrentMemoryContext,
													sizeof(StreamingPart *) * Max(topics->nparts, 1));
	Missing    *missing = palloc(sizeof(Missing));
	int			allocated = 1;
	int			live = 0;

	*n = 0;
	for (int i = 0; i < topics->nparts; i++)
	{
		topics->parts[i].there = false;
		if (!topics->parts[i].row.gone)
			sorted[live++] = &topics->parts[i];
	}
	qsort(sorted, live, sizeof(StreamingPart *), by_topic);
	for (int t = 0; t < found->n; t++)
	{
		const StreamingTopicFound *topic = &found->topics[t];

		CHECK_FOR_INTERRUPTS();
		if (!streaming_topic_pattern_matches(pattern, topic->name))
			continue;
		for (int p = 0; p < topic->npartitions; p++)
		{
			StreamingPart key = {.row = {.topic = topic->name,.mark = {.partition = p}}};
			StreamingPart *wanted = &key;
			StreamingPart **part = live == 0 ? NULL :
				bsearch(&wanted, sorted, live, sizeof(StreamingPart *), by_topic);

			if (part != NULL)
			{
				(*part)->there = !(*part)->other;
				(*part)->missing_since = 0;
				continue;
			}
			if (*n == allocated)
				missing = repalloc(missing, sizeof(Missing) * (allocated *= 2));
			missing[(*n)++] = (Missing) {topic->name, p};
			if (*n > STREAMING_MAX_TOPIC_PARTITIONS)
				break;			/* number_missing says so */
		}
	}
	return missing;
}

static int
by_topic(const void *a, const void *b)
{
	const StreamingTopicPartition *x = &(*(StreamingPart *const *) a)->row;
	const StreamingTopicPartition *y = &(*(StreamingPart *const *) b)->row;
	int			order = strcmp(x->topic, y->topic);

	return order != 0 ? order : x->mark.partition < y->mark.partition ? -1 :
		x->mark.partition > y->mark.partition ? 1 : 0;
}

/* The newest of the parts that are gone and had this name; -1: none. */
static int
find_gone(StreamingTopics *topics, const Missing *missing)
{
	for (int i = topics->nparts - 1; i >= 0; i--)
	{
		const StreamingTopicPartition *row = &topics->parts[i].row;

		if (row->gone && row->mark.partition == missing->partition &&
			strcmp(row->topic, missing->topic) == 0)
			return i;
	}
	return -1;
}

/* Has the topic parts, gone or not? */
static bool
has_parts(StreamingTopics *topics, const char *topic, bool gone)
{
	for (int i = 0; i < topics->nparts; i++)
	{
		if (topics->parts[i].row.gone == gone && strcmp(topics->parts[i].row.topic, topic) == 0)
			return true;
	}
	return false;
}

/*
 * Takes those out of missing whose topic was given up and has the records that it had;
 * returns how many are left.
 */
static int
revive(StreamingTopics *topics, Missing *missing, int n, int timeout)
{
	StreamingPlace *places = palloc0(sizeof(StreamingPlace) * Max(n, 1));
	StreamingTopicPartition *rows = palloc(sizeof(StreamingTopicPartition) * Max(n, 1));
	int			nplaces = 0;
	int			nrows = 0;
	int			left = 0;

	for (int i = 0; i < n; i++)
	{
		int			gone = find_gone(topics, &missing[i]);

		if (gone >= 0 && topics->parts[gone].row.mark.offset >= 0)
			places[nplaces++] = (StreamingPlace) {.topic = topics->parts[gone].row.topic,
			.number = gone,.mark = topics->parts[gone].row.mark};
	}
	if (!streaming_survey_marks(streaming_topics_verifier(topics),
								timeout > 0 ? timeout : streaming_connect_timeout, places, nplaces))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("no answer from Kafka whether topics of stream %s are those that were deleted",
						topics->base.stream->name)));
	for (int i = 0; i < n; i++)
	{
		int			gone = find_gone(topics, &missing[i]);
		bool		same = false;
		bool		other = false;

		for (int p = 0; p < nplaces; p++)
		{
			if (strcmp(places[p].topic, missing[i].topic) != 0)
				continue;
			same |= places[p].likeness == STREAMING_TOPIC_SAME;
			other |= places[p].likeness == STREAMING_TOPIC_OTHER;
		}
		if (gone < 0 || !same || other)
		{
			missing[left++] = missing[i];
			continue;
		}
		topics->parts[gone].row.gone = false;
		topics->parts[gone].there = true;
		topics->parts[gone].other = false;
		topics->parts[gone].missing_since = 0;
		rows[nrows++] = topics->parts[gone].row;
	}
	if (nrows > 0)
		streaming_topic_numbers_write(topics->base.stream->relid, rows, nrows);
	return left;
}

/* That is for the follower to find out. */
static int
leave_gone(StreamingTopics *topics, Missing *missing, int n)
{
	int			left = 0;

	for (int i = 0; i < n; i++)
	{
		if (!has_parts(topics, missing[i].topic, true) || has_parts(topics, missing[i].topic, false))
			missing[left++] = missing[i];
	}
	return left;
}

static void
number_missing(StreamingTopics *topics, Missing *missing, int n, bool write)
{
	StreamingTopicPartition *rows = palloc0(sizeof(StreamingTopicPartition) * Max(n, 1));
	int			from = topics->nparts;

	if (n > STREAMING_MAX_TOPIC_PARTITIONS - from)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("stream %s has too many partitions", topics->base.stream->name),
				 errdetail("Its topics have %d, and those that were deleted count; the limit is %d.",
						   from + n, STREAMING_MAX_TOPIC_PARTITIONS),
				 errhint("Let the regular expression of the option \"topic\" match fewer topics, or make a new stream, which begins to count anew.")));
	for (int i = 0; i < n; i++)
	{
		rows[i].number = from + i;
		rows[i].topic = missing[i].topic;
		rows[i].mark = (StreamingKafkaMark) {.partition = missing[i].partition,.offset = -1};
		add_part(topics, &rows[i]);
		topics->parts[from + i].there = true;
	}
	if (!write || n == 0)
		return;
	streaming_topic_numbers_add(topics->base.stream->relid, rows, n);
	topics->registered = topics->nparts;
}

StreamingPlace *
streaming_parts_places(StreamingTopics *topics, int *n)
{
	StreamingPlace *places = palloc0(sizeof(StreamingPlace) * Max(topics->nparts, 1));

	*n = 0;
	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];

		if (part->there && !part->row.gone)
			places[(*n)++] = (StreamingPlace) {.topic = part->row.topic,.number = i,
			.mark = part->row.mark};
	}
	return places;
}

/* ------------------------------------------------------------------------
 * What has gone
 * ------------------------------------------------------------------------ */

/* True: some are missing, but not yet for long. */
bool
streaming_parts_give_up(StreamingTopics *topics)
{
	const char *pattern = topics->base.stream->topic;
	StreamingTime now = streaming_now();
	bool		waits = false;

	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];

		if (part->there || part->row.gone ||
			!streaming_topic_pattern_matches(pattern, part->row.topic))
			continue;
		if (part->missing_since == 0)
			part->missing_since = now;
		if (streaming_time_passed(part->missing_since, now, GONE_GRACE))
			give_up(topics, part->row.topic, "has been deleted");
		else
			waits = true;
	}
	return waits;
}

/* Only a follower writes it down, and who catches up waits until it has. */
static void
give_up(StreamingTopics *topics, const char *topic, const char *why)
{
	StreamingTopicPartition *rows = palloc(sizeof(StreamingTopicPartition) * topics->nparts);
	int			n = 0;

	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];

		if (part->row.gone || strcmp(part->row.topic, topic) != 0)
			continue;
		streaming_parts_stop(topics, i);
		part->there = false;
		part->other = true;
		if (topics->mode != STREAMING_READ_CATCHUP)
			part->row.gone = true;
		rows[n++] = part->row;
	}
	if (topics->mode == STREAMING_READ_FOLLOW && n > 0)
	{
		streaming_topic_numbers_write(topics->base.stream->relid, rows, n);
		ereport(LOG,
				(errmsg("topic \"%s\" of stream %s %s", topic, topics->base.stream->name, why)));
	}
	topics->stale = true;		/* there may be another one */
	pfree(rows);
}

bool
streaming_parts_verify(StreamingTopics *topics, StreamingKafka *client, bool all, int timeout)
{
	StreamingPlace *places;
	int			n;
	int			asked = 0;

	places = streaming_parts_places(topics, &n);
	for (int i = 0; i < n; i++)
	{
		if (all || topics->parts[places[i].number].delivered)
			places[asked++] = places[i];
	}
	if (!streaming_survey_marks(client, timeout, places, asked))
	{
		pfree(places);
		return false;
	}
	for (int i = 0; i < asked; i++)
	{
		topics->parts[places[i].number].delivered = false;
		topics->parts[places[i].number].compared = true;
	}
	if (!judge(topics, places, asked))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("topics of stream %s were created anew while they were read",
						topics->base.stream->name)));
	pfree(places);
	return true;
}

/*
 * Topic by topic: is it still the one that it was?  False: one is not, and who reads
 * on its own cannot go on with the others, since it has been seen halfway.
 */
static bool
judge(StreamingTopics *topics, StreamingPlace *places, int n)
{
	bool		good = true;
	int			from = 0;

	qsort(places, n, sizeof(StreamingPlace), place_by_topic);
	while (from < n)
	{
		int			to = from;
		bool		same = false;
		bool		other = false;

		for (; to < n && strcmp(places[to].topic, places[from].topic) == 0; to++)
		{
			same |= places[to].likeness == STREAMING_TOPIC_SAME;
			other |= places[to].likeness == STREAMING_TOPIC_OTHER;
		}
		if (same && other)
			forget_marks(topics, places + from, to - from);
		else if (other)
		{
			good &= topics->mode != STREAMING_READ_CATCHUP || !topics->positioned;
			give_up(topics, places[from].topic, "was created anew, and is read from its beginning");
		}
		else
			keep_marks(topics, places + from, to - from);
		from = to;
	}
	return good;
}

static void
keep_marks(StreamingTopics *topics, const StreamingPlace *places, int n)
{
	StreamingTopicPartition *rows = palloc(sizeof(StreamingTopicPartition) * n);
	int			changed = 0;

	for (int i = 0; i < n; i++)
	{
		StreamingPart *part = &topics->parts[places[i].number];

		if (places[i].mark.offset == part->row.mark.offset)
			continue;
		part->row.mark = places[i].mark;
		rows[changed++] = part->row;
	}
	if (changed > 0 && topics->mode == STREAMING_READ_FOLLOW)
		streaming_topic_numbers_write(topics->base.stream->relid, rows, changed);
	pfree(rows);
}

/*
 * Some partitions of a topic have other records where others have the same: it is the
 * topic that it was, of which the brokers have lost messages.  Who stands behind the
 * end of a partition fails there.
 */
static void
forget_marks(StreamingTopics *topics, StreamingPlace *places, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (places[i].likeness != STREAMING_TOPIC_OTHER)
			continue;
		places[i].mark.offset = -1;
		if (topics->mode == STREAMING_READ_FOLLOW)
			ereport(LOG,
					(errmsg("partition %d of topic \"%s\" of stream %s has other messages than before: the brokers have lost some",
							places[i].mark.partition, places[i].topic, topics->base.stream->name)));
	}
	keep_marks(topics, places, n);
}

static int
place_by_topic(const void *a, const void *b)
{
	return strcmp(((const StreamingPlace *) a)->topic, ((const StreamingPlace *) b)->topic);
}

/* ------------------------------------------------------------------------
 * Guesses
 * ------------------------------------------------------------------------ */

/*
 * Others may have come in between, so the guesses do not tell.  A topic that is gone
 * meanwhile gets no number.
 */
bool
streaming_parts_settle(StreamingTopics *topics, StreamingPositions *end)
{
	StreamingStream *stream = topics->base.stream;
	int			n;
	StreamingTopicPartition *rows = streaming_topic_numbers_read(stream->relid, &n);
	bool		settled = true;

	streaming_positions_init(end);
	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];
		int32		number = i < topics->registered ? i : -1;

		if (!part->there || part->end < 0)
			continue;
		for (int r = n - 1; number < 0 && r >= 0; r--)
		{
			if (!rows[r].gone && rows[r].mark.partition == part->row.mark.partition &&
				strcmp(rows[r].topic, part->row.topic) == 0)
				number = r;
		}
		if (number >= 0)
			streaming_positions_set(end, number, part->end);
		else
			settled = false;
	}
	if (!settled && streaming_now() >= topics->settle_at)
	{
		StreamingTopicsFound found;

		streaming_survey_topics(topics->client, stream, streaming_connect_timeout, &found);
		for (int i = topics->registered; i < topics->nparts; i++)
		{
			StreamingPart *part = &topics->parts[i];

			if (streaming_survey_find(&found, part->row.topic) == NULL)
				part->there = false;
		}
		topics->settle_at = streaming_time_plus(streaming_now(), SETTLE_INTERVAL);
	}
	return settled;
}
