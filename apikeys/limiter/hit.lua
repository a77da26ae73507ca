-- Decides on one request over the bytes that windows.py describes: the same arithmetic, on
-- Redis' clock, as one atomic operation.
-- KEYS[1]: the subject. ARGV: 1 to count or 0 to look, the cost, slots, microseconds a clock may
-- step back, the answer for "never", then limit and seconds of each window.
-- Returns the waits of all windows, then what remains of each, then their resets.
local FIELDS, SLOT = 6, 16
local counts, cost, SLOTS = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[3])
local BACK, NEVER = tonumber(ARGV[4]), tonumber(ARGV[5])
local number = (#ARGV - 5) / 2
local state = redis.call('GET', KEYS[1]) or ''
local clock = redis.call('TIME')
local time_now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local max, floor, sub, pack, unpack_ = math.max, math.floor, string.sub, struct.pack, struct.unpack

-- Drops the slots whose last admission was at `expired` or before.
local function expire(c, expired)
  local first = 1
  while first < #c.closed do
    local time, held = unpack_('<dd', c.closed, first)
    if time > expired then
      c.oldest = time
      c.closed = sub(c.closed, first)
      return
    end
    c.total = c.total - held
    first = first + SLOT
  end
  c.closed, c.oldest = '', c.newest
  if c.newest <= expired then c.total = 0 end
end

local function wait(c, units)
  local surplus = c.total + units - c.limit
  if surplus <= 0 then return 0 end
  if units > c.limit then return NEVER end
  for first = 1, #c.closed, SLOT do
    local time, held = unpack_('<dd', c.closed, first)
    surplus = surplus - held
    if surplus <= 0 then return floor(time + c.span - c.now) end
  end
  return floor(c.newest + c.span - c.now)
end

local function reset(c)
  if c.total >= c.limit then return wait(c, 1) end
  if c.total == 0 then return 0 end
  return floor(c.oldest + c.span - c.now)
end

local function add(c)
  if c.total == 0 then
    c.oldest, c.opened, c.count = c.now, c.now, 0
  elseif c.limit <= SLOTS or c.now - c.opened >= c.span / SLOTS then
    c.closed = c.closed .. pack('<dd', c.newest, c.count)
    c.opened, c.count = c.now, 0
  elseif #c.closed == 0 then
    c.oldest = c.now
  end
  c.newest = c.now
  c.count = c.count + cost
  c.total = c.total + cost
end

local counters, waits, longest = {}, {}, 0
local start = number * FIELDS * 8 + 1
-- The length is another one where the state was written for another number of windows.
local length = start - 1
for i = 1, number do
  if #state < i * FIELDS * 8 then break end
  length = length + unpack_('<d', state, i * FIELDS * 8 - 7) * SLOT
end
if #state ~= length then state = '' end
for i = 1, number do
  local c = {limit = tonumber(ARGV[4 + 2 * i]), span = tonumber(ARGV[5 + 2 * i]) * 1000000,
             now = time_now, total = 0, opened = 0, newest = 0, count = 0, oldest = 0, closed = ''}
  if state ~= '' then
    local slots
    c.total, c.opened, c.newest, c.count, c.oldest, slots =
      unpack_('<dddddd', state, (i - 1) * FIELDS * 8 + 1)
    c.closed = sub(state, start, start + slots * SLOT - 1)
    start = start + slots * SLOT
    if c.newest > time_now + BACK then
      c.total, c.closed = 0, ''
    else
      c.now = max(time_now, c.newest)
    end
    if c.total > 0 and c.oldest <= c.now - c.span then expire(c, c.now - c.span) end
  end
  counters[i] = c
  waits[i] = wait(c, cost)
  if waits[i] > 0 then counts = false end
  longest = max(longest, c.span)
end

if counts then
  local headers, closed = {}, {}
  for i, c in ipairs(counters) do
    add(c)
    headers[i] = pack('<dddddd', c.total, c.opened, c.newest, c.count, c.oldest, #c.closed / SLOT)
    closed[i] = c.closed
  end
  redis.call('SET', KEYS[1], table.concat(headers) .. table.concat(closed),
             'PX', floor(longest / 1000) + 1000)
end

local answer = waits
for i, c in ipairs(counters) do
  answer[number + i] = max(0, c.limit - c.total)
  answer[2 * number + i] = reset(c)
end
return answer
