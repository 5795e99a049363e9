"""The part of a script that counts the records of all collections, so that a loss is noticed."""

from __future__ import annotations

COUNTING = """
local function counted(text)
  local at, models, versions, numbers, further =
      string.match(text or '', '^(%d+):(%d+):(%d+):?(%d*)(.*)$')
  return tonumber(at), tonumber(models), tonumber(versions), tonumber(numbers), further or ''
end
-- Those of collections that are not known here are as they were: this script leaves them alone.
local function count(revision, models, versions, numbers, names, hashes, former)
  local known = {}
  local text = revision .. ':' .. redis.call('HLEN', models) .. ':' .. redis.call('HLEN', versions)
      .. ':' .. redis.call('HLEN', numbers)
  for at, name in ipairs(names) do
    known[name] = true
    local length = redis.call('HLEN', hashes[at])
    if length > 0 then text = text .. ':' .. name .. '=' .. length end
  end
  for name, length in string.gmatch(former, ':([a-z_]+)=(%d+)') do
    if not known[name] then text = text .. ':' .. name .. '=' .. length end
  end
  return text
end
"""
"""`counted` takes the text apart, `count` makes it: `names` and `hashes` are of the further collections."""
