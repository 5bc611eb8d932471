package config

import (
	"fmt"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
)

const (
	// itemBytes is the size of an item of Subscribe in any usual spelling: a GUID with braces, the longest event name, and
	// white space. callBytes is the size of the rest of the call.
	itemBytes, callBytes = 128, 1 << 10
	// headerRoom is the size of the header of a browser's request without its token.
	headerRoom = 4 << 10
	// outboxUsers and outboxMemory divide the memory of all outboxes: what one user may have of it, and what it may be of
	// memory.limit.
	outboxUsers, outboxMemory = 16, 4
)

// warnings collects the warnings of a configuration.
type warnings []string

// add adds a warning about a key if it applies.
func (w *warnings) add(applies bool, key, format string, args ...any) {
	if applies {
		*w = append(*w, key+": "+fmt.Sprintf(format, args...))
	}
}

// Warnings returns what is unsafe or contradictory in a configuration that can be used all the same. Each warning
// begins with a key.
func (c *Config) Warnings() []string {
	w := warnings(c.notes)
	w.addUnsafe(c)
	w.addLimits(c)
	w.addTimes(c)
	w.addAdmission(&c.Admission)
	w.addMemory(c)
	return w
}

// addUnsafe warns of settings that an attacker can use.
func (w *warnings) addUnsafe(c *Config) {
	w.add(c.Redis.TLS.InsecureSkipVerify, "redis.tls.insecure_skip_verify", "anyone on the network can pose as Redis")
	w.add(!c.Auth.RequireExpiry, "auth.require_expiry", "a stolen token without an expiry works forever")
	w.add(c.Auth.HMACSecret != "" && len(c.Auth.HMACSecret) < MinSecret, "auth.hmac_secret",
		"shorter than 32 bytes, it can be guessed from a token")
	w.addProxies(c)
	w.addKeySets(&c.Auth)
	w.add(c.Redis.DB != 0 && c.Redis.Prefix == backplane.DefaultPrefix, "redis.db",
		"all databases of a Redis share its channels: events and revocations of another deployment on it arrive here, too; "+
			"set redis.prefix")
	w.add(c.Console.Token != "" && len(c.Console.Token) < MinSecret/2, "console.token",
		"shorter than 16 bytes, it can be guessed")
}

// addLimits warns of limits on one thing that contradict each other: the smaller one wins, and its error is another
// than the one that the larger one promises.
func (w *warnings) addLimits(c *Config) {
	l := &c.Limits
	w.add(callBytes+itemBytes*l.Items > l.MessageBytes, "limits.message_bytes",
		"a call with limits.items (%d) items needs up to %s; a longer message closes the connection, and its client "+
			"repeats it",
		l.Items, bytesOf(callBytes+itemBytes*l.Items))
	w.add(l.Items > l.Subscriptions, "limits.items",
		"above limits.subscriptions (%d), the items of one call cannot all be subscribed", l.Subscriptions)
	w.add(l.AgentSubscriptions > 0 && l.Items > l.AgentSubscriptions && l.Items <= l.Subscriptions, "limits.items",
		"above limits.agent_subscriptions (%d), the items of one call of an agent cannot all be subscribed",
		l.AgentSubscriptions)
	total, part := "limits.total_outbox_bytes", l.TotalOutboxBytes/outboxUsers
	if limit := c.Memory.Limit; limit > 0 && limit/outboxMemory < l.TotalOutboxBytes {
		total, part = "a quarter of memory.limit", limit/outboxMemory/outboxUsers
	}
	w.add(l.OutboxBytes > part, "limits.outbox_bytes",
		"one user may have a sixteenth of %s, which is only %s", total, bytesOf(part))
	w.add(l.FrameBytes < l.MessageBytes, "limits.frame_bytes",
		"below limits.message_bytes (%s), it is the limit for clients, which send a message as one frame",
		bytesOf(l.MessageBytes))
	w.add(l.HeaderBytes < c.Auth.MaxTokenBytes+headerRoom, "limits.header_bytes",
		"a header with a token of auth.max_token_bytes (%s) may not fit; its request gets 431 instead of 401",
		bytesOf(c.Auth.MaxTokenBytes))
	w.add(l.PendingBytes < l.MessageBytes, "limits.pending_bytes",
		"below limits.message_bytes (%s), a client that sends the largest message is closed", bytesOf(l.MessageBytes))
	w.add(c.Quotas.Connections > l.Connections, "quotas.connections",
		"above limits.connections (%d), it has no effect", l.Connections)

	memory := c.Snapshots.Memory()
	if len(c.Redis.Addresses) > 0 {
		memory += c.Redis.TotalQueueBytes
	}
	if c.Directory.Kind == "redis" || c.Directory.Kind == "http" {
		memory += c.Directory.CacheBytes
	}
	w.add(c.Memory.Limit > 0 && c.Memory.Limit < memory, "memory.limit",
		"redis.total_queue_bytes, snapshots.memory_bytes and directory.cache_bytes together may take %s", bytesOf(memory))
}

// addTimes warns of time limits that end before another one of the same call.
func (w *warnings) addTimes(c *Config) {
	t := &c.Timeouts
	w.add(t.Subscribe >= t.Invocation, "timeouts.subscribe",
		"not below timeouts.invocation (%s), a call ends before Subscribe can report that Redis is slow",
		timeOf(t.Invocation))
	w.add(c.Snapshots.Mode != SnapshotsOff && t.Snapshot >= t.Invocation, "timeouts.snapshot",
		"not below timeouts.invocation (%s), the call after a Subscribe can end before it begins", timeOf(t.Invocation))
	w.add((c.Directory.Kind == "redis" || c.Directory.Kind == "http") && c.Directory.Timeout >= t.Invocation,
		"directory.timeout",
		"not below timeouts.invocation (%s), a call ends before it can report that the directory is slow",
		timeOf(t.Invocation))
	least := c.Shutdown.Delay + c.Shutdown.Drain
	w.add(c.Shutdown.Timeout > least && c.Shutdown.Timeout < least+t.Close, "shutdown.timeout",
		"below shutdown.delay, shutdown.drain and timeouts.close together (%s), a stop cuts off slow clients",
		timeOf(least+t.Close))
	w.add(len(c.Redis.Addresses) > 0 && c.Shutdown.Timeout < least+c.Shutdown.Wait, "shutdown.timeout",
		"below shutdown.delay, shutdown.wait and shutdown.drain together (%s), a drain waits less for degraded nodes",
		timeOf(least+c.Shutdown.Wait))
}

// bytesOf writes a size as a person would.
func bytesOf(n int) string {
	if n >= 10<<10 && n%(1<<10) != 0 {
		n = (n>>10 + 1) << 10 // whole KiB are precise enough
	}
	return (*size)(&n).String()
}

// timeOf writes a time as a person would.
func timeOf(d time.Duration) string { return (*span)(&d).String() }
