-- SPDX-License-Identifier: MIT
--
-- scripts/setup, where the machine has not what the specs need: what it says of it.

local folder = require "spec.support.folder"

-- What a command says in a plain chroot that has this machine's programs, and a /dev of its own.
local function in_chroot(command)
  local pipe <close> = assert(io.popen(([[
    checkout=$PWD
    unshare -m sh -c '
      cd "$1" && mkdir -p usr etc proc sys dev ".$2" || exit
      for name in usr etc proc sys; do mount --rbind /$name $name; done
      for name in bin sbin lib lib64; do [ ! -e /$name ] || cp -d /$name . 2>/dev/null; done
      mount --bind "$2" ".$2"
      mount -t tmpfs tmpfs dev && mknod -m 666 dev/null c 1 3
      exec chroot . sh -c "cd $2 && $3"
    ' sh %s "$checkout" '%s' 2>&1]]):format(folder.name, command)))
  return pipe:read "a"
end

describe("scripts/setup", function()
  before_each(function() folder.make() end)
  after_each(function() os.execute("rm -rf --one-file-system " .. folder.name) end)

  it("says that / is no mount point, and makes /dev/full", function()
    local text = in_chroot "scripts/setup test; echo status $?; ls /dev"
    assert.truthy(text:find("luabpf: / is no mount point (a chroot?)", 1, true), text)
    assert.truthy(text:find("status 1\nfull\nnull\n", 1, true), text)
  end)

  it("says that /dev/full is missing where it cannot be made", function()
    folder.write("mknod", "#!/bin/sh\nexit 1\n")
    assert(os.execute(("chmod 755 %s/mknod"):format(folder.name)))
    local text = in_chroot "PATH=/:$PATH scripts/setup test; echo status $?"
    assert.truthy(text:find("luabpf: this machine has no /dev/full", 1, true), text)
    assert.truthy(text:find("status 1\n", 1, true), text)
  end)
end)
