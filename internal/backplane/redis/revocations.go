package redis

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
	// revokedKey is a sorted set. Its members are revocations, their scores the seconds since 1970 until which they matter.
	revokedKey = "rte:c:revoked"
	// revokedPage is about how many members one command reads.
	revokedPage = 1000
	// maxRevoked is how many members are read at most, twice what a node keeps.
	maxRevoked = 200_000
	// forgetAfter is how long members stay that no longer matter: the clocks of nodes differ.
	forgetAfter = time.Minute
	// lastScore is the end of the year 9999; scores beyond it mean the same.
	lastScore = 253402300799
)

// errManyRevoked says that the set of revocations is too long to be read.
var errManyRevoked = errors.New(revokedKey + " has too many members")

// Revocations implements backplane.Control.
func (b *Backplane) Revocations() backplane.Revocations { return revocations{b} }

// revocations implements backplane.Revocations.
type revocations struct{ b *Backplane }

// Keep implements backplane.Revocations.
func (r revocations) Keep(ctx context.Context, member []byte, until time.Time, message []byte) error {
	score := math.Ceil(float64(until.UnixMilli()) / 1000)
	err := r.b.commands(revokedKey).ZAddGT(ctx, revokedKey, goredis.Z{Score: score, Member: member}).Err()
	if err != nil {
		return fmt.Errorf("keep revocation: %w", err)
	}
	return r.b.Send(ctx, backplane.RevokeChannel, message)
}

// Kept implements backplane.Revocations.
func (r revocations) Kept(ctx context.Context, each func(member []byte, until time.Time)) error {
	client := r.b.commands(revokedKey)
	now := time.Now()
	over := strconv.FormatInt(now.Add(-forgetAfter).Unix(), 10)
	if err := client.ZRemRangeByScore(ctx, revokedKey, "-inf", over).Err(); err != nil && !refused(err) {
		return fmt.Errorf("forget revocations: %w", err) // a node that may not remove leaves it to others
	}
	read := 0
	for cursor := uint64(0); ; {
		page, next, err := client.ZScan(ctx, revokedKey, cursor, "", revokedPage).Result()
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
