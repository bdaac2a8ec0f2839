-- What was stored is joined with what is told of it by a hash: there is no index to find it by, and a session of the
-- service hashes nothing else (its statements find few rows by keys).
ALTER FUNCTION store_batch SET enable_hashjoin = on;
