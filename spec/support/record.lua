-- SPDX-License-Identifier: MIT
--
-- lua5.4 spec/support/record.lua: docs/prompt-sessions.md anew, with this checkout's module.

require "spec.support.sessions".record()
