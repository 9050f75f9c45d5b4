-- SPDX-License-Identifier: MIT
--
-- Bytes as hexadecimal digits, and back.

local bytes = {}

-- Two digits for each byte.
function bytes.hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- The bytes of pairs of digits.
function bytes.unhex(digits)
  return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

return bytes
