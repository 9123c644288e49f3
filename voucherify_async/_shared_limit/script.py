"""The script that decides in Redis which process is granted permits. No I/O.

Each number is that of a permit of one process (module `permits`). Times are those of the server, in microseconds.
"""

from __future__ import annotations

from typing import Final

from voucherify_async._shared_limit.permits import MAX_REPORT_AGE

__all__ = ["POLL_SECONDS", "SCRIPT"]

POLL_SECONDS: Final = 1.0
"""The longest time between two script calls while requests wait. Redis forgets a process that is silent for three."""

SCRIPT: Final = """
-- KEYS: permits, permits of low priority (number -> time until which it counts), queue, state, processes.
-- Times are in microseconds.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, low_limit, period, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local process, low, first, want, block = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local may_queue, remaining, age, pause = ARGV[10] == '1', tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local own, at = low and KEYS[2] or KEYS[1], 17
for _ = 1, tonumber(ARGV[15]) do
  redis.call('ZADD', own, now + ARGV[at + 1], process .. ARGV[at])
  at = at + 2
end
for _ = 1, tonumber(ARGV[16]) do
  redis.call('ZREM', own, process .. ARGV[at])
  at = at + 1
end
local function count(key, since) return redis.call('ZCOUNT', key, string.format('(%.0f', since), '+inf') end
for i = 1, 2 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - MAX_REPORT_AGE) end
local high_used, low_used = count(KEYS[1], now), count(KEYS[2], now)

-- What responses reported: a pause, and calls of other software. Compared with all permits that counted at any time
-- since the request was permitted, so that expired ones are not taken for calls of others.
local state = redis.call('HMGET', KEYS[4], 'generation', 'paused', 'others', 'reported')
local generation, paused = state[1] or ARGV[14], tonumber(state[2] or 0)
local others, reported = tonumber(state[3] or 0), tonumber(state[4] or 0)
if remaining >= 0 then
  others, reported = math.max(0, limit - count(KEYS[1], now - age) - count(KEYS[2], now - age) - remaining), now
end
if pause > 0 then paused = math.max(paused, now + pause) end
if not state[1] or remaining >= 0 or pause > 0 then
  redis.call('HSET', KEYS[4], 'generation', generation, 'paused', paused, 'others', others, 'reported', reported)
end
local expected = math.ceil(others * math.max(0, 1 - (now - reported) / period))

-- The queue: a process waits since its turn ended, for `want` permits. High priority is ahead of low priority.
local place, since, left, ahead = (low and 'l' or 'h') .. process, now, block, 0
local queue = redis.call('HGETALL', KEYS[3])
local wants = {}
for i = 1, #queue, 2 do
  local other_since, other_left, other_want, seen = string.match(queue[i + 1], '(%d+) (%d+) (%d+) (%d+)')
  if tonumber(seen) < now - 3 * POLL_SECONDS then
    redis.call('HDEL', KEYS[3], queue[i])
  elseif queue[i] == place then
    since, left = tonumber(other_since), tonumber(other_left)
  else
    wants[queue[i]] = {tonumber(other_since), math.min(tonumber(other_left), tonumber(other_want))}
  end
end
for other, entry in pairs(wants) do
  local other_low = string.sub(other, 1, 1) == 'l'
  if (low and not other_low) or (low == other_low and entry[1] < since) then ahead = ahead + entry[2] end
end

local low_is_full = low and low_limit - low_used < limit - high_used - low_used
local free = (low_is_full and low_limit - low_used or limit - high_used - low_used) - expected - ahead
if paused > now then free = 0 end
local granted = math.max(0, math.min(want, left, free))
for i = first, first + granted - 1 do
  redis.call('ZADD', own, now + lease + period, process .. string.format('%.0f', i))
end
if may_queue and granted < want then
  left = left - granted
  if left == 0 then since, left = now, block end
  redis.call('HSET', KEYS[3], place, string.format('%.0f %d %d %.0f', since, left, want - granted, now))
elseif #queue > 0 then
  redis.call('HDEL', KEYS[3], place)
end

local wait = 0
if granted < want and paused > now then
  wait = paused - now
elseif granted < want and granted >= free then
  local needed = math.min(granted - free, 1000)
  wait = period
  for i = low_is_full and 2 or 1, 2 do
    local soon = redis.call('ZRANGEBYSCORE', KEYS[i], string.format('(%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', needed, 1)
    if soon[2] then wait = math.min(wait, soon[2] - now) end
  end
  if expected > 0 then wait = math.min(wait, math.max(1000, period / others)) end
end

redis.call('ZADD', KEYS[5], now, process)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - period - 3 * POLL_SECONDS)
local lasting = string.format('%.0f', (lease + 2 * period + math.max(0, paused - now)) / 1000 + 10000)
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], lasting) end
return {granted, math.ceil(wait), tonumber(generation), redis.call('ZCARD', KEYS[5])}
""".replace("MAX_REPORT_AGE", f"{MAX_REPORT_AGE * 1e6:.0f}").replace(
    "POLL_SECONDS", f"{POLL_SECONDS * 1e6:.0f}"
)
