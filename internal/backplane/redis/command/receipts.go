package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
)

// receiptPrefix begins the keys of receipts. A hash of the request's key follows: publishers choose that key.
const receiptPrefix = "rte:i:"

// beginReceipt returns the receipt of a request, and marks the request as running unless it is running or has ended.
// KEYS: the receipt. ARGV: the mark of running requests, the mark of ended requests, milliseconds.
const beginReceipt = `
local known = redis.call('GET', KEYS[1])
local state = known and string.sub(known, 1, 1)
if state == ARGV[1] or state == ARGV[2] then return known end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return known or ''
`

func (c *Client) receiptKey(key string) string {
	hash := sha256.Sum256([]byte(key))
	return c.options.Layout.Named(receiptPrefix + hex.EncodeToString(hash[:16]))
}

// Begin implements backplane.Receipts in one step of Redis: if two nodes begin a request at once, one finds it running.
func (c *Client) Begin(ctx context.Context, key string, lease time.Duration) (known string, running bool, err error) {
	key = c.receiptKey(key)
	script := goredis.NewScript(beginReceipt)
	known, err = script.Run(ctx, c.For(key), []string{key},
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
func (c *Client) End(ctx context.Context, key, text string, final bool, keep time.Duration) error {
	key = c.receiptKey(key)
	state := backplane.ReceiptPartial
	if final {
		state = backplane.ReceiptFinal
	}
	if err := c.For(key).Set(ctx, key, state+text, keep).Err(); err != nil {
		return fmt.Errorf("%w: receipt: %w", backplane.ErrUnavailable, err)
	}
	return nil
}
