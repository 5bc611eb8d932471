// Package ingest takes events by HTTP from publishers without a Redis client: it cuts a request into events, reads each of
// them, hands them on in batches and answers what became of them. With an Idempotency-Key a request publishes once.

package ingest
