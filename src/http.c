/*
 * http.c
 *		Requests to a web server: the one wrapper of libcurl.
 */
#include "postgres.h"

#include "streaming.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

#include "http.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "base/clean_text.h"

#define CONNECT_TIMEOUT_MS	5000L
#define TIMEOUT_MS			15000L

/* libcurl's sockets are not in our wait sets, so it is asked as often. */
#define PAUSE_MS			5

/* What the callback fills; malloc'ed, since an error may not leave libcurl. */
typedef struct Received
{
	char	   *data;
	size_t		length;
	size_t		allocated;
	bool		too_long;
} Received;

typedef struct Transfer
{
	CURLM	   *multi;
	CURL	   *easy;
	struct curl_slist *headers;
	Received	received;
	char		error[CURL_ERROR_SIZE];
} Transfer;

static bool converse(Transfer *transfer, const StreamingHttpRequest *request,
					 StreamingHttpAnswer *answer, char **trouble);
static bool begin(Transfer *transfer, const StreamingHttpRequest *request);
static void set_blob(CURL *easy, CURLoption option, const char *pem);
static CURLcode run(Transfer *transfer);
static void end(Transfer *transfer);
static size_t receive(char *data, size_t size, size_t n, void *argument);

bool
streaming_http_ask(const StreamingHttpRequest *request, StreamingHttpAnswer *answer, char **trouble)
{
	Transfer	transfer = {0};
	volatile bool good = false;

	PG_TRY();
	{
		good = converse(&transfer, request, answer, trouble);
	}
	PG_CATCH();
	{
		end(&transfer);
		PG_RE_THROW();
	}
	PG_END_TRY();
	end(&transfer);
	return good;
}

static bool
converse(Transfer *transfer, const StreamingHttpRequest *request, StreamingHttpAnswer *answer,
		 char **trouble)
{
	CURLcode	code;

	if (!begin(transfer, request))
	{
		*trouble = pstrdup("out of memory");
		return false;
	}
	code = run(transfer);
	if (code != CURLE_OK)
	{
		*trouble = transfer->received.too_long ?
			psprintf("the answer is longer than %d bytes", STREAMING_HTTP_MAX_ANSWER) :
			pstrdup(transfer->error[0] ? transfer->error : curl_easy_strerror(code));
		/* it may quote the server's certificate */
		streaming_clean_text(*trouble);
		return false;
	}
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	answer->length = transfer->received.length;
	answer->body = palloc(answer->length + 1);
	if (answer->length > 0)
		memcpy(answer->body, transfer->received.data, answer->length);
	answer->body[answer->length] = '\0';
	return true;
}

const char *
streaming_http_check_url(const char *url)
{
	static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY,
	CURLUPART_FRAGMENT};
	CURLU	   *handle = curl_url();
	char	   *part = NULL;
	const char *why = NULL;

	if (handle == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (strcspn(url, " \t\r\n") != strlen(url))
		why = "It has a blank.";
	else if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		why = "It does not begin with http:// or https://.";
	else if (curl_url_set(handle, CURLUPART_URL, url, 0) != CURLUE_OK)
		why = "It is no address.";
	for (int i = 0; why == NULL && i < lengthof(unwanted); i++)
	{
		if (curl_url_get(handle, unwanted[i], &part, 0) != CURLUE_OK)
			continue;
		curl_free(part);
		why = i < 2 ? "It has a user or a password, which belong into a user mapping." :
			"It has a query or a fragment.";
	}
	curl_url_cleanup(handle);
	return why;
}

char *
streaming_http_escape(const char *part)
{
	char	   *escaped = curl_easy_escape(NULL, pg_server_to_any(part, strlen(part), PG_UTF8), 0);
	char	   *copy;

	if (escaped == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	copy = pstrdup(escaped);
	curl_free(escaped);
	return copy;
}

static bool
begin(Transfer *transfer, const StreamingHttpRequest *request)
{
	CURL	   *easy;

	transfer->multi = curl_multi_init();
	transfer->easy = easy = curl_easy_init();
	if (transfer->multi == NULL || easy == NULL)
		return false;
	transfer->headers = curl_slist_append(NULL, psprintf("Accept: %s", request->type));
	if (request->body && transfer->headers)
	{
		struct curl_slist *more = curl_slist_append(transfer->headers,
													psprintf("Content-Type: %s", request->type));

		if (more == NULL)
			return false;
		transfer->headers = more;
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(request->body));
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body);
	}
	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	/* A part of it may be "..", which is a name like any other. */
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer->received);
	/* A name server that does not answer holds nobody up. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	if (request->username)
	{
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, request->username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, request->password ? request->password : "");
	}
	set_blob(easy, CURLOPT_CAINFO_BLOB, request->ca_pem);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, request->certificate_pem);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, request->key_pem);
	return transfer->headers != NULL &&
		curl_multi_add_handle(transfer->multi, easy) == CURLM_OK;
}

static void
set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob;

	if (pem == NULL)
		return;
	blob.data = unconstify(char *, pem);
	blob.len = strlen(pem);
	blob.flags = CURL_BLOB_COPY;
	(void) curl_easy_setopt(easy, option, &blob);
}

static CURLcode
run(Transfer *transfer)
{
	for (;;)
	{
		sigset_t	all;
		sigset_t	old;
		int			running = 0;
		int			left;
		CURLMcode	code;
		CURLMsg    *message;

		/* A thread begins with the mask of who made it. */
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &old);
		code = curl_multi_perform(transfer->multi, &running);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (code != CURLM_OK)
			return CURLE_OUT_OF_MEMORY;
		while ((message = curl_multi_info_read(transfer->multi, &left)) != NULL)
			if (message->msg == CURLMSG_DONE)
				return message->data.result;
		if (running == 0)
			return CURLE_RECV_ERROR;

		(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, PAUSE_MS, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
end(Transfer *transfer)
{
	if (transfer->multi && transfer->easy)
		(void) curl_multi_remove_handle(transfer->multi, transfer->easy);
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	if (transfer->multi)
		(void) curl_multi_cleanup(transfer->multi);
	curl_slist_free_all(transfer->headers);
	free(transfer->received.data);
}

static size_t
receive(char *data, size_t size, size_t n, void *argument)
{
	Received   *received = argument;
	size_t		length = size * n;

	if (received->length + length > STREAMING_HTTP_MAX_ANSWER)
	{
		received->too_long = true;
		return 0;
	}
	if (received->length + length > received->allocated)
	{
		size_t		allocated = (received->length + length) * 2;
		char	   *grown = realloc(received->data, allocated);

		if (grown == NULL)
			return 0;
		received->data = grown;
		received->allocated = allocated;
	}
	memcpy(received->data + received->length, data, length);
	received->length += length;
	return length;
}
