package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
)

// receiptPrefix begins the keys of receipts. The keys of requests are hashed: they are somebody else's text.
const receiptPrefix = "rte:i:"

// beginReceipt answers what is kept of a request, and marks it as running unless it is, or has come to its end.
// KEYS: the receipt. ARGV: the mark of what is running, that of what has ended, milliseconds.
const beginReceipt = `
local known = redis.call('GET', KEYS[1])
local state = known and string.sub(known, 1, 1)
if state == ARGV[1] or state == ARGV[2] then return known end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return known or ''
`

func receiptKey(key string) string {
	hash := sha256.Sum256([]byte(key))
	return receiptPrefix + hex.EncodeToString(hash[:16])
}

// Begin implements backplane.Receipts, in one step of Redis: of two nodes that ask at once, one finds it running.
func (b *Backplane) Begin(ctx context.Context, key string, lease time.Duration) (known string, running bool, err error) {
	key = receiptKey(key)
	script := goredis.NewScript(beginReceipt)
	known, err = script.Run(ctx, b.commands(key), []string{key},
		backplane.ReceiptRunning, backplane.ReceiptFinal, lease.Milliseconds()).Text()
	switch {
	case err != nil:
		return "", false, fmt.Errorf("%w: receipt: %w", backplane.ErrUnavailable, err)
	case known == "":
		return "", false, nil
	default:
		return known[1:], known[:1] == backplane.ReceiptRunning, nil
	}
}

// End implements backplane.Receipts.
func (b *Backplane) End(ctx context.Context, key, text string, final bool, keep time.Duration) error {
	key = receiptKey(key)
	state := backplane.ReceiptPartial
	if final {
		state = backplane.ReceiptFinal
	}
	if err := b.commands(key).Set(ctx, key, state+text, keep).Err(); err != nil {
		return fmt.Errorf("%w: receipt: %w", backplane.ErrUnavailable, err)
	}
	return nil
}
