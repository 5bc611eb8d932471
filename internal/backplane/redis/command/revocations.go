package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
)

const (
	// revokedKey is a sorted set of revocations. A score is the Unix time in seconds at which the revocation expires.
	revokedKey = "rte:c:revoked"
	// revokedPage is about how many members one command reads.
	revokedPage = 1000
	// maxRevoked bounds how many members are read: twice as many as a node keeps.
	maxRevoked = 200_000
	// forgetAfter is how long expired members stay: the clocks of nodes differ.
	forgetAfter = time.Minute
	// lastScore is the end of the year 9999. Greater scores mean the same.
	lastScore = 253402300799
)

// errManyRevoked is the error for a set of revocations that is too long.
var errManyRevoked = errors.New(revokedKey + " has too many members")

// Revocations implements backplane.Control.
func (c *Client) Revocations() backplane.Revocations { return revocations{c} }

// revocations implements backplane.Revocations.
type revocations struct{ c *Client }

func (r revocations) key() string { return r.c.options.Layout.Named(revokedKey) }

// Keep implements backplane.Revocations.
func (r revocations) Keep(ctx context.Context, member []byte, until time.Time, message []byte) error {
	score := math.Ceil(float64(until.UnixMilli()) / 1000)
	key := r.key()
	err := r.c.For(key).ZAddGT(ctx, key, goredis.Z{Score: score, Member: member}).Err()
	if err != nil {
		return fmt.Errorf("keep revocation: %w", err)
	}
	return r.c.Send(ctx, backplane.RevokeChannel, message)
}

// Kept implements backplane.Revocations.
func (r revocations) Kept(ctx context.Context, each func(member []byte, until time.Time)) error {
	key := r.key()
	client := r.c.For(key)
	now := time.Now()
	over := strconv.FormatInt(now.Add(-forgetAfter).Unix(), 10)
	if err := client.ZRemRangeByScore(ctx, key, "-inf", over).Err(); err != nil && !Denied(err) {
		return fmt.Errorf("forget revocations: %w", err) // a node that may not remove them leaves it to others
	}
	read := 0
	for cursor := uint64(0); ; {
		page, next, err := client.ZScan(ctx, key, cursor, "", revokedPage).Result()
		if err != nil {
			return fmt.Errorf("read revocations: %w", err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			score, err := strconv.ParseFloat(page[i+1], 64)
			if err != nil || score <= 0 {
				continue
			}
			if until := time.Unix(int64(min(score, lastScore)), 0); until.After(now) {
				each([]byte(page[i]), until)
			}
		}
		if read += len(page) / 2; read > maxRevoked {
			return errManyRevoked
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
