/* SPDX-License-Identifier: MIT */
/*
 * Where an export goes: bytes gathered in a large buffer, and handed on to a
 * file, a pipe or a FILE, or fetched by the caller. And files that appear
 * whole under their name: written beside it, synced, renamed. No Lua here.
 *
 * Functions return 0 or -errno. A closed pipe is -EPIPE, never a signal. A child
 * that was forked cannot write to what its parent opened: -ECHILD.
 *
 * Files lie where others may write: none is written through a symbolic link, nor
 * one that somebody else made or has a second name of (-ELOOP, -EEXIST, -EMLINK). While
 * they are written nobody else can read them; a file that takes the place of
 * another one can be read by no more than that one could.
 */
#ifndef LUABPF_LIB_FILE_OUTFILE_H
#define LUABPF_LIB_FILE_OUTFILE_H

#include "lib/file/fdwrite.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes gathered before they are handed on. */
#define LB_OUT_BUFFER (256u << 10)

struct lb_outfile {
	int fd;			/* -1: none */
	FILE *file;		/* NULL: none. The caller's, as fd may be */
	bool owned;		/* fd is closed with it */
	char *buf;
	size_t used, room;
	uint64_t offset;	/* bytes handed on; those in the buffer follow */
	bool summed;		/* keeps a checksum */
	uint32_t crc;		/* CRC32C of what was handed on */
	uint64_t process;	/* that opened it: lb_process() */
	struct lb_asked asked;	/* where there is no room */
};

/* Nothing open: lb_out_close is fine, and writing gathers until it is fetched. */
void lb_out_begin(struct lb_outfile *o);
/*
 * Opens a regular file for writing, creates it if there is none, and locks it:
 * -EWOULDBLOCK if another export has it. What it holds stays.
 */
int lb_out_open(struct lb_outfile *o, const char *path);
/* A FILE for writing and reading that has no name, and goes with the process. NULL: errno. */
FILE *lb_out_temporary(void);
/* Opens something that is no regular file, a pipe or a terminal. */
int lb_out_open_device(struct lb_outfile *o, const char *path);
/* Makes room for n more bytes at o->buf + o->used. */
int lb_out_reserve(struct lb_outfile *o, size_t n);
int lb_out_write(struct lb_outfile *o, const char *text, size_t n);
/* Hands on what was gathered, and then this, past the buffer; gathers it where that is fetched. */
int lb_out_pass(struct lb_outfile *o, const char *text, size_t n);
/* Hands on what was gathered, by a FILE before too. Nothing to do where the caller fetches it. */
int lb_out_flush(struct lb_outfile *o);
/* Whether that is what the caller has to do with what was gathered. */
static inline bool lb_out_fetched(const struct lb_outfile *o)
{
	return o->fd < 0 && !o->file;
}
/* The caller has what was gathered. */
void lb_out_fetch(struct lb_outfile *o);
/* Flushes, and waits until a file is on its disk. */
int lb_out_sync(struct lb_outfile *o);
/*
 * Goes on at an offset of the file; what follows is cut off. Where a checksum is
 * kept, what comes before is read and must have this one: -EBADMSG, or -ENODATA
 * if the file is shorter, and nothing is changed.
 */
int lb_out_seek(struct lb_outfile *o, uint64_t offset, uint32_t crc);
/* Frees the buffer and what was not flushed, closes what is owned. May be called twice. */
void lb_out_close(struct lb_outfile *o);

/* Lets those read the file who may read the one at path, or a new one there. */
int lb_out_permit(const struct lb_outfile *o, const char *path);
/* Removes the file, which has that name; not in a child. */
int lb_out_remove(const struct lb_outfile *o, const char *path);
/* Renames, and syncs the folder. */
int lb_out_rename(const char *from, const char *to);
/* Behind the name of a file: the name of what is written before it takes the file's place. */
#define LB_OUT_BESIDE ".new"
/* Puts text into a file under that name as a whole, whatever happens meanwhile. */
int lb_out_replace(const char *path, const char *text, size_t n);
/* 0 if it could be replaced, or made, as far as one can tell without writing; else -errno. */
int lb_out_can_replace(const char *path);

#endif
