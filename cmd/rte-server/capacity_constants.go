package main

import "time"

// The measured constants of the capacity calculation. Their source is docs/performance.md, rows of "rte-server, through
// Redis", unless a comment names another one.
const (
	// baseMemory is the memory of a node without connections: idle, 103 MB less 19,427 connections of 3.8 KB.
	baseMemory = 31 << 20
	// connectionMemory is the memory of a connection with one subscription: idle. TLS in the node takes more.
	connectionMemory = 3900
	// subscriptionMemory is the memory of each further subscription: presence.
	subscriptionMemory = 73
	// deliveryTime is the processor time of a delivery with a write of its own: trickle. It is less for wallboards
	// where the processor is short.
	deliveryTime = 7 * time.Microsecond
	// eventTime is the processor time of an event on its way from Redis to the fan-out: the table "Backplane", the most
	// expensive row.
	eventTime = 2300 * time.Nanosecond
	// connectTime is the processor time of a connection with a token and 20 subscriptions: storm.
	connectTime = 160 * time.Microsecond
	// frameOverhead is what a frame has beside its event: envelope of SignalR, WebSocket and TCP/IP headers. The catalog
	// of the bench: 1,088 bytes of 1,024, and 60 bytes of headers.
	frameOverhead = 124
	// journalEntryMemory is the memory of Redis for an entry of a journal beside its event (docs/redis.md: 6.5 GB for a
	// thousand journals of 5,000 entries of 1 KB).
	journalEntryMemory = 280
	// journalEntries is the length of a journal, as in the examples of docs/redis.md.
	journalEntries = 5000

	// maxConnections is the largest number of connections per node that the tests have tried.
	maxConnections = 20_000
	// busy is the share of its cores that a node may use: the rest is for storms and bursts.
	busy = 0.5
	// memoryFactor leaves room for frames that wait, garbage between two collections, and states for snapshots.
	memoryFactor = 2
	// spareDescriptors is what a node opens beside its connections; clients that connect need one more for seconds.
	spareDescriptors = 1000
)
