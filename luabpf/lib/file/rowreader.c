/* SPDX-License-Identifier: MIT */
/* Row readers: which of the two formats reads a row (jsonrow.c, csvrow.c). */
#include "lib/file/rowreader.h"

#include "lib/file/csvrow.h"
#include "lib/file/jsonrow.h"

#include <stdlib.h>
#include <string.h>

struct lb_row_reader {
	enum lb_row_format format;
	struct lb_row_target target;
	struct lb_csv csv;		/* nothing of JSON */
};

size_t lb_row_reader_length(const struct lb_row_reader *r, const char *text, size_t n, bool ended)
{
	const char *line;
	size_t len = 0;

	if (r->format == LB_ROWS_CSV) {
		len = lb_csv_length(text, n);
	} else {
		line = memchr(text, '\n', n);
		len = line ? (size_t)(line - text) + 1 : 0;
	}
	return len == 0 && ended ? n : len;
}

bool lb_row_reader_blank(const struct lb_row_reader *r, const char *text, size_t n)
{
	if (r->format == LB_ROWS_CSV && r->csv.ncolumns == 1)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] != '\r' && text[i] != '\n')
			return false;
	return true;
}

bool lb_row_reader_header(struct lb_row_reader *r, char *text, size_t n)
{
	return lb_csv_header(&r->csv, &r->target, text, n);
}

bool lb_row_reader_read(struct lb_row_reader *r, char *text, size_t n, uint8_t *key,
			uint8_t *value)
{
	lb_target_clear(&r->target, key, value);
	if (r->format == LB_ROWS_CSV)
		return lb_csv_row(&r->csv, &r->target, text, n, key, value);
	return lb_json_row(&r->target, text, n, key, value);
}

const char *lb_row_reader_problem(const struct lb_row_reader *r)
{
	return r->target.f.problem ? r->target.f.problem : "out of memory";
}

struct lb_row_reader *lb_row_reader_new(enum lb_row_format format, const struct lb_shape *key,
					const struct lb_shape *value)
{
	struct lb_row_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->format = format;
	if (lb_target_open(&r->target, key, value) &&
	    (format != LB_ROWS_CSV || lb_csv_open(&r->csv, &r->target)))
		return r;
	lb_row_reader_free(r);
	return NULL;
}

void lb_row_reader_free(struct lb_row_reader *r)
{
	if (!r)
		return;
	lb_csv_close(&r->csv);
	lb_target_close(&r->target);
	free(r);
}
