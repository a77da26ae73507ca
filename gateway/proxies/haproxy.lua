-- Latchkey for HAProxy 2.6 and later: the action "lua.latchkey URL", where URL is
-- http://LATCHKEY/auth/ENVIRONMENT/SERVICE.
--
-- HAProxy goes on with the next rule when an action fails. The rule after this one must therefore
-- deny what is not marked as admitted:
--   http-request deny deny_status 503 unless { var(txn.latchkey_admitted) -m bool }

local CREDENTIALS = { "authorization", "x-api-key" }
local IDENTITY = {
    "x-latchkey-key-id", "x-latchkey-environment", "x-latchkey-permission",
    "x-latchkey-customers", "x-request-id",
}
local REFUSAL = {
    "content-type", "www-authenticate", "retry-after", "x-request-id", "cache-control",
    "ratelimit-policy", "ratelimit",
    "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
}
-- Latchkey answers 503 within 2 s when it cannot decide. HAProxy asks a silent one four times,
-- unless "httpclient.retries 0" stands in its global section (2.8 and later).
local TIMEOUT_MS = 2500
local UNAVAILABLE = '@UNAVAILABLE@'

-- HAProxy numbers the values of a field from 0; an absent field has no list.
local function first(values)
    return values and values[0]
end

local function refuse(txn, status, headers, body)
    local reply = txn:reply({ status = status, body = body })
    for name, value in pairs(headers) do
        reply:add_header(name, value)
    end
    txn:done(reply)
end

core.register_action("latchkey", { "http-req" }, function(txn, url)
    local request = txn.http:req_get_headers()
    local asked = {
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-uri"] = { txn.f:pathq() },
        ["x-forwarded-host"] = { first(request["host"]) or "-" },
        ["x-forwarded-for"] = { txn.f:src() },
        -- Each value: a repeated one is no trace.
        ["traceparent"] = request["traceparent"],
    }
    for _, name in ipairs(CREDENTIALS) do
        -- Each value: Latchkey refuses a repeated credential.
        asked[name] = request[name]
        -- The credential stops here.
        txn.http:req_del_header(name)
    end
    for name, values in pairs(request) do
        -- Also x_latchkey_key_id and x.latchkey.key.id, which an application may take for it.
        if name:gsub("%W", "-"):find("^x%-latchkey%-") then
            txn.http:req_del_header(name)
        end
        -- A client names here what the next server is to remove, and must not name those.
        -- In HTTP/2 without TLS, more requests would follow that nobody judges.
        for _, value in pairs(values) do
            local text = value:lower()
            if name == "connection" and (text:find("latchkey") or text:find("x-request-id", 1, true))
                or name == "upgrade" and text:find("h2c") then
                txn.http:req_del_header(name)
            end
        end
    end

    local answer = core.httpclient():get({ url = url, headers = asked, timeout = TIMEOUT_MS })
    local status, headers = answer.status, answer.headers or {}
    if status == 200 then
        for _, name in ipairs(IDENTITY) do
            txn.http:req_set_header(name, first(headers[name]) or "")
        end
        txn:set_var("txn.latchkey_request", first(headers["x-request-id"]) or "")
        txn:set_var("txn.latchkey_policy", first(headers["ratelimit-policy"]) or "")
        txn:set_var("txn.latchkey_limit", first(headers["ratelimit"]) or "")
        txn:set_var("txn.latchkey_x_limit", first(headers["x-ratelimit-limit"]) or "")
        txn:set_var("txn.latchkey_x_remaining", first(headers["x-ratelimit-remaining"]) or "")
        txn:set_var("txn.latchkey_x_reset", first(headers["x-ratelimit-reset"]) or "")
        txn:set_var("txn.latchkey_admitted", true)
    elseif status and status >= 400 and status < 500 then
        local passed = {}
        for _, name in ipairs(REFUSAL) do
            passed[name] = first(headers[name])
        end
        refuse(txn, status, passed, answer.body)
    else
        local passed = { ["content-type"] = "application/problem+json", ["retry-after"] = "2" }
        refuse(txn, 503, passed, UNAVAILABLE)
    end
end, 1)
