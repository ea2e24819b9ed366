/*
 * driver.c
 *		Runs a fuzz target where there is no libFuzzer.
 *
 *	TARGET CORPUS_DIRECTORY SECONDS [SEED]	mutates the files of a directory
 *	TARGET FILE								runs one input
 *
 * It mutates without feedback, so it finds less than libFuzzer does.  The
 * input under way is in the file "input" of the current directory whenever the
 * process dies.
 */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_LIMIT	4096
#define MAX_SEEDS	256

static uint8_t input[INPUT_LIMIT];
static size_t input_size;
static uint64_t random_state;

static struct
{
	uint8_t    *data;
	size_t		size;
}			seeds[MAX_SEEDS];
static int	nseeds;

static const char *const words[] = {
	"\"", "\\", "{", "}", "[", "]", ",", ":", "-", "0", "1.5e+3", "true", "false", "null", " ",
	"\n", "\r\n", "\\u0000", "\\ud83d", "\\ude00", "\xff", "\xc3\xa9", "\xed\xa0\x80", "\x1f",
	"\"a\":", "\"\\u0061\":", "[[[[[[[[", "\"\"", "\\n", "\x0c", "\x1a", ";"
};

static unsigned
random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned) (random_state >> 20) % n;
}

static void
save_input(void)
{
	FILE	   *file = fopen("input", "wb");

	if (file == NULL)
		return;
	(void) fwrite(input, 1, input_size, file);
	fclose(file);
}

static void
died(int signal_number)
{
	save_input();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void
read_seed(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	struct stat st;

	if (file == NULL || fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode))
	{
		if (file != NULL)
			fclose(file);
		return;
	}
	seeds[nseeds].data = malloc(INPUT_LIMIT);
	seeds[nseeds].size = fread(seeds[nseeds].data, 1, INPUT_LIMIT, file);
	nseeds++;
	fclose(file);
}

/* Replaces n bytes at a random place by those at data. */
static void
splice(size_t n, const void *data, size_t size)
{
	size_t		at = random_below((unsigned) input_size + 1);

	if (n > input_size - at)
		n = input_size - at;
	if (input_size - n + size > INPUT_LIMIT)
		return;
	memmove(input + at + size, input + at + n, input_size - at - n);
	memcpy(input + at, data, size);
	input_size += size - n;
}

static void
mutate(void)
{
	int			pick = random_below(nseeds);

	memcpy(input, seeds[pick].data, seeds[pick].size);
	input_size = seeds[pick].size;
	for (unsigned n = random_below(5); n > 0; n--)
	{
		uint8_t		byte = (uint8_t) random_below(256);
		const char *word = words[random_below(sizeof(words) / sizeof(words[0]))];

		switch (random_below(6))
		{
			case 0:
				splice(1, &byte, 1);
				break;
			case 1:
				splice(random_below(8), "", 0);
				break;
			case 2:
				pick = random_below(nseeds);
				splice(0, seeds[pick].data, random_below((unsigned) seeds[pick].size + 1));
				break;
			default:
				splice(random_below(2), word, strlen(word));
				break;
		}
	}
}

int
main(int argc, char **argv)
{
	time_t		end;
	unsigned long runs = 0;
	DIR		   *dir;
	struct dirent *entry;

	if (argc == 2)
	{
		read_seed(argv[1]);
		return nseeds == 1 ? LLVMFuzzerTestOneInput(seeds[0].data, seeds[0].size) : 2;
	}
	if (argc < 3 || (dir = opendir(argv[1])) == NULL)
	{
		fprintf(stderr, "usage: %s CORPUS_DIRECTORY SECONDS [SEED] | FILE\n", argv[0]);
		return 2;
	}
	while (nseeds < MAX_SEEDS && (entry = readdir(dir)) != NULL)
	{
		char		path[4096];

		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		read_seed(path);
	}
	closedir(dir);
	if (nseeds == 0)
		return 2;

	random_state = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t) time(NULL) * getpid();
	if (random_state == 0)
		random_state = 1;
	printf("seed %llu\n", (unsigned long long) random_state);
	fflush(stdout);
	signal(SIGABRT, died);
	signal(SIGSEGV, died);

	end = time(NULL) + atoi(argv[2]);
	do
	{
		for (int i = 0; i < 1000; i++, runs++)
		{
			mutate();
			LLVMFuzzerTestOneInput(input, input_size);
		}
	} while (time(NULL) < end);
	printf("%lu runs\n", runs);
	return 0;
}
