/* SPDX-License-Identifier: MIT */
/* Ctrl-C at the prompt, for what reads a line there. */
#ifndef LUABPF_BIND_PROMPT_INTERRUPT_H
#define LUABPF_BIND_PROMPT_INTERRUPT_H

#include <stdbool.h>

/* Whether Ctrl-C came since this was asked the last time. */
bool lb_interrupted(void);

#endif
