// Package ingest takes events by HTTP, for publishers without a Redis client. It cuts a request into events, decodes
// them, publishes them in batches and answers with the result of each. A request with an Idempotency-Key publishes each
// of its events once, however often it is retried.
package ingest
