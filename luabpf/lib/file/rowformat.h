/* SPDX-License-Identifier: MIT */
/* What rows of a file are, for writers and readers. docs/export.md defines both formats. */
#ifndef LUABPF_LIB_FILE_ROWFORMAT_H
#define LUABPF_LIB_FILE_ROWFORMAT_H

#include "lib/layout/layout.h"

enum lb_row_format { LB_ROWS_JSON, LB_ROWS_CSV };

/* One named part of a row: "key", "value", or a column. */
struct lb_row_column {
	const char *name;
	size_t name_len;
	struct lb_shape shape;	/* type NULL: bytes */
	uint32_t base;		/* which of the row's two bases it lies in */
	uint32_t offset;	/* bytes after that */
};

/* Leaves of a row of CSV, at most. */
#define LB_CSV_COLUMNS 65536

/* What a column of integers without a layout is: 8 bytes, host order. */
const struct lb_type *lb_row_integer(bool is_signed);

#endif
